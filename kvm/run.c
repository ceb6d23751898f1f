/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM_RUN: finish what the last exit left, then inject and run until the
 * client is needed. The guest runs in the calling thread.
 *
 * Getting attention: other threads make an event visible, then ring the
 * doorbell, which guest code polls; a vCPU that is blocked sleeps on the
 * first word of kvm_run. That word holds immediate_exit, so a signal handler
 * that sets it between our last look and the sleep is not missed, and a byte
 * of padding that every wake-up changes.
 *
 * A signal whose handler only returns ends a sleep, but not a stretch of
 * guest code; handlers set immediate_exit or use LODGE_KICK for that. With
 * KVM_SET_SIGNAL_MASK nothing is unblocked: pending signals that would be are
 * looked for once a millisecond.
 */
#include "kvm/run.h"

#include <errno.h>
#include <linux/kvm.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cpu/insn.h"
#include "cpu/pmu/pmu.h"
#include "engine/engine.h"
#include "kvm/apic.h"
#include "kvm/events.h"
#include "kvm/filter.h"
#include "kvm/handler.h"
#include "kvm/regs.h"
#include "kvm/vcpu.h"
#include "kvm/vm.h"

#define SIGNAL_POLL_NS  1000000ull
#define COUNTER_POLL_NS 10000ull
#define SLACK_MARGIN    4u /* slacks; see sleep_until() */
#define WAKE_BYTE       3  /* of kvm_run, padding */
#define IMMEDIATE_EXIT  0x0000ff00u
#define KERNEL_SIGSET   8

static uint32_t *sleep_word(struct vcpu *vcpu)
{
	return (uint32_t *)(void *)vcpu->run;
}

void run_wake(struct vcpu *vcpu)
{
	uint8_t *run = (uint8_t *)vcpu->run;

	__atomic_add_fetch(&run[WAKE_BYTE], 1, __ATOMIC_SEQ_CST);
	futex_wake(sleep_word(vcpu), 1);
}

int run_kick(struct call *c)
{
	struct vcpu *vcpu = c->vcpu;

	__atomic_store_n(&vcpu->kicked, 1, __ATOMIC_SEQ_CST);
	cpu_request(vcpu->cpu, CPU_REQ_EXIT);
	if (__atomic_load_n(&vcpu->blocked, __ATOMIC_SEQ_CST))
		run_wake(vcpu);
	return 0;
}

int run_set_signal_mask(struct call *c)
{
	struct kvm_signal_mask m;
	int ret = 0;

	if (!c->arg) {
		c->vcpu->sigmask_set = false;
		return 0;
	}
	if (user_read(&m, c->arg, sizeof(m)))
		return -EFAULT;
	if (m.len != KERNEL_SIGSET)
		return -EINVAL;
	if (user_read(&c->vcpu->sigmask, c->arg + sizeof(m), KERNEL_SIGSET))
		return -EFAULT;
	if (!c->vcpu->timer_reserved)
		ret = timer_reserve(&c->vm->timer);
	if (ret)
		return ret;
	c->vcpu->timer_reserved = true;
	c->vcpu->sigmask_set = true;
	return 0;
}

/* A pending signal that the mask of KVM_RUN lets through. */
static bool signal_waits(const struct vcpu *vcpu)
{
	uint64_t pending = 0;

	if (!vcpu->sigmask_set)
		return false;
	syscall(SYS_rt_sigpending, &pending, KERNEL_SIGSET);
	return pending & ~vcpu->sigmask;
}

static bool wants_out(struct vcpu *vcpu)
{
	if (__atomic_load_n(&vcpu->kicked, __ATOMIC_SEQ_CST))
		return __atomic_exchange_n(&vcpu->kicked, 0, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&vcpu->run->immediate_exit, __ATOMIC_SEQ_CST) ||
	       signal_waits(vcpu);
}

static int interrupted(struct vcpu *vcpu)
{
	vcpu->run->exit_reason = KVM_EXIT_INTR;
	return -EINTR;
}

/* ---- timers ---- */

static void expire_timer(struct vcpu *vcpu)
{
	uint64_t now;

	apic_update_deadline(vcpu);
	if (vcpu->deadline == CHIP_NEVER)
		return;
	now = clock_now();
	if (now < vcpu->deadline)
		return;
	lapic_expire(&vcpu->lapic, now);
	vcpu->lapic_timer_moved = true;
	apic_update_deadline(vcpu);
}

/*
 * When a counter of cycles may overflow: as if every moment counted, so that
 * a change of privilege need not be heard of.
 */
static uint64_t counter_deadline(const struct vcpu *vcpu)
{
	uint64_t ticks = pmu_deadline(vcpu->cpu);
	unsigned __int128 ns;

	if (ticks == UINT64_MAX || !vcpu->tsc_khz)
		return UINT64_MAX;
	ns = (unsigned __int128)ticks * 1000000u / vcpu->tsc_khz;
	if (ns >= INT64_MAX)
		return UINT64_MAX;
	return clock_now() + MAX((uint64_t)ns, COUNTER_POLL_NS);
}

/* When this thread has to look again while guest code runs. */
static void arm_timer(struct vcpu *vcpu)
{
	struct timer_item *item = &vcpu->timer;
	uint64_t at = vcpu->deadline;

	if (vcpu->sigmask_set)
		at = MIN(at, clock_now() + SIGNAL_POLL_NS);
	if (unlikely(vcpu->cpu->pmu_timed))
		at = MIN(at, counter_deadline(vcpu));
	if (at != __atomic_load_n(&item->deadline, __ATOMIC_RELAXED))
		timer_arm(&vcpu->vm->timer, item, at);
}

/* ---- events ---- */

static bool has_event(struct vcpu *vcpu)
{
	struct cpu *cpu = vcpu->cpu;

	if (__atomic_load_n(&vcpu->pending, __ATOMIC_SEQ_CST))
		return true;
	if (vcpu->mp_state != KVM_MP_STATE_HALTED && !vcpu->halted)
		return false;
	if (cpu->event.valid || vcpu->shutdown ||
	    __atomic_load_n(&vcpu->pv_unhalted, __ATOMIC_SEQ_CST))
		return true;
	if (__atomic_load_n(&vcpu->nmi, __ATOMIC_SEQ_CST) &&
	    cpu_nmi_allowed(cpu))
		return true;
	return cpu->iflag && apic_has_interrupt(vcpu);
}

/* There is room for an interrupt of the client's PIC. */
static bool accepts_user_irq(const struct vcpu *vcpu)
{
	return vcpu->user_irq < 0 &&
	       (!vcpu->has_lapic || lapic_accepts_pic(&vcpu->lapic));
}

/* The client has a PIC and wants to know when its interrupt can be taken. */
static bool wants_window(const struct vcpu *vcpu)
{
	return vcpu->run->request_interrupt_window &&
	       !irqchip_present(&vcpu->vm->irq) && accepts_user_irq(vcpu);
}

/* Hand one event over; note whether more wait for their moment. */
static void inject(struct vcpu *vcpu)
{
	struct cpu *cpu = vcpu->cpu;
	/* in the middle of an instruction its own traps would come later */
	bool whole = !engine_pending(cpu), waiting = false;
	int vector;

	cpu->nmi_pending = false;
	cpu->irq_blocked = 0;
	if (cpu->guest_debug & KVM_GUESTDBG_BLOCKIRQ)
		return;
	cpu->nmi_pending = __atomic_load_n(&vcpu->nmi, __ATOMIC_SEQ_CST);
	if (cpu->nmi_pending && whole && cpu_nmi_allowed(cpu)) {
		cpu_queue_nmi(cpu);
		cpu->nmi_pending = __atomic_sub_fetch(&vcpu->nmi, 1,
						      __ATOMIC_SEQ_CST);
	}
	waiting = cpu->nmi_pending;
	if (apic_has_interrupt(vcpu)) {
		if (whole && cpu_irq_allowed(cpu)) {
			vector = apic_take_interrupt(vcpu);
			if (vector >= 0)
				cpu_queue_irq(cpu, (uint8_t)vector);
		}
		waiting |= apic_has_interrupt(vcpu);
	}
	if (wants_window(vcpu))
		waiting = true;
	cpu->irq_blocked = waiting;
}

/* ---- blocked ---- */

/*
 * The default slack of a timed sleep is 50 us: too late for a tick. Most
 * sleeps end by an event long before: only the last bit of those that do not
 * is worth changing the slack for. The caller looks at the time and comes
 * again. The slack is the client's thread's, which changes it elsewhere than
 * in here: it is asked for once in each KVM_RUN.
 */
static int sleep_until(struct vcpu *vcpu, uint32_t word, uint64_t at)
{
	int slack = -1, ret;
	uint64_t early;

	if (at != UINT64_MAX) {
		if (!vcpu->slack)
			vcpu->slack = prctl(PR_GET_TIMERSLACK);
		slack = vcpu->slack;
	}
	if (slack > 1) {
		early = at - MIN(at, SLACK_MARGIN * (uint64_t)slack);
		if (early > clock_now())
			return timer_wait(sleep_word(vcpu), word, early);
	}
	if (slack > 1)
		prctl(PR_SET_TIMERSLACK, 1ul);
	ret = timer_wait(sleep_word(vcpu), word, at);
	if (slack > 1)
		prctl(PR_SET_TIMERSLACK, (unsigned long)slack);
	return ret;
}

/*
 * Look out for an event for @ns. KVM stops when somebody else could use the
 * processor. What we see of that is that looking aside took long.
 */
static bool poll(struct vcpu *vcpu, uint64_t now, uint64_t ns)
{
	uint64_t end = now + ns, aside = now, before = now;

	vcpu->cpu->stat[CPU_STAT_POLL]++;
	for (;;) {
		expire_timer(vcpu);
		if (has_event(vcpu)) {
			vcpu->cpu->stat[CPU_STAT_POLLED]++;
			lookout_hit(&vcpu->lookout);
			return true;
		}
		if (now >= end || now - before >= LOOKOUT_GAP_NS ||
		    __atomic_load_n(&vcpu->kicked, __ATOMIC_SEQ_CST) ||
		    __atomic_load_n(&vcpu->run->immediate_exit,
				    __ATOMIC_SEQ_CST))
			break;
		for (int i = 0; i < 8; i++)
			__builtin_ia32_pause();
		before = now;
		now = clock_now();
		if (now - aside >= LOOKOUT_YIELD_NS) {
			sched_yield();
			aside = now = clock_now();
		}
	}
	if (now - before >= LOOKOUT_GAP_NS)
		lookout_crowded(&vcpu->lookout);
	return false;
}

static int sleep_for_event(struct vcpu *vcpu)
{
	uint64_t at;
	uint32_t word;
	int ret = 0;

	__atomic_store_n(&vcpu->blocked, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		word = __atomic_load_n(sleep_word(vcpu), __ATOMIC_SEQ_CST);
		expire_timer(vcpu);
		if (has_event(vcpu))
			break;
		if ((word & IMMEDIATE_EXIT) || wants_out(vcpu)) {
			ret = -EINTR;
			break;
		}
		at = vcpu->deadline;
		if (vcpu->sigmask_set)
			at = MIN(at, clock_now() + SIGNAL_POLL_NS);
		vcpu->cpu->stat[CPU_STAT_SLEEP]++;
		if (sleep_until(vcpu, word, at) == -EINTR) {
			ret = -EINTR;
			break;
		}
	}
	__atomic_store_n(&vcpu->blocked, 0, __ATOMIC_SEQ_CST);
	return ret;
}

/* Until there is an event. 0 or -EINTR. */
static int block(struct vcpu *vcpu)
{
	struct lookout *l = &vcpu->lookout;
	uint64_t start, ns = 0;
	int ret;

	l->max = __atomic_load_n(&vcpu->vm->halt_poll_ns, __ATOMIC_RELAXED);
	if (l->max && vcpu->pv.poll_control & 1)
		ns = lookout_ns(l);
	if (!ns)
		return sleep_for_event(vcpu);
	start = clock_now();
	if (poll(vcpu, start, ns))
		return 0;
	ret = sleep_for_event(vcpu);
	if (!l->skip)
		lookout_missed(l, clock_now() - start);
	return ret;
}

/* A vCPU that is not running waits here. 1: look again. */
static int wait_runnable(struct vcpu *vcpu)
{
	pv_eoi_collect(vcpu);
	if (block(vcpu))
		return interrupted(vcpu);
	if (__atomic_load_n(&vcpu->pending, __ATOMIC_SEQ_CST))
		events_accept(vcpu);
	if (vcpu->mp_state == KVM_MP_STATE_HALTED) {
		vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
		__atomic_store_n(&vcpu->pv_unhalted, 0, __ATOMIC_RELAXED);
	}
	vcpu->halted = false;
	return 1;
}

/* An AP that never ran: woken, the client is told to look again. */
static int run_uninitialized(struct vcpu *vcpu)
{
	if (block(vcpu))
		return interrupted(vcpu);
	events_accept(vcpu);
	return -EAGAIN;
}

/* ---- running ---- */

static bool window_open(const struct vcpu *vcpu)
{
	return accepts_user_irq(vcpu) && cpu_irq_allowed(vcpu->cpu);
}

/* Finish an access that needs nobody else. 1, or as exit_handle(). */
static int finish_access(struct vcpu *vcpu)
{
	int ret = 1;

	while (ret > 0 && engine_pending(vcpu->cpu))
		ret = exit_handle(vcpu, engine_complete(vcpu->cpu));
	return ret;
}

/* Whatever the instruction did is complete when the client is told. */
static int report_eoi(struct vcpu *vcpu)
{
	int ret = finish_access(vcpu);

	if (ret <= 0)
		return ret;
	vcpu->run->exit_reason = KVM_EXIT_IOAPIC_EOI;
	vcpu->run->eoi.vector = (uint8_t)vcpu->ioapic_eoi;
	vcpu->ioapic_eoi = -1;
	return 0;
}

static int report_ring(struct vcpu *vcpu)
{
	int ret = finish_access(vcpu);

	if (ret > 0)
		vcpu->run->exit_reason = KVM_EXIT_DIRTY_RING_FULL;
	return MIN(ret, 0);
}

/* The client may have written where translated code came from. */
static void look_for_writes(struct vcpu *vcpu)
{
	uint32_t n = __atomic_load_n(&vcpu->vm->writes, __ATOMIC_ACQUIRE);
	bool told = __atomic_load_n(&vcpu->vm->tells_writes, __ATOMIC_ACQUIRE);

	if (n == vcpu->acquired && (!vcpu->acquire || told))
		return;
	vcpu->acquire = false;
	vcpu->acquired = n;
	engine_acquire(vcpu->cpu);
}

/* One stretch of guest code and what ended it; as exit_handle(). */
static int enter(struct vcpu *vcpu)
{
	struct cpu *cpu = vcpu->cpu;
	int ret;

	__atomic_and_fetch(&cpu->requests,
			   ~(uint32_t)(CPU_REQ_EVENT | CPU_REQ_EXIT),
			   __ATOMIC_SEQ_CST);
	if (vm_is_dead(vcpu->vm))
		return -EIO;
	if (wants_out(vcpu))
		return interrupted(vcpu);
	if (__atomic_load_n(&vcpu->pending, __ATOMIC_SEQ_CST)) {
		events_accept(vcpu);
		return 1;
	}
	if (unlikely(cpu->bus_locked)) {
		cpu->bus_locked = false;
		return exit_handle(vcpu, CPU_EXIT_BUS_LOCK);
	}
	if (vcpu->shutdown) {
		vcpu->shutdown = false;
		return exit_handle(vcpu, CPU_EXIT_SHUTDOWN);
	}
	if (vcpu->has_lapic) {
		pv_eoi_collect(vcpu);
		expire_timer(vcpu);
	}
	if (vcpu->ioapic_eoi >= 0)
		return report_eoi(vcpu);
	if (dirty_ring_full(&vcpu->ring))
		return report_ring(vcpu);
	ret = filter_sync_events(vcpu);
	if (ret)
		return ret;
	inject(vcpu);
	if (vcpu->has_lapic)
		pv_eoi_offer(vcpu);
	pv_enter(vcpu);
	arm_timer(vcpu);
	look_for_writes(vcpu);
	return exit_handle(vcpu, engine_run(cpu));
}

static int run_loop(struct vcpu *vcpu)
{
	int ret = 1;

	while (ret > 0) {
		if (vcpu->mp_state != KVM_MP_STATE_RUNNABLE || vcpu->halted) {
			ret = wait_runnable(vcpu);
			continue;
		}
		if (wants_window(vcpu) && window_open(vcpu)) {
			vcpu->run->exit_reason = KVM_EXIT_IRQ_WINDOW_OPEN;
			return 0;
		}
		ret = enter(vcpu);
	}
	return ret;
}

/* The access the client answered may need another one: see that through. */
static int finish_exit(struct vcpu *vcpu)
{
	exit_fetch(vcpu);
	return finish_access(vcpu);
}

static int run_checked(struct vcpu *vcpu, bool immediate)
{
	struct kvm_run *run = vcpu->run;
	int ret;

	if (vcpu->mp_state == KVM_MP_STATE_UNINITIALIZED)
		return immediate ? -EINTR : run_uninitialized(vcpu);
	ret = sync_load(vcpu);
	if (ret)
		return ret;
	vcpu->bp_len = 0;
	if (!vcpu->has_lapic) {
		if (run->cr8 > 15)
			return -EINVAL;
		vcpu->cpu->cr8 = run->cr8;
		vcpu->last_cr8 = (uint8_t)run->cr8;
	}
	ret = finish_exit(vcpu);
	if (ret <= 0)
		return ret;
	if (immediate)
		return -EINTR;
	vcpu->ran = true;
	vcpu->pv.steal_due = true;
	run->exit_reason = KVM_EXIT_UNKNOWN;
	return run_loop(vcpu);
}

int run_ioctl(struct call *c)
{
	struct vcpu *vcpu = c->vcpu;
	struct kvm_run *run = vcpu->run;
	struct cpu *cpu = vcpu->cpu;
	bool immediate;
	int ret;

	if (c->arg)
		return -EINVAL;
	vcpu->slack = 0;
	immediate = __atomic_load_n(&run->immediate_exit, __ATOMIC_SEQ_CST);
	ret = run_checked(vcpu, immediate);
	sync_store(vcpu);
	run->if_flag = cpu->iflag;
	run->flags = 0;
	run->cr8 = cpu->cr8;
	run->apic_base = cpu->apic_base;
	run->ready_for_interrupt_injection = irqchip_present(&c->vm->irq) ||
					     window_open(vcpu);
	return ret;
}
