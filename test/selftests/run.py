#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run.py --lodge LODGE [--vendor V] [--wave N] [--report] [PROGRAM]...

Runs the kernel's own tests of KVM (tools/selftests builds them) unmodified
under `lodge kvm`, each in a PID namespace of its own with a time limit, so
that nothing a test leaves behind outlives it, and holds the verdicts against
expected.txt beside this file. Passes and skips are counted apart; a skip has
to name the reason it is expected for. Anything else than what is expected is
reported and fails the run, a pass included.

Without a name all programs run, or those of a wave. --report only prints the verdicts. Exit
status 77: this host allows no PID namespace.
"""
import argparse
import collections
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SKIPPED = 4     # the tests' own exit status
LIMIT = 60      # seconds of a program that expected.txt does not know

Row = collections.namedtuple("Row", "args wave limit verdict reasons")
UNKNOWN = Row([], 0, LIMIT, "unknown", [])


def read_expected(path):
    """program -> Row; see the head of the file."""
    rows = {}
    with open(path, encoding="utf-8") as f:
        for n, line in enumerate(f, 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            fields = [x.strip() for x in line.split(";")]
            if len(fields) < 4 or \
                    fields[3] not in ("pass", "skip", "fail", "host") or \
                    (fields[3] == "pass") != (len(fields) == 4):
                sys.exit("%s:%d: not a row" % (path, n))
            name, *args = shlex.split(fields[0])
            rows[name] = Row(args, int(fields[1]), int(fields[2]), fields[3],
                             fields[4:])
    return rows


def namespace():
    """How to run a command in a PID namespace, or None."""
    base = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    for more in ([], ["--user", "--map-root-user"]):
        try:
            done = subprocess.run(base + more + ["true"],
                                  stderr=subprocess.DEVNULL)
        except OSError:
            return None
        if done.returncode == 0:
            return base + more
    return None


def programs(folder):
    found = []
    for sub in ("", "x86"):
        for name in os.listdir(os.path.join(folder, sub)):
            path = os.path.join(folder, sub, name)
            if os.path.isfile(path) and os.access(path, os.X_OK) and \
                    open(path, "rb").read(4) == b"\x7fELF":
                found.append(os.path.join(sub, name))
    return sorted(found)


def reason_of(text):
    """The line that says why a program did not pass."""
    for pattern in (r"# SKIP -? ?(.*)", r"^(.*skipping test.*)",
                    r"Test Assertion Failure ====\n\s*(.*)",
                    r"(lodge: .*)", r"not ok \d+ (.*)"):
        m = re.search(pattern, text, re.M)
        if m:
            return m[1].strip()
    lines = [x for x in text.splitlines() if x.strip()]
    return lines[-1].strip() if lines else "no output"


def run(command, limit):
    """verdict, output"""
    with tempfile.TemporaryFile() as out:
        proc = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out,
                                stderr=subprocess.STDOUT, cwd="/",
                                start_new_session=True)
        try:
            status = proc.wait(limit)
        except subprocess.TimeoutExpired:
            proc.kill()     # and with it all of the namespace
            proc.wait()
            status = None
        out.seek(0)
        text = out.read().decode(errors="replace")
    if status is None:
        return "hang", text
    if status == 0:
        return "pass", text
    # `lodge kvm` itself may end with the same status.
    if status == SKIPPED and not re.search(r"^lodge: ", text, re.M):
        return "skip", text
    return "fail", text


def is_expected(row, verdict, text):
    if row.verdict == "unknown":
        return verdict in ("pass", "skip")
    named = not row.reasons or any(r in text for r in row.reasons)
    if row.verdict == "host":
        return verdict == "pass" or (verdict == "skip" and named)
    return verdict == row.verdict and named


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--lodge", required=True)
    ap.add_argument("--vendor")
    ap.add_argument("--wave", type=int)
    ap.add_argument("--report", action="store_true")
    ap.add_argument("program", nargs="*")
    opts = ap.parse_args()

    rows = read_expected(os.path.join(HERE, "expected.txt"))
    if opts.wave and not opts.program:
        opts.program = [x for x in rows if rows[x].wave == opts.wave]
    inside = namespace()
    if not inside:
        print("no PID namespaces here")
        return 77
    folder = subprocess.run([os.path.join(ROOT, "tools/selftests")] +
                            opts.program, check=True, text=True,
                            stdout=subprocess.PIPE).stdout.strip()
    lodge = [os.path.abspath(opts.lodge), "kvm"]
    if opts.vendor:
        lodge += ["--vendor", opts.vendor]
    names = opts.program or programs(folder)
    names.sort(key=lambda x: (rows.get(x, UNKNOWN).wave, x))
    count = collections.Counter()
    wrong = 0
    for name in names:
        row = rows.get(name, UNKNOWN)
        start = time.monotonic()
        verdict, text = run(inside + lodge + ["--", os.path.join(folder, name)]
                            + row.args, row.limit)
        count[verdict] += 1
        good = is_expected(row, verdict, text)
        wrong += not good
        print("%-46s %d %-5s%6.1f s  %s%s" % (
            name, row.wave, verdict, time.monotonic() - start,
            "" if verdict == "pass" else reason_of(text),
            "" if good else "  <- expected: %s %s" %
            (row.verdict, ", ".join(row.reasons))), flush=True)
        if not good and verdict in ("fail", "hang"):
            print("\n".join("    | " + x for x in text.splitlines()[-20:]),
                  flush=True)
    for name in sorted(set(rows) - set(names)) if not opts.program else []:
        print("%-46s is no program any more" % name)
    print("%d passed, %d skipped, %d failed, %d hung; %d not as expected" % (
        count["pass"], count["skip"], count["fail"], count["hang"], wrong))
    return 1 if wrong and not opts.report else 0


if __name__ == "__main__":
    sys.exit(main())
