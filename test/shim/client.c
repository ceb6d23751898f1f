/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client CASE: runs one case; without a name, lists those that any host has
 * to pass. "hold" is a guest for others to look at.
 */
#include "test/shim/client.h"

#include <cpuid.h>
#include <dirent.h>
#include <limits.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

const char *client_path;

const uint8_t guest_spin[2] = {0xeb, 0xfe};
const uint8_t guest_out[4] = {0xe6, 0x10, 0xeb, 0xfc};
/*
 * movw $CODE + 11, 0 (the offset in vector 0); xor bx, bx; div bx;
 * handler: out 0x20, al; jmp back to it
 */
const uint8_t guest_div[15] = {0xc7, 0x06, 0x00, 0x00, 0x0b, 0x10, 0x31, 0xdb,
			       0xf7, 0xf3, 0xf4, 0xe6, 0x20, 0xeb, 0xfc};

void client_fail(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: %s (errno: %s)\n", file, line, what,
		strerror(errno));
	_exit(1);
}

static void set_registers(struct machine *m)
{
	struct kvm_sregs s;
	struct kvm_regs r = {.rip = CODE, .rsp = 0x8000, .rflags = 2};

	CHECK(!ioctl(m->vcpu, KVM_GET_SREGS, &s));
	s.cs.base = 0;
	s.cs.selector = 0;
	CHECK(!ioctl(m->vcpu, KVM_SET_SREGS, &s));
	CHECK(!ioctl(m->vcpu, KVM_SET_REGS, &r));
}

void machine_code(struct machine *m, const void *code, size_t size)
{
	memcpy(m->ram + CODE, code, size);
	set_registers(m);
}

void machine_open(struct machine *m)
{
	struct kvm_userspace_memory_region r = {.memory_size = RAM};

	m->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	CHECK(m->kvm >= 0);
	CHECK(ioctl(m->kvm, KVM_GET_API_VERSION, 0) == KVM_API_VERSION);
	m->vm = ioctl(m->kvm, KVM_CREATE_VM, 0);
	CHECK(m->vm >= 0);
	m->ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(m->ram != MAP_FAILED);
	r.userspace_addr = (uintptr_t)m->ram;
	CHECK(!ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &r));
	m->vcpu = ioctl(m->vm, KVM_CREATE_VCPU, 0);
	CHECK(m->vcpu >= 0);
	m->run_size = (size_t)ioctl(m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	CHECK(m->run_size == 3 * 4096);
	m->run = mmap(NULL, m->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		      m->vcpu, 0);
	CHECK(m->run != MAP_FAILED);
	set_registers(m);
}

void machine_close(struct machine *m)
{
	CHECK(!munmap(m->run, m->run_size));
	CHECK(!munmap(m->ram, RAM));
	CHECK(!close(m->vcpu));
	CHECK(!close(m->vm));
	CHECK(!close(m->kvm));
}

void machine_expect_out(struct machine *m, unsigned int port)
{
	CHECK(!ioctl(m->vcpu, KVM_RUN, 0));
	CHECK(m->run->exit_reason == KVM_EXIT_IO);
	CHECK(m->run->io.port == port);
	CHECK(m->run->io.direction == KVM_EXIT_IO_OUT);
}

int client_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	CHECK(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

void client_wait(pid_t pid)
{
	int status;

	CHECK(pid > 0);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

struct case_row {
	const char *name;
	void (*run)(void);
};

/* For a host that answers CPUID as `lodge kvm` can. */
static const struct case_row cpuid_cases[] = {
	{"tool", tool_all},
	{"cpuid", cpuid_answers},
	{"cpuid-bytes", cpuid_bytes},
	{"cpuid-signals", cpuid_signals},
	{"cpuid-threads", cpuid_threads},
	{"cpuid-guest", cpuid_guest},
	{"cpuid-exec", cpuid_exec},
	{"cpuid-late", cpuid_late},
};

static const struct case_row cases[] = {
	{"idle", files_idle},         {"open", files_open},
	{"names", files_names},       {"params", files_params},
	{"dup", files_dup},           {"close", files_close},
	{"map", files_map},           {"memory", files_memory},
	{"raw", files_raw},           {"timer", signals_timer},
	{"kick", signals_kick},       {"halted", signals_halted},
	{"jump", signals_jump},       {"handler", signals_handler_uses_vcpu},
	{"faults", signals_faults},   {"blocked", signals_blocked},
	{"mask", signals_mask},       {"cancel", signals_cancel},
	{"actions", signals_actions}, {"thread", processes_thread},
	{"fork", processes_fork},     {"vfork", processes_vfork},
	{"exec", processes_exec},     {"spawn", processes_spawn},
	{"exit", processes_exit},
};

/* A guest that goes on until standard input ends. */
static int hold(void)
{
	struct machine m;
	char c;

	machine_open(&m);
	machine_code(&m, guest_out, sizeof(guest_out));
	CHECK(!fcntl(0, F_SETFL, O_NONBLOCK));
	machine_expect_out(&m, 0x10);
	puts("running");
	fflush(stdout);
	while (read(0, &c, 1) < 0)
		machine_expect_out(&m, 0x10);
	return 0;
}

/* True when there is such a case, which has passed then. */
static bool run_case(const struct case_row *row, size_t n, const char *name)
{
	for (; n; n--, row++) {
		if (strcmp(row->name, name) != 0)
			continue;
		alarm(20); /* a case that hangs has failed */
		row->run();
		return true;
	}
	return false;
}

/*
 * Nanoseconds of a KVM_RUN that ends with a port exit: those of the quickest
 * batch, which the host did not interrupt.
 */
static int print_round_trip(void)
{
	enum { BATCHES = 400, RUNS = 500 };
	struct timespec from, to;
	long best = LONG_MAX, ns;
	struct machine m;

	machine_open(&m);
	machine_code(&m, guest_out, sizeof(guest_out));
	for (int i = 0; i < BATCHES; i++) {
		clock_gettime(CLOCK_MONOTONIC, &from);
		for (int n = 0; n < RUNS; n++)
			machine_expect_out(&m, 0x10);
		clock_gettime(CLOCK_MONOTONIC, &to);
		ns = (to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec -
		     from.tv_nsec;
		if (ns < best)
			best = ns;
	}
	machine_close(&m);
	printf("%ld\n", best / RUNS);
	return 0;
}

static int print_vendor(void)
{
	unsigned int a, b, c, d;

	__cpuid(0, a, b, c, d);
	printf("%.4s%.4s%.4s\n", (char *)&b, (char *)&d, (char *)&c);
	return 0;
}

int main(int argc, char **argv)
{

	client_path = argv[0];
	if (argc > 2 && !strcmp(argv[1], "child"))
		return processes_child(argc - 2, argv + 2);
	if (argc == 2 && !strcmp(argv[1], "hold"))
		return hold();
	if (argc == 2 && !strcmp(argv[1], "round-trip"))
		return print_round_trip();
	if (argc == 2 && !strcmp(argv[1], "cpuid-vendor"))
		return print_vendor();
	for (size_t i = 0; argc < 2 && i < COUNT(cases); i++)
		puts(cases[i].name);
	if (argc < 2 || run_case(cases, COUNT(cases), argv[1]) ||
	    run_case(cpuid_cases, COUNT(cpuid_cases), argv[1]))
		return 0;
	return 2;
}
