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

static bool resets(enum stop_reason r)
{
	return r == STOP_RESET || r == STOP_TRIPLE_FAULT;
}

static bool leaves(enum stop_reason r)
{
	return r == STOP_QUIT || r == STOP_SIGNAL;
}

/* Lock held. */
static bool wins(struct stop *s, enum stop_reason reason)
{
	if (s->reason == STOP_NONE)
		return true;
	return leaves(reason) && resets(s->reason);
}

static void set(struct stop *s, enum stop_reason reason, int code)
{
	s->code = code;
	__atomic_store_n(&s->reason, reason, __ATOMIC_SEQ_CST);
	pthread_cond_broadcast(&s->cond);
}

void stop_request(struct stop *s, enum stop_reason reason, int code)
{
	pthread_mutex_lock(&s->lock);
	if (wins(s, reason))
		set(s, reason, code);
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

bool stop_rearm(struct stop *s)
{
	bool ok;

	pthread_mutex_lock(&s->lock);
	ok = resets(s->reason);
	if (ok)
		set(s, STOP_NONE, 0);
	pthread_mutex_unlock(&s->lock);
	return ok;
}
