/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of the server that knows the messages by itself: what Linux's
 * client asks, what it never would, and messages that are noise.
 */
#include "host/p9/p9.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SIZE 65536

enum {
	STATFS = 8,
	LOPEN = 12,
	LCREATE = 14,
	SYMLINK = 16,
	MKNOD = 18,
	RENAME = 20,
	READLINK = 22,
	GETATTR = 24,
	SETATTR = 26,
	XATTRWALK = 30,
	XATTRCREATE = 32,
	READDIR = 40,
	FSYNC = 50,
	LOCK = 52,
	GETLOCK = 54,
	LINK = 70,
	MKDIR = 72,
	RENAMEAT = 74,
	UNLINKAT = 76,
	VERSION = 100,
	AUTH = 102,
	ATTACH = 104,
	FLUSH = 108,
	WALK = 110,
	READ = 116,
	WRITE = 118,
	CLUNK = 120,
	REMOVE = 122,
};

struct client {
	char top[32];  /* the folder of the test */
	char path[48]; /* exported: a folder in it */
	struct p9_export *x;
	struct p9_session *s;
	uint8_t in[SIZE], out[SIZE];
	size_t len; /* of out */
	size_t at;  /* what was looked at in out */
};

/* ---- messages ---- */

static void put(struct client *c, uint64_t val, unsigned size)
{
	memcpy(c->in + c->len, &val, size);
	c->len += size;
}

/* b, w, d, q: numbers of 1 to 8 bytes; s: a string; z: bytes and length. */
static void put_all(struct client *c, const char *format, va_list ap)
{
	const char *text;
	size_t n;

	for (; *format; format++) {
		switch (*format) {
		case 'b': put(c, va_arg(ap, unsigned), 1); break;
		case 'w': put(c, va_arg(ap, unsigned), 2); break;
		case 'd': put(c, va_arg(ap, unsigned), 4); break;
		case 'q': put(c, va_arg(ap, uint64_t), 8); break;
		case 's':
			text = va_arg(ap, const char *);
			put(c, strlen(text), 2);
			memcpy(c->in + c->len, text, strlen(text));
			c->len += strlen(text);
			break;
		case 'z':
			text = va_arg(ap, const char *);
			n = va_arg(ap, size_t);
			memcpy(c->in + c->len, text, n);
			c->len += n;
			break;
		default: fail();
		}
	}
}

/* 0, or -errno as the server says it. In odd pieces, as rings have them. */
static int ask(struct client *c, unsigned type, const char *format, ...)
{
	struct iovec in[3], out[3] = {{c->out, 5},
				      {c->out + 5, 8},
				      {c->out + 13, SIZE - 13}};
	uint32_t len, err;
	va_list ap;

	c->len = 7;
	va_start(ap, format);
	put_all(c, format, ap);
	va_end(ap);
	len = (uint32_t)c->len;
	memcpy(c->in, &len, 4);
	c->in[4] = (uint8_t)type;
	memcpy(c->in + 5, "\x12\x34", 2);
	in[0] = (struct iovec){c->in, 3};
	in[1] = (struct iovec){c->in + 3, 4};
	in[2] = (struct iovec){c->in + 7, c->len - 7};
	c->len = p9_handle(c->s, in, 3, out, 3);
	c->at = 7;
	memcpy(&len, c->out, 4);
	assert_int_equal(len, c->len);
	assert_memory_equal(c->out + 5, "\x12\x34", 2);
	if (c->out[4] == 7) {
		memcpy(&err, c->out + 7, 4);
		assert_in_range(err, 1, 4095);
		return -(int)err;
	}
	assert_int_equal(c->out[4], type + 1);
	return 0;
}

static uint64_t get(struct client *c, unsigned size)
{
	uint64_t val = 0;

	assert_true(c->at + size <= c->len);
	memcpy(&val, c->out + c->at, size);
	c->at += size;
	return val;
}

static void get_text(struct client *c, char *text)
{
	size_t n = get(c, 2);

	assert_true(c->at + n <= c->len && n < 256);
	memcpy(text, c->out + c->at, n);
	text[n] = '\0';
	c->at += n;
}

/* ---- the folder ---- */

static struct client *start(enum p9_security security, bool read_only)
{
	struct client *c = calloc(1, sizeof(*c));
	struct p9_options o = {.security = security, .read_only = read_only};
	struct err e = {0};
	char secret[64];
	int fd;

	assert_non_null(c);
	strcpy(c->top, "/tmp/p9_test.XXXXXX");
	assert_non_null(mkdtemp(c->top));
	snprintf(c->path, sizeof(c->path), "%s/out", c->top);
	assert_int_equal(mkdir(c->path, 0755), 0);
	snprintf(secret, sizeof(secret), "%s/secret", c->top);
	fd = open(secret, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "secret", 6), 6);
	close(fd);
	o.path = c->path;
	c->x = p9_export_open(&o, &e);
	assert_non_null(c->x);
	c->s = p9_session_new(c->x);
	assert_non_null(c->s);
	assert_int_equal(ask(c, GETATTR, "dq", 0, 0ULL), -EPROTO);
	assert_int_equal(ask(c, VERSION, "ds", SIZE, "9P2000.L"), 0);
	assert_int_equal(get(c, 4), SIZE);
	assert_int_equal(ask(c, ATTACH, "ddssd", 1, -1, "u", "", getuid()), 0);
	assert_int_equal(get(c, 1), 0x80);
	return c;
}

static void stop(struct client *c)
{
	char command[64];

	p9_session_free(c->s);
	p9_export_close(c->x);
	snprintf(command, sizeof(command), "rm -rf %s", c->top);
	assert_int_equal(system(command), 0);
	free(c);
}

/* A file made on the host. */
static void host_file(struct client *c, const char *name, const char *text)
{
	char path[400];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", c->path, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int walk1(struct client *c, unsigned from, unsigned to, const char *name)
{
	int ret = ask(c, WALK, "ddws", from, to, 1, name);

	return ret || get(c, 2) == 1 ? ret : -ENOENT;
}

static int walk2(struct client *c, unsigned from, unsigned to, const char *a,
		 const char *b)
{
	int ret = ask(c, WALK, "ddwss", from, to, 2, a, b);

	return ret || get(c, 2) == 2 ? ret : -ENOENT;
}

/* ---- tests ---- */

static void test_contents(void **state)
{
	struct client *c = start(P9_NONE, false);
	static const char data[] = "hello, file";
	struct stat st;
	char path[64];

	assert_int_equal(ask(c, WALK, "ddw", 1, 2, 0), 0);
	assert_int_equal(
		ask(c, LCREATE, "dsddd", 2, "f", O_RDWR, 0640, getgid()), 0);
	assert_int_equal(ask(c, WRITE, "dqdz", 2, 0ULL, 11, data, (size_t)11),
			 0);
	assert_int_equal(get(c, 4), 11);
	assert_int_equal(ask(c, WRITE, "dqdz", 2, 100ULL, 1, "x", (size_t)1),
			 0);
	assert_int_equal(ask(c, READ, "dqd", 2, 0ULL, 11), 0);
	assert_int_equal(get(c, 4), 11);
	assert_memory_equal(c->out + 11, data, 11);
	assert_int_equal(ask(c, READ, "dqd", 2, 90ULL, 1 << 20), 0);
	assert_int_equal(get(c, 4), 11);
	assert_int_equal(ask(c, READ, "dqd", 2, 200ULL, 10), 0);
	assert_int_equal(get(c, 4), 0);
	assert_int_equal(ask(c, READ, "dqd", 2, 1ULL << 63, 10), -EINVAL);
	assert_int_equal(ask(c, FSYNC, "dd", 2, 0), 0);
	snprintf(path, sizeof(path), "%s/f", c->path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(st.st_size, 101);
	assert_int_equal(ask(c, GETATTR, "dq", 2, 0x7ffULL), 0);
	get(c, 8 + 0);
	get(c, 1);
	get(c, 4);
	get(c, 8);
	assert_int_equal(get(c, 4), S_IFREG | 0640);
	/* Cut, and set in time. */
	assert_int_equal(ask(c, SETATTR, "dddddqqqqq", 2, 8 | 32 | 256, 0, 0, 0,
			     5ULL, 0ULL, 0ULL, 1000ULL, 7ULL),
			 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 5);
	assert_int_equal(st.st_mtim.tv_sec, 1000);
	assert_int_equal(st.st_mtim.tv_nsec, 7);
	assert_int_equal(ask(c, STATFS, "d", 2), 0);
	assert_int_equal(get(c, 4), 0x01021997);
	/* Unlinked while open, it is still there. */
	assert_int_equal(ask(c, UNLINKAT, "dsd", 1, "f", 0), 0);
	assert_int_equal(ask(c, READ, "dqd", 2, 0ULL, 9), 0);
	assert_int_equal(get(c, 4), 5);
	assert_int_equal(ask(c, CLUNK, "d", 2), 0);
	assert_int_equal(ask(c, CLUNK, "d", 2), -EBADF);
	assert_int_equal(walk1(c, 1, 2, "f"), -ENOENT);
	stop(c);
}

/* Every way out of the export that has been thought of. */
static void test_escape(void **state)
{
	struct client *c = start(P9_NONE, false);
	static const char *const names[] = {"..", ".", "", "/", "a/b", "../x"};
	char to[64], name[256];
	uint64_t root_path;
	size_t i;

	assert_int_equal(ask(c, GETATTR, "dq", 1, 0ULL), 0);
	get(c, 8);
	get(c, 5);
	root_path = get(c, 8);
	/* Up from the root is the root. */
	assert_int_equal(walk2(c, 1, 2, "..", ".."), 0);
	get(c, 8);
	get(c, 5);
	get(c, 5);
	assert_int_equal(get(c, 8), root_path);
	assert_int_equal(walk1(c, 2, 3, "secret"), -ENOENT);
	assert_int_equal(walk2(c, 1, 3, "..", "secret"), -ENOENT);
	assert_int_equal(walk1(c, 1, 3, "../secret"), -ENOENT);
	assert_int_equal(walk1(c, 1, 3, "/"), -ENOENT);
	/* Links are read, never followed. */
	assert_int_equal(ask(c, SYMLINK, "dssd", 1, "up", "..", getgid()), 0);
	snprintf(to, sizeof(to), "%s/secret", c->top);
	assert_int_equal(ask(c, SYMLINK, "dssd", 1, "abs", to, getgid()), 0);
	assert_int_equal(walk2(c, 1, 4, "up", "secret"), -ENOENT);
	assert_int_equal(walk1(c, 1, 4, "abs"), 0);
	assert_int_equal(get(c, 1), 2);
	assert_int_equal(ask(c, LOPEN, "dd", 4, O_RDONLY), -ENXIO);
	assert_int_equal(ask(c, SETATTR, "dddddqqqqq", 4, 8, 0, 0, 0, 0ULL,
			     0ULL, 0ULL, 0ULL, 0ULL),
			 -EINVAL);
	assert_int_equal(ask(c, READLINK, "d", 4), 0);
	get_text(c, name);
	assert_string_equal(name, to);
	assert_int_equal(access(to, F_OK), 0);
	/* Names that are none, wherever a name is made. */
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		assert_int_equal(ask(c, MKDIR, "dsdd", 1, names[i], 0700, 0),
				 -EINVAL);
		assert_int_equal(ask(c, SYMLINK, "dssd", 1, names[i], "x", 0),
				 -EINVAL);
		assert_int_equal(ask(c, MKNOD, "dsdddd", 1, names[i],
				     S_IFIFO | 0600, 0, 0, 0),
				 -EINVAL);
		assert_int_equal(ask(c, LINK, "dds", 1, 4, names[i]), -EINVAL);
		assert_int_equal(ask(c, UNLINKAT, "dsd", 1, names[i], 0),
				 -EINVAL);
		assert_int_equal(ask(c, RENAMEAT, "dsds", 1, "up", 1, names[i]),
				 -EINVAL);
		assert_int_equal(ask(c, RENAME, "dds", 4, 1, names[i]),
				 -EINVAL);
	}
	assert_int_equal(ask(c, WALK, "ddwz", 1, 9, 1, "\3\0a\0b", (size_t)5),
			 -ENOENT);
	stop(c);
}

/* A directory that moved away is not a way out either. */
static void test_moved(void **state)
{
	struct client *c = start(P9_NONE, false);
	char from[64], to[64];

	assert_int_equal(ask(c, MKDIR, "dsdd", 1, "d", 0700, getgid()), 0);
	assert_int_equal(ask(c, MKDIR, "dsdd", 1, "e", 0700, getgid()), 0);
	assert_int_equal(walk1(c, 1, 2, "d"), 0);
	assert_int_equal(ask(c, MKDIR, "dsdd", 2, "in", 0700, getgid()), 0);
	assert_int_equal(walk1(c, 2, 3, "in"), 0);
	/* By the client: what is below moves along. */
	assert_int_equal(walk1(c, 1, 4, "e"), 0);
	assert_int_equal(
		ask(c, RENAMEAT, "dsds", 1, "d", 4, "a-name-that-is-longer"),
		0);
	assert_int_equal(walk2(c, 3, 5, "..", "in"), 0);
	assert_int_equal(walk1(c, 2, 6, ".."), 0);
	assert_int_equal(walk1(c, 6, 7, "a-name-that-is-longer"), 0);
	/* By the host, out of the export: ".." is still what was walked. */
	snprintf(from, sizeof(from), "%s/e", c->path);
	snprintf(to, sizeof(to), "%s/gone", c->top);
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(walk2(c, 4, 8, "..", "secret"), -ENOENT);
	assert_int_equal(walk2(c, 4, 8, "..", "gone"), -ENOENT);
	stop(c);
}

static void test_names(void **state)
{
	struct client *c = start(P9_NONE, false);
	char name[256];
	unsigned n = 0, i;
	uint64_t offset = 0;
	uint32_t len;

	for (i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "file-%03u", i);
		host_file(c, name, "");
	}
	assert_int_equal(ask(c, WALK, "ddw", 1, 2, 0), 0);
	assert_int_equal(ask(c, READDIR, "dqd", 2, 0ULL, 1000), -EBADF);
	assert_int_equal(ask(c, LOPEN, "dd", 2, O_RDONLY | O_DIRECTORY), 0);
	assert_int_equal(ask(c, READ, "dqd", 2, 0ULL, 1), -EISDIR);
	do {
		assert_int_equal(ask(c, READDIR, "dqd", 2, offset, 1000), 0);
		len = (uint32_t)get(c, 4);
		assert_in_range(len, 0, 1000);
		while (c->at < 11 + len) {
			get(c, 13 - 8);
			get(c, 8);
			offset = get(c, 8);
			get(c, 1);
			get_text(c, name);
			n++;
		}
	} while (len);
	assert_int_equal(n, 302);
	assert_int_equal(walk1(c, 1, 3, "file-007"), 0);
	assert_int_equal(ask(c, LINK, "dds", 1, 3, "other"), 0);
	assert_int_equal(ask(c, RENAME, "dds", 3, 1, "moved"), 0);
	assert_int_equal(walk1(c, 1, 4, "moved"), 0);
	assert_int_equal(walk1(c, 1, 5, "file-007"), -ENOENT);
	assert_int_equal(ask(c, REMOVE, "d", 3), 0);
	assert_int_equal(ask(c, CLUNK, "d", 3), -EBADF);
	assert_int_equal(walk1(c, 1, 5, "moved"), -ENOENT);
	assert_int_equal(walk1(c, 1, 5, "other"), 0);
	/* Half a walk is none. */
	assert_int_equal(ask(c, WALK, "ddwss", 1, 9, 2, "other", "x"), 0);
	assert_int_equal(get(c, 2), 1);
	assert_int_equal(ask(c, CLUNK, "d", 9), -EBADF);
	assert_int_equal(ask(c, WALK, "ddws", 1, 5, 1, "other"), -EBADF);
	assert_int_equal(ask(c, REMOVE, "d", 1), -EBUSY);
	stop(c);
}

static void test_read_only(void **state)
{
	struct client *c = start(P9_NONE, true);

	host_file(c, "f", "text");
	assert_int_equal(walk1(c, 1, 2, "f"), 0);
	assert_int_equal(ask(c, LOPEN, "dd", 2, O_RDWR), -EROFS);
	assert_int_equal(ask(c, LOPEN, "dd", 2, O_RDONLY | O_TRUNC), -EROFS);
	assert_int_equal(ask(c, LOPEN, "dd", 2, O_RDONLY), 0);
	assert_int_equal(ask(c, WRITE, "dqdz", 2, 0ULL, 1, "x", (size_t)1),
			 -EBADF);
	assert_int_equal(ask(c, SETATTR, "dddddqqqqq", 2, 8, 0, 0, 0, 0ULL,
			     0ULL, 0ULL, 0ULL, 0ULL),
			 -EROFS);
	assert_int_equal(ask(c, MKDIR, "dsdd", 1, "d", 0700, 0), -EROFS);
	assert_int_equal(ask(c, MKNOD, "dsdddd", 1, "d", S_IFIFO, 0, 0, 0),
			 -EROFS);
	assert_int_equal(ask(c, SYMLINK, "dssd", 1, "d", "x", 0), -EROFS);
	assert_int_equal(ask(c, LINK, "dds", 1, 2, "d"), -EROFS);
	assert_int_equal(ask(c, UNLINKAT, "dsd", 1, "f", 0), -EROFS);
	assert_int_equal(ask(c, RENAMEAT, "dsds", 1, "f", 1, "g"), -EROFS);
	assert_int_equal(ask(c, WALK, "ddw", 1, 3, 0), 0);
	assert_int_equal(ask(c, LCREATE, "dsddd", 3, "d", O_RDWR, 0600, 0),
			 -EROFS);
	assert_int_equal(ask(c, XATTRCREATE, "dsqd", 3, "user.a", 1ULL, 0),
			 -EROFS);
	assert_int_equal(ask(c, RENAME, "dds", 2, 1, "g"), -EROFS);
	assert_int_equal(ask(c, REMOVE, "d", 2), -EROFS);
	stop(c);
}

static bool has_xattrs(struct client *c)
{
	return !setxattr(c->path, "user.test", "1", 1, 0);
}

static void test_xattr(void **state)
{
	struct client *c = start(P9_NONE, false);
	int ret;

	host_file(c, "f", "");
	if (!has_xattrs(c)) {
		stop(c);
		skip();
	}
	assert_int_equal(walk1(c, 1, 2, "f"), 0);
	assert_int_equal(ask(c, XATTRWALK, "dds", 2, 3, "user.a"), -ENODATA);
	assert_int_equal(ask(c, WALK, "ddw", 2, 3, 0), 0);
	assert_int_equal(ask(c, XATTRCREATE, "dsqd", 3, "user.a", 5ULL, 0), 0);
	assert_int_equal(ask(c, WRITE, "dqdz", 3, 1ULL, 1, "x", (size_t)1),
			 -EINVAL);
	assert_int_equal(ask(c, WRITE, "dqdz", 3, 0ULL, 5, "value", (size_t)5),
			 0);
	assert_int_equal(ask(c, CLUNK, "d", 3), 0);
	assert_int_equal(ask(c, XATTRWALK, "dds", 2, 3, "user.a"), 0);
	assert_int_equal(get(c, 8), 5);
	assert_int_equal(ask(c, READ, "dqd", 3, 1ULL, 100), 0);
	assert_int_equal(get(c, 4), 4);
	assert_memory_equal(c->out + 11, "alue", 4);
	assert_int_equal(ask(c, READ, "dqd", 3, 1ULL << 40, 100), 0);
	assert_int_equal(get(c, 4), 0);
	assert_int_equal(ask(c, CLUNK, "d", 3), 0);
	/* The list, and its end. */
	assert_int_equal(ask(c, XATTRWALK, "dds", 2, 3, ""), 0);
	assert_true(get(c, 8) >= 7);
	assert_int_equal(ask(c, CLUNK, "d", 3), 0);
	assert_int_equal(ask(c, WALK, "ddw", 2, 3, 0), 0);
	assert_int_equal(ask(c, XATTRCREATE, "dsqd", 3, "user.a", 0ULL, 0), 0);
	assert_int_equal(ask(c, CLUNK, "d", 3), 0);
	assert_int_equal(ask(c, XATTRWALK, "dds", 2, 3, "user.a"), -ENODATA);
	/* One that is not whole is not stored. */
	assert_int_equal(ask(c, WALK, "ddw", 2, 3, 0), 0);
	ret = ask(c, XATTRCREATE, "dsqd", 3, "user.b", 5ULL, 0);
	assert_int_equal(ret, 0);
	assert_int_equal(ask(c, CLUNK, "d", 3), -EINVAL);
	assert_int_equal(ask(c, CLUNK, "d", 3), -EBADF);
	stop(c);
}

/* Kinds and owners that an ordinary user could not give, in attributes. */
static void test_mapped(void **state)
{
	struct client *c = start(P9_MAPPED, false);
	struct stat st;
	char path[64], name[256];

	if (!has_xattrs(c)) {
		stop(c);
		skip();
	}
	assert_int_equal(
		ask(c, MKNOD, "dsdddd", 1, "disk", S_IFBLK | 0660, 8, 1, 6), 0);
	assert_int_equal(walk1(c, 1, 2, "disk"), 0);
	assert_int_equal(ask(c, SETATTR, "dddddqqqqq", 2, 1 | 2 | 4, 04755, 77,
			     88, 0ULL, 0ULL, 0ULL, 0ULL, 0ULL),
			 0);
	assert_int_equal(ask(c, GETATTR, "dq", 2, 0ULL), 0);
	get(c, 8);
	get(c, 5);
	get(c, 8);
	assert_int_equal(get(c, 4), S_IFBLK | 04755);
	assert_int_equal(get(c, 4), 77);
	assert_int_equal(get(c, 4), 88);
	get(c, 8);
	assert_int_equal(get(c, 8), 0x801);
	snprintf(path, sizeof(path), "%s/disk", c->path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	assert_int_equal(st.st_uid, getuid());
	assert_int_equal(ask(c, XATTRWALK, "dds", 2, 3, "user.virtfs.uid"),
			 -ENODATA);
	assert_int_equal(ask(c, XATTRWALK, "dds", 2, 3, ""), 0);
	assert_int_equal(get(c, 8), 0);
	assert_int_equal(ask(c, WALK, "ddw", 2, 4, 0), 0);
	assert_int_equal(
		ask(c, XATTRCREATE, "dsqd", 4, "user.virtfs.uid", 4ULL, 0),
		-EACCES);
	assert_int_equal(ask(c, SYMLINK, "dssd", 1, "l", "to/where", 5), 0);
	assert_int_equal(get(c, 1), 2);
	assert_int_equal(walk1(c, 1, 5, "l"), 0);
	assert_int_equal(ask(c, READLINK, "d", 5), 0);
	get_text(c, name);
	assert_string_equal(name, "to/where");
	stop(c);
}

static void test_lock(void **state)
{
	struct client *c = start(P9_NONE, false);
	char who[256];

	host_file(c, "f", "text");
	assert_int_equal(walk1(c, 1, 2, "f"), 0);
	assert_int_equal(walk1(c, 1, 3, "f"), 0);
	assert_int_equal(ask(c, LOCK, "dbdqqds", 2, 1, 0, 0ULL, 0ULL, 1, "x"),
			 -EBADF);
	assert_int_equal(ask(c, LOPEN, "dd", 2, O_RDWR), 0);
	assert_int_equal(ask(c, LOPEN, "dd", 3, O_RDWR), 0);
	assert_int_equal(ask(c, LOCK, "dbdqqds", 2, 1, 1, 0ULL, 2ULL, 1, "x"),
			 0);
	assert_int_equal(get(c, 1), 0);
	assert_int_equal(ask(c, LOCK, "dbdqqds", 3, 0, 1, 1ULL, 2ULL, 2, "x"),
			 0);
	assert_int_equal(get(c, 1), 1);
	assert_int_equal(ask(c, GETLOCK, "dbqqds", 3, 0, 0ULL, 0ULL, 2, "me"),
			 0);
	assert_int_equal(get(c, 1), 1);
	assert_int_equal(get(c, 8), 0);
	assert_int_equal(get(c, 8), 2);
	get(c, 4);
	get_text(c, who);
	assert_string_equal(who, "me");
	assert_int_equal(ask(c, LOCK, "dbdqqds", 2, 2, 0, 0ULL, 0ULL, 1, "x"),
			 0);
	assert_int_equal(ask(c, LOCK, "dbdqqds", 3, 0, 1, 1ULL, 2ULL, 2, "x"),
			 0);
	assert_int_equal(get(c, 1), 0);
	assert_int_equal(ask(c, LOCK, "dbdqqds", 3, 7, 1, 1ULL, 2ULL, 2, "x"),
			 -EINVAL);
	stop(c);
}

/* What belongs to processes is not shown, whatever is exported. */
static void test_proc(void **state)
{
	struct p9_options o = {.path = "/", .read_only = true};
	struct client *c = calloc(1, sizeof(*c));
	struct err e = {0};

	assert_non_null(c);
	c->x = p9_export_open(&o, &e);
	c->s = p9_session_new(c->x);
	assert_int_equal(ask(c, VERSION, "ds", SIZE, "9P2000.L"), 0);
	assert_int_equal(ask(c, ATTACH, "ddssd", 1, -1, "u", "", 0), 0);
	assert_int_equal(walk1(c, 1, 2, "proc"), 0);
	assert_int_equal(ask(c, LOPEN, "dd", 2, O_RDONLY), -EACCES);
	assert_int_equal(walk1(c, 2, 3, "1"), -EACCES);
	assert_int_equal(walk2(c, 1, 3, "proc", "self"), -ENOENT);
	p9_session_free(c->s);
	p9_export_close(c->x);
	free(c);
	o.path = "/proc";
	assert_null(p9_export_open(&o, &e));
}

/* More files than descriptors are kept for: all are still found. */
static void test_many(void **state)
{
	struct client *c = start(P9_NONE, false);
	const unsigned count = 20000;
	char name[16];
	unsigned i;

	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "%u", i);
		host_file(c, name, name);
	}
	assert_int_equal(ask(c, MKDIR, "dsdd", 1, "d", 0700, getgid()), 0);
	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%u", i % 200);
		assert_int_equal(walk1(c, 1, 10 + i, name), 0);
	}
	for (i = 0; i < count; i += 7)
		assert_int_equal(ask(c, GETATTR, "dq", 10 + i, 0ULL), 0);
	/* A Tversion lets all of them go. */
	assert_int_equal(ask(c, VERSION, "ds", SIZE, "9P2000.L"), 0);
	assert_int_equal(ask(c, GETATTR, "dq", 1, 0ULL), -EBADF);
	stop(c);
}

static void test_protocol(void **state)
{
	struct client *c = start(P9_NONE, false);
	char text[32];

	assert_int_equal(ask(c, AUTH, "dssd", 7, "u", "", 0), -EOPNOTSUPP);
	assert_int_equal(ask(c, 99, ""), -EOPNOTSUPP);
	assert_int_equal(ask(c, FLUSH, "w", 1), 0);
	assert_int_equal(ask(c, CLUNK, ""), -EINVAL);
	assert_int_equal(ask(c, WALK, "ddw", 1, 2, 17), -EINVAL);
	assert_int_equal(ask(c, ATTACH, "ddssd", 1, -1, "u", "", 0), -EBADF);
	assert_int_equal(ask(c, VERSION, "ds", 100, "9P2000.L"), -EINVAL);
	assert_int_equal(ask(c, VERSION, "ds", 1 << 30, "9P2000.u"), 0);
	assert_int_equal(get(c, 4), 512 << 10);
	get_text(c, text);
	assert_string_equal(text, "unknown");
	assert_int_equal(ask(c, GETATTR, "dq", 1, 0ULL), -EPROTO);
	stop(c);
}

/* Requests of the right kind with noise in them, and noise. */
static void test_fuzz(void **state)
{
	static const uint8_t types[] = {
		8,  12, 14, 16, 18, 20, 22,  24,  26,  30,  32,  40,  50,
		52, 54, 70, 72, 74, 76, 104, 108, 110, 116, 118, 120, 122};
	struct client *c = start(P9_NONE, false);
	struct iovec in = {c->in, 0}, out = {c->out, SIZE};
	unsigned seed = (unsigned)time(NULL), i, k, len;
	uint32_t size;

	print_message("seed %u\n", seed);
	srandom(seed);
	for (i = 0; i < 60000; i++) {
		len = 7 + (unsigned)random() % 80;
		for (k = 0; k < len; k++)
			c->in[k] = random() % 3 ? (uint8_t)(random() % 4)
						: (uint8_t)random();
		size = random() % 20 ? len : (uint32_t)random();
		memcpy(c->in, &size, 4);
		if (random() % 50)
			c->in[4] = types[(size_t)random() % sizeof(types)];
		in.iov_len = len;
		out.iov_len = random() % 10 ? SIZE : P9_ANSWER + random() % 50;
		c->len = p9_handle(c->s, &in, 1, &out, 1);
		assert_in_range(c->len, 7, out.iov_len);
		if (i % 1000 == 999) {
			ask(c, VERSION, "ds", 8192, "9P2000.L");
			ask(c, ATTACH, "ddssd", 1, -1, "u", "", getuid());
		}
	}
	stop(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_contents),  cmocka_unit_test(test_escape),
		cmocka_unit_test(test_moved),     cmocka_unit_test(test_names),
		cmocka_unit_test(test_read_only), cmocka_unit_test(test_xattr),
		cmocka_unit_test(test_mapped),    cmocka_unit_test(test_lock),
		cmocka_unit_test(test_proc),      cmocka_unit_test(test_many),
		cmocka_unit_test(test_protocol),  cmocka_unit_test(test_fuzz),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
