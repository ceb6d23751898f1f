/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which frames a network card takes: by address and by VLAN, as its driver
 * said on the control queue.
 */
#ifndef DEV_VIRTIO_NETFILTER_H
#define DEV_VIRTIO_NETFILTER_H

#include "lib/util.h"

#define NETFILTER_MACS 64

struct netfilter {
	uint8_t mac[6];
	bool promisc, all_multi, all_uni, no_multi, no_uni, no_broadcast;
	bool vlans_on; /* the driver names the VLANs it wants */
	unsigned uni, multi;
	bool multi_overflow; /* more than fit: take all */
	bool uni_overflow;
	uint8_t table[NETFILTER_MACS][6]; /* uni, then multi */
	uint32_t vlan[4096 / 32];
};

/* As after a reset: own address, broadcast, all VLANs. */
void netfilter_reset(struct netfilter *f, const uint8_t mac[6], bool rx_modes,
		     bool vlans);

/* RX class command @cmd with its byte; false for an unknown one. */
bool netfilter_mode(struct netfilter *f, unsigned cmd, bool on);

/* Two lists of addresses, each with its count before it; false if bad. */
bool netfilter_table(struct netfilter *f, const uint8_t *p, size_t len);

void netfilter_vlan(struct netfilter *f, unsigned id, bool on);

/* Whether the card takes the frame at @p. */
bool netfilter_takes(const struct netfilter *f, const uint8_t *p, size_t len);

#endif
