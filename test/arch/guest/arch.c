/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Report, exceptions and tables of the test guests.
 */
#include "test/arch/guest/arch.h"

#include <stdarg.h>

trap_fn *trap_hook[256];
struct trap caught;
reg_t caught_cr2;
reg_t try_ip, try_sp;
struct tss tss;

static const struct test *running;
static unsigned int passed, failed, skipped;

extern char trap_stubs[];
void trap_enter(struct trap *t);

#ifdef __x86_64__
struct gate {
	uint16_t off0, sel;
	uint8_t ist, attr;
	uint16_t off1;
	uint32_t off2, zero;
};
#else
struct gate {
	uint16_t off0, sel;
	uint8_t ist, attr;
	uint16_t off1;
};
#endif
struct gate idt[256];

void *memcpy(void *d, const void *s, size_t n)
{
	void *ret = d;

	__asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
	return ret;
}

void *memset(void *d, int c, size_t n)
{
	void *ret = d;

	__asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
	return ret;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (size_t i = 0; i < n; i++)
		if (x[i] != y[i])
			return x[i] - y[i];
	return 0;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (uint8_t)*a - (uint8_t)*b;
}

/* ---- report ---- */

static void put(char c)
{
	if (!mb_boot) {
		outb(PORT_TEXT, c);
		return;
	}
	while (!(inb(COM1_LSR) & 0x20))
		;
	outb(COM1, c);
}

static void put_hex(reg_t v)
{
	bool any = false;

	for (int i = 2 * sizeof(v) - 1; i >= 0; i--) {
		unsigned int d = v >> (4 * i) & 15;

		any |= d != 0;
		if (any || !i)
			put("0123456789abcdef"[d]);
	}
}

static void put_dec(int v)
{
	char buf[12];
	int n = 0;

	if (v < 0) {
		put('-');
		v = -v;
	}
	do
		buf[n++] = '0' + v % 10;
	while (v /= 10);
	while (n)
		put(buf[--n]);
}

static void put_format(const char *fmt, va_list ap)
{
	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			put(*fmt);
			continue;
		}
		switch (*++fmt) {
		case 'x': put_hex(va_arg(ap, reg_t)); break;
		case 'd': put_dec(va_arg(ap, int)); break;
		case 's':
			for (const char *s = va_arg(ap, const char *); *s; s++)
				put(*s);
			break;
		default: put(*fmt); break;
		}
	}
}

static void put_string(const char *s)
{
	while (*s)
		put(*s++);
}

void print(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_format(fmt, ap);
	va_end(ap);
}

/* "ok - " as TAP for the runner, "PASS: " as such suites say it. */
static void put_verdict(const char *tap, const char *word)
{
	put_string(mb_boot ? word : tap);
	put_string(mb_boot ? ": " : " - ");
	if (mb_boot && running) {
		put_string(running->name);
		put_string(": ");
	}
}

void report(bool good, const char *fmt, ...)
{
	va_list ap;

	if (good)
		passed++;
	else
		failed++;
	put_verdict(good ? "ok" : "not ok", good ? "PASS" : "FAIL");
	va_start(ap, fmt);
	put_format(fmt, ap);
	va_end(ap);
	put('\n');
}

void skip(const char *fmt, ...)
{
	va_list ap;

	skipped++;
	put_verdict("ok", "SKIP");
	if (!mb_boot) {
		put_string(running ? running->name : "all");
		put_string(" # SKIP ");
	}
	va_start(ap, fmt);
	put_format(fmt, ap);
	va_end(ap);
	put('\n');
}

/* isa-debug-exit makes a monitor end with 2 * code + 1. */
static void __attribute__((noreturn)) end(int code)
{
	if (mb_boot)
		print("EXIT: STATUS=%d\n", code * 2 + 1);
	outl(PORT_EXIT, code);
	for (;;)
		__asm__ volatile("cli; hlt");
}

void finish(void)
{
	if (!mb_boot)
		end(EXIT_PASS);
	print("SUMMARY: %d tests, %d failed, %d skipped\n",
	      (int)(passed + failed + skipped), (int)failed, (int)skipped);
	if (failed || !(passed + skipped))
		end(EXIT_FAIL);
	end(passed ? EXIT_PASS : EXIT_SKIP);
}

void die(const char *fmt, ...)
{
	va_list ap;

	put_string(mb_boot ? "ABORT: " : "# ");
	va_start(ap, fmt);
	put_format(fmt, ap);
	va_end(ap);
	if (running)
		print(" in %s", running->name);
	put('\n');
	end(mb_boot ? EXIT_ABORT : EXIT_FAIL);
}

/* ---- which tests ---- */

static bool missing(const struct test *t)
{
	if (mb_boot && t->needs & NEEDS_RUNNER)
		skip("needs the runner's devices");
	else if (!mb_boot && t->needs & NEEDS_BOARD)
		skip("needs a PC's devices");
	else
		return false;
	return true;
}

static void run_test(const struct test *t)
{
	running = t;
	print("# %s: %s\n", t->name, t->says);
	if (!missing(t))
		t->run();
	running = NULL;
}

static void run_named(const char *name)
{
	for (const struct test *t = tests; t->name; t++)
		if (!strcmp(t->name, name)) {
			run_test(t);
			return;
		}
	report(false, "there is no test '%s'", name);
}

int main(void)
{
	char *p = mb_args, *word;
	bool any = false;

	setup();
	for (;;) {
		while (*p == ' ')
			p++;
		if (!*p)
			break;
		for (word = p; *p && *p != ' '; p++)
			;
		if (*p)
			*p++ = '\0';
		run_named(word);
		any = true;
	}
	for (const struct test *t = tests; !any && t->name; t++)
		run_test(t);
	return 0;
}

bool tally_add(struct tally *t, bool good)
{
	t->tried++;
	if (!good)
		t->wrong++;
	return good || t->wrong > 5;
}

void tally_report(const struct tally *t, const char *name)
{
	check(t->tried && !t->wrong, "%s: %d of %d wrong", name, (int)t->wrong,
	      (int)t->tried);
}

/* ---- exceptions ---- */

void trap_enter(struct trap *t)
{
	reg_t ip;

	if (trap_hook[t->vector]) {
		trap_hook[t->vector](t);
		return;
	}
	if (!try_ip)
		die("vector %x error %x at %x:%x cr2 %x", t->vector, t->error,
		    t->cs, t->ip, read_cr2());
	caught = *t;
	caught_cr2 = read_cr2();
	ip = try_ip;
	try_ip = 0;
	/* back into try_call() or user_call(), on their stack */
#ifdef __x86_64__
	__asm__ volatile("mov %0, %%rsp; jmp *%1"
			 :
			 : "r"(try_sp), "r"(ip), "a"(t->vector));
#else
	__asm__ volatile("mov %0, %%esp; jmp *%1"
			 :
			 : "r"(try_sp), "r"(ip), "a"(t->vector));
#endif
}

void *trap_stub(unsigned int vector)
{
	return trap_stubs + 16 * vector;
}

void idt_set(unsigned int vector, void *fn, unsigned int dpl, unsigned int ist)
{
	reg_t a = (reg_t)fn;
	struct gate *g = &idt[vector];

	g->off0 = a;
	g->off1 = a >> 16;
	g->attr = 0x8e | dpl << 5;
	g->ist = ist;
#ifdef __x86_64__
	g->sel = SEL_CODE64;
	g->off2 = a >> 32;
#else
	g->sel = SEL_CODE32;
#endif
}

void idt_init(void)
{
	struct table_ptr p = {sizeof(idt) - 1, (reg_t)idt};

	for (int i = 0; i < 256; i++)
		idt_set(i, trap_stub(i), i == USER_RETURN ? 3 : 0, 0);
	__asm__ volatile("lidt %0" : : "m"(p));
}

void tss_init(void)
{
	reg_t a = (reg_t)&tss;

	gdt[SEL_TSS / 8] = 0x0000890000000000 | (sizeof(tss) - 1) |
			   (uint64_t)(a & 0xffffff) << 16 |
			   (uint64_t)(a >> 24 & 0xff) << 56;
#ifdef __x86_64__
	gdt[SEL_TSS / 8 + 1] = a >> 32;
#else
	tss.ss0 = SEL_DATA;
#endif
	tss.iomap = sizeof(tss);
	__asm__ volatile("ltr %w0" : : "r"(SEL_TSS));
}
