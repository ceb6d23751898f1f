/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New qcow2 images: the overlay of -snapshot. Private to the room.
 */
#ifndef HOST_BLOCK_QCOW2MAKE_H
#define HOST_BLOCK_QCOW2MAKE_H

#include "host/block/node.h"

/* Write an empty image of @size bytes, without a backing file, to @fd. */
int qcow2_make(int fd, uint64_t size);

/*
 * A node over a new image that has no name, backed by @base, which it then
 * owns. NULL with a sentence; @base is still the caller's then.
 */
struct node *qcow2_make_overlay(struct node *base, struct err *e);

#endif
