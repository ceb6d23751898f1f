/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delivery of exceptions and interrupts in 64-bit mode: what is pushed, IST,
 * gates, double and triple fault, NMI blocking, the shadows of STI and
 * MOV SS, IRET and SYSCALL. SDM 3A "Interrupt and Exception Handling" (6).
 */
#include "test/arch/guest/arch.h"

#define FLAG_TF 0x100
#define FLAG_IF 0x200
#define FLAG_DF 0x400
#define FLAG_RF 0x10000
#define FLAG_AC 0x40000

#define MSR_APIC_BASE 0x1b
#define MSR_STAR      0xc0000081
#define MSR_LSTAR     0xc0000082
#define MSR_SFMASK    0xc0000084
#define APIC(reg)     (*(volatile uint32_t *)(0xfee00000UL + (reg)))
#define APIC_ID       0x20
#define APIC_TPR      0x80
#define APIC_EOI      0xb0
#define APIC_SVR      0xf0
#define APIC_ICR      0x300

#define VEC_IRQ  0x50
#define VEC_IRQ2 0x90

#define USER    0x10000000000UL
#define USER_PA 0xc00000UL

extern uint64_t boot_pml4[512];
static uint64_t pdpt2[512] __attribute__((aligned(4096)));
static uint64_t pd2[512] __attribute__((aligned(4096)));
static uint8_t ist_stack[2][2048] __attribute__((aligned(16)));

/* ---- one exception each ---- */

/* A snippet and where in it the exception is reported. */
#define SNIPPET(name, before, insn)                                            \
	extern char name[], name##_at[], name##_after[];                       \
	__asm__(".text\n" #name ": " before "\n" #name "_at: " insn "\n" #name \
		"_after: ret\n")

SNIPPET(s_div, "xor %edx, %edx; xor %ecx, %ecx", "div %ecx");
SNIPPET(s_div_over, "mov $1, %edx; mov $1, %ecx", "div %ecx");
SNIPPET(s_int3, "", "int3");
SNIPPET(s_int3b, "", ".byte 0xcd, 3");
SNIPPET(s_int1, "", ".byte 0xf1");
SNIPPET(s_ud2, "", "ud2");
SNIPPET(s_int_gate, "", "int $0x60");
SNIPPET(s_int_limit, "", "int $0xf0");
SNIPPET(s_fld, "", "fld1");
SNIPPET(s_sse, "", "movaps %xmm0, %xmm1");
SNIPPET(s_mov_ds, "mov %edi, %eax", "mov %eax, %ds");
SNIPPET(s_mov_ss, "mov %edi, %eax", "mov %eax, %ss");
SNIPPET(s_lldt, "mov %edi, %eax", "lldt %ax");
SNIPPET(s_ltr_null, "mov %edi, %eax", "ltr %ax");
SNIPPET(s_ltr, "mov %edi, %eax", "ltr %ax");
SNIPPET(s_mov_cs, "", ".byte 0x8e, 0xc8");
SNIPPET(s_rdmsr, "mov $0x12345678, %ecx", "rdmsr");
SNIPPET(s_lock, "", ".byte 0xf0, 0x90");
SNIPPET(s_into, "", ".byte 0xce");
SNIPPET(s_far, "push $0x1235; push $0x1000", "lretq");
SNIPPET(s_iret,
	"mov %rsp, %rax; push $0x10; push %rax; pushf;"
	"push $0x18; movabs $0x800000000000, %rcx; push %rcx",
	"iretq");
SNIPPET(s_rsm, "", "rsm");

struct expect {
	const char *name;
	char *code, *at; /* rip pushed */
	reg_t arg;
	unsigned int vector;
	reg_t error;
	bool fault; /* RF is set in the image of RFLAGS */
};

static void expect(const struct expect *e)
{
	unsigned int v = try_call(e->code, e->arg, 0);

	check(v == e->vector && caught.ip == (reg_t)e->at &&
		      caught.error == e->error && caught.cs == SEL_CODE64 &&
		      caught.ss == SEL_DATA,
	      "%s: vector %x error %x rip off by %x", e->name, (reg_t)v,
	      caught.error, caught.ip - (reg_t)e->at);
	check(!!(caught.flags & FLAG_RF) == e->fault, "%s: RF in its frame",
	      e->name);
}

#define SEL_ABSENT_DATA (SEL_FREE)
#define SEL_ABSENT_LDT  (SEL_FREE + 8)
#define SEL_EXEC_ONLY   (SEL_FREE + 16)
#define SEL_DPL3_DATA   (SEL_UDATA)

static void test_exceptions(void)
{
	const struct expect list[] = {
		{"#DE by zero", s_div, s_div_at, 0, 0, 0, true},
		{"#DE by overflow", s_div_over, s_div_over_at, 0, 0, 0, true},
		{"INT3", s_int3, s_int3_after, 0, 3, 0, false},
		{"INT 3", s_int3b, s_int3b_after, 0, 3, 0, false},
		{"UD2", s_ud2, s_ud2_at, 0, 6, 0, true},
		{"LOCK NOP", s_lock, s_lock_at, 0, 6, 0, true},
		{"INTO in 64-bit mode", s_into, s_into_at, 0, 6, 0, true},
		{"RSM outside SMM", s_rsm, s_rsm_at, 0, 6, 0, true},
		{"MOV to CS", s_mov_cs, s_mov_cs_at, 0, 6, 0, true},
		{"INT n, gate not present", s_int_gate, s_int_gate_at, 0, 11,
		 0x60 * 8 + 2, true},
		{"INT n beyond the IDT", s_int_limit, s_int_limit_at, 0, 13,
		 0xf0 * 8 + 2, true},
		{"RDMSR of nothing", s_rdmsr, s_rdmsr_at, 0, 13, 0, true},
		{"DS beyond the GDT", s_mov_ds, s_mov_ds_at, 0x2000, 13, 0x2000,
		 true},
		{"DS with an absent segment", s_mov_ds, s_mov_ds_at,
		 SEL_ABSENT_DATA, 11, SEL_ABSENT_DATA, true},
		{"DS with a TSS", s_mov_ds, s_mov_ds_at, SEL_TSS, 13, SEL_TSS,
		 true},
		{"DS with execute-only code", s_mov_ds, s_mov_ds_at,
		 SEL_EXEC_ONLY, 13, SEL_EXEC_ONLY, true},
		{"SS with RPL 3 at CPL 0", s_mov_ss, s_mov_ss_at, SEL_DATA | 3,
		 13, SEL_DATA, true},
		{"SS with DPL 3 at CPL 0", s_mov_ss, s_mov_ss_at, SEL_UDATA, 13,
		 SEL_UDATA & ~3, true},
		{"SS with code", s_mov_ss, s_mov_ss_at, SEL_CODE64, 13,
		 SEL_CODE64, true},
		{"SS absent", s_mov_ss, s_mov_ss_at, SEL_ABSENT_DATA, 12,
		 SEL_ABSENT_DATA, true},
		{"LLDT of a data segment", s_lldt, s_lldt_at, SEL_DATA, 13,
		 SEL_DATA, true},
		{"LLDT absent", s_lldt, s_lldt_at, SEL_ABSENT_LDT, 11,
		 SEL_ABSENT_LDT, true},
		{"LTR of a busy TSS", s_ltr, s_ltr_at, SEL_TSS, 13, SEL_TSS,
		 true},
		{"RETF beyond the GDT", s_far, s_far_at, 0, 13, 0x1234, true},
	};

	gdt[SEL_ABSENT_DATA / 8] = 0x00cf13000000ffff;
	gdt[SEL_ABSENT_LDT / 8] = 0x0000020000000000;
	gdt[SEL_ABSENT_LDT / 8 + 2] = 0;
	gdt[SEL_EXEC_ONLY / 8] = 0x00af98000000ffff;
	for (unsigned int i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		expect(&list[i]);
	gdt[SEL_EXEC_ONLY / 8] = 0;
}

static void test_int1(void)
{
	expect(&(struct expect){"INT1", s_int1, s_int1_after, 0, 1, 0, false});
}

static void test_ltr_null(void)
{
	expect(&(struct expect){"LTR null", s_ltr_null, s_ltr_null_at, 0, 13, 0,
				true});
}

static void test_null_selectors(void)
{
	check(try_call(s_mov_ds, 0, 0) == NO_FAULT, "DS may be null");
	check(try_call(s_mov_ds, 3, 0) == NO_FAULT, "DS may be null with RPL");
	check(try_call(s_mov_ss, 0, 0) == NO_FAULT,
	      "SS may be null at CPL 0 of 64-bit mode");
	check(try_call(s_mov_ds, SEL_UDATA, 0) == NO_FAULT,
	      "DS may be less privileged");
	try_call(s_mov_ss, SEL_DATA, 0);
	try_call(s_mov_ds, SEL_DATA, 0);
}

static void test_device_not_available(void)
{
	reg_t cr0 = read_cr0();

	write_cr0(cr0 | 8); /* TS */
	expect(&(struct expect){"FPU with CR0.TS", s_fld, s_fld_at, 0, 7, 0,
				true});
	write_cr0((cr0 & ~8UL) | 4); /* EM */
	expect(&(struct expect){"FPU with CR0.EM", s_fld, s_fld_at, 0, 7, 0,
				true});
	write_cr0(cr0 & ~12UL);
	write_cr4(read_cr4() & ~0x200UL);
	expect(&(struct expect){"SSE without CR4.OSFXSR", s_sse, s_sse_at, 0, 6,
				0, true});
	write_cr4(read_cr4() | 0x200);
	check(try_call(s_sse, 0, 0) == NO_FAULT, "SSE with CR4.OSFXSR");
	write_cr0(cr0);
}

/* IRET to a non-canonical address faults in IRET, on the old stack. */
static void test_iret_fault(void)
{
	check(try_call(s_iret, 0, 0) == 13 && caught.ip == (reg_t)s_iret_at &&
		      caught.error == 0,
	      "IRET to a non-canonical address: rip off by %x",
	      caught.ip - (reg_t)s_iret_at);
}

/* ---- gates, IST, double fault ---- */

static volatile reg_t seen_sp, seen_flags, seen_vector, seen_error;
static volatile reg_t saved_sp;

static void note_trap(struct trap *t)
{
	seen_sp = (reg_t)(t + 1);
	seen_flags = read_flags();
	seen_vector = t->vector;
	seen_error = t->error;
}

static void test_ist(void)
{
	reg_t top = (reg_t)ist_stack[1];

	tss.ist[0] = top + 3; /* the processor aligns */
	trap_hook[0x40] = note_trap;
	idt_set(0x40, trap_stub(0x40), 0, 1);
	__asm__ volatile("int $0x40");
	check(seen_sp == top, "IST stack is used and aligned to 16");
	idt_set(0x40, trap_stub(0x40), 0, 0);
	__asm__ volatile("mov %%rsp, %%rbx; sub $0x88, %%rsp; and $-16, %%rsp;"
			 "or $8, %%rsp; mov %%rsp, %0; int $0x40;"
			 "mov %%rbx, %%rsp"
			 : "=m"(saved_sp)
			 :
			 : "rbx", "memory");
	check(seen_sp == (saved_sp & ~15UL),
	      "without IST the stack is aligned to 16 as well");
	trap_hook[0x40] = NULL;
}

extern struct {
	uint16_t off0, sel;
	uint8_t ist, attr;
	uint16_t off1;
	uint32_t off2, zero;
} idt[256];

static void test_gate_types(void)
{
	trap_hook[0x40] = note_trap;
	irq_on();
	idt_set(0x40, trap_stub(0x40), 0, 0);
	__asm__ volatile("int $0x40");
	check(!(seen_flags & FLAG_IF), "an interrupt gate clears IF");
	idt[0x40].attr |= 1;
	__asm__ volatile("int $0x40");
	check(seen_flags & FLAG_IF, "a trap gate does not");
	irq_off();
	idt[0x40].attr &= ~1;
	trap_hook[0x40] = NULL;
}

static void cause_bad_stack(reg_t sp, reg_t unused)
{
	__asm__ volatile("mov %0, %%rsp; push %%rax; ud2" : : "r"(sp));
}

/* #PF while a #PF is delivered, and #NP while a #GP is. */
static void test_double_fault(void)
{
	unsigned int v;

	tss.ist[0] = (reg_t)ist_stack[1];
	idt_set(8, trap_stub(8), 0, 1);
	v = try_call(cause_bad_stack, 0x200000000000, 0);
	check(v == 8 && caught.error == 0, "#PF in delivery of #PF is #DF: %x",
	      (reg_t)v);
	idt[13].attr &= ~0x80;
	v = try_call(s_rdmsr, 0, 0);
	check(v == 8 && caught.error == 0, "#NP in delivery of #GP is #DF: %x",
	      (reg_t)v);
	idt[13].attr |= 0x80;
	idt[3].attr &= ~0x80;
	v = try_call(s_int3, 0, 0);
	check(v == 11 && caught.error == 3 * 8 + 2,
	      "INT3 with an absent gate is #NP: %x error %x", (reg_t)v,
	      caught.error);
	idt[3].attr |= 0x80;
	idt[0].attr &= ~0x80;
	v = try_call(s_div, 0, 0);
	check(v == 8, "#NP in delivery of #DE is #DF: %x", (reg_t)v);
	idt[0].attr |= 0x80;
	idt[6].attr &= ~0x80;
	v = try_call(s_ud2, 0, 0);
	check(v == 11 && caught.error == 6 * 8 + 3, /* EXT: not software */
	      "#NP in delivery of #UD is #NP: %x error %x", (reg_t)v,
	      caught.error);
	idt[6].attr |= 0x80;
}

/* ---- interrupts ---- */

static volatile unsigned int irqs, order[8], nmis, nmi_depth, nmi_max;
static volatile reg_t irq_ip;

static void irq(struct trap *t)
{
	order[irqs & 7] = t->vector;
	irqs++;
	irq_ip = t->ip;
	APIC(APIC_EOI) = 0;
}

static void self_ipi(unsigned int vector)
{
	APIC(APIC_ICR) = 0x40000 | vector;
}

static void apic_on(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | 0x800);
	APIC(APIC_SVR) = 0x1ff;
	APIC(APIC_TPR) = 0;
	trap_hook[VEC_IRQ] = irq;
	trap_hook[VEC_IRQ2] = irq;
}

extern char sti_next[], sti_second[], ss_second[];

static void test_sti_shadow(void)
{
	irqs = 0;
	self_ipi(VEC_IRQ);
	for (int i = 0; i < 1000; i++)
		(void)APIC(APIC_TPR);
	check(irqs == 0, "an interrupt waits while IF is 0");
	__asm__ volatile("sti; sti_next: nop; sti_second: nop; nop; cli"
			 :
			 :
			 : "memory");
	check(irqs == 1 && irq_ip == (reg_t)sti_second,
	      "it is taken one instruction after STI: off by %x",
	      irq_ip - (reg_t)sti_second);
	self_ipi(VEC_IRQ);
	__asm__ volatile("sti; cli" : : : "memory");
	check(irqs == 1, "STI with CLI behind it lets nothing in");
	__asm__ volatile("sti; nop; cli" : : : "memory");
	check(irqs == 2, "and it was not lost");
}

static void test_ss_shadow(void)
{
	self_ipi(VEC_IRQ);
	irqs = 0;
	__asm__ volatile("mov %%ss, %%eax; pushf; orl $0x200, (%%rsp);"
			 "push %%rbx; pop %%rbx; sti; mov %%eax, %%ss;"
			 "nop; ss_second: nop; nop; cli; add $8, %%rsp"
			 :
			 :
			 : "eax", "memory");
	/* STI's shadow covers MOV SS, whose own covers the first NOP */
	check(irqs == 1 && irq_ip == (reg_t)ss_second,
	      "MOV SS holds interrupts for one instruction: off by %x",
	      irq_ip - (reg_t)ss_second);
}

static void test_priority(void)
{
	irqs = 0;
	self_ipi(VEC_IRQ);
	self_ipi(VEC_IRQ2);
	irq_on();
	__asm__ volatile("nop; nop");
	irq_off();
	check(irqs == 2 && order[0] == VEC_IRQ2 && order[1] == VEC_IRQ,
	      "the higher of two vectors comes first");
	__asm__ volatile("mov %0, %%cr8" : : "r"(6UL));
	self_ipi(VEC_IRQ);
	irq_on();
	__asm__ volatile("nop; nop");
	irq_off();
	check(irqs == 2 && APIC(APIC_TPR) == 0x60, "CR8 holds it back");
	irq_on();
	__asm__ volatile("mov %0, %%cr8; nop" : : "r"(0UL));
	irq_off();
	check(irqs == 3, "until it is lowered");
}

static void test_hlt(void)
{
	irqs = 0;
	self_ipi(VEC_IRQ);
	__asm__ volatile("sti; hlt; cli" : : : "memory");
	check(irqs == 1, "STI HLT with a pending interrupt goes on");
}

/* The runner's KVM_NMI, or one's own APIC. */
static void send_nmi(void)
{
	if (!mb_boot) {
		outb(PORT_NMI, 0);
		return;
	}
	APIC(APIC_ICR + 0x10) = APIC(APIC_ID);
	APIC(APIC_ICR) = 0x4400;
}

static void nmi(struct trap *t)
{
	nmis++;
	nmi_depth++;
	if (nmi_depth > nmi_max)
		nmi_max = nmi_depth;
	if (nmis == 1) {
		send_nmi();
		for (int i = 0; i < 100; i++)
			(void)APIC(APIC_TPR);
	}
	nmi_depth--;
}

static void test_nmi(void)
{
	trap_hook[2] = nmi;
	send_nmi();
	for (int i = 0; i < 100; i++)
		(void)APIC(APIC_TPR);
	check(nmis == 2 && nmi_max == 1,
	      "an NMI in the NMI handler waits for IRET: %d, depth %d",
	      (int)nmis, (int)nmi_max);
	trap_hook[2] = NULL;
}

/* ---- CPL 3 ---- */

static const uint8_t user_code[] = {
	/* 00 */ 0xcc, 0x90, 0xcd, 0x81,       /* int3 */
	/* 04 */ 0xfa, 0x90, 0xcd, 0x81,       /* cli */
	/* 08 */ 0xf4, 0x90, 0xcd, 0x81,       /* hlt */
	/* 0c */ 0xe4, 0x80, 0xcd, 0x81,       /* in al, 0x80 */
	/* 10 */ 0x0f, 0x20, 0xc0, 0x90,       /* mov rax, cr0 */
	/* 14 */ 0x0f, 0x01, 0x07, 0x90,       /* sgdt [rdi] */
	/* 18 */ 0x0f, 0x05, 0xcd, 0x81,       /* syscall */
	/* 1c */ 0x0f, 0x30, 0xcd, 0x81,       /* wrmsr */
	/* 20 */ 0x9d, 0x9c, 0x58, 0xcd, 0x81, /* popf pushf pop rax */
	/* 25 */ 0x0f, 0x01, 0xf8,             /* swapgs */
};

static unsigned int user(unsigned int off)
{
	return user_call(USER + off, USER + 0x2000, USER + 0x1000, 0);
}

static void test_user(void)
{
	uint32_t r[4];

	check(user(0) == 13 && caught.error == 3 * 8 + 2,
	      "INT3 from CPL 3 by a gate of DPL 0 is #GP");
	idt_set(3, trap_stub(3), 3, 0);
	check(user(0) == 3 && caught.ip == USER + 1 &&
		      caught.cs == SEL_UCODE64 && caught.ss == SEL_UDATA &&
		      caught.sp == USER + 0x2000,
	      "INT3 from CPL 3 by a gate of DPL 3");
	idt_set(3, trap_stub(3), 0, 0);
	for (unsigned int off = 4; off < 0x14; off += 4)
		check(user(off) == 13 && !caught.error &&
			      caught.ip == USER + off,
		      "privileged instruction %d at CPL 3", (int)off / 4);
	check(user(0x1c) == 13, "WRMSR at CPL 3");
	check(user(0x25) == 13, "SWAPGS at CPL 3");
	cpuid(7, 0, r);
	if (r[2] & 4) {
		write_cr4(read_cr4() | 0x800);
		check(user(0x14) == 13, "SGDT at CPL 3 with CR4.UMIP");
		write_cr4(read_cr4() & ~0x800UL);
	}
	check(user(0x14) == 14 || caught.ip == USER + 0x18 ||
		      *(volatile uint16_t *)(USER_PA + 0x1000) != 0,
	      "SGDT at CPL 3 without it");
}

/* POPF at CPL 3 changes neither IF nor IOPL. */
static void test_user_popf(void)
{
	*(volatile reg_t *)(USER_PA + 0x1ff8) = 0x3002 | 0xcd5;
	check(user_call(USER + 0x20, USER + 0x1ff8, 0, 0) == USER_RETURN &&
		      (caught.ax & 0x3fd7) == (0x2 | 0xcd5),
	      "POPF at CPL 3 leaves IF and IOPL: %x", caught.ax);
}

/* syscall_entry: note rcx r11 flags and go back with sysret */
extern char syscall_entry[];
volatile reg_t sc_rcx, sc_r11, sc_flags, sc_cs, sc_ss;
__asm__(".text\nsyscall_entry:\n"
	"mov %rcx, sc_rcx\n mov %r11, sc_r11\n"
	"mov %rsp, saved_user_sp\n mov sc_stack, %rsp\n"
	"pushf\n pop sc_flags\n mov %cs, %eax\n mov %rax, sc_cs\n"
	"mov %ss, %eax\n mov %rax, sc_ss\n"
	"mov saved_user_sp, %rsp\n mov sc_r11, %r11\n sysretq\n");
volatile reg_t saved_user_sp, sc_stack;

static void test_syscall(void)
{
	uint64_t efer = rdmsr(MSR_EFER);

	check(user(0x18) == 6, "SYSCALL without EFER.SCE is #UD");
	wrmsr(MSR_EFER, efer | 1);
	sc_stack = (reg_t)ist_stack[1];
	wrmsr(MSR_STAR, (uint64_t)SEL_CODE64 << 32 | (uint64_t)0x23 << 48);
	wrmsr(MSR_LSTAR, (reg_t)syscall_entry);
	wrmsr(MSR_SFMASK, FLAG_IF | FLAG_DF | 1);
	gdt[(SEL_CODE64 + 8) / 8] = 0x00cf93000000ffff;
	check(user(0x18) == USER_RETURN && caught.ip == USER + 0x1c,
	      "SYSCALL and SYSRET go there and back");
	gdt[(SEL_CODE64 + 8) / 8] = 0x00cffb000000ffff;
	check(sc_rcx == USER + 0x1a && (sc_cs & 0xffff) == SEL_CODE64 &&
		      (sc_ss & 0xffff) == SEL_CODE64 + 8,
	      "RCX, CS and SS of SYSCALL: %x %x %x", sc_rcx, sc_cs, sc_ss);
	check((sc_flags & (FLAG_IF | FLAG_DF | 1)) == 0, "SFMASK clears flags");
	check(caught.cs == SEL_UCODE64 && caught.ss == SEL_UDATA,
	      "selectors of SYSRET: %x %x", caught.cs, caught.ss);
	wrmsr(MSR_EFER, efer);
	/* the widest the processor has counts, not CR4.LA57 */
	check(try_call(wrmsr, MSR_LSTAR, 0x0100000000000000) == 13,
	      "LSTAR takes canonical addresses only");
}

/* 32-bit code at CPL 3 under a 64-bit kernel. */
static const uint8_t compat_code[] = {
	0xb8, 0x78,        0x56, 0x34, 0x12, /* mov eax, 0x12345678 */
	0x40,                                /* inc eax, a REX in 64-bit mode */
	0x50,                                /* push eax: four bytes */
	0x27,                                /* daa */
	0xcd, USER_RETURN,
};
extern char go_compat[];
__asm__(".text\ngo_compat:\n push %rbx\n push %rbp\n push %r12\n push %r13\n"
	"push %r14\n push %r15\n mov %rsp, tss + 4\n mov %rsp, try_sp\n"
	"movq $1f, try_ip\n push $0x2b\n push %rsi\n pushf\n push $0x23\n"
	"push %rdi\n iretq\n"
	"1: pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
	"ret\n");

static void test_compat(void)
{
	unsigned int (*go)(reg_t ip, reg_t sp) = (void *)go_compat;
	uint64_t low = 0xe00000;
	extern uint64_t boot_pd[];

	memcpy((void *)low, compat_code, sizeof(compat_code));
	boot_pd[low >> 21] |= 4;
	boot_pml4[0] |= 4;
	write_cr3(read_cr3());
	check(go(low, low + 0x1000) == USER_RETURN &&
		      caught.cs == SEL_UCODE32 && caught.sp == low + 0xffc &&
		      *(volatile uint32_t *)(low + 0xffc) == 0x12345679,
	      "compatibility mode: 32-bit code and stack");
}

/* INT 0x60 finds an absent gate, INT 0xf0 none. */
static void short_idt(void)
{
	struct table_ptr p = {0xf0 * 16 - 1, (reg_t)idt};

	idt[0x60].attr &= ~0x80;
	__asm__ volatile("lidt %0" : : "m"(p));
}

/* Last: no stack for anything. */
static void test_triple_fault(void)
{
	struct table_ptr none = {0, 0};

	outb(PORT_EXPECT, EXPECT_SHUTDOWN);
	__asm__ volatile("lidt %0; ud2" : : "m"(none));
}

void setup(void)
{
	boot_pml4[2] = (uint64_t)pdpt2 | 7;
	pdpt2[0] = (uint64_t)pd2 | 7;
	pd2[0] = USER_PA | 0x87;
	memcpy((void *)USER_PA, user_code, sizeof(user_code));
	short_idt();
	apic_on();
}

const struct test tests[] = {
	{"exceptions", test_exceptions,
	 "SDM 3A \"Exception and Interrupt Reference\": vector, error code, "
	 "saved RIP and RF of each"},
	{"int1", test_int1,
	 "SDM 2 \"INT n/INTO/INT3/INT1 - Call to Interrupt Procedure\": INT1"},
	{"ltr-null", test_ltr_null,
	 "SDM 2 \"LTR - Load Task Register\": #GP(0) for a NULL selector"},
	{"null", test_null_selectors,
	 "SDM 3A \"NULL Segment Checking in 64-bit Mode\""},
	{"nm", test_device_not_available,
	 "SDM 3A \"Control Registers\", \"Adding Support to an Operating "
	 "System for SSE Extensions\": CR0.TS, CR0.EM, CR4.OSFXSR"},
	{"iret-fault", test_iret_fault,
	 "SDM 2 \"IRET/IRETD/IRETQ - Interrupt Return\": #GP(0) if the return "
	 "RIP is not canonical"},
	{"ist", test_ist,
	 "SDM 3A \"Interrupt Stack Table\", \"64-Bit Mode Stack Frame\""},
	{"gates", test_gate_types,
	 "SDM 3A \"Flag Usage By Exception- or Interrupt-Handler Procedure\""},
	{"double-fault", test_double_fault,
	 "SDM 3A \"Interrupt 8 - Double Fault Exception\": table \"Conditions "
	 "for Generating a Double Fault\""},
	{"sti", test_sti_shadow,
	 "SDM 2 \"STI - Set Interrupt Flag\": interrupts are taken after the "
	 "next instruction"},
	{"mov-ss", test_ss_shadow,
	 "SDM 3A \"Masking Exceptions and Interrupts When Switching Stacks\""},
	{"priority", test_priority,
	 "SDM 3A \"Interrupt, Task, and Processor Priority\", \"Task Priority "
	 "in IA-32e Mode\""},
	{"hlt", test_hlt,
	 "SDM 2 \"HLT - Halt\": an enabled interrupt resumes execution"},
	{"nmi", test_nmi, "SDM 3A \"Handling Multiple NMIs\""},
	{"user", test_user,
	 "SDM 3A \"Privileged Instructions\", \"Protection of Exception- and "
	 "Interrupt-Handler Procedures\""},
	{"user-popf", test_user_popf,
	 "SDM 2 \"POPF/POPFD/POPFQ - Pop Stack Into EFLAGS Register\": IF and "
	 "IOPL at CPL 3"},
	{"syscall", test_syscall,
	 "SDM 2 \"SYSCALL - Fast System Call\", \"SYSRET - Return From Fast "
	 "System Call\""},
	{"compat", test_compat,
	 "SDM 3A \"Code-Segment Descriptor in 64-bit Mode\": compatibility "
	 "mode"},
	{"triple-fault", test_triple_fault,
	 "SDM 3A \"Interrupt 8 - Double Fault Exception\": shutdown",
	 NEEDS_RUNNER},
	{NULL},
};
