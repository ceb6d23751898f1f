/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory for C functions: segmentation checks, then the software TLB,
 * then a miss. SDM 3A 5.3 "Limit Checking", 5.4 "Type Checking", 3.3.7.1
 * "Canonical Addressing".
 *
 * MMIO goes through the log of cpu/exit.h, in pieces as KVM's emulator cuts
 * them: 8 bytes from the first one on, none across a page. Without a log, in
 * the delivery of events and in task switches, it is an internal error, which
 * is KVM's answer there.
 */
#include "cpu/mem.h"
#include <errno.h>
#include <string.h>
#include "cpu/physmap.h"
#include "cpu/tlb.h"
#include "x86/paging.h"
#include "x86/regs.h"

#define ERROR_EMULATION 1 /* KVM_INTERNAL_ERROR_* */
#define ERROR_DELIVERY  3

static void __noreturn mmio_error(struct cpu *cpu, gpa_t gpa)
{
	if (!cpu->mmlog && cpu->code && cpu->code->mmio)
		cpu->code->mmio(cpu);
	cpu_internal_error(
		cpu, cpu->event.valid ? ERROR_DELIVERY : ERROR_EMULATION, gpa);
}

/* ---- MMIO ---- */

void mem_mmio_exit(struct cpu *cpu, const struct cpu_mmlog *log)
{
	cpu->mmio = log->access[log->done];
	cpu->stat[CPU_STAT_MMIO]++;
	cpu_exit_to_kvm(cpu, CPU_EXIT_MMIO);
}

void mem_mmio_seen(const struct cpu *cpu, struct cpu_mmlog *log)
{
	struct cpu_mmio *m = &log->access[log->done++];

	if (!m->write)
		memcpy(m->data, cpu->mmio.data, sizeof(m->data));
}

void mem_mmio_taken(struct cpu *cpu)
{
	struct cpu_mmlog *l = cpu->mmlog;

	if (!l || !l->next || l->done < l->next)
		return;
	l->count -= l->next;
	l->done -= l->next;
	memmove(l->access, l->access + l->next,
		l->count * sizeof(l->access[0]));
	l->next = 0;
}

static bool same_access(const struct cpu_mmio *a, const struct cpu_mmio *b)
{
	return a->gpa == b->gpa && a->len == b->len && a->write == b->write &&
	       (!a->write || !memcmp(a->data, b->data, a->len));
}

/*
 * The next access of the function: known from an earlier run, or new. Where
 * registers or RAM have changed since, the rest of the log is void.
 */
static void mmio_note(struct cpu *cpu, const struct cpu_mmio *m)
{
	struct cpu_mmlog *l = cpu->mmlog;

	if (!l || l->next == CPU_MMLOG_MAX)
		mmio_error(cpu, m->gpa);
	if (l->next == l->count || !same_access(&l->access[l->next], m)) {
		l->access[l->next] = *m;
		l->done = MIN(l->done, l->next);
		l->count = l->next + 1;
	}
	l->next++;
}

static unsigned int piece(unsigned int size, unsigned int off)
{
	return MIN(size - off, 8u);
}

static void mmio_write(struct cpu *cpu, gpa_t gpa, const uint8_t *buf,
		       unsigned int size)
{
	for (unsigned int off = 0; off < size; off += 8) {
		struct cpu_mmio m = {
			.gpa = gpa + off,
			.len = piece(size, off),
			.write = true,
		};

		memcpy(m.data, buf + off, m.len);
		mmio_note(cpu, &m);
	}
}

static void mmio_read(struct cpu *cpu, gpa_t gpa, uint8_t *buf,
		      unsigned int size)
{
	const struct cpu_mmlog *l = cpu->mmlog;
	const struct cpu_mmio *first;

	for (unsigned int off = 0; off < size; off += 8)
		mmio_note(cpu, &(struct cpu_mmio){.gpa = gpa + off,
						  .len = piece(size, off)});
	if (l->done < l->next)
		mem_mmio_exit(cpu, l);
	first = &l->access[l->next - (size + 7) / 8];
	for (unsigned int off = 0; off < size; off += 8)
		memcpy(buf + off, first[off / 8].data, piece(size, off));
}

/* ---- linear addresses ---- */

uint8_t *mem_hva(struct cpu *cpu, gva_t gva, unsigned int size,
		 unsigned int acc, gpa_t *gpa)
{
	const struct tlb_view *v = &cpu->tlb->view[tlb_view_of(cpu, acc)];
	unsigned int index = tlb_index(gva);
	const struct tlb_entry *e = (acc & ACC_KIND) == ACC_WRITE
					    ? &v->w[index]
					    : &v->r[index];
	struct tlb_result res;

	if (likely((gva ^ e->tag) < PG_SIZE))
		return (uint8_t *)(e->hva + (gva ^ e->tag));
	tlb_fill(cpu, gva, size, acc, &res);
	if (!res.hva && gpa)
		*gpa = res.gpa;
	return res.hva;
}

/* Bytes of [gva, gva + size) in the first page. */
static unsigned int first_part(gva_t gva, unsigned int size)
{
	unsigned int room = PG_SIZE - (gva & PG_OFFSET);

	return MIN(room, size);
}

/* The page after @gva's; linear addresses wrap at 4 GiB outside 64-bit mode. */
static gva_t next_page(const struct cpu *cpu, gva_t gva)
{
	gva_t next = (gva & PG_MASK) + PG_SIZE;

	if (next == BIT64(32) && cpu->code_bits != 64)
		return 0;
	return next;
}

/* One access each, whatever the alignment: other cpus see no half values. */
typedef uint16_t __attribute__((aligned(1), may_alias)) any16;
typedef uint32_t __attribute__((aligned(1), may_alias)) any32;
typedef uint64_t __attribute__((aligned(1), may_alias)) any64;

static uint64_t load(const uint8_t *p, unsigned int size)
{
	switch (size) {
	case 1: return *p;
	case 2: return *(const any16 *)p;
	case 4: return *(const any32 *)p;
	default: return *(const any64 *)p;
	}
}

static void store(uint8_t *p, unsigned int size, uint64_t val)
{
	switch (size) {
	case 1: *p = val; break;
	case 2: *(any16 *)p = val; break;
	case 4: *(any32 *)p = val; break;
	default: *(any64 *)p = val; break;
	}
}

uint64_t mem_read(struct cpu *cpu, gva_t gva, unsigned int size,
		  unsigned int acc)
{
	uint64_t val = 0;
	const uint8_t *p;
	gpa_t gpa;

	if (unlikely(first_part(gva, size) != size)) {
		mem_read_buf(cpu, gva, &val, size, acc);
		return val;
	}
	p = mem_hva(cpu, gva, size, acc, &gpa);
	if (likely(p))
		return load(p, size);
	mmio_read(cpu, gpa, (uint8_t *)&val, size);
	return val;
}

void mem_write(struct cpu *cpu, gva_t gva, unsigned int size, uint64_t val,
	       unsigned int acc)
{
	uint8_t *p;
	gpa_t gpa;

	if (unlikely(first_part(gva, size) != size)) {
		mem_write_buf(cpu, gva, &val, size, acc);
		return;
	}
	p = mem_hva(cpu, gva, size, acc, &gpa);
	if (likely(p))
		store(p, size, val);
	else
		mmio_write(cpu, gpa, (const uint8_t *)&val, size);
}

/* Both pages are translated before the first byte is moved. */
void mem_read_buf(struct cpu *cpu, gva_t gva, void *buf, unsigned int size,
		  unsigned int acc)
{
	unsigned int n = first_part(gva, size);
	gpa_t gpa_a, gpa_b = 0;
	const uint8_t *a = mem_hva(cpu, gva, n, acc, &gpa_a), *b = NULL;

	if (n < size)
		b = mem_hva(cpu, next_page(cpu, gva), size - n, acc, &gpa_b);
	if (likely(a))
		memcpy(buf, a, n);
	else
		mmio_read(cpu, gpa_a, buf, n);
	if (b)
		memcpy((uint8_t *)buf + n, b, size - n);
	else if (n < size)
		mmio_read(cpu, gpa_b, (uint8_t *)buf + n, size - n);
}

void mem_write_buf(struct cpu *cpu, gva_t gva, const void *buf,
		   unsigned int size, unsigned int acc)
{
	unsigned int n = first_part(gva, size);
	gpa_t gpa_a, gpa_b = 0;
	uint8_t *a = mem_hva(cpu, gva, n, acc, &gpa_a), *b = NULL;

	if (n < size)
		b = mem_hva(cpu, next_page(cpu, gva), size - n, acc, &gpa_b);
	if (unlikely(!a))
		mmio_write(cpu, gpa_a, buf, n);
	if (n < size && !b)
		mmio_write(cpu, gpa_b, (const uint8_t *)buf + n, size - n);
	/* where both hold code only the last one was announced */
	if (a && b)
		tlb_before_write(cpu, a, n);
	if (a)
		memcpy(a, buf, n);
	if (b)
		memcpy(b, (const uint8_t *)buf + n, size - n);
}

/* Without a log the instruction must not get far: see mmio_error(). */
static void check_part(struct cpu *cpu, gva_t gva, unsigned int size,
		       unsigned int acc)
{
	gpa_t gpa;

	if (unlikely(!mem_hva(cpu, gva, size, acc, &gpa)) && !cpu->mmlog)
		mmio_error(cpu, gpa);
}

void mem_check(struct cpu *cpu, gva_t gva, unsigned int size, unsigned int acc)
{
	unsigned int n = first_part(gva, size);

	if (n < size) /* faults come in the order of addresses */
		mem_hva(cpu, gva, n, acc, NULL);
	if (n < size)
		check_part(cpu, next_page(cpu, gva), size - n, acc);
	check_part(cpu, gva, n, acc);
}

/* ---- segmentation ---- */

static bool type_allows(const struct segment *s, unsigned int kind)
{
	if (s->attr & SEG_ATTR_UNUSABLE)
		return false;
	if (s->attr & 8) /* code: never written, read if bit 1 */
		return kind == ACC_EXEC || (kind == ACC_READ && s->attr & 2);
	return kind == ACC_READ || (kind == ACC_WRITE && s->attr & 2);
}

static bool limit_allows(const struct segment *s, uint64_t off, uint64_t last)
{
	uint64_t top = s->attr & SEG_ATTR_DB ? 0xffffffff : 0xffff;

	if ((s->attr & 12) == 4) /* data, expand-down */
		return off > s->limit && last <= top;
	/* with the largest limit an access may wrap around */
	return last <= s->limit || (s->limit == 0xffffffff && off <= s->limit);
}

static gva_t segment_base(const struct cpu *cpu, enum cpu_seg seg)
{
	if (cpu->code_bits == 64 && seg <= SEG_DS)
		return 0;
	return cpu->seg[seg].base;
}

static bool canonical_range(const struct cpu *cpu, gva_t gva, unsigned int size)
{
	return mmu_canonical(cpu, gva) && mmu_canonical(cpu, gva + size - 1);
}

static bool typed(const struct cpu *cpu)
{
	return cpu_protected(cpu) && !cpu_v8086(cpu);
}

bool mem_in_segment(const struct cpu *cpu, enum cpu_seg seg, uint64_t off,
		    unsigned int size, unsigned int kind)
{
	const struct segment *s = &cpu->seg[seg];

	if (cpu->code_bits == 64)
		return canonical_range(cpu, segment_base(cpu, seg) + off, size);
	if (typed(cpu) && !type_allows(s, kind & ACC_KIND))
		return false;
	return limit_allows(s, off, off + size - 1);
}

gva_t mem_linear(struct cpu *cpu, enum cpu_seg seg, uint64_t off,
		 unsigned int size, unsigned int kind)
{
	const struct segment *s = &cpu->seg[seg];
	gva_t gva = segment_base(cpu, seg) + off;

	if (unlikely(!mem_in_segment(cpu, seg, off, size, kind))) {
		/* of the type errors only a null SS is a stack fault */
		bool type = cpu->code_bits != 64 && typed(cpu) &&
			    !(s->attr & SEG_ATTR_UNUSABLE) &&
			    !type_allows(s, kind & ACC_KIND);

		cpu_raise_err(cpu, seg == SEG_SS && !type ? VEC_SS : VEC_GP, 0);
	}
	return cpu->code_bits == 64 ? gva : (uint32_t)gva;
}

/* ---- guest-physical ---- */

/* int mem_copy_guarded(void *to, const void *from, size_t size) */
__asm__(".pushsection .text\n"
	".globl mem_copy_guarded, mem_copy_begin, mem_copy_end\n"
	".globl mem_copy_fault\n"
	".hidden mem_copy_guarded\n"
	".hidden mem_copy_begin\n"
	".hidden mem_copy_end\n"
	".hidden mem_copy_fault\n"
	".type mem_copy_guarded, @function\n"
	"mem_copy_guarded:\n"
	"	mov %rdx, %rcx\n"
	"mem_copy_begin:\n"
	"	rep movsb\n"
	"mem_copy_end:\n"
	"	xor %eax, %eax\n"
	"	ret\n"
	"mem_copy_fault:\n"
	"	mov $-14, %eax\n" /* -EFAULT */
	"	ret\n"
	".popsection\n");
_Static_assert(EFAULT == 14, "mem_copy_guarded()");

/* The part of [gpa, gpa + size) that lies in one range; 0: no such memory. */
static unsigned int phys_part(const struct phys_range *r, gpa_t gpa,
			      unsigned int size)
{
	uint64_t left;

	if (!r)
		return 0;
	left = r->size - (gpa - r->gpa);
	return MIN(left, size);
}

int phys_read(struct cpu *cpu, gpa_t gpa, void *buf, unsigned int size)
{
	uint8_t *to = buf;

	while (size) {
		const struct phys_range *r = tlb_range(cpu, gpa);
		unsigned int n = phys_part(r, gpa, size);

		if (!n)
			return -EFAULT;
		if (mem_copy_guarded(to, r->hva + (gpa - r->gpa), n))
			return -EFAULT;
		to += n;
		gpa += n;
		size -= n;
	}
	return 0;
}

/* Pieces do not cross pages: dirty logging and code know pages. */
int phys_write(struct cpu *cpu, gpa_t gpa, const void *buf, unsigned int size)
{
	const uint8_t *from = buf;

	while (size) {
		const struct phys_range *r = tlb_range(cpu, gpa);
		unsigned int n = phys_part(r, gpa, first_part(gpa, size));
		uint8_t *hva;

		if (!n || r->flags & PHYS_READONLY)
			return -EFAULT;
		hva = r->hva + (gpa - r->gpa);
		tlb_before_write(cpu, hva, n);
		if (mem_copy_guarded(hva, from, n))
			return -EFAULT;
		if (r->flags & PHYS_DIRTY)
			cpu->ops->mark_dirty(cpu, gpa);
		from += n;
		gpa += n;
		size -= n;
	}
	return 0;
}
