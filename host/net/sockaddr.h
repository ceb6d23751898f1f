/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets by what an operator calls them.
 */
#ifndef HOST_NET_SOCKADDR_H
#define HOST_NET_SOCKADDR_H

#include <sys/socket.h>

#include "host/net/net.h"

struct net_sockaddr {
	struct sockaddr_storage ss;
	socklen_t len;
};

/* Look @a up, for a socket of @type (SOCK_STREAM, SOCK_DGRAM). */
int sockaddr_find(struct net_sockaddr *out, const struct net_addr *a, int type,
		  struct err *e) __must_check;

/* "10.0.0.1:22", "a path", for messages. */
const char *sockaddr_print(const struct net_addr *a, char *buf, size_t size);

/* A listening stream socket that does not block, or -errno. */
int sockaddr_listen(const struct net_addr *a, struct err *e) __must_check;

/* Who is at the other end of @fd, by number; NET_ADDR_NONE: nobody. */
void sockaddr_peer(int fd, struct net_addr *peer);

/* Make @fd one that does not block and is not inherited; 0 or -errno. */
int sockaddr_adopt(int fd) __must_check;

#endif
