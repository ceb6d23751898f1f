/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host exceptions in translated code. #DE, #MF, #XM, #UD and #GP of a copied
 * instruction are the guest's own; #PF and SIGBUS mean that the client took
 * memory away under a guest access (KVM API "KVM_RUN": -EFAULT). The handler
 * finds the guest instruction from the host pc, makes the state precise and
 * leaves by the ordinary way out. The same holds for C functions that reach
 * guest memory: what they hold is released at the landing pad. Other faults
 * go to the handler that was there before.
 */
#include "engine/internal.h"

#include "cpu/mem.h"
#include "cpu/pmu/pmu.h"
#include "engine/sigctx.h"
#include "engine/slow.h"
#include "x86/regs.h"

#include <errno.h>

#define MAX_ENGINES 256
#define SIGNAL_BUS  7

/* Process-wide because signal handlers are. */
static struct engine *engines[MAX_ENGINES];
static struct lock install_lock;
static bool installed;
static __thread struct cpu *current;

void hostfault_enter(struct cpu *cpu)
{
	current = cpu;
}

void hostfault_leave(void)
{
	current = NULL;
}

static struct engine *engine_of(uint64_t pc)
{
	for (unsigned int i = 0; i < MAX_ENGINES; i++) {
		struct engine *e = __atomic_load_n(&engines[i],
						   __ATOMIC_ACQUIRE);

		if (e && pc - (uint64_t)to_rx(e, e->rw) <
				 e->code_size + MAX_CPUS * BOUNCE_CPU_SIZE)
			return e;
	}
	return NULL;
}

/* Guest instruction of a host pc; false: not one of a block's. */
static bool find_insn(struct engine *engine, uint64_t pc, uint64_t *rip,
		      struct insn_map *map)
{
	struct block *b = block_by_code(engine, (uint8_t *)pc);
	unsigned int off, i;

	if (!b)
		return false;
	off = pc - (uint64_t)to_rx(engine, b->code);
	*rip = b->rip;
	for (i = 0; i + 1 < b->ninsn && b->map[i + 1].host <= off; i++)
		*rip += b->lens[i];
	*map = b->map[i];
	return true;
}

static void save_flags(struct cpu *cpu, uint64_t flags)
{
	cpu->of = flags >> 11 & 1;
	cpu->ah = flags & 0xff;
}

static void raise_guest(struct cpu *cpu, const struct sigctx *c)
{
	struct cpu_event *ev = &cpu->raised;

	*ev = (struct cpu_event){
		.valid = true,
		.vector = c->trapno,
		.kind = EVENT_FAULT,
	};
	if (c->trapno == VEC_GP || c->trapno == VEC_SS || c->trapno == VEC_AC) {
		ev->vector = c->trapno == VEC_AC ? VEC_AC : VEC_GP;
		ev->has_error = true;
	}
	/* the host's operating system has announced that it takes #XM */
	if (c->trapno == VEC_XM && !(cpu->cr4 & CR4_OSXMMEXCPT))
		ev->vector = VEC_UD;
}

/* Whether @hva is guest memory, and where. */
static bool client_memory(struct cpu *cpu, uint64_t hva)
{
	const struct physmap *map = cpu->phys;

	for (unsigned int i = 0; i < map->count; i++) {
		const struct phys_range *r = &map->ranges[i];
		uint64_t off = hva - (uintptr_t)r->hva;

		if (off >= r->size)
			continue;
		cpu->fault_gpa = r->gpa + off;
		return true;
	}
	return false;
}

static bool handle_code(struct engine *engine, int sig, struct sigctx *c)
{
	struct cpu *cpu = (struct cpu *)*c->gpr[H_RSP];
	struct insn_map map = {0};
	uint64_t rip = cpu->rip;
	bool bounce = !find_insn(engine, *c->rip, &rip, &map);

	if (cpu != current)
		return false;
	if (bounce) /* a bounce slot: flags were made valid at its start */
		map.flags = MAP_FLAGS_HOST;
	else
		cpu->rip = rip;
	if (map.left.n)
		pmu_unretire(cpu, &map.left, -1);
	if (map.flags & MAP_FLAGS_HOST)
		save_flags(cpu, c->flags);
	if (map.flags & MAP_SPILLED)
		*c->gpr[MAP_SPILL_REG(map.flags)] = cpu->scratch[5];
	if (sig == SIGNAL_BUS || c->trapno == VEC_PF) {
		client_memory(cpu, c->cr2);
		cpu->raised.valid = false;
		cpu->exit = CPU_EXIT_EFAULT;
	} else {
		raise_guest(cpu, c);
	}
	*c->rip = (uint64_t)engine->leave[LEAVE_FAULT];
	return true;
}

static void __noreturn __attribute__((used)) abandon(struct cpu *cpu)
{
	run_efault(cpu);
}

/* The interrupted function may have set DF and misaligned the stack. */
static void __attribute__((naked)) leave_function(void)
{
	__asm__("cld\n\t"
		"and $-16, %rsp\n\t"
		"call abandon");
}

/* A C function on its way through guest memory. */
static bool handle_function(int sig, struct sigctx *c)
{
	struct cpu *cpu = current;

	if (sig != SIGNAL_BUS && c->trapno != VEC_PF)
		return false;
	if (!client_memory(cpu, c->cr2))
		return false;
	*c->gpr[H_RDI] = (uintptr_t)cpu;
	*c->rip = (uintptr_t)leave_function;
	return true;
}

/* Called by the signal handler: true when the fault was the guest's. */
static bool handle(int sig, struct sigctx *c)
{
	struct engine *engine = engine_of(*c->rip);

	if (*c->rip - (uintptr_t)mem_copy_begin <
	    (uintptr_t)mem_copy_end - (uintptr_t)mem_copy_begin) {
		*c->rip = (uintptr_t)mem_copy_fault;
		return true;
	}
	if (!current)
		return false;
	return engine ? handle_code(engine, sig, c) : handle_function(sig, c);
}

int hostfault_register(struct engine *engine)
{
	int ret = -ENOSPC;

	lock_acquire(&install_lock);
	if (!installed) {
		ret = sigctx_install(handle);
		if (ret)
			goto out;
		installed = true;
		ret = -ENOSPC;
	}
	for (unsigned int i = 0; i < MAX_ENGINES; i++) {
		if (engines[i])
			continue;
		__atomic_store_n(&engines[i], engine, __ATOMIC_RELEASE);
		ret = 0;
		break;
	}
out:
	lock_release(&install_lock);
	return ret;
}

void hostfault_unregister(struct engine *engine)
{
	lock_acquire(&install_lock);
	for (unsigned int i = 0; i < MAX_ENGINES; i++)
		if (engines[i] == engine)
			__atomic_store_n(&engines[i], NULL, __ATOMIC_RELEASE);
	lock_release(&install_lock);
}
