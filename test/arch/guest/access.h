/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests of paging do to a page: three kinds of access, from CPL 0 and
 * from CPL 3, and what became of it.
 */
#ifndef ARCH_GUEST_ACCESS_H
#define ARCH_GUEST_ACCESS_H

#include "test/arch/guest/arch.h"

#define PTE_A 0x20u
#define PTE_D 0x40u

enum access { READ, WRITE, FETCH };

static void do_read(volatile uint8_t *p, reg_t unused)
{
	(void)p[16];
}

static void do_write(volatile uint8_t *p, reg_t unused)
{
	p[16] = 0x55;
}

static void do_fetch(void (*p)(void), reg_t unused)
{
	p();
}

/* mov 16(%rdi),%al; int / movb $0x55,16(%rdi); int / call *%rdi; int */
static const uint8_t user_code[3][16] = {
	{0x8a, 0x47, 0x10, 0xcd, USER_RETURN},
	{0xc6, 0x47, 0x10, 0x55, 0xcd, USER_RETURN},
	{0xff, 0xd7, 0xcd, USER_RETURN},
};

/* -1: no fault, an error code of #PF, -2: another exception. */
static int access_kernel(enum access access, reg_t at)
{
	static void *const fn[] = {do_read, do_write, do_fetch};
	unsigned int v = try_call(fn[access], at, 0);

	return v == NO_FAULT ? -1 : v == 14 ? (int)caught.error : -2;
}

/* The same by user_code, which is mapped at @code, with its stack behind it. */
static int access_user(enum access access, reg_t at, reg_t code)
{
	unsigned int v = user_call(code + 16 * access, code + 0x2000, at, 0);

	return v == USER_RETURN ? -1 : v == 14 ? (int)caught.error : -2;
}

/* The leaf's accessed and dirty bits after an access that ended as @want. */
static bool ad_right(enum access access, uint32_t leaf, int want)
{
	if (want >= 0)
		return !(leaf & PTE_D);
	return leaf & PTE_A && !!(leaf & PTE_D) == (access == WRITE);
}

#endif
