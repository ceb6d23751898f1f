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

#define TLB_BITS     10
#define TLB_ENTRIES  (1u << TLB_BITS)
#define JC_ENTRIES   4096u /* jump cache, indexed by the low bits of gva */
#define XTLB_ENTRIES 1024u

enum tlb_view_id { VIEW_USER, VIEW_KERNEL, VIEW_KERNEL_AC, VIEW_COUNT };

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

struct cpu_tlb {
	struct tlb_view view[VIEW_COUNT];
	uint64_t
		jc_mode[VIEW_COUNT]; /* mode word the jump cache was made for */
	/*
	 * Bookkeeping of cpu/tlb.c: which entries are filled (so that a flush
	 * costs what was used), which of them are global.
	 */
	struct {
		uint32_t count; /* > TLB_LOG: flush everything */
		struct {
			uint8_t view, kind; /* kind: ACC_READ/WRITE/EXEC */
			uint16_t index;
		} log[2048];
	} filled[2];                   /* [0] not global, [1] global */
	uint32_t jc_count[VIEW_COUNT]; /* > limit: memset */
	uint16_t jc_log[VIEW_COUNT][1024];
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

/* Drop everything that is not global / everything / one page. */
void tlb_flush_nonglobal(struct cpu *cpu);
void tlb_flush_all(struct cpu *cpu);
void tlb_flush_page(struct cpu *cpu, gva_t gva);

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
