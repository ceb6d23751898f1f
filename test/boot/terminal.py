#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Drives the interactive guest on a terminal of its own, as a person would.

A command is typed and answered, an interrupt character reaches the guest and
not the VMM, Ctrl-A x leaves, and after every way out (Ctrl-A x, power-off,
SIGTERM, SIGINT) the terminal's settings are what they were before. With
--resize a virtual console that leads to the terminal has its size instead.
"""
import fcntl
import os
import pty
import re
import select
import shlex
import signal
import socket
import struct
import subprocess
import sys
import termios
import time

from boot import Failed, guest_file, in_folder, script_options, verdict

PROMPT = r"guest:/root# (\x1b\[6n)?$"


class Terminal:
    def __init__(self, argv):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.seen = ""
        self.proc = subprocess.Popen(
            argv, stdin=self.slave, stdout=self.slave, stderr=self.slave,
            start_new_session=True)

    def pump(self, seconds):
        ready, _, _ = select.select([self.master], [], [], seconds)
        if ready:
            self.seen += os.read(self.master, 65536).decode(errors="replace")

    def wait_for(self, pattern, seconds=120):
        """Waits for text, and forgets it and what came before it."""
        deadline = time.monotonic() + seconds
        while True:
            m = re.search(pattern, self.seen, re.MULTILINE)
            if m:
                self.seen = self.seen[m.end():]
                return
            if time.monotonic() > deadline or self.proc.poll() is not None:
                raise Failed("'%s' was not seen, but: %s" %
                             (pattern, self.seen[-600:]))
            self.pump(0.2)

    def type(self, text):
        os.write(self.master, text.encode())

    def end(self, seconds=20):
        deadline = time.monotonic() + seconds
        while self.proc.poll() is None:
            if time.monotonic() > deadline:
                raise Failed("still running after %d s" % seconds)
            self.pump(0.1)
        if termios.tcgetattr(self.slave) != self.before:
            raise Failed("the terminal's settings are not restored")
        return self.proc.returncode

    def close(self):
        if self.proc.poll() is None:
            os.killpg(self.proc.pid, signal.SIGKILL)
            self.proc.wait()
        os.close(self.master)
        os.close(self.slave)


def work(t):
    """A person at the guest's shell."""
    t.wait_for(PROMPT)
    t.type("echo $((6 * 7))\r")
    t.wait_for(r"^42\r*$", 20)
    t.wait_for(PROMPT, 20)
    t.type("sleep 1000\r")
    time.sleep(1)
    t.type("\x03")
    t.wait_for(PROMPT, 20)


def leave_by_keys(t):
    work(t)
    t.type("\x01x")
    if t.end():
        raise Failed("Ctrl-A x ends with status %d" % t.proc.returncode)


def leave_by_poweroff(t):
    t.wait_for(PROMPT)
    t.type("exit\r")
    if t.end(60):
        raise Failed("power-off ends with status %d" % t.proc.returncode)


def leave_by(t, number):
    """0 is QEMU's answer to these."""
    t.wait_for(PROMPT)
    os.kill(t.proc.pid, number)
    if t.end() not in (0, -number, 128 + number):
        raise Failed("signal %d ends with status %d" %
                     (number, t.proc.returncode))


def leave_by_sigterm(t):
    leave_by(t, signal.SIGTERM)


def leave_by_sigint(t):
    leave_by(t, signal.SIGINT)


def with_modules(path):
    with open(path, "wb") as out:
        for part in ("--print-initrd", "shell"), ("--print-modules", "cloud"):
            with open(guest_file(*part), "rb") as f:
                out.write(f.read())
    return path


class Serial:
    """The guest's shell at the other end of a socket."""
    def __init__(self, listener):
        self.conn = listener.accept()[0]
        self.conn.settimeout(120)
        self.seen = ""

    def wait_for(self, pattern):
        while not (m := re.search(pattern, self.seen)):
            more = self.conn.recv(4096).decode(errors="replace")
            if not more:
                raise Failed("'%s' was not seen, but: %s" %
                             (pattern, self.seen[-600:]))
            self.seen += more
        self.seen = self.seen[m.end():]

    def type(self, text):
        self.conn.sendall(text.encode())


def resize(opts, folder):
    path = os.path.join(folder, "serial")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(120)
        t = Terminal([
            opts.lodge, "run", "-accel", "lodge", "-m", "256", "-display",
            "none", "-kernel", guest_file("--print-kernel", "cloud"),
            "-initrd", with_modules(os.path.join(folder, "initrd")),
            "-append", "console=ttyS0 quiet", "-serial", "unix:" + path,
            "-chardev", "stdio,id=c", "-device", "virtio-serial-pci",
            "-device", "virtconsole,chardev=c"])
        try:
            serial = Serial(listener)
            serial.wait_for("root# ")
            # A terminal that nobody has open takes no size.
            serial.type("exec 3<>/dev/hvc0; echo op''en\r")
            serial.wait_for("open")
            fcntl.ioctl(t.master, termios.TIOCSWINSZ,
                        struct.pack("HHHH", 33, 101, 0, 0))
            os.kill(t.proc.pid, signal.SIGWINCH)
            serial.type("until stty size <&3 | grep '33 101'; do sleep 1; "
                        "done; echo do''ne\r")
            serial.wait_for("done")
        except TimeoutError as e:
            raise Failed("the guest says nothing more") from e
        finally:
            t.close()


def main():
    ap = script_options(__doc__)
    ap.add_argument("--vmm", help="another VMM, with its first options")
    ap.add_argument("--resize", action="store_true")
    opts = ap.parse_args()
    if opts.resize:
        return verdict(in_folder, resize, opts)
    vmm = shlex.split(opts.vmm) if opts.vmm else \
        [opts.lodge, "run", "-accel", "lodge"]
    argv = vmm + [
        "-nographic", "-no-reboot", "-m", "256",
        "-kernel", guest_file("--print-kernel", "cloud"),
        "-initrd", guest_file("--print-initrd", "shell"),
        "-append", "console=ttyS0 quiet"]
    bad = 0
    for way in (leave_by_keys, leave_by_poweroff, leave_by_sigterm,
                leave_by_sigint):
        t = Terminal(argv)
        try:
            way(t)
            print("%s: passed" % way.__name__, flush=True)
        except Failed as e:
            print("%s: failed: %s" % (way.__name__, e), flush=True)
            bad += 1
        finally:
            t.close()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
