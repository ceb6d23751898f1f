/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupt controllers as registers and as what they deliver: local APIC,
 * x2APIC, I/O APIC, 8259. Lines are driven through pc-testdev, which only
 * boards have. SDM 3A "Advanced Programmable Interrupt Controller (APIC)",
 * Intel 82093AA, Intel 8259A.
 */
#include "test/arch/guest/arch.h"

#define APIC(reg)  (*(volatile uint32_t *)(0xfee00000UL + (reg)))
#define APIC_ID    0x20
#define APIC_VER   0x30
#define APIC_TPR   0x80
#define APIC_PPR   0xa0
#define APIC_EOI   0xb0
#define APIC_LDR   0xd0
#define APIC_DFR   0xe0
#define APIC_SVR   0xf0
#define APIC_ISR   0x100
#define APIC_TMR   0x180
#define APIC_IRR   0x200
#define APIC_ICR   0x300
#define APIC_LVTT  0x320
#define APIC_LINT0 0x350
#define APIC_LINT1 0x360
#define APIC_ERR   0x370
#define LVT_MASK   0x10000

#define MSR_APIC_BASE 0x1b
#define BASE_X2       0x400UL
#define BASE_ON       0x800UL
#define X2(reg)       (0x800 + (reg) / 16)
#define X2_SELF       0x83f

#define IOAPIC(n)  (*(volatile uint32_t *)(0xfec00000UL + (n)))
#define PIN        5
#define LEVEL      0x8000
#define REMOTE_IRR 0x4000
#define LOGICAL    0x800
#define MASKED     0x10000

#define LINE(n) (0x2000 + (n)) /* of pc-testdev */

#define VEC_LOW  0x51
#define VEC_HIGH 0xa1
#define VEC_PIN  0x71
#define VEC_PIC  0x30

static volatile unsigned int count, order[16];
static volatile uint32_t seen_ppr, seen_isr, seen_irr, seen_rte;
static void (*volatile on_irq)(void);

static bool bit(unsigned int base, unsigned int vector)
{
	return APIC(base + (vector / 32) * 0x10) >> (vector % 32) & 1;
}

static void irq(struct trap *t)
{
	order[count++ & 15] = t->vector;
	seen_ppr = APIC(APIC_PPR);
	seen_isr = bit(APIC_ISR, t->vector);
	seen_irr = bit(APIC_IRR, t->vector);
	if (on_irq)
		on_irq();
	APIC(APIC_EOI) = 0;
}

/* Lets pending interrupts in; they may take a moment. */
static void let_in(void)
{
	irq_on();
	for (int i = 0; i < 1000; i++)
		(void)APIC(APIC_ID);
	irq_off();
}

static void self(unsigned int vector)
{
	APIC(APIC_ICR) = 0x40000 | vector;
}

static bool pending(unsigned int vector)
{
	for (int i = 0; i < 10000; i++)
		if (bit(APIC_IRR, vector))
			return true;
	return false;
}

/* ---- local APIC ---- */

static void test_version(void)
{
	uint32_t v = APIC(APIC_VER), r[4];

	check((v & 0xff) >= 0x10 && (v & 0xff) < 0x20,
	      "an integrated APIC: version %x", (reg_t)v);
	check((v >> 16 & 0xff) >= 3, "with %d local vectors",
	      (int)(v >> 16 & 0xff) + 1);
	cpuid(1, 0, r);
	check(r[1] >> 24 == APIC(APIC_ID) >> 24,
	      "CPUID and the APIC agree on the initial id");
	check(r[3] >> 9 & 1, "CPUID shows an APIC");
}

static void test_base(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);
	uint32_t r[4];

	check(base & 0x100, "the first processor is marked as such");
	check((base & ~0xfffUL) == 0xfee00000, "registers at fee00000");
	check(try_call(wrmsr, MSR_APIC_BASE, base | 1UL << 60) == 13,
	      "a reserved bit of APIC_BASE is #GP");
	wrmsr(MSR_APIC_BASE, base & ~BASE_ON);
	cpuid(1, 0, r);
	check(!(r[3] >> 9 & 1), "disabled, CPUID shows none");
	wrmsr(MSR_APIC_BASE, base);
	cpuid(1, 0, r);
	check(r[3] >> 9 & 1, "and enabled again");
	APIC(APIC_SVR) = 0x1ff;
}

static void test_lvt(void)
{
	APIC(APIC_LVTT) = LVT_MASK | VEC_LOW;
	check(APIC(APIC_LVTT) == (LVT_MASK | VEC_LOW),
	      "the timer's reads back");
	APIC(APIC_LINT1) = 0xffffffff;
	check(!(APIC(APIC_LINT1) & 0xfffe0800), "reserved bits do not: %x",
	      (reg_t)APIC(APIC_LINT1));
	APIC(APIC_LINT1) = 0x10400;
	APIC(APIC_ERR) = VEC_LOW;
	APIC(APIC_SVR) = 0xff;
	check(APIC(APIC_ERR) & LVT_MASK && APIC(APIC_LINT0) & LVT_MASK,
	      "a software-disabled APIC masks all");
	APIC(APIC_ERR) = VEC_LOW;
	check(APIC(APIC_ERR) & LVT_MASK, "and keeps them so");
	APIC(APIC_SVR) = 0x1ff;
	APIC(APIC_ERR) = LVT_MASK | VEC_LOW;
}

static void test_irr(void)
{
	count = 0;
	self(VEC_LOW);
	check(pending(VEC_LOW) && !bit(APIC_ISR, VEC_LOW),
	      "a request waits in IRR");
	let_in();
	check(count == 1 && seen_isr && !seen_irr,
	      "and is in ISR while it is served");
	check(!bit(APIC_ISR, VEC_LOW), "EOI takes it out");
	check(seen_ppr == (VEC_LOW & 0xf0), "PPR had its class: %x",
	      (reg_t)seen_ppr);
}

static void test_tpr(void)
{
	APIC(APIC_TPR) = 0x57;
	check(APIC(APIC_PPR) == 0x57, "PPR is TPR when nothing is served");
	count = 0;
	self(VEC_LOW);
	let_in();
	check(!count && bit(APIC_IRR, VEC_LOW),
	      "a vector of TPR's class waits");
	self(VEC_HIGH);
	let_in();
	check(count == 1 && order[0] == VEC_HIGH, "a higher one does not");
	APIC(APIC_TPR) = 0;
	let_in();
	check(count == 2 && order[1] == VEC_LOW, "until TPR is lowered");
}

static volatile unsigned int taken_inside;

/* Neither is of a higher class than the one in service. */
static void send_both(void)
{
	if (count != 1)
		return;
	self(VEC_LOW);
	self(VEC_HIGH + 1);
	let_in();
	taken_inside = count - 1;
}

static void test_nesting(void)
{
	count = 0;
	taken_inside = ~0u;
	on_irq = send_both;
	self(VEC_HIGH);
	let_in();
	on_irq = NULL;
	check(taken_inside == 0,
	      "nothing of the same or a lower class interrupts a handler");
	check(count == 3 && order[1] == VEC_HIGH + 1 && order[2] == VEC_LOW,
	      "they come after EOI, the higher one first: %x %x",
	      (reg_t)order[1], (reg_t)order[2]);
}

static void nest(void)
{
	if (count == 1) {
		self(VEC_HIGH);
		let_in();
	}
}

static void test_preempt(void)
{
	count = 0;
	on_irq = nest;
	self(VEC_LOW);
	let_in();
	on_irq = NULL;
	check(count == 2 && order[1] == VEC_HIGH && seen_isr,
	      "a higher class interrupts a handler");
	check(!bit(APIC_ISR, VEC_LOW) && !bit(APIC_ISR, VEC_HIGH),
	      "and both are ended");
}

static void test_disabled(void)
{
	count = 0;
	APIC(APIC_SVR) = 0xff;
	check(!(APIC(APIC_SVR) & 0x100), "disabled by software");
	APIC(APIC_SVR) = 0x1ff;
	self(VEC_LOW);
	let_in();
	check(count == 1, "enabled again it delivers");
}

/* ---- x2APIC ---- */

static bool x2_on(void)
{
	uint32_t r[4];

	cpuid(1, 0, r);
	if (!(r[2] >> 21 & 1)) {
		skip("the processor has no x2APIC");
		return false;
	}
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | BASE_X2 | BASE_ON);
	return true;
}

/* There is no way straight back. */
static void x2_off(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);

	wrmsr(MSR_APIC_BASE, base & ~(BASE_X2 | BASE_ON));
	wrmsr(MSR_APIC_BASE, (base & ~BASE_X2) | BASE_ON);
	APIC(APIC_SVR) = 0x1ff;
}

static void x2_irq(struct trap *t)
{
	order[count++ & 15] = t->vector;
	wrmsr(X2(APIC_EOI), 0);
}

static void test_x2(void)
{
	uint32_t id = APIC(APIC_ID) >> 24, version = APIC(APIC_VER);

	if (!x2_on())
		return;
	check(rdmsr(X2(APIC_ID)) == id, "the id has 32 bits");
	check((rdmsr(X2(APIC_VER)) & 0xff00ff) == (version & 0xff00ff),
	      "the version is the same");
	check(rdmsr(X2(APIC_LDR)) == ((id >> 4) << 16 | 1u << (id & 15)),
	      "the logical id follows from it");
	wrmsr(X2(APIC_TPR), 0x20);
	check(rdmsr(X2(APIC_TPR)) == 0x20, "TPR reads back");
	wrmsr(X2(APIC_TPR), 0);
	x2_off();
	check(APIC(APIC_ID) >> 24 == id, "back in xAPIC mode");
}

static void test_x2_faults(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);

	check(try_call(rdmsr, X2(APIC_ID), 0) == 13,
	      "its MSRs are #GP in xAPIC mode");
	if (!x2_on())
		return;
	check(try_call(wrmsr, X2(APIC_ID), 0) == 13,
	      "a write to the id is #GP");
	check(try_call(rdmsr, X2(APIC_DFR), 0) == 13, "there is no DFR");
	check(try_call(rdmsr, X2(APIC_ICR + 0x10), 0) == 13,
	      "no upper half of ICR");
	check(try_call(wrmsr, X2(APIC_EOI), 1) == 13, "EOI takes only 0");
	check(try_call(wrmsr, X2(APIC_TPR), 0x100) == 13,
	      "reserved bits of TPR are #GP");
	check(try_call(rdmsr, X2_SELF, 0) == 13, "SELF IPI is write-only");
	check(try_call(wrmsr, MSR_APIC_BASE, base & ~BASE_X2) == 13,
	      "the way straight back to xAPIC mode is #GP");
	x2_off();
	check(try_call(wrmsr, MSR_APIC_BASE, (base & ~BASE_ON) | BASE_X2) == 13,
	      "x2APIC without the enable bit is #GP");
}

static void test_x2_ipi(void)
{
	uint64_t id;

	if (!x2_on())
		return;
	count = 0;
	trap_hook[VEC_LOW] = x2_irq;
	trap_hook[VEC_HIGH] = x2_irq;
	id = rdmsr(X2(APIC_ID));
	wrmsr(X2_SELF, VEC_LOW);
	irq_on();
	__asm__ volatile("nop; nop");
	irq_off();
	check(count == 1 && order[0] == VEC_LOW, "SELF IPI");
	wrmsr(X2(APIC_ICR), id << 32 | VEC_HIGH);
	irq_on();
	__asm__ volatile("nop; nop");
	irq_off();
	check(count == 2 && order[1] == VEC_HIGH,
	      "ICR is one write of 64 bits");
	trap_hook[VEC_LOW] = irq;
	trap_hook[VEC_HIGH] = irq;
	x2_off();
}

/* ---- I/O APIC ---- */

static uint32_t io_read(unsigned int reg)
{
	IOAPIC(0) = reg;
	return IOAPIC(0x10);
}

static void io_write(unsigned int reg, uint32_t v)
{
	IOAPIC(0) = reg;
	IOAPIC(0x10) = v;
}

static void pin_set(uint32_t low, uint32_t dest)
{
	io_write(0x10 + 2 * PIN, MASKED);
	io_write(0x11 + 2 * PIN, dest << 24);
	io_write(0x10 + 2 * PIN, low);
}

static uint32_t my_id(void)
{
	return APIC(APIC_ID) >> 24;
}

static void test_io_registers(void)
{
	uint32_t v = io_read(1);

	check((v >> 16 & 0xff) == 23, "24 pins");
	check((v & 0xff) >= 0x11, "version %x", (reg_t)(v & 0xff));
	io_write(0, 0x0f000000);
	check((io_read(0) & 0x0f000000) == 0x0f000000, "the id is writable");
	io_write(0, 0);
	IOAPIC(0) = 0x15;
	check((IOAPIC(0) & 0xff) == 0x15, "the index reads back");
}

static void test_io_entry(void)
{
	pin_set(MASKED | LEVEL | LOGICAL | 0x2000 | VEC_PIN, 0xa5);
	check(io_read(0x10 + 2 * PIN) ==
		      (MASKED | LEVEL | LOGICAL | 0x2000 | VEC_PIN),
	      "the lower half reads back");
	check(io_read(0x11 + 2 * PIN) >> 24 == 0xa5, "and the destination");
	pin_set(MASKED | VEC_PIN | REMOTE_IRR | 0x1000, 0);
	check(io_read(0x10 + 2 * PIN) == (MASKED | VEC_PIN),
	      "remote IRR and delivery status are read-only: %x",
	      (reg_t)io_read(0x10 + 2 * PIN));
}

static void line(unsigned int n, int level)
{
	outb(LINE(n), level);
}

static void test_io_edge(void)
{
	count = 0;
	pin_set(VEC_PIN, my_id());
	line(PIN, 1);
	let_in();
	check(count == 1, "a rising edge is one interrupt: %d", (int)count);
	let_in();
	check(count == 1, "a line that stays high no other");
	line(PIN, 0);
	let_in();
	check(count == 1, "nor one that falls");
	line(PIN, 1);
	line(PIN, 0);
	let_in();
	check(count == 2, "a pulse is one");
	check(!bit(APIC_TMR, VEC_PIN), "TMR says edge");
	pin_set(MASKED, 0);
}

static void lower_third(void)
{
	seen_rte = io_read(0x10 + 2 * PIN);
	if (count == 3)
		line(PIN, 0);
}

static void test_io_level(void)
{
	count = 0;
	on_irq = lower_third;
	pin_set(LEVEL | VEC_PIN, my_id());
	line(PIN, 1);
	let_in();
	check(count == 3, "a level comes again until it ends: %d", (int)count);
	check(seen_rte & REMOTE_IRR, "remote IRR is set while it is served");
	check(!(io_read(0x10 + 2 * PIN) & REMOTE_IRR), "and EOI clears it");
	check(bit(APIC_TMR, VEC_PIN), "TMR says level");
	on_irq = NULL;
	pin_set(MASKED, 0);
}

static void lower(void)
{
	line(PIN, 0);
}

static void test_io_mask(void)
{
	count = 0;
	on_irq = lower;
	pin_set(MASKED | LEVEL | VEC_PIN, my_id());
	line(PIN, 1);
	let_in();
	check(!count, "a masked pin is silent");
	pin_set(LEVEL | VEC_PIN, my_id());
	let_in();
	check(count == 1, "a level that still is comes when unmasked");
	on_irq = NULL;
	pin_set(MASKED, 0);
}

static void test_io_logical(void)
{
	count = 0;
	APIC(APIC_DFR) = 0xffffffff;
	APIC(APIC_LDR) = 0x04000000;
	pin_set(LOGICAL | VEC_PIN, 0x04);
	line(PIN, 1);
	line(PIN, 0);
	let_in();
	check(count == 1, "a logical destination that is ours");
	pin_set(LOGICAL | VEC_PIN, 0x08);
	line(PIN, 1);
	line(PIN, 0);
	let_in();
	check(count == 1, "one that is not");
	pin_set(MASKED, 0);
}

/* ---- 8259 ---- */

static void pic_irq(struct trap *t)
{
	order[count++ & 15] = t->vector;
	if (t->vector >= VEC_PIC + 8)
		outb(0xa0, 0x20);
	outb(0x20, 0x20);
}

static void pic_init(uint16_t mask)
{
	pic_program(VEC_PIC, mask);
	outb(0x4d0, 0); /* edges: firmware has other wishes */
	outb(0x4d1, 0);
	for (unsigned int i = 0; i < 16; i++)
		trap_hook[VEC_PIC + i] = pic_irq;
	APIC(APIC_LINT0) = 0x700;
	count = 0;
}

static void pulse(unsigned int n)
{
	line(n, 1);
	line(n, 0);
}

static void test_pic_registers(void)
{
	pic_init(0xffff);
	outb(0x21, 0x5a);
	outb(0xa1, 0xa5);
	check(inb(0x21) == 0x5a && inb(0xa1) == 0xa5, "masks read back");
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	outb(0x20, 0x0b);
	check(inb(0x20) == 0, "ISR is empty");
	outb(0x20, 0x0a);
}

static void test_pic_line(void)
{
	pic_init((uint16_t)~0x20);
	line(5, 1);
	check(inb(0x20) & 0x20, "a request is in IRR");
	let_in();
	line(5, 0);
	check(count == 1 && order[0] == VEC_PIC + 5,
	      "line 5 is delivered as ExtINT");
	let_in();
	check(count == 1, "once");
	outb(0x21, 0xff);
	pulse(5);
	let_in();
	check(count == 1, "not while masked");
}

static void test_pic_priority(void)
{
	pic_init((uint16_t)~0x28);
	line(5, 1);
	line(3, 1);
	let_in();
	check(count == 2 && order[0] == VEC_PIC + 3 && order[1] == VEC_PIC + 5,
	      "the lower of two lines is first: %x %x", (reg_t)order[0],
	      (reg_t)order[1]);
	line(5, 0);
	line(3, 0);
	outb(0x21, 0xff);
}

static void test_pic_slave(void)
{
	pic_init((uint16_t)~0x0404);
	line(10, 1);
	let_in();
	line(10, 0);
	check(count == 1 && order[0] == VEC_PIC + 10,
	      "line 10 comes through the second controller: %x",
	      (reg_t)order[0]);
	outb(0xa1, 0xff);
	outb(0x21, 0xff);
}

void setup(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | BASE_ON);
	APIC(APIC_SVR) = 0x1ff;
	APIC(APIC_TPR) = 0;
	APIC(APIC_LINT0) = LVT_MASK;
	trap_hook[VEC_LOW] = irq;
	trap_hook[VEC_HIGH] = irq;
	trap_hook[VEC_HIGH + 1] = irq;
	trap_hook[VEC_PIN] = irq;
}

const struct test tests[] = {
	{"version", test_version, "SDM 3A \"Local APIC Version Register\""},
	{"base", test_base, "SDM 3A \"Enabling or Disabling the Local APIC\""},
	{"lvt", test_lvt,
	 "SDM 3A \"Local Vector Table\", \"Local APIC State After It Has "
	 "Been Software Disabled\""},
	{"irr", test_irr,
	 "SDM 3A \"Interrupt Acceptance for Fixed Interrupts\""},
	{"tpr", test_tpr, "SDM 3A \"Task and Processor Priorities\""},
	{"nesting", test_nesting,
	 "SDM 3A \"Signaling Interrupt Servicing "
	 "Completion\""},
	{"preempt", test_preempt,
	 "SDM 3A \"Interrupt, Task, and Processor Priority\""},
	{"disabled", test_disabled,
	 "SDM 3A \"Local APIC State After It Has Been Software Disabled\""},
	{"x2apic", test_x2, "SDM 3A \"x2APIC Register Address Space\""},
	{"x2apic-faults", test_x2_faults,
	 "SDM 3A \"Reserved Bit Checking\", \"x2APIC State Transitions\""},
	{"x2apic-ipi", test_x2_ipi,
	 "SDM 3A \"SELF IPI Register\", "
	 "\"ICR Operation in x2APIC Mode\""},
	{"ioapic-registers", test_io_registers,
	 "82093AA \"Memory Mapped Registers for Accessing IOAPIC "
	 "Registers\""},
	{"ioapic-entry", test_io_entry,
	 "82093AA \"IOREDTBL[23:0] - I/O Redirection Table "
	 "Registers\""},
	{"ioapic-edge", test_io_edge, "82093AA \"Trigger Mode\": edge",
	 NEEDS_BOARD},
	{"ioapic-level", test_io_level,
	 "82093AA \"Trigger Mode\", \"Remote IRR\": level", NEEDS_BOARD},
	{"ioapic-mask", test_io_mask, "82093AA \"Interrupt Mask\"",
	 NEEDS_BOARD},
	{"ioapic-logical", test_io_logical,
	 "SDM 3A \"Logical Destination Mode\": flat model", NEEDS_BOARD},
	{"pic-registers", test_pic_registers,
	 "8259A \"Operation Command Words (OCWs)\""},
	{"pic-line", test_pic_line, "8259A \"Interrupt Sequence\"",
	 NEEDS_BOARD},
	{"pic-priority", test_pic_priority, "8259A \"Fully Nested Mode\"",
	 NEEDS_BOARD},
	{"pic-slave", test_pic_slave, "8259A \"Cascade Mode\"", NEEDS_BOARD},
	{NULL},
};
