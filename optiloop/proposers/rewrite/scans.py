"""Rules for loops that look every element over to find those equal to something."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from optiloop.proposers.rewrite.code import PYTHON, Code, subtree
from optiloop.proposers.rewrite.facts import (
    Growth,
    changed,
    growth,
    is_empty_list,
    is_invariant,
    is_pure,
    loop_parts,
    names,
    own_jumps,
    place_before,
    range_around,
    read_elsewhere,
    stored,
)
from optiloop.proposers.rewrite.kinds import Kinds
from optiloop.proposers.rewrite.pattern import Pattern, Value, same
from optiloop.proposers.rewrite.rule import Edit, Rule, Site


@dataclass(frozen=True)
class _Scan:
    """`for target in iterable: if key == wanted and rest: body`, where only the key depends on the target."""

    target: ast.expr
    iterable: ast.expr
    key: ast.expr
    wanted: ast.expr
    rest: Sequence[ast.expr]

    @property
    def variables(self) -> set[str]:
        return stored(self.target)


def grown_list_scan(code: Code) -> Iterator[Site]:
    """Find a key in a growing list with a dictionary of positions beside it, not by looking at every element.

    The way a beginner counts: two lists side by side, or a list of pairs. O(n) -> O(1) per question.
    Source: Knuth, TAOCP 3, 6.1 against 6.4.
    """
    for loop in _scanning_loops(code):
        scan = _scan_of(code, loop)
        grown = _growth_of_scanned(code, loop, scan) if scan else None
        if scan is not None and grown is not None and not read_elsewhere(code, loop, scan.variables):
            edits = _beside_growing(code, loop, scan, grown)
            if edits:
                what = f"scan of {_scanned_list(scan)} for a key -> dictionary beside it, O(n^2) -> O(n)"
                yield code.site(loop, what, edits)


def join_by_scan(code: Code) -> Iterator[Site]:
    """Group the inner list by the key once, then look the matching elements up: a hash join.

    O(n*m) -> O(n + m + matches). Source: DeWitt et al. 1984, hash join.
    """
    for loop in _scanning_loops(code):
        scan = _scan_of(code, loop)
        place = _place_of_table(code, loop, scan) if scan else None
        if scan is not None and place is not None and not read_elsewhere(code, loop, scan.variables):
            edits, imports = _joined(code, loop, scan, place)
            what = (
                f"scan of {ast.unparse(scan.iterable)} for equal keys -> table built once, O(n*m) -> O(n + m)"
            )
            yield code.site(loop, what, edits, imports)


def join_in_comprehension(code: Code) -> Iterator[Site]:
    """Look matching elements up in groups made once, where a comprehension scans for them each time.

    O(n*m) -> O(n + m + matches). Source: DeWitt et al. 1984, hash join.
    """
    every: list[ast.ListComp | ast.GeneratorExp | ast.SetComp] = [
        *code.of(ast.ListComp),
        *code.of(ast.GeneratorExp),
        *code.of(ast.SetComp),
    ]
    for node in every:
        if not node.generators[-1].ifs:
            continue
        generator = node.generators[-1]
        scan = _scan(code, generator.target, generator.iter, generator.ifs)
        place = place_before(code, node, *_fixed_parts(scan)) if scan and len(node.generators) == 1 else None
        if scan is not None and place is not None and _same_while(code, place, scan):
            name = code.fresh("groups")
            edits = [code.before(place, _groups(code, scan, name)), *_looked_up(code, node, scan, name)]
            what = f"comprehension over {ast.unparse(scan.iterable)} for equal keys -> groups made once"
            yield code.site(node, what, edits)


# --- what a scan is -----------------------------------------------------------------------------------


def _scanning_loops(code: Code) -> Iterator[ast.For]:
    for node in code.of(ast.For):
        if code.loops(node) or isinstance(code.scope(node), ast.FunctionDef):
            yield node


def _scan_of(code: Code, loop: ast.For) -> _Scan | None:
    match loop.body:
        case [ast.If(test=test, orelse=[])]:
            iterable, bound = _whole_range(code, loop)
            return _scan(code, loop.target, iterable, [test, *bound])
    return None


def _whole_range(code: Code, loop: ast.For) -> tuple[ast.expr, list[ast.expr]]:
    """A range that starts or ends where the outer loop stands, as the whole range and a condition."""
    outer = {name for around in code.loops(loop) for name in changed(around)}
    match loop.iter:
        case ast.Call(func=ast.Name(id="range") as function, args=[start, stop]) if names(start) & outer:
            bound = ast.Compare(left=loop.target, ops=[ast.GtE()], comparators=[start])
            return ast.Call(func=function, args=[stop], keywords=[]), [bound]
        case ast.Call(func=ast.Name(id="range") as function, args=[ast.Name() as stop]) if (
            names(stop) & outer
        ):
            whole = range_around(code, loop, stop)
            if whole is not None:
                return whole, [ast.Compare(left=loop.target, ops=[ast.Lt()], comparators=[stop])]
    return loop.iter, []


def _scan(code: Code, target: ast.expr, iterable: ast.expr, tests: Sequence[ast.expr]) -> _Scan | None:
    variables = stored(target)
    kinds = Kinds(code)
    conjuncts = [part for test in tests for part in _conjuncts(test)]
    for at, conjunct in enumerate(conjuncts):
        sides = _sides(conjunct, variables, kinds)
        if sides is not None and is_pure(code, iterable) and all(is_pure(code, side) for side in sides):
            key, wanted = sides
            if kinds.is_list(key) and kinds.is_list(wanted):
                key, wanted = _as_tuple(key), _as_tuple(wanted)
            if kinds.may_be_hashable(key) and kinds.may_be_hashable(wanted):
                return _Scan(target, iterable, key, wanted, [*conjuncts[:at], *conjuncts[at + 1 :]])
    return None


def _as_tuple(node: ast.expr) -> ast.expr:
    """Two lists are equal when their tuples are, and tuples can be keys."""
    return ast.Call(func=ast.Name(id="tuple"), args=[node], keywords=[])


def _conjuncts(test: ast.expr) -> list[ast.expr]:
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return [part for value in test.values for part in _conjuncts(value)]
    return [test]


def _sides(test: ast.expr, variables: set[str], kinds: Kinds) -> tuple[ast.expr, ast.expr] | None:
    """The side that depends on the loop variables, and the side that does not."""
    if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(test.ops[0], ast.Eq):
        return None
    for key, wanted in ((test.left, test.comparators[0]), (test.comparators[0], test.left)):
        if names(key) & variables and not names(wanted) & variables:
            return _solved_for(key, wanted, variables, kinds)
    return None


def _solved_for(
    key: ast.expr, wanted: ast.expr, variables: set[str], kinds: Kinds
) -> tuple[ast.expr, ast.expr] | None:
    """Bring what does not depend on the loop variables to the other side: `a + b == t` is `b == t - a`."""
    match key:
        case ast.BinOp(left=left, op=ast.Add(), right=right) if not kinds.is_text(key):
            for own, other in ((right, left), (left, right)):
                if names(own) & variables and not names(other) & variables:
                    return own, ast.BinOp(left=wanted, op=ast.Sub(), right=other)
    return key, wanted


# --- lists that stay the same -------------------------------------------------------------------------


def _fixed_parts(scan: _Scan | None) -> list[ast.AST]:
    """What the table is made of, apart from the loop variables."""
    if scan is None:
        return []
    others = [
        node for node in subtree(scan.key) if isinstance(node, ast.Name) and node.id not in scan.variables
    ]
    return [scan.iterable, *others]


def _place_of_table(code: Code, loop: ast.For, scan: _Scan) -> ast.stmt | None:
    if changed(loop.body) & names(_fixed_parts(scan)) or stored(loop.body) & scan.variables:
        return None
    place = place_before(code, loop, *_fixed_parts(scan))
    return place if place is not None and _same_while(code, place, scan) else None


def _same_while(code: Code, place: ast.stmt, scan: _Scan) -> bool:
    """A scan for what is the same each time is no search."""
    return not isinstance(place, ast.For | ast.While) or not is_invariant(
        code, scan.wanted, loop_parts(place)
    )


def _joined(code: Code, loop: ast.For, scan: _Scan, place: ast.stmt) -> tuple[list[Edit], list[str]]:
    body = loop.body[0].body if isinstance(loop.body[0], ast.If) else loop.body
    wanted = ast.unparse(scan.wanted)
    added = _constant_added(body, scan)
    if added is not None and not loop.orelse and not scan.rest:
        name = code.fresh("counts")
        build = f"{name} = collections.Counter({_all_keys(scan, '[', ']')})"
        times = f"{name}[{wanted}]" if added[1] == "1" else f"{added[1]} * {name}[{wanted}]"
        return [code.before(place, build), code.replace([loop], f"{added[0]} += {times}")], ["collections"]
    if _is_asked_once(body, scan) and not scan.rest:
        name = code.fresh("keys")
        build = f"{name} = set({ast.unparse(scan.iterable)})"
        if not same(scan.key, scan.target):
            build = f"{name} = {_all_keys(scan, '{', '}')}"
        return [code.before(place, build), code.replace([loop], _asked(code, loop, body, wanted, name))], []
    name = code.fresh("groups")
    text = code.fill(
        "for $target in $groups.get($wanted, ()):\n    $$body",
        {"target": scan.target, "groups": name, "wanted": scan.wanted, "body": _with_rest(code, scan, body)},
    )
    if loop.orelse:
        text += code.fill("\nif True:\n    $$orelse", {"orelse": loop.orelse}).replace("if True:", "else:")
    return [code.before(place, _groups(code, scan, name)), code.replace([loop], text)], []


def _all_keys(scan: _Scan, opening: str, closing: str) -> str:
    """A comprehension of the keys; the iterable itself where each element is its own key."""
    if same(scan.key, scan.target):
        return ast.unparse(scan.iterable)
    keys = f"{ast.unparse(scan.key)} for {_bare(scan.target)} in {ast.unparse(scan.iterable)}"
    return f"{opening}{keys}{closing}"


def _bare(target: ast.expr) -> str:
    parts = target.elts if isinstance(target, ast.Tuple) else [target]
    return ", ".join(ast.unparse(part) for part in parts)


def _groups(code: Code, scan: _Scan, name: str) -> str:
    target = ast.unparse(scan.target)
    return (
        f"{name} = {{}}\nfor {_bare(scan.target)} in {ast.unparse(scan.iterable)}:\n"
        f"    {name}.setdefault({ast.unparse(scan.key)}, []).append({target})"
    )


def _with_rest(code: Code, scan: _Scan, body: list[ast.stmt]) -> str | list[ast.stmt]:
    if not scan.rest:
        return body
    test = " and ".join(ast.unparse(part) for part in scan.rest)
    return code.fill("if $test:\n    $$body", {"test": test, "body": body})


def _looked_up(code: Code, node: ast.expr, scan: _Scan, name: str) -> list[Edit]:
    new = copy.deepcopy(node)
    if isinstance(new, ast.ListComp | ast.GeneratorExp | ast.SetComp):
        new.generators[-1].iter = ast.parse(f"{name}.get({ast.unparse(scan.wanted)}, ())", mode="eval").body
        new.generators[-1].ifs = list(scan.rest)
    text = ast.unparse(new)
    bare = isinstance(node, ast.GeneratorExp) and not code.segment(node).startswith("(")
    return [code.replace(node, text[1:-1] if bare else text)]


def _constant_added(body: Sequence[ast.stmt], scan: _Scan) -> tuple[str, str] | None:
    """The counter and the step, where a match does nothing but count."""
    match body:
        case [ast.AugAssign(target=ast.Name(id=name), op=ast.Add(), value=ast.Constant(value=int(step)))]:
            return None if name in names(scan.wanted) else (name, str(step))
    return None


_ADD_ONCE = Pattern("if $x not in $seen:\n    $seen.append($x)")


def _is_asked_once(body: Sequence[ast.stmt], scan: _Scan) -> bool:
    """Whether a second match would change nothing, and which element matched does not matter."""
    if names(body) & scan.variables:
        return False
    if isinstance(body[-1], ast.Break | ast.Return):
        return True
    return all(_changes_nothing_twice(statement) for statement in body)


def _changes_nothing_twice(statement: ast.stmt) -> bool:
    match statement:
        case ast.Assign(targets=[ast.Name()], value=ast.Constant()):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr="add"))):
            return True
    return _ADD_ONCE.match(statement) is not None


def _asked(code: Code, loop: ast.For, body: list[ast.stmt], wanted: str, name: str) -> str:
    then = body[:-1] if isinstance(body[-1], ast.Break) else body
    values: dict[str, Value | str] = {"wanted": wanted, "keys": name, "then": then, "orelse": loop.orelse}
    if isinstance(body[-1], ast.Break) and loop.orelse:
        return code.fill("if $wanted in $keys:\n    $$then\nelse:\n    $$orelse", values)
    text = code.fill("if $wanted in $keys:\n    $$then", values)
    return text + ("\n" + code.fill("$$orelse", values) if loop.orelse else "")


# --- lists that grow ----------------------------------------------------------------------------------


def _scanned_list(scan: _Scan) -> str:
    """The list a scan runs over, by index, by element, or by both."""
    match scan.iterable:
        case (
            ast.Name(id=name)
            | ast.Call(
                func=ast.Name(id="range"), args=[ast.Call(func=ast.Name(id="len"), args=[ast.Name(id=name)])]
            )
            | ast.Call(func=ast.Name(id="enumerate"), args=[ast.Name(id=name)])
        ):
            return name
    return ""


def _growth_of_scanned(code: Code, loop: ast.For, scan: _Scan) -> Growth | None:
    name = _scanned_list(scan)
    grown = growth(code, code.scope(loop), name) if name else None
    if grown is None or not grown.appends or not is_empty_list(grown.start.value) or scan.rest:
        return None
    body = loop.body[0].body if isinstance(loop.body[0], ast.If) else []
    jumps = own_jumps(body)
    at_end = not jumps or (len(jumps) == 1 and jumps[0] is body[-1] and isinstance(jumps[0], ast.Break))
    return grown if at_end and not stored(body) & scan.variables else None


def _beside_growing(code: Code, loop: ast.For, scan: _Scan, grown: Growth) -> list[Edit]:
    name = _scanned_list(scan)
    table = code.fresh(f"{name}_at")
    keeps: list[Edit] = []
    for append, item in grown.appends:
        key = _key_of_appended(scan, name, item)
        if key is None:
            return []
        keeps.append(code.after(append, f"{table}.setdefault({key}, {_found_at(scan, name)})"))
    body = loop.body[0].body if isinstance(loop.body[0], ast.If) else []
    text = _if_found(code, loop, body, scan, table, keeps)
    outside = [keep for keep in keeps if not code.start(loop) < keep.start <= code.line_after(loop)]
    return [code.after(grown.start, f"{table} = {{}}"), *outside, code.replace([loop], text)]


def _if_found(
    code: Code, loop: ast.For, body: list[ast.stmt], scan: _Scan, table: str, keeps: list[Edit]
) -> str:
    breaks = isinstance(body[-1], ast.Break)
    values: dict[str, Value | str] = {
        "target": scan.target,
        "table": table,
        "wanted": scan.wanted,
        "then": code.body_text(body[:-1] if breaks else body, keeps),
        "orelse": code.body_text(loop.orelse, keeps),
    }
    if isinstance(scan.target, ast.Tuple):
        values["place"] = code.fresh("place")
        text = "$place = $table.get($wanted)\nif $place is not None:\n    $target = $place\n    $$then"
    else:
        text = "$target = $table.get($wanted)\nif $target is not None:\n    $$then"
    if loop.orelse:
        text += "\nelse:\n    $$orelse" if breaks else "\n$$orelse"
    return code.fill(text, values)


def _found_at(scan: _Scan, name: str) -> str:
    """What the loop's target would be at the element just appended."""
    match scan.iterable:
        case ast.Name():
            return f"{name}[-1]"
        case ast.Call(func=ast.Name(id="range")):
            return f"len({name}) - 1"
    return f"(len({name}) - 1, {name}[-1])"


class _KeyOfElement(ast.NodeTransformer):
    def __init__(self, element: str, index: str, name: str, item: ast.expr) -> None:
        self._element, self._index, self._list, self._item = element, index, name, item

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._item if node.id == self._element else node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        match node:
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Name(id=index)):
                if name == self._list and index == self._index:
                    return self._item
        self.generic_visit(node)
        match node:
            case ast.Subscript(
                value=ast.List(elts=items) | ast.Tuple(elts=items), slice=ast.Constant(value=int(at))
            ):
                if -len(items) <= at < len(items):
                    return items[at]
        return node


def _key_of_appended(scan: _Scan, name: str, item: ast.expr) -> str | None:
    """The key of an element that is appended, said without the loop's variables."""
    match scan.target, scan.iterable:
        case ast.Name(id=element), ast.Name():
            index = ""
        case ast.Name(id=index), _:
            element = ""
        case ast.Tuple(elts=[ast.Name(id=index), ast.Name(id=element)]), _:
            pass
        case _:
            return None
    key = _KeyOfElement(element, index, name, item).visit(copy.deepcopy(scan.key))
    return None if names(key) & (scan.variables - names(item)) else ast.unparse(key)


RULES = (
    Rule("scan-grown-list", PYTHON, 41, grown_list_scan),
    Rule("join-by-scan", PYTHON, 43, join_by_scan),
    Rule("join-in-comprehension", PYTHON, 66, join_in_comprehension),
)
