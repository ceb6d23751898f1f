/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks that were copied for another address of their page, as they run:
 * the same library at another place of each process, with all that must find
 * a copy as it finds what was translated. That copies are right byte by byte
 * is in engine/reloc_test.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/debug.h"
#include "engine/fake.h"
#include "engine/reloc.h"
#include "lib/check.h"
#include "x86/regs.h"

#define PLACES 6
#define NEXT   0x1000 /* the second page */

/* Addresses the two pages of code are at. */
static const gva_t places[PLACES] = {
	0x7f1234560000,     0x7f89abcde000, 0x555555554000,
	0xffff888012345000, 0x10000000000,  0x7ffffffe0000,
};
static struct fake fake;

/*
 * A bit of all that depends on the address: data in the next page, calls and
 * returns, jumps within the page and to the next, a C function, a loop.
 * rax: sum, rbx: address of the start, r12: return address of a call.
 */
GUEST(library, "8: lea 8b(%rip), %rbx\n"
	       "  xor %eax, %eax\n"
	       "  mov $3, %esi\n"
	       "1: add 8b+0x1800(%rip), %rax\n"
	       "  addq $1, 8b+0x1800(%rip)\n"
	       "  call 2f\n"
	       "  dec %esi\n"
	       "  jne 1b\n"
	       "  mov %rax, %rdi\n"
	       "  xor %eax, %eax\n"
	       "  cpuid\n"
	       "  lea 8b(%rip), %rbx\n"
	       "  mov %rdi, %rax\n"
	       "  jmp 8b+0x1000\n"
	       "2: mov (%rsp), %r12\n"
	       "  test %esi, %esi\n"
	       "  jz 3f\n"
	       "  add $1000, %rax\n"
	       "  ret\n"
	       "3: ud2\n");
GUEST(library_next, "  lea 1f(%rip), %rdx\n"
		    "  jmp *%rdx\n"
		    "1: add $7, %rax\n"
		    "  call 2f\n"
		    "  hlt\n"
		    "2: ret\n");
#define DATA (FAKE_CODE + 0x1800)

static int setup(void **state)
{
	(void)state;
	fake_watchdog(60);
	fake_open(&fake, 0);
	for (unsigned int i = 0; i < PLACES; i++) {
		fake_map(&fake, places[i], FAKE_CODE);
		fake_map(&fake, places[i] + NEXT, FAKE_CODE + NEXT);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_close(&fake);
	return 0;
}

static uint64_t stat(enum cpu_stat s)
{
	return fake.cpu[0]->stat[s] + fake.cpu[1]->stat[s];
}

static void load(void)
{
	fake_load(&fake, FAKE_CODE, library);
	fake_load(&fake, FAKE_CODE + NEXT, library_next);
	engine_invalidate(fake.engine, fake.ram + FAKE_CODE, 2 * PAGE_SIZE);
}

static void begin(gva_t at)
{
	memset(fake.ram + DATA, 0, 8);
	fake.ram[DATA] = 100;
	fake_start(&fake, 0, at);
}

/* What the library leaves behind when its immediate is @add. */
static void check(gva_t at, uint64_t add)
{
	const struct cpu *cpu = fake.cpu[0];

	assert_int_equal(fake_vector(&fake, 0), -1);
	assert_int_equal(cpu->gpr[REG_RAX], 100 + 101 + 102 + 3 * add + 7);
	assert_int_equal(cpu->gpr[REG_RBX], at);
	assert_true(cpu->gpr[REG_R12] - at < 0x80);
	assert_int_equal(fake_peek(&fake, DATA), 103);
}

static void run_at(gva_t at, uint64_t add)
{
	begin(at);
	assert_int_equal(fake_run(&fake, 0), CPU_EXIT_HLT);
	check(at, add);
}

/* Once translated it is not translated again, and later runs make nothing. */
static void test_places(void **state)
{
	uint64_t made, moved;

	(void)state;
	load();
	run_at(places[0], 1000);
	made = stat(CPU_STAT_TRANSLATE);
	for (unsigned int i = 1; i < PLACES; i++) {
		moved = stat(CPU_STAT_MOVE);
		run_at(places[i], 1000);
		assert_true(stat(CPU_STAT_MOVE) > moved + 5);
		moved = stat(CPU_STAT_MOVE);
		run_at(places[i], 1000);
		assert_int_equal(stat(CPU_STAT_MOVE), moved);
	}
	assert_int_equal(stat(CPU_STAT_TRANSLATE), made);
	/* in the low 2 GiB addresses are encoded otherwise */
	run_at(FAKE_CODE, 1000);
	assert_true(stat(CPU_STAT_TRANSLATE) > made);
}

/* Offset of the immediate 1000 of the function. */
static unsigned int immediate(void)
{
	static const uint8_t add[] = {0x48, 0x05, 0xe8, 0x03, 0, 0};

	return (const uint8_t *)memmem(library, library_end - library, add,
				       sizeof(add)) -
	       library + 2;
}

/* Stores to the code reach every copy, and what is copied later. */
static void test_changes(void **state)
{
	uint16_t val = 2000;

	(void)state;
	load();
	for (unsigned int i = 0; i < PLACES - 1; i++)
		run_at(places[i], 1000);
	memcpy(fake.ram + FAKE_CODE + immediate(), &val, 2);
	engine_written(fake.engine, fake.ram + FAKE_CODE + immediate(), 2);
	for (unsigned int i = PLACES; i-- > 0;)
		run_at(places[i], val);
}

/* rdi: where to store, cx: what; then the library at rsi */
GUEST(writer, "mov %cx, (%rdi); jmp *%rsi");

/* By the guest, through one address, while it runs at others. */
static void test_own_changes(void **state)
{
	gpa_t at = FAKE_CODE + 0x8000;

	(void)state;
	load();
	fake_load(&fake, at, writer);
	for (unsigned int i = 0; i < PLACES; i++)
		run_at(places[i], 1000);
	for (unsigned int i = 0; i < 4 * PLACES; i++) {
		gva_t lib = places[i % PLACES], by = places[i / 4];

		begin(at);
		fake.cpu[0]->gpr[REG_RDI] = by + immediate();
		fake.cpu[0]->gpr[REG_RCX] = 3000 + i;
		fake.cpu[0]->gpr[REG_RSI] = lib;
		assert_int_equal(fake_run(&fake, 0), CPU_EXIT_HLT);
		check(lib, 3000 + i);
	}
}

/* Changed by a client that tells of nothing but its turns. */
static void test_untold(void **state)
{
	uint16_t val = 1000;

	(void)state;
	load();
	run_at(places[0], val);
	for (unsigned int i = 1; i < PLACES; i++) {
		val += 100;
		memcpy(fake.ram + FAKE_CODE + immediate(), &val, 2);
		engine_acquire(fake.cpu[0]);
		engine_acquire(fake.cpu[1]);
		run_at(places[i], val);
		run_at(places[0], val);
	}
}

/* The page at one address is another one later. */
static void test_mapped_anew(void **state)
{
	struct cpu *cpu = fake.cpu[0];

	(void)state;
	load();
	run_at(places[0], 1000);
	run_at(places[1], 1000);
	fake_load(&fake, FAKE_CODE + 0x4000, library);
	fake.ram[FAKE_CODE + 0x4000 + immediate()] = 1;
	fake_map(&fake, places[1], FAKE_CODE + 0x4000);
	tlb_flush_all(cpu);
	run_at(places[1], 0x301);
	run_at(places[0], 1000);
	fake_map(&fake, places[1], FAKE_CODE);
	tlb_flush_all(cpu);
	run_at(places[1], 1000);
}

/* ---- debugging ---- */

#define MAX_STEPS 100
static unsigned int steps(gva_t at, uint64_t *offset)
{
	struct cpu *cpu = fake.cpu[0];
	unsigned int n = 0;

	cpu->guest_debug = DEBUG_STEP | DEBUG_ENABLE;
	begin(at);
	while (fake_run(&fake, 0) == CPU_EXIT_DEBUG) {
		assert_true(n < MAX_STEPS);
		offset[n++] = cpu->rip - at;
	}
	cpu->guest_debug = 0;
	cpu->event.valid = false; /* the trap of the last step */
	cpu->mode_dirty = true;
	check(at, 1000);
	return n;
}

static void test_steps(void **state)
{
	uint64_t first[MAX_STEPS], now[MAX_STEPS], made;
	unsigned int n;

	(void)state;
	load();
	n = steps(places[0], first);
	assert_true(n > 35);
	made = stat(CPU_STAT_TRANSLATE);
	for (unsigned int i = 1; i < PLACES; i++) {
		assert_int_equal(steps(places[i], now), n);
		assert_memory_equal(now, first, n * sizeof(now[0]));
	}
	assert_int_equal(stat(CPU_STAT_TRANSLATE), made);
}

/* A breakpoint is at an address, not in a page. */
static void test_breakpoints(void **state)
{
	struct cpu *cpu = fake.cpu[0];

	(void)state;
	load();
	for (unsigned int i = 0; i < PLACES; i++)
		run_at(places[i], 1000);
	for (unsigned int i = 0; i < PLACES; i++) {
		cpu->guest_debug = DEBUG_HW_BP | DEBUG_ENABLE;
		cpu->guest_debug_dr[0] = places[i] + NEXT;
		cpu->guest_debug_dr[7] = 2;
		debug_derive(cpu);
		cpu->mode_dirty = true;
		for (unsigned int k = 0; k < PLACES; k++) {
			begin(places[k]);
			if (k != i) {
				assert_int_equal(fake_run(&fake, 0),
						 CPU_EXIT_HLT);
				check(places[k], 1000);
				continue;
			}
			assert_int_equal(fake_run(&fake, 0), CPU_EXIT_DEBUG);
			assert_int_equal(cpu->rip, places[i] + NEXT);
		}
		cpu->guest_debug = 0;
		cpu->event.valid = false;
		debug_derive(cpu);
		cpu->mode_dirty = true;
	}
}

/* ---- faults ---- */

/* The fault of a copy is at the copy's address. */
GUEST(faulty, "nop; xor %ecx, %ecx; mov $5, %eax; nop; div %ecx; hlt");

/* Signals of the host are cmocka's while a test runs: it is done before. */
static struct {
	int vector;
	uint64_t rip;
} faults[PLACES];

static void run_faults(void)
{
	const struct cpu *cpu;

	setup(NULL);
	cpu = fake.cpu[0];
	fake_load(&fake, FAKE_CODE, faulty);
	for (unsigned int i = 0; i < PLACES; i++) {
		fake_start(&fake, 0, places[i]);
		ASSERT(fake_run(&fake, 0) == CPU_EXIT_HLT);
		faults[i].vector = fake_vector(&fake, 0);
		memcpy(&faults[i].rip, fake.ram + cpu->gpr[REG_RSP], 8);
	}
	ASSERT(stat(CPU_STAT_MOVE) >= PLACES - 1);
	teardown(NULL);
}

static void test_faults(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < PLACES; i++) {
		assert_int_equal(faults[i].vector, VEC_DE);
		assert_int_equal(faults[i].rip, places[i] + 9);
	}
}

/* ---- many ---- */

#define MANY      256
#define MANY_BASE 0x7e0000000000ULL

/* Processes @from.. that do what they do; blocks copied. */
static uint64_t run_many(unsigned int from, unsigned int n)
{
	uint64_t moved = stat(CPU_STAT_MOVE);

	for (unsigned int i = from; i < from + n; i++) {
		gva_t at = MANY_BASE + (uint64_t)i * 2 * PAGE_SIZE;

		fake_map(&fake, at, FAKE_CODE);
		fake_map(&fake, at + NEXT, FAKE_CODE + NEXT);
		run_at(at, 1000);
	}
	return stat(CPU_STAT_MOVE) - moved;
}

static void open_small(uint64_t code_size)
{
	fake_close(&fake);
	fake_open(&fake, code_size);
	load();
	fake_map(&fake, places[0], FAKE_CODE);
	fake_map(&fake, places[0] + NEXT, FAKE_CODE + NEXT);
	run_at(places[0], 1000);
}

/*
 * As many processes one after the other, in code memory that cannot hold
 * them: copies go, but nothing is translated again for it.
 */
static void test_many(void **state)
{
	uint64_t made;

	(void)state;
	open_small(256 << 10);
	made = stat(CPU_STAT_TRANSLATE);
	for (unsigned int i = 0; i < 2; i++)
		assert_true(run_many(0, MANY) > 8 * MANY);
	assert_true(fake.engine->flush_gen > 8);
	assert_int_equal(stat(CPU_STAT_TRANSLATE), made);
}

/* The part copies have grows with what is in use, and shrinks again. */
static void test_part(void **state)
{
	struct copies *c;
	uint64_t least;

	(void)state;
	open_small(8 << 20);
	c = fake.engine->copies;
	least = c->end;
	run_many(0, MANY);
	assert_int_equal(c->end, least);
	for (unsigned int i = 0; i < 8; i++)
		run_many(0, MANY);
	assert_true(c->end > least && c->end <= c->max);
	assert_int_equal(run_many(0, MANY), 0); /* all are there now */
	for (unsigned int i = 1; i < 40; i++)
		run_many(i * MANY, MANY);
	assert_int_equal(c->end, least);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_places),      TEST(test_changes),
		TEST(test_own_changes), TEST(test_untold),
		TEST(test_mapped_anew), TEST(test_steps),
		TEST(test_breakpoints), TEST(test_faults),
		TEST(test_many),        TEST(test_part),
	};

	run_faults();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
