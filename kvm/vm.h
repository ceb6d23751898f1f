/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One virtual machine as its file descriptor knows it.
 */
#ifndef KVM_VM_H
#define KVM_VM_H

#include <pthread.h>

#include "kvm/bus.h"
#include "kvm/clock.h"
#include "kvm/handle.h"
#include "kvm/irqchip.h"
#include "kvm/memslot.h"
#include "kvm/stats.h"
#include "kvm/timer.h"

/* Quirks a client may turn off, those of CPU_QUIRK_* and the APIC's. */
#define VM_QUIRKS                                                      \
	(KVM_X86_QUIRK_LINT0_REENABLED | KVM_X86_QUIRK_CD_NW_CLEARED | \
	 KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT |                          \
	 KVM_X86_QUIRK_FIX_HYPERCALL_INSN |                            \
	 KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS)

#define VM_BUS_LOCK_MODES \
	(KVM_BUS_LOCK_DETECTION_OFF | KVM_BUS_LOCK_DETECTION_EXIT)

#define VM_MAX_VCPUS   1024u
#define VM_MAX_VCPU_ID 4096u

struct engine;
struct kvm_coalesced_mmio_ring;

struct vm {
	struct object obj;
	struct engine *engine;
	uint32_t type; /* KVM_X86_*_VM */
	bool dead;     /* atomic: every later call answers -EIO */

	pthread_mutex_t lock;             /* creation of things, capabilities */
	uint32_t created;                 /* vCPUs, those being made included */
	uint32_t max_vcpu_id;             /* ids below; 0: not chosen yet */
	uint32_t tsc_khz;                 /* of vCPUs to come; 0: the host's */
	uint32_t boot_cpu_id;             /* which vCPU is the BSP */
	uint32_t nvcpus;                  /* atomic; entries of vcpus[] */
	struct vcpu *vcpus[VM_MAX_VCPUS]; /* never shrinks before release */
	uint32_t halt_poll_ns; /* atomic: vCPUs spin at most, then sleep */
	uint64_t tss_addr;
	uint64_t identity_map_addr;
	bool exception_payload;  /* KVM_CAP_EXCEPTION_PAYLOAD is on */
	bool x2apic_wide;        /* KVM_X2APIC_API_USE_32BIT_IDS */
	bool x2apic_no_bcast;    /* ..._DISABLE_BROADCAST_QUIRK */
	bool triple_fault_event; /* KVM_CAP_X86_TRIPLE_FAULT_EVENT is on */
	uint64_t disabled_quirks;
	uint64_t hypercall_exits; /* BIT(KVM_HC_*) of KVM_CAP_EXIT_HYPERCALL */
	bool hlt_in_guest;        /* KVM_X86_DISABLE_EXITS_HLT */
	bool pause_in_guest;      /* ..._PAUSE: vCPUs that spin keep on */
	bool emulation_exits;     /* KVM_CAP_EXIT_ON_EMULATION_FAILURE */
	bool no_platform_info;    /* guests may not read MSR_PLATFORM_INFO */
	uint32_t bus_cycle_ns;    /* of the local APICs' timers */
	uint64_t mmu_pages;  /* KVM_SET_NR_MMU_PAGES: kept, there are none */
	uint32_t ring_bytes; /* of each vCPU's dirty ring, 0: bitmaps */
	bool bus_lock_exits; /* KVM_BUS_LOCK_DETECTION_EXIT */
	uint8_t msr_exits; /* KVM_MSR_EXIT_REASON_* that leave to the client */
	uint32_t writes;   /* atomic: counts hints that guest RAM changed */
	bool tells_writes; /* atomic: LODGE_CAP_WRITES is on */
	struct filter *filter;     /* of MSRs; changes with the guest stopped */
	bool no_pmu;               /* KVM_PMU_CAP_DISABLE */
	struct pmu_filter *events; /* of counters; vCPUs have copies */
	uint32_t events_gen;       /* atomic: counts its changes */

	struct memslots mem;
	struct irqchip irq;
	struct bus bus;
	struct vm_clock clock;
	struct vm_timer timer;
	struct stats stats;
	int ring_fd; /* page 2 of every vCPU mapping */
	struct kvm_coalesced_mmio_ring *ring;
};

/* Make a VM of a type there is; returns its descriptor or -errno. */
int vm_open(uint32_t type) __must_check;

/* The vCPU of this id, or NULL. Any thread. */
struct vcpu *vm_find_vcpu(const struct vm *vm, uint32_t id);

/* Give a vCPU what the VM's capabilities say; vCPU stopped. */
void vm_apply_caps(const struct vm *vm, struct vcpu *vcpu);

static inline bool vm_is_dead(const struct vm *vm)
{
	return __atomic_load_n(&vm->dead, __ATOMIC_RELAXED);
}

/*
 * The client injected an interrupt: its device may have written guest code
 * before. vCPUs look for that before they run on.
 */
static inline void vm_note_write(struct vm *vm)
{
	if (!__atomic_load_n(&vm->tells_writes, __ATOMIC_RELAXED))
		__atomic_add_fetch(&vm->writes, 1, __ATOMIC_RELEASE);
}

/* vCPUs made so far; vm->vcpus[0..n) may be read by any thread. */
static inline uint32_t vm_vcpus(const struct vm *vm)
{
	return __atomic_load_n(&vm->nvcpus, __ATOMIC_ACQUIRE);
}

#endif
