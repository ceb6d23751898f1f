/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM_CHECK_EXTENSION. A capability that stands in kvm/ioctl.def is answered
 * with 1; this table has those with another value or without an ioctl of
 * their own. What is in neither does not exist and is answered with 0.
 */
#include <errno.h>
#include <unistd.h>

#include "cpu/msr.h"
#include "cpu/xstate.h"
#include "include/lodge.h"
#include "include/uapi/kvm_new.h"
#include "kvm/dirty.h"
#include "kvm/gmem.h"
#include "kvm/handler.h"
#include "kvm/system.h"
#include "kvm/vm.h"

struct cap {
	uint32_t number;
	uint32_t value;
};

static const struct cap caps[] = {
	{KVM_CAP_IRQCHIP, 1}, /* its number is 0: "none" in a row */
	{KVM_CAP_SPLIT_IRQCHIP, 1},
	{KVM_CAP_HLT, 1},
	{KVM_CAP_NR_MEMSLOTS, MEMSLOT_COUNT},
	{KVM_CAP_NOP_IO_DELAY, 1},
	{KVM_CAP_COALESCED_MMIO, KVM_COALESCED_MMIO_PAGE_OFFSET},
	{KVM_CAP_COALESCED_PIO, 1},
	{KVM_CAP_SYNC_MMU, 1},
	{KVM_CAP_DESTROY_MEMORY_REGION_WORKS, 1},
	{KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, 1},
	{KVM_CAP_IRQ_ROUTING, IRQ_MAX_GSI},
	{KVM_CAP_IRQFD_RESAMPLE, 1},
	{KVM_CAP_IOEVENTFD_NO_LENGTH, 1},
	{KVM_CAP_IOEVENTFD_ANY_LENGTH, 1},
	{KVM_CAP_ADJUST_CLOCK,
	 KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC},
	{KVM_CAP_INTERNAL_ERROR_DATA, 1},
	{KVM_CAP_MCE, MCE_BANKS},
	{KVM_CAP_MAX_VCPUS, VM_MAX_VCPUS},
	{KVM_CAP_MAX_VCPU_ID, VM_MAX_VCPU_ID},
	{KVM_CAP_TSC_DEADLINE_TIMER, 1},
	{KVM_CAP_READONLY_MEM, 1},
	{KVM_CAP_IMMEDIATE_EXIT, 1},
	{KVM_CAP_MSR_PLATFORM_INFO, 1},
	{KVM_CAP_X86_DISABLE_EXITS, CAP_DISABLE_EXITS},
	{KVM_CAP_EXIT_HYPERCALL, CAP_HYPERCALLS},
	{KVM_CAP_EXIT_ON_EMULATION_FAILURE, 1},
	{KVM_CAP_IOAPIC_POLARITY_IGNORED, 1},
	{KVM_CAP_STEAL_TIME, 1},
	{KVM_CAP_ENFORCE_PV_FEATURE_CPUID, 1},
	{KVM_CAP_CLOCKSOURCE, 1},
	{KVM_CAP_SYNC_REGS, KVM_SYNC_X86_VALID_FIELDS},
	{KVM_CAP_X86_ROBUST_SINGLESTEP, 1},
	{KVM_CAP_MULTI_ADDRESS_SPACE, 1},
	{KVM_CAP_X2APIC_API,
	 KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK},
	{KVM_CAP_EXCEPTION_PAYLOAD, 1},
	{KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1},
	{KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
	 KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET},
	{KVM_CAP_DIRTY_LOG_RING, DIRTY_RING_MAX * sizeof(struct kvm_dirty_gfn)},
	{KVM_CAP_DIRTY_LOG_RING_ACQ_REL,
	 DIRTY_RING_MAX * sizeof(struct kvm_dirty_gfn)},
	{KVM_CAP_X86_USER_SPACE_MSR, 1},
	{KVM_CAP_SET_GUEST_DEBUG2,
	 KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP |
		 KVM_GUESTDBG_USE_SW_BP | KVM_GUESTDBG_USE_HW_BP |
		 KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP |
		 KVM_GUESTDBG_BLOCKIRQ},
	{KVM_CAP_DISABLE_QUIRKS, 1},
	{KVM_CAP_DISABLE_QUIRKS2, VM_QUIRKS},
	{KVM_CAP_MEMORY_FAULT_INFO, 1},
	{KVM_CAP_SMALLER_MAXPHYADDR, 1},
	{KVM_CAP_X86_BUS_LOCK_EXIT, VM_BUS_LOCK_MODES},
	{KVM_CAP_VM_TYPES, CAP_VM_TYPES},
	{KVM_CAP_PMU_CAPABILITY, KVM_PMU_CAP_DISABLE},
	{KVM_CAP_HALT_POLL, 1},
	{KVM_CAP_PMU_EVENT_MASKED_EVENTS, 1},
	{LODGE_CAP_KICK, 1},
	{LODGE_CAP_WRITES, 1},
};

/* Enough for every vCPU, whatever its CPUID. */
static uint32_t xsave2_size(void)
{
	return MAX(xstate_size(xstate_layout()->mask),
		   (uint32_t)sizeof(struct kvm_xsave));
}

int cap_check(const struct vm *vm, uint64_t cap)
{
	switch (cap) {
	case KVM_CAP_X86_APIC_BUS_CYCLES_NS:
		return vm ? (int)vm->bus_cycle_ns : 1;
	case KVM_CAP_MEMORY_ATTRIBUTES:
		return vm && vm->type == KVM_X86_DEFAULT_VM
			       ? 0
			       : (int)KVM_MEMORY_ATTRIBUTE_PRIVATE;
	case KVM_CAP_GUEST_MEMFD_FLAGS: return (int)gmem_flags(vm);
	case KVM_CAP_NR_VCPUS: return (int)sysconf(_SC_NPROCESSORS_ONLN);
	case KVM_CAP_XSAVE2: return (int)xsave2_size();
	default: break;
	}
	for (size_t i = 0; i < ARRAY_SIZE(caps); i++)
		if (caps[i].number == cap)
			return (int)caps[i].value;
	return cap <= UINT32_MAX && ioctl_has_cap((uint32_t)cap);
}

int system_check_extension(struct call *c)
{
	return cap_check(NULL, c->arg);
}

int vm_check_extension(struct call *c)
{
	return cap_check(c->vm, c->arg);
}
