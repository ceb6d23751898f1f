/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoders. They share nothing with the encoders but the table of leaf 2
 * descriptors.
 */
#include "vmm/cpu/view.h"

#include <stdio.h>
#include <string.h>

static void get(const struct answers *a, uint32_t leaf, uint32_t subleaf,
		uint32_t r[4])
{
	a->leaf(a, 0, leaf, subleaf, r);
}

static void read_identity(struct view *v, const struct answers *a)
{
	uint32_t r[4];
	unsigned i;

	get(a, 0, 0, r);
	v->level = r[0];
	memcpy(v->vendor, &r[1], 4);
	memcpy(v->vendor + 4, &r[3], 4);
	memcpy(v->vendor + 8, &r[2], 4);
	get(a, CPUID_EXT, 0, r);
	v->xlevel = r[0] >= CPUID_EXT ? r[0] : 0;
	get(a, CPUID_SIGNATURE, 0, r);
	v->signature = r[0];
	v->family = r[0] >> 8 & 0xf;
	if (v->family == 0xf)
		v->family += r[0] >> 20 & 0xff;
	v->model = (r[0] >> 4 & 0xf) | (r[0] >> 16 & 0xf) << 4;
	v->stepping = r[0] & 0xf;
	for (i = 0; i < 3 && v->xlevel >= CPUID_EXT_BRAND + 2; i++) {
		get(a, CPUID_EXT_BRAND + i, 0, r);
		memcpy(v->model_id + 16 * i, r, 16);
	}
}

static bool exists(const struct view *v, const struct answers *a, uint32_t leaf)
{
	uint32_t r[4];

	if (leaf >> 28 == 8)
		return leaf <= v->xlevel;
	if (leaf < 0x40000000)
		return leaf <= v->level;
	if (leaf < CPUID_EXT)
		return true;
	get(a, 0xc0000000, 0, r);
	return r[0] >= leaf && r[0] < 0xc0001000;
}

static void read_words(struct view *v, const struct answers *a)
{
	const struct feature_place *p;
	uint32_t r[4];
	unsigned w;

	for (w = 0; w < CPUID_MODEL_WORDS; w++) {
		p = &feature_places[w];
		if (p->msr || !exists(v, a, p->leaf))
			continue;
		get(a, p->leaf, p->subleaf, r);
		v->words[w] = r[p->reg];
	}
}

/* Leaf 0x1F, or 0xB: the shift of each level is that of the next. */
static bool read_levels(struct view *v, const struct answers *a, uint32_t leaf)
{
	unsigned i, below = 0;
	uint32_t r[4];

	for (i = 0; i < 8; i++) {
		get(a, leaf, i, r);
		switch (r[2] >> 8 & 0xff) {
		case 0:
			v->package_shift = below;
			return i && r[3] == view_apic_id(a, 0);
		case 1: v->core_shift = r[0] & 0x1f; break;
		case 3: v->module_shift = below; break;
		case 5: v->die_shift = below; break;
		}
		below = r[0] & 0x1f;
	}
	return false;
}

static unsigned bits_for(unsigned n)
{
	unsigned bits = 0;

	while ((1U << bits) < n)
		bits++;
	return bits;
}

static void read_topology(struct view *v, const struct answers *a)
{
	uint32_t r[4];

	if (v->level >= CPUID_TOPOLOGY2 && read_levels(v, a, CPUID_TOPOLOGY2))
		return;
	if (v->level >= CPUID_TOPOLOGY && read_levels(v, a, CPUID_TOPOLOGY))
		return;
	get(a, CPUID_SIGNATURE, 0, r);
	v->package_shift = bits_for(r[1] >> 16 & 0xff);
	if (v->xlevel >= CPUID_EXT_TOPOLOGY) {
		get(a, CPUID_EXT_TOPOLOGY, 0, r);
		v->core_shift = bits_for((r[1] >> 8 & 0xff) + 1);
	}
}

void view_read(struct view *v, const struct answers *a)
{
	uint32_t r[4];

	memset(v, 0, sizeof(*v));
	read_identity(v, a);
	read_words(v, a);
	read_topology(v, a);
	if (v->xlevel >= CPUID_EXT_ADDRESS) {
		get(a, CPUID_EXT_ADDRESS, 0, r);
		v->phys_bits = r[0] & 0xff;
		v->linear_bits = r[0] >> 8 & 0xff;
	}
}

uint32_t view_apic_id(const struct answers *a, unsigned cpu)
{
	uint32_t r[4], id;

	a->leaf(a, cpu, CPUID_SIGNATURE, 0, r);
	id = r[1] >> 24;
	a->leaf(a, cpu, CPUID_VENDOR, 0, r);
	if (r[0] < CPUID_TOPOLOGY)
		return id;
	a->leaf(a, cpu, CPUID_TOPOLOGY, 0, r);
	return r[1] ? r[3] : id;
}

/* ---- caches ---- */

static unsigned read_long(const struct answers *a, uint32_t leaf,
			  struct view_cache *out)
{
	uint32_t r[4];
	unsigned n;

	for (n = 0; n < VIEW_CACHES; n++, out++) {
		get(a, leaf, n, r);
		if (!(r[0] & 0x1f))
			break;
		*out = (struct view_cache){
			.type = r[0] & 0x1f,
			.level = r[0] >> 5 & 7,
			.line = (r[1] & 0xfff) + 1,
			.ways = (r[1] >> 22) + 1,
			.sets = r[2] + 1,
			.shift = bits_for((r[0] >> 14 & 0xfff) + 1),
			.flags = r[3] & 7,
			.self_init = r[0] >> 8 & 1,
		};
		out->size = (uint64_t)out->line * out->ways * out->sets *
			    ((r[1] >> 12 & 0x3ff) + 1);
	}
	return n;
}

static unsigned read_l1(const struct answers *a, struct view_cache *out)
{
	uint32_t r[4];
	unsigned i;

	get(a, CPUID_EXT_L1, 0, r);
	for (i = 0; i < 2; i++)
		out[i] = (struct view_cache){
			.type = i ? CACHE_CODE : CACHE_DATA,
			.level = 1,
			.size = (uint64_t)(r[2 + i] >> 24) << 10,
			.ways = r[2 + i] >> 16 & 0xff,
			.line = r[2 + i] & 0xff,
		};
	return r[2] || r[3] ? 2 : 0;
}

/* APM 3 "Function 8000_0006h": ways by code. */
static uint32_t ways_of(uint32_t code)
{
	static const uint8_t ways[16] = {0,  1, 2,  3,  4,  6,  8,   0,
					 16, 0, 32, 48, 64, 96, 128, 255};

	return ways[code & 0xf];
}

static unsigned read_l2(const struct answers *a, struct view_cache *out)
{
	uint32_t r[4];
	unsigned n = 0;

	get(a, CPUID_EXT_L2, 0, r);
	if (r[2])
		out[n++] = (struct view_cache){
			.type = CACHE_UNIFIED,
			.level = 2,
			.size = (uint64_t)(r[2] >> 16) << 10,
			.ways = ways_of(r[2] >> 12),
			.line = r[2] & 0xff,
		};
	if (r[3])
		out[n++] = (struct view_cache){
			.type = CACHE_UNIFIED,
			.level = 3,
			.size = (uint64_t)(r[3] >> 18) << 19,
			.ways = ways_of(r[3] >> 12),
			.line = r[3] & 0xff,
		};
	return n;
}

static unsigned read_descriptors(const struct answers *a,
				 struct view_cache *out)
{
	uint32_t r[4];
	struct cache c;
	unsigned n = 0, i, reg;

	get(a, CPUID_CACHE_DESC, 0, r);
	for (reg = 1; reg < 4; reg++)
		for (i = 0; i < 4 && !(r[reg] >> 31); i++) {
			if (n == VIEW_CACHES ||
			    !cache_from_descriptor(r[reg] >> 8 * i & 0xff, &c))
				continue;
			out[n++] = (struct view_cache){
				.type = (uint8_t)c.type,
				.level = c.level,
				.size = c.size,
				.ways = c.ways,
				.line = c.line,
			};
		}
	return n;
}

unsigned view_caches(const struct answers *a, uint32_t leaf,
		     struct view_cache out[VIEW_CACHES])
{
	struct view v;

	view_read(&v, a);
	if (leaf > (leaf >> 31 ? v.xlevel : v.level))
		return 0;
	switch (leaf) {
	case CPUID_CACHE_DESC: return read_descriptors(a, out);
	case CPUID_EXT_L1: return read_l1(a, out);
	case CPUID_EXT_L2: return read_l2(a, out);
	default: return read_long(a, leaf, out);
	}
}

unsigned view_best_caches(const struct answers *a,
			  struct view_cache out[VIEW_CACHES])
{
	unsigned n = view_caches(a, CPUID_CACHE, out);

	return n ? n : view_caches(a, CPUID_EXT_CACHE, out);
}

/* ---- contradictions ---- */

static const struct {
	uint32_t leaf;
	bool shows_ways; /* every number of ways has a code */
	bool shows_sharing;
} cache_leaves[] = {
	{CPUID_CACHE_DESC, true, false}, {CPUID_CACHE, true, true},
	{CPUID_EXT_L1, true, false},     {CPUID_EXT_L2, false, false},
	{CPUID_EXT_CACHE, true, true},
};

static const struct view_cache *
same_kind(const struct view_cache *list, unsigned n, const struct view_cache *c)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (list[i].type == c->type && list[i].level == c->level)
			return &list[i];
	return NULL;
}

/* What two leaves say about one cache. */
static const char *differ(const struct view_cache *x,
			  const struct view_cache *y, bool ways, bool sharing)
{
	if (x->size != y->size)
		return "size";
	if (x->line != y->line)
		return "line size";
	if (ways && x->ways != y->ways)
		return "ways";
	if (sharing && x->shift != y->shift)
		return "sharing";
	return NULL;
}

static const char *compare(const struct answers *a, unsigned i, unsigned k,
			   char *buf, size_t size)
{
	struct view_cache x[VIEW_CACHES], y[VIEW_CACHES];
	unsigned nx = view_caches(a, cache_leaves[i].leaf, x), c;
	unsigned ny = view_caches(a, cache_leaves[k].leaf, y);
	bool ways = cache_leaves[i].shows_ways && cache_leaves[k].shows_ways;
	bool sharing = cache_leaves[i].shows_sharing &&
		       cache_leaves[k].shows_sharing;
	const struct view_cache *other;
	const char *what;

	for (c = 0; c < nx; c++) {
		other = same_kind(y, ny, &x[c]);
		what = other ? differ(&x[c], other, ways, sharing) : NULL;
		if (!what)
			continue;
		snprintf(buf, size,
			 "leaves %#x and %#x differ in the %s of level %u",
			 cache_leaves[i].leaf, cache_leaves[k].leaf, what,
			 x[c].level);
		return buf;
	}
	return NULL;
}

const char *view_contradiction(const struct answers *a, char *buf, size_t size)
{
	const char *what;
	unsigned i, k;

	for (i = 0; i < ARRAY_SIZE(cache_leaves); i++)
		for (k = i + 1; k < ARRAY_SIZE(cache_leaves); k++) {
			what = compare(a, i, k, buf, size);
			if (what)
				return what;
		}
	return NULL;
}
