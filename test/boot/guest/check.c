/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check NAME: runs one check inside a booted guest; the exit status is the
 * verdict. Everything here also passes when run on real silicon.
 */
#include "check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <time.h>
#include <unistd.h>

int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int cpu_count(void)
{
	return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

/* Prints what the kernel sees; the host compares it with what it asked for. */
int check_cpuinfo(void)
{
	char line[4096];
	int n = 0;
	FILE *f = fopen("/proc/cpuinfo", "r");

	if (!f)
		FAIL("no /proc/cpuinfo");
	while (fgets(line, sizeof(line), f)) {
		n += !strncmp(line, "processor", 9);
		if (n == 1 && line[0] != '\n')
			fputs(line, stdout);
	}
	fclose(f);
	printf("cpus %d online %d\n", n, cpu_count());
	printf("memory %ld KiB\n",
	       sysconf(_SC_PHYS_PAGES) * (sysconf(_SC_PAGESIZE) / 1024));
	return n == cpu_count() ? 0 : 1;
}

/* The value that isa-debug-exit makes into exit status 85. */
static int check_debug_exit(void)
{
	enum { PORT = 0x501 };

	if (ioperm(PORT, 1, 1))
		FAIL("no ioperm");
	outb(42, PORT);
	FAIL("the guest still runs");
}

static const struct {
	const char *name;
	int (*run)(void);
} checks[] = {
	{"cpuinfo", check_cpuinfo},   {"storm", check_storm},
	{"signal", check_signal},     {"ptrace", check_ptrace},
	{"fpu", check_fpu},           {"clock", check_clock},
	{"drift", check_drift},       {"debug-exit", check_debug_exit},
	{"topology", check_topology}, {"blkrandom", check_blkrandom},
	{"blktick", check_blktick},
};

int main(int argc, char **argv)
{
	/* What the storm executes: answers its own argument. */
	if (argc == 3 && !strcmp(argv[1], "answer"))
		return atoi(argv[2]);
	if ((argc == 4 || argc == 5) && !strcmp(argv[1], "feature"))
		return check_feature(argv[2], argv[3], argv[4]);
	if (argc == 5 && !strcmp(argv[1], "send"))
		return check_send(argv[2], argv[3], argv[4]);
	if (argc == 3 && !strcmp(argv[1], "code"))
		return check_code(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "receive"))
		return check_receive(argv[2], argv[3]);
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (argc == 2 && !strcmp(argv[1], checks[i].name))
			return checks[i].run();
	fprintf(stderr, "check: one of:");
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		fprintf(stderr, " %s", checks[i].name);
	fprintf(stderr, "\n");
	return 2;
}
