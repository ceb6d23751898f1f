/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio devices there are, as an operator names them. Each file of the
 * list in dev/virtio/meson.build has an array of types, virtio_FILE_types,
 * that ends with a row without name: their properties, what these fill, and
 * how a device is made of it. Nothing else in the tree names a device.
 */
#ifndef DEV_VIRTIO_TYPE_H
#define DEV_VIRTIO_TYPE_H

#include "dev/prop.h"
#include "dev/virtio/device.h"

/* How a device is reached; ANY: by what the machine has. */
enum virtio_bus { VIRTIO_BUS_ANY, VIRTIO_BUS_PCI, VIRTIO_BUS_MMIO };

struct virtio_type;

/* What every device is told; the first member of what a type is told. */
struct virtio_conf {
	const struct virtio_type *type;
	enum virtio_bus bus;
	char id[PROP_NAME];
	char parent[PROP_NAME]; /* bus= */
	unsigned addr;          /* on PCI: slot * 8 + function, 0: any */
	bool multifunction;     /* on PCI: others may share the slot */
	uint64_t vectors;       /* on PCI: at most so many */
	unsigned nth;           /* no other device of the type has it */
	struct virtio_features want;
	struct virtio_features named; /* bits the operator spoke of */
};

/* What a machine is, as far as its devices care. */
struct virtio_env {
	unsigned version; /* of its type: 1002 for 10.2 */
	bool pci;
};

struct virtio_type {
	const char *name;    /* "-pci" and "-device" are added to it */
	const char *instead; /* a name of other programs for the like */
	/*
	 * A part of another device: the name of its type. It has no bus and
	 * no features of its own, and add and remove instead of create.
	 */
	const char *part_of;
	size_t conf_size;
	const struct prop *props; /* besides those every device has */
	/* Is @c, with every link named, fit for a machine? May complete it. */
	int (*check)(struct virtio_conf *c, const struct virtio_env *env,
		     struct err *e);
	/*
	 * A device as @c says, whose links are found; they and @dma outlive
	 * it. It is ended by virtio_exit().
	 */
	struct virtio_device *(*create)(const struct virtio_conf *c,
					const struct dma *dma, struct err *e);
	int (*add)(struct virtio_device *dev, const struct virtio_conf *c,
		   struct err *e);
	void (*remove)(struct virtio_device *dev, const struct virtio_conf *c);
};

/* The type after @t, the first after NULL; NULL at the end. */
const struct virtio_type *virtio_type_next(const struct virtio_type *t);

/* By name, which says the bus as well. NULL: there is none. */
const struct virtio_type *virtio_type_find(const char *name,
					   enum virtio_bus *bus);

/* The type that other programs call @name, or NULL. */
const struct virtio_type *virtio_type_instead(const char *name);

/* A configuration of defaults, to be released by free(). NULL: no memory. */
struct virtio_conf *virtio_conf_new(const struct virtio_type *t);

/* Set a property by name. */
int virtio_conf_set(struct virtio_conf *c, const char *name, const char *text,
		    struct err *e) __must_check;

/* Its links: the first after NULL; NULL at the end. @p: what is linked. */
struct prop_link *virtio_conf_link(struct virtio_conf *c,
				   const struct prop **p);

/* Property @i of those that a type's devices have; NULL behind the last. */
const struct prop *virtio_type_prop(const struct virtio_type *t, unsigned i);

/* What property @p of those is. */
void virtio_conf_text(const struct virtio_conf *c, const struct prop *p,
		      char *buf, size_t size);

/* All properties of a type, a line each. */
void virtio_type_print(const struct virtio_type *t);

/* Bits that every class offers unless told otherwise. */
#define VIRTIO_COMMON_FEATURES                                       \
	(BIT64(VIRTIO_F_INDIRECT_DESC) | BIT64(VIRTIO_F_EVENT_IDX) | \
	 BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_F_RING_RESET))
/* And those it offers only when asked to. */
#define VIRTIO_EXTRA_FEATURES                                     \
	(BIT64(VIRTIO_F_RING_PACKED) | BIT64(VIRTIO_F_IN_ORDER) | \
	 BIT64(VIRTIO_F_NOTIFICATION_DATA))

#endif
