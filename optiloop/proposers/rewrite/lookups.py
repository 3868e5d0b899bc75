"""Rules for asking a list again and again: is it in, where is it, how often is it in."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from optiloop.proposers.rewrite.code import PYTHON, Code, Scope, subtree
from optiloop.proposers.rewrite.facts import (
    Growth,
    changes,
    growth,
    is_empty_list,
    parameter_names,
    place_before,
    stored,
    stores,
    walk,
)
from optiloop.proposers.rewrite.kinds import Kinds
from optiloop.proposers.rewrite.pattern import same
from optiloop.proposers.rewrite.rule import Edit, Rule, Site


@dataclass(frozen=True)
class _Question:
    """One place that asks: the expression to replace, what is asked, of which list, and the answer's form.

    `answer` has `{table}` for the new table and `{item}` for what is asked.
    """

    node: ast.expr
    of: ast.expr
    item: ast.expr
    answer: str


@dataclass(frozen=True)
class _Table:
    """How to build a table from a list, and how to keep it when the list grows."""

    suffix: str
    build: str
    empty: str
    keep: str
    imports: tuple[str, ...] = ()


_SET = _Table("set", "set({of})", "set()", "{table}.add({item})")
_POSITIONS = _Table(
    "at",
    "{{item: at for at, item in reversed(list(enumerate({of})))}}",
    "{{}}",
    "{table}.setdefault({item}, len({of}) - 1)",
)
_COUNTS = _Table(
    "counts",
    "collections.Counter({of})",
    "collections.Counter()",
    "{table}[{item}] += 1",
    ("collections",),
)
_SHORT = 5
_Ask = Callable[[Code, Kinds], Iterator[_Question]]


def list_membership(code: Code) -> Iterator[Site]:
    """Ask a set, not a list, whether something is in it.

    A list that stays the same is made a set once; one that grows by append gets a set beside it.
    O(n) -> O(1) per question. Source: Python wiki TimeComplexity.
    """
    yield from _sites(code, _membership, _SET, "membership in a list -> in a set")


def list_index(code: Code) -> Iterator[Site]:
    """Look positions up in a dictionary, not with list.index or str.index.

    O(n) -> O(1) per question. Source: Python wiki TimeComplexity.
    """
    yield from _sites(code, _index, _POSITIONS, "search by index() -> dictionary of positions")


def list_count(code: Code) -> Iterator[Site]:
    """Count everything once with a Counter, not one thing at a time with list.count.

    O(n) -> O(1) per question. Source: collections.Counter.
    """
    yield from _sites(code, _count, _COUNTS, "count() of one after the other -> Counter once")


# --- who asks -----------------------------------------------------------------------------------------


def _membership(code: Code, kinds: Kinds) -> Iterator[_Question]:
    for node in code.of(ast.Compare):
        match node:
            case ast.Compare(left=item, ops=[ast.In() | ast.NotIn() as op], comparators=[of]):
                if _may_be_list(code, kinds, of, item) and kinds.may_be_hashable(item):
                    word = "in" if isinstance(op, ast.In) else "not in"
                    yield _Question(node, of, item, f"{{item}} {word} {{table}}")


def _may_be_list(code: Code, kinds: Kinds, of: ast.expr, item: ast.expr) -> bool:
    """What nothing is known of may be a list, unless it may be None, or is asked for the same item by key."""
    kind = kinds.of(of)
    if not isinstance(of, ast.Name) or not kinds.items_may_be_hashable(of):
        return False
    if kind is not None:
        return kind.is_sequence
    for node in walk(code.scope(of)):
        match node:
            case ast.Compare(left=left, ops=[ast.Is() | ast.IsNot()]) if same(left, of):
                return False
            case ast.Subscript(value=value, slice=key) if same(value, of) and same(key, item):
                return False
    return True


def _index(code: Code, kinds: Kinds) -> Iterator[_Question]:
    for node in code.of(ast.Call):
        match node:
            case ast.Call(func=ast.Attribute(value=of, attr="index"), args=[item], keywords=[]):
                if kinds.items_may_be_hashable(of) and not _expects_failure(code, node):
                    yield _Question(node, of, item, "{table}[{item}]")
            case ast.Call(func=ast.Attribute(value=of, attr="find"), args=[item], keywords=[]):
                kind = kinds.of(item)
                if kind is not None and kind.name == "char":
                    yield _Question(node, of, item, "{table}.get({item}, -1)")


def _expects_failure(code: Code, node: ast.AST) -> bool:
    return any(isinstance(outer, ast.Try) for outer in code.around(node))


def _count(code: Code, kinds: Kinds) -> Iterator[_Question]:
    for node in code.of(ast.Call):
        match node:
            case ast.Call(func=ast.Attribute(value=of, attr="count"), args=[item], keywords=[]):
                is_element = kinds.is_sequence(of) or _is_item_of(code, item, of)
                if is_element and kinds.may_be_hashable(item) and kinds.items_may_be_hashable(of):
                    yield _Question(node, of, item, "{table}[{item}]")


def _is_item_of(code: Code, item: ast.expr, of: ast.expr) -> bool:
    """Whether a loop variable runs over the very thing, or a set of it; so it is no longer part of a text."""
    if isinstance(item, ast.Subscript) and not isinstance(item.slice, ast.Slice):
        return same(item.value, of)
    for outer in code.around(item):
        pairs = [(outer.target, outer.iter)] if isinstance(outer, ast.For) else []
        pairs += [(part.target, part.iter) for part in getattr(outer, "generators", [])]
        for target, iterable in pairs:
            if same(target, item):
                core = iterable.args[0] if isinstance(iterable, ast.Call) and iterable.args else iterable
                return same(core, of)
    return False


# --- what replaces the questions ----------------------------------------------------------------------


def _sites(code: Code, ask: _Ask, table: _Table, what: str) -> Iterator[Site]:
    """One site for all questions of one function to one list."""
    questions = list(ask(code, Kinds(code)))
    done: list[_Question] = []
    for question in questions:
        if any(question is other for other in done):
            continue
        scope = code.scope(question.node)
        together = [q for q in questions if code.scope(q.node) is scope and same(q.of, question.of)]
        together = [
            q for q in together if not any(q.node in set(subtree(o.node)) - {o.node} for o in together)
        ]
        done += together
        edits = _edits(code, scope, together, table)
        if edits:
            yield code.site(question.node, f"{what} ({ast.unparse(question.of)})", edits, table.imports)


def _edits(code: Code, scope: Scope, questions: Sequence[_Question], table: _Table) -> list[Edit]:
    of = questions[0].of
    if isinstance(of, ast.Name):
        constant = _constant(code, scope, of.id)
        if constant is not None:
            return _beside_constant(code, constant, questions, table)
        grown = growth(code, scope, of.id)
        if grown is not None and _grows_while_asked(code, grown, questions):
            return _beside_growing(code, grown, questions, table)
    return _before_loop(code, questions, table)


def _grows_while_asked(code: Code, grown: Growth, questions: Sequence[_Question]) -> bool:
    """Whether one loop both asks and appends."""
    appending = {loop for append, _ in grown.appends for loop in code.loops(append)}
    return any(appending & set(code.loops(question.node)) for question in questions)


def _constant(code: Code, scope: Scope, name: str) -> ast.Assign | None:
    """The one assignment of a module's constant."""
    if isinstance(scope, ast.Module) or name in stored(scope.body) or name in parameter_names(scope):
        return None
    makers = [node for changed_name, node in changes(code.tree) if changed_name == name]
    starts = [code.parent(node) for node in makers]
    if len(starts) == 1 and isinstance(starts[0], ast.Assign) and starts[0] in code.tree.body:
        return starts[0]
    return None


def _beside_constant(
    code: Code, constant: ast.Assign, questions: Sequence[_Question], table: _Table
) -> list[Edit]:
    of = ast.unparse(questions[0].of)
    build = table.build.format(of=of)
    if isinstance(constant.value, ast.Constant | ast.Call) and table is _SET:
        return []
    name = next(
        (
            node.targets[0].id
            for node in code.tree.body
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and ast.unparse(node.value) == ast.unparse(ast.parse(build))
        ),
        None,
    )
    if name is not None:
        return _answers(code, questions, name)
    name = code.fresh(f"{of}_{table.suffix.upper()}")
    return [code.after(constant, f"{name} = {build}"), *_answers(code, questions, name)]


def _beside_growing(code: Code, grown: Growth, questions: Sequence[_Question], table: _Table) -> list[Edit]:
    of = ast.unparse(questions[0].of)
    name = code.fresh(f"{of}_{table.suffix}")
    build = table.empty.format() if is_empty_list(grown.start.value) else table.build.format(of=of)
    keeps = [
        code.after(append, table.keep.format(table=name, of=of, item=ast.unparse(item)))
        for append, item in grown.appends
    ]
    return [code.after(grown.start, f"{name} = {build}"), *keeps, *_answers(code, questions, name)]


def _before_loop(code: Code, questions: Sequence[_Question], table: _Table) -> list[Edit]:
    """Build the table in front of the loop that asks; questions elsewhere stay as they are."""
    of = questions[0].of
    place = place_before(code, questions[0].node, of)
    if place is None or _is_short(code, of):
        return []
    base = of.id if isinstance(of, ast.Name) else "items"
    name = code.fresh(f"{base}_{table.suffix}")
    asked = [q for q in questions if place_before(code, q.node, of) is place]
    return [
        code.before(place, f"{name} = {table.build.format(of=ast.unparse(of))}"),
        *_answers(code, asked, name),
    ]


def _is_short(code: Code, of: ast.expr) -> bool:
    """A few elements are looked over as fast as they are hashed."""
    if not isinstance(of, ast.Name):
        return False
    scope = code.scope(of)
    values = [code.parent(place) for place in stores(scope, of.id)]
    if any(name == of.id and not isinstance(node, ast.Name) for name, node in changes(scope.body, code)):
        return False
    displays = [
        v.value for v in values if isinstance(v, ast.Assign) and isinstance(v.value, ast.List | ast.Tuple)
    ]
    return len(values) == len(displays) > 0 and all(len(display.elts) < _SHORT for display in displays)


def _answers(code: Code, questions: Sequence[_Question], table: str) -> list[Edit]:
    edits = []
    for question in questions:
        text = question.answer.format(table=table, item=code.segment(question.item))
        edits.append(code.replace(question.node, text))
    return edits


RULES = (
    Rule("list-count", PYTHON, 82, list_count),
    Rule("list-index", PYTHON, 2.27, list_index),
    Rule("list-membership", PYTHON, 92, list_membership),
)
