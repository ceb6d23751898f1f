/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One PCI function: header, base address registers, capabilities, INTx and
 * MSI-X. Documents: PCI Local Bus 3.0 "Configuration Space Header Type 0"
 * (6.1) and "MSI-X Capability" (6.8.2). Left out: expansion ROMs, MSI.
 */
#ifndef DEV_PCIFN_H
#define DEV_PCIFN_H

#include <pthread.h>

#include "lib/util.h"

#define PCIFN_BARS     6
#define PCIFN_CONFIG   256
#define MSIX_MAX       128 /* vectors */
#define MSIX_NO_VECTOR 0xffff

struct bus_ops;
struct pci;

struct pcifn_bar {
	uint32_t size; /* a power of two, 0: no such BAR */
	bool io;       /* ports, not memory */
	const struct bus_ops *ops;
	void *ctx;
	bool mapped;
	uint32_t at; /* where it is mapped */
};

struct msix_entry {
	uint64_t address;
	uint32_t data;
	uint32_t control; /* bit 0: masked */
};

/* Who a function is. */
struct pcifn_id {
	uint16_t vendor;
	uint16_t device;
	uint16_t subsystem_vendor;
	uint16_t subsystem;
	uint32_t class; /* 24 bits */
	uint8_t revision;
	bool no_pin; /* it has no interrupt */
};

struct pcifn {
	struct pci *pci;    /* NULL while unplugged */
	unsigned addr;      /* slot * 8 + function */
	bool multifunction; /* function 0 of a slot that may have others */
	uint8_t config[PCIFN_CONFIG];
	uint8_t writable[PCIFN_CONFIG]; /* bits the guest may change */
	struct pcifn_bar bar[PCIFN_BARS];
	unsigned cap_end; /* first free byte for a capability */
	/* Capability registers with a life of their own, or NULL. */
	uint32_t (*read)(struct pcifn *fn, unsigned reg, unsigned size,
			 uint32_t stored);
	void (*written)(struct pcifn *fn, unsigned reg, unsigned size);
	/* BAR @n came onto the bus or left it, or NULL. */
	void (*moved)(struct pcifn *fn, unsigned n);
	/* ---- any thread, under lock ---- */
	pthread_mutex_t lock;
	bool pin;    /* the device asserts its interrupt */
	bool driven; /* and the line was told so */
	unsigned vectors;
	unsigned msix_cap;
	struct msix_entry table[MSIX_MAX];
	uint64_t pending[MSIX_MAX / 64];
};

void pcifn_init(struct pcifn *fn, const struct pcifn_id *id);
void pcifn_exit(struct pcifn *fn);

/* A memory BAR of @size bytes, served by @ops in accesses of 1, 2 and 4. */
void pcifn_add_bar(struct pcifn *fn, unsigned n, uint32_t size,
		   const struct bus_ops *ops, void *ctx);

/* The same for ports; @size at least 4. */
void pcifn_add_port_bar(struct pcifn *fn, unsigned n, uint32_t size,
			const struct bus_ops *ops, void *ctx);

/* Room for a capability of @len bytes with its header; returns its offset. */
unsigned pcifn_add_capability(struct pcifn *fn, uint8_t id, unsigned len);

/* MSI-X with @vectors, its table and pending bits in BAR @bar. */
void pcifn_add_msix(struct pcifn *fn, unsigned bar, unsigned vectors);

uint32_t pcifn_config_read(struct pcifn *fn, unsigned reg, unsigned size);
void pcifn_config_write(struct pcifn *fn, unsigned reg, unsigned size,
			uint32_t val);

/* Others may share the slot; before it is plugged. */
void pcifn_set_multifunction(struct pcifn *fn);

/* Where BAR @n is, decoded or not. */
uint64_t pcifn_bar_address(const struct pcifn *fn, unsigned n);

/* Whether the guest lets it reach memory: data and messages of MSI-X. */
bool pcifn_is_master(const struct pcifn *fn);

/* Take all BARs off the bus. */
void pcifn_unmap(struct pcifn *fn);

/*
 * ---- any thread ----
 */
/* The level of the interrupt pin; not seen while MSI-X is on. */
void pcifn_set_pin(struct pcifn *fn, bool level);
bool pcifn_msix_enabled(struct pcifn *fn);
/* Send vector @vec, or remember it while it is masked or no bus master. */
void pcifn_msix_send(struct pcifn *fn, unsigned vec);

#endif
