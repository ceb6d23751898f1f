/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one place where it is decided that a machine stops, and why. Any thread
 * may ask; the first reason wins, but for an operator's wish to leave, which
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
	STOP_HOST_RESET, /* an operator's */
	STOP_TRIPLE_FAULT,
	STOP_PANIC,
	STOP_DEBUG_EXIT, /* code: the exit status */
	STOP_COMMAND,    /* code: the exit status of --root's command */
	STOP_QUIT,       /* Ctrl-A x */
	STOP_HOST_QUIT,  /* a monitor's command */
	STOP_SIGNAL,     /* code: the signal's number */
	STOP_INTERNAL,   /* err says what */
};

struct stop {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	enum stop_reason reason; /* under lock; read alone by stop_asked() */
	int code;                /* under lock */
	struct err err;          /* under lock; STOP_INTERNAL only */
	enum stop_reason then;   /* under lock: who wanted to leave meanwhile */
	int then_code;
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

/* True when an operator who is to leave already has asked once more. */
bool stop_insists(struct stop *s);

/* True for a reason after which a machine may begin anew. */
bool stop_is_reset(enum stop_reason reason);

/* Why, as QMP's events call it; *@guest: the guest's own doing. */
const char *stop_cause(enum stop_reason reason, bool *guest);

/*
 * Forget @reason, to run on or again; false when something else was asked.
 * An operator who wanted to leave meanwhile is the next reason.
 */
bool stop_rearm(struct stop *s, enum stop_reason reason);

#endif
