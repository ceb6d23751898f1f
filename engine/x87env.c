/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FNSTENV, FNSAVE, FLDENV and FRSTOR: the host's own on a buffer, since the
 * host's instruction pointer names translated code. What a guest loaded
 * itself is kept as cpu/xstate.c does it. Selectors read 0. SDM 1 "Saving the
 * x87 FPU's State with FSTENV/FNSTENV and FSAVE/FNSAVE" (8.1.10).
 */
#include "engine/exec.h"

#include "cpu/mem.h"
#include "engine/internal.h"
#include "x86/regs.h"

#include <string.h>

#define ENV_MAX 108
#define FSW_ES  BIT(7)

/* 32-bit protected-mode format, what 64-bit code of the host uses. */
struct env {
	uint16_t cw, pad0, sw, pad1, tw, pad2;
	uint32_t ip;
	uint16_t cs, op;
	uint32_t dp;
	uint16_t ds, pad3;
	uint8_t st[80];
};
_Static_assert(sizeof(struct env) == ENV_MAX, "FSAVE image");

struct env16 {
	uint16_t cw, sw, tw, ip, cs, dp, ds;
};

void x87_wait(struct cpu *cpu)
{
	uint16_t fsw;

	__asm__ volatile("fnstsw %0" : "=m"(fsw));
	if (fsw & FSW_ES)
		cpu_raise(cpu, VEC_MF);
}

/* Invalid, overflow, underflow; a result that is only inexact is stored. */
bool x87_withheld(void)
{
	uint16_t fsw, fcw;

	__asm__ volatile("fnstsw %0" : "=m"(fsw));
	__asm__ volatile("fnstcw %0" : "=m"(fcw));
	return fsw & ~fcw & 0x19;
}

static bool short_form(const struct insn *i)
{
	return i->op[0].size == 14 || i->op[0].size == 94;
}

static bool with_registers(const struct insn *i)
{
	return i->op[0].size >= 94;
}

/* Real and virtual-8086 mode split linear pointers; only zero fits both. */
static bool pointers_fit(const struct cpu *cpu)
{
	return cpu_protected(cpu) && !cpu_v8086(cpu);
}

static void scrub(const struct cpu *cpu, struct env *e)
{
	bool own = e->ip == (uint32_t)cpu->fp_ip &&
		   e->dp == (uint32_t)cpu->fp_dp && pointers_fit(cpu);

	e->cs = e->ds = 0;
	if (!own) {
		e->ip = e->dp = 0;
		e->op = 0;
	}
}

static unsigned int pack(const struct insn *i, const struct env *e,
			 uint8_t *out)
{
	struct env16 s = {.cw = e->cw,
			  .sw = e->sw,
			  .tw = e->tw,
			  .ip = e->ip,
			  .dp = e->dp};
	unsigned int n = 28;

	if (short_form(i)) {
		memcpy(out, &s, sizeof(s));
		n = sizeof(s);
	} else {
		memcpy(out, e, n);
	}
	if (!with_registers(i))
		return n;
	memcpy(out + n, e->st, sizeof(e->st));
	return n + sizeof(e->st);
}

/* FNSTENV and FNSAVE change the unit: only once memory is known to be there. */
int exec_fnstenv(struct cpu *cpu, const struct insn *i)
{
	unsigned int size = i->op[0].size, acc = mem_acc(cpu, ACC_WRITE);
	gva_t gva = insn_linear(cpu, i, 0, size, ACC_WRITE);
	uint8_t out[ENV_MAX];
	struct env e;

	if (cpu->vendor_amd) { /* where AMD's look first */
		mem_check(cpu, gva, short_form(i) ? 2 : 4, acc);
		mem_check(cpu, gva + size - 1, 1, acc);
	}
	mem_check(cpu, gva, size, acc);
	if (with_registers(i))
		__asm__ volatile("fnsave %0" : "=m"(e));
	else
		__asm__ volatile("fnstenv %0" : "=m"(e));
	scrub(cpu, &e);
	mem_write_buf(cpu, gva, out, pack(i, &e, out), acc);
	return EXEC_NEXT;
}

static void unpack(const struct cpu *cpu, const struct insn *i,
		   const uint8_t *in, struct env *e)
{
	unsigned int n = 28;
	struct env16 s;

	memset(e, 0, sizeof(*e));
	if (short_form(i)) {
		n = sizeof(s);
		memcpy(&s, in, n);
		e->cw = s.cw;
		e->sw = s.sw;
		e->tw = s.tw;
		e->ip = s.ip;
		e->dp = s.dp;
	} else {
		memcpy(e, in, n);
	}
	if (with_registers(i))
		memcpy(e->st, in + n, sizeof(e->st));
	e->cs = e->ds = 0;
	if (!pointers_fit(cpu)) {
		e->ip = e->dp = 0;
		e->op = 0;
	}
}

/* FLDENV and FRSTOR wait for exceptions, the others do not. */
int exec_fldenv(struct cpu *cpu, const struct insn *i)
{
	unsigned int size = i->op[0].size;
	gva_t gva;
	uint8_t in[ENV_MAX];
	struct env e;

	x87_wait(cpu);
	gva = insn_linear(cpu, i, 0, size, ACC_READ);
	mem_read_buf(cpu, gva, in, size, mem_acc(cpu, ACC_READ));
	unpack(cpu, i, in, &e);
	if (with_registers(i))
		__asm__ volatile("frstor %0" ::"m"(e));
	else
		__asm__ volatile("fldenv %0" ::"m"(e));
	cpu->fp_ip = e.ip;
	cpu->fp_dp = e.dp;
	return EXEC_NEXT;
}
