/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hardware tasks: switches by JMP, CALL, IRET and task gates, 32- and 16-bit
 * TSSs, what is saved, links, busy bits and NT, the T bit, faults. SDM 3A
 * "Task Management" (7).
 */
#include "test/arch/guest/arch.h"

#define SEL_TSS_B (SEL_FREE)
#define SEL_GATE  (SEL_FREE + 8)
#define SEL_TSS16 (SEL_FREE + 16)
#define SEL_LDT_B (SEL_FREE + 24)
#define SEL_OTHER (SEL_FREE + 32)

#define FLAG_NT 0x4000
#define FLAG_TF 0x100

struct tss16 {
	uint16_t link, sp0, ss0, sp1, ss1, sp2, ss2;
	uint16_t ip, flags, ax, cx, dx, bx, sp, bp, si, di;
	uint16_t es, cs, ss, ds, ldt;
};

struct tss task_b;
static struct tss16 task_16;
static uint8_t stack_b[1024], stack_16[1024] __attribute__((aligned(16)));
volatile uint32_t runs, seen_flags, seen_eax, seen_tr, seen_link;

static uint8_t type_of(unsigned int sel)
{
	return gdt[sel / 8] >> 40 & 15;
}

static void make_tss(unsigned int sel, const void *p, uint32_t limit,
		     unsigned int type)
{
	reg_t a = (reg_t)p;

	gdt[sel / 8] = (uint64_t)limit | (uint64_t)(a & 0xffffff) << 16 |
		       (uint64_t)(0x80 | type) << 40 |
		       (uint64_t)(a >> 24) << 56;
}

static void make_gate(unsigned int sel, unsigned int tss_sel)
{
	gdt[sel / 8] = (uint64_t)tss_sel << 16 | (uint64_t)0x85 << 40;
}

static unsigned int tr(void)
{
	unsigned int v;

	__asm__ volatile("str %0" : "=r"(v));
	return v;
}

/* The body of task B: note, then IRET, again and again. */
extern char task_body[];
__asm__(".text\ntask_body:\n"
	"pushf; pop %ebx; mov %ebx, seen_flags\n"
	"mov %eax, seen_eax\n"
	"str %ebx; mov %ebx, seen_tr\n"
	"mov task_b, %ebx; mov %ebx, seen_link\n"
	"incl runs\n"
	"inc %eax\n"
	"iret\n"
	"jmp task_body\n");

static void prepare(void)
{
	memset(&task_b, 0, sizeof(task_b));
	task_b.eip = (reg_t)task_body;
	task_b.eflags = 2;
	task_b.esp = (reg_t)(stack_b + sizeof(stack_b));
	task_b.eax = 100;
	task_b.ebp = 0xb0b0b0b0;
	task_b.cs = SEL_CODE32;
	task_b.ss = task_b.ds = task_b.es = SEL_DATA;
	task_b.iomap = sizeof(task_b);
	make_tss(SEL_TSS_B, &task_b, sizeof(task_b) - 1, 9);
	make_gate(SEL_GATE, SEL_TSS_B);
}

struct far {
	uint32_t off;
	uint16_t sel;
} __attribute__((packed));

static struct far target;

static void call_task(reg_t sel, reg_t unused)
{
	target.sel = sel;
	__asm__ volatile("lcall *%0"
			 :
			 : "m"(target)
			 : "eax", "ebx", "ecx", "edx", "esi", "edi", "memory");
}

static void test_call(void)
{
	uint32_t magic = 0x13572468;

	prepare();
	runs = 0;
	target.sel = SEL_TSS_B;
	__asm__ volatile("mov $0x13572468, %%esi; lcall *%1; mov %%esi, %0"
			 : "=r"(magic)
			 : "m"(target)
			 : "esi", "memory");
	check(runs == 1 && magic == 0x13572468,
	      "CALL to a task and IRET: registers come back");
	check(seen_flags & FLAG_NT && seen_link == SEL_TSS &&
		      seen_tr == SEL_TSS_B,
	      "NT, back link %x and TR %x in the task", (reg_t)seen_link,
	      (reg_t)seen_tr);
	check(type_of(SEL_TSS_B) == 9 && type_of(SEL_TSS) == 11 &&
		      tr() == SEL_TSS,
	      "afterwards it is available, ours is busy");
	check(task_b.eax == 101 && task_b.ebp == 0xb0b0b0b0 &&
		      !(task_b.eflags & FLAG_NT),
	      "the task's state is in its TSS, NT is not");
	check(read_cr0() & 8, "CR0.TS is set by the switch");
	__asm__ volatile("clts");
	call_task(SEL_TSS_B, 0);
	check(runs == 2 && seen_eax == 101, "it goes on behind its IRET");
}

static void test_gate(void)
{
	prepare();
	runs = 0;
	call_task(SEL_GATE, 0);
	check(runs == 1 && seen_link == SEL_TSS, "CALL through a task gate");
	__asm__ volatile("clts");
}

/* JMP to B, whose code jumps back: no nesting. */
extern char jump_body[];
struct far back = {0, SEL_TSS};
__asm__(".text\njump_body: pushf; pop %ebx; mov %ebx, seen_flags\n"
	"incl runs; ljmp *back; jmp jump_body\n");

static void test_jump(void)
{
	prepare();
	runs = 0;
	task_b.eip = (reg_t)jump_body;
	target.sel = SEL_TSS_B;
	__asm__ volatile("ljmp *%0" : : "m"(target) : "eax", "ebx", "memory");
	check(runs == 1 && !(seen_flags & FLAG_NT) && type_of(SEL_TSS_B) == 9 &&
		      tr() == SEL_TSS,
	      "JMP to a task and back");
	__asm__ volatile("clts");
}

static void test_fault_cases(void)
{
	prepare();
	make_tss(SEL_TSS_B, &task_b, sizeof(task_b) - 1, 11);
	check(try_call(call_task, SEL_TSS_B, 0) == 13 &&
		      caught.error == SEL_TSS_B,
	      "CALL to a busy task is #GP(tss): %x error %x", caught.vector,
	      caught.error);
	make_tss(SEL_TSS_B, &task_b, sizeof(task_b) - 2, 9);
	check(try_call(call_task, SEL_TSS_B, 0) == 10 &&
		      caught.error == SEL_TSS_B,
	      "a TSS that is too short is #TS(tss): %x error %x", caught.vector,
	      caught.error);
	make_tss(SEL_TSS_B, &task_b, sizeof(task_b) - 1, 9);
	gdt[SEL_TSS_B / 8] &= ~(0x80ULL << 40);
	check(try_call(call_task, SEL_TSS_B, 0) == 11 &&
		      caught.error == SEL_TSS_B,
	      "an absent TSS is #NP(tss)");
	check(try_call(call_task, SEL_GATE, 0) == 11 &&
		      caught.error == SEL_TSS_B,
	      "also through a gate");
	gdt[SEL_GATE / 8] &= ~(0x80ULL << 40);
	check(try_call(call_task, SEL_GATE, 0) == 11 &&
		      caught.error == SEL_GATE,
	      "an absent gate is #NP(gate)");
	check(tr() == SEL_TSS, "TR is what it was");
}

/*
 * Faults found after the switch happen in the new task. Its TSS then is the
 * current one. Only data segments are tried: with a bad CS, SS or LDT there is
 * no stack left to deliver on.
 */
static unsigned int new_task_fault(reg_t *error)
{
	unsigned int v = try_call(call_task, SEL_TSS_B, 0);

	*error = caught.error;
	if (tr() == SEL_TSS_B) { /* make ours current again, by hand */
		gdt[SEL_TSS / 8] &= ~(2ULL << 40);
		__asm__ volatile("ltr %w0" : : "r"(SEL_TSS));
		__asm__ volatile("clts");
		write_flags(2);
		return v;
	}
	return v | 0x1000;
}

static void test_new_task_faults(void)
{
	unsigned int v;
	reg_t error;

	prepare();
	task_b.ds = 0x2000;
	v = new_task_fault(&error);
	check(v == 10 && error == 0x2000,
	      "a bad DS in the TSS is #TS(it) in the new task: %x error %x",
	      (reg_t)v, error);
	prepare();
	gdt[SEL_OTHER / 8] = 0x00cf13000000ffff;
	task_b.gs = SEL_OTHER;
	v = new_task_fault(&error);
	check(v == 11 && error == SEL_OTHER,
	      "an absent GS in the TSS is #NP(it): %x error %x", (reg_t)v,
	      error);
}

static void test_ldt(void)
{
	static uint64_t ldt[2];
	uint16_t sel;

	prepare();
	ldt[1] = 0x00cf93000000ffff;
	make_tss(SEL_LDT_B, ldt, 15, 2);
	task_b.ldt = SEL_LDT_B;
	task_b.fs = 12;
	runs = 0;
	call_task(SEL_TSS_B, 0);
	__asm__ volatile("sldt %0" : "=r"(sel));
	check(runs == 1 && task_b.fs == 12 && sel == 0,
	      "a task with an LDT of its own");
	__asm__ volatile("clts");
}

/* ---- interrupts by task gates ---- */

extern struct {
	uint16_t off0, sel;
	uint8_t ist, attr;
	uint16_t off1;
} idt[256];

volatile uint32_t seen_error;

/* The handler steps over the faulting instruction: mov fs, ax is 2 bytes
 * with its operand size prefix away. */
extern char skip_body[], skip_insn[], skip_next[];
__asm__(".text\nskip_body: pop %ebx; mov %ebx, seen_error\n"
	"incl runs; movl $skip_next, tss + 32; iret; jmp skip_body\n");

static void do_skip(void)
{
	__asm__ volatile("mov $0x2000, %%eax\nskip_insn: mov %%eax, %%fs\n"
			 "skip_next: nop"
			 :
			 :
			 : "eax", "memory");
}

static void test_exception_gate(void)
{
	prepare();
	task_b.eip = (reg_t)skip_body;
	idt[13].sel = SEL_TSS_B;
	idt[13].attr = 0x85;
	runs = 0;
	do_skip();
	check(runs == 1 && seen_error == 0x2000 &&
		      tss.eip == (reg_t)skip_next && tr() == SEL_TSS,
	      "#GP through a task gate: error %x on the task's stack",
	      (reg_t)seen_error);
	idt_set(13, trap_stub(13), 0, 0);
	__asm__ volatile("clts");
	prepare();
	idt[0x40].sel = SEL_TSS_B;
	idt[0x40].attr = 0x85;
	runs = 0;
	__asm__ volatile("int $0x40" : : : "memory");
	check(runs == 1 && seen_flags & FLAG_NT, "INT n through a task gate");
	idt_set(0x40, trap_stub(0x40), 0, 0);
	__asm__ volatile("clts");
}

/* #DF on a task of its own: the classic cure for a broken stack. */
extern char df_body[];
volatile uint32_t df_esp;
__asm__(".text\ndf_body: pop %ebx; mov %ebx, seen_error\n"
	"mov tss + 56, %ebx; mov %ebx, df_esp\n"
	"incl runs; movl $df_after, tss + 32\n"
	"mov df_good_esp, %ebx; mov %ebx, tss + 56\n"
	"movw $0x10, tss + 80\n"
	"iret; jmp df_body\n");
volatile uint32_t df_good_esp;

static void test_double_fault(void)
{
	prepare();
	task_b.eip = (reg_t)df_body;
	idt[8].sel = SEL_TSS_B;
	idt[8].attr = 0x85;
	runs = 0;
	/* a stack segment of 16 bytes: every push faults */
	gdt[SEL_OTHER / 8] = 0x004093000000000f;
	__asm__ volatile("mov %%esp, df_good_esp\n"
			 "mov %0, %%ss; mov $4, %%esp\n"
			 "push %%eax; push %%eax\n" /* the second one wraps */
			 ".globl df_after\ndf_after: nop"
			 :
			 : "r"(SEL_OTHER)
			 : "ebx", "memory");
	check(runs == 1 && seen_error == 0 && df_esp == 0,
	      "#SS that cannot be delivered is #DF, on a task: esp %x",
	      (reg_t)df_esp);
	idt_set(8, trap_stub(8), 0, 0);
	__asm__ volatile("clts");
}

/* ---- 16-bit TSS ---- */

extern char body16[];
__asm__(".text\nbody16: mov %eax, seen_eax; incl runs; iret; jmp body16\n");

static void test_tss16(void)
{
	/* its code must lie within 64 KiB of a segment */
	gdt[SEL_OTHER / 8] = 0x00409b000000ffff |
			     (uint64_t)((reg_t)body16 & 0xffff00) << 16;
	memset(&task_16, 0, sizeof(task_16));
	task_16.ip = (reg_t)body16 & 0xff;
	task_16.flags = 2;
	task_16.ax = 0x4321;
	task_16.cs = SEL_OTHER;
	task_16.ds = task_16.es = SEL_DATA;
	task_16.ss = SEL_FREE + 40;
	gdt[task_16.ss / 8] = 0x000093000000ffff | (uint64_t)(reg_t)stack_16
							   << 16;
	task_16.sp = sizeof(stack_16);
	make_tss(SEL_TSS16, &task_16, sizeof(task_16) - 1, 1);
	runs = 0;
	call_task(SEL_TSS16, 0);
	check(runs == 1 && (seen_eax & 0xffff) == 0x4321 &&
		      task_16.link == SEL_TSS && type_of(SEL_TSS16) == 1 &&
		      tr() == SEL_TSS,
	      "CALL to a 16-bit TSS and IRET: ax %x link %x", (reg_t)seen_eax,
	      (reg_t)task_16.link);
	__asm__ volatile("clts");
}

/* ---- T bit ---- */

static volatile reg_t db_ip, db_dr6, db_tr;

static void note_db(struct trap *t)
{
	db_ip = t->ip;
	db_dr6 = read_dr6();
	db_tr = tr();
	write_dr6(0xffff0ff0);
}

static void test_trap_bit(void)
{
	prepare();
	task_b.trap = 1;
	trap_hook[1] = note_db;
	runs = 0;
	call_task(SEL_TSS_B, 0);
	check(runs == 1 && db_ip == (reg_t)task_body && db_dr6 & 0x8000 &&
		      db_tr == SEL_TSS_B,
	      "the T bit raises #DB before the task's first instruction: "
	      "dr6 %x",
	      db_dr6);
	trap_hook[1] = NULL;
	__asm__ volatile("clts");
}

void setup(void)
{
}

const struct test tests[] = {
	{"call", test_call, "SDM 3A \"Task Switching\", \"Task Linking\""},
	{"gate", test_gate, "SDM 3A \"Task-Gate Descriptor\""},
	{"jump", test_jump, "SDM 3A \"Task Switching\": JMP does not nest"},
	{"faults", test_fault_cases,
	 "SDM 3A \"Task Switching\": table \"Exception Conditions Checked "
	 "During a Task Switch\""},
	{"ldt", test_ldt,
	 "SDM 3A \"Task-State Segment (TSS)\": the LDT of a task"},
	{"exception-gate", test_exception_gate, "SDM 3A \"Interrupt Tasks\""},
	{"double-fault", test_double_fault,
	 "SDM 3A \"Interrupt 8 - Double Fault Exception\": by a task gate"},
	{"tss16", test_tss16, "SDM 3A \"16-Bit Task-State Segment (TSS)\""},
	{"trap-bit", test_trap_bit,
	 "SDM 3B \"Task-Switch Exception Condition\""},
	{"new-task-faults", test_new_task_faults,
	 "SDM 3A \"Task Switching\": faults in the context of the new task"},
	{NULL},
};
