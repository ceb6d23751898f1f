/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes that the page cache makes wait. What libc would be asked is asked
 * here: a write that is busy, asleep or stuck, a file system of any type.
 */
#include <errno.h>
#include <linux/magic.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "dev/virtio/disk.h"
#include "dev/virtio/fakering.h"
#include "host/block/block.h"

#define SECTORS 2048
#define WAIT_NS 3000000
#define PATIENT 20 /* seconds: for ever */
#define BODY    (FAKE_DATA + 0x1000)
#define STATUS  (FAKE_DATA + 0x20000)

static enum { PROMPT, BUSY, ASLEEP, STUCK } how;
static unsigned writes;
static sem_t entered, go;
static long fs_type = TMPFS_MAGIC;

static uint64_t thread_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
	const struct timespec pause = {.tv_nsec = WAIT_NS};
	uint64_t start = thread_ns();
	ssize_t len = 0;

	writes++;
	if (how == ASLEEP)
		nanosleep(&pause, NULL);
	while (how == BUSY && thread_ns() - start < WAIT_NS)
		;
	if (how == STUCK) {
		sem_post(&entered);
		sem_wait(&go);
	}
	while (n--)
		len += (ssize_t)iov++->iov_len;
	return len;
}

int fstatfs(int fd, struct statfs *fs)
{
	memset(fs, 0, sizeof(*fs));
	fs->f_type = fs_type;
	return 0;
}

static struct block *open_block(char *path)
{
	struct block *b;
	int fd;

	strcpy(path, "/tmp/blkwait_test.XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, SECTORS * 512), 0);
	close(fd);
	b = block_open_raw(path, false, false, NULL);
	assert_non_null(b);
	unlink(path);
	return b;
}

static int try_write(struct block *b)
{
	static char data[512];
	const struct iovec v = {data, sizeof(data)};
	struct block_req w = {
		.op = BLOCK_WRITE, .iovs = 1, .iov = &v, .len = sizeof(data)};

	return block_try(b, &w);
}

/* A write that waited sends those of the next moments elsewhere. */
static void test_asleep(void **state)
{
	char path[32];
	struct block *b = open_block(path);
	time_t end = time(NULL) + PATIENT;
	int ret, i;

	/* Where this test itself waits too long, the rest is over: again. */
	for (ret = i = 0; !ret && i < 50; i++) {
		how = ASLEEP;
		ret = try_write(b);
		how = PROMPT;
		if (!ret)
			ret = try_write(b);
	}
	assert_int_equal(ret, -EAGAIN);
	while (try_write(b) && time(NULL) < end)
		usleep(1000);
	assert_int_equal(try_write(b), 0);
	block_close(b);
}

/* One that only took its time does not. */
static void test_busy(void **state)
{
	char path[32];
	struct block *b = open_block(path);
	int i;

	how = BUSY;
	for (i = 0; i < 5; i++)
		assert_int_equal(try_write(b), 0);
	block_close(b);
}

/* Behind some file systems there is a server, which may be gone. */
static void test_remote(void **state)
{
	static const long types[] = {NFS_SUPER_MAGIC, FUSE_SUPER_MAGIC,
				     SMB2_SUPER_MAGIC, V9FS_MAGIC, 0};
	char path[32];
	struct block *b;
	unsigned i;

	how = PROMPT;
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		fs_type = types[i];
		b = open_block(path);
		writes = 0;
		assert_int_equal(try_write(b), -EAGAIN);
		assert_int_equal(writes, 0);
		block_close(b);
	}
	fs_type = EXT4_SUPER_MAGIC;
	b = open_block(path);
	assert_int_equal(try_write(b), 0);
	block_close(b);
	fs_type = TMPFS_MAGIC;
}

/* ---- a write that does not return ---- */

static struct virtio_device *bring_up(struct block *b, struct fakering *r)
{
	static struct drive drive;
	struct virtio_device *dev;
	struct vq *vq;

	drive.block = b;
	fake_init(r, 64, BIT64(32));
	dev = fake_device("virtio-blk,queue-size=64", &r->dma, &drive);
	vq = dev->vq;
	dev->driver.w[0] = BIT64(32) | BIT64(9);
	virtio_set_status(dev, 0xb);
	vq->desc_gpa = FAKE_DESC;
	vq->driver_gpa = FAKE_DRIVER;
	vq->device_gpa = FAKE_DEVICE;
	virtio_queue_enable(dev, 0);
	virtio_set_status(dev, 0xf);
	assert_int_equal(virtio_get_status(dev), 0xf);
	return dev;
}

/* Request @id of 512 bytes. */
static void add(struct fakering *r, uint16_t id, bool write)
{
	uint64_t head = FAKE_DATA + 32 * id;
	struct iovec p[3] = {
		{(void *)(uintptr_t)head, 16},
		{(void *)(uintptr_t)(BODY + 512 * id), 512},
		{(void *)(uintptr_t)(STATUS + id), 1},
	};

	memset(fake_ptr(r, head), 0, 16);
	memset(fake_ptr(r, head), write, 1);
	memset(fake_ptr(r, STATUS + id), 0xee, 1);
	fake_add(r, id, p, 3, write ? 2 : 1, false);
}

static void answered(struct fakering *r, uint16_t want)
{
	uint16_t id = UINT16_MAX;
	uint32_t len;
	int i;

	for (i = 0; i < PATIENT * 1000 && !fake_get(r, &id, &len); i++)
		usleep(1000);
	assert_int_equal(id, want);
	assert_int_equal(*(uint8_t *)fake_ptr(r, STATUS + id), 0);
}

static void *kick(void *dev)
{
	virtio_notify(dev, 0);
	return NULL;
}

static void test_stuck(void **state)
{
	struct virtio_device *dev;
	struct timespec until;
	struct err e = {0};
	struct fakering r = {0};
	pthread_t thread;
	char path[32];
	struct block *b = open_block(path);

	dev = bring_up(b, &r);
	how = STUCK;
	add(&r, 0, true);
	assert_int_equal(pthread_create(&thread, NULL, kick, dev), 0);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENT;
	assert_int_equal(sem_timedwait(&entered, &until), 0);
	/* Whoever looks at the device, and what else the guest asks of it. */
	assert_int_equal(pthread_mutex_timedlock(&dev->lock, &until), 0);
	pthread_mutex_unlock(&dev->lock);
	assert_int_equal(virtio_config_read(dev, 0, 8), SECTORS);
	add(&r, 1, false);
	virtio_notify(dev, 0);
	answered(&r, 1);
	assert_int_equal(virtio_blk_resize(dev, 4 * SECTORS * 512, &e), -EBUSY);
	sem_post(&go);
	pthread_join(thread, NULL);
	answered(&r, 0);
	how = PROMPT;
	assert_int_equal(virtio_blk_resize(dev, 4 * SECTORS * 512, &e), 0);
	virtio_exit(dev);
	block_close(b);
	fake_exit(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asleep),
		cmocka_unit_test(test_busy),
		cmocka_unit_test(test_remote),
		cmocka_unit_test(test_stuck),
	};

	sem_init(&entered, 0, 0);
	sem_init(&go, 0, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
