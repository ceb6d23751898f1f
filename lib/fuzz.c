/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blind, but the corpus is not: it was found with an eye on coverage.
 */
#include "lib/fuzz.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/check.h"
#include "lib/util.h"

struct input {
	size_t size;
	uint8_t data[FUZZ_MAX];
};

struct corpus {
	struct input *input;
	unsigned n;
};

/* What is left of the input, and what follows from all of it at its end. */
static const uint8_t *input;
static size_t left;
static uint32_t state;

void fuzz_one(const struct fuzz_target *t, const uint8_t *data, size_t size)
{
	size_t i;

	input = data;
	left = MIN(size, (size_t)FUZZ_MAX);
	state = 2166136261;
	for (i = 0; i < left; i++)
		state = (state ^ data[i]) * 16777619;
	t->one();
}

uint32_t fuzz_bytes(unsigned n)
{
	uint32_t v = 0;

	if (left < n) {
		state = state * 1664525 + 1013904223;
		v = state >> 16 ^ state << 13;
		return v & (uint32_t)((1ULL << 8 * n) - 1);
	}
	left -= n;
	while (n--)
		v = v << 8 | *input++;
	return v;
}

uint32_t fuzz_below(uint32_t n)
{
	return fuzz_bytes(n <= 1U << 8 ? 1 : n <= 1U << 16 ? 2 : 4) % n;
}

const uint8_t *fuzz_rest(size_t *size)
{
	const uint8_t *at = input;

	*size = left;
	input += left;
	left = 0;
	return at;
}

size_t fuzz_pause(void)
{
	size_t kept = left;

	left = 0;
	return kept;
}

void fuzz_resume(size_t kept)
{
	left = kept;
}

static char running[64]; /* what to say about the round under way */

static uint32_t number(uint64_t *s, uint32_t below)
{
	*s ^= *s >> 12;
	*s ^= *s << 25;
	*s ^= *s >> 27;
	return (uint32_t)((*s * 0x2545f4914f6cdd1dULL) >> 32) % below;
}

static void add_line(struct corpus *c, const char *line)
{
	struct input *in;
	unsigned byte;

	c->input = realloc(c->input, (c->n + 1) * sizeof(*c->input));
	ASSERT(c->input);
	in = &c->input[c->n++];
	in->size = 0;
	while (in->size < FUZZ_MAX &&
	       sscanf(line + 2 * in->size, "%2x", &byte) == 1)
		in->data[in->size++] = (uint8_t)byte;
}

/* Lines that begin with # are for readers. */
static int read_corpus(struct corpus *c, const char *path)
{
	char line[2 * FUZZ_MAX + 2];
	FILE *f = fopen(path, "r");

	if (!f) {
		perror(path);
		return -1;
	}
	while (fgets(line, sizeof(line), f))
		if (line[0] != '#' && line[0] != '\n')
			add_line(c, line);
	fclose(f);
	return 0;
}

/* Part of another input, or of none, at some place. */
static void splice(struct input *in, const struct corpus *c, uint64_t *s)
{
	static const struct input zero = {.size = 16};
	const struct input *from = c->n && number(s, 4)
					   ? &c->input[number(s, c->n)]
					   : &zero;
	size_t at = number(s, (uint32_t)in->size + 1), n;

	n = number(s, (uint32_t)MIN(from->size, FUZZ_MAX - in->size) + 1);
	memmove(in->data + at + n, in->data + at, in->size - at);
	memcpy(in->data + at,
	       from->data + number(s, (uint32_t)(from->size - n) + 1), n);
	in->size += n;
}

static void cut(struct input *in, uint64_t *s)
{
	size_t at = number(s, (uint32_t)in->size + 1);
	size_t n = number(s, (uint32_t)(in->size - at) + 1);

	memmove(in->data + at, in->data + at + n, in->size - at - n);
	in->size -= n;
}

static void mutate(struct input *in, const struct corpus *c, uint64_t *s)
{
	unsigned turns = 1 + number(s, 8);
	size_t at;

	while (turns--) {
		at = in->size ? number(s, (uint32_t)in->size) : 0;
		switch (number(s, 8)) {
		case 0: splice(in, c, s); break;
		case 1: cut(in, s); break;
		case 2: in->data[at] = (uint8_t)(0 - number(s, 2)); break;
		case 3: in->data[at] ^= (uint8_t)(1 << number(s, 8)); break;
		default: in->data[at] = (uint8_t)number(s, 256); break;
		}
	}
}

/* The round of @seed, which repeats it. */
static void make(struct input *in, const struct corpus *c, uint32_t seed)
{
	uint64_t s = (seed + 1ULL) * 0x9e3779b97f4a7c15ULL;
	size_t i;

	if (c->n && number(&s, 8)) {
		*in = c->input[number(&s, c->n)];
	} else {
		in->size = number(&s, FUZZ_MAX + 1);
		for (i = 0; i < in->size; i++)
			in->data[i] = (uint8_t)number(&s, 256);
	}
	mutate(in, c, &s);
}

static void say_round(int sig)
{
	if (write(STDERR_FILENO, running, strlen(running)) >= 0)
		signal(sig, SIG_DFL);
	raise(sig);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void run_corpus(const struct fuzz_target *t, const struct corpus *c)
{
	unsigned i;

	for (i = 0; i < c->n; i++) {
		snprintf(running, sizeof(running), "input %u of the corpus\n",
			 i + 1);
		fuzz_one(t, c->input[i].data, c->input[i].size);
	}
}

int fuzz_main(const struct fuzz_target *t, int argc, char **argv)
{
	unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 2;
	uint32_t first = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 0)
				  : (uint32_t)time(NULL);
	uint32_t seed = first;
	struct corpus c = {NULL, 0};
	static struct input in;
	uint64_t end;

	if (argc > 3 && read_corpus(&c, argv[3]))
		return 1;
	signal(SIGABRT, say_round);
	if (t->begin)
		t->begin();
	run_corpus(t, &c);
	for (end = now_ms() + seconds * 1000ULL; now_ms() < end; seed++) {
		snprintf(running, sizeof(running), "seed %u\n", seed);
		make(&in, &c, seed);
		fuzz_one(t, in.data, in.size);
	}
	if (t->end)
		t->end();
	printf("%u inputs of the corpus, %u rounds from seed %u\n", c.n,
	       seed - first, first);
	free(c.input);
	return 0;
}
