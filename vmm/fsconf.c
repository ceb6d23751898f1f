/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -fsdev and -virtfs: a directory, and a directory with its device.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/p9/p9.h"
#include "lib/keyval.h"
#include "vmm/devconf.h"

struct fs_backend {
	struct backend base;
	char id[PROP_NAME];
	char path[PROP_PATH];
	unsigned security; /* an enum p9_security, one more; 0: not said */
	bool read_only;
	char tag[PROP_NAME]; /* -virtfs */
};

#define FIELD(f) offsetof(struct fs_backend, f)

static const char *const models[] = {
	"", "none", "passthrough", "mapped-xattr", "mapped", NULL,
};

static const struct prop fs_props[] = {
	{"id", PROP_TEXT, FIELD(id), 0, PROP_NAME, "", "name"},
	{"path", PROP_TEXT, FIELD(path), 0, PROP_PATH, "", "the directory"},
	{"security_model", PROP_CHOICE, FIELD(security), 0, 0, "",
	 "whose the files are", models},
	{"readonly", PROP_BOOL, FIELD(read_only), 0, 0, "off",
	 "nothing can be changed"},
	{"mount_tag", PROP_TEXT, FIELD(tag), 0, PROP_NAME, "",
	 "-virtfs: the name the guest mounts it by"},
	{0},
};

static int fs_open(struct backend *base, struct err *e)
{
	const struct fs_backend *f = (const struct fs_backend *)base;
	const struct p9_options o = {
		.path = f->path,
		.security = f->security <= 1   ? P9_NONE
			    : f->security == 2 ? P9_PASSTHROUGH
					       : P9_MAPPED,
		.read_only = f->read_only,
	};

	base->object = p9_export_open(&o, e);
	return base->object ? 0 : e->code;
}

static void fs_close(struct backend *base)
{
	p9_export_close(base->object);
}

static const struct backend_class fs_class = {
	LINK_FS,
	"fsdev",
	fs_open,
	fs_close,
};

static int parse(struct fs_backend *f, const char *arg, struct err *e)
{
	const struct prop *p;
	struct keyval kv;
	int ret = keyval_next(&arg, &kv, e);

	if (ret <= 0 || !kv.bare)
		return ret < 0 ? ret
			       : err_set(e, -EINVAL, "no kind given (local)");
	if (!strcmp(kv.value, "help")) {
		prop_print("local", fs_props);
		return 1;
	}
	if (strcmp(kv.value, "local"))
		return err_set(e, -EINVAL, "'%s' is not offered (local)",
			       kv.value);
	while ((ret = keyval_next(&arg, &kv, e)) > 0) {
		p = prop_find(fs_props, kv.key);
		if (!p || kv.bare)
			return err_set(e, -EINVAL,
				       "local has no '%s' (help lists what it "
				       "has)",
				       kv.bare ? kv.value : kv.key);
		ret = prop_set(p, f, NULL, kv.value, e);
		if (ret)
			return ret;
	}
	if (!ret && !f->path[0])
		return err_set(e, -EINVAL, "path= is missing");
	/* As QEMU: who may change files says as whom. */
	if (!ret && !f->security && !f->read_only)
		return err_set(e, -EINVAL,
			       "security_model= is missing (none, passthrough, "
			       "mapped-xattr)");
	return ret;
}

static struct fs_backend *begin(struct err *e)
{
	struct fs_backend *f = calloc(1, sizeof(*f));

	if (!f) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	f->base.class = &fs_class;
	prop_defaults(fs_props, f, NULL);
	return f;
}

static int finish(struct devconf *c, struct fs_backend *f, int ret,
		  struct err *e)
{
	strcpy(f->base.id, f->id);
	if (!ret && !f->id[0])
		ret = err_set(e, -EINVAL, "id= is missing");
	if (!ret)
		ret = backend_add(&c->backends, &f->base, e);
	if (ret)
		free(f);
	return ret;
}

int devconf_fsdev(struct devconf *c, const char *arg, struct err *e)
{
	struct fs_backend *f = begin(e);
	int ret;

	if (!f)
		return e->code;
	ret = parse(f, arg, e);
	if (!ret && f->tag[0])
		ret = err_set(e, -EINVAL, "mount_tag= is the device's");
	return finish(c, f, ret, e);
}

/* The device as -device would make it. */
static int add_device(struct devconf *c, const struct fs_backend *f,
		      struct err *e)
{
	struct devconf_device *d = devconf_new("virtio-9p", e);
	int ret;

	if (!d)
		return e->code;
	ret = devconf_set(d, "fsdev", f->base.id, e);
	if (!ret)
		ret = devconf_set(d, "mount_tag", f->tag, e);
	if (!ret)
		ret = devconf_add(c, d, e);
	if (ret)
		devconf_free(d);
	return ret;
}

int devconf_virtfs(struct devconf *c, const char *arg, struct err *e)
{
	struct fs_backend *f = begin(e);
	unsigned n = 0;
	int ret;

	if (!f)
		return e->code;
	ret = parse(f, arg, e);
	if (!ret && !f->tag[0])
		ret = err_set(e, -EINVAL, "mount_tag= is missing");
	while (!f->id[0] || backend_find(&c->backends, LINK_FS, f->id))
		snprintf(f->id, sizeof(f->id), "fsdev%u", n++);
	ret = finish(c, f, ret, e);
	return ret ? ret : add_device(c, f, e);
}
