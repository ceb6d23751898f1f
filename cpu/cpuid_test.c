/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests of CPUID: the offered table against the host's own answers, what
 * a table allows, run-time bits, leaves beyond the limit per vendor.
 */
#include "cpu/cpuid.h"

#include <errno.h>

#include "cpu/crop.h"
#include "cpu/fake.h"
#include "cpu/insn.h"
#include "cpu/reset.h"
#include "cpu/xstate.h"

#define N 128

/* The host's own answer. */
#define HOST(leaf, subleaf, a, b, c, d)                       \
	__asm__ volatile("cpuid"                              \
			 : "=a"(a), "=b"(b), "=c"(c), "=d"(d) \
			 : "a"(leaf), "c"(subleaf))

static struct cpuid_entry table[N];
static int count;

static struct cpuid_entry *entry(uint32_t leaf, uint32_t subleaf)
{
	int i;

	for (i = 0; i < count; i++)
		if (table[i].leaf == leaf && table[i].subleaf == subleaf)
			return &table[i];
	return NULL;
}

static struct fake *setup(void)
{
	struct fake *f = fake_new();

	assert_int_equal(cpu_state_create(&f->cpu), 0);
	f->cpu.apic_base = 0xfee00900;
	count = cpuid_supported(table, N);
	assert_true(count > 20);
	return f;
}

static void teardown(struct fake *f)
{
	cpu_state_destroy(&f->cpu);
	fake_free(f);
}

static void test_supported(void **state)
{
	uint32_t a, b, c, d;
	struct cpuid_entry *e;

	teardown(setup());
	assert_int_equal(cpuid_supported(table, 5), -E2BIG);
	count = cpuid_supported(table, N);
	HOST(0, 0, a, b, c, d);
	e = entry(0, 0);
	assert_int_equal(e->ebx, b);
	assert_int_equal(e->ecx, c);
	assert_int_equal(e->edx, d);
	assert_true(e->eax >= 0xd);
	HOST(1, 0, a, b, c, d);
	e = entry(1, 0);
	assert_int_equal(e->eax, a);
	assert_int_equal(e->ebx >> 24, 0);
	/* never: MONITOR, VMX, DS, OSXSAVE; always: x2APIC, hypervisor */
	assert_int_equal(e->ecx & 0x08000028, 0);
	assert_int_equal(e->ecx & 0x80200000, 0x80200000);
	assert_int_equal(e->edx & (1 << 21), 0);
	/* native bits are the host's */
	assert_int_equal(e->ecx & 0x00d80201, c & 0x00d80201);
	HOST(7, 0, a, b, c, d);
	e = entry(7, 0);
	assert_int_equal(e->ebx & 0x20240108, b & 0x20240108);
	assert_int_equal(e->ebx & (1 << 11 | 1 << 4 | 1 << 14), 0);
	assert_int_equal(e->ebx & 0x00100681, 0x00100681); /* emulated */
	assert_int_equal(e->ecx & (1 << 16), 1 << 16);     /* LA57 */
	assert_int_equal(e->ecx & (1 << 4 | 1 << 7), 0);
	assert_int_equal(entry(0x80000008, 0)->eax >> 8 & 0xff, 57);
	assert_memory_equal(&entry(0x40000000, 0)->ebx, "KVMKVMKVM\0\0\0", 12);
	assert_int_equal(entry(0x40000001, 0)->eax, 0x100006b);
}

static void test_xstate_leaf(void **state)
{
	uint32_t a, b, c, d;
	struct cpuid_entry *e;
	unsigned int i;

	teardown(setup());
	e = entry(0xd, 0);
	if (!e) {
		skip();
		return;
	}
	for (i = 2; i < 8; i++) {
		HOST(0xd, i, a, b, c, d);
		if (!(e->eax >> i & 1))
			continue;
		assert_int_equal(entry(0xd, i)->eax, a);
		assert_int_equal(entry(0xd, i)->ebx, b);
	}
	assert_int_equal(e->eax & 0x200, 0x200);
	assert_int_equal(entry(0xd, 9)->eax, 8);
	assert_int_equal(e->ecx, entry(0xd, 9)->ebx + 8);
	assert_int_equal(entry(0xd, 1)->eax, 0xf);
	assert_int_equal(entry(0xd, 1)->ecx | entry(0xd, 1)->edx, 0);
}

static void test_set_table(void **state)
{
	struct fake *f = setup();
	struct cpu *cpu = &f->cpu;
	struct cpuid_entry bad = {.leaf = 0x80000008, .eax = 0x3130};
	struct cpuid_entry amx = {
		.leaf = 0xd, .flags = CPUID_INDEXED, .eax = 0x60007};

	assert_true(cpu_has(cpu, FEAT_LA57)); /* before any table */
	assert_int_equal(cpuid_set_table(cpu, &bad, 1), -EINVAL);
	assert_int_equal(cpuid_set_table(cpu, &amx, 1), -EPERM);
	assert_int_equal(cpuid_set_table(cpu, NULL, 0), 0);
	assert_false(cpu_has(cpu, FEAT_SSE2));
	assert_int_equal(cpu->maxphyaddr, 36);
	assert_int_equal(cpu->xcr0_allowed, 0);

	entry(1, 0)->ecx |= 1 << 5 | 1 << 3; /* VMX no, MONITOR yes */
	entry(7, 0)->ecx &= ~(1 << 16);
	assert_int_equal(cpuid_set_table(cpu, table, count), 0);
	assert_true(cpu_has(cpu, FEAT_SSE2));
	assert_false(cpu_has(cpu, FEAT_VMX));
	assert_true(cpu_has(cpu, FEAT_MONITOR));
	assert_int_equal(cpu->linear_bits, 48);
	assert_int_equal(cpu->cr4_allowed & CR4_LA57, 0);
	assert_int_equal(cpu->cr4_allowed & CR4_SMAP, CR4_SMAP);
	assert_int_equal(cpu->maxphyaddr, entry(0x80000008, 0)->eax & 0xff);
	assert_int_equal(cpu->xcr0_allowed,
			 entry(0xd, 0) ? entry(0xd, 0)->eax : 0);
	teardown(f);
}

static void test_runtime(void **state)
{
	struct fake *f = setup();
	struct cpu *cpu = &f->cpu;
	struct cpuid_entry e;
	uint32_t r[4];
	bool pku;
	int i;

	assert_int_equal(cpuid_set_table(cpu, table, count), 0);
	pku = cpu_has(cpu, FEAT_PKU);
	cpu->xcr0 = 1;
	cpuid_query(cpu, 1, 0, r);
	assert_int_equal(r[2] >> 27 & 1, 0);
	assert_int_equal(r[3] >> 9 & 1, 1);
	assert_int_equal(
		crop_set_cr4(cpu, cpu->cr4 | CR4_OSXSAVE | (pku ? CR4_PKE : 0)),
		0);
	cpu->apic_base = 0;
	cpuid_query(cpu, 1, 0, r);
	assert_int_equal(r[2] >> 27 & 1, 1);
	assert_int_equal(r[3] >> 9 & 1, 0);
	cpuid_query(cpu, 7, 0, r);
	assert_int_equal(r[2] >> 4 & 1, pku);
	cpuid_query(cpu, 0xd, 0, r);
	assert_int_equal(r[1], 576);
	assert_int_equal(crop_set_xcr0(cpu, 0x201), 0);
	cpuid_query(cpu, 0xd, 0, r);
	assert_int_equal(r[1], r[2]); /* PKRU comes last */
	cpuid_query(cpu, 0xd, 1, r);
	assert_int_equal(r[1], 584);
	for (i = 0; cpuid_get_entry(cpu, i, &e); i++)
		if (e.leaf == 1)
			assert_int_equal(e.ecx >> 27 & 1, 1);
	assert_int_equal(i, count);
	assert_true(cpuid_same_table(cpu, table, count));
	table[2].eax ^= 1;
	assert_false(cpuid_same_table(cpu, table, count));
	teardown(f);
}

static void set_vendor(const char *vendor)
{
	struct cpuid_entry *e = entry(0, 0);

	memcpy(&e->ebx, vendor, 4);
	memcpy(&e->edx, vendor + 4, 4);
	memcpy(&e->ecx, vendor + 8, 4);
	e->eax = 0xd;
}

static void test_out_of_range(void **state)
{
	struct fake *f = setup();
	uint32_t r[4], last[4], none[4] = {0};

	set_vendor("GenuineIntel");
	assert_int_equal(cpuid_set_table(&f->cpu, table, count), 0);
	assert_false(f->cpu.vendor_amd);
	cpuid_query(&f->cpu, 0xd, 1, last);
	cpuid_query(&f->cpu, 0x30, 1, r);
	assert_memory_equal(r, last, 16);
	cpuid_query(&f->cpu, 0x8000ffff, 1, r);
	assert_memory_equal(r, last, 16);
	cpuid_query(&f->cpu, 0x3, 0, r); /* within, but absent */
	assert_memory_equal(r, none, 16);

	set_vendor("AuthenticAMD");
	assert_int_equal(cpuid_set_table(&f->cpu, table, count), 0);
	assert_true(f->cpu.vendor_amd);
	cpuid_query(&f->cpu, 0x30, 1, r);
	assert_memory_equal(r, none, 16);
	teardown(f);
}

static void test_topology(void **state)
{
	struct fake *f = setup();
	struct cpuid_entry t[3] = {
		{.leaf = 0, .eax = 0x1f},
		{.leaf = 0xb, .subleaf = 0, .flags = CPUID_INDEXED, .edx = 7},
		{.leaf = 0xb, .subleaf = 1, .flags = CPUID_INDEXED, .edx = 7},
	};
	uint32_t r[4];

	assert_int_equal(cpuid_set_table(&f->cpu, t, 3), 0);
	cpuid_query(&f->cpu, 0xb, 0x105, r);
	assert_int_equal(r[2], 5);
	assert_int_equal(r[3], 7);
	assert_int_equal(r[0] | r[1], 0);
	teardown(f);
}

static void test_exec(void **state)
{
	struct fake *f = setup();
	struct cpu *cpu = &f->cpu;
	struct insn i = {0};
	uint32_t r[4];

	assert_int_equal(cpuid_set_table(cpu, table, count), 0);
	cpuid_query(cpu, 7, 0, r);
	cpu->gpr[REG_RAX] = 0xffffffff00000007;
	cpu->gpr[REG_RCX] = 0xffffffff00000000;
	assert_int_equal(exec_cpuid(cpu, &i), EXEC_NEXT);
	assert_true(cpu->gpr[REG_RBX] == r[1] && cpu->gpr[REG_RCX] == r[2]);
	cpu->cpuid_faulting = true;
	assert_int_equal(FAKE_RUN(f, exec_cpuid(cpu, &i)), 0);
	cpu->cpl = 3;
	assert_int_equal(FAKE_RUN(f, exec_cpuid(cpu, &i)), VEC_GP + 1);
	teardown(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_supported),
		cmocka_unit_test(test_xstate_leaf),
		cmocka_unit_test(test_set_table),
		cmocka_unit_test(test_runtime),
		cmocka_unit_test(test_out_of_range),
		cmocka_unit_test(test_topology),
		cmocka_unit_test(test_exec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
