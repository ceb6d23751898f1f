/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Features by name and by rule, the registers of both transports, status and
 * broken rings as a driver sees them: an entropy device behind a PCI bus and
 * behind memory-mapped registers.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dev/bus.h"
#include "dev/pci.h"
#include "dev/virtio/fakering.h"
#include "dev/virtio/vmmio.h"
#include "dev/virtio/vpci.h"

#define WINDOW 0xc0000000ULL
#define MMIO   0xfeb00000ULL
#define ECAM   0xe0000000ULL

struct board {
	struct bus pio, mmio;
	struct pci pci;
	struct vpci vpci;
	struct vmmio vmmio;
	struct virtio_device *dev;
	struct fakering ring;
	unsigned intx[PCI_INTX_LINES];
	unsigned messages;
	uint64_t address;
	uint32_t data;
	bool line;
};

static void on_intx(void *ctx, unsigned line, bool level)
{
	((struct board *)ctx)->intx[line] = level;
}

static void on_msi(void *ctx, uint64_t address, uint32_t data)
{
	struct board *b = ctx;

	b->messages++;
	b->address = address;
	b->data = data;
}

static void on_line(void *ctx, unsigned pin, bool level)
{
	((struct board *)ctx)->line = level;
}

static uint64_t none_read(void *ctx, uint64_t offset, unsigned size)
{
	return 0;
}

static void none_write(void *ctx, uint64_t offset, unsigned size, uint64_t val)
{
}

static const struct bus_ops none = {none_read, none_write};

static struct virtio_device *rng(struct board *b)
{
	b->dev = fake_device("virtio-rng,packed=on,in_order=on,"
			     "notification_data=on",
			     &b->ring.dma, NULL);
	return b->dev;
}

static struct board *new_board(void)
{
	struct board *b = calloc(1, sizeof(*b));
	const struct pci_board wires = {
		.ecam = ECAM,
		.ecam_size = 16 << 20,
		.cf9_ops = &none,
		.window = {{WINDOW, WINDOW + (1 << 20)}},
		.intx = on_intx,
		.msi = on_msi,
		.ctx = b,
	};

	assert_non_null(b);
	fake_init(&b->ring, 8, BIT64(VIRTIO_F_VERSION_1));
	assert_int_equal(pci_init(&b->pci, &b->pio, &b->mmio, &wires), 0);
	return b;
}

static struct board *pci_board(void)
{
	struct board *b = new_board();

	vpci_init(&b->vpci, rng(b), MSIX_MAX);
	assert_int_equal(pci_plug(&b->pci, &b->vpci.fn, 3 * PCI_FUNCTIONS), 0);
	bus_write(&b->mmio, ECAM + (3 << 15) + 4, 2, 6);
	return b;
}

static void free_board(struct board *b)
{
	if (b->vpci.dev)
		pci_unplug(&b->pci, &b->vpci.fn);
	virtio_exit(b->dev);
	if (b->vpci.dev)
		vpci_exit(&b->vpci);
	pci_exit(&b->pci);
	fake_exit(&b->ring);
	free(b);
}

static uint32_t get(struct board *b, unsigned at, unsigned size)
{
	return (uint32_t)bus_read(&b->mmio, WINDOW + at, size);
}

static void set(struct board *b, unsigned at, unsigned size, uint64_t val)
{
	bus_write(&b->mmio, WINDOW + at, size, val);
}

static uint32_t config(struct board *b, unsigned reg, unsigned size)
{
	return (uint32_t)bus_read(&b->mmio, ECAM + (3 << 15) + reg, size);
}

/* ---- features ---- */

static void test_names(void **state)
{
	struct virtio_features f = {{0}}, g;
	char text[512];

	features_put(&f, 0, true);
	features_put(&f, 32, true);
	features_put(&f, 65, true);
	features_put(&f, 100, true);
	assert_string_equal(
		features_print(&f, VIRTIO_ID_NET, text, sizeof(text)),
		"CSUM,VERSION_1,GUEST_UDP_TUNNEL_GSO,100");
	assert_int_equal(features_parse(&g, VIRTIO_ID_NET, text), 0);
	assert_memory_equal(&f, &g, sizeof(f));
	assert_int_equal(features_parse(&g, VIRTIO_ID_BLK, "CSUM"), -22);
	assert_int_equal(features_parse(&g, VIRTIO_ID_BLK, "128"), -22);
	assert_int_equal(features_parse(&g, VIRTIO_ID_BLK, "RO,"), 0);
	assert_true(features_has(&g, 5));
	assert_string_equal(features_name(VIRTIO_ID_NET, 66),
			    "GUEST_UDP_TUNNEL_GSO_CSUM");
	assert_null(features_name(VIRTIO_ID_BLK, 66));
}

static void test_words(void **state)
{
	struct virtio_features f = {{0x1111111122222222, 0x3333333344444444}};

	assert_int_equal(features_get_word(&f, 0), 0x22222222);
	assert_int_equal(features_get_word(&f, 3), 0x33333333);
	assert_int_equal(features_get_word(&f, 4), 0);
	assert_int_equal(features_get_word(&f, UINT32_MAX), 0);
	features_set_word(&f, 2, 5);
	features_set_word(&f, 4, 6);
	assert_true(f.w[1] == 0x3333333300000005);
}

/* Each prerequisite taken away: exactly these go with it. */
static void test_rules(void **state)
{
	static const struct {
		int without;
		int gone[16]; /* ends with -1 */
	} rows[] = {
		{1, {7, 8, 9, 10, 54, 55, 65, 66, -1}},
		{7, {65, 66, -1}},
		{8, {65, 66, -1}},
		{54, {65, 66, -1}},
		{55, {65, 66, -1}},
		{65, {66, -1}},
		{66, {-1}},
		{0, {11, 12, 13, 14, 56, 67, 68, -1}},
		{11, {67, 68, -1}},
		{12, {67, 68, -1}},
		{56, {67, 68, -1}},
		{67, {68, -1}},
		{17, {2, 18, 19, 20, 21, 22, 23, 51, 52, 53, 57, 60, 64, -1}},
		{60, {64, -1}},
		{32, {34, 35, 38, 40, 65, 66, 67, 68, -1}},
	};
	static const int all[] = {0,  1,  2,  7,  8,  9,  10, 11, 12,
				  13, 14, 17, 18, 19, 20, 21, 22, 23,
				  32, 34, 35, 38, 40, 51, 52, 53, 54,
				  55, 56, 57, 60, 64, 65, 66, 67, 68};
	struct virtio_features full = {{0}}, f, want;
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(all); i++)
		features_put(&full, (unsigned)all[i], true);
	assert_int_equal(features_broken(&full, VIRTIO_ID_NET), -1);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		f = full;
		features_put(&f, (unsigned)rows[i].without, false);
		want = f;
		for (k = 0; rows[i].gone[k] >= 0; k++)
			features_put(&want, (unsigned)rows[i].gone[k], false);
		if (k)
			assert_true(features_broken(&f, VIRTIO_ID_NET) >= 0);
		features_settle(&f, VIRTIO_ID_NET);
		assert_memory_equal(&f, &want, sizeof(f));
	}
	/* ECN needs one of two. */
	f = full;
	features_put(&f, 7, false);
	features_settle(&f, VIRTIO_ID_NET);
	assert_true(features_has(&f, 9));
}

/* ---- registers ---- */

static void test_identity(void **state)
{
	struct board *b = pci_board();
	unsigned at, types = 0;

	assert_int_equal(config(b, 0, 4), 0x10441af4);
	assert_int_equal(config(b, 8, 4), 0x00ff0001);
	assert_int_equal(config(b, 0x10, 4), WINDOW);
	/* Sizing, then back. */
	bus_write(&b->mmio, ECAM + (3 << 15) + 0x10, 4, UINT32_MAX);
	assert_int_equal(config(b, 0x10, 4), 0xffffc000);
	bus_write(&b->mmio, ECAM + (3 << 15) + 0x10, 4, WINDOW);
	for (at = config(b, 0x34, 1); at; at = config(b, at + 1, 1))
		if (config(b, at, 1) == 9)
			types |= BIT(config(b, at + 3, 1));
	/* Common, notify, ISR, window; no device configuration. */
	assert_int_equal(types, 0x2e);
	/* By ports as well, and nobody beside it. */
	bus_write(&b->pio, 0xcf8, 4, 0x80001800);
	assert_int_equal(bus_read(&b->pio, 0xcfc, 4), 0x10441af4);
	bus_write(&b->pio, 0xcf8, 4, 0x80001900);
	assert_int_equal(bus_read(&b->pio, 0xcfc, 4), UINT32_MAX);
	bus_write(&b->pio, 0xcf8, 4, 0x80002000);
	assert_int_equal(bus_read(&b->pio, 0xcfc, 4), UINT32_MAX);
	free_board(b);
}

/* The BAR is where the guest puts it, and nowhere while decoding is off. */
static void test_bar_moves(void **state)
{
	struct board *b = pci_board();

	assert_int_equal(get(b, 0x12, 2), 1);
	bus_write(&b->mmio, ECAM + (3 << 15) + 0x10, 4, WINDOW + 0x8000);
	assert_int_equal(bus_read(&b->mmio, WINDOW + 0x12, 2), 0xffff);
	assert_int_equal(bus_read(&b->mmio, WINDOW + 0x8012, 2), 1);
	bus_write(&b->mmio, ECAM + (3 << 15) + 4, 2, 4);
	assert_int_equal(bus_read(&b->mmio, WINDOW + 0x8012, 2), 0xffff);
	/* On the ECAM window: nothing happens. */
	bus_write(&b->mmio, ECAM + (3 << 15) + 0x10, 4, ECAM);
	bus_write(&b->mmio, ECAM + (3 << 15) + 4, 2, 6);
	assert_int_equal(config(b, 0, 4), 0x10441af4);
	free_board(b);
}

static void test_selects(void **state)
{
	struct board *b = pci_board();
	unsigned sel;

	b->dev->offered.w[1] = 0x1e;
	for (sel = 0; sel < 4; sel++) {
		set(b, 0x00, 4, sel);
		assert_int_equal(get(b, 0x00, 4), sel);
		assert_int_equal(get(b, 0x04, 4),
				 features_get_word(&b->dev->offered, sel));
	}
	set(b, 0x00, 4, 4);
	assert_int_equal(get(b, 0x04, 4), 0);
	set(b, 0x00, 4, UINT32_MAX);
	assert_int_equal(get(b, 0x00, 4), UINT32_MAX);
	assert_int_equal(get(b, 0x04, 4), 0);
	for (sel = 4; sel-- > 0;) {
		set(b, 0x08, 4, sel);
		set(b, 0x0c, 4, 0x100 + sel);
	}
	set(b, 0x08, 4, 7);
	set(b, 0x0c, 4, 0xdead);
	assert_int_equal(get(b, 0x0c, 4), 0);
	for (sel = 0; sel < 4; sel++) {
		set(b, 0x08, 4, sel);
		assert_int_equal(get(b, 0x0c, 4), 0x100 + sel);
	}
	set(b, 0x14, 1, 0); /* reset */
	assert_int_equal(get(b, 0x08, 4), 0);
	set(b, 0x08, 4, 3);
	assert_int_equal(get(b, 0x0c, 4), 0);
	free_board(b);
}

/* Returns the status after the driver asked for these features. */
static unsigned negotiate(struct board *b, uint64_t low, uint64_t high)
{
	unsigned i;

	set(b, 0x14, 1, 0);
	set(b, 0x14, 1, 3);
	for (i = 0; i < 4; i++) {
		set(b, 0x08, 4, i);
		set(b, 0x0c, 4, i < 2 ? low >> 32 * i : high >> 32 * (i - 2));
	}
	set(b, 0x14, 1, 0xb);
	return get(b, 0x14, 1);
}

static void test_negotiation(void **state)
{
	const uint64_t v1 = BIT64(VIRTIO_F_VERSION_1);
	struct board *b = pci_board();

	assert_int_equal(negotiate(b, v1, 0), 0xb);
	/* Frozen from then on. */
	set(b, 0x08, 4, 0);
	set(b, 0x0c, 4, 1 << 29);
	assert_int_equal(get(b, 0x0c, 4), 0);
	assert_int_equal(negotiate(b, 0, 0), 3);
	assert_int_equal(negotiate(b, v1 | 1, 0), 3);
	assert_int_equal(negotiate(b, v1, 2), 3);
	assert_int_equal(negotiate(b, BIT64(34), 0), 3);
	assert_int_equal(negotiate(b, v1 | BIT64(34) | BIT64(29), 0), 0xb);
	/* DRIVER_OK without features does not start it. */
	set(b, 0x14, 1, 0);
	set(b, 0x14, 1, 7);
	assert_int_equal(get(b, 0x14, 1), 3);
	free_board(b);
}

static void bring_up(struct board *b, uint64_t desc)
{
	assert_int_equal(negotiate(b, BIT64(32) | BIT64(40), 0), 0xb);
	set(b, 0x16, 2, 0);
	assert_int_equal(get(b, 0x18, 2), 8);
	set(b, 0x18, 2, 8);
	set(b, 0x1a, 2, 1);
	set(b, 0x10, 2, 0);
	set(b, 0x20, 8, desc);
	set(b, 0x28, 8, FAKE_DRIVER);
	set(b, 0x30, 8, FAKE_DEVICE);
	set(b, 0x1c, 2, 1);
	set(b, 0x14, 1, 0xf);
}

static void ask(struct board *b)
{
	struct iovec piece = {(void *)(uintptr_t)FAKE_DATA, 64};

	fake_add(&b->ring, 0, &piece, 1, 0, false);
	set(b, 0x3000, 2, 0);
}

static bool answered(struct board *b)
{
	uint16_t id;
	uint32_t len;

	return fake_get(&b->ring, &id, &len) && len == 64;
}

static void test_intx(void **state)
{
	struct board *b = pci_board();

	bring_up(b, FAKE_DESC);
	ask(b);
	assert_true(answered(b));
	assert_int_equal(b->intx[3], 1);
	assert_int_equal(config(b, 6, 2) & 8, 8);
	/* Turned off and on at the function. */
	bus_write(&b->mmio, ECAM + (3 << 15) + 4, 2, 0x406);
	assert_int_equal(b->intx[3], 0);
	bus_write(&b->mmio, ECAM + (3 << 15) + 4, 2, 6);
	assert_int_equal(b->intx[3], 1);
	assert_int_equal(get(b, 0x1000, 1), 1);
	assert_int_equal(b->intx[3], 0);
	assert_int_equal(get(b, 0x1000, 1), 0);
	free_board(b);
}

static void test_msix(void **state)
{
	struct board *b = pci_board();
	uint64_t table = WINDOW + 0x4000;
	unsigned at;

	for (at = config(b, 0x34, 1); config(b, at, 1) != 0x11;)
		at = config(b, at + 1, 1);
	assert_int_equal(config(b, at + 2, 2), 1); /* two vectors */
	bus_write(&b->mmio, ECAM + (3 << 15) + at + 2, 2, 0x8000);
	bus_write(&b->mmio, table + 16, 4, 0xfee01000);
	bus_write(&b->mmio, table + 24, 4, 0x41);
	bring_up(b, FAKE_DESC);
	ask(b); /* the vector is masked */
	assert_int_equal(b->messages, 0);
	assert_int_equal(bus_read(&b->mmio, table + 2048, 4), 2);
	bus_write(&b->mmio, table + 28, 4, 0);
	assert_int_equal(b->messages, 1);
	assert_int_equal(bus_read(&b->mmio, table + 2048, 4), 0);
	assert_true(b->address == 0xfee01000 && b->data == 0x41);
	/* All masked. */
	bus_write(&b->mmio, ECAM + (3 << 15) + at + 2, 2, 0xc000);
	ask(b);
	assert_int_equal(b->messages, 1);
	bus_write(&b->mmio, ECAM + (3 << 15) + at + 2, 2, 0x8000);
	assert_int_equal(b->messages, 2);
	assert_int_equal(b->intx[3], 0);
	/* A vector that is not there reads back as none. */
	set(b, 0x1a, 2, 2);
	assert_int_equal(get(b, 0x1a, 2), 0xffff);
	ask(b);
	assert_int_equal(b->messages, 2);
	free_board(b);
}

/*
 * No bus master: it leaves memory alone and sends nothing. One that ran needs
 * a reset, one that was set up before begins when it may.
 */
static void test_master(void **state)
{
	struct board *b = pci_board();
	uint64_t command = ECAM + (3 << 15) + 4, table = WINDOW + 0x4000;
	unsigned at;

	for (at = config(b, 0x34, 1); config(b, at, 1) != 0x11;)
		at = config(b, at + 1, 1);
	bus_write(&b->mmio, ECAM + (3 << 15) + at + 2, 2, 0x8000);
	bus_write(&b->mmio, table + 28, 4, 0);
	bring_up(b, FAKE_DESC);
	ask(b);
	assert_true(answered(b));
	assert_int_equal(b->messages, 1);
	bus_write(&b->mmio, command, 1, 2);
	assert_int_equal(get(b, 0x14, 1), 0x4f);
	ask(b);
	assert_false(answered(b));
	bus_write(&b->mmio, command, 2, 6);
	set(b, 0x3000, 2, 0);
	assert_false(answered(b));
	assert_int_equal(b->messages, 1);
	/* What the driver before it left behind is gone. */
	bus_write(&b->mmio, command, 4, 2);
	bring_up(b, FAKE_DESC);
	assert_int_equal(get(b, 0x14, 1), 0xf);
	ask(b);
	assert_false(answered(b));
	bus_write(&b->mmio, command, 2, 6);
	assert_int_equal(get(b, 0x14, 1), 0xf);
	set(b, 0x3000, 2, 0);
	assert_true(answered(b));
	assert_int_equal(b->messages, 2);
	free_board(b);
}

/* A ring that cannot be: the status says so, a reset mends it. */
static void test_needs_reset(void **state)
{
	struct board *b = pci_board();

	bring_up(b, FAKE_DESC);
	((struct fake_desc *)fake_ptr(&b->ring, FAKE_DESC))->len = 0;
	*(uint16_t *)fake_ptr(&b->ring, FAKE_DRIVER + 2) = 1;
	set(b, 0x3000, 2, 0);
	assert_int_equal(get(b, 0x14, 1), 0x4f);
	assert_int_equal(b->intx[3], 1);
	assert_int_equal(get(b, 0x1000, 1), 3);
	*(uint16_t *)fake_ptr(&b->ring, FAKE_DRIVER + 2) = 0;
	bring_up(b, FAKE_DESC);
	ask(b);
	assert_true(answered(b));
	/* Rings outside memory, at enable. */
	bring_up(b, FAKE_BASE + FAKE_SIZE);
	assert_int_equal(get(b, 0x14, 1), 0x4f);
	free_board(b);
}

/* Each time it may have another size, and begins anew. */
static void test_queue_reset(void **state)
{
	static const unsigned sizes[] = {8, 4, 1, 8};
	struct board *b = pci_board();
	size_t i;

	bring_up(b, FAKE_DESC);
	ask(b);
	assert_true(answered(b));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		set(b, 0x3a, 2, 1);
		assert_int_equal(get(b, 0x3a, 2), 0);
		assert_int_equal(get(b, 0x1c, 2), 0);
		assert_int_equal(get(b, 0x18, 2), 8);
		set(b, 0x3000, 2, 0); /* a kick without a queue */
		fake_exit(&b->ring);
		fake_init(&b->ring, sizes[i], BIT64(VIRTIO_F_VERSION_1));
		set(b, 0x18, 2, sizes[i]);
		set(b, 0x20, 8, FAKE_DESC);
		set(b, 0x28, 8, FAKE_DRIVER);
		set(b, 0x30, 8, FAKE_DEVICE);
		set(b, 0x1c, 2, 1);
		/* Not while it is up. */
		set(b, 0x18, 2, 2);
		assert_int_equal(get(b, 0x18, 2), sizes[i]);
		ask(b);
		assert_true(answered(b));
		ask(b);
		assert_true(answered(b));
	}
	free_board(b);
}

/* The capability by which a BIOS reaches the BAR. */
static void test_window(void **state)
{
	struct board *b = pci_board();
	uint64_t at;

	for (at = config(b, 0x34, 1); config(b, (unsigned)at, 1) != 9 ||
				      config(b, (unsigned)at + 3, 1) != 5;)
		at = config(b, (unsigned)at + 1, 1);
	at += ECAM + (3 << 15);
	bus_write(&b->mmio, at + 8, 4, 0x12);
	bus_write(&b->mmio, at + 12, 4, 2);
	assert_int_equal(bus_read(&b->mmio, at + 16, 4), 1);
	bus_write(&b->mmio, at + 8, 4, 0x14);
	bus_write(&b->mmio, at + 12, 4, 1);
	bus_write(&b->mmio, at + 16, 4, 3);
	assert_int_equal(get(b, 0x14, 1), 3);
	bus_write(&b->mmio, at + 8, 4, 0x3fff); /* over the end: refused */
	bus_write(&b->mmio, at + 12, 4, 4);
	(void)bus_read(&b->mmio, at + 16, 4);
	free_board(b);
}

static void test_mmio(void **state)
{
	struct board *b = new_board();
	const struct chip_pin irq = {on_line, b, 5};
	const uint64_t r = MMIO;
	struct iovec piece = {(void *)(uintptr_t)FAKE_DATA, 64};

	assert_int_equal(vmmio_init(&b->vmmio, rng(b), &b->mmio, r, &irq, NULL),
			 0);
	assert_int_equal(bus_read(&b->mmio, r, 4), 0x74726976);
	assert_int_equal(bus_read(&b->mmio, r + 4, 4), 2);
	assert_int_equal(bus_read(&b->mmio, r + 8, 4), VIRTIO_ID_RNG);
	bus_write(&b->mmio, r + 0x14, 4, 1);
	assert_int_equal(bus_read(&b->mmio, r + 0x10, 4) & 1, 1);
	bus_write(&b->mmio, r + 0x14, 4, 2);
	assert_int_equal(bus_read(&b->mmio, r + 0x10, 4), 0);
	bus_write(&b->mmio, r + 0x24, 4, 1);
	bus_write(&b->mmio, r + 0x20, 4, 1);
	bus_write(&b->mmio, r + 0x70, 4, 0xb);
	assert_int_equal(bus_read(&b->mmio, r + 0x70, 4), 0xb);
	assert_int_equal(bus_read(&b->mmio, r + 0x34, 4), 8);
	bus_write(&b->mmio, r + 0x38, 4, 8);
	bus_write(&b->mmio, r + 0x80, 4, FAKE_DESC);
	bus_write(&b->mmio, r + 0x90, 4, FAKE_DRIVER);
	bus_write(&b->mmio, r + 0xa0, 4, FAKE_DEVICE);
	bus_write(&b->mmio, r + 0x44, 4, 1);
	assert_int_equal(bus_read(&b->mmio, r + 0x44, 4), 1);
	bus_write(&b->mmio, r + 0x70, 4, 0xf);
	fake_add(&b->ring, 0, &piece, 1, 0, false);
	bus_write(&b->mmio, r + 0x50, 4, 0);
	assert_true(answered(b));
	assert_true(b->line);
	assert_int_equal(bus_read(&b->mmio, r + 0x60, 4), 1);
	bus_write(&b->mmio, r + 0x64, 4, 1);
	assert_false(b->line);
	bus_write(&b->mmio, r + 0x70, 4, 0);
	assert_int_equal(bus_read(&b->mmio, r + 0x44, 4), 0);
	free_board(b);
}

/* Random accesses to everything the function shows. */
static void test_fuzz(void **state)
{
	struct board *b = pci_board();
	unsigned i, size;
	uint64_t at;

	srandom(7);
	for (i = 0; i < 200000; i++) {
		at = random() % 4 ? WINDOW + (unsigned)random() % 0x40
				  : WINDOW + (unsigned)random() % 0x6000;
		if (!(random() % 8))
			at = ECAM + (3 << 15) + (unsigned)random() % 0x140;
		size = 1U << random() % 4;
		if (random() % 2)
			bus_write(&b->mmio, at, size,
				  random() % 3
					  ? (uint64_t)random() % 64
					  : FAKE_BASE + (uint64_t)random() %
								FAKE_SIZE);
		else
			(void)bus_read(&b->mmio, at, size);
		/* The address may have been taken away; put it back. */
		bus_write(&b->mmio, ECAM + (3 << 15) + 0x10, 4, WINDOW);
		bus_write(&b->mmio, ECAM + (3 << 15) + 0x14, 4,
			  WINDOW + 0x4000);
		bus_write(&b->mmio, ECAM + (3 << 15) + 4, 2, 6);
		if (!(i % 1000))
			bring_up(b, FAKE_DESC);
	}
	free_board(b);
}

/* Functions of one slot, places that are taken, and windows used again. */
static void test_functions(void **state)
{
	const struct pcifn_id id = {.vendor = 0x1af4, .device = 0x1041};
	struct board *b = pci_board();
	struct pcifn fn[3];
	uint64_t first;
	unsigned i;

	for (i = 0; i < 3; i++) {
		pcifn_init(&fn[i], &id);
		pcifn_add_bar(&fn[i], 0, 0x40000, &none, NULL);
	}
	assert_int_equal(pci_plug(&b->pci, &fn[0], 24), -EBUSY);
	assert_int_equal(pci_plug(&b->pci, &fn[0], 25), -ENXIO);
	assert_int_equal(pci_plug(&b->pci, &fn[0], 256), -ENOSPC);
	pcifn_set_multifunction(&fn[0]);
	assert_int_equal(pci_plug(&b->pci, &fn[0], 32), 0);
	assert_int_equal(pci_plug(&b->pci, &fn[1], 37), 0);
	assert_int_equal(bus_read(&b->mmio, ECAM + (32 << 12) + 14, 1), 0x80);
	assert_int_equal(bus_read(&b->mmio, ECAM + (37 << 12) + 14, 1), 0);
	assert_int_equal(bus_read(&b->mmio, ECAM + (37 << 12), 2), 0x1af4);
	assert_int_equal(bus_read(&b->mmio, ECAM + (33 << 12), 2), 0xffff);
	first = pcifn_bar_address(&fn[0], 0);
	assert_int_equal(first % 0x40000, 0);
	assert_int_not_equal(first, pcifn_bar_address(&fn[1], 0));
	assert_int_equal(pci_plug(&b->pci, &fn[2], 0), 0);
	assert_int_equal(fn[2].addr, 8);
	/* A hundred come and go where one was. */
	for (i = 0; i < 100; i++) {
		pci_unplug(&b->pci, &fn[0]);
		assert_int_equal(pci_plug(&b->pci, &fn[0], 32), 0);
		assert_int_equal(pcifn_bar_address(&fn[0], 0), first);
	}
	for (i = 0; i < 3; i++) {
		pci_unplug(&b->pci, &fn[i]);
		pcifn_exit(&fn[i]);
	}
	free_board(b);
}

/* A class whose work ends while it is waited for, as that of threads does. */
static void slow_notify(struct virtio_device *dev, unsigned q)
{
}

static void slow_quiesce(struct virtio_device *dev, unsigned q)
{
	virtio_flush(dev, 0);
}

static const struct virtio_class slow_class = {
	.name = "slow",
	.id = VIRTIO_ID_RNG,
	.notify = slow_notify,
	.quiesce = slow_quiesce,
};

static void slow_interrupt(void *ctx, unsigned q)
{
}

static void slow_config(void *ctx)
{
}

/* What ends during a reset finds rings that are gone: nothing broke. */
static void test_late_end(void **state)
{
	static const struct virtio_transport_ops ops = {slow_interrupt,
							slow_config};
	struct virtio_device *dev = calloc(1, sizeof(*dev));
	struct fakering r;
	struct vq *vq;

	assert_non_null(dev);
	fake_init(&r, 8, BIT64(VIRTIO_F_VERSION_1));
	assert_int_equal(virtio_init(dev, &slow_class, &r.dma, 1, 8), 0);
	dev->transport = &ops;
	features_put(&dev->offered, VIRTIO_F_VERSION_1, true);
	virtio_set_driver_features(dev, 1, 1);
	virtio_set_status(dev, 0xb);
	vq = &dev->vq[0];
	vq->desc_gpa = FAKE_DESC;
	vq->driver_gpa = FAKE_DRIVER;
	vq->device_gpa = FAKE_DEVICE;
	virtio_queue_enable(dev, 0);
	virtio_set_status(dev, 0xf);
	virtio_queue_reset(dev, 0);
	assert_int_equal(virtio_get_status(dev), 0xf);
	assert_false(vq->ready || vq->broken || vq->ending);
	vq->desc_gpa = FAKE_DESC;
	vq->driver_gpa = FAKE_DRIVER;
	vq->device_gpa = FAKE_DEVICE;
	virtio_queue_enable(dev, 0);
	vq->broken = true;
	virtio_set_status(dev, 0);
	assert_int_equal(virtio_get_status(dev), 0);
	virtio_exit(dev);
	fake_exit(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_bar_moves),
		cmocka_unit_test(test_selects),
		cmocka_unit_test(test_negotiation),
		cmocka_unit_test(test_intx),
		cmocka_unit_test(test_msix),
		cmocka_unit_test(test_master),
		cmocka_unit_test(test_needs_reset),
		cmocka_unit_test(test_queue_reset),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_mmio),
		cmocka_unit_test(test_fuzz),
		cmocka_unit_test(test_functions),
		cmocka_unit_test(test_late_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
