/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Golden counts: host instructions that guest instruction forms become, so
 * that a change of the translator shows where it costs and where it pays.
 * Counted is the hot code from the entry for indirect jumps to the end of
 * the form; cold stubs and NOPs (they only align) are not. Bytes take an
 * immediate load as 10, because pointers of the host are longer or shorter.
 *
 * golden_test FILE compares; LODGE_GOLDEN_UPDATE=1 in the environment makes
 * it write FILE anew instead.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/cpuid.h"
#include "engine/decode.h"
#include "engine/fake.h"

#define CODE_AT (FAKE_CODE + 0x800)
#define SPAN    0x10000u /* around it: whatever a form may jump to */

#define COUNTING (MODE_COUNT(COUNT_INSN) | MODE_COUNT(COUNT_BRANCH))
#define MARK     "counted: "

/* Length byte and code of each form, in order. */
#define FORM(bits, text)             ".code" #bits "\n .byte 9f - 8f\n 8:" text "\n 9:\n"
#define FORM_IF(bits, feature, text) FORM(bits, text)
#define COUNTED(text)                FORM(64, text)
#define LOOP(text)                   FORM(64, text) FORM(64, text)
/* clang-format off */
__asm__(".pushsection .rodata\n"
	"golden_code:\n"
#include "engine/golden.def"
	".code64\n .popsection\n");
/* clang-format on */
#undef FORM
#undef FORM_IF
#undef COUNTED
#undef LOOP
extern const uint8_t golden_code[];

struct form {
	unsigned int bits;
	int feature; /* -1: none */
	const char *text;
	uint64_t mode;
	bool loop; /* the row before is the same without counting */
};

static const struct form forms[] = {
#define FORM(bits, text)             {bits, -1, text, 0, false},
#define FORM_IF(bits, feature, text) {bits, FEAT_##feature, text, 0, false},
#define COUNTED(text)                {64, -1, MARK text, COUNTING, false},
#define LOOP(text)                   FORM(64, text){64, -1, MARK text, COUNTING, true},
#include "engine/golden.def"
#undef FORM
#undef FORM_IF
#undef COUNTED
#undef LOOP
};

struct count {
	unsigned int insns, bytes;
};

/* A row of the golden file. */
struct golden {
	unsigned int bits;
	struct count count;
	char text[140];
	bool used;
};

static const char *path;
static struct golden golden[ARRAY_SIZE(forms) + 64];
static unsigned int ngolden;
static struct fake fake;

/* ---- translating and counting ---- */

static struct block *translate_form(struct cpu *cpu, const uint8_t *code,
				    unsigned int len)
{
	static const uint8_t tail[] = {0x29, 0xc0, 0xf4}; /* sub, hlt */
	struct codepage *page;
	struct block *b;
	int err;

	memcpy(fake.ram + CODE_AT, code, len);
	memcpy(fake.ram + CODE_AT + len, tail, sizeof(tail));
	page = run_code_page(cpu, CODE_AT, NULL);
	engine_lock(cpu);
	b = translate(cpu, page, NULL, 0, &err);
	engine_unlock(fake.engine);
	return b;
}

/* Instructions of the block that make up the form; 0: it was cut. */
static unsigned int form_insns(const struct block *b, unsigned int len)
{
	unsigned int n = 0, off = 0;

	while (n < b->ninsn && off < len)
		off += b->lens[n++];
	return off == len ? n : 0;
}

static void count_insn(const ZydisDecodedInstruction *in,
		       const ZydisDecodedOperand *op, struct count *c)
{
	bool imm = in->mnemonic == ZYDIS_MNEMONIC_MOV &&
		   op[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		   op[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;

	if (in->mnemonic == ZYDIS_MNEMONIC_NOP)
		return;
	c->insns++;
	c->bytes += imm ? 10 : in->length;
}

/* Up to @to, or to the first jump past @from where @to is NULL. */
static bool count_code(const uint8_t *at, const uint8_t *from,
		       const uint8_t *to, struct count *c)
{
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction in;
	ZydisDecoder dec;

	ZydisDecoderInit(&dec, ZYDIS_MACHINE_MODE_LONG_64,
			 ZYDIS_STACK_WIDTH_64);
	while (!to || at < to) {
		if (ZYAN_FAILED(ZydisDecoderDecodeFull(&dec, at, 15, &in, op)))
			return false;
		count_insn(&in, op, c);
		if (!to && at >= from && in.mnemonic == ZYDIS_MNEMONIC_JMP)
			return true;
		at += in.length;
	}
	return at == to;
}

static bool count_form(const struct form *form, const uint8_t *code,
		       unsigned int len, struct count *c)
{
	const uint8_t *entry, *last, *end = NULL;
	unsigned int n = form->bits == 32; /* cpu 1 is the 32-bit one */
	struct block *b;

	fake_start(&fake, n, CODE_AT);
	fake.cpu[n]->mode |= form->mode;
	b = translate_form(fake.cpu[n], code, len);
	n = b ? form_insns(b, len) : 0;
	*c = (struct count){0};
	if (!n)
		return false;
	entry = b->ind - fake.engine->rx_off;
	last = b->code + b->map[n - 1].host;
	if (n < b->ninsn)
		end = b->code + b->map[n].host;
	return count_code(entry, last, end, c);
}

/* ---- the file ---- */

static void read_golden(void)
{
	FILE *file = fopen(path, "r");
	char line[200];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		struct golden *g = &golden[ngolden];

		if (line[0] == '#')
			continue;
		assert_true(ngolden < ARRAY_SIZE(golden));
		assert_int_equal(sscanf(line, "%u %u %u %139[^\n]", &g->bits,
					&g->count.insns, &g->count.bytes,
					g->text),
				 4);
		ngolden++;
	}
	fclose(file);
}

static struct golden *find_golden(const struct form *form)
{
	for (unsigned int i = 0; i < ngolden; i++)
		if (golden[i].bits == form->bits &&
		    !strcmp(golden[i].text, form->text))
			return &golden[i];
	return NULL;
}

static FILE *begin_update(void)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fprintf(file,
		"# SPDX-License-Identifier: Apache-2.0\n"
		"# Written by golden_test, see doc/adding.md. Columns: bits of "
		"the guest's code,\n"
		"# host instructions, their bytes, the form as in "
		"golden.def.\n");
	return file;
}

/* ---- tests ---- */

static bool offered(const struct form *form)
{
	return form->feature < 0 ||
	       cpu_has(fake.cpu[0], (enum feature)form->feature);
}

static bool judge(const struct form *form, const struct count *now)
{
	struct golden *g = find_golden(form);

	if (!g) {
		print_error("golden: %u-bit '%s': new, %u instructions, "
			    "%u bytes\n",
			    form->bits, form->text, now->insns, now->bytes);
		return false;
	}
	g->used = true;
	if (g->count.insns == now->insns && g->count.bytes == now->bytes)
		return true;
	print_error("golden: %u-bit '%s': was %u instructions, %u bytes; "
		    "now %u, %u\n",
		    form->bits, form->text, g->count.insns, g->count.bytes,
		    now->insns, now->bytes);
	return false;
}

/* Bytes of form @i. */
static const uint8_t *form_code(unsigned int i, unsigned int *len)
{
	const uint8_t *at = golden_code;

	while (i--)
		at += 1 + at[0];
	*len = at[0];
	return at + 1;
}

static void measure(unsigned int i, struct count *c)
{
	unsigned int len;
	const uint8_t *code = form_code(i, &len);

	if (!count_form(&forms[i], code, len, c))
		fail_msg("'%s' did not become one block", forms[i].text);
}

static void test_counts(void **state)
{
	unsigned int bad = 0;
	struct count now;

	(void)state;
	read_golden();
	for (unsigned int i = 0; i < ARRAY_SIZE(forms); i++) {
		struct golden *g = find_golden(&forms[i]);

		if (!offered(&forms[i])) {
			print_message("golden: '%s' needs another host\n",
				      forms[i].text);
			if (g)
				g->used = true;
			continue;
		}
		measure(i, &now);
		bad += !judge(&forms[i], &now);
	}
	for (unsigned int i = 0; i < ngolden; i++)
		if (!golden[i].used) {
			print_error("golden: %u-bit '%s' is no form\n",
				    golden[i].bits, golden[i].text);
			bad++;
		}
	assert_int_equal(bad, 0);
}

static void update(void **state)
{
	struct count now;
	FILE *file;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(forms); i++)
		if (!offered(&forms[i]))
			fail_msg("this host cannot count '%s'", forms[i].text);
	file = begin_update();
	for (unsigned int i = 0; i < ARRAY_SIZE(forms); i++) {
		measure(i, &now);
		fprintf(file, "%u %3u %4u  %s\n", forms[i].bits, now.insns,
			now.bytes, forms[i].text);
	}
	assert_int_equal(fclose(file), 0);
}

/* What must hold whatever the file says: the measure measures. */
static void test_measure(void **state)
{
	static const uint8_t mov[] = {0x48, 0x89, 0xd8}, nop[] = {0x90},
			     two[] = {0x89, 0xd8, 0x89, 0xd9};
	const struct form form = {64, -1, "here", 0, false};
	struct count c;

	(void)state;
	assert_true(count_form(&form, mov, sizeof(mov), &c));
	assert_int_equal(c.insns, 1);
	assert_int_equal(c.bytes, 3);
	assert_true(count_form(&form, nop, sizeof(nop), &c));
	assert_int_equal(c.insns, 0);
	assert_true(count_form(&form, two, sizeof(two), &c));
	assert_int_equal(c.insns, 2);
	assert_int_equal(c.bytes, 4);
}

/* The same twice in another place of code memory. */
static void test_same(void **state)
{
	struct count a, b;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(forms); i++) {
		measure(i, &a);
		fake.engine->code_used += 16 * (i % 4 + 1);
		measure(i, &b);
		if (a.insns != b.insns || a.bytes != b.bytes)
			fail_msg("'%s' differs from itself", forms[i].text);
	}
}

/*
 * Where instructions and branches are counted, programs are to take less than
 * 1.3 of their time. Time depends on the machine; what is run does not, and
 * each addition and its jump are of the cheapest.
 */
static void test_counting(void **state)
{
	unsigned int plain = 0, counting = 0;
	struct count c;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(forms); i++) {
		if (!forms[i].loop)
			continue;
		measure(i - 1, &c);
		plain += c.insns;
		measure(i, &c);
		counting += c.insns;
	}
	print_message("golden: loops of %u instructions are %u when counted\n",
		      plain, counting);
	assert_true(plain && counting > plain);
	assert_true(counting * 10 < plain * 13);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest compare[] = {
		cmocka_unit_test(test_measure),
		cmocka_unit_test(test_counting),
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_counts),
	};
	const struct CMUnitTest rewrite[] = {
		cmocka_unit_test(test_measure),
		cmocka_unit_test(update),
	};
	const char *env = getenv("LODGE_GOLDEN_UPDATE");
	int ret;

	if (argc != 2) {
		fprintf(stderr, "usage: %s golden.txt\n", argv[0]);
		return 2;
	}
	path = argv[1];
	fake_watchdog(30);
	fake_open(&fake, 0);
	fake_flat32(&fake, 1);
	for (unsigned int i = 0; i < SPAN; i++) /* sub eax, eax */
		fake.ram[FAKE_CODE - SPAN / 2 + i] = i & 1 ? 0xc0 : 0x29;
	if (env && !strcmp(env, "1"))
		ret = cmocka_run_group_tests(rewrite, NULL, NULL);
	else
		ret = cmocka_run_group_tests(compare, NULL, NULL);
	fake_close(&fake);
	return ret;
}
