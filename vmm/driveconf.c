/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -drive and -blockdev: two spellings of a disk's contents. What is said of
 * the device is taken here; the rest is the nodes' (host/block/node.h), who
 * complain of what they do not know when the disk is opened.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/block/block.h"
#include "host/block/dict.h"
#include "lib/keyval.h"
#include "vmm/devconf.h"

#define TELL_SECONDS 1

struct drive_backend {
	struct backend base;
	struct devconf *conf;
	struct dict node;
	struct block_options options;
	struct drive drive;
	bool is_drive;  /* -drive's */
	bool ours;      /* ... which -snapshot means */
	time_t told[2]; /* when, of failed reads and writes */
};

/* What is needed until the option's end. */
struct parse {
	struct drive_backend *drive;
	bool device;   /* if=virtio: there is a device for it as well */
	bool snapshot; /* it was said whether it is one */
	char serial[21];
	struct err *e;
};

struct key {
	const char *name;
	int (*set)(struct parse *p, const char *text);
	const char *help;
};

/* ---- the backend ---- */

/*
 * A guest may go on to cause errors for ever: those that do not stop it are
 * told of once a second.
 */
static bool told_of(struct drive_backend *d, bool write)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (d->told[write] && now.tv_sec < d->told[write] + TELL_SECONDS)
		return true;
	d->told[write] = now.tv_sec;
	return false;
}

static void drive_failed(void *ctx, bool write, int code,
			 enum block_on_error action)
{
	static const char *const names[] = {
		[BLOCK_REPORT] = "report",
		[BLOCK_IGNORE] = "ignore",
		[BLOCK_STOP] = "stop",
	};
	struct drive_backend *d = ctx;

	if (!d->conf->io_error)
		return;
	if (action == BLOCK_STOP || !told_of(d, write))
		d->conf->io_error(d->conf->io_ctx, d->base.id, write, code,
				  names[action]);
}

/* Opened once; what is in the options is used up. */
static int drive_open(struct backend *base, struct err *e)
{
	struct drive_backend *d = (struct drive_backend *)base;

	d->options.node = &d->node;
	d->options.list = &d->conf->nodes;
	d->drive.block = block_open(&d->options, e);
	if (!d->drive.block)
		return e->code;
	d->drive.failed = drive_failed;
	d->drive.ctx = d;
	base->object = &d->drive;
	return 0;
}

static void drive_close(struct backend *base)
{
	block_close(((struct drive_backend *)base)->drive.block);
}

static void drive_free(struct backend *base)
{
	dict_clear(&((struct drive_backend *)base)->node);
}

static const struct backend_class drive_class = {
	.kind = LINK_DRIVE,
	.what = "drive",
	.open = drive_open,
	.close = drive_close,
	.free = drive_free,
};

/* ---- keys of the device's half ---- */

static int put(struct parse *p, const char *key, const char *text)
{
	return dict_put(&p->drive->node, key, text, p->e);
}

static int set_id(struct parse *p, const char *text)
{
	char *id = p->drive->base.id;

	if (strlen(text) >= sizeof(p->drive->base.id))
		return err_set(p->e, -EINVAL, "'%s' is too long", text);
	strcpy(id, text);
	return 0;
}

static int set_file(struct parse *p, const char *text)
{
	if (!strncmp(text, "json:", 5))
		return dict_put_json(&p->drive->node, text + 5, p->e);
	return put(p, "file.filename", text);
}

static int set_serial(struct parse *p, const char *text)
{
	if (strlen(text) >= sizeof(p->serial))
		return err_set(p->e, -EINVAL, "serial '%s' is too long", text);
	strcpy(p->serial, text);
	return 0;
}

static int set_if(struct parse *p, const char *text)
{
	p->device = !strcmp(text, "virtio");
	return p->device || !strcmp(text, "none")
		       ? 0
		       : err_set(p->e, -EINVAL,
				 "if=%s is not offered (virtio, none)", text);
}

static int set_format(struct parse *p, const char *text)
{
	return put(p, "driver", text);
}

static int set_media(struct parse *p, const char *text)
{
	if (!strcmp(text, "disk"))
		return 0;
	return strcmp(text, "cdrom")
		       ? err_set(p->e, -EINVAL,
				 "media=%s is neither disk nor cdrom", text)
		       : put(p, "read-only", "on");
}

static int set_read_only(struct parse *p, const char *text)
{
	return put(p, "read-only", text);
}

static int set_cache(struct parse *p, const char *text)
{
	static const struct {
		const char *name;
		const char *direct, *no_flush;
		bool write_through;
	} modes[] = {
		{"writeback", "off", "off", false},
		{"none", "on", "off", false},
		{"writethrough", "off", "off", true},
		{"directsync", "on", "off", true},
		{"unsafe", "off", "on", false},
	};
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(modes); i++)
		if (!strcmp(text, modes[i].name))
			break;
	if (i == ARRAY_SIZE(modes))
		return err_set(p->e, -EINVAL,
			       "cache=%s is not offered (writeback, none, "
			       "writethrough, directsync, unsafe)",
			       text);
	p->drive->drive.write_through = modes[i].write_through;
	ret = put(p, "cache.direct", modes[i].direct);
	return ret ? ret : put(p, "cache.no-flush", modes[i].no_flush);
}

static int set_writeback(struct parse *p, const char *text)
{
	bool on = true;
	int ret = keyval_bool(text, &on, p->e);

	p->drive->drive.write_through = !on;
	return ret;
}

static int set_aio(struct parse *p, const char *text)
{
	return put(p, "file.aio", text);
}

static int set_share(struct parse *p, const char *text)
{
	return keyval_bool(text, &p->drive->options.share, p->e);
}

static int set_snapshot(struct parse *p, const char *text)
{
	p->snapshot = true;
	return keyval_bool(text, &p->drive->options.snapshot, p->e);
}

static int set_werror(struct parse *p, const char *text)
{
	return block_on_error("werror", text, true, &p->drive->drive.werror,
			      p->e);
}

static int set_rerror(struct parse *p, const char *text)
{
	return block_on_error("rerror", text, false, &p->drive->drive.rerror,
			      p->e);
}

static const struct key drive_keys[] = {
	{"file", set_file, "path, nbd:..., nbd+unix:..., json:{...}"},
	{"id", set_id, "name for -device"},
	{"if", set_if, "virtio: with a device, none (virtio)"},
	{"format", set_format, "raw, qcow2 (looked up in the file)"},
	{"media", set_media, "disk, cdrom: read-only (disk)"},
	{"readonly", set_read_only, "on, off (off)"},
	{"cache", set_cache,
	 "writeback, none, writethrough, directsync, unsafe (writeback)"},
	{"cache.writeback", set_writeback, "the guest flushes (on)"},
	{"aio", set_aio, "threads, native, io_uring"},
	{"snapshot", set_snapshot, "forget what is written (off)"},
	{"serial", set_serial, "of the device"},
	{"werror", set_werror, "report, ignore, stop, enospc (enospc)"},
	{"rerror", set_rerror, "report, ignore, stop (report)"},
	{"share-rw", set_share, "others may write as well (off)"},
	{0},
};

static const struct key blockdev_keys[] = {
	{"node-name", set_id, "name for -device and other nodes"},
	{0},
};

/* Those that the nodes take. */
static void print_node_keys(void)
{
	puts("read-only=<bool>, discard=unmap|ignore, detect-zeroes=on|off|"
	     "unmap\n"
	     "cache.direct=<bool>, cache.no-flush=<bool>, "
	     "auto-read-only=<bool>\n"
	     "driver=raw: file, offset, size\n"
	     "driver=qcow2: file, backing, l2-cache-size, "
	     "refcount-cache-size\n"
	     "driver=file, host_device: filename, locking=on|off|auto, aio\n"
	     "driver=nbd: uri, or server.type=unix|inet, server.path, "
	     "server.host,\n"
	     "  server.port, export; reconnect-delay=SECONDS\n"
	     "KEY.NAME=VALUE is said of the node below, as file.locking=off");
}

static int print_help(const struct key *keys)
{
	for (; keys->name; keys++)
		printf("%s=  %s\n", keys->name, keys->help);
	print_node_keys();
	return 1;
}

static int set_one(struct parse *p, const struct key *keys, const char *name,
		   const char *text)
{
	for (; keys->name; keys++)
		if (!strcmp(keys->name, name))
			return keys->set(p, text);
	return put(p, name, text);
}

static int parse_keys(struct parse *p, const struct key *keys, const char *arg)
{
	struct keyval kv;
	int ret;

	while ((ret = keyval_next(&arg, &kv, p->e)) > 0) {
		if (kv.bare && !strcmp(kv.value, "help"))
			return print_help(keys);
		if (kv.bare)
			return err_set(p->e, -EINVAL, "'%s' is not KEY=VALUE",
				       kv.value);
		ret = set_one(p, keys, kv.key, kv.value);
		if (ret)
			return ret;
	}
	return ret;
}

/* ---- an entry ---- */

static int begin(struct devconf *c, struct parse *p, struct err *e)
{
	*p = (struct parse){.e = e};
	p->drive = calloc(1, sizeof(*p->drive));
	if (!p->drive)
		return err_set(e, -ENOMEM, "out of memory");
	p->drive->conf = c;
	p->drive->drive.werror = BLOCK_ENOSPC;
	p->drive->base.class = &drive_class;
	return 0;
}

static bool says_file(const struct dict *d)
{
	return dict_get(d, "file.filename") || dict_get(d, "file.driver") ||
	       dict_get(d, "file") || dict_get(d, "filename") ||
	       dict_get(d, "driver");
}

/* The drive is @c's from here on, or freed when @ret or anything is wrong. */
static int finish(struct devconf *c, struct parse *p, int ret)
{
	if (!ret && !says_file(&p->drive->node))
		ret = err_set(p->e, -EINVAL, "%s= is missing",
			      p->drive->is_drive ? "file" : "driver");
	if (!ret)
		ret = throttle_take(&p->drive->options.throttle,
				    &p->drive->node, p->e);
	if (!ret)
		ret = backend_add(&c->backends, &p->drive->base, p->e);
	if (ret) {
		dict_clear(&p->drive->node);
		free(p->drive);
	}
	return ret;
}

/* if=virtio: a device as -device would make it. */
static int add_device(struct devconf *c, struct parse *p)
{
	struct devconf_device *d = devconf_new("virtio-blk", p->e);
	int ret;

	if (!d)
		return p->e->code;
	ret = devconf_set(d, "drive", p->drive->base.id, p->e);
	if (!ret)
		ret = devconf_set(d, "serial", p->serial, p->e);
	if (!ret)
		ret = devconf_add(c, d, p->e);
	if (ret)
		devconf_free(d);
	return ret;
}

/* As QEMU names what has no name. */
static void make_id(const struct devconf *c, char *id, size_t size)
{
	unsigned n = 0;

	do {
		snprintf(id, size, "virtio%u", n++);
	} while (backend_find(&c->backends, LINK_DRIVE, id));
}

int devconf_drive(struct devconf *c, const char *arg, struct err *e)
{
	struct parse p;
	int ret = begin(c, &p, e);

	if (ret)
		return ret;
	p.device = true;
	ret = parse_keys(&p, drive_keys, arg);
	if (!p.drive->base.id[0])
		make_id(c, p.drive->base.id, sizeof(p.drive->base.id));
	p.drive->is_drive = true;
	p.drive->ours = !p.snapshot;
	ret = finish(c, &p, ret);
	return !ret && p.device ? add_device(c, &p) : ret;
}

int devconf_blockdev(struct devconf *c, const char *arg, struct err *e)
{
	struct parse p;
	const char *name;
	int ret = begin(c, &p, e);

	if (ret)
		return ret;
	if (arg[0] == '{') {
		ret = dict_put_json(&p.drive->node, arg, e);
		name = dict_get(&p.drive->node, "node-name");
		if (!ret && name)
			ret = set_id(&p, name);
	} else {
		ret = parse_keys(&p, blockdev_keys, arg);
		if (!ret && p.drive->base.id[0])
			ret = put(&p, "node-name", p.drive->base.id);
	}
	if (!ret && !p.drive->base.id[0])
		ret = err_set(e, -EINVAL, "node-name= is missing");
	return finish(c, &p, ret);
}

bool devconf_is_drive(const struct backend *b)
{
	return b->class->kind == LINK_DRIVE &&
	       ((const struct drive_backend *)b)->is_drive;
}

void devconf_snapshot(struct devconf *c)
{
	struct drive_backend *d;
	struct backend *b;

	for (b = c->backends.first; b; b = b->next) {
		d = (struct drive_backend *)b;
		if (b->class == &drive_class && d->ours)
			d->options.snapshot = true;
	}
}
