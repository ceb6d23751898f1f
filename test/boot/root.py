#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs commands by `lodge run --root /`: their words, environment, input,
outputs, working directory, exit status and signals are as if they ran here,
and what they write is gone afterwards. Once as an ordinary user, when we are
root; and with devices whose drivers the command loads.
"""
import hashlib
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time

from boot import (Failed, guest_file, in_folder, script_options, verdict,
                  without_privileges)
from terminal import Terminal

WAIT = 180      # seconds, on a busy machine

SCRIPT = """
pwd
wc -c
echo "$1|$2|$LODGE_ROOT_TEST"
echo to stderr >&2
sha256sum data
echo changed >data && cat data
echo new >/lodge-root-test && cat /lodge-root-test
cat /proc/1/mem 2>/dev/null | head -c 0
head -c 3000000 /dev/zero | sha256sum
exit 42
"""


def start(opts, words, options=None, before=(), **more):
    """Without options, with the kernel that is found."""
    options = [] if options is None else ["-kernel", opts.kernel, *options]
    argv = [*before, opts.lodge, "run", "-accel", "lodge", "--root", "/", *options,
            "--"] + words
    return subprocess.Popen(argv, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            **more)


def expect(what, got, wanted):
    if got != wanted:
        raise Failed("%s: %r, not %r" % (what, got, wanted))


def test_streams(opts, folder):
    data = os.urandom(2 << 20)
    with open(os.path.join(folder, "data"), "wb") as f:
        f.write(data)
    proc = start(opts, ["sh", "-c", SCRIPT, "sh", "a  b", "c,d'\""],
                 cwd=folder, env=dict(os.environ, LODGE_ROOT_TEST="x  y"))
    out, err = proc.communicate(b"x" * 1234567, WAIT)
    expect("stderr", err, b"to stderr\n")
    expect("stdout", out.decode(), "\n".join([
        folder, "1234567", "a  b|c,d'\"|x  y",
        hashlib.sha256(data).hexdigest() + "  data", "changed", "new",
        hashlib.sha256(bytes(3000000)).hexdigest() + "  -", ""]))
    expect("status", proc.returncode, 42)
    with open(os.path.join(folder, "data"), "rb") as f:
        expect("the host's file", f.read() == data, True)
    expect("a new file", os.path.exists("/lodge-root-test"), False)


def test_signal(opts, folder):
    """Ctrl-C reaches the command, which may have a word to say."""
    proc = start(opts, ["sh", "-c", "trap 'echo caught; exit 9' INT; "
                        "echo ready; while :; do sleep 0.1; done"])
    expect("first line", proc.stdout.readline(), b"ready\n")
    proc.send_signal(signal.SIGINT)
    out, err = proc.communicate(timeout=WAIT)
    expect("after SIGINT", (out, err, proc.returncode), (b"caught\n", b"", 9))


def test_leave(opts, folder):
    """Ctrl-A x at a terminal whose guest does not listen; another key is not
    lost, and Ctrl-A goes with it."""
    t = Terminal([opts.lodge, "run", "-accel", "lodge", "--root", "/", "--",
                  "sh", "-c", "stty -icanon -echo min 4 time 0; echo ready; "
                  "head -c 4 | od -An -tx1; trap '' INT; sleep 1000"])
    try:
        t.wait_for("ready", WAIT)
        t.type("\x01")
        t.type("a\x01\x01b")
        t.wait_for("01 61 01 62", 60)
        t.type("\x03\x01")
        t.type("x")
        expect("status", t.end(60), 125)
    finally:
        t.close()


def test_pipe(opts, folder):
    """A reader that leaves ends the writer."""
    proc = start(opts, ["yes"])
    expect("first line", proc.stdout.readline(), b"y\n")
    proc.stdout.close()
    proc.stdin.close()
    expect("status", proc.wait(WAIT), 128 + signal.SIGPIPE)


def test_user(opts, folder):
    """Somebody without any privilege, and a command that is none."""
    proc = start(opts, ["no-such-command"], [], cwd="/",
                 env={"PATH": "/usr/bin:/bin"},
                 before=without_privileges(opts.lodge))
    out, err = proc.communicate(timeout=WAIT)
    expect("stdout", out, b"")
    if b"no-such-command: No such file" not in err:
        raise Failed("stderr: %r" % err)
    expect("status", proc.returncode, 127)


VSOCK = """
import socket
s = socket.socket(socket.AF_VSOCK)
s.connect((2, 52))
s.sendall(b"from the guest" * 100000)
s.shutdown(socket.SHUT_WR)
print(sum(len(x) for x in iter(lambda: s.recv(65536), b"")))
t = socket.socket(socket.AF_VSOCK)
t.bind((socket.VMADDR_CID_ANY, 1234))
t.listen()
print("listening", flush=True)
c = t.accept()[0]
while True:
    data = c.recv(65536)
    if not data:
        break
    c.sendall(data)
"""


MESSAGES = """
import socket
s = socket.socket(socket.AF_VSOCK, socket.SOCK_SEQPACKET)
s.connect((2, 53))
for size in %(sizes)s:
    s.send(b"g" * size)
for size in %(sizes)s:
    print(len(s.recv(1 << 20)) == size)
try:
    s.send(bytes(1 << 20))
except OSError:
    print("refused") # kernels name different reasons
s.close()
t = socket.socket(socket.AF_VSOCK, socket.SOCK_SEQPACKET)
t.bind((socket.VMADDR_CID_ANY, 1234))
t.listen()
print("listening", flush=True)
c = t.accept()[0]
for data in iter(lambda: c.recv(1 << 20), b""):
    c.send(data[::-1])
"""


def test_seqpacket(opts, folder):
    """Messages stay what they are, however long, from either side."""
    path = os.path.join(folder, "vsock")
    sizes = [1, 100, 4096, 65536, 65537, 1, 150000, 200000] + [7] * 500
    kind = socket.SOCK_SEQPACKET
    with socket.socket(socket.AF_UNIX, kind) as listener:
        listener.bind(path + "_53")
        listener.listen()
        listener.settimeout(WAIT)
        proc = start(opts, ["python3", "-c", MESSAGES % {"sizes": sizes}],
                     options=["-device", "virtio-vsock-pci,guest-cid=3,"
                              "uds_path=%s,uds_seqpacket_path=%s.seq" %
                              (path, path)])
        conn = listener.accept()[0]
        conn.settimeout(WAIT)
        for size in sizes:
            expect("a message's length", len(conn.recv(1 << 20)), size)
        for size in sizes:
            conn.send(b"h" * size)
    for _ in sizes:
        expect("a message of the host", proc.stdout.readline(), b"True\n")
    expect("too long a one", proc.stdout.readline(), b"refused\n")
    expect("the end", conn.recv(1), b"")
    conn.close()
    expect("listening", proc.stdout.readline(), b"listening\n")
    with socket.socket(socket.AF_UNIX, kind) as s:
        s.settimeout(WAIT)
        s.connect(path + ".seq")
        s.send(b"CONNECT 1234")
        if not s.recv(64).startswith(b"OK "):
            raise Failed("the guest is not there")
        for size in sizes[:8]:
            data = os.urandom(size)
            s.send(data)
            expect("echo", s.recv(1 << 20), data[::-1])
        s.shutdown(socket.SHUT_WR)
        expect("the end", s.recv(1), b"")
    expect("status", (proc.wait(WAIT), proc.stderr.read()), (0, b""))


def read_all(s):
    return b"".join(iter(lambda: s.recv(65536), b""))


def test_vsock(opts, folder):
    """A megabyte each way, from either side, and both halves' ends."""
    path = os.path.join(folder, "vsock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path + "_52")
        listener.listen()
        listener.settimeout(WAIT)
        proc = start(opts, ["python3", "-c", VSOCK], options=[
            "-device", "virtio-vsock-pci,guest-cid=3,uds_path=" + path])
        conn = listener.accept()[0]
        conn.settimeout(WAIT)
        expect("from the guest", read_all(conn), b"from the guest" * 100000)
        conn.sendall(b"x" * 1000000)
        conn.close()
    expect("to the guest", proc.stdout.readline(), b"1000000\n")
    expect("listening", proc.stdout.readline(), b"listening\n")
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(WAIT)
        s.connect(path)
        s.sendall(b"CONNECT 1234\n")
        first = s.recv(64)
        if not first.startswith(b"OK "):
            raise Failed("the answer is %r" % first)
        data = os.urandom(100000)
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        expect("echo", read_all(s), data)
    expect("status", (proc.wait(WAIT), proc.stderr.read()), (0, b""))


CHARDEV = """
for d in /sys/class/virtio-ports/*; do
	[ "$(cat $d/name)" != org.example ] || port=/dev/${d##*/}
done
exec 3<>$port
echo from the guest >&3
read -r line <&3
echo "$line"
"""


def test_chardev(opts, folder):
    """A -chardev is what a port of the guest leads to."""
    path = os.path.join(folder, "port")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(WAIT)
        proc = start(opts, ["sh", "-c", CHARDEV], options=[
            "-chardev", "socket,id=c,path=" + path, "-device",
            "virtserialport,chardev=c,name=org.example"])
        conn = listener.accept()[0]
    conn.settimeout(WAIT)
    expect("from the guest", conn.recv(64), b"from the guest\n")
    conn.sendall(b"from the host\n")
    out, err = proc.communicate(b"", WAIT)
    expect("to the guest", (out, err, proc.returncode),
           (b"from the host\n", b"", 0))


def rss_mib(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) // 1024


def test_balloon(opts, folder):
    """What the guest frees is free here."""
    proc = start(opts, ["sh", "-c", "python3 -c 'x = bytearray(400 << 20); "
                        "x[::4096] = bytes(len(x[::4096])); "
                        "print(len(x), flush=True)' && cat"],
                 options=["-device",
                          "virtio-balloon-pci,free-page-reporting=on"])
    expect("allocated", proc.stdout.readline(), b"419430400\n")
    most = rss_mib(proc.pid)
    for _ in range(WAIT):
        if rss_mib(proc.pid) < most - 300:
            break
        time.sleep(1)
    print("  %d MiB, then %d" % (most, rss_mib(proc.pid)))
    if rss_mib(proc.pid) >= most - 300:
        raise Failed("nothing comes back")
    proc.communicate(b"", WAIT)
    expect("status", proc.returncode, 0)


SHARE = """
set -e
head -c 4 /dev/vda
head -c 8 /dev/hwrng | wc -c
for tag in rw ro; do
	mkdir -p /run/$tag
	mount -t 9p -o trans=virtio,version=9p2000.L $tag /run/$tag
done
head -c 4 /run/ro/old
echo new >/run/rw/new
chown 1234:55 /run/rw/new
mv /run/rw/new /run/rw/newer
ln -s newer /run/rw/link
stat -c '%u %g %F' /run/rw/newer /run/rw/link
! echo x 2>/dev/null >/run/ro/old
"""


def test_share(opts, folder):
    """Directories of the host: one as the guest pleases, its owners and links
    being notes beside plain files, and one that is only read."""
    share = os.path.join(folder, "share")
    os.mkdir(share)
    with open(os.path.join(share, "old"), "w", encoding="ascii") as f:
        f.write("old\n" + 508 * "x")
    proc = start(opts, ["sh", "-c", SHARE], options=[
        "-device", "virtio-rng-pci",
        "-drive", "file=%s,format=raw" % os.path.join(share, "old"),
        "-virtfs", "local,path=%s,mount_tag=rw,security_model=mapped-xattr" %
        share, "-fsdev", "local,id=f,path=%s,security_model=none,readonly=on" %
        share, "-device", "virtio-9p-pci,fsdev=f,mount_tag=ro"])
    out, err = proc.communicate(b"", WAIT)
    expect("in the guest", (out, err, proc.returncode),
           (b"old\n8\nold\n1234 55 regular file\n0 0 symbolic link\n", b"", 0))
    with open(os.path.join(share, "newer"), encoding="ascii") as f:
        expect("what was written", f.read(), "new\n")
    for name in "newer", "link":
        info = os.lstat(os.path.join(share, name))
        expect(name, (stat.S_ISREG(info.st_mode), info.st_uid, info.st_gid),
               (True, os.geteuid(), os.getegid()))


CABLE = """
import os, socket, subprocess, sys, time
me, others = sys.argv[1], int(sys.argv[2])
for i in range(others):
    for words in "addr add 10.7.%d.%s/24 dev eth%d" % (i, me, i), \
                 "link set eth%d up" % i:
        subprocess.run(["ip"] + words.split(), check=True)
def reach(address):
    while True:
        try:
            return socket.create_connection(address, 2)
        except OSError:
            time.sleep(0.2)
def rest(s):
    return b"".join(iter(lambda: s.recv(65536), b""))
if me == "1":
    listener = socket.create_server(("", 99))
    for i in range(others):
        s = listener.accept()[0]
        s.sendall(rest(s))
        s.close()
else:
    for i in range(others):
        data = os.urandom(300000)
        s = reach(("10.7.%d.1" % i, 99))
        s.settimeout(None)
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        print(rest(s) == data, flush=True)
"""


def test_cable(opts, folder):
    """Two guests, and three cables without anybody else between them."""
    place = "type=unix,%s.path=" + folder
    ours, theirs = socket.socketpair()
    ends = [("stream,server=on,addr.%s/wire" % place % "addr",
             "dgram,local.%s/a,remote.%s/b" % (place % "local",
                                               place % "remote"), ours),
            ("stream,reconnect-ms=100,addr.%s/wire" % place % "addr",
             "dgram,local.%s/b,remote.%s/a" % (place % "local",
                                               place % "remote"), theirs)]
    guests = []
    for n, (stream, dgram, end) in enumerate(ends, 1):
        options = []
        for i, nic in enumerate((stream, dgram,
                                 "socket,fd=%d" % end.fileno())):
            options += ["-nic", "%s,mac=52:54:00:00:%02x:%02x" % (nic, i, n)]
        guests.append(start(
            opts, ["python3", "-c", CABLE, str(n), "3"], options=options,
            pass_fds=[end.fileno()]))
        end.close()
    try:
        for proc, wanted in zip(guests, (b"", b"True\n" * 3)):
            out, err = proc.communicate(b"", WAIT)
            expect("a guest", (out, err, proc.returncode), (wanted, b"", 0))
    finally:
        for proc in guests:
            proc.kill()


TESTS = {"streams": test_streams, "signal": test_signal,
         "leave": test_leave, "pipe": test_pipe,
         "user": test_user, "vsock": test_vsock,
         "seqpacket": test_seqpacket, "balloon": test_balloon,
         "chardev": test_chardev, "share": test_share, "cable": test_cable}


def lend_kernel(folder):
    """A copy of the kernel and its drivers that anybody can read."""
    guest_file("--print-modules", "generic")
    kernel = guest_file("--print-vmlinux", "generic")
    place = os.path.join(folder, "kernel")
    os.mkdir(place)
    shutil.copy(kernel, place)
    shutil.copytree(os.path.join(os.path.dirname(kernel), "modules"),
                    os.path.join(place, "modules"))
    os.chmod(folder, 0o755)
    return os.path.join(place, os.path.basename(kernel))


def run_tests(opts, folder):
    opts.kernel = lend_kernel(folder)
    for name in opts.tests:
        TESTS[name](opts, folder)
        print("%s: passed" % name, flush=True)


def main():
    ap = script_options(__doc__)
    ap.add_argument("tests", nargs="*", default=list(TESTS))
    opts = ap.parse_args()
    return verdict(in_folder, run_tests, opts)


if __name__ == "__main__":
    sys.exit(main())
