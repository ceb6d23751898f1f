/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of the road for our own bugs.
 */
#include "lib/check.h"

#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *cond, const char *file, int line)
{
	fprintf(stderr, "lodge: internal error: %s at %s:%d\n", cond, file,
		line);
	abort();
}
