/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz [SECONDS [SEED [CORPUS]]]: random requests with random arguments on
 * system, VM, vCPU and memory handles, the vCPUs running meanwhile on two
 * threads. There is nothing to compare: it must end by itself, with no report
 * of a sanitizer. Host addresses that requests may write to, or guests, lie in
 * an arena.
 *
 * Each round tells its seed and how many answers it was the first to get: an
 * answer is a request with an error or none. Seeds with many of them make a
 * corpus, a file of one seed a line, whose rounds are run before all others.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "include/lodge.h"
#include "include/uapi/kvm_new.h"

#define ARENA   (8u << 20)
#define VCPUS   2
#define FILES   4
#define ROUND   3000u /* requests before a new VM */
#define BUFFER  8192u
#define RUNPAGE 12288u

enum scope { SYSTEM, VM, VCPU };

struct request {
	enum scope scope;
	uint32_t number;
	const char *name;
};

static const struct request requests[] = {
#define IOCTL(scope, request, ...) {scope, (uint32_t)(request), #request},
#include "kvm/ioctl.def"
#undef IOCTL
};

#define ERRORS 134u /* 0: none */

static bool answered[sizeof(requests) / sizeof(requests[0])][ERRORS];
static uint32_t answers; /* of this round that are new */

struct machine {
	int sys, vm, vcpu[VCPUS], gmem[FILES], event[FILES];
	struct kvm_run *run[VCPUS];
	pthread_t thread[VCPUS];
	uint32_t stop; /* atomic */
};

struct runner {
	struct machine *m;
	int n;
};

static uint8_t *arena;
static uint64_t seed;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint64_t one_of(uint64_t n)
{
	return rnd() % n;
}

static uint64_t arena_address(void)
{
	uint64_t off = one_of(ARENA);

	return (uintptr_t)arena + (one_of(8) ? off & ~4095ull : off);
}

/* What arguments are made of. */
static uint64_t value(const struct machine *m)
{
	switch (one_of(16)) {
	case 0: return arena_address();
	case 1: return (uint64_t)m->event[one_of(FILES)];
	case 2: return (uint64_t)m->gmem[one_of(FILES)];
	case 3: return 1ull << one_of(64);
	case 4: return (1ull << one_of(64)) - 1;
	case 5: return 4096 * one_of(4096);
	case 6: return 0xfee00000 + one_of(2) * 0x1000;
	case 7: return rnd() & 0xffff;
	case 8: return -one_of(9000);
	case 9: return 0xc0000080 + one_of(8);
	case 10: return rnd() | 1ull << 63;
	default: return one_of(24);
	}
}

static void fill(const struct machine *m, uint8_t *buf, size_t size)
{
	uint64_t v;
	size_t n;

	memset(buf, 0, BUFFER);
	for (size_t i = 0; i < size; i += n) {
		v = one_of(3) ? 0 : value(m);
		n = one_of(4) ? 8 : 4;
		if (i + n > size)
			n = size - i;
		memcpy(buf + i, &v, n);
	}
}

/* Guests and requests may write where these fields point. */
static void fix(uint32_t number, uint8_t *buf)
{
	uint64_t at = arena_address();

	switch (number) {
	case KVM_SET_USER_MEMORY_REGION:
	case KVM_SET_USER_MEMORY_REGION2: {
		struct kvm_userspace_memory_region *r = (void *)buf;

		r->userspace_addr = at;
		if (r->memory_size > (uintptr_t)arena + ARENA - at)
			r->memory_size = 4096 * one_of(4);
		break;
	}
	case KVM_GET_DIRTY_LOG:
	case KVM_CLEAR_DIRTY_LOG: memcpy(buf + 8, &at, 8); break;
	default: break;
	}
}

static void note(const struct request *r, int ret)
{
	uint32_t e = ret < 0 ? (uint32_t)-ret : 0;
	bool *was = &answered[r - requests][e < ERRORS ? e : ERRORS - 1];

	answers += !*was;
	*was = true;
}

static void call(struct machine *m, int fd, const struct request *r)
{
	static uint8_t buf[BUFFER];
	size_t size = (r->number >> 16 & 0x3fff) + 8 * one_of(40);
	unsigned long arg = (uintptr_t)buf;

	if (!(r->number >> 30))
		arg = value(m);
	else if (!one_of(50))
		arg = one_of(4096);
	fill(m, buf, size < BUFFER ? size : BUFFER);
	fix(r->number, buf);
	if (r->number == KVM_CREATE_VM || r->number == KVM_GET_STATS_FD)
		arg = 7; /* descriptors would run out; tested elsewhere */
	if (r->number == KVM_GET_STATS_FD)
		return;
	if (r->number == KVM_CREATE_VCPU || r->number == KVM_SET_SIGNAL_MASK)
		return;
	if (r->number == KVM_CREATE_GUEST_MEMFD) {
		int n = (int)one_of(FILES),
		    made = lodge_ioctl(fd, r->number, arg);

		if (made >= 0 && m->gmem[n] >= 0)
			lodge_close(m->gmem[n]);
		if (made >= 0)
			m->gmem[n] = made;
		note(r, made);
		return;
	}
	note(r, lodge_ioctl(fd, r->number, arg));
}

static void *run(void *arg)
{
	const struct runner *r = arg;
	struct machine *m = r->m;

	while (!__atomic_load_n(&m->stop, __ATOMIC_ACQUIRE))
		if (lodge_ioctl(m->vcpu[r->n], KVM_RUN, 0) == -EIO)
			break;
	return NULL;
}

static void open_machine(struct machine *m)
{
	struct kvm_enable_cap split = {.cap = KVM_CAP_SPLIT_IRQCHIP,
				       .args = {24}};
	struct kvm_enable_cap ring = {.cap = KVM_CAP_DIRTY_LOG_RING,
				      .args = {1 << 16}};
	struct kvm_userspace_memory_region r = {
		.memory_size = ARENA / 2, .userspace_addr = (uintptr_t)arena};
	void *p;

	memset(m, 0, sizeof(*m));
	m->sys = lodge_open();
	m->vm = lodge_ioctl(m->sys, KVM_CREATE_VM, one_of(2));
	switch (one_of(3)) {
	case 0: lodge_ioctl(m->vm, KVM_CREATE_IRQCHIP, 0); break;
	case 1: lodge_ioctl(m->vm, KVM_ENABLE_CAP, (uintptr_t)&split); break;
	default: break;
	}
	if (one_of(2))
		lodge_ioctl(m->vm, KVM_ENABLE_CAP, (uintptr_t)&ring);
	lodge_ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, (uintptr_t)&r);
	for (int i = 0; i < FILES; i++) {
		m->gmem[i] = -1;
		m->event[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	}
	for (int i = 0; i < VCPUS; i++) {
		m->vcpu[i] = lodge_ioctl(m->vm, KVM_CREATE_VCPU,
					 (unsigned long)i);
		if (m->vcpu[i] < 0 ||
		    lodge_mmap(m->vcpu[i], RUNPAGE, PROT_READ | PROT_WRITE,
			       MAP_SHARED, 0, &p)) {
			perror("vcpu");
			exit(1);
		}
		m->run[i] = p;
	}
}

static void close_machine(struct machine *m)
{
	for (int i = 0; i < VCPUS; i++) {
		lodge_munmap(m->vcpu[i], m->run[i], RUNPAGE);
		lodge_close(m->vcpu[i]);
	}
	for (int i = 0; i < FILES; i++) {
		close(m->event[i]);
		if (m->gmem[i] >= 0)
			lodge_close(m->gmem[i]);
	}
	lodge_close(m->vm);
	lodge_close(m->sys);
}

static void one_request(struct machine *m)
{
	const struct request *r =
		&requests[one_of(sizeof(requests) / sizeof(requests[0]))];
	int n = (int)one_of(VCPUS);
	int fd = r->scope == SYSTEM ? m->sys
		 : r->scope == VM   ? m->vm
				    : m->vcpu[n];

	if (r->number == KVM_RUN)
		return; /* the others do that */
	if (!one_of(40))
		fd = m->gmem[one_of(FILES)];
	/* Requests of a vCPU wait for its KVM_RUN. */
	m->run[0]->immediate_exit = m->run[1]->immediate_exit = 1;
	lodge_ioctl(m->vcpu[n], LODGE_KICK, 0);
	if (!one_of(20))
		m->run[n]->kvm_dirty_regs = rnd() & 15;
	if (!one_of(20))
		m->run[n]->kvm_valid_regs = rnd() & 7;
	if (!one_of(20))
		m->run[n]->request_interrupt_window = rnd() & 1;
	call(m, fd, r);
	m->run[0]->immediate_exit = m->run[1]->immediate_exit = 0;
}

static void round_of(uint32_t count)
{
	struct machine m;
	struct runner r[VCPUS];

	for (size_t i = 0; i < ARENA; i++)
		arena[i] = one_of(4) ? (uint8_t)rnd() : 0;
	open_machine(&m);
	for (int i = 0; i < VCPUS; i++) {
		r[i] = (struct runner){&m, i};
		pthread_create(&m.thread[i], NULL, run, &r[i]);
	}
	while (count--)
		one_request(&m);
	__atomic_store_n(&m.stop, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < VCPUS; i++) {
		m.run[i]->immediate_exit = 1;
		lodge_ioctl(m.vcpu[i], LODGE_KICK, 0);
		pthread_join(m.thread[i], NULL);
	}
	close_machine(&m);
}

/* @from: the seed, 0 to go on with the last round's. */
static void one_round(uint64_t from)
{
	uint64_t at;

	if (from)
		seed = from;
	at = seed;
	answers = 0;
	printf("seed %#lx", at);
	fflush(stdout);
	round_of(ROUND);
	printf(" %u\n", answers);
}

/* The rounds of a corpus; how many, or none when it is not one. */
static uint32_t corpus(const char *path)
{
	FILE *f = fopen(path, "re");
	uint32_t rounds = 0;
	char line[128];
	uint64_t from;

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '#')
			continue;
		from = strtoull(line, NULL, 0);
		if (from)
			one_round(from);
		rounds += from != 0;
	}
	fclose(f);
	return rounds;
}

int main(int argc, char **argv)
{
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 3);
	uint32_t rounds = 0;
	uint64_t first;

	first = seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 0x5eed0001;
	arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (arena == MAP_FAILED || !seed)
		return 1;
	if (argc > 3) {
		rounds = corpus(argv[3]);
		if (!rounds)
			return 1;
		seed = first;
	}
	do {
		one_round(0);
		rounds++;
	} while (time(NULL) < end);
	printf("%u rounds of %u requests\n", rounds, ROUND);
	return 0;
}
