/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that ask the guest to do with less memory, and how much it has.
 */
#include <errno.h>

#include "dev/virtio/balloon.h"
#include "vmm/config.h"
#include "vmm/machine.h"
#include "vmm/qmp/command.h"
#include "vmm/virtio.h"

static struct virtio_device *find(struct qmp *q, struct err *e)
{
	struct devconf_device *d = q->control->machine->dev->devices;
	struct virtio_device *dev;

	for (; d; d = d->next) {
		dev = virtio_device(d);
		if (dev && virtio_is_balloon(dev))
			return dev;
	}
	err_set(e, -ENOTCONN, "No balloon device has been activated");
	return NULL;
}

static int balloon(struct qmp *q, struct json_object *args,
		   struct json_object **ret, struct err *e)
{
	struct virtio_device *dev = find(q, e);
	int64_t value = json_get_int(args, "value", 0);
	uint64_t ram = q->config->ram_size;

	if (!dev)
		return e->code;
	if (value <= 0)
		return err_set(e, -EINVAL, "Parameter 'target' expects a size");
	virtio_balloon_inflate(dev, ram - MIN((uint64_t)value, ram));
	return 0;
}

static int query_balloon(struct qmp *q, struct json_object *args,
			 struct json_object **ret, struct err *e)
{
	struct virtio_device *dev = find(q, e);
	uint64_t ram = q->config->ram_size, without;

	if (!dev)
		return e->code;
	without = virtio_balloon_actual(dev);
	*ret = json_object_new_object();
	json_put_int(*ret, "actual", ram - MIN(without, ram));
	return 0;
}

const struct qmp_command qmp_balloon_commands[] = {
	{"balloon", "value:int", false, "",
	 "ask the guest to do with so many bytes", balloon},
	{"query-balloon", "", false, "BalloonInfo",
	 "how many it does with, as it says", query_balloon},
	{0},
};
