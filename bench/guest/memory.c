/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory: dependent loads over sets that fit the first cache, the second, and
 * neither; the C library's copy.
 */
#include "bench.h"

#include <string.h>
#include <sys/mman.h>

enum { LINE = 64 };

static char *area;
static size_t area_size;
static void **chain;

static void unmap(void)
{
	munmap(area, area_size);
}

static const char *map(size_t size)
{
	area_size = size;
	area = mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	return area == MAP_FAILED ? "no memory" : NULL;
}

/* One random cycle through every line of the area (Sattolo). */
static const char *make_chain(size_t size)
{
	const char *why = map(size);
	size_t lines = size / LINE;
	uint32_t seed = 7;

	if (why)
		return why;
	for (size_t i = 0; i < lines; i++)
		*(size_t *)(area + i * LINE) = i;
	for (size_t i = lines - 1; i > 0; i--) {
		size_t j = ((uint64_t)next_random(&seed) << 16 ^
			    next_random(&seed)) %
			   i;
		size_t *a = (size_t *)(area + i * LINE);
		size_t *b = (size_t *)(area + j * LINE);
		size_t t = *a;

		*a = *b;
		*b = t;
	}
	for (size_t i = 0; i < lines; i++) {
		void **p = (void **)(area + i * LINE);

		*p = area + *(size_t *)p * LINE;
	}
	chain = (void **)area;
	return NULL;
}

static const char *prepare_l1(void)
{
	return make_chain(16 << 10);
}

static const char *prepare_l2(void)
{
	return make_chain(256 << 10);
}

static const char *prepare_memory(void)
{
	return make_chain(64 << 20);
}

#define FOUR p = *(void **)*(void **)*(void **)*p

/* Sixteen dependent loads in a row, so that the loop costs nothing. */
static void run_chase(uint64_t n)
{
	void **p = chain;

	for (uint64_t i = 0; i < n; i += 16) {
		FOUR;
		FOUR;
		FOUR;
		FOUR;
	}
	chain = p;
	sink = (uintptr_t)p;
}

enum { COPY_SIZE = 1 << 20 };

static const char *prepare_memcpy(void)
{
	const char *why = map(2 * COPY_SIZE);

	if (!why)
		memset(area, 0x5a, COPY_SIZE);
	return why;
}

static void run_memcpy(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		memcpy(area + COPY_SIZE, area, COPY_SIZE);
		__asm__ volatile("" ::: "memory");
	}
	if (area[2 * COPY_SIZE - 1] != 0x5a)
		die("memcpy lost bytes");
}

enum { SMALL = 200 };

static void run_memcpy_small(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		size_t at = i % 64 * 32;

		memcpy(area + COPY_SIZE + at, area + at + 1, SMALL);
		__asm__ volatile("" ::: "memory");
	}
	sink = area[COPY_SIZE];
}

const struct row rows_memory[] = {
	{"chase_l1", run_chase, prepare_l1, unmap},
	{"chase_l2", run_chase, prepare_l2, unmap},
	{"chase_memory", run_chase, prepare_memory, unmap},
	{"memcpy_1m", run_memcpy, prepare_memcpy, unmap},
	{"memcpy_200", run_memcpy_small, prepare_memcpy, unmap},
	{NULL, NULL, NULL, NULL},
};
