/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 8259A pair; see pic.h. The cascade is a wire here, not an edge: the
 * master's IR2 request is high exactly while the slave has something to
 * deliver, so a slave request that goes away leaves nothing behind.
 */
#include "chip/pic.h"

#include "lib/check.h"

#define CASCADE_PIN      2
#define PINS             8
#define NO_PRIORITY      8
#define MASTER_ELCR_MASK 0xf8 /* timer, keyboard and cascade are edges */
#define SLAVE_ELCR_MASK  0xde /* RTC and FPU error are edges */

#define ICW1_IC4    BIT(0)
#define ICW1_SELECT BIT(4)
#define ICW4_AEOI   BIT(1)
#define ICW4_SFNM   BIT(4)
#define OCW3_RIS    BIT(0)
#define OCW3_RR     BIT(1)
#define OCW3_POLL   BIT(2)
#define OCW3_SELECT BIT(3)
#define OCW3_SMM    BIT(5)
#define OCW3_ESMM   BIT(6)

enum { READY, AWAIT_ICW2, AWAIT_ICW3, AWAIT_ICW4 };

static bool is_master(const struct pic *pic, const struct pic_unit *u)
{
	return u == &pic->unit[0];
}

/* Distance of the best bit in @mask from the highest priority pin. */
static unsigned best_priority(const struct pic_unit *u, uint8_t mask)
{
	unsigned p;

	for (p = 0; p < PINS; p++)
		if (mask & BIT((p + u->priority_add) & 7))
			return p;
	return NO_PRIORITY;
}

/* The pin this unit would deliver now, or -1. */
static int deliverable(const struct pic *pic, const struct pic_unit *u)
{
	unsigned want = best_priority(u, u->irr & ~u->imr);
	uint8_t busy = u->isr;

	if (want == NO_PRIORITY)
		return -1;
	if (u->special_mask)
		busy &= ~u->imr;
	if (u->special_fully_nested_mode && is_master(pic, u))
		busy &= ~BIT(CASCADE_PIN);
	if (want >= best_priority(u, busy))
		return -1;
	return (int)((want + u->priority_add) & 7);
}

static void update(struct pic *pic)
{
	struct pic_unit *m = &pic->unit[0];
	bool output;

	if (deliverable(pic, &pic->unit[1]) >= 0) {
		m->irr |= BIT(CASCADE_PIN);
		m->last_irr |= BIT(CASCADE_PIN);
	} else {
		m->irr &= ~BIT(CASCADE_PIN);
		m->last_irr &= ~BIT(CASCADE_PIN);
	}
	output = deliverable(pic, m) >= 0;
	if (output != pic->output) {
		pic->output = output;
		chip_pin_set(&pic->intr, output);
	}
}

/* Leave the chip consistent: the callback may drive pins. */
static void clear_isr(struct pic *pic, struct pic_unit *u, unsigned pin)
{
	if (!(u->isr & BIT(pin)))
		return;
	u->isr &= ~BIT(pin);
	update(pic);
	if (pic->ops && pic->ops->eoi)
		pic->ops->eoi(pic->ctx, pin + (is_master(pic, u) ? 0 : PINS));
}

/* INTA for one unit. */
static void take(struct pic *pic, struct pic_unit *u, unsigned pin)
{
	u->isr |= BIT(pin);
	if (!(u->elcr & BIT(pin)))
		u->irr &= ~BIT(pin);
	if (u->auto_eoi) {
		if (u->rotate_on_auto_eoi)
			u->priority_add = (pin + 1) & 7;
		clear_isr(pic, u, pin);
	}
}

static void reset_unit(struct pic *pic, struct pic_unit *u)
{
	uint8_t served = u->isr;
	unsigned pin;

	u->last_irr = 0;
	u->irr &= u->elcr;
	u->imr = 0;
	u->priority_add = 0;
	u->special_mask = 0;
	u->read_reg_select = 0;
	u->poll = 0;
	u->rotate_on_auto_eoi = 0;
	if (!u->init4) {
		u->special_fully_nested_mode = 0;
		u->auto_eoi = 0;
	}
	for (pin = 0; pin < PINS; pin++)
		if (served & BIT(pin))
			clear_isr(pic, u, pin);
	update(pic);
}

static void write_icw1(struct pic *pic, struct pic_unit *u, uint8_t val)
{
	u->init4 = val & ICW1_IC4;
	reset_unit(pic, u);
	u->init_state = AWAIT_ICW2;
}

static void write_ocw3(struct pic *pic, struct pic_unit *u, uint8_t val)
{
	if (val & OCW3_POLL)
		u->poll = 1;
	if (val & OCW3_RR)
		u->read_reg_select = val & OCW3_RIS;
	if (val & OCW3_ESMM) {
		u->special_mask = !!(val & OCW3_SMM);
		update(pic);
	}
}

/* Non-specific EOI ends what the priority logic sees as current. */
static int current_pin(const struct pic_unit *u)
{
	uint8_t busy = u->special_mask ? u->isr & ~u->imr : u->isr;
	unsigned p = best_priority(u, busy);

	return p == NO_PRIORITY ? -1 : (int)((p + u->priority_add) & 7);
}

static void write_ocw2(struct pic *pic, struct pic_unit *u, uint8_t val)
{
	bool rotate = val & BIT(7);
	bool specific = val & BIT(6);
	bool eoi = val & BIT(5);
	int pin = specific ? val & 7 : current_pin(u);

	if (!specific && !eoi) {
		u->rotate_on_auto_eoi = rotate;
		return;
	}
	if (pin < 0)
		return;
	if (rotate)
		u->priority_add = (pin + 1) & 7;
	if (eoi)
		clear_isr(pic, u, (unsigned)pin);
	update(pic);
}

static void write_command(struct pic *pic, struct pic_unit *u, uint8_t val)
{
	if (val & ICW1_SELECT)
		write_icw1(pic, u, val);
	else if (val & OCW3_SELECT)
		write_ocw3(pic, u, val);
	else
		write_ocw2(pic, u, val);
}

static void write_imr(struct pic *pic, struct pic_unit *u, uint8_t val)
{
	uint8_t changed = u->imr ^ val;
	unsigned first = is_master(pic, u) ? 0 : PINS;
	unsigned pin;

	u->imr = val;
	update(pic);
	if (!pic->ops || !pic->ops->mask_changed)
		return;
	for (pin = 0; pin < PINS; pin++)
		if (changed & BIT(pin))
			pic->ops->mask_changed(pic->ctx, first + pin,
					       val & BIT(pin));
}

static void write_data(struct pic *pic, struct pic_unit *u, uint8_t val)
{
	switch (u->init_state) {
	case AWAIT_ICW2:
		u->irq_base = val & 0xf8;
		u->init_state = AWAIT_ICW3;
		break;
	case AWAIT_ICW3: /* the board's wiring is fixed */
		u->init_state = u->init4 ? AWAIT_ICW4 : READY;
		break;
	case AWAIT_ICW4:
		u->special_fully_nested_mode = !!(val & ICW4_SFNM);
		u->auto_eoi = !!(val & ICW4_AEOI);
		u->init_state = READY;
		break;
	default: write_imr(pic, u, val);
	}
	update(pic);
}

static uint8_t read_poll(struct pic *pic, struct pic_unit *u)
{
	int pin = deliverable(pic, u);

	u->poll = 0;
	if (pin < 0)
		return 0;
	take(pic, u, (unsigned)pin);
	update(pic);
	return 0x80 | pin;
}

void pic_init(struct pic *pic, const struct chip_pin *intr,
	      const struct pic_ops *ops, void *ctx)
{
	*pic = (struct pic){.intr = *intr, .ops = ops, .ctx = ctx};
	pic->unit[0].elcr_mask = MASTER_ELCR_MASK;
	pic->unit[1].elcr_mask = SLAVE_ELCR_MASK;
}

void pic_reset(struct pic *pic)
{
	unsigned i;

	for (i = 0; i < 2; i++) {
		uint8_t mask = pic->unit[i].elcr_mask;

		pic->unit[i] = (struct pic_unit){.elcr_mask = mask};
	}
	update(pic);
}

int pic_set_irq(struct pic *pic, unsigned pin, bool level)
{
	struct pic_unit *u = &pic->unit[pin / PINS & 1];
	uint8_t bit = BIT(pin % PINS);
	bool is_level = u->elcr & bit;
	int ret = 1;

	ASSERT(pin < 2 * PINS);
	if (level && (is_level || !(u->last_irr & bit))) {
		ret = !(u->irr & bit);
		u->irr |= bit;
	} else if (level) {
		ret = 0;
	} else if (is_level) {
		u->irr &= ~bit;
	}
	if (level)
		u->last_irr |= bit;
	else
		u->last_irr &= ~bit;
	update(pic);
	return u->imr & bit ? -1 : ret;
}

bool pic_output(const struct pic *pic)
{
	return pic->output;
}

uint8_t pic_ack(struct pic *pic)
{
	struct pic_unit *m = &pic->unit[0], *s = &pic->unit[1];
	int pin = deliverable(pic, m);
	int slave_pin;
	uint8_t vector;

	if (pin == CASCADE_PIN) {
		slave_pin = deliverable(pic, s);
		ASSERT(slave_pin >= 0);
		vector = s->irq_base + slave_pin;
		take(pic, m, CASCADE_PIN);
		take(pic, s, (unsigned)slave_pin);
	} else if (pin >= 0) {
		vector = m->irq_base + pin;
		take(pic, m, (unsigned)pin);
	} else {
		vector = m->irq_base + 7;
	}
	update(pic);
	return vector;
}

uint8_t pic_read(struct pic *pic, uint16_t port)
{
	struct pic_unit *u = &pic->unit[port >> 7 & 1];

	if (port == 0x4d0 || port == 0x4d1)
		return pic->unit[port & 1].elcr;
	if (u->poll)
		return read_poll(pic, u);
	if (port & 1)
		return u->imr;
	return u->read_reg_select ? u->isr : u->irr;
}

void pic_write(struct pic *pic, uint16_t port, uint8_t val)
{
	struct pic_unit *u = &pic->unit[port >> 7 & 1];

	if (port == 0x4d0 || port == 0x4d1) {
		u = &pic->unit[port & 1];
		u->elcr = val & u->elcr_mask;
	} else if (port & 1) {
		write_data(pic, u, val);
	} else {
		write_command(pic, u, val);
	}
}

void pic_get_state(const struct pic *pic, unsigned which, struct pic_unit *u)
{
	ASSERT(which < 2);
	*u = pic->unit[which];
}

void pic_set_state(struct pic *pic, unsigned which, const struct pic_unit *u)
{
	struct pic_unit *to = &pic->unit[which & 1];
	uint8_t mask = to->elcr_mask;

	ASSERT(which < 2);
	*to = *u;
	to->elcr_mask = mask;
	to->elcr &= mask;
	to->priority_add &= 7;
	to->init_state &= 3;
	update(pic);
}
