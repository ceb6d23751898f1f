/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real mode: addressing, wrap and limits, the vector table, 16-bit forms of
 * stack and string instructions, decimal adjustment, mode switches and what
 * stays of them. SDM 3B "8086 Emulation" (20.1). Values were worked out by
 * hand from the manuals. Runs at 1000:0000 without boot.S; data is in the
 * same segment, scratch memory at 5000:0, stack at 4000:fff0.
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
	mov	$0x4000, %ax
	mov	%ax, %ss
	mov	$0xfff0, %sp
	mov	$0x5000, %ax
	mov	%ax, %es
	call	set_vectors
	call	run_tests
	jmp	finish

	.macro	ROW name fn says
	.word	9f - _start, \fn - _start
	.asciz	"\name"
	.asciz	"\says"
9:
	.endm
table:
	ROW	"operands" t_operands "SDM 3B 'Registers Supported in Real-Address Mode': operands of 16 and 32 bits"
	ROW	"addressing" t_addressing "SDM 2 '16-Bit Addressing Forms with the ModR/M Byte'"
	ROW	"wrap" t_wrap "SDM 3B 'Address Translation in Real-Address Mode': wrap and limit"
	ROW	"vectors" t_vectors "SDM 3B 'Interrupt and Exception Handling' in real mode"
	ROW	"int1" t_int1 "SDM 2 'INT n/INTO/INT3/INT1 - Call to Interrupt Procedure': INT1"
	ROW	"step" t_step "SDM 3B 'Single-Step Exception Condition'"
	ROW	"stack" t_stack "SDM 2 'PUSH', 'POP', 'PUSHA/PUSHAD', 'POPF': 16-bit stacks"
	ROW	"enter" t_enter "SDM 2 'ENTER - Make Stack Frame for Procedure Parameters', 'LEAVE'"
	ROW	"decimal" t_decimal "SDM 1 'Decimal Arithmetic Instructions'"
	ROW	"string" t_string "SDM 1 'String Operations': 16-bit addresses"
	ROW	"far" t_far "SDM 1 'Far CALL and RET Operation'"
	ROW	"loops" t_loops "SDM 2 'LOOP/LOOPcc', 'Jcc': CX and ECX as counters"
	ROW	"misc" t_misc "SDM 3B 'Instructions Supported in Real-Address Mode'"
	ROW	"undefined" t_undefined "SDM 3B 'Real-Address Mode Exceptions': instructions of protected mode"
	ROW	"lidt" t_lidt "SDM 3B 'Interrupt and Exception Handling' in real mode: the table moves"
	ROW	"modes" t_switches "SDM 3A 'Switching to Protected Mode', 'Switching Back to Real-Address Mode'"
	ROW	"code-wrap" t_code_wrap "SDM 3B 'Address Translation in Real-Address Mode': fetches at the limit"
	.word	0

t_switches:
	call	t_modes
	jmp	t_unreal

#include "test/arch/guest/realmain.inc"

/*
 * Every vector below 32 leads to a stub that counts, notes number and frame
 * and goes on at resume when that is set.
 */
set_vectors:
	push	%es
	xor	%ax, %ax
	mov	%ax, %es
	xor	%di, %di
	mov	$stubs - _start, %ax
	mov	$48, %cx
1:	mov	%ax, %es:(%di)
	mov	%cs, %es:2(%di)
	add	$4, %di
	add	$8, %ax
	loop	1b
	pop	%es
	ret
	.balign	8
stubs:
	.set	vec, 0
	.rept	48
	.balign	8
	push	$vec
	jmp	caught
	.set	vec, vec + 1
	.endr
caught:
	push	%bp
	mov	%sp, %bp
	push	%ax
	mov	2(%bp), %ax
	mov	%ax, %cs:v_num - _start
	mov	4(%bp), %ax
	mov	%ax, %cs:v_ip - _start
	mov	6(%bp), %ax
	mov	%ax, %cs:v_cs - _start
	mov	8(%bp), %ax
	mov	%ax, %cs:v_flags - _start
	lea	4(%bp), %ax
	mov	%ax, %cs:v_sp - _start
	pushf
	pop	%ax
	mov	%ax, %cs:v_inside - _start
	incw	%cs:v_count - _start
	mov	%cs:resume - _start, %ax
	test	%ax, %ax
	jz	1f
	mov	%ax, 4(%bp)
	mov	%cs, %ax
	mov	%ax, 6(%bp)
1:	movw	$0, %cs:resume - _start
	pop	%ax
	pop	%bp
	add	$2, %sp
	iret
v_num:	.word	0
v_ip:	.word	0
v_cs:	.word	0
v_flags: .word	0
v_sp:	.word	0
v_inside: .word	0
v_count: .word	0
resume:	.word	0

/* Expect an exception @num at the label @at; goes on behind it. */
	.macro	EXPECT num at text
	cmpw	$\num, %cs:v_num - _start
	jne	9f
	cmpw	$\at - _start, %cs:v_ip - _start
9:	CHECK	"\text"
	movw	$0xffff, %cs:v_num - _start
	movw	$0, %cs:resume - _start
	.endm
	.macro	ARM label
	movw	$0xffff, %cs:v_num - _start
	movw	$\label - _start, %cs:resume - _start
	.endm

/* ---- operand sizes ---- */
t_operands:
	mov	$0x12345678, %eax
	mov	$0xabcd, %ax
	cmp	$0x1234abcd, %eax
	CHECK	"a 16-bit move keeps the upper half"
	mov	$0xffffffff, %eax
	add	$1, %ax
	cmp	$0xffff0000, %eax
	CHECK	"a 16-bit add wraps"
	mov	$0x00010002, %eax
	mov	$0x00030004, %ebx
	mul	%ebx
	cmp	$0x000a0008, %eax
	jne	1f
	cmp	$3, %edx
1:	CHECK	"a 32-bit multiplication"
	movzbw	%cs:k_ff - _start, %cx
	cmp	$0xff, %cx
	CHECK	"MOVZX"
	movsbl	%cs:k_ff - _start, %ecx
	cmp	$0xffffffff, %ecx
	CHECK	"MOVSX to 32 bits"
	mov	$0x8000, %ax
	cwd
	cmp	$0xffff, %dx
	CHECK	"CWD"
	mov	$0x1234, %ax
	mov	$0x5678, %bx
	shld	$4, %bx, %ax
	cmp	$0x2345, %ax
	CHECK	"SHLD"
	ret
k_ff:	.byte	0xff

/* ---- the eight addressing forms ---- */
t_addressing:
	push	%ds
	push	%es
	pop	%ds
	xor	%di, %di
	mov	$0x4000, %cx
1:	mov	%di, %ax		/* word at 2n holds 2n */
	stosw
	loop	1b
	mov	$0x1000, %bx
	mov	$0x0200, %si
	mov	$0x0300, %di
	cmpw	$0x1200, (%bx,%si)
	CHECK	"[bx+si]"
	cmpw	$0x1304, 4(%bx,%di)
	CHECK	"[bx+di+disp8]"
	cmpw	$0x2234, 0x2034(%si)
	CHECK	"[si+disp16]"
	cmpw	$0x0300, (%di)
	CHECK	"[di]"
	cmpw	$0x0ff0, -0x10(%bx)
	CHECK	"[bx-disp8]"
	cmpw	$0x3456, 0x3456
	CHECK	"[disp16]"
	mov	$0x8000, %bp		/* bp is relative to SS */
	movw	$0x7777, %ss:0x8202
	movw	$0x8888, %ss:0x8308
	cmpw	$0x7777, 2(%bp,%si)
	CHECK	"[bp+si+disp8] in SS"
	cmpw	$0x8888, 8(%bp,%di)
	CHECK	"[bp+di+disp8] in SS"
	movw	$0x9999, %ss:0x8010
	cmpw	$0x9999, 0x10(%bp)
	CHECK	"[bp+disp8] in SS"
	mov	$0x1000, %bp
	cmpw	$0x1010, %ds:0x10(%bp)
	CHECK	"[bp+disp8] with DS"
	mov	$0x00001000, %ebx
	mov	$0x00000100, %ecx
	cmpw	$0x1408, 8(%ebx,%ecx,4)
	CHECK	"a 32-bit address with scale"
	lea	0x8000(%bx,%si), %ax
	cmp	$0x9200, %ax
	CHECK	"LEA"
	mov	$0xfff0, %bx
	lea	0x20(%bx), %eax
	cmp	$0x0010, %eax
	CHECK	"LEA of a 16-bit address into 32 bits wraps"
	pop	%ds
	ret

/* ---- wrap and limit ---- */
t_wrap:
	push	%ds
	push	%es
	pop	%ds
	movb	$0x5a, 0x0001
	mov	$0xffff, %bx
	mov	$2, %si
	cmpb	$0x5a, (%bx,%si)
	CHECK	"an offset wraps at 64 KiB"
	movb	$0xa5, (%bx)
	cmpb	$0xa5, (%bx)
	CHECK	"a byte at ffff"
	ARM	1f
r_word:	mov	(%bx), %ax
1:	EXPECT	13 r_word "a word at ffff is interrupt 13"
	ARM	1f
r_far:	.byte	0x67, 0x8a, 0x05	/* mov al, [0x10000] with 67 */
	.long	0x10000
1:	EXPECT	13 r_far "a 32-bit address above ffff is interrupt 13"
	mov	$0xffff, %bp
	ARM	1f
r_ss:	mov	(%bp), %ax
1:	EXPECT	12 r_ss "a word at ss:ffff is interrupt 12"
	mov	$0xffff, %ax
	mov	%ax, %ds
	movb	$0x3c, 0x610		/* 1 MiB + 600 */
	mov	$0x0000, %ax
	mov	%ax, %ds
	movb	$0x00, 0x600
	mov	$0xffff, %ax
	mov	%ax, %ds
	cmpb	$0x3c, 0x610
	CHECK	"ffff:0610 is not 0:0600"
	pop	%ds
	ret

/* ---- vectors ---- */
t_vectors:
	movw	$0, v_count - _start
	mov	%sp, %bx
	sti
	stc
	int	$0x21
r_int:	cli
	cmpw	$0x21, v_num - _start
	jne	1f
	cmpw	$r_int - _start, v_ip - _start
	jne	1f
	mov	%cs, %ax
	cmp	%ax, v_cs - _start
1:	CHECK	"INT n pushes IP and CS"
	sub	$6, %bx
	cmp	v_sp - _start, %bx
	CHECK	"in six bytes"
	mov	v_flags - _start, %ax
	and	$0x201, %ax
	cmp	$0x201, %ax
	CHECK	"FLAGS in its frame"
	testw	$0x300, v_inside - _start
	CHECK	"IF and TF are clear in the handler"
	mov	$1, %ax
	xor	%dx, %dx
	xor	%cx, %cx
	ARM	1f
r_div:	div	%cx
1:	EXPECT	0 r_div "division by zero points at the instruction"
	mov	$0x0100, %ax
	mov	$1, %cl
	ARM	1f
r_div8:	div	%cl
1:	EXPECT	0 r_div8 "overflow of an 8-bit division"
	ARM	1f
r_ud:	ud2
1:	EXPECT	6 r_ud "UD2"
	mov	$0x7f, %al
	add	$1, %al
	movw	$0xffff, v_num - _start
	into
r_into:	EXPECT	4 r_into "INTO points behind itself"
	xor	%al, %al
	movw	$0xffff, v_num - _start
	into
	cmpw	$0xffff, v_num - _start
	CHECK	"INTO without OF does nothing"
	int3
r_int3:	EXPECT	3 r_int3 "INT3"
	mov	$5, %ax
	ARM	1f
r_bound: bound	%ax, k_bounds - _start
1:	EXPECT	5 r_bound "BOUND outside"
	mov	$12, %ax
	movw	$0xffff, v_num - _start
	bound	%ax, k_bounds - _start
	cmpw	$0xffff, v_num - _start
	CHECK	"BOUND inside"
	ret
k_bounds: .word	10, 12

t_int1:
	.byte	0xf1
r_int1:	EXPECT	1 r_int1 "INT1"
	ret

/* ---- single step ---- */
t_step:
	movw	$0, v_count - _start
	pushf
	pop	%ax
	or	$0x100, %ax
	push	%ax
	popf
	nop
	nop
	xor	%bx, %bx
	pushf
	pop	%ax
	and	$0xfeff, %ax
	push	%ax
	popf
	nop
	cmpw	$8, v_count - _start	/* nop nop xor pushf pop and push popf */
	CHECK	"single steps through interrupt 1"
	ret

/* ---- stack ---- */
t_stack:
	mov	%sp, %bx
	push	%sp
	pop	%ax
	cmp	%bx, %ax
	CHECK	"PUSH SP pushes the old value"
	pushl	$0x11223344
	pop	%ax
	pop	%cx
	cmp	$0x3344, %ax
	jne	1f
	cmp	$0x1122, %cx
1:	CHECK	"PUSH of 32 bits"
	mov	$0x1111, %ax
	mov	$0x2222, %cx
	mov	$0x3333, %dx
	mov	$0x4444, %bx
	mov	$0x5555, %bp
	mov	$0x6666, %si
	mov	$0x7777, %di
	mov	%sp, k_sp - _start
	pusha
	xor	%ax, %ax
	mov	%ax, %cx
	mov	%ax, %di
	mov	%sp, %bp
	mov	6(%bp), %ax		/* the SP pushed */
	cmp	k_sp - _start, %ax
	CHECK	"PUSHA pushes SP as it was"
	popa
	cmp	$0x1111, %ax
	jne	1f
	cmp	$0x2222, %cx
	jne	1f
	cmp	$0x7777, %di
	jne	1f
	cmp	$0x5555, %bp
1:	CHECK	"POPA"
	mov	$0x12345678, %ecx
	mov	$0x9abcdef0, %edi
	pushal
	xor	%ecx, %ecx
	xor	%edi, %edi
	popal
	cmp	$0x12345678, %ecx
	jne	1f
	cmp	$0x9abcdef0, %edi
1:	CHECK	"PUSHAD and POPAD"
	push	$0x7000			/* IOPL 3 and NT */
	popf
	pushf
	pop	%ax
	push	$0x0002
	popf
	and	$0xf000, %ax
	cmp	$0x7000, %ax
	CHECK	"POPF sets IOPL and NT"
	mov	%sp, %bx
	mov	%ss, %cx
	mov	$0x5000, %ax
	mov	%ax, %ss
	xor	%sp, %sp
	push	%ax
	mov	%sp, %dx
	mov	%cx, %ss
	mov	%bx, %sp
	cmp	$0xfffe, %dx
	jne	1f
	cmpw	$0x5000, %es:0xfffe
1:	CHECK	"a PUSH at SP 0 wraps"
	push	%es
	push	$0x1357
	pop	%es
	mov	%es, %ax
	pop	%es
	cmp	$0x1357, %ax
	CHECK	"PUSH and POP of a segment"
	ret
k_sp:	.word	0

t_enter:
	mov	%sp, %bx
	mov	$0x4242, %bp
	enter	$0x10, $0
	mov	%bx, %ax
	sub	$0x12, %ax
	cmp	%sp, %ax
	CHECK	"ENTER 10, 0 makes room"
	mov	%bx, %ax
	sub	$2, %ax
	cmp	%bp, %ax
	CHECK	"and points BP at the frame"
	leave
	cmp	$0x4242, %bp
	jne	1f
	cmp	%bx, %sp
1:	CHECK	"LEAVE undoes it"
	enter	$4, $2
	mov	%bx, %ax
	sub	$2 + 4 + 4, %ax		/* bp, two display words, room */
	cmp	%sp, %ax
	CHECK	"ENTER 4, 2"
	leave
	cmp	%bx, %sp
	CHECK	"LEAVE of it"
	ret

/* ---- decimal ---- */
	.macro	DECIMAL insn ax0 ax1 text
	mov	$\ax0, %ax
	\insn
	cmp	$\ax1, %ax
	CHECK	"\text"
	.endm
t_decimal:
	clc
	mov	$0x79, %al
	add	$0x35, %al
	daa
	pushf
	cmp	$0x14, %al
	CHECK	"DAA of 79 + 35"
	popf
	sbb	%al, %al
	cmp	$0xff, %al
	CHECK	"with carry"
	mov	$0x08, %al
	add	$0x09, %al
	daa
	cmp	$0x17, %al
	CHECK	"DAA of 8 + 9, by AF"
	mov	$0x35, %al
	sub	$0x47, %al
	das
	pushf
	cmp	$0x88, %al
	CHECK	"DAS of 35 - 47"
	popf
	sbb	%al, %al
	cmp	$0xff, %al
	CHECK	"with borrow"
	xor	%cx, %cx		/* clears AF and CF */
	DECIMAL	aaa 0x000b 0x0101 "AAA"
	xor	%cx, %cx
	DECIMAL	aaa 0x02f9 0x0209 "AAA that only masks"
	xor	%cx, %cx
	DECIMAL	aas 0x020d 0x0107 "AAS"
	DECIMAL	aam 0x003f 0x0603 "AAM"
	DECIMAL	aad 0x0305 0x0023 "AAD"
	DECIMAL	".byte 0xd4, 16" 0x00a7 0x0a07 "AAM 16"
	DECIMAL	".byte 0xd5, 16" 0x0a07 0x00a7 "AAD 16"
	ARM	1f
r_aam:	.byte	0xd4, 0
1:	EXPECT	0 r_aam "AAM 0 divides by zero"
	stc
	.byte	0xd6			/* SALC */
	cmp	$0xff, %al
	CHECK	"SALC"
	ret

/* ---- strings ---- */
t_string:
	push	%ds
	mov	$k_text - _start, %si
	xor	%di, %di
	mov	$8, %cx
	rep movsb
	cmpb	$'h', %es:7
	jne	1f
	cmp	$8, %di
	jne	1f
	test	%cx, %cx
1:	CHECK	"REP MOVSB"
	push	%es
	pop	%ds
	std
	mov	$7, %si
	mov	$9, %di
	mov	$8, %cx
	rep movsb
	cld
	cmpb	$'a', %es:2
	jne	1f
	cmpb	$'h', %es:9
	jne	1f
	cmp	$0xffff, %si
1:	CHECK	"REP MOVSB downwards, SI wraps"
	mov	$0x12345678, %eax
	mov	$0x100, %di
	mov	$4, %cx
	rep stosl
	cmpl	$0x12345678, 0x10c
	jne	1f
	cmp	$0x110, %di
1:	CHECK	"REP STOSD"
	mov	$0x100, %si
	lodsl
	cmp	$0x12345678, %eax
	jne	1f
	cmp	$0x104, %si
1:	CHECK	"LODSD"
	movb	$0x99, 0x105
	mov	$0x78, %al
	movb	$0x78, 0x101
	movb	$0x78, 0x102
	movb	$0x78, 0x103
	mov	$0x100, %di
	mov	$100, %cx
	repe scasb
	cmp	$0x105 + 1 - 1, %di	/* 104 is 78, 105 is 99: behind it */
	je	2f
	cmp	$0x106, %di
2:	CHECK	"REPE SCASB"
	mov	$0x10000, %ecx		/* CX is 0: nothing */
	mov	$0x200, %di
	movb	$0x11, 0x200
	mov	$0x22, %al
	rep stosb
	cmpb	$0x11, 0x200
	jne	1f
	cmp	$0x10000, %ecx
1:	CHECK	"REP with CX 0 does nothing, whatever ECX"
	mov	$0xfffe, %di
	mov	$4, %cx
	mov	$0x3344, %ax
	movb	$0, 2
	rep stosb
	cmp	$2, %di
	jne	1f
	cmpb	$0x44, 1
	jne	1f
	cmpb	$0x44, 0xffff
1:	CHECK	"REP STOSB wraps at 64 KiB"
	mov	$0xffff, %di
	mov	$1, %cx
	ARM	1f
r_stosw: rep stosw
1:	EXPECT	13 r_stosw "STOSW at ffff is interrupt 13"
	cmp	$1, %cx
	CHECK	"and CX stays"
	pop	%ds
	mov	$k_text - _start, %si
	mov	$0, %di
	mov	$8, %cx
	rep movsb %cs:(%si), %es:(%di)
	cmpb	$'a', %es:0
	CHECK	"a segment override on MOVSB"
	mov	$k_text - _start, %bx
	mov	$3, %al
	xlat
	cmp	$'d', %al
	CHECK	"XLAT"
	ret
k_text:	.ascii	"abcdefgh"

/* ---- far transfers ---- */
t_far:
	mov	%sp, %bx
	lcall	*k_far - _start
	cmp	$0x1357, %ax
	jne	1f
	cmp	%bx, %sp
1:	CHECK	"far call through memory and back"
	push	%cs
	push	$1f - _start
	lret
	xor	%ax, %ax
1:	cmp	$0x1357, %ax
	CHECK	"RETF to a pushed address"
	push	$0x77
	push	%cs
	push	$1f - _start
	lret	$2
1:	cmp	%bx, %sp
	CHECK	"RETF n releases parameters"
	/* the same place by another segment: 0f00:1000 + offset */
	ljmp	$0x0f00, $1f - _start + 0x1000
1:	mov	%cs, %ax
	ljmp	$0x1000, $1f - _start
1:	cmp	$0x0f00, %ax
	CHECK	"far jump to the same byte by another segment"
	les	k_ptr - _start, %di
	mov	%es, %ax
	cmp	$0x5000, %ax
	jne	1f
	cmp	$0x1234, %di
1:	CHECK	"LES"
	pushf
	lcall	$0x1000, $fn_iret - _start
	cmp	%bx, %sp
	CHECK	"IRET from a far call with FLAGS"
	mov	$1f - _start, %ax
	jmp	*%ax
	xor	%ax, %ax
1:	cmp	$1f - _start, %ax	/* any value will do */
	mov	$2f - _start, %ecx
	.byte	0x66			/* jmp ecx */
	jmp	*%cx
	xor	%cx, %cx
2:	cmp	$2b - _start, %cx
	CHECK	"near jumps through registers of 16 and 32 bits"
	calll	fn_near
	cmp	%bx, %sp
	CHECK	"a near call with 32-bit operands"
	ret
k_far:	.word	fn_far - _start, 0x1000
k_ptr:	.word	0x1234, 0x5000
fn_far:	mov	$0x1357, %ax
	lret
fn_iret: iret
fn_near: retl

/* ---- loops ---- */
t_loops:
	mov	$0x10003, %ecx
	xor	%ax, %ax
1:	inc	%ax
	loop	1b
	cmp	$3, %ax
	jne	2f
	cmp	$0x10000, %ecx
2:	CHECK	"LOOP counts CX"
	mov	$0x00000003, %ecx
	xor	%ax, %ax
1:	inc	%ax
	addr32 loop 1b
	cmp	$3, %ax
	CHECK	"LOOP with 67 counts ECX"
	mov	$0x10000, %ecx
	mov	$1, %al
	jcxz	1f
	mov	$0, %al
1:	cmp	$1, %al
	CHECK	"JCXZ looks at CX"
	jecxz	1f
	mov	$2, %al
1:	cmp	$2, %al
	CHECK	"JECXZ at ECX"
	mov	$10, %cx
	xor	%ax, %ax
1:	inc	%ax
	cmp	$4, %ax
	loopne	1b
	cmp	$6, %cx
	CHECK	"LOOPNE"
	ret

t_misc:
	mov	$0x11223344, %eax
	bswap	%eax
	cmp	$0x44332211, %eax
	CHECK	"BSWAP"
	mov	$0x80000000, %eax
	bsf	%eax, %ecx
	cmp	$31, %ecx
	CHECK	"BSF"
	movl	$5, %es:0x300
	movl	$6, %es:0x304
	mov	$5, %eax
	mov	$6, %edx
	mov	$7, %ebx
	mov	$8, %ecx
	lock cmpxchg8b %es:0x300
	jne	1f
	cmpl	$8, %es:0x304
1:	CHECK	"CMPXCHG8B"
	fninit
	filds	k_seven - _start
	filds	k_seven - _start
	fmulp
	fistps	%es:0x310
	cmpw	$49, %es:0x310
	CHECK	"x87"
	fnstenv	%es:0x320		/* 14 bytes in 16-bit code */
	cmpw	$0x037f, %es:0x320
	jne	1f
	cmpw	$0xffff, %es:0x324
1:	CHECK	"FNSTENV in its 16-bit form"
	fldenv	%es:0x320
	smsw	%ax
	test	$1, %al
	CHECK	"SMSW: PE is clear"
	mov	$0x1234, %ax
	movw	%ax, %fs
	movw	%fs, %bx
	cmp	%ax, %bx
	CHECK	"FS takes any value"
	bt	$3, %ax
	mov	$0x10, %ax
	jc	1f
	inc	%ax
1:	cmp	$0x11, %ax
	CHECK	"BT"
	mov	$-7, %ax
	mov	$3, %bl
	idiv	%bl
	cmp	$0xfffe, %ax		/* remainder -1, quotient -2 */
	CHECK	"IDIV rounds towards zero"
	imul	$-3, k_seven - _start, %ax
	cmp	$-21, %ax
	CHECK	"IMUL of three operands"
	ret
k_seven: .word	7

/* ---- not in real mode ---- */
	.macro	UNDEF text bytes:vararg
	ARM	1f
8:	.byte	\bytes
1:	cmpw	$6, %cs:v_num - _start
	jne	9f
	cmpw	$8b - _start, %cs:v_ip - _start
9:	CHECK	"\text is undefined"
	.endm
t_undefined:
	UNDEF	"LLDT" 0x0f, 0x00, 0xd0
	UNDEF	"LTR" 0x0f, 0x00, 0xd8
	UNDEF	"SLDT" 0x0f, 0x00, 0xc0
	UNDEF	"STR" 0x0f, 0x00, 0xc8
	UNDEF	"VERR" 0x0f, 0x00, 0xe0
	UNDEF	"LAR" 0x0f, 0x02, 0xc0
	UNDEF	"LSL" 0x0f, 0x03, 0xc0
	UNDEF	"ARPL" 0x63, 0xc0
	UNDEF	"MOV to CS" 0x8e, 0xc8
	UNDEF	"LOCK NOP" 0xf0, 0x90
	UNDEF	"LEA of a register" 0x8d, 0xc0
	ret

/* ---- another vector table ---- */
t_lidt:
	push	%es
	mov	$0x5800, %ax
	mov	%ax, %es
	movw	$other - _start, %es:0x33 * 4
	mov	%cs, %es:0x33 * 4 + 2
	lidtl	k_idt - _start
	xor	%ax, %ax
	int	$0x33
	lidtl	k_idt0 - _start
	cmp	$0x7788, %ax
	CHECK	"LIDT moves the vector table"
	sidtl	%es:0x800
	cmpw	$0x3ff, %es:0x800
	jne	1f
	cmpl	$0, %es:0x802
1:	CHECK	"SIDT"
	/* a vector beyond the limit is interrupt 13 */
	lidtl	k_idt_short - _start
	ARM	1f
r_lim:	int	$0x40
1:	lidtl	k_idt0 - _start
	EXPECT	13 r_lim "INT beyond the table's limit is interrupt 13"
	pop	%es
	ret
other:	mov	$0x7788, %ax
	iret
k_idt:	.word	0x3ff
	.long	0x58000
k_idt0:	.word	0x3ff
	.long	0
k_idt_short:
	.word	0x40 * 4 - 1
	.long	0

/* ---- protected mode and back ---- */
t_modes:
	lgdtl	k_gdt - _start
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	mov	%cs, %bx		/* still the real-mode segment */
	movw	%cs:k_seven - _start, %cx
	dec	%ax
	mov	%eax, %cr0
	cmp	$0x1000, %bx
	jne	1f
	cmp	$7, %cx
1:	CHECK	"PE set without a far jump keeps CS"
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	ljmp	$0x08, $1f - _start
1:	mov	$0x10, %ax
	mov	%ax, %fs
	mov	%cs, %bx
	lmsw	%cx			/* 7: MP EM; PE cannot be cleared */
	xor	%ax, %ax
	lmsw	%ax
	smsw	%dx
	mov	%cr0, %eax
	and	$~1, %al
	mov	%eax, %cr0
	ljmp	$0x1000, $1f - _start
1:	cmp	$8, %bx
	jne	1f
	mov	%dx, %ax
	and	$7, %ax
	cmp	$1, %ax
1:	CHECK	"protected mode and back; LMSW does not clear PE"
	ret

/* FS keeps what protected mode gave it. */
t_unreal:
	mov	$0x200000, %eax
	movl	$0x600df00d, %fs:(%eax)
	cmpl	$0x600df00d, %fs:(%eax)
	CHECK	"FS of 4 GiB in real mode"
	mov	$0x5000, %bx
	mov	%bx, %fs
	movl	$0x11111111, %es:0x400
	cmpl	$0x11111111, %fs:0x400
	CHECK	"a load changes its base"
	mov	$0x1b0000, %eax
	cmpl	$0x600df00d, %fs:(%eax)	/* 0x50000 + 0x1b0000 */
	CHECK	"but not its limit"
	lgdtl	k_gdt - _start		/* and put it right again */
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	mov	$0x18, %bx
	mov	%bx, %fs
	dec	%ax
	mov	%eax, %cr0
	mov	$0x5000, %bx
	mov	%bx, %fs
	mov	$0x1b0000, %eax
	ARM	1f
r_unreal: movl	%fs:(%eax), %ecx
1:	EXPECT	13 r_unreal "a 64 KiB segment from protected mode limits again"
	ret
	.balign	8
k_gdt:	.word	31
	.long	gdt16
	.balign	8
gdt16:	.quad	0
	.quad	0x00009b010000ffff	/* 08 code at 0x10000 */
	.quad	0x00cf93000000ffff	/* 10 data, 4 GiB */
	.quad	0x000093000000ffff	/* 18 data, 64 KiB */

/* ---- the end of the code segment ---- */
t_code_wrap:
	/* what a wrap to 0 would run: back to the next check */
	movb	$0xea, %es:0
	movw	$1f - _start, %es:1
	movw	$0x1000, %es:3
	/* 5000:fffd holds mov ax, imm16, whose last byte is at ffff */
	movb	$0xb8, %es:0xfffd
	movw	$0x1234, %es:0xfffe
	ARM	1f
	xor	%ax, %ax
	ljmp	$0x5000, $0xfffd
1:	cmpw	$13, v_num - _start
	jne	1f
	cmp	$0x1234, %ax
1:	CHECK	"code that runs over ffff is interrupt 13, after the last"
	movb	$0xb8, %es:0xfffe	/* now it crosses */
	movb	$0x90, %es:0
	movb	$0xea, %es:1
	movw	$1f - _start, %es:2
	movw	$0x1000, %es:4
	ARM	1f
	ljmp	$0x5000, $0xfffe
1:	cmpw	$13, v_num - _start
	jne	1f
	cmpw	$0xfffe, v_ip - _start
1:	CHECK	"an instruction across ffff is interrupt 13"
	ret
	.section .note.GNU-stack, "", @progbits
