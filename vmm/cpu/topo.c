/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -smp as QEMU reads it: what is left out becomes 1, except for the one level
 * that takes what the others leave of maxcpus: cores, or sockets on machines
 * older than 6.2, then the other of the two, then threads.
 */
#include "vmm/cpu/topo.h"

#include <errno.h>
#include <string.h>

#include "lib/keyval.h"

static const char *const level_names[TOPO_LEVELS] = {
	[TOPO_DEFAULT] = "default", [TOPO_THREAD] = "thread",
	[TOPO_CORE] = "core",       [TOPO_MODULE] = "module",
	[TOPO_DIE] = "die",         [TOPO_SOCKET] = "socket",
};

static const struct {
	const char *key;
	size_t offset;
} fields[] = {
	{"cpus", offsetof(struct topo, cpus)},
	{"maxcpus", offsetof(struct topo, maxcpus)},
	{"sockets", offsetof(struct topo, sockets)},
	{"dies", offsetof(struct topo, dies)},
	{"modules", offsetof(struct topo, modules)},
	{"cores", offsetof(struct topo, cores)},
	{"threads", offsetof(struct topo, threads)},
};

static unsigned *find_field(struct topo *t, const char *key)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fields); i++)
		if (!strcmp(fields[i].key, key))
			return (unsigned *)((char *)t + fields[i].offset);
	return NULL;
}

static void one_if_zero(unsigned *n)
{
	if (!*n)
		*n = 1;
}

static uint64_t product(const struct topo *t)
{
	return (uint64_t)t->sockets * t->dies * t->modules * t->cores *
	       t->threads;
}

/* Let @level take what the rest leaves of @max. */
static void fill(struct topo *t, unsigned *level, unsigned max)
{
	*level = 1;
	*level = (unsigned)MIN(max / MAX(product(t), 1U), UINT32_MAX);
}

static void complete(struct topo *t, bool prefer_sockets)
{
	unsigned max = t->maxcpus ? t->maxcpus : t->cpus;
	unsigned *first = prefer_sockets ? &t->sockets : &t->cores;
	unsigned *second = prefer_sockets ? &t->cores : &t->sockets;

	one_if_zero(&t->dies);
	one_if_zero(&t->modules);
	if (!max) {
		one_if_zero(first);
		one_if_zero(second);
		one_if_zero(&t->threads);
	} else if (!*first) {
		one_if_zero(second);
		one_if_zero(&t->threads);
		fill(t, first, max);
	} else if (!*second) {
		one_if_zero(&t->threads);
		fill(t, second, max);
	} else if (!t->threads) {
		fill(t, &t->threads, max);
	}
	if (!t->maxcpus)
		t->maxcpus = max ? max : (unsigned)product(t);
	if (!t->cpus)
		t->cpus = t->maxcpus;
}

static int check(const struct topo *t, const struct topo_rules *r,
		 struct err *e)
{
	if (r->flat && topo_is_deep(t))
		return err_set(e, -EINVAL,
			       "this machine has neither dies nor modules");
	if (product(t) != t->maxcpus)
		return err_set(e, -EINVAL,
			       "%u sockets x %u dies x %u modules x %u cores x "
			       "%u threads are not %u CPUs",
			       t->sockets, t->dies, t->modules, t->cores,
			       t->threads, t->maxcpus);
	if (t->cpus > t->maxcpus)
		return err_set(e, -EINVAL, "cpus=%u is more than maxcpus=%u",
			       t->cpus, t->maxcpus);
	if (t->maxcpus > r->max_cpus)
		return err_set(e, -ERANGE,
			       "%u CPUs are more than this machine's %u",
			       t->maxcpus, r->max_cpus);
	return 0;
}

/* Levels of other machines; here there is one of each. */
static bool is_foreign(const char *key)
{
	return !strcmp(key, "clusters") || !strcmp(key, "books") ||
	       !strcmp(key, "drawers");
}

static int parse_fields(struct topo *t, const char *arg, struct err *e)
{
	struct keyval kv;
	unsigned *field;
	uint64_t n;
	int ret;

	while ((ret = keyval_next(&arg, &kv, e)) > 0) {
		if (is_foreign(kv.key) && !strcmp(kv.value, "1"))
			continue;
		field = find_field(t, kv.bare ? "cpus" : kv.key);
		if (!field)
			return err_set(e, -EINVAL,
				       "'%s' is not offered (cpus, maxcpus, "
				       "sockets, dies, modules, cores, "
				       "threads)",
				       kv.key);
		ret = keyval_number(kv.value, 1, 4096, &n, e);
		if (ret)
			return ret;
		if (*field)
			return err_set(e, -EINVAL, "a count is given twice");
		*field = (unsigned)n;
	}
	return ret;
}

int topo_parse(struct topo *t, const char *arg, const struct topo_rules *r,
	       struct err *e)
{
	int ret = 0;

	*t = (struct topo){0};
	if (arg)
		ret = parse_fields(t, arg, e);
	if (ret)
		return ret;
	complete(t, r->prefer_sockets);
	return check(t, r, e);
}

/* Bits that numbers below @n need. */
static unsigned width(unsigned n)
{
	return n > 1 ? 32 - (unsigned)__builtin_clz(n - 1) : 0;
}

unsigned topo_shift(const struct topo *t, enum topo_level level)
{
	unsigned shift = 0;

	if (level > TOPO_THREAD)
		shift += width(t->threads);
	if (level > TOPO_CORE)
		shift += width(t->cores);
	if (level > TOPO_MODULE)
		shift += width(t->modules);
	if (level > TOPO_DIE)
		shift += width(t->dies);
	return shift;
}

unsigned topo_threads(const struct topo *t, enum topo_level level)
{
	unsigned n = 1;

	if (level > TOPO_THREAD)
		n *= t->threads;
	if (level > TOPO_CORE)
		n *= t->cores;
	if (level > TOPO_MODULE)
		n *= t->modules;
	if (level > TOPO_DIE)
		n *= t->dies;
	return n;
}

struct topo_place topo_place(const struct topo *t, unsigned index)
{
	struct topo_place p = {
		.socket = index / topo_threads(t, TOPO_SOCKET),
		.die = index / topo_threads(t, TOPO_DIE) % t->dies,
		.module = index / topo_threads(t, TOPO_MODULE) % t->modules,
		.core = index / t->threads % t->cores,
		.thread = index % t->threads,
	};

	p.apic_id = p.thread | p.core << topo_shift(t, TOPO_CORE) |
		    p.module << topo_shift(t, TOPO_MODULE) |
		    p.die << topo_shift(t, TOPO_DIE) |
		    p.socket << topo_shift(t, TOPO_SOCKET);
	return p;
}

const char *topo_level_name(enum topo_level level)
{
	return level < TOPO_LEVELS ? level_names[level] : "?";
}

enum topo_level topo_level_find(const char *name)
{
	unsigned i;

	for (i = 0; i < TOPO_LEVELS; i++)
		if (!strcmp(level_names[i], name))
			break;
	return (enum topo_level)i;
}
