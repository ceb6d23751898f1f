/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page walk against a second model that is written from the rules of
 * SDM 3A 4.6 and 4.7 in the plainest way, over the cross product of entry
 * bits, control bits, privilege and kind of access in every paging mode.
 */
#include "cpu/fake.h"
#include <errno.h>

/* One case: what the guest has set up and what it tries. */
struct mcase {
	unsigned int levels; /* 2: 32-bit; 3: PAE; 4; 5 */
	bool large;          /* the second level from below maps the page */
	bool user, ac, implicit;
	unsigned int kind;
	uint64_t upper, leaf; /* entry bits above the address */
	unsigned int key_rights;
	bool wp, smep, smap, nxe, pke, pse;
};

struct expect {
	bool fault;
	uint32_t error;
	bool leaf_dirty;
};

#define GVA 0x12345678ULL
#define KEY 5u

static bool reserved(const struct mcase *c, uint64_t e, bool leaf)
{
	if (c->levels == 2)
		return leaf && c->large && e & BIT64(21);
	if (e & PTE_NX && !c->nxe)
		return true;
	if (e & BIT64(45)) /* beyond MAXPHYADDR = 40 */
		return true;
	if (c->levels == 3 && e & BIT64(60))
		return true;
	return leaf && c->large && e & BIT64(14);
}

static bool allowed_data(const struct mcase *c, bool user_page, bool writable)
{
	bool write = c->kind == ACC_WRITE;

	if (c->user)
		return user_page && (!write || writable);
	if (user_page && c->smap && (c->implicit || !c->ac))
		return false;
	return !write || writable || !c->wp;
}

static bool allowed_key(const struct mcase *c, bool user_page)
{
	bool write = c->kind == ACC_WRITE;

	if (!c->pke || c->levels < 4 || !user_page || c->kind == ACC_EXEC)
		return true;
	if (c->key_rights & 1)
		return false;
	return !(c->key_rights & 2 && write && (c->user || c->wp));
}

static bool allowed_fetch(const struct mcase *c, bool user_page, bool nx)
{
	if (nx)
		return false;
	return c->user ? user_page : !(user_page && c->smep);
}

static struct expect model(const struct mcase *c)
{
	bool two = !c->large, user_page, writable, nx, ok, key;
	uint64_t both = two ? c->upper & c->leaf : c->leaf;
	uint64_t any = two ? c->upper | c->leaf : c->leaf;
	struct expect x = {0};
	uint32_t base = 0;

	if (c->kind == ACC_WRITE)
		base |= 2;
	if (c->user)
		base |= 4;
	if (c->kind == ACC_EXEC && (c->smep || (c->nxe && c->levels > 2)))
		base |= 16;
	x.fault = true;
	x.error = base;
	if (two && !(c->upper & PTE_P))
		return x;
	if (two && reserved(c, c->upper, false)) {
		x.error = base | 9;
		return x;
	}
	if (!(c->leaf & PTE_P))
		return x;
	if (reserved(c, c->leaf, true)) {
		x.error = base | 9;
		return x;
	}
	user_page = both & PTE_U;
	writable = both & PTE_W;
	nx = c->levels > 2 && any & PTE_NX;
	key = allowed_key(c, user_page);
	ok = c->kind == ACC_EXEC ? allowed_fetch(c, user_page, nx)
				 : allowed_data(c, user_page, writable);
	x.error = base | 1 | (key ? 0 : 32);
	x.fault = !ok || !key;
	x.leaf_dirty = c->leaf & PTE_D || (!x.fault && c->kind == ACC_WRITE);
	return x;
}

/* Build the tables; returns the addresses of the two lowest entries. */
static void build(struct fake *f, const struct mcase *c, void **upper,
		  void **leaf)
{
	uint64_t *t = (uint64_t *)(f->ram + 0x1000);
	uint64_t link = PTE_P | PTE_W | PTE_U;
	unsigned int i, shift;
	struct cpu *cpu = &f->cpu;

	cpu->cr3 = 0x1000;
	if (c->levels == 2) {
		uint32_t *pd = (uint32_t *)t;
		uint32_t *pt = (uint32_t *)(f->ram + 0x2000);

		*upper = &pd[GVA >> 22];
		*leaf = c->large ? *upper : &pt[GVA >> 12 & 0x3ff];
		pd[GVA >> 22] = c->large ? 0x400000 | (uint32_t)c->leaf
					 : 0x2000 | (uint32_t)c->upper;
		if (!c->large)
			pt[GVA >> 12 & 0x3ff] = 0x678000 | (uint32_t)c->leaf;
		return;
	}
	cpu->pdptr[GVA >> 30] = 0x1000 | PTE_P;
	shift = c->levels == 3 ? 21 : 12 + 9 * (c->levels - 1);
	for (i = 1; shift > 21; i++, shift -= 9) {
		t[GVA >> shift & 0x1ff] = (i + 1) * 0x1000 | link;
		t = (uint64_t *)(f->ram + (i + 1) * 0x1000);
	}
	*upper = &t[GVA >> 21 & 0x1ff];
	*leaf = *upper;
	t[GVA >> 21 & 0x1ff] = c->large ? 0x400000 | c->leaf
					: 0x8000 | c->upper;
	if (c->large)
		return;
	t = (uint64_t *)(f->ram + 0x8000);
	*leaf = &t[GVA >> 12 & 0x1ff];
	t[GVA >> 12 & 0x1ff] = 0x678000 | c->leaf;
}

static void set_controls(struct fake *f, const struct mcase *c)
{
	struct cpu *cpu = &f->cpu;

	cpu->cr0 = CR0_PE | CR0_PG | (c->wp ? CR0_WP : 0);
	cpu->cr4 = (c->smep ? CR4_SMEP : 0) | (c->smap ? CR4_SMAP : 0) |
		   (c->pke ? CR4_PKE : 0) | (c->pse ? CR4_PSE : 0) |
		   (c->levels > 2 ? CR4_PAE : 0) |
		   (c->levels == 5 ? CR4_LA57 : 0);
	cpu->efer = (c->levels > 3 ? EFER_LMA | EFER_LME : 0) |
		    (c->nxe ? EFER_NXE : 0);
	cpu->acflag = c->ac;
	cpu->pkru = c->key_rights << (KEY * 2);
}

static unsigned long cases;

static void run_case(struct fake *f, const struct mcase *c)
{
	struct expect x = model(c);
	unsigned int acc = c->kind | (c->user ? ACC_USER : 0) |
			   (c->implicit ? ACC_SYSTEM : 0);
	uint64_t leaf_now, size = !c->large        ? 4096
				  : c->levels == 2 ? SIZE_4M
						   : SIZE_2M;
	void *upper, *leaf;
	struct walk w;
	int rc, probe;

	set_controls(f, c);
	build(f, c, &upper, &leaf);
	cases++;
	probe = mmu_probe(&f->cpu, GVA, acc, &w);
	rc = mmu_walk(&f->cpu, GVA, acc, &w);
	leaf_now = c->levels == 2 ? *(uint32_t *)leaf : *(uint64_t *)leaf;
	if (rc != (x.fault ? -EFAULT : 0) || probe != rc ||
	    (x.fault && w.error != x.error))
		fail_msg(
			"levels %u large %d upper %lx leaf %lx kind %u user %d "
			"ac %d impl %d wp %d smep %d smap %d nxe %d key %u: "
			"rc %d error %x, expected %d %x",
			c->levels, c->large, c->upper, c->leaf, c->kind,
			c->user, c->ac, c->implicit, c->wp, c->smep, c->smap,
			c->nxe, c->key_rights, rc, w.error, x.fault, x.error);
	if (x.fault) {
		/* a refused access leaves no trace in the leaf */
		assert_int_equal(leaf_now & 0xfff, c->leaf & 0xfff);
		return;
	}
	assert_int_equal(w.gpa,
			 (c->large ? 0x400000 : 0x678000) | (GVA & (size - 1)));
	assert_int_equal(w.size, size);
	assert_true(leaf_now & PTE_A);
	assert_int_equal(!!(leaf_now & PTE_D), x.leaf_dirty);
	assert_true(*(uint8_t *)upper & PTE_A);
}

static uint64_t pick(unsigned int bits, unsigned int n, uint64_t flag)
{
	return bits >> n & 1 ? flag : 0;
}

/* Entry bits by number: P W U NX, and for the leaf D and a reserved bit. */
static uint64_t entry_bits(const struct mcase *c, unsigned int n)
{
	uint64_t e = pick(n, 0, PTE_P) | pick(n, 1, PTE_W) | pick(n, 2, PTE_U);

	if (c->levels > 2)
		e |= pick(n, 3, PTE_NX);
	if (c->levels > 3)
		e |= (uint64_t)KEY << PTE_PKEY_SHIFT;
	return e;
}

static uint64_t bad_bit(const struct mcase *c)
{
	if (c->levels == 2)
		return c->large ? BIT64(21) : 0;
	if (c->large)
		return BIT64(14);
	return c->levels == 3 ? BIT64(60) : BIT64(45);
}

static void all_accesses(struct fake *f, struct mcase *c)
{
	unsigned int who;

	for (who = 0; who < 4; who++)
		for (c->kind = ACC_READ; c->kind <= ACC_EXEC; c->kind++) {
			c->user = who == 3;
			c->ac = who == 1 || who == 2;
			c->implicit = who == 2;
			if (c->implicit && c->kind == ACC_EXEC)
				continue;
			run_case(f, c);
		}
}

static void all_controls(struct fake *f, struct mcase *c)
{
	unsigned int n, k;

	for (n = 0; n < 16; n++) {
		c->wp = n & 1;
		c->smep = n & 2;
		c->smap = n & 4;
		c->nxe = n & 8;
		c->pke = c->levels > 3;
		for (k = 0; k < (c->pke ? 4 : 1); k++) {
			c->key_rights = k;
			all_accesses(f, c);
		}
	}
}

static void all_entries(struct fake *f, struct mcase *c)
{
	unsigned int up, low;

	for (up = 0; up < (c->large ? 1 : 32); up++)
		for (low = 0; low < 64; low++) {
			if (c->levels == 2 && (up & 8 || low & 8))
				continue;
			c->upper = entry_bits(c, up & 15);
			if (up & 16)
				c->upper |= c->levels > 2 ? BIT64(45) : 0;
			c->leaf = entry_bits(c, low & 15);
			if (low & 16)
				c->leaf |= PTE_D;
			if (low & 32)
				c->leaf |= bad_bit(c);
			if (c->large)
				c->leaf |= PTE_PS;
			all_controls(f, c);
		}
}

static void test_cross_product(void **state)
{
	struct fake *f = fake_new();
	struct mcase c = {.pse = true};

	for (c.levels = 2; c.levels <= 5; c.levels++) {
		c.large = false;
		all_entries(f, &c);
		c.large = true;
		all_entries(f, &c);
	}
	assert_true(cases > 1000000);
	fake_free(f);
}

/* PS without CR4.PSE is ignored; PSE-36 reaches beyond 4 GiB. */
static void test_pse(void **state)
{
	struct fake *f = fake_new();
	struct cpu *cpu = &f->cpu;
	uint32_t *pd = (uint32_t *)(f->ram + 0x1000);
	struct walk w;

	cpu->cr4 = 0;
	cpu->efer = 0;
	pd[1] = 0x2000 | PTE_P | PTE_W | PTE_PS;
	((uint32_t *)(f->ram + 0x2000))[0] = 0x5000 | PTE_P;
	assert_int_equal(mmu_walk(cpu, 0x400123, ACC_READ, &w), 0);
	assert_int_equal(w.gpa, 0x5123);
	cpu->cr4 = CR4_PSE;
	pd[1] = 0x800000 | 0x21u << 13 | PTE_P | PTE_PS;
	assert_int_equal(mmu_walk(cpu, 0x400123, ACC_READ, &w), 0);
	assert_int_equal(w.gpa, 0x2100800123);
	cpu->maxphyaddr = 36; /* bit 37 of the address is reserved now */
	assert_int_equal(mmu_walk(cpu, 0x400123, ACC_READ, &w), -EFAULT);
	assert_int_equal(w.error, PF_P | PF_RSVD);
	fake_free(f);
}

static void test_giant(void **state)
{
	struct fake *f = fake_new();
	struct cpu *cpu = &f->cpu;
	gva_t gva = 0x7f8000123456;
	struct walk w;

	*fake_pte(f, gva, 30) = PTE_P | PTE_PS | PTE_G;
	assert_int_equal(mmu_walk(cpu, gva, ACC_READ, &w), 0);
	assert_int_equal(w.gpa, 0x123456);
	assert_int_equal(w.size, SIZE_1G);
	assert_true(w.global);
	cpu->cr4 &= ~CR4_PGE;
	assert_int_equal(mmu_walk(cpu, gva, ACC_READ, &w), 0);
	assert_false(w.global);
	*fake_pte(f, gva, 30) |= BIT64(29);
	assert_int_equal(mmu_walk(cpu, gva, ACC_READ, &w), -EFAULT);
	assert_int_equal(w.error, PF_P | PF_RSVD);
	*fake_pte(f, gva, 30) = PTE_P | PTE_PS;
	cpu->page1g = false;
	assert_int_equal(mmu_walk(cpu, gva, ACC_READ, &w), -EFAULT);
	assert_int_equal(w.error, PF_P | PF_RSVD);
	/* PS in the top entry is reserved, bit 8 there only on AMD's */
	cpu->page1g = true;
	*fake_pte(f, gva, 39) |= PTE_G;
	assert_int_equal(mmu_walk(cpu, gva, ACC_READ, &w), 0);
	cpu->vendor_amd = true;
	assert_int_equal(mmu_walk(cpu, gva, ACC_READ, &w), -EFAULT);
	cpu->vendor_amd = false;
	*fake_pte(f, gva, 39) |= PTE_PS;
	assert_int_equal(mmu_walk(cpu, gva, ACC_READ, &w), -EFAULT);
	fake_free(f);
}

/* Tables outside RAM, in read-only, logged and code-holding pages. */
static void test_table_memory(void **state)
{
	struct fake *f = fake_new();
	struct cpu *cpu = &f->cpu;
	gva_t gva = 0x40000000;
	uint64_t *rom = (uint64_t *)(f->ram + FAKE_ROM);
	uint64_t *pte;
	struct walk w;

	*fake_pte(f, gva, 21) = 0x7000000000 | PTE_P | PTE_W;
	assert_int_equal(mmu_walk(cpu, gva, ACC_WRITE, &w), -ENXIO);
	assert_int_equal(w.error, PF_W);
	*fake_pte(f, gva, 21) = FAKE_ROM | PTE_P | PTE_W;
	rom[0] = 0x5000 | PTE_P | PTE_W;
	assert_int_equal(mmu_walk(cpu, gva, ACC_WRITE, &w), 0);
	assert_int_equal(rom[0], 0x5000 | PTE_P | PTE_W);
	*fake_pte(f, gva, 21) = 0x9000 | PTE_P | PTE_W | PTE_A;
	f->ranges[0].flags = PHYS_DIRTY;
	pte = fake_pte(f, gva, 12);
	*pte = 0x5000 | PTE_P | PTE_W;
	f->code_page = (uintptr_t)pte & PG_MASK;
	f->dirty_calls = f->code_writes = 0;
	assert_int_equal(mmu_walk(cpu, gva, ACC_READ, &w), 0);
	assert_false(w.writable);
	assert_int_equal(f->dirty_calls, 1);
	assert_int_equal(f->code_writes, 1);
	assert_int_equal(mmu_walk(cpu, gva, ACC_WRITE, &w), 0);
	assert_true(w.writable);
	assert_int_equal(*pte, 0x5000 | PTE_P | PTE_W | PTE_A | PTE_D);
	assert_int_equal(f->dirty_calls, 2);
	assert_int_equal(mmu_walk(cpu, gva, ACC_WRITE, &w), 0);
	assert_int_equal(f->dirty_calls, 2);
	fake_free(f);
}

static void test_canonical(void **state)
{
	struct fake *f = fake_new();

	assert_true(mmu_canonical(&f->cpu, 0x7fffffffffff));
	assert_false(mmu_canonical(&f->cpu, 0x800000000000));
	assert_true(mmu_canonical(&f->cpu, 0xffff800000000000));
	f->cpu.cr4 |= CR4_LA57;
	assert_true(mmu_canonical(&f->cpu, 0x800000000000));
	assert_false(mmu_canonical(&f->cpu, 0x100000000000000));
	assert_int_equal(
		FAKE_RUN(f, mem_read(&f->cpu, 0x100000000000000, 1, ACC_READ)),
		VEC_GP + 1);
	fake_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cross_product),
		cmocka_unit_test(test_pse),
		cmocka_unit_test(test_giant),
		cmocka_unit_test(test_table_memory),
		cmocka_unit_test(test_canonical),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
