/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine runs guest code by translating it for the host it runs on. One
 * engine per machine: translations are shared by its vCPUs. Design:
 * doc/architecture.md.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "cpu/cpu.h"
#include "cpu/physmap.h"

struct engine;

struct engine_config {
	uint64_t code_size; /* bytes of code memory, 0: default, >= 256K */
	const struct cpu_ops *ops;
	/*
	 * Keep the arithmetic flags exact before every instruction, also where
	 * the next ones overwrite them unread. Otherwise a fault in between
	 * shows older arithmetic flags in its frame. Costs up to half the
	 * speed of flag-heavy code.
	 */
	bool exact_flags;
};

/* 0, -ENOMEM, -EINVAL (code_size), or -errno of the host's refusal. */
int engine_create(const struct engine_config *cfg,
		  struct engine **out) __must_check;

/* All cpus must have been destroyed. */
void engine_destroy(struct engine *engine);

/*
 * Make a processor in power-on state (cpu_reset() done, no CPUID yet).
 * @run_fd: memfd whose first page is the client's struct kvm_run; it is mapped
 * beside the cpu so that immediate_exit can be polled. -1: private page.
 */
int engine_cpu_create(struct engine *engine, unsigned int id, int run_fd,
		      struct cpu **out) __must_check;
void engine_cpu_destroy(struct cpu *cpu);

/* The shared page (struct kvm_run) as the engine sees it. */
void *engine_run_page(struct cpu *cpu);

/*
 * Run until there is something for the kvm room; never blocks except for
 * exclusive sections. Called by one thread at a time per cpu. Guest vector
 * state is loaded from cpu->xsave and stored back. The calling thread's
 * signals may be handled at any time, on the engine's stack.
 *
 * After CPU_EXIT_IO with in set, cpu->io.data holds the answer when
 * engine_run() is called again; the same for CPU_EXIT_MMIO reads. CPU_EXIT_MSR:
 * fill msr.data or msr.failed. A pending access is completed by the next
 * engine_run() before anything else; engine_complete() does only that.
 */
enum cpu_exit_kind engine_run(struct cpu *cpu) __must_check;

/*
 * Finish a pending I/O, MMIO or MSR access without running the guest further.
 * CPU_EXIT_NONE when the instruction is complete, else the next exit of it.
 */
enum cpu_exit_kind engine_complete(struct cpu *cpu) __must_check;

/* True while an access waits for completion. */
bool engine_pending(const struct cpu *cpu);

/* Forget an access that waits for completion: its instruction never was. */
void engine_cancel(struct cpu *cpu);

/*
 * Call @fn, which reads guest memory, outside of engine_run(). Its value, or
 * -EFAULT when client memory was not there.
 */
int engine_guard(struct cpu *cpu, int (*fn)(struct cpu *cpu, void *arg),
		 void *arg) __must_check;

/*
 * Exclusive section: on return no other cpu of the engine is in guest code,
 * none enters until engine_exclusive_end(). May be called by any thread that
 * does not run a cpu of this engine at that moment, or by a cpu's thread
 * from outside engine_run().
 */
void engine_exclusive_begin(struct engine *engine);
void engine_exclusive_end(struct engine *engine);

/* Inside an exclusive section: replace the map; drops all TLBs. */
void engine_set_physmap(struct engine *engine, const struct physmap *map);

/*
 * The client may have changed guest memory without telling (device DMA,
 * breakpoints): translations of changed bytes are found out before use.
 */
void engine_acquire(struct cpu *cpu);

/* Drop what was translated from these bytes. */
void engine_invalidate(struct engine *engine, const uint8_t *hva,
		       uint64_t size);

/*
 * The client tells exactly what it has changed: cheaper than acquire, next to
 * nothing where there is no code. Any thread, also while vCPUs run.
 */
void engine_written(struct engine *engine, const uint8_t *hva, uint64_t size);

/* Write-protect again for dirty logging: slot range [hva, hva + size). */
void engine_log_dirty(struct engine *engine, const uint8_t *hva, uint64_t size);

/*
 * Length of the 64-bit instruction at @code, of which @len bytes can be read;
 * -EINVAL when there is none. Any thread, no engine.
 */
int engine_insn_length(const void *code, size_t len) __must_check;

#endif
