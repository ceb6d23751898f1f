/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local APIC: life, requests and service; see lapic.h. Senders on other
 * threads only set bits in IRR, TMR and the error word; the owner moves
 * them to ISR and keeps PPR current at every TPR or ISR change.
 */
#include "chip/lapic.h"

#include "chip/lapic_priv.h"
#include "lib/check.h"

#define VERSION_INTEGRATED   0x14
#define VERSION_DIRECTED_EOI BIT(24)
#define FIRST_VECTOR         16

const unsigned lapic_lvts[7] = {
	LAPIC_LVTT, LAPIC_LVTTHMR, LAPIC_LVTPC,    LAPIC_LVT0,
	LAPIC_LVT1, LAPIC_LVTERR,  LAPIC_LVT_CMCI,
};

static int highest(const struct lapic *l, unsigned bitmap)
{
	int word;

	for (word = 7; word >= 0; word--) {
		const uint32_t *p = &l->regs[bitmap / 4 + word * 4];
		uint32_t v = __atomic_load_n(p, __ATOMIC_ACQUIRE);

		if (v)
			return word * 32 + 31 - __builtin_clz(v);
	}
	return -1;
}

static void set_bit(struct lapic *l, unsigned bitmap, uint8_t vector)
{
	uint32_t *p = &l->regs[vector_offset(bitmap, vector) / 4];

	__atomic_fetch_or(p, BIT(vector % 32), __ATOMIC_RELAXED);
}

static void clear_bit(struct lapic *l, unsigned bitmap, uint8_t vector)
{
	uint32_t *p = &l->regs[vector_offset(bitmap, vector) / 4];

	__atomic_fetch_and(p, ~BIT(vector % 32), __ATOMIC_RELAXED);
}

static bool is_watched(const struct lapic *l, uint8_t vector)
{
	uint64_t w = __atomic_load_n(&l->watch[vector / 64], __ATOMIC_RELAXED);

	return w & BIT64(vector % 64);
}

static void update_version(struct lapic *l)
{
	uint32_t max_lvt = l->feat.cmci ? 6 : 5;
	uint32_t v = VERSION_INTEGRATED | max_lvt << 16;

	if (l->feat.directed_eoi)
		v |= VERSION_DIRECTED_EOI;
	reg_set(l, LAPIC_VERSION, v);
}

void lapic_map_changed(struct lapic *l)
{
	if (l->ops->map_changed)
		l->ops->map_changed(l->ctx);
}

uint32_t lapic_x2apic_ldr(const struct lapic *l)
{
	return (l->id >> 4) << 16 | BIT(l->id & 15);
}

/* SDM 3A "Task and Processor Priorities". */
void lapic_update_ppr(struct lapic *l)
{
	uint32_t tpr = reg_get(l, LAPIC_TPR) & 0xff;
	int isr = highest(l, LAPIC_ISR);
	uint32_t served = isr < 0 ? 0 : (uint32_t)isr & 0xf0;

	reg_set(l, LAPIC_PPR, (tpr & 0xf0) >= served ? tpr : served);
}

void lapic_error(struct lapic *l, uint32_t esr_bit)
{
	uint32_t lvt = reg_get(l, LAPIC_LVTERR);
	uint32_t old;

	old = __atomic_fetch_or(&l->esr_pending, esr_bit, __ATOMIC_RELAXED);
	/* Writing ESR arms the interrupt again. */
	if (old || (lvt & LVT_MASKED))
		return;
	lapic_set_irq(l, (uint8_t)lvt, false);
}

/* Everything but APIC_BASE and what only the owner sets. */
void lapic_reset_regs(struct lapic *l)
{
	unsigned i;

	for (i = 0; i < LAPIC_REGS_SIZE; i += 4)
		reg_set(l, i, 0);
	for (i = 0; i < ARRAY_SIZE(lapic_lvts); i++)
		reg_set(l, lapic_lvts[i], LVT_MASKED);
	if (l->feat.lint0_extint && l->bsp)
		reg_set(l, LAPIC_LVT0, IRQ_EXTINT << 8);
	reg_set(l, LAPIC_DFR, 0xffffffff);
	reg_set(l, LAPIC_SVR, 0xff);
	if (is_x2apic(l)) {
		reg_set(l, LAPIC_ID, l->id);
		reg_set(l, LAPIC_LDR, lapic_x2apic_ldr(l));
	} else {
		reg_set(l, LAPIC_ID, l->id << 24);
	}
	update_version(l);
	__atomic_store_n(&l->esr_pending, 0, __ATOMIC_RELAXED);
	lapic_timer_stop(l);
}

void lapic_init(struct lapic *l, uint32_t id, bool bsp,
		const struct chip_clock *clock, const struct lapic_ops *ops,
		void *ctx)
{
	static const struct lapic_ops quiet; /* the owner is not ready yet */

	*l = (struct lapic){
		.id = id,
		.bsp = bsp,
		.clock = *clock,
		.ops = &quiet,
		.ctx = ctx,
	};
	lapic_reset(l, false);
	l->ops = ops;
}

void lapic_set_features(struct lapic *l, const struct lapic_features *f)
{
	ASSERT(!f->tsc_deadline || (f->tsc_khz && l->ops->tsc));
	ASSERT(f->bus_cycle_ns < BIT(25));
	l->feat = *f;
	update_version(l);
}

void lapic_reset(struct lapic *l, bool init)
{
	uint64_t base = LAPIC_DEFAULT_BASE | LAPIC_BASE_ENABLE |
			(l->bsp ? LAPIC_BASE_BSP : 0);

	if (!init)
		__atomic_store_n(&l->apic_base, base, __ATOMIC_RELAXED);
	lapic_reset_regs(l);
	lapic_map_changed(l);
}

bool lapic_enabled(const struct lapic *l)
{
	return hw_enabled(l) && sw_enabled(l);
}

bool lapic_set_irq(struct lapic *l, uint8_t vector, bool level_triggered)
{
	uint32_t *irr = &l->regs[vector_offset(LAPIC_IRR, vector) / 4];
	uint32_t bit = BIT(vector % 32);

	if (!lapic_enabled(l))
		return false;
	if (vector < FIRST_VECTOR) {
		lapic_error(l, ESR_RECV_VECTOR);
		return false;
	}
	/* TMR rarely changes: spare the locked instruction. */
	if (vector_test(l, LAPIC_TMR, vector) != level_triggered) {
		if (level_triggered)
			set_bit(l, LAPIC_TMR, vector);
		else
			clear_bit(l, LAPIC_TMR, vector);
	}
	return !(__atomic_fetch_or(irr, bit, __ATOMIC_SEQ_CST) & bit);
}

int lapic_highest_irr(const struct lapic *l)
{
	return highest(l, LAPIC_IRR);
}

int lapic_highest_isr(const struct lapic *l)
{
	return highest(l, LAPIC_ISR);
}

bool lapic_in_progress(const struct lapic *l, uint8_t vector)
{
	return vector_test(l, LAPIC_IRR, vector) ||
	       vector_test(l, LAPIC_ISR, vector);
}

int lapic_pending(const struct lapic *l)
{
	int irr;

	if (!hw_enabled(l))
		return -1;
	irr = highest(l, LAPIC_IRR);
	if (irr < 0 || ((uint32_t)irr & 0xf0) <= reg_get(l, LAPIC_PPR))
		return -1;
	return irr;
}

void lapic_ack(struct lapic *l, uint8_t vector)
{
	clear_bit(l, LAPIC_IRR, vector);
	set_bit(l, LAPIC_ISR, vector);
	lapic_update_ppr(l);
}

void lapic_eoi(struct lapic *l)
{
	bool suppressed = l->feat.directed_eoi &&
			  (reg_get(l, LAPIC_SVR) & SVR_SUPPRESS_EOI);
	int isr = highest(l, LAPIC_ISR);
	uint8_t vector = (uint8_t)isr;
	bool level;

	if (isr < 0)
		return;
	clear_bit(l, LAPIC_ISR, vector);
	lapic_update_ppr(l);
	level = vector_test(l, LAPIC_TMR, vector) && !suppressed;
	if (level || is_watched(l, vector))
		l->ops->eoi(l->ctx, vector, level);
}

bool lapic_eoi_lazy(const struct lapic *l)
{
	int isr = highest(l, LAPIC_ISR);

	if (!hw_enabled(l) || isr < 0 || highest(l, LAPIC_IRR) >= 0)
		return false;
	return !vector_test(l, LAPIC_TMR, (uint8_t)isr) &&
	       !is_watched(l, (uint8_t)isr);
}

uint8_t lapic_get_cr8(const struct lapic *l)
{
	return reg_get(l, LAPIC_TPR) >> 4 & 15;
}

void lapic_set_cr8(struct lapic *l, uint8_t cr8)
{
	reg_set(l, LAPIC_TPR, (cr8 & 15U) << 4);
	lapic_update_ppr(l);
}

bool lapic_local_irq(struct lapic *l, unsigned lvt)
{
	uint32_t v = reg_get(l, lvt);
	unsigned delivery = (v & LVT_DELIVERY) >> 8;
	bool is_lint = lvt == LAPIC_LVT0 || lvt == LAPIC_LVT1;

	if (!hw_enabled(l) || (v & LVT_MASKED))
		return false;
	/* The performance counter's entry closes itself. */
	if (lvt == LAPIC_LVTPC && !l->feat.pmi_unmasked)
		reg_set(l, lvt, v | LVT_MASKED);
	switch (delivery) {
	case IRQ_FIXED:
		lapic_set_irq(l, (uint8_t)v, is_lint && (v & LVT_LEVEL));
		return true;
	case IRQ_SMI:
	case IRQ_NMI:
	case IRQ_INIT:
	case IRQ_EXTINT: l->ops->local(l->ctx, delivery); return true;
	default: return false;
	}
}

bool lapic_accepts_pic(const struct lapic *l)
{
	uint32_t v = reg_get(l, LAPIC_LVT0);

	if (!hw_enabled(l))
		return true;
	return (v & (LVT_MASKED | LVT_DELIVERY)) == IRQ_EXTINT << 8;
}

void lapic_watch_eoi(struct lapic *l, const uint64_t bitmap[4])
{
	unsigned i;

	for (i = 0; i < 4; i++)
		__atomic_store_n(&l->watch[i], bitmap[i], __ATOMIC_RELAXED);
}
