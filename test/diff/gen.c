/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generator's core: what a block is made of, which addresses are reached,
 * and the tracking of known register values behind both.
 */
#include "test/diff/gen.h"

#include <errno.h>
#include <string.h>

#include "lib/check.h"

#define RAX  0
#define RSP  4
#define R8   8
#define TAIL 16 /* bytes kept for the final jump */

uint32_t gen_count[ZYDIS_MNEMONIC_MAX_VALUE + 1];

struct decoded {
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
};

/* Weights of what comes next, by the kind of block. */
struct profile {
	uint8_t weight; /* of the profile itself */
	uint8_t group[GROUP_COUNT];
	uint8_t control, string, system, vector;
};

static const struct profile profiles[] = {
	/*        INT X87 MMX SSE AVX 512 CRY ODD */
	{40, {150, 0, 0, 0, 0, 0, 0, 1}, 24, 8, 12, 0},
	{8, {20, 150, 4, 0, 0, 0, 0, 1}, 6, 1, 20, 0},
	{12, {25, 2, 40, 150, 0, 0, 10, 1}, 6, 1, 6, 0},
	{10, {25, 0, 0, 6, 150, 0, 15, 1}, 6, 1, 4, 8},
	{18, {25, 0, 0, 4, 6, 200, 10, 1}, 6, 1, 4, 12},
	{12, {60, 20, 20, 30, 30, 50, 20, 3}, 20, 8, 16, 6},
};

struct template
{
	gen_fn *fn;
	uint8_t weight;
};

static const struct template control[] = {
	{gen_jcc, 30},      {gen_jmp, 8}, {gen_call, 12}, {gen_loop, 10},
	{gen_indirect, 12}, {gen_far, 3}, {gen_int, 2},
};
static const struct template string[] = {{gen_string, 70},
					 {gen_string_pair, 30}};
static const struct template system_[] = {
	{gen_div, 20},      {gen_popf, 14},       {gen_enter, 8},
	{gen_leave, 6},     {gen_segment, 4},     {gen_xsave, 8},
	{gen_x87_env, 14},  {gen_mxcsr, 10},      {gen_stack_switch, 8},
	{gen_long_insn, 3}, {gen_bit_string, 12},
};
static const struct template vector_[] = {{gen_gather, 30}, {gen_kmask, 20}};

static const ZydisDecoder *decoder(void)
{
	static ZydisDecoder dec;
	static bool ready;

	if (!ready)
		ZydisDecoderInit(&dec, ZYDIS_MACHINE_MODE_LONG_64,
				 ZYDIS_STACK_WIDTH_64);
	ready = true;
	return &dec;
}

static bool decode(const uint8_t *code, unsigned int len, struct decoded *d)
{
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder(), code, len,
						   &d->insn, d->op)) &&
	       d->insn.length == len;
}

/* 0..15 for any part of a general register, else NO_REG. */
static unsigned int gpr_index(ZydisRegister r)
{
	ZydisRegister full = ZydisRegisterGetLargestEnclosing(
		ZYDIS_MACHINE_MODE_LONG_64, r);

	if (full < ZYDIS_REGISTER_RAX || full > ZYDIS_REGISTER_R15)
		return NO_REG;
	return full - ZYDIS_REGISTER_RAX;
}

/* ---- following what is known ---- */

void gen_save(const struct gen *g, struct gen_known *k)
{
	memcpy(k->val, g->val, sizeof(k->val));
	k->known = g->known;
}

void gen_join(struct gen *g, const struct gen_known *k)
{
	g->known &= k->known;
	for (int i = 0; i < 16; i++)
		if (g->val[i] != k->val[i])
			g->known &= ~BIT(i);
}

/* How far PUSH, POP, CALL and RET move rsp; 0: not such an instruction. */
static int stack_delta(const struct decoded *d)
{
	int sign, size = 0;

	switch (d->insn.meta.category) {
	case ZYDIS_CATEGORY_PUSH:
	case ZYDIS_CATEGORY_CALL: sign = -1; break;
	case ZYDIS_CATEGORY_POP:
	case ZYDIS_CATEGORY_RET: sign = 1; break;
	default: return 0;
	}
	for (int i = 0; i < d->insn.operand_count; i++) {
		const ZydisDecodedOperand *op = &d->op[i];

		if (op->type == ZYDIS_OPERAND_TYPE_MEMORY &&
		    op->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN &&
		    op->mem.base == ZYDIS_REGISTER_RSP)
			size = op->size / 8;
	}
	return sign * size;
}

/*
 * F3 and REX.B before 90: XCHG of rAX and R8 to the processor, PAUSE to
 * Zydis, which then lists no operands.
 */
static bool swaps_r8(const struct decoded *d)
{
	return d->insn.mnemonic == ZYDIS_MNEMONIC_PAUSE && d->insn.raw.rex.B;
}

static void track(struct gen *g, const struct decoded *d)
{
	int delta = stack_delta(d);

	gen_count[d->insn.mnemonic]++;
	if (swaps_r8(d))
		g->known &= ~(BIT(RAX) | BIT(R8));
	for (int i = 0; i < d->insn.operand_count; i++) {
		const ZydisDecodedOperand *op = &d->op[i];
		unsigned int reg;

		if (op->type != ZYDIS_OPERAND_TYPE_REGISTER ||
		    !(op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
			continue;
		reg = gpr_index(op->reg.value);
		if (reg == NO_REG)
			continue;
		if (reg == RSP && delta &&
		    op->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN)
			g->val[RSP] += delta;
		else
			g->known &= ~BIT(reg);
	}
}

static bool usable_address(struct gen *g, uint64_t gva)
{
	if (gva - (DATA_GVA - 32) < DATA_SIZE + RO_SIZE + 64 ||
	    gva - (STACK_GVA + 64) < STACK_SIZE - 128)
		return true;
	return rng_chance(&g->rng, 3);
}

static bool address_ok(struct gen *g, const ZydisDecodedOperand *op)
{
	const ZydisDecodedOperandMem *m = &op->mem;
	uint64_t ea = m->disp.value;
	unsigned int base = gpr_index(m->base), index = gpr_index(m->index);

	if (m->type != ZYDIS_MEMOP_TYPE_MEM || g->wild)
		return true;
	if (base != NO_REG && !(g->known & BIT(base)))
		return false;
	if (index != NO_REG && m->index != ZYDIS_REGISTER_AL &&
	    !(g->known & BIT(index)))
		return false;
	if (op->visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN)
		return true; /* chosen by gen_mem_operand() */
	if (base != NO_REG)
		ea += g->val[base];
	return usable_address(g, ea);
}

static bool write_ok(struct gen *g, const struct decoded *d,
		     const ZydisDecodedOperand *op)
{
	unsigned int reg = gpr_index(op->reg.value);

	if (reg == NO_REG || !(op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
		return true;
	if (g->frozen & BIT(reg))
		return false;
	return reg != RSP || stack_delta(d) || rng_chance(&g->rng, 1);
}

static bool acceptable(struct gen *g, const struct decoded *d)
{
	if (swaps_r8(d) && g->frozen & (BIT(RAX) | BIT(R8)))
		return false;
	for (int i = 0; i < d->insn.operand_count; i++) {
		const ZydisDecodedOperand *op = &d->op[i];

		if (op->type == ZYDIS_OPERAND_TYPE_MEMORY && !address_ok(g, op))
			return false;
		if (op->type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    !write_ok(g, d, op))
			return false;
	}
	return true;
}

bool gen_acceptable(struct gen *g, const uint8_t *code, unsigned int len)
{
	struct decoded d;

	return decode(code, len, &d) && acceptable(g, &d);
}

/* ---- writing ---- */

uint32_t gen_gva(const struct gen *g)
{
	return g->b->gva + g->b->size;
}

bool gen_room(const struct gen *g, unsigned int count)
{
	return g->b->size + (count + 1) * 15 + TAIL <= BLOCK_MAX &&
	       g->b->count + count + 1 < INSN_MAX;
}

static void append(struct gen *g, const uint8_t *code, unsigned int len)
{
	struct block *b = g->b;

	ASSERT(b->count < INSN_MAX && b->size + len + 5 <= BLOCK_MAX);
	memcpy(b->code + b->size, code, len);
	b->start[b->count] = b->size;
	b->len[b->count++] = len;
	b->size += len;
	if (g->budget)
		g->budget--;
}

void gen_bytes(struct gen *g, const void *bytes, unsigned int len)
{
	struct decoded d;

	append(g, bytes, len);
	if (decode(bytes, len, &d))
		track(g, &d);
}

void gen_patch32(struct gen *g, unsigned int end, uint32_t target)
{
	uint32_t rel = target - (g->b->gva + end);

	memcpy(g->b->code + end - 4, &rel, 4);
}

void gen_load(struct gen *g, unsigned int reg, uint64_t val)
{
	uint8_t p[10] = {0x48 | reg >> 3, 0xb8 | (reg & 7)};
	unsigned int len = 10;

	memcpy(p + 2, &val, 8);
	if (val == (uint32_t)val && rng_chance(&g->rng, 80)) {
		p[0] = 0x40 | reg >> 3;
		len = 6;
	} else if (val == (uint64_t)(int32_t)val) {
		p[1] = 0xc7;
		p[2] = 0xc0 | (reg & 7);
		memcpy(p + 3, &val, 4);
		len = 7;
	}
	gen_bytes(g, p, len);
	g->val[reg] = val;
	g->known |= BIT(reg);
}

unsigned int gen_free_reg(struct gen *g)
{
	unsigned int reg;

	do
		reg = rng_below(&g->rng, 16);
	while (reg == RSP || g->frozen & BIT(reg));
	return reg;
}

/* ---- addresses ---- */

/* A register known to point into the data pages, or NO_REG. */
static unsigned int pointer_reg(struct gen *g)
{
	unsigned int first = rng_below(&g->rng, 16);

	for (unsigned int i = 0; i < 16; i++) {
		unsigned int reg = (first + i) & 15;

		if (g->known & BIT(reg) && g->val[reg] >= DATA_GVA + 128 &&
		    g->val[reg] < RO_GVA - 256)
			return reg;
	}
	return NO_REG;
}

static uint64_t edge_address(struct gen *g, unsigned int size)
{
	struct rng *r = &g->rng;
	unsigned int back = 1 + rng_below(r, MAX(size, 2u) - 1);

	switch (rng_below(r, 10)) {
	case 0:
	case 1:
	case 2: return DATA_GVA + 0x1000 - back;
	case 3: return RO_GVA - back;
	case 4: return RO_GVA + RO_SIZE - back;
	case 5: return DATA_GVA - back;
	case 6: return RO_GVA + RO_SIZE + rng_below(r, 0x1000);
	case 7: return rng_below(r, 0x1000); /* the null page */
	default: return RO_GVA + (rng_below(r, RO_SIZE) & ~63u);
	}
}

uint64_t gen_address(struct gen *g, unsigned int size)
{
	struct rng *r = &g->rng;
	unsigned int reg, kind = rng_below(r, 100);
	uint64_t off;

	if (kind < 9)
		return edge_address(g, size);
	reg = kind < 35 ? pointer_reg(g) : NO_REG;
	if (reg != NO_REG)
		return g->val[reg] + (rng_below(r, 4)
					      ? 16 * (int)rng_below(r, 8)
					      : (int)rng_below(r, 255) - 128);
	if (kind < 37)
		return STACK_GVA + 0x100 + (rng_below(r, 0xc00) & ~15u);
	off = rng_below(r, DATA_SIZE - MIN(size, (unsigned int)DATA_SIZE / 2));
	if (kind < 85)
		off &= ~(uint64_t)(size >= 32 ? 63 : 15);
	return DATA_GVA + off;
}

/* The displacement that makes base and index reach @ea, if there is one. */
static bool fit_disp(const struct gen *g, struct mem_operand *m, uint64_t ea)
{
	uint64_t sum = 0;

	if (m->base != NO_REG)
		sum += g->val[m->base];
	if (m->index != NO_REG)
		sum += g->val[m->index] << m->scale;
	m->disp = ea - sum;
	if (m->addr32)
		return ea == (uint32_t)ea;
	return ea - sum == (uint64_t)(int64_t)m->disp;
}

static unsigned int known_reg(struct gen *g)
{
	unsigned int first = rng_below(&g->rng, 16);

	for (unsigned int i = 0; i < 16; i++)
		if (g->known & BIT((first + i) & 15))
			return (first + i) & 15;
	return NO_REG;
}

static void choose_segment(struct gen *g, struct mem_operand *m, uint64_t *ea)
{
	static const uint8_t ignored[4] = {0x2e, 0x3e, 0x26, 0x36};
	unsigned int kind = rng_below(&g->rng, 100);

	if (kind < 7) {
		m->seg = 0x64;
		*ea -= g->fs_base;
	} else if (kind < 14) {
		m->seg = 0x65;
		*ea -= g->gs_base;
	} else if (kind < 17) {
		m->seg = ignored[rng_below(&g->rng, 4)];
	}
}

void gen_mem_operand(struct gen *g, uint64_t target, struct mem_operand *m)
{
	uint64_t ea = target;

	*m = (struct mem_operand){.base = NO_REG, .index = NO_REG};
	choose_segment(g, m, &ea);
	m->addr32 = rng_chance(&g->rng, 5) && ea == (uint32_t)ea;
	m->wide_disp = rng_chance(&g->rng, 5);
	for (int i = 0; i < 6; i++) {
		unsigned int kind = rng_below(&g->rng, 100);

		m->base = m->index = NO_REG;
		if (kind < 92)
			m->base = known_reg(g);
		if (kind < 45 || kind >= 92)
			m->index = known_reg(g);
		if (m->index == RSP)
			m->index = NO_REG;
		m->scale = rng_below(&g->rng, 4);
		if (fit_disp(g, m, ea))
			return;
	}
	m->index = NO_REG;
	m->target = ea;
	m->base = NO_REG;
	if (rng_chance(&g->rng, 70) && ea == (uint32_t)ea)
		m->base = 16;
	else if (!fit_disp(g, m, ea))
		m->disp = rng_next(&g->rng); /* out of reach: any address */
}

/* A base anywhere in the data pages and a small scaled displacement. */
static bool compressed_disp(struct gen *g, const struct form *f,
			    struct mem_operand *m)
{
	unsigned int reg = pointer_reg(g);

	if (f->enc != ENC_EVEX || reg == NO_REG || !rng_chance(&g->rng, 35))
		return false;
	*m = (struct mem_operand){.base = reg, .index = NO_REG};
	m->disp = (int)rng_below(&g->rng, 17) - 8;
	m->disp8 = true;
	return true;
}

/* ---- one instruction of a form ---- */

static uint64_t random_imm(struct gen *g)
{
	switch (rng_below(&g->rng, 4)) {
	case 0: return rng_below(&g->rng, 8);
	case 1: return -(uint64_t)rng_below(&g->rng, 8);
	default: return rng_next(&g->rng);
	}
}

void gen_operands(struct gen *g, const struct form *f, struct operands *o)
{
	unsigned int regs = f->enc == ENC_EVEX ? 32 : 16;

	memset(o, 0, sizeof(*o));
	o->reg = rng_below(&g->rng, regs);
	o->rm = rng_below(&g->rng, regs);
	o->vvvv = f->enc == ENC_LEGACY ? 0 : rng_below(&g->rng, regs);
	o->rex = rng_chance(&g->rng, 25);
	o->imm = random_imm(g);
	if (f->enc == ENC_EVEX && (f->needs_mask || rng_chance(&g->rng, 50))) {
		o->aaa = 1 + rng_below(&g->rng, 7);
		o->z = rng_chance(&g->rng, 50);
	}
	o->lock = f->lockable && f->rm_kind == RM_MEM &&
		  rng_chance(&g->rng, 12);
	if (f->enc == ENC_LEGACY && rng_chance(&g->rng, 1))
		o->extra = 0x3e;
	o->mem.base = o->mem.index = NO_REG;
}

/* The fields that are most often reserved go to their neutral values. */
static void simplify(const struct form *f, struct operands *o, int step)
{
	switch (step) {
	case 1: o->vvvv = 0; break;
	case 2: o->z = false; break;
	case 3: o->reg &= 7; break;
	case 4:
		o->rm &= 7;
		o->aaa = f->needs_mask;
		break;
	default: break;
	}
}

bool gen_form(struct gen *g, const struct form *f, struct operands *o)
{
	struct decoded d;
	uint8_t code[32];

	for (int step = 0; step < 5; step++) {
		unsigned int len;

		simplify(f, o, step);
		len = emit_form(f, o, gen_gva(g), code);
		if (!len || !decode(code, len, &d))
			continue;
		if (!acceptable(g, &d))
			return false;
		append(g, code, len);
		track(g, &d);
		return true;
	}
	return false;
}

/* BT and its kin with a register take bits far away; they have a template. */
static bool is_bit_string(const struct form *f)
{
	return f->rm_kind == RM_MEM && !f->imm &&
	       (f->mnemonic == ZYDIS_MNEMONIC_BT ||
		f->mnemonic == ZYDIS_MNEMONIC_BTS ||
		f->mnemonic == ZYDIS_MNEMONIC_BTR ||
		f->mnemonic == ZYDIS_MNEMONIC_BTC);
}

/*
 * Any register as the base. Not with FS or GS: where only the sum with their
 * base is canonical, AMD's processors raise #GP and Intel's do not.
 */
static void wild_base(struct gen *g, struct mem_operand *m)
{
	m->base = rng_below(&g->rng, 16);
	if (m->seg == 0x64 || m->seg == 0x65)
		m->seg = 0;
	g->wild = true;
}

static bool gen_one(struct gen *g, const struct form *f)
{
	struct operands o;
	uint64_t target;
	bool ok;

	if (f->rm_kind == RM_VSIB || is_bit_string(f))
		return false;
	gen_operands(g, f, &o);
	if (f->rm_kind == RM_MEM || f->rm_kind == RM_MOFFS) {
		target = gen_address(g, f->mem_size);
		/* locks across cache lines stop the whole machine: rarely */
		if (o.lock && rng_chance(&g->rng, 98))
			target &= ~15ULL;
		if (f->mem_agen && rng_chance(&g->rng, 50))
			target = rng_next(&g->rng);
		if (!compressed_disp(g, f, &o.mem))
			gen_mem_operand(g, target, &o.mem);
		if (f->rm_kind == RM_MOFFS) {
			o.mem.addr32 &= target == (uint32_t)target;
			o.mem.seg = 0;
			o.mem.target = target;
		}
		if (rng_chance(&g->rng, 1)) {
			wild_base(g, &o.mem);
		}
	}
	ok = gen_form(g, f, &o);
	g->wild = false;
	return ok;
}

static enum form_group pick_group(struct gen *g)
{
	const struct profile *p = &profiles[g->profile];
	unsigned int sum = 0, n;

	for (int i = 0; i < GROUP_COUNT; i++)
		sum += p->group[i];
	n = rng_below(&g->rng, sum);
	for (int i = 0; i < GROUP_COUNT; i++) {
		if (n < p->group[i])
			return i;
		n -= p->group[i];
	}
	return GROUP_INT;
}

static void plain(struct gen *g)
{
	for (int i = 0; i < 20; i++) {
		const struct form *f = form_pick(&g->rng, pick_group(g));

		if (f && gen_one(g, f))
			return;
	}
}

void gen_filler(struct gen *g, unsigned int count)
{
	while (count-- && gen_room(g, 8))
		plain(g);
}

/* ---- blocks ---- */

static void run_template(struct gen *g, const struct template *t,
			 unsigned int count)
{
	unsigned int sum = 0, n;

	for (unsigned int i = 0; i < count; i++)
		sum += t[i].weight;
	n = rng_below(&g->rng, sum);
	while (n >= t->weight)
		n -= t++->weight;
	t->fn(g);
}

static void step(struct gen *g)
{
	const struct profile *p = &profiles[g->profile];
	unsigned int n = rng_below(&g->rng, 256);

	/* keep some pointers alive */
	if (__builtin_popcount(g->known) < 4 && rng_chance(&g->rng, 50))
		gen_load(g, gen_free_reg(g),
			 DATA_GVA + (rng_below(&g->rng, DATA_SIZE) & ~63u));
	if (n < p->control)
		run_template(g, control, ARRAY_SIZE(control));
	else if ((n -= p->control) < p->string)
		run_template(g, string, ARRAY_SIZE(string));
	else if ((n -= p->string) < p->system)
		run_template(g, system_, ARRAY_SIZE(system_));
	else if ((n -= p->system) < p->vector)
		run_template(g, vector_, ARRAY_SIZE(vector_));
	else
		plain(g);
}

static void begin(struct gen *g, uint64_t seed, uint32_t gva, struct block *b)
{
	struct state st;

	memset(g, 0, sizeof(*g));
	rng_seed(&g->rng, seed);
	g->b = b;
	b->seed = seed;
	b->gva = gva;
	b->size = b->count = 0;
	init_gprs(seed, &st);
	memcpy(g->val, st.gpr, sizeof(g->val));
	g->known = 0xffff;
	g->fs_base = st.fs_base;
	g->gs_base = st.gs_base;
}

static void finish(struct block *b)
{
	uint32_t rel = RET_GVA - (b->gva + b->size + 5);

	b->code[b->size] = 0xe9;
	memcpy(b->code + b->size + 1, &rel, 4);
}

static unsigned int pick_profile(struct rng *r)
{
	unsigned int i = 0, n = rng_below(r, 100);

	while (n >= profiles[i].weight)
		n -= profiles[i++].weight;
	return i;
}

static unsigned int pick_length(struct rng *r)
{
	unsigned int kind = rng_below(r, 100);

	if (kind < 70)
		return 1 + rng_below(r, 8);
	return 1 + rng_below(r, kind < 97 ? 20 : 60);
}

void gen_block(uint64_t seed, uint32_t gva, struct block *b)
{
	struct gen g;

	begin(&g, seed, gva, b);
	g.profile = pick_profile(&g.rng);
	g.budget = pick_length(&g.rng);
	while (g.budget && gen_room(&g, 12))
		step(&g);
	finish(b);
}

bool gen_single(const struct form *f, uint64_t seed, uint32_t gva,
		struct block *b)
{
	struct gen g;
	bool ok = false;

	begin(&g, seed, gva, b);
	if (f->rm_kind == RM_VSIB)
		return false;
	for (int i = 0; i < 8 && !ok; i++)
		ok = gen_one(&g, f);
	finish(b);
	return ok;
}

int gen_adopt(struct block *b, const uint8_t *code, unsigned int size)
{
	struct gen g = {.b = b};
	unsigned int off = 0;

	if (size + TAIL > BLOCK_MAX)
		return -EINVAL;
	b->size = b->count = 0;
	while (off < size) {
		struct decoded d;
		unsigned int len = 1;

		if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(
			    decoder(), code + off, size - off, &d.insn, d.op)))
			len = d.insn.length;
		if (b->count + 1 >= INSN_MAX)
			return -EINVAL;
		append(&g, code + off, len);
		off += len;
	}
	finish(b);
	return 0;
}
