/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The encoders. Intel's leaf 2 names whole caches by a byte, leaf 4 and AMD's
 * 0x8000001D spell them out, 0x80000005 and 0x80000006 have too few bits for
 * everything and leave out what does not fit.
 */
#include "vmm/cpu/cache.h"

#include <string.h>
#include <strings.h>

#include "lib/check.h"

#define NO_DESCRIPTOR 0xff /* leaf 2: ask leaf 4 */
#define ASK_LEAF_4    0xff

/*
 * SDM 2A "CPUID", table of leaf 2 descriptors: those that say everything
 * about a cache. The lowest code wins where two say the same. 0x49 is an L3
 * on one old Xeon and an L2 elsewhere; here it is the L2.
 */
static const struct descriptor {
	uint8_t code;
	uint8_t level;
	uint8_t type;
	uint8_t ways;
	uint8_t line;
	uint16_t kib;
} descriptors[] = {
	{0x06, 1, CACHE_CODE, 4, 32, 8},
	{0x08, 1, CACHE_CODE, 4, 32, 16},
	{0x09, 1, CACHE_CODE, 4, 64, 32},
	{0x0a, 1, CACHE_DATA, 2, 32, 8},
	{0x0c, 1, CACHE_DATA, 4, 32, 16},
	{0x0d, 1, CACHE_DATA, 4, 64, 16},
	{0x0e, 1, CACHE_DATA, 6, 64, 24},
	{0x1d, 2, CACHE_UNIFIED, 2, 64, 128},
	{0x21, 2, CACHE_UNIFIED, 8, 64, 256},
	{0x24, 2, CACHE_UNIFIED, 16, 64, 1024},
	{0x2c, 1, CACHE_DATA, 8, 64, 32},
	{0x30, 1, CACHE_CODE, 8, 64, 32},
	{0x41, 2, CACHE_UNIFIED, 4, 32, 128},
	{0x42, 2, CACHE_UNIFIED, 4, 32, 256},
	{0x43, 2, CACHE_UNIFIED, 4, 32, 512},
	{0x44, 2, CACHE_UNIFIED, 4, 32, 1024},
	{0x45, 2, CACHE_UNIFIED, 4, 32, 2048},
	{0x46, 3, CACHE_UNIFIED, 4, 64, 4096},
	{0x47, 3, CACHE_UNIFIED, 8, 64, 8192},
	{0x48, 2, CACHE_UNIFIED, 12, 64, 3072},
	{0x49, 2, CACHE_UNIFIED, 16, 64, 4096},
	{0x4a, 3, CACHE_UNIFIED, 12, 64, 6144},
	{0x4b, 3, CACHE_UNIFIED, 16, 64, 8192},
	{0x4c, 3, CACHE_UNIFIED, 12, 64, 12288},
	{0x4d, 3, CACHE_UNIFIED, 16, 64, 16384},
	{0x4e, 2, CACHE_UNIFIED, 24, 64, 6144},
	{0x60, 1, CACHE_DATA, 8, 64, 16},
	{0x66, 1, CACHE_DATA, 4, 64, 8},
	{0x67, 1, CACHE_DATA, 4, 64, 16},
	{0x68, 1, CACHE_DATA, 4, 64, 32},
	{0x78, 2, CACHE_UNIFIED, 4, 64, 1024},
	{0x7d, 2, CACHE_UNIFIED, 8, 64, 2048},
	{0x7f, 2, CACHE_UNIFIED, 2, 64, 512},
	{0x80, 2, CACHE_UNIFIED, 8, 64, 512},
	{0x82, 2, CACHE_UNIFIED, 8, 32, 256},
	{0x83, 2, CACHE_UNIFIED, 8, 32, 512},
	{0x84, 2, CACHE_UNIFIED, 8, 32, 1024},
	{0x85, 2, CACHE_UNIFIED, 8, 32, 2048},
	{0x86, 2, CACHE_UNIFIED, 4, 64, 512},
	{0x87, 2, CACHE_UNIFIED, 8, 64, 1024},
	{0xd0, 3, CACHE_UNIFIED, 4, 64, 512},
	{0xd1, 3, CACHE_UNIFIED, 4, 64, 1024},
	{0xd2, 3, CACHE_UNIFIED, 4, 64, 2048},
	{0xd6, 3, CACHE_UNIFIED, 8, 64, 1024},
	{0xd7, 3, CACHE_UNIFIED, 8, 64, 2048},
	{0xd8, 3, CACHE_UNIFIED, 8, 64, 4096},
	{0xdc, 3, CACHE_UNIFIED, 12, 64, 1536},
	{0xdd, 3, CACHE_UNIFIED, 12, 64, 3072},
	{0xde, 3, CACHE_UNIFIED, 12, 64, 6144},
	{0xe2, 3, CACHE_UNIFIED, 16, 64, 2048},
	{0xe3, 3, CACHE_UNIFIED, 16, 64, 4096},
	{0xe4, 3, CACHE_UNIFIED, 16, 64, 8192},
	{0xea, 3, CACHE_UNIFIED, 24, 64, 12288},
	{0xeb, 3, CACHE_UNIFIED, 24, 64, 18432},
	{0xec, 3, CACHE_UNIFIED, 24, 64, 24576},
};

static const char *const names[CACHE_COUNT] = {"L1d", "L1i", "L2", "L3"};

const char *cache_name(enum cache_index i)
{
	return i < CACHE_COUNT ? names[i] : "?";
}

enum cache_index cache_find(const char *name)
{
	unsigned i;

	for (i = 0; i < CACHE_COUNT; i++)
		if (!strcasecmp(names[i], name))
			break;
	return (enum cache_index)i;
}

bool cache_is_sound(const struct cache *c)
{
	return c->ways && c->sets && c->line && c->partitions &&
	       c->ways < c->sets && c->share > TOPO_DEFAULT &&
	       c->share < TOPO_LEVELS &&
	       (uint64_t)c->line * c->ways * c->partitions * c->sets == c->size;
}

const char *cache_check_sharing(const struct cache_model *m)
{
	if (m->c[CACHE_L1D].share > m->c[CACHE_L2].share ||
	    m->c[CACHE_L1I].share > m->c[CACHE_L2].share)
		return "an L2 cache may not be shared by fewer than an L1";
	if (m->c[CACHE_L2].share > m->c[CACHE_L3].share)
		return "an L3 cache may not be shared by fewer than an L2";
	return NULL;
}

static void blank(uint32_t out[4])
{
	memset(out, 0, 4 * sizeof(out[0]));
}

/* ---- leaf 2 ---- */

static uint8_t find_descriptor(const struct cache *c)
{
	const struct descriptor *d = descriptors;

	for (; d < descriptors + ARRAY_SIZE(descriptors); d++)
		if (d->level == c->level && d->type == c->type &&
		    d->kib * 1024U == c->size && d->ways == c->ways &&
		    d->line == c->line)
			return d->code;
	return NO_DESCRIPTOR;
}

bool cache_from_descriptor(uint8_t code, struct cache *c)
{
	const struct descriptor *d = descriptors;

	for (; d < descriptors + ARRAY_SIZE(descriptors); d++) {
		if (d->code != code)
			continue;
		*c = (struct cache){
			.type = (enum cache_type)d->type,
			.level = d->level,
			.line = d->line,
			.ways = d->ways,
			.size = d->kib * 1024U,
		};
		return true;
	}
	return false;
}

void cache_encode_2(const struct cache_model *m, bool l3, bool consistent,
		    bool leaf4, uint32_t out[4])
{
	uint8_t code[CACHE_COUNT];
	bool known = true;
	unsigned i;

	for (i = 0; i < CACHE_COUNT; i++) {
		code[i] = find_descriptor(&m->c[i]);
		known = known && code[i] != NO_DESCRIPTOR;
	}
	blank(out);
	out[0] = 1;
	if (consistent && (leaf4 || !known)) {
		out[3] = ASK_LEAF_4;
		return;
	}
	out[2] = l3 ? code[CACHE_L3] : 0;
	out[3] = (uint32_t)code[CACHE_L1D] << 16 | code[CACHE_L1I] << 8 |
		 code[CACHE_L2];
}

/* ---- leaves 4 and 0x8000001D ---- */

/* What both have: how many APIC ids share it, geometry, flags. */
static void encode_long(const struct cache *c, const struct topo *t,
			uint32_t out[4])
{
	uint32_t sharers = (1U << topo_shift(t, c->share)) - 1;

	ASSERT(cache_is_sound(c));
	out[0] = (uint32_t)c->type | (uint32_t)c->level << 5 |
		 (uint32_t)c->self_init << 8 | MIN(sharers, 4095U) << 14;
	out[1] = (c->line - 1U) | (c->partitions - 1U) << 12 |
		 (c->ways - 1U) << 22;
	out[2] = c->sets - 1;
	out[3] = (uint32_t)c->no_invd_sharing | (uint32_t)c->inclusive << 1 |
		 (uint32_t)c->complex_index << 2;
}

void cache_encode_4(const struct cache_model *m, const struct topo *t,
		    uint32_t subleaf, bool l3, bool l1_shared, uint32_t out[4])
{
	uint32_t cores;

	blank(out);
	if (subleaf >= CACHE_COUNT || (subleaf == CACHE_L3 && !l3))
		return;
	encode_long(&m->c[subleaf], t, out);
	if (!l1_shared && subleaf <= CACHE_L1I)
		out[0] &= 0x3fff;
	cores = 1U << (topo_shift(t, TOPO_SOCKET) - topo_shift(t, TOPO_CORE));
	out[0] |= MIN(cores - 1, 63U) << 26;
}

void cache_encode_8000001d(const struct cache_model *m, const struct topo *t,
			   uint32_t subleaf, bool no_index, uint32_t out[4])
{
	blank(out);
	if (subleaf >= CACHE_COUNT)
		return;
	encode_long(&m->c[subleaf], t, out);
	if (no_index)
		out[3] &= 3;
}

/* ---- leaves 0x80000005 and 0x80000006 ---- */

/* The TLBs, which are no part of the model: all entries, no particular. */
#define L1_TLB 0x01ff01ff
#define L2_TLB 0x42004200

static uint32_t encode_l1(const struct cache *c)
{
	return (c->size >> 10 & 0xff) << 24 | (uint32_t)c->ways << 16 |
	       (uint32_t)c->lines_per_tag << 8 | c->line;
}

/* APM 3 "Function 8000_0006h": 0 for what has no code. */
static uint32_t ways_code(uint16_t ways)
{
	switch (ways) {
	case 1:
	case 2:
	case 4: return ways;
	case 8: return 6;
	case 16: return 8;
	case 32: return 0xa;
	case 48: return 0xb;
	case 64: return 0xc;
	case 96: return 0xd;
	case 128: return 0xe;
	case 255: return 0xf;
	default: return 0;
	}
}

void cache_encode_80000005(const struct cache_model *m, uint32_t out[4])
{
	out[0] = out[1] = L1_TLB;
	out[2] = encode_l1(&m->c[CACHE_L1D]);
	out[3] = encode_l1(&m->c[CACHE_L1I]);
}

void cache_encode_80000006(const struct cache_model *m, bool l3,
			   uint32_t out[4])
{
	const struct cache *l2 = &m->c[CACHE_L2], *last = &m->c[CACHE_L3];

	out[0] = 0;
	out[1] = L2_TLB;
	out[2] = l2->size >> 10 << 16 | ways_code(l2->ways) << 12 |
		 (uint32_t)l2->lines_per_tag << 8 | l2->line;
	out[3] = 0;
	if (l3)
		out[3] = last->size >> 19 << 18 | ways_code(last->ways) << 12 |
			 (uint32_t)last->lines_per_tag << 8 | last->line;
}
