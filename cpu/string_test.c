/* SPDX-License-Identifier: Apache-2.0 */
/*
 * String instructions against the host's own, on guest pages that are
 * scattered in RAM: memory, registers and flags afterwards, progress at
 * faults, bounded work, MMIO, and 16-bit wrap-around.
 */
#include "cpu/fake.h"
#include "cpu/insn.h"
#include "cpu/mode.h"

#define BASE   0x500000ULL /* gva of the window */
#define PAGES  8u
#define WINDOW (PAGES * PG_SIZE)

struct regs {
	uint64_t rax, rcx, rsi, rdi;
	uint32_t flags;
};

/* Scatter the window over RAM, one page twice for aliasing. */
static void map_window(struct fake *f)
{
	unsigned int i;

	for (i = 0; i < PAGES; i++)
		fake_map(f, BASE + i * PG_SIZE,
			 0x800000 + (i * 5 % 8) * PG_SIZE, PTE_P | PTE_W);
}

static uint8_t *guest(struct fake *f, gva_t gva)
{
	unsigned int n = (gva - BASE) / PG_SIZE;

	return f->ram + 0x800000 + (n * 5 % 8) * PG_SIZE + gva % PG_SIZE;
}

static struct insn make(uint8_t opcode, unsigned int prefix,
			unsigned int opsize, unsigned int addrsize)
{
	struct insn i = {.prefix = prefix,
			 .opsize = opsize,
			 .addrsize = addrsize,
			 .next_rip = 0x1234};

	if (prefix & INSN_REP)
		i.bytes[i.len++] = 0xf3;
	if (prefix & INSN_REPNE)
		i.bytes[i.len++] = 0xf2;
	if (opsize == 8)
		i.bytes[i.len++] = 0x48;
	i.bytes[i.len++] = opcode;
	return i;
}

static int exec(struct cpu *cpu, const struct insn *i)
{
	switch (i->bytes[i->len - 1] & ~1) {
	case 0xa4: return exec_movs(cpu, i);
	case 0xa6: return exec_cmps(cpu, i);
	case 0xaa: return exec_stos(cpu, i);
	case 0xac: return exec_lods(cpu, i);
	default: return exec_scas(cpu, i);
	}
}

/* The host's instruction, from bytes put into memory. */
static void native(const struct insn *i, bool down, struct regs *r)
{
	static uint8_t *code;
	unsigned int n = 0;
	uint64_t flags;

	if (!code)
		code = mmap(NULL, PG_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (down)
		code[n++] = 0xfd;
	if (i->opsize == 2)
		code[n++] = 0x66;
	memcpy(code + n, i->bytes, i->len);
	n += i->len;
	code[n++] = 0xfc;
	code[n] = 0xc3;
	flags = r->flags;
	__asm__ volatile("sub $128, %%rsp\n\tpush %[flags]\n\tpopfq\n\t"
			 "call *%[code]\n\tpushfq\n\tpop %[flags]\n\t"
			 "add $128, %%rsp"
			 : "+a"(r->rax), "+c"(r->rcx), "+S"(r->rsi),
			   "+D"(r->rdi), [flags] "+r"(flags)
			 : [code] "r"(code)
			 : "memory", "cc");
	r->flags = flags & RFLAGS_ARITH;
}

static void regs_to_cpu(struct cpu *cpu, const struct regs *r)
{
	cpu->gpr[REG_RAX] = r->rax;
	cpu->gpr[REG_RCX] = r->rcx;
	cpu->gpr[REG_RSI] = r->rsi;
	cpu->gpr[REG_RDI] = r->rdi;
	cpu_set_arith(cpu, r->flags);
}

/* Fill guest and mirror alike, with few values so that runs compare equal. */
static void fill(struct fake *f, uint8_t *mirror)
{
	unsigned int i, kinds = fake_rand(f) & 1 ? 1 : 255;

	for (i = 0; i < WINDOW; i++)
		mirror[i] = fake_rand(f) % 64 ? 7 : fake_rand(f) % kinds;
	for (i = 0; i < PAGES; i++)
		memcpy(guest(f, BASE + i * PG_SIZE), mirror + i * PG_SIZE,
		       PG_SIZE);
}

static void compare_memory(struct fake *f, const uint8_t *mirror)
{
	unsigned int i;

	for (i = 0; i < PAGES; i++)
		assert_memory_equal(guest(f, BASE + i * PG_SIZE),
				    mirror + i * PG_SIZE, PG_SIZE);
}

/* Random operands that stay in the window. */
static struct regs random_regs(struct fake *f, unsigned int size, bool rep,
			       bool down)
{
	uint64_t count = rep ? fake_rand(f) % 3000 : 1;
	uint64_t bytes, room;
	struct regs r;

	if (rep && fake_rand(f) % 8 == 0)
		count %= 4;
	bytes = count * size;
	room = WINDOW - bytes - 16;
	r.rax = fake_rand(f) & 1 ? 0x0707070707070707 : fake_rand(f);
	r.rcx = rep ? count : fake_rand(f);
	r.rsi = fake_rand(f) % room;
	r.rdi = fake_rand(f) & 1 ? fake_rand(f) % room
				 : (r.rsi + fake_rand(f) % 32) % room;
	if (down && bytes) {
		r.rsi += bytes - size;
		r.rdi += bytes - size;
	}
	r.flags = fake_rand(f) & RFLAGS_ARITH;
	return r;
}

static void one_random(struct fake *f, uint8_t *mirror)
{
	static const uint8_t opcodes[] = {0xa4, 0xa6, 0xaa, 0xac, 0xae};
	struct cpu *cpu = &f->cpu;
	uint8_t op = opcodes[fake_rand(f) % 5] | (fake_rand(f) & 1);
	unsigned int prefix = fake_rand(f) % 3, opsize = 2u << fake_rand(f) % 3;
	struct insn i = make(op, prefix, opsize, 8);
	unsigned int size = op & 1 ? opsize : 1;
	bool down = fake_rand(f) & 1;
	struct regs r = random_regs(f, size, prefix, down), g = r;
	int res;

	fill(f, mirror);
	g.rsi += BASE;
	g.rdi += BASE;
	regs_to_cpu(cpu, &g);
	cpu->dflag = down;
	while ((res = exec(cpu, &i)) == EXEC_AGAIN)
		;
	assert_int_equal(res, EXEC_NEXT);
	r.rsi += (uintptr_t)mirror;
	r.rdi += (uintptr_t)mirror;
	native(&i, down, &r);
	assert_int_equal(cpu->gpr[REG_RAX], r.rax);
	assert_int_equal(cpu->gpr[REG_RCX], r.rcx);
	assert_int_equal(cpu->gpr[REG_RSI] - BASE, r.rsi - (uintptr_t)mirror);
	assert_int_equal(cpu->gpr[REG_RDI] - BASE, r.rdi - (uintptr_t)mirror);
	assert_int_equal(cpu_rflags(cpu) & RFLAGS_ARITH, r.flags);
	compare_memory(f, mirror);
}

static void test_random(void **state)
{
	struct fake *f = fake_new();
	uint8_t *mirror = malloc(WINDOW);
	unsigned int i;

	map_window(f);
	for (i = 0; i < 4000; i++)
		one_random(f, mirror);
	free(mirror);
	fake_free(f);
}

static void set(struct cpu *cpu, uint64_t rsi, uint64_t rdi, uint64_t rcx)
{
	const struct regs r = {.rsi = rsi, .rdi = rdi, .rcx = rcx};

	regs_to_cpu(cpu, &r);
	cpu->dflag = 0;
}

/* A page that is mapped twice: overlap is in memory, not in addresses. */
static void test_alias(void **state)
{
	struct fake *f = fake_new();
	struct insn i = make(0xa4, INSN_REP, 4, 8);
	uint8_t *page = f->ram + 0x900000;
	unsigned int n;

	fake_map(f, 0x10000, 0x900000, PTE_P | PTE_W);
	fake_map(f, 0x20000, 0x900000, PTE_P | PTE_W);
	memcpy(page, "abc", 3);
	set(&f->cpu, 0x10000, 0x20003, 300);
	assert_int_equal(exec_movs(&f->cpu, &i), EXEC_NEXT);
	for (n = 0; n < 303; n++)
		assert_int_equal(page[n], 'a' + n % 3);
	fake_free(f);
}

/* A fault leaves registers at the faulting iteration, flags untouched. */
static void test_fault(void **state)
{
	struct fake *f = fake_new();
	struct cpu *cpu = &f->cpu;
	struct insn movs = make(0xa5, INSN_REP, 4, 8);
	struct insn scas = make(0xae, INSN_REPNE, 4, 8);
	uint64_t flags;

	map_window(f);
	set(cpu, BASE + 16, BASE + WINDOW - 40, 100);
	assert_int_equal(FAKE_RUN(f, exec_movs(cpu, &movs)), VEC_PF + 1);
	assert_int_equal(cpu->gpr[REG_RCX], 90);
	assert_int_equal(cpu->gpr[REG_RSI], BASE + 16 + 40);
	assert_int_equal(cpu->gpr[REG_RDI], BASE + WINDOW);
	assert_int_equal(cpu->raised.payload, BASE + WINDOW);
	assert_int_equal(cpu->raised.error, PF_W);
	/* an element that crosses into the absent page is not written */
	set(cpu, BASE, BASE + WINDOW - 2, 1);
	memset(guest(f, BASE), 0xff, 4);
	assert_int_equal(FAKE_RUN(f, exec_movs(cpu, &movs)), VEC_PF + 1);
	assert_int_equal(*guest(f, BASE + WINDOW - 2), 0);
	assert_int_equal(cpu->gpr[REG_RCX], 1);
	set(cpu, 0, BASE + WINDOW - 5, 100);
	cpu->gpr[REG_RAX] = 99;
	cpu_set_arith(cpu, RFLAGS_ARITH);
	flags = cpu_rflags(cpu);
	assert_int_equal(FAKE_RUN(f, exec_scas(cpu, &scas)), VEC_PF + 1);
	assert_int_equal(cpu->gpr[REG_RCX], 95);
	assert_int_equal(cpu_rflags(cpu), flags);
	fake_free(f);
}

static void test_bounded(void **state)
{
	struct fake *f = fake_new();
	struct cpu *cpu = &f->cpu;
	struct insn stos = make(0xab, INSN_REP, 8, 8);
	unsigned int calls = 0, i;
	int res;

	for (i = 0; i < 64; i++)
		fake_map(f, 0x100000 + i * PG_SIZE, 0xa00000 + i * PG_SIZE,
			 PTE_P | PTE_W);
	set(cpu, 0, 0x100000, 64 * 512);
	do {
		calls++;
		res = exec_stos(cpu, &stos);
	} while (res == EXEC_AGAIN);
	assert_int_equal(res, EXEC_NEXT);
	assert_int_equal(calls, 4);
	f->doorbell = 1;
	set(cpu, 0, 0x100000, 64 * 512);
	assert_int_equal(exec_stos(cpu, &stos), EXEC_AGAIN);
	assert_int_equal(cpu->gpr[REG_RCX], 63 * 512);
	f->doorbell = 0;
	cpu->mode = MODE_ONE;
	set(cpu, 0, 0x100000, 2);
	assert_int_equal(exec_stos(cpu, &stos), EXEC_AGAIN);
	assert_int_equal(cpu->gpr[REG_RCX], 1);
	assert_int_equal(exec_stos(cpu, &stos), EXEC_NEXT);
	fake_free(f);
}

static void test_mmio(void **state)
{
	struct fake *f = fake_new();
	struct cpu *cpu = &f->cpu;
	struct insn movs = make(0xa5, INSN_REP, 4, 8);

	map_window(f);
	fake_map(f, BASE + WINDOW, 0xfee00000, PTE_P | PTE_W);
	set(cpu, BASE, BASE + WINDOW - 8, 4);
	assert_int_equal(exec_movs(cpu, &movs), EXEC_SLOW);
	assert_int_equal(cpu->gpr[REG_RCX], 2);
	set(cpu, BASE + WINDOW - 2, BASE, 1);
	assert_int_equal(exec_movs(cpu, &movs), EXEC_SLOW);
	assert_int_equal(cpu->gpr[REG_RCX], 1);
	fake_free(f);
}

/* Real mode: offsets wrap at 64 KiB, upper register halves stay. */
static void test_16bit(void **state)
{
	struct fake *f = fake_new();
	struct cpu *cpu = &f->cpu;
	struct insn stos = make(0xaa, INSN_REP, 2, 2);
	struct insn lods = make(0xad, 0, 2, 2);
	unsigned int i;

	cpu->cr0 = 0;
	cpu->cr4 = 0;
	cpu->efer = 0;
	cpu->code_bits = 16;
	for (i = 0; i < SEG_COUNT; i++)
		cpu->seg[i].limit = 0xffff;
	cpu->seg[SEG_ES].base = 0x20000;
	cpu->seg[SEG_GS].base = 0x40000;
	set(cpu, 0, 0xabcdfffe, 0x10004);
	cpu->gpr[REG_RAX] = 0x55;
	assert_int_equal(exec_stos(cpu, &stos), EXEC_NEXT);
	assert_int_equal(cpu->gpr[REG_RDI], 0xabcd0002);
	assert_int_equal(cpu->gpr[REG_RCX], 0x10000);
	assert_int_equal(f->ram[0x2ffff], 0x55);
	assert_int_equal(f->ram[0x20001], 0x55);
	assert_int_equal(f->ram[0x20002], 0);
	assert_int_equal(f->ram[0x30000], 0);
	/* a word at the last offset is beyond the limit */
	memmove(lods.bytes + 1, lods.bytes, lods.len);
	lods.bytes[0] = 0x65; /* gs: */
	lods.len++;
	set(cpu, 0xffff, 0, 0);
	assert_int_equal(FAKE_RUN(f, exec_lods(cpu, &lods)), VEC_GP + 1);
	f->ram[0x40010] = 0x12;
	f->ram[0x40011] = 0x34;
	set(cpu, 0x10, 0, 0);
	assert_int_equal(exec_lods(cpu, &lods), EXEC_NEXT);
	assert_int_equal(cpu->gpr[REG_RAX], 0x3412);
	fake_free(f);
}

/* With a count of 0 and 32-bit addresses silicon still truncates. */
static void test_empty(void **state)
{
	static const uint8_t opcodes[] = {0xa4, 0xa6, 0xaa, 0xac, 0xae};
	struct fake *f = fake_new();
	struct cpu *cpu = &f->cpu;
	unsigned int n;

	__builtin_cpu_init();
	cpu->vendor_amd = __builtin_cpu_is("amd");
	for (n = 0; n < ARRAY_SIZE(opcodes); n++) {
		struct insn i = make(opcodes[n], INSN_REP, 4, 4), host = i;
		struct regs r = {.rcx = 0x100000000,
				 .rsi = 0x200000010,
				 .rdi = 0x300000010};

		memmove(host.bytes + 1, host.bytes, host.len++);
		host.bytes[0] = 0x67;
		regs_to_cpu(cpu, &r);
		assert_int_equal(exec(cpu, &i), EXEC_NEXT);
		native(&host, false, &r);
		assert_int_equal(cpu->gpr[REG_RCX], r.rcx);
		assert_int_equal(cpu->gpr[REG_RSI], r.rsi);
		assert_int_equal(cpu->gpr[REG_RDI], r.rdi);
	}
	fake_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random), cmocka_unit_test(test_alias),
		cmocka_unit_test(test_fault),  cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_mmio),   cmocka_unit_test(test_16bit),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
