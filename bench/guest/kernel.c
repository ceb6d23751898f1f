/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process asks of its kernel: calls, pipes, processes, page faults,
 * mappings, files in memory.
 */
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void run_syscall(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		sink = syscall(SYS_getppid);
}

static int ping[2], pong[2];
static pid_t partner;

static const char *prepare_pipe(void)
{
	char byte;

	if (pipe(ping) || pipe(pong))
		return "no pipes";
	fflush(stdout);
	partner = fork();
	if (partner < 0)
		return "cannot fork";
	if (partner)
		return NULL;
	close(ping[1]);
	while (read(ping[0], &byte, 1) == 1)
		if (write(pong[1], &byte, 1) != 1)
			_exit(1);
	_exit(0);
}

static void run_pipe(uint64_t n)
{
	char byte = 'x';

	for (uint64_t i = 0; i < n; i++)
		if (write(ping[1], &byte, 1) != 1 ||
		    read(pong[0], &byte, 1) != 1)
			die("the pipe's partner is gone");
}

static void cleanup_pipe(void)
{
	close(ping[0]);
	close(ping[1]);
	close(pong[0]);
	close(pong[1]);
	waitpid(partner, NULL, 0);
}

static void reap(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		die("a child went wrong");
}

static const char *prepare_fork(void)
{
	fflush(stdout);
	return NULL;
}

static void run_fork(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		reap(pid);
	}
}

static void run_exec(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		pid_t pid = fork();

		if (!pid) {
			execl("/proc/self/exe", "bench", "--nothing", NULL);
			_exit(1);
		}
		reap(pid);
	}
}

enum { PAGE = 4096, AREA = 256 };

/* First touches of anonymous pages, the area given back in between. */
static void run_fault(uint64_t n)
{
	char *p = mmap(NULL, AREA * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("no memory");
	madvise(p, AREA * PAGE, MADV_NOHUGEPAGE);
	for (uint64_t i = 0; i < n; i++) {
		if (i % AREA == 0)
			madvise(p, AREA * PAGE, MADV_DONTNEED);
		p[i % AREA * PAGE] = 1;
	}
	munmap(p, AREA * PAGE);
}

static void run_mmap(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		char *p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			die("no memory");
		p[0] = 1;
		munmap(p, 16 * PAGE);
	}
}

enum { FILE_SIZE = 1 << 20, CHUNK = 4096 };

static int file;
static char chunk[CHUNK];

/* /tmp is tmpfs in the guest; a memfd is the same code everywhere. */
static const char *prepare_file(void)
{
	file = memfd_create("bench", 0);
	if (file < 0)
		return "no memfd";
	for (int i = 0; i < FILE_SIZE / CHUNK; i++)
		if (write(file, chunk, CHUNK) != CHUNK)
			return "no space";
	return NULL;
}

static void cleanup_file(void)
{
	close(file);
}

static void run_read(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		if (pread(file, chunk, CHUNK, i * CHUNK % FILE_SIZE) != CHUNK)
			die("short read");
}

static void run_write(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		if (pwrite(file, chunk, CHUNK, i * CHUNK % FILE_SIZE) != CHUNK)
			die("short write");
}

const struct row rows_kernel[] = {
	{"syscall", run_syscall, NULL, NULL},
	{"pipe", run_pipe, prepare_pipe, cleanup_pipe},
	{"fork_exit", run_fork, prepare_fork, NULL},
	{"fork_exec", run_exec, prepare_fork, NULL},
	{"page_fault", run_fault, NULL, NULL},
	{"mmap_munmap", run_mmap, NULL, NULL},
	{"tmpfs_read", run_read, prepare_file, cleanup_file},
	{"tmpfs_write", run_write, prepare_file, cleanup_file},
	{NULL, NULL, NULL, NULL},
};
