/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables are walked from the RSDP as an operating system does, and read
 * by ACPI's reference compiler where it is installed.
 */
#include "vmm/acpi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/layout.h"

static uint8_t area[ACPI_MAX_SIZE];
static uint32_t ids[1024];

static void build(unsigned cpus, bool pci, uint16_t pvpanic)
{
	struct acpi_machine m = {
		.apic_id = ids,
		.cpus = cpus,
		.pci = pci,
		.serial_port = 0x3f8,
		.pvpanic_port = pvpanic,
	};
	struct err e = {0};
	unsigned i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(ids); i++)
		ids[i] = i;
	memset(area, 0xcc, sizeof(area));
	ret = acpi_build(area, sizeof(area), LAYOUT_BIOS, &m, &e);
	assert_string_equal(e.msg, "");
	assert_in_range(ret, 1, sizeof(area));
}

static uint64_t le(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	memcpy(&v, p, n);
	return v;
}

static const uint8_t *at(uint64_t gpa)
{
	assert_in_range(gpa, LAYOUT_BIOS, LAYOUT_BIOS + sizeof(area) - 36);
	return area + (gpa - LAYOUT_BIOS);
}

static const uint8_t *checked(uint64_t gpa)
{
	const uint8_t *t = at(gpa);
	uint64_t len = le(t + 4, 4), i;
	uint8_t sum = 0;

	assert_in_range(len, 36, sizeof(area) - (size_t)(t - area));
	for (i = 0; i < len; i++)
		sum = (uint8_t)(sum + t[i]);
	assert_int_equal(sum, 0);
	return t;
}

/* The table with @signature that the XSDT lists, or NULL. */
static const uint8_t *find(const char *signature)
{
	const uint8_t *xsdt, *rsdt, *hit = NULL, *t;
	uint64_t i, n;

	assert_memory_equal(area, "RSD PTR ", 8);
	xsdt = checked(le(area + 24, 8));
	rsdt = checked(le(area + 16, 4));
	n = (le(xsdt + 4, 4) - 36) / 8;
	assert_int_equal((le(rsdt + 4, 4) - 36) / 4, n);
	for (i = 0; i < n; i++) {
		t = checked(le(xsdt + 36 + 8 * i, 8));
		assert_ptr_equal(t, at(le(rsdt + 36 + 4 * i, 4)));
		if (!memcmp(t, signature, 4))
			hit = t;
	}
	return hit;
}

static const uint8_t *dsdt(void)
{
	const uint8_t *fadt = find("FACP");

	assert_non_null(fadt);
	assert_int_equal(le(fadt + 40, 4), le(fadt + 140, 8));
	return checked(le(fadt + 40, 4));
}

static void test_rsdp(void **state)
{
	uint8_t sum = 0;
	unsigned i;

	build(1, true, 0);
	for (i = 0; i < 20; i++)
		sum = (uint8_t)(sum + area[i]);
	assert_int_equal(sum, 0);
	for (; i < 36; i++)
		sum = (uint8_t)(sum + area[i]);
	assert_int_equal(sum, 0);
	assert_int_equal(area[15], 2);
}

static void test_fadt(void **state)
{
	const uint8_t *t;

	build(1, true, 0);
	t = find("FACP");
	assert_non_null(t);
	assert_int_equal(le(t + 4, 4), 276);
	assert_memory_equal(at(le(t + 36, 4)), "FACS", 4);
	assert_int_equal(le(t + 36, 4) % 64, 0);
	assert_int_equal(le(t + 46, 2), 9);
	assert_int_equal(le(t + 48, 4), 0); /* always in ACPI mode */
	assert_int_equal(le(t + 56, 4), 0x600);
	assert_int_equal(le(t + 64, 4), 0x604);
	assert_int_equal(le(t + 76, 4), 0x608);
	assert_int_equal(le(t + 120, 8), 0xcf9);
	assert_int_equal(t[128], 6);
	assert_int_equal(le(t + 112, 4) & BIT(20), 0); /* not reduced */
	assert_int_not_equal(le(t + 112, 4) & BIT(10), 0);
	assert_memory_equal(dsdt(), "DSDT", 4);
}

/* MADT entries of @type, and the last one's bytes in @last. */
static unsigned madt_count(unsigned type, const uint8_t **last)
{
	const uint8_t *t = find("APIC"), *p, *stop;
	unsigned n = 0;

	assert_non_null(t);
	stop = t + le(t + 4, 4);
	for (p = t + 44; p < stop; p += p[1]) {
		assert_in_range(p[1], 6, 16);
		if (p[0] != type)
			continue;
		n++;
		*last = p;
	}
	assert_ptr_equal(p, stop);
	return n;
}

static void test_madt(void **state)
{
	const uint8_t *p = NULL;

	build(3, false, 0);
	assert_int_equal(madt_count(0, &p), 3);
	assert_int_equal(p[2], 2);
	assert_int_equal(p[3], 2);
	assert_int_equal(madt_count(1, &p), 1);
	assert_int_equal(le(p + 4, 4), 0xfec00000);
	assert_int_equal(madt_count(2, &p), 2);
	assert_int_equal(p[3], 9);
	assert_int_equal(le(p + 8, 2), 0xd);
	build(1024, true, 0);
	assert_int_equal(madt_count(0, &p), 255);
	assert_int_equal(madt_count(9, &p), 1024 - 255);
	assert_int_equal(le(p + 4, 4), 1023);
}

static void test_mcfg(void **state)
{
	const uint8_t *t;

	build(1, false, 0);
	assert_null(find("MCFG"));
	build(1, true, 0);
	t = find("MCFG");
	assert_non_null(t);
	assert_int_equal(le(t + 44, 8), 0xe0000000);
	assert_int_equal(t[55], 255);
}

static void test_no_space(void **state)
{
	struct acpi_machine m = {.apic_id = ids, .cpus = 200, .pci = true};
	struct err e = {0};
	size_t size;

	for (size = 36; size < 9000; size += 97) {
		e.code = 0;
		assert_in_range(-acpi_build(area, size, LAYOUT_BIOS, &m, &e), 1,
				4095);
		assert_non_null(strstr(e.msg, "200 CPUs"));
	}
}

static void save(const char *dir, const char *name, const uint8_t *t)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.aml", dir, name);
	f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(t, 1, le(t + 4, 4), f), le(t + 4, 4));
	assert_int_equal(fclose(f), 0);
}

/*
 * Disassemble every table; compile the DSDT's source again, where a broken
 * definition shows as an error or a warning, and look for a phrase.
 */
static void iasl(const char *phrase)
{
	static const char *const names[] = {"FACP", "APIC", "MCFG"};
	char dir[] = "/tmp/acpi-test-XXXXXX", cmd[1024];
	const uint8_t *t;
	size_t i;

	assert_non_null(mkdtemp(dir));
	save(dir, "DSDT", dsdt());
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		t = find(names[i]);
		if (t)
			save(dir, names[i], t);
	}
	snprintf(cmd, sizeof(cmd),
		 "cd %s && for t in *.aml; do iasl -d $t >$t.log 2>&1 && "
		 "! grep -iE 'error|invalid|unknown|checksum' $t.log || exit; "
		 "done && iasl -we -p again DSDT.dsl >log 2>&1 && "
		 "grep -q '0 Errors, 0 Warnings' log && grep -q '%s' DSDT.dsl",
		 dir, phrase);
	if (system(cmd))
		fail_msg("see %s: %s", dir, cmd);
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	assert_int_equal(system(cmd), 0);
}

static void test_iasl(void **state)
{
	if (system("iasl -v >/dev/null 2>&1")) {
		print_message("iasl (acpica-tools) is missing\n");
		skip();
	}
	build(4, true, 0x505);
	iasl("QEMU0001");
	build(1, false, 0);
	iasl("PNP0501");
	build(1, true, 0);
	iasl("QEMU0002");
	build(300, true, 0x505);
	iasl("Device (C12B)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rsdp),     cmocka_unit_test(test_fadt),
		cmocka_unit_test(test_madt),     cmocka_unit_test(test_mcfg),
		cmocka_unit_test(test_no_space), cmocka_unit_test(test_iasl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
