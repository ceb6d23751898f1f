/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Into a block and back with every register set. All memory is reached by
 * absolute 32-bit addresses, because no register is free and fs and gs are
 * the block's. native_stub is copied to RET_GVA, so it is position-independent.
 */
#include <asm/prctl.h>
#include <asm/unistd.h>

#include "test/diff/layout.h"

/*
 * The bases of fs and gs. Where the kernel does not let user mode have the
 * instructions, it would lose what they set whenever it switches tasks: there
 * it is asked, for bases the block uses, and the block cannot change them.
 */
	.macro	prctl_base code, off
	mov	$\code, %edi
	mov	SAVE_GVA + \off, %rsi
	mov	$__NR_arch_prctl, %eax
	syscall
	.endm

	.macro	enter_bases
	testb	$BASES_OWN, SAVE_GVA + BASES
	jz	1f
	mov	SAVE_GVA + IN_FS, %rax
	wrfsbase %rax
	mov	SAVE_GVA + IN_GS, %rax
	wrgsbase %rax
1:	testb	$BASES_GS, SAVE_GVA + BASES
	jz	2f
	prctl_base ARCH_SET_GS, IN_GS
2:	testb	$BASES_FS, SAVE_GVA + BASES
	jz	3f
	prctl_base ARCH_SET_FS, IN_FS
3:
	.endm

/* C code has no use for gs. Clobbers rax, rcx, rdi, rsi, r11. */
	.macro	leave_bases
	testb	$BASES_OWN, SAVE_GVA + BASES
	jz	1f
	rdfsbase %rax
	mov	%rax, SAVE_GVA + OUT_FS
	rdgsbase %rax
	mov	%rax, SAVE_GVA + OUT_GS
	mov	SAVE_GVA + HOST_FS, %rax
	wrfsbase %rax
1:	testb	$BASES_FS, SAVE_GVA + BASES
	jz	2f
	prctl_base ARCH_SET_FS, HOST_FS
2:
	.endm

	.text
	.globl	native_enter
	.type	native_enter, @function
/* void native_enter(const void *xsave): returns when the block has ended. */
native_enter:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, SAVE_GVA + HOST_RSP
	mov	SAVE_GVA + XFEATURES, %eax
	xor	%edx, %edx
	xrstor64 (%rdi)
	mov	%edx, %ds
	mov	%edx, %es
	enter_bases
	push	SAVE_GVA + IN_FLAGS
	popf
	mov	SAVE_GVA + IN_GPR + 0, %rax
	mov	SAVE_GVA + IN_GPR + 8, %rcx
	mov	SAVE_GVA + IN_GPR + 16, %rdx
	mov	SAVE_GVA + IN_GPR + 24, %rbx
	mov	SAVE_GVA + IN_GPR + 32, %rsp
	mov	SAVE_GVA + IN_GPR + 40, %rbp
	mov	SAVE_GVA + IN_GPR + 48, %rsi
	mov	SAVE_GVA + IN_GPR + 56, %rdi
	mov	SAVE_GVA + IN_GPR + 64, %r8
	mov	SAVE_GVA + IN_GPR + 72, %r9
	mov	SAVE_GVA + IN_GPR + 80, %r10
	mov	SAVE_GVA + IN_GPR + 88, %r11
	mov	SAVE_GVA + IN_GPR + 96, %r12
	mov	SAVE_GVA + IN_GPR + 104, %r13
	mov	SAVE_GVA + IN_GPR + 112, %r14
	mov	SAVE_GVA + IN_GPR + 120, %r15
	jmp	*SAVE_GVA + IN_RIP
	.size	native_enter, . - native_enter

/* The end of a block, running at RET_GVA. */
	.globl	native_stub, native_stub_end
native_stub:
	mov	%rsp, SAVE_GVA + OUT_GPR + 32
	mov	SAVE_GVA + HOST_RSP, %rsp
	pushf
	push	$0x202
	popf
	mov	%rax, SAVE_GVA + OUT_GPR + 0
	pop	%rax
	mov	%rax, SAVE_GVA + OUT_FLAGS
	mov	%rcx, SAVE_GVA + OUT_GPR + 8
	mov	%rdx, SAVE_GVA + OUT_GPR + 16
	mov	%rbx, SAVE_GVA + OUT_GPR + 24
	mov	%rbp, SAVE_GVA + OUT_GPR + 40
	mov	%rsi, SAVE_GVA + OUT_GPR + 48
	mov	%rdi, SAVE_GVA + OUT_GPR + 56
	mov	%r8, SAVE_GVA + OUT_GPR + 64
	mov	%r9, SAVE_GVA + OUT_GPR + 72
	mov	%r10, SAVE_GVA + OUT_GPR + 80
	mov	%r11, SAVE_GVA + OUT_GPR + 88
	mov	%r12, SAVE_GVA + OUT_GPR + 96
	mov	%r13, SAVE_GVA + OUT_GPR + 104
	mov	%r14, SAVE_GVA + OUT_GPR + 112
	mov	%r15, SAVE_GVA + OUT_GPR + 120
	leave_bases
	mov	SAVE_GVA + XFEATURES, %eax
	xor	%edx, %edx
	xsave64	SAVE_GVA + OUT_XSAVE
	fninit
	push	$0x1f80
	ldmxcsr	(%rsp)
	pop	%rax
	testb	$4, SAVE_GVA + XFEATURES
	jz	1f
	vzeroupper
1:	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret
native_stub_end:

/*
 * Signal handler: the block's fs, gs and AC must go before any C code runs.
 * native_fault() notes the state; then native_enter() returns to its caller
 * past the signal frame, which the kernel allows on an alternate stack.
 */
	.globl	native_signal
	.type	native_signal, @function
native_signal:
	push	$0x202
	popf
	mov	%edi, %ebx
	mov	%rsi, %rbp
	mov	%rdx, %r12
	leave_bases
	mov	%ebx, %edi
	mov	%rbp, %rsi
	mov	%r12, %rdx
	call	native_fault
	mov	SAVE_GVA + HOST_RSP, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret
	.size	native_signal, . - native_signal
	.section .note.GNU-stack, "", @progbits
