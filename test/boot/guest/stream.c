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
	struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port)),
	};
	int listener = socket(AF_INET, SOCK_STREAM, 0), s;
	int to = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ssize_t n;

	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) ||
	    listen(listener, 1))
		FAIL("cannot listen");
	s = accept(listener, NULL, NULL);
	while ((n = read(s, piece, PIECE)) > 0)
		if (write(to, piece, (size_t)n) != n)
			FAIL("cannot write");
	return n < 0 || close(s) || close(to);
}

int check_send(const char *address, const char *port, const char *path)
{
	static char piece[PIECE];
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port)),
	};
	int from = open(path, O_RDONLY), s = socket(AF_INET, SOCK_STREAM, 0);
	ssize_t n;

	inet_pton(AF_INET, address, &to.sin_addr);
	if (from < 0 || connect(s, (struct sockaddr *)&to, sizeof(to)))
		FAIL("no connection or no file");
	while ((n = read(from, piece, PIECE)) > 0)
		if (send_all(s, piece, n))
			return 1;
	return close(s);
}
