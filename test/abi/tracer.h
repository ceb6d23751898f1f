/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What something costs in system calls, of all its threads.
 */
#ifndef ABI_TRACER_H
#define ABI_TRACER_H

#include <stdbool.h>

#define COST_CALLS 512u

struct cost {
	bool on;
	unsigned int all;
	unsigned int of[COST_CALLS];
};

/*
 * Those that @scene makes between its marks, in a child of its own, which
 * ends well when it returns. Skips the test where nobody may trace.
 */
void tracer_count(struct cost *c, void (*scene)(void));

/* From here on, or up to here. */
void tracer_mark(bool on);

#endif
