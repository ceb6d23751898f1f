/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ends a stretch of guest code: served here by a chip, an ioeventfd or a
 * ring, or handed to the client in struct kvm_run.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "engine/engine.h"
#include "include/uapi/kvm_new.h"
#include "kvm/apic.h"
#include "kvm/failure.h"
#include "kvm/msrs.h"
#include "kvm/run.h"
#include "kvm/vcpu.h"
#include "kvm/vm.h"
#include "lib/check.h"
#include "x86/regs.h"

#define PAGE_MASK (~4095ull)

typedef int exit_fn(struct vcpu *vcpu);

/* ---- ports ---- */

static bool port_one(struct vm *vm, const struct cpu_io *io, uint8_t *data)
{
	if (irqchip_port(vm, io->port, io->in, data, io->size))
		return true;
	return !io->in && bus_serve_write(vm, true, io->port, data, io->size);
}

static int exit_io(struct vcpu *vcpu)
{
	struct cpu_io *io = &vcpu->cpu->io;
	struct kvm_run *run = vcpu->run;
	uint32_t done = 0;

	while (done < io->count &&
	       port_one(vcpu->vm, io, io->data + done * io->size))
		done++;
	if (done) {
		/* Whoever served the first has gone: as an empty bus does. */
		if (io->in)
			memset(io->data + done * io->size, 0xff,
			       (io->count - done) * io->size);
		return 1;
	}
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = io->in ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT;
	run->io.size = io->size;
	run->io.port = io->port;
	run->io.count = io->count;
	run->io.data_offset = KVM_PIO_PAGE_OFFSET * 4096;
	if (!io->in)
		memcpy(vcpu->pio, io->data, (size_t)io->count * io->size);
	return 0;
}

/* ---- memory ---- */

static int exit_mmio(struct vcpu *vcpu)
{
	struct cpu_mmio *m = &vcpu->cpu->mmio;
	struct kvm_run *run = vcpu->run;

	if (apic_mmio(vcpu, m->gpa, m->write, m->data, m->len) ||
	    irqchip_mmio(vcpu->vm, m->gpa, m->write, m->data, m->len))
		return 1;
	if (m->write &&
	    bus_serve_write(vcpu->vm, false, m->gpa, m->data, m->len))
		return 1;
	if (!m->write && failure_of_mmio(vcpu))
		return 0;
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = m->gpa;
	run->mmio.len = m->len;
	run->mmio.is_write = m->write;
	memset(run->mmio.data, 0, sizeof(run->mmio.data));
	if (m->write)
		memcpy(run->mmio.data, m->data, m->len);
	return 0;
}

static int exit_efault(struct vcpu *vcpu)
{
	struct memslots *m = &vcpu->vm->mem;
	struct kvm_run_memory_fault fault = {
		.gpa = vcpu->cpu->fault_gpa & PAGE_MASK,
		.size = 4096,
	};

	pthread_rwlock_rdlock(&m->map_lock);
	if (gmem_is_private(&m->private, fault.gpa))
		fault.flags = KVM_MEMORY_EXIT_FLAG_PRIVATE;
	pthread_rwlock_unlock(&m->map_lock);
	vcpu->run->exit_reason = KVM_EXIT_MEMORY_FAULT;
	memcpy((uint8_t *)vcpu->run + KVM_RUN_EXIT_OFFSET, &fault,
	       sizeof(fault));
	return -EFAULT;
}

/* ---- instructions ---- */

static int exit_hlt(struct vcpu *vcpu)
{
	vcpu->cpu->stat[CPU_STAT_HLT]++;
	if (vcpu->has_lapic) {
		vcpu->mp_state = KVM_MP_STATE_HALTED;
		return 1;
	}
	if (vcpu->vm->hlt_in_guest) {
		vcpu->halted = true;
		return 1;
	}
	vcpu->run->exit_reason = KVM_EXIT_HLT;
	return 0;
}

static int exit_msr(struct vcpu *vcpu)
{
	struct cpu_msr_access *a = &vcpu->cpu->msr;
	struct kvm_run *run = vcpu->run;

	if (a->reason == CPU_MSR_OWNED) {
		msrs_exit(vcpu);
		if (!a->failed || !(vcpu->cpu->msr_exits & CPU_MSR_INVALID))
			return 1;
		a->reason = CPU_MSR_INVALID;
	}
	run->exit_reason = a->write ? KVM_EXIT_X86_WRMSR : KVM_EXIT_X86_RDMSR;
	run->msr.error = 0;
	memset(run->msr.pad, 0, sizeof(run->msr.pad));
	run->msr.reason = a->reason;
	run->msr.index = a->index;
	run->msr.data = a->write ? a->data : 0;
	return 0;
}

static int exit_hypercall(struct vcpu *vcpu)
{
	return pv_hypercall(vcpu);
}

static int exit_cr8(struct vcpu *vcpu)
{
	struct cpu *cpu = vcpu->cpu;
	uint8_t old = vcpu->last_cr8;

	vcpu->last_cr8 = (uint8_t)cpu->cr8;
	if (vcpu->has_lapic) {
		lapic_set_cr8(&vcpu->lapic, (uint8_t)cpu->cr8);
		return 1;
	}
	if (old <= cpu->cr8)
		return 1;
	vcpu->run->exit_reason = KVM_EXIT_SET_TPR;
	return 0;
}

static int exit_shutdown(struct vcpu *vcpu)
{
	vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
	return 0;
}

static int exit_debug(struct vcpu *vcpu)
{
	const struct cpu_debug_exit *d = &vcpu->cpu->debug_exit;
	struct kvm_run *run = vcpu->run;

	vcpu->bp_len = d->exception == VEC_BP;
	run->exit_reason = KVM_EXIT_DEBUG;
	run->debug.arch.exception = d->exception;
	run->debug.arch.pad = 0;
	run->debug.arch.pc = d->pc;
	run->debug.arch.dr6 = d->dr6;
	run->debug.arch.dr7 = d->dr7;
	return 0;
}

static int exit_internal(struct vcpu *vcpu)
{
	failure_report(vcpu);
	return 0;
}

/* Events and requests: the loop looks for them anyway. */
static int exit_again(struct vcpu *vcpu)
{
	(void)vcpu;
	return 1;
}

static int exit_bus_lock(struct vcpu *vcpu)
{
	vcpu->run->exit_reason = KVM_EXIT_X86_BUS_LOCK;
	return 0;
}

static exit_fn *const exits[] = {
	[CPU_EXIT_NONE] = exit_again,
	[CPU_EXIT_IO] = exit_io,
	[CPU_EXIT_MMIO] = exit_mmio,
	[CPU_EXIT_HLT] = exit_hlt,
	[CPU_EXIT_IRQ] = exit_again,
	[CPU_EXIT_REQUEST] = exit_again,
	[CPU_EXIT_MSR] = exit_msr,
	[CPU_EXIT_HYPERCALL] = exit_hypercall,
	[CPU_EXIT_SHUTDOWN] = exit_shutdown,
	[CPU_EXIT_DEBUG] = exit_debug,
	[CPU_EXIT_CR8] = exit_cr8,
	[CPU_EXIT_EFAULT] = exit_efault,
	[CPU_EXIT_INTERNAL] = exit_internal,
	[CPU_EXIT_NMI_WINDOW] = exit_again,
	[CPU_EXIT_BUS_LOCK] = exit_bus_lock,
	[CPU_EXIT_PMI] = exit_again,
};

int exit_handle(struct vcpu *vcpu, enum cpu_exit_kind kind)
{
	int ret;

	ASSERT((size_t)kind < ARRAY_SIZE(exits));
	if (unlikely(vcpu->cpu->pmi))
		apic_pmi(vcpu);
	ret = exits[kind](vcpu);
	vcpu->user_exit = ret == 0 ? kind : CPU_EXIT_NONE;
	return ret;
}

/* kvm_run is shared: each value is read once. */
void exit_fetch(struct vcpu *vcpu)
{
	struct cpu *cpu = vcpu->cpu;
	struct kvm_run *run = vcpu->run;
	int kind = vcpu->user_exit;

	vcpu->user_exit = CPU_EXIT_NONE;
	switch (kind) {
	case CPU_EXIT_IO:
		if (cpu->io.in)
			memcpy(cpu->io.data, vcpu->pio,
			       (size_t)cpu->io.count * cpu->io.size);
		break;
	case CPU_EXIT_MMIO:
		if (!cpu->mmio.write && engine_pending(cpu))
			memcpy(cpu->mmio.data, run->mmio.data, cpu->mmio.len);
		break;
	case CPU_EXIT_MSR:
		cpu->msr.failed = run->msr.error != 0;
		if (!cpu->msr.write)
			cpu->msr.data = run->msr.data;
		break;
	case CPU_EXIT_HYPERCALL: pv_hypercall_done(vcpu); break;
	case CPU_EXIT_NONE: return;
	default: break;
	}
	vcpu->acquire = true;
}
