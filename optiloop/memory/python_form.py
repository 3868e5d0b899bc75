"""The normal form of a Python module: equal for two texts only where they are the same program. Pure.

Looked through are: layout, comments, docstrings, annotations, the wording of numbers, the names of local
variables, the order of neighbouring imports and how what they load is named, single-use temporaries, private
constants, the names of private functions, and how branches are written down. Every doubt goes to
"different"; the same speed to within some look-ups of a name is "the same program".
"""

from __future__ import annotations

import ast
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, cast

from optiloop.memory.python_blocks import Order, branched, can_move, denied, flat, one_by_one, put_in_place
from optiloop.memory.python_names import (
    NODE_FIELDS,
    PLAIN_MODULES,
    Definition,
    Meanings,
    Origin,
    assignment,
    bound_here,
    folded,
    imported_names,
    is_literal,
    meanings,
    parts_of,
    walk,
)

_STEADY_MODULES = PLAIN_MODULES | {"numpy"}

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_Display = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)


@dataclass(frozen=True)
class Statement:
    """A top-level statement in normal form; `name` is a definition's, `binds` what an import binds."""

    text: str
    name: str = ""
    binds: tuple[str, str] | None = None

    @property
    def is_import(self) -> bool:
        return self.binds is not None


@lru_cache(maxsize=64)
def statements(text: str, spelled: frozenset[str] = frozenset()) -> tuple[Statement, ...] | None:
    """The top-level statements of a module in normal form, or None where the text is not Python.

    The names in `spelled` keep their spelling: other files may know them by it.
    """
    try:
        tree = ast.parse(text)
        tree.body = [part for node in tree.body for part in _constants_apart(node)]
        return tuple(_Module(tree, spelled, keep_docstrings="__doc__" in text).statements())
    except (SyntaxError, ValueError, RecursionError):
        return None


class _Module:
    """Writes the statements of one module, top down; earlier ones tell how later ones name things."""

    def __init__(self, tree: ast.Module, spelled: frozenset[str], *, keep_docstrings: bool) -> None:
        self._body = tree.body if keep_docstrings else _without_docstring(tree.body)
        self._meanings = meanings(tree, spelled)
        self._keep_docstrings = keep_docstrings
        self._names = {name: origin.text for name, origin in self._meanings.imports.items()}

    def statements(self) -> Iterator[Statement]:
        loaded: set[str] = set()
        for node in self._body:
            if not isinstance(node, ast.Import | ast.ImportFrom):
                loaded.clear()
                yield from self._written(node)
                continue
            for statement in self._import(node):
                if statement.text not in loaded:
                    yield statement
                if statement.binds == (statement.text, ""):
                    loaded.add(statement.text)

    def _import(self, node: ast.Import | ast.ImportFrom) -> Iterator[Statement]:
        for name, alias in zip(imported_names(node), node.names, strict=True):
            if name in self._meanings.imports:
                line = self._meanings.imports[name].line
                yield Statement(line, binds=(line, ""))
            elif isinstance(node, ast.Import):
                root = alias.name.partition(".")[0]
                binds = (alias.asname, alias.name) if alias.asname else (root, root)
                yield Statement(f"import {alias.name} as {alias.asname}", binds=binds)
            else:
                origin = "." * node.level + (node.module or "")
                binds = (alias.asname or alias.name, f"{origin}:{alias.name}")
                yield Statement(f"from {origin} import {alias.name} as {alias.asname}", binds=binds)

    def _written(self, node: ast.stmt) -> Iterator[Statement]:
        if not self._keep_docstrings and not flat([node]):
            return
        pair = assignment(node)
        name = node.name if isinstance(node, Definition) else pair[0] if pair else ""
        annotation = node.annotation if isinstance(node, ast.AnnAssign) else None
        if name in self._meanings.literals and self._meanings.evaluates(annotation):
            return
        if name in self._meanings.private:
            self._names[name] = "@"
            if isinstance(node, ast.AnnAssign) and self._meanings.evaluates(annotation):
                node = ast.Assign(targets=[node.target], value=cast(ast.expr, node.value))
        text = _Writer(node, self._meanings, self._names, keep_docstrings=self._keep_docstrings).text()
        if name in self._meanings.private:
            token = f"@{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
            self._names[name] = name if token in self._names.values() else token
        defined = isinstance(node, Definition)
        yield Statement(text, name=self._names.get(name, name) if defined else "")


def _constants_apart(node: ast.stmt) -> list[ast.stmt]:
    """`A, B = 1, 2` of a module as two statements; nobody can run between them."""
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple) and is_literal(node.value):
        return [ast.copy_location(part, node) for part in one_by_one([node], lambda name: False)]
    return [node]


def _without_docstring(body: Sequence[ast.stmt]) -> Sequence[ast.stmt]:
    first = body[0] if body else None
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        return body[1:]
    return body


# --- one statement ------------------------------------------------------------------------------------


@dataclass
class _Frame:
    """The function that is being written: its locals, and those of them whose spelling does not matter."""

    body: Sequence[ast.AST]
    locals: frozenset[str]
    renamed: frozenset[str]

    @cached_property
    def _counts(self) -> tuple[Counter[str], frozenset[str], dict[str, ast.expr]]:
        """How often each name stands in the function, those that inner functions bind, and last values."""
        counts: Counter[str] = Counter()
        rebound: set[str] = set()
        values: dict[str, ast.expr] = {}
        for root in self.body:
            for node in walk(root):
                if isinstance(node, ast.Name):
                    counts[node.id] += 1
                    if not isinstance(node.ctx, ast.Load):
                        counts[f"{node.id}="] += 1
                elif isinstance(node, ast.Nonlocal | ast.Global):
                    rebound.update(node.names)
                elif isinstance(node, ast.ExceptHandler):
                    rebound.update(bound_here(node))
                elif isinstance(node, ast.stmt) and (pair := assignment(node)):
                    values[pair[0]] = pair[1]
        return counts, frozenset(rebound), values

    def is_temporary(self, name: str) -> bool:
        """Whether a local is assigned once and read once, and nothing else is done with it."""
        counts, rebound, _ = self._counts
        return name in self.renamed and counts[name] == 2 and counts[f"{name}="] == 1 and name not in rebound

    def can_be_told(self, name: str) -> bool:
        """Whether anybody but the function's own next statement sees when a local is assigned to."""
        return name not in self.renamed or self._is_watched

    @cached_property
    def _is_watched(self) -> bool:
        watched = ast.Try | ast.With | ast.AsyncWith | ast.Lambda | ast.FunctionDef | ast.AsyncFunctionDef
        kinds = (watched, getattr(ast, "TryStar", ast.Try))
        return any(isinstance(node, kinds) for root in self.body for node in walk(root))

    def is_steady(self, name: str) -> bool:
        return name in self.locals and name not in self._counts[1]

    def is_display(self, name: str) -> bool:
        """Whether a local is never anything but one list, dict or set."""
        counts, rebound, values = self._counts
        value = values.get(name)
        once = name in self.renamed and counts[f"{name}="] == 1 and name not in rebound
        return once and isinstance(value, _Display)


class _Writer:
    """Writes one top-level statement in normal form.

    Local variables become %0, %1, ... in order of appearance, which no identifier can collide with.
    """

    def __init__(
        self, node: ast.stmt, names: Meanings, written: dict[str, str], *, keep_docstrings: bool
    ) -> None:
        self._keep_docstrings = keep_docstrings
        self._meanings = names
        self._written = written
        self._parts: list[str] = []
        self._tokens = 0
        # Innermost scope last: name -> token, "" for a local whose token is not given out yet, None for
        # a name that is bound here and keeps its spelling.
        self._scopes: list[dict[str, str | None]] = []
        self._frame: _Frame | None = None
        self._renames = not names.counted.shows_locals
        self._write(node)

    def text(self) -> str:
        return "".join(self._parts)

    def _write(self, value: object) -> None:
        kind = type(value)
        if kind is list:
            items = cast(list[object], value)
            if items and isinstance(items[0], ast.stmt):
                self._block(cast(list[ast.stmt], items), tail=None)
                return
            self._parts.append("[")
            for item in items:
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
        for name in NODE_FIELDS[kind]:
            self._write(getattr(node, name, None))
        self._parts.append(")")

    # -- blocks

    def _block(self, body: Sequence[ast.stmt], *, tail: type[ast.stmt] | None) -> None:
        """Write statements that run one after the other; `tail` as in `branched`."""
        frame = self._frame
        renamed = frame.renamed if frame is not None else frozenset[str]()
        found = flat(body)
        if frame is not None:
            found = one_by_one(found, frame.can_be_told)
            found = self._without_temporaries(found, frame)
        found = branched(found, is_local=renamed.__contains__, tail=tail)
        self._parts.append("[")
        for node in found:
            self._write(node)
        self._parts.append("]")

    def _without_temporaries(self, body: Sequence[ast.stmt], frame: _Frame) -> list[ast.stmt]:
        """Put a value where it is read, if that is the next thing done, and the only reading of it."""
        found: list[ast.stmt] = []
        for node in body:
            while found and (pair := assignment(found[-1])) and pair[0] in frame.renamed:
                use = Order(pair[0], is_steady=self._is_steady, is_plain=self._is_plain).starts(node)
                if use is None or not frame.is_temporary(pair[0]) or not can_move(pair[1]):
                    break
                put_in_place(node, use, pair[1])
                found.pop()
            found.append(node)
        return found

    def _is_steady(self, name: str) -> bool:
        """Whether a name is the same before and after anything that an expression may do."""
        frame = self._frame
        if frame is not None and name in frame.locals:
            return frame.is_steady(name)
        return self._meanings.is_fixed(name) and self._is_global(name)

    def _is_plain(self, name: str) -> bool:
        """Whether reading an attribute of what a name stands for has no effect, and is the same later."""
        frame = self._frame
        if frame is not None and name in frame.locals:
            return frame.is_display(name)
        origin = self._meanings.imports.get(name)
        return origin is not None and not origin.name and origin.module in _STEADY_MODULES

    def _is_global(self, name: str) -> bool:
        return not any(name in scope for scope in self._scopes)

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While) -> None:
        self._parts.append(f"{type(node).__name__}(")
        if isinstance(node, ast.While):
            endless = isinstance(node.test, ast.Constant) and bool(node.test.value)
            self._write(ast.Constant(value=True) if endless else node.test)
        else:
            self._write(node.target)
            self._write(node.iter)
        self._block(node.body, tail=ast.Continue)
        self._block(node.orelse, tail=None)
        self._parts.append(")")

    def _choice(self, node: ast.IfExp) -> None:
        affirmed = denied(node.test)
        if affirmed is None:
            self._fields(node)
        else:
            self._choice(ast.IfExp(test=affirmed, body=node.orelse, orelse=node.body))

    # -- names and constants

    def _variable(self, node: ast.Name) -> None:
        literal = self._meanings.literals.get(node.id)
        if literal is None:
            self._name(node.id)
        else:
            self._write(literal)

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
        return self._written.get(name, name)

    def _attribute(self, node: ast.Attribute) -> None:
        self._write(node.value)
        self._parts.append(f".{node.attr},")

    def _constant(self, node: ast.Constant) -> None:
        self._parts.append(f"{type(node.value).__name__}:{node.value!r},")

    def _arithmetic(self, node: ast.BinOp | ast.UnaryOp) -> None:
        number = folded(node, self._meanings.literals)
        if number is not None:
            self._parts.append(f"{type(number).__name__}:{number!r},")
        elif isinstance(node, ast.UnaryOp) and (other := _membership_denied(node)):
            self._fields(other)
        else:
            self._fields(node)

    def _call(self, node: ast.Call) -> None:
        """`range` says its start and its step only where they are not the usual ones."""
        match node:
            case ast.Call(func=ast.Name(id="range"), args=[_, _, *_] as arguments, keywords=[]):
                if self._meanings.is_builtin("range") and self._is_global("range"):
                    node = ast.Call(func=node.func, args=_short_range(arguments), keywords=[])
        self._fields(node)

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

    # -- scopes

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
        around, self._scopes, self._frame = (self._scopes, self._frame), [], None
        self._block(self._documented(node.body), tail=None)
        self._scopes, self._frame = around
        self._parts.append(")")

    def _function(self, node: _Function) -> None:
        """A decorator may read annotations; nothing else does, if they can be evaluated at all."""
        arguments = node.args
        parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        parameters += [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
        name = getattr(node, "name", "")
        self._parts.append(f"{type(node).__name__}({self._spelling(name) if name else ''},")
        if not isinstance(node, ast.Lambda):
            self._decorators(node.decorator_list)
            self._write(getattr(node, "type_params", []))
            annotations = [argument.annotation for argument in parameters] + [node.returns]
            if node.decorator_list or not all(map(self._meanings.evaluates, annotations)):
                self._write(annotations)
        self._write([arguments.defaults, arguments.kw_defaults])
        self._write([len(arguments.posonlyargs), len(arguments.args), len(arguments.kwonlyargs)])
        self._write([bool(arguments.vararg), bool(arguments.kwarg), [a.arg for a in parameters]])
        self._body(node, {argument.arg for argument in parameters})
        self._parts.append(")")

    def _decorators(self, decorators: Sequence[ast.expr]) -> None:
        """A cache of functools by its size, however it is asked for."""
        self._parts.append("[")
        for decorator in decorators:
            size = self._cache_size(decorator)
            if size is None:
                self._write(decorator)
            else:
                self._parts.append("<functools>,.lru_cache(maxsize=")
                self._write(size)
                self._parts.append(")")
        self._parts.append("]")

    def _cache_size(self, decorator: ast.expr) -> ast.expr | None:
        match decorator:
            case ast.Call(func=function, args=arguments, keywords=keywords):
                if self._origin(function) != Origin("functools", "lru_cache"):
                    return None
            case _:
                usual = {Origin("functools", "cache"): None, Origin("functools", "lru_cache"): 128}
                origin = self._origin(decorator)
                return ast.Constant(usual[origin]) if origin in usual else None
        match arguments, keywords:
            case [], []:
                return ast.Constant(128)
            case [size], [] if not isinstance(size, ast.Starred):
                return size
            case [], [ast.keyword(arg="maxsize", value=size)]:
                return size
        return None

    def _origin(self, node: ast.expr) -> Origin | None:
        """What an imported name, or an attribute of an imported module, is; None for anything else."""
        imports = self._meanings.imports
        match node:
            case ast.Name(id=name) if self._is_global(name):
                return imports.get(name)
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if self._is_global(name):
                origin = imports.get(name)
                return Origin(origin.module, attribute) if origin is not None and not origin.name else None
        return None

    def _body(self, node: _Function, parameters: set[str]) -> None:
        body: Sequence[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else node.body
        names = _names(body)
        kept = (parameters | names.spelled) - names.declared
        renamed = names.stored - kept - names.declared if self._renames else set[str]()
        around = self._frame
        self._scopes.append(
            dict.fromkeys(kept | (names.stored - names.declared)) | dict.fromkeys(renamed, "")
        )
        if isinstance(node, ast.Lambda):
            self._frame = None
            self._write(node.body)
        else:
            self._frame = _Frame(body, frozenset(self._scopes[-1]), frozenset(renamed))
            self._block(self._documented(node.body), tail=ast.Return)
        self._frame = around
        self._scopes.pop()

    def _documented(self, body: Sequence[ast.stmt]) -> Sequence[ast.stmt]:
        """The body without its docstring, which is written where somebody may read it."""
        rest = _without_docstring(body)
        if self._keep_docstrings and len(rest) < len(body):
            self._write(cast(ast.Expr, body[0]).value)
        return rest


_SPECIAL: dict[type, Callable[[_Writer, Any], None]] = {
    ast.Name: _Writer._variable,
    ast.Attribute: _Writer._attribute,
    ast.Constant: _Writer._constant,
    ast.BinOp: _Writer._arithmetic,
    ast.UnaryOp: _Writer._arithmetic,
    ast.Call: _Writer._call,
    ast.IfExp: _Writer._choice,
    ast.AnnAssign: _Writer._annotated,
    ast.ExceptHandler: _Writer._handler,
    ast.ListComp: _Writer._comprehension,
    ast.SetComp: _Writer._comprehension,
    ast.DictComp: _Writer._comprehension,
    ast.GeneratorExp: _Writer._comprehension,
    ast.For: _Writer._loop,
    ast.AsyncFor: _Writer._loop,
    ast.While: _Writer._loop,
    ast.ClassDef: _Writer._class,
    ast.FunctionDef: _Writer._function,
    ast.AsyncFunctionDef: _Writer._function,
    ast.Lambda: _Writer._function,
}


def _short_range(arguments: list[ast.expr]) -> list[ast.expr]:
    match arguments:
        case [start, stop, ast.Constant(value=1)]:
            return _short_range([start, stop])
        case [ast.Constant(value=0), stop] if not isinstance(stop, ast.Starred):
            return [stop]
        case _:
            return arguments


def _membership_denied(node: ast.UnaryOp) -> ast.Compare | None:
    """`a not in b` for `not a in b`; None for another operation."""
    match node:
        case ast.UnaryOp(op=ast.Not(), operand=ast.Compare(left=left, ops=[ast.In()], comparators=others)):
            return ast.Compare(left=left, ops=[ast.NotIn()], comparators=others)
        case ast.UnaryOp(op=ast.Not(), operand=ast.Compare(left=left, ops=[ast.Is()], comparators=others)):
            return ast.Compare(left=left, ops=[ast.IsNot()], comparators=others)
        case _:
            return None


# --- names of one scope -------------------------------------------------------------------------------

_OPENS_SCOPE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_BINDS = frozenset(
    {ast.ExceptHandler, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom}
    | {ast.MatchAs, ast.MatchStar, ast.MatchMapping, ast.Global, ast.Nonlocal}
)


def _own_nodes(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Every node of one function scope, without the insides of the scopes within."""
    stack = list(body)
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, ast.comprehension):
            stack += [node.iter, *node.ifs]
        elif not isinstance(node, _OPENS_SCOPE):
            stack += parts_of(node)


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
        case ast.ExceptHandler():
            names.stored.update(bound_here(node))
        case ast.Import() | ast.ImportFrom():
            names.spelled.update(imported_names(node))
        case ast.Global(names=declared) | ast.Nonlocal(names=declared):
            names.declared.update(declared)
        case _:
            names.spelled.update(bound_here(node))
