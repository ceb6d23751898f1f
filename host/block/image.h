/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images without a machine: new ones, copies in another format, what one is.
 * Names are as -drive's file= has them. Everything returns 0 or -errno with
 * a sentence.
 */
#ifndef HOST_BLOCK_IMAGE_H
#define HOST_BLOCK_IMAGE_H

#include "lib/err.h"
#include "lib/progress.h"

enum image_prealloc {
	IMAGE_PREALLOC_OFF,    /* space is taken when it is written */
	IMAGE_PREALLOC_FALLOC, /* raw: reserved, not written */
	IMAGE_PREALLOC_FULL,   /* written with zeros */
};

/* An image to be made; a file of that name is overwritten. */
struct image_new {
	const char *path;
	const char *format; /* raw or qcow2 */
	uint64_t size;      /* bytes; image_convert(): not looked at */
	enum image_prealloc prealloc;
};

struct image_info {
	char format[16];
	uint64_t size;      /* bytes the guest sees */
	uint64_t allocated; /* bytes on the host, 0: not known */
	char file[4096];    /* "": in none */
	char backing[4096]; /* the file behind it, "": none */
};

/* @p may be NULL. */
int image_create(const struct image_new *to, const struct progress *p,
		 struct err *e) __must_check;

/* Copy @from, in @format or (NULL) what it looks like, leaving zeros out. */
int image_convert(const char *from, const char *format,
		  const struct image_new *to, const struct progress *p,
		  struct err *e) __must_check;

int image_describe(const char *name, const char *format,
		   struct image_info *info, struct err *e) __must_check;

#endif
