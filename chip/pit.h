/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PC's 8254 timer: three counters at 1193182 Hz, ports 0x40-0x43, and
 * port 0x61 (gate and output of counter 2, speaker data, refresh toggle).
 * Document: Intel 82C54 data sheet. As in KVM, a new count takes effect at
 * once in every mode but 1 and 5 (which wait for the gate), and counter 0's
 * rising output is a short pulse on the pin. The speaker makes no sound.
 * The owner serializes all calls and passes the time.
 */
#ifndef CHIP_PIT_H
#define CHIP_PIT_H

#include "chip/chip.h"

#define PIT_HZ 1193182ULL

#define PIT_FLAG_HPET_LEGACY     BIT(0) /* counter 0 raises no interrupt */
#define PIT_FLAG_SPEAKER_DATA_ON BIT(1) /* port 0x61 bit 1 */

/* Fields and layout of struct kvm_pit_channel_state. */
struct pit_channel {
	uint32_t count;         /* 1-65536 (BCD: 10000), binary */
	uint16_t latched_count; /* as the guest will read it */
	uint8_t count_latched;  /* bytes of the latch left: a PIT_RW_* */
	uint8_t status_latched;
	uint8_t status;      /* latched status byte */
	uint8_t read_state;  /* PIT_RW_*: next byte to be read */
	uint8_t write_state; /* PIT_RW_*: next byte to be written */
	uint8_t write_latch; /* low byte of a 16-bit count */
	uint8_t rw_mode;     /* 1 LSB, 2 MSB, 3 both */
	uint8_t mode;        /* 0-5, 0xff before the first control word */
	uint8_t bcd;
	uint8_t gate;
	int64_t count_load_time; /* ns, owner's clock */
};

enum { PIT_RW_LSB = 1, PIT_RW_MSB = 2, PIT_RW_WORD0 = 3, PIT_RW_WORD1 = 4 };

/* Fields and layout of struct kvm_pit_state2. */
struct pit_state {
	struct pit_channel channels[3];
	uint32_t flags; /* PIT_FLAG_* */
	uint32_t reserved[9];
};

struct pit {
	struct pit_state s;
	uint64_t held[3];   /* ticks counted when the gate stopped it */
	bool running[3];    /* counting (gate, trigger, count complete) */
	bool null_count[3]; /* control word written, no count yet */
	uint64_t fired;     /* counter 0: rising outputs since its load */
	uint64_t next_ns;   /* counter 0: time of the next one */
	/* Reinjection: the guest is to see every tick. */
	bool reinject;
	uint32_t missed; /* ticks not acknowledged yet, the pending one too */
	/* ---- derived ---- */
	struct chip_pin irq; /* to GSI 0 */
};

/* Power-on state at @now; reinjection is on, as KVM_CREATE_PIT2 leaves it. */
void pit_init(struct pit *pit, const struct chip_pin *irq, uint64_t now);
void pit_reset(struct pit *pit, uint64_t now);

/* Guest access to ports 0x40-0x43 (@port & 3), bytes. */
uint8_t pit_read(struct pit *pit, unsigned port, uint64_t now);
void pit_write(struct pit *pit, unsigned port, uint8_t val, uint64_t now);
/* Guest access to port 0x61. */
uint8_t pit_speaker_read(struct pit *pit, uint64_t now);
void pit_speaker_write(struct pit *pit, uint8_t val, uint64_t now);

/* When pit_advance() is due; CHIP_NEVER when counter 0 is not armed. */
uint64_t pit_deadline(const struct pit *pit);
/* Pulse the pin once for the ticks up to @now; reinjection keeps the rest. */
void pit_advance(struct pit *pit, uint64_t now);
/*
 * The guest EOId counter 0's interrupt (PIC pin 0 or its IOAPIC pin): send
 * the next missed tick. Harmless when reinjection is off.
 */
void pit_ack(struct pit *pit);
/*
 * Forget missed ticks. For when the guest unmasks the pin (PIC or IOAPIC):
 * ticks of the masked time are not made up for.
 */
void pit_forget_missed(struct pit *pit);
/* KVM_REINJECT_CONTROL. Off: late ticks are dropped. */
void pit_set_reinject(struct pit *pit, bool on);

void pit_get_state(const struct pit *pit, struct pit_state *s);
/*
 * Load all channels and restart their counts at @now, as KVM_SET_PIT2 does.
 * Values no register can hold are cut to their fields.
 */
void pit_set_state(struct pit *pit, const struct pit_state *s, uint64_t now);

/* Level of counter @ch's output at @now. */
bool pit_output(const struct pit *pit, unsigned ch, uint64_t now);

#endif
