/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `lodge doctor`: which KVMs this machine has, shown by running a guest on
 * each; what the host lacks and what that costs; which programs `lodge kvm`
 * can run. Every line comes from a trial, not from a version number.
 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/program.h"
#include "lib/util.h"
#include "vmm/exitcode.h"
#include "vmm/hv.h"
#include "vmm/probe.h"

#define EBX_AVX2      BIT(5)
#define EBX_AVX512F   BIT(16)
#define ECX_XSAVE     BIT(26)
#define EDX_TSC_FIXED BIT(8)

struct kvm {
	bool works;
	struct err why; /* when it does not */
};

/* ---- what the host has ---- */

static bool has_xsave(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && (c & ECX_XSAVE);
}

static bool has_avx2(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & EBX_AVX2);
}

static bool has_avx512(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & EBX_AVX512F);
}

static bool has_fixed_tsc(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & EDX_TSC_FIXED);
}

static bool has_process_vm(void)
{
	char from = 1, to = 0;
	struct iovec l = {&to, 1}, r = {&from, 1};

	return process_vm_readv(getpid(), &l, 1, &r, 1, 0) == 1 && to == 1;
}

static bool has_proc(void)
{
	return !access("/proc/self/fd", X_OK);
}

static bool has_wipe_on_fork(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool has;

	if (p == MAP_FAILED)
		return false;
	has = !madvise(p, 4096, MADV_WIPEONFORK);
	munmap(p, 4096);
	return has;
}

static bool has_nowait_reads(void)
{
	int fd = eventfd(1, EFD_CLOEXEC);
	uint64_t n = 0;
	struct iovec v = {&n, sizeof(n)};
	bool has;

	if (fd < 0)
		return false;
	has = preadv2(fd, &v, 1, -1, RWF_NOWAIT) == sizeof(n) && n == 1;
	close(fd);
	return has;
}

static bool has_two_cpus(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN) > 1;
}

static bool has_shim(void)
{
	char path[4096];

	return !program_find_shim(path, NULL);
}

static const struct feature {
	const char *name;
	bool (*present)(void);
	const char *cost; /* of its absence */
} features[] = {
	{"xsave", has_xsave, "guests are offered no AVX"},
	{"avx2", has_avx2, "guests are not offered it"},
	{"avx512f", has_avx512, "guests are not offered it"},
	{"invariant tsc", has_fixed_tsc,
	 "guests' clocks may drift when the host changes its frequency"},
	{"cpuid faulting", program_can_fault_cpuid,
	 "under `lodge kvm` it is replaced in code that is loaded, not in"
	 " code that is made at run time"},
	{"cpuid replacing", program_can_patch_cpuid,
	 "without faulting either, programs under `lodge kvm` that execute"
	 " CPUID see the host's lack of VMX or SVM (kvmtool gives up)"},
	{"/proc", has_proc, "handles of VMs live until their process ends"},
	{"process_vm_readv", has_process_vm,
	 "arguments of requests go through a pipe, which is slower"},
	{"wipe on fork", has_wipe_on_fork,
	 "a child process is not kept from its parent's VMs"},
	{"eventfd reads without waiting", has_nowait_reads,
	 "interrupts by eventfd do not arrive"},
	{"a second processor", has_two_cpus,
	 "guests run on one; several vCPUs take turns"},
	{"the shim", has_shim, "`lodge kvm` cannot run anything"},
};

static const struct kind {
	const char *name;
	bool runs;
	const char *why;
} kinds[] = {
	{"dynamically linked, glibc", true, NULL},
	{"scripts of such an interpreter", true, NULL},
	{"statically linked", false, "nothing can be loaded into them"},
	{"another C library (musl)", false, "the shim is linked with glibc"},
	{"setuid, setgid or with capabilities", false,
	 "the loader ignores what is to be loaded"},
	{"32-bit", false, "the library is 64-bit"},
};

/* ---- trials ---- */

static void try_kvm(struct kvm *k, const struct hv_ops *ops)
{
	struct hv hv;

	if (hv_open(&hv, ops, NULL, &k->why))
		return;
	k->works = !probe_long_mode(&hv, &k->why);
	hv_close(&hv);
}

static const char *verdict(const struct kvm *kernel, const struct kvm *ours)
{
	if (kernel->works)
		return ours->works ? "kernel" : "kernel only";
	return ours->works ? "lodge" : "none";
}

/* How `lodge kvm` answers CPUID: LODGE_CPUID's word for it. */
static const char *cpuid_method(void)
{
	if (program_can_fault_cpuid())
		return "fault";
	return program_can_patch_cpuid() ? "patch" : "off";
}

/* ---- for people ---- */

static void print_kvm(const char *name, const struct kvm *k)
{
	printf("  %-22s %s%s\n", name,
	       k->works ? "works: it ran a 64-bit guest" : "no: ",
	       k->works ? "" : k->why.msg);
}

static void print_text(const struct kvm *kernel, const struct kvm *ours)
{
	puts("KVM");
	print_kvm("the kernel's /dev/kvm", kernel);
	print_kvm("Lodge's own", ours);
	puts("\nHost");
	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		bool has = features[i].present();

		printf("  %-29s %s%s\n", features[i].name,
		       has ? "yes" : "no: ", has ? "" : features[i].cost);
	}
	puts("\nPrograms under `lodge kvm`");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		printf("  %-35s %s%s\n", kinds[i].name,
		       kinds[i].runs ? "yes" : "no: ",
		       kinds[i].runs ? "" : kinds[i].why);
	printf("\nCPUID under `lodge kvm`: %s\n", cpuid_method());
	printf("`lodge run -accel auto` takes: %s\n",
	       kernel->works ? "the kernel's"
	       : ours->works ? "Lodge's own"
			     : "neither, guests cannot run here");
}

/* ---- for programs ---- */

static void put_string(const char *s)
{
	putchar('"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			putchar('\\');
		if ((unsigned char)*s >= ' ')
			putchar(*s);
	}
	putchar('"');
}

static void put_kvm(const char *name, const struct kvm *k)
{
	printf("  \"%s\": {\"works\": %s", name, k->works ? "true" : "false");
	if (!k->works) {
		fputs(", \"why\": ", stdout);
		put_string(k->why.msg);
	}
	puts("},");
}

/* One element of a list: a name, a truth, and a reason against it. */
static void put_row(const char *name, const char *key, bool holds,
		    const char *why_key, const char *why)
{
	fputs("    {\"name\": ", stdout);
	put_string(name);
	printf(", \"%s\": %s", key, holds ? "true" : "false");
	if (!holds) {
		printf(", \"%s\": ", why_key);
		put_string(why);
	}
	putchar('}');
}

static void print_json(const struct kvm *kernel, const struct kvm *ours)
{
	puts("{");
	put_kvm("kernel", kernel);
	put_kvm("lodge", ours);
	fputs("  \"host\": [\n", stdout);
	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		put_row(features[i].name, "present", features[i].present(),
			"cost", features[i].cost);
		puts(i + 1 < ARRAY_SIZE(features) ? "," : "");
	}
	fputs("  ],\n  \"programs\": [\n", stdout);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		put_row(kinds[i].name, "runs", kinds[i].runs, "why",
			kinds[i].why);
		puts(i + 1 < ARRAY_SIZE(kinds) ? "," : "");
	}
	fputs("  ],\n  \"cpuid\": ", stdout);
	put_string(cpuid_method());
	fputs(",\n  \"verdict\": ", stdout);
	put_string(verdict(kernel, ours));
	puts("\n}");
}

static const char help[] =
	"usage: lodge doctor [--json]\n\n"
	"Says which KVM this machine offers (each is tried with a guest), "
	"what\n"
	"the host lacks and what that costs, and which programs `lodge kvm`\n"
	"can run.\n\n"
	"Exit status: 0 guests can run here on Lodge's own KVM; 2 the command\n"
	"line is wrong; 4 they cannot.\n";

int cmd_doctor(int argc, char **argv)
{
	struct kvm kernel = {0}, ours = {0};
	bool json = argc && !strcmp(argv[0], "--json");

	if (asks_help(argc, argv)) {
		fputs(help, stdout);
		return EXITCODE_OK;
	}
	if (argc > json) {
		fprintf(stderr,
			"lodge: doctor: unknown option %s; `lodge doctor"
			" --help` lists the options\n",
			argv[json]);
		return EXITCODE_USAGE;
	}
	try_kvm(&kernel, &hv_kernel);
	try_kvm(&ours, &hv_lodge);
	if (json)
		print_json(&kernel, &ours);
	else
		print_text(&kernel, &ours);
	return ours.works ? EXITCODE_OK : EXITCODE_START;
}
