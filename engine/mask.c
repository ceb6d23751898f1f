/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which bytes of a memory operand an instruction touches, and how it must be
 * aligned. Inlined code does not ask: where all bytes can be reached nothing
 * depends on it. SDM 2A "Exception Classes" (2.4, 2.8: classes with NF do not
 * suppress faults), SDM 1 "Alignment" (4.1.1), APM 1 "MXCSR.MM".
 */
#include "engine/decode.h"

#include "cpu/cpuid.h"
#include "cpu/xstate.h"
#include "engine/vecreg.h"
#include "x86/regs.h"

#include <string.h>

#define MXCSR_MM BIT(17)

_Static_assert(ZYDIS_BROADCAST_MODE_1_TO_2 == 1 &&
		       ZYDIS_BROADCAST_MODE_1_TO_64 == 6,
	       "powers of two");

/* ---- alignment ---- */

static bool any_alignment(ZydisMnemonic m)
{
	switch (m) {
	case ZYDIS_MNEMONIC_MOVUPS:
	case ZYDIS_MNEMONIC_MOVUPD:
	case ZYDIS_MNEMONIC_MOVDQU:
	case ZYDIS_MNEMONIC_LDDQU:
	case ZYDIS_MNEMONIC_PCMPESTRI:
	case ZYDIS_MNEMONIC_PCMPESTRM:
	case ZYDIS_MNEMONIC_PCMPISTRI:
	case ZYDIS_MNEMONIC_PCMPISTRM: return true;
	default: return false;
	}
}

/* Whatever the exception class says of the others. */
static bool always_aligned(ZydisMnemonic m)
{
	switch (m) {
	case ZYDIS_MNEMONIC_CVTPD2PI:
	case ZYDIS_MNEMONIC_CVTTPD2PI:
	case ZYDIS_MNEMONIC_CMPXCHG16B: return true;
	default: return false;
	}
}

/* AMD's SHA instructions do not mind; hosts and slow paths must agree. */
static bool host_exempts(const struct dinsn *d)
{
	return d->in.meta.isa_ext == ZYDIS_ISA_EXT_SHA &&
	       cpuid_host()->silicon_amd;
}

static void find_align(const struct dinsn *d, unsigned int size,
		       struct mem_rule *r)
{
	switch (d->in.meta.exception_class) {
	case ZYDIS_EXCEPTION_CLASS_SSE1:
	case ZYDIS_EXCEPTION_CLASS_AVX1:
	case ZYDIS_EXCEPTION_CLASS_E1:
	case ZYDIS_EXCEPTION_CLASS_E1NF: r->align = size; break;
	case ZYDIS_EXCEPTION_CLASS_SSE2:
	case ZYDIS_EXCEPTION_CLASS_SSE4:
		if (size != 16 || any_alignment(d->in.mnemonic) ||
		    host_exempts(d))
			break;
		r->align = 16;
		r->align_mm = true;
		break;
	default:
		if (always_aligned(d->in.mnemonic))
			r->align = 16;
		break;
	}
}

void mask_check(struct cpu *cpu, const struct mem_rule *r, gva_t gva)
{
	if (unlikely(r->x87))
		x87_wait(cpu);
	if (likely(!r->align || !(gva & (r->align - 1))))
		return;
	if (r->align_mm && xstate_host_mxcsr() & MXCSR_MM)
		return;
	cpu_raise_err(cpu, VEC_GP, 0);
}

/* ---- masks ---- */

/* Faults of masked-out elements count all the same. */
static bool no_suppression(const struct dinsn *d)
{
	switch (d->in.mnemonic) {
	case ZYDIS_MNEMONIC_VDBPSADBW:
	case ZYDIS_MNEMONIC_VGF2P8AFFINEQB:
	case ZYDIS_MNEMONIC_VGF2P8AFFINEINVQB:
	case ZYDIS_MNEMONIC_VCVTNE2PS2BF16: return true;
	default: break;
	}
	switch (d->in.meta.exception_class) {
	case ZYDIS_EXCEPTION_CLASS_E1NF:
	case ZYDIS_EXCEPTION_CLASS_E2NF:
	case ZYDIS_EXCEPTION_CLASS_E3NF:
	case ZYDIS_EXCEPTION_CLASS_E4NF:
	case ZYDIS_EXCEPTION_CLASS_E5NF:
	case ZYDIS_EXCEPTION_CLASS_E6NF:
	case ZYDIS_EXCEPTION_CLASS_E9NF:
	case ZYDIS_EXCEPTION_CLASS_E10NF:
	case ZYDIS_EXCEPTION_CLASS_E11NF: return true;
	default: return false;
	}
}

static bool packed(ZydisMnemonic m)
{
	switch (m) {
	case ZYDIS_MNEMONIC_VEXPANDPS:
	case ZYDIS_MNEMONIC_VEXPANDPD:
	case ZYDIS_MNEMONIC_VPEXPANDB:
	case ZYDIS_MNEMONIC_VPEXPANDW:
	case ZYDIS_MNEMONIC_VPEXPANDD:
	case ZYDIS_MNEMONIC_VPEXPANDQ:
	case ZYDIS_MNEMONIC_VCOMPRESSPS:
	case ZYDIS_MNEMONIC_VCOMPRESSPD:
	case ZYDIS_MNEMONIC_VPCOMPRESSB:
	case ZYDIS_MNEMONIC_VPCOMPRESSW:
	case ZYDIS_MNEMONIC_VPCOMPRESSD:
	case ZYDIS_MNEMONIC_VPCOMPRESSQ: return true;
	default: return false;
	}
}

/* Elements a mask register counts. */
static unsigned int vector_lanes(const struct dinsn *d,
				 const ZydisDecodedOperand *mem)
{
	if (d->in.mnemonic == ZYDIS_MNEMONIC_VPSHUFBITQMB)
		return d->in.avx.vector_length / 8;
	for (unsigned int i = 0; i < d->in.operand_count; i++)
		if (d->op[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    d->op[i].size >= 128)
			return d->op[i].element_count;
	return d->in.avx.vector_length / MAX(mem->element_size, 1);
}

static void find_k_mask(const struct dinsn *d, const ZydisDecodedOperand *op,
			struct mem_rule *r)
{
	unsigned int lanes = vector_lanes(d, op), size = op->size / 8;

	r->kind = packed(d->in.mnemonic) ? MASK_PACKED : MASK_K;
	r->reg = ZydisRegisterGetId(d->in.avx.mask.reg);
	if (d->in.avx.broadcast.mode && d->in.avx.broadcast.is_static) {
		r->grain = d->op[0].element_size / 8;
		r->grain = MIN((unsigned int)r->grain, size);
	} else if (d->in.avx.broadcast.mode) {
		lanes = 1u << d->in.avx.broadcast.mode; /* 1_TO_2 is 1 */
		r->grain = size;
	} else {
		lanes = MIN(lanes, (unsigned int)op->element_count);
		r->grain = size / lanes;
	}
	r->lanes = lanes;
}

static void find_mask(const struct dinsn *d, const ZydisDecodedOperand *op,
		      struct mem_rule *r)
{
	switch (d->in.mnemonic) {
	case ZYDIS_MNEMONIC_VMASKMOVPS:
	case ZYDIS_MNEMONIC_VMASKMOVPD:
	case ZYDIS_MNEMONIC_VPMASKMOVD:
	case ZYDIS_MNEMONIC_VPMASKMOVQ:
		r->kind = MASK_VEC;
		r->reg = ZydisRegisterGetId(d->op[1].reg.value);
		r->grain = d->op[1].element_size / 8;
		r->lanes = d->op[1].element_count;
		return;
	default: break;
	}
	if (d->in.encoding != ZYDIS_INSTRUCTION_ENCODING_EVEX ||
	    d->in.avx.mask.reg <= ZYDIS_REGISTER_K0 ||
	    d->in.avx.mask.reg > ZYDIS_REGISTER_K7 || no_suppression(d))
		return;
	find_k_mask(d, op, r);
}

static bool waits_for_x87(const struct dinsn *d)
{
	switch (d->in.mnemonic) {
	case ZYDIS_MNEMONIC_FNSTCW:
	case ZYDIS_MNEMONIC_FNSTSW: return false;
	/* one of its forms is in the decoder's set of SSE3 */
	case ZYDIS_MNEMONIC_FISTTP: return true;
	default: break;
	}
	if (d->in.meta.isa_ext == ZYDIS_ISA_EXT_X87)
		return true;
	for (unsigned int i = 0; i < d->in.operand_count_visible; i++)
		if (d->op[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    ZydisRegisterGetClass(d->op[i].reg.value) ==
			    ZYDIS_REGCLASS_MMX)
			return true;
	return false;
}

void decode_access(const struct dinsn *d, struct mem_rule *out)
{
	const ZydisDecodedOperand *op = decode_mem(d);

	*out = (struct mem_rule){0};
	find_align(d, op->size / 8, out);
	out->x87 = waits_for_x87(d);
	find_mask(d, op, out);
}

/* ---- at run time; the guest's vector state is live ---- */

static uint64_t lane_mask(const struct mem_rule *r)
{
	uint64_t all = r->lanes < 64 ? BIT64(r->lanes) - 1 : ~0ULL, mask = 0;
	uint8_t buf[64];

	if (r->kind != MASK_VEC)
		return kreg_read(r->reg) & all;
	vec_read(r->reg, buf);
	for (unsigned int n = 0; n < r->lanes; n++)
		if (buf[(n + 1) * r->grain - 1] & 0x80)
			mask |= BIT64(n);
	return mask;
}

/* A bit for each byte of an operand of @size bytes, at most 64. */
uint64_t mask_bytes(const struct mem_rule *r, unsigned int size)
{
	uint64_t lanes = lane_mask(r), bytes = 0;
	unsigned int count = size / r->grain;

	if (r->kind == MASK_PACKED) {
		unsigned int n = __builtin_popcountll(lanes) * r->grain;

		return n < 64 ? BIT64(n) - 1 : ~0ULL;
	}
	for (unsigned int n = 0; n < r->lanes; n++)
		if (lanes >> n & 1)
			bytes |= (BIT64(r->grain % 64) - 1)
				 << n % count * r->grain;
	return bytes;
}
