/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hash of a received frame and the queue it chooses. Document: Virtual
 * I/O Device 1.4 "Processing of Incoming Packets", "Hash calculation for
 * incoming packets" and "Receive-side scaling (RSS)". Left out: the hash types
 * with addresses from IPv6 options, hashes of what a tunnel carries.
 */
#ifndef DEV_VIRTIO_NETHASH_H
#define DEV_VIRTIO_NETHASH_H

#include "lib/util.h"

#define NETHASH_KEY   40
#define NETHASH_TABLE 128

#define NETHASH_IPV4  BIT(0)
#define NETHASH_TCPV4 BIT(1)
#define NETHASH_UDPV4 BIT(2)
#define NETHASH_IPV6  BIT(3)
#define NETHASH_TCPV6 BIT(4)
#define NETHASH_UDPV6 BIT(5)
#define NETHASH_TYPES 0x3fU /* all we have */

struct nethash {
	uint32_t types; /* to be hashed; others have none */
	uint8_t key[NETHASH_KEY];
	/* ---- queues ---- */
	bool steers; /* the table chooses them */
	uint16_t mask;
	uint16_t fallback; /* pair of frames without a hash */
	uint16_t table[NETHASH_TABLE];
};

/* Nothing is hashed, nothing steered. */
void nethash_reset(struct nethash *h);

/*
 * The driver's command, with its table of queues when @steers: false, and
 * nothing changed, when it is not one for a card with @pairs pairs of queues.
 */
bool nethash_config(struct nethash *h, bool steers, const uint8_t *p,
		    size_t len, unsigned pairs);

/* The frame's hash; what it was made of (a report's number), 0: none. */
unsigned nethash_frame(const struct nethash *h, const uint8_t *p, size_t len,
		       uint32_t *hash);

/* The pair of queues for it. */
unsigned nethash_pair(const struct nethash *h, unsigned report, uint32_t hash);

#endif
