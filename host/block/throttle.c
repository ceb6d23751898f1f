/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bucket leaks as fast as its limit. Without bursts it holds what goes in
 * a tenth of a second; with them a whole burst, which a second bucket keeps
 * from coming at once.
 */
#include "host/block/throttle.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/block/dict.h"

#define NS_PER_SEC 1000000000.0
#define SLACK      10 /* a bucket holds 1/SLACK second */
#define RATE_MAX   1000000000000000ULL

static const char *const names[THROTTLE_BUCKETS] = {
	"bps-total",  "bps-read",  "bps-write",
	"iops-total", "iops-read", "iops-write",
};
static const char *const old_names[THROTTLE_BUCKETS] = {
	"bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr",
};

static int take(struct dict *d, const char *key, const char *old, uint64_t *out,
		struct err *e)
{
	uint64_t v = *out;
	int ret = dict_take_size(d, key, &v, e);

	if (!ret)
		ret = dict_take_size(d, old, &v, e);
	if (!ret && v > RATE_MAX)
		ret = err_set(e, -EINVAL, "%s is more than %llu", key,
			      RATE_MAX);
	*out = v;
	return ret;
}

static int take_bucket(struct throttle_conf *c, unsigned i, struct dict *d,
		       struct err *e)
{
	char key[64], old[64];
	int ret;

	c->bucket[i].length = 1;
	snprintf(key, sizeof(key), "throttling.%s", names[i]);
	ret = take(d, key, old_names[i], &c->bucket[i].avg, e);
	if (ret)
		return ret;
	snprintf(key, sizeof(key), "throttling.%s-max", names[i]);
	snprintf(old, sizeof(old), "%s_max", old_names[i]);
	ret = take(d, key, old, &c->bucket[i].max, e);
	if (ret)
		return ret;
	snprintf(key, sizeof(key), "throttling.%s-max-length", names[i]);
	snprintf(old, sizeof(old), "%s_max_length", old_names[i]);
	ret = take(d, key, old, &c->bucket[i].length, e);
	if (ret)
		return ret;
	if (c->bucket[i].max && c->bucket[i].max < c->bucket[i].avg)
		return err_set(e, -EINVAL, "%s-max is less than %s", names[i],
			       names[i]);
	if (!c->bucket[i].length ||
	    (c->bucket[i].length > 1 && !c->bucket[i].max))
		return err_set(e, -EINVAL, "%s-max-length needs %s-max",
			       names[i], names[i]);
	if (c->bucket[i].max && !c->bucket[i].avg)
		return err_set(e, -EINVAL, "%s-max needs %s", names[i],
			       names[i]);
	return 0;
}

/* A limit of both and one of either do not go together. */
static int check_totals(const struct throttle_conf *c, struct err *e)
{
	unsigned i;

	for (i = 0; i < THROTTLE_BUCKETS; i += 3)
		if (c->bucket[i].avg &&
		    (c->bucket[i + 1].avg || c->bucket[i + 2].avg))
			return err_set(e, -EINVAL,
				       "%s and %s or %s cannot be used at the "
				       "same time",
				       names[i], names[i + 1], names[i + 2]);
	return 0;
}

int throttle_take(struct throttle_conf *c, struct dict *d, struct err *e)
{
	unsigned i;
	int ret = 0;

	for (i = 0; !ret && i < THROTTLE_BUCKETS; i++)
		ret = take_bucket(c, i, d, e);
	if (!ret)
		ret = take(d, "throttling.iops-size", "iops_size",
			   &c->iops_size, e);
	return ret ? ret : check_totals(c, e);
}

void throttle_init(struct throttle *t, const struct throttle_conf *c)
{
	unsigned i;

	*t = (struct throttle){.conf = *c};
	for (i = 0; i < THROTTLE_BUCKETS; i++)
		t->on |= c->bucket[i].avg;
}

static void leak(struct throttle *t, uint64_t now)
{
	double s = (double)(now - t->last) / NS_PER_SEC;
	unsigned i;

	t->last = now;
	for (i = 0; i < THROTTLE_BUCKETS; i++) {
		t->level[i] -= (double)t->conf.bucket[i].avg * s;
		t->burst[i] -= (double)t->conf.bucket[i].max * s;
		t->level[i] = MAX(t->level[i], 0.0);
		t->burst[i] = MAX(t->burst[i], 0.0);
	}
}

/* Seconds until bucket @i is no fuller than it may be. */
static double wait_for(const struct throttle *t, unsigned i)
{
	double avg = (double)t->conf.bucket[i].avg;
	double max = (double)t->conf.bucket[i].max;
	double room = max > 0 ? max * (double)t->conf.bucket[i].length
			      : avg / SLACK;
	double wait = 0;

	if (avg > 0 && t->level[i] > room)
		wait = (t->level[i] - room) / avg;
	if (max > 0 && t->conf.bucket[i].length > 1 &&
	    t->burst[i] > max / SLACK)
		wait = MAX(wait, (t->burst[i] - max / SLACK) / max);
	return wait;
}

static bool concerns(unsigned i, bool write)
{
	return i % 3 == 0 || (i % 3 == 2) == write;
}

static void account(struct throttle *t, bool write, uint64_t bytes)
{
	double ops = 1, units;
	unsigned i;

	if (t->conf.iops_size && bytes > t->conf.iops_size)
		ops = (double)bytes / (double)t->conf.iops_size;
	for (i = 0; i < THROTTLE_BUCKETS; i++) {
		if (!concerns(i, write))
			continue;
		units = i < THROTTLE_IOPS_TOTAL ? (double)bytes : ops;
		t->level[i] += units;
		t->burst[i] += units;
	}
}

uint64_t throttle_request(struct throttle *t, uint64_t now, bool write,
			  uint64_t bytes)
{
	double wait = 0;
	unsigned i;

	leak(t, now);
	for (i = 0; i < THROTTLE_BUCKETS; i++)
		if (concerns(i, write))
			wait = MAX(wait, wait_for(t, i));
	if (wait > 0)
		return (uint64_t)(wait * NS_PER_SEC) + 1;
	account(t, write, bytes);
	return 0;
}
