/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hash is Toeplitz': for each bit of the input that is set, the 32 bits of
 * the key that begin there, taken together by exclusive or.
 */
#include "dev/virtio/nethash.h"

#include <string.h>

#define ETH_LEN    14
#define TYPE_IPV4  0x0800
#define TYPE_IPV6  0x86dd
#define TYPE_VLAN  0x8100
#define TYPE_QINQ  0x88a8
#define PROTO_TCP  6
#define PROTO_UDP  17
#define INPUT_MAX  36 /* two IPv6 addresses, two ports */
#define EXTENSIONS 8  /* headers before the transport's */

void nethash_reset(struct nethash *h)
{
	*h = (struct nethash){.types = 0};
}

static uint16_t le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/*
 * The table between types and key: mask, fallback, entries, transmit queues;
 * where it ends, or 0.
 */
static size_t take_table(struct nethash *h, const uint8_t *p, size_t len,
			 unsigned pairs)
{
	size_t at = 4, i, n;

	if (len < at + 4)
		return 0;
	h->mask = le16(p + at);
	h->fallback = le16(p + at + 2);
	at += 4;
	n = h->mask + 1U;
	if (n > NETHASH_TABLE || n & (n - 1) || len < at + 2 * n + 2 ||
	    h->fallback >= pairs)
		return 0;
	for (i = 0; i < n; i++, at += 2) {
		h->table[i] = le16(p + at);
		if (h->table[i] >= pairs)
			return 0;
	}
	n = le16(p + at);
	return n && n <= pairs ? at + 2 : 0;
}

bool nethash_config(struct nethash *h, bool steers, const uint8_t *p,
		    size_t len, unsigned pairs)
{
	struct nethash new = {.steers = steers};
	uint32_t types;
	size_t at;

	/* Without a table four reserved words stand in its place. */
	at = steers ? take_table(&new, p, len, pairs) : 4 + 8;
	if (!at || len < at + 1)
		return false;
	memcpy(&types, p, 4);
	new.types = types;
	/* No type at all turns it off, whatever the key. */
	if (types & ~NETHASH_TYPES || p[at] > NETHASH_KEY ||
	    len != at + 1 + p[at] || (types && p[at] != NETHASH_KEY))
		return false;
	memcpy(new.key, p + at + 1, p[at]);
	*h = new;
	return true;
}

static uint32_t toeplitz(const uint8_t *key, const uint8_t *in, unsigned len)
{
	uint64_t window = 0;
	uint32_t hash = 0;
	unsigned i, bit;

	for (i = 0; i < 4; i++)
		window = window << 8 | key[i];
	for (i = 0; i < len; i++) {
		window = window << 8 | key[i + 4];
		for (bit = 0; bit < 8; bit++)
			if (in[i] & 0x80 >> bit)
				hash ^= (uint32_t)(window >> (8 - bit));
	}
	return hash;
}

/* What a frame is as far as hashes go. */
struct flow {
	bool ipv6;
	uint8_t proto; /* 0: none that has ports here */
	const uint8_t *addr;
	const uint8_t *ports;
};

static bool find_ipv4(struct flow *f, const uint8_t *p, size_t len)
{
	unsigned head;

	if (len < 20 || p[0] >> 4 != 4)
		return false;
	head = (p[0] & 0xf) * 4U;
	f->addr = p + 12;
	/* A fragment has no ports, or none that can be trusted. */
	if (head < 20 || be16(p + 6) & 0x3fff || len < head + 4)
		return true;
	f->proto = p[9];
	f->ports = p + head;
	return true;
}

static bool find_ipv6(struct flow *f, const uint8_t *p, size_t len)
{
	size_t at = 40;
	uint8_t next;
	unsigned i;

	if (len < at || p[0] >> 4 != 6)
		return false;
	f->ipv6 = true;
	f->addr = p + 8;
	next = p[6];
	/* Hop-by-hop options, routing, destination options. */
	for (i = 0; i < EXTENSIONS && (!next || next == 43 || next == 60);
	     i++) {
		if (len < at + 8)
			return true;
		next = p[at];
		at += 8 + p[at + 1] * 8U;
	}
	if (len < at + 4)
		return true;
	f->proto = next;
	f->ports = p + at;
	return true;
}

static bool find_flow(struct flow *f, const uint8_t *p, size_t len)
{
	size_t at = ETH_LEN;
	unsigned type, tags;

	*f = (struct flow){0};
	for (tags = 0; tags < 3 && len >= at; tags++, at += 4) {
		type = be16(p + at - 2);
		if (type == TYPE_IPV4)
			return find_ipv4(f, p + at, len - at);
		if (type == TYPE_IPV6)
			return find_ipv6(f, p + at, len - at);
		if (type != TYPE_VLAN && type != TYPE_QINQ)
			break;
	}
	return false;
}

unsigned nethash_frame(const struct nethash *h, const uint8_t *p, size_t len,
		       uint32_t *hash)
{
	uint8_t in[INPUT_MAX];
	unsigned addrs, shift, type = 0;
	struct flow f;

	*hash = 0;
	if (!h->types || !find_flow(&f, p, len))
		return 0;
	addrs = f.ipv6 ? 32 : 8;
	shift = f.ipv6 ? 3 : 0; /* IPv6's types follow IPv4's */
	if (f.proto == PROTO_TCP && h->types & NETHASH_TCPV4 << shift)
		type = 1;
	else if (f.proto == PROTO_UDP && h->types & NETHASH_UDPV4 << shift)
		type = 2;
	else if (!(h->types & NETHASH_IPV4 << shift))
		return 0;
	memcpy(in, f.addr, addrs);
	if (type)
		memcpy(in + addrs, f.ports, 4);
	*hash = toeplitz(h->key, in, type ? addrs + 4 : addrs);
	return 1 + shift + type;
}

unsigned nethash_pair(const struct nethash *h, unsigned report, uint32_t hash)
{
	return report ? h->table[hash & h->mask] : h->fallback;
}
