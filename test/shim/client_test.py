#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""client_test.py LODGE CLIENT: every case of the client, each in a process of
its own, under `lodge kvm`, and what a KVM_RUN costs there."""
import subprocess
import sys

LIMIT = 30
ROUND_TRIP_NS = 1000


def main():
    lodge, client = sys.argv[1:]
    names = subprocess.run([client], capture_output=True, text=True,
                           check=True).stdout.split()
    bad = []
    for name in names:
        try:
            run = subprocess.run([lodge, "kvm", "--", client, name],
                                 capture_output=True, text=True,
                                 timeout=LIMIT)
            status, text = run.returncode, run.stdout + run.stderr
        except subprocess.TimeoutExpired:
            status, text = "hung", ""
        if status or text:
            bad.append(name)
            print("FAILED %s: %s\n%s" % (name, status, text))
    run = subprocess.run([lodge, "kvm", "--", client, "round-trip"],
                         capture_output=True, text=True, timeout=LIMIT)
    print("KVM_RUN to a port exit and back: %s ns" % run.stdout.strip())
    if run.returncode or int(run.stdout) >= ROUND_TRIP_NS:
        bad.append("round-trip")
    print("%d cases, %d failed" % (len(names), len(bad)))
    return 1 if bad or not names else 0


if __name__ == "__main__":
    sys.exit(main())
