/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In the guest: between a command's pipes, or its terminal, and the ports
 * that lead to the host.
 */
#ifndef VMM_ROOT_PUMP_H
#define VMM_ROOT_PUMP_H

#include <stdint.h>
#include <sys/types.h>

#define PUMP_CHUNK 65536

/* One way: from a descriptor to another. */
struct flow {
	int from, to; /* -1: ended */
	char buf[PUMP_CHUNK];
	size_t at, len; /* of buf: not written yet */
	uint64_t moved;
};

struct pump {
	int in, out, err, control; /* the ports */
	int terminal;              /* the pty's master, -1: pipes */
	int child_in, child_out, child_err;
	int signals; /* signalfd */
	pid_t child;
	int status; /* of the child, -1: it runs */
	struct flow flow[3];
};

/* Pipes, or a terminal of that size. 0 or -1 with errno. */
int pump_open(struct pump *p, const char *size);

/* In the child: its input and output are 0, 1 and 2 from now on. */
void pump_become_child(struct pump *p);

/* Until the child and all it has written are gone; then tells the host. */
void pump_run(struct pump *p);

#endif
