/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates for instructions whose operands must be prepared: division,
 * POPF, frames, segment registers, the XSAVE and x87 environment families.
 * Where such an image holds x87 pointers, the block clears them, since the
 * processor writes code addresses there.
 */
#include "test/diff/gen.h"

#include <cpuid.h>
#include <string.h>

#include "test/diff/native.h"

#define RAX 0
#define RCX 1
#define RDX 2
#define RSP 4
#define RDI 7
#define RBP 5

/* in an XSAVE image */
#define MXCSR  24
#define HEADER 512

static bool frozen(const struct gen *g, uint16_t regs)
{
	return g->frozen & regs;
}

/* op /ext [abs32]; 0 for a prefix or REX that is not there */
static void abs_form(struct gen *g, unsigned int prefix, unsigned int rex,
		     unsigned int op, unsigned int ext, uint32_t gva)
{
	uint8_t p[12];
	unsigned int n = 0;

	if (prefix)
		p[n++] = prefix;
	if (rex)
		p[n++] = rex;
	if (op >> 8)
		p[n++] = op >> 8;
	p[n++] = op;
	p[n++] = ext << 3 | 4;
	p[n++] = 0x25;
	memcpy(p + n, &gva, 4);
	gen_bytes(g, p, n + 4);
}

/* mov dword or qword [abs32], imm32 */
static void store_imm(struct gen *g, bool wide, uint32_t gva, uint32_t val)
{
	uint8_t p[12] = {0x48, 0xc7, 0x04, 0x25};

	memcpy(p + 4, &gva, 4);
	memcpy(p + 8, &val, 4);
	gen_bytes(g, p + !wide, 12 - !wide);
}

/* DIV and IDIV that mostly do not overflow. */
void gen_div(struct gen *g)
{
	unsigned int width = rng_below(&g->rng, 4), reg = gen_free_reg(g);
	unsigned int ext = 6 + rng_below(&g->rng, 2), n = 0;
	uint8_t p[4];

	if (!gen_room(g, 5) || frozen(g, BIT(RAX) | BIT(RDX)))
		return;
	if (reg == RAX || reg == RDX)
		reg = RCX;
	if (rng_chance(&g->rng, 50))
		gen_bytes(g, ext == 7 ? "\x48\x99" : "\x31\xd2", 2);
	else
		gen_load(g, RDX, rng_below(&g->rng, 4));
	if (width == 1)
		p[n++] = 0x66;
	p[n++] = 0x40 | (width == 3) << 3 | reg >> 3;
	p[n++] = width ? 0xf7 : 0xf6;
	p[n++] = 0xc0 | ext << 3 | (reg & 7);
	gen_bytes(g, p, n);
}

void gen_popf(struct gen *g)
{
	static const char *const pop[] = {"\x9d", "\x66\x9d"};
	uint32_t flags = rng_next(&g->rng);
	unsigned int word = rng_chance(&g->rng, 20);
	uint8_t p[5] = {0x68};

	if (!gen_room(g, 4) || frozen(g, BIT(RSP)))
		return;
	flags &= 0x00237fd7 & ~0x100u; /* AC and TF only on purpose */
	if (rng_chance(&g->rng, 2)) {
		flags |= 0x100;
		g->stepping = true;
	}
	if (rng_chance(&g->rng, 70))
		flags &= ~0x400u;
	memcpy(p + 1, &flags, 4);
	gen_bytes(g, p, 5);
	gen_bytes(g, pop[word], 1 + word);
}

void gen_enter(struct gen *g)
{
	uint8_t p[4] = {0xc8, 8 * rng_below(&g->rng, 12), 0,
			rng_below(&g->rng, 4)};

	if (!gen_room(g, 4) || frozen(g, BIT(RSP) | BIT(RBP)) ||
	    !(g->known & BIT(RSP)))
		return;
	if (p[3] > 1 && !(g->known & BIT(RBP)))
		gen_load(g, RBP, STACK_GVA + 0x200);
	if (rng_chance(&g->rng, 20))
		p[1] = rng_next(&g->rng);
	gen_bytes(g, p, 4);
	g->known &= ~(BIT(RSP) | BIT(RBP));
	if (rng_chance(&g->rng, 60))
		gen_bytes(g, "\xc9", 1);
	gen_load(g, RSP, STACK_GVA + 0x400 + 8 * rng_below(&g->rng, 128));
}

void gen_leave(struct gen *g)
{
	if (!gen_room(g, 4) || frozen(g, BIT(RSP) | BIT(RBP)))
		return;
	gen_load(g, RBP, STACK_GVA + 0x300 + rng_below(&g->rng, 0x800));
	if (rng_chance(&g->rng, 20))
		gen_bytes(g, "\x66\xc9", 2);
	else
		gen_bytes(g, "\xc9", 1);
	gen_load(g, RSP, STACK_GVA + 0x400 + 8 * rng_below(&g->rng, 128));
}

/* Loads of DS ES FS GS SS; bases of FS and GS are unknown afterwards. */
void gen_segment(struct gen *g)
{
	static const uint8_t sels[] = {0,    1,    3,    0x2b, 0x2b, 0x28,
				       0x2a, 0x23, 0x33, 0x10, 0x18, 0x1b};
	static const uint8_t segs[] = {0, 3, 0, 3, 4, 5, 2};
	unsigned int seg = segs[rng_below(&g->rng, ARRAY_SIZE(segs))];
	unsigned int reg = gen_free_reg(g);
	uint8_t p[3] = {0x40 | reg >> 3, 0x8e, 0xc0 | seg << 3 | (reg & 7)};
	uint8_t wr[5] = {0xf3, 0x48 | reg >> 3, 0x0f, 0xae,
			 0xc0 | (seg - 2) << 3 | (reg & 7)};

	if (!gen_room(g, 6) || (seg > 3 && !native_fsgsbase()))
		return;
	if (seg == 2)
		gen_load(g, reg, rng_chance(&g->rng, 80) ? USER_SS : 0x33);
	else
		gen_load(g, reg, sels[rng_below(&g->rng, ARRAY_SIZE(sels))]);
	gen_bytes(g, p, 3);
	if (seg < 4)
		return;
	/* give the base a known value again */
	gen_load(g, reg, rng_below(&g->rng, 0x10000));
	gen_bytes(g, wr, 5);
	*(seg == 4 ? &g->fs_base : &g->gs_base) = g->val[reg];
}

/* Clear opcode and pointers of an FXSAVE or XSAVE image. */
static void clear_pointers(struct gen *g, uint32_t gva)
{
	store_imm(g, false, gva + 4, 0); /* tags go too, they are compared */
	store_imm(g, true, gva + 8, 0);  /* in the final state */
	store_imm(g, true, gva + 16, 0);
}

static void gen_fxsave(struct gen *g)
{
	unsigned int rex = rng_chance(&g->rng, 50) ? 0x48 : 0;
	uint32_t gva = DATA_GVA + (rng_below(&g->rng, DATA_SIZE - 512) & ~15u);

	if (rng_chance(&g->rng, 3))
		gva += 8; /* #GP */
	abs_form(g, 0, rex, 0x0fae, 0, gva);
	clear_pointers(g, gva);
	gen_filler(g, rng_below(&g->rng, 3));
	if (rng_chance(&g->rng, 60))
		abs_form(g, 0, rex, 0x0fae, 1, gva);
}

/* rep stosb over the image, with what @al tells. */
static void wipe(struct gen *g, uint32_t gva, uint8_t al)
{
	gen_load(g, RDI, gva);
	gen_load(g, RCX, XSAVE_SIZE - 1);
	gen_load(g, RAX, al);
	gen_bytes(g, "\xfc", 1);
	gen_bytes(g, "\xf3\xaa", 2);
}

/* Initial values in the legacy region; all else must be zero already. */
static void store_initial(struct gen *g, uint32_t gva)
{
	store_imm(g, false, gva, 0x037f);
	store_imm(g, false, gva + MXCSR, 0x1f80);
}

static void clear_header(struct gen *g, uint32_t gva)
{
	for (int i = 0; i < 8; i++)
		store_imm(g, true, gva + HEADER + 8 * i, 0);
}

/* XSAVEOPT and XSAVEC: the engine may offer them though the host does not. */
static bool host_saves(void)
{
	static unsigned int have;
	unsigned int b, c, d;

	if (!have && !__get_cpuid_count(0xd, 1, &have, &b, &c, &d))
		return false;
	return (have & 3) == 3;
}

/* RAX and RDX; bits that XCR0 does not have change nothing. */
static void load_rfbm(struct gen *g, uint32_t mask)
{
	if (rng_chance(&g->rng, 30))
		mask |= rng_next(&g->rng) & 0x118;
	gen_load(g, RAX, mask);
	gen_load(g, RDX, 0);
}

static void xrstor(struct gen *g, unsigned int rex, uint32_t gva)
{
	abs_form(g, 0, rex, 0x0fae, 5, gva);
	g->restored = true;
}

/*
 * Whether a component that holds its initial value counts as in use
 * (XINUSE) is the processor's own business: Zen 5 says yes after some writes
 * and no again once the host's kernel has resumed the thread. So no block
 * shows it, wherever it is interrupted: XSTATE_BV is given to XRSTOR, which
 * comes to the same values either way, but is cleared then; and what XSAVEC
 * or XSAVEOPT leave out reads as the initial value because the image was
 * filled with that before, or goes after XRSTOR has seen it.
 */
static void gen_xsave_compact(struct gen *g, unsigned int rex, uint32_t gva,
			      uint32_t mask)
{
	bool fill = rng_chance(&g->rng, 50);
	/* XSAVEOPT may leave out what XRSTOR loaded from the same address */
	bool opt = fill && !g->restored && rng_chance(&g->rng, 40);

	if (fill) {
		wipe(g, gva, 0);
		store_initial(g, gva);
	} else {
		clear_header(g, gva);
	}
	load_rfbm(g, mask);
	abs_form(g, 0, rex, opt ? 0x0fae : 0x0fc7, opt ? 6 : 4, gva);
	clear_pointers(g, gva);
	if (rng_chance(&g->rng, 50))
		gen_load(g, RAX, rng_next(&g->rng) & 0xff);
	if (rng_chance(&g->rng, 70))
		xrstor(g, rex, gva);
	if (!fill) {
		wipe(g, gva, 0x5a);
		return;
	}
	store_imm(g, true, gva + HEADER, 0);
	store_imm(g, false, gva + MXCSR + 4, 0); /* MXCSR_MASK */
}

static void gen_xsave_standard(struct gen *g, unsigned int rex, uint32_t gva,
			       uint32_t mask)
{
	bool keep = rng_chance(&g->rng, 40);

	clear_header(g, gva);
	load_rfbm(g, mask);
	abs_form(g, 0, rex, 0x0fae, 4, gva);
	clear_pointers(g, gva);
	if (!keep)
		store_imm(g, true, gva + HEADER, mask);
	if (rng_chance(&g->rng, 50) && !keep)
		gen_load(g, RAX, rng_next(&g->rng) & 0xff);
	if (rng_chance(&g->rng, 70))
		xrstor(g, rex, gva);
	if (keep)
		store_imm(g, true, gva + HEADER, 0);
}

/* A save of any kind, then mostly XRSTOR of the image. */
void gen_xsave(struct gen *g)
{
	unsigned int rex = rng_chance(&g->rng, 50) ? 0x48 : 0;
	uint32_t gva = DATA_GVA +
		       (rng_below(&g->rng, DATA_SIZE - XSAVE_SIZE) & ~63u);
	uint32_t mask = rng_next(&g->rng) & xstate_mask();

	if (!gen_room(g, 28) || g->stepping ||
	    frozen(g, BIT(RAX) | BIT(RDX) | BIT(RCX) | BIT(RDI)))
		return;
	if (rng_chance(&g->rng, 40)) {
		gen_fxsave(g);
		return;
	}
	/* #GP: nothing is written */
	if (rng_chance(&g->rng, 2) && host_saves()) {
		abs_form(g, 0, rex, rng_chance(&g->rng, 50) ? 0x0fc7 : 0x0fae,
			 4, gva + 8 + (rng_below(&g->rng, 3) << 4));
		return;
	}
	if (rng_chance(&g->rng, 40) && host_saves())
		gen_xsave_compact(g, rex, gva, mask);
	else
		gen_xsave_standard(g, rex, gva, mask);
}

/* FNSTENV and FNSAVE clear the same fields; FLDENV and FRSTOR follow. */
void gen_x87_env(struct gen *g)
{
	unsigned int prefix = rng_chance(&g->rng, 30) ? 0x66 : 0;
	unsigned int unit = prefix ? 2 : 4;
	bool all = rng_chance(&g->rng, 50);
	uint32_t gva = DATA_GVA + rng_below(&g->rng, DATA_SIZE - 128);

	if (!gen_room(g, 12) || g->stepping)
		return;
	if (rng_chance(&g->rng, 10))
		gva = gen_address(g, 108);
	abs_form(g, prefix, 0, all ? 0xdd : 0xd9, 6, gva);
	store_imm(g, unit == 4, gva + 3 * unit, 0);
	store_imm(g, unit == 4, gva + 5 * unit, 0);
	if (rng_chance(&g->rng, 40)) /* a control word without surprises */
		store_imm(g, false, gva + (unit == 4 ? 0 : -2),
			  unit == 4 ? 0x037f : 0x037f0000);
	gen_filler(g, rng_below(&g->rng, 3));
	if (rng_chance(&g->rng, 60))
		abs_form(g, prefix, 0, all ? 0xdd : 0xd9, 4, gva);
}

void gen_mxcsr(struct gen *g)
{
	uint32_t gva = DATA_GVA + (rng_below(&g->rng, DATA_SIZE) & ~3u);
	uint32_t val = 0x1f80 | (rng_next(&g->rng) & 0xe07f);

	if (!gen_room(g, 4))
		return;
	if (rng_chance(&g->rng, 20))
		val &= ~(rng_next(&g->rng) & 0x1f80); /* unmask */
	if (rng_chance(&g->rng, 3))
		val |= 0x10000; /* #GP */
	store_imm(g, false, gva, val);
	abs_form(g, 0, 0, 0x0fae, 2, gva);
}

/* rsp elsewhere: any value, the data pages, the stack again. */
void gen_stack_switch(struct gen *g)
{
	unsigned int reg = gen_free_reg(g);
	uint8_t xchg[3] = {0x48 | reg >> 3, 0x87, 0xe0 | (reg & 7)};
	uint8_t lea[5] = {0x48, 0x8d, 0x64, 0x24, 0};
	uint64_t val;

	if (!gen_room(g, 6) || frozen(g, BIT(RSP)))
		return;
	switch (rng_below(&g->rng, 3)) {
	case 0:
		lea[4] = 8 * ((int)rng_below(&g->rng, 8) - 4);
		val = g->val[RSP] + (int8_t)lea[4];
		if (!(g->known & BIT(RSP)))
			return;
		gen_bytes(g, lea, 5);
		g->val[RSP] = val;
		g->known |= BIT(RSP);
		break;
	case 1: gen_load(g, RSP, gen_address(g, 64)); break;
	default:
		gen_load(g, reg, DATA_GVA + 0x100 + rng_below(&g->rng, 0x1e00));
		val = g->val[reg];
		gen_bytes(g, xchg, 3);
		g->val[RSP] = val;
		g->known |= BIT(RSP);
		break;
	}
}

/* add eax, imm32 behind so many prefixes that it is 14, 15 or 16 long. */
void gen_long_insn(struct gen *g)
{
	unsigned int n = 9 + rng_below(&g->rng, 2), over;
	uint8_t p[16];

	over = rng_chance(&g->rng, 10); /* #GP */
	if (!gen_room(g, 4) || frozen(g, BIT(RAX)))
		return;
	n += over;
	memset(p, 0x2e, sizeof(p));
	p[n] = 0x05;
	memset(p + n + 1, 0x11, 4);
	gen_bytes(g, p, n + 5);
	g->known &= ~BIT(RAX);
}

/* BT BTS BTR BTC with a bit offset that leaves the operand, both ways. */
void gen_bit_string(struct gen *g)
{
	unsigned int width = 1 + rng_below(&g->rng, 3), n = 0;
	unsigned int op = 0xa3 + 8 * rng_below(&g->rng, 4);
	unsigned int reg = gen_free_reg(g);
	int64_t bit = (int)rng_below(&g->rng, 0x4000) - 0x2000;
	uint32_t gva;
	uint8_t p[12];

	if (!gen_room(g, 3))
		return;
	gva = gen_address(g, 8) - (bit >> 3);
	gen_load(g, reg, bit);
	if (op != 0xa3 && rng_chance(&g->rng, 20))
		p[n++] = 0xf0;
	if (width == 1)
		p[n++] = 0x66;
	p[n++] = 0x40 | (width == 3) << 3 | reg >> 3 << 2;
	p[n++] = 0x0f;
	p[n++] = op;
	p[n++] = (reg & 7) << 3 | 4;
	p[n++] = 0x25;
	memcpy(p + n, &gva, 4);
	gen_bytes(g, p, n + 4);
}
