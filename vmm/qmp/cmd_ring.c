/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that look into the rings of virtio devices. Of a packed ring, that
 * has no index of what is available, "avail" shows the driver's event area and
 * the buffer's id, "used" the device's event area.
 */
#include <errno.h>
#include <stdio.h>

#include "dev/dma.h"
#include "vmm/machine.h"
#include "vmm/qmp/command.h"
#include "vmm/virtio.h"

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

/* Device lock held. Whether a backend has @vq, and knows how far it is. */
static bool has_vhost(struct virtio_device *dev, const struct vq *vq,
		      struct virtio_vhost *v)
{
	return dev->class->vhost &&
	       dev->class->vhost(dev, (unsigned)(vq - dev->vq), v);
}

static void put_progress(struct json_object *o, const struct vq *vq)
{
	json_put_int(o, "inuse", vq->flying);
	json_put_int(o, "last-avail-idx", vq->next);
	json_put_int(o, "shadow-avail-idx", vq->next);
	json_put_int(o, "used-idx", vq->used);
	json_put_int(o, "signalled-used", vq->told);
	json_put_bool(o, "signalled-used-valid", vq->told_valid);
}

/* What is known from outside: a split ring, as vhost has no others. */
static void put_vhost_progress(struct json_object *o, const struct vq *vq)
{
	json_put_int(o, "inuse", 0);
	json_put_int(o, "used-idx", vq_load16(vq->device + 2));
	json_put_int(o, "signalled-used", 0);
	json_put_bool(o, "signalled-used-valid", false);
}

static int queue_status(struct qmp *q, struct json_object *args,
			struct json_object **ret, struct err *e)
{
	const struct devconf_device *d;
	struct virtio_device *dev = qmp_virtio_find(q, args, &d, e);
	struct vq *vq = dev ? find_queue(dev, args, e) : NULL;
	struct virtio_vhost v;
	struct json_object *o;

	if (!vq)
		return e->code;
	o = *ret = json_object_new_object();
	json_put_str(o, "name", dev->class->name);
	json_put_int(o, "queue-index", (uint64_t)(vq - dev->vq));
	pthread_mutex_lock(&dev->lock);
	json_put_int(o, "vring-num", vq->size);
	json_put_int(o, "vring-num-default", vq->max);
	json_put_int(o, "vring-align", 4096);
	json_put_int(o, "vring-desc", vq->desc_gpa);
	json_put_int(o, "vring-avail", vq->driver_gpa);
	json_put_int(o, "vring-used", vq->device_gpa);
	if (has_vhost(dev, vq, &v))
		put_vhost_progress(o, vq);
	else
		put_progress(o, vq);
	pthread_mutex_unlock(&dev->lock);
	return 0;
}

/* ---- buffers ---- */

static void put_desc(struct json_object *list, const struct vq_desc *desc,
		     unsigned flags)
{
	static const struct {
		unsigned bit;
		const char *name;
	} names[] = {
		{VQ_DESC_NEXT, "next"},         {VQ_DESC_WRITE, "write"},
		{VQ_DESC_INDIRECT, "indirect"}, {VQ_DESC_AVAIL, "avail"},
		{VQ_DESC_USED, "used"},
	};
	struct json_object *o = json_add_object(list);
	struct json_object *words = json_put_array(o, "flags");
	size_t i;

	json_put_int(o, "addr", desc->addr);
	json_put_int(o, "len", desc->len);
	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (flags & names[i].bit)
			json_object_array_add(
				words, json_object_new_string(names[i].name));
}

/* The table that @desc points to, or NULL when there is none. */
static const uint8_t *find_table(const struct vq *vq,
				 const struct vq_desc *desc, unsigned *count)
{
	*count = MIN(desc->len / 16, (uint32_t)VQ_MAX_IOV);
	return *count ? dma_ptr(vq->dma, desc->addr, desc->len) : NULL;
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
			table = find_table(vq, &desc, &count);
			if (!table)
				return;
			n = 0;
			desc = vq_read_desc(table, 0);
		}
		put_desc(list, &desc, desc.a & 7U);
		if (!(desc.a & VQ_DESC_NEXT))
			return;
	}
}

/* Device lock held; a split ring that is up. */
static void put_split(const struct vq *vq, struct json_object *o, unsigned at)
{
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

/* One after the other; in a table, all there are. */
static void put_run(const struct vq *vq, struct json_object *list, unsigned at)
{
	const uint8_t *table;
	struct vq_desc desc = {0};
	unsigned count, n;

	for (n = 0; n < vq->size; n++) {
		desc = vq_read_desc(vq->desc, (at + n) % vq->size);
		put_desc(list, &desc, desc.b);
		if (!(desc.b & VQ_DESC_NEXT))
			break;
	}
	table = desc.b & VQ_DESC_INDIRECT ? find_table(vq, &desc, &count)
					  : NULL;
	for (n = 0; table && n < count; n++) {
		desc = vq_read_desc(table, n);
		put_desc(list, &desc, desc.b & VQ_DESC_WRITE);
	}
}

/* The same of a packed one. */
static void put_packed(const struct vq *vq, struct json_object *o, unsigned at)
{
	struct vq_desc desc = vq_read_desc(vq->desc, at);
	struct json_object *avail = json_put_object(o, "avail");
	struct json_object *used = json_put_object(o, "used");

	json_put_int(o, "index", at);
	json_put_int(avail, "flags", vq_load16(vq->driver + 2));
	json_put_int(avail, "idx", vq_load16(vq->driver));
	json_put_int(avail, "ring", desc.a);
	json_put_int(used, "flags", vq_load16(vq->device + 2));
	json_put_int(used, "idx", vq_load16(vq->device));
	put_run(vq, json_put_array(o, "descs"), at);
}

static int queue_element(struct qmp *q, struct json_object *args,
			 struct json_object **ret, struct err *e)
{
	const struct devconf_device *d;
	struct virtio_device *dev = qmp_virtio_find(q, args, &d, e);
	struct vq *vq = dev ? find_queue(dev, args, e) : NULL;
	unsigned at;
	int code = 0;

	if (!vq)
		return e->code;
	pthread_mutex_lock(&dev->lock);
	if (vq->ready) {
		at = (unsigned)json_get_int(args, "index", vq->next) % vq->size;
		*ret = json_object_new_object();
		json_put_str(*ret, "name", dev->class->name);
		(vq->packed ? put_packed : put_split)(vq, *ret, at);
	} else {
		code = err_set(e, -EINVAL, "Queue is not ready");
	}
	pthread_mutex_unlock(&dev->lock);
	return code;
}

/* ---- vhost ---- */

static void put_area(struct json_object *o, const char *name,
		     const uint8_t *hva, uint64_t gpa, uint64_t size)
{
	char key[16];

	json_put_int(o, name, (uintptr_t)hva);
	snprintf(key, sizeof(key), "%s-phys", name);
	json_put_int(o, key, gpa);
	snprintf(key, sizeof(key), "%s-size", name);
	json_put_int(o, key, size);
}

static int vhost_status(struct qmp *q, struct json_object *args,
			struct json_object **ret, struct err *e)
{
	const struct devconf_device *d;
	struct virtio_device *dev = qmp_virtio_find(q, args, &d, e);
	struct vq *vq = dev ? find_queue(dev, args, e) : NULL;
	struct virtio_vhost v;
	struct json_object *o;
	unsigned event;
	int code = 0;

	if (!vq)
		return e->code;
	pthread_mutex_lock(&dev->lock);
	if (has_vhost(dev, vq, &v)) {
		event = vq->event_idx ? 2 : 0;
		o = *ret = json_object_new_object();
		json_put_str(o, "name", dev->class->name);
		json_put_int(o, "kick", (uint64_t)v.kick);
		json_put_int(o, "call", (uint64_t)v.call);
		json_put_int(o, "num", vq->size);
		put_area(o, "desc", vq->desc, vq->desc_gpa, 16U * vq->size);
		put_area(o, "avail", vq->driver, vq->driver_gpa,
			 4U + 2U * vq->size + event);
		put_area(o, "used", vq->device, vq->device_gpa,
			 4U + 8U * vq->size + event);
	} else {
		code = err_set(e, -ENOTSUP,
			       "Error - vhost device has not started yet");
	}
	pthread_mutex_unlock(&dev->lock);
	return code;
}

const struct qmp_command qmp_ring_commands[] = {
	{"x-query-virtio-queue-status", "path:str queue:int", false,
	 "VirtQueueStatus", "where a queue is and how far", queue_status},
	{"x-query-virtio-queue-element", "path:str queue:int index?:int", false,
	 "VirtioQueueElement", "a buffer in a queue", queue_element},
	{"x-query-virtio-vhost-queue-status", "path:str queue:int", false,
	 "VirtVhostQueueStatus", "a queue that a backend works on itself",
	 vhost_status},
	{0},
};
