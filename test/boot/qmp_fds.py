#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a client lends while a guest is there: descriptors, by SCM_RIGHTS to the
monitor, under a name or in a set, or by being left open, and character ports
that come and go. The guest never runs; what became of each descriptor is
looked up in /proc.
"""
import fcntl
import json
import os
import re
import socket
import struct
import subprocess
import sys
import time

from boot import guest_file, in_folder, script_options, verdict
from qmp import Qmp, check

TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454ca, 2, 0x1000, 0x4000
IFF_MULTI_QUEUE = 0x100
MISSING = "No file descriptor supplied via SCM_RIGHTS"


class Session(Qmp):
    """One that passes descriptors, and knows what the other side has open."""

    def __init__(self, path, pid):
        super().__init__(path)
        self.pid = pid

    def open_files(self):
        """What it has open, by path or inode."""
        folder, names = "/proc/%d/fd" % self.pid, []
        for fd in os.listdir(folder):
            try:
                names.append(os.readlink(os.path.join(folder, fd)))
            except FileNotFoundError:
                pass
        return names

    def has(self, name, times=1, seconds=10):
        """The other side has @name open so often, soon."""
        deadline = time.monotonic() + seconds
        while self.open_files().count(name) != times:
            check("%s is open %d times, not %d" %
                  (name, self.open_files().count(name), times),
                  time.monotonic() < deadline)
            time.sleep(0.05)


def temporary(folder, name, data=b"", flags=os.O_RDWR):
    """(descriptor, path) of a file with @data."""
    path = os.path.join(folder, name)
    with open(path, "wb") as f:
        f.write(data)
    return os.open(path, flags), path


def check_names(qmp, folder):
    """getfd and closefd."""
    a, path_a = temporary(folder, "a")
    b, path_b = temporary(folder, "b")
    check("none", qmp.refused("getfd", fdname="x") == MISSING)
    qmp.give(a, "getfd", fdname="x")
    qmp.has(path_a)
    # Another of that name takes its place.
    qmp.give(b, "getfd", fdname="x")
    qmp.has(path_a, 0)
    qmp.has(path_b)
    qmp.ask("closefd", fdname="x")
    qmp.has(path_b, 0)
    check("closed twice", qmp.refused("closefd", fdname="x") ==
          "File descriptor named 'x' not found")
    answer = qmp.pass_fds([a], "getfd", fdname="7up")
    check("a digit: %s" % answer, "not starting with a digit" in
          answer["error"]["desc"])
    qmp.has(path_a, 0)
    # One that comes before its request, and one that nobody wants.
    socket.send_fds(qmp.socket, [b" "], [a])
    qmp.ask("getfd", fdname="early")
    qmp.pass_fds([a], "query-status")
    socket.send_fds(qmp.socket, [b" "], [b])
    qmp.ask("getfd", fdname="late")
    qmp.has(path_a)
    qmp.has(path_b)
    for name in ("early", "late"):
        qmp.ask("closefd", fdname=name)
    # Of several the first; several requests in a row, each with its own.
    qmp.pass_fds([a, b, b], "getfd", fdname="first")
    qmp.has(path_a)
    qmp.has(path_b, 0)
    for i in range(8):
        text = json.dumps({"execute": "getfd",
                           "arguments": {"fdname": "n%d" % i}})
        socket.send_fds(qmp.socket, [text.encode()], [b if i % 2 else a])
    for i in range(8):
        check("one of a row", "return" in qmp.answer())
    for i in range(0, 8, 2):
        qmp.ask("closefd", fdname="n%d" % i)
    qmp.has(path_a)
    qmp.has(path_b, 4)
    for i in range(1, 8, 2):
        qmp.ask("closefd", fdname="n%d" % i)
    qmp.ask("closefd", fdname="first")
    for path in (path_a, path_b):
        qmp.has(path, 0)
    os.close(a)
    os.close(b)


def check_sets(qmp, folder):
    """add-fd, remove-fd, query-fdsets, and /dev/fdset/N as a disk's file."""
    rw, path = temporary(folder, "disk.raw", b"x" * 4096)
    ro = os.open(path, os.O_RDONLY)
    first = qmp.give(rw, "add-fd", opaque="rdwr:disk")
    check("the first set: %s" % first, first["fdset-id"] == 0)
    second = qmp.give(ro, "add-fd", **{"fdset-id": 0})
    check("sets: %s" % qmp.ask("query-fdsets"), qmp.ask("query-fdsets")[0] ==
          {"fdset-id": 0, "fds": [{"fd": first["fd"], "opaque": "rdwr:disk"},
                                  {"fd": second["fd"]}]})
    check("no set", "No such file" in qmp.refused(
        "blockdev-add", driver="file", filename="/dev/fdset/99",
        **{"node-name": "none"}))
    for name, read_only in (("w", False), ("r", True)):
        qmp.ask("blockdev-add", **{
            "driver": "raw", "node-name": name, "read-only": read_only,
            "file": {"driver": "file", "filename": "/dev/fdset/0",
                     "locking": "off"}})
    qmp.has(path, 4)
    names = [[b["node-name"] for b in qmp.ask("query-blockstats", **more)]
             for more in ({}, {"query-nodes": True})]
    check("nodes are devices: %s" % names, len(names[0]) == 1 and
          names[1] == names[0] + ["w", "r"])
    check("a drive without its name", [
        b["device"] for b in qmp.ask("query-blockstats")] == names[0])
    qmp.ask("remove-fd", **{"fdset-id": 0, "fd": first["fd"]})
    qmp.has(path, 3)
    check("removed twice", "fdset-id:0, fd:%d" % first["fd"] in qmp.refused(
        "remove-fd", **{"fdset-id": 0, "fd": first["fd"]}))
    check("nothing suits", "Permission denied" in qmp.refused(
        "blockdev-add", driver="file", filename="/dev/fdset/0",
        locking="off", **{"node-name": "w2"}))
    qmp.ask("remove-fd", **{"fdset-id": 0})
    qmp.has(path, 2)
    check("one in use is gone", qmp.ask("query-fdsets")[0] ==
          {"fdset-id": 0, "fds": []})
    for name in "wr":
        qmp.ask("blockdev-del", **{"node-name": name})
    qmp.has(path, 0)
    check("an empty set stays", len(qmp.ask("query-fdsets")) == 2)
    check("no such set", "fdset-id:0'" in
          qmp.refused("remove-fd", **{"fdset-id": 0}))
    answer = qmp.pass_fds([rw], "add-fd", **{"fdset-id": -1})
    check("a negative set: %s" % answer, "non-negative" in
          answer["error"]["desc"])
    qmp.has(path, 0)
    os.close(rw)
    os.close(ro)


def make_tap(name, flags=0):
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack(
        "16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | flags))
    return fd


def there(name):
    return os.path.exists("/sys/class/net/" + name)


def check_taps(qmp):
    """Named ones become networks, which then have them alone."""
    for fds, flags in ((1, 0), (2, IFF_MULTI_QUEUE)):
        name = "lodgefd%d" % os.getpid()
        for i in range(fds):
            fd = make_tap(name, flags)
            qmp.give(fd, "getfd", fdname="tap%d" % i)
            os.close(fd)
        names = ":".join("tap%d" % i for i in range(fds))
        check("no such name", qmp.refused(
            "netdev_add", type="tap", id="tap", fds=names + ":none") ==
            "File descriptor named 'none' has not been found")
        check("what was named for nothing stays", not there(name))
        for i in range(fds):
            fd = make_tap(name, flags)
            qmp.give(fd, "getfd", fdname="tap%d" % i)
            os.close(fd)
        key = "fds" if fds > 1 else "fd"
        qmp.ask("netdev_add", type="tap", id="tap", **{key: names})
        qmp.refused("closefd", fdname="tap0")
        check("the interface is gone", there(name))
        qmp.ask("netdev_del", id="tap")
        check("the interface stays", not there(name))


def check_nets(qmp):
    """The same for sockets; what is not fit for it is closed."""
    ours, theirs = socket.socketpair()
    qmp.give(theirs.fileno(), "getfd", fdname="wire")
    theirs.close()
    qmp.ask("netdev_add", type="stream", id="wire",
            addr={"type": "fd", "str": "wire"})
    qmp.ask("netdev_del", id="wire")
    check("a stream that stays", ours.recv(1) == b"")
    null = os.open("/dev/null", os.O_RDWR)
    qmp.give(null, "getfd", fdname="null")
    check("no tap", "is not a tap" in qmp.refused(
        "netdev_add", type="tap", id="tap", fd="null"))
    qmp.refused("closefd", fdname="null")
    os.close(null)


def unix(path, **more):
    return {"type": "socket", "data": dict(more, addr={
        "type": "unix", "data": {"path": path}})}


def ports(qmp):
    return {p["label"]: (p["filename"], p["frontend-open"])
            for p in qmp.ask("query-chardev")}


def check_ports(qmp, folder):
    """chardev-add and its like; a monitor's port is nobody else's."""
    kinds = {b["name"] for b in qmp.ask("query-chardev-backends")}
    check("kinds: %s" % kinds, kinds == {"null", "file", "pty", "socket",
                                         "stdio"})
    path, log = os.path.join(folder, "port"), os.path.join(folder, "a,b")
    qmp.ask("chardev-add", id="sock", backend=unix(path, server=True,
                                                   wait=False))
    qmp.ask("chardev-add", id="log", backend={"type": "file", "data": {
        "out": log}})
    check("no file", os.path.exists(log))
    pty = qmp.ask("chardev-add", id="pty", backend={"type": "pty",
                                                    "data": {}})["pty"]
    check("no terminal: " + pty, os.path.exists(pty))
    tcp = {"type": "inet", "data": {"host": "127.0.0.1", "port": "0"}}
    qmp.ask("chardev-add", id="tcp", backend={"type": "socket", "data": {
        "addr": tcp, "telnet": False, "nodelay": True}})
    ours, theirs = socket.socketpair()
    qmp.give(theirs.fileno(), "getfd", fdname="line")
    theirs.close()
    qmp.ask("chardev-add", id="fd", backend={"type": "socket", "data": {
        "server": False, "addr": {"type": "fd", "data": {"str": "line"}}}})
    text = qmp.ask("human-monitor-command",
                   command_line="chardev-add null,id=person")
    check(text, not text)
    now = ports(qmp)
    check("ports: %s" % now, now["sock"] == (
        "disconnected:unix:%s,server=on" % path, False) and
        now["person"] == ("null", False) and now["log"][0] == "file" and
        now["tcp"][0].startswith("disconnected:tcp:127.0.0.1:") and
        now["mon"][1] and now["serial0"][1] and now["fd"][0][:3] == "fd:")
    for name in ("mon", "serial0"):
        check("a monitor's port", "is busy" in
              qmp.refused("chardev-remove", id=name))
        text = qmp.refused("device_add", driver="virtserialport", chardev=name)
        check("a device on it: " + text, "has a user already" in text)
        check("another place for it", "hotswap" in qmp.refused(
            "chardev-change", id=name, backend={"type": "null"}))
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(path)
        qmp.ask("chardev-change", id="sock", backend=unix(path + "2"))
        check("still there", peer.recv(1) == b"" and
              not os.path.exists(path) and os.path.exists(path + "2"))
    qmp.refused("chardev-change", id="sock", backend=unix("/none/port"))
    check("a change that fails", os.path.exists(path + "2"))
    for words, arguments in (
            ("already exists", {"id": "sock", "backend": {"type": "null"}}),
            ("is no id", {"id": "1x", "backend": {"type": "null"}}),
            ("terminal", {"id": "x", "backend": {"type": "stdio"}}),
            ("cannot listen", {"id": "x", "backend": unix("/none/port")}),
            ("wait", {"id": "x", "backend": unix(path, wait=True)}),
            ("out", {"id": "x", "backend": unix(path, out="x")}),
            ("missing", {"id": "x", "backend": {"type": "file"}}),
            ("addr", {"id": "x", "backend": {"type": "socket"}})):
        text = qmp.refused("chardev-add", **arguments)
        check("%s: %s" % (words, text), words in text)
    check("more than are there", ports(qmp).keys() == now.keys())
    for name in ("sock", "log", "pty", "tcp", "fd", "person"):
        qmp.ask("chardev-remove", id=name)
    check("a line that stays", ours.recv(1) == b"")
    check("it was removed before", "not found" in
          qmp.refused("chardev-remove", id="sock"))
    check("sockets stay", not os.path.exists(path + "2"))
    for i in range(14):
        qmp.ask("chardev-add", id="c%d" % i, backend={"type": "null"})
    check("more than there can be", "more than 16" in qmp.refused(
        "chardev-add", id="x", backend={"type": "null"}))
    for i in range(14):
        qmp.ask("chardev-remove", id="c%d" % i)


def check_forwards(qmp):
    """Ports of this host that people open into a guest."""
    def line(text):
        return qmp.ask("human-monitor-command", command_line=text)

    def connects(port):
        with socket.socket() as s:
            return not s.connect_ex(("127.0.0.1", port))

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    rule = "tcp:127.0.0.1:%d" % port
    check("no network", "no user mode network" in
          line("hostfwd_add %s-:22" % rule))
    for name in ("one", "two"):
        qmp.ask("netdev_add", type="user", id=name)
    for words in (("", ""), ("two ", "two ")):
        text = line("hostfwd_add %s%s-:22" % (words[0], rule))
        check(text, not text)
        check("nobody listens", connects(port))
        check("usernet", re.search(r"HOST_FORWARD.* %d " % port,
                                   line("info usernet")))
        check("one more", "cannot listen" in
              line("hostfwd_add %s%s-:22" % (words[0], rule)))
        text = line("hostfwd_remove %s%s" % (words[1], rule))
        check(text, not text)
        check("somebody listens", not connects(port))
    check("another network", "no -netdev user,id=three" in
          line("hostfwd_remove three " + rule))
    check("no such rule", "not found" in line("hostfwd_remove " + rule))
    check("no rule", "hostfwd=x is not" in line("hostfwd_add x"))
    for name in ("one", "two"):
        qmp.ask("netdev_del", id=name)


def check_left(qmp, left):
    """-add-fd; and people have names as well."""
    check("what was left open", qmp.ask("query-fdsets") == [
        {"fdset-id": 7, "fds": [{"fd": left, "opaque": "left,open"}]},
        {"fdset-id": 8, "fds": []}])
    null = os.open("/dev/null", os.O_RDWR)
    socket.send_fds(qmp.socket, [b" "], [null])
    for line in ("getfd people", "closefd people"):
        text = qmp.ask("human-monitor-command", command_line=line)
        check(text, not text)
    os.close(null)


def check_end(qmp, path, folder):
    """What was kept stays when its client leaves, what was not goes."""
    fd, name = temporary(folder, "unwanted")
    socket.send_fds(qmp.socket, [b" "], [fd])
    qmp.ask("query-status")
    qmp.has(name)
    fd2, kept = temporary(folder, "kept")
    qmp.give(fd2, "getfd", fdname="kept")
    qmp.has(name, 0)
    socket.send_fds(qmp.socket, [b" "], [fd])
    qmp.ask("query-status")
    qmp.has(name)
    qmp.socket.close()
    qmp = Session(path, qmp.pid)
    qmp.has(name, 0)
    qmp.has(kept)
    qmp.ask("closefd", fdname="kept")
    qmp.has(kept, 0)
    os.close(fd)
    os.close(fd2)
    return qmp


def refused_options(lodge, left):
    for value, words in (("fd=1,set=1", "standard"), ("fd=999,set=1", "open"),
                         ("set=1", "fd= is missing"),
                         ("fd=%d" % left, "set= is missing"),
                         ("fd=%d,set=x" % left, "number"), ("x", "'x'")):
        got = subprocess.run([lodge, "run", "-add-fd", value], check=False,
                             pass_fds=[left], stderr=subprocess.PIPE,
                             text=True)
        check("-add-fd %s: %s" % (value, got.stderr), got.returncode and
              words in got.stderr and got.stderr.count("\n") == 1)


def session(opts, folder):
    path = os.path.join(folder, "qmp")
    image, _ = temporary(folder, "left", b"y" * 8192)
    log, log_path = temporary(folder, "log", flags=os.O_WRONLY)
    refused_options(opts.lodge, image)
    # The monitor's socket listens already, as libvirt has it.
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    argv = [opts.lodge, "run", "-accel", "lodge", "-m", "128", "-S",
            "-nodefaults", "-kernel", guest_file("--print-kernel", "cloud"),
            "-add-fd", "fd=%d,set=7,opaque=left,,open" % image,
            "-add-fd", "fd=%d,set=8" % log,
            "-drive", "file=/dev/fdset/7,format=raw,if=virtio,snapshot=off",
            "-serial", "file:/dev/fdset/8", "-device", "virtio-serial-pci",
            "-chardev", "socket,id=mon,fd=%d,server=on,wait=off" %
            listener.fileno(), "-mon", "chardev=mon,mode=control"]
    process = subprocess.Popen(argv, pass_fds=[image, log, listener.fileno()])
    os.close(image)
    try:
        qmp = Session(path, process.pid)
        qmp.has(log_path, 2)
        qmp.ask("remove-fd", **{"fdset-id": 8})
        check_left(qmp, image)
        disks = qmp.ask("query-block")
        check("the disk left open: %s" % disks, [
            d["inserted"]["image"]["virtual-size"] for d in disks] == [8192])
        check_names(qmp, folder)
        check_sets(qmp, folder)
        check_ports(qmp, folder)
        check_forwards(qmp)
        check_nets(qmp)
        try:
            os.close(make_tap("lodgefd%d"))
            check_taps(qmp)
        except (PermissionError, FileNotFoundError) as e:
            print("  no tap interface here: %s" % e)
        qmp = check_end(qmp, path, folder)
        qmp.ask("quit")
        check("exit status", process.wait(20) == 0)
    finally:
        process.kill()
        process.wait()
        os.close(log)


def main():
    opts = script_options(__doc__).parse_args()
    return verdict(in_folder, session, opts)


if __name__ == "__main__":
    sys.exit(main())
