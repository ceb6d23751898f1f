/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From real mode at 1000:0000 to main(): protected mode, and with LONG also
 * 64-bit mode behind page tables that map the first 4 GiB one to one in 2 MiB
 * pages. SDM 3A "Mode Switching" (10.9), "Initializing IA-32e Mode" (10.8.5).
 */
#include "test/arch/proto.h"

	.section .start, "ax"
	.code16
	.globl	_start
_start:
	cli
	cld
	mov	%cs, %ax
	mov	%ax, %ds
	lgdtl	gdt_ptr - _start
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	ljmpl	$0x08, $start32

	.code32
start32:
	mov	$0x10, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	xor	%ax, %ax
	mov	%ax, %fs
	mov	%ax, %gs
	mov	$stack_top, %esp
	xor	%eax, %eax
	mov	$image_end, %edi
	mov	$bss_end, %ecx
	sub	%edi, %ecx
	rep stosb
#ifdef LONG
	call	make_tables
	call	enter_long
	ljmp	$0x18, $start64

/* PML4[0] -> PDPT[0..3] -> four directories of 2 MiB pages. */
make_tables:
	mov	$boot_pdpt + 7, %eax
	mov	%eax, boot_pml4
	mov	$boot_pd + 7, %eax
	mov	$boot_pdpt, %edi
	mov	$4, %ecx
1:	mov	%eax, (%edi)
	add	$0x1000, %eax
	add	$8, %edi
	loop	1b
	mov	$boot_pd, %edi
	mov	$0x83, %eax
	mov	$2048, %ecx
1:	mov	%eax, (%edi)
	add	$0x200000, %eax
	add	$8, %edi
	loop	1b
	ret

enter_long:
	mov	%cr4, %eax
	or	$0x20, %eax
	mov	%eax, %cr4
	mov	$boot_pml4, %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx
	rdmsr
	or	$0x900, %eax		/* LME, NXE */
	wrmsr
	mov	%cr0, %eax
	or	$0x80010001, %eax
	and	$0x9fffffff, %eax	/* CD, NW */
	mov	%eax, %cr0
	ret

	.code64
start64:
	mov	$stack_top, %rsp
	xor	%ebp, %ebp
	call	idt_init
	call	tss_init
	call	main
	call	finish

	.bss
	.balign	4096
	.globl	boot_pml4, boot_pdpt, boot_pd
boot_pml4:
	.skip	4096
boot_pdpt:
	.skip	4096
boot_pd:
	.skip	4 * 4096
#else
	mov	%cr0, %eax
	and	$0x9fffffff, %eax
	mov	%eax, %cr0
	xor	%ebp, %ebp
	call	idt_init
	call	tss_init
	call	main
	call	finish
#endif

	.bss
	.balign	16
	.skip	16384
	.globl	stack_top
stack_top:

	.data
	.balign	8
	.globl	gdt
gdt:
	.quad	0
	.quad	0x00cf9b000000ffff	/* 08 code, 32 bits */
	.quad	0x00cf93000000ffff	/* 10 data */
	.quad	0x00af9b000000ffff	/* 18 code, 64 bits */
	.quad	0x00cffb000000ffff	/* 20 code of CPL 3 */
	.quad	0x00cff3000000ffff	/* 28 data of CPL 3 */
	.quad	0x00affb000000ffff	/* 30 code of CPL 3, 64 bits */
	.quad	0x00009b000000ffff	/* 38 code, 16 bits */
	.quad	0x000093000000ffff	/* 40 data, 16 bits */
	.fill	64 - 9, 8, 0
gdt_ptr:
	.word	64 * 8 - 1
	.long	gdt
	.long	0
	.section .note.GNU-stack, "", @progbits
