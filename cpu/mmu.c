/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page walk: no paging, 32-bit with 4 MiB pages (PSE, PSE-36), PAE,
 * 4-level and 5-level tables. SDM 3A chapter 4, APM 2 chapter 5. Accessed and
 * dirty bits are set when the access is allowed, by compare-exchange on the
 * entry in guest memory; an entry that changed meanwhile restarts the walk.
 * Entries in read-only memory are used as they are.
 */
#include "cpu/mem.h"
#include <errno.h>
#include "cpu/physmap.h"
#include "cpu/tlb.h"
#include "x86/paging.h"
#include "x86/regs.h"

#define ADDR_MASK 0x000ffffffffff000ULL
#define MAX_LEVEL 5

/* One table entry on the way, kept for the A/D update. */
struct step {
	void *ptr;
	uint64_t pte;
	gpa_t gpa;
	const struct phys_range *range;
};

enum walk_end {
	WALK_OK,
	WALK_ABSENT, /* P = 0 */
	WALK_RSVD,   /* a reserved bit is set */
	WALK_NO_RAM, /* an entry is not in RAM */
};

struct walker {
	struct cpu *cpu;
	gva_t gva;
	unsigned int n;    /* steps taken; the last one is the leaf */
	unsigned int size; /* of an entry: 4 or 8 */
	struct step step[MAX_LEVEL];
};

/* ACC_SYSTEM makes an access a supervisor's whatever the CPL. */
static bool acc_user(unsigned int acc)
{
	return (acc & (ACC_USER | ACC_SYSTEM)) == ACC_USER;
}

bool mmu_canonical(const struct cpu *cpu, gva_t gva)
{
	unsigned int spare = cpu->cr4 & CR4_LA57 ? 64 - 57 : 64 - 48;

	return (gva_t)((int64_t)(gva << spare) >> spare) == gva;
}

/* The error code of @acc, with the cause's bits in @why. */
static uint32_t fault_code(const struct cpu *cpu, unsigned int acc,
			   uint32_t why)
{
	bool nx = cpu->cr4 & CR4_PAE && cpu->efer & EFER_NXE;

	if ((acc & ACC_KIND) == ACC_WRITE)
		why |= PF_W;
	if ((acc & ACC_KIND) == ACC_EXEC && (nx || cpu->cr4 & CR4_SMEP))
		why |= PF_I;
	if (acc_user(acc))
		why |= PF_U;
	return why;
}

static bool deny_exec(const struct cpu *cpu, unsigned int rights, bool user)
{
	if (rights & MMU_NX)
		return true;
	if (user)
		return !(rights & MMU_U);
	return rights & MMU_U && cpu->cr4 & CR4_SMEP;
}

static bool deny_data(const struct cpu *cpu, unsigned int rights, bool user,
		      bool guarded_write, bool ac)
{
	if (user && !(rights & MMU_U))
		return true;
	if (!user && rights & MMU_U && cpu->cr4 & CR4_SMAP && !ac)
		return true;
	return guarded_write && !(rights & MMU_W);
}

static bool deny_pkey(const struct cpu *cpu, unsigned int rights,
		      unsigned int pkey, bool guarded_write)
{
	uint32_t key;

	if (!(rights & MMU_U) || !(cpu->cr4 & CR4_PKE) || !cpu_long_mode(cpu))
		return false;
	key = cpu->pkru >> (pkey * 2);
	return key & 1 || (key & 2 && guarded_write);
}

uint32_t mmu_deny(const struct cpu *cpu, unsigned int rights, unsigned int pkey,
		  unsigned int acc, bool ac)
{
	bool user = acc_user(acc), guarded_write;
	uint32_t why = 0;

	if (!cpu_paging(cpu))
		return 0;
	if ((acc & ACC_KIND) == ACC_EXEC)
		return deny_exec(cpu, rights, user) ? fault_code(cpu, acc, PF_P)
						    : 0;
	guarded_write = (acc & ACC_KIND) == ACC_WRITE &&
			(user || cpu->cr0 & CR0_WP);
	if (deny_pkey(cpu, rights, pkey, guarded_write))
		why = PF_P | PF_PK;
	if (deny_data(cpu, rights, user, guarded_write, ac))
		why |= PF_P;
	return why ? fault_code(cpu, acc, why) : 0;
}

/* Take one step: read the entry at @gpa. False: it is not in RAM. */
static bool walk_step(struct walker *w, gpa_t gpa)
{
	struct step *s = &w->step[w->n];
	const struct phys_range *r = tlb_range(w->cpu, gpa);

	if (!r)
		return false;
	s->range = r;
	s->gpa = gpa;
	s->ptr = r->hva + (gpa - r->gpa);
	if (w->size == 8)
		s->pte = __atomic_load_n((uint64_t *)s->ptr, __ATOMIC_RELAXED);
	else
		s->pte = __atomic_load_n((uint32_t *)s->ptr, __ATOMIC_RELAXED);
	w->n++;
	return true;
}

static unsigned int pte_rights(uint64_t pte)
{
	return (pte & PTE_W ? MMU_W : 0) | (pte & PTE_U ? MMU_U : 0);
}

static void leaf_done(const struct walker *w, uint64_t pte, unsigned int rights,
		      uint64_t base, uint64_t size, struct walk *out)
{
	if (pte & PTE_D)
		rights |= MMU_D;
	if (pte & PTE_G && w->cpu->cr4 & CR4_PGE)
		rights |= MMU_G;
	if (size > PG_SIZE)
		rights |= MMU_LARGE;
	out->rights = rights;
	out->size = size;
	out->gpa = (base & ~(size - 1)) | (w->gva & (size - 1));
}

/* A 4 MiB page has address bits 39-32 in bits 20-13 of its entry (PSE-36). */
static enum walk_end leaf_4m(const struct walker *w, uint64_t pte,
			     struct walk *out)
{
	unsigned int bits = MIN(w->cpu->maxphyaddr, 40);
	uint64_t rsvd = BIT64(21);
	uint64_t base;

	if (bits < 32)
		bits = 32;
	rsvd |= (BIT64(21) - 1) & ~(BIT64(bits - 32 + 13) - 1);
	if (pte & rsvd)
		return WALK_RSVD;
	base = (pte & 0xffc00000) | (pte >> 13 & 0xff) << 32;
	leaf_done(w, pte, pte_rights(pte), base, SIZE_4M, out);
	return WALK_OK;
}

static enum walk_end walk_32(struct walker *w, struct walk *out)
{
	const struct cpu *cpu = w->cpu;
	uint64_t pde, pte;

	w->size = 4;
	if (!walk_step(w, (cpu->cr3 & 0xfffff000) + (w->gva >> 22 & 0x3ff) * 4))
		return WALK_NO_RAM;
	pde = w->step[0].pte;
	if (!(pde & PTE_P))
		return WALK_ABSENT;
	if (pde & PTE_PS && cpu->cr4 & CR4_PSE)
		return leaf_4m(w, pde, out);
	if (!walk_step(w, (pde & 0xfffff000) + (w->gva >> 12 & 0x3ff) * 4))
		return WALK_NO_RAM;
	pte = w->step[1].pte;
	if (!(pte & PTE_P))
		return WALK_ABSENT;
	leaf_done(w, pte, pte_rights(pde & pte), pte & 0xfffff000, PG_SIZE,
		  out);
	return WALK_OK;
}

/* Reserved bits of an 8-byte entry that maps or points at level @shift. */
static uint64_t rsvd_64(const struct cpu *cpu, unsigned int shift, bool large)
{
	uint64_t rsvd = ADDR_MASK & ~(BIT64(cpu->maxphyaddr) - 1);

	if (!cpu_long_mode(cpu))
		rsvd |= 0x7ff0000000000000ULL;
	if (!(cpu->efer & EFER_NXE))
		rsvd |= PTE_NX;
	if (shift >= 39)
		return rsvd | PTE_PS | (cpu->vendor_amd ? PTE_G : 0);
	if (!large)
		return rsvd;
	if (shift == 30 && !cpu->page1g)
		rsvd |= PTE_PS;
	/* below the address of a large page only bit 12 (PAT) is defined */
	return rsvd | ((BIT64(shift) - 1) & ~(BIT64(13) - 1));
}

static enum walk_end walk_64(struct walker *w, uint64_t table,
			     unsigned int shift, struct walk *out)
{
	unsigned int rights = MMU_W | MMU_U, nx = 0;

	w->size = 8;
	for (;; shift -= 9) {
		uint64_t pte;
		bool large;

		if (!walk_step(w, table + (w->gva >> shift & 0x1ff) * 8))
			return WALK_NO_RAM;
		pte = w->step[w->n - 1].pte;
		if (!(pte & PTE_P))
			return WALK_ABSENT;
		large = shift > 12 && pte & PTE_PS;
		if (unlikely(pte & rsvd_64(w->cpu, shift, large)))
			return WALK_RSVD;
		rights &= pte_rights(pte);
		if (pte & PTE_NX)
			nx = MMU_NX;
		table = pte & ADDR_MASK;
		if (shift > 12 && !large)
			continue;
		out->pkey = pte >> PTE_PKEY_SHIFT & PTE_PKEY_MASK;
		leaf_done(w, pte, rights | nx, table, BIT64(shift), out);
		return WALK_OK;
	}
}

static enum walk_end walk_tables(struct walker *w, struct walk *out)
{
	const struct cpu *cpu = w->cpu;
	uint64_t pdpte;

	if (cpu_long_mode(cpu))
		return walk_64(w, cpu->cr3 & ADDR_MASK,
			       cpu->cr4 & CR4_LA57 ? 48 : 39, out);
	if (!(cpu->cr4 & CR4_PAE))
		return walk_32(w, out);
	pdpte = cpu->pdptr[w->gva >> 30 & 3];
	if (!(pdpte & PTE_P))
		return WALK_ABSENT;
	return walk_64(w, pdpte & ADDR_MASK, 21, out);
}

static bool exchange(const struct walker *w, const struct step *s, uint64_t new)
{
	uint64_t old = s->pte;
	uint32_t old32 = old;

	if (w->size == 8)
		return __atomic_compare_exchange_n((uint64_t *)s->ptr, &old,
						   new, false, __ATOMIC_SEQ_CST,
						   __ATOMIC_RELAXED);
	return __atomic_compare_exchange_n((uint32_t *)s->ptr, &old32,
					   (uint32_t) new, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* Store A/D bits of one entry. False: it changed, walk again. */
static bool mark_step(const struct walker *w, const struct step *s,
		      uint64_t bits)
{
	struct cpu *cpu = w->cpu;

	if ((s->pte & bits) == bits || s->range->flags & PHYS_READONLY)
		return true;
	tlb_before_write(cpu, s->ptr, w->size);
	if (!exchange(w, s, s->pte | bits))
		return false;
	if (s->range->flags & PHYS_DIRTY)
		cpu->ops->mark_dirty(cpu, s->gpa);
	return true;
}

static bool mark_steps(const struct walker *w, bool write)
{
	unsigned int i;

	for (i = 0; i + 1 < w->n; i++)
		if (!mark_step(w, &w->step[i], PTE_A))
			return false;
	return mark_step(w, &w->step[i], write ? PTE_A | PTE_D : PTE_A);
}

static void walk_flat(gva_t gva, struct walk *out)
{
	out->gpa = gva;
	out->size = 0;
	out->writable = true;
	out->global = false;
	out->rights = MMU_W | MMU_U | MMU_D;
	out->pkey = 0;
	out->error = 0;
}

/* Judge what the tables grant and fill in the rest. */
static int walk_judge(struct cpu *cpu, unsigned int acc, bool ac,
		      struct walk *out)
{
	unsigned int wacc = (acc & ~ACC_KIND) | ACC_WRITE;

	out->error = mmu_deny(cpu, out->rights, out->pkey, acc, ac);
	if (out->error)
		return -EFAULT;
	out->global = out->rights & MMU_G;
	out->writable = out->rights & MMU_D &&
			!mmu_deny(cpu, out->rights, out->pkey, wacc, ac);
	return 0;
}

static int walk(struct cpu *cpu, gva_t gva, unsigned int acc, bool ac,
		bool touch, struct walk *out)
{
	bool write = (acc & ACC_KIND) == ACC_WRITE;
	struct walker w;

	if (!cpu_paging(cpu)) {
		walk_flat(gva, out);
		return 0;
	}
	w.cpu = cpu;
	w.gva = gva;
	do {
		enum walk_end end;

		w.n = 0;
		out->pkey = 0;
		end = walk_tables(&w, out);
		if (end != WALK_OK) {
			out->error = fault_code(
				cpu, acc,
				end == WALK_RSVD ? PF_RSVD | PF_P : 0);
			return end == WALK_NO_RAM ? -ENXIO : -EFAULT;
		}
		if (write && touch)
			out->rights |= MMU_D;
		if (walk_judge(cpu, acc, ac, out))
			return -EFAULT;
	} while (touch && !mark_steps(&w, write));
	return 0;
}

static bool explicit_ac(const struct cpu *cpu, unsigned int acc)
{
	return cpu->acflag && !(acc & ACC_SYSTEM);
}

int mmu_walk_ac(struct cpu *cpu, gva_t gva, unsigned int acc, bool ac,
		struct walk *out)
{
	return walk(cpu, gva, acc, ac, true, out);
}

int mmu_walk(struct cpu *cpu, gva_t gva, unsigned int acc, struct walk *out)
{
	return walk(cpu, gva, acc, explicit_ac(cpu, acc), true, out);
}

int mmu_probe(struct cpu *cpu, gva_t gva, unsigned int acc, struct walk *out)
{
	return walk(cpu, gva, acc, explicit_ac(cpu, acc), false, out);
}
