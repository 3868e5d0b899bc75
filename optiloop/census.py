"""How many tests a test run says it passed, read from its own summary. Pure.

An exit code of 0 says little: a program that is under test can end the run early, and tests can be skipped or
left out. So a gate's tests are counted at the baseline, and no candidate may pass fewer.
"""

from __future__ import annotations

import re

_ANSI = re.compile(r"\x1b\[[0-9;]*m")

_LAST = (
    re.compile(r"^(?:=+ )?(?:\d+ \w+, )*(\d+) passed\b.* in \d[\d.:]*s\b.*$", re.M),  # pytest
    re.compile(r"^\s*Tests:?\s.*?\b(\d+) passed\b", re.M),  # jest, vitest
    re.compile(r"^(?:#|ℹ) pass (\d+)\s*$", re.M),  # TAP, node --test
    re.compile(r"^100% tests passed, 0 tests failed out of (\d+)$", re.M),  # ctest
)
_CARGO = re.compile(r"^test result: ok\. (\d+) passed;", re.M)
"""One line a crate."""
_UNITTEST = re.compile(r"^Ran (\d+) tests? in .*?^OK(?: \((.*)\))?$", re.M | re.S)
_GO = re.compile(r"^\s*--- PASS: ", re.M)


def tests_passed(output: str) -> int | None:
    """The number of tests that passed, by the summary of a known test runner; None where there is none.

    pytest, unittest, jest, vitest, node, TAP, cargo, ctest and `go test -v` are known. What is skipped,
    or expected to fail, has not passed.
    """
    output = _ANSI.sub("", output)
    for shape in _LAST:
        if found := shape.findall(output):
            return int(found[-1]) or None
    if crates := _CARGO.findall(output):
        return sum(map(int, crates)) or None
    if unittest := _UNITTEST.findall(output):
        ran, but = unittest[-1]
        return int(ran) - sum(map(int, re.findall(r"=(\d+)", but))) or None
    return len(_GO.findall(output)) or None
