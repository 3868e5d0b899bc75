"""Patterns match what means the same, and nothing else."""

from __future__ import annotations

import ast

import pytest

from optiloop.proposers.rewrite.code import Code, Edit, apply
from optiloop.proposers.rewrite.pattern import Pattern


def matches(pattern: str, text: str) -> bool:
    return Pattern(pattern).match_at(ast.parse(text).body, 0) is not None


MATCHES = [
    ("?x = $v", "a = 1 + 2"),
    ("?x = $v", "a: int = 1"),
    ("?x += 1", "a = a + 1"),
    ("if $a < $b:\n    $$body", "if y > x:\n    pass\n    pass"),
    ("if $a == 1:\n    pass", "if 1 == a:\n    pass"),
    ("if not ?found:\n    pass", "if found == False:\n    pass"),
    ("if ?found:\n    pass", "if found is True:\n    pass"),
    ("for ?i in range($n):\n    $$b", "for i in range(0, n):\n    pass"),
    ("?x = ?x + $y", "a = a + f(b)"),
    ("$$a\nreturn_ = 1", "x = 2\nreturn_ = 1"),
]
DOES_NOT = [
    ("?x = $v", "a.b = 1"),
    ("?x += 1", "a = b + 1"),
    ("?x += 1", "a -= 1"),
    ("if $a < $b:\n    pass", "if x <= y:\n    pass"),
    ("?x = ?x + $y", "a = b + a"),
    ("for ?i in range($n):\n    $$b", "for i in range(1, n):\n    pass"),
    ("for ?i in $x:\n    $$b", "for i in x:\n    pass\nelse:\n    pass"),
    ("x = 1", "x = True"),
]


@pytest.mark.parametrize(("pattern", "text"), MATCHES)
def test_the_spellings_of_one_thing_match(pattern: str, text: str) -> None:
    assert matches(pattern, text)


@pytest.mark.parametrize(("pattern", "text"), DOES_NOT)
def test_other_things_do_not_match(pattern: str, text: str) -> None:
    assert not matches(pattern, text)


def test_a_filled_template_keeps_comments_and_minds_precedence() -> None:
    code = Code("for i in range(n):\n    # why\n    f(i)  # how\n")
    match = Pattern("for ?i in range($n):\n    $$body").match_at(code.tree.body, 0)
    assert match is not None
    text = code.fill("while $n * 2:\n    $$body", {"n": "a + b", "body": match.body("body")})
    assert text == "while (a + b) * 2:\n    f(i)"


def test_edits_are_made_at_once_and_may_not_overlap() -> None:
    assert apply("abc", [Edit(2, 3, "C"), Edit(0, 1, "A"), Edit(0, 0, "_")]) == "_AbC"
    with pytest.raises(ValueError, match="overlap"):
        apply("abc", [Edit(0, 2, ""), Edit(1, 3, "")])
