/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may be in guest code: in_guest of each cpu, the exclusive section that
 * waits until all are out, and the lock over translations. A thread that
 * waits for the lock still answers CPU_REQ_CODE, because the holder may be
 * waiting for that; it does not park for exclusive sections, because it may
 * be in the middle of an instruction. Whoever wants an exclusive section
 * holds no lock.
 */
#include "engine/internal.h"

static void ack_code(struct cpu *cpu)
{
	struct engine_cpu *ec = ec_of(cpu);

	if (!(__atomic_load_n(&cpu->requests, __ATOMIC_ACQUIRE) & CPU_REQ_CODE))
		return;
	__atomic_and_fetch(&cpu->requests, ~CPU_REQ_CODE, __ATOMIC_SEQ_CST);
	tlb_drop_write(cpu, NULL);
	__atomic_store_n(&ec->storing, NULL, __ATOMIC_SEQ_CST);
	__atomic_store_n(&ec->code_ack, 1, __ATOMIC_RELEASE);
	futex_wake(&ec->code_ack, 1);
}

void engine_answer_code(struct cpu *cpu)
{
	ack_code(cpu);
}

static bool try_long(struct lock *lock)
{
	for (int i = 0; i < 50; i++) {
		if (lock_try(lock))
			return true;
		__asm__ volatile("pause");
	}
	return false;
}

void engine_lock(struct cpu *cpu)
{
	struct engine *engine = cpu->engine;

	while (!try_long(&engine->lock)) {
		ack_code(cpu);
		futex_wait_short(&engine->lock.state, 1);
	}
	__atomic_store_n(&engine->lock_owner, cpu, __ATOMIC_RELAXED);
}

void engine_unlock(struct engine *engine)
{
	__atomic_store_n(&engine->lock_owner, NULL, __ATOMIC_RELAXED);
	lock_release(&engine->lock);
}

void engine_enter_guest(struct cpu *cpu)
{
	struct engine *engine = cpu->engine;

	for (;;) {
		__atomic_store_n(&cpu->in_guest, true, __ATOMIC_SEQ_CST);
		if (!__atomic_load_n(&engine->excl, __ATOMIC_SEQ_CST)) {
			/* asked while out: nobody waited for the answer */
			ack_code(cpu);
			return;
		}
		engine_leave_guest(cpu);
		futex_wait(&engine->excl, 1);
	}
}

void engine_leave_guest(struct cpu *cpu)
{
	__atomic_store_n(&cpu->in_guest, false, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&cpu->engine->left, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&cpu->engine->excl, __ATOMIC_SEQ_CST))
		futex_wake(&cpu->engine->left, 1);
}

void engine_park(struct cpu *cpu)
{
	__atomic_and_fetch(&cpu->requests, ~CPU_REQ_PAUSE, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&cpu->engine->excl, __ATOMIC_SEQ_CST))
		return;
	engine_leave_guest(cpu);
	engine_enter_guest(cpu);
}

static void wait_out(struct engine *engine, struct cpu *cpu)
{
	for (;;) {
		uint32_t left = __atomic_load_n(&engine->left,
						__ATOMIC_SEQ_CST);

		if (!__atomic_load_n(&cpu->in_guest, __ATOMIC_SEQ_CST))
			return;
		futex_wait_short(&engine->left, left);
	}
}

void engine_exclusive_begin(struct engine *engine)
{
	lock_acquire(&engine->excl_lock);
	__atomic_store_n(&engine->excl, 1, __ATOMIC_SEQ_CST);
	for (unsigned int i = 0; i < engine->ncpus; i++)
		if (engine->cpus[i])
			cpu_request(engine->cpus[i], CPU_REQ_PAUSE);
	for (unsigned int i = 0; i < engine->ncpus; i++)
		if (engine->cpus[i])
			wait_out(engine, engine->cpus[i]);
}

void engine_exclusive_end(struct engine *engine)
{
	__atomic_store_n(&engine->excl, 0, __ATOMIC_SEQ_CST);
	futex_wake(&engine->excl, 1 << 20);
	lock_release(&engine->excl_lock);
}

void excl_begin_self(struct cpu *cpu)
{
	engine_leave_guest(cpu);
	engine_exclusive_begin(cpu->engine);
}

void excl_end_self(struct cpu *cpu)
{
	engine_exclusive_end(cpu->engine);
	engine_enter_guest(cpu);
}
