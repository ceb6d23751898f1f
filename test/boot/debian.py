#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A stock Debian on a virtio disk, without firmware.

The kernel and the initrd are those on the disk (tools/debian-disk), handed
over directly. systemd must come up to a login prompt with nothing failed, have
its address from the user network's DHCP, and end by the power button that QMP
presses.
"""
import os
import re
import shutil
import subprocess
import sys
import time

from boot import COMPLAINTS, ROOT, Skipped, in_folder, script_options, verdict
from qmp import Qmp, Shell, check

PARTITION = (2048 + 65536) * 512        # of the root file system
# What a cloud image has enabled: networkd, told by ip= what to do.
APPEND = ("root=/dev/vda2 ro console=ttyS0 ip=dhcp "
          "systemd.wants=systemd-network-generator.service "
          "systemd.wants=systemd-networkd.service")
ALLOWED = "TSCs unsynchronized"


def make_disk():
    done = subprocess.run([os.path.join(ROOT, "tools", "debian-disk")],
                          stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise Skipped("tools/debian-disk makes no disk here")
    return done.stdout.strip()


def extract(disk, folder):
    """Paths of the kernel and the initrd, taken off the disk."""
    debugfs = shutil.which("debugfs", path=os.environ["PATH"] +
                           ":/sbin:/usr/sbin")
    if not debugfs:
        raise Skipped("no debugfs here")
    image = "%s?offset=%d" % (disk, PARTITION)

    def ask(request):
        return subprocess.run([debugfs, "-R", request, image], check=True,
                              capture_output=True, text=True).stdout

    paths = []
    names = ask("ls -p /boot")
    for start in ("vmlinuz-", "initrd.img-"):
        found = re.search(r"/(%s[^/]+)/" % re.escape(start), names)
        check("no %s on the disk: %s" % (start, names), found)
        path = os.path.join(folder, start)
        ask("dump /boot/%s %s" % (found[1], path))
        check("%s is empty" % found[1], os.path.getsize(path) > 1 << 20)
        paths.append(path)
    return paths


def start(opts, folder, disk):
    kernel, initrd = extract(disk, folder)
    names = [os.path.join(folder, n) for n in ("qmp", "serial")]
    process = subprocess.Popen([
        opts.lodge, "run", "-accel", "lodge", "-m", "1024",
        "-smp", str(opts.smp), "-machine", opts.machine, "-nographic", "-S",
        "-kernel", kernel, "-initrd", initrd, "-append", APPEND,
        "-drive", "if=virtio,format=raw,snapshot=on,file=" + disk,
        "-netdev", "user,id=n", "-device", "virtio-net-pci,netdev=n",
        "-serial", "unix:%s,server=on,wait=off" % names[1],
        "-qmp", "unix:%s,server=on,wait=off" % names[0]])
    try:
        return process, Qmp(names[0]), Shell(names[1])
    except BaseException:
        process.kill()
        process.wait()
        raise


def log_in(shell, seconds):
    began = time.monotonic()
    shell.wait_for(r"login: $", seconds)
    print("  login prompt after %.1f s" % (time.monotonic() - began),
          flush=True)
    shell.socket.sendall(b"root\n")
    shell.wait_for(r"# $", 120)
    shell.socket.sendall(b"TERM=dumb PS1= PS2= exec sh\n")
    shell.socket.sendall(b"stty -echo; dmesg -n 1; echo '<''ready>'\n")
    shell.wait_for(r"<ready>\n", 60)


def judge(shell):
    shell.until("busybox ip -4 addr | grep -o 'inet 10[.0-9]*'",
                "inet 10.0.2.15", 120)
    route = shell.run("busybox ip route")
    check("no way out: " + route, "default via 10.0.2.2" in route)
    state = shell.run("systemctl is-system-running --wait", 240)
    check("systemd says %s: %s" % (state, shell.run(
        "systemctl --failed --no-legend")), "running" in state.splitlines())
    for line in shell.run("dmesg", 240).splitlines():
        check("the kernel says: " + line, ALLOWED in line or
              not COMPLAINTS.search(line))
    source = shell.run("busybox mount | grep ' on / '")
    check("another root: " + source, "/dev/vda2 on / type ext4 (rw" in source)


def session(opts, folder):
    process, qmp, shell = start(opts, folder, make_disk())
    try:
        qmp.ask("cont")
        log_in(shell, opts.timeout)
        judge(shell)
        qmp.ask("system_powerdown")
        qmp.wait("POWERDOWN")
        data = qmp.wait("SHUTDOWN", opts.timeout)
        check("another reason: %s" % data,
              data == {"guest": True, "reason": "guest-shutdown"})
        status = process.wait(60)
        check("exit status %d" % status, status == 0)
    finally:
        process.kill()
        process.wait()


def main():
    ap = script_options(__doc__)
    ap.add_argument("--machine", default="pc")
    ap.add_argument("--smp", type=int, default=2)
    ap.add_argument("--timeout", type=int, default=300)
    opts = ap.parse_args()
    return verdict(in_folder, session, opts)


if __name__ == "__main__":
    sys.exit(main())
