/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that an option names and a loader reads. Every failure names the
 * option and the file.
 */
#ifndef VMM_IMAGE_H
#define VMM_IMAGE_H

#include "lib/err.h"

struct image {
	const char *option; /* "-kernel" */
	const char *path;
	int fd; /* -1 while closed */
	uint64_t size;
};

/* Open a regular, non-empty file. */
int image_open(struct image *img, const char *option, const char *path,
	       struct err *e) __must_check;

/* Read all of [@off, @off + @len) or fail. */
int image_read(const struct image *img, uint64_t off, void *dst, uint64_t len,
	       struct err *e) __must_check;

void image_close(struct image *img);

/* err_set() with "<option> <path>: " in front. */
#define image_err(img, e, code, fmt, ...)                           \
	err_set(e, code, "%s %s: " fmt, (img)->option, (img)->path, \
		##__VA_ARGS__)

#endif
