/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers a kernel expects at its entry. Documents: Linux
 * Documentation/arch/x86/boot.rst "64-bit Boot Protocol" and "32-bit Boot
 * Protocol", Xen docs/misc/pvh "x86/HVM direct boot ABI".
 */
#include <string.h>

#include "vmm/boot.h"
#include "vmm/hv.h"
#include "vmm/layout.h"
#include "vmm/machine.h"
#include "vmm/segment.h"
#include "vmm/vcpu.h"

#define CR0_PE   BIT64(0)
#define CR0_ET   BIT64(4)
#define CR0_PG   BIT64(31)
#define CR4_PAE  BIT64(5)
#define EFER_LME BIT64(8)
#define EFER_LMA BIT64(10)

static void set_segments(struct kvm_sregs *s, bool long_mode)
{
	s->cs = segment_flat(0x10, 0xb, long_mode);
	s->ds = s->es = s->fs = s->gs = s->ss = segment_flat(0x18, 3, false);
	s->tr = (struct kvm_segment){
		.limit = 0x67,
		.selector = 0x20,
		.type = 0xb,
		.present = 1,
	};
	s->ldt = (struct kvm_segment){.type = 2, .unusable = 1};
	s->gdt.base = LAYOUT_GDT;
	s->gdt.limit = 5 * 8 - 1;
	s->idt.base = 0;
	s->idt.limit = 0;
}

int vcpu_set_entry(struct vcpu *v, const struct boot_entry *entry,
		   struct err *e)
{
	struct kvm_regs regs = {
		.rip = entry->rip,
		.rax = entry->rax,
		.rsi = entry->rsi,
		.rbx = entry->rbx,
		.rsp = LAYOUT_STACK_TOP,
		.rflags = 2,
	};
	struct kvm_sregs sregs;
	struct hv *hv = v->machine->hv;
	int ret = HV_CALL(hv, v->fd, KVM_GET_SREGS, &sregs, e);

	if (ret < 0)
		return ret;
	set_segments(&sregs, entry->long_mode);
	sregs.cr0 = CR0_PE | CR0_ET;
	sregs.cr4 = 0;
	sregs.efer = 0;
	if (entry->long_mode) {
		sregs.cr0 |= CR0_PG;
		sregs.cr3 = entry->cr3;
		sregs.cr4 = CR4_PAE;
		sregs.efer = EFER_LME | EFER_LMA;
	}
	ret = HV_CALL(hv, v->fd, KVM_SET_SREGS, &sregs, e);
	if (ret >= 0)
		ret = HV_CALL(hv, v->fd, KVM_SET_REGS, &regs, e);
	return MIN(ret, 0);
}
