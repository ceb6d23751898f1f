#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `lodge test` promises, on a monitor that is a script here.

The script does what its kernel's name says: exits with a status, hangs,
dies, ignores signals, leaves children behind. What comes out is read by
parsers that are not ours: Python's json and xml, and a reader of TAP below.
"""
import json
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree as ElementTree

LODGE = os.path.abspath(sys.argv.pop(1) if len(sys.argv) > 1 else "lodge")

MONITOR = r"""#!/bin/sh
# A monitor for QEMU's options and for kvmtool's.
while [ $# -gt 0 ]; do
	case $1 in
	-kernel | --kernel) kernel=${2##*/} ;;
	-append | --params) append=$2 ;;
	esac
	shift
done
[ -z "$append" ] || echo "args <$append>"
say() {
	echo "SUMMARY: $1"
}
case $kernel in
pass*) say "1 tests"; echo "EXIT: STATUS=1"; exit ${QSTATUS-1} ;;
fail*) say "1 tests, 1 failed"; echo "EXIT: STATUS=3"; exit ${QSTATUS-3} ;;
skip*) echo "EXIT: STATUS=155"; exit ${QSTATUS-155} ;;
abort*) echo "EXIT: STATUS=255"; exit ${QSTATUS-255} ;;
off*) exit 0 ;;
bytes*) printf 'SUMMARY: \377\033<&">\001 \303\251\n'; exit 3 ;;
broken*) echo "monitor: -cpu x: no such thing" >&2; exit 1 ;;
segv*) kill -SEGV $$ ;;
away*) setsid sh -c 'echo $$ >>"$PIDS"; exec sleep 1000' & sleep 1000 ;;
long*) yes "$(head -c 100000 /dev/zero | tr '\0' x)" | head -c 3000000
	printf '\nSUMMARY: %s\n' "$(head -c 5000 /dev/zero | tr '\0' y)"
	exit 3 ;;
hang*) sleep 1000 & echo $! >>"$PIDS"; echo $$ >>"$PIDS"; wait ;;
deaf*) trap '' TERM INT; echo $$ >>"$PIDS"
	while :; do sleep 0.2; done ;;
flaky*) [ -e "$STATE" ] && exit 1; : >"$STATE"; exit 3 ;;
count*) echo x >>"$STATE"; exit 1 ;;
# one monitor passes what the other fails
odd*) [ -n "$ODD" ] && exit 1; exit 3 ;;
esac
exit 9
"""


def section(name, **keys):
    keys.setdefault("file", name + ".flat")
    return "[%s]\n%s\n" % (name, "".join(
        "%s = %s\n" % item for item in keys.items()))


def read_tap(text):
    """[(ok, number, name, directive)] of TAP version 13; raises if not."""
    lines = text.splitlines()
    assert lines[0] == "TAP version 13", lines[0]
    plan = re.fullmatch(r"1\.\.(\d+)", lines[1])
    rows = []
    for line in lines[2:]:
        if line.startswith("#"):
            continue
        m = re.fullmatch(r"(not )?ok (\d+) - ((?:[^#\\]|\\.)*)"
                         r"(?:# (.*))?", line)
        assert m, line
        rows.append((not m[1], int(m[2]), m[3].strip(), m[4]))
    assert [row[1] for row in rows] == list(range(1, int(plan[1]) + 1))
    return rows


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


class Runner(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = self.folder.name
        monitor = self.write("monitor", MONITOR)
        os.chmod(monitor, 0o755)
        kvmtool = self.write("kvmtool", "#!/bin/sh\nexport QSTATUS=0 ODD=1\n"
                             "exec %s \"$@\"\n" % monitor)
        os.chmod(kvmtool, 0o755)
        self.env = dict(os.environ, QEMU=monitor, KVMTOOL=kvmtool,
                        PIDS=self.at("pids"), STATE=self.at("state"))

    def tearDown(self):
        self.folder.cleanup()

    def at(self, name):
        return os.path.join(self.path, name)

    def write(self, name, text):
        with open(self.at(name), "w", encoding="utf-8") as f:
            f.write(text)
        return self.at(name)

    def read(self, name):
        with open(self.at(name), encoding="utf-8") as f:
            return f.read()

    def argv(self, *args, vmm="qemu:tcg"):
        vmms = [x for name in vmm.split() for x in ("--vmm", name)]
        return [LODGE, "test", "--logs", self.at("logs"), *vmms,
                self.at("unittests.cfg"), *args]

    def suite(self, *args, cfg=None, vmm="qemu:tcg", status=None):
        """Runs it; what was printed, once the status is as wanted."""
        if cfg is not None:
            self.write("unittests.cfg", cfg)
        done = subprocess.run(self.argv(*args, vmm=vmm), env=self.env,
                              capture_output=True, text=True,
                              errors="replace", timeout=60)
        if status is not None:
            self.assertEqual(done.returncode, status,
                             done.stdout + done.stderr)
        return done

    def results(self, *args, **more):
        self.suite("--json=" + self.at("json"), *args, **more)
        rows = json.loads(self.read("json"))
        return {(row["test"], row["target"]): row for row in rows}

    def pids(self, count):
        """The processes that have started, once there are so many."""
        for _ in range(200):
            if os.path.exists(self.at("pids")):
                found = [int(x) for x in self.read("pids").split()]
                if len(found) >= count:
                    return found
            time.sleep(0.05)
        self.fail("the monitors did not start")

    def assert_gone(self, pids):
        for _ in range(60):
            left = [pid for pid in pids if alive(pid)]
            if not left:
                return
            time.sleep(0.05)
        self.fail("still running: %s" % left)

    # ---- verdicts ----

    def test_verdicts(self):
        want = {"pass": "pass", "fail": "fail", "skip": "skip",
                "abort": "abort", "off": "fail", "broken": "fail",
                "segv": "signal", "hang": "timeout"}
        cfg = "".join(section(n, timeout=1) for n in want)
        rows = self.results(cfg=cfg, status=1)
        got = {test: row["verdict"] for (test, _), row in rows.items()}
        self.assertEqual(got, want)
        reason = {test: row["reason"] for (test, _), row in rows.items()}
        self.assertEqual(reason["fail"], "1 tests, 1 failed")
        self.assertIn("no such thing", reason["broken"])
        self.assertEqual(reason["segv"], "SIGSEGV")
        self.assert_gone(self.pids(2))

    def test_kvmtool_rule(self):
        cfg = "".join(section(n) for n in ("pass", "fail", "skip", "abort",
                                           "off"))
        rows = self.results(cfg=cfg, vmm="kvmtool:kvm", status=1)
        self.assertEqual([row["verdict"] for row in rows.values()],
                         ["pass", "fail", "skip", "abort", "fail"])

    def test_exit_status(self):
        self.suite(cfg=section("pass") + section("skip"), status=0)
        self.suite(cfg=section("skip"), status=0)
        self.suite(cfg=section("pass") + section("fail"), status=1)
        done = self.suite("no-such-test", "pass*", "-g", "none",
                          cfg=section("pass"), status=1)
        self.assertEqual(done.stderr.splitlines(), [
            "lodge test: no test is called 'no-such-test'",
            "lodge test: no test is in group 'none'"])
        self.assertEqual(done.stdout.splitlines()[-1],
                         "0 passed, 0 failed, 0 skipped")
        self.suite("--frobnicate", status=2)
        self.suite(vmm="qemo", status=2)
        os.unlink(self.at("unittests.cfg"))
        self.suite(status=4)

    def one_line(self, *args, status=2, **more):
        """The line it ends with, having run nothing."""
        done = self.suite(*args, status=status, **more)
        self.assertEqual(done.stdout, "")
        lines = done.stderr.splitlines()
        self.assertEqual(len(lines), 1, lines)
        self.assertTrue(lines[0].startswith("lodge test: "), lines)
        return lines[0]

    def test_missing_program(self):
        self.write("unittests.cfg", section("pass"))
        self.env["QEMU"] = self.at("nothing")
        line = self.one_line(status=4)
        self.assertIn("qemu:tcg: there is no " + self.at("nothing"), line)
        self.env["QEMU"] = "no-such-qemu"
        self.assertIn("no-such-qemu", self.one_line(status=4))
        self.names()

    def test_bad_options(self):
        self.write("unittests.cfg", section("pass"))
        for args, part in (
                (["--frobnicate"], "'--frobnicate' is unknown"),
                (["-x"], "'-x' is unknown"),
                (["-xj2"], "'-x' is unknown"),
                (["--t"], "'--t' is unknown or may be several"),
                (["--all=1"], "--all takes no value"),
                (["-j"], "--jobs lacks its value"),
                (["--shard"], "--shard lacks its value"),
                (["-j", "0"], "--jobs '0': a number from 1 to 4096"),
                (["-j", "2x"], "--jobs '2x': a number from 1"),
                (["--retries", "-1"], "--retries '-1': a number from 0"),
                (["--timeout", "soon"], "--timeout 'soon': 90, 90s"),
                (["--arch", "arm"], "--arch 'arm': x86_64 or i386"),
                (["--vmm", "qemu"], "qemu:tcg is there twice"),
                (["--vmm", "lodge", "--accel", "tcg"], "'lodge:tcg'"),
                (["--list", "--tap", "x"], "--list has no results: no --tap"),
                (["--merge", "--shard", "1/2"],
                 "--merge runs nothing: no --shard")):
            with self.subTest(args):
                self.assertIn(part, self.one_line(*args))
        for shard in ("0/2", "3/2", "1", "x/2", "1/0", "-1/2", "1/", "/2",
                      "4294967297/2", " 1/2", "1/2/3"):
            with self.subTest(shard):
                self.one_line("--shard", shard)

    def test_bad_places(self):
        self.write("unittests.cfg", section("count"))
        nowhere = self.at("no/such/x")
        for args in (["--json=" + nowhere], ["--tap", nowhere],
                     ["--junit", nowhere], ["--dir", nowhere],
                     ["--env", nowhere], ["--known", nowhere]):
            with self.subTest(args):
                self.assertIn("no/such/x: No such file",
                              self.one_line(*args, status=4))
        self.assertFalse(os.path.exists(self.at("state")))

    def test_environment(self):
        self.write("unittests.cfg", "[pass]\nfile = pass.flat\n"
                   "test_args = $MAX_SMP $ACCEL $MACHINE\n"
                   "check = /proc/sys/kernel/ostype=Other\n")
        self.env.update(MAX_SMP="3", MACHINE="q35", TIMEOUT="7m",
                        CHECK="/proc/sys/kernel/ostype=Linux")
        self.suite(status=0)
        log = self.read("logs/pass.qemu-tcg.log")
        self.assertIn("args <3 tcg q35>", log)
        self.assertIn(" -machine q35 ", log)
        listed = json.loads(self.suite("--list", "--json").stdout)
        self.assertEqual(listed[0]["timeout"], "420")
        self.env["ACCEL"] = "kvm"
        self.suite(vmm="qemu", status=0)
        self.assertIn("args <3 kvm q35>", self.read("logs/pass.qemu-kvm.log"))
        self.env["TIMEOUT"] = "never"
        self.assertIn("$TIMEOUT 'never': 90, 90s", self.one_line())

    def test_summary_is_last(self):
        cfg = "".join(section(n) for n in ("pass", "fail", "skip"))
        out = self.suite(cfg=cfg, status=1).stdout.splitlines()
        self.assertEqual(out[-1], "1 passed, 1 failed, 1 skipped")

    # ---- time and signals ----

    def test_deaf_child(self):
        start = time.monotonic()
        self.suite("--timeout", "1", cfg=section("deaf"), status=1)
        self.assertLess(time.monotonic() - start, 20)
        self.assert_gone(self.pids(1))

    def test_own_timeout_counts(self):
        cfg = section("hang", timeout="500ms") + section("hang2", timeout=1)
        done = self.suite("--timeout", "100", cfg=cfg.replace("500ms", "1s"))
        self.assertIn("0 passed, 2 failed", done.stdout)

    def test_overall(self):
        cfg = section("hang") + section("hang2")
        done = self.suite("--overall", "1", "-j", "1", cfg=cfg)
        self.assertEqual(done.returncode, 128 + signal.SIGALRM)
        self.assertIn("2 not run", done.stdout)
        self.assert_gone(self.pids(2))

    def interrupt(self, sig):
        self.write("unittests.cfg", section("pass") + section("hang") +
                   section("deaf") + section("pass2"))
        run = subprocess.Popen(self.argv("-j", "2", "--json=" +
                                         self.at("json")),
                               env=self.env, stdout=subprocess.PIPE,
                               text=True)
        pids = self.pids(3)
        run.send_signal(sig)
        out, _ = run.communicate(timeout=20)
        self.assertEqual(run.returncode, 128 + sig)
        self.assertIn("pass ", out)
        self.assertEqual(out.splitlines()[-1],
                         "1 passed, 0 failed, 0 skipped")
        self.assertIn("3 not run", out)
        self.assertEqual([row["verdict"] for row in
                          json.loads(self.read("json"))],
                         ["pass", "not run", "not run", "not run"])
        self.assert_gone(pids)

    def test_sigint(self):
        self.interrupt(signal.SIGINT)

    def test_sigterm(self):
        self.interrupt(signal.SIGTERM)

    def test_parallel(self):
        cfg = "".join(section("hang%d" % i, timeout=2) for i in range(4))
        start = time.monotonic()
        self.suite("-j", "4", cfg=cfg, status=1)
        self.assertLess(time.monotonic() - start, 7)

    def test_hangup(self):
        self.interrupt(signal.SIGHUP)

    def test_other_session(self):
        """A child's child in a session of its own, its parent gone."""
        self.suite("--timeout", "1", cfg=section("away"), status=1)
        self.assert_gone(self.pids(1))

    def test_killed_runner(self):
        self.write("unittests.cfg", section("deaf") + section("deaf2"))
        run = subprocess.Popen(self.argv("-j", "2"), env=self.env,
                               stdout=subprocess.DEVNULL)
        pids = self.pids(2)
        run.kill()
        run.wait()
        self.assert_gone(pids)

    def test_closed_output(self):
        self.write("unittests.cfg", section("pass") + section("pass2") +
                   section("deaf"))
        run = subprocess.Popen(self.argv("-j", "1"), env=self.env,
                               stdout=subprocess.PIPE)
        run.stdout.readline()
        run.stdout.close()
        run.wait(20)
        if os.path.exists(self.at("pids")):
            self.assert_gone(self.pids(1))

    # ---- which tests ----

    def names(self, *args, **more):
        done = self.suite("--list", "--json", *args, status=0, **more)
        return [row["name"] for row in json.loads(done.stdout)]

    def test_selection(self):
        cfg = section("a1", groups="x y") + section("a2", groups="y") + \
            section("b1", groups="xx nodefault") + section("b2")
        self.assertEqual(self.names(cfg=cfg), ["a1", "a2", "b2"])
        self.assertEqual(self.names("--all"), ["a1", "a2", "b1", "b2"])
        self.assertEqual(self.names("-g", "x"), ["a1"])
        self.assertEqual(self.names("-g", "x", "-g", "nodefault"),
                         ["a1", "b1"])
        self.assertEqual(self.names("a?", "b2"), ["a1", "a2", "b2"])
        self.assertEqual(self.names("-g", "y", "*2"), ["a2"])
        self.assertEqual(self.names("[ab]1"), ["a1", "b1"])
        self.assertEqual(self.names("--shard", "1/2", "--all"), ["a1", "b1"])
        self.assertEqual(self.names("--shard", "2/2", "--all"), ["a2", "b2"])
        for bad in ("0/2", "3/2", "1", "x/2", "1/0"):
            self.suite("--shard", bad, status=2)

    def test_listing(self):
        cfg = '[all]\nfile=all.flat\nsmp = $MAX_SMP\n' \
            'test_args = """one\ntwo"""\nextra_params="""-cpu max \\\n-m 1"""' \
            '\nkvmtool_params = """--a\n--b"""\ngroups = g h\n' \
            'arch = x86_64\nmachine = pc\naccel = kvm|tcg\ntimeout = 2m\n' \
            'check = /a=1\ncheck = /b=2\ndisabled_if = false\n' \
            "[least]\nfile = l.flat\n"
        done = self.suite("--list", "--json", cfg=cfg, status=0)
        full, least = json.loads(done.stdout)
        self.assertEqual(full, {
            "name": "all", "file": "all.flat",
            "smp": str(os.cpu_count()), "test_args": "one\ntwo",
            "qemu_params": "-cpu max -m 1", "kvmtool_params": "--a\n--b",
            "groups": "g h", "arch": "x86_64", "machine": "pc",
            "accel": "kvm|tcg", "timeout": "120", "check": "/a=1 /b=2",
            "disabled_if": "false", "line": 1,
            "targets": [{"target": "qemu:tcg",
                         "skip": "/a is not 1"}]})
        command = least["targets"][0]["command"]
        self.assertEqual(command[0], self.env["QEMU"])
        self.assertEqual(command[command.index("-accel") + 1:],
                         ["tcg", "-kernel", self.at("l.flat"), "-smp", "1"])
        self.assertEqual((least["smp"], least["timeout"]), ("1", "90"))
        self.assertEqual(set(least), set(full))
        self.assertIsNone(least["qemu_params"])
        self.suite("--list", "--json=" + self.at("list"), status=0)
        self.assertEqual(json.loads(self.read("list")), [full, least])

    def test_unknown_keys(self):
        cfg = "[a]\nfile = pass.flat\nsmpx = 2\nfiles = x\n"
        done = self.suite(cfg=cfg, status=0)
        where = self.at("unittests.cfg")
        self.assertEqual(done.stderr.splitlines(), [
            "lodge test: %s:3: unknown key 'smpx'" % where,
            "lodge test: %s:4: unknown key 'files'" % where])

    def test_arguments(self):
        cfg = section("pass", test_args="'a  b' `echo c` \"$MAX_SMP\"")
        self.suite(cfg=cfg, status=0)
        self.assertIn("args <a  b c %d>" % os.cpu_count(),
                      self.read("logs/pass.qemu-tcg.log"))

    def test_same_name(self):
        rows = self.results(cfg=section("pass") + section("fail") +
                            "[pass]\nfile = fail.flat\n", status=1)
        self.assertEqual([(row["test"], row["verdict"])
                          for row in rows.values()],
                         [("pass", "pass"), ("fail", "fail"),
                          ("pass.2", "fail")])

    def test_own_reasons(self):
        """Each test that is wrong says what is wrong with it."""
        cfg = section("pass1", smp="1 2") + section("pass2", timeout="soon") \
            + section("pass3", check="/x = 1") + section("pass4") + \
            section("pass5", disabled_if="[[ a", file="pass.flat")
        rows = self.results(cfg=cfg, status=1)
        self.assertEqual([row["verdict"] for row in rows.values()],
                         ["fail", "fail", "fail", "pass", "fail"])
        reasons = [row["reason"] for row in rows.values()]
        self.assertIn("smp is one word", reasons[0])
        self.assertIn("not 'soon'", reasons[1])
        self.assertIn("PATH=VALUE", reasons[2])
        self.assertIn("[[ a", reasons[4])

    # ---- again ----

    def test_retries(self):
        done = self.suite("--retries", "1", cfg=section("flaky"), status=0)
        self.assertIn("1 passed only when run again", done.stdout)
        self.assertEqual(sorted(os.listdir(self.at("logs"))),
                         ["flaky.qemu-tcg.log", "flaky.qemu-tcg.try1.log"])
        self.suite("--retries", "1", cfg=section("flaky"), status=0)
        self.assertEqual(os.listdir(self.at("logs")), ["flaky.qemu-tcg.log"])
        os.unlink(self.at("state"))
        self.suite(cfg=section("flaky"), status=1)

    def test_passes_run_once(self):
        self.suite("--retries", "3", cfg=section("count"), status=0)
        self.assertEqual(self.read("state"), "x\n")

    # ---- several monitors ----

    def test_disagreement(self):
        cfg = section("pass") + section("odd")
        rows = self.results(cfg=cfg, vmm="qemu:tcg kvmtool:kvm")
        self.assertEqual(len(rows), 4)
        done = self.suite(vmm="qemu:tcg qemu:kvm")
        self.assertNotIn("different verdicts", done.stdout)
        # the second monitor: the same script with its other answer
        self.write("kvmtool", "#!/bin/sh\necho 'EXIT: STATUS=1'\n")
        done = self.suite(vmm="qemu:tcg kvmtool:kvm", status=1)
        table = [line for line in done.stdout.splitlines()
                 if re.match(r"[* ] (pass|odd|test) ", line)]
        self.assertRegex(table[0], r"^  test +qemu:tcg +kvmtool:kvm")
        self.assertRegex(table[1], r"^  pass +pass +pass")
        self.assertRegex(table[2], r"^\* odd +fail +pass")
        self.assertIn("1 tests with different verdicts (*)", done.stdout)

    def test_verdicts_differ(self):
        """Two that fail in different ways do not agree."""
        self.write("kvmtool", "#!/bin/sh\nkill -SEGV $$\n")
        done = self.suite(cfg=section("fail") + section("segv"),
                          vmm="qemu:tcg kvmtool:kvm", status=1)
        self.assertIn("\n* fail  fail       signal", done.stdout)
        self.assertIn("\n  segv  signal     signal", done.stdout)
        self.assertIn("1 tests with different verdicts (*)", done.stdout)

    def test_list_of_known(self):
        self.write("known", "fail qemu:tcg fail\ngone qemu:tcg fail\n")
        done = self.suite("--known", self.at("known"), cfg=section("fail"),
                          status=1)
        self.assertIn("known:2: there is no test gone", done.stderr)

    # ---- reports ----

    def test_reports(self):
        cfg = section("pass") + section("fail") + section("skip") + \
            section("bytes") + section("pass#2 <&\">")
        cfg = cfg.replace("file = pass#2 <&\">.flat", "file = pass.flat")
        rows = self.results("--tap", self.at("tap"), "--junit",
                            self.at("xml"), cfg=cfg, status=1)
        tap = read_tap(self.read("tap"))
        self.assertEqual([row[0] for row in tap],
                         [True, False, True, False, True])
        self.assertTrue(tap[2][3].startswith("SKIP"))
        self.assertIn("pass\\#2", tap[4][2])
        root = ElementTree.parse(self.at("xml")).getroot()
        self.assertEqual((root.get("tests"), root.get("failures"),
                          root.get("skipped")), ("5", "2", "1"))
        cases = root.findall("testcase")
        self.assertEqual([case.get("name") for case in cases],
                         ["pass", "fail", "skip", "bytes", "pass#2 <&\">"])
        self.assertEqual([case.get("classname") for case in cases],
                         ["qemu:tcg"] * 5)
        self.assertEqual([[x.tag for x in case] for case in cases],
                         [[], ["failure"], ["skipped"], ["failure"], []])
        self.assertEqual(rows["bytes", "qemu:tcg"]["reason"],
                         "??<&\">? \u00e9")

    def test_json_alone(self):
        done = self.suite("--json", cfg=section("pass"), status=0)
        self.assertEqual(json.loads(done.stdout)[0]["verdict"], "pass")
        self.assertIn("1 passed", done.stderr)

    def test_no_colours_in_files(self):
        self.assertNotIn("\033", self.suite(cfg=section("fail")).stdout)

    def terminal(self, **env):
        """What is printed on a terminal."""
        primary, secondary = pty.openpty()
        run = subprocess.Popen(self.argv(), stdout=secondary, stderr=secondary,
                               env=dict(self.env, **env))
        os.close(secondary)
        text = b""
        try:
            while True:
                text += os.read(primary, 4096)
        except OSError:
            pass
        os.close(primary)
        run.wait(20)
        return text.decode()

    def test_colours(self):
        self.write("unittests.cfg", section("pass") + section("fail"))
        self.env.pop("NO_COLOR", None)
        text = self.terminal(TERM="xterm")
        self.assertRegex(text, r"[12]/2 \033\[32mpass")
        self.assertIn("\033[31mfail", text)
        self.assertEqual(text.splitlines()[-1],
                         "1 passed, 1 failed, 0 skipped")
        self.assertNotIn("\033", self.terminal(TERM="xterm", NO_COLOR="1"))
        self.assertNotIn("\033", self.terminal(TERM="dumb"))

    def test_odd_names(self):
        """Bytes that are no text, and names that are no files'."""
        names = ["a b", "a/b", "a-b", "..", "%41", "é", "x" * 400, "\udcff\x01"]
        cfg = "".join("[%s]\nfile = pass.flat\n" % name for name in names)
        with open(self.at("unittests.cfg"), "wb") as f:
            f.write(cfg.encode(errors="surrogateescape"))
        rows = self.results("--tap", self.at("tap"), "--junit",
                            self.at("xml"), status=0)
        names[-1] = "??"
        self.assertEqual([test for test, _ in rows], names)
        self.assertEqual(len(os.listdir(self.at("logs"))), len(names))
        for row in rows.values():
            self.assertTrue(os.path.exists(row["log"]), row)
        self.assertEqual(len(read_tap(self.read("tap"))), len(names))
        cases = ElementTree.parse(self.at("xml")).getroot()
        self.assertEqual([case.get("name") for case in cases], names)

    def test_long_output(self):
        row = self.results("--tap", self.at("tap"), cfg=section("long"),
                           status=1)["long", "qemu:tcg"]
        self.assertEqual(row["reason"], "y" * 200)
        self.assertGreater(os.path.getsize(row["log"]), 3000000)
        read_tap(self.read("tap"))

    def test_files_are_whole(self):
        """What stood there stays until there is something better."""
        self.write("json", "before")
        self.write("unittests.cfg", section("deaf"))
        run = subprocess.Popen(self.argv("--json=" + self.at("json")),
                               env=self.env, stdout=subprocess.DEVNULL)
        self.pids(1)
        self.assertEqual(self.read("json"), "before")
        run.kill()
        run.wait()
        self.assertEqual(self.read("json"), "before")
        done = self.suite("--tap", "/dev/stdout", cfg=section("pass"),
                          status=0)
        self.assertIn("TAP version 13\n1..1\nok 1 - pass", done.stdout)

    def test_logs(self):
        self.suite(cfg=section("broken"), status=1)
        log = self.read("logs/broken.qemu-tcg.log")
        self.assertTrue(log.startswith("# " + self.env["QEMU"]))
        self.assertIn("no such thing", log)
        self.suite(cfg=section("broken"), status=1)
        self.assertEqual(self.read("logs/broken.qemu-tcg.log"), log)

    def test_merge(self):
        cfg = "".join(section("pass%d" % i) for i in range(3)) + \
            section("fail")
        self.suite("--shard", "1/2", "--json=" + self.at("1"), cfg=cfg,
                   status=0)
        self.suite("--shard", "2/2", "--json=" + self.at("2"), status=1)
        merged = subprocess.run(
            [LODGE, "test", "--merge", "--junit", self.at("xml"),
             self.at("1"), self.at("2"), self.at("2")],
            capture_output=True, text=True)
        self.assertEqual(merged.returncode, 1)
        self.assertEqual(merged.stdout.splitlines()[-1],
                         "3 passed, 1 failed, 0 skipped")
        cases = ElementTree.parse(self.at("xml")).getroot()
        self.assertEqual(len(cases), 4)
        for files, left in ((["1"], 2), (["2"], 2), (["1", "2"], 0)):
            part = subprocess.run(
                [LODGE, "test", "--merge", *map(self.at, files)],
                capture_output=True, text=True)
            self.assertEqual(part.returncode, 1)
            self.assertEqual("%d results are in none of the files" % left in
                             part.stdout, left > 0, part.stdout)
        bad = subprocess.run([LODGE, "test", "--merge",
                              self.at("unittests.cfg")],
                             capture_output=True, text=True)
        self.assertEqual(bad.returncode, 4)
        self.assertIn("unittests.cfg", bad.stderr)


if __name__ == "__main__":
    unittest.main()
