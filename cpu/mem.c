/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory for C functions: segmentation checks, then the software TLB,
 * then a miss. SDM 3A 5.3 "Limit Checking", 5.4 "Type Checking", 3.3.7.1
 * "Canonical Addressing". MMIO cannot be reached from here: instructions with
 * memory operands run it through the engine; a descriptor table or a stack in
 * MMIO ends as an internal error.
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
	cpu_internal_error(
		cpu, cpu->event.valid ? ERROR_DELIVERY : ERROR_EMULATION, gpa);
}

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

/* As mem_hva() where MMIO is not expected. */
static uint8_t *ram(struct cpu *cpu, gva_t gva, unsigned int size,
		    unsigned int acc)
{
	gpa_t gpa;
	uint8_t *p = mem_hva(cpu, gva, size, acc, &gpa);

	if (unlikely(!p))
		mmio_error(cpu, gpa);
	return p;
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

	if (likely(first_part(gva, size) == size))
		return load(ram(cpu, gva, size, acc), size);
	mem_read_buf(cpu, gva, &val, size, acc);
	return val;
}

void mem_write(struct cpu *cpu, gva_t gva, unsigned int size, uint64_t val,
	       unsigned int acc)
{
	if (likely(first_part(gva, size) == size))
		store(ram(cpu, gva, size, acc), size, val);
	else
		mem_write_buf(cpu, gva, &val, size, acc);
}

void mem_read_buf(struct cpu *cpu, gva_t gva, void *buf, unsigned int size,
		  unsigned int acc)
{
	unsigned int n = first_part(gva, size);
	const uint8_t *a = ram(cpu, gva, n, acc), *b;

	if (n < size) {
		b = ram(cpu, next_page(cpu, gva), size - n, acc);
		memcpy((uint8_t *)buf + n, b, size - n);
	}
	memcpy(buf, a, n);
}

void mem_write_buf(struct cpu *cpu, gva_t gva, const void *buf,
		   unsigned int size, unsigned int acc)
{
	unsigned int n = first_part(gva, size);
	uint8_t *a = ram(cpu, gva, n, acc), *b;

	if (n < size) {
		b = ram(cpu, next_page(cpu, gva), size - n, acc);
		memcpy(b, (const uint8_t *)buf + n, size - n);
		/* where both hold code only the last one was announced */
		tlb_before_write(cpu, a, n);
	}
	memcpy(a, buf, n);
}

void mem_check(struct cpu *cpu, gva_t gva, unsigned int size, unsigned int acc)
{
	unsigned int n = first_part(gva, size);

	mem_hva(cpu, gva, n, acc, NULL);
	if (n < size)
		mem_hva(cpu, next_page(cpu, gva), size - n, acc, NULL);
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
