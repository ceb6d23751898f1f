/* SPDX-License-Identifier: Apache-2.0 */
/*
 * General and system registers, vector state and XCR0 in the layouts of the
 * KVM ABI. Rules for control registers are cpu/crop's.
 */
#include "kvm/regs.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/crop.h"
#include "cpu/insn.h"
#include "cpu/xstate.h"
#include "kvm/apic.h"
#include "kvm/events.h"
#include "kvm/handler.h"
#include "kvm/vcpu.h"
#include "kvm/vm.h"
#include "x86/regs.h"

_Static_assert(sizeof(struct kvm_fpu) == sizeof(struct fpu_image), "kvm_fpu");
_Static_assert(offsetof(struct kvm_sregs, interrupt_bitmap) ==
		       offsetof(struct kvm_sregs2, flags),
	       "sregs and sregs2 begin alike");

#define BITMAP_WORDS 4

void regs_save(const struct vcpu *vcpu, struct kvm_regs *r)
{
	const struct cpu *cpu = vcpu->cpu;
	const uint64_t *g = cpu->gpr;

	*r = (struct kvm_regs){
		.rax = g[REG_RAX],
		.rbx = g[REG_RBX],
		.rcx = g[REG_RCX],
		.rdx = g[REG_RDX],
		.rsi = g[REG_RSI],
		.rdi = g[REG_RDI],
		.rsp = g[REG_RSP],
		.rbp = g[REG_RBP],
		.r8 = g[REG_R8],
		.r9 = g[REG_R9],
		.r10 = g[REG_R10],
		.r11 = g[REG_R11],
		.r12 = g[REG_R12],
		.r13 = g[REG_R13],
		.r14 = g[REG_R14],
		.r15 = g[REG_R15],
		.rip = cpu->rip,
		.rflags = cpu_rflags(cpu),
	};
}

int regs_get(struct call *c)
{
	regs_save(c->vcpu, c->data);
	return 0;
}

static bool is_exception(const struct cpu_event *ev)
{
	return ev->valid &&
	       (ev->kind == EVENT_FAULT || ev->kind == EVENT_TRAP ||
		ev->kind == EVENT_SOFT_EXC);
}

void regs_load(struct vcpu *vcpu, const struct kvm_regs *r)
{
	struct cpu *cpu = vcpu->cpu;
	uint64_t *g = cpu->gpr;

	g[REG_RAX] = r->rax;
	g[REG_RBX] = r->rbx;
	g[REG_RCX] = r->rcx;
	g[REG_RDX] = r->rdx;
	g[REG_RSI] = r->rsi;
	g[REG_RDI] = r->rdi;
	g[REG_RSP] = r->rsp;
	g[REG_RBP] = r->rbp;
	g[REG_R8] = r->r8;
	g[REG_R9] = r->r9;
	g[REG_R10] = r->r10;
	g[REG_R11] = r->r11;
	g[REG_R12] = r->r12;
	g[REG_R13] = r->r13;
	g[REG_R14] = r->r14;
	g[REG_R15] = r->r15;
	vcpu->halted = false;
	cpu->rip = r->rip;
	cpu_set_rflags(cpu, r->rflags);
	if (is_exception(&cpu->event) && !cpu->event.injected)
		cpu->event.valid = false;
	vcpu->acquire = true;
}

int regs_set(struct call *c)
{
	regs_load(c->vcpu, c->data);
	return 0;
}

/* ---- segments ---- */

static void segment_get(const struct segment *s, struct kvm_segment *k)
{
	*k = (struct kvm_segment){
		.base = s->base,
		.limit = s->limit,
		.selector = s->sel,
		.type = s->attr & SEG_ATTR_TYPE,
		.present = !!(s->attr & SEG_ATTR_P),
		.dpl = s->attr >> 5 & 3,
		.db = !!(s->attr & SEG_ATTR_DB),
		.s = !!(s->attr & SEG_ATTR_S),
		.l = !!(s->attr & SEG_ATTR_L),
		.g = !!(s->attr & SEG_ATTR_G),
		.avl = !!(s->attr & SEG_ATTR_AVL),
		.unusable = !!(s->attr & SEG_ATTR_UNUSABLE),
	};
}

static void segment_set(struct cpu *cpu, enum cpu_seg seg,
			const struct kvm_segment *k)
{
	struct segment *s = &cpu->seg[seg];

	s->base = k->base;
	s->limit = k->limit;
	s->sel = k->selector;
	s->attr = (uint16_t)((k->type & SEG_ATTR_TYPE) | (k->dpl & 3) << 5 |
			     (k->s ? SEG_ATTR_S : 0) |
			     (k->present ? SEG_ATTR_P : 0) |
			     (k->avl ? SEG_ATTR_AVL : 0) |
			     (k->l ? SEG_ATTR_L : 0) |
			     (k->db ? SEG_ATTR_DB : 0) |
			     (k->g ? SEG_ATTR_G : 0) |
			     (k->unusable || !k->present ? SEG_ATTR_UNUSABLE
							 : 0));
}

/* Where each segment lies in struct kvm_sregs. */
static const size_t seg_offset[SEG_COUNT] = {
	[SEG_CS] = offsetof(struct kvm_sregs, cs),
	[SEG_DS] = offsetof(struct kvm_sregs, ds),
	[SEG_ES] = offsetof(struct kvm_sregs, es),
	[SEG_FS] = offsetof(struct kvm_sregs, fs),
	[SEG_GS] = offsetof(struct kvm_sregs, gs),
	[SEG_SS] = offsetof(struct kvm_sregs, ss),
	[SEG_TR] = offsetof(struct kvm_sregs, tr),
	[SEG_LDT] = offsetof(struct kvm_sregs, ldt),
};

/* What both layouts share. */
static void common_get(struct vcpu *vcpu, struct kvm_sregs *s)
{
	const struct cpu *cpu = vcpu->cpu;
	uint8_t *p = (uint8_t *)s;

	for (int i = 0; i < SEG_COUNT; i++)
		segment_get(&cpu->seg[i],
			    (struct kvm_segment *)(p + seg_offset[i]));
	s->gdt.base = cpu->gdt.base;
	s->gdt.limit = cpu->gdt.limit;
	s->idt.base = cpu->idt.base;
	s->idt.limit = cpu->idt.limit;
	s->cr0 = cpu->cr0;
	s->cr2 = cpu->cr2;
	s->cr3 = cpu->cr3;
	s->cr4 = cpu->cr4;
	s->cr8 = cpu->cr8;
	s->efer = cpu->efer;
	s->apic_base = cpu->apic_base;
}

static int common_set(struct vcpu *vcpu, const struct kvm_sregs *s,
		      const uint64_t *pdptr)
{
	struct cpu *cpu = vcpu->cpu;
	const uint8_t *p = (const uint8_t *)s;
	struct crop_regs regs = {
		.cr0 = s->cr0,
		.cr3 = s->cr3,
		.cr4 = s->cr4,
		.efer = s->efer,
		.cs_l = s->cs.l,
		.pdptr = pdptr,
	};
	uint64_t old_base = cpu->apic_base;

	if (s->cr8 > 15)
		return -EINVAL;
	if (s->apic_base != old_base && apic_set_base(vcpu, s->apic_base, true))
		return -EINVAL;
	if (crop_set_regs(cpu, &regs)) {
		if (s->apic_base != old_base &&
		    apic_set_base(vcpu, old_base, true))
			return -EINVAL;
		return -EINVAL;
	}
	for (int i = 0; i < SEG_COUNT; i++)
		segment_set(cpu, i, (const void *)(p + seg_offset[i]));
	cpu->gdt = (struct dtable){s->gdt.base, s->gdt.limit};
	cpu->idt = (struct dtable){s->idt.base, s->idt.limit};
	cpu->cr2 = s->cr2;
	cpu->cr8 = s->cr8;
	if (vcpu->has_lapic)
		lapic_set_cr8(&vcpu->lapic, (uint8_t)s->cr8);
	for (int i = 0; i < SEG_COUNT; i++)
		cpu_segment_derive(cpu, i);
	cpu_update_mode(cpu);
	/* Old clients start a BSP by its reset vector alone. */
	if (vcpu->id == vcpu->vm->boot_cpu_id && cpu->rip == 0xfff0 &&
	    s->cs.selector == 0xf000 && !cpu_protected(cpu))
		vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
	vcpu->acquire = true;
	return 0;
}

void sregs_save(struct vcpu *vcpu, struct kvm_sregs *s)
{
	const struct cpu_event *ev = &vcpu->cpu->event;

	memset(s, 0, sizeof(*s));
	common_get(vcpu, s);
	if (ev->valid && ev->kind == EVENT_IRQ)
		s->interrupt_bitmap[ev->vector / 64] |= BIT64(ev->vector % 64);
}

int sregs_get(struct call *c)
{
	sregs_save(c->vcpu, c->data);
	return 0;
}

int sregs_load(struct vcpu *vcpu, const struct kvm_sregs *s)
{
	struct cpu *cpu = vcpu->cpu;
	int ret = common_set(vcpu, s, NULL);

	for (unsigned int i = 0; !ret && i < BITMAP_WORDS; i++) {
		if (!s->interrupt_bitmap[i])
			continue;
		cpu->event.valid = false;
		cpu_queue_irq(cpu, (uint8_t)(i * 64 +
					     (unsigned int)__builtin_ctzll(
						     s->interrupt_bitmap[i])));
		cpu->event.injected = true;
		break;
	}
	return ret;
}

int sregs_set(struct call *c)
{
	return sregs_load(c->vcpu, c->data);
}

static bool uses_pae(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
	return (cr0 & CR0_PG) && (cr4 & CR4_PAE) && !(efer & EFER_LMA);
}

int sregs2_get(struct call *c)
{
	const struct cpu *cpu = c->vcpu->cpu;
	struct kvm_sregs2 *s2 = c->data;
	struct kvm_sregs s = {0};

	common_get(c->vcpu, &s);
	memcpy(s2, &s, offsetof(struct kvm_sregs2, flags));
	if (uses_pae(cpu->cr0, cpu->cr4, cpu->efer)) {
		memcpy(s2->pdptrs, cpu->pdptr, sizeof(s2->pdptrs));
		s2->flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
	}
	return 0;
}

int sregs2_set(struct call *c)
{
	const struct kvm_sregs2 *s2 = c->data;
	bool pdptrs = s2->flags & KVM_SREGS2_FLAGS_PDPTRS_VALID;
	uint64_t copy[4];
	struct kvm_sregs s = {0};

	if (s2->flags & ~(uint64_t)KVM_SREGS2_FLAGS_PDPTRS_VALID)
		return -EINVAL;
	if (pdptrs && !uses_pae(s2->cr0, s2->cr4, s2->efer))
		return -EINVAL;
	memcpy(&s, s2, offsetof(struct kvm_sregs2, flags));
	for (int i = 0; i < 4; i++)
		copy[i] = s2->pdptrs[i];
	return common_set(c->vcpu, &s, pdptrs ? copy : NULL);
}

/* ---- x87 and vectors ---- */

int fpu_get(struct call *c)
{
	xstate_get_fpu(c->vcpu->cpu, c->data);
	return 0;
}

int fpu_set(struct call *c)
{
	xstate_set_fpu(c->vcpu->cpu, c->data);
	return 0;
}

static int xsave_out(struct call *c, uint32_t size)
{
	uint8_t *image = aligned_alloc(64, ALIGN_UP(size, 64u));
	int ret;

	if (!image)
		return -ENOMEM;
	memset(image, 0, size);
	xstate_get(c->vcpu->cpu, image, size);
	ret = user_write(c->arg, image, size);
	free(image);
	return ret;
}

int xsave_get(struct call *c)
{
	if (xstate_image_size(c->vcpu->cpu) > sizeof(struct kvm_xsave))
		return -EINVAL;
	return xsave_out(c, sizeof(struct kvm_xsave));
}

int xsave_get2(struct call *c)
{
	return xsave_out(c, xstate_image_size(c->vcpu->cpu));
}

int xsave_set(struct call *c)
{
	uint32_t size = xstate_image_size(c->vcpu->cpu);
	uint8_t *image = aligned_alloc(64, ALIGN_UP(size, 64u));
	int ret;

	if (!image)
		return -ENOMEM;
	ret = user_read(image, c->arg, size);
	if (!ret)
		ret = xstate_set(c->vcpu->cpu, image, size);
	free(image);
	return ret;
}

int xcrs_get(struct call *c)
{
	struct kvm_xcrs *x = c->data;

	if (!xstate_layout()->xsave)
		return 0;
	x->nr_xcrs = 1;
	x->xcrs[0].value = c->vcpu->cpu->xcr0;
	return 0;
}

int xcrs_set(struct call *c)
{
	const struct kvm_xcrs *x = c->data;

	if (!xstate_layout()->xsave || x->nr_xcrs > KVM_MAX_XCRS || x->flags)
		return -EINVAL;
	for (uint32_t i = 0; i < x->nr_xcrs; i++)
		if (x->xcrs[i].xcr == 0)
			return crop_set_xcr0(c->vcpu->cpu, x->xcrs[i].value);
	return 0;
}

/*
 * ---- registers in kvm_run: KVM API "KVM_CAP_SYNC_REGS" ----
 *
 * The page is shared with a client that may write at any moment: every block
 * is copied once, and the copy is what gets checked and loaded.
 */

static uint64_t read_once(const __u64 *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static int sync_blocks(struct vcpu *vcpu, uint64_t dirty)
{
	struct kvm_sync_regs *s = &vcpu->run->s.regs;
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	if (dirty & KVM_SYNC_X86_REGS) {
		memcpy(&regs, &s->regs, sizeof(regs));
		__asm__("" : "+m"(regs));
		regs_load(vcpu, &regs);
	}
	if (dirty & KVM_SYNC_X86_SREGS) {
		memcpy(&sregs, &s->sregs, sizeof(sregs));
		__asm__("" : "+m"(sregs));
		if (sregs_load(vcpu, &sregs))
			return -EINVAL;
	}
	if (dirty & KVM_SYNC_X86_EVENTS) {
		memcpy(&events, &s->events, sizeof(events));
		__asm__("" : "+m"(events));
		if (events_load(vcpu, &events))
			return -EINVAL;
	}
	return 0;
}

int sync_load(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint64_t dirty = read_once(&run->kvm_dirty_regs);
	int ret;

	if ((dirty | read_once(&run->kvm_valid_regs)) &
	    ~(uint64_t)KVM_SYNC_X86_VALID_FIELDS)
		return -EINVAL;
	if (!dirty)
		return 0;
	ret = sync_blocks(vcpu, dirty);
	if (!ret)
		__atomic_store_n(&run->kvm_dirty_regs, 0, __ATOMIC_RELAXED);
	return ret;
}

void sync_store(struct vcpu *vcpu)
{
	struct kvm_sync_regs *s = &vcpu->run->s.regs;
	uint64_t valid = read_once(&vcpu->run->kvm_valid_regs);

	if (likely(!valid))
		return;
	if (valid & KVM_SYNC_X86_REGS)
		regs_save(vcpu, &s->regs);
	if (valid & KVM_SYNC_X86_SREGS)
		sregs_save(vcpu, &s->sregs);
	if (valid & KVM_SYNC_X86_EVENTS)
		events_save(vcpu, &s->events);
}
