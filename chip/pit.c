/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 8254 timer; see pit.h. A counter is not stepped: its value and output are
 * computed from the time since it was loaded, and counter 0's interrupts
 * from the load time plus a whole number of periods, so nothing drifts.
 */
#include "chip/pit.h"

#define MODE_NONE  0xff
#define REFRESH_NS 15085 /* half period of port 0x61's refresh toggle */
#define SPEAKER_CH 2

#define PORT61_GATE2   BIT(0)
#define PORT61_SPEAKER BIT(1)
#define PORT61_REFRESH BIT(4)
#define PORT61_OUT2    BIT(5)

static uint32_t modulus(const struct pit_channel *c)
{
	return c->bcd ? 10000 : 0x10000;
}

static uint32_t from_bcd(uint32_t v)
{
	v = (v & 15) + (v >> 4 & 15) * 10 + (v >> 8 & 15) * 100 +
	    (v >> 12 & 15) * 1000;
	return v % 10000;
}

static uint32_t to_bcd(uint32_t v)
{
	return v % 10 | v / 10 % 10 << 4 | v / 100 % 10 << 8 |
	       v / 1000 % 10 << 12;
}

static bool waits_for_trigger(const struct pit_channel *c)
{
	return c->mode == 1 || c->mode == 5;
}

static bool is_periodic(const struct pit_channel *c)
{
	return c->mode == 2 || c->mode == 3;
}

/* Clock ticks since counter @ch started. */
static uint64_t elapsed(const struct pit *pit, unsigned ch, uint64_t now)
{
	uint64_t start = (uint64_t)pit->s.channels[ch].count_load_time;

	if (!pit->running[ch] || now < start)
		return pit->held[ch];
	return pit->held[ch] + chip_muldiv(now - start, PIT_HZ, NS_PER_SEC);
}

/* The counting element as the guest reads it. */
static uint16_t counter(const struct pit *pit, unsigned ch, uint64_t now)
{
	const struct pit_channel *c = &pit->s.channels[ch];
	uint64_t d = elapsed(pit, ch, now);
	uint32_t m = modulus(c);
	uint32_t v;

	switch (c->mode) {
	case 2: v = c->count - (uint32_t)(d % c->count); break;
	case 3: v = c->count - (uint32_t)(2 * d % c->count & ~1ULL); break;
	default: v = (c->count + m - (uint32_t)(d % m)) % m;
	}
	return (uint16_t)(c->bcd ? to_bcd(v % m) : v);
}

bool pit_output(const struct pit *pit, unsigned ch, uint64_t now)
{
	const struct pit_channel *c = &pit->s.channels[ch];
	uint64_t d = elapsed(pit, ch, now);

	if (c->mode == 0)
		return !pit->null_count[ch] && d >= c->count;
	if (pit->null_count[ch] || !pit->running[ch])
		return true;
	switch (c->mode) {
	case 1: return d >= c->count;
	case 2: return d % c->count != c->count - 1;
	case 3: return d % c->count < (c->count + 1) / 2;
	default: return d != c->count;
	}
}

/* Find the next rising output of counter 0. */
static void arm(struct pit *pit)
{
	const struct pit_channel *c = &pit->s.channels[0];
	bool rises = is_periodic(c) ||
		     ((c->mode == 0 || c->mode == 4) && !pit->fired);

	pit->next_ns = CHIP_NEVER;
	if (pit->running[0] && rises)
		pit->next_ns = (uint64_t)c->count_load_time +
			       chip_muldiv_up((pit->fired + 1) * c->count,
					      NS_PER_SEC, PIT_HZ);
}

static void start(struct pit *pit, unsigned ch, bool run, uint64_t now)
{
	pit->s.channels[ch].count_load_time = (int64_t)now;
	pit->running[ch] = run;
	if (ch == 0) {
		pit->fired = 0;
		pit_forget_missed(pit);
		arm(pit);
	}
}

/* A complete count was written: @val as the guest wrote it. */
static void load_count(struct pit *pit, unsigned ch, uint32_t val, uint64_t now)
{
	struct pit_channel *c = &pit->s.channels[ch];

	if (c->bcd)
		val = from_bcd(val);
	c->count = val ? val : modulus(c);
	pit->held[ch] = 0;
	pit->null_count[ch] = false;
	start(pit, ch, c->mode != MODE_NONE && !waits_for_trigger(c) && c->gate,
	      now);
}

static void set_gate(struct pit *pit, unsigned ch, bool gate, uint64_t now)
{
	struct pit_channel *c = &pit->s.channels[ch];
	bool resumes = c->mode == 0 || c->mode == 4;

	if (c->gate == gate)
		return;
	c->gate = gate;
	if (c->mode == MODE_NONE || (!gate && waits_for_trigger(c)))
		return;
	pit->held[ch] = resumes ? elapsed(pit, ch, now) : 0;
	start(pit, ch, gate && !pit->null_count[ch], now);
}

static void latch_count(struct pit *pit, unsigned ch, uint64_t now)
{
	struct pit_channel *c = &pit->s.channels[ch];

	if (c->count_latched)
		return;
	c->latched_count = counter(pit, ch, now);
	c->count_latched = c->rw_mode;
}

static void latch_status(struct pit *pit, unsigned ch, uint64_t now)
{
	struct pit_channel *c = &pit->s.channels[ch];

	if (c->status_latched)
		return;
	c->status = pit_output(pit, ch, now) << 7 | pit->null_count[ch] << 6 |
		    c->rw_mode << 4 | (c->mode & 7) << 1 | c->bcd;
	c->status_latched = 1;
}

static void write_control(struct pit *pit, uint8_t val, uint64_t now)
{
	unsigned ch = val >> 6;
	struct pit_channel *c;

	if (ch == 3) {
		for (ch = 0; ch < 3; ch++) {
			if (!(val & BIT(ch + 1)))
				continue;
			if (!(val & BIT(5)))
				latch_count(pit, ch, now);
			if (!(val & BIT(4)))
				latch_status(pit, ch, now);
		}
		return;
	}
	if (!(val & 0x30)) {
		latch_count(pit, ch, now);
		return;
	}
	c = &pit->s.channels[ch];
	c->rw_mode = val >> 4 & 3;
	c->read_state = c->write_state = c->rw_mode;
	c->mode = val >> 1 & 7;
	if (c->mode > 5)
		c->mode -= 4;
	c->bcd = val & 1;
	c->count_latched = 0;
	c->status_latched = 0;
	/* An old count beyond the new modulus would be unreadable. */
	c->count = MIN(c->count, modulus(c));
	pit->held[ch] = 0;
	pit->null_count[ch] = true;
	start(pit, ch, false, now);
}

static void write_count(struct pit *pit, unsigned ch, uint8_t val, uint64_t now)
{
	struct pit_channel *c = &pit->s.channels[ch];

	switch (c->write_state) {
	case PIT_RW_LSB: load_count(pit, ch, val, now); break;
	case PIT_RW_MSB: load_count(pit, ch, (uint32_t)val << 8, now); break;
	case PIT_RW_WORD0:
		c->write_latch = val;
		c->write_state = PIT_RW_WORD1;
		if (c->mode == 0) { /* the first byte stops the counter */
			pit->held[ch] = elapsed(pit, ch, now);
			pit->null_count[ch] = true;
			start(pit, ch, false, now);
		}
		break;
	case PIT_RW_WORD1:
		c->write_state = PIT_RW_WORD0;
		load_count(pit, ch, c->write_latch | (uint32_t)val << 8, now);
		break;
	default: break; /* no control word yet */
	}
}

static uint8_t read_latched(struct pit_channel *c)
{
	uint8_t how = c->count_latched;

	c->count_latched = how == PIT_RW_WORD0 ? PIT_RW_MSB : 0;
	return how == PIT_RW_MSB ? c->latched_count >> 8 : c->latched_count;
}

static uint8_t read_count(struct pit *pit, unsigned ch, uint64_t now)
{
	struct pit_channel *c = &pit->s.channels[ch];
	uint16_t v = counter(pit, ch, now);

	switch (c->read_state) {
	case PIT_RW_MSB: return v >> 8;
	case PIT_RW_WORD0: c->read_state = PIT_RW_WORD1; return (uint8_t)v;
	case PIT_RW_WORD1: c->read_state = PIT_RW_WORD0; return v >> 8;
	default: return (uint8_t)v;
	}
}

static void pulse(struct pit *pit)
{
	chip_pin_set(&pit->irq, true);
	chip_pin_set(&pit->irq, false);
}

static void power_on(struct pit *pit, uint64_t now)
{
	unsigned ch;

	pit->s = (struct pit_state){0};
	for (ch = 0; ch < 3; ch++) {
		pit->s.channels[ch].mode = MODE_NONE;
		pit->s.channels[ch].gate = ch != SPEAKER_CH;
		load_count(pit, ch, 0, now);
		pit->null_count[ch] = true;
	}
}

void pit_init(struct pit *pit, const struct chip_pin *irq, uint64_t now)
{
	*pit = (struct pit){.reinject = true, .irq = *irq};
	power_on(pit, now);
}

void pit_reset(struct pit *pit, uint64_t now)
{
	power_on(pit, now);
}

uint8_t pit_read(struct pit *pit, unsigned port, uint64_t now)
{
	struct pit_channel *c;

	port &= 3;
	if (port == 3) /* the control word is write-only */
		return 0;
	c = &pit->s.channels[port];
	if (c->status_latched) {
		c->status_latched = 0;
		return c->status;
	}
	if (c->count_latched)
		return read_latched(c);
	return read_count(pit, port, now);
}

void pit_write(struct pit *pit, unsigned port, uint8_t val, uint64_t now)
{
	port &= 3;
	if (port == 3)
		write_control(pit, val, now);
	else
		write_count(pit, port, val, now);
}

uint8_t pit_speaker_read(struct pit *pit, uint64_t now)
{
	uint8_t val = 0;

	if (pit->s.channels[SPEAKER_CH].gate)
		val |= PORT61_GATE2;
	if (pit->s.flags & PIT_FLAG_SPEAKER_DATA_ON)
		val |= PORT61_SPEAKER;
	if (now / REFRESH_NS & 1)
		val |= PORT61_REFRESH;
	if (pit_output(pit, SPEAKER_CH, now))
		val |= PORT61_OUT2;
	return val;
}

void pit_speaker_write(struct pit *pit, uint8_t val, uint64_t now)
{
	pit->s.flags &= ~PIT_FLAG_SPEAKER_DATA_ON;
	if (val & PORT61_SPEAKER)
		pit->s.flags |= PIT_FLAG_SPEAKER_DATA_ON;
	set_gate(pit, SPEAKER_CH, val & PORT61_GATE2, now);
}

uint64_t pit_deadline(const struct pit *pit)
{
	return pit->s.flags & PIT_FLAG_HPET_LEGACY ? CHIP_NEVER : pit->next_ns;
}

void pit_advance(struct pit *pit, uint64_t now)
{
	const struct pit_channel *c = &pit->s.channels[0];
	uint64_t ticks = 1;

	if (now < pit_deadline(pit))
		return;
	if (is_periodic(c))
		ticks = elapsed(pit, 0, now) / c->count - pit->fired;
	pit->fired += ticks;
	arm(pit);
	if (pit->reinject)
		pit->missed = (uint32_t)MIN(pit->missed + ticks, UINT32_MAX);
	/*
	 * Not held back until the EOI of the one before: one more edge
	 * merges with a request still pending, and a masked pin never
	 * acknowledges.
	 */
	pulse(pit);
}

void pit_ack(struct pit *pit)
{
	if (!pit->missed)
		return;
	pit->missed--;
	if (pit->missed)
		pulse(pit);
}

void pit_forget_missed(struct pit *pit)
{
	pit->missed = 0;
}

void pit_set_reinject(struct pit *pit, bool on)
{
	pit->reinject = on;
	pit_forget_missed(pit);
}

void pit_get_state(const struct pit *pit, struct pit_state *s)
{
	*s = pit->s;
}

static void sanitize(struct pit_channel *c)
{
	if (c->mode > 5)
		c->mode = MODE_NONE;
	c->bcd = !!c->bcd;
	c->gate = !!c->gate;
	c->rw_mode &= 3;
	c->status_latched = !!c->status_latched;
	c->count_latched &= 3;
	if (!c->count || c->count > modulus(c))
		c->count = modulus(c);
}

void pit_set_state(struct pit *pit, const struct pit_state *s, uint64_t now)
{
	unsigned ch;

	pit->s = *s;
	pit->s.flags &= PIT_FLAG_HPET_LEGACY | PIT_FLAG_SPEAKER_DATA_ON;
	for (ch = 0; ch < ARRAY_SIZE(pit->s.reserved); ch++)
		pit->s.reserved[ch] = 0;
	for (ch = 0; ch < 3; ch++) {
		struct pit_channel *c = &pit->s.channels[ch];

		sanitize(c);
		if (ch != SPEAKER_CH)
			c->gate = 1; /* wired so on the board */
		pit->held[ch] = 0;
		pit->null_count[ch] = c->mode == MODE_NONE;
		start(pit, ch,
		      c->mode != MODE_NONE && !waits_for_trigger(c) && c->gate,
		      now);
	}
}
