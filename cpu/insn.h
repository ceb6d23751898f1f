/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions that are not copied but carried out by a C function: decoded
 * once by the translator into struct insn, then exec_*(cpu, insn) each time.
 *
 * Contract of exec_*: called in C state with cpu->rip at the instruction.
 * Faults leave by cpu_raise*() before anything was changed (string
 * instructions: at an iteration boundary). The return value says where to go
 * on. Reaching guest memory follows cpu/mem.h.
 */
#ifndef CPU_INSN_H
#define CPU_INSN_H

#include "cpu/cpu.h"

enum exec_result {
	EXEC_NEXT,  /* at insn->next_rip; the caller sets rip */
	EXEC_JUMP,  /* cpu->rip was set */
	EXEC_AGAIN, /* same instruction again, after a safepoint */
	EXEC_SLOW,  /* string element in MMIO: the engine must run one iteration
		       on a bounce buffer; registers are at its start */
};

enum opnd_kind {
	OPND_NONE,
	OPND_REG,
	OPND_MEM,
	OPND_IMM,
	OPND_SEG,
	OPND_CR,
	OPND_DR,
	OPND_FAR /* imm = offset, reg = selector */,
	OPND_VEC /* xmm/ymm/zmm/mm/k number in reg */
};

#define OPND_NOREG 0xff
#define OPND_HIGH8 0x80 /* reg | this: AH CH DH BH for 0..3 */

struct opnd {
	uint8_t kind;
	uint8_t size; /* in bytes; 10 for far m16:64, 6 m16:32, 4 m16:16 */
	uint8_t reg;  /* enum cpu_reg, enum cpu_seg, CR or DR number */
	uint8_t seg;  /* memory: segment after overrides */
	uint8_t base; /* memory: register or OPND_NOREG */
	uint8_t index;
	uint8_t scale;
	bool rip_rel; /* disp already holds the full offset */
	int64_t disp; /* memory: displacement; immediate: the value */
};

#define INSN_REP   1
#define INSN_REPNE 2
#define INSN_LOCK  4

struct insn {
	uint16_t id; /* ZydisMnemonic, for reports */
	uint8_t len;
	uint8_t opsize;    /* effective operand size in bytes: 2 4 8 */
	uint8_t addrsize;  /* effective address size in bytes: 2 4 8 */
	uint8_t stacksize; /* pushes and pops of this mode: 2 4 8 */
	uint8_t prefix;    /* INSN_* */
	uint8_t nops;
	uint8_t mem;       /* enum retired_mem */
	struct opnd op[4]; /* explicit operands, Intel order */
	uint64_t next_rip; /* offset in CS, truncated to the code size */
	uint8_t bytes[15];
};

/* Operand access; sizes 1, 2, 4, 8. 32-bit register writes zero-extend. */
uint64_t insn_read(struct cpu *cpu, const struct insn *i, unsigned int n);
void insn_write(struct cpu *cpu, const struct insn *i, unsigned int n,
		uint64_t val);

/* Offset of a memory operand, truncated to the address size. */
uint64_t insn_ea(struct cpu *cpu, const struct insn *i, unsigned int n);

/* Whether @byte, before an opcode, is a prefix in the mode @cpu is in. */
bool insn_is_prefix(const struct cpu *cpu, uint8_t byte);

/*
 * For instructions whose operands are implicit (strings, ports, XLAT): index
 * of the opcode in i->bytes, and the segment of the source after overrides.
 */
unsigned int insn_opcode_at(const struct cpu *cpu, const struct insn *i);
enum cpu_seg insn_source_seg(const struct cpu *cpu, const struct insn *i);

/* Linear address of a memory operand after segment checks (mem_linear). */
uint64_t insn_linear(struct cpu *cpu, const struct insn *i, unsigned int n,
		     unsigned int size, unsigned int kind);

uint64_t reg_read(const struct cpu *cpu, unsigned int reg, unsigned int size);
void reg_write(struct cpu *cpu, unsigned int reg, unsigned int size,
	       uint64_t val);

/* Stack in the current mode: SS base, stack-size masking, limit checks. */
void stack_push(struct cpu *cpu, uint64_t val, unsigned int size);
uint64_t stack_pop(struct cpu *cpu, unsigned int size);

typedef int exec_fn(struct cpu *cpu, const struct insn *i);

/* cpu/segop.c: segment loads and descriptor queries */
exec_fn exec_mov_to_seg, exec_mov_from_seg, exec_pop_seg, exec_push_seg,
	exec_load_far_ptr /* LDS LES LFS LGS LSS */, exec_lar, exec_lsl,
	exec_verr, exec_verw, exec_arpl, exec_lldt, exec_ltr, exec_sldt,
	exec_str, exec_lgdt, exec_lidt, exec_sgdt, exec_sidt, exec_swapgs,
	exec_rdfsbase, exec_rdgsbase, exec_wrfsbase, exec_wrgsbase;

/* cpu/far.c, iret.c, syscall.c, intop.c: far transfers */
exec_fn exec_jmp_far, exec_call_far, exec_ret_far, exec_iret, exec_syscall,
	exec_sysret, exec_sysenter, exec_sysexit, exec_int, exec_int3,
	exec_int1, exec_into;

/* cpu/event.c */
/*
 * Deliver cpu->event (real mode, protected, long mode, task gates, IST).
 * Faults during delivery become #DF or shutdown by the usual rules; they are
 * raised like any fault and the landing pad calls cpu_event_nested().
 * Returns 0 or leaves by raising.
 */
void cpu_event_deliver(struct cpu *cpu);

/*
 * Combine @ev, raised while cpu->event was being delivered, with it: replaces
 * cpu->event by the new fault, by #DF, or reports shutdown (returns false).
 */
bool cpu_event_nested(struct cpu *cpu, const struct cpu_event *ev);

/* True when a maskable interrupt / an NMI can be taken at this boundary. */
bool cpu_irq_allowed(const struct cpu *cpu);
bool cpu_nmi_allowed(const struct cpu *cpu);

/* Queue an external interrupt or NMI for delivery; one event at a time. */
void cpu_queue_irq(struct cpu *cpu, uint8_t vector);
void cpu_queue_nmi(struct cpu *cpu);

/* cpu/crop.c: control and debug registers, TLB control */
exec_fn exec_mov_to_cr, exec_mov_from_cr, exec_mov_to_dr, exec_mov_from_dr,
	exec_clts, exec_lmsw, exec_smsw, exec_invlpg, exec_invpcid, exec_invd,
	exec_wbinvd, exec_xgetbv, exec_xsetbv, exec_rdpkru, exec_wrpkru,
	exec_hlt, exec_monitor, exec_mwait, exec_rsm, exec_vmcall, exec_vmmcall,
	exec_invlpga_ud;

/* cpu/msrop.c */
exec_fn exec_rdmsr, exec_wrmsr, exec_rdtsc, exec_rdtscp, exec_rdpid, exec_rdpmc,
	exec_cpuid;

/* cpu/xstate.c: FXSAVE/XSAVE family on guest memory */
exec_fn exec_fxsave, exec_fxrstor, exec_xsave, exec_xrstor, exec_xsaves,
	exec_xrstors, exec_xsavec, exec_xsaveopt;

/* cpu/flagop.c */
exec_fn exec_pushf, exec_popf, exec_cli, exec_sti, exec_cld, exec_std,
	exec_stac, exec_clac;

/* cpu/string.c: with and without REP, all address sizes, both directions */
exec_fn exec_movs, exec_stos, exec_lods, exec_cmps, exec_scas;

/* cpu/io.c: ports with the TSS permission bitmap */
exec_fn exec_in, exec_out, exec_ins, exec_outs;

/*
 * After CPU_EXIT_IO: hand cpu->io.data of an IN or INS to the guest and go
 * past the instruction where the exit did not. EXEC_JUMP: the instruction is
 * complete and rip behind it. EXEC_AGAIN: it has more to do, or the client
 * moved rip and the result is dropped. INS may raise faults.
 */
int io_complete(struct cpu *cpu);

/* cpu/oldop.c: 16/32-bit leftovers */
exec_fn exec_pusha, exec_popa, exec_enter, exec_bound, exec_aaa, exec_aas,
	exec_aam, exec_aad, exec_daa, exec_das, exec_salc, exec_xlat;

#endif
