/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MC146818 real-time clock with 128 bytes of CMOS RAM, ports 0x70 and 0x71.
 * Document: Motorola MC146818A data sheet; century in byte 0x32 (as FADT
 * will say). Left out: square wave pin, daylight saving, the NMI mask's
 * effect (bit 7 of port 0x70 is stored only).
 * The owner serializes all calls and passes monotonic time.
 */
#ifndef CHIP_RTC_H
#define CHIP_RTC_H

#include "chip/chip.h"

#define RTC_CMOS_SIZE   128
#define RTC_REG_SECONDS 0x00
#define RTC_REG_A       0x0a
#define RTC_REG_B       0x0b
#define RTC_REG_C       0x0c
#define RTC_REG_D       0x0d
#define RTC_REG_CENTURY 0x32

struct rtc {
	uint8_t cmos[RTC_CMOS_SIZE]; /* time bytes valid while stopped */
	uint8_t index;               /* last write to port 0x70 */
	int64_t offset_ns;           /* UTC since 1970 = clock + offset */
	uint64_t seen_ns;            /* flags in register C are up to here */
	/* ---- derived ---- */
	struct chip_pin irq; /* to IRQ 8, level */
};

/*
 * Power-on at @now: time = @now + @utc_offset_ns since 1970-01-01 UTC (the
 * owner adds a time zone if the guest wants local time), BCD, 24 hours.
 * CMOS RAM is zero; the owner fills it with rtc_set_cmos().
 */
void rtc_init(struct rtc *rtc, const struct chip_pin *irq,
	      int64_t utc_offset_ns, uint64_t now);
/* RESET pin: interrupts off, RAM and time kept. */
void rtc_reset(struct rtc *rtc, uint64_t now);

/* Guest access, bytes: @port 0x70 or 0x71. */
uint8_t rtc_read(struct rtc *rtc, uint16_t port, uint64_t now);
void rtc_write(struct rtc *rtc, uint16_t port, uint8_t val, uint64_t now);

/* RAM bytes for firmware (0x0e-0x7f except the century). */
void rtc_set_cmos(struct rtc *rtc, unsigned index, uint8_t val);
uint8_t rtc_get_cmos(const struct rtc *rtc, unsigned index);

uint64_t rtc_deadline(const struct rtc *rtc);
void rtc_advance(struct rtc *rtc, uint64_t now);

#endif
