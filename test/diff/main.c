/* SPDX-License-Identifier: Apache-2.0 */
/*
 * diff [-n blocks] [-s seed] [-j processes] [-m mismatches] [-2] [-l] [-v]
 *      [-i us] [-b seed@gva] [case ...]
 *
 * Blocks are generated into the code area batch by batch. Each batch is run
 * in groups, first natively, then by the engine, since both want SIGSEGV.
 * Exit status: 0 all blocks agree, 1 some differ, 77 this host cannot.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/check.h"
#include "test/diff/gen.h"
#include "test/diff/guest.h"
#include "test/diff/native.h"
#include "test/diff/shrink.h"
#include "test/diff/watch.h"

#define BATCH_MAX 4096
#define GROUP     32

struct options {
	uint64_t blocks, seed;
	unsigned int jobs, mismatches;
	unsigned int tick_us; /* between signals that interrupt blocks */
	bool loose;           /* the engine's usual flags, exact where read */
	bool native_twice;    /* compare silicon with itself: checks the test */
	bool verbose;
	const char *one; /* seed@gva */
	char **cases;
	unsigned int case_count;
};

/* What the processes count; shared memory. */
struct totals {
	uint64_t blocks, insns, different, unstable, stuck, disturbed, endless;
	uint64_t vectors[256];
	uint64_t ns_gen, ns_native, ns_guest;
	uint32_t count[ZYDIS_MNEMONIC_MAX_VALUE + 1];
};

struct worker {
	const struct options *opt;
	struct checker checker;
	struct totals *totals;
	struct block *blocks;           /* BATCH_MAX of them */
	struct outcome *native, *guest; /* GROUP of each */
	bool stuck[GROUP];
	char why[128];  /* of the last one */
	uint64_t next;  /* seed of the next block */
	uint64_t batch; /* of the first in the code area */
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void add(uint64_t *p, uint64_t n)
{
	__atomic_fetch_add(p, n, __ATOMIC_RELAXED);
}

static bool second_native(struct outcome *out)
{
	native_signals(true);
	native_run(out);
	native_signals(false);
	return true;
}

static void nothing_to_do(void)
{
}

#ifdef DIFF_ENGINE
static const struct checker engine_checker = {
	.run = guest_run, .code_changed = guest_code_changed, .why = guest_why};
#endif
static const struct checker native_checker = {.run = second_native,
					      .code_changed = nothing_to_do};

/* ---- batches ---- */

static unsigned int generate(struct worker *w, unsigned int want)
{
	uint32_t off = 0;
	unsigned int n = 0;

	w->batch = w->next;
	while (n < want && n < BATCH_MAX && off + BLOCK_MAX <= CODE_SIZE) {
		struct block *b = &w->blocks[n++];

		gen_block(w->next++, CODE_GVA + off, b);
		memcpy(native_code() + off, b->code, b->size + 5);
		off += b->size + 5;
		/* now and then a gap, so that page ends fall everywhere */
		off += b->seed % 7 ? 0 : b->seed % 11;
	}
	w->checker.code_changed();
	return n;
}

static void prepare(const struct block *b, struct outcome *out)
{
	init_state(b->seed, &out->st);
	init_memory(b->seed, &out->mem);
	out->st.rip = b->gva;
}

/* A block may reach its neighbours: what it takes to have them as well. */
static void report_batch(const struct worker *w, const struct block *b)
{
	printf("in its batch: diff%s -s %" PRIu64 " -n %" PRIu64 "\n",
	       w->opt->loose ? " -l" : "", w->batch, b->seed + 1 - w->batch);
}

/* What cannot be seen again is shown as it was seen. */
static void report_once(struct worker *w, struct block *b, unsigned int i)
{
	static struct outcome in;

	prepare(b, &in);
	printf("--- differed once, not when run again\nseed 0x%" PRIx64
	       "\nat 0x%x\n",
	       b->seed, b->gva);
	report_batch(w, b);
	block_print(b);
	if (w->stuck[i]) {
		if (w->checker.why)
			printf("  %s\n", w->why);
		return;
	}
	outcome_diff(&in, &w->native[i], &w->guest[i]);
}

static void report(struct worker *w, struct block *b, unsigned int i)
{
	static struct block mini;
	enum verdict v = block_check(&w->checker, b, NULL, NULL, NULL, NULL);

	if (v == SAME) {
		report_once(w, b, i);
		return;
	}
	mini = *b;
	watch_block(b);
	block_shrink(&w->checker, &mini, NULL, v);
	block_report(&w->checker, &mini, NULL);
	report_batch(w, b);
}

/*
 * Where only the native half has a page no guest can follow it. A random
 * address hits it once in some 10 million blocks; the engine's #PF tells.
 */
static bool left_the_stage(const struct outcome *guest)
{
	return guest->st.vector == 14 && guest->st.cr2 - SAVE_GVA < SAVE_SIZE;
}

/*
 * The oracle was not itself: interrupts are not invisible to user mode under
 * every hypervisor (one loses NT, or ID), and it was in a hurry,
 * native_quick(). Run again it agrees with the engine, and then it was not the
 * engine. Where we ourselves interrupt it, the next run may be hit as well.
 */
static bool disturbed(struct worker *w, struct block *b, unsigned int i)
{
	static struct outcome again;
	unsigned int tries = w->opt->tick_us ? 8 : 1;

	while (tries--) {
		prepare(b, &again);
		second_native(&again);
		if (outcome_equal(&again, &w->guest[i]))
			return true;
	}
	if (w->checker.run != second_native)
		return false;
	/* silicon with itself: it may have been the other half */
	for (tries = 0; tries < 4; tries++) {
		prepare(b, &again);
		second_native(&again);
		if (!outcome_equal(&again, &w->native[i]))
			return false;
	}
	return true;
}

static void judge(struct worker *w, struct block *b, unsigned int i)
{
	struct totals *t = w->totals;

	add(&t->insns, b->count);
	if (w->native[i].st.vector == VECTOR_ENDLESS && w->stuck[i]) {
		add(&t->endless, 1);
		return;
	}
	add(&t->vectors[w->native[i].st.vector & 255], 1);
	if (!w->stuck[i] && (outcome_equal(&w->native[i], &w->guest[i]) ||
			     left_the_stage(&w->guest[i])))
		return;
	if (!w->stuck[i] && disturbed(w, b, i)) {
		add(&t->disturbed, 1);
		return;
	}
	/* blocks two native runs of which differ must not be generated */
	if (block_check(&native_checker, b, NULL, NULL, NULL, NULL) ==
	    UNSTABLE) {
		add(&t->unstable, 1);
		report(w, b, i);
		return;
	}
	add(w->stuck[i] ? &t->stuck : &t->different, 1);
	if (t->different + t->stuck <= w->opt->mismatches) {
		report(w, b, i);
		/* the minimiser overwrote it */
		memcpy(native_code() + (b->gva - CODE_GVA), b->code,
		       b->size + 5);
		w->checker.code_changed();
	}
}

static void run_group(struct worker *w, struct block *b, unsigned int n)
{
	uint64_t t0 = now_ns(), t1;

	native_signals(true);
	native_quick(true);
	for (unsigned int i = 0; i < n; i++) {
		watch_block(&b[i]);
		prepare(&b[i], &w->native[i]);
		native_run(&w->native[i]);
	}
	native_quick(false);
	native_signals(false);
	t1 = now_ns();
	add(&w->totals->ns_native, t1 - t0);
	for (unsigned int i = 0; i < n; i++) {
		watch_block(&b[i]);
		prepare(&b[i], &w->guest[i]);
		w->stuck[i] = !w->checker.run(&w->guest[i]);
		if (w->stuck[i] && w->checker.why)
			snprintf(w->why, sizeof(w->why), "%s",
				 w->checker.why());
	}
	add(&w->totals->ns_guest, now_ns() - t1);
	for (unsigned int i = 0; i < n; i++)
		judge(w, &b[i], i);
}

static void run_batches(struct worker *w, uint64_t count)
{
	while (count && w->totals->different < w->opt->mismatches) {
		uint64_t t0 = now_ns();
		unsigned int n = generate(w, MIN(count, BATCH_MAX));

		add(&w->totals->ns_gen, now_ns() - t0);
		for (unsigned int i = 0; i < n; i += GROUP)
			run_group(w, w->blocks + i, MIN(GROUP, n - i));
		add(&w->totals->blocks, n);
		count -= n;
	}
	for (unsigned int i = 0; i <= ZYDIS_MNEMONIC_MAX_VALUE; i++)
		__atomic_fetch_add(&w->totals->count[i], gen_count[i],
				   __ATOMIC_RELAXED);
}

/* ---- setting up ---- */

/* Forms this host answers with #UD are kept, but rarely used. */
static void sort_out_forms(int count)
{
	static struct outcome out;

	native_signals(true);
	for (int i = 0; i < count; i++) {
		static struct block b;

		if (!gen_single(form_get(i), i, CODE_GVA, &b))
			continue;
		memcpy(native_code(), b.code, b.size + 5);
		prepare(&b, &out);
		native_run(&out);
		if (out.st.vector == 6)
			form_mark_odd(i);
	}
	native_signals(false);
	form_sort();
	memset(gen_count, 0, (ZYDIS_MNEMONIC_MAX_VALUE + 1) * sizeof(uint32_t));
}

/* Hypervisors that run guests without VT-x or SVM keep some INT n. */
static void sort_out_ints(void)
{
	static struct outcome out;
	static struct block b = {.gva = CODE_GVA};

	native_signals(true);
	for (unsigned int v = 0; v < 256; v++) {
		uint8_t code[2] = {0xcd, v};

		if (v == 3 || v == 4 || v == VECTOR_DONE)
			continue;
		ASSERT(!gen_adopt(&b, code, 2));
		memcpy(native_code(), b.code, b.size + 5);
		prepare(&b, &out);
		native_run(&out);
		if (out.st.vector != 13 || out.st.error != v * 8 + 2)
			gen_refuse_int(v);
	}
	native_signals(false);
}

static int open_both(struct worker *w)
{
	int err, count;

	init_pools(); /* the read-only page comes from them */
	err = native_open();
	if (err)
		return err;
	count = form_discover();
	if (count < 0)
		return count;
	sort_out_forms(count);
	sort_out_ints();
	if (w->opt->verbose)
		printf("%d forms\n", count);
	w->checker = native_checker;
#ifdef DIFF_ENGINE
	if (!w->opt->native_twice) {
		w->checker = engine_checker;
		err = guest_open(native_code(), !w->opt->loose);
	}
#endif
	return err;
}

static int worker_main(const struct options *opt, struct totals *totals,
		       unsigned int job)
{
	struct worker w = {.opt = opt, .totals = totals};
	uint64_t share = opt->blocks / opt->jobs;
	int err;

	w.blocks = calloc(BATCH_MAX, sizeof(*w.blocks));
	w.native = aligned_alloc(64, GROUP * sizeof(*w.native));
	w.guest = aligned_alloc(64, GROUP * sizeof(*w.guest));
	err = w.blocks && w.native && w.guest ? open_both(&w) : -ENOMEM;
	if (err) {
		printf("diff: cannot start: %s\n", strerror(-err));
		return err == -ENOSYS ? 77 : 1;
	}
	w.next = opt->seed + job * share;
	watch_start(opt->tick_us);
	if (opt->one) {
		static struct block b;
		char *at;
		uint64_t seed = strtoull(opt->one, &at, 0);

		gen_block(seed, *at ? strtoul(at + 1, NULL, 0) : CODE_GVA, &b);
		if (opt->verbose) /* should either side not come back */
			block_print(&b);
		watch_block(&b);
		block_report(&w.checker, &b, NULL);
		if (block_check(&w.checker, &b, NULL, NULL, NULL, NULL) != SAME)
			report(&w, &b, 0);
		return 0;
	}
	for (unsigned int i = 0; i < opt->case_count; i++)
		if (!case_run(&w.checker, opt->cases[i]))
			add(&totals->different, 1);
	if (opt->case_count)
		return 0;
	run_batches(&w, job ? share : opt->blocks - share * (opt->jobs - 1));
	return 0;
}

static int run_jobs(const struct options *opt, struct totals *totals)
{
	int status, worst = 0;

	for (unsigned int i = 0; i < opt->jobs; i++) {
		fflush(stdout);
		if (!fork()) {
			status = worker_main(opt, totals, i);
			fflush(stdout);
			_exit(status);
		}
	}
	for (unsigned int i = 0; i < opt->jobs; i++) {
		if (wait(&status) < 0 || !WIFEXITED(status)) {
			printf("diff: a process ended by signal %d\n",
			       WTERMSIG(status));
			worst = 1;
		} else if (WEXITSTATUS(status) > worst) {
			worst = WEXITSTATUS(status);
		}
	}
	return worst;
}

/* ---- summary ---- */

static void print_totals(const struct options *opt, const struct totals *t)
{
	unsigned int used = 0;

	for (unsigned int i = 0; i <= ZYDIS_MNEMONIC_MAX_VALUE; i++) {
		used += t->count[i] != 0;
		if (opt->verbose && t->count[i])
			printf("%8u %s\n", t->count[i],
			       ZydisMnemonicGetString(i));
	}
	printf("ends:");
	for (int v = 0; v < 256; v++)
		if (t->vectors[v])
			printf(" %d:%" PRIu64, v, t->vectors[v]);
	printf("\n%" PRIu64 " blocks, %" PRIu64
	       " instructions, %u mnemonics: %" PRIu64 " differ, %" PRIu64
	       " stuck, %" PRIu64 " unstable, %" PRIu64 " disturbed, %" PRIu64
	       " endless\n",
	       t->blocks, t->insns, used, t->different, t->stuck, t->unstable,
	       t->disturbed, t->endless);
	if (t->blocks)
		printf("ns per block: generate %" PRIu64 ", native %" PRIu64
		       ", engine %" PRIu64 "\n",
		       t->ns_gen / t->blocks, t->ns_native / t->blocks,
		       t->ns_guest / t->blocks);
}

static bool parse(int argc, char **argv, struct options *opt)
{
	int c;

	while ((c = getopt(argc, argv, "n:s:j:m:b:i:2lv")) != -1) {
		switch (c) {
		case 'n': opt->blocks = strtoull(optarg, NULL, 0); break;
		case 's': opt->seed = strtoull(optarg, NULL, 0); break;
		case 'j': opt->jobs = strtoul(optarg, NULL, 0); break;
		case 'm': opt->mismatches = strtoul(optarg, NULL, 0); break;
		case 'i': opt->tick_us = strtoul(optarg, NULL, 0); break;
		case 'b': opt->one = optarg; break;
		case '2': opt->native_twice = true; break;
		case 'l':
			opt->loose = true;
			outcome_loose_flags();
			break;
		case 'v': opt->verbose = true; break;
		default: return false;
		}
	}
	opt->cases = argv + optind;
	opt->case_count = argc - optind;
	if (opt->one || opt->case_count)
		opt->jobs = 1;
	return opt->jobs > 0 && opt->mismatches > 0 && opt->tick_us > 0 &&
	       opt->tick_us < 1000000;
}

int main(int argc, char **argv)
{
	struct options opt = {
		.blocks = 100000,
		.seed = 1,
		.jobs = 1,
		.mismatches = 10,
		.tick_us = WATCH_TICK_US,
	};
	struct totals *t;
	int worst;

	if (!parse(argc, argv, &opt)) {
		fprintf(stderr, "usage: diff [-n blocks] [-s seed] [-j procs]"
				" [-m mismatches] [-i us] [-b seed@gva]"
				" [-2lv] [case ...]\n");
		return 2;
	}
	t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (t == MAP_FAILED)
		return 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	worst = run_jobs(&opt, t);
	if (!opt.one && !opt.case_count)
		print_totals(&opt, t);
	if (!worst && (t->different || t->stuck || t->unstable))
		worst = 1;
	return worst;
}
