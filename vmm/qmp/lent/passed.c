/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of descriptors.
 */
#include "vmm/qmp/lent/passed.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/console.h"
#include "vmm/qmp/json.h"

struct passed_fd {
	struct passed_fd *next;
	int fd;
	bool taken;  /* until passed_settle() */
	char name[]; /* "" is one as well */
};

int passed_take(struct passed *p, struct err *e)
{
	int fd = p && p->console ? console_take_fd(p->console) : -1;

	return fd >= 0 ? fd
		       : err_set(e, -EINVAL,
				 "No file descriptor supplied via SCM_RIGHTS");
}

static struct passed_fd **find(struct passed *p, const char *name)
{
	struct passed_fd **at = &p->first;

	while (*at && strcmp((*at)->name, name))
		at = &(*at)->next;
	return at;
}

static void forget(struct passed_fd **at, bool closes)
{
	struct passed_fd *old = *at;

	*at = old->next;
	if (closes)
		close(old->fd);
	free(old);
}

int passed_keep(struct passed *p, const char *name, int fd, struct err *e)
{
	struct passed_fd **at = find(p, name), *new;

	new = calloc(1, sizeof(*new) + strlen(name) + 1);
	if (!new) {
		close(fd);
		return err_set(e, -ENOMEM, "out of memory");
	}
	strcpy(new->name, name);
	new->fd = fd;
	if (*at)
		forget(at, true);
	new->next = p->first;
	p->first = new;
	return 0;
}

int passed_drop(struct passed *p, const char *name, struct err *e)
{
	struct passed_fd **at = p ? find(p, name) : NULL;

	if (!at || !*at)
		return err_set(e, -ENOENT,
			       "File descriptor named '%.100s' not found",
			       name);
	forget(at, true);
	return 0;
}

void passed_close(struct passed *p)
{
	while (p->first)
		forget(&p->first, true);
}

/* ---- in options ---- */

static int number_one(struct passed *p, const char *name, FILE *out,
		      struct err *e)
{
	struct passed_fd *found;

	if (isdigit((unsigned char)name[0])) {
		fputs(name, out);
		return 0;
	}
	found = p ? *find(p, name) : NULL;
	if (!found || found->taken)
		return err_set(e, -ENOENT,
			       "File descriptor named '%.100s' has not been "
			       "found",
			       name);
	found->taken = true;
	fprintf(out, "%d", found->fd);
	return 0;
}

/* "NAME:NAME:..." at @key, if it is there. */
static int number_member(struct passed *p, struct json_object *o,
			 const char *key, struct err *e)
{
	struct json_object *v = json_object_object_get(o, key);
	char *names, *at, *one, *text = NULL;
	size_t size;
	FILE *out;
	int ret = 0;

	if (!json_object_is_type(v, json_type_string))
		return 0;
	at = names = strdup(json_object_get_string(v));
	out = names ? open_memstream(&text, &size) : NULL;
	while (out && !ret && (one = strsep(&at, ":"))) {
		ret = number_one(p, one, out, e);
		if (at)
			putc(':', out);
	}
	if (!out || fclose(out))
		ret = err_set(e, -ENOMEM, "out of memory");
	else if (!ret)
		json_put_str(o, key, text);
	free(text);
	free(names);
	return ret;
}

/*
 * {"type": "fd", "str": NAME}, or the same as "KEY.type" and "KEY.str", or
 * {"type": "fd", "data": {"str": NAME}}.
 */
static int number_address(struct passed *p, struct json_object *o,
			  const char *key, struct err *e)
{
	struct json_object *in = json_object_object_get(o, key), *data;
	const char *type;
	char flat[32];

	if (json_object_is_type(in, json_type_object)) {
		type = json_get_str(in, "type");
		data = json_object_object_get(in, "data");
		return type && !strcmp(type, "fd")
			       ? number_member(p, data ? data : in, "str", e)
			       : 0;
	}
	snprintf(flat, sizeof(flat), "%s.type", key);
	type = json_get_str(o, flat);
	snprintf(flat, sizeof(flat), "%s.str", key);
	return type && !strcmp(type, "fd") ? number_member(p, o, flat, e) : 0;
}

int passed_number(struct passed *p, struct json_object *options, struct err *e)
{
	static const char *const keys[] = {"fd", "fds", "vhostfd", "vhostfds"};
	static const char *const addresses[] = {"addr", "local"};
	size_t i;
	int ret = 0;

	for (i = 0; !ret && i < ARRAY_SIZE(keys); i++)
		ret = number_member(p, options, keys[i], e);
	for (i = 0; !ret && i < ARRAY_SIZE(addresses); i++)
		ret = number_address(p, options, addresses[i], e);
	return ret;
}

void passed_settle(struct passed *p, bool took)
{
	struct passed_fd **at = p ? &p->first : NULL;

	while (at && *at)
		if ((*at)->taken)
			forget(at, !took);
		else
			at = &(*at)->next;
}
