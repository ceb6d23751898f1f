/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between console.c, conout.c and consock.c: what a port is made of.
 */
#ifndef HOST_CONSOLEPRIV_H
#define HOST_CONSOLEPRIV_H

#include <pthread.h>
#include <sys/types.h>

#include "host/console.h"
#include "host/evloop.h"

/* Input held back for a user that is slow or not there yet. */
struct console_input {
	const struct console_user *user; /* under console->lock */
	bool told;                       /* of the connection; the same */
	uint8_t *queue;                  /* the loop's thread only, as below */
	size_t head;                     /* first byte not yet taken */
	size_t used;
};

/* Descriptors that came with bytes, until somebody asks for them. */
struct console_passed {
	int fd[CONSOLE_PASSED];
	unsigned message[CONSOLE_PASSED]; /* each one's */
	unsigned n;
	unsigned messages; /* so far */
};

struct console {
	struct evloop *loop; /* NULL: no input */
	bool own_fds;        /* to be closed */
	bool mux;
	bool escaped;                 /* Ctrl-A was the last byte */
	bool hung_up;                 /* atomic; see console_hangup() */
	enum console_role to;         /* whose input it is: the loop's thread */
	unsigned commands;            /* bits of enum console_command */
	int room;                     /* eventfd, -1 without input */
	int in;                       /* -1: no input now; the loop's thread */
	bool eof;                     /* nothing more comes from it */
	bool passes;                  /* ... and descriptors may */
	struct console_passed passed; /* the loop's thread */
	struct evloop_watch *in_watch;
	struct evloop_watch *room_watch;
	struct console_input input[CONSOLE_ROLES];
	pthread_mutex_t lock; /* users, and: */
	pthread_cond_t cond;
	const struct console_user *calling; /* whose callback runs */
	bool connected;
	/* ---- output, under out_lock ---- */
	pthread_mutex_t out_lock;
	int out; /* -1: output is dropped */
	struct evloop_watch *out_watch;
	uint8_t *backlog;
	size_t waiting, room_size; /* bytes in it, bytes there */
	/* ---- sockets ---- */
	int listener; /* -1: none */
	struct evloop_watch *listen_watch;
	int slave; /* a pseudo-terminal's other side, -1 */
	bool nodelay;
	char peer[128];
	char path[108]; /* to be removed in the end, or "" */
};

/* ---- console.c ---- */
struct console *console_new(int out, bool own_fds, struct err *e) __must_check;
/* Queues and the watch that fills users; 0 or -errno. */
int console_init_input(struct console *c, struct evloop *loop) __must_check;
/* Input and output are @fd from now on; the loop's thread, or before it. */
int console_connect(struct console *c, int fd) __must_check;

/* ---- consock.c ---- */
/* The connection is gone: be ready for the next. */
void consock_again(struct console *c);
/* @fd is read from now on: can descriptors be passed on it? */
void consock_begin(struct console *c, int fd);
/* read(2), for descriptors as well. */
ssize_t consock_read(struct console *c, void *buf, size_t n);
/* Close those that nobody asked for. */
void consock_drop_passed(struct console *c);

/* ---- conout.c ---- */
/* Output goes to @fd; @loop may be NULL: nobody queues. 0 or -ENOMEM. */
int conout_open(struct console *c, int fd) __must_check;
/* Output is dropped from now on. */
void conout_close(struct console *c);

#endif
