/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine around a block: a kernel that consists of page tables, a GDT
 * with Linux's selectors, a TSS and 256 HLT instructions, one per vector. It
 * is entered only by exceptions; the test writes user-mode state directly.
 */
#include "test/diff/guest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "cpu/cpuid.h"
#include "engine/engine.h"
#include "lib/check.h"
#include "test/diff/native.h"
#include "test/diff/watch.h"
#include "x86/regs.h"

#define RAM_SIZE   0x400000u
#define CODE_GPA   0x1000000u
#define KERNEL_GVA 0xffff800000000000ULL /* linear map of the first 2 MiB */
#define PML4_GPA   0x1000u
#define GDT_GPA    0x2000u
#define IDT_GPA    0x3000u
#define TSS_GPA    0x4000u
#define HLT_GPA    0x5000u /* 256 slots of 16 bytes */
#define STACK0_GPA 0x7000u /* ring 0 */
#define RET_GPA    0x8000u
#define TABLES_GPA 0x10000u /* tables below the PML4 */
#define USER_GPA   0x200000u

#define PTE_P   0x001ULL
#define PTE_W   0x002ULL
#define PTE_U   0x004ULL
#define PTE_PS  0x080ULL
#define PTE_NX  BIT64(63)
#define PTE_NEW 0x7ULL
#define PTE_GPA 0x000ffffffffff000ULL

static struct {
	uint8_t *ram;
	uint8_t *code;
	uint32_t next_table;
	uint8_t *data[2], *stack; /* host addresses of the user's pages */
	struct engine *engine;
	struct cpu *cpu;
	struct phys_range ranges[2];
	struct physmap map;
	struct segment user[SEG_COUNT];
	volatile bool running;
	char why[128]; /* the last run that did not end */
} self;

/* ---- page tables ---- */

static uint64_t *table_entry(uint64_t table, uint64_t gva, unsigned int level)
{
	unsigned int i = gva >> (12 + 9 * level) & 511;

	return (uint64_t *)(self.ram + table) + i;
}

static void map_page(uint64_t gva, uint64_t gpa, uint64_t flags)
{
	uint64_t table = PML4_GPA;

	for (unsigned int level = 3; level > 0; level--) {
		uint64_t *e = table_entry(table, gva, level);

		if (!*e) {
			*e = self.next_table | PTE_NEW;
			self.next_table += 0x1000;
		}
		table = *e & PTE_GPA;
	}
	*table_entry(table, gva, 0) = gpa | flags | PTE_P;
}

/* Neighbours in gva are apart in gpa, so that crossing a page matters. */
static void map_user(void)
{
	uint64_t gpa = USER_GPA;

	self.data[1] = self.ram + gpa;
	map_page(DATA_GVA + 0x1000, gpa, PTE_U | PTE_W | PTE_NX);
	gpa += 0x2000;
	self.data[0] = self.ram + gpa;
	map_page(DATA_GVA, gpa, PTE_U | PTE_W | PTE_NX);
	gpa += 0x3000;
	init_readonly(self.ram + gpa);
	map_page(RO_GVA, gpa, PTE_U | PTE_NX);
	gpa += 0x2000;
	self.stack = self.ram + gpa;
	map_page(STACK_GVA, gpa, PTE_U | PTE_W | PTE_NX);
	self.ram[RET_GPA] = 0xcd;
	self.ram[RET_GPA + 1] = VECTOR_DONE;
	map_page(RET_GVA, RET_GPA, PTE_U);
	for (unsigned int off = 0; off < CODE_SIZE; off += 0x1000)
		map_page(CODE_GVA + off, CODE_GPA + off, PTE_U);
}

static void make_tables(void)
{
	self.next_table = TABLES_GPA;
	for (unsigned int gpa = 0; gpa < USER_GPA; gpa += 0x1000)
		map_page(KERNEL_GVA + gpa, gpa, PTE_W);
	map_user();
}

/* ---- descriptors ---- */

static void put64(uint32_t gpa, uint64_t val)
{
	memcpy(self.ram + gpa, &val, 8);
}

static void make_gdt(void)
{
	uint64_t tss = KERNEL_GVA + TSS_GPA;

	put64(GDT_GPA + 0x08, 0x00cf9b000000ffff); /* kernel, 32 bits */
	put64(GDT_GPA + 0x10, 0x00af9b000000ffff); /* kernel */
	put64(GDT_GPA + 0x18, 0x00cf93000000ffff);
	if (native_selector(0x23)) /* not under every hypervisor */
		put64(GDT_GPA + 0x20, 0x00cffb000000ffff); /* user, 32 bits */
	put64(GDT_GPA + 0x28, 0x00cff3000000ffff);
	put64(GDT_GPA + 0x30, 0x00affb000000ffff); /* user */
	put64(GDT_GPA + 0x40, 0x00008b0000000067 | (tss & 0xffffff) << 16 |
				      (tss >> 24 & 0xff) << 56);
	put64(GDT_GPA + 0x48, tss >> 32);
	put64(TSS_GPA + 4, KERNEL_GVA + STACK0_GPA + 0x1000); /* RSP0 */
	self.ram[TSS_GPA + 0x66] = 0x68; /* no I/O bitmap */
}

/* As under Linux, user mode may INT 3, INT 4 and INT 0x80, no other. */
static void make_idt(void)
{
	for (unsigned int v = 0; v < 256; v++) {
		uint64_t gva = KERNEL_GVA + HLT_GPA + 16 * v;
		bool user = v == VEC_BP || v == VEC_OF || v == VECTOR_DONE;

		self.ram[HLT_GPA + 16 * v] = 0xf4;
		put64(IDT_GPA + 16 * v, (gva & 0xffff) | 0x10 << 16 |
						(user ? 0xeeULL : 0x8eULL)
							<< 40 |
						(gva >> 16 & 0xffff) << 48);
		put64(IDT_GPA + 16 * v + 8, gva >> 32);
	}
}

/* ---- the processor ---- */

static void make_segments(struct cpu *cpu)
{
	struct segment *s = self.user;

	for (int i = 0; i < SEG_COUNT; i++)
		s[i] = (struct segment){.attr = SEG_ATTR_UNUSABLE};
	s[SEG_CS] = (struct segment){
		.sel = USER_CS, .limit = 0xffffffff, .attr = 0xafb};
	s[SEG_SS] = (struct segment){
		.sel = USER_SS, .limit = 0xffffffff, .attr = 0xcf3};
	s[SEG_TR] = (struct segment){.sel = 0x40,
				     .limit = 0x67,
				     .attr = 0x08b,
				     .base = KERNEL_GVA + TSS_GPA};
	memcpy(cpu->seg, s, sizeof(cpu->seg));
}

static void make_cpu(struct cpu *cpu)
{
	cpu->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG;
	cpu->cr3 = PML4_GPA;
	cpu->cr4 = CR4_DE | CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	if (cpu_has(cpu, FEAT_XSAVE))
		cpu->cr4 |= CR4_OSXSAVE;
	if (cpu_has(cpu, FEAT_FSGSBASE))
		cpu->cr4 |= CR4_FSGSBASE;
	if (cpu_has(cpu, FEAT_SMEP))
		cpu->cr4 |= CR4_SMEP;
	if (cpu_has(cpu, FEAT_SMAP))
		cpu->cr4 |= CR4_SMAP;
	if (cpu_has(cpu, FEAT_UMIP))
		cpu->cr4 |= CR4_UMIP;
	cpu->efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
	cpu->xcr0 = xstate_mask();
	cpu->gdt = (struct dtable){KERNEL_GVA + GDT_GPA, 0x4f};
	cpu->idt = (struct dtable){KERNEL_GVA + IDT_GPA, 0xfff};
	make_segments(cpu);
	cpu_update_mode(cpu);
}

static int give_cpuid(struct cpu *cpu)
{
	static struct cpuid_entry entries[CPUID_MAX];
	int n = cpuid_supported(entries, CPUID_MAX);

	return n < 0 ? n : cpuid_set_table(cpu, entries, n);
}

static int new_cpu(void)
{
	int err = engine_cpu_create(self.engine, 0, -1, &self.cpu);

	if (!err)
		err = give_cpuid(self.cpu);
	if (!err)
		make_cpu(self.cpu);
	return err;
}

int guest_open(uint8_t *code, bool exact)
{
	static const struct cpu_ops ops;
	struct engine_config cfg = {.ops = &ops, .exact_flags = exact};
	int err;

	self.code = code;
	self.ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (self.ram == MAP_FAILED)
		return -errno;
	make_tables();
	make_gdt();
	make_idt();
	self.ranges[0] = (struct phys_range){.size = RAM_SIZE, .hva = self.ram};
	self.ranges[1] = (struct phys_range){
		.gpa = CODE_GPA, .size = CODE_SIZE, .hva = code, .slot = 1};
	self.map = (struct physmap){2, self.ranges};
	err = engine_create(&cfg, &self.engine);
	if (err)
		return err;
	engine_exclusive_begin(self.engine);
	engine_set_physmap(self.engine, &self.map);
	engine_exclusive_end(self.engine);
	return new_cpu();
}

void guest_code_changed(void)
{
	engine_invalidate(self.engine, self.code, CODE_SIZE);
}

/* ---- one block ---- */

static void load(const struct outcome *out)
{
	const struct state *st = &out->st;
	struct cpu *cpu = self.cpu;

	memcpy(self.data[0], out->mem.data, 0x1000);
	memcpy(self.data[1], out->mem.data + 0x1000, 0x1000);
	memcpy(self.stack, out->mem.stack, STACK_SIZE);
	memcpy(cpu->gpr, st->gpr, sizeof(cpu->gpr));
	memcpy(cpu->seg, self.user, sizeof(cpu->seg));
	cpu->seg[SEG_FS].base = st->fs_base;
	cpu->seg[SEG_GS].base = st->gs_base;
	cpu->rip = st->rip;
	cpu->cr2 = 0;
	cpu->shadow = 0;
	cpu_set_rflags(cpu, st->rflags);
	memcpy(cpu->xsave, st->xsave, MIN(cpu->xsave_size, XSAVE_SIZE));
	cpu_update_mode(cpu);
}

static bool pushes_error(unsigned int vector)
{
	return vector == VEC_DF || (vector >= VEC_TS && vector <= VEC_PF) ||
	       vector == VEC_AC;
}

static void store(struct outcome *out, unsigned int vector)
{
	struct state *st = &out->st;
	struct cpu *cpu = self.cpu;
	uint64_t frame[6];

	memcpy(st->gpr, cpu->gpr, sizeof(st->gpr));
	memcpy(frame, self.ram + STACK0_GPA + 0x1000 - sizeof(frame),
	       sizeof(frame)); /* error, if any, RIP CS RFLAGS RSP SS */
	st->vector = vector;
	st->error = pushes_error(vector) ? frame[0] : 0;
	st->rip = vector == VECTOR_DONE ? RET_GVA : frame[1];
	st->rflags = frame[3];
	st->gpr[REG_RSP] = frame[4];
	st->cr2 = vector == VEC_PF ? cpu->cr2 : 0;
	st->fs_base = cpu->seg[SEG_FS].base;
	st->gs_base = cpu->seg[SEG_GS].base;
	memcpy(st->xsave, cpu->xsave, MIN(cpu->xsave_size, XSAVE_SIZE));
	xstate_normalise(st->xsave);
	fault_normalise(st);
	memcpy(out->mem.data, self.data[0], 0x1000);
	memcpy(out->mem.data + 0x1000, self.data[1], 0x1000);
	memcpy(out->mem.stack, self.stack, STACK_SIZE);
}

const char *guest_why(void)
{
	return self.why;
}

void guest_kick(void)
{
	if (self.running)
		cpu_request(self.cpu, CPU_REQ_EXIT);
}

bool guest_run(struct outcome *out)
{
	enum cpu_exit_kind kind;
	uint64_t slot;

	load(out);
	watch_run();
	self.running = true;
	kind = engine_run(self.cpu);
	self.running = false;
	slot = self.cpu->rip - 1 - (KERNEL_GVA + HLT_GPA);
	if (kind == CPU_EXIT_HLT && !(slot & 15) && slot < 16 * 256) {
		store(out, slot / 16);
		return true;
	}
	snprintf(self.why, sizeof(self.why),
		 "exit %d at rip %lx, suberror %u, data %lx", kind,
		 (unsigned long)self.cpu->rip, self.cpu->internal.suberror,
		 (unsigned long)self.cpu->internal.data[0]);
	engine_cpu_destroy(self.cpu); /* whatever state it was left in */
	ASSERT(!new_cpu());
	return false;
}
