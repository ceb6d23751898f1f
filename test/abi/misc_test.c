/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests that belong to no other program here: chip state of the older
 * kind, machine checks, device attributes, addresses nobody needs.
 */
#include "test/abi/abi.h"

#include "include/uapi/kvm_new.h"

static void test_pit_state(void **state)
{
	struct kvm_reinject_control r = {.pit_reinject = 0};
	struct kvm_pit_state old, again;
	struct kvm_pit_state2 now;
	struct abi a;

	(void)state;
	abi_open(&a, ABI_IRQCHIP);
	FAILS(a.vm, KVM_GET_PIT, &old, ENXIO);
	FAILS(a.vm, KVM_SET_PIT2, &now, ENXIO);
	FAILS(a.vm, KVM_REINJECT_CONTROL, &r, ENXIO);
	FAILS(a.vm, KVM_REINJECT_CONTROL, 8, EFAULT);
	OK(a.vm, KVM_CREATE_PIT, 0);
	OK(a.vm, KVM_REINJECT_CONTROL, &r);
	OK(a.vm, KVM_GET_PIT, &old);
	old.channels[2].count = 0x1234;
	old.channels[2].mode = 3;
	OK(a.vm, KVM_SET_PIT, &old);
	OK(a.vm, KVM_GET_PIT, &again);
	assert_int_equal(again.channels[2].count, 0x1234);
	assert_int_equal(again.channels[2].mode, 3);
	OK(a.vm, KVM_GET_PIT2, &now);
	assert_int_equal(now.channels[2].count, 0x1234);
	now.flags = KVM_PIT_FLAGS_HPET_LEGACY;
	OK(a.vm, KVM_SET_PIT2, &now);
	OK(a.vm, KVM_GET_PIT2, &now);
	assert_true(now.flags & KVM_PIT_FLAGS_HPET_LEGACY);
	abi_close(&a);
}

static void test_irqchip_state(void **state)
{
	struct kvm_irqchip c = {0}, d;
	struct abi a;

	(void)state;
	abi_open(&a, ABI_IRQCHIP);
	for (c.chip_id = 0; c.chip_id < 2; c.chip_id++) {
		OK(a.vm, KVM_GET_IRQCHIP, &c);
		c.chip.pic.imr = 0x5a;
		c.chip.pic.irq_base = 0x68;
		OK(a.vm, KVM_SET_IRQCHIP, &c);
		d = (struct kvm_irqchip){.chip_id = c.chip_id};
		OK(a.vm, KVM_GET_IRQCHIP, &d);
		assert_memory_equal(&c.chip.pic, &d.chip.pic,
				    sizeof(c.chip.pic));
	}
	c.chip_id = 2;
	OK(a.vm, KVM_GET_IRQCHIP, &c);
	assert_int_equal(c.chip.ioapic.base_address, 0xfec00000);
	assert_int_equal(c.chip.ioapic.redirtbl[3].fields.mask, 1);
	c.chip.ioapic.redirtbl[3].bits = 0x0100000000000033;
	c.chip.ioapic.id = 2;
	OK(a.vm, KVM_SET_IRQCHIP, &c);
	d = (struct kvm_irqchip){.chip_id = 2};
	OK(a.vm, KVM_GET_IRQCHIP, &d);
	assert_memory_equal(&c.chip.ioapic, &d.chip.ioapic,
			    sizeof(c.chip.ioapic));
	abi_close(&a);
}

static void test_mce(void **state)
{
	struct kvm_x86_mce mce = {.status = 1ull << 63, .bank = 4};
	struct {
		struct kvm_msrs h;
		struct kvm_msr_entry e;
	} m = {.h.nmsrs = 1, .e.index = 0x400 + 4 * 4 + 1};
	uint64_t cap = 0;
	struct abi a;

	(void)state;
	abi_open(&a, ABI_IRQCHIP);
	OK(a.sys, KVM_X86_GET_MCE_CAP_SUPPORTED, &cap);
	assert_true(cap & 1 << 8);
	cap |= 1ull << 50;
	FAILS(a.vcpu, KVM_X86_SETUP_MCE, &cap, EINVAL);
	cap = 1 << 8 | 40; /* more banks than there are */
	FAILS(a.vcpu, KVM_X86_SETUP_MCE, &cap, EINVAL);
	cap = 1 << 8;
	FAILS(a.vcpu, KVM_X86_SETUP_MCE, &cap, EINVAL);
	cap = 1 << 8 | 10;
	OK(a.vcpu, KVM_X86_SETUP_MCE, &cap);
	mce.bank = 10;
	FAILS(a.vcpu, KVM_X86_SET_MCE, &mce, EINVAL);
	mce.bank = 4;
	mce.status = 5; /* not valid */
	FAILS(a.vcpu, KVM_X86_SET_MCE, &mce, EINVAL);
	mce.status = 1ull << 63 | 0x17;
	OK(a.vcpu, KVM_X86_SET_MCE, &mce);
	assert_int_equal(CALL(a.vcpu, KVM_GET_MSRS, &m), 1);
	assert_true(m.e.data == mce.status);
	abi_close(&a);
}

/* An uncorrected error nobody can take is the end of the machine. */
static void test_mce_shutdown(void **state)
{
	static const uint8_t code[] = {0xf4};
	struct kvm_x86_mce mce = {
		.status = 7ull << 61, .mcg_status = 5, .bank = 1};
	struct {
		struct kvm_msrs h;
		struct kvm_msr_entry e[2];
	} m = {.h.nmsrs = 2,
	       .e = {{.index = 0x17b, .data = -1ull},
		     {.index = 0x404, .data = -1ull}}};
	uint64_t cap = 1 << 8 | 10;
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	abi_long(&a, a.vcpu, code, sizeof(code));
	OK(a.vcpu, KVM_X86_SETUP_MCE, &cap);
	assert_int_equal(CALL(a.vcpu, KVM_SET_MSRS, &m), 2);
	OK(a.vcpu, KVM_X86_SET_MCE, &mce);
	abi_run(&a, KVM_EXIT_SHUTDOWN);
	abi_close(&a);
}

static void test_attributes(void **state)
{
	uint64_t mask = 0;
	struct kvm_device_attr d = {.attr = KVM_X86_XCOMP_GUEST_SUPP,
				    .addr = (uintptr_t)&mask};
	struct kvm_xcrs x = {.nr_xcrs = 1};
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	abi_set_cpuid(&a, a.vcpu);
	OK(a.sys, KVM_HAS_DEVICE_ATTR, &d);
	OK(a.sys, KVM_GET_DEVICE_ATTR, &d);
	assert_true(mask & 1);
	x.xcrs[0].value = mask & ~(1ull << 9 | 3ull << 17) & 0xffff;
	OK(a.vcpu, KVM_SET_XCRS, &x);
	d.addr = 8;
	FAILS(a.sys, KVM_GET_DEVICE_ATTR, &d, EFAULT);
	d.attr = 77;
	FAILS(a.sys, KVM_HAS_DEVICE_ATTR, &d, ENXIO);
	FAILS(a.sys, KVM_GET_DEVICE_ATTR, &d, ENXIO);
	abi_close(&a);
}

static void test_addresses(void **state)
{
	struct kvm_tpr_access_ctl tpr = {0};
	struct kvm_vapic_addr vapic = {.vapic_addr = 0x1000};
	uint64_t where = 0xfeffc000;
	struct abi a;

	(void)state;
	abi_open(&a, ABI_NO_VCPU | ABI_IRQCHIP);
	OK(a.vm, KVM_SET_TSS_ADDR, 0xfeffd000);
	FAILS(a.vm, KVM_SET_TSS_ADDR, 0xffffffff, EINVAL);
	OK(a.vm, KVM_SET_IDENTITY_MAP_ADDR, &where);
	a.vcpu = abi_add_vcpu(&a, 0, &a.run);
	FAILS(a.vm, KVM_SET_IDENTITY_MAP_ADDR, &where, EINVAL);
	OK(a.vcpu, KVM_TPR_ACCESS_REPORTING, &tpr);
	tpr.flags = 1;
	FAILS(a.vcpu, KVM_TPR_ACCESS_REPORTING, &tpr, EINVAL);
	OK(a.vcpu, KVM_SET_VAPIC_ADDR, &vapic);
	abi_close(&a);
}

static void test_region2(void **state)
{
	uint8_t *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region2 r = {
		.slot = 3,
		.guest_phys_addr = 0x10000000,
		.memory_size = 4096,
		.userspace_addr = (uintptr_t)p,
	};
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	OK(a.vm, KVM_SET_USER_MEMORY_REGION2, &r);
	r.flags = 4; /* guest_memfd: not there */
	FAILS(a.vm, KVM_SET_USER_MEMORY_REGION2, &r, EINVAL);
	abi_close(&a);
	munmap(p, 4096);
}

static void test_vectors(void **state)
{
	struct kvm_xsave *x = calloc(1, sizeof(*x));
	struct kvm_fpu f, g;
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	OK(a.vcpu, KVM_GET_FPU, &f);
	assert_int_equal(f.fcw, 0x37f);
	assert_int_equal(f.mxcsr, 0x1f80);
	memset(f.xmm[3], 0x5a, 16);
	f.fpr[0][0] = 1;
	f.fcw = 0x27f;
	f.last_opcode = 0x123;
	OK(a.vcpu, KVM_SET_FPU, &f);
	OK(a.vcpu, KVM_GET_FPU, &g);
	assert_memory_equal(&f, &g, sizeof(f));
	if (CALL(a.vm, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2) == 4096) {
		OK(a.vcpu, KVM_GET_XSAVE, x);
		assert_memory_equal((uint8_t *)x->region + 160 + 3 * 16,
				    f.xmm[3], 16);
	}
	FAILS(a.vcpu, KVM_SET_XSAVE, 8, EFAULT);
	abi_close(&a);
	free(x);
}

static void test_bsp(void **state)
{
	struct kvm_run *run;
	struct kvm_sregs s;
	struct abi a;
	int fd;

	(void)state;
	abi_open(&a, ABI_NO_VCPU | ABI_IRQCHIP);
	OK(a.vm, KVM_SET_BOOT_CPU_ID, 1);
	a.vcpu = abi_add_vcpu(&a, 0, &a.run);
	fd = abi_add_vcpu(&a, 1, &run);
	OK(a.vcpu, KVM_GET_SREGS, &s);
	assert_int_equal(s.apic_base & 0x100, 0);
	OK(fd, KVM_GET_SREGS, &s);
	assert_int_equal(s.apic_base & 0x100, 0x100);
	lodge_munmap(fd, run, 12288);
	lodge_close(fd);
	abi_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pit_state),
		cmocka_unit_test(test_irqchip_state),
		cmocka_unit_test(test_mce),
		cmocka_unit_test(test_mce_shutdown),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_region2),
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_bsp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
