/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list. What an entry is knows only its class.
 */
#include "vmm/backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *backend_kind(enum prop_link_kind kind)
{
	static const char *const names[] = {
		[LINK_DRIVE] = "drive",        [LINK_NET] = "netdev",
		[LINK_CHARDEV] = "chardev",    [LINK_FS] = "fsdev",
		[LINK_ENTROPY] = "rng object",
	};

	return names[kind];
}

struct backend *backend_find(const struct backends *list,
			     enum prop_link_kind kind, const char *id)
{
	struct backend *b = list->first;

	while (b && (b->class->kind != kind || strcmp(b->id, id)))
		b = b->next;
	return b;
}

int backend_add(struct backends *list, struct backend *b, struct err *e)
{
	struct backend **end = &list->first;

	if (!prop_is_id(b->id))
		return err_set(e, -EINVAL,
			       "'%s' is no id (a letter, then letters, "
			       "digits, '-', '.', '_')",
			       b->id);
	if (backend_find(list, b->class->kind, b->id))
		return err_set(e, -EEXIST, "a second %s '%s'",
			       backend_kind(b->class->kind), b->id);
	while (*end)
		end = &(*end)->next;
	b->next = NULL;
	*end = b;
	return 0;
}

int backend_open(struct backend *b, struct err *e)
{
	int ret = b->object ? 0 : b->class->open(b, e);

	return ret ? err_wrap(e, "%s %s", b->class->what, b->id) : 0;
}

int backends_open(struct backends *list, struct err *e)
{
	struct backend *b;
	int ret = 0;

	for (b = list->first; !ret && b; b = b->next)
		ret = backend_open(b, e);
	return ret;
}

static void close_one(struct backend *b)
{
	if (b->object)
		b->class->close(b);
	b->object = NULL;
}

static void free_one(struct backend *b)
{
	close_one(b);
	if (b->class->free)
		b->class->free(b);
	free(b);
}

int backend_remove(struct backends *list, struct backend *b, struct err *e)
{
	struct backend **at = &list->first;

	if (b->user)
		return err_set(e, -EBUSY, "%s '%s' is in use", b->class->what,
			       b->id);
	while (*at != b)
		at = &(*at)->next;
	*at = b->next;
	free_one(b);
	return 0;
}

void backends_close(struct backends *list)
{
	struct backend *b;

	for (b = list->first; b; b = b->next)
		close_one(b);
}

void backends_free(struct backends *list)
{
	struct backend *b;

	backends_close(list);
	while ((b = list->first)) {
		list->first = b->next;
		free_one(b);
	}
}
