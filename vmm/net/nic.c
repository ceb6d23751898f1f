/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -nic: a -netdev and the card that leads there, in one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/keyval.h"
#include "vmm/net/conf.h"

struct nic {
	char id[PROP_NAME];
	char model[32];
	char mac[32];
	char netdev[KEYVAL_MAX]; /* all that is not the card's */
	size_t len;
};

static void put(struct nic *n, char ch)
{
	if (n->len < sizeof(n->netdev) - 1)
		n->netdev[n->len++] = ch;
}

/* A comma inside a value is written twice. */
static void put_text(struct nic *n, const char *text)
{
	for (; *text; text++) {
		put(n, *text);
		if (*text == ',')
			put(n, ',');
	}
}

static int pass_on(struct nic *n, const struct keyval *kv, struct err *e)
{
	if (n->len)
		put(n, ',');
	if (!kv->bare) {
		put_text(n, kv->key);
		put(n, '=');
	}
	put_text(n, kv->value);
	return n->len < sizeof(n->netdev) - 1
		       ? 0
		       : err_set(e, -EINVAL, "longer than %d bytes",
				 KEYVAL_MAX - 2);
}

static int set_model(struct nic *n, const char *model, struct err *e)
{
	enum virtio_bus bus;
	const struct virtio_type *t;

	if (!strcmp(model, "help") || !strcmp(model, "?")) {
		puts("virtio-net-pci");
		return 1;
	}
	t = virtio_type_find(strcmp(model, "virtio") ? model : "virtio-net",
			     &bus);
	if (!t || strcmp(t->name, "virtio-net"))
		return err_set(e, -EINVAL,
			       "model=%s is not offered (virtio-net-pci)",
			       model);
	return netconf_copy(n->model, sizeof(n->model),
			    strcmp(model, "virtio") ? model : "virtio-net", e);
}

static int take(struct nic *n, const struct keyval *kv, struct err *e)
{
	if (!strcmp(kv->key, "model"))
		return set_model(n, kv->value, e);
	if (!strcmp(kv->key, "mac"))
		return netconf_copy(n->mac, sizeof(n->mac), kv->value, e);
	if (!strcmp(kv->key, "id") &&
	    netconf_copy(n->id, sizeof(n->id), kv->value, e))
		return e->code;
	return pass_on(n, kv, e);
}

static int name_it(const struct devconf *c, struct nic *n, struct err *e)
{
	struct keyval kv = {.key = "id"};
	unsigned i = 0;

	if (!n->len)
		return err_set(e, -EINVAL, "no kind given");
	if (n->id[0])
		return 0;
	do {
		snprintf(n->id, sizeof(n->id), "nic%u", i++);
	} while (backend_find(&c->backends, LINK_NET, n->id));
	strcpy(kv.value, n->id);
	return pass_on(n, &kv, e);
}

static int add_card(struct devconf *c, const struct nic *n, struct err *e)
{
	struct devconf_device *d = devconf_new(n->model, e);
	int ret;

	if (!d)
		return e->code;
	ret = devconf_set(d, "netdev", n->id, e);
	if (!ret && n->mac[0])
		ret = devconf_set(d, "mac", n->mac, e);
	if (!ret)
		ret = devconf_add(c, d, e);
	if (ret)
		devconf_free(d);
	return ret;
}

int devconf_nic(struct devconf *c, const char *arg, struct err *e)
{
	struct nic n = {.model = "virtio-net"};
	struct keyval kv;
	int ret;

	if (!strcmp(arg, "none"))
		return 0;
	while ((ret = keyval_next(&arg, &kv, e)) > 0) {
		ret = take(&n, &kv, e);
		if (ret)
			return ret;
	}
	if (!ret)
		ret = name_it(c, &n, e);
	if (!ret)
		ret = devconf_netdev(c, n.netdev, e);
	return ret ? ret : add_card(c, &n, e);
}
