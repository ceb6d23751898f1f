/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that look into virtio devices: what was offered and agreed on, by
 * name and bit for bit, and the rings.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dev/dma.h"
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

/* The device at the member "path", with its place among the others. */
static struct virtio_device *find(struct qmp *q, struct json_object *args,
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
		      const struct virtio_device *dev)
{
	bool broken = dev->status & VIRTIO_STATUS_NEEDS_RESET;
	bool started = dev->status & VIRTIO_STATUS_DRIVER_OK;

	json_put_int(o, "num-vqs", dev->queues);
	put_status(o, dev->status);
	json_put_bool(o, "vm-running", q->control->state == RUN_RUNNING);
	json_put_bool(o, "broken", broken);
	json_put_bool(o, "disabled", broken);
	json_put_bool(o, "started", started);
	json_put_bool(o, "use-started", true);
	json_put_bool(o, "start-on-kick", false);
	json_put_bool(o, "disable-legacy-check", false);
	json_put_bool(o, "use-guest-notifier-mask", false);
	json_put_bool(o, "vhost-started", false);
}

static int status(struct qmp *q, struct json_object *args,
		  struct json_object **ret, struct err *e)
{
	const struct devconf_device *d;
	struct virtio_device *dev = find(q, args, &d, e);
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

/* The queue that the member "queue" names. */
static struct vq *find_queue(struct virtio_device *dev,
			     struct json_object *args, struct err *e)
{
	int64_t n = json_get_int(args, "queue", -1);

	if (n < 0 || n >= (int64_t)dev->queues || !dev->vq[n].size) {
		err_set(e, -EINVAL, "Invalid virtqueue number %lld",
			(long long)n);
		return NULL;
	}
	return &dev->vq[n];
}

static int queue_status(struct qmp *q, struct json_object *args,
			struct json_object **ret, struct err *e)
{
	const struct devconf_device *d;
	struct virtio_device *dev = find(q, args, &d, e);
	struct vq *vq = dev ? find_queue(dev, args, e) : NULL;
	struct json_object *o;

	if (!vq)
		return e->code;
	o = *ret = json_object_new_object();
	json_put_str(o, "name", dev->class->name);
	json_put_int(o, "queue-index", (uint64_t)(vq - dev->vq));
	pthread_mutex_lock(&dev->lock);
	json_put_int(o, "inuse", vq->flying);
	json_put_int(o, "vring-num", vq->size);
	json_put_int(o, "vring-num-default", vq->max);
	json_put_int(o, "vring-align", 4096);
	json_put_int(o, "vring-desc", vq->desc_gpa);
	json_put_int(o, "vring-avail", vq->driver_gpa);
	json_put_int(o, "vring-used", vq->device_gpa);
	json_put_int(o, "last-avail-idx", vq->next);
	json_put_int(o, "shadow-avail-idx", vq->next);
	json_put_int(o, "used-idx", vq->used);
	json_put_int(o, "signalled-used", vq->told);
	json_put_bool(o, "signalled-used-valid", vq->told_valid);
	pthread_mutex_unlock(&dev->lock);
	return 0;
}

static void put_desc(struct json_object *list, const struct vq_desc *desc)
{
	static const struct {
		unsigned bit;
		const char *name;
	} flags[] = {
		{VQ_DESC_NEXT, "next"},
		{VQ_DESC_WRITE, "write"},
		{VQ_DESC_INDIRECT, "indirect"},
	};
	struct json_object *o = json_add_object(list);
	struct json_object *names = json_put_array(o, "flags");
	size_t i;

	json_put_int(o, "addr", desc->addr);
	json_put_int(o, "len", desc->len);
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		if (desc->a & flags[i].bit)
			json_object_array_add(
				names, json_object_new_string(flags[i].name));
}

/*
 * A chain from @head on, and through an indirect table. What the driver wrote
 * may lead in circles: no more than the table has are followed.
 */
static void put_chain(const struct vq *vq, struct json_object *list,
		      unsigned head)
{
	const uint8_t *table = vq->desc;
	unsigned count = vq->size, n;
	struct vq_desc desc;

	for (n = 0; n < count && head < count; n++, head = desc.b) {
		desc = vq_read_desc(table, head);
		if (desc.a & VQ_DESC_INDIRECT && table == vq->desc) {
			table = dma_ptr(vq->dma, desc.addr, desc.len);
			count = MIN(desc.len / 16, (uint32_t)VQ_MAX_IOV);
			if (!table || !count)
				return;
			n = 0;
			desc = vq_read_desc(table, 0);
		}
		put_desc(list, &desc);
		if (!(desc.a & VQ_DESC_NEXT))
			return;
	}
}

/* Device lock held; a split ring that is up. */
static void put_element(const struct vq *vq, struct json_object *o,
			unsigned index)
{
	unsigned at = index % vq->size;
	unsigned head = vq_load16(vq->driver + 4 + 2 * at);
	struct json_object *avail = json_put_object(o, "avail");
	struct json_object *used = json_put_object(o, "used");

	json_put_int(o, "index", head);
	json_put_int(avail, "flags", vq_load16(vq->driver));
	json_put_int(avail, "idx", vq_load16(vq->driver + 2));
	json_put_int(avail, "ring", head);
	json_put_int(used, "flags", vq_load16(vq->device));
	json_put_int(used, "idx", vq_load16(vq->device + 2));
	put_chain(vq, json_put_array(o, "descs"), head);
}

static int queue_element(struct qmp *q, struct json_object *args,
			 struct json_object **ret, struct err *e)
{
	const struct devconf_device *d;
	struct virtio_device *dev = find(q, args, &d, e);
	struct vq *vq = dev ? find_queue(dev, args, e) : NULL;
	int code = 0;

	if (!vq)
		return e->code;
	pthread_mutex_lock(&dev->lock);
	if (!vq->ready) {
		code = err_set(e, -EINVAL, "Queue is not ready");
	} else if (vq->packed) {
		code = err_set(e, -ENOTSUP,
			       "Packed ring not supported: its buffers have no "
			       "place of their own");
	} else {
		*ret = json_object_new_object();
		json_put_str(*ret, "name", dev->class->name);
		put_element(vq, *ret,
			    (unsigned)json_get_int(args, "index", vq->next));
	}
	pthread_mutex_unlock(&dev->lock);
	return code;
}

static int vhost_status(struct qmp *q, struct json_object *args,
			struct json_object **ret, struct err *e)
{
	const struct devconf_device *d;
	struct virtio_device *dev = find(q, args, &d, e);

	return dev ? err_set(e, -ENOTSUP,
			     "Error - vhost device has not started yet")
		   : e->code;
}

const struct qmp_command qmp_virtio_commands[] = {
	{"x-query-virtio", "", false, "[VirtioInfo]", "all virtio devices",
	 list_all},
	{"x-query-virtio-status", "path:str", false, "VirtioStatus",
	 "a device's state and features", status},
	{"x-query-virtio-queue-status", "path:str queue:int", false,
	 "VirtQueueStatus", "where a queue is and how far", queue_status},
	{"x-query-virtio-queue-element", "path:str queue:int index?:int", false,
	 "VirtioQueueElement", "a buffer in a queue", queue_element},
	{"x-query-virtio-vhost-queue-status", "path:str queue:int", false,
	 "VirtQueueStatus", "refused: no device's queues are vhost's",
	 vhost_status},
	{0},
};
