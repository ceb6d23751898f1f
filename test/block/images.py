#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Disk images made by QEMU's tools, worked on by ours, judged by QEMU's.

disktool (beside this file) opens an image as -blockdev would and does random
requests against a model in memory. Afterwards qemu-img check must find
nothing, and qemu-img must read the same bytes.
"""
import argparse
import filecmp
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SKIP = 77
MIB = 1 << 20


class Failed(Exception):
    pass


def run(*argv, status=0, stdin=None):
    done = subprocess.run(argv, capture_output=True, text=True, input=stdin,
                          timeout=300)
    if status is not None and done.returncode != status:
        raise Failed("%s: status %d: %s%s" % (
            " ".join(argv), done.returncode, done.stdout, done.stderr))
    return done.stdout + done.stderr


def create(path, size, *options, fmt="qcow2", backing=None):
    argv = ["qemu-img", "create", "-q", "-f", fmt]
    if options:
        argv += ["-o", ",".join(options)]
    if backing:
        argv += ["-b", backing[0], "-F", backing[1]]
    run(*argv, path, str(size))


def check(path, leaks=False):
    done = subprocess.run(["qemu-img", "check", "-f", "qcow2", path],
                          capture_output=True, text=True)
    if done.returncode and not (leaks and done.returncode == 3):
        raise Failed("qemu-img check: %s%s" % (done.stdout, done.stderr))
    return done.returncode == 3


class Suite:
    def __init__(self, opts, folder):
        self.opts = opts
        self.folder = folder

    def path(self, name):
        return os.path.join(self.folder, name)

    def tool(self, image, commands, status=0, words=(), **more):
        """disktool's output; @image: a qcow2 file, or all options."""
        if isinstance(image, str):
            image = {"driver": "qcow2",
                     "file": {"driver": "file", "filename": image}}
        image = dict(image, **more)
        return run(self.opts.disktool, json.dumps(image), *words,
                   status=status, stdin=commands)

    def same(self, image):
        """qemu-img and disktool read the same."""
        ours, theirs = self.path("ours"), self.path("theirs")
        self.tool(image, "dump %s\n" % ours, **{"read-only": True})
        run("qemu-img", "convert", "-O", "raw", image, theirs)
        if not filecmp.cmp(ours, theirs, shallow=False):
            raise Failed("%s: qemu-img reads other bytes" % image)

    def work(self, image, leaks=False, **more):
        n, seed = self.opts.n, random.randrange(1 << 30)
        try:
            self.tool(image, "random %d %d\n" % (n, seed), **more)
            check(image, leaks)
            self.same(image)
        except Failed as e:
            raise Failed("seed %d: %s" % (seed, e))

    # ---- cases ----

    def case_layouts(self):
        for options in (["cluster_size=64k"], ["cluster_size=512"],
                        ["cluster_size=4k", "refcount_bits=1"],
                        ["cluster_size=2M"], ["compat=0.10"],
                        ["refcount_bits=64", "cluster_size=1k"],
                        ["preallocation=metadata"]):
            image = self.path("layout.qcow2")
            create(image, 24 * MIB, *options)
            for unmap in ("unmap", "ignore"):
                self.work(image, discard=unmap)

    def case_odd_size(self):
        image = self.path("odd.qcow2")
        create(image, 5 * MIB + 512 * 3)
        self.work(image, discard="unmap")

    def grow(self, image, old, new, *commands, **more):
        """What was there stays, the rest reads as zeros and can be used."""
        self.tool(image, "\n".join([
            "write %d 4096 7" % (old // 2), *commands, "resize %d" % new,
            "read %d 4096 7" % (old // 2), "read %d %d 0" % (old, new - old),
            "write %d 4096 8" % (new - 4096), "random 200 3",
            "flush", ""]), **more)
        check(image)
        self.same(image)
        size = json.loads(run("qemu-img", "info", "--output=json",
                              image))["virtual-size"]
        if size != new:
            raise Failed("%d bytes, not %d" % (size, new))

    def case_resize(self):
        image = self.path("grow.qcow2")
        odd = 3 * MIB + 512
        for options, new in ((["compat=0.10"], 20 * MIB),
                             (["cluster_size=4k"], 20 * MIB + 4096),
                             (["cluster_size=512"], 9 * MIB)):
            create(image, odd, *options)
            self.grow(image, odd, new, "write %d 512 9" % (odd - 512),
                      discard="unmap")
        self.grow(image, 9 * MIB, 24 * MIB)
        # Behind the end there is something in the backing file.
        self.base("longer.qcow2")
        for options in (["compat=0.10"], []):
            create(image, odd, *options,
                   backing=(self.path("longer.qcow2"), "qcow2"))
            self.grow(image, odd, 16 * MIB)
        for size, word in ((MIB, "only grow"), (1000, "multiple of 512"),
                           (1 << 60, "too large")):
            out = self.tool(image, "resize %d\n" % size, status=1)
            if word not in out:
                raise Failed("a size of %d: %s" % (size, out))
        out = self.tool(image, "resize %d\n" % (32 * MIB), status=1,
                        **{"read-only": True})
        if "Read-only" not in out:
            raise Failed("a read-only disk: " + out)
        create(image, MIB, "compat=0.10")
        run("qemu-img", "snapshot", "-c", "s", image)
        out = self.tool(image, "resize %d\n" % (2 * MIB), status=1)
        if "snapshots" not in out:
            raise Failed("version 2 with snapshots: " + out)
        create(image, MIB, "cluster_size=512")
        self.tool(image, "write 0 65536 1\nflush\n")
        run("qemu-img", "snapshot", "-c", "s", image)
        self.grow(image, MIB, 24 * MIB)
        run("qemu-img", "snapshot", "-a", "s", image)
        check(image)
        self.tool(image, "read 0 65536 1\n")

    def case_direct(self):
        image = self.path("direct.qcow2")
        create(image, 16 * MIB)
        self.work(image, cache={"direct": True})
        raw = self.path("direct.raw")
        create(raw, 8 * MIB, fmt="raw")
        for aio in ("threads", "io_uring", "native"):
            self.tool({"driver": "raw", "cache": {"direct": True},
                       "file": {"driver": "file", "filename": raw,
                                "aio": aio}}, "random 400 7\n")

    def case_raw(self):
        raw = self.path("plain.raw")
        create(raw, 8 * MIB, fmt="raw")
        base = {"driver": "raw", "discard": "unmap",
                "file": {"driver": "file", "filename": raw}}
        self.tool(base, "random 400 7\n")
        self.tool(dict(base, offset=MIB, size=3 * MIB), "random 400 8\n")
        self.tool(dict(base, **{"detect-zeroes": "unmap"}),
                  "random 400 9\n")
        out = self.tool(dict(base, offset=MIB, size=8 * MIB), "", status=2)
        if "outside" not in out:
            raise Failed("a range outside the file: " + out)

    def base(self, name, size=12 * MIB, fmt="qcow2"):
        create(self.path(name), size, fmt=fmt)
        run("qemu-io", "-f", fmt, "-c", "write -P 5 0 7M", "-c",
            "write -P 6 9M 1M", self.path(name))
        return self.path(name)

    def case_backing(self):
        self.base("base.qcow2")
        self.base("base.raw", fmt="raw")
        for base, fmt in (("base.qcow2", "qcow2"), ("base.raw", "raw")):
            for options in (["compat=0.10"], ["cluster_size=4k"], []):
                image = self.path("over.qcow2")
                # A relative name, and a disk that is longer than its base.
                os.chdir(self.folder)
                create(image, 20 * MIB, *options, backing=(base, fmt))
                os.chdir("/")
                before = open(self.path(base), "rb").read()
                self.work(image, discard="unmap")
                if open(self.path(base), "rb").read() != before:
                    raise Failed("the backing file changed")

    def case_chain(self):
        last = self.base("chain0.qcow2")
        for i in range(1, 6):
            image = self.path("chain%d.qcow2" % i)
            create(image, 12 * MIB, "cluster_size=%dk" % (4 << i),
                   backing=(last, "qcow2"))
            self.tool(image, "random 100 %d\n" % i)
            last = image
        self.work(last)

    def case_compressed(self):
        raw = self.path("text.raw")
        with open(raw, "wb") as f:
            for i in range(80000):
                f.write(b"%0100d" % (i * i))
            f.truncate(8 * MIB)
        for kind in ("zlib", "zstd"):
            image = self.path("packed.qcow2")
            run("qemu-img", "convert", "-c", "-O", "qcow2", "-o",
                "compression_type=" + kind, raw, image)
            self.same(image)
            self.work(image, discard="unmap")

    def case_snapshot(self):
        """Clusters that an internal snapshot has are not written over."""
        image = self.base("snap.qcow2")
        self.tool(image, "dump %s\n" % self.path("before"))
        run("qemu-img", "snapshot", "-c", "one", image)
        self.work(image, discard="unmap")
        run("qemu-img", "snapshot", "-a", "one", image)
        self.tool(image, "dump %s\n" % self.path("after"))
        if not filecmp.cmp(self.path("before"), self.path("after"), False):
            raise Failed("the snapshot changed")
        self.work(image)

    def case_big(self):
        """Refcount tables of small clusters have to grow."""
        image = self.path("big.qcow2")
        create(image, 64 * MIB, "cluster_size=512")
        commands = "".join("write %d %d %d\n" % (i * MIB, MIB, i + 1)
                           for i in range(64))
        commands += "flush\n"
        commands += "".join("read %d %d %d\n" % (i * MIB, MIB, i + 1)
                            for i in range(64))
        self.tool(image, commands)
        check(image)
        self.same(image)

    def case_lazy(self):
        """A client with lazy refcounts died."""
        image = self.path("lazy.qcow2")
        create(image, 16 * MIB, "lazy_refcounts=on")
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 9 1M 5M",
                        "-c", "flush", "-c", "abort", image],
                       capture_output=True)
        out = run("qemu-img", "check", image, status=None)
        if "leak" not in out and "ERROR" not in out:
            raise Failed("the image is not dirty: " + out)
        self.work(image)

    def case_refused(self):
        image = self.path("no.qcow2")
        cases = [
            ("encryption", ["encrypt.format=aes", "encrypt.key-secret=s"]),
            ("external data file", ["data_file=" + self.path("data.raw")]),
            ("extended L2", ["extended_l2=on"])]
        for what, options in cases:
            argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-o",
                    ",".join(options)]
            if "encryption" in what:
                argv[2:2] = ["--object", "secret,id=s,data=x"]
            run(*argv, image, "8M")
            out = self.tool(image, "", status=2)
            if what not in out or out.count("\n") != 1:
                raise Failed("%s: %s" % (what, out))
            os.unlink(image)
        create(image, 8 * MIB)
        run("qemu-img", "bitmap", "--add", image, "b")
        if "bitmap" not in self.tool(image, "", status=2):
            raise Failed("bitmaps are not refused")
        self.tool(image, "read 0 4096 0\n", **{"read-only": True})
        os.unlink(image)
        create(image, 8 * MIB)
        out = self.tool(image, "", status=2, bogus=1)
        if "'bogus'" not in out:
            raise Failed("an unknown option: " + out)

    def case_corrupt(self):
        """An entry that points into metadata."""
        image = self.path("corrupt.qcow2")
        create(image, 8 * MIB)
        self.tool(image, "write 0 65536 1\n")
        with open(image, "r+b") as f:
            f.seek(40)
            l1 = int.from_bytes(f.read(8), "big")
            f.seek(l1)
            l2 = int.from_bytes(f.read(8), "big") & 0xfffffffffffe00
            f.seek(l2)
            f.write(((1 << 63) | l1).to_bytes(8, "big"))
        out = self.tool(image, "write 0 512 2\n", status=1)
        if "corrupt" not in out or "L1 table" not in out:
            raise Failed("a write to metadata: " + out)
        out = self.tool(image, "", status=2)
        if "marked corrupt" not in out:
            raise Failed("the corrupt bit: " + out)
        self.tool(image, "", **{"read-only": True})

    def case_overlay(self):
        """-snapshot"""
        image = self.base("kept.qcow2")
        before = open(image, "rb").read()
        self.tool(image, "random 400 3\n", words=["snapshot"])
        if open(image, "rb").read() != before:
            raise Failed("the image changed")

    def case_kill(self):
        leaked = 0
        for turn in range(self.opts.kills):
            image = self.path("kill.qcow2")
            if turn % 3 == 2:
                base = self.base("kill-base.qcow2", 64 * MIB)
                create(image, 64 * MIB, backing=(base, "qcow2"))
            else:
                create(image, 64 * MIB,
                       "cluster_size=%s" % ("64k", "4k")[turn % 2])
            leaked += self.kill_once(image, turn)
        print("  %d kills, leaks after %d" % (self.opts.kills, leaked))

    def kill(self, image, command, numbers, seconds):
        """Kill disktool a while after so many numbers; the last one told."""
        argv = [self.opts.disktool, json.dumps({
            "driver": "qcow2", "file": {"driver": "file",
                                        "filename": image}})]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, text=True,
                              stdout=subprocess.PIPE) as tool:
            tool.stdin.write(command)
            tool.stdin.close()
            tool.stdin = None
            lines = [tool.stdout.readline() for _ in range(1 + numbers)]
            time.sleep(random.uniform(0, seconds))
            tool.send_signal(signal.SIGKILL)
            lines += tool.stdout.read().split("\n")
        numbers = [int(line) for line in lines[1:] if line.strip()]
        return numbers[-1] if numbers else 0

    def kill_once(self, image, seed):
        done = self.kill(image, "tick 1000000 %d\n" % seed, 15, 0.5)
        leaks = check(image, leaks=True)
        self.tool(image, "ticked %d %d\n" % (done, seed))
        self.work(image, leaks=True)
        return leaks

    def case_kill_resize(self):
        """Tables move while a disk grows."""
        layouts = (["cluster_size=512"], ["cluster_size=4k"],
                   ["compat=0.10", "cluster_size=1k"])
        leaked = resizes = 0
        base = self.base("kill-resize-base.qcow2")
        for turn in range(self.opts.kills):
            image = self.path("kill-resize.qcow2")
            create(image, 8 * MIB, *layouts[turn % 3],
                   backing=(base, "qcow2") if turn % 2 else None)
            before = ["write %d 65536 7\n" % (i * MIB) for i in range(7)]
            done = self.kill(image, "".join(before) + "flush\ngrow 160 %d %d"
                             "\n" % (8 * MIB, MIB), 1 + turn % 4, 0.15)
            leaked += check(image, leaks=True)
            self.tool(image, "".join(before).replace("write", "read") +
                      "grown %d %d %d\n" % (done, 8 * MIB, MIB))
            size = json.loads(run("qemu-img", "info", "--output=json",
                                  image))["virtual-size"]
            if size % MIB or size < (8 + done) * MIB:
                raise Failed("%d bytes after %d resizes" % (size, done))
            resizes += done
            self.work(image, leaks=True)
        print("  %d kills after %d resizes, leaks after %d" % (
            self.opts.kills, resizes, leaked))

    def case_lock(self):
        """QEMU's programs and ours keep each other out."""
        image = self.path("lock.qcow2")
        create(image, 8 * MIB)
        argv = [self.opts.disktool, json.dumps({
            "driver": "qcow2", "file": {"driver": "file",
                                        "filename": image}})]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, text=True,
                              stdout=subprocess.PIPE) as tool:
            tool.stdout.readline()
            for other in (["qemu-img", "info", image],
                          ["qemu-img", "check", image],
                          ["qemu-io", "-f", "qcow2", "-c", "write 0 4k",
                           image]):
                if "lock" not in run(*other, status=1):
                    raise Failed("%s does not see the lock" % other)
            run("qemu-img", "info", "-U", image)
            if "in use: another process" not in self.tool(image, "", status=2):
                raise Failed("a second writer")
            self.tool(image, "read 0 4096 0\n", words=["share"],
                      **{"read-only": True})
            tool.communicate("")
        with subprocess.Popen(["qemu-io", "-f", "qcow2", image],
                              stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as other:
            other.stdin.write(b"write 0 4k\n")
            other.stdin.flush()
            other.stdout.readline()
            if "in use: another process" not in self.tool(image, "", status=2):
                raise Failed("QEMU's lock is not seen")
            other.communicate(b"quit\n")
        self.tool(image, "")

    def case_nbd(self):
        if not shutil.which("qemu-nbd"):
            return
        image, sock = self.path("nbd.qcow2"), self.path("nbd.sock")
        create(image, 16 * MIB)
        server = ["qemu-nbd", "-k", sock, "-f", "qcow2", "-t", image,
                  "--discard=unmap"]
        nbd = {"driver": "raw", "discard": "unmap",
               "file": {"driver": "nbd",
                        "uri": "nbd+unix:///?socket=" + sock}}
        with subprocess.Popen(server) as proc:
            try:
                self.wait_for(sock)
                self.tool(nbd, "random 300 5\n")
                old = dict(nbd, file={"driver": "nbd",
                                      "uri": "nbd:unix:" + sock})
                self.tool(old, "random 200 6\n")
            finally:
                proc.terminate()
        check(image)
        out = self.tool(nbd, "", status=2)
        if "nbd.sock" not in out:
            raise Failed("no server: " + out)

    def wait_for(self, path):
        for _ in range(200):
            if os.path.exists(path):
                return
            time.sleep(0.05)
        raise Failed("%s does not come" % path)

    def case_nbd_sizes(self):
        """A server of large blocks, which takes no large requests."""
        if not shutil.which("nbdkit"):
            return
        sock = self.path("sizes.sock")
        server = ["nbdkit", "-f", "-U", sock, "--filter=blocksize-policy",
                  "memory", "8M", "blocksize-minimum=4k",
                  "blocksize-preferred=4k", "blocksize-maximum=64k",
                  "blocksize-error-policy=error"]
        nbd = {"driver": "raw", "discard": "unmap", "file": {
            "driver": "nbd", "server": {"type": "unix", "path": sock}}}
        with subprocess.Popen(server) as proc:
            try:
                self.wait_for(sock)
                self.tool(nbd, "random 300 5\nwrite 512 1048576 3\n"
                          "read 512 1048576 3\nwrite 5120 512 4\n"
                          "read 5120 512 4\nzero 1024 7168\n"
                          "read 1024 7168 0\ndiscard 512 4096\nflush\n")
            finally:
                proc.terminate()

    def case_nbd_errors(self):
        """A server that fails every write; one that goes away."""
        if not shutil.which("nbdkit"):
            return
        sock = self.path("kit.sock")
        server = ["nbdkit", "-f", "-U", sock, "--filter=error", "memory",
                  "8M", "error-pwrite=ENOSPC", "error-pwrite-rate=100%"]
        nbd = {"driver": "raw", "file": {
            "driver": "nbd", "server": {"type": "unix", "path": sock}}}
        with subprocess.Popen(server, stderr=subprocess.DEVNULL) as proc:
            try:
                self.wait_for(sock)
                out = self.tool(nbd, "read 0 4096 0\nwrite 0 4096 1\n",
                                status=1)
            finally:
                proc.terminate()
        if "No space left" not in out:
            raise Failed("the server's error: " + out)

    def case_throttle(self):
        raw = self.path("slow.raw")
        create(raw, 8 * MIB, fmt="raw")
        node = {"driver": "raw", "throttling": {"iops-total": 100},
                "file": {"driver": "file", "filename": raw}}
        begin = time.monotonic()
        self.tool(node, "".join("read 0 4096 0\n" for _ in range(160)))
        took = time.monotonic() - begin
        # A tenth of a second's worth is free: 150 of them wait.
        if not 1.3 < took < 6:
            raise Failed("160 requests at 100 a second: %.2f s" % took)

    def case_full(self):
        """No space on the host: the image stays whole, and goes on."""
        if os.geteuid() or not shutil.which("mount"):
            return
        small = self.path("small")
        os.mkdir(small)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none",
                           small], capture_output=True).returncode:
            return
        try:
            image = os.path.join(small, "full.qcow2")
            create(image, 64 * MIB)
            out = self.tool(image, "write 0 1048576 1\n"
                            "write 1048576 1048576 2\nflush\n" + "".join(
                "write %d %d %d\n" % (i * MIB, MIB, i + 1)
                for i in range(2, 8)), status=1)
            if "No space left" not in out:
                raise Failed("a full disk: " + out)
            check(image, leaks=True)
            self.tool(image, "read 0 1048576 1\nread 1048576 1048576 2\n"
                      "unmap 0 1048576\nflush\nflush\nflush\n",
                      discard="unmap")
            check(image, leaks=True)
        finally:
            run("umount", small)

    def case_graph(self):
        """Formats are found; a guess does not become another one."""
        raw = self.path("guess.raw")
        create(raw, 8 * MIB, fmt="raw")
        guess = {"file": {"driver": "file", "filename": raw}}
        if "open raw" not in self.tool(guess, "write 0 4096 3\n"):
            raise Failed("raw is not guessed")
        head = self.path("head.qcow2")
        create(head, 8 * MIB)
        if "open qcow2" not in self.tool(
                {"file": {"driver": "file", "filename": head}}, ""):
            raise Failed("qcow2 is not found")
        luks = self.path("luks.img")
        with open(luks, "wb") as f:
            f.write(b"LUKS\xba\xbe" + bytes(MIB - 6))
        out = self.tool({"file": {"driver": "file", "filename": luks}}, "",
                        status=2)
        if "luks" not in out:
            raise Failed("luks: " + out)


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--disktool", required=True)
    ap.add_argument("--kills", type=int, default=3)
    ap.add_argument("--n", type=int, default=300,
                    help="random requests to an image")
    ap.add_argument("cases", nargs="*")
    opts = ap.parse_args()
    opts.disktool = os.path.abspath(opts.disktool)
    if not shutil.which("qemu-img") or not shutil.which("qemu-io"):
        print("skipped: no qemu-img here")
        return SKIP
    names = opts.cases or [n[5:] for n in dir(Suite) if n.startswith("case_")]
    failed = 0
    for name in names:
        begin = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            try:
                getattr(Suite(opts, folder), "case_" + name)()
                print("ok %s %.1f s" % (name, time.monotonic() - begin),
                      flush=True)
            except (Failed, subprocess.TimeoutExpired) as e:
                print("failed %s: %s" % (name, e), flush=True)
                failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
