/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random models, properties, machines and topologies: nothing crashes, the
 * same request gives the same answers, topology leaves agree with each
 * other, and where one description is meant to serve all leaves a decoder
 * that shares nothing with the encoders finds the same caches in each.
 * Machines up to 10.0 differ on purpose and are only held to the rest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/check.h"
#include "vmm/cpu/request.h"
#include "vmm/cpu/view.h"

#define ROUNDS 6000
#define SEED   20260131

static uint64_t state = SEED;

static unsigned pick(unsigned n)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(state >> 33) % n;
}

static const char *const properties[] = {
	"legacy-cache=on",
	"legacy-cache=off",
	"l3-cache=off",
	"x-vendor-cpuid-only=off",
	"x-vendor-cpuid-only-v2=off",
	"x-vendor-cpuid-only-v2=on",
	"x-consistent-cache=off",
	"x-consistent-cache=on",
	"x-l1-cache-per-thread=off",
	"x-amd-topoext-features-only=off",
	"legacy-multi-node=on",
	"x-force-cpuid-0x1f=on",
	"cpuid-0xb=off",
	"vendor=GenuineIntel",
	"vendor=AuthenticAMD",
	"vendor=HygonGenuine",
	"vendor=CentaurHauls",
	"vendor=  Shanghai  ",
	"level=31",
	"level=2",
	"min-level=4",
	"xlevel=0x80000026",
	"min-xlevel=0x8000001e",
	"+topoext",
	"-xsave",
	"+avx10",
	"+avx512f",
	"pmu=on",
	"family=300",
	"stepping=16",
	"phys-bits=45",
	"phys-bits=0",
	"guest-phys-bits=36",
	"host-cache-info=on",
	"+svm",
	"-lm",
	"+amx-tile",
	"nonsense",
	"=",
	"+",
	"model-id=x",
	"enforce",
	"check=off",
};

static const char *const levels[] = {"default", "thread", "core",
				     "module",  "die",    "socket"};
static const char *const caches[] = {"l1d", "l1i", "l2", "l3"};

static void random_cpu(char *out, size_t size)
{
	unsigned n = 0, count = pick(4), i, versions;
	const struct cpu_model *m;

	while (model_get(n))
		n++;
	i = pick(n + 2);
	m = i < n ? model_get(i) : NULL;
	versions = m ? model_versions(m) : 0;
	i = pick(versions + 1);
	if (m && i)
		snprintf(out, size, "%s-v%u", m->name, i);
	else
		snprintf(out, size, "%s", m ? m->name : "max");
	while (count--) {
		strcat(out, ",");
		strcat(out, properties[pick(ARRAY_SIZE(properties))]);
	}
}

static void random_machine(char *out, size_t size)
{
	struct machtype m;
	const char *alias;
	unsigned n = 0, count = pick(3), i;
	size_t used;

	while (machtype_get(n, &m, &alias))
		n++;
	machtype_get(pick(n), &m, &alias);
	used = (size_t)snprintf(out, size, "%s", m.name);
	for (i = 0; i < count; i++)
		used += (size_t)snprintf(
			out + used, size - used,
			",smp-cache.%u.cache=%s,smp-cache.%u.topology=%s", i,
			caches[pick(4)], i, levels[pick(6)]);
}

static void random_smp(char *out, size_t size)
{
	unsigned s = 1 + pick(2), d = 1 + pick(3), m = 1 + pick(2);
	unsigned c = 1 + pick(5), t = 1 + pick(2);

	if (pick(3))
		d = m = 1;
	if (!pick(20))
		snprintf(out, size, "%u,cores=%u,dies=%u", 1 + pick(40), c, d);
	else
		snprintf(out, size,
			 "%u,sockets=%u,dies=%u,modules=%u,cores=%u,threads=%u",
			 s * d * m * c * t, s, d, m, c, t);
}

static int resolve(struct cpu_def *def, const char *cpu, const char *machine,
		   const char *smp, struct err *e)
{
	static struct cpu_accel accel;
	struct request r;
	int ret;

	accel.kind = pick(2) ? CPU_ACCEL_NONE : CPU_ACCEL_TCG;
	memcpy(accel.words, cpu_tcg_words, sizeof(accel.words));
	request_init(&r, "max", "pc");
	ret = request_cpu(&r, cpu, e);
	if (!ret)
		ret = request_machine(&r, machine, e);
	if (!ret)
		ret = request_smp(&r, smp, e);
	if (!ret)
		ret = request_finish(&r, e);
	return ret ? ret : cpu_def_resolve(def, &r.cpu, &accel, e);
}

static void sum(void *priv, uint32_t leaf, uint32_t subleaf,
		const uint32_t r[4])
{
	uint64_t *h = priv;
	unsigned i;

	*h = (*h ^ leaf ^ (uint64_t)subleaf << 32) * 1099511628211ULL;
	for (i = 0; i < 4; i++)
		*h = (*h ^ r[i]) * 1099511628211ULL;
}

static uint64_t checksum(const struct answers *a)
{
	uint64_t h = 14695981039346656037ULL;
	unsigned cpu;

	for (cpu = 0; cpu < a->cpus; cpu++)
		answers_each(a, cpu, sum, &h);
	return h;
}

/* APIC ids are all different, and each leaf has the same ones. */
static const char *check_ids(const struct cpu_def *def, const struct answers *a)
{
	uint32_t r[4], id, last = 0;
	unsigned cpu;

	for (cpu = 0; cpu < a->cpus; cpu++) {
		a->leaf(a, cpu, CPUID_SIGNATURE, 0, r);
		id = topo_place(&def->topo, cpu).apic_id;
		if (def->level >= 1 && r[1] >> 24 != (id & 0xff))
			return "APIC id of leaf 1";
		if (cpu && id <= last)
			return "order of APIC ids";
		last = id;
		a->leaf(a, cpu, CPUID_TOPOLOGY, 0, r);
		if (def->level >= CPUID_TOPOLOGY && def->leaf_b && r[3] != id)
			return "APIC id of leaf 0xb";
		a->leaf(a, cpu, CPUID_EXT_TOPOLOGY, 0, r);
		if (def->xlevel >= CPUID_EXT_TOPOLOGY && r[0] != id)
			return "APIC id of leaf 0x8000001e";
	}
	return NULL;
}

static const char *check_widths(const struct cpu_def *def,
				const struct answers *a)
{
	struct view_cache c[VIEW_CACHES];
	struct view v;
	unsigned n, i;

	view_read(&v, a);
	if (def->level < CPUID_TOPOLOGY || !def->leaf_b)
		return NULL;
	if (v.core_shift != topo_shift(&def->topo, TOPO_CORE) ||
	    v.package_shift != topo_shift(&def->topo, TOPO_SOCKET))
		return "widths of APIC ids";
	n = view_best_caches(a, c);
	for (i = 0; i < n; i++)
		if (c[i].shift > v.package_shift)
			return "a cache wider than its socket";
	return NULL;
}

/* One description in every leaf? */
static bool is_uniform(const struct cpu_def *def)
{
	if (!def->l1_per_core || def->host_cache_info)
		return false;
	return !def->legacy_cache ||
	       (def->vendor_only_v2 && def->consistent_cache);
}

static const char *check_def(const struct cpu_def *def, char *buf, size_t size)
{
	struct answers a = answers_of_def(def);
	const char *wrong = check_ids(def, &a);

	if (!wrong)
		wrong = check_widths(def, &a);
	if (!wrong && is_uniform(def))
		wrong = view_contradiction(&a, buf, size);
	return wrong;
}

static bool round_ok(unsigned *taken, unsigned *uniform)
{
	char cpu[400], machine[300], smp[100], buf[200];
	struct cpu_def one, two;
	struct answers a, b;
	struct err e = {0};
	const char *wrong = NULL;
	uint64_t before;

	random_cpu(cpu, sizeof(cpu));
	random_machine(machine, sizeof(machine));
	random_smp(smp, sizeof(smp));
	before = state;
	if (resolve(&one, cpu, machine, smp, &e)) {
		if (!e.msg[0] || strchr(e.msg, '\n'))
			wrong = "a refusal without a sentence";
	} else {
		state = before;
		ASSERT(!resolve(&two, cpu, machine, smp, &e));
		a = answers_of_def(&one);
		b = answers_of_def(&two);
		wrong = check_def(&one, buf, sizeof(buf));
		if (checksum(&a) != checksum(&b))
			wrong = "two answers to one question";
		*taken += 1;
		*uniform += is_uniform(&one);
	}
	if (wrong)
		printf("-cpu '%s' -machine %s -smp %s: %s\n", cpu, machine, smp,
		       wrong);
	return !wrong;
}

int main(void)
{
	unsigned i, taken = 0, uniform = 0, bad = 0;

	for (i = 0; i < ROUNDS; i++)
		bad += !round_ok(&taken, &uniform);
	printf("%d rounds, %u taken, %u of one description, %u wrong\n", ROUNDS,
	       taken, uniform, bad);
	return bad || taken < ROUNDS / 10 || uniform < ROUNDS / 20;
}
