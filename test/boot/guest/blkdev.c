/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole disk, /dev/vda, past the page cache: random requests against a copy
 * in memory, and numbered writes that the host looks for after it has killed
 * the VMM (test/block/disktool.c makes the same numbers).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "check.h"

enum { PIECE = 192 << 10, TICK = 4096, REQUESTS = 2500, SEED = 7 };

static uint64_t next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static void fill(uint8_t *p, uint64_t at, uint64_t len, uint64_t seed)
{
	uint64_t i, s = seed * 0x9e3779b97f4a7c15ULL + at + 1, v;

	for (i = 0; i < len; i += 8) {
		v = seed ? next_random(&s) : 0;
		memcpy(p + i, &v, 8);
	}
}

static int open_disk(uint64_t *size)
{
	int fd = -1, i;

	for (i = 0; i < 100 && fd < 0; i++) {
		fd = open("/dev/vda", O_RDWR | O_DIRECT | O_CLOEXEC);
		if (fd < 0)
			usleep(100000);
	}
	if (fd >= 0 && ioctl(fd, BLKGETSIZE64, size))
		return -1;
	return fd;
}

/* Reads what the request covers, and compares it with the model. */
static int compare(int fd, const uint8_t *model, uint64_t at, size_t len,
		   uint8_t *buf)
{
	if (pread(fd, buf, len, (off_t)at) != (ssize_t)len)
		FAIL("reading %zu at %lu: %s", len, at, strerror(errno));
	if (memcmp(buf, model + at, len))
		FAIL("%zu bytes at %lu read wrong", len, at);
	return 0;
}

static int change(int fd, uint8_t *model, uint64_t at, size_t len, uint8_t *buf,
		  uint64_t *seed)
{
	uint64_t range[2] = {at, len};

	switch (next_random(seed) % 6) {
	case 0: return fdatasync(fd);
	case 1: memset(model + at, 0, len); return ioctl(fd, BLKZEROOUT, range);
	case 2:
		if (ioctl(fd, BLKDISCARD, range) && errno != EOPNOTSUPP)
			return -1;
		/* It need not do anything: ask. */
		return pread(fd, buf, len, (off_t)at) == (ssize_t)len
			       ? (memcpy(model + at, buf, len), 0)
			       : -1;
	default:
		fill(buf, at, len, next_random(seed) % 5);
		memcpy(model + at, buf, len);
		return pwrite(fd, buf, len, (off_t)at) == (ssize_t)len ? 0 : -1;
	}
}

int check_blkrandom(void)
{
	uint64_t size, at, seed = (uint64_t)now_ns() | 1;
	uint8_t *buf = aligned_alloc(4096, PIECE), *model;
	int fd = open_disk(&size), i;
	size_t len;

	if (fd < 0 || !buf)
		FAIL("no /dev/vda");
	printf("blkrandom: %lu bytes, seed %lu\n", size, seed);
	model = aligned_alloc(4096, size);
	if (!model)
		FAIL("no memory");
	for (at = 0; at < size; at += PIECE) {
		len = size - at < PIECE ? size - at : PIECE;
		if (pread(fd, model + at, len, (off_t)at) != (ssize_t)len)
			FAIL("cannot read at %lu", at);
	}
	for (i = 0; i < REQUESTS; i++) {
		len = next_random(&seed) % 8
			      ? 512 * (next_random(&seed) % 32 + 1)
			      : PIECE;
		at = next_random(&seed) % (size - len + 1) & ~511UL;
		if (next_random(&seed) % 3) {
			if (change(fd, model, at, len, buf, &seed))
				FAIL("request %d: %s", i, strerror(errno));
		} else if (compare(fd, model, at, len, buf)) {
			return 1;
		}
	}
	for (at = 0; at < size; at += PIECE)
		if (compare(fd, model, at,
			    size - at < PIECE ? size - at : PIECE, buf))
			return 1;
	return fdatasync(fd);
}

static uint64_t tick_at(uint64_t n, uint64_t size)
{
	uint64_t s = (n + 1) * 0x9e3779b97f4a7c15ULL ^ SEED;

	next_random(&s);
	next_random(&s);
	return s % (size / TICK) * TICK;
}

/* Until it is killed. */
int check_blktick(void)
{
	uint8_t *buf = aligned_alloc(4096, TICK);
	uint64_t size, n;
	int fd = open_disk(&size);

	if (fd < 0 || !buf)
		FAIL("no /dev/vda");
	for (n = 0;; n++) {
		fill(buf, tick_at(n, size), TICK, n + 1);
		if (pwrite(fd, buf, TICK, (off_t)tick_at(n, size)) != TICK)
			FAIL("write %lu: %s", n, strerror(errno));
		if (n % 3 != 2)
			continue;
		if (fdatasync(fd))
			FAIL("flush: %s", strerror(errno));
		printf("tick %lu\n", n + 1);
		fflush(stdout);
	}
}
