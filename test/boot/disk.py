#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A guest's disk of any kind: random requests, and sudden death.

'random' has the guest do random requests against a model in its memory;
afterwards qemu-img check must find nothing. 'kill' has it write numbered
blocks and say which are flushed, kills the VMM in the middle, and looks for
them in the image, which may have leaks and no errors.
"""
import argparse
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

from boot import (COMPLAINTS, ROOT, SKIP, Failed, Skipped, Vmm, find,
                  guest_file, tail)
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
    vmm = Vmm(command(opts, folder, path, "blkrandom"), None)
    try:
        status = vmm.finish(opts.timeout)
        for _, text in vmm.lines:
            if COMPLAINTS.search(text):
                raise Failed("the kernel says: " + text)
        if not find(vmm.lines, "^lodge: blkrandom passed$")[1] or status:
            raise Failed("the check did not pass, status %d" % status)
    except Failed:
        tail(vmm)
        raise
    finally:
        vmm.kill()
    check_image(opts, path)


def last_tick(vmm):
    ticks = [m[1] for _, text in vmm.lines
             for m in [re.match(r"tick (\d+)$", text)] if m]
    return int(ticks[-1]) if ticks else 0


def kill_once(opts, folder):
    path = create(opts, folder)
    vmm = Vmm(command(opts, folder, path, "blktick"), None)
    try:
        vmm.wait_for("^tick 30$", opts.timeout)
        end = time.monotonic() + random.uniform(0.05, 1)
        while vmm.read(end):
            pass
    except Failed:
        tail(vmm)
        raise
    finally:
        vmm.kill()
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


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("what", choices=("random", "kill"))
    ap.add_argument("--vmm", help="another VMM, with its first options")
    ap.add_argument("--lodge", default=os.path.join(ROOT, "build", "lodge"))
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
    if not shutil.which("qemu-img"):
        print("skipped: no qemu-img here")
        return SKIP
    try:
        with tempfile.TemporaryDirectory() as folder:
            opts.initrd = join(folder, "cloud")
            {"random": do_random, "kill": do_kill}[opts.what](opts, folder)
    except Failed as e:
        print("failed: %s" % e)
        return 1
    except Skipped as e:
        print("skipped: %s" % e)
        return SKIP
    return 0


if __name__ == "__main__":
    sys.exit(main())
