/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of a header. A tap's kernel takes most of them again; two forms that
 * the specification forbids it lets pass (a tunnel with DATA_VALID, the
 * tunnel's checksum flag without a tunnel), and it never knows what was
 * agreed on.
 */
#include "dev/virtio/nethdr.h"

#define ETH_LEN  14
#define IP4_LEN  20
#define IP6_LEN  40
#define UDP_LEN  8
#define TCP_SUM  16 /* offset of the checksum */
#define UDP_SUM  6
#define KNOWN_TX (NETHDR_NEEDS_CSUM | NETHDR_DATA_VALID | NETHDR_TUNNEL_CSUM)

unsigned nethdr_size(const struct virtio_features *f)
{
	if (features_has(f, NET_F_GUEST_TUNNEL) ||
	    features_has(f, NET_F_HOST_TUNNEL))
		return 24;
	if (features_has(f, NET_F_HASH_REPORT))
		return 20;
	return 12; /* VERSION_1 is always there */
}

/* The feature a GSO type needs, or -1 for an unknown one. */
static int gso_feature(unsigned type)
{
	switch (type) {
	case NETHDR_GSO_TCPV4: return NET_F_HOST_TSO4;
	case NETHDR_GSO_TCPV6: return NET_F_HOST_TSO6;
	case NETHDR_GSO_UDP: return NET_F_HOST_UFO;
	case NETHDR_GSO_UDP_L4: return NET_F_HOST_USO;
	default: return -1;
	}
}

static bool csum_valid(const struct nethdr *h, const struct virtio_features *f,
		       size_t len)
{
	if (!(h->flags & NETHDR_NEEDS_CSUM))
		return true;
	return features_has(f, NET_F_CSUM) &&
	       (size_t)h->csum_start + h->csum_offset + 2 <= len;
}

static bool gso_valid(const struct nethdr *h, const struct virtio_features *f,
		      size_t len)
{
	unsigned type = h->gso_type & ~(NETHDR_TUNNEL | NETHDR_ECN) & 0xff;
	unsigned sum = type == NETHDR_GSO_TCPV4 || type == NETHDR_GSO_TCPV6
			       ? TCP_SUM
			       : UDP_SUM;
	int feature = gso_feature(type);

	if (type == NETHDR_GSO_NONE)
		return !h->gso_type;
	if (feature < 0 || !features_has(f, (unsigned)feature))
		return false;
	if (h->gso_type & NETHDR_ECN && !features_has(f, NET_F_HOST_ECN))
		return false;
	return h->flags & NETHDR_NEEDS_CSUM && h->gso_size &&
	       h->csum_offset == sum && h->hdr_len <= len;
}

static enum nethdr_fault check_tunnel(const struct nethdr *h,
				      const struct virtio_features *f)
{
	unsigned tunnel = h->gso_type & NETHDR_TUNNEL;
	unsigned type = h->gso_type & 0x1f;
	unsigned outer = ETH_LEN +
			 (tunnel == NETHDR_TUNNEL_4 ? IP4_LEN : IP6_LEN);
	unsigned inner = type == NETHDR_GSO_TCPV6 ? IP6_LEN : IP4_LEN;

	if (!tunnel)
		return h->flags & NETHDR_TUNNEL_CSUM ? NETHDR_STRAY_TUNNEL_CSUM
						     : NETHDR_GOOD;
	if (h->flags & NETHDR_DATA_VALID)
		return NETHDR_TUNNEL_DATA_VALID;
	if (tunnel == NETHDR_TUNNEL || !features_has(f, NET_F_HOST_TUNNEL) ||
	    type == NETHDR_GSO_UDP)
		return NETHDR_BAD_TUNNEL;
	if (h->flags & NETHDR_TUNNEL_CSUM &&
	    !features_has(f, NET_F_HOST_TUNNEL_SUM))
		return NETHDR_BAD_TUNNEL;
	return h->outer_th_offset >= outer &&
			       h->inner_nh_offset >=
				       h->outer_th_offset + UDP_LEN &&
			       h->csum_start >= h->inner_nh_offset + inner
		       ? NETHDR_GOOD
		       : NETHDR_BAD_TUNNEL;
}

enum nethdr_fault nethdr_check(const struct nethdr *h,
			       const struct virtio_features *f, size_t len)
{
	if (len < ETH_LEN)
		return NETHDR_SHORT;
	if (!csum_valid(h, f, len))
		return NETHDR_BAD_CSUM;
	if (!gso_valid(h, f, len))
		return NETHDR_BAD_GSO;
	return check_tunnel(h, f);
}

void nethdr_clean(struct nethdr *h)
{
	h->flags &= KNOWN_TX;
	h->num_buffers = 0;
	h->hash[0] = h->hash[1] = 0;
	h->hash_report = h->padding = 0;
	if (!(h->gso_type & NETHDR_TUNNEL))
		h->outer_th_offset = h->inner_nh_offset = 0;
}
