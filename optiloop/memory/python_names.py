"""What the names of a Python module mean, as far as its text tells for certain. Pure."""

from __future__ import annotations

import ast
import builtins
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

BUILTINS = frozenset(dir(builtins))
NODE_FIELDS: dict[type, tuple[str, ...]] = {
    kind: tuple(name for name in kind._fields if name not in {"ctx", "type_comment", "kind"})
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}

# Modules of the standard library of which `from M import N` loads what `import M` and `M.N` do: N is no
# submodule, and nobody assigns to M.N while a program runs, as happens to `sys.stdout`.
_MODULES = """
abc array base64 binascii bisect bz2 calendar cmath collections contextlib copy csv dataclasses datetime
decimal enum fractions functools hashlib heapq hmac io itertools json lzma math numbers operator random re
statistics string struct textwrap time types typing unicodedata weakref zlib
"""
PLAIN_MODULES = frozenset(_MODULES.split())
_SUBMODULES = frozenset({"abc", "decoder", "encoder", "scanner", "tool", "templatelib"})

# Whoever uses one of these may look a name up by its spelling.
_LOOKS_UP_LOCALS = frozenset({"locals", "eval", "exec", "vars", "dir"})
_LOOKS_UP_GLOBALS = _LOOKS_UP_LOCALS | frozenset(
    {"globals", "getattr", "setattr", "delattr", "__import__", "import_module", "__dict__", "modules"}
    | {"__getattr__", "_getframe", "currentframe", "builtins", "__builtins__"}
)
_READS_NAMES_OF_FUNCTIONS = frozenset({"__name__", "__qualname__", "__code__"})

_GENERIC = frozenset({"dict", "frozenset", "list", "set", "tuple", "type"})
_TYPES = _GENERIC | {"bool", "bytearray", "bytes", "complex", "float", "int", "object", "str"}
_TYPE_PARAMETERS = tuple(
    kind for name in ("TypeVar", "ParamSpec", "TypeVarTuple") if (kind := getattr(ast, name, None))
)

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_Place = tuple[int, int]
_Number = int | float | complex


def parts_of(node: ast.AST) -> list[ast.AST]:
    """A node's children, without the contexts of names: in a third of the time of `ast.iter_child_nodes`."""
    found: list[ast.AST] = []
    for name in NODE_FIELDS[type(node)]:
        value = getattr(node, name, None)
        if type(value) is list:
            found += [item for item in value if isinstance(item, ast.AST)]
        elif isinstance(value, ast.AST):
            found.append(value)
    return found


def walk(root: ast.AST) -> list[ast.AST]:
    """A node and all below it, breadth first as `ast.walk` has them."""
    found = [root]
    for node in found:  # grows under way
        if type(node) is not ast.Name:
            found += parts_of(node)
    return found


@dataclass
class Census:
    """Every identifier of a module: how often it is bound and read, and where first."""

    bound: Counter[str] = field(default_factory=Counter)
    read: dict[str, _Place] = field(default_factory=dict)
    reads: Counter[str] = field(default_factory=Counter)
    strings: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    compared: set[str] = field(default_factory=set)
    """Names beside an `is`: what is one object and what another matters there."""
    patched: set[str] = field(default_factory=set)
    """Names whose attributes are assigned to or deleted."""
    stars: bool = False
    classes: int = 0
    inner_classes: bool = False

    @cached_property
    def mentioned(self) -> set[str]:
        """Whatever could be looked up by its spelling."""
        return self.reads.keys() | self.attributes | self.strings

    @property
    def shows_locals(self) -> bool:
        """Whether a local's spelling could matter: it is looked up, or a class shows it to its methods."""
        return self.inner_classes or not _LOOKS_UP_LOCALS.isdisjoint(self.mentioned)

    @property
    def shows_globals(self) -> bool:
        return (
            self.stars
            or not _LOOKS_UP_GLOBALS.isdisjoint(self.mentioned)
            or not _LOOKS_UP_GLOBALS.isdisjoint(self.bound)
        )

    @property
    def shows_functions(self) -> bool:
        return not _READS_NAMES_OF_FUNCTIONS.isdisjoint(self.attributes)


def census(tree: ast.Module) -> Census:
    found = Census()
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        kind = type(node)
        if kind is ast.Name:
            _note_name(node, found)  # type: ignore[arg-type]
            continue
        if kind in _NOTED:
            _note(node, found)
        stack += parts_of(node)
    found.inner_classes = found.classes > sum(isinstance(node, ast.ClassDef) for node in tree.body)
    return found


def _note_name(node: ast.Name, found: Census) -> None:
    name = node.id
    if isinstance(node.ctx, ast.Load):
        place = (node.lineno, node.col_offset)
        found.reads[name] += 1
        if place < found.read.get(name, place) or name not in found.read:
            found.read[name] = place
    else:
        found.bound[name] += 1


def _note(node: ast.AST, found: Census) -> None:
    match node:
        case ast.Constant(value=str(text)):
            found.strings.add(text.rpartition(".")[2])
        case ast.Attribute(value=value, attr=attribute, ctx=context):
            found.attributes.add(attribute)
            if isinstance(value, ast.Name) and not isinstance(context, ast.Load):
                found.patched.add(value.id)
        case ast.Compare(left=left, ops=operators, comparators=others):
            if any(isinstance(operator, ast.Is | ast.IsNot) for operator in operators):
                found.compared.update(side.id for side in (left, *others) if isinstance(side, ast.Name))
        case ast.arg(arg=name):
            found.bound[name] += 1
        case ast.Import() | ast.ImportFrom():
            found.stars |= node.names[0].name == "*"
            found.bound.update(imported_names(node))
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            found.bound.update(names)
        case ast.ClassDef(name=name):
            found.classes += 1
            found.bound[name] += 1
        case _:
            found.bound.update(bound_here(node))


def imported_names(node: ast.Import | ast.ImportFrom) -> list[str]:
    whole = isinstance(node, ast.Import)
    return [alias.asname or (alias.name.partition(".")[0] if whole else alias.name) for alias in node.names]


def bound_here(node: ast.AST) -> Iterator[str]:
    """The name that a handler, a definition, a pattern or a type parameter binds."""
    match node:
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case _ if isinstance(node, _TYPE_PARAMETERS):
            yield str(getattr(node, "name", ""))


_NOTED = frozenset(
    {ast.Constant, ast.Attribute, ast.Compare, ast.arg, ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal}
    | {ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.ExceptHandler}
    | {ast.MatchAs, ast.MatchStar, ast.MatchMapping}
    | set(_TYPE_PARAMETERS)
)


# --- what can be looked through -----------------------------------------------------------------------


@dataclass(frozen=True)
class Origin:
    """What a name of an import is: a module, or a name of one."""

    module: str
    name: str = ""

    @property
    def line(self) -> str:
        """The import that loads it, in normal form."""
        whole = not self.name or self.module in PLAIN_MODULES
        return f"import {self.module}" if whole else f"from {self.module} import {self.name}"

    @property
    def text(self) -> str:
        """The name in normal form; what lies in a plain module is written as an attribute of it is."""
        if not self.name:
            return f"<{self.module}>"
        if self.module in PLAIN_MODULES:
            return f"<{self.module}>,.{self.name}"
        return f"<{self.module}:{self.name}>"


@dataclass(frozen=True)
class Meanings:
    """The names of one module whose spelling does not matter, and what is known of the others.

    `imports` and `literals` are looked through. `private` are bound once to something that has no equal
    literal, so they may be renamed. `fixed` are never bound again once the module is loaded.
    """

    counted: Census
    imports: dict[str, Origin]
    literals: dict[str, ast.expr]
    private: frozenset[str]
    fixed: frozenset[str]
    types: dict[str, _Place]
    """Where names are bound that an annotation may use from there on without an error."""
    lazy_annotations: bool

    def is_fixed(self, name: str) -> bool:
        return name in self.fixed or (name in BUILTINS and not self.counted.bound[name])

    def is_builtin(self, name: str) -> bool:
        return name in BUILTINS and not self.counted.bound[name] and not self.counted.stars

    def _is_bound_at(self, node: ast.Name) -> bool:
        place = self.types.get(node.id)
        return place is not None and place < (node.lineno, node.col_offset)

    def _has_items(self, node: ast.Name) -> bool:
        return self._is_bound_at(node) or (node.id in _GENERIC and self.is_builtin(node.id))

    def evaluates(self, annotation: ast.expr | None) -> bool:
        """Whether an annotation certainly raises nothing where it is evaluated."""
        match annotation:
            case None | ast.Constant():
                return True
            case _ if self.lazy_annotations:
                return True
            case ast.Name(id=name):
                return self._is_bound_at(annotation) or (name in _TYPES and self.is_builtin(name))
            case ast.Attribute(value=ast.Name() as module):
                return self._is_bound_at(module)
            case ast.Subscript(value=ast.Name() as base, slice=inner) if self._has_items(base):
                return all(map(self.evaluates, inner.elts if isinstance(inner, ast.Tuple) else [inner]))
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return all(self.evaluates(side) and not _is_text(side) for side in (left, right))
            case _:
                return False


def meanings(tree: ast.Module, spelled: frozenset[str]) -> Meanings:
    """Tell what a module's names mean; those in `spelled` keep their spelling whatever they are."""
    counted = census(tree)
    top = dict(_bound_at_top(tree.body))
    once = frozenset(name for name in top if counted.bound[name] == 1)
    free = frozenset[str]()
    if not counted.shows_globals and not _lists_names(tree, counted):
        free = frozenset(name for name in once - spelled if _is_free(name, top[name], counted))
    imports = {name: origin for name, origin in _origins(tree.body) if name in free - counted.patched}
    told = Counter(imports.values())
    imports = {name: it for name, it in imports.items() if told[it] == 1 or it.line.startswith("import")}
    literals, private = {}, set()
    for name, value in _private_values(tree.body):
        if name in free:
            if value is not None and is_literal(value) and name not in counted.compared:
                literals[name] = value
            elif value is not None or not counted.shows_functions:
                private.add(name)
    types = {name: top[name] for name, _ in _origins(tree.body) if name in once}
    types |= {
        node.name: top[node.name]
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name in once
    }
    lazy = any(map(_makes_annotations_lazy, tree.body))
    return Meanings(counted, imports, literals, frozenset(private), once, types, lazy)


def _makes_annotations_lazy(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and "annotations" in imported_names(node)
    )


def _lists_names(tree: ast.Module, counted: Census) -> bool:
    """Whether `__all__` may hold more than the texts in `Census.strings`."""
    plain = sum(
        pair[0] == "__all__" for pair in map(assignment, tree.body) if pair and _is_list_of_texts(pair[1])
    )
    return counted.reads["__all__"] > 0 or counted.bound["__all__"] != plain


def _is_list_of_texts(node: ast.expr) -> bool:
    return isinstance(node, ast.List | ast.Tuple) and all(map(_is_text, node.elts))


def _is_free(name: str, place: _Place, counted: Census) -> bool:
    """Whether a name is read, never before it is bound, and never looked up by its spelling."""
    first = counted.read.get(name)
    return first is not None and place < first and name not in counted.strings


def _bound_at_top(body: Sequence[ast.stmt]) -> Iterator[tuple[str, _Place]]:
    for node in body:
        place = (node.lineno, node.col_offset)
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((name, place) for name in imported_names(node))
        elif isinstance(node, Definition):
            yield node.name, place
        elif (pair := assignment(node)) is not None:
            yield pair[0], (node.end_lineno or 0, node.end_col_offset or 0)


def _origins(body: Iterable[ast.stmt]) -> Iterator[tuple[str, Origin]]:
    for node in body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if "." not in alias.name:
                    yield alias.asname or alias.name, Origin(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                if alias.name != "*" and not (module in PLAIN_MODULES and alias.name in _SUBMODULES):
                    yield alias.asname or alias.name, Origin(module, alias.name)


def _private_values(body: Iterable[ast.stmt]) -> Iterator[tuple[str, ast.expr | None]]:
    """Private names of a module with what they are assigned; None for a function."""
    for node in body:
        pair = (node.name, None) if isinstance(node, ast.FunctionDef) else assignment(node)
        if pair is not None and pair[0].startswith("_") and not pair[0].startswith("__"):
            yield pair


def assignment(node: ast.stmt) -> tuple[str, ast.expr] | None:
    """The one name that a statement assigns to, and the value."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return name, value
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            return name, value
        case _:
            return None


def is_literal(node: ast.expr) -> bool:
    """Whether an expression is a number, a text, a truth value, None, or a tuple of such."""
    match node:
        case ast.Constant():
            return True
        case ast.Tuple(elts=items):
            return all(map(is_literal, items))
        case _:
            return folded(node, {}) is not None


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is not None


# --- numbers ------------------------------------------------------------------------------------------

_LARGEST_FOLDED = 2**64
_NUMBER_TYPES = (int, float, complex)
_FOLDS: dict[type[ast.AST], Callable[[_Number, _Number], _Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def folded(node: ast.expr, literals: Mapping[str, ast.expr]) -> _Number | None:
    """The value of pure arithmetic on number literals, and on names of such; None for anything else."""
    if isinstance(node, ast.Name):
        node = literals.get(node.id, node)
    if isinstance(node, ast.Constant):
        # Not isinstance: True is an int.
        return node.value if type(node.value) in _NUMBER_TYPES else None  # type: ignore[return-value]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = folded(node.operand, literals)
        return None if number is None else -number
    if not isinstance(node, ast.BinOp) or type(node.op) not in _FOLDS:
        return None
    right = folded(node.right, literals)
    left = None if right is None else folded(node.left, literals)
    if left is None or right is None or _is_large(left, node.op, right):
        return None
    try:
        return _FOLDS[type(node.op)](left, right)
    except (ZeroDivisionError, OverflowError):
        return None


def _is_large(left: _Number, op: ast.operator, right: _Number) -> bool:
    return max(abs(left), abs(right)) > _LARGEST_FOLDED or (isinstance(op, ast.Pow) and abs(right) > 64)
