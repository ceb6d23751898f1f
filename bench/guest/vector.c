/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floating point and SIMD: a matrix product in scalar and SSE2 double, an
 * AVX2 kernel on integers and one with fused multiply-add.
 */
#include "bench.h"

#include <immintrin.h>
#include <math.h>

enum { SIZE = 64, COUNT = 4096 };

static double a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];

static const char *prepare_matrix(void)
{
	for (int i = 0; i < SIZE; i++)
		for (int j = 0; j < SIZE; j++) {
			a[i][j] = i + j / 8.0;
			b[i][j] = i == j ? 2.0 : 0.0;
		}
	return NULL;
}

static void run_matrix(uint64_t n)
{
	for (uint64_t round = 0; round < n; round++) {
		for (int i = 0; i < SIZE; i++)
			for (int j = 0; j < SIZE; j++) {
				double sum = 0;

				for (int k = 0; k < SIZE; k++)
					sum += a[i][k] * b[k][j];
				c[i][j] = sum;
			}
		if (c[SIZE - 1][1] != 2 * a[SIZE - 1][1])
			die("the matrix product is wrong");
	}
}

/* Newton's square root and a polynomial: divisions, scalar, dependent. */
static void run_double(uint64_t n)
{
	double x = 2.0, sum = 0;

	for (uint64_t i = 0; i < n; i++) {
		double r = x * 0.5;

		for (int k = 0; k < 4; k++)
			r = 0.5 * (r + x / r);
		sum += r * (1.0 + r * (0.5 - r * 0.125));
		x = x < 100.0 ? x + 1.0 : 2.0;
	}
	if (!isfinite(sum) || (n && sum == 0))
		die("the double row lost its sum");
	sink = (uint64_t)sum;
}

static const char *prepare_avx2(void)
{
	return __builtin_cpu_supports("avx2") ? NULL : "no AVX2";
}

static const char *prepare_fma(void)
{
	return __builtin_cpu_supports("fma") ? NULL : "no FMA";
}

static uint8_t bytes[COUNT] __attribute__((aligned(64)));

/* Absolute differences, shuffles and a masked sum over 4 KiB of bytes. */
__attribute__((target("avx2"))) static void run_avx2(uint64_t n)
{
	const __m256i key = _mm256_set1_epi8(0x3c);
	__m256i total = _mm256_setzero_si256();
	__m256i zero = _mm256_setzero_si256();

	for (int i = 0; i < COUNT; i++)
		bytes[i] = i * 7;
	for (uint64_t round = 0; round < n; round++)
		for (int i = 0; i < COUNT; i += 32) {
			__m256i v = _mm256_load_si256((__m256i *)(bytes + i));
			__m256i m = _mm256_cmpgt_epi8(v, key);

			v = _mm256_shuffle_epi8(v, _mm256_xor_si256(v, m));
			v = _mm256_max_epu8(v, _mm256_and_si256(m, key));
			total = _mm256_add_epi64(total,
						 _mm256_sad_epu8(v, zero));
		}
	sink = _mm256_extract_epi64(total, 0) + _mm256_extract_epi64(total, 3);
}

__attribute__((target("avx2,fma"))) static void run_fma(uint64_t n)
{
	__m256d x = _mm256_set1_pd(1.0), y = _mm256_set1_pd(0.5);
	__m256d k = _mm256_set1_pd(0.999), d = _mm256_set1_pd(1e-3);

	for (uint64_t i = 0; i < n; i++) {
		x = _mm256_fmadd_pd(x, k, d);
		y = _mm256_fmadd_pd(y, x, d);
		x = _mm256_min_pd(x, _mm256_add_pd(y, k));
		y = _mm256_mul_pd(y, k);
	}
	sink = (uint64_t)_mm256_cvtsd_f64(_mm256_add_pd(x, y));
}

const struct row rows_vector[] = {
	{"matrix", run_matrix, prepare_matrix, NULL},
	{"double", run_double, NULL, NULL},
	{"avx2", run_avx2, prepare_avx2, NULL},
	{"fma", run_fma, prepare_fma, NULL},
	{NULL, NULL, NULL, NULL},
};
