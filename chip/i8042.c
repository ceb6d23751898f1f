/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keyboard controller without keyboard; see i8042.h. Every question gets an
 * answer at once, so that drivers find out without waiting for their own
 * time-outs: tests of the auxiliary port report a dead line, and a byte put
 * into the auxiliary buffer comes back as keyboard data.
 */
#include "chip/i8042.h"

#define ST_OBF     BIT(0)
#define ST_SYS     BIT(2) /* self-test passed */
#define ST_CMD     BIT(3) /* last write was to port 0x64 */
#define ST_UNLOCK  BIT(4)
#define ST_TIMEOUT BIT(6)

#define CB_KBD_INT BIT(0)
#define CB_SYS     BIT(2)
#define CB_KBD_OFF BIT(4)
#define CB_AUX_OFF BIT(5) /* reads as 1: there is no such port */
#define CB_XLATE   BIT(6)

#define OUT_RUN BIT(0) /* 0 resets the machine */
#define OUT_A20 BIT(1)
#define OUT_OBF BIT(4)

#define RESEND 0xfe

enum {
	CMD_READ_RAM = 0x20,
	CMD_WRITE_RAM = 0x60,
	CMD_AUX_OFF = 0xa7,
	CMD_AUX_ON = 0xa8,
	CMD_AUX_TEST = 0xa9,
	CMD_SELF_TEST = 0xaa,
	CMD_KBD_TEST = 0xab,
	CMD_KBD_OFF = 0xad,
	CMD_KBD_ON = 0xae,
	CMD_READ_INPORT = 0xc0,
	CMD_READ_OUTPORT = 0xd0,
	CMD_WRITE_OUTPORT = 0xd1,
	CMD_WRITE_KBD_BUF = 0xd2,
	CMD_WRITE_AUX_BUF = 0xd3,
	CMD_WRITE_AUX = 0xd4,
	CMD_A20_OFF = 0xdd,
	CMD_A20_ON = 0xdf,
	CMD_READ_TEST = 0xe0,
	CMD_PULSE = 0xf0,
};

static void drive_irq(struct i8042 *kbc)
{
	chip_pin_set(&kbc->irq,
		     (kbc->status & ST_OBF) && (kbc->ram[0] & CB_KBD_INT));
}

static void fill(struct i8042 *kbc, uint8_t val, uint8_t status)
{
	/* A byte that replaces an unread one is a new edge. */
	kbc->status &= ~(ST_OBF | ST_TIMEOUT);
	drive_irq(kbc);
	kbc->data = val;
	kbc->status |= status;
	drive_irq(kbc);
}

/* Answer through the output buffer. */
static void put(struct i8042 *kbc, uint8_t val)
{
	fill(kbc, val, ST_OBF);
}

/* What the controller says when a device does not answer. */
static void put_timeout(struct i8042 *kbc)
{
	fill(kbc, RESEND, ST_OBF | ST_TIMEOUT);
}

static void write_ram(struct i8042 *kbc, unsigned index, uint8_t val)
{
	kbc->ram[index] = val;
	if (index)
		return;
	kbc->ram[0] |= CB_AUX_OFF;
	kbc->status = (kbc->status & ~ST_SYS) | (val & CB_SYS);
	drive_irq(kbc);
}

static void write_outport(struct i8042 *kbc, uint8_t val)
{
	uint8_t changed = kbc->outport ^ val;

	kbc->outport = val | OUT_RUN;
	if ((changed & OUT_A20) && kbc->ops->a20)
		kbc->ops->a20(kbc->ctx, val & OUT_A20);
	if (!(val & OUT_RUN))
		kbc->ops->reset(kbc->ctx);
}

static uint8_t read_outport(const struct i8042 *kbc)
{
	return (kbc->outport & ~OUT_OBF) | (kbc->status & ST_OBF ? OUT_OBF : 0);
}

static void self_test(struct i8042 *kbc)
{
	kbc->status |= ST_SYS;
	kbc->ram[0] |= CB_SYS;
	put(kbc, 0x55);
}

static void simple_command(struct i8042 *kbc, uint8_t cmd)
{
	switch (cmd) {
	case CMD_AUX_TEST: put(kbc, 0x02); break; /* clock stuck high */
	case CMD_SELF_TEST: self_test(kbc); break;
	case CMD_KBD_TEST: put(kbc, 0x00); break;
	case CMD_KBD_OFF: kbc->ram[0] |= CB_KBD_OFF; break;
	case CMD_KBD_ON: kbc->ram[0] &= ~CB_KBD_OFF; break;
	case CMD_READ_INPORT: put(kbc, 0x80); break; /* not locked */
	case CMD_READ_OUTPORT: put(kbc, read_outport(kbc)); break;
	case CMD_READ_TEST: put(kbc, 0x00); break;
	case CMD_A20_OFF: write_outport(kbc, kbc->outport & ~OUT_A20); break;
	case CMD_A20_ON: write_outport(kbc, kbc->outport | OUT_A20); break;
	default: break; /* aux on/off has no port to act on; rest unknown */
	}
}

static void command(struct i8042 *kbc, uint8_t cmd)
{
	kbc->status |= ST_CMD;
	kbc->expect = 0;
	if (cmd >= CMD_PULSE) {
		if (!(cmd & OUT_RUN))
			kbc->ops->reset(kbc->ctx);
	} else if ((cmd & 0xe0) == CMD_READ_RAM) {
		put(kbc, kbc->ram[cmd & 31]);
	} else if ((cmd & 0xe0) == CMD_WRITE_RAM ||
		   (cmd >= CMD_WRITE_OUTPORT && cmd <= CMD_WRITE_AUX)) {
		kbc->expect = cmd;
	} else {
		simple_command(kbc, cmd);
	}
}

static void data(struct i8042 *kbc, uint8_t val)
{
	uint8_t cmd = kbc->expect;

	kbc->status &= ~ST_CMD;
	kbc->expect = 0;
	if (cmd >= CMD_WRITE_RAM && cmd < CMD_WRITE_RAM + 32) {
		write_ram(kbc, cmd & 31, val);
		return;
	}
	switch (cmd) {
	case CMD_WRITE_OUTPORT: write_outport(kbc, val); break;
	case CMD_WRITE_KBD_BUF:
	case CMD_WRITE_AUX_BUF: put(kbc, val); break;
	default:
		if (cmd != CMD_WRITE_AUX)
			kbc->ram[0] &= ~CB_KBD_OFF;
		put_timeout(kbc);
	}
}

void i8042_init(struct i8042 *kbc, const struct chip_pin *irq,
		const struct i8042_ops *ops, void *ctx)
{
	*kbc = (struct i8042){.irq = *irq, .ops = ops, .ctx = ctx};
	i8042_reset(kbc);
}

void i8042_reset(struct i8042 *kbc)
{
	unsigned i;

	kbc->status = ST_UNLOCK | ST_CMD | ST_SYS;
	kbc->data = 0;
	for (i = 0; i < sizeof(kbc->ram); i++)
		kbc->ram[i] = 0;
	kbc->ram[0] = CB_KBD_INT | CB_SYS | CB_AUX_OFF | CB_XLATE;
	kbc->outport = OUT_RUN | OUT_A20;
	kbc->expect = 0;
	drive_irq(kbc);
}

uint8_t i8042_read(struct i8042 *kbc, uint16_t port)
{
	if (port & 4)
		return kbc->status;
	kbc->status &= ~(ST_OBF | ST_TIMEOUT);
	drive_irq(kbc);
	return kbc->data;
}

void i8042_write(struct i8042 *kbc, uint16_t port, uint8_t val)
{
	if (port & 4)
		command(kbc, val);
	else
		data(kbc, val);
}
