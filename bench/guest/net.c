/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's end of network rows: takes one connection after the other and
 * does what its first byte says. The host measures.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

enum { PIECE = 1 << 18 };

static char piece[PIECE];

/* Everything until the peer has no more, then a byte. */
static void take(int s)
{
	while (read(s, piece, PIECE) > 0)
		;
	if (write(s, "", 1) != 1)
		die("no answer");
}

/* Until the peer is gone. */
static void give(int s)
{
	while (send(s, piece, PIECE, MSG_NOSIGNAL) > 0)
		;
}

static void echo(int s)
{
	char byte;

	while (read(s, &byte, 1) == 1 && write(s, &byte, 1) == 1)
		;
}

void net_serve(unsigned port)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
	};
	int listener = socket(AF_INET, SOCK_STREAM, 0), s, one = 1;
	char what;

	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) ||
	    listen(listener, 8))
		die("cannot listen");
	puts("lodge: serving");
	fflush(stdout);
	while ((s = accept(listener, NULL, NULL)) >= 0) {
		setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (read(s, &what, 1) == 1) {
			if (what == 't')
				take(s);
			else if (what == 'g')
				give(s);
			else
				echo(s);
		}
		close(s);
	}
}
