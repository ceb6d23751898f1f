/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loaders on files made here: what lies where, which state the boot CPU
 * gets, and one clear sentence for every way a file can be wrong.
 */
#include "vmm/boot.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <asm/bootparam.h>
#include <cmocka.h>

#include "dev/dma.h"
#include "vmm/layout.h"

#define RAM_SIZE   (16U << 20)
#define SETUP_SIZE (5 * 512)
#define CODE_SIZE  4096

static char dir[] = "/tmp/boot-test-XXXXXX";
static char kernel[64];
static char initrd[64];
static uint8_t *ram;
static struct dma dma;
static struct boot_source source;
static uint8_t image[SETUP_SIZE + CODE_SIZE];

static void save(const char *path, const void *p, size_t n)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static struct setup_header *header(void)
{
	return (struct setup_header *)(image + 0x1f1);
}

static int fresh(void **state)
{
	struct setup_header *h = header();

	memset(image, 0x5a, sizeof(image));
	memset(image + 0x1f1, 0, sizeof(*h));
	image[0x201] = sizeof(*h) - 0x11;
	h->setup_sects = 4;
	h->syssize = CODE_SIZE / 16;
	h->boot_flag = 0xaa55;
	h->header = 0x53726448;
	h->version = 0x20f;
	h->loadflags = LOADED_HIGH;
	h->xloadflags = XLF_KERNEL_64;
	h->cmdline_size = 255;
	h->initrd_addr_max = 0x7fffffff;
	h->pref_address = 0x100000;
	h->init_size = 0x200000;
	memset(ram, 0, RAM_SIZE);
	dma = (struct dma){.count = 1, .region = {{0, RAM_SIZE, ram}}};
	source = (struct boot_source){
		.kernel = kernel,
		.low_size = RAM_SIZE,
		.rsdp = LAYOUT_BIOS,
		.pci = true,
	};
	return 0;
}

static int setup(void **state)
{
	ram = malloc(RAM_SIZE);
	if (!ram || !mkdtemp(dir))
		return -1;
	snprintf(kernel, sizeof(kernel), "%s/kernel", dir);
	snprintf(initrd, sizeof(initrd), "%s/initrd", dir);
	return 0;
}

static int teardown(void **state)
{
	free(ram);
	unlink(kernel);
	unlink(initrd);
	return rmdir(dir);
}

static struct boot_entry good(const void *p, size_t n)
{
	struct boot_entry entry;
	struct err e = {0};

	save(kernel, p, n);
	if (boot_load(&source, &dma, &entry, &e))
		fail_msg("refused: %s", e.msg);
	return entry;
}

/* Refused, with the option, the file and @phrase in the sentence. */
static void bad(const void *p, size_t n, const char *phrase)
{
	struct boot_entry entry;
	struct err e = {0};

	save(kernel, p, n);
	assert_int_not_equal(boot_load(&source, &dma, &entry, &e), 0);
	if (!strstr(e.msg, phrase) || strchr(e.msg, '\n') || e.msg[0] != '-')
		fail_msg("'%s' lacks '%s'", e.msg, phrase);
}

static const struct boot_params *params(void)
{
	return (const struct boot_params *)(ram + LAYOUT_BOOT_PARAMS);
}

static void test_bzimage(void **state)
{
	const uint64_t *pt = (const uint64_t *)(ram + LAYOUT_PAGE_TABLES);
	struct boot_entry entry;

	source.append = "console=ttyS0";
	entry = good(image, sizeof(image));
	assert_true(entry.long_mode);
	assert_int_equal(entry.rip, 0x100200);
	assert_int_equal(entry.rsi, LAYOUT_BOOT_PARAMS);
	assert_int_equal(entry.cr3, LAYOUT_PAGE_TABLES);
	assert_memory_equal(ram + 0x100000, image + SETUP_SIZE, CODE_SIZE);
	assert_string_equal((char *)ram + LAYOUT_CMDLINE, "console=ttyS0");
	assert_int_equal(params()->hdr.type_of_loader, 0xff);
	assert_int_equal(params()->hdr.cmd_line_ptr, LAYOUT_CMDLINE);
	assert_int_equal(params()->acpi_rsdp_addr, LAYOUT_BIOS);
	assert_int_equal(params()->hdr.ramdisk_size, 0);
	/* The last page of the fourth GiB, by three levels. */
	assert_int_equal(pt[0], (LAYOUT_PAGE_TABLES + 0x1000) | 3);
	assert_int_equal(pt[512 + 3], (LAYOUT_PAGE_TABLES + 0x5000) | 3);
	assert_int_equal(pt[512 * 5 + 511], 0xffe00083);
}

static void test_map(void **state)
{
	const struct boot_e820_entry *t = params()->e820_table;
	uint64_t top = 0, ram_bytes = 0;
	unsigned i;

	source.high_size = 1ULL << 30;
	good(image, sizeof(image));
	for (i = 0; i < params()->e820_entries; i++) {
		assert_true(t[i].addr >= top);
		top = t[i].addr + t[i].size;
		if (t[i].type == BOOT_RAM)
			ram_bytes += t[i].size;
	}
	assert_int_equal(top, (4ULL << 30) + (1ULL << 30));
	assert_int_equal(ram_bytes, LAYOUT_LOW_END + (RAM_SIZE - (1 << 20)) +
					    (1ULL << 30));
}

static void test_seed(void **state)
{
	const struct setup_data *d;

	good(image, sizeof(image));
	assert_int_equal(params()->hdr.setup_data, LAYOUT_SETUP_DATA);
	d = (const struct setup_data *)(ram + LAYOUT_SETUP_DATA);
	assert_int_equal(d->type, SETUP_RNG_SEED);
	assert_int_equal(d->len, 32);
	assert_int_equal(d->next, 0);
}

static void test_initrd(void **state)
{
	static uint8_t data[5000];

	memset(data, 0xa5, sizeof(data));
	save(initrd, data, sizeof(data));
	source.initrd = initrd;
	good(image, sizeof(image));
	assert_int_equal(params()->hdr.ramdisk_size, sizeof(data));
	assert_int_equal(params()->hdr.ramdisk_image, RAM_SIZE - 0x2000);
	assert_memory_equal(ram + RAM_SIZE - 0x2000, data, sizeof(data));
	/* As high as the kernel can take it, and no higher. */
	header()->initrd_addr_max = 0x7fffff;
	good(image, sizeof(image));
	assert_int_equal(params()->hdr.ramdisk_image, 0x800000 - 0x2000);
	header()->initrd_addr_max = 0x300fff;
	bad(image, sizeof(image), "-initrd");
	bad(image, sizeof(image), "do not fit");
}

static void test_32bit_entry(void **state)
{
	struct boot_entry entry;

	header()->xloadflags = 0;
	entry = good(image, sizeof(image));
	assert_false(entry.long_mode);
	assert_int_equal(entry.rip, 0x100000);
	assert_int_equal(entry.rsi, LAYOUT_BOOT_PARAMS);
}

static void test_bad_bzimage(void **state)
{
	struct setup_header *h = header();

	bad(image, 0, "empty");
	bad(image, 0x1f8, "neither");
	bad(image, SETUP_SIZE - 100, "truncated");
	bad(image, sizeof(image) - 1, "truncated");
	h->header++;
	bad(image, sizeof(image), "neither");
	fresh(NULL);
	h->boot_flag++;
	bad(image, sizeof(image), "neither");
	fresh(NULL);
	h->version = 0x205;
	bad(image, sizeof(image), "2.05");
	fresh(NULL);
	h->loadflags = 0;
	bad(image, sizeof(image), "zImage");
	fresh(NULL);
	h->syssize = 32;
	bad(image, sizeof(image), "no protected-mode code");
	fresh(NULL);
	h->init_size = RAM_SIZE;
	bad(image, sizeof(image), "17 MiB");
	h->init_size = UINT32_MAX;
	bad(image, sizeof(image), "-m");
	fresh(NULL);
	source.append = "longer than this kernel takes";
	h->cmdline_size = 28;
	save(kernel, image, sizeof(image));
	bad(image, sizeof(image), "29 bytes");
	h->cmdline_size = 29;
	good(image, sizeof(image));
}

static void refuse_path(const char *path, const char *phrase)
{
	struct boot_entry entry;
	struct err e = {0};

	source.kernel = path;
	assert_int_not_equal(boot_load(&source, &dma, &entry, &e), 0);
	if (!strstr(e.msg, phrase) || !strstr(e.msg, path))
		fail_msg("'%s' lacks '%s'", e.msg, phrase);
}

static void test_bad_path(void **state)
{
	char fifo[80];

	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	refuse_path("/nonexistent", "No such file");
	refuse_path(dir, "is a directory");
	refuse_path(fifo, "not a regular file");
	refuse_path("/dev/null", "not a regular file");
	unlink(fifo);
	fresh(NULL);
	save(kernel, image, sizeof(image));
	source.initrd = "/nonexistent";
	bad(image, sizeof(image), "-initrd /nonexistent: No such file");
}

/* An ELF kernel with one note and one segment. */
static struct {
	Elf64_Ehdr e;
	Elf64_Phdr load;
	Elf64_Phdr note;
	Elf64_Nhdr n;
	char name[4];
	uint64_t entry;
	uint8_t code[64];
} elf;

static void fresh_elf(void)
{
	memset(&elf, 0, sizeof(elf));
	memcpy(elf.e.e_ident, ELFMAG, SELFMAG);
	elf.e.e_ident[EI_CLASS] = ELFCLASS64;
	elf.e.e_ident[EI_DATA] = ELFDATA2LSB;
	elf.e.e_type = ET_EXEC;
	elf.e.e_machine = EM_X86_64;
	elf.e.e_phoff = sizeof(elf.e);
	elf.e.e_phnum = 2;
	elf.e.e_phentsize = sizeof(Elf64_Phdr);
	elf.load.p_type = PT_LOAD;
	elf.load.p_offset = (size_t)((char *)elf.code - (char *)&elf);
	elf.load.p_paddr = 0x200000;
	elf.load.p_filesz = sizeof(elf.code);
	elf.load.p_memsz = 0x1000;
	elf.note.p_type = PT_NOTE;
	elf.note.p_offset = (size_t)((char *)&elf.n - (char *)&elf);
	elf.note.p_filesz = sizeof(elf.n) + 4 + 8;
	elf.n = (Elf64_Nhdr){.n_namesz = 4, .n_descsz = 8, .n_type = 18};
	memcpy(elf.name, "Xen", 4);
	elf.entry = 0x200010;
	memset(elf.code, 0x90, sizeof(elf.code));
}

static uint64_t info(unsigned offset, unsigned size)
{
	uint64_t v = 0;

	memcpy(&v, ram + LAYOUT_START_INFO + offset, size);
	return v;
}

static void test_pvh(void **state)
{
	struct boot_entry entry;
	uint64_t list;

	fresh_elf();
	save(initrd, "disk", 4);
	source.initrd = initrd;
	source.append = "quiet";
	entry = good(&elf, sizeof(elf));
	assert_false(entry.long_mode);
	assert_int_equal(entry.rip, 0x200010);
	assert_int_equal(entry.rbx, LAYOUT_START_INFO);
	assert_memory_equal(ram + 0x200000, elf.code, sizeof(elf.code));
	assert_int_equal(info(0, 4), 0x336ec578);
	assert_int_equal(info(4, 4), 1);
	assert_int_equal(info(12, 4), 1);
	list = info(16, 8) - LAYOUT_START_INFO;
	assert_memory_equal(ram + info((unsigned)list, 8), "disk", 4);
	assert_int_equal(info((unsigned)list + 8, 8), 4);
	assert_string_equal((char *)ram + info(24, 8), "quiet");
	assert_int_equal(info(32, 8), LAYOUT_BIOS);
	assert_in_range(info(48, 4), 4, 8);
	list = info(40, 8) - LAYOUT_START_INFO;
	assert_int_equal(info((unsigned)list, 8), 0);
	assert_int_equal(info((unsigned)list + 8, 8), LAYOUT_LOW_END);
	assert_int_equal(info((unsigned)list + 16, 4), BOOT_RAM);
}

/* ---- Multiboot ---- */

#define MB_LOAD 0x10000

static struct {
	uint32_t pad[3];
	uint32_t magic, flags, checksum;
	uint32_t header_addr, load_addr, load_end_addr, bss_end_addr;
	uint32_t entry_addr;
	uint8_t code[64];
} flat_image;

static void fresh_flat(uint32_t flags)
{
	fresh(NULL);
	memset(&flat_image, 0, sizeof(flat_image));
	flat_image.magic = 0x1badb002;
	flat_image.flags = flags;
	flat_image.checksum = -(0x1badb002 + flags);
	flat_image.header_addr = MB_LOAD + 12;
	flat_image.load_addr = MB_LOAD;
	flat_image.bss_end_addr = MB_LOAD + 0x2000;
	flat_image.entry_addr = MB_LOAD + 44;
	memset(flat_image.code, 0x90, sizeof(flat_image.code));
}

static uint32_t mb_info(uint64_t base, unsigned offset)
{
	uint32_t v;

	memcpy(&v, ram + base + offset, 4);
	return v;
}

static void test_multiboot(void **state)
{
	struct boot_entry entry;
	uint32_t map, mod;

	fresh_flat(0x10003);
	save(initrd, "disk", 4);
	source.initrd = initrd;
	source.append = "a b";
	entry = good(&flat_image, sizeof(flat_image));
	assert_false(entry.long_mode);
	assert_int_equal(entry.rip, MB_LOAD + 44);
	assert_int_equal(entry.rax, 0x2badb002);
	assert_memory_equal(ram + MB_LOAD, &flat_image, sizeof(flat_image));
	assert_int_equal(mb_info(entry.rbx, 0), 0x24d);
	assert_int_equal(mb_info(entry.rbx, 4), LAYOUT_LOW_END >> 10);
	assert_int_equal(mb_info(entry.rbx, 8), (RAM_SIZE >> 10) - 1024);
	/* the kernel's path, then what was asked for */
	assert_string_equal(strchr((char *)ram + mb_info(entry.rbx, 16), ' '),
			    " a b");
	assert_int_equal(mb_info(entry.rbx, 20), 1);
	mod = mb_info(entry.rbx, 24);
	assert_memory_equal(ram + mb_info(mod, 0), "disk", 4);
	assert_int_equal(mb_info(mod, 4) - mb_info(mod, 0), 4);
	assert_in_range(mb_info(mod, 0), LAYOUT_HIGH, RAM_SIZE);
	map = mb_info(entry.rbx, 48);
	assert_int_equal(mb_info(entry.rbx, 44) % 24, 0);
	assert_int_equal(mb_info(map, 0), 20);
	assert_int_equal(mb_info(map, 12), LAYOUT_LOW_END);
	assert_int_equal(mb_info(map, 20), BOOT_RAM);
}

/* Several files, each with words of its own. */
static void test_modules(void **state)
{
	char list[3 * sizeof(initrd) + 64], other[sizeof(initrd) + 8];
	struct boot_entry entry;
	uint32_t mod;

	fresh_flat(0x10003);
	save(initrd, "disk", 4);
	snprintf(other, sizeof(other), "%s,x", initrd);
	save(other, "second", 6);
	snprintf(list, sizeof(list), "%s one  two,%s,,x,%s ", initrd, initrd,
		 initrd);
	source.initrd = list;
	entry = good(&flat_image, sizeof(flat_image));
	assert_int_equal(mb_info(entry.rbx, 20), 3);
	mod = mb_info(entry.rbx, 24);
	assert_memory_equal(ram + mb_info(mod, 0), "disk", 4);
	snprintf(list, sizeof(list), "%s one  two", initrd);
	assert_string_equal((char *)ram + mb_info(mod, 8), list);
	assert_memory_equal(ram + mb_info(mod, 16), "second", 6);
	assert_int_equal(mb_info(mod, 20) - mb_info(mod, 16), 6);
	assert_string_equal((char *)ram + mb_info(mod, 24), other);
	assert_memory_equal(ram + mb_info(mod, 32), "disk", 4);
	assert_int_equal(mb_info(mod, 32) % 4096, 0);
	assert_true(mb_info(mod, 0) != mb_info(mod, 32));
	unlink(other);
}

static void test_bad_modules(void **state)
{
	char many[0x3000];

	fresh_flat(0x10003);
	save(initrd, "disk", 4);
	snprintf(many, sizeof(many), "%s,/nowhere/b", initrd);
	source.initrd = many;
	bad(&flat_image, sizeof(flat_image), "/nowhere/b");
	memset(many, ' ', sizeof(many) - 1);
	memcpy(many, initrd, strlen(initrd));
	many[sizeof(many) - 1] = 0;
	bad(&flat_image, sizeof(flat_image), "their arguments");
}

static void test_bad_multiboot(void **state)
{
	fresh_flat(0x10007);
	bad(&flat_image, sizeof(flat_image), "asks for more");
	fresh_flat(0);
	bad(&flat_image, sizeof(flat_image), "is no ELF file");
	fresh_flat(0x10000);
	flat_image.checksum++;
	bad(&flat_image, sizeof(flat_image), "neither");
	fresh_flat(0x10000);
	flat_image.load_addr = 0x8000;
	bad(&flat_image, sizeof(flat_image), "wrong addresses");
	fresh_flat(0x10000);
	flat_image.header_addr = MB_LOAD + 16;
	bad(&flat_image, sizeof(flat_image), "wrong addresses");
	fresh_flat(0x10000);
	flat_image.load_end_addr = MB_LOAD + sizeof(flat_image) + 1;
	bad(&flat_image, sizeof(flat_image), "is shorter");
	fresh_flat(0x10000);
	flat_image.bss_end_addr = RAM_SIZE + MB_LOAD;
	bad(&flat_image, sizeof(flat_image), "beyond memory");
	fresh_flat(0x10000);
	flat_image.entry_addr = 0xfffffff0;
	bad(&flat_image, sizeof(flat_image), "outside of memory");
}

static void test_bad_pvh(void **state)
{
	fresh_elf();
	bad(&elf, sizeof(elf) - 1, "truncated");
	bad(&elf, sizeof(elf.e) + 20, "truncated");
	elf.n.n_type = 17;
	bad(&elf, sizeof(elf), "PVH entry note");
	fresh_elf();
	elf.n.n_namesz = UINT32_MAX;
	bad(&elf, sizeof(elf), "PVH entry note");
	fresh_elf();
	elf.entry = 0xffffffff;
	bad(&elf, sizeof(elf), "outside of memory");
	fresh_elf();
	elf.load.p_paddr = RAM_SIZE;
	bad(&elf, sizeof(elf), "-m");
	elf.load.p_paddr = 0;
	bad(&elf, sizeof(elf), "below");
	elf.load.p_paddr = UINT64_MAX - 100;
	bad(&elf, sizeof(elf), "-m");
	fresh_elf();
	elf.load.p_offset = UINT64_MAX;
	bad(&elf, sizeof(elf), "truncated");
	fresh_elf();
	elf.e.e_phoff = UINT64_MAX;
	bad(&elf, sizeof(elf), "truncated");
	fresh_elf();
	elf.e.e_machine = EM_AARCH64;
	bad(&elf, sizeof(elf), "another architecture");
	fresh_elf();
	elf.e.e_type = ET_REL;
	bad(&elf, sizeof(elf), "not an executable");
	elf.e.e_type = ET_EXEC;
	elf.e.e_phnum = 0;
	bad(&elf, sizeof(elf), "not an executable");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_bzimage, fresh),
		cmocka_unit_test_setup(test_map, fresh),
		cmocka_unit_test_setup(test_seed, fresh),
		cmocka_unit_test_setup(test_initrd, fresh),
		cmocka_unit_test_setup(test_32bit_entry, fresh),
		cmocka_unit_test_setup(test_bad_bzimage, fresh),
		cmocka_unit_test_setup(test_bad_path, fresh),
		cmocka_unit_test_setup(test_pvh, fresh),
		cmocka_unit_test_setup(test_bad_pvh, fresh),
		cmocka_unit_test_setup(test_multiboot, fresh),
		cmocka_unit_test_setup(test_modules, fresh),
		cmocka_unit_test_setup(test_bad_modules, fresh),
		cmocka_unit_test_setup(test_bad_multiboot, fresh),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
