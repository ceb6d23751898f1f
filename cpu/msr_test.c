/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests of the MSR table: lists, gates, reserved bits, coupling of the
 * time stamp counter, machine check banks, and the instructions with their
 * ways out to the kvm room.
 */
#include "cpu/msr.h"

#include <errno.h>

#include "cpu/cpuid.h"
#include "cpu/fake.h"
#include "cpu/insn.h"
#include "cpu/pmu/pmu.h"
#include "cpu/reset.h"

static struct fake *setup(bool amd)
{
	struct fake *f = fake_new();

	assert_int_equal(cpu_state_create(&f->cpu), 0);
	cpu_reset(&f->cpu, false);
	fake_long_mode(f);
	f->cpu.vendor_amd = amd;
	pmu_reset(&f->cpu);
	return f;
}

static void teardown(struct fake *f)
{
	cpu_state_destroy(&f->cpu);
	fake_free(f);
}

static int set(struct fake *f, uint32_t index, uint64_t val)
{
	return msr_set(&f->cpu, index, val, false);
}

static uint64_t get(struct fake *f, uint32_t index)
{
	uint64_t val = 0x5555;

	assert_int_equal(msr_get(&f->cpu, index, &val, false), 0);
	return val;
}

static bool listed(const uint32_t *list, unsigned int n, uint32_t index)
{
	while (n--)
		if (list[n] == index)
			return true;
	return false;
}

static void test_lists(void **state)
{
	struct fake *f = setup(true);
	uint32_t list[256], last = 0;
	unsigned int i, n = msr_list(false, list, 256);
	uint64_t val;
	int ret;

	assert_true(n > 30 && n < 150);
	/* the global control of either vendor's counters */
	assert_true(listed(list, n, 0x38f) && listed(list, n, 0xc0000301));
	assert_int_equal(msr_list(false, NULL, 0), n);
	memset(f->cpu.features, 0, sizeof(f->cpu.features));
	for (i = 0; i < n; i++) {
		assert_true(list[i] > last);
		last = list[i];
		assert_non_null(msr_name(list[i]));
		ret = msr_get(&f->cpu, list[i], &val, true);
		if (ret == -ENOENT)
			continue;
		assert_int_equal(ret, 0);
		/* KVM's promise: listed ones take 0 whatever CPUID says */
		if (list[i] != MSR_PLATFORM_INFO)
			assert_int_equal(msr_set(&f->cpu, list[i], 0, true), 0);
	}
	n = msr_list(true, list, 256);
	assert_int_equal(n, cpuid_host()->amd ? 5 : 4);
	for (i = 0; i < n; i++)
		assert_int_equal(msr_get_feature(list[i], &val), 0);
	assert_int_equal(msr_get_feature(MSR_TSC, &val), -EINVAL);
	teardown(f);
}

static void test_unknown(void **state)
{
	struct fake *f = setup(false);
	uint64_t val;

	assert_int_equal(msr_get(&f->cpu, 0x12345, &val, false), -ENXIO);
	assert_int_equal(msr_get(&f->cpu, 0x12345, &val, true), -ENXIO);
	assert_int_equal(msr_get(&f->cpu, 0x122, &val, false), -ENXIO);
	assert_int_equal(set(f, 0xffffffff, 0), -ENXIO);
	assert_int_equal(set(f, MSR_APIC_BASE, 0), -ENOENT);
	assert_int_equal(set(f, 0x830, 0), -ENOENT);
	assert_int_equal(set(f, 0x4b564d00, 0), -ENOENT);
	assert_int_equal(set(f, 0x4b564d08, 0), -ENOENT);
	assert_int_equal(set(f, 0x4b564d09, 0), -ENXIO);
	/* absent counters */
	assert_int_equal(set(f, 0x186, 123), 0);
	assert_int_equal(get(f, 0x186), 0);
	assert_int_equal(set(f, 0x188, 123), -ENXIO);
	assert_int_equal(set(f, 0xc0010000, 1), -ENXIO); /* AMD's */
	f->cpu.vendor_amd = f->cpu.no_pmu = true;
	pmu_reset(&f->cpu);
	assert_int_equal(set(f, 0xc0010000, 1), 0);
	assert_int_equal(get(f, 0xc0010000), 0);
	/* configuration of AMD's caches and bridge: written, never kept */
	assert_int_equal(set(f, 0xc001001f, 1ULL << 46), 0);
	assert_int_equal(set(f, 0xc0011022, 5), 0);
	assert_int_equal(get(f, 0xc0011022), 0);
	assert_int_equal(set(f, MSR_SYSCFG, 1), -EINVAL);
	teardown(f);
}

static void test_rules(void **state)
{
	struct fake *f = setup(false);
	struct cpu *cpu = &f->cpu;

	assert_int_equal(get(f, MSR_MISC_ENABLE), 0x1800);
	assert_int_equal(set(f, MSR_MISC_ENABLE, 0x1801), 0);
	assert_int_equal(set(f, MSR_MISC_ENABLE, 1), -EINVAL);
	assert_int_equal(msr_set(cpu, MSR_MISC_ENABLE, 1, true), 0);
	assert_true(get(f, MSR_PAT) == 0x0007040600070406);
	assert_int_equal(set(f, MSR_PAT, 0x0007040600070405), 0);
	assert_int_equal(set(f, MSR_PAT, 0x0007040600070402), -EINVAL);
	assert_int_equal(set(f, MSR_LSTAR, 0x0100000000000000), -EINVAL);
	cpu->linear_bits = 48;
	assert_int_equal(set(f, MSR_LSTAR, 0x0000800000000000), -EINVAL);
	assert_int_equal(set(f, MSR_LSTAR, 0xffff800000000000), 0);
	assert_true(cpu->lstar == 0xffff800000000000);
	assert_int_equal(set(f, MSR_SPEC_CTRL, 4), -EINVAL);
	assert_int_equal(set(f, MSR_SPEC_CTRL, 1), 0);
	assert_int_equal(set(f, MSR_PRED_CMD, 1), 0);
	assert_int_equal(set(f, MSR_PRED_CMD, 2), -EINVAL);
	assert_int_equal(set(f, MSR_ARCH_CAPABILITIES, 0), -EINVAL);
	assert_int_equal(get(f, MSR_ARCH_CAPABILITIES) & 3, 3);
	assert_int_equal(set(f, MSR_XSS, 0), 0);
	assert_int_equal(set(f, MSR_XSS, 0x100), -EINVAL);
	assert_int_equal(set(f, MSR_MTRR_PHYS_BASE0, 0x80000006), 0);
	assert_int_equal(set(f, MSR_MTRR_PHYS_BASE0, 0x80000002), -EINVAL);
	assert_int_equal(set(f, MSR_MTRR_PHYS_BASE0 + 1, 0x80000802), -EINVAL);
	assert_int_equal(set(f, MSR_MTRR_DEF_TYPE, 0xc06), 0);
	assert_int_equal(set(f, MSR_MTRR_DEF_TYPE, 0x1c06), -EINVAL);
	assert_int_equal(get(f, MSR_MTRR_CAP), 0x508);
	assert_int_equal(set(f, MSR_MTRR_CAP, 0), -EINVAL);
	assert_int_equal(set(f, MSR_UCODE_REV, 0), 0);
	assert_true(get(f, MSR_UCODE_REV) != 0);
	assert_int_equal(set(f, MSR_MISC_FEATURES_ENABLES, 1), 0);
	assert_true(cpu->cpuid_faulting);
	assert_int_equal(msr_set(cpu, MSR_PLATFORM_INFO, 0, true), -EINVAL);
	teardown(f);
}

static void test_hwcr(void **state)
{
	struct fake *f = setup(true);
	unsigned int i;

	for (i = 0; i < 64; i++) {
		bool stored = i == 18 || i == 24;
		bool dropped = i == 3 || i == 6 || i == 8;

		assert_int_equal(msr_set(&f->cpu, MSR_HWCR, BIT64(i), true),
				 stored || dropped ? 0 : -EINVAL);
		if (stored || dropped)
			assert_true(get(f, MSR_HWCR) ==
				    (stored ? BIT64(i) : 0));
	}
	teardown(f);
	/* P-states are there to be read, and none of them is enabled */
	f = setup(true);
	assert_int_equal(get(f, 0xc0010064), 0);
	assert_int_equal(get(f, 0xc001006b), 0);
	assert_int_equal(set(f, 0xc0010064, 0), -EINVAL);
	teardown(f);
	f = setup(false);
	assert_int_equal(set(f, 0xc0010064, 0), -ENXIO);
	teardown(f);
}

static void test_tsc(void **state)
{
	struct fake *f = setup(false);
	struct cpu *cpu = &f->cpu;
	uint64_t before, adjust;

	assert_int_equal(msr_set(cpu, MSR_TSC, 1000, true), 0);
	assert_true(get(f, MSR_TSC) - 1000 < 1ULL << 32);
	assert_int_equal(cpu->tsc_adjust, 0);
	assert_false(cpu->clock_dirty);
	/* a guest's write shows in TSC_ADJUST */
	assert_int_equal(set(f, MSR_TSC, 1ULL << 50), 0);
	adjust = get(f, MSR_TSC_ADJUST);
	assert_true((1ULL << 50) - adjust < 1ULL << 32);
	assert_true(cpu->clock_dirty && cpu->requests & CPU_REQ_EXIT);
	/* and the other way round, but for the client */
	before = cpu->tsc_offset;
	assert_int_equal(set(f, MSR_TSC_ADJUST, adjust + 5), 0);
	assert_true(cpu->tsc_offset == before + 5);
	assert_int_equal(msr_set(cpu, MSR_TSC_ADJUST, 77, true), 0);
	assert_true(cpu->tsc_offset == before + 5);
	assert_int_equal(get(f, MSR_TSC_ADJUST), 77);

	assert_int_equal(set(f, MSR_TSC_AUX, 1ULL << 32), -EINVAL);
	cpu->vendor_amd = true;
	assert_int_equal(set(f, MSR_TSC_AUX, 1ULL << 32 | 9), 0);
	assert_int_equal(get(f, MSR_TSC_AUX), 9);
	teardown(f);
}

static void test_mce(void **state)
{
	struct fake *f = setup(false);
	struct cpu *cpu = &f->cpu;

	assert_int_equal(msr_setup_mce(cpu, 33), -EINVAL);
	assert_int_equal(msr_setup_mce(cpu, 0), -EINVAL);
	assert_int_equal(msr_setup_mce(cpu, 10 | 1ULL << 40), -EINVAL);
	assert_int_equal(msr_setup_mce(cpu, 10 | MCG_CTL_P), 0);
	assert_int_equal(get(f, MSR_MCG_CAP), 10 | MCG_CTL_P);
	assert_true(get(f, MSR_MC0_CTL + 4 * 9) == ~0ULL);
	assert_int_equal(set(f, MSR_MC0_CTL + 4 * 10, 0), -ENXIO);
	assert_int_equal(set(f, MSR_MC0_CTL, 5), -EINVAL);
	assert_int_equal(set(f, MSR_MC0_CTL, ~0ULL & ~BIT64(10)), 0);
	assert_int_equal(set(f, MSR_MC0_CTL + 1, 0), 0);
	assert_int_equal(set(f, MSR_MC0_CTL + 1, 1), -EINVAL);
	assert_int_equal(set(f, MSR_HWCR, BIT64(18)), 0);
	assert_int_equal(set(f, MSR_MC0_CTL + 1, 1), 0);
	assert_int_equal(msr_mce_bank(cpu, 0)->status, 1);
	assert_null(msr_mce_bank(cpu, 10));
	assert_int_equal(set(f, MSR_MCG_CTL, 1), -EINVAL);
	assert_int_equal(set(f, MSR_MCG_CTL, 0), 0);
	teardown(f);
}

/* ---- the instructions ---- */

static int run(struct fake *f, exec_fn *fn, uint32_t index, uint64_t val)
{
	struct insn i = {.next_rip = 0x102};

	f->cpu.rip = 0x100;
	f->cpu.exit = CPU_EXIT_NONE;
	f->cpu.gpr[REG_RCX] = 0xabcd00000000 | index;
	f->cpu.gpr[REG_RAX] = (uint32_t)val | 0xff00000000;
	f->cpu.gpr[REG_RDX] = val >> 32;
	return FAKE_RUN(f, fn(&f->cpu, &i));
}

static void test_exec(void **state)
{
	struct fake *f = setup(false);
	struct cpu *cpu = &f->cpu;

	assert_int_equal(run(f, exec_wrmsr, MSR_FS_BASE, 0x7f0012345000), 0);
	assert_true(cpu->seg[SEG_FS].base == 0x7f0012345000);
	assert_int_equal(run(f, exec_rdmsr, MSR_FS_BASE, 0), 0);
	assert_true(cpu->gpr[REG_RAX] == 0x12345000);
	assert_true(cpu->gpr[REG_RDX] == 0x7f00);
	assert_int_equal(run(f, exec_wrmsr, MSR_GS_BASE, 1ULL << 60),
			 VEC_GP + 1);
	assert_int_equal(run(f, exec_wrmsr, MSR_KERNEL_GS_BASE, 1), 0);
	assert_int_equal(cpu->kernel_gs_base, 1);
	assert_int_equal(run(f, exec_rdmsr, 0x999, 0), VEC_GP + 1);
	cpu->cpl = 3;
	assert_int_equal(run(f, exec_rdmsr, MSR_FS_BASE, 0), VEC_GP + 1);
	assert_int_equal(run(f, exec_wrmsr, MSR_FS_BASE, 0), VEC_GP + 1);
	assert_int_equal(run(f, exec_rdtsc, 0, 0), 0);
	cpu->cr4 |= CR4_TSD;
	assert_int_equal(run(f, exec_rdtsc, 0, 0), VEC_GP + 1);
	assert_int_equal(run(f, exec_rdtscp, 0, 0), VEC_GP + 1);
	cpu->cpl = 0;
	cpu->tsc_aux = 42;
	assert_int_equal(run(f, exec_rdtscp, 0, 0), 0);
	assert_int_equal(cpu->gpr[REG_RCX], 42);
	memset(cpu->features, 0, sizeof(cpu->features));
	assert_int_equal(run(f, exec_rdtscp, 0, 0), VEC_UD + 1);
	assert_int_equal(run(f, exec_rdpmc, 0, 0), VEC_GP + 1);
	teardown(f);
}

static void test_leave(void **state)
{
	struct fake *f = setup(false);
	struct cpu *cpu = &f->cpu;

	assert_int_equal(run(f, exec_wrmsr, MSR_TSC_DEADLINE, 1ULL << 40 | 7),
			 -1);
	assert_int_equal(cpu->exit, CPU_EXIT_MSR);
	assert_true(cpu->msr.write && cpu->msr.index == MSR_TSC_DEADLINE);
	assert_true(cpu->msr.data == (1ULL << 40 | 7));
	assert_int_equal(cpu->msr.reason, CPU_MSR_OWNED);
	assert_int_equal(cpu->rip, 0x100);
	msr_complete(cpu);
	assert_int_equal(cpu->rip, 0x102);

	assert_int_equal(run(f, exec_rdmsr, MSR_APIC_BASE, 0), -1);
	cpu->msr.data = 0x1fee00900;
	msr_complete(cpu);
	assert_true(cpu->gpr[REG_RAX] == 0xfee00900 && cpu->gpr[REG_RDX] == 1);

	assert_int_equal(run(f, exec_rdmsr, 0x802, 0), -1);
	cpu->msr.failed = true;
	assert_int_equal(FAKE_RUN(f, msr_complete(cpu)), VEC_GP + 1);
	assert_int_equal(cpu->rip, 0x100);

	cpu->msr_exits = CPU_MSR_UNKNOWN;
	assert_int_equal(run(f, exec_rdmsr, 0x999, 0), -1);
	assert_int_equal(cpu->msr.reason, CPU_MSR_UNKNOWN);
	assert_int_equal(run(f, exec_wrmsr, MSR_PAT, 2), VEC_GP + 1);
	cpu->msr_exits = CPU_MSR_INVALID;
	assert_int_equal(run(f, exec_wrmsr, MSR_PAT, 2), -1);
	assert_int_equal(cpu->msr.reason, CPU_MSR_INVALID);
	teardown(f);
}

static bool deny(struct cpu *cpu, uint32_t index, bool write)
{
	return index == 0x35 && !write;
}

static int access(struct cpu *cpu, uint32_t index, bool write, uint64_t *data)
{
	if (index == MSR_TSC_DEADLINE)
		return -EAGAIN;
	if (write)
		return -EINVAL;
	*data = 0x123456789;
	return 0;
}

static void test_ops(void **state)
{
	static const struct cpu_ops ops = {
		.msr_denied = deny,
		.msr_access = access,
	};
	struct fake *f = setup(false);
	struct cpu *cpu = &f->cpu;

	cpu->ops = &ops;
	assert_int_equal(run(f, exec_rdmsr, 0x802, 0), 0);
	assert_true(cpu->gpr[REG_RAX] == 0x23456789 && cpu->gpr[REG_RDX] == 1);
	assert_int_equal(run(f, exec_wrmsr, 0x802, 0), VEC_GP + 1);
	assert_int_equal(run(f, exec_wrmsr, MSR_TSC_DEADLINE, 0), -1);

	cpu->msr_filter = true;
	assert_int_equal(run(f, exec_rdmsr, MSR_LSTAR, 0), 0);
	assert_int_equal(run(f, exec_rdmsr, 0x35, 0), VEC_GP + 1);
	cpu->msr_exits = CPU_MSR_DENIED;
	assert_int_equal(run(f, exec_rdmsr, 0x35, 0), -1);
	assert_int_equal(cpu->msr.reason, CPU_MSR_DENIED);
	teardown(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists), cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_rules), cmocka_unit_test(test_hwcr),
		cmocka_unit_test(test_tsc),   cmocka_unit_test(test_mce),
		cmocka_unit_test(test_exec),  cmocka_unit_test(test_leave),
		cmocka_unit_test(test_ops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
