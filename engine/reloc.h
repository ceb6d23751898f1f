/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks that are moved. A library's code is at another address in every
 * process, and what a block was translated to depends on that address in a
 * few places only. They are noted while it is translated, so that the block
 * at another address is a copy.
 */
#ifndef ENGINE_RELOC_H
#define ENGINE_RELOC_H

#include "engine/internal.h"

/*
 * What a place holds. Values of the guest's are encoded by their size, so a
 * place is bound to a class of values: a copy whose value is of another class
 * would not be what the translator makes, and is not made.
 */
enum reloc_kind {
	RELOC_STUB,   /* rel32 to a fixed piece of host code */
	RELOC_S32,    /* imm32 that is sign-extended */
	RELOC_NEG32,  /* the same, negative: others are RELOC_U32 */
	RELOC_U32,    /* imm32 that is zero-extended */
	RELOC_HIGH32, /* the same, bit 31 set: others are RELOC_S32 */
	RELOC_64,     /* imm64 that none of these can hold */
	RELOC_LOW32,  /* imm32, of any value its low half */
	RELOC_ANY64,  /* eight bytes of data, any value */
	RELOC_TLB,    /* disp32 of a TLB entry */
	RELOC_XID,    /* disp32 of an execute entry's id */
	RELOC_LINK,   /* imm64, struct link */
	RELOC_CALL,   /* imm64, struct insn_call */
	RELOC_INSN,   /* imm64, struct insn of such */
};

void reloc_note(struct trans *t, enum reloc_kind kind, const uint8_t *at);

/* Emit, and note: a store of @rip to the state, S0 is lost; */
void reloc_st_rip(struct trans *t, uint64_t rip);
/* an address of the guest's; */
void reloc_mov_gva(struct trans *t, unsigned int reg, uint64_t gva);
/* a pointer, of kind LINK, CALL or INSN, to S0; */
void reloc_mov_ptr(struct trans *t, enum reloc_kind kind, const void *p);
/* a jump or call to a stub. */
void reloc_jmp(struct trans *t, const uint8_t *stub);
void reloc_call(struct trans *t, const uint8_t *stub);
/*
 * Note a value that was encoded as an immediate of 32 bits where it can be
 * one that is sign-extended, and by emit_mov_imm() where not.
 */
void reloc_note_imm(struct trans *t, const uint8_t *at, uint64_t val);

/*
 * The block @from, as it is at @rip: neither inserted nor linked. Engine's
 * lock. NULL: it has to be translated, since a value changes its class, the
 * page's bytes are not those of the block any more, or memory is full.
 */
struct block *reloc_copy(struct engine *engine, const struct block *from,
			 uint64_t rip) __must_check;

/* ---- what is copied, and where copies are (engine/moved.c) ---- */

/* Blocks made of others: a part of code memory of their own. */
struct copies {
	uint64_t start, used, end, max; /* offsets; end is between */
	struct block **templates; /* hash by page, offset in it and mode */
	uint8_t *meta;
	uint64_t meta_used;
	struct block **by_code;
	unsigned int n;
	uint8_t *made[2]; /* hashed sets: lately, and before that */
	unsigned int nmade;
	unsigned int again; /* in them when made, since last emptied */
};

int moved_init(struct engine *engine);
void moved_fini(struct engine *engine);
void *moved_alloc(struct engine *engine, size_t size, size_t align);
void template_add(struct engine *engine, struct block *b);
void template_remove(struct engine *engine, struct block *b);
/*
 * A block of 64-bit code, not inserted, made of one at another address. NULL
 * with *err = -ENOSPC: copies have to be dropped first; else none can be made.
 */
struct block *moved_block(struct engine *engine, struct codepage *p,
			  uint64_t rip, uint64_t mode, int *err);
void moved_add(struct engine *engine, struct block *b);
/* Drop all copies; exclusive section. */
void moved_drop(struct engine *engine);
void moved_reset(struct engine *engine); /* they are gone already */

#endif
