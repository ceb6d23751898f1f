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

#ifndef KVM_CAP_PMU_EVENT_MASKED_EVENTS
#define KVM_CAP_PMU_EVENT_MASKED_EVENTS  226
#define KVM_PMU_EVENT_FLAG_MASKED_EVENTS 1u
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

#ifndef KVM_MEM_GUEST_MEMFD
#define KVM_MEM_GUEST_MEMFD (1ul << 2)
#endif

#ifndef KVM_CAP_MEMORY_ATTRIBUTES
#define KVM_CAP_MEMORY_ATTRIBUTES 233

struct kvm_memory_attributes {
	uint64_t address;
	uint64_t size;
	uint64_t attributes;
	uint64_t flags;
};

#define KVM_MEMORY_ATTRIBUTE_PRIVATE (1ull << 3)
#define KVM_SET_MEMORY_ATTRIBUTES \
	_IOW(KVMIO, 0xd2, struct kvm_memory_attributes)
#endif

#ifndef KVM_CAP_GUEST_MEMFD
#define KVM_CAP_GUEST_MEMFD 234

struct kvm_create_guest_memfd {
	uint64_t size;
	uint64_t flags;
	uint64_t reserved[6];
};

#define KVM_CREATE_GUEST_MEMFD _IOWR(KVMIO, 0xd4, struct kvm_create_guest_memfd)
#endif

#ifndef KVM_CAP_GUEST_MEMFD_FLAGS
#define KVM_CAP_GUEST_MEMFD_FLAGS    244
#define GUEST_MEMFD_FLAG_MMAP        (1ull << 0)
#define GUEST_MEMFD_FLAG_INIT_SHARED (1ull << 1)
#endif

#ifndef KVM_CAP_PRE_FAULT_MEMORY
#define KVM_CAP_PRE_FAULT_MEMORY 236

struct kvm_pre_fault_memory {
	uint64_t gpa;
	uint64_t size;
	uint64_t flags;
	uint64_t padding[5];
};

#define KVM_PRE_FAULT_MEMORY _IOWR(KVMIO, 0xd5, struct kvm_pre_fault_memory)
#endif

#ifndef KVM_X86_SW_PROTECTED_VM
#define KVM_X86_DEFAULT_VM      0
#define KVM_X86_SW_PROTECTED_VM 1
#endif

#ifndef KVM_MEMORY_EXIT_FLAG_PRIVATE
#define KVM_MEMORY_EXIT_FLAG_PRIVATE (1ull << 3)
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
_Static_assert(sizeof(struct kvm_memory_attributes) == 32,
	       "layout of memory attributes");
_Static_assert(sizeof(struct kvm_create_guest_memfd) == 64,
	       "layout of guest_memfd's creation");
_Static_assert(sizeof(struct kvm_pre_fault_memory) == 64,
	       "layout of the pre-fault range");
_Static_assert(sizeof(struct kvm_run_memory_fault) == 24,
	       "layout of the memory fault exit");
_Static_assert(sizeof(struct kvm_userspace_memory_region) == 32,
	       "layout of the memory region");
_Static_assert(sizeof(struct kvm_run) == 2352, "layout of kvm_run");

#endif
