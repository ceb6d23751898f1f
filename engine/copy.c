/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copying an instruction: same opcode and immediate, registers renamed to
 * where the guest's live, the memory operand replaced by [s0]. Prefixes,
 * ModRM and the register bits of REX, VEX, XOP and EVEX are patched; nothing
 * is re-encoded from scratch, so nothing can be mis-encoded.
 * SDM 2A "Instruction Format" (2.1-2.3), "EVEX Prefix" (2.7).
 */
#include "engine/decode.h"

#define MAX_HOMELESS 3

/* Host registers for the three fields that can name a general register. */
struct fields {
	unsigned int reg, rm, vvvv, opcode; /* host number or NOHOST */
	bool mem;
	unsigned int mem_base;
	bool force_rex; /* spl bpl sil dil */
	bool high8;     /* ah ch dh bh: no REX allowed */
};

/* Guest registers without a host register that this instruction uses. */
struct homeless {
	uint8_t guest, host;
	bool load, store;
};

struct copy {
	struct fields f;
	struct homeless h[MAX_HOMELESS];
	unsigned int nh;
	unsigned int bit_reg, bit_size; /* BT mem, reg; size 0: no */
};

static bool op_reads(const ZydisDecodedOperand *op)
{
	return op->actions & ZYDIS_OPERAND_ACTION_MASK_READ ||
	       op->actions & ZYDIS_OPERAND_ACTION_CONDWRITE;
}

static bool op_writes(const ZydisDecodedOperand *op)
{
	return op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
}

static struct homeless *homeless_find(struct copy *c, unsigned int guest)
{
	for (unsigned int i = 0; i < c->nh; i++)
		if (c->h[i].guest == guest)
			return &c->h[i];
	if (c->nh == MAX_HOMELESS)
		return NULL;
	c->h[c->nh] = (struct homeless){.guest = guest, .host = NOHOST};
	return &c->h[c->nh++];
}

/* A source of 0 leaves their destination alone; Zydis calls it written. */
static bool keeps_dest(const struct trans *t)
{
	ZydisMnemonic m = t->d->in.mnemonic;

	return m == ZYDIS_MNEMONIC_BSF || m == ZYDIS_MNEMONIC_BSR;
}

static void note_homeless(struct trans *t, struct copy *c, unsigned int num,
			  unsigned int size, const ZydisDecodedOperand *op)
{
	struct homeless *h = homeless_find(c, num);

	if (!h) {
		t->too_big = true;
		return;
	}
	if (op_reads(op) || (op_writes(op) && (size < 4 || keeps_dest(t))))
		h->load = true;
	if (op_writes(op))
		h->store = true;
}

/* Those that are read, or those that are not, get what is not taken yet. */
static void assign_scratch(struct trans *t, struct copy *c, bool read, bool s1,
			   bool s0)
{
	for (unsigned int i = 0; i < c->nh; i++) {
		struct homeless *h = &c->h[i];

		if (h->load != read)
			continue;
		if (!s1) {
			h->host = S1;
			s1 = true;
		} else if (!s0) {
			h->host = S0;
			s0 = true;
		} else {
			t->too_big = true;
		}
	}
}

/* Readers get distinct registers; a pure destination may share a source's. */
static void assign_homeless(struct trans *t, struct copy *c)
{
	bool s1 = false, s0 = false;

	assign_scratch(t, c, true, false, c->f.mem);
	/* Destinations: only other stores count. */
	for (unsigned int i = 0; i < c->nh; i++) {
		if (c->h[i].load && c->h[i].store) {
			s1 |= c->h[i].host == S1;
			s0 |= c->h[i].host == S0;
		}
	}
	assign_scratch(t, c, false, s1, s0);
}

static unsigned int host_of(struct copy *c, unsigned int guest)
{
	unsigned int h = home(guest);

	if (h != NOHOST)
		return h;
	for (unsigned int i = 0; i < c->nh; i++)
		if (c->h[i].guest == guest)
			return c->h[i].host;
	return NOHOST;
}

/* BT mem, reg and its like: the register also moves the address. */
static void find_bit_offset(struct trans *t, struct copy *c)
{
	const struct dinsn *d = t->d;
	bool high;

	switch (d->in.mnemonic) {
	case ZYDIS_MNEMONIC_BT:
	case ZYDIS_MNEMONIC_BTC:
	case ZYDIS_MNEMONIC_BTR:
	case ZYDIS_MNEMONIC_BTS: break;
	default: return;
	}
	if (c->f.mem && d->op[1].type == ZYDIS_OPERAND_TYPE_REGISTER)
		decode_gpr(d->op[1].reg.value, &c->bit_reg, &c->bit_size,
			   &high);
}

/* First pass: which registers; second pass: where they are. */
static void scan_operands(struct trans *t, struct copy *c)
{
	const struct dinsn *d = t->d;
	unsigned int num, size;
	bool high;

	c->f = (struct fields){NOHOST, NOHOST, NOHOST, NOHOST};
	c->f.mem = decode_mem(d) != NULL;
	find_bit_offset(t, c);
	if (c->bit_size) {
		c->f.reg = S1;
		return;
	}
	for (unsigned int i = 0; i < d->in.operand_count; i++) {
		const ZydisDecodedOperand *op = &d->op[i];

		if (op->type != ZYDIS_OPERAND_TYPE_REGISTER ||
		    !decode_gpr(op->reg.value, &num, &size, &high))
			continue;
		if (high) /* that of LAHF and SAHF is nowhere encoded */
			c->f.high8 |= op->encoding !=
				      ZYDIS_OPERAND_ENCODING_NONE;
		else if (size == 1 && num >= 4 && num < 8)
			c->f.force_rex = true;
		if (home(num) == NOHOST)
			note_homeless(t, c, num, size, op);
	}
	assign_homeless(t, c);
	for (unsigned int i = 0; i < d->in.operand_count; i++) {
		const ZydisDecodedOperand *op = &d->op[i];
		unsigned int h;

		if (op->type != ZYDIS_OPERAND_TYPE_REGISTER ||
		    !decode_gpr(op->reg.value, &num, &size, &high))
			continue;
		h = high ? num + 4 : host_of(c, num);
		switch (op->encoding) {
		case ZYDIS_OPERAND_ENCODING_MODRM_REG: c->f.reg = h; break;
		case ZYDIS_OPERAND_ENCODING_MODRM_RM: c->f.rm = h; break;
		case ZYDIS_OPERAND_ENCODING_NDSNDD: c->f.vvvv = h; break;
		case ZYDIS_OPERAND_ENCODING_OPCODE: c->f.opcode = h; break;
		default: break;
		}
	}
}

/* Bytes behind opcode, ModRM, SIB and displacement: the immediates. */
static unsigned int tail_offset(const struct dinsn *d)
{
	const ZydisDecodedInstructionRaw *r = &d->in.raw;
	unsigned int off;

	if (d->in.attributes & ZYDIS_ATTRIB_HAS_MODRM) {
		off = r->modrm.offset + 1;
		if (d->in.attributes & ZYDIS_ATTRIB_HAS_SIB)
			off = r->sib.offset + 1;
		if (r->disp.size)
			off = r->disp.offset + r->disp.size / 8;
		return off;
	}
	if (r->imm[0].size)
		return r->imm[0].offset;
	return d->in.length;
}

static void emit_modrm_tail(struct trans *t, const struct fields *f)
{
	const struct dinsn *d = t->d;
	struct emit *e = &t->e;

	if (d->in.attributes & ZYDIS_ATTRIB_HAS_MODRM) {
		unsigned int reg = d->in.raw.modrm.reg;
		unsigned int rm = d->in.raw.modrm.rm;

		if (f->reg != NOHOST)
			reg = f->reg;
		if (f->rm != NOHOST)
			rm = f->rm;
		if (f->mem)
			emit1(e, (reg & 7) << 3 | (f->mem_base & 7));
		else
			emit1(e, 0xc0 | (reg & 7) << 3 | (rm & 7));
		if (f->mem && (f->mem_base & 7) == 5) {
			e->p[-1] |= 0x40;
			emit1(e, 0);
		}
	}
	for (unsigned int i = tail_offset(d); i < d->in.length; i++)
		emit1(e, d->bytes[i]);
}

/*
 * In 16-bit code the prefix means the opposite. It is added where an operand
 * has the size it stands for; elsewhere it would make another instruction.
 */
static bool needs_opsize(const struct trans *t)
{
	const struct dinsn *d = t->d;
	unsigned int num, size;
	bool high;

	if (t->bits != 16 || d->in.operand_width != 16 ||
	    d->in.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
		return false;
	for (unsigned int i = 0; i < d->in.operand_count; i++) {
		const ZydisDecodedOperand *op = &d->op[i];

		if (op->type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    decode_gpr(op->reg.value, &num, &size, &high) && size == 2)
			return true;
		if (op->type == ZYDIS_OPERAND_TYPE_MEMORY && op->size == 16 &&
		    d->in.meta.isa_ext == ZYDIS_ISA_EXT_BASE)
			return true;
	}
	return false;
}

static void emit_prefixes(struct trans *t)
{
	const struct dinsn *d = t->d;
	const ZydisDecodedInstructionRaw *r = &d->in.raw;
	struct emit *e = &t->e;
	bool need66 = needs_opsize(t);

	for (unsigned int i = 0; i < r->prefix_count; i++) {
		uint8_t v = r->prefixes[i].value;
		bool mand = r->prefixes[i].type == ZYDIS_PREFIX_TYPE_MANDATORY;

		if (v == 0x66 && mand)
			need66 = false;
		/* F2 and F3 that mean nothing here might to the host */
		if (v == 0xf0 || (mand && (v == 0xf2 || v == 0xf3)) ||
		    (v == 0x66 && (mand || t->bits != 16)))
			emit1(e, v);
	}
	if (need66)
		emit1(e, 0x66);
}

static unsigned int bit3(unsigned int host, unsigned int orig)
{
	return host == NOHOST ? orig : host >> 3 & 1;
}

static void emit_legacy(struct trans *t, const struct fields *f)
{
	const struct dinsn *d = t->d;
	const ZydisDecodedInstructionRaw *r = &d->in.raw;
	struct emit *e = &t->e;
	bool moffs = f->mem && !(d->in.attributes & ZYDIS_ATTRIB_HAS_MODRM);
	unsigned int rex = 0, op = d->in.opcode;

	emit_prefixes(t);
	if (r->rex.offset || (d->in.attributes & ZYDIS_ATTRIB_HAS_REX))
		rex = r->rex.W << 3 | r->rex.R << 2 | r->rex.X << 1 | r->rex.B;
	rex &= moffs ? 8u : ~2u;
	rex = (rex & ~4u) | bit3(f->reg, rex >> 2 & 1) << 2;
	if (f->mem)
		rex = (rex & ~1u) | (f->mem_base >> 3 & 1);
	else if (f->opcode != NOHOST)
		rex = (rex & ~1u) | f->opcode >> 3;
	else
		rex = (rex & ~1u) | bit3(f->rm, rex & 1);
	if (rex || f->force_rex) {
		if (f->high8)
			t->too_big = true;
		emit1(e, 0x40 | rex);
	}
	if (d->in.opcode_map != ZYDIS_OPCODE_MAP_DEFAULT)
		emit1(e, 0x0f);
	if (d->in.opcode_map == ZYDIS_OPCODE_MAP_0F38)
		emit1(e, 0x38);
	else if (d->in.opcode_map == ZYDIS_OPCODE_MAP_0F3A)
		emit1(e, 0x3a);
	if (moffs) { /* A0-A3 have no ModRM: 8A 8B 88 89 do the same */
		static const uint8_t same[4] = {0x8a, 0x8b, 0x88, 0x89};

		emit1(e, same[op & 3]);
		emit1(e, f->mem_base & 7);
		return;
	}
	if (t->bits != 64 && d->in.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT &&
	    op >= 0x40 && op <= 0x4f) { /* INC, DEC: REX in 64-bit code */
		emit1(e, 0xff);
		emit1(e, 0xc0 | (op & 8) | (f->opcode & 7));
		return;
	}
	if (f->opcode != NOHOST)
		op = (op & 0xf8) | (f->opcode & 7);
	emit1(e, op);
	emit_modrm_tail(t, f);
}

/* VEX (two bytes become three) and XOP: byte 1 R X B mmmmm, byte 2 W vvvv.. */
static void emit_vex(struct trans *t, const struct fields *f, bool xop)
{
	const struct dinsn *d = t->d;
	unsigned int off = xop ? d->in.raw.xop.offset : d->in.raw.vex.offset;
	const uint8_t *b = d->bytes + off;
	struct emit *e = &t->e;
	uint8_t b1, b2;

	if (b[0] == 0xc5) {
		b1 = (b[1] & 0x80) | 0x61;
		b2 = b[1] & 0x7f;
	} else {
		b1 = b[1];
		b2 = b[2];
	}
	if (t->bits != 64) { /* eight registers */
		b1 |= 0xe0;
		b2 |= 0x40;
	}
	if (f->reg != NOHOST)
		b1 = (b1 & ~0x80) | (f->reg & 8 ? 0 : 0x80);
	if (f->mem)
		b1 = (b1 & ~0x20) | 0x40 | (f->mem_base & 8 ? 0 : 0x20);
	else if (f->rm != NOHOST)
		b1 = (b1 & ~0x20) | (f->rm & 8 ? 0 : 0x20);
	if (f->vvvv != NOHOST)
		b2 = (b2 & ~0x78) | (~f->vvvv & 15) << 3;
	emit1(e, xop ? 0x8f : 0xc4);
	emit1(e, b1);
	emit1(e, b2);
	emit1(e, d->in.opcode);
	emit_modrm_tail(t, f);
}

static void emit_evex(struct trans *t, const struct fields *f)
{
	const struct dinsn *d = t->d;
	const uint8_t *b = d->bytes + d->in.raw.evex.offset;
	struct emit *e = &t->e;
	uint8_t p0 = b[1], p1 = b[2], p2 = b[3];

	if (t->bits != 64) {
		p0 |= 0xf0;
		p1 |= 0x40;
		p2 |= 0x08;
	}
	if (f->reg != NOHOST)
		p0 = (p0 & ~0x90) | (f->reg & 8 ? 0 : 0x80) | 0x10;
	if (f->mem)
		p0 = (p0 & ~0x20) | 0x40 | (f->mem_base & 8 ? 0 : 0x20);
	else if (f->rm != NOHOST)
		p0 = (p0 & ~0x60) | 0x40 | (f->rm & 8 ? 0 : 0x20);
	if (f->vvvv != NOHOST)
		p1 = (p1 & ~0x78) | (~f->vvvv & 15) << 3;
	emit1(e, 0x62);
	emit1(e, p0);
	emit1(e, p1);
	emit1(e, p2);
	emit1(e, d->in.opcode);
	emit_modrm_tail(t, f);
}

static void emit_encoded(struct trans *t, const struct fields *f)
{
	switch (t->d->in.encoding) {
	case ZYDIS_INSTRUCTION_ENCODING_VEX: emit_vex(t, f, false); break;
	case ZYDIS_INSTRUCTION_ENCODING_XOP: emit_vex(t, f, true); break;
	case ZYDIS_INSTRUCTION_ENCODING_EVEX: emit_evex(t, f); break;
	default: emit_legacy(t, f); break;
	}
}

static bool uses_gpr(const struct dinsn *d, unsigned int guest)
{
	unsigned int num, size;
	bool high;

	for (unsigned int i = 0; i < d->in.operand_count; i++)
		if (d->op[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    decode_gpr(d->op[i].reg.value, &num, &size, &high) &&
		    num == guest)
			return true;
	return false;
}

/* A register that can be named beside AH..BH, its value put aside. */
static unsigned int borrow_low(struct trans *t)
{
	static const uint8_t low[] = {H_RBX, H_RSI, H_RDI, H_RDX, H_RCX};

	for (unsigned int i = 0; i < ARRAY_SIZE(low); i++) {
		if (uses_gpr(t->d, low[i]))
			continue;
		emit_st(&t->e, OFF_SCRATCH(5), low[i]);
		t->spilled = true;
		t->spill_reg = low[i];
		return low[i];
	}
	t->too_big = true;
	return NOHOST;
}

/*
 * AH..BH cannot be encoded beside r10, where an address is, nor beside the
 * guest's rsp (MOVZX, MOVSX and CRC32): a low register stands in.
 */
static void settle_high8(struct trans *t, struct fields *f)
{
	if (f->mem) {
		f->mem_base = borrow_low(t);
		emit_mov_rr(&t->e, 8, f->mem_base, S0);
	} else if (f->reg == GSP) {
		f->reg = borrow_low(t);
		emit_mov_rr(&t->e, 8, f->reg, GSP);
	}
}

static void set_flags_state(struct trans *t)
{
	if (!t->d->writes)
		return;
	t->flags_host = true;
	t->flags_mem = false;
}

/* Tell the slow path what it must know about the access just emitted. */
static void note_rule(struct trans *t)
{
	struct mem_rule rule;

	decode_access(t->d, &rule);
	if (t->bounce && t->nrefs)
		t->refs[t->nrefs - 1].rule = rule;
	else if (t->ncold && t->cold[t->ncold - 1].kind == COLD_MEM)
		t->cold[t->ncold - 1].rule = rule;
}

/* The bit's number in its word, kept until flags are settled. */
static void keep_bit_number(struct trans *t, const struct copy *c)
{
	struct emit *e = &t->e;

	if (home(c->bit_reg) == NOHOST)
		emit_ld(e, S1, OFF_GPR(c->bit_reg));
	else
		emit_mov_rr(e, 4, S1, home(c->bit_reg));
	emit1(e, 0x41); /* and s1d, bits - 1 */
	emit1(e, 0x83);
	emit1(e, 0xe0 | (S1 & 7));
	emit1(e, c->bit_size * 8 - 1);
	emit_st(e, OFF_SCRATCH(5), S1);
	t->flags_host = false;
}

/* Address of the memory operand into S0, guest flags kept if needed. */
static void copy_mem(struct trans *t, const struct copy *c)
{
	const ZydisDecodedOperand *op = decode_mem(t->d);
	unsigned int size = op->size / 8;
	struct memref m;

	decode_memref(t->d, op, &m);
	m.bit_reg = c->bit_reg;
	m.bit_size = c->bit_size;
	switch (t->d->in.mnemonic) {
	case ZYDIS_MNEMONIC_CLFLUSH:
	case ZYDIS_MNEMONIC_CLFLUSHOPT:
	case ZYDIS_MNEMONIC_CLWB:
	case ZYDIS_MNEMONIC_CLDEMOTE: size = 1; break;
	default: break;
	}
	if (t->d->live_in)
		flags_protect(t);
	mem_addr(t, &m, size, op_writes(op) ? ACC_WRITE : ACC_READ,
		 op_reads(op));
	note_rule(t);
	if (c->bit_size)
		keep_bit_number(t, c);
}

void copy_insn(struct trans *t)
{
	const struct dinsn *d = t->d;
	struct copy c = {0};
	bool rsp;

	scan_operands(t, &c);
	if (c.f.mem)
		copy_mem(t, &c);
	c.f.mem_base = S0;
	if (d->reads || (d->writes && (d->live_out & ~d->kills)))
		flags_restore(t);
	for (unsigned int i = 0; i < c.nh; i++)
		if (c.h[i].load)
			emit_ld(&t->e, c.h[i].host, OFF_GPR(c.h[i].guest));
	if (c.bit_size)
		emit_ld(&t->e, S1, OFF_SCRATCH(5));
	rsp = c.f.high8 && !c.f.mem && c.f.reg == GSP;
	if (c.f.high8)
		settle_high8(t, &c.f);
	t->op_flags_host = t->flags_host;
	emit_encoded(t, &c.f);
	if (rsp)
		emit_mov_rr(&t->e, 8, GSP, t->spill_reg);
	if (t->spilled)
		emit_ld(&t->e, t->spill_reg, OFF_SCRATCH(5));
	for (unsigned int i = 0; i < c.nh; i++)
		if (c.h[i].store)
			emit_st(&t->e, OFF_GPR(c.h[i].guest), c.h[i].host);
	set_flags_state(t);
}
