/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this room share: blocks, links, pages with code, the
 * translator's working state. Nothing here is seen outside.
 */
#ifndef ENGINE_INTERNAL_H
#define ENGINE_INTERNAL_H

#include "cpu/insn.h"
#include "cpu/mode.h"
#include "cpu/tlb.h"
#include "engine/emit.h"
#include "engine/engine.h"
#include "lib/lock.h"

#define PAGE_SIZE 4096ULL
#define PAGE_MASK (~(PAGE_SIZE - 1))

/* ---- where things are, relative to rsp in translated code ---- */
#define OFF_TLB ((int32_t)ALIGN_UP(sizeof(struct cpu), 4096UL))
#define OFF_RUN (OFF_TLB + (int32_t)ALIGN_UP(sizeof(struct cpu_tlb), 4096UL))
#define OFF_EC  (OFF_RUN + 4096)
#define OFF_VIEW(v)                                           \
	(OFF_TLB + (int32_t)(offsetof(struct cpu_tlb, view) + \
			     (v) * sizeof(struct tlb_view)))
#define OFF_GPR(r)     ((int32_t)offsetof(struct cpu, gpr) + 8 * (int)(r))
#define OFF(field)     ((int32_t)offsetof(struct cpu, field))
#define OFF_SCRATCH(i) (OFF(scratch) + 8 * (i))
#define OFF_FLAGS      OFF(of) /* of, ah: one 16-bit word */
/* immediate_exit and the engine's doorbell, bytes 1 and 2 of kvm_run */
#define OFF_DOORBELL   (OFF_RUN + 1)

/* Host registers with a role of their own. */
#define S0     H_R10
#define S1     H_R11
#define GSP    H_R15 /* guest rsp */
#define NOHOST 0xff

/* Host register of a guest register, NOHOST for those that live in memory. */
static inline unsigned int home(unsigned int guest)
{
	static const uint8_t map[16] = {
		H_RAX, H_RCX, H_RDX,  H_RBX,  GSP,   H_RBP, H_RSI, H_RDI,
		H_R8,  H_R9,  NOHOST, NOHOST, H_R12, H_R13, H_R14, NOHOST,
	};

	return map[guest];
}

/* Why translated code came back, in eax. */
enum leave_reason {
	LEAVE_DISPATCH, /* rip is set */
	LEAVE_LINK,     /* exit_arg: struct link, not linked yet */
	LEAVE_EXEC,     /* exit_arg: struct insn_call */
	LEAVE_SLOW,     /* rip set: run this one on a bounce buffer */
	LEAVE_FAULT,    /* cpu->raised was set by a host fault */
	LEAVE_STALE,    /* rip set: the block entered was invalidated */
	LEAVE_COUNT,    /* rip set: a counter is close to its end */
	LEAVE_BOUNCED,  /* end of code made for one slow instruction */
};

struct insn_call {
	exec_fn *fn;
	struct insn insn;
};

/* ---- pages and blocks ---- */

/* A host page that holds, or held, translated guest code. */
struct codepage {
	struct codepage *hash_next;
	uint8_t *hva;
	struct block *blocks; /* list through page_next[0 or 1] */
	uint64_t granules;    /* 64-byte pieces some block depends on */
	uint8_t *copy;        /* bytes as translated, for re-comparison */
	uint32_t acquire_gen; /* engine's, when last compared */
	bool code;            /* stores must be told to us */
	bool mapped, aliased; /* at an address; at several */
};

/* A direct exit of a block. */
struct link {
	struct block *from, *to;
	struct link *next_in; /* list of to->in */
	uint8_t *patch;       /* rel32 of the jump, writable mapping */
	uint8_t *xid_patch;   /* imm32 of the page check, or NULL */
	uint8_t *stub;        /* unlinked target, writable mapping */
	uint64_t rip;         /* where it goes (offset in CS) */
	uint64_t mode;        /* after the jump */
	bool flags_saved;     /* flags are in memory: enter by ind */
};

struct insn_map {
	uint16_t host;     /* offset of the host code from the block's start */
	struct tally left; /* counted, but not retired when it begins */
	uint8_t flags;     /* MAP_* */
};
#define MAP_FLAGS_HOST   1          /* arithmetic flags are in host RFLAGS */
#define MAP_SPILL_REG(f) ((f) >> 4) /* register borrowed for an address */
#define MAP_SPILLED      2

/* The first 64 bytes, a cache line, are what finding and entering one read. */
struct block {
	struct block *hash_next;
	uint64_t rip, cs_base, mode; /* key, with page[0] */
	struct codepage *page[2];    /* [1]: when an instruction crosses */
	uint8_t *ind;                /* entry, executable mapping */
	uint32_t xid1;               /* what page[1]'s entry must hold */
	bool valid, livein;
	uint8_t nlinks, ninsn;
	uint8_t *dir; /* entry for flags in the host's register */
	uint8_t *stale_ind, *stale_dir;
	struct block *template_next;
	struct block *page_next[2];
	struct block **page_at[2]; /* what points here in that list */
	struct link *in;           /* links that lead here */
	struct link *links;
	struct insn_map *map; /* a copy's is its template's, as are lens */
	uint8_t *lens;        /* guest length of each instruction */
	struct reloc *relocs; /* NULL: not to be copied */
	uint8_t *code;        /* writable mapping */
	uint32_t code_size;
	uint16_t start, end; /* bytes depended on, in page[0] */
	uint16_t end1;       /* in page[1], from 0 */
	uint16_t nrelocs;
};

#define CODE_FIXED      4096  /* of code memory: engine/stubs.c */
#define BLOCK_ROOM      16384 /* host bytes a block may take */
#define BLOCK_HASH_BITS 18
#define XMAP_HASH_BITS  16
#define PAGE_HASH_BITS  14
#define MAX_CPUS        1024

struct engine {
	struct engine_config cfg;
	struct lock lock;       /* translations, pages, links */
	struct cpu *lock_owner; /* when a cpu holds it */
	struct lock excl_lock;
	uint32_t excl;  /* 1: exclusive section running */
	uint32_t left;  /* counts departures from guest code */
	uint8_t *rw;    /* code memory, writable mapping */
	int64_t rx_off; /* rx = rw + rx_off */
	uint64_t code_size, code_used, code_start;
	int code_fd;
	uint8_t *meta; /* arena for blocks, links, maps */
	uint64_t meta_size, meta_used;
	uint8_t *perm; /* arena of what outlives a flush */
	uint64_t perm_size, perm_used;
	struct block **by_code; /* in order of their code */
	unsigned int nblocks;
	bool keep_code;        /* a block is being inserted */
	uint64_t map_size;     /* of code memory, slots included */
	uint8_t *free_slot;    /* list of bounce slots given back */
	struct block **hash;   /* by page, rip and mode */
	struct copies *copies; /* engine/reloc.h */
	struct xmap **xmaps;   /* engine/page.c */
	struct codepage **pages;
	uint32_t **pageflags[4096]; /* engine/page.c */
	uint32_t next_xid, flush_gen, acquire_gen;
	struct physmap phys;
	struct cpu *cpus[MAX_CPUS];
	unsigned int ncpus; /* highest used + 1 */
	/* emitted once, executable addresses */
	uint64_t (*enter)(struct cpu *cpu, void *code);
	uint8_t *leave[8], *exec_stub, *pause_stub;
	uint8_t *mem_stub[2]; /* slow memory access: read, write */
	struct work *work;    /* translator's, under lock */
	/*
	 * What a block is made of: its page and the start of the next. Others
	 * may store to both meanwhile, so they are read once.
	 */
	uint8_t seen[PAGE_SIZE + 64];
};

/* The engine's private part of a cpu. */
struct engine_cpu {
	struct engine *engine;
	uint8_t *region;
	uint64_t region_size;
	uint8_t *bounce_code; /* writable; its own slot of code memory */
	struct lock code_lock;
	uint32_t code_ack;
	uint32_t invalidations;     /* by our own stores */
	uint8_t *storing;           /* code page, store maybe still to come */
	bool do_slow;               /* run the instruction at rip by slow.c */
	bool guard;                 /* inside engine_guard() */
	enum cpu_exit_kind pending; /* access the client answers */
	struct link *link;          /* exit that waits for its target */
	uint32_t link_gen;
	struct slow *slow; /* engine/slow.h */
};

static inline struct engine_cpu *ec_of(struct cpu *cpu)
{
	return (struct engine_cpu *)((uint8_t *)cpu + OFF_EC);
}

static inline uint8_t *to_rx(const struct engine *e, uint8_t *rw)
{
	return rw + e->rx_off;
}

/* ---- memory references of an instruction ---- */
struct memref {
	uint8_t seg, base, index, scale, asize;
	int64_t disp;
	bool absolute; /* disp is the whole offset (rip-relative, moffs) */
	bool rip_rel;
	/* BT and its like: the offset of a bit in register bit_reg, too */
	uint8_t bit_size, bit_reg; /* size of the register, 0: not so */
};

/* Which bytes are accessed, and alignment (engine/mask.c). */
enum mask_kind { MASK_NONE, MASK_K, MASK_PACKED, MASK_VEC };
struct mem_rule {
	uint8_t kind, reg;
	uint8_t grain; /* bytes an element has in memory */
	uint8_t lanes; /* elements of the mask */
	uint8_t align; /* #GP(0) if not so aligned; 0: any */
	bool align_mm; /* unless MXCSR.MM is set */
	bool x87;      /* pending exceptions of the x87 come first */
};

#define MAX_BOUNCE  3
#define BOUNCE_SIZE 1024
struct bounce_ref {
	struct memref m;
	uint16_t size;
	uint8_t acc; /* ACC_READ or ACC_WRITE (then read too, if rmw) */
	bool reads;
	struct mem_rule rule;
};

struct reloc {        /* what moves with a block's address */
	uint16_t at;  /* offset from the block's start */
	uint8_t kind; /* enum reloc_kind */
	bool rip_rel; /* CALL, INSN: an operand is so, too */
};

/* ---- translator's working state (engine/translate.c) ---- */
struct dinsn;
struct trans {
	struct emit e;
	struct engine *engine;
	struct cpu *cpu;
	struct block *b;
	uint64_t mode;
	unsigned int view;
	uint8_t bits; /* 16, 32, 64 */
	/* current instruction */
	const struct dinsn *d;
	uint64_t rip, next_rip;
	/* where the arithmetic flags are */
	bool flags_host, flags_mem;
	/* bounce mode: accesses are recorded, addresses are the buffer's */
	bool bounce;
	struct bounce_ref refs[MAX_BOUNCE];
	unsigned int nrefs;
	bool spilled;
	uint8_t spill_reg;
	bool op_flags_host; /* when the copied instruction runs */
	uint32_t count;     /* classes to count, enum count_class */
	struct tally left;  /* counted from the current instruction on */
	/* cold code, emitted after the block */
	struct cold {
		uint8_t kind;
		uint8_t acc;
		uint16_t size;
		uint8_t *from; /* rel32 that leads here */
		uint8_t *back;
		uint64_t rip;
		struct link *link;
		int32_t tag_disp;
		uint64_t gva; /* when tag_disp is 0 */
		bool rip_rel; /* so it is */
		struct mem_rule rule;
		struct tally left;  /* as the block's map has it */
		struct tally carry; /* COLD_COUNT: engine/count.c */
		uint8_t class;
	} cold[160];
	unsigned int ncold;
	struct link *links;
	unsigned int nlinks;
	bool too_big;
	bool fixed; /* the block cannot be copied: engine/reloc.h */
	struct reloc relocs[1024];
	unsigned int nrelocs;
};

enum cold_kind {
	COLD_MEM,
	COLD_LINK,
	COLD_SLOW,
	COLD_STALE,
	COLD_JC,
	COLD_COUNT,
	COLD_PAUSE
};

/* engine/mem_s.c: leave the host address of an access in S0. */
void mem_addr(struct trans *t, const struct memref *m, unsigned int size,
	      unsigned int acc, bool reads);
/* Only the offset (LEA) in @dst (host), truncated to the address size. */
void mem_ea(struct trans *t, const struct memref *m, unsigned int dst);

/* engine/flagsave.c */
void flags_save(struct trans *t);    /* memory copy made valid */
void flags_restore(struct trans *t); /* host flags made valid */
/* Host flags are about to be destroyed while the guest's still matter. */
void flags_protect(struct trans *t);

/* engine/copy.c: emit one instruction as it is. */
void copy_insn(struct trans *t);

/* engine/strop.c: K_STRING */
void strop_insn(struct trans *t);

/* engine/flow.c */
bool flow_insn(struct trans *t, bool last); /* true: ends the block */
void flow_exit_to(struct trans *t, uint64_t rip, uint64_t mode);
void flow_call_exec(struct trans *t, exec_fn *fn, bool end);
void flow_slow(struct trans *t);
void flow_sign_extend(struct trans *t); /* bits 63-48 of S1 := bit 47 */
void flow_jcc_exit(struct trans *t, enum host_cc cc, uint64_t rip);

struct cold *cold_add(struct trans *t, enum cold_kind kind, uint8_t *from);

/* engine/translate.c: under the engine's lock, host's vector state */
struct block *translate(struct cpu *cpu, struct codepage *page,
			struct codepage *next, uint32_t xid1, int *err);

void trans_insn(struct trans *t, const struct dinsn *d, struct insn *out);

/* engine/page.c: code pages, blocks, invalidation, code memory. */
int page_init(struct engine *engine);
void page_fini(struct engine *engine);
struct codepage *page_get(struct engine *engine, uint8_t *hva);
uint32_t page_xid(struct engine *engine, struct codepage *p, gva_t gva);
void page_mark_code(struct cpu *cpu, struct codepage *p);
void page_settle(struct cpu *cpu, struct codepage *p);
struct block *block_alloc(struct engine *engine); /* NULL: no memory */
struct block *block_find(struct engine *engine, struct codepage *p,
			 uint64_t rip, uint64_t cs_base, uint64_t mode);
unsigned int block_hash(const struct codepage *p, uint64_t rip, uint64_t mode);
/* @seen: the bytes it was made of, a page and the next; NULL: a copy. */
void block_insert(struct engine *engine, struct block *b, const uint8_t *seen);
void block_invalidate(struct engine *engine, struct block *b);
void link_to(struct engine *engine, struct link *l, struct block *to,
	     uint32_t xid);
struct block *block_by_code(struct engine *engine, const uint8_t *rx);
bool blocks_full(const struct engine *engine);
void page_invalidate_range(struct engine *engine, const uint8_t *hva,
			   uint64_t size);
/* Without the lock: some page of the range may be code. */
bool page_holds_code(struct engine *engine, const uint8_t *hva, uint64_t size);
void *meta_alloc(struct engine *engine, size_t size);
void *meta_reserve(uint64_t size);
void meta_release(void *p, uint64_t size); /* may be NULL */
/* Drop every translation; exclusive section. */
void page_flush_all(struct engine *engine);
/* Bytes changed behind our back: compare, invalidate. */
void page_revalidate(struct engine *engine, struct codepage *p);
extern const struct cpu_code_ops page_code_ops;

/* engine/excl.c */
void engine_lock(struct cpu *cpu); /* parks for exclusive sections */
void engine_unlock(struct engine *engine);
void engine_answer_code(struct cpu *cpu);
void engine_enter_guest(struct cpu *cpu);
void engine_leave_guest(struct cpu *cpu);
void engine_park(struct cpu *cpu);
/* From inside engine_run(), at an instruction boundary. */
void excl_begin_self(struct cpu *cpu);
void excl_end_self(struct cpu *cpu);

/* engine/mask.c */
/* Faults that come before those of the address. */
void mask_check(struct cpu *cpu, const struct mem_rule *r, gva_t gva);
uint64_t mask_bytes(const struct mem_rule *r, unsigned int size);

/* engine/x87env.c: raise a pending exception; guest state is live */
void x87_wait(struct cpu *cpu);
/* The last instruction met an exception that keeps a result from memory. */
bool x87_withheld(void);

/* engine/run.c */
/* Instruction bytes at rip; raises faults. Returns how many, at most 15. */
unsigned int run_fetch(struct cpu *cpu, uint8_t *bytes);
struct codepage *run_code_page(struct cpu *cpu, gva_t gva, uint32_t *xid);
/* A C function met client memory that is not there: CPU_EXIT_EFAULT. */
void run_efault(struct cpu *cpu) __noreturn;

/* engine/hostfault.c */
int hostfault_register(struct engine *engine);
void hostfault_unregister(struct engine *engine);
void hostfault_enter(struct cpu *cpu);
void hostfault_leave(void);

#endif
