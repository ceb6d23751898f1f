/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Character ports and monitors an operator asked for: -chardev, -mon, and
 * the short forms behind -serial, -monitor and -qmp. Names and grammar are
 * QEMU's.
 */
#ifndef VMM_RUN_CHARCONF_H
#define VMM_RUN_CHARCONF_H

#include "lib/err.h"

#define CHARCONF_MAX  16
#define CHARCONF_NAME 64
#define CHARCONF_PATH 256

enum charconf_kind {
	CHARCONF_STDIO,
	CHARCONF_NULL,
	CHARCONF_FILE,
	CHARCONF_PTY,
	CHARCONF_SOCKET,
};

struct charconf_port {
	char id[CHARCONF_NAME];
	enum charconf_kind kind;
	char path[CHARCONF_PATH]; /* file, AF_UNIX; "": TCP */
	char host[CHARCONF_NAME];
	char port[32];
	char fd[12]; /* of a socket that is open already, "": none */
	bool server;
	bool wait; /* a server: no machine before somebody came */
	bool nodelay;
	bool mux;           /* Ctrl-A commands, and a monitor beside a port */
	bool append;        /* file */
	bool signal;        /* stdio: Ctrl-C interrupts */
	char reconnect[12]; /* seconds; a lent socket's only */
	char reconnect_ms[12];
	bool has_port, has_monitor;
	bool lent; /* its socket is another's to open */
};

struct charconf_monitor {
	char chardev[CHARCONF_NAME];
	bool control; /* QMP, else for people */
	bool pretty;
};

struct charconf {
	unsigned ports;
	unsigned monitors;
	struct charconf_port port[CHARCONF_MAX];
	struct charconf_monitor monitor[CHARCONF_MAX];
};

/* Each takes an option's value. 0, -errno, or 1 after help was printed. */
int charconf_chardev(struct charconf *c, const char *arg, struct err *e);
int charconf_mon(struct charconf *c, const char *arg, struct err *e);
/* -monitor, -qmp, -qmp-pretty */
int charconf_monitor(struct charconf *c, const char *arg, bool control,
		     bool pretty, struct err *e);

/*
 * A short form, like "unix:PATH,server=on", as a port called @id. Returns its
 * name in @name, "" for none, or that of "chardev:NAME". With "mon:" before
 * it, there is a monitor as well.
 */
int charconf_short(struct charconf *c, const char *arg, const char *id,
		   char *name, struct err *e);

/* What a kind is called; NULL behind the last. */
const char *charconf_kind_name(unsigned kind);

/*
 * The @i-th key of -chardev, whatever kind it is for, and whether it is on or
 * off; NULL behind the last.
 */
const char *charconf_key(unsigned i, bool *is_bool);

/* The number of the port of that name, or -ENOENT. */
int charconf_find(const struct charconf *c, const char *id);

/* Nobody uses any port, to check anew who does. */
void charconf_release(struct charconf *c);
/* A port of a device, -@option, is to be at @name, if that is not "". */
int charconf_use(struct charconf *c, const char *option, const char *name,
		 struct err *e);
/* After all of those: monitors have what they name, the terminal one user. */
int charconf_check(struct charconf *c, struct err *e);

/*
 * The socket of port @id is opened by somebody else, who speaks a protocol of
 * his own on it. NULL when there is none, it has a user, or is no AF_UNIX one.
 */
const struct charconf_port *charconf_lend(struct charconf *c, const char *id,
					  struct err *e);
/* All are lent that are to be: do others ask for what only those have? */
int charconf_check_lent(const struct charconf *c, struct err *e);

#endif
