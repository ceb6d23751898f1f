/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests of the real-time clock: formats, setting, update in progress,
 * the three interrupts, and the calendar against the C library's.
 */
#include "chip/rtc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#define SEC NS_PER_SEC

struct board {
	struct rtc rtc;
	bool irq;
	unsigned edges;
};

static void irq_set(void *ctx, unsigned pin, bool level)
{
	struct board *b = ctx;

	assert_int_equal(pin, 8);
	b->edges += level && !b->irq;
	b->irq = level;
}

/* At @now == 0 it is @utc. */
static void setup(struct board *b, int64_t utc)
{
	struct chip_pin pin = {irq_set, b, 8};

	memset(b, 0, sizeof(*b));
	rtc_init(&b->rtc, &pin, utc * (int64_t)SEC, 0);
}

static uint8_t get(struct board *b, uint8_t reg, uint64_t now)
{
	rtc_write(&b->rtc, 0x70, reg, now);
	return rtc_read(&b->rtc, 0x71, now);
}

static void put(struct board *b, uint8_t reg, uint8_t val, uint64_t now)
{
	rtc_write(&b->rtc, 0x70, reg, now);
	rtc_write(&b->rtc, 0x71, val, now);
}

static void check(struct board *b, uint64_t now, const char *want)
{
	char got[96];

	snprintf(got, sizeof(got), "%02x%02x-%02x-%02x %02x:%02x:%02x/%x",
		 get(b, 0x32, now), get(b, 9, now), get(b, 8, now),
		 get(b, 7, now), get(b, 4, now), get(b, 2, now), get(b, 0, now),
		 get(b, 6, now));
	assert_string_equal(got, want);
}

static void test_formats(void **state)
{
	struct board b;

	setup(&b, 951827696); /* 2000-02-29 12:34:56, a Tuesday */
	check(&b, 0, "2000-02-29 12:34:56/3");
	check(&b, 4 * SEC, "2000-02-29 12:35:00/3");
	check(&b, 86400 * SEC, "2000-03-01 12:34:56/4");
	assert_int_equal(get(&b, 0x0d, 0), 0x80);
	assert_int_equal(rtc_read(&b.rtc, 0x70, 0), 0xff);
	put(&b, 0x0b, 0x06, 86400 * SEC); /* binary */
	check(&b, 86400 * SEC, "1400-03-01 0c:22:38/4");
	put(&b, 0x0b, 0x00, 86400 * SEC); /* BCD, 12 hours */
	check(&b, 86400 * SEC, "2000-03-01 92:34:56/4");
	check(&b, (86400 + 43200) * SEC, "2000-03-02 12:34:56/5");
	check(&b, (86400 + 46800) * SEC, "2000-03-02 01:34:56/5");
}

static void test_calendar(void **state)
{
	struct board b;
	struct tm tm;
	time_t t;
	char want[96];
	unsigned i;

	for (i = 0; i < 400; i++) {
		t = -2000000000 + (int64_t)i * 23456789;
		gmtime_r(&t, &tm);
		setup(&b, t);
		snprintf(want, sizeof(want), "%04d-%02d-%02d %02d:%02d:%02d/%d",
			 tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
			 tm.tm_hour, tm.tm_min, tm.tm_sec, tm.tm_wday + 1);
		check(&b, 0, want);
		/* Stop and start again: the same moment. */
		put(&b, 0x0b, 0x82, 0);
		put(&b, 0x0b, 0x02, 0);
		check(&b, 0, want);
	}
}

static void test_set(void **state)
{
	struct board b;

	setup(&b, 1000);
	put(&b, 0x0b, 0x82, SEC / 4);
	put(&b, 0x32, 0x20, 0);
	put(&b, 9, 0x26, 0);
	put(&b, 8, 0x12, 0);
	put(&b, 7, 0x31, 0);
	put(&b, 4, 0x23, 0);
	put(&b, 2, 0x59, 0);
	put(&b, 0, 0x58, 0);
	check(&b, 50 * SEC, "2026-12-31 23:59:58/5"); /* halted; old weekday */
	put(&b, 0x0b, 0x02, 50 * SEC);
	check(&b, 50 * SEC, "2026-12-31 23:59:58/5");
	check(&b, 52 * SEC, "2027-01-01 00:00:00/6");
	/* A byte written on the run. */
	put(&b, 2, 0x30, 52 * SEC);
	check(&b, 53 * SEC, "2027-01-01 00:30:01/6");
	/* Divider reset: the first second comes after a half. */
	put(&b, 0x0a, 0x76, 53 * SEC);
	check(&b, 99 * SEC, "2027-01-01 00:30:01/6");
	put(&b, 0x0a, 0x26, 99 * SEC + 7);
	check(&b, 99 * SEC + 7 + SEC / 2 - 1, "2027-01-01 00:30:01/6");
	check(&b, 99 * SEC + 7 + SEC / 2, "2027-01-01 00:30:02/6");
	/* Nonsense stays within the calendar. */
	put(&b, 8, 0xff, 99 * SEC);
	put(&b, 0x32, 0xff, 99 * SEC);
	put(&b, 4, 0xff, 99 * SEC);
	get(&b, 0, 100 * SEC);
}

static void test_uip(void **state)
{
	struct board b;

	setup(&b, 1000);
	assert_int_equal(get(&b, 0x0a, SEC - 244001), 0x26);
	assert_int_equal(get(&b, 0x0a, SEC - 244000), 0xa6);
	assert_int_equal(get(&b, 0x0a, SEC), 0x26);
	put(&b, 0x0b, 0x82, SEC);
	assert_int_equal(get(&b, 0x0a, 2 * SEC - 1), 0x26);
}

static void test_periodic(void **state)
{
	struct board b;
	uint64_t t;
	unsigned i;

	setup(&b, 1000);
	assert_int_equal(rtc_deadline(&b.rtc), CHIP_NEVER);
	put(&b, 0x0b, 0x42, 0);
	for (i = 1; i <= 2048; i++) { /* 1024 Hz */
		t = rtc_deadline(&b.rtc);
		assert_int_equal(t, chip_muldiv_up(i * 32, SEC, 32768));
		rtc_advance(&b.rtc, t - 1);
		assert_false(b.irq);
		rtc_advance(&b.rtc, t);
		assert_true(b.irq);
		assert_int_equal(rtc_deadline(&b.rtc), CHIP_NEVER);
		assert_int_equal(get(&b, 0x0c, t) & 0xc0, 0xc0);
		assert_false(b.irq);
	}
	put(&b, 0x0a, 0x2f, t); /* 2 Hz */
	assert_int_equal(rtc_deadline(&b.rtc), 2 * SEC + SEC / 2);
	put(&b, 0x0a, 0x20, t);
	assert_int_equal(rtc_deadline(&b.rtc), CHIP_NEVER);
	assert_int_equal(b.edges, 2048);
}

static void test_update_and_alarm(void **state)
{
	struct board b;

	setup(&b, 951827696); /* 12:34:56 */
	put(&b, 0x0b, 0x12, SEC / 2);
	assert_int_equal(rtc_deadline(&b.rtc), SEC);
	rtc_advance(&b.rtc, SEC);
	assert_true(b.irq);
	assert_int_equal(get(&b, 0x0c, SEC) & 0x90, 0x90);
	put(&b, 1, 0x10, SEC);
	put(&b, 3, 0x30, SEC);
	put(&b, 5, 0x13, SEC);
	put(&b, 0x0b, 0x22, SEC);
	assert_int_equal(rtc_deadline(&b.rtc), 3314 * SEC); /* 13:30:10 */
	rtc_advance(&b.rtc, 3314 * SEC);
	assert_true(b.irq);
	assert_int_equal(get(&b, 0x0c, 3314 * SEC) & 0xa0, 0xa0);
	put(&b, 5, 0xff, 3314 * SEC); /* every hour */
	assert_int_equal(rtc_deadline(&b.rtc), (3314 + 3600) * SEC);
	put(&b, 1, 0xc0, 3314 * SEC); /* every second of that minute */
	assert_int_equal(rtc_deadline(&b.rtc), 3315 * SEC);
	put(&b, 3, 0x77, 3314 * SEC); /* never */
	assert_int_equal(rtc_deadline(&b.rtc), CHIP_NEVER);
	/* A flag raised while disabled interrupts once enabled. */
	rtc_advance(&b.rtc, 3400 * SEC);
	assert_false(b.irq);
	put(&b, 0x0b, 0x12, 3400 * SEC);
	assert_true(b.irq);
	rtc_reset(&b.rtc, 3400 * SEC);
	assert_false(b.irq);
	assert_int_equal(get(&b, 0x0b, 3400 * SEC), 0x02);
}

static void test_ram(void **state)
{
	struct board b;

	setup(&b, 0);
	rtc_set_cmos(&b.rtc, 0x15, 0x80);
	assert_int_equal(get(&b, 0x15, 0), 0x80);
	put(&b, 0x80 | 0x7f, 0x5a, 0); /* NMI mask bit is not the index */
	assert_int_equal(rtc_get_cmos(&b.rtc, 0x7f), 0x5a);
	put(&b, 0x0d, 0, 0);
	assert_int_equal(get(&b, 0x0d, 0), 0x80);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_calendar),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_uip),
		cmocka_unit_test(test_periodic),
		cmocka_unit_test(test_update_and_alarm),
		cmocka_unit_test(test_ram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
