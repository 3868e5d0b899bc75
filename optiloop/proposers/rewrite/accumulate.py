"""Rules for loops that build one value: a list, a text, a sum, a dictionary of counts."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from itertools import permutations

from optiloop.proposers.rewrite.code import PYTHON, Code, subtree
from optiloop.proposers.rewrite.facts import (
    changed,
    initialisation,
    is_constant,
    is_empty_list,
    is_name,
    is_pure,
    names,
    own_jumps,
    read_elsewhere,
    stored,
    stores,
    walk,
)
from optiloop.proposers.rewrite.kinds import Kinds
from optiloop.proposers.rewrite.pattern import Match, Pattern, mentions
from optiloop.proposers.rewrite.rule import Edit, Rule, Site

# --- loops that only collect --------------------------------------------------------------------------


def _collecting(code: Code, loop: ast.For) -> tuple[str, ast.stmt] | None:
    """The clauses of a comprehension for nested `for` and `if`, and the one statement within."""
    clauses: list[str] = []
    statement: ast.stmt = loop
    while True:
        match statement:
            case ast.For(target=target, iter=iterable, body=[inner], orelse=[]):
                clauses.append(f"for {ast.unparse(target)} in {_grouped(iterable)}")
                statement = inner
            case ast.If(test=test, body=[inner], orelse=[]) if clauses:
                clauses.append(f"if {_grouped(test)}")
                statement = inner
            case _:
                return (" ".join(clauses), statement) if clauses else None


def _grouped(node: ast.expr) -> str:
    text = ast.unparse(node)
    return f"({text})" if isinstance(node, ast.IfExp | ast.Lambda | ast.NamedExpr) else text


def _loop_variables(loop: ast.For) -> set[str]:
    return {name for node in subtree(loop) if isinstance(node, ast.For) for name in stored(node.target)}


def collecting_loops(code: Code) -> Iterator[tuple[ast.For, str, ast.stmt]]:
    """Loops that do one thing with each element: the loop, the clauses of a comprehension, the statement."""
    for node in code.of(ast.For):
        collected = _collecting(code, node)
        if collected is None or read_elsewhere(code, node, _loop_variables(node)):
            continue
        if not any(isinstance(n, ast.Await | ast.Yield | ast.YieldFrom) for n in subtree(node)):
            yield node, *collected


def append_loop(code: Code) -> Iterator[Site]:
    """Build a list with a comprehension, not by appending in a loop.

    A constant factor of 1.1 to 2. Source: ruff PERF401; PEP 202.
    """
    for loop, clauses, statement in collecting_loops(code):
        match statement:
            case ast.Expr(
                value=ast.Call(
                    func=ast.Attribute(value=ast.Name(id=name), attr="append"), args=[item], keywords=[]
                )
            ):
                inside = [node for node in subtree(loop) if isinstance(node, ast.Name) and node.id == name]
                if len(inside) == 1:
                    what = f"append to {name} in a loop -> comprehension"
                    yield code.site(loop, what, _built(code, loop, name, ast.unparse(item), clauses))


def _built(code: Code, loop: ast.For, name: str, item: str, clauses: str) -> list[Edit]:
    """The assignment of the empty list goes, where nothing stands between."""
    start = initialisation(code, loop, name)
    block = code.block(loop)
    at = next(index for index, node in enumerate(block) if node is loop)
    comprehension = f"[{item} {clauses}]"
    if item == clauses.split()[1] and clauses.count(" for ") == 0 and " if " not in clauses:
        comprehension = clauses.split(" in ", 1)[1]
        extend = f"{name}.extend({comprehension})"
        comprehension = f"list({comprehension})"
    else:
        extend = f"{name}.extend({comprehension})"
    if start is not None and is_empty_list(start.value) and block[at - 1] is start:
        return [code.replace([start, loop], f"{name} = {comprehension}")]
    return [code.replace([loop], extend)]


_ADDED = Pattern("?total += $value")


def sum_loop(code: Code) -> Iterator[Site]:
    """Add up with sum(), not in a loop.

    A constant factor of 1.3 to 3.5. Floats may differ in the last digit: from 3.12 sum() compensates.
    """
    kinds = Kinds(code)
    for loop, clauses, statement in collecting_loops(code):
        match = _addition(statement)
        if match is None or kinds.is_text(match.expr("value")):
            continue
        name, item = match.name("total"), ast.unparse(match.expr("value"))
        elsewhere = [
            node for node in walk(loop) if is_name(node, name) and node not in set(subtree(statement))
        ]
        if elsewhere or mentions(match.expr("value"), name) or not _starts_as_number(code, loop, name):
            continue
        whole = item == clauses.split()[1] and clauses.count("for ") == 1 and " if " not in clauses
        total = f"sum({clauses.split(' in ', 1)[1]})" if whole else f"sum([{item} {clauses}])"
        what = f"{name} added up in a loop -> sum()"
        yield code.site(loop, what, [code.replace([loop], f"{name} += {total}")])


def _starts_as_number(code: Code, loop: ast.For, name: str) -> bool:
    values = [code.parent(place) for place in stores(code.scope(loop), name)]
    return any(isinstance(value, ast.Assign) and is_constant(value.value, 0) for value in values)


_DEDUPE_TEXT = (Pattern('?out = ""\nfor ?x in $xs:\n    if ?x not in ?out:\n        ?out += ?x'),)
_DEDUPE = (
    Pattern("?out = []\nfor ?x in $xs:\n    if ?x not in ?out:\n        ?out.append(?x)"),
    Pattern("?out = list()\nfor ?x in $xs:\n    if ?x not in ?out:\n        ?out.append(?x)"),
    *(
        Pattern(f"{first}\n{second}\nfor ?x in $xs:\n    if ?x not in ?seen:\n        {one}\n        {other}")
        for first, second in permutations(("?out = []", "?seen = set()"))
        for one, other in permutations(("?out.append(?x)", "?seen.add(?x)"))
    ),
)


def dedupe_loop(code: Code) -> Iterator[Site]:
    """Drop repeats with dict.fromkeys, which keeps the order, not by asking the list so far.

    O(n^2) -> O(n), or a constant factor of 2 where a set was asked beside the list already. Source: insertion
    order of dict (Python 3.7).
    """
    kinds = Kinds(code)
    for pattern in (*_DEDUPE, *_DEDUPE_TEXT):
        for match in code.find(pattern):
            loop = match.nodes[-1]
            if not isinstance(loop, ast.For) or not kinds.items_may_be_hashable(match.expr("xs")):
                continue
            left = {match.name(name) for name in ("x", "seen") if name in match.found}
            if not read_elsewhere(code, loop, left):
                collected = '"".join' if pattern in _DEDUPE_TEXT else "list"
                new = code.fill(f"?out = {collected}(dict.fromkeys($xs))", match.found)
                what = "repeats dropped by asking the list so far -> dict.fromkeys, O(n^2) -> O(n)"
                if "seen" in match.found:
                    what = "repeats dropped by asking a set -> dict.fromkeys"
                yield code.site(match.first, what, [code.replace([match.first, loop], new)])


# --- texts --------------------------------------------------------------------------------------------


def join_pieces(code: Code) -> Iterator[Site]:
    """Collect the pieces of a text, or of bytes, and join them once, not add each to what is there.

    O(n^2) copying in the worst case -> O(n). Source: Python FAQ, efficient string concatenation.
    """
    kinds = Kinds(code)
    for loop in code.every_loop:
        if any(isinstance(n, ast.Return) for n in walk(loop)):
            continue
        additions = [match for node in walk(loop.body) if (match := _addition(node)) is not None]
        for name in dict.fromkeys(match.name("total") for match in additions):
            own = [match for match in additions if match.name("total") == name]
            kind = kinds.of(own[0].expr("total"))
            if kind is None or not (kind.is_text or kind.name == "bytes"):
                continue
            if _only_adds(code, loop, name, own):
                edits = _joined(code, loop, own, 'b""' if kind.name == "bytes" else '""')
                yield code.site(loop, f"pieces added to {name} one by one -> joined once", edits)


def _addition(node: ast.AST) -> Match | None:
    return _ADDED.match(node) if isinstance(node, ast.Assign | ast.AugAssign) else None


def _only_adds(code: Code, loop: ast.For | ast.While, name: str, additions: Sequence[Match]) -> bool:
    """Whether the loop, and none around it, does nothing with the text but add to it."""
    in_additions = sum(_appearances(match.first, name) for match in additions)
    in_pieces = sum(_appearances(match.expr("value"), name) for match in additions)
    around = any(name in stored(outer) for outer in code.loops(loop))
    return in_additions == _appearances(loop, name) and not in_pieces and not around


def _appearances(node: ast.AST, name: str) -> int:
    return sum(is_name(part, name) for part in subtree(node))


def _joined(code: Code, loop: ast.For | ast.While, additions: Sequence[Match], empty: str) -> list[Edit]:
    name = additions[0].name("total")
    parts = code.fresh(f"{name}_parts")
    return [
        code.before(code.first_of_chain(loop), f"{parts} = []"),
        *(code.replace([add.first], code.fill(f"{parts}.append($value)", add.found)) for add in additions),
        code.after(loop, f"{name} += {empty}.join({parts})"),
    ]


def join_generator(code: Code) -> Iterator[Site]:
    """Give str.join a list, which it would make of a generator anyway.

    A constant factor of 1.1 to 1.9. Source: CPython, PyUnicode_Join works on a sequence.
    """
    for node in code.of(ast.Call):
        match node:
            case ast.Call(func=ast.Attribute(attr="join"), args=[ast.GeneratorExp() as generator]):
                inside = ast.unparse(generator)[1:-1]
                new = f"{ast.unparse(node.func)}([{inside}])"
                yield code.site(node, "join of a generator -> of a list", [code.replace(node, new)])


# --- counts -------------------------------------------------------------------------------------------

_COUNT_BODIES = (
    "if ?x in ?d:\n        ?d[?x] += 1\n    else:\n        ?d[?x] = 1",
    "if ?x in ?d.keys():\n        ?d[?x] += 1\n    else:\n        ?d[?x] = 1",
    "if ?x not in ?d:\n        ?d[?x] = 1\n    else:\n        ?d[?x] += 1",
    "if ?x not in ?d:\n        ?d[?x] = 0\n    ?d[?x] += 1",
    "if ?x in ?d:\n        ?d[?x] = ?d[?x] + 1\n    else:\n        ?d[?x] = 1",
    "if ?x not in ?d:\n        ?d[?x] = 1\n    else:\n        ?d[?x] = ?d[?x] + 1",
    "?d[?x] = ?d.get(?x, 0) + 1",
    "?d.setdefault(?x, 0)\n    ?d[?x] += 1",
)
_COUNTS = tuple(
    Pattern(f"?d = {empty}\nfor ?x in $xs:\n    {body}")
    for empty in ("{}", "dict()")
    for body in _COUNT_BODIES
)


def count_loop(code: Code) -> Iterator[Site]:
    """Count with collections.Counter, whose loop runs in C; the result is a plain dict again.

    A constant factor of 1.7 to 4. Source: CPython, _count_elements.
    """
    for pattern in _COUNTS:
        for match in code.find(pattern):
            loop = match.nodes[1]
            if isinstance(loop, ast.For) and not read_elsewhere(code, loop, {match.name("x")}):
                new = code.fill("?d = dict(collections.Counter($xs))", match.found)
                edits = [code.replace([match.first, loop], new)]
                yield code.site(
                    match.first, "counted in a loop -> collections.Counter", edits, ["collections"]
                )


# --- loops over indices -------------------------------------------------------------------------------

_OVER_INDICES = Pattern("for ?i in range(len(?xs)):\n    $$body")
_COUNTING_WHILE = (
    (Pattern("?i = $start\nwhile ?i < $stop:\n    $$body\n    ?i += 1"), ""),
    (Pattern("?i = $start\nwhile ?i <= $stop:\n    $$body\n    ?i += 1"), " + 1"),
)


def direct_iteration(code: Code) -> Iterator[Site]:
    """Loop over the elements, not over their indices.

    A constant factor of 1.2 to 1.7. Source: refurb FURB; PEP 279.
    """
    for match in code.find(_OVER_INDICES):
        name, index, body = match.name("xs"), match.name("i"), match.body("body")
        parts = [node for node in walk(body) if _is_element(node, name, index)]
        if not parts or {name, index} & changed(body) or read_elsewhere(code, match.first, {index}):
            continue
        if any(isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) for node in parts):
            continue
        element = code.fresh(_singular(name))
        edits = [code.replace(part, element) for part in parts if isinstance(part, ast.expr)]
        loop = match.first
        only_elements = len(parts) == len(
            [n for n in walk(body) if isinstance(n, ast.Name) and n.id == index]
        )
        if isinstance(loop, ast.For):
            head = (element, name) if only_elements else (f"{index}, {element}", f"enumerate({name})")
            edits += [code.replace(loop.target, head[0]), code.replace(loop.iter, head[1])]
            yield code.site(loop, f"loop over the indices of {name} -> over its elements", edits)


def _is_element(node: ast.AST, name: str, index: str) -> bool:
    match node:
        case ast.Subscript(value=ast.Name(id=sequence), slice=ast.Name(id=at)):
            return sequence == name and at == index
    return False


def _singular(name: str) -> str:
    return name[:-1] if name.endswith("s") and len(name) > 2 else f"{name}_item"


def while_to_range(code: Code) -> Iterator[Site]:
    """Count with range, not by hand in a while loop.

    A constant factor of 1.2 to 2, and the other rules know for loops.
    """
    for pattern, beyond in _COUNTING_WHILE:
        for match in code.find(pattern):
            loop, stop = match.statements[-1], match.expr("stop")
            if isinstance(loop, ast.While) and _counts_to(code, match, loop):
                start = "" if is_constant(match.expr("start"), 0) else f"{ast.unparse(match.expr('start'))}, "
                head = f"for {match.name('i')} in range({start}{ast.unparse(stop)}{beyond}):\n    $$body"
                new = code.fill(head, {"body": match.body("body")})
                what = f"{match.name('i')} counted by hand in a while loop -> range"
                yield code.site(loop, what, [code.replace(match.statements, new)])


def _counts_to(code: Code, match: Match, loop: ast.While) -> bool:
    """Whether the loop leaves its counter and its end alone."""
    index, body, stop = match.name("i"), match.body("body"), match.expr("stop")
    if not body or index in changed(body) or mentions(stop, index) or not is_pure(code, stop):
        return False
    if any(isinstance(jump, ast.Continue) for jump in own_jumps(body)):
        return False
    return not names(stop) & changed(body) and not read_elsewhere(code, loop, {index})


RULES = (
    Rule("dedupe-loop", PYTHON, 100, dedupe_loop),
    Rule("count-loop", PYTHON, 1.5, count_loop),
    Rule("join-pieces", PYTHON, 1.8, join_pieces),
    Rule("join-generator", PYTHON, 1.22, join_generator),
    Rule("sum-loop", PYTHON, 1.57, sum_loop),
    Rule("append-loop", PYTHON, 1.02, append_loop),
    Rule("while-to-range", PYTHON, 1.91, while_to_range),
    Rule("direct-iteration", PYTHON, 1.02, direct_iteration),
)
