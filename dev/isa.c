/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Glue between the bus and the fixed chips. Ports that delay on a real
 * machine (0x80) take their time by exiting at all.
 */
#include "dev/isa.h"

#include "dev/bus.h"

static uint64_t now(const struct isa *isa)
{
	return chip_now(&isa->board.clock);
}

static void rearm(struct isa *isa)
{
	isa->board.rearm(isa->board.ctx);
}

static uint64_t isa_rtc_read(void *ctx, uint64_t offset, unsigned size)
{
	struct isa *isa = ctx;
	uint8_t val = rtc_read(&isa->rtc, (uint16_t)(ISA_PORT_RTC + offset),
			       now(isa));

	rearm(isa);
	return val;
}

static void isa_rtc_write(void *ctx, uint64_t offset, unsigned size,
			  uint64_t val)
{
	struct isa *isa = ctx;
	int64_t before = isa->rtc.offset_ns;

	rtc_write(&isa->rtc, (uint16_t)(ISA_PORT_RTC + offset), (uint8_t)val,
		  now(isa));
	if (isa->rtc.offset_ns != before)
		isa->board.rtc_set(isa->board.ctx);
	rearm(isa);
}

static uint64_t isa_kbc_read(void *ctx, uint64_t offset, unsigned size)
{
	struct isa *isa = ctx;

	return i8042_read(&isa->kbc, (uint16_t)(0x60 + offset));
}

static void isa_kbc_write(void *ctx, uint64_t offset, unsigned size,
			  uint64_t val)
{
	struct isa *isa = ctx;

	i8042_write(&isa->kbc, (uint16_t)(0x60 + offset), (uint8_t)val);
}

/* Port 0x64 is a range of its own: 0x61 between them is the PIT's. */
static uint64_t isa_kbc_status(void *ctx, uint64_t offset, unsigned size)
{
	return isa_kbc_read(ctx, 4, size);
}

static void isa_kbc_command(void *ctx, uint64_t offset, unsigned size,
			    uint64_t val)
{
	isa_kbc_write(ctx, 4, size, val);
}

static uint64_t isa_cf9_read(void *ctx, uint64_t offset, unsigned size)
{
	struct isa *isa = ctx;

	return reset_read(&isa->reset, ISA_PORT_CF9);
}

static void isa_cf9_write(void *ctx, uint64_t offset, unsigned size,
			  uint64_t val)
{
	struct isa *isa = ctx;

	reset_write(&isa->reset, ISA_PORT_CF9, (uint8_t)val);
}

static uint64_t isa_port92_read(void *ctx, uint64_t offset, unsigned size)
{
	struct isa *isa = ctx;

	return reset_read(&isa->reset, 0x92);
}

static void isa_port92_write(void *ctx, uint64_t offset, unsigned size,
			     uint64_t val)
{
	struct isa *isa = ctx;

	reset_write(&isa->reset, 0x92, (uint8_t)val);
}

static uint64_t isa_pm_read(void *ctx, uint64_t offset, unsigned size)
{
	struct isa *isa = ctx;
	uint64_t val = acpi_pm_read(&isa->pm, (unsigned)offset, size, now(isa));

	rearm(isa);
	return val;
}

static void isa_pm_write(void *ctx, uint64_t offset, unsigned size,
			 uint64_t val)
{
	struct isa *isa = ctx;

	acpi_pm_write(&isa->pm, (unsigned)offset, size, (uint32_t)val,
		      now(isa));
	rearm(isa);
}

static uint64_t isa_gpe_read(void *ctx, uint64_t offset, unsigned size)
{
	struct isa *isa = ctx;

	return acpi_pm_gpe_read(&isa->pm, (unsigned)offset, size);
}

static void isa_gpe_write(void *ctx, uint64_t offset, unsigned size,
			  uint64_t val)
{
	struct isa *isa = ctx;

	acpi_pm_gpe_write(&isa->pm, (unsigned)offset, size, (uint32_t)val);
}

static uint64_t isa_post_read(void *ctx, uint64_t offset, unsigned size)
{
	return UINT64_MAX;
}

static void isa_post_write(void *ctx, uint64_t offset, unsigned size,
			   uint64_t val)
{
}

static void isa_kbc_reset(void *ctx)
{
	struct isa *isa = ctx;

	power_request(isa->board.power, POWER_RESET, 0);
}

static void isa_reset(void *ctx, bool hard)
{
	isa_kbc_reset(ctx);
}

static void isa_sleep(void *ctx, unsigned slp_typ)
{
	struct isa *isa = ctx;

	/* The DSDT offers no other state; what it does not name is ignored. */
	if (slp_typ == ISA_SLP_S5)
		power_request(isa->board.power, POWER_OFF, 0);
}

static const struct bus_ops rtc_ops = {isa_rtc_read, isa_rtc_write};
static const struct bus_ops kbc_data_ops = {isa_kbc_read, isa_kbc_write};
static const struct bus_ops kbc_cmd_ops = {isa_kbc_status, isa_kbc_command};
static const struct bus_ops port92_ops = {isa_port92_read, isa_port92_write};
static const struct bus_ops pm_ops = {isa_pm_read, isa_pm_write};
static const struct bus_ops gpe_ops = {isa_gpe_read, isa_gpe_write};
static const struct bus_ops post_ops = {isa_post_read, isa_post_write};
const struct bus_ops isa_reset_ops = {isa_cf9_read, isa_cf9_write};

static const struct i8042_ops isa_i8042_ops = {.reset = isa_kbc_reset};
static const struct reset_ops isa_reset_chip_ops = {.reset = isa_reset};
static const struct acpi_pm_ops isa_pm_chip_ops = {.sleep = isa_sleep};

static struct chip_pin line(const struct isa_board *board, unsigned irq)
{
	struct chip_pin pin = board->irq;

	pin.pin = irq;
	return pin;
}

int isa_init(struct isa *isa, struct bus *pio, const struct isa_board *board)
{
	const struct bus_range ranges[] = {
		{ISA_PORT_RTC, 2, 1, &rtc_ops, isa},
		{0x60, 1, 1, &kbc_data_ops, isa},
		{0x64, 1, 1, &kbc_cmd_ops, isa},
		{0x92, 1, 1, &port92_ops, isa},
		{0x80, 1, 1, &post_ops, isa},
		{ISA_PORT_PM, ACPI_PM_SIZE, 4, &pm_ops, isa},
		{ISA_PORT_GPE, ACPI_GPE_SIZE, 4, &gpe_ops, isa},
	};
	const struct acpi_pm_config pm_cfg = {.timer32 = true};
	struct chip_pin kbd = line(board, ISA_IRQ_KBD);
	struct chip_pin rtc = line(board, ISA_IRQ_RTC);
	struct chip_pin sci = line(board, ISA_IRQ_SCI);
	size_t i;
	int ret = 0;

	isa->board = *board;
	rtc_init(&isa->rtc, &rtc, board->utc_offset_ns, now(isa));
	i8042_init(&isa->kbc, &kbd, &isa_i8042_ops, isa);
	reset_init(&isa->reset, &isa_reset_chip_ops, isa);
	acpi_pm_init(&isa->pm, &sci, &pm_cfg, &isa_pm_chip_ops, isa, now(isa));
	for (i = 0; !ret && i < ARRAY_SIZE(ranges); i++)
		ret = bus_add(pio, &ranges[i]);
	return ret;
}

uint64_t isa_deadline(const struct isa *isa)
{
	return MIN(rtc_deadline(&isa->rtc), acpi_pm_deadline(&isa->pm));
}

void isa_advance(struct isa *isa)
{
	rtc_advance(&isa->rtc, now(isa));
	acpi_pm_advance(&isa->pm, now(isa));
}

static void cmos16(struct isa *isa, unsigned index, uint64_t val)
{
	val = MIN(val, 0xffffU);
	rtc_set_cmos(&isa->rtc, index, (uint8_t)val);
	rtc_set_cmos(&isa->rtc, index + 1, (uint8_t)(val >> 8));
}

void isa_set_memory(struct isa *isa, uint64_t below_4g, uint64_t above_4g)
{
	const uint64_t mib = 1 << 20, split = 16 * mib;

	cmos16(isa, 0x15, 640);
	cmos16(isa, 0x17, below_4g > mib ? (below_4g - mib) >> 10 : 0);
	cmos16(isa, 0x30, below_4g > mib ? (below_4g - mib) >> 10 : 0);
	cmos16(isa, 0x34, below_4g > split ? (below_4g - split) >> 16 : 0);
	cmos16(isa, 0x5b, above_4g >> 16);
	rtc_set_cmos(&isa->rtc, 0x5d, (uint8_t)(above_4g >> 32));
}
