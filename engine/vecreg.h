/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's vector and mask registers while they are live in the host's.
 */
#ifndef ENGINE_VECREG_H
#define ENGINE_VECREG_H

#include "lib/util.h"

/* All that the register has on this host; the rest of @buf is cleared. */
void vec_read(unsigned int n, uint8_t buf[64]);

/* The low @size bytes; higher ones become 0. 64: as vec_read() gives it. */
void vec_write(unsigned int n, const uint8_t buf[64], unsigned int size);

uint64_t kreg_read(unsigned int n);
void kreg_write(unsigned int n, uint64_t val);

#endif
