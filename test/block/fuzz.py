#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Broken qcow2 images: whatever is in them, they are refused, fail requests or
work; nothing crashes, hangs or leaves its memory (run it with the disktool of
a build with -Db_sanitize=address,undefined).

Images of several kinds are made by qemu-img; bytes, words and table entries in
them are changed, then random requests are made. --seed repeats one run.
"""
import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

SKIP = 77
SIZE = 2 << 20


def run(*argv):
    subprocess.run(argv, check=True, capture_output=True)


def make_images(folder):
    """Small ones, so that a change hits something."""
    images = []
    kinds = (["cluster_size=512"], ["cluster_size=4k", "compat=0.10"],
             ["cluster_size=4k", "refcount_bits=1"],
             ["cluster_size=64k", "lazy_refcounts=on"])
    for i, options in enumerate(kinds):
        path = os.path.join(folder, "seed%d.qcow2" % i)
        run("qemu-img", "create", "-q", "-f", "qcow2", "-o",
            ",".join(options), path, str(SIZE))
        run("qemu-io", "-f", "qcow2", "-c", "write -P 1 0 700k", "-c",
            "write -z 800k 100k", path)
        images.append(path)
    path = os.path.join(folder, "snap.qcow2")
    shutil.copy(images[1], path)
    run("qemu-img", "snapshot", "-c", "s", path)
    images.append(path)
    for kind in ("zlib", "zstd"):
        path = os.path.join(folder, kind + ".qcow2")
        run("qemu-img", "convert", "-c", "-O", "qcow2", "-o",
            "cluster_size=4k,compression_type=" + kind, images[0], path)
        images.append(path)
    return images


def change_header(data, rng):
    at = rng.choice((4, 8, 16, 20, 24, 32, 36, 40, 48, 56, 60, 64, 72, 80, 88,
                     96, 100, 104, 112, 116))
    size = rng.choice((1, 4, 8))
    value = rng.choice((0, 1, 2, rng.getrandbits(8 * size), rng.getrandbits(12),
                        (1 << (8 * size)) - 1))
    data[at:at + size] = (value % (1 << 8 * size)).to_bytes(size, "big")


def change_entry(data, rng):
    """An entry of a table somewhere: another place, other flags."""
    at = rng.randrange(len(data) // 8) * 8
    if rng.random() < 0.7:      # where there is something
        for _ in range(1000):
            if any(data[at:at + 8]):
                break
            at = rng.randrange(len(data) // 8) * 8
    old = int.from_bytes(data[at:at + 8], "big")
    value = rng.choice((
        old ^ 1 << rng.randrange(64), rng.getrandbits(64), old + 512,
        rng.randrange(len(data) // 512) * 512 | 1 << 63,
        rng.randrange(len(data) // 512) * 512, 0))
    data[at:at + 8] = (value % (1 << 64)).to_bytes(8, "big")


def mutate(image, out, rng):
    with open(image, "rb") as f:
        data = bytearray(f.read())
    for _ in range(rng.randrange(1, 6)):
        if rng.random() < 0.3:
            change_header(data, rng)
        else:
            change_entry(data, rng)
    if rng.random() < 0.1:
        del data[rng.randrange(len(data)):]
    with open(out, "wb") as f:
        f.write(data)


def attempt(tool, path, rng):
    node = {"driver": "qcow2", "discard": "unmap",
            "file": {"driver": "file", "filename": path}}
    if rng.random() < 0.2:
        node["read-only"] = True
    commands = "random 60 %d\n" % rng.randrange(1 << 20)
    done = subprocess.run([tool, json.dumps(node)], input=commands, text=True,
                          capture_output=True, timeout=60,
                          errors="replace")
    return done.returncode, done.stdout + done.stderr


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--disktool", required=True)
    ap.add_argument("--seconds", type=float, default=10)
    ap.add_argument("--seed", type=int, help="only this one")
    opts = ap.parse_args()
    if not shutil.which("qemu-img"):
        print("skipped: no qemu-img here")
        return SKIP
    tool = os.path.abspath(opts.disktool)
    end = time.monotonic() + opts.seconds
    counts = {}
    with tempfile.TemporaryDirectory() as folder:
        images = make_images(folder)
        broken = os.path.join(folder, "broken.qcow2")
        while time.monotonic() < end:
            seed = opts.seed if opts.seed is not None \
                else random.randrange(1 << 40)
            rng = random.Random(seed)
            mutate(rng.choice(images), broken, rng)
            try:
                status, text = attempt(tool, broken, rng)
            except subprocess.TimeoutExpired:
                print("failed: --seed %d hangs" % seed)
                return 1
            counts[status] = counts.get(status, 0) + 1
            if status not in (0, 1, 2) or "Sanitizer" in text or \
                    "runtime error" in text:
                print("failed: --seed %d: status %d\n%s" % (seed, status,
                                                            text[-3000:]))
                return 1
            if opts.seed is not None:
                print(status, text)
                break
    print("  worked, failed, refused: %s" % [counts.get(i, 0)
                                             for i in range(3)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
