/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Table headers, checksums and the fixed tables. Field offsets are those of
 * ACPI 6.5 "System Description Table Header" (5.2.6) and the table's own
 * section; a table is zeroed first and only non-zero fields are written.
 */
#include "vmm/acpi.h"

#include <errno.h>
#include <string.h>

#include "dev/isa.h"
#include "vmm/dsdt.h"
#include "vmm/layout.h"

#define HEADER_SIZE 36
#define FADT_SIZE   276
#define FACS_SIZE   64
#define RSDP_SIZE   36
#define MAX_TABLES  4 /* in RSDT and XSDT */

/* FADT IA-PC boot architecture and feature flags */
#define BOOT_LEGACY    BIT(0)
#define BOOT_8042      BIT(1)
#define BOOT_NO_VGA    BIT(2)
#define FADT_WBINVD    BIT(0)
#define FADT_PROC_C1   BIT(2)
#define FADT_SLPBTN    BIT(5) /* no fixed sleep button */
#define FADT_TMR32     BIT(8)
#define FADT_RESET_REG BIT(10)

struct build {
	struct aml out; /* the whole buffer; AML helpers do for any bytes */
	uint64_t gpa;
	const struct acpi_machine *m;
	uint64_t table[MAX_TABLES]; /* gpas for RSDT and XSDT */
	unsigned tables;
	uint64_t facs;
	uint64_t dsdt;
};

static void put(uint8_t *p, uint64_t v, unsigned size)
{
	memcpy(p, &v, size);
}

static uint8_t checksum(const uint8_t *p, size_t n)
{
	uint8_t sum = 0;

	while (n--)
		sum = (uint8_t)(sum + *p++);
	return (uint8_t)-sum;
}

static void align(struct build *b, size_t to)
{
	while (b->out.used % to && !b->out.overflow)
		aml_u8(&b->out, 0);
}

/* Begin a table at the next 64-byte line; returns its offset. */
static size_t begin(struct build *b, const char *signature, uint8_t revision)
{
	struct aml *a = &b->out;
	size_t start;

	align(b, 64);
	start = a->used;
	aml_bytes(a, signature, 4);
	aml_u32(a, 0); /* length, by end() */
	aml_u8(a, revision);
	aml_u8(a, 0); /* checksum, by end() */
	aml_bytes(a, "LODGE ", 6);
	aml_bytes(a, "LODGEVMM", 8);
	aml_u32(a, 1);
	aml_bytes(a, "LDGE", 4);
	aml_u32(a, 1);
	return start;
}

static uint64_t end(struct build *b, size_t start)
{
	uint8_t *p = b->out.buf + start;
	size_t len = b->out.used - start;

	if (b->out.overflow)
		return 0;
	put(p + 4, len, 4);
	p[9] = 0;
	p[9] = checksum(p, len);
	return b->gpa + start;
}

static void list(struct build *b, uint64_t table)
{
	b->table[b->tables++] = table;
}

static void facs(struct build *b)
{
	uint8_t t[FACS_SIZE] = "FACS";

	put(t + 4, FACS_SIZE, 4);
	t[32] = 2; /* version */
	align(b, 64);
	b->facs = b->gpa + b->out.used;
	aml_bytes(&b->out, t, sizeof(t));
}

static void dsdt(struct build *b)
{
	size_t start = begin(b, "DSDT", 2);

	dsdt_body(&b->out, b->m);
	b->dsdt = end(b, start);
}

/* A Generic Address Structure in I/O space. */
static void gas(uint8_t *p, uint16_t port, unsigned bits)
{
	static const uint8_t access[] = {[8] = 1, [16] = 2, [32] = 3};

	p[0] = 1;
	p[1] = (uint8_t)bits;
	p[3] = access[bits];
	put(p + 4, port, 8);
}

static void fadt_power(uint8_t *t)
{
	put(t + 46, ISA_IRQ_SCI, 2);
	put(t + 56, ISA_PORT_PM + ACPI_PM_EVT, 4);
	put(t + 64, ISA_PORT_PM + ACPI_PM_CNT, 4);
	put(t + 76, ISA_PORT_PM + ACPI_PM_TMR, 4);
	t[88] = 4; /* PM1_EVT_LEN */
	t[89] = 2; /* PM1_CNT_LEN */
	t[91] = 4; /* PM_TMR_LEN */
	put(t + 80, ISA_PORT_GPE, 4);
	t[92] = ACPI_GPE_SIZE;
	gas(t + 148, ISA_PORT_PM + ACPI_PM_EVT, 32);
	gas(t + 172, ISA_PORT_PM + ACPI_PM_CNT, 16);
	gas(t + 208, ISA_PORT_PM + ACPI_PM_TMR, 32);
	gas(t + 220, ISA_PORT_GPE, 8 * ACPI_GPE_SIZE);
	gas(t + 116, ISA_PORT_CF9, 8);
	t[128] = ISA_CF9_RESET;
}

static void fadt(struct build *b)
{
	uint8_t t[FADT_SIZE] = {0};
	size_t start = begin(b, "FACP", 6);

	put(t + 36, b->facs, 4);
	put(t + 40, b->dsdt, 4);
	put(t + 96, 0xfff, 2); /* no C2 */
	put(t + 98, 0xfff, 2); /* no C3 */
	fadt_power(t);
	t[108] = RTC_REG_CENTURY;
	put(t + 109, BOOT_LEGACY | BOOT_8042 | BOOT_NO_VGA, 2);
	put(t + 112,
	    FADT_WBINVD | FADT_PROC_C1 | FADT_SLPBTN | FADT_TMR32 |
		    FADT_RESET_REG,
	    4);
	t[131] = 5; /* 6.5 */
	put(t + 140, b->dsdt, 8);
	memcpy(t + 268, "LODGE", 5);
	aml_bytes(&b->out, t + HEADER_SIZE, sizeof(t) - HEADER_SIZE);
	list(b, end(b, start));
}

static void madt_cpu(struct aml *a, unsigned uid, uint32_t apic_id)
{
	if (apic_id < 255) {
		aml_u8(a, 0); /* Processor Local APIC */
		aml_u8(a, 8);
		aml_u8(a, (uint8_t)uid);
		aml_u8(a, (uint8_t)apic_id);
		aml_u32(a, 1); /* enabled */
		return;
	}
	aml_u8(a, 9); /* Processor Local x2APIC */
	aml_u8(a, 16);
	aml_u16(a, 0);
	aml_u32(a, apic_id);
	aml_u32(a, 1);
	aml_u32(a, uid);
}

static void madt_override(struct aml *a, unsigned irq, unsigned gsi,
			  unsigned flags)
{
	aml_u8(a, 2);
	aml_u8(a, 10);
	aml_u8(a, 0); /* ISA */
	aml_u8(a, (uint8_t)irq);
	aml_u32(a, gsi);
	aml_u16(a, (uint16_t)flags);
}

static void madt(struct build *b)
{
	struct aml *a = &b->out;
	size_t start = begin(b, "APIC", 5);
	unsigned i;

	aml_u32(a, LAYOUT_LAPIC);
	aml_u32(a, 1); /* there are two 8259s as well */
	for (i = 0; i < b->m->cpus; i++)
		madt_cpu(a, i, b->m->apic_id[i]);
	aml_u8(a, 1); /* I/O APIC */
	aml_u8(a, 12);
	aml_u8(a, (uint8_t)b->m->ioapic_id);
	aml_u8(a, 0);
	aml_u32(a, LAYOUT_IOAPIC);
	aml_u32(a, 0);
	madt_override(a, 0, 2, 0);
	madt_override(a, ISA_IRQ_SCI, ISA_IRQ_SCI, 0xd); /* level, high */
	aml_u8(a, 4); /* Local APIC NMI: every CPU, LINT1 */
	aml_u8(a, 6);
	aml_u8(a, 0xff);
	aml_u16(a, 0);
	aml_u8(a, 1);
	list(b, end(b, start));
}

static void mcfg(struct build *b)
{
	struct aml *a = &b->out;
	size_t start = begin(b, "MCFG", 1);

	aml_u64(a, 0);
	aml_u64(a, LAYOUT_ECAM);
	aml_u16(a, 0); /* segment */
	aml_u8(a, 0);  /* first bus */
	aml_u8(a, 0xff);
	aml_u32(a, 0);
	list(b, end(b, start));
}

static uint64_t root(struct build *b, const char *signature, unsigned size)
{
	size_t start = begin(b, signature, 1);
	unsigned i;

	for (i = 0; i < b->tables; i++)
		aml_bytes(&b->out, &b->table[i], size);
	return end(b, start);
}

static void rsdp(uint8_t *p, uint64_t rsdt, uint64_t xsdt)
{
	memset(p, 0, RSDP_SIZE);
	memcpy(p, "RSD PTR ", 8);
	memcpy(p + 9, "LODGE ", 6);
	p[15] = 2; /* revision */
	put(p + 16, rsdt, 4);
	put(p + 20, RSDP_SIZE, 4);
	put(p + 24, xsdt, 8);
	p[8] = checksum(p, 20);
	p[32] = checksum(p, RSDP_SIZE);
}

int acpi_build(uint8_t *buf, size_t size, uint64_t gpa,
	       const struct acpi_machine *m, struct err *e)
{
	static const uint8_t room[RSDP_SIZE];
	struct build b = {.gpa = gpa, .m = m};
	uint64_t rsdt, xsdt;

	aml_init(&b.out, buf, size);
	aml_bytes(&b.out, room, sizeof(room));
	facs(&b);
	dsdt(&b);
	fadt(&b);
	madt(&b);
	if (m->pci)
		mcfg(&b);
	rsdt = root(&b, "RSDT", 4);
	xsdt = root(&b, "XSDT", 8);
	if (b.out.overflow)
		return err_set(e, -ENOSPC,
			       "the ACPI tables of %u CPUs need more than %zu "
			       "bytes",
			       m->cpus, size);
	rsdp(buf, rsdt, xsdt);
	return (int)b.out.used;
}
