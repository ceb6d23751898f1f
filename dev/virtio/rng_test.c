/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random bytes from the host, from a pipe that has none yet, and no more than
 * a period allows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "dev/virtio/fakering.h"
#include "host/entropy.h"

struct board {
	struct fakering ring;
	struct virtio_device *dev;
};

static void start(struct board *b, const char *arg, struct entropy *source)
{
	struct vq *vq;

	memset(b, 0, sizeof(*b));
	fake_init(&b->ring, 64, BIT64(32));
	b->dev = fake_device(arg, &b->ring.dma, source);
	b->dev->driver.w[0] = BIT64(32);
	virtio_set_status(b->dev, 0xb);
	vq = &b->dev->vq[0];
	vq->desc_gpa = FAKE_DESC;
	vq->driver_gpa = FAKE_DRIVER;
	vq->device_gpa = FAKE_DEVICE;
	vq->size = 64;
	vq->max = 64;
	virtio_queue_enable(b->dev, 0);
	virtio_set_status(b->dev, 0xf);
	assert_int_equal(virtio_get_status(b->dev), 0xf);
}

static void stop(struct board *b)
{
	virtio_exit(b->dev);
	fake_exit(&b->ring);
}

static void ask(struct board *b, uint16_t id, unsigned len)
{
	const struct iovec p = {
		(void *)(uintptr_t)(FAKE_DATA + 0x10000ULL * id), len};

	fake_add(&b->ring, id, &p, 1, 0, false);
	virtio_notify(b->dev, 0);
}

static bool get(struct board *b, uint16_t id, uint32_t *len)
{
	uint16_t got = UINT16_MAX;
	bool ret;

	pthread_mutex_lock(&b->dev->lock);
	ret = fake_get(&b->ring, &got, len);
	pthread_mutex_unlock(&b->dev->lock);
	if (ret)
		assert_int_equal(got, id);
	return ret;
}

/* Bytes of the answer, which is waited for. */
static uint32_t await(struct board *b, uint16_t id)
{
	uint32_t len;
	unsigned i;

	for (i = 0; i < 10000; i++) {
		if (get(b, id, &len))
			return len;
		usleep(1000);
	}
	fail_msg("no answer");
	return 0;
}

static void test_builtin(void **state)
{
	static const uint8_t zeroes[4096];
	struct board b;
	uint32_t len;

	start(&b, "virtio-rng", NULL);
	ask(&b, 0, 5000);
	assert_true(get(&b, 0, &len));
	assert_int_equal(len, 4096);
	assert_memory_not_equal(fake_ptr(&b.ring, FAKE_DATA), zeroes, len);
	stop(&b);
}

static void test_source(void **state)
{
	char path[] = "/tmp/lodge-rng-XXXXXX", fifo[64];
	struct entropy *source;
	struct board b;
	uint32_t len;
	FILE *f;

	assert_non_null(mkdtemp(path));
	assert_null(entropy_open(path, NULL));
	snprintf(fifo, sizeof(fifo), "%s/fifo", path);
	assert_null(entropy_open(fifo, NULL));
	assert_int_equal(mkfifo(fifo, 0600), 0);
	source = entropy_open(fifo, NULL);
	assert_non_null(source);
	f = fopen(fifo, "w");
	assert_non_null(f);
	start(&b, "virtio-rng", source);
	ask(&b, 0, 64);
	ask(&b, 1, 64);
	usleep(20000);
	assert_false(get(&b, 0, &len));
	assert_true(fputs("not random", f) >= 0);
	fflush(f);
	assert_int_equal(await(&b, 0), 10);
	assert_memory_equal(fake_ptr(&b.ring, FAKE_DATA), "not random", 10);
	assert_false(get(&b, 1, &len));
	/* A reset while one waits. */
	virtio_set_status(b.dev, 0);
	fputs("more", f);
	fclose(f);
	usleep(20000);
	stop(&b);
	entropy_close(source);
	unlink(fifo);
	rmdir(path);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void test_limit(void **state)
{
	uint64_t begin = now_ms();
	struct board b;
	uint32_t len;
	unsigned i;

	start(&b, "virtio-rng,max-bytes=16,period=100", NULL);
	ask(&b, 0, 10);
	assert_true(get(&b, 0, &len));
	assert_int_equal(len, 10);
	ask(&b, 0, 64);
	assert_true(get(&b, 0, &len));
	assert_int_equal(len, 6);
	for (i = 1; i < 4; i++) {
		ask(&b, 0, 64);
		assert_int_equal(await(&b, 0), 16);
		assert_true(now_ms() - begin >= 100 * i - 5);
	}
	stop(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_builtin),
		cmocka_unit_test(test_source),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
