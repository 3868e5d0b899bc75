"""Blocks of Python statements in one form, however their branches and steps are written down. Pure.

Every rule here keeps what is evaluated, in which order, and what control does next.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from optiloop.memory.python_names import NODE_FIELDS, walk

Block = list[ast.stmt]
_Leaves = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


def flat(body: Sequence[ast.stmt]) -> Block:
    """Drop what does nothing, and take out of `else` what follows anyway."""
    found: Block = []
    for node in body:
        if isinstance(node, ast.If) and node.orelse and leaves(node.body):
            found.append(ast.If(test=node.test, body=node.body, orelse=[]))
            found += flat(node.orelse)
        elif isinstance(node, ast.For | ast.While) and node.orelse and not _breaks(node.body):
            found += [_without_else(node), *flat(node.orelse)]
        elif not _does_nothing(node):
            found.append(node)
    return found


def _without_else(node: ast.For | ast.While) -> ast.stmt:
    if isinstance(node, ast.While):
        return ast.While(test=node.test, body=node.body, orelse=[])
    return ast.For(target=node.target, iter=node.iter, body=node.body, orelse=[])


def _breaks(body: Sequence[ast.stmt]) -> bool:
    return any(isinstance(node, ast.Break) for statement in body for node in walk(statement))


def _does_nothing(node: ast.stmt) -> bool:
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def leaves(body: Sequence[ast.stmt]) -> bool:
    """Whether control never reaches the end of a block."""
    last = body[-1] if body else None
    if isinstance(last, ast.If):
        return leaves(last.body) and leaves(last.orelse)
    return isinstance(last, _Leaves)


def one_by_one(body: Sequence[ast.stmt], can_be_told: Callable[[str], bool]) -> Block:
    """Assign to several names one after the other, not at once, where nobody can tell.

    `can_be_told` says of a name whether anybody sees when it is assigned to.
    """
    found: Block = []
    for node in body:
        match node:
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                names = [it.id for it in targets if isinstance(it, ast.Name) and not can_be_told(it.id)]
                if len(names) == len(targets) == len(values) == len(set(names)) and _do_not_meet(
                    names, values
                ):
                    found += map(_assigned, targets, values)
                    continue
        found.append(node)
    return found


def _do_not_meet(names: Sequence[str], values: Sequence[ast.expr]) -> bool:
    """Whether no value reads a name that an earlier one is assigned to."""
    return all(can_move(value) and not isinstance(value, ast.Starred) for value in values) and not any(
        isinstance(node, ast.Name) and node.id in names[:place]
        for place, value in enumerate(values)
        for node in walk(value)
    )


def branched(body: Block, *, is_local: Callable[[str], bool], tail: type[ast.stmt] | None) -> Block:
    """Write choices as `if`, and each `if` in one of its forms.

    `tail` is what the end of this block amounts to: `Return` for a function's, `Continue` for a loop's, None
    where something follows. `is_local` tells the plain locals of the function around.
    """
    found: Block = []
    for node in body:
        found += _chosen(node, is_local)
    return _straight(found) if tail is None else _forked(found, tail)


def _chosen(node: ast.stmt, is_local: Callable[[str], bool]) -> Block:
    """Write a choice of what is returned, or of what a local is, as an `if`."""
    match node:
        case ast.Return(value=ast.IfExp(test=test, body=yes, orelse=no)):
            rest = _chosen(ast.Return(value=no), is_local)
            return [ast.If(test=test, body=[ast.Return(value=yes)], orelse=[]), *rest]
        case ast.Assign(
            targets=[ast.Name(id=name) as target], value=ast.IfExp(test=test, body=yes, orelse=no)
        ):
            if is_local(name):
                return [ast.If(test=test, body=[_assigned(target, yes)], orelse=[_assigned(target, no)])]
    return [node]


def _assigned(target: ast.expr, value: ast.expr) -> ast.Assign:
    return ast.Assign(targets=[target], value=value)


def _forked(body: Block, tail: type[ast.stmt]) -> Block:
    """Write what ends a function or a round of a loop with nested `if` and `else`, without early exits."""
    while body and _is_exit(body[-1], tail):
        body = body[:-1]
    for place, node in enumerate(body):
        if isinstance(node, ast.If) and (node is body[-1] or (leaves(node.body) and not node.orelse)):
            yes, no = flat(node.body), flat(node.orelse) + body[place + 1 :]
            return [*body[:place], _fork(node.test, _forked(yes, tail), _forked(no, tail))]
    return body


def _fork(test: ast.expr, yes: Block, no: Block) -> ast.If:
    affirmed = denied(test)
    return ast.If(test=test, body=yes, orelse=no) if affirmed is None else _fork(affirmed, no, yes)


def _is_exit(node: ast.stmt, tail: type[ast.stmt]) -> bool:
    if isinstance(node, ast.Return) and tail is ast.Return:
        return node.value is None or (isinstance(node.value, ast.Constant) and node.value.value is None)
    return tail is ast.Continue and isinstance(node, ast.Continue)


def _straight(body: Block) -> Block:
    """Turn `if not c` round where both ways are written down."""
    for place in range(len(body) - 1, -1, -1):
        node = body[place]
        if not isinstance(node, ast.If) or (test := denied(node.test)) is None:
            continue
        rest = body[place + 1 :]
        if node.orelse:
            body[place] = _fork(test, node.orelse, node.body)
        elif rest and leaves(node.body) and leaves(rest):
            body[place:] = [ast.If(test=test, body=rest, orelse=[]), *flat(node.body)]
    return body


def denied(test: ast.expr) -> ast.expr | None:
    """What a condition denies: c of `not c`, `a in b` of `a not in b`; None where it denies nothing."""
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return operand
        case ast.Compare(left=left, ops=[ast.IsNot() | ast.NotIn() as operator], comparators=others):
            return ast.Compare(left=left, ops=[_OPPOSITE[type(operator)]()], comparators=others)
        case _:
            return None


# --- temporaries --------------------------------------------------------------------------------------


class Order:
    """Whether one name is what a statement evaluates first, but for what cannot be told from evaluated later.

    `is_steady` tells names whose reading can be moved: nothing else binds them meanwhile; `is_plain` those
    whose attributes can be read without effect: modules that stay as they are, and lists, dicts and sets.
    """

    def __init__(
        self, name: str, *, is_steady: Callable[[str], bool], is_plain: Callable[[str], bool]
    ) -> None:
        self._name = name
        self._is_steady = is_steady
        self._is_plain = is_plain
        self.use: ast.Name | None = None

    def starts(self, node: ast.stmt) -> ast.Name | None:
        """Return where the statement reads the name first of all, or None."""
        match node:
            case ast.Return(value=value) | ast.Expr(value=value) | ast.Assign(value=value):
                first = value
            case ast.AnnAssign(target=ast.Name(), value=value):
                first = value
            case ast.AugAssign(target=ast.Name(id=name), value=value) if self._is_steady(name):
                first = value
            case ast.If(test=first) | ast.For(iter=first) | ast.Match(subject=first):
                pass
            case ast.With(items=[ast.withitem(context_expr=first), *_]):
                pass
            case ast.Raise(exc=first):
                pass
            case _:
                return None
        if first is not None:
            self._passes(first)
        return self.use

    def _passes(self, node: ast.expr) -> bool:
        """Whether evaluation may go on past this, the name not yet met; notes the name where it is met."""
        match node:
            case ast.Name(id=name):
                if name == self._name:
                    self.use = node
                    return False
                return self._is_steady(name)
            case ast.Constant():
                return True
            case ast.Lambda(args=ast.arguments(defaults=[], kw_defaults=[])):
                return True
            case ast.Tuple(elts=items) | ast.List(elts=items):
                return all(map(self._passes, items))
            case ast.Slice(lower=lower, upper=upper, step=step):
                return all(self._passes(part) for part in (lower, upper, step) if part is not None)
            case ast.Attribute(value=ast.Name(id=name)) if name != self._name:
                return self._is_plain(name)
            case ast.Attribute(value=ast.Constant()):
                return True
            case ast.JoinedStr(values=values):
                return all(map(self._passes, values))
            case _:
                return all(map(self._passes, _operands(node))) and False


def _operands(node: ast.expr) -> list[ast.expr]:
    """What an expression certainly evaluates, in order, before it does anything else."""
    match node:
        case ast.Call(func=function, args=arguments, keywords=keywords):
            return [function, *arguments, *(keyword.value for keyword in keywords)]
        case ast.BinOp(left=left, right=right):
            return [left, right]
        case ast.Compare(left=left, comparators=[right, *_]):
            return [left, right]
        case ast.Subscript(value=value, slice=index):
            return [value, index]
        case ast.BoolOp(values=[first, *_]) | ast.IfExp(test=first):
            return [first]
        case ast.Attribute(value=first) | ast.UnaryOp(operand=first) | ast.Starred(value=first):
            return [first]
        case ast.FormattedValue(value=first) | ast.NamedExpr(value=first) | ast.Await(value=first):
            return [first]
        case ast.ListComp(generators=[first_loop, *_]) | ast.SetComp(generators=[first_loop, *_]):
            return [first_loop.iter]
        case ast.GeneratorExp(generators=[first_loop, *_]) | ast.DictComp(generators=[first_loop, *_]):
            return [first_loop.iter]
        case ast.Set(elts=[first, *_]):
            return [first]
        case ast.Dict(keys=[first_key, *_], values=[first, *_]):
            return [first] if first_key is None else [first_key, first]
        case _:
            return []


def put_in_place(node: ast.AST, old: ast.AST, new: ast.AST) -> None:
    """Replace one node anywhere below another."""
    stack = [node]
    while stack:
        parent = stack.pop()
        for name in NODE_FIELDS[type(parent)]:
            value = getattr(parent, name, None)
            if value is old:
                setattr(parent, name, new)
                return
            if isinstance(value, ast.AST):
                stack.append(value)
            elif isinstance(value, list):
                for place, item in enumerate(value):
                    if item is old:
                        value[place] = new
                        return
                stack += [item for item in value if isinstance(item, ast.AST)]


def can_move(value: ast.expr) -> bool:
    """Whether an expression binds nothing and does not suspend the function."""
    return not any(
        isinstance(node, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom) for node in walk(value)
    )
