/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks are looked at now and then: they mostly are done the first time.
 */
#include "vmm/run/disks.h"

#include <stdio.h>
#include <unistd.h>

#include "dev/virtio/device.h"
#include "host/block/block.h"
#include "lib/log.h"
#include "lib/mono.h"
#include "vmm/machine.h"
#include "vmm/run/control.h"
#include "vmm/virtio.h"

#define STEP_US  5000
#define TELL     5  /* seconds of a reset until people are told */
#define PATIENCE 10 /* of who leaves */
#define FLUSH    5  /* the same, for disks that do answer */

static struct block *next_disk(const struct backend **b)
{
	while (*b && ((*b)->class->kind != LINK_DRIVE || !(*b)->object))
		*b = (*b)->next;
	return *b ? ((const struct drive *)(*b)->object)->block : NULL;
}

/* Its device may be at it itself: then it is in reset yet. */
static bool is_busy(const struct backend *b, struct block *disk)
{
	const struct devconf_device *d = b->user;

	return !block_rest(disk) ||
	       (d && d->place && virtio_get_status(virtio_device(d)));
}

/*
 * How many disks are not done. @leave: what was written is flushed first,
 * @all or where that may hang.
 */
static unsigned count_busy(const struct backends *list, bool leave, bool all)
{
	const struct backend *b = list->first;
	struct block *disk;
	unsigned n = 0;

	for (; (disk = next_disk(&b)); b = b->next)
		n += is_busy(b, disk) || (leave && block_last_flush(disk, all));
	return n;
}

static void step(struct control *c)
{
	pthread_mutex_unlock(&c->lock);
	usleep(STEP_US);
	pthread_mutex_lock(&c->lock);
}

static const struct backends *disks_of(const struct control *c)
{
	return &c->machine->dev->backends;
}

static bool resets(const struct control *c, enum stop_reason reason)
{
	return stop_is_reset(reason) && !c->action->reboot_ends;
}

static void warn(void *ctx, const char *text)
{
	log_warn("vmm", "the reset waits: %s", text);
}

static enum stop_reason await_reset(struct control *c, enum stop_reason reason)
{
	uint64_t tell = mono_ns() + TELL * NS_PER_SEC;

	while (resets(c, reason) && count_busy(disks_of(c), false, false)) {
		if (mono_ns() > tell) {
			disks_complain(disks_of(c), warn, NULL);
			tell = UINT64_MAX;
		}
		step(c);
		reason = stop_wait(c->stop);
	}
	return reason;
}

/* The others' data is to be safe at least. */
static void abandon(struct control *c)
{
	const struct backends *list = disks_of(c);
	uint64_t end = mono_ns() + FLUSH * NS_PER_SEC;
	unsigned hang = count_busy(list, false, false);

	c->abandoned = true;
	while (count_busy(list, true, true) > hang && mono_ns() < end)
		step(c);
}

enum stop_reason disks_settle(struct control *c, enum stop_reason reason)
{
	uint64_t end;

	virtio_reset_all(c->machine);
	reason = await_reset(c, reason);
	if (resets(c, reason))
		return reason;
	end = mono_ns() + PATIENCE * NS_PER_SEC;
	while (count_busy(disks_of(c), true, false)) {
		if (mono_ns() > end || stop_insists(c->stop)) {
			abandon(c);
			break;
		}
		step(c);
	}
	return reason;
}

void disks_complain(const struct backends *list,
		    void (*say)(void *ctx, const char *text), void *ctx)
{
	const struct backend *b = list->first;
	const char *path;
	struct block *disk;
	char text[4400];

	for (; (disk = next_disk(&b)); b = b->next) {
		if (!is_busy(b, disk))
			continue;
		path = block_path(disk);
		snprintf(text, sizeof(text),
			 "drive '%s'%s%s does not answer: what the guest wrote "
			 "to it and did not flush may be lost",
			 b->id, path ? ", " : "", path ? path : "");
		say(ctx, text);
	}
}
