"""Fingerprints of programs and of changes: equal for the same idea worded differently. Pure.

Merging two different programs would hide an idea for good, so every doubt is resolved towards
"different". Looked through are only: layout, comments, docstrings, annotations, the wording of numbers,
the names of local variables, and the order of neighbouring imports.
"""

from __future__ import annotations

import ast
import hashlib
import json
import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any, cast

_LENGTH = 32
_LARGEST_FOLDED = 2**64
# Where the spelling of a local could matter: it is looked up by name, or a class shows it to its methods.
_SHOWS_LOCAL_NAMES = re.compile(r"\b(locals|eval|exec|vars|dir)\b|^[ \t]+class\b", re.MULTILINE)

_Number = int | float | complex
_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def result_fingerprint(source: Mapping[str, str]) -> str:
    """Fingerprint a whole program, given as path -> text: 32 hex digits."""
    return _digest([[path, _whole(path, text)] for path, text in sorted(source.items())])


def change_fingerprint(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Fingerprint what differs between two programs, and nothing else of either: 32 hex digits.

    The same change of one function on two bases whose other functions differ has one fingerprint.
    """
    changes: list[object] = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old != new:
            changes += _changes(path, old, new)
    return _digest(changes)


# --- whole files --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Statement:
    """One normalised top-level statement; `name` is a definition's, `binds` what an import binds to what."""

    text: str
    name: str = ""
    binds: tuple[str, str] | None = None

    @property
    def is_import(self) -> bool:
        return self.binds is not None


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:_LENGTH]


def _whole(path: str, text: str) -> object:
    """The normal form of one file, as something JSON can hold."""
    statements = _statements(text) if path.endswith(".py") else None
    if statements is not None:
        return [statement.text for statement in _imports_sorted(statements)]
    if path.endswith(".json"):
        return _canonical_json(text)
    return _without_trailing_space(text)


def _canonical_json(text: str) -> str:
    """The order of keys stays: a program may depend on it."""
    try:
        return json.dumps(json.loads(text))
    except ValueError:
        return _without_trailing_space(text)


def _without_trailing_space(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip("\n")


def _imports_sorted(statements: Sequence[_Statement]) -> Iterator[_Statement]:
    for is_import, run in groupby(statements, key=lambda statement: statement.is_import):
        block = list(run)
        yield from sorted(block, key=lambda s: s.text) if is_import and _order_is_free(block) else block


def _order_is_free(imports: Iterable[_Statement]) -> bool:
    """Not where a name is bound to two things: then the last one wins."""
    bindings = {statement.binds for statement in imports if statement.binds}
    bound = [name for name, _ in bindings]
    return "*" not in bound and len(set(bound)) == len(bound)


# --- changes ------------------------------------------------------------------------------------------


def _changes(path: str, old: str | None, new: str | None) -> list[object]:
    """What differs in one file: definitions by name, imports by line, the rest of the module as one."""
    before, after = _parsed(path, old), _parsed(path, new)
    if before is None or after is None:
        return [[path, _whole_or_none(path, old), _whole_or_none(path, new)]]
    changed = [[path, name, *pair] for name, *pair in _differing(_definitions(before), _definitions(after))]
    imports_before, imports_after = _import_lines(before), _import_lines(after)
    if imports_before != imports_after:
        gone, come = imports_before - imports_after, imports_after - imports_before
        changed.append([path, "import", sorted(gone.elements()), sorted(come.elements())])
    if _rest(before) != _rest(after):
        changed.append([path, "", _rest(before), _rest(after)])
    if not changed and before != after:
        changed.append([path, "order", [s.text for s in before], [s.text for s in after]])
    return list(changed)


def _parsed(path: str, text: str | None) -> tuple[_Statement, ...] | None:
    return _statements(text) if text is not None and path.endswith(".py") else None


def _whole_or_none(path: str, text: str | None) -> object:
    return None if text is None else _whole(path, text)


def _definitions(statements: Iterable[_Statement]) -> dict[str, list[str]]:
    """Top-level definitions by name; a name defined twice has two texts."""
    found: dict[str, list[str]] = {}
    for statement in statements:
        if statement.name:
            found.setdefault(statement.name, []).append(statement.text)
    return found


def _differing(
    before: Mapping[str, list[str]], after: Mapping[str, list[str]]
) -> Iterator[tuple[str, list[str], list[str]]]:
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, []), after.get(name, [])
        if old != new:
            yield name, old, new


def _import_lines(statements: Iterable[_Statement]) -> Counter[str]:
    return Counter(statement.text for statement in statements if statement.is_import)


def _rest(statements: Iterable[_Statement]) -> list[str]:
    return [statement.text for statement in statements if not statement.name and not statement.is_import]


# --- the normal form of Python ------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _statements(text: str) -> tuple[_Statement, ...] | None:
    """The normalised top-level statements of a module, or None where the text is not Python."""
    try:
        tree = ast.parse(text)
        keep_docstrings = "__doc__" in text
        renames = not _SHOWS_LOCAL_NAMES.search(text)
        body = tree.body if keep_docstrings else _without_docstring(tree.body)
        return tuple(part for node in body for part in _normalised(node, keep_docstrings, renames))
    except (SyntaxError, ValueError, RecursionError):
        return None


def _normalised(node: ast.stmt, keep_docstrings: bool, renames: bool) -> Iterator[_Statement]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            root = alias.name.partition(".")[0]
            binds = (alias.asname, alias.name) if alias.asname else (root, root)
            yield _Statement(f"import {alias.name} as {alias.asname}", binds=binds)
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            origin = "." * node.level + (node.module or "")
            binds = (alias.asname or alias.name, f"{origin}:{alias.name}")
            yield _Statement(f"from {origin} import {alias.name} as {alias.asname}", binds=binds)
    else:
        name = node.name if isinstance(node, _Definition) else ""
        yield _Statement(_Writer(node, keep_docstrings=keep_docstrings, renames=renames).text(), name=name)


def _without_docstring(body: Sequence[ast.stmt]) -> Sequence[ast.stmt]:
    first = body[0] if body else None
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        return body[1:]
    return body


class _Writer:
    """Writes one top-level statement in normal form.

    Local variables become %0, %1, ... in order of appearance, which no identifier can collide with.
    """

    def __init__(self, node: ast.stmt, *, keep_docstrings: bool, renames: bool) -> None:
        self._keep_docstrings = keep_docstrings
        self._parts: list[str] = []
        self._tokens = 0
        # Innermost scope last: name -> token, "" for a local whose token is not given out yet, None for
        # a name that is bound here and keeps its spelling.
        self._scopes: list[dict[str, str | None]] = []
        self._renames = renames
        self._write(node)

    def text(self) -> str:
        return "".join(self._parts)

    def _write(self, value: object) -> None:
        kind = type(value)
        if kind is list:
            self._parts.append("[")
            for item in cast(list[object], value):
                self._write(item)
            self._parts.append("]")
        elif kind in _SPECIAL:
            _SPECIAL[kind](self, value)
        elif isinstance(value, ast.AST):
            self._fields(value)
        else:
            self._parts.append(f"{value!r},")

    def _fields(self, node: ast.AST) -> None:
        kind = type(node)
        self._parts.append(f"{kind.__name__}(")
        for name in _WRITTEN_FIELDS[kind]:
            self._write(getattr(node, name, None))
        self._parts.append(")")

    def _name(self, name: str | None) -> None:
        self._parts.append("None," if name is None else f"{self._spelling(name)},")

    def _spelling(self, name: str) -> str:
        for scope in reversed(self._scopes):
            if name in scope:
                token = scope[name]
                if token == "":
                    token = scope[name] = f"%{self._tokens}"
                    self._tokens += 1
                return name if token is None else token
        return name

    def _constant(self, node: ast.Constant) -> None:
        self._parts.append(f"{type(node.value).__name__}:{node.value!r},")

    def _arithmetic(self, node: ast.BinOp | ast.UnaryOp) -> None:
        number = _folded(node)
        if number is None:
            self._fields(node)
        else:
            self._parts.append(f"{type(number).__name__}:{number!r},")

    def _annotated(self, node: ast.AnnAssign) -> None:
        """An annotated assignment is a plain one inside functions only: classes and modules can read it."""
        if node.value is None or not self._scopes:
            self._fields(node)
        else:
            self._fields(ast.Assign(targets=[node.target], value=node.value))

    def _handler(self, node: ast.ExceptHandler) -> None:
        self._parts.append("ExceptHandler(")
        self._write(node.type)
        self._name(node.name)
        self._write(node.body)
        self._parts.append(")")

    def _comprehension(self, node: _Comprehension) -> None:
        """The first iterable belongs to the scope around; all the rest to the comprehension's own."""
        first = node.generators[0]
        self._parts.append(f"{type(node).__name__}(")
        self._write(first.iter)
        targets = _names(part.target for part in node.generators).stored
        self._scopes.append(dict.fromkeys(targets, "" if self._renames else None))
        for generator in node.generators:
            self._write([generator.target, generator.ifs, generator.is_async])
            if generator is not first:
                self._write(generator.iter)
        if isinstance(node, ast.DictComp):
            self._write([node.key, node.value])
        else:
            self._write(node.elt)
        self._scopes.pop()
        self._parts.append(")")

    def _class(self, node: ast.ClassDef) -> None:
        """Names bound in a class body are attributes, so they keep their spelling."""
        self._parts.append(f"ClassDef({node.name},")
        self._write([node.decorator_list, node.bases, node.keywords, getattr(node, "type_params", [])])
        scopes_around, self._scopes = self._scopes, []
        self._write(self._documented(node.body))
        self._scopes = scopes_around
        self._parts.append(")")

    def _function(self, node: _Function) -> None:
        """A decorator may read annotations; nothing else does."""
        arguments = node.args
        parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        parameters += [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
        self._parts.append(f"{type(node).__name__}({getattr(node, 'name', '')},")
        if not isinstance(node, ast.Lambda):
            self._write([node.decorator_list, getattr(node, "type_params", [])])
            if node.decorator_list:
                self._write([argument.annotation for argument in parameters] + [node.returns])
        self._write([arguments.defaults, arguments.kw_defaults])
        self._write([len(arguments.posonlyargs), len(arguments.args), len(arguments.kwonlyargs)])
        self._write([bool(arguments.vararg), bool(arguments.kwarg), [a.arg for a in parameters]])
        self._scopes.append(self._function_scope(node, {argument.arg for argument in parameters}))
        self._write(node.body if isinstance(node, ast.Lambda) else self._documented(node.body))
        self._scopes.pop()
        self._parts.append(")")

    def _function_scope(self, node: _Function, parameters: set[str]) -> dict[str, str | None]:
        names = _names([node.body] if isinstance(node, ast.Lambda) else node.body)
        kept = parameters | names.spelled
        renamed = names.stored - kept - names.declared
        scope: dict[str, str | None] = dict.fromkeys(kept - names.declared)
        scope.update(dict.fromkeys(renamed, "" if self._renames else None))
        return scope

    def _documented(self, body: Sequence[ast.stmt]) -> list[ast.stmt]:
        return list(body if self._keep_docstrings else _without_docstring(body))


_SKIPPED = frozenset({"ctx", "type_comment", "kind"})
_BINDS = frozenset(
    {ast.ExceptHandler, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom}
    | {ast.MatchAs, ast.MatchStar, ast.MatchMapping, ast.Global, ast.Nonlocal}
)
_WRITTEN_FIELDS: dict[type, tuple[str, ...]] = {
    kind: tuple(name for name in kind._fields if name not in _SKIPPED)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}
_OPENS_SCOPE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_SPECIAL: dict[type, Callable[[_Writer, Any], None]] = {
    ast.Name: lambda writer, node: writer._name(node.id),
    ast.Constant: _Writer._constant,
    ast.BinOp: _Writer._arithmetic,
    ast.UnaryOp: _Writer._arithmetic,
    ast.AnnAssign: _Writer._annotated,
    ast.ExceptHandler: _Writer._handler,
    ast.ListComp: _Writer._comprehension,
    ast.SetComp: _Writer._comprehension,
    ast.DictComp: _Writer._comprehension,
    ast.GeneratorExp: _Writer._comprehension,
    ast.ClassDef: _Writer._class,
    ast.FunctionDef: _Writer._function,
    ast.AsyncFunctionDef: _Writer._function,
    ast.Lambda: _Writer._function,
}


# --- names of one scope -------------------------------------------------------------------------------


def _own_nodes(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Every node of one function scope, without the insides of the scopes within."""
    stack = list(body)
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, ast.comprehension):
            stack += [node.iter, *node.ifs]
        elif not isinstance(node, _OPENS_SCOPE):
            stack.extend(ast.iter_child_nodes(node))


@dataclass(frozen=True)
class _Names:
    """What one function scope binds.

    `spelled` are bound by a def, class, import or pattern, where the spelling shows, or declared to
    belong outside; `stored` are all assigned variables.
    """

    stored: set[str]
    spelled: set[str]
    declared: set[str]


def _names(body: Iterable[ast.AST]) -> _Names:
    names = _Names(set(), set(), set())
    for node in _own_nodes(body):
        if isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                names.stored.add(node.id)
        elif type(node) in _BINDS:
            _note_binding(node, names)
    return names


def _note_binding(node: ast.AST, names: _Names) -> None:
    match node:
        case ast.ExceptHandler(name=str(name)):
            names.stored.add(name)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            names.spelled.add(name)
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            names.spelled.add(name)
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            names.spelled.update(alias.asname or alias.name.partition(".")[0] for alias in aliases)
        case ast.Global(names=declared) | ast.Nonlocal(names=declared):
            names.declared.update(declared)


# --- numbers ------------------------------------------------------------------------------------------

_NUMBER_TYPES = (int, float, complex)
_FOLDS: dict[type[ast.AST], Callable[[_Number, _Number], _Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def _folded(node: ast.expr) -> _Number | None:
    """The value of pure arithmetic on number literals, or None."""
    if isinstance(node, ast.Constant):
        # Not isinstance: True is an int.
        return node.value if type(node.value) in _NUMBER_TYPES else None  # type: ignore[return-value]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _folded(node.operand)
        return None if number is None else -number
    if not isinstance(node, ast.BinOp) or type(node.op) not in _FOLDS:
        return None
    right = _folded(node.right)
    left = None if right is None else _folded(node.left)
    if left is None or right is None or _is_large(left, node.op, right):
        return None
    try:
        return _FOLDS[type(node.op)](left, right)
    except (ZeroDivisionError, OverflowError):
        return None


def _is_large(left: _Number, op: ast.operator, right: _Number) -> bool:
    return max(abs(left), abs(right)) > _LARGEST_FOLDED or (isinstance(op, ast.Pow) and abs(right) > 64)
