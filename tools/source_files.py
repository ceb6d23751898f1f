# SPDX-License-Identifier: Apache-2.0
"""The files the checks look at: what git tracks, or, in an unpacked archive,
everything but build folders."""
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def source_files(*endings):
    """Paths relative to the root, sorted."""
    try:
        out = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"],
                             capture_output=True, check=True, text=True)
        found = out.stdout.split("\0")[:-1]
    except (OSError, subprocess.CalledProcessError):
        found = []
        for folder, folders, files in os.walk(ROOT):
            folders[:] = [f for f in folders
                          if not f.startswith((".git", "build"))]
            found += [os.path.relpath(os.path.join(folder, f), ROOT)
                      for f in files]
    return sorted(f for f in found
                  if (not endings or f.endswith(endings)) and
                  os.path.isfile(os.path.join(ROOT, f)))


def read_lines(path):
    with open(os.path.join(ROOT, path), encoding="utf-8",
              errors="replace") as f:
        return f.read().splitlines()


def verdict(problems, what):
    """Prints what was found; the exit status."""
    for p in problems:
        print(p)
    print("%s: %s" % (what, "%d problems" % len(problems) if problems
                      else "nothing found"))
    return 1 if problems else 0
