#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`lodge run` as test suites start it: QEMU's words are taken, which KVM
serves the guest is said, code memory is never writable and executable.
"""
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

LODGE, FOLDER = (os.path.abspath(sys.argv.pop(1)) for _ in range(2))
SUITE = ["-nodefaults", "-vnc", "none", "-serial", "stdio", "-no-reboot",
         "-device", "pc-testdev", "-device",
         "isa-debug-exit,iobase=0xf4,iosize=0x4"]
WORDS = [
    "-M q35 -m 64m",
    "-machine pc,kernel_irqchip=on,vmport=off,hpet=off,usb=off",
    "-machine pit=off",
    "-display none -vga none -parallel none -net none -nic none",
    "-cpu qemu64,+x2apic,+tsc-deadline",
    "-cpu qemu64,-x2apic,+tsc-deadline,+kvm-pv-ipi",
    "-cpu IvyBridge,phys-bits=36,host-phys-bits=off",
    "-cpu max,vendor=GenuineIntel,pmu=off",
    "-cpu Opteron_G1,vendor=AuthenticAMD",
    "-cpu host,migratable=no",
    "-smp 16,sockets=2,dies=2,cores=2,threads=2",
    "-device pci-testdev",
]


def spin_image():
    """A Multiboot image of one instruction: a jump to itself."""
    flags, base = 0x10000, 0x100000
    magic = 0x1badb002
    header = struct.pack("<IIIIIIII", magic, flags,
                         -(magic + flags) & 0xffffffff, base, base, 0, 0,
                         base + 32)
    return header + b"\xeb\xfe" + bytes(8192)


class Run(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.spin = os.path.join(self.folder.name, "spin")
        with open(self.spin, "wb") as f:
            f.write(spin_image())

    def tearDown(self):
        self.folder.cleanup()

    def start(self, *options):
        run = subprocess.Popen(
            [LODGE, "run", *SUITE, "-kernel", self.spin, *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        self.addCleanup(run.stdout.close)
        self.addCleanup(run.stderr.close)
        self.addCleanup(run.wait)
        self.addCleanup(run.kill)
        return run

    def test_words(self):
        image = os.path.join(FOLDER, "string.flat")
        for words in WORDS:
            done = subprocess.run(
                [LODGE, "run", "-accel", "lodge", *SUITE, "-kernel", image,
                 "-append", "movs", *words.split()], text=True,
                stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
            with self.subTest(words):
                self.assertEqual(done.returncode, 1, done.stderr)
                for line in done.stderr.splitlines():
                    self.assertIn("does not have: ", line)

    def wait_running(self, run):
        """Until it has been running the guest's code for a while."""
        for _ in range(200):
            with open("/proc/%d/stat" % run.pid, encoding="ascii") as f:
                if int(f.read().rsplit(")", 1)[1].split()[11]) > 30:
                    return
            time.sleep(0.1)
        self.fail("the guest does not run")

    def test_auto_says_which(self):
        run = self.start("-accel", "auto")
        line = run.stderr.readline()
        self.assertTrue(line.startswith("lodge: "), line)
        self.assertIn("KVM", line)
        self.wait_running(run)
        run.send_signal(signal.SIGTERM)
        self.assertEqual(run.wait(20), 128 + signal.SIGTERM)
        self.assertEqual(run.stderr.read(), "")

    def test_code_memory(self):
        run = self.start("-accel", "lodge")
        self.wait_running(run)
        with open("/proc/%d/maps" % run.pid, encoding="utf-8") as f:
            rights = {line.split()[1] for line in f}
        self.assertIn("r-xp", rights)
        self.assertFalse({r for r in rights if "wx" in r}, rights)


if __name__ == "__main__":
    unittest.main()
