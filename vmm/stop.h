/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one place where it is decided that a machine stops, and why. Any thread
 * may ask; the first reason wins, but for a person's wish to leave, which
 * beats a reset.
 */
#ifndef VMM_STOP_H
#define VMM_STOP_H

#include <pthread.h>

#include "lib/err.h"

enum stop_reason {
	STOP_NONE,
	STOP_POWER_OFF,
	STOP_RESET,
	STOP_TRIPLE_FAULT,
	STOP_PANIC,
	STOP_DEBUG_EXIT, /* code: the exit status */
	STOP_QUIT,       /* Ctrl-A x */
	STOP_SIGNAL,     /* code: the signal's number */
	STOP_INTERNAL,   /* err says what */
};

struct stop {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	enum stop_reason reason; /* under lock; read alone by stop_asked() */
	int code;                /* under lock */
	struct err err;          /* under lock; STOP_INTERNAL only */
};

void stop_init(struct stop *s);
void stop_destroy(struct stop *s);

void stop_request(struct stop *s, enum stop_reason reason, int code);

/* STOP_INTERNAL with a sentence. */
void stop_fail(struct stop *s, int code, const char *fmt, ...) __printf(3, 4);

/* True once there is a reason; cheap. */
bool stop_asked(struct stop *s);

/* Sleep until there is one. */
enum stop_reason stop_wait(struct stop *s);

/* Forget a reset, to run again; false when something else was asked. */
bool stop_rearm(struct stop *s);

#endif
