/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a request to its answer.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "lib/check.h"
#include "vmm/cpu/machtype.h"
#include "vmm/qmp/command.h"
#include "vmm/qmp/type.h"

static const struct qmp_command *const tables[] = {
	qmp_run_commands,     qmp_info_commands,   qmp_cpu_commands,
	qmp_bus_commands,     qmp_device_commands, qmp_virtio_commands,
	qmp_net_commands,     qmp_ring_commands,   qmp_block_commands,
	qmp_balloon_commands, qmp_qom_commands,    qmp_fd_commands,
	qmp_chardev_commands,
};

const struct qmp_command *qmp_command_at(unsigned i)
{
	const struct qmp_command *c;
	size_t t;

	for (t = 0; t < ARRAY_SIZE(tables); t++)
		for (c = tables[t]; c->name; c++)
			if (!i--)
				return c;
	return NULL;
}

const struct qmp_command *qmp_command_find(const char *name)
{
	const struct qmp_command *c;
	unsigned i;

	for (i = 0; (c = qmp_command_at(i)); i++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

static struct json_object *failed(const char *class, const char *text)
{
	struct json_object *answer = json_object_new_object();
	struct json_object *error = json_put_object(answer, "error");

	json_put_str(error, "class", class);
	json_put_str(error, "desc", text);
	return answer;
}

static struct json_object *failed_by(const struct err *e)
{
	const char *class = "GenericError";

	if (e->code == -ENODEV)
		class = "DeviceNotFound";
	else if (e->code == -ENOTCONN)
		class = "DeviceNotActive";
	return failed(class, e->msg);
}

struct json_object *qmp_parse_failed(const struct err *e)
{
	return failed_by(e);
}

int qmp_run(struct qmp *q, const struct qmp_command *c,
	    struct json_object *args, struct json_object **ret, struct err *e)
{
	int code = qmp_check_members(c->args, c->open, args, e);

	*ret = NULL;
	if (code)
		return code;
	if (!q->control->machine)
		return err_set(e, -EIO, "the machine has ended");
	code = c->exec(q, args, ret, e);
	if (code)
		return code;
	if (!*ret)
		*ret = json_object_new_object();
	/* A result is what the schema says it is. */
	if (c->ret[0])
		ASSERT(!qmp_check(c->ret, c->name, *ret, NULL));
	return 0;
}

/* The one command that is not about a machine. */
static struct json_object *negotiate(const struct qmp_command *c,
				     struct json_object *args, bool *done)
{
	struct json_object *answer, *enable;
	struct err e = {0};

	if (*done)
		return failed("CommandNotFound",
			      "Capabilities negotiation is already complete, "
			      "command ignored");
	if (qmp_check_members(c->args, false, args, &e))
		return failed_by(&e);
	if (json_object_object_get_ex(args, "enable", &enable) &&
	    json_object_array_length(enable))
		return failed("GenericError", "Capability oob not available");
	*done = true;
	answer = json_object_new_object();
	json_put_object(answer, "return");
	return answer;
}

static struct json_object *execute(struct qmp *q, const char *name,
				   struct json_object *args, bool *negotiated)
{
	const struct qmp_command *c = qmp_command_find(name);
	struct json_object *answer, *ret;
	struct err e = {0};
	char text[160];

	if (c && !c->exec)
		return negotiate(c, args, negotiated);
	if (!*negotiated)
		return failed("CommandNotFound",
			      "Expecting capabilities negotiation with "
			      "'qmp_capabilities'");
	if (!c) {
		snprintf(text, sizeof(text),
			 "The command %.100s has not been found", name);
		return failed("CommandNotFound", text);
	}
	if (qmp_run(q, c, args, &ret, &e))
		return failed_by(&e);
	answer = json_object_new_object();
	json_object_object_add(answer, "return", ret);
	return answer;
}

/* The envelope: what there must be, and nothing else. */
static int check_request(struct json_object *request, struct err *e)
{
	struct json_object *v;

	if (!json_object_is_type(request, json_type_object))
		return err_set(e, -EINVAL, "QMP input must be a JSON object");
	json_object_object_foreach(request, key, member)
	{
		(void)member;
		if (strcmp(key, "execute") && strcmp(key, "arguments") &&
		    strcmp(key, "id"))
			return err_set(e, -EINVAL,
				       "QMP input member '%.100s' is "
				       "unexpected",
				       key);
	}
	if (!json_object_object_get_ex(request, "execute", &v))
		return err_set(e, -EINVAL, "QMP input lacks member 'execute'");
	if (!json_object_is_type(v, json_type_string))
		return err_set(e, -EINVAL,
			       "QMP input member 'execute' must be a string");
	if (json_object_object_get_ex(request, "arguments", &v) &&
	    !json_object_is_type(v, json_type_object))
		return err_set(
			e, -EINVAL,
			"QMP input member 'arguments' must be an object");
	return 0;
}

struct json_object *qmp_answer(struct qmp *q, struct json_object *request,
			       bool *negotiated)
{
	struct json_object *answer, *args, *id;
	struct err e = {0};

	if (check_request(request, &e)) {
		answer = failed_by(&e);
	} else {
		args = json_object_object_get(request, "arguments");
		args = args ? json_object_get(args) : json_object_new_object();
		answer = execute(q, json_get_str(request, "execute"), args,
				 negotiated);
		json_object_put(args);
	}
	if (json_object_is_type(request, json_type_object) &&
	    json_object_object_get_ex(request, "id", &id))
		json_object_object_add(answer, "id", json_object_get(id));
	return answer;
}

struct json_object *qmp_version(void)
{
	struct machtype newest;
	const char *alias;
	struct json_object *v = json_object_new_object();
	struct json_object *qemu = json_put_object(v, "qemu");

	ASSERT(machtype_get(0, &newest, &alias));
	json_put_int(qemu, "micro", 0);
	json_put_int(qemu, "minor", newest.version % 100);
	json_put_int(qemu, "major", newest.version / 100);
	json_put_str(v, "package", "lodge " LODGE_VERSION);
	return v;
}

struct json_object *qmp_greeting(void)
{
	struct json_object *greeting = json_object_new_object();
	struct json_object *qmp = json_put_object(greeting, "QMP");

	json_object_object_add(qmp, "version", qmp_version());
	json_put_array(qmp, "capabilities");
	return greeting;
}

struct json_object *qmp_event_text(const char *name, struct json_object *data)
{
	struct json_object *event = json_object_new_object(), *stamp;
	struct timeval now;

	gettimeofday(&now, NULL);
	stamp = json_put_object(event, "timestamp");
	json_put_int(stamp, "seconds", (uint64_t)now.tv_sec);
	json_put_int(stamp, "microseconds", (uint64_t)now.tv_usec);
	json_put_str(event, "event", name);
	if (data)
		json_object_object_add(event, "data", data);
	return event;
}
