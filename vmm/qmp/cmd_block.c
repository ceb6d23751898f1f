/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that show what disks are on, and change their size and limits.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "dev/virtio/disk.h"
#include "host/block/block.h"
#include "host/block/dict.h"
#include "vmm/machine.h"
#include "vmm/qmp/command.h"
#include "vmm/run/hotplug.h"
#include "vmm/virtio.h"

#define THROTTLE_ARGS                                                      \
	"device?:str id?:str bps:int bps_rd:int bps_wr:int iops:int "      \
	"iops_rd:int iops_wr:int bps_max?:int bps_rd_max?:int "            \
	"bps_wr_max?:int iops_max?:int iops_rd_max?:int iops_wr_max?:int " \
	"bps_max_length?:int bps_rd_max_length?:int "                      \
	"bps_wr_max_length?:int iops_max_length?:int "                     \
	"iops_rd_max_length?:int iops_wr_max_length?:int iops_size?:int"

static const char *const limits[THROTTLE_BUCKETS] = {
	"bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr",
};

static void put_limits(struct json_object *o, const struct drive *drive)
{
	struct throttle_conf c;
	char key[32];
	size_t i;

	block_limits(drive->block, &c);
	for (i = 0; i < THROTTLE_BUCKETS; i++) {
		json_put_int(o, limits[i], c.bucket[i].avg);
		if (!c.bucket[i].max)
			continue;
		snprintf(key, sizeof(key), "%s_max", limits[i]);
		json_put_int(o, key, c.bucket[i].max);
		snprintf(key, sizeof(key), "%s_max_length", limits[i]);
		json_put_int(o, key, c.bucket[i].length);
	}
	if (c.iops_size)
		json_put_int(o, "iops_size", c.iops_size);
}

static const char *zeroes_mode(const struct drive *drive)
{
	if (!block_flags(drive->block).zeroes)
		return "off";
	return block_unmaps(drive->block) ? "unmap" : "on";
}

/* An image and those below it. */
static void put_chain(struct json_object *o, const struct block *b)
{
	struct block_image at, below;
	struct stat st;
	unsigned depth;

	for (depth = 0; block_image(b, depth, &at); depth++) {
		json_put_str(o, "filename", at.path ? at.path : "");
		json_put_str(o, "format", at.format);
		json_put_int(o, "virtual-size", at.size);
		if (at.path && !stat(at.path, &st) && S_ISREG(st.st_mode))
			json_put_int(o, "actual-size",
				     (uint64_t)st.st_blocks * 512);
		if (!block_image(b, depth + 1, &below))
			return;
		json_put_str(o, "backing-filename",
			     below.path ? below.path : "");
		json_put_str(o, "backing-filename-format", below.format);
		o = json_put_object(o, "backing-image");
	}
}

static void put_image(struct json_object *o, const struct backend *b)
{
	const struct drive *drive = b->object;
	const char *path = block_path(drive->block);
	const struct block_flags flags = block_flags(drive->block);
	struct block_image below;
	struct json_object *cache;

	json_put_str(o, "file", path ? path : "");
	json_put_str(o, "node-name", b->id);
	json_put_bool(o, "ro", block_read_only(drive->block));
	json_put_str(o, "drv", block_format(drive->block));
	json_put_int(o, "backing_file_depth", flags.backing);
	json_put_bool(o, "encrypted", false);
	json_put_str(o, "detect_zeroes", zeroes_mode(drive));
	json_put_int(o, "write_threshold", 0);
	put_limits(o, drive);
	if (block_image(drive->block, 1, &below))
		json_put_str(o, "backing_file", below.path ? below.path : "");
	put_chain(json_put_object(o, "image"), drive->block);
	cache = json_put_object(o, "cache");
	json_put_bool(cache, "writeback", !drive->write_through);
	json_put_bool(cache, "direct", flags.direct);
	json_put_bool(cache, "no-flush", flags.no_flush);
}

static const struct backend *next_drive(struct qmp *q, const struct backend *b)
{
	b = b ? b->next : q->control->machine->dev->backends.first;
	while (b && (b->class->kind != LINK_DRIVE || !b->object))
		b = b->next;
	return b;
}

static void put_qdev(struct qmp *q, struct json_object *o,
		     const struct backend *b)
{
	char path[160];

	if (b->user)
		json_put_str(o, "qdev",
			     hotplug_path(q->control->machine, b->user, path,
					  sizeof(path)));
}

static int query_block(struct qmp *q, struct json_object *args,
		       struct json_object **ret, struct err *e)
{
	const struct backend *b = NULL;
	struct json_object *o;

	*ret = json_object_new_array();
	while ((b = next_drive(q, b))) {
		o = json_add_object(*ret);
		json_put_str(o, "device", b->id);
		put_qdev(q, o, b);
		json_put_str(o, "type", "unknown");
		json_put_bool(o, "removable", false);
		json_put_bool(o, "locked", false);
		put_image(json_put_object(o, "inserted"), b);
	}
	return 0;
}

static int query_nodes(struct qmp *q, struct json_object *args,
		       struct json_object **ret, struct err *e)
{
	const struct backend *b = NULL;

	*ret = json_object_new_array();
	while ((b = next_drive(q, b)))
		put_image(json_add_object(*ret), b);
	return 0;
}

/* The device's counter called @name, 0 without a device. */
static uint64_t counter(const struct virtio_device *dev, const char *name)
{
	unsigned i;

	for (i = 0; dev && dev->stat.data && i < dev->class->counters_n; i++)
		if (!strcmp(dev->class->counters[i], name))
			return __atomic_load_n(&dev->stat.data[i],
					       __ATOMIC_RELAXED);
	return 0;
}

static void put_stats(struct json_object *o, const struct virtio_device *dev)
{
	static const char *const rows[][2] = {
		{"rd_bytes", "block_read_bytes"},
		{"wr_bytes", "block_write_bytes"},
		{"rd_operations", "block_reads"},
		{"wr_operations", "block_writes"},
		{"flush_operations", "block_flushes"},
		{"unmap_operations", "block_discards"},
		{"failed_operations", "block_errors"},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		json_put_int(o, rows[i][0], counter(dev, rows[i][1]));
}

static int query_blockstats(struct qmp *q, struct json_object *args,
			    struct json_object **ret, struct err *e)
{
	bool nodes = json_get_bool(args, "query-nodes", false), drive;
	const struct backend *b = NULL;
	struct json_object *o;

	*ret = json_object_new_array();
	while ((b = next_drive(q, b))) {
		drive = devconf_is_drive(b);
		/* A node is nobody's device, but what has it. */
		if (!nodes && !drive && !b->user)
			continue;
		o = json_add_object(*ret);
		json_put_str(o, "device", drive && !nodes ? b->id : "");
		if (!nodes)
			put_qdev(q, o, b);
		json_put_str(o, "node-name", b->id);
		put_stats(json_put_object(o, "stats"),
			  b->user ? virtio_device(b->user) : NULL);
	}
	return 0;
}

/* By the drive's or node's name, or its device's. */
static const struct backend *find_drive(struct qmp *q, struct json_object *args,
					struct err *e)
{
	static const char *const keys[] = {"device", "node-name", "id"};
	const struct devconf_device *d;
	const struct backend *b = NULL;
	const char *name = NULL;
	char path[160];
	size_t i;

	for (i = 0; !name && i < ARRAY_SIZE(keys); i++)
		name = json_get_str(args, keys[i]);
	if (!name) {
		err_set(e, -EINVAL, "Need exactly one of 'device' and '%s'",
			keys[1]);
		return NULL;
	}
	while ((b = next_drive(q, b))) {
		if (!strcmp(b->id, name))
			return b;
		d = b->user;
		if (d && (!strcmp(d->conf->id, name) ||
			  !strcmp(hotplug_path(q->control->machine, d, path,
					       sizeof(path)),
				  name)))
			return b;
	}
	err_set(e, -ENODEV, "Device '%s' not found", name);
	return NULL;
}

static int block_resize_cmd(struct qmp *q, struct json_object *args,
			    struct json_object **ret, struct err *e)
{
	const struct backend *b = find_drive(q, args, e);
	int64_t size = json_get_int(args, "size", 0);
	const struct drive *drive;

	if (!b)
		return e->code;
	if (size <= 0)
		return err_set(e, -EINVAL,
			       "Parameter 'size' expects a >0 size");
	drive = b->object;
	return b->user ? virtio_blk_resize(virtio_device(b->user),
					   (uint64_t)size, e)
		       : block_resize(drive->block, (uint64_t)size, e);
}

/* The members are called as the options of -drive are. */
static int read_limits(struct json_object *args, struct throttle_conf *c,
		       struct err *e)
{
	struct dict d = {0};
	int ret = 0;

	json_object_object_foreach(args, key, v)
	{
		if (strncmp(key, "bps", 3) && strncmp(key, "iops", 4))
			continue;
		ret = json_object_get_int64(v) < 0
			      ? err_set(e, -EINVAL, "%s is negative", key)
			      : dict_put(&d, key, json_object_get_string(v), e);
		if (ret)
			break;
	}
	if (!ret)
		ret = throttle_take(c, &d, e);
	dict_clear(&d);
	return ret;
}

static int set_throttle(struct qmp *q, struct json_object *args,
			struct json_object **ret, struct err *e)
{
	const struct backend *b = find_drive(q, args, e);
	struct throttle_conf c = {0};
	int code;

	if (!b)
		return e->code;
	code = read_limits(args, &c, e);
	if (!code)
		block_set_limits(((struct drive *)b->object)->block, &c);
	return code;
}

const struct qmp_command qmp_block_commands[] = {
	{"query-block", "", false, "[BlockInfo]", "disks", query_block},
	{"query-blockstats", "query-nodes?:bool", false, "[BlockStats]",
	 "what their devices counted", query_blockstats},
	{"query-named-block-nodes", "flat?:bool", false, "[BlockDeviceInfo]",
	 "what -drive and -blockdev opened", query_nodes},
	{"block_resize", "device?:str node-name?:str size:int", false, "",
	 "another size, which the guest is told", block_resize_cmd},
	{"block_set_io_throttle", THROTTLE_ARGS, false, "",
	 "other limits from now on", set_throttle},
	{0},
};
