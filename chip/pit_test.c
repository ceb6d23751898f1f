/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests of the 8254: every mode's counter and output over time, latch
 * and read-back, BCD, gate, port 0x61, reinjection, Linux's calibration.
 */
#include "chip/pit.h"

#include "chip/pic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

struct board {
	struct pit pit;
	unsigned pulses;
	bool high;
};

static void irq_set(void *ctx, unsigned pin, bool level)
{
	struct board *b = ctx;

	assert_true(b->high != level);
	b->high = level;
	b->pulses += level;
}

/* The first ns at which @ticks clocks have passed. */
static uint64_t at(uint64_t ticks)
{
	return chip_muldiv_up(ticks, NS_PER_SEC, PIT_HZ);
}

static void setup(struct board *b)
{
	struct chip_pin pin = {irq_set, b, 0};

	memset(b, 0, sizeof(*b));
	pit_init(&b->pit, &pin, 0);
}

static void program(struct board *b, unsigned ch, unsigned mode, uint16_t n,
		    uint64_t now)
{
	pit_write(&b->pit, 3, ch << 6 | 0x30 | mode << 1, now);
	pit_write(&b->pit, ch, n & 0xff, now);
	pit_write(&b->pit, ch, n >> 8, now);
}

static unsigned read16(struct board *b, unsigned ch, uint64_t now)
{
	unsigned v;

	pit_write(&b->pit, 3, ch << 6, now);
	v = pit_read(&b->pit, ch, now);
	return v | pit_read(&b->pit, ch, now) << 8;
}

static void test_mode0(void **state)
{
	struct board b;

	setup(&b);
	assert_int_equal(pit_deadline(&b.pit), CHIP_NEVER);
	program(&b, 0, 0, 1000, 0);
	assert_int_equal(pit_deadline(&b.pit), at(1000));
	assert_int_equal(read16(&b, 0, at(400)), 600);
	assert_false(pit_output(&b.pit, 0, at(999)));
	pit_advance(&b.pit, at(1000) - 1);
	assert_int_equal(b.pulses, 0);
	pit_advance(&b.pit, at(1000));
	assert_int_equal(b.pulses, 1);
	assert_true(pit_output(&b.pit, 0, at(1000)));
	assert_int_equal(pit_deadline(&b.pit), CHIP_NEVER);
	assert_int_equal(read16(&b, 0, at(1001)), 0xffff);
	/* The first byte of a new count stops it, output low. */
	pit_write(&b.pit, 0, 0x10, at(2000));
	assert_false(pit_output(&b.pit, 0, at(2000)));
	assert_int_equal(pit_deadline(&b.pit), CHIP_NEVER);
	pit_write(&b.pit, 0, 0, at(3000));
	assert_int_equal(pit_deadline(&b.pit), at(3000) + at(16));
}

static void test_mode2_no_drift(void **state)
{
	struct board b;
	unsigned i;

	setup(&b);
	program(&b, 0, 2, 11932, 77);
	for (i = 1; i <= 1000; i++) {
		assert_int_equal(pit_deadline(&b.pit), 77 + at(11932ULL * i));
		/* The owner is late by up to a few us each time. */
		pit_advance(&b.pit, pit_deadline(&b.pit) + i * 7);
		pit_ack(&b.pit);
		assert_int_equal(b.pulses, i);
	}
	assert_int_equal(read16(&b, 0, 77 + at(11932 * 3 + 10)), 11922);
	assert_false(pit_output(&b.pit, 0, 77 + at(11931)));
	assert_true(pit_output(&b.pit, 0, 77 + at(11932)));
}

static void test_mode3(void **state)
{
	struct board b;

	setup(&b);
	program(&b, 0, 3, 0, 0); /* 65536: the PC's 18.2 Hz */
	assert_int_equal(pit_deadline(&b.pit), at(65536));
	assert_true(pit_output(&b.pit, 0, at(32767)));
	assert_false(pit_output(&b.pit, 0, at(32768)));
	assert_true(pit_output(&b.pit, 0, at(65536)));
	assert_int_equal(read16(&b, 0, at(100)), 65536 - 200);
	program(&b, 0, 7, 5, 0); /* 7 is 3; odd count: 3 high, 2 low */
	assert_true(pit_output(&b.pit, 0, at(2)));
	assert_false(pit_output(&b.pit, 0, at(3)));
	assert_true(pit_output(&b.pit, 0, at(5)));
}

static void test_gated_modes(void **state)
{
	struct board b;

	setup(&b);
	program(&b, 2, 1, 100, 0);
	assert_true(pit_output(&b.pit, 2, at(500))); /* not triggered */
	pit_speaker_write(&b.pit, 1, at(1000));
	assert_false(pit_output(&b.pit, 2, at(1099)));
	pit_speaker_write(&b.pit, 0, at(1050)); /* no effect */
	pit_speaker_write(&b.pit, 1, at(1060)); /* retrigger */
	assert_false(pit_output(&b.pit, 2, at(1158)));
	assert_true(pit_output(&b.pit, 2, at(1161)));

	program(&b, 2, 5, 10, 0);
	assert_true(pit_output(&b.pit, 2, 10));
	pit_speaker_write(&b.pit, 0, 0);
	pit_speaker_write(&b.pit, 1, 0);
	assert_true(pit_output(&b.pit, 2, at(9)));
	assert_false(pit_output(&b.pit, 2, at(10)));
	assert_true(pit_output(&b.pit, 2, at(11)));

	program(&b, 2, 4, 10, 0);
	assert_false(pit_output(&b.pit, 2, at(10)));
	assert_true(pit_output(&b.pit, 2, at(11)));

	program(&b, 2, 2, 100, 0);
	pit_speaker_write(&b.pit, 0, at(50));
	assert_true(pit_output(&b.pit, 2, at(99)));
	pit_speaker_write(&b.pit, 1, at(250)); /* restarts the period */
	assert_int_equal(read16(&b, 2, at(250) + at(30)), 70);
}

static void test_gate_holds_mode0(void **state)
{
	struct board b;

	setup(&b);
	program(&b, 2, 0, 1000, 0); /* gate low: waits */
	assert_int_equal(read16(&b, 2, at(5000)), 1000);
	pit_speaker_write(&b.pit, 1, at(6000));
	pit_speaker_write(&b.pit, 0, at(6000) + at(300));
	assert_int_equal(read16(&b, 2, at(90000)), 700);
	pit_speaker_write(&b.pit, 1, at(100000));
	assert_false(pit_output(&b.pit, 2, at(100000) + at(699)));
	assert_true(pit_output(&b.pit, 2, at(100000) + at(700)));
}

static void test_readback(void **state)
{
	struct board b;

	setup(&b);
	program(&b, 0, 2, 1000, 0);
	pit_write(&b.pit, 3, 0xc2, at(100)); /* count and status of 0 */
	pit_write(&b.pit, 3, 0x00, at(200)); /* already latched: ignored */
	assert_int_equal(pit_read(&b.pit, 0, at(300)), 0x80 | 0x30 | 2 << 1);
	assert_int_equal(pit_read(&b.pit, 0, at(300)), 900 & 0xff);
	assert_int_equal(pit_read(&b.pit, 0, at(300)), 900 >> 8);
	/* Not latched any more: live, low then high. */
	assert_int_equal(pit_read(&b.pit, 0, at(300)), 700 & 0xff);
	assert_int_equal(pit_read(&b.pit, 0, at(300)), 700 >> 8);
	pit_write(&b.pit, 3, 0x34, 0); /* control word only: null count */
	pit_write(&b.pit, 3, 0xe2, 0);
	assert_int_equal(pit_read(&b.pit, 0, 0), 0x80 | 0x40 | 0x30 | 4);
	assert_int_equal(pit_read(&b.pit, 3, 0), 0);
}

static void test_byte_modes(void **state)
{
	struct board b;

	setup(&b);
	pit_write(&b.pit, 3, 0x14, 0); /* LSB only, mode 2 */
	pit_write(&b.pit, 0, 200, 0);
	assert_int_equal(pit_read(&b.pit, 0, at(50)), 150);
	assert_int_equal(pit_read(&b.pit, 0, at(60)), 140);
	pit_write(&b.pit, 3, 0x24, 0); /* MSB only */
	pit_write(&b.pit, 0, 2, 0);
	assert_int_equal(pit_deadline(&b.pit), at(512));
	assert_int_equal(pit_read(&b.pit, 0, at(1)), 1);
}

static void test_bcd(void **state)
{
	struct board b;

	setup(&b);
	pit_write(&b.pit, 3, 0x31, 0); /* mode 0, BCD */
	pit_write(&b.pit, 0, 0x34, 0);
	pit_write(&b.pit, 0, 0x12, 0);
	assert_int_equal(pit_deadline(&b.pit), at(1234));
	assert_int_equal(read16(&b, 0, at(235)), 0x0999);
	assert_int_equal(read16(&b, 0, at(1235)), 0x9999);
	pit_write(&b.pit, 0, 0, 0);
	pit_write(&b.pit, 0, 0, 0);
	assert_int_equal(pit_deadline(&b.pit), at(10000));
	assert_int_equal(read16(&b, 0, 0), 0);
}

/* A guest that takes and EOIs what is pending; returns how many. */
static unsigned serve(struct pic *pic)
{
	unsigned n = 0;

	while (pic_output(pic)) {
		assert_int_equal(pic_ack(pic), 0);
		pic_write(pic, 0x20, 0x20);
		n++;
	}
	return n;
}

static void pic_pulse(void *ctx, unsigned pin, bool level)
{
	pic_set_irq(ctx, pin, level);
}

static void on_eoi(void *ctx, unsigned pin)
{
	assert_int_equal(pin, 0);
	pit_ack(ctx);
}

static void test_reinject(void **state)
{
	static const struct pic_ops ops = {.eoi = on_eoi};
	struct chip_pin none = {0};
	struct board b;
	struct pic pic;

	setup(&b);
	pic_init(&pic, &none, &ops, &b.pit);
	b.pit.irq = (struct chip_pin){pic_pulse, &pic, 0};
	program(&b, 0, 2, 1000, 0);
	pit_advance(&b.pit, at(5000));
	pit_advance(&b.pit, at(6000));
	assert_int_equal(serve(&pic), 6); /* late, but all of them */
	assert_int_equal(serve(&pic), 0);
	/* One arrives while the one before is in service. */
	pit_advance(&b.pit, at(7000));
	assert_int_equal(pic_ack(&pic), 0);
	pit_advance(&b.pit, at(8000));
	pic_write(&pic, 0x20, 0x20);
	assert_int_equal(serve(&pic), 1);
	/* Masked: ticks go on, nobody acknowledges; unmask forgets. */
	pic_write(&pic, 0x21, 1);
	pit_advance(&b.pit, at(20000));
	pic_write(&pic, 0x21, 0);
	pit_forget_missed(&b.pit);
	assert_int_equal(serve(&pic), 1);
	pit_advance(&b.pit, at(21000));
	assert_int_equal(serve(&pic), 1);
	pit_set_reinject(&b.pit, false);
	pit_advance(&b.pit, at(30000));
	assert_int_equal(serve(&pic), 1);
}

/* The kernel: gate on, mode 0, wait for OUT2 over 50 ms. */
static void test_calibration(void **state)
{
	struct board b;
	uint64_t t = 123456789, step = 1500;
	uint64_t t0;
	unsigned refresh = 0, last = 0;

	setup(&b);
	pit_speaker_write(&b.pit, 1, t);
	program(&b, 2, 0, PIT_HZ / 20, t);
	t0 = t;
	while (!(pit_speaker_read(&b.pit, t) & 0x20)) {
		unsigned r = pit_speaker_read(&b.pit, t) & 0x10;

		refresh += r != last;
		last = r;
		t += step;
		assert_true(t - t0 < 60000000);
	}
	assert_in_range(t - t0, 49990000, 50010000);
	assert_in_range(refresh, 3300, 3330);
	assert_int_equal(pit_speaker_read(&b.pit, t) & 0x23, 0x21);
	pit_speaker_write(&b.pit, 3, t);
	assert_int_equal(pit_speaker_read(&b.pit, t) & 3, 3);
	assert_int_equal(b.pit.s.flags, PIT_FLAG_SPEAKER_DATA_ON);
}

static void test_state(void **state)
{
	struct board a, b;
	struct pit_state s, again;

	setup(&a);
	setup(&b);
	program(&a, 0, 2, 5000, 0);
	pit_write(&a.pit, 2, 1, 0);
	pit_get_state(&a.pit, &s);
	assert_int_equal(sizeof(struct pit_channel), 24);
	assert_int_equal(sizeof(struct pit_state), 112);
	pit_set_state(&b.pit, &s, 1000);
	assert_int_equal(pit_deadline(&b.pit), 1000 + at(5000));
	pit_get_state(&b.pit, &again);
	again.channels[0].count_load_time = s.channels[0].count_load_time;
	again.channels[1].count_load_time = s.channels[1].count_load_time;
	again.channels[2].count_load_time = s.channels[2].count_load_time;
	assert_memory_equal(&s, &again, sizeof(s));
	s.flags = PIT_FLAG_HPET_LEGACY;
	pit_set_state(&b.pit, &s, 0);
	assert_int_equal(pit_deadline(&b.pit), CHIP_NEVER);
	pit_advance(&b.pit, NS_PER_SEC);
	assert_int_equal(b.pulses, 0);
	/* Nonsense from the client is cut, not believed. */
	memset(&s, 0xff, sizeof(s));
	pit_set_state(&b.pit, &s, 0);
	memset(&s, 0, sizeof(s));
	s.channels[0].mode = 2;
	pit_set_state(&b.pit, &s, 0);
	assert_int_equal(pit_deadline(&b.pit), at(65536));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mode0),
		cmocka_unit_test(test_mode2_no_drift),
		cmocka_unit_test(test_mode3),
		cmocka_unit_test(test_gated_modes),
		cmocka_unit_test(test_gate_holds_mode0),
		cmocka_unit_test(test_readback),
		cmocka_unit_test(test_byte_modes),
		cmocka_unit_test(test_bcd),
		cmocka_unit_test(test_reinject),
		cmocka_unit_test(test_calibration),
		cmocka_unit_test(test_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
