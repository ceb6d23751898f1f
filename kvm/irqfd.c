/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM_IRQFD: an eventfd that drives a GSI. One thread per VM waits for all of
 * them; it is made with the first. An eventfd serves one irqfd in the whole
 * process, as in the kernel. With a resample eventfd the GSI stays asserted
 * until its interrupt is ended; all irqfds of such a GSI share that.
 *
 * No duplicate of the eventfd is kept: with its last descriptor closed it is
 * gone, epoll forgets it without a word, and the irqfd has ended. That is
 * found out when its identity is claimed again, and once a second while a
 * line might be left asserted.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kvm/bus.h"
#include "kvm/handler.h"
#include "kvm/vm.h"
#include "lib/lock.h"

#define BATCH    16
#define STOP     0ull /* epoll key of the pipe */
#define SWEEP_MS 1000

struct irqfd {
	struct irqfd *next;
	uint64_t key;    /* of epoll; never used again */
	uint64_t object; /* identity of the eventfd */
	uint32_t gsi;
	int fd;          /* the client's descriptor when last seen */
	int resample_fd; /* -1: edge */
	struct irq_ack ack;
};

/* Eventfds in use by irqfds of any VM. */
struct claim {
	uint64_t id;
	uint64_t key; /* of the irqfd in that epoll */
	int epoll_fd;
	bool opening; /* about to be handed to epoll */
};

static struct {
	struct lock lock;
	struct claim *claim;
	uint32_t count;
} used;

/* Whether epoll still knows @key: its eventfd is open somewhere. */
static bool is_open(int epoll_fd, uint64_t key)
{
	char line[128];
	uint64_t data;
	bool found = false;
	FILE *f = fdinfo_open(epoll_fd);

	if (!f)
		return true;
	while (!found && fgets(line, sizeof(line), f))
		found = sscanf(line, "tfd: %*d events: %*x data: %lx", &data) ==
				1 &&
			data == key;
	fdinfo_close(f);
	return found;
}

static int claim(const struct claim *c)
{
	struct claim *p;
	int ret = 0;

	lock_acquire(&used.lock);
	p = used.claim;
	for (uint32_t i = 0; i < used.count && !ret; i++) {
		if (p[i].id != c->id || c->id == UINT64_MAX)
			continue;
		if (p[i].opening || is_open(p[i].epoll_fd, p[i].key))
			ret = -EBUSY;
		else
			p[i--] = p[--used.count];
	}
	if (!ret) {
		p = realloc(p, (used.count + 1) * sizeof(*p));
		if (p) {
			used.claim = p;
			p[used.count++] = *c;
		} else {
			ret = -ENOMEM;
		}
	}
	lock_release(&used.lock);
	return ret;
}

static struct claim *find_claim(int epoll_fd, uint64_t key)
{
	for (uint32_t i = 0; i < used.count; i++)
		if (used.claim[i].epoll_fd == epoll_fd &&
		    used.claim[i].key == key)
			return &used.claim[i];
	return NULL;
}

static void unclaim(int epoll_fd, uint64_t key)
{
	struct claim *p;

	lock_acquire(&used.lock);
	p = find_claim(epoll_fd, key);
	if (p)
		*p = used.claim[--used.count];
	lock_release(&used.lock);
}

/* From here on epoll knows whether the claim holds. */
static void claim_opened(int epoll_fd, uint64_t key)
{
	lock_acquire(&used.lock);
	find_claim(epoll_fd, key)->opening = false;
	lock_release(&used.lock);
}

/* Whether @fd, in slot @slot of the epoll or not, is the irqfd's eventfd. */
static bool is_eventfd_of(const struct vm *vm, const struct irqfd *f, int fd)
{
	struct kcmp_epoll_slot slot = {
		.efd = (uint32_t)vm->bus.epoll_fd,
		.tfd = (uint32_t)f->fd,
	};
	int pid = handle_pid();
	uint64_t id;

	if (fd == -1)
		return false;
	switch (syscall(SYS_kcmp, pid, pid, KCMP_EPOLL_TFD, fd, &slot)) {
	case 0: return true;
	case -1: return !eventfd_identify(fd, &id) && id == f->object;
	default: return false;
	}
}

/*
 * Take the counter; false when it was zero. The descriptor is duplicated
 * first and looked at then, so that no other file is read from. A counter
 * only other processes can reach stays as it is.
 */
static bool consume(const struct vm *vm, struct irqfd *f)
{
	int fd = fdinfo_dup(f->fd);
	struct iovec v;
	bool taken;
	uint64_t n;

	if (!is_eventfd_of(vm, f, fd)) {
		if (fd >= 0)
			close(fd);
		n = (uint64_t)eventfd_find(f->object);
		if ((int)n < 0)
			return true;
		f->fd = (int)n;
		fd = fdinfo_dup(f->fd);
		if (fd < 0)
			return true;
	}
	v.iov_base = &n;
	v.iov_len = sizeof(n);
	taken = preadv2(fd, &v, 1, -1, RWF_NOWAIT) == sizeof(n);
	close(fd);
	return taken;
}

static void inject(struct vm *vm, const struct irqfd *f)
{
	stats_count(vm, VM_STAT_IRQFD);
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
	if (f && consume(vm, f))
		inject(vm, f);
	pthread_mutex_unlock(&vm->bus.irqfd_lock);
}

static void forget(struct vm *vm, struct irqfd *f)
{
	if (f->resample_fd >= 0) {
		pthread_mutex_lock(&vm->irq.lock);
		irqchip_del_ack(vm, &f->ack);
		routing_set_gsi_locked(vm, IRQ_SOURCE_RESAMPLE, f->gsi, false);
		pthread_mutex_unlock(&vm->irq.lock);
		close(f->resample_fd);
		vm->bus.nresample--;
	}
	unclaim(vm->bus.epoll_fd, f->key);
	free(f);
}

/* Lines that nobody will lower any more fall. */
static void sweep(struct vm *vm)
{
	struct irqfd **p = &vm->bus.irqfds, *f;

	pthread_mutex_lock(&vm->bus.irqfd_lock);
	while ((f = *p)) {
		if (f->resample_fd < 0 || is_open(vm->bus.epoll_fd, f->key)) {
			p = &f->next;
			continue;
		}
		*p = f->next;
		forget(vm, f);
	}
	pthread_mutex_unlock(&vm->bus.irqfd_lock);
}

static void *irqfd_thread(void *arg)
{
	struct vm *vm = arg;
	struct epoll_event ev[BATCH];
	int n;

	for (;;) {
		int wait = __atomic_load_n(&vm->bus.nresample, __ATOMIC_RELAXED)
				   ? SWEEP_MS
				   : -1;

		n = epoll_wait(vm->bus.epoll_fd, ev, BATCH, wait);
		if (n == 0)
			sweep(vm);
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
	int op = EPOLL_CTL_ADD;

	if (!epoll_ctl(bus->epoll_fd, op, fd, &ev))
		return 0;
	/* An irqfd that was ended by another number of its eventfd. */
	if (errno == EEXIST && key != STOP &&
	    !epoll_ctl(bus->epoll_fd, EPOLL_CTL_MOD, fd, &ev))
		return 0;
	return -errno;
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
	/* An eventfd could be taken for one of the client's. */
	if (bus->epoll_fd < 0 ||
	    (bus->stop[0] < 0 && pipe2(bus->stop, O_CLOEXEC)))
		return -errno;
	ret = watch(bus, bus->stop[0], STOP);
	if (ret && ret != -EEXIST)
		return ret;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = -pthread_create(&bus->irqfd_thread, NULL, irqfd_thread, vm);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!ret)
		pthread_setname_np(bus->irqfd_thread, "kvm-irqfd");
	bus->irqfd_started = !ret;
	return ret;
}

void irqfd_destroy(struct vm *vm)
{
	struct bus *bus = &vm->bus;
	struct irqfd *f;

	if (bus->stop[1] >= 0)
		close(bus->stop[1]);
	if (bus->irqfd_started)
		pthread_join(bus->irqfd_thread, NULL);
	while ((f = bus->irqfds)) {
		bus->irqfds = f->next;
		forget(vm, f);
	}
	if (bus->epoll_fd >= 0)
		close(bus->epoll_fd);
	if (bus->stop[0] >= 0)
		close(bus->stop[0]);
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

static bool is_object(int fd, uint64_t object)
{
	uint64_t now;

	return !eventfd_identify(fd, &now) && now == object;
}

/* Claim the eventfd and watch it. */
static int open_irqfd(struct vm *vm, const struct irqfd *f)
{
	struct claim c = {
		.id = f->object,
		.key = f->key,
		.epoll_fd = vm->bus.epoll_fd,
		.opening = true,
	};
	int ret = claim(&c);

	if (ret)
		return ret;
	ret = watch(&vm->bus, f->fd, f->key);
	if (!ret && !is_object(f->fd, f->object)) {
		epoll_ctl(c.epoll_fd, EPOLL_CTL_DEL, f->fd, NULL);
		ret = -EBADF; /* closed meanwhile */
	}
	if (ret)
		unclaim(c.epoll_fd, c.key);
	else
		claim_opened(c.epoll_fd, c.key);
	return ret == -EPERM ? -EBADF : ret;
}

/* Lock held. */
static int add(struct vm *vm, struct irqfd *f)
{
	int ret = start(vm);

	if (ret)
		return ret;
	f->key = ++vm->bus.irqfd_next;
	ret = open_irqfd(vm, f);
	if (ret)
		return ret;
	f->next = vm->bus.irqfds;
	vm->bus.irqfds = f;
	if (f->resample_fd >= 0)
		vm->bus.nresample++;
	listen_for_end(vm, f);
	/* What was written before the assignment counts once. */
	if (consume(vm, f))
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
	f->fd = (int)a->fd;
	f->resample_fd = -1;
	if (a->flags & KVM_IRQFD_FLAG_RESAMPLE) {
		ret = eventfd_identify((int)a->resamplefd, &other);
		if (ret)
			goto undo;
		f->resample_fd = fcntl((int)a->resamplefd, F_DUPFD_CLOEXEC, 0);
	}
	pthread_mutex_lock(&vm->bus.irqfd_lock);
	ret = add(vm, f);
	pthread_mutex_unlock(&vm->bus.irqfd_lock);
	if (!ret)
		return 0;
undo:
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
			/* ids and numbers are used again, keys are not */
			if (is_open(vm->bus.epoll_fd, f->key) &&
			    is_object(f->fd, object))
				epoll_ctl(vm->bus.epoll_fd, EPOLL_CTL_DEL,
					  f->fd, NULL);
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
	    !irqchip_has_lapics(&c->vm->irq))
		return -EINVAL;
	if ((a->flags & KVM_IRQFD_FLAG_RESAMPLE) &&
	    !irqchip_present(&c->vm->irq))
		return -EINVAL;
	ret = eventfd_identify((int)a->fd, &object);
	if (ret)
		return ret;
	if (a->flags & KVM_IRQFD_FLAG_DEASSIGN)
		return deassign(c->vm, a->gsi, object);
	return assign(c->vm, a, object);
}
