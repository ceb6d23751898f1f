#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a guest's failed reads and writes do: werror= and rerror=.

'eio' has an NBD server fail while a file exists: the guest hears of it, does
not, or is stopped and goes on where it was; then it hangs, which stops nobody
but who asked for it. 'hang' resets and ends a guest whose server hangs: the
reset waits and monitors do not, the end comes when it is asked for twice (or
ten seconds later: 'hang-long'), and other disks have all that was written. 'full' has the guest write more than the host's file
system holds: it is stopped, there is made space, and what was written is
there.
"""
import hashlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

from boot import (Failed, Skipped, guest_file, need_programs, script_options,
                  verdict)
from qmp import check, start

MIB = 1 << 20
SIZE = 12 * MIB


class Guest:
    def __init__(self, opts, folder, drive, device="", more=(), stderr=None):
        self.opts = opts
        self.process, self.qmp, self.shell = start(
            opts, folder, "-drive", "if=none,id=d," + drive,
            "-device", "virtio-blk-pci,drive=d" + device, *more,
            stderr=stderr)
        self.qmp.ask("cont")
        self.ready()

    def ready(self):
        self.shell.wait_for("lodge: ready", self.opts.timeout)
        self.shell.until("test -b /dev/vda && echo yes", "yes")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def dd(self, words, seconds=120):
        """Whether it succeeded."""
        return self.shell.run("dd bs=64k %s 2>/dev/null; echo $?" % words,
                              seconds) == "0"

    def begin(self, words):
        self.shell.socket.sendall(
            b"dd bs=64k %s 2>/dev/null; echo status '='$?\n" % words.encode())

    def told(self, operation, action):
        """Of a kind of error, among others: each second once."""
        deadline = time.monotonic() + 60
        data = {}
        while data.get("operation") != operation:
            check("no event of a failed " + operation,
                  time.monotonic() < deadline)
            data = self.qmp.wait("BLOCK_IO_ERROR", 60)
        check("another event: %s" % data,
              data["device"] == "d" and data["action"] == action and
              data["nospace"] is False and data["reason"])

    def stopped(self, operation, nospace):
        data = self.qmp.wait("BLOCK_IO_ERROR", 120)
        check("another error: %s" % data, data["device"] == "d" and
              data["operation"] == operation and data["action"] == "stop" and
              data["nospace"] is nospace)
        self.qmp.wait("STOP")
        check("it is not stopped", self.qmp.ask("query-status") ==
              {"running": False, "status": "io-error"})

    def go_on(self):
        """What failed before may be heard of late and stop it again."""
        deadline = time.monotonic() + 120
        self.qmp.ask("cont")
        while True:
            try:
                found = self.shell.wait_for(r"status =(\d+)", 5)[1]
                break
            except Failed:
                check("dd does not end", time.monotonic() < deadline)
                if not self.qmp.ask("query-status")["running"]:
                    self.qmp.ask("cont")
        check("dd ends with status " + found, found == "0")
        self.qmp.events.clear()


# ---- a server that fails ----

def nbd_server(folder):
    """(process, socket, path whose presence makes it fail)."""
    path, trigger = (os.path.join(folder, n) for n in ("nbd", "trigger"))
    argv = ["nbdkit", "-f", "-U", path, "--filter=error", "memory",
            "%d" % SIZE, "error-pread=EIO", "error-pwrite=EIO",
            "error-pread-rate=100%", "error-pwrite-rate=100%",
            "error-pread-file=" + trigger, "error-pwrite-file=" + trigger]
    server = subprocess.Popen(argv)
    deadline = time.monotonic() + 20
    while not os.path.exists(path):
        check("nbdkit does not start", server.poll() is None and
              time.monotonic() < deadline)
        time.sleep(0.05)
    return server, path, trigger


def set_trigger(path, on):
    if on:
        with open(path, "w", encoding="utf-8"):
            pass
    elif os.path.exists(path):
        os.unlink(path)


WRITE = "if=/tmp/data of=/dev/vda count=4 conv=fsync"
READ = "if=/dev/vda of=/tmp/copy count=4 iflag=direct"


def reported(guest, trigger):
    set_trigger(trigger, True)
    check("a failed write is not reported", not guest.dd(WRITE))
    guest.told("write", "report")
    check("a failed read is not reported", not guest.dd(READ))
    guest.told("read", "report")
    set_trigger(trigger, False)
    check("it does not recover", guest.dd(WRITE) and guest.dd(READ))
    check("other data", guest.shell.run(
        "head -c 262144 /tmp/data | cmp - /tmp/copy && echo same") == "same")
    check("it was stopped", guest.qmp.ask("query-status")["running"])


def ignored(guest, trigger):
    set_trigger(trigger, True)
    check("a write or a read fails that is ignored",
          guest.dd(WRITE) and guest.dd(READ))
    guest.told("write", "ignore")
    guest.told("read", "ignore")
    set_trigger(trigger, False)


def stopped(guest, trigger):
    for words, operation in ((WRITE, "write"), (READ, "read")):
        set_trigger(trigger, True)
        guest.begin(words)
        guest.stopped(operation, False)
        # Nothing is better yet: once more, then it is.
        guest.qmp.events.clear()
        guest.qmp.ask("cont")
        guest.stopped(operation, False)
        set_trigger(trigger, False)
        guest.go_on()
    check("other data", guest.shell.run(
        "head -c 262144 /tmp/data | cmp - /tmp/copy && echo same") == "same")


def get_hung(guest, server):
    """A write is in flight to a server that says nothing. The device's path."""
    server.send_signal(signal.SIGSTOP)
    guest.begin(WRITE)
    path = next(d["path"] for d in guest.qmp.ask("x-query-virtio")
                if d["name"] == "virtio-blk")
    deadline = time.monotonic() + 60
    while not guest.qmp.ask("x-query-virtio-queue-status", path=path,
                            queue=0)["inuse"]:
        check("nothing is in flight", time.monotonic() < deadline)
        time.sleep(0.05)
    return path


def hung(guest, server):
    """Only who waits for the server waits."""
    path = get_hung(guest, server)
    begin = time.monotonic()
    guest.qmp.ask("query-block")
    guest.qmp.ask("stop")
    check("it is not stopped", guest.qmp.ask("query-status")["status"] ==
          "paused")
    guest.qmp.ask("x-query-virtio-status", path=path)
    guest.qmp.ask("cont")
    check("it took %.0f s" % (time.monotonic() - begin),
          time.monotonic() - begin < 30)
    why = guest.qmp.refused("block_resize", device="d", size=2 * SIZE)
    check("resized: " + why, "do not end" in why)
    server.send_signal(signal.SIGCONT)
    found = guest.shell.wait_for(r"status =(\d+)", 60)[1]
    check("dd ends with status " + found, found == "0")


def do_eio(opts):
    need_programs("qemu-img", "nbdkit")
    cases = (("werror=report", ",rerror=report", reported),
             ("werror=ignore,rerror=ignore", "", ignored),
             ("werror=report,rerror=stop", ",werror=stop", stopped))
    for drive, device, act in cases:
        with tempfile.TemporaryDirectory() as folder:
            server, path, trigger = nbd_server(folder)
            try:
                with Guest(opts, folder, "format=raw,file=nbd+unix:///?socket="
                           "%s,%s" % (path, drive), device) as guest:
                    guest.shell.run("head -c %d /dev/urandom >/tmp/data" % MIB)
                    act(guest, trigger)
                    if act is ignored:
                        hung(guest, server)
            finally:
                server.kill()
                server.wait()


# ---- the end of a guest whose server hangs ----

def ended(guest, seconds, log):
    """As with a disk that was given up, which is said."""
    status = guest.process.wait(seconds)
    log.seek(0)
    said = log.read()
    check("status %d, and said: %s" % (status, said), status == 12 and
          "drive 'd'" in said and "may be lost" in said and
          "drive 'e'" not in said)


def reset_waits(guest, server):
    get_hung(guest, server)
    guest.qmp.events.clear()
    guest.qmp.ask("system_reset")
    time.sleep(2)
    check("it does not run", guest.qmp.ask("query-status")["running"])
    guest.qmp.ask("query-block")
    check("it was reset with a write in flight",
          "RESET" not in [e["event"] for e in guest.qmp.events])
    server.send_signal(signal.SIGCONT)
    guest.qmp.wait("RESET", 60)
    guest.ready()


def leave(opts, act):
    """@act with a guest that has a disk whose server may hang, and another."""
    need_programs("qemu-img", "nbdkit")
    with tempfile.TemporaryDirectory() as folder, \
            open(os.path.join(folder, "log"), "w+", encoding="utf-8") as log:
        other = os.path.join(folder, "other.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", other,
                        "%d" % SIZE], check=True)
        server, path, _ = nbd_server(folder)
        try:
            with Guest(opts, folder, "format=raw,file=nbd+unix:///?socket=" +
                       path, "", ("-drive", "if=none,id=e,format=qcow2,file="
                                    + other, "-device",
                                    "virtio-blk-pci,drive=e"), log) as guest:
                want = act(guest, server)
                ended(guest, 60, log)
        finally:
            server.kill()
            server.wait()
        subprocess.run(["qemu-img", "check", "-q", other], check=True)
        check("the other disk lost something", digest_of(
            other, "qcow2", MIB) == want)


def write_other(guest):
    """Without a flush. What it is."""
    guest.shell.run("head -c %d /dev/urandom >/tmp/data" % MIB)
    check("the other disk fails",
          guest.dd("if=/tmp/data of=/dev/vdb oflag=direct"))
    return guest.shell.run("sha256sum </tmp/data", 60).split()[0]


def reset_and_insist(guest, server):
    write_other(guest)
    reset_waits(guest, server)
    want = write_other(guest)
    get_hung(guest, server)
    guest.qmp.ask("system_reset")
    guest.qmp.ask("quit")
    time.sleep(2)
    check("it did not wait", guest.process.poll() is None)
    guest.process.terminate()
    guest.process.wait(7)
    return want


def quit_and_wait(guest, server):
    want = write_other(guest)
    get_hung(guest, server)
    guest.qmp.ask("quit")
    time.sleep(5)
    check("it did not wait", guest.process.poll() is None)
    return want


def do_hang(opts):
    leave(opts, reset_and_insist)


def mute_server(opts):
    """It takes connections and says nothing: neither does that go on."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(
            socket.AF_UNIX) as server:
        path = os.path.join(folder, "mute")
        server.bind(path)
        server.listen()
        done = subprocess.run(
            [opts.lodge, "run", "-accel", "lodge", "-m", "256", "-nographic",
             "-kernel", guest_file("--print-kernel", opts.kernel), "-drive",
             "format=raw,file=nbd+unix:///?socket=" + path],
            capture_output=True, text=True, timeout=60, check=False)
        check("status %d, and said: %s" % (done.returncode, done.stderr),
              done.returncode == 4 and
              "the server does not answer" in done.stderr)


def do_hang_long(opts):
    leave(opts, quit_and_wait)
    mute_server(opts)


# ---- a file system that is full ----

def mount(*options):
    done = subprocess.run(["mount", "-t", "tmpfs", *options],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise Skipped("no file system of its own: " + done.stderr.strip())


def digest_of(path, fmt, size=SIZE):
    """Of what the guest wrote, by somebody else's reader."""
    if fmt != "raw":
        subprocess.run(["qemu-img", "check", "-q", path], check=True)
        subprocess.run(["qemu-img", "convert", "-O", "raw", path,
                        path + ".raw"], check=True)
        path += ".raw"
    with open(path, "rb") as f:
        return hashlib.sha256(f.read(size)).hexdigest()


def fill(opts, folder, space, fmt):
    path = os.path.join(space, "disk." + fmt)
    subprocess.run(["qemu-img", "create", "-q", "-f", fmt, path, "%d" % SIZE],
                   check=True)
    # Nothing is said of errors: the default is to stop for these.
    with Guest(opts, folder, "format=%s,file=%s" % (fmt, path)) as guest:
        guest.shell.run("head -c %d /dev/urandom >/tmp/data" % SIZE, 120)
        guest.begin("if=/tmp/data of=/dev/vda conv=fsync")
        guest.stopped("write", True)
        mount("-o", "remount,size=64m", "none", space)
        guest.go_on()
        want = guest.shell.run("sha256sum </tmp/data", 60).split()[0]
        guest.shell.run("echo 3 >/proc/sys/vm/drop_caches")
        check("the guest reads something else", guest.shell.run(
            "sha256sum </dev/vda", 60).split()[0] == want)
        guest.qmp.ask("quit")
        guest.process.wait(20)
    check("the image holds something else", digest_of(path, fmt) == want)


def do_full(opts):
    need_programs("qemu-img")
    if os.geteuid() and not os.environ.get("DISKERROR_INNER"):
        need_programs("unshare")
        os.environ["DISKERROR_INNER"] = "1"
        os.execvp("unshare", ["unshare", "-rm", sys.executable, *sys.argv])
    for fmt in ("raw", "qcow2"):
        with tempfile.TemporaryDirectory() as folder:
            space = os.path.join(folder, "space")
            os.mkdir(space)
            mount("-o", "size=6m", "none", space)
            try:
                fill(opts, folder, space, fmt)
            finally:
                subprocess.run(["umount", "-l", space], check=True)


def main():
    ap = script_options(__doc__)
    acts = {"eio": do_eio, "hang": do_hang, "hang-long": do_hang_long,
            "full": do_full}
    ap.add_argument("what", choices=acts)
    ap.add_argument("--kernel", default="cloud")
    ap.add_argument("--machine", default="pc")
    ap.add_argument("--timeout", type=int, default=120)
    opts = ap.parse_args()
    return verdict(acts[opts.what], opts)


if __name__ == "__main__":
    sys.exit(main())
