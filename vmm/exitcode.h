/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How `lodge run` ends. Our own codes are even, and those a guest chooses by
 * isa-debug-exit odd, so that they never meet below 128.
 */
#ifndef VMM_EXITCODE_H
#define VMM_EXITCODE_H

enum exitcode {
	EXITCODE_OK = 0,    /* power-off, reset with -no-reboot, Ctrl-A x */
	EXITCODE_USAGE = 2, /* an option or its value is wrong */
	EXITCODE_START = 4, /* a file, memory or KVM would not do */
	EXITCODE_PANIC = 6, /* the guest reported a panic (pvpanic) */
	EXITCODE_TRIPLE_FAULT = 8, /* with -no-reboot */
	EXITCODE_INTERNAL = 10,    /* a KVM gave up on the guest */
	EXITCODE_DISK = 12,        /* a disk's last requests did not end */
	EXITCODE_SIGNAL = 128,     /* plus the number of the signal */
};

#endif
