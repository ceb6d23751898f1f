#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""client_test.py LODGE CLIENT: every case of the client, each in a process of
its own, under `lodge kvm`, what a KVM_RUN costs there and what the start of a
program costs that has no use for it."""
import os
import subprocess
import sys
import time

LIMIT = 30
ROUND_TRIP_NS = 1000
START_MS = 50


def start_ms(client, env):
    """From fork to exit of a program that does next to nothing."""
    best = float("inf")
    for _ in range(30):
        began = time.monotonic()
        subprocess.run([client], env=env, stdout=subprocess.DEVNULL,
                       check=True)
        best = min(best, time.monotonic() - began)
    return best * 1000


def start_cost(lodge, client):
    """What the shim adds to that, `lodge kvm` itself left out."""
    out = subprocess.run([lodge, "kvm", "--", "env", "-0"], check=True,
                         stdout=subprocess.PIPE).stdout
    env = dict(row.split(b"=", 1) for row in out.split(b"\0") if row)
    if b"LD_PRELOAD" not in env:
        return float("inf")
    return start_ms(client, env) - start_ms(client, os.environ)


def main():
    lodge, client = sys.argv[1:]
    names = subprocess.run([client], capture_output=True, text=True,
                           check=True).stdout.split()
    bad = []
    for name in names + ["--cpuid off idle"]:
        *words, case = name.split()
        try:
            run = subprocess.run([lodge, "kvm", *words, "--", client, case],
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
    cost = start_cost(lodge, client)
    print("the start of a program that has no use for KVM: %.1f ms" % cost)
    if cost >= START_MS:
        bad.append("start")
    print("%d cases, failed: %s" % (len(names), " ".join(bad) or "none"))
    return 1 if bad or not names else 0


if __name__ == "__main__":
    sys.exit(main())
