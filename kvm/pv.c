/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paravirtual services. Documents: Linux Documentation/virt/kvm/x86/msr.rst,
 * cpuid.rst, hypercalls.rst. Left out: asynchronous page faults, MMU calls,
 * clock pairing, TLB flush by flag.
 */
#include "kvm/pv.h"

#include <asm/kvm_para.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/kvm_para.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cpu/cpuid.h"
#include "kvm/apic.h"
#include "kvm/handler.h"
#include "kvm/tsc.h"
#include "kvm/vcpu.h"
#include "kvm/vm.h"

#define NS_SEC          1000000000ll
#define PV_TSC_STABLE   BIT(0) /* pvclock flags */
#define PV_GUEST_PAUSED BIT(1)
#define STEAL_PERIOD_NS 100000ull /* steal_time, a selftest, wants it fresh */
#define EOI_PAGE        (~3ull)

/* Other hypervisors' leaves may come before ours. */
#define SIGNATURE_FIRST 0x40000000u
#define SIGNATURE_LAST  0x4000ff00u
#define SIGNATURE_STEP  0x100u

static bool is_signature(const struct cpuid_entry *e)
{
	const uint32_t words[3] = {e->ebx, e->ecx, e->edx};

	return !memcmp(words, KVM_SIGNATURE, sizeof(words));
}

static uint32_t features(const struct vcpu *vcpu)
{
	const struct cpuid_entry *e;

	if (!vcpu->pv.enforce)
		return UINT32_MAX;
	for (uint32_t leaf = SIGNATURE_FIRST; leaf <= SIGNATURE_LAST;
	     leaf += SIGNATURE_STEP) {
		e = cpuid_lookup(vcpu->cpu, leaf, 0);
		if (!e || !is_signature(e))
			continue;
		e = cpuid_lookup(vcpu->cpu, leaf + 1, 0);
		return e ? e->eax : 0;
	}
	return 0;
}

/* A guest that halts for itself cannot be woken by a hypercall. */
void pv_adjust_cpuid(const struct vcpu *vcpu, struct cpuid_entry *e, uint32_t n)
{
	uint32_t leaf = 0;

	if (!vcpu->vm->hlt_in_guest)
		return;
	for (uint32_t i = 0; i < n && !leaf; i++)
		if (e[i].leaf >= SIGNATURE_FIRST &&
		    e[i].leaf <= SIGNATURE_LAST &&
		    e[i].leaf % SIGNATURE_STEP == 0 && is_signature(&e[i]))
			leaf = e[i].leaf + 1;
	for (uint32_t i = 0; i < n; i++)
		if (leaf && e[i].leaf == leaf)
			e[i].eax &= ~BIT(KVM_FEATURE_PV_UNHALT);
}

void pv_init(struct vcpu *vcpu)
{
	vcpu->pv = (struct pv){.sched_fd = -1, .poll_control = 1};
}

void pv_destroy(struct vcpu *vcpu)
{
	if (vcpu->pv.sched_fd >= 0)
		close(vcpu->pv.sched_fd);
}

/* ---- clocks ---- */

static void write_wall_clock(struct vcpu *vcpu, uint64_t gpa)
{
	struct {
		uint32_t version, sec, nsec;
	} w = {0};
	struct timespec ts;
	int64_t boot;

	if (memslot_read(vcpu, gpa, &w.version, sizeof(w.version)))
		return;
	w.version += w.version & 1;
	w.version++;
	if (memslot_write(vcpu, gpa, &w.version, sizeof(w.version)))
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	boot = (int64_t)((uint64_t)(ts.tv_sec * NS_SEC + ts.tv_nsec) -
			 (uint64_t)clock_read(&vcpu->vm->clock));
	w.sec = (uint32_t)(boot / NS_SEC);
	w.nsec = (uint32_t)(boot % NS_SEC);
	w.version++;
	if (memslot_write(vcpu, gpa + 4, &w.sec, 8) ||
	    memslot_write(vcpu, gpa, &w.version, sizeof(w.version)))
		return;
}

static void write_clock(struct vcpu *vcpu)
{
	struct pv *pv = &vcpu->pv;
	uint64_t gpa = pv->system_time & ~1ull;
	struct clock_pvclock page = {.flags = PV_TSC_STABLE};
	struct clock_tsc tsc = tsc_of(vcpu);

	pv->clock_tsc_offset = tsc.offset;
	pv->clock_generation = clock_fill(&vcpu->vm->clock, &tsc, &page);
	if (pv->clock_paused)
		page.flags |= PV_GUEST_PAUSED;
	pv->clock_paused = false;
	vcpu->cpu->clock_dirty = false;
	pv->clock_version += 2;
	page.version = pv->clock_version - 1;
	if (memslot_write(vcpu, gpa, &page.version, sizeof(page.version)) ||
	    memslot_write(vcpu, gpa + 4, (uint8_t *)&page + 4,
			  sizeof(page) - 4))
		return;
	page.version++;
	if (memslot_write(vcpu, gpa, &page.version, sizeof(page.version)))
		return;
}

static bool clock_stale(const struct vcpu *vcpu)
{
	const struct pv *pv = &vcpu->pv;

	return (pv->system_time & KVM_MSR_ENABLED) &&
	       (pv->clock_paused || vcpu->cpu->clock_dirty ||
		pv->clock_tsc_offset != vcpu->cpu->tsc_offset ||
		pv->clock_generation !=
			__atomic_load_n(&vcpu->vm->clock.generation,
					__ATOMIC_ACQUIRE));
}

/* ---- steal time ---- */

/* Asked at every exit: its number would be a system call. */
static uintptr_t this_thread(void)
{
	return (uintptr_t)pthread_self();
}

/* Time the calling thread waited for a processor, from schedstat. */
static bool read_run_delay(struct pv *pv, uint64_t *ns)
{
	uintptr_t thread = this_thread();
	char buf[96];
	ssize_t n;

	if (pv->sched_thread != thread || pv->sched_fd < 0) {
		if (pv->sched_fd >= 0)
			close(pv->sched_fd);
		pv->sched_fd = open("/proc/thread-self/schedstat",
				    O_RDONLY | O_CLOEXEC);
		pv->sched_thread = thread;
		pv->run_delay = UINT64_MAX;
	}
	n = pread(pv->sched_fd, buf, sizeof(buf) - 1, 0);
	if (n <= 0) { /* of a thread that is no more, another has its name */
		close(pv->sched_fd);
		pv->sched_fd = -1;
		return false;
	}
	buf[n] = 0;
	return sscanf(buf, "%*u %lu", ns) == 1;
}

static void write_steal(struct vcpu *vcpu, uint64_t now)
{
	struct pv *pv = &vcpu->pv;
	uint64_t gpa = pv->steal & KVM_STEAL_VALID_BITS;
	struct kvm_steal_time st;
	uint64_t delay = pv->run_delay;

	pv->steal_due = false;
	if (now >= pv->steal_next_ns || pv->sched_thread != this_thread()) {
		pv->steal_next_ns = now + STEAL_PERIOD_NS;
		if (!read_run_delay(pv, &delay))
			return;
	}
	if (memslot_read(vcpu, gpa, &st, sizeof(st)))
		return;
	if (pv->run_delay == UINT64_MAX)
		pv->run_delay = st.steal ? delay : 0;
	st.version += 1 + (st.version & 1);
	if (memslot_write(vcpu, gpa + offsetof(struct kvm_steal_time, version),
			  &st.version, sizeof(st.version)))
		return;
	st.steal += delay - pv->run_delay;
	pv->run_delay = delay;
	st.version++;
	st.preempted = 0;
	if (memslot_write(vcpu, gpa, &st.steal, sizeof(st.steal)) ||
	    memslot_write(vcpu, gpa + offsetof(struct kvm_steal_time, version),
			  &st.version, sizeof(st.version)) ||
	    memslot_write(vcpu,
			  gpa + offsetof(struct kvm_steal_time, preempted),
			  &st.preempted, sizeof(st.preempted)))
		return;
}

void pv_enter(struct vcpu *vcpu)
{
	struct pv *pv = &vcpu->pv;
	uint64_t now;

	if (clock_stale(vcpu))
		write_clock(vcpu);
	if (!(pv->steal & KVM_MSR_ENABLED))
		return;
	now = clock_now();
	if (now < pv->steal_next_ns && !pv->steal_due)
		return;
	write_steal(vcpu, now);
}

/* ---- EOI ---- */

void pv_eoi_offer(struct vcpu *vcpu)
{
	struct pv *pv = &vcpu->pv;
	uint8_t flag = KVM_PV_EOI_ENABLED;

	if (!(pv->eoi & KVM_MSR_ENABLED) || pv->eoi_pending ||
	    !lapic_eoi_lazy(&vcpu->lapic))
		return;
	if (memslot_write(vcpu, pv->eoi & EOI_PAGE, &flag, 1) == 0)
		pv->eoi_pending = true;
}

void pv_eoi_collect(struct vcpu *vcpu)
{
	struct pv *pv = &vcpu->pv;
	uint64_t gpa = pv->eoi & EOI_PAGE;
	uint8_t flag, none = 0;

	if (!pv->eoi_pending)
		return;
	pv->eoi_pending = false;
	if (memslot_read(vcpu, gpa, &flag, 1))
		return;
	if (flag & KVM_PV_EOI_ENABLED) {
		/* Not ended yet: from here on by the register. */
		if (memslot_write(vcpu, gpa, &none, 1))
			return;
		return;
	}
	lapic_eoi(&vcpu->lapic);
	apic_sync_cr8(vcpu);
}

/* ---- MSRs ---- */

/* The CPUID bit that gives a guest an MSR, as a mask; 0: none of ours. */
static uint32_t gate(uint32_t index)
{
	switch (index) {
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_SYSTEM_TIME: return BIT(KVM_FEATURE_CLOCKSOURCE);
	case MSR_KVM_WALL_CLOCK_NEW:
	case MSR_KVM_SYSTEM_TIME_NEW: return BIT(KVM_FEATURE_CLOCKSOURCE2);
	case MSR_KVM_STEAL_TIME: return BIT(KVM_FEATURE_STEAL_TIME);
	case MSR_KVM_PV_EOI_EN: return BIT(KVM_FEATURE_PV_EOI);
	case MSR_KVM_POLL_CONTROL: return BIT(KVM_FEATURE_POLL_CONTROL);
	default: return 0;
	}
}

static uint64_t *slot(struct pv *pv, uint32_t index)
{
	switch (index) {
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_WALL_CLOCK_NEW: return &pv->wall_clock;
	case MSR_KVM_SYSTEM_TIME:
	case MSR_KVM_SYSTEM_TIME_NEW: return &pv->system_time;
	case MSR_KVM_STEAL_TIME: return &pv->steal;
	case MSR_KVM_PV_EOI_EN: return &pv->eoi;
	default: return &pv->poll_control;
	}
}

int pv_msr_get(struct vcpu *vcpu, uint32_t index, uint64_t *val, bool host)
{
	uint32_t bit = gate(index);

	if (!bit)
		return -ENOENT;
	if (!host && !(features(vcpu) & bit))
		return -EINVAL;
	*val = *slot(&vcpu->pv, index);
	return 0;
}

static int set_eoi(struct vcpu *vcpu, uint64_t val)
{
	uint8_t none = 0;

	if (!vcpu->has_lapic && (val & KVM_MSR_ENABLED))
		return -EINVAL;
	if (val & 2)
		return -EINVAL;
	pv_eoi_collect(vcpu);
	vcpu->pv.eoi = val;
	if ((val & KVM_MSR_ENABLED) &&
	    memslot_write(vcpu, val & EOI_PAGE, &none, 1))
		vcpu->pv.eoi = 0;
	return 0;
}

int pv_msr_set(struct vcpu *vcpu, uint32_t index, uint64_t val, bool host)
{
	struct pv *pv = &vcpu->pv;
	uint32_t bit = gate(index);

	if (!bit)
		return -ENOENT;
	if (!host && !(features(vcpu) & bit))
		return -EINVAL;
	switch (index) {
	case MSR_KVM_PV_EOI_EN: return set_eoi(vcpu, val);
	case MSR_KVM_STEAL_TIME:
		if (val & KVM_STEAL_RESERVED_MASK)
			return -EINVAL;
		pv->steal_next_ns = 0;
		pv->sched_thread = 0;
		break;
	case MSR_KVM_POLL_CONTROL:
		if (val & ~1ull)
			return -EINVAL;
		break;
	case MSR_KVM_SYSTEM_TIME:
	case MSR_KVM_SYSTEM_TIME_NEW: pv->clock_generation = 0; break;
	default: break;
	}
	*slot(pv, index) = val;
	if (index == MSR_KVM_WALL_CLOCK || index == MSR_KVM_WALL_CLOCK_NEW)
		write_wall_clock(vcpu, val);
	return 0;
}

int pv_kvmclock_ctrl(struct call *c)
{
	if (!(c->vcpu->pv.system_time & KVM_MSR_ENABLED))
		return -EINVAL;
	c->vcpu->pv.clock_paused = true;
	return 0;
}

/* ---- hypercalls ---- */

struct hypercall {
	uint64_t nr, a[4];
};

static struct vcpu *find_apic(struct vm *vm, uint64_t apic_id)
{
	for (uint32_t i = 0; i < vm_vcpus(vm); i++)
		if (vm->vcpus[i]->has_lapic &&
		    vm->vcpus[i]->lapic.id == apic_id)
			return vm->vcpus[i];
	return NULL;
}

static int64_t kick_cpu(struct vcpu *vcpu, uint64_t apic_id)
{
	struct vcpu *to = find_apic(vcpu->vm, apic_id);

	if (to) {
		__atomic_store_n(&to->pv_unhalted, 1, __ATOMIC_SEQ_CST);
		vcpu_kick(to);
	}
	sched_yield();
	return 0;
}

/* Two words of a bitmap of APIC ids from a2 on, icr in a3. */
static int64_t send_ipi(struct vcpu *vcpu, const struct hypercall *h, bool wide)
{
	struct irq_msg m = {
		.vector = (uint8_t)h->a[3],
		.delivery = h->a[3] >> 8 & 7,
		.assert_ = true,
	};
	uint32_t bits = wide ? 64 : 32;
	int64_t count = 0;
	struct vcpu *to;

	if (h->a[3] & 0x800 ||
	    (m.delivery != IRQ_FIXED && m.delivery != IRQ_NMI))
		return -KVM_EINVAL;
	for (uint32_t i = 0; i < 2 * bits; i++) {
		if (!(h->a[i / bits] >> i % bits & 1))
			continue;
		to = find_apic(vcpu->vm, (uint32_t)h->a[2] + i);
		if (!to)
			continue;
		m.dest = to->lapic.id;
		count++;
		if (m.delivery == IRQ_NMI)
			vcpu_post_nmi(to);
		else if (lapic_set_irq(&to->lapic, m.vector, false))
			vcpu_kick(to);
	}
	return count;
}

/* A guest tells which memory it shares: the client decides. */
static bool map_gpa_range(struct vcpu *vcpu, const struct hypercall *h,
			  bool wide, int64_t *ret)
{
	struct kvm_run *run = vcpu->run;
	uint64_t gpa = h->a[0], pages = h->a[1];

	*ret = -KVM_ENOSYS;
	if (!(vcpu->vm->hypercall_exits & BIT64(KVM_HC_MAP_GPA_RANGE)))
		return true;
	*ret = -KVM_EINVAL;
	if (gpa % 4096 || !pages || (gpa >> 12) + pages <= gpa >> 12)
		return true;
	run->exit_reason = KVM_EXIT_HYPERCALL;
	memset(&run->hypercall, 0, sizeof(run->hypercall));
	run->hypercall.nr = h->nr;
	for (int i = 0; i < 3; i++)
		run->hypercall.args[i] = h->a[i];
	run->hypercall.longmode = wide;
	return false;
}

static int64_t serve(struct vcpu *vcpu, const struct hypercall *h, bool wide)
{
	uint32_t f = features(vcpu);

	switch (h->nr) {
	case KVM_HC_VAPIC_POLL_IRQ: return 0;
	case KVM_HC_KICK_CPU:
		if (!(f & BIT(KVM_FEATURE_PV_UNHALT)))
			break;
		return kick_cpu(vcpu, h->a[1]);
	case KVM_HC_SEND_IPI:
		if (!(f & BIT(KVM_FEATURE_PV_SEND_IPI)) || !vcpu->has_lapic)
			break;
		return send_ipi(vcpu, h, wide);
	case KVM_HC_SCHED_YIELD:
		if (!(f & BIT(KVM_FEATURE_PV_SCHED_YIELD)))
			break;
		sched_yield();
		return 0;
	default: break;
	}
	return -KVM_ENOSYS;
}

void pv_hypercall_done(struct vcpu *vcpu)
{
	struct cpu *cpu = vcpu->cpu;
	uint64_t ret = vcpu->run->hypercall.ret;

	cpu->gpr[REG_RAX] = cpu->code_bits == 64 ? ret : (uint32_t)ret;
}

bool pv_hypercall(struct vcpu *vcpu)
{
	struct cpu *cpu = vcpu->cpu;
	bool wide = cpu->code_bits == 64;
	uint64_t mask = wide ? UINT64_MAX : UINT32_MAX;
	struct hypercall h = {
		.nr = cpu->gpr[REG_RAX] & mask,
		.a = {cpu->gpr[REG_RBX] & mask, cpu->gpr[REG_RCX] & mask,
		      cpu->gpr[REG_RDX] & mask, cpu->gpr[REG_RSI] & mask},
	};
	int64_t ret = -KVM_EPERM;

	if (!cpu->cpl && h.nr == KVM_HC_MAP_GPA_RANGE) {
		if (!map_gpa_range(vcpu, &h, wide, &ret))
			return false;
	} else if (!cpu->cpl) {
		ret = serve(vcpu, &h, wide);
	}
	cpu->gpr[REG_RAX] = (uint64_t)ret & mask;
	return true;
}
