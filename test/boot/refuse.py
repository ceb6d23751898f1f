#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a program as a container would: some system calls are refused.

    refuse.py PROGRAM [ARGUMENT...]

io_uring, userfaultfd, perf_event_open and others that container engines
refuse fail with EPERM for the program and its children, by a seccomp filter
that needs no privilege. `refuse.py --check` refuses them to itself and looks
whether they are.
"""
import ctypes
import errno
import os
import platform
import struct
import sys

REFUSED = {
    "bpf": 321,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "keyctl": 250,
    "kcmp": 312,
    "perf_event_open": 298,
    "process_vm_readv": 310,
    "process_vm_writev": 311,
    "ptrace": 101,
    "userfaultfd": 323,
}

PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2
AUDIT_ARCH_X86_64 = 0xc000003e
RET_ALLOW = 0x7fff0000
RET_ERRNO = 0x00050000
RET_KILL = 0x80000000
LOAD_WORD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06


class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def rows(numbers):
    """Classic BPF: the architecture, then each number, then yes."""
    yield LOAD_WORD, 0, 0, 4
    yield JUMP_EQUAL, 1, 0, AUDIT_ARCH_X86_64
    yield RETURN, 0, 0, RET_KILL
    yield LOAD_WORD, 0, 0, 0
    for number in numbers:
        yield JUMP_EQUAL, 0, 1, number
        yield RETURN, 0, 0, RET_ERRNO | errno.EPERM
    yield RETURN, 0, 0, RET_ALLOW


def refuse():
    libc = ctypes.CDLL(None, use_errno=True)
    code = b"".join(struct.pack("<HBBI", *row)
                    for row in rows(REFUSED.values()))
    program = Program(len(code) // 8, code)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or \
            libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER,
                       ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), "cannot install the filter")


def check():
    libc = ctypes.CDLL(None, use_errno=True)
    for name, number in REFUSED.items():
        ctypes.set_errno(0)
        if libc.syscall(number, -1, -1, -1, -1, -1, -1) != -1 or \
                ctypes.get_errno() != errno.EPERM:
            print("%s is not refused" % name)
            return 1
    return 0


def main():
    if platform.machine() != "x86_64":
        sys.exit("refuse.py: the numbers are those of x86-64")
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    refuse()
    if sys.argv[1] == "--check":
        return check()
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
