/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of /dev/kvm that knows nothing of Lodge: system calls and
 * <linux/kvm.h> only. Each case is a function that returns when all is well
 * and ends the process with a message when not.
 */
#ifndef SHIM_CLIENT_H
#define SHIM_CLIENT_H

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(cond)                                             \
	do {                                                    \
		if (!(cond))                                    \
			client_fail(#cond, __FILE__, __LINE__); \
	} while (0)
#define FAILS(call, code) CHECK((call) == -1 && errno == (code))

void client_fail(const char *what, const char *file, int line)
	__attribute__((noreturn));

#define RAM  0x10000u
#define CODE 0x1000u

struct machine {
	int kvm, vm, vcpu;
	uint8_t *ram;
	struct kvm_run *run;
	size_t run_size;
};

/* A VM with 64 KiB and a vCPU in real mode at CODE, flat from zero. */
void machine_open(struct machine *m);
void machine_close(struct machine *m);
void machine_code(struct machine *m, const void *code, size_t size);

/* Short guests. */
extern const uint8_t guest_spin[2]; /* jmp to itself */
extern const uint8_t guest_out[4];  /* out 0x10, al; jmp back */
extern const uint8_t guest_div[15]; /* #DE, answered by out 0x20, al */

/* KVM_RUN that has to end with OUT to @port. */
void machine_expect_out(struct machine *m, unsigned int port);

/* How many descriptors this process has. */
int client_descriptors(void);

/* Wait for a child that has to exit with 0. */
void client_wait(pid_t pid);

/* ---- files.c ---- */
void files_idle(void);
void files_open(void);
void files_names(void);
void files_params(void);
void files_dup(void);
void files_close(void);
void files_map(void);
void files_memory(void);
void files_raw(void);

/* ---- signals.c ---- */
void signals_timer(void);
void signals_kick(void);
void signals_halted(void);
void signals_jump(void);
void signals_handler_uses_vcpu(void);
void signals_faults(void);
void signals_blocked(void);
void signals_mask(void);
void signals_cancel(void);
void signals_actions(void);

/* ---- processes.c ---- */
void processes_thread(void);
void processes_fork(void);
void processes_vfork(void);
void processes_exec(void);
void processes_spawn(void);
void processes_exit(void);

/* ---- tool.c ---- */
void tool_all(void);

/* ---- cpuid.c ---- */
void cpuid_answers(void);
void cpuid_bytes(void);
void cpuid_signals(void);
void cpuid_threads(void);
void cpuid_guest(void);
void cpuid_exec(void);
void cpuid_late(void);

/* What the program does when one of the above started it again. */
int processes_child(int argc, char **argv);

extern const char *client_path;

#endif
