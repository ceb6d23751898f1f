/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests of arbitrary input share: a kept corpus is run first, then what
 * random changes make of it. A target is one function of bytes, so that an
 * engine which watches coverage can drive it as well (tools/fuzz).
 */
#ifndef LIB_FUZZ_H
#define LIB_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#define FUZZ_MAX 1024 /* bytes of an input */

struct fuzz_target {
	/*
	 * What follows from the input at hand, as the functions below give it
	 * away. Faults are for assertions and sanitizers to see.
	 */
	void (*one)(void);
	/* Before the first; may be NULL. And after the last. */
	void (*begin)(void);
	void (*end)(void);
};

/*
 * TARGET [SECONDS [SEED [CORPUS]]]: one round for each line of CORPUS, an
 * input in hexadecimal, then as many as there is time for; each follows from
 * its own seed and CORPUS, and is told of by that seed if the process dies.
 */
int fuzz_main(const struct fuzz_target *t, int argc, char **argv);

/* The next @n bytes of the input, up to 4; behind its end, of its hash. */
uint32_t fuzz_bytes(unsigned n);
/* A choice of @n, from as few bytes. */
uint32_t fuzz_below(uint32_t n);
/* The bytes that are left, which are then taken. */
const uint8_t *fuzz_rest(size_t *size);
/* Spare the input until fuzz_resume() of what this returns. */
size_t fuzz_pause(void);
void fuzz_resume(size_t left);

/* One round. */
void fuzz_one(const struct fuzz_target *t, const uint8_t *data, size_t size);

#ifdef FUZZ_ENGINE
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);
#define FUZZ_TARGET(t)                                               \
	int LLVMFuzzerInitialize(int *argc, char ***argv)            \
	{                                                            \
		if ((t).begin)                                       \
			(t).begin();                                 \
		return 0;                                            \
	}                                                            \
	int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) \
	{                                                            \
		fuzz_one(&(t), data, size);                          \
		return 0;                                            \
	}
#else
#define FUZZ_TARGET(t)                              \
	int main(int argc, char **argv)             \
	{                                           \
		return fuzz_main(&(t), argc, argv); \
	}
#endif

#endif
