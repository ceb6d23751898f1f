/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One loop over poll(2). A flow holds at most one piece, so a slow end slows
 * the other down.
 */
#include "vmm/root/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FLOW_IN, FLOW_OUT, FLOW_ERR, FLOWS };

static void nonblock(int fd)
{
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static void set_size(int fd, const char *size)
{
	struct winsize w = {0};

	if (sscanf(size, "%hu %hu", &w.ws_row, &w.ws_col) == 2)
		ioctl(fd, TIOCSWINSZ, &w);
}

/* ---- before the command ---- */

static int open_terminal(struct pump *p, const char *size)
{
	p->terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (p->terminal < 0 || grantpt(p->terminal) || unlockpt(p->terminal))
		return -1;
	p->child_in = open(ptsname(p->terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (p->child_in < 0)
		return -1;
	set_size(p->terminal, size);
	p->child_out = p->child_err = p->child_in;
	p->flow[FLOW_IN].to = p->flow[FLOW_OUT].from = p->terminal;
	p->flow[FLOW_ERR].from = -1;
	nonblock(p->terminal);
	return 0;
}

static int open_pipes(struct pump *p)
{
	int in[2], out[2], err[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) ||
	    pipe2(err, O_CLOEXEC))
		return -1;
	p->terminal = -1;
	p->child_in = in[0];
	p->flow[FLOW_IN].to = in[1];
	p->child_out = out[1];
	p->flow[FLOW_OUT].from = out[0];
	p->child_err = err[1];
	p->flow[FLOW_ERR].from = err[0];
	nonblock(in[1]);
	nonblock(out[0]);
	nonblock(err[0]);
	return 0;
}

int pump_open(struct pump *p, const char *size)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	p->status = -1;
	p->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	p->flow[FLOW_IN].from = p->in;
	p->flow[FLOW_OUT].to = p->out;
	p->flow[FLOW_ERR].to = p->err;
	if (p->signals < 0)
		return -1;
	return size[0] ? open_terminal(p, size) : open_pipes(p);
}

void pump_become_child(struct pump *p)
{
	signal(SIGPIPE, SIG_DFL);
	setsid();
	if (p->terminal >= 0)
		ioctl(p->child_in, TIOCSCTTY, 0);
	if (dup2(p->child_in, 0) < 0 || dup2(p->child_out, 1) < 0 ||
	    dup2(p->child_err, 2) < 0)
		_exit(126);
}

/* ---- the flows ---- */

/* The other side sees that there is nothing more, or nobody reads. */
static void end(struct pump *p, struct flow *f)
{
	if (f == &p->flow[FLOW_IN] && f->to >= 0 && p->terminal < 0)
		close(f->to);
	if (f != &p->flow[FLOW_IN] && f->from >= 0 && p->terminal < 0)
		close(f->from);
	f->from = f->to = -1;
	f->len = 0;
}

static void take(struct pump *p, struct flow *f)
{
	ssize_t n = read(f->from, f->buf, sizeof(f->buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* A terminal whose last user is gone reads as EIO. */
	if (n <= 0) {
		end(p, f);
		return;
	}
	f->at = 0;
	f->len = (size_t)n;
}

static void give(struct pump *p, struct flow *f)
{
	ssize_t n = write(f->to, f->buf + f->at, f->len);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		end(p, f);
		return;
	}
	f->at += (size_t)n;
	f->len -= (size_t)n;
	f->moved += (uint64_t)n;
}

/* What a flow waits for. A port without a reader is POLLHUP all the time. */
static struct pollfd wish(const struct flow *f)
{
	if (f->from < 0)
		return (struct pollfd){-1, 0, 0};
	if (f->len)
		return (struct pollfd){f->to, POLLOUT, 0};
	return (struct pollfd){f->from, POLLIN, 0};
}

static void serve(struct pump *p, struct flow *f, const struct pollfd *seen)
{
	if (!seen->revents || f->from < 0)
		return;
	if (!f->len)
		take(p, f);
	else if (seen->revents & POLLOUT)
		give(p, f);
	else
		end(p, f);
}

/* ---- the host, and the child ---- */

static void obey(struct pump *p, char *line)
{
	pid_t group = -1;

	if (!strncmp(line, "size ", 5) && p->terminal >= 0) {
		set_size(p->terminal, line + 5);
	} else if (!strncmp(line, "signal ", 7)) {
		/* A shell on a terminal has its job in front. */
		if (p->terminal >= 0)
			group = tcgetpgrp(p->terminal);
		if (p->status < 0)
			kill(group > 0 ? -group : -p->child, atoi(line + 7));
	}
}

static void listen_to_host(struct pump *p)
{
	char buf[256], *line, *save;
	ssize_t n = read(p->control, buf, sizeof(buf) - 1);

	if (n <= 0)
		return;
	buf[n] = '\0';
	for (line = strtok_r(buf, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		obey(p, line);
}

static void reap(struct pump *p)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	while (read(p->signals, &info, sizeof(info)) > 0)
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == p->child)
			p->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status)
							: WEXITSTATUS(status);
}

/* What was left in a pipe when the child ended is still to come. */
static bool empty(const struct flow *f)
{
	struct pollfd p = {f->from, POLLIN, 0};

	return f->from < 0 || (!f->len && poll(&p, 1, 0) <= 0);
}

static bool finished(const struct pump *p)
{
	return p->status >= 0 && empty(&p->flow[FLOW_OUT]) &&
	       empty(&p->flow[FLOW_ERR]);
}

static void report(struct pump *p)
{
	char text[96];
	struct pollfd out = {p->control, POLLOUT, 0};
	int n = snprintf(text, sizeof(text), "exit %d %llu %llu\n", p->status,
			 (unsigned long long)p->flow[FLOW_OUT].moved,
			 (unsigned long long)p->flow[FLOW_ERR].moved);

	while (write(p->control, text, (size_t)n) < 0 &&
	       (errno == EAGAIN || errno == EINTR))
		poll(&out, 1, 1000);
}

void pump_run(struct pump *p)
{
	struct pollfd set[FLOWS + 2];
	unsigned i;

	close(p->child_in);
	if (p->terminal < 0) {
		close(p->child_out);
		close(p->child_err);
	}
	dprintf(p->control, "ready\n");
	while (!finished(p)) {
		for (i = 0; i < FLOWS; i++)
			set[i] = wish(&p->flow[i]);
		set[FLOWS] = (struct pollfd){p->signals, POLLIN, 0};
		set[FLOWS + 1] = (struct pollfd){p->control, POLLIN, 0};
		if (poll(set, FLOWS + 2, -1) < 0)
			continue;
		for (i = 0; i < FLOWS; i++)
			serve(p, &p->flow[i], &set[i]);
		if (set[FLOWS].revents)
			reap(p);
		if (set[FLOWS + 1].revents)
			listen_to_host(p);
	}
	report(p);
}
