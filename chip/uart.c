/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 16550A; see uart.h. The transmitter is always empty: a byte leaves in the
 * write that brings it, so one THR-empty interrupt follows each write.
 */
#include "chip/uart.h"

enum {
	REG_DATA, /* RBR, THR, DLL */
	REG_IER,  /* DLM */
	REG_IIR,  /* FCR */
	REG_LCR,
	REG_MCR,
	REG_LSR,
	REG_MSR,
	REG_SCR,
};

#define IER_RDA  BIT(0)
#define IER_THRE BIT(1)
#define IER_RLS  BIT(2)
#define IER_MSR  BIT(3)
#define IER_ALL  0x0f

#define IIR_MODEM   0x00
#define IIR_NONE    0x01
#define IIR_THRE    0x02
#define IIR_RDA     0x04
#define IIR_RLS     0x06
#define IIR_TIMEOUT 0x0c
#define IIR_FIFO    0xc0

#define FCR_ENABLE   BIT(0)
#define FCR_CLEAR_RX BIT(1)

#define LCR_BREAK BIT(6)
#define LCR_DLAB  BIT(7)

#define MCR_DTR  BIT(0)
#define MCR_RTS  BIT(1)
#define MCR_OUT1 BIT(2)
#define MCR_OUT2 BIT(3)
#define MCR_LOOP BIT(4)
#define MCR_ALL  0x1f

#define LSR_DR    BIT(0)
#define LSR_OE    BIT(1)
#define LSR_PE    BIT(2)
#define LSR_FE    BIT(3)
#define LSR_BI    BIT(4)
#define LSR_THRE  BIT(5)
#define LSR_TEMT  BIT(6)
#define LSR_FIFOE BIT(7)

#define MSR_DELTAS 0x0f
#define MSR_TERI   BIT(2)

static bool has_fifo(const struct uart *u)
{
	return u->fcr & FCR_ENABLE;
}

static bool is_loop(const struct uart *u)
{
	return u->mcr & MCR_LOOP;
}

static unsigned capacity(const struct uart *u)
{
	return has_fifo(u) ? UART_FIFO : 1;
}

static unsigned trigger(const struct uart *u)
{
	static const uint8_t levels[4] = {1, 4, 8, 14};

	return has_fifo(u) ? levels[u->fcr >> 6] : 1;
}

/* Errors belong to the byte on top; overrun to the port. */
static uint8_t line_errors(const struct uart *u)
{
	return u->lsr | (u->rx_count ? u->rx_err[u->rx_head] : 0);
}

static uint8_t line_status(const struct uart *u)
{
	uint8_t v = line_errors(u) | LSR_THRE | LSR_TEMT;
	unsigned i;

	if (u->rx_count)
		v |= LSR_DR;
	for (i = 0; has_fifo(u) && i < u->rx_count; i++)
		if (u->rx_err[(u->rx_head + i) % UART_FIFO])
			v |= LSR_FIFOE;
	return v;
}

/* The enabled source of highest priority. */
static uint8_t source(const struct uart *u)
{
	if ((u->ier & IER_RLS) && line_errors(u))
		return IIR_RLS;
	if ((u->ier & IER_RDA) && u->rx_count)
		return u->rx_count >= trigger(u) ? IIR_RDA : IIR_TIMEOUT;
	if ((u->ier & IER_THRE) && u->thre_pending)
		return IIR_THRE;
	if ((u->ier & IER_MSR) && (u->msr & MSR_DELTAS))
		return IIR_MODEM;
	return IIR_NONE;
}

static void update_irq(struct uart *u)
{
	bool on = source(u) != IIR_NONE;

	if (on == u->intr)
		return;
	u->intr = on;
	chip_pin_set(&u->irq, on);
}

static void push(struct uart *u, uint8_t byte, uint8_t err)
{
	unsigned tail = (u->rx_head + u->rx_count) % UART_FIFO;

	if (u->rx_count == capacity(u)) {
		u->lsr |= LSR_OE;
		if (has_fifo(u))
			return;
		/* Without a FIFO the newest byte wins. */
		tail = u->rx_head;
		u->rx_count--;
	}
	u->rx[tail] = byte;
	u->rx_err[tail] = err;
	u->rx_count++;
}

static void clear_rx(struct uart *u)
{
	u->rx_head = 0;
	u->rx_count = 0;
}

static void tell_room(struct uart *u)
{
	if (!u->rx_starved || !uart_room(u))
		return;
	u->rx_starved = false;
	if (u->ops->rx_room)
		u->ops->rx_room(u->ctx);
}

/* The modem lines as the receiver sees them. */
static uint8_t modem_inputs(const struct uart *u)
{
	uint8_t v = 0;

	if (!is_loop(u))
		return u->inputs;
	if (u->mcr & MCR_RTS)
		v |= UART_CTS;
	if (u->mcr & MCR_DTR)
		v |= UART_DSR;
	if (u->mcr & MCR_OUT1)
		v |= UART_RI;
	if (u->mcr & MCR_OUT2)
		v |= UART_DCD;
	return v;
}

static void update_msr(struct uart *u)
{
	uint8_t now = modem_inputs(u);
	uint8_t delta = (now ^ u->msr) >> 4;

	/* The ring indicator counts when it ends. */
	if (now & UART_RI)
		delta &= ~MSR_TERI;
	u->msr = now | ((u->msr | delta) & MSR_DELTAS);
}

static uint8_t outputs(const struct uart *u)
{
	if (is_loop(u))
		return 0;
	return (u->mcr & 0x0f) | (u->lcr & LCR_BREAK);
}

static void write_thr(struct uart *u, uint8_t val)
{
	u->thre_pending = true;
	if (is_loop(u))
		push(u, val, 0);
	else
		u->ops->tx(u->ctx, val);
}

static void write_ier(struct uart *u, uint8_t val)
{
	val &= IER_ALL;
	/* Enabling it while THR is empty raises it. */
	if (val & ~u->ier & IER_THRE)
		u->thre_pending = true;
	u->ier = val;
}

static void write_fcr(struct uart *u, uint8_t val)
{
	if ((val ^ u->fcr) & FCR_ENABLE || val & FCR_CLEAR_RX)
		clear_rx(u);
	u->fcr = val & FCR_ENABLE ? val & 0xc9 : 0;
}

static void write_lines(struct uart *u, uint8_t *reg, uint8_t val)
{
	uint8_t before = outputs(u);

	*reg = val;
	update_msr(u);
	if (outputs(u) != before && u->ops->modem)
		u->ops->modem(u->ctx, outputs(u));
}

static uint8_t read_rbr(struct uart *u)
{
	uint8_t val = u->rx[u->rx_head];

	if (!u->rx_count)
		return 0;
	u->rx_head = (u->rx_head + 1) % UART_FIFO;
	u->rx_count--;
	return val;
}

static uint8_t read_iir(struct uart *u)
{
	uint8_t val = source(u);

	if (val == IIR_THRE)
		u->thre_pending = false;
	return val | (has_fifo(u) ? IIR_FIFO : 0);
}

static uint8_t read_lsr(struct uart *u)
{
	uint8_t val = line_status(u);

	u->lsr = 0;
	if (u->rx_count)
		u->rx_err[u->rx_head] = 0;
	return val;
}

static uint8_t read_msr(struct uart *u)
{
	uint8_t val = u->msr;

	u->msr &= ~MSR_DELTAS;
	return val;
}

static uint8_t read_reg(struct uart *u, unsigned reg)
{
	bool dlab = u->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA: return dlab ? u->dll : read_rbr(u);
	case REG_IER: return dlab ? u->dlm : u->ier;
	case REG_IIR: return read_iir(u);
	case REG_LCR: return u->lcr;
	case REG_MCR: return u->mcr;
	case REG_LSR: return read_lsr(u);
	case REG_MSR: return read_msr(u);
	default: return u->scr;
	}
}

static void write_divisor(struct uart *u, unsigned reg, uint8_t val)
{
	if (reg == REG_DATA)
		u->dll = val;
	else
		u->dlm = val;
}

void uart_init(struct uart *u, const struct chip_pin *irq,
	       const struct uart_ops *ops, void *ctx)
{
	*u = (struct uart){.irq = *irq, .ops = ops, .ctx = ctx};
	u->inputs = UART_CTS | UART_DSR | UART_DCD;
	uart_reset(u);
}

void uart_reset(struct uart *u)
{
	u->ier = u->lcr = u->mcr = u->lsr = u->fcr = u->scr = 0;
	u->dll = 12; /* 9600 baud */
	u->dlm = 0;
	u->thre_pending = false;
	u->msr = modem_inputs(u);
	clear_rx(u);
	update_irq(u);
	tell_room(u);
}

uint8_t uart_read(struct uart *u, unsigned reg)
{
	uint8_t val = read_reg(u, reg & 7);

	update_irq(u);
	tell_room(u);
	return val;
}

void uart_write(struct uart *u, unsigned reg, uint8_t val)
{
	reg &= 7;
	if (reg <= REG_IER && (u->lcr & LCR_DLAB)) {
		write_divisor(u, reg, val);
		return;
	}
	switch (reg) {
	case REG_DATA: write_thr(u, val); break;
	case REG_IER: write_ier(u, val); break;
	case REG_IIR: write_fcr(u, val); break;
	case REG_LCR: write_lines(u, &u->lcr, val); break;
	case REG_MCR: write_lines(u, &u->mcr, val & MCR_ALL); break;
	case REG_SCR: u->scr = val; break;
	default: break; /* LSR and MSR are read-only */
	}
	update_irq(u);
	tell_room(u);
}

size_t uart_room(const struct uart *u)
{
	/* In loopback the line is cut: keep the bytes outside. */
	return is_loop(u) ? 0 : capacity(u) - u->rx_count;
}

size_t uart_receive(struct uart *u, const uint8_t *data, size_t len)
{
	size_t n = MIN(len, uart_room(u));
	size_t i;

	for (i = 0; i < n; i++)
		push(u, data[i], 0);
	if (n < len)
		u->rx_starved = true;
	update_irq(u);
	return n;
}

void uart_receive_break(struct uart *u)
{
	if (is_loop(u))
		return;
	push(u, 0, LSR_BI);
	update_irq(u);
}

void uart_set_inputs(struct uart *u, uint8_t lines)
{
	u->inputs = lines & (UART_CTS | UART_DSR | UART_RI | UART_DCD);
	update_msr(u);
	update_irq(u);
}

void uart_restored(struct uart *u)
{
	u->rx_head %= UART_FIFO;
	u->rx_count = MIN(u->rx_count, capacity(u));
	u->intr = source(u) != IIR_NONE;
	chip_pin_set(&u->irq, u->intr);
}
