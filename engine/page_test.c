/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When translations must go, and when they must stay: stores by the guest,
 * by another processor, by the client; pages mapped anew, twice or side by
 * side; code memory that is full. SDM 3A "Handling Self- and Cross-Modifying
 * Code" (8.1.3), APM 2 "Cross-Modifying Code" (7.6.1).
 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/fake.h"
#include "x86/regs.h"

#define FAR_CODE  (FAKE_CODE + 0x5000) /* another page */
#define NEAR_CODE (FAKE_CODE + 0x400)  /* another granule of the same */

static struct fake fake;

/* mov $0, %eax ; ret: its value is the word at + 1 */
GUEST(fn_value, "mov $0, %eax; ret");

static uint64_t reg(unsigned int n, enum cpu_reg r)
{
	return fake.cpu[n]->gpr[r];
}

static void set_reg(unsigned int n, enum cpu_reg r, uint64_t val)
{
	fake.cpu[n]->gpr[r] = val;
}

static void run_to_hlt(unsigned int n)
{
	assert_int_equal(fake_run(&fake, n), CPU_EXIT_HLT);
	assert_int_equal(fake_vector(&fake, n), -1);
}

static void join_hlt(unsigned int n)
{
	assert_int_equal(fake_join(&fake, n), CPU_EXIT_HLT);
	assert_int_equal(fake_vector(&fake, n), -1);
}

static void put_value(gpa_t at, uint8_t val)
{
	fake_load(&fake, at, fn_value);
	fake.ram[at + 1] = val;
}

static uint64_t stat(unsigned int n, enum cpu_stat s)
{
	return fake.cpu[n]->stat[s];
}

/* ---- stores by the guest into the block they are in ---- */

/*
 * rdi: the word to replace, rcx: what by. The word is the immediate of the
 * MOV behind the store; behind that is HLT. @store is run as it stands.
 */
#define OWN_BLOCK(name, store)                                               \
	GUEST(name, "lea 1f+1(%rip), %rdi; " store "; 1: mov $1, %eax; hlt;" \
		    " .skip 16")

OWN_BLOCK(own_mov, "mov %ecx, (%rdi)");
OWN_BLOCK(own_byte, "mov %cl, (%rdi)");
OWN_BLOCK(own_add, "dec %ecx; add %ecx, (%rdi)");
OWN_BLOCK(own_lock, "dec %ecx; lock add %ecx, (%rdi)");
OWN_BLOCK(own_xchg, "xchg %ecx, (%rdi)");
OWN_BLOCK(own_cmpxchg, "mov $1, %eax; lock cmpxchg %ecx, (%rdi)");
OWN_BLOCK(own_stos, "mov %ecx, %eax; stosl");
OWN_BLOCK(own_rep, "mov %ecx, (%rsi); mov $4, %ecx; rep movsb");
OWN_BLOCK(own_push, "movabs $0x909090f400000000, %rax; or %rax, %rcx; "
		    "lea 8(%rdi), %rsp; push %rcx");
OWN_BLOCK(own_sse, "movabs $0x909090f400000000, %rax; or %rax, %rcx; "
		   "movq %rcx, %xmm0; movups %xmm0, (%rdi)");
OWN_BLOCK(own_xadd, "mov %ecx, %eax; dec %eax; lock xadd %eax, (%rdi)");

static void test_own_block(void **state)
{
	static const struct {
		const char *what;
		const uint8_t *from, *to;
	} kinds[] = {
#define KIND(name) {#name, name, name##_end}
		KIND(own_mov),  KIND(own_byte), KIND(own_add),
		KIND(own_lock), KIND(own_xchg), KIND(own_cmpxchg),
		KIND(own_stos), KIND(own_rep),  KIND(own_push),
		KIND(own_sse),  KIND(own_xadd),
#undef KIND
	};

	(void)state;
	for (unsigned int k = 0; k < ARRAY_SIZE(kinds); k++)
		for (unsigned int val = 2; val < 5; val++) {
			size_t size = kinds[k].to - kinds[k].from;

			memcpy(fake.ram + FAKE_CODE, kinds[k].from, size);
			engine_invalidate(fake.engine, fake.ram + FAKE_CODE,
					  size);
			fake_start(&fake, 0, FAKE_CODE);
			set_reg(0, REG_RCX, val);
			set_reg(0, REG_RSI, FAKE_DATA);
			run_to_hlt(0);
			if (reg(0, REG_RAX) != val)
				fail_msg("%s: %lu, not %u", kinds[k].what,
					 (unsigned long)reg(0, REG_RAX), val);
		}
}

/* A loop that changes its own first instruction in every round. */
GUEST(own_loop, "xor %ebx, %ebx; 1: mov $1, %eax; add %eax, %ebx;"
		"incb 1b+1(%rip); cmp $100, %eax; jne 1b; hlt");

static void test_own_loop(void **state)
{
	(void)state;
	fake_load(&fake, FAKE_CODE, own_loop);
	fake_start(&fake, 0, FAKE_CODE);
	run_to_hlt(0);
	assert_int_equal(reg(0, REG_RBX), 5050);
}

/* ---- stores by the guest into another block ---- */

/* rdi: value of the function at rsi; sum of what it returned in rbx */
GUEST(other_indirect, "xor %ebx, %ebx; mov $1, %ecx; 1: mov %cl, (%rdi);"
		      "call *%rsi; add %eax, %ebx; inc %ecx;"
		      "cmp $200, %ecx; jne 1b; hlt");
GUEST(other_near, "8: xor %ebx, %ebx; mov $1, %ecx; 1: mov %cl, (%rdi);"
		  "call 8b+0x400; add %eax, %ebx; inc %ecx;"
		  "cmp $200, %ecx; jne 1b; hlt");
GUEST(other_far, "8: xor %ebx, %ebx; mov $1, %ecx; 1: mov %cl, (%rdi);"
		 "call 8b+0x5000; add %eax, %ebx; inc %ecx;"
		 "cmp $200, %ecx; jne 1b; hlt");
/* from the other page a jump, chained, to the changed block */
GUEST(other_chain, "xor %ebx, %ebx; mov $1, %ecx; 1: mov %cl, (%rdi);"
		   "call 2f; add %eax, %ebx; inc %ecx; cmp $200, %ecx;"
		   "jne 1b; hlt; 2: test %ecx, %ecx; jne 3f; hlt;"
		   "3: jmp *%rsi");

static void check_other(gpa_t fn)
{
	put_value(fn, 0);
	fake_start(&fake, 0, FAKE_CODE);
	set_reg(0, REG_RDI, fn + 1);
	set_reg(0, REG_RSI, fn);
	run_to_hlt(0);
	assert_int_equal(reg(0, REG_RBX), 199 * 200 / 2);
}

static void test_other_block(void **state)
{
	(void)state;
	fake_load(&fake, FAKE_CODE, other_indirect);
	check_other(NEAR_CODE);
	check_other(FAR_CODE);
	fake_load(&fake, FAKE_CODE, other_near);
	engine_invalidate(fake.engine, fake.ram, FAKE_RAM);
	check_other(NEAR_CODE);
	fake_load(&fake, FAKE_CODE, other_far);
	engine_invalidate(fake.engine, fake.ram, FAKE_RAM);
	check_other(FAR_CODE);
	fake_load(&fake, FAKE_CODE, other_chain);
	engine_invalidate(fake.engine, fake.ram, FAKE_RAM);
	check_other(NEAR_CODE);
	check_other(FAR_CODE);
}

/* Data beside code: stores cost time but no translation. */
GUEST(beside, "mov $1000, %ecx; 1: add %ecx, (%rdi); call *%rsi;"
	      "dec %ecx; jne 1b; hlt");

static void check_beside(gpa_t data)
{
	uint64_t dropped, made;

	fake_start(&fake, 0, FAKE_CODE);
	set_reg(0, REG_RDI, data);
	set_reg(0, REG_RSI, NEAR_CODE);
	run_to_hlt(0); /* everything translated */
	fake_poke(&fake, data, 0);
	dropped = stat(0, CPU_STAT_INVALIDATE);
	made = stat(0, CPU_STAT_TRANSLATE);
	fake_start(&fake, 0, FAKE_CODE);
	set_reg(0, REG_RDI, data);
	set_reg(0, REG_RSI, NEAR_CODE);
	run_to_hlt(0);
	assert_int_equal(fake_peek(&fake, data), 1000 * 1001 / 2);
	assert_int_equal(stat(0, CPU_STAT_INVALIDATE), dropped);
	assert_int_equal(stat(0, CPU_STAT_TRANSLATE), made);
}

static void test_beside_code(void **state)
{
	(void)state;
	fake_load(&fake, FAKE_CODE, beside);
	put_value(NEAR_CODE, 1);
	check_beside(NEAR_CODE + 0x200); /* another granule */
	check_beside(NEAR_CODE + 0x10);  /* the same, past the block */
	check_beside(NEAR_CODE - 4);
}

/* A store into one block leaves its neighbour alone. */
GUEST(neighbour, "mov %cl, (%rdi); call *%rsi; hlt");

static uint64_t store_and_call(gpa_t at, uint8_t val, gpa_t fn)
{
	fake_start(&fake, 0, FAKE_CODE);
	set_reg(0, REG_RCX, val);
	set_reg(0, REG_RDI, at);
	set_reg(0, REG_RSI, fn);
	run_to_hlt(0);
	return reg(0, REG_RAX);
}

static void test_neighbour_stays(void **state)
{
	uint64_t made = 0;

	(void)state;
	fake_load(&fake, FAKE_CODE, neighbour);
	put_value(NEAR_CODE, 1);
	put_value(NEAR_CODE + 16, 2);
	for (unsigned int val = 7; val < 12; val++) {
		assert_int_equal(
			store_and_call(NEAR_CODE + 1, val, NEAR_CODE + 16), 2);
		if (val > 8) /* the first two rounds translate */
			assert_int_equal(stat(0, CPU_STAT_TRANSLATE), made);
		assert_int_equal(store_and_call(FAKE_DATA, 0, NEAR_CODE), val);
		if (val > 8)
			assert_int_equal(stat(0, CPU_STAT_TRANSLATE), made + 1);
		made = stat(0, CPU_STAT_TRANSLATE);
	}
}

/* ---- stores by another processor ---- */

#define FLAG FAKE_DATA
#define ACK  (FAKE_DATA + 4)
#define LAST 40

/* rdi: value of the function, rsi: flag */
GUEST(cross_writer, "mov $1, %ecx; 1: mov %ecx, (%rdi); mov %ecx, (%rsi);"
		    "2: pause; cmp %ecx, 4(%rsi); jne 2b; inc %ecx;"
		    "cmp $41, %ecx; jne 1b; hlt");
/* rbp: the function; r9: what it returned when that was wrong */
GUEST(cross_reader, "mov $1, %r8d; 1: pause; cmp %r8d, (%rsi); jne 1b;"
		    "xor %eax, %eax; cpuid; call *%rbp; cmp %r8d, %eax;"
		    "jne 2f; mov %r8d, 4(%rsi); inc %r8d; cmp $41, %r8d;"
		    "jne 1b; hlt; 2: mov %eax, %r9d; mov $41, %ecx;"
		    "mov %ecx, 4(%rsi); hlt");

static void start_pair(gpa_t code1, gpa_t fn)
{
	for (unsigned int n = 0; n < 2; n++) {
		fake_start(&fake, n, n ? code1 : FAKE_CODE);
		set_reg(n, REG_RDI, fn + 1);
		set_reg(n, REG_RSI, FLAG);
		set_reg(n, REG_RBP, fn);
	}
	fake_poke(&fake, FLAG, 0);
	fake_poke(&fake, ACK, 0);
}

static void check_cross(gpa_t fn)
{
	put_value(fn, 0);
	start_pair(FAKE_CODE + 0x8000, fn);
	fake_spawn(&fake, 0);
	fake_spawn(&fake, 1);
	while (fake_peek(&fake, ACK) < LAST)
		sched_yield();
	join_hlt(0);
	if (reg(0, REG_R8) != LAST + 1) { /* the writer waits for ever */
		cpu_request(fake.cpu[1], CPU_REQ_EXIT);
		fake_join(&fake, 1);
		fail_msg("round %lu: old value %lu",
			 (unsigned long)reg(0, REG_R8),
			 (unsigned long)reg(0, REG_R9));
	}
	join_hlt(1);
}

static void test_cross_modify(void **state)
{
	(void)state;
	fake_load(&fake, FAKE_CODE, cross_reader);
	fake_load(&fake, FAKE_CODE + 0x8000, cross_writer);
	check_cross(FAR_CODE);
	check_cross(NEAR_CODE);
	check_cross(FAKE_CODE + 0x8400); /* beside the writer */
}

/* The function is called while it changes; never older than announced. */
GUEST(race_reader, "1: mov (%rsi), %r8d; xor %eax, %eax; cpuid; call *%rbp;"
		   "cmp %r8d, %eax; jb 2f; cmp $20000, %r8d; jne 1b; hlt;"
		   "2: mov %eax, %r9d; mov $1, %r10d; hlt");
GUEST(race_writer, "mov $1, %ecx; 1: mov %ecx, (%rdi); mov %ecx, (%rsi);"
		   "mov %ecx, %eax; and $15, %eax; imul $50, %eax, %eax;"
		   "2: dec %eax; jns 2b;"
		   "inc %ecx; cmp $20001, %ecx; jne 1b; hlt");

static void check_race(gpa_t fn)
{
	put_value(fn, 0);
	start_pair(FAKE_CODE + 0x8000, fn);
	fake_spawn(&fake, 0);
	fake_spawn(&fake, 1);
	join_hlt(1);
	join_hlt(0);
	if (reg(0, REG_R10))
		fail_msg("announced %lu, found %lu",
			 (unsigned long)reg(0, REG_R8),
			 (unsigned long)reg(0, REG_R9));
}

static void test_cross_race(void **state)
{
	(void)state;
	fake_load(&fake, FAKE_CODE, race_reader);
	fake_load(&fake, FAKE_CODE + 0x8000, race_writer);
	check_race(FAR_CODE + 3);  /* value 4-aligned; alone in its page */
	check_race(NEAR_CODE + 3); /* in a page with other code */
}

/* Loops that end when somebody changes them. */
GUEST(change_me, "movl $1, (%rsi); 1: mov $1, %eax; cmp $2, %eax; jne 1b;"
		 "hlt");
GUEST(change_it, "1: pause; cmpl $1, (%rsi); jne 1b; movb $2, (%rdi); hlt");
#define CHANGE_AT 7 /* of the immediate in change_me */

static void reload_change_me(void)
{
	fake_load(&fake, FAKE_CODE, change_me);
	assert_int_equal(fake.ram[FAKE_CODE + CHANGE_AT], 1);
	engine_invalidate(fake.engine, fake.ram + FAKE_CODE, 64);
}

static void test_change_running_loop(void **state)
{
	(void)state;
	fake_load(&fake, FAKE_CODE + 0x8000, change_it);
	for (unsigned int i = 0; i < 20; i++) {
		reload_change_me();
		start_pair(FAKE_CODE + 0x8000, FAKE_CODE + CHANGE_AT - 1);
		fake_spawn(&fake, 0);
		fake_spawn(&fake, 1);
		join_hlt(1);
		join_hlt(0);
		assert_int_equal(reg(0, REG_RAX), 2);
	}
}

/* ---- the client ---- */

static void test_client_stops_loop(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 20; i++) {
		reload_change_me();
		start_pair(FAKE_CODE, FAKE_CODE);
		fake_spawn(&fake, 0);
		fake_await(&fake, FLAG, 1);
		__atomic_store_n(&fake.ram[FAKE_CODE + CHANGE_AT], 2,
				 __ATOMIC_SEQ_CST);
		engine_invalidate(fake.engine, fake.ram + FAKE_CODE + CHANGE_AT,
				  1);
		join_hlt(0);
		assert_int_equal(reg(0, REG_RAX), 2);
	}
}

GUEST(call_near, "8: call 8b+0x400; hlt");
GUEST(call_far, "8: call 8b+0x5000; hlt");
GUEST(call_indirect, "call *%rbp; hlt");

static uint64_t call_value(unsigned int n, gpa_t fn)
{
	fake_start(&fake, n, FAKE_CODE);
	set_reg(n, REG_RBP, fn);
	run_to_hlt(n);
	return reg(n, REG_RAX);
}

static void test_invalidate(void **state)
{
	uint64_t made;

	(void)state;
	fake_load(&fake, FAKE_CODE, call_far);
	put_value(FAR_CODE, 1);
	assert_int_equal(call_value(0, FAR_CODE), 1);
	assert_int_equal(call_value(1, FAR_CODE), 1);
	made = stat(0, CPU_STAT_TRANSLATE);
	fake.ram[FAR_CODE + 1] = 2;
	engine_invalidate(fake.engine, fake.ram + FAR_CODE + 1, 1);
	assert_int_equal(call_value(1, FAR_CODE), 2);
	assert_int_equal(call_value(0, FAR_CODE), 2);
	assert_int_equal(stat(0, CPU_STAT_TRANSLATE), made);
	/* what does not touch the code drops nothing */
	made = stat(1, CPU_STAT_TRANSLATE);
	engine_invalidate(fake.engine, fake.ram + FAR_CODE + 6, 4096 - 6);
	engine_invalidate(fake.engine, fake.ram + FAR_CODE - 4096, 4096);
	assert_int_equal(call_value(1, FAR_CODE), 2);
	assert_int_equal(stat(1, CPU_STAT_TRANSLATE), made);
}

static void check_acquire(gpa_t fn)
{
	uint64_t made;

	put_value(fn, 1);
	engine_invalidate(fake.engine, fake.ram, FAKE_RAM);
	assert_int_equal(call_value(0, fn), 1);
	assert_int_equal(call_value(0, fn), 1);
	for (unsigned int val = 2; val < 6; val++) {
		fake.ram[fn + 1] = val;
		engine_acquire(fake.cpu[0]);
		assert_int_equal(call_value(0, fn), val);
	}
	made = stat(0, CPU_STAT_TRANSLATE);
	engine_acquire(fake.cpu[0]); /* nothing changed */
	assert_int_equal(call_value(0, fn), 5);
	assert_int_equal(stat(0, CPU_STAT_TRANSLATE), made);
}

static void test_acquire(void **state)
{
	(void)state;
	fake_load(&fake, FAKE_CODE, call_near);
	check_acquire(NEAR_CODE);
	fake_load(&fake, FAKE_CODE, call_far);
	check_acquire(FAR_CODE);
	fake_load(&fake, FAKE_CODE, call_indirect);
	check_acquire(NEAR_CODE);
	check_acquire(FAR_CODE);
}

/*
 * The guest changes a function, the client changes it back: the comparison
 * must be with what was translated last. Another block keeps the page.
 */
GUEST(set_value, "mov %cl, (%rdi); hlt");

static void guest_sets(gpa_t at, uint8_t val)
{
	fake_start(&fake, 0, FAKE_CODE + 0x100);
	set_reg(0, REG_RCX, val);
	set_reg(0, REG_RDI, at);
	run_to_hlt(0);
}

static void test_acquire_after_guest_store(void **state)
{
	(void)state;
	fake_load(&fake, FAKE_CODE, call_indirect);
	fake_load(&fake, FAKE_CODE + 0x100, set_value);
	put_value(FAR_CODE, 1);
	put_value(FAR_CODE + 0x200, 9);
	assert_int_equal(call_value(0, FAR_CODE), 1);
	assert_int_equal(call_value(0, FAR_CODE + 0x200), 9);
	guest_sets(FAR_CODE + 1, 2);
	assert_int_equal(call_value(0, FAR_CODE), 2);
	fake.ram[FAR_CODE + 1] = 1;
	engine_acquire(fake.cpu[0]);
	assert_int_equal(call_value(0, FAR_CODE), 1);
}

/* ---- a block in two pages ---- */

#define EDGE (FAKE_CODE + 0x3000) /* boundary; the page before is mapped */

/* mov $.., %eax with two bytes of the immediate in the second page; hlt */
static void put_edge(gpa_t first, gpa_t second, uint32_t val)
{
	const uint8_t code[6] = {
		0xb8,      val & 0xff, val >> 8 & 0xff, val >> 16 & 0xff,
		val >> 24, 0xf4,
	};

	memcpy(fake.ram + first + 0xffd, code, 3);
	memcpy(fake.ram + second, code + 3, 3);
}

/* rdi: PTE, rcx: its value, rsi: page to drop */
GUEST(edge_jump, "8: mov %rcx, (%rdi); invlpg (%rsi); jmp 8b+0x2ffd");

static uint64_t remap_run(gpa_t code, gva_t page, gpa_t to)
{
	fake_start(&fake, 0, code);
	set_reg(0, REG_RDI, fake_pte(&fake, page));
	set_reg(0, REG_RCX, to | 3);
	set_reg(0, REG_RSI, page);
	run_to_hlt(0);
	return reg(0, REG_RAX);
}

static void test_edge_remap(void **state)
{
	const gpa_t a = FAKE_CODE + 0x10000, b = a + 0x1000;

	(void)state;
	fake_load(&fake, FAKE_CODE, edge_jump);
	put_edge(EDGE - 0x1000, EDGE, 0x11223344);
	put_edge(a, b, 0x55667788);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(remap_run(FAKE_CODE, EDGE, EDGE), 0x11223344);
		assert_int_equal(remap_run(FAKE_CODE, EDGE, b), 0x55663344);
		assert_int_equal(remap_run(FAKE_CODE, EDGE - 0x1000, a),
				 0x55667788);
		assert_int_equal(remap_run(FAKE_CODE, EDGE, EDGE), 0x11227788);
		assert_int_equal(
			remap_run(FAKE_CODE, EDGE - 0x1000, EDGE - 0x1000),
			0x11223344);
	}
}

/* The second page changes by a store; goes away; comes back. */
static void test_edge_second_page(void **state)
{
	struct cpu *cpu = fake.cpu[0];

	(void)state;
	fake_load(&fake, FAKE_CODE, call_indirect);
	fake_load(&fake, FAKE_CODE + 0x100, set_value);
	put_edge(EDGE - 0x1000, EDGE, 0x11223344);
	assert_int_equal(call_value(0, EDGE - 3), 0x11223344);
	guest_sets(EDGE + 1, 0x99);
	assert_int_equal(call_value(0, EDGE - 3), 0x99223344);
	guest_sets(EDGE - 2, 0x88);
	assert_int_equal(call_value(0, EDGE - 3), 0x99223388);
	fake.ram[EDGE] = 0x77;
	engine_invalidate(fake.engine, fake.ram + EDGE, 1);
	assert_int_equal(call_value(0, EDGE - 3), 0x99773388);
	fake.ram[EDGE] = 0x66;
	engine_acquire(cpu);
	assert_int_equal(call_value(0, EDGE - 3), 0x99663388);

	fake_poke(&fake, fake_pte(&fake, EDGE), 0);
	tlb_flush_all(cpu);
	fake_start(&fake, 0, FAKE_CODE);
	set_reg(0, REG_RBP, EDGE - 3);
	assert_int_equal(fake_run(&fake, 0), CPU_EXIT_HLT);
	assert_int_equal(fake_vector(&fake, 0), VEC_PF);
	assert_int_equal(cpu->cr2, EDGE);
	fake_map(&fake, EDGE, EDGE);
	assert_int_equal(call_value(0, EDGE - 3), 0x99663388);
}

/* One page mapped at two neighbouring addresses: the block has it twice. */
static void check_edge_same(unsigned int off, uint8_t val, uint32_t then)
{
	const gva_t gva = 0x800000;
	const gpa_t page = FAKE_CODE + 0x10000;

	fake_map(&fake, gva, page);
	fake_map(&fake, gva + 0x1000, page);
	fake_load(&fake, FAKE_CODE, call_indirect);
	fake_load(&fake, FAKE_CODE + 0x100, set_value);
	put_edge(page, page, 0x11223344);
	assert_int_equal(call_value(0, gva + 0xffd), 0x11223344);
	guest_sets(page + off, val);
	assert_int_equal(call_value(0, gva + 0xffd), then);
}

static void test_edge_same_page_first(void **state)
{
	(void)state;
	check_edge_same(0xffe, 0x88, 0x11223388);
}

static void test_edge_same_page_second(void **state)
{
	(void)state;
	check_edge_same(1, 0x99, 0x99223344);
}

/* ---- one page at two addresses, one address with two pages ---- */

GUEST(where_am_i, "lea 1f(%rip), %rax; 1: add $5, %rax; hlt; nop; nop; nop");
/* 50 rounds at each of rbp and rsi, sum of what they returned */
GUEST(both, "mov $50, %ecx; xor %ebx, %ebx; 1: mov %cl, (%rdi); call *%rbp;"
	    "add %eax, %ebx; call *%rsi; add %eax, %ebx; dec %ecx; jne 1b;"
	    "hlt");

static void test_alias(void **state)
{
	const gva_t gva[3] = {0x800000, 0x805000, 0xc00000};
	const gpa_t page = FAKE_CODE + 0x10000;

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		fake_map(&fake, gva[i], page);
	fake_load(&fake, page, where_am_i);
	put_value(page + 0x100, 0);
	for (unsigned int i = 0; i < 12; i++) { /* rip is the address used */
		fake_start(&fake, 0, gva[i % 3]);
		run_to_hlt(0);
		assert_int_equal(reg(0, REG_RAX), gva[i % 3] + 7 + 5);
	}
	fake_load(&fake, FAKE_CODE, both); /* stored through the third */
	fake_start(&fake, 0, FAKE_CODE);
	set_reg(0, REG_RBP, gva[0] + 0x100);
	set_reg(0, REG_RSI, gva[1] + 0x100);
	set_reg(0, REG_RDI, gva[2] + 0x101);
	run_to_hlt(0);
	assert_int_equal(reg(0, REG_RBX), 50 * 51);
	set_reg(0, REG_RDI, gva[1] + 0x101); /* and through one that runs */
	fake.cpu[0]->rip = FAKE_CODE;
	run_to_hlt(0);
	assert_int_equal(reg(0, REG_RBX), 50 * 51);
}

/* A jump to another page follows that page's mapping. */
GUEST(jump_mapped, "8: mov %rcx, (%rdi); invlpg (%rsi); call 8b+0x3000; hlt");
GUEST(jump_mapped_indirect, "mov %rcx, (%rdi); invlpg (%rsi); call *%rsi; hlt");

static void check_remapped(void)
{
	const gva_t gva = FAKE_CODE + 0x3000;
	const gpa_t to[3] = {gva, FAKE_CODE + 0x10000, FAKE_CODE + 0x12000};

	for (unsigned int i = 0; i < 3; i++)
		put_value(to[i], i + 1);
	for (unsigned int i = 0; i < 12; i++)
		assert_int_equal(remap_run(FAKE_CODE, gva, to[i % 3]),
				 i % 3 + 1);
	fake_map(&fake, gva, gva);
}

static void test_remap(void **state)
{
	(void)state;
	fake_load(&fake, FAKE_CODE, jump_mapped);
	check_remapped();
	fake_load(&fake, FAKE_CODE, jump_mapped_indirect);
	engine_invalidate(fake.engine, fake.ram, FAKE_RAM);
	check_remapped();
}

/* ---- code memory is full ---- */

#define FUNCTIONS 2000
#define ROUNDS    10
#define FN_SIZE   32u

/* add $1, %rbx and a few more blocks of no effect */
GUEST(fn_add, "add $1, %rbx; jmp 1f; hlt; 1: test %ebx, %ebx; jne 2f; hlt;"
	      "2: ret");
/* rsi: the functions, r12d: how many, r13d: rounds */
GUEST(call_all, "1: mov %rsi, %rbp; mov %r12d, %ecx; 2: call *%rbp;"
		"add $32, %rbp; dec %ecx; jne 2b; dec %r13d; jne 1b; hlt");

static void put_functions(gpa_t at)
{
	assert_true(fn_add_end - fn_add <= FN_SIZE);
	for (unsigned int i = 0; i < FUNCTIONS; i++)
		fake_load(&fake, at + i * FN_SIZE, fn_add);
}

static void start_functions(unsigned int n, gpa_t at)
{
	fake_start(&fake, n, FAKE_CODE);
	set_reg(n, REG_RSI, at);
	set_reg(n, REG_R12, FUNCTIONS);
	set_reg(n, REG_R13, ROUNDS);
}

static void test_code_full(void **state)
{
	const gpa_t at[2] = {FAKE_CODE + 0x10000, FAKE_CODE + 0x20000};

	(void)state;
	fake_load(&fake, FAKE_CODE, call_all);
	for (unsigned int n = 0; n < 2; n++)
		put_functions(at[n]);
	for (unsigned int same = 0; same < 2; same++) {
		uint32_t flushes = fake.engine->flush_gen;

		for (unsigned int n = 0; n < 2; n++) {
			start_functions(n, at[same ? 0 : n]);
			fake_spawn(&fake, n);
		}
		for (unsigned int n = 0; n < 2; n++) {
			join_hlt(n);
			assert_int_equal(reg(n, REG_RBX), FUNCTIONS * ROUNDS);
		}
		assert_true(fake.engine->flush_gen > flushes + 2);
	}
}

/* One fills code memory, the other changes code that both run. */
static void test_full_and_changed(void **state)
{
	(void)state;
	fake_load(&fake, FAKE_CODE, call_all);
	put_functions(FAKE_CODE + 0x10000);
	fake_load(&fake, FAKE_CODE + 0x8000, other_indirect);
	put_value(FAR_CODE, 0);
	for (unsigned int i = 0; i < 5; i++) {
		start_functions(0, FAKE_CODE + 0x10000);
		fake_start(&fake, 1, FAKE_CODE + 0x8000);
		set_reg(1, REG_RDI, FAR_CODE + 1);
		set_reg(1, REG_RSI, FAR_CODE);
		fake_spawn(&fake, 0);
		fake_spawn(&fake, 1);
		join_hlt(0);
		join_hlt(1);
		assert_int_equal(reg(0, REG_RBX), FUNCTIONS * ROUNDS);
		assert_int_equal(reg(1, REG_RBX), 199 * 200 / 2);
	}
}

/* Nothing of it stays mapped. */
static unsigned int code_mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned int n = 0;
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		n += strstr(line, "lodge-code") != NULL;
	fclose(maps);
	return n;
}

static void test_code_unmapped(void **state)
{
	struct fake other;
	unsigned int before = code_mappings();

	(void)state;
	fake_open(&other, 0);
	assert_true(code_mappings() > before);
	fake_close(&other);
	assert_int_equal(code_mappings(), before);
}

/* Too little for one block is refused, not tried for ever. */
static void test_code_too_small(void **state)
{
	static const struct cpu_ops ops;
	struct engine_config cfg = {.ops = &ops, .code_size = 16 << 10};
	struct engine *engine;

	(void)state;
	assert_int_equal(engine_create(&cfg, &engine), -EINVAL);
}

/* ---- */

static int setup_size(uint64_t code_size)
{
	fake_watchdog(20);
	fake_open(&fake, code_size);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_size(0);
}

static int setup_small(void **state)
{
	(void)state;
	return setup_size(256 << 10);
}

static int teardown(void **state)
{
	(void)state;
	fake_close(&fake);
	fake_watchdog(0);
	return 0;
}

#define TEST(f)       cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TEST_SMALL(f) cmocka_unit_test_setup_teardown(f, setup_small, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_own_block),
		TEST(test_own_loop),
		TEST(test_other_block),
		TEST(test_beside_code),
		TEST(test_neighbour_stays),
		TEST(test_cross_modify),
		TEST(test_cross_race),
		TEST(test_change_running_loop),
		TEST(test_client_stops_loop),
		TEST(test_invalidate),
		TEST(test_acquire),
		TEST(test_acquire_after_guest_store),
		TEST(test_edge_remap),
		TEST(test_edge_second_page),
		TEST(test_edge_same_page_first),
		TEST(test_edge_same_page_second),
		TEST(test_alias),
		TEST(test_remap),
		TEST_SMALL(test_code_full),
		TEST_SMALL(test_full_and_changed),
		TEST(test_code_unmapped),
		TEST(test_code_too_small),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
