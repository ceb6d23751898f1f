/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A port that leads to file descriptors as programs have them: what is read
 * ends, and who reads may leave. Either shows to the guest as nobody being
 * there any more.
 */
#ifndef HOST_PIPEPORT_H
#define HOST_PIPEPORT_H

#include "host/port.h"

struct pipeport;

/*
 * Read @in and write @out; -1: there is no such side. Both stay the caller's.
 * With @leave, @in is a terminal where Ctrl-A x calls it, on a thread of the
 * port's, whatever the guest does; Ctrl-A Ctrl-A is one of it. NULL with a
 * sentence on failure.
 */
struct pipeport *pipeport_open(int in, int out, void (*leave)(void *opaque),
			       void *opaque, struct err *e) __must_check;
void pipeport_close(struct pipeport *p);

struct port_end *pipeport_end(struct pipeport *p);

/* Sleep until @bytes were written, or cannot be any more. */
void pipeport_drain(struct pipeport *p, uint64_t bytes);

#endif
