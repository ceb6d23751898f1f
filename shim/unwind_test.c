/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit test of function ranges: the test's own functions, by the symbols the
 * assembler puts around them, and tables in forms that are not read.
 */
#include "shim/shim.h"

#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Two functions of known size; between them what belongs to none. */
extern const uint8_t first[], first_end[], second[], second_end[];
__asm__(".pushsection .text\n"
	"	.balign 16\n"
	"first:	.cfi_startproc\n"
	"	nop\n"
	"	ret\n"
	"	.cfi_endproc\n"
	"first_end:\n"
	"	.byte 0x0f, 0xa2, 0x0f, 0xa2\n"
	"	.balign 16\n"
	"second: .cfi_startproc\n"
	"	.cfi_personality 0x9b, DW.ref.test_personality\n"
	"	.cfi_lsda 0x1b, second_end\n"
	"	xor %eax, %eax\n"
	"	cpuid\n"
	"	ret\n"
	"	.cfi_endproc\n"
	"second_end:\n"
	".popsection\n"
	".pushsection .data.rel.ro, \"aw\"\n"
	"	.balign 8\n"
	"DW.ref.test_personality:\n"
	"	.quad first\n"
	".popsection\n");

static const void *table;

static int find_table(struct dl_phdr_info *info, size_t size, void *arg)
{
	for (size_t i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME)
			table = (const void *)(info->dlpi_addr +
					       info->dlpi_phdr[i].p_vaddr);
	return 1; /* the program itself comes first */
}

static void expect(const uint8_t *pc, const uint8_t *start, const uint8_t *end)
{
	struct code_range r = {0};

	assert_true(unwind_find(table, (uintptr_t)pc, &r));
	assert_ptr_equal(r.start, start);
	assert_ptr_equal(r.end, end);
}

static void test_functions(void **state)
{
	struct code_range r;

	assert_non_null(table);
	expect(first, first, first_end);
	expect(first + 1, first, first_end);
	expect(second, second, second_end);
	expect(second + 2, second, second_end);
	assert_false(unwind_find(table, (uintptr_t)first_end, &r));
	assert_false(unwind_find(table, (uintptr_t)second - 1, &r));
	assert_false(unwind_find(table, 0, &r));
	assert_false(unwind_find(table, UINTPTR_MAX, &r));
}

static void test_forms(void **state)
{
	uint8_t copy[16];
	struct code_range r;

	for (int i = 0; i < 4; i++) {
		memcpy(copy, table, sizeof(copy));
		copy[i] ^= 0x40;
		assert_false(unwind_find(copy, (uintptr_t)first, &r));
	}
	memcpy(copy, table, sizeof(copy));
	memset(copy + 8, 0, 4); /* no function */
	assert_false(unwind_find(copy, (uintptr_t)first, &r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_functions),
		cmocka_unit_test(test_forms),
	};

	dl_iterate_phdr(find_table, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
