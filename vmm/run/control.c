/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run states and what leads from one to the next.
 */
#include "vmm/run/control.h"

#include <errno.h>
#include <json-c/json.h>

#include "vmm/machine.h"
#include "vmm/run/hotplug.h"

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

/* SHUTDOWN and RESET say why. */
static void event_of(struct control *c, const char *name,
		     enum stop_reason reason)
{
	struct json_object *data = json_object_new_object();
	const char *cause;
	bool guest;

	cause = stop_cause(reason, &guest);
	json_object_object_add(data, "guest", json_object_new_boolean(guest));
	json_object_object_add(data, "reason", json_object_new_string(cause));
	control_event(c, name, data);
}

void control_begin(struct control *c, struct machine *m)
{
	c->machine = m;
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

static void tell_panic(struct control *c)
{
	bool pauses = c->action->panic == PANIC_PAUSE;
	struct json_object *data = json_object_new_object();

	json_object_object_add(
		data, "action",
		json_object_new_string(pauses ? "pause" : "poweroff"));
	control_event(c, "GUEST_PANICKED", data);
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

bool control_settle(struct control *c, enum stop_reason reason)
{
	const struct config_action *a = c->action;

	pthread_mutex_lock(&c->lock);
	machine_park(c->machine);
	if (reason == STOP_PANIC) {
		tell_panic(c);
		if (a->panic == PANIC_PAUSE)
			return hold(c, reason, RUN_PANICKED);
	}
	if (stop_is_reset(reason) && !a->reboot_ends)
		return settle_reset(c, reason);
	event_of(c, "SHUTDOWN", reason);
	if (a->shutdown_holds &&
	    (reason == STOP_POWER_OFF || reason == STOP_PANIC ||
	     stop_is_reset(reason)))
		return hold(c, reason, RUN_SHUTDOWN);
	return false;
}

void control_end(struct control *c)
{
	c->machine = NULL;
	pthread_mutex_unlock(&c->lock);
}
