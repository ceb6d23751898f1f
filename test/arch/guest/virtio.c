/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver that breaks the rules: descriptors that loop, lead out of memory,
 * are cut short, come in the wrong order or lie over the rings themselves.
 * The device must ask for a reset, touch nothing else, and work after it; the
 * monitor goes on in any case, or nothing of this would be reported. Virtual
 * I/O Device 1.4 "Basic Facilities of a Virtio Device".
 */
#include "test/arch/guest/arch.h"

#define COMMAND      0x04
#define COMMAND_ON   0x406 /* memory, bus master, no interrupts */
#define CAPABILITIES 0x34

/* The common structure. */
#define DRIVER_SELECT 0x08
#define DRIVER        0x0c
#define DEVICE_SELECT 0x00
#define DEVICE        0x04
#define STATUS        0x14
#define QUEUE_SELECT  0x16
#define QUEUE_SIZE    0x18
#define QUEUE_ENABLE  0x1c
#define QUEUE_NOTIFY  0x1e
#define QUEUE_DESC    0x20
#define QUEUE_DRIVER  0x28
#define QUEUE_DEVICE  0x30

#define LIVE        0x0f
#define NEEDS_RESET 0x40

#define F_INDIRECT (1U << 28)
#define F_VERSION  (1U << 0) /* of the second word */
#define F_PACKED   (1U << 2)

#define NEXT     1
#define WRITE    2
#define INDIRECT 4
#define AVAIL    0x80
#define USED     0x8000
#define WAY      0x100 /* WRITE where the queue is one to be written to */

#define SIZE  8              /* entries of the ring */
#define WAIT  30000000000ULL /* ticks: several seconds */
#define WHILE 50000000ULL    /* ticks: some hundredths of one */

/* Addresses that are not known before. */
enum place { DATA, RING, DEVRING, TABLE, END, FAR, WRAP };

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t a, b; /* split: flags, next; packed: id, flags */
};

struct wrong {
	const char *name;
	struct {
		enum place addr;
		uint32_t len;
		uint16_t flags, next;
	} ring[3], table[2];
	uint16_t head;
	uint16_t jump; /* of the index of available entries */
	bool all;      /* every entry is as the first one */
	bool only_split;
	bool lives; /* nothing that a device must notice */
};

static const struct wrong wrongs[] = {
	{"a loop of two", {{DATA, 8, WAY | NEXT, 1}, {DATA, 8, WAY | NEXT, 0}}},
	{"a loop of one", {{DATA, 8, WAY | NEXT, 0}}, .all = true},
	{"a next one that is none",
	 {{DATA, 8, WAY | NEXT, SIZE}},
	 .only_split = true},
	{"a far next one", {{DATA, 8, WAY | NEXT, 0xffff}}, .only_split = true},
	{"a head that is none",
	 {{DATA, 8, WAY}},
	 .head = SIZE,
	 .only_split = true},
	{"more heads than entries",
	 {{DATA, 8, WAY}},
	 .jump = SIZE,
	 .only_split = true},
	{"an index that goes back",
	 {{DATA, 8, WAY}},
	 .jump = 0xfffe,
	 .only_split = true},
	{"a buffer where no memory is", {{FAR, 64, WAY}}},
	{"a buffer beyond the end", {{END, 4096, WAY}}},
	{"a buffer around the end of all", {{WRAP, 64, WAY}}},
	{"a buffer of 4 GiB", {{DATA, 0xffffffff, WAY}}},
	{"an empty buffer", {{DATA, 0, WAY}}},
	{"an empty second piece",
	 {{DATA, 8, WAY | NEXT, 1}, {DATA, 0, WAY, 0}}},
	{"to be read after to be written",
	 {{DATA, 8, WRITE | NEXT, 1}, {DATA, 8, 0, 0}}},
	{"a table cut short", {{TABLE, 24, INDIRECT}}, {{DATA, 8, WAY}}},
	{"a table of nothing", {{TABLE, 0, INDIRECT}}, {{DATA, 8, WAY}}},
	{"a table where no memory is", {{FAR, 32, INDIRECT}}},
	{"a table of 4 GiB", {{TABLE, 0xfffffff0, INDIRECT}}},
	{"a table in a table",
	 {{TABLE, 32, INDIRECT}},
	 {{DATA, 8, WAY | NEXT, 1}, {TABLE, 16, INDIRECT, 0}}},
	{"a table with a bad piece",
	 {{TABLE, 32, INDIRECT}},
	 {{DATA, 8, WAY | NEXT, 1}, {FAR, 8, WAY, 0}}},
	{"a table that loops",
	 {{TABLE, 32, INDIRECT}},
	 {{DATA, 8, WAY | NEXT, 1}, {DATA, 8, WAY | NEXT, 0}},
	 .only_split = true},
	{"a table that leads out of itself",
	 {{TABLE, 32, INDIRECT}},
	 {{DATA, 8, WAY | NEXT, 2}},
	 .only_split = true},
	{"a buffer over the descriptors", {{RING, 64, WAY}}, .lives = true},
	{"a buffer over the device's area",
	 {{DEVRING, 64, WAY}},
	 .lives = true},
	{"two pieces in one place",
	 {{DATA, 16, WAY | NEXT, 1}, {DATA, 16, WAY, 0}},
	 .lives = true},
	{"a head given twice", {{DATA, 8, WAY}}, .jump = 1, .lives = true},
};

/* What a device's queue is for, and what it gladly takes. */
static const struct kind {
	unsigned int type; /* PCI device - 0x1040 */
	const char *name;
	unsigned int queue;
	bool written;
	uint32_t len;
} kinds[] = {
	{4, "rng", 0, true, 16},
	{1, "net", 1, false, 72},
	{5, "balloon", 0, false, 4},
};

static struct device {
	const struct kind *kind;
	reg_t common, notify;
	uint32_t multiplier;
} devices[8];
static unsigned int devices_n;

static volatile struct desc ring[SIZE] __attribute__((aligned(4096)));
static volatile uint16_t driver[64] __attribute__((aligned(4096)));
static volatile uint16_t device[256] __attribute__((aligned(4096)));
static volatile struct desc table[SIZE] __attribute__((aligned(4096)));
static volatile uint32_t data[1024] __attribute__((aligned(4096)));
static uint8_t spare[4096] __attribute__((aligned(4096)));
static uint64_t ram;
static bool packed;

/* ---- PCI ---- */

static uint32_t config(unsigned int dev, unsigned int reg)
{
	outl(0xcf8, 0x80000000 | dev << 11 | (reg & ~3U));
	return inl(0xcfc) >> 8 * (reg & 3);
}

static void set_config(unsigned int dev, unsigned int reg, uint32_t v)
{
	outl(0xcf8, 0x80000000 | dev << 11 | reg);
	outl(0xcfc, v);
}

static reg_t bar(unsigned int dev, unsigned int n)
{
	uint32_t low = config(dev, 0x10 + 4 * n);
	reg_t high = (low & 6) == 4 ? config(dev, 0x14 + 4 * n) : 0;

	return high << 32 | (low & ~15U);
}

static void find_structures(unsigned int dev, struct device *d)
{
	unsigned int cap = config(dev, CAPABILITIES) & 0xff;
	reg_t at;

	for (; cap; cap = config(dev, cap + 1) & 0xff) {
		if ((config(dev, cap) & 0xff) != 9)
			continue;
		at = bar(dev, config(dev, cap + 4) & 7) + config(dev, cap + 8);
		switch (config(dev, cap + 3) & 0xff) {
		case 1: d->common = at; break;
		case 2:
			d->notify = at;
			d->multiplier = config(dev, cap + 16);
			break;
		}
	}
	set_config(dev, COMMAND, COMMAND_ON);
}

/* The number of devices before version 1 is another one. */
static const struct kind *find_kind(unsigned int id)
{
	static const uint8_t old[] = {1, 2, 5, 3, 8, 4};
	unsigned int i, type = id >= 0x1040                ? id - 0x1040
			       : id - 0x1000 < sizeof(old) ? old[id - 0x1000]
							   : 0;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].type == type)
			return &kinds[i];
	return NULL;
}

void setup(void)
{
	unsigned int dev;
	uint32_t id;

	outw(0x510, 3);
	for (dev = 0; dev < 8; dev++)
		ram |= (uint64_t)inb(0x511) << 8 * dev;
	for (dev = 1; dev < 32 && devices_n < 8; dev++) {
		id = config(dev, 0);
		if ((id & 0xffff) != 0x1af4 || !find_kind(id >> 16))
			continue;
		devices[devices_n].kind = find_kind(id >> 16);
		find_structures(dev, &devices[devices_n++]);
	}
}

/* ---- a device ---- */

static volatile uint8_t *reg8(const struct device *d, unsigned int at)
{
	return (volatile uint8_t *)(d->common + at);
}

static volatile uint16_t *reg16(const struct device *d, unsigned int at)
{
	return (volatile uint16_t *)(d->common + at);
}

static volatile uint32_t *reg32(const struct device *d, unsigned int at)
{
	return (volatile uint32_t *)(d->common + at);
}

static void set_address(const struct device *d, unsigned int at, reg_t v)
{
	*reg32(d, at) = v;
	*reg32(d, at + 4) = v >> 32;
}

static void clear(volatile void *p, size_t n)
{
	memset((void *)p, 0, n);
}

static bool reset(const struct device *d)
{
	uint64_t until = rdtsc() + WAIT;

	*reg8(d, STATUS) = 0;
	while (*reg8(d, STATUS) && rdtsc() < until)
		;
	return !*reg8(d, STATUS);
}

/* Features, and the one queue with its rings at @at, DATA: where they are. */
static bool start(const struct device *d, reg_t at)
{
	uint32_t second = F_VERSION | (packed ? F_PACKED : 0);

	clear(ring, sizeof(ring));
	clear(driver, sizeof(driver));
	clear(device, sizeof(device));
	clear(table, sizeof(table));
	clear(data, sizeof(data));
	data[0] = (reg_t)spare >> 12;
	if (!reset(d))
		return false;
	*reg8(d, STATUS) = 1;
	*reg8(d, STATUS) = 3;
	*reg32(d, DRIVER_SELECT) = 0;
	*reg32(d, DRIVER) = F_INDIRECT;
	*reg32(d, DRIVER_SELECT) = 1;
	*reg32(d, DRIVER) = second;
	*reg8(d, STATUS) = 0x0b;
	if (*reg8(d, STATUS) != 0x0b)
		return false;
	*reg16(d, QUEUE_SELECT) = d->kind->queue;
	*reg16(d, QUEUE_SIZE) = SIZE;
	set_address(d, QUEUE_DESC, at ? at : (reg_t)ring);
	set_address(d, QUEUE_DRIVER, (reg_t)driver);
	set_address(d, QUEUE_DEVICE, (reg_t)device);
	*reg16(d, QUEUE_ENABLE) = 1;
	*reg8(d, STATUS) = LIVE;
	return true;
}

static void kick(const struct device *d)
{
	unsigned int off = *reg16(d, QUEUE_NOTIFY);

	*(volatile uint16_t *)(d->notify +
			       off * d->multiplier) = d->kind->queue;
}

static void put(volatile struct desc *to, uint64_t addr, uint32_t len,
		uint16_t flags, uint16_t next)
{
	to->addr = addr;
	to->len = len;
	to->a = packed ? 0 : flags;
	to->b = packed ? flags : next;
}

/* @heads more of them, the first one @head. */
static void make_available(unsigned int head, unsigned int heads)
{
	if (packed) {
		ring[0].b |= AVAIL;
		return;
	}
	driver[2] = head;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	driver[1] = heads;
}

static bool given_back(void)
{
	return packed ? ring[0].b & USED : device[1] != 0;
}

/* It does what it is for. */
static bool works(const struct device *d)
{
	uint64_t until;

	if (!start(d, 0))
		return false;
	put(&ring[0], (reg_t)data, d->kind->len, d->kind->written ? WRITE : 0,
	    0);
	make_available(0, 1);
	kick(d);
	for (until = rdtsc() + WAIT; !given_back() && rdtsc() < until;)
		;
	return given_back() && *reg8(d, STATUS) == LIVE;
}

/* ---- what is wrong ---- */

static uint64_t place(enum place p)
{
	switch (p) {
	case DATA: return (reg_t)data;
	case RING: return (reg_t)ring;
	case DEVRING: return (reg_t)device;
	case TABLE: return (reg_t)table;
	case END: return ram - 16;
	case FAR: return 1ULL << 45;
	case WRAP: return ~15ULL;
	}
	return 0;
}

static void lay_out(const struct device *d, const struct wrong *w)
{
	unsigned int i, n;

	for (i = 0; i < SIZE; i++) {
		n = w->all ? 0 : i;
		if (n > 2)
			break;
		put(&ring[i], place(w->ring[n].addr), w->ring[n].len,
		    (w->ring[n].flags & 7) |
			    (w->ring[n].flags & WAY && d->kind->written ? WRITE
									: 0) |
			    (packed ? AVAIL : 0),
		    w->ring[n].next);
	}
	/* A loop is what goes on through all of a packed ring. */
	for (i = 2; packed && w->ring[1].flags & NEXT && i < SIZE; i++)
		ring[i] = ring[i & 1];
	for (i = 0; i < 2; i++)
		put(&table[i], place(w->table[i].addr), w->table[i].len,
		    (w->table[i].flags & 7) |
			    (w->table[i].flags & WAY && d->kind->written ? WRITE
									 : 0),
		    w->table[i].next);
}

static bool wait_reset(const struct device *d, uint64_t ticks)
{
	uint64_t until = rdtsc() + ticks;

	while (!(*reg8(d, STATUS) & NEEDS_RESET) && rdtsc() < until)
		;
	return *reg8(d, STATUS) & NEEDS_RESET;
}

static void try_wrong(const struct device *d, const struct wrong *w)
{
	bool noticed;

	if (!start(d, 0)) {
		report(false, "%s: %s: it starts", d->kind->name, w->name);
		return;
	}
	lay_out(d, w);
	make_available(w->head, 1 + w->jump);
	kick(d);
	noticed = wait_reset(d, w->lives ? WHILE : WAIT);
	check((noticed || w->lives) && works(d), "%s: %s%s", d->kind->name,
	      w->name, noticed || w->lives ? "" : ": not noticed");
}

/* Rings that are nowhere. */
static void try_ring(const struct device *d, const char *name, reg_t at)
{
	bool noticed = start(d, at);

	kick(d);
	noticed = noticed && wait_reset(d, WAIT);
	check(noticed && works(d), "%s: %s", d->kind->name, name);
}

static bool offers(const struct device *d)
{
	*reg32(d, DEVICE_SELECT) = 1;
	return !packed || *reg32(d, DEVICE) & F_PACKED;
}

static void run(bool with_packed)
{
	unsigned int i, w, tried = 0;

	packed = with_packed;
	for (i = 0; i < devices_n; i++) {
		if (!devices[i].common || !offers(&devices[i]))
			continue;
		tried++;
		check(works(&devices[i]), "%s works", devices[i].kind->name);
		for (w = 0; w < sizeof(wrongs) / sizeof(wrongs[0]); w++)
			if (!packed || !wrongs[w].only_split)
				try_wrong(&devices[i], &wrongs[w]);
		try_ring(&devices[i], "a ring where no memory is", 1UL << 45);
		try_ring(&devices[i], "a ring beyond the end", ram - 16);
		reset(&devices[i]);
	}
	if (!tried)
		skip("no device has such a ring");
}

static void test_split(void)
{
	run(false);
}

static void test_packed(void)
{
	run(true);
}

const struct test tests[] = {
	{"split", test_split, "virtio \"Split Virtqueues\"", NEEDS_BOARD},
	{"packed", test_packed, "virtio \"Packed Virtqueues\"", NEEDS_BOARD},
	{NULL},
};
