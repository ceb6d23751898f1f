/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fixed hardware of ACPI: PM1a event and control blocks, the power
 * management timer, and the SMI command port that switches ACPI mode.
 * One block of general-purpose events shares their interrupt.
 * Document: ACPI 6.5 "ACPI Fixed Hardware Register Definitions" (4.8.3) and
 * "General-Purpose Event Register Blocks" (4.8.4.1).
 * Left out: SMM itself, S1-S4 as anything but a callback.
 * The owner serializes all calls and passes the time.
 */
#ifndef CHIP_ACPI_PM_H
#define CHIP_ACPI_PM_H

#include "chip/chip.h"

#define ACPI_PM_TIMER_HZ 3579545ULL

/* Offsets in the block: PM1a_EVT 4 bytes, PM1a_CNT 2, PM_TMR 4. */
#define ACPI_PM_EVT  0
#define ACPI_PM_CNT  4
#define ACPI_PM_TMR  8
#define ACPI_PM_SIZE 12

/* The block of events: status 2 bytes, enable 2 bytes. */
#define ACPI_GPE_SIZE 4

/* PM1 status and enable */
#define ACPI_PM1_TMR    BIT(0)
#define ACPI_PM1_GBL    BIT(5)
#define ACPI_PM1_PWRBTN BIT(8)
#define ACPI_PM1_SLPBTN BIT(9)
#define ACPI_PM1_RTC    BIT(10)
#define ACPI_PM1_WAK    BIT(15) /* status only */
/* PM1 control */
#define ACPI_PM1_SCI_EN BIT(0)
#define ACPI_PM1_SLP_EN BIT(13)

struct acpi_pm_ops {
	/* SLP_EN was written with this SLP_TYP (0-7; the DSDT names S5's). */
	void (*sleep)(void *ctx, unsigned slp_typ);
};

/* What the FADT tells the guest. */
struct acpi_pm_config {
	/* Both 0: no SMI_CMD, SCI_EN is set from the start. */
	uint8_t enable_val;  /* ACPI_ENABLE */
	uint8_t disable_val; /* ACPI_DISABLE */
	bool timer32;        /* TMR_VAL_EXT */
};

struct acpi_pm {
	uint16_t sts;     /* PM1_STS, up to seen_ns */
	uint16_t en;      /* PM1_EN */
	uint16_t cnt;     /* PM1_CNT without SLP_EN */
	uint16_t gpe_sts; /* general-purpose events 0 to 15 */
	uint16_t gpe_en;
	uint8_t smi_cmd;   /* last byte written to SMI_CMD */
	uint64_t start_ns; /* when the timer was 0 */
	uint64_t seen_ns;  /* TMR status is up to date to here */
	/* ---- derived ---- */
	struct acpi_pm_config cfg;
	bool level; /* level of SCI */
	struct chip_pin sci;
	const struct acpi_pm_ops *ops;
	void *ctx;
};

/* Power-on; the timer starts from 0 at @now. */
void acpi_pm_init(struct acpi_pm *pm, const struct chip_pin *sci,
		  const struct acpi_pm_config *cfg,
		  const struct acpi_pm_ops *ops, void *ctx, uint64_t now);
void acpi_pm_reset(struct acpi_pm *pm, uint64_t now);

/* Guest access, @offset in the 12-byte block, @len 1, 2 or 4. */
uint32_t acpi_pm_read(struct acpi_pm *pm, unsigned offset, unsigned len,
		      uint64_t now);
void acpi_pm_write(struct acpi_pm *pm, unsigned offset, unsigned len,
		   uint32_t val, uint64_t now);
/* The same in the 4-byte block of events. */
uint32_t acpi_pm_gpe_read(const struct acpi_pm *pm, unsigned offset,
			  unsigned len);
void acpi_pm_gpe_write(struct acpi_pm *pm, unsigned offset, unsigned len,
		       uint32_t val);
/* Event @n happened. */
void acpi_pm_gpe_raise(struct acpi_pm *pm, unsigned n);
/* SMI_CMD port (0xb2 on PCs). */
uint8_t acpi_pm_smi_read(const struct acpi_pm *pm);
void acpi_pm_smi_write(struct acpi_pm *pm, uint8_t val);

/* The operator's button; the guest sees an SCI if it enabled one. */
void acpi_pm_power_button(struct acpi_pm *pm);
/* Value of the timer register at @now. */
uint32_t acpi_pm_timer(const struct acpi_pm *pm, uint64_t now);

uint64_t acpi_pm_deadline(const struct acpi_pm *pm);
void acpi_pm_advance(struct acpi_pm *pm, uint64_t now);

#endif
