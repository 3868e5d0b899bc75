"""Rules for going through a text backwards, or from both ends."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from optiloop.proposers.rewrite.code import PYTHON, Code
from optiloop.proposers.rewrite.facts import (
    is_pure,
    loop_variable_is_read,
    names,
)
from optiloop.proposers.rewrite.kinds import Kinds
from optiloop.proposers.rewrite.pattern import Pattern, Value
from optiloop.proposers.rewrite.rule import Rule, Site

_PREPEND = Pattern('?out = ""\nfor ?c in $text:\n    ?out = ?c + ?out')
_APPEND_BACKWARDS = (
    Pattern('?out = ""\nfor ?i in range(len($text) - 1, -1, -1):\n    ?out += $text[?i]'),
    Pattern('?out = ""\nfor ?c in reversed($text):\n    ?out += ?c'),
    Pattern('?out = ""\nfor ?c in $text[::-1]:\n    ?out += ?c'),
    Pattern('?out = ""\n?i = len($text) - 1\nwhile ?i >= 0:\n    ?out += $text[?i]\n    ?i -= 1'),
    Pattern('?out = ""\nfor ?i in range(len($text)):\n    ?out += $text[len($text) - 1 - ?i]'),
    Pattern('?out = ""\nfor ?i in range(len($text)):\n    ?out = $text[?i] + ?out'),
    Pattern('?out = ""\nfor ?i in range(1, len($text) + 1):\n    ?out += $text[-?i]'),
)
_MIRROR_LENGTHS = ("len(?w) - 1 - ?i", "len(?w) - ?i - 1", "-1 - ?i", "-?i - 1", "-(?i + 1)", "~?i")
_MIRRORED = tuple(
    Pattern(f"for ?i in range({stop}):\n    if ?w[?i] != ?w[{mirror}]:\n        $$body")
    for mirror in _MIRROR_LENGTHS
    for stop in ("len(?w) // 2", "len(?w)", "int(len(?w) / 2)", "len(?w) // 2 + 1")
)
_TWO_ENDS = Pattern(
    "?i = 0\n?j = len(?w) - 1\nwhile ?i < ?j:\n"
    "    if ?w[?i] != ?w[?j]:\n        $$body\n    ?i += 1\n    ?j -= 1"
)


def reverse_by_loop(code: Code) -> Iterator[Site]:
    """Reverse a text by slicing it, not by putting one character after the other in front.

    O(n^2) copying -> O(n) in C. Source: extended slices (PEP 3 and Python 2.3).
    """
    kinds = Kinds(code)
    for pattern in (_PREPEND, *_APPEND_BACKWARDS):
        for match in code.find(pattern):
            if not is_pure(code, match.expr("text")) or loop_variable_is_read(code, match):
                continue
            text = match.expr("text")
            kind = kinds.of(text)
            reverse = '?out = "".join(reversed($text))' if kind and not kind.is_text else "?out = $text[::-1]"
            new = code.fill(reverse, {"out": match.expr("out"), "text": text})
            what = "reversed character by character -> slice, O(n^2) -> O(n)"
            yield code.site(match.first, what, [code.replace(match.statements, new)])


def mirror_by_loop(code: Code) -> Iterator[Site]:
    """Compare a text with its reverse, not character by character with its mirror image.

    O(n) interpreted steps -> one comparison in C.
    """
    for pattern in (*_MIRRORED, _TWO_ENDS):
        for match in code.find(pattern):
            body = match.body("body")
            at_once = isinstance(body[-1], ast.Break | ast.Return) if body else False
            sets_flag = len(body) == 1 and isinstance(body[0], ast.Assign)
            if (
                not (at_once or sets_flag)
                or names(body) & {match.name("i")}
                or loop_variable_is_read(code, match)
            ):
                continue
            then = body[:-1] if isinstance(body[-1], ast.Break) else body
            values: dict[str, Value | str] = {"w": match.expr("w"), "then": then}
            new = code.fill("if ?w != ?w[::-1]:\n    $$then", values)
            what = "compared with its mirror image by a loop -> with its reverse"
            yield code.site(match.first, what, [code.replace(match.statements, new)])


RULES = (
    Rule("reverse-by-loop", PYTHON, 370, reverse_by_loop),
    Rule("mirror-by-loop", PYTHON, 32, mirror_by_loop),
)
