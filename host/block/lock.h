/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks of images, byte for byte those of QEMU, so that its programs and
 * ours keep each other out. Document: QEMU's manual, "Disk image file
 * locking".
 */
#ifndef HOST_BLOCK_LOCK_H
#define HOST_BLOCK_LOCK_H

#include "lib/err.h"

struct lock_image {
	bool write;  /* we write */
	bool resize; /* and move the end */
	bool share;  /* others may write meanwhile */
	bool must;   /* a file system without locks will not do */
};

/* 0 with the locks, or where there are none to be had; else a sentence. */
int lock_image(int fd, const char *path, const struct lock_image *l,
	       struct err *e) __must_check;

#endif
