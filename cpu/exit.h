/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a processor stopped running guest code and what the kvm room has to do
 * about it: the records beside enum cpu_exit_kind.
 */
#ifndef CPU_EXIT_H
#define CPU_EXIT_H

#include "lib/util.h"

typedef uint64_t gva_t; /* linear address after segmentation */
typedef uint64_t gpa_t;

/* Why engine_run() returned to the kvm room. */
enum cpu_exit_kind {
	CPU_EXIT_NONE,
	CPU_EXIT_IO,      /* cpu->io; complete, then run again */
	CPU_EXIT_MMIO,    /* cpu->mmio; complete, then run again */
	CPU_EXIT_HLT,     /* rip after HLT */
	CPU_EXIT_IRQ,     /* an event was requested and can be taken now */
	CPU_EXIT_REQUEST, /* doorbell rung: requests, immediate_exit, signal */
	CPU_EXIT_MSR,     /* cpu->msr: an MSR that belongs to the kvm room */
	CPU_EXIT_HYPERCALL,  /* VMCALL/VMMCALL: registers hold the call */
	CPU_EXIT_SHUTDOWN,   /* triple fault */
	CPU_EXIT_DEBUG,      /* guest debug: cpu->debug_exit */
	CPU_EXIT_CR8,        /* CR8 written: lapic TPR in cpu->cr8 */
	CPU_EXIT_EFAULT,     /* hva unreachable: cpu->fault_gpa */
	CPU_EXIT_INTERNAL,   /* cpu->internal: suberror and data */
	CPU_EXIT_NMI_WINDOW, /* NMI was blocked and no longer is */
	CPU_EXIT_BUS_LOCK,   /* a locked access crosses cache lines */
	CPU_EXIT_PMI,        /* cpu->pmi: a performance counter overflowed */
};

#define CPU_IO_BUF 1024
struct cpu_io {
	uint16_t port;
	uint8_t size; /* 1, 2, 4 */
	bool in;
	bool string;
	uint32_t count; /* repetitions in data */
	uint8_t data[CPU_IO_BUF];
};
/* What is left to do when a port access comes back from the client. */
struct cpu_io_pending {
	uint8_t kind; /* enum in cpu/io.c, 0: nothing */
	uint8_t addrsize;
	bool rep;
	uint64_t rip; /* at the exit; a client that changes it cancels */
	uint64_t next_rip;
};
struct cpu_mmio {
	gpa_t gpa;
	uint8_t len; /* 1..8 */
	bool write;
	uint8_t data[8];
};

/*
 * MMIO of the instruction that a C function carries out. A load from MMIO
 * leaves the function; it runs again from its start once the client has
 * answered and finds the answer here. Stores are only noted, and leave one by
 * one when the function is through or waits for a load. cpu/mem.h.
 */
#define CPU_MMLOG_MAX 512 /* the largest XSAVE area in pieces of 8, and more */
struct cpu_mmlog {
	uint16_t count; /* accesses known, in their order */
	uint16_t done;  /* of them, seen by the client */
	uint16_t next;  /* the one the function comes to now */
	struct cpu_mmio access[CPU_MMLOG_MAX];
};
struct cpu_msr_access {
	uint32_t index;
	bool write;
	bool failed;    /* set by the kvm room: raise #GP */
	uint8_t reason; /* CPU_MSR_* */
	uint64_t data;
};

/* Why an MSR access left; the numbers are KVM_MSR_EXIT_REASON_*'s. */
#define CPU_MSR_OWNED   0 /* the MSR belongs to the kvm room */
#define CPU_MSR_INVALID BIT(0)
#define CPU_MSR_UNKNOWN BIT(1)
#define CPU_MSR_DENIED  BIT(2) /* by the filter */

/* KVM's quirks that concern instructions; on unless disabled. */
#define CPU_QUIRK_CD_NW_CLEARED        BIT64(1)
#define CPU_QUIRK_MISC_ENABLE_NO_MWAIT BIT64(4)
#define CPU_QUIRK_FIX_HYPERCALL        BIT64(5)
#define CPU_QUIRK_MWAIT_NEVER_UD       BIT64(6)

/* Breakpoints in force: bit n of a mask is DRn; cpu/debug.c. */
struct cpu_breaks {
	uint64_t at[4];
	uint8_t len[4];
	uint8_t exec; /* on execution */
	uint8_t data; /* on data writes */
	uint8_t read; /* on reads too */
	uint8_t io;   /* on ports */
};

struct cpu_debug_exit {
	uint32_t exception;
	uint64_t pc, dr6, dr7;
};

#endif
