/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory of the host, served by 9P2000.L: messages in, messages out. The
 * protocol is the one that Linux's v9fs speaks (Documentation/filesystems/
 * 9p.rst there, and "9P2000.L Protocol" of the diod project).
 *
 * Whatever a client asks, no name leads out of the exported directory: names
 * are taken one by one, symbolic links are never followed here (they are the
 * client's to read), and ".." is answered from what was walked. Files are held
 * by O_PATH descriptors, so a file that is renamed stays the same file.
 */
#ifndef HOST_P9_P9_H
#define HOST_P9_P9_H

#include <sys/uio.h>

#include "lib/err.h"

/* Who owns the files in the eyes of the client. */
enum p9_security {
	P9_NONE,        /* who owns them here; a chown that fails is ignored */
	P9_PASSTHROUGH, /* who owns them here */
	P9_MAPPED,      /* owner, mode and kind are kept in user.virtfs.* */
};

struct p9_options {
	const char *path;
	enum p9_security security;
	bool read_only;
};

struct p9_export;  /* the directory; any number of sessions at a time */
struct p9_session; /* one client's */

/* NULL with a sentence on failure. */
struct p9_export *p9_export_open(const struct p9_options *o,
				 struct err *e) __must_check;
void p9_export_close(struct p9_export *x);

/* NULL when memory is short. @x outlives it. */
struct p9_session *p9_session_new(const struct p9_export *x) __must_check;
/* As if it was new: all files are let go. */
void p9_session_reset(struct p9_session *s);
void p9_session_free(struct p9_session *s);

/* The least a request's and an answer's memory can be. */
#define P9_HEADER 7
#define P9_ANSWER 11

/*
 * Answer the request in @in, at least P9_HEADER bytes, into @out, at least
 * P9_ANSWER bytes; returns the answer's length. The memory may change at any
 * time. Calls of one session are serialized by the caller; they may sleep as
 * long as the host's disk does.
 */
size_t p9_handle(struct p9_session *s, const struct iovec *in, unsigned in_n,
		 const struct iovec *out, unsigned out_n);

#endif
