# SPDX-License-Identifier: Apache-2.0
"""A Debian from a disk, and QEMU's devices seen from it."""
import hashlib
import http.server
import os
import threading
import time
import urllib.request

from boot import COMPLAINTS
from qemu import Failed, Machine, free_port, tool
from state import tail

ALLOWED = "TSCs unsynchronized"


def disk_guest(*args):
    return ["-m", "1024", "-snapshot", "-vga", "std", "-drive",
            "if=virtio,format=raw,file=" + tool("debian-disk"), *args]


STAGES = {"grub": r"lodge: grub on", "kernel": r"Linux version|Welcome to",
          "login": r"login: $"}


def login(m, seconds=240):
    """From power-on to root's shell; returns when each stage was seen."""
    times = []
    for pattern in STAGES.values():
        m.wait_for(pattern, seconds)
        times.append(time.monotonic() - m.start)
    m.type("root\n")
    m.wait_for(r"# $", 60)
    m.shell("TERM=dumb; bind 'set enable-bracketed-paste off'; dmesg -n 1")
    print("  grub after %.1f s, kernel %.1f s, login prompt %.1f s" %
          tuple(times), flush=True)
    return times


def judge_debian(m):
    state = m.shell("systemctl is-system-running --wait || true", 120)
    if "running" not in state.splitlines():
        raise Failed("systemd says " + state + ": " +
                     m.shell("systemctl --failed --no-legend"))
    for line in m.shell("dmesg").splitlines():
        if COMPLAINTS.search(line) and ALLOWED not in line:
            raise Failed("the kernel says: " + line)


def power_off(m, seconds=120):
    m.type("systemctl poweroff\n")
    status = m.finish(seconds)
    if status:
        raise Failed("QEMU ended with %d" % status)


def disk(opts, *args):
    """SeaBIOS, GRUB, Debian; writing and reading the disk; power-off."""
    m = Machine(opts, *disk_guest(*args), log=opts.log)
    try:
        login(m)
        judge_debian(m)
        before = m.shell(
            "dd if=/dev/urandom of=/var/tmp/a bs=1M count=64 status=none"
            " && sha256sum </var/tmp/a && sync &&"
            " echo 3 >/proc/sys/vm/drop_caches")
        if m.shell("sha256sum </var/tmp/a") != before:
            raise Failed("the disk holds something else")
        power_off(m)
    except Failed:
        tail(m)
        raise
    finally:
        m.kill()


class Server(http.server.ThreadingHTTPServer):
    """Serves one file of random bytes."""

    def __init__(self, size):
        self.data = os.urandom(size)
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def sum(self):
        return hashlib.sha256(self.data).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.data)))
        self.end_headers()
        self.wfile.write(self.server.data)

    def log_message(self, *args):
        pass


def fetch(url, seconds=60):
    with urllib.request.urlopen(url, timeout=seconds) as answer:
        return answer.read()


def network(opts, *args):
    """A file over HTTP each way through user networking."""
    port = free_port()
    server = Server(64 << 20)
    m = Machine(opts, *disk_guest(*args), "-netdev",
                "user,id=net,hostfwd=tcp:127.0.0.1:%d-:80" % port,
                "-device", "virtio-net-pci,netdev=net", log=opts.log)
    try:
        login(m)
        judge_debian(m)
        m.shell("nic=$(ls /sys/class/net | grep -v lo); ip=10.0.2.15;"
                " busybox ip link set $nic up && busybox ip addr add"
                " $ip/24 dev $nic && busybox ip route add default via"
                " 10.0.2.2")
        url = "http://10.0.2.2:%d/file" % server.server_port
        began = time.monotonic()
        got = m.shell("cd /var/tmp && busybox wget -q -O in %s &&"
                      " sha256sum <in" % url, 120).split()[0]
        print("  64 MiB into the guest in %.1f s" %
              (time.monotonic() - began))
        if got != server.sum():
            raise Failed("the guest has received something else")
        m.shell("mkdir -p /var/tmp/www && mv /var/tmp/in /var/tmp/www/out &&"
                " busybox httpd -p 80 -h /var/tmp/www")
        began = time.monotonic()
        back = fetch("http://127.0.0.1:%d/out" % port)
        print("  and out in %.1f s" % (time.monotonic() - began))
        if hashlib.sha256(back).hexdigest() != server.sum():
            raise Failed("the guest has sent something else")
        power_off(m)
    except Failed:
        tail(m)
        raise
    finally:
        m.kill()
        server.shutdown()


def rng(opts):
    m = Machine(opts, *disk_guest("-device", "virtio-rng-pci"), log=opts.log)
    try:
        login(m)
        judge_debian(m)
        current = m.shell("cat /sys/class/misc/hw_random/rng_current")
        if not current.startswith("virtio_rng"):
            raise Failed("the guest's generator is " + current)
        size = "dd if=/dev/hwrng bs=4096 count=256 iflag=fullblock" \
            " status=none | tee /tmp/r | wc -c"
        if m.shell(size) != "1048576":
            raise Failed("less than 1 MiB of random bytes")
        packed = int(m.shell("gzip -9 </tmp/r | wc -c"))
        if packed < 1048576:
            raise Failed("random bytes can be packed to %d" % packed)
        power_off(m)
    except Failed:
        tail(m)
        raise
    finally:
        m.kill()


SCENARIOS = {
    "disk": disk,
    "disk-q35-smp2": lambda opts: disk(opts, "-machine", "q35", "-smp", 2),
    "disk-smp4-split": lambda opts: disk(
        opts, "-machine", "pc,kernel-irqchip=split", "-smp", 4),
    "network": network,
    "network-q35-split": lambda opts: network(
        opts, "-machine", "q35,kernel-irqchip=split", "-smp", 2),
    "rng": rng,
}
