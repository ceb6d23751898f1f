#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Scenarios of an unmodified QEMU on Lodge's KVM; see SCENARIOS at the end.

    peer.py --lodge build/lodge savevm gdb

--accel tcg runs the same on QEMU's own translator, which tells a mistake of
a scenario from one of Lodge and gives the time to compare with.
"""
import argparse
import os
import sys
import time

from qemu import ROOT, Failed, Skipped, qemu_program
import devices
import firmware
import gdb
import state

SKIP = 77
SCENARIOS = {}
for module in (devices, firmware, gdb, state):
    SCENARIOS.update(module.SCENARIOS)


def options():
    ap = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        epilog="scenarios: " + ", ".join(sorted(SCENARIOS)))
    ap.add_argument("scenario", nargs="+", choices=sorted(SCENARIOS))
    ap.add_argument("--lodge", default=os.path.join(ROOT, "build", "lodge"))
    ap.add_argument("--accel", default="lodge", choices=("lodge", "tcg"))
    ap.add_argument("--next-qemu", action="store_true",
                    help="the QEMU of Debian's newest suite")
    ap.add_argument("--trace", help="file for the KVM requests")
    ap.add_argument("--log", help="file for the serial output")
    return ap.parse_args()


def main():
    opts = options()
    opts.log = open(opts.log, "wb") if opts.log else None
    name = "the start"
    try:
        if not os.access(opts.lodge, os.X_OK):
            raise Failed("%s is not built" % opts.lodge)
        opts.qemu = qemu_program(opts.next_qemu)
        for name in opts.scenario:
            began = time.monotonic()
            SCENARIOS[name](opts)
            print("%s passed in %.1f s" % (name, time.monotonic() - began),
                  flush=True)
    except Failed as e:
        print("%s failed: %s" % (name, e))
        return 1
    except Skipped as e:
        print("%s skipped: %s" % (name, e))
        return SKIP
    return 0


if __name__ == "__main__":
    sys.exit(main())
