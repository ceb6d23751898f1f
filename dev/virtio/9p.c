/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory of the host. Document: Virtual I/O Device 1.4 "9P Device"
 * (5.20). Requests are answered by host/p9, one after the other, on a thread
 * of the device's; each buffer is one request with room for its answer.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "dev/virtio/type.h"
#include "dev/virtio/worker.h"
#include "host/p9/p9.h"

#define F_MOUNT_TAG 0

#define QUEUE_SIZE 128
#define TAG_MAX    64 /* bytes, with a NUL the driver does not see */

struct fs_conf {
	struct virtio_conf base;
	struct prop_link fsdev;
	char tag[TAG_MAX];
};

struct fs {
	struct virtio_device dev;
	char tag[TAG_MAX];
	struct p9_session *session; /* the worker's while busy */
	struct worker worker;
	bool busy; /* under dev.lock */
	pthread_cond_t idle;
};

static void fs_config_read(struct virtio_device *dev, void *buf)
{
	const struct fs *f = (const struct fs *)dev;
	uint16_t len = (uint16_t)strlen(f->tag);

	memcpy(buf, &len, sizeof(len));
	memcpy((uint8_t *)buf + sizeof(len), f->tag, len);
}

/* dev.lock held, but not while the request is looked after. */
static void answer(struct fs *f, struct vq_elem *e)
{
	size_t len;

	f->busy = true;
	pthread_mutex_unlock(&f->dev.lock);
	len = p9_handle(f->session, e->iov, e->out_n, e->iov + e->out_n,
			e->in_n);
	pthread_mutex_lock(&f->dev.lock);
	f->busy = false;
	vq_push(&f->dev.vq[0], e, (uint32_t)len);
	virtio_flush(&f->dev, 0);
	pthread_cond_broadcast(&f->idle);
}

static struct vq_elem *next(struct fs *f)
{
	struct vq *vq = &f->dev.vq[0];
	struct vq_elem *e;

	if (!virtio_running(&f->dev) || !vq->ready)
		return NULL;
	vq_want_kick(vq, false);
	e = vq_pop(vq);
	if (!e) {
		vq_want_kick(vq, true);
		e = vq_pop(vq);
	}
	if (!e)
		virtio_flush(&f->dev, 0);
	return e;
}

static void fs_run(void *opaque)
{
	struct fs *f = opaque;
	struct vq_elem *e;

	pthread_mutex_lock(&f->dev.lock);
	while ((e = next(f))) {
		if (e->out_len < P9_HEADER || e->in_len < P9_ANSWER)
			virtio_break(&f->dev);
		else
			answer(f, e);
		free(e);
	}
	pthread_mutex_unlock(&f->dev.lock);
}

static void fs_notify(struct virtio_device *dev, unsigned q)
{
	worker_kick(&((struct fs *)dev)->worker);
}

static void fs_quiesce(struct virtio_device *dev, unsigned q)
{
	struct fs *f = (struct fs *)dev;

	while (f->busy)
		pthread_cond_wait(&f->idle, &dev->lock);
}

static void fs_reset(struct virtio_device *dev)
{
	p9_session_reset(((struct fs *)dev)->session);
}

static void fs_destroy(struct virtio_device *dev)
{
	struct fs *f = (struct fs *)dev;

	worker_stop(&f->worker);
	p9_session_free(f->session);
	pthread_cond_destroy(&f->idle);
}

static const struct virtio_class fs_class = {
	.name = "virtio-9p",
	.id = VIRTIO_ID_9P,
	.notify = fs_notify,
	.config_read = fs_config_read,
	.quiesce = fs_quiesce,
	.reset = fs_reset,
	.destroy = fs_destroy,
};

static int fs_check(struct virtio_conf *base, const struct virtio_env *env,
		    struct err *e)
{
	const struct fs_conf *c = (const struct fs_conf *)base;

	return c->tag[0] ? 0 : err_set(e, -EINVAL, "mount_tag= is missing");
}

static struct virtio_device *fs_create(const struct virtio_conf *base,
				       const struct dma *dma, struct err *e)
{
	const struct fs_conf *c = (const struct fs_conf *)base;
	struct fs *f = calloc(1, sizeof(*f));

	if (!f || virtio_init(&f->dev, &fs_class, dma, 1, QUEUE_SIZE)) {
		free(f);
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	pthread_cond_init(&f->idle, NULL);
	strcpy(f->tag, c->tag);
	f->dev.config_size = (unsigned)(2 + strlen(f->tag));
	f->dev.offered.w[0] = base->want.w[0] &
			      (VIRTIO_COMMON_FEATURES | VIRTIO_EXTRA_FEATURES);
	features_put(&f->dev.offered, F_MOUNT_TAG, true);
	virtio_settle(&f->dev);
	f->session = p9_session_new(c->fsdev.object);
	if (f->session && !worker_start(&f->worker, "9p", fs_run, f, e))
		return &f->dev;
	err_set(e, -ENOMEM, "out of memory");
	virtio_exit(&f->dev);
	return NULL;
}

#define FIELD(f) offsetof(struct fs_conf, f)

static const struct prop fs_props[] = {
	{"fsdev", PROP_LINK, FIELD(fsdev), LINK_FS, true, "", "the -fsdev"},
	{"mount_tag", PROP_TEXT, FIELD(tag), 0, TAG_MAX, "",
	 "the name the guest mounts it by"},
	{0},
};

const struct virtio_type virtio_9p_types[] = {
	{
		.name = "virtio-9p",
		.conf_size = sizeof(struct fs_conf),
		.props = fs_props,
		.check = fs_check,
		.create = fs_create,
	},
	{0},
};
