/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run loop. A kick is immediate_exit, which closes the window before
 * KVM_RUN, and a signal, which ends one already running.
 */
#include "vmm/vcpu.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/cpuid.h"
#include "vmm/hv.h"
#include "vmm/machine.h"
#include "vmm/stop.h"

static void on_kick(int sig)
{
}

void vcpu_install_kick(void)
{
	struct sigaction sa = {.sa_handler = on_kick};

	sigaction(VCPU_KICK, &sa, NULL);
}

static int vcpu_ioctl(struct vcpu *v, unsigned long req, void *arg)
{
	return hv_ioctl(v->machine->hv, v->fd, req, (unsigned long)arg);
}

/* The data of one KVM_EXIT_IO, or NULL when the KVM put it out of bounds. */
static uint8_t *io_data(struct vcpu *v)
{
	const struct kvm_run *run = v->run;
	uint64_t len = (uint64_t)run->io.size * run->io.count;

	if (run->io.size != 1 && run->io.size != 2 && run->io.size != 4)
		return NULL;
	if (run->io.data_offset > v->run_size ||
	    len > v->run_size - run->io.data_offset)
		return NULL;
	return (uint8_t *)v->run + run->io.data_offset;
}

static void exit_io(struct vcpu *v)
{
	const struct kvm_run *run = v->run;
	unsigned size = run->io.size;
	uint8_t *p = io_data(v);
	uint32_t i;

	if (!p) {
		stop_fail(v->machine->stop, -EPROTO,
			  "vcpu%u: KVM_EXIT_IO with data out of bounds",
			  v->index);
		return;
	}
	for (i = 0; i < run->io.count; i++, p += size)
		machine_pio(v->machine, run->io.port, p, size,
			    run->io.direction == KVM_EXIT_IO_OUT);
}

static void exit_mmio(struct vcpu *v)
{
	struct kvm_run *run = v->run;

	if (run->mmio.len == 0 || run->mmio.len > sizeof(run->mmio.data)) {
		stop_fail(v->machine->stop, -EPROTO,
			  "vcpu%u: KVM_EXIT_MMIO of %u bytes", v->index,
			  run->mmio.len);
		return;
	}
	machine_mmio(v->machine, run->mmio.phys_addr, run->mmio.data,
		     run->mmio.len, run->mmio.is_write);
}

static void exit_shutdown(struct vcpu *v)
{
	stop_request(v->machine->stop, STOP_TRIPLE_FAULT, 0);
}

/* The guest instruction pointer for a message; 0 when it is not to be had. */
static uint64_t rip_of(struct vcpu *v)
{
	struct kvm_regs regs = {0};

	return vcpu_ioctl(v, KVM_GET_REGS, &regs) ? 0 : regs.rip;
}

static void exit_internal_error(struct vcpu *v)
{
	const struct kvm_run *run = v->run;
	char data[160] = "";
	size_t used = 0;
	uint32_t i;

	for (i = 0; i < run->internal.ndata && i < 8; i++)
		used += (size_t)snprintf(data + used, sizeof(data) - used,
					 " %" PRIx64,
					 (uint64_t)run->internal.data[i]);
	stop_fail(v->machine->stop, -EIO,
		  "vcpu%u: the KVM gave up: internal error %u at rip "
		  "%#" PRIx64 "%s%s",
		  v->index, run->internal.suberror, rip_of(v),
		  used ? ", data" : "", data);
}

static void exit_fail_entry(struct vcpu *v)
{
	stop_fail(v->machine->stop, -EIO,
		  "vcpu%u: the KVM cannot enter the guest: reason %#" PRIx64
		  " at rip %#" PRIx64,
		  v->index,
		  (uint64_t)v->run->fail_entry.hardware_entry_failure_reason,
		  rip_of(v));
}

static void exit_system_event(struct vcpu *v)
{
	switch (v->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		stop_request(v->machine->stop, STOP_POWER_OFF, 0);
		break;
	case KVM_SYSTEM_EVENT_RESET:
		stop_request(v->machine->stop, STOP_RESET, 0);
		break;
	default: stop_request(v->machine->stop, STOP_PANIC, 0); break;
	}
}

/* Nothing to do but to go on. */
static void exit_again(struct vcpu *v)
{
}

static void (*const exits[])(struct vcpu *v) = {
	[KVM_EXIT_IO] = exit_io,
	[KVM_EXIT_MMIO] = exit_mmio,
	[KVM_EXIT_SHUTDOWN] = exit_shutdown,
	[KVM_EXIT_INTR] = exit_again,
	[KVM_EXIT_IRQ_WINDOW_OPEN] = exit_again,
	[KVM_EXIT_FAIL_ENTRY] = exit_fail_entry,
	[KVM_EXIT_INTERNAL_ERROR] = exit_internal_error,
	[KVM_EXIT_SYSTEM_EVENT] = exit_system_event,
};

static void dispatch(struct vcpu *v)
{
	uint32_t reason = v->run->exit_reason;

	if (reason < ARRAY_SIZE(exits) && exits[reason])
		exits[reason](v);
	else
		stop_fail(v->machine->stop, -EIO,
			  "vcpu%u: unexpected exit %u from the KVM at rip "
			  "%#" PRIx64,
			  v->index, reason, rip_of(v));
}

static void *vcpu_main(void *arg)
{
	struct vcpu *v = arg;
	struct stop *stop = v->machine->stop;
	int ret;

	__atomic_store_n(&v->tid, gettid(), __ATOMIC_RELAXED);
	while (gate_pass(&v->machine->gate)) {
		ret = vcpu_ioctl(v, KVM_RUN, NULL);
		if (ret >= 0) {
			dispatch(v);
		} else if (ret == -EINTR || ret == -EAGAIN) {
			/* Cleared before the gate: a kick is not lost. */
			__atomic_store_n(&v->run->immediate_exit, 0,
					 __ATOMIC_SEQ_CST);
		} else {
			stop_fail(stop, ret,
				  "vcpu%u: KVM_RUN fails: %s at rip %#" PRIx64,
				  v->index, strerror(-ret), rip_of(v));
		}
	}
	return NULL;
}

int vcpu_run_size(struct machine *m, struct err *e)
{
	int ret = HV_CALLN(m->hv, m->hv->fd, KVM_GET_VCPU_MMAP_SIZE, 0, e);

	if (ret < 0)
		return ret;
	if ((size_t)ret < sizeof(struct kvm_run))
		return err_set(e, -EPROTO,
			       "%s answers KVM_GET_VCPU_MMAP_SIZE with %d, "
			       "less than the %zu bytes of struct kvm_run",
			       m->hv->ops->what, ret, sizeof(struct kvm_run));
	return ret;
}

/*
 * HWCR.TscFreqSel: the TSC counts at P0's frequency. Linux looks for it where
 * the TSC is invariant, on AMD's from family 10H on. Other guests read P0's
 * definition then, so it has to be there; the kernel's KVM has none.
 */
static bool tsc_counts_p0(struct vcpu *v, struct kvm_cpuid2 *cpuid)
{
	const struct cpu_def *def = v->machine->host->cpu;
	const struct kvm_cpuid_entry2 *power = cpuid_find(cpuid, 0x80000007, 0);
	union {
		struct kvm_msrs head;
		uint8_t room[sizeof(struct kvm_msrs) +
			     sizeof(struct kvm_msr_entry)];
	} p0 = {.head = {.nmsrs = 1}};

	if (!cpu_is_amd(def) || def->family < 0x10 || !power ||
	    !(power->edx & BIT(8)))
		return false;
	p0.head.entries[0].index = 0xc0010064;
	return hv_ioctl(v->machine->hv, v->fd, KVM_GET_MSRS, (uintptr_t)&p0) ==
	       1;
}

/*
 * MSRs that firmware would have set, memory types and fast strings, and those
 * that list features.
 */
static int set_msrs(struct vcpu *v, struct kvm_cpuid2 *cpuid, struct err *e)
{
	union {
		struct kvm_msrs head;
		uint8_t room[sizeof(struct kvm_msrs) +
			     (3 + TABLE_MSRS) * sizeof(struct kvm_msr_entry)];
	} msrs;
	struct kvm_msr_entry *entry = msrs.head.entries;
	const struct kvm_cpuid_entry2 *one = cpuid_find(cpuid, 1, 0);
	uint32_t n = 0;
	int ret;

	memset(&msrs, 0, sizeof(msrs));
	if (one && (one->edx & BIT(12))) /* MTRRs: on, write-back by default */
		entry[n++] = (struct kvm_msr_entry){
			.index = 0x2ff,
			.data = 0x806,
		};
	if (cpuid_is_intel(cpuid)) /* MISC_ENABLE: no BTS, no PEBS */
		entry[n++] = (struct kvm_msr_entry){
			.index = 0x1a0,
			.data = 0x1801,
		};
	if (tsc_counts_p0(v, cpuid))
		entry[n++] = (struct kvm_msr_entry){
			.index = 0xc0010015,
			.data = BIT(24),
		};
	n += table_msrs(v->machine->host->cpu, &entry[n]);
	if (!n)
		return 0;
	msrs.head.nmsrs = n;
	ret = HV_CALL(v->machine->hv, v->fd, KVM_SET_MSRS, &msrs, e);
	if (ret < 0)
		return ret;
	if ((uint32_t)ret != n)
		return err_set(
			e, -EPROTO, "%s takes only %d of %u MSRs (%#x refused)",
			v->machine->hv->ops->what, ret, n, entry[ret].index);
	return 0;
}

/* LINT0 takes the 8259s' interrupts on the boot CPU, LINT1 is NMI on all. */
static int set_lapic(struct vcpu *v, struct err *e)
{
	struct kvm_lapic_state lapic;
	const uint32_t lint0 = 0x700, lint1 = 0x400;
	int ret;

	ret = HV_CALL(v->machine->hv, v->fd, KVM_GET_LAPIC, &lapic, e);
	if (ret < 0)
		return ret;
	if (v->index == 0)
		memcpy(lapic.regs + 0x350, &lint0, sizeof(lint0));
	memcpy(lapic.regs + 0x360, &lint1, sizeof(lint1));
	ret = HV_CALL(v->machine->hv, v->fd, KVM_SET_LAPIC, &lapic, e);
	return MIN(ret, 0);
}

static int map_run(struct vcpu *v, size_t run_size, struct err *e)
{
	struct hv *hv = v->machine->hv;
	void *p = NULL;
	int ret = hv->ops->mmap(hv->priv, v->fd, run_size, &p);

	if (ret < 0)
		return err_set(e, ret, "%s cannot map struct kvm_run: %s",
			       hv->ops->what, strerror(-ret));
	v->run = p;
	v->run_size = run_size;
	return 0;
}

int vcpu_create(struct vcpu *v, struct machine *m, unsigned index,
		size_t run_size, struct kvm_cpuid2 *cpuid, struct err *e)
{
	int ret;

	*v = (struct vcpu){.machine = m, .index = index, .fd = -1};
	ret = HV_CALLN(m->hv, m->vm_fd, KVM_CREATE_VCPU, m->apic_id[index], e);
	if (ret < 0)
		return ret;
	v->fd = ret;
	ret = map_run(v, run_size, e);
	if (!ret)
		ret = HV_CALL(m->hv, v->fd, KVM_SET_CPUID2, cpuid, e);
	if (ret >= 0)
		ret = set_msrs(v, cpuid, e);
	if (ret >= 0)
		ret = set_lapic(v, e);
	if (ret >= 0)
		return 0;
	vcpu_destroy(v);
	return ret;
}

int vcpu_start(struct vcpu *v, struct err *e)
{
	int ret = pthread_create(&v->thread, NULL, vcpu_main, v);
	char name[16];

	if (ret)
		return err_set(e, -ret, "cannot start vcpu%u's thread: %s",
			       v->index, strerror(ret));
	v->started = true;
	snprintf(name, sizeof(name), "vcpu%u", v->index);
	pthread_setname_np(v->thread, name);
	return 0;
}

pid_t vcpu_tid(const struct vcpu *v)
{
	return __atomic_load_n(&v->tid, __ATOMIC_RELAXED);
}

void vcpu_kick(struct vcpu *v)
{
	if (!v->started)
		return;
	__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(v->thread, VCPU_KICK);
}

void vcpu_join(struct vcpu *v)
{
	if (v->started)
		pthread_join(v->thread, NULL);
	v->started = false;
}

void vcpu_destroy(struct vcpu *v)
{
	struct hv *hv = v->machine ? v->machine->hv : NULL;

	if (!hv || v->fd < 0)
		return;
	if (v->run)
		hv->ops->munmap(hv->priv, v->fd, v->run, v->run_size);
	hv_close_fd(hv, v->fd);
	v->run = NULL;
	v->fd = -1;
}
