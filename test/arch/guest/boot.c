/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a monitor hands to kernels: the Multiboot information, or PVH's start
 * info where pvh.S was in between, modules, the map of memory; and the debug
 * console. Modules are unittests.cfg: see there.
 */
#include "test/arch/guest/arch.h"

#define KEY_RAM 3
#define RAM     1 /* a type of memory, in both maps */

#define INFO_MEMORY  (1u << 0)
#define INFO_CMDLINE (1u << 2)
#define INFO_MODULES (1u << 3)
#define INFO_MAP     (1u << 6)

struct info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline;
	uint32_t mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
};

struct module {
	uint32_t start, end, string, reserved;
};

struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};

struct start_module {
	uint64_t addr, size, cmdline, reserved;
};

struct range {
	uint64_t addr, size;
	uint32_t type;
};

static const char head[] = "# SPDX-License-Identifier: Apache-2.0\n";

static void *at(uint64_t gpa)
{
	return (void *)(reg_t)gpa;
}

static const struct info *info(void)
{
	return at(mb_info);
}

/* Left by pvh.S, or NULL. */
static const struct start_info *start_info(void)
{
	if (info()->flags != INFO_CMDLINE)
		return NULL;
	return at(*(uint32_t *)at(mb_info + MB_START_INFO));
}

static uint64_t ram_size(void)
{
	uint64_t size;

	outw(0x510, KEY_RAM);
	for (unsigned int i = 0; i < sizeof(size); i++)
		((uint8_t *)&size)[i] = inb(0x511);
	return size;
}

/* Entry @i of either map; false behind the last. */
static bool entry(unsigned int i, struct range *r)
{
	const struct start_info *s = start_info();
	uint64_t p, end;

	if (s) {
		memcpy(r, at(s->memmap + 24 * i), sizeof(*r));
		return i < s->memmap_entries;
	}
	p = info()->mmap_addr;
	end = p + info()->mmap_length;
	while (p < end && i--)
		p += *(uint32_t *)at(p) + 4;
	if (p >= end)
		return false;
	memcpy(r, at(p + 4), 20);
	return true;
}

/* Whether @r is RAM from its first to its last byte. */
static bool is_ram(uint64_t addr, uint64_t size)
{
	struct range r;

	for (unsigned int i = 0; entry(i, &r); i++)
		if (r.type == RAM && addr >= r.addr &&
		    addr + size <= r.addr + r.size)
			return true;
	return false;
}

static bool overlaps(const struct range *a, uint64_t addr, uint64_t size)
{
	return a->addr < addr + size && addr < a->addr + a->size;
}

static void test_map(void)
{
	uint64_t size = ram_size(), sum = 0;
	struct range r, q;
	bool apart = true, clear = true;

	for (unsigned int i = 0; entry(i, &r); i++) {
		for (unsigned int j = 0; j < i && entry(j, &q); j++)
			apart &= !overlaps(&r, q.addr, q.size);
		if (r.type != RAM)
			continue;
		sum += r.size;
		clear &= !overlaps(&r, 0xa0000, 0x60000);
	}
	check(apart, "no two entries overlap");
	check(clear, "video memory and firmware are no RAM");
	check(sum <= size && sum + 0x200000 >= size, "RAM of the map: %x of %x",
	      sum, size);
	check(is_ram(0, 0x90000) && is_ram(0x100000, size - 0x300000),
	      "RAM is at 0 and at 1 MiB");
}

static void test_info(void)
{
	uint64_t size = ram_size();
	const struct info *m = info();
	const char *p;

	check(!(~m->flags & (INFO_MEMORY | INFO_CMDLINE | INFO_MAP)),
	      "memory, a command line, a map: %x", (reg_t)m->flags);
	check(!(m->flags & INFO_MODULES) || !m->mods_count, "no module");
	check(m->mem_lower <= 640 && m->mem_lower >= 576, "%d KiB at 0",
	      (int)m->mem_lower);
	check(m->mem_upper <= (size >> 10) - 1024 &&
		      m->mem_upper + 2048 >= (size >> 10) - 1024,
	      "%d KiB at 1 MiB", (int)m->mem_upper);
	p = at(m->cmdline);
	while (*p && *p != ' ')
		p++;
	check(!memcmp(p - 9, "boot.flat info", 15),
	      "the command line is the image's name and the arguments");
}

/* @n modules, the first with @words behind its name. */
static void check_modules(unsigned int n, const char *words)
{
	const struct module *m = at(info()->mods_addr);
	bool text = true, pages = true, ram = true, apart = true;
	const char *p;

	check(info()->flags & INFO_MODULES && info()->mods_count == n,
	      "modules: %d", (int)info()->mods_count);
	if (info()->mods_count != n)
		return;
	for (unsigned int i = 0; i < n; i++) {
		const char *last = at(m[i].end - 1);

		text &= m[i].end - m[i].start > sizeof(head) &&
			!memcmp(at(m[i].start), head, sizeof(head) - 1) &&
			*last == '\n';
		pages &= !(m[i].start & 4095);
		ram &= is_ram(m[i].start, m[i].end - m[i].start) &&
		       m[i].start >= (reg_t)bss_end;
		for (unsigned int j = 0; j < i; j++)
			apart &= m[j].end <= m[i].start ||
				 m[i].end <= m[j].start;
	}
	check(text, "they hold the file, all of it");
	check(pages, "they begin pages, as the header asks");
	check(ram && apart, "they are in RAM, each for itself");
	p = at(m->string);
	while (*p && *p != ' ')
		p++;
	check(!memcmp(p - 13, "unittests.cfg", 13) && !strcmp(p, words),
	      "a string of its own: '%s'", p);
}

static void test_module(void)
{
	check_modules(1, "");
}

static void test_modules(void)
{
	check_modules(3, " one two");
}

static void test_pvh(void)
{
	const struct start_info *s = start_info();
	const struct start_module *m;

	if (!s) {
		skip("not started by PVH");
		return;
	}
	check(s->magic == 0x336ec578, "the magic number");
	check(s->version >= 1, "a version with a map: %d", (int)s->version);
	check(!strcmp(at(s->cmdline), "pvh map"), "the command line");
	check(!memcmp(at(s->rsdp), "RSD PTR ", 8), "ACPI's root pointer");
	check(s->nr_modules == 1, "a module: %d", (int)s->nr_modules);
	if (s->nr_modules != 1)
		return;
	m = at(s->modlist);
	check(!memcmp(at(m->addr), head, sizeof(head) - 1) &&
		      ((char *)at(m->addr))[m->size - 1] == '\n',
	      "it holds the file, all of it");
	check(is_ram(m->addr, m->size), "it is in RAM");
}

static void test_debugcon(void)
{
	check(inb(0xe9) == 0xe9, "the port reads as its number: %x",
	      (reg_t)inb(0xe9));
	outb(0xe9, '.');
}

void setup(void)
{
}

const struct test tests[] = {
	{"info", test_info, "Multiboot \"Boot information format\"",
	 NEEDS_BOARD},
	{"map", test_map,
	 "Multiboot \"Boot information format\": mmap; PVH \"x86/HVM direct "
	 "boot ABI\": memmap_paddr",
	 NEEDS_BOARD},
	{"module", test_module, "Multiboot \"Boot information format\": mods",
	 NEEDS_BOARD},
	{"modules", test_modules, "Multiboot \"Boot modules\"", NEEDS_BOARD},
	{"pvh", test_pvh, "PVH \"x86/HVM direct boot ABI\"", NEEDS_BOARD},
	{"debugcon", test_debugcon, "QEMU \"Debug/Expert options\": -debugcon",
	 NEEDS_BOARD},
	{NULL},
};
