"""What kind of value an expression has, as far as the text tells. Pure.

Evidence comes from literals, annotations, methods called, and what the module's own calls pass.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass

from optiloop.proposers.rewrite.code import Code, Comprehension, Function, Scope
from optiloop.proposers.rewrite.facts import is_name, parameter_names, stored, stores, walk, words


@dataclass(frozen=True)
class Kind:
    """A kind of value, by name, and the kind of its items; `char` is a string of one character."""

    name: str
    item: Kind | None = None

    @property
    def is_text(self) -> bool:
        return self.name in ("str", "char")

    @property
    def is_hashable(self) -> bool:
        return self.name not in ("list", "dict", "set")

    @property
    def is_sequence(self) -> bool:
        return self.name in ("list", "tuple")


CHAR = Kind("char")
TEXT = Kind("str", CHAR)
NUMBER = Kind("int")
_BY_ANNOTATION = {
    "str": "str", "int": "int", "float": "float", "bool": "bool", "bytes": "bytes", "list": "list",
    "List": "list", "Sequence": "list", "MutableSequence": "list", "tuple": "tuple", "Tuple": "tuple",
    "set": "set", "Set": "set", "frozenset": "set", "dict": "dict", "Dict": "dict", "Mapping": "dict",
    "Iterable": "iterable", "Iterator": "iterable", "Counter": "dict", "deque": "deque",
}  # fmt: skip
_BY_CALL = {
    "len": "int", "int": "int", "ord": "int", "sum": "int", "round": "int", "hash": "int", "float": "float",
    "str": "str", "chr": "char", "input": "str", "repr": "str", "hex": "str", "bin": "str", "bool": "bool",
    "dict": "dict", "Counter": "dict", "defaultdict": "dict",
    "OrderedDict": "dict", "deque": "deque", "isinstance": "bool",
}  # fmt: skip
_KEEPS_ITEMS = {
    "list": "list", "sorted": "list", "tuple": "tuple", "set": "set", "frozenset": "set",
    "reversed": "iterable", "iter": "iterable",
}  # fmt: skip
_NUMBER_METHODS = words("count find index rfind rindex bit_length")
_TEXT_METHODS = words(
    "lower upper strip lstrip rstrip replace join title capitalize swapcase casefold center ljust "
    "rjust zfill format translate removeprefix removesuffix"
)
_ONLY_TEXT_METHODS = words(
    "lower upper strip lstrip rstrip replace split splitlines isalpha isdigit isalnum isspace isupper "
    "islower startswith endswith title capitalize swapcase translate casefold join"
)
_WORDS_METHODS = words("split splitlines rsplit findall")
_DICT_METHODS = words("items keys values get setdefault")
_LIST_METHODS = words("append extend insert sort reverse")


class Kinds:
    """Tells kinds of values in one module. Answers None where the text gives no evidence."""

    def __init__(self, code: Code) -> None:
        self._code = code
        # None while the question is open, so that one that leads back to itself ends.
        self._answers: dict[ast.AST, Kind | None] = code.known.setdefault(Kinds, {})

    def of(self, node: ast.AST | None) -> Kind | None:
        """The kind of an expression's value."""
        if node is None:
            return None
        if node not in self._answers:
            self._answers[node] = None
            self._answers[node] = self._of_display(node) or self._of_operation(node)
        return self._answers[node]

    def _of_display(self, node: ast.AST) -> Kind | None:
        """Literals and comprehensions."""
        match node:
            case ast.Constant(value=value):
                return _of_constant(value)
            case ast.JoinedStr():
                return TEXT
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
                return Kind(type(node).__name__.lower(), self.of(items[0]) if items else None)
            case ast.ListComp(elt=item):
                return Kind("list", self.of(item))
            case ast.SetComp(elt=item):
                return Kind("set", self.of(item))
            case ast.Dict() | ast.DictComp():
                return Kind("dict")
            case ast.GeneratorExp(elt=item):
                return Kind("iterable", self.of(item))
        return None

    def _of_operation(self, node: ast.AST) -> Kind | None:
        match node:
            case ast.Compare():
                return Kind("bool")
            case ast.IfExp(body=one, orelse=other):
                return self._first([one, other])
            case ast.BoolOp(values=values):
                return self._first(values)
            case ast.BinOp(left=left, op=op, right=right):
                return self._of_arithmetic(left, op, right)
            case ast.UnaryOp(operand=operand):
                return self.of(operand)
            case ast.Subscript(value=value, slice=index):
                return self._of_part(self.of(value), index)
            case ast.Call(func=ast.Name(id=name)):
                return self._of_function_call(node, name)
            case ast.Call(func=ast.Attribute(value=receiver, attr=method)):
                return self._of_method_call(receiver, method)
            case ast.Name():
                return self._of_name(node)
        return None

    def item(self, node: ast.AST | None) -> Kind | None:
        """The kind of what iterating over an expression gives."""
        kind = self.of(node)
        if kind is None:
            return None
        return CHAR if kind.is_text else kind.item

    def is_text(self, node: ast.AST) -> bool:
        kind = self.of(node)
        return kind is not None and kind.is_text

    def is_list(self, node: ast.AST) -> bool:
        kind = self.of(node)
        return kind is not None and kind.name == "list"

    def is_sequence(self, node: ast.AST) -> bool:
        """Whether there is evidence of a list or tuple."""
        kind = self.of(node)
        return kind is not None and kind.is_sequence

    def is_number(self, node: ast.AST) -> bool:
        kind = self.of(node)
        return kind is not None and kind.name in ("int", "bool")

    def may_be_hashable(self, node: ast.AST) -> bool:
        kind = self.of(node)
        return kind is None or kind.is_hashable

    def items_may_be_hashable(self, node: ast.AST) -> bool:
        kind = self.item(node)
        return kind is None or kind.is_hashable

    def _first(self, nodes: Iterable[ast.AST | None]) -> Kind | None:
        """The first kind that is known, preferring one whose items are known."""
        known = [kind for kind in (self.of(node) for node in nodes) if kind is not None]
        return next((kind for kind in known if kind.item is not None), known[0] if known else None)

    def _of_arithmetic(self, left: ast.expr, op: ast.operator, right: ast.expr) -> Kind | None:
        one, other = self.of(left), self.of(right)
        sequence = next((k for k in (one, other) if k and k.name in ("str", "char", "list", "tuple")), None)
        if sequence is not None and isinstance(op, ast.Add | ast.Mult | ast.Mod):
            return TEXT if sequence.is_text else sequence
        if isinstance(op, ast.Div):
            return Kind("float")
        if one and other and one.name == other.name:
            return one
        return Kind("float") if any(kind and kind.name == "float" for kind in (one, other)) else one and other

    def _of_part(self, whole: Kind | None, index: ast.expr) -> Kind | None:
        if whole is None or whole.name == "dict":
            return None
        if isinstance(index, ast.Slice):
            return TEXT if whole.is_text else whole
        return CHAR if whole.is_text else whole.item

    def _of_function_call(self, call: ast.Call, name: str) -> Kind | None:
        first = call.args[0] if call.args else None
        if name in _KEEPS_ITEMS:
            return Kind(_KEEPS_ITEMS[name], self.item(first))
        if name == "range":
            return Kind("iterable", NUMBER)
        if name in ("min", "max"):
            return self.item(first) if len(call.args) == 1 else self._first(call.args)
        if name == "abs":
            return self.of(first)
        if name == "map" and len(call.args) == 2:
            return Kind("iterable", self._of_result(call.args[0]))
        return self._of_result(call.func)

    def _of_method_call(self, receiver: ast.expr, method: str) -> Kind | None:
        if method in _WORDS_METHODS:
            return Kind("list", TEXT)
        if method in _TEXT_METHODS:
            return TEXT
        if method in _NUMBER_METHODS:
            return NUMBER
        if method == "copy":
            return self.of(receiver)
        if method == "pop":
            return self.item(receiver)
        return _by_call(method)

    def _of_result(self, function: ast.expr) -> Kind | None:
        """What a function of the module returns, by annotation or by its return statements."""
        if not isinstance(function, ast.Name):
            return None
        if function.id in _BY_CALL:
            return _by_call(function.id)
        for known in self._code.functions:
            if known.name == function.id:
                returned = [node.value for node in walk(known.body) if isinstance(node, ast.Return)]
                return _of_annotation(known.returns) or self._first(returned)
        return None

    def _of_name(self, node: ast.Name) -> Kind | None:
        scope = self._code.scope(node)
        comprehension = self._of_comprehension_variable(node)
        if comprehension is not None:
            return comprehension
        if not isinstance(scope, ast.Module) and node.id in parameter_names(scope):
            return self._of_parameter(scope, node.id)
        kind = self._of_variable(scope, node.id)
        if kind is None and scope is not self._code.tree and not stores(scope, node.id):
            outer = self._code.scope(scope)
            if not isinstance(outer, ast.Module) and node.id in parameter_names(outer):
                return self._of_parameter(outer, node.id)
            kind = self._of_variable(outer, node.id) or self._of_variable(self._code.tree, node.id)
        return kind

    def _of_comprehension_variable(self, node: ast.Name) -> Kind | None:
        for outer in self._code.around(node):
            if isinstance(outer, ast.stmt):
                return None
            if isinstance(outer, Comprehension):
                for generator in outer.generators:
                    if node.id in stored(generator.target):
                        return self._of_target(generator.target, generator.iter, node.id)
        return None

    def _of_variable(self, scope: Scope, name: str) -> Kind | None:
        kinds = (self._of_binding(place) for place in stores(scope, name))
        known = [kind for kind in kinds if kind is not None]
        kind = next((kind for kind in known if kind.item is not None), known[0] if known else None)
        if kind is not None and kind.item is None and kind.name == "list":
            return Kind("list", self._of_appended(scope, name))
        return kind

    def _of_appended(self, scope: Scope, name: str) -> Kind | None:
        for node in walk(scope):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=receiver), attr="append"), args=[item]):
                    if receiver == name:
                        return self.of(item)
        return None

    def _of_binding(self, place: ast.Name) -> Kind | None:
        parent = self._code.parent(place)
        match parent:
            case ast.Assign(value=value) if place in parent.targets:
                return self.of(value)
            case ast.AnnAssign(annotation=annotation, value=value):
                return _of_annotation(annotation) or self.of(value)
        for outer in self._code.around(place):
            if isinstance(outer, ast.For):
                return self._of_target(outer.target, outer.iter, place.id)
            if isinstance(outer, ast.stmt):
                return None
        return None

    def _of_target(self, target: ast.expr, iterable: ast.expr, name: str) -> Kind | None:
        """The kind of a loop variable."""
        match target, iterable:
            case ast.Name(), _:
                return self.item(iterable)
            case ast.Tuple(elts=[first, second]), ast.Call(func=ast.Name(id="enumerate"), args=[inner, *_]):
                if is_name(first, name):
                    return NUMBER
                return self.item(inner) if is_name(second, name) else None
            case ast.Tuple(elts=parts), ast.Call(func=ast.Name(id="zip"), args=sources):
                pairs = zip(parts, sources, strict=False)
                return next((self.item(s) for part, s in pairs if is_name(part, name)), None)
        return None

    def _of_parameter(self, function: Function, name: str) -> Kind | None:
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        annotation = next((a.annotation for a in arguments if a.arg == name), None)
        return (
            _of_annotation(annotation)
            or self._of_use(function, name)
            or self._of_argument(function, name)
            or self._of_variable(function, name)
        )

    def _of_use(self, function: Function, name: str) -> Kind | None:
        """A parameter is what the methods called on it tell, or the star in front of it."""
        if function.args.kwarg is not None and function.args.kwarg.arg == name:
            return Kind("dict")
        if function.args.vararg is not None and function.args.vararg.arg == name:
            return Kind("tuple")
        for node in walk(function.body):
            match node:
                case ast.Attribute(value=ast.Name(id=used), attr=method) if used == name:
                    if method in _ONLY_TEXT_METHODS:
                        return TEXT
                    if method in _LIST_METHODS:
                        return Kind("list")
                    if method in _DICT_METHODS:
                        return Kind("dict")
        return None

    def _of_argument(self, function: Function, name: str) -> Kind | None:
        """What the module's own calls of the function pass."""
        position = next((at for at, a in enumerate(function.args.args) if a.arg == name), None)
        for node in self._code.of(ast.Call):
            if is_name(node.func, function.name):
                if self._code.scope(node) is function:
                    continue
                by_keyword = [keyword.value for keyword in node.keywords if keyword.arg == name]
                by_position = node.args[position : position + 1] if position is not None else []
                kind = self._first([*by_keyword, *by_position])
                if kind is not None:
                    return kind
        return None


def _by_call(name: str) -> Kind | None:
    kind = _BY_CALL.get(name)
    return TEXT if kind == "str" else Kind(kind) if kind else None


def _of_constant(value: object) -> Kind | None:
    if isinstance(value, str):
        return TEXT
    return Kind(type(value).__name__) if value is not None else None


def _of_annotation(annotation: ast.expr | None) -> Kind | None:
    match annotation:
        case ast.Constant(value=str(text)):
            try:
                return _of_annotation(ast.parse(text, mode="eval").body)
            except SyntaxError:
                return None
        case ast.Name(id=name) | ast.Attribute(attr=name):
            kind = _BY_ANNOTATION.get(name)
            return TEXT if kind == "str" else Kind(kind) if kind else None
        case ast.Subscript(value=whole, slice=ast.Tuple(elts=[first, *_]) | first):
            outer = _of_annotation(whole)
            return Kind(outer.name, _of_annotation(first)) if outer else None
        case ast.BinOp(left=left, op=ast.BitOr()):
            return _of_annotation(left)
    return None
