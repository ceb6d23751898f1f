#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A QMP client of npm's against a guest that stands still, runs and ends."""
import os
import subprocess
import sys

from boot import (ROOT, Failed, Skipped, guest_file, in_folder, script_options,
                  verdict)
from qmp import HERE, Qmp

WANTED = """greeted true 0
status prelaunch
commands true
refused error: Device 'none' not found
status running
both guest,true
events stop
shutdown
end
"""


def clients():
    tool = subprocess.run([os.path.join(ROOT, "tools", "npm-clients"),
                           "--print"], capture_output=True, text=True,
                          check=False)
    if tool.returncode:
        raise Skipped(tool.stderr.strip())
    return tool.stdout.strip()


def session(opts, folder):
    modules = clients()
    path = os.path.join(folder, "qmp")
    guest = subprocess.Popen([
        opts.lodge, "run", "-accel", "lodge", "-m", "128", "-S",
        "-name", "guest", "-nodefaults", "-action", "panic=none",
        "-kernel", guest_file("--print-kernel", "cloud"),
        "-qmp", "unix:%s,server=on,wait=off" % path])
    try:
        Qmp(path).socket.close()
        client = subprocess.run(
            ["node", os.path.join(HERE, "qmp_client.js"), path],
            env=dict(os.environ, NODE_PATH=modules), timeout=opts.timeout,
            stdout=subprocess.PIPE, text=True, check=False)
        if client.stdout != WANTED or client.returncode:
            raise Failed("the client was told (status %d):\n%s" %
                         (client.returncode, client.stdout))
        if guest.wait(20):
            raise Failed("exit status %d" % guest.returncode)
    finally:
        guest.kill()
        guest.wait()


def main():
    ap = script_options(__doc__)
    ap.add_argument("--timeout", type=int, default=60)
    opts = ap.parse_args()
    return verdict(in_folder, session, opts)


if __name__ == "__main__":
    sys.exit(main())
