/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What monitors act upon: the machine of the moment, whether it runs, and
 * what happens when it wants to stop. Document: QEMU's QMP reference manual
 * (run states, events).
 *
 * control->lock is held by the thread that makes machines whenever there is
 * none, so whoever gets it finds a machine that stays while it is held, or
 * learns that there will be none any more. Order of locks: control->lock,
 * machine->lock, a device's.
 */
#ifndef VMM_RUN_CONTROL_H
#define VMM_RUN_CONTROL_H

#include <pthread.h>

#include "lib/err.h"
#include "vmm/stop.h"

struct config;
struct json_object;
struct machine;
struct machine_host;

enum run_state {
	RUN_PRELAUNCH, /* stopped, and no instruction ran yet */
	RUN_RUNNING,
	RUN_PAUSED,
	RUN_SHUTDOWN, /* powered off and kept */
	RUN_PANICKED,
	RUN_IO_ERROR,
	RUN_STATES
};

enum panic_action { PANIC_SHUTDOWN, PANIC_PAUSE, PANIC_EXIT, PANIC_NONE };

/* What is done about the guest's own events: -action. */
struct config_action {
	unsigned reboot_ends;    /* 0: a new machine, 1: the end */
	unsigned shutdown_holds; /* 0: the end, 1: kept to be looked at */
	unsigned panic;          /* enum panic_action */
};

struct control {
	pthread_mutex_t lock;
	struct machine *machine; /* NULL: over */
	enum run_state state;
	enum stop_reason reset; /* the reset under way, STOP_NONE: none */
	/* ---- set up once ---- */
	const struct config_action *action;
	struct stop *stop;
	/* Takes @data over; any thread, any lock held. */
	void (*event)(void *ctx, const char *name, struct json_object *data);
	void *ctx;
};

/* @stopped: wait for control_cont(). Returns with the lock held. */
void control_init(struct control *c, const struct config_action *action,
		  struct stop *stop, bool stopped);
void control_destroy(struct control *c);

/*
 * ---- the thread that makes machines ----
 */
/* @m is complete, its vCPUs wait; lets them run if that is wanted. */
void control_begin(struct control *c, struct machine *m);
/*
 * There is a reason to stop: hold all vCPUs. True when the machine is kept,
 * for an operator to look at; else the caller takes it apart and either
 * makes another one or calls control_end().
 */
bool control_settle(struct control *c, enum stop_reason reason);
/* No machine will follow. Harmless when one never began. */
void control_end(struct control *c);

/*
 * ---- monitors; lock held ----
 */
/* Stop all vCPUs; on return none is in the guest. */
void control_stop(struct control *c, enum run_state state);
int control_cont(struct control *c, struct err *e);
void control_power_button(struct control *c);
const char *control_state_name(enum run_state state);

/* Tell the monitors; any thread, any lock held. @data may be NULL. */
void control_event(struct control *c, const char *name,
		   struct json_object *data);

#endif
