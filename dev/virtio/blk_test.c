/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk over a real file: each request, those that may not be, random
 * ones, and a reset while requests run.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dev/virtio/fakering.h"
#include "host/block/block.h"

#define SECTORS 2048
#define FLUSHES (BIT64(32) | BIT64(9))
#define EVERY   (FLUSHES | BIT64(13) | BIT64(14) | BIT64(11))

#ifdef __SANITIZE_THREAD__ /* twenty times as slow */
#define FUZZ_ROUNDS 2000
#else
#define FUZZ_ROUNDS 20000
#endif

#define STATUS (FAKE_DATA + 0x20000)
#define BODY   (FAKE_DATA + 0x1000)

struct disk {
	char path[32];
	struct block *block;
	struct drive drive;
	struct virtio_device *dev;
	struct fakering ring;
};

static void bring_up(struct disk *d, uint64_t features)
{
	struct vq *vq = d->dev->vq;

	virtio_set_status(d->dev, 0);
	if (d->ring.mem)
		fake_exit(&d->ring);
	fake_init(&d->ring, 64, BIT64(32));
	d->dev->driver.w[0] = features;
	virtio_set_status(d->dev, 0xb);
	assert_int_equal(virtio_get_status(d->dev), 0xb);
	vq->size = 64;
	vq->desc_gpa = FAKE_DESC;
	vq->driver_gpa = FAKE_DRIVER;
	vq->device_gpa = FAKE_DEVICE;
	virtio_queue_enable(d->dev, 0);
	virtio_set_status(d->dev, 0xf);
	assert_int_equal(virtio_get_status(d->dev), 0xf);
}

static void open_disk(struct disk *d, bool read_only, uint64_t features)
{
	struct err e = {0};
	int fd;

	*d = (struct disk){.path = "/tmp/blk_test.XXXXXX"};
	fd = mkstemp(d->path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, SECTORS * 512), 0);
	close(fd);
	d->block = block_open_raw(d->path, read_only, true, &e);
	assert_non_null(d->block);
	d->drive.block = d->block;
	d->dev = fake_device("virtio-blk,queue-size=64,serial=S123,"
			     "physical_block_size=4096",
			     &d->ring.dma, &d->drive);
	bring_up(d, features);
}

static void close_disk(struct disk *d)
{
	virtio_exit(d->dev);
	block_close(d->block);
	unlink(d->path);
	fake_exit(&d->ring);
}

static void put_header(struct disk *d, uint32_t type, uint64_t sector)
{
	uint32_t head[2] = {type, 0};

	memcpy(fake_ptr(&d->ring, FAKE_DATA), head, 8);
	memcpy(fake_ptr(&d->ring, FAKE_DATA + 8), &sector, 8);
	memset(fake_ptr(&d->ring, STATUS), 0xee, 1);
}

/* One request with @len bytes at BODY; its status. */
static int request(struct disk *d, uint32_t type, uint64_t sector, size_t len,
		   bool in)
{
	struct iovec p[3] = {
		{(void *)(uintptr_t)FAKE_DATA, 16},
		{(void *)(uintptr_t)BODY, len},
		{(void *)(uintptr_t)STATUS, 1},
	};
	uint16_t id;
	uint32_t got;
	int i;

	if (!len)
		p[1] = p[2];
	put_header(d, type, sector);
	fake_add(&d->ring, 0, p, len ? 3 : 2, len && !in ? 2 : 1, false);
	virtio_notify(d->dev, 0);
	for (i = 0; i < 50000 && !fake_get(&d->ring, &id, &got); i++)
		usleep(100);
	assert_int_not_equal(i, 50000);
	i = *(uint8_t *)fake_ptr(&d->ring, STATUS);
	assert_int_equal(got, !i && in ? len + 1 : 1);
	return i;
}

static uint8_t *body(struct disk *d)
{
	return fake_ptr(&d->ring, BODY);
}

static void test_requests(void **state)
{
	uint8_t want[8192];
	struct disk d;
	unsigned i;

	open_disk(&d, false, EVERY);
	assert_true(virtio_config_read(d.dev, 0, 8) == SECTORS);
	/* A request fits into a ring, indirect tables or not. */
	assert_int_equal(virtio_config_read(d.dev, 12, 4), 64 - 2);
	for (i = 0; i < sizeof(want); i++)
		body(&d)[i] = want[i] = (uint8_t)(i * 31 >> 3);
	assert_int_equal(request(&d, 1, 5, sizeof(want), false), 0);
	assert_int_equal(request(&d, 4, 0, 0, false), 0);
	memset(body(&d), 0, sizeof(want));
	assert_int_equal(request(&d, 0, 5, sizeof(want), true), 0);
	assert_memory_equal(body(&d), want, sizeof(want));
	/* Past the end, across it, of odd length, of unknown type. */
	assert_int_equal(request(&d, 0, SECTORS, 512, true), 1);
	assert_int_equal(request(&d, 1, SECTORS - 1, 1024, false), 1);
	assert_int_equal(request(&d, 0, UINT64_MAX, 512, true), 1);
	assert_int_equal(request(&d, 0, 1ULL << 55, 512, true), 1);
	assert_int_equal(request(&d, 0, 0, 100, true), 1);
	assert_int_equal(request(&d, 99, 0, 512, true), 2);
	assert_int_equal(request(&d, 0, SECTORS - 1, 512, true), 0);
	assert_int_equal(request(&d, 8, 0, 20, true), 0);
	assert_string_equal((char *)body(&d), "S123");
	close_disk(&d);
}

/* What another process reads: by the names in the file itself. */
static uint64_t counter(const struct disk *d, const char *name)
{
	const uint8_t *file = d->dev->stat.file;
	const struct binstat_header *h = (const void *)file;
	const struct binstat_desc *desc;
	uint64_t value = UINT64_MAX;
	uint32_t i;

	for (i = 0; i < h->num_desc; i++) {
		desc = (const void *)(file + h->desc_offset +
				      i * (sizeof(*desc) + h->name_size));
		if (!strcmp((const char *)(desc + 1), name))
			memcpy(&value, file + h->data_offset + desc->offset,
			       sizeof(value));
	}
	return value;
}

static void test_counters(void **state)
{
	const char *name;
	uint64_t value;
	struct disk d;

	open_disk(&d, false, EVERY);
	assert_int_equal(request(&d, 1, 0, 4096, false), 0);
	assert_int_equal(request(&d, 1, 8, 512, false), 0);
	assert_int_equal(request(&d, 0, 0, 1024, true), 0);
	assert_int_equal(request(&d, 0, SECTORS, 512, true), 1);
	assert_int_equal(request(&d, 4, 0, 0, false), 0);
	assert_int_equal(counter(&d, "block_writes"), 2);
	assert_int_equal(counter(&d, "block_write_bytes"), 4608);
	assert_int_equal(counter(&d, "block_reads"), 1);
	assert_int_equal(counter(&d, "block_read_bytes"), 1024);
	assert_int_equal(counter(&d, "block_flushes"), 1);
	assert_int_equal(counter(&d, "block_errors"), 1);
	assert_int_equal(counter(&d, "block_discards"), 0);
	assert_true(virtio_counter(d.dev, 0, &name, &value));
	assert_string_equal(name, "block_reads");
	assert_int_equal(value, 1);
	assert_false(virtio_counter(d.dev, 8, &name, &value));
	close_disk(&d);
}

static int range(struct disk *d, uint32_t type, uint64_t sector,
		 uint32_t sectors, uint32_t flags)
{
	uint32_t rest[2] = {sectors, flags};

	memcpy(body(d), &sector, 8);
	memcpy(body(d) + 8, rest, 8);
	return request(d, type, 0, 16, false);
}

static void test_ranges(void **state)
{
	uint8_t zeros[1024] = {0};
	struct disk d;
	int i;

	open_disk(&d, false, EVERY);
	for (i = 0; i < 3; i++) {
		memset(body(&d), 7, 1024);
		assert_int_equal(request(&d, 1, 8, 1024, false), 0);
		/* Write zeroes, with and without freeing; discard. */
		assert_int_equal(range(&d, i < 2 ? 13 : 11, 8, 2, i == 1), 0);
		assert_int_equal(request(&d, 0, 8, 1024, true), 0);
		assert_memory_equal(body(&d), zeros, 1024);
	}
	assert_int_equal(range(&d, 11, 8, 2, 1), 2);
	assert_int_equal(range(&d, 13, 8, 2, 2), 2);
	assert_int_equal(range(&d, 13, 8, 0, 0), 1);
	assert_int_equal(range(&d, 13, SECTORS - 1, 2, 0), 1);
	assert_int_equal(range(&d, 13, UINT64_MAX, 2, 0), 1);
	assert_int_equal(range(&d, 13, 8, UINT32_MAX, 0), 1);
	assert_int_equal(request(&d, 13, 0, 32, false), 2);
	assert_int_equal(request(&d, 13, 0, 8, false), 1);
	/* Not agreed on. */
	bring_up(&d, FLUSHES);
	assert_int_equal(range(&d, 13, 8, 2, 0), 2);
	close_disk(&d);
}

/* What is said of the device is what the guest sees, and what holds. */
static void test_limits(void **state)
{
	struct disk d;

	open_disk(&d, false, EVERY);
	assert_int_equal(virtio_config_read(d.dev, 26, 2), 1);
	assert_int_equal(virtio_config_read(d.dev, 28, 4), 0);
	assert_int_equal(virtio_config_read(d.dev, 36, 4), 1 << 21);
	assert_int_equal(virtio_config_read(d.dev, 44, 4), 1);
	virtio_exit(d.dev);
	d.dev = fake_device("virtio-blk,queue-size=64,min_io_size=4k,"
			    "opt_io_size=64k,discard_granularity=32k,"
			    "max-discard-sectors=8,max-write-zeroes-sectors=4",
			    &d.ring.dma, &d.drive);
	bring_up(&d, EVERY);
	assert_int_equal(virtio_config_read(d.dev, 26, 2), 8);
	assert_int_equal(virtio_config_read(d.dev, 28, 4), 128);
	assert_int_equal(virtio_config_read(d.dev, 36, 4), 8);
	assert_int_equal(virtio_config_read(d.dev, 44, 4), 64);
	assert_int_equal(virtio_config_read(d.dev, 48, 4), 4);
	assert_int_equal(range(&d, 11, 8, 8, 0), 0);
	assert_int_equal(range(&d, 11, 8, 9, 0), 1);
	assert_int_equal(range(&d, 13, 8, 4, 0), 0);
	assert_int_equal(range(&d, 13, 8, 5, 0), 1);
	close_disk(&d);
}

static void test_read_only(void **state)
{
	struct disk d;

	/* The file must be there before it is opened for reading only. */
	open_disk(&d, true, BIT64(32) | BIT64(5));
	assert_int_equal(request(&d, 0, 0, 512, true), 0);
	assert_int_equal(request(&d, 1, 0, 512, false), 1);
	assert_int_equal(range(&d, 13, 8, 2, 0), 1);
	close_disk(&d);
}

static void test_lock(void **state)
{
	struct block *second;
	struct err e = {0};
	struct disk d;

	open_disk(&d, false, BIT64(32));
	assert_null(block_open_raw(d.path, false, false, &e));
	assert_int_equal(e.code, -16);
	assert_null(block_open_raw(d.path, true, false, NULL));
	close_disk(&d);
	open_disk(&d, true, BIT64(32) | BIT64(5));
	second = block_open_raw(d.path, true, false, NULL);
	assert_non_null(second);
	block_close(second);
	close_disk(&d);
}

/* No header or no place for the status: the device asks for a reset. */
static void test_unanswerable(void **state)
{
	struct iovec p = {(void *)(uintptr_t)FAKE_DATA, 64};
	struct disk d;
	int i;

	open_disk(&d, false, BIT64(32));
	for (i = 0; i < 2; i++) {
		bring_up(&d, BIT64(32));
		fake_add(&d.ring, 0, &p, 1, (unsigned)i, false);
		virtio_notify(d.dev, 0);
		assert_int_equal(virtio_get_status(d.dev), 0x4f);
	}
	bring_up(&d, BIT64(32));
	assert_int_equal(request(&d, 0, 0, 512, true), 0);
	close_disk(&d);
}

static unsigned tellings, interrupts;

static void count_telling(void *ctx, const struct iovec *iov, unsigned n)
{
	tellings++;
}

static void count_interrupt(void *ctx, unsigned q)
{
	interrupts++;
}

static void no_config_interrupt(void *ctx)
{
}

static const struct virtio_transport_ops counting = {
	count_interrupt,
	no_config_interrupt,
};

/* What one kick brings is given back at once, as far as it fits in a batch. */
static void test_batch(void **state)
{
	struct disk d;
	uint16_t id;
	uint32_t len;
	unsigned i;

	open_disk(&d, false, BIT64(32));
	d.dev->transport = &counting;
	d.ring.dma.wrote = count_telling;
	put_header(&d, 8, 0);
	for (i = 0; i < 20; i++) {
		struct iovec p[3] = {
			{(void *)(uintptr_t)FAKE_DATA, 16},
			{(void *)(uintptr_t)(BODY + i * 32), 20},
			{(void *)(uintptr_t)STATUS, 1},
		};

		fake_add(&d.ring, (uint16_t)(i % 8), p, 3, 1, false);
	}
	tellings = interrupts = 0;
	virtio_notify(d.dev, 0);
	/* No kicks, the buffers, the used ring, kicks again. */
	assert_int_equal(tellings, 4);
	assert_int_equal(interrupts, 1);
	for (i = 0; i < 20; i++) {
		assert_true(fake_get(&d.ring, &id, &len));
		assert_int_equal(id, i % 8);
		assert_int_equal(len, 21);
	}
	assert_false(fake_get(&d.ring, &id, &len));
	d.ring.dma.wrote = NULL;
	close_disk(&d);
}

/* As many writes as fit in a batch; how many are answered right away. */
static unsigned write_batch(struct disk *d)
{
	struct iovec p[3] = {
		{(void *)(uintptr_t)FAKE_DATA, 16},
		{(void *)(uintptr_t)BODY, 512},
		{(void *)(uintptr_t)STATUS, 1},
	};
	unsigned i, n = 0;
	uint32_t len;
	uint16_t id;

	put_header(d, 1, 3);
	for (i = 0; i < 4; i++)
		fake_add(&d->ring, (uint16_t)i, p, 3, 2, false);
	virtio_notify(d->dev, 0);
	while (fake_get(&d->ring, &id, &len))
		n++;
	return n;
}

/*
 * What the host's memory takes needs no other thread and is told of once; a
 * disk without a cache answers when it is on stable storage.
 */
static void test_write_here(void **state)
{
	struct disk d;
	uint8_t got[512];
	unsigned i;
	int fd;

	open_disk(&d, false, FLUSHES);
	d.dev->transport = &counting;
	memset(body(&d), 0x5a, 512);
	/* Where the host held one up the next ones rest: then look again. */
	for (i = 0; i < 50; i++) {
		interrupts = 0;
		if (write_batch(&d) == 4 && interrupts == 1)
			break;
		usleep(120000);
		bring_up(&d, FLUSHES);
		memset(body(&d), 0x5a, 512);
	}
	assert_int_not_equal(i, 50);
	assert_int_equal(*(uint8_t *)fake_ptr(&d.ring, STATUS), 0);
	fd = open(d.path, O_RDONLY);
	assert_int_equal(pread(fd, got, 512, 3 * 512), 512);
	assert_int_equal(got[0], 0x5a);
	assert_int_equal(got[511], 0x5a);
	close(fd);
	close_disk(&d);
}

struct counted {
	struct block_req req;
	unsigned *left;
	bool last; /* none was promised behind it */
};

static void on_counted(struct block_req *req, int ret)
{
	struct counted *c = container_of(req, struct counted, req);

	assert_int_equal(ret, 0);
	c->last = !req->more;
	__atomic_sub_fetch(c->left, 1, __ATOMIC_RELEASE);
}

/* What would have to wait is not tried. */
static void test_try(void **state)
{
	static char data[512];
	const struct iovec v = {data, sizeof(data)};
	struct block_req w = {
		.op = BLOCK_WRITE, .iovs = 1, .iov = &v, .len = sizeof(data)};
	struct throttle_conf limit = {
		.bucket[THROTTLE_IOPS_TOTAL] = {.avg = 1, .length = 1}};
	struct disk d;

	open_disk(&d, false, BIT64(32));
	w.sync = true;
	assert_int_equal(block_try(d.block, &w), -EAGAIN);
	w.sync = false;
	w.op = BLOCK_FLUSH;
	assert_int_equal(block_try(d.block, &w), -EAGAIN);
	w.op = BLOCK_WRITE;
	assert_int_equal(block_try(d.block, &w), 0);
	block_set_limits(d.block, &limit);
	assert_int_equal(block_try(d.block, &w), -EAGAIN);
	close_disk(&d);
	open_disk(&d, true, BIT64(32));
	assert_int_equal(block_try(d.block, &w), -EAGAIN);
	close_disk(&d);
}

/* "More follows" is never the last word. */
static void test_more(void **state)
{
	static char data[512];
	const struct iovec v = {data, sizeof(data)};
	struct counted c[32] = {0};
	unsigned left = ARRAY_SIZE(c), i, ends = 0;
	struct disk d;

	open_disk(&d, false, BIT64(32));
	for (i = 0; i < ARRAY_SIZE(c); i++) {
		c[i].left = &left;
		c[i].req = (struct block_req){
			.op = BLOCK_WRITE,
			.iov = &v,
			.iovs = 1,
			.offset = 512 * i,
			.len = sizeof(data),
			.done = on_counted,
		};
		block_submit(d.block, &c[i].req);
	}
	block_kick(d.block);
	block_stop(d.block);
	assert_int_equal(__atomic_load_n(&left, __ATOMIC_ACQUIRE), 0);
	for (i = 0; i < ARRAY_SIZE(c); i++)
		ends += c[i].last;
	assert_in_range(ends, 1, ARRAY_SIZE(c));
	close_disk(&d);
}

static unsigned peek_used(struct disk *d)
{
	uint16_t used;

	memcpy(&used, fake_ptr(&d->ring, FAKE_DEVICE + 2), 2);
	return used;
}

/* Writes in flight when the driver resets; none may touch memory after. */
static void test_reset_in_flight(void **state)
{
	struct iovec p[3] = {
		{(void *)(uintptr_t)FAKE_DATA, 16},
		{(void *)(uintptr_t)BODY, 65536},
		{(void *)(uintptr_t)STATUS, 1},
	};
	struct disk d;
	int round, i;

	open_disk(&d, false, BIT64(32));
	for (round = 0; round < 50; round++) {
		put_header(&d, 1, 0);
		for (i = 0; i < 8; i++)
			fake_add(&d.ring, (uint16_t)i, p, 3, 2, false);
		virtio_notify(d.dev, 0);
		virtio_set_status(d.dev, 0);
		memset(d.ring.mem, 0, FAKE_SIZE);
		bring_up(&d, BIT64(32));
		assert_int_equal(peek_used(&d), 0);
	}
	close_disk(&d);
}

static void test_fuzz(void **state)
{
	struct iovec p[4];
	struct disk d;
	unsigned i, k, n, out;
	uint64_t sector;
	uint16_t id;
	uint32_t len;

	open_disk(&d, false, EVERY);
	srandom(5);
	for (i = 0; i < FUZZ_ROUNDS; i++) {
		n = 1 + (unsigned)random() % 4;
		out = (unsigned)random() % (n + 1);
		for (k = 0; k < n; k++) {
			p[k].iov_base = (void *)(uintptr_t)(FAKE_DATA +
							    (unsigned)random() %
								    0x1000);
			p[k].iov_len = random() % 3
					       ? (size_t)(random() % 4) * 512 +
							 16
					       : (size_t)random() % 600 + 1;
		}
		sector = random() % 4 ? (unsigned)random() % SECTORS
				      : (uint64_t)random() << 33;
		put_header(&d, (uint32_t)(random() % 15), sector);
		p[0].iov_base = (void *)(uintptr_t)FAKE_DATA;
		fake_add(&d.ring, (uint16_t)(i % 8), p, n, out, false);
		virtio_notify(d.dev, 0);
		if (virtio_get_status(d.dev) & 0x40)
			bring_up(&d, EVERY);
		for (k = 0; k < 200000 && !fake_get(&d.ring, &id, &len) &&
			    d.ring.avail != d.ring.used;
		     k++)
			usleep(50);
		assert_int_not_equal(k, 200000);
	}
	close_disk(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_unanswerable),
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_write_here),
		cmocka_unit_test(test_try),
		cmocka_unit_test(test_more),
		cmocka_unit_test(test_reset_in_flight),
		cmocka_unit_test(test_fuzz),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
