#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""doc/tcg.md from known-tcg.txt: known_table.py test/arch/known-tcg.txt

A comment belongs to the line behind it. "as TEST" is that test's comment; one
that begins with "both: " says that the manual allows either.
"""
import sys

HEAD = """# Where Lodge and QEMU TCG disagree

Each test of `test/arch/unittests.cfg` that says one thing on Lodge and another
on QEMU 7.2 with TCG (Debian 12), what the manual has, by the short names and
titles of [specs.md](specs.md), and who is with it. Made of
`test/arch/known-tcg.txt`, which `lodge test --known` holds against every run:

    test/arch/known_table.py test/arch/known-tcg.txt > doc/tcg.md

| tests | TCG | what the manual has, and what TCG does | right |
|---|---|---|---|
"""


def read(path):
    """[(tests, verdicts, comment)], tests of the same comment together."""
    rows, index, comment = [], {}, []
    with open(path, encoding="utf-8") as f:
        lines = f.read().splitlines()
    first = next(i for i, line in enumerate(lines) if "fails a run." in line)
    for line in lines[first + 1:]:
        if line.startswith("#"):
            comment.append(line[1:].strip())
            continue
        test, _, verdict = line.split()[:3]
        text = " ".join(comment)
        comment = []
        assert text, "%s: %s has no comment" % (path, test)
        if text.startswith("as ") and text[3:] in index:
            row = index[text[3:]]
        else:
            row = ([], [], text)
            rows.append(row)
        row[0].append(test)
        if verdict not in row[1]:
            row[1].append(verdict)
        index[test] = row
    return rows


def table(path):
    out = [HEAD]
    for tests, verdicts, text in read(path):
        right = "Lodge"
        if text.startswith("both: "):
            text, right = text[6:], "both"
        out.append("| %s | %s | %s | %s |\n" % (
            ", ".join(tests), ", ".join(verdicts), text, right))
    return "".join(out)


if __name__ == "__main__":
    sys.stdout.write(table(sys.argv[1]))
