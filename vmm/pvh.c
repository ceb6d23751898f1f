/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF kernels by the x86/HVM direct boot ABI, "PVH" (Xen's docs/misc/pvh and
 * public/arch-x86/hvm/start_info.h): segments at their physical addresses,
 * entry named by a note, 32-bit protected mode, a start-info block in ebx.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dev/dma.h"
#include "vmm/boot.h"
#include "vmm/elfimage.h"
#include "vmm/image.h"
#include "vmm/layout.h"

#define NOTE_PHYS32_ENTRY 18
#define NOTES_MAX         (1U << 20) /* bytes of one note segment */
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
	struct elf elf;
	uint64_t entry; /* from the note */
	bool has_entry;
};

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

static int read_notes(void *ctx, const Elf64_Phdr *ph, struct err *e)
{
	struct pvh *p = ctx;
	uint8_t *buf;
	int ret;

	if (ph->p_filesz > NOTES_MAX)
		return 0;
	buf = malloc(ph->p_filesz + 1);
	if (!buf)
		return err_set(e, -ENOMEM, "out of memory");
	ret = image_read(p->elf.img, ph->p_offset, buf, ph->p_filesz, e);
	if (!ret)
		parse_notes(p, buf, ph->p_filesz);
	free(buf);
	return ret;
}

static int load_segments(struct pvh *p, struct err *e)
{
	const struct image *img = p->elf.img;
	int ret = elf_load(&p->elf, LAYOUT_HIGH, read_notes, p, e);

	if (ret)
		return ret;
	if (!p->has_entry)
		return image_err(img, e, -EINVAL,
				 "is an ELF file without a PVH entry note "
				 "(Linux: CONFIG_PVH) or a multiboot header");
	if (p->entry > UINT32_MAX || !dma_ptr(p->elf.dma, p->entry, 1))
		return image_err(img, e, -EINVAL,
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
	if (dma_write(p->elf.dma, LAYOUT_START_INFO, &info, sizeof(info)) ||
	    dma_write(p->elf.dma, info.modlist_paddr, mod, sizeof(*mod)) ||
	    dma_write(p->elf.dma, info.memmap_paddr, out, sizeof(out)))
		return err_set(e, -EFAULT, "no memory for the kernel's start");
	return 0;
}

int pvh_load(const struct boot_source *src, const struct image *img,
	     const struct dma *dma, struct boot_entry *entry, struct err *e)
{
	struct pvh p = {.src = src};
	struct start_module mod = {0};
	struct boot_blob blob = {0};
	int ret = elf_open(&p.elf, img, dma, e);

	if (!ret)
		ret = load_segments(&p, e);
	if (!ret)
		ret = boot_initrd(src, dma, p.elf.top, src->low_size, &blob, e);
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
