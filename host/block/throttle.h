/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of a disk: leaky buckets of bytes and of operations, for reads,
 * writes and both, with bursts. Names and meaning are QEMU's (throttling.*).
 */
#ifndef HOST_BLOCK_THROTTLE_H
#define HOST_BLOCK_THROTTLE_H

#include "lib/err.h"

struct dict;

enum throttle_bucket {
	THROTTLE_BPS_TOTAL,
	THROTTLE_BPS_READ,
	THROTTLE_BPS_WRITE,
	THROTTLE_IOPS_TOTAL,
	THROTTLE_IOPS_READ,
	THROTTLE_IOPS_WRITE,
	THROTTLE_BUCKETS,
};

struct throttle_conf {
	struct {
		uint64_t avg;    /* a second, 0: no limit */
		uint64_t max;    /* a second in a burst, 0: no bursts */
		uint64_t length; /* seconds of a burst, at least 1 */
	} bucket[THROTTLE_BUCKETS];
	uint64_t iops_size; /* bytes that count as one operation, 0: any */
};

struct throttle {
	struct throttle_conf conf;
	bool on;
	uint64_t last; /* ns; when the levels were true */
	double level[THROTTLE_BUCKETS];
	double burst[THROTTLE_BUCKETS];
};

/* Take "throttling.*" and the old names from @d. */
int throttle_take(struct throttle_conf *c, struct dict *d, struct err *e);

void throttle_init(struct throttle *t, const struct throttle_conf *c);

/*
 * Nanoseconds from @now on that a request has to wait; 0: it may go, and is
 * accounted for.
 */
uint64_t throttle_request(struct throttle *t, uint64_t now, bool write,
			  uint64_t bytes);

#endif
