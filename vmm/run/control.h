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
struct evloop;
struct evloop_watch;
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

/* What any thread may note, to be dealt with under the lock later. */
enum control_note {
	NOTE_EJECTED = BIT(0),
	NOTE_IO_ERROR = BIT(1),
	NOTE_FILTER = BIT(2), /* some card's changed */
};

struct control {
	pthread_mutex_t lock;
	struct machine *machine; /* NULL: over */
	enum run_state state;
	enum stop_reason reset; /* the reset under way, STOP_NONE: none */
	bool abandoned; /* disks use what was the machine's: nothing may go */
	/* ---- set up once ---- */
	const struct config_action *action;
	struct stop *stop;
	int parent;     /* for daemon_ready() once a machine began, or -1 */
	int wake;       /* eventfd: there are notes */
	unsigned notes; /* atomic: bits of enum control_note */
	struct evloop_watch *watch;
	/* Takes @data over; any thread, any lock held. */
	void (*event)(void *ctx, const char *name, struct json_object *data);
	void *ctx;
};

/* @stopped: wait for control_cont(). Returns with the lock held. */
void control_init(struct control *c, const struct config_action *action,
		  struct stop *stop, bool stopped);
void control_destroy(struct control *c);

/* Have notes seen to on @loop; no lock held. 0 or -errno. */
int control_watch(struct control *c, struct evloop *loop,
		  struct err *e) __must_check;
/* Before the loop ends; harmless without control_watch(). */
void control_unwatch(struct control *c);
/* Any thread, any lock held. */
void control_note(struct control *c, enum control_note note);
/* The drive @id failed, which is to stop the machine; the same. */
void control_io_error(void *ctx, const char *id, bool write, int code,
		      const char *action);

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

/* Whether a panic is only told of, which it then is; any thread. */
bool control_ignores_panic(struct control *c);

/* The guest set its calendar, which is off by @seconds now; as control_event(). */
void control_rtc_change(struct control *c, int64_t seconds);

/* The guest's balloon leaves it @bytes; the same. */
void control_balloon_change(struct control *c, uint64_t bytes);

/* The guest opened or closed a port; the same. */
void control_port_change(struct control *c, const char *id, bool open);

/* Tell the monitors; any thread, any lock held. @data may be NULL. */
void control_event(struct control *c, const char *name,
		   struct json_object *data);

#endif
