/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A character port: where a machine's serial bytes go to and come from. Kinds:
 * this terminal (with or without Ctrl-A commands), a file, nothing.
 */
#ifndef HOST_CONSOLE_H
#define HOST_CONSOLE_H

#include "host/tty.h"
#include "lib/err.h"

struct console;
struct evloop;

/* What a person types after Ctrl-A. */
enum console_command {
	CONSOLE_QUIT,  /* x */
	CONSOLE_BREAK, /* b: a serial line break */
};

/* The port's user. Both run on the event loop's thread. */
struct console_user {
	/* Offer @n bytes; returns how many were taken. */
	size_t (*receive)(void *opaque, const uint8_t *buf, size_t n);
	void (*command)(void *opaque, enum console_command cmd);
	void *opaque;
};

/*
 * This terminal: reads @in and writes @out. @tty is put into raw mode when
 * @in is a terminal, and stays the caller's, to be restored on every way out.
 * With @mux, Ctrl-A starts a command.
 */
struct console *console_open_stdio(struct evloop *loop, struct tty *tty, int in,
				   int out, bool mux,
				   struct err *e) __must_check;

/* Output only, to a file that is created or truncated. */
struct console *console_open_file(const char *path, struct err *e) __must_check;

/* Output into nothing. */
struct console *console_open_null(struct err *e) __must_check;

/* Input goes to @user from now on; NULL holds it back. */
void console_attach(struct console *c, const struct console_user *user);

/* The user can take input again; any thread, any lock held. */
void console_room(struct console *c);

/*
 * Write all of @buf. A reader that is gone or a full disk loses output; it
 * never stops the machine.
 */
void console_write(struct console *c, const uint8_t *buf, size_t n);

/* While @on, writers that wait for a slow reader give up when interrupted. */
void console_hangup(struct console *c, bool on);

/* Ends callbacks and frees; the terminal stays raw until tty_restore(). */
void console_close(struct console *c);

#endif
