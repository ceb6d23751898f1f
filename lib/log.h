/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages for operators, on stderr. Anything that can be provoked from
 * outside must use the _ratelimited form. No newline in the text.
 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include "lib/util.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO };

/* Print "lodge: <room>: <text>" when @level is enabled (default WARN). */
void log_print(enum log_level level, const char *room, const char *fmt, ...)
	__printf(3, 4);
void log_set_level(enum log_level level);

/* True at most ten times a second for one call site's @stamp. */
bool log_ratelimit(uint64_t *stamp);

#define log_error(room, ...) log_print(LOG_LEVEL_ERROR, room, __VA_ARGS__)
#define log_warn(room, ...)  log_print(LOG_LEVEL_WARN, room, __VA_ARGS__)
#define log_info(room, ...)  log_print(LOG_LEVEL_INFO, room, __VA_ARGS__)
#define log_warn_ratelimited(room, ...)              \
	do {                                         \
		static uint64_t stamp_;              \
		if (log_ratelimit(&stamp_))          \
			log_warn(room, __VA_ARGS__); \
	} while (0)

#endif
