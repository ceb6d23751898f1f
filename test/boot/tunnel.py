#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A guest streams over VXLAN through a tap interface, both ways.

All of it happens in a network namespace of its own: a tap, one end of a VXLAN
tunnel, the VMM. The bytes must arrive unchanged; with GSO over UDP tunnels
the average packet on the tap must be a superpacket, without it a plain one.
Needs /dev/net/tun, and root or namespaces for everybody. --vmm takes another
VMM.
"""
import argparse
import hashlib
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time

from boot import (COMPLAINTS, Failed, Skipped, Vmm, find, guest_file,
                  in_folder, script_options, verdict)

LENGTH = 96 << 20
LARGE, PLAIN = 40000, 1600      # bytes per packet: at least, at most


def sh(command):
    done = subprocess.run(shlex.split(command), capture_output=True,
                          text=True)
    if done.returncode:
        raise Failed("%s: %s" % (command, done.stderr.strip()))
    return done.stdout


def iproute_archive(folder):
    """The host's ip with its libraries, as an archive for the guest."""
    tree = os.path.join(folder, "tree")
    ip = shutil.which("ip", path=os.environ["PATH"] + ":/sbin:/usr/sbin")
    if not ip:
        raise Skipped("this host has no ip")
    os.makedirs(tree + "/iproute2")
    shutil.copy(ip, tree + "/iproute2/ip")
    for word in sh("ldd " + ip).split():
        if word.startswith("/") and os.path.exists(word):
            os.makedirs(tree + os.path.dirname(word), exist_ok=True)
            shutil.copy(os.path.realpath(word), tree + word)
    return subprocess.run("find . | cpio -o -H newc --quiet | gzip -1",
                          shell=True, cwd=tree, check=True,
                          stdout=subprocess.PIPE).stdout


def set_up_network(opts):
    far, near = opts.outer + "1", opts.outer + "2"
    sh("ip link set lo up")
    sh("ip tuntap add tap0 mode tap vnet_hdr" +
       (" multi_queue" if opts.queues > 1 else ""))
    sh("ip addr add %s/%d dev tap0 nodad" % (far, opts.bits))
    sh("ip link set tap0 up")
    sh("ip link add vx0 type vxlan id 42 dstport 4789 local %s remote %s "
       "dev tap0 %s" % (far, near, opts.vxlan))
    sh("ip addr add %s1/%d dev vx0 nodad" % (opts.inner, opts.innerbits))
    sh("ip link set vx0 up")


def tap_counts():
    stats = json.loads(sh("ip -s -j link show tap0"))[0]["stats64"]
    return {way: (stats[way]["bytes"], stats[way]["packets"])
            for way in ("rx", "tx")}


def per_packet(before, after, way):
    data, packets = (after[way][i] - before[way][i] for i in (0, 1))
    return data / max(packets, 1)


class Receiver(threading.Thread):
    """Hashes what the guest sends."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(
            ("::", 9), family=socket.AF_INET6, dualstack_ipv6=True)
        self.sum = hashlib.sha256()
        self.length = 0
        self.seconds = 0
        self.start()

    def run(self):
        link, _ = self.listener.accept()
        self.listener.close()
        start = time.monotonic()
        while True:
            data = link.recv(1 << 20)
            if not data:
                break
            self.sum.update(data)
            self.length += len(data)
            self.seconds = time.monotonic() - start


def send(data, address):
    start = time.monotonic()
    for _ in range(50):
        try:
            with socket.create_connection((address, 7), 10) as link:
                link.settimeout(120)
                link.sendall(data)
                link.shutdown(socket.SHUT_WR)
                link.recv(1)
            return time.monotonic() - start
        except ConnectionRefusedError:
            time.sleep(0.2)
            start = time.monotonic()
    raise Failed("the guest does not listen")


def command(opts, initrd, kernel):
    vmm = shlex.split(opts.vmm) if opts.vmm else \
        [opts.lodge, "run", "-accel", "lodge"]
    append = ("console=ttyS0 quiet lodge.checks=features,tunnel "
              "lodge.outer=%s lodge.bits=%d lodge.vxlan=%s "
              "lodge.inner=%s lodge.innerbits=%d lodge.toggle=%s" %
              (opts.outer, opts.bits, opts.vxlan.replace(" ", "+"),
               opts.inner, opts.innerbits, "yes" if opts.toggle else ""))
    more = "," + opts.properties if opts.properties else ""
    if opts.queues > 1:
        more += ",mq=on,rss=on,hash=on,vectors=%d" % (2 * opts.queues + 2)
    return vmm + [
        "-nographic", "-no-reboot", "-machine", opts.machine, "-m", "768", "-smp", str(opts.smp),
        "-kernel", kernel, "-initrd", initrd, "-append", append,
        "-netdev", "tap,id=n,ifname=tap0,script=no,downscript=no,queues=%d" %
        opts.queues,
        "-device", "virtio-net-pci,netdev=n" + more]


def judge_stream(name, size, large):
    print("  %s: %d bytes per packet" % (name, size))
    if large and size < LARGE:
        raise Failed("%s: segmented, %d bytes per packet" % (name, size))
    if not large and size > PLAIN:
        raise Failed("%s: not segmented, %d bytes per packet" % (name, size))


class Round:
    """Bytes from the guest, bytes to it, and what that was on the tap."""

    def __init__(self, opts, vmm, number):
        receiver = Receiver()
        before = tap_counts()
        vmm.wait_count("^lodge: listening", number, opts.timeout)
        between = tap_counts()
        data = os.urandom(LENGTH)
        seconds = send(data, opts.inner + "2")
        vmm.wait_count("^in ", number, opts.timeout)
        after = tap_counts()
        self.sums = receiver.sum.hexdigest(), hashlib.sha256(data).hexdigest()
        self.out = per_packet(before, between, "rx")
        self.into = per_packet(between, after, "tx")
        print("  guest to host %.0f Mbit/s, host to guest %.0f Mbit/s" %
              (LENGTH * 8e-6 / receiver.seconds, LENGTH * 8e-6 / seconds))

    def judge(self, expect):
        judge_stream("guest to host", self.out, expect in ("both", "out"))
        judge_stream("host to guest", self.into, expect in ("both", "in"))


def judge(vmm, opts, rounds, status):
    texts = [text for _, text in vmm.lines]
    for text in texts:
        if COMPLAINTS.search(text) or "bad gso" in text or \
                "bad csum" in text:
            raise Failed("the kernel says: " + text)
    for way, index in (("out", 0), ("in", 1)):
        said = [text.split()[1] for text in texts
                if re.match(way + r" \w{64}$", text)]
        if said != [r.sums[index] for r in rounds]:
            raise Failed("%s: other bytes" % way)
    if not find(vmm.lines, "^lodge: tunnel passed$")[1]:
        raise Failed("the guest is not content")
    if status:
        raise Failed("exit status %d" % status)


def judge_features(vmm, opts):
    """What ethtool -k shows in a guest that knows of tunnels."""
    said = [text for _, text in vmm.lines if text.startswith("feature tx-")]
    state = "on" if opts.expect in ("both", "out") else "off [fixed]"
    for name in ("segmentation", "csum-segmentation"):
        want = "feature tx-udp_tnl-%s %s" % (name, state)
        if want not in said:
            raise Failed("no '%s' in %s" % (want, said))


def judge_queues(vmm):
    """Several queues, chosen by a hash that comes with each frame."""
    _, said = find(vmm.lines, r"^features 0x0001 (\d+)$")
    if not said or any(said[1][bit] != "1" for bit in (22, 57, 60)):
        raise Failed("not MQ, HASH_REPORT and RSS: %s" % said)
    counts = [int(text.split()[1]) for _, text in vmm.lines
              if text.startswith("queues ")]
    if counts != [2]:
        raise Failed("queues: %s" % counts)


def boot(opts):
    set_up_network(opts)
    with Vmm(command(opts, opts.initrd, opts.image),
             open(opts.log, "wb") if opts.log else None) as vmm:
        rounds = [Round(opts, vmm, 1)]
        if opts.toggle:
            rounds.append(Round(opts, vmm, 2))
        judge(vmm, opts, rounds, vmm.finish(60))
        rounds[0].judge(opts.expect)
        judge_features(vmm, opts)
        if opts.queues > 1:
            judge_queues(vmm)
        if opts.toggle:
            rounds[1].judge("none")


def options():
    ap = script_options(__doc__)
    ap.add_argument("--vmm", help="another VMM, with its first options")
    ap.add_argument("--kernel", default="next",
                    choices=("cloud", "generic", "next"))
    ap.add_argument("--machine", default="pc")
    ap.add_argument("--smp", type=int, default=1)
    ap.add_argument("--properties", default="", help="for the card")
    ap.add_argument("--outer", default="10.0.0.",
                    help="the outer addresses without their 1 and 2")
    ap.add_argument("--bits", type=int, default=24)
    ap.add_argument("--vxlan", default="", help="more for ip link add")
    ap.add_argument("--inner", default="192.168.42.",
                    help="the same of the inner addresses")
    ap.add_argument("--innerbits", type=int, default=24)
    ap.add_argument("--queues", type=int, default=1, choices=(1, 2))
    ap.add_argument("--toggle", action="store_true",
                    help="once more with the guest's offloads turned off")
    ap.add_argument("--expect", default="both",
                    choices=("both", "in", "out", "none"),
                    help="the ways that carry superpackets")
    ap.add_argument("--timeout", type=int, default=120)
    ap.add_argument("--log", help="file for the serial output")
    ap.add_argument("--initrd", help=argparse.SUPPRESS)
    ap.add_argument("--image", help=argparse.SUPPRESS)
    return ap.parse_args()


def prepare(opts, folder):
    """Fetches what is needed and runs this again in a new namespace."""
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        raise Skipped("/dev/net/tun cannot be opened")
    unshare = ["unshare", "-n"] + (["-r"] if os.geteuid() else [])
    if subprocess.run(unshare + ["true"],
                      stderr=subprocess.DEVNULL).returncode:
        raise Skipped("no network namespaces here")
    path = os.path.join(folder, "initrd")
    with open(path, "wb") as out:
        for part in (guest_file("--print-initrd", "test"),
                     guest_file("--print-modules", opts.kernel)):
            with open(part, "rb") as f:
                out.write(f.read())
        out.write(iproute_archive(folder))
    image = guest_file("--print-kernel", opts.kernel)
    return subprocess.run(unshare + [sys.executable] + sys.argv +
                          ["--initrd", path, "--image", image]).returncode


def main():
    opts = options()
    if opts.initrd:
        return verdict(boot, opts)
    return verdict(in_folder, prepare, opts)


if __name__ == "__main__":
    sys.exit(main())
