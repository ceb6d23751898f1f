/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A character port: where a machine's serial bytes and a monitor's words go
 * to and come from. Kinds: this terminal (with or without Ctrl-A commands),
 * a pseudo-terminal, a socket that listens or connects, a file, nothing.
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

enum console_event {
	CONSOLE_OPENED, /* somebody is there: a new connection */
	CONSOLE_CLOSED,
	CONSOLE_FOCUS,   /* Ctrl-A c: input goes to this user now */
	CONSOLE_RESIZED, /* console_size() is another one */
};

/* The port's user. All run on the event loop's thread. */
struct console_user {
	/* Offer @n bytes; returns how many were taken. */
	size_t (*receive)(void *opaque, const uint8_t *buf, size_t n);
	void (*command)(void *opaque, enum console_command cmd);
	void (*event)(void *opaque, enum console_event ev); /* may be NULL */
	void *opaque;
};

/* A port may have both; Ctrl-A c goes from one to the other. */
enum console_role { CONSOLE_PORT, CONSOLE_MONITOR, CONSOLE_ROLES };

/* A socket's other end, or its own when it listens. */
struct console_address {
	const char *path; /* AF_UNIX, NULL: TCP */
	const char *host; /* "" when listening: any */
	const char *port;
	int fd; /* instead of those: one that listens or is connected, or -1 */
	bool server;
	bool nodelay;
};

/*
 * This terminal: reads @in and writes @out. @tty is put into raw mode when
 * @in is a terminal, and stays the caller's, to be restored on every way out.
 * With @mux, Ctrl-A starts a command.
 */
struct console *console_open_stdio(struct evloop *loop, struct tty *tty, int in,
				   int out, bool mux,
				   struct err *e) __must_check;

/* A pseudo-terminal; its other side's name is console_peer(). */
struct console *console_open_pty(struct evloop *loop, bool mux,
				 struct err *e) __must_check;

/*
 * A stream socket. A server takes one connection after the other; a path is
 * removed before it listens there and in the end. What is written while there
 * is no connection is lost.
 */
struct console *console_open_socket(struct evloop *loop,
				    const struct console_address *a, bool mux,
				    struct err *e) __must_check;

/* Output only, to a file that is created, truncated or @append-ed to. */
struct console *console_open_file(const char *path, bool append,
				  struct err *e) __must_check;

/* Output into nothing. */
struct console *console_open_null(struct err *e) __must_check;

/* The pseudo-terminal's name, or the address that is listened at. */
const char *console_peer(const struct console *c);

/*
 * Sleep until somebody is connected, or @ms are over; true when connected.
 * What is no socket always is.
 */
bool console_await(struct console *c, unsigned ms);

/*
 * Input goes to @user from now on; NULL holds it back. On return no call of
 * the one before is under way, but for one that called this.
 */
void console_attach(struct console *c, enum console_role role,
		    const struct console_user *user);

/* Descriptors kept for console_take_fd(); more of one message are closed. */
#define CONSOLE_PASSED 16

/*
 * The first descriptor of the oldest message that had any, which is then the
 * caller's; the others of that message are closed. -1: there is none. Those
 * that nobody took by the time the next come, all bytes before which are
 * taken, or the connection ends, are closed. Within receive() only.
 */
int console_take_fd(struct console *c);

/* The user can take input again; any thread, any lock held. */
void console_room(struct console *c);

/*
 * Write all of @buf, or queue it for a reader that is slow; one that is very
 * slow is waited for. A reader that is gone or a full disk loses output; it
 * never stops the machine.
 */
void console_write(struct console *c, const uint8_t *buf, size_t n);

/*
 * Write all of @buf sooner or later, without waiting; any thread. A reader
 * that takes nothing is hung up on in the end.
 */
void console_queue(struct console *c, const void *buf, size_t n);
/* How many bytes are not written yet; console_room() follows the last one. */
size_t console_backlog(struct console *c);
/* Wait for them, but no longer than @ms; the loop may be gone. */
void console_drain(struct console *c, unsigned ms);

/*
 * Tell the port's user of CONSOLE_BREAK, as if somebody had typed it. The
 * loop's thread, outside of the port's own callbacks.
 */
void console_break(struct console *c);

/* The size of the terminal it is; false when it is none that has one. */
bool console_size(struct console *c, unsigned *cols, unsigned *rows);
/* SIGWINCH came: tells the users. The loop's thread. */
void console_resized(struct console *c);

/* While @on, writers that wait for a slow reader give up when interrupted. */
void console_hangup(struct console *c, bool on);

/* Drains, ends callbacks and frees; the terminal stays raw until tty_restore(). */
void console_close(struct console *c);
/* The same without draining. */
void console_abandon(struct console *c);

#endif
