/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which blocks are copied for other addresses (engine/reloc.h), and where the
 * copies are. Most are of processes that end soon, so they have a part of
 * code memory to themselves that is emptied when it is full: their templates
 * stay, and copies that are still wanted are soon made again. The part is
 * small as long as that pays, since what is written and run over and over
 * stays in the processor's caches; it grows where much is made again.
 */
#include "engine/reloc.h"

#include "lib/check.h"

#include <errno.h>
#include <string.h>

#define MAX_TRIES   4 /* templates of a place, of several classes */
#define MAX_COPIES  (1u << 18)
#define PART_MIN    8 /* of the most, and so many blocks of any size */
#define META_SIZE   (96ULL << 20)
#define META_SPARE  (64ULL << 10) /* what one block may need */
#define MADE_BITS   22
#define MADE_MOST   (1u << 17) /* then the older set is forgotten */
#define MADE_SIZE   (BIT64(MADE_BITS) / 8)
#define HASH_SIZE   (sizeof(void *) << BLOCK_HASH_BITS)
#define GROW_SHARE  4 /* made again, of all: more than a quarter */
#define SHRINK_PART 8 /* less than this part */

static uint64_t least(const struct copies *c)
{
	return MAX(c->max / PART_MIN, PART_MIN * BLOCK_ROOM);
}

int moved_init(struct engine *engine)
{
	struct copies *c = meta_reserve(sizeof(*c));

	engine->copies = c;
	if (!c)
		return -1;
	c->start = CODE_FIXED;
	c->max = ALIGN_UP(engine->code_size / 3, PAGE_SIZE);
	c->templates = meta_reserve(HASH_SIZE);
	c->meta = meta_reserve(META_SIZE);
	c->by_code = meta_reserve(MAX_COPIES * sizeof(void *));
	c->made[0] = meta_reserve(MADE_SIZE);
	c->made[1] = meta_reserve(MADE_SIZE);
	if (!c->templates || !c->meta || !c->by_code || !c->made[0] ||
	    !c->made[1])
		return -1;
	c->end = MIN(c->max, c->start + least(c));
	c->used = c->start;
	return 0;
}

void moved_fini(struct engine *engine)
{
	struct copies *c = engine->copies;

	if (!c)
		return;
	meta_release(c->templates, HASH_SIZE);
	meta_release(c->meta, META_SIZE);
	meta_release(c->by_code, MAX_COPIES * sizeof(void *));
	meta_release(c->made[0], MADE_SIZE);
	meta_release(c->made[1], MADE_SIZE);
	meta_release(c, sizeof(*c));
}

void *moved_alloc(struct engine *engine, size_t size, size_t align)
{
	struct copies *c = engine->copies;
	uint64_t at = ALIGN_UP(c->meta_used, align);

	if (at + size > META_SIZE)
		return NULL;
	c->meta_used = at + size;
	return c->meta + at;
}

/* ---- templates ---- */

static struct block **head_of(struct engine *engine, const struct codepage *p,
			      uint64_t rip, uint64_t mode)
{
	return &engine->copies
			->templates[block_hash(p, rip & ~PAGE_MASK, mode)];
}

void template_add(struct engine *engine, struct block *b)
{
	struct block **head = head_of(engine, b->page[0], b->rip, b->mode);

	b->template_next = *head;
	*head = b;
}

void template_remove(struct engine *engine, struct block *b)
{
	struct block **at = head_of(engine, b->page[0], b->rip, b->mode);

	while (*at != b)
		at = &(*at)->template_next;
	*at = b->template_next;
}

/* From @b on, the first of this place. */
static struct block *next_of(struct block *b, const struct codepage *p,
			     uint64_t rip, uint64_t mode)
{
	while (b && (b->page[0] != p || b->mode != mode ||
		     (b->rip ^ rip) & ~PAGE_MASK))
		b = b->template_next;
	return b;
}

/* ---- copies ---- */

static bool full(const struct copies *c)
{
	return c->used + BLOCK_ROOM > c->end ||
	       c->meta_used + META_SPARE > META_SIZE || c->n == MAX_COPIES;
}

/* Count what was made before, in the time that is remembered. */
static void note_made(struct copies *c, const struct codepage *p, uint64_t rip)
{
	uint64_t h = ((uintptr_t)p >> 6 ^ rip) * 0x9e3779b97f4a7c15ULL;
	unsigned int bit = h >> (64 - MADE_BITS);

	if ((c->made[0][bit / 8] | c->made[1][bit / 8]) >> bit % 8 & 1)
		c->again++;
	if (c->made[0][bit / 8] >> bit % 8 & 1)
		return;
	c->made[0][bit / 8] |= 1 << bit % 8;
	c->nmade++;
}

struct block *moved_block(struct engine *engine, struct codepage *p,
			  uint64_t rip, uint64_t mode, int *err)
{
	struct copies *c = engine->copies;
	struct block *from = next_of(*head_of(engine, p, rip, mode), p, rip,
				     mode);
	struct block *b = NULL;

	if (from && full(c)) {
		*err = -ENOSPC;
		return NULL;
	}
	for (int i = 0; from && !b && i < MAX_TRIES; i++) {
		b = reloc_copy(engine, from, rip);
		from = next_of(from->template_next, p, rip, mode);
	}
	if (b)
		note_made(c, p, rip);
	return b;
}

void moved_add(struct engine *engine, struct block *b)
{
	struct copies *c = engine->copies;

	c->by_code[c->n] = b;
	__atomic_store_n(&c->n, c->n + 1, __ATOMIC_RELEASE);
}

static void empty(struct copies *c)
{
	c->n = 0;
	c->meta_used = 0;
	c->used = c->start;
	c->again = 0;
}

void moved_reset(struct engine *engine)
{
	empty(engine->copies);
	memset(engine->copies->templates, 0, HASH_SIZE);
}

static void forget(struct copies *c)
{
	uint8_t *old = c->made[1];

	c->made[1] = c->made[0];
	c->made[0] = old;
	c->nmade = 0;
	memset(old, 0, MADE_SIZE);
}

static void fit(struct copies *c)
{
	uint64_t size = c->end - c->start;

	if (c->again > c->n / GROW_SHARE)
		size *= 2;
	else if (c->again < c->n / SHRINK_PART)
		size = MAX(size / 2, least(c));
	c->end = MIN(c->start + size, c->max);
}

void moved_drop(struct engine *engine)
{
	struct copies *c = engine->copies;

	for (unsigned int i = 0; i < c->n; i++)
		if (c->by_code[i]->valid)
			block_invalidate(engine, c->by_code[i]);
	fit(c);
	if (c->nmade > MADE_MOST)
		forget(c);
	empty(c);
	engine->flush_gen++;
	for (unsigned int i = 0; i < engine->ncpus; i++)
		if (engine->cpus[i])
			tlb_drop_exec(engine->cpus[i]);
}
