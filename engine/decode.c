/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From bytes to a classified instruction. Zydis decodes; the table insn.def
 * and the few rules here say what becomes of it. What the guest's CPUID or
 * the current mode does not allow is turned into #UD or #NM here, once, at
 * translation time. SDM 2 "Exceptions" of each instruction page.
 */
#include "engine/decode.h"

#include "cpu/cpuid.h"
#include "engine/exec.h"
#include "engine/gate.h"
#include "x86/regs.h"

#include <errno.h>
#include <string.h>

struct class_row {
	uint16_t mnemonic;
	uint8_t cls;
	exec_fn *fn;
};

static const struct class_row rows[] = {
#define INSN(m, c, f) {ZYDIS_MNEMONIC_##m, c, f},
#include "engine/insn.def"
#undef INSN
};

enum row_id {
#define INSN(m, c, f) ROW_##m,
#include "engine/insn.def"
#undef INSN
	ROW_COUNT,
};
_Static_assert(ROW_COUNT < 255, "row_of holds bytes");

/* Row number + 1 of each mnemonic. */
static const uint8_t row_of[ZYDIS_MNEMONIC_MAX_VALUE + 1] = {
#define INSN(m, c, f) [ZYDIS_MNEMONIC_##m] = ROW_##m + 1,
#include "engine/insn.def"
#undef INSN
};

/* Bytes that mean something else where a feature is missing. */
static void set_modes(const struct cpu *cpu, ZydisDecoder *dec)
{
	static const struct {
		ZydisDecoderMode mode;
		enum feature feature;
	} by_feature[] = {
		{ZYDIS_DECODER_MODE_LZCNT, FEAT_ABM},
		{ZYDIS_DECODER_MODE_TZCNT, FEAT_BMI1},
		{ZYDIS_DECODER_MODE_WBNOINVD, FEAT_WBNOINVD},
		{ZYDIS_DECODER_MODE_CLDEMOTE, FEAT_CLDEMOTE},
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(by_feature); i++)
		ZydisDecoderEnableMode(dec, by_feature[i].mode,
				       cpu_has(cpu, by_feature[i].feature));
	/* never offered: their places in the NOP space stay NOPs */
	ZydisDecoderEnableMode(dec, ZYDIS_DECODER_MODE_MPX, false);
	ZydisDecoderEnableMode(dec, ZYDIS_DECODER_MODE_CET, false);
	ZydisDecoderEnableMode(dec, ZYDIS_DECODER_MODE_AMD_BRANCHES,
			       cpu->vendor_amd);
}

exec_fn *decode_refusal(int err)
{
	return err == -ERANGE ? exec_gp : exec_ud;
}

int decode_insn(const struct cpu *cpu, unsigned int bits, const uint8_t *bytes,
		unsigned int len, uint64_t rip, struct dinsn *d)
{
	static const ZydisMachineMode modes[] = {
		ZYDIS_MACHINE_MODE_REAL_16,
		ZYDIS_MACHINE_MODE_LEGACY_32,
		ZYDIS_MACHINE_MODE_LONG_64,
	};
	ZydisMachineMode mode = modes[bits == 64 ? 2 : bits == 32 ? 1 : 0];
	ZydisDecoder dec;
	ZyanStatus st;

	ZydisDecoderInit(&dec, mode,
			 bits == 64   ? ZYDIS_STACK_WIDTH_64
			 : bits == 32 ? ZYDIS_STACK_WIDTH_32
				      : ZYDIS_STACK_WIDTH_16);
	set_modes(cpu, &dec);
	st = ZydisDecoderDecodeFull(&dec, bytes, MIN(len, 15u), &d->in, d->op);
	if (st == ZYDIS_STATUS_NO_MORE_DATA)
		return len < 15 ? -EFAULT : -ERANGE;
	if (st == ZYDIS_STATUS_INSTRUCTION_TOO_LONG)
		return -ERANGE;
	if (ZYAN_FAILED(st))
		return -EINVAL;
	memcpy(d->bytes, bytes, d->in.length);
	d->rip = rip;
	d->next_rip = rip + d->in.length;
	if (bits == 32)
		d->next_rip &= 0xffffffff;
	return 0;
}

bool decode_gpr(ZydisRegister r, unsigned int *num, unsigned int *size,
		bool *high)
{
	*high = false;
	if (r >= ZYDIS_REGISTER_AL && r <= ZYDIS_REGISTER_R15B) {
		unsigned int i = r - ZYDIS_REGISTER_AL;

		*size = 1;
		*high = i >= 4 && i < 8;
		*num = i < 4 ? i : i - 4;
		return true;
	}
	if (r >= ZYDIS_REGISTER_AX && r <= ZYDIS_REGISTER_R15W) {
		*num = r - ZYDIS_REGISTER_AX;
		*size = 2;
		return true;
	}
	if (r >= ZYDIS_REGISTER_EAX && r <= ZYDIS_REGISTER_R15D) {
		*num = r - ZYDIS_REGISTER_EAX;
		*size = 4;
		return true;
	}
	if (r >= ZYDIS_REGISTER_RAX && r <= ZYDIS_REGISTER_R15) {
		*num = r - ZYDIS_REGISTER_RAX;
		*size = 8;
		return true;
	}
	return false;
}

const ZydisDecodedOperand *decode_mem(const struct dinsn *d)
{
	for (unsigned int i = 0; i < d->in.operand_count; i++)
		if (d->op[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
		    d->op[i].mem.type == ZYDIS_MEMOP_TYPE_MEM)
			return &d->op[i];
	return NULL;
}

static uint8_t seg_of(ZydisRegister r)
{
	switch (r) {
	case ZYDIS_REGISTER_ES: return SEG_ES;
	case ZYDIS_REGISTER_CS: return SEG_CS;
	case ZYDIS_REGISTER_SS: return SEG_SS;
	case ZYDIS_REGISTER_FS: return SEG_FS;
	case ZYDIS_REGISTER_GS: return SEG_GS;
	default: return SEG_DS;
	}
}

static uint8_t gpr_or_none(ZydisRegister r)
{
	unsigned int num, size;
	bool high;

	return decode_gpr(r, &num, &size, &high) ? num : OPND_NOREG;
}

bool decode_locks(const struct dinsn *d)
{
	return d->in.attributes & ZYDIS_ATTRIB_HAS_LOCK ||
	       d->in.mnemonic == ZYDIS_MNEMONIC_XCHG;
}

bool decode_rip_rel(const ZydisDecodedOperand *op)
{
	return op->mem.base == ZYDIS_REGISTER_RIP ||
	       op->mem.base == ZYDIS_REGISTER_EIP;
}

void decode_memref(const struct dinsn *d, const ZydisDecodedOperand *op,
		   struct memref *m)
{
	*m = (struct memref){
		.seg = seg_of(op->mem.segment),
		.base = gpr_or_none(op->mem.base),
		.index = gpr_or_none(op->mem.index),
		.scale = op->mem.scale ? op->mem.scale : 1,
		.asize = d->in.address_width / 8,
		.disp = op->mem.disp.has_displacement ? op->mem.disp.value : 0,
	};
	if (decode_rip_rel(op)) {
		m->absolute = m->rip_rel = true;
		m->base = OPND_NOREG;
		m->disp += d->next_rip;
	}
	if (m->base == OPND_NOREG && m->index == OPND_NOREG)
		m->absolute = true;
}

static void convert_reg(const ZydisDecodedOperand *op, struct opnd *o)
{
	ZydisRegister r = op->reg.value;
	unsigned int num, size;
	bool high;

	o->kind = OPND_VEC;
	if (decode_gpr(r, &num, &size, &high)) {
		o->kind = OPND_REG;
		o->reg = high ? num | OPND_HIGH8 : num;
		o->size = size;
	} else if (r >= ZYDIS_REGISTER_ES && r <= ZYDIS_REGISTER_GS) {
		o->kind = OPND_SEG;
		o->reg = seg_of(r);
		o->size = 2;
	} else if (r >= ZYDIS_REGISTER_CR0 && r <= ZYDIS_REGISTER_CR15) {
		o->kind = OPND_CR;
		o->reg = r - ZYDIS_REGISTER_CR0;
	} else if (r >= ZYDIS_REGISTER_DR0 && r <= ZYDIS_REGISTER_DR15) {
		o->kind = OPND_DR;
		o->reg = r - ZYDIS_REGISTER_DR0;
	} else {
		o->reg = ZydisRegisterGetId(r);
	}
}

/* exec_gather() wants the vector register and the number of elements. */
static void convert_vsib(const struct dinsn *d, const ZydisDecodedOperand *op,
			 struct opnd *o)
{
	unsigned int esize = op->element_size, isize;

	switch (d->in.mnemonic) {
	case ZYDIS_MNEMONIC_VGATHERQPS:
	case ZYDIS_MNEMONIC_VPGATHERQD:
	case ZYDIS_MNEMONIC_VSCATTERQPS:
	case ZYDIS_MNEMONIC_VPSCATTERQD: isize = 64; break;
	default: isize = 32; break;
	}
	o->index = ZydisRegisterGetId(op->mem.index);
	o->size = d->in.avx.vector_length / MAX(esize, isize);
}

static void convert_operand(const struct dinsn *d,
			    const ZydisDecodedOperand *op, struct opnd *o)
{
	struct memref m;

	o->size = op->size / 8;
	switch (op->type) {
	case ZYDIS_OPERAND_TYPE_REGISTER: convert_reg(op, o); break;
	case ZYDIS_OPERAND_TYPE_IMMEDIATE:
		o->kind = OPND_IMM;
		o->disp = op->imm.value.s;
		break;
	case ZYDIS_OPERAND_TYPE_POINTER:
		o->kind = OPND_FAR;
		o->disp = op->ptr.offset;
		o->reg = 0;
		o->base = op->ptr.segment & 0xff;
		o->index = op->ptr.segment >> 8;
		break;
	case ZYDIS_OPERAND_TYPE_MEMORY:
		decode_memref(d, op, &m);
		o->kind = OPND_MEM;
		o->seg = m.seg;
		o->base = m.base;
		o->index = m.index;
		o->scale = m.scale;
		o->disp = m.disp;
		o->rip_rel = m.absolute;
		if (op->mem.type == ZYDIS_MEMOP_TYPE_VSIB)
			convert_vsib(d, op, o);
		break;
	default: break;
	}
}

/* Zydis gives these a memory operand that is read. */
static bool only_names_memory(const struct dinsn *d)
{
	switch (d->in.mnemonic) {
	case ZYDIS_MNEMONIC_CLDEMOTE:
	case ZYDIS_MNEMONIC_CLFLUSH:
	case ZYDIS_MNEMONIC_CLFLUSHOPT:
	case ZYDIS_MNEMONIC_CLWB:
	case ZYDIS_MNEMONIC_INVLPG:
	case ZYDIS_MNEMONIC_MONITOR: return true;
	default: return d->cls == K_NOP || d->cls == K_LEA;
	}
}

enum retired_mem decode_touches(const struct dinsn *d)
{
	unsigned int loads = 0, stores = 0, updates = 0;

	if (only_names_memory(d))
		return RETIRED_NO_MEM;
	for (unsigned int i = 0; i < d->in.operand_count; i++) {
		bool r = d->op[i].actions & ZYDIS_OPERAND_ACTION_MASK_READ;
		bool w = d->op[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;

		if (d->op[i].type != ZYDIS_OPERAND_TYPE_MEMORY)
			continue;
		loads += r;
		stores += w;
		updates += r && w;
	}
	if (!stores)
		return loads ? RETIRED_LOAD : RETIRED_NO_MEM;
	if (!loads)
		return RETIRED_STORE;
	return updates ? RETIRED_UPDATE : RETIRED_COPY;
}

void decode_to_insn(const struct dinsn *d, unsigned int stack_bits,
		    struct insn *out)
{
	memset(out, 0, sizeof(*out));
	out->id = d->in.mnemonic;
	out->len = d->in.length;
	out->opsize = d->in.operand_width / 8;
	out->addrsize = d->in.address_width / 8;
	out->stacksize = stack_bits / 8;
	out->next_rip = d->next_rip;
	out->mem = decode_touches(d);
	if (d->in.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE))
		out->prefix |= INSN_REP;
	if (d->in.attributes & ZYDIS_ATTRIB_HAS_REPNE)
		out->prefix |= INSN_REPNE;
	if (d->in.attributes & ZYDIS_ATTRIB_HAS_LOCK)
		out->prefix |= INSN_LOCK;
	memcpy(out->bytes, d->bytes, d->in.length);
	for (unsigned int i = 0; i < d->in.operand_count && out->nops < 4;
	     i++) {
		/* string and port instructions: implied operands tell much */
		if (d->op[i].visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN &&
		    d->op[i].type != ZYDIS_OPERAND_TYPE_MEMORY)
			continue;
		if (d->op[i].visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN &&
		    d->in.meta.category != ZYDIS_CATEGORY_STRINGOP &&
		    d->in.meta.category != ZYDIS_CATEGORY_IOSTRINGOP &&
		    d->in.meta.category != ZYDIS_CATEGORY_MISC)
			continue;
		convert_operand(d, &d->op[i], &out->op[out->nops++]);
	}
}

/* MOV, PUSH, POP of segment, control and debug registers. */
static void classify_special_reg(struct dinsn *d)
{
	bool mov = d->in.mnemonic == ZYDIS_MNEMONIC_MOV;
	bool push = d->in.mnemonic == ZYDIS_MNEMONIC_PUSH;

	for (unsigned int i = 0; i < d->in.operand_count_visible; i++) {
		ZydisRegister r = d->op[i].reg.value;

		if (d->op[i].type != ZYDIS_OPERAND_TYPE_REGISTER)
			continue;
		if (r >= ZYDIS_REGISTER_ES && r <= ZYDIS_REGISTER_GS) {
			bool to = i == 0;

			if (mov && !to &&
			    d->op[0].type == ZYDIS_OPERAND_TYPE_MEMORY) {
				d->cls = K_STSEG;
				return;
			}
			d->cls = to && !push ? K_END : K_CALL;
			d->fn = mov ? to ? exec_mov_to_seg : exec_mov_from_seg
				: push ? exec_push_seg
				       : exec_pop_seg;
		} else if (r >= ZYDIS_REGISTER_CR0 &&
			   r <= ZYDIS_REGISTER_CR15) {
			d->cls = i == 0 ? K_END : K_CALL;
			d->fn = i == 0 ? exec_mov_to_cr : exec_mov_from_cr;
		} else if (r >= ZYDIS_REGISTER_DR0 &&
			   r <= ZYDIS_REGISTER_DR15) {
			d->cls = K_END;
			d->fn = i == 0 ? exec_mov_to_dr : exec_mov_from_dr;
		}
	}
}

static bool string_row(const struct dinsn *d)
{
	return d->in.meta.category == ZYDIS_CATEGORY_STRINGOP ||
	       d->in.meta.category == ZYDIS_CATEGORY_IOSTRINGOP;
}

static void classify_row(struct dinsn *d)
{
	ZydisMnemonic m = d->in.mnemonic;
	unsigned int r = row_of[m];

	d->cls = K_COPY;
	d->fn = NULL;
	if ((m == ZYDIS_MNEMONIC_MOVSD || m == ZYDIS_MNEMONIC_CMPSD) &&
	    string_row(d)) {
		d->cls = K_END;
		d->fn = m == ZYDIS_MNEMONIC_MOVSD ? exec_movs : exec_cmps;
	} else if (r) {
		d->cls = rows[r - 1].cls;
		d->fn = rows[r - 1].fn;
	}
	if (m == ZYDIS_MNEMONIC_MOV || m == ZYDIS_MNEMONIC_PUSH ||
	    m == ZYDIS_MNEMONIC_POP)
		classify_special_reg(d);
	if (d->in.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR &&
	    (m == ZYDIS_MNEMONIC_JMP || m == ZYDIS_MNEMONIC_CALL ||
	     m == ZYDIS_MNEMONIC_RET)) {
		d->cls = K_END;
		d->fn = m == ZYDIS_MNEMONIC_JMP    ? exec_jmp_far
			: m == ZYDIS_MNEMONIC_CALL ? exec_call_far
						   : exec_ret_far;
	}
}

/* Encodings that processors refuse and the decoder does not. */
static void classify_refused(const struct cpu *cpu, struct dinsn *d)
{
	bool bad = false;

	if (d->in.mnemonic == ZYDIS_MNEMONIC_CLZERO)
		for (unsigned int i = 0; i < d->in.raw.prefix_count; i++)
			bad |= d->in.raw.prefixes[i].value >= 0xf0;
	/* PREFETCHW of a register: a NOP to Intel's */
	if (cpu->vendor_amd && d->in.opcode == 0x0d &&
	    d->in.opcode_map == ZYDIS_OPCODE_MAP_0F &&
	    d->in.encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY)
		bad |= d->in.raw.modrm.mod == 3;
	if (bad) {
		d->cls = K_END;
		d->fn = exec_ud;
	}
}

/* Why a transfer or a stack reference is done by C, faults included. */
enum {
	SLOW_WORD = 1,  /* 16 bits in 64-bit code (branches: AMD's only) */
	SLOW_STACK = 2, /* a stack that is not flat and of 32 bits */
	SLOW_ALONE = 4, /* the only instruction of its block */
};

static const struct {
	exec_fn *fn;
	uint8_t cls;
	uint8_t when;
	uint8_t indirect; /* when, if the target is no constant */
} slow_forms[] = {
	[K_PUSH] = {exec_push, K_CALL, SLOW_STACK},
	[K_POP] = {exec_pop, K_CALL, SLOW_STACK},
	[K_LEAVE] = {exec_leave, K_CALL, SLOW_STACK | SLOW_WORD},
	[K_JCC] = {exec_jcc, K_END, SLOW_WORD},
	[K_LOOP] = {exec_loop, K_END, SLOW_WORD},
	[K_JMP] = {exec_jmp_near, K_END, SLOW_WORD, SLOW_STACK | SLOW_ALONE},
	[K_CALLN] = {exec_call_near, K_END, SLOW_WORD | SLOW_STACK, SLOW_ALONE},
	[K_RETN] = {exec_ret_near, K_END, SLOW_WORD | SLOW_STACK | SLOW_ALONE},
};

static unsigned int slow_reasons(uint64_t mode, const struct dinsn *d)
{
	const uint64_t flat = MODE_FLAT | MODE_SSB | MODE_D;
	unsigned int why = mode & MODE_ONE ? SLOW_ALONE : 0;

	if (mode & MODE_L)
		return why | (d->in.operand_width == 16 ? SLOW_WORD : 0);
	if ((mode & flat) == flat && d->in.operand_width == 32)
		return why;
	return why | SLOW_STACK;
}

static void classify_slow(uint64_t mode, struct dinsn *d)
{
	bool indirect = d->op[0].type != ZYDIS_OPERAND_TYPE_IMMEDIATE;
	unsigned int cls = d->cls, when;

	if (cls >= ARRAY_SIZE(slow_forms))
		return;
	when = slow_forms[cls].when | (indirect ? slow_forms[cls].indirect : 0);
	if (!(when & slow_reasons(mode, d)))
		return;
	d->fn = slow_forms[cls].fn;
	d->cls = slow_forms[cls].cls;
}

/* RFLAGS bits an instruction reads, may write, and surely overwrites. */
static void classify_flags(struct dinsn *d)
{
	const ZydisAccessedFlags *f = d->in.cpu_flags;
	uint32_t sure;

	d->reads = d->writes = d->kills = 0;
	if (!f)
		return;
	d->reads = f->tested & RFLAGS_ARITH;
	sure = f->modified | f->set_0 | f->set_1;
	d->writes = (sure | f->undefined) & RFLAGS_ARITH;
	d->kills = sure & ~f->undefined & RFLAGS_ARITH;
	switch (d->in.meta.category) {
	case ZYDIS_CATEGORY_LOGICAL: /* AF: cleared by all silicon */
		d->kills = d->writes;
		break;
	case ZYDIS_CATEGORY_SHIFT:
	case ZYDIS_CATEGORY_ROTATE:
		d->kills = 0; /* a count of zero changes nothing */
		if (d->op[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
		    (d->op[1].imm.value.u & 0x1f) &&
		    d->in.meta.category == ZYDIS_CATEGORY_SHIFT)
			d->kills = sure & ~f->undefined & RFLAGS_ARITH;
		break;
	default: break;
	}
	if (d->in.meta.isa_ext == ZYDIS_ISA_EXT_BMI2)
		d->kills = 0;
}

void decode_classify(struct cpu *cpu, uint64_t mode, struct dinsn *d)
{
	classify_row(d);
	if (d->cls == K_PAUSE && d->in.raw.rex.B)
		d->cls = K_COPY; /* it is XCHG of r8 and rax */
	classify_flags(d);
	classify_slow(mode, d);
	classify_refused(cpu, d);
	gate_insn(cpu, mode, d);
	if (d->cls == K_END && strop_inline(mode, d))
		d->cls = K_STRING;
	if (d->cls == K_CALL && mode & MODE_WATCH)
		d->cls = K_END; /* a trap may follow it */
	if (d->cls == K_CALL || d->cls == K_END) {
		/* C sees and may change all flags */
		d->reads = RFLAGS_ARITH;
		d->writes = 0;
		d->kills = 0;
	}
}
