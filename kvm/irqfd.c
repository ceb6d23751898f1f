/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM_IRQFD: an eventfd that drives a GSI. One thread per VM waits for all of
 * them; it is made with the first. An eventfd serves one irqfd in the whole
 * process, as in the kernel. With a resample eventfd the GSI stays asserted
 * until its interrupt is ended; all irqfds of such a GSI share that.
 *
 * Our duplicate keeps an eventfd alive after its owner closed it, so an irqfd
 * ends by DEASSIGN or with the VM, not by close().
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kvm/bus.h"
#include "kvm/handler.h"
#include "kvm/vm.h"
#include "lib/lock.h"

#define BATCH 16
#define STOP  0ull /* epoll key of the stop eventfd */

struct irqfd {
	struct irqfd *next;
	uint64_t key;    /* of epoll; never used again */
	uint64_t object; /* identity of the eventfd */
	uint32_t gsi;
	int fd;
	int resample_fd; /* -1: edge */
	struct irq_ack ack;
};

/* Eventfds in use by irqfds of any VM. */
static struct {
	struct lock lock;
	uint64_t *id;
	uint32_t count;
} used;

static int claim(uint64_t id)
{
	uint64_t *p;
	int ret = 0;

	lock_acquire(&used.lock);
	for (uint32_t i = 0; i < used.count; i++)
		if (used.id[i] == id && id != UINT64_MAX)
			ret = -EBUSY;
	if (!ret) {
		p = realloc(used.id, (used.count + 1) * sizeof(*p));
		if (p) {
			used.id = p;
			p[used.count++] = id;
		} else {
			ret = -ENOMEM;
		}
	}
	lock_release(&used.lock);
	return ret;
}

static void unclaim(uint64_t id)
{
	lock_acquire(&used.lock);
	for (uint32_t i = 0; i < used.count; i++) {
		if (used.id[i] != id)
			continue;
		used.id[i] = used.id[--used.count];
		break;
	}
	lock_release(&used.lock);
}

/* Take the counter; false when it was zero. */
static bool consume(int fd)
{
	struct iovec v;
	uint64_t n;

	v.iov_base = &n;
	v.iov_len = sizeof(n);
	return preadv2(fd, &v, 1, -1, RWF_NOWAIT) == sizeof(n);
}

static void inject(struct vm *vm, const struct irqfd *f)
{
	if (f->resample_fd >= 0) {
		routing_set_gsi(vm, IRQ_SOURCE_RESAMPLE, f->gsi, true);
		return;
	}
	pthread_mutex_lock(&vm->irq.lock);
	routing_set_gsi_locked(vm, IRQ_SOURCE_USER, f->gsi, true);
	routing_set_gsi_locked(vm, IRQ_SOURCE_USER, f->gsi, false);
	pthread_mutex_unlock(&vm->irq.lock);
}

/* The interrupt was ended: let the line fall and tell the owner to look. */
static void irqfd_ack(struct irq_ack *a, struct vm *vm)
{
	struct irqfd *f = container_of(a, struct irqfd, ack);

	routing_set_gsi_locked(vm, IRQ_SOURCE_RESAMPLE, f->gsi, false);
	eventfd_signal(f->resample_fd);
}

static void serve(struct vm *vm, uint64_t key)
{
	struct irqfd *f;

	pthread_mutex_lock(&vm->bus.irqfd_lock);
	for (f = vm->bus.irqfds; f && f->key != key; f = f->next)
		;
	if (f && consume(f->fd))
		inject(vm, f);
	pthread_mutex_unlock(&vm->bus.irqfd_lock);
}

static void *irqfd_thread(void *arg)
{
	struct vm *vm = arg;
	struct epoll_event ev[BATCH];
	int n;

	for (;;) {
		n = epoll_wait(vm->bus.epoll_fd, ev, BATCH, -1);
		for (int i = 0; i < n; i++) {
			if (ev[i].data.u64 == STOP)
				return NULL;
			serve(vm, ev[i].data.u64);
		}
	}
}

static int watch(struct bus *bus, int fd, uint64_t key)
{
	struct epoll_event ev = {
		.events = key == STOP ? EPOLLIN : EPOLLIN | EPOLLET,
		.data.u64 = key,
	};

	return epoll_ctl(bus->epoll_fd, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

static int start(struct vm *vm)
{
	struct bus *bus = &vm->bus;
	sigset_t all, old;
	int ret;

	if (bus->irqfd_started)
		return 0;
	if (bus->epoll_fd < 0)
		bus->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (bus->stop_fd < 0)
		bus->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (bus->epoll_fd < 0 || bus->stop_fd < 0)
		return -errno;
	ret = watch(bus, bus->stop_fd, STOP);
	if (ret && ret != -EEXIST)
		return ret;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = -pthread_create(&bus->irqfd_thread, NULL, irqfd_thread, vm);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	bus->irqfd_started = !ret;
	return ret;
}

static void forget(struct vm *vm, struct irqfd *f)
{
	if (f->resample_fd >= 0) {
		pthread_mutex_lock(&vm->irq.lock);
		irqchip_del_ack(vm, &f->ack);
		routing_set_gsi_locked(vm, IRQ_SOURCE_RESAMPLE, f->gsi, false);
		pthread_mutex_unlock(&vm->irq.lock);
		close(f->resample_fd);
	}
	close(f->fd);
	unclaim(f->object);
	free(f);
}

void irqfd_destroy(struct vm *vm)
{
	struct bus *bus = &vm->bus;
	struct irqfd *f;

	if (bus->irqfd_started) {
		eventfd_signal(bus->stop_fd);
		pthread_join(bus->irqfd_thread, NULL);
	}
	while ((f = bus->irqfds)) {
		bus->irqfds = f->next;
		forget(vm, f);
	}
	if (bus->epoll_fd >= 0)
		close(bus->epoll_fd);
	if (bus->stop_fd >= 0)
		close(bus->stop_fd);
}

static void listen_for_end(struct vm *vm, struct irqfd *f)
{
	if (f->resample_fd < 0)
		return;
	f->ack.gsi = f->gsi;
	f->ack.ack = irqfd_ack;
	pthread_mutex_lock(&vm->irq.lock);
	irqchip_add_ack(vm, &f->ack);
	pthread_mutex_unlock(&vm->irq.lock);
}

/* Lock held. The irqfd's resources are all there but for the claim. */
static int add(struct vm *vm, struct irqfd *f)
{
	int ret = start(vm);

	if (!ret)
		ret = claim(f->object);
	if (ret)
		return ret;
	f->key = ++vm->bus.irqfd_next;
	ret = watch(&vm->bus, f->fd, f->key);
	if (ret) {
		unclaim(f->object);
		return ret;
	}
	f->next = vm->bus.irqfds;
	vm->bus.irqfds = f;
	listen_for_end(vm, f);
	/* What was written before the assignment counts once. */
	if (consume(f->fd))
		inject(vm, f);
	return 0;
}

static int assign(struct vm *vm, const struct kvm_irqfd *a, uint64_t object)
{
	struct irqfd *f = calloc(1, sizeof(*f));
	uint64_t other;
	int ret = -ENOMEM;

	if (!f)
		return ret;
	f->gsi = a->gsi;
	f->object = object;
	f->fd = -1;
	f->resample_fd = -1;
	if (a->flags & KVM_IRQFD_FLAG_RESAMPLE) {
		ret = eventfd_identify((int)a->resamplefd, &other);
		if (ret)
			goto undo;
		f->resample_fd = fcntl((int)a->resamplefd, F_DUPFD_CLOEXEC, 0);
	}
	f->fd = fcntl((int)a->fd, F_DUPFD_CLOEXEC, 0);
	if (f->fd < 0) {
		ret = -errno;
		goto undo;
	}
	pthread_mutex_lock(&vm->bus.irqfd_lock);
	ret = add(vm, f);
	pthread_mutex_unlock(&vm->bus.irqfd_lock);
	if (!ret)
		return 0;
undo:
	if (f->fd >= 0)
		close(f->fd);
	if (f->resample_fd >= 0)
		close(f->resample_fd);
	free(f);
	return ret;
}

static int deassign(struct vm *vm, uint32_t gsi, uint64_t object)
{
	struct irqfd **p = &vm->bus.irqfds, *f;

	pthread_mutex_lock(&vm->bus.irqfd_lock);
	while ((f = *p)) {
		if (f->gsi == gsi && f->object == object) {
			*p = f->next;
			epoll_ctl(vm->bus.epoll_fd, EPOLL_CTL_DEL, f->fd, NULL);
			forget(vm, f);
		} else {
			p = &f->next;
		}
	}
	pthread_mutex_unlock(&vm->bus.irqfd_lock);
	return 0;
}

int irqfd_ioctl(struct call *c)
{
	const struct kvm_irqfd *a = c->data;
	uint64_t object;
	int ret;

	if (a->flags &
	    ~(uint32_t)(KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE))
		return -EINVAL;
	if (a->gsi >= IRQ_MAX_GSI)
		return -EINVAL;
	if (!(a->flags & KVM_IRQFD_FLAG_DEASSIGN) &&
	    !irqchip_present(&c->vm->irq))
		return -EINVAL;
	ret = eventfd_identify((int)a->fd, &object);
	if (ret)
		return ret;
	if (a->flags & KVM_IRQFD_FLAG_DEASSIGN)
		return deassign(c->vm, a->gsi, object);
	return assign(c->vm, a, object);
}
