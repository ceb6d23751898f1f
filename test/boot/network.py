#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The default guest of `make run` on a host without privileges.

It runs in a network namespace of its own, with a name server and a web server
of ours as all there is, as a user who owns nothing but his home, and without
any capability (started by root, it becomes nobody where nobody can read this
tree). The guest must have an address by DHCP, find names, fetch a file,
and be reached through a forwarded port and a forwarded UNIX socket; an
address of its network must lead to a program here and to a server here.

--restrict: the same guest where only what is forwarded may pass: neither this
host nor its name server nor a server elsewhere hears of it.
--passt: the same guest on a vhost-user card that passt serves, which is
killed and started again meanwhile.
"""
import argparse
import glob
import hashlib
import http.server
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from boot import (AS_NOBODY, NOBODY, ROOT, Failed, Skipped, Vmm, guest_file,
                  script_options, verdict, without_privileges)
from qmp import Qmp, check

ADDRESS = "192.0.2.77"          # of every name


class NameServer(threading.Thread):
    """Answers every question with one address."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        self.asked = set()
        self.start()

    def run(self):
        while True:
            question, peer = self.socket.recvfrom(512)
            end, labels = 12, []
            while question[end]:
                labels.append(question[end + 1:end + 1 + question[end]])
                end += 1 + question[end]
            self.asked.add(b".".join(labels).decode())
            ipv4 = question[end + 1:end + 3] == b"\0\1"
            head = question[:2] + struct.pack(">5H", 0x8180, 1, ipv4, 0, 0)
            answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + \
                socket.inet_aton(ADDRESS) if ipv4 else b""
            self.socket.sendto(head + question[12:end + 5] + answer, peer)


class WebServer:
    """One file by HTTP."""

    def __init__(self):
        data = os.urandom(8 << 20)
        self.sum = hashlib.sha256(data).hexdigest()
        self.asked = asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self.http = http.server.ThreadingHTTPServer(("", 0), Handler)
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever,
                         daemon=True).start()


class Echo(threading.Thread):
    """Sends a connection's first bytes back in capitals, on two sockets."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.local = socket.socket(socket.AF_UNIX)
        self.local.bind(path)
        os.chmod(path, 0o666)
        self.local.listen()
        self.start()

    def run(self):
        for listener in self.listener, self.local:
            link, _ = listener.accept()
            link.sendall(link.recv(100).upper())


def shell(vmm, command, pattern, seconds=60):
    """Types a command; the shell echoes it, so the answer is marked."""
    vmm.type(command + "\n")
    vmm.wait_for(pattern, seconds)


def forwarded(vmm, family, address, number):
    """Sends a file into the guest through a forwarded port."""
    data = os.urandom(2 << 20)
    vmm.type("nc -l -p %d </dev/null >/tmp/f%d &\n" % (number, number))
    shell(vmm, "until netstat -ltn | grep -q ':%d '; do :; done; "
          "echo ready$?%d" % (number, number), "^ready0%d$" % number)
    with socket.socket(family) as s:
        s.settimeout(30)
        s.connect(address)
        s.sendall(data)
    shell(vmm, "wait; sha256sum /tmp/f%d" % number,
          "^%s " % hashlib.sha256(data).hexdigest())


def check_user(vmm):
    """Whose process it is, and what it may do."""
    with open("/proc/%d/status" % vmm.proc.pid) as f:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in f)
    check("it has capabilities: " + status["CapEff"],
          int(status["CapEff"], 16) == 0)
    print("  user %s without capabilities" % status["Uid"].split("\t")[0])


def try_forwards(vmm, opts, folder):
    forwarded(vmm, socket.AF_INET, ("127.0.0.1", opts.port), 71)
    forwarded(vmm, socket.AF_UNIX, folder + "/forward", 72)
    print("  TCP in")
    shell(vmm, "echo hello | timeout 5 nc 10.0.2.100 7", "^from guest: hello$")
    shell(vmm, "echo shout | timeout 5 nc 10.0.2.101 7", "^SHOUT$")
    shell(vmm, "echo again | timeout 5 nc 10.0.2.102 7", "^AGAIN$")
    print("  guestfwd")


def leave(vmm):
    vmm.wait_for(r"guest:\S+# \S*$", 30)
    vmm.type("exit\n")
    if vmm.finish(30):
        raise Failed("the guest did not end well")


def try_restricted(vmm, opts, folder, servers):
    """Each way that try_all() finds open leads nowhere."""
    names, web = servers
    vmm.wait_for(r"^Network: 10\.0\.2\.15/24, name server *$", opts.timeout)
    vmm.wait_for(r"guest:.*# ", 30)
    print("  DHCP without a name server and a router")
    shell(vmm, "ip route add default via 10.0.2.2; "
          "echo nameserver 10.0.2.3 >/etc/resolv.conf; echo set$?", "^set0$")
    shell(vmm, "timeout 3 nslookup some.lodge.test; echo found$?",
          r"^found[1-9]\d*$")
    for number, host in enumerate(("10.0.2.2", ADDRESS)):
        shell(vmm, "timeout 3 wget -q -O - http://%s:%d/ | wc -c; "
              "echo fetched%d" % (host, web.port, number),
              "^fetched%d$" % number)
    # Programs of the host ask for their own names here, too.
    check("it reached the name server",
          not any("lodge.test" in name for name in names.asked))
    check("it reached the web server", not web.asked)
    print("  no way out")
    try_forwards(vmm, opts, folder)
    leave(vmm)


def try_all(vmm, opts, folder, servers):
    names, web = servers
    vmm.wait_for(r"^Network: 10\.0\.2\.15/24, name server 10\.0\.2\.3$",
                 opts.timeout)
    vmm.wait_for(r"guest:.*# ", 30)
    check_user(vmm)
    print("  DHCP")
    shell(vmm, "nslookup some.lodge.test", ADDRESS.replace(".", r"\."))
    if "some.lodge.test" not in names.asked:
        raise Failed("the name server here was not asked")
    print("  DNS")
    shell(vmm, "wget -q -O - http://10.0.2.2:%d/ | sha256sum" % web.port,
          "^%s " % web.sum)
    shell(vmm, "wget -q -O - http://some.lodge.test:%d/ | wc -c" % web.port,
          "^%d$" % (8 << 20))
    print("  TCP out")
    try_forwards(vmm, opts, folder)
    leave(vmm)


class Passt:
    """passt behind a socket, for as long as it is needed."""

    def __init__(self, opts, folder):
        self.path = folder + "/vhost"
        self.argv = [opts.passt, "--foreground", "--quiet", "--vhost-user",
                     "--socket", self.path, "--runas", "0:0",
                     "--tcp-ports", "%d:71" % opts.port]
        self.proc = None
        self.start()

    def start(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.proc = subprocess.Popen(self.argv)
        for _ in range(100):
            if os.path.exists(self.path):
                return
            time.sleep(0.1)
        raise Failed("passt does not start")

    def stop(self):
        self.proc.kill()
        self.proc.wait()


def check_rings(qmp, on):
    """What QMP tells of rings that passt works on, or did."""
    path = qmp.ask("x-query-virtio")[0]["path"]
    status = qmp.ask("x-query-virtio-status", path=path)
    check("vhost: %s" % status, status["vhost-started"] == on)
    for queue in range(2):
        ask = dict(path=path, queue=queue)
        if not on:
            qmp.refused("x-query-virtio-vhost-queue-status", **ask)
            continue
        ours = qmp.ask("x-query-virtio-queue-status", **ask)
        theirs = qmp.ask("x-query-virtio-vhost-queue-status", **ask)
        check("another place: %s, %s" % (ours, theirs), all(
            ours["vring-" + name] == theirs[name + "-phys"]
            for name in ("desc", "avail", "used")))
        check("a queue without eventfds: %s" % theirs,
              min(theirs["kick"], theirs["call"]) > 2 and
              theirs["num"] == ours["vring-num"])
        check("what passt did is not seen", ours["used-idx"] > 0 and
              "last-avail-idx" not in ours)


def try_passt(vmm, opts, passt, servers, qmp):
    names, web = servers
    vmm.wait_for(r"^Network: 10\.9\.9\.2/24, name server 10\.9\.9\.1$",
                 opts.timeout)
    vmm.wait_for(r"guest:.*# ", 30)
    fetch = "wget -q -O - http://10.9.9.1:%d/ | sha256sum" % web.port
    shell(vmm, "nslookup some.lodge.test", ADDRESS.replace(".", r"\."))
    shell(vmm, fetch, "^%s " % web.sum)
    forwarded(vmm, socket.AF_INET, ("127.0.0.1", opts.port), 71)
    print("  DHCP, DNS, TCP both ways")
    check_rings(qmp, True)
    passt.stop()
    shell(vmm, "until ! grep -q 1 /sys/class/net/eth0/carrier; do :; done; "
          "echo carrier$?", "^carrier0$")
    check_rings(qmp, False)
    passt.start()
    shell(vmm, "until grep -q 1 /sys/class/net/eth0/carrier; do :; done; "
          "echo again$?", "^again0$")
    shell(vmm, fetch + "; echo end$?", "^end0$")
    if sum(web.sum in text for _, text in vmm.lines) != 2:
        raise Failed("another file after the reconnection")
    check_rings(qmp, True)
    print("  and again after a crash of passt")
    leave(vmm)


def boot_passt(opts, folder, servers):
    for line in ("link add ext0 type veth peer name ext1", "link set ext1 up",
                 "addr add 10.9.9.2/24 dev ext0",
                 "link set ext0 up", "route add default via 10.9.9.1"):
        subprocess.run(["ip"] + line.split(), check=True)
    passt = Passt(opts, folder)
    argv = [opts.lodge, "run", "-accel", "lodge", "-nographic",
            "-no-reboot", "-m", "512",
            "-kernel", guest_file("--print-kernel"),
            "-initrd", guest_file("--print-initrd", "shell"),
            "-append", "console=ttyS0 quiet",
            "-chardev", "socket,id=c,path=%s,reconnect-ms=100" % passt.path,
            "-netdev", "vhost-user,id=n,chardev=c",
            "-qmp", "unix:%s/qmp,server=on,wait=off" % folder,
            "-device", "virtio-net-pci,netdev=n"]
    try:
        with Vmm(argv, None) as vmm:
            try_passt(vmm, opts, passt, servers, Qmp(folder + "/qmp"))
    finally:
        passt.stop()


def give_home(folder):
    """What tools/guest needs in its cache, all of it nobody's."""
    kernel = guest_file("--print-kernel")
    initrd = guest_file("--print-initrd", "shell")
    cache = os.path.dirname(initrd)
    names = [kernel, initrd, os.path.join(cache, "busybox", "busybox")]
    names += glob.glob(os.path.join(cache, "cloud", "package"))
    names += glob.glob(os.path.join(cache, "cloud", "modules*.gz"))
    for name in names:
        to = os.path.join(folder, "lodge", os.path.relpath(name, cache))
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy(name, to)
    for path, folders, files in os.walk(folder):
        for name in [path] + [os.path.join(path, f) for f in files]:
            os.chown(name, NOBODY, NOBODY)
    os.environ.update(HOME=folder, LODGE_CACHE=folder, USER="nobody",
                      LOGNAME="nobody")


def as_user(opts, folder):
    """How to become somebody without privileges."""
    words = without_privileges(opts.lodge)
    if words == AS_NOBODY:
        give_home(folder)
    return words


def command(opts, folder, echo):
    """As make run has it, with what is forwarded."""
    os.environ["LODGE_NET"] = ",".join([
        "hostfwd=tcp:127.0.0.1:%d-:71" % opts.port,
        "hostfwd=unix:%s/forward-:72" % folder,
        "guestfwd=tcp:10.0.2.100:7-cmd:sed -u s/^/from\\ guest:\\ /",
        "guestfwd=tcp:10.0.2.101:7-tcp:127.0.0.1:%d" % echo.port,
        "guestfwd=tcp:10.0.2.102:7-unix:%s/echo" % folder,
        "restrict=%s" % ("on" if opts.restrict else "off")])
    return as_user(opts, folder) + \
        [os.path.join(ROOT, "tools", "run-default"), opts.lodge]


def boot(opts):
    for line in "link set lo up", "addr add %s/32 dev lo" % ADDRESS:
        subprocess.run(["ip"] + line.split(), check=True)
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/resolv.conf"
        with open(path, "w", encoding="ascii") as f:
            f.write("nameserver 127.0.0.1\n")
        subprocess.run(["mount", "--bind", path, "/etc/resolv.conf"],
                       check=True)
        servers, echo = (NameServer(), WebServer()), Echo(folder + "/echo")
        with socket.create_server(("127.0.0.1", 0)) as s:
            opts.port = s.getsockname()[1]
        if opts.passt:
            boot_passt(opts, folder, servers)
            return
        with Vmm(command(opts, folder, echo),
                 open(opts.log, "wb") if opts.log else None) as vmm:
            (try_restricted if opts.restrict else try_all)(
                vmm, opts, folder, servers)


def options():
    ap = script_options(__doc__)
    ap.add_argument("--timeout", type=int, default=90)
    ap.add_argument("--log", help="file for the serial output")
    ap.add_argument("--passt", nargs="?", const="fetch", metavar="PROGRAM",
                    help="a vhost-user card, served by passt")
    ap.add_argument("--restrict", action="store_true",
                    help="only forwarded ports and addresses lead out or in")
    ap.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return ap.parse_args()


def outside(opts):
    """Runs this again where it has a network of its own."""
    unshare = ["unshare", "-n", "-m"] + (["-r"] if os.geteuid() else [])
    if subprocess.run(unshare + ["true"],
                      stderr=subprocess.DEVNULL).returncode:
        raise Skipped("no namespaces here")
    # Whatever must be fetched needs the network that is left behind.
    subprocess.run([os.path.join(ROOT, "tools", "guest"), "--print-kernel",
                    "--print-initrd", "shell"], check=True,
                   stdout=subprocess.DEVNULL)
    more = ["--inside"]
    if opts.passt == "fetch":
        done = subprocess.run([os.path.join(ROOT, "tools", "passt")],
                              stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise Skipped("no passt to be had")
        more += ["--passt", done.stdout.strip()]
    return subprocess.run(unshare + [sys.executable] + sys.argv +
                          more).returncode


def main():
    opts = options()
    return verdict(boot if opts.inside else outside, opts)


if __name__ == "__main__":
    sys.exit(main())
