/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests of ACPI's fixed hardware, and of the reset registers beside it.
 */
#include "chip/acpi_pm.h"

#include "chip/reset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

struct board {
	struct acpi_pm pm;
	struct reset reset;
	bool sci;
	int slept;
	unsigned resets;
	bool hard;
	int a20;
};

static void sci_set(void *ctx, unsigned pin, bool level)
{
	struct board *b = ctx;

	assert_true(b->sci != level);
	b->sci = level;
}

static void on_sleep(void *ctx, unsigned slp_typ)
{
	((struct board *)ctx)->slept = (int)slp_typ;
}

static void on_reset(void *ctx, bool hard)
{
	struct board *b = ctx;

	b->resets++;
	b->hard = hard;
}

static void on_a20(void *ctx, bool on)
{
	((struct board *)ctx)->a20 = on;
}

static const struct acpi_pm_ops pm_ops = {.sleep = on_sleep};
static const struct reset_ops reset_ops = {.reset = on_reset, .a20 = on_a20};

static void setup(struct board *b, bool timer32)
{
	const struct acpi_pm_config cfg = {0xf1, 0xf0, timer32};
	struct chip_pin pin = {sci_set, b, 9};

	memset(b, 0, sizeof(*b));
	b->slept = b->a20 = -1;
	acpi_pm_init(&b->pm, &pin, &cfg, &pm_ops, b, 1000);
	reset_init(&b->reset, &reset_ops, b);
}

static void test_mode(void **state)
{
	const struct acpi_pm_config cfg = {.timer32 = true};
	struct chip_pin none = {0};
	struct acpi_pm pm;
	struct board b;

	setup(&b, false);
	assert_int_equal(acpi_pm_read(&b.pm, ACPI_PM_CNT, 2, 0), 0);
	acpi_pm_smi_write(&b.pm, 0xf1);
	assert_int_equal(acpi_pm_read(&b.pm, ACPI_PM_CNT, 2, 0), 1);
	assert_int_equal(acpi_pm_smi_read(&b.pm), 0xf1);
	acpi_pm_write(&b.pm, ACPI_PM_CNT, 2, 0, 0);
	assert_int_equal(acpi_pm_read(&b.pm, ACPI_PM_CNT, 2, 0), 1);
	acpi_pm_smi_write(&b.pm, 0xf0);
	assert_int_equal(acpi_pm_read(&b.pm, ACPI_PM_CNT, 2, 0), 0);
	acpi_pm_init(&pm, &none, &cfg, &pm_ops, &b, 0);
	assert_int_equal(acpi_pm_read(&pm, ACPI_PM_CNT, 2, 0), 1);
}

static void test_button(void **state)
{
	struct board b;

	setup(&b, false);
	acpi_pm_smi_write(&b.pm, 0xf1);
	acpi_pm_power_button(&b.pm);
	assert_false(b.sci);
	acpi_pm_write(&b.pm, ACPI_PM_EVT + 2, 2, 0xffff, 0);
	assert_int_equal(acpi_pm_read(&b.pm, ACPI_PM_EVT, 4, 0), 0x07210100);
	assert_true(b.sci);
	acpi_pm_write(&b.pm, ACPI_PM_EVT, 2, ACPI_PM1_TMR, 0);
	assert_true(b.sci);
	acpi_pm_write(&b.pm, ACPI_PM_EVT + 1, 1, 1, 0); /* a single byte */
	assert_false(b.sci);
	assert_int_equal(acpi_pm_read(&b.pm, ACPI_PM_EVT, 2, 0), 0);
	acpi_pm_power_button(&b.pm);
	assert_true(b.sci);
	acpi_pm_reset(&b.pm, 0);
	assert_false(b.sci);
}

static void test_sleep(void **state)
{
	struct board b;

	setup(&b, false);
	acpi_pm_write(&b.pm, ACPI_PM_CNT, 2, 5 << 10, 0);
	assert_int_equal(b.slept, -1);
	acpi_pm_write(&b.pm, ACPI_PM_CNT, 2, 5 << 10 | ACPI_PM1_SLP_EN, 0);
	assert_int_equal(b.slept, 5);
	/* SLP_EN reads as 0. */
	assert_int_equal(acpi_pm_read(&b.pm, ACPI_PM_CNT, 2, 0), 5 << 10);
	acpi_pm_write(&b.pm, ACPI_PM_CNT + 1, 1, 0x2c, 0);
	assert_int_equal(b.slept, 3);
}

static void test_timer(void **state)
{
	struct board b;
	uint64_t half = chip_muldiv_up(1 << 23, NS_PER_SEC, ACPI_PM_TIMER_HZ);

	setup(&b, false);
	assert_int_equal(acpi_pm_read(&b.pm, ACPI_PM_TMR, 4, 1000), 0);
	assert_int_equal(acpi_pm_timer(&b.pm, 1000 + NS_PER_SEC), 3579545);
	assert_int_equal(
		acpi_pm_read(&b.pm, ACPI_PM_TMR + 1, 1, 1000 + NS_PER_SEC),
		3579545 >> 8 & 0xff);
	acpi_pm_write(&b.pm, ACPI_PM_TMR, 4, 0, 1000 + NS_PER_SEC);
	assert_int_equal(acpi_pm_timer(&b.pm, 1000 + 5 * NS_PER_SEC),
			 5 * 3579545 & 0xffffff);
	assert_int_equal(acpi_pm_deadline(&b.pm), CHIP_NEVER);
	acpi_pm_smi_write(&b.pm, 0xf1);
	acpi_pm_write(&b.pm, ACPI_PM_EVT + 2, 2, ACPI_PM1_TMR,
		      1000 + NS_PER_SEC);
	assert_int_equal(acpi_pm_deadline(&b.pm), 1000 + half);
	acpi_pm_advance(&b.pm, 1000 + half - 1);
	assert_false(b.sci);
	acpi_pm_advance(&b.pm, 1000 + half);
	assert_true(b.sci);
	assert_int_equal(acpi_pm_timer(&b.pm, 1000 + half), 1 << 23);
	assert_int_equal(acpi_pm_deadline(&b.pm), CHIP_NEVER);
	acpi_pm_write(&b.pm, ACPI_PM_EVT, 2, ACPI_PM1_TMR, 1000 + half);
	assert_false(b.sci);
	assert_in_range(acpi_pm_deadline(&b.pm), 1000 + 2 * half - 1,
			1000 + 2 * half);
	setup(&b, true);
	assert_int_equal(acpi_pm_timer(&b.pm, 1000 + 100 * NS_PER_SEC),
			 357954500);
}

static void test_cf9(void **state)
{
	struct board b;

	setup(&b, false);
	reset_write(&b.reset, 0xcf9, 0x02);
	assert_int_equal(b.resets, 0);
	reset_write(&b.reset, 0xcf9, 0x06);
	assert_int_equal(b.resets, 1);
	assert_true(b.hard);
	reset_write(&b.reset, 0xcf9, 0x06); /* no rising bit */
	assert_int_equal(b.resets, 1);
	assert_int_equal(reset_read(&b.reset, 0xcf9), 0x06);
	reset_clear(&b.reset);
	assert_int_equal(reset_read(&b.reset, 0xcf9), 0);
	reset_write(&b.reset, 0xcf9, 0xf4);
	assert_int_equal(b.resets, 2);
	assert_false(b.hard);
}

static void test_port92(void **state)
{
	struct board b;

	setup(&b, false);
	assert_int_equal(reset_read(&b.reset, 0x92), 2);
	reset_write(&b.reset, 0x92, 2);
	assert_int_equal(b.a20, -1);
	reset_write(&b.reset, 0x92, 0);
	assert_int_equal(b.a20, 0);
	reset_write(&b.reset, 0x92, 0xfe);
	assert_int_equal(b.a20, 1);
	assert_int_equal(reset_read(&b.reset, 0x92), 2);
	assert_int_equal(b.resets, 0);
	reset_write(&b.reset, 0x92, 3);
	assert_int_equal(b.resets, 1);
	assert_false(b.hard);
}

/* Events share the interrupt, by bytes or at once; 1 clears. */
static void test_gpe(void **state)
{
	struct board b;

	setup(&b, false);
	acpi_pm_smi_write(&b.pm, 0xf1);
	acpi_pm_gpe_raise(&b.pm, 1);
	assert_false(b.sci);
	assert_int_equal(acpi_pm_gpe_read(&b.pm, 0, 4), 2);
	acpi_pm_gpe_write(&b.pm, 2, 1, 0x02);
	assert_true(b.sci);
	assert_int_equal(acpi_pm_gpe_read(&b.pm, 2, 2), 2);
	acpi_pm_gpe_write(&b.pm, 0, 1, 0xfd);
	assert_true(b.sci);
	acpi_pm_gpe_write(&b.pm, 0, 1, 0x02);
	assert_false(b.sci);
	acpi_pm_gpe_raise(&b.pm, 15);
	assert_false(b.sci);
	acpi_pm_gpe_write(&b.pm, 0, 4, 0x80000000);
	assert_true(b.sci);
	acpi_pm_reset(&b.pm, 2000);
	assert_false(b.sci);
	assert_int_equal(acpi_pm_gpe_read(&b.pm, 0, 4), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mode),  cmocka_unit_test(test_button),
		cmocka_unit_test(test_sleep), cmocka_unit_test(test_timer),
		cmocka_unit_test(test_cf9),   cmocka_unit_test(test_port92),
		cmocka_unit_test(test_gpe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
