"""Rules for whole numbers."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from optiloop.proposers.rewrite.code import Code, Site
from optiloop.proposers.rewrite.facts import names, own_jumps, read_elsewhere, walk
from optiloop.proposers.rewrite.pattern import Match, Pattern

_POWER = Pattern("$a ** $b % $m")
_POWER_CALL = Pattern("pow($a, $b) % $m")
_TRIAL_DIVISION = tuple(
    Pattern(f"for ?i in range({start}, {stop}):\n    if $n % ?i == 0:\n        $$body")
    for start in ("2", "3, ")
    for stop in ("$n", "$n // 2 + 1", "$n // 2", "$n - 1", "int($n / 2) + 1", "int($n / 2)")
    if not start.endswith(" ")
)
_DIVISORS = tuple(
    Pattern(f"?out = []\nfor ?i in range(1, {stop}):\n    if $n % ?i == 0:\n        ?out.append(?i)")
    for stop in ("$n + 1",)
)
_DIGIT_SUM = (
    Pattern("while ?n > 0:\n    ?s += ?n % 10\n    ?n //= 10"),
    Pattern("while ?n:\n    ?s += ?n % 10\n    ?n //= 10"),
    Pattern("while ?n != 0:\n    ?s += ?n % 10\n    ?n //= 10"),
)


def modular_power(code: Code) -> Iterator[Site]:
    """Take powers modulo m with pow(a, b, m), which never forms the huge power.

    O(b * n^2) -> O(log b * n^2). Source: Knuth, TAOCP 2, 4.6.3.
    """
    for pattern in (_POWER, _POWER_CALL):
        for node, match in code.find_expressions(pattern):
            if not _is_text_format(match) and not _is_small(match.expr("b")):
                if True:
                    new = code.fill("pow($a, $b, $m)", match.found)
                    yield code.site(
                        node, "power, then remainder -> pow with a modulus", [code.replace(node, new)]
                    )


def _is_text_format(match: Match) -> bool:
    return isinstance(match.expr("a"), ast.Constant) and isinstance(getattr(match.expr("a"), "value", 0), str)


def _is_small(exponent: ast.expr) -> bool:
    """x**2 % m is as fast as it is."""
    return (
        isinstance(exponent, ast.Constant) and isinstance(exponent.value, int | float) and exponent.value < 8
    )


def trial_division(code: Code) -> Iterator[Site]:
    """Stop trial division at the square root: a larger divisor has a smaller partner.

    O(n) -> O(sqrt n). Source: Knuth, TAOCP 2, 4.5.4.
    """
    for pattern in _TRIAL_DIVISION:
        for match in code.find(pattern):
            loop, body = match.first, match.body("body")
            stops = isinstance(body[-1], ast.Return | ast.Break) if body else False
            uses_divisor = match.name("i") in names(body)
            if isinstance(loop, ast.For) and stops and not uses_divisor and _only_stops(body):
                if not read_elsewhere(code, loop, {match.name("i")}) and isinstance(loop.iter, ast.Call):
                    stop = code.fill("math.isqrt($n) + 1", match.found)
                    edits = [code.replace(loop.iter.args[-1], stop)]
                    yield code.site(loop, "trial division up to n -> up to its square root", edits, ["math"])


def _only_stops(body: list[ast.stmt]) -> bool:
    return not [jump for jump in own_jumps(body) if isinstance(jump, ast.Continue)]


def divisor_pairs(code: Code) -> Iterator[Site]:
    """Collect divisors in pairs up to the square root.

    O(n) -> O(sqrt n). Source: Knuth, TAOCP 2, 4.5.4.
    """
    for pattern in _DIVISORS:
        for match in code.find(pattern):
            if (
                read_elsewhere(code, match.nodes[1], {match.name("i")})
                if isinstance(match.nodes[1], ast.stmt)
                else True
            ):
                continue
            new = code.fill(
                "?out = [?i for ?i in range(1, math.isqrt($n) + 1) if $n % ?i == 0]\n"
                "?out += [$n // ?i for ?i in reversed(?out) if ?i * ?i != $n]",
                match.found,
            )
            edits = [code.replace([node for node in match.nodes if isinstance(node, ast.stmt)], new)]
            yield code.site(match.first, "divisors up to n -> pairs up to its square root", edits, ["math"])


def digit_sum(code: Code) -> Iterator[Site]:
    """Add up the digits of a number's text, not by one division for each.

    A constant factor of 1.5 to 3, quadratic -> faster for huge numbers.
    """
    for pattern in _DIGIT_SUM:
        for match in code.find(pattern):
            used = [node for node in walk(match.nodes) if isinstance(node, ast.Name)]
            if len(used) >= 4:
                new = code.fill("if ?n > 0:\n    ?s += sum(map(int, str(?n)))\n    ?n = 0", match.found)
                yield code.site(
                    match.first,
                    "digits by division -> sum(map(int, str(n)))",
                    [code.replace([match.first], new)],
                )
