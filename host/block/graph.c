/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From options to nodes: which driver, which children, which format an image
 * is in when nobody says.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "host/block/node.h"
#include "lib/keyval.h"
#include "lib/log.h"

#define HEAD 512 /* bytes that tell a format */

static const struct node_driver *const drivers[] = {
	&node_raw, &node_qcow2, &node_file, &node_host_device, &node_nbd,
};

static const struct {
	const char *format;
	const char *magic;
	unsigned len;
} magics[] = {
	{"qcow2", "QFI\xfb", 4},
	{"qed", "QED\0", 4},
	{"vmdk", "KDMV", 4},
	{"vmdk", "COWD", 4},
	{"vmdk", "# Disk DescriptorFile", 21},
	{"vhdx", "vhdxfile", 8},
	{"vpc", "conectix", 8},
	{"luks", "LUKS\xba\xbe", 6},
	{"parallels", "WithoutFreeSpace", 16},
	{"parallels", "WithouFreSpacExt", 16},
	{"vdi", "<<< Oracle VM VirtualBox Disk Image >>>", 39},
	{"vdi", "<<< innotek VirtualBox Disk Image >>>", 37},
	{"cloop", "#!/bin/sh\n#V2.0 Format", 22},
};

const char *node_probe(const uint8_t *head, size_t len)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(magics); i++)
		if (len >= magics[i].len &&
		    !memcmp(head, magics[i].magic, magics[i].len))
			return magics[i].format;
	return NULL;
}

static const struct node_driver *find_driver(const char *name, struct err *e)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(drivers); i++)
		if (!strcmp(drivers[i]->name, name))
			return drivers[i];
	err_set(e, -EINVAL,
		"'%s' is not offered (raw, qcow2, file, host_device, nbd)",
		name);
	return NULL;
}

/* ---- names ---- */

static const char *protocol_end(const char *name)
{
	const char *p = name;

	while ((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') ||
	       *p == '+' || *p == '_')
		p++;
	return p > name && *p == ':' ? p : NULL;
}

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static int put_file(struct dict *d, const char *path, struct err *e)
{
	struct stat st;
	bool device = !stat(path, &st) && S_ISBLK(st.st_mode);
	int ret = dict_put(d, "filename", path, e);

	if (ret || dict_get(d, "driver"))
		return ret;
	return dict_put(d, "driver", device ? "host_device" : "file", e);
}

int node_parse_name(struct dict *d, const char *name, struct err *e)
{
	const char *end = protocol_end(name);
	struct stat st;
	int ret;

	if (begins(name, "json:"))
		return dict_put_json(d, name + 5, e);
	if (begins(name, "nbd:") || begins(name, "nbd+") ||
	    begins(name, "nbds:") || begins(name, "nbds+")) {
		ret = dict_put(d, "uri", name, e);
		return ret ? ret : dict_put(d, "driver", "nbd", e);
	}
	if (begins(name, "file:"))
		return put_file(d, name + 5, e);
	if (begins(name, "host_device:"))
		return put_file(d, name + 12, e);
	if (end && stat(name, &st))
		return err_set(e, -EINVAL,
			       "%.*s: is not offered (a path, file:, nbd:, "
			       "nbd+unix:, json:)",
			       (int)(end - name), name);
	return put_file(d, name, e);
}

/* ---- children ---- */

static struct node *use_named(struct node_open *o, const char *name,
			      struct err *e)
{
	struct node *n = node_find(o->list, name);

	if (!n) {
		err_set(e, -ENOENT, "there is no node '%s' (yet)", name);
		return NULL;
	}
	if (!o->read_only && n->read_only) {
		err_set(e, -EACCES, "node '%s' is read-only", name);
		return NULL;
	}
	if (!o->read_only && n->written) {
		err_set(e, -EBUSY, "node '%s' has one that writes to it", name);
		return NULL;
	}
	n->written |= !o->read_only;
	return node_get(n);
}

/* What is said of @key: "key.*", and for the file its name alone as well. */
static int child_options(struct node_open *o, const char *key, struct dict *out,
			 struct err *e)
{
	const char *name;
	int ret = dict_split(o->dict, key, out, e);

	if (ret)
		return ret;
	if (!strcmp(key, "file") && !dict_get(out, "filename")) {
		name = dict_take(o->dict, "filename");
		if (name)
			ret = dict_put(out, "filename", name, e);
	}
	return ret;
}

/* A file without driver is found by its name, never probed. */
static int resolve_name(struct dict *d, struct err *e)
{
	const char *name = dict_get(d, "filename");
	char *copy;
	int ret;

	if (dict_get(d, "driver") || !name)
		return 0;
	copy = strdup(dict_take(d, "filename"));
	if (!copy)
		return err_set(e, -ENOMEM, "out of memory");
	ret = node_parse_name(d, copy, e);
	free(copy);
	return ret;
}

struct node *node_open_child(struct node_open *o, const char *key,
			     struct err *e)
{
	bool file = !strcmp(key, "file");
	struct node_open child = *o;
	struct dict options = {0};
	struct node *n = o->file;
	const char *name;

	if (file && n) {
		o->file = NULL;
		return n;
	}
	name = dict_take(o->dict, key);
	if (name)
		return name[0] ? use_named(o, name, e) : NULL;
	n = NULL;
	child.dict = &options;
	child.probed = false;
	child.zeroes = false;
	child.file = NULL;
	child.depth++;
	if (!child_options(o, key, &options, e) && options.count &&
	    (!file || !resolve_name(&options, e)))
		n = node_open(&child, e);
	if (!n && options.count && !e->code)
		err_set(e, -EINVAL, "cannot open its %s", key);
	if (n && child.read_only && !o->read_only && file)
		o->read_only = true;
	dict_clear(&options);
	return n;
}

/* ---- one node ---- */

static int take_discard(struct node_open *o, struct err *e)
{
	const char *text = dict_take(o->dict, "discard");

	if (!text)
		return 0;
	o->unmap = !strcmp(text, "unmap") || !strcmp(text, "on");
	if (o->unmap || !strcmp(text, "ignore") || !strcmp(text, "off"))
		return 0;
	return err_set(e, -EINVAL, "discard=%s is neither unmap nor ignore",
		       text);
}

static int take_zeroes(struct node_open *o, struct err *e)
{
	const char *text = dict_take(o->dict, "detect-zeroes");

	if (!text)
		return 0;
	o->zeroes = strcmp(text, "off");
	if (!o->zeroes || !strcmp(text, "on"))
		return 0;
	if (strcmp(text, "unmap"))
		return err_set(e, -EINVAL,
			       "detect-zeroes=%s is not off, on or unmap",
			       text);
	return o->unmap ? 0
			: err_set(e, -EINVAL,
				  "detect-zeroes=unmap needs discard=unmap");
}

/* What every driver has. */
static int take_common(struct node_open *o, struct err *e)
{
	int ret = dict_take_bool(o->dict, "read-only", &o->read_only, e);

	if (!ret)
		ret = dict_take_bool(o->dict, "auto-read-only",
				     &o->auto_read_only, e);
	if (!ret)
		ret = dict_take_bool(o->dict, "cache.direct", &o->direct, e);
	if (!ret)
		ret = dict_take_bool(o->dict, "cache.no-flush", &o->no_flush,
				     e);
	if (!ret)
		ret = dict_take_bool(o->dict, "force-share", &o->share, e);
	if (!ret && o->share && !o->read_only &&
	    dict_get(o->dict, "force-share"))
		ret = err_set(e, -EINVAL, "force-share=on needs read-only=on");
	if (!ret)
		ret = take_discard(o, e);
	return ret ? ret : take_zeroes(o, e);
}

/* The driver nobody named, over the file that is then open in @o. */
static const struct node_driver *guess(struct node_open *o, struct err *e)
{
	uint8_t head[HEAD] = {0};
	struct node *f = node_open_child(o, "file", e);
	const char *format;
	int ret;

	if (!f) {
		err_set(e, -EINVAL, "driver= is missing");
		return NULL;
	}
	o->file = f;
	ret = node_pread(f, 0, head, (size_t)MIN(f->size, sizeof(head)));
	if (ret) {
		err_set(e, ret, "cannot read its first bytes: %s",
			strerror(-ret));
		return NULL;
	}
	format = node_probe(head, sizeof(head));
	if (!format) {
		o->probed = true;
		return &node_raw;
	}
	if (strcmp(format, "qcow2")) {
		err_set(e, -ENOTSUP,
			"it looks like a %s image, which is not offered; "
			"format=raw takes it as it is",
			format);
		return NULL;
	}
	return &node_qcow2;
}

static int set_name(struct node *n, struct node_open *o, const char *name,
		    struct err *e)
{
	if (strlen(name) >= sizeof(n->name))
		return err_set(e, -EINVAL, "node-name '%s' is too long", name);
	if (node_find(o->list, name))
		return err_set(e, -EEXIST, "a second node '%s'", name);
	strcpy(n->name, name);
	return 0;
}

static void enlist(struct node *n, struct node_list *list)
{
	n->list = list;
	n->next = list->first;
	list->first = n;
}

static int open_with(struct node *n, struct node_open *o, struct err *e)
{
	const char *left;
	int ret = n->driver->open(n, o, e);

	if (ret)
		return ret;
	n->read_only |= o->read_only;
	if (n->file) {
		n->aio = n->file->aio;
		if (n->file->path)
			n->path = strdup(n->file->path);
	}
	left = dict_left(o->dict);
	return left ? err_set(e, -EINVAL, "%s has no option '%s'",
			      n->driver->name, left)
		    : 0;
}

static struct node *open_node(struct node_open *o, struct err *e)
{
	const char *name = dict_take(o->dict, "node-name");
	const char *driver = dict_take(o->dict, "driver");
	struct node *n = calloc(1, sizeof(*n));
	int ret;

	if (!n) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	n->refs = 1;
	n->align = 1;
	ret = take_common(o, e);
	if (!ret) {
		n->driver = driver ? find_driver(driver, e) : guess(o, e);
		ret = n->driver ? 0 : e->code;
	}
	n->unmap = o->unmap;
	n->direct = o->direct;
	n->no_flush = o->no_flush;
	n->zeroes = o->zeroes;
	n->read_only = o->read_only;
	if (!ret && name)
		ret = set_name(n, o, name, e);
	if (!ret)
		ret = open_with(n, o, e);
	if (!ret && n->name[0])
		enlist(n, o->list);
	if (!ret)
		return n;
	if (n->driver)
		node_put(n);
	else
		free(n);
	return NULL;
}

struct node *node_open(struct node_open *o, struct err *e)
{
	struct node *n;

	if (o->depth > NODE_DEPTH) {
		err_set(e, -ELOOP, "more than %d images behind each other",
			NODE_DEPTH);
		return NULL;
	}
	n = open_node(o, e);
	node_put(o->file); /* of a guess that came to nothing */
	o->file = NULL;
	return n;
}
