/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operator messages; see log.h.
 */
#include "lib/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

static enum log_level log_level = LOG_LEVEL_WARN;

void log_set_level(enum log_level level)
{
	log_level = level;
}

void log_print(enum log_level level, const char *room, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	if (level > log_level)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fprintf(stderr, "lodge: %s: %s\n", room, line);
}

bool log_ratelimit(uint64_t *stamp)
{
	struct timespec ts;
	uint64_t now;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (uint64_t)ts.tv_sec * 10 + ts.tv_nsec / 100000000 + 1;
	if (__atomic_exchange_n(stamp, now, __ATOMIC_RELAXED) == now)
		return false;
	return true;
}
