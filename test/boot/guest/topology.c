/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What processes see of the CPUs: the answers of CPUID on each one, and what
 * the kernel made of them in /sys. The host compares both with the model.
 */
#include "check.h"

#include <sched.h>
#include <string.h>

static const struct {
	uint32_t leaf;
	uint32_t subleaves;
} asked[] = {
	{0x0, 1},        {0x1, 1},        {0x2, 1},        {0x4, 5},
	{0x7, 3},        {0xb, 3},        {0x1f, 5},       {0x80000000, 1},
	{0x80000001, 1}, {0x80000002, 1}, {0x80000003, 1}, {0x80000004, 1},
	{0x80000005, 1}, {0x80000006, 1}, {0x80000007, 1}, {0x80000008, 1},
	{0x8000001d, 5}, {0x8000001e, 1}, {0x80000021, 1},
};

static int move_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

static void print_cpuid(int cpu)
{
	uint32_t a, b, c, d, sub;
	size_t i;

	for (i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
		for (sub = 0; sub < asked[i].subleaves; sub++) {
			__asm__ volatile("cpuid"
					 : "=a"(a), "=b"(b), "=c"(c), "=d"(d)
					 : "a"(asked[i].leaf), "c"(sub));
			printf("cpuid %d %x %x %08x %08x %08x %08x\n", cpu,
			       asked[i].leaf, sub, a, b, c, d);
		}
}

/* One word of a file below /sys/devices/system/cpu/cpuN. */
static int print_file(int cpu, const char *name)
{
	char path[200], text[100] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/%s", cpu,
		 name);
	f = fopen(path, "r");
	if (!f)
		return 0;
	if (fgets(text, sizeof(text), f))
		printf("sysfs %d %s %s", cpu, name, text);
	fclose(f);
	return 1;
}

static void print_sysfs(int cpu)
{
	static const char *const cache[] = {
		"level",
		"type",
		"size",
		"ways_of_associativity",
		"number_of_sets",
		"coherency_line_size",
		"shared_cpu_list",
	};
	static const char *const topology[] = {
		"topology/physical_package_id",
		"topology/core_cpus_list",
		"topology/die_cpus_list",
		"topology/package_cpus_list",
	};
	char name[80];
	size_t i, k;

	for (i = 0; i < sizeof(topology) / sizeof(topology[0]); i++)
		print_file(cpu, topology[i]);
	for (k = 0; k < 8; k++)
		for (i = 0; i < sizeof(cache) / sizeof(cache[0]); i++) {
			snprintf(name, sizeof(name), "cache/index%zu/%s", k,
				 cache[i]);
			print_file(cpu, name);
		}
}

int check_topology(void)
{
	int cpu, n = cpu_count();

	for (cpu = 0; cpu < n; cpu++) {
		if (move_to(cpu))
			FAIL("CPU %d takes no process", cpu);
		print_cpuid(cpu);
		print_sysfs(cpu);
	}
	return 0;
}
