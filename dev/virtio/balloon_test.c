/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A balloon against a driver: what is given away is the host's at once, what
 * is not memory is nobody's, and statistics go back and forth.
 */
#include "dev/virtio/balloon.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "dev/virtio/fakering.h"

#define RAM_BASE 0x1000000ULL
#define RAM_SIZE (4U << 20)
#define PAGE     4096U

struct board {
	struct fakering ring[4]; /* one memory each, but one map for all */
	struct virtio_device *dev;
	uint8_t *ram;
	size_t told;
};

static void start(struct board *b, const char *arg, uint64_t features)
{
	struct dma *dma = &b->ring[0].dma;
	unsigned q;

	*b = (struct board){0};
	for (q = 0; q < 4; q++)
		fake_init(&b->ring[q], 64, BIT64(32));
	b->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(b->ram != MAP_FAILED);
	madvise(b->ram, RAM_SIZE, MADV_NOHUGEPAGE);
	memset(b->ram, 0x55, RAM_SIZE);
	for (q = 0; q < 4; q++)
		b->ring[q].dma.region[b->ring[q].dma.count++] =
			(struct dma_region){RAM_BASE, RAM_SIZE, b->ram};
	b->dev = fake_device(arg, dma, NULL);
	b->dev->driver.w[0] = BIT64(32) | features;
	virtio_set_status(b->dev, 0xb);
	assert_int_equal(virtio_get_status(b->dev), 0xb);
	for (q = 0; q < b->dev->queues; q++) {
		struct vq *vq = &b->dev->vq[q];

		vq->size = 64;
		vq->desc_gpa = FAKE_DESC;
		vq->driver_gpa = FAKE_DRIVER;
		vq->device_gpa = FAKE_DEVICE;
		b->dev->dma = &b->ring[q].dma;
		virtio_queue_enable(b->dev, q);
	}
	b->dev->dma = dma;
	virtio_set_status(b->dev, 0xf);
}

static void stop(struct board *b)
{
	unsigned q;

	virtio_exit(b->dev);
	for (q = 0; q < 4; q++)
		fake_exit(&b->ring[q]);
	munmap(b->ram, RAM_SIZE);
}

/* How many pages of [@at, @at + @count) the host has memory for. */
static unsigned resident(struct board *b, unsigned at, unsigned count)
{
	unsigned char there[RAM_SIZE / PAGE];
	unsigned i, n = 0;

	assert_int_equal(mincore(b->ram + at * PAGE, count * PAGE, there), 0);
	for (i = 0; i < count; i++)
		n += there[i] & 1;
	return n;
}

static void send(struct board *b, unsigned q, const void *data, uint32_t len)
{
	const struct iovec piece = {(void *)FAKE_DATA, len};
	uint32_t used;
	uint16_t id;

	memcpy(fake_ptr(&b->ring[q], FAKE_DATA), data, len);
	fake_add(&b->ring[q], 1, &piece, 1, 1, false);
	virtio_notify(b->dev, q);
	assert_true(fake_get(&b->ring[q], &id, &used));
}

static void test_inflate(void **state)
{
	const uint32_t base = RAM_BASE / PAGE;
	const uint32_t pages[] = {
		base,       base + 1,    base + 2,    base + 9, 0,
		0xffffffff, base + 1023, base + 1024, base - 1, base + 20};
	struct board b;

	start(&b, "virtio-balloon", 0);
	assert_int_equal(resident(&b, 0, 1024), 1024);
	send(&b, 0, pages, sizeof(pages));
	assert_int_equal(resident(&b, 0, 3), 0);
	assert_int_equal(resident(&b, 3, 6), 6);
	assert_int_equal(resident(&b, 9, 1), 0);
	assert_int_equal(resident(&b, 20, 1), 0);
	assert_int_equal(resident(&b, 1023, 1), 0);
	assert_int_equal(resident(&b, 0, 1024), 1024 - 6);
	/* Touched again it is there again, and empty. */
	assert_int_equal(b.ram[PAGE], 0);
	assert_int_equal(b.ram[3 * PAGE], 0x55);
	/* Half a number is none; deflating takes nothing away. */
	send(&b, 0, pages, 3);
	send(&b, 1, pages, sizeof(pages));
	assert_int_equal(virtio_get_status(b.dev), 0xf);
	stop(&b);
}

/* Pages of guest memory that the KVM was told of. */
static void tell(void *ctx, const struct iovec *iov, unsigned n)
{
	struct board *b = ctx;

	for (; n--; iov++)
		if ((uint8_t *)iov->iov_base >= b->ram &&
		    (uint8_t *)iov->iov_base < b->ram + RAM_SIZE)
			b->told += iov->iov_len / PAGE;
}

/* What turned to zeros may have been code. */
static void test_told(void **state)
{
	const uint32_t base = RAM_BASE / PAGE;
	const uint32_t pages[] = {base + 4, base + 5, 0, base + 30};
	struct board b;

	start(&b, "virtio-balloon", 0);
	b.ring[0].dma.wrote = tell;
	b.ring[0].dma.ctx = &b;
	send(&b, 0, pages, sizeof(pages));
	assert_int_equal(b.told, 3);
	stop(&b);
}

static void test_target(void **state)
{
	struct board b;
	uint32_t before;

	start(&b, "virtio-balloon", 0);
	before = b.dev->generation;
	virtio_balloon_inflate(b.dev, 5 << 20);
	assert_int_equal(virtio_config_read(b.dev, 0, 4), 1280);
	assert_int_equal(b.dev->generation, before + 1);
	virtio_config_write(b.dev, 4, 4, 1280);
	assert_int_equal(virtio_balloon_actual(b.dev), 5 << 20);
	/* The target is not the driver's to set. */
	virtio_config_write(b.dev, 0, 4, 7);
	assert_int_equal(virtio_config_read(b.dev, 0, 4), 1280);
	virtio_config_write(b.dev, 14, 4, 7);
	virtio_set_status(b.dev, 0);
	assert_int_equal(virtio_balloon_actual(b.dev), 0);
	stop(&b);
}

static void report(struct board *b, unsigned first, unsigned pages)
{
	const struct iovec piece = {(void *)(RAM_BASE + first * PAGE + 100),
				    pages * PAGE};
	uint32_t used;
	uint16_t id;

	fake_add(&b->ring[3], 1, &piece, 1, 0, false);
	virtio_notify(b->dev, 3);
	assert_true(fake_get(&b->ring[3], &id, &used));
	assert_int_equal(used, 0);
}

static void test_reporting(void **state)
{
	struct board b;

	start(&b, "virtio-balloon,free-page-reporting=on", BIT64(4) | BIT64(5));
	assert_int_equal(b.dev->queues, 4);
	/* Only whole pages of what is not aligned. */
	report(&b, 16, 8);
	assert_int_equal(resident(&b, 0, 1024), 1024 - 7);
	assert_int_equal(resident(&b, 16, 1), 1);
	/* Poison has to stay. */
	virtio_config_write(b.dev, 12, 4, 0xaaaaaaaa);
	report(&b, 100, 50);
	assert_int_equal(resident(&b, 0, 1024), 1024 - 7);
	stop(&b);
}

/* The device has a thread now. */
static bool taken(struct board *b, uint16_t *id, uint32_t *used)
{
	bool is;

	pthread_mutex_lock(&b->dev->lock);
	is = fake_get(&b->ring[2], id, used);
	pthread_mutex_unlock(&b->dev->lock);
	return is;
}

static void test_stats(void **state)
{
	const uint8_t stats[] = {
		4,  0, 1, 2, 0, 0, 0, 0, 0, 0, /* free: 0x201 */
		99, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 1};
	const struct iovec piece = {(void *)FAKE_DATA, sizeof(stats)};
	struct balloon_stats s;
	struct board b;
	unsigned tries;
	uint32_t used;
	uint16_t id;

	start(&b, "virtio-balloon", BIT64(1));
	virtio_balloon_stats(b.dev, &s);
	assert_int_equal(s.known, 0);
	assert_int_equal(s.when, 0);
	memcpy(fake_ptr(&b.ring[2], FAKE_DATA), stats, sizeof(stats));
	fake_add(&b.ring[2], 1, &piece, 1, 1, false);
	virtio_notify(b.dev, 2);
	virtio_balloon_stats(b.dev, &s);
	assert_int_equal(s.known, BIT(4));
	assert_int_equal(s.value[4], 0x201);
	assert_true(s.when > 0);
	assert_string_equal(virtio_balloon_stat_name(4), "stat-free-memory");
	/* Asked for more, the driver has its buffer back. */
	assert_false(fake_get(&b.ring[2], &id, &used));
	assert_int_equal(virtio_balloon_poll(b.dev, 1, NULL), 0);
	for (tries = 0; !taken(&b, &id, &used) && tries < 1000; tries++)
		usleep(10000);
	assert_in_range(tries, 1, 999);
	assert_int_equal(virtio_balloon_poll(b.dev, 0, NULL), 0);
	fake_add(&b.ring[2], 2, &piece, 1, 1, false);
	virtio_notify(b.dev, 2);
	virtio_set_status(b.dev, 0);
	virtio_balloon_stats(b.dev, &s);
	assert_int_equal(s.known, 0);
	stop(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inflate),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_target),
		cmocka_unit_test(test_reporting),
		cmocka_unit_test(test_stats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
