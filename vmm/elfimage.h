/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF executables into guest memory, segments at their physical addresses
 * (System V ABI, "Program Header").
 */
#ifndef VMM_ELFIMAGE_H
#define VMM_ELFIMAGE_H

#include <elf.h>

#include "lib/err.h"

struct dma;
struct image;

struct elf {
	const struct image *img;
	const struct dma *dma;
	bool is64;
	uint64_t phoff;
	unsigned phnum;
	uint64_t entry; /* as the header has it */
	uint64_t top;   /* end of the highest segment, after elf_load() */
};

/* Read the header. -ENOEXEC: no ELF file, @e untouched. */
int elf_open(struct elf *elf, const struct image *img, const struct dma *dma,
	     struct err *e) __must_check;

/*
 * Load all segments, none below @floor; @note is called for each PT_NOTE
 * segment that lies in the file.
 */
int elf_load(struct elf *elf, uint64_t floor,
	     int (*note)(void *ctx, const Elf64_Phdr *ph, struct err *e),
	     void *ctx, struct err *e) __must_check;

#endif
