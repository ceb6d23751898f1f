/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As mmio.c, for what only 16-bit and 32-bit code has: segments with a base
 * in the device, PUSHA, BOUND, pointers with a selector, an LDT there.
 */
#include "test/arch/guest/devlog.h"

#define STACK   0x800
#define LDT_AT  0x400
#define SEL_SS  (SEL_FREE + 0) /* 16-bit stack over the device */
#define SEL_LDT (SEL_FREE + 8)

static void dev_set(unsigned int off, const void *from, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		MMIO[off + i] = ((const uint8_t *)from)[i];
	log_reset();
}

static volatile uint32_t *dev32(unsigned int off)
{
	return (volatile uint32_t *)(MMIO + off);
}

static uint64_t descriptor(uint32_t base, uint32_t limit, uint8_t attr)
{
	return (uint64_t)(base >> 24) << 56 | (uint64_t)attr << 40 |
	       (uint64_t)(base & 0xffffff) << 16 | limit;
}

/* @body on a stack of 16 bits in the device; may use eax, ecx and edx. */
#define ON_DEVICE(body, out)                                              \
	__asm__ volatile(                                                 \
		"mov %%esp, %%esi; mov %1, %%ss; mov %2, %%esp\n" body    \
		"\nmovzwl %%sp, %%edi\n"                                  \
		"mov %3, %%ecx; mov %%ecx, %%ss; mov %%esi, %%esp"        \
		: "=&a"(out)                                              \
		: "r"(SEL_SS), "i"(STACK), "i"(SEL_DATA), "i"(SEL_CODE32) \
		: "ecx", "edx", "esi", "edi", "memory", "cc")

#define PUSHED(n) WR(4, STACK - 4 * (n))
#define POPPED(n) RD(4, STACK - 4 * (n))

static void test_stack(void)
{
	reg_t v;

	gdt[SEL_SS / 8] = descriptor(DEV_MMIO, 0xfff, 0x93);
	log_reset();
	ON_DEVICE("pushl $0x12345678; popl %%eax", v);
	check(v == 0x12345678 && LOG_IS(PUSHED(1), POPPED(1)), "PUSH and POP");
	ON_DEVICE("pushw $0x1234; popw %%ax", v);
	check((v & 0xffff) == 0x1234 &&
		      LOG_IS(WR(2, STACK - 2), RD(2, STACK - 2)),
	      "of 16 bits");
	ON_DEVICE("pushl %%ds; popl %%es; mov %%es, %%eax", v);
	check(v == SEL_DATA && LOG_IS(PUSHED(1), POPPED(1)),
	      "PUSH and POP of segments");
	ON_DEVICE("call 1f; 1: popl %%eax; sub $1b, %%eax\n"
		  "call 2f; jmp 3f; 2: ret; 3:",
		  v);
	check(!v && LOG_IS(PUSHED(1), POPPED(1), PUSHED(1), POPPED(1)),
	      "CALL and RET");
	ON_DEVICE("mov $4, %%eax; lcall %4, $1f; jmp 2f; 1: inc %%eax; lret\n"
		  "2:",
		  v);
	check(v == 5 && LOG_IS(PUSHED(1), PUSHED(2), POPPED(2), POPPED(1)),
	      "far CALL and RET");
}

static void test_iret(void)
{
	reg_t v;

	ON_DEVICE("pushfl; push %%cs; push $1f; mov $6, %%eax; iret; 1:", v);
	check(v == 6 && LOG_IS(PUSHED(1), PUSHED(2), PUSHED(3), POPPED(3),
			       POPPED(2), POPPED(1)),
	      "IRET");
}

static void test_pusha(void)
{
	reg_t v;

	log_reset();
	ON_DEVICE("mov $0x11, %%eax; mov $0x22, %%ecx; mov $0x33, %%edx\n"
		  "pushal; mov $0, %%eax; mov $0, %%ecx; mov $0, %%edx\n"
		  "popal; shl $8, %%ecx; shl $16, %%edx; or %%ecx, %%eax\n"
		  "or %%edx, %%eax",
		  v);
	check(v == 0x332211 &&
		      LOG_IS(PUSHED(1), PUSHED(2), PUSHED(3), PUSHED(4),
			     PUSHED(5), PUSHED(6), PUSHED(7), PUSHED(8),
			     POPPED(8), POPPED(7), POPPED(6), POPPED(5),
			     POPPED(4), POPPED(3), POPPED(2), POPPED(1)),
	      "PUSHA and POPA");
}

static void bounds(reg_t at, reg_t val)
{
	__asm__ volatile("bound %1, (%0)" : : "r"(at), "r"(val));
}

static void test_pointers(void)
{
	struct {
		uint32_t off;
		uint16_t sel;
	} __attribute__((packed)) ptr = {0x1234567, SEL_DATA16};
	int32_t limits[2] = {-5, 7};
	struct table_ptr now, was;
	uint32_t off;
	uint16_t sel;

	dev_set(0x100, &ptr, sizeof(ptr));
	__asm__ volatile("lfs %2, %0; mov %%fs, %1"
			 : "=r"(off), "=r"(sel)
			 : "m"(MMIO[0x100]));
	check(off == ptr.off && sel == ptr.sel &&
		      LOG_IS(RD(4, 0x100), RD(2, 0x104)),
	      "LFS");
	dev_set(0x110, limits, sizeof(limits));
	check(try_call(bounds, (reg_t)MMIO + 0x110, 7) == NO_FAULT &&
		      LOG_IS(RD(4, 0x110), RD(4, 0x114)),
	      "BOUND within");
	check(try_call(bounds, (reg_t)MMIO + 0x110, -6) == 5 &&
		      LOG_IS(RD(4, 0x110), RD(4, 0x114)),
	      "BOUND outside");
	__asm__ volatile("sgdt %0; sgdt %1" : "=m"(was), "=m"(MMIO[0x120]));
	check(LOG_IS(WR(6, 0x120)), "SGDT");
	__asm__ volatile("lgdt %1; sgdt %0" : "=m"(now) : "m"(MMIO[0x120]));
	check(LOG_IS(RD(2, 0x120), RD(4, 0x122)) &&
		      !memcmp(&now, &was, sizeof(now)),
	      "LGDT");
	*dev32(0x130) = SEL_DATA | 1;
	log_reset();
	__asm__ volatile("arpl %w1, %0" : "+m"(MMIO[0x130]) : "r"(3) : "cc");
	check(LOG_IS(RD(2, 0x130), WR(2, 0x130)) &&
		      *dev32(0x130) == (SEL_DATA | 3),
	      "ARPL");
	log_reset();
}

/* A table in the device. */
static void test_ldt(void)
{
	uint64_t d = descriptor(0, 0xffff, 0x92);
	uint16_t es;

	gdt[SEL_LDT / 8] = descriptor(DEV_MMIO + LDT_AT, 15, 0x82);
	dev_set(LDT_AT + 8, &d, sizeof(d));
	*dev32(0x140) = SEL_LDT;
	log_reset();
	__asm__ volatile("lldt %0" : : "m"(MMIO[0x140]));
	check(LOG_IS(RD(2, 0x140)), "LLDT");
	__asm__ volatile("mov %1, %%es; mov %%es, %0; mov %2, %%es"
			 : "=&r"(es)
			 : "r"(12), "r"(SEL_DATA));
	check(es == 12 && LOG_IS(RD(8, LDT_AT + 8), RD(1, LDT_AT + 13),
				 WR(1, LDT_AT + 13)),
	      "a segment of an LDT in the device");
}

void setup(void)
{
}

const struct test tests[] = {
	{"stack", test_stack,
	 "SDM 1 \"Stacks\": 16-bit and 32-bit, in device memory", NEEDS_RUNNER},
	{"iret", test_iret, "SDM 2 \"IRET\": a frame in device memory",
	 NEEDS_RUNNER},
	{"pusha", test_pusha,
	 "SDM 2 \"PUSHA/PUSHAD\", \"POPA/POPAD\": in device memory",
	 NEEDS_RUNNER},
	{"pointers", test_pointers,
	 "SDM 2 \"LDS/LES/LFS/LGS/LSS\", \"BOUND\": in device memory",
	 NEEDS_RUNNER},
	{"ldt", test_ldt,
	 "SDM 3A \"Segment Descriptor Tables\": an LDT in device memory",
	 NEEDS_RUNNER},
	{NULL},
};
