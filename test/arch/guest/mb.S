/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other way in: Multiboot Specification 0.6.96, "OS image format" with
 * the address fields, since the image has to lie where real mode reaches it.
 * The command line behind its first word is kept, interrupt controllers that
 * firmware may have left open are masked, and then real mode goes on at
 * _start as if nothing had been: SDM 3A "Switching Back to Real-Address Mode".
 */
#include "test/arch/proto.h"

#define MAGIC 0x1badb002
#define FLAGS 0x00010003	/* aligned modules, memory map, addresses */

	.section .start.mb, "ax"
	.balign	4
header:	.long	MAGIC, FLAGS, -(MAGIC + FLAGS)
	.long	header, IMAGE_GPA, 0, bss_end, mb_entry

	.code32
mb_entry:
	cld
	cmp	$0x2badb002, %eax
1:	jne	1b
	movl	$1, mb_boot
	mov	%ebx, mb_info
	mov	$0xff, %al
	outb	%al, $0x21
	outb	%al, $0xa1
	testb	$4, (%ebx)		/* is there a command line? */
	jz	4f
	mov	16(%ebx), %esi
	mov	$mb_args, %edi
	mov	$MB_ARGS_MAX - 1, %ecx
2:	lodsb
	test	%al, %al
	jz	4f
	cmp	$' ', %al
	jne	2b
3:	lodsb
	stosb
	test	%al, %al
	loopnz	3b
4:	lgdt	mb_gdt_ptr
	lidt	mb_idt_ptr
	mov	$0x10, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %fs
	mov	%ax, %gs
	mov	%ax, %ss
	ljmp	$0x08, $1f - IMAGE_GPA
	.code16
1:	mov	%cr0, %eax
	and	$0x7ffffffe, %eax
	mov	%eax, %cr0
	ljmp	$IMAGE_GPA >> 4, $0

	.balign	8
mb_gdt:	.quad	0
	.quad	0x00009b010000ffff	/* 08 code at IMAGE_GPA */
	.quad	0x000093000000ffff	/* 10 data at 0 */
mb_gdt_ptr:
	.word	23
	.long	mb_gdt
mb_idt_ptr:
	.word	0x3ff
	.long	0

	.globl	mb_boot, mb_info, mb_args
	.balign	4
mb_boot: .long	0
mb_info: .long	0
mb_args: .skip	MB_ARGS_MAX
	.section .note.GNU-stack, "", @progbits
