/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM_IOEVENTFD and KVM_REGISTER_COALESCED_MMIO. Both lists are short and
 * searched from the start; ioeventfds come first. The coalesced ring is one
 * page per VM that every vCPU's mapping shows: clients take entries out of
 * it without a call, so its indices are read and published once each.
 */
#include "kvm/bus.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine.h"
#include "kvm/handler.h"
#include "kvm/vm.h"

#define MAX_DEVICES 1000u /* zones; ioeventfds do not count */
#define RING_MAX                                                             \
	((4096 - offsetof(struct kvm_coalesced_mmio_ring, coalesced_mmio)) / \
	 sizeof(struct kvm_coalesced_mmio))

void bus_init(struct bus *bus)
{
	pthread_rwlock_init(&bus->lock, NULL);
	pthread_mutex_init(&bus->ring_lock, NULL);
	pthread_mutex_init(&bus->irqfd_lock, NULL);
	bus->epoll_fd = -1;
	bus->stop[0] = bus->stop[1] = -1;
}

void bus_destroy(struct vm *vm)
{
	struct bus *bus = &vm->bus;

	irqfd_destroy(vm);
	for (uint32_t i = 0; i < bus->nevents; i++)
		close(bus->events[i].fd);
	free(bus->events);
	free(bus->zones);
	pthread_rwlock_destroy(&bus->lock);
	pthread_mutex_destroy(&bus->ring_lock);
	pthread_mutex_destroy(&bus->irqfd_lock);
}

/* ---- eventfds ---- */

static struct lock info_lock;

static FILE *open_info(int fd)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return fopen(path, "re");
}

FILE *fdinfo_open(int fd)
{
	FILE *f;

	lock_acquire(&info_lock);
	f = open_info(fd);
	if (!f)
		lock_release(&info_lock);
	return f;
}

void fdinfo_close(FILE *f)
{
	fclose(f);
	lock_release(&info_lock);
}

int fdinfo_dup(int fd)
{
	int dup;

	lock_acquire(&info_lock);
	dup = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	lock_release(&info_lock);
	return dup;
}

/* The lock is held. */
static int identify(int fd, uint64_t *id)
{
	char line[80];
	int ret = -EBADF; /* also when it is closed before it is read */
	FILE *f = fd < 0 ? NULL : open_info(fd);

	if (!f)
		return -EBADF;
	*id = UINT64_MAX;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "eventfd-count:", 14))
			ret = 0;
		else if (ret)
			ret = -EINVAL;
		sscanf(line, "eventfd-id: %lu", id);
	}
	fclose(f);
	return ret;
}

int eventfd_identify(int fd, uint64_t *id)
{
	int ret;

	lock_acquire(&info_lock);
	ret = identify(fd, id);
	lock_release(&info_lock);
	return ret;
}

int eventfd_find(uint64_t id)
{
	const struct dirent *e;
	int fd = -1, n;
	uint64_t now;
	DIR *d;

	lock_acquire(&info_lock);
	d = opendir("/proc/self/fd");
	while (d && fd < 0 && (e = readdir(d))) {
		n = atoi(e->d_name);
		if (n != dirfd(d) && !identify(n, &now) && now == id)
			fd = n;
	}
	if (d)
		closedir(d);
	lock_release(&info_lock);
	return fd;
}

void eventfd_signal(int fd)
{
	uint64_t one = 1;
	int saved = errno;

	/* A counter about to overflow has been signalled enough. */
	if (write(fd, &one, sizeof(one)) < 0)
		errno = saved;
}

static uint64_t value_of(const void *data, unsigned int len)
{
	uint64_t v = 0;

	memcpy(&v, data, len);
	return v;
}

/* ---- the coalesced ring ---- */

static bool in_zone(const struct bus *bus, bool pio, uint64_t addr,
		    unsigned int len)
{
	const struct bus_zone *z;

	for (uint32_t i = 0; i < bus->nzones; i++) {
		z = &bus->zones[i];
		if (z->pio == pio && addr >= z->addr && len <= z->size &&
		    addr - z->addr <= z->size - len)
			return true;
	}
	return false;
}

static bool ring_put(struct vm *vm, bool pio, uint64_t addr, const void *data,
		     unsigned int len)
{
	struct kvm_coalesced_mmio_ring *ring = vm->ring;
	struct kvm_coalesced_mmio *e;
	uint32_t last, first, next;
	bool put = false;

	pthread_mutex_lock(&vm->bus.ring_lock);
	last = __atomic_load_n(&ring->last, __ATOMIC_RELAXED);
	first = __atomic_load_n(&ring->first, __ATOMIC_ACQUIRE);
	next = (last + 1) % RING_MAX;
	if (last < RING_MAX && next != first) {
		e = &ring->coalesced_mmio[last];
		e->phys_addr = addr;
		e->len = len;
		e->pio = pio;
		memcpy(e->data, data, len);
		__atomic_store_n(&ring->last, next, __ATOMIC_RELEASE);
		stats_count(vm, VM_STAT_COALESCED);
		put = true;
	}
	pthread_mutex_unlock(&vm->bus.ring_lock);
	return put;
}

bool bus_serve_write(struct vm *vm, bool pio, uint64_t addr, const void *data,
		     unsigned int len)
{
	struct bus *bus = &vm->bus;
	bool done = false;

	if (!__atomic_load_n(&bus->nevents, __ATOMIC_RELAXED) &&
	    !__atomic_load_n(&bus->nzones, __ATOMIC_RELAXED))
		return false;
	pthread_rwlock_rdlock(&bus->lock);
	for (uint32_t i = 0; i < bus->nevents && !done; i++) {
		if (!bus_event_hit(&bus->events[i], pio, addr,
				   value_of(data, len), len))
			continue;
		eventfd_signal(bus->events[i].fd);
		stats_count(vm, VM_STAT_IOEVENTFD);
		done = true;
	}
	if (!done && in_zone(bus, pio, addr, len))
		done = ring_put(vm, pio, addr, data, len);
	pthread_rwlock_unlock(&bus->lock);
	return done;
}

/* ---- ioctls ---- */

/* Would both answer one write? */
static bool collides(const struct bus_event *a, const struct bus_event *b)
{
	return a->pio == b->pio && a->addr == b->addr &&
	       (!a->len || !b->len ||
		(a->len == b->len &&
		 (!a->match || !b->match || a->value == b->value)));
}

static bool same(const struct bus_event *a, const struct bus_event *b)
{
	return a->pio == b->pio && a->addr == b->addr && a->len == b->len &&
	       a->match == b->match && a->object == b->object &&
	       (!a->match || a->value == b->value);
}

static int event_add(struct bus *bus, struct bus_event *e)
{
	struct bus_event *p;

	for (uint32_t i = 0; i < bus->nevents; i++)
		if (collides(&bus->events[i], e))
			return -EEXIST;
	p = realloc(bus->events, (bus->nevents + 1) * sizeof(*p));
	if (!p)
		return -ENOMEM;
	bus->events = p;
	e->fd = fcntl(e->fd, F_DUPFD_CLOEXEC, 0);
	if (e->fd < 0)
		return -errno;
	p[bus->nevents++] = *e;
	return 0;
}

static int event_del(struct bus *bus, const struct bus_event *e)
{
	for (uint32_t i = 0; i < bus->nevents; i++) {
		if (!same(&bus->events[i], e))
			continue;
		close(bus->events[i].fd);
		memmove(&bus->events[i], &bus->events[i + 1],
			(bus->nevents - i - 1) * sizeof(*bus->events));
		bus->nevents--;
		return 0;
	}
	return -ENOENT;
}

static int check_event(const struct kvm_ioeventfd *a)
{
	const uint32_t known = KVM_IOEVENTFD_FLAG_DATAMATCH |
			       KVM_IOEVENTFD_FLAG_PIO |
			       KVM_IOEVENTFD_FLAG_DEASSIGN;

	if (a->len > 8 || (a->len & (a->len - 1)))
		return -EINVAL;
	if (a->addr + a->len < a->addr || (a->flags & ~known))
		return -EINVAL;
	if (!a->len && (a->flags & KVM_IOEVENTFD_FLAG_DATAMATCH))
		return -EINVAL;
	return 0;
}

int ioeventfd_ioctl(struct call *c)
{
	const struct kvm_ioeventfd *a = c->data;
	struct bus *bus = &c->vm->bus;
	struct bus_event e = {
		.addr = a->addr,
		.len = a->len,
		.pio = a->flags & KVM_IOEVENTFD_FLAG_PIO,
		.match = a->flags & KVM_IOEVENTFD_FLAG_DATAMATCH,
		.value = a->datamatch,
		.fd = a->fd,
	};
	int ret = check_event(a);

	if (!ret)
		ret = eventfd_identify(a->fd, &e.object);
	if (ret)
		return ret;
	if (e.len && e.len < 8)
		e.value &= BIT64(e.len * 8) - 1;
	pthread_rwlock_wrlock(&bus->lock);
	engine_exclusive_begin(c->vm->engine); /* dirty.c has no lock */
	if (a->flags & KVM_IOEVENTFD_FLAG_DEASSIGN)
		ret = event_del(bus, &e);
	else
		ret = event_add(bus, &e);
	engine_exclusive_end(c->vm->engine);
	pthread_rwlock_unlock(&bus->lock);
	return ret;
}

int coalesced_register(struct call *c)
{
	const struct kvm_coalesced_mmio_zone *z = c->data;
	struct bus *bus = &c->vm->bus;
	struct bus_zone *p;
	int ret = 0;

	if (z->pio != 0 && z->pio != 1)
		return -EINVAL;
	pthread_rwlock_wrlock(&bus->lock);
	if (bus->nzones >= MAX_DEVICES) {
		ret = -ENOSPC;
	} else {
		p = realloc(bus->zones, (bus->nzones + 1) * sizeof(*p));
		if (p) {
			bus->zones = p;
			p[bus->nzones++] = (struct bus_zone){z->addr, z->size,
							     z->pio};
		} else {
			ret = -ENOMEM;
		}
	}
	pthread_rwlock_unlock(&bus->lock);
	return ret;
}

/* Every zone that lies inside the given one goes. */
int coalesced_unregister(struct call *c)
{
	const struct kvm_coalesced_mmio_zone *z = c->data;
	struct bus *bus = &c->vm->bus;
	uint32_t kept = 0;

	if (z->pio != 0 && z->pio != 1)
		return -EINVAL;
	pthread_rwlock_wrlock(&bus->lock);
	for (uint32_t i = 0; i < bus->nzones; i++) {
		const struct bus_zone *b = &bus->zones[i];

		if (b->pio == z->pio && b->addr >= z->addr &&
		    b->size <= z->size &&
		    b->addr - z->addr <= z->size - b->size)
			continue;
		bus->zones[kept++] = *b;
	}
	bus->nzones = kept;
	pthread_rwlock_unlock(&bus->lock);
	return 0;
}
