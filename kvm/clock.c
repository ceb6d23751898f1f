/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's TSC rate is measured against CLOCK_MONOTONIC_RAW: what CPUID
 * says is rounded, or describes another machine when the host is a guest
 * itself. Each sample is the tightest of several reads of both clocks.
 * KVM_GET_CLOCK and KVM_SET_CLOCK are at the end.
 */
#include "kvm/clock.h"

#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <time.h>
#include <x86intrin.h>

#include "cpu/msr.h"
#include "kvm/handler.h"
#include "kvm/vcpu.h"
#include "kvm/vm.h"

#define NS_SEC      1000000000ull
#define MEASURE_NS  25000000ull /* at least this long */
#define SAMPLE_READ 32
/* Writes of a VM's TSCs that are nearer to each other mean one clock. */
#define SYNC_NS     NS_SEC

struct sample {
	uint64_t tsc;
	uint64_t ns;
};

static struct {
	pthread_once_t start_once, end_once;
	struct sample start;
	uint32_t khz;
} host = {PTHREAD_ONCE_INIT, PTHREAD_ONCE_INIT, {0, 0}, 0};

static uint64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t clock_now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t clock_host_tsc(void)
{
	return __rdtsc();
}

/* The read of both clocks that took the least time in between. */
static struct sample sample(clockid_t id)
{
	uint64_t best = UINT64_MAX, before, after, ns;
	struct sample s = {0, 0};
	unsigned int aux;

	for (int i = 0; i < SAMPLE_READ; i++) {
		before = __rdtscp(&aux);
		ns = read_clock(id);
		after = __rdtscp(&aux);
		if (after - before >= best)
			continue;
		best = after - before;
		s.tsc = before + best / 2;
		s.ns = ns;
	}
	return s;
}

static void measure_start(void)
{
	host.start = sample(CLOCK_MONOTONIC_RAW);
}

static void measure_end(void)
{
	struct sample s;
	unsigned __int128 cycles;
	uint64_t ns;

	pthread_once(&host.start_once, measure_start);
	do {
		struct timespec ts = {.tv_nsec = 1000000};
		uint64_t passed = read_clock(CLOCK_MONOTONIC_RAW) -
				  host.start.ns;

		if (passed < MEASURE_NS) {
			ts.tv_nsec = (long)(MEASURE_NS - passed);
			nanosleep(&ts, NULL);
		}
		s = sample(CLOCK_MONOTONIC_RAW);
		ns = s.ns - host.start.ns;
	} while (ns < MEASURE_NS);
	cycles = s.tsc - host.start.tsc;
	host.khz = (uint32_t)((cycles * 1000000u + ns / 2) / ns);
}

uint32_t clock_host_tsc_khz(void)
{
	pthread_once(&host.end_once, measure_end);
	return host.khz;
}

void clock_init(struct vm_clock *c)
{
	*c = (struct vm_clock){.base_tsc = clock_host_tsc(), .generation = 1};
	c->tsc_offset = -c->base_tsc;
	pthread_once(&host.start_once, measure_start);
}

/*
 * Factors of the pvclock protocol: ns = ((cycles << shift) * mul) >> 32, a
 * negative shift being one to the right, mul as large as fits.
 */
static void scale(uint32_t khz, uint32_t *mul, int8_t *shift)
{
	uint64_t hz = (uint64_t)khz * 1000;
	int s = 0;

	while (hz > 2 * NS_SEC) {
		hz >>= 1;
		s--;
	}
	while (hz <= NS_SEC) {
		hz <<= 1;
		s++;
	}
	/* As much precision as the shifted rate has lost is taken back. */
	hz = (uint64_t)khz * 1000;
	if (s < 0)
		*mul = (uint32_t)(((unsigned __int128)NS_SEC << (32 - s)) / hz);
	else
		*mul = (uint32_t)(((unsigned __int128)NS_SEC << 32 >> s) / hz);
	*shift = (int8_t)s;
}

static uint64_t cycles_to_ns(uint64_t cycles)
{
	uint32_t mul;
	int8_t shift;

	scale(clock_host_tsc_khz(), &mul, &shift);
	cycles = shift < 0 ? cycles >> -shift : cycles << shift;
	return (uint64_t)((unsigned __int128)cycles * mul >> 32);
}

static int64_t at(const struct vm_clock *c, uint64_t tsc)
{
	/* Clients set any time: it wraps. */
	return (int64_t)((uint64_t)c->base_ns +
			 cycles_to_ns(tsc - c->base_tsc));
}

int64_t clock_read(struct vm_clock *c)
{
	int64_t ns;

	lock_acquire(&c->lock);
	ns = at(c, clock_host_tsc());
	lock_release(&c->lock);
	return ns;
}

uint32_t clock_fill(struct vm_clock *c, const struct clock_tsc *t,
		    struct clock_pvclock *out)
{
	uint32_t generation;

	lock_acquire(&c->lock);
	out->tsc_timestamp = tsc_scale(t->ratio, c->base_tsc) + t->offset;
	out->system_time = (uint64_t)c->base_ns;
	generation = c->generation;
	lock_release(&c->lock);
	scale(t->khz, &out->mul, &out->shift);
	return generation;
}

/* Same value again, or the value one would read by now. */
static bool same_clock(const struct vm_clock *c, const struct clock_tsc *t,
		       uint64_t value, uint64_t now)
{
	uint64_t expected = c->tsc_write +
			    (now - c->tsc_write_ns) * t->khz / 1000000;
	uint64_t distance = value > expected ? value - expected
					     : expected - value;

	return c->tsc_write_ns && c->tsc_write_khz == t->khz &&
	       now - c->tsc_write_ns <= SYNC_NS &&
	       (value == c->tsc_write || distance < (uint64_t)t->khz * 1000);
}

uint64_t clock_sync_tsc(struct vm_clock *c, const struct clock_tsc *t,
			uint64_t value)
{
	uint64_t tsc, now;

	lock_acquire(&c->lock);
	tsc = clock_host_tsc();
	now = clock_now();
	if (!same_clock(c, t, value, now)) {
		c->tsc_offset = value - tsc_scale(t->ratio, tsc);
		c->tsc_write = value;
		c->tsc_write_ns = now;
		c->tsc_write_khz = t->khz;
	}
	tsc = c->tsc_offset;
	lock_release(&c->lock);
	return tsc;
}

void clock_set_tsc_offset(struct vm_clock *c, const struct clock_tsc *t,
			  uint64_t offset)
{
	lock_acquire(&c->lock);
	c->tsc_offset = offset;
	c->tsc_write = tsc_scale(t->ratio, clock_host_tsc()) + offset;
	c->tsc_write_ns = clock_now();
	c->tsc_write_khz = t->khz;
	lock_release(&c->lock);
}

int clock_get(struct call *c)
{
	struct kvm_clock_data *d = c->data;
	struct vm_clock *clock = &c->vm->clock;
	struct sample s = sample(CLOCK_REALTIME);

	lock_acquire(&clock->lock);
	d->clock = (uint64_t)at(clock, s.tsc);
	lock_release(&clock->lock);
	d->flags = KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME |
		   KVM_CLOCK_HOST_TSC;
	d->realtime = s.ns;
	d->host_tsc = s.tsc;
	return 0;
}

int clock_set(struct call *c)
{
	const struct kvm_clock_data *d = c->data;
	struct vm_clock *clock = &c->vm->clock;
	struct sample s = sample(CLOCK_REALTIME);
	int64_t ns = (int64_t)d->clock;

	if (d->flags &
	    ~(KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC))
		return -EINVAL;
	/* The time that passed since the client noted both. */
	if ((d->flags & KVM_CLOCK_REALTIME) && s.ns > d->realtime)
		ns = (int64_t)((uint64_t)ns + (s.ns - d->realtime));
	lock_acquire(&clock->lock);
	clock->base_tsc = s.tsc;
	clock->base_ns = ns;
	__atomic_add_fetch(&clock->generation, 1, __ATOMIC_RELEASE);
	lock_release(&clock->lock);
	for (uint32_t i = 0; i < vm_vcpus(c->vm); i++)
		vcpu_kick(c->vm->vcpus[i]);
	return 0;
}
