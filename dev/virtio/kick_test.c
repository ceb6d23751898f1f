/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doorbells of both transports: they hang where the guest stores, follow the
 * BAR, reach the device from a thread, and are gone when it is.
 */
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "dev/bus.h"
#include "dev/doorbell.h"
#include "dev/pci.h"
#include "dev/virtio/fakering.h"
#include "dev/virtio/kick.h"
#include "dev/virtio/vmmio.h"
#include "dev/virtio/vpci.h"
#include "lib/lookout.h"

#define WINDOW 0xc0000000ULL
#define MMIO   0xfeb00000ULL
#define ECAM   0xe0000000ULL
#define QUEUES 3
#define NOTIFY 0x3000 /* of the BAR */

/* A device that only counts its kicks. */
struct toy {
	struct virtio_device dev;
	unsigned kicks[QUEUES];
	sem_t kicked;
};

struct board {
	struct bus pio, mmio;
	struct pci pci;
	struct vpci vpci;
	struct vmmio vmmio;
	struct fakering ring;
	struct toy *toy;
	struct doorbells bells;
	struct doorbell hung[8];
	unsigned count;
	int refuse; /* what hanging up answers */
};

static void toy_notify(struct virtio_device *dev, unsigned q)
{
	struct toy *t = (struct toy *)dev;

	t->kicks[q]++;
	sem_post(&t->kicked);
}

static const struct virtio_class toy_class = {
	.name = "toy",
	.id = VIRTIO_ID_RNG,
	.notify = toy_notify,
};

/* One that waits for queue 1 itself. */
static int own_bell = -1;

static int own_kick_fd(struct virtio_device *dev, unsigned q)
{
	return q == 1 ? own_bell : -1;
}

static const struct virtio_class own_class = {
	.name = "own",
	.id = VIRTIO_ID_RNG,
	.notify = toy_notify,
	.kick_fd = own_kick_fd,
};

static bool near_queue(struct virtio_device *dev, unsigned q)
{
	return q == 1;
}

/* One that rather has the kicks of queue 1 at once. */
static const struct virtio_class near_class = {
	.name = "near",
	.id = VIRTIO_ID_RNG,
	.notify = toy_notify,
	.near = near_queue,
};

static int set_bell(void *ctx, const struct doorbell *bell, bool on)
{
	struct board *b = ctx;
	unsigned i;

	if (on && b->refuse)
		return b->refuse;
	if (on) {
		assert_true(b->count < ARRAY_SIZE(b->hung));
		b->hung[b->count++] = *bell;
		return 0;
	}
	for (i = 0; i < b->count; i++)
		if (!memcmp(&b->hung[i], bell, sizeof(*bell)))
			break;
	assert_int_not_equal(i, b->count);
	b->hung[i] = b->hung[--b->count];
	return 0;
}

static void on_intx(void *ctx, unsigned line, bool level)
{
}

static void on_msi(void *ctx, uint64_t address, uint32_t data)
{
}

static void no_line(void *ctx, unsigned pin, bool level)
{
}

static uint64_t none_read(void *ctx, uint64_t offset, unsigned size)
{
	return 0;
}

static void none_write(void *ctx, uint64_t offset, unsigned size, uint64_t val)
{
}

static const struct bus_ops none = {none_read, none_write};

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
		.doorbells = &b->bells,
	};

	assert_non_null(b);
	b->bells = (struct doorbells){set_bell, b};
	fake_init(&b->ring, 8, BIT64(VIRTIO_F_VERSION_1));
	assert_int_equal(pci_init(&b->pci, &b->pio, &b->mmio, &wires), 0);
	b->toy = calloc(1, sizeof(*b->toy));
	assert_non_null(b->toy);
	assert_int_equal(
		virtio_init(&b->toy->dev, &toy_class, &b->ring.dma, QUEUES, 8),
		0);
	b->toy->dev.offered.w[0] = BIT64(VIRTIO_F_VERSION_1);
	sem_init(&b->toy->kicked, 0, 0);
	return b;
}

static void free_board(struct board *b)
{
	pci_exit(&b->pci);
	fake_exit(&b->ring);
	free(b);
}

/* Features and queues @q up to DRIVER_OK. */
static void bring_up(struct board *b)
{
	struct virtio_device *dev = &b->toy->dev;
	unsigned q;

	dev->driver.w[0] = BIT64(VIRTIO_F_VERSION_1);
	virtio_set_status(dev, 0xb);
	for (q = 0; q < QUEUES; q++) {
		dev->vq[q].size = 8;
		dev->vq[q].desc_gpa = FAKE_DESC;
		dev->vq[q].driver_gpa = FAKE_DRIVER;
		dev->vq[q].device_gpa = FAKE_DEVICE;
		virtio_queue_enable(dev, q);
	}
	virtio_set_status(dev, 0xf);
	assert_int_equal(virtio_get_status(dev), 0xf);
}

/* What the KVM does with a store of @value. */
static void ring(struct board *b, uint64_t gpa, unsigned size, uint64_t value)
{
	uint64_t one = 1;
	unsigned i;

	for (i = 0; i < b->count; i++) {
		if (b->hung[i].gpa != gpa ||
		    (b->hung[i].size && b->hung[i].size != size) ||
		    (b->hung[i].match && b->hung[i].value != value))
			continue;
		assert_int_equal(write(b->hung[i].fd, &one, 8), 8);
		return;
	}
	fail_msg("no doorbell at %#llx", (unsigned long long)gpa);
}

static void wait_kick(struct board *b, unsigned q)
{
	struct timespec until;
	unsigned kicks;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	assert_int_equal(sem_timedwait(&b->toy->kicked, &until), 0);
	pthread_mutex_lock(&b->toy->dev.lock);
	kicks = b->toy->kicks[q];
	b->toy->kicks[q] = 0;
	pthread_mutex_unlock(&b->toy->dev.lock);
	assert_int_equal(kicks, 1);
}

static void command(struct board *b, unsigned value)
{
	bus_write(&b->mmio, ECAM + (3 << 15) + 4, 2, value);
}

static void test_pci(void **state)
{
	struct board *b = new_board();
	unsigned q;

	vpci_init(&b->vpci, &b->toy->dev, QUEUES + 1);
	assert_int_equal(pci_plug(&b->pci, &b->vpci.fn, 3 * 8), 0);
	assert_int_equal(b->count, 0);
	command(b, 6);
	assert_int_equal(b->count, QUEUES);
	bring_up(b);
	for (q = QUEUES; q--;) {
		ring(b, WINDOW + NOTIFY + 4 * q, q % 2 ? 2 : 4, q);
		wait_kick(b, q);
	}
	/* They go where the BAR goes, and away with it. */
	bus_write(&b->mmio, ECAM + (3 << 15) + 0x10, 4, WINDOW + 0x80000);
	assert_int_equal(b->count, QUEUES);
	ring(b, WINDOW + 0x80000 + NOTIFY + 4, 2, 1);
	wait_kick(b, 1);
	command(b, 4);
	assert_int_equal(b->count, 0);
	command(b, 6);
	assert_int_equal(b->count, QUEUES);
	/* The bus still works, for an odd store. */
	bus_write(&b->mmio, WINDOW + 0x80000 + NOTIFY + 8, 1, 2);
	wait_kick(b, 2);
	pci_unplug(&b->pci, &b->vpci.fn);
	assert_int_equal(b->count, 0);
	virtio_exit(&b->toy->dev);
	vpci_exit(&b->vpci);
	free_board(b);
}

static void test_mmio(void **state)
{
	struct board *b = new_board();
	const struct chip_pin irq = {no_line, b, 0};

	assert_int_equal(vmmio_init(&b->vmmio, &b->toy->dev, &b->mmio, MMIO,
				    &irq, &b->bells),
			 0);
	assert_int_equal(b->count, QUEUES);
	bring_up(b);
	ring(b, MMIO + 0x50, 4, 2);
	wait_kick(b, 2);
	ring(b, MMIO + 0x50, 4, 0);
	wait_kick(b, 0);
	virtio_exit(&b->toy->dev);
	assert_int_equal(b->count, 0);
	free_board(b);
}

/* A KVM that has no room left: kicks come by the bus. */
static void test_refused(void **state)
{
	struct board *b = new_board();

	b->refuse = -28;
	vpci_init(&b->vpci, &b->toy->dev, QUEUES + 1);
	assert_int_equal(pci_plug(&b->pci, &b->vpci.fn, 3 * 8), 0);
	command(b, 6);
	assert_int_equal(b->count, 0);
	bring_up(b);
	bus_write(&b->mmio, WINDOW + NOTIFY + 4, 2, 1);
	wait_kick(b, 1);
	pci_unplug(&b->pci, &b->vpci.fn);
	virtio_exit(&b->toy->dev);
	vpci_exit(&b->vpci);
	free_board(b);
}

/* A class's own descriptor is rung, is not read and stays open. */
static void test_own(void **state)
{
	struct board *b = new_board();
	uint64_t n = 0;

	own_bell = eventfd(0, EFD_NONBLOCK);
	b->toy->dev.class = &own_class;
	vpci_init(&b->vpci, &b->toy->dev, QUEUES + 1);
	assert_int_equal(pci_plug(&b->pci, &b->vpci.fn, 3 * 8), 0);
	command(b, 6);
	assert_int_equal(b->count, QUEUES);
	bring_up(b);
	ring(b, WINDOW + NOTIFY + 4, 2, 1);
	ring(b, WINDOW + NOTIFY + 8, 2, 2);
	wait_kick(b, 2);
	assert_int_equal(b->toy->kicks[1], 0);
	pci_unplug(&b->pci, &b->vpci.fn);
	virtio_exit(&b->toy->dev);
	vpci_exit(&b->vpci);
	assert_int_equal(read(own_bell, &n, 8), 8);
	assert_int_equal(n, 1);
	close(own_bell);
	free_board(b);
}

/* Where a store costs little, those that are better off go without. */
static void test_near(void **state)
{
	struct board *b;
	unsigned spare;

	for (spare = 0; spare < 2; spare++) {
		b = new_board();
		b->bells.spare = spare;
		b->toy->dev.class = &near_class;
		vpci_init(&b->vpci, &b->toy->dev, QUEUES + 1);
		assert_int_equal(pci_plug(&b->pci, &b->vpci.fn, 3 * 8), 0);
		command(b, 6);
		assert_int_equal(b->count, QUEUES - spare);
		bring_up(b);
		if (spare)
			bus_write(&b->mmio, WINDOW + NOTIFY + 4, 2, 1);
		else
			ring(b, WINDOW + NOTIFY + 4, 2, 1);
		wait_kick(b, 1);
		ring(b, WINDOW + NOTIFY + 8, 2, 2);
		wait_kick(b, 2);
		pci_unplug(&b->pci, &b->vpci.fn);
		assert_int_equal(b->count, 0);
		virtio_exit(&b->toy->dev);
		vpci_exit(&b->vpci);
		free_board(b);
	}
}

/* One that looks out for more; what came of it, and after how long. */
static bool awaited;
static uint64_t looked_ns;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

static void eager_notify(struct virtio_device *dev, unsigned q)
{
	uint64_t start = now_ns();

	vq_want_kick(&dev->vq[q], false);
	awaited = virtio_await(dev, q);
	looked_ns = now_ns() - start;
	vq_want_kick(&dev->vq[q], true);
	toy_notify(dev, q);
}

static const struct virtio_class eager_class = {
	.name = "eager",
	.id = VIRTIO_ID_RNG,
	.notify = eager_notify,
};

/* Queue 0 is the fake driver's, queue 1 an empty one elsewhere. */
static void bring_up_two(struct virtio_device *dev)
{
	unsigned q;

	dev->driver.w[0] = BIT64(VIRTIO_F_VERSION_1);
	virtio_set_status(dev, 0xb);
	for (q = 0; q < 2; q++) {
		dev->vq[q].size = 8;
		dev->vq[q].desc_gpa = q ? FAKE_DATA : FAKE_DESC;
		dev->vq[q].driver_gpa = q ? FAKE_DATA + 0x1000 : FAKE_DRIVER;
		dev->vq[q].device_gpa = q ? FAKE_DATA + 0x2000 : FAKE_DEVICE;
		virtio_queue_enable(dev, q);
	}
	virtio_set_status(dev, 0xf);
	assert_int_equal(virtio_get_status(dev), 0xf);
}

static struct board *eager_board(void)
{
	struct board *b = new_board();

	b->toy->dev.class = &eager_class;
	vpci_init(&b->vpci, &b->toy->dev, QUEUES + 1);
	assert_int_equal(pci_plug(&b->pci, &b->vpci.fn, 3 * 8), 0);
	command(b, 6);
	bring_up_two(&b->toy->dev);
	return b;
}

static void free_eager(struct board *b)
{
	pci_unplug(&b->pci, &b->vpci.fn);
	virtio_exit(&b->toy->dev);
	vpci_exit(&b->vpci);
	free_board(b);
}

/* A thread that was woken looks out for more, others do not. */
static void test_await(void **state)
{
	struct iovec p = {(void *)(uintptr_t)(FAKE_DATA + 0x8000), 16};
	bool several = sysconf(_SC_NPROCESSORS_ONLN) > 1;
	struct board *b = eager_board();
	bool looked = !several;

	/* Others may want the processor: after some of them less often. */
	for (int i = 0; i < 1000 && !looked; i++) {
		ring(b, WINDOW + NOTIFY, 2, 0);
		wait_kick(b, 0);
		assert_false(awaited);
		looked = looked_ns >= LOOKOUT_MIN_NS;
	}
	assert_true(!several || looked);
	fake_add(&b->ring, 0, &p, 1, 1, false);
	virtio_notify(&b->toy->dev, 0);
	wait_kick(b, 0);
	assert_false(awaited);
	/* Queue 1 must not keep queue 0 waiting. */
	ring(b, WINDOW + NOTIFY + 4, 2, 1);
	wait_kick(b, 1);
	assert_false(awaited);
	/* After the failures some go without. */
	for (int i = 0; several && !awaited && i < 100; i++) {
		ring(b, WINDOW + NOTIFY, 2, 0);
		wait_kick(b, 0);
	}
	assert_int_equal(awaited, several);
	free_eager(b);
}

/* The driver resets while somebody looks out. */
static void test_await_reset(void **state)
{
	struct board *b = eager_board();
	struct virtio_device *dev = &b->toy->dev;
	int i;

	for (i = 0; i < 500; i++) {
		ring(b, WINDOW + NOTIFY, 2, 0);
		if (i % 3)
			usleep((unsigned)i % 30);
		virtio_set_status(dev, 0);
		bring_up_two(dev);
	}
	free_eager(b);
}

/* The time grows to what it takes; in vain, ever more go without. */
static void test_lookout(void **state)
{
	struct lookout l = {0};
	unsigned i;

	assert_int_equal(lookout_ns(&l), LOOKOUT_MIN_NS);
	lookout_missed(&l, 3 * LOOKOUT_MIN_NS);
	assert_int_equal(lookout_ns(&l), 2 * LOOKOUT_MIN_NS);
	for (i = 0; i < 10 && l.ns < LOOKOUT_MAX_NS; i++)
		lookout_missed(&l, LOOKOUT_MAX_NS - 1);
	assert_int_equal(lookout_ns(&l), LOOKOUT_MAX_NS);
	lookout_hit(&l);
	assert_int_equal(lookout_ns(&l), LOOKOUT_MAX_NS);
	/* A host that has no processor for the other one. */
	lookout_missed(&l, LOOKOUT_MAX_NS - 1);
	assert_int_equal(lookout_ns(&l), 0);
	for (i = 0; i < 20; i++) {
		while (l.skip)
			assert_int_equal(lookout_ns(&l), 0);
		assert_int_equal(lookout_ns(&l), LOOKOUT_MIN_NS);
		lookout_missed(&l, 1000 * LOOKOUT_MAX_NS);
	}
	assert_int_equal(l.skip, LOOKOUT_SKIP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pci),
		cmocka_unit_test(test_mmio),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_near),
		cmocka_unit_test(test_await),
		cmocka_unit_test(test_await_reset),
		cmocka_unit_test(test_lookout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
