# SPDX-License-Identifier: Apache-2.0
"""A QEMU on Lodge: its serial port, its monitor (QMP), its gdb stub.

Guests are those of tools/guest and tools/debian-disk. Commands are typed at
a shell on the serial port and their output is read back.
"""
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "test", "boot"))
from boot import (Failed, Skipped, Vmm, guest_file,  # noqa: E402,F401
                  qemu_program)


def tool(name):
    """What one of the scripts in tools/ prints: the path of what it made."""
    run = subprocess.run([os.path.join(ROOT, "tools", name)],
                         stdout=subprocess.PIPE, text=True)
    if run.returncode:
        raise Failed("tools/%s failed" % name)
    return run.stdout.strip()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Qmp:
    """QEMU's control socket."""

    def __init__(self, path, proc, seconds=30):
        deadline = time.monotonic() + seconds
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(seconds)
        while True:
            try:
                self.sock.connect(path)
                break
            except OSError:
                if proc.poll() is not None:
                    raise Failed("QEMU ended with %d" % proc.returncode) \
                        from None
                if time.monotonic() > deadline:
                    raise Failed("no monitor in %d s" % seconds) from None
                time.sleep(0.05)
        self.file = self.sock.makefile("r", encoding="utf-8")
        self.events = []
        self.reply()
        self.run("qmp_capabilities")

    def reply(self):
        """The next message that is not an event."""
        while True:
            try:
                line = self.file.readline()
            except OSError as e:
                raise Failed("the monitor does not answer: %s" % e) from None
            if not line:
                raise Failed("QEMU closed its monitor")
            message = json.loads(line)
            if "event" not in message:
                return message
            self.events.append(message["event"])

    def run(self, command, **arguments):
        message = {"execute": command}
        if arguments:
            message["arguments"] = {k.replace("_", "-"): v
                                    for k, v in arguments.items()}
        try:
            self.sock.sendall(json.dumps(message).encode() + b"\n")
        except OSError as e:
            raise Failed("the monitor has gone: %s" % e) from None
        answer = self.reply()
        if "error" in answer:
            raise Failed("%s: %s" % (command, answer["error"]["desc"]))
        return answer["return"]

    def human(self, line):
        return self.run("human-monitor-command", command_line=line)

    def wait_event(self, name, seconds):
        deadline = time.monotonic() + seconds
        while name not in self.events:
            if time.monotonic() > deadline:
                raise Failed("no event %s in %d s" % (name, seconds))
            self.run("query-status")
            time.sleep(0.1)
        self.events.remove(name)


class Machine(Vmm):
    """One QEMU process. @opts: lodge, accel, qemu, trace."""

    def __init__(self, opts, *args, log=None, dir=None, cpu="max"):
        self.dir = dir or tempfile.mkdtemp(prefix="lodge-peer-")
        self.made_dir = dir is None
        self.control = tempfile.mktemp(prefix="qmp-", dir=self.dir)
        argv = []
        if opts.accel == "lodge":
            argv = [opts.lodge, "kvm"]
            if opts.trace:
                argv += ["--trace", opts.trace]
            argv += ["--"]
        accel = "kvm" if opts.accel == "lodge" else opts.accel
        argv += opts.qemu + [
            "-accel", accel, "-cpu", cpu, "-nodefaults", "-display", "none",
            "-serial", "stdio", "-qmp",
            "unix:%s,server=on,wait=off" % self.control]
        argv += [str(a) for a in args]
        super().__init__(argv, log)
        self.qmp = Qmp(self.control, self.proc)
        self.typed = 0

    def text(self):
        """Everything read so far."""
        return "\n".join([text for _, text in self.lines] +
                         [self.partial.decode(errors="replace")])

    def forget(self):
        self.lines.clear()
        self.partial = b""

    def wait_text(self, pattern, seconds=60):
        """For something that goes over several lines."""
        deadline = time.monotonic() + seconds
        while True:
            m = re.search(pattern, self.text(), re.M | re.S)
            if m:
                return m
            if not self.read(deadline):
                raise Failed("'%s' was not seen in %d s" %
                             (pattern, seconds))

    def wait_shell(self, seconds=60):
        """For the prompt of a shell that has been started anew."""
        self.wait_text(r"^BusyBox v.*^guest:/root# ", seconds)

    def shell(self, line, seconds=60):
        """Runs a command at the guest's shell and returns what it prints."""
        self.typed += 1
        n = self.typed
        # The echo of what is typed must not look like the answer.
        self.type("echo b''egin-%d; %s; echo $?-e''nd-%d\n" % (n, line, n))
        m = self.wait_text(r"begin-%d$(.*?)(\d+)-end-%d\n" % (n, n),
                           seconds)
        if m[2] != "0":
            raise Failed("'%s' ended with %s: %s" % (line, m[2], m[1]))
        return m[1].strip()

    def kill(self):
        super().kill()
        if self.made_dir:
            subprocess.run(["rm", "-rf", self.dir], check=False)


def shell_guest(*append):
    """Options that boot the small guest with a shell."""
    return ["-m", "512", "-kernel", guest_file("--print-kernel", "cloud"),
            "-initrd", guest_file("--print-initrd", "shell"),
            "-append", " ".join(("console=ttyS0", "quiet") + append)]
