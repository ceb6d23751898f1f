/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IRET in every mode. SDM 2A "IRET/IRETD/IRETQ", SDM 3B "Virtual-8086 Mode"
 * chapter 20 for the flags; APM 3 "IRET". NMIs are unblocked when the
 * instruction completes; it changes nothing when it faults.
 */
#include "cpu/seg.h"

#define FLAGS_ALWAYS (RFLAGS_ARITH | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT)
#define FLAGS_WIDE   (RFLAGS_RF | RFLAGS_AC | RFLAGS_ID)
#define FLAGS_VIRT   (RFLAGS_VIF | RFLAGS_VIP)

/* What IRET gives the flags when it was executed at the current CPL. */
static uint64_t return_flags(const struct cpu *cpu, uint64_t image,
			     unsigned int size)
{
	uint64_t mask = FLAGS_ALWAYS;

	if (size > 2)
		mask |= FLAGS_WIDE;
	if (cpu->cpl <= cpu_iopl(cpu))
		mask |= RFLAGS_IF;
	if (cpu->cpl == 0) {
		mask |= RFLAGS_IOPL;
		if (size > 2)
			mask |= FLAGS_VIRT;
	}
	return (cpu_rflags(cpu) & ~mask) | (image & mask);
}

static void finish_real(struct cpu *cpu, const struct stackref *st,
			const uint64_t *frame, unsigned int size,
			uint64_t flags)
{
	if (frame[0] > cpu->seg[SEG_CS].limit)
		cpu_raise_err(cpu, VEC_GP, 0);
	if (cpu_v8086(cpu))
		seg_commit_v8086(cpu, SEG_CS, frame[1]);
	else
		seg_commit_real(cpu, SEG_CS, frame[1]);
	stackref_set_sp(cpu, st->mask, st->sp + 3 * size);
	seg_set_rflags(cpu, flags);
	cpu->rip = frame[0];
	cpu->nmi_blocked = 0;
}

static void read_frame(struct cpu *cpu, const struct stackref *st,
		       uint64_t *frame, unsigned int first, unsigned int n,
		       unsigned int size)
{
	unsigned int k;

	for (k = first; k < first + n; k++)
		frame[k] = stackref_read(cpu, st, k * size, size);
}

static int iret_real(struct cpu *cpu, const struct insn *i)
{
	uint64_t frame[3], mask = FLAGS_ALWAYS | RFLAGS_IF | RFLAGS_IOPL;
	struct stackref st;

	stackref_current(cpu, &st);
	read_frame(cpu, &st, frame, 0, 3, i->opsize);
	if (i->opsize > 2)
		mask |= FLAGS_WIDE;
	finish_real(cpu, &st, frame, i->opsize,
		    (cpu_rflags(cpu) & ~mask) | (frame[2] & mask));
	return EXEC_JUMP;
}

/* With VME a 16-bit IRET works on VIF where IOPL forbids IF. */
static int iret_v8086(struct cpu *cpu, const struct insn *i)
{
	uint64_t frame[3], flags, mask = FLAGS_ALWAYS;
	bool iopl3 = cpu_iopl(cpu) == 3;
	struct stackref st;

	if (!iopl3 && !(cpu->cr4 & CR4_VME && i->opsize == 2))
		cpu_raise_err(cpu, VEC_GP, 0);
	stackref_current(cpu, &st);
	read_frame(cpu, &st, frame, 0, 3, i->opsize);
	flags = cpu_rflags(cpu);
	if (i->opsize > 2)
		mask |= FLAGS_WIDE;
	if (iopl3) {
		mask |= RFLAGS_IF;
	} else {
		if (frame[2] & RFLAGS_TF ||
		    (frame[2] & RFLAGS_IF && flags & RFLAGS_VIP))
			cpu_raise_err(cpu, VEC_GP, 0);
		flags &= ~(uint64_t)RFLAGS_VIF;
		if (frame[2] & RFLAGS_IF)
			flags |= RFLAGS_VIF;
	}
	finish_real(cpu, &st, frame, i->opsize,
		    (flags & ~mask) | (frame[2] & mask));
	return EXEC_JUMP;
}

/* From ring 0 into a v8086 task: EIP CS EFLAGS ESP SS ES DS FS GS. */
static int iret_to_v8086(struct cpu *cpu, const struct stackref *st,
			 uint64_t *frame)
{
	read_frame(cpu, st, frame, 3, 6, 4);
	if (frame[0] > 0xffff)
		cpu_raise_err(cpu, VEC_GP, 0);
	seg_set_rflags(cpu, frame[2]);
	seg_commit_v8086(cpu, SEG_CS, frame[1]);
	seg_commit_v8086(cpu, SEG_SS, frame[4]);
	seg_commit_v8086(cpu, SEG_ES, frame[5]);
	seg_commit_v8086(cpu, SEG_DS, frame[6]);
	seg_commit_v8086(cpu, SEG_FS, frame[7]);
	seg_commit_v8086(cpu, SEG_GS, frame[8]);
	cpu->gpr[REG_RSP] = (uint32_t)frame[3];
	cpu->rip = frame[0];
	cpu->code_bits = 16;
	cpu->nmi_blocked = 0;
	seg_set_cpl(cpu, 3);
	return EXEC_JUMP;
}

/* Back to the task that was interrupted. */
static int iret_task(struct cpu *cpu, const struct insn *i)
{
	const struct segment *tr = &cpu->seg[SEG_TR];
	const struct task_request req = {
		.sel = mem_read(cpu, (uint32_t)tr->base, 2,
				ACC_READ | ACC_SYSTEM),
		.source = TASK_IRET,
		.return_rip = i->next_rip,
	};
	bool trap = task_switch(cpu, &req);

	cpu->nmi_blocked = 0;
	if (trap)
		cpu_raise_db(cpu, DR6_BT, true);
	return EXEC_JUMP;
}

/* RIP CS RFLAGS RSP SS from a 64-bit stack. */
static void read_frame64(struct cpu *cpu, uint64_t *frame, unsigned int size)
{
	uint64_t rsp = cpu->gpr[REG_RSP];
	struct stackref st;
	const uint8_t *p = NULL;

	if (likely(size == 8))
		p = seg_tlb_read(cpu, cpu->view, rsp, 40);
	if (unlikely(!p)) {
		stackref_current(cpu, &st);
		read_frame(cpu, &st, frame, 0, 5, size);
		return;
	}
	__builtin_memcpy(&frame[0], p, 8);
	__builtin_memcpy(&frame[1], p + 8, 8);
	__builtin_memcpy(&frame[2], p + 16, 8);
	__builtin_memcpy(&frame[3], p + 24, 8);
	__builtin_memcpy(&frame[4], p + 32, 8);
}

/* To an outer ring, or anywhere from 64-bit mode: SS and SP too. */
static int iret_far(struct cpu *cpu, const uint64_t *frame, unsigned int size)
{
	uint16_t sel = frame[1], ss_sel = frame[4];
	unsigned int cpl = sel_rpl(sel), old = cpu->cpl;
	uint64_t flags = return_flags(cpu, frame[2], size);
	struct seg_desc cs, ss = {0};
	bool null_ss;

	far_check_return_cs(cpu, sel, &cs);
	null_ss = far_check_return_ss(cpu, ss_sel, &ss, cs.lo, cpl);
	far_check_rip(cpu, cs.lo, frame[0], 0);
	seg_mark_accessed(cpu, &cs);
	if (null_ss) {
		seg_commit_null_ss(cpu, ss_sel, cpl);
	} else {
		seg_mark_accessed(cpu, &ss);
		seg_commit(cpu, SEG_SS, ss_sel, ss.lo);
	}
	seg_set_rflags(cpu, flags);
	seg_commit_cs(cpu, sel, cs.lo, cpl);
	if (likely(cpu->code_bits == 64))
		cpu->gpr[REG_RSP] = frame[3];
	else
		stackref_set_sp(cpu, stackref_mask(cpu->seg[SEG_SS].attr),
				frame[3]);
	if (cpl != old)
		seg_drop_inner(cpu, cpl);
	cpu->rip = frame[0];
	cpu->nmi_blocked = 0;
	return EXEC_JUMP;
}

static int iret_same(struct cpu *cpu, const struct stackref *st,
		     const uint64_t *frame, struct seg_desc *cs,
		     unsigned int size)
{
	uint64_t flags = return_flags(cpu, frame[2], size);
	uint64_t mask = st->mask;

	far_check_rip(cpu, cs->lo, frame[0], 0);
	seg_mark_accessed(cpu, cs);
	seg_set_rflags(cpu, flags);
	seg_commit_cs(cpu, frame[1], cs->lo, cpu->cpl);
	if (cpu->code_bits == 64)
		mask = ~0ULL;
	stackref_set_sp(cpu, mask, st->sp + 3 * size);
	cpu->rip = frame[0];
	cpu->nmi_blocked = 0;
	return EXEC_JUMP;
}

static int iret_protected(struct cpu *cpu, const struct insn *i)
{
	unsigned int size = i->opsize;
	struct stackref st;
	struct seg_desc cs;
	uint64_t frame[9];

	stackref_current(cpu, &st);
	read_frame(cpu, &st, frame, 0, 3, size);
	if (size == 4 && frame[2] & RFLAGS_VM && cpu->cpl == 0 &&
	    !cpu_long_mode(cpu))
		return iret_to_v8086(cpu, &st, frame);
	far_check_return_cs(cpu, frame[1], &cs);
	if (sel_rpl(frame[1]) == cpu->cpl)
		return iret_same(cpu, &st, frame, &cs, size);
	read_frame(cpu, &st, frame, 3, 2, size);
	return iret_far(cpu, frame, size);
}

int exec_iret(struct cpu *cpu, const struct insn *i)
{
	uint64_t frame[5];

	if (likely(cpu->code_bits == 64)) {
		if (cpu->rflags_sys & RFLAGS_NT)
			cpu_raise_err(cpu, VEC_GP, 0);
		read_frame64(cpu, frame, i->opsize);
		return iret_far(cpu, frame, i->opsize);
	}
	if (!cpu_protected(cpu))
		return iret_real(cpu, i);
	if (cpu_v8086(cpu))
		return iret_v8086(cpu, i);
	if (!(cpu->rflags_sys & RFLAGS_NT))
		return iret_protected(cpu, i);
	if (cpu_long_mode(cpu))
		cpu_raise_err(cpu, VEC_GP, 0);
	return iret_task(cpu, i);
}
