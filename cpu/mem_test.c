/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of MMIO: what leaves, what is noted, what a second run finds there;
 * and port strings with their elements in MMIO.
 */
#include "cpu/fake.h"
#include "cpu/insn.h"

#define RAM_GVA 0x400000ULL /* one page of RAM, then one of MMIO */
#define DEV_GVA 0x401000ULL
#define DEV_GPA 0x7000000000ULL

static struct cpu_mmlog mmlog;

static struct fake *machine(void)
{
	struct fake *f = fake_new();

	fake_map(f, RAM_GVA, 0x5000, PTE_P | PTE_W);
	fake_map(f, DEV_GVA, DEV_GPA, PTE_P | PTE_W);
	memset(&mmlog, 0, sizeof(mmlog));
	f->cpu.mmlog = &mmlog;
	return f;
}

/* As the engine: one access seen, @val answered; then a run from the start. */
static void answer(struct fake *f, uint64_t val)
{
	memcpy(f->cpu.mmio.data, &val, 8);
	mem_mmio_seen(&f->cpu, &mmlog);
	mmlog.next = 0;
}

static uint64_t read8(struct fake *f, gva_t gva)
{
	return mem_read(&f->cpu, gva, 8, ACC_READ);
}

static void test_loads(void **state)
{
	struct fake *f = machine();
	uint64_t a = 0, b = 0;
	unsigned int run;

	/* the second load depends on the first */
	for (run = 0; run < 2; run++) {
		assert_int_equal(FAKE_RUN(f,
					  {
						  a = read8(f, DEV_GVA);
						  b = read8(f, DEV_GVA + a);
					  }),
				 -1);
		assert_int_equal(f->cpu.exit, CPU_EXIT_MMIO);
		assert_int_equal(f->cpu.mmio.gpa, DEV_GPA + run * 0x30);
		assert_int_equal(f->cpu.mmio.len, 8);
		assert_false(f->cpu.mmio.write);
		answer(f, 0x30 + run);
	}
	assert_int_equal(FAKE_RUN(f,
				  {
					  a = read8(f, DEV_GVA);
					  b = read8(f, DEV_GVA + a);
				  }),
			 0);
	assert_int_equal(a, 0x30);
	assert_int_equal(b, 0x31);
	assert_int_equal(mmlog.done, 2);
	/* taken: the next one is new, though the same */
	mem_mmio_taken(&f->cpu);
	assert_int_equal(mmlog.count, 0);
	assert_int_equal(FAKE_RUN(f, read8(f, DEV_GVA)), -1);
	fake_free(f);
}

/* Stores go on, and leave before a load that comes after them. */
static void test_stores(void **state)
{
	struct fake *f = machine();
	struct cpu *cpu = &f->cpu;
	uint8_t buf[20];

	memset(buf, 0x5a, sizeof(buf));
	mem_write_buf(cpu, DEV_GVA - 3, buf, 20, ACC_WRITE);
	assert_int_equal(f->ram[0x5fff], 0x5a);
	assert_int_equal(mmlog.count, 3);
	assert_int_equal(mmlog.access[1].gpa, DEV_GPA + 8);
	assert_int_equal(mmlog.access[2].len, 1);
	assert_int_equal(mmlog.done, 0);
	assert_int_equal(FAKE_RUN(f, read8(f, DEV_GVA)), -1);
	assert_true(cpu->mmio.write);
	assert_int_equal(cpu->mmio.gpa, DEV_GPA);
	/* nothing of it may be dropped yet */
	mem_mmio_taken(cpu);
	assert_int_equal(mmlog.count, 4);
	/* another store in the second run: what was known behind it is void */
	answer(f, 0);
	answer(f, 0);
	mem_write_buf(cpu, DEV_GVA - 3, buf, 11, ACC_WRITE);
	mem_write(cpu, DEV_GVA + 8, 8, 1, ACC_WRITE);
	assert_int_equal(mmlog.count, 2);
	assert_int_equal(mmlog.done, 1);
	fake_free(f);
}

static void test_faults_first(void **state)
{
	struct fake *f = machine();
	gva_t gva = DEV_GVA + PG_SIZE - 2;

	assert_int_equal(FAKE_RUN(f, read8(f, gva)), VEC_PF + 1);
	assert_int_equal(FAKE_RUN(f, mem_write(&f->cpu, gva, 4, 0, ACC_WRITE)),
			 VEC_PF + 1);
	assert_int_equal(mmlog.count, 0);
	fake_free(f);
}

static unsigned int restarts;

static void restart(struct cpu *cpu)
{
	restarts++;
}

/* Without a log, and with a full one. */
static void test_refused(void **state)
{
	struct fake *f = machine();
	struct cpu_code_ops code = fake_code;
	struct cpu *cpu = &f->cpu;

	cpu->mmlog = NULL;
	assert_int_equal(FAKE_RUN(f, read8(f, DEV_GVA)), -1);
	assert_int_equal(cpu->exit, CPU_EXIT_INTERNAL);
	assert_int_equal(cpu->internal.suberror, 1);
	cpu->event.valid = true;
	assert_int_equal(FAKE_RUN(f, read8(f, DEV_GVA)), -1);
	assert_int_equal(cpu->internal.suberror, 3);
	cpu->event.valid = false;
	/* the engine is asked, before anything has happened */
	code.mmio = restart;
	cpu->code = &code;
	restarts = 0;
	assert_int_equal(FAKE_RUN(f, mem_check(cpu, DEV_GVA - 1, 2, ACC_WRITE)),
			 -1);
	assert_int_equal(restarts, 1);
	assert_int_equal(FAKE_RUN(f, mem_check(cpu, DEV_GVA - 2, 2, ACC_WRITE)),
			 0);
	cpu->mmlog = &mmlog;
	mem_check(cpu, DEV_GVA, 8, ACC_WRITE);
	mmlog.count = mmlog.done = mmlog.next = CPU_MMLOG_MAX;
	assert_int_equal(FAKE_RUN(f, read8(f, DEV_GVA)), -1);
	assert_int_equal(cpu->exit, CPU_EXIT_INTERNAL);
	assert_int_equal(restarts, 1);
	fake_free(f);
}

static void test_ins(void **state)
{
	struct insn ins = {.opsize = 4,
			   .addrsize = 8,
			   .len = 2,
			   .prefix = INSN_REP,
			   .next_rip = 0x1010,
			   .bytes = {0xf3, 0x6d}};
	struct fake *f = machine();
	struct cpu *cpu = &f->cpu;

	cpu->rip = 0x1000;
	cpu->gpr[REG_RDI] = DEV_GVA - 8;
	cpu->gpr[REG_RCX] = 5;
	assert_int_equal(FAKE_RUN(f, exec_ins(cpu, &ins)), -1);
	assert_int_equal(cpu->exit, CPU_EXIT_IO);
	assert_int_equal(cpu->io.count, 2);
	assert_int_equal(io_complete(cpu), EXEC_AGAIN);
	assert_int_equal(mmlog.count, 0);
	assert_int_equal(FAKE_RUN(f, exec_ins(cpu, &ins)), -1);
	assert_int_equal(cpu->exit, CPU_EXIT_IO);
	assert_int_equal(cpu->io.count, 1);
	memcpy(cpu->io.data, "abcd", 4);
	assert_int_equal(io_complete(cpu), EXEC_AGAIN);
	assert_int_equal(mmlog.count, 1);
	assert_memory_equal(mmlog.access[0].data, "abcd", 4);
	assert_int_equal(cpu->gpr[REG_RCX], 2);
	fake_free(f);
}

static void test_outs(void **state)
{
	struct insn outs = {.opsize = 4,
			    .addrsize = 8,
			    .len = 2,
			    .prefix = INSN_REP,
			    .next_rip = 0x1010,
			    .bytes = {0xf3, 0x6f}};
	struct fake *f = machine();
	struct cpu *cpu = &f->cpu;

	cpu->rip = 0x1000;
	cpu->gpr[REG_RSI] = DEV_GVA;
	cpu->gpr[REG_RCX] = 2;
	assert_int_equal(FAKE_RUN(f, exec_outs(cpu, &outs)), -1);
	assert_int_equal(cpu->exit, CPU_EXIT_MMIO);
	assert_int_equal(cpu->gpr[REG_RCX], 2);
	answer(f, 0x64636261);
	assert_int_equal(FAKE_RUN(f, exec_outs(cpu, &outs)), -1);
	assert_int_equal(cpu->exit, CPU_EXIT_IO);
	assert_int_equal(cpu->io.count, 1);
	assert_memory_equal(cpu->io.data, "abcd", 4);
	assert_int_equal(cpu->gpr[REG_RCX], 1);
	fake_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loads),
		cmocka_unit_test(test_stores),
		cmocka_unit_test(test_faults_first),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_ins),
		cmocka_unit_test(test_outs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
