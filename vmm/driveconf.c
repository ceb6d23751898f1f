/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -drive and -blockdev: two spellings of a disk's contents.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/devconf.h"

/* What is needed until the option's end. */
struct parse {
	struct devconf_drive *drive;
	bool device; /* if=virtio: there is a device for it as well */
	char serial[21];
	struct err *e;
};

struct key {
	const char *name;
	int (*set)(struct parse *p, const char *text);
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
	return copy(p->drive->id, sizeof(p->drive->id), text, p->e);
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
	return keyval_bool(text, &p->drive->read_only, p->e);
}

static int set_discard(struct parse *p, const char *text)
{
	p->drive->unmap = !strcmp(text, "unmap") || !strcmp(text, "on");
	if (p->drive->unmap || !strcmp(text, "ignore") || !strcmp(text, "off"))
		return 0;
	return err_set(p->e, -EINVAL, "discard=%s is neither unmap nor ignore",
		       text);
}

static int set_cache(struct parse *p, const char *text)
{
	p->drive->write_through = !strcmp(text, "writethrough");
	p->drive->no_flush = !strcmp(text, "unsafe");
	if (p->drive->write_through || p->drive->no_flush ||
	    !strcmp(text, "writeback"))
		return 0;
	return err_set(p->e, -EINVAL,
		       "cache=%s is not offered (writeback, writethrough, "
		       "unsafe)",
		       text);
}

static int set_no_flush(struct parse *p, const char *text)
{
	return keyval_bool(text, &p->drive->no_flush, p->e);
}

static int set_locking(struct parse *p, const char *text)
{
	if (!strcmp(text, "auto")) {
		p->drive->share = false;
		return 0;
	}
	if (keyval_bool(text, &p->drive->share, NULL))
		return err_set(p->e, -EINVAL,
			       "locking=%s is not on, off or auto", text);
	p->drive->share = !p->drive->share;
	return 0;
}

static int set_share(struct parse *p, const char *text)
{
	return keyval_bool(text, &p->drive->share, p->e);
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
	return set_errors(p, text, &p->drive->hide_write_errors);
}

static int set_rerror(struct parse *p, const char *text)
{
	return set_errors(p, text, &p->drive->hide_read_errors);
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

/* Begin an entry; it counts from finish() on. */
static int begin(struct devconf *c, struct parse *p, struct err *e)
{
	*p = (struct parse){.e = e};
	if (c->drives == DEVCONF_MAX)
		return err_set(e, -ENOSPC, "more than %d drives", DEVCONF_MAX);
	p->drive = &c->drive[c->drives];
	*p->drive = (struct devconf_drive){0};
	return 0;
}

static int finish(struct devconf *c, struct parse *p, const char *path_key)
{
	if (!p->drive->path[0])
		return err_set(p->e, -EINVAL, "%s= is missing", path_key);
	if (devconf_find_drive(c, p->drive->id) >= 0)
		return err_set(p->e, -EINVAL, "a second '%s'", p->drive->id);
	c->drives++;
	return 0;
}

/* if=virtio: a device as -device would make it. */
static int add_device(struct devconf *c, struct parse *p)
{
	struct devconf_device *d = &c->device[c->devices];
	int ret = devconf_device(c, "virtio-blk", p->e);

	if (ret)
		return ret;
	strcpy(d->backend, p->drive->id);
	strcpy(d->serial, p->serial);
	return 0;
}

int devconf_drive(struct devconf *c, const char *arg, struct err *e)
{
	struct parse p;
	int ret = begin(c, &p, e);

	p.device = true;
	if (!ret)
		ret = parse_keys(&p, drive_keys, arg);
	if (ret)
		return ret;
	if (!p.drive->id[0])
		snprintf(p.drive->id, sizeof(p.drive->id), "virtio%u",
			 c->drives);
	ret = finish(c, &p, "file");
	return !ret && p.device ? add_device(c, &p) : ret;
}

int devconf_blockdev(struct devconf *c, const char *arg, struct err *e)
{
	struct parse p;
	int ret = begin(c, &p, e);

	if (!ret)
		ret = parse_keys(&p, blockdev_keys, arg);
	if (ret)
		return ret;
	if (!p.drive->id[0])
		return err_set(e, -EINVAL, "node-name= is missing");
	return finish(c, &p, "filename");
}
