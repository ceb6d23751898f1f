/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels with a Multiboot header (Multiboot Specification 0.6.96): "The
 * layout of Multiboot header", "Machine state", "Boot information format".
 * The image is an ELF file, or says itself where it goes. No video mode is
 * set and no drive is described: a kernel that asks for these in its header
 * is refused, as the specification wants of unknown requirements.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dev/dma.h"
#include "vmm/boot.h"
#include "vmm/elfimage.h"
#include "vmm/image.h"
#include "vmm/layout.h"

#define SEARCH_SIZE  8192
#define HEADER_MAGIC 0x1badb002
#define BOOT_MAGIC   0x2badb002
/* of the header */
#define WANT_ALIGNED BIT(0) /* modules on page boundaries */
#define WANT_MEMORY  BIT(1)
#define WANT_VIDEO   BIT(2)
#define WANT_KNOWN   (WANT_ALIGNED | WANT_MEMORY)
#define WANT_MUST    0xffffu /* bits that must be understood */
#define HAS_ADDRESS  BIT(16)
/* of the boot information */
#define INFO_MEMORY  BIT(0)
#define INFO_CMDLINE BIT(2)
#define INFO_MODULES BIT(3)
#define INFO_MAP     BIT(6)
#define INFO_NAME    BIT(9)
/* where it lies: pages that are free outside of long mode */
#define INFO_GPA     LAYOUT_PAGE_TABLES
#define MAP_GPA      (INFO_GPA + 0x100)
#define NAME_GPA     (INFO_GPA + 0x300)
#define MODULE_GPA   (INFO_GPA + 0x400)
#define MODULES_MAX  32
#define TEXT_GPA     (INFO_GPA + 0x600) /* command lines, one behind another */
#define TEXT_MAX     0x1a00
#define STACK_FREE   0x10000 /* images begin here or higher */

struct header {
	uint32_t magic, flags, checksum;
	uint32_t header_addr, load_addr, load_end_addr, bss_end_addr;
	uint32_t entry_addr;
};

struct info {
	uint32_t flags;
	uint32_t mem_lower, mem_upper; /* KiB */
	uint32_t boot_device;
	uint32_t cmdline;
	uint32_t mods_count, mods_addr;
	uint32_t syms[4];
	uint32_t mmap_length, mmap_addr;
	uint32_t drives_length, drives_addr;
	uint32_t config_table;
	uint32_t boot_loader_name;
	uint32_t rest[13];
};
_Static_assert(sizeof(struct info) <= 0x100, "MAP_GPA");

struct module {
	uint32_t start, end, string, reserved;
};

struct map_entry {
	uint32_t size; /* of what follows */
	uint64_t base, length;
	uint32_t type;
} __packed;
_Static_assert(sizeof(struct map_entry) * BOOT_MAP_MAX <= 0x200, "NAME_GPA");
_Static_assert(sizeof(struct module) * MODULES_MAX <= 0x200, "TEXT_GPA");

struct multiboot {
	const struct boot_source *src;
	const struct image *img;
	const struct dma *dma;
	struct header h;
	uint64_t offset; /* of the header in the file */
	uint64_t top;    /* end of the image in memory */
	unsigned text;   /* bytes at TEXT_GPA in use */
};

/* -ENOEXEC: there is none. */
static int find_header(struct multiboot *m, struct err *e)
{
	union {
		uint8_t b[SEARCH_SIZE];
		uint32_t w[SEARCH_SIZE / 4];
	} u = {.b = {0}};
	uint64_t size = MIN(m->img->size, (uint64_t)SEARCH_SIZE);
	unsigned i;
	int ret = image_read(m->img, 0, &u, size, e);

	if (ret)
		return ret;
	for (i = 0; i + 3 <= size / 4; i++)
		if (u.w[i] == HEADER_MAGIC &&
		    !(uint32_t)(u.w[i] + u.w[i + 1] + u.w[i + 2]))
			break;
	if (i + 3 > size / 4)
		return -ENOEXEC;
	m->offset = i * 4;
	memcpy(&m->h, &u.b[i * 4],
	       MIN(sizeof(m->h), (size_t)(size - m->offset)));
	if (m->h.flags & WANT_MUST & ~WANT_KNOWN)
		return image_err(m->img, e, -EINVAL,
				 "asks for more than Multiboot memory and "
				 "modules (flags %#x)",
				 m->h.flags);
	return 0;
}

/* Addresses from the header: "The address fields of Multiboot header". */
static int load_flat(struct multiboot *m, struct err *e)
{
	const struct header *h = &m->h;
	uint64_t before = h->header_addr - (uint64_t)h->load_addr, from, size;
	uint64_t end;
	void *dst;

	if (h->header_addr < h->load_addr || before > m->offset ||
	    h->load_addr < STACK_FREE)
		return image_err(m->img, e, -EINVAL,
				 "has wrong addresses in its Multiboot header");
	from = m->offset - before;
	size = m->img->size - from;
	if (h->load_end_addr)
		size = h->load_end_addr - (uint64_t)h->load_addr;
	end = MAX(h->load_addr + size, (uint64_t)h->bss_end_addr);
	if (size > m->img->size - from)
		return image_err(m->img, e, -EINVAL,
				 "is shorter than its Multiboot header says");
	dst = dma_ptr(m->dma, h->load_addr, end - h->load_addr);
	if (!dst)
		return image_err(m->img, e, -ENOMEM,
				 "ends at %#llx, beyond memory; give more with "
				 "-m",
				 (unsigned long long)end);
	m->top = end;
	return image_read(m->img, from, dst, size, e);
}

static int load_image(struct multiboot *m, uint64_t *entry, struct err *e)
{
	struct elf elf;
	int ret;

	if (m->h.flags & HAS_ADDRESS) {
		*entry = m->h.entry_addr;
		return load_flat(m, e);
	}
	ret = elf_open(&elf, m->img, m->dma, e);
	if (ret == -ENOEXEC)
		return image_err(m->img, e, ret,
				 "has a Multiboot header without addresses, "
				 "and is no ELF file");
	if (!ret)
		ret = elf_load(&elf, STACK_FREE, NULL, NULL, e);
	m->top = elf.top;
	*entry = elf.entry;
	return ret;
}

static int write_map(struct multiboot *m, struct info *info, struct err *e)
{
	struct boot_range map[BOOT_MAP_MAX];
	struct map_entry out[BOOT_MAP_MAX];
	unsigned n = boot_map(m->src, map), i;

	for (i = 0; i < n; i++)
		out[i] = (struct map_entry){sizeof(out[i]) - 4, map[i].base,
					    map[i].size, map[i].type};
	info->mem_lower = LAYOUT_LOW_END >> 10;
	info->mem_upper = (uint32_t)((m->src->low_size - LAYOUT_HIGH) >> 10);
	info->mmap_addr = MAP_GPA;
	info->mmap_length = (uint32_t)(n * sizeof(out[0]));
	info->flags |= INFO_MEMORY | INFO_MAP;
	if (dma_write(m->dma, MAP_GPA, out, n * sizeof(out[0])))
		return err_set(e, -EFAULT, "no memory for the kernel's start");
	return 0;
}

/* "PATH ARGUMENTS", as boot loaders do. */
static int write_cmdline(struct multiboot *m, struct info *info, struct err *e)
{
	char text[TEXT_MAX];
	int n = snprintf(text, sizeof(text), "%s %s", m->img->path,
			 m->src->append ? m->src->append : "");

	if (n >= (int)sizeof(text))
		return err_set(e, -E2BIG,
			       "-append: with the kernel's path more than the "
			       "%d bytes there are",
			       TEXT_MAX - 1);
	if (!m->src->append)
		text[--n] = 0;
	info->cmdline = TEXT_GPA;
	info->flags |= INFO_CMDLINE;
	m->text = (unsigned)n + 1;
	if (dma_write(m->dma, TEXT_GPA, text, (size_t)n + 1))
		return err_set(e, -EFAULT, "-append: no memory to put it");
	return 0;
}

/* A module is "FILE ARGUMENTS", and all of that its string. */
static int write_module(struct multiboot *m, struct info *info,
			const char *text, uint64_t *top, struct err *e)
{
	uint64_t floor = MAX(ALIGN_UP(m->top, 4096ull), LAYOUT_HIGH);
	struct boot_source src = *m->src;
	size_t size = strlen(text) + 1;
	struct boot_blob blob;
	struct module mod = {0};
	char file[TEXT_MAX];
	int ret;

	if (info->mods_count == MODULES_MAX || m->text + size > TEXT_MAX)
		return err_set(e, -E2BIG,
			       "-initrd: more than %d modules, or than the %d "
			       "bytes there are for their arguments",
			       MODULES_MAX, TEXT_MAX);
	snprintf(file, sizeof(file), "%.*s", (int)strcspn(text, " "), text);
	src.initrd = file;
	ret = boot_initrd(&src, m->dma, floor, *top, &blob, e);
	if (ret)
		return ret;
	*top = blob.gpa;
	mod.start = (uint32_t)blob.gpa;
	mod.end = (uint32_t)(blob.gpa + blob.size);
	mod.string = TEXT_GPA + m->text;
	m->text += (unsigned)size;
	if (dma_write(m->dma, mod.string, text, size) ||
	    dma_write(m->dma, MODULE_GPA + info->mods_count * sizeof(mod), &mod,
		      sizeof(mod)))
		return err_set(e, -EFAULT, "-initrd: no memory to describe it");
	info->mods_count++;
	return 0;
}

/* What is before a comma, of which two are one that counts; the rest. */
static const char *next_module(const char *p, char *out, size_t size)
{
	size_t n = 0;

	for (; *p && (*p != ',' || p[1] == ','); p++) {
		if (n + 1 < size)
			out[n++] = *p;
		p += *p == ',';
	}
	out[n] = 0;
	return *p ? p + 1 : NULL;
}

/* "MODULE,MODULE..." */
static int write_modules(struct multiboot *m, struct info *info, struct err *e)
{
	const char *rest = m->src->initrd;
	uint64_t top = m->src->low_size;
	char text[TEXT_MAX];
	int ret = 0;

	if (!rest)
		return 0;
	info->mods_addr = MODULE_GPA;
	info->flags |= INFO_MODULES;
	while (rest && !ret) {
		rest = next_module(rest, text, sizeof(text));
		ret = write_module(m, info, text, &top, e);
	}
	return ret;
}

static int write_info(struct multiboot *m, struct err *e)
{
	static const char name[] = "lodge";
	struct info info = {.boot_loader_name = NAME_GPA, .flags = INFO_NAME};
	int ret = write_map(m, &info, e);

	if (!ret)
		ret = write_cmdline(m, &info, e);
	if (!ret)
		ret = write_modules(m, &info, e);
	if (!ret && (dma_write(m->dma, NAME_GPA, name, sizeof(name)) ||
		     dma_write(m->dma, INFO_GPA, &info, sizeof(info))))
		ret = err_set(e, -EFAULT, "no memory for the kernel's start");
	return ret;
}

int multiboot_load(const struct boot_source *src, const struct image *img,
		   const struct dma *dma, struct boot_entry *entry,
		   struct err *e)
{
	struct multiboot m = {.src = src, .img = img, .dma = dma};
	uint64_t rip = 0;
	int ret = find_header(&m, e);

	if (!ret)
		ret = load_image(&m, &rip, e);
	if (!ret && (rip > UINT32_MAX || !dma_ptr(dma, rip, 1)))
		ret = image_err(img, e, -EINVAL,
				"has its Multiboot entry outside of memory");
	if (!ret)
		ret = write_info(&m, e);
	entry->rip = rip;
	entry->rax = BOOT_MAGIC;
	entry->rbx = INFO_GPA;
	return ret;
}
