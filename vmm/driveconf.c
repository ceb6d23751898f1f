/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -drive and -blockdev: two spellings of a disk's contents.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/block/block.h"
#include "lib/keyval.h"
#include "vmm/devconf.h"

struct drive_backend {
	struct backend base;
	char path[PROP_PATH];
	struct block_options options;
	struct drive drive;
};

/* What is needed until the option's end. */
struct parse {
	struct drive_backend *drive;
	bool device; /* if=virtio: there is a device for it as well */
	char serial[21];
	struct err *e;
};

struct key {
	const char *name;
	int (*set)(struct parse *p, const char *text);
};

static int drive_open(struct backend *base, struct err *e)
{
	struct drive_backend *d = (struct drive_backend *)base;

	d->options.path = d->path;
	d->drive.block = block_open(&d->options, e);
	if (!d->drive.block)
		return e->code;
	base->object = &d->drive;
	return 0;
}

static void drive_close(struct backend *base)
{
	block_close(((struct drive_backend *)base)->drive.block);
}

static const struct backend_class drive_class = {
	LINK_DRIVE,
	"drive",
	drive_open,
	drive_close,
};

static int copy(char *to, size_t size, const char *text, struct err *e)
{
	if (strlen(text) >= size)
		return err_set(e, -EINVAL, "'%s' is too long", text);
	strcpy(to, text);
	return 0;
}

static int set_id(struct parse *p, const char *text)
{
	return copy(p->drive->base.id, sizeof(p->drive->base.id), text, p->e);
}

static int set_path(struct parse *p, const char *text)
{
	return copy(p->drive->path, sizeof(p->drive->path), text, p->e);
}

static int set_serial(struct parse *p, const char *text)
{
	return copy(p->serial, sizeof(p->serial), text, p->e);
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
	return strcmp(text, "raw")
		       ? err_set(p->e, -EINVAL,
				 "format '%s' is not offered (raw)", text)
		       : 0;
}

static int set_file_driver(struct parse *p, const char *text)
{
	if (!strcmp(text, "file") || !strcmp(text, "host_device"))
		return 0;
	return err_set(p->e, -EINVAL,
		       "driver '%s' is not offered (file, host_device)", text);
}

static int set_driver(struct parse *p, const char *text)
{
	return strcmp(text, "raw") ? set_file_driver(p, text) : 0;
}

static int set_read_only(struct parse *p, const char *text)
{
	return keyval_bool(text, &p->drive->options.read_only, p->e);
}

static int set_discard(struct parse *p, const char *text)
{
	p->drive->options.unmap = !strcmp(text, "unmap") || !strcmp(text, "on");
	if (p->drive->options.unmap || !strcmp(text, "ignore") ||
	    !strcmp(text, "off"))
		return 0;
	return err_set(p->e, -EINVAL, "discard=%s is neither unmap nor ignore",
		       text);
}

static int set_cache(struct parse *p, const char *text)
{
	p->drive->drive.write_through = !strcmp(text, "writethrough");
	p->drive->options.no_flush = !strcmp(text, "unsafe");
	if (p->drive->drive.write_through || p->drive->options.no_flush ||
	    !strcmp(text, "writeback"))
		return 0;
	return err_set(p->e, -EINVAL,
		       "cache=%s is not offered (writeback, writethrough, "
		       "unsafe)",
		       text);
}

static int set_no_flush(struct parse *p, const char *text)
{
	return keyval_bool(text, &p->drive->options.no_flush, p->e);
}

static int set_locking(struct parse *p, const char *text)
{
	if (!strcmp(text, "auto")) {
		p->drive->options.share = false;
		return 0;
	}
	if (keyval_bool(text, &p->drive->options.share, NULL))
		return err_set(p->e, -EINVAL,
			       "locking=%s is not on, off or auto", text);
	p->drive->options.share = !p->drive->options.share;
	return 0;
}

static int set_share(struct parse *p, const char *text)
{
	return keyval_bool(text, &p->drive->options.share, p->e);
}

static int set_errors(struct parse *p, const char *text, bool *hide)
{
	*hide = !strcmp(text, "ignore");
	return *hide || !strcmp(text, "report")
		       ? 0
		       : err_set(p->e, -EINVAL,
				 "error policy '%s' is not offered (report, "
				 "ignore)",
				 text);
}

static int set_werror(struct parse *p, const char *text)
{
	return set_errors(p, text, &p->drive->drive.hide_write_errors);
}

static int set_rerror(struct parse *p, const char *text)
{
	return set_errors(p, text, &p->drive->drive.hide_read_errors);
}

static const struct key drive_keys[] = {
	{"file", set_path},
	{"id", set_id},
	{"if", set_if},
	{"format", set_format},
	{"readonly", set_read_only},
	{"read-only", set_read_only},
	{"discard", set_discard},
	{"cache", set_cache},
	{"serial", set_serial},
	{"werror", set_werror},
	{"rerror", set_rerror},
	{"file.locking", set_locking},
	{"share-rw", set_share},
	{0},
};

static const struct key blockdev_keys[] = {
	{"driver", set_driver},
	{"node-name", set_id},
	{"filename", set_path},
	{"file.filename", set_path},
	{"file.driver", set_file_driver},
	{"file.locking", set_locking},
	{"locking", set_locking},
	{"read-only", set_read_only},
	{"discard", set_discard},
	{"cache.no-flush", set_no_flush},
	{0},
};

static int parse_keys(struct parse *p, const struct key *keys, const char *arg)
{
	const struct key *k;
	struct keyval kv;
	int ret;

	while ((ret = keyval_next(&arg, &kv, p->e)) > 0) {
		for (k = keys; k->name && strcmp(k->name, kv.key); k++)
			;
		if (kv.bare && !strcmp(kv.value, "help")) {
			for (k = keys; k->name; k++)
				puts(k->name);
			return 1;
		}
		if (!k->name || kv.bare)
			return err_set(p->e, -EINVAL, "'%s' is not offered",
				       kv.bare ? kv.value : kv.key);
		ret = k->set(p, kv.value);
		if (ret)
			return ret;
	}
	return ret;
}

static int begin(struct parse *p, struct err *e)
{
	*p = (struct parse){.e = e};
	p->drive = calloc(1, sizeof(*p->drive));
	if (!p->drive)
		return err_set(e, -ENOMEM, "out of memory");
	p->drive->base.class = &drive_class;
	return 0;
}

/* The drive is @c's from here on, or freed when @ret or anything is wrong. */
static int finish(struct devconf *c, struct parse *p, int ret,
		  const char *path_key)
{
	if (!ret && !p->drive->path[0])
		ret = err_set(p->e, -EINVAL, "%s= is missing", path_key);
	if (!ret)
		ret = backend_add(&c->backends, &p->drive->base, p->e);
	if (ret)
		free(p->drive);
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
	int ret = begin(&p, e);

	if (ret)
		return ret;
	p.device = true;
	ret = parse_keys(&p, drive_keys, arg);
	if (!p.drive->base.id[0])
		make_id(c, p.drive->base.id, sizeof(p.drive->base.id));
	ret = finish(c, &p, ret, "file");
	return !ret && p.device ? add_device(c, &p) : ret;
}

int devconf_blockdev(struct devconf *c, const char *arg, struct err *e)
{
	struct parse p;
	int ret = begin(&p, e);

	if (ret)
		return ret;
	ret = parse_keys(&p, blockdev_keys, arg);
	if (!ret && !p.drive->base.id[0])
		ret = err_set(e, -EINVAL, "node-name= is missing");
	return finish(c, &p, ret, "filename");
}
