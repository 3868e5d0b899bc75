"""Rules for asking, copying and building containers."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from optiloop.proposers.rewrite.accumulate import collecting_loops
from optiloop.proposers.rewrite.code import PYTHON, Code
from optiloop.proposers.rewrite.facts import initialisation, is_name, place_before
from optiloop.proposers.rewrite.kinds import Kind, Kinds
from optiloop.proposers.rewrite.pattern import Pattern, mentions
from optiloop.proposers.rewrite.rule import Rule, Site

_SCALARS = frozenset({"int", "float", "bool", "str", "char", "bytes"})
_COUNTED: tuple[tuple[Pattern, str], ...] = (
    (Pattern("$xs.count($x) == 0"), "$x not in $xs"),
    (Pattern("$xs.count($x) < 1"), "$x not in $xs"),
    (Pattern("$xs.count($x) > 0"), "$x in $xs"),
    (Pattern("$xs.count($x) >= 1"), "$x in $xs"),
    (Pattern("$xs.count($x) != 0"), "$x in $xs"),
)


def counted_membership(code: Code) -> Iterator[Site]:
    """Ask whether something is in a container, not how often.

    `in` ends at the first: a constant factor of 2 on average, and list-membership knows `in`. Source:
    CPython, list.__contains__.
    """
    for pattern, template in _COUNTED:
        for node, match in code.find_expressions(pattern):
            if isinstance(code.parent(node), ast.Compare):
                continue
            new = f"({code.fill(template, match.found)})"
            yield code.site(node, f"{ast.unparse(node)} -> {new[1:-1]}", [code.replace(node, new)])


_IN_VALUES = (
    (Pattern("$x in $d.values()"), "in"),
    (Pattern("$x not in $d.values()"), "not in"),
)


def values_membership(code: Code) -> Iterator[Site]:
    """Ask a set of a dictionary's values, made once, not the values one by one each time.

    O(n) -> O(1) per question. Source: Python wiki TimeComplexity.
    """
    kinds = Kinds(code)
    for pattern, word in _IN_VALUES:
        for node, match in code.find_expressions(pattern):
            of = match.expr("d")
            place = place_before(code, node, of)
            if place is None or not isinstance(of, ast.Name) or not kinds.may_be_hashable(match.expr("x")):
                continue
            name = code.fresh(f"{of.id}_values")
            edits = [
                code.before(place, f"{name} = set({of.id}.values())"),
                code.replace(node, f"{code.segment(match.expr('x'))} {word} {name}"),
            ]
            yield code.site(node, f"values of {of.id} looked over each time -> set of them", edits)


_DEEP_COPY = (Pattern("copy.deepcopy($x)"), Pattern("deepcopy($x)"))


def flat_copy(code: Code) -> Iterator[Site]:
    """Copy a list of plain values, or of lists of them, by list(), not by copy.deepcopy.

    A constant factor of 10 to 100. Source: the copy module's documentation; CPython, list slicing.
    """
    kinds = Kinds(code)
    for pattern in _DEEP_COPY:
        for node, match in code.find_expressions(pattern):
            kind = kinds.of(match.expr("x"))
            if kind is None or kind.name != "list" or kind.item is None:
                continue
            text = code.segment(match.expr("x"))
            new = _flat(kind.item, text)
            if new is not None:
                yield code.site(node, f"{ast.unparse(node)} -> {new}", [code.replace(node, new)])


def _flat(item: Kind, text: str) -> str | None:
    if item.name in _SCALARS:
        return f"list({text})"
    if item.name == "list" and item.item is not None and item.item.name in _SCALARS:
        return f"[list(inner) for inner in {text}]"
    return None


_EMPTY = {"dict": ("{}", "dict()"), "set": ("set()",)}


def collect_loop(code: Code) -> Iterator[Site]:
    """Build a dictionary or a set with a comprehension, not key by key in a loop.

    A constant factor of 1.1 to 1.5. Source: ruff PERF403; PEP 274.
    """
    for loop, clauses, statement in collecting_loops(code):
        match statement:
            case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=name), slice=key)], value=value):
                kind, item = "dict", f"{ast.unparse(key)}: {ast.unparse(value)}"
            case ast.Expr(
                value=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="add"), args=[value])
            ):
                kind, item = "set", ast.unparse(value)
            case _:
                continue
        start = initialisation(code, loop, name)
        block = code.block(loop)
        at = next(index for index, node in enumerate(block) if node is loop)
        if start is None or start.value is None or at == 0 or block[at - 1] is not start:
            continue
        rest = [node for node in ast.walk(loop) if is_name(node, name)]
        if ast.unparse(start.value) in _EMPTY[kind] and len(rest) == 1 and not mentions(value, name):
            new = f"{name} = {{{item} {clauses}}}"
            what = f"{kind} {name} built in a loop -> comprehension"
            yield code.site(loop, what, [code.replace([start, loop], new)])


RULES = (
    Rule("counted-membership", PYTHON, 1.04, counted_membership),
    Rule("values-membership", PYTHON, 79, values_membership),
    Rule("flat-copy", PYTHON, 3.5, flat_copy),
    Rule("collect-loop", PYTHON, 1.03, collect_loop),
)
