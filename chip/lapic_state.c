/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IA32_APIC_BASE and the register page a client saves and loads. Document:
 * SDM 3A "x2APIC State Transitions"; the layout is struct kvm_lapic_state's:
 * one 32-bit register each 16 bytes, TMCCT as of now, an x2APIC ICR's upper
 * half at ICR2.
 */
#include "chip/lapic.h"

#include "chip/lapic_priv.h"

#include <errno.h>
#include <string.h>

#define BASE_RESERVED 0x2ffULL
#define MODE          (LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC)

static bool is_legal(const struct lapic *l, uint64_t val)
{
	unsigned bits = l->feat.maxphyaddr ? l->feat.maxphyaddr : 36;

	if (val & BASE_RESERVED || val >> bits)
		return false;
	if (val & LAPIC_BASE_X2APIC)
		return l->feat.x2apic && (val & LAPIC_BASE_ENABLE);
	return true;
}

static bool is_legal_step(uint64_t old, uint64_t val)
{
	old &= MODE;
	val &= MODE;
	if (old == MODE && val == LAPIC_BASE_ENABLE)
		return false;
	return old || val != MODE;
}

int lapic_set_base(struct lapic *l, uint64_t val, bool host)
{
	uint64_t old = l->apic_base;
	uint64_t mode = val & MODE;

	if (!is_legal(l, val) || (!host && !is_legal_step(old, val)))
		return -EINVAL;
	if (val == old)
		return 0;
	__atomic_store_n(&l->apic_base, val, __ATOMIC_RELAXED);
	if (mode != (old & MODE)) {
		if (!host && !mode)
			lapic_reset_regs(l);
		if (mode == MODE) {
			reg_set(l, LAPIC_ID, l->id);
			reg_set(l, LAPIC_LDR, lapic_x2apic_ldr(l));
		} else {
			reg_set(l, LAPIC_ID, l->id << 24);
			if (old & LAPIC_BASE_X2APIC)
				reg_set(l, LAPIC_LDR, 0);
		}
	}
	lapic_map_changed(l);
	return 0;
}

void lapic_get_regs(struct lapic *l, void *page, bool wide_id)
{
	uint32_t out[LAPIC_REGS_SIZE / 4];
	unsigned i;

	/* A timer that ran out belongs in IRR, not in nowhere. */
	lapic_expire(l, chip_now(&l->clock));
	for (i = 0; i < ARRAY_SIZE(out); i++)
		out[i] = reg_get(l, i * 4);
	out[LAPIC_TMCCT / 4] = lapic_timer_tmcct(l);
	if (is_x2apic(l) && !wide_id)
		out[LAPIC_ID / 4] <<= 24;
	memcpy(page, out, sizeof(out));
}

int lapic_set_regs(struct lapic *l, const void *page, bool wide_id)
{
	uint32_t in[LAPIC_REGS_SIZE / 4];
	uint32_t *id = &in[LAPIC_ID / 4];
	unsigned i;

	memcpy(in, page, sizeof(in));
	if (is_x2apic(l)) {
		if (wide_id && *id != l->id)
			return -EINVAL;
		*id = l->id;
		in[LAPIC_LDR / 4] = lapic_x2apic_ldr(l);
	}
	in[LAPIC_VERSION / 4] = reg_get(l, LAPIC_VERSION);
	for (i = 0; i < ARRAY_SIZE(in); i++)
		if (i != LAPIC_TMCCT / 4)
			reg_set(l, i * 4, in[i]);
	lapic_update_ppr(l);
	lapic_timer_restore(l, in[LAPIC_TMCCT / 4]);
	lapic_map_changed(l);
	return 0;
}
