/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Initial states. Operand values come from pools in which the values that
 * make instructions behave differently (zeros, ones, sign boundaries,
 * denormals, infinities, NaNs, small numbers) are much more frequent than in
 * uniform noise.
 */
#include "test/diff/native.h"

#include <cpuid.h>
#include <string.h>

#define POOL_SIZE   (1u << 18)
#define XPOOL_COUNT 64

#define XSTATE_BV_OFF 512
#define FCW_OFF       0
#define FTW_OFF       4
#define MXCSR_OFF     24

static struct {
	uint8_t mem[POOL_SIZE];
	uint8_t xsave[XPOOL_COUNT][XSAVE_SIZE] __attribute__((aligned(64)));
} pool;

static uint64_t int_value(struct rng *r)
{
	static const uint64_t edge[] = {
		0,          1,          2,           0x7f,
		0x80,       0xff,       0x7fff,      0x8000,
		0xffff,     0x7fffffff, 0x80000000,  0xffffffff,
		INT64_MAX,  1ULL << 63, ~0ULL,       ~0ULL - 1,
		0x01010101, 0x3f,       0x100000000, 0x5555555555555555,
	};

	switch (rng_below(r, 4)) {
	case 0: return edge[rng_below(r, ARRAY_SIZE(edge))];
	case 1: return rng_below(r, 256);
	case 2: return 1ULL << rng_below(r, 64);
	default: return rng_next(r);
	}
}

static uint64_t double_value(struct rng *r)
{
	static const uint64_t edge[] = {
		0, /* +0, -0, denormals, infinities, NaNs, one, two, ... */
		0x8000000000000000,
		0x0000000000000001,
		0x800fffffffffffff,
		0x7ff0000000000000,
		0xfff0000000000000,
		0x7ff8000000000000,
		0x7ff0000000000001,
		0xfff8000000000001,
		0x3ff0000000000000,
		0xbff0000000000000,
		0x4000000000000000,
		0x3fe0000000000000,
		0x7fefffffffffffff,
		0x0010000000000000,
		0x41e0000000000000,
		0xc1e0000000200000,
		0x43e0000000000000,
		0x3ff8000000000000,
		0x400921fb54442d18,
		0x40590ccccccccccd,
	};

	if (rng_chance(r, 60))
		return edge[rng_below(r, ARRAY_SIZE(edge))];
	/* exponent near one, so that results neither over- nor underflow */
	return (rng_next(r) & 0x803fffffffffffff) | 0x3fc0000000000000;
}

static uint64_t float_pair(struct rng *r)
{
	static const uint32_t edge[] = {
		0x00000000, 0x80000000, 0x00000001, 0x807fffff, 0x7f800000,
		0xff800000, 0x7fc00000, 0x7f800001, 0xffc00001, 0x3f800000,
		0xbf800000, 0x40000000, 0x3f000000, 0x7f7fffff, 0x00800000,
		0x4f000000, 0xcf000000, 0x3fc00000, 0x40490fdb, 0x42c80000,
	};
	uint64_t val = 0;

	for (int i = 0; i < 2; i++) {
		uint32_t f = edge[rng_below(r, ARRAY_SIZE(edge))];

		if (rng_chance(r, 40))
			f = (rng_next(r) & 0x83ffffff) | 0x3c000000;
		val = val << 32 | f;
	}
	return val;
}

static uint64_t pool_value(struct rng *r)
{
	switch (rng_below(r, 4)) {
	case 0: return double_value(r);
	case 1: return float_pair(r);
	default: return int_value(r);
	}
}

/* An 80-bit value: normal, denormal, unnormal, infinity, NaN, zero. */
static void x87_value(struct rng *r, uint8_t *out)
{
	static const uint16_t exps[] = {0,      1,      0x3fff, 0x4000,
					0x3ffe, 0x403e, 0x7fff, 0x7ffe};
	uint64_t mant = rng_next(r);
	uint16_t exp = exps[rng_below(r, ARRAY_SIZE(exps))];

	if (rng_chance(r, 50))
		exp = 0x3fff - 40 + rng_below(r, 80);
	if (rng_chance(r, 90) && exp)
		mant |= 1ULL << 63;
	if (rng_chance(r, 30))
		mant &= 0xc000000000000000;
	exp |= rng_below(r, 2) << 15;
	memcpy(out, &mant, 8);
	memcpy(out + 8, &exp, 2);
}

static uint32_t mxcsr_value(struct rng *r)
{
	uint32_t val = rng_chance(r, 85) ? 0x1f80 : rng_next(r) & 0x1f80;

	if (rng_chance(r, 50))
		val |= rng_below(r, 4) << 13; /* rounding */
	if (rng_chance(r, 20))
		val |= 0x8000; /* flush to zero */
	if (rng_chance(r, 20))
		val |= 0x0040; /* denormals are zero */
	if (rng_chance(r, 10))
		val |= rng_next(r) & 0x3f; /* flags already there */
	return val;
}

static void init_x87(struct rng *r, uint8_t *x)
{
	uint16_t fcw = 0x037f, fsw = 0;
	uint8_t ftw = 0;

	if (rng_chance(r, 30))
		fcw = 0x0040 | (rng_next(r) & 0x0f00) | 0x3f;
	if (rng_chance(r, 6))
		fcw &= ~(rng_next(r) & 0x3f); /* unmasked exceptions */
	for (int i = 0; i < 8; i++)
		x87_value(r, x + 32 + 16 * i);
	if (rng_chance(r, 70)) {
		int depth = rng_below(r, 8); /* a stack of that depth */

		fsw = ((8 - depth) & 7) << 11;
		for (int i = 0; i < depth; i++)
			ftw |= 0x80 >> i;
	} else if (rng_chance(r, 60)) {
		ftw = rng_next(r);
		fsw = rng_below(r, 8) << 11;
	}
	fsw |= rng_next(r) & 0x4700; /* condition codes */
	memcpy(x + FCW_OFF, &fcw, 2);
	memcpy(x + FCW_OFF + 2, &fsw, 2);
	x[FTW_OFF] = ftw;
}

static void init_xsave(struct rng *r, uint8_t *x)
{
	uint32_t mxcsr = mxcsr_value(r);
	uint64_t bv = xstate_mask();
	unsigned int size, off, c, d;

	init_x87(r, x);
	memcpy(x + MXCSR_OFF, &mxcsr, 4);
	for (int i = 160; i < 416; i += 8) {
		uint64_t v = pool_value(r);

		memcpy(x + i, &v, 8);
	}
	for (int n = 2; n < 8; n++) {
		if (!(bv >> n & 1))
			continue;
		__cpuid_count(0xd, n, size, off, c, d);
		for (unsigned int i = 0; i < size; i += 8) {
			uint64_t v = n == 5 && rng_chance(r, 70)
					     ? rng_next(r)
					     : pool_value(r);

			memcpy(x + off + i, &v, 8);
		}
	}
	if (rng_chance(r, 10)) /* some components in their init state */
		bv &= ~(rng_next(r) & 0xe4);
	memcpy(x + XSTATE_BV_OFF, &bv, 8);
}

void init_pools(void)
{
	struct rng r;

	rng_seed(&r, 1);
	for (unsigned int i = 0; i < POOL_SIZE; i += 8) {
		uint64_t v = pool_value(&r);

		memcpy(pool.mem + i, &v, 8);
	}
	for (int i = 0; i < XPOOL_COUNT; i++)
		init_xsave(&r, pool.xsave[i]);
}

void init_memory(uint64_t seed, struct memory *mem)
{
	struct rng r;

	rng_seed(&r, seed ^ 0x6d656d);
	memcpy(mem->data, pool.mem + 8 * rng_below(&r, 20000), DATA_SIZE);
	memcpy(mem->stack, pool.mem + 8 * rng_below(&r, 20000), STACK_SIZE);
}

/* Ends with small dwords and qwords, which gathers take as indices. */
void init_readonly(uint8_t *page)
{
	struct rng r;

	rng_seed(&r, 2);
	memcpy(page, pool.mem, RO_SIZE);
	for (int i = 0xc00; i < 0xe00; i += 4) {
		uint32_t v = rng_below(&r, 0x200);

		memcpy(page + i, &v, 4);
	}
	for (int i = 0xe00; i < RO_SIZE; i += 8) {
		uint64_t v = rng_below(&r, 0x200);

		memcpy(page + i, &v, 8);
	}
}

static uint64_t gpr_value(struct rng *r)
{
	unsigned int kind = rng_below(r, 100);

	if (kind < 40) /* into the data pages, mostly aligned */
		return DATA_GVA + (rng_below(r, DATA_SIZE) &
				   (rng_chance(r, 70) ? ~63u : ~0u));
	if (kind < 60)
		return rng_below(r, 64);
	if (kind < 80)
		return int_value(r);
	return rng_next(r);
}

static void init_general(struct rng *r, struct state *st)
{
	for (int i = 0; i < 16; i++)
		st->gpr[i] = gpr_value(r);
	st->gpr[4] = STACK_GVA + 0x400 + rng_below(r, 0x100) * 8;
	if (rng_chance(r, 60))
		st->gpr[5] = STACK_GVA + 0x400 + rng_below(r, 0x100) * 8;
	st->rflags = 0x202 | (rng_next(r) & 0x8d5);
	if (rng_chance(r, 10))
		st->rflags |= 0x400; /* DF */
	if (rng_chance(r, 5))
		st->rflags |= 0x200000; /* ID */
	st->fs_base = rng_below(r, 0x40000000);
	st->gs_base = rng_chance(r, 50) ? rng_below(r, 0x10000)
					: -(uint64_t)rng_below(r, 0x40000000);
	if (!native_fsgsbase()) /* the kernel refuses the upper half */
		st->gs_base &= 0x3fffffff;
}

void init_gprs(uint64_t seed, struct state *st)
{
	struct rng r;

	rng_seed(&r, seed ^ 0x7374617465);
	init_general(&r, st);
}

void init_state(uint64_t seed, struct state *st)
{
	struct rng r;

	rng_seed(&r, seed ^ 0x7374617465);
	init_general(&r, st);
	memcpy(st->xsave, pool.xsave[rng_below(&r, XPOOL_COUNT)], XSAVE_SIZE);
}
