/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check send ADDRESS PORT FILE, check receive PORT FILE: a TCP stream in
 * large pieces, so that the kernel has something to make superpackets of.
 */
#include "check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE = 1 << 20 };

static int send_all(int to, const char *p, ssize_t n)
{
	while (n > 0) {
		ssize_t done = write(to, p, (size_t)n);

		if (done <= 0)
			FAIL("the stream broke");
		p += done;
		n -= done;
	}
	return 0;
}

int check_receive(const char *port, const char *path)
{
	static char piece[PIECE];
	/* Of either family. */
	struct sockaddr_in6 at = {
		.sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)atoi(port)),
	};
	int listener = socket(AF_INET6, SOCK_STREAM, 0), s, one = 1;
	int to = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ssize_t n;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) ||
	    listen(listener, 1))
		FAIL("cannot listen");
	s = accept(listener, NULL, NULL);
	while ((n = read(s, piece, PIECE)) > 0)
		if (write(to, piece, (size_t)n) != n)
			FAIL("cannot write");
	close(listener);
	return n < 0 || close(s) || close(to);
}

static int connect_to(const char *address, const char *port)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port)),
	};
	struct sockaddr_in6 to6 = {
		.sin6_family = AF_INET6,
		.sin6_port = to.sin_port,
	};
	int six = inet_pton(AF_INET6, address, &to6.sin6_addr) == 1;
	int s = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, address, &to.sin_addr);
	if (connect(s, six ? (struct sockaddr *)&to6 : (struct sockaddr *)&to,
		    six ? sizeof(to6) : sizeof(to)))
		return -1;
	return s;
}

int check_send(const char *address, const char *port, const char *path)
{
	static char piece[PIECE];
	int from = open(path, O_RDONLY), s = connect_to(address, port);
	ssize_t n;

	if (from < 0 || s < 0)
		FAIL("no connection or no file");
	while ((n = read(from, piece, PIECE)) > 0)
		if (send_all(s, piece, n))
			return 1;
	return close(s);
}
