/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who an interrupt message is for. Document: SDM 3A "Determining IPI
 * Destination", "Logical Destination Mode in x2APIC Mode". Runs on the
 * sender's thread and reads only single words of the target.
 */
#include "chip/lapic.h"

#include "chip/lapic_priv.h"

#define XAPIC_BROADCAST  0xffU
#define X2APIC_BROADCAST 0xffffffffU
#define DFR_FLAT         0xfU

static bool match_physical(const struct lapic *l, uint32_t dest)
{
	if (is_x2apic(l))
		return dest == l->id;
	/* An id beyond 8 bits is only reachable while it cannot alias. */
	return dest == reg_get(l, LAPIC_ID) >> 24 ||
	       (l->id > 0xff && dest == l->id);
}

static bool match_logical(const struct lapic *l, uint32_t dest)
{
	uint32_t ldr = reg_get(l, LAPIC_LDR);

	if (is_x2apic(l))
		return ldr >> 16 == dest >> 16 && (ldr & dest & 0xffff);
	ldr >>= 24;
	if (reg_get(l, LAPIC_DFR) >> 28 == DFR_FLAT)
		return ldr & dest;
	return ldr >> 4 == dest >> 4 && (ldr & dest & 0xf);
}

/* Devices know 8 bits: their 0xff means everybody in x2APIC mode too. */
static bool is_broadcast(const struct lapic *l, const struct lapic *src,
			 uint32_t dest)
{
	if (!is_x2apic(l))
		return dest == XAPIC_BROADCAST;
	if (dest == XAPIC_BROADCAST && !src && !l->feat.no_ff_broadcast)
		return true;
	return dest == X2APIC_BROADCAST;
}

bool lapic_match_dest(const struct lapic *l, const struct lapic *src,
		      const struct irq_msg *m)
{
	if (!hw_enabled(l))
		return false;
	switch (m->shorthand) {
	case IRQ_TO_SELF: return l == src;
	case IRQ_TO_ALL: return true;
	case IRQ_TO_OTHERS: return l != src;
	default: break;
	}
	if (is_broadcast(l, src, m->dest))
		return true;
	return m->logical ? match_logical(l, m->dest)
			  : match_physical(l, m->dest);
}

struct lapic *lapic_arbitrate(struct lapic *best, struct lapic *l)
{
	uint32_t class_l, class_best, arb_l, arb_best;

	if (!lapic_enabled(l))
		return best;
	if (!best)
		return l;
	class_l = reg_get(l, LAPIC_PPR) >> 4;
	class_best = reg_get(best, LAPIC_PPR) >> 4;
	if (class_l != class_best)
		return class_l < class_best ? l : best;
	arb_l = __atomic_load_n(&l->arb, __ATOMIC_RELAXED);
	arb_best = __atomic_load_n(&best->arb, __ATOMIC_RELAXED);
	return (int32_t)(arb_l - arb_best) < 0 ? l : best;
}

void lapic_arbitrated(struct lapic *l)
{
	__atomic_fetch_add(&l->arb, 1, __ATOMIC_RELAXED);
}
