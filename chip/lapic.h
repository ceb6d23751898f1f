/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One local APIC: xAPIC registers in a 4 KiB page, x2APIC registers as MSRs
 * 0x800-0x8ff, the APIC_BASE state machine, local vector table, timer.
 * Document: SDM 3A "Advanced Programmable Interrupt Controller (APIC)".
 * Left out: the remote read register and AMD's extended space.
 *
 * Threads: lapic_set_irq(), lapic_enabled(), lapic_match_dest(),
 * lapic_arbitrate() and lapic_watch_eoi() may run on any thread at any time
 * without a lock. Everything else is called by the thread that owns the vCPU,
 * or while the vCPU is stopped. Callbacks run on the calling thread.
 */
#ifndef CHIP_LAPIC_H
#define CHIP_LAPIC_H

#include "chip/chip.h"
#include "chip/irq_msg.h"

#define LAPIC_DEFAULT_BASE 0xfee00000ULL
#define LAPIC_PAGE_SIZE    0x1000
#define LAPIC_REGS_SIZE    0x400 /* of struct kvm_lapic_state */

/* IA32_APIC_BASE */
#define LAPIC_BASE_BSP    BIT64(8)
#define LAPIC_BASE_X2APIC BIT64(10)
#define LAPIC_BASE_ENABLE BIT64(11)

/* Register offsets in the page; the x2APIC MSR is 0x800 + offset / 16. */
#define LAPIC_ID       0x020
#define LAPIC_VERSION  0x030
#define LAPIC_TPR      0x080
#define LAPIC_APR      0x090
#define LAPIC_PPR      0x0a0
#define LAPIC_EOI      0x0b0
#define LAPIC_RRD      0x0c0
#define LAPIC_LDR      0x0d0
#define LAPIC_DFR      0x0e0
#define LAPIC_SVR      0x0f0
#define LAPIC_ISR      0x100
#define LAPIC_TMR      0x180
#define LAPIC_IRR      0x200
#define LAPIC_ESR      0x280
#define LAPIC_LVT_CMCI 0x2f0
#define LAPIC_ICR      0x300
#define LAPIC_ICR2     0x310
#define LAPIC_LVTT     0x320
#define LAPIC_LVTTHMR  0x330
#define LAPIC_LVTPC    0x340
#define LAPIC_LVT0     0x350
#define LAPIC_LVT1     0x360
#define LAPIC_LVTERR   0x370
#define LAPIC_TMICT    0x380
#define LAPIC_TMCCT    0x390
#define LAPIC_TDCR     0x3e0
#define LAPIC_SELF_IPI 0x3f0

#define LAPIC_MSR_FIRST 0x800
#define LAPIC_MSR_LAST  0x8ff

struct lapic_ops {
	/*
	 * The guest wrote the ICR. Called for all but fixed IPIs to self,
	 * which are taken directly. The owner finds the targets with
	 * lapic_match_dest() / lapic_arbitrate() and kicks them.
	 */
	void (*send_ipi)(void *ctx, const struct irq_msg *m);
	/*
	 * EOI of @vector, when its TMR bit was set (@level; not when the
	 * guest suppresses EOI broadcasts) or it is watched.
	 */
	void (*eoi)(void *ctx, uint8_t vector, bool level);
	/*
	 * A local source (LINT, PMI, thermal, CMCI) is programmed for
	 * @delivery IRQ_SMI, IRQ_NMI, IRQ_INIT or IRQ_EXTINT.
	 */
	void (*local)(void *ctx, enum irq_delivery delivery);
	/* lapic_deadline() moved. May be NULL if the owner asks anyway. */
	void (*timer_changed)(void *ctx);
	/*
	 * Mode, base, ID, LDR, DFR or an enable bit changed: a cached
	 * destination map or MMIO mapping is stale. May be NULL.
	 */
	void (*map_changed)(void *ctx);
	/* The guest's TSC now. Needed for TSC-deadline mode. */
	uint64_t (*tsc)(void *ctx);
};

/* What the guest's CPUID and the VM's capabilities allow. */
struct lapic_features {
	bool x2apic;           /* CPUID.1:ECX[21] */
	bool tsc_deadline;     /* CPUID.1:ECX[24] */
	bool cmci;             /* MCG_CAP.CMCI_P: LVT CMCI exists */
	bool directed_eoi;     /* version bit 24, SVR bit 12 */
	bool pmi_unmasked;     /* AMD: a PMI leaves LVTPC's mask alone */
	bool no_ff_broadcast;  /* device dest 0xff is no x2APIC broadcast */
	bool lint0_extint;     /* BSP resets with LINT0 open for ExtINT */
	uint8_t maxphyaddr;    /* bits of APIC_BASE, 0 = 36 */
	uint32_t bus_cycle_ns; /* timer input period, < 2^25, 0 = 1 as KVM */
	uint32_t tsc_khz;      /* guest TSC rate, set with tsc_deadline */
};

struct lapic {
	/*
	 * The register page, indexed by offset / 4. IRR and TMR are changed
	 * by any thread, all else by the owner; all accesses are atomic.
	 * PPR is always current, TMCCT never (see lapic_read()).
	 */
	_Alignas(64) uint32_t regs[LAPIC_REGS_SIZE / 4];
	uint64_t apic_base;
	uint32_t id;           /* x2APIC ID */
	bool bsp;              /* value of the BSP flag at reset */
	uint32_t esr_pending;  /* errors since the last ESR write, atomic */
	uint64_t timer_target; /* ns of the next expiry, CHIP_NEVER = off */
	uint64_t timer_period; /* ns from TMICT, divider and bus clock */
	uint64_t tsc_deadline; /* guest TSC, 0 = disarmed */
	/* ---- derived ---- */
	struct lapic_features feat;
	uint32_t arb;      /* lowest-priority arbitration count, atomic */
	uint64_t watch[4]; /* vectors whose EOI is always told, atomic */
	struct chip_clock clock;
	const struct lapic_ops *ops;
	void *ctx;
};

/* lapic.c: life, delivery, acknowledge */

/* Power-on state of the APIC with x2APIC id @id; features all off. Silent. */
void lapic_init(struct lapic *l, uint32_t id, bool bsp,
		const struct chip_clock *clock, const struct lapic_ops *ops,
		void *ctx);
/*
 * Take over @f (KVM_SET_CPUID2, capabilities); updates the version register.
 * Registers keep their values.
 */
void lapic_set_features(struct lapic *l, const struct lapic_features *f);
/* @init: as INIT does (APIC_BASE kept); else power-on. */
void lapic_reset(struct lapic *l, bool init);

/* Hardware and software enabled: takes fixed interrupts. Any thread. */
bool lapic_enabled(const struct lapic *l);
/*
 * Request @vector (fixed or lowest priority delivery). Any thread, no lock.
 * True when the IRR bit is newly set: the caller then kicks the vCPU. False:
 * already pending, APIC disabled, or an illegal vector (which goes to ESR).
 * The IRR bit is published with release order after its TMR bit.
 */
bool lapic_set_irq(struct lapic *l, uint8_t vector, bool level_triggered);

/* Highest requested vector whose class is above PPR, or -1. */
int lapic_pending(const struct lapic *l);
/* Highest bit of IRR / ISR, or -1; PPR is not looked at. */
int lapic_highest_irr(const struct lapic *l);
int lapic_highest_isr(const struct lapic *l);
/* @vector is requested or in service. Any thread. */
bool lapic_in_progress(const struct lapic *l, uint8_t vector);
/* The CPU takes @vector: IRR to ISR, PPR follows. */
void lapic_ack(struct lapic *l, uint8_t vector);
/* EOI register write, or a PV EOI that the guest did. */
void lapic_eoi(struct lapic *l);
/*
 * PV EOI: true when the EOI of the vector in service may be left to a flag
 * in guest memory: something is in service, nothing is requested, and
 * nobody (IOAPIC, watcher) waits for that EOI.
 */
bool lapic_eoi_lazy(const struct lapic *l);

/* CR8 is bits 4-7 of TPR. */
uint8_t lapic_get_cr8(const struct lapic *l);
void lapic_set_cr8(struct lapic *l, uint8_t cr8);

/*
 * A local source fires through the LVT register at offset @lvt: LINT0,
 * LINT1, LVTPC (which masks itself, but AMD's), thermal, CMCI. True when it was
 * delivered, false when masked or disabled.
 */
bool lapic_local_irq(struct lapic *l, unsigned lvt);
/*
 * True when the PIC's INTR reaches the CPU: APIC hardware-disabled, or LINT0
 * unmasked in ExtINT mode.
 */
bool lapic_accepts_pic(const struct lapic *l);
/*
 * Vectors whose EOI must be told even when edge triggered (and which are
 * never lazy): split irqchip, PIT, resamplers. Any thread.
 */
void lapic_watch_eoi(struct lapic *l, const uint64_t bitmap[4]);

/* lapic_dest.c: who is meant. Any thread. */

/*
 * Is @l a destination of @m? @src is the sending APIC, NULL for devices.
 * Does not look at enable bits other than the hardware one: NMI, INIT and
 * SIPI reach a software-disabled APIC.
 */
bool lapic_match_dest(const struct lapic *l, const struct lapic *src,
		      const struct irq_msg *m);
/*
 * Lowest priority among matches, folded over the candidates: returns the
 * better of @best (NULL at first) and @l. Disabled APICs never win. Call
 * lapic_arbitrated() on the winner so that others get their turn.
 */
struct lapic *lapic_arbitrate(struct lapic *best, struct lapic *l);
void lapic_arbitrated(struct lapic *l);

/*
 * lapic_reg.c: the guest's accesses. A write may change what lapic_pending()
 * says (TPR, EOI, self IPI, an expired timer): look again after it.
 */

/*
 * xAPIC MMIO at @offset of the 4 KiB page. Accesses the hardware does not
 * define read as 0 and are ignored when written (ESR notes them).
 */
void lapic_mmio_read(struct lapic *l, unsigned offset, void *data,
		     unsigned len);
void lapic_mmio_write(struct lapic *l, unsigned offset, const void *data,
		      unsigned len);
/* gpa of the page, UINT64_MAX while MMIO is off (disabled or x2APIC). */
uint64_t lapic_mmio_base(const struct lapic *l);

/* x2APIC MSRs 0x800-0x8ff. -EINVAL means #GP. */
int __must_check lapic_msr_read(struct lapic *l, uint32_t msr, uint64_t *val);
int __must_check lapic_msr_write(struct lapic *l, uint32_t msr, uint64_t val);

/* Value of one register as the guest would read it (4-byte offset / 16). */
uint32_t lapic_read(struct lapic *l, unsigned offset);

/* lapic_state.c: IA32_APIC_BASE, and what KVM_GET/SET_LAPIC carry */

/*
 * Write IA32_APIC_BASE. @host: by the client, all legal states reachable.
 * -EINVAL (#GP): reserved bits, x2APIC without enable or without CPUID bit,
 * x2APIC to xAPIC, disabled to x2APIC. A guest's disable resets registers.
 */
int __must_check lapic_set_base(struct lapic *l, uint64_t val, bool host);

/*
 * The 1 KiB page of struct kvm_lapic_state. @wide_id: in x2APIC mode the ID
 * register holds 32 bits (KVM_X2APIC_API_USE_32BIT_IDS), else bits 24-31.
 * Set: -EINVAL when the x2APIC id is not this APIC's. The timer goes on from
 * TMCCT; set APIC_BASE before and the TSC deadline after it.
 */
void lapic_get_regs(struct lapic *l, void *page, bool wide_id);
int __must_check lapic_set_regs(struct lapic *l, const void *page,
				bool wide_id);

/* lapic_timer.c */

/* IA32_TSC_DEADLINE. Ignored / 0 unless the timer is in that mode. */
void lapic_set_tsc_deadline(struct lapic *l, uint64_t tsc);
uint64_t lapic_get_tsc_deadline(struct lapic *l);
/*
 * When lapic_expire() is due, absolute ns; CHIP_NEVER when idle or masked.
 * In TSC-deadline mode computed from @now and ops->tsc(): ask again after
 * the guest's TSC was written.
 */
uint64_t lapic_deadline(const struct lapic *l, uint64_t now);
/*
 * Fire what is due at @now. True when a request was newly set. Periodic
 * timers keep their phase; periods that passed unnoticed merge into one.
 */
bool lapic_expire(struct lapic *l, uint64_t now);

#endif
