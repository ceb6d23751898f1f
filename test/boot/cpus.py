#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Boots Linux on named CPUs and compares what it sees with the model.

cpus.py --lodge LODGE [--smp S] MODEL@MACHINE...

In each guest a process asks CPUID on every CPU: it has to be told what
`lodge cpu dump` says. Then what the kernel made of it, the caches and the
siblings in /sys that lscpu and hwloc read, has to be what `lodge cpu show`
derives. Where lscpu, hwloc's lstopo and cpuid are installed here, they run
in the guest, too, and have to say the same.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

from boot import Failed, Vmm, guest_file, script_options

# Bits that follow the guest's control registers: OSXSAVE, OSPKE.
RUNTIME = {("1", "0"): (2, 1 << 27), ("7", "0"): (2, 1 << 4)}
TYPE = {"d": "Data", "i": "Instruction", "": "Unified"}


TOOLS = ["lscpu", "lstopo-no-graphics", "cpuid"]
INIT = """#!/bin/sh
export PATH=/bin:/usr/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
check topology && echo 'lodge: topology passed'
for tool in 'lscpu' 'lstopo-no-graphics --of console' 'cpuid -r'; do
	[ -x "/usr/bin/${tool%% *}" ] && echo "== $tool" && $tool
done
poweroff -f
"""


def libraries(program):
    out = subprocess.run(["ldd", program], capture_output=True,
                         text=True).stdout
    return re.findall(r"(/\S+) \(0x", out)


def pack(folder):
    """An initramfs to stand behind the test's own: tools and an /init."""
    found = [shutil.which(t) for t in TOOLS if shutil.which(t)]
    files = {"/usr/bin/" + os.path.basename(t): t for t in found}
    for tool in found:
        files.update({lib: lib for lib in libraries(tool)})
    root = os.path.join(folder, "root")
    for name, source in files.items():
        os.makedirs(root + os.path.dirname(name), exist_ok=True)
        shutil.copy(source, root + name)
    os.makedirs(root, exist_ok=True)
    with open(root + "/init", "w", encoding="ascii") as f:
        f.write(INIT)
    os.chmod(root + "/init", 0o755)
    base = guest_file("--print-initrd", "test")
    path = os.path.join(folder, "initrd")
    shutil.copy(base, path)
    with open(path, "ab") as f:
        f.write(b"\0" * (-os.path.getsize(path) % 4))
        f.flush()
        subprocess.run("find . | cpio -o -H newc --quiet | gzip -1", cwd=root,
                       shell=True, stdout=f, check=True)
    return path, [os.path.basename(t) for t in found]


def lodge(opts, *args):
    run = subprocess.run([opts.lodge, "cpu", *args], capture_output=True,
                         text=True)
    if run.returncode:
        raise Failed(run.stderr.strip())
    return run.stdout


def arguments(opts, model, machine):
    return ["-machine", machine, "-smp", opts.smp, "-accel", "lodge"]


def boot(opts, model, machine):
    argv = [opts.lodge, "run", "-nographic", "-no-reboot", "-m", "256",
            "-cpu", model, *arguments(opts, model, machine),
            "-kernel", guest_file("--print-kernel", "cloud"),
            "-initrd", opts.initrd, "-append", "console=ttyS0"]
    with Vmm(argv, None) as vmm:
        status = vmm.finish(opts.timeout)
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


def section(text, tool):
    """What one tool printed."""
    out, inside = [], False
    for line in text:
        if line.startswith("== "):
            inside = line.split()[1] == tool
        elif inside:
            out.append(line)
    return out


def expect(what, got, want):
    if got != want:
        raise Failed("%s: %s, not %s" % (what, got, want))


def groups(show, shift):
    return len({c["apic-id"] >> shift for c in show["cpus"]})


def instances(show, cache):
    return groups(show, (cache["sharers"] - 1).bit_length())


def kib(text):
    m = re.fullmatch(r"([\d.]+) ?(K|M)i?B", text)
    return int(float(m[1]) * {"K": 1, "M": 1024}[m[2]])


def compare_lscpu(lines, show):
    said = {}
    for line in lines:
        name, _, value = line.partition(":")
        said[name.strip()] = value.strip()
    expect("lscpu", [said.get(k) for k in (
        "CPU(s)", "Thread(s) per core", "Socket(s)", "CPU family", "Model",
        "Stepping", "Vendor ID")], [str(x) for x in (
            show["threads"], show["threads"] // show["cores"],
            show["sockets"], show["family"], show["model"],
            show["stepping"], show["vendor"].strip())])
    for cache in show["caches"]:
        # "L1d cache" where no terminal makes it short
        line = said.get(cache["name"]) or said.get(cache["name"] + " cache")
        m = re.match(r"([\d.]+ [KM]iB) \((\d+) instance", line or "")
        if not m:
            raise Failed("lscpu has no " + cache["name"])
        n = instances(show, cache)
        expect("lscpu " + cache["name"], (kib(m[1]), int(m[2])),
               (cache["size"] // 1024 * n, n))


def compare_lstopo(lines, show):
    text = "\n".join(lines)
    expect("lstopo", [len(re.findall(w + r" L#\d", text))
                      for w in ("Package", "Core", "PU")],
           [show["sockets"], show["cores"], show["threads"]])
    for cache in show["caches"]:
        if cache["name"] == "L1i":
            continue        # not in its picture
        found = re.findall(cache["name"] + r" L#\d+ \((\w+)\)", text)
        expect("lstopo " + cache["name"], [kib(f) for f in found],
               [cache["size"] // 1024] * instances(show, cache))


def compare_tools(text, show, dump, tools):
    lines = section(text, "cpuid")
    cpu, rows = "0", []
    for line in lines:
        m = re.match(r"CPU (\d+):", line)
        if m:
            cpu = m[1]
        m = re.match(r"\s*0x(\w+) 0x(\w+): eax=0x(\w+) ebx=0x(\w+) "
                     r"ecx=0x(\w+) edx=0x(\w+)", line)
        # leaf 0xd follows XCR0
        if m and int(m[1], 16) != 0xd:
            rows.append("cpuid %s %x %x %s %s %s %s" % (
                cpu, int(m[1], 16), int(m[2], 16), *m.groups()[2:]))
    if "cpuid" in tools and compare_cpuid(rows, dump) < 100:
        raise Failed("cpuid said too little")
    if "lscpu" in tools:
        compare_lscpu(section(text, "lscpu"), show)
    if "lstopo-no-graphics" in tools:
        compare_lstopo(section(text, "lstopo-no-graphics"), show)


def run(opts, spec, tools):
    model, machine = spec.split("@")
    args = arguments(opts, model, machine)
    text = boot(opts, model, machine)
    dump = lodge(opts, "dump", "-cpu", model, *args)
    show = json.loads(lodge(opts, "show", "--json", model, *args))
    answers = compare_cpuid(text, dump)
    caches = compare_sysfs(text, show)
    if answers < 100 or not caches:
        raise Failed("the guest said too little")
    compare_tools(text, show, dump, tools)
    print("%s: %d answers, %d caches the same; %s agree" % (
        spec, answers, caches, ", ".join(tools) or "no tools to"))


def main():
    ap = script_options(__doc__)
    ap.add_argument("--smp", default="8,sockets=1,dies=2,cores=2,threads=2")
    ap.add_argument("--timeout", type=float, default=60)
    ap.add_argument("spec", nargs="+")
    opts = ap.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        opts.initrd, tools = pack(folder)
        for spec in opts.spec:
            try:
                run(opts, spec, tools)
            except Failed as why:
                print("%s: FAILED: %s" % (spec, why))
                bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
