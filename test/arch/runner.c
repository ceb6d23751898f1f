/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch [-kvm] [-smp N] [-t seconds] image
 *
 * Runs a freestanding guest image through the KVM ABI of include/lodge.h, or
 * with -kvm of the kernel's /dev/kvm, and passes its report on as TAP. The
 * image starts in real mode at 1000:0000, as proto.h says. Exit status is 0
 * for a report that is complete, whatever it says: meson reads the TAP.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "include/lodge.h"
#include "test/arch/proto.h"

#define CPUS_MAX 8
#define LOG_MAX  4096

struct vcpu {
	unsigned int id;
	int fd;
	struct kvm_run *run;
	pthread_t thread;
};

static struct {
	bool kernel;
	unsigned int cpus;
	int vm;
	size_t run_size;
	struct vcpu vcpu[CPUS_MAX];
	uint8_t *ram;
	pthread_mutex_t lock;
	uint32_t expect;
	unsigned int oks;
	char line[512];
	unsigned int line_len;
	uint8_t dev_port[DEV_PORTS], dev_mmio[DEV_MMIO_SIZE];
	uint32_t log[LOG_MAX], log_count, log_next;
} vm = {.cpus = 1, .lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- the KVM behind it ---- */

static int hv_ioctl(int fd, unsigned long req, unsigned long arg)
{
	int ret;

	if (!vm.kernel)
		return lodge_ioctl(fd, req, arg);
	ret = ioctl(fd, req, arg);
	return ret < 0 ? -errno : ret;
}

static int hv_open(void)
{
	int fd;

	if (!vm.kernel)
		return lodge_open();
	fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void *hv_map_run(int fd)
{
	void *p = NULL;

	if (!vm.kernel)
		return lodge_mmap(fd, vm.run_size, PROT_READ | PROT_WRITE,
				  MAP_SHARED, 0, &p)
			       ? NULL
			       : p;
	p = mmap(NULL, vm.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return p == MAP_FAILED ? NULL : p;
}

/* ---- the report ---- */

static void bail(const char *why, long val)
{
	printf("Bail out! %s (%ld)\n", why, val);
	fflush(stdout);
	_exit(1);
}

static int must(int ret, const char *what)
{
	if (ret < 0)
		bail(what, ret);
	return ret;
}

static void print_where(const struct vcpu *v)
{
	struct kvm_regs r;
	struct kvm_sregs s;

	if (hv_ioctl(v->fd, KVM_GET_REGS, (unsigned long)&r) ||
	    hv_ioctl(v->fd, KVM_GET_SREGS, (unsigned long)&s))
		return;
	printf("# vcpu %u: cs %x:%llx rip %llx rsp %llx rflags %llx cr0 %llx "
	       "cr2 %llx cr3 %llx cr4 %llx efer %llx rax %llx\n",
	       v->id, s.cs.selector, s.cs.base, r.rip, r.rsp, r.rflags, s.cr0,
	       s.cr2, s.cr3, s.cr4, s.efer, r.rax);
}

static void finish(uint32_t code)
{
	if (code)
		printf("not ok - guest ended with %u\n", code);
	printf("1..%u\n", vm.oks + (code != 0));
	fflush(stdout);
	_exit(0);
}

static void text(char c)
{
	if (c != '\n' && vm.line_len < sizeof(vm.line) - 1) {
		vm.line[vm.line_len++] = c;
		return;
	}
	vm.line[vm.line_len] = '\0';
	vm.line_len = 0;
	if (!strncmp(vm.line, "ok ", 3) || !strncmp(vm.line, "not ok ", 7))
		vm.oks++;
	puts(vm.line);
	fflush(stdout);
}

/* ---- the test device ---- */

static void note(uint32_t kind, unsigned int size, uint32_t off)
{
	if (vm.log_count < LOG_MAX)
		vm.log[vm.log_count++] = kind | LOG_SIZE(size) |
					 LOG_OFFSET(off);
}

static uint32_t control_in(uint16_t port)
{
	if (port == DEV_LOG_COUNT)
		return vm.log_count;
	if (port == DEV_LOG_READ && vm.log_next < vm.log_count)
		return vm.log[vm.log_next++];
	return ~0u;
}

static void inject_nmi(struct vcpu *v)
{
	must(hv_ioctl(v->fd, KVM_NMI, 0), "KVM_NMI");
}

static void control_out(struct vcpu *v, uint16_t port, uint32_t val)
{
	switch (port) {
	case PORT_TEXT: text(val); break;
	case PORT_EXIT: finish(val); break;
	case PORT_EXPECT: vm.expect = val; break;
	case PORT_NMI: inject_nmi(v); break;
	case DEV_LOG_RESET: vm.log_count = vm.log_next = 0; break;
	default: break;
	}
}

static void pio_one(struct vcpu *v, bool in, uint16_t port, uint8_t *data,
		    unsigned int size)
{
	unsigned int off = port - DEV_PORT;
	uint32_t val = 0;

	if (off < DEV_PORTS && off + size <= DEV_PORTS) {
		note(LOG_PIO | (in ? LOG_READ : LOG_WRITE), size, port);
		if (in)
			memcpy(data, vm.dev_port + off, size);
		else
			memcpy(vm.dev_port + off, data, size);
		return;
	}
	memcpy(&val, data, size);
	if (!in) {
		control_out(v, port, val);
		return;
	}
	val = control_in(port);
	memcpy(data, &val, size);
}

static void exit_io(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	for (uint32_t i = 0; i < run->io.count; i++)
		pio_one(v, run->io.direction == KVM_EXIT_IO_IN, run->io.port,
			data + i * run->io.size, run->io.size);
}

static void exit_mmio(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	uint64_t off = run->mmio.phys_addr - DEV_MMIO;
	uint8_t *data = run->mmio.data;

	if (off >= DEV_MMIO_SIZE || off + run->mmio.len > DEV_MMIO_SIZE) {
		if (!run->mmio.is_write)
			memset(data, 0xff, 8);
		else if (run->mmio.phys_addr - DEV_ROM < 0x1000)
			note(LOG_WRITE, run->mmio.len,
			     0x8000 | (run->mmio.phys_addr & 0xfff));
		return;
	}
	note(run->mmio.is_write ? LOG_WRITE : LOG_READ, run->mmio.len, off);
	if (run->mmio.is_write)
		memcpy(vm.dev_mmio + off, data, run->mmio.len);
	else
		memcpy(data, vm.dev_mmio + off, run->mmio.len);
}

static void exit_shutdown(struct vcpu *v)
{
	if (vm.expect != EXPECT_SHUTDOWN) {
		print_where(v);
		bail("triple fault", v->id);
	}
	vm.oks++;
	printf("ok - triple fault shuts the processor down\n");
	finish(0);
}

static void handle(struct vcpu *v)
{
	switch (v->run->exit_reason) {
	case KVM_EXIT_IO: exit_io(v); break;
	case KVM_EXIT_MMIO: exit_mmio(v); break;
	case KVM_EXIT_SHUTDOWN: exit_shutdown(v); break;
	case KVM_EXIT_INTERNAL_ERROR:
		print_where(v);
		bail("internal error, suberror", v->run->internal.suberror);
		break;
	case KVM_EXIT_INTR: break;
	default: print_where(v); bail("exit reason", v->run->exit_reason);
	}
}

static void *vcpu_main(void *arg)
{
	struct vcpu *v = arg;

	for (;;) {
		int ret = hv_ioctl(v->fd, KVM_RUN, 0);

		if (ret == -EINTR || ret == -EAGAIN)
			continue;
		if (ret < 0) {
			print_where(v);
			bail("KVM_RUN", ret);
		}
		pthread_mutex_lock(&vm.lock);
		handle(v);
		pthread_mutex_unlock(&vm.lock);
	}
	return NULL;
}

/* ---- making the machine ---- */

static void set_cpuid(int sys, struct vcpu *v)
{
	static uint64_t room[(sizeof(struct kvm_cpuid2) +
			      256 * sizeof(struct kvm_cpuid_entry2)) /
			     8];
	struct kvm_cpuid2 *c = (struct kvm_cpuid2 *)room;

	c->nent = 256;
	must(hv_ioctl(sys, KVM_GET_SUPPORTED_CPUID, (unsigned long)c),
	     "KVM_GET_SUPPORTED_CPUID");
	for (uint32_t i = 0; i < c->nent; i++) {
		struct kvm_cpuid_entry2 *e = &c->entries[i];

		if (e->function == 1)
			e->ebx = (e->ebx & 0x00ffffff) | v->id << 24;
		if (e->function == 0xb)
			e->edx = v->id;
	}
	must(hv_ioctl(v->fd, KVM_SET_CPUID2, (unsigned long)c),
	     "KVM_SET_CPUID2");
}

static void set_slot(uint32_t slot, uint64_t gpa, void *hva, uint64_t size,
		     uint32_t flags)
{
	struct kvm_userspace_memory_region r = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	must(hv_ioctl(vm.vm, KVM_SET_USER_MEMORY_REGION, (unsigned long)&r),
	     "KVM_SET_USER_MEMORY_REGION");
}

static void *map_memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		bail("mmap", errno);
	return p;
}

static void load_image(const char *path)
{
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f)
		bail("cannot open the image", errno);
	n = fread(vm.ram + IMAGE_GPA, 1, RAM_SIZE - IMAGE_GPA, f);
	if (!n)
		bail("empty image", 0);
	fclose(f);
}

static void make_vcpu(int sys, unsigned int id)
{
	struct vcpu *v = &vm.vcpu[id];
	struct kvm_sregs s;
	struct kvm_regs r = {.rflags = 2};

	v->id = id;
	v->fd = must(hv_ioctl(vm.vm, KVM_CREATE_VCPU, id), "KVM_CREATE_VCPU");
	v->run = hv_map_run(v->fd);
	if (!v->run)
		bail("mapping of struct kvm_run", id);
	set_cpuid(sys, v);
	if (id)
		return;
	must(hv_ioctl(v->fd, KVM_GET_SREGS, (unsigned long)&s),
	     "KVM_GET_SREGS");
	s.cs.base = IMAGE_GPA;
	s.cs.selector = IMAGE_GPA >> 4;
	must(hv_ioctl(v->fd, KVM_SET_SREGS, (unsigned long)&s),
	     "KVM_SET_SREGS");
	must(hv_ioctl(v->fd, KVM_SET_REGS, (unsigned long)&r), "KVM_SET_REGS");
}

static void make_vm(const char *image)
{
	struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
	int sys = must(hv_open(), "open");
	uint8_t *rom;

	vm.vm = must(hv_ioctl(sys, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	vm.run_size = must(hv_ioctl(sys, KVM_GET_VCPU_MMAP_SIZE, 0),
			   "KVM_GET_VCPU_MMAP_SIZE");
	must(hv_ioctl(vm.vm, KVM_SET_TSS_ADDR, 0xfffbd000), "KVM_SET_TSS_ADDR");
	must(hv_ioctl(vm.vm, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
	must(hv_ioctl(vm.vm, KVM_CREATE_PIT2, (unsigned long)&pit),
	     "KVM_CREATE_PIT2");
	vm.ram = map_memory(RAM_SIZE);
	load_image(image);
	set_slot(0, 0, vm.ram, RAM_SIZE, 0);
	rom = map_memory(0x1000);
	memset(rom, 0x5a, 0x1000);
	set_slot(1, DEV_ROM, rom, 0x1000, KVM_MEM_READONLY);
	for (unsigned int i = 0; i < vm.cpus; i++)
		make_vcpu(sys, i);
}

/* Too long: say where everybody is. */
static void kick(int sig)
{
}

static void wait_for_end(unsigned int seconds)
{
	sleep(seconds);
	printf("# no end after %u seconds\n", seconds);
	pthread_mutex_lock(&vm.lock);
	for (unsigned int i = 0; i < vm.cpus; i++) {
		vm.vcpu[i].run->immediate_exit = 1;
		pthread_kill(vm.vcpu[i].thread, SIGUSR1);
	}
	for (unsigned int i = 0; i < vm.cpus; i++)
		print_where(&vm.vcpu[i]);
	bail("timeout", seconds);
}

int main(int argc, char **argv)
{
	unsigned int seconds = 60;
	struct sigaction sa = {.sa_handler = kick};
	const char *image = NULL;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-kvm"))
			vm.kernel = true;
		else if (!strcmp(argv[i], "-smp") && i + 1 < argc)
			vm.cpus = strtoul(argv[++i], NULL, 0);
		else if (!strcmp(argv[i], "-t") && i + 1 < argc)
			seconds = strtoul(argv[++i], NULL, 0);
		else
			image = argv[i];
	}
	if (!image || !vm.cpus || vm.cpus > CPUS_MAX) {
		fprintf(stderr, "usage: arch [-kvm] [-smp N] [-t seconds] "
				"image\n");
		return 2;
	}
	sigaction(SIGUSR1, &sa, NULL);
	make_vm(image);
	for (unsigned int i = 0; i < vm.cpus; i++)
		if (pthread_create(&vm.vcpu[i].thread, NULL, vcpu_main,
				   &vm.vcpu[i]))
			bail("pthread_create", i);
	wait_for_end(seconds);
}
