/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio devices an operator asked for, and what they are connected to on
 * the host: -device, -drive, -blockdev, -netdev. Names and grammar are
 * QEMU's; each device is a row of a table of properties, from which the help
 * is printed as well.
 */
#ifndef VMM_DEVCONF_H
#define VMM_DEVCONF_H

#include "dev/virtio/features.h"
#include "host/net/net.h"
#include "lib/err.h"
#include "vmm/keyval.h"

#define DEVCONF_MAX  16 /* of each */
#define DEVCONF_NAME 64

enum devconf_bus { DEVCONF_ANY, DEVCONF_PCI, DEVCONF_MMIO };

/* A -device. */
struct devconf_device {
	enum virtio_id kind;
	enum devconf_bus bus;
	char id[DEVCONF_NAME];
	char backend[DEVCONF_NAME]; /* drive or netdev */
	unsigned slot;              /* 0: any */
	struct virtio_features want;
	struct virtio_features named; /* bits the operator spoke of */
	uint64_t queues;              /* net: pairs */
	uint64_t queue_size;
	uint64_t logical_block;
	uint64_t physical_block;
	char serial[21];
	bool write_cache;
	char mac[18]; /* "": one is made up */
};

/* A -drive or a -blockdev. */
struct devconf_drive {
	char id[DEVCONF_NAME];
	char path[KEYVAL_MAX];
	bool read_only;
	bool share;
	bool unmap;
	bool no_flush;
	bool write_through;
	bool hide_write_errors;
	bool hide_read_errors;
	bool used; /* by a device */
};

enum devconf_net_kind { DEVCONF_USER, DEVCONF_TAP };

/* A -netdev. */
struct devconf_netdev {
	char id[DEVCONF_NAME];
	enum devconf_net_kind kind;
	struct net_user_options user;
	char ifname[16];
	int fd; /* -1: open ifname */
	bool used;
};

struct devconf {
	unsigned devices;
	unsigned drives;
	unsigned netdevs;
	struct devconf_device device[DEVCONF_MAX];
	struct devconf_drive drive[DEVCONF_MAX];
	struct devconf_netdev netdev[DEVCONF_MAX];
};

/*
 * Each takes one option's value. 0, -errno with a sentence, or 1 after the
 * help that was asked for is printed.
 */
int devconf_device(struct devconf *c, const char *arg, struct err *e);
int devconf_drive(struct devconf *c, const char *arg, struct err *e);
int devconf_blockdev(struct devconf *c, const char *arg, struct err *e);
int devconf_netdev(struct devconf *c, const char *arg, struct err *e);

/* True when @name is a device of ours. */
bool devconf_knows(const char *name);

/* Print the names of the devices, one per line. */
void devconf_print_names(void);

/*
 * Connect devices with what they name; @pci: the machine has a PCI bus. Of
 * machines before @version 10.2 (1002) cards have tunnel offloads only when
 * asked for.
 */
int devconf_check(struct devconf *c, bool pci, unsigned version, struct err *e);

/* The number of the drive of that name, or -ENOENT. */
int devconf_find_drive(const struct devconf *c, const char *id);
int devconf_find_netdev(const struct devconf *c, const char *id);

/* "52:54:00:12:34:56" into @mac; -EINVAL when it is none a card can have. */
int devconf_parse_mac(const char *text, uint8_t mac[6]);

#endif
