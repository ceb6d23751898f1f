/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port instructions: permission by IOPL and TSS bitmap, what is left in
 * cpu->io at the exit, and completion with a client that edits registers.
 */
#include "cpu/fake.h"
#include "cpu/insn.h"

#define BUF 0x500000ULL
#define TSS 0x600000ULL

static struct insn make(const char *bytes, unsigned int opsize)
{
	struct insn i = {.opsize = opsize,
			 .addrsize = 8,
			 .len = strlen(bytes),
			 .next_rip = 0x1010};

	memcpy(i.bytes, bytes, i.len);
	if (i.bytes[0] == 0xf3)
		i.prefix = INSN_REP;
	return i;
}

static struct fake *machine(void)
{
	struct fake *f = fake_new();
	struct segment *tr = &f->cpu.seg[SEG_TR];
	unsigned int i;

	for (i = 0; i < 4; i++)
		fake_map(f, BUF + i * PG_SIZE, 0x800000 + i * PG_SIZE,
			 PTE_P | PTE_W | PTE_U);
	for (i = 0; i < 3; i++)
		fake_map(f, TSS + i * PG_SIZE, 0x900000 + i * PG_SIZE, PTE_P);
	tr->base = TSS;
	tr->attr = SEG_ATTR_P | 11;
	tr->limit = 0x2069;
	f->ram[0x900066] = 0x68;
	f->cpu.rip = 0x1000;
	return f;
}

static int run(struct fake *f, exec_fn *fn, const struct insn *i)
{
	return FAKE_RUN(f, fn(&f->cpu, i));
}

static void test_in(void **state)
{
	struct fake *f = machine();
	struct cpu *cpu = &f->cpu;
	struct insn in = make("\xe5\x70", 4), in8 = make("\xec", 4);

	cpu->gpr[REG_RAX] = 0x1111111122222222;
	cpu->gpr[REG_RDX] = 0xabc0cf8;
	assert_int_equal(run(f, exec_in, &in), -1);
	assert_int_equal(cpu->exit, CPU_EXIT_IO);
	assert_int_equal(cpu->io.port, 0x70);
	assert_int_equal(cpu->io.size, 4);
	assert_true(cpu->io.in && !cpu->io.string);
	assert_int_equal(cpu->rip, 0x1000);
	memcpy(cpu->io.data, "\x44\x33\x22\x81", 4);
	assert_int_equal(io_complete(cpu), EXEC_JUMP);
	assert_int_equal(cpu->gpr[REG_RAX], 0x81223344);
	assert_int_equal(cpu->rip, 0x1010);
	assert_int_equal(io_complete(cpu), EXEC_AGAIN); /* once only */
	cpu->rip = 0x1000;
	assert_int_equal(run(f, exec_in, &in8), -1);
	assert_int_equal(cpu->io.port, 0xcf8);
	assert_int_equal(cpu->io.size, 1);
	/* a client that moves rip cancels */
	cpu->rip = 0x2000;
	assert_int_equal(io_complete(cpu), EXEC_AGAIN);
	assert_int_equal(cpu->gpr[REG_RAX], 0x81223344);
	assert_int_equal(cpu->rip, 0x2000);
	fake_free(f);
}

static void test_out(void **state)
{
	struct fake *f = machine();
	struct cpu *cpu = &f->cpu;
	struct insn out = make("\x66\xe7\x80", 2), eager = make("\xe6\x7e", 4);

	cpu->gpr[REG_RAX] = 0x12345678;
	assert_int_equal(run(f, exec_out, &out), -1);
	assert_int_equal(cpu->io.size, 2);
	assert_false(cpu->io.in);
	assert_memory_equal(cpu->io.data, "\x78\x56", 2);
	assert_int_equal(cpu->rip, 0x1000);
	assert_int_equal(io_complete(cpu), EXEC_JUMP);
	assert_int_equal(cpu->rip, 0x1010);
	cpu->rip = 0x1000;
	assert_int_equal(run(f, exec_out, &eager), -1);
	assert_int_equal(cpu->rip, 0x1010);
	assert_int_equal(io_complete(cpu), EXEC_JUMP);
	assert_int_equal(cpu->rip, 0x1010);
	fake_free(f);
}

static void test_permission(void **state)
{
	struct fake *f = machine();
	struct cpu *cpu = &f->cpu;
	struct insn in = make("\xed", 4);
	uint8_t *map = f->ram + 0x900068;

	cpu->cpl = 3;
	cpu->gpr[REG_RDX] = 0x3fd;
	assert_int_equal(run(f, exec_in, &in), -1);
	map[0x400 / 8] = 1; /* the last of the four ports */
	assert_int_equal(run(f, exec_in, &in), VEC_GP + 1);
	assert_int_equal(cpu->raised.error, 0);
	cpu->rflags_sys = RFLAGS_IOPL;
	assert_int_equal(run(f, exec_in, &in), -1);
	cpu->rflags_sys = RFLAGS_IOPL | RFLAGS_VM; /* always by the map */
	cpu->code_bits = 16;
	assert_int_equal(run(f, exec_in, &in), VEC_GP + 1);
	map[0x400 / 8] = 0;
	assert_int_equal(run(f, exec_in, &in), -1);
	cpu->rflags_sys = 0;
	cpu->gpr[REG_RDX] = 0xfffc; /* needs the byte after the map */
	assert_int_equal(run(f, exec_in, &in), -1);
	cpu->seg[SEG_TR].limit--;
	cpu->seg[SEG_TR].limit--;
	assert_int_equal(run(f, exec_in, &in), VEC_GP + 1);
	cpu->seg[SEG_TR].limit = 0x66;
	cpu->gpr[REG_RDX] = 0;
	assert_int_equal(run(f, exec_in, &in), VEC_GP + 1);
	cpu->seg[SEG_TR].limit = 0x2069;
	cpu->seg[SEG_TR].attr = SEG_ATTR_P | 3; /* 16-bit TSS: no map */
	assert_int_equal(run(f, exec_in, &in), VEC_GP + 1);
	cpu->cr0 &= ~CR0_PE;
	assert_int_equal(run(f, exec_in, &in), -1);
	fake_free(f);
}

static void test_ins(void **state)
{
	struct fake *f = machine();
	struct cpu *cpu = &f->cpu;
	struct insn ins = make("\xf3\x6d", 4);
	unsigned int exits = 0, left = 700;

	cpu->gpr[REG_RDI] = BUF + 2;
	cpu->gpr[REG_RCX] = left;
	while (left) {
		assert_int_equal(run(f, exec_ins, &ins), -1);
		assert_true(cpu->io.in && cpu->io.string);
		assert_in_range(cpu->io.count, 1, CPU_IO_BUF / 4);
		assert_int_equal(cpu->gpr[REG_RCX], left);
		memset(cpu->io.data, 0xaa, cpu->io.count * 4);
		left -= cpu->io.count;
		assert_int_equal(io_complete(cpu),
				 left ? EXEC_AGAIN : EXEC_JUMP);
		exits++;
	}
	assert_int_equal(cpu->rip, 0x1010);
	assert_int_equal(cpu->gpr[REG_RDI], BUF + 2 + 2800);
	assert_int_equal(f->ram[0x800001], 0);
	assert_int_equal(f->ram[0x800002], 0xaa);
	assert_int_equal(f->ram[0x800002 + 2799], 0xaa);
	assert_int_equal(f->ram[0x800002 + 2800], 0);
	assert_int_equal(exits, 3);
	fake_free(f);
}

/* The client lowers or raises the counter at the exit. */
static void test_ins_edited(void **state)
{
	struct fake *f = machine();
	struct cpu *cpu = &f->cpu;
	struct insn ins = make("\xf3\x6c", 4);

	cpu->gpr[REG_RDI] = BUF;
	cpu->gpr[REG_RCX] = 2;
	assert_int_equal(run(f, exec_ins, &ins), -1);
	assert_int_equal(cpu->io.count, 2);
	memset(cpu->io.data, 0xaa, 2);
	cpu->gpr[REG_RCX] = 1;
	assert_int_equal(io_complete(cpu), EXEC_JUMP);
	assert_int_equal(cpu->gpr[REG_RDI], BUF + 1);
	assert_int_equal(cpu->gpr[REG_RCX], 0);
	assert_int_equal(f->ram[0x800001], 0);
	cpu->rip = 0x1000;
	cpu->gpr[REG_RCX] = 3;
	assert_int_equal(run(f, exec_ins, &ins), -1);
	cpu->gpr[REG_RCX] = 8192;
	assert_int_equal(io_complete(cpu), EXEC_AGAIN);
	assert_int_equal(cpu->gpr[REG_RCX], 8189);
	assert_int_equal(cpu->gpr[REG_RDI], BUF + 4);
	assert_int_equal(cpu->rip, 0x1000);
	fake_free(f);
}

static void test_outs(void **state)
{
	struct fake *f = machine();
	struct cpu *cpu = &f->cpu;
	struct insn outs = make("\xf3\x6e", 4), none = make("\x6f", 4);
	unsigned int i;

	for (i = 0; i < 2 * PG_SIZE; i++)
		f->ram[0x800000 + i] = i * 7;
	cpu->gpr[REG_RSI] = BUF + PG_SIZE - 100;
	cpu->gpr[REG_RCX] = 150;
	assert_int_equal(run(f, exec_outs, &outs), -1);
	assert_int_equal(cpu->io.count, 100);
	assert_memory_equal(cpu->io.data, f->ram + 0x800000 + PG_SIZE - 100,
			    100);
	assert_int_equal(cpu->rip, 0x1000);
	assert_int_equal(cpu->gpr[REG_RCX], 50);
	assert_int_equal(io_complete(cpu), EXEC_AGAIN);
	assert_int_equal(run(f, exec_outs, &outs), -1);
	assert_int_equal(cpu->io.count, 50);
	assert_int_equal(cpu->rip, 0x1010);
	assert_int_equal(io_complete(cpu), EXEC_JUMP);
	/* nothing to do, nothing leaves */
	cpu->gpr[REG_RCX] = 0;
	assert_int_equal(run(f, exec_outs, &outs), 0);
	assert_int_equal(exec_outs(cpu, &outs), EXEC_NEXT);
	/* downwards, and the counter is left alone without REP */
	cpu->dflag = 1;
	cpu->rip = 0x1000;
	cpu->gpr[REG_RSI] = BUF + 8;
	assert_int_equal(run(f, exec_outs, &none), -1);
	assert_int_equal(cpu->io.count, 1);
	assert_int_equal(cpu->gpr[REG_RSI], BUF + 4);
	assert_int_equal(cpu->gpr[REG_RCX], 0);
	assert_int_equal(cpu->rip, 0x1010);
	/* an absent page faults before anything leaves */
	cpu->rip = 0x1000;
	cpu->gpr[REG_RSI] = BUF - 8;
	assert_int_equal(run(f, exec_outs, &none), VEC_PF + 1);
	fake_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in),         cmocka_unit_test(test_out),
		cmocka_unit_test(test_permission), cmocka_unit_test(test_ins),
		cmocka_unit_test(test_ins_edited), cmocka_unit_test(test_outs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
