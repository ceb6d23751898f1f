# SPDX-License-Identifier: Apache-2.0
"""The whole state of a machine: saved, loaded, migrated, reset."""
import os
import subprocess
import time

from boot import COMPLAINTS
from qemu import Failed, Machine, Skipped, guest_file, \
    shell_guest

COUNTER = "echo 0 >/tmp/n; (while :; do n=$((n+1)); echo $n >/tmp/new; " \
    "mv /tmp/new /tmp/n; usleep 2000; done) & "


def count(m):
    return int(m.shell("cat /tmp/n"))


def judge_counting(m, before):
    """The guest's program and clocks go on from where they were."""
    first = count(m)
    began = float(m.shell("cut -d' ' -f1 /proc/uptime"))
    time.sleep(1)
    second = count(m)
    passed = float(m.shell("cut -d' ' -f1 /proc/uptime")) - began
    if not before <= first < second:
        raise Failed("the counter says %d, %d, %d" % (before, first, second))
    if not 0.9 < passed < 5:
        raise Failed("a second took the guest %.2f s" % passed)


def judge_quiet(m):
    for line in m.shell("dmesg").splitlines():
        if COMPLAINTS.search(line) and "TSCs unsynchronized" not in line:
            raise Failed("the kernel says: " + line)


def new_image(folder):
    path = os.path.join(folder, "state.qcow2")
    try:
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path,
                        "1G"], check=True)
    except FileNotFoundError:
        raise Failed("needs qemu-img (run tools/setup slow)") from None
    return path


def attach(m, path):
    """A disk nobody uses, for the machine's own state."""
    m.qmp.run("blockdev-add", driver="qcow2", node_name="state",
              file={"driver": "file", "filename": path})


def savevm(opts, *args):
    m = Machine(opts, *shell_guest(), *args, log=opts.log)
    try:
        attach(m, new_image(m.dir))
        m.wait_shell()
        m.shell(COUNTER + "echo before >/tmp/word")
        for turn in range(3):
            saved = count(m)
            m.qmp.human("savevm point")
            if "point" not in m.qmp.human("info snapshots"):
                raise Failed("no snapshot was made")
            m.shell("echo after >/tmp/word")
            time.sleep(0.5)
            left = count(m)
            error = m.qmp.human("loadvm point")
            if error:
                raise Failed("loadvm: " + error)
            if m.shell("cat /tmp/word") != "before":
                raise Failed("memory is not what was saved")
            if not saved <= count(m) < left + 100:
                raise Failed("the counter is not what was saved")
            judge_counting(m, saved)
        judge_quiet(m)
    except Failed:
        tail(m)
        raise
    finally:
        m.kill()


def tail(*machines):
    for m in machines:
        for at, text in m.lines[-25:]:
            print("  %7.2f  %s" % (at, text))
        print("           " + m.partial.decode(errors="replace"))


def migrate(source, target, path):
    """Over a socket, while the guest runs; returns the pause in ms."""
    source.qmp.run("migrate", uri="unix:" + path)
    deadline = time.monotonic() + 120
    while True:
        info = source.qmp.run("query-migrate")
        if info.get("status") == "completed":
            return info["downtime"]
        if info.get("status") in ("failed", "cancelled"):
            raise Failed("migration: %s" % info)
        if time.monotonic() > deadline:
            raise Failed("migration takes longer than 120 s: %s" % info)
        if target.proc.poll() is not None:
            raise Failed("the target ended")
        time.sleep(0.1)


def migration(opts, *args, times=2):
    guest = shell_guest() + list(args)
    m = Machine(opts, *guest, log=opts.log)
    made = [m]
    try:
        m.wait_shell()
        m.shell(COUNTER + "true")
        for turn in range(times):
            path = os.path.join(made[0].dir, "migration-%d" % turn)
            target = Machine(opts, *guest, "-incoming", "unix:" + path,
                             log=opts.log, dir=made[0].dir)
            made.append(target)
            target.typed = m.typed
            before = count(m)
            pause = migrate(m, target, path)
            m.qmp.run("quit")
            m, last = target, m
            last.proc.wait(30)
            judge_counting(m, before)
            print("  migrated, pause %d ms" % pause)
        judge_quiet(m)
    except Failed:
        tail(*made)
        raise
    finally:
        for m in reversed(made):
            m.kill()


def ended(m):
    """The guest has done its work and switched off."""
    if m.proc.poll() is None:
        return False
    m.finish(30)
    return any("lodge: done" in text for _, text in m.lines)


def migration_load(opts, *args):
    """Migrated in the middle of the boot tests' checks: three times, if a
    busy machine does not make migration last longer than the checks."""
    checks = "storm,signal,ptrace,fpu,clock,dd,storm,fpu,signal,storm,fpu," \
        "signal,storm,fpu"
    guest = ["-m", "512", "-kernel", guest_file("--print-kernel", "cloud"),
             "-initrd", guest_file("--print-initrd", "test"), "-append",
             "console=ttyS0 lodge.checks=" + checks, *args]
    m = Machine(opts, *guest, log=opts.log)
    made = [m]
    try:
        m.wait_for("lodge: init", 60)
        lines = []
        for turn in range(3):
            time.sleep(0.7)
            path = os.path.join(made[0].dir, "migration-%d" % turn)
            target = Machine(opts, *guest, "-incoming", "unix:" + path,
                             log=opts.log, dir=made[0].dir)
            made.append(target)
            try:
                migrate(m, target, path)
                m.qmp.run("quit")
            except Failed:
                if turn and ended(m):
                    break
                raise
            m.finish(30)
            lines += m.lines
            if m.partial:
                # The line goes on at the target.
                target.partial = m.partial + target.partial
            m = target
        m.finish(120)
        text = [line for _, line in lines + m.lines]
        for line in text:
            if COMPLAINTS.search(line) and "TSCs unsync" not in line:
                raise Failed("the kernel says: " + line)
        passed = sum(" passed" in line and "lodge: " in line
                     for line in text)
        if passed != len(checks.split(",")):
            raise Failed("%d checks passed" % passed)
        if not any("lodge: done" in line for line in text):
            raise Failed("init did not come to its end")
    except Failed:
        tail(*made)
        raise
    finally:
        for m in reversed(made):
            m.kill()


def loop(opts, times, again, *args):
    m = Machine(opts, *shell_guest(), *args, log=opts.log)
    try:
        for turn in range(times):
            m.wait_shell()
            judge_quiet(m)
            if float(m.shell("cut -d' ' -f1 /proc/uptime")) > 60:
                raise Failed("the guest was not started anew")
            m.forget()
            again(m)
        m.wait_shell()
    except Failed:
        tail(m)
        raise
    finally:
        m.kill()


def reset(opts):
    for smp, times in ((1, 3), (2, 3)):
        loop(opts, times, lambda m: m.qmp.run("system_reset"), "-smp", smp)


def reboot(opts):
    for smp, times in ((1, 3), (2, 3)):
        loop(opts, times, lambda m: m.type("reboot -f\n"), "-smp", smp)


def reset_boot(opts):
    """Resets that hit the firmware and the kernel's start, not its shell."""
    m = Machine(opts, *shell_guest(), "-smp", 2, log=opts.log)
    try:
        for turn in range(40):
            time.sleep(0.03 * turn)
            m.qmp.run("system_reset")
        m.forget()
        m.wait_shell()
        judge_quiet(m)
    except Failed:
        tail(m)
        raise
    finally:
        m.kill()


SCENARIOS = {
    "savevm": lambda opts: savevm(opts, "-smp", 2),
    "savevm-split": lambda opts: savevm(
        opts, "-smp", 2, "-machine", "q35,kernel-irqchip=split"),
    "migration": lambda opts: migration(opts, "-smp", 2),
    "migration-q35-split": lambda opts: migration(
        opts, "-machine", "q35,kernel-irqchip=split"),
    "migration-load": lambda opts: migration_load(opts, "-smp", 2),
    "reset": reset,
    "reset-boot": reset_boot,
    "reboot": reboot,
}
