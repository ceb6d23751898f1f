/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control flow inside a block: forward branches of every kind, calls with
 * their returns, bounded loops, indirect and far transfers, software
 * interrupts. The 66-prefixed branches are left out: vendors differ.
 */
#include "test/diff/gen.h"

#include <string.h>

#define RCX 1
#define RSP 4

/* Append a branch with an 8- or 32-bit displacement; returns where it ends. */
static unsigned int branch8(struct gen *g, unsigned int op)
{
	uint8_t p[2] = {op, 0};

	gen_bytes(g, p, 2);
	return g->b->size;
}

static unsigned int branch32(struct gen *g, unsigned int op)
{
	uint8_t p[6] = {0x0f, op};

	if (op == 0xe8 || op == 0xe9)
		gen_bytes(g, memcpy(p, (uint8_t[5]){op}, 5), 5);
	else
		gen_bytes(g, p, 6);
	return g->b->size;
}

static void land8(struct gen *g, unsigned int end)
{
	g->b->code[end - 1] = g->b->size - end;
}

static void land32(struct gen *g, unsigned int end)
{
	gen_patch32(g, end, gen_gva(g));
}

/* Conditional, LOOP and JRCXZ/JECXZ forward over a few instructions. */
void gen_jcc(struct gen *g)
{
	unsigned int kind = rng_below(&g->rng, 100), end;
	unsigned int cc = rng_below(&g->rng, 16);
	struct gen_known before;
	bool near = kind >= 45 && kind < 88;

	if (!gen_room(g, 12))
		return;
	if (near) {
		end = branch32(g, 0x80 | cc);
	} else if (kind < 45) {
		end = branch8(g, 0x70 | cc);
	} else if (g->frozen & BIT(RCX)) {
		return;
	} else {
		uint8_t p[3] = {0x67, 0xe0 | (cc & 3), 0};
		bool ecx = cc & 4;

		gen_bytes(g, p + !ecx, 3 - !ecx);
		end = g->b->size;
	}
	gen_save(g, &before);
	gen_filler(g, 1 + rng_below(&g->rng, 3));
	gen_join(g, &before);
	if (near)
		land32(g, end);
	else
		land8(g, end);
}

/* Over bytes that are never run. */
void gen_jmp(struct gen *g)
{
	bool near = rng_chance(&g->rng, 50);
	struct gen_known before;
	unsigned int end;

	if (!gen_room(g, 12))
		return;
	end = near ? branch32(g, 0xe9) : branch8(g, 0xeb);
	gen_save(g, &before);
	gen_filler(g, rng_below(&g->rng, 3));
	memcpy(g->val, before.val, sizeof(g->val));
	g->known = before.known;
	if (near)
		land32(g, end);
	else
		land8(g, end);
}

static void ret(struct gen *g)
{
	uint8_t p[3] = {0xc2, 8 * rng_below(&g->rng, 3), 0};

	if (rng_chance(&g->rng, 80)) {
		gen_bytes(g, "\xc3", 1);
		return;
	}
	gen_bytes(g, p, 3);
	g->val[RSP] += p[1];
}

/* call f; jmp over; f: ...; ret; over: */
void gen_call(struct gen *g)
{
	uint16_t frozen = g->frozen;
	unsigned int call, over;

	if (!gen_room(g, 16) || !(g->known & BIT(RSP)) || frozen & BIT(RSP))
		return;
	call = branch32(g, 0xe8);
	over = branch32(g, 0xe9);
	land32(g, call);
	g->frozen |= BIT(RSP);
	gen_filler(g, 1 + rng_below(&g->rng, 4));
	g->frozen = frozen;
	ret(g);
	land32(g, over);
}

static void loop_end(struct gen *g, unsigned int cnt, unsigned int top)
{
	uint8_t dec[3] = {0x48 | cnt >> 3, 0xff, 0xc8 | (cnt & 7)};
	uint8_t sub[4] = {0x48 | cnt >> 3, 0x83, 0xe8 | (cnt & 7), 1};
	unsigned int end;

	if (cnt == RCX && rng_chance(&g->rng, 70) && g->b->size - top < 120) {
		end = branch8(g, 0xe0 + rng_below(&g->rng, 3));
		g->b->code[end - 1] = top - end;
		return;
	}
	if (rng_chance(&g->rng, 50))
		gen_bytes(g, dec, 3);
	else
		gen_bytes(g, sub, 4);
	end = branch32(g, 0x85);
	gen_patch32(g, end, g->b->gva + top);
}

/*
 * A few turns of a loop. What is known must be true in every turn, so the
 * body may only write registers whose value was forgotten before.
 */
void gen_loop(struct gen *g)
{
	uint16_t frozen = g->frozen;
	unsigned int cnt, top;

	if (!gen_room(g, 14) || g->depth)
		return;
	cnt = rng_chance(&g->rng, 50) ? RCX : gen_free_reg(g);
	gen_load(g, cnt, 1 + rng_below(&g->rng, 5));
	g->known &= rng_next(&g->rng) | rng_next(&g->rng) | BIT(RSP) | BIT(cnt);
	g->frozen |= g->known;
	top = g->b->size;
	g->depth++;
	gen_filler(g, 1 + rng_below(&g->rng, 5));
	g->depth--;
	g->frozen = frozen;
	loop_end(g, cnt, top);
	g->known &= ~BIT(cnt);
}

/* mov r32, imm32 whose value is set later; returns the end of the field. */
static unsigned int load_later(struct gen *g, unsigned int reg)
{
	uint8_t p[6] = {0x40 | reg >> 3, 0xb8 | (reg & 7)};

	gen_bytes(g, p, 6);
	return g->b->size;
}

static void set_later(struct gen *g, unsigned int end)
{
	uint32_t target = gen_gva(g);

	memcpy(g->b->code + end - 4, &target, 4);
}

/* mov [abs32], reg */
static void store_abs(struct gen *g, unsigned int reg, uint32_t gva)
{
	uint8_t p[8] = {0x48 | reg >> 3 << 2, 0x89, 4 | (reg & 7) << 3, 0x25};

	memcpy(p + 4, &gva, 4);
	gen_bytes(g, p, 8);
}

static void jump_through_memory(struct gen *g, unsigned int reg,
				unsigned int op)
{
	uint32_t gva = DATA_GVA + (rng_below(&g->rng, DATA_SIZE - 8));
	uint8_t p[7] = {0xff, op << 3 | 4, 0x25};

	store_abs(g, reg, gva);
	memcpy(p + 3, &gva, 4);
	gen_bytes(g, p, 7);
}

/* JMP and CALL through a register or memory, and PUSH with RET. */
void gen_indirect(struct gen *g)
{
	unsigned int reg, field, kind = rng_below(&g->rng, 5);
	struct gen_known before;
	uint8_t p[3];

	if (!gen_room(g, 12) || !(g->known & BIT(RSP)) || g->frozen & BIT(RSP))
		return;
	reg = gen_free_reg(g);
	field = load_later(g, reg);
	p[0] = 0x40 | reg >> 3;
	p[1] = 0xff;
	p[2] = (kind & 1 ? 0xd0 : 0xe0) | (reg & 7);
	if (kind < 2) {
		gen_bytes(g, p, 3);
	} else if (kind < 4) {
		jump_through_memory(g, reg, kind == 2 ? 4 : 2);
	} else {
		p[1] = 0x50 | (reg & 7);
		gen_bytes(g, p, 2);
		ret(g);
	}
	gen_save(g, &before);
	gen_filler(g, rng_below(&g->rng, 2));
	memcpy(g->val, before.val, sizeof(g->val));
	g->known = before.known;
	set_later(g, field);
}

static void push8(struct gen *g, unsigned int val)
{
	uint8_t p[2] = {0x6a, val};

	gen_bytes(g, p, 2);
}

static unsigned int push_later(struct gen *g)
{
	uint8_t p[5] = {0x68};

	gen_bytes(g, p, 5);
	return g->b->size;
}

/* Selectors: mostly right, else ones that fault the same way everywhere. */
static unsigned int code_selector(struct rng *r)
{
	static const uint8_t wrong[] = {0, 3, 0x10, 0x18, 0x2b, 0x30, 0x1b};

	return rng_chance(r, 80) ? USER_CS
				 : wrong[rng_below(r, ARRAY_SIZE(wrong))];
}

static void far_jump(struct gen *g)
{
	uint32_t gva = DATA_GVA + (rng_below(&g->rng, DATA_SIZE) & ~15u);
	uint8_t p[11] = {0xc7, 0x04, 0x25};
	uint8_t sel[10] = {0x66, 0xc7, 0x04, 0x25};
	uint8_t jmp[7] = {0xff, 0x2c, 0x25};
	unsigned int field;

	memcpy(p + 3, &gva, 4);
	gen_bytes(g, p, 11);
	field = g->b->size;
	gva += 4;
	memcpy(sel + 4, &gva, 4);
	sel[8] = code_selector(&g->rng);
	gen_bytes(g, sel, 10);
	gva -= 4;
	memcpy(jmp + 3, &gva, 4);
	gen_bytes(g, jmp, 7);
	set_later(g, field);
}

/* RETF, IRET and JMP far to the same privilege. */
void gen_far(struct gen *g)
{
	unsigned int field, kind = rng_below(&g->rng, 3);
	uint64_t rsp = g->val[RSP];

	if (!gen_room(g, 10) || !(g->known & BIT(RSP)) || g->frozen & BIT(RSP))
		return;
	if (kind == 2) {
		far_jump(g);
		return;
	}
	if (kind) {
		push8(g, USER_SS);
		gen_bytes(g, "\x54", 1); /* push rsp */
		gen_bytes(g, "\x9c", 1);
		rsp -= 8;
	}
	push8(g, code_selector(&g->rng));
	field = push_later(g);
	gen_bytes(g, kind ? "\x48\xcf" : "\x48\xcb", 2);
	set_later(g, field);
	g->val[RSP] = rsp;
	g->known |= BIT(RSP);
}

static bool strange_int[256];

void gen_refuse_int(uint8_t vector)
{
	strange_int[vector] = true;
}

/*
 * INT3 and INT n; INT 0x80 ends a block and is a system call natively. INT1
 * is left out: under a hypervisor that intercepts #DB the host's processor
 * reports the wrong rip for it.
 */
void gen_int(struct gen *g)
{
	uint8_t p[2] = {0xcd, rng_next(&g->rng)};

	if (p[1] == VECTOR_DONE || strange_int[p[1]])
		return;
	switch (rng_below(&g->rng, 3)) {
	case 0: gen_bytes(g, "\xcc", 1); break;
	case 1:
		p[1] = 3 + (p[1] & 1);
		gen_bytes(g, p, 2);
		break;
	default: gen_bytes(g, p, 2); break;
	}
}
