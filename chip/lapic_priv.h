/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the lapic files share. Register words are read and written with
 * relaxed atomics: other threads look at them (destinations) or change them
 * (IRR, TMR) while the owner runs.
 */
#ifndef CHIP_LAPIC_PRIV_H
#define CHIP_LAPIC_PRIV_H

#include "chip/lapic.h"

#define BITMAP_BYTES 0x80 /* ISR, TMR, IRR: 8 words, 16 bytes apart */

#define SVR_ENABLE       BIT(8)
#define SVR_SUPPRESS_EOI BIT(12)

#define LVT_VECTOR   0xffU
#define LVT_DELIVERY 0x700U
#define LVT_STATUS   BIT(12) /* read-only */
#define LVT_POLARITY BIT(13)
#define LVT_RIRR     BIT(14) /* read-only */
#define LVT_LEVEL    BIT(15)
#define LVT_MASKED   BIT(16)
#define LVTT_MODE    0x60000U

enum { TIMER_ONESHOT, TIMER_PERIODIC, TIMER_TSC_DEADLINE };

#define ESR_SEND_VECTOR BIT(5)
#define ESR_RECV_VECTOR BIT(6)
#define ESR_REGISTER    BIT(7)

static inline uint32_t reg_get(const struct lapic *l, unsigned offset)
{
	return __atomic_load_n(&l->regs[offset / 4], __ATOMIC_RELAXED);
}

static inline void reg_set(struct lapic *l, unsigned offset, uint32_t val)
{
	__atomic_store_n(&l->regs[offset / 4], val, __ATOMIC_RELAXED);
}

static inline uint64_t base_get(const struct lapic *l)
{
	return __atomic_load_n(&l->apic_base, __ATOMIC_RELAXED);
}

static inline bool hw_enabled(const struct lapic *l)
{
	return base_get(l) & LAPIC_BASE_ENABLE;
}

static inline bool sw_enabled(const struct lapic *l)
{
	return reg_get(l, LAPIC_SVR) & SVR_ENABLE;
}

static inline bool is_x2apic(const struct lapic *l)
{
	return base_get(l) & LAPIC_BASE_X2APIC;
}

static inline unsigned vector_offset(unsigned bitmap, uint8_t vector)
{
	return bitmap + vector / 32 * 0x10;
}

static inline bool vector_test(const struct lapic *l, unsigned bitmap,
			       uint8_t vector)
{
	return reg_get(l, vector_offset(bitmap, vector)) & BIT(vector % 32);
}

/* lapic.c */
extern const unsigned lapic_lvts[7]; /* offsets of all LVT registers */
void lapic_update_ppr(struct lapic *l);
void lapic_reset_regs(struct lapic *l);
void lapic_map_changed(struct lapic *l);
/* Note an error in ESR and raise the error interrupt. Any thread. */
void lapic_error(struct lapic *l, uint32_t esr_bit);
uint32_t lapic_x2apic_ldr(const struct lapic *l);

/* lapic_timer.c */
unsigned lapic_timer_mode(const struct lapic *l);
void lapic_timer_stop(struct lapic *l);
void lapic_timer_write_lvtt(struct lapic *l, uint32_t val);
void lapic_timer_write_tmict(struct lapic *l, uint32_t val);
void lapic_timer_write_tdcr(struct lapic *l, uint32_t val);
uint32_t lapic_timer_tmcct(const struct lapic *l);
/* Registers were loaded: go on with @tmcct ticks left. */
void lapic_timer_restore(struct lapic *l, uint32_t tmcct);

#endif
