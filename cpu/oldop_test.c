/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BCD instructions against the host's own in a 32-bit code segment (Linux
 * keeps one at selector 0x23), over all of AL, both carries and a spread of
 * AH; the rest against the manual's text. Flags the manual leaves undefined
 * are compared where they were seen, on AMD's. A host that is itself a guest
 * may have no such segment; there a checksum of what silicon agreed with
 * elsewhere is the judge.
 */
#include "cpu/fake.h"
#include "cpu/insn.h"

#define STACK   0x500000ULL
#define BCD_SUM 0xcf929f05fb148485ULL

/*
 * Called as 64-bit code below 4 GiB: rdi points at {eax, flags}, rsi is the
 * top of a low stack. Goes through the 32-bit segment and back.
 */
__asm__(".pushsection .rodata\n"
	"old_blob:\n\t"
	"push %rbp\n\tmov %rsp, %rbp\n\tmov %rsi, %rsp\n\t"
	"mov (%rdi), %eax\n\tmov 4(%rdi), %ecx\n\tpush %rcx\n\tpopfq\n\t"
	"lcall *old_target(%rip)\n\t"
	"pushfq\n\tpop %rcx\n\tmov %eax, (%rdi)\n\tmov %ecx, 4(%rdi)\n\t"
	"mov %rbp, %rsp\n\tpop %rbp\n\tret\n"
	"old_target: .long 0\n\t.word 0x23\n"
	"old_code: .fill 16, 1, 0xcb\n"
	"old_end:\n"
	".popsection");
extern const uint8_t old_blob[], old_target[], old_code[], old_end[];

static uint8_t *low;

/* Whether programs of this host may run 32-bit code. */
static bool has_code32(void)
{
	uint32_t rights = 0;
	bool there;

	__asm__("lar %2, %0" : "+r"(rights), "=@ccz"(there) : "r"(0x23));
	return there && rights & BIT(11) && rights & BIT(22);
}

static void low_init(void)
{
	uint32_t code;

	low = mmap(NULL, 2 * PG_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	assert_ptr_not_equal(low, MAP_FAILED);
	memcpy(low, old_blob, old_end - old_blob);
	code = (uintptr_t)low + (old_code - old_blob);
	memcpy(low + (old_target - old_blob), &code, 4);
}

static void native(const struct insn *i, uint32_t *eax, uint32_t *flags)
{
	uint32_t regs[2] = {*eax, *flags};
	uint8_t *code = low + (old_code - old_blob);

	memcpy(code, i->bytes, i->len);
	code[i->len] = 0xcb;
	((void (*)(uint32_t *, uint8_t *))low)(regs, low + 2 * PG_SIZE);
	*eax = regs[0];
	*flags = regs[1];
}

struct bcd {
	const char *bytes;
	exec_fn *fn;
	uint32_t defined;
};

#define SZP (RFLAGS_SF | RFLAGS_ZF | RFLAGS_PF)

static const struct bcd bcd[] = {
	{"\x37", exec_aaa, RFLAGS_AF | RFLAGS_CF},
	{"\x3f", exec_aas, RFLAGS_AF | RFLAGS_CF},
	{"\x27", exec_daa, SZP | RFLAGS_AF | RFLAGS_CF},
	{"\x2f", exec_das, SZP | RFLAGS_AF | RFLAGS_CF},
	{"\xd4\x0a", exec_aam, SZP},
	{"\xd4\x03", exec_aam, SZP},
	{"\xd4\xff", exec_aam, SZP},
	{"\xd5\x0a", exec_aad, SZP},
	{"\xd5\x10", exec_aad, SZP},
	{"\xd5\x07", exec_aad, SZP},
	{"\xd6", exec_salc, RFLAGS_ARITH},
};

/* FNV-1a of the results of all cases. */
static void add_to_sum(uint64_t *sum, uint64_t v)
{
	for (unsigned int i = 0; i < 8; i++)
		*sum = (*sum ^ (v >> (8 * i) & 0xff)) * 0x100000001b3;
}

static void one_bcd(struct fake *f, const struct bcd *b, uint32_t eax,
		    uint32_t flags, uint64_t *sum)
{
	struct insn i = {.len = strlen(b->bytes), .opsize = 4};
	bool all = __builtin_cpu_is("amd");
	uint32_t mask = all ? RFLAGS_ARITH : b->defined, want = eax;
	uint32_t want_flags = flags | 0x202;
	struct cpu *cpu = &f->cpu;

	memcpy(i.bytes, b->bytes, i.len);
	cpu->gpr[REG_RAX] = eax;
	cpu_set_arith(cpu, flags);
	assert_int_equal(b->fn(cpu, &i), EXEC_NEXT);
	add_to_sum(sum,
		   cpu->gpr[REG_RAX] << 32 | (cpu_rflags(cpu) & RFLAGS_ARITH));
	if (!low)
		return;
	native(&i, &want, &want_flags);
	if (cpu->gpr[REG_RAX] != want ||
	    (cpu_rflags(cpu) & mask) != (want_flags & mask))
		fail_msg("opcode %02x eax %x flags %x: %lx %lx, host %x %x",
			 i.bytes[0], eax, flags, cpu->gpr[REG_RAX],
			 cpu_rflags(cpu) & mask, want, want_flags & mask);
}

static void test_bcd(void **state)
{
	static const uint8_t high[] = {0, 1, 9, 0x7f, 0x80, 0xff};
	struct fake *f = fake_new();
	uint64_t sum = 0xcbf29ce484222325;
	unsigned int n, al, h, c;

	__builtin_cpu_init();
	if (has_code32())
		low_init();
	else
		print_message("no 32-bit code on this host: checksum only\n");
	f->cpu.code_bits = 32;
	for (n = 0; n < ARRAY_SIZE(bcd); n++)
		for (al = 0; al < 256; al++)
			for (h = 0; h < ARRAY_SIZE(high); h++)
				for (c = 0; c < 8; c++)
					one_bcd(f, &bcd[n],
						0xabcd0000 | high[h] << 8 | al,
						(c & 1 ? RFLAGS_CF : 0) |
							(c & 2 ? RFLAGS_AF
							       : 0) |
							(c & 4 ? RFLAGS_OF : 0),
						&sum);
	assert_int_equal(sum, BCD_SUM);
	fake_free(f);
}

static struct fake *machine(void)
{
	const uint16_t data = SEG_ATTR_P | SEG_ATTR_S | SEG_ATTR_DB | 3;
	struct fake *f = fake_new();
	unsigned int i;

	f->cpu.code_bits = 32;
	for (i = SEG_ES; i <= SEG_GS; i++)
		f->cpu.seg[i] = (struct segment){.limit = 0xffffffff,
						 .attr = data};
	fake_map(f, STACK, 0x800000, PTE_P | PTE_W);
	fake_map(f, STACK + PG_SIZE, 0x801000, PTE_P | PTE_W);
	return f;
}

static uint32_t word(struct fake *f, gva_t gva)
{
	return *(uint32_t *)(f->ram + 0x800000 + (gva - STACK));
}

static void test_pusha(void **state)
{
	struct fake *f = machine();
	struct cpu *cpu = &f->cpu;
	struct insn i = {.opsize = 4, .addrsize = 4};
	unsigned int n;

	for (n = 0; n < 8; n++)
		cpu->gpr[n] = 0x1000 + n;
	cpu->gpr[REG_RSP] = STACK + 32;
	exec_pusha(cpu, &i);
	assert_int_equal(cpu->gpr[REG_RSP], STACK);
	for (n = 0; n < 8; n++)
		assert_int_equal(word(f, STACK + 28 - 4 * n),
				 n == REG_RSP ? STACK + 32 : 0x1000 + n);
	for (n = 0; n < 8; n++)
		if (n != REG_RSP)
			cpu->gpr[n] = 0;
	exec_popa(cpu, &i);
	assert_int_equal(cpu->gpr[REG_RSP], STACK + 32);
	for (n = 0; n < 8; n++)
		if (n != REG_RSP)
			assert_int_equal(cpu->gpr[n], 0x1000 + n);
	/* not enough room: nothing is stored */
	cpu->gpr[REG_RSP] = STACK + 16;
	memset(f->ram + 0x800000, 0, 32);
	assert_int_equal(FAKE_RUN(f, exec_pusha(cpu, &i)), VEC_PF + 1);
	assert_int_equal(cpu->gpr[REG_RSP], STACK + 16);
	assert_int_equal(word(f, STACK + 12), 0);
	/* 16-bit operands and a 16-bit stack pointer that wraps */
	cpu->seg[SEG_SS].attr &= ~SEG_ATTR_DB;
	cpu->seg[SEG_SS].base = STACK - 0x8000;
	cpu->gpr[REG_RSP] = 0x77778010;
	i.opsize = 2;
	exec_pusha(cpu, &i);
	assert_int_equal(cpu->gpr[REG_RSP], 0x77778000);
	assert_int_equal(word(f, STACK + 12) >> 16, 0x1000);
	fake_free(f);
}

static void test_enter(void **state)
{
	struct fake *f = machine();
	struct cpu *cpu = &f->cpu;
	struct insn i = {.opsize = 4, .len = 4, .bytes = {0xc8, 0x20, 0, 0}};
	gva_t top = STACK + 0x800, old = STACK + 0xc00;

	cpu->gpr[REG_RSP] = top;
	cpu->gpr[REG_RBP] = old;
	exec_enter(cpu, &i);
	assert_int_equal(cpu->gpr[REG_RBP], top - 4);
	assert_int_equal(cpu->gpr[REG_RSP], top - 4 - 0x20);
	assert_int_equal(word(f, top - 4), old);
	/* nested: two outer frame pointers are copied, then the new one */
	*(uint32_t *)(f->ram + 0x800c00 - 4) = 0x111;
	*(uint32_t *)(f->ram + 0x800c00 - 8) = 0x222;
	i.bytes[3] = 3 | 0x20; /* modulo 32 */
	cpu->gpr[REG_RSP] = top;
	cpu->gpr[REG_RBP] = old;
	exec_enter(cpu, &i);
	assert_int_equal(word(f, top - 4), old);
	assert_int_equal(word(f, top - 8), 0x111);
	assert_int_equal(word(f, top - 12), 0x222);
	assert_int_equal(word(f, top - 16), top - 4);
	assert_int_equal(cpu->gpr[REG_RBP], top - 4);
	assert_int_equal(cpu->gpr[REG_RSP], top - 16 - 0x20);
	/* the frame's end is probed */
	i.bytes[2] = 0x10;
	cpu->gpr[REG_RSP] = top;
	assert_int_equal(FAKE_RUN(f, exec_enter(cpu, &i)), VEC_PF + 1);
	assert_int_equal(cpu->gpr[REG_RSP], top);
	assert_int_equal(cpu->gpr[REG_RBP], top - 4);
	fake_free(f);
}

static void test_bound(void **state)
{
	struct fake *f = machine();
	struct cpu *cpu = &f->cpu;
	struct insn i = {.opsize = 4, .addrsize = 4, .nops = 2};
	static const struct {
		int32_t val;
		int res;
	} row[] = {{-5, 0}, {-6, VEC_BR + 1}, {10, 0}, {11, VEC_BR + 1}};
	unsigned int n;

	i.op[0] = (struct opnd){.kind = OPND_REG, .size = 4, .reg = REG_RBX};
	i.op[1] = (struct opnd){.kind = OPND_MEM,
				.size = 8,
				.seg = SEG_DS,
				.base = OPND_NOREG,
				.index = OPND_NOREG,
				.disp = STACK + 0xffc};
	mem_write(cpu, STACK + 0xffc, 4, (uint32_t)-5, ACC_WRITE);
	mem_write(cpu, STACK + 0x1000, 4, 10, ACC_WRITE);
	for (n = 0; n < ARRAY_SIZE(row); n++) {
		cpu->gpr[REG_RBX] = (uint32_t)row[n].val;
		assert_int_equal(FAKE_RUN(f, exec_bound(cpu, &i)), row[n].res);
	}
	fake_free(f);
}

static void test_xlat_aam0(void **state)
{
	struct fake *f = machine();
	struct cpu *cpu = &f->cpu;
	struct insn xlat = {.addrsize = 4, .len = 1, .bytes = {0xd7}};
	struct insn aam = {.len = 2, .bytes = {0xd4, 0}};

	f->ram[0x800080] = 0x99;
	cpu->gpr[REG_RBX] = STACK;
	cpu->gpr[REG_RAX] = 0x1280;
	assert_int_equal(exec_xlat(cpu, &xlat), EXEC_NEXT);
	assert_int_equal(cpu->gpr[REG_RAX], 0x1299);
	assert_int_equal(FAKE_RUN(f, exec_aam(cpu, &aam)), VEC_DE + 1);
	fake_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bcd),       cmocka_unit_test(test_pusha),
		cmocka_unit_test(test_enter),     cmocka_unit_test(test_bound),
		cmocka_unit_test(test_xlat_aam0),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
