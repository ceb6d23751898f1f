/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine for the room's tests: some RAM mapped one to one, processors in
 * 64-bit mode at ring 0, and a HLT behind every exception vector. Guest code
 * is written in the test's own file by GUEST() and copied into RAM; it ends
 * with HLT. Left out: interrupts, devices, ring 3.
 */
#ifndef ENGINE_FAKE_H
#define ENGINE_FAKE_H

#include <pthread.h>

#include "engine/internal.h"

#define FAKE_CPUS  2
#define FAKE_RAM   0x400000u
#define FAKE_CODE  0x100000u /* where tests put code */
#define FAKE_DATA  0x200000u
#define FAKE_STACK 0x300000u /* cpu n: 64 KiB below + (n + 1) * 0x10000 */

struct fake {
	uint8_t *ram;
	struct engine *engine;
	struct cpu *cpu[FAKE_CPUS];
	struct fake_thread {
		pthread_t id;
		struct cpu *cpu;
		enum cpu_exit_kind kind; /* how it ended */
	} thread[FAKE_CPUS];
	struct phys_range range;
	struct physmap map;
	uint32_t next_table;
};

/* Bytes from @name to @name_end, position-independent. */
#define GUEST(name, text)                                            \
	__asm__(".pushsection .rodata\n" #name ":\n" text "\n" #name \
		"_end:\n.popsection\n");                             \
	extern const uint8_t name[], name##_end[]

#define fake_load(f, gpa, name) \
	memcpy((f)->ram + (gpa), name, name##_end - (name))

/* @code_size: as in struct engine_config. Any failure ends the program. */
void fake_open(struct fake *f, uint64_t code_size);
void fake_close(struct fake *f);

/* Map a 4 KiB page, writable; replaces what was there. */
void fake_map(struct fake *f, gva_t gva, gpa_t gpa);

/* Guest-physical address of the page table entry of a mapped page. */
gpa_t fake_pte(struct fake *f, gva_t gva);

/* Registers as at the start of a test, but the vector state. */
void fake_start(struct fake *f, unsigned int n, uint64_t rip);

/* 32-bit protected mode, flat, no paging. */
void fake_flat32(struct fake *f, unsigned int n);

/* Run to the next exit on this thread. */
enum cpu_exit_kind fake_run(struct fake *f, unsigned int n);

/* The same on a thread of its own. */
void fake_spawn(struct fake *f, unsigned int n);
enum cpu_exit_kind fake_join(struct fake *f, unsigned int n);

/* Vector of the exception whose HLT stopped the cpu; -1: another HLT. */
int fake_vector(const struct fake *f, unsigned int n);

/* RAM word, atomic. */
uint32_t fake_peek(const struct fake *f, gpa_t gpa);
void fake_poke(struct fake *f, gpa_t gpa, uint32_t val);

/* Wait until a RAM word has the value. */
void fake_await(const struct fake *f, gpa_t gpa, uint32_t val);

/* SIGALRM ends the program after so many seconds; 0: no more. */
void fake_watchdog(unsigned int seconds);

#endif
