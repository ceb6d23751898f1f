#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""qemu_test.py LODGE: Debian's QEMU, unmodified, with -accel kvm: a stock
kernel boots to a shell, counts its processors and powers off."""
import os
import re
import select
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
QEMU = "qemu-system-x86_64"
LIMIT = 60
SKIP = 77
# name, processors, options
MACHINES = [
    ("pc", 1, ["-machine", "pc"]),
    ("q35", 2, ["-machine", "q35", "-smp", "2", "-cpu", "host"]),
]
PROMPT = b"guest:/"
SCRIPT = b"nproc\ngrep -c hypervisor /proc/cpuinfo\npoweroff -f\n"


def guest(what, *more):
    run = subprocess.run([ROOT + "/tools/guest", "--print-" + what, *more],
                         stdout=subprocess.PIPE, text=True)
    return run.stdout.strip() if run.returncode == 0 else None


def talk(qemu):
    """What the guest says until it is off; typed at once its prompt is."""
    out, asked = b"", False
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        if select.select([qemu.stdout], [], [], 1)[0]:
            text = os.read(qemu.stdout.fileno(), 65536)
            if not text:
                break
            out += text
        if not asked and PROMPT in out:
            qemu.stdin.write(SCRIPT)
            qemu.stdin.flush()
            asked = True
    return out.decode(errors="replace")


def boot(lodge, kernel, initrd, cpus, options):
    """A sentence about what went wrong, or None."""
    cmd = [lodge, "kvm", "--", QEMU, "-accel", "kvm", "-m", "256",
           "-nographic", "-no-reboot", "-nic", "none", "-kernel", kernel,
           "-initrd", initrd, "-append", "console=ttyS0 quiet", *options]
    with subprocess.Popen(cmd, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as qemu:
        out = talk(qemu)
        hung = qemu.poll() is None and "Power down" not in out
        if hung:
            qemu.kill()
    if hung or qemu.returncode:
        return "%s: %s" % ("hung" if hung else qemu.returncode, out[-1000:])
    if len(re.findall(r"(?m)^%d\r$" % cpus, out)) < 2:
        return "not %d processors: %s" % (cpus, out[-1000:])
    return None


def main():
    if not shutil.which(QEMU):
        print("no " + QEMU)
        return SKIP
    kernel, initrd = guest("kernel"), guest("initrd", "shell")
    if not kernel or not initrd:
        print("no guest to boot")
        return SKIP
    bad = 0
    for name, cpus, options in MACHINES:
        problem = boot(sys.argv[1], kernel, initrd, cpus, options)
        print("%s: %s" % (name, problem or "ok"))
        bad += problem is not None
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
