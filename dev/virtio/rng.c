/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An entropy device. Document: Virtual I/O Device 1.4 "Entropy Device" (5.4).
 * One buffer gets at most RNG_MAX bytes, so that none keeps the host busy for
 * long; the driver asks again. max-bytes in each period is all that a guest
 * gets, and a source may have nothing now: requests then wait for a thread.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "dev/virtio/type.h"
#include "host/entropy.h"
#include "host/evloop.h"

#define RNG_MAX        4096
#define RNG_QUEUE_SIZE 8

struct rng_conf {
	struct virtio_conf base;
	struct prop_link rng;
	uint64_t max_bytes;
	uint64_t period; /* ms */
};

struct rng {
	struct virtio_device dev;
	struct entropy *source, *own; /* own: to be closed */
	uint64_t max_bytes;           /* UINT64_MAX: no limit */
	uint64_t period;
	uint64_t left; /* of this period's */
	bool counting; /* the period has begun */
	int timer;
	struct evloop *loop; /* NULL: nothing ever waits */
	struct evloop_watch *timer_watch, *source_watch;
};

/* ---- dev.lock held ---- */

static void begin_period(struct rng *r)
{
	const struct itimerspec when = {
		.it_value = {.tv_sec = (time_t)(r->period / 1000),
			     .tv_nsec = (long)(r->period % 1000) * 1000000},
	};

	if (r->counting || r->max_bytes == UINT64_MAX)
		return;
	r->counting = true;
	timerfd_settime(r->timer, 0, &when, NULL);
}

/* -EAGAIN: it has to wait, for what will call back. */
static ssize_t fill(struct rng *r, const struct vq_elem *e)
{
	uint8_t buf[RNG_MAX];
	size_t want = MIN(MIN(e->in_len, sizeof(buf)), r->left);
	ssize_t n;

	if (!want && e->in_len)
		return -EAGAIN;
	n = entropy_read(r->source, buf, want);
	if (n == -EAGAIN)
		evloop_set(r->source_watch, POLLIN);
	if (n <= 0)
		return n == -EAGAIN ? n : 0;
	if (r->max_bytes != UINT64_MAX)
		r->left -= (size_t)n;
	return (ssize_t)iov_write(e->iov + e->out_n, e->in_n, 0, buf,
				  (size_t)n);
}

static void run(struct rng *r)
{
	struct vq *vq = &r->dev.vq[0];
	struct vq_elem *e;
	ssize_t n = 0;

	do {
		while ((e = vq_pop(vq))) {
			begin_period(r);
			n = fill(r, e);
			if (n < 0)
				break;
			vq_push(vq, e, (uint32_t)n);
			free(e);
		}
		if (e)
			vq_unpop(vq, e);
		vq_want_kick(vq, true);
	} while (n >= 0 && !vq_empty(vq));
	virtio_flush(&r->dev, 0);
}

static void rng_notify(struct virtio_device *dev, unsigned q)
{
	run((struct rng *)dev);
}

/* ---- the thread, if there is one ---- */

static void go_on(struct rng *r)
{
	pthread_mutex_lock(&r->dev.lock);
	if (virtio_running(&r->dev))
		run(r);
	pthread_mutex_unlock(&r->dev.lock);
}

static void on_source(void *opaque, int revents)
{
	struct rng *r = opaque;

	evloop_set(r->source_watch, 0);
	go_on(r);
}

static void on_period(void *opaque, int revents)
{
	struct rng *r = opaque;
	uint64_t n;

	if (read(r->timer, &n, sizeof(n)) != sizeof(n))
		return;
	pthread_mutex_lock(&r->dev.lock);
	r->left = r->max_bytes;
	r->counting = false;
	pthread_mutex_unlock(&r->dev.lock);
	go_on(r);
}

static void rng_destroy(struct virtio_device *dev)
{
	struct rng *r = (struct rng *)dev;

	if (r->loop)
		evloop_destroy(r->loop);
	if (r->timer >= 0)
		close(r->timer);
	entropy_close(r->own);
}

static const struct virtio_class rng_class = {
	.name = "virtio-rng",
	.id = VIRTIO_ID_RNG,
	.notify = rng_notify,
	.destroy = rng_destroy,
};

static bool open_source(struct rng *r, const struct rng_conf *c, struct err *e)
{
	int fd;

	r->source = c->rng.object;
	if (!r->source)
		r->source = r->own = entropy_open(NULL, e);
	if (!r->source)
		return false;
	fd = entropy_fd(r->source);
	if (fd < 0 && r->max_bytes == UINT64_MAX)
		return true;
	r->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	r->loop = r->timer < 0 ? NULL : evloop_create("rng", e);
	if (!r->loop)
		return false;
	r->timer_watch = evloop_add(r->loop, r->timer, POLLIN, on_period, r);
	if (fd >= 0)
		r->source_watch = evloop_add(r->loop, fd, 0, on_source, r);
	return r->timer_watch && (fd < 0 || r->source_watch);
}

static struct virtio_device *rng_create(const struct virtio_conf *base,
					const struct dma *dma, struct err *e)
{
	const struct rng_conf *c = (const struct rng_conf *)base;
	struct rng *r = calloc(1, sizeof(*r));

	if (!r || virtio_init(&r->dev, &rng_class, dma, 1, RNG_QUEUE_SIZE)) {
		free(r);
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	r->timer = -1;
	r->max_bytes = r->left = c->max_bytes < INT64_MAX ? c->max_bytes
							  : UINT64_MAX;
	r->period = c->period;
	r->dev.offered.w[0] = base->want.w[0] &
			      (VIRTIO_COMMON_FEATURES | VIRTIO_EXTRA_FEATURES);
	virtio_settle(&r->dev);
	if (open_source(r, c, e))
		return &r->dev;
	virtio_exit(&r->dev);
	if (e && !e->code)
		err_set(e, -ENOMEM, "cannot start its thread");
	return NULL;
}

#define FIELD(f) offsetof(struct rng_conf, f)

static const struct prop rng_props[] = {
	{"rng", PROP_LINK, FIELD(rng), LINK_ENTROPY, false, "",
	 "the -object; none: the host's getrandom()"},
	{"max-bytes", PROP_NUMBER, FIELD(max_bytes), 1, INT64_MAX,
	 "9223372036854775807", "that the guest gets in a period"},
	{"period", PROP_NUMBER, FIELD(period), 1, UINT32_MAX, "65536",
	 "of max-bytes, in milliseconds"},
	{0},
};

const struct virtio_type virtio_rng_types[] = {
	{
		.name = "virtio-rng",
		.conf_size = sizeof(struct rng_conf),
		.props = rng_props,
		.create = rng_create,
	},
	{0},
};
