/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's register accesses: xAPIC page and x2APIC MSRs. Document: SDM
 * 3A "Local APIC Block Diagram", "x2APIC Register Address Space". As KVM:
 * the xAPIC ID may be written, an ICR never shows "send pending", and x2APIC
 * mode takes that bit without a #GP.
 */
#include "chip/lapic.h"

#include "chip/lapic_priv.h"

#include <errno.h>
#include <string.h>

#define SVR_WRITABLE  0x3ffU
#define TDCR_WRITABLE 0xbU
#define ICR_BUSY      BIT(12)
#define ICR_RESERVED  0xfff32000U /* in x2APIC mode, of the low half */

#define REG_BIT(offset)    BIT64((offset) >> 4)
#define REG_BITMAP(offset) (0xffULL << ((offset) >> 4))

#define READ_BOTH                                                              \
	(REG_BIT(LAPIC_ID) | REG_BIT(LAPIC_VERSION) | REG_BIT(LAPIC_TPR) |     \
	 REG_BIT(LAPIC_PPR) | REG_BIT(LAPIC_LDR) | REG_BIT(LAPIC_SVR) |        \
	 REG_BITMAP(LAPIC_ISR) | REG_BITMAP(LAPIC_TMR) |                       \
	 REG_BITMAP(LAPIC_IRR) | REG_BIT(LAPIC_ESR) | REG_BIT(LAPIC_ICR) |     \
	 REG_BIT(LAPIC_LVTT) | REG_BIT(LAPIC_LVTTHMR) | REG_BIT(LAPIC_LVTPC) | \
	 REG_BIT(LAPIC_LVT0) | REG_BIT(LAPIC_LVT1) | REG_BIT(LAPIC_LVTERR) |   \
	 REG_BIT(LAPIC_TMICT) | REG_BIT(LAPIC_TMCCT) | REG_BIT(LAPIC_TDCR))
/* EOI is write-only, yet reading it is no error. */
#define READ_XAPIC                                                      \
	(REG_BIT(LAPIC_APR) | REG_BIT(LAPIC_EOI) | REG_BIT(LAPIC_DFR) | \
	 REG_BIT(LAPIC_ICR2))

static bool is_readable(const struct lapic *l, unsigned offset)
{
	uint64_t mask = READ_BOTH;

	if (!is_x2apic(l))
		mask |= READ_XAPIC;
	if (l->feat.cmci)
		mask |= REG_BIT(LAPIC_LVT_CMCI);
	return offset < LAPIC_REGS_SIZE && (mask & REG_BIT(offset));
}

static uint32_t svr_writable(const struct lapic *l)
{
	return SVR_WRITABLE | (l->feat.directed_eoi ? SVR_SUPPRESS_EOI : 0);
}

/* Bits of the LVT register at @offset that can be written; 0: none such. */
static uint32_t lvt_writable(const struct lapic *l, unsigned offset)
{
	const uint32_t plain = LVT_VECTOR | LVT_MASKED;

	switch (offset) {
	case LAPIC_LVTT:
		return plain | (l->feat.tsc_deadline ? LVTT_MODE : BIT(17));
	case LAPIC_LVT_CMCI: return l->feat.cmci ? plain | LVT_DELIVERY : 0;
	case LAPIC_LVTTHMR:
	case LAPIC_LVTPC: return plain | LVT_DELIVERY;
	case LAPIC_LVT0:
	case LAPIC_LVT1: return plain | LVT_DELIVERY | LVT_POLARITY | LVT_LEVEL;
	case LAPIC_LVTERR: return plain;
	default: return 0;
	}
}

static void put_lvt(struct lapic *l, unsigned offset, uint32_t val)
{
	if (!sw_enabled(l))
		val |= LVT_MASKED;
	if (offset == LAPIC_LVTT)
		lapic_timer_write_lvtt(l, val);
	else
		reg_set(l, offset, val);
}

static void write_svr(struct lapic *l, uint32_t val)
{
	bool was_enabled = sw_enabled(l);
	unsigned i;

	reg_set(l, LAPIC_SVR, val & svr_writable(l));
	if (sw_enabled(l) == was_enabled)
		return;
	if (was_enabled)
		for (i = 0; i < ARRAY_SIZE(lapic_lvts); i++)
			put_lvt(l, lapic_lvts[i], reg_get(l, lapic_lvts[i]));
	lapic_map_changed(l);
}

static void write_esr(struct lapic *l)
{
	reg_set(l, LAPIC_ESR,
		__atomic_exchange_n(&l->esr_pending, 0, __ATOMIC_RELAXED));
}

static void self_ipi(struct lapic *l, uint8_t vector)
{
	if (vector < 16)
		lapic_error(l, ESR_SEND_VECTOR);
	else
		lapic_set_irq(l, vector, false);
}

/* Send what the ICR says. */
static void send_ipi(struct lapic *l)
{
	uint32_t low = reg_get(l, LAPIC_ICR);
	uint32_t high = reg_get(l, LAPIC_ICR2);
	bool level = low & LVT_LEVEL;
	struct irq_msg m = {
		.dest = is_x2apic(l) ? high : high >> 24,
		.vector = (uint8_t)low,
		.delivery = low >> 8 & 7,
		.logical = low & BIT(11),
		.assert_ = low & BIT(14),
		.shorthand = low >> 18 & 3,
	};

	switch (m.delivery) {
	case IRQ_FIXED:
	case IRQ_LOWEST:
		if (m.vector < 16) {
			lapic_error(l, ESR_SEND_VECTOR);
			return;
		}
		/* IPIs are edges whatever the trigger bit says. */
		m.assert_ = true;
		break;
	case IRQ_INIT:
		if (level && !m.assert_) /* de-assert: nothing to do */
			return;
		m.level_trig = level;
		break;
	case IRQ_RESERVED:
	case IRQ_EXTINT: return;
	default: break;
	}
	if (m.delivery == IRQ_FIXED && m.shorthand == IRQ_TO_SELF)
		lapic_set_irq(l, m.vector, false);
	else
		l->ops->send_ipi(l->ctx, &m);
}

static void write_dest_reg(struct lapic *l, unsigned offset, uint32_t val)
{
	if (reg_get(l, offset) == val)
		return;
	reg_set(l, offset, val);
	lapic_map_changed(l);
}

/* A write that both modes know. False: there is no such register. */
static bool write_common(struct lapic *l, unsigned offset, uint32_t val)
{
	uint32_t lvt = lvt_writable(l, offset);

	if (lvt) {
		put_lvt(l, offset, val & lvt);
		return true;
	}
	switch (offset) {
	case LAPIC_TPR:
		reg_set(l, LAPIC_TPR, val & 0xff);
		lapic_update_ppr(l);
		break;
	case LAPIC_EOI: lapic_eoi(l); break;
	case LAPIC_SVR: write_svr(l, val); break;
	case LAPIC_ESR: write_esr(l); break;
	case LAPIC_TMICT: lapic_timer_write_tmict(l, val); break;
	case LAPIC_TDCR: lapic_timer_write_tdcr(l, val & TDCR_WRITABLE); break;
	default: return false;
	}
	return true;
}

static void write_xapic(struct lapic *l, unsigned offset, uint32_t val)
{
	switch (offset) {
	case LAPIC_ID:
	case LAPIC_LDR: write_dest_reg(l, offset, val & 0xff000000); break;
	case LAPIC_DFR: write_dest_reg(l, offset, val | 0x0fffffff); break;
	case LAPIC_ICR2: reg_set(l, LAPIC_ICR2, val & 0xff000000); break;
	case LAPIC_ICR:
		reg_set(l, LAPIC_ICR, val & ~ICR_BUSY);
		send_ipi(l);
		break;
	default:
		if (!write_common(l, offset, val) && !is_readable(l, offset))
			lapic_error(l, ESR_REGISTER);
	}
}

/* Bits of a 32-bit x2APIC register whose setting is a #GP. */
static uint32_t x2apic_reserved(const struct lapic *l, unsigned offset)
{
	uint32_t lvt = lvt_writable(l, offset);

	if (offset == LAPIC_LVT0 || offset == LAPIC_LVT1)
		lvt |= LVT_RIRR;
	if (lvt)
		return ~(lvt | LVT_STATUS);
	switch (offset) {
	case LAPIC_TPR: return ~0xffU;
	case LAPIC_SVR: return ~svr_writable(l);
	case LAPIC_TDCR: return ~TDCR_WRITABLE;
	case LAPIC_TMICT: return 0;
	default: return ~0U; /* EOI, ESR: only 0 */
	}
}

uint32_t lapic_read(struct lapic *l, unsigned offset)
{
	if (!is_readable(l, offset) || offset == LAPIC_EOI)
		return 0;
	if (offset == LAPIC_TMCCT)
		return lapic_timer_tmcct(l);
	return reg_get(l, offset);
}

void lapic_mmio_read(struct lapic *l, unsigned offset, void *data, unsigned len)
{
	unsigned byte = offset & 15;
	uint32_t val;

	memset(data, 0, len);
	offset &= ~15U;
	if (byte + len > 4)
		return;
	if (!is_readable(l, offset)) {
		lapic_error(l, ESR_REGISTER);
		return;
	}
	val = lapic_read(l, offset) >> 8 * byte;
	memcpy(data, &val, len);
}

void lapic_mmio_write(struct lapic *l, unsigned offset, const void *data,
		      unsigned len)
{
	uint32_t val;

	if (len != 4 || (offset & 15))
		return;
	memcpy(&val, data, 4);
	write_xapic(l, offset, val);
}

uint64_t lapic_mmio_base(const struct lapic *l)
{
	if (!hw_enabled(l) || is_x2apic(l))
		return UINT64_MAX;
	return base_get(l) & ~(uint64_t)(LAPIC_PAGE_SIZE - 1);
}

int lapic_msr_read(struct lapic *l, uint32_t msr, uint64_t *val)
{
	unsigned offset = (msr - LAPIC_MSR_FIRST) << 4;

	if (!is_x2apic(l) || !is_readable(l, offset))
		return -EINVAL;
	*val = lapic_read(l, offset);
	if (offset == LAPIC_ICR)
		*val |= (uint64_t)reg_get(l, LAPIC_ICR2) << 32;
	return 0;
}

static int write_x2apic_icr(struct lapic *l, uint64_t val)
{
	if (val & ICR_RESERVED)
		return -EINVAL;
	reg_set(l, LAPIC_ICR, (uint32_t)val & ~ICR_BUSY);
	reg_set(l, LAPIC_ICR2, (uint32_t)(val >> 32));
	send_ipi(l);
	return 0;
}

int lapic_msr_write(struct lapic *l, uint32_t msr, uint64_t val)
{
	unsigned offset = (msr - LAPIC_MSR_FIRST) << 4;

	if (!is_x2apic(l))
		return -EINVAL;
	if (offset == LAPIC_ICR)
		return write_x2apic_icr(l, val);
	if (offset == LAPIC_SELF_IPI) {
		if (val & ~0xffULL)
			return -EINVAL;
		self_ipi(l, (uint8_t)val);
		return 0;
	}
	if (val >> 32 || ((uint32_t)val & x2apic_reserved(l, offset)))
		return -EINVAL;
	return write_common(l, offset, (uint32_t)val) ? 0 : -EINVAL;
}
