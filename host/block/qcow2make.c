/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Header, refcount table, one refcount block and the L1 table, in this order
 * from the file's start.
 */
#include "host/block/qcow2make.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/block/qcow2.h"

#define BITS    16
#define CLUSTER (1ULL << BITS)
#define L1_AT   3 /* cluster of the L1 table */

static int put(int fd, uint64_t at, const void *p, size_t len)
{
	ssize_t n = pwrite(fd, p, len, (off_t)at);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -ENOSPC;
}

static int put_counts(int fd, uint64_t clusters)
{
	uint8_t *block = calloc(1, CLUSTER);
	uint64_t table = __builtin_bswap64(2 * CLUSTER), i;
	int ret;

	if (!block)
		return -ENOMEM;
	for (i = 0; i < clusters; i++)
		block[2 * i + 1] = 1;
	ret = put(fd, 2 * CLUSTER, block, CLUSTER);
	if (!ret)
		ret = put(fd, CLUSTER, &table, sizeof(table));
	free(block);
	return ret;
}

int qcow2_make(int fd, uint64_t size)
{
	uint64_t per = CLUSTER << (BITS - 3);
	uint64_t l1 = MAX((size + per - 1) / per, (uint64_t)1);
	uint64_t clusters = L1_AT + (l1 * 8 + CLUSTER - 1) / CLUSTER;
	uint8_t h[Q_V3_HEADER + 8] = {0};
	int ret;

	if (l1 > (32 << 20) / 8)
		return -EFBIG;
	if (ftruncate(fd, (off_t)(clusters * CLUSTER)))
		return -errno;
	q_put32(h, Q_MAGIC);
	q_put32(h + 4, 3);
	q_put32(h + 20, BITS);
	q_put64(h + 24, size);
	q_put32(h + Q_H_L1, (uint32_t)l1);
	q_put64(h + 40, L1_AT * CLUSTER);
	q_put64(h + Q_H_REFTABLE, CLUSTER);
	q_put32(h + 56, 1);
	q_put32(h + 96, 4);
	q_put32(h + 100, Q_V3_HEADER);
	ret = put_counts(fd, clusters);
	return ret ? ret : put(fd, 0, h, sizeof(h));
}

static struct node *open_overlay(const char *path, struct node *base,
				 struct err *e)
{
	struct dict d = {0};
	struct node_open o = {
		.dict = &d,
		.no_flush = true,
		.unmap = true,
	};
	struct node *n = NULL;

	if (!dict_put(&d, "driver", "qcow2", e) &&
	    !dict_put(&d, "file.driver", "file", e) &&
	    !dict_put(&d, "file.filename", path, e))
		n = node_open(&o, e);
	dict_clear(&d);
	if (n)
		n->backing = base;
	return n;
}

struct node *qcow2_make_overlay(struct node *base, struct err *e)
{
	const char *dir = getenv("TMPDIR");
	char path[4096];
	struct node *n = NULL;
	int fd, ret;

	snprintf(path, sizeof(path), "%s/lodge-snapshot.XXXXXX",
		 dir ? dir : "/var/tmp");
	fd = mkstemp(path);
	if (fd < 0) {
		ret = -errno;
		err_set(e, ret, "cannot create %s for snapshot=on: %s", path,
			strerror(-ret));
		return NULL;
	}
	ret = qcow2_make(fd, base->size);
	if (ret)
		err_set(e, ret, "cannot write %s for snapshot=on: %s", path,
			strerror(-ret));
	else
		n = open_overlay(path, base, e);
	unlink(path);
	close(fd);
	return n;
}
