#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an operator can get wrong: `lodge run` must answer each mistake with
one clear line on its standard error that names the thing, and a status that
is not 0, at once.
"""
import os
import shlex
import subprocess
import sys
import tempfile

from boot import Failed, guest_file, script_options

MEMORY = ["-m", "256"]


def write(folder, name, data):
    path = os.path.join(folder, name)
    with open(path, "wb") as f:
        f.write(data)
    return path


def cases(folder):
    """name, options, a word the line must hold."""
    with open(guest_file("--print-kernel", "cloud"), "rb") as f:
        image = f.read()
    kernel = f.name
    setup = (image[0x1f1] + 1) * 512
    nothing = os.path.join(folder, "nothing")
    text = write(folder, "text", b"not a kernel\n" * 1000)
    empty = write(folder, "empty", b"")
    header = write(folder, "header", image[:0x1f8])
    short = write(folder, "short", image[:setup - 100])
    cut = write(folder, "cut", image[:setup + (len(image) - setup) // 2])
    magic = write(folder, "magic",
                  image[:0x202] + b"XXXX" + image[0x206:])
    good = ["-kernel", kernel]
    disk = write(folder, "disk", b"\0" * 4096)
    return [
        ("no kernel file", MEMORY + ["-kernel", nothing], "nothing"),
        ("kernel is a folder", MEMORY + ["-kernel", folder], folder),
        ("kernel is a text", MEMORY + ["-kernel", text], "text"),
        ("kernel is empty", MEMORY + ["-kernel", empty], "empty"),
        ("kernel ends in its header", MEMORY + ["-kernel", header],
         "header"),
        ("kernel ends in its setup", MEMORY + ["-kernel", short], "short"),
        ("kernel ends half-way", MEMORY + ["-kernel", cut], "cut"),
        ("kernel without its magic", MEMORY + ["-kernel", magic], "magic"),
        ("no initrd file", MEMORY + good + ["-initrd", nothing], "nothing"),
        ("initrd larger than memory",
         ["-m", "16"] + good + ["-initrd", kernel], ""),
        ("memory of no size", ["-m", "0"] + good, "m"),
        ("memory of odd spelling", ["-m", "12x"] + good, "12x"),
        ("negative memory", ["-m", "-5"] + good, "-5"),
        ("memory no host has", ["-m", "900000G"] + good, ""),
        ("memory beyond 64 bits", ["-m", "99999999999999999999"] + good,
         "99999999999999999999"),
        ("no CPUs", MEMORY + good + ["-smp", "0"], "0"),
        ("odd number of CPUs", MEMORY + good + ["-smp", "two"], "two"),
        ("too many CPUs", MEMORY + good + ["-smp", "100000"], "100000"),
        ("unknown option", MEMORY + good + ["-frobnicate"], "frobnicate"),
        ("option without its value", good + ["-m"], "m"),
        ("unknown accelerator", MEMORY + good + ["-accel", "warp"], "warp"),
        ("no disk file", MEMORY + good + ["-drive", "file=" + nothing],
         "nothing"),
        ("disk is a folder", MEMORY + good + ["-drive", "file=" + folder],
         folder),
        ("disk of odd size", MEMORY + good + ["-drive", "file=" + text],
         "text"),
        ("disk twice", MEMORY + good + ["-drive", "file=" + disk,
                                        "-drive", "file=" + disk],
         "in use: another disk of this process"),
        ("disk of another format",
         MEMORY + good + ["-drive", "format=qcow2,file=" + disk], "qcow2"),
        ("no such policy", MEMORY + good + [
            "-drive", "werror=sometimes,file=" + disk],
         "werror=sometimes is not offered (report, ignore, stop, enospc)"),
        ("no such policy of a device", MEMORY + good + [
            "-drive", "if=none,id=d,file=" + disk,
            "-device", "virtio-blk-pci,drive=d,rerror=enospc"],
         "rerror=enospc is not offered (report, ignore, stop)"),
        ("sizes that are no blocks", MEMORY + good + [
            "-drive", "if=none,id=d,file=" + disk,
            "-device", "virtio-blk-pci,drive=d,opt_io_size=1000"],
         "opt_io_size=1000 is not a multiple of logical_block_size=512"),
        ("device without its drive",
         MEMORY + good + ["-device", "virtio-blk-pci,drive=x"], "x"),
        ("unknown property",
         MEMORY + good + ["-device", "virtio-rng-pci,speed=9"], "speed"),
        ("slot taken twice",
         MEMORY + good + ["-device", "virtio-rng-pci,addr=3",
                          "-device", "virtio-rng-pci,addr=3"], "0x3"),
        ("PCI device without PCI",
         MEMORY + good + ["-machine", "microvm",
                          "-device", "virtio-rng-pci"], "PCI"),
        ("unknown network", MEMORY + good + ["-netdev", "warp,id=n"],
         "warp"),
        ("foreign network", MEMORY + good + ["-netdev", "l2tpv3,id=n"],
         "l2tpv3"),
        ("vhost-user without socket",
         MEMORY + good + ["-netdev", "vhost-user,id=n"], "chardev="),
        ("vhost-user without its chardev",
         MEMORY + good + ["-netdev", "vhost-user,id=n,chardev=c"], "'c'"),
        ("vhost-user on a chardev of bytes",
         MEMORY + good + ["-chardev", "null,id=c", "-netdev",
                          "vhost-user,id=n,chardev=c"], "path="),
        ("chardev that cannot reconnect",
         MEMORY + good + ["-chardev", "socket,id=c,path=/x,reconnect=1"],
         "reconnect"),
        ("stream without port",
         MEMORY + good + ["-netdev", "stream,id=n,addr.type=inet"],
         "addr.port"),
        ("tap with helper", MEMORY + good + ["-netdev", "tap,id=n,helper=x"],
         "helper"),
        ("network without name", MEMORY + good + ["-netdev", "user"], "id="),
        ("address that is none",
         MEMORY + good + ["-netdev", "user,id=n,net=10.0.2"], "10.0.2"),
        ("forward that is none",
         MEMORY + good + ["-netdev", "user,id=n,hostfwd=tcp:22"],
         "hostfwd"),
        ("card with a bad address",
         MEMORY + good + ["-netdev", "user,id=n", "-device",
                          "virtio-net-pci,netdev=n,mac=1:2"], "1:2"),
        ("tap from a number that is none",
         MEMORY + good + ["-netdev", "tap,id=n,fd=99"], "99"),
        ("item of no file",
         MEMORY + good + ["-fw_cfg", "opt/x,file=" + nothing], "nothing"),
        ("item without its bytes", MEMORY + good + ["-fw_cfg", "opt/x"],
         "string="),
        ("item of the machine's own",
         MEMORY + good + ["-fw_cfg", "etc/e820,string=x"], "e820"),
    ] + network_cases(good) + device_cases(good, disk, nothing) + [
        ("unknown CPU model", MEMORY + good + ["-cpu", "Z80"], "Z80"),
    ]


def netdev(good, text, *more):
    return MEMORY + good + ["-netdev", text] + list(more)


def network_cases(good):
    """Kinds of -netdev, each with what it cannot do."""
    return [
        ("two networks of one name",
         netdev(good, "user,id=n", "-netdev", "user,id=n"), "'n'"),
        ("one network for two cards",
         netdev(good, "user,id=n", "-device", "virtio-net-pci,netdev=n",
                "-device", "virtio-net-pci,netdev=n"), "'n'"),
        ("user network with shares",
         netdev(good, "user,id=n,smb=/tmp"), "smb"),
        ("user network with an odd switch",
         netdev(good, "user,id=n,restrict=maybe"), "maybe"),
        ("tap with a script", netdev(good, "tap,id=n,script=/x"), "/x"),
        ("tap of too long a name",
         netdev(good, "tap,id=n,ifname=abcdefghijklmnopq"), "ifname"),
        ("tap with too many queues",
         netdev(good, "tap,id=n,queues=99"), "99"),
        ("tap by number and by name",
         netdev(good, "tap,id=n,fd=0,ifname=x"), "ifname="),
        ("nic of another model",
         MEMORY + good + ["-nic", "user,model=e1000"], "virtio-net-pci"),
        ("nic of no kind", MEMORY + good + ["-nic", "mac=52:54:00:00:00:01"],
         "kind"),
        ("nic that leads nowhere", MEMORY + good + ["-nic", "bridge"],
         "bridge"),
        ("socket of no kind", netdev(good, "socket,id=n"), "listen="),
        ("socket of two kinds",
         netdev(good, "socket,id=n,listen=:1,connect=x:2"), "one of"),
        ("socket without a port",
         netdev(good, "socket,id=n,connect=host"), "HOST:PORT"),
        ("stream to nobody",
         netdev(good, "stream,id=n,addr.type=unix,addr.path=/nobody"),
         "/nobody"),
        ("stream server that reconnects",
         netdev(good, "stream,id=n,server=on,addr.type=unix,addr.path=/x,"
                "reconnect-ms=5"), "client"),
        ("stream of an odd address",
         netdev(good, "stream,id=n,addr.type=inet,addr.door=1"), "door"),
        ("dgram without an end",
         netdev(good, "dgram,id=n"), "remote.type="),
        ("card without network",
         MEMORY + good + ["-device", "virtio-net-pci"], "netdev="),
        ("card of a network that is none",
         MEMORY + good + ["-device", "virtio-net-pci,netdev=z"], "'z'"),
        ("card with odd queues",
         netdev(good, "user,id=n", "-device",
                "virtio-net-pci,netdev=n,rx_queue_size=100"), "100"),
        ("card with too small an MTU",
         netdev(good, "user,id=n", "-device",
                "virtio-net-pci,netdev=n,host_mtu=10"), "host_mtu"),
        ("card with an odd switch",
         netdev(good, "user,id=n", "-device",
                "virtio-net-pci,netdev=n,guest_tunnel=2"), "guest_tunnel"),
    ]


def device(good, *words):
    return MEMORY + good + list(words)


def device_cases(good, disk, nothing):
    """Other devices, and what is behind them."""
    share = "local,id=s,path=%s" % nothing
    return [
        ("vsock without its number",
         device(good, "-device", "virtio-vsock-pci,uds_path=/tmp/x"),
         "guest-cid"),
        ("vsock of the host's number",
         device(good, "-device",
                "virtio-vsock-pci,guest-cid=2,uds_path=/tmp/x"), "guest-cid"),
        ("share of no folder",
         device(good, "-fsdev", share + ",security_model=none"), "nothing"),
        ("share without its model",
         device(good, "-fsdev", share), "security_model="),
        ("share of another kind",
         device(good, "-fsdev", "proxy,id=s"), "proxy"),
        ("share that nobody mounts",
         device(good, "-device", "virtio-9p-pci,fsdev=s,mount_tag=t"),
         "'s'"),
        ("two balloons",
         device(good, "-device", "virtio-balloon-pci",
                "-device", "virtio-balloon-pci"), "already"),
        ("balloon of an odd switch",
         device(good, "-device",
                "virtio-balloon-pci,free-page-reporting=7"),
         "free-page-reporting"),
        ("port without a bus",
         device(good, "-device", "virtserialport,name=x"), "virtserialport"),
        ("entropy of no file",
         device(good, "-object", "rng-random,id=r,filename=" + nothing),
         "nothing"),
        ("entropy that is none",
         device(good, "-device", "virtio-rng-pci,rng=r"), "'r'"),
        ("entropy in no time",
         device(good, "-device", "virtio-rng-pci,period=0"), "period"),
        ("object of another kind",
         device(good, "-object", "secret,id=x"), "secret"),
        ("drive without a file", device(good, "-drive", "if=none,id=d"),
         "file"),
        ("drive of an odd cache",
         device(good, "-drive", "file=%s,cache=warm" % disk), "warm"),
        ("drive of an odd bus",
         device(good, "-drive", "file=%s,if=floppy" % disk), "floppy"),
        ("drive of an odd policy",
         device(good, "-drive", "file=%s,werror=pray" % disk), "pray"),
        ("drive of an unknown word",
         device(good, "-drive", "file=%s,colour=red" % disk), "colour"),
        ("node of another driver",
         device(good, "-blockdev", "driver=vhdx,node-name=d"), "vhdx"),
        ("node over one that is none",
         device(good, "-blockdev", "driver=raw,node-name=d,file=e"), "e"),
        ("chardev of another kind",
         device(good, "-chardev", "spicevmc,id=c"), "spicevmc"),
        ("chardev without a path",
         device(good, "-chardev", "socket,id=c"), "path="),
        ("chardev of an unknown word",
         device(good, "-chardev", "null,id=c,colour=red"), "colour"),
        ("monitor at no chardev",
         device(good, "-mon", "chardev=c,mode=control"), "'c'"),
        ("monitor of an odd mode",
         device(good, "-chardev", "null,id=c", "-mon",
                "chardev=c,mode=shout"), "shout"),
        ("QMP at no place", device(good, "-qmp", "carrier-pigeon"),
         "carrier-pigeon"),
        ("QMP in no folder",
         device(good, "-qmp", "unix:%s/x,server=on,wait=off" % nothing),
         "nothing"),
        ("QMP twice at the terminal",
         device(good, "-serial", "stdio", "-qmp", "stdio"), "terminal"),
        ("odd action", device(good, "-action", "panic=cry"), "cry"),
        ("odd UUID", device(good, "-uuid", "1234"), "1234"),
    ]


def judge(argv, word):
    try:
        run = subprocess.run(argv, stdin=subprocess.DEVNULL, text=True,
                             capture_output=True, timeout=20,
                             errors="replace")
    except subprocess.TimeoutExpired:
        raise Failed("still running after 20 s") from None
    lines = [x for x in run.stderr.splitlines() if x.strip()]
    if run.returncode < 0:
        raise Failed("killed by signal %d" % -run.returncode)
    if run.returncode == 0:
        raise Failed("status 0")
    if len(lines) != 1:
        raise Failed("%d lines on stderr: %s" % (len(lines), run.stderr))
    if word not in lines[0]:
        raise Failed("'%s' is not named: %s" % (word, lines[0]))
    return lines[0]


def main():
    ap = script_options(__doc__)
    ap.add_argument("--vmm", help="another VMM, with its first options")
    opts = ap.parse_args()
    vmm = shlex.split(opts.vmm) if opts.vmm else [opts.lodge, "run"]
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, args, word in cases(folder):
            accel = [] if opts.vmm or "-accel" in args else \
                ["-accel", "lodge"]
            try:
                line = judge(vmm + accel + ["-nographic", "-no-reboot"] +
                             args, word)
                print("%s: passed: %s" % (name, line), flush=True)
            except Failed as e:
                print("%s: failed: %s" % (name, e), flush=True)
                bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
