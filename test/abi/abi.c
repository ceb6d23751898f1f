/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Setting up small guests; see abi.h.
 */
#include "test/abi/abi.h"

#define PAGE_TABLES 0x10000u
#define GDT         0x8000u
#define IDT         0x9000u
#define EFER_LONG   0x500u /* LME, LMA */

void abi_open(struct abi *a, int flags)
{
	struct kvm_userspace_memory_region r = {.memory_size = ABI_RAM};
	struct kvm_pit_config pit = {0};

	*a = (struct abi){.vcpu = -1};
	a->sys = lodge_open();
	assert_true(a->sys >= 0);
	a->vm = CALL(a->sys, KVM_CREATE_VM, 0);
	assert_true(a->vm >= 0);
	a->ram = mmap(NULL, ABI_RAM, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(a->ram != MAP_FAILED);
	r.userspace_addr = (uintptr_t)a->ram;
	OK(a->vm, KVM_SET_USER_MEMORY_REGION, &r);
	if (flags & ABI_IRQCHIP)
		OK(a->vm, KVM_CREATE_IRQCHIP, 0);
	if (flags & ABI_PIT)
		OK(a->vm, KVM_CREATE_PIT2, &pit);
	if (!(flags & ABI_NO_VCPU))
		a->vcpu = abi_add_vcpu(a, 0, &a->run);
}

int abi_add_vcpu(struct abi *a, unsigned int id, struct kvm_run **run)
{
	int fd = CALL(a->vm, KVM_CREATE_VCPU, id);
	int size = CALL(a->sys, KVM_GET_VCPU_MMAP_SIZE, 0);
	void *p;

	assert_true(fd >= 0);
	assert_true(size >= (int)sizeof(struct kvm_run));
	assert_int_equal(lodge_mmap(fd, (size_t)size, PROT_READ | PROT_WRITE,
				    MAP_SHARED, 0, &p),
			 0);
	*run = p;
	return fd;
}

void abi_close(struct abi *a)
{
	if (a->run)
		assert_int_equal(lodge_munmap(a->vcpu, a->run, 12288), 0);
	if (a->vcpu >= 0)
		assert_int_equal(lodge_close(a->vcpu), 0);
	assert_int_equal(lodge_close(a->vm), 0);
	assert_int_equal(lodge_close(a->sys), 0);
	munmap(a->ram, ABI_RAM);
}

void abi_set_cpuid(struct abi *a, int vcpu)
{
	struct kvm_cpuid2 *c = calloc(1,
				      sizeof(*c) + 256 * sizeof(c->entries[0]));

	assert_non_null(c);
	c->nent = 256;
	OK(a->sys, KVM_GET_SUPPORTED_CPUID, c);
	OK(vcpu, KVM_SET_CPUID2, c);
	free(c);
}

static void start(struct abi *a, int vcpu, const void *code, size_t size)
{
	struct kvm_regs regs = {.rip = ABI_CODE, .rsp = 0x7000, .rflags = 2};

	memcpy(a->ram + ABI_CODE, code, size);
	OK(vcpu, KVM_SET_REGS, &regs);
}

void abi_real(struct abi *a, int vcpu, const void *code, size_t size)
{
	struct kvm_sregs s;

	OK(vcpu, KVM_GET_SREGS, &s);
	s.cs.selector = 0;
	s.cs.base = 0;
	OK(vcpu, KVM_SET_SREGS, &s);
	start(a, vcpu, code, size);
}

static void build_tables(struct abi *a)
{
	uint64_t *pml4 = (uint64_t *)(void *)(a->ram + PAGE_TABLES);
	uint64_t *pdpt = pml4 + 512, *pd = pdpt + 512;

	pml4[0] = (PAGE_TABLES + 0x1000) | 7;
	for (uint64_t i = 0; i < 4; i++)
		pdpt[i] = (PAGE_TABLES + 0x2000 + 0x1000 * i) | 7;
	for (uint64_t i = 0; i < 4 * 512; i++)
		pd[i] = i << 21 | 0x87;
}

void abi_long(struct abi *a, int vcpu, const void *code, size_t size)
{
	struct kvm_segment data = {
		.limit = 0xffffffff,
		.selector = 16,
		.type = 3,
		.present = 1,
		.db = 1,
		.s = 1,
		.g = 1,
	};
	struct kvm_sregs s;

	build_tables(a);
	OK(vcpu, KVM_GET_SREGS, &s);
	s.cr0 = 0x80000033;
	s.cr3 = PAGE_TABLES;
	s.cr4 = 0x620; /* PAE, OSFXSR, OSXMMEXCPT */
	s.efer = EFER_LONG;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.cs = data;
	s.cs.selector = 8;
	s.cs.type = 11;
	s.cs.db = 0;
	s.cs.l = 1;
	s.gdt.base = GDT;
	s.gdt.limit = 23;
	OK(vcpu, KVM_SET_SREGS, &s);
	memcpy(a->ram + GDT + 8,
	       (const uint64_t[]){0x00af9b000000ffff, 0x00cf93000000ffff}, 16);
	start(a, vcpu, code, size);
}

void abi_gate(struct abi *a, unsigned int vector, uint64_t gva)
{
	uint64_t gate[2] = {
		(gva & 0xffff) | 8u << 16 | 0x8e00ull << 32 |
			(gva >> 16 & 0xffff) << 48,
		gva >> 32,
	};

	memcpy(a->ram + IDT + 16 * vector, gate, sizeof(gate));
}

void abi_idt(struct abi *a, int vcpu)
{
	struct kvm_sregs s;

	(void)a;
	OK(vcpu, KVM_GET_SREGS, &s);
	s.idt.base = IDT;
	s.idt.limit = 0xfff;
	OK(vcpu, KVM_SET_SREGS, &s);
}

void abi_run(struct abi *a, unsigned int reason)
{
	int ret = CALL(a->vcpu, KVM_RUN, 0);

	assert_int_equal(ret, 0);
	assert_int_equal(a->run->exit_reason, reason);
}

struct kvm_regs abi_regs(int vcpu)
{
	struct kvm_regs regs;

	OK(vcpu, KVM_GET_REGS, &regs);
	return regs;
}
