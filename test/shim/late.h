/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library that a client loads late.
 */
#ifndef SHIM_LATE_H
#define SHIM_LATE_H

/* What CPUID answers there. */
typedef void late_fn(unsigned int leaf, unsigned int r[4]);

#endif
