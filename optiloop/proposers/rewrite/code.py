"""One Python text: its tree, where each node stands, and new texts made by replacing parts. Pure.

Only what a rule replaces is written anew; comments and layout of all the rest stay.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar, cast

from optiloop.proposers.rewrite.pattern import Match, Pattern, Value, parse_template, placeholder_name
from optiloop.proposers.rewrite.rule import Edit, Language, Site, apply

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = Function | ast.Module
Loop = ast.For | ast.While
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp

_Starts = defaultdict[tuple[type[ast.AST], type[ast.AST] | None], list[tuple[Sequence[ast.stmt], int]]]

N = TypeVar("N", bound=ast.AST)

# One instance of each serves all trees, so it has no place and no parent.
_SHARED = (ast.expr_context, ast.operator, ast.boolop, ast.unaryop, ast.cmpop)
_HAS_BLOCKS = (ast.stmt, ast.Module, ast.ExceptHandler, ast.match_case)
_BODY_LINE = re.compile(r"^([ ]*)body__(\w+)$", re.MULTILINE)


class _Place:
    """Where a node's subtree lies in the list of all nodes. A copy of the node has none."""

    __slots__ = ("end", "nodes", "start")

    def __init__(self, nodes: Sequence[ast.AST] = (), start: int = 0, end: int = 0) -> None:
        self.nodes, self.start, self.end = nodes, start, end

    def __deepcopy__(self, memo: object) -> _Place:
        return _Place()


def subtree(node: ast.AST) -> Iterable[ast.AST]:
    """A node and all within; of a node of a Code ten times as fast as ast.walk."""
    place = node.__dict__.get("_place")
    return place.nodes[place.start : place.end] if place is not None and place.end else ast.walk(node)


class Code:
    """A parsed module. Raises SyntaxError or ValueError where the text is not Python."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = ast.parse(text)
        self.nodes: list[ast.AST] = []
        """Every node, each before those within it, in the order of the text."""
        self.known: dict[object, Any] = {}
        """What was found out about this module already, by question."""
        self._parents: dict[ast.AST, ast.AST] = {}
        self._by_type: defaultdict[type[ast.AST], list[ast.AST]] = defaultdict(list)
        self._take_in(self.tree)

    # --- the tree ---------------------------------------------------------------------------------

    def _take_in(self, node: ast.AST) -> None:
        start = len(self.nodes)
        self.nodes.append(node)
        self._by_type[type(node)].append(node)
        for value in list(node.__dict__.values()):
            for child in value if type(value) is list else (value,):
                if isinstance(child, ast.AST) and not isinstance(child, _SHARED):
                    self._parents[child] = node
                    self._take_in(child)
        node._place = _Place(self.nodes, start, len(self.nodes))  # type: ignore[attr-defined]

    def of(self, kind: type[N]) -> list[N]:
        """Every node of one type, in the order of the text."""
        return cast(list[N], self._by_type.get(kind, []))

    @cached_property
    def blocks(self) -> Sequence[Sequence[ast.stmt]]:
        """Every run of statements: bodies, else branches and so on."""
        runs = (
            getattr(node, field, None)
            for node in self.nodes
            if isinstance(node, _HAS_BLOCKS)
            for field in ("body", "orelse", "finalbody")
        )
        return [run for run in runs if isinstance(run, list) and run]

    @cached_property
    def _starts(self) -> _Starts:
        """Where statements of a type stand, in front of one of another type or of any (None)."""
        starts: _Starts = defaultdict(list)
        for block in self.blocks:
            for at, statement in enumerate(block):
                starts[type(statement), None].append((block, at))
                if at + 1 < len(block):
                    starts[type(statement), type(block[at + 1])].append((block, at))
        return starts

    def parent(self, node: ast.AST) -> ast.AST:
        """The node around; the module is its own."""
        return self._parents.get(node, self.tree)

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes around, from the inside out."""
        while node in self._parents:
            node = self._parents[node]
            yield node

    def block(self, statement: ast.stmt) -> Sequence[ast.stmt]:
        """The run of statements that a statement stands in."""
        for field in ("body", "orelse", "finalbody"):
            run = getattr(self.parent(statement), field, None)
            if isinstance(run, list) and any(other is statement for other in run):
                return run
        return [statement]

    def statement(self, node: ast.AST) -> ast.stmt:
        """The statement a node belongs to: itself where it is one."""
        if isinstance(node, ast.stmt):
            return node
        return next(outer for outer in self.around(node) if isinstance(outer, ast.stmt))

    def first_of_chain(self, statement: ast.stmt) -> ast.stmt:
        """The `if` an `elif` belongs to, for a line can stand in front of it; or the statement itself."""
        while self.text.startswith("elif", self.start(statement)):
            statement = self.statement(self.parent(statement))
        return statement

    def scope(self, node: ast.AST) -> Scope:
        """The innermost function around a node, or the module."""
        return next(
            (o for o in self.around(node) if isinstance(o, ast.FunctionDef | ast.AsyncFunctionDef)), self.tree
        )

    def owner(self, node: ast.AST) -> str:
        """The name of the outermost function around a node, which a profile would name; "" for the module."""
        around = [node, *self.around(node)]
        names = [outer.name for outer in around if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef)]
        return names[-1] if names else ""

    def loops(self, node: ast.AST) -> list[Loop]:
        """The loop statements of the same function that run a node again and again, from the inside out."""
        found: list[Loop] = []
        inner = node
        for outer in self.around(node):
            if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
                break
            if isinstance(outer, ast.While):
                if inner not in outer.orelse:
                    found.append(outer)
            elif isinstance(outer, ast.For) and inner in outer.body:
                found.append(outer)
            inner = outer
        return found

    def comprehensions(self, node: ast.AST) -> list[Comprehension]:
        """The comprehensions of the same function that run a node again and again, from the inside out."""
        found: list[Comprehension] = []
        inner = node
        for outer in self.around(node):
            if isinstance(outer, ast.stmt | ast.Lambda):
                break
            if isinstance(outer, Comprehension) and not (
                inner is outer.generators[0] and self._in_first_iterable(node, outer)
            ):
                found.append(outer)
            inner = outer
        return found

    def _in_first_iterable(self, node: ast.AST, comprehension: Comprehension) -> bool:
        first = comprehension.generators[0].iter
        return node is first or any(outer is first for outer in self.around(node))

    @property
    def every_loop(self) -> list[Loop]:
        """Every loop statement."""
        return [*self.of(ast.For), *self.of(ast.While)]

    @property
    def functions(self) -> Sequence[ast.FunctionDef]:
        """Every function, nested ones and methods too."""
        return self.of(ast.FunctionDef)

    def find(self, pattern: Pattern) -> Iterator[Match]:
        """Every place where consecutive statements match."""
        for pair in pattern.pairs:
            for block, start in self._starts.get(pair, ()):
                match = pattern.match_at(block, start) if pattern.may_match_at(block, start) else None
                if match is not None:
                    yield match

    def find_expressions(self, pattern: Pattern) -> Iterator[tuple[ast.expr, Match]]:
        """Every expression that matches."""
        for kind in pattern.starts_with:
            for node in self._by_type.get(kind, ()):
                match = pattern.match(node) if isinstance(node, ast.expr) else None
                if match is not None and isinstance(node, ast.expr):
                    yield node, match

    @cached_property
    def _words(self) -> set[str]:
        return set(re.findall(r"\w+", self.text))

    def fresh(self, name: str) -> str:
        """A name like this one that the text does not use yet."""
        used = self._words
        candidates = (name if at == 1 else f"{name}_{at}" for at in range(1, len(used) + 2))
        return next(candidate for candidate in candidates if candidate not in used)

    # --- the text ---------------------------------------------------------------------------------

    @cached_property
    def _lines(self) -> list[str]:
        return self.text.splitlines(keepends=True) if self.text else [""]

    @cached_property
    def _line_starts(self) -> list[int]:
        starts = [0]
        for line in re.split(r"(?<=\n)", self.text):
            starts.append(starts[-1] + len(line))
        return starts

    def _offset(self, line: int, column: int) -> int:
        """Where a node's line (from 1) and UTF-8 column stand in the text."""
        start = self._line_starts[line - 1]
        head = self.text[start : self._line_starts[line]]
        return start + (column if head.isascii() else len(head.encode()[:column].decode()))

    def start(self, node: ast.stmt | ast.expr) -> int:
        return self._offset(node.lineno, node.col_offset)

    def end(self, node: ast.stmt | ast.expr) -> int:
        return self._offset(node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)

    def segment(self, node: ast.stmt | ast.expr) -> str:
        return self.text[self.start(node) : self.end(node)]

    def line_after(self, node: ast.stmt | ast.expr) -> int:
        """Where the line behind a node starts."""
        return self._line_starts[node.end_lineno or node.lineno]

    def line_start(self, node: ast.stmt | ast.expr) -> int:
        return self._line_starts[node.lineno - 1]

    def indent(self, node: ast.stmt) -> str:
        """The white space a statement starts its line with."""
        line = self.text[self.line_start(node) : self.start(node)]
        return line[: len(line) - len(line.lstrip(" \t"))]

    def body_text(self, body: Sequence[ast.stmt], edits: Sequence[Edit] = ()) -> str:
        """The lines of a run of statements, comments and all, without their common indentation."""
        if not body:
            return "pass"
        start, end = self.line_start(body[0]), self.end(body[-1])
        inside = self._moved(edits, start, end, self.line_after(body[-1]))
        if self.text[start : self.start(body[0])].strip():
            return "\n".join(ast.unparse(statement) for statement in body)
        return textwrap.dedent(apply(self.text[start:end], inside))

    def _moved(self, edits: Sequence[Edit], start: int, end: int, line_end: int) -> list[Edit]:
        """The edits of a part of the text, counted from its start; lines put behind it become its last."""
        inside = [
            Edit(e.start - start, e.end - start, e.text) for e in edits if start <= e.start <= e.end <= end
        ]
        behind = [e for e in edits if end < e.start == e.end == line_end]
        return [*inside, *(Edit(end - start, end - start, "\n" + e.text.rstrip("\n")) for e in behind)]

    # --- new texts --------------------------------------------------------------------------------

    def replace(self, nodes: Sequence[ast.stmt] | ast.expr, text: str) -> Edit:
        """Put new text in the place of one expression or a run of statements."""
        if isinstance(nodes, ast.expr):
            return Edit(self.start(nodes), self.end(nodes), text)
        indent = self.indent(nodes[0])
        return Edit(self.start(nodes[0]), self.end(nodes[-1]), textwrap.indent(text, indent).lstrip())

    def remove(self, statement: ast.stmt) -> Edit:
        """Take out a statement with its lines."""
        end = self._line_starts[statement.end_lineno or statement.lineno]
        return Edit(self.line_start(statement), end, "")

    def before(self, statement: ast.stmt, text: str) -> Edit:
        """Put new lines in front of a statement."""
        start = self.line_start(statement)
        return Edit(start, start, textwrap.indent(text, self.indent(statement)) + "\n")

    def after(self, statement: ast.stmt, text: str) -> Edit:
        """Put new lines behind a statement."""
        end = self._line_starts[statement.end_lineno or statement.lineno]
        lead = "" if self.text[:end].endswith("\n") else "\n"
        return Edit(end, end, lead + textwrap.indent(text, self.indent(statement)) + "\n")

    def importing(self, module: str) -> list[Edit]:
        """The edit that imports a module at the top, or none where it is imported already."""
        imports = [node for node in self.tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        for node in imports:
            if isinstance(node, ast.Import) and any(
                alias.name == module and alias.asname is None for alias in node.names
            ):
                return []
        first = next((node for node in imports if not _is_future(node)), None)
        if first is not None:
            return [self.before(first, f"import {module}")]
        last_of_head = next(
            (node for node in reversed(self.tree.body[:3]) if _is_docstring(node) or _is_future(node)), None
        )
        if last_of_head is not None:
            return [self.after(last_of_head, f"\nimport {module}")]
        return [Edit(0, 0, f"import {module}\n\n\n")]

    def site(self, node: ast.AST, what: str, edits: Sequence[Edit], imports: Sequence[str] = ()) -> Site:
        """The site of a rule: `edits` made in the text, with the imports they need."""
        all_edits = [*edits, *(edit for module in imports for edit in self.importing(module))]
        return Site(self.owner(node), getattr(node, "lineno", 1), what, self.text, tuple(all_edits))

    def fill(self, template: str, values: Mapping[str, Value | str]) -> str:
        """Write a template's code with its placeholders filled in.

        A value is an expression, a run of statements (which keep their comments), or ready text.
        """
        ready = {
            name: self._ready(value) for name, value in values.items() if not isinstance(value, ast.expr)
        }
        tree = _Filler(values).visit(parse_template(textwrap.dedent(template).strip("\n")))
        return _BODY_LINE.sub(lambda hit: textwrap.indent(ready[hit[2]], hit[1]), ast.unparse(tree))

    def _ready(self, value: Value | str) -> str:
        if isinstance(value, str):
            return value
        return ast.unparse(value) if isinstance(value, ast.expr) else self.body_text(value)


class _Filler(ast.NodeTransformer):
    def __init__(self, values: Mapping[str, Value | str]) -> None:
        self._values = values

    def visit_Name(self, node: ast.Name) -> ast.AST:
        kind_and_name = placeholder_name(node.id)
        if kind_and_name is None or kind_and_name[0] == "body":
            return node
        value = self._values[kind_and_name[1]]
        if isinstance(value, str):
            return ast.parse(value, mode="eval").body
        return value if isinstance(value, ast.AST) else node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        kind_and_name = placeholder_name(node.arg)
        value = self._values[kind_and_name[1]] if kind_and_name else None
        return ast.arg(arg=value.id) if isinstance(value, ast.Name) else node


def _is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


PYTHON = Language("Python", lambda path, text: path.endswith(".py"), Code)
