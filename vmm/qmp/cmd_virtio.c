/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that look into virtio devices: what was offered and agreed on, by
 * name and bit for bit. Their rings are in cmd_ring.c.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/machine.h"
#include "vmm/qmp/command.h"
#include "vmm/run/hotplug.h"
#include "vmm/virtio.h"

#define BACKEND      "/virtio-backend" /* behind a device's own path */
#define NAME_MAX_LEN 96

static char *backend_path(struct qmp *q, const struct devconf_device *d,
			  char *buf, size_t size)
{
	hotplug_path(q->control->machine, d, buf, size - sizeof(BACKEND));
	return strcat(buf, BACKEND);
}

static int list_all(struct qmp *q, struct json_object *args,
		    struct json_object **ret, struct err *e)
{
	const struct devconf_device *d;
	struct json_object *o;
	char path[160];

	*ret = json_object_new_array();
	for (d = q->control->machine->dev->devices; d; d = d->next) {
		if (!virtio_device(d))
			continue;
		o = json_add_object(*ret);
		json_put_str(o, "path", backend_path(q, d, path, sizeof(path)));
		json_put_str(o, "name", virtio_device(d)->class->name);
	}
	return 0;
}

struct virtio_device *qmp_virtio_find(struct qmp *q, struct json_object *args,
				      const struct devconf_device **row,
				      struct err *e)
{
	const char *want = json_get_str(args, "path");
	const struct devconf_device *d;
	char path[160];

	for (d = q->control->machine->dev->devices; d; d = d->next) {
		if (!virtio_device(d))
			continue;
		*row = d;
		if (!strcmp(backend_path(q, d, path, sizeof(path)), want))
			return virtio_device(d);
	}
	err_set(e, -EINVAL, "Path %s is not a VirtIODevice", want);
	return NULL;
}

/* "VIRTIO_NET_F_CSUM", as the kernel's headers have it. */
static void name_bit(const struct virtio_class *class, unsigned bit,
		     const char *name, char *buf)
{
	static const char prefix[] = "virtio-";
	const char *kind = class->name;
	size_t n;

	if (!strncmp(kind, prefix, strlen(prefix)))
		kind += strlen(prefix);
	if (bit == VIRTIO_F_INDIRECT_DESC || bit == VIRTIO_F_EVENT_IDX) {
		snprintf(buf, NAME_MAX_LEN, "VIRTIO_RING_F_%s", name);
	} else if (features_is_common(bit)) {
		snprintf(buf, NAME_MAX_LEN, "VIRTIO_F_%s", name);
	} else {
		n = (size_t)snprintf(buf, NAME_MAX_LEN, "VIRTIO_%s_F_%s", kind,
				     name);
		for (; n--;)
			buf[n] = (char)toupper((unsigned char)buf[n]);
	}
}

/* Bits that have no name are numbers: a word for each half. */
static void put_features(struct json_object *to, const char *key,
			 const struct virtio_class *class,
			 const struct virtio_features *f)
{
	struct json_object *o = json_put_object(to, key), *list;
	struct json_object *transports = json_put_array(o, "transports");
	struct json_object *own = json_put_array(o, "dev-features");
	struct virtio_features unknown = {0};
	char text[NAME_MAX_LEN];
	const char *name;
	unsigned bit;

	for (bit = VIRTIO_FEATURES; bit--;) {
		if (!features_has(f, bit))
			continue;
		name = features_name(class->id, bit);
		if (!name) {
			features_put(&unknown, bit, true);
			continue;
		}
		name_bit(class, bit, name, text);
		list = features_is_common(bit) ? transports : own;
		json_object_array_add(list, json_object_new_string(text));
	}
	if (unknown.w[0])
		json_put_int(o, "unknown-dev-features", unknown.w[0]);
	if (unknown.w[1])
		json_put_int(o, "unknown-dev-features2", unknown.w[1]);
}

static void put_status(struct json_object *to, uint8_t status)
{
	static const char *const names[8] = {
		[0] = "VIRTIO_CONFIG_S_ACKNOWLEDGE: Valid virtio device found",
		[1] = "VIRTIO_CONFIG_S_DRIVER: Guest OS compatible with device",
		[2] = "VIRTIO_CONFIG_S_DRIVER_OK: Driver setup and ready",
		[3] = "VIRTIO_CONFIG_S_FEATURES_OK: Feature negotiation "
		      "complete",
		[6] = "VIRTIO_CONFIG_S_NEEDS_RESET: Irrecoverable error, "
		      "device needs reset",
		[7] = "VIRTIO_CONFIG_S_FAILED: Error in guest, device failed",
	};
	struct json_object *o = json_put_object(to, "status");
	struct json_object *list = json_put_array(o, "statuses");
	unsigned bit;

	for (bit = 0; bit < 8; bit++)
		if (status & BIT(bit) && names[bit])
			json_object_array_add(
				list, json_object_new_string(names[bit]));
	if (status & 0x30)
		json_put_int(o, "unknown-statuses", status & 0x30);
}

static void put_state(struct qmp *q, struct json_object *o,
		      struct virtio_device *dev)
{
	bool broken = dev->status & VIRTIO_STATUS_NEEDS_RESET;
	bool started = dev->status & VIRTIO_STATUS_DRIVER_OK;
	struct virtio_vhost vhost;

	json_put_int(o, "num-vqs", dev->queues);
	put_status(o, dev->status);
	json_put_bool(o, "vm-running", q->control->state == RUN_RUNNING);
	json_put_bool(o, "broken", broken);
	json_put_bool(o, "disabled", broken || dev->cut_off);
	json_put_bool(o, "started", started);
	json_put_bool(o, "use-started", true);
	json_put_bool(o, "start-on-kick", false);
	json_put_bool(o, "disable-legacy-check", false);
	json_put_bool(o, "use-guest-notifier-mask", false);
	json_put_bool(o, "vhost-started",
		      dev->class->vhost && dev->class->vhost(dev, 0, &vhost));
}

static int status(struct qmp *q, struct json_object *args,
		  struct json_object **ret, struct err *e)
{
	const struct devconf_device *d;
	struct virtio_device *dev = qmp_virtio_find(q, args, &d, e);
	struct virtio_regs regs = {0};
	struct json_object *o;

	if (!dev)
		return e->code;
	virtio_regs(d, &regs);
	o = *ret = json_object_new_object();
	json_put_str(o, "name", dev->class->name);
	json_put_int(o, "device-id", dev->class->id);
	json_put_str(o, "device-endian", "little");
	json_put_str(o, "bus-name",
		     d->conf->bus == VIRTIO_BUS_PCI ? "virtio-bus"
						    : "virtio-mmio-bus");
	json_put_int(o, "isr", regs.isr);
	json_put_int(o, "queue-sel", regs.queue_select);
	pthread_mutex_lock(&dev->lock);
	put_features(o, "guest-features", dev->class, &dev->driver);
	put_features(o, "host-features", dev->class, &dev->offered);
	put_features(o, "backend-features", dev->class, &dev->offered);
	put_state(q, o, dev);
	pthread_mutex_unlock(&dev->lock);
	return 0;
}

const struct qmp_command qmp_virtio_commands[] = {
	{"x-query-virtio", "", false, "[VirtioInfo]", "all virtio devices",
	 list_all},
	{"x-query-virtio-status", "path:str", false, "VirtioStatus",
	 "a device's state and features", status},
	{0},
};
