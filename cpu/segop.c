/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions that load, store and ask about segments and descriptor
 * tables. SDM 2 under each mnemonic, SDM 3A "Pointer Validation" (5.10),
 * APM 3 for REX.W forms of LFS, LGS and LSS, which AMD does not have.
 */
#include "cpu/seg.h"

#define AH_ZF 0x40u

static void require_cpl0(struct cpu *cpu)
{
	if (cpu->cpl != 0)
		cpu_raise_err(cpu, VEC_GP, 0);
}

static void require_umip(struct cpu *cpu)
{
	if (cpu->cr4 & CR4_UMIP && cpu->cpl != 0)
		cpu_raise_err(cpu, VEC_GP, 0);
}

static void require_protected(struct cpu *cpu)
{
	if (!seg_protected(cpu))
		cpu_raise(cpu, VEC_UD);
}

static void set_zf(struct cpu *cpu, bool zf)
{
	cpu->ah = zf ? cpu->ah | AH_ZF : cpu->ah & ~AH_ZF;
}

/* Size of PUSH and POP of a segment register. */
static unsigned int push_size(const struct cpu *cpu, const struct insn *i)
{
	if (cpu->code_bits == 64)
		return i->opsize == 2 ? 2 : 8;
	return i->opsize;
}

int exec_mov_to_seg(struct cpu *cpu, const struct insn *i)
{
	unsigned int seg = i->op[0].reg;

	if (seg == SEG_CS || seg > SEG_GS)
		cpu_raise(cpu, VEC_UD);
	seg_load(cpu, seg, insn_read(cpu, i, 1));
	if (seg == SEG_SS)
		cpu->shadow = CPU_SHADOW_MOVSS;
	return EXEC_NEXT;
}

int exec_mov_from_seg(struct cpu *cpu, const struct insn *i)
{
	unsigned int seg = i->op[1].reg;

	if (seg > SEG_GS)
		cpu_raise(cpu, VEC_UD);
	insn_write(cpu, i, 0, cpu->seg[seg].sel);
	return EXEC_NEXT;
}

int exec_pop_seg(struct cpu *cpu, const struct insn *i)
{
	unsigned int seg = i->op[0].reg;
	struct stackref st;
	uint16_t sel;

	stackref_current(cpu, &st);
	sel = stackref_read(cpu, &st, 0, push_size(cpu, i));
	seg_load(cpu, seg, sel);
	stackref_set_sp(cpu, st.mask, st.sp + push_size(cpu, i));
	if (seg == SEG_SS)
		cpu->shadow = CPU_SHADOW_MOVSS;
	return EXEC_NEXT;
}

int exec_push_seg(struct cpu *cpu, const struct insn *i)
{
	stack_push(cpu, cpu->seg[i->op[0].reg].sel, push_size(cpu, i));
	return EXEC_NEXT;
}

static int load_far_ptr(struct cpu *cpu, const struct insn *i, enum cpu_seg seg)
{
	unsigned int size = i->opsize == 8 && cpu->vendor_amd ? 4 : i->opsize;
	gva_t gva = insn_linear(cpu, i, 1, size + 2, ACC_READ);
	uint64_t off = mem_read(cpu, gva, size, mem_acc(cpu, ACC_READ));
	uint16_t sel = mem_read(cpu, seg_wrap(cpu, gva + size), 2,
				mem_acc(cpu, ACC_READ));

	seg_load(cpu, seg, sel);
	reg_write(cpu, i->op[0].reg, size, off);
	return EXEC_NEXT;
}

/* Which register: by the opcode, C4 C5, 0F B2, 0F B4, 0F B5. */
static enum cpu_seg far_ptr_seg(const struct insn *i)
{
	unsigned int k;

	for (k = 0; k < i->len; k++) {
		switch (i->bytes[k]) {
		case 0xc4: return SEG_ES;
		case 0xc5: return SEG_DS;
		case 0x0f:
			if (i->bytes[k + 1] == 0xb2)
				return SEG_SS;
			return i->bytes[k + 1] == 0xb4 ? SEG_FS : SEG_GS;
		default: break; /* a prefix */
		}
	}
	return SEG_COUNT;
}

int exec_load_far_ptr(struct cpu *cpu, const struct insn *i)
{
	return load_far_ptr(cpu, i, far_ptr_seg(i));
}

/* ---- LAR, LSL, VERR, VERW, ARPL ---- */

/* Fetch @sel for a question: false when the answer is "no". */
static bool query(struct cpu *cpu, uint16_t sel, struct seg_desc *d)
{
	unsigned int dpl;

	if (sel_null(sel) || !seg_fetch(cpu, sel, d))
		return false;
	dpl = desc_dpl(d->lo);
	return desc_conforming(d->lo) ||
	       (dpl >= cpu->cpl && dpl >= sel_rpl(sel));
}

/* Bit masks over the system descriptor types. */
#define LAR_LEGACY 0x1a3eu /* 1-5 9 11 12 */
#define LAR_LONG   0x1a04u /* 2 9 11 12 */
#define LSL_LEGACY 0x0a0eu /* 1-3 9 11 */
#define LSL_LONG   0x0a04u /* 2 9 11 */

static bool query_type(struct cpu *cpu, uint64_t lo, unsigned int legacy,
		       unsigned int lng)
{
	if (!desc_system(lo))
		return true;
	return (cpu_long_mode(cpu) ? lng : legacy) >> desc_type(lo) & 1;
}

int exec_lar(struct cpu *cpu, const struct insn *i)
{
	struct seg_desc d;
	bool ok;

	require_protected(cpu);
	ok = query(cpu, insn_read(cpu, i, 1), &d) &&
	     query_type(cpu, d.lo, LAR_LEGACY, LAR_LONG);
	if (ok)
		insn_write(cpu, i, 0, d.lo >> 32 & 0x00f0ff00);
	set_zf(cpu, ok);
	return EXEC_NEXT;
}

int exec_lsl(struct cpu *cpu, const struct insn *i)
{
	struct seg_desc d;
	bool ok;

	require_protected(cpu);
	ok = query(cpu, insn_read(cpu, i, 1), &d) &&
	     query_type(cpu, d.lo, LSL_LEGACY, LSL_LONG);
	if (ok)
		insn_write(cpu, i, 0, desc_limit(d.lo));
	set_zf(cpu, ok);
	return EXEC_NEXT;
}

int exec_verr(struct cpu *cpu, const struct insn *i)
{
	struct seg_desc d;

	require_protected(cpu);
	set_zf(cpu,
	       query(cpu, insn_read(cpu, i, 0), &d) && desc_readable(d.lo));
	return EXEC_NEXT;
}

int exec_verw(struct cpu *cpu, const struct insn *i)
{
	struct seg_desc d;

	require_protected(cpu);
	set_zf(cpu,
	       query(cpu, insn_read(cpu, i, 0), &d) && desc_writable(d.lo));
	return EXEC_NEXT;
}

int exec_arpl(struct cpu *cpu, const struct insn *i)
{
	uint16_t dst, src;

	require_protected(cpu);
	dst = insn_read(cpu, i, 0);
	src = insn_read(cpu, i, 1);
	if (sel_rpl(dst) < sel_rpl(src))
		insn_write(cpu, i, 0, (dst & ~SEL_RPL) | sel_rpl(src));
	set_zf(cpu, sel_rpl(dst) < sel_rpl(src));
	return EXEC_NEXT;
}

/* ---- LDTR and TR ---- */

/* Fetch a system descriptor whose type is one of the mask @types. */
static void fetch_system(struct cpu *cpu, uint16_t sel, struct seg_desc *d,
			 unsigned int types)
{
	bool lng = cpu_long_mode(cpu);

	if (sel & SEL_TI || !seg_fetch(cpu, sel, d) || !desc_system(d->lo) ||
	    !(types >> desc_type(d->lo) & 1))
		cpu_raise_err(cpu, VEC_GP, sel_err(sel));
	if (!desc_present(d->lo))
		cpu_raise_err(cpu, VEC_NP, sel_err(sel));
	if (!lng)
		return;
	if (!seg_fetch_hi(cpu, sel, d) ||
	    !seg_canonical(cpu, desc_base(d->lo) | d->hi << 32))
		cpu_raise_err(cpu, VEC_GP, sel_err(sel));
}

static void commit_system(struct cpu *cpu, enum cpu_seg seg, uint16_t sel,
			  const struct seg_desc *d)
{
	seg_commit(cpu, seg, sel, d->lo);
	if (cpu_long_mode(cpu))
		cpu->seg[seg].base |= d->hi << 32;
}

int exec_lldt(struct cpu *cpu, const struct insn *i)
{
	struct seg_desc d;
	uint16_t sel;

	require_protected(cpu);
	require_cpl0(cpu);
	sel = insn_read(cpu, i, 0);
	if (sel_null(sel)) {
		seg_commit_null(cpu, SEG_LDT, sel);
		return EXEC_NEXT;
	}
	fetch_system(cpu, sel, &d, BIT(DESC_LDT));
	commit_system(cpu, SEG_LDT, sel, &d);
	return EXEC_NEXT;
}

int exec_ltr(struct cpu *cpu, const struct insn *i)
{
	struct seg_desc d;
	uint16_t sel;

	require_protected(cpu);
	require_cpl0(cpu);
	sel = insn_read(cpu, i, 0);
	if (sel_null(sel))
		cpu_raise_err(cpu, VEC_GP, 0);
	fetch_system(cpu, sel, &d,
		     cpu_long_mode(cpu) ? BIT(DESC_TSS32)
					: BIT(DESC_TSS16) | BIT(DESC_TSS32));
	seg_mark_busy(cpu, d.gva, true);
	d.lo |= DESC_BUSY;
	commit_system(cpu, SEG_TR, sel, &d);
	return EXEC_NEXT;
}

static int store_system(struct cpu *cpu, const struct insn *i, enum cpu_seg seg)
{
	require_protected(cpu);
	require_umip(cpu);
	insn_write(cpu, i, 0, cpu->seg[seg].sel);
	return EXEC_NEXT;
}

int exec_sldt(struct cpu *cpu, const struct insn *i)
{
	return store_system(cpu, i, SEG_LDT);
}

int exec_str(struct cpu *cpu, const struct insn *i)
{
	return store_system(cpu, i, SEG_TR);
}

/* ---- GDTR and IDTR ---- */

static int load_table(struct cpu *cpu, const struct insn *i,
		      struct dtable *table)
{
	unsigned int size = cpu->code_bits == 64 ? 8 : 4;
	const unsigned int acc = mem_acc(cpu, ACC_READ);
	uint64_t base;
	uint16_t limit;
	gva_t gva;

	require_cpl0(cpu);
	gva = insn_linear(cpu, i, 0, size + 2, ACC_READ);
	limit = mem_read(cpu, gva, 2, acc);
	base = mem_read(cpu, seg_wrap(cpu, gva + 2), size, acc);
	if (size == 8 && !seg_canonical(cpu, base))
		cpu_raise_err(cpu, VEC_GP, 0);
	if (size == 4 && i->opsize == 2)
		base &= 0xffffff;
	table->base = base;
	table->limit = limit;
	return EXEC_NEXT;
}

int exec_lgdt(struct cpu *cpu, const struct insn *i)
{
	return load_table(cpu, i, &cpu->gdt);
}

int exec_lidt(struct cpu *cpu, const struct insn *i)
{
	return load_table(cpu, i, &cpu->idt);
}

/* All four bytes of the base are stored whatever the operand size. */
static int store_table(struct cpu *cpu, const struct insn *i,
		       const struct dtable *table)
{
	unsigned int size = cpu->code_bits == 64 ? 8 : 4, k;
	uint8_t buf[10];
	gva_t gva;

	require_umip(cpu);
	gva = insn_linear(cpu, i, 0, size + 2, ACC_WRITE);
	buf[0] = table->limit;
	buf[1] = table->limit >> 8;
	for (k = 0; k < size; k++)
		buf[2 + k] = table->base >> k * 8;
	mem_write_buf(cpu, gva, buf, size + 2, mem_acc(cpu, ACC_WRITE));
	return EXEC_NEXT;
}

int exec_sgdt(struct cpu *cpu, const struct insn *i)
{
	return store_table(cpu, i, &cpu->gdt);
}

int exec_sidt(struct cpu *cpu, const struct insn *i)
{
	return store_table(cpu, i, &cpu->idt);
}

/* ---- bases of FS and GS ---- */

int exec_swapgs(struct cpu *cpu, const struct insn *i)
{
	uint64_t base = cpu->seg[SEG_GS].base;

	if (cpu->code_bits != 64)
		cpu_raise(cpu, VEC_UD);
	require_cpl0(cpu);
	cpu->seg[SEG_GS].base = cpu->kernel_gs_base;
	cpu->kernel_gs_base = base;
	return EXEC_NEXT;
}

static void require_fsgsbase(struct cpu *cpu)
{
	if (cpu->code_bits != 64 || !(cpu->cr4 & CR4_FSGSBASE))
		cpu_raise(cpu, VEC_UD);
}

static int read_base(struct cpu *cpu, const struct insn *i, enum cpu_seg seg)
{
	require_fsgsbase(cpu);
	insn_write(cpu, i, 0, cpu->seg[seg].base);
	return EXEC_NEXT;
}

static int write_base(struct cpu *cpu, const struct insn *i, enum cpu_seg seg)
{
	uint64_t base;

	require_fsgsbase(cpu);
	base = insn_read(cpu, i, 0);
	if (!seg_canonical(cpu, base))
		cpu_raise_err(cpu, VEC_GP, 0);
	cpu->seg[seg].base = base;
	return EXEC_NEXT;
}

int exec_rdfsbase(struct cpu *cpu, const struct insn *i)
{
	return read_base(cpu, i, SEG_FS);
}

int exec_rdgsbase(struct cpu *cpu, const struct insn *i)
{
	return read_base(cpu, i, SEG_GS);
}

int exec_wrfsbase(struct cpu *cpu, const struct insn *i)
{
	return write_base(cpu, i, SEG_FS);
}

int exec_wrgsbase(struct cpu *cpu, const struct insn *i)
{
	return write_base(cpu, i, SEG_GS);
}
