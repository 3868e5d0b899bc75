"""What can be told about names and expressions from the text alone: changes, order, purity. Pure.

All of this is evidence, not proof: the target's own gates decide. A rule asks here so that it does not
waste an experiment on a change that is plainly wrong.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from optiloop.proposers.rewrite.code import Code, Comprehension, Function, Loop, Scope, subtree
from optiloop.proposers.rewrite.pattern import Match


def words(text: str) -> frozenset[str]:
    """The words of a text as a set."""
    return frozenset(text.split())


MUTATORS = words(
    "append extend insert remove pop popleft appendleft clear sort reverse add discard update "
    "setdefault popitem write writelines read readline readlines seek send put get_nowait __setitem__ "
    "difference_update intersection_update symmetric_difference_update "
    "choice choices gauss getrandbits randbytes randint random randrange sample shuffle uniform"
)
_PURE_BUILTINS = words(
    "abs all any ascii bin bool bytes chr complex dict divmod enumerate filter float format frozenset "
    "hash hex int isinstance issubclass len list map max min oct ord pow range repr reversed round "
    "set slice sorted str sum tuple type zip"
)
_PURE_METHODS = words(
    "capitalize casefold center count encode decode endswith expandtabs find format index isalnum "
    "isalpha isascii isdecimal isdigit isidentifier islower isnumeric isprintable isspace istitle "
    "isupper join ljust lower lstrip partition replace rfind rindex rjust rpartition rsplit rstrip "
    "split splitlines startswith strip swapcase title translate upper zfill removeprefix removesuffix "
    "get items keys values copy union intersection difference issubset issuperset isdisjoint "
    "bit_length most_common elements findall match search sub fullmatch finditer group groups span"
)
_PURE_MODULES = words("math re string itertools functools collections operator heapq bisect copy")
IMPURE_NAMES = words(
    "print input open random time next iter globals locals exec eval setattr delattr os sys logging logger"
)


# --- names --------------------------------------------------------------------------------------------


def walk(nodes: ast.AST | Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Every node within one tree or several."""
    for node in [nodes] if isinstance(nodes, ast.AST) else nodes:
        yield from subtree(node)


def names(nodes: ast.AST | Iterable[ast.AST]) -> set[str]:
    """The names that appear in the code at all."""
    return {node.id for node in walk(nodes) if isinstance(node, ast.Name)}


def stored(nodes: ast.AST | Iterable[ast.AST]) -> set[str]:
    """The names that are bound in the code."""
    return {
        node.id for node in walk(nodes) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
    }


def loads(nodes: ast.AST | Iterable[ast.AST], name: str) -> list[ast.Name]:
    """The places that read a variable."""
    return [
        node
        for node in walk(nodes)
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
    ]


def stores(nodes: ast.AST | Iterable[ast.AST], name: str) -> list[ast.Name]:
    """The places that bind a variable."""
    return [
        node
        for node in walk(nodes)
        if isinstance(node, ast.Name) and node.id == name and not isinstance(node.ctx, ast.Load)
    ]


def changed(nodes: ast.AST | Iterable[ast.AST], code: Code | None = None) -> set[str]:
    """The names that are bound to something else, or whose object may be changed, by running the code.

    Calls of the module's own functions are known to be harmless only where `code` is given.
    """
    return {name for name, _ in changes(nodes, code)}


def changes(nodes: ast.AST | Iterable[ast.AST], code: Code | None = None) -> Iterator[tuple[str, ast.AST]]:
    """Each name that running the code may change, with the node that does it."""
    for node in walk(nodes):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                yield name, node
            case ast.Subscript(ctx=ast.Store() | ast.Del()) | ast.Attribute(ctx=ast.Store() | ast.Del()):
                yield from ((name, node) for name in _root(node.value))
            case ast.Call(func=ast.Attribute(value=receiver, attr=method)) if method in MUTATORS:
                yield from ((name, node) for name in _root(receiver))
            case ast.Global(names=declared) | ast.Nonlocal(names=declared):
                yield from ((name, node) for name in declared)
            case ast.ExceptHandler(name=str(name)) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                yield from ((alias.asname or alias.name.partition(".")[0], node) for alias in aliases)
        if isinstance(node, ast.Call) and not _leaves_arguments_alone(node, code):
            for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
                yield from ((name, node) for name in _root(argument))


@dataclass(frozen=True)
class Growth:
    """A local list that starts in one place and then only grows at its end."""

    start: ast.Assign | ast.AnnAssign
    appends: tuple[tuple[ast.Expr, ast.expr], ...]


def growth(code: Code, scope: Scope, name: str) -> Growth | None:
    """How a list grows in its scope; None where it changes in any other way."""
    start: ast.Assign | ast.AnnAssign | None = None
    appends: list[tuple[ast.Expr, ast.expr]] = []
    for changed_name, node in changes(scope.body, code):
        if changed_name != name:
            continue
        parent = code.parent(node)
        match node, parent:
            case ast.Name(), ast.Assign(targets=[_]) | ast.AnnAssign() if start is None:
                start = parent
            case ast.Call(func=ast.Attribute(value=ast.Name(), attr="append"), args=[item]), ast.Expr():
                appends.append((parent, item))
            case _:
                return None
    if start is None or start.value is None or not all(is_pure(code, item) for _, item in appends):
        return None
    return Growth(start, tuple(appends))


def read_elsewhere(code: Code, node: ast.stmt, variables: set[str]) -> bool:
    """Whether what a statement leaves in some variables may be read outside of it."""
    inside = set(walk(node))
    for name in variables:
        for use in loads(code.scope(node), name):
            if use not in inside and not _is_bound_again(code, use, node):
                return True
    return False


def _is_bound_again(code: Code, use: ast.Name, node: ast.stmt) -> bool:
    """Whether a read surely sees another value: it stands before, with no loop around both, or is rebound."""
    for outer in code.around(use):
        if isinstance(outer, ast.For) and use.id in stored(outer.target):
            return True
        if isinstance(outer, Comprehension) and use.id in stored([part.target for part in outer.generators]):
            return True
        if isinstance(outer, ast.stmt) and _is_bound_before(code, use.id, outer, node):
            return True
    return use.lineno < node.lineno and not code.loops(node)


def _is_bound_before(code: Code, name: str, statement: ast.stmt, node: ast.stmt) -> bool:
    """Whether the block assigns the variable anew between the node and the statement that reads it."""
    for earlier in code.block(statement):
        if earlier is statement:
            return False
        assigns = isinstance(earlier, ast.Assign) and any(is_name(target, name) for target in earlier.targets)
        if (
            assigns
            and earlier is not node
            and (earlier.lineno > node.lineno or statement.lineno < node.lineno)
        ):
            return True
    return False


def _leaves_arguments_alone(call: ast.Call, code: Code | None) -> bool:
    match call.func:
        case ast.Attribute():
            return True
        case ast.Name(id=name):
            known = name in _PURE_BUILTINS or name == "print"
            return known or (code is not None and is_pure_function(code, name))
    return False


def _root(node: ast.expr) -> set[str]:
    while isinstance(node, ast.Subscript | ast.Attribute | ast.Starred):
        node = node.value
    return {node.id} if isinstance(node, ast.Name) else set()


def is_pure(code: Code, node: ast.AST) -> bool:
    """Whether evaluating the expression changes nothing and always gives the same."""
    for part in subtree(node):
        if isinstance(part, ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr):
            return False
        if isinstance(part, ast.Call) and not _is_pure_call(code, part):
            return False
    return True


def _is_pure_call(code: Code, call: ast.Call) -> bool:
    match call.func:
        case ast.Name(id=name):
            return name in _PURE_BUILTINS or is_pure_function(code, name)
        case ast.Attribute(value=ast.Name(id=module)) if module in _PURE_MODULES:
            return True
        case ast.Attribute(attr=method):
            return method in _PURE_METHODS
    return False


def is_pure_function(code: Code, name: str) -> bool:
    """Whether a function of the module, by its text, has no effect but its result."""
    question = is_pure_function, name
    if question not in code.known:
        known = [function for function in code.functions if function.name == name]
        code.known[question] = bool(known) and all(_has_no_effect(code, function) for function in known)
    return bool(code.known[question])


def _has_no_effect(code: Code, function: ast.FunctionDef) -> bool:
    gives = any(isinstance(node, ast.Return) and node.value is not None for node in walk(function.body))
    if not gives or isinstance(code.parent(function), ast.ClassDef):
        return False
    for node in walk(function.body):
        if isinstance(node, ast.Yield | ast.YieldFrom | ast.Await | ast.Global | ast.Nonlocal):
            return False
        if isinstance(node, ast.Name) and node.id in IMPURE_NAMES:
            return False
    outside = changed(function.body) - stored(function.body)
    return not outside and not any(
        isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) for node in walk(function.body)
    )


def parameter_names(function: Function) -> list[str]:
    arguments = function.args
    every = [
        *arguments.posonlyargs,
        *arguments.args,
        *arguments.kwonlyargs,
        arguments.vararg,
        arguments.kwarg,
    ]
    return [argument.arg for argument in every if argument is not None]


def is_invariant(code: Code, node: ast.AST, around: ast.AST | Sequence[ast.AST]) -> bool:
    """Whether an expression is pure and has the same value every time the code around runs it."""
    return is_pure(code, node) and not names(node) & changed(around, code)


def leaves(body: Iterable[ast.stmt]) -> bool:
    """Whether running the body may leave it early, other than by an exception."""
    kinds = ast.Break | ast.Continue | ast.Return | ast.Yield | ast.YieldFrom | ast.Await
    return any(isinstance(node, kinds) for node in walk(body))


def own_jumps(body: Sequence[ast.stmt]) -> list[ast.Break | ast.Continue]:
    """The break and continue statements of the loop whose body this is, not those of loops within."""
    found: list[ast.Break | ast.Continue] = []
    stack: list[ast.AST] = list(body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Break | ast.Continue):
            found.append(node)
        elif isinstance(node, ast.For | ast.While):
            stack += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            stack += ast.iter_child_nodes(node)
    return found


def place_before(code: Code, node: ast.AST, *parts: ast.AST) -> ast.stmt | None:
    """The statement to compute something in front of, once for many runs of `node`.

    It is the outermost of the loops around in which all parts are invariant; None where no loop or
    comprehension repeats the node with the parts the same.
    """
    found: ast.stmt | None = None
    for comprehension in code.comprehensions(node):
        if not all(is_invariant(code, part, comprehension) for part in parts):
            return None
        found = code.statement(node)
    for loop in code.loops(node):
        if not all(is_invariant(code, part, loop_parts(loop)) for part in parts):
            break
        found = loop
    return found if found is None else code.first_of_chain(found)


def loop_parts(loop: Loop) -> list[ast.AST]:
    """What runs again and again in a loop."""
    if isinstance(loop, ast.For):
        return [loop.target, *loop.body]
    return [loop.test, *loop.body]


def initialisation(code: Code, statement: ast.stmt, name: str) -> ast.Assign | ast.AnnAssign | None:
    """The assignment of a variable that stands before a statement in its block, untouched in between."""
    block = code.block(statement)
    at = next((index for index, other in enumerate(block) if other is statement), 0)
    for earlier in reversed(block[:at]):
        if (
            isinstance(earlier, ast.Assign)
            and len(earlier.targets) == 1
            and is_name(earlier.targets[0], name)
        ):
            return earlier
        if isinstance(earlier, ast.AnnAssign) and earlier.value and is_name(earlier.target, name):
            return earlier
        if name in names(earlier):
            return None
    return None


def is_name(node: ast.AST | None, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def range_around(code: Code, node: ast.AST, stop: ast.Name) -> ast.expr | None:
    """The range that a variable of a loop around runs over, or None."""
    for outer in code.loops(node):
        if isinstance(outer, ast.For) and is_name(outer.target, stop.id):
            match outer.iter:
                case (
                    ast.Call(func=ast.Name(id="range"), args=[_])
                    | ast.Call(func=ast.Name(id="range"), args=[_, _])
                ):
                    return ast.Call(func=ast.Name(id="range"), args=[outer.iter.args[-1]], keywords=[])
    return None


def loop_variable_is_read(code: Code, match: Match) -> bool:
    variables = {match.name(name) for name in ("c", "i", "j") if name in match.found}
    loop = next(node for node in match.nodes if isinstance(node, ast.For | ast.While))
    return read_elsewhere(code, loop, variables - _bound_by(match, variables))


def _bound_by(match: Match, variables: set[str]) -> set[str]:
    """The variables that the match itself starts are of no use to anyone else."""
    heads = [node for node in match.nodes if isinstance(node, ast.Assign)]
    return variables & stored(heads)


def is_empty_list(node: ast.expr | None) -> bool:
    match node:
        case ast.List(elts=[]) | ast.Call(func=ast.Name(id="list"), args=[], keywords=[]):
            return True
    return False


def is_constant(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is type(value) and node.value == value
