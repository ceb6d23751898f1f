/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes that the page cache makes wait, and flushes. What libc would be asked
 * is asked here: a write that is busy, asleep or stuck, a flush that tells who
 * does it, a file system of any type.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "dev/bus.h"
#include "dev/doorbell.h"
#include "dev/virtio/disk.h"
#include "dev/virtio/fakering.h"
#include "dev/virtio/vmmio.h"
#include "host/block/block.h"
#include "host/block/dict.h"

#define SECTORS 2048
#define WAIT_NS 3000000
#define PATIENT 20 /* seconds: for ever */
#define BODY    (FAKE_DATA + 0x1000)
#define STATUS  (FAKE_DATA + 0x20000)

enum how { PROMPT, BUSY, ASLEEP, STUCK, FAILING };

static enum how how; /* atomic */
static unsigned writes;
static sem_t entered, go;
static long fs_type = TMPFS_MAGIC;
static int flushed_by_worker; /* atomic; the last one, not by the woken */

static void be(enum how next)
{
	__atomic_store_n(&how, next, __ATOMIC_RELEASE);
}

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
	enum how now = __atomic_load_n(&how, __ATOMIC_ACQUIRE);
	ssize_t len = 0;

	writes++;
	if (now == ASLEEP)
		nanosleep(&pause, NULL);
	while (now == BUSY && thread_ns() - start < WAIT_NS)
		;
	if (now == STUCK) {
		sem_post(&entered);
		sem_wait(&go);
	}
	while (n--)
		len += (ssize_t)iov++->iov_len;
	return len;
}

int fdatasync(int fd)
{
	char name[16] = "";

	pthread_getname_np(pthread_self(), name, sizeof(name));
	__atomic_store_n(&flushed_by_worker, !strcmp(name, "block"),
			 __ATOMIC_RELEASE);
	if (__atomic_load_n(&how, __ATOMIC_ACQUIRE) == STUCK) {
		sem_post(&entered);
		sem_wait(&go);
	}
	errno = EIO;
	return __atomic_load_n(&how, __ATOMIC_ACQUIRE) == FAILING ? -1 : 0;
}

int fstatfs(int fd, struct statfs *fs)
{
	memset(fs, 0, sizeof(*fs));
	fs->f_type = fs_type;
	return 0;
}

static bool no_locks; /* its file system has none */

int fcntl(int fd, int cmd, ...)
{
	va_list ap;
	long arg;

	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	if (no_locks && (cmd == F_OFD_SETLK || cmd == F_OFD_GETLK)) {
		errno = ENOLCK;
		return -1;
	}
	return (int)syscall(SYS_fcntl, fd, cmd, arg);
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

/* Writes that waited send those of the next moments elsewhere. */
static void test_asleep(void **state)
{
	char path[32];
	struct block *b = open_block(path);
	time_t end = time(NULL) + PATIENT;
	int ret, i;

	/* Where this test itself waits too long, the rest is over: again. */
	for (ret = i = 0; !ret && i < 50; i++) {
		be(ASLEEP);
		ret = try_write(b);
		be(PROMPT);
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

	be(BUSY);
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

	be(PROMPT);
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

/* What a flush could not write is not written by the next one. */
static void test_lost(void **state)
{
	char path[32];
	struct block *b = open_block(path);
	int ret;

	be(PROMPT);
	assert_true(block_flush_here(b, &ret));
	assert_int_equal(ret, 0);
	be(FAILING);
	assert_true(block_flush_here(b, &ret));
	assert_int_equal(ret, -EIO);
	be(PROMPT);
	assert_true(block_flush_here(b, &ret));
	assert_int_equal(ret, -EIO);
	block_close(b);
}

static struct block *open_locking(const char *path, const char *locking,
				  struct err *e)
{
	struct dict d = {0};
	const struct block_options o = {.node = &d};
	struct block *b;

	assert_false(dict_put(&d, "driver", "raw", e) ||
		     dict_put(&d, "file.driver", "file", e) ||
		     dict_put(&d, "file.filename", path, e) ||
		     dict_put(&d, "file.locking", locking, e));
	b = block_open(&o, e);
	dict_clear(&d);
	return b;
}

/* Who asks for locks gets them or none of the disk. */
static void test_locking(void **state)
{
	static const char *const will_do[] = {"auto", "off"};
	char path[] = "/tmp/blkwait_test.XXXXXX";
	int fd = mkstemp(path);
	struct err e = {0};
	struct block *b;
	unsigned i;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, SECTORS * 512), 0);
	no_locks = true;
	for (i = 0; i < ARRAY_SIZE(will_do); i++) {
		b = open_locking(path, will_do[i], &e);
		assert_non_null(b);
		block_close(b);
	}
	assert_null(open_locking(path, "on", &e));
	assert_non_null(strstr(e.msg, "cannot be locked (locking=on)"));
	no_locks = false;
	b = open_locking(path, "on", &e);
	assert_non_null(b);
	block_close(b);
	close(fd);
	unlink(path);
}

/* ---- a write that does not return ---- */

static struct drive drive;

static void bring_up(struct virtio_device *dev)
{
	struct vq *vq = dev->vq;

	dev->driver.w[0] = BIT64(32) | BIT64(9);
	virtio_set_status(dev, 0xb);
	vq->desc_gpa = FAKE_DESC;
	vq->driver_gpa = FAKE_DRIVER;
	vq->device_gpa = FAKE_DEVICE;
	virtio_queue_enable(dev, 0);
	virtio_set_status(dev, 0xf);
	assert_int_equal(virtio_get_status(dev), 0xf);
}

static struct virtio_device *new_device(struct block *b, struct fakering *r)
{
	drive.block = b;
	fake_init(r, 64, BIT64(32));
	return fake_device("virtio-blk,queue-size=64", &r->dma, &drive);
}

enum { READ = 0, WRITE = 1, FLUSH = 4 };

/* Request @id, of 512 bytes. */
static void add(struct fakering *r, uint16_t id, int type)
{
	uint64_t head = FAKE_DATA + 32 * id;
	struct iovec p[3] = {
		{(void *)(uintptr_t)head, 16},
		{(void *)(uintptr_t)(BODY + 512 * id), 512},
		{(void *)(uintptr_t)(STATUS + id), 1},
	};

	memset(fake_ptr(r, head), 0, 16);
	memset(fake_ptr(r, head), type, 1);
	memset(fake_ptr(r, STATUS + id), 0xee, 1);
	if (type == FLUSH)
		p[1] = p[2];
	fake_add(r, id, p, type == FLUSH ? 2 : 3, type == WRITE ? 2 : 1, false);
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

	dev = new_device(b, &r);
	bring_up(dev);
	be(STUCK);
	add(&r, 0, WRITE);
	assert_int_equal(pthread_create(&thread, NULL, kick, dev), 0);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENT;
	assert_int_equal(sem_timedwait(&entered, &until), 0);
	/* Whoever looks at the device, and what else the guest asks of it. */
	assert_int_equal(pthread_mutex_timedlock(&dev->lock, &until), 0);
	pthread_mutex_unlock(&dev->lock);
	assert_int_equal(virtio_config_read(dev, 0, 8), SECTORS);
	add(&r, 1, READ);
	virtio_notify(dev, 0);
	answered(&r, 1);
	assert_int_equal(virtio_blk_resize(dev, 4 * SECTORS * 512, &e), -EBUSY);
	sem_post(&go);
	pthread_join(thread, NULL);
	answered(&r, 0);
	be(PROMPT);
	assert_int_equal(virtio_blk_resize(dev, 4 * SECTORS * 512, &e), 0);
	virtio_exit(dev);
	block_close(b);
	fake_exit(&r);
}

/* A write that somebody else's thread waits in; resets wait for it. */
static void get_stuck(struct virtio_device *dev, struct fakering *r,
		      pthread_t *thread)
{
	struct timespec until;

	be(STUCK);
	add(r, 0, WRITE);
	assert_int_equal(pthread_create(thread, NULL, kick, dev), 0);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENT;
	assert_int_equal(sem_timedwait(&entered, &until), 0);
}

static void get_loose(pthread_t thread)
{
	be(PROMPT);
	sem_post(&go);
	pthread_join(thread, NULL);
}

/* Neither the status nor a used buffer before its end, nor one after it. */
static void test_stuck_reset(void **state)
{
	struct virtio_device *dev;
	struct fakering r = {0};
	pthread_t thread;
	char path[32];
	struct block *b = open_block(path);
	uint32_t len;
	uint16_t id;

	dev = new_device(b, &r);
	bring_up(dev);
	get_stuck(dev, &r, &thread);
	virtio_set_status(dev, 0);
	assert_int_equal(virtio_get_status(dev), 0xf);
	/* Nothing else is taken meanwhile. */
	virtio_set_status(dev, 1);
	virtio_queue_reset(dev, 0);
	add(&r, 1, READ);
	virtio_notify(dev, 0);
	virtio_set_status(dev, 0);
	assert_int_equal(virtio_get_status(dev), 0xf);
	assert_int_equal(virtio_config_read(dev, 0, 8), SECTORS);
	get_loose(thread);
	assert_int_equal(virtio_get_status(dev), 0);
	assert_false(dev->vq[0].ready);
	assert_false(fake_get(&r, &id, &len));
	fake_exit(&r);
	fake_init(&r, 64, BIT64(32));
	bring_up(dev);
	add(&r, 2, READ);
	virtio_notify(dev, 0);
	answered(&r, 2);
	virtio_exit(dev);
	block_close(b);
	fake_exit(&r);
}

static void test_stuck_queue(void **state)
{
	struct virtio_device *dev;
	struct fakering r = {0};
	pthread_t thread;
	char path[32];
	struct block *b = open_block(path);
	uint32_t len;
	uint16_t id;

	dev = new_device(b, &r);
	bring_up(dev);
	get_stuck(dev, &r, &thread);
	virtio_queue_reset(dev, 0);
	assert_true(dev->vq[0].ready && dev->vq[0].ending);
	get_loose(thread);
	assert_false(dev->vq[0].ready || dev->vq[0].ending);
	assert_int_equal(virtio_get_status(dev), 0xf);
	assert_false(fake_get(&r, &id, &len));
	/* A reset of all ends while it is waited for. */
	virtio_set_status(dev, 0);
	assert_int_equal(virtio_get_status(dev), 0);
	virtio_exit(dev);
	block_close(b);
	fake_exit(&r);
}

/* ---- flushes ---- */

struct board {
	struct bus mmio;
	struct vmmio vmmio;
	struct doorbells bells;
	struct fakering ring;
	struct virtio_device *dev;
	struct block *block;
	int bell;
};

static int set_bell(void *ctx, const struct doorbell *bell, bool on)
{
	struct board *d = ctx;

	d->bell = bell->fd;
	return 0;
}

static void no_line(void *ctx, unsigned pin, bool level)
{
}

static void open_board(struct board *d)
{
	const struct chip_pin irq = {no_line, d, 0};
	char path[32];

	*d = (struct board){.bells = {set_bell, d}};
	d->block = open_block(path);
	d->dev = new_device(d->block, &d->ring);
	assert_int_equal(vmmio_init(&d->vmmio, d->dev, &d->mmio, 0xfeb00000,
				    &irq, &d->bells),
			 0);
	bring_up(d->dev);
}

static void close_board(struct board *d)
{
	virtio_exit(d->dev);
	block_close(d->block);
	fake_exit(&d->ring);
}

static void ring(struct board *d)
{
	const uint64_t one = 1;

	assert_int_equal(write(d->bell, &one, sizeof(one)), sizeof(one));
}

/* Whether one of the disk's own threads did it, not the one that was woken. */
static bool by_worker(void)
{
	return __atomic_load_n(&flushed_by_worker, __ATOMIC_ACQUIRE);
}

static bool flush_alone(struct board *d)
{
	add(&d->ring, 0, FLUSH);
	ring(d);
	answered(&d->ring, 0);
	return by_worker();
}

static void test_flush(void **state)
{
	struct timespec until;
	struct board d;
	bool worker;
	time_t end;
	int i;

	open_board(&d);
	assert_false(flush_alone(&d));
	/* One that holds another request up: the next ones go elsewhere. */
	for (worker = false, i = 0; !worker && i < 50; i++) {
		be(STUCK);
		add(&d.ring, 0, FLUSH);
		ring(&d);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += PATIENT;
		assert_int_equal(sem_timedwait(&entered, &until), 0);
		add(&d.ring, 1, READ);
		be(PROMPT);
		sem_post(&go);
		answered(&d.ring, 0);
		answered(&d.ring, 1);
		worker = flush_alone(&d);
	}
	assert_true(worker);
	end = time(NULL) + PATIENT;
	while (worker && time(NULL) < end)
		worker = flush_alone(&d);
	assert_false(worker);
	/* The guest's processor is not held up. */
	add(&d.ring, 0, FLUSH);
	virtio_notify(d.dev, 0);
	answered(&d.ring, 0);
	assert_true(by_worker());
	close_board(&d);
}

/* Neither alone nor on a disk of this host. */
static void test_flush_elsewhere(void **state)
{
	struct board d;
	uint32_t len;
	uint16_t id;
	int i, n;

	open_board(&d);
	add(&d.ring, 0, FLUSH);
	add(&d.ring, 1, READ);
	ring(&d);
	for (i = n = 0; i < PATIENT * 1000 && n < 2; i++) {
		n += fake_get(&d.ring, &id, &len);
		usleep(1000);
	}
	assert_int_equal(n, 2);
	assert_true(by_worker());
	close_board(&d);
	fs_type = NFS_SUPER_MAGIC;
	open_board(&d);
	assert_true(flush_alone(&d));
	close_board(&d);
	fs_type = TMPFS_MAGIC;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asleep),
		cmocka_unit_test(test_busy),
		cmocka_unit_test(test_remote),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_locking),
		cmocka_unit_test(test_stuck),
		cmocka_unit_test(test_stuck_reset),
		cmocka_unit_test(test_stuck_queue),
		cmocka_unit_test(test_flush),
		cmocka_unit_test(test_flush_elsewhere),
	};

	sem_init(&entered, 0, 0);
	sem_init(&go, 0, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
