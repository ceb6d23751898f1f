/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drivers that do anything: every type of device, with rings whose descriptors
 * loop, overlap, leave memory, are cut short or change under way, at addresses
 * that may be wrong, with any features and in any order. What must not happen
 * is for the sanitizers to see; what must is checked: a device that broke says
 * so, and a reset mends it.
 *
 * What a driver does follows from the bytes of an input: the first one chooses
 * the device, which has PACKED rings or split ones, the others are taken one
 * after the other whenever there is a choice.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dev/virtio/fakering.h"
#include "host/block/block.h"
#include "host/net/net.h"
#include "host/p9/p9.h"
#include "host/port.h"
#include "lib/check.h"
#include "lib/fuzz.h"

/* A driver does not wait its turn, and looked_at need not be right. */
#define UNORDERED __attribute__((no_sanitize("thread")))
#define MEMORY    FAKE_SIZE
#define QUEUES    8 /* of a device, at most, that are set up */
#define TYPES     16

static uint32_t rnd(void)
{
	return fuzz_bytes(4) & 0x7fffffff;
}

static uint32_t below(uint32_t n)
{
	return fuzz_below(n);
}

/* ---- what devices are connected with ---- */

static int null_attach(struct net *net, struct evloop *const *loop,
		       const struct net_user *user)
{
	return 0;
}

static void null_detach(struct net *net)
{
}

/* So that no byte is left unread. */
static volatile uint8_t looked_at;

UNORDERED static int null_send(struct net *net, unsigned q,
			       const struct iovec *iov, unsigned n)
{
	size_t i;

	while (n--)
		for (i = 0; i < iov[n].iov_len; i += 64)
			looked_at += ((const uint8_t *)iov[n].iov_base)[i];
	return 0;
}

static void null_room(struct net *net, unsigned q)
{
}

static const struct net_ops null_ops = {
	.attach = null_attach,
	.detach = null_detach,
	.send = null_send,
	.room = null_room,
};

static void end_attach(struct port_end *p, const struct port_user *user)
{
}

static void end_room(struct port_end *p)
{
}

UNORDERED static void end_write(struct port_end *p, const uint8_t *buf,
				size_t n)
{
	while (n--)
		looked_at += buf[n];
}

static void end_hangup(struct port_end *p, bool on)
{
}

static const struct port_end_ops end_ops = {end_attach, end_room, end_write,
					    end_hangup};

struct host {
	char folder[32];
	char disk[48];
	char socket[48];
	struct drive drive;
	struct net net;
	struct p9_export *fs;
	struct port_end end;
};

static void open_host(struct host *h)
{
	struct p9_options o = {.security = P9_NONE};
	struct err e = {0};
	FILE *f;

	*h = (struct host){
		.folder = "/tmp/fuzz_test.XXXXXX",
		.net = {.ops = &null_ops, .has_header = true},
		.end = {&end_ops},
	};
	memset(&h->net.can, 1, sizeof(h->net.can));
	ASSERT(mkdtemp(h->folder));
	snprintf(h->disk, sizeof(h->disk), "%s/disk", h->folder);
	snprintf(h->socket, sizeof(h->socket), "%s/socket", h->folder);
	f = fopen(h->disk, "w");
	ASSERT(f && !ftruncate(fileno(f), 1 << 20));
	fclose(f);
	h->drive.block = block_open_raw(h->disk, false, true, &e);
	ASSERT(h->drive.block);
	o.path = h->folder;
	h->fs = p9_export_open(&o, &e);
	ASSERT(h->fs);
}

static void close_host(struct host *h)
{
	char command[64];

	block_close(h->drive.block);
	p9_export_close(h->fs);
	snprintf(command, sizeof(command), "rm -rf %s", h->folder);
	ASSERT(!system(command));
}

static void *object_for(struct host *h, enum prop_link_kind kind)
{
	switch (kind) {
	case LINK_DRIVE: return &h->drive;
	case LINK_NET: return &h->net;
	case LINK_FS: return h->fs;
	case LINK_CHARDEV: return &h->end;
	default: return NULL;
	}
}

static struct virtio_conf *new_conf(struct host *h, const struct virtio_type *t)
{
	const char *const texts[][2] = {
		{"guest-cid", "3"},
		{"uds_path", h->socket},
		{"mount_tag", "tag"},
		{"free-page-reporting", "on"},
		{"packed", PACKED ? "on" : "off"},
		{"in_order", "on"},
		{"notification_data", "on"},
	};
	struct virtio_conf *c = virtio_conf_new(t);
	const struct prop *p = NULL;
	struct prop_link *link;
	size_t i;

	ASSERT(c);
	/* Those it does not have are refused. */
	for (i = 0; i < ARRAY_SIZE(texts); i++)
		if (virtio_conf_set(c, texts[i][0], texts[i][1], NULL))
			continue;
	while ((link = virtio_conf_link(c, &p)))
		link->object = object_for(h, (enum prop_link_kind)p->min);
	return c;
}

/* ---- a driver ---- */

struct driver {
	uint8_t *mem;
	struct dma dma;
	struct virtio_device *dev;
	struct virtio_conf *conf, *part[2];
};

/* An address: most are in memory, some at its edges, some are nowhere. */
static uint64_t address(void)
{
	switch (below(16)) {
	case 0: return (uint64_t)rnd() << below(33);
	case 1: return FAKE_BASE + MEMORY - below(32);
	case 2: return FAKE_BASE - below(32);
	default: return FAKE_BASE + below(MEMORY);
	}
}

static uint32_t length(void)
{
	switch (below(8)) {
	case 0: return rnd() << 1;
	case 1: return 0;
	case 2: return below(1 << 20);
	case 3: return 16 * below(64);
	default: return below(600);
	}
}

UNORDERED static void put_desc(uint8_t *at, bool packed, unsigned size)
{
	struct fake_desc d = {address(), length(), 0, 0};
	uint16_t flags = (uint16_t)(below(8) ? below(4) : rnd());

	if (!below(6))
		flags |= VQ_DESC_INDIRECT;
	if (packed) {
		/* Available in the first lap, more often than not. */
		d.a = (uint16_t)below(size + 2);
		d.b = flags | (below(8) ? 0x80 : (uint16_t)(rnd() & 0x8080));
	} else {
		d.a = flags;
		d.b = (uint16_t)below(size + 2);
	}
	memcpy(at, &d, sizeof(d));
}

/* Tables all over memory; the input is spared for what matters more. */
UNORDERED static void litter(struct driver *d, unsigned size)
{
	unsigned i, n = MEMORY / 16;
	size_t kept = fuzz_pause();

	for (i = 0; i < 400; i++)
		put_desc(d->mem + (size_t)below(n) * 16, PACKED, size);
	fuzz_resume(kept);
}

/* The rings in front of them. */
UNORDERED static void scribble(struct driver *d, unsigned size)
{
	uint16_t idx = (uint16_t)(below(4) ? below(size + 1) : rnd()), head;
	uint8_t *m = d->mem;
	unsigned i;

	for (i = 0; i < size && i < 64; i++)
		put_desc(m + (FAKE_DESC - FAKE_BASE) + i * 16, PACKED, size);
	if (PACKED)
		return;
	/* The split format's ring of what is available. */
	memcpy(m + (FAKE_DRIVER - FAKE_BASE) + 2, &idx, 2);
	for (i = 0; i < size; i++) {
		head = (uint16_t)(below(16) ? below(size) : rnd());
		memcpy(m + (FAKE_DRIVER - FAKE_BASE) + 4 + 2 * i, &head, 2);
	}
}

static void set_up_queue(struct driver *d, unsigned q)
{
	static const unsigned sizes[] = {1, 2, 4, 8, 64, 3, 0, 128};
	struct vq *vq = &d->dev->vq[q];

	/* Both transports ignore what comes while it runs. */
	pthread_mutex_lock(&d->dev->lock);
	if (!vq->ready) {
		vq->size = (uint16_t)MIN(sizes[below(8)], (unsigned)vq->max);
		vq->desc_gpa = below(20) ? FAKE_DESC : address();
		vq->driver_gpa = below(20) ? FAKE_DRIVER : address();
		vq->device_gpa = below(20) ? FAKE_DEVICE : address();
	}
	pthread_mutex_unlock(&d->dev->lock);
	virtio_queue_enable(d->dev, q);
}

static void negotiate(struct driver *d)
{
	unsigned i;
	struct virtio_features f = d->dev->offered;

	virtio_set_status(d->dev, 0);
	virtio_set_status(d->dev, 3);
	for (i = 0; i < 4; i++) {
		uint32_t w = features_get_word(&f, i);

		if (below(3))
			w &= ~(rnd() & rnd() & ~1U);
		/* bit 34 is the format of the rings */
		virtio_set_driver_features(d->dev, i,
					   i == 1 && PACKED ? w | 4 : w);
	}
	features_put(&d->dev->driver, VIRTIO_F_VERSION_1, true);
	features_settle(&d->dev->driver, d->dev->class->id);
	virtio_set_status(d->dev, 0xb);
}

static void kick(struct driver *d, unsigned queues)
{
	unsigned i;

	for (i = 0; i < 12; i++) {
		unsigned q = below(queues);

		switch (below(10)) {
		case 0: virtio_queue_reset(d->dev, q); break;
		case 1: set_up_queue(d, q); break;
		case 2:
			virtio_config_write(d->dev, below(64), 1U << below(3),
					    rnd());
			break;
		case 3:
			virtio_config_read(d->dev, below(64), 1U << below(3));
			break;
		case 4: scribble(d, 8); break;
		default: virtio_notify(d->dev, q); break;
		}
	}
	virtio_notify(d->dev, d->dev->queues + below(3));
	/* Devices with threads of their own get a moment. */
	if (!below(4))
		usleep(100);
	sched_yield();
}

static void one_round(struct driver *d)
{
	unsigned queues = MIN(d->dev->queues, QUEUES), q;

	negotiate(d);
	ASSERT(features_has(&d->dev->driver, VIRTIO_F_RING_PACKED) == PACKED);
	memset(d->mem, 0, MEMORY);
	litter(d, 8);
	scribble(d, 8);
	for (q = 0; q < queues; q++)
		if (below(8))
			set_up_queue(d, q);
	virtio_set_status(d->dev, 0xf);
	kick(d, queues);
	/* Nothing but a reset mends what is broken, and it always does. */
	if (virtio_get_status(d->dev) & VIRTIO_STATUS_NEEDS_RESET)
		ASSERT(!virtio_running(d->dev));
	virtio_set_status(d->dev, 0);
	ASSERT(!virtio_get_status(d->dev));
	for (q = 0; q < d->dev->queues; q++)
		ASSERT(!d->dev->vq[q].ready && !d->dev->vq[q].broken);
}

static void add_parts(struct driver *d, struct host *h)
{
	const struct virtio_type *t = NULL;
	struct err e = {0};
	unsigned n = 0;

	while ((t = virtio_type_next(t))) {
		if (!t->part_of || strcmp(t->part_of, d->conf->type->name) ||
		    n == ARRAY_SIZE(d->part))
			continue;
		d->part[n] = new_conf(h, t);
		ASSERT(!t->add(d->dev, d->part[n++], &e));
	}
}

static void no_interrupt(void *ctx, unsigned q)
{
}

static void no_config_interrupt(void *ctx)
{
}

static const struct virtio_transport_ops transport = {no_interrupt,
						      no_config_interrupt};

static void start(struct driver *d, struct host *h, const struct virtio_type *t)
{
	const struct virtio_env env = {.version = 9999, .pci = true};
	struct err e = {0};

	*d = (struct driver){.mem = calloc(1, MEMORY)};
	ASSERT(d->mem);
	d->dma.count = 1;
	d->dma.region[0] = (struct dma_region){FAKE_BASE, MEMORY, d->mem};
	d->conf = new_conf(h, t);
	if (t->check)
		ASSERT(!t->check(d->conf, &env, &e));
	d->dev = t->create(d->conf, &d->dma, &e);
	ASSERT(d->dev);
	d->dev->transport = &transport;
	add_parts(d, h);
}

static void stop(struct driver *d)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(d->part); i++) {
		if (d->part[i])
			d->part[i]->type->remove(d->dev, d->part[i]);
		free(d->part[i]);
	}
	virtio_exit(d->dev);
	free(d->conf);
	free(d->mem);
}

static struct host host;
static struct driver drivers[TYPES]; /* a device of each type */
static unsigned types;

static void begin(void)
{
	const struct virtio_type *t = NULL;

	open_host(&host);
	while ((t = virtio_type_next(t)))
		if (!t->part_of) {
			ASSERT(types < TYPES);
			start(&drivers[types++], &host, t);
		}
}

static void one(void)
{
	one_round(&drivers[below(types)]);
}

static void end(void)
{
	while (types)
		stop(&drivers[--types]);
	close_host(&host);
}

static const struct fuzz_target target = {one, begin, end};

FUZZ_TARGET(target)
