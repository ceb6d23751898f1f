/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One logical processor: its architectural state and what is derived from it.
 *
 * Translated code addresses this struct relative to rsp (rsp == &cpu), so the
 * layout of the first part is pinned in engine/layout.h. The engine's stack
 * lies below the struct, the page shared with the client (struct kvm_run)
 * right above it.
 *
 * Two states of a running cpu:
 *   "C state"   all guest registers are in this struct; every C function of
 *               cpu/ may be called. Vector and x87 registers are still in the
 *               host's registers while xstate_live is set, therefore rooms
 *               cpu/ and engine/ are built with general registers only.
 *   "code state" translated code runs; guest registers are in host registers.
 */
#ifndef CPU_CPU_H
#define CPU_CPU_H

#include "cpu/count.h"
#include "cpu/exit.h"
#include "lib/util.h"

struct physmap;
struct cpu_tlb;
struct cpuid_table;
struct pmu;
struct pmu_filter;

enum cpu_reg {
	REG_RAX,
	REG_RCX,
	REG_RDX,
	REG_RBX,
	REG_RSP,
	REG_RBP,
	REG_RSI,
	REG_RDI,
	REG_R8,
	REG_R9,
	REG_R10,
	REG_R11,
	REG_R12,
	REG_R13,
	REG_R14,
	REG_R15,
};

enum cpu_seg {
	SEG_ES,
	SEG_CS,
	SEG_SS,
	SEG_DS,
	SEG_FS,
	SEG_GS,
	SEG_LDT,
	SEG_TR,
	SEG_COUNT
};

/* Attribute word of a segment: the descriptor's bits 40-47 and 52-55. */
#define SEG_ATTR_TYPE     0x000f /* type; bit 3 code, 2 E/C, 1 W/R, 0 A */
#define SEG_ATTR_S        0x0010 /* code or data */
#define SEG_ATTR_DPL      0x0060
#define SEG_ATTR_P        0x0080
#define SEG_ATTR_AVL      0x0100
#define SEG_ATTR_L        0x0200
#define SEG_ATTR_DB       0x0400
#define SEG_ATTR_G        0x0800
#define SEG_ATTR_UNUSABLE 0x1000 /* null selector loaded */

struct segment {
	uint64_t base;
	uint64_t
		lim_r; /* derived: first offset a read may not reach, 0: slow */
	uint64_t lim_w; /* derived: the same for writes */
	uint32_t limit; /* in bytes, granularity applied */
	uint16_t attr;
	uint16_t sel;
};

struct dtable {
	uint64_t base;
	uint16_t limit;
};

/* A fault, trap or interrupt on its way to the guest. */
struct cpu_event {
	bool valid;
	uint8_t vector;
	uint8_t kind; /* enum event_kind */
	bool has_error;
	bool injected; /* by the client: already counted as delivering */
	uint32_t error;
	uint64_t payload; /* CR2 or DR6 bits, taken over at delivery */
	bool has_payload;
	uint8_t insn_len; /* of INT n, INT3, INTO, INT1 */
};

enum event_kind {
	EVENT_FAULT,    /* exception, rip at the instruction */
	EVENT_TRAP,     /* exception, rip after it (#DB trap) */
	EVENT_SOFT_INT, /* INT n */
	EVENT_SOFT_EXC, /* INT3, INTO, INT1 */
	EVENT_IRQ,      /* external interrupt */
	EVENT_NMI,
};

/* Requests, set by any thread with cpu_request(), taken at safepoints. */
#define CPU_REQ_EVENT     BIT(0) /* look for interrupts */
#define CPU_REQ_TLB_FLUSH BIT(1) /* drop every translation of addresses */
#define CPU_REQ_PAUSE     BIT(2) /* an exclusive section wants us stopped */
#define CPU_REQ_EXIT      BIT(3) /* leave engine_run() */
#define CPU_REQ_CODE      BIT(4) /* drop write entries of pages now code */
#define CPU_REQ_ACQUIRE   BIT(5) /* client may have changed guest memory */

#define CPU_SHADOW_STI   1
#define CPU_SHADOW_MOVSS 2

struct cpu {
	/* ---- hot, layout known to translated code (engine/layout.h) ---- */
	uint64_t gpr[16];
	uint64_t rip;
	uint64_t scratch[6]; /* translated code's spill slots */
	uint8_t of;          /* flags as SETO/LAHF give them: */
	uint8_t ah;          /* SF ZF 0 AF 0 PF 1 CF */
	uint8_t iflag;       /* RFLAGS.IF */
	uint8_t dflag;       /* RFLAGS.DF */
	uint8_t acflag;      /* RFLAGS.AC */
	uint8_t shadow;      /* CPU_SHADOW_* */
	uint8_t irq_blocked; /* an event waits for IF, shadow or NMI mask */
	uint8_t view;        /* TLB view of the current mode */
	uint64_t mode;       /* everything a translation assumes */
	uint64_t host_rsp;   /* stack of engine_run()'s caller */
	uint64_t exit_arg;   /* translated code to engine */
	uint64_t kernel_gs_base;
	uint64_t tsc_offset;
	uint64_t tsc_ratio; /* see tsc_scale(); 0: the host's rate */
	struct segment seg[SEG_COUNT];
	uint64_t rflags_sys;          /* TF IOPL NT RF VM VIF VIP ID only */
	struct cpu_tlb *tlb;          /* follows the struct; see cpu/tlb.h */
	uint64_t stat_blocks;         /* counters of the engine */
	int64_t count[COUNT_CLASSES]; /* retired; cpu/pmu/pmu.h */

	/* ---- architectural, migrated ---- */
	struct dtable gdt, idt;
	uint64_t cr0, cr2, cr3, cr4, cr8;
	uint64_t efer;
	uint64_t xcr0, xss;
	uint32_t pkru;
	uint64_t dr[4], dr6, dr7;
	uint64_t pdptr[4]; /* PAE, loaded by CR3 writes */
	uint64_t star, lstar, cstar, sfmask;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t pat, misc_enable, tsc_aux, spec_ctrl, tsc_adjust;
	uint64_t debugctl;
	uint64_t perf_cap;      /* PERF_CAPABILITIES */
	uint64_t apic_base;     /* kept by the kvm room */
	struct cpu_event event; /* pending or being delivered */
	uint8_t nmi_blocked;    /* until IRET */
	bool nmi_pending;
	bool smm;
	void *msr_state; /* struct msr_state of cpu/msr.c */
	struct pmu *pmu; /* performance counters, cpu/pmu */
	const struct cpuid_table *cpuid;
	uint8_t *xsave; /* image, XSAVE standard format, 64-aligned */
	uint32_t xsave_size;
	uint64_t fp_ip, fp_dp; /* x87 pointers the guest loaded itself */

	/* ---- derived or transient ---- */
	bool xstate_live; /* guest's vector state is in the host */
	bool mode_dirty;  /* recompute mode before the next block */
	uint8_t cpl;
	uint8_t code_bits;     /* 16, 32, 64: of CS now */
	uint32_t features[32]; /* guest CPUID words, x86/feature.def */
	uint8_t maxphyaddr, linear_bits;
	bool vendor_amd; /* behaves as AMD where vendors differ */
	bool page1g;     /* CPUID offers 1 GiB pages */
	struct physmap *phys;
	uint32_t requests; /* CPU_REQ_*, atomic */
	uint8_t *doorbell; /* byte in the shared page, polled by code */
	bool in_guest;     /* atomic: inside engine_run() */
	unsigned int id;
	uint32_t cpuid_id;       /* part of the mode word; per machine */
	struct cpu_event raised; /* what cpu_raise() left there */
	void *jmpbuf[5];         /* cpu_raise()'s landing pad */
	enum cpu_exit_kind exit; /* why engine_run() returned */
	struct cpu_io io;
	struct cpu_io_pending io_pending;
	struct cpu_mmio mmio;
	struct cpu_mmlog *mmlog; /* of a running exec_*; NULL: no MMIO now */
	struct cpu_msr_access msr;
	struct cpu_debug_exit debug_exit;
	gpa_t fault_gpa;
	struct {
		uint32_t suberror;
		uint32_t ndata;
		uint64_t data[16];
	} internal;
	uint64_t db_pending; /* DR6 bits of the instruction under way */
	struct cpu_breaks breaks;
	uint32_t guest_debug; /* KVM_GUESTDBG_* */
	uint64_t guest_debug_dr[8];
	uint64_t spin_since; /* TSC of the host, engine/spin.c */
	uint32_t spin_left;  /* PAUSEs before it looks */
	bool pause_in_guest; /* it never yields */
	struct engine *engine;
	void *engine_cpu; /* engine's private part */
	void *owner;      /* the kvm room's vcpu */
	const struct cpu_ops *ops;
	const struct cpu_code_ops *code; /* the engine's */
	uint64_t *stat;                  /* counters, enum cpu_stat */
	uint64_t stat_own[20];           /* where they are at first */
	uint64_t msr_next_rip;           /* after the access in msr */
	bool msr_filter;       /* ask ops->msr_denied() about each MSR */
	uint8_t msr_exits;     /* CPU_MSR_*: reasons to exit, not #GP */
	bool clock_dirty;      /* the guest moved its TSC: redo kvmclock */
	bool no_platform_info; /* the client hides MSR_PLATFORM_INFO */
	bool cpuid_faulting;   /* CPUID is #GP outside ring 0 */
	bool bus_lock_exits;   /* locks across cache lines are told */
	bool bus_locked;       /* one was taken: tell (Intel) */
	bool bus_lock_told;    /* the one at bus_lock_rip may go on (AMD) */
	uint64_t bus_lock_rip;
	const struct pmu_filter *pmu_filter; /* the client's, NULL: none */
	uint32_t count_on;        /* classes that count at this privilege */
	uint32_t count_armed;     /* of them, with an interrupt at the end */
	bool pmu_on;              /* a counter is enabled */
	bool pmu_timed;           /* one of time is */
	bool pmi;                 /* one that wants an interrupt overflowed */
	bool no_pmu;              /* the client wants none */
	uint64_t disabled_quirks; /* CPU_QUIRK_* that are off */
	uint64_t cr4_allowed;     /* by CPUID */
	uint64_t xcr0_allowed;
	uint8_t *xbounce;    /* XSAVE area for copies, 64-aligned */
	uint32_t host_mxcsr; /* of the thread in engine_run() */
	uint16_t host_fcw;
};

/*
 * Upcalls the kvm room provides. They run in C state with the guest's vector
 * registers live: implementations must be built with general registers only.
 */
struct cpu_ops {
	/* a page was written through gpa and its slot logs dirty pages */
	void (*mark_dirty)(struct cpu *cpu, gpa_t gpa);
	/* may be NULL; a store to a port or an address: done without an exit */
	bool (*bus_write)(struct cpu *cpu, bool pio, uint64_t addr,
			  uint64_t val, unsigned int len);
	/* may be NULL; asked when cpu->msr_filter: exit instead of access */
	bool (*msr_denied)(struct cpu *cpu, uint32_t index, bool write);
	/*
	 * May be NULL: access to an MSR of the kvm room without an exit. 0,
	 * -EINVAL for #GP, -EAGAIN to leave by CPU_EXIT_MSR after all.
	 */
	int (*msr_access)(struct cpu *cpu, uint32_t index, bool write,
			  uint64_t *data);
};

/* What the engine wants to know of stores; called in C state. */
struct cpu_code_ops {
	/*
	 * A write entry for the host page is about to be made. False: the page
	 * holds translated code, every store to it must call write().
	 */
	bool (*may_cache_write)(struct cpu *cpu, uint8_t *hva_page);
	/* [hva, hva + size) is about to be stored to; drop translations. */
	void (*write)(struct cpu *cpu, uint8_t *hva, unsigned int size);
	/*
	 * MMIO without a log. Leaves to begin the instruction again with one,
	 * or returns: it cannot be done. May be NULL.
	 */
	void (*mmio)(struct cpu *cpu);
};

enum cpu_stat {
	CPU_STAT_EXITS,
	CPU_STAT_IO,
	CPU_STAT_MMIO,
	CPU_STAT_IRQ,
	CPU_STAT_HLT,
	CPU_STAT_TLB_MISS,
	CPU_STAT_TLB_FLUSH,
	CPU_STAT_TRANSLATE,
	CPU_STAT_INVALIDATE,
	CPU_STAT_EXCEPTION,
	CPU_STAT_SLOW_INSN,
	CPU_STAT_DISPATCH,
	CPU_STAT_POLL,
	CPU_STAT_POLLED,
	CPU_STAT_SLEEP,
	CPU_STAT_MOVE,
	CPU_STAT_SPIN,
};

/* ---- RFLAGS: the architectural value, composed and taken apart ---- */
#define RFLAGS_CF   0x1u
#define RFLAGS_PF   0x4u
#define RFLAGS_AF   0x10u
#define RFLAGS_ZF   0x40u
#define RFLAGS_SF   0x80u
#define RFLAGS_TF   0x100u
#define RFLAGS_IF   0x200u
#define RFLAGS_DF   0x400u
#define RFLAGS_OF   0x800u
#define RFLAGS_IOPL 0x3000u
#define RFLAGS_NT   0x4000u
#define RFLAGS_RF   0x10000u
#define RFLAGS_VM   0x20000u
#define RFLAGS_AC   0x40000u
#define RFLAGS_VIF  0x80000u
#define RFLAGS_VIP  0x100000u
#define RFLAGS_ID   0x200000u
#define RFLAGS_ARITH \
	(RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)
#define RFLAGS_SYS                                                     \
	(RFLAGS_TF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM | \
	 RFLAGS_VIF | RFLAGS_VIP | RFLAGS_ID)

uint64_t cpu_rflags(const struct cpu *cpu);

/* Set all of RFLAGS (reserved bits fixed up); marks the mode dirty. */
void cpu_set_rflags(struct cpu *cpu, uint64_t rflags);

/* Change only the arithmetic flags. */
void cpu_set_arith(struct cpu *cpu, uint64_t rflags);

/* ---- faults: leave the current C function for the landing pad ---- */

/*
 * Raise an exception at the current instruction (cpu->rip). Registers must
 * not have been changed yet. No lock and no allocation may be held.
 */
void cpu_raise(struct cpu *cpu, uint8_t vector) __noreturn;
void cpu_raise_err(struct cpu *cpu, uint8_t vector, uint32_t error) __noreturn;
void cpu_raise_pf(struct cpu *cpu, gva_t gva, uint32_t error) __noreturn;

/* #DB with DR6 bits @dr6_bits; a trap keeps rip after the instruction. */
void cpu_raise_db(struct cpu *cpu, uint64_t dr6_bits, bool trap) __noreturn;

/* Leave with an exit instead; cpu->exit and its record are set by us. */
void cpu_exit_to_kvm(struct cpu *cpu, enum cpu_exit_kind kind) __noreturn;

/* Our engine met a state it cannot run: KVM_EXIT_INTERNAL_ERROR. */
void cpu_internal_error(struct cpu *cpu, uint32_t suberror,
			uint64_t data) __noreturn;

/* ---- requests from any thread ---- */
void cpu_request(struct cpu *cpu, uint32_t req);

static inline bool cpu_long_mode(const struct cpu *cpu)
{
	return cpu->efer & BIT64(10); /* LMA */
}

static inline bool cpu_paging(const struct cpu *cpu)
{
	return cpu->cr0 >> 31 & 1;
}

static inline bool cpu_protected(const struct cpu *cpu)
{
	return cpu->cr0 & 1;
}

static inline bool cpu_v8086(const struct cpu *cpu)
{
	return cpu->rflags_sys & RFLAGS_VM;
}

static inline unsigned int cpu_iopl(const struct cpu *cpu)
{
	return cpu->rflags_sys >> 12 & 3;
}

/*
 * Recompute cpl, code_bits, segment fast limits, view and mode from the
 * architectural state. Anything that changes CR0, CR4, EFER, XCR0, a segment,
 * TF, DF, AC, IOPL, VM, DR7 or CPUID sets mode_dirty or calls this.
 */
void cpu_update_mode(struct cpu *cpu);

/* Recompute lim_r and lim_w of one segment. */
void cpu_segment_derive(struct cpu *cpu, enum cpu_seg seg);

/* Power-on and INIT state. @init keeps what INIT keeps (xstate, MSRs, TSC). */
void cpu_reset(struct cpu *cpu, bool init);

#endif
