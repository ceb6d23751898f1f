/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory as C functions see it. All addresses are linear (gva after
 * segmentation, already truncated to 32 bits outside 64-bit mode). Functions
 * without _try leave by cpu_raise_pf() (or #GP for non-canonical addresses)
 * before anything was changed.
 *
 * MMIO: while cpu->mmlog is set, loads of mem_read*() may leave by
 * CPU_EXIT_MMIO, and the caller is called again from its start with the
 * answers in the log; stores of mem_write*() go on. What may be loaded from
 * MMIO has to come before what changes registers, just as what may fault.
 * Without a log MMIO is an internal error.
 */
#ifndef CPU_MEM_H
#define CPU_MEM_H

#include "cpu/cpu.h"

#define ACC_READ   0
#define ACC_WRITE  1
#define ACC_EXEC   2
#define ACC_KIND   3
#define ACC_USER   4 /* as CPL 3 */
#define ACC_SYSTEM 8 /* implicit supervisor access: descriptor tables, TSS */

/* Access flags for an explicit data access at the current CPL. */
static inline unsigned int mem_acc(const struct cpu *cpu, unsigned int kind)
{
	return kind | (cpu->cpl == 3 ? ACC_USER : 0);
}

/* What the page tables grant, all levels combined. */
#define MMU_W     1  /* writable */
#define MMU_U     2  /* user page */
#define MMU_NX    4  /* not executable */
#define MMU_D     8  /* dirty bit is set */
#define MMU_G     16 /* global */
#define MMU_LARGE 32 /* larger than 4K */

/* Result of a page walk. */
struct walk {
	gpa_t gpa;     /* of the address itself */
	uint64_t size; /* of the page: 4K, 2M, 4M, 1G, or 0 with paging off */
	bool writable; /* a write with the same privilege would succeed now:
			     permission given and dirty bit already set */
	bool global;
	uint8_t rights; /* MMU_*: what the tables grant */
	uint8_t pkey;
	uint32_t error; /* #PF error code when the walk failed */
};

/*
 * Walk the guest's page tables for @gva with @acc, set A/D bits as hardware
 * does. 0, or -EFAULT with out->error for a page fault, or -ENXIO when a
 * page-table entry is not in RAM. @gva must be canonical.
 */
int mmu_walk(struct cpu *cpu, gva_t gva, unsigned int acc, struct walk *out);

/* The same without touching A/D bits (KVM_TRANSLATE, debuggers). */
int mmu_probe(struct cpu *cpu, gva_t gva, unsigned int acc, struct walk *out);

/*
 * The #PF error code of an access that @rights and @pkey do not allow, 0 when
 * they do. @ac: RFLAGS.AC counts, the access is explicit and AC is set.
 */
uint32_t mmu_deny(const struct cpu *cpu, unsigned int rights, unsigned int pkey,
		  unsigned int acc, bool ac);

/* mmu_walk() with RFLAGS.AC told apart from the cpu's. */
int mmu_walk_ac(struct cpu *cpu, gva_t gva, unsigned int acc, bool ac,
		struct walk *out);

bool mmu_canonical(const struct cpu *cpu, gva_t gva);

/* 1, 2, 4, 8 bytes; any alignment; page crossing handled; precise faults. */
uint64_t mem_read(struct cpu *cpu, gva_t gva, unsigned int size,
		  unsigned int acc);
void mem_write(struct cpu *cpu, gva_t gva, unsigned int size, uint64_t val,
	       unsigned int acc);

/* Any size up to 4096; faults before the first byte is changed. */
void mem_read_buf(struct cpu *cpu, gva_t gva, void *buf, unsigned int size,
		  unsigned int acc);
void mem_write_buf(struct cpu *cpu, gva_t gva, const void *buf,
		   unsigned int size, unsigned int acc);

/* Leave for the first access of the log that the client has not seen. */
void mem_mmio_exit(struct cpu *cpu, const struct cpu_mmlog *log) __noreturn;

/* The client has seen that one; cpu->mmio holds its answer. */
void mem_mmio_seen(const struct cpu *cpu, struct cpu_mmlog *log);

/*
 * What was loaded so far is in registers and will not be asked for again when
 * the function runs anew.
 */
void mem_mmio_taken(struct cpu *cpu);

/* Raise now whatever an access of @size bytes would raise. */
void mem_check(struct cpu *cpu, gva_t gva, unsigned int size, unsigned int acc);

/*
 * Host address of [gva, gva + size), which lies in one page, or NULL for MMIO
 * (then *gpa is set). Raises faults. @acc with ACC_WRITE takes care of dirty
 * logging and of translated code there. Valid until the next safepoint.
 */
uint8_t *mem_hva(struct cpu *cpu, gva_t gva, unsigned int size,
		 unsigned int acc, gpa_t *gpa);

/*
 * Segmented access: checks limit, type and canonical form as the current
 * mode wants, raises #GP(0)/#SS(0), and returns the linear address.
 */
gva_t mem_linear(struct cpu *cpu, enum cpu_seg seg, uint64_t off,
		 unsigned int size, unsigned int kind);

/* Whether mem_linear() would accept [off, off + size); raises nothing. */
bool mem_in_segment(const struct cpu *cpu, enum cpu_seg seg, uint64_t off,
		    unsigned int size, unsigned int kind);

/*
 * memcpy() that survives client memory which is not there: 0 or -EFAULT. The
 * engine's signal handler sends a fault between mem_copy_begin and
 * mem_copy_end on to mem_copy_fault.
 */
int mem_copy_guarded(void *to, const void *from, size_t size);
extern const char mem_copy_begin[], mem_copy_end[], mem_copy_fault[];

/*
 * Guest-physical access by the hypervisor itself. 0 or -EFAULT: no slot, or
 * its memory is not there.
 */
int phys_read(struct cpu *cpu, gpa_t gpa, void *buf, unsigned int size);
int phys_write(struct cpu *cpu, gpa_t gpa, const void *buf, unsigned int size);

#endif
