/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads and processes: whoever made it, any thread runs a vCPU; another
 * process gets EIO from VMs and vCPUs and its own VMs from /dev/kvm.
 */
#include "test/shim/client.h"

#include <spawn.h>

static void *run_there(void *p)
{
	machine_expect_out(p, 0x10);
	return NULL;
}

void processes_thread(void)
{
	struct machine m;
	pthread_t t;

	machine_open(&m);
	machine_code(&m, guest_out, sizeof(guest_out));
	for (int i = 0; i < 4; i++) {
		CHECK(!pthread_create(&t, NULL, run_there, &m));
		CHECK(!pthread_join(t, NULL));
	}
	machine_expect_out(&m, 0x10);
	machine_close(&m);
}

static void in_child(const struct machine *m)
{
	struct machine own;
	struct kvm_regs regs;

	FAILS(ioctl(m->vcpu, KVM_GET_REGS, &regs), EIO);
	FAILS(ioctl(m->vcpu, KVM_RUN, 0), EIO);
	FAILS(ioctl(m->vm, KVM_CREATE_VCPU, 1), EIO);
	CHECK(ioctl(m->kvm, KVM_GET_API_VERSION, 0) == KVM_API_VERSION);
	CHECK(!close(m->vcpu) && !close(m->vm));
	machine_open(&own);
	machine_code(&own, guest_out, sizeof(guest_out));
	machine_expect_out(&own, 0x10);
	machine_close(&own);
	CHECK(!close(m->kvm));
}

void processes_fork(void)
{
	struct machine m;
	pid_t pid;

	machine_open(&m);
	machine_code(&m, guest_out, sizeof(guest_out));
	for (int i = 0; i < 4; i++) {
		machine_expect_out(&m, 0x10);
		pid = fork();
		if (!pid) {
			in_child(&m);
			_exit(0);
		}
		machine_expect_out(&m, 0x10);
		client_wait(pid);
	}
	machine_close(&m);
}

static volatile int handled;

static void note(int sig)
{
	handled = sig;
}

/* A child that borrows our memory changes nothing of ours. */
void processes_vfork(void)
{
	struct sigaction act = {.sa_handler = note}, dfl = {0}, old;
	struct machine m;
	sigset_t all;
	pid_t pid;

	machine_open(&m);
	machine_code(&m, guest_out, sizeof(guest_out));
	machine_expect_out(&m, 0x10);
	CHECK(!sigaction(SIGUSR2, &act, NULL) &&
	      !sigaction(SIGBUS, &act, NULL));
	sigfillset(&all);
	pid = vfork();
	if (!pid) {
		sigaction(SIGUSR2, &dfl, NULL);
		sigaction(SIGBUS, &dfl, NULL);
		sigprocmask(SIG_SETMASK, &all, NULL);
		close(m.vcpu);
		close_range(3, ~0u, 0);
		dup2(1, m.vm);
		execl("/bin/true", "true", (char *)NULL);
		_exit(1);
	}
	client_wait(pid);
	machine_expect_out(&m, 0x10);
	CHECK(ioctl(m.vm, KVM_CREATE_VCPU, 1) >= 0);
	CHECK(!raise(SIGUSR2) && handled == SIGUSR2);
	CHECK(!raise(SIGBUS) && handled == SIGBUS);
	CHECK(!sigprocmask(SIG_BLOCK, NULL, &all));
	CHECK(!sigismember(&all, SIGBUS) && !sigismember(&all, SIGUSR1));
	CHECK(!sigaction(SIGUSR2, NULL, &old) && old.sa_handler == note);
	machine_close(&m);
}

/* The program again, with nothing from us in its environment. */
static pid_t start(char **argv, char **env, bool spawn)
{
	pid_t pid;

	if (spawn) {
		CHECK(!posix_spawn(&pid, client_path, NULL, NULL, argv, env));
		return pid;
	}
	pid = fork();
	if (!pid) {
		execve(client_path, argv, env);
		_exit(127);
	}
	return pid;
}

static void start_again(bool spawn)
{
	static char *env[] = {(char *)"NAME=value", NULL};
	char kept[16], gone[16];
	char *argv[] = {(char *)client_path, (char *)"child", kept, gone, NULL};
	struct machine m;
	int fd;

	machine_open(&m);
	fd = open("/dev/kvm", O_RDWR);
	CHECK(fd >= 0);
	snprintf(kept, sizeof(kept), "%d", fd);
	snprintf(gone, sizeof(gone), "%d", m.vm);
	client_wait(start(argv, env, spawn));
	machine_code(&m, guest_out, sizeof(guest_out));
	machine_expect_out(&m, 0x10);
	machine_close(&m);
	CHECK(!close(fd));
}

int processes_child(int argc, char **argv)
{
	struct machine m;
	int fd, vm;

	CHECK(argc == 2);
	fd = atoi(argv[0]);
	vm = atoi(argv[1]);
	CHECK(!strcmp(getenv("NAME"), "value"));
	CHECK(fcntl(vm, F_GETFD) == -1);
	/* An inherited handle makes VMs of this process. */
	CHECK(ioctl(fd, KVM_GET_API_VERSION, 0) == KVM_API_VERSION);
	CHECK(!(fcntl(fd, F_GETFD) & FD_CLOEXEC));
	vm = ioctl(fd, KVM_CREATE_VM, 0);
	CHECK(vm >= 0 && ioctl(vm, KVM_CREATE_VCPU, 0) >= 0);
	CHECK(!close(vm) && !close(fd));
	machine_open(&m);
	machine_code(&m, guest_out, sizeof(guest_out));
	machine_expect_out(&m, 0x10);
	machine_close(&m);
	return 0;
}

void processes_exec(void)
{
	start_again(false);
}

void processes_spawn(void)
{
	start_again(true);
}

static void *spin(void *p)
{
	struct machine *m = p;

	machine_code(m, guest_spin, sizeof(guest_spin));
	ioctl(m->vcpu, KVM_RUN, 0);
	return NULL;
}

/* A process can end while a thread is in KVM_RUN, in each way there is. */
void processes_exit(void)
{
	static struct machine m;
	int status;
	pid_t pid;
	pthread_t t;

	for (int how = 0; how < 3; how++) {
		pid = fork();
		if (!pid) {
			machine_open(&m);
			CHECK(!pthread_create(&t, NULL, spin, &m));
			usleep(20000);
			if (how == 0)
				exit(0);
			if (how == 1)
				raise(SIGTERM);
			pause();
		}
		usleep(60000);
		if (how == 2)
			kill(pid, SIGKILL);
		CHECK(waitpid(pid, &status, 0) == pid);
		if (how == 0)
			CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
		else
			CHECK(WIFSIGNALED(status));
	}
}
