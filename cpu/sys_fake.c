/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See cpu/sys_fake.h. Stands in for cpu/mem.c and cpu/crop.c; the rest of the
 * room is the real one.
 */
#include "cpu/sys_fake.h"

#include <stdlib.h>
#include <string.h>

#include "cpu/crop.h"
#include "cpu/pmu/pmu.h"
#include "lib/check.h"

struct fake *fake;

/* Nothing counts here. */
void pmu_privilege(struct cpu *cpu)
{
}

static uint8_t *access_ram(struct cpu *cpu, gva_t gva, unsigned int size,
			   unsigned int acc)
{
	gva_t page;

	fake->acc = acc;
	fake->slow++;
	if (!seg_canonical(cpu, gva))
		cpu_raise_err(cpu, VEC_GP, 0);
	for (page = gva & ~0xfffULL; page < gva + size; page += 4096) {
		if (page == fake->bad_page || page >= FAKE_RAM)
			cpu_raise_pf(cpu, MAX(page, gva),
				     acc & ACC_USER ? PF_U : 0);
	}
	return fake->ram + gva;
}

uint64_t mem_read(struct cpu *cpu, gva_t gva, unsigned int size,
		  unsigned int acc)
{
	uint64_t val = 0;

	memcpy(&val, access_ram(cpu, gva, size, acc), size);
	return val;
}

void mem_write(struct cpu *cpu, gva_t gva, unsigned int size, uint64_t val,
	       unsigned int acc)
{
	memcpy(access_ram(cpu, gva, size, acc), &val, size);
}

void mem_read_buf(struct cpu *cpu, gva_t gva, void *buf, unsigned int size,
		  unsigned int acc)
{
	memcpy(buf, access_ram(cpu, gva, size, acc), size);
}

void mem_write_buf(struct cpu *cpu, gva_t gva, const void *buf,
		   unsigned int size, unsigned int acc)
{
	memcpy(access_ram(cpu, gva, size, acc), buf, size);
}

void mem_check(struct cpu *cpu, gva_t gva, unsigned int size, unsigned int acc)
{
	access_ram(cpu, gva, size, acc);
}

uint8_t *mem_hva(struct cpu *cpu, gva_t gva, unsigned int size,
		 unsigned int acc, gpa_t *gpa)
{
	*gpa = gva;
	return access_ram(cpu, gva, size, acc);
}

gva_t mem_linear(struct cpu *cpu, enum cpu_seg seg, uint64_t off,
		 unsigned int size, unsigned int kind)
{
	const struct segment *s = &cpu->seg[seg];
	uint64_t lim = kind == ACC_WRITE ? s->lim_w : s->lim_r;

	if (cpu->code_bits == 64)
		return off;
	if (off + size > lim)
		cpu_raise_err(cpu, seg == SEG_SS ? VEC_SS : VEC_GP, 0);
	return (uint32_t)(s->base + off);
}

void crop_load_cr3(struct cpu *cpu, uint64_t val)
{
	cpu->cr3 = val;
	fake->cr3_loads++;
}

void tlb_flush_rights(struct cpu *cpu)
{
	__builtin_memset(cpu->tlb, 0, sizeof(*cpu->tlb));
}

int fake_setup(void **state)
{
	unsigned int v, k;

	fake = calloc(1, sizeof(*fake));
	ASSERT(fake);
	fake->cpu.tlb = calloc(1, sizeof(*fake->cpu.tlb));
	ASSERT(fake->cpu.tlb);
	fake->cpu.stat = fake->cpu.stat_own;
	for (v = 0; v < VIEW_COUNT; v++) {
		for (k = 0; k < TLB_ENTRIES; k++) {
			/* never equal in the index bits */
			fake->cpu.tlb->view[v].r[k].tag = ~(uint64_t)k << 12;
			fake->cpu.tlb->view[v].w[k].tag = ~(uint64_t)k << 12;
		}
	}
	fake->bad_page = ~0ULL;
	*state = fake;
	return 0;
}

int fake_teardown(void **state)
{
	free(fake->cpu.tlb);
	free(fake);
	fake = NULL;
	return 0;
}

void fake_poke(uint32_t addr, unsigned int size, uint64_t val)
{
	memcpy(fake->ram + addr, &val, size);
}

uint64_t fake_peek(uint32_t addr, unsigned int size)
{
	uint64_t val = 0;

	memcpy(&val, fake->ram + addr, size);
	return val;
}

void fake_raw(uint16_t sel, uint64_t lo)
{
	uint32_t table = sel & SEL_TI ? FAKE_LDT : FAKE_GDT;

	fake_poke(table + (sel & 0xfff8), 8, lo);
}

uint64_t fake_raw_get(uint16_t sel)
{
	uint32_t table = sel & SEL_TI ? FAKE_LDT : FAKE_GDT;

	return fake_peek(table + (sel & 0xfff8), 8);
}

void fake_desc(uint16_t sel, uint32_t base, uint32_t limit, uint16_t attr)
{
	uint64_t lim = attr & SEG_ATTR_G ? limit >> 12 : limit;

	fake_raw(sel, (lim & 0xffff) | (lim & 0xf0000) << 32 |
			      (uint64_t)(base & 0xffffff) << 16 |
			      (uint64_t)(base >> 24) << 56 |
			      (uint64_t)(attr & 0xff) << 40 |
			      (uint64_t)(attr & 0xf00) << 44);
}

uint64_t fake_gate_raw(uint16_t sel, uint32_t off, unsigned int type,
		       unsigned int dpl, unsigned int count)
{
	return (off & 0xffff) | (uint64_t)sel << 16 | (uint64_t)count << 32 |
	       (uint64_t)(type | dpl << 5 | 0x80) << 40 |
	       (uint64_t)(off >> 16) << 48;
}

void fake_idt(unsigned int vec, uint16_t sel, uint64_t off, unsigned int type,
	      unsigned int dpl, unsigned int low)
{
	bool lng = cpu_long_mode(&fake->cpu);
	uint32_t at = FAKE_IDT + vec * (lng ? 16 : 8);

	fake_poke(at, 8, fake_gate_raw(sel, off, type, dpl, low));
	if (lng)
		fake_poke(at + 8, 8, off >> 32);
}

void fake_tlb(unsigned int view, gva_t gva)
{
	const struct tlb_entry e = {
		.tag = gva & ~0xfffULL,
		.hva = (uintptr_t)fake->ram + (gva & ~0xfffULL),
	};

	fake->cpu.tlb->view[view].r[tlb_index(gva)] = e;
	fake->cpu.tlb->view[view].w[tlb_index(gva)] = e;
}

void fake_real(void)
{
	struct cpu *cpu = &fake->cpu;
	unsigned int k;

	for (k = 0; k < SEG_COUNT; k++) {
		cpu->seg[k] = (struct segment){.limit = 0xffff};
		cpu->seg[k].attr = SEG_ATTR_DATA16;
		cpu_segment_derive(cpu, k);
	}
	cpu->cr0 = cpu->cr4 = cpu->efer = 0;
	cpu->rflags_sys = 0;
	cpu->iflag = cpu->dflag = cpu->acflag = cpu->of = 0;
	cpu->ah = 2;
	cpu->gdt.base = FAKE_GDT;
	cpu->gdt.limit = FK_LIMIT - 1;
	cpu->idt.base = 0;
	cpu->idt.limit = 0x3ff;
	cpu->gpr[REG_RSP] = 0x8000;
	cpu->rip = 0x7000;
	cpu->dr6 = DR6_FIXED;
	cpu->dr7 = DR7_FIXED;
	cpu_update_mode(cpu);
}

static void load_as_is(enum cpu_seg seg, uint16_t sel)
{
	seg_commit(&fake->cpu, seg, sel, fake_raw_get(sel));
}

/* Descriptors that legacy and long mode share. */
static void common_tables(uint16_t flat)
{
	fake_desc(FK_DATA0, 0, ~0u, 0xc93);
	fake_desc(FK_DATA3, 0, ~0u, 0xcf3);
	fake_desc(FK_DATA1, 0, ~0u, 0xcb3);
	fake_desc(FK_CODE0, 0, ~0u, 0x09b | flat);
	fake_desc(FK_CODE3, 0, ~0u, 0x0fb | flat);
	fake_desc(FK_CODE1, 0, ~0u, 0x0bb | flat);
	fake_desc(FK_CONF0, 0, ~0u, 0x09f | flat);
	fake_desc(FK_CODE16, 0, 0xffff, 0x09b);
	fake_desc(FK_DATA16, 0, 0xffff, 0x093);
	fake_desc(FK_COMPAT3, 0, ~0u, 0xcfb);
	fake_desc(FK_TSS, FAKE_TSS, 0x167, 0x08b);
	fake_desc(FK_LDT, FAKE_LDT, 0xff, 0x082);
	fake_desc(FK_TSS2, FAKE_TSS2, 0x67, 0x089);
}

static void enter(unsigned int cpl)
{
	static const uint16_t code[] = {FK_CODE0, FK_CODE1, 0, FK_CODE3};
	static const uint16_t data[] = {FK_DATA0, FK_DATA1, 0, FK_DATA3};
	struct cpu *cpu = &fake->cpu;
	unsigned int k;

	cpu->idt.base = FAKE_IDT;
	cpu->idt.limit = 0xfff;
	load_as_is(SEG_CS, code[cpl] | cpl);
	for (k = SEG_ES; k <= SEG_GS; k++)
		if (k != SEG_CS)
			load_as_is(k, data[cpl] | cpl);
	load_as_is(SEG_LDT, FK_LDT);
	load_as_is(SEG_TR, FK_TSS);
	cpu->gpr[REG_RSP] = FAKE_STACK;
	cpu->rip = 0x7000;
	cpu->iflag = 1;
	cpu_update_mode(cpu);
}

void fake_protected(unsigned int cpl)
{
	fake_real();
	fake->cpu.cr0 = CR0_PE;
	common_tables(SEG_ATTR_G | SEG_ATTR_DB);
	fake_poke(FAKE_TSS + 4, 4, FAKE_RING0);
	fake_poke(FAKE_TSS + 8, 4, FK_DATA0);
	fake_poke(FAKE_TSS + 12, 4, FAKE_RING1);
	fake_poke(FAKE_TSS + 16, 4, FK_DATA1 | 1);
	enter(cpl);
}

void fake_long(unsigned int cpl)
{
	fake_real();
	fake->cpu.cr0 = CR0_PE | CR0_PG;
	fake->cpu.cr4 = CR4_PAE;
	fake->cpu.efer = EFER_LME | EFER_LMA | EFER_SCE;
	common_tables(SEG_ATTR_G | SEG_ATTR_L);
	fake_raw(FK_TSS + 8, 0);
	fake_raw(FK_LDT + 8, 0);
	fake_poke(FAKE_TSS + 4, 8, FAKE_RING0);
	fake_poke(FAKE_TSS + 12, 8, FAKE_RING1);
	fake_poke(FAKE_TSS + 36, 8, FAKE_IST);
	enter(cpl);
}

void fake_v8086(unsigned int iopl)
{
	struct cpu *cpu = &fake->cpu;
	unsigned int k;

	fake_protected(3);
	cpu->rflags_sys = RFLAGS_VM | iopl << 12;
	for (k = SEG_ES; k <= SEG_GS; k++)
		seg_commit_v8086(cpu, k, 0x100 + k);
	cpu->gpr[REG_RSP] = 0x800;
	cpu->rip = 0x200;
	cpu_update_mode(cpu);
}

void fake_insn(struct insn *i, unsigned int opsize)
{
	memset(i, 0, sizeof(*i));
	i->len = 2;
	i->opsize = opsize;
	i->addrsize = fake->cpu.code_bits / 8;
	i->stacksize = fake->cpu.code_bits / 8;
	i->next_rip = fake->cpu.rip + i->len;
}

/*
 * The landing pad needs a frame of its own that stays until it is used: no
 * tail call.
 */
__attribute__((noinline)) int fake_exec(exec_fn *fn, const struct insn *i)
{
	volatile int res;

	fake->cpu.raised.valid = false;
	if (__builtin_setjmp(fake->cpu.jmpbuf))
		return FAULTED;
	res = fn(&fake->cpu, i);
	return res;
}

static int deliver(struct cpu *cpu, const struct insn *i)
{
	cpu_event_deliver(cpu);
	return 0;
}

int fake_deliver(const struct cpu_event *ev)
{
	if (ev) {
		fake->cpu.event = *ev;
		fake->cpu.event.valid = true;
	}
	return fake_exec(deliver, NULL);
}
