"""Patterns of Python code with placeholders: match them against a tree, or fill them in. Pure.

    $x      any expression; the same expression wherever it appears again
    ?x      any plain name
    $$x     any run of statements, also none

Python has several spellings for one thing, and a pattern matches them all: `a < b` and `b > a`,
`x += 1` and `x = x + 1`, `range(n)` and `range(0, n)`, `not found` and `found == False`, `if a and b` and
`if a: if b`, and an assignment with or without an annotation.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import cast

Value = ast.expr | Sequence[ast.stmt]
_Found = Mapping[str, Value]

_PLACEHOLDER = re.compile(r"(\$\$|\$|\?)([a-z]\w*)")
_PREFIX = {"$": "any__", "?": "name__", "$$": "body__"}
_KIND_AND_NAME = re.compile(r"(any|name|body)__(\w+)$")
_IGNORED = frozenset({"ctx", "type_comment", "kind"})
# Other types that some spelling of the first may have.
_ALSO: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Assign: (ast.AnnAssign,),
    ast.AugAssign: (ast.Assign,),
    ast.UnaryOp: (ast.Compare,),
}
_SPELT = frozenset({ast.Compare, ast.AugAssign, ast.Assign, ast.If, ast.Call, ast.UnaryOp})
_MIRRORED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.Eq,
    ast.NotEq: ast.NotEq,
    ast.Lt: ast.Gt,
    ast.Gt: ast.Lt,
    ast.LtE: ast.GtE,
    ast.GtE: ast.LtE,
}


@dataclass(frozen=True)
class Match:
    """What the placeholders of a pattern stand for, and the nodes that matched it as a whole."""

    nodes: Sequence[ast.AST]
    found: _Found

    def expr(self, name: str) -> ast.expr:
        """The expression a `$` or `?` placeholder stands for."""
        return cast(ast.expr, self.found[name])

    def name(self, name: str) -> str:
        """The identifier a `?` placeholder stands for."""
        return cast(ast.Name, self.found[name]).id

    def body(self, name: str) -> list[ast.stmt]:
        """The statements a `$$` placeholder stands for."""
        return list(cast(Sequence[ast.stmt], self.found[name]))

    @property
    def statements(self) -> list[ast.stmt]:
        """The statements that matched as a whole."""
        return [node for node in self.nodes if isinstance(node, ast.stmt)]

    @property
    def first(self) -> ast.stmt:
        """The first of these statements."""
        return self.statements[0]


class Pattern:
    """One pattern: a run of statements, or a single expression."""

    def __init__(self, text: str) -> None:
        tree = parse_template(text)
        self._body: Sequence[ast.stmt] = tree.body
        only = tree.body[0] if len(tree.body) == 1 else None
        is_expression = isinstance(only, ast.Expr) and _placeholder(only) is None
        self._expression = only.value if is_expression and isinstance(only, ast.Expr) else None

        first = type(self._expression if self._expression is not None else self._body[0])
        self.starts_with = (first, *_ALSO.get(first, ()))
        """The types that a match can begin with."""
        self._word = _head_word(self._expression if self._expression is not None else self._body[0])
        self._shapes = _shapes(self._body)
        second = self._shapes[1].kinds if len(self._shapes) > 1 else (None,)
        self.pairs = tuple((first, next_) for first in self.starts_with for next_ in second)
        """These types with those of the statement behind; None where any will do."""

    def may_match_at(self, block: Sequence[ast.stmt], start: int) -> bool:
        """Whether the statements from `start` on are of the right types: a cheap first question."""
        if len(block) - start < len(self._shapes):
            return False
        return all(shape.fits(block[start + at]) for at, shape in enumerate(self._shapes))

    def match(self, node: ast.AST) -> Match | None:
        """Match one expression (or the statement that is nothing else), or one statement."""
        pattern = self._expression if self._expression is not None else self._body[0]
        if isinstance(node, ast.Expr) and self._expression is not None:
            node = node.value
        if self._word is not None and _head_word(node) != self._word:
            return None
        for found in _unify(pattern, node, {}):
            return Match((node,), found)
        return None

    def match_at(self, block: Sequence[ast.stmt], start: int) -> Match | None:
        """Match consecutive statements of a block from `start` on."""
        for found, used in _sequence(self._body, block[start:], {}):
            return Match(block[start : start + used], found)
        return None


def parse_template(text: str) -> ast.Module:
    """Parse code with placeholders; each becomes a name that `fill` and `Pattern` understand."""
    return ast.parse(_PLACEHOLDER.sub(lambda hit: _PREFIX[hit[1]] + hit[2], text))


@cache
def placeholder_name(name: str) -> tuple[str, str] | None:
    """The kind ("any", "name", "body") and name of a placeholder's stand-in, or None."""
    hit = _KIND_AND_NAME.match(name)
    return (hit[1], hit[2]) if hit else None


def same(one: object, other: object) -> bool:
    """Whether two trees are the same code, whatever their places and contexts."""
    if isinstance(one, ast.AST):
        return type(one) is type(other) and all(
            same(getattr(one, field, None), getattr(other, field, None))
            for field in one._fields
            if field not in _IGNORED
        )
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


def mentions(node: ast.AST | Sequence[ast.AST], name: str) -> bool:
    """Whether a variable of this name appears in the code."""
    nodes = [node] if isinstance(node, ast.AST) else node
    return any(isinstance(part, ast.Name) and part.id == name for top in nodes for part in ast.walk(top))


@dataclass(frozen=True)
class _Shape:
    """What a statement of a pattern demands at least: types, what its head calls, its body."""

    kinds: frozenset[type[ast.AST]]
    word: str | None
    body: tuple[_Shape, ...]
    exact: bool
    """Whether the body holds just these statements."""
    value: type[ast.AST] | None
    """The type of what an assignment assigns; None where any will do."""

    def fits(self, node: ast.stmt) -> bool:
        if type(node) not in self.kinds:
            return False
        if isinstance(node, ast.Assign):
            return self.value is None or type(node.value) is self.value
        if not isinstance(node, ast.For | ast.While | ast.If):
            return True
        body = node.body
        if isinstance(node, ast.If) and len(body) == 1 and isinstance(body[0], ast.If):
            return True  # it may be written as one `if ... and ...`
        if len(body) < len(self.body) or (self.exact and len(body) != len(self.body)):
            return False
        if self.word is not None and _head_word(node) != self.word:
            return False
        return all(map(_Shape.fits, self.body, body))


def _shapes(body: Sequence[ast.stmt]) -> tuple[_Shape, ...]:
    """The shapes of the statements in front of the first `$$` placeholder."""
    found = []
    for statement in itertools.takewhile(lambda statement: _placeholder(statement) is None, body):
        inner = getattr(statement, "body", [])
        shapes = _shapes(inner)
        kind = type(statement)
        kinds = frozenset({kind, *_ALSO.get(kind, ())})
        exact = len(shapes) == len(inner)
        found.append(_Shape(kinds, _head_word(statement), shapes, exact, _assigned_type(statement)))
    return tuple(found)


def _assigned_type(statement: ast.stmt) -> type[ast.AST] | None:
    """What a plain assignment must assign to be a spelling of the statement."""
    if isinstance(statement, ast.AugAssign):
        return ast.BinOp
    if not isinstance(statement, ast.Assign) or type(statement.value) in (ast.Name, ast.UnaryOp):
        return None
    return type(statement.value)


def _head_word(node: object) -> str | None:
    """The function or method that an expression, or the head of a loop, calls; None where it calls none.

    No spelling of a pattern changes it, so that two different words rule a match out.
    """
    match node:
        case ast.For(iter=inner) | ast.Subscript(value=inner):
            return _head_word(inner)
        case ast.Compare(ops=[ast.In() | ast.NotIn()], comparators=[inner]):
            return _head_word(inner)
        case ast.Call(func=ast.Name(id=word) | ast.Attribute(attr=word)):
            return None if placeholder_name(word) else word
    return None


# --- unification --------------------------------------------------------------------------------------


def _placeholder(node: object) -> tuple[str, str] | None:
    if not isinstance(node, ast.Expr | ast.Name):
        return None
    if isinstance(node, ast.Expr):
        node = node.value
        kind_and_name = placeholder_name(node.id) if isinstance(node, ast.Name) else None
        return kind_and_name if kind_and_name and kind_and_name[0] == "body" else None
    return placeholder_name(node.id) if isinstance(node, ast.Name) else None


def _unify(pattern: object, node: object, found: _Found) -> Iterator[_Found]:
    kind_and_name = _placeholder(pattern)
    if kind_and_name is not None:
        yield from _bind(*kind_and_name, node, found)
    elif isinstance(pattern, ast.AST):
        if type(pattern) in _SPELT:
            for view in _spellings(pattern, node):
                yield from _unify_fields(pattern, view, found)
        elif isinstance(node, ast.AST):
            yield from _unify_fields(pattern, node, found)
    elif isinstance(pattern, list):
        if isinstance(node, list):
            for bound, used in _sequence(pattern, node, found):
                if used == len(node):
                    yield bound
    elif type(pattern) is type(node) and pattern == node:
        yield found


def _bind(kind: str, name: str, node: object, found: _Found) -> Iterator[_Found]:
    if not isinstance(node, ast.expr):
        return
    if kind == "name":
        node = _without_comparison_to_true(node)
        if not isinstance(node, ast.Name):
            return
    if name not in found:
        yield {**found, name: node}
    elif same(found[name], node):
        yield found


def _without_comparison_to_true(node: ast.expr) -> ast.expr:
    match node:
        case ast.Compare(left=left, ops=[ast.Eq() | ast.Is()], comparators=[ast.Constant(value=True)]):
            return left
    return node


def _unify_fields(pattern: ast.AST, node: ast.AST, found: _Found) -> Iterator[_Found]:
    if type(pattern) is not type(node):
        return
    solutions: list[_Found] = [found]
    for field in pattern._fields:
        if field not in _IGNORED:
            one, other = getattr(pattern, field, None), getattr(node, field, None)
            solutions = [bound for solution in solutions for bound in _unify(one, other, solution)]
            if not solutions:
                return
    yield from solutions


def _sequence(
    patterns: Sequence[object], nodes: Sequence[object], found: _Found
) -> Iterator[tuple[_Found, int]]:
    """Match a run of patterns against the beginning of `nodes`; tells how many of them were used."""
    if not patterns:
        yield found, 0
        return
    kind_and_name = _placeholder(patterns[0]) if isinstance(patterns[0], ast.Expr) else None
    if kind_and_name is not None:
        for length in range(len(nodes) + 1):
            run = cast(Sequence[ast.stmt], nodes[:length])
            for bound, used in _sequence(patterns[1:], nodes[length:], {**found, kind_and_name[1]: run}):
                if len(patterns) > 1 or length == len(nodes):
                    yield bound, used + length
    elif nodes:
        for bound in _unify(patterns[0], nodes[0], found):
            for rest, used in _sequence(patterns[1:], nodes[1:], bound):
                yield rest, used + 1


def _without_first(value: ast.BinOp, target: ast.expr) -> ast.expr | None:
    """What is added to the target in `target + a + b`: `a + b`; None where the value starts with another."""
    if same(value.left, target):
        return value.right
    if (
        isinstance(value.op, ast.Add)
        and isinstance(value.left, ast.BinOp)
        and isinstance(value.left.op, ast.Add)
    ):
        rest = _without_first(value.left, target)
        return None if rest is None else ast.BinOp(left=rest, op=ast.Add(), right=value.right)
    return None


def _spellings(pattern: ast.AST, node: object) -> Iterator[ast.AST]:
    """The node, and the other ways to write it that the pattern may have chosen."""
    if not isinstance(node, ast.AST):
        return
    yield node
    match pattern, node:
        case ast.Compare(), ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _MIRRORED:
            yield ast.Compare(left=right, ops=[_MIRRORED[type(op)]()], comparators=[left])
        case ast.AugAssign(), ast.Assign(
            targets=[ast.Name() | ast.Subscript() as target], value=ast.BinOp() as value
        ):
            rest = _without_first(value, target)
            if rest is not None:
                yield ast.AugAssign(target=target, op=value.op, value=rest)
        case ast.Assign(), ast.AnnAssign(target=target, value=ast.expr() as value):
            yield ast.Assign(targets=[target], value=value)
        case (
            ast.If(test=ast.BoolOp(op=ast.And())),
            ast.If(test=test, body=[ast.If(test=inner, body=body, orelse=[])], orelse=[]),
        ):
            yield ast.If(test=ast.BoolOp(op=ast.And(), values=[test, inner]), body=body, orelse=[])
        case ast.Call(args=[_]), ast.Call(func=ast.Name(id="range"), args=[ast.Constant(value=0), stop]):
            yield ast.Call(func=ast.Name(id="range"), args=[stop], keywords=[])
        case ast.UnaryOp(op=ast.Not()), ast.Compare(
            left=left, ops=[ast.Eq() | ast.Is()], comparators=[ast.Constant(value=False)]
        ):
            yield ast.UnaryOp(op=ast.Not(), operand=left)
