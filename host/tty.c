/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw mode by termios(3). Output processing stays on, so that our own
 * messages keep their line ends.
 */
#include "host/tty.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/*
 * A background job may not touch its controlling terminal. One that is not
 * ours to be stopped by is free to use.
 */
static bool in_background(int fd)
{
	pid_t foreground = tcgetpgrp(fd);

	return foreground >= 0 && foreground != getpgrp();
}

static int tty_apply(struct tty *t)
{
	struct termios mode = t->saved;

	mode.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR |
				    IGNCR | ICRNL | IXON);
	mode.c_oflag |= OPOST;
	mode.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN);
	if (!t->keep_signals)
		mode.c_lflag &= ~(tcflag_t)ISIG;
	mode.c_cflag &= ~(tcflag_t)(CSIZE | PARENB);
	mode.c_cflag |= CS8;
	mode.c_cc[VMIN] = 1;
	mode.c_cc[VTIME] = 0;
	return tcsetattr(t->fd, TCSANOW, &mode) ? -errno : 0;
}

int tty_raw(struct tty *t, int fd, bool keep_signals, struct err *e)
{
	int ret;

	*t = (struct tty){.fd = fd, .keep_signals = keep_signals};
	if (tcgetattr(fd, &t->saved) || in_background(fd))
		return 0;
	t->raw = true;
	ret = tty_apply(t);
	if (!ret)
		return 0;
	t->raw = false;
	return err_set(e, ret, "cannot set the terminal to raw mode: %s",
		       strerror(-ret));
}

void tty_resume(struct tty *t)
{
	if (t->raw && !in_background(t->fd))
		tty_apply(t);
}

void tty_restore(struct tty *t)
{
	if (!t->raw)
		return;
	t->raw = false;
	tcsetattr(t->fd, TCSANOW, &t->saved);
}
