/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID by the program itself: the processor it sees is the one the modules'
 * folders tell of, in threads, children and libraries that are loaded late,
 * whatever the program does with the signals that may be behind it.
 */
#include "test/shim/client.h"

#include <cpuid.h>
#include <dlfcn.h>
#include <libgen.h>

#include "test/shim/late.h"

#define ECX_MONITOR (1u << 3)
#define ECX_VMX     (1u << 5)
#define ECX_SVM     (1u << 2)

static bool expect_intel(void)
{
	bool intel = !access("/sys/module/kvm_intel/parameters/nested", R_OK);

	CHECK(intel == !!access("/sys/module/kvm_amd/parameters/nested", R_OK));
	return intel;
}

static void check_answers(void)
{
	const char *want = expect_intel() ? "GenuineIntel" : "AuthenticAMD";
	unsigned int a, b, c, d;
	char name[13] = "";

	__cpuid(0, a, b, c, d);
	memcpy(name, &b, 4);
	memcpy(name + 4, &d, 4);
	memcpy(name + 8, &c, 4);
	CHECK(!strcmp(name, want));
	__cpuid(1, a, b, c, d);
	CHECK(!(c & ECX_VMX) == !expect_intel() && (c & ECX_MONITOR));
	__cpuid(0x80000001, a, b, c, d);
	CHECK(!(c & ECX_SVM) == expect_intel());
}

void cpuid_answers(void)
{
	for (int i = 0; i < 100; i++)
		check_answers();
}

/* Between functions, where hand-written code has its constants. */
extern const uint8_t data_in_code[4];

__asm__(".pushsection .text\n"
	"	.balign 16\n"
	"data_in_code:\n"
	"	.byte 0x0f, 0xa2, 0x0f, 0xa2\n"
	"	.balign 16\n"
	".popsection\n");

/* The bytes of CPUID where they are none of it. */
void cpuid_bytes(void)
{
	const uint8_t *code;
	uint32_t value;

	__asm__ volatile("1: movl $0x11a20f22, %0\n"
			 "	leaq 1b(%%rip), %1\n"
			 : "=r"(value), "=r"(code));
	CHECK(value == 0x11a20f22);
	value = 0;
	for (int i = 0; i < 8; i++)
		value += code[i] == 0x0f && code[i + 1] == 0xa2;
	CHECK(value == 1);
	memcpy(&value, data_in_code, sizeof(value));
	CHECK(value == 0xa20fa20f);
	check_answers();
}

static volatile int own;

static void skip_ud2(int sig, siginfo_t *info, void *uc)
{
	ucontext_t *u = uc;

	CHECK(sig == SIGILL && info->si_code > 0);
	own++;
	u->uc_mcontext.gregs[REG_RIP] += 2;
	check_answers(); /* in a handler as well */
}

static void count_fault(int sig)
{
	own += 100;
}

/* The program's SIGILL and SIGSEGV are its own, blocked or not. */
void cpuid_signals(void)
{
	struct sigaction act = {.sa_sigaction = skip_ud2,
				.sa_flags = SA_SIGINFO},
			 old;
	sigset_t set;

	CHECK(!sigaction(SIGILL, NULL, &old) && old.sa_handler == SIG_DFL);
	CHECK(!sigaction(SIGILL, &act, NULL));
	CHECK(signal(SIGSEGV, count_fault) == SIG_DFL);
	for (int i = 0; i < 10; i++) {
		__asm__ volatile("ud2");
		check_answers();
	}
	CHECK(own == 10);
	sigfillset(&set);
	CHECK(!sigprocmask(SIG_BLOCK, &set, NULL));
	check_answers();
	CHECK(!sigprocmask(SIG_BLOCK, NULL, &set));
	CHECK(sigismember(&set, SIGILL) == 1 &&
	      sigismember(&set, SIGSEGV) == 1);
	CHECK(!sigprocmask(SIG_UNBLOCK, &set, NULL));
	CHECK(!sigaction(SIGILL, NULL, &old) && old.sa_sigaction == skip_ud2);
	CHECK(own == 10);
	CHECK(!raise(SIGSEGV) && own == 110);
	CHECK(signal(SIGILL, SIG_IGN) != SIG_ERR);
	check_answers();
}

/* Without a handler, the program's own UD2 ends it. */
static void die(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		check_answers();
		__asm__ volatile("ud2");
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGILL);
}

static void *answers_there(void *p)
{
	check_answers();
	return NULL;
}

void cpuid_threads(void)
{
	sigset_t all;
	pthread_t t;

	sigfillset(&all);
	CHECK(!pthread_sigmask(SIG_SETMASK, &all, NULL));
	CHECK(!pthread_create(&t, NULL, answers_there, NULL));
	CHECK(!pthread_join(t, NULL));
	die();
}

/* With a guest as well: its own faults and ours come to the same place. */
void cpuid_guest(void)
{
	struct machine m;

	machine_open(&m);
	machine_code(&m, guest_div, sizeof(guest_div));
	check_answers();
	machine_expect_out(&m, 0x20);
	check_answers();
	machine_close(&m);
	check_answers();
}

/* A program started with nothing of ours, with signals blocked. */
void cpuid_exec(void)
{
	char *argv[] = {(char *)client_path, (char *)"cpuid", NULL};
	char *env[] = {NULL};
	sigset_t all;
	pid_t pid;

	pid = fork();
	if (!pid) {
		check_answers();
		sigfillset(&all);
		sigprocmask(SIG_SETMASK, &all, NULL);
		execve(client_path, argv, env);
		_exit(127);
	}
	client_wait(pid);
}

static void *open_late(int n, const char *how)
{
	char folder[4096], path[4200];

	snprintf(folder, sizeof(folder), "%s", client_path);
	snprintf(path, sizeof(path), "%s/%sshim-late%d.so", dirname(folder),
		 how, n);
	return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

static void check_late(void *so)
{
	late_fn *fn;
	unsigned int r[4];

	CHECK(so);
	*(void **)&fn = dlsym(so, "late_cpuid");
	CHECK(fn);
	fn(1, r);
	CHECK(!(r[2] & ECX_VMX) == !expect_intel() && (r[2] & ECX_MONITOR));
}

/* Libraries that come and go, one in the other's place too. */
void cpuid_late(void)
{
	void *a, *b;

	CHECK(!open_late(7, "") && dlerror());
	for (int i = 0; i < 4; i++) {
		a = open_late(1, "");
		check_late(a);
		if (i & 1)
			CHECK(!dlclose(a));
		b = open_late(2, "./");
		check_late(b);
		if (!(i & 1))
			CHECK(!dlclose(a));
		check_late(b);
		CHECK(!dlclose(b));
	}
	check_answers();
}
