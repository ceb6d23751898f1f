/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modes, address table and VLAN bitmap. A card without a control queue takes
 * every frame, as its driver cannot say what it wants.
 */
#include "dev/virtio/netfilter.h"

#include <string.h>

#define TYPE_VLAN 0x8100

void netfilter_reset(struct netfilter *f, const uint8_t mac[6], bool rx_modes,
		     bool vlans)
{
	*f = (struct netfilter){.promisc = !rx_modes, .vlans_on = vlans};
	memcpy(f->mac, mac, 6);
}

bool netfilter_mode(struct netfilter *f, unsigned cmd, bool on)
{
	bool *const mode[] = {&f->promisc,  &f->all_multi, &f->all_uni,
			      &f->no_multi, &f->no_uni,    &f->no_broadcast};

	if (cmd >= ARRAY_SIZE(mode))
		return false;
	*mode[cmd] = on;
	return true;
}

/* One list: its addresses at *@p, which moves behind it; -1 if cut off. */
static long take_list(const uint8_t **p, size_t *len)
{
	uint32_t n;

	if (*len < 4)
		return -1;
	memcpy(&n, *p, 4);
	*p += 4;
	*len -= 4;
	if (n > *len / 6)
		return -1;
	*p += (size_t)n * 6;
	*len -= (size_t)n * 6;
	return (long)n;
}

bool netfilter_table(struct netfilter *f, const uint8_t *p, size_t len)
{
	const uint8_t *uni = p + 4, *multi;
	long uni_n = take_list(&p, &len), multi_n;

	if (uni_n < 0)
		return false;
	multi = p + 4;
	multi_n = take_list(&p, &len);
	if (multi_n < 0 || len)
		return false;
	f->uni_overflow = uni_n > NETFILTER_MACS;
	f->uni = f->uni_overflow ? 0 : (unsigned)uni_n;
	f->multi_overflow = multi_n > (long)(NETFILTER_MACS - f->uni);
	f->multi = f->multi_overflow ? 0 : (unsigned)multi_n;
	memcpy(f->table, uni, f->uni * 6);
	memcpy(f->table + f->uni, multi, f->multi * 6);
	return true;
}

void netfilter_vlan(struct netfilter *f, unsigned id, bool on)
{
	f->vlan[id / 32 % 128] &= ~BIT(id % 32);
	f->vlan[id / 32 % 128] |= (uint32_t)on << id % 32;
}

static bool listed(const struct netfilter *f, const uint8_t *mac,
		   unsigned first, unsigned n)
{
	for (; n; n--, first++)
		if (!memcmp(f->table[first], mac, 6))
			return true;
	return false;
}

static bool takes_vlan(const struct netfilter *f, const uint8_t *p, size_t len)
{
	unsigned id;

	if (!f->vlans_on || len < 16 || (p[12] << 8 | p[13]) != TYPE_VLAN)
		return true;
	id = (p[14] << 8 | p[15]) & 0xfffU;
	return f->vlan[id / 32] >> id % 32 & 1;
}

bool netfilter_takes(const struct netfilter *f, const uint8_t *p, size_t len)
{
	static const uint8_t broadcast[6] = {255, 255, 255, 255, 255, 255};

	if (len < 14)
		return false;
	if (f->promisc)
		return true;
	if (!takes_vlan(f, p, len))
		return false;
	if (!memcmp(p, broadcast, 6))
		return !f->no_broadcast;
	if (p[0] & 1)
		return !f->no_multi && (f->all_multi || f->multi_overflow ||
					listed(f, p, f->uni, f->multi));
	return !f->no_uni && (f->all_uni || f->uni_overflow ||
			      !memcmp(p, f->mac, 6) || listed(f, p, 0, f->uni));
}
