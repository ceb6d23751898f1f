/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting in translated code against a count made from outside: the same
 * program is stepped through, each instruction decoded, and what it does to
 * rip looked at. Then every counter is made to overflow at every place it
 * can, and has to interrupt right there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <Zydis/Zydis.h>
#include <cmocka.h>

#include "cpu/cpuid.h"
#include "cpu/debug.h"
#include "cpu/msr.h"
#include "cpu/pmu/pmu.h"
#include "engine/decode.h"
#include "engine/fake.h"
#include "lib/check.h"

#define ICE_LAKE  0x606a6
#define MAX_STEPS 2000
#define SEL_BASE  (BIT64(22) | BIT64(17)) /* enabled, ring 0 */
#define SEL_INT   BIT64(20)

/* Branches of all kinds, functions in between, slow and string accesses. */
GUEST(program, "  mov $0x200000, %ebx\n"
	       "  mov $5, %ecx\n"
	       "1: mov %rcx, (%rbx)\n"
	       "  add $1, %rax\n"
	       "  test $1, %al\n"
	       "  jz 2f\n"
	       "  inc %rdx\n"
	       "  cmp $3, %rdx\n"
	       "2: call 8f\n"
	       "  loop 1b\n"
	       "  xor %eax, %eax\n"
	       "  cpuid\n"
	       "  pushf\n"
	       "  pop %rsi\n"
	       "  pushf\n"
	       "  jnz 3f\n"
	       "  nop\n"
	       "3: mov $0x200100, %edi\n"
	       "  mov $100, %ecx\n"
	       "  rep stosb\n"
	       "  mov $0x200ffd, %edi\n"
	       "  movl $7, (%rdi)\n"
	       "  addl $7, (%rdi)\n"
	       "  lea 4f(%rip), %rdx\n"
	       "  jmp *%rdx\n"
	       "  ud2\n"
	       "4: lea 8f(%rip), %rdx\n"
	       "  call *%rdx\n"
	       "  mov $0x200000, %ebx\n"
	       "  mov %rdx, (%rbx)\n"
	       "  call *(%rbx)\n"
	       "  mov $3, %ecx\n"
	       "  stc\n"
	       "5: adc $0, %rax\n" /* the carry goes round */
	       "  dec %ecx\n"
	       "  jne 5b\n"
	       "  cmp $7, %rax\n"
	       "  jl 6f\n"
	       "  je 6f\n"
	       "  jg 6f\n"
	       "  ud2\n"
	       "6: xor %ecx, %ecx\n"
	       "  jrcxz 7f\n"
	       "  ud2\n"
	       "7: mov $4, %ecx\n"
	       "9: test %ecx, %ecx\n"
	       "  loopne 9b\n"
	       "  cld\n"
	       "  std\n"
	       "  cld\n"
	       "  lodsb\n"
	       "  mov $0x2ffffc, %esp\n" /* a return address in two pages */
	       "  call 8f\n"
	       "  hlt\n"
	       "8: push %rax\n"
	       "  test %rax, %rax\n"
	       "  pop %rax\n"
	       "  jnz 8f\n"
	       "  ret\n"
	       "8: ret\n");

enum what {
	INSN,
	BRANCH,
	COND,
	TAKEN,
	COND_TAKEN,
	COND_NTAKEN,
	CALL,
	RET,
	INDIRECT,
	LOADS,
	STORES,
	MEM,
	WHATS
};

static const uint16_t codes[WHATS] = {
	[INSN] = 0x00c0,  [BRANCH] = 0x00c4,     [COND] = 0x11c4,
	[TAKEN] = 0x20c4, [COND_TAKEN] = 0x01c4, [COND_NTAKEN] = 0x10c4,
	[CALL] = 0x02c4,  [RET] = 0x08c4,        [INDIRECT] = 0x80c4,
	[LOADS] = 0x81d0, [STORES] = 0x82d0,     [MEM] = 0x83d0,
};

/* After each instruction: where it led, and the counts so far. */
static struct step {
	uint64_t rip;
	unsigned int count[WHATS];
} steps[MAX_STEPS];
static unsigned int nsteps;
static struct fake fake;

/* An Intel processor of a model whose branch events are known. */
static void make_intel(struct cpu *cpu)
{
	struct cpuid_entry e[CPUID_MAX];
	int n = cpuid_supported(e, CPUID_MAX);

	ASSERT(n > 0);
	for (int i = 0; i < n; i++) {
		if (e[i].leaf == 0)
			memcpy(&e[i].ebx, "GenuntelineI", 12);
		if (e[i].leaf == 1)
			e[i].eax = ICE_LAKE;
		if (e[i].leaf == CPUID_PMU) {
			e[i].eax = 5 | 8 << 8 | 48 << 16 | 8 << 24;
			e[i].edx = 3 | 48 << 5;
		}
	}
	ASSERT(!cpuid_set_table(cpu, e, n));
}

static gva_t code = FAKE_CODE; /* where the program is run */

static void start(struct fake *f)
{
	fake_start(f, 0, code);
	memset(f->ram + FAKE_DATA, 0, 0x3000);
}

static void count_memory(struct step *s, const ZydisDecodedInstruction *in,
			 const ZydisDecodedOperand *op)
{
	bool first = op[0].type == ZYDIS_OPERAND_TYPE_MEMORY;
	bool second = op[1].type == ZYDIS_OPERAND_TYPE_MEMORY;
	bool load = false, store = false;

	switch (in->mnemonic) {
	case ZYDIS_MNEMONIC_MOV:
		load = second;
		store = first;
		break;
	case ZYDIS_MNEMONIC_ADD: load = store = first; break;
	case ZYDIS_MNEMONIC_POP:
	case ZYDIS_MNEMONIC_RET:
	case ZYDIS_MNEMONIC_LODSB: load = true; break;
	case ZYDIS_MNEMONIC_PUSH:
	case ZYDIS_MNEMONIC_PUSHFQ:
	case ZYDIS_MNEMONIC_STOSB: store = true; break;
	case ZYDIS_MNEMONIC_CALL:
		store = true;
		load = first;
		break;
	default: return;
	}
	s->count[LOADS] += load;
	s->count[STORES] += store;
	s->count[MEM] += load || store;
}

static void count_step(struct step *s, const ZydisDecodedInstruction *in,
		       const ZydisDecodedOperand *op, uint64_t next)
{
	bool direct = op[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
	bool taken = s->rip != next;

	s->count[INSN]++;
	count_memory(s, in, op);
	switch (in->meta.category) {
	case ZYDIS_CATEGORY_COND_BR:
		s->count[COND]++;
		s->count[taken ? COND_TAKEN : COND_NTAKEN]++;
		break;
	case ZYDIS_CATEGORY_UNCOND_BR: s->count[INDIRECT] += !direct; break;
	case ZYDIS_CATEGORY_CALL:
		s->count[CALL]++;
		s->count[INDIRECT] += !direct;
		break;
	case ZYDIS_CATEGORY_RET: s->count[RET]++; break;
	default: return;
	}
	s->count[BRANCH]++;
	s->count[TAKEN] += taken;
}

static void trace(void)
{
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction in;
	struct cpu *cpu = fake.cpu[0];
	enum cpu_exit_kind kind;
	ZydisDecoder dec;

	ZydisDecoderInit(&dec, ZYDIS_MACHINE_MODE_LONG_64,
			 ZYDIS_STACK_WIDTH_64);
	cpu->guest_debug = DEBUG_STEP | 1;
	start(&fake);
	do {
		struct step *s = &steps[nsteps];
		uint64_t rip = cpu->rip;

		ASSERT(nsteps < MAX_STEPS);
		ASSERT(ZYAN_SUCCESS(ZydisDecoderDecodeFull(&dec, fake.ram + rip,
							   15, &in, op)));
		if (nsteps)
			memcpy(s->count, s[-1].count, sizeof(s->count));
		kind = fake_run(&fake, 0);
		s->rip = cpu->rip;
		if (s->rip == rip && in.mnemonic == ZYDIS_MNEMONIC_STOSB)
			continue; /* one of many iterations */
		count_step(s, &in, op, rip + in.length);
		nsteps++;
	} while (kind == CPU_EXIT_DEBUG);
	ASSERT(kind == CPU_EXIT_HLT);
	cpu->guest_debug = 0;
	cpu->event.valid = false; /* the trap of the last step */
	cpu->mode_dirty = true;
}

static void set(uint32_t index, uint64_t val)
{
	ASSERT(!msr_set(fake.cpu[0], index, val, true));
}

static uint64_t get(uint32_t index)
{
	uint64_t val;

	ASSERT(!msr_get(fake.cpu[0], index, &val, true));
	return val;
}

/* Counters 0.. count @first.. */
static void program_counters(unsigned int first, unsigned int n)
{
	for (unsigned int i = 0; i < 8; i++) {
		set(MSR_EVNTSEL0 + i, 0);
		set(MSR_PMC0 + i, 0);
		if (i < n)
			set(MSR_EVNTSEL0 + i, SEL_BASE | codes[first + i]);
	}
}

static void check_totals(unsigned int first, unsigned int n)
{
	program_counters(first, n);
	start(&fake);
	assert_int_equal(fake_run(&fake, 0), CPU_EXIT_HLT);
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(get(MSR_PMC0 + i),
				 steps[nsteps - 1].count[first + i]);
}

/* All together, each alone, twice: what is linked by then counts as well. */
static void test_totals(void **state)
{
	for (int twice = 0; twice < 2; twice++) {
		check_totals(0, 8);
		check_totals(1, 8);
		check_totals(4, 8);
		for (unsigned int w = 0; w < WHATS; w++)
			check_totals(w, 1);
	}
}

/* The program at addresses its blocks are copied for (engine/reloc.h). */
static void test_moved(void **state)
{
	struct cpu *cpu = fake.cpu[0];

	for (unsigned int i = 0; i < 4; i++) {
		uint64_t moved = cpu->stat[CPU_STAT_MOVE];

		code = 0x7f0000000000 + i * 0x1234567000;
		fake_map(&fake, code, FAKE_CODE);
		check_totals(0, 8);
		check_totals(4, 8);
		if (i)
			assert_true(cpu->stat[CPU_STAT_MOVE] > moved + 20);
	}
	code = FAKE_CODE;
}

/* Counter 0 overflows with the @k-th of its events; others count along. */
static void overflow_at(enum what w, unsigned int k)
{
	const struct step *s = steps;
	struct cpu *cpu = fake.cpu[0];

	while (s->count[w] < k)
		s++;
	program_counters(w, 1);
	set(MSR_EVNTSEL0 + 1, SEL_BASE | codes[INSN]);
	set(MSR_EVNTSEL0 + 2, SEL_BASE | codes[COND_NTAKEN]);
	set(MSR_PMC0, -(uint64_t)k & (BIT64(48) - 1));
	set(MSR_EVNTSEL0, SEL_BASE | SEL_INT | codes[w]);
	start(&fake);
	/* of an access to the client's, HLT comes first: it has retired */
	if (s == &steps[nsteps - 1])
		assert_int_equal(fake_run(&fake, 0), CPU_EXIT_HLT);
	else
		assert_int_equal(fake_run(&fake, 0), CPU_EXIT_PMI);
	assert_true(cpu->pmi);
	cpu->pmi = false;
	assert_int_equal(cpu->rip, s->rip);
	assert_int_equal(get(MSR_PMC0), 0);
	assert_int_equal(get(MSR_PMC0 + 1), s->count[INSN]);
	assert_int_equal(get(MSR_PMC0 + 2), s->count[COND_NTAKEN]);
	assert_int_equal(get(MSR_GLOBAL_STATUS) & 1, 1);
	set(MSR_GLOBAL_STATUS, 0);
	if (s == &steps[nsteps - 1])
		return;
	assert_int_equal(fake_run(&fake, 0), CPU_EXIT_HLT);
	assert_int_equal(get(MSR_PMC0), steps[nsteps - 1].count[w] - k);
}

static void test_overflow(void **state)
{
	for (unsigned int w = 0; w < WHATS; w++)
		for (unsigned int k = 1; k <= steps[nsteps - 1].count[w]; k++)
			overflow_at(w, k);
}

/* Faults in the middle of a stretch: what did not come to pass is not there. */
GUEST(faulting, "  nop\n"
		"  inc %rax\n"
		"  mov 0x40000000, %eax\n" /* not mapped */
		"  nop\n"
		"  jz 1f\n"
		"1: hlt\n");
GUEST(dividing, "  nop\n"
		"  xor %ecx, %ecx\n"
		"  div %ecx\n" /* by the host */
		"  call 1f\n"
		"1: hlt\n");
GUEST(refusing, "  nop\n"
		"  xor %ecx, %ecx\n"
		"  xgetbv\n"
		"  dec %ecx\n"
		"  xgetbv\n" /* #GP by a function */
		"  nop\n"
		"  hlt\n");

static struct result {
	int vector;
	uint64_t insns, branches;
} divided;

static void run_fault(struct result *r)
{
	engine_invalidate(fake.engine, fake.ram + FAKE_CODE, PAGE_SIZE);
	program_counters(INSN, 2);
	start(&fake);
	ASSERT(fake_run(&fake, 0) == CPU_EXIT_HLT);
	r->vector = fake_vector(&fake, 0);
	r->insns = get(MSR_PMC0) - 1; /* the handler's HLT */
	r->branches = get(MSR_PMC0 + 1);
}

static void test_faults(void **state)
{
	struct result r;

	assert_int_equal(divided.vector, 0);
	assert_int_equal(divided.insns, 2);
	assert_int_equal(divided.branches, 0);
	fake_load(&fake, FAKE_CODE, faulting);
	run_fault(&r);
	assert_int_equal(r.vector, 14);
	assert_int_equal(r.insns, 2);
	assert_int_equal(r.branches, 0);
	if (!cpu_has(fake.cpu[0], FEAT_XSAVE))
		return;
	fake_load(&fake, FAKE_CODE, refusing);
	run_fault(&r);
	assert_int_equal(r.vector, 13);
	assert_int_equal(r.insns, 4);
}

/* ---- what instructions do to memory ---- */

#define TOUCHES(X)                                       \
	X("mov (%rbx), %eax", LOAD)                      \
	X("mov %al, (%rbx)", STORE)                      \
	X("mov %rbx, %rax", NO_MEM)                      \
	X("movabs 0x1122334455667788, %eax", LOAD)       \
	X("add (%rbx), %eax", LOAD)                      \
	X("add %eax, (%rbx)", UPDATE)                    \
	X("lock incl (%rbx)", UPDATE)                    \
	X("notl (%rbx)", UPDATE)                         \
	X("shll %cl, (%rbx)", UPDATE)                    \
	X("cmp %eax, (%rbx)", LOAD)                      \
	X("test %eax, (%rbx)", LOAD)                     \
	X("bt %eax, (%rbx)", LOAD)                       \
	X("bts %eax, (%rbx)", UPDATE)                    \
	X("xchg %eax, (%rbx)", UPDATE)                   \
	X("xadd %eax, (%rbx)", UPDATE)                   \
	X("cmpxchg %ecx, (%rbx)", UPDATE)                \
	X("cmpxchg16b (%rbx)", UPDATE)                   \
	X("cmovne (%rbx), %eax", LOAD)                   \
	X("setne (%rbx)", STORE)                         \
	X("divl (%rbx)", LOAD)                           \
	X("lea (%rbx), %rax", NO_MEM)                    \
	X("nopl (%rbx)", NO_MEM)                         \
	X("prefetcht0 (%rbx)", NO_MEM)                   \
	X("prefetchw (%rbx)", NO_MEM)                    \
	X("clflush (%rbx)", NO_MEM)                      \
	X("invlpg (%rbx)", NO_MEM)                       \
	X("push %rax", STORE)                            \
	X("push $5", STORE)                              \
	X("push (%rbx)", COPY)                           \
	X("pop %rax", LOAD)                              \
	X("pop (%rbx)", COPY)                            \
	X("pushfq", STORE)                               \
	X("popfq", LOAD)                                 \
	X("leave", LOAD)                                 \
	X("call .", STORE)                               \
	X("call *%rax", STORE)                           \
	X("call *(%rbx)", COPY)                          \
	X("jmp *(%rbx)", LOAD)                           \
	X("jmp .", NO_MEM)                               \
	X("ret", LOAD)                                   \
	X("lretq", LOAD)                                 \
	X("movsq", COPY)                                 \
	X("rep movsb", COPY)                             \
	X("rep stosb", STORE)                            \
	X("lodsb", LOAD)                                 \
	X("repe cmpsb", LOAD)                            \
	X("repne scasb", LOAD)                           \
	X("insb", STORE)                                 \
	X("outsb", LOAD)                                 \
	X("xlat", LOAD)                                  \
	X("movups (%rbx), %xmm0", LOAD)                  \
	X("movaps %xmm0, (%rbx)", STORE)                 \
	X("movntdq %xmm0, (%rbx)", STORE)                \
	X("addps (%rbx), %xmm0", LOAD)                   \
	X("maskmovdqu %xmm1, %xmm0", STORE)              \
	X("vmovups %ymm0, (%rbx)", STORE)                \
	X("vmaskmovps (%rbx), %xmm1, %xmm0", LOAD)       \
	X("vgatherdps %xmm2, (%rbx,%xmm1), %xmm0", LOAD) \
	X("fldl (%rbx)", LOAD)                           \
	X("fstpl (%rbx)", STORE)                         \
	X("fnstcw (%rbx)", STORE)                        \
	X("ldmxcsr (%rbx)", LOAD)                        \
	X("fxsave (%rbx)", STORE)                        \
	X("fxrstor (%rbx)", LOAD)                        \
	X("lgdt (%rbx)", LOAD)                           \
	X("sgdt (%rbx)", STORE)                          \
	X("str (%rbx)", STORE)                           \
	X("cpuid", NO_MEM)                               \
	X("mfence", NO_MEM)                              \
	X("int3", NO_MEM)                                \
	X("syscall", NO_MEM)

#define TEXT(text, touches) text "\n"
#define ROW(text, touches)  {text, RETIRED_##touches},
GUEST(touching, TOUCHES(TEXT));

static void test_touches(void **state)
{
	static const struct {
		const char *text;
		enum retired_mem touches;
	} list[] = {TOUCHES(ROW)};
	const struct cpu *cpu = fake.cpu[0];
	const uint8_t *at = touching;

	for (unsigned int i = 0; i < ARRAY_SIZE(list); i++) {
		struct dinsn d;

		assert_int_equal(decode_insn(cpu, 64, at, 15, 0, &d), 0);
		decode_classify(fake.cpu[0], cpu->mode, &d);
		if (decode_touches(&d) != list[i].touches)
			fail_msg("%s: %u", list[i].text, decode_touches(&d));
		at += d.in.length;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_totals),   cmocka_unit_test(test_moved),
		cmocka_unit_test(test_overflow), cmocka_unit_test(test_faults),
		cmocka_unit_test(test_touches),
	};

	int ret;

	fake_open(&fake, 0);
	fake_watchdog(60);
	make_intel(fake.cpu[0]);
	set(MSR_GLOBAL_CTRL, 0xff);
	/* cmocka takes the signals of host faults */
	fake_load(&fake, FAKE_CODE, dividing);
	run_fault(&divided);
	fake_load(&fake, FAKE_CODE, program);
	engine_invalidate(fake.engine, fake.ram + FAKE_CODE, PAGE_SIZE);
	trace();
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	fake_close(&fake);
	return ret;
}
