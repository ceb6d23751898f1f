#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Guests of a few instructions, started by PVH on Lodge's own KVM: each way a
run can end has its exit status, and says what it should on standard error.
"""
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time

BASE = 0x200000
OUT_A = b"\x66\xba\xf8\x03\xb0A\xee"            # 'A' to COM1
CF9 = b"\x66\xba\xf9\x0c\xb0\x06\xee"           # reset control
S5 = b"\x66\xba\x04\x06\x66\xb8\x00\x34\x66\xef"  # SLP_EN | SLP_TYP 5
KBD = b"\xb0\xfe\xe6\x64"
PANIC = b"\x66\xba\x05\x05\xb0\x01\xee"
TRIPLE = b"\x0f\x0b"                            # no IDT: #UD, #DF, gone
HALT = b"\xf4\xeb\xfd"
# To real mode by a 16-bit segment, then to the PC's reset vector, as a guest
# does that trusts in firmware. The GDT lies behind the code.
VECTOR = OUT_A + (
    b"\x0f\x01\x15" + struct.pack("<I", BASE + 64) +  # lgdt
    b"\xea" + struct.pack("<IH", 21, 8) +              # to the next line
    b"\x0f\x20\xc0\x24\xfe\x0f\x22\xc0"              # CR0.PE = 0
    b"\xea\xf0\xff\x00\xf0")                          # jmp f000:fff0
VECTOR = VECTOR.ljust(48, b"\0") + struct.pack(
    "<QQHI", 0, 0x00009b200000ffff, 15, BASE + 48)
# Echo COM1 until 'q'.
ECHO = (b"\x66\xba\xfd\x03\xec\xa8\x01\x74\xf7"  # wait for LSR.DR
        b"\x66\xba\xf8\x03\xec"                 # read
        b"\x3c\x71\x74\x03\xee\xeb\xeb")        # 'q'? else write, again


def exit_by(value, port=0xf4):
    return b"\xb0" + bytes([value]) + b"\xe6" + bytes([port])


def elf(code):
    """An ELF kernel with a PVH note."""
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", BASE)
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, BASE,
                       64, 0, 0, 64, 56, 2, 0, 0, 0)
    start = 64 + 2 * 56
    load = struct.pack("<IIQQQQQQ", 1, 7, start + len(note), BASE, BASE,
                       len(code), 4096, 16)
    pt_note = struct.pack("<IIQQQQQQ", 4, 4, start, 0, 0, len(note),
                          len(note), 4)
    return head + load + pt_note + note + code


DEBUG = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
ONCE = ["-no-reboot"]
CASES = [
    # name, code, options, stdin, status, stdout, in stderr
    ("soft-off", OUT_A + S5, [], b"", 0, b"A", None),
    ("debug exit 0", exit_by(0), DEBUG, b"", 1, b"", None),
    ("debug exit 16", exit_by(16), DEBUG, b"", 33, b"", None),
    ("debug exit 127", exit_by(127), DEBUG, b"", 255, b"", None),
    ("debug exit port", exit_by(3, 0xf5) + exit_by(4, 0x70) + S5,
     ["-device", "isa-debug-exit,iobase=0xf5"], b"", 7, b"", None),
    ("panic", PANIC, ["-device", "pvpanic"], b"", 6, b"", "panicked"),
    ("panic unheard", PANIC + S5, [], b"", 0, b"", None),
    ("reset control", OUT_A + CF9, ONCE, b"", 0, b"A", None),
    ("reset control, no PCI", OUT_A + CF9, ONCE + ["-machine", "microvm"],
     b"", 0, b"A", None),
    ("keyboard reset", OUT_A + KBD, ONCE, b"", 0, b"A", None),
    ("reset vector", VECTOR, ONCE, b"", 0, b"A", None),
    ("triple fault", OUT_A + TRIPLE, ONCE, b"", 8, b"A", "triple fault"),
    ("triple fault, four CPUs", TRIPLE, ONCE + ["-smp", "4"], b"", 8, b"",
     "triple fault"),
    ("no COM1", OUT_A + S5, ["-serial", "null"], b"", 0, b"", None),
    ("debug console", b"\xb0Z\xe6\xe9" + S5,
     ["-serial", "null", "-debugcon", "stdio"], b"", 0, b"Z", None),
    ("echo", ECHO + S5, [], b"abc" * 1000 + b"q", 0, b"abc" * 1000, None),
    ("leave by keys", ECHO + HALT, [], b"hi\x01x", 0, None, None),
    ("end of input", ECHO + S5, [], b"", None, None, None),
    ("Ctrl-A itself", ECHO + S5, [], b"\x01a\x01\x01q", 0, b"\x01\x01", None),
    ("no Ctrl-A", ECHO + S5, ["-serial", "stdio"], b"\x01xq", 0, b"\x01x",
     None),
]


def judge(lodge, path, case):
    name, code, options, keys, status, out, err = case
    with open(path, "wb") as f:
        f.write(elf(code + HALT))
    argv = [lodge, "run", "-accel", "lodge", "-m", "16", "-kernel", path]
    p = subprocess.Popen(argv + options, stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if status is None:
        # It must run on; then it is told to end.
        p.stdin.close()
        p.stdin = None
        time.sleep(0.5)
        if p.poll() is not None:
            return "ended with status %d" % p.returncode
        p.send_signal(signal.SIGTERM)
        status = 128 + signal.SIGTERM
    try:
        got, said = p.communicate(keys if p.stdin else None, timeout=20)
    except subprocess.TimeoutExpired:
        p.kill()
        p.communicate()
        return "still running after 20 s"
    if p.returncode != status:
        return "status %d, not %d: %s" % (p.returncode, status, said)
    if out is not None and got != out:
        return "output %r" % got[:80]
    lines = said.decode().splitlines()
    if len(lines) != (1 if err else 0) or (err and err not in lines[0]):
        return "stderr %r" % said
    return None


def signals(lodge, path):
    """A machine that resets for ever ends by a signal, and did reset."""
    with open(path, "wb") as f:
        f.write(elf(OUT_A + CF9 + HALT))
    # under nohup they would be ignored
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        p = subprocess.Popen(
            [lodge, "run", "-accel", "lodge", "-m", "16", "-smp", "2",
             "-kernel", path], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        before = b""
        while before.count(b"A") < 3 and p.poll() is None:
            before += os.read(p.stdout.fileno(), 64)
        p.send_signal(sig)
        try:
            _, said = p.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            p.kill()
            return "%s: still running after 20 s" % sig
        if p.returncode != 128 + sig or said:
            return "%s: status %d, %d boots, stderr %r" % (
                sig, p.returncode, before.count(b"A"), said)
    return None


def main():
    lodge = sys.argv[1]
    bad = 0
    with tempfile.NamedTemporaryFile() as f:
        for name, *rest in CASES:
            why = judge(lodge, f.name, (name, *rest))
            print("%s: %s" % (name, "failed: " + why if why else "passed"),
                  flush=True)
            bad += bool(why)
        why = signals(lodge, f.name)
        print("signals: %s" % ("failed: " + why if why else "passed"))
        bad += bool(why)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
