#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cpuid_test.py LODGE CLIENT: a client that asks CPUID, as either vendor and
in each way this host has of answering it; what else tells of the processor
agrees."""
import json
import os
import re
import subprocess
import sys
import tempfile

LODGE, CLIENT = (os.path.abspath(p) for p in sys.argv[1:])
CASES = ["cpuid", "cpuid-bytes", "cpuid-signals", "cpuid-threads",
         "cpuid-guest", "cpuid-exec", "cpuid-late",
         "tool"]
NAMES = {"intel": "GenuineIntel", "amd": "AuthenticAMD"}
problems = []


def run(*words):
    return subprocess.run(words, capture_output=True, text=True, timeout=30)


def check(what, holds):
    if not holds:
        problems.append(what)


def methods():
    known = json.loads(run(LODGE, "doctor", "--json").stdout)
    host = {x["name"]: x["present"] for x in known["host"]}
    have = [way for way, name in (("fault", "cpuid faulting"),
                                  ("patch", "cpuid replacing")) if host[name]]
    check("doctor's method", known["cpuid"] == (have + ["off"])[0])
    return have


def client(vendor, how):
    for case in CASES:
        got = run(LODGE, "kvm", "--vendor", vendor, "--cpuid", how, "--",
                  CLIENT, case)
        check("%s as %s by %s: %r" % (case, vendor, how, got),
              got.returncode == 0 and not got.stdout and not got.stderr)


def cpuinfo(vendor):
    got = run(LODGE, "kvm", "--vendor", vendor, "--", "cat", "/proc/cpuinfo")
    head = dict(re.findall(r"^(\S[^\t\n]*)\t*: ?(.*)$", got.stdout, re.M))
    flags = head["flags"].split()
    check("cpuinfo of %s: %r" % (vendor, head["vendor_id"]),
          head["vendor_id"] == NAMES[vendor])
    check("vmx and svm of %s" % vendor, ("vmx" in flags) ==
          (vendor == "intel") and ("svm" in flags) == (vendor == "amd"))
    check("flags of AMD", vendor == "amd" or not
          {"sse4a", "topoext", "mmxext", "clzero", "vmmcall"} & set(flags))
    with open("/proc/cpuinfo", encoding="ascii") as f:
        own = re.search(r"^flags\t*: (.*)$", f.read(), re.M)[1].split()
    check("flags added for %s" % vendor,
          not set(flags) - set(own) - {"vmx", "svm"})
    count = got.stdout.count("\nflags")
    check("processors", count == os.sysconf("SC_NPROCESSORS_ONLN"))


def trace(folder):
    path = os.path.join(folder, "trace")
    got = run(LODGE, "kvm", "--cpuid", "patch", "--trace", path, "--",
              CLIENT, "cpuid-late")
    check("traced: %r" % got, got.returncode == 0)
    with open(path, encoding="ascii") as f:
        text = f.read()
    # Data beside the functions is left, and so is a constant.
    check("trace of the program: " + text,
          re.search(r" cpuid the program: [1-9]\d* replaced, [1-9]\d* left\n",
                    text))
    check("trace of a library: " + text,
          re.search(r" cpuid \S*shim-late1\.so: 1 replaced, 0 left\n", text))


def switched_off():
    got = run(LODGE, "kvm", "--cpuid", "off", "--", CLIENT, "cpuid-vendor")
    own = run(CLIENT, "cpuid-vendor")
    check("off: %r" % got, got.returncode == 0 and got.stdout == own.stdout)
    other = "amd" if "Intel" in own.stdout else "intel"
    got = run(LODGE, "kvm", "--cpuid", "off", "--vendor", other, "--", CLIENT,
              "cpuid-vendor")
    check("off as %s: %r" % (other, got), got.returncode == 4 and
          "--vendor " + other in got.stderr and not got.stdout)


def main():
    for how in methods():
        for vendor in NAMES:
            client(vendor, how)
    if "patch" in methods():
        for vendor in NAMES:
            cpuinfo(vendor)
        with tempfile.TemporaryDirectory() as folder:
            trace(folder)
    switched_off()
    print("\n".join(problems) or "all is well")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
