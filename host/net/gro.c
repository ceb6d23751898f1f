/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IPv4 without options and IPv6 without extension headers; TCP with the same
 * options in all segments. All segments but the last are of one length, as the
 * header can name only one.
 */
#include "host/net/gro.h"

#include <arpa/inet.h>
#include <linux/virtio_net.h>
#include <string.h>

#define ETH_LEN   14
#define IP4_LEN   20
#define IP6_LEN   40
#define TCP_LEN   20
#define TCP_SUM   16 /* offsets in the header */
#define TCP_FLAGS 13
#define TCP_ACK   0x10
#define TCP_PSH   0x08
#define PROTO_TCP 6

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint8_t *frame_of(struct gro *g)
{
	return g->bytes + GRO_HEADER;
}

/* ---- checksums ---- */

static uint64_t sum_add(uint64_t sum, const uint8_t *p, size_t len)
{
	uint32_t word;
	uint16_t half;

	for (; len >= 4; len -= 4, p += 4) {
		memcpy(&word, p, 4);
		sum += word;
	}
	if (len >= 2) {
		memcpy(&half, p, 2);
		sum += half;
		p += 2;
		len -= 2;
	}
	return len ? sum + *p : sum;
}

/* Both in the order of memory, whichever that is. */
static uint16_t sum_fold(uint64_t sum)
{
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

bool gro_complete(const uint8_t *header, uint8_t *p, size_t len)
{
	struct virtio_net_hdr_v1 h;
	size_t at;
	uint16_t sum;

	memcpy(&h, header, sizeof(h));
	if (h.gso_type && h.gso_type != VIRTIO_NET_HDR_GSO_TCPV4 &&
	    h.gso_type != VIRTIO_NET_HDR_GSO_TCPV6)
		return false;
	if (!(h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return !h.gso_type;
	at = (size_t)h.csum_start + h.csum_offset;
	if (at + 2 > len)
		return false;
	sum = (uint16_t)~sum_fold(
		sum_add(0, p + h.csum_start, len - h.csum_start));
	/* UDP has no checksum 0: it would be none. */
	if (!sum && h.csum_offset == 6)
		sum = 0xffff;
	memcpy(p + at, &sum, 2);
	return true;
}

/* ---- segments ---- */

static bool is_ipv4(const struct gro *g)
{
	return g->tcp == ETH_LEN + IP4_LEN;
}

/* Where the frame ends by what IP says; it may be padded. */
static size_t ip_end(const struct gro *g, const uint8_t *p)
{
	return is_ipv4(g) ? ETH_LEN + be16(p + g->ip + 2)
			  : ETH_LEN + IP6_LEN + be16(p + g->ip + 4);
}

/* Where TCP begins, behind IP without options, in one piece; 0: nowhere. */
static unsigned find_tcp(const uint8_t *p, size_t len)
{
	unsigned type = len >= ETH_LEN ? be16(p + 12) : 0;
	const uint8_t *ip = p + ETH_LEN;

	if (type == 0x0800 && len >= ETH_LEN + IP4_LEN + TCP_LEN &&
	    ip[0] == 0x45 && ip[9] == PROTO_TCP && !(be16(ip + 6) & 0x3fff))
		return ETH_LEN + IP4_LEN;
	if (type == 0x86dd && len >= ETH_LEN + IP6_LEN + TCP_LEN &&
	    ip[0] >> 4 == 6 && ip[6] == PROTO_TCP)
		return ETH_LEN + IP6_LEN;
	return 0;
}

/* No flag but ACK and PSH. */
static bool plain_flags(const uint8_t *tcp)
{
	return (tcp[TCP_FLAGS] & ~TCP_PSH) == TCP_ACK;
}

bool gro_is_segment(const uint8_t *p, size_t len)
{
	unsigned tcp = find_tcp(p, len);

	return tcp && plain_flags(p + tcp);
}

/* Find the parts of a frame that can be one of several; false: it cannot. */
static bool find_parts(struct gro *g, const uint8_t *p, size_t len)
{
	g->ip = ETH_LEN;
	g->tcp = find_tcp(p, len);
	if (!g->tcp || !(is_ipv4(g) ? g->tso4 : g->tso6))
		return false;
	g->data = g->tcp + (p[g->tcp + 12] >> 4) * 4U;
	return ip_end(g, p) == len && g->data >= g->tcp + TCP_LEN &&
	       g->data < len && plain_flags(p + g->tcp);
}

void gro_start(struct gro *g, const uint8_t *p, size_t len)
{
	memcpy(frame_of(g), p, len);
	g->len = len;
	g->segments = 1;
	g->last = true;
	if (!find_parts(g, p, len)) {
		g->data = 0;
		return;
	}
	g->size = (unsigned)(len - g->data);
	g->next_seq = be32(p + g->tcp + 4) + g->size;
	g->last = p[g->tcp + TCP_FLAGS] & TCP_PSH;
}

static bool same(const struct gro *g, const uint8_t *p, unsigned from,
		 unsigned to)
{
	return !memcmp(g->bytes + GRO_HEADER + from, p + from, to - from);
}

/* All that must not differ between two segments of one frame. */
static bool same_stream(const struct gro *g, const uint8_t *p)
{
	unsigned tcp = g->tcp;

	if (!same(g, p, 0, g->ip + 2)) /* addresses, type of service */
		return false;
	if (is_ipv4(g)) {
		if (!same(g, p, g->ip + 6, g->ip + 10) ||
		    !same(g, p, g->ip + 12, tcp))
			return false;
	} else if (!same(g, p, g->ip + 2, g->ip + 4) ||
		   !same(g, p, g->ip + 6, tcp)) {
		return false;
	}
	/* Ports; what is acknowledged, options' length; window; options. */
	return same(g, p, tcp, tcp + 4) && same(g, p, tcp + 8, tcp + 13) &&
	       same(g, p, tcp + 14, tcp + 16) && same(g, p, tcp + 18, g->data);
}

bool gro_append(struct gro *g, const uint8_t *p, size_t len)
{
	size_t size;

	if (!g->segments || g->last || len <= g->data)
		return false;
	size = len - g->data;
	if (size > g->size || g->len + size > GRO_FRAME || !same_stream(g, p) ||
	    be32(p + g->tcp + 4) != g->next_seq ||
	    (p[g->tcp + TCP_FLAGS] & ~TCP_PSH) != TCP_ACK)
		return false;
	if (ip_end(g, p) != len)
		return false;
	memcpy(frame_of(g) + g->len, p + g->data, size);
	g->len += size;
	g->next_seq += (uint32_t)size;
	g->segments++;
	frame_of(g)[g->tcp + TCP_FLAGS] |= p[g->tcp + TCP_FLAGS] & TCP_PSH;
	g->last = size < g->size || p[g->tcp + TCP_FLAGS] & TCP_PSH;
	return true;
}

/* Lengths and checksums of the whole; the transport's stays open. */
static void make_whole(struct gro *g)
{
	uint8_t *ip = frame_of(g) + g->ip, *tcp = frame_of(g) + g->tcp;
	size_t len = g->len - g->tcp;
	uint64_t sum = htons(PROTO_TCP) + (uint64_t)htons((uint16_t)len);
	uint16_t folded;

	if (is_ipv4(g)) {
		put16(ip + 2, (unsigned)(g->len - g->ip));
		memset(ip + 10, 0, 2);
		folded = (uint16_t)~sum_fold(sum_add(0, ip, IP4_LEN));
		memcpy(ip + 10, &folded, 2);
		sum = sum_add(sum, ip + 12, 8);
	} else {
		put16(ip + 4, (unsigned)len);
		sum = sum_add(sum, ip + 8, 32);
	}
	folded = sum_fold(sum);
	memcpy(tcp + TCP_SUM, &folded, 2);
}

uint8_t *gro_finish(struct gro *g, unsigned header, size_t *len)
{
	struct virtio_net_hdr_v1 h = {0};

	if (g->segments > 1) {
		make_whole(g);
		h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h.gso_type = is_ipv4(g) ? VIRTIO_NET_HDR_GSO_TCPV4
					: VIRTIO_NET_HDR_GSO_TCPV6;
		h.hdr_len = (uint16_t)g->data;
		h.gso_size = (uint16_t)g->size;
		h.csum_start = (uint16_t)g->tcp;
		h.csum_offset = TCP_SUM;
	} else if (g->csum) {
		/* From this process: nothing can have happened to it. */
		h.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	}
	g->segments = 0;
	*len = g->len + header;
	memset(g->bytes, 0, GRO_HEADER);
	memcpy(g->bytes + GRO_HEADER - header, &h,
	       MIN(header, (unsigned)sizeof(h)));
	return g->bytes + GRO_HEADER - header;
}
