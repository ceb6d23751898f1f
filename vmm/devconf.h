/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio devices of a machine, and what they are connected to on the
 * host: -device, -drive, -blockdev, -netdev, -nic, -fsdev,
 * -object. Names and grammar are QEMU's.
 * Both are lists that can grow and shrink while a machine runs; they outlive
 * it, so that the next one, after a reset, has what this one had.
 */
#ifndef VMM_DEVCONF_H
#define VMM_DEVCONF_H

#include "dev/virtio/type.h"
#include "host/block/block.h"
#include "vmm/backend.h"

struct evloop;
struct net_addr;
struct netconf;

#define DEVCONF_MMIO_MAX 8 /* devices without PCI */

/* A -device. */
struct devconf_device {
	struct devconf_device *next;
	struct virtio_conf *conf;
	struct devconf_device *parent; /* a part's device */
	void *place;      /* in the machine that runs, vmm/virtio.c's */
	bool filter_told; /* monitors were, of a card's; vmm/run/nic.c's */
};

struct devconf {
	struct devconf_device *devices;
	struct backends backends;
	struct node_list nodes; /* of disks, that have names */
	/* A drive failed and stops the machine; any thread, NULL: nobody. */
	void (*io_error)(void *ctx, const char *id, bool write, int code,
			 const char *action);
	/* A netdev's peer came, or went: NULL. The same. */
	void (*net_peer)(void *ctx, const struct netconf *n,
			 const struct net_addr *peer);
	void *io_ctx;          /* of both */
	struct evloop *loop;   /* for what happens without devices; or NULL */
	struct virtio_env env; /* the machine's, since devconf_check() */
};

/* Frees all, and closes what is open. */
void devconf_exit(struct devconf *c);

/*
 * Each takes one option's value. 0, -errno with a sentence, or 1 after the
 * help that was asked for is printed.
 */
int devconf_device(struct devconf *c, const char *arg, struct err *e);
int devconf_drive(struct devconf *c, const char *arg, struct err *e);
int devconf_blockdev(struct devconf *c, const char *arg, struct err *e);
int devconf_netdev(struct devconf *c, const char *arg, struct err *e);
int devconf_nic(struct devconf *c, const char *arg, struct err *e);
int devconf_fsdev(struct devconf *c, const char *arg, struct err *e);
int devconf_virtfs(struct devconf *c, const char *arg, struct err *e);
int devconf_object(struct devconf *c, const char *arg, struct err *e);

/* A kind of -object; its properties are where a backend of it has them. */
struct object_kind {
	const char *name;
	const struct prop *props;
};

/* The @i-th, NULL behind the last. */
const struct object_kind *devconf_object_kind(unsigned i);
/* What @b is; NULL when it is no -object. */
const struct object_kind *devconf_object_of(const struct backend *b);

/* Whether @b is of -drive, whose id is a device's name and no node's. */
bool devconf_is_drive(const struct backend *b);

/* -snapshot: all of -drive that do not say otherwise. */
void devconf_snapshot(struct devconf *c);

/* True when @name is a device of ours, or one that ours stands for. */
bool devconf_knows(const char *name);

/* Print the names of the devices, one per line. */
void devconf_print_names(void);

/*
 * ---- one device, step by step ----
 *
 * New, its properties set, then added (and the list's) or freed. Before it can
 * be plugged it is connected, which can only be done once the machine is
 * known.
 */
struct devconf_device *devconf_new(const char *name, struct err *e);
int devconf_set(struct devconf_device *d, const char *name, const char *text,
		struct err *e) __must_check;
int devconf_add(struct devconf *c, struct devconf_device *d,
		struct err *e) __must_check;
void devconf_free(struct devconf_device *d);

/* Check it against the machine, and take what it names. */
int devconf_connect(struct devconf *c, struct devconf_device *d,
		    struct err *e) __must_check;

/* By its id; NULL: there is none. */
struct devconf_device *devconf_find(const struct devconf *c, const char *id);

/*
 * Give back what it has, take it out of the list and free it. -EBUSY while it
 * has parts, or is in a machine.
 */
int devconf_remove(struct devconf *c, struct devconf_device *d,
		   struct err *e) __must_check;

/* Connect all of them. */
int devconf_check(struct devconf *c, const struct virtio_env *env,
		  struct err *e);

/* How many devices in memory there are; ACPI names them. */
unsigned devconf_count_mmio(const struct devconf *c);

#endif
