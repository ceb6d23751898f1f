/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header before every frame of a network card, and what it may say.
 * Document: Virtual I/O Device 1.4 "Device Operation" of the network device
 * (5.1.6). The tunnel bits name the outer IP version. Left out: the fields of
 * IPsec and out-of-band headers.
 */
#ifndef DEV_VIRTIO_NETHDR_H
#define DEV_VIRTIO_NETHDR_H

#include "dev/virtio/features.h"

#define NET_F_CSUM             0
#define NET_F_GUEST_CSUM       1
#define NET_F_GUEST_OFFLOADS   2
#define NET_F_MTU              3
#define NET_F_MAC              5
#define NET_F_GUEST_TSO4       7
#define NET_F_GUEST_TSO6       8
#define NET_F_GUEST_ECN        9
#define NET_F_GUEST_UFO        10
#define NET_F_HOST_TSO4        11
#define NET_F_HOST_TSO6        12
#define NET_F_HOST_ECN         13
#define NET_F_HOST_UFO         14
#define NET_F_MRG_RXBUF        15
#define NET_F_STATUS           16
#define NET_F_CTRL_VQ          17
#define NET_F_CTRL_RX          18
#define NET_F_CTRL_VLAN        19
#define NET_F_CTRL_RX_EXTRA    20
#define NET_F_ANNOUNCE         21
#define NET_F_MQ               22
#define NET_F_CTRL_MAC         23
#define NET_F_GUEST_USO4       54
#define NET_F_GUEST_USO6       55
#define NET_F_HOST_USO         56
#define NET_F_HASH_REPORT      57
#define NET_F_RSS              60
#define NET_F_SPEED_DUPLEX     63
#define NET_F_GUEST_TUNNEL     65
#define NET_F_GUEST_TUNNEL_SUM 66
#define NET_F_HOST_TUNNEL      67
#define NET_F_HOST_TUNNEL_SUM  68

#define NETHDR_NEEDS_CSUM  BIT(0)
#define NETHDR_DATA_VALID  BIT(1)
#define NETHDR_TUNNEL_CSUM BIT(3)

#define NETHDR_GSO_NONE   0
#define NETHDR_GSO_TCPV4  1
#define NETHDR_GSO_UDP    3
#define NETHDR_GSO_TCPV6  4
#define NETHDR_GSO_UDP_L4 5
#define NETHDR_TUNNEL_4   0x20
#define NETHDR_TUNNEL_6   0x40
#define NETHDR_TUNNEL     0x60
#define NETHDR_ECN        0x80

struct nethdr {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint16_t num_buffers;
	uint16_t hash[2];
	uint16_t hash_report;
	uint16_t padding;
	uint16_t outer_th_offset;
	uint16_t inner_nh_offset;
};

_Static_assert(sizeof(struct nethdr) == 24, "the largest header");

/* The header's size once @f is agreed on. */
unsigned nethdr_size(const struct virtio_features *f);

/* What is wrong with a header. */
enum nethdr_fault {
	NETHDR_GOOD,
	NETHDR_SHORT, /* no room for an Ethernet header */
	NETHDR_BAD_CSUM,
	NETHDR_BAD_GSO,
	NETHDR_BAD_TUNNEL,
	/* The two that a tap would let pass. */
	NETHDR_TUNNEL_DATA_VALID,
	NETHDR_STRAY_TUNNEL_CSUM,
	NETHDR_FAULTS
};

/*
 * Whether a driver that agreed on @f may send a frame of @len bytes with @h.
 * Fields beyond the size of its header must be zero.
 */
enum nethdr_fault nethdr_check(const struct nethdr *h,
			       const struct virtio_features *f, size_t len);

/* Clear what means nothing to the receiver of @h: unknown flags, leftovers. */
void nethdr_clean(struct nethdr *h);

#endif
