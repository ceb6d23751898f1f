/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refusals decided at translation time; see gate.h. FPU and SIMD enables:
 * SDM 3A "Updating the FPU state" (2.5 CR0.EM/MP/TS), SDM 2A "Exception
 * Classes" (2.4).
 */
#include "engine/gate.h"

#include "engine/exec.h"

static void refuse(struct dinsn *d, exec_fn *fn)
{
	d->cls = K_END;
	d->fn = fn;
}

enum unit { UNIT_NONE, UNIT_X87, UNIT_MMX, UNIT_SSE, UNIT_AVX, UNIT_AVX512 };

static enum unit unit_of(const struct dinsn *d)
{
	switch (d->in.meta.isa_ext) {
	case ZYDIS_ISA_EXT_X87: return UNIT_X87;
	case ZYDIS_ISA_EXT_MMX: return UNIT_MMX;
	case ZYDIS_ISA_EXT_SSE:
	case ZYDIS_ISA_EXT_SSE2:
	case ZYDIS_ISA_EXT_SSE3:
	case ZYDIS_ISA_EXT_SSE4:
	case ZYDIS_ISA_EXT_SSE4A:
	case ZYDIS_ISA_EXT_SSSE3:
	case ZYDIS_ISA_EXT_AES:
	case ZYDIS_ISA_EXT_PCLMULQDQ:
	case ZYDIS_ISA_EXT_SHA:
	case ZYDIS_ISA_EXT_GFNI: break;
	default: break;
	}
	if (d->in.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX)
		return UNIT_AVX512;
	if (d->in.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX ||
	    d->in.encoding == ZYDIS_INSTRUCTION_ENCODING_XOP) {
		switch (d->in.meta.isa_ext) {
		case ZYDIS_ISA_EXT_BMI1:
		case ZYDIS_ISA_EXT_BMI2:
		case ZYDIS_ISA_EXT_TBM: return UNIT_NONE;
		default: break;
		}
		for (unsigned int i = 0; i < d->in.operand_count; i++)
			if (d->op[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
			    ZydisRegisterGetClass(d->op[i].reg.value) ==
				    ZYDIS_REGCLASS_MASK)
				return UNIT_AVX512;
		return UNIT_AVX;
	}
	for (unsigned int i = 0; i < d->in.operand_count; i++) {
		if (d->op[i].type != ZYDIS_OPERAND_TYPE_REGISTER)
			continue;
		switch (ZydisRegisterGetClass(d->op[i].reg.value)) {
		case ZYDIS_REGCLASS_XMM: return UNIT_SSE;
		case ZYDIS_REGCLASS_MMX: return UNIT_MMX;
		case ZYDIS_REGCLASS_X87: return UNIT_X87;
		default: break;
		}
	}
	if (d->in.meta.isa_set == ZYDIS_ISA_SET_SSEMXCSR)
		return UNIT_SSE;
	return UNIT_NONE;
}

static void gate_unit(uint64_t mode, struct dinsn *d)
{
	if (d->in.mnemonic == ZYDIS_MNEMONIC_FWAIT) {
		if ((mode & (MODE_MP | MODE_TS)) == (MODE_MP | MODE_TS))
			refuse(d, exec_nm);
		return;
	}
	switch (unit_of(d)) {
	case UNIT_NONE: return;
	case UNIT_X87:
		if (mode & (MODE_EM | MODE_TS))
			refuse(d, exec_nm);
		return;
	case UNIT_MMX:
		if (mode & MODE_EM)
			refuse(d, exec_ud);
		else if (mode & MODE_TS)
			refuse(d, exec_nm);
		return;
	case UNIT_SSE:
		if (mode & MODE_EM || !(mode & MODE_FXSR))
			refuse(d, exec_ud);
		else if (mode & MODE_TS)
			refuse(d, exec_nm);
		return;
	case UNIT_AVX:
	case UNIT_AVX512:
		if (!(mode & MODE_PE) || mode & MODE_VM ||
		    !(mode & (unit_of(d) == UNIT_AVX ? MODE_AVX : MODE_AVX512)))
			refuse(d, exec_ud);
		else if (mode & MODE_TS)
			refuse(d, exec_nm);
		return;
	}
}

/* C functions of the cpu room ask for themselves. */
static bool ours(const struct dinsn *d)
{
	return d->cls == K_COPY || d->cls == K_MASKMOV ||
	       d->fn == exec_gather || d->fn == exec_clzero ||
	       d->fn == exec_movdir64b || d->fn == exec_fnstenv ||
	       d->fn == exec_fldenv;
}

void gate_insn(struct cpu *cpu, uint64_t mode, struct dinsn *d)
{
	if (!ours(d))
		return;
	if (!isa_offered(cpu, mode, d)) {
		refuse(d, exec_ud);
		return;
	}
	gate_unit(mode, d);
}
