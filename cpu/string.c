/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MOVS, STOS, LODS, CMPS, SCAS. A run is cut into chunks that lie in one page
 * on each side; a chunk is done by the host's own instruction of the same
 * element size and direction on host addresses, which has the architecture's
 * meaning for overlapping operands too. Registers move on after each chunk,
 * so faults and interrupts find an iteration boundary.
 *
 * SDM 1 7.3.9 "String Operations", SDM 2B "REP/REPE/REPNE". Elements in MMIO
 * are left to the engine (EXEC_SLOW).
 */
#include "cpu/insn.h"
#include "cpu/mem.h"
#include "cpu/mode.h"
#include "x86/paging.h"

#define MAX_BYTES 65536 /* before a look at the doorbell's owner */

/* One access each, whatever the alignment. */
typedef uint16_t __attribute__((aligned(1), may_alias)) any16;
typedef uint32_t __attribute__((aligned(1), may_alias)) any32;
typedef uint64_t __attribute__((aligned(1), may_alias)) any64;

struct run {
	struct cpu *cpu;
	const struct insn *i;
	unsigned int size;  /* of an element */
	unsigned int shift; /* the same as a power of two */
	uint64_t mask;      /* of the address size */
	uint64_t left;      /* iterations to go */
	uint64_t budget;    /* iterations before a safepoint */
	bool rep, down;
	bool repne;
	bool stop;      /* REPE/REPNE condition met */
	uint16_t flags; /* of the last comparison: AH of LAHF, AL of SETO */
	enum cpu_seg src;
};

/* ---- the host's instructions; n is at least 1 ---- */

#define BY_SIZE(r, op)                   \
	do {                             \
		switch ((r)->size) {     \
		case 1: op("b"); break;  \
		case 2: op("w"); break;  \
		case 4: op("l"); break;  \
		default: op("q"); break; \
		}                        \
	} while (0)

#define MOVE_ASM(insn)                               \
	__asm__ volatile(insn                        \
			 : "+D"(d), "+S"(s), "+c"(n) \
			 : "a"(val)                  \
			 : "memory", "cc")

/* MOVS from @s to @d; STOS of @val to @d. */
static void host_movs(const struct run *r, uint8_t *d, const uint8_t *s,
		      uint64_t n)
{
	uint64_t val = 0;

#define UP(suffix)   MOVE_ASM("rep movs" suffix)
#define DOWN(suffix) MOVE_ASM("std; rep movs" suffix "; cld")
	if (r->down)
		BY_SIZE(r, DOWN);
	else
		BY_SIZE(r, UP);
#undef UP
#undef DOWN
}

static void host_stos(const struct run *r, uint8_t *d, uint64_t val, uint64_t n)
{
	const uint8_t *s = d;

#define UP(suffix)   MOVE_ASM("rep stos" suffix)
#define DOWN(suffix) MOVE_ASM("std; rep stos" suffix "; cld")
	if (r->down)
		BY_SIZE(r, DOWN);
	else
		BY_SIZE(r, UP);
#undef UP
#undef DOWN
}

/* The flags of the last pair come back in AH (LAHF) and AL (SETO). */
#define COMPARE_ASM(insn)                                       \
	__asm__ volatile(insn "; cld; lahf; seto %%al"          \
			 : "+D"(d), "+S"(s), "+c"(n), "+a"(val) \
			 :                                      \
			 : "memory", "cc")

/* CMPS of @s and @d; SCAS of @val and @d. Returns iterations left. */
static uint64_t host_cmps(struct run *r, const uint8_t *s, const uint8_t *d,
			  uint64_t n)
{
	uint64_t val = 0;

#define E_UP(suffix)    COMPARE_ASM("repe cmps" suffix)
#define E_DOWN(suffix)  COMPARE_ASM("std; repe cmps" suffix)
#define NE_UP(suffix)   COMPARE_ASM("repne cmps" suffix)
#define NE_DOWN(suffix) COMPARE_ASM("std; repne cmps" suffix)
	if (r->repne && r->down)
		BY_SIZE(r, NE_DOWN);
	else if (r->repne)
		BY_SIZE(r, NE_UP);
	else if (r->down)
		BY_SIZE(r, E_DOWN);
	else
		BY_SIZE(r, E_UP);
#undef E_UP
#undef E_DOWN
#undef NE_UP
#undef NE_DOWN
	r->flags = val;
	return n;
}

static uint64_t host_scas(struct run *r, const uint8_t *d, uint64_t val,
			  uint64_t n)
{
	const uint8_t *s = d;

#define E_UP(suffix)    COMPARE_ASM("repe scas" suffix)
#define E_DOWN(suffix)  COMPARE_ASM("std; repe scas" suffix)
#define NE_UP(suffix)   COMPARE_ASM("repne scas" suffix)
#define NE_DOWN(suffix) COMPARE_ASM("std; repne scas" suffix)
	if (r->repne && r->down)
		BY_SIZE(r, NE_DOWN);
	else if (r->repne)
		BY_SIZE(r, NE_UP);
	else if (r->down)
		BY_SIZE(r, E_DOWN);
	else
		BY_SIZE(r, E_UP);
#undef E_UP
#undef E_DOWN
#undef NE_UP
#undef NE_DOWN
	r->flags = val;
	return n;
}

/* ---- one side of a chunk ---- */

/* An operand of the chunk under way. */
struct side {
	enum cpu_seg seg;
	unsigned int kind; /* ACC_READ, ACC_WRITE */
	uint64_t off;
	gva_t gva;    /* of the first element */
	uint8_t *hva; /* the same; of @bounce when an element crosses pages */
	uint64_t bounce;
	bool crosses;
};

/* Elements from @s->off on that stay in the page and within the offsets. */
static uint64_t side_room(const struct run *r, const struct side *s)
{
	unsigned int pos = s->gva & PG_OFFSET;
	uint64_t page, wrap;

	if (pos + r->size > PG_SIZE)
		return 1;
	if (r->down) {
		page = pos >> r->shift;
		wrap = s->off >> r->shift;
	} else {
		page = ((PG_SIZE - pos) >> r->shift) - 1;
		wrap = (r->mask - s->off) >> r->shift;
	}
	return MIN(page, wrap) + 1;
}

/* The halves of an element that crosses pages must both be RAM. */
static bool cross_is_ram(const struct run *r, const struct side *s)
{
	struct cpu *cpu = r->cpu;
	unsigned int first = PG_SIZE - (s->gva & PG_OFFSET);
	gva_t next = s->gva + first;
	unsigned int acc = mem_acc(cpu, s->kind);

	if (cpu->code_bits != 64)
		next = (uint32_t)next;
	return mem_hva(cpu, s->gva, first, acc, NULL) &&
	       mem_hva(cpu, next, r->size - first, acc, NULL);
}

/* Begin a chunk: raise what the first element raises; how many may follow. */
static uint64_t side_begin(struct run *r, struct side *s, uint64_t n)
{
	struct cpu *cpu = r->cpu;
	uint64_t room, low;

	s->gva = mem_linear(cpu, s->seg, s->off, r->size, s->kind);
	s->crosses = (s->gva & PG_OFFSET) + r->size > PG_SIZE;
	/* before the other operand is looked at, before lower addresses */
	if (unlikely(s->crosses))
		cross_is_ram(r, s);
	else
		mem_hva(cpu, s->gva, r->size, mem_acc(cpu, s->kind), NULL);
	room = side_room(r, s);
	n = MIN(n, room);
	low = r->down ? s->off - (n - 1) * r->size : s->off;
	if (n > 1 && !mem_in_segment(cpu, s->seg, low, n * r->size, s->kind))
		n = 1;
	return n;
}

/* Find the bytes of @n elements. False: MMIO. */
static bool side_reach(struct run *r, struct side *s, uint64_t n)
{
	struct cpu *cpu = r->cpu;
	unsigned int back = r->down ? (n - 1) * r->size : 0;
	unsigned int acc = mem_acc(cpu, s->kind);
	uint8_t *p;

	if (unlikely(s->crosses)) {
		if (!cross_is_ram(r, s))
			return false;
		if (s->kind == ACC_READ)
			s->bounce = mem_read(cpu, s->gva, r->size, acc);
		s->hva = (uint8_t *)&s->bounce;
		return true;
	}
	p = mem_hva(cpu, s->gva - back, n * r->size, acc, NULL);
	if (!p)
		return false;
	s->hva = p + back;
	return true;
}

/* A write that went to the bounce buffer reaches memory. */
static void side_finish(struct run *r, struct side *s)
{
	if (unlikely(s->crosses))
		mem_write(r->cpu, s->gva, r->size, s->bounce,
			  mem_acc(r->cpu, ACC_WRITE));
}

/* Field by field: an initializer would clear the struct with REP STOS. */
static void side_init(struct side *s, enum cpu_seg seg, unsigned int kind,
		      uint64_t off)
{
	s->seg = seg;
	s->kind = kind;
	s->off = off;
	s->bounce = 0;
}

static void source(const struct run *r, struct side *s)
{
	side_init(s, r->src, ACC_READ, r->cpu->gpr[REG_RSI] & r->mask);
}

static void dest(const struct run *r, struct side *d, unsigned int kind)
{
	side_init(d, SEG_ES, kind, r->cpu->gpr[REG_RDI] & r->mask);
}

/* ---- chunks: iterations done, 0 for MMIO ---- */

static uint64_t movs_chunk(struct run *r, uint64_t n)
{
	struct side s, d;

	source(r, &s);
	dest(r, &d, ACC_WRITE);
	n = side_begin(r, &s, n);
	n = side_begin(r, &d, n);
	if (!side_reach(r, &s, n) || !side_reach(r, &d, n))
		return 0;
	host_movs(r, d.hva, s.hva, n);
	side_finish(r, &d);
	return n;
}

static uint64_t stos_chunk(struct run *r, uint64_t n)
{
	struct side d;

	dest(r, &d, ACC_WRITE);
	n = side_begin(r, &d, n);
	if (!side_reach(r, &d, n))
		return 0;
	host_stos(r, d.hva, r->cpu->gpr[REG_RAX], n);
	side_finish(r, &d);
	return n;
}

static uint64_t lods_chunk(struct run *r, uint64_t n)
{
	uint64_t val = 0;
	const uint8_t *last;
	struct side s;

	source(r, &s);
	n = side_begin(r, &s, n);
	if (!side_reach(r, &s, n))
		return 0;
	last = r->down ? s.hva - (n - 1) * r->size : s.hva + (n - 1) * r->size;
	__builtin_memcpy(&val, last, r->size);
	reg_write(r->cpu, REG_RAX, r->size, val);
	return n;
}

static void judge(struct run *r)
{
	bool equal = r->flags >> 8 & RFLAGS_ZF;

	r->stop = equal == r->repne;
}

static uint64_t cmps_chunk(struct run *r, uint64_t n)
{
	struct side s, d;

	source(r, &s);
	dest(r, &d, ACC_READ);
	n = side_begin(r, &s, n);
	n = side_begin(r, &d, n);
	if (!side_reach(r, &s, n) || !side_reach(r, &d, n))
		return 0;
	n -= host_cmps(r, s.hva, d.hva, n);
	judge(r);
	return n;
}

static uint64_t scas_chunk(struct run *r, uint64_t n)
{
	struct side d;

	dest(r, &d, ACC_READ);
	n = side_begin(r, &d, n);
	if (!side_reach(r, &d, n))
		return 0;
	n -= host_scas(r, d.hva, r->cpu->gpr[REG_RAX], n);
	judge(r);
	return n;
}

/* ---- runs ---- */

/* What moves and what is compared. */
#define USE_SI  1
#define USE_DI  2
#define COMPARE 4

typedef uint64_t chunk_fn(struct run *r, uint64_t n);

static void run_init(struct run *r, struct cpu *cpu, const struct insn *i)
{
	bool word = i->bytes[insn_opcode_at(cpu, i)] & 1;

	r->cpu = cpu;
	r->i = i;
	r->size = word ? i->opsize : 1;
	r->shift = __builtin_ctz(r->size);
	r->mask = i->addrsize == 8 ? ~0ULL : BIT64(i->addrsize * 8) - 1;
	r->rep = i->prefix & (INSN_REP | INSN_REPNE);
	r->repne = i->prefix & INSN_REPNE;
	r->down = cpu->dflag;
	r->stop = false;
	r->src = insn_source_seg(cpu, i);
	r->left = r->rep ? cpu->gpr[REG_RCX] & r->mask : 1;
	r->budget = MAX_BYTES >> r->shift;
	/* stops are wanted after each iteration */
	if (cpu->mode & (MODE_ONE | MODE_WATCH))
		r->budget = 1;
}

static void advance_reg(struct run *r, unsigned int reg, uint64_t n)
{
	uint64_t bytes = n * r->size;

	reg_write(r->cpu, reg, r->i->addrsize,
		  r->cpu->gpr[reg] + (r->down ? -bytes : bytes));
}

static void advance(struct run *r, unsigned int what, uint64_t n)
{
	if (what & USE_SI)
		advance_reg(r, REG_RSI, n);
	if (what & USE_DI)
		advance_reg(r, REG_RDI, n);
	r->left -= n;
	r->budget -= n;
	if (r->rep)
		reg_write(r->cpu, REG_RCX, r->i->addrsize, r->left);
}

/*
 * Nothing to do. Intel's still truncate registers with 32-bit addresses:
 * always the counter, the pointers of MOVS and STOS.
 */
static int run_empty(struct run *r)
{
	struct cpu *cpu = r->cpu;
	uint8_t op = r->i->bytes[insn_opcode_at(cpu, r->i)] | 1;

	if (cpu->vendor_amd || r->i->addrsize != 4 || cpu->code_bits != 64)
		return EXEC_NEXT;
	reg_write(cpu, REG_RCX, 4, 0);
	if (op == 0xa5)
		reg_write(cpu, REG_RSI, 4, cpu->gpr[REG_RSI]);
	if (op == 0xa5 || op == 0xab)
		reg_write(cpu, REG_RDI, 4, cpu->gpr[REG_RDI]);
	return EXEC_NEXT;
}

static void take_flags(struct run *r)
{
	cpu_set_arith(r->cpu,
		      (r->flags >> 8 & 0xff) | (r->flags & 1 ? RFLAGS_OF : 0));
}

static int run_string(struct cpu *cpu, const struct insn *i, chunk_fn *chunk,
		      unsigned int what)
{
	struct run r;

	run_init(&r, cpu, i);
	if (!r.left)
		return run_empty(&r);
	for (;;) {
		uint64_t n = chunk(&r, MIN(r.left, r.budget));

		if (!n)
			return EXEC_SLOW;
		advance(&r, what, n);
		if (what & COMPARE && cpu->vendor_amd)
			take_flags(&r);
		if (!r.left || r.stop)
			break;
		if (!r.budget ||
		    __atomic_load_n(cpu->doorbell, __ATOMIC_RELAXED))
			return EXEC_AGAIN;
	}
	/* only now: a later fault shows Intel's flags from before */
	if (what & COMPARE)
		take_flags(&r);
	return EXEC_NEXT;
}

/*
 * One element without REP, as boot loaders copy. False when it has to go the
 * long way, which starts anew: it crosses pages or is not RAM.
 */
static bool movs_one(struct cpu *cpu, const struct insn *i)
{
	struct run r;
	uint64_t si, di;
	uint8_t *s, *d;
	gva_t gva;

	run_init(&r, cpu, i);
	if (r.rep)
		return false;
	si = cpu->gpr[REG_RSI] & r.mask;
	di = cpu->gpr[REG_RDI] & r.mask;
	gva = mem_linear(cpu, r.src, si, r.size, ACC_READ);
	if ((gva & PG_OFFSET) + r.size > PG_SIZE)
		return false;
	s = mem_hva(cpu, gva, r.size, mem_acc(cpu, ACC_READ), NULL);
	gva = mem_linear(cpu, SEG_ES, di, r.size, ACC_WRITE);
	if (!s || (gva & PG_OFFSET) + r.size > PG_SIZE)
		return false;
	d = mem_hva(cpu, gva, r.size, mem_acc(cpu, ACC_WRITE), NULL);
	if (!d)
		return false;
	switch (r.size) {
	case 1: *d = *s; break;
	case 2: *(any16 *)d = *(const any16 *)s; break;
	case 4: *(any32 *)d = *(const any32 *)s; break;
	default: *(any64 *)d = *(const any64 *)s; break;
	}
	advance(&r, USE_SI | USE_DI, 1);
	return true;
}

int exec_movs(struct cpu *cpu, const struct insn *i)
{
	if (movs_one(cpu, i))
		return EXEC_NEXT;
	return run_string(cpu, i, movs_chunk, USE_SI | USE_DI);
}

int exec_stos(struct cpu *cpu, const struct insn *i)
{
	return run_string(cpu, i, stos_chunk, USE_DI);
}

int exec_lods(struct cpu *cpu, const struct insn *i)
{
	return run_string(cpu, i, lods_chunk, USE_SI);
}

int exec_cmps(struct cpu *cpu, const struct insn *i)
{
	return run_string(cpu, i, cmps_chunk, USE_SI | USE_DI | COMPARE);
}

int exec_scas(struct cpu *cpu, const struct insn *i)
{
	return run_string(cpu, i, scas_chunk, USE_DI | COMPARE);
}
