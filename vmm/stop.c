/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reason under a mutex.
 */
#include "vmm/stop.h"

#include <stdarg.h>
#include <stdio.h>

void stop_init(struct stop *s)
{
	*s = (struct stop){.reason = STOP_NONE};
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->cond, NULL);
}

void stop_destroy(struct stop *s)
{
	pthread_cond_destroy(&s->cond);
	pthread_mutex_destroy(&s->lock);
}

enum { RESETS = BIT(0), LEAVES = BIT(1), GUEST = BIT(2) };

static const struct {
	const char *cause; /* QMP's ShutdownCause */
	unsigned flags;
} reasons[] = {
	[STOP_NONE] = {"none", 0},
	[STOP_POWER_OFF] = {"guest-shutdown", GUEST},
	[STOP_RESET] = {"guest-reset", GUEST | RESETS},
	[STOP_HOST_RESET] = {"host-qmp-system-reset", RESETS},
	[STOP_TRIPLE_FAULT] = {"guest-reset", GUEST | RESETS},
	[STOP_PANIC] = {"guest-panic", GUEST},
	[STOP_DEBUG_EXIT] = {"guest-shutdown", GUEST},
	[STOP_COMMAND] = {"guest-shutdown", GUEST},
	[STOP_QUIT] = {"host-ui", LEAVES},
	[STOP_HOST_QUIT] = {"host-qmp-quit", LEAVES},
	[STOP_SIGNAL] = {"host-signal", LEAVES},
	[STOP_INTERNAL] = {"host-error", 0},
};

bool stop_is_reset(enum stop_reason reason)
{
	return reasons[reason].flags & RESETS;
}

const char *stop_cause(enum stop_reason reason, bool *guest)
{
	*guest = reasons[reason].flags & GUEST;
	return reasons[reason].cause;
}

/* Lock held. */
static bool wins(struct stop *s, enum stop_reason reason)
{
	if (s->reason == STOP_NONE)
		return true;
	return reasons[reason].flags & LEAVES && stop_is_reset(s->reason);
}

static void set(struct stop *s, enum stop_reason reason, int code)
{
	s->code = code;
	s->then = STOP_NONE;
	__atomic_store_n(&s->reason, reason, __ATOMIC_SEQ_CST);
	pthread_cond_broadcast(&s->cond);
}

void stop_request(struct stop *s, enum stop_reason reason, int code)
{
	pthread_mutex_lock(&s->lock);
	if (wins(s, reason)) {
		set(s, reason, code);
	} else if (reasons[reason].flags & LEAVES) {
		s->then = reason;
		s->then_code = code;
	}
	pthread_mutex_unlock(&s->lock);
}

void stop_fail(struct stop *s, int code, const char *fmt, ...)
{
	char text[sizeof(s->err.msg)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&s->lock);
	if (s->reason == STOP_NONE) {
		err_set(&s->err, code, "%s", text);
		set(s, STOP_INTERNAL, 0);
	}
	pthread_mutex_unlock(&s->lock);
}

bool stop_asked(struct stop *s)
{
	return __atomic_load_n(&s->reason, __ATOMIC_SEQ_CST) != STOP_NONE;
}

enum stop_reason stop_wait(struct stop *s)
{
	enum stop_reason reason;

	pthread_mutex_lock(&s->lock);
	while (s->reason == STOP_NONE)
		pthread_cond_wait(&s->cond, &s->lock);
	reason = s->reason;
	pthread_mutex_unlock(&s->lock);
	return reason;
}

bool stop_insists(struct stop *s)
{
	bool twice;

	pthread_mutex_lock(&s->lock);
	twice = reasons[s->reason].flags & LEAVES && s->then != STOP_NONE;
	pthread_mutex_unlock(&s->lock);
	return twice;
}

bool stop_rearm(struct stop *s, enum stop_reason reason)
{
	bool ok;

	pthread_mutex_lock(&s->lock);
	ok = s->reason == reason;
	if (ok)
		set(s, s->then, s->then_code);
	pthread_mutex_unlock(&s->lock);
	return ok;
}
