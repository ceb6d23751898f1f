/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check feature INTERFACE NAME [on|off]: says what ethtool -k does of one
 * feature, after setting it.
 */
#include "check.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { FEATURES = 256, BLOCKS = FEATURES / 32 };

static int call(const char *name, void *arg)
{
	struct ifreq ifr = {.ifr_data = arg};
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	return ioctl(s, SIOCETHTOOL, &ifr);
}

/* The number of a feature, -1: there is none of that name. */
static int find(const char *name, const char *feature)
{
	struct {
		struct ethtool_gstrings head;
		char text[FEATURES][ETH_GSTRING_LEN];
	} s = {.head = {ETHTOOL_GSTRINGS, ETH_SS_FEATURES, 0}};
	unsigned i;

	if (call(name, &s))
		return -1;
	for (i = 0; i < s.head.len && i < FEATURES; i++)
		if (!strncmp(s.text[i], feature, ETH_GSTRING_LEN))
			return (int)i;
	return -1;
}

int check_feature(const char *name, const char *feature, const char *set)
{
	struct {
		struct ethtool_gfeatures head;
		struct ethtool_get_features_block b[BLOCKS];
	} g = {.head = {ETHTOOL_GFEATURES, BLOCKS}};
	struct {
		struct ethtool_sfeatures head;
		struct ethtool_set_features_block b[BLOCKS];
	} s = {.head = {ETHTOOL_SFEATURES, 0}};
	int at = find(name, feature);
	unsigned bit;

	if (at < 0)
		FAIL("no feature of that name");
	bit = 1U << at % 32;
	s.b[at / 32].valid = bit;
	s.b[at / 32].requested = set && !strcmp(set, "on") ? bit : 0;
	/* As many words as the kernel has, or it takes none. */
	if (call(name, &g))
		FAIL("it cannot be read");
	s.head.size = g.head.size;
	if (set && (call(name, &s) < 0 || call(name, &g)))
		FAIL("it cannot be set");
	printf("feature %s %s%s\n", feature,
	       g.b[at / 32].active & bit ? "on" : "off",
	       g.b[at / 32].available & bit &&
			       !(g.b[at / 32].never_changed & bit)
		       ? ""
		       : " [fixed]");
	return 0;
}
