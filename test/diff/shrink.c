/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Minimiser: instructions become NOPs of the same length, so branches and
 * addresses stay as they are and only what matters is left to read.
 */
#include "test/diff/shrink.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "test/diff/gen.h"
#include "test/diff/native.h"

static void place(const struct checker *c, const struct block *b)
{
	uint32_t off = b->gva - CODE_GVA;

	memcpy(native_code() + off, b->code, b->size + 5);
	c->code_changed();
}

static void prepare(const struct block *b, const struct state *override,
		    struct outcome *out)
{
	init_state(b->seed, &out->st);
	if (override)
		out->st = *override;
	init_memory(b->seed, &out->mem);
	out->st.rip = b->gva;
}

static void native_once(struct outcome *out)
{
	native_signals(true);
	native_run(out);
	native_signals(false);
}

enum verdict block_check(const struct checker *c, const struct block *b,
			 const struct state *override, struct outcome *in,
			 struct outcome *native, struct outcome *guest)
{
	static struct outcome mine[3];
	struct outcome *n = native ? native : &mine[0];
	struct outcome *g = guest ? guest : &mine[1];
	bool endless;

	place(c, b);
	prepare(b, override, n);
	if (in)
		*in = *n;
	*g = mine[2] = *n;
	native_once(n);
	native_once(&mine[2]);
	endless = n->st.vector == VECTOR_ENDLESS;
	if (endless ? mine[2].st.vector != VECTOR_ENDLESS
		    : !outcome_equal(n, &mine[2])) {
		*g = mine[2];
		return UNSTABLE;
	}
	if (!c->run(g))
		return endless ? SAME : STUCK;
	return outcome_equal(n, g) ? SAME : DIFFERENT;
}

static bool is_nop(const struct block *b, unsigned int i)
{
	for (unsigned int j = 0; j < b->len[i]; j++)
		if (b->code[b->start[i] + j] != 0x90)
			return false;
	return true;
}

/*
 * What a block still shows: the same verdict, and nothing that did not differ
 * before, so that the smaller block is not about something else.
 */
static bool shows(const struct checker *c, const struct block *b,
		  const struct state *override, enum verdict want,
		  unsigned int *sig)
{
	static struct outcome native, guest;
	enum verdict v = block_check(c, b, override, NULL, &native, &guest);
	unsigned int now = v == STUCK ? 0 : outcome_signature(&native, &guest);

	if (v != want || (*sig && now & ~*sig))
		return false;
	*sig = now;
	return true;
}

void block_shrink(const struct checker *c, struct block *b,
		  const struct state *override, enum verdict verdict)
{
	unsigned int sig = 0;
	bool changed = true;

	if (!shows(c, b, override, verdict, &sig))
		return;
	while (changed) {
		changed = false;
		for (int i = b->count - 1; i >= 0; i--) {
			struct block without = *b;

			if (is_nop(b, i))
				continue;
			memset(without.code + b->start[i], 0x90, b->len[i]);
			if (!shows(c, &without, override, verdict, &sig))
				continue;
			*b = without;
			changed = true;
		}
	}
}

static void print_code(const struct block *b)
{
	printf("code");
	for (unsigned int i = 0; i < b->size; i++)
		printf(" %02x", b->code[i]);
	printf("\n");
}

/* The registers the first instructions see. */
static void print_state(const struct state *st)
{
	for (int i = 0; i < 16; i++)
		printf("  %-3s %016" PRIx64 "%s", gpr_name(i), st->gpr[i],
		       i % 4 == 3 ? "\n" : "");
	printf("  rflags %" PRIx64 " fs %" PRIx64 " gs %" PRIx64
	       " fcw %02x%02x fsw %02x%02x ftw %02x mxcsr %02x%02x\n",
	       st->rflags, st->fs_base, st->gs_base, st->xsave[1], st->xsave[0],
	       st->xsave[3], st->xsave[2], st->xsave[4], st->xsave[25],
	       st->xsave[24]);
}

void block_report(const struct checker *c, struct block *b,
		  const struct state *override)
{
	enum verdict verdict;
	static const char *const what[] = {
		[SAME] = "no difference",
		[DIFFERENT] = "outcomes differ",
		[UNSTABLE] = "two native runs differ",
		[STUCK] = "the engine did not reach the end",
	};
	static struct outcome in, native, guest;

	verdict = block_check(c, b, override, &in, &native, &guest);
	printf("--- %s\nseed 0x%" PRIx64 "\nat 0x%x\n", what[verdict], b->seed,
	       b->gva);
	print_code(b);
	print_state(&in.st);
	block_print(b);
	if (verdict == DIFFERENT || verdict == UNSTABLE)
		outcome_diff(&in, &native, &guest);
	if (verdict == STUCK)
		printf("  engine: %s\n", c->why());
	printf("  native: vector %u error %x cr2 %" PRIx64 " rip %" PRIx64 "\n",
	       native.st.vector, native.st.error, native.st.cr2, native.st.rip);
	fflush(stdout);
}
