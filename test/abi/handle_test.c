/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handles as descriptors: duplicates, lifetime, fork, shared pages.
 */
#include "test/abi/abi.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/wait.h>

static int open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static int threads(void)
{
	DIR *d = opendir("/proc/self/task");
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* Nothing is left behind, whatever the order of closing. */
static void test_nothing_left(void **state)
{
	struct abi a;
	int files, tasks;

	(void)state;
	abi_open(&a, ABI_IRQCHIP | ABI_PIT);
	abi_close(&a);
	files = open_files();
	tasks = threads();
	for (int i = 0; i < 50; i++) {
		abi_open(&a, ABI_IRQCHIP | ABI_PIT);
		abi_close(&a);
	}
	assert_int_equal(open_files(), files);
	assert_int_equal(threads(), tasks);
}

static void test_close_on_exec(void **state)
{
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	assert_true(fcntl(a.vm, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(a.vcpu, F_GETFD) & FD_CLOEXEC);
	abi_close(&a);
}

/* A VM lives through its vCPU. */
static void test_vcpu_keeps_vm(void **state)
{
	static const uint8_t code[] = {0xe6, 0x10, 0xf4};
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	abi_real(&a, a.vcpu, code, sizeof(code));
	assert_int_equal(lodge_close(a.vm), 0);
	FAILS(a.vm, KVM_CHECK_EXTENSION, 0, EBADF);
	abi_run(&a, KVM_EXIT_IO);
	abi_run(&a, KVM_EXIT_HLT);
	assert_int_equal(lodge_munmap(a.vcpu, a.run, 12288), 0);
	assert_int_equal(lodge_close(a.vcpu), 0);
	assert_int_equal(lodge_close(a.sys), 0);
	munmap(a.ram, ABI_RAM);
}

static void test_dup(void **state)
{
	struct kvm_regs regs;
	struct abi a;
	int dup1, dup2;

	(void)state;
	abi_open(&a, 0);
	dup1 = dup(a.vcpu);
	dup2 = fcntl(a.vcpu, F_DUPFD_CLOEXEC, 100);
	assert_true(dup1 >= 0 && dup2 >= 100);
	OK(dup1, KVM_GET_REGS, &regs);
	assert_int_equal(lodge_close(a.vcpu), 0);
	FAILS(a.vcpu, KVM_GET_REGS, &regs, EBADF);
	OK(dup1, KVM_GET_REGS, &regs);
	assert_int_equal(lodge_close(dup1), 0);
	OK(dup2, KVM_GET_REGS, &regs);
	a.vcpu = dup2;
	abi_close(&a);
}

/* A number that another file has now is not taken for the handle. */
static void test_reused_number(void **state)
{
	struct abi a;
	int fd;

	(void)state;
	abi_open(&a, 0);
	fd = open("/dev/null", O_RDONLY);
	assert_true(fd >= 0);
	FAILS(fd, KVM_GET_API_VERSION, 0, ENOTTY);
	close(fd);
	fd = dup(a.sys);
	assert_int_equal(CALL(fd, KVM_GET_API_VERSION, 0), 12);
	assert_int_equal(lodge_close(fd), 0);
	assert_int_equal(open("/dev/null", O_RDONLY), fd);
	FAILS(fd, KVM_GET_API_VERSION, 0, ENOTTY);
	FAILS(fd, KVM_RUN, 0, ENOTTY);
	close(fd);
	abi_close(&a);
}

static int in_child(const struct abi *a)
{
	static const uint8_t code[] = {0xf4};
	struct kvm_regs regs;
	struct abi own;

	if (CALL(a->vcpu, KVM_GET_REGS, &regs) != -EIO)
		return 1;
	if (CALL(a->vcpu, KVM_RUN, 0) != -EIO)
		return 2;
	if (CALL(a->vm, KVM_CHECK_EXTENSION, KVM_CAP_HLT) != -EIO)
		return 3;
	if (CALL(a->sys, KVM_GET_API_VERSION, 0) != 12)
		return 4;
	abi_open(&own, ABI_IRQCHIP);
	abi_close(&own);
	abi_open(&own, 0);
	abi_real(&own, own.vcpu, code, sizeof(code));
	abi_run(&own, KVM_EXIT_HLT);
	abi_close(&own);
	if (lodge_close(a->vcpu))
		return 5;
	return 0;
}

/* Another process has another address space: EIO there, no change here. */
static void test_fork(void **state)
{
	struct kvm_regs regs;
	struct abi a;
	int status;
	pid_t pid;

	(void)state;
	abi_open(&a, 0);
	for (int i = 0; i < 10; i++) {
		pid = fork();
		assert_true(pid >= 0);
		if (!pid)
			_exit(in_child(&a));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	OK(a.vcpu, KVM_GET_REGS, &regs);
	abi_close(&a);
}

/* kvm_run is private to a vCPU, the coalesced ring is the VM's. */
static void test_pages(void **state)
{
	struct kvm_run *other;
	struct abi a;
	void *again;
	int vcpu;

	(void)state;
	abi_open(&a, 0);
	vcpu = abi_add_vcpu(&a, 1, &other);
	assert_int_equal(
		lodge_mmap(a.vcpu, 4096, PROT_READ, MAP_SHARED, 8192, &again),
		0);
	((uint8_t *)a.run)[8192 + 100] = 0x5a;
	assert_int_equal(((uint8_t *)other)[8192 + 100], 0x5a);
	assert_int_equal(((uint8_t *)again)[100], 0x5a);
	a.run->cr8 = 5;
	assert_int_equal(other->cr8, 0);
	assert_int_equal(
		lodge_mmap(a.vm, 4096, PROT_READ, MAP_SHARED, 0, &again),
		-ENODEV);
	lodge_munmap(vcpu, other, 12288);
	assert_int_equal(lodge_close(vcpu), 0);
	abi_close(&a);
}

static void test_two_vms(void **state)
{
	static const uint8_t code[] = {0xe4, 0x11, 0xf4};
	struct abi a, b;

	(void)state;
	abi_open(&a, 0);
	abi_open(&b, 0);
	abi_real(&a, a.vcpu, code, sizeof(code));
	abi_real(&b, b.vcpu, code, sizeof(code));
	abi_run(&a, KVM_EXIT_IO);
	abi_run(&b, KVM_EXIT_IO);
	((uint8_t *)a.run)[4096] = 1;
	((uint8_t *)b.run)[4096] = 2;
	abi_run(&b, KVM_EXIT_HLT);
	abi_run(&a, KVM_EXIT_HLT);
	assert_int_equal(abi_regs(a.vcpu).rax & 0xff, 1);
	assert_int_equal(abi_regs(b.vcpu).rax & 0xff, 2);
	abi_close(&a);
	abi_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_left),
		cmocka_unit_test(test_close_on_exec),
		cmocka_unit_test(test_vcpu_keeps_vm),
		cmocka_unit_test(test_dup),
		cmocka_unit_test(test_reused_number),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_two_vms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
