/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Register files under context switches: more processes than CPUs, each with
 * its own pattern in the x87 stack, MXCSR and the widest vector registers the
 * CPU offers, looking after every yield whether it is still there.
 */
#include "check.h"

#include <string.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct regs {
	double x87[8];
	uint32_t mxcsr;
	uint8_t vec[32][64] __attribute__((aligned(64)));
	uint64_t mask[8];
};

/*
 * The yields in between: far enough apart to be preempted too. The system
 * call leaves rcx and r11 spoiled, nothing else.
 */
#define YIELDS                                    \
	"mov $20, %%ebx\n\t"                      \
	"1: mov $24, %%eax\n\t" /* sched_yield */ \
	"syscall\n\t"                             \
	"mov $2000, %%ecx\n\t"                    \
	"2: dec %%ecx\n\tjnz 2b\n\t"              \
	"dec %%ebx\n\tjnz 1b\n\t"

#define LOAD(op, reg, i)  op " " #i "*64+%c[vec](%[in]), %%" reg #i "\n\t"
#define STORE(op, reg, i) op " %%" reg #i ", " #i "*64+%c[vec](%[out])\n\t"
#define EIGHT(m, op, reg, a, b, c, d, e, f, g, h)                             \
	m(op, reg, a) m(op, reg, b) m(op, reg, c) m(op, reg, d) m(op, reg, e) \
		m(op, reg, f) m(op, reg, g) m(op, reg, h)
#define LOW(m, op, reg)                           \
	EIGHT(m, op, reg, 0, 1, 2, 3, 4, 5, 6, 7) \
	EIGHT(m, op, reg, 8, 9, 10, 11, 12, 13, 14, 15)
#define HIGH(m, op, reg)                                  \
	EIGHT(m, op, reg, 16, 17, 18, 19, 20, 21, 22, 23) \
	EIGHT(m, op, reg, 24, 25, 26, 27, 28, 29, 30, 31)
#define FLD(i)    "fldl " #i "*8+%c[x87](%[in])\n\t"
#define FSTP(i)   "fstpl " #i "*8+%c[x87](%[out])\n\t"
#define KLOAD(i)  "kmovq " #i "*8+%c[mask](%[in]), %%k" #i "\n\t"
#define KSTORE(i) "kmovq %%k" #i ", " #i "*8+%c[mask](%[out])\n\t"
#define X87_IN \
	"fninit\n\t" FLD(7) FLD(6) FLD(5) FLD(4) FLD(3) FLD(2) FLD(1) FLD(0)
#define X87_OUT  FSTP(0) FSTP(1) FSTP(2) FSTP(3) FSTP(4) FSTP(5) FSTP(6) FSTP(7)
#define ALL_K(m) m(1) m(2) m(3) m(4) m(5) m(6) m(7)

#define PASS(in_vec, out_vec)                                                  \
	__asm__ volatile(X87_IN                                                \
			 "ldmxcsr %c[mxcsr](%[in])\n\t" in_vec YIELDS out_vec  \
			 "stmxcsr %c[mxcsr](%[out])\n\t" X87_OUT               \
			 :                                                     \
			 : [in] "r"(in), [out] "r"(out),                       \
			   [vec] "i"(__builtin_offsetof(struct regs, vec)),    \
			   [x87] "i"(__builtin_offsetof(struct regs, x87)),    \
			   [mask] "i"(__builtin_offsetof(struct regs, mask)),  \
			   [mxcsr] "i"(__builtin_offsetof(struct regs, mxcsr)) \
			 : "rax", "rbx", "rcx", "r11", "memory", "cc", "xmm0", \
			   "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",     \
			   "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",  \
			   "xmm13", "xmm14", "xmm15", "st", "st(1)", "st(2)",  \
			   "st(3)", "st(4)", "st(5)", "st(6)", "st(7)")

static void pass_sse(const struct regs *in, struct regs *out)
{
	PASS(LOW(LOAD, "movups", "xmm"), LOW(STORE, "movups", "xmm"));
}

static void pass_avx(const struct regs *in, struct regs *out)
{
	PASS(LOW(LOAD, "vmovups", "ymm"),
	     LOW(STORE, "vmovups", "ymm") "vzeroupper\n\t");
}

__attribute__((target("avx512bw"))) static void
pass_avx512(const struct regs *in, struct regs *out)
{
	PASS(LOW(LOAD, "vmovups", "zmm") HIGH(LOAD, "vmovups", "zmm")
		     ALL_K(KLOAD),
	     LOW(STORE, "vmovups", "zmm") HIGH(STORE, "vmovups", "zmm")
		     ALL_K(KSTORE) "vzeroupper\n\t");
}

static const struct {
	const char *name;
	void (*pass)(const struct regs *, struct regs *);
	int registers;
	int bytes;
	int masks;
} widths[] = {
	{"sse", pass_sse, 16, 16, 0},
	{"avx", pass_avx, 16, 32, 0},
	{"avx512", pass_avx512, 32, 64, 8},
};

static int width(void)
{
	if (__builtin_cpu_supports("avx512bw"))
		return 2;
	return __builtin_cpu_supports("avx") ? 1 : 0;
}

static void fill(struct regs *r, int w, unsigned int seed)
{
	memset(r, 0, sizeof(*r));
	for (int i = 0; i < 8; i++)
		r->x87[i] = seed * 1000.0 + i + 0.5;
	/* Exceptions stay masked, rounding and flush differ by process. */
	r->mxcsr = 0x1f80 | (seed & 3) << 13 | (seed & 4 ? 0x8000 : 0);
	for (int i = 0; i < widths[w].registers; i++)
		for (int j = 0; j < widths[w].bytes; j++)
			r->vec[i][j] = seed * 37 + i * 5 + j;
	for (int i = 1; i < widths[w].masks; i++)
		r->mask[i] = seed * 0x123456789abull + i;
}

static int one_process(int w, unsigned int seed)
{
	static struct regs in, out;
	int64_t end = now_ns() + 1500000000;
	int passes = 0;

	fill(&in, w, seed);
	while (now_ns() < end) {
		memset(&out, 0, sizeof(out));
		widths[w].pass(&in, &out);
		passes++;
		if (memcmp(&in, &out, sizeof(in))) {
			for (size_t i = 0; i < sizeof(in); i++)
				if (((char *)&in)[i] != ((char *)&out)[i])
					FAIL("process %u pass %d: byte %zu of "
					     "the register image changed",
					     seed, passes, i);
		}
	}
	return 0;
}

int check_fpu(void)
{
	int n = 2 * cpu_count() + 2, w = width(), bad = 0, status;

	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			FAIL("cannot fork process %d", i);
		if (!pid)
			_exit(one_process(w, i + 1));
	}
	for (int i = 0; i < n; i++)
		bad += wait(&status) < 0 || status != 0;
	if (bad)
		FAIL("%d of %d processes saw foreign registers", bad, n);
	printf("fpu %s in %d processes\n", widths[w].name, n);
	return 0;
}
