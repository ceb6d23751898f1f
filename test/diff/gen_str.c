/* SPDX-License-Identifier: Apache-2.0 */
/*
 * String instructions: every operation and width, with and without REP, both
 * directions, 32-bit addresses, segment overrides, ends in a hole.
 */
#include "test/diff/gen.h"

#define RCX 1
#define RSI 6
#define RDI 7

static const uint8_t ops[] = {0xa4, 0xaa, 0xac, 0xa6, 0xae};

static uint64_t count_value(struct gen *g)
{
	unsigned int kind = rng_below(&g->rng, 100);

	if (kind < 75)
		return rng_below(&g->rng, 40);
	if (kind < 97)
		return rng_below(&g->rng, 0x1800);
	return rng_next(&g->rng); /* until it faults */
}

static void load_pointer(struct gen *g, unsigned int reg, uint64_t gva,
			 bool addr32)
{
	if (addr32 && rng_chance(&g->rng, 70))
		gva |= rng_next(&g->rng) << 32;
	gen_load(g, reg, gva);
}

static void one_string(struct gen *g, bool addr32)
{
	unsigned int op = ops[rng_below(&g->rng, ARRAY_SIZE(ops))], n = 0;
	unsigned int width = rng_below(&g->rng, 4), rep;
	uint8_t p[8];

	rep = rng_below(&g->rng, 3);
	if (rng_chance(&g->rng, 6) && (op == 0xa4 || op == 0xac || op == 0xa6))
		p[n++] = 0x3e;
	if (addr32)
		p[n++] = 0x67;
	if (width == 1)
		p[n++] = 0x66;
	if (rep)
		p[n++] = 0xf1 + rep;
	if (width == 3)
		p[n++] = 0x48;
	p[n++] = width ? op + 1 : op;
	g->wild = true; /* the pointers were just loaded or moved on */
	if (gen_acceptable(g, p, n))
		gen_bytes(g, p, n);
	g->wild = false;
}

void gen_string(struct gen *g)
{
	bool addr32 = rng_chance(&g->rng, 10);

	if (!gen_room(g, 8) || g->frozen & (BIT(RCX) | BIT(RSI) | BIT(RDI)))
		return;
	gen_load(g, RCX, count_value(g));
	load_pointer(g, RSI, gen_address(g, 8), addr32);
	load_pointer(g, RDI, gen_address(g, 8), addr32);
	one_string(g, addr32);
	if (rng_chance(&g->rng, 30))
		one_string(g, addr32);
}

/* The same after choosing a direction; overlapping regions are frequent. */
void gen_string_pair(struct gen *g)
{
	uint64_t gva;

	if (!gen_room(g, 8) || g->frozen & (BIT(RCX) | BIT(RSI) | BIT(RDI)))
		return;
	gen_bytes(g, rng_chance(&g->rng, 50) ? "\xfd" : "\xfc", 1);
	gva = DATA_GVA + 0x400 + rng_below(&g->rng, 0x1800);
	gen_load(g, RCX, rng_below(&g->rng, 300));
	gen_load(g, RSI, gva);
	gen_load(g, RDI, gva + (int)rng_below(&g->rng, 128) - 64);
	one_string(g, false);
	if (rng_chance(&g->rng, 70))
		gen_bytes(g, "\xfc", 1);
}
