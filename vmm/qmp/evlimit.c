/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of what was told within the last period.
 */
#include "vmm/qmp/evlimit.h"

#include <stdlib.h>
#include <string.h>

#include "lib/util.h"
#include "vmm/qmp/type.h"

struct told {
	struct told *next;
	const struct qmp_event *kind;
	char *key;                 /* NULL: the kind has none */
	uint64_t end;              /* of the period */
	struct json_object *event; /* NULL: none came since */
};

static const struct qmp_event *kind_of(struct json_object *event)
{
	const char *name = json_get_str(event, "event");
	const struct qmp_event *k;

	for (k = qmp_events; k->name; k++)
		if (!strcmp(k->name, name))
			return k->limited ? k : NULL;
	return NULL;
}

/* What tells objects apart; "" when there is nothing. */
static const char *key_of(const struct qmp_event *k, struct json_object *event)
{
	const char *key = NULL;

	if (k->key)
		key = json_get_str(json_object_object_get(event, "data"),
				   k->key);
	return key ? key : "";
}

static struct told *find(struct evlimit *t, const struct qmp_event *k,
			 const char *key)
{
	struct told *i = t->first;

	while (i && (i->kind != k || strcmp(i->key, key)))
		i = i->next;
	return i;
}

/* Where memory is short, events are told. */
static void begin(struct evlimit *t, const struct qmp_event *k, const char *key,
		  uint64_t now)
{
	struct told *i = calloc(1, sizeof(*i));

	if (i)
		i->key = strdup(key);
	if (!i || !i->key) {
		free(i);
		return;
	}
	i->kind = k;
	i->end = now + EVLIMIT_PERIOD;
	i->next = t->first;
	t->first = i;
}

bool evlimit_pass(struct evlimit *t, struct json_object *event, uint64_t now)
{
	const struct qmp_event *k = kind_of(event);
	struct told *i;

	if (!k)
		return true;
	i = find(t, k, key_of(k, event));
	if (!i) {
		begin(t, k, key_of(k, event), now);
		return true;
	}
	json_object_put(i->event);
	i->event = json_object_get(event);
	return false;
}

static void forget(struct told **at)
{
	struct told *i = *at;

	*at = i->next;
	json_object_put(i->event);
	free(i->key);
	free(i);
}

struct json_object *evlimit_next(struct evlimit *t, uint64_t now)
{
	struct told **at = &t->first;
	struct json_object *event;

	while (*at) {
		if ((*at)->end > now) {
			at = &(*at)->next;
		} else if (!(*at)->event) {
			forget(at);
		} else {
			event = (*at)->event;
			(*at)->event = NULL;
			(*at)->end = now + EVLIMIT_PERIOD;
			return event;
		}
	}
	return NULL;
}

uint64_t evlimit_due(const struct evlimit *t)
{
	const struct told *i;
	uint64_t due = EVLIMIT_NEVER;

	for (i = t->first; i; i = i->next)
		due = MIN(due, i->end);
	return due;
}

void evlimit_free(struct evlimit *t)
{
	while (t->first)
		forget(&t->first);
}
