/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI fixed hardware; see acpi_pm.h. Registers are served byte by byte, so
 * that any access width works; the timer's bytes come from one sample.
 */
#include "chip/acpi_pm.h"

#define STS_CLEARABLE                                             \
	(ACPI_PM1_TMR | BIT(4) | ACPI_PM1_GBL | ACPI_PM1_PWRBTN | \
	 ACPI_PM1_SLPBTN | ACPI_PM1_RTC | ACPI_PM1_WAK)
#define EN_WRITABLE                                                        \
	(ACPI_PM1_TMR | ACPI_PM1_GBL | ACPI_PM1_PWRBTN | ACPI_PM1_SLPBTN | \
	 ACPI_PM1_RTC)
#define CNT_SLP_TYP  0x1c00
#define CNT_BM_RLD   BIT(1)
#define CNT_WRITABLE (CNT_SLP_TYP | CNT_BM_RLD)

static bool has_smi_cmd(const struct acpi_pm *pm)
{
	return pm->cfg.enable_val || pm->cfg.disable_val;
}

static uint64_t ticks(const struct acpi_pm *pm, uint64_t now)
{
	if (now < pm->start_ns)
		return 0;
	return chip_muldiv(now - pm->start_ns, ACPI_PM_TIMER_HZ, NS_PER_SEC);
}

/* TMR status is set whenever the top bit changes. */
static unsigned top_bit(const struct acpi_pm *pm)
{
	return pm->cfg.timer32 ? 31 : 23;
}

static void update_sci(struct acpi_pm *pm)
{
	bool on = (pm->cnt & ACPI_PM1_SCI_EN) &&
		  ((pm->sts & pm->en) || (pm->gpe_sts & pm->gpe_en));

	if (on == pm->level)
		return;
	pm->level = on;
	chip_pin_set(&pm->sci, on);
}

static uint8_t read_byte(const struct acpi_pm *pm, unsigned offset,
			 uint32_t timer)
{
	switch (offset) {
	case ACPI_PM_EVT: return (uint8_t)pm->sts;
	case ACPI_PM_EVT + 1: return pm->sts >> 8;
	case ACPI_PM_EVT + 2: return (uint8_t)pm->en;
	case ACPI_PM_EVT + 3: return pm->en >> 8;
	case ACPI_PM_CNT: return (uint8_t)pm->cnt;
	case ACPI_PM_CNT + 1: return pm->cnt >> 8;
	case ACPI_PM_TMR:
	case ACPI_PM_TMR + 1:
	case ACPI_PM_TMR + 2:
	case ACPI_PM_TMR + 3: return (uint8_t)(timer >> 8 * (offset & 3));
	default: return 0;
	}
}

static void write_cnt(struct acpi_pm *pm, unsigned shift, uint8_t val)
{
	uint16_t mask = CNT_WRITABLE & (0xff << shift);
	uint16_t wide = (uint16_t)(val << shift);

	pm->cnt = (pm->cnt & ~mask) | (wide & mask);
	if (wide & ACPI_PM1_SLP_EN)
		pm->ops->sleep(pm->ctx, (pm->cnt & CNT_SLP_TYP) >> 10);
}

static void write_byte(struct acpi_pm *pm, unsigned offset, uint8_t val)
{
	unsigned shift = 8 * (offset & 1);
	uint16_t wide = (uint16_t)(val << shift);
	uint16_t mask = 0xff << shift;

	switch (offset & ~1U) {
	case ACPI_PM_EVT: pm->sts &= ~(wide & STS_CLEARABLE); break;
	case ACPI_PM_EVT + 2:
		pm->en = (pm->en & ~mask) | (wide & EN_WRITABLE);
		break;
	case ACPI_PM_CNT: write_cnt(pm, shift, val); break;
	default: break; /* the timer is read-only */
	}
}

void acpi_pm_init(struct acpi_pm *pm, const struct chip_pin *sci,
		  const struct acpi_pm_config *cfg,
		  const struct acpi_pm_ops *ops, void *ctx, uint64_t now)
{
	*pm = (struct acpi_pm){
		.start_ns = now,
		.cfg = *cfg,
		.sci = *sci,
		.ops = ops,
		.ctx = ctx,
	};
	acpi_pm_reset(pm, now);
}

void acpi_pm_reset(struct acpi_pm *pm, uint64_t now)
{
	pm->sts = 0;
	pm->en = 0;
	pm->gpe_sts = 0;
	pm->gpe_en = 0;
	pm->cnt = has_smi_cmd(pm) ? 0 : ACPI_PM1_SCI_EN;
	pm->smi_cmd = 0;
	pm->seen_ns = now;
	update_sci(pm);
}

uint32_t acpi_pm_read(struct acpi_pm *pm, unsigned offset, unsigned len,
		      uint64_t now)
{
	uint32_t timer = acpi_pm_timer(pm, now);
	uint32_t val = 0;
	unsigned i;

	acpi_pm_advance(pm, now);
	for (i = 0; i < len && i < 4; i++)
		val |= (uint32_t)read_byte(pm, offset + i, timer) << 8 * i;
	return val;
}

void acpi_pm_write(struct acpi_pm *pm, unsigned offset, unsigned len,
		   uint32_t val, uint64_t now)
{
	unsigned i;

	acpi_pm_advance(pm, now);
	for (i = 0; i < len && i < 4; i++)
		write_byte(pm, offset + i, (uint8_t)(val >> 8 * i));
	update_sci(pm);
}

uint32_t acpi_pm_gpe_read(const struct acpi_pm *pm, unsigned offset,
			  unsigned len)
{
	uint64_t all = pm->gpe_sts | (uint64_t)pm->gpe_en << 16;

	return (uint32_t)(all >> 8 * offset & (BIT64(8 * len) - 1));
}

void acpi_pm_gpe_write(struct acpi_pm *pm, unsigned offset, unsigned len,
		       uint32_t val)
{
	uint64_t mask = (BIT64(8 * len) - 1) << 8 * offset;
	uint64_t wide = (uint64_t)val << 8 * offset & mask;

	pm->gpe_sts &= ~(uint16_t)wide; /* 1 clears */
	pm->gpe_en = (uint16_t)((pm->gpe_en & ~(mask >> 16)) | wide >> 16);
	update_sci(pm);
}

void acpi_pm_gpe_raise(struct acpi_pm *pm, unsigned n)
{
	pm->gpe_sts |= (uint16_t)BIT(n);
	update_sci(pm);
}

uint8_t acpi_pm_smi_read(const struct acpi_pm *pm)
{
	return pm->smi_cmd;
}

void acpi_pm_smi_write(struct acpi_pm *pm, uint8_t val)
{
	pm->smi_cmd = val;
	if (!has_smi_cmd(pm))
		return;
	if (val == pm->cfg.enable_val)
		pm->cnt |= ACPI_PM1_SCI_EN;
	else if (val == pm->cfg.disable_val)
		pm->cnt &= ~ACPI_PM1_SCI_EN;
	update_sci(pm);
}

void acpi_pm_power_button(struct acpi_pm *pm)
{
	pm->sts |= ACPI_PM1_PWRBTN;
	update_sci(pm);
}

uint32_t acpi_pm_timer(const struct acpi_pm *pm, uint64_t now)
{
	uint32_t mask = pm->cfg.timer32 ? 0xffffffff : 0xffffff;

	return (uint32_t)ticks(pm, now) & mask;
}

uint64_t acpi_pm_deadline(const struct acpi_pm *pm)
{
	uint64_t half;

	if (!(pm->en & ~pm->sts & ACPI_PM1_TMR))
		return CHIP_NEVER;
	half = ticks(pm, pm->seen_ns) >> top_bit(pm);
	return pm->start_ns + chip_muldiv_up((half + 1) << top_bit(pm),
					     NS_PER_SEC, ACPI_PM_TIMER_HZ);
}

void acpi_pm_advance(struct acpi_pm *pm, uint64_t now)
{
	unsigned bit = top_bit(pm);

	if (now <= pm->seen_ns)
		return;
	if (ticks(pm, now) >> bit != ticks(pm, pm->seen_ns) >> bit)
		pm->sts |= ACPI_PM1_TMR;
	pm->seen_ns = now;
	update_sci(pm);
}
