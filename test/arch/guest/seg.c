/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segmentation of 32-bit protected mode: limits, types, privilege, LAR and
 * its kin against a naive model; far transfers, call gates with a change of
 * privilege, returns outward; 16-bit code and stacks. SDM 3A "Protection"
 * (5), SDM 2 "LAR", "LSL".
 */
#include "test/arch/guest/arch.h"

#define SEL_A (SEL_FREE)
#define SEL_B (SEL_FREE + 8)
#define SEL_C (SEL_FREE + 16)
#define SEL_D (SEL_FREE + 24)

/* Attribute bits of a descriptor, as its bytes 5 and 6 have them. */
#define ATTR_A 0x01
#define ATTR_W 0x02
#define ATTR_E 0x04
#define ATTR_X 0x08
#define ATTR_S 0x10
#define ATTR_P 0x80
#define ATTR_D 0x4000
#define ATTR_G 0x8000
#define DPL(n) ((n) << 5)

#define DATA (ATTR_P | ATTR_S | ATTR_W)
#define CODE (ATTR_P | ATTR_S | ATTR_X | ATTR_W)

static void set_desc(unsigned int sel, uint32_t base, uint32_t limit,
		     uint32_t attr)
{
	gdt[sel / 8] = (uint64_t)(limit & 0xffff) |
		       (uint64_t)(base & 0xffffff) << 16 |
		       (uint64_t)(attr & 0xff) << 40 |
		       (uint64_t)(limit >> 16 & 15) << 48 |
		       (uint64_t)(attr >> 12 & 15) << 52 |
		       (uint64_t)(base >> 24) << 56;
}

static void set_gate(unsigned int sel, unsigned int target, uint32_t off,
		     uint32_t attr, unsigned int count)
{
	gdt[sel / 8] = (uint64_t)(off & 0xffff) | (uint64_t)target << 16 |
		       (uint64_t)count << 32 | (uint64_t)attr << 40 |
		       (uint64_t)(off >> 16) << 48;
}

/* ---- loads and accesses through FS ---- */

enum { R1, R2, R4, W1, W2, W4 };

static void load_fs(reg_t sel, reg_t unused)
{
	__asm__ volatile("mov %w0, %%fs" : : "r"(sel));
}

static void load_ss(reg_t sel, reg_t unused)
{
	__asm__ volatile("mov %%ss, %%ecx; mov %w0, %%ss; mov %%ecx, %%ss"
			 :
			 : "r"(sel)
			 : "ecx");
}

static void access_fs(reg_t off, reg_t kind)
{
	switch (kind) {
	case R1:
		__asm__ volatile("movb %%fs:(%0), %%al" ::"r"(off) : "eax");
		break;
	case R2:
		__asm__ volatile("movw %%fs:(%0), %%ax" ::"r"(off) : "eax");
		break;
	case R4:
		__asm__ volatile("movl %%fs:(%0), %%eax" ::"r"(off) : "eax");
		break;
	case W1:
		__asm__ volatile("movb $1, %%fs:(%0)" ::"r"(off) : "memory");
		break;
	case W2:
		__asm__ volatile("movw $1, %%fs:(%0)" ::"r"(off) : "memory");
		break;
	default:
		__asm__ volatile("movl $1, %%fs:(%0)" ::"r"(off) : "memory");
		break;
	}
}

/* What is in reach and allowed, by the descriptor alone. */
static bool model_access(uint32_t limit, uint32_t attr, uint32_t off, int kind)
{
	unsigned int size = 1u << kind % 3;
	uint32_t top = attr & ATTR_D ? 0xffffffff : 0xffff, last;
	bool write = kind >= W1;

	if (attr & ATTR_G)
		limit = limit << 12 | 0xfff;
	if (attr & ATTR_X && (write || !(attr & ATTR_W)))
		return false;
	if (!(attr & ATTR_X) && write && !(attr & ATTR_W))
		return false;
	last = off + size - 1;
	if (!(attr & ATTR_X) && attr & ATTR_E)
		return off > limit && last >= off && last <= top;
	return last >= off && last <= limit;
}

static void test_limits(void)
{
	static const uint32_t limits[] = {0,     1,      3,      0xffe,
					  0xfff, 0x1000, 0xffff, 0x10000};
	static const uint32_t attrs[] = {
		DATA | ATTR_D,
		DATA,
		DATA | ATTR_E | ATTR_D,
		DATA | ATTR_E,
		DATA | ATTR_D | ATTR_G,
		DATA | ATTR_E | ATTR_D | ATTR_G,
		(DATA & ~ATTR_W) | ATTR_D,
		CODE | ATTR_D,
		(CODE & ~ATTR_W) | ATTR_D,
		CODE | ATTR_E | ATTR_D,
	};
	struct tally t = {0};

	for (unsigned int a = 0; a < sizeof(attrs) / 4; a++)
		for (unsigned int l = 0; l < sizeof(limits) / 4; l++) {
			uint32_t limit = attrs[a] & ATTR_G ? limits[l] >> 12
							   : limits[l];

			set_desc(SEL_A, 0x900000, limit, attrs[a]);
			if (attrs[a] & ATTR_X && !(attrs[a] & ATTR_W))
				continue; /* cannot even be loaded */
			load_fs(SEL_A, 0);
			for (int d = -5; d <= 5; d++)
				for (int kind = R1; kind <= W4; kind++) {
					uint32_t off = limits[l] + d;
					bool want = model_access(
						limit, attrs[a], off, kind);
					unsigned int v = try_call(access_fs,
								  off, kind);

					if (off > 0x3000000 && want)
						continue; /* no RAM there */
					if (tally_add(
						    &t,
						    want ? v == NO_FAULT
							 : v == 13 &&
								    !caught.error))
						continue;
					print("# attr %x limit %x off %x kind "
					      "%d: vector %x\n",
					      (reg_t)attrs[a], (reg_t)limit,
					      (reg_t)off, kind, (reg_t)v);
				}
		}
	tally_report(&t, "limits and types of data accesses");
	load_fs(0, 0);
}

static void test_null(void)
{
	load_fs(0, 0);
	check(try_call(access_fs, 0, R1) == 13 && !caught.error,
	      "an access through a null selector is #GP(0)");
	load_fs(3, 0);
	check(try_call(access_fs, 0, W4) == 13 && !caught.error,
	      "also one with an RPL");
	check(try_call(load_ss, 0, 0) == 13 && !caught.error,
	      "a null SS is #GP(0)");
}

static uint32_t read_fs(uint32_t off)
{
	uint32_t v;

	__asm__ volatile("movl %%fs:(%1), %0" : "=r"(v) : "r"(off));
	return v;
}

static void test_base(void)
{
	*(volatile uint32_t *)0x900010 = 0xcafe;
	set_desc(SEL_A, 0x900000, 0xfffff, DATA | ATTR_D | ATTR_G);
	load_fs(SEL_A, 0);
	check(read_fs(0x10) == 0xcafe, "base plus offset");
	check(read_fs(0x10) == 0xcafe && gdt[SEL_A / 8] >> 40 & ATTR_A,
	      "the accessed bit is set by the load");
	set_desc(SEL_A, 0xfffff000, 0xfffff, DATA | ATTR_D | ATTR_G);
	check(read_fs(0x10) == 0xcafe, "a loaded segment ignores its table");
	load_fs(SEL_A, 0);
	check(read_fs(0x901010) == 0xcafe, "base plus offset wraps at 4 GiB");
	load_fs(0, 0);
}

static void test_load_checks(void)
{
	struct tally t = {0};

	/* every type, S, DPL and P against a load of FS at CPL 0 */
	for (uint32_t attr = 0; attr < 256; attr++)
		for (unsigned int rpl = 0; rpl < 4; rpl++) {
			unsigned int dpl = attr >> 5 & 3, v, want;
			bool code = attr & ATTR_X;

			set_desc(SEL_A, 0, 0xffff, attr);
			v = try_call(load_fs, SEL_A | rpl, 0);
			want = NO_FAULT;
			if (!(attr & ATTR_S) || (code && !(attr & ATTR_W)))
				want = 13;
			else if (!(code && attr & ATTR_E) && rpl > dpl)
				want = 13;
			else if (!(attr & ATTR_P))
				want = 11;
			if (tally_add(&t, v == want && (v == NO_FAULT ||
							caught.error == SEL_A)))
				continue;
			print("# attr %x rpl %d: vector %x want %x\n",
			      (reg_t)attr, (int)rpl, (reg_t)v, (reg_t)want);
		}
	tally_report(&t, "loads of FS with every descriptor");
	t = (struct tally){0};
	for (uint32_t attr = 0; attr < 256; attr++)
		for (unsigned int rpl = 0; rpl < 4; rpl++) {
			unsigned int v, want = NO_FAULT;

			set_desc(SEL_A, 0, 0xfffff, attr | ATTR_D | ATTR_G);
			v = try_call(load_ss, SEL_A | rpl, 0);
			if (rpl || (attr & (ATTR_S | ATTR_X | ATTR_W |
					    DPL(3))) != (ATTR_S | ATTR_W))
				want = 13;
			else if (!(attr & ATTR_P))
				want = 12;
			if (want == NO_FAULT && attr & ATTR_E)
				continue; /* expands down: no stack left */
			tally_add(&t, v == want && (v == NO_FAULT ||
						    caught.error == SEL_A));
		}
	tally_report(&t, "loads of SS with every descriptor");
	load_fs(0, 0);
}

/* ---- LAR LSL VERR VERW ---- */

static bool lar(unsigned int sel, uint32_t *out)
{
	bool ok;

	__asm__ volatile("lar %2, %0; setz %1"
			 : "=r"(*out), "=q"(ok)
			 : "r"(sel)
			 : "cc");
	return ok;
}

static bool lsl(unsigned int sel, uint32_t *out)
{
	bool ok;

	__asm__ volatile("lsl %2, %0; setz %1"
			 : "=r"(*out), "=q"(ok)
			 : "r"(sel)
			 : "cc");
	return ok;
}

static bool verr(unsigned int sel)
{
	bool ok;

	__asm__ volatile("verr %w1; setz %0" : "=q"(ok) : "r"(sel) : "cc");
	return ok;
}

static bool verw(unsigned int sel)
{
	bool ok;

	__asm__ volatile("verw %w1; setz %0" : "=q"(ok) : "r"(sel) : "cc");
	return ok;
}

static bool visible(uint32_t attr, unsigned int rpl)
{
	bool conforming = (attr & (ATTR_S | ATTR_X | ATTR_E)) ==
			  (ATTR_S | ATTR_X | ATTR_E);

	return conforming || rpl <= (attr >> 5 & 3);
}

static void test_queries(void)
{
	/* system types 1-7, 9, b, c, f exist; gates have no limit */
	const uint32_t lar_ok = 0x1a3e, lsl_ok = 0x0a0e;
	struct tally t = {0};

	for (uint32_t attr = 0; attr < 256; attr++)
		for (unsigned int rpl = 0; rpl < 4; rpl++) {
			bool s = attr & ATTR_S, see = visible(attr, rpl);
			bool want_lar = see && (s || lar_ok >> (attr & 15) & 1);
			bool want_lsl = see && (s || lsl_ok >> (attr & 15) & 1);
			bool code = attr & ATTR_X;
			bool want_r = see && s && (!code || attr & ATTR_W);
			bool want_w = see && s && !code && attr & ATTR_W;
			uint32_t a = 0, l = 0;
			bool good;

			set_desc(SEL_A, 0, 0x54321, attr | ATTR_D | ATTR_G);
			good = lar(SEL_A | rpl, &a) == want_lar &&
			       (!want_lar ||
				(a & 0xf0ff00) == (0xc00000 | attr << 8));
			good &= lsl(SEL_A | rpl, &l) == want_lsl &&
				(!want_lsl || l == 0x54321fff);
			good &= verr(SEL_A | rpl) == want_r;
			good &= verw(SEL_A | rpl) == want_w;
			if (!tally_add(&t, good))
				print("# attr %x rpl %d: lar %x lsl %x\n",
				      (reg_t)attr, (int)rpl, (reg_t)a,
				      (reg_t)l);
		}
	tally_report(&t, "LAR LSL VERR VERW of every descriptor");
	{
		uint32_t v;

		check(!lar(0, &v) && !lsl(0x3ff8, &v) && !verr(0) && !verw(4),
		      "and of null and out of range");
	}
}

static void test_arpl(void)
{
	uint32_t a = 0x10, b = 3;
	bool zf;

	__asm__ volatile("arpl %w2, %w0; setz %1"
			 : "+r"(a), "=q"(zf)
			 : "r"(b)
			 : "cc");
	check(a == 0x13 && zf, "ARPL raises an RPL");
	__asm__ volatile("arpl %w2, %w0; setz %1"
			 : "+r"(a), "=q"(zf)
			 : "r"(2)
			 : "cc");
	check(a == 0x13 && !zf, "and does not lower it");
}

static void test_far_pointers(void)
{
	struct {
		uint32_t off;
		uint16_t sel;
	} __attribute__((packed)) p = {0x12345678, SEL_A};
	uint32_t off;
	uint16_t sel;

	set_desc(SEL_A, 0, 0xfffff, DATA | ATTR_D | ATTR_G);
	__asm__ volatile("lfs %2, %0; mov %%fs, %1"
			 : "=r"(off), "=r"(sel)
			 : "m"(p));
	check(off == 0x12345678 && sel == SEL_A, "LFS");
	__asm__ volatile("lgs %2, %0; mov %%gs, %1"
			 : "=r"(off), "=r"(sel)
			 : "m"(p));
	check(off == 0x12345678 && sel == SEL_A, "LGS");
	load_fs(0, 0);
	__asm__ volatile("mov %w0, %%gs" : : "r"(0));
}

static void test_ldt(void)
{
	static uint64_t ldt[2];

	ldt[1] = 0x00c093900000ffff; /* base 0x900000 */
	set_desc(SEL_B, (reg_t)ldt, 15, ATTR_P | 2);
	*(volatile uint32_t *)0x900010 = 0xbeef;
	__asm__ volatile("lldt %w0" : : "r"(SEL_B));
	load_fs(12, 0);
	check(read_fs(0x10) == 0xbeef, "a segment of the LDT");
	check(try_call(load_fs, 20, 0) == 13 && caught.error == 20,
	      "beyond the LDT: error %x", caught.error);
	__asm__ volatile("lldt %w0" : : "r"(0));
	check(try_call(load_fs, 12, 0) == 13 && caught.error == 12,
	      "without an LDT: error %x", caught.error);
	load_fs(0, 0);
}

/* ---- far transfers ---- */

struct far {
	uint32_t off;
	uint16_t sel;
} __attribute__((packed));

static struct far target;

extern char far_return[];
__asm__(".text\nfar_return: mov %cs, %eax; lret\n");

static unsigned int far_cs;

static void far_call(reg_t unused, reg_t unused2)
{
	unsigned int cs;

	__asm__ volatile("lcall *%1" : "=a"(cs) : "m"(target) : "memory");
	far_cs = cs & 0xffff;
}

static void far_jump(reg_t unused, reg_t unused2)
{
	__asm__ volatile("push %%cs; push $1f; ljmp *%0\n1:"
			 :
			 : "m"(target)
			 : "eax", "memory");
}

static void test_far_calls(void)
{
	struct tally t = {0};

	target.off = (reg_t)far_return;
	for (uint32_t attr = 0; attr < 256; attr++)
		for (unsigned int rpl = 0; rpl < 4; rpl++) {
			unsigned int v, want = NO_FAULT, dpl = attr >> 5 & 3;
			bool conf = attr & ATTR_E;

			if (!(attr & ATTR_S))
				continue; /* gates and tasks: elsewhere */
			set_desc(SEL_A, 0, 0xfffff, attr | ATTR_D | ATTR_G);
			target.sel = SEL_A | rpl;
			if (!(attr & ATTR_X) || (conf ? dpl > 0 : dpl || rpl))
				want = 13;
			else if (!(attr & ATTR_P))
				want = 11;
			v = try_call(far_call, 0, 0);
			if (!tally_add(&t,
				       v == want &&
					       (v == NO_FAULT ? far_cs == SEL_A
							      : caught.error ==
									SEL_A)))
				print("# attr %x rpl %d: vector %x want %x\n",
				      (reg_t)attr, (int)rpl, (reg_t)v,
				      (reg_t)want);
		}
	tally_report(&t, "far calls to every descriptor");
	set_desc(SEL_A, 0, 0xfffff, CODE | ATTR_D | ATTR_G);
	target.sel = SEL_A;
	check(try_call(far_jump, 0, 0) == NO_FAULT, "far jump and RETF");
	set_desc(SEL_A, 0, 0x100, CODE | ATTR_D);
	check(try_call(far_call, 0, 0) == 13 && caught.error == 0,
	      "a target beyond the limit is #GP(0)");
	target.sel = 0;
	check(try_call(far_call, 0, 0) == 13 && caught.error == 0,
	      "a null selector is #GP(0)");
}

/* ---- call gates ---- */

/* Entered with two parameters on the stack; returns their sum + 100 * CS. */
extern char gate_sum[];
volatile uint32_t gate_cs, gate_ss, gate_esp;
__asm__(".text\ngate_sum: mov %cs, gate_cs; mov %ss, gate_ss\n"
	"mov %esp, gate_esp; mov 8(%esp), %eax; add 12(%esp), %eax\n"
	"lret $8\n");

#define USER       0xa00000u
#define USER_STACK (USER + 0x1000)

/* push 40; push 2; lcall SEL_B:0; int 0x81 */
static const uint8_t user_gate[] = {
	0x6a, 40, 0x6a, 2, 0x9a, 0, 0, 0, 0, SEL_B | 3, 0, 0xcd, USER_RETURN,
};

static void test_gate(void)
{
	unsigned int v;

	memcpy((void *)USER, user_gate, sizeof(user_gate));
	set_gate(SEL_B, SEL_CODE32, (reg_t)gate_sum, 0xec, 2);
	v = user_call(USER, USER_STACK, 0, 0);
	check(v == USER_RETURN && caught.ax == 42,
	      "a call gate copies parameters: %d", (int)caught.ax);
	check(caught.sp == USER_STACK, "RETF n releases them: sp off by %x",
	      USER_STACK - caught.sp);
	check((gate_cs & 0xffff) == SEL_CODE32 &&
		      (gate_ss & 0xffff) == SEL_DATA &&
		      gate_esp == tss.esp0 - 24,
	      "in CPL 0 on the stack of the TSS: %x %x %x", (reg_t)gate_cs,
	      (reg_t)gate_ss, tss.esp0 - gate_esp);
	set_gate(SEL_B, SEL_CODE32, (reg_t)gate_sum, 0x8c, 2);
	check(user_call(USER, USER_STACK, 0, 0) == 13 && caught.error == SEL_B,
	      "a gate of DPL 0 from CPL 3 is #GP(gate)");
	set_gate(SEL_B, SEL_CODE32, (reg_t)gate_sum, 0x6c, 2);
	check(user_call(USER, USER_STACK, 0, 0) == 11 && caught.error == SEL_B,
	      "an absent gate is #NP(gate)");
	set_gate(SEL_B, SEL_DATA, (reg_t)gate_sum, 0xec, 2);
	check(user_call(USER, USER_STACK, 0, 0) == 13 &&
		      caught.error == SEL_DATA,
	      "a gate to a data segment is #GP(its target)");
	set_desc(SEL_C, 0, 0xfffff, (CODE | ATTR_D | ATTR_G) & ~ATTR_P);
	set_gate(SEL_B, SEL_C, (reg_t)gate_sum, 0xec, 2);
	check(user_call(USER, USER_STACK, 0, 0) == 11 && caught.error == SEL_C,
	      "a gate to an absent segment is #NP(its target)");
	set_desc(SEL_C, 0, 0x10, CODE | ATTR_D);
	set_gate(SEL_B, SEL_C, (reg_t)gate_sum, 0xec, 2);
	check(user_call(USER, USER_STACK, 0, 0) == 13 && caught.error == 0,
	      "a gate beyond its target's limit is #GP(0)");
}

static void test_gate_conforming(void)
{
	memcpy((void *)USER, user_gate, sizeof(user_gate));
	set_desc(SEL_C, 0, 0xfffff, CODE | ATTR_E | ATTR_D | ATTR_G);
	set_gate(SEL_B, SEL_C, (reg_t)gate_sum, 0xec, 2);
	/* same privilege: nothing is copied, the parameters are just there */
	check(user_call(USER, USER_STACK, 0, 0) == 14 ||
		      (caught.vector == USER_RETURN && caught.ax == 42 &&
		       (gate_cs & 3) == 3),
	      "a gate to conforming code keeps CPL 3: vector %x cs %x",
	      caught.vector, (reg_t)gate_cs);
}

static void test_gate_stack_faults(void)
{
	uint16_t ss0 = tss.ss0;

	memcpy((void *)USER, user_gate, sizeof(user_gate));
	set_gate(SEL_B, SEL_CODE32, (reg_t)gate_sum, 0xec, 2);
	/* a double fault would follow if the exception needed it, too */
	tss.ss1 = 0;
	set_desc(SEL_C, 0, 0xfffff, CODE | DPL(1) | ATTR_D | ATTR_G);
	set_gate(SEL_B, SEL_C, (reg_t)gate_sum, 0xec, 2);
	check(user_call(USER, USER_STACK, 0, 0) == 10 && caught.error == 0,
	      "a null inner SS is #TS(0): %x error %x", caught.vector,
	      caught.error);
	tss.ss1 = SEL_DATA;
	check(user_call(USER, USER_STACK, 0, 0) == 10 &&
		      caught.error == SEL_DATA,
	      "an inner SS of the wrong privilege is #TS(it): error %x",
	      caught.error);
	set_desc(SEL_D, 0, 0xfffff,
		 (DATA | DPL(1) | ATTR_D | ATTR_G) & ~ATTR_P);
	tss.ss1 = SEL_D | 1;
	check(user_call(USER, USER_STACK, 0, 0) == 12 && caught.error == SEL_D,
	      "an absent inner SS is #SS(it): %x error %x", caught.vector,
	      caught.error);
	tss.ss0 = ss0;
}

/* CPL 3 to 1 and back: three privilege levels at work. */
static void test_ring1(void)
{
	static uint8_t stack1[512];

	memcpy((void *)USER, user_gate, sizeof(user_gate));
	set_desc(SEL_C, 0, 0xfffff, CODE | DPL(1) | ATTR_D | ATTR_G);
	set_desc(SEL_D, 0, 0xfffff, DATA | DPL(1) | ATTR_D | ATTR_G);
	set_gate(SEL_B, SEL_C, (reg_t)gate_sum, 0xec, 2);
	/* gate_sum stores to DS, which stays the user's */
	tss.ss1 = SEL_D | 1;
	tss.esp1 = (reg_t)(stack1 + sizeof(stack1));
	check(user_call(USER, USER_STACK, 0, 0) == USER_RETURN &&
		      caught.ax == 42 && (gate_cs & 0xffff) == (SEL_C | 1) &&
		      (gate_ss & 0xffff) == (SEL_D | 1),
	      "a call gate to CPL 1: %x cs %x ss %x", caught.vector,
	      (reg_t)gate_cs, (reg_t)gate_ss);
}

/* ---- return outward ---- */

/* mov eax, ds; int 0x81 */
static const uint8_t user_ds[] = {0x8c, 0xd8, 0xcd, USER_RETURN};

static void test_outward(void)
{
	memcpy((void *)USER, user_ds, sizeof(user_ds));
	/* user_call() loads DS with the user's segment before IRET */
	check(user_call(USER, USER_STACK, 0, 0) == USER_RETURN &&
		      (caught.ax & 0xffff) == SEL_UDATA,
	      "IRET to CPL 3 keeps a user's DS");
	/* mov ds, 0x10 is refused at CPL 3 */
	memcpy((void *)USER, "\xb8\x10\0\0\0\x8e\xd8\xcd\x81", 9);
	check(user_call(USER, USER_STACK, 0, 0) == 13 && caught.error == 0x10,
	      "CPL 3 cannot load a segment of DPL 0");
}

extern char retf_out[];
__asm__(".text\nretf_out:\n"
	"push %ebx; push %ebp; push %esi; push %edi\n"
	"mov %esp, tss + 4; movl $1f, try_ip; mov %esp, try_sp\n"
	"mov 20(%esp), %eax; mov 24(%esp), %ecx\n"
	"mov $0x10, %edx; mov %edx, %ds; mov %edx, %es; mov %edx, %fs\n"
	"push $0x2b; push %ecx; push $0x23; push %eax; lret\n"
	"1: mov $0x10, %ecx; mov %ecx, %ds; mov %ecx, %es\n"
	"pop %edi; pop %esi; pop %ebp; pop %ebx; ret\n");

static void test_retf_outward(void)
{
	unsigned int (*go)(reg_t ip, reg_t sp) = (void *)retf_out;

	memcpy((void *)USER, user_ds, sizeof(user_ds));
	check(go(USER, USER_STACK) == USER_RETURN &&
		      (caught.ax & 0xffff) == 0 && caught.cs == SEL_UCODE32 &&
		      caught.sp == USER_STACK,
	      "RETF to CPL 3 takes DS of DPL 0 away: ds %x",
	      caught.ax & 0xffff);
	load_fs(0, 0);
}

/* ---- 16-bit code and stacks in protected mode ---- */

extern char code16[], code16_end[];
__asm__(".text\n.code16\n"
	"code16: movw $0x1234, %ax\n" /* keeps the upper half of eax */
	" addl $0x10000, %eax\n"
	" pushw %ax\n popw %cx\n"
	" lretl\n"
	"code16_end:\n.code32\n");

static void test_code16(void)
{
	uint32_t ax = 0x56780000, cx;
	struct far p = {0, SEL_A};

	memcpy((void *)0x980000, code16, code16_end - code16);
	set_desc(SEL_A, 0x980000, 0xffff, CODE);
	__asm__ volatile("lcall *%2" : "+a"(ax), "=c"(cx) : "m"(p) : "memory");
	check(ax == 0x56791234 && (cx & 0xffff) == 0x1234,
	      "16-bit code by a far call: %x", (reg_t)ax);
}

/* SS.B clear: SP wraps in 16 bits and the upper half of ESP stays. */
static void test_stack16(void)
{
	uint32_t out;

	set_desc(SEL_A, 0x990000, 0xffff, DATA);
	*(volatile uint32_t *)0x99fffc = 0;
	__asm__ volatile("mov %%esp, %%ebx; mov %%ss, %%ecx\n"
			 "mov %1, %%ss; mov $0xabcd0000, %%esp\n"
			 "push $0x11223344\n"
			 "mov %%esp, %0; mov %%ecx, %%ss; mov %%ebx, %%esp"
			 : "=&r"(out)
			 : "r"(SEL_A)
			 : "ebx", "ecx", "memory");
	check(out == 0xabcdfffc && *(volatile uint32_t *)0x99fffc == 0x11223344,
	      "a 16-bit stack wraps: esp %x", (reg_t)out);
}

/* A stack limit. At CPL 3, since #SS needs a stack that works. */
static void test_stack_limit(void)
{
	static uint8_t user[] = {0x50, 0xcd, USER_RETURN}; /* push eax */

	memcpy((void *)USER, user, sizeof(user));
	set_desc(SEL_UDATA & ~7, 0, 0xffff, DATA | DPL(3) | ATTR_D);
	check(user_call(USER, 0x10004, 0, 0) == 12 && caught.error == 0,
	      "PUSH beyond the stack's limit is #SS(0): %x", caught.vector);
	set_desc(SEL_UDATA & ~7, 0, 0xfffff, DATA | DPL(3) | ATTR_D | ATTR_G);
	check(user_call(USER, USER_STACK, 0, 0) == USER_RETURN,
	      "and fine within");
}

/* Code limit: the instruction that crosses it faults. */
static void test_code_limit(void)
{
	struct far p = {0xffe, SEL_A};

	memcpy((void *)0x980ffe, "\xb8\1\0\0\0\xcb", 6);
	set_desc(SEL_A, 0x980000, 0xfff, CODE | ATTR_D);
	target = p;
	check(try_call(far_call, 0, 0) == 13 && caught.error == 0 &&
		      caught.ip == 0xffe,
	      "an instruction that crosses the code limit is #GP(0): ip %x",
	      caught.ip);
	set_desc(SEL_A, 0x980000, 0x1fff, CODE | ATTR_D);
	check(try_call(far_call, 0, 0) == NO_FAULT, "with room it runs");
}

void setup(void)
{
}

const struct test tests[] = {
	{"limits", test_limits,
	 "SDM 3A \"Limit Checking\": every type, size and offset"},
	{"null", test_null, "SDM 3A \"Segment Selectors\": the null selector"},
	{"base", test_base,
	 "SDM 3A \"Segment Descriptors\": bases wrap at 4 GiB"},
	{"loads", test_load_checks,
	 "SDM 3A \"Type Checking\", \"Privilege Levels\": loads of every "
	 "descriptor"},
	{"queries", test_queries,
	 "SDM 3A \"Pointer Validation\": LAR, LSL, VERR, VERW"},
	{"arpl", test_arpl,
	 "SDM 3A \"Checking Caller Access Privileges (ARPL Instruction)\""},
	{"far-pointers", test_far_pointers,
	 "SDM 2 \"LDS/LES/LFS/LGS/LSS - Load Far Pointer\""},
	{"ldt", test_ldt, "SDM 3A \"Segment Descriptor Tables\": the LDT"},
	{"far-calls", test_far_calls,
	 "SDM 3A \"Direct Calls or Jumps to Code Segments\""},
	{"gate", test_gate,
	 "SDM 3A \"Accessing a Code Segment Through a Call Gate\", \"Stack "
	 "Switching\""},
	{"gate-conforming", test_gate_conforming,
	 "SDM 3A \"Accessing Conforming Code Segments\""},
	{"gate-stack", test_gate_stack_faults,
	 "SDM 3A \"Stack Switching\": faults of the new stack"},
	{"ring1", test_ring1, "SDM 3A \"Privilege Levels\": privilege level 1"},
	{"outward", test_outward,
	 "SDM 3A \"Returning from a Called Procedure\": data segments become "
	 "null"},
	{"retf", test_retf_outward,
	 "SDM 3A \"Returning from a Called Procedure\": RETF to CPL 3"},
	{"code16", test_code16,
	 "SDM 3B \"Defining 16-Bit and 32-Bit Program Modules\""},
	{"stack16", test_stack16,
	 "SDM 3B \"Transferring Control Among Mixed-Size Code Segments\": the "
	 "B flag"},
	{"stack-limit", test_stack_limit, "SDM 3A \"Limit Checking\": pushes"},
	{"code-limit", test_code_limit,
	 "SDM 3A \"Limit Checking\": instruction fetches"},
	{NULL},
};
