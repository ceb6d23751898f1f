#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Boots a Linux guest, reads what it says on its serial port and judges it.

The guest is made by tools/guest, its /init is ./init. A boot passes when init
was reached, every check asked for passed, the kernel complained about
nothing, the guest has the CPUs and the memory it was given, and the VMM
ended by itself with the expected status.

--vmm takes another VMM with the same options, to try the harness itself:
    boot.py --vmm 'qemu-system-x86_64 -accel tcg -cpu max -nic none' \\
        --allow 'TSC unstable'
"""
import argparse
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SKIP = 77
# What a healthy kernel never prints.
COMPLAINTS = re.compile(
    r"BUG:|Oops|WARNING: CPU|Call Trace|soft lockup|hard LOCKUP|"
    r"rcu.*self-detected stall|rcu.*detected stalls|Kernel panic|"
    r"unchecked MSR access|general protection|segfault at|"
    r"hung_task|blocked for more than|invalid opcode|TSC.*unstable|"
    r"do_IRQ: .*No irq handler|nobody cared")


class Failed(Exception):
    pass


class Skipped(Exception):
    pass


def script_options(doc):
    """What every script here can be told; doc's first line says the rest."""
    ap = argparse.ArgumentParser(description=doc.split("\n")[0])
    ap.add_argument("--lodge", type=os.path.abspath,
                    default=os.path.join(ROOT, "build", "lodge"))
    return ap


def need_programs(*names):
    """Without them a script has nothing to say."""
    for name in names:
        if not shutil.which(name):
            raise Skipped("no %s here" % name)


def in_folder(work, *args):
    """Does some work with a folder of its own, its last argument."""
    with tempfile.TemporaryDirectory() as folder:
        return work(*args, os.path.realpath(folder))


def verdict(work, *args):
    """Does a script's work and answers its exit status."""
    try:
        return work(*args) or 0
    except (Failed, subprocess.TimeoutExpired) as e:
        print("failed: %s" % e)
        return 1
    except Skipped as e:
        print("skipped: %s" % e)
        return SKIP


def guest_file(*args):
    """Path of a kernel or an initramfs, made or fetched when missing."""
    run = subprocess.run([os.path.join(ROOT, "tools", "guest"), *args],
                         stdout=subprocess.PIPE, text=True)
    if run.returncode:
        raise Failed("tools/guest %s failed" % " ".join(args))
    return run.stdout.strip()


NOBODY = 65534
NO_CAPABILITIES = ["setpriv", "--bounding-set=-all", "--inh-caps=-all",
                   "--ambient-caps=-all", "--no-new-privs"]
AS_NOBODY = NO_CAPABILITIES + ["--reuid=%d" % NOBODY, "--regid=%d" % NOBODY,
                               "--clear-groups"]


def without_privileges(lodge):
    """What goes before a command so that it has no privilege."""
    if os.geteuid():
        return []
    script = os.path.join(ROOT, "tools", "run-default")
    if subprocess.run(AS_NOBODY + ["sh", "-c", '"$0" --version && test -r "$1"',
                                   lodge, script], stdout=subprocess.DEVNULL,
                      stderr=subprocess.DEVNULL).returncode:
        print("  nobody cannot read this tree: root without capabilities")
        return NO_CAPABILITIES
    return AS_NOBODY


def qemu_program(next_one):
    """This machine's QEMU, or that of Debian's newest suite."""
    if not next_one:
        return ["qemu-system-x86_64"]
    run = subprocess.run([os.path.join(ROOT, "tools", "qemu-next")],
                         stdout=subprocess.PIPE, text=True)
    if run.returncode:
        raise Failed("tools/qemu-next failed")
    return shlex.split(run.stdout)


def host_memory_mib():
    with open("/proc/meminfo", encoding="ascii") as f:
        return int(f.readline().split()[1]) // 1024


class Vmm:
    """A VMM with its serial port on our pipes; `with` ends it."""

    def __init__(self, argv, log):
        self.log = log
        self.start = time.monotonic()
        self.proc = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True)
        self.partial = b""
        self.ended = False      # it closed its output
        self.lines = []         # (seconds since start, text)
        os.set_blocking(self.proc.stdout.fileno(), False)

    def read(self, deadline):
        """Takes what has arrived; False at the end or at the deadline."""
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        ready, _, _ = select.select([self.proc.stdout], [], [], left)
        if not ready:
            return False
        data = os.read(self.proc.stdout.fileno(), 65536)
        if not data:
            self.ended = True
            return False
        now = time.monotonic() - self.start
        if self.log:
            self.log.write(data)
            self.log.flush()
        *whole, self.partial = (self.partial + data).split(b"\n")
        for line in whole:
            text = line.decode(errors="replace").strip("\r")
            self.lines.append((now, text))
        return True

    def not_seen(self, what, seconds):
        """What to fail with: the end of a VMM is no matter of time."""
        last = [text for _, text in self.lines[-1:]]
        return Failed("%s was not seen %s" % (
            what, "before the VMM ended: %s" % "".join(last)
            if self.ended else "in %d s" % seconds))

    def wait_for(self, pattern, seconds):
        """Waits until a line or the unfinished one matches."""
        deadline = time.monotonic() + seconds
        pattern = re.compile(pattern)
        seen = 0
        while True:
            for _, text in self.lines[seen:]:
                if pattern.search(text):
                    return
            seen = len(self.lines)
            if pattern.search(self.partial.decode(errors="replace")):
                return
            if not self.read(deadline):
                raise self.not_seen("'%s'" % pattern.pattern, seconds)

    def wait_count(self, pattern, count, seconds):
        """Waits until so many lines match."""
        deadline = time.monotonic() + seconds
        while sum(bool(re.search(pattern, text))
                  for _, text in self.lines) < count:
            if not self.read(deadline):
                raise self.not_seen("'%s' %d times" % (pattern, count),
                                    seconds)

    def type(self, text):
        self.proc.stdin.write(text.encode())
        self.proc.stdin.flush()

    def finish(self, seconds):
        """Reads to the end and returns the exit status."""
        deadline = time.monotonic() + seconds
        while self.read(deadline):
            pass
        try:
            return self.proc.wait(max(deadline - time.monotonic(), 1))
        except subprocess.TimeoutExpired:
            raise Failed("still running after %d s" % seconds) from None

    def tail(self):
        """The end of what it said, for whoever looks for the reason."""
        for at, text in self.lines[-40:]:
            print("  %7.2f  %s" % (at, text))
        if self.partial:
            print("           " + self.partial.decode(errors="replace"))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind and issubclass(kind, Failed):
            self.tail()
        self.kill()

    def kill(self):
        try:
            os.killpg(self.proc.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.proc.wait()
        self.proc.stdin.close()
        self.proc.stdout.close()


def find(lines, pattern):
    for at, text in lines:
        m = re.search(pattern, text)
        if m:
            return at, m
    return None, None


def judge_machine(lines, opts):
    """The CPUs and the memory the guest has seen."""
    _, cpus = find(lines, r"^cpus (\d+) online (\d+)")
    _, memory = find(lines, r"^memory (\d+) KiB")
    if not cpus or not memory:
        raise Failed("no machine description")
    if {int(cpus[1]), int(cpus[2])} != {opts.smp}:
        raise Failed("%s CPUs, not %d" % (cpus[1], opts.smp))
    mib = int(memory[1]) / 1024
    if not opts.memory * 0.93 - 64 <= mib <= opts.memory:
        raise Failed("%d MiB of memory, not %d" % (mib, opts.memory))
    if opts.vendor:
        name = {"intel": "GenuineIntel", "amd": "AuthenticAMD"}[opts.vendor]
        if not find(lines, r"^vendor_id\s*: %s$" % name)[1]:
            raise Failed("the processor is not of " + opts.vendor)
    _, flags = find(lines, r"^flags\s*: (.*)")
    for name in opts.without:
        if not flags or name in flags[1].split():
            raise Failed("/proc/cpuinfo still offers " + name)


def judge_drift(lines):
    """The guest's clock against ours, by the promptest lines."""
    stamps = [(at, int(text.split()[1]) / 1e9) for at, text in lines
              if re.match(r"stamp \d+$", text)]
    if len(stamps) != 16:
        raise Failed("%d time stamps, not 16" % len(stamps))
    first = min(stamps[:8], key=lambda s: s[0] - s[1])
    last = min(stamps[8:], key=lambda s: s[0] - s[1])
    host, guest = last[0] - first[0], last[1] - first[1]
    drift = guest / host - 1
    print("  drift %+.4f %% over %.1f s" % (100 * drift, host))
    if abs(drift) > 0.001:
        raise Failed("the clock drifts by %.3f %%" % (100 * drift))


def judge(lines, status, opts):
    at, _ = find(lines, r"^lodge: init$")
    if at is None:
        raise Failed("init was not reached")
    for _, text in lines:
        # The end that was asked for may look like a complaint.
        if opts.end != "poweroff" and text == "lodge: done":
            break
        if COMPLAINTS.search(text) and not (
                opts.allow and re.search(opts.allow, text)):
            raise Failed("the kernel says: " + text)
    for name in opts.checks:
        if not find(lines, "^lodge: %s passed$" % name)[1]:
            raise Failed("check %s did not pass" % name)
    if "cpuinfo" in opts.checks:
        judge_machine(lines, opts)
    if "drift" in opts.checks:
        judge_drift(lines)
    if not find(lines, r"^lodge: done$")[1]:
        raise Failed("init did not come to its end")
    if status != opts.status:
        raise Failed("exit status %d, not %d" % (status, opts.status))
    return at


def command(opts, initrd):
    vmm = [opts.lodge, "run", "-accel", "lodge"]
    if opts.vmm:
        vmm = shlex.split(opts.vmm)
    elif opts.qemu is not None:
        vendor = ["--vendor", opts.vendor] if opts.vendor else []
        vmm = [opts.lodge, "kvm"] + vendor + ["--"] + \
            qemu_program(opts.next_qemu) + [
            "-accel", "kvm", "-cpu", "max", "-nic", "none"] + \
            shlex.split(opts.qemu)
    if opts.refuse:
        vmm = [sys.executable, os.path.join(HERE, "refuse.py")] + vmm
    append = "console=ttyS0 lodge.checks=%s lodge.end=%s %s" % (
        ",".join(opts.checks), opts.end, opts.append)
    return vmm + [
        "-nographic", "-no-reboot", "-m", str(opts.memory),
        "-smp", str(opts.smp), "-kernel", guest_file("--print-kernel",
                                                     opts.kernel),
        "-initrd", initrd, "-append", append.strip()] + \
        shlex.split(opts.options)


def boot_checks(opts, log):
    """One boot of the test init."""
    with Vmm(command(opts, guest_file("--print-initrd", "test")), log) as vmm:
        status = vmm.finish(opts.timeout)
        at = judge(vmm.lines, status, opts)
        print("  init after %.2f s, end after %.2f s" %
              (at, time.monotonic() - vmm.start))


def boot_login(opts, log):
    """A whole user space to its login prompt, a command, and down again."""
    opts.append += " systemd.show_status=true"
    initrd = guest_file("--print-initrd", "systemd")
    with Vmm(command(opts, initrd), log) as vmm:
        vmm.wait_for(r"login: $", opts.timeout)
        print("  login prompt after %.2f s" % (time.monotonic() - vmm.start))
        vmm.type("root\n")
        vmm.wait_for(r"# $", 60)
        vmm.type("systemctl is-system-running --wait; echo state $?\n")
        vmm.wait_for(r"^state \d", 120)
        vmm.type("systemctl poweroff\n")
        status = vmm.finish(120)
        if not find(vmm.lines, r"running$")[1]:
            raise Failed("systemd is not content")
        if status != opts.status:
            raise Failed("exit status %d, not %d" % (status, opts.status))


def options():
    ap = script_options(__doc__)
    ap.add_argument("--vmm", help="another VMM, with its first options")
    ap.add_argument("--qemu", metavar="OPTIONS",
                    help="QEMU on Lodge's KVM, with its further options")
    ap.add_argument("--next-qemu", action="store_true",
                    help="with --qemu: the newest suite's")
    ap.add_argument("--vendor", choices=("intel", "amd"),
                    help="with --qemu: the processor to pass for")
    ap.add_argument("--kernel", default="cloud",
                    choices=("cloud", "generic", "next"))
    ap.add_argument("--memory", type=int, default=512, help="in MiB")
    ap.add_argument("--smp", type=int, default=1)
    ap.add_argument("--checks", default="cpuinfo",
                    type=lambda s: [c for c in s.split(",") if c])
    ap.add_argument("--login", action="store_true",
                    help="boot systemd to a login prompt instead")
    ap.add_argument("--end", default="poweroff",
                    choices=("poweroff", "reboot", "panic",
                             "debug-exit"))
    ap.add_argument("--append", default="", help="for the kernel")
    ap.add_argument("--options", default="", help="more for the VMM")
    ap.add_argument("--allow", metavar="REGEX",
                    help="complaints of the kernel that are none here")
    ap.add_argument("--mask", metavar="LIST",
                    help="features of the host to hide from Lodge")
    ap.add_argument("--without", default="", metavar="LIST",
                    type=lambda s: [f for f in s.split(",") if f],
                    help="CPU flags the guest must not see")
    ap.add_argument("--refuse", action="store_true",
                    help="run the VMM where containers' filters apply")
    ap.add_argument("--status", type=int, default=0,
                    help="the exit status that is right")
    ap.add_argument("--times", type=int, default=1, help="boots in a row")
    ap.add_argument("--timeout", type=int, default=120, help="for one boot")
    ap.add_argument("--log", help="file for the serial output")
    return ap.parse_args()


def boot_all(opts, log):
    if not opts.vmm and not os.access(opts.lodge, os.X_OK):
        raise Failed("%s is not built" % opts.lodge)
    if host_memory_mib() < opts.memory:
        raise Skipped("this host has less than %d MiB" % opts.memory)
    for i in range(opts.times):
        print("boot %d of %d" % (i + 1, opts.times), flush=True)
        (boot_login if opts.login else boot_checks)(opts, log)


def main():
    opts = options()
    if opts.mask:
        os.environ["LODGE_MASK"] = opts.mask
    if not opts.log:
        return verdict(boot_all, opts, None)
    with open(opts.log, "wb") as log:
        return verdict(boot_all, opts, log)


if __name__ == "__main__":
    sys.exit(main())
