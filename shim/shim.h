/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shim is loaded before libc and takes the place of the calls a client of
 * /dev/kvm makes. Nothing is loaded, made or started before a client opens
 * that file, or CPUID instructions are to be replaced in it; then liblodge is,
 * bound to libc directly, so that none of its own calls come back here.
 *
 * Every function libc has keeps libc's contract, errno included.
 */
#ifndef SHIM_SHIM_H
#define SHIM_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/util.h"
#include "shim/libc.h"

#define SHIM_API __attribute__((visibility("default")))

/* ---- init.c: what comes after us ---- */

struct real {
#define REAL(name) __typeof__(name) *name;
#include "shim/real.def"
#undef REAL
};

/* libc's own functions, or those of the next preloaded library. */
const struct real *real(void);

/* Start-up, also from calls that come before the constructors. */
void shim_init(void);

/* Our own file, as LD_PRELOAD has to name it; "" when unknown. */
const char *shim_path(void);

/* A client's result: -errno becomes errno and -1. */
long shim_return(long ret);

/* ---- fd.c: which descriptors are KVM's ---- */

enum fd_kind { FD_FOREIGN, FD_SYSTEM, FD_VM, FD_VCPU, FD_GMEM, FD_OTHER };

/* Any thread, no lock, signal handlers as well. */
enum fd_kind fd_kind(int fd);
void fd_set_kind(int fd, enum fd_kind kind);

/* What lies behind a KVM descriptor in client memory for traces, or NULL. */
void *fd_run(int fd);
void fd_set_run(int fd, void *run);

/* Start-up. */
void fd_init(void);

/*
 * True in a child of vfork(): descriptors and signal actions are its own,
 * while our tables are still its parent's and must not be touched.
 */
bool fd_borrowed(void);

/* ---- lib.c: liblodge ---- */

struct lib {
	int (*open)(void);
	int (*ioctl)(int fd, unsigned long request, unsigned long arg);
	int (*run)(int fd, unsigned long arg, void *volatile *token);
	void (*kick)(void *token);
	int (*mmap)(int fd, size_t len, int prot, int flags, uint64_t off,
		    void **out);
	int (*close)(int fd);
	int (*insn_length)(const void *code, size_t len);
};

/* The library, loaded now if need be; NULL after a message when it cannot. */
const struct lib *lib_load(void);

/* The library if it is loaded. */
const struct lib *lib_get(void);

/* ---- path.c, param.c: names that mean something else here ---- */

enum path_kind {
	PATH_OTHER,
	PATH_KVM,
	PATH_PARAM,
	PATH_DIR,
	PATH_NONE,
	PATH_CPUINFO, /* only what open() finds there differs */
};

/*
 * What @path means: the KVM, a module parameter, a folder above one, or
 * nothing although the host may have it. @param: text of a parameter.
 */
enum path_kind path_kind(int dir, const char *path, const char **param);

/* "" or NULL, which both stand for the descriptor beside them. */
bool path_is_empty(const char *path);

/* As path_kind() for an absolute path without "." or doubled slashes. */
enum path_kind param_find(const char *path, const char **text);

/* The processor the client is to see, the host's own included. */
struct persona;
const struct persona *param_persona(void);

/* ---- cpuinfo.c ---- */

/* /proc/cpuinfo for reading; a descriptor or -errno. */
int cpuinfo_open(int flags);

/* ---- open.c ---- */

/* open() of one of our paths; a descriptor or -errno. */
int open_special(enum path_kind kind, const char *param, int flags);

/* ---- ioctl.c ---- */

long ioctl_call(int fd, unsigned long request, unsigned long arg);

/* ---- signal.c ---- */

/* Own the signals of hardware faults; before liblodge takes them over. */
void signal_take_faults(void);

/* Let pthread_cancel() end KVM_RUN. */
void signal_take_wake(void);

/* What one thread in KVM_RUN needs. */
#define SIGNAL_DEFER 16

struct thread {
	void *volatile token; /* of lodge_kick() while KVM_RUN is going on */
	bool faults_open;     /* some signals are never blocked here */
	bool runs_guests;     /* one more of them: it ends KVM_RUN */
	uint64_t hidden;      /* of those, what the client thinks blocked */
	volatile uint32_t ndeferred;
	siginfo_t deferred[SIGNAL_DEFER];
};

/* The calling thread's. */
struct thread *thread_self(void);

/* Unblock the signals of faults, which a thread may have inherited so. */
void signal_open_faults(struct thread *t);

/* Before a thread's first KVM_RUN. */
void signal_enter_thread(struct thread *t);

/* After KVM_RUN: deliver the signals that came meanwhile. */
void signal_replay(struct thread *t);

/* rt_sigaction() as the client means it. */
int signal_action(int sig, const struct sigaction *act, struct sigaction *old);

/* ---- cpuid.c ---- */

/* Have CPUID lead to a signal where that can be done; constructor. */
void cpuid_init(void);
bool cpuid_traps(void);

/* Whether that is by replacing it; look at what has been loaded since. */
bool cpuid_patches(void);
void cpuid_look(void);

/* Answer a CPUID that led to @sig; true when it was one. Signal handler. */
bool cpuid_emulate(int sig, void *ucontext);

/* Around code that has to see the processor as it is. */
void cpuid_open(void);
void cpuid_close(void);

/* ---- patch.c ---- */

/* Replace CPUID in what is loaded; false when that cannot be done at all. */
bool patch_loaded(void);

/* Whether there was a CPUID here. Signal handlers as well. */
bool patch_is_site(uintptr_t rip);

/* ---- unwind.c ---- */

struct code_range {
	uintptr_t start, end;
};

/* The function around @pc, by the table of its object (PT_GNU_EH_FRAME). */
bool unwind_find(const void *table, uintptr_t pc, struct code_range *out);

/* ---- trace.c ---- */

void trace_init(void);
bool trace_on(void);
void trace_ioctl(int fd, enum fd_kind kind, unsigned long request,
		 unsigned long arg, long ret, uint64_t start_ns);
uint64_t trace_clock(void);

/* CPUID instructions of an object: those replaced and those left. */
void trace_patch(const char *object, unsigned int replaced, unsigned int left);

#endif
