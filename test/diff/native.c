/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Native half: fixed mappings, signal handlers and the trampoline's caller.
 * A fault is read from the signal frame, which holds what the processor
 * pushed (trap number, error code, CR2) and the whole extended state.
 */
#include "test/diff/native.h"

#include <asm/prctl.h>
#include <cpuid.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "lib/check.h"
#include "test/diff/watch.h"

void native_enter(const void *xsave);
/* Leaves the block a signal has interrupted; watch.c comes here, too. */
void native_signal(int sig, siginfo_t *info, void *ctx);
void native_fault(int sig, siginfo_t *info, void *ctx);
extern const char native_stub[], native_stub_end[];

#define VEC_DB 1
#define VEC_PF 14

#define SAVE(off, type) (*(type *)(uintptr_t)(SAVE_GVA + (off)))
#define HWCAP2_FSGS     BIT(1) /* HWCAP2_FSGSBASE of <asm/hwcap2.h> */

static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};

static struct {
	uint8_t *code;
	struct outcome *out; /* of the block now running */
	bool faulted;
	bool quick;
	sigset_t ticks; /* SIGALRM */
	struct sigaction old[ARRAY_SIZE(signals)];
} self;

static int map_fixed(uintptr_t gva, size_t size, int prot)
{
	void *p = mmap((void *)gva, size, prot,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE |
			       MAP_POPULATE,
		       -1, 0);

	return p == (void *)gva ? 0 : -errno;
}

/* Blocks run from an alias, so that they cannot change their own code. */
static int map_code(void)
{
	int fd = memfd_create("diff-code", MFD_CLOEXEC);
	void *p;

	if (fd < 0 || ftruncate(fd, CODE_SIZE))
		return -errno;
	self.code = mmap(NULL, CODE_SIZE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_POPULATE, fd, 0);
	p = mmap((void *)CODE_GVA, CODE_SIZE, PROT_READ | PROT_EXEC,
		 MAP_SHARED | MAP_POPULATE | MAP_FIXED_NOREPLACE, fd, 0);
	close(fd);
	if (self.code == MAP_FAILED || p != (void *)CODE_GVA)
		return -ENOMEM;
	return 0;
}

static int map_alt_stack(void)
{
	stack_t ss = {.ss_size = 256 * 1024};

	/* frames lie at the top, and XSAVE_SIZE bytes of them are copied */
	ss.ss_sp = mmap(NULL, ss.ss_size + XSAVE_SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (ss.ss_sp == MAP_FAILED || sigaltstack(&ss, NULL))
		return -errno;
	return 0;
}

bool native_fsgsbase(void)
{
	return getauxval(AT_HWCAP2) & HWCAP2_FSGS;
}

bool native_selector(uint16_t sel)
{
	uint32_t rights;
	bool ok;

	__asm__("lar %k2, %k1" : "=@ccz"(ok), "=r"(rights) : "r"(sel));
	return ok;
}

int native_open(void)
{
	unsigned int a, b, c, d;
	int err;

	sigemptyset(&self.ticks);
	sigaddset(&self.ticks, SIGALRM);
	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return -ENOSYS;
	err = map_code();
	if (!err)
		err = map_fixed(SAVE_GVA, SAVE_SIZE, PROT_READ | PROT_WRITE);
	if (!err)
		err = map_fixed(RET_GVA, RET_SIZE, PROT_READ | PROT_WRITE);
	if (!err)
		err = map_fixed(DATA_GVA, DATA_SIZE + RO_SIZE,
				PROT_READ | PROT_WRITE);
	if (!err)
		err = map_fixed(STACK_GVA, STACK_SIZE, PROT_READ | PROT_WRITE);
	if (!err)
		err = map_alt_stack();
	if (err)
		return err;
	memcpy((void *)RET_GVA, native_stub, native_stub_end - native_stub);
	init_readonly((void *)RO_GVA);
	if (mprotect((void *)RET_GVA, RET_SIZE, PROT_READ | PROT_EXEC) ||
	    mprotect((void *)RO_GVA, RO_SIZE, PROT_READ))
		return -errno;
	SAVE(XFEATURES, uint64_t) = xstate_mask();
	if (syscall(SYS_arch_prctl, ARCH_GET_FS, &SAVE(HOST_FS, uint64_t)))
		return -errno;
	return 0;
}

uint8_t *native_code(void)
{
	return self.code;
}

void native_signals(bool take)
{
	struct sigaction sa = {.sa_sigaction = native_signal,
			       .sa_flags = SA_SIGINFO | SA_ONSTACK |
					   SA_NODEFER};

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		ASSERT(!sigaction(signals[i], take ? &sa : &self.old[i],
				  take ? &self.old[i] : NULL));
}

static void take_gprs(struct state *st, const greg_t *g)
{
	static const uint8_t order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX,
					  REG_RSP, REG_RBP, REG_RSI, REG_RDI,
					  REG_R8,  REG_R9,  REG_R10, REG_R11,
					  REG_R12, REG_R13, REG_R14, REG_R15};

	for (int i = 0; i < 16; i++)
		st->gpr[i] = g[order[i]];
	st->rip = g[REG_RIP];
	st->rflags = g[REG_EFL];
}

/* Called by native_signal() on the alternate stack. */
void native_fault(int sig, siginfo_t *info, void *ctx)
{
	ucontext_t *uc = ctx;
	const greg_t *g = uc->uc_mcontext.gregs;
	struct state *st;

	if (!self.out) /* not a block's: our own bug */
		abort();
	/* A tick's handler is left like the block: it does not return. */
	if (sig == SIGALRM || sigismember(&uc->uc_sigmask, SIGALRM))
		sigprocmask(SIG_UNBLOCK, &self.ticks, NULL);
	st = &self.out->st;
	take_gprs(st, g);
	st->vector = sig == SIGALRM ? VECTOR_ENDLESS : g[REG_TRAPNO];
	st->error = st->vector == VEC_DB ? 0 : g[REG_ERR];
	st->cr2 = st->vector == VEC_PF ? g[REG_CR2] : 0;
	memcpy(st->xsave, uc->uc_mcontext.fpregs, XSAVE_SIZE);
	self.faulted = true;
}

bool native_running(void)
{
	return self.out;
}

void native_quick(bool on)
{
	self.quick = on;
}

/* Setting a base by the kernel is dear, and few blocks use one. */
static unsigned int bases_used(uint64_t rip)
{
	const uint8_t *p = self.code + (rip - CODE_GVA);
	const uint8_t *end = self.code + CODE_SIZE - 5;
	unsigned int use = 0;
	int32_t rel;

	if (native_fsgsbase())
		return BASES_OWN;
	if (!self.quick)
		return BASES_FS | BASES_GS;
	for (; p < end; p++) {
		use |= *p == 0x64 ? BASES_FS : *p == 0x65 ? BASES_GS : 0;
		memcpy(&rel, p + 1, 4);
		if (*p == 0xe9 &&
		    CODE_GVA + (p + 5 - self.code) + rel == RET_GVA)
			break;
	}
	return use;
}

static void load(const struct outcome *out)
{
	const struct state *st = &out->st;

	memcpy(&SAVE(IN_GPR, uint64_t), st->gpr, sizeof(st->gpr));
	SAVE(IN_RIP, uint64_t) = st->rip;
	SAVE(IN_FLAGS, uint64_t) = st->rflags;
	SAVE(IN_FS, uint64_t) = st->fs_base;
	SAVE(IN_GS, uint64_t) = st->gs_base;
	SAVE(OUT_FS, uint64_t) = st->fs_base;
	SAVE(OUT_GS, uint64_t) = st->gs_base;
	SAVE(BASES, uint8_t) = bases_used(st->rip);
	memcpy((void *)DATA_GVA, out->mem.data, DATA_SIZE);
	memcpy((void *)STACK_GVA, out->mem.stack, STACK_SIZE);
}

static void store(struct outcome *out)
{
	struct state *st = &out->st;

	st->fs_base = SAVE(OUT_FS, uint64_t);
	st->gs_base = SAVE(OUT_GS, uint64_t);
	memcpy(out->mem.data, (void *)DATA_GVA, DATA_SIZE);
	memcpy(out->mem.stack, (void *)STACK_GVA, STACK_SIZE);
	if (self.faulted)
		return;
	memcpy(st->gpr, &SAVE(OUT_GPR, uint64_t), sizeof(st->gpr));
	st->rflags = SAVE(OUT_FLAGS, uint64_t);
	st->vector = VECTOR_DONE;
	st->error = 0;
	st->cr2 = 0;
	st->rip = RET_GVA;
	memcpy(st->xsave, &SAVE(OUT_XSAVE, uint8_t), XSAVE_SIZE);
}

void native_run(struct outcome *out)
{
	load(out);
	watch_run();
	self.faulted = false;
	self.out = out;
	native_enter(out->st.xsave);
	self.out = NULL;
	store(out);
	xstate_normalise(out->st.xsave);
	fault_normalise(&out->st);
}
