/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Consecutive segments of a TCP stream put together into one frame with a
 * virtio-net header that says so, and checksums that such a header leaves
 * open. For backends whose other end knows neither.
 */
#ifndef HOST_NET_GRO_H
#define HOST_NET_GRO_H

#include "lib/util.h"

#define GRO_HEADER 24    /* bytes of the largest virtio-net header */
#define GRO_FRAME  65550 /* Ethernet header, and as long as IP can say */

struct gro {
	/* What the receiver takes. */
	bool csum, tso4, tso6;
	/* ---- the frame under way ---- */
	unsigned segments; /* 0: none */
	bool last;         /* nothing can follow in it */
	size_t len;
	unsigned ip, tcp, data; /* offsets; data 0: not TCP to be merged */
	unsigned size;          /* data of a segment */
	uint32_t next_seq;
	uint8_t bytes[GRO_HEADER + GRO_FRAME]; /* the header ends at 24 */
};

/* Begin with a frame of at most GRO_FRAME bytes; nothing is under way. */
void gro_start(struct gro *g, const uint8_t *p, size_t len);

/* Add it to the one under way, if it is the next of its stream. */
bool gro_append(struct gro *g, const uint8_t *p, size_t len);

/*
 * End it: what the receiver gets, @header bytes of header first, and its
 * length in *@len. Nothing is under way then.
 */
uint8_t *gro_finish(struct gro *g, unsigned header, size_t *len);

/*
 * Whether it is TCP of a connection that stands, data or an acknowledgement,
 * as far as flags can tell.
 */
bool gro_is_segment(const uint8_t *p, size_t len);

/*
 * Do what the virtio-net header at @header leaves to be done to the frame:
 * the checksum. False when it asks for anything that cannot be done here.
 */
bool gro_complete(const uint8_t *header, uint8_t *p, size_t len);

#endif
