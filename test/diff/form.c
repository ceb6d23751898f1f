/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Discovery: every (encoding, map, prefix, W, L, opcode) is decoded with
 * ModRM.reg and ModRM.rm varied; where they do not change the mnemonic they
 * are free for the generator to choose. SDM 2 "Instruction Format" (2.1),
 * "VEX" (2.3), "EVEX" (2.7).
 */
#include "test/diff/form.h"

#include <cpuid.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "test/diff/native.h"

struct key {
	uint8_t enc, map, pp, w, l, b, opcode;
};

struct decoded {
	bool ok;
	uint8_t len;
	ZydisDecodedInstruction insn;
	ZydisDecoderContext ctx;
};

static struct {
	ZydisDecoder dec;
	struct form *forms;
	unsigned int count, cap;
	/* per group: [first, last) of each mnemonic */
	struct {
		uint32_t first, last;
	} * mnem[GROUP_COUNT];
	unsigned int mnem_count[GROUP_COUNT];
} list;

static unsigned int put_legacy(const struct key *k, uint8_t *p)
{
	static const uint8_t prefix[4] = {0, 0x66, 0xf3, 0xf2};
	unsigned int n = 0;

	if (k->pp)
		p[n++] = prefix[k->pp];
	if (k->w)
		p[n++] = 0x48;
	if (k->map)
		p[n++] = 0x0f;
	if (k->map == 2)
		p[n++] = 0x38;
	if (k->map == 3)
		p[n++] = 0x3a;
	p[n++] = k->opcode;
	return n;
}

static unsigned int put_key(const struct key *k, uint8_t *p, uint8_t aaa,
			    bool vvvv)
{
	unsigned int n = 0;
	uint8_t v = vvvv ? 2 : 15; /* inverted */

	if (k->enc == ENC_LEGACY)
		return put_legacy(k, p);
	if (k->enc == ENC_VEX) {
		p[n++] = 0xc4;
		p[n++] = 0xe0 | k->map;
		p[n++] = k->w << 7 | v << 3 | k->l << 2 | k->pp;
	} else {
		p[n++] = 0x62;
		p[n++] = 0xf0 | k->map;
		p[n++] = k->w << 7 | v << 3 | 4 | k->pp;
		p[n++] = k->l << 5 | k->b << 4 | 8 | aaa;
	}
	p[n++] = k->opcode;
	return n;
}

static bool try_decode(const uint8_t *p, struct decoded *d)
{
	d->ok = ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&list.dec, &d->ctx,
							   p, 24, &d->insn));
	d->len = d->ok ? d->insn.length : 0;
	return d->ok;
}

/* Decode with the given ModRM byte; VSIB wants a SIB, masks may be needed. */
static bool probe(const struct key *k, uint8_t modrm, bool vsib, uint8_t *aaa,
		  struct decoded *d)
{
	uint8_t p[32];

	for (int i = 0; i < 4; i++) {
		unsigned int n;

		if (i >= 2 && k->enc != ENC_EVEX)
			return false;
		if (i % 2 && k->enc == ENC_LEGACY)
			return false;
		memset(p, 0, sizeof(p));
		*aaa = i >= 2;
		n = put_key(k, p, *aaa, i % 2);
		p[n++] = vsib ? (modrm & 0x38) | 4 : modrm;
		if (vsib)
			p[n] = 0x1d; /* index 3, no base */
		if (try_decode(p, d))
			return true;
	}
	return false;
}

static bool excluded_mnemonic(ZydisMnemonic m)
{
	switch (m) {
	case ZYDIS_MNEMONIC_CPUID:
	case ZYDIS_MNEMONIC_RDTSC:
	case ZYDIS_MNEMONIC_RDPMC:
	case ZYDIS_MNEMONIC_XGETBV:
	case ZYDIS_MNEMONIC_SGDT: /* the host's kernel may answer these */
	case ZYDIS_MNEMONIC_SIDT:
	case ZYDIS_MNEMONIC_SLDT:
	case ZYDIS_MNEMONIC_SMSW:
	case ZYDIS_MNEMONIC_STR:
	case ZYDIS_MNEMONIC_LAR: /* depend on the host's tables */
	case ZYDIS_MNEMONIC_LSL:
	case ZYDIS_MNEMONIC_VERR:
	case ZYDIS_MNEMONIC_VERW:
	case ZYDIS_MNEMONIC_LFS:
	case ZYDIS_MNEMONIC_LGS:
	case ZYDIS_MNEMONIC_LSS:
	case ZYDIS_MNEMONIC_POPF: /* templates choose these operands */
	case ZYDIS_MNEMONIC_POPFD:
	case ZYDIS_MNEMONIC_POPFQ:
	case ZYDIS_MNEMONIC_ENTER:
	case ZYDIS_MNEMONIC_LEAVE:
	case ZYDIS_MNEMONIC_FLDENV:
	case ZYDIS_MNEMONIC_FNSTENV:
	case ZYDIS_MNEMONIC_FNSAVE:
	case ZYDIS_MNEMONIC_FRSTOR:
	case ZYDIS_MNEMONIC_FXSAVE:
	case ZYDIS_MNEMONIC_FXSAVE64:
	case ZYDIS_MNEMONIC_FXRSTOR:
	case ZYDIS_MNEMONIC_FXRSTOR64:
	case ZYDIS_MNEMONIC_LDMXCSR:
	case ZYDIS_MNEMONIC_VLDMXCSR:
	case ZYDIS_MNEMONIC_IRET:
	case ZYDIS_MNEMONIC_IRETD:
	case ZYDIS_MNEMONIC_IRETQ: return true;
	default: return false;
	}
}

static bool excluded_ext(ZydisISAExt e)
{
	switch (e) {
	case ZYDIS_ISA_EXT_RDPID:
	case ZYDIS_ISA_EXT_RDPRU:
	case ZYDIS_ISA_EXT_RDRAND:
	case ZYDIS_ISA_EXT_RDSEED:
	case ZYDIS_ISA_EXT_RDTSCP:
	case ZYDIS_ISA_EXT_RTM:
	case ZYDIS_ISA_EXT_MONITOR:
	case ZYDIS_ISA_EXT_MONITORX:
	case ZYDIS_ISA_EXT_MCOMMIT:
	case ZYDIS_ISA_EXT_WAITPKG:
	case ZYDIS_ISA_EXT_SVM: /* VMMCALL would reach the host's hypervisor */
	case ZYDIS_ISA_EXT_VTX:
	case ZYDIS_ISA_EXT_VMFUNC:
	case ZYDIS_ISA_EXT_SMX:
	case ZYDIS_ISA_EXT_SGX:
	case ZYDIS_ISA_EXT_SGX_ENCLV:
	case ZYDIS_ISA_EXT_SNP:
	case ZYDIS_ISA_EXT_TDX:
	case ZYDIS_ISA_EXT_UINTR:
	case ZYDIS_ISA_EXT_AMD_INVLPGB:
	case ZYDIS_ISA_EXT_PCONFIG:
	case ZYDIS_ISA_EXT_ENQCMD:
	case ZYDIS_ISA_EXT_KEYLOCKER:
	case ZYDIS_ISA_EXT_KEYLOCKER_WIDE:
	case ZYDIS_ISA_EXT_HRESET:
	case ZYDIS_ISA_EXT_PADLOCK:
	case ZYDIS_ISA_EXT_PT:
	case ZYDIS_ISA_EXT_CET:
	case ZYDIS_ISA_EXT_PKU: /* XCR0 and PKRU are the host's */
	case ZYDIS_ISA_EXT_XSAVE:
	case ZYDIS_ISA_EXT_XSAVEC:
	case ZYDIS_ISA_EXT_XSAVEOPT:
	case ZYDIS_ISA_EXT_XSAVES:
	case ZYDIS_ISA_EXT_KNC:
	case ZYDIS_ISA_EXT_KNCE:
	case ZYDIS_ISA_EXT_KNCV: return true;
	default: return false;
	}
}

/* What the processor does though its CPUID, or the kernel, says no. */
static bool hidden(ZydisISAExt e)
{
	unsigned int a, b, c, d;

	if (e == ZYDIS_ISA_EXT_RDWRFSGS)
		return !native_fsgsbase();
	return e == ZYDIS_ISA_EXT_MOVDIR &&
	       (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (c >> 27 & 3) != 3);
}

static bool excluded_category(ZydisInstructionCategory c)
{
	switch (c) {
	case ZYDIS_CATEGORY_CALL:
	case ZYDIS_CATEGORY_COND_BR:
	case ZYDIS_CATEGORY_UNCOND_BR:
	case ZYDIS_CATEGORY_RET:
	case ZYDIS_CATEGORY_INTERRUPT:
	case ZYDIS_CATEGORY_STRINGOP:
	case ZYDIS_CATEGORY_SYSCALL:
	case ZYDIS_CATEGORY_SYSRET: return true;
	default: return false;
	}
}

/* Segment registers are loaded by templates, with selectors that exist. */
static bool writes_segment(const struct key *k)
{
	return k->enc == ENC_LEGACY &&
	       ((k->map == 0 && k->opcode == 0x8e) ||
		(k->map == 1 && (k->opcode == 0xa1 || k->opcode == 0xa9)));
}

static bool wanted(const struct key *k, const struct decoded *d)
{
	const ZydisDecodedInstruction *i = &d->insn;

	return !excluded_mnemonic(i->mnemonic) &&
	       !excluded_ext(i->meta.isa_ext) && !hidden(i->meta.isa_ext) &&
	       !excluded_category(i->meta.category) && !writes_segment(k);
}

static enum form_group group_of(const ZydisDecodedInstruction *i)
{
	if (i->attributes & ZYDIS_ATTRIB_IS_PRIVILEGED ||
	    i->meta.category == ZYDIS_CATEGORY_IO ||
	    i->meta.category == ZYDIS_CATEGORY_IOSTRINGOP ||
	    i->mnemonic == ZYDIS_MNEMONIC_CLI ||
	    i->mnemonic == ZYDIS_MNEMONIC_STI)
		return GROUP_ODD;
	switch (i->meta.isa_ext) {
	case ZYDIS_ISA_EXT_X87: return GROUP_X87;
	case ZYDIS_ISA_EXT_MMX: return GROUP_MMX;
	case ZYDIS_ISA_EXT_AES:
	case ZYDIS_ISA_EXT_AVXAES:
	case ZYDIS_ISA_EXT_PCLMULQDQ:
	case ZYDIS_ISA_EXT_SHA:
	case ZYDIS_ISA_EXT_GFNI:
	case ZYDIS_ISA_EXT_VAES:
	case ZYDIS_ISA_EXT_VPCLMULQDQ: return GROUP_CRYPTO;
	case ZYDIS_ISA_EXT_SSE:
	case ZYDIS_ISA_EXT_SSE2:
	case ZYDIS_ISA_EXT_SSE3:
	case ZYDIS_ISA_EXT_SSSE3:
	case ZYDIS_ISA_EXT_SSE4:
	case ZYDIS_ISA_EXT_SSE4A: return GROUP_SSE;
	case ZYDIS_ISA_EXT_AVX512VEX: return GROUP_AVX512;
	default: break;
	}
	if (i->encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX)
		return GROUP_AVX512;
	if (i->meta.isa_ext == ZYDIS_ISA_EXT_BMI1 ||
	    i->meta.isa_ext == ZYDIS_ISA_EXT_BMI2)
		return GROUP_INT;
	if (i->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX)
		return GROUP_AVX;
	return GROUP_INT;
}

static bool is_gpr(ZydisRegister r)
{
	ZydisRegisterClass c = ZydisRegisterGetClass(r);

	return c >= ZYDIS_REGCLASS_GPR8 && c <= ZYDIS_REGCLASS_GPR64;
}

/* What only the operands tell: memory size, kind of address, registers. */
static void take_operands(struct form *f, struct decoded *d)
{
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];

	f->no_gpr = true;
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeOperands(
		    &list.dec, &d->ctx, &d->insn, op, d->insn.operand_count)))
		return;
	for (int i = 0; i < d->insn.operand_count; i++) {
		if (op[i].type == ZYDIS_OPERAND_TYPE_REGISTER)
			f->no_gpr &= !is_gpr(op[i].reg.value);
		if (op[i].type != ZYDIS_OPERAND_TYPE_MEMORY)
			continue;
		if (op[i].visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN)
			f->no_gpr = false;
		f->mem_size = MIN(op[i].size / 8, 255);
		f->mem_agen = op[i].mem.type == ZYDIS_MEMOP_TYPE_AGEN;
	}
}

static int add(const struct key *k, struct decoded *d, uint8_t kind, int reg,
	       int rm, uint8_t aaa)
{
	const ZydisDecodedInstruction *i = &d->insn;
	struct form *f;

	if (list.count == list.cap) {
		unsigned int cap = list.cap ? 2 * list.cap : 8192;
		struct form *n = realloc(list.forms, cap * sizeof(*n));

		if (!n)
			return -ENOMEM;
		list.forms = n;
		list.cap = cap;
	}
	f = &list.forms[list.count++];
	*f = (struct form){.mnemonic = i->mnemonic,
			   .enc = k->enc,
			   .map = k->map,
			   .pp = k->pp,
			   .w = k->w,
			   .l = k->l,
			   .b = k->b,
			   .opcode = k->opcode,
			   .reg = reg,
			   .rm = rm,
			   .rm_kind = kind,
			   .needs_mask = aaa,
			   .group = group_of(i),
			   .id = list.count};
	f->imm = (i->raw.imm[0].size + i->raw.imm[1].size) / 8;
	f->lockable = i->attributes & ZYDIS_ATTRIB_ACCEPTS_LOCK;
	take_operands(f, d);
	return 0;
}

static int discover_no_modrm(const struct key *k, struct decoded *d)
{
	bool moffs = d->insn.raw.disp.size == 64;

	return add(k, d, moffs ? RM_MOFFS : RM_NONE, -1, -1, 0);
}

/*
 * Most of the eight register numbers give the same mnemonic; the others may
 * be refused because two operands must differ.
 */
static bool all_alike(const struct decoded *d)
{
	int first = -1, n = 0;

	for (int i = 0; i < 8; i++) {
		if (!d[i].ok)
			continue;
		if (first < 0)
			first = i;
		if (d[i].insn.mnemonic != d[first].insn.mnemonic)
			return false;
		n++;
	}
	return n >= 5;
}

/* mod = 3: rm decides the instruction in x87 and some system groups. */
static int discover_reg(const struct key *k, unsigned int reg, bool any)
{
	struct decoded d[8];
	uint8_t aaa[8];
	bool same;
	int err = 0;

	for (int rm = 0; rm < 8; rm++)
		probe(k, 0xc0 | reg << 3 | rm, false, &aaa[rm], &d[rm]);
	same = all_alike(d);
	for (int rm = 0; rm < 8 && !err; rm++) {
		if (!d[rm].ok || !wanted(k, &d[rm]))
			continue;
		err = add(k, &d[rm], RM_REG, any ? -1 : (int)reg,
			  same ? -1 : rm, aaa[rm]);
		if (same)
			break;
	}
	return err;
}

static int discover_mem(const struct key *k, unsigned int reg, bool any)
{
	struct decoded d;
	bool vsib = false;
	uint8_t aaa;

	if (!probe(k, reg << 3, false, &aaa, &d)) {
		vsib = true;
		if (!probe(k, reg << 3, true, &aaa, &d))
			return 0;
	}
	if (!wanted(k, &d))
		return 0;
	return add(k, &d, vsib ? RM_VSIB : RM_MEM, any ? -1 : (int)reg, -1,
		   aaa);
}

/* The mnemonic does not depend on ModRM.reg? */
static bool reg_is_free(const struct key *k, uint8_t mod)
{
	struct decoded d[8];
	uint8_t aaa;

	/* in these groups later maps of rm differ though the first do not */
	if (k->enc == ENC_LEGACY && k->map == 0 && k->opcode >= 0xd8 &&
	    k->opcode <= 0xdf)
		return false;
	for (unsigned int reg = 0; reg < 8; reg++)
		if (!probe(k, mod | reg << 3, false, &aaa, &d[reg]) && !mod)
			probe(k, reg << 3, true, &aaa, &d[reg]);
	return all_alike(d);
}

static int discover_modrm(const struct key *k)
{
	bool any_reg = reg_is_free(k, 0xc0), any_mem = reg_is_free(k, 0);
	int err = 0;

	/* the last register is the least likely to equal another operand */
	for (unsigned int reg = 0; reg < 8 && !err; reg++) {
		if (!any_reg || reg == 7)
			err = discover_reg(k, reg, any_reg);
		if (!err && (!any_mem || reg == 7))
			err = discover_mem(k, reg, any_mem);
	}
	return err;
}

static bool is_prefix(const struct key *k)
{
	uint8_t o = k->opcode;

	return k->enc == ENC_LEGACY && k->map == 0 &&
	       (o == 0x26 || o == 0x2e || o == 0x36 || o == 0x3e || o == 0x64 ||
		o == 0x65 || o == 0x66 || o == 0x67 || o == 0xf0 || o == 0xf2 ||
		o == 0xf3 || (o & 0xf0) == 0x40 || o == 0x0f || o == 0xc4 ||
		o == 0xc5 || o == 0x62 || o == 0x8f);
}

static int discover_key(const struct key *k)
{
	struct decoded d;
	uint8_t aaa;

	if (is_prefix(k) && k->opcode != 0x8f)
		return 0;
	/* any ModRM that decodes tells whether there is one at all */
	for (unsigned int m = 0; m < 16; m++) {
		uint8_t modrm = (m & 8 ? 0xc0 : 0) | (m & 7) << 3;

		if (!probe(k, modrm, false, &aaa, &d) &&
		    !probe(k, modrm, true, &aaa, &d))
			continue;
		if (d.insn.attributes & ZYDIS_ATTRIB_HAS_MODRM)
			return discover_modrm(k);
		return wanted(k, &d) ? discover_no_modrm(k, &d) : 0;
	}
	return 0;
}

static int discover_map(uint8_t enc, uint8_t map, uint8_t ls, uint8_t bs)
{
	struct key k = {.enc = enc, .map = map};
	int err = 0;

	for (unsigned int n = 0; n < 8u * ls * bs * 256 && !err; n++) {
		k.opcode = n;
		k.pp = n >> 8 & 3;
		k.w = n >> 10 & 1;
		k.l = (n >> 11) % ls;
		k.b = (n >> 11) / ls;
		err = discover_key(&k);
	}
	return err;
}

int form_discover(void)
{
	static const struct {
		uint8_t enc, map, ls, bs;
	} maps[] = {
		{ENC_LEGACY, 0, 1, 1}, {ENC_LEGACY, 1, 1, 1},
		{ENC_LEGACY, 2, 1, 1}, {ENC_LEGACY, 3, 1, 1},
		{ENC_VEX, 1, 2, 1},    {ENC_VEX, 2, 2, 1},
		{ENC_VEX, 3, 2, 1},    {ENC_EVEX, 1, 3, 2},
		{ENC_EVEX, 2, 3, 2},   {ENC_EVEX, 3, 3, 2},
		{ENC_EVEX, 5, 3, 2},   {ENC_EVEX, 6, 3, 2},
	};
	int err = 0;

	ZydisDecoderInit(&list.dec, ZYDIS_MACHINE_MODE_LONG_64,
			 ZYDIS_STACK_WIDTH_64);
	for (size_t i = 0; i < ARRAY_SIZE(maps) && !err; i++)
		err = discover_map(maps[i].enc, maps[i].map, maps[i].ls,
				   maps[i].bs);
	return err ? err : (int)list.count;
}

const struct form *form_get(unsigned int i)
{
	return &list.forms[i];
}

void form_mark_odd(unsigned int i)
{
	list.forms[i].group = GROUP_ODD;
}

static int by_mnemonic(const void *a, const void *b)
{
	const struct form *x = a, *y = b;

	if (x->group != y->group)
		return x->group - y->group;
	if (x->mnemonic != y->mnemonic)
		return (int)x->mnemonic - (int)y->mnemonic;
	return x->id < y->id ? -1 : 1;
}

void form_sort(void)
{
	uint32_t i = 0;

	qsort(list.forms, list.count, sizeof(*list.forms), by_mnemonic);
	for (unsigned int g = 0; g < GROUP_COUNT; g++) {
		free(list.mnem[g]);
		list.mnem[g] = calloc(ZYDIS_MNEMONIC_MAX_VALUE + 1,
				      sizeof(*list.mnem[g]));
		list.mnem_count[g] = 0;
		while (list.mnem[g] && i < list.count &&
		       list.forms[i].group == g) {
			uint32_t first = i;

			while (i < list.count && list.forms[i].group == g &&
			       list.forms[i].mnemonic ==
				       list.forms[first].mnemonic)
				i++;
			list.mnem[g][list.mnem_count[g]].first = first;
			list.mnem[g][list.mnem_count[g]++].last = i;
		}
	}
}

const struct form *form_pick(struct rng *r, enum form_group group)
{
	unsigned int m;

	if (!list.mnem_count[group])
		return NULL;
	m = rng_below(r, list.mnem_count[group]);
	return &list.forms[list.mnem[group][m].first +
			   rng_below(r, list.mnem[group][m].last -
						list.mnem[group][m].first)];
}
