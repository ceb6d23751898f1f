/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does a KVM really run 64-bit code, or does it only answer politely?
 */
#ifndef VMM_PROBE_H
#define VMM_PROBE_H

#include "lib/err.h"

struct hv;

/*
 * Run a guest of a few instructions and check what it did. 0 when the KVM
 * can serve a 64-bit kernel; else -errno and a sentence that says what it
 * did instead. Never takes much longer than a quarter of a second.
 */
int probe_long_mode(struct hv *hv, struct err *e) __must_check;

#endif
