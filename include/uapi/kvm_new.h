/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of the KVM ABI that are newer than the headers of Debian 12 (6.1).
 * Numbers and layouts as in Linux 7.2's Documentation/virt/kvm/api.rst.
 * Each is guarded, so a newer system header wins; sizes are asserted.
 */
#ifndef UAPI_KVM_NEW_H
#define UAPI_KVM_NEW_H

#include <stdint.h>
#include <linux/kvm.h>

#ifndef KVM_CAP_DIRTY_LOG_RING_ACQ_REL
#define KVM_CAP_DIRTY_LOG_RING_ACQ_REL 223
#endif

#ifndef KVM_CAP_USER_MEMORY2
#define KVM_CAP_USER_MEMORY2 231

struct kvm_userspace_memory_region2 {
	uint32_t slot;
	uint32_t flags;
	uint64_t guest_phys_addr;
	uint64_t memory_size;
	uint64_t userspace_addr;
	uint64_t guest_memfd_offset;
	uint32_t guest_memfd;
	uint32_t pad1;
	uint64_t pad2[14];
};

#define KVM_SET_USER_MEMORY_REGION2 \
	_IOW(KVMIO, 0x49, struct kvm_userspace_memory_region2)
#endif

#ifndef KVM_CAP_MEMORY_FAULT_INFO
#define KVM_CAP_MEMORY_FAULT_INFO 232
#endif
#ifndef KVM_CAP_VM_TYPES
#define KVM_CAP_VM_TYPES 235
#endif
#ifndef KVM_CAP_X86_APIC_BUS_CYCLES_NS
#define KVM_CAP_X86_APIC_BUS_CYCLES_NS 237
#endif

#ifndef KVM_HC_MAP_GPA_RANGE
#define KVM_HC_MAP_GPA_RANGE 12
#endif

#ifndef KVM_EXIT_MEMORY_FAULT
#define KVM_EXIT_MEMORY_FAULT 39
#endif

/* The record of KVM_EXIT_MEMORY_FAULT, in kvm_run's exit union. */
struct kvm_run_memory_fault {
	uint64_t flags;
	uint64_t gpa;
	uint64_t size;
};

#define KVM_RUN_EXIT_OFFSET offsetof(struct kvm_run, hw)

_Static_assert(sizeof(struct kvm_userspace_memory_region2) == 160,
	       "layout of the memory region of USER_MEMORY2");
_Static_assert(sizeof(struct kvm_run_memory_fault) == 24,
	       "layout of the memory fault exit");
_Static_assert(sizeof(struct kvm_userspace_memory_region) == 32,
	       "layout of the memory region");
_Static_assert(sizeof(struct kvm_run) == 2352, "layout of kvm_run");

#endif
