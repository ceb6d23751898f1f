/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exits [-n exits] [-p pages] [-r row] [-t]: what an exit costs a client of the library, in
 * thread CPU time, so that a busy machine shows little. Between two exits the
 * guest calls a function in each of @pages pages, which is what finding out
 * about stores of the client costs by.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <time.h>

#include "test/abi/abi.h"

#define PORT  0x5a0
#define HOLE  0xfea00000ull
#define PAGES 0x100000u /* the functions called between two exits */

#define LOOP(access)               \
	"1: mov $0x100000, %ecx\n" \
	"mov %r9, %r10\n"          \
	"2: dec %r10\n"            \
	"js 3f\n"                  \
	"call *%rcx\n"             \
	"add $0x1040, %ecx\n"      \
	"jmp 2b\n"                 \
	"3: " access "\n"          \
	"dec %r8\n"                \
	"jnz 1b\n"                 \
	"hlt\n"

ABI_GUEST(out, LOOP("mov $0x5a0, %edx\n out %al, %dx"));
ABI_GUEST(in, LOOP("mov $0x5a0, %edx\n in %dx, %al"));
ABI_GUEST(read, LOOP("mov $0xfea00000, %edi\n mov (%rdi), %eax"));
ABI_GUEST(write, LOOP("mov $0xfea00000, %edi\n mov %eax, (%rdi)"));
ABI_GUEST(none, LOOP(""));

struct row {
	const char *name;
	const uint8_t *code, *end;
	uint32_t event; /* KVM_IOEVENTFD flags, 1u << 31: none */
	uint64_t addr;
};

#define ROW(text, code, ...)                                    \
	{                                                       \
		text, abi_##code, abi_##code##_end, __VA_ARGS__ \
	}
#define NO_EVENT (1u << 31)

static const struct row rows[] = {
	ROW("loop", none, NO_EVENT, 0),
	ROW("pio write", out, NO_EVENT, 0),
	ROW("pio read", in, NO_EVENT, 0),
	ROW("mmio write", write, NO_EVENT, 0),
	ROW("mmio read", read, NO_EVENT, 0),
	ROW("pio ioeventfd", out, KVM_IOEVENTFD_FLAG_PIO, PORT),
	ROW("mmio ioeventfd", write, 0, HOLE),
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void prepare(struct abi *a, const struct row *row, uint64_t n,
		    uint64_t pages)
{
	struct kvm_regs regs;

	abi_long(a, a->vcpu, row->code, (size_t)(row->end - row->code));
	for (uint64_t i = 0; i < pages; i++)
		a->ram[PAGES + i * 0x1040] = 0xc3;
	regs = abi_regs(a->vcpu);
	regs.r8 = n;
	regs.r9 = pages;
	OK(a->vcpu, KVM_SET_REGS, &regs);
}

static bool tells; /* -t: a client that tells of its stores */

static double run(const struct row *row, uint64_t n, uint64_t pages)
{
	struct kvm_enable_cap cap = {.cap = LODGE_CAP_WRITES, .args = {1}};
	struct kvm_ioeventfd e = {.addr = row->addr, .flags = row->event};
	struct abi a;
	double from;

	abi_open(&a, 0);
	if (tells)
		OK(a.vm, KVM_ENABLE_CAP, &cap);
	e.fd = eventfd(0, EFD_CLOEXEC);
	if (row->event != NO_EVENT)
		OK(a.vm, KVM_IOEVENTFD, &e);
	for (int turn = 0; turn < 2; turn++) { /* the first translates */
		prepare(&a, row, turn ? n : 100, pages);
		from = now();
		do
			OK(a.vcpu, KVM_RUN, 0);
		while (a.run->exit_reason != KVM_EXIT_HLT);
	}
	from = (now() - from) / (double)n;
	close(e.fd);
	abi_close(&a);
	return from;
}

int main(int argc, char **argv)
{
	uint64_t n = 200000, pages = 0;
	const char *only = NULL;
	double loop = 0, ns;
	int c;

	while ((c = getopt(argc, argv, "n:p:r:t")) != -1) {
		if (c == 'n')
			n = strtoull(optarg, NULL, 0);
		else if (c == 'p')
			pages = strtoull(optarg, NULL, 0);
		else if (c == 'r')
			only = optarg;
		else if (c == 't')
			tells = true;
		else
			return 2;
	}
	if (!n || pages > 512)
		return 2;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (i && only && strcmp(only, rows[i].name))
			continue;
		ns = run(&rows[i], n, pages);
		if (!i)
			loop = ns;
		printf("%-16s %8.0f ns\n", rows[i].name, i ? ns - loop : ns);
	}
	return 0;
}
