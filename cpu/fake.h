/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A processor with RAM and page tables for the unit tests of this room: one
 * range of RAM from gpa 0, a page of read-only memory behind it, and a table
 * builder. Nothing of the engine.
 */
#ifndef CPU_FAKE_H
#define CPU_FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>
#include "cpu/cpu.h"
#include "cpu/mem.h"
#include "cpu/physmap.h"
#include "cpu/tlb.h"
#include "x86/paging.h"
#include "x86/regs.h"

#define FAKE_RAM (32u << 20)
#define FAKE_ROM FAKE_RAM /* gpa of the read-only page */

struct fake {
	struct cpu cpu;
	struct physmap map;
	struct phys_range ranges[2];
	uint8_t *ram;
	uint8_t doorbell;
	jmp_buf landing;
	uint64_t next_table; /* gpa of the next free page */
	uint64_t seed;
	unsigned int dirty_calls, code_writes;
	uint64_t code_page; /* hva of a page that holds code, 0: none */
};

/*
 * cpu_raise*() lands here, deep below the test's frame, and goes on to the
 * test by libc's longjmp(): compilers know what setjmp() does to variables,
 * clang does not for __builtin_setjmp().
 */
static struct fake *fake_current;

static __attribute__((used)) void fake_landed(void)
{
	longjmp(fake_current->landing, 1);
}

void fake_land(void);
__asm__(".text\nfake_land:\n\tcall fake_landed\n\tud2\n");

static inline int fake_raised(const struct fake *f)
{
	return f->cpu.raised.valid ? f->cpu.raised.vector + 1 : -1;
}

/* The buffer of __builtin_longjmp(): frame pointer, code, stack pointer. */
static inline void fake_arm(struct fake *f)
{
	uintptr_t sp = (uintptr_t)__builtin_frame_address(0) - 65536;

	fake_current = f;
	f->cpu.jmpbuf[0] = NULL;
	f->cpu.jmpbuf[1] = (void *)fake_land;
	f->cpu.jmpbuf[2] = (void *)(sp & ~15ULL);
}

/* 0 when @stmt ran through, else the vector raised plus one; -1: an exit. */
#define FAKE_RUN(f, stmt)                           \
	({                                          \
		volatile int fake_res_ = 0;         \
                                                    \
		fake_arm(f);                        \
		if (setjmp((f)->landing))           \
			fake_res_ = fake_raised(f); \
		else                                \
			stmt;                       \
		fake_res_;                          \
	})

static inline uint64_t fake_rand(struct fake *f)
{
	f->seed ^= f->seed << 13;
	f->seed ^= f->seed >> 7;
	f->seed ^= f->seed << 17;
	return f->seed;
}

static inline void fake_mark_dirty(struct cpu *cpu, gpa_t gpa)
{
	container_of(cpu, struct fake, cpu)->dirty_calls++;
}

static inline bool fake_may_cache(struct cpu *cpu, uint8_t *page)
{
	return (uintptr_t)page !=
	       container_of(cpu, struct fake, cpu)->code_page;
}

static inline void fake_code_write(struct cpu *cpu, uint8_t *hva,
				   unsigned int size)
{
	container_of(cpu, struct fake, cpu)->code_writes++;
}

static const struct cpu_ops fake_ops = {.mark_dirty = fake_mark_dirty};
static const struct cpu_code_ops fake_code = {
	.may_cache_write = fake_may_cache,
	.write = fake_code_write,
};

/* 64-bit mode, CPL 0, paging with an empty 4-level table at 0x1000. */
static inline void fake_long_mode(struct fake *f)
{
	struct cpu *cpu = &f->cpu;

	cpu->cr0 = CR0_PE | CR0_PG | CR0_WP;
	cpu->cr4 = CR4_PAE | CR4_PGE;
	cpu->efer = EFER_LMA | EFER_LME | EFER_NXE;
	cpu->cr3 = 0x1000;
	cpu->code_bits = 64;
	cpu->cpl = 0;
	cpu->view = VIEW_KERNEL;
}

static inline struct fake *fake_new(void)
{
	struct fake *f = calloc(1, sizeof(*f));

	f->ram = mmap(NULL, FAKE_RAM + PG_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(f->ram, MAP_FAILED);
	f->ranges[0] = (struct phys_range){.size = FAKE_RAM, .hva = f->ram};
	f->ranges[1] = (struct phys_range){.gpa = FAKE_ROM,
					   .size = PG_SIZE,
					   .hva = f->ram + FAKE_RAM,
					   .flags = PHYS_READONLY};
	f->map.count = 2;
	f->map.ranges = f->ranges;
	f->seed = 0x123456789abcdefULL;
	f->next_table = 0x2000;
	f->cpu.phys = &f->map;
	f->cpu.doorbell = &f->doorbell;
	f->cpu.ops = &fake_ops;
	f->cpu.stat = f->cpu.stat_own;
	f->cpu.code = &fake_code;
	f->cpu.maxphyaddr = 40;
	f->cpu.page1g = true;
	f->cpu.tlb = malloc(sizeof(struct cpu_tlb));
	tlb_init(&f->cpu);
	fake_long_mode(f);
	return f;
}

static inline void fake_free(struct fake *f)
{
	munmap(f->ram, FAKE_RAM + PG_SIZE);
	free(f->cpu.tlb);
	free(f);
}

/* The entry of @gva at the level that covers 1 << @leaf bytes. */
static inline uint64_t *fake_pte(struct fake *f, gva_t gva, unsigned int leaf)
{
	unsigned int shift = f->cpu.cr4 & CR4_LA57 ? 48 : 39;
	uint64_t table = f->cpu.cr3 & 0xffffffffff000ULL;

	for (;; shift -= 9) {
		uint64_t *e = (uint64_t *)(f->ram + table) +
			      (gva >> shift & 0x1ff);

		if (shift == leaf)
			return e;
		if (!(*e & PTE_P)) {
			*e = f->next_table | PTE_P | PTE_W | PTE_U | PTE_A;
			f->next_table += PG_SIZE;
		}
		table = *e & 0xffffffffff000ULL;
	}
}

static inline void fake_map(struct fake *f, gva_t gva, gpa_t gpa,
			    uint64_t flags)
{
	*fake_pte(f, gva, 12) = gpa | flags;
}

#endif
