/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Software TLB, gva -> hva, read by translated code without a call.
 *
 * A hit is: ((gva ^ entry.tag) <= 4096 - size), then entry.hva + that xor is
 * the host address; one test covers the page and page crossing. Three views
 * split privilege: user, kernel with SMAP in force, kernel with AC set.
 * Besides data entries a view holds the jump cache (gva -> host code) and the
 * execute entries that allow direct jumps across pages.
 *
 * Everything here is derived: any entry may be dropped at any moment.
 */
#ifndef CPU_TLB_H
#define CPU_TLB_H

#include "cpu/cpu.h"
#include "cpu/mem.h"

#define TLB_BITS     12
#define TLB_ENTRIES  (1u << TLB_BITS)
#define XTLB_ENTRIES TLB_ENTRIES
#define JC_ENTRIES   16384u /* jump cache, indexed by the low bits of gva */
#define JC_SETS      (JC_ENTRIES / TLB_ENTRIES)
#define TLB2_ENTRIES 4096u
#define TLB_SPACES   32u

enum tlb_view_id { VIEW_USER, VIEW_KERNEL, VIEW_KERNEL_AC, VIEW_COUNT };

struct phys_range;

struct tlb_entry {
	uint64_t tag; /* gva of the page; empty: never equal in index bits */
	uint64_t hva; /* of the page's first byte */
};

struct jc_entry {
	uint64_t gva;  /* linear address of the target (cs.base included) */
	uint64_t code; /* host address of translated code */
};

/* What an execute entry means; C side only. */
struct xtlb_entry {
	uint64_t gva; /* page; ~0: empty */
	uint64_t hva; /* of the page */
	gpa_t gpa;
	void *page; /* engine's struct codepage, or NULL */
};

struct tlb_view {
	struct tlb_entry r[TLB_ENTRIES];
	struct tlb_entry w[TLB_ENTRIES];
	struct jc_entry jc[JC_ENTRIES];
	uint32_t xid[XTLB_ENTRIES]; /* checked by code; 0 = empty */
	struct xtlb_entry x[XTLB_ENTRIES];
};

/* Set of filled entries of a table: a bit each, and one per 64 of them. */
struct tlb_filled {
	uint64_t any;
	uint64_t bits[TLB_ENTRIES / 64];
};

struct jc_filled {
	struct tlb_filled set[JC_SETS];
	uint64_t pages[4]; /* hashed set of the pages they are in */
};

struct tlb_regions {
	uint64_t bits[16];
};

struct tlb2_entry {
	uint64_t gva; /* page | MMU_* | pkey << 8 */
	uint64_t gen; /* 0: empty */
	uint64_t hva; /* of the page, 0: not RAM */
	uint64_t gpa; /* page | PHYS_* */
};

/* An address space whose second-level entries are still good. */
struct tlb_space {
	uint64_t cr3; /* table and PCID */
	uint64_t gen; /* 0: none */
};

struct cpu_tlb {
	struct tlb_view view[VIEW_COUNT];
	uint64_t
		jc_mode[VIEW_COUNT]; /* mode word the jump cache was made for */
	/*
	 * Bookkeeping of cpu/tlb.c: which entries are filled, so that a flush
	 * costs what was used; [0] not global, [1] global.
	 */
	struct tlb_filled filled[2][VIEW_COUNT][3]; /* by ACC_READ .. EXEC */
	struct jc_filled jc_filled[2][VIEW_COUNT];
	/*
	 * Second level: address translations of all address spaces, not read
	 * by code. A generation names an address space between two flushes.
	 */
	uint64_t gen;        /* of the current address space */
	uint64_t gen_global; /* of global entries */
	uint64_t gen_last;   /* the newest given out */
	uint64_t space;      /* CR3 that gen stands for, with its PCID */
	struct tlb_space spaces[TLB_SPACES];
	/* hashed sets of regions with 2M/4M [0] and 1G [1] pages, by global */
	struct tlb_regions large[2][2];
	uint32_t range_hint; /* index of the last used physmap range */
	struct tlb2_entry l2[TLB2_ENTRIES];
};

static inline unsigned int tlb_index(gva_t gva)
{
	return gva >> 12 & (TLB_ENTRIES - 1);
}

static inline unsigned int xtlb_index(gva_t gva)
{
	return gva >> 12 & (XTLB_ENTRIES - 1);
}

/* Make every entry empty; once, before first use. */
void tlb_init(struct cpu *cpu);

/* What a lookup gave. */
struct tlb_result {
	uint8_t *hva; /* of the byte, NULL: MMIO (or write to a ROM slot) */
	gpa_t gpa;    /* of the byte */
	bool cached;  /* an entry was made; else use hva once */
};

/*
 * Translate @gva for @acc (privilege from ACC_USER/ACC_SYSTEM and the view)
 * and cache it where allowed. Raises page faults. Not cached: MMIO, writes to
 * pages that hold translated code (after cpu->code->write() had its say for
 * [gva, gva+size)), writes to clean pages with dirty logging are logged first.
 * [gva, gva + size) must lie within one page.
 */
void tlb_fill(struct cpu *cpu, gva_t gva, unsigned int size, unsigned int acc,
	      struct tlb_result *out);

/*
 * Translate for execution. Returns the x entry of the page, filled; its page
 * and xid fields are the engine's to set when they are empty (xid 0).
 * Raises page faults. NULL: not RAM.
 */
struct xtlb_entry *tlb_fill_exec(struct cpu *cpu, gva_t gva);

/* The physmap range of @gpa, or NULL; remembers the last answer. */
const struct phys_range *tlb_range(struct cpu *cpu, gpa_t gpa);

/* C is about to store to @hva without tlb_fill(): see to translated code. */
void tlb_before_write(struct cpu *cpu, uint8_t *hva, unsigned int size);

/* View whose entries an access with @acc may use and fill. */
unsigned int tlb_view_of(const struct cpu *cpu, unsigned int acc);

/* Drop everything that is not global / everything / one page. */
void tlb_flush_nonglobal(struct cpu *cpu);
void tlb_flush_all(struct cpu *cpu);
void tlb_flush_page(struct cpu *cpu, gva_t gva);

/* INVPCID of one address space that may not be the current one: all of its
 * entries, or those of one page; global ones stay. */
void tlb_flush_pcid(struct cpu *cpu, unsigned int pcid);
void tlb_flush_pcid_page(struct cpu *cpu, unsigned int pcid, gva_t gva);

/* Rights are judged anew, translations stay: after a change of PKRU, CR0.WP,
 * CR4.SMAP, CR4.SMEP. */
void tlb_flush_rights(struct cpu *cpu);

/* Drop write entries that lead to the host page @hva (now holds code or is
 * to be dirty-logged again); NULL: all write entries. */
void tlb_drop_write(struct cpu *cpu, const uint8_t *hva);

/* Drop execute entries and jump caches of every view. */
void tlb_drop_exec(struct cpu *cpu);

/* Enter gva -> code in a view's jump cache. */
void tlb_jc_set(struct cpu *cpu, unsigned int view, gva_t gva, void *code);
void tlb_jc_flush(struct cpu *cpu, unsigned int view);

/*
 * CR3 switch with PCID: entries of the old address space may be kept aside
 * and brought back; @noflush is bit 63 of the CR3 write.
 */
void tlb_switch_cr3(struct cpu *cpu, uint64_t old_cr3, uint64_t new_cr3,
		    bool noflush);

#endif
