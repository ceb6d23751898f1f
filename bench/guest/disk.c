/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of a disk, /dev/vda, past the guest's page cache. Each block of it
 * begins with its own number, which is checked and kept. bench/disk makes it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

enum { SMALL = 4096, LARGE = 1 << 20, DEPTH = 32 };

static int disk = -1;
static uint64_t blocks; /* of SMALL bytes */
static char *buf;
static aio_context_t aio;
static uint32_t seed = 1;

static const char *prepare(void)
{
	off_t size;

	disk = open("/dev/vda", O_RDWR | O_DIRECT | O_CLOEXEC);
	if (disk < 0)
		return "no /dev/vda";
	size = lseek(disk, 0, SEEK_END);
	blocks = (uint64_t)size / SMALL;
	buf = aligned_alloc(SMALL, LARGE);
	if (!buf || blocks < LARGE / SMALL || inside_guest == 0)
		return "not the benchmark's disk";
	aio = 0;
	return syscall(SYS_io_setup, DEPTH, &aio) ? "no aio" : NULL;
}

static void cleanup(void)
{
	syscall(SYS_io_destroy, aio);
	free(buf);
	close(disk);
}

static uint64_t pick(uint64_t of)
{
	return next_random(&seed) % of;
}

static void check(const char *p, uint64_t block)
{
	uint64_t got;

	memcpy(&got, p, sizeof(got));
	if (got != block)
		die("block %lu reads as block %lu", block, got);
}

static void read_one(uint64_t n)
{
	while (n--) {
		uint64_t block = pick(blocks);

		if (pread(disk, buf, SMALL, (off_t)(block * SMALL)) != SMALL)
			die("cannot read: %s", strerror(errno));
		check(buf, block);
	}
}

static void write_one(uint64_t n)
{
	memset(buf, 'w', SMALL);
	while (n--) {
		uint64_t block = pick(blocks);

		memcpy(buf, &block, sizeof(block));
		if (pwrite(disk, buf, SMALL, (off_t)(block * SMALL)) != SMALL)
			die("cannot write: %s", strerror(errno));
	}
}

/* DEPTH of them at a time. */
static void many(uint64_t n, int op)
{
	struct iocb cb[DEPTH], *list[DEPTH];
	struct io_event done[DEPTH];
	uint64_t i, k;

	for (; n; n -= k) {
		k = n < DEPTH ? n : DEPTH;
		for (i = 0; i < k; i++) {
			uint64_t block = pick(blocks / DEPTH) * DEPTH + i;
			char *p = buf + i * SMALL;

			if (op == IOCB_CMD_PWRITE)
				memcpy(p, &block, sizeof(block));
			cb[i] = (struct iocb){
				.aio_lio_opcode = (uint16_t)op,
				.aio_fildes = (uint32_t)disk,
				.aio_buf = (uintptr_t)p,
				.aio_nbytes = SMALL,
				.aio_offset = (int64_t)(block * SMALL),
				.aio_data = block,
			};
			list[i] = &cb[i];
		}
		if (syscall(SYS_io_submit, aio, k, list) != (long)k ||
		    syscall(SYS_io_getevents, aio, k, k, done, NULL) != (long)k)
			die("aio: %s", strerror(errno));
		for (i = 0; i < k; i++) {
			if (done[i].res != SMALL)
				die("aio: %s", strerror((int)-done[i].res));
			check(buf + i * SMALL, cb[i].aio_data);
		}
	}
}

static void read_many(uint64_t n)
{
	many(n, IOCB_CMD_PREAD);
}

static void write_many(uint64_t n)
{
	many(n, IOCB_CMD_PWRITE);
}

static void read_large(uint64_t n)
{
	uint64_t per = LARGE / SMALL, at;

	for (at = 0; n--; at = (at + per) % (blocks / per * per)) {
		if (pread(disk, buf, LARGE, (off_t)(at * SMALL)) != LARGE)
			die("cannot read: %s", strerror(errno));
		check(buf, at);
	}
}

static void write_large(uint64_t n)
{
	uint64_t per = LARGE / SMALL, at, i;

	for (at = 0; n--; at = (at + per) % (blocks / per * per)) {
		for (i = 0; i < per; i++)
			*(uint64_t *)(void *)(buf + i * SMALL) = at + i;
		if (pwrite(disk, buf, LARGE, (off_t)(at * SMALL)) != LARGE)
			die("cannot write: %s", strerror(errno));
	}
}

static void flush_one(uint64_t n)
{
	uint64_t block = 1;

	memcpy(buf, &block, sizeof(block));
	while (n--)
		if (pwrite(disk, buf, SMALL, SMALL) != SMALL || fdatasync(disk))
			die("cannot flush: %s", strerror(errno));
}

const struct row rows_disk[] = {
	{"disk_read_4k", read_one, prepare, cleanup},
	{"disk_write_4k", write_one, prepare, cleanup},
	{"disk_read_4k_q32", read_many, prepare, cleanup},
	{"disk_write_4k_q32", write_many, prepare, cleanup},
	{"disk_read_1m", read_large, prepare, cleanup},
	{"disk_write_1m", write_large, prepare, cleanup},
	{"disk_flush", flush_one, prepare, cleanup},
	{0},
};
