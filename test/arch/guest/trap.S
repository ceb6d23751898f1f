/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry of every vector: a uniform struct trap on the stack, trap_enter() in
 * C, and back by IRET. Vectors without an error code push 0 for it.
 */
	.text
#ifdef __x86_64__
#define STUB_PUSH pushq
#else
#define STUB_PUSH pushl
#endif
	.balign	16
	.globl	trap_stubs
trap_stubs:
	.set	vec, 0
	.rept	256
	.balign	16
	.if	(vec == 8) || (vec >= 10 && vec <= 14) || (vec == 17)
	.else
	STUB_PUSH $0
	.endif
	STUB_PUSH $vec
	jmp	common
	.set	vec, vec + 1
	.endr

common:
#ifdef __x86_64__
	push	%rax
	push	%rcx
	push	%rdx
	push	%rbx
	push	%rbp
	push	%rsi
	push	%rdi
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	cld
	mov	%rsp, %rdi
	mov	%rsp, %rbp
	and	$-16, %rsp
	call	trap_enter
	mov	%rbp, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdi
	pop	%rsi
	pop	%rbp
	pop	%rbx
	pop	%rdx
	pop	%rcx
	pop	%rax
	add	$16, %rsp
	iretq

/* unsigned int try_call(void *fn, reg_t a, reg_t b) */
	.globl	try_call
try_call:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rdi, %rax
	mov	%rsi, %rdi
	mov	%rdx, %rsi
	movq	$1f, try_ip
	mov	%rsp, try_sp
	call	*%rax
	movq	$0, try_ip
	mov	$0x100, %eax
1:	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

/* unsigned int user_call(reg_t ip, reg_t sp, reg_t a, reg_t b) */
	.globl	user_call
user_call:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, tss + 4
	movq	$1f, try_ip
	mov	%rsp, try_sp
	mov	%rdi, %r8
	push	$0x2b
	push	%rsi
	pushf
	push	$0x33
	push	%r8
	mov	%rdx, %rdi
	mov	%rcx, %rsi
	iretq
1:	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret
#else
	push	%eax
	push	%ecx
	push	%edx
	push	%ebx
	push	%ebp
	push	%esi
	push	%edi
	cld
	mov	%ss, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%esp, %eax
	mov	%esp, %ebp
	push	%eax
	call	trap_enter
	mov	%ebp, %esp
	pop	%edi
	pop	%esi
	pop	%ebp
	pop	%ebx
	pop	%edx
	pop	%ecx
	pop	%eax
	add	$8, %esp
	iret

	.globl	try_call
try_call:
	push	%ebx
	push	%ebp
	push	%esi
	push	%edi
	movl	$1f, try_ip
	mov	%esp, try_sp
	push	28(%esp)
	push	28(%esp)
	call	*28(%esp)
	add	$8, %esp
	movl	$0, try_ip
	mov	$0x100, %eax
1:	pop	%edi
	pop	%esi
	pop	%ebp
	pop	%ebx
	ret

	.globl	user_call
user_call:
	push	%ebx
	push	%ebp
	push	%esi
	push	%edi
	mov	%esp, tss + 4
	movl	$1f, try_ip
	mov	%esp, try_sp
	mov	20(%esp), %eax
	mov	24(%esp), %ecx
	mov	28(%esp), %edi
	mov	32(%esp), %esi
	push	$0x2b
	push	%ecx
	pushf
	push	$0x23
	push	%eax
	mov	$0x2b, %ax
	mov	%ax, %ds
	mov	%ax, %es
	iret
1:	mov	$0x10, %cx
	mov	%cx, %ds
	mov	%cx, %es
	pop	%edi
	pop	%esi
	pop	%ebp
	pop	%ebx
	ret
#endif
	.section .note.GNU-stack, "", @progbits
