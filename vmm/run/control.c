/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run states and what leads from one to the next.
 */
#include "vmm/run/control.h"

#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host/evloop.h"
#include "vmm/machine.h"
#include "vmm/qmp/json.h"
#include "vmm/run/daemon.h"
#include "vmm/run/disks.h"
#include "vmm/run/hotplug.h"
#include "vmm/run/nic.h"

static const char *const names[RUN_STATES] = {
	[RUN_PRELAUNCH] = "prelaunch",     [RUN_RUNNING] = "running",
	[RUN_PAUSED] = "paused",           [RUN_SHUTDOWN] = "shutdown",
	[RUN_PANICKED] = "guest-panicked", [RUN_IO_ERROR] = "io-error",
};

const char *control_state_name(enum run_state state)
{
	return names[state];
}

void control_init(struct control *c, const struct config_action *action,
		  struct stop *stop, bool stopped)
{
	*c = (struct control){
		.action = action,
		.stop = stop,
		.state = stopped ? RUN_PRELAUNCH : RUN_RUNNING,
		.parent = -1,
		.wake = -1,
	};
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_lock(&c->lock);
}

void control_destroy(struct control *c)
{
	pthread_mutex_destroy(&c->lock);
}

void control_event(struct control *c, const char *name,
		   struct json_object *data)
{
	if (c->event)
		c->event(c->ctx, name, data);
	else
		json_object_put(data);
}

void control_rtc_change(struct control *c, int64_t seconds)
{
	struct json_object *data = json_object_new_object();

	json_object_object_add(data, "offset", json_object_new_int64(seconds));
	json_put_str(data, "qom-path", "/machine/rtc");
	control_event(c, "RTC_CHANGE", data);
}

void control_balloon_change(struct control *c, uint64_t bytes)
{
	struct json_object *data = json_object_new_object();

	json_put_int(data, "actual", bytes);
	control_event(c, "BALLOON_CHANGE", data);
}

void control_port_change(struct control *c, const char *id, bool open)
{
	struct json_object *data = json_object_new_object();

	json_put_str(data, "id", id);
	json_put_bool(data, "open", open);
	control_event(c, "VSERPORT_CHANGE", data);
}

/* SHUTDOWN and RESET say why. */
static void event_of(struct control *c, const char *name,
		     enum stop_reason reason)
{
	struct json_object *data = json_object_new_object();
	const char *cause;
	bool guest;

	cause = stop_cause(reason, &guest);
	json_put_bool(data, "guest", guest);
	json_put_str(data, "reason", cause);
	control_event(c, name, data);
}

void control_begin(struct control *c, struct machine *m)
{
	c->machine = m;
	daemon_ready(c->parent);
	c->parent = -1;
	if (c->reset != STOP_NONE)
		event_of(c, "RESET", c->reset);
	c->reset = STOP_NONE;
	if (c->state == RUN_RUNNING)
		machine_resume(m);
	pthread_mutex_unlock(&c->lock);
}

void control_stop(struct control *c, enum run_state state)
{
	if (c->state != RUN_RUNNING)
		return;
	machine_pause(c->machine);
	c->state = state;
	control_event(c, "STOP", NULL);
}

int control_cont(struct control *c, struct err *e)
{
	if (c->state == RUN_RUNNING)
		return 0;
	if (c->state == RUN_SHUTDOWN)
		return err_set(e, -EINVAL,
			       "Resetting the Virtual Machine is required");
	c->state = RUN_RUNNING;
	control_event(c, "RESUME", NULL);
	machine_resume(c->machine);
	return 0;
}

void control_power_button(struct control *c)
{
	machine_power_button(c->machine);
	control_event(c, "POWERDOWN", NULL);
}

/* Keep the machine in @state until an operator decides. */
static bool hold(struct control *c, enum stop_reason reason,
		 enum run_state state)
{
	control_stop(c, state);
	c->state = state;
	stop_rearm(c->stop, reason);
	pthread_mutex_unlock(&c->lock);
	return true;
}

static void tell_panic(struct control *c, const char *action)
{
	struct json_object *data = json_object_new_object();

	json_put_str(data, "action", action);
	control_event(c, "GUEST_PANICKED", data);
}

bool control_ignores_panic(struct control *c)
{
	if (c->action->panic != PANIC_NONE)
		return false;
	tell_panic(c, "run");
	return true;
}

/* A new machine runs if this one did. */
static bool settle_reset(struct control *c, enum stop_reason reason)
{
	c->reset = reason;
	hotplug_settle(c->machine);
	if (c->state != RUN_RUNNING)
		c->state = RUN_PRELAUNCH;
	return false;
}

/* Whether an operator shall decide what is to follow. */
static bool holds(const struct control *c, enum stop_reason reason)
{
	return c->action->shutdown_holds &&
	       (reason == STOP_POWER_OFF || reason == STOP_PANIC ||
		stop_is_reset(reason));
}

bool control_settle(struct control *c, enum stop_reason reason)
{
	const struct config_action *a = c->action;
	enum stop_reason now;

	pthread_mutex_lock(&c->lock);
	machine_park(c->machine);
	if (reason == STOP_PANIC) {
		tell_panic(c, a->panic == PANIC_PAUSE ? "pause" : "poweroff");
		if (a->panic == PANIC_PAUSE)
			return hold(c, reason, RUN_PANICKED);
	}
	if (stop_is_reset(reason) && !a->reboot_ends) {
		now = disks_settle(c, reason);
		if (stop_is_reset(now))
			return settle_reset(c, now);
		event_of(c, "SHUTDOWN", now);
		return false;
	}
	event_of(c, "SHUTDOWN", reason);
	if (holds(c, reason))
		return hold(c, reason, RUN_SHUTDOWN);
	disks_settle(c, reason);
	return false;
}

void control_end(struct control *c)
{
	c->machine = NULL;
	pthread_mutex_unlock(&c->lock);
}

/* ---- notes ---- */

static void on_wake(void *opaque, int revents)
{
	struct control *c = opaque;
	unsigned notes;
	uint64_t n;

	if (read(c->wake, &n, sizeof(n)) < 0)
		return;
	pthread_mutex_lock(&c->lock);
	notes = __atomic_exchange_n(&c->notes, 0, __ATOMIC_SEQ_CST);
	if (c->machine && notes & NOTE_EJECTED)
		hotplug_forget(c->machine);
	if (c->machine && notes & NOTE_IO_ERROR)
		control_stop(c, RUN_IO_ERROR);
	if (c->machine && notes & NOTE_FILTER)
		nic_tell_filters(c->machine);
	pthread_mutex_unlock(&c->lock);
}

int control_watch(struct control *c, struct evloop *loop, struct err *e)
{
	c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->wake >= 0)
		c->watch = evloop_add(loop, c->wake, POLLIN, on_wake, c);
	return c->watch ? 0 : err_set(e, -ENOMEM, "cannot take notes");
}

void control_unwatch(struct control *c)
{
	evloop_remove(c->watch);
	c->watch = NULL;
	if (c->wake >= 0)
		close(c->wake);
	c->wake = -1;
}

void control_note(struct control *c, enum control_note note)
{
	uint64_t one = 1;

	__atomic_fetch_or(&c->notes, note, __ATOMIC_SEQ_CST);
	while (write(c->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void control_io_error(void *ctx, const char *id, bool write, int code,
		      const char *action)
{
	struct json_object *data = json_object_new_object();

	json_put_str(data, "device", id);
	json_put_str(data, "node-name", id);
	json_put_str(data, "operation", write ? "write" : "read");
	json_put_str(data, "action", action);
	json_put_bool(data, "nospace", code == -ENOSPC);
	json_put_str(data, "reason", strerror(code < 0 ? -code : code));
	control_event(ctx, "BLOCK_IO_ERROR", data);
	if (!strcmp(action, "stop"))
		control_note(ctx, NOTE_IO_ERROR);
}
