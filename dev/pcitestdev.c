/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two spaces of three tests, one of which runs. A test with an eventfd hangs
 * its doorbell where its BAR is, and again when that moves: what rings it
 * never comes here, so that its count stays.
 */
#include "dev/pcitestdev.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dev/bus.h"
#include "dev/doorbell.h"
#include "dev/pci.h"

#define KINDS       3
#define TESTS       (2 * KINDS)
#define MEMORY_SIZE 2048 /* half of the BAR: registers, then targets */
#define PORTS_SIZE  128
#define DATA_MATCH  0xfa
#define DATA_ANY    0xce

struct test {
	uint8_t number, width, pad0[2];
	uint32_t offset;
	uint8_t data, pad1[3];
	uint32_t count;
	char name[32];
};

/* One BAR; where its doorbell hangs. */
struct space {
	struct pcitestdev *dev;
	bool io;
};

struct pcitestdev {
	struct pcifn fn;
	struct space space[2];
	struct test test[TESTS];
	int running; /* index of test, -1: none */
	int fd;      /* eventfd; nobody waits for it */
	bool hung;
	struct doorbell bell; /* while hung */
};

static const char *const kinds[KINDS] = {"no-eventfd", "wildcard-eventfd",
					 "datamatch-eventfd"};

static bool is_io(int test)
{
	return test >= KINDS;
}

/* ---- the doorbell of the test that runs ---- */

static void take_down(struct pcitestdev *d)
{
	const struct doorbells *bells;

	if (!d->hung)
		return;
	bells = d->fn.pci->board.doorbells;
	(void)bells->set(bells->ctx, &d->bell, false);
	d->hung = false;
}

static void hang_up(struct pcitestdev *d)
{
	const struct doorbells *bells = d->fn.pci->board.doorbells;
	const struct test *t = &d->test[d->running];
	const struct pcifn_bar *bar = &d->fn.bar[is_io(d->running)];
	int kind = d->running % KINDS;

	if (!bells || !kind || !bar->mapped)
		return;
	d->bell = (struct doorbell){
		.gpa = bar->at + t->offset,
		/* a store of any length, where the KVM knows such */
		.size = kind == 1 && !bar->io ? 0 : t->width,
		.match = kind == 2,
		.value = kind == 2 ? t->data : 0,
		.fd = d->fd,
		.pio = bar->io,
	};
	d->hung = !bells->set(bells->ctx, &d->bell, true);
}

static void moved(struct pcifn *fn, unsigned n)
{
	struct pcitestdev *d = container_of(fn, struct pcitestdev, fn);

	if (d->running < 0 || n != is_io(d->running))
		return;
	take_down(d);
	hang_up(d);
}

/* ---- registers ---- */

static void start(struct pcitestdev *d, bool io, uint64_t kind)
{
	if (d->running >= 0)
		take_down(d);
	d->running = -1;
	if (kind >= KINDS)
		return;
	d->running = (int)kind + (io ? KINDS : 0);
	d->test[d->running].count = 0;
	hang_up(d);
}

static void space_write(void *ctx, uint64_t offset, unsigned size, uint64_t val)
{
	const struct space *s = ctx;
	struct pcitestdev *d = s->dev;
	struct test *t;
	unsigned i;

	/* a wide store is one of each byte, lowest first */
	for (i = 0; i < size; i++, offset++, val >>= 8) {
		if (!offset) {
			start(d, s->io, val & 0xff);
			continue;
		}
		if (d->running < 0)
			continue;
		t = &d->test[d->running];
		if (offset == t->offset &&
		    (d->running % KINDS == 1 || (val & 0xff) == t->data))
			t->count++;
	}
}

/* What is behind the name's zero reads as zero. */
static uint64_t space_read(void *ctx, uint64_t offset, unsigned size)
{
	const struct space *s = ctx;
	const struct pcitestdev *d = s->dev;
	const struct test *t;
	uint64_t val = 0, n;

	if (d->running < 0)
		return 0;
	t = &d->test[d->running];
	n = offsetof(struct test, name) + strlen(t->name);
	if (offset < n)
		memcpy(&val, (const uint8_t *)t + offset,
		       MIN((uint64_t)size, n - offset));
	return val;
}

static const struct bus_ops space_ops = {space_read, space_write};

static void fill_test(struct test *t, unsigned i)
{
	bool io = is_io((int)i);

	*t = (struct test){
		.number = (uint8_t)i,
		.width = 1,
		.offset = (io ? PORTS_SIZE : MEMORY_SIZE) + i,
		.data = i % KINDS == 1 ? DATA_ANY : DATA_MATCH,
	};
	snprintf(t->name, sizeof(t->name), "%s-%s", io ? "portio" : "mmio",
		 kinds[i % KINDS]);
}

struct pcitestdev *pcitestdev_create(void)
{
	static const struct pcifn_id id = {
		.vendor = 0x1b36,
		.device = 0x0005,
		.subsystem_vendor = 0x1af4,
		.subsystem = 0x1100,
		.class = 0x00ff00,
		.no_pin = true,
	};
	struct pcitestdev *d = calloc(1, sizeof(*d));
	unsigned i;

	if (!d)
		return NULL;
	d->running = -1;
	d->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->fd < 0) {
		free(d);
		return NULL;
	}
	for (i = 0; i < TESTS; i++)
		fill_test(&d->test[i], i);
	pcifn_init(&d->fn, &id);
	d->fn.moved = moved;
	for (i = 0; i < 2; i++)
		d->space[i] = (struct space){d, i};
	pcifn_add_bar(&d->fn, 0, 2 * MEMORY_SIZE, &space_ops, &d->space[0]);
	pcifn_add_port_bar(&d->fn, 1, 2 * PORTS_SIZE, &space_ops, &d->space[1]);
	return d;
}

void pcitestdev_destroy(struct pcitestdev *d)
{
	if (!d)
		return;
	pcifn_exit(&d->fn);
	close(d->fd);
	free(d);
}

struct pcifn *pcitestdev_function(struct pcitestdev *d)
{
	return &d->fn;
}
