/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ELF loader; see elfimage.h. Everything the file says is checked against its
 * size and the guest's memory.
 */
#include "vmm/elfimage.h"

#include <errno.h>
#include <string.h>

#include "dev/dma.h"
#include "vmm/image.h"

#define PHDR_MAX 128

int elf_open(struct elf *p, const struct image *img, const struct dma *dma,
	     struct err *e)
{
	union {
		unsigned char ident[EI_NIDENT];
		Elf32_Ehdr e32;
		Elf64_Ehdr e64;
	} h;
	unsigned machine, type, entsize;
	int ret;

	*p = (struct elf){.img = img, .dma = dma};
	if (p->img->size < sizeof(h))
		return -ENOEXEC;
	ret = image_read(p->img, 0, &h, sizeof(h), e);
	if (ret)
		return ret;
	if (memcmp(h.ident, ELFMAG, SELFMAG))
		return -ENOEXEC;
	p->is64 = h.ident[EI_CLASS] == ELFCLASS64;
	machine = p->is64 ? h.e64.e_machine : h.e32.e_machine;
	type = p->is64 ? h.e64.e_type : h.e32.e_type;
	entsize = p->is64 ? h.e64.e_phentsize : h.e32.e_phentsize;
	p->entry = p->is64 ? h.e64.e_entry : h.e32.e_entry;
	p->phoff = p->is64 ? h.e64.e_phoff : h.e32.e_phoff;
	p->phnum = p->is64 ? h.e64.e_phnum : h.e32.e_phnum;
	if (machine != (p->is64 ? EM_X86_64 : EM_386) ||
	    h.ident[EI_DATA] != ELFDATA2LSB)
		return image_err(p->img, e, -EINVAL,
				 "is an ELF file for another architecture");
	if ((type != ET_EXEC && type != ET_DYN) || !p->phnum ||
	    p->phnum > PHDR_MAX ||
	    entsize != (p->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)))
		return image_err(p->img, e, -EINVAL,
				 "is an ELF file but not an executable");
	return 0;
}

static int read_phdr(const struct elf *p, unsigned i, Elf64_Phdr *out,
		     struct err *e)
{
	Elf32_Phdr h;
	int ret;

	if (p->phoff > p->img->size)
		return image_err(p->img, e, -EINVAL, "is truncated");
	if (p->is64)
		return image_read(p->img, p->phoff + i * sizeof(*out), out,
				  sizeof(*out), e);
	ret = image_read(p->img, p->phoff + i * sizeof(h), &h, sizeof(h), e);
	*out = (Elf64_Phdr){
		.p_type = h.p_type,
		.p_offset = h.p_offset,
		.p_paddr = h.p_paddr,
		.p_filesz = h.p_filesz,
		.p_memsz = h.p_memsz,
	};
	return ret;
}

static int check_range(const struct elf *p, const Elf64_Phdr *ph, struct err *e)
{
	if (ph->p_offset > p->img->size ||
	    ph->p_filesz > p->img->size - ph->p_offset)
		return image_err(p->img, e, -EINVAL,
				 "is truncated: a segment ends beyond the "
				 "file");
	return 0;
}

static int load_segment(struct elf *p, const Elf64_Phdr *ph, uint64_t floor,
			struct err *e)
{
	void *dst;
	int ret = check_range(p, ph, e);

	if (ret || !ph->p_memsz)
		return ret;
	if (ph->p_filesz > ph->p_memsz || ph->p_paddr < floor)
		return image_err(p->img, e, -EINVAL,
				 "has a segment that is malformed or below "
				 "%#llx",
				 (unsigned long long)floor);
	dst = dma_ptr(p->dma, ph->p_paddr, ph->p_memsz);
	if (!dst)
		return image_err(p->img, e, -ENOMEM,
				 "has a segment at %#llx beyond memory; give "
				 "more with -m",
				 (unsigned long long)ph->p_paddr);
	p->top = MAX(p->top, ph->p_paddr + ph->p_memsz);
	return image_read(p->img, ph->p_offset, dst, ph->p_filesz, e);
}

int elf_load(struct elf *p, uint64_t floor,
	     int (*note)(void *ctx, const Elf64_Phdr *ph, struct err *e),
	     void *ctx, struct err *e)
{
	Elf64_Phdr ph;
	unsigned i;
	int ret = 0;

	for (i = 0; !ret && i < p->phnum; i++) {
		ret = read_phdr(p, i, &ph, e);
		if (!ret && ph.p_type == PT_LOAD)
			ret = load_segment(p, &ph, floor, e);
		else if (!ret && ph.p_type == PT_NOTE)
			ret = check_range(p, &ph, e);
		if (!ret && ph.p_type == PT_NOTE && note)
			ret = note(ctx, &ph, e);
	}
	return ret;
}
