/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reset control and system control port A; see reset.h. Both resets need a
 * rising bit: writing the same value twice resets once.
 */
#include "chip/reset.h"

#define CF9_SYS_RST  BIT(1) /* hard, else the CPU only */
#define CF9_RST_CPU  BIT(2) /* go */
#define CF9_FULL_RST BIT(3)
#define CF9_WRITABLE (CF9_SYS_RST | CF9_RST_CPU | CF9_FULL_RST)

#define PORT92_INIT     BIT(0)
#define PORT92_A20      BIT(1)
#define PORT92_WRITABLE (PORT92_INIT | PORT92_A20)

static void write_cf9(struct reset *r, uint8_t val)
{
	bool go = val & ~r->cf9 & CF9_RST_CPU;

	r->cf9 = val & CF9_WRITABLE;
	if (go)
		r->ops->reset(r->ctx, val & CF9_SYS_RST);
}

static void write_port92(struct reset *r, uint8_t val)
{
	uint8_t changed = r->port92 ^ val;

	r->port92 = val & PORT92_WRITABLE;
	if ((changed & PORT92_A20) && r->ops->a20)
		r->ops->a20(r->ctx, val & PORT92_A20);
	if (changed & val & PORT92_INIT)
		r->ops->reset(r->ctx, false);
}

void reset_init(struct reset *r, const struct reset_ops *ops, void *ctx)
{
	*r = (struct reset){.ops = ops, .ctx = ctx};
	reset_clear(r);
}

void reset_clear(struct reset *r)
{
	r->cf9 = 0;
	r->port92 = PORT92_A20;
}

uint8_t reset_read(const struct reset *r, uint16_t port)
{
	return port == 0x92 ? r->port92 : r->cf9;
}

void reset_write(struct reset *r, uint16_t port, uint8_t val)
{
	if (port == 0x92)
		write_port92(r, val);
	else
		write_cf9(r, val);
}
