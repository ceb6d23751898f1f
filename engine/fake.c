/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See fake.h. Tables: APM 2 "Long-Mode Page Translation" (5.3), SDM 3A
 * "64-Bit Mode IDT" (6.14.1).
 */
#include "engine/fake.h"

#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cpu/cpuid.h"
#include "cpu/xstate.h"
#include "lib/check.h"
#include "x86/regs.h"

#define PML4_GPA   0x1000u
#define GDT_GPA    0x2000u
#define IDT_GPA    0x3000u
#define HLT_GPA    0x5000u /* 256 slots of 16 bytes */
#define TABLES_GPA 0x10000u
#define PTE_FLAGS  3u /* present, writable */

/* ---- tables ---- */

static void put64(struct fake *f, gpa_t gpa, uint64_t val)
{
	memcpy(f->ram + gpa, &val, 8);
}

static uint64_t get64(const struct fake *f, gpa_t gpa)
{
	uint64_t val;

	memcpy(&val, f->ram + gpa, 8);
	return val;
}

gpa_t fake_pte(struct fake *f, gva_t gva)
{
	gpa_t table = PML4_GPA;

	for (unsigned int level = 3; level > 0; level--) {
		gpa_t at = table + (gva >> (12 + 9 * level) & 511) * 8;

		if (!get64(f, at)) {
			put64(f, at, f->next_table | PTE_FLAGS);
			f->next_table += PAGE_SIZE;
			ASSERT(f->next_table < FAKE_CODE);
		}
		table = get64(f, at) & PAGE_MASK;
	}
	return table + (gva >> 12 & 511) * 8;
}

void fake_map(struct fake *f, gva_t gva, gpa_t gpa)
{
	put64(f, fake_pte(f, gva), gpa | PTE_FLAGS);
}

static void make_idt(struct fake *f)
{
	for (unsigned int v = 0; v < 256; v++) {
		uint64_t at = HLT_GPA + 16 * v;

		f->ram[at] = 0xf4;
		put64(f, IDT_GPA + 16 * v,
		      (at & 0xffff) | 8 << 16 | 0x8eULL << 40 | at >> 16 << 48);
	}
}

static void make_tables(struct fake *f)
{
	f->next_table = TABLES_GPA;
	for (gpa_t gpa = 0; gpa < FAKE_RAM; gpa += PAGE_SIZE)
		fake_map(f, gpa, gpa);
	put64(f, GDT_GPA + 8, 0x00af9b000000ffff);
	put64(f, GDT_GPA + 16, 0x00cf93000000ffff);
	make_idt(f);
}

/* ---- processors ---- */

static void make_segments(struct cpu *cpu, uint16_t code)
{
	for (int i = 0; i < SEG_COUNT; i++)
		cpu->seg[i] = (struct segment){
			.sel = 16, .limit = 0xffffffff, .attr = 0xc93};
	cpu->seg[SEG_CS].sel = 8;
	cpu->seg[SEG_CS].attr = code;
	cpu->seg[SEG_LDT] = (struct segment){.attr = SEG_ATTR_UNUSABLE};
	cpu->seg[SEG_TR] = (struct segment){.limit = 0x67, .attr = 0x8b};
	for (int i = 0; i < SEG_COUNT; i++)
		cpu_segment_derive(cpu, i);
}

void fake_flat32(struct fake *f, unsigned int n)
{
	struct cpu *cpu = f->cpu[n];

	cpu->cr0 &= ~CR0_PG;
	cpu->efer = 0;
	make_segments(cpu, 0xc9b);
	cpu_update_mode(cpu);
	tlb_flush_all(cpu);
}

static void make_cpu(struct fake *f, unsigned int n)
{
	static struct cpuid_entry entries[CPUID_MAX];
	int count = cpuid_supported(entries, CPUID_MAX);
	struct cpu *cpu;

	ASSERT(count > 0);
	ASSERT(!engine_cpu_create(f->engine, n, -1, &f->cpu[n]));
	cpu = f->cpu[n];
	ASSERT(!cpuid_set_table(cpu, entries, count));
	cpu->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	cpu->cr3 = PML4_GPA;
	cpu->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	if (cpu_has(cpu, FEAT_XSAVE))
		cpu->cr4 |= CR4_OSXSAVE;
	if (cpu_has(cpu, FEAT_FSGSBASE))
		cpu->cr4 |= CR4_FSGSBASE;
	cpu->efer = EFER_SCE | EFER_LME | EFER_LMA;
	cpu->xcr0 = cpu_has(cpu, FEAT_XSAVE) ? cpu->xcr0_allowed : 1;
	cpu->gdt = (struct dtable){GDT_GPA, 0x17};
	cpu->idt = (struct dtable){IDT_GPA, 0xfff};
	make_segments(cpu, 0xa9b);
}

void fake_start(struct fake *f, unsigned int n, uint64_t rip)
{
	struct cpu *cpu = f->cpu[n];

	memset(cpu->gpr, 0, sizeof(cpu->gpr));
	cpu->gpr[REG_RSP] = FAKE_STACK + (n + 1) * 0x10000;
	cpu->rip = rip;
	cpu->shadow = 0;
	cpu_set_rflags(cpu, 2);
	cpu_update_mode(cpu);
}

void fake_open(struct fake *f, uint64_t code_size)
{
	static const struct cpu_ops ops;
	struct engine_config cfg = {.ops = &ops, .code_size = code_size};

	memset(f, 0, sizeof(*f));
	f->ram = mmap(NULL, FAKE_RAM, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT(f->ram != MAP_FAILED);
	make_tables(f);
	f->range = (struct phys_range){.size = FAKE_RAM, .hva = f->ram};
	f->map = (struct physmap){1, &f->range};
	ASSERT(!engine_create(&cfg, &f->engine));
	engine_exclusive_begin(f->engine);
	engine_set_physmap(f->engine, &f->map);
	engine_exclusive_end(f->engine);
	for (unsigned int n = 0; n < FAKE_CPUS; n++) {
		make_cpu(f, n);
		fake_start(f, n, FAKE_CODE);
	}
}

void fake_close(struct fake *f)
{
	for (unsigned int n = 0; n < FAKE_CPUS; n++)
		engine_cpu_destroy(f->cpu[n]);
	engine_destroy(f->engine);
	munmap(f->ram, FAKE_RAM);
}

/* ---- running ---- */

enum cpu_exit_kind fake_run(struct fake *f, unsigned int n)
{
	return engine_run(f->cpu[n]);
}

static void *thread_run(void *arg)
{
	struct fake_thread *t = arg;

	t->kind = engine_run(t->cpu);
	return NULL;
}

void fake_spawn(struct fake *f, unsigned int n)
{
	struct fake_thread *t = &f->thread[n];

	t->cpu = f->cpu[n];
	ASSERT(!pthread_create(&t->id, NULL, thread_run, t));
}

enum cpu_exit_kind fake_join(struct fake *f, unsigned int n)
{
	ASSERT(!pthread_join(f->thread[n].id, NULL));
	return f->thread[n].kind;
}

int fake_vector(const struct fake *f, unsigned int n)
{
	uint64_t slot = f->cpu[n]->rip - 1 - HLT_GPA;

	return !(slot & 15) && slot < 16 * 256 ? (int)(slot / 16) : -1;
}

uint32_t fake_peek(const struct fake *f, gpa_t gpa)
{
	return __atomic_load_n((uint32_t *)(f->ram + gpa), __ATOMIC_SEQ_CST);
}

void fake_poke(struct fake *f, gpa_t gpa, uint32_t val)
{
	__atomic_store_n((uint32_t *)(f->ram + gpa), val, __ATOMIC_SEQ_CST);
}

void fake_await(const struct fake *f, gpa_t gpa, uint32_t val)
{
	while (fake_peek(f, gpa) != val)
		sched_yield();
}

void fake_watchdog(unsigned int seconds)
{
	alarm(seconds * 10);
}
