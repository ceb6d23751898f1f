#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Boots a guest with a disk, a network card and an entropy device.

The guest mounts an ext4 disk made here, compares a checksum, writes a file
that is read back from the image afterwards, gets an address by DHCP, fetches
a file from an HTTP server here, takes a connection through a forwarded port,
and reads what -fw_cfg hands over. fsck must find the file system clean. --vmm takes another VMM.
"""
import hashlib
import http.server
import os
import re
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

from boot import (COMPLAINTS, Failed, Skipped, Vmm, find, guest_file,
                  in_folder, script_options, verdict)

CHECKS = ["disk", "code", "http", "rng", "features", "fwcfg", "forward"]


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def run(*argv):
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise Failed("%s: %s%s" % (argv[0], done.stdout, done.stderr))
    return done.stdout


def tool(name):
    path = shutil.which(name, path=os.environ["PATH"] + ":/sbin:/usr/sbin")
    if not path:
        raise Skipped("this host has no %s" % name)
    return path


class Disk:
    """An ext4 image with one file of random bytes and one of code."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "disk.img")
        tree = os.path.join(folder, "tree")
        os.mkdir(tree)
        data = os.urandom(20 << 20)
        self.sum = sha256(data)
        with open(os.path.join(tree, "data"), "wb") as f:
            f.write(data)
        with open(os.path.join(tree, "code"), "wb") as f:
            for n in range(40):  # mov $n, %eax; ret
                code = b"\xb8" + struct.pack("<I", n) + b"\xc3"
                f.write(code.ljust(4096, b"\0"))
        with open(self.path, "wb") as f:
            f.truncate(96 << 20)
        run(tool("mke2fs"), "-q", "-F", "-t", "ext4", "-d", tree, self.path)

    def judge(self, wanted, folder):
        run(tool("e2fsck"), "-fn", self.path)
        out = os.path.join(folder, "guest")
        run(tool("debugfs"), "-R", "dump /guest " + out, self.path)
        with open(out, "rb") as f:
            if sha256(f.read()) != wanted:
                raise Failed("the image does not hold what was written")


class Server:
    """One file by HTTP, on a port of its own."""

    def __init__(self):
        data = os.urandom(15 << 20)
        self.sum = sha256(data)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                    Handler)
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever,
                         daemon=True).start()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def send_forward(port):
    """Sends bytes into the guest; their checksum."""
    data = os.urandom(3 << 20)
    with socket.create_connection(("127.0.0.1", port), 20) as s:
        s.sendall(data)
    return sha256(data)


def forward(vmm, port):
    """The guest's program is about to listen: tries until it has taken it."""
    for _ in range(20):
        try:
            sent = send_forward(port)
            vmm.wait_for("^sent ", 5)
            return sent
        except (OSError, Failed):
            time.sleep(0.5)
    raise Failed("the forwarded port leads nowhere")


def join(folder, kernel):
    """An initramfs with that kernel's drivers behind it."""
    path = os.path.join(folder, "initrd")
    with open(path, "wb") as out:
        for part in (guest_file("--print-initrd", "test"),
                     guest_file("--print-modules", kernel)):
            with open(part, "rb") as f:
                out.write(f.read())
    return path


def handed_file(folder):
    """Some bytes for the guest, made when first asked for."""
    path = os.path.join(folder, "handed")
    if not os.path.exists(path):
        with open(path, "wb") as f:
            f.write(os.urandom(70001))
    return path


def command(opts, folder, disk, server, port):
    vmm = shlex.split(opts.vmm) if opts.vmm else \
        [opts.lodge, "run", "-accel", "lodge"]
    end = "device" if opts.machine == "microvm" else "pci"
    more = "," + opts.properties if opts.properties else ""
    append = " ".join([
        "console=ttyS0 quiet lodge.checks=" + ",".join(CHECKS),
        "lodge.disk=" + disk.sum, "lodge.urlsum=" + server.sum,
        "lodge.fwtext=a=b,c", "lodge.url=http://10.0.2.2:%d/" % server.port])
    return vmm + [
        "-nographic", "-no-reboot", "-machine", opts.machine, "-m", "512",
        "-smp", str(opts.smp),
        "-kernel", guest_file("--print-kernel", opts.kernel),
        "-initrd", join(folder, opts.kernel), "-append", append,
        "-drive", "if=none,id=d,format=raw,discard=unmap,file=" + disk.path,
        "-device", "virtio-blk-%s,drive=d%s" % (end, more),
        "-netdev", "user,id=n,hostfwd=tcp:127.0.0.1:%d-:7" % port,
        "-device", "virtio-net-%s,netdev=n%s" % (end, more),
        "-device", "virtio-rng-%s%s" % (end, more),
        "-fw_cfg", "name=opt/lodge/text,string=a=b,,c",
        "-fw_cfg", "opt/lodge/file,file=" + handed_file(folder)]


def judge_features(lines, opts):
    """Every bit that was asked for by name is agreed on."""
    rows = [text.split() for _, text in lines if text.startswith("features ")]
    if {row[1] for row in rows} != {"0x0001", "0x0002", "0x0004"}:
        raise Failed("not the three devices: %s" % rows)
    bits = {"packed": 34, "event_idx": 29, "indirect_desc": 28,
            "in_order": 35, "notification_data": 38, "queue_reset": 40}
    for name, value in re.findall(r"(\w+)=(\w+)", opts.properties):
        for row in rows:
            if name in bits and row[2][bits[name]] != str(
                    int(value == "on")):
                raise Failed("%s is not %s in %s" % (name, value, row[1]))


def judge(lines, status, opts, disk, folder, sent):
    for _, text in lines:
        if COMPLAINTS.search(text):
            raise Failed("the kernel says: " + text)
    for name in CHECKS:
        if not find(lines, "^lodge: %s passed$" % name)[1]:
            raise Failed("check %s did not pass" % name)
    if status:
        raise Failed("exit status %d" % status)
    judge_features(lines, opts)
    written = find(lines, r"^guest (\w{64})$")[1]
    again = find(lines, r"^again (\w{64})$")[1]
    got = find(lines, r"^sent (\w{64})$")[1]
    if not written or not again or written[1] != again[1]:
        raise Failed("the guest reads what it did not write")
    if not got or got[1] != sent:
        raise Failed("the forwarded bytes are others")
    with open(handed_file(folder), "rb") as f:
        if not find(lines, "^fwfile %s$" % sha256(f.read()))[1]:
            raise Failed("the file handed over is another")
    disk.judge(written[1], folder)


def boot(opts, folder):
    disk, server, port = Disk(folder), Server(), free_port()
    with Vmm(command(opts, folder, disk, server, port), None) as vmm:
        vmm.wait_for("^lodge: listening", opts.timeout)
        sent = forward(vmm, port)
        status = vmm.finish(60)
        judge(vmm.lines, status, opts, disk, folder, sent)
        print("  %.2f s" % (time.monotonic() - vmm.start))


def main():
    ap = script_options(__doc__)
    ap.add_argument("--vmm", help="another VMM, with its first options")
    ap.add_argument("--kernel", default="cloud",
                    choices=("cloud", "generic", "next"))
    ap.add_argument("--machine", default="pc")
    ap.add_argument("--smp", type=int, default=1)
    ap.add_argument("--properties", default="",
                    help="for all three devices")
    ap.add_argument("--timeout", type=int, default=120)
    opts = ap.parse_args()
    return verdict(in_folder, boot, opts)


if __name__ == "__main__":
    sys.exit(main())
