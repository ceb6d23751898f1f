/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What answers a guest's write without an exit besides the interrupt chips:
 * ioeventfds and coalesced zones, on the port bus and the memory bus.
 */
#ifndef KVM_BUS_H
#define KVM_BUS_H

#include <pthread.h>
#include <stdio.h>

#include "lib/util.h"

struct vm;
struct irqfd;

struct bus_event {
	uint64_t addr;
	uint32_t len; /* 0: any */
	bool pio;
	bool match;
	uint64_t value;  /* compared when match is set */
	uint64_t object; /* identity of the eventfd */
	int fd;          /* our duplicate */
};

struct bus_zone {
	uint64_t addr;
	uint64_t size;
	bool pio;
};

struct bus {
	pthread_rwlock_t lock;
	struct bus_event *events;
	uint32_t nevents;
	struct bus_zone *zones;
	uint32_t nzones;
	pthread_mutex_t ring_lock;
	/* irqfd.c */
	pthread_mutex_t irqfd_lock;
	pthread_t irqfd_thread;
	bool irqfd_started;
	int epoll_fd;
	int stop[2]; /* pipe: closing its end stops the thread */
	uint64_t irqfd_next;
	uint32_t nresample; /* irqfds with a resample eventfd */
	struct irqfd *irqfds;
};

static inline bool bus_event_hit(const struct bus_event *e, bool pio,
				 uint64_t addr, uint64_t val, unsigned int len)
{
	if (e->addr != addr || e->pio != pio)
		return false;
	return !e->len || (e->len == len && (!e->match || e->value == val));
}

void bus_init(struct bus *bus);
void bus_destroy(struct vm *vm);

/* A guest's write. True when it needs no exit. */
bool bus_serve_write(struct vm *vm, bool pio, uint64_t addr, const void *data,
		     unsigned int len);

/* irqfd.c: stop the thread and forget every irqfd. */
void irqfd_destroy(struct vm *vm);

/*
 * Identity of the eventfd behind @fd, equal for its duplicates: 0, -EBADF,
 * or -EINVAL for something else.
 */
int eventfd_identify(int fd, uint64_t *id) __must_check;

/* A descriptor of that eventfd, or -1: its number may have been reused. */
int eventfd_find(uint64_t id);

/*
 * What /proc tells about a descriptor; NULL when it is not open. One at a
 * time: a number the client has just closed may be that of the file read
 * here, and must not be taken for the client's by another thread.
 */
FILE *fdinfo_open(int fd);
void fdinfo_close(FILE *f);

/* A duplicate of a descriptor of the client's, never of such a file. */
int fdinfo_dup(int fd);

/* Add one, or @n, to an eventfd. */
void eventfd_signal(int fd);

#endif
