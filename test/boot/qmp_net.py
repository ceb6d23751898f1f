#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What monitors hear of the peers of -netdev stream and vhost-user: who came,
who went, and that a client tries again. The guest never runs.
"""
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time

from boot import guest_file, in_folder, script_options, verdict
from qmp import Qmp, check

CAME, WENT = "NETDEV_STREAM_CONNECTED", "NETDEV_STREAM_DISCONNECTED"
VHOST = "NETDEV_VHOST_USER_%s"
RETRY_MS = 50


class Backend(threading.Thread):
    """As much of a vhost-user backend as a guest that never runs needs."""

    GET_FEATURES, SET_OWNER = 1, 3
    FEATURES = 1 << 32                  # VERSION_1

    def __init__(self, path):
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.peer = None
        self.owned = threading.Event()
        self.start()

    def run(self):
        self.peer, _ = self.listener.accept()
        while True:
            head = self.peer.recv(12, socket.MSG_WAITALL)
            if len(head) < 12:
                return
            request, _, size = struct.unpack("<3I", head)
            self.peer.recv(size, socket.MSG_WAITALL)
            if request == self.GET_FEATURES:
                self.peer.sendall(struct.pack("<3IQ", request, 5, 8,
                                              self.FEATURES))
            elif request == self.SET_OWNER:
                self.owned.set()

    def stop(self, path):
        os.unlink(path)
        check("it is nobody's", self.owned.wait(30))
        self.peer.shutdown(socket.SHUT_RDWR)
        self.join()


def uncard(qmp):
    """The card goes, as a reset has the guest let go of it."""
    qmp.ask("device_del", id="card")
    qmp.ask("system_reset")
    qmp.wait("DEVICE_DELETED")
    qmp.wait("RESET")


def card(qmp, netdev):
    qmp.ask("device_add", driver="virtio-net-pci", id="card", netdev=netdev)


def expect(qmp, event, **wanted):
    wanted = {name.replace("_", "-"): value for name, value in wanted.items()}
    data = qmp.wait(event)
    check("%s: %s, not %s" % (event, data, wanted), data == wanted)


def quiet(qmp):
    """Up to an answer, nothing more is told."""
    qmp.ask("query-status")
    check("too much is told: %s" % qmp.events, not qmp.events)


def server(qmp, folder):
    """Peers come one after the other, by a path."""
    path = folder + "/wire"
    qmp.ask("netdev_add", type="stream", id="serves", server=True,
            addr={"type": "unix", "path": path})
    card(qmp, "serves")
    for turn in range(2):
        with socket.socket(socket.AF_UNIX) as peer:
            if turn:
                peer.bind(folder + "/other-end")
            peer.connect(path)
            expect(qmp, CAME, netdev_id="serves", addr={
                "type": "unix", "path": turn * (folder + "/other-end")})
            quiet(qmp)
        expect(qmp, WENT, netdev_id="serves")
    qmp.ask("system_reset")
    qmp.wait("RESET")
    quiet(qmp)
    uncard(qmp)
    qmp.ask("netdev_del", id="serves")
    quiet(qmp)


def network(qmp):
    return qmp.ask("human-monitor-command", **{
        "command-line": "info network"}).splitlines()


def without_card(qmp, folder):
    """Peers come and go before there is a card, and one waits for it."""
    path = folder + "/early"
    qmp.ask("netdev_add", type="stream", id="early", server=True,
            addr={"type": "unix", "path": path})
    for _ in range(2):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(path)
            expect(qmp, CAME, netdev_id="early",
                   addr={"type": "unix", "path": ""})
            peer.sendall(bytes([0, 0, 0, 60]) + bytes(60))
            quiet(qmp)
        expect(qmp, WENT, netdev_id="early")
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(path)
        expect(qmp, CAME, netdev_id="early", addr={"type": "unix", "path": ""})
        check("alone", network(qmp)[-1] == "early: index=0,type=stream")
        card(qmp, "early")
        quiet(qmp)
        shown = network(qmp)[-2:]
        check("its card: %s" % shown, re.match(
            r"card: index=0,type=nic,model=virtio-net-pci,"
            r"macaddr=52:54:00:12:34:..$", shown[0]) and
              shown[1] == r" \ early: index=0,type=stream")
        peer.sendall(bytes([0, 0, 0, 60]) + bytes(60))
        for _ in range(100):
            if network(qmp)[-1] == "   dropped: rx down 1":
                break
            time.sleep(0.1)
        check("what it drops: %s" % network(qmp),
              network(qmp)[-1] == "   dropped: rx down 1")
        uncard(qmp)
        quiet(qmp)
        qmp.ask("netdev_del", id="early")
        check("it stays", peer.recv(1) == b"")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        qmp.ask("netdev_add", type="stream", id="early",
                addr={"type": "inet", "host": "127.0.0.1", "port": str(port)},
                **{"reconnect-ms": RETRY_MS})
        for _ in range(2):
            listener.accept()[0].close()
            qmp.wait(CAME)
            expect(qmp, WENT, netdev_id="early")
        qmp.ask("netdev_del", id="early")
    qmp.ask("query-status")
    qmp.events.clear()


def client(qmp, how):
    """Finds its peer again; a reset of the guest changes nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        addr = {"type": "inet", "host": "127.0.0.1", "port": str(port)}
        qmp.ask("netdev_add", type="stream", id="asks", addr=addr, **how)
        card(qmp, "asks")
        for _ in range(3 if how else 1):
            peer, _ = listener.accept()
            expect(qmp, CAME, netdev_id="asks", addr=dict(addr, ipv4=True))
            qmp.ask("system_reset")
            qmp.wait("RESET")
            quiet(qmp)
            peer.close()
            expect(qmp, WENT, netdev_id="asks")
    quiet(qmp)
    uncard(qmp)
    qmp.ask("netdev_del", id="asks")


def vhost_user(qmp, path, backend):
    for _ in range(2):
        backend.stop(path)
        expect(qmp, VHOST % "DISCONNECTED", netdev_id="vhost")
        quiet(qmp)
        backend = Backend(path)
        expect(qmp, VHOST % "CONNECTED", netdev_id="vhost", chardev_id="c")


def schema(qmp):
    entities = {e["name"]: e for e in qmp.ask("query-qmp-schema")}
    for name, members in ((CAME, ["netdev-id", "addr"]), (WENT, ["netdev-id"]),
                          (VHOST % "CONNECTED", ["netdev-id", "chardev-id"]),
                          (VHOST % "DISCONNECTED", ["netdev-id"])):
        check("no event: " + name, entities[name]["meta-type"] == "event")
        got = entities[entities[name]["arg-type"]]["members"]
        check("%s: %s" % (name, got), [m["name"] for m in got] == members)


def session(opts, folder):
    path, vhost = folder + "/qmp", folder + "/vhost"
    backend = Backend(vhost)
    guest = subprocess.Popen([
        opts.lodge, "run", "-accel", "lodge", "-m", "128", "-S", "-nodefaults",
        "-kernel", guest_file("--print-kernel", "cloud"),
        "-chardev", "socket,id=c,path=%s,reconnect-ms=%d" % (vhost, RETRY_MS),
        "-netdev", "vhost-user,id=vhost,chardev=c",
        "-device", "virtio-net-pci,netdev=vhost",
        "-qmp", "unix:%s,server=on,wait=off" % path])
    try:
        qmp = Qmp(path)
        schema(qmp)
        vhost_user(qmp, vhost, backend)
        server(qmp, folder)
        without_card(qmp, folder)
        for how in ({}, {"reconnect-ms": RETRY_MS}, {"reconnect": 1}):
            client(qmp, how)
        qmp.ask("quit")
        check("exit status", guest.wait(20) == 0)
    finally:
        guest.kill()
        guest.wait()


def main():
    opts = script_options(__doc__).parse_args()
    return verdict(in_folder, session, opts)


if __name__ == "__main__":
    sys.exit(main())
