/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A storm of fork, exec and exit: several parents at once, each child's
 * status and the data it inherited checked. Private pages are written on both
 * sides of each fork, so a lost copy-on-write shows.
 */
#include "check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 60, PAGES = 16, PAGE = 4096 };

static int child_writes(unsigned char *pages, int round)
{
	for (int i = 0; i < PAGES; i++)
		if (pages[i * PAGE] != (unsigned char)(round + i))
			return 200;
	memset(pages, 0xee, PAGES * PAGE);
	return round & 63;
}

static int child_execs(int round)
{
	char arg[16];

	snprintf(arg, sizeof(arg), "%d", round & 63);
	execl("/proc/self/exe", "check", "answer", arg, NULL);
	return 201;
}

static int one_round(unsigned char *pages, int round)
{
	int status;
	pid_t pid;

	for (int i = 0; i < PAGES; i++)
		pages[i * PAGE] = round + i;
	pid = fork();
	if (pid < 0)
		FAIL("round %d: cannot fork", round);
	if (!pid)
		_exit(round & 1 ? child_execs(round)
				: child_writes(pages, round));
	for (int i = 0; i < PAGES; i++)
		pages[i * PAGE + 1] = round;
	if (waitpid(pid, &status, 0) != pid)
		FAIL("round %d: child lost", round);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != (round & 63))
		FAIL("round %d: child's status is %#x", round, status);
	for (int i = 0; i < PAGES; i++)
		if (pages[i * PAGE] != (unsigned char)(round + i) ||
		    pages[i * PAGE + 1] != (unsigned char)round)
			FAIL("round %d: child wrote the parent's page", round);
	return 0;
}

static int parent(void)
{
	unsigned char *pages = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		FAIL("no memory");
	for (int round = 0; round < ROUNDS; round++)
		if (one_round(pages, round))
			return 1;
	return 0;
}

int check_storm(void)
{
	int n = 2 * cpu_count(), bad = 0, status;

	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			FAIL("cannot fork parent %d", i);
		if (!pid)
			_exit(parent());
	}
	for (int i = 0; i < n; i++)
		bad += wait(&status) < 0 || status != 0;
	if (bad)
		FAIL("%d of %d parents failed", bad, n);
	printf("storm %d children\n", n * ROUNDS);
	return 0;
}
