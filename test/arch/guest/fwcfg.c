/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fw_cfg by its ports and by requests in memory, with one item that the
 * command line of the monitor hands over: see unittests.cfg. QEMU
 * "Firmware Configuration (fw_cfg) Device".
 */
#include "test/arch/guest/arch.h"

#define SELECT    0x510
#define DATA      0x511
#define DMA       0x514
#define KEY_ID    1
#define KEY_RAM   3
#define KEY_CPUS  5
#define KEY_DIR   0x19
#define KEY_FILES 0x20
#define CTL_ERROR 1
#define CTL_READ  2
#define CTL_SKIP  4
#define CTL_SEL   8
#define CTL_WRITE 16
#define MINE      "opt/lodge/arch"
#define TEXT      "what the operator says"

struct file {
	uint32_t size;
	uint16_t key, reserved;
	char name[56];
};

struct request {
	uint32_t control, length;
	uint64_t address;
};

static volatile struct request req __attribute__((aligned(16)));
static uint8_t buf[64];

static uint32_t swap32(uint32_t v)
{
	return __builtin_bswap32(v);
}

static void read_item(uint16_t key, void *to, unsigned int n)
{
	uint8_t *p = to;

	outw(SELECT, key);
	while (n--)
		*p++ = inb(DATA);
}

static uint32_t request(uint32_t control, uint32_t length, const void *to)
{
	req.control = swap32(control);
	req.length = swap32(length);
	req.address = __builtin_bswap64((reg_t)to);
	outl(DMA, 0);
	outl(DMA + 4, swap32((reg_t)&req));
	return swap32(req.control);
}

/* The file of that name; its key is 0 where there is none. */
static struct file find_file(const char *name)
{
	struct file f;
	uint32_t n;

	read_item(KEY_DIR, &n, 4);
	for (n = swap32(n); n; n--) {
		for (unsigned int i = 0; i < sizeof(f); i++)
			((uint8_t *)&f)[i] = inb(DATA);
		if (!strcmp(f.name, name)) {
			f.size = swap32(f.size);
			f.key = __builtin_bswap16(f.key);
			return f;
		}
	}
	f.key = 0;
	return f;
}

static void test_signature(void)
{
	uint32_t id;

	read_item(0, buf, 5);
	check(!memcmp(buf, "QEMU", 5), "the signature, and zero behind it");
	read_item(KEY_ID, &id, 4);
	check((id & 3) == 3, "both interfaces: %x", (reg_t)id);
	check(inl(DMA) == swap32(0x51454d55) &&
		      inl(DMA + 4) == swap32(0x20434647),
	      "the register of requests says QEMU CFG");
	read_item(0x3fff, buf, 2);
	check(!buf[0] && !buf[1], "no item reads as zero");
}

static void test_numbers(void)
{
	uint64_t ram;
	uint16_t cpus;

	read_item(KEY_RAM, &ram, 8);
	check(ram == 96ULL << 20, "96 MiB of RAM: %x", ram);
	read_item(KEY_CPUS, &cpus, 2);
	check(cpus == 1, "one CPU: %x", (reg_t)cpus);
}

static bool has_low_ram(struct file map)
{
	bool found = false;

	outw(SELECT, map.key);
	for (; map.size >= 20; map.size -= 20) {
		for (unsigned int i = 0; i < 20; i++)
			buf[i] = inb(DATA);
		found |= !memcmp(buf, "\0\0\0\0\0\0\0", 8) && buf[16] == 1;
	}
	return found;
}

static void test_directory(void)
{
	struct file f, last;
	unsigned int wrong = 0;
	uint32_t n;

	read_item(KEY_DIR, &n, 4);
	n = swap32(n);
	check(n > 1, "there are files: %d", (int)n);
	memset(&last, 0, sizeof(last));
	for (unsigned int i = 0; i < n; i++, last = f) {
		for (unsigned int k = 0; k < sizeof(f); k++)
			((uint8_t *)&f)[k] = inb(DATA);
		wrong += __builtin_bswap16(f.key) != KEY_FILES + i;
		wrong += memcmp(last.name, f.name, sizeof(f.name)) >= 0;
	}
	check(!wrong, "keys count up with the names: %d wrong", (int)wrong);
	check(find_file("etc/e820").size % 20 == 0 &&
		      find_file("etc/e820").size,
	      "a memory map of whole entries");
	check(has_low_ram(find_file("etc/e820")), "with RAM at 0");
}

static void test_file(void)
{
	struct file f = find_file(MINE);

	check(f.key && f.size == sizeof(TEXT) - 1, "what was handed over");
	read_item(f.key, buf, sizeof(TEXT));
	check(!memcmp(buf, TEXT, sizeof(TEXT)), "its text");
}

static void test_requests(void)
{
	uint16_t key = find_file(MINE).key;

	memset(buf, 0xee, sizeof(buf));
	check(!request((uint32_t)key << 16 | CTL_SEL | CTL_READ, 4, buf) &&
		      !memcmp(buf, "what\xee", 5),
	      "select and read");
	check(!request(CTL_SKIP, 5, NULL) && !request(CTL_READ, 3, buf) &&
		      !memcmp(buf, "ope", 3),
	      "skip and go on");
	check(inb(DATA) == 'r', "the port goes on there");
	check(!request(CTL_READ, sizeof(buf), buf) &&
		      !memcmp(buf, "ator says\0\0", 11),
	      "zeroes behind the end");
	check(!request((uint32_t)key << 16 | CTL_SEL, 0, NULL) &&
		      inb(DATA) == 'w',
	      "select alone");
	check(request(CTL_WRITE, 1, buf) == CTL_ERROR, "no write");
	outw(SELECT, key);
	outb(DATA, 'x');
	check(inb(DATA) == 'w', "nor by the port");
}

static void test_nowhere(void)
{
	outl(DMA, swap32(0x7fff0000));
	outl(DMA + 4, 0);
	check(inl(DMA) == swap32(0x51454d55),
	      "a request that is nowhere harms nobody");
	check(!request(CTL_SEL | CTL_READ, 4, buf) && !memcmp(buf, "QEMU", 4),
	      "and the next one is its own");
}

void setup(void)
{
}

const struct test tests[] = {
	{"signature", test_signature,
	 "fw_cfg \"Signature (Key 0x0000)\", \"Revision / feature "
	 "bitmap\"",
	 NEEDS_BOARD},
	{"numbers", test_numbers, "fw_cfg \"All Other Data Items\"",
	 NEEDS_BOARD},
	{"directory", test_directory, "fw_cfg \"File Directory\"", NEEDS_BOARD},
	{"file", test_file, "fw_cfg \"Externally Provided Items\"",
	 NEEDS_BOARD},
	{"requests", test_requests, "fw_cfg \"Guest-side DMA Interface\"",
	 NEEDS_BOARD},
	{"nowhere", test_nowhere,
	 "fw_cfg \"Guest-side DMA Interface\": an address of nothing",
	 NEEDS_BOARD},
	{NULL},
};
