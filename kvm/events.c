/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events of a vCPU as the client saves, loads and injects them: pending
 * exceptions, interrupts, NMIs, the run state, debug registers. There is no
 * SMM, so its fields are zero and must be.
 */
#include "kvm/events.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "cpu/insn.h"
#include "kvm/apic.h"
#include "kvm/handler.h"
#include "kvm/vcpu.h"
#include "kvm/vm.h"
#include "x86/regs.h"

#define MAX_NMI 2u /* one in service, one latched */

void events_accept(struct vcpu *vcpu)
{
	struct cpu *cpu = vcpu->cpu;
	uint32_t p = __atomic_exchange_n(&vcpu->pending, 0, __ATOMIC_SEQ_CST);
	uint8_t page;

	if (p & VCPU_INIT) {
		cpu_reset(cpu, true);
		lapic_reset(&vcpu->lapic, true);
		vcpu->lapic_timer_moved = true;
		vcpu->pv.eoi = 0;
		vcpu->pv.eoi_pending = false;
		__atomic_store_n(&vcpu->nmi, 0, __ATOMIC_RELAXED);
		cpu->apic_base = vcpu->lapic.apic_base;
		vcpu->mp_state = vcpu->lapic.bsp ? KVM_MP_STATE_RUNNABLE
						 : KVM_MP_STATE_INIT_RECEIVED;
	}
	if (!(p & VCPU_SIPI) || vcpu->mp_state != KVM_MP_STATE_INIT_RECEIVED)
		return;
	page = (uint8_t)__atomic_load_n(&vcpu->sipi, __ATOMIC_ACQUIRE);
	cpu->seg[SEG_CS].sel = (uint16_t)(page << 8);
	cpu->seg[SEG_CS].base = (uint64_t)page << 12;
	cpu_segment_derive(cpu, SEG_CS);
	cpu->rip = 0;
	cpu_update_mode(cpu);
	vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
}

int events_get_mp_state(struct call *c)
{
	struct vcpu *vcpu = c->vcpu;
	struct kvm_mp_state *mp = c->data;

	if (vcpu->has_lapic)
		events_accept(vcpu);
	if (vcpu->mp_state == KVM_MP_STATE_HALTED &&
	    __atomic_exchange_n(&vcpu->pv_unhalted, 0, __ATOMIC_RELAXED))
		vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
	mp->mp_state = vcpu->mp_state;
	return 0;
}

int events_set_mp_state(struct call *c)
{
	const struct kvm_mp_state *mp = c->data;
	struct vcpu *vcpu = c->vcpu;

	if (mp->mp_state > KVM_MP_STATE_SIPI_RECEIVED)
		return -EINVAL;
	if (!vcpu->has_lapic && mp->mp_state != KVM_MP_STATE_RUNNABLE)
		return -EINVAL;
	vcpu->mp_state = mp->mp_state;
	if (mp->mp_state == KVM_MP_STATE_SIPI_RECEIVED) {
		vcpu->mp_state = KVM_MP_STATE_INIT_RECEIVED;
		__atomic_or_fetch(&vcpu->pending, VCPU_SIPI, __ATOMIC_SEQ_CST);
	}
	return 0;
}

/* ---- KVM_GET_VCPU_EVENTS ---- */

static void get_exception(const struct vcpu *vcpu, const struct cpu_event *ev,
			  struct kvm_vcpu_events *e)
{
	bool payloads = vcpu->vm->exception_payload;

	e->exception.nr = ev->vector;
	e->exception.has_error_code = ev->has_error;
	e->exception.error_code = ev->error;
	/* Clients that do not know of pending ones take all as injected. */
	e->exception.injected = ev->injected || !payloads;
	e->exception.pending = !e->exception.injected;
	if (e->exception.pending && ev->has_payload) {
		e->exception_has_payload = 1;
		e->exception_payload = ev->payload;
	}
}

static void get_event(const struct vcpu *vcpu, const struct cpu_event *ev,
		      struct kvm_vcpu_events *e)
{
	switch (ev->kind) {
	case EVENT_SOFT_INT:
	case EVENT_IRQ:
		e->interrupt.injected = 1;
		e->interrupt.nr = ev->vector;
		e->interrupt.soft = ev->kind == EVENT_SOFT_INT;
		break;
	case EVENT_NMI: e->nmi.injected = 1; break;
	default: get_exception(vcpu, ev, e); break;
	}
}

static uint8_t shadow_get(const struct cpu *cpu)
{
	return (cpu->shadow & CPU_SHADOW_STI ? KVM_X86_SHADOW_INT_STI : 0) |
	       (cpu->shadow & CPU_SHADOW_MOVSS ? KVM_X86_SHADOW_INT_MOV_SS : 0);
}

void events_save(struct vcpu *vcpu, struct kvm_vcpu_events *e)
{
	struct cpu *cpu = vcpu->cpu;

	memset(e, 0, sizeof(*e));
	if (cpu->event.valid)
		get_event(vcpu, &cpu->event, e);
	if (!e->interrupt.injected && !vcpu->has_lapic && vcpu->user_irq >= 0) {
		e->interrupt.injected = 1;
		e->interrupt.nr = (uint8_t)vcpu->user_irq;
	}
	e->interrupt.shadow = shadow_get(cpu);
	e->nmi.pending = __atomic_load_n(&vcpu->nmi, __ATOMIC_RELAXED) != 0;
	e->nmi.masked = cpu->nmi_blocked;
	e->smi.latched_init = !!(
		__atomic_load_n(&vcpu->pending, __ATOMIC_RELAXED) & VCPU_INIT);
	e->flags = KVM_VCPUEVENT_VALID_NMI_PENDING |
		   KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM;
	if (vcpu->vm->exception_payload)
		e->flags |= KVM_VCPUEVENT_VALID_PAYLOAD;
	if (vcpu->vm->triple_fault_event) {
		e->triple_fault.pending = vcpu->shutdown;
		e->flags |= KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
	}
}

int events_get(struct call *c)
{
	events_save(c->vcpu, c->data);
	return 0;
}

/* ---- KVM_SET_VCPU_EVENTS ---- */

#define EVENT_FLAGS                                                          \
	(KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR | \
	 KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM |              \
	 KVM_VCPUEVENT_VALID_PAYLOAD | KVM_VCPUEVENT_VALID_TRIPLE_FAULT)

static int check_events(const struct vcpu *vcpu, struct kvm_vcpu_events *e)
{
	if (e->flags & ~(uint32_t)EVENT_FLAGS)
		return -EINVAL;
	if (e->flags & KVM_VCPUEVENT_VALID_PAYLOAD) {
		if (!vcpu->vm->exception_payload)
			return -EINVAL;
		if (e->exception.pending)
			e->exception.injected = 0;
		else
			e->exception_has_payload = 0;
	} else {
		e->exception.pending = 0;
		e->exception_has_payload = 0;
	}
	if ((e->exception.injected || e->exception.pending) &&
	    (e->exception.nr > 31 || e->exception.nr == VEC_NMI))
		return -EINVAL;
	if ((e->flags & KVM_VCPUEVENT_VALID_SMM) &&
	    (e->smi.smm || e->smi.pending))
		return -EINVAL;
	if ((e->flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT) &&
	    !vcpu->vm->triple_fault_event)
		return -EINVAL;
	return 0;
}

/* One event at a time is on its way; exceptions come first. */
static void set_event(struct vcpu *vcpu, const struct kvm_vcpu_events *e)
{
	struct cpu_event ev = {.valid = true, .injected = true};

	if (e->exception.injected || e->exception.pending) {
		ev.kind = EVENT_FAULT;
		ev.vector = e->exception.nr;
		if (ev.vector == VEC_BP || ev.vector == VEC_OF ||
		    (ev.vector == VEC_DB && !(ev.payload & DR6_BD)))
			ev.kind = EVENT_TRAP;
		if (ev.vector == VEC_BP && vcpu->bp_len) {
			ev.kind = EVENT_SOFT_EXC;
			ev.insn_len = vcpu->bp_len;
		}
		ev.injected = e->exception.injected;
		ev.has_error = e->exception.has_error_code;
		ev.error = e->exception.error_code;
		ev.has_payload = e->exception_has_payload;
		ev.payload = e->exception_payload;
	} else if (e->interrupt.injected) {
		ev.kind = e->interrupt.soft ? EVENT_SOFT_INT : EVENT_IRQ;
		ev.vector = e->interrupt.nr;
	} else if (e->nmi.injected) {
		ev.kind = EVENT_NMI;
		ev.vector = VEC_NMI;
	} else {
		ev = (struct cpu_event){0};
	}
	vcpu->cpu->event = ev;
	if (!vcpu->has_lapic)
		vcpu->user_irq = -1;
}

int events_load(struct vcpu *vcpu, struct kvm_vcpu_events *e)
{
	struct cpu *cpu = vcpu->cpu;
	int ret = check_events(vcpu, e);

	if (ret)
		return ret;
	set_event(vcpu, e);
	if (e->flags & KVM_VCPUEVENT_VALID_SHADOW)
		cpu->shadow = (e->interrupt.shadow & KVM_X86_SHADOW_INT_STI
				       ? CPU_SHADOW_STI
				       : 0) |
			      (e->interrupt.shadow & KVM_X86_SHADOW_INT_MOV_SS
				       ? CPU_SHADOW_MOVSS
				       : 0);
	if (e->flags & KVM_VCPUEVENT_VALID_NMI_PENDING)
		__atomic_store_n(&vcpu->nmi, e->nmi.pending, __ATOMIC_RELAXED);
	cpu->nmi_blocked = e->nmi.masked;
	if ((e->flags & KVM_VCPUEVENT_VALID_SIPI_VECTOR) && vcpu->has_lapic)
		__atomic_store_n(&vcpu->sipi, e->sipi_vector, __ATOMIC_RELAXED);
	if ((e->flags & KVM_VCPUEVENT_VALID_SMM) && vcpu->has_lapic) {
		if (e->smi.latched_init)
			__atomic_or_fetch(&vcpu->pending, VCPU_INIT,
					  __ATOMIC_SEQ_CST);
		else
			__atomic_and_fetch(&vcpu->pending, ~VCPU_INIT,
					   __ATOMIC_SEQ_CST);
	}
	if (e->flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT)
		vcpu->shutdown = e->triple_fault.pending;
	cpu_request(cpu, CPU_REQ_EVENT);
	return 0;
}

int events_set(struct call *c)
{
	return events_load(c->vcpu, c->data);
}

/* ---- injection ---- */

/* With local APICs alone this is the client's PIC. */
int events_interrupt(struct call *c)
{
	const struct kvm_interrupt *i = c->data;

	if (i->irq >= 256)
		return -EINVAL;
	if (irqchip_present(&c->vm->irq))
		return -ENXIO;
	if (c->vcpu->has_lapic && c->vcpu->user_irq >= 0)
		return -EEXIST;
	c->vcpu->user_irq = (int)i->irq;
	c->vcpu->acquire = true;
	return 0;
}

int events_nmi(struct call *c)
{
	vcpu_post_nmi(c->vcpu);
	return 0;
}

void vcpu_post_nmi(struct vcpu *vcpu)
{
	uint32_t n = __atomic_load_n(&vcpu->nmi, __ATOMIC_RELAXED);

	while (n < MAX_NMI &&
	       !__atomic_compare_exchange_n(&vcpu->nmi, &n, n + 1, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
	vcpu_kick(vcpu);
}

/* An INIT wipes out a SIPI that came before it. */
void vcpu_post_init(struct vcpu *vcpu)
{
	__atomic_store_n(&vcpu->pending, VCPU_INIT, __ATOMIC_SEQ_CST);
	vcpu_kick(vcpu);
}

void vcpu_post_sipi(struct vcpu *vcpu, uint8_t page)
{
	__atomic_store_n(&vcpu->sipi, page, __ATOMIC_RELEASE);
	__atomic_or_fetch(&vcpu->pending, VCPU_SIPI, __ATOMIC_SEQ_CST);
	vcpu_kick(vcpu);
}

/* ---- debug registers ---- */

int events_get_debugregs(struct call *c)
{
	const struct cpu *cpu = c->vcpu->cpu;
	struct kvm_debugregs *d = c->data;

	memcpy(d->db, cpu->dr, sizeof(d->db));
	d->dr6 = cpu->dr6;
	d->dr7 = cpu->dr7;
	return 0;
}

int events_set_debugregs(struct call *c)
{
	const struct kvm_debugregs *d = c->data;
	struct cpu *cpu = c->vcpu->cpu;

	if (d->flags || d->dr6 >> 32 || d->dr7 >> 32)
		return -EINVAL;
	memcpy(cpu->dr, d->db, sizeof(d->db));
	cpu->dr6 = d->dr6;
	cpu->dr7 = d->dr7;
	cpu->mode_dirty = true;
	return 0;
}
