/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regression and directed cases, one file each:
 *
 *	# why it is here
 *	seed 0x1234        first seed of state and memory
 *	seeds 16           how many of them, default 1
 *	at 0x10000ff8      where the code lies, default 0x10000000
 *	code 48 01 d8 ...  may be repeated, the bytes add up
 *	reg rax 0x80       fixed in every state (16 names, rflags, mxcsr, fcw)
 *
 * Everything not given comes from the seed.
 */
#include "test/diff/shrink.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/diff/gen.h"

struct test_case {
	uint64_t seed, seeds;
	uint32_t gva;
	uint8_t code[BLOCK_MAX];
	unsigned int size;
	struct {
		char name[8];
		uint64_t val;
	} reg[24];
	unsigned int regs;
};

static bool parse_code(struct test_case *tc, const char *p)
{
	unsigned int byte;
	int used;

	while (sscanf(p, " %2x%n", &byte, &used) == 1) {
		if (tc->size == sizeof(tc->code))
			return false;
		tc->code[tc->size++] = byte;
		p += used;
	}
	return p[strspn(p, " \t\n")] == '\0';
}

static bool parse_line(struct test_case *tc, const char *line)
{
	char key[16], name[16], val[32];

	if (sscanf(line, "%15s", key) != 1 || key[0] == '#')
		return true;
	line = strstr(line, key) + strlen(key);
	if (!strcmp(key, "code"))
		return parse_code(tc, line);
	if (!strcmp(key, "reg")) {
		if (tc->regs == ARRAY_SIZE(tc->reg) ||
		    sscanf(line, "%7s %31s", name, val) != 2)
			return false;
		strcpy(tc->reg[tc->regs].name, name);
		tc->reg[tc->regs++].val = strtoull(val, NULL, 0);
		return true;
	}
	if (sscanf(line, "%31s", val) != 1)
		return false;
	if (!strcmp(key, "seed"))
		tc->seed = strtoull(val, NULL, 0);
	else if (!strcmp(key, "seeds"))
		tc->seeds = strtoull(val, NULL, 0);
	else if (!strcmp(key, "at"))
		tc->gva = strtoull(val, NULL, 0);
	else
		return false;
	return true;
}

static bool set_reg(struct state *st, const char *name, uint64_t val)
{
	for (int i = 0; i < 16; i++)
		if (!strcmp(name, gpr_name(i))) {
			st->gpr[i] = val;
			return true;
		}
	if (!strcmp(name, "rflags"))
		st->rflags = val;
	else if (!strcmp(name, "mxcsr"))
		memcpy(st->xsave + 24, &val, 4);
	else if (!strcmp(name, "fcw"))
		memcpy(st->xsave, &val, 2);
	else
		return false;
	return true;
}

static int load(const char *path, struct test_case *tc)
{
	char line[4096];
	FILE *f = fopen(path, "r");
	int err = 0;

	*tc = (struct test_case){.seed = 1, .seeds = 1, .gva = CODE_GVA};
	if (!f)
		return -errno;
	while (!err && fgets(line, sizeof(line), f))
		if (!parse_line(tc, line)) {
			printf("%s: cannot read: %s", path, line);
			err = -EINVAL;
		}
	fclose(f);
	return err;
}

static bool run_seed(const struct checker *c, const struct test_case *tc,
		     uint64_t seed, bool *agrees)
{
	static struct state st;
	struct block b = {.seed = seed, .gva = tc->gva};
	enum verdict v;

	init_state(seed, &st);
	for (unsigned int i = 0; i < tc->regs; i++)
		if (!set_reg(&st, tc->reg[i].name, tc->reg[i].val))
			return false;
	if (gen_adopt(&b, tc->code, tc->size) ||
	    tc->gva - CODE_GVA > CODE_SIZE - BLOCK_MAX)
		return false;
	v = block_check(c, &b, &st, NULL, NULL, NULL);
	*agrees = v == SAME;
	if (v != SAME)
		block_report(c, &b, &st);
	return true;
}

bool case_run(const struct checker *c, const char *path)
{
	static struct test_case tc;
	bool agrees = true;

	if (load(path, &tc) || !tc.size) {
		printf("%s: not a case\n", path);
		return false;
	}
	for (uint64_t i = 0; i < tc.seeds && agrees; i++)
		if (!run_seed(c, &tc, tc.seed + i, &agrees)) {
			printf("%s: impossible case\n", path);
			return false;
		}
	printf("%s: %s\n", path, agrees ? "same" : "DIFFERENT");
	return agrees;
}
