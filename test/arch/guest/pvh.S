/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The third way in: an ELF file with a PVH entry that has a Multiboot image
 * inside and is its boot loader. The image finds boot information with a
 * command line alone, and the start info of PVH behind it.
 */
#include "test/arch/proto.h"

#define MAGIC 0x1badb002
#define ENTRY 28	/* in its header: the entry's address */

	.section .text.pvh, "ax"
	.code32
	.globl	pvh_entry
pvh_entry:
	cld
	mov	$stack, %esp
	mov	%ebx, start_info
	mov	$image, %esi
	mov	$IMAGE_GPA, %edi
	mov	$image_size, %ecx
	rep movsb
	mov	24(%ebx), %esi		/* cmdline_paddr, below 4 GiB */
	test	%esi, %esi
	jz	2f
	mov	$args, %edi
	mov	$MB_ARGS_MAX, %ecx
1:	lodsb
	stosb
	test	%al, %al
	loopnz	1b
2:	mov	$IMAGE_GPA - 4, %ebx
3:	add	$4, %ebx		/* magic, flags, checksum: sum 0 */
	cmpl	$MAGIC, (%ebx)
	jne	3b
	mov	(%ebx), %eax
	add	4(%ebx), %eax
	add	8(%ebx), %eax
	jnz	3b
	mov	ENTRY(%ebx), %ecx
	mov	$info, %ebx
	mov	$0x2badb002, %eax
	jmp	*%ecx

	.section .data.pvh, "aw"
	.balign	8
info:	.long	1 << 2			/* a command line */
	.long	0, 0, 0
	.long	cmdline
	.skip	MB_START_INFO - 20
start_info:
	.long	0
cmdline: .ascii	"pvh "
args:	.skip	MB_ARGS_MAX
	.skip	256
stack:
	.skip	8192			/* where loaders look for Multiboot */
image:	.incbin	PVH_IMAGE
	.equ	image_size, . - image

	.section .note.pvh, "a", @note
	.balign	4
	.long	4, 4, 18		/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.long	pvh_entry
	.section .note.GNU-stack, "", @progbits
