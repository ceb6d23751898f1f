/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gather and scatter: one access an element, lowest first, indices and masks
 * in vector registers. Registers show the elements done so far before any
 * access that may fault. SDM 2 "VGATHERDPS", "VPSCATTERDD"; APM 4 "VPGATHERDD".
 */
#include "engine/exec.h"

#include "cpu/mem.h"
#include "cpu/tlb.h"
#include "engine/vecreg.h"

#include <Zydis/Mnemonic.h>
#include <string.h>

struct gather {
	struct cpu *cpu;
	const struct insn *i;
	const struct opnd *mem;
	unsigned int reg, mask_reg;
	unsigned int esize, isize, count;
	bool evex, scatter;
	uint8_t data[64], index[64], vmask[64];
	uint64_t mask; /* elements to do, a bit each */
	uint64_t kmask;
	bool changed; /* since the registers were written */
};

static void element_sizes(struct gather *g)
{
	switch (g->i->id) {
	case ZYDIS_MNEMONIC_VGATHERDPS:
	case ZYDIS_MNEMONIC_VPGATHERDD:
	case ZYDIS_MNEMONIC_VSCATTERDPS:
	case ZYDIS_MNEMONIC_VPSCATTERDD: g->isize = g->esize = 4; break;
	case ZYDIS_MNEMONIC_VGATHERDPD:
	case ZYDIS_MNEMONIC_VPGATHERDQ:
	case ZYDIS_MNEMONIC_VSCATTERDPD:
	case ZYDIS_MNEMONIC_VPSCATTERDQ:
		g->isize = 4;
		g->esize = 8;
		break;
	case ZYDIS_MNEMONIC_VGATHERQPS:
	case ZYDIS_MNEMONIC_VPGATHERQD:
	case ZYDIS_MNEMONIC_VSCATTERQPS:
	case ZYDIS_MNEMONIC_VPSCATTERQD:
		g->isize = 8;
		g->esize = 4;
		break;
	default: g->isize = g->esize = 8; break;
	}
}

/* VEX: the sign bits of a vector register. */
static uint64_t vector_mask(struct gather *g)
{
	uint64_t mask = 0;

	vec_read(g->mask_reg, g->vmask);
	for (unsigned int n = 0; n < g->count; n++)
		if (g->vmask[(n + 1) * g->esize - 1] & 0x80)
			mask |= BIT64(n);
	return mask;
}

static void setup(struct gather *g, struct cpu *cpu, const struct insn *i)
{
	unsigned int m = i->op[0].kind == OPND_MEM   ? 0
			 : i->op[1].kind == OPND_MEM ? 1
						     : 2;

	g->cpu = cpu;
	g->i = i;
	g->mem = &i->op[m];
	g->scatter = m == 0;
	g->reg = i->op[g->scatter ? 2 : 0].reg;
	g->evex = m != 1;
	g->mask_reg = i->op[m == 1 ? 2 : 1].reg;
	g->changed = false;
	g->count = g->mem->size; /* see decode.c */
	element_sizes(g);
	vec_read(g->mem->index, g->index);
	vec_read(g->reg, g->data);
	if (g->evex)
		g->mask = g->kmask = kreg_read(g->mask_reg);
	else
		g->mask = vector_mask(g);
}

/* The element is done, or was not wanted. */
static void clear_mask(struct gather *g, unsigned int n)
{
	g->kmask &= ~BIT64(n);
	memset(g->vmask + n * g->esize, 0, g->esize);
	g->changed = true;
}

/*
 * Registers as they are after the elements done: before a fault with all they
 * had above the vector, at the end with zeros there.
 */
static void commit(struct gather *g, unsigned int size)
{
	if (!g->scatter)
		vec_write(g->reg, g->data, size);
	if (g->evex)
		kreg_write(g->mask_reg, g->kmask);
	else
		vec_write(g->mask_reg, g->vmask, size);
	g->changed = false;
	mem_mmio_taken(g->cpu);
}

static uint64_t offset(const struct gather *g, unsigned int n)
{
	const uint8_t *p = g->index + n * g->isize;
	const struct opnd *m = g->mem;
	uint64_t off = m->disp;
	int64_t index;
	int32_t index32;

	if (g->isize == 8) {
		memcpy(&index, p, 8);
	} else {
		memcpy(&index32, p, 4);
		index = index32;
	}
	off += (uint64_t)index * m->scale;
	if (m->base != OPND_NOREG)
		off += g->cpu->gpr[m->base];
	return g->i->addrsize == 4 ? (uint32_t)off : off;
}

/* Host address if it takes no fault and no page crossing to have it. */
static uint8_t *quick(const struct gather *g, uint64_t off)
{
	const struct cpu *cpu = g->cpu;
	const struct tlb_view *v = &cpu->tlb->view[cpu->view];
	const struct tlb_entry *e;
	gva_t gva = off;

	if (cpu->code_bits != 64)
		return NULL;
	if (g->mem->seg == SEG_FS || g->mem->seg == SEG_GS)
		gva += cpu->seg[g->mem->seg].base;
	e = g->scatter ? &v->w[tlb_index(gva)] : &v->r[tlb_index(gva)];
	if ((gva ^ e->tag) > 4096 - g->esize)
		return NULL;
	return (uint8_t *)(e->hva + (gva ^ e->tag));
}

static void element(struct gather *g, unsigned int n)
{
	unsigned int kind = g->scatter ? ACC_WRITE : ACC_READ;
	uint8_t *val = g->data + n * g->esize;
	uint64_t off = offset(g, n);
	uint8_t *p = quick(g, off);
	gva_t gva;

	if (p) {
		memcpy(g->scatter ? p : val, g->scatter ? val : p, g->esize);
		return;
	}
	if (g->changed)
		commit(g, sizeof(g->data));
	gva = mem_linear(g->cpu, g->mem->seg, off, g->esize, kind);
	if (g->scatter)
		mem_write_buf(g->cpu, gva, val, g->esize,
			      mem_acc(g->cpu, kind));
	else
		mem_read_buf(g->cpu, gva, val, g->esize, mem_acc(g->cpu, kind));
}

int exec_gather(struct cpu *cpu, const struct insn *i)
{
	struct gather g;

	setup(&g, cpu, i);
	for (unsigned int n = 0; n < g.count; n++) {
		if (g.mask >> n & 1)
			element(&g, n);
		clear_mask(&g, n);
	}
	g.kmask = 0;
	commit(&g, g.count * g.esize);
	return EXEC_NEXT;
}
