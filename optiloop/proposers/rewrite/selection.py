"""Rules for taking the best of the rest again and again."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator

from optiloop.proposers.rewrite.code import PYTHON, Code, Loop
from optiloop.proposers.rewrite.facts import (
    changes,
    is_invariant,
    is_pure,
    loop_parts,
    names,
    read_elsewhere,
    stored,
    walk,
)
from optiloop.proposers.rewrite.pattern import Match, Pattern, same
from optiloop.proposers.rewrite.rule import Rule, Site

_BETTER = ("?best is None or $value > $record", "?best is None or $value < $record")
_BEST_OF_REST = tuple(
    Pattern(f"?best = None\nfor ?x in $xs:\n    if ?x not in ?chosen and ({better}):\n        ?best = ?x")
    for better in _BETTER
)
_RECORD_OF_REST = tuple(
    Pattern(
        f"?best = $none\n?top = $low\nfor ?x in $xs:\n"
        f"    if {test.format(better=better)}:\n        ?best = ?x\n        ?top = $value"
    )
    for better in ("$value > ?top", "$value < ?top")
    for test in ("?x not in ?chosen and {better}", "{better} and ?x not in ?chosen")
)
_RECORD_OF_SHRINKING = tuple(
    Pattern(
        f"?best = $none\n?top = $low\nfor ?x in ?xs:\n"
        f"    if $value {sign} ?top:\n        ?best = ?x\n        ?top = $value"
    )
    for sign in ("<", ">")
)
_TAKE_EXTREME = tuple(
    (Pattern(f"while ?xs:\n    ?m = {extreme}(?xs)\n    {steps[0]}\n    {steps[1]}"), reverse)
    for extreme, reverse in (("min", ""), ("max", ", reverse=True"))
    for steps in (
        ("?xs.remove(?m)", "?out.append(?m)"),
        ("?out.append(?m)", "?xs.remove(?m)"),
    )
)


def repeated_selection(code: Code) -> Iterator[Site]:
    """Rank everything once, where each round of a loop looks for the best that was not taken yet.

    Strictly better and first come first: that is the order of a stable sort. O(k*n) -> O(n log n).
    Source: selection against sorting, Knuth, TAOCP 3, 5.2.3.
    """
    for pattern in (*_BEST_OF_REST, *_RECORD_OF_REST):
        for match in code.find(pattern):
            loop = next(iter(code.loops(match.first)), None)
            if (
                loop is not None
                and _only_best_is_chosen(code, match, loop)
                and _is_ranking(code, match, loop)
            ):
                yield _ranked(code, match, loop, "dict.fromkeys($xs)")
    for pattern in _RECORD_OF_SHRINKING:
        for match in code.find(pattern):
            loop = next(iter(code.loops(match.first)), None)
            if loop is not None and _only_best_is_removed(match, loop) and _is_ranking(code, match, loop):
                yield _ranked(code, match, loop, "$xs")


def _is_ranking(code: Code, match: Match, loop: Loop) -> bool:
    """Whether the value of an element is told by the element, the same way in each round."""
    value = match.expr("value")
    fixed = (
        names(value) - {match.name("x")} - (names(match.expr("xs")) if "chosen" not in match.found else set())
    )
    parts = [ast.Name(id=name, ctx=ast.Load()) for name in fixed]
    if "record" in match.found and not same(
        _spoken_of(value, match.name("x"), match.name("best")), match.expr("record")
    ):
        return False
    steady = "chosen" not in match.found or is_invariant(code, match.expr("xs"), loop_parts(loop))
    scan = match.statements[-1]
    return (
        steady
        and is_pure(code, value)
        and all(is_invariant(code, part, loop_parts(loop)) for part in parts)
        and not read_elsewhere(code, scan, {match.name("x")})
    )


class _Renamed(ast.NodeTransformer):
    def __init__(self, old: str, new: str) -> None:
        self._old, self._new = old, new

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Name(id=self._new, ctx=node.ctx) if node.id == self._old else node


def _spoken_of(value: ast.expr, element: str, other: str) -> ast.expr:
    """What is said of one element, said of another."""
    renamed = _Renamed(element, other).visit(copy.deepcopy(value))
    return renamed if isinstance(renamed, ast.expr) else value


_ADDS_BEST = (Pattern("?chosen.append(?best)"), Pattern("?chosen.add(?best)"))
_REMOVES_BEST = (Pattern("del ?xs[?best]"), Pattern("?xs.pop(?best)"), Pattern("?xs.remove(?best)"))


def _only_best_is_chosen(code: Code, match: Match, loop: Loop) -> bool:
    """Whether each round adds its best to what is chosen, and nothing else touches that."""
    chosen = match.name("chosen")
    changing = [node for name, node in changes(loop.body) if name == chosen]
    adds = [
        hit
        for node in loop.body
        for pattern in _ADDS_BEST
        if (hit := pattern.match(node))
        and hit.name("chosen") == chosen
        and hit.name("best") == match.name("best")
    ]
    return len(changing) == len(adds) == 1


def _only_best_is_removed(match: Match, loop: Loop) -> bool:
    shrinking = match.name("xs")
    changing = [node for name, node in changes(loop.body) if name == shrinking]
    removes = [
        hit
        for node in loop.body
        for pattern in _REMOVES_BEST
        if (hit := pattern.match(node))
        and hit.name("xs") == shrinking
        and hit.name("best") == match.name("best")
    ]
    return len(changing) == len(removes) == 1 and not stored(loop) & {shrinking}


def _ranked(code: Code, match: Match, loop: Loop, elements: str) -> Site:
    descending = any(
        isinstance(node, ast.Compare)
        and isinstance(node.ops[0], ast.Gt)
        and same(node.left, match.expr("value"))
        for node in walk(match.statements[-1])
    )
    order = ", reverse=True" if descending else ""
    none = match.expr("none") if "none" in match.found else ast.Constant(value=None)
    values = {**match.found, "ranked": ast.Name(id=code.fresh("ranked")), "none": none}
    rank = f"?ranked = iter(sorted({elements}, key=lambda ?x: $value{order}))"
    take = "?best = next(?ranked, $none)"
    if "top" in match.found:
        values["best_value"] = _spoken_of(match.expr("value"), match.name("x"), match.name("best"))
        take += "\n?top = $best_value if ?best != $none else $low"
    edits = [
        code.before(code.first_of_chain(loop), code.fill(rank, values)),
        code.replace(match.statements, code.fill(take, values)),
    ]
    return code.site(match.first, "best of the rest looked for in each round -> ranked once", edits)


def take_extreme(code: Code) -> Iterator[Site]:
    """Sort, where the smallest or largest element is taken out again and again.

    O(n^2) -> O(n log n). Source: selection sort against Timsort, Knuth, TAOCP 3, 5.2.3.
    """
    for pattern, reverse in _TAKE_EXTREME:
        for match in code.find(pattern):
            if not read_elsewhere(code, match.first, {match.name("m")}):
                new = code.fill(f"?out.extend(sorted(?xs{reverse}))\n?xs.clear()", match.found)
                what = "smallest or largest taken out again and again -> sorted once"
                yield code.site(match.first, what, [code.replace(match.statements, new)])


RULES = (
    Rule("repeated-selection", PYTHON, 23, repeated_selection),
    Rule("take-extreme", PYTHON, 110, take_extreme),
)
