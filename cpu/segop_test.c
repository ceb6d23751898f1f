/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segment loads against a predicate written from SDM 3A 5.6 and 5.7, and the
 * instructions on descriptor tables, system registers and bases.
 */
#include "cpu/sys_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int mov_seg(enum cpu_seg seg, uint16_t sel)
{
	struct insn i;

	fake_insn(&i, 4);
	i.op[0] = (struct opnd){.kind = OPND_SEG, .size = 2, .reg = seg};
	i.op[1] = (struct opnd){.kind = OPND_REG, .size = 2, .reg = REG_RBX};
	fake->cpu.gpr[REG_RBX] = 0xffff0000u | sel;
	return fake_exec(exec_mov_to_seg, &i);
}

/* An instruction with rbx, then rcx, both of @size. */
static int op_reg(exec_fn *fn, unsigned int size)
{
	struct insn i;

	fake_insn(&i, size);
	i.op[0] = (struct opnd){.kind = OPND_REG, .size = size, .reg = REG_RBX};
	i.op[1] = (struct opnd){.kind = OPND_REG, .size = 2, .reg = REG_RCX};
	return fake_exec(fn, &i);
}

static int op_mem(exec_fn *fn, unsigned int opsize, uint64_t at)
{
	struct insn i;

	fake_insn(&i, opsize);
	i.op[0] = (struct opnd){.kind = OPND_MEM,
				.size = 2,
				.seg = SEG_DS,
				.base = OPND_NOREG,
				.index = OPND_NOREG,
				.disp = at};
	return fake_exec(fn, &i);
}

/* Vector that loading a data segment raises, 0: none. */
static uint8_t expect_data(unsigned int type, unsigned int dpl, bool present,
			   unsigned int cpl, unsigned int rpl)
{
	bool system = !(type & 0x10), code = type & 8, rw = type & 2;
	bool conforming = code && type & 4;

	if (system || (code && !rw))
		return VEC_GP;
	if (!conforming && (rpl > dpl || cpl > dpl))
		return VEC_GP;
	return present ? 0 : VEC_NP;
}

static uint8_t expect_ss(unsigned int type, unsigned int dpl, bool present,
			 unsigned int cpl, unsigned int rpl)
{
	if ((type & 0x1a) != 0x12 || rpl != cpl || dpl != cpl)
		return VEC_GP;
	return present ? 0 : VEC_SS;
}

static void check_load(enum cpu_seg seg, uint16_t sel, uint8_t want)
{
	struct cpu *cpu = &fake->cpu;
	int r = mov_seg(seg, sel);

	if (want) {
		assert_fault(r, want, sel & 0xfffc);
		return;
	}
	assert_int_equal(r, EXEC_NEXT);
	assert_int_equal(cpu->seg[seg].sel, sel);
	assert_int_equal(cpu->seg[seg].base, 0x12345678);
	assert_int_equal(cpu->seg[seg].limit, 0xabcde);
	assert_true(cpu->seg[seg].attr & 1);
	assert_true(fake_raw_get(sel) & DESC_ACCESSED);
}

static void test_load_rules(void **state)
{
	unsigned int n, type, dpl, cpl, rpl;
	bool present;

	for (n = 0; n < 32 * 4 * 2 * 4 * 4; n++) {
		type = n & 31;
		dpl = n >> 5 & 3;
		present = n >> 7 & 1;
		rpl = n >> 8 & 3;
		cpl = n >> 10 & 3;
		if (cpl == 2)
			continue;
		fake_protected(cpl);
		fake_desc(FK_FREE, 0x12345678, 0xabcde,
			  0x400 | type | dpl << 5 | present << 7);
		check_load(SEG_DS, FK_FREE | rpl,
			   expect_data(type, dpl, present, cpl, rpl));
		fake_desc(FK_FREE, 0x12345678, 0xabcde,
			  0x400 | type | dpl << 5 | present << 7);
		check_load(SEG_SS, FK_FREE | rpl,
			   expect_ss(type, dpl, present, cpl, rpl));
	}
}

static void test_null(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_protected(0);
	assert_int_equal(mov_seg(SEG_DS, 2), EXEC_NEXT);
	assert_int_equal(cpu->seg[SEG_DS].attr, SEG_ATTR_UNUSABLE);
	assert_int_equal(cpu->seg[SEG_DS].sel, 2);
	assert_int_equal(cpu->seg[SEG_DS].lim_r, 0);
	assert_fault(mov_seg(SEG_SS, 0), VEC_GP, 0);
	fake_long(0);
	cpu->seg[SEG_FS].base = 0x1234567890;
	assert_int_equal(mov_seg(SEG_FS, 0), EXEC_NEXT);
	assert_int_equal(cpu->seg[SEG_FS].base, 0);
	cpu->vendor_amd = true;
	cpu->seg[SEG_FS].base = 0x1234567890;
	assert_int_equal(mov_seg(SEG_FS, 0), EXEC_NEXT);
	assert_int_equal(cpu->seg[SEG_FS].base, 0x1234567890);
	cpu->vendor_amd = false;
	assert_int_equal(mov_seg(SEG_SS, 0), EXEC_NEXT);
	assert_fault(mov_seg(SEG_SS, 1), VEC_GP, 0);
	cpu_update_mode(cpu);
	assert_int_equal(cpu->cpl, 0);
	fake_long(1);
	assert_int_equal(mov_seg(SEG_SS, 1), EXEC_NEXT);
	cpu_update_mode(cpu);
	assert_int_equal(cpu->cpl, 1);
	fake_long(3);
	assert_fault(mov_seg(SEG_SS, 3), VEC_GP, 0);
}

static void test_tables_bounds(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_protected(0);
	assert_fault(mov_seg(SEG_DS, FK_LIMIT), VEC_GP, FK_LIMIT);
	cpu->gdt.limit = FK_DATA0 + 6;
	assert_fault(mov_seg(SEG_DS, FK_DATA0), VEC_GP, FK_DATA0);
	cpu->gdt.limit = FK_DATA0 + 7;
	assert_int_equal(mov_seg(SEG_DS, FK_DATA0), EXEC_NEXT);
	fake_desc(0x0c, 0x1000, 0xfff, 0x93);
	assert_int_equal(mov_seg(SEG_DS, 0x0c), EXEC_NEXT);
	assert_int_equal(cpu->seg[SEG_DS].base, 0x1000);
	assert_fault(mov_seg(SEG_DS, 0x104), VEC_GP, 0x104);
	cpu->seg[SEG_LDT].attr = SEG_ATTR_UNUSABLE;
	assert_fault(mov_seg(SEG_DS, 0x0c), VEC_GP, 0x0c);
	fake->bad_page = FAKE_GDT;
	assert_int_equal(mov_seg(SEG_DS, FK_DATA0), FAULTED);
	assert_int_equal(cpu->raised.vector, VEC_PF);
	assert_int_equal(fake->acc, ACC_READ | ACC_SYSTEM);
}

static void test_other_modes(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_real();
	cpu->seg[SEG_DS].limit = 0xffffffff; /* big real mode stays */
	assert_int_equal(mov_seg(SEG_DS, 0x1234), EXEC_NEXT);
	assert_int_equal(cpu->seg[SEG_DS].base, 0x12340);
	assert_int_equal(cpu->seg[SEG_DS].limit, 0xffffffff);
	assert_int_equal(cpu->shadow, 0);
	assert_int_equal(mov_seg(SEG_SS, 0x1234), EXEC_NEXT);
	assert_int_equal(cpu->shadow, CPU_SHADOW_MOVSS);
	assert_fault(mov_seg(SEG_CS, 0x1234), VEC_UD, 0);
	assert_fault(mov_seg(6, 0x1234), VEC_UD, 0);
	fake_v8086(0);
	assert_int_equal(mov_seg(SEG_DS, 0x1234), EXEC_NEXT);
	assert_int_equal(cpu->seg[SEG_DS].base, 0x12340);
	assert_int_equal(cpu->seg[SEG_DS].attr, SEG_ATTR_V8086);
}

static void test_pop(void **state)
{
	struct cpu *cpu = &fake->cpu;
	struct insn i;

	fake_protected(0);
	fake_insn(&i, 4);
	i.op[0] = (struct opnd){.kind = OPND_SEG, .size = 2, .reg = SEG_SS};
	fake_poke(FAKE_STACK, 4, FK_DATA16);
	assert_int_equal(fake_exec(exec_pop_seg, &i), EXEC_NEXT);
	assert_int_equal(cpu->seg[SEG_SS].sel, FK_DATA16);
	assert_int_equal(cpu->gpr[REG_RSP], FAKE_STACK + 4);
	assert_int_equal(cpu->shadow, CPU_SHADOW_MOVSS);
	assert_int_equal(fake_exec(exec_push_seg, &i), EXEC_NEXT);
	assert_int_equal(fake_peek(FAKE_STACK, 4), FK_DATA16);
	fake_poke(FAKE_STACK, 4, FK_DATA3);
	assert_fault(fake_exec(exec_pop_seg, &i), VEC_GP, FK_DATA3);
	assert_int_equal(cpu->gpr[REG_RSP], FAKE_STACK);
	fake_long(0);
	fake_insn(&i, 4);
	i.op[0] = (struct opnd){.kind = OPND_SEG, .size = 2, .reg = SEG_FS};
	assert_int_equal(fake_exec(exec_push_seg, &i), EXEC_NEXT);
	assert_int_equal(cpu->gpr[REG_RSP], FAKE_STACK - 8);
}

static void test_far_ptr(void **state)
{
	static const struct {
		uint8_t bytes[3];
		enum cpu_seg seg;
	} rows[] = {
		{{0xc4}, SEG_ES},       {{0x66, 0xc5}, SEG_DS},
		{{0x0f, 0xb2}, SEG_SS}, {{0x48, 0x0f, 0xb4}, SEG_FS},
		{{0x0f, 0xb5}, SEG_GS},
	};
	struct cpu *cpu = &fake->cpu;
	struct insn i;
	unsigned int k;

	fake_protected(0);
	fake_poke(0x6000, 4, 0xcafe1234);
	fake_poke(0x6004, 2, FK_DATA16);
	for (k = 0; k < ARRAY_SIZE(rows); k++) {
		fake_insn(&i, 4);
		i.len = 6;
		memcpy(i.bytes, rows[k].bytes, 3);
		i.op[0] = (struct opnd){
			.kind = OPND_REG, .size = 4, .reg = REG_RDI};
		i.op[1] = (struct opnd){.kind = OPND_MEM,
					.size = 6,
					.seg = SEG_CS,
					.base = OPND_NOREG,
					.index = OPND_NOREG,
					.disp = 0x6000};
		cpu->gpr[REG_RDI] = ~0ULL;
		assert_int_equal(fake_exec(exec_load_far_ptr, &i), EXEC_NEXT);
		assert_int_equal(cpu->seg[rows[k].seg].sel, FK_DATA16);
		assert_int_equal(cpu->gpr[REG_RDI], 0xcafe1234);
	}
	fake_poke(0x6004, 2, FK_CODE3);
	cpu->gpr[REG_RDI] = 7;
	i.bytes[1] = 0xb2;
	assert_fault(fake_exec(exec_load_far_ptr, &i), VEC_GP, FK_CODE3);
	assert_int_equal(cpu->gpr[REG_RDI], 7);
}

static bool zf(void)
{
	return fake->cpu.ah & 0x40;
}

/* Which system types LAR and LSL answer for, in legacy and in long mode. */
static void test_lar_lsl(void **state)
{
	static const char lar[2][17] = {".11111...1.11...", "..1......1.11..."};
	static const char lsl[2][17] = {".111.....1.1....", "..1......1.1...."};
	struct cpu *cpu = &fake->cpu;
	unsigned int lng, type;

	for (lng = 0; lng < 2; lng++) {
		for (type = 0; type < 16; type++) {
			if (lng)
				fake_long(0);
			else
				fake_protected(0);
			fake_desc(FK_FREE, 0, 0x12fff, 0x880 | type);
			cpu->gpr[REG_RCX] = FK_FREE;
			cpu->gpr[REG_RBX] = 0x55;
			assert_int_equal(op_reg(exec_lar, 4), EXEC_NEXT);
			assert_int_equal(zf(), lar[lng][type] == '1');
			assert_int_equal(cpu->gpr[REG_RBX],
					 zf() ? 0x808000 | type << 8 : 0x55);
			cpu->gpr[REG_RBX] = 0x55;
			assert_int_equal(op_reg(exec_lsl, 4), EXEC_NEXT);
			assert_int_equal(zf(), lsl[lng][type] == '1');
			assert_int_equal(cpu->gpr[REG_RBX],
					 zf() ? 0x12fff : 0x55);
		}
	}
	fake_protected(3);
	cpu->gpr[REG_RCX] = FK_DATA0;
	assert_int_equal(op_reg(exec_lsl, 4), EXEC_NEXT);
	assert_false(zf());
	cpu->gpr[REG_RCX] = FK_CONF0 | 3;
	assert_int_equal(op_reg(exec_lsl, 4), EXEC_NEXT);
	assert_true(zf());
	fake_v8086(3);
	assert_fault(op_reg(exec_lar, 4), VEC_UD, 0);
	fake_real();
	assert_fault(op_reg(exec_lsl, 2), VEC_UD, 0);
}

static bool verify(exec_fn *fn, uint16_t sel)
{
	fake->cpu.gpr[REG_RBX] = sel;
	assert_int_equal(op_reg(fn, 2), EXEC_NEXT);
	return zf();
}

static void test_verify(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_protected(3);
	assert_true(verify(exec_verr, FK_DATA3 | 3));
	assert_true(verify(exec_verw, FK_DATA3 | 3));
	assert_false(verify(exec_verr, FK_DATA0));
	assert_true(verify(exec_verr, FK_CONF0 | 3));
	assert_false(verify(exec_verw, FK_CODE3 | 3));
	assert_false(verify(exec_verr, FK_TSS));
	assert_false(verify(exec_verr, 3));
	fake_desc(FK_FREE, 0, 1, 0xf9); /* execute only */
	assert_false(verify(exec_verr, FK_FREE | 3));
	cpu->gpr[REG_RBX] = 0x10;
	cpu->gpr[REG_RCX] = 3;
	assert_int_equal(op_reg(exec_arpl, 2), EXEC_NEXT);
	assert_true(zf());
	assert_int_equal(cpu->gpr[REG_RBX], 0x13);
	assert_int_equal(op_reg(exec_arpl, 2), EXEC_NEXT);
	assert_false(zf());
}

static int load_sel(exec_fn *fn, uint16_t sel)
{
	fake->cpu.gpr[REG_RBX] = sel;
	return op_reg(fn, 2);
}

static void test_ltr_lldt(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_long(0);
	fake_desc(FK_FREE, 0x89abcdef, 0x67, 0x89);
	fake_raw(FK_FREE + 8, 0xffff8880);
	assert_int_equal(load_sel(exec_ltr, FK_FREE), EXEC_NEXT);
	assert_int_equal(cpu->seg[SEG_TR].base, 0xffff888089abcdefULL);
	assert_int_equal(cpu->seg[SEG_TR].attr & 0xf, 0xb);
	assert_int_equal(desc_type(fake_raw_get(FK_FREE)), 0xb);
	assert_fault(load_sel(exec_ltr, FK_FREE), VEC_GP, FK_FREE); /* busy */
	fake_desc(FK_FREE, 0, 0x67, 0x09);
	assert_fault(load_sel(exec_ltr, FK_FREE), VEC_NP, FK_FREE);
	fake_desc(FK_FREE, 0, 0x67, 0x89);
	fake_raw(FK_FREE + 8, 0x00008000); /* base not canonical */
	assert_fault(load_sel(exec_ltr, FK_FREE), VEC_GP, FK_FREE);
	assert_fault(load_sel(exec_ltr, 0), VEC_GP, 0);
	assert_fault(load_sel(exec_ltr, FK_FREE | 4), VEC_GP, FK_FREE | 4);
	assert_int_equal(load_sel(exec_lldt, 0), EXEC_NEXT);
	assert_int_equal(cpu->seg[SEG_LDT].attr, SEG_ATTR_UNUSABLE);
	assert_int_equal(load_sel(exec_lldt, FK_LDT), EXEC_NEXT);
	assert_int_equal(cpu->seg[SEG_LDT].base, FAKE_LDT);
	assert_fault(load_sel(exec_lldt, FK_DATA0), VEC_GP, FK_DATA0);
	fake_long(3);
	assert_fault(load_sel(exec_lldt, 0), VEC_GP, 0);
	fake_real();
	assert_fault(load_sel(exec_ltr, 8), VEC_UD, 0);
	fake_protected(0); /* a 16-bit TSS only here */
	fake_desc(FK_FREE, 0x1000, 0x2b, 0x81);
	assert_int_equal(load_sel(exec_ltr, FK_FREE), EXEC_NEXT);
	assert_int_equal(cpu->seg[SEG_TR].attr & 0xf, 3);
	assert_int_equal(op_reg(exec_str, 4), EXEC_NEXT);
	assert_int_equal(cpu->gpr[REG_RBX], FK_FREE);
}

static void test_dtables(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_long(0);
	fake_poke(0x6000, 2, 0x1fff);
	fake_poke(0x6002, 8, 0xfffffe0000001000ULL);
	assert_int_equal(op_mem(exec_lidt, 8, 0x6000), EXEC_NEXT);
	assert_int_equal(cpu->idt.base, 0xfffffe0000001000ULL);
	assert_int_equal(cpu->idt.limit, 0x1fff);
	assert_int_equal(op_mem(exec_sidt, 8, 0x6100), EXEC_NEXT);
	assert_memory_equal(fake->ram + 0x6000, fake->ram + 0x6100, 10);
	fake_poke(0x6002, 8, 0x0000800000000000ULL);
	assert_fault(op_mem(exec_lgdt, 8, 0x6000), VEC_GP, 0);
	fake_protected(0);
	fake_poke(0x6000, 8, 0x12345678ffffULL);
	assert_int_equal(op_mem(exec_lgdt, 2, 0x6000), EXEC_NEXT);
	assert_int_equal(cpu->gdt.base, 0x345678);
	assert_int_equal(op_mem(exec_lgdt, 4, 0x6000), EXEC_NEXT);
	assert_int_equal(cpu->gdt.base, 0x12345678);
	fake_protected(3);
	assert_fault(op_mem(exec_lgdt, 4, 0x6000), VEC_GP, 0);
	assert_int_equal(op_mem(exec_sgdt, 4, 0x6000), EXEC_NEXT);
	cpu->cr4 = CR4_UMIP;
	assert_fault(op_mem(exec_sgdt, 4, 0x6000), VEC_GP, 0);
	assert_fault(op_reg(exec_sldt, 4), VEC_GP, 0);
	assert_fault(op_reg(exec_str, 4), VEC_GP, 0);
}

static void test_bases(void **state)
{
	struct cpu *cpu = &fake->cpu;

	fake_long(0);
	cpu->seg[SEG_GS].base = 1;
	cpu->kernel_gs_base = 2;
	assert_int_equal(op_reg(exec_swapgs, 8), EXEC_NEXT);
	assert_int_equal(cpu->seg[SEG_GS].base, 2);
	assert_int_equal(cpu->kernel_gs_base, 1);
	assert_fault(op_reg(exec_rdgsbase, 8), VEC_UD, 0);
	cpu->cr4 |= CR4_FSGSBASE;
	assert_int_equal(op_reg(exec_rdgsbase, 8), EXEC_NEXT);
	assert_int_equal(cpu->gpr[REG_RBX], 2);
	cpu->gpr[REG_RBX] = 0xffff800000001234ULL;
	assert_int_equal(op_reg(exec_wrfsbase, 8), EXEC_NEXT);
	assert_int_equal(cpu->seg[SEG_FS].base, 0xffff800000001234ULL);
	assert_int_equal(op_reg(exec_wrfsbase, 4), EXEC_NEXT);
	assert_int_equal(cpu->seg[SEG_FS].base, 0x1234);
	cpu->gpr[REG_RBX] = 0x800000000000ULL;
	assert_fault(op_reg(exec_wrgsbase, 8), VEC_GP, 0);
	cpu->cpl = 3;
	assert_fault(op_reg(exec_swapgs, 8), VEC_GP, 0);
	fake_protected(0);
	assert_fault(op_reg(exec_swapgs, 4), VEC_UD, 0);
	assert_fault(op_reg(exec_rdfsbase, 4), VEC_UD, 0);
}

static void test_far_ptr64(void **state)
{
	struct cpu *cpu = &fake->cpu;
	struct insn i;

	fake_long(0);
	fake_poke(0x6000, 4, 0xcafe1234);
	fake_poke(0x6004, 4, FK_DATA3 | 0x12340000);
	fake_poke(0x6008, 2, FK_DATA0);
	fake_insn(&i, 8);
	i.len = 8;
	memcpy(i.bytes, "\x48\x0f\xb5", 3);
	i.op[0] = (struct opnd){.kind = OPND_REG, .size = 8, .reg = REG_RDI};
	i.op[1] = (struct opnd){.kind = OPND_MEM,
				.size = 10,
				.seg = SEG_DS,
				.base = OPND_NOREG,
				.index = OPND_NOREG,
				.disp = 0x6000};
	assert_int_equal(fake_exec(exec_load_far_ptr, &i), EXEC_NEXT);
	assert_int_equal(cpu->seg[SEG_GS].sel, FK_DATA0);
	assert_int_equal(cpu->gpr[REG_RDI], 0x12340020cafe1234ULL);
	cpu->vendor_amd = true;
	assert_int_equal(fake_exec(exec_load_far_ptr, &i), EXEC_NEXT);
	assert_int_equal(cpu->seg[SEG_GS].sel, FK_DATA3);
	assert_int_equal(cpu->gpr[REG_RDI], 0xcafe1234);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_load_rules),  T(test_null),   T(test_tables_bounds),
		T(test_other_modes), T(test_pop),    T(test_far_ptr),
		T(test_lar_lsl),     T(test_verify), T(test_ltr_lldt),
		T(test_dtables),     T(test_bases),  T(test_far_ptr64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
