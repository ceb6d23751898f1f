#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Boots Linux on named CPUs and compares what it sees with the model.

cpus.py --lodge LODGE [--smp S] MODEL@MACHINE...

In each guest a process asks CPUID on every CPU: it has to be told what
`lodge cpu dump` says. Then what the kernel made of it, the caches and the
siblings in /sys that lscpu and hwloc read, has to be what `lodge cpu show`
derives.
"""
import argparse
import json
import re
import subprocess
import sys

from boot import Failed, Vmm, guest_file

# Bits that follow the guest's control registers: OSXSAVE, OSPKE.
RUNTIME = {("1", "0"): (2, 1 << 27), ("7", "0"): (2, 1 << 4)}
TYPE = {"d": "Data", "i": "Instruction", "": "Unified"}


def lodge(opts, *args):
    run = subprocess.run([opts.lodge, "cpu", *args], capture_output=True,
                         text=True)
    if run.returncode:
        raise Failed(run.stderr.strip())
    return run.stdout


def arguments(opts, model, machine):
    return ["-machine", machine, "-smp", opts.smp, "-accel", "lodge"]


def boot(opts, model, machine, log):
    vmm = Vmm([opts.lodge, "run", "-nographic", "-no-reboot", "-m", "256",
               "-cpu", model, *arguments(opts, model, machine),
               "-kernel", guest_file("--print-kernel", "cloud"),
               "-initrd", guest_file("--print-initrd", "test"), "-append",
               "console=ttyS0 lodge.checks=topology lodge.end=poweroff"], log)
    try:
        status = vmm.finish(opts.timeout)
    finally:
        vmm.kill()
    text = [line for _, line in vmm.lines]
    if status or "lodge: topology passed" not in text:
        raise Failed("\n".join(text[-20:] + ["exit status %d" % status]))
    return text


def masked(key, regs):
    n, bits = RUNTIME.get(key, (0, 0))
    return [r & ~bits if i == n else r for i, r in enumerate(regs)]


def compare_cpuid(text, dump):
    """Every answer of the guest against the dump; how many there were."""
    want = {}
    for line in dump.splitlines():
        cpu, leaf, sub, *regs = line.split()
        want[cpu, leaf, sub] = [int(r, 16) for r in regs]
    seen = 0
    for line in text:
        m = re.fullmatch(r"cpuid (\d+) (\w+) (\w+) (.*)", line)
        if not m or (m[1], m[2], m[3]) not in want:
            continue
        got = masked((m[2], m[3]), [int(r, 16) for r in m[4].split()])
        expected = masked((m[2], m[3]), want[m[1], m[2], m[3]])
        if got != expected:
            raise Failed("CPU %s leaf %s.%s: %s, not %s" % (
                m[1], m[2], m[3], " ".join("%08x" % r for r in got),
                " ".join("%08x" % r for r in expected)))
        seen += 1
    return seen


def cpu_list(text):
    out = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        out |= set(range(int(first), int(last or first) + 1))
    return out


def sharing(ids, cpu, shift):
    return {i for i, a in enumerate(ids) if a >> shift == ids[cpu] >> shift}


def read_sysfs(text):
    files = {}
    for line in text:
        m = re.fullmatch(r"sysfs (\d+) (\S+) (.*)", line)
        if m:
            files[int(m[1]), m[2]] = m[3]
    return files


def kernel_caches(files, cpu):
    """(level, type) -> the files of one cache."""
    out = {}
    for i in range(8):
        entry = {name: files.get((cpu, "cache/index%d/%s" % (i, name)))
                 for name in ("level", "type", "size", "shared_cpu_list",
                              "ways_of_associativity", "number_of_sets",
                              "coherency_line_size")}
        if entry["level"]:
            out[entry["level"], entry["type"]] = entry
    return out


def compare_cache(cache, entry, ids, cpu):
    shift = (cache["sharers"] - 1).bit_length()
    for name, value in (("size", "%dK" % (cache["size"] // 1024)),
                        ("ways_of_associativity", str(cache["ways"])),
                        ("number_of_sets", str(cache["sets"])),
                        ("coherency_line_size", str(cache["line"]))):
        if entry[name] != value:
            raise Failed("CPU %d %s: %s is %s, not %s" % (
                cpu, cache["name"], name, entry[name], value))
    if cpu_list(entry["shared_cpu_list"]) != sharing(ids, cpu, shift):
        raise Failed("CPU %d %s is shared by %s, not %s" % (
            cpu, cache["name"], entry["shared_cpu_list"],
            sorted(sharing(ids, cpu, shift))))


def compare_sysfs(text, show):
    files = read_sysfs(text)
    ids = [c["apic-id"] for c in show["cpus"]]
    seen = 0
    for cpu in range(len(ids)):
        entries = kernel_caches(files, cpu)
        for cache in show["caches"]:
            key = cache["name"][1], TYPE[cache["name"][2:]]
            if key not in entries:
                raise Failed("CPU %d has no %s in /sys" % (cpu, cache["name"]))
            compare_cache(cache, entries[key], ids, cpu)
            seen += 1
        siblings = files[cpu, "topology/core_cpus_list"]
        cores = show["threads"] // show["cores"]
        if len(cpu_list(siblings)) != cores:
            raise Failed("CPU %d has siblings %s" % (cpu, siblings))
        package = cpu_list(files[cpu, "topology/package_cpus_list"])
        if len(package) != show["threads"] // show["sockets"]:
            raise Failed("CPU %d's package: %s" % (cpu, sorted(package)))
    return seen


def run(opts, spec, log):
    model, machine = spec.split("@")
    args = arguments(opts, model, machine)
    text = boot(opts, model, machine, log)
    answers = compare_cpuid(text, lodge(opts, "dump", "-cpu", model, *args))
    caches = compare_sysfs(text, json.loads(
        lodge(opts, "show", "--json", model, *args)))
    if answers < 100 or not caches:
        raise Failed("the guest said too little")
    print("%s: %d answers, %d caches the same" % (spec, answers, caches))


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--lodge", required=True)
    ap.add_argument("--smp", default="8,sockets=1,dies=2,cores=2,threads=2")
    ap.add_argument("--timeout", type=float, default=60)
    ap.add_argument("spec", nargs="+")
    opts = ap.parse_args()
    bad = 0
    for spec in opts.spec:
        try:
            run(opts, spec, None)
        except Failed as why:
            print("%s: FAILED: %s" % (spec, why))
            bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
