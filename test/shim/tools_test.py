#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools_test.py LODGE CLIENT: `lodge doctor`, `lodge stat` and `lodge top`."""
import json
import os
import re
import subprocess
import sys

LODGE, CLIENT = sys.argv[1:]
problems = []


def lodge(*words):
    return subprocess.run([LODGE, *words], capture_output=True, text=True,
                          timeout=30)


def check(what, holds):
    if not holds:
        problems.append(what)


def expect(what, words, status, stderr):
    run = lodge(*words)
    check("%s: %r" % (what, run),
          run.returncode == status and re.search(stderr, run.stderr) and
          not run.stdout and run.stderr.count("\n") == 1)


def doctor():
    run = lodge("doctor")
    check("doctor: %r" % run, run.returncode == 0 and not run.stderr)
    check("what doctor says", re.search(r"Lodge's own +works", run.stdout))
    check("static programs", re.search(r"statically linked +no: ",
                                       run.stdout))
    data = json.loads(lodge("doctor", "--json").stdout)
    check("verdict", data["lodge"]["works"] is True and
          data["verdict"] in ("lodge", "kernel"))
    check("verdict of the kernel", data["kernel"]["works"] ==
          (data["verdict"] == "kernel"))
    host = {x["name"]: x for x in data["host"]}
    with open("/proc/cpuinfo", encoding="ascii") as f:
        flags = f.read().split()
    for name in "avx2", "avx512f":
        check(name, host[name]["present"] == (name in flags))
    check("costs", all(x["present"] or x["cost"] for x in data["host"]))
    check("kinds", {x["runs"] for x in data["programs"]} == {True, False})
    expect("doctor --boil", ["doctor", "--boil"], 2, "--boil")


def table(text):
    """Event -> its numbers, of the last table."""
    rows = {}
    for line in text.splitlines():
        word = line.split()
        if len(word) >= 2 and re.fullmatch(r"\d+", word[1]):
            rows[word[0]] = [float(x) for x in word[1:]]
    return rows


def stat():
    with subprocess.Popen([LODGE, "kvm", "--", CLIENT, "hold"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as client:
        check("the client", client.stdout.readline() == "running\n")
        once = lodge("stat", str(client.pid))
        twice = lodge("stat", "-n", "2", "-i", "0.3", str(client.pid))
        every = lodge("stat", "all")
        client.stdin.close()
    check("client's status", client.returncode == 0)
    for run in once, twice, every:
        check("status: %r" % run, run.returncode == 0 and not run.stderr)
    check("head", once.stdout.startswith("VMs 1, vCPUs 1\n"))
    first, second = table(once.stdout), table(twice.stdout)
    check("exits: %s" % once.stdout, first["io_exits"][0] > 0)
    check("growth", second["io_exits"][0] > first["io_exits"][0])
    check("rate: %s" % twice.stdout, second["io_exits"][1] > 100)
    check("all", table(every.stdout)["io_exits"][0] > 0)
    for name in "translations", "tlb_misses", "invalidations":
        check(name, name in first)
    expect("no VM", ["stat", str(os.getpid())], 4, "has no VM")
    expect("no process", ["stat", "2147480000"], 4, "no process")
    expect("what", ["stat"], 2, "process")
    expect("number", ["stat", "-n", "x", "all"], 2, "'?x")
    expect("option", ["stat", "-q", "all"], 2, "-q")


def top_row(text, pid):
    """The cells of a process in the last view, by heading."""
    rows = [line.split() for line in text.splitlines()]
    heads = [row for row in rows if row[:1] == ["PID"]]
    mine = [row for row in rows if row[:1] == [str(pid)]]
    return dict(zip(heads[-1], mine[-1])) if heads and mine else {}


def top():
    with subprocess.Popen([LODGE, "kvm", "--", CLIENT, "hold"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as client:
        check("the client", client.stdout.readline() == "running\n")
        run = lodge("top", "-i", "0.5")
        client.stdin.close()
    after = lodge("top", "-n", "1")
    row = top_row(run.stdout, client.pid)
    check("top: %r" % run, run.returncode == 0 and not run.stderr and row)
    if row:
        check("name: %s" % row, row["NAME"] == os.path.basename(CLIENT))
        check("vCPUs: %s" % row, row["vCPUs"] == "1")
        check("time: %s" % row, float(row["%CPU"]) > 0)
        check("memory: %s" % row, row["MEM"][-1] in "KMG")
        check("exits: %s" % row, row["EXITS"] != "0")
        check("no disk: %s" % row, row["DISKRD"] == row["NETTX"] == "0")
    check("gone: %r" % after, after.returncode == 0 and
          not top_row(after.stdout, client.pid))
    expect("option", ["top", "-x"], 2, "-x")
    expect("words", ["top", "1"], 2, "too many words: 1")
    expect("number", ["top", "-i", "0"], 2, "not a good number: 0")


def main():
    doctor()
    stat()
    top()
    for p in problems:
        print("FAILED", p)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
