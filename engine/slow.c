/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One instruction whose memory operands cannot be reached directly: they
 * cross pages, lie in MMIO, or need checks the inlined code does not do. Its
 * operands are gathered in bounce buffers, the instruction runs on those, the
 * results are stored. Every page is translated with its permissions before
 * the first byte is read, so faults are precise. MMIO pieces leave to the
 * kvm room and come back: everything needed is in struct slow, nothing on a
 * stack (KVM API "KVM_EXIT_MMIO": pending operations complete at re-entry).
 *
 * Also the C functions that meet MMIO, by the log of cpu/exit.h. As in KVM,
 * an instruction that waits for a load has changed nothing and completes at
 * its own rip whatever rip the client sets meanwhile; one whose stores are on
 * their way is complete, rip included.
 */
#include "engine/slow.h"

#include "cpu/physmap.h"
#include "cpu/xstate.h"
#include "engine/count.h"
#include "engine/exec.h"
#include "lib/check.h"
#include "x86/regs.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

struct part {
	uint8_t *hva; /* NULL: MMIO at gpa */
	gpa_t gpa;
	gva_t gva;
	uint16_t off, len;
	bool masked, none; /* only these bytes are accessed; none is */
	uint64_t bytes;
};

#define CACHE_LINE 64u

enum phase {
	PHASE_IDLE,
	PHASE_READ, /* operands on bounce buffers */
	PHASE_RUN,
	PHASE_WRITE,
	PHASE_EXEC,  /* a C function waits for loads in its log */
	PHASE_DRAIN, /* it is through, its stores leave */
};

/*
 * What was translated last is kept: a driver meets its device with few
 * instructions, again and again.
 */
struct kept {
	uint64_t rip, mode;
	uint8_t bytes[15], len; /* len 0: empty */
	struct bounce_code bc;
};

struct slow {
	uint8_t buf[MAX_BOUNCE][BOUNCE_SIZE + 64] __attribute__((aligned(64)));
	struct bounce_code *bc; /* of the instruction under way */
	struct bounce_code string_bc;
	struct kept kept[BOUNCE_SLOTS];
	struct insn_call call;
	struct part part[MAX_BOUNCE][2];
	uint8_t nparts[MAX_BOUNCE];
	uint8_t *at[MAX_BOUNCE]; /* keeps the guest address's alignment */
	enum phase phase;
	bool string, exclusive;
	/* position: operand, part, bytes done; an MMIO piece under way */
	uint8_t ref, p;
	uint16_t done, piece;
	uint64_t mode;
	const struct insn_call *running; /* C function that may use the log */
	struct cpu_mmlog log;
};

int slow_init(struct cpu *cpu)
{
	void *p = mmap(NULL, sizeof(struct slow), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -ENOMEM;
	ec_of(cpu)->slow = p;
	return 0;
}

void slow_fini(struct cpu *cpu)
{
	if (ec_of(cpu)->slow)
		munmap(ec_of(cpu)->slow, sizeof(struct slow));
}

static void forget(struct slow *s)
{
	s->log.count = s->log.done = s->log.next = 0;
}

void slow_drop(struct cpu *cpu)
{
	ec_of(cpu)->slow->phase = PHASE_IDLE;
}

void slow_abort(struct cpu *cpu)
{
	struct slow *s = ec_of(cpu)->slow;

	s->phase = PHASE_IDLE;
	forget(s);
	if (s->exclusive)
		excl_end_self(cpu);
	s->exclusive = false;
}

/* Host memory must be there before the instruction changes anything. */
static void touch(const struct slow *s)
{
	for (unsigned int n = 0; n < s->bc->nrefs; n++)
		for (unsigned int p = 0; p < s->nparts[n]; p++) {
			uint8_t *hva = s->part[n][p].hva;

			if (hva && s->bc->refs[n].acc == ACC_WRITE)
				__atomic_fetch_or(hva, 0, __ATOMIC_RELAXED);
		}
}

static uint64_t ref_offset(struct cpu *cpu, const struct memref *m)
{
	uint64_t off = m->disp;

	if (m->base != OPND_NOREG)
		off += cpu->gpr[m->base];
	if (m->index != OPND_NOREG)
		off += cpu->gpr[m->index] * m->scale;
	if (m->bit_size == 8)
		off += (int64_t)cpu->gpr[m->bit_reg] >> 6 << 3;
	else if (m->bit_size == 4)
		off += (int64_t)((int32_t)cpu->gpr[m->bit_reg] >> 5) * 4;
	else if (m->bit_size == 2)
		off += (int64_t)((int16_t)cpu->gpr[m->bit_reg] >> 4) * 2;
	if (m->asize == 2)
		return off & 0xffff;
	return m->asize == 4 ? off & 0xffffffff : off;
}

static void add_part(struct cpu *cpu, struct slow *s, unsigned int n, gva_t gva,
		     unsigned int len, uint64_t bytes)
{
	const struct bounce_ref *ref = &s->bc->refs[n];
	struct part *p = &s->part[n][s->nparts[n]];
	struct tlb_result r = {0};
	unsigned int skip = 0;

	p->masked = ref->rule.kind;
	p->off = s->nparts[n] ? s->part[n][0].len : 0;
	p->len = len;
	p->gva = gva;
	p->bytes = bytes >> p->off % 64;
	if (len < 64)
		p->bytes &= BIT64(len) - 1;
	p->none = p->masked && !p->bytes;
	if (p->masked && p->bytes) /* faults name the first one accessed */
		skip = __builtin_ctzll(p->bytes);
	if (!p->none)
		tlb_fill(cpu, gva + skip, len - skip, mem_acc(cpu, ref->acc),
			 &r);
	p->hva = r.hva ? r.hva - skip : NULL;
	p->gpa = r.gpa - skip;
	s->nparts[n]++;
}

/*
 * Linear address of an operand; what is not accessed is not checked either.
 * False: nothing is.
 */
static bool linear(struct cpu *cpu, const struct bounce_ref *r, uint64_t bytes,
		   gva_t *gva)
{
	uint64_t off = ref_offset(cpu, &r->m);
	unsigned int first = 0, end = r->size;

	if (!bytes)
		return false;
	if (r->rule.kind) {
		first = __builtin_ctzll(bytes);
		end = 64 - __builtin_clzll(bytes);
	}
	*gva = off + (r->m.seg >= SEG_FS || cpu->code_bits != 64
			      ? cpu->seg[r->m.seg].base
			      : 0);
	mask_check(cpu, &r->rule, *gva);
	*gva = mem_linear(cpu, r->m.seg, off + first, end - first, r->acc) -
	       first;
	return true;
}

/* Translate all operands; raises whatever the access would raise. */
static void resolve(struct cpu *cpu, struct slow *s)
{
	for (unsigned int n = 0; n < s->bc->nrefs; n++) {
		struct bounce_ref *r = &s->bc->refs[n];
		uint64_t bytes = ~0ULL;
		unsigned int first;
		gva_t gva;

		if (r->rule.kind)
			bytes = mask_bytes(&r->rule, r->size);
		s->nparts[n] = 0;
		s->at[n] = s->buf[n];
		if (!linear(cpu, r, bytes, &gva))
			continue;
		s->at[n] += gva & 63;
		first = MIN((unsigned int)r->size,
			    4096 - (unsigned int)(gva & 4095));
		add_part(cpu, s, n, gva, first, bytes);
		if (first < r->size) {
			gva += first;
			if (cpu->code_bits != 64)
				gva &= 0xffffffff;
			add_part(cpu, s, n, gva, r->size - first, bytes);
		}
	}
}

static bool all_ram(const struct slow *s)
{
	for (unsigned int n = 0; n < s->bc->nrefs; n++)
		for (unsigned int p = 0; p < s->nparts[n]; p++)
			if (!s->part[n][p].hva && !s->part[n][p].none)
				return false;
	return true;
}

/*
 * An MMIO piece: at most 8 bytes from where the last one ended, as KVM's.
 * Returns only when nobody has to be asked.
 */
static void mmio_piece(struct cpu *cpu, struct slow *s, struct part *p,
		       bool write)
{
	gpa_t gpa = p->gpa + s->done;
	unsigned int len = MIN(p->len - s->done, 8);

	for (unsigned int i = 1; i < len && p->masked; i++)
		if (!(p->bytes >> (s->done + i) & 1))
			len = i;
	s->piece = len;
	cpu->mmio.gpa = gpa;
	cpu->mmio.len = len;
	cpu->mmio.write = write;
	if (write)
		memcpy(cpu->mmio.data, s->at[s->ref] + p->off + s->done, len);
	cpu->stat[CPU_STAT_MMIO]++;
	if (write && cpu->ops->bus_write) {
		uint64_t val = 0;

		memcpy(&val, cpu->mmio.data, len);
		if (cpu->ops->bus_write(cpu, false, gpa, val, len))
			return;
	}
	cpu_exit_to_kvm(cpu, CPU_EXIT_MMIO);
}

static void write_ram(struct cpu *cpu, const struct part *p, const uint8_t *buf)
{
	unsigned int i, end;

	cpu->code->write(cpu, p->hva, p->len);
	if (!p->masked) {
		memcpy(p->hva, buf, p->len);
		return;
	}
	for (i = 0; i < p->len; i = end + 1) { /* runs of enabled bytes */
		for (end = i; end < p->len && p->bytes >> end & 1; end++)
			;
		memcpy(p->hva + i, buf + i, end - i);
	}
}

/* Move one operand; leaves at each MMIO piece and continues after it. */
static void move_operand(struct cpu *cpu, struct slow *s, bool write)
{
	for (; s->p < s->nparts[s->ref]; s->p++, s->done = 0) {
		struct part *p = &s->part[s->ref][s->p];
		uint8_t *buf = s->at[s->ref] + p->off;

		if (p->hva) {
			if (write)
				write_ram(cpu, p, buf);
			else
				memcpy(buf, p->hva, p->len);
			continue;
		}
		for (;;) {
			if (s->piece) { /* an answer came */
				if (!write)
					memcpy(buf + s->done, cpu->mmio.data,
					       s->piece);
				s->done += s->piece;
				s->piece = 0;
			}
			while (p->masked && s->done < p->len &&
			       !(p->bytes >> s->done & 1))
				s->done++;
			if (s->done >= p->len)
				break;
			mmio_piece(cpu, s, p, write);
		}
	}
	s->p = 0;
}

static void string_element(struct cpu *cpu, struct slow *s);

/* A string instruction counts once, with its last element. */
static void retire(struct cpu *cpu, const struct slow *s)
{
	if (!s->string || cpu->rip == s->bc->insn.next_rip)
		count_bounced(cpu, s->bc);
}

static void run_code(struct cpu *cpu, struct slow *s)
{
	uint64_t why;

	if (s->string) {
		string_element(cpu, s);
		return;
	}
	for (unsigned int n = 0; n < s->bc->nrefs; n++)
		cpu->scratch[2 + n] = (uintptr_t)s->at[n];
	why = cpu->engine->enter(cpu, s->bc->entry);
	if (why == LEAVE_FAULT) {
		slow_abort(cpu);
		__builtin_longjmp(cpu->jmpbuf, 1);
	}
}

/* Stores of the x87 that an unmasked exception kept back. */
static void drop_withheld(struct slow *s)
{
	for (unsigned int n = 0; n < s->bc->nrefs; n++)
		if (s->bc->refs[n].rule.x87 && x87_withheld())
			s->nparts[n] = 0;
}

/* From the phase it is in to the end, or to the next piece in MMIO. */
static void operands(struct cpu *cpu, struct slow *s)
{
	if (s->phase == PHASE_READ) {
		for (; s->ref < s->bc->nrefs; s->ref++)
			if (s->bc->refs[s->ref].reads)
				move_operand(cpu, s, false);
		s->ref = 0;
		s->phase = PHASE_RUN;
	}
	if (s->phase == PHASE_RUN) {
		run_code(cpu, s);
		drop_withheld(s);
		s->phase = PHASE_WRITE;
	}
	for (; s->ref < s->bc->nrefs; s->ref++)
		if (s->bc->refs[s->ref].acc == ACC_WRITE)
			move_operand(cpu, s, true);
	s->phase = PHASE_IDLE;
	retire(cpu, s);
}

/*
 * The client was away: memory slots may be others now, and dirty pages were
 * perhaps collected.
 */
static void reach_again(struct cpu *cpu, struct part *p, bool write)
{
	const struct phys_range *r = tlb_range(cpu, p->gpa);

	p->hva = NULL;
	if (!r || (write && r->flags & PHYS_READONLY))
		return;
	p->hva = r->hva + (p->gpa - r->gpa);
	if (write && r->flags & PHYS_DIRTY)
		cpu->ops->mark_dirty(cpu, p->gpa);
}

static void resume_operands(struct cpu *cpu, struct slow *s)
{
	for (unsigned int n = 0; n < s->bc->nrefs; n++)
		for (unsigned int p = 0; p < s->nparts[n]; p++)
			if (s->part[n][p].hva)
				reach_again(cpu, &s->part[n][p],
					    s->bc->refs[n].acc == ACC_WRITE);
	if (s->phase != PHASE_WRITE)
		touch(s);
	operands(cpu, s);
}

static bool crosses_line(const struct slow *s)
{
	for (unsigned int n = 0; n < s->bc->nrefs; n++)
		if (s->nparts[n] && (s->part[n][0].gva & (CACHE_LINE - 1)) +
						    s->bc->refs[n].size >
					    CACHE_LINE)
			return true;
	return false;
}

/*
 * A lock that processors take the bus for. As with the vendors' hardware, the
 * client is told before the access on AMD's, after it on Intel's.
 */
static void tell_bus_lock(struct cpu *cpu, const struct slow *s)
{
	bool told = cpu->bus_lock_told && cpu->bus_lock_rip == cpu->rip;

	if (!cpu->bus_lock_exits || !s->bc->lock || !crosses_line(s))
		return;
	if (!cpu->vendor_amd) {
		cpu->bus_locked = true;
		cpu_request(cpu, CPU_REQ_EXIT);
		return;
	}
	cpu->bus_lock_told = !told;
	cpu->bus_lock_rip = cpu->rip;
	if (!told)
		cpu_exit_to_kvm(cpu, CPU_EXIT_BUS_LOCK);
}

static void begin(struct cpu *cpu, struct slow *s)
{
	resolve(cpu, s);
	tell_bus_lock(cpu, s);
	touch(s);
	s->ref = s->p = 0;
	s->done = s->piece = 0;
	s->phase = PHASE_READ;
	s->exclusive = s->bc->lock && cpu->engine->ncpus > 1 && all_ram(s);
	if (s->exclusive) {
		excl_begin_self(cpu);
		operands(cpu, s);
		excl_end_self(cpu);
		s->exclusive = false;
		return;
	}
	operands(cpu, s);
}

static int translate_slow(struct cpu *cpu, struct slow *s, struct kept *k,
			  const uint8_t *bytes, unsigned int len)
{
	int ret;

	k->len = 0;
	k->bc.nrefs = 0;
	xstate_save(cpu);
	engine_lock(cpu);
	ret = translate_bounce(cpu, bytes, len, k - s->kept, &k->bc);
	engine_unlock(cpu->engine);
	xstate_load(cpu);
	if (ret)
		return ret;
	memcpy(k->bytes, bytes, len);
	k->rip = cpu->rip;
	k->mode = cpu->mode;
	k->len = len;
	return 0;
}

/* The instruction at rip, translated now or before. */
static int find_slow(struct cpu *cpu, struct slow *s)
{
	unsigned int slot = (cpu->rip ^ cpu->rip >> 3 ^ cpu->rip >> 6) %
			    BOUNCE_SLOTS;
	struct kept *k = &s->kept[slot];
	uint8_t bytes[15];
	unsigned int len = run_fetch(cpu, bytes);

	s->bc = &k->bc;
	if (k->rip == cpu->rip && k->mode == cpu->mode && k->len == len &&
	    !memcmp(k->bytes, bytes, len))
		return 0;
	return translate_slow(cpu, s, k, bytes, len);
}

struct insn_call *slow_start(struct cpu *cpu)
{
	struct slow *s = ec_of(cpu)->slow;

	cpu->stat[CPU_STAT_SLOW_INSN]++;
	s->string = false;
	switch (find_slow(cpu, s)) {
	case 0: break;
	case -EFAULT: return NULL; /* its second page is gone: try again */
	case -EINVAL: cpu_raise(cpu, VEC_UD);
	case -ERANGE: cpu_raise_err(cpu, VEC_GP, 0);
	default: cpu_internal_error(cpu, 1, cpu->rip);
	}
	if (s->bc->cls == K_CALL || s->bc->cls == K_END) {
		s->call.fn = s->bc->fn;
		s->call.insn = s->bc->insn;
		if (s->call.fn)
			return &s->call;
	}
	begin(cpu, s);
	return NULL;
}

/* ---- string instructions with an operand in MMIO ---- */

static void string_ref(struct slow *s, const struct insn *i, unsigned int reg,
		       unsigned int seg, bool write)
{
	struct bounce_ref *r = &s->bc->refs[s->bc->nrefs++];

	*r = (struct bounce_ref){
		.m = {.seg = seg,
		      .base = reg,
		      .index = OPND_NOREG,
		      .scale = 1,
		      .asize = i->addrsize},
		.size = i->opsize,
		.acc = write ? ACC_WRITE : ACC_READ,
		.reads = !write,
	};
}

static unsigned int source_seg(const struct insn *i)
{
	for (unsigned int n = 0; n < i->nops; n++)
		if (i->op[n].kind == OPND_MEM && i->op[n].base == REG_RSI)
			return i->op[n].seg;
	return SEG_DS;
}

enum string_kind { STR_MOVS, STR_STOS, STR_LODS, STR_CMPS, STR_SCAS };

static enum string_kind string_kind(const struct insn *i)
{
	switch (i->id) {
	case ZYDIS_MNEMONIC_STOSB:
	case ZYDIS_MNEMONIC_STOSW:
	case ZYDIS_MNEMONIC_STOSD:
	case ZYDIS_MNEMONIC_STOSQ: return STR_STOS;
	case ZYDIS_MNEMONIC_LODSB:
	case ZYDIS_MNEMONIC_LODSW:
	case ZYDIS_MNEMONIC_LODSD:
	case ZYDIS_MNEMONIC_LODSQ: return STR_LODS;
	case ZYDIS_MNEMONIC_CMPSB:
	case ZYDIS_MNEMONIC_CMPSW:
	case ZYDIS_MNEMONIC_CMPSD:
	case ZYDIS_MNEMONIC_CMPSQ: return STR_CMPS;
	case ZYDIS_MNEMONIC_SCASB:
	case ZYDIS_MNEMONIC_SCASW:
	case ZYDIS_MNEMONIC_SCASD:
	case ZYDIS_MNEMONIC_SCASQ: return STR_SCAS;
	default: return STR_MOVS;
	}
}

void slow_string(struct cpu *cpu, const struct insn *i)
{
	struct slow *s = ec_of(cpu)->slow;
	enum string_kind k = string_kind(i);

	cpu->stat[CPU_STAT_SLOW_INSN]++;
	s->string = true;
	s->bc = &s->string_bc;
	s->bc->insn = *i;
	s->bc->lock = false;
	s->bc->cls = K_CALL;
	s->bc->nrefs = 0;
	if (k == STR_MOVS || k == STR_LODS || k == STR_CMPS)
		string_ref(s, i, REG_RSI, source_seg(i), false);
	if (k == STR_MOVS || k == STR_STOS)
		string_ref(s, i, REG_RDI, SEG_ES, true);
	if (k == STR_CMPS || k == STR_SCAS)
		string_ref(s, i, REG_RDI, SEG_ES, false);
	begin(cpu, s);
}

static void compare_flags(struct cpu *cpu, uint64_t a, uint64_t b,
			  unsigned int size)
{
	unsigned int shift = 64 - size * 8;
	uint64_t rflags;

	/* the low bits are zero on both sides: only AF needs the low nibble */
	__asm__("subq %2, %1; pushfq; popq %0"
		: "=r"(rflags), "+r"((uint64_t){a << shift})
		: "r"(b << shift)
		: "cc");
	rflags &= ~(uint64_t)(RFLAGS_AF | RFLAGS_PF);
	if ((a & 15) < (b & 15))
		rflags |= RFLAGS_AF;
	if (!__builtin_parity((a - b) & 0xff))
		rflags |= RFLAGS_PF;
	cpu_set_arith(cpu, rflags);
}

static void advance(struct cpu *cpu, const struct insn *i, unsigned int reg)
{
	int64_t step = cpu->dflag ? -(int64_t)i->opsize : i->opsize;

	reg_write(cpu, reg, i->addrsize,
		  reg_read(cpu, reg, i->addrsize) + step);
}

static uint64_t element(const struct slow *s, unsigned int n)
{
	uint64_t v = 0;

	memcpy(&v, s->at[n], s->bc->insn.opsize);
	return v;
}

static void string_element(struct cpu *cpu, struct slow *s)
{
	const struct insn *i = &s->bc->insn;
	enum string_kind k = string_kind(i);
	bool more = i->prefix & (INSN_REP | INSN_REPNE);
	bool stop = false;

	switch (k) {
	case STR_MOVS: memcpy(s->at[1], s->at[0], i->opsize); break;
	case STR_STOS: memcpy(s->at[0], &cpu->gpr[REG_RAX], i->opsize); break;
	case STR_LODS: reg_write(cpu, REG_RAX, i->opsize, element(s, 0)); break;
	case STR_CMPS:
		compare_flags(cpu, element(s, 0), element(s, 1), i->opsize);
		stop = (element(s, 0) == element(s, 1)) !=
		       !!(i->prefix & INSN_REP);
		break;
	case STR_SCAS:
		compare_flags(cpu, reg_read(cpu, REG_RAX, i->opsize),
			      element(s, 0), i->opsize);
		stop = (reg_read(cpu, REG_RAX, i->opsize) == element(s, 0)) !=
		       !!(i->prefix & INSN_REP);
		break;
	}
	if (k == STR_MOVS || k == STR_LODS || k == STR_CMPS)
		advance(cpu, i, REG_RSI);
	if (k != STR_LODS)
		advance(cpu, i, REG_RDI);
	if (more) {
		uint64_t n = reg_read(cpu, REG_RCX, i->addrsize) - 1;

		reg_write(cpu, REG_RCX, i->addrsize, n);
		more = reg_read(cpu, REG_RCX, i->addrsize) && !stop;
	}
	if (!more)
		cpu->rip = i->next_rip;
}

/* ---- C functions that meet MMIO ---- */

int slow_exec(struct cpu *cpu, const struct insn_call *c)
{
	struct slow *s = ec_of(cpu)->slow;
	int ret;

	s->running = c;
	cpu->mmlog = &s->log;
	ret = c->fn(cpu, &c->insn);
	cpu->mmlog = NULL;
	s->running = NULL;
	return ret;
}

/* Nothing of it can leave for a load: INS stores, IN has no operand. */
int slow_io_complete(struct cpu *cpu)
{
	static const struct insn_call io;
	struct slow *s = ec_of(cpu)->slow;
	int ret;

	s->running = &io;
	cpu->mmlog = &s->log;
	ret = io_complete(cpu);
	cpu->mmlog = NULL;
	s->running = NULL;
	return ret;
}

/* Translated code called the function itself, which has no log then. */
void slow_mmio(struct cpu *cpu)
{
	struct engine_cpu *ec = ec_of(cpu);

	if (ec->slow->running || ec->guard || cpu->event.valid)
		return;
	cpu->db_pending &= ~DR6_BREAKS; /* looked for again */
	ec->do_slow = true;
	__builtin_longjmp(cpu->jmpbuf, 1);
}

void slow_drain(struct cpu *cpu)
{
	struct slow *s = ec_of(cpu)->slow;
	struct cpu_mmlog *l = &s->log;

	if (likely(!l->count))
		return;
	l->count = l->next; /* what the last run did not come to is void */
	l->done = MIN(l->done, l->count);
	if (l->done < l->count) {
		s->phase = PHASE_DRAIN;
		mem_mmio_exit(cpu, l);
	}
	s->phase = PHASE_IDLE;
	forget(s);
}

void slow_left(struct cpu *cpu)
{
	struct slow *s = ec_of(cpu)->slow;
	const struct insn_call *c = s->running;

	if (!c)
		return;
	s->running = NULL;
	cpu->mmlog = NULL;
	if (cpu->raised.valid)
		return; /* its stores, if any, come first: slow_drain() */
	if (cpu->exit != CPU_EXIT_MMIO) {
		forget(s);
		return;
	}
	ASSERT(c->fn);
	if (c != &s->call)
		s->call = *c; /* the block may be gone when it comes back */
	s->phase = PHASE_EXEC;
}

bool slow_needs_vectors(const struct cpu *cpu)
{
	const struct slow *s = ec_of((struct cpu *)cpu)->slow;

	if (s->phase == PHASE_WRITE || s->phase == PHASE_DRAIN)
		return false;
	if (s->phase == PHASE_EXEC || !s->bc)
		return true;
	return !s->string && !s->bc->general;
}

const struct insn_call *slow_resume(struct cpu *cpu)
{
	struct slow *s = ec_of(cpu)->slow;
	struct cpu_mmlog *l = &s->log;

	switch (s->phase) {
	case PHASE_EXEC:
		mem_mmio_seen(cpu, l);
		if (l->done < l->count)
			mem_mmio_exit(cpu, l);
		l->next = 0;
		s->phase = PHASE_IDLE;
		return &s->call;
	case PHASE_DRAIN:
		mem_mmio_seen(cpu, l);
		slow_drain(cpu);
		return NULL;
	default: resume_operands(cpu, s); return NULL;
	}
}
