#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A guest's disk of any kind: random requests, and sudden death.

'random' has the guest do random requests against a model in its memory;
afterwards qemu-img check must find nothing. 'kill' has it write numbered
blocks and say which are flushed, kills the VMM in the middle, and looks for
them in the image, which may have leaks and no errors.
"""
import json
import os
import random
import re
import shlex
import subprocess
import sys
import time

from boot import (COMPLAINTS, ROOT, Failed, Vmm, find, guest_file, in_folder,
                  need_programs, script_options, verdict)
from virtio import join

MIB = 1 << 20


def run(*argv, status=(0,), stdin=None):
    done = subprocess.run(argv, capture_output=True, text=True, input=stdin)
    if done.returncode not in status:
        raise Failed("%s: status %d: %s%s" % (
            " ".join(argv), done.returncode, done.stdout, done.stderr))
    return done.returncode


def create(opts, folder):
    path = os.path.join(folder, "disk." + opts.format)
    argv = ["qemu-img", "create", "-q", "-f", opts.format]
    if opts.create:
        argv += ["-o", opts.create]
    if opts.backing:
        base = os.path.join(folder, "base.qcow2")
        run("qemu-img", "create", "-q", "-f", "qcow2", base, "24M")
        run("qemu-io", "-f", "qcow2", "-c", "write -P 3 0 20M", base)
        argv += ["-b", "base.qcow2", "-F", "qcow2"]
    run(*argv, path, str(24 * MIB))
    return path


def command(opts, folder, path, check):
    vmm = shlex.split(opts.vmm) if opts.vmm else \
        [opts.lodge, "run", "-accel", "lodge"]
    return vmm + [
        "-nographic", "-no-reboot", "-m", "256", "-smp", str(opts.smp),
        "-kernel", guest_file("--print-kernel", "cloud"),
        "-initrd", opts.initrd, "-append",
        "console=ttyS0 quiet lodge.checks=" + check,
        "-drive", "if=none,id=d,format=%s,file=%s%s" % (
            opts.format, path, opts.drive),
        "-device", "virtio-blk-pci,drive=d" + opts.device]


def check_image(opts, path, leaks=False):
    if opts.format == "raw":
        return False
    return run("qemu-img", "check", "-f", opts.format, path,
               status=(0, 3) if leaks else (0,)) == 3


def do_random(opts, folder):
    path = create(opts, folder)
    with Vmm(command(opts, folder, path, "blkrandom"), None) as vmm:
        status = vmm.finish(opts.timeout)
        for _, text in vmm.lines:
            if COMPLAINTS.search(text):
                raise Failed("the kernel says: " + text)
        if not find(vmm.lines, "^lodge: blkrandom passed$")[1] or status:
            raise Failed("the check did not pass, status %d" % status)
    check_image(opts, path)


def last_tick(vmm):
    ticks = [m[1] for _, text in vmm.lines
             for m in [re.match(r"tick (\d+)$", text)] if m]
    return int(ticks[-1]) if ticks else 0


def kill_once(opts, folder):
    path = create(opts, folder)
    with Vmm(command(opts, folder, path, "blktick"), None) as vmm:
        vmm.wait_for("^tick 30$", opts.timeout)
        end = time.monotonic() + random.uniform(0.05, 1)
        while vmm.read(end):
            pass
    leaks = check_image(opts, path, leaks=True)
    done = last_tick(vmm)
    node = {"driver": opts.format, "file": {"driver": "file",
                                            "filename": path}}
    run(opts.disktool, json.dumps(node), stdin="ticked %d 7\n" % done)
    check_image(opts, path, leaks=True)
    return leaks


def do_kill(opts, folder):
    leaked = 0
    for turn in range(opts.times):
        opts.backing = turn % 2 and opts.format == "qcow2"
        leaked += kill_once(opts, folder)
    print("  %d kills, leaks after %d" % (opts.times, leaked))


def run_checks(opts, folder):
    need_programs("qemu-img")
    opts.initrd = join(folder, "cloud")
    {"random": do_random, "kill": do_kill}[opts.what](opts, folder)


def main():
    ap = script_options(__doc__)
    ap.add_argument("what", choices=("random", "kill"))
    ap.add_argument("--vmm", help="another VMM, with its first options")
    ap.add_argument("--disktool", default=os.path.join(
        ROOT, "build", "test", "block", "disktool"))
    ap.add_argument("--format", default="qcow2")
    ap.add_argument("--create", default="", help="options of the image")
    ap.add_argument("--backing", action="store_true")
    ap.add_argument("--drive", default="", help="more of -drive")
    ap.add_argument("--device", default="", help="more of -device")
    ap.add_argument("--smp", type=int, default=1)
    ap.add_argument("--times", type=int, default=1)
    ap.add_argument("--timeout", type=int, default=120)
    opts = ap.parse_args()
    return verdict(in_folder, run_checks, opts)


if __name__ == "__main__":
    sys.exit(main())
