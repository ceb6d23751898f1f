/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gathers and scatters, whose indices must be loaded first, and mask
 * registers with something useful in them.
 */
#include "test/diff/gen.h"

#include <string.h>

static bool host_avx512(void)
{
	return xstate_mask() >> 5 & 1;
}

/* vmovdqu32 zmm, [abs32] or, without AVX-512, vmovdqu ymm, [abs32] */
static void load_vector(struct gen *g, unsigned int reg, uint32_t gva)
{
	uint8_t evex[11] = {0x62, 0xf1, 0x7e, 0x48, 0x6f};
	uint8_t vex[10] = {0xc4, 0xe1, 0x7e, 0x6f};

	if (host_avx512()) {
		evex[1] ^= (reg >> 3 & 1) << 7 | (reg >> 4 & 1) << 4;
		evex[5] = (reg & 7) << 3 | 4;
		evex[6] = 0x25;
		memcpy(evex + 7, &gva, 4);
		gen_bytes(g, evex, 11);
		return;
	}
	vex[1] ^= (reg >> 3 & 1) << 7;
	vex[4] = (reg & 7) << 3 | 4;
	vex[5] = 0x25;
	memcpy(vex + 6, &gva, 4);
	gen_bytes(g, vex, 10);
}

/* kmovq k, r64 */
static void load_mask(struct gen *g, unsigned int k, unsigned int reg)
{
	uint8_t p[5] = {0xc4, 0xe1 ^ (reg >> 3) << 5, 0xfb, 0x92,
			0xc0 | k << 3 | (reg & 7)};

	gen_bytes(g, p, 5);
}

void gen_kmask(struct gen *g)
{
	unsigned int reg;

	if (!host_avx512() || !gen_room(g, 3))
		return;
	reg = gen_free_reg(g);
	gen_load(g, reg,
		 rng_chance(&g->rng, 50) ? rng_next(&g->rng)
					 : ~0ULL >> rng_below(&g->rng, 64));
	load_mask(g, 1 + rng_below(&g->rng, 7), reg);
}

/* A VSIB form of the profile's groups: AVX2 gathers, AVX-512 both ways. */
static const struct form *pick_vsib(struct gen *g)
{
	enum form_group group = rng_chance(&g->rng, 40) || !host_avx512()
					? GROUP_AVX
					: GROUP_AVX512;

	for (int i = 0; i < 400; i++) {
		const struct form *f = form_pick(&g->rng, group);

		if (f && f->rm_kind == RM_VSIB)
			return f;
	}
	return NULL;
}

/* The third vector of an AVX2 gather is its mask: sign bits of elements. */
static void distinct_regs(struct gen *g, const struct form *f,
			  struct operands *o)
{
	unsigned int n = f->enc == ENC_EVEX ? 32 : 16;

	o->mem.index = (o->reg + 1 + rng_below(&g->rng, n - 1)) % n;
	if (f->enc != ENC_VEX)
		return;
	do
		o->vvvv = rng_below(&g->rng, 16);
	while (o->vvvv == o->reg || o->vvvv == o->mem.index);
}

void gen_gather(struct gen *g)
{
	const struct form *f = pick_vsib(g);
	struct operands o;
	unsigned int base, reg;

	if (!f || !gen_room(g, 8))
		return;
	gen_operands(g, f, &o);
	o.z = false;
	distinct_regs(g, f, &o);
	load_vector(g, o.mem.index,
		    rng_chance(&g->rng, 50) ? RO_GVA + 0xc00 : RO_GVA + 0xe00);
	base = gen_free_reg(g);
	gen_load(g, base,
		 rng_chance(&g->rng, 85) ? DATA_GVA + rng_below(&g->rng, 0x800)
					 : RO_GVA - rng_below(&g->rng, 0x100));
	if (f->enc == ENC_EVEX && rng_chance(&g->rng, 60)) {
		reg = gen_free_reg(g);
		gen_load(g, reg, rng_next(&g->rng) | rng_next(&g->rng));
		load_mask(g, o.aaa, reg);
	} else if (f->enc == ENC_VEX && rng_chance(&g->rng, 60)) {
		load_vector(g, o.vvvv,
			    DATA_GVA + (rng_below(&g->rng, DATA_SIZE) & ~63u));
	}
	if (!(g->known & BIT(base)))
		return;
	o.mem.base = base;
	o.mem.scale = rng_below(&g->rng, 4);
	o.mem.disp = rng_below(&g->rng, 64);
	g->wild = true;
	gen_form(g, f, &o);
	g->wild = false;
}
