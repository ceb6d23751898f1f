/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules for user networks that are open already.
 */
#include "vmm/qmp/lent/hostfwd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/machine.h"
#include "vmm/net/conf.h"

static const struct netconf *user_of(const struct backend *b)
{
	const struct netconf *n = (const struct netconf *)b;

	return b->class->kind == LINK_NET && n->kind == &netconf_user ? n
								      : NULL;
}

/* The network that @text begins with, or the first; *@rule is the rest. */
static const struct netconf *find(struct qmp *q, const char *text,
				  const char **rule, struct err *e)
{
	const struct backends *list = &q->control->machine->dev->backends;
	size_t len = strcspn(text, " \t");
	const char *rest = text + len + strspn(text + len, " \t");
	const struct netconf *n = NULL;
	const struct backend *b;

	*rule = *rest ? rest : text;
	for (b = list->first; b && !n; b = b->next)
		if (!*rest ||
		    (strlen(b->id) == len && !strncmp(b->id, text, len)))
			n = user_of(b);
	if (strlen(*rule) >= NET_RULE) {
		err_set(e, -EINVAL, "that rule is too long");
		return NULL;
	}
	if (n && n->base.object)
		return n;
	if (*rest)
		err_set(e, -ENODEV, "there is no -netdev user,id=%.*s",
			(int)MIN(len, (size_t)PROP_NAME), text);
	else
		err_set(e, -ENODEV, "no user mode network stacks in use");
	return NULL;
}

int lent_hostfwd_add(struct qmp *q, const char *text, struct err *e)
{
	const char *rule;
	const struct netconf *n = find(q, text, &rule, e);

	return n ? net_user_forward(n->base.object, &n->user, rule, e)
		 : e->code;
}

int lent_hostfwd_remove(struct qmp *q, const char *text, struct err *e)
{
	const char *rule;
	const struct netconf *n = find(q, text, &rule, e);

	return n ? net_user_unforward(n->base.object, rule, e) : e->code;
}

void lent_usernet(struct qmp *q, FILE *out)
{
	const struct backends *list = &q->control->machine->dev->backends;
	const struct backend *b;
	char *text;

	for (b = list->first; b; b = b->next) {
		if (!user_of(b) || !b->object)
			continue;
		text = net_user_connections(b->object);
		fprintf(out, "%s:\n%s", b->id, text ? text : "");
		free(text);
	}
}
