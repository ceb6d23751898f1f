/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two outcomes side by side. Only the x87's instruction and data pointers and
 * last opcode are left out: processors disagree on when they are written and
 * an engine that moves code cannot have them natively.
 */
#include "test/diff/state.h"

#include <cpuid.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <Zydis/Zydis.h>

#define XSTATE_BV_OFF 512
#define LEGACY_END    416

static const char gpr_names[16][4] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
				      "rsi", "rdi", "r8",  "r9",  "r10", "r11",
				      "r12", "r13", "r14", "r15"};

static struct {
	uint64_t mask;
	uint32_t off[8], size[8];
	uint32_t end;
} xlayout;

const char *gpr_name(unsigned int reg)
{
	return gpr_names[reg];
}

uint64_t xstate_mask(void)
{
	unsigned int c, d;
	uint32_t lo, hi;

	if (xlayout.mask)
		return xlayout.mask;
	__asm__("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	xlayout.mask = lo & 0xe7;
	xlayout.end = 576;
	for (int n = 2; n < 8; n++) {
		if (!(xlayout.mask >> n & 1))
			continue;
		__cpuid_count(0xd, n, xlayout.size[n], xlayout.off[n], c, d);
		xlayout.end = MAX(xlayout.end,
				  xlayout.off[n] + xlayout.size[n]);
	}
	return xlayout.mask;
}

/* Registers hold 80 bits in 16 bytes; pointers and opcode are not compared. */
static void normalise_legacy(uint8_t *x, uint64_t bv)
{
	if (!(bv & 1)) {
		memset(x, 0, 24);
		x[0] = 0x7f;
		x[1] = 0x03;
		memset(x + 32, 0, 128);
	}
	if (!(bv & 2)) /* MXCSR is loaded whatever XSTATE_BV says */
		memset(x + 160, 0, 256);
	memset(x + 5, 0, 19);
	memset(x + 28, 0, 4);
	for (int i = 0; i < 8; i++)
		memset(x + 32 + 16 * i + 10, 0, 6);
	memset(x + LEGACY_END, 0, XSTATE_BV_OFF - LEGACY_END);
}

void xstate_normalise(uint8_t *x)
{
	uint64_t bv;

	memcpy(&bv, x + XSTATE_BV_OFF, 8);
	normalise_legacy(x, bv);
	for (int n = 2; n < 8; n++)
		if (xlayout.size[n] && !(bv >> n & 1))
			memset(x + xlayout.off[n], 0, xlayout.size[n]);
	memset(x + XSTATE_BV_OFF, 0, 64);
	memset(x + xlayout.end, 0, XSAVE_SIZE - xlayout.end);
}

static bool state_equal(const struct state *a, const struct state *b)
{
	return !memcmp(a, b, offsetof(struct state, cr2) + 8) &&
	       !memcmp(a->xsave, b->xsave, xlayout.end);
}

static bool loose_flags; /* -l: set once at start */

void outcome_loose_flags(void)
{
	loose_flags = true;
}

/* Equal but for the arithmetic flags a fault shows. */
static bool state_equal_loose(const struct state *a, const struct state *b)
{
	struct state t = *b;

	if (a->vector == VECTOR_DONE || !loose_flags)
		return false;
	t.rflags = (t.rflags & ~0x8d5ULL) | (a->rflags & 0x8d5);
	return state_equal(a, &t);
}

/*
 * The host's kernel says "present" for all that no process can map, so that
 * nobody learns its layout.
 */
void fault_normalise(struct state *st)
{
	if (st->vector == 14 && st->cr2 >= 0x7ffffffff000)
		st->error |= 1;
}

bool outcome_equal(const struct outcome *a, const struct outcome *b)
{
	return (state_equal(&a->st, &b->st) ||
		state_equal_loose(&a->st, &b->st)) &&
	       !memcmp(&a->mem, &b->mem, sizeof(a->mem));
}

unsigned int outcome_signature(const struct outcome *a, const struct outcome *b)
{
	const struct state *x = &a->st, *y = &b->st;
	unsigned int sig = 0;

	if (x->vector != y->vector || x->error != y->error ||
	    x->cr2 != y->cr2 || x->rip != y->rip)
		sig |= 0x01;
	if (x->rflags != y->rflags)
		sig |= 0x02;
	if (memcmp(x->gpr, y->gpr, sizeof(x->gpr)))
		sig |= 0x04;
	if (x->fs_base != y->fs_base || x->gs_base != y->gs_base)
		sig |= 0x08;
	if (memcmp(x->xsave, y->xsave, 160))
		sig |= 0x10;
	if (memcmp(x->xsave + 160, y->xsave + 160, XSAVE_SIZE - 160))
		sig |= 0x20;
	if (memcmp(a->mem.data, b->mem.data, DATA_SIZE))
		sig |= 0x40;
	if (memcmp(a->mem.stack, b->mem.stack, STACK_SIZE))
		sig |= 0x80;
	return sig;
}

static void diff_u64(const char *name, uint64_t in, uint64_t n, uint64_t g)
{
	if (n != g)
		printf("  %-9s native %016" PRIx64 "  guest %016" PRIx64
		       "  (was %016" PRIx64 ")\n",
		       name, n, g, in);
}

static void diff_bytes(const char *name, unsigned int base, const uint8_t *in,
		       const uint8_t *n, const uint8_t *g, unsigned int size)
{
	for (unsigned int i = 0; i < size; i += 8) {
		uint64_t v[3];
		char label[32];

		if (!memcmp(n + i, g + i, MIN(8u, size - i)))
			continue;
		memset(v, 0, sizeof(v));
		memcpy(&v[0], in + i, MIN(8u, size - i));
		memcpy(&v[1], n + i, MIN(8u, size - i));
		memcpy(&v[2], g + i, MIN(8u, size - i));
		snprintf(label, sizeof(label), "%s+%x", name, base + i);
		diff_u64(label, v[0], v[1], v[2]);
	}
}

static void diff_xsave(const uint8_t *in, const uint8_t *n, const uint8_t *g)
{
	static const char *names[8] = {"", "",  "ymmh", "",
				       "", "k", "zmmh", "zmm16"};

	diff_bytes("x87", 0, in, n, g, 24);
	diff_bytes("mxcsr", 0, in + 24, n + 24, g + 24, 4);
	for (int i = 0; i < 8; i++) {
		char name[8];

		snprintf(name, sizeof(name), "st%d", i);
		diff_bytes(name, 0, in + 32 + 16 * i, n + 32 + 16 * i,
			   g + 32 + 16 * i, 10);
	}
	for (int i = 0; i < 16; i++) {
		char name[8];

		snprintf(name, sizeof(name), "xmm%d", i);
		diff_bytes(name, 0, in + 160 + 16 * i, n + 160 + 16 * i,
			   g + 160 + 16 * i, 16);
	}
	for (int c = 2; c < 8; c++)
		if (xlayout.size[c])
			diff_bytes(names[c], 0, in + xlayout.off[c],
				   n + xlayout.off[c], g + xlayout.off[c],
				   xlayout.size[c]);
}

void outcome_diff(const struct outcome *in, const struct outcome *native,
		  const struct outcome *guest)
{
	const struct state *i = &in->st, *n = &native->st, *g = &guest->st;

	diff_u64("vector", 0, n->vector, g->vector);
	diff_u64("error", 0, n->error, g->error);
	diff_u64("cr2", 0, n->cr2, g->cr2);
	diff_u64("rip", i->rip, n->rip, g->rip);
	diff_u64("rflags", i->rflags, n->rflags, g->rflags);
	for (int r = 0; r < 16; r++)
		diff_u64(gpr_names[r], i->gpr[r], n->gpr[r], g->gpr[r]);
	diff_u64("fs_base", i->fs_base, n->fs_base, g->fs_base);
	diff_u64("gs_base", i->gs_base, n->gs_base, g->gs_base);
	diff_xsave(i->xsave, n->xsave, g->xsave);
	diff_bytes("data", 0, in->mem.data, native->mem.data, guest->mem.data,
		   DATA_SIZE);
	diff_bytes("stack", 0, in->mem.stack, native->mem.stack,
		   guest->mem.stack, STACK_SIZE);
}

static bool is_nop(const uint8_t *code, unsigned int len)
{
	for (unsigned int i = 0; i < len; i++)
		if (code[i] != 0x90)
			return false;
	return true;
}

static void insn_text(const uint8_t *code, unsigned int len, uint64_t gva,
		      char *text, size_t size)
{
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction insn;
	ZydisFormatter fmt;
	ZydisDecoder dec;

	ZydisDecoderInit(&dec, ZYDIS_MACHINE_MODE_LONG_64,
			 ZYDIS_STACK_WIDTH_64);
	ZydisFormatterInit(&fmt, ZYDIS_FORMATTER_STYLE_INTEL);
	snprintf(text, size, "(bytes)");
	if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(&dec, code, len, &insn, ops)))
		ZydisFormatterFormatInstruction(&fmt, &insn, ops,
						insn.operand_count_visible,
						text, size, gva, NULL);
}

void block_print(const struct block *b)
{
	char text[128];

	for (unsigned int i = 0; i < b->count; i++) {
		const uint8_t *code = b->code + b->start[i];

		if (is_nop(code, b->len[i]))
			continue;
		insn_text(code, b->len[i], b->gva + b->start[i], text,
			  sizeof(text));
		printf("  %08x ", b->gva + b->start[i]);
		for (unsigned int j = 0; j < b->len[i]; j++)
			printf(" %02x", code[j]);
		printf("%*s %s\n", b->len[i] < 12 ? 3 * (12 - b->len[i]) : 0,
		       "", text);
	}
}
