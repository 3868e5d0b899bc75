"""What holds for every rule on code that nobody wrote for it: the standard library."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from optiloop.memory.fingerprint import result_fingerprint
from optiloop.proposers.rewrite import sites_of
from optiloop.proposers.rewrite.code import PYTHON
from optiloop.proposers.rewrite.table import RULES as EVERY_RULE

RULES = [rule for rule in EVERY_RULE if rule.language is PYTHON]
LARGEST = 40_000
STANDARD_LIBRARY = Path(os.__file__).parent
MODULES = [path for path in sorted(STANDARD_LIBRARY.glob("*.py")) if path.stat().st_size < LARGEST][::3][:40]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_every_rule_keeps_a_program_a_program_and_changes_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    before = result_fingerprint({"a.py": text})
    for rule in RULES:
        for site in sites_of(rule, text):
            ast.parse(site.text)
            compile(site.text, path.name, "exec")
            assert result_fingerprint({"a.py": site.text}) != before, rule.name
            assert site.what


def test_only_what_is_rewritten_changes() -> None:
    text = '''"""Doc."""
# a comment
import os


def f(words):  # another
    out = []
    # why
    for w in words:  # each
        if w not in out:  # new ones
            out.append(w)   # odd layout
    return out


X = {  "odd":1 }
'''
    for rule in RULES:
        for site in sites_of(rule, text):
            for line in ("# a comment", "def f(words):  # another", "    # why", 'X = {  "odd":1 }'):
                if rule.name != "append-loop" and not (line == "    # why" and rule.name == "dedupe-loop"):
                    assert line in site.text, (rule.name, site.text)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_text_beyond_ascii_keeps_its_places(newline: str) -> None:
    text = newline.join(
        [
            "def f(wörter):",
            '    größe = "é😀"; n = [w for w in wörter if w == "ü"]',
            "    return sorted(wörter)[0], größe, n",
            "",
        ]
    )
    found = [site for rule in RULES for site in sites_of(rule, text)]
    assert any("min(wörter), größe" in site.text for site in found)
