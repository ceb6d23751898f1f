/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copied block is the block that a translation would have made: compared
 * byte by byte for code at random, of all encodings, with what moves on
 * every second instruction, and for the forms of the golden counts; between
 * addresses that differ in all ways. Nothing is run here: engine/move_test.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/fake.h"
#include "engine/reloc.h"

#define CASES    60000
#define KINDS    (RELOC_INSN + 1)
#define PAGE     (fake.ram + FAKE_CODE)
#define ROOM     (BIT64(20) * 8) /* of code memory, then a flush */
#define AT_LEAST 20u             /* of each kind, copied */

/* Length byte and code of each form, in order. */
#define FORM(bits, text)             ".code" #bits "\n .byte 9f - 8f\n 8:" text "\n 9:\n"
#define FORM_IF(bits, feature, text) FORM(bits, text)
#define COUNTED(text)                FORM(64, text)
#define LOOP(text)                   FORM(64, text)
/* clang-format off */
__asm__(".pushsection .rodata\n"
	"reloc_forms:\n"
#include "engine/golden.def"
	".code64\n .byte 0\n .popsection\n");
/* clang-format on */
extern const uint8_t reloc_forms[];

static struct fake fake;
static uint64_t kernel; /* mode word */
static uint64_t seed = 20261129;

static struct {
	unsigned int copied, declined, fixed, none;
	unsigned int kind[KINDS];
} seen;

static uint64_t rnd(uint64_t below)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (seed >> 24) % below;
}

/* ---- code at random ---- */

static uint8_t *put_rel(uint8_t *p)
{
	int32_t v = rnd(4) ? (int32_t)rnd(0x8000) - 0x4000
			   : (int32_t)rnd(1ULL << 32);

	memcpy(p, &v, 4);
	return p + 4;
}

static uint8_t *put_modrm(uint8_t *p)
{
	uint8_t reg = rnd(8) << 3;

	if (rnd(2)) { /* relative to rip */
		*p++ = reg | 5;
		return put_rel(p);
	}
	*p++ = rnd(256);
	*p++ = rnd(256);
	return put_rel(p);
}

static uint8_t *put_prefixes(uint8_t *p)
{
	static const uint8_t prefixes[] = {0x66, 0x67, 0xf0, 0xf2,
					   0xf3, 0x64, 0x65, 0x2e};

	while (!rnd(5))
		*p++ = prefixes[rnd(ARRAY_SIZE(prefixes))];
	if (rnd(2))
		*p++ = 0x40 | rnd(16);
	return p;
}

static uint8_t *put_opcode(uint8_t *p)
{
	switch (rnd(8)) {
	case 0:
	case 1:
	case 2: *p++ = rnd(256); break;
	case 3:
	case 4:
		*p++ = 0x0f;
		*p++ = rnd(256);
		break;
	case 5:
		*p++ = 0x0f;
		*p++ = rnd(2) ? 0x38 : 0x3a;
		*p++ = rnd(256);
		break;
	case 6:
		*p++ = 0xc5;
		*p++ = rnd(256);
		*p++ = rnd(256);
		break;
	case 7:
		*p++ = 0x62;
		*p++ = 0xf0 | (1 + rnd(3));
		*p++ = 0x7c | rnd(4);
		*p++ = 0x08 | rnd(256);
		*p++ = rnd(256);
		break;
	}
	return p;
}

/* Branches, which are what leads to other pages. */
static uint8_t *put_branch(uint8_t *p)
{
	static const uint8_t ops[] = {0xe8, 0xe9, 0xeb, 0xe0, 0xe1, 0xe2,
				      0xe3, 0xc3, 0xc2, 0x74, 0x7f, 0x70};

	if (!rnd(3)) {
		*p++ = 0x0f;
		*p++ = 0x80 | rnd(16);
		return put_rel(p);
	}
	if (!rnd(4)) {
		*p++ = 0xff;
		return put_modrm(p);
	}
	*p++ = ops[rnd(ARRAY_SIZE(ops))];
	return put_rel(p);
}

static uint8_t *put_form(uint8_t *p)
{
	const uint8_t *f = reloc_forms;
	unsigned int skip = rnd(150);

	while (skip-- && f[0])
		f += 1 + f[0];
	memcpy(p, f + 1, f[0]);
	return p + f[0];
}

static void fill_page(void)
{
	uint8_t *p = PAGE, *end = PAGE + PAGE_SIZE - 64;

	while (p < end) {
		switch (rnd(8)) {
		case 0:
		case 1: p = put_form(p); break;
		case 2: p = put_branch(p); break;
		case 3: p = put_opcode(put_prefixes(p)); break;
		default:
			p = put_modrm(put_opcode(put_prefixes(p)));
			if (rnd(2))
				*p++ = rnd(256);
		}
	}
}

/* A page: near the ends of what encodings can hold, or anywhere. */
static gva_t any_page(void)
{
	static const uint64_t edges[] = {0,
					 0x400000,
					 0x7ffff000,
					 0x80000000,
					 0xfffff000,
					 0x100000000,
					 0x555555554000,
					 0x7f1234567000,
					 0x7ffffffff000,
					 0x800000000000,
					 0xffff800000000000,
					 0xffff888012345000,
					 0xffffffff7ffff000,
					 0xffffffff80000000,
					 0xffffffff81000000,
					 0xfffffffffffff000};

	if (rnd(4) == 0)
		return (rnd(1ULL << 40) << 24 | rnd(1 << 24)) & PAGE_MASK;
	return edges[rnd(ARRAY_SIZE(edges))] +
	       (rnd(3) ? (rnd(33) - 16) * PAGE_SIZE : 0);
}

static uint64_t any_mode(void)
{
	uint64_t mode = kernel;
	static const uint64_t flip[] = {
		MODE_ONE,
		MODE_DF,
		MODE_WATCH,
		MODE_BUS_LOCK,
		MODE_AC,
		MODE_TS,
		3, /* user */
		MODE_COUNT(COUNT_INSN) | MODE_COUNT(COUNT_BRANCH),
		MODE_COUNT(COUNT_COND) | MODE_COUNT(COUNT_TAKEN),
		MODE_COUNT(COUNT_INSN) | MODE_COUNT_MEM,
	};

	while (!rnd(2))
		mode ^= flip[rnd(ARRAY_SIZE(flip))];
	return mode;
}

/* ---- comparing ---- */

static struct block *make(struct cpu *cpu, gva_t rip, uint64_t mode)
{
	struct codepage *p;
	struct block *b;
	int err;

	cpu->rip = rip;
	cpu->mode = mode;
	engine_lock(cpu);
	p = page_get(fake.engine, PAGE);
	page_mark_code(cpu, p);
	b = translate(cpu, p, NULL, 0, &err);
	engine_unlock(fake.engine);
	return b;
}

static unsigned int width(const struct reloc *r)
{
	switch ((enum reloc_kind)r->kind) {
	case RELOC_64:
	case RELOC_ANY64:
	case RELOC_LINK:
	case RELOC_CALL:
	case RELOC_INSN: return 8;
	default: return 4;
	}
}

static bool same_places(const struct block *a, const struct block *b)
{
	return a->nrelocs == b->nrelocs && a->code_size == b->code_size &&
	       !memcmp(a->relocs, b->relocs, a->nrelocs * sizeof(*a->relocs));
}

static uint64_t pointer(const uint8_t *code, const struct reloc *r)
{
	uint64_t v;

	memcpy(&v, code + r->at, 8);
	return v;
}

/* What two places point to that are not the same memory. */
static bool same_pointers(const struct block *copy, const uint8_t *code,
			  const struct block *b, const struct reloc *r)
{
	uint64_t x = pointer(code, r), y = pointer(b->code, r);

	if (r->kind == RELOC_LINK)
		return x - (uintptr_t)copy->links == y - (uintptr_t)b->links;
	if (r->kind == RELOC_INSN) {
		x -= offsetof(struct insn_call, insn);
		y -= offsetof(struct insn_call, insn);
	}
	return x != y &&
	       !memcmp((void *)x, (void *)y, sizeof(struct insn_call));
}

static bool same_link(const struct block *a, const struct block *b,
		      unsigned int i)
{
	const struct link *x = &a->links[i], *y = &b->links[i];

	return x->from == a && y->from == b && !x->to && !y->to &&
	       x->patch == y->patch && x->xid_patch == y->xid_patch &&
	       x->stub == y->stub && x->rip == y->rip && x->mode == y->mode &&
	       x->flags_saved == y->flags_saved;
}

static bool same_fields(const struct block *a, const struct block *b)
{
	return a->rip == b->rip && a->cs_base == b->cs_base &&
	       a->mode == b->mode && a->page[0] == b->page[0] && !a->page[1] &&
	       a->code == b->code && a->ind == b->ind && a->dir == b->dir &&
	       a->stale_ind == b->stale_ind && a->stale_dir == b->stale_dir &&
	       a->code_size == b->code_size && a->start == b->start &&
	       a->end == b->end && a->end1 == b->end1 &&
	       a->nlinks == b->nlinks && a->ninsn == b->ninsn &&
	       a->livein == b->livein && !a->valid && !a->in &&
	       !memcmp(a->map, b->map, a->ninsn * sizeof(*a->map)) &&
	       !memcmp(a->lens, b->lens, a->ninsn);
}

/* @code: what @copy had where @b is now. */
static bool same_block(const struct block *copy, uint8_t *code,
		       const struct block *b)
{
	bool same = same_fields(copy, b);

	for (unsigned int i = 0; same && i < b->nlinks; i++)
		same = same_link(copy, b, i);
	for (unsigned int i = 0; same && i < b->nrelocs; i++) {
		const struct reloc *r = &b->relocs[i];

		if (r->kind < RELOC_LINK)
			continue;
		same = same_pointers(copy, code, b, r);
		memcpy(code + r->at, b->code + r->at, width(r));
	}
	return same && !memcmp(code, b->code, b->code_size);
}

/* A copy, whose code is in copied[] and may be overwritten. */
static uint8_t copied[1 << 16];

static struct block *copy_aside(const struct block *from, gva_t rip)
{
	uint64_t used = fake.engine->copies->used;
	struct block *copy = reloc_copy(fake.engine, from, rip);

	if (copy)
		memcpy(copied, copy->code, copy->code_size);
	fake.engine->copies->used = used;
	return copy;
}

/* Whether that is what is made there, or is rightly none. */
static bool well_copied(struct cpu *cpu, const struct block *from, gva_t rip,
			const struct block *copy)
{
	uint64_t used = fake.engine->code_used;
	struct block *b;

	fake.engine->code_used = fake.engine->copies->used; /* same place */
	b = make(cpu, rip, from->mode);
	fake.engine->code_used = used;
	if (!b)
		return false;
	if (copy)
		return same_places(from, b) && same_block(copy, copied, b);
	/* not for nothing */
	for (unsigned int i = 0; i < b->nlinks && same_places(from, b); i++)
		if ((b->links[i].rip < b->rip) !=
		    (from->links[i].rip < from->rip))
			return true;
	return !same_places(from, b);
}

static void begin_case(bool fresh)
{
	if (fresh || fake.engine->code_used - fake.engine->code_start > ROOM)
		page_flush_all(fake.engine);
	fake.engine->cfg.exact_flags = !rnd(8);
}

/* A block that can be copied, inserted, at an address at random. */
static struct block *any_block(struct cpu *cpu, uint64_t mode)
{
	gva_t rip = any_page() + rnd(PAGE_SIZE - 80);
	struct block *b = make(cpu, rip, mode);

	if (!b) {
		seen.none++;
	} else if (!b->relocs) {
		seen.fixed++;
	} else {
		block_insert(fake.engine, b, fake.engine->seen);
		return b;
	}
	return NULL;
}

static void test_same(void **state)
{
	struct cpu *cpu = fake.cpu[0];

	(void)state;
	for (unsigned int n = 0; n < CASES; n++) {
		struct block *b;
		struct block *copy;
		gva_t to;

		begin_case(n % 256 == 0);
		if (n % 256 == 0)
			fill_page();
		b = any_block(cpu, any_mode());
		if (!b)
			continue;
		to = any_page() + (b->rip & ~PAGE_MASK);
		copy = copy_aside(b, to);
		if (!well_copied(cpu, b, to, copy))
			fail_msg("case %u: the block at %#lx", n,
				 (unsigned long)b->rip);
		seen.declined += !copy;
		seen.copied += !!copy;
		for (unsigned int i = 0; copy && i < b->nrelocs; i++)
			seen.kind[b->relocs[i].kind]++;
	}
	print_message("reloc: %u blocks copied, %u of another class, %u not to "
		      "be copied, %u none\n",
		      seen.copied, seen.declined, seen.fixed, seen.none);
	assert_true(seen.copied > CASES / 4);
	assert_true(seen.fixed < CASES / 20);
	for (unsigned int k = 0; k < KINDS; k++)
		if (seen.kind[k] < AT_LEAST)
			fail_msg("kind %u was met %u times", k, seen.kind[k]);
}

/* Within the part of user space that libraries are in, all can be copied. */
static void test_user(void **state)
{
	struct cpu *cpu = fake.cpu[0];
	uint64_t mode = kernel | 3;

	(void)state;
	for (unsigned int n = 0; n < CASES / 20; n++) {
		gva_t a = 0x550000000000 + rnd(1 << 30) * PAGE_SIZE;
		gva_t to = 0x7f0000000000 + rnd(1 << 28) * PAGE_SIZE;
		unsigned int off = rnd(PAGE_SIZE - 80);
		struct block *b, *copy;

		begin_case(n % 256 == 0);
		if (n % 256 == 0)
			fill_page();
		b = make(cpu, a + off, mode);
		if (!b || !b->relocs)
			continue;
		block_insert(fake.engine, b, fake.engine->seen);
		copy = copy_aside(b, to + off);
		assert_non_null(copy);
		assert_true(well_copied(cpu, b, to + off, copy));
	}
}

/* The comparison is none if a place less goes unnoticed. */
static void test_notices(void **state)
{
	struct cpu *cpu = fake.cpu[0];
	unsigned int noticed[KINDS] = {0};

	(void)state;
	for (unsigned int n = 0; n < CASES / 20; n++) {
		gva_t a = 0x7f0000000000 + rnd(1 << 20) * PAGE_SIZE;
		unsigned int off = rnd(PAGE_SIZE - 80);
		gva_t to = a + 0x12345 * PAGE_SIZE + off;
		struct reloc keep, *r, *last;
		struct block *b, *copy;

		begin_case(n % 256 == 0);
		if (n % 256 == 0)
			fill_page();
		b = make(cpu, a + off, any_mode());
		if (!b || !b->relocs || !b->nrelocs)
			continue;
		block_insert(fake.engine, b, fake.engine->seen);
		r = &b->relocs[rnd(b->nrelocs)];
		keep = *r;
		last = &b->relocs[--b->nrelocs];
		*r = *last;
		copy = copy_aside(b, to);
		*last = *r;
		*r = keep;
		b->nrelocs++;
		assert_non_null(copy);
		assert_false(well_copied(cpu, b, to, copy));
		noticed[keep.kind]++;
	}
	assert_true(noticed[RELOC_STUB] && noticed[RELOC_64] &&
		    noticed[RELOC_ANY64] && noticed[RELOC_TLB] &&
		    noticed[RELOC_XID] && noticed[RELOC_LINK]);
}

/* Bytes that changed untold are not copied. */
static void test_changed(void **state)
{
	struct cpu *cpu = fake.cpu[0];
	gva_t at = 0x7f0000000123;
	struct block *b;

	(void)state;
	begin_case(true);
	memset(PAGE, 0x90, PAGE_SIZE);
	PAGE[0x133] = 0xc3;
	b = make(cpu, at, kernel);
	assert_non_null(b);
	block_insert(fake.engine, b, fake.engine->seen);
	assert_non_null(reloc_copy(fake.engine, b, at + PAGE_SIZE));
	PAGE[0x133] = 0xf4;
	assert_null(reloc_copy(fake.engine, b, at + PAGE_SIZE));
	PAGE[0x133] = 0xc3;
	PAGE[0x122] = PAGE[0x134] = 0xf4; /* none of its */
	assert_non_null(reloc_copy(fake.engine, b, at + PAGE_SIZE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_user),
		cmocka_unit_test(test_notices),
		cmocka_unit_test(test_changed),
	};
	int ret;

	fake_watchdog(120);
	fake_open(&fake, 0);
	kernel = fake.cpu[0]->mode;
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	fake_close(&fake);
	return ret;
}
