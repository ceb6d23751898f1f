/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87, SSE, AVX, AVX-512 and PKRU state: between the guest's image and the
 * host's registers, in the layouts of the KVM ABI, and the sizes CPUID tells.
 */
#ifndef CPU_XSTATE_H
#define CPU_XSTATE_H

#include "cpu/cpu.h"
#include "x86/xsave.h"

/* The host's layout, and thereby every guest's. */
struct xstate_layout {
	uint64_t mask;   /* components a guest may have */
	uint64_t native; /* those in host registers: all but PKRU */
	struct {
		uint32_t size, offset; /* standard format */
		bool align;            /* to 64 in compacted format */
	} comp[XF_COUNT];
	uint32_t size; /* standard format, everything */
	uint32_t mxcsr_mask;
	bool xsave, xsavec, xinuse; /* what the host can do */
};

const struct xstate_layout *xstate_layout(void);

/* Bytes of an image with these components. */
uint32_t xstate_size(uint64_t mask);
uint32_t xstate_compact_size(uint64_t mask);

/* Memory of one vCPU; -ENOMEM. */
int xstate_init(struct cpu *cpu) __must_check;
void xstate_fini(struct cpu *cpu);

/* Initial configuration of every component, PKRU included. */
void xstate_reset(struct cpu *cpu);

/*
 * Guest state into the host's registers and back. The host's MXCSR and x87
 * control word are kept meanwhile; all else is dead at a call by the ABI.
 */
void xstate_load(struct cpu *cpu);
void xstate_save(struct cpu *cpu);

/* XINUSE of the guest, limited to XCR0. Guest state must be live. */
uint64_t xstate_inuse(struct cpu *cpu);

/* ---- for cpu/xop.c; guest state is live ---- */

/* Offset of component @n in a compacted image; n = XF_COUNT: its size. */
uint32_t xstate_compact_offset(uint64_t comps, unsigned int n);

/* Everything in standard format, header made from nothing. */
void xstate_host_save(struct xsave_area *x);

/* Components of @mask from a standard-format image. */
void xstate_host_load(const struct xsave_area *x, uint64_t mask);
uint64_t xstate_host_inuse(struct cpu *cpu);
uint32_t xstate_host_mxcsr(void);

/* x87 pointers of a saved image: the guest's own or none. */
void xstate_scrub(const struct cpu *cpu, struct fxsave_area *fx);

/* Change PKRU with what follows from it. */
void xstate_set_pkru(struct cpu *cpu, uint32_t pkru);

/* ---- for the kvm room; guest state must not be live ---- */

/* Bytes of a KVM_GET_XSAVE2 image, at least 4096. */
uint32_t xstate_image_size(const struct cpu *cpu);

/* Standard-format image of @size bytes (4096 at least) out of the vCPU. */
void xstate_get(const struct cpu *cpu, void *buf, uint32_t size);

/* -EINVAL: components the guest may not have, or a malformed header. */
int xstate_set(struct cpu *cpu, const void *buf, uint32_t size) __must_check;

void xstate_get_fpu(const struct cpu *cpu, struct fpu_image *out);
void xstate_set_fpu(struct cpu *cpu, const struct fpu_image *in);

#endif
