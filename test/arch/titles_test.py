#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is written about the suite holds: titles_test.py SOURCE_ROOT

Each test cites a manual of doc/specs.md by a section's title; each is in
unittests.cfg, and nothing else is; README's numbers are those of the suite;
doc/tcg.md is made of known-tcg.txt.
"""
import os
import re
import sys
import unittest

ROOT = os.path.abspath(sys.argv.pop(1) if len(sys.argv) > 1 else ".")
ARCH = os.path.join(ROOT, "test/arch")
sys.path.insert(0, ARCH)
import known_table  # noqa: E402

TABLE = re.compile(r"const struct test tests\[\] = \{(.*?)\n\};", re.S)
STRING = r'"(?:[^"\\]|\\.)*"'
ROW = re.compile(r'\{\s*(%s),\s*\w+,\s*((?:%s\s*)+)(,\s*NEEDS_RUNNER)?' %
                 (STRING, STRING))
REAL = re.compile(r'^\tROW\t"(.*?)" \w+ "(.*)"$', re.M)
INSIDE = {"pvh.elf": "boot.flat"}  # loaders and what they have inside
CITED = re.compile(r'([\w ./-]+) "[^"]{3,}"')


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as f:
        return f.read()


def unquote(text):
    return "".join(x[1:-1] for x in re.findall(STRING, text)).replace(
        '\\"', '"')


def guests(anywhere=False):
    """{image: {test: what it checks}}; anywhere: without our own runner"""
    found = {}
    for name in sorted(os.listdir(os.path.join(ARCH, "guest"))):
        text = read(ARCH, "guest", name)
        table = TABLE.search(text)
        if table:
            found_rows = ROW.findall(table[1])
            assert table[1].count("\n\t{") == len(found_rows) + 1, name
            rows = {unquote(a): unquote(b) for a, b, runner in found_rows
                    if not (anywhere and runner)}
        else:
            rows = {a: b.replace("'", '"') for a, b in REAL.findall(text)}
        if rows:
            found[name.rsplit(".", 1)[0] + ".flat"] = rows
    return found


def sections():
    """{section: {key: value}}"""
    found = {}
    for line in read(ARCH, "unittests.cfg").splitlines():
        if line.startswith("["):
            found[line[1:-1]] = current = {}
        elif "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            current[key.strip()] = value.strip()
    return found


class Titles(unittest.TestCase):
    def test_titles(self):
        short = set()
        for name in re.findall(r"^\| ([^|]+?) \|", read("doc/specs.md"), re.M):
            span = re.fullmatch(r"(\w+) (\d)-(\d)", name)
            short |= {"%s %d" % (span[1], n) for n in
                      range(int(span[2]), int(span[3]) + 1)} \
                if span else {name}
        for image, rows in guests().items():
            for test, says in rows.items():
                with self.subTest(image=image, test=test):
                    cited = CITED.match(says)
                    self.assertTrue(cited, says)
                    manual = re.sub(r"(SDM 3)[A-D]$", r"\1", cited[1])
                    self.assertIn(manual, short, says)

    def test_all_are_run(self):
        """Nothing is left out of the suite, and what it names is there."""
        images = guests()
        left = {(image, test) for image, rows in guests(True).items()
                for test in rows}
        for name, keys in sections().items():
            image = INSIDE.get(keys["file"], keys["file"])
            tests = images[image]
            for test in keys.get("test_args", " ".join(tests)).split():
                with self.subTest(name):
                    self.assertIn(test, tests)
                left.discard((image, test))
        self.assertEqual(left, set())

    def test_numbers(self):
        readme = read("README.md")
        suite = sections()
        said = re.search(r"`test/arch/unittests.cfg`, (\d+) tests", readme)
        self.assertEqual(int(said[1]), len(suite))
        rows = re.search(r"\| topic \| tests \| lodge .*?\n\n", readme, re.S)
        total, disagree = 0, 0
        for row in rows[0].splitlines()[2:-1]:
            cells = [cell.strip() for cell in row.strip("|").split("|")]
            total += int(cells[1])
            for cell in cells[2:]:
                counts = [int(n) for n in re.findall(
                    r"(\d+) (?:pass|fail|skip)", cell)]
                self.assertEqual(sum(counts), int(cells[1]), row)
            disagree += sum(int(n) for n in re.findall(r"(\d+) fail",
                                                       cells[3]))
        self.assertEqual(total, len(suite))
        known = known_table.read(os.path.join(ARCH, "known-tcg.txt"))
        tests = [test for row in known for test in row[0]]
        self.assertEqual(disagree, len(tests))
        self.assertEqual(set(tests) - set(suite), set())
        self.assertIn("TCG's %d" % len(tests), readme)

    def test_table(self):
        self.assertEqual(read("doc/tcg.md"), known_table.table(
            os.path.join(ARCH, "known-tcg.txt")))


if __name__ == "__main__":
    unittest.main()
