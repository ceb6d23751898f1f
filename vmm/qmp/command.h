/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QMP's commands: rows from which dispatch, argument checks, help and the
 * schema come. Document: QEMU's QMP reference manual, whose names, members
 * and sentences these are.
 */
#ifndef VMM_QMP_COMMAND_H
#define VMM_QMP_COMMAND_H

#include "vmm/run/control.h"
#include "vmm/qmp/json.h"

struct config;
struct cpu_accel;
struct machine_host;
struct devconf_device;
struct monitors;
struct passed;
struct virtio_device;

/* What commands act upon; the control's lock is held while one runs. */
struct qmp {
	struct control *control;
	struct monitors *monitors;
	const struct config *config;
	const struct machine_host *host;
	const struct cpu_accel *accel;
	struct passed *passed; /* to the monitor that asks; may be NULL */
};

struct qmp_command {
	const char *name;
	const char *args; /* members of its arguments, see type.h */
	bool open;        /* takes others as well */
	const char *ret;  /* type of its result; "": an empty object */
	const char *help;
	/*
	 * @args was checked; *@ret is for the result, which may be left
	 * alone when it is an empty object. -ENODEV is DeviceNotFound,
	 * -ENOTCONN DeviceNotActive.
	 * NULL: qmp_capabilities.
	 */
	int (*exec)(struct qmp *q, struct json_object *args,
		    struct json_object **ret, struct err *e);
};

/* Each file's, ended by a row without name. */
extern const struct qmp_command qmp_run_commands[];
extern const struct qmp_command qmp_info_commands[];
extern const struct qmp_command qmp_cpu_commands[];
extern const struct qmp_command qmp_device_commands[];
extern const struct qmp_command qmp_net_commands[];
extern const struct qmp_command qmp_virtio_commands[];
extern const struct qmp_command qmp_ring_commands[];
extern const struct qmp_command qmp_bus_commands[];
extern const struct qmp_command qmp_block_commands[];
extern const struct qmp_command qmp_balloon_commands[];
extern const struct qmp_command qmp_qom_commands[];
extern const struct qmp_command qmp_fd_commands[];
extern const struct qmp_command qmp_chardev_commands[];

/* Row @i of them all, or NULL. */
const struct qmp_command *qmp_command_at(unsigned i);
const struct qmp_command *qmp_command_find(const char *name);

/* SchemaInfo of all commands, events and types they are made of. */
struct json_object *qmp_schema(void);

/*
 * Answer one request; the caller's. @negotiated is what qmp_capabilities
 * sets, until when nothing else is allowed; from then on the control's lock
 * is held.
 */
struct json_object *qmp_answer(struct qmp *q, struct json_object *request,
			       bool *negotiated) __must_check;
/* The answer to what was no JSON. */
struct json_object *qmp_parse_failed(const struct err *e) __must_check;
/* What a client is greeted with. */
struct json_object *qmp_greeting(void) __must_check;
/* An event of now; takes @data over. */
struct json_object *qmp_event_text(const char *name,
				   struct json_object *data) __must_check;

/* The virtio device at the member "path", and its row; or NULL. */
struct virtio_device *qmp_virtio_find(struct qmp *q, struct json_object *args,
				      const struct devconf_device **row,
				      struct err *e);

/* Run @c; for people's monitors. The control's lock is held. */
int qmp_run(struct qmp *q, const struct qmp_command *c,
	    struct json_object *args, struct json_object **ret,
	    struct err *e) __must_check;

/* The version whose protocol this is: of the newest machine there is. */
struct json_object *qmp_version(void) __must_check;

#endif
