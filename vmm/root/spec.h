/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `lodge run --root` and the program it boots agree on. The file
 * ROOT_SPEC of the initramfs is a list of strings, each with its NUL: the
 * working directory, the host's name, the terminal's "ROWS COLS" ("" without
 * one), how many words the command has, the words, the environment.
 *
 * On ROOT_CONTROL the guest writes "ready" when the command runs, and in the
 * end "exit STATUS OUT ERR" with the bytes it has written to the other two; or
 * "failed TEXT", when it never came to the command. The host writes "signal N"
 * and "size ROWS COLS".
 */
#ifndef VMM_ROOT_SPEC_H
#define VMM_ROOT_SPEC_H

#define ROOT_SPEC    "/lodge.spec"
#define ROOT_TAG     "lodge.root"
#define ROOT_MODULES "/modules"

#define ROOT_STDIN   "lodge.stdin"
#define ROOT_STDOUT  "lodge.stdout"
#define ROOT_STDERR  "lodge.stderr"
#define ROOT_CONTROL "lodge.control"

#define ROOT_SPEC_MAX (1U << 20) /* bytes */

/* In the order they are loaded in; what a kernel has built in is no file. */
#define ROOT_MODULE_LIST                                                       \
	"virtio_ring", "virtio", "virtio_pci_legacy_dev",                      \
		"virtio_pci_modern_dev", "virtio_pci", "virtio_console",       \
		"netfs", "fscache", "9pnet", "9p", "9pnet_virtio", "exportfs", \
		"overlay"

/* Then those of devices that are there: virtio's number, files. */
#define ROOT_DRIVERS(X)                                       \
	X(1, "dim", "failover", "net_failover", "virtio_net") \
	X(2, "virtio_blk")                                    \
	X(4, "virtio_rng")                                    \
	X(5, "virtio_balloon")                                \
	X(19, "vsock", "vmw_vsock_virtio_transport_common",   \
	  "vmw_vsock_virtio_transport")

#endif
