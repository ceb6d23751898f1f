/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of devices and of what they are connected to: what may be named, by
 * whom, how often, and what is left when one goes.
 */
#include "vmm/net/conf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef int parser(struct devconf *c, const char *arg, struct err *e);

static const struct virtio_env pc = {.version = 1100, .pci = true};
static const struct virtio_env microvm = {.version = 1100};

static void take(struct devconf *c, parser *parse, const char *arg)
{
	struct err e = {0};

	if (parse(c, arg, &e))
		fail_msg("'%s' refused: %s", arg, e.msg);
}

/* Refused, with @phrase in the sentence, and nothing is left of it. */
static void no(parser *parse, const char *arg, const char *phrase)
{
	struct devconf c = {0};
	struct err e = {0};
	int ret = parse(&c, arg, &e);

	if (!ret)
		ret = devconf_check(&c, &pc, &e);
	if (ret >= 0)
		fail_msg("'%s' accepted", arg);
	if (!strstr(e.msg, phrase))
		fail_msg("'%s': '%s' lacks '%s'", arg, e.msg, phrase);
	devconf_exit(&c);
}

static void test_names(void **state)
{
	enum virtio_bus bus;

	assert_non_null(virtio_type_find("virtio-rng-pci", &bus));
	assert_int_equal(bus, VIRTIO_BUS_PCI);
	assert_non_null(
		virtio_type_find("virtio-blk-pci-non-transitional", &bus));
	assert_int_equal(bus, VIRTIO_BUS_PCI);
	assert_non_null(virtio_type_find("virtio-net-device", &bus));
	assert_int_equal(bus, VIRTIO_BUS_MMIO);
	assert_null(virtio_type_find("virtio-net-pci-transitional", &bus));
	assert_null(virtio_type_find("virtio", &bus));
	assert_null(virtio_type_find("virtio-rng-", &bus));
}

static void check_text(const struct virtio_conf *c, const char *name,
		       const char *want)
{
	const struct prop *p;
	char text[PROP_PATH];
	unsigned i = 0;

	while ((p = virtio_type_prop(c->type, i)) && strcmp(p->name, name))
		i++;
	assert_non_null(p);
	virtio_conf_text(c, p, text, sizeof(text));
	assert_string_equal(text, want);
}

/* What a property says of itself is what it was told, and can be told again. */
static void test_texts(void **state)
{
	const struct virtio_type *t = NULL;
	char text[PROP_PATH];
	struct virtio_conf *c;
	const struct prop *p;
	unsigned i;

	while ((t = virtio_type_next(t))) {
		c = virtio_conf_new(t);
		for (i = 0; (p = virtio_type_prop(t, i)); i++) {
			virtio_conf_text(c, p, text, sizeof(text));
			if (p->type != PROP_ADDR)
				assert_int_equal(
					virtio_conf_set(c, p->name, text, NULL),
					0);
			check_text(c, p->name, text);
		}
		assert_true(i > 2);
		free(c);
	}
	c = virtio_conf_new(
		virtio_type_find("virtio-net-pci", &(enum virtio_bus){0}));
	check_text(c, "addr", "any");
	check_text(c, "disable-legacy", "on");
	assert_int_equal(virtio_conf_set(c, "addr", "1d.3", NULL), 0);
	check_text(c, "addr", "1d.3");
	assert_int_equal(virtio_conf_set(c, "packed", "yes", NULL), 0);
	check_text(c, "packed", "on");
	assert_int_equal(virtio_conf_set(c, "vectors", "0x10", NULL), 0);
	check_text(c, "vectors", "16");
	assert_int_equal(virtio_conf_set(c, "netdev", "n", NULL), 0);
	check_text(c, "netdev", "n");
	free(c);
}

/* Every type once, and none without an end. */
static void test_registry(void **state)
{
	const struct virtio_type *t = NULL, *u;
	enum virtio_bus bus;
	unsigned n = 0;

	while ((t = virtio_type_next(t)) && n++ < 100) {
		u = virtio_type_find(t->name, &bus);
		assert_ptr_equal(u, t);
		assert_true(t->part_of ? t->add && t->remove && !t->create
				       : t->create && !t->add);
	}
	assert_in_range(n, 3, 99);
}

static void test_properties(void **state)
{
	no(devconf_device, "virtio-rng-pci,speed=9", "speed");
	no(devconf_device, "virtio-rng-pci,speed", "speed");
	no(devconf_device, "virtio-rng-pci,addr=0", "slot");
	no(devconf_device, "virtio-rng-pci,addr=20", "slot");
	no(devconf_device, "virtio-rng-pci,addr=1.8", "slot");
	no(devconf_device, "virtio-rng-pci,addr=1.0x", "slot");
	no(devconf_device, "virtio-rng-pci,vectors=129", "129");
	no(devconf_device, "virtio-rng-pci,disable-legacy=off", "on, auto");
	no(devconf_device, "virtio-rng-pci,iommu_platform=on", "iommu");
	no(devconf_device, "virtio-rng-pci,romfile=x", "romfile");
	no(devconf_device, "virtio-rng-pci,bus=pci.7", "pci.7");
	no(devconf_device, "virtio-rng-pci,id=1x", "1x");
	no(devconf_device, "virtio-rng-device", "-pci");
	no(devconf_device, "virtio-blk-pci", "drive= is missing");
	no(devconf_device, "virtio-blk-pci,drive=d", "no drive 'd'");
	no(devconf_device, "virtio-blk-pci,queue-size=100", "power of two");
	no(devconf_netdev, "user,id=a b", "a b");
	no(devconf_device, "virtio-rng,rng=x", "no rng object 'x'");
	no(devconf_device, "virtio-rng,max-bytes=0", "max-bytes");
	no(devconf_device, "virtio-rng,period=0", "period");
	no(devconf_object, "", "no kind");
	no(devconf_object, "id=a", "no kind");
	no(devconf_object, "secret,id=a", "'secret' is not one of");
	no(devconf_object, "rng-random", "id= is missing");
	no(devconf_object, "rng-builtin,id=a,filename=x", "no 'filename'");
	no(devconf_object, "rng-random,id=9", "9");
}

static void test_connections(void **state)
{
	struct devconf c = {0};
	struct err e = {0};
	struct devconf_device *d, *other;

	take(&c, devconf_drive, "if=none,id=x,file=f");
	take(&c, devconf_netdev, "user,id=x");
	take(&c, devconf_device, "virtio-blk-pci,id=a,drive=x,addr=1f.7");
	take(&c, devconf_device, "virtio-net-pci,netdev=x,disable-legacy=on");
	assert_int_equal(devconf_check(&c, &pc, &e), 0);
	d = devconf_find(&c, "a");
	assert_non_null(d);
	assert_int_equal(d->conf->addr, 0xff);
	/* Of its kind only, and once. */
	assert_int_equal(devconf_netdev(&c, "user,id=x", &e), -EEXIST);
	e = (struct err){0};
	assert_int_equal(devconf_device(&c, "virtio-rng,id=a", &e), -EEXIST);
	other = devconf_new("virtio-blk", &e);
	assert_int_equal(devconf_set(other, "drive", "x", &e), 0);
	assert_int_equal(devconf_add(&c, other, &e), 0);
	e = (struct err){0};
	assert_int_equal(devconf_connect(&c, other, &e), -EBUSY);
	e = (struct err){0};
	/* What is given back can be taken. */
	assert_int_equal(devconf_remove(&c, d, &e), 0);
	assert_null(devconf_find(&c, "a"));
	assert_int_equal(devconf_connect(&c, other, &e), 0);
	e = (struct err){0};
	assert_int_equal(backend_remove(&c.backends, c.backends.first, &e),
			 -EBUSY);
	assert_int_equal(devconf_remove(&c, other, &e), 0);
	assert_int_equal(backend_remove(&c.backends, c.backends.first, &e), 0);
	assert_null(backend_find(&c.backends, LINK_DRIVE, "x"));
	assert_non_null(backend_find(&c.backends, LINK_NET, "x"));
	devconf_exit(&c);
}

/* As many as wanted; numbers of a type are given out again. */
static void test_many(void **state)
{
	struct devconf c = {0};
	struct err e = {0};
	char arg[64];
	unsigned i;

	for (i = 0; i < 200; i++) {
		snprintf(arg, sizeof(arg), "virtio-rng,id=r%u", i);
		take(&c, devconf_device, arg);
	}
	assert_int_equal(devconf_check(&c, &pc, &e), 0);
	assert_int_equal(devconf_find(&c, "r199")->conf->nth, 199);
	assert_int_equal(devconf_remove(&c, devconf_find(&c, "r77"), &e), 0);
	take(&c, devconf_device, "virtio-rng,id=again");
	assert_int_equal(devconf_find(&c, "again")->conf->nth, 77);
	devconf_exit(&c);
	c = (struct devconf){0};
	for (i = 0; i < 9; i++)
		take(&c, devconf_device, "virtio-rng");
	assert_int_equal(devconf_check(&c, &microvm, &e), -ENOSPC);
	devconf_exit(&c);
}

/* Every -drive without a name has one of its own. */
static void test_drives(void **state)
{
	struct devconf c = {0};
	struct err e = {0};

	take(&c, devconf_drive, "file=f,serial=a,,b");
	take(&c, devconf_drive, "file=g");
	assert_non_null(backend_find(&c.backends, LINK_DRIVE, "virtio0"));
	assert_non_null(backend_find(&c.backends, LINK_DRIVE, "virtio1"));
	assert_int_equal(devconf_check(&c, &pc, &e), 0);
	devconf_exit(&c);
}

/* Two options in one; commas stay what they were. */
static void test_nic(void **state)
{
	struct devconf c = {0};
	const struct netconf *n;
	const struct backend *b;
	struct err e = {0};

	take(&c, devconf_nic, "none");
	assert_null(c.devices);
	take(&c, devconf_nic, "user,hostname=a,,b,mac=52:54:00:12:34:77");
	take(&c, devconf_nic, "user,id=me,model=virtio-net-pci");
	take(&c, devconf_nic, "user,model=virtio,restrict=on");
	b = backend_find(&c.backends, LINK_NET, "nic0");
	assert_non_null(b);
	n = (const struct netconf *)b;
	assert_string_equal(n->user.hostname, "a,b");
	assert_non_null(backend_find(&c.backends, LINK_NET, "me"));
	n = (const struct netconf *)backend_find(&c.backends, LINK_NET, "nic1");
	assert_non_null(n);
	assert_true(n->user.restricted);
	assert_int_equal(devconf_check(&c, &pc, &e), 0);
	assert_ptr_equal(b->user, c.devices);
	assert_non_null(c.devices->next->next);
	devconf_exit(&c);
	no(devconf_nic, "user,model=e1000", "virtio-net-pci");
	no(devconf_nic, "user,mac=zz", "zz");
	no(devconf_nic, "user,bogus=1", "bogus");
	no(devconf_nic, "bogus", "bogus");
	no(devconf_nic, "model=virtio", "kind");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_registry),
		cmocka_unit_test(test_properties),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_connections),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_drives),
		cmocka_unit_test(test_nic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
