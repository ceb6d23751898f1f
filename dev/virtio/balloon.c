/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A balloon: memory the guest does without goes back to the host at once.
 * Document: Virtual I/O Device 1.4 "Memory Balloon Device" (5.5). What is
 * given back reads as zeroes when it is touched again, as if we had written
 * them. Queues have the places that Linux and QEMU give them: those of
 * features that are not offered are left out. Left out: free page hints.
 */
#include "dev/virtio/balloon.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "dev/dma.h"
#include "dev/virtio/type.h"
#include "host/evloop.h"

#define F_STATS     1
#define F_DEFLATE   2
#define F_POISON    4
#define F_REPORTING 5

#define PAGE          4096U
#define PFN_SHIFT     12
#define QUEUE_SIZE    128
#define CONFIG_SIZE   16
#define CONFIG_ACTUAL 4
#define CONFIG_POISON 12
#define PFNS          1024 /* looked at at once */

enum { Q_INFLATE, Q_DEFLATE, Q_STATS, Q_REPORTING, Q_KINDS };

struct balloon {
	struct virtio_device dev;
	uint8_t kind[Q_KINDS]; /* of each queue */
	uint32_t target;       /* pages */
	uint32_t actual;
	uint32_t poison;
	struct vq_elem *ask; /* the driver's buffer for statistics */
	struct balloon_stats stats;
	struct evloop *loop; /* NULL: there never were any */
	int timer;           /* the loop's */
};

struct balloon_conf {
	struct virtio_conf base;
	uint64_t period;
};

/* A statistic in the driver's buffer. */
struct stat {
	uint16_t tag;
	uint64_t value;
} __attribute__((packed));

const char *virtio_balloon_stat_name(unsigned i)
{
	static const char *const names[BALLOON_STATS] = {
		"stat-swap-in",          "stat-swap-out",
		"stat-major-faults",     "stat-minor-faults",
		"stat-free-memory",      "stat-total-memory",
		"stat-available-memory", "stat-disk-caches",
		"stat-htlb-pgalloc",     "stat-htlb-pgfail",
		"stat-oom-kills",        "stat-alloc-stalls",
		"stat-async-scans",      "stat-direct-scans",
		"stat-async-reclaims",   "stat-direct-reclaims",
	};

	return i < BALLOON_STATS ? names[i] : NULL;
}

/* ---- memory ---- */

/* The whole pages of a range of guest memory, which are zero then. */
static void give_back(struct balloon *b, uint8_t *hva, size_t len)
{
	uintptr_t from = ALIGN_UP((uintptr_t)hva, (uintptr_t)PAGE);
	uintptr_t to = ((uintptr_t)hva + len) & ~(uintptr_t)(PAGE - 1);

	/* Best effort: locked memory stays where it is. */
	if (from < to && !madvise((void *)from, to - from, MADV_DONTNEED))
		dma_wrote(b->dev.dma, (void *)from, to - from);
}

/* The hva of @run pages from @pfn on; NULL unless all are memory. */
static uint8_t *pages(struct balloon *b, uint32_t pfn, size_t run)
{
	return dma_ptr(b->dev.dma, (uint64_t)pfn << PFN_SHIFT,
		       (uint64_t)run << PFN_SHIFT);
}

/* Runs of pages that follow each other are given back together. */
static void inflate_some(struct balloon *b, const uint32_t *pfn, size_t count)
{
	size_t i, run;
	uint8_t *hva;

	for (i = 0; i < count; i += run) {
		for (run = 1; i + run < count && pfn[i + run] == pfn[i] + run;)
			run++;
		hva = pages(b, pfn[i], run);
		/* A run that leaves memory somewhere: one by one. */
		if (!hva && run > 1)
			hva = pages(b, pfn[i], run = 1);
		if (hva)
			give_back(b, hva, run << PFN_SHIFT);
	}
}

static void inflate(struct balloon *b, const struct vq_elem *e)
{
	uint32_t pfn[PFNS];
	size_t at = 0, n;

	while ((n = iov_read(e->iov, e->out_n, at, pfn, sizeof(pfn)))) {
		inflate_some(b, pfn, n / sizeof(pfn[0]));
		at += n;
	}
}

/* A driver that poisons free pages wants to find its poison again. */
static void report(struct balloon *b, const struct vq_elem *e)
{
	const struct iovec *iov = e->iov + e->out_n;
	unsigned i;

	if (virtio_has(&b->dev, F_POISON) && b->poison)
		return;
	for (i = 0; i < e->in_n; i++)
		give_back(b, iov[i].iov_base, iov[i].iov_len);
}

/* ---- statistics ---- */

static void take_stats(struct balloon *b, const struct vq_elem *e)
{
	struct stat s;
	size_t at;

	b->stats.known = 0;
	b->stats.when = time(NULL);
	for (at = 0; at + sizeof(s) <= MIN(e->out_len, (size_t)PAGE);
	     at += sizeof(s)) {
		iov_read(e->iov, e->out_n, at, &s, sizeof(s));
		if (s.tag >= BALLOON_STATS)
			continue;
		b->stats.known |= BIT(s.tag);
		b->stats.value[s.tag] = s.value;
	}
}

/* The buffer stays here until statistics are asked for. */
static void stats_come(struct balloon *b, unsigned q)
{
	struct vq *vq = &b->dev.vq[q];
	struct vq_elem *e;

	while ((e = vq_pop(vq))) {
		take_stats(b, e);
		if (b->ask)
			vq_push(vq, b->ask, 0);
		free(b->ask);
		b->ask = e;
	}
	virtio_flush(&b->dev, q);
}

static unsigned queue_of(const struct balloon *b, unsigned kind)
{
	unsigned q = 0;

	while (q < b->dev.queues && b->kind[q] != kind)
		q++;
	return q;
}

/* ---- the device ---- */

static void balloon_notify(struct virtio_device *dev, unsigned q)
{
	struct balloon *b = (struct balloon *)dev;
	struct vq *vq = &dev->vq[q];
	struct vq_elem *e;

	if (b->kind[q] == Q_STATS) {
		stats_come(b, q);
		return;
	}
	do {
		while ((e = vq_pop(vq))) {
			if (b->kind[q] == Q_INFLATE)
				inflate(b, e);
			else if (b->kind[q] == Q_REPORTING)
				report(b, e);
			vq_push(vq, e, 0);
			free(e);
		}
		vq_want_kick(vq, true);
	} while (!vq_empty(vq));
	virtio_flush(dev, q);
}

/* Linux gives its buffer for statistics before DRIVER_OK, and says so once. */
static void balloon_start(struct virtio_device *dev)
{
	unsigned q;

	for (q = 0; q < dev->queues; q++)
		if (dev->vq[q].ready)
			balloon_notify(dev, q);
}

static void balloon_config_read(struct virtio_device *dev, void *buf)
{
	const struct balloon *b = (const struct balloon *)dev;
	const uint32_t config[] = {b->target, b->actual, 0, b->poison};

	memcpy(buf, config, sizeof(config));
}

static void balloon_config_write(struct virtio_device *dev, unsigned offset,
				 const void *buf, unsigned len)
{
	struct balloon *b = (struct balloon *)dev;
	uint32_t config[] = {b->target, b->actual, 0, b->poison};

	memcpy((uint8_t *)config + offset, buf, len);
	b->poison = config[CONFIG_POISON / 4];
	if (b->actual == config[CONFIG_ACTUAL / 4])
		return;
	b->actual = config[CONFIG_ACTUAL / 4];
	if (dev->news)
		dev->news->balloon(dev->news_ctx,
				   (uint64_t)b->actual << PFN_SHIFT);
}

static void balloon_quiesce(struct virtio_device *dev, unsigned q)
{
	struct balloon *b = (struct balloon *)dev;

	if (q != VIRTIO_MAX_QUEUES && b->kind[q] != Q_STATS)
		return;
	free(b->ask);
	b->ask = NULL;
}

static void balloon_reset(struct virtio_device *dev)
{
	struct balloon *b = (struct balloon *)dev;

	b->actual = b->poison = 0;
	b->stats = (struct balloon_stats){0};
}

static void balloon_destroy(struct virtio_device *dev)
{
	struct balloon *b = (struct balloon *)dev;

	if (!b->loop)
		return;
	evloop_destroy(b->loop);
	close(b->timer);
}

static const struct virtio_class balloon_class = {
	.name = "virtio-balloon",
	.id = VIRTIO_ID_BALLOON,
	.notify = balloon_notify,
	.config_read = balloon_config_read,
	.config_write = balloon_config_write,
	.start = balloon_start,
	.quiesce = balloon_quiesce,
	.reset = balloon_reset,
	.destroy = balloon_destroy,
};

bool virtio_is_balloon(const struct virtio_device *dev)
{
	return dev->class == &balloon_class;
}

void virtio_balloon_inflate(struct virtio_device *dev, uint64_t bytes)
{
	struct balloon *b = (struct balloon *)dev;

	pthread_mutex_lock(&dev->lock);
	b->target = (uint32_t)MIN(bytes >> PFN_SHIFT, (uint64_t)UINT32_MAX);
	virtio_config_changed(dev);
	pthread_mutex_unlock(&dev->lock);
}

uint64_t virtio_balloon_actual(struct virtio_device *dev)
{
	uint64_t bytes;

	pthread_mutex_lock(&dev->lock);
	bytes = (uint64_t)((struct balloon *)dev)->actual << PFN_SHIFT;
	pthread_mutex_unlock(&dev->lock);
	return bytes;
}

void virtio_balloon_stats(struct virtio_device *dev, struct balloon_stats *s)
{
	pthread_mutex_lock(&dev->lock);
	*s = ((struct balloon *)dev)->stats;
	pthread_mutex_unlock(&dev->lock);
}

/* The driver answers when it has its buffer back. */
static void ask_for_stats(struct balloon *b)
{
	unsigned q = queue_of(b, Q_STATS);

	if (!b->ask || !virtio_running(&b->dev))
		return;
	vq_push(&b->dev.vq[q], b->ask, 0);
	virtio_flush(&b->dev, q);
	free(b->ask);
	b->ask = NULL;
}

static void on_timer(void *opaque, int revents)
{
	struct balloon *b = opaque;
	uint64_t n;

	if (read(b->timer, &n, sizeof(n)) != sizeof(n))
		return;
	pthread_mutex_lock(&b->dev.lock);
	ask_for_stats(b);
	pthread_mutex_unlock(&b->dev.lock);
}

/* Most balloons are never asked and need no thread. */
static bool start_loop(struct balloon *b)
{
	if (b->loop)
		return true;
	b->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (b->timer < 0)
		return false;
	b->loop = evloop_create("balloon", NULL);
	if (b->loop && evloop_add(b->loop, b->timer, POLLIN, on_timer, b))
		return true;
	evloop_destroy(b->loop);
	b->loop = NULL;
	close(b->timer);
	return false;
}

int virtio_balloon_poll(struct virtio_device *dev, unsigned seconds,
			struct err *e)
{
	const struct itimerspec every = {{seconds, 0}, {seconds, 0}};
	struct balloon *b = (struct balloon *)dev;

	if (!start_loop(b))
		return err_set(e, -ENOMEM, "cannot start a thread");
	pthread_mutex_lock(&dev->lock);
	timerfd_settime(b->timer, 0, &every, NULL);
	pthread_mutex_unlock(&dev->lock);
	return 0;
}

static unsigned lay_out(struct balloon *b, const struct virtio_features *f)
{
	unsigned n = 0;

	b->kind[n++] = Q_INFLATE;
	b->kind[n++] = Q_DEFLATE;
	b->kind[n++] = Q_STATS;
	if (features_has(f, F_REPORTING))
		b->kind[n++] = Q_REPORTING;
	return n;
}

/* What monitors ask for is one balloon's affair. */
static int balloon_check(struct virtio_conf *c, const struct virtio_env *env,
			 struct err *e)
{
	return c->nth ? err_set(e, -EINVAL, "there is a balloon already") : 0;
}

static struct virtio_device *balloon_create(const struct virtio_conf *c,
					    const struct dma *dma,
					    struct err *e)
{
	uint64_t period = ((const struct balloon_conf *)c)->period;
	struct balloon *b = calloc(1, sizeof(*b));

	if (!b || virtio_init(&b->dev, &balloon_class, dma,
			      lay_out(b, &c->want), QUEUE_SIZE)) {
		free(b);
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	b->dev.config_size = CONFIG_SIZE;
	b->dev.offered.w[0] = c->want.w[0] &
			      (VIRTIO_COMMON_FEATURES | VIRTIO_EXTRA_FEATURES |
			       BIT64(F_DEFLATE) | BIT64(F_POISON) |
			       BIT64(F_REPORTING));
	features_put(&b->dev.offered, F_STATS, true);
	virtio_settle(&b->dev);
	if (!period || !virtio_balloon_poll(&b->dev, (unsigned)period, e))
		return &b->dev;
	virtio_exit(&b->dev);
	return NULL;
}

static const struct prop balloon_props[] = {
	PROP_FEATURE_ROW("deflate-on-oom", F_DEFLATE, false),
	PROP_FEATURE_ROW("page-poison", F_POISON, true),
	PROP_FEATURE_ROW("free-page-reporting", F_REPORTING, false),
	{BALLOON_PERIOD, PROP_NUMBER, offsetof(struct balloon_conf, period), 0,
	 UINT32_MAX, "0", "seconds between two looks at statistics, 0: none"},
	{0},
};

const struct virtio_type virtio_balloon_types[] = {
	{
		.name = "virtio-balloon",
		.conf_size = sizeof(struct balloon_conf),
		.props = balloon_props,
		.check = balloon_check,
		.create = balloon_create,
	},
	{0},
};
