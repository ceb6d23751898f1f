/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where other processors start: copied to a page below 1 MiB, entered in real
 * mode by SIPI, and on into 64-bit mode with the boot processor's tables.
 */
	.text
	.code16
	.globl	ap_start, ap_start_end
ap_start:
	cli
	mov	%cs, %ax
	mov	%ax, %ds
	lgdtl	ap_gdt - ap_start
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	ljmpl	$0x08, $ap32
ap_gdt:
	.word	64 * 8 - 1
	.long	gdt
ap_start_end:

	.code32
ap32:
	mov	$0x10, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	%cr4, %eax
	or	$0x20, %eax
	mov	%eax, %cr4
	mov	$boot_pml4, %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx
	rdmsr
	or	$0x900, %eax
	wrmsr
	mov	%cr0, %eax
	or	$0x80010001, %eax
	and	$0x9fffffff, %eax
	mov	%eax, %cr0
	ljmp	$0x18, $ap64

	.code64
ap64:
	mov	$1, %edi
	lock xadd %edi, ap_next		/* 1, 2, 3, ... */
	mov	%edi, %eax
	shl	$12, %eax
	lea	ap_stacks(%rax), %rsp
	lidt	ap_idt
	call	ap_main
1:	cli
	hlt
	jmp	1b
	.bss
	.balign	4096
ap_stacks:
	.skip	17 * 4096
	.section .note.GNU-stack, "", @progbits
