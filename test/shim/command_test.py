#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""command_test.py LODGE CLIENT STATIC: the command line of `lodge kvm`: which
programs it takes, what it says of the others, what a trace holds."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

LODGE, CLIENT, STATIC = (os.path.abspath(p) for p in sys.argv[1:])
problems = []


def kvm(*words, **more):
    return subprocess.run([LODGE, "kvm", *words], capture_output=True,
                          text=True, timeout=30, **more)


def expect(what, run, status, stderr):
    """One line on stderr that says so, nothing on stdout."""
    if run.returncode != status or not re.search(stderr, run.stderr) or \
            run.stdout or run.stderr.count("\n") != 1:
        problems.append("%s: %d, %r, %r" % (what, run.returncode, run.stdout,
                                            run.stderr))


def check(what, holds):
    if not holds:
        problems.append(what)


def refusals(folder):
    expect("static", kvm("--", STATIC), 4, "is linked statically")
    expect("no program", kvm(), 2, "no program is given")
    expect("unknown option", kvm("--boil", "true"), 2, "--boil")
    expect("vendor", kvm("--vendor", "via", "true"), 2, "via")
    expect("value", kvm("--trace"), 2, "value is missing")
    expect("not found", kvm("--", "no-such-program"), 4, "not in PATH")
    expect("no file", kvm("--", "/no/such"), 4, "/no/such: No such file")
    expect("folder", kvm("--", folder), 4, "is not a program")
    expect("trace", kvm("--trace", folder + "/a/b", "true"), 4, "a/b")
    text = os.path.join(folder, "text")
    with open(text, "w", encoding="ascii") as f:
        f.write("#!" + STATIC + "\n")
    os.chmod(text, 0o755)
    expect("static script", kvm("--", text), 4, "is linked statically")
    with open(text, "w", encoding="ascii") as f:
        f.write("hello\n")
    expect("text", kvm("--", text), 4, "is not a program")
    if os.getuid() == 0:
        copy = shutil.copy(CLIENT, os.path.join(folder, "setuid"))
        os.chown(copy, 65534, 65534)
        os.chmod(copy, 0o4755)
        expect("setuid", kvm("--", copy), 4, "setuid")


def programs(folder):
    """Status, signals and streams are the program's own."""
    run = kvm("--", "sh", "-c", "cat; echo no >&2; exit 3", input="yes")
    check("a program's streams and status",
          (run.returncode, run.stdout, run.stderr) == (3, "yes", "no\n"))
    script = os.path.join(folder, "script")
    with open(script, "w", encoding="ascii") as f:
        f.write("#!/bin/sh\ntest -w /dev/kvm && \"$1\" dup\n")
    os.chmod(script, 0o755)
    run = kvm("--", script, CLIENT)
    check("a script: %r" % run, run.returncode == 0)
    run = kvm("--", "sh", "-c", "kill -TERM $$")
    check("a signal", run.returncode == -15)
    run = kvm("--", "ls", "-l", "/dev/kvm")
    check("ls: %r" % run, run.stdout.startswith("crw-rw-rw-") and
          "10, 232" in run.stdout and not run.stderr)
    run = kvm("--", "grep", "-cE", "^flags.* (vmx|svm)( |$)", "/proc/cpuinfo")
    check("flags: %r" % run, run.stdout == "%d\n" % os.cpu_count())
    run = kvm("--", "cat", "/sys/module/kvm/parameters/tdp_mmu")
    check("a parameter: %r" % run, run.stdout in ("Y\n", "N\n"))


def vendors():
    for vendor, other in ("intel", "amd"), ("amd", "intel"):
        run = kvm("--vendor", vendor, "--", "cat",
                  "/sys/module/kvm_%s/parameters/%s" %
                  (vendor, {"intel": "ept", "amd": "npt"}[vendor]))
        check("module of %s" % vendor,
              run.returncode == 0 and run.stdout == "N\n")
        run = kvm("--vendor", vendor, "--", "ls",
                  "/sys/module/kvm_" + other)
        check("no module of %s" % other, run.returncode and not run.stdout)
    expect("how CPUID is answered", kvm("--cpuid", "guess", "true"), 2,
           "guess")


def trace(folder):
    path = os.path.join(folder, "trace")
    run = kvm("--trace", path, "--", CLIENT, "fork")
    check("a traced program: %r" % run, run.returncode == 0)
    with open(path, encoding="ascii") as f:
        lines = f.read().splitlines()
    form = re.compile(r"\d+\.\d{6} (\d+) (kvm|vm|vcpu):\d+ \w+ .*"
                      r"= (-E[A-Z]+|\d+).* <\d+\.\d{6}>$")
    for line in lines:
        if not form.match(line) and " cpuid the program: " not in line:
            problems.append("a line of the trace: " + line)
    check("threads of a trace", len({x.split()[1] for x in lines}) == 5)
    text = "\n".join(lines)
    for part in (r"kvm:\d+ GET_API_VERSION 0 = 12 <",
                 r"vm:\d+ SET_USER_MEMORY_REGION \{slot=0 flags=0 gpa=0 "
                 r"size=0x10000 hva=0x[0-9a-f]+\} = 0 <",
                 r"vcpu:\d+ RUN 0 = 0 IO out port=0x10 size=1 count=1 <",
                 r"vm:\d+ CREATE_VCPU 0x1 = -EIO <"):
        check("no %s in the trace" % part, re.search(part, text))


def main():
    with tempfile.TemporaryDirectory() as folder:
        refusals(folder)
        programs(folder)
        vendors()
        trace(folder)
    for p in problems:
        print("FAILED", p)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
