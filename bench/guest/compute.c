/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Integer code: arithmetic, calls, indirect jumps, stores with a
 * stride, shifts and rotates, a library's sort with calls back.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

/* Four chains at once, so that it is not one chain's latency. */
static void run_alu(uint64_t n)
{
	uint64_t a = n | 1, b = 0x9e3779b97f4a7c15ull, c = 1;
	uint32_t d = 0x85ebca6b;

	for (uint64_t i = 0; i < n; i++) {
		a = (a << 5 | a >> 59) ^ i;
		b += b >> 7 ^ 0x5555;
		c = c * 3 + (c > i ? 1 : 5);
		d = (d ^ d << 13) + (uint32_t)i;
		a += d & 0xff;
		b -= c | 1;
	}
	sink = a ^ b ^ c ^ d;
}

/* Stays a call: the build switches sibling calls off. */
__attribute__((noinline)) static uint64_t fib(uint64_t n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static void run_fib(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		uint64_t f = fib(20);

		if (f != 6765)
			die("fib(20) is %lu", f);
	}
}

enum op {
	OP_PUSH,
	OP_ADD,
	OP_SUB,
	OP_DUP,
	OP_SWAP,
	OP_MUL,
	OP_JNZ,
	OP_POP,
	OP_END
};

/* Counts down from 1000 in an accumulator machine with a stack. */
static const int program[] = {
	OP_PUSH, 0,       OP_PUSH, 1000,                      /* sum, i */
	OP_DUP,  OP_PUSH, 3,       OP_MUL,  OP_POP,  OP_SWAP, /* at 4 */
	OP_PUSH, 2,       OP_ADD,  OP_SWAP, OP_PUSH, 1,
	OP_SUB,  OP_DUP,  OP_JNZ,  4,       OP_POP,  OP_END,
};

static int64_t interpret(const int *code)
{
	int64_t stack[16], *sp = stack, t;
	int pc = 0;

	for (;;) {
		switch (code[pc++]) {
		case OP_PUSH: *sp++ = code[pc++]; break;
		case OP_ADD:
			sp--;
			sp[-1] += sp[0];
			break;
		case OP_SUB:
			sp--;
			sp[-1] -= sp[0];
			break;
		case OP_MUL:
			sp--;
			sp[-1] *= sp[0];
			break;
		case OP_DUP:
			sp[0] = sp[-1];
			sp++;
			break;
		case OP_SWAP:
			t = sp[-1];
			sp[-1] = sp[-2];
			sp[-2] = t;
			break;
		case OP_JNZ: pc = *--sp ? code[pc] : pc + 1; break;
		case OP_POP: sp--; break;
		case OP_END: return sp[-1];
		}
	}
}

static void run_interpreter(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		int64_t sum = interpret(program);

		if (sum != 2000)
			die("the interpreter's sum is %ld", sum);
	}
}

static void run_sieve(uint64_t n)
{
	enum { SIZE = 65536 };
	static unsigned char composite[SIZE];

	for (uint64_t round = 0; round < n; round++) {
		unsigned int primes = 0;

		memset(composite, 0, SIZE);
		for (unsigned int i = 2; i < SIZE; i++) {
			if (composite[i])
				continue;
			primes++;
			for (unsigned int j = 2 * i; j < SIZE; j += i)
				composite[j] = 1;
		}
		if (primes != 6542)
			die("%u primes below 65536", primes);
	}
}

/* FIPS 180-4: one compression of a 64-byte block; constants computed once. */
static uint32_t sha_k[64];
static uint32_t sha_start[8];

static uint32_t rotr(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

/* The first 32 fractional bits of a prime's root, by bisection on integers. */
static uint32_t root_bits(unsigned int prime, int cube)
{
	unsigned __int128 low = 0, high = (unsigned __int128)20 << 32;

	while (high - low > 1) {
		unsigned __int128 mid = (low + high) / 2;
		unsigned __int128 p = mid * mid;
		int over;

		if (cube)
			over = p * mid > (unsigned __int128)prime << 96;
		else
			over = p > (unsigned __int128)prime << 64;
		if (over)
			high = mid;
		else
			low = mid;
	}
	return (uint32_t)low;
}

static const char *prepare_sha(void)
{
	unsigned int n = 0;

	for (unsigned int p = 2; n < 64; p++) {
		unsigned int d = 2;

		while (d * d <= p && p % d)
			d++;
		if (d * d <= p)
			continue;
		if (n < 8)
			sha_start[n] = root_bits(p, 0);
		sha_k[n++] = root_bits(p, 1);
	}
	return NULL;
}

static void sha_block(uint32_t h[8], const unsigned char *data)
{
	uint32_t w[64], s[8];

	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t)data[4 * i] << 24 | data[4 * i + 1] << 16 |
		       data[4 * i + 2] << 8 | data[4 * i + 3];
	for (int i = 16; i < 64; i++)
		w[i] = w[i - 16] + w[i - 7] +
		       (rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^
			w[i - 15] >> 3) +
		       (rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^
			w[i - 2] >> 10);
	memcpy(s, h, sizeof(s));
	for (int i = 0; i < 64; i++) {
		uint32_t t1 = s[7] + sha_k[i] + w[i] +
			      (rotr(s[4], 6) ^ rotr(s[4], 11) ^
			       rotr(s[4], 25)) +
			      ((s[4] & s[5]) ^ (~s[4] & s[6]));
		uint32_t t2 = (rotr(s[0], 2) ^ rotr(s[0], 13) ^
			       rotr(s[0], 22)) +
			      ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));

		memmove(s + 1, s, 7 * sizeof(s[0]));
		s[4] += t1;
		s[0] = t1 + t2;
	}
	for (int i = 0; i < 8; i++)
		h[i] += s[i];
}

static void run_sha256(uint64_t n)
{
	/* "abc", padded; its digest starts with ba7816bf. */
	unsigned char block[64] = {'a', 'b', 'c', 0x80, [63] = 24};

	for (uint64_t i = 0; i < n; i++) {
		uint32_t h[8];

		memcpy(h, sha_start, sizeof(h));
		sha_block(h, block);
		if (h[0] != 0xba7816bf)
			die("sha256 starts with %08x", h[0]);
	}
}

enum { SORT_COUNT = 4096 };

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void run_qsort(uint64_t n)
{
	static uint32_t numbers[SORT_COUNT];

	for (uint64_t round = 0; round < n; round++) {
		uint32_t seed = 1;

		for (int i = 0; i < SORT_COUNT; i++)
			numbers[i] = next_random(&seed);
		qsort(numbers, SORT_COUNT, sizeof(numbers[0]), by_value);
		for (int i = 1; i < SORT_COUNT; i++)
			if (numbers[i - 1] > numbers[i])
				die("not sorted at %d", i);
	}
}

const struct row rows_compute[] = {
	{"alu", run_alu, NULL, NULL},
	{"fib", run_fib, NULL, NULL},
	{"interpreter", run_interpreter, NULL, NULL},
	{"sieve", run_sieve, NULL, NULL},
	{"sha256", run_sha256, prepare_sha, NULL},
	{"qsort", run_qsort, NULL, NULL},
	{NULL, NULL, NULL, NULL},
};
