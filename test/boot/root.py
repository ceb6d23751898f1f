#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs commands by `lodge run --root /`: their words, input, outputs, working
directory, exit status and signals are as if they ran here, and what they
write is gone afterwards. Once as an ordinary user, when we are root.
"""
import argparse
import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile

from boot import ROOT, SKIP, Failed, Skipped, guest_file

WAIT = 180      # seconds, on a busy machine

SCRIPT = """
pwd
wc -c
echo "$1|$2"
echo to stderr >&2
sha256sum data
echo changed >data && cat data
echo new >/lodge-root-test && cat /lodge-root-test
cat /proc/1/mem 2>/dev/null | head -c 0
head -c 3000000 /dev/zero | sha256sum
exit 42
"""


def start(opts, words, **more):
    argv = [opts.lodge, "run", "-accel", "lodge", "--root", "/", "-kernel",
            opts.kernel, "--"] + words
    return subprocess.Popen(argv, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            **more)


def expect(what, got, wanted):
    if got != wanted:
        raise Failed("%s: %r, not %r" % (what, got, wanted))


def test_streams(opts, folder):
    data = os.urandom(2 << 20)
    with open(os.path.join(folder, "data"), "wb") as f:
        f.write(data)
    proc = start(opts, ["sh", "-c", SCRIPT, "sh", "a  b", "c,d'\""],
                 cwd=folder)
    out, err = proc.communicate(b"x" * 1234567, WAIT)
    expect("stderr", err, b"to stderr\n")
    expect("stdout", out.decode(), "\n".join([
        folder, "1234567", "a  b|c,d'\"",
        hashlib.sha256(data).hexdigest() + "  data", "changed", "new",
        hashlib.sha256(bytes(3000000)).hexdigest() + "  -", ""]))
    expect("status", proc.returncode, 42)
    with open(os.path.join(folder, "data"), "rb") as f:
        expect("the host's file", f.read() == data, True)
    expect("a new file", os.path.exists("/lodge-root-test"), False)


def test_signal(opts, folder):
    """Ctrl-C reaches the command, which may have a word to say."""
    proc = start(opts, ["sh", "-c", "trap 'echo caught; exit 9' INT; "
                        "echo ready; while :; do sleep 0.1; done"])
    expect("first line", proc.stdout.readline(), b"ready\n")
    proc.send_signal(signal.SIGINT)
    out, err = proc.communicate(timeout=WAIT)
    expect("after SIGINT", (out, err, proc.returncode), (b"caught\n", b"", 9))


def test_pipe(opts, folder):
    """A reader that leaves ends the writer."""
    proc = start(opts, ["yes"])
    expect("first line", proc.stdout.readline(), b"y\n")
    proc.stdout.close()
    proc.stdin.close()
    expect("status", proc.wait(WAIT), 128 + signal.SIGPIPE)


def test_user(opts, folder):
    """Somebody without any privilege, and a command that is none."""
    more = {"cwd": "/", "env": {"PATH": "/usr/bin:/bin"}}
    if os.getuid() == 0:
        nobody = pwd.getpwnam("nobody")
        more.update(user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[])
    proc = start(opts, ["no-such-command"], **more)
    out, err = proc.communicate(timeout=WAIT)
    expect("stdout", out, b"")
    if b"no-such-command: No such file" not in err:
        raise Failed("stderr: %r" % err)
    expect("status", proc.returncode, 127)


TESTS = {"streams": test_streams, "signal": test_signal, "pipe": test_pipe,
         "user": test_user}


def lend_kernel(folder):
    """A copy of the kernel and its drivers that anybody can read."""
    guest_file("--print-modules", "generic")
    kernel = guest_file("--print-kernel", "generic")
    place = os.path.join(folder, "kernel")
    os.mkdir(place)
    shutil.copy(kernel, place)
    shutil.copytree(os.path.join(os.path.dirname(kernel), "modules"),
                    os.path.join(place, "modules"))
    os.chmod(folder, 0o755)
    return os.path.join(place, os.path.basename(kernel))


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--lodge", default=os.path.join(ROOT, "build", "lodge"))
    ap.add_argument("tests", nargs="*", default=list(TESTS))
    opts = ap.parse_args()
    opts.lodge = os.path.abspath(opts.lodge)
    try:
        with tempfile.TemporaryDirectory() as folder:
            opts.kernel = lend_kernel(folder)
            for name in opts.tests:
                TESTS[name](opts, os.path.realpath(folder))
                print("%s: passed" % name, flush=True)
    except (Failed, subprocess.TimeoutExpired) as e:
        print("failed: %s" % e)
        return 1
    except Skipped as e:
        print("skipped: %s" % e)
        return SKIP
    return 0


if __name__ == "__main__":
    sys.exit(main())
