/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM_GET_STATS_FD: the files' layout, and that what is counted is seen.
 */
#include "test/abi/abi.h"

#include <sys/eventfd.h>

#include <fcntl.h>

struct view {
	struct kvm_stats_header h;
	char id[128];
};

static void open_view(int fd, struct view *v)
{
	assert_true(fd >= 0);
	assert_int_equal(read(fd, &v->h, sizeof(v->h)), sizeof(v->h));
	assert_in_range(v->h.name_size, 1, sizeof(v->id));
	assert_int_equal(pread(fd, v->id, v->h.name_size, v->h.id_offset),
			 v->h.name_size);
	assert_non_null(memchr(v->id, 0, v->h.name_size));
	assert_int_equal(strncmp(v->id, "kvm-", 4), 0);
	assert_int_equal(v->h.flags, 0);
	assert_true(v->h.num_desc > 0);
}

/* The counter of this name, or -1. */
static int64_t value(int fd, const struct view *v, const char *name)
{
	size_t size = sizeof(struct kvm_stats_desc) + v->h.name_size;
	struct kvm_stats_desc *d = malloc(size);
	int64_t found = -1;
	uint64_t n;

	for (uint32_t i = 0; i < v->h.num_desc; i++) {
		assert_int_equal(pread(fd, d, size,
				       v->h.desc_offset + (off_t)(i * size)),
				 size);
		assert_int_equal(d->size, 1);
		assert_int_equal(d->bucket_size, 0);
		assert_int_equal(d->exponent, 0);
		assert_int_equal(d->flags, 0);
		assert_non_null(memchr((char *)(d + 1), 0, v->h.name_size));
		assert_true(*(char *)(d + 1));
		assert_int_equal(pread(fd, &n, 8, v->h.data_offset + d->offset),
				 8);
		if (!strcmp((char *)(d + 1), name))
			found = (int64_t)n;
	}
	free(d);
	return found;
}

ABI_GUEST(ports, "1: in $1,%al; movl $1,(%rdi); jmp 1b");

static void test_vcpu(void **state)
{
	struct kvm_regs regs;
	int64_t exits, io;
	struct view v;
	struct abi a;
	int fd, dup_fd, other;
	char c = 0;

	(void)state;
	abi_open(&a, 0);
	ABI_START(&a, a.vcpu, ports);
	regs = abi_regs(a.vcpu);
	regs.rdi = 0x30000000;
	OK(a.vcpu, KVM_SET_REGS, &regs);
	for (int i = 0; i < 5; i++) {
		abi_run(&a, KVM_EXIT_IO);
		abi_run(&a, KVM_EXIT_MMIO);
	}
	fd = CALL(a.vcpu, KVM_GET_STATS_FD, 0);
	open_view(fd, &v);
	assert_non_null(strstr(v.id, "/vcpu-0"));
	assert_int_equal(write(fd, &c, 1), -1);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	exits = value(fd, &v, "exits");
	io = value(fd, &v, "io_exits");
	assert_int_equal(io, 5);
	assert_int_equal(value(fd, &v, "mmio_exits"), 5);
	assert_true(exits >= 10);
	assert_true(value(fd, &v, "translations") > 0);
	assert_int_equal(value(fd, &v, "no such counter"), -1);
	/* Live, through duplicates and through files opened later. */
	dup_fd = dup(fd);
	close(fd);
	abi_run(&a, KVM_EXIT_IO);
	other = CALL(a.vcpu, KVM_GET_STATS_FD, 0);
	open_view(other, &v);
	assert_int_equal(value(dup_fd, &v, "io_exits"), 6);
	assert_int_equal(value(other, &v, "io_exits"), 6);
	close(dup_fd);
	close(other);
	/* With all of them closed nothing is lost either. */
	abi_run(&a, KVM_EXIT_MMIO);
	abi_run(&a, KVM_EXIT_IO);
	fd = CALL(a.vcpu, KVM_GET_STATS_FD, 0);
	open_view(fd, &v);
	assert_int_equal(value(fd, &v, "io_exits"), 7);
	abi_run(&a, KVM_EXIT_MMIO);
	assert_int_equal(value(fd, &v, "mmio_exits"), 7);
	abi_close(&a);
	/* The file outlives the machine. */
	assert_int_equal(value(fd, &v, "io_exits"), 7);
	close(fd);
}

ABI_GUEST(signals, "mov $0x500, %edx; mov $200, %ecx;"
		   "1: outw %ax,%dx; movl %eax,(%rdi); loop 1b; hlt");

/* Stores to an ioeventfd signal it and stay in guest code. */
static void test_ioeventfd(void **state)
{
	struct kvm_ioeventfd io = {.addr = 0x500,
				   .fd = eventfd(0, EFD_NONBLOCK),
				   .flags = KVM_IOEVENTFD_FLAG_PIO};
	struct kvm_ioeventfd mem = {.addr = 0x30000000, .len = 4, .fd = io.fd};
	struct kvm_regs regs;
	struct view v;
	uint64_t n = 0;
	struct abi a;
	int fd;

	(void)state;
	abi_open(&a, 0);
	OK(a.vm, KVM_IOEVENTFD, &io);
	OK(a.vm, KVM_IOEVENTFD, &mem);
	ABI_START(&a, a.vcpu, signals);
	regs = abi_regs(a.vcpu);
	regs.rdi = mem.addr;
	OK(a.vcpu, KVM_SET_REGS, &regs);
	fd = CALL(a.vcpu, KVM_GET_STATS_FD, 0);
	open_view(fd, &v);
	abi_run(&a, KVM_EXIT_HLT);
	assert_int_equal(read(io.fd, &n, 8), 8);
	assert_int_equal(n, 400);
	assert_int_equal(value(fd, &v, "io_exits"), 200);
	assert_int_equal(value(fd, &v, "mmio_exits"), 200);
	assert_true(value(fd, &v, "exits") < 20);
	close(fd);
	close(io.fd);
	abi_close(&a);
}

static void test_vm(void **state)
{
	struct kvm_userspace_memory_region r = {
		.slot = 5, .guest_phys_addr = 0x10000000, .memory_size = 4096};
	int fd, fds[300];
	struct view v;
	int64_t before;
	struct abi a;

	(void)state;
	abi_open(&a, 0);
	fd = CALL(a.vm, KVM_GET_STATS_FD, 0);
	open_view(fd, &v);
	assert_null(strchr(v.id, '/'));
	before = value(fd, &v, "memslot_updates");
	assert_true(before >= 1);
	OK(a.vm, KVM_SET_USER_MEMORY_REGION, &r);
	assert_int_equal(value(fd, &v, "memslot_updates"), before + 1);
	for (int i = 0; i < 300; i++) {
		fds[i] = CALL(i & 1 ? a.vm : a.vcpu, KVM_GET_STATS_FD, 0);
		assert_true(fds[i] >= 0);
	}
	for (int i = 0; i < 300; i++)
		close(fds[i]);
	abi_close(&a);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vcpu),
		cmocka_unit_test(test_vm),
		cmocka_unit_test(test_ioeventfd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
