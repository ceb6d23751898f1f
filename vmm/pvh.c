/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF kernels by the x86/HVM direct boot ABI, "PVH" (Xen's docs/misc/pvh and
 * public/arch-x86/hvm/start_info.h): segments at their physical addresses,
 * entry named by a note, 32-bit protected mode, a start-info block in ebx.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dev/dma.h"
#include "vmm/boot.h"
#include "vmm/image.h"
#include "vmm/layout.h"

#define NOTE_PHYS32_ENTRY 18
#define NOTES_MAX         (1U << 20) /* bytes of one note segment */
#define PHDR_MAX          128
#define START_MAGIC       0x336ec578
#define START_VERSION     1
#define MODLIST_OFFSET    0x80 /* in the page at LAYOUT_START_INFO */
#define MEMMAP_OFFSET     0x100

struct start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t nr_modules;
	uint64_t modlist_paddr;
	uint64_t cmdline_paddr;
	uint64_t rsdp_paddr;
	uint64_t memmap_paddr;
	uint32_t memmap_entries;
	uint32_t reserved;
};

struct start_module {
	uint64_t paddr;
	uint64_t size;
	uint64_t cmdline_paddr;
	uint64_t reserved;
};

struct start_range {
	uint64_t addr;
	uint64_t size;
	uint32_t type;
	uint32_t reserved;
};

_Static_assert(sizeof(struct start_info) == 56, "ABI");
_Static_assert(sizeof(struct start_module) == 32, "ABI");
_Static_assert(sizeof(struct start_range) == 24, "ABI");

struct pvh {
	const struct boot_source *src;
	const struct image *img;
	const struct dma *dma;
	bool is64;
	uint64_t phoff;
	unsigned phnum;
	uint64_t entry; /* from the note */
	bool has_entry;
	uint64_t ram_end; /* end of the highest segment */
};

static int read_ehdr(struct pvh *p, struct err *e)
{
	union {
		unsigned char ident[EI_NIDENT];
		Elf32_Ehdr e32;
		Elf64_Ehdr e64;
	} h;
	unsigned machine, type, entsize;
	int ret;

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

static int read_phdr(const struct pvh *p, unsigned i, Elf64_Phdr *out,
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

static int check_range(const struct pvh *p, const Elf64_Phdr *ph, struct err *e)
{
	if (ph->p_offset > p->img->size ||
	    ph->p_filesz > p->img->size - ph->p_offset)
		return image_err(p->img, e, -EINVAL,
				 "is truncated: a segment ends beyond the "
				 "file");
	return 0;
}

static int load_segment(struct pvh *p, const Elf64_Phdr *ph, struct err *e)
{
	void *dst;
	int ret = check_range(p, ph, e);

	if (ret || !ph->p_memsz)
		return ret;
	if (ph->p_filesz > ph->p_memsz || ph->p_paddr < LAYOUT_HIGH)
		return image_err(p->img, e, -EINVAL,
				 "has a segment that is malformed or below "
				 "1 MiB");
	dst = dma_ptr(p->dma, ph->p_paddr, ph->p_memsz);
	if (!dst)
		return image_err(p->img, e, -ENOMEM,
				 "has a segment at %#llx beyond memory; give "
				 "more with -m",
				 (unsigned long long)ph->p_paddr);
	p->ram_end = MAX(p->ram_end, ph->p_paddr + ph->p_memsz);
	return image_read(p->img, ph->p_offset, dst, ph->p_filesz, e);
}

static void parse_notes(struct pvh *p, const uint8_t *n, uint64_t left)
{
	Elf64_Nhdr h;
	uint64_t name, desc;

	while (left >= sizeof(h)) {
		memcpy(&h, n, sizeof(h));
		name = ALIGN_UP((uint64_t)h.n_namesz, (uint64_t)4);
		desc = ALIGN_UP((uint64_t)h.n_descsz, (uint64_t)4);
		n += sizeof(h);
		left -= sizeof(h);
		if (name + desc > left)
			return;
		if (h.n_type == NOTE_PHYS32_ENTRY && h.n_namesz == 4 &&
		    !memcmp(n, "Xen", 4) &&
		    (h.n_descsz == 4 || h.n_descsz == 8)) {
			p->entry = 0;
			memcpy(&p->entry, n + name, h.n_descsz);
			p->has_entry = true;
		}
		n += name + desc;
		left -= name + desc;
	}
}

static int read_notes(struct pvh *p, const Elf64_Phdr *ph, struct err *e)
{
	uint8_t *buf;
	int ret = check_range(p, ph, e);

	if (ret || ph->p_filesz > NOTES_MAX)
		return ret;
	buf = malloc(ph->p_filesz + 1);
	if (!buf)
		return err_set(e, -ENOMEM, "out of memory");
	ret = image_read(p->img, ph->p_offset, buf, ph->p_filesz, e);
	if (!ret)
		parse_notes(p, buf, ph->p_filesz);
	free(buf);
	return ret;
}

static int load_segments(struct pvh *p, struct err *e)
{
	Elf64_Phdr ph;
	unsigned i;
	int ret = 0;

	for (i = 0; !ret && i < p->phnum; i++) {
		ret = read_phdr(p, i, &ph, e);
		if (ret)
			break;
		if (ph.p_type == PT_LOAD)
			ret = load_segment(p, &ph, e);
		else if (ph.p_type == PT_NOTE)
			ret = read_notes(p, &ph, e);
	}
	if (ret)
		return ret;
	if (!p->has_entry)
		return image_err(p->img, e, -EINVAL,
				 "is an ELF file without a PVH entry note "
				 "(Linux: CONFIG_PVH)");
	if (p->entry > UINT32_MAX || !dma_ptr(p->dma, p->entry, 1))
		return image_err(p->img, e, -EINVAL,
				 "has its PVH entry outside of memory");
	return 0;
}

static int write_start_info(struct pvh *p, const struct start_module *mod,
			    struct err *e)
{
	struct boot_range map[BOOT_MAP_MAX];
	struct start_range out[BOOT_MAP_MAX] = {0};
	struct start_info info = {
		.magic = START_MAGIC,
		.version = START_VERSION,
		.nr_modules = mod->size ? 1 : 0,
		.modlist_paddr = LAYOUT_START_INFO + MODLIST_OFFSET,
		.cmdline_paddr = LAYOUT_CMDLINE,
		.rsdp_paddr = p->src->rsdp,
		.memmap_paddr = LAYOUT_START_INFO + MEMMAP_OFFSET,
		.memmap_entries = boot_map(p->src, map),
	};
	unsigned i;

	for (i = 0; i < info.memmap_entries; i++) {
		out[i].addr = map[i].base;
		out[i].size = map[i].size;
		out[i].type = map[i].type;
	}
	if (dma_write(p->dma, LAYOUT_START_INFO, &info, sizeof(info)) ||
	    dma_write(p->dma, info.modlist_paddr, mod, sizeof(*mod)) ||
	    dma_write(p->dma, info.memmap_paddr, out, sizeof(out)))
		return err_set(e, -EFAULT, "no memory for the kernel's start");
	return 0;
}

int pvh_load(const struct boot_source *src, const struct image *img,
	     const struct dma *dma, struct boot_entry *entry, struct err *e)
{
	struct pvh p = {.src = src, .img = img, .dma = dma};
	struct start_module mod = {0};
	struct boot_blob blob = {0};
	int ret = read_ehdr(&p, e);

	if (!ret)
		ret = load_segments(&p, e);
	if (!ret)
		ret = boot_initrd(src, dma, p.ram_end, src->low_size, &blob, e);
	if (!ret)
		ret = boot_cmdline(src, dma, LAYOUT_CMDLINE_MAX - 1, e);
	mod.paddr = blob.gpa;
	mod.size = blob.size;
	if (!ret)
		ret = write_start_info(&p, &mod, e);
	entry->rip = p.entry;
	entry->rbx = LAYOUT_START_INFO;
	return ret;
}
