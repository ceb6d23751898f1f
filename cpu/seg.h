/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the room: descriptor tables, segment registers, stacks that are
 * not yet the current one, and the checks that loads, far transfers, event
 * delivery and task switches have in common. SDM 3A chapters 5 to 7.
 *
 * Order everywhere: fetch and check, then what may still fault (accessed
 * bits, stack frames), then commit; commits do not fault.
 */
#ifndef CPU_SEG_H
#define CPU_SEG_H

#include "cpu/cpu.h"
#include "cpu/insn.h"
#include "cpu/mem.h"
#include "cpu/tlb.h"
#include "x86/desc.h"
#include "x86/regs.h"

#define SEG_ATTR_DATA16 0x0093 /* real mode: read, write, accessed */
#define SEG_ATTR_V8086  0x00f3
#define SEG_ATTR_FLAT_S 0x0c93 /* SYSCALL's SS; | DPL */
#define SEG_ATTR_FLAT32 0x0c9b /* SYSCALL's CS, 32-bit; | DPL */
#define SEG_ATTR_FLAT64 0x0a9b

/* A descriptor out of the GDT or LDT. */
struct seg_desc {
	uint64_t lo;
	uint64_t hi; /* second half, after seg_fetch_hi() */
	gva_t gva;
};

static inline bool seg_canonical(const struct cpu *cpu, gva_t gva)
{
	unsigned int sh = cpu->cr4 & CR4_LA57 ? 7 : 16;

	return (gva_t)((int64_t)(gva << sh) >> sh) == gva;
}

/* Host address of [gva, gva + size) if the TLB has it for reading. */
static inline const uint8_t *seg_tlb_read(const struct cpu *cpu,
					  unsigned int view, gva_t gva,
					  unsigned int size)
{
	const struct tlb_entry *e = &cpu->tlb->view[view].r[tlb_index(gva)];
	uint64_t off = gva ^ e->tag;

	return off <= 4096 - size ? (const uint8_t *)(e->hva + off) : NULL;
}

static inline uint8_t *seg_tlb_write(const struct cpu *cpu, unsigned int view,
				     gva_t gva, unsigned int size)
{
	const struct tlb_entry *e = &cpu->tlb->view[view].w[tlb_index(gva)];
	uint64_t off = gva ^ e->tag;

	return off <= 4096 - size ? (uint8_t *)(e->hva + off) : NULL;
}

/* Eight bytes of a descriptor table or TSS. */
static inline uint64_t seg_sys_read8(struct cpu *cpu, gva_t gva)
{
	const uint8_t *p = seg_tlb_read(cpu, VIEW_KERNEL, gva, 8);
	uint64_t val;

	if (unlikely(!p))
		return mem_read(cpu, gva, 8, ACC_READ | ACC_SYSTEM);
	__builtin_memcpy(&val, p, 8);
	return val;
}

/* Access flags for a stack of privilege @cpl that is not current yet. */
static inline unsigned int seg_acc(const struct cpu *cpu, unsigned int cpl)
{
	if (cpl == 3)
		return ACC_USER;
	return cpu->cpl == 3 ? ACC_SYSTEM : 0;
}

/* Linear addresses have 32 bits outside of 64-bit mode. */
static inline gva_t seg_wrap(const struct cpu *cpu, gva_t gva)
{
	return cpu->code_bits == 64 ? gva : (uint32_t)gva;
}

static inline unsigned int seg_dpl(const struct segment *s)
{
	return s->attr >> 5 & 3;
}

static inline uint64_t seg_size_mask(unsigned int size)
{
	return size >= 8 ? ~0ULL : BIT64(size * 8) - 1;
}

/* PE set and not v8086: selectors mean descriptors. */
static inline bool seg_protected(const struct cpu *cpu)
{
	return cpu_protected(cpu) && !cpu_v8086(cpu);
}

/* Change flags; the mode stays clean when nothing of it changed. */
static inline void seg_set_rflags(struct cpu *cpu, uint64_t flags)
{
	if (cpu->rflags_sys != (flags & RFLAGS_SYS) ||
	    cpu->dflag != (flags >> 10 & 1) || cpu->acflag != (flags >> 18 & 1))
		cpu->mode_dirty = true;
	cpu->ah = (flags & (RFLAGS_ARITH & ~RFLAGS_OF)) | 2;
	cpu->of = flags >> 11 & 1;
	cpu->iflag = flags >> 9 & 1;
	cpu->dflag = flags >> 10 & 1;
	cpu->acflag = flags >> 18 & 1;
	cpu->rflags_sys = flags & RFLAGS_SYS;
}

/* The new privilege, before cpu_update_mode() gets to it. */
static inline void seg_set_cpl(struct cpu *cpu, unsigned int cpl)
{
	cpu->cpl = cpl;
	if (cpl == 3)
		cpu->view = VIEW_USER;
	else
		cpu->view = cpu->acflag ? VIEW_KERNEL_AC : VIEW_KERNEL;
	cpu->mode_dirty = true;
}

/* ---- cpu/seg.c ---- */

/* Read a descriptor. False: @sel lies outside of its table. */
bool seg_fetch(struct cpu *cpu, uint16_t sel, struct seg_desc *d);

/*
 * Read the second half of a system descriptor in long mode. False: outside
 * of the table, or its type field, which must be zero, is not.
 */
bool seg_fetch_hi(struct cpu *cpu, uint16_t sel, struct seg_desc *d);

/* Set the accessed bit, or set or clear TSS busy, in memory. May fault. */
void seg_mark_accessed(struct cpu *cpu, struct seg_desc *d);
void seg_mark_busy(struct cpu *cpu, gva_t gva, bool busy);

/*
 * Fetch and check the descriptor of a data segment register or of SS at
 * privilege @cpl; @vec is VEC_GP or VEC_TS, @ext is ERR_EXT or 0.
 */
void seg_check_data(struct cpu *cpu, uint16_t sel, struct seg_desc *d,
		    uint8_t vec, unsigned int ext);
void seg_check_stack(struct cpu *cpu, uint16_t sel, struct seg_desc *d,
		     unsigned int cpl, uint8_t vec, unsigned int ext);

/* Put into a segment register; they never fault. */
void seg_commit(struct cpu *cpu, enum cpu_seg seg, uint16_t sel, uint64_t lo);
void seg_commit_cs(struct cpu *cpu, uint16_t sel, uint64_t lo,
		   unsigned int cpl);
void seg_commit_null(struct cpu *cpu, enum cpu_seg seg, uint16_t sel);
void seg_commit_null_ss(struct cpu *cpu, uint16_t sel, unsigned int cpl);
void seg_commit_real(struct cpu *cpu, enum cpu_seg seg, uint16_t sel);
void seg_commit_v8086(struct cpu *cpu, enum cpu_seg seg, uint16_t sel);
void seg_commit_flat(struct cpu *cpu, enum cpu_seg seg, uint16_t sel,
		     uint16_t attr);

/* MOV or POP to ES, SS, DS, FS or GS in any mode. */
void seg_load(struct cpu *cpu, enum cpu_seg seg, uint16_t sel);

/* Null what the new, less privileged, code may not use. */
void seg_drop_inner(struct cpu *cpu, unsigned int cpl);

/* SS:SP for privilege @cpl out of a 16 or 32-bit TSS; RSP out of a 64-bit. */
void seg_tss_stack(struct cpu *cpu, unsigned int cpl, unsigned int ext,
		   uint16_t *ss, uint32_t *sp);
uint64_t seg_tss_rsp(struct cpu *cpu, unsigned int offset, unsigned int ext);

/* ---- cpu/stackref.c: a stack, current or not ---- */

struct stackref {
	uint64_t base;
	uint64_t sp;
	uint64_t mask; /* of sp; ~0: 64-bit, no limit */
	uint32_t limit;
	uint16_t attr;
	unsigned int acc;
	uint32_t err; /* error code of #SS */
};

#define STACKREF_MAX 40 /* values in one frame */

void stackref_current(const struct cpu *cpu, struct stackref *st);

/* The stack of descriptor @lo at privilege @cpl; not for 64-bit mode. */
void stackref_desc(const struct cpu *cpu, struct stackref *st, uint64_t lo,
		   uint64_t sp, unsigned int cpl, uint32_t err);

/* Push @val[0] first; nothing is written unless everything can be. */
void stackref_push(struct cpu *cpu, struct stackref *st, const uint64_t *val,
		   unsigned int n, unsigned int size);

/* Value @off bytes above the top. */
uint64_t stackref_read(struct cpu *cpu, const struct stackref *st,
		       unsigned int off, unsigned int size);

/* Make @sp the stack pointer, in the width of @mask. */
void stackref_set_sp(struct cpu *cpu, uint64_t mask, uint64_t sp);

static inline uint64_t stackref_mask(uint16_t ss_attr)
{
	return ss_attr & SEG_ATTR_DB ? 0xffffffff : 0xffff;
}

/* ---- cpu/far.c: shared with IRET ---- */

/* CS of a return to @sel: checks against the CPL. */
void far_check_return_cs(struct cpu *cpu, uint16_t sel, struct seg_desc *d);

/* SS of a return to code @cs with the CPL @cpl. True: null, and allowed. */
bool far_check_return_ss(struct cpu *cpu, uint16_t sel, struct seg_desc *d,
			 uint64_t cs, unsigned int cpl);

/* #GP(@ext) unless @rip can be run in the segment @cs. */
void far_check_rip(struct cpu *cpu, uint64_t cs, uint64_t rip,
		   unsigned int ext);

/* ---- cpu/event.c ---- */

/* INT n of a v8086 task with VME, through its own vector table. */
void event_redirect_v8086(struct cpu *cpu, uint8_t vector, uint16_t next_ip);

/* ---- cpu/task.c ---- */

enum task_source { TASK_JMP, TASK_CALL, TASK_IRET, TASK_GATE };

struct task_request {
	uint16_t sel;
	enum task_source source;
	uint64_t return_rip;
	unsigned int ext; /* ERR_EXT or 0 */
	bool has_error;
	uint32_t error;
};

/* True: the new task has its T bit set, raise #DB when all is done. */
bool task_switch(struct cpu *cpu, const struct task_request *req);

#endif
