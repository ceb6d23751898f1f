/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pc-i440fx and pc-q35 from 5.2 to 11.1, and microvm, which has no versions.
 */
#include "vmm/cpu/machtype.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Newest first. */
static const struct {
	uint16_t version;
	uint16_t q35_cpus; /* most CPUs of a pc-q35 */
} versions[] = {
	{1101, 4096}, {1100, 4096}, {1002, 4096}, {1001, 4096}, {1000, 4096},
	{902, 4096},  {901, 4096},  {900, 4096},  {802, 1024},  {801, 1024},
	{800, 288},   {702, 288},   {701, 288},   {700, 288},   {602, 288},
	{601, 288},   {600, 288},   {502, 288},
};

/* What machines of @version and older do otherwise than newer ones. */
static const struct {
	uint16_t version;
	const char *cpu; /* NULL: every one */
	const char *delta;
} deltas[] = {
	{1000, NULL, "x-consistent-cache=off"},
	{1000, NULL, "x-vendor-cpuid-only-v2=off"},
	{1000, NULL, "x-arch-cap-always-on=on"},
	{1000, NULL, "x-pdcm-on-even-without-pmu=on"},
	{900, NULL, "x-l1-cache-per-thread=off"},
	{900, NULL, "x-amd-topoext-features-only=off"},
	{900, NULL, "legacy-multi-node=on"},
	{900, NULL, "guest-phys-bits=0"},
	{600, NULL, "x-vendor-cpuid-only=off"},
	{600, "qemu64", "family=6"},
	{600, "qemu64", "model=6"},
	{600, "qemu64", "stepping=3"},
};

/* Up to here -smp N means N sockets. */
#define PREFERS_SOCKETS 601

static const struct {
	const char *prefix;
	const char *alias;
	enum machtype_board board;
} boards[] = {
	{"pc-i440fx", "pc", BOARD_I440FX},
	{"pc-q35", "q35", BOARD_Q35},
};

#define MICROVM_CPUS 255

static void fill_pc(struct machtype *m, unsigned board, unsigned v)
{
	unsigned version = versions[v].version;

	*m = (struct machtype){
		.board = boards[board].board,
		.version = version,
		.smp_cache = true,
		.smp =
			{
				.prefer_sockets = version <= PREFERS_SOCKETS,
				.max_cpus = 255,
			},
	};
	if (m->board == BOARD_Q35)
		m->smp.max_cpus = versions[v].q35_cpus;
	snprintf(m->name, sizeof(m->name), "%s-%u.%u", boards[board].prefix,
		 version / 100, version % 100);
}

static void fill_microvm(struct machtype *m)
{
	*m = (struct machtype){
		.name = "microvm",
		.board = BOARD_MICROVM,
		.version = MACHTYPE_NEWEST,
		.latest = true,
		.smp = {.max_cpus = MICROVM_CPUS, .flat = true},
	};
}

bool machtype_get(unsigned n, struct machtype *m, const char **alias)
{
	unsigned count = ARRAY_SIZE(versions);

	*alias = NULL;
	if (n < count * ARRAY_SIZE(boards)) {
		fill_pc(m, n / count, n % count);
		if (!(n % count))
			*alias = boards[n / count].alias;
	} else if (n == count * ARRAY_SIZE(boards)) {
		fill_microvm(m);
	} else {
		return false;
	}
	return true;
}

int machtype_find(const char *name, struct machtype *m, struct err *e)
{
	const char *alias;
	unsigned n;

	for (n = 0; machtype_get(n, m, &alias); n++) {
		if (strcmp(m->name, name) && (!alias || strcmp(alias, name)))
			continue;
		return 0;
	}
	return err_set(e, -EINVAL,
		       "'%s' is no machine type; -machine help lists them",
		       name);
}

int machtype_deltas(const struct machtype *m, const char *cpu,
		    int (*apply)(void *priv, const char *delta, struct err *e),
		    void *priv, struct err *e)
{
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(deltas); i++) {
		if (m->version > deltas[i].version)
			continue;
		if (deltas[i].cpu && strcmp(deltas[i].cpu, cpu))
			continue;
		ret = apply(priv, deltas[i].delta, e);
		if (ret)
			return ret;
	}
	return 0;
}
