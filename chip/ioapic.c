/* SPDX-License-Identifier: Apache-2.0 */
/*
 * I/O APIC; see ioapic.h. The irr word is the input lines for level pins,
 * and for edge pins the lines too, with irr_delivered telling which of them
 * were already sent: a saved state shows only what is still owed.
 */
#include "chip/ioapic.h"

#include "lib/check.h"

#define IOREGSEL 0x00
#define IOWIN    0x10
#define IOEOI    0x40

#define REG_ID      0x00
#define REG_VERSION 0x01
#define REG_ARB     0x02
#define REG_RTE     0x10

/* Everything the guest may write in an entry. */
#define RTE_WRITABLE 0xff0000000001afffULL

static bool is_level(uint64_t rte)
{
	return rte & IOAPIC_RTE_LEVEL;
}

static void decode(struct irq_msg *m, uint64_t rte)
{
	*m = (struct irq_msg){
		.dest = (uint32_t)(rte >> 56),
		.vector = (uint8_t)rte,
		.delivery = rte >> 8 & 7,
		.logical = rte & IOAPIC_RTE_LOGICAL,
		.level_trig = is_level(rte),
		.assert_ = true,
	};
}

/* Send @pin's message unless it must wait. */
static int service(struct ioapic *io, unsigned pin)
{
	uint64_t *rte = &io->s.redirtbl[pin];
	struct irq_msg m;
	int ret;

	if (*rte & IOAPIC_RTE_MASKED)
		return -1;
	if (is_level(*rte) && (*rte & IOAPIC_RTE_REMOTE_IRR))
		return -1;
	decode(&m, *rte);
	if (!is_level(*rte))
		io->irr_delivered |= BIT(pin);
	ret = io->ops->deliver(io->ctx, pin, &m);
	/* Nobody there means that no EOI will come. */
	if (ret >= 0 && is_level(*rte))
		*rte |= IOAPIC_RTE_REMOTE_IRR;
	return ret;
}

static uint32_t read_register(const struct ioapic *io)
{
	unsigned reg = io->s.ioregsel;
	unsigned pin = (reg - REG_RTE) / 2;

	switch (reg) {
	case REG_ID:
	case REG_ARB: return (io->s.id & 0xf) << 24;
	case REG_VERSION: return (IOAPIC_PINS - 1) << 16 | io->version;
	default: break;
	}
	if (reg < REG_RTE || pin >= IOAPIC_PINS)
		return 0xffffffff;
	return (uint32_t)(io->s.redirtbl[pin] >> (reg & 1 ? 32 : 0));
}

static void write_rte(struct ioapic *io, unsigned pin, uint32_t val, bool high)
{
	uint64_t *rte = &io->s.redirtbl[pin];
	uint64_t old = *rte;

	if (high)
		*rte = (uint32_t)old | ((uint64_t)val << 32 & RTE_WRITABLE);
	else
		*rte = (old & ~(RTE_WRITABLE & UINT32_MAX)) |
		       (val & RTE_WRITABLE);
	if (!is_level(*rte))
		*rte &= ~IOAPIC_RTE_REMOTE_IRR;
	if (*rte != old && io->ops->changed)
		io->ops->changed(io->ctx, pin);
	if (is_level(*rte) && (io->s.irr & BIT(pin)))
		service(io, pin);
}

static void write_register(struct ioapic *io, uint32_t val)
{
	unsigned reg = io->s.ioregsel;
	unsigned pin = (reg - REG_RTE) / 2;

	if (reg == REG_ID)
		io->s.id = val >> 24 & 0xf;
	else if (reg >= REG_RTE && pin < IOAPIC_PINS)
		write_rte(io, pin, val, reg & 1);
}

void ioapic_init(struct ioapic *io, uint8_t version,
		 const struct ioapic_ops *ops, void *ctx)
{
	*io = (struct ioapic){.version = version, .ops = ops, .ctx = ctx};
	ioapic_reset(io);
}

void ioapic_reset(struct ioapic *io)
{
	unsigned pin;

	io->s = (struct ioapic_state){.base_address = IOAPIC_DEFAULT_BASE};
	io->irr_delivered = 0;
	for (pin = 0; pin < IOAPIC_PINS; pin++)
		io->s.redirtbl[pin] = IOAPIC_RTE_MASKED;
}

int ioapic_set_irq(struct ioapic *io, unsigned pin, bool level)
{
	bool was_high;
	uint64_t rte;

	ASSERT(pin < IOAPIC_PINS);
	rte = io->s.redirtbl[pin];
	was_high = io->s.irr & BIT(pin);
	if (!level) {
		io->s.irr &= ~BIT(pin);
		return 1;
	}
	io->s.irr |= BIT(pin);
	if (is_level(rte) ? rte & IOAPIC_RTE_REMOTE_IRR : was_high)
		return 0;
	if (!is_level(rte))
		io->irr_delivered &= ~BIT(pin);
	return service(io, pin);
}

void ioapic_eoi(struct ioapic *io, uint8_t vector)
{
	unsigned pin;

	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		uint64_t *rte = &io->s.redirtbl[pin];

		if ((uint8_t)*rte != vector)
			continue;
		if (io->ops->eoi)
			io->ops->eoi(io->ctx, pin);
		if (!is_level(*rte))
			continue;
		*rte &= ~IOAPIC_RTE_REMOTE_IRR;
		if (io->s.irr & BIT(pin))
			service(io, pin);
	}
}

void ioapic_eoi_pins(struct ioapic *io, uint8_t vector, uint32_t pins)
{
	unsigned pin;

	for (pin = 0; pin < IOAPIC_PINS && io->ops->eoi; pin++)
		if ((pins & BIT(pin)) && (uint8_t)io->s.redirtbl[pin] == vector)
			io->ops->eoi(io->ctx, pin);
}

uint32_t ioapic_read(struct ioapic *io, unsigned offset)
{
	switch (offset) {
	case IOREGSEL: return io->s.ioregsel;
	case IOWIN: return read_register(io);
	default: return 0;
	}
}

void ioapic_write(struct ioapic *io, unsigned offset, uint32_t val)
{
	switch (offset) {
	case IOREGSEL: io->s.ioregsel = val & 0xff; break;
	case IOWIN: write_register(io, val); break;
	case IOEOI:
		if (io->version >= IOAPIC_VERSION_EOI)
			ioapic_eoi(io, (uint8_t)val);
		break;
	default: break;
	}
}

void ioapic_vectors(const struct ioapic *io, uint32_t edge_pins,
		    uint64_t bitmap[4])
{
	unsigned pin;

	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		uint64_t rte = io->s.redirtbl[pin];
		uint8_t vector = (uint8_t)rte;
		bool used = !(rte & IOAPIC_RTE_MASKED) ||
			    (rte & IOAPIC_RTE_REMOTE_IRR);

		if (used && (is_level(rte) || (edge_pins & BIT(pin))))
			bitmap[vector / 64] |= BIT64(vector % 64);
	}
}

void ioapic_get_state(const struct ioapic *io, struct ioapic_state *s)
{
	*s = io->s;
	s->irr &= ~io->irr_delivered;
}

void ioapic_set_state(struct ioapic *io, const struct ioapic_state *s)
{
	unsigned pin;

	io->s = *s;
	io->s.pad = 0;
	io->s.irr = 0;
	io->s.ioregsel &= 0xff;
	io->s.id &= 0xf;
	io->irr_delivered = 0;
	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		io->s.redirtbl[pin] &= RTE_WRITABLE | IOAPIC_RTE_REMOTE_IRR;
		if (io->ops->changed)
			io->ops->changed(io->ctx, pin);
	}
	for (pin = 0; pin < IOAPIC_PINS; pin++)
		if (s->irr & BIT(pin))
			ioapic_set_irq(io, pin, true);
}
