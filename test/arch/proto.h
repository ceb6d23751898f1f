/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What guest and runner agree on: where the image lies, ports, the device
 * that only exists for tests. Used by C and assembly on both sides.
 */
#ifndef ARCH_PROTO_H
#define ARCH_PROTO_H

#define IMAGE_GPA 0x10000
#define RAM_SIZE  0x4000000 /* from 0 */

#define PORT_TEXT   0xe9 /* a character of the report */
#define PORT_EXIT   0xf4 /* 32 bits: 0 all said, else a mistake */
#define PORT_EXPECT 0xf5 /* the next exit must be this EXPECT_* */
#define PORT_NMI    0xf6 /* runner injects an NMI to this vCPU */

#define EXPECT_SHUTDOWN 1

/*
 * Started by a Multiboot loader instead, an image prints to COM1, ends
 * through isa-debug-exit at PORT_EXIT, and has no test device.
 */
#define MB_ARGS_MAX   256 /* what is kept of the command line */
#define MB_START_INFO 116 /* pvh.S: where it has its start info's address */
#define COM1          0x3f8
#define COM1_LSR      0x3fd
#define EXIT_PASS     0
#define EXIT_FAIL     1
#define EXIT_SKIP     77
#define EXIT_ABORT    127

/*
 * The test device: bytes behind ports and behind an MMIO page. Every access
 * is noted; the log is read back through ports.
 */
#define DEV_PORT      0x500 /* 64 ports backed by bytes */
#define DEV_PORTS     0x40
#define DEV_LOG_RESET 0x5f0 /* any write */
#define DEV_LOG_COUNT 0x5f4 /* 32 bits */
#define DEV_LOG_READ  0x5f8 /* 32 bits: next entry, see below */
#define DEV_MMIO      0xd0000000
#define DEV_MMIO_SIZE 0x1000
#define DEV_ROM       0xd0100000 /* a read-only memory slot of a page */

/* A log entry: kind, bytes of one access and offset or port. */
#define LOG_READ      0x10000000
#define LOG_WRITE     0x20000000
#define LOG_PIO       0x40000000
#define LOG_SIZE(s)   ((s) << 16)
#define LOG_OFFSET(o) ((o)&0xffff)

#endif
