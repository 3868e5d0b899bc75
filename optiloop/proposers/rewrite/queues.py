"""Rules for lists that are used at their front, or copied to grow."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from optiloop.proposers.rewrite.code import PYTHON, Code, Scope
from optiloop.proposers.rewrite.facts import (
    changed,
    initialisation,
    is_empty_list,
    loads,
    own_jumps,
    parameter_names,
    stores,
    walk,
    words,
)
from optiloop.proposers.rewrite.kinds import Kinds
from optiloop.proposers.rewrite.pattern import Match, Pattern, mentions
from optiloop.proposers.rewrite.rule import Edit, Rule, Site

_WHILE_ANY = (
    "while ?xs:",
    "while len(?xs) > 0:",
    "while len(?xs) != 0:",
    "while ?xs != []:",
    'while ?xs != "":',
)
_TAKE_FIRST = (
    *(Pattern(f"{head}\n    ?x = ?xs.pop(0)\n    $$body") for head in _WHILE_ANY),
    *(Pattern(f"{head}\n    ?x = ?xs[0]\n    del ?xs[0]\n    $$body") for head in _WHILE_ANY),
    *(Pattern(f"{head}\n    ?x = ?xs[0]\n    ?xs = ?xs[1:]\n    $$body") for head in _WHILE_ANY),
    *(Pattern(f"{head}\n    ?x = ?xs[0]\n    $$body\n    ?xs = ?xs[1:]") for head in _WHILE_ANY),
)


def consume_in_order(code: Code) -> Iterator[Site]:
    """Go through a list with `for`, not by taking its first element away until it is empty.

    Each removal moves or copies the rest. O(n^2) -> O(n). Source: Python wiki TimeComplexity.
    """
    for pattern in _TAKE_FIRST:
        for match in code.find(pattern):
            name, body = match.name("xs"), match.body("body")
            if mentions(body, name) or any(isinstance(jump, ast.Break) for jump in own_jumps(body)):
                continue
            if any(isinstance(node, ast.Return) for node in walk(body)) and not _is_local(
                code, match.first, name
            ):
                continue
            if any(isinstance(jump, ast.Continue) for jump in own_jumps(body)) and not _takes_at_head(match):
                continue
            values = {key: match.found[key] for key in ("x", "xs", "body")}
            new = code.fill("for ?x in ?xs:\n    $$body\n?xs = ?xs[:0]", values)
            what = f"first element of {name} taken away until it is empty -> for loop, O(n^2) -> O(n)"
            yield code.site(match.first, what, [code.replace([match.first], new)])


def _takes_at_head(match: Match) -> bool:
    loop = match.first
    return isinstance(loop, ast.While) and not isinstance(loop.body[-1], ast.Assign)


def _is_local(code: Code, node: ast.AST, name: str) -> bool:
    scope = code.scope(node)
    return not isinstance(scope, ast.Module) and name not in parameter_names(scope)


# --- queues -------------------------------------------------------------------------------------------

_QUEUE_METHODS = words("append pop extend insert clear remove reverse count")
_TAKES_ANY = words("len list tuple sorted sum set enumerate min max any all reversed str print bool iter")


def list_as_queue(code: Code) -> Iterator[Site]:
    """Take from, or put at, the front of a deque, not of a list.

    O(n) -> O(1) per operation. Source: collections.deque.
    """
    for scope in code.functions:
        for name in sorted(set(_front_uses(code, scope))):
            parents = [code.parent(place) for place in stores(scope, name)]
            starts = [p for p in parents if isinstance(p, ast.Assign | ast.AnnAssign) and p.value is not None]
            if len(starts) == len(stores(scope, name)) and starts and _is_only_queue(code, scope, name):
                edits = [*_wrapped(code, starts), *_front_edits(code, scope, name)]
                what = f"list {name} used at its front -> collections.deque, O(n) -> O(1) per operation"
                yield code.site(scope.body[0], what, edits, ["collections"])


def _front_uses(code: Code, scope: Scope) -> Iterator[str]:
    for node in walk(scope.body):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=name), attr="pop" | "insert"),
                args=[ast.Constant(value=0), *_],
            ):
                if code.loops(node):
                    yield name


def _is_only_queue(code: Code, scope: Scope, name: str) -> bool:
    """Whether a deque can do all that is done with the list."""
    return all(_deque_can(code, use) for use in loads(scope.body, name))


def _deque_can(code: Code, use: ast.Name) -> bool:
    parent = code.parent(use)
    match parent:
        case ast.Attribute(attr="pop" | "insert" as method):
            call = code.parent(parent)
            args = call.args if isinstance(call, ast.Call) else []
            at_end = not args or (isinstance(args[0], ast.Constant) and args[0].value in (0, -1))
            return at_end if method == "pop" else True
        case ast.Attribute(attr=method):
            return method in _QUEUE_METHODS
        case ast.Subscript(slice=index):
            return not isinstance(index, ast.Slice)
        case ast.Call(func=ast.Name(id=function)):
            return function in _TAKES_ANY
        case (
            ast.Call(func=ast.Attribute(attr="join"))
            | ast.While()
            | ast.If()
            | ast.For()
            | ast.comprehension()
        ):
            return True
        case ast.BoolOp() | ast.UnaryOp():
            return True
        case ast.Compare(ops=[ast.In() | ast.NotIn()]):
            return True
    return False


def _wrapped(code: Code, starts: list[ast.Assign | ast.AnnAssign]) -> list[Edit]:
    edits = []
    for start in starts:
        if start.value is not None:
            value = "" if is_empty_list(start.value) else code.segment(start.value)
            edits.append(code.replace(start.value, f"collections.deque({value})"))
    return edits


def _front_edits(code: Code, scope: Scope, name: str) -> list[Edit]:
    edits = []
    for node in walk(scope.body):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=queue), attr=method),
                args=[ast.Constant(value=at), *rest],
            ):
                if queue == name and method == "pop":
                    edits.append(code.replace(node, f"{name}.popleft()" if at == 0 else f"{name}.pop()"))
                elif queue == name and method == "insert" and at == 0:
                    edits.append(code.replace(node, f"{name}.appendleft({code.segment(rest[0])})"))
    return edits


# --- growing at the front, or by copying --------------------------------------------------------------


def insert_at_front(code: Code) -> Iterator[Site]:
    """Append and reverse once at the end, not insert at the front each time.

    O(n^2) -> O(n). Source: Python wiki TimeComplexity.
    """
    for node in code.of(ast.Expr):
        match node:
            case ast.Expr(
                value=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="insert"), args=[first, item])
            ):
                loop = code.loops(node)[-1] if code.loops(node) else None
                if loop is None or not isinstance(first, ast.Constant) or first.value != 0:
                    continue
                start = initialisation(code, loop, name)
                uses = loads(loop, name)
                if start is not None and is_empty_list(start.value) and len(uses) == 1:
                    edits = [code.replace([node], f"{name}.append({code.segment(item)})")]
                    edits.append(code.after(loop, f"{name}.reverse()"))
                    yield code.site(node, f"insert at the front of {name} -> append, and reverse once", edits)


_GROW_BY_COPY = (
    (Pattern("?xs = ?xs + [$x]"), "?xs.append($x)"),
    (Pattern("?xs = [*?xs, $x]"), "?xs.append($x)"),
    (Pattern("?xs += [$x]"), "?xs.append($x)"),
    (Pattern("?xs = ?xs + $more"), "?xs.extend($more)"),
)


def grow_in_place(code: Code) -> Iterator[Site]:
    """Append to a list in place, not make a longer copy each time.

    O(n) -> O(1) per element. Source: Python wiki TimeComplexity.
    """
    kinds = Kinds(code)
    done: set[ast.AST] = set()
    for pattern, template in _GROW_BY_COPY:
        for match in code.find(pattern):
            target = match.expr("xs")
            if match.first in done or not code.loops(match.first) or not kinds.is_list(target):
                continue
            if isinstance(match.first, ast.AugAssign) and "more" in match.found:
                continue
            if _is_shared(code, match.first, match.name("xs")):
                continue
            done.add(match.first)
            new = code.fill(template, match.found)
            what = f"longer copy of {match.name('xs')} for each element -> grown in place"
            yield code.site(match.first, what, [code.replace([match.first], new)])


def _is_shared(code: Code, statement: ast.stmt, name: str) -> bool:
    """Whether the list has, or may get, a second name or holder that must not see it grow."""
    scope = code.scope(statement)
    if not isinstance(scope, ast.Module) and name in parameter_names(scope):
        return True
    for use in loads(scope.body, name):
        parent = code.parent(use)
        in_loop = any(loop in code.loops(use) for loop in code.loops(statement))
        if isinstance(parent, ast.Assign | ast.List | ast.Tuple | ast.Dict) and parent is not statement:
            return True
        holds = isinstance(parent, ast.Call) and isinstance(parent.func, ast.Attribute) and use in parent.args
        if holds and in_loop:
            return True
    return any(
        isinstance(code.parent(place), ast.Assign)
        and isinstance(getattr(code.parent(place), "value", None), ast.Name)
        for place in stores(scope, name)
    )


_PREPENDED = Pattern("?out = $piece + ?out")


def prepend_text(code: Code) -> Iterator[Site]:
    """Collect the pieces and join them backwards once, not put each in front of the text so far.

    O(n^2) copying -> O(n). Source: Python FAQ, efficient string concatenation.
    """
    kinds = Kinds(code)
    for match in code.find(_PREPENDED):
        name, loops = match.name("out"), code.loops(match.first)
        if not loops or not kinds.is_text(match.expr("out")) or mentions(match.expr("piece"), name):
            continue
        loop = loops[-1]
        if (
            len(loads(loop, name)) != 1
            or len(stores(loop, name)) != 1
            or name in changed(match.expr("piece"))
        ):
            continue
        parts = code.fresh(f"{name}_parts")
        edits = [
            code.before(code.first_of_chain(loop), f"{parts} = []"),
            code.replace([match.first], f"{parts}.append({code.segment(match.expr('piece'))})"),
            code.after(loop, f'{name} = "".join(reversed({parts})) + {name}'),
        ]
        yield code.site(match.first, f"pieces put in front of {name} -> joined backwards once", edits)


RULES = (
    Rule("consume-in-order", PYTHON, 2.75, consume_in_order),
    Rule("list-as-queue", PYTHON, 2.07, list_as_queue),
    Rule("insert-at-front", PYTHON, 1.7, insert_at_front),
    Rule("grow-in-place", PYTHON, 6.68, grow_in_place),
    Rule("prepend-text", PYTHON, 1.09, prepend_text),
)
