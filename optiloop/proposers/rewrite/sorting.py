"""Rules for sorting by hand."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from optiloop.proposers.rewrite.code import PYTHON, Code, Loop, subtree
from optiloop.proposers.rewrite.facts import (
    IMPURE_NAMES,
    changed,
    is_constant,
    is_pure,
    names,
    read_elsewhere,
    stored,
    walk,
)
from optiloop.proposers.rewrite.pattern import Pattern, mentions, same
from optiloop.proposers.rewrite.rule import Rule, Site

_EARLIER, _LATER = "one", "other"
_RANGE_FROM_NEXT = Pattern("range($i + 1, $stop)")


@dataclass(frozen=True)
class _Write:
    """One assignment to an element, and the condition that led there (None: no condition)."""

    sequence: str
    index: ast.expr
    value: ast.expr
    condition: ast.expr | None


@dataclass(frozen=True)
class _Step:
    """What one round of the inner loop does, told symbolically: its variables and its writes."""

    values: dict[str, ast.expr] = field(default_factory=dict)
    writes: list[_Write] = field(default_factory=list)


class _NotASortError(Exception):
    """The loop does something that a sort does not."""


def sort_swaps(code: Code) -> Iterator[Site]:
    """Sort with list.sort() where nested loops compare elements and swap them.

    Bubble, exchange, cocktail, selection and insertion sorts. O(n^2) -> O(n log n).
    Source: Knuth, TAOCP 3, 5.2.1-5.2.3; Timsort for what replaces it.
    """
    for node in code.every_loop:
        if not any(_sorted_by(code, outer) for outer in code.loops(node)):
            text = _sorted_by(code, node)
            if text is not None:
                what = "compare-and-swap loops -> list.sort(), O(n^2) -> O(n log n)"
                yield code.site(node, what, [code.replace([node], text)], _imports_of(text))


def _imports_of(text: str) -> list[str]:
    return ["functools"] if "functools." in text else []


def _sorted_by(code: Code, loop: Loop) -> str | None:
    """The statements that do what the sorting loop does, or None where it does something else."""
    if not _only_sorts(code, loop):
        return None
    try:
        return _insertion(loop) or _selection(loop) or _exchanges(loop)
    except _NotASortError:
        return None


def _only_sorts(code: Code, loop: Loop) -> bool:
    forbidden = (ast.Return, ast.Yield, ast.YieldFrom, ast.Await, ast.Raise, ast.Try, ast.With, ast.Delete)
    calls = [node for node in walk(loop) if isinstance(node, ast.Call)]
    return (
        not loop.orelse
        and not any(isinstance(node, forbidden) for node in walk(loop.body))
        and not names(loop) & IMPURE_NAMES
        and all(is_pure(code, call) for call in calls)
        and not read_elsewhere(code, loop, stored(loop))
    )


# --- bubble and exchange sorts ------------------------------------------------------------------------


def _exchanges(loop: Loop) -> str | None:
    inner = [node for node in walk(loop.body) if isinstance(node, ast.For | ast.While)]
    innermost = [
        node for node in inner if not any(isinstance(n, ast.For | ast.While) for n in walk(node.body))
    ]
    if not innermost:
        return None
    found: str | None = None
    for scan in innermost:
        step = _Step()
        _run(scan.body, None, step)
        condition = _with_loop_test(scan, _condition_of(step.writes))
        text = _sort_statements(step.writes, condition, loop)
        if text is None or (found is not None and text != found):
            return None
        found = text
    return found


def _with_loop_test(scan: Loop, condition: ast.expr | None) -> ast.expr | None:
    """An insertion sort by swaps has its comparison in the test of the while loop."""
    if not isinstance(scan, ast.While):
        return condition
    tests = (
        scan.test.values
        if isinstance(scan.test, ast.BoolOp) and isinstance(scan.test.op, ast.And)
        else [scan.test]
    )
    comparisons = [test for test in tests if any(isinstance(n, ast.Subscript) for n in subtree(test))]
    return _both([*comparisons, condition])


def _run(body: Sequence[ast.stmt], condition: ast.expr | None, step: _Step) -> None:
    """Follow the statements of one round; `condition` is what led here."""
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                _assign(name, _inlined(value, step), condition, step)
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                values = [_inlined(value, step) for value in values]
                for target, value in zip(targets, values, strict=True):
                    _write(target, value, condition, step)
            case ast.Assign(targets=[ast.Subscript() as target], value=value):
                _write(target, _inlined(value, step), condition, step)
            case ast.If(test=test, body=then, orelse=otherwise):
                _run(then, _both([condition, _inlined(test, step)]), step)
                _run(otherwise, condition, step)
            case ast.AugAssign(target=ast.Name()) | ast.Pass() | ast.Break() | ast.Continue():
                pass
            case _:
                raise _NotASortError


def _assign(name: str, value: ast.expr, condition: ast.expr | None, step: _Step) -> None:
    """A flag set under a condition stands for the condition."""
    if condition is not None and is_constant(value, True) and name in step.values:
        old = step.values[name]
        step.values[name] = condition if is_constant(old, False) else _either(old, condition)
    elif condition is None or not isinstance(value, ast.Constant):
        step.values[name] = value


def _write(target: ast.expr, value: ast.expr, condition: ast.expr | None, step: _Step) -> None:
    match target:
        case ast.Subscript(value=ast.Name(id=sequence), slice=index):
            step.writes.append(_Write(sequence, _inlined(index, step), value, condition))
        case ast.Name(id=name):
            _assign(name, value, condition, step)
        case _:
            raise _NotASortError


def _condition_of(writes: Sequence[_Write]) -> ast.expr | None:
    """When anything is written at all; None where that is always."""
    distinct: list[ast.expr] = []
    for write in writes:
        if write.condition is None:
            return None
        if not any(same(write.condition, known) for known in distinct):
            distinct.append(write.condition)
    return (
        ast.BoolOp(op=ast.Or(), values=distinct) if len(distinct) > 1 else distinct[0] if distinct else None
    )


class _Inliner(ast.NodeTransformer):
    def __init__(self, values: Mapping[str, ast.expr]) -> None:
        self._values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._values.get(node.id, node)


def _inlined(node: ast.expr, step: _Step) -> ast.expr:
    result = _Inliner(step.values).visit(copy.deepcopy(node))
    return result if isinstance(result, ast.expr) else node


def _both(conditions: Sequence[ast.expr | None]) -> ast.expr | None:
    known = [condition for condition in conditions if condition is not None]
    return known[0] if len(known) == 1 else ast.BoolOp(op=ast.And(), values=known) if known else None


def _either(one: ast.expr, other: ast.expr) -> ast.expr:
    return ast.BoolOp(op=ast.Or(), values=[one, other])


def _sort_statements(writes: Sequence[_Write], condition: ast.expr | None, loop: Loop) -> str | None:
    """Sort all lists whose elements trade places, by what the condition says about two of them."""
    pair = _swapped_pair(writes)
    if pair is None or condition is None:
        return None
    lists = list(dict.fromkeys(write.sequence for write in writes))
    if changed(loop) - stored(loop) - set(lists):
        return None
    earlier, later = _in_order(pair, loop) or (None, None)
    if earlier is None or later is None:
        return None
    return _sort_by_condition(lists, condition, earlier, later, stored(loop))


def _swapped_pair(writes: Sequence[_Write]) -> tuple[ast.expr, ast.expr] | None:
    """The two indices, where all writes are swaps of the elements at these two."""
    if not writes or len(writes) % 2:
        return None
    pair = writes[0].index, writes[1].index
    for write, partner in zip(writes[::2], writes[1::2], strict=True):
        swaps = (
            write.sequence == partner.sequence
            and _is_element(write.value, write.sequence, partner.index)
            and _is_element(partner.value, write.sequence, write.index)
            and any(same(write.index, index) for index in pair)
            and any(same(partner.index, index) for index in pair)
        )
        if not swaps:
            return None
    return pair


def _is_element(node: ast.expr, sequence: str, index: ast.expr) -> bool:
    match node:
        case ast.Subscript(value=ast.Name(id=name), slice=at):
            return name == sequence and same(at, index)
    return False


def _in_order(pair: tuple[ast.expr, ast.expr], loop: Loop) -> tuple[ast.expr, ast.expr] | None:
    """The two indices, the smaller one first; None where the text does not tell."""
    one, other = pair
    if _is_next(one, other):
        return one, other
    if _is_next(other, one):
        return other, one
    for scan in walk(loop.body):
        if isinstance(scan, ast.For):
            match = _RANGE_FROM_NEXT.match(scan.iter)
            if match is not None:
                for early, late in (pair, (other, one)):
                    if same(early, match.expr("i")) and same(late, scan.target):
                        return early, late
    return None


def _is_next(one: ast.expr, other: ast.expr) -> bool:
    """Whether `other` is `one` + 1, in either spelling."""
    match one, other:
        case _, ast.BinOp(left=left, op=ast.Add(), right=ast.Constant(value=1)) if same(left, one):
            return True
        case ast.BinOp(left=left, op=ast.Sub(), right=ast.Constant(value=1)), _ if same(left, other):
            return True
    return False


# --- from a condition to a sort -----------------------------------------------------------------------


@dataclass(frozen=True)
class _Criterion:
    """One thing two elements are compared by; `text` speaks of the element `one`."""

    text: str
    descending: bool


def _sort_by_condition(
    lists: Sequence[str], condition: ast.expr, earlier: ast.expr, later: ast.expr, variables: set[str]
) -> str | None:
    abstract = _Abstraction(lists, earlier, later).visit(copy.deepcopy(condition))
    left_over = names(abstract) & (variables | set(lists))
    if left_over - (set(lists) if len(lists) > 1 else set()):
        return None
    criteria = _criteria(abstract)
    if len(lists) > 1:
        return _sort_together(lists, criteria) if criteria else None
    if criteria:
        return "\n".join(_sort_passes(lists[0], criteria))
    return _sort_by_comparison(lists[0], abstract)


class _Abstraction(ast.NodeTransformer):
    """Replaces the two elements by two names; of parallel lists, the two indices."""

    def __init__(self, lists: Sequence[str], earlier: ast.expr, later: ast.expr) -> None:
        self._lists = lists
        self._names = ((earlier, _EARLIER), (later, _LATER))

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if isinstance(node.value, ast.Name) and node.value.id in self._lists:
            for index, name in self._names:
                if same(node.slice, index):
                    element = ast.Name(id=name, ctx=ast.Load())
                    if len(self._lists) == 1:
                        return element
                    return ast.Subscript(value=node.value, slice=element, ctx=ast.Load())
        self.generic_visit(node)
        return node


def _criteria(condition: ast.expr) -> list[_Criterion]:
    """The lexicographic order a condition for swapping stands for, or none where it is another."""
    match condition:
        case ast.Compare():
            criterion = _criterion(condition)
            return [criterion] if criterion else []
        case ast.BoolOp(op=ast.Or(), values=[ast.Compare() as first, *rest]):
            criterion = _criterion(first)
            tail = _criteria(_behind_tie(rest, criterion)) if criterion else []
            return [criterion, *tail] if criterion and tail else []
    return []


def _behind_tie(rest: Sequence[ast.expr], criterion: _Criterion | None) -> ast.expr:
    """The condition that decides where the first criterion ties: `a == b and ...`."""
    if len(rest) > 1:
        stripped = [_behind_tie([part], criterion) for part in rest]
        return ast.BoolOp(op=ast.Or(), values=stripped)
    match rest[0]:
        case ast.BoolOp(
            op=ast.And(), values=[ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]), *more]
        ):
            tie = {ast.unparse(left), ast.unparse(right)}
            if criterion and tie == {criterion.text, _renamed(criterion.text)}:
                return more[0] if len(more) == 1 else ast.BoolOp(op=ast.And(), values=more)
    return ast.Constant(value=None)


def _criterion(compare: ast.Compare) -> _Criterion | None:
    if len(compare.ops) != 1 or not isinstance(compare.ops[0], ast.Lt | ast.Gt | ast.LtE | ast.GtE):
        return None
    left, right = ast.unparse(compare.left), ast.unparse(compare.comparators[0])
    descending = isinstance(compare.ops[0], ast.Lt | ast.LtE)
    if mentions(compare.left, _LATER):
        left, right, descending = right, left, not descending
    if not _speaks_of(left, _EARLIER) or _speaks_of(left, _LATER) or _renamed(left) != right:
        return None
    if isinstance(compare.ops[0], ast.LtE | ast.GtE) and left != _EARLIER:
        return None
    return _Criterion(left, descending)


def _speaks_of(text: str, name: str) -> bool:
    return mentions(ast.parse(text), name)


def _renamed(text: str) -> str:
    return ast.unparse(_Inliner({_EARLIER: ast.Name(id=_LATER, ctx=ast.Load())}).visit(ast.parse(text)))


def _sort_passes(sequence: str, criteria: Sequence[_Criterion]) -> list[str]:
    """Sort by the last criterion first: list.sort() is stable, so each earlier one overrules it."""
    return [f"{sequence}.sort({_sort_arguments(run)})" for run in reversed(_same_direction(criteria))]


def _same_direction(criteria: Sequence[_Criterion]) -> list[list[_Criterion]]:
    runs: list[list[_Criterion]] = []
    for criterion in criteria:
        if runs and runs[-1][0].descending == criterion.descending:
            runs[-1].append(criterion)
        else:
            runs.append([criterion])
    return runs


def _sort_arguments(run: Sequence[_Criterion]) -> str:
    texts = [criterion.text for criterion in run]
    key = texts[0] if len(texts) == 1 else f"({', '.join(texts)})"
    parts = [] if key == _EARLIER else [f"key=lambda {_EARLIER}: {key}"]
    return ", ".join([*parts, *(["reverse=True"] if run[0].descending else [])])


def _sort_together(lists: Sequence[str], criteria: Sequence[_Criterion]) -> str:
    lines = [f"order = list(range(len({lists[0]})))", *_sort_passes("order", criteria)]
    return "\n".join(
        [*lines, *(f"{name}[:] = [{name}[{_EARLIER}] for {_EARLIER} in order]" for name in lists)]
    )


def _sort_by_comparison(sequence: str, condition: ast.expr) -> str | None:
    if not mentions(condition, _EARLIER) or not mentions(condition, _LATER):
        return None
    swap = ast.unparse(condition)
    trade = {
        _EARLIER: ast.Name(id=_LATER, ctx=ast.Load()),
        _LATER: ast.Name(id=_EARLIER, ctx=ast.Load()),
    }
    back = ast.unparse(_Inliner(trade).visit(ast.parse(swap, mode="eval")))
    compare = f"lambda {_EARLIER}, {_LATER}: 1 if {swap} else -1 if {back} else 0"
    return f"{sequence}.sort(key=functools.cmp_to_key({compare}))"


# --- selection and insertion sorts --------------------------------------------------------------------

_SWAP_OF_BEST = (
    Pattern("?a[$i], ?a[?best] = ?a[?best], ?a[$i]"),
    Pattern("?a[?best], ?a[$i] = ?a[$i], ?a[?best]"),
    Pattern("?kept = ?a[$i]\n?a[$i] = ?a[?best]\n?a[?best] = ?kept"),
    Pattern("?kept = ?a[?best]\n?a[?best] = ?a[$i]\n?a[$i] = ?kept"),
    Pattern("if $different:\n    ?a[$i], ?a[?best] = ?a[?best], ?a[$i]"),
    Pattern("if $different:\n    ?a[?best], ?a[$i] = ?a[$i], ?a[?best]"),
    Pattern("if $different:\n    ?kept = ?a[$i]\n    ?a[$i] = ?a[?best]\n    ?a[?best] = ?kept"),
)
_SELECTION = Pattern(
    "for ?i in $places:\n    ?best = ?i\n    for ?j in range(?i + 1, $stop):\n        $$look\n    $$swap"
)
_INSERTION = (
    Pattern(
        "for ?i in range(1, $stop):\n    ?key = ?a[?i]\n    ?j = ?i - 1\n"
        "    while ?j >= 0 and $moves:\n        ?a[?j + 1] = ?a[?j]\n        ?j -= 1\n    ?a[?j + 1] = ?key"
    ),
    Pattern(
        "for ?i in range(1, $stop):\n    ?key = ?a[?i]\n    ?j = ?i\n"
        "    while ?j > 0 and $moves:\n        ?a[?j] = ?a[?j - 1]\n        ?j -= 1\n    ?a[?j] = ?key"
    ),
)


def _selection(loop: Loop) -> str | None:
    """For each place, find the smallest of the rest and swap it there."""
    match = _SELECTION.match(loop)
    if match is None:
        return None
    swap = next((hit for pattern in _SWAP_OF_BEST if (hit := pattern.match_at(match.body("swap"), 0))), None)
    if swap is None or swap.name("best") != match.name("best") or not same(swap.expr("i"), match.expr("i")):
        return None
    if len(swap.nodes) != len(match.body("swap")):
        return None
    condition = _condition_to_choose(match.body("look"), match.name("best"), match.expr("j"))
    if condition is None:
        return None
    return _sort_by_condition(
        [swap.name("a")], condition, match.expr("best"), match.expr("j"), {match.name("i"), match.name("j")}
    )


def _condition_to_choose(look: Sequence[ast.stmt], best: str, j: ast.expr) -> ast.expr | None:
    """When the scan takes `j` for the best so far."""
    found: ast.expr | None = None
    for statement in look:
        match statement:
            case ast.If(
                test=test, body=[ast.Assign(targets=[ast.Name(id=name)], value=value)], orelse=orelse
            ):
                rest = _condition_to_choose(orelse, best, j) if orelse else None
                if name != best or not same(value, j) or (orelse and rest is None):
                    return None
                found = _either(test, rest) if rest else test
            case ast.If(test=test, body=[ast.If() as inner], orelse=[]):
                found = _both([test, _condition_to_choose([inner], best, j)])
            case _:
                return None
    return found


def _insertion(loop: Loop) -> str | None:
    """Move each element down past the larger ones."""
    for at, pattern in enumerate(_INSERTION):
        match = pattern.match(loop)
        if match is not None:
            left = (
                match.expr("j") if at == 0 else ast.BinOp(match.expr("j"), ast.Sub(), ast.Constant(value=1))
            )
            moves = _Inliner({match.name("key"): _element(match.name("a"), "key_place")}).visit(
                copy.deepcopy(match.expr("moves"))
            )
            later = ast.Name(id="key_place", ctx=ast.Load())
            return _sort_by_condition(
                [match.name("a")], moves, left, later, {match.name("i"), match.name("j")}
            )
    return None


def _element(sequence: str, index: str) -> ast.expr:
    return ast.Subscript(
        value=ast.Name(id=sequence, ctx=ast.Load()), slice=ast.Name(id=index, ctx=ast.Load()), ctx=ast.Load()
    )


RULES = (Rule("sort-swaps", PYTHON, 380, sort_swaps),)
