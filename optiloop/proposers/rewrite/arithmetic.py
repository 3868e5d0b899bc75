"""Rules for whole numbers."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from optiloop.proposers.rewrite.code import PYTHON, Code
from optiloop.proposers.rewrite.facts import own_jumps, read_elsewhere
from optiloop.proposers.rewrite.pattern import Match, Pattern
from optiloop.proposers.rewrite.rule import Rule, Site

_POWERS = (Pattern("$a ** $b % $m"), Pattern("pow($a, $b) % $m"))
_LARGEST_SMALL_POWER = 8
_TRIAL_DIVISION = tuple(
    Pattern(f"for ?i in range({start}, {stop}):\n    if $n % ?i == 0:\n        $$body")
    for start in ("2", "3")
    for stop in ("$n", "$n // 2 + 1", "$n // 2", "$n - 1", "int($n / 2) + 1", "int($n / 2)")
)
_DIVISORS = Pattern("?out = []\nfor ?i in range(1, $n + 1):\n    if $n % ?i == 0:\n        ?out.append(?i)")
_DIGIT_SUM = tuple(
    Pattern(f"while {test}:\n    ?s += ?n % 10\n    ?n //= 10") for test in ("?n > 0", "?n", "?n != 0")
)


def modular_power(code: Code) -> Iterator[Site]:
    """Take powers modulo m with pow(a, b, m), which never forms the huge power.

    O(b * n^2) -> O(log b * n^2). Source: Knuth, TAOCP 2, 4.6.3.
    """
    for pattern in _POWERS:
        for node, match in code.find_expressions(pattern):
            if not _is_text(match.expr("a")) and not _is_small_or_negative(match.expr("b")):
                new = code.fill("pow($a, $b, $m)", match.found)
                what = "power, then remainder -> pow with a modulus"
                yield code.site(node, what, [code.replace(node, new)])


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_small_or_negative(exponent: ast.expr) -> bool:
    """A small power is as fast as it is; a negative one is no whole number."""
    if isinstance(exponent, ast.Constant):
        return isinstance(exponent.value, int | float) and exponent.value < _LARGEST_SMALL_POWER
    return isinstance(exponent, ast.UnaryOp)


def trial_division(code: Code) -> Iterator[Site]:
    """Stop trial division at the square root: a larger divisor has a smaller partner.

    O(n) -> O(sqrt n). Source: Knuth, TAOCP 2, 4.5.4.
    """
    for pattern in _TRIAL_DIVISION:
        for match in code.find(pattern):
            loop = match.first
            if not isinstance(loop, ast.For) or not isinstance(loop.iter, ast.Call):
                continue
            if _asks_for_any_divisor(match) and not read_elsewhere(code, loop, {match.name("i")}):
                stop = code.fill("math.isqrt($n) + 1", match.found)
                what = "trial division up to n -> up to its square root"
                yield code.site(loop, what, [code.replace(loop.iter.args[-1], stop)], ["math"])


def _asks_for_any_divisor(match: Match) -> bool:
    """Whether the first divisor settles it: the loop is left, or a flag is set."""
    body = match.body("body")
    if any(isinstance(jump, ast.Continue) for jump in own_jumps(body)) or not body:
        return False
    sets_flag = isinstance(body[-1], ast.Assign) and isinstance(body[-1].value, ast.Constant)
    return isinstance(body[-1], ast.Return | ast.Break) or (len(body) == 1 and sets_flag)


def divisor_pairs(code: Code) -> Iterator[Site]:
    """Collect divisors in pairs up to the square root.

    O(n) -> O(sqrt n). Source: Knuth, TAOCP 2, 4.5.4.
    """
    for match in code.find(_DIVISORS):
        if read_elsewhere(code, match.statements[-1], {match.name("i")}):
            continue
        new = code.fill(
            "?out = [?i for ?i in range(1, math.isqrt($n) + 1) if $n % ?i == 0]\n"
            "?out += [$n // ?i for ?i in reversed(?out) if ?i * ?i != $n]",
            match.found,
        )
        what = "divisors up to n -> pairs up to its square root"
        yield code.site(match.first, what, [code.replace(match.statements, new)], ["math"])


def digit_sum(code: Code) -> Iterator[Site]:
    """Add up the digits of a number's text, not by one division for each.

    A constant factor of 1.5 to 3, and more for huge numbers.
    """
    for pattern in _DIGIT_SUM:
        for match in code.find(pattern):
            new = code.fill("if ?n > 0:\n    ?s += sum(map(int, str(?n)))\n    ?n = 0", match.found)
            what = "digits by division -> sum(map(int, str(n)))"
            yield code.site(match.first, what, [code.replace(match.statements, new)])


RULES = (
    Rule("trial-division", PYTHON, 100, trial_division),
    Rule("divisor-pairs", PYTHON, 12, divisor_pairs),
    Rule("modular-power", PYTHON, 91, modular_power),
    Rule("digit-sum", PYTHON, 7, digit_sum),
)
