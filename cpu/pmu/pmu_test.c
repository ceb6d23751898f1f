/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests of the performance counters: what registers there are by CPUID,
 * their reserved bits, what counts where, overflow, the client's side.
 * Retired instructions are made up here.
 */
#include "cpu/pmu/pmu.h"

#include <errno.h>

#include "cpu/cpuid.h"
#include "cpu/fake.h"
#include "cpu/insn.h"
#include "cpu/msr.h"
#include "cpu/reset.h"

#define HASWELL 0x306c3
#define CORE    0x506e3 /* Skylake */
#define COVE    0x606a6 /* Ice Lake server */
#define ZEN3    0xa20f10

#define EN  BIT64(22)
#define INT BIT64(20)
#define OS  BIT64(17)
#define USR BIT64(16)

/* Intel's leaf 0AH. */
static struct cpuid_entry leaf_a(unsigned int version, unsigned int gp,
				 unsigned int fixed)
{
	return (struct cpuid_entry){
		.leaf = CPUID_PMU,
		.eax = version | gp << 8 | 48 << 16 | 8 << 24,
		.ebx = PMU_NO_EVENTS,
		.edx = fixed | 48 << 5,
	};
}

static struct fake *setup(const char *vendor, uint32_t signature,
			  struct cpuid_entry pmu, uint32_t ext_ecx)
{
	struct cpuid_entry e[] = {
		{.leaf = 0, .eax = 0x80000022},
		{.leaf = 1, .eax = signature, .ecx = BIT(15)},
		{.leaf = CPUID_EXT_SIGNATURE, .ecx = ext_ecx},
		pmu,
	};
	struct fake *f = fake_new();

	memcpy(&e[0].ebx, vendor, 4);
	assert_int_equal(cpu_state_create(&f->cpu), 0);
	cpu_reset(&f->cpu, false);
	fake_long_mode(f);
	assert_int_equal(cpuid_set_table(&f->cpu, e, ARRAY_SIZE(e)), 0);
	cpu_update_mode(&f->cpu);
	return f;
}

static struct fake *intel(unsigned int version)
{
	struct fake *f = setup("Genu", CORE, leaf_a(version, 4, 3), 0);

	f->cpu.perf_cap = 0;
	return f;
}

static struct fake *amd(bool v2)
{
	struct cpuid_entry e = {.leaf = CPUID_EXT_PMU, .eax = v2, .ebx = 6};

	return setup("Auth", ZEN3, e, BIT(23));
}

static void teardown(struct fake *f)
{
	cpu_state_destroy(&f->cpu);
	fake_free(f);
}

/* WRMSR at ring 0, as the engine carries it out. */
static void wr(struct fake *f, uint32_t index, uint64_t val)
{
	assert_int_equal(msr_set(&f->cpu, index, val, false), 0);
	count_retire(&f->cpu, RETIRED_PLAIN, false);
	if (f->cpu.mode_dirty)
		cpu_update_mode(&f->cpu);
}

static int bad(struct fake *f, uint32_t index, uint64_t val)
{
	return msr_set(&f->cpu, index, val, false);
}

static uint64_t rd(struct fake *f, uint32_t index)
{
	uint64_t val = 0x5555;

	assert_int_equal(msr_get(&f->cpu, index, &val, false), 0);
	return val;
}

static void retire(struct fake *f, unsigned int n)
{
	while (n--)
		count_retire(&f->cpu, RETIRED_PLAIN, false);
}

static void level(struct fake *f, unsigned int cpl)
{
	f->cpu.seg[SEG_SS].attr = SEG_ATTR_P | SEG_ATTR_S | cpl << 5;
	cpu_update_mode(&f->cpu);
}

/* ---- which registers there are ---- */

static void test_intel_versions(void **state)
{
	struct fake *f;

	for (unsigned int v = 0; v <= PMU_VERSION; v++) {
		int two = v >= 2 ? 0 : -ENXIO, four = v >= 4 ? 0 : -ENXIO;
		uint64_t val;

		f = intel(v);
		assert_int_equal(msr_get(&f->cpu, 0x38f, &val, true), 0);
		assert_int_equal(val, v >= 2 ? 0xf : 0);
		assert_int_equal(bad(f, 0xc1, 0), 0);
		assert_int_equal(bad(f, 0xc3, 0), v ? 0 : -ENXIO);
		assert_int_equal(bad(f, 0xc5, 0), -ENXIO);
		assert_int_equal(bad(f, 0x188, 0), v ? 0 : -ENXIO);
		assert_int_equal(bad(f, 0x309, 0), two);
		assert_int_equal(bad(f, 0x30b, 0), two);
		assert_int_equal(bad(f, 0x38d, 0), two);
		assert_int_equal(bad(f, 0x38f, 0), two);
		assert_int_equal(bad(f, 0x390, 0), two);
		assert_int_equal(bad(f, 0x391, 0), four);
		assert_int_equal(msr_get(&f->cpu, 0x392, &val, false), four);
		assert_int_equal(bad(f, 0x38e, 0), v >= 2 ? -EINVAL : -ENXIO);
		assert_int_equal(bad(f, 0x392, 0), v >= 4 ? -EINVAL : -ENXIO);
		assert_int_equal(bad(f, 0x4c1, 0), -ENXIO);
		/* absent ones read 0 and take 0 from the client */
		assert_int_equal(msr_set(&f->cpu, 0xc8, 0, true), 0);
		assert_int_equal(msr_set(&f->cpu, 0xc8, 1, true), -EINVAL);
		/* KVM leaves EMON as it was, too */
		assert_false(f->cpu.misc_enable & BIT64(7));
		teardown(f);
	}
}

static void test_intel_reserved(void **state)
{
	struct fake *f = intel(5);

	assert_int_equal(bad(f, 0x186, BIT64(21)), -EINVAL); /* AnyThread */
	assert_int_equal(bad(f, 0x186, BIT64(32)), -EINVAL);
	assert_int_equal(bad(f, 0x38d, 4), -EINVAL);
	assert_int_equal(bad(f, 0x38d, 0xbbb), 0);
	assert_int_equal(bad(f, 0x38d, 0x1000), -EINVAL);
	assert_int_equal(bad(f, 0x38f, 0x70000000f), 0);
	assert_int_equal(bad(f, 0x38f, 0x10), -EINVAL);
	assert_int_equal(bad(f, 0x38f, BIT64(35)), -EINVAL);
	assert_int_equal(bad(f, 0x391, 0x70000000f), 0);
	assert_int_equal(rd(f, 0x38e), 0x70000000f);
	assert_int_equal(bad(f, 0x390, BIT64(4)), -EINVAL);
	assert_int_equal(bad(f, 0x390, BIT64(62) | 0xe), 0);
	assert_int_equal(rd(f, 0x38e), 0x700000001);
	assert_int_equal(rd(f, 0x390), 0);
	assert_int_equal(rd(f, 0x392), 7ULL << 32 | BIT64(63));
	/* version 1's writes of 32 bits are extended by their sign */
	wr(f, 0xc1, 0x80000000);
	assert_true(rd(f, 0xc1) == 0xffff80000000);
	assert_int_equal(msr_set(&f->cpu, 0xc1, 0x123456789abc, true), 0);
	assert_true(rd(f, 0xc1) == 0x123456789abc);
	/* full width */
	assert_int_equal(msr_set(&f->cpu, 0x345, PMU_FW_WRITE, true), 0);
	assert_int_equal(bad(f, 0x345, 0), -EINVAL);
	assert_int_equal(msr_set(&f->cpu, 0x345, 1, true), -EINVAL);
	wr(f, 0x4c1, 0x80000000);
	assert_true(rd(f, 0xc1) == 0x80000000);
	assert_int_equal(bad(f, 0x4c1, BIT64(48)), -EINVAL);
	/* DEBUGCTL: freezing exists with global control */
	assert_int_equal(bad(f, 0x1d9, BIT64(12)), 0);
	teardown(f);
	f = intel(1);
	assert_int_equal(bad(f, 0x1d9, BIT64(12)), -EINVAL);
	teardown(f);
}

/* Fixed counters of version 5 come by bitmap too. */
static void test_fixed_bitmap(void **state)
{
	struct cpuid_entry e = leaf_a(5, 4, 0);
	struct fake *f;

	e.ecx = 4;
	f = setup("Genu", CORE, e, 0);
	assert_int_equal(bad(f, 0x309, 0), -ENXIO);
	assert_int_equal(bad(f, 0x30b, 0), 0);
	assert_int_equal(bad(f, 0x38f, BIT64(34)), 0);
	assert_int_equal(bad(f, 0x38f, BIT64(33)), -EINVAL);
	assert_int_equal(bad(f, 0x38d, 0x300), 0);
	assert_int_equal(bad(f, 0x38d, 0x3), -EINVAL);
	teardown(f);
}

static void test_amd_registers(void **state)
{
	struct fake *f = amd(true);
	uint64_t val;

	assert_int_equal(rd(f, 0xc0000301), 0x3f);
	wr(f, 0xc0010200, ~0ULL); /* reserved bits are dropped */
	assert_true(rd(f, 0xc0010200) == ~0xfffffff000280000ULL);
	assert_true(rd(f, 0xc0010000) == rd(f, 0xc0010200));
	wr(f, 0xc0010200, 0);
	wr(f, 0xc0010007, ~0ULL);
	assert_true(rd(f, 0xc0010207) == 0xffffffffffff);
	assert_int_equal(bad(f, 0xc001020b, 0), 0);
	wr(f, 0xc0000301, ~0ULL);
	assert_int_equal(rd(f, 0xc0000301), 0x3f);
	/* STATUS_SET, STATUS_CLR, and neither by the client */
	wr(f, 0xc0000303, ~0ULL);
	assert_int_equal(rd(f, 0xc0000300), 0x3f);
	assert_int_equal(rd(f, 0xc0000303), 0);
	wr(f, 0xc0000302, 0x1);
	assert_int_equal(rd(f, 0xc0000300), 0x3e);
	wr(f, 0xc0000300, 0);
	assert_int_equal(rd(f, 0xc0000300), 0x3e);
	assert_int_equal(msr_set(&f->cpu, 0xc0000302, 0x3f, true), 0);
	assert_int_equal(msr_set(&f->cpu, 0xc0000303, 0x3f, true), 0);
	assert_int_equal(rd(f, 0xc0000300), 0x3e);
	assert_int_equal(msr_set(&f->cpu, 0xc0000300, BIT64(6), true), -EINVAL);
	assert_int_equal(msr_set(&f->cpu, 0xc0000300, BIT64(59), true),
			 -EINVAL);
	assert_int_equal(msr_set(&f->cpu, 0xc0000300, 5, true), 0);
	assert_int_equal(rd(f, 0xc0000300), 5);
	/* no freezing: it is not enumerated */
	assert_int_equal(bad(f, 0x1d9, BIT64(12)), -EINVAL);
	teardown(f);

	f = amd(false);
	for (uint32_t i = 0xc0000300; i < 0xc0000304; i++) {
		assert_int_equal(bad(f, i, 0), -ENXIO);
		assert_int_equal(msr_get(&f->cpu, i, &val, false), -ENXIO);
	}
	assert_int_equal(bad(f, 0xc001020b, 0), 0);
	teardown(f);
	f = setup("Auth", ZEN3, (struct cpuid_entry){.leaf = 4}, 0);
	assert_int_equal(bad(f, 0xc0010200, 0), -ENXIO);
	wr(f, 0xc0010003, 0xc0);
	assert_int_equal(rd(f, 0xc0010003), 0xc0);
	/* the client wants none: as on processors without */
	f->cpu.no_pmu = true;
	pmu_reset(&f->cpu);
	wr(f, 0xc0010003, 0xc0);
	assert_int_equal(rd(f, 0xc0010003), 0);
	teardown(f);
}

/* ---- RDPMC ---- */

static int rdpmc(struct fake *f, uint32_t ecx)
{
	struct insn i = {.next_rip = 2};
	int ret;

	f->cpu.gpr[REG_RCX] = ecx;
	ret = FAKE_RUN(f, (void)exec_rdpmc(&f->cpu, &i));
	return ret;
}

static void test_rdpmc(void **state)
{
	struct fake *f = intel(2);

	wr(f, 0xc2, 0x1234);
	assert_int_equal(rdpmc(f, 1), 0);
	assert_int_equal(f->cpu.gpr[REG_RAX], 0x1234);
	assert_int_equal(rdpmc(f, 4), VEC_GP + 1);
	assert_int_equal(rdpmc(f, 0x40000002), 0);
	assert_int_equal(rdpmc(f, 0x40000003), VEC_GP + 1);
	assert_int_equal(rdpmc(f, 0x80000000), VEC_GP + 1);
	assert_int_equal(rdpmc(f, 0x20000000), VEC_GP + 1);
	f->cpu.cpl = 3;
	assert_int_equal(rdpmc(f, 1), VEC_GP + 1);
	f->cpu.cr4 |= CR4_PCE;
	assert_int_equal(rdpmc(f, 1), 0);
	teardown(f);
	f = intel(0);
	assert_int_equal(rdpmc(f, 0), VEC_GP + 1);
	teardown(f);
	f = amd(true);
	assert_int_equal(rdpmc(f, 5), 0);
	assert_int_equal(rdpmc(f, 6), VEC_GP + 1);
	teardown(f);
}

/* ---- counting ---- */

/* WRMSR counts as the unit was set when it began. */
static void test_self(void **state)
{
	struct fake *f = intel(2);

	wr(f, 0x186, 0xc0 | OS | EN);
	assert_int_equal(rd(f, 0xc1), 0);
	assert_true(f->cpu.mode & BIT64(23)); /* translations count */
	retire(f, 10);
	assert_int_equal(rd(f, 0xc1), 10);
	wr(f, 0x187, 0xc0 | OS | EN);
	retire(f, 1);
	assert_int_equal(rd(f, 0xc1), 12);
	assert_int_equal(rd(f, 0xc2), 1);
	wr(f, 0x38f, 2);
	assert_int_equal(rd(f, 0xc1), 13);
	retire(f, 5);
	assert_int_equal(rd(f, 0xc1), 13);
	assert_int_equal(rd(f, 0xc2), 7);
	wr(f, 0xc2, 100);
	retire(f, 1);
	wr(f, 0x187, 0);
	assert_int_equal(rd(f, 0xc2), 102);
	assert_false(f->cpu.mode & BIT64(23));
	assert_int_equal(f->cpu.count_on, 0);
	teardown(f);
}

static void test_levels(void **state)
{
	struct fake *f = intel(2);

	wr(f, 0x38f, 0);
	wr(f, 0x38d, 0x3); /* fixed 0: both */
	wr(f, 0x186, 0xc0 | USR | EN);
	wr(f, 0x187, 0xc0 | OS | EN);
	wr(f, 0x188, 0x3c | OS | EN | 1 << 24 | BIT64(18)); /* to ring 0 */
	wr(f, 0x38f, 0x10000000f);
	retire(f, 3);
	level(f, 3);
	retire(f, 10);
	level(f, 0);
	retire(f, 100);
	level(f, 1); /* rings 1 and 2 are user */
	retire(f, 1000);
	level(f, 0);
	assert_int_equal(rd(f, 0x309), 1113);
	assert_int_equal(rd(f, 0xc1), 1010);
	assert_int_equal(rd(f, 0xc2), 103);
	assert_int_equal(rd(f, 0xc3), 2);
	teardown(f);
}

/* Those that count at every level are not touched by a change of it. */
static void test_level_costs(void **state)
{
	struct fake *f = amd(true);
	int64_t before;

	wr(f, 0xc0010200, 0xc0 | USR | OS | EN);
	before = f->cpu.count[COUNT_INSN];
	retire(f, 3);
	level(f, 3);
	retire(f, 10);
	assert_true(f->cpu.count[COUNT_INSN] == before + 13);
	assert_int_equal(rd(f, 0xc0010201), 13);
	/* one that does begins where its level does */
	wr(f, 0xc0010202, 0xc0 | USR | EN);
	level(f, 0);
	retire(f, 100);
	level(f, 3);
	retire(f, 1000);
	assert_int_equal(rd(f, 0xc0010201), 1114);
	assert_int_equal(rd(f, 0xc0010203), 1000);
	teardown(f);
}

static uint64_t events_of(struct fake *f, uint32_t sel_msr, uint32_t ctr_msr,
			  uint64_t event)
{
	uint64_t val;

	wr(f, ctr_msr, 0);
	wr(f, sel_msr, event | OS | EN);
	retire(f, 1);
	count_retire(&f->cpu, RETIRED_COND, true);
	for (int i = 0; i < 2; i++)
		count_retire(&f->cpu, RETIRED_COND, false);
	for (int i = 0; i < 4; i++)
		count_retire(&f->cpu, RETIRED_JMP, true);
	for (int i = 0; i < 8; i++)
		count_retire(&f->cpu, RETIRED_JMP_INDIRECT, true);
	for (int i = 0; i < 16; i++)
		count_retire(&f->cpu, RETIRED_CALL, true);
	for (int i = 0; i < 32; i++)
		count_retire(&f->cpu, RETIRED_CALL_INDIRECT, true);
	for (int i = 0; i < 64; i++)
		count_retire(&f->cpu, RETIRED_RET, true);
	for (int i = 0; i < 128; i++)
		count_retire(&f->cpu, RETIRED_FAR, true);
	if (f->cpu.count_on)
		pmu_event(&f->cpu, true);
	val = rd(f, ctr_msr);
	wr(f, sel_msr, 0);
	return val;
}

static void test_events_intel(void **state)
{
	static const struct {
		uint32_t event;
		unsigned int core, cove;
	} list[] = {
		{0x00c0, 256, 256}, {0x00c4, 255, 255}, {0x01c4, 3, 1},
		{0x11c4, 0, 3},     {0x02c4, 48, 48},   {0x08c4, 64, 64},
		{0x10c4, 2, 2},     {0x20c4, 125, 125}, {0x40c4, 128, 128},
		{0x80c4, 0, 40},    {0x01cb, 1, 1},     {0x00c5, 0, 0},
		{0x4f2e, 0, 0},     {0x412e, 0, 0},
	};
	struct fake *f = intel(2);
	struct fake *g = setup("Genu", COVE, leaf_a(5, 8, 3), 0);

	for (unsigned int i = 0; i < ARRAY_SIZE(list); i++) {
		assert_int_equal(events_of(f, 0x186, 0xc1, list[i].event),
				 list[i].core);
		assert_int_equal(events_of(g, 0x187, 0xc2, list[i].event),
				 list[i].cove);
	}
	/* with a threshold: cycles in which so many happen, unknown */
	assert_int_equal(events_of(f, 0x186, 0xc1, 0xc0 | 1 << 24), 0);
	assert_int_equal(events_of(f, 0x186, 0xc1, 0xc0 | BIT64(18)), 0);
	teardown(f);
	teardown(g);
}

static void test_events_amd(void **state)
{
	static const struct {
		uint64_t event;
		unsigned int count;
	} list[] = {
		{0xc0, 256}, {0xc2, 256},      {0xc4, 254}, {0xc6, 129},
		{0xc8, 64},  {0xcc, 40},       {0xd1, 3},   {0x2c, 1},
		{0xc3, 0},   {0x1000000c2, 0},
	};
	struct fake *f = amd(true);

	for (unsigned int i = 0; i < ARRAY_SIZE(list); i++)
		assert_int_equal(
			events_of(f, 0xc001020a, 0xc001020b, list[i].event),
			list[i].count);
	teardown(f);
}

/* One load, ten stores, a hundred updates, a thousand copies. */
static uint64_t accesses(struct fake *f, uint32_t sel_msr, uint32_t ctr_msr,
			 uint64_t event)
{
	static const struct {
		enum retired_mem mem;
		unsigned int n;
	} list[] = {
		{RETIRED_NO_MEM, 7},  {RETIRED_LOAD, 1},
		{RETIRED_STORE, 10},  {RETIRED_UPDATE, 100},
		{RETIRED_COPY, 1000},
	};
	uint64_t val;

	wr(f, ctr_msr, 0);
	wr(f, sel_msr, event | OS | EN);
	for (unsigned int i = 0; i < ARRAY_SIZE(list); i++)
		for (unsigned int n = 0; n < list[i].n; n++)
			count_retire_mem(&f->cpu, list[i].mem);
	val = rd(f, ctr_msr);
	wr(f, sel_msr, 0);
	return val;
}

static void test_accesses(void **state)
{
	static const unsigned int by_mask[8] = {
		0, 1001, 1010, 2011, 100, 1101, 1110, 2111,
	};
	struct fake *f = amd(true);

	for (unsigned int mask = 0; mask < 8; mask++)
		assert_int_equal(
			accesses(f, 0xc0010000, 0xc0010004, 0x29 | mask << 8),
			by_mask[mask]);
	teardown(f);
	f = intel(2);
	assert_int_equal(accesses(f, 0x186, 0xc1, 0x81d0), 1101);
	assert_int_equal(accesses(f, 0x186, 0xc1, 0x82d0), 1110);
	assert_int_equal(accesses(f, 0x186, 0xc1, 0x83d0), 1111);
	assert_int_equal(accesses(f, 0x186, 0xc1, 0x41d0), 0);
	teardown(f);
	f = setup("Genu", HASWELL, leaf_a(2, 4, 3), 0);
	assert_int_equal(accesses(f, 0x186, 0xc1, 0x81d0), 0);
	teardown(f);
}

static void test_time(void **state)
{
	struct fake *f = intel(2);

	wr(f, 0x38d, 0x110); /* cycles, ring 0 */
	wr(f, 0x38f, BIT64(33));
	assert_int_equal(rd(f, 0x30a), 0);
	pmu_clock(&f->cpu, true);
	while (!rd(f, 0x30a))
		;
	pmu_clock(&f->cpu, false);
	assert_true(rd(f, 0x30a) == rd(f, 0x30a)); /* stands still */
	assert_int_equal(rd(f, 0x30b), 0);         /* global control */
	wr(f, 0x30a, (1ULL << 48) - 1000);
	assert_true(pmu_deadline(&f->cpu) == UINT64_MAX);
	wr(f, 0x38d, 0x990);
	assert_true(pmu_deadline(&f->cpu) == 1000);
	pmu_clock(&f->cpu, true);
	while (!f->cpu.pmi)
		pmu_overflow(&f->cpu);
	assert_true(rd(f, 0x38e) == BIT64(33));
	teardown(f);
}

/* ---- overflow ---- */

static void test_overflow(void **state)
{
	struct fake *f = intel(2);
	struct cpu *cpu = &f->cpu;

	wr(f, 0xc1, -5);
	wr(f, 0xc2, -7);
	wr(f, 0x187, 0xc0 | OS | EN);       /* no interrupt: status alone */
	wr(f, 0x186, 0xc0 | OS | INT | EN); /* which the other counts */
	assert_true(cpu->mode & 0x400);     /* near: single steps */
	retire(f, 4);
	assert_false(pmu_hit(cpu));
	retire(f, 1);
	assert_true(pmu_hit(cpu));
	pmu_overflow(cpu);
	assert_true(cpu->pmi);
	cpu->pmi = false;
	assert_false(pmu_hit(cpu));
	assert_int_equal(rd(f, 0xc1), 0);
	assert_int_equal(rd(f, 0x38e), 1);
	retire(f, 1);
	assert_int_equal(rd(f, 0x38e), 3);
	assert_false(cpu->pmi);
	cpu_update_mode(cpu);
	assert_false(cpu->mode & 0x400);
	teardown(f);
}

static void freeze(unsigned int version, uint64_t status, uint64_t ctrl)
{
	struct fake *f = intel(version);

	wr(f, 0x1d9, BIT64(12));
	wr(f, 0xc1, -2);
	wr(f, 0x186, 0xc0 | OS | INT | EN);
	retire(f, 2);
	pmu_overflow(&f->cpu);
	assert_true(rd(f, 0x38e) == status);
	assert_true(rd(f, 0x38f) == ctrl);
	retire(f, 5);
	assert_int_equal(rd(f, 0xc1), 0);
	wr(f, 0x38f, 0xf);
	wr(f, 0x390, status);
	wr(f, 0xc1, 0);
	retire(f, 5);
	assert_int_equal(rd(f, 0xc1), 5);
	teardown(f);
}

static void test_freeze(void **state)
{
	freeze(2, 1, 0);
	freeze(4, 1 | BIT64(59), 0xf);
}

static void test_unretire(void **state)
{
	static const struct tally two = {.n = 2, .kind = RETIRED_RET};
	struct fake *f = intel(2);

	wr(f, 0x187, 0xc4 | OS | EN);
	wr(f, 0x186, 0xc0 | OS | EN);
	for (int i = 0; i < 3; i++)
		count_retire(&f->cpu, RETIRED_RET, true);
	pmu_unretire(&f->cpu, &two, -1);
	assert_int_equal(rd(f, 0xc1), 1);
	assert_int_equal(rd(f, 0xc2), 2); /* one of them was a RET */
	pmu_unretire(&f->cpu, &two, 1);
	assert_int_equal(rd(f, 0xc1), 3);
	teardown(f);
}

/* ---- the client's side ---- */

#define ENTRY(event, mask, match) \
	((event) | (match) << 8 | (uint64_t)(mask) << 56)

static uint64_t filtered(struct fake *f, bool deny, uint64_t a, uint64_t b)
{
	struct pmu_filter *p = calloc(1, sizeof(*p) + 2 * sizeof(uint64_t));
	uint64_t val;

	p->deny = deny;
	p->count = 2;
	p->event[0] = a;
	p->event[1] = b;
	f->cpu.pmu_filter = p;
	pmu_rederive(&f->cpu);
	val = events_of(f, 0x186, 0xc1, 0x02c4);
	f->cpu.pmu_filter = NULL;
	free(p);
	return val;
}

static void test_filter(void **state)
{
	struct fake *f = intel(2);
	uint64_t none = ENTRY(0xff, 0xff, 0);

	assert_int_equal(filtered(f, false, none, none), 0);
	assert_int_equal(filtered(f, true, none, none), 48);
	assert_int_equal(filtered(f, false, ENTRY(0xc4, 0xff, 2), none), 48);
	assert_int_equal(filtered(f, false, ENTRY(0xc4, 0xff, 4), none), 0);
	assert_int_equal(filtered(f, false, ENTRY(0xc4, 0, 0), none), 48);
	assert_int_equal(filtered(f, true, ENTRY(0xc4, 2, 2), none), 0);
	assert_int_equal(filtered(f, false, ENTRY(0xc4, 0, 0),
				  ENTRY(0xc4, 0xff, 2) | PMU_FILTER_EXCLUDE),
			 0);
	teardown(f);
}

/* Fixed counters have a bitmap of their own, events do not matter. */
static void test_filter_fixed(void **state)
{
	for (unsigned int deny = 0; deny < 2; deny++) {
		struct fake *f = intel(2);
		struct pmu_filter p = {.deny = deny, .fixed = 1};

		f->cpu.pmu_filter = &p;
		wr(f, 0x38d, 0x1);
		wr(f, 0x38f, 0);
		wr(f, 0x186, 0xc0 | OS | EN);
		wr(f, 0x38f, 0x100000001);
		retire(f, 10);
		assert_int_equal(rd(f, 0x309), deny ? 0 : 10);
		assert_int_equal(rd(f, 0xc1), deny ? 10 : 0);
		f->cpu.pmu_filter = NULL;
		teardown(f);
	}
}

/* KVM_SET_CPUID2 makes another unit, which begins anew. */
static void test_refresh(void **state)
{
	struct cpuid_entry e[] = {
		{.leaf = 0, .eax = CPUID_PMU, .ebx = 0x756e6547},
		{.leaf = 1, .eax = CORE},
		leaf_a(2, 2, 1),
	};
	struct fake *f = intel(5);

	wr(f, 0x186, 0xc0 | OS | INT | EN);
	wr(f, 0x38d, 0x3);
	retire(f, 5);
	assert_int_equal(cpuid_set_table(&f->cpu, e, ARRAY_SIZE(e)), 0);
	assert_int_equal(rd(f, 0x186), 0);
	assert_int_equal(rd(f, 0xc1), 0);
	assert_int_equal(rd(f, 0x38d), 0);
	assert_int_equal(rd(f, 0x38f), 3);
	assert_int_equal(f->cpu.count_on, 0);
	assert_int_equal(bad(f, 0xc3, 0), -ENXIO);
	assert_int_equal(bad(f, 0x30a, 0), -ENXIO);
	assert_int_equal(bad(f, 0x391, 0), -ENXIO);
	e[2].eax = 0;
	assert_int_equal(cpuid_set_table(&f->cpu, e, ARRAY_SIZE(e)), 0);
	assert_int_equal(bad(f, 0x38f, 0), -ENXIO);
	assert_int_equal(rdpmc(f, 0), VEC_GP + 1);
	teardown(f);
}

/* SET_MSRS of what GET_MSRS gave for the list makes the same unit. */
static void carry(struct fake *from, struct fake *to)
{
	uint32_t list[256];
	unsigned int n = msr_list(false, list, ARRAY_SIZE(list));
	uint64_t val;

	assert_in_range(n, 1, ARRAY_SIZE(list));
	for (unsigned int i = 0; i < n; i++) {
		bool intel = list[i] - 0xc1 < 8 || list[i] - 0x186 < 8 ||
			     list[i] - 0x309 < 3 || list[i] - 0x38d < 6;
		bool amd = list[i] - 0xc0000300 < 4 ||
			   list[i] - 0xc0010000 < 8 ||
			   list[i] - 0xc0010200 < 12;

		if (!intel && !amd && list[i] != 0x1d9)
			continue;
		assert_int_equal(msr_get(&from->cpu, list[i], &val, true), 0);
		assert_int_equal(msr_set(&to->cpu, list[i], val, true), 0);
	}
}

static void same(struct fake *f, struct fake *g, const uint32_t *regs,
		 unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		assert_true(rd(f, regs[i]) == rd(g, regs[i]));
	assert_int_equal(f->cpu.count_on, g->cpu.count_on);
	assert_int_equal(f->cpu.count_armed, g->cpu.count_armed);
}

static void test_migrate_intel(void **state)
{
	static const uint32_t regs[] = {0x186, 0x187, 0xc1,  0xc2,  0x309,
					0x30a, 0x38d, 0x38e, 0x38f, 0x1d9};
	struct fake *f = intel(4), *g = intel(4);

	wr(f, 0x1d9, BIT64(12));
	wr(f, 0xc1, -100);
	wr(f, 0x186, 0xc0 | OS | INT | EN);
	wr(f, 0x38d, 0x00b);
	wr(f, 0x391, 0x4);
	wr(f, 0x38f, 0x10000000f);
	retire(f, 7);
	carry(f, g);
	retire(f, 11);
	retire(g, 11);
	same(f, g, regs, ARRAY_SIZE(regs));
	retire(f, 100);
	retire(g, 100);
	pmu_overflow(&f->cpu);
	pmu_overflow(&g->cpu);
	same(f, g, regs, ARRAY_SIZE(regs)); /* frozen at the same place */
	assert_true(rd(g, 0x38e) == (5 | BIT64(59)));
	cpu_reset(&f->cpu, true); /* INIT keeps it */
	assert_true(rd(f, 0x186) == (0xc0 | OS | INT | EN));
	cpu_reset(&f->cpu, false);
	assert_int_equal(rd(f, 0x186), 0);
	assert_int_equal(rd(f, 0x38f), 0xf);
	teardown(f);
	teardown(g);
}

static void test_migrate_amd(void **state)
{
	static const uint32_t regs[] = {
		0xc0000300, 0xc0000301, 0xc0010200, 0xc0010201, 0xc0010202,
		0xc0010203, 0xc001020a, 0xc001020b, 0xc0010000, 0xc0010005,
	};

	for (int v2 = 0; v2 < 2; v2++) {
		unsigned int skip = v2 ? 0 : 2;
		struct fake *f = amd(v2), *g = amd(v2);

		wr(f, 0xc0010201, -100);
		wr(f, 0xc0010200, 0xc0 | OS | INT | EN);
		wr(f, 0xc0010202, 0xd1 | OS | EN);
		wr(f, 0xc001020a, 0xc0 | USR | EN);
		if (v2) {
			wr(f, 0xc0000303, 0x10);
			wr(f, 0xc0000301, 0x23);
		}
		retire(f, 7);
		carry(f, g);
		retire(f, 111);
		retire(g, 111);
		pmu_overflow(&f->cpu);
		pmu_overflow(&g->cpu);
		assert_true(f->cpu.pmi && g->cpu.pmi);
		same(f, g, regs + skip, ARRAY_SIZE(regs) - skip);
		if (v2)
			assert_int_equal(rd(g, 0xc0000300), 0x11);
		cpu_reset(&f->cpu, true);
		assert_true(rd(f, 0xc0010202) == (0xd1 | OS | EN));
		cpu_reset(&f->cpu, false);
		assert_int_equal(rd(f, 0xc0010202), 0);
		teardown(f);
		teardown(g);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_intel_versions),
		cmocka_unit_test(test_intel_reserved),
		cmocka_unit_test(test_fixed_bitmap),
		cmocka_unit_test(test_amd_registers),
		cmocka_unit_test(test_rdpmc),
		cmocka_unit_test(test_self),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_level_costs),
		cmocka_unit_test(test_events_intel),
		cmocka_unit_test(test_events_amd),
		cmocka_unit_test(test_accesses),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_freeze),
		cmocka_unit_test(test_unretire),
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_filter_fixed),
		cmocka_unit_test(test_refresh),
		cmocka_unit_test(test_migrate_intel),
		cmocka_unit_test(test_migrate_amd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
