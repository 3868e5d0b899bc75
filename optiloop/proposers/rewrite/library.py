"""Rules for expressions that the library has a cheaper word for."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from optiloop.proposers.rewrite.code import PYTHON, Code
from optiloop.proposers.rewrite.kinds import Kinds
from optiloop.proposers.rewrite.pattern import Pattern
from optiloop.proposers.rewrite.rule import Rule, Site

_CHEAPER: tuple[tuple[Pattern, str, str], ...] = (
    (Pattern("sorted($x)[0]"), "min($x)", ""),
    (Pattern("sorted($x, key=$k)[0]"), "min($x, key=$k)", ""),
    (Pattern("sorted($x, reverse=True)[0]"), "max($x)", ""),
    (Pattern("sorted($x, key=$k, reverse=True)[0]"), "max($x, key=$k)", ""),
    (Pattern("sorted($x)[-1]"), "max($x)", ""),
    (Pattern("sorted($x)[:$n]"), "heapq.nsmallest($n, $x)", "heapq"),
    (Pattern("sorted($x, key=$k)[:$n]"), "heapq.nsmallest($n, $x, key=$k)", "heapq"),
    (Pattern("sorted($x, reverse=True)[:$n]"), "heapq.nlargest($n, $x)", "heapq"),
    (Pattern("sorted($x, key=$k, reverse=True)[:$n]"), "heapq.nlargest($n, $x, key=$k)", "heapq"),
    (Pattern("sum($x, [])"), "list(itertools.chain.from_iterable($x))", "itertools"),
    (Pattern("sorted(list($x))"), "sorted($x)", ""),
    (Pattern("set(list($x))"), "set($x)", ""),
    (Pattern("len(list($x.keys()))"), "len($x)", ""),
    (Pattern("len([?v for ?v in $x])"), "len(list($x))", ""),
)
_CONTAINS: tuple[tuple[Pattern, str], ...] = (
    (Pattern("$x in $d.keys()"), "$x in $d"),
    (Pattern("$x not in $d.keys()"), "$x not in $d"),
    (Pattern("$x in list($d.keys())"), "$x in $d"),
    (Pattern("$x not in list($d.keys())"), "$x not in $d"),
    (Pattern("$x in sorted($d)"), "$x in $d"),
    (Pattern("$x in list($d)"), "$x in $d"),
    (Pattern("$x not in list($d)"), "$x not in $d"),
    (Pattern("$x not in sorted($d)"), "$x not in $d"),
)


def cheaper_call(code: Code) -> Iterator[Site]:
    """Ask only for what is needed: the smallest, not the sorted list; a chain, not a sum of lists.

    O(n log n) -> O(n), and O(n^2) -> O(n) for the sum. Source: refurb FURB192, ruff RUF017, heapq.
    """
    for pattern, template, module in _CHEAPER:
        for node, match in code.find_expressions(pattern):
            if isinstance(match.found.get("n"), ast.UnaryOp):
                continue
            new = code.fill(template, match.found)
            what = f"{ast.unparse(node)} -> {new}"
            yield code.site(node, what, [code.replace(node, new)], [module] if module else [])


def contained_in_copy(code: Code) -> Iterator[Site]:
    """Ask a dictionary or set itself, not a list made of it, whether something is in it.

    O(n) -> O(1) per question. Source: Python wiki TimeComplexity.
    """
    kinds = Kinds(code)
    for pattern, template in _CONTAINS:
        for node, match in code.find_expressions(pattern):
            if not kinds.is_text(match.expr("d")):
                new = code.fill(template, match.found)
                yield code.site(node, f"{ast.unparse(node)} -> {new}", [code.replace(node, new)])


RULES = (
    Rule("contained-in-copy", PYTHON, 8.52, contained_in_copy),
    Rule("cheaper-call", PYTHON, 2.53, cheaper_call),
)
