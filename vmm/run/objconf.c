/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -object: what devices get their random bytes from.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/entropy.h"
#include "lib/keyval.h"
#include "vmm/devconf.h"

struct rng_backend {
	struct backend base;
	char id[PROP_NAME];
	const struct object_kind *kind;
	char filename[PROP_PATH];
};

#define FIELD(f) offsetof(struct rng_backend, f)

static const struct prop builtin_props[] = {
	{"id", PROP_TEXT, FIELD(id), 0, PROP_NAME, "", "name"},
	{0},
};

static const struct prop random_props[] = {
	{"id", PROP_TEXT, FIELD(id), 0, PROP_NAME, "", "name"},
	{"filename", PROP_TEXT, FIELD(filename), 0, PROP_PATH, "/dev/urandom",
	 "file, device or pipe"},
	{0},
};

static const struct object_kind kinds[] = {
	{"rng-random", random_props},
	{"rng-builtin", builtin_props},
};

static int rng_open(struct backend *base, struct err *e)
{
	const struct rng_backend *r = (const struct rng_backend *)base;

	base->object = entropy_open(
		r->kind->props == builtin_props ? NULL : r->filename, e);
	return base->object ? 0 : e->code;
}

static void rng_close(struct backend *base)
{
	entropy_close(base->object);
}

static const struct backend_class rng_class = {
	LINK_ENTROPY,
	"object",
	rng_open,
	rng_close,
};

const struct object_kind *devconf_object_kind(unsigned i)
{
	return i < ARRAY_SIZE(kinds) ? &kinds[i] : NULL;
}

const struct object_kind *devconf_object_of(const struct backend *b)
{
	return b->class == &rng_class ? ((const struct rng_backend *)b)->kind
				      : NULL;
}

static int print_help(const struct object_kind *k)
{
	size_t i;

	for (i = 0; !k && i < ARRAY_SIZE(kinds); i++)
		puts(kinds[i].name);
	if (k)
		prop_print(k->name, k->props);
	return 1;
}

static const struct object_kind *find_kind(const struct keyval *kv,
					   struct err *e)
{
	size_t i;

	if (!kv->bare && strcmp(kv->key, "qom-type")) {
		err_set(e, -EINVAL, "no kind given (rng-random, rng-builtin)");
		return NULL;
	}
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i].name, kv->value))
			return &kinds[i];
	err_set(e, -EINVAL, "'%s' is not one of rng-random, rng-builtin",
		kv->value);
	return NULL;
}

static int set_keys(struct rng_backend *r, const struct object_kind *k,
		    const char *arg, struct err *e)
{
	const struct prop *p;
	struct keyval kv;
	int ret;

	while ((ret = keyval_next(&arg, &kv, e)) > 0) {
		if (kv.bare && !strcmp(kv.value, "help"))
			return print_help(k);
		p = kv.bare ? NULL : prop_find(k->props, kv.key);
		if (!p)
			return err_set(e, -EINVAL,
				       "%s has no '%s' (help lists what it "
				       "has)",
				       k->name, kv.bare ? kv.value : kv.key);
		ret = prop_set(p, r, NULL, kv.value, e);
		if (ret)
			return ret;
	}
	return ret;
}

static int parse(struct rng_backend *r, const char *arg, struct err *e)
{
	const struct object_kind *k;
	struct keyval kv;
	int ret = keyval_next(&arg, &kv, e);

	if (ret <= 0)
		return ret ? ret : err_set(e, -EINVAL, "no kind given");
	if (kv.bare && !strcmp(kv.value, "help"))
		return print_help(NULL);
	k = find_kind(&kv, e);
	if (!k)
		return e->code;
	r->kind = k;
	prop_defaults(k->props, r, NULL);
	ret = set_keys(r, k, arg, e);
	if (!ret && !r->id[0])
		ret = err_set(e, -EINVAL, "id= is missing");
	strcpy(r->base.id, r->id);
	return ret;
}

int devconf_object(struct devconf *c, const char *arg, struct err *e)
{
	struct rng_backend *r = calloc(1, sizeof(*r));
	int ret;

	if (!r)
		return err_set(e, -ENOMEM, "out of memory");
	r->base.class = &rng_class;
	ret = parse(r, arg, e);
	if (!ret)
		ret = backend_add(&c->backends, &r->base, e);
	if (ret)
		free(r);
	return ret;
}
