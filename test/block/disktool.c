/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk from a shell, for tests: opens what -blockdev would and does what
 * it reads, a line each, until the end of input.
 *
 *	write AT LEN SEED	fill with bytes made from the seed
 *	read AT LEN SEED	and compare; seed 0 is zeros
 *	dump FILE		all bytes into a file
 *	resize SIZE
 *	zero AT LEN, unmap AT LEN, discard AT LEN, flush
 *	random N SEED		N requests of any kind, 8 at a time, against a
 *				copy of the disk in memory
 *	tick N SEED		N numbered writes and flushes: prints each
 *				number when its flush is done
 *	ticked N SEED		check that those up to N are there
 *	grow N BASE STEP	N times STEP bytes more, from BASE on, with a
 *				write at the new end and a flush: prints 0 and
 *				each number when that is done
 *	grown N BASE STEP	check that those up to N are there
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/block/block.h"
#include "host/block/dict.h"

#define SLOTS     8
#define PIECE     (192U << 10)
#define TICK_LEN  4096U
#define MODEL_MAX (256U << 20)

static struct block *disk;
static uint8_t *model; /* the disk's bytes */

struct wait {
	struct block_req req;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
	int ret;
};

/* ---- one request ---- */

static void on_done(struct block_req *req, int ret)
{
	struct wait *w = (struct wait *)req;

	pthread_mutex_lock(&w->lock);
	w->ret = ret;
	w->done = true;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->lock);
}

static void begin(struct wait *w, enum block_op op, uint64_t at, uint64_t len,
		  struct iovec *iov, unsigned iovs)
{
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->cond, NULL);
	w->done = false;
	w->req = (struct block_req){
		.op = op,
		.offset = at,
		.len = len,
		.iov = iov,
		.iovs = iovs,
		.done = on_done,
	};
	block_submit(disk, &w->req);
	block_kick(disk);
}

static int await(struct wait *w)
{
	pthread_mutex_lock(&w->lock);
	while (!w->done)
		pthread_cond_wait(&w->cond, &w->lock);
	pthread_mutex_unlock(&w->lock);
	pthread_cond_destroy(&w->cond);
	pthread_mutex_destroy(&w->lock);
	return w->ret;
}

static int request(enum block_op op, uint64_t at, uint64_t len, void *p)
{
	struct iovec iov = {p, len};
	struct wait w;

	if (at > block_size(disk) || len > block_size(disk) - at)
		return -EINVAL;
	begin(&w, op, at, len, &iov, p ? 1 : 0);
	return await(&w);
}

/* ---- bytes ---- */

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

static int fill_write(uint64_t at, uint64_t len, uint64_t seed)
{
	uint8_t *p = aligned_alloc(4096, (len + 4095) & ~4095ULL);
	int ret;

	fill(p, at, len, seed);
	ret = request(BLOCK_WRITE, at, len, p);
	free(p);
	return ret;
}

static int read_same(uint64_t at, uint64_t len, uint64_t seed)
{
	uint8_t *p = aligned_alloc(4096, (len + 4095) & ~4095ULL);
	uint8_t *want = malloc(len);
	int ret = request(BLOCK_READ, at, len, p);

	fill(want, at, len, seed);
	if (!ret && memcmp(p, want, len))
		ret = -EILSEQ;
	free(p);
	free(want);
	return ret;
}

/* ---- many at once, none of which overlap ---- */

struct slot {
	struct wait wait;
	uint8_t *buf;
	struct iovec iov[5];
	enum block_op op;
	uint64_t at, len;
	bool busy;
};

static bool overlaps(const struct slot *s, uint64_t at, uint64_t len)
{
	unsigned i;

	for (i = 0; i < SLOTS; i++)
		if (s[i].busy && at < s[i].at + s[i].len && s[i].at < at + len)
			return true;
	return false;
}

/* Bytes of the model that a request leaves behind. */
static int settle(struct slot *s)
{
	int ret = await(&s->wait);

	s->busy = false;
	if (ret)
		return ret;
	if (s->op == BLOCK_READ && memcmp(s->buf, model + s->at, s->len)) {
		fprintf(stderr, "%" PRIu64 "+%" PRIu64 " reads wrong\n", s->at,
			s->len);
		return -EILSEQ;
	}
	/* What a discard leaves is asked, for it need not do anything. */
	if (s->op == BLOCK_DISCARD)
		return request(BLOCK_READ, s->at, s->len, model + s->at);
	return 0;
}

static unsigned cut(struct slot *s, uint64_t *seed)
{
	uint64_t at = 0, part;
	unsigned n;

	for (n = 0; n < 4 && at < s->len; n++) {
		part = (next_random(seed) % (s->len - at) + 1 + 511) & ~511ULL;
		part = MIN(part, s->len - at);
		s->iov[n] = (struct iovec){s->buf + at, part};
		at += part;
	}
	if (at < s->len)
		s->iov[n++] = (struct iovec){s->buf + at, s->len - at};
	return n;
}

static void start(struct slot *s, uint64_t at, uint64_t len, uint64_t *seed)
{
	static const enum block_op ops[] = {
		BLOCK_READ,    BLOCK_READ,   BLOCK_READ,         BLOCK_WRITE,
		BLOCK_WRITE,   BLOCK_WRITE,  BLOCK_WRITE,        BLOCK_FLUSH,
		BLOCK_DISCARD, BLOCK_ZEROES, BLOCK_ZEROES_UNMAP,
	};
	unsigned n = 0;

	s->op = ops[next_random(seed) % ARRAY_SIZE(ops)];
	s->at = at;
	s->len = s->op == BLOCK_FLUSH ? 0 : len;
	s->busy = true;
	if (s->op == BLOCK_WRITE) {
		fill(s->buf, at, len, next_random(seed) % 4);
		memcpy(model + at, s->buf, len);
	} else if (s->op == BLOCK_ZEROES || s->op == BLOCK_ZEROES_UNMAP) {
		memset(model + at, 0, len);
	}
	if (s->op == BLOCK_READ || s->op == BLOCK_WRITE)
		n = cut(s, seed);
	begin(&s->wait, s->op, at, s->len, s->iov, n);
}

/* Wait for all that is in flight. */
static int settle_all(struct slot *slot)
{
	int ret = 0;

	for (unsigned i = 0; i < SLOTS; i++)
		if (slot[i].busy && settle(&slot[i]))
			ret = -EILSEQ;
	return ret;
}

static int random_requests(uint64_t n, uint64_t seed)
{
	static struct slot slot[SLOTS];
	uint64_t size = block_size(disk), at, len, i;
	unsigned tries;
	struct slot *s;
	int ret = 0;

	if (!size || size > MODEL_MAX)
		return -EFBIG;
	seed = seed * 2 + 1;
	for (i = 0; i < SLOTS; i++)
		slot[i].buf = aligned_alloc(4096, PIECE);
	model = malloc(size);
	ret = request(BLOCK_READ, 0, size, model);
	for (i = 0; !ret && i < n; i++) {
		s = &slot[i % SLOTS];
		if (s->busy)
			ret = settle(s);
		tries = 0;
		do {
			/* a small disk may have no room beside the others */
			if (++tries % 64 == 0 && settle_all(slot))
				ret = -EILSEQ;
			len = next_random(&seed) % 8
				      ? 4096 * (next_random(&seed) % 4 + 1)
				      : PIECE;
			len = MIN(len, size);
			at = next_random(&seed) % (size - len + 1) & ~511ULL;
		} while (overlaps(slot, at, len));
		if (!ret)
			start(s, at, len, &seed);
	}
	if (settle_all(slot))
		ret = -EILSEQ;
	for (at = 0; !ret && at < size; at += len) {
		len = MIN(size - at, PIECE);
		ret = request(BLOCK_READ, at, len, slot[0].buf);
		if (!ret && memcmp(slot[0].buf, model + at, len))
			ret = -EILSEQ;
	}
	return ret;
}

/* ---- what a flush promises ---- */

static uint64_t tick_at(uint64_t n, uint64_t seed)
{
	uint64_t s = (n + 1) * 0x9e3779b97f4a7c15ULL ^ seed;

	next_random(&s);
	next_random(&s);
	return s % (block_size(disk) / TICK_LEN) * TICK_LEN;
}

static int tick(uint64_t n, uint64_t seed)
{
	uint64_t i;
	int ret = 0;

	for (i = 0; !ret && i < n; i++) {
		ret = fill_write(tick_at(i, seed), TICK_LEN, i + 1);
		/* One more that nobody waits for, elsewhere. */
		if (!ret && i % 3 == 2)
			ret = request(BLOCK_FLUSH, 0, 0, NULL);
		if (!ret && i % 3 == 2) {
			printf("%" PRIu64 "\n", i + 1);
			fflush(stdout);
		}
	}
	return ret;
}

/* The place of a write is its last one's, of those up to @n or after. */
static int ticked(uint64_t n, uint64_t seed)
{
	uint8_t got[TICK_LEN], want[TICK_LEN];
	uint64_t i, k;
	int ret = 0;

	for (i = 0; !ret && i < n; i++) {
		ret = request(BLOCK_READ, tick_at(i, seed), TICK_LEN, got);
		for (k = i; !ret && k < n + 100; k++) {
			if (tick_at(k, seed) != tick_at(i, seed))
				continue;
			fill(want, tick_at(i, seed), TICK_LEN, k + 1);
			if (!memcmp(got, want, TICK_LEN))
				break;
		}
		if (!ret && k == n + 100) {
			fprintf(stderr, "write %" PRIu64 " is lost\n", i + 1);
			ret = -EILSEQ;
		}
	}
	return ret;
}

/* ---- what a resize promises ---- */

static int grow(uint64_t n, uint64_t base, uint64_t step)
{
	struct err e = {0};
	uint64_t i, size = base;
	int ret = 0;

	puts("0");
	fflush(stdout);
	for (i = 1; !ret && i <= n; i++) {
		size += step;
		ret = block_resize(disk, size, &e);
		if (!ret)
			ret = fill_write(size - TICK_LEN, TICK_LEN, i);
		if (!ret)
			ret = request(BLOCK_FLUSH, 0, 0, NULL);
		if (!ret) {
			printf("%" PRIu64 "\n", i);
			fflush(stdout);
		}
	}
	return ret;
}

static int grown(uint64_t n, uint64_t base, uint64_t step)
{
	uint64_t i;
	int ret = 0;

	for (i = 1; !ret && i <= n; i++)
		ret = read_same(base + i * step - TICK_LEN, TICK_LEN, i);
	return ret;
}

/* ---- commands ---- */

static int dump(const char *path)
{
	uint64_t size = block_size(disk), at, len;
	void *buf = aligned_alloc(4096, 1 << 20);
	FILE *f = fopen(path, "w");
	int ret = f ? 0 : -errno;

	for (at = 0; !ret && at < size; at += len) {
		len = MIN(size - at, 1ULL << 20);
		ret = request(BLOCK_READ, at, len, buf);
		if (!ret && fwrite(buf, 1, len, f) != len)
			ret = -EIO;
	}
	free(buf);
	return f && fclose(f) ? -EIO : ret;
}

static int resize(uint64_t size)
{
	struct err e = {0};
	int ret = block_resize(disk, size, &e);

	if (ret)
		printf("%s\n", e.msg);
	return ret;
}

static int run(const char *line)
{
	char word[16] = "", path[240] = "";
	uint64_t a = 0, b = 0, c = 0;

	if (sscanf(line, "dump %239s", path) == 1)
		return dump(path);
	if (sscanf(line, "%15s %" SCNu64 " %" SCNu64 " %" SCNu64, word, &a, &b,
		   &c) < 1)
		return 0;
	if (!strcmp(word, "write"))
		return fill_write(a, b, c);
	if (!strcmp(word, "read"))
		return read_same(a, b, c);
	if (!strcmp(word, "resize"))
		return resize(a);
	if (!strcmp(word, "zero"))
		return request(BLOCK_ZEROES, a, b, NULL);
	if (!strcmp(word, "unmap"))
		return request(BLOCK_ZEROES_UNMAP, a, b, NULL);
	if (!strcmp(word, "discard"))
		return request(BLOCK_DISCARD, a, b, NULL);
	if (!strcmp(word, "flush"))
		return request(BLOCK_FLUSH, 0, 0, NULL);
	if (!strcmp(word, "random"))
		return random_requests(a, b);
	if (!strcmp(word, "tick"))
		return tick(a, b);
	if (!strcmp(word, "ticked"))
		return ticked(a, b);
	if (!strcmp(word, "grow"))
		return grow(a, b, c);
	if (!strcmp(word, "grown"))
		return grown(a, b, c);
	return -EINVAL;
}

static int commands(void)
{
	char line[256];
	int ret = 0;

	while (!ret && fgets(line, sizeof(line), stdin)) {
		ret = run(line);
		if (ret)
			printf("failed %s: %s", strerror(-ret), line);
	}
	return ret;
}

int main(int argc, char **argv)
{
	struct node_list list = {0};
	struct dict d = {0};
	struct block_options o = {.node = &d, .list = &list};
	struct err e = {0};
	int i, ret = 0;

	for (i = 1; !ret && i < argc; i++) {
		if (!strcmp(argv[i], "snapshot"))
			o.snapshot = true;
		else if (!strcmp(argv[i], "share"))
			o.share = true;
		else
			ret = dict_put_json(&d, argv[i], &e);
	}
	if (!ret)
		ret = throttle_take(&o.throttle, &d, &e);
	if (!ret) {
		disk = block_open(&o, &e);
		ret = disk ? block_start(disk, &e) : e.code;
	}
	if (ret) {
		printf("refused: %s\n", e.msg);
		block_close(disk);
		dict_clear(&d);
		return 2;
	}
	printf("open %s %" PRIu64 "%s\n", block_format(disk), block_size(disk),
	       block_read_only(disk) ? " read-only" : "");
	fflush(stdout);
	ret = commands();
	block_close(disk);
	dict_clear(&d);
	free(model);
	return ret ? 1 : 0;
}
