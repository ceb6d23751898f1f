/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every guest of this folder has: a table of tests, a report, port and
 * register access, and exceptions as values. Built for 32 and for 64 bits.
 */
#ifndef ARCH_GUEST_ARCH_H
#define ARCH_GUEST_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "test/arch/proto.h"

typedef unsigned long reg_t;

/* Selectors of boot.S's GDT; guests may fill the slots from SEL_FREE on. */
#define SEL_CODE32  0x08
#define SEL_DATA    0x10
#define SEL_CODE64  0x18
#define SEL_UCODE32 0x23
#define SEL_UDATA   0x2b
#define SEL_UCODE64 0x33
#define SEL_CODE16  0x38
#define SEL_DATA16  0x40
#define SEL_TSS     0x48 /* two slots in long mode */
#define SEL_FREE    0x58
#define GDT_SLOTS   64

extern uint64_t gdt[GDT_SLOTS];
extern char image_end[], bss_end[];

struct table_ptr {
	uint16_t limit;
	reg_t base;
} __attribute__((packed));

/* Registers at an exception, as trap.S pushes them. */
struct trap {
#ifdef __x86_64__
	reg_t r15, r14, r13, r12, r11, r10, r9, r8;
#endif
	reg_t di, si, bp, bx, dx, cx, ax;
	reg_t vector, error;
	reg_t ip, cs, flags, sp, ss; /* sp, ss: in 32 bits from CPL 3 only */
};

#define NO_FAULT 0x100

/*
 * A guest's tests, ended by one without a name. All are run, or those that
 * the command line names. Each stands on its own: setup() alone comes before.
 */
struct test {
	const char *name;
	void (*run)(void);
	const char *says; /* what is checked, by its title in the manual */
	unsigned int needs;
};
#define NEEDS_RUNNER 1 /* the devices of runner.c */
#define NEEDS_BOARD  2 /* a PC with pc-testdev */

extern const struct test tests[];
void setup(void);

/* Started by a Multiboot loader: mb.S */
extern uint32_t mb_boot, mb_info;
extern char mb_args[MB_ARGS_MAX];

/* ---- arch.c ---- */
void print(const char *fmt, ...); /* %s %x (reg_t) %d (int) */
void report(bool good, const char *fmt, ...);
void skip(const char *fmt, ...); /* a check that cannot be made here */
void finish(void) __attribute__((noreturn));
void die(const char *fmt, ...) __attribute__((noreturn));

/* Tests first, so that the text may show what the test left. */
#define check(good, ...)                    \
	do {                                \
		bool good_ = (good);        \
		report(good_, __VA_ARGS__); \
	} while (0)

/* Counts of one cross product; the first few mistakes are printed. */
struct tally {
	unsigned int tried, wrong;
};
bool tally_add(struct tally *t, bool good);
void tally_report(const struct tally *t, const char *name);

void *memcpy(void *d, const void *s, size_t n);
void *memset(void *d, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
int strcmp(const char *a, const char *b);

/* Who takes a vector; default: trap_caught() below or death. */
typedef void trap_fn(struct trap *t);
extern trap_fn *trap_hook[256];

/* The last exception that try() caught. */
extern struct trap caught;
extern reg_t caught_cr2;

/* Point a vector elsewhere: @dpl, @ist (64 bits only). */
void idt_set(unsigned int vector, void *fn, unsigned int dpl, unsigned int ist);
void idt_init(void);
void *trap_stub(unsigned int vector);

/*
 * Call @fn with two arguments; an exception in it ends it. Returns the vector
 * or NO_FAULT. Not for code that changes stacks or privilege.
 */
unsigned int try_call(void *fn, reg_t a, reg_t b);

/* ---- trap.S, try.S ---- */
extern reg_t try_ip, try_sp; /* where the exception of a try goes on */

/*
 * Go to CPL 3 at @ip with @sp and two arguments; comes back by INT 0x81 or an
 * exception. Returns the vector; caught and caught_cr2 are set.
 */
unsigned int user_call(reg_t ip, reg_t sp, reg_t a, reg_t b);
#define USER_RETURN 0x81

/* RSP0 of the TSS in use follows the caller's stack. */
void tss_init(void);
#ifdef __x86_64__
struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3, iomap;
} __attribute__((packed));
#else
struct tss {
	uint32_t link, esp0, ss0, esp1, ss1, esp2, ss2, cr3;
	uint32_t eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi;
	uint32_t es, cs, ss, ds, fs, gs, ldt;
	uint16_t trap, iomap;
};
#endif
extern struct tss tss;

/* ---- single instructions ---- */
static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}
static inline void outw(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}
static inline void outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port) : "memory");
}
static inline uint8_t inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}
static inline uint16_t inw(uint16_t port)
{
	uint16_t v;

	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}
static inline uint32_t inl(uint16_t port)
{
	uint32_t v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}
static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (uint64_t)hi << 32 | lo;
}
static inline void wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32))
			 : "memory");
}
static inline void cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
			 : "a"(leaf), "c"(sub));
}
#define DEFINE_CR(n)                                                        \
	static inline reg_t read_cr##n(void)                                \
	{                                                                   \
		reg_t v;                                                    \
		__asm__ volatile("mov %%cr" #n ", %0" : "=r"(v)::"memory"); \
		return v;                                                   \
	}                                                                   \
	static inline void write_cr##n(reg_t v)                             \
	{                                                                   \
		__asm__ volatile("mov %0, %%cr" #n : : "r"(v) : "memory");  \
	}
DEFINE_CR(0)
DEFINE_CR(2)
DEFINE_CR(3)
DEFINE_CR(4)
#define DEFINE_DR(n)                                              \
	static inline reg_t read_dr##n(void)                      \
	{                                                         \
		reg_t v;                                          \
		__asm__ volatile("mov %%dr" #n ", %0" : "=r"(v)); \
		return v;                                         \
	}                                                         \
	static inline void write_dr##n(reg_t v)                   \
	{                                                         \
		__asm__ volatile("mov %0, %%dr" #n : : "r"(v));   \
	}
DEFINE_DR(0)
DEFINE_DR(1)
DEFINE_DR(2)
DEFINE_DR(3)
DEFINE_DR(6)
DEFINE_DR(7)
static inline reg_t read_flags(void)
{
	reg_t v;

	__asm__ volatile("pushf; pop %0" : "=r"(v));
	return v;
}
static inline void write_flags(reg_t v)
{
	__asm__ volatile("push %0; popf" : : "r"(v) : "memory", "cc");
}
static inline void invlpg(void *p)
{
	__asm__ volatile("invlpg (%0)" : : "r"(p) : "memory");
}
static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}
/* Start both 8259s: vectors from @base on, the lines in @mask held back. */
static inline void pic_program(uint8_t base, uint16_t mask)
{
	outb(0x20, 0x11);
	outb(0x21, base);
	outb(0x21, 4);
	outb(0x21, 1);
	outb(0xa0, 0x11);
	outb(0xa1, base + 8);
	outb(0xa1, 2);
	outb(0xa1, 1);
	outb(0x21, mask);
	outb(0xa1, mask >> 8);
}
static inline void irq_on(void)
{
	__asm__ volatile("sti; nop" : : : "memory");
}
static inline void irq_off(void)
{
	__asm__ volatile("cli" : : : "memory");
}

#define MSR_EFER 0xc0000080

#endif
