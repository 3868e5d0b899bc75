"""Edits of any Python module: such as keep the program, and such as change it.

Written without the normaliser's code, on purpose: what both got wrong in the same way would not show.
"""

from __future__ import annotations

import ast
import copy
import random
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise

Edit = Callable[[str, random.Random], str | None]
"""An edited text, or None where there is nothing to edit."""


def _functions(tree: ast.AST) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def _text(tree: ast.AST) -> str:
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def _bindings(tree: ast.AST) -> Counter[str]:
    """How often each name is bound or declared anywhere."""
    found: Counter[str] = Counter()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found[node.id] += 1
        elif isinstance(node, ast.arg):
            found[node.arg] += 1
        elif isinstance(node, ast.alias):
            found[(node.asname or node.name).partition(".")[0]] += 1
        elif isinstance(node, ast.Global | ast.Nonlocal):
            found.update(node.names)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef | ast.ExceptHandler) and node.name:
            found[node.name] += 1
    return found


# --- edits that keep the program ----------------------------------------------------------------------


def reformatted(text: str, chance: random.Random) -> str | None:
    return _text(ast.parse(text))


def commented(text: str, chance: random.Random) -> str | None:
    """A comment above each line that begins a statement, and a docstring for each function without one."""
    if "__doc__" in text:
        return None
    tree = ast.parse(text)
    for node in _functions(tree):
        if ast.get_docstring(node) is None:
            node.body.insert(0, ast.Expr(ast.Constant(f"Say {chance.random()}.")))
    edited = _text(tree)
    lines = {node.lineno for node in ast.walk(ast.parse(edited)) if isinstance(node, ast.stmt)}
    numbered = enumerate(edited.splitlines(), 1)
    return "\n".join(f"# line {number}\n{line}" if number in lines else line for number, line in numbered)


def renamed(text: str, chance: random.Random) -> str | None:
    """Other names for the locals of functions that hold no scope within."""
    tree = ast.parse(text)
    changed = False
    inner = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.Global, ast.Nonlocal)
    bare = (ast.Import, ast.ImportFrom, ast.ExceptHandler, ast.Match)
    for function in _functions(tree):
        nodes = [node for statement in function.body for node in ast.walk(statement)]
        if any(isinstance(node, inner + bare) for node in nodes):
            continue
        names = [node for node in nodes if isinstance(node, ast.Name)]
        parameters = {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}
        stored = {node.id for node in names if not isinstance(node.ctx, ast.Load)} - parameters
        called = {name: f"{name}_{chance.randrange(100)}" for name in sorted(stored)}
        for node in names:
            node.id = called.get(node.id, node.id)
        changed = changed or bool(stored)
    return _text(tree) if changed else None


def renumbered(text: str, chance: random.Random) -> str | None:
    """Numbers as sums and products of others."""

    class Renumber(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.expr:
            value = node.value
            if type(value) is int and value > 1 and chance.random() < 0.7:
                return ast.BinOp(ast.Constant(value - 1), ast.Add(), ast.Constant(1))
            if type(value) is float and value == value * 2 / 2:
                return ast.BinOp(ast.Constant(value * 2), ast.Div(), ast.Constant(2))
            return node

        def visit_MatchValue(self, node: ast.MatchValue) -> ast.AST:
            return node

        def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
            return node

        def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
            return node

    return _changed(text, Renumber())


def _changed(text: str, transformer: ast.NodeTransformer) -> str | None:
    tree = ast.parse(text)
    before = ast.dump(tree)
    tree = transformer.visit(tree)
    return None if ast.dump(tree) == before else _text(tree)


def reordered(text: str, chance: random.Random) -> str | None:
    """Neighbouring imports in another order."""
    tree = ast.parse(text)
    for place, (one, other) in enumerate(pairwise(tree.body)):
        if all(isinstance(node, ast.Import | ast.ImportFrom) for node in (one, other)):
            names = [alias.name for node in (one, other) for alias in node.names]  # type: ignore[attr-defined]
            if "__future__" not in (getattr(one, "module", ""), getattr(other, "module", "")) and (
                "*" not in names
            ):
                tree.body[place : place + 2] = [other, one]
                return _text(tree)
    return None


def stepped(text: str, chance: random.Random) -> str | None:
    """What is returned, or looped over, under a name of its own first."""

    class Step(ast.NodeTransformer):
        count = 0
        depth = 0

        def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
            self.depth += 1
            self.generic_visit(node)
            self.depth -= 1
            return node

        def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
            return node

        def named(self, node: ast.stmt, field: str) -> ast.AST | list[ast.stmt]:
            value = getattr(node, field)
            plain = value is None or isinstance(value, ast.Name | ast.Constant)
            if plain or not self.depth or chance.random() < 0.3:
                return node
            if any(
                isinstance(it, ast.Yield | ast.YieldFrom | ast.Await | ast.NamedExpr)
                for it in ast.walk(value)
            ):
                return node
            self.count += 1
            name = f"step_{self.count}"
            setattr(node, field, ast.Name(name, ast.Load()))
            return [ast.Assign([ast.Name(name, ast.Store())], value), node]

        def visit_Return(self, node: ast.Return) -> ast.AST | list[ast.stmt]:
            return self.named(node, "value")

        def visit_For(self, node: ast.For) -> ast.AST | list[ast.stmt]:
            self.generic_visit(node)
            return self.named(node, "iter")

    return _changed(text, Step())


def imported_otherwise(text: str, chance: random.Random) -> str | None:
    """`from M import N` as `import M`, and M.N."""
    tree = ast.parse(text)
    bound = _bindings(tree)
    plain = {"collections", "functools", "itertools", "heapq", "math", "bisect", "operator", "re", "random"}
    for place, node in enumerate(tree.body):
        if not isinstance(node, ast.ImportFrom) or node.module not in plain or node.level:
            continue
        names = {alias.asname or alias.name: alias.name for alias in node.names}
        loads = {it.id for it in ast.walk(tree) if isinstance(it, ast.Name)}
        if any(bound[name] != 1 for name in names) or bound[node.module] or not names.keys() <= loads:
            continue
        tree.body[place] = ast.Import([ast.alias(node.module, "module_of_it")])
        module = "module_of_it"

        class Qualify(ast.NodeTransformer):
            def visit_Name(
                self, it: ast.Name, names: dict[str, str] = names, module: str = module
            ) -> ast.expr:
                if it.id not in names:
                    return it
                return ast.Attribute(ast.Name(module, ast.Load()), names[it.id], ast.Load())

        return _text(Qualify().visit(tree))
    return None


def named_constants(text: str, chance: random.Random) -> str | None:
    """Numbers and texts of functions as private constants of the module."""
    tree = ast.parse(text)
    values: dict[str, ast.Constant] = {}

    class Name(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.expr:
            if type(node.value) not in {int, float} or chance.random() < 0.5:
                return node
            name = f"_CONSTANT_{len(values)}"
            values[name] = node
            return ast.Name(name, ast.Load())

        def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
            return node

        def visit_Match(self, node: ast.Match) -> ast.AST:
            return node

        def visit_Compare(self, node: ast.Compare) -> ast.AST:
            return (
                node
                if any(isinstance(op, ast.Is | ast.IsNot) for op in node.ops)
                else self.generic_visit(node)
            )

    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            node.body = [Name().visit(statement) for statement in node.body]
    if not values:
        return None
    place = 1 if ast.get_docstring(tree) is not None else 0
    while place < len(tree.body) and isinstance(tree.body[place], ast.ImportFrom):
        place += 1
    tree.body[place:place] = [ast.Assign([ast.Name(n, ast.Store())], value) for n, value in values.items()]
    return _text(tree)


def nested_otherwise(text: str, chance: random.Random) -> str | None:
    """What follows an `if` that leaves, under an `else`."""
    tree = ast.parse(text)
    changed = False
    for function in _functions(tree):
        for place, node in enumerate(function.body[:-1]):
            if (
                isinstance(node, ast.If)
                and not node.orelse
                and isinstance(node.body[-1], ast.Return | ast.Raise)
            ):
                node.orelse = function.body[place + 1 :]
                del function.body[place + 1 :]
                changed = True
                break
    return _text(tree) if changed else None


KEEPING: dict[str, Edit] = {
    "reformatted": reformatted,
    "comments and docstrings": commented,
    "locals renamed": renamed,
    "numbers reworded": renumbered,
    "imports reordered": reordered,
    "steps named": stepped,
    "imports by module": imported_otherwise,
    "constants named": named_constants,
    "else written out": nested_otherwise,
}


# --- edits that change the program --------------------------------------------------------------------

_FLIPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


def _places(tree: ast.Module) -> Iterator[ast.AST]:
    """Every node whose change changes the program: no annotations, no docstrings, no 1 of `while 1`."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        yield node
        for name, value in ast.iter_fields(node):
            endless = isinstance(node, ast.While) and isinstance(node.test, ast.Constant) and name == "test"
            if name in {"annotation", "returns"} or endless:
                continue
            items = value if isinstance(value, list) else [value]
            for item in items:
                bare = isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant)
                if isinstance(item, ast.AST) and not bare:
                    pending.append(item)


def _one(text: str, chance: random.Random, mutate: Callable[[ast.AST], bool]) -> str | None:
    """Mutate one node; `mutate` tells whether it could."""
    tree = ast.parse(text)
    nodes = list(_places(tree))
    chance.shuffle(nodes)
    if not any(mutate(node) for node in nodes):
        return None
    return _text(tree)


def flipped(text: str, chance: random.Random) -> str | None:
    def mutate(node: ast.AST) -> bool:
        if isinstance(node, ast.Compare) and type(node.ops[0]) in _FLIPPED:
            node.ops[0] = _FLIPPED[type(node.ops[0])]()  # type: ignore[call-overload]
            return True
        if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(node.op) in _FLIPPED:
            if isinstance(node, ast.BinOp) and isinstance(node.left, ast.Constant):
                return False
            node.op = _FLIPPED[type(node.op)]()  # type: ignore[assignment]
            return True
        return False

    return _one(text, chance, mutate)


def other_constant(text: str, chance: random.Random) -> str | None:
    def mutate(node: ast.AST) -> bool:
        if not isinstance(node, ast.Constant) or node.value in (None, ...):
            return False
        value = node.value
        match value:
            case bool():
                node.value = not value
            case int() | float():
                node.value = value + 1
            case str():
                node.value = value + "x"
            case bytes():
                node.value = value + b"x"
            case _:
                return False
        return True

    return _one(text, chance, mutate)


def swapped_operands(text: str, chance: random.Random) -> str | None:
    def mutate(node: ast.AST) -> bool:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub | ast.Div | ast.FloorDiv | ast.Mod):
            one, other = node.left, node.right
            node.left, node.right = other, one
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Lt | ast.Gt | ast.LtE | ast.GtE):
            one, other = node.left, node.comparators[0]
            node.left, node.comparators[0] = other, one
        elif isinstance(node, ast.Call) and len(node.args) > 1:
            one, other = node.args[0], node.args[1]
            node.args[:2] = [other, one]
            if isinstance(one, ast.Starred) or isinstance(other, ast.Starred):
                return False
        else:
            return False
        return ast.dump(one) != ast.dump(other)

    return _one(text, chance, mutate)


def other_call(text: str, chance: random.Random) -> str | None:
    def mutate(node: ast.AST) -> bool:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            node.func = ast.Name("another", ast.Load())
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            node.func.attr = "another"
            return True
        return False

    return _one(text, chance, mutate)


def other_name(text: str, chance: random.Random) -> str | None:
    """A name read where another one was, both of one function."""

    def mutate(node: ast.AST) -> bool:
        if not isinstance(node, ast.FunctionDef):
            return False
        names = [it for it in _places(ast.Module(node.body, [])) if isinstance(it, ast.Name)]
        stored = sorted(
            {it.id for it in names if isinstance(it.ctx, ast.Store)} | {a.arg for a in node.args.args}
        )
        read = [it for it in names if isinstance(it.ctx, ast.Load) and it.id in stored]
        if len(stored) < 2 or not read:
            return False
        it = chance.choice(read)
        it.id = chance.choice([name for name in stored if name != it.id])
        return True

    return _one(text, chance, mutate)


def dropped(text: str, chance: random.Random) -> str | None:
    def mutate(node: ast.AST) -> bool:
        if not isinstance(node, ast.FunctionDef | ast.For | ast.While | ast.If) or len(node.body) < 2:
            return False
        kinds = ast.Assign | ast.AugAssign | ast.Expr | ast.Return | ast.If | ast.For
        able = [
            place
            for place, it in enumerate(node.body)
            if isinstance(it, kinds)
            and not (isinstance(it, ast.Expr) and isinstance(it.value, ast.Constant))
            and not (isinstance(it, ast.Return) and (it.value is None or ast.unparse(it.value) == "None"))
        ]
        if able:
            del node.body[chance.choice(able)]
        return bool(able)

    return _one(text, chance, mutate)


def swapped_statements(text: str, chance: random.Random) -> str | None:
    """Two neighbouring statements with effects, the other way round."""

    def acts(node: ast.stmt) -> bool:
        kinds = ast.Expr | ast.Assign | ast.AugAssign
        return isinstance(node, kinds) and any(isinstance(it, ast.Call) for it in ast.walk(node))

    def mutate(node: ast.AST) -> bool:
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            return False
        for place, (one, other) in enumerate(pairwise(body)):
            if acts(one) and acts(other) and ast.dump(one) != ast.dump(other):
                body[place : place + 2] = [other, one]
                return True
        return False

    return _one(text, chance, mutate)


def denied(text: str, chance: random.Random) -> str | None:
    def mutate(node: ast.AST) -> bool:
        if not isinstance(node, ast.If | ast.While | ast.IfExp):
            return False
        node.test = ast.UnaryOp(ast.Not(), copy.deepcopy(node.test))
        return True

    return _one(text, chance, mutate)


CHANGING: dict[str, Edit] = {
    "an operator flipped": flipped,
    "a constant changed": other_constant,
    "operands swapped": swapped_operands,
    "another call": other_call,
    "another name": other_name,
    "a statement dropped": dropped,
    "statements swapped": swapped_statements,
    "a condition denied": denied,
}
