# SPDX-License-Identifier: Apache-2.0
"""Firmware, boot loaders and memtest86+, read from the VGA text screen."""
import os
import re
import shutil
import subprocess
import tempfile
import time

from devices import disk_guest, judge_debian, login, power_off
from qemu import Failed, Machine, shell_guest
from state import tail

COLUMNS, ROWS = 80, 25


def screen(m):
    """The text screen's lines, from the memory behind it."""
    path = os.path.join(m.dir, "screen")
    m.qmp.run("pmemsave", val=0xb8000, size=COLUMNS * ROWS * 2,
              filename=path)
    with open(path, "rb") as f:
        cells = f.read()[::2]
    text = cells.decode("cp437").replace("\0", " ")
    return [text[i:i + COLUMNS].rstrip()
            for i in range(0, COLUMNS * ROWS, COLUMNS)]


def wait_screen(m, pattern, seconds):
    deadline = time.monotonic() + seconds
    while True:
        text = "\n".join(screen(m))
        found = re.search(pattern, text)
        if found:
            return found
        if m.proc.poll() is not None:
            raise Failed("QEMU ended with %d" % m.proc.returncode)
        if time.monotonic() > deadline:
            raise Failed("'%s' is not on the screen after %d s:\n%s" %
                         (pattern, seconds, text))
        time.sleep(0.2)


def dump(m):
    """The picture as QEMU draws it: size and pixels."""
    path = os.path.join(m.dir, "picture.ppm")
    m.qmp.run("screendump", filename=path)
    with open(path, "rb") as f:
        kind, size, depth, pixels = f.read().split(b"\n", 3)
    if kind != b"P6" or depth != b"255":
        raise Failed("the dump is not a picture")
    return size, pixels


def type_keys(m, keys):
    for key in keys:
        m.qmp.human("sendkey " + key)
        time.sleep(0.1)


def no_disk(*args):
    return ["-m", "64", "-vga", "std", *args]


def picture(opts, accel):
    """What a kernel draws in text mode, with a hidden cursor."""
    opts.accel, was = accel, opts.accel
    m = Machine(opts, *shell_guest("console=tty0", "console=ttyS0"),
                "-vga", "std", log=opts.log)
    try:
        m.wait_shell(120)
        m.shell("dmesg -n 1; { printf '\\033c\\033[?25l'; for c in 1 2 3 4 5 6"
                " 7; do printf \"\\033[3${c}mcolour $c \\033[4${c};1m bold\\n"
                "\\033[0m\"; done; seq 1 200 | tr '\\n' ' '; } >/dev/tty0")
        time.sleep(1)
        return dump(m)
    except Failed:
        tail(m)
        raise
    finally:
        m.kill()
        opts.accel = was


def vga(opts):
    """The same picture as from QEMU's own translator."""
    ours, theirs = picture(opts, opts.accel), picture(opts, "tcg")
    if ours[0] != theirs[0]:
        raise Failed("size %s, not %s" % (ours[0], theirs[0]))
    if ours[1] != theirs[1]:
        n = sum(a != b for a, b in zip(ours[1], theirs[1]))
        raise Failed("%d of %d bytes differ" % (n, len(ours[1])))
    if len(set(ours[1])) < 4:
        raise Failed("the picture is empty")


def seabios(opts):
    """SeaBIOS up to its last words when there is nothing to boot."""
    m = Machine(opts, *no_disk("-net", "none"), log=opts.log)
    try:
        wait_screen(m, r"SeaBIOS \(version", 30)
        wait_screen(m, r"No bootable device", 60)
    finally:
        m.kill()


def ipxe(opts):
    """iPXE from the network card's ROM, to its command line."""
    m = Machine(opts, *no_disk("-netdev", "user,id=n", "-device",
                               "virtio-net-pci,netdev=n", "-boot", "n"),
                log=opts.log)
    try:
        wait_screen(m, r"iPXE", 60)
        for _ in range(40):
            type_keys(m, ["ctrl-b"])
            if "iPXE>" in "\n".join(screen(m)):
                break
        wait_screen(m, r"iPXE>", 60)
        type_keys(m, list("dhcp") + ["ret"])
        wait_screen(m, r"net0.*ok", 60)
        type_keys(m, list("ifstat") + ["ret"])
        wait_screen(m, r"\[Link:up", 60)
    finally:
        m.kill()


def rescue_image(folder):
    """A disk with a GRUB whose modules are not there."""
    image = os.path.join(folder, "rescue.raw")
    core = os.path.join(folder, "core")
    subprocess.run(["grub-mkimage", "-O", "i386-pc", "-o", core, "-p",
                    "(hd0,msdos1)/missing", "biosdisk", "part_msdos"],
                   check=True)
    with open("/usr/lib/grub/i386-pc/boot.img", "rb") as f:
        data = f.read(440) + bytes(70) + b"\x55\xaa"
    with open(core, "rb") as f:
        data += f.read()
    with open(image, "wb") as f:
        f.write(data + bytes((1 << 20) - len(data)))
    return image


def grub_rescue(opts):
    """GRUB without its modules, down to its rescue prompt."""
    with tempfile.TemporaryDirectory(prefix="lodge-peer-") as folder:
        m = Machine(opts, *no_disk("-net", "none"), "-drive",
                    "format=raw,file=" + rescue_image(folder), log=opts.log)
        try:
            wait_screen(m, r"grub rescue>", 60)
            type_keys(m, ["l", "s", "ret"])
            wait_screen(m, r"\(hd0\)", 30)
        finally:
            m.kill()


MEMTEST_ISO = "/usr/lib/memtest86+/memtest86+x64.iso"


def memtest(opts, seconds=900):
    """memtest86+ from its CD image: one pass over 64 MiB."""
    if not os.path.exists(MEMTEST_ISO):
        raise Failed("needs memtest86+ (run tools/setup slow)")
    m = Machine(opts, *no_disk("-net", "none", "-cdrom", MEMTEST_ISO),
                log=opts.log)
    try:
        wait_screen(m, r"Memtest86\+", 60)
        began = time.monotonic()
        found = wait_screen(m, r"Pass:? +([1-9]).*Errors: *(\d+)|PASS|FAIL",
                            seconds)
        print("  one pass in %.0f s" % (time.monotonic() - began))
        text = "\n".join(screen(m))
        if not re.search(r"Errors: *0\b", text) or found[0] == "FAIL":
            raise Failed("memtest86+ found errors:\n" + text)
    finally:
        m.kill()


OVMF = "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"

# It maps all that can be addressed: 1 GiB of page tables for 48 bits.
OVMF_CPU = "max,host-phys-bits=off,phys-bits=40"


def ovmf(opts, *args):
    """UEFI from flash chips, GRUB for UEFI, Debian; its own variables."""
    if not os.path.exists(OVMF[0]):
        raise Failed("needs ovmf (run tools/setup slow)")
    with tempfile.TemporaryDirectory(prefix="lodge-peer-") as folder:
        variables = shutil.copy(OVMF[1], os.path.join(folder, "vars.fd"))
        m = Machine(
            opts, *disk_guest(*args), "-drive",
            "if=pflash,format=raw,unit=0,readonly=on,file=" + OVMF[0],
            "-drive", "if=pflash,format=raw,unit=1,file=" + variables,
            log=opts.log, cpu=OVMF_CPU)
        try:
            login(m)
            judge_debian(m)
            judge_uefi(m)
            power_off(m)
        except Failed:
            tail(m)
            raise
        finally:
            m.kill()


def judge_uefi(m):
    """Linux has come this way and writes a variable to the flash."""
    m.shell("grep -q efivarfs /proc/mounts || mount -t efivarfs efivarfs"
            " /sys/firmware/efi/efivars")
    name = "/sys/firmware/efi/efivars/LodgeTest-" \
        "5f0d9a3e-6f5b-4c0e-9d6b-2f3c1e6a7b10"
    m.shell("printf '\\007\\000\\000\\000lodge' >" + name)
    if "lodge" not in m.shell("cat " + name):
        raise Failed("a variable is not what was written")


SCENARIOS = {
    "vga": vga,
    "seabios": seabios,
    "ipxe": ipxe,
    "grub-rescue": grub_rescue,
    "memtest": memtest,
    "ovmf": ovmf,
    "ovmf-q35-smp2": lambda opts: ovmf(opts, "-machine", "q35", "-smp", 2),
}
