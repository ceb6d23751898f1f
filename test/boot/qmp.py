#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Controls a booted guest by QMP and asks the guest whether it came to pass.

The guest starts stopped, is let go, stopped and let go again; devices are
plugged in and taken out while it runs; what x-query-virtio-status says of
each device is held against the guest's sysfs bit by bit; a reset keeps what
was plugged in; the power button ends it.
"""
import json
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import time

from boot import (Failed, guest_file, in_folder, need_programs, script_options,
                  verdict)

HERE = os.path.dirname(os.path.abspath(__file__))


def check(what, truth):
    if not truth:
        raise Failed(what)


class Qmp:
    """A session: requests and their answers, events in the order they came."""

    def __init__(self, path, seconds=20):
        self.socket = socket.socket(socket.AF_UNIX)
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                check("nobody listens at the QMP socket",
                      time.monotonic() < deadline)
                time.sleep(0.05)
        self.buffer = b""
        self.events = []
        self.greeting = self.read()["QMP"]
        self.ask("qmp_capabilities")

    def read(self, seconds=30):
        """The next message."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self.buffer:
            left = deadline - time.monotonic()
            check("QMP says nothing for %d s" % seconds, left > 0 and
                  select.select([self.socket], [], [], left)[0])
            data = self.socket.recv(65536)
            check("the QMP session ended", data)
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def send(self, text):
        self.socket.sendall(text.encode())

    def answer(self):
        while True:
            message = self.read()
            if "event" not in message:
                return message
            self.events.append(message)

    def ask(self, name, /, **arguments):
        arguments = {k.replace("_", "-") if k in ("node_name", "command_line")
                     else k: v for k, v in arguments.items()}
        self.send(json.dumps({"execute": name, "arguments": arguments,
                              "id": name}))
        answer = self.answer()
        check("%s: answered to another: %s" % (name, answer),
              answer.get("id") == name)
        check("%s: %s" % (name, answer), "return" in answer)
        return answer["return"]

    def pass_fds(self, fds, name, /, **arguments):
        text = json.dumps({"execute": name, "arguments": arguments})
        socket.send_fds(self.socket, [text.encode()], fds)
        return self.answer()

    def give(self, fd, name, /, **arguments):
        """@fd with a request that must do."""
        answer = self.pass_fds([fd], name, **arguments)
        check("%s: %s" % (name, answer), "return" in answer)
        return answer["return"]

    def refused(self, name, kind="GenericError", /, **arguments):
        self.send(json.dumps({"execute": name, "arguments": arguments}))
        answer = self.answer()
        check("%s was not refused by %s: %s" % (name, kind, answer),
              answer.get("error", {}).get("class") == kind)
        return answer["error"]["desc"]

    def wait(self, name, seconds=30):
        """The first event of that name, which is taken out."""
        deadline = time.monotonic() + seconds
        while True:
            for event in self.events:
                if event["event"] == name:
                    self.events.remove(event)
                    check("an event without time: %s" % event,
                          event["timestamp"]["seconds"] > 0)
                    return event.get("data", {})
            message = self.read(max(deadline - time.monotonic(), 0.1))
            check("an answer to nothing", "event" in message)
            self.events.append(message)


class Shell:
    """The guest's shell, at a socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.text = ""

    def wait_for(self, pattern, seconds=60):
        deadline = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.text)
            if found:
                self.text = self.text[found.end():]
                return found
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                raise Failed("'%s' was not seen in %d s; the last lines: %s" %
                             (pattern, seconds, self.text[-600:]))
            data = self.socket.recv(65536)
            check("the serial port ended", data)
            self.text += data.decode(errors="replace").replace("\r", "")

    def run(self, line, seconds=30):
        """What a line prints."""
        self.socket.sendall(("{ %s\n} 2>&1; echo '<''>'\n" % line).encode())
        return self.wait_for(r"(?s)(.*?)<>\n", seconds)[1].strip()

    def until(self, line, wanted, seconds=30):
        deadline = time.monotonic() + seconds
        while True:
            got = self.run(line)
            if got == wanted:
                return
            check("'%s' prints '%s', not '%s'" % (line, got, wanted),
                  time.monotonic() < deadline)
            time.sleep(0.2)


def make_initrd(folder, kernel):
    tree = os.path.join(folder, "tree")
    os.mkdir(tree)
    shutil.copy(os.path.join(HERE, "qmp_init"), os.path.join(tree, "init"))
    os.chmod(os.path.join(tree, "init"), 0o755)
    own = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=tree,
                         input=b"init\n", stdout=subprocess.PIPE, check=True)
    path = os.path.join(folder, "initrd")
    with open(path, "wb") as out:
        for part in (guest_file("--print-initrd", "test"),
                     guest_file("--print-modules", kernel)):
            with open(part, "rb") as f:
                data = f.read()
            out.write(data + bytes(-len(data) % 4))
        out.write(own.stdout)
    return path


def start(opts, folder, *more, stderr=None):
    """(process, session, shell), the guest stopped before its beginning."""
    names = [os.path.join(folder, n) for n in ("qmp", "serial")]
    argv = [opts.lodge, "run", "-accel", "lodge", "-m", "256", "-smp", "2",
            "-machine", opts.machine, "-S", "-nographic", "-name", "guest",
            "-kernel", guest_file("--print-kernel", opts.kernel),
            "-initrd", make_initrd(folder, opts.kernel),
            "-append", "console=ttyS0 quiet",
            "-serial", "unix:%s,server=on,wait=off" % names[1],
            "-qmp", "unix:%s,server=on,wait=off" % names[0], *more]
    process = subprocess.Popen(argv, stderr=stderr)
    try:
        qmp = Qmp(names[0])
        return process, qmp, Shell(names[1])
    except BaseException:
        process.kill()
        process.wait()
        raise


# ---- features, as two sides see them ----

def header_names():
    """Bit numbers by the names in the kernel's headers, and ours' newer."""
    names = {}
    for header in ("config", "ring", "net", "blk", "console", "balloon",
                   "vsock", "fs", "9p"):
        path = "/usr/include/linux/virtio_%s.h" % header
        if not os.path.exists(path):
            continue
        with open(path) as f:
            for name, bit in re.findall(
                    r"#define\s+(VIRTIO_(?:\w+_)?F_\w+)\s+(\d+)", f.read()):
                names[name] = int(bit)
    names.update(VIRTIO_NET_F_GUEST_UDP_TUNNEL_GSO=65,
                 VIRTIO_NET_F_GUEST_UDP_TUNNEL_GSO_CSUM=66,
                 VIRTIO_NET_F_HOST_UDP_TUNNEL_GSO=67,
                 VIRTIO_NET_F_HOST_UDP_TUNNEL_GSO_CSUM=68,
                 VIRTIO_F_NOTIFICATION_DATA=38, VIRTIO_F_RING_RESET=40,
                 VIRTIO_F_IN_ORDER=35, VIRTIO_F_RING_PACKED=34,
                 VIRTIO_NET_F_GUEST_USO4=54, VIRTIO_NET_F_GUEST_USO6=55,
                 VIRTIO_NET_F_HOST_USO=56, VIRTIO_NET_F_GUEST_HDRLEN=59)
    return names


def bits_of(features, names):
    bits = set()
    for text in features["transports"] + features.get("dev-features", []):
        name = text.split(":")[0]
        check("'%s' is no feature the headers know" % name, name in names)
        bits.add(names[name])
    for key, first in (("unknown-dev-features", 0),
                       ("unknown-dev-features2", 64)):
        word = features.get(key, 0)
        bits.update(first + i for i in range(64) if word >> i & 1)
    return bits


def check_features(qmp, shell):
    """Every device: agreed bits are those of sysfs, and were offered."""
    rows = shell.run("for d in /sys/bus/virtio/devices/*; do echo "
                     "$(cat $d/device) $(cat $d/features); done").split("\n")
    seen = sorted((int(kind, 16), features) for kind, features in
                  (row.split() for row in rows))
    names, told = header_names(), []
    for device in qmp.ask("x-query-virtio"):
        status = qmp.ask("x-query-virtio-status", path=device["path"])
        check("another name: %s" % status, status["name"] == device["name"])
        agreed = bits_of(status["guest-features"], names)
        check("%s: agreed on what was not offered" % device["path"],
              agreed <= bits_of(status["host-features"], names))
        check("%s: not up: %s" % (device["path"], status["status"]),
              status["started"] and not status["broken"])
        told.append((status["device-id"], agreed))
        for queue in range(status["num-vqs"]):
            check_queue(qmp, device["path"], queue)
        qmp.refused("x-query-virtio-queue-status", path=device["path"],
                    queue=status["num-vqs"])
        qmp.refused("x-query-virtio-vhost-queue-status", path=device["path"],
                    queue=0)
    for (kind, features), (told_kind, agreed) in zip(
            seen, sorted(told, key=lambda row: row[0])):
        in_guest = {i for i, c in enumerate(features) if c == "1"}
        check("device %d: the guest has bits %s, QMP says %s" %
              (kind, sorted(in_guest), sorted(agreed)),
              kind == told_kind and in_guest == agreed)
    check("%d devices in the guest, %d here" % (len(seen), len(told)),
          len(seen) == len(told))
    qmp.refused("x-query-virtio-status", path="/machine/nothing")


def check_queue(qmp, path, queue):
    status = qmp.ask("x-query-virtio-queue-status", path=path, queue=queue)
    if not status["vring-desc"]:
        return
    check("queue %d of %s: %s" % (queue, path, status),
          status["vring-desc"] % 16 == 0 and status["vring-num"] > 0)
    element = qmp.ask("x-query-virtio-queue-element", path=path, queue=queue)
    check("an element of another size: %s" % element,
          element["index"] < status["vring-num"] and element["avail"] and
          len(element["descs"]) <= 1024)


def check_buffers(qmp, packed):
    """The card's receive queue: buffers to be written, of guest memory."""
    path = "/machine/peripheral/card/virtio-backend"
    ask = dict(path=path, queue=0)
    first = qmp.ask("x-query-virtio-queue-status", **ask)["last-avail-idx"]
    element = qmp.ask("x-query-virtio-queue-element", index=first, **ask)
    descs = element["descs"]
    check("no buffers to receive into: %s" % element, descs and all(
        "write" in d["flags"] and 0 < d["addr"] < 256 << 20 and d["len"]
        for d in descs))
    # The driver's mark and the device's are equal in what it has not used.
    marks = {("avail" in d["flags"], "used" in d["flags"]) for d in descs}
    check("marks of a packed ring: %s" % element,
          marks == ({(True, False)} if packed else {(False, False)}))
    check("a ring's index: %s" % element, element["index"] < 1024 and
          element["avail"]["idx"] < 1 << 16)


# ---- the checks ----

def check_queries(qmp):
    """Everything that only looks answers; the schema describes it."""
    schema = {e["name"]: e for e in qmp.ask("query-qmp-schema")}
    for command in qmp.ask("query-commands"):
        name = command["name"]
        entry = schema[name]
        members = schema[entry["arg-type"]]["members"]
        if name == "query-balloon": # there is none yet: check_balloon()
            continue
        if name.startswith("query-") and all("default" in m for m in members):
            qmp.ask(name)
    models = {m["name"] for m in qmp.ask("query-cpu-definitions")}
    check("models are missing", {"max", "Skylake-Server-v2", "EPYC"} <= models)
    model = qmp.ask("query-cpu-model-expansion", type="full",
                    model={"name": "Conroe", "props": {"ssse3": False}})
    check("ssse3 is on", model["model"]["props"]["ssse3"] is False and
          model["model"]["props"]["sse2"] is True)
    cpus = qmp.ask("query-cpus-fast")
    check("not two CPUs: %s" % cpus, [c["cpu-index"] for c in cpus] == [0, 1])
    for cpu in cpus:
        check("no such thread", os.path.isdir(
            "/proc/self/../%d" % cpu["thread-id"]))
    options = {o["option"]: [p["name"] for p in o["parameters"]]
               for o in qmp.ask("query-command-line-options")}
    check("options: %s" % options, {"server", "fd"} <= set(options["chardev"])
          and options["kernel"] == [] and "smp-opts" in options)
    check("one option", [o["option"] for o in qmp.ask(
        "query-command-line-options", option="memory")] == ["memory"])
    qmp.refused("query-command-line-options", option="none")
    check("another target", qmp.ask("query-target") == {"arch": "x86_64"})
    check("it can be woken", qmp.ask("query-current-machine") ==
          {"wakeup-suspend-support": False})
    check("a display", qmp.ask("query-display-options") == {"type": "none"})
    check("another name", qmp.ask("query-name") == {"name": "guest"})
    for line in ("status", "version", "cpus", "pci", "block",
                 "chardev", "kvm", "registers", "mtree", "virtio",
                 "blockstats"):
        check("info %s says nothing" % line, person(qmp, "info " + line))


def check_stop(qmp, shell):
    """Stopped: nothing moves, and the guest's clock has not gone on."""
    clock = shell.run("cat /sys/devices/system/clocksource/clocksource0/"
                      "current_clocksource").split()[-1]
    before = float(shell.run("cut -d' ' -f1 /proc/uptime"))
    qmp.ask("stop")
    qmp.wait("STOP")
    check("it is not stopped", qmp.ask("query-status") ==
          {"running": False, "status": "paused"})
    shell.socket.sendall(b"echo alive\n")
    began = time.monotonic()
    time.sleep(3)
    check("the guest goes on", not select.select([shell.socket], [], [], 0)[0])
    qmp.ask("cont")
    qmp.wait("RESUME")
    stood = time.monotonic() - began
    shell.wait_for("alive")
    after = float(shell.run("cut -d' ' -f1 /proc/uptime"))
    print("  clock %s: %.2f s in %.2f s stopped" %
          (clock, after - before, stood))
    if clock == "kvm-clock":
        check("the guest's clock went on while it was stopped",
              after - before < stood)
    for _ in range(20):
        qmp.ask("stop")
        qmp.ask("cont")
    qmp.events.clear()
    check("the guest is gone", shell.run("echo still here") == "still here")


def check_calendar(qmp, shell):
    """The guest sets it, and monitors hear how far it is off."""
    shell.run("date -u -s @$(($(date -u +%s) + 7200)) && hwclock -u -w")
    offset = qmp.wait("RTC_CHANGE")["offset"]
    check("the calendar is off by %d s" % offset, 7140 < offset < 7260)
    shell.run("date -u -s @$(($(date -u +%s) - 7200)) && hwclock -u -w")
    offset = qmp.wait("RTC_CHANGE")["offset"]
    check("the calendar is off by %d s again" % offset, -60 < offset < 60)


def check_refusals(qmp):
    qmp.refused("device_add", driver="virtio-net-pci", netdev="none")
    qmp.refused("device_add", driver="no-such-device")
    qmp.refused("device_add", driver="virtio-rng-pci", nonsense="1")
    qmp.refused("device_del", "DeviceNotFound", id="none")
    qmp.refused("netdev_del", "DeviceNotFound", id="none")
    qmp.refused("netdev_add", type="nonsense", id="x")
    qmp.refused("set_link", "DeviceNotFound", name="none", up=True)
    qmp.refused("system_wakeup")
    qmp.refused("screendump", filename="/tmp/x")
    qmp.refused("no-such", "CommandNotFound")


def remove(qmp, name):
    qmp.ask("device_del", id=name)
    data = qmp.wait("DEVICE_DELETED")
    check("another device: %s" % data, data["device"] == name and
          data["path"] == "/machine/peripheral/" + name)


def plug_all(qmp, shell, folder, packed=False):
    image = os.path.join(folder, "hot,disk")
    with open(image, "wb") as f:
        f.write(b"hello from the host".ljust(1 << 20, b"\0"))
    cards = int(shell.run("ls -d /sys/class/net/eth* 2>/dev/null | wc -l"))
    qmp.ask("netdev_add", type="user", id="hotnet",
            hostfwd=[{"str": "tcp:127.0.0.1:0-:7"}])
    qmp.ask("device_add", driver="virtio-net-pci", id="card",
            netdev="hotnet", mac="52:54:00:00:00:99", packed=packed)
    qmp.refused("netdev_del", id="hotnet")
    qmp.refused("device_add", driver="virtio-rng-pci", id="card")
    shell.until("ls -d /sys/class/net/eth* | wc -l", str(cards + 1))
    shell.until("cat /sys/class/net/eth*/address | grep -c 00:99", "1")
    name = image
    if packed:
        with open(image, "rb+") as f:
            name = "/dev/fdset/%d" % qmp.give(f.fileno(), "add-fd")["fdset-id"]
    qmp.ask("blockdev-add", driver="raw", node_name="hotdisk",
            file={"driver": "file", "filename": name})
    qmp.ask("device_add", driver="virtio-blk-pci", id="disk",
            drive="hotdisk", addr="1d", packed=packed)
    shell.until("head -c 19 /dev/vda", "hello from the host")
    qmp.ask("object-add", **{"qom-type": "rng-random", "id": "bytes",
                             "filename": "/dev/urandom"})
    qmp.ask("device_add", driver="virtio-rng-pci", id="rng", packed=packed,
            rng="bytes", **{"max-bytes": 1024, "period": 1000})
    qmp.refused("object-del", id="bytes")
    shell.until("grep -o virtio_rng /sys/class/misc/hw_random/rng_available "
                "| wc -l", "1")


def check_threads(process):
    """Each is called by what it does, for those who look at top -H."""
    names = []
    for task in os.listdir("/proc/%d/task" % process.pid):
        with open("/proc/%d/task/%s/comm" % (process.pid, task)) as f:
            names.append(f.read().strip())
    check("threads: %s" % sorted(names), "events" in names and
          "rng" in names and "net" in names and
          [n for n in sorted(names) if n.startswith("vcpu")] ==
          ["vcpu0", "vcpu1"])


def check_rates(opts, process, shell):
    """lodge top and lodge stat see the guest work."""
    pid = str(process.pid)

    def views(*words):
        return subprocess.Popen([opts.lodge, *words], text=True,
                                stdout=subprocess.PIPE)
    shell.run("while :; do cat /dev/vda; done >/dev/null & echo $! >/tmp/w")
    both = views("top", "-n", "3"), views("stat", "-n", "2", pid)
    top, stat = [b.communicate(timeout=60)[0] for b in both]
    shell.run("kill $(cat /tmp/w)")
    check("lodge top: " + top, both[0].returncode == 0)
    rows = [line for line in top.split("\n") if line.split()[:1] == [pid]]
    check("not in lodge top: " + top, len(rows) == 3)
    print(rows[-1])
    check("lodge stat: " + stat, both[1].returncode == 0 and "exits" in stat)


def unplug_all(qmp, shell):
    for name in ("card", "disk", "rng"):
        remove(qmp, name)
    forget_filter(qmp)
    qmp.ask("netdev_del", id="hotnet")
    qmp.ask("object-del", id="bytes")
    qmp.ask("blockdev-del", **{"node-name": "hotdisk"})
    for passed in qmp.ask("query-fdsets"):
        qmp.ask("remove-fd", **{"fdset-id": passed["fdset-id"]})
    shell.until("ls -d /sys/bus/virtio/devices/* 2>/dev/null | wc -l", "0")
    shell.until("ls /sys/bus/pci/devices | wc -l", "1")


def check_link(qmp, shell):
    shell.run("ip link set $(ls -d /sys/class/net/eth* | tail -n 1 | "
              "sed 's,.*/,,') up")
    for up in (True, False, True):
        qmp.ask("set_link", name="card", up=up)
        shell.until("cat /sys/class/net/eth*/carrier | tail -n 1",
                    str(int(up)))


FILTER = "NIC_RX_FILTER_CHANGED"


def forget_filter(qmp):
    """Drops what came; True if there was something, up to an answer."""
    qmp.ask("query-status")
    rest = [e for e in qmp.events if e["event"] != FILTER]
    came = len(rest) < len(qmp.events)
    qmp.events = rest
    return came


def filter_when(qmp, **wanted):
    """The card's filter once it is so: drivers may be late by a work item."""
    deadline = time.monotonic() + 30
    while True:
        filters = qmp.ask("query-rx-filter", name="card")
        check("%d filters of one card" % len(filters), len(filters) == 1)
        if wanted.items() <= filters[0].items():
            return filters[0]
        check("%s is not %s" % (filters[0], wanted),
              time.monotonic() < deadline)
        time.sleep(0.1)


def check_filter(qmp, shell):
    """What the guest lets in; told once, until somebody asks."""
    data = qmp.wait(FILTER)
    check("another card: %s" % data, data == {
        "name": "card", "path": "/machine/peripheral/card/virtio-backend"})
    eth = shell.run("ls -d /sys/class/net/eth* | tail -n 1 | sed 's,.*/,,'")
    shell.run("ip link set %s down" % eth)
    check("told again without being asked", not forget_filter(qmp))
    filter_when(qmp, promiscuous=False, **{"main-mac": "52:54:00:00:00:99"})
    shell.run("ip link set %s address 52:54:00:00:00:98 && "
              "ip link set %s up && ifconfig %s promisc" % (eth, eth, eth))
    qmp.wait(FILTER)
    now = filter_when(qmp, promiscuous=True,
                      **{"main-mac": "52:54:00:00:00:98"})
    check("filter: %s" % now, now["multicast"] == "normal" and
          now["unicast"] == "normal" and now["broadcast-allowed"] and
          "01:00:5e:00:00:01" in now["multicast-table"] and
          not now["unicast-table"])
    forget_filter(qmp)
    shell.run("ifconfig %s -promisc" % eth)
    qmp.wait(FILTER)
    filter_when(qmp, promiscuous=False)
    check("one of all cards", [c["name"] for c in qmp.ask("query-rx-filter")]
          .count("card") == 1)
    qmp.refused("query-rx-filter", name="hotnet")
    qmp.refused("query-rx-filter", name="rng")


def check_views(qmp):
    """PCI and disks as the host sees them."""
    devices = {d["qdev_id"]: d for d in qmp.ask("query-pci")[0]["devices"]}
    check("PCI: %s" % sorted(devices), {"card", "disk", "rng"} <= set(devices))
    check("another slot", devices["disk"]["slot"] == 0x1d)
    check("another vendor", devices["card"]["id"]["vendor"] == 0x1af4)
    check("info network", re.search("^card: .*\n.*hotnet", person(
        qmp, "info network")))
    disk = [b for b in qmp.ask("query-block") if b["device"] == "hotdisk"][0]
    check("disk: %s" % disk, disk["qdev"].endswith("/disk") and
          disk["inserted"]["image"]["virtual-size"] == 1 << 20)
    stats = [b for b in qmp.ask("query-blockstats")
             if b["node-name"] == "hotdisk"]
    # Its name is the node's only: libvirt takes a second one for a fault.
    check("devices: %s" % stats, [b["device"] for b in stats] == [""] and
          stats[0]["qdev"].endswith("/disk"))
    stats = stats[0]["stats"]
    check("nothing was read: %s" % stats, stats["rd_operations"] > 0 and
          stats["rd_bytes"] >= 512)


def check_objects(qmp, packed):
    """Objects and types, as tools look for them."""
    def rows(path):
        return {r["name"]: r["type"] for r in qmp.ask("qom-list", path=path)}

    def value(path, name):
        return qmp.ask("qom-get", path=path, property=name)

    check("the root: %s" % rows("/"), rows("/").keys() >=
          {"type", "machine", "objects", "chardevs"})
    devices = rows("/machine/peripheral")
    check("devices: %s" % devices, devices == {
        "type": "string", "card": "child<virtio-net-pci>",
        "disk": "child<virtio-blk-pci>", "rng": "child<virtio-rng-pci>"})
    disk = "/machine/peripheral/disk"
    check("the disk: %s" % rows(disk), rows(disk)["packed"] == "bool" and
          rows(disk)["virtio-backend"] == "child<virtio-blk-device>")
    for path, name, wanted in (
            (disk, "type", "virtio-blk-pci"), (disk, "addr", "1d.0"),
            (disk, "drive", "hotdisk"), ("disk", "packed", packed),
            ("peripheral/card", "mac", "52:54:00:00:00:99"),
            ("/machine/peripheral/rng", "max-bytes", 1024),
            ("/objects/bytes", "filename", "/dev/urandom"),
            ("/", "objects", "/objects"),
            ("/machine", "memory-size", 256 << 20),
            ("/machine/unattached/cpu[1]", "sse2", True),
            (disk + "/virtio-backend", "type", "virtio-blk-device")):
        got = value(path, name)
        check("%s of %s is %s" % (name, path, got), got == wanted)
    for path in ("/nowhere", "nowhere", "", disk + "/x"):
        text = qmp.refused("qom-list", "DeviceNotFound", path=path)
        check(text, text == "Device '%s' not found" % path)
    check("an ambiguous path", "ambiguous" in
          qmp.refused("qom-get", path="virtio-backend", property="type"))
    text = qmp.refused("qom-get", path=disk, property="x")
    check(text, text == "Property 'virtio-blk-pci.x' not found")
    text = qmp.refused("qom-set", path=disk, property="packed", value=True)
    check(text, "is not writable" in text)
    check_types(qmp)


def check_types(qmp):
    """All that -device help lists is a type, and says what it takes."""
    types = {t["name"]: t for t in
             qmp.ask("qom-list-types", implements="device")}
    check("types: %s" % sorted(types), types["virtio-rng-pci"] ==
          {"name": "virtio-rng-pci", "parent": "virtio-pci"} and
          "max-x86_64-cpu" in types and "rng-random" not in types and
          "virtio-pci" not in types)
    check("an abstract type", {"name": "virtio-pci", "abstract": True,
                               "parent": "pci-device"} in
          qmp.ask("qom-list-types", abstract=True))
    for name in (n for n in types if n.endswith("-pci")):
        props = {p["name"]: p for p in
                 qmp.ask("device-list-properties", typename=name)}
        check("%s: %s" % (name, props), props["packed"]["type"] == "bool" and
              props["packed"]["default-value"] is False and
              "addr" in props and "value" not in props["addr"])
    for name, prop, kind in (("rng-random", "filename", "str"),
                             ("max-x86_64-cpu", "sse2", "bool"),
                             ("virtio-rng-pci", "max-bytes", "uint64"),
                             ("pc-q35-10.0-machine", "kernel", "string"),
                             ("chardev-pty", "type", "string")):
        props = {p["name"]: p for p in
                 qmp.ask("qom-list-properties", typename=name)}
        check("%s: %s" % (name, props), props[prop]["type"] == kind and
              "value" not in props[prop])
    qmp.refused("qom-list-properties", "DeviceNotFound", typename="x")
    qmp.refused("device-list-properties", "DeviceNotFound", typename="x")
    qmp.refused("device-list-properties", typename="rng-random")


LIMITS = ("bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr")


def inserted(qmp):
    return [b for b in qmp.ask("query-block")
            if b["device"] == "hotdisk"][0]["inserted"]


def person(qmp, line):
    """What the monitor for people says to a line."""
    text = qmp.ask("human-monitor-command", command_line=line)
    check("%s: %s" % (line, text), "Error" not in text and
          "unknown" not in text)
    return text.replace("\r", "")


def check_disk(qmp, shell):
    """Its limits and its size can change while it is used."""
    none = dict.fromkeys(LIMITS, 0)
    before = inserted(qmp)
    check("limits or flags: %s" % before, all(
        before[k] == 0 for k in LIMITS) and before["cache"] == {
            "writeback": True, "direct": False, "no-flush": False})
    qmp.ask("block_set_io_throttle", id="disk",
            **dict(none, bps=256 << 10, bps_max=512 << 10, iops_size=4096))
    now = inserted(qmp)
    check("other limits: %s" % now, (now["bps"], now["bps_max"],
                                     now["bps_max_length"], now["iops"],
                                     now["iops_size"]) ==
          (256 << 10, 512 << 10, 1, 0, 4096))
    # 512 KiB at once, the other 512 KiB in two seconds.
    read = "dd if=/dev/vda of=/dev/null bs=64k iflag=direct 2>/dev/null"
    began = time.monotonic()
    shell.run(read)
    check("it is not slower", time.monotonic() - began > 1.5)
    qmp.refused("block_set_io_throttle", id="disk",
                **dict(none, bps=1, bps_rd=1))
    qmp.refused("block_set_io_throttle", "DeviceNotFound", device="none",
                **none)
    qmp.ask("block_set_io_throttle", device="hotdisk", **none)
    check("limits stay", inserted(qmp)["bps"] == 0)
    person(qmp, "block_set_io_throttle hotdisk 0 0 0 7000 0 0")
    check("no limits by people", inserted(qmp)["iops"] == 7000)
    qmp.ask("block_set_io_throttle", device="hotdisk", **none)
    check("nothing was read", re.search(r"^hotdisk: rd_bytes=[1-9]\d* ",
                                        person(qmp, "info blockstats"), re.M))
    for size in (4 << 20, 1 << 20):
        if size > 1 << 20:
            qmp.ask("block_resize", node_name="hotdisk", size=size)
        else:
            person(qmp, "block_resize hotdisk 1")
        shell.until("cat /sys/block/vda/size", str(size // 512))
        check("another size", inserted(qmp)["image"]["virtual-size"] == size)
        if size > 1 << 20:
            check("the new part cannot be written", shell.run(
                "echo end | dd of=/dev/vda bs=512 seek=%d conv=sync,fsync "
                "2>/dev/null && tail -c 512 /dev/vda | head -c 3" %
                (size // 512 - 1)) == "end")
    qmp.refused("block_resize", device="hotdisk", size=1000)
    qmp.refused("block_resize", device="hotdisk", size=0)
    qmp.refused("block_resize", size=4096)


def check_balloon(qmp, shell):
    qmp.refused("query-balloon", "DeviceNotActive")
    qmp.ask("device_add", driver="virtio-balloon-pci", id="balloon")
    deadline = time.monotonic() + 60
    for size in (160 << 20, 256 << 20):
        shell.until("ls /sys/bus/virtio/drivers/virtio_balloon | "
                    "grep -c ^virtio", "1")
        if size < 256 << 20:
            qmp.ask("balloon", value=size)
        else:
            check("the monitor for people", person(qmp, "balloon 256") == "")
        while qmp.wait("BALLOON_CHANGE") != {"actual": size}:
            check("the balloon's size is not told", time.monotonic() <
                  deadline)
        while qmp.ask("query-balloon") != {"actual": size}:
            check("the guest does not heed the balloon: %s" %
                  qmp.ask("query-balloon"), time.monotonic() < deadline)
            time.sleep(0.1)
    qmp.refused("balloon", value=0)
    check("the monitor for people", person(qmp, "info balloon") ==
          "balloon: actual=256\n")
    check_statistics(qmp)
    remove(qmp, "balloon")


def check_statistics(qmp):
    """What virsh dommemstat shows."""
    path, period = "/machine/peripheral/balloon", "guest-stats-polling-interval"
    qmp.refused("qom-set", path=path, property=period, value="1")
    qmp.refused("qom-set", path=path, property=period, value=-1)
    qmp.ask("qom-set", path=path, property=period, value=1)
    check("another period", qmp.ask("qom-get", path=path, property=period)
          == 1)
    first, deadline = 0, time.monotonic() + 30
    while True:
        told = qmp.ask("qom-get", path=path, property="guest-stats")
        first = first or told["last-update"]
        if told["last-update"] > first > 0:
            break
        check("no statistics: %s" % told, time.monotonic() < deadline)
        time.sleep(0.2)
    stats = told["stats"]
    check("statistics: %s" % stats, 0 < stats["stat-free-memory"] <
          stats["stat-total-memory"] < 256 << 20)


def check_ports(qmp, shell, folder):
    """Whether the guest listens at a port, as its agent's host must know."""
    qmp.ask("device_add", driver="virtio-serial-pci", id="ports")
    qmp.ask("device_add", driver="virtserialport", id="agent",
            name="org.example.agent")
    shell.until("cat /sys/class/virtio-ports/*/name", "org.example.agent")
    port = "/dev/$(ls /sys/class/virtio-ports)"
    shell.run("exec 9<%s" % port)
    data = qmp.wait("VSERPORT_CHANGE")
    check("another port: %s" % data, data == {"id": "agent", "open": True})
    shell.run("exec 9<&-")
    data = qmp.wait("VSERPORT_CHANGE")
    check("it is not closed: %s" % data, data == {"id": "agent",
                                                  "open": False})
    qmp.ask("device_del", id="agent")
    qmp.wait("DEVICE_DELETED")
    check_hot_port(qmp, shell, folder)
    remove(qmp, "ports")


def check_hot_port(qmp, shell, folder):
    """A port on a chardev that came later; bytes go both ways."""
    path = os.path.join(folder, "hot-port")
    qmp.ask("chardev-add", id="hot", backend={
        "type": "socket", "data": {"wait": False, "addr": {
            "type": "unix", "data": {"path": path}}}})
    for turn in ("one", "two"):
        qmp.ask("device_add", driver="virtserialport", id="line", chardev="hot",
                name="org.example." + turn)
        shell.until("cat /sys/class/virtio-ports/*/name", "org.example." + turn)
        qmp.refused("chardev-remove", id="hot")
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(30)
            peer.connect(path)
            # Who is not there when bytes come has missed them.
            shell.run("exec 8<>/dev/$(ls /sys/class/virtio-ports)")
            while qmp.wait("VSERPORT_CHANGE") != {"id": "line", "open": True}:
                pass
            peer.sendall(b"down %s\n" % turn.encode())
            shell.until("head -n 1 <&8", "down " + turn)
            shell.run("echo up %s >&8; exec 8>&-" % turn)
            check("nothing is heard of the guest",
                  peer.makefile().readline() == "up %s\n" % turn)
        qmp.ask("device_del", id="line")
        qmp.wait("DEVICE_DELETED")
        qmp.events = [e for e in qmp.events if e["event"] != "VSERPORT_CHANGE"]
    qmp.ask("chardev-remove", id="hot")
    check("its socket stays", not os.path.exists(path))


def check_break(qmp, shell):
    """The serial line's; what follows it is a key for the kernel."""
    counts = "/proc/tty/driver/serial"  # kernels of today have none
    count = "grep -so 'brk:[0-9]*' %s || echo none" % counts
    check("a break before", shell.run(count) == "none")
    counted = shell.run("test -e %s || echo none" % counts) != "none"
    qmp.refused("chardev-send-break", id="none")
    qmp.ask("chardev-send-break", id="serial0")
    time.sleep(0.2)
    shell.socket.sendall(b"\n")
    if counted:
        shell.until(count, "brk:1")
    else:  # the kernel's answer to the key may come in between
        time.sleep(1)
        shell.until("echo over", "over")


def check_reset(qmp, shell):
    """What was plugged in is there again, what was to go is gone."""
    qmp.ask("system_reset")
    data = qmp.wait("RESET")
    check("another reason: %s" % data, data ==
          {"guest": False, "reason": "host-qmp-system-reset"})
    shell.wait_for("lodge: ready")
    shell.until("ls -d /sys/bus/virtio/devices/* | wc -l", "3")
    qmp.ask("stop")
    qmp.ask("device_del", id="rng")
    qmp.refused("device_del", id="rng")
    qmp.ask("system_reset")
    qmp.wait("DEVICE_DELETED")
    qmp.wait("RESET")
    check("it runs after a reset while stopped",
          qmp.ask("query-status")["status"] == "prelaunch")
    qmp.ask("cont")
    shell.wait_for("lodge: ready")
    shell.until("ls -d /sys/bus/virtio/devices/* | wc -l", "2")
    qmp.ask("device_add", driver="virtio-rng-pci", id="rng")


def check_garbage(path):
    """A second session that is not spoken to nicely."""
    qmp = Qmp(path)
    for text in ("}", "nonsense ", "[1,2", "]", '{"execute":', "}",
                 '{"execute": "query-status", "x": 1}',
                 '{"execute": {}}', "[" * 300 + "]" * 300,
                 '"' + "x" * (1 << 20)):
        qmp.send(text + "\n")
    qmp.send('"\n{"execute": "query-status", "id": "end"}\n')
    while True:
        answer = qmp.answer()
        if answer.get("id") == "end":
            break
        check("garbage was answered with %s" % answer, "error" in answer)
    qmp.socket.close()


def press_power(process, qmp):
    qmp.ask("system_powerdown")
    qmp.wait("POWERDOWN")
    data = qmp.wait("SHUTDOWN")
    check("another reason: %s" % data,
          data == {"guest": True, "reason": "guest-shutdown"})
    return process.wait(20)


def session(opts, folder):
    process, qmp, shell = start(
        opts, folder, "-chardev",
        "socket,id=second,path=%s,server=on,wait=off" %
        os.path.join(folder, "second"),
        "-mon", "chardev=second,mode=control,pretty=off")
    try:
        check("it runs", qmp.ask("query-status")["status"] == "prelaunch")
        qmp.ask("cont")
        shell.wait_for("lodge: ready", opts.timeout)
        check_queries(qmp)
        check_stop(qmp, shell)
        check_calendar(qmp, shell)
        check_refusals(qmp)
        check_garbage(os.path.join(folder, "second"))
        for packed in (False, True):
            plug_all(qmp, shell, folder, packed)
            check_features(qmp, shell)
            check_link(qmp, shell)
            check_filter(qmp, shell)
            check_buffers(qmp, packed)
            check_views(qmp)
            check_threads(process)
            check_objects(qmp, packed)
            if not packed:
                check_disk(qmp, shell)
                check_rates(opts, process, shell)
            unplug_all(qmp, shell)
        check_balloon(qmp, shell)
        check_ports(qmp, shell, folder)
        check_break(qmp, shell)
        plug_all(qmp, shell, folder)
        check_reset(qmp, shell)
        status = press_power(process, qmp)
        check("exit status %d" % status, status == 0)
        check("the socket was left behind",
              not os.path.exists(os.path.join(folder, "qmp")))
    finally:
        process.kill()
        process.wait()


def make_chain(folder):
    """An image over one over one."""
    names = [os.path.join(folder, n) for n in ("low.raw", "middle", "top")]
    need_programs("qemu-img")
    subprocess.run(["qemu-img", "create", "-q", "-f", "raw", names[0], "1M"],
                   check=True)
    for below, fmt, name, size in ((names[0], "raw", names[1], "2M"),
                                   (names[1], "qcow2", names[2], "3M")):
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", fmt,
                        "-b", below, name, size], check=True)
    return names


def check_chain(qmp, names):
    """What is below a disk, image by image, as virsh domblkinfo wants it."""
    disk = [b for b in qmp.ask("query-block") if b["device"] == "chain"][0]
    image = disk["inserted"]["image"]
    check("chain: %s" % disk["inserted"], disk["inserted"]["backing_file"] ==
          names[1] and disk["inserted"]["backing_file_depth"] == 2)
    for mib, name, fmt in zip((3, 2, 1), names[::-1],
                              ("qcow2", "qcow2", "raw")):
        check("image: %s" % image, (image["filename"], image["format"],
                                    image["virtual-size"]) ==
              (name, fmt, mib << 20) and image["actual-size"] ==
              os.stat(name).st_blocks * 512)
        if mib > 1:
            check("below: %s" % image, image["backing-filename"] ==
                  image["backing-image"]["filename"] and
                  image["backing-filename-format"] ==
                  image["backing-image"]["format"])
            image = image["backing-image"]
    check("a chain without an end: %s" % image, "backing-image" not in image)
    check("info block", "chain depth: 2" in person(qmp, "info block"))


def held(opts, folder):
    """-no-shutdown keeps a guest that ended, until quit."""
    names = make_chain(folder)
    process, qmp, shell = start(opts, folder, "-no-shutdown", "-drive",
                                "if=none,id=chain,file=" + names[2])
    try:
        check_chain(qmp, names)
        qmp.ask("cont")
        shell.wait_for("lodge: ready", opts.timeout)
        shell.socket.sendall(b"poweroff -f\n")
        qmp.wait("SHUTDOWN")
        qmp.wait("STOP")
        check("it is not held",
              qmp.ask("query-status")["status"] == "shutdown")
        qmp.refused("cont")
        qmp.ask("quit")
        data = qmp.wait("SHUTDOWN")
        check("another reason: %s" % data, data["reason"] == "host-qmp-quit")
        check("exit status", process.wait(20) == 0)
    finally:
        process.kill()
        process.wait()


def left_alone(opts, folder):
    """-daemonize comes back once the guest runs; socat is client enough."""
    qmp, pid = os.path.join(folder, "qmp"), os.path.join(folder, "pid")
    argv = [opts.lodge, "run", "-accel", "lodge", "-m", "128", "-daemonize",
            "-pidfile", pid, "-uuid", "12345678-1234-1234-1234-123456789ABC",
            "-action", "panic=none",
            "-kernel", guest_file("--print-kernel", opts.kernel),
            "-qmp", "unix:%s,server=on,wait=off" % qmp]
    check("-daemonize fails", subprocess.run(argv, check=False).returncode
          == 0)
    with open(pid) as f:
        number = int(f.read())
    check("the pid file names nobody", os.path.exists("/proc/%d" % number))
    again = subprocess.run(argv[:-1] + ["none"], stderr=subprocess.PIPE,
                           text=True, check=False)
    check("a second one took the pid file: " + again.stderr,
          again.returncode and "another process has it" in again.stderr)
    session = Qmp(qmp)
    check("another UUID", session.ask("query-uuid") ==
          {"UUID": "12345678-1234-1234-1234-123456789abc"})
    session.socket.close()
    if shutil.which("socat"):
        talk = "".join('{"execute": "%s"}\n' % name for name in
                       ("qmp_capabilities", "query-version", "quit"))
        out = subprocess.run(["socat", "-t5", "-", "UNIX-CONNECT:" + qmp],
                             input=talk, stdout=subprocess.PIPE, text=True,
                             timeout=30, check=True).stdout
        check("socat: " + out, out.count('"return"') == 3)
    else:
        Qmp(qmp).ask("quit")
    deadline = time.monotonic() + 10
    while os.path.exists(pid):
        check("the pid file stays", time.monotonic() < deadline)
        time.sleep(0.1)


def run_parts(opts):
    for part in (session, held, left_alone):
        in_folder(part, opts)


def main():
    ap = script_options(__doc__)
    ap.add_argument("--kernel", default="cloud",
                    choices=("cloud", "generic", "next"))
    ap.add_argument("--machine", default="pc")
    ap.add_argument("--timeout", type=int, default=120)
    opts = ap.parse_args()
    return verdict(run_parts, opts)


if __name__ == "__main__":
    sys.exit(main())
