/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels into memory: a bzImage by the Linux boot protocol, an ELF file with
 * a PVH entry, or an image with a Multiboot header. The result says in which
 * state the boot CPU starts.
 */
#ifndef VMM_BOOT_H
#define VMM_BOOT_H

#include "lib/err.h"

struct dma;
struct image;

/* The state of the boot CPU at its first instruction. */
struct boot_entry {
	bool long_mode; /* else protected mode without paging */
	uint64_t rip;
	uint64_t rax; /* multiboot: its magic */
	uint64_t rsi; /* bzImage: boot_params */
	uint64_t rbx; /* PVH: hvm_start_info; multiboot: boot information */
	uint64_t cr3; /* long mode only */
};

struct boot_source {
	const char *kernel;
	const char *initrd; /* may be NULL */
	const char *append; /* may be NULL */
	uint64_t low_size;  /* RAM below the PCI hole */
	uint64_t high_size; /* RAM from 4 GiB on */
	uint64_t rsdp;      /* gpa */
	bool pci;           /* the ECAM window exists */
};

/*
 * Load everything @src names into @dma, whose memory is zero. Failures name
 * the option they come from.
 */
int boot_load(const struct boot_source *src, const struct dma *dma,
	      struct boot_entry *entry, struct err *e) __must_check;

/*
 * ---- boot.c to the loaders ----
 */
#define BOOT_MAP_MAX  8
#define BOOT_RAM      1
#define BOOT_RESERVED 2

struct boot_range {
	uint64_t base;
	uint64_t size;
	uint32_t type;
};

/* The memory map as firmware would report it; returns the entries. */
unsigned boot_map(const struct boot_source *src, struct boot_range *map);

/* Where the initrd lies; size 0 without one. */
struct boot_blob {
	uint64_t gpa;
	uint64_t size;
};

/*
 * Read @src->initrd into the highest pages that end at or below @top and
 * begin at or above @floor.
 */
int boot_initrd(const struct boot_source *src, const struct dma *dma,
		uint64_t floor, uint64_t top, struct boot_blob *out,
		struct err *e) __must_check;

/* Copy -append to LAYOUT_CMDLINE; @max is what the kernel takes. */
int boot_cmdline(const struct boot_source *src, const struct dma *dma,
		 uint64_t max, struct err *e) __must_check;

/* Each fills @entry. -ENOEXEC: not this format, @e untouched. */
int bzimage_load(const struct boot_source *src, const struct image *img,
		 const struct dma *dma, struct boot_entry *entry,
		 struct err *e) __must_check;
int multiboot_load(const struct boot_source *src, const struct image *img,
		   const struct dma *dma, struct boot_entry *entry,
		   struct err *e) __must_check;
int pvh_load(const struct boot_source *src, const struct image *img,
	     const struct dma *dma, struct boot_entry *entry,
	     struct err *e) __must_check;

#endif
