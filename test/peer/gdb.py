# SPDX-License-Identifier: Apache-2.0
"""QEMU's gdb stub: break points, single steps and watch points in a kernel.

The remote protocol is spoken here, so that no debugger is needed. Addresses
come from the guest's /proc/kallsyms; its kernel is not moved (nokaslr).
"""
import re
import socket
import struct
import time

from qemu import Failed, Machine, free_port, shell_guest
from state import judge_quiet, tail

RIP = 16                        # of the 64-bit register set


class Stub:
    """The remote serial protocol, as far as it is needed."""

    def __init__(self, port, seconds=60):
        self.sock = socket.create_connection(("127.0.0.1", port), seconds)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = b""
        self.ask("?")
        # The machine was stopped for us, which may be said as well.
        self.sock.settimeout(0.5)
        try:
            self.packet()
        except TimeoutError:
            pass
        self.sock.settimeout(seconds)

    def take(self, n):
        while len(self.data) < n:
            got = self.sock.recv(65536)
            if not got:
                raise Failed("the gdb stub has gone")
            self.data += got
        out, self.data = self.data[:n], self.data[n:]
        return out

    def packet(self):
        """The next answer, acknowledged."""
        while self.take(1) != b"$":
            pass
        body = b""
        while True:
            c = self.take(1)
            if c == b"#":
                break
            body += c
        self.take(2)
        self.sock.sendall(b"+")
        return body.decode("latin1")

    def send(self, text):
        data = text.encode("latin1")
        self.sock.sendall(b"$%s#%02x" % (data, sum(data) & 0xff))

    def ask(self, text):
        self.send(text)
        try:
            return self.packet()
        except TimeoutError:
            raise Failed("no answer to '%s'" % text) from None

    def okay(self, text):
        answer = self.ask(text)
        if answer != "OK":
            raise Failed("'%s' is answered with '%s'" % (text, answer))

    def registers(self):
        """The general registers, rip and eflags behind them."""
        data = bytes.fromhex(self.ask("g"))
        return struct.unpack("<17QI", data[:17 * 8 + 4])

    def memory(self, address, size):
        return bytes.fromhex(self.ask("m%x,%x" % (address, size)))

    def step(self, thread):
        answer = self.ask("vCont;s:" + thread)
        if not answer.startswith("T05"):
            raise Failed("a step ends with " + answer)
        return self.registers()[RIP]

    def wait_stop(self):
        try:
            answer = self.packet()
        except TimeoutError:
            raise Failed("the guest does not stop") from None
        if not answer.startswith("T05"):
            raise Failed("the guest stops with " + answer)
        thread = re.search(r"thread:([^;]+);", answer)
        return answer, thread[1] if thread else "p1.1"


def symbol(m, name):
    line = m.shell("grep -w %s /proc/kallsyms | head -n 1" % name)
    if not line:
        raise Failed("the kernel has no symbol " + name)
    return int(line.split()[0], 16)


def expect_stop(m, stub, typed, address):
    """Goes on; something typed at the shell leads to the address."""
    stub.send("c")
    m.type(typed)
    answer, thread = stub.wait_stop()
    rip = stub.registers()[RIP]
    if address is not None and rip != address:
        raise Failed("stopped at %#x, not %#x" % (rip, address))
    return answer, thread


LISTED = re.compile(r"^(0x[0-9a-f]+):\s+[0-9a-f]{2}(?: [0-9a-f]{2})*"
                    r"\s{2,}(\S.*)$")
JUMPS = re.compile(r"^(j\w+|\w*call\w*|l?ret\w*|loop\w*|iret\w*|sys\w+|"
                   r"int3|rep\w*)\b")


def judge_steps(m, stub, thread, at):
    """Each step is one instruction, as QEMU's disassembler sees them.

    It reads up to the next KiB: what crosses that is bytes to it, unjudged.
    """
    jumps = 0
    for _ in range(300):
        lines = map(LISTED.match, m.qmp.human("x/2i %#x" % at).splitlines())
        this, following = [line for line in lines if line][:2]
        rip = stub.step(thread)
        if JUMPS.match(this[2]):
            jumps += 1
        elif not this[2].startswith(".byte") and \
                rip != int(following[1], 16):
            raise Failed("after '%s' at %#x comes %#x" %
                         (this[2], at, rip))
        at = rip
    if jumps < 10:
        raise Failed("300 steps without calls and jumps")


def gdb(opts, *args):
    port = free_port()
    m = Machine(opts, *shell_guest("nokaslr"), *args, "-gdb",
                "tcp:127.0.0.1:%d" % port, log=opts.log)
    try:
        m.wait_shell()
        function = symbol(m, "__x64_sys_sethostname")
        data = symbol(m, "init_uts_ns")
        m.shell("hostname first")
        stub = Stub(port)
        for kind in ("Z0", "Z1"):
            stub.okay("%s,%x,1" % (kind, function))
            _, thread = expect_stop(m, stub, "hostname %s\n" % kind, function)
            stub.okay("%s,%x,1" % (kind.replace("Z", "z"), function))
            judge_steps(m, stub, thread, function)
        watch(m, stub, function, data)
        # Typed while the guest was stopped in the command before.
        stub.send("D")
        stub.packet()
        m.shell("true")
        if m.shell("hostname") != "second":
            raise Failed("the guest has lost its way")
        if opts.accel == "lodge":
            judge_quiet(m)
    except Failed:
        tail(m)
        raise
    finally:
        m.kill()


def watch(m, stub, function, data):
    """The kernel writes the name into its structure: where is searched."""
    image = stub.memory(data, 512)
    at = image.find(b"Z1\0")
    if at < 0:
        # The last command stopped before it was done: let it go on.
        stub.okay("Z1,%x,1" % function)
        expect_stop(m, stub, "hostname third\n", function)
        stub.okay("z1,%x,1" % function)
        at = stub.memory(data, 512).find(b"Z1\0")
    if at < 0:
        raise Failed("the name is not where it belongs")
    stub.okay("Z2,%x,1" % (data + at))
    answer, thread = expect_stop(m, stub, "hostname second\n", None)
    if "watch:%x" % (data + at) not in answer.lower():
        raise Failed("stopped by " + answer)
    rip = stub.registers()[RIP]
    if rip >> 47 != 0x1ffff:
        raise Failed("stopped at %#x, not in the kernel" % rip)
    stub.okay("z2,%x,1" % (data + at))
    # A word that is only read.
    stub.okay("Z4,%x,1" % (data + at))
    answer, thread = expect_stop(m, stub, "hostname second; hostname\n", None)
    if "watch:%x" % (data + at) not in answer.lower():
        raise Failed("stopped by " + answer)
    stub.okay("z4,%x,1" % (data + at))


SCENARIOS = {
    "gdb": gdb,
    "gdb-smp2": lambda opts: gdb(opts, "-smp", 2),
}
