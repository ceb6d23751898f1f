/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/fwconf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (256U << 20)

static int set_name(struct fwconf_item *it, const char *name, struct err *e)
{
	if (!*name || strlen(name) >= sizeof(it->name))
		return err_set(e, -EINVAL,
			       "a name has 1 to %zu bytes, '%s' has %zu",
			       sizeof(it->name) - 1, name, strlen(name));
	strcpy(it->name, name);
	return 0;
}

static int set_word(struct fwconf_item *it, const struct keyval *kv, bool first,
		    bool *valued, struct err *e)
{
	bool is_file = !strcmp(kv->key, "file");

	if (kv->bare ? first : !strcmp(kv->key, "name"))
		return set_name(it, kv->value, e);
	if (kv->bare || (!is_file && strcmp(kv->key, "string")))
		return err_set(e, -EINVAL,
			       "'%s' is not offered (name=, file=, string=)",
			       kv->bare ? kv->value : kv->key);
	if (*valued)
		return err_set(e, -EINVAL, "more than one file= or string=");
	*valued = true;
	it->is_file = is_file;
	strcpy(it->value, kv->value);
	return 0;
}

static bool named(const struct fwconf *c, const char *name)
{
	unsigned i;

	for (i = 0; i < c->count; i++)
		if (!strcmp(c->item[i].name, name))
			return true;
	return false;
}

int fwconf_parse(struct fwconf *c, const char *arg, struct err *e)
{
	struct fwconf_item it = {0};
	bool first = true, valued = false;
	struct keyval kv;
	int ret;

	while ((ret = keyval_next(&arg, &kv, e)) > 0) {
		ret = set_word(&it, &kv, first, &valued, e);
		if (ret)
			return ret;
		first = false;
	}
	if (ret)
		return ret;
	if (!it.name[0] || !valued)
		return err_set(e, -EINVAL, "needs a name and file= or string=");
	if (named(c, it.name))
		return err_set(e, -EEXIST, "'%s' is given twice", it.name);
	if (c->count == FWCONF_MAX)
		return err_set(e, -ENOSPC, "more than %d items", FWCONF_MAX);
	c->item[c->count++] = it;
	return 0;
}

static int read_item(struct file_data *d, const struct fwconf_item *it,
		     struct err *e)
{
	if (it->is_file)
		return file_read(d, it->value, FILE_MAX, e);
	d->p = strdup(it->value);
	d->size = strlen(it->value); /* without the NUL */
	return d->p ? 0 : err_set(e, -ENOMEM, "out of memory");
}

int fwdata_read(struct fwdata *d, const struct fwconf *c, struct err *e)
{
	int ret = 0;

	*d = (struct fwdata){.conf = c};
	while (!ret && d->count < c->count) {
		ret = read_item(&d->data[d->count], &c->item[d->count], e);
		d->count += !ret;
	}
	return ret ? err_wrap(e, "-fw_cfg") : 0;
}

void fwdata_free(struct fwdata *d)
{
	while (d->count)
		free(d->data[--d->count].p);
}
