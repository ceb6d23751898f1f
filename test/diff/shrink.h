/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running one block on both sides, outside of a batch: replay, minimising and
 * regression cases.
 */
#ifndef DIFF_SHRINK_H
#define DIFF_SHRINK_H

#include "test/diff/state.h"

enum verdict {
	SAME,
	DIFFERENT,
	UNSTABLE, /* two native runs differ */
	STUCK,    /* the engine did not reach the end */
};

/* What is compared with the native run: the engine or a second native run. */
struct checker {
	bool (*run)(struct outcome *out);
	void (*code_changed)(void);
	const char *(*why)(void); /* did run() return false? */
};

/* @in, @native, @guest may be NULL; they receive the states. */
enum verdict block_check(const struct checker *c, const struct block *b,
			 const struct state *override, struct outcome *in,
			 struct outcome *native, struct outcome *guest);

/* Replace instructions by NOPs as long as the verdict stays. */
void block_shrink(const struct checker *c, struct block *b,
		  const struct state *override, enum verdict verdict);

/* Run one case file; true when every seed in it agrees. Prints what differs. */
bool case_run(const struct checker *c, const char *path);

/* Print block, differences and how to run it again. */
void block_report(const struct checker *c, struct block *b,
		  const struct state *override);

#endif
