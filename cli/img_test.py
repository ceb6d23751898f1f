#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""img_test.py LODGE: `lodge img`, with qemu-img as the judge of images."""
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

LODGE = os.path.abspath(sys.argv[1])
problems = []
MIB = 1 << 20


def img(*words):
    return subprocess.run([LODGE, "img", *words], capture_output=True,
                          text=True, timeout=60)


def qemu_img(*words):
    return subprocess.run(["qemu-img", *words], capture_output=True,
                          text=True, timeout=60)


def check(what, holds):
    if not holds:
        problems.append(what)


def good(*words):
    run = img(*words)
    check("%r: %r" % (words, run), run.returncode == 0 and not run.stderr)
    return run.stdout


def bad(status, stderr, *words):
    run = img(*words)
    check("%r: %r" % (words, run), run.returncode == status and
          re.search(stderr, run.stderr) and run.stderr.count("\n") == 1 and
          not run.stdout)


def described(path):
    return json.loads(qemu_img("info", "--output=json", path).stdout)


def sound(path):
    run = qemu_img("check", "-f", "qcow2", path)
    check("check of %s: %r" % (path, run), run.returncode == 0)


def same(a, fmt_a, b, fmt_b):
    run = qemu_img("compare", "-f", fmt_a, "-F", fmt_b, a, b)
    check("compare %s %s: %r" % (a, b, run), run.returncode == 0)


def write_source(path):
    """Data, zeros that are written, holes, and an odd end."""
    rng = random.Random(5)
    with open(path, "wb") as f:
        f.truncate(37 * MIB + 512)
        for _ in range(40):
            f.seek(rng.randrange(36 * MIB))
            f.write(rng.randbytes(rng.randrange(1, 300000)))
        f.seek(20 * MIB)
        f.write(bytes(3 * MIB))
        f.seek(37 * MIB)
        f.write(b"\x01" * 512)


def create():
    good("create", "new.raw", "10M")
    check("size", os.stat("new.raw").st_size == 10 * MIB)
    check("space", os.stat("new.raw").st_blocks == 0)
    good("create", "-o", "preallocation=falloc", "new.raw", "10M")
    check("reserved", os.stat("new.raw").st_blocks * 512 >= 10 * MIB)
    good("create", "-f", "qcow2", "new.qcow2", "5G")
    check("qcow2", described("new.qcow2")["virtual-size"] == 5 << 30)
    sound("new.qcow2")
    good("create", "-f", "qcow2", "-o", "preallocation=full", "new.qcow2",
         "8M")
    check("full", os.stat("new.qcow2").st_size > 8 * MIB)
    sound("new.qcow2")
    same("new.qcow2", "qcow2", "new.qcow2", "qcow2")


def convert():
    write_source("a.raw")
    good("convert", "-O", "qcow2", "a.raw", "a.qcow2")
    sound("a.qcow2")
    same("a.raw", "raw", "a.qcow2", "qcow2")
    check("zeros are left out", os.stat("a.qcow2").st_size < 12 * MIB)
    good("convert", "a.qcow2", "b.raw")
    with open("a.raw", "rb") as a, open("b.raw", "rb") as b:
        check("back again", a.read() == b.read())
    check("holes", os.stat("b.raw").st_blocks * 512 < 12 * MIB)
    # compressed, over a backing file: by qemu-img, read by ours
    qemu_img("convert", "-c", "-O", "qcow2", "a.raw", "c.qcow2")
    qemu_img("create", "-f", "qcow2", "-b", "c.qcow2", "-F", "qcow2",
             "d.qcow2")
    good("convert", "-O", "qcow2", "-o", "preallocation=full", "d.qcow2",
         "e.qcow2")
    sound("e.qcow2")
    same("a.raw", "raw", "e.qcow2", "qcow2")
    text = good("info", "d.qcow2")
    check(text, "file format: qcow2\nvirtual size: %d bytes\n" %
          (37 * MIB + 512) in text and
          re.search("backing file: .*c.qcow2$", text, re.MULTILINE))
    check("raw", "file format: raw\n" in good("info", "a.raw"))


def refuse():
    bad(4, "is the source as well", "convert", "a.raw", "a.raw")
    bad(4, "No such file", "convert", "none.raw", "x.raw")
    bad(4, "raw or qcow2, not 'vmdk'", "convert", "-O", "vmdk", "a.raw",
        "x.vmdk")
    bad(4, "falloc is for raw", "create", "-f", "qcow2", "-o",
        "preallocation=falloc", "x.qcow2", "1M")
    bad(4, "No such file or directory", "create", "none/x.raw", "1M")
    bad(2, "not a size: 1Q", "create", "x.raw", "1Q")
    bad(2, "off, falloc or full", "create", "-o", "preallocation=metadata",
        "x.raw", "1M")
    bad(2, "unknown option -z", "info", "-z", "a.raw")
    bad(2, "a word is missing", "convert", "a.raw")
    bad(2, "no such command: resize", "resize")
    bad(2, "is to be given")
    check("nothing was made", not os.path.exists("x.raw") and
          not os.path.exists("x.vmdk") and not os.path.exists("x.qcow2"))
    # somebody else has it open
    with subprocess.Popen(["qemu-io", "-f", "raw", "a.raw"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as user:
        user.stdin.write("read 0 512\n")
        user.stdin.flush()
        user.stdout.readline()
        bad(4, "in use|lock", "create", "a.raw", "1M")
        user.stdin.close()
    check("kept", os.stat("a.raw").st_size == 37 * MIB + 512)


def limit():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MIB, 2 * MIB))


def no_space():
    """The file ends before the image does."""
    for words in (["create", "-f", "qcow2", "-o", "preallocation=full",
                   "y.qcow2", "8M"],
                  ["convert", "-O", "qcow2", "a.raw", "y.qcow2"]):
        run = subprocess.run([LODGE, "img", *words], capture_output=True,
                             text=True, timeout=60, preexec_fn=limit)
        check("%r: %r" % (words, run), run.returncode == 4 and
              re.search("cannot write at .*: File too large", run.stderr))


def main():
    if not shutil.which("qemu-img"):
        print("no qemu-img here")
        return 77
    with tempfile.TemporaryDirectory() as where:
        os.chdir(where)
        create()
        convert()
        refuse()
        no_space()
        os.chdir("/")
    for p in problems:
        print("FAILED", p)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
