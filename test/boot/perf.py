#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""perf.py [--lodge LODGE] [--cpu MODEL]... [stat|record|cases|rr]...

The performance counters as Linux and its users see them, in guests of this
very system (`lodge run --root /`), as the processors of --cpu:

stat    the kernel's driver comes up without a complaint; perf stat counts a
        known loop's instructions exactly, ten times
record  perf record at a period has a sample for each, in the hot function
cases   what perf test has for processors passes
rr      rr records two processes that a timer interrupts; a replay says the
        same, and gdb steps backwards in another

Exit status 77: perf, strace, rr or gdb is not installed.
"""
import os
import re
import subprocess
import sys

from boot import (COMPLAINTS, Failed, in_folder, need_programs, script_options,
                  verdict)
from root import lend_kernel

WAIT = 600      # seconds of a guest, on a busy machine
TURNS = 5000000
PERIOD = 1000003
QUIET = ["sysctl.kernel.perf_event_paranoid=-1",
         "sysctl.kernel.dmesg_restrict=0",
         "sysctl.kernel.perf_cpu_time_max_percent=0"]
DRIVERS = {"intel": r"Performance Events: .*Intel PMU driver",
           "amd": r"Performance Events: .*AMD PMU driver"}
CAVEATS = re.compile(r"Firmware Bug|Broken PMU|no PMU driver|" +
                     COMPLAINTS.pattern)

# Of perf test, by title. Not here: "Setup struct perf_event_attr", which looks
# at perf's own choices. Subtests of what a processor or clock lacks are skipped
# ("Read Only Watchpoint", "Perf time to TSC" where the clock is KVM's).
CASES = [
    "Read samples using the mmap interface", "User space counter reading",
    "Breakpoint overflow signal handler",
    "Breakpoint overflow sampling", "Breakpoint accounting", "Watchpoint",
    "Software clock events period values", "Object code reading",
    "Track with sched_switch", "Event times", "Read backward ring buffer",
    "TSC support", "Perf time to TSC", "Sigtrap", "x86 instruction decoder",
    "x86 bp modify", "x86 Sample parsing",
]
# A process's record of its end comes before its parent's SIGCHLD. In between
# this case calls poll(), which fails at once, and gives up after 1000 times:
# too soon wherever these are done before the rest of the process's end, which
# is on any machine a matter of its scheduler. With its calls traced it waits.
SPINS = "Number of exit events"
CASES_OK = 20                   # the least of them that are to pass

LOOP = """
	.globl _start
_start:	mov $%d, %%ecx
1:	dec %%ecx
	jnz 1b
	mov $60, %%eax
	xor %%edi, %%edi
	syscall
""" % TURNS
INSTRUCTIONS = 2 * TURNS + 4
BRANCHES = TURNS + 1            # with SYSCALL

HOT = """
volatile unsigned long sum;
__attribute__((noinline)) void spin(unsigned long n)
{
	while (n--)
		sum += n;
}
__attribute__((noinline)) void cold(void) { spin(2000000); sum++; }
__attribute__((noinline)) void hot(void)
{
	for (unsigned long i = 0; i < 20000000; i++)
		sum += i;
}
int main(void)
{
	cold();
	hot();
	return 0;
}
"""

TWO = """
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile unsigned long turn, turns, where;
static int total;

/* Each timer starts when the last was handled: recording takes its time. */
static const struct itimerval soon = {{0, 0}, {0, 20000}};
static volatile int alarms;

static void alarmed(int sig)
{
	where = where * 31 + turn;
	if (++alarms < 3)
		setitimer(ITIMER_REAL, &soon, NULL);
}

/*
 * To find where a signal came, a replay stops so many branches before (10000
 * on AMD's) and then wherever rip is the same, as often as it takes: once in
 * all these branches.
 */
#define MAYBE(n) if (turn >> (n) & 1) where++
#define MAYBE8(n) \
	MAYBE(n); MAYBE(n + 1); MAYBE(n + 2); MAYBE(n + 3); \
	MAYBE(n + 4); MAYBE(n + 5); MAYBE(n + 6); MAYBE(n + 7)

static unsigned long spin(void)
{
	alarms = 0;
	setitimer(ITIMER_REAL, &soon, NULL);
	for (turn = 0; turn < turns || alarms < 2; turn++) {
		MAYBE8(0);
		MAYBE8(8);
		MAYBE8(16);
		MAYBE8(24);
		MAYBE8(32);
		MAYBE8(40);
		MAYBE8(48);
		MAYBE8(56);
	}
	return where;
}

static void add(int n)
{
	total += n;
}

int main(int argc, char **argv)
{
	int fd[2], n, status;

	if (argc < 2 || pipe(fd))
		return 1;
	turns = strtoul(argv[1], NULL, 10);
	signal(SIGALRM, alarmed);
	if (!fork()) {
		for (n = 0; n < 5; n++)
			if (write(fd[1], &n, sizeof(n)) != sizeof(n))
				_exit(1);
		dprintf(1, "child %lu\\n", spin());
		_exit(3);
	}
	close(fd[1]);
	dprintf(1, "parent %lu\\n", spin());
	for (int got = 0; got < 5; got++) {
		while (read(fd[0], &n, sizeof(n)) != sizeof(n))
			;
		add(n);
	}
	while (wait(&status) < 0)
		;
	dprintf(1, "end %d %d\\n", total, WEXITSTATUS(status));
	return 0;
}
"""

# add(0), add(1), add(2): back to the second, over its line and back.
GDB = """
set pagination off
set confirm off
set breakpoint pending on
break add
continue
continue
continue
printf "third %d %d\\n", n, total
reverse-continue
printf "second %d %d\\n", n, total
next
printf "after %d\\n", total
reverse-next
printf "before %d\\n", total
delete
continue
kill
quit
"""
STEPS = ["third 2 1", "second 1 0", "after 1", "before 0"]


def vendor_of(opts, cpu):
    if cpu == "host":
        with open("/proc/cpuinfo", encoding="ascii") as f:
            return "amd" if re.search("AuthenticAMD|HygonGenuine",
                                      f.read()) else "intel"
    return "amd" if cpu.startswith("EPYC") else "intel"


def run(opts, folder, cpu, script):
    """What a shell in a guest says."""
    argv = [opts.lodge, "run", "-accel", "lodge", "--root", "/", "-kernel",
            opts.kernel, "-m", "1024", "-cpu", cpu, "-append",
            " ".join(QUIET), "--", "sh", "-c", script]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, cwd=folder,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=WAIT)
    text = done.stdout.decode(errors="replace")
    if opts.verbose or done.returncode:
        print(text)
    if done.returncode:
        raise Failed("%s: exit status %d" % (cpu, done.returncode))
    return text


def build(folder, name, text, *options):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    subprocess.run(["cc", "-o", os.path.splitext(path)[0], path, *options],
                   check=True)


def test_stat(opts, folder, cpu):
    build(folder, "loop.s", LOOP, "-nostdlib", "-static")
    text = run(opts, folder, cpu, "dmesg; for i in 1 2 3 4 5 6 7 8 9 10; do "
               "perf stat -x, -e instructions:u,branches:u,cycles:u ./loop; "
               "done")
    bad = CAVEATS.search(text)
    vendor = vendor_of(opts, cpu)
    if bad:
        raise Failed("%s: the kernel says: %s" % (cpu, bad[0]))
    if not re.search(DRIVERS[vendor], text):
        raise Failed("%s: the driver did not come up" % cpu)
    counts = {}
    for value, event in re.findall(r"^(\d+|<.*>),,(\w+):u,", text, re.M):
        counts.setdefault(event, []).append(int(value))
    print("  %s: %s" % (cpu, counts), flush=True)
    if counts.get("instructions") != [INSTRUCTIONS] * 10:
        raise Failed("%s: not %d instructions" % (cpu, INSTRUCTIONS))
    # AMD's count interrupts, too
    over = [n - BRANCHES for n in counts.get("branches", [-1])]
    if min(over) < 0 or max(over) > (5000 if vendor == "amd" else 0):
        raise Failed("%s: not %d branches" % (cpu, BRANCHES))
    if len(counts.get("cycles", [])) != 10 or min(counts["cycles"]) == 0:
        raise Failed("%s: no cycles" % cpu)


def test_record(opts, folder, cpu):
    build(folder, "hot.c", HOT, "-O1")
    text = run(opts, folder, cpu, """
perf stat -x, -e instructions:u ./hot 2>&1 || exit
perf record -q -e instructions:u -c %d -o /tmp/perf.data ./hot || exit
perf script -i /tmp/perf.data -F ip,sym 2>/dev/null
""" % PERIOD)
    total = int(re.search(r"^(\d+),,instructions:u", text, re.M)[1])
    symbols = re.findall(r"^\s*[0-9a-f]+ ([\w\[\]]+)", text, re.M)
    hot = symbols.count("hot")
    print("  %s: %d instructions, %d samples, %d of them in hot()" %
          (cpu, total, len(symbols), hot), flush=True)
    if abs(len(symbols) - total // PERIOD) > 1:
        raise Failed("%s: not %d samples" % (cpu, total // PERIOD))
    if not 0.85 * len(symbols) < hot < 0.95 * len(symbols):
        raise Failed("%s: hot() is not 10 parts of 11" % cpu)


def test_cases(opts, folder, cpu):
    how = [("", c) for c in CASES] + [("strace -f -o /dev/null ", SPINS)]
    text = run(opts, folder, cpu, "cd /tmp; %s; true" % "; ".join(
        'timeout 60 %sperf test "%s" >said 2>&1 || echo "broken: %s"; '
        'cat said' % (by, c, c)     # by lines: the kernel's come in between
        for by, c in how))
    verdicts = re.findall(r"^ *[\d.]+: (.*?) *: (Ok|Skip|FAILED!)", text, re.M)
    passed = [what for what, v in verdicts if v == "Ok"]
    print("  %s: %d pass; skipped: %s" % (
        cpu, len(passed), "; ".join(w for w, v in verdicts if v == "Skip")))
    bad = [what for what, v in verdicts if v == "FAILED!"]
    bad += re.findall(r"^broken: (.*)", text, re.M)
    if bad:
        raise Failed("%s: perf test fails: %s" % (cpu, "; ".join(bad)))
    if len(passed) < CASES_OK:
        raise Failed("%s: only %d cases pass:\n%s" % (cpu, len(passed), text))


def said(text):
    return re.findall(r"^(?:child|parent|end) .*", text, re.M)


def test_rr(opts, folder, cpu):
    build(folder, "two.c", TWO, "-g", "-O1")
    with open(os.path.join(folder, "gdb"), "w", encoding="ascii") as f:
        f.write(GDB)
    text = run(opts, folder, cpu, """
export HOME=/tmp _RR_TRACE_DIR=/tmp/rr
cp two gdb /tmp && cd /tmp && mkdir -p rr
rr record ./two 50000 2>&1 || exit
echo replay
rr replay -a 2>&1 || exit
rr record ./two 10 >/dev/null 2>&1 || exit
echo debug
rr replay -- -q <gdb 2>&1
""")
    record, replay, debug = re.split(r"^replay$|^debug$", text, 0, re.M)[:3]
    print("  %s: %s" % (cpu, "; ".join(said(record))), flush=True)
    if len(said(record)) != 3 or "end 10 3" not in said(record):
        raise Failed("%s: not recorded:\n%s" % (cpu, record))
    if said(replay) != said(record):
        raise Failed("%s: the replay says:\n%s" % (cpu, replay))
    steps = re.findall(r"(?:third|second|after|before) [\d ]*\d", debug)
    if steps != STEPS:
        raise Failed("%s: gdb says:\n%s" % (cpu, debug))


TESTS = {"stat": (test_stat, ["perf"]), "record": (test_record, ["perf"]),
         "cases": (test_cases, ["perf", "strace"]),
         "rr": (test_rr, ["rr", "gdb"])}


def run_tests(opts, folder):
    for name in opts.tests:
        need_programs(*TESTS[name][1])
    opts.kernel = lend_kernel(folder)
    for cpu in opts.cpu or ["host"]:
        for name in opts.tests:
            TESTS[name][0](opts, folder, cpu)
            print("%s as %s: passed" % (name, cpu), flush=True)


def main():
    ap = script_options(__doc__)
    ap.add_argument("--cpu", action="append", default=[])
    ap.add_argument("--verbose", action="store_true")
    ap.add_argument("tests", nargs="*", default=list(TESTS))
    opts = ap.parse_args()
    return verdict(in_folder, run_tests, opts)


if __name__ == "__main__":
    sys.exit(main())
