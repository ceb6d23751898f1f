/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parent stays until a byte comes through a pipe, so that who started it
 * hears of everything that goes wrong before the guest runs.
 */
#include "vmm/run/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/exitcode.h"

/* The child's status, if it ended before it was ready. */
static int wait_for(pid_t child, int fd)
{
	int status;
	ssize_t n;
	char byte;

	do {
		n = read(fd, &byte, 1);
	} while (n < 0 && errno == EINTR);
	if (n == 1)
		return EXITCODE_OK;
	if (waitpid(child, &status, 0) != child)
		return EXITCODE_START;
	return WIFEXITED(status) ? WEXITSTATUS(status)
				 : EXITCODE_SIGNAL + WTERMSIG(status);
}

int daemon_split(int *fd, int *status, struct err *e)
{
	int pipes[2];
	pid_t child;

	child = pipe2(pipes, O_CLOEXEC) ? -1 : fork();
	if (child < 0)
		return err_set(e, -errno, "-daemonize: cannot fork: %s",
			       strerror(errno));
	if (!child) {
		close(pipes[0]);
		setsid();
		*fd = pipes[1];
		return 0;
	}
	close(pipes[1]);
	*status = wait_for(child, pipes[0]);
	close(pipes[0]);
	return 1;
}

void daemon_ready(int fd)
{
	int null, i;

	if (fd < 0)
		return;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (i = 0; null >= 0 && i < 3; i++)
		dup2(null, i);
	if (null > 2)
		close(null);
	while (write(fd, "", 1) < 0 && errno == EINTR)
		;
	close(fd);
}

int pidfile_create(const char *path, struct err *e)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644), code;

	if (fd < 0) {
		code = -errno;
		return err_set(e, code, "-pidfile: cannot create %s: %s", path,
			       strerror(-code));
	}
	if (!fcntl(fd, F_SETLK, &lock) && !ftruncate(fd, 0) &&
	    dprintf(fd, "%d\n", (int)getpid()) > 0)
		return fd;
	code = errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
	close(fd);
	return err_set(e, code, "-pidfile: %s: %s", path,
		       code == -EBUSY ? "another process has it"
				      : strerror(-code));
}
