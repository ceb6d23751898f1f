/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MC146818; see rtc.h. The clock is an offset to the owner's time, so it
 * needs no ticking; its bytes exist only while it is stopped (SET bit or
 * divider reset). Flags in register C are brought up to date when somebody
 * looks. The day of the week follows the date.
 */
#include "chip/rtc.h"

#include "lib/check.h"

enum {
	SECONDS,
	SECONDS_ALARM,
	MINUTES,
	MINUTES_ALARM,
	HOURS,
	HOURS_ALARM,
	WEEKDAY,
	DAY,
	MONTH,
	YEAR,
};

#define A_UIP     BIT(7)
#define A_DIVIDER 0x70
#define A_RESET   0x60 /* these two bits: divider held in reset */
#define A_RATE    0x0f
#define B_SET     BIT(7)
#define B_PIE     BIT(6)
#define B_AIE     BIT(5)
#define B_UIE     BIT(4)
#define B_SQWE    BIT(3)
#define B_BINARY  BIT(2)
#define B_24H     BIT(1)
#define C_IRQF    BIT(7)
#define C_PF      BIT(6)
#define C_AF      BIT(5)
#define C_UF      BIT(4)
#define D_VRT     BIT(7)

#define PM        0x80
#define DONT_CARE 0xc0
#define CRYSTAL   32768
#define DAY_SECS  86400
#define UIP_NS    244000

struct civil {
	int64_t year;
	unsigned month; /* 1-12 */
	unsigned day;   /* 1-31 */
};

/* Days since 1970-01-01; years start in March so that leap days end them. */
static int64_t days_of(const struct civil *c)
{
	int64_t y = c->month <= 2 ? c->year - 1 : c->year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t in_era = y - era * 400;
	unsigned m = (c->month + 9) % 12;
	int64_t in_year = (153 * m + 2) / 5 + c->day - 1;

	return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 +
	       in_year - 719468;
}

static void civil_of(struct civil *c, int64_t days)
{
	int64_t era, in_era, year, in_year;
	unsigned m;

	days += 719468;
	era = (days >= 0 ? days : days - 146096) / 146097;
	in_era = days - era * 146097;
	year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) /
	       365;
	in_year = in_era - (365 * year + year / 4 - year / 100);
	m = (unsigned)((5 * in_year + 2) / 153);
	c->day = (unsigned)(in_year - (153 * m + 2) / 5 + 1);
	c->month = m < 10 ? m + 3 : m - 9;
	c->year = era * 400 + year + (c->month <= 2);
}

static uint8_t encode(const struct rtc *rtc, unsigned v)
{
	if (rtc->cmos[RTC_REG_B] & B_BINARY)
		return (uint8_t)v;
	return (uint8_t)(v / 10 << 4 | v % 10);
}

static unsigned decode(const struct rtc *rtc, uint8_t v)
{
	if (rtc->cmos[RTC_REG_B] & B_BINARY)
		return v;
	return (v >> 4) * 10 + (v & 15);
}

static uint8_t encode_hour(const struct rtc *rtc, unsigned hour)
{
	if (rtc->cmos[RTC_REG_B] & B_24H)
		return encode(rtc, hour);
	return encode(rtc, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? PM : 0);
}

static unsigned decode_hour(const struct rtc *rtc, uint8_t v)
{
	if (rtc->cmos[RTC_REG_B] & B_24H)
		return decode(rtc, v);
	return decode(rtc, v & ~PM) % 12 + (v & PM ? 12 : 0);
}

/* Split @now's wall time into whole seconds and the rest. */
static int64_t wall(const struct rtc *rtc, uint64_t now, uint64_t *sub_ns)
{
	int64_t t = (int64_t)now + rtc->offset_ns;
	int64_t ns = (int64_t)NS_PER_SEC;
	int64_t sec = t / ns - (t % ns < 0);

	if (sub_ns)
		*sub_ns = (uint64_t)(t - sec * ns);
	return sec;
}

/* The monotonic time at which wall second @sec begins. */
static uint64_t begin_of(const struct rtc *rtc, int64_t sec)
{
	return (uint64_t)(sec * (int64_t)NS_PER_SEC - rtc->offset_ns);
}

static bool divider_reset(const struct rtc *rtc)
{
	return (rtc->cmos[RTC_REG_A] & A_RESET) == A_RESET;
}

static bool stopped(const struct rtc *rtc)
{
	return (rtc->cmos[RTC_REG_B] & B_SET) || divider_reset(rtc);
}

static void clock_to_bytes(struct rtc *rtc, uint64_t now)
{
	int64_t sec = wall(rtc, now, NULL);
	int64_t day = sec / DAY_SECS - (sec % DAY_SECS < 0);
	unsigned in_day = (unsigned)(sec - day * DAY_SECS);
	struct civil c;

	civil_of(&c, day);
	rtc->cmos[SECONDS] = encode(rtc, in_day % 60);
	rtc->cmos[MINUTES] = encode(rtc, in_day / 60 % 60);
	rtc->cmos[HOURS] = encode_hour(rtc, in_day / 3600);
	rtc->cmos[WEEKDAY] = encode(rtc, (unsigned)((day % 7 + 11) % 7 + 1));
	rtc->cmos[DAY] = encode(rtc, c.day);
	rtc->cmos[MONTH] = encode(rtc, c.month);
	rtc->cmos[YEAR] = encode(rtc, (unsigned)(c.year % 100));
	rtc->cmos[RTC_REG_CENTURY] = encode(rtc, (unsigned)(c.year / 100));
}

/* Start from the bytes, @sub_ns into their second. */
static void bytes_to_clock(struct rtc *rtc, uint64_t now, uint64_t sub_ns)
{
	struct civil c = {
		.year = decode(rtc, rtc->cmos[YEAR]) % 100 +
			100 * decode(rtc, rtc->cmos[RTC_REG_CENTURY]),
		.month = decode(rtc, rtc->cmos[MONTH]),
		.day = decode(rtc, rtc->cmos[DAY]),
	};
	int64_t sec;

	c.month = c.month < 1 ? 1 : MIN(c.month, 12U);
	/* What 64-bit nanoseconds can hold. */
	c.year = c.year < 1700 ? 1700 : MIN(c.year, 2250);
	sec = days_of(&c) * DAY_SECS +
	      decode_hour(rtc, rtc->cmos[HOURS]) * 3600LL +
	      decode(rtc, rtc->cmos[MINUTES]) * 60LL +
	      decode(rtc, rtc->cmos[SECONDS]);
	rtc->offset_ns = sec * (int64_t)NS_PER_SEC + (int64_t)sub_ns -
			 (int64_t)now;
}

/* Crystal ticks between two periodic interrupts, 0 = off. */
static unsigned period_ticks(const struct rtc *rtc)
{
	unsigned rate = rtc->cmos[RTC_REG_A] & A_RATE;

	if (!rate || divider_reset(rtc))
		return 0;
	return 1U << (rate <= 2 ? rate + 6 : rate - 1);
}

static uint64_t next_period(const struct rtc *rtc)
{
	unsigned n = period_ticks(rtc);
	uint64_t tick;

	if (!n)
		return CHIP_NEVER;
	tick = chip_muldiv(rtc->seen_ns, CRYSTAL, NS_PER_SEC);
	/* seen_ns may lie on the rounded-up start of a period. */
	while (chip_muldiv_up((tick / n + 1) * n, NS_PER_SEC, CRYSTAL) <=
	       rtc->seen_ns)
		tick += n;
	return chip_muldiv_up((tick / n + 1) * n, NS_PER_SEC, CRYSTAL);
}

static uint64_t next_second(const struct rtc *rtc)
{
	if (stopped(rtc))
		return CHIP_NEVER;
	return begin_of(rtc, wall(rtc, rtc->seen_ns, NULL) + 1);
}

static bool alarm_match(const struct rtc *rtc, unsigned reg, unsigned v)
{
	uint8_t byte = rtc->cmos[reg];

	if ((byte & DONT_CARE) == DONT_CARE)
		return true;
	return byte ==
	       (reg == HOURS_ALARM ? encode_hour(rtc, v) : encode(rtc, v));
}

/* Walk to the next matching second: at most 24 + 60 + 60 steps. */
static uint64_t next_alarm(const struct rtc *rtc)
{
	int64_t sec, first;
	unsigned in_day;

	if (stopped(rtc))
		return CHIP_NEVER;
	first = sec = wall(rtc, rtc->seen_ns, NULL) + 1;
	while (sec <= first + DAY_SECS) {
		in_day = (unsigned)((sec % DAY_SECS + DAY_SECS) % DAY_SECS);
		if (!alarm_match(rtc, HOURS_ALARM, in_day / 3600))
			sec += 3600 - in_day % 3600;
		else if (!alarm_match(rtc, MINUTES_ALARM, in_day / 60 % 60))
			sec += 60 - in_day % 60;
		else if (!alarm_match(rtc, SECONDS_ALARM, in_day % 60))
			sec++;
		else
			return begin_of(rtc, sec);
	}
	return CHIP_NEVER;
}

/* The flag and enable bits of B and C are at the same places. */
static void update_irq(struct rtc *rtc)
{
	uint8_t *c = &rtc->cmos[RTC_REG_C];
	bool was = *c & C_IRQF;
	bool on = *c & rtc->cmos[RTC_REG_B] & (C_PF | C_AF | C_UF);

	*c = (*c & ~C_IRQF) | (on ? C_IRQF : 0);
	if (on != was)
		chip_pin_set(&rtc->irq, on);
}

static uint8_t read_c(struct rtc *rtc)
{
	uint8_t val = rtc->cmos[RTC_REG_C];

	rtc->cmos[RTC_REG_C] = 0;
	if (val & C_IRQF)
		chip_pin_set(&rtc->irq, false);
	return val;
}

static uint8_t read_a(const struct rtc *rtc, uint64_t now)
{
	uint64_t sub_ns;

	wall(rtc, now, &sub_ns);
	return rtc->cmos[RTC_REG_A] |
	       (!stopped(rtc) && sub_ns >= NS_PER_SEC - UIP_NS ? A_UIP : 0);
}

static void write_a(struct rtc *rtc, uint8_t val, uint64_t now)
{
	bool was_reset = divider_reset(rtc);

	val &= ~A_UIP;
	if (!stopped(rtc) && (val & A_RESET) == A_RESET)
		clock_to_bytes(rtc, now);
	rtc->cmos[RTC_REG_A] = val;
	/* The first update comes half a second after the reset ends. */
	if (was_reset && !divider_reset(rtc))
		bytes_to_clock(rtc, now, NS_PER_SEC / 2);
}

static void write_b(struct rtc *rtc, uint8_t val, uint64_t now)
{
	bool was_stopped = stopped(rtc);
	uint64_t sub_ns;

	if (val & B_SET)
		val &= ~B_UIE;
	if (!was_stopped && (val & B_SET))
		clock_to_bytes(rtc, now);
	rtc->cmos[RTC_REG_B] = val;
	if (was_stopped && !stopped(rtc)) {
		/* SET does not touch the divider: keep its phase. */
		wall(rtc, now, &sub_ns);
		bytes_to_clock(rtc, now, sub_ns);
	}
	update_irq(rtc);
}

static bool is_time(unsigned reg)
{
	return reg == SECONDS || reg == MINUTES || reg == HOURS ||
	       (reg >= WEEKDAY && reg <= YEAR) || reg == RTC_REG_CENTURY;
}

static void write_time(struct rtc *rtc, unsigned reg, uint8_t val, uint64_t now)
{
	uint64_t sub_ns;

	if (!stopped(rtc))
		clock_to_bytes(rtc, now);
	rtc->cmos[reg] = val;
	if (!stopped(rtc)) {
		wall(rtc, now, &sub_ns);
		bytes_to_clock(rtc, now, sub_ns);
	}
}

static void write_reg(struct rtc *rtc, unsigned reg, uint8_t val, uint64_t now)
{
	if (is_time(reg))
		write_time(rtc, reg, val, now);
	else if (reg == RTC_REG_A)
		write_a(rtc, val, now);
	else if (reg == RTC_REG_B)
		write_b(rtc, val, now);
	else if (reg != RTC_REG_C && reg != RTC_REG_D)
		rtc->cmos[reg] = val;
}

static uint8_t read_reg(struct rtc *rtc, unsigned reg, uint64_t now)
{
	if (reg == RTC_REG_A)
		return read_a(rtc, now);
	if (reg == RTC_REG_C)
		return read_c(rtc);
	if (is_time(reg) && !stopped(rtc))
		clock_to_bytes(rtc, now);
	return rtc->cmos[reg];
}

void rtc_init(struct rtc *rtc, const struct chip_pin *irq,
	      int64_t utc_offset_ns, uint64_t now)
{
	*rtc = (struct rtc){
		.offset_ns = utc_offset_ns,
		.seen_ns = now,
		.irq = *irq,
	};
	rtc->cmos[RTC_REG_A] = 0x26; /* 32.768 kHz crystal, 1024 Hz */
	rtc->cmos[RTC_REG_B] = B_24H;
	rtc->cmos[RTC_REG_D] = D_VRT;
}

void rtc_reset(struct rtc *rtc, uint64_t now)
{
	rtc_advance(rtc, now);
	read_c(rtc);
	rtc->cmos[RTC_REG_B] &= ~(B_PIE | B_AIE | B_UIE | B_SQWE);
	rtc->index = 0;
}

uint8_t rtc_read(struct rtc *rtc, uint16_t port, uint64_t now)
{
	if (!(port & 1)) /* the index cannot be read back */
		return 0xff;
	rtc_advance(rtc, now);
	return read_reg(rtc, rtc->index & 0x7f, now);
}

void rtc_write(struct rtc *rtc, uint16_t port, uint8_t val, uint64_t now)
{
	if (!(port & 1)) {
		rtc->index = val;
		return;
	}
	rtc_advance(rtc, now);
	write_reg(rtc, rtc->index & 0x7f, val, now);
}

void rtc_set_cmos(struct rtc *rtc, unsigned index, uint8_t val)
{
	ASSERT(index > RTC_REG_D && index < RTC_CMOS_SIZE && !is_time(index));
	rtc->cmos[index] = val;
}

uint8_t rtc_get_cmos(const struct rtc *rtc, unsigned index)
{
	ASSERT(index < RTC_CMOS_SIZE);
	return rtc->cmos[index];
}

uint64_t rtc_deadline(const struct rtc *rtc)
{
	/* A flag that is already up cannot rise again until it is read. */
	uint8_t waits = rtc->cmos[RTC_REG_B] & ~rtc->cmos[RTC_REG_C];
	uint64_t t = CHIP_NEVER;

	if (waits & B_PIE)
		t = next_period(rtc);
	if (waits & B_UIE)
		t = MIN(t, next_second(rtc));
	if (waits & B_AIE)
		t = MIN(t, next_alarm(rtc));
	return t;
}

void rtc_advance(struct rtc *rtc, uint64_t now)
{
	uint8_t *c = &rtc->cmos[RTC_REG_C];

	if (now <= rtc->seen_ns)
		return;
	if (!(*c & C_PF) && next_period(rtc) <= now)
		*c |= C_PF;
	if (!(*c & C_UF) && next_second(rtc) <= now)
		*c |= C_UF;
	if (!(*c & C_AF) && next_alarm(rtc) <= now)
		*c |= C_AF;
	rtc->seen_ns = now;
	update_irq(rtc);
}
