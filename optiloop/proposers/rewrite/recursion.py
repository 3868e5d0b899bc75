"""Rules for recursive functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from optiloop.proposers.rewrite.code import PYTHON, Code, subtree
from optiloop.proposers.rewrite.facts import IMPURE_NAMES, changed, names, parameter_names, walk
from optiloop.proposers.rewrite.kinds import Kinds
from optiloop.proposers.rewrite.rule import Rule, Site


def memoise(code: Code) -> Iterator[Site]:
    """Remember the results of a pure function that calls itself more than once.

    The memory lives for one outermost call only, so that no later call gets an answer for free.
    Exponential -> number of distinct arguments. Source: dynamic programming (Bellman 1957; Michie 1968).
    """
    kinds = Kinds(code)
    for function in code.functions:
        if _calls_itself_twice(function) and _may_be_remembered(code, function, kinds):
            yield _memoised(code, function)


def _calls_itself_twice(function: ast.FunctionDef) -> bool:
    loops = (ast.For, ast.While, ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)
    calls = [node for node in walk(function.body) if _is_call_of(node, function.name)]
    in_loops = (part for node in walk(function.body) if isinstance(node, loops) for part in subtree(node))
    return len(calls) >= 2 or any(_is_call_of(part, function.name) for part in in_loops)


def _is_call_of(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def _may_be_remembered(code: Code, function: ast.FunctionDef, kinds: Kinds) -> bool:
    arguments = function.args
    parameters = parameter_names(function)
    if (
        function.decorator_list
        or arguments.vararg
        or arguments.kwarg
        or arguments.kwonlyargs
        or not parameters
    ):
        return False
    if any(isinstance(node, ast.FunctionDef) and node.name == function.name for node in walk(function.body)):
        return False
    if isinstance(code.parent(function), ast.ClassDef) or names(function.body) & IMPURE_NAMES:
        return False
    forbidden = ast.Yield | ast.YieldFrom | ast.Await | ast.Global | ast.Nonlocal
    if any(isinstance(node, forbidden) for node in walk(function.body)):
        return False
    returned = [node.value for node in walk(function.body) if isinstance(node, ast.Return)]
    if not any(returned) or not all(kinds.may_be_hashable(value) for value in returned if value):
        return False
    if _passed_on(function.body) & set(parameters):
        return False
    return all(kinds.may_be_hashable(use) for use in walk(function.body) if _is_parameter(use, parameters))


def _passed_on(body: list[ast.stmt]) -> set[str]:
    """The parameters whose object is changed; rebinding one, or passing it to itself, is no harm."""
    found = set()
    for node in walk(body):
        if isinstance(node, ast.Subscript | ast.Attribute | ast.Call) and not isinstance(node, ast.Name):
            own = changed(ast.Expr(value=node)) if not isinstance(node, ast.Call) else _receiver(node)
            found |= own
    return found


def _receiver(call: ast.Call) -> set[str]:
    return changed(ast.Call(func=call.func, args=[], keywords=[]))


def _is_parameter(node: ast.AST, parameters: list[str]) -> bool:
    return isinstance(node, ast.Name) and node.id in parameters


def _memoised(code: Code, function: ast.FunctionDef) -> Site:
    what = (
        "remember the results of the recursion within one call, exponential -> one computation per argument"
    )
    if isinstance(code.scope(function), ast.FunctionDef):
        return code.site(function, what, [code.before(function, "@functools.cache")], ["functools"])
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    parameters = ", ".join(parameter_names(function))
    inner = "\n".join(
        [
            "@functools.cache",
            f"def {function.name}({parameters}):",
            *("    " + line if line else "" for line in code.body_text(body).splitlines()),
            "",
            f"return {function.name}({parameters})",
        ]
    )
    return code.site(function, what, [code.replace(body, inner)], ["functools"])


RULES = (Rule("memoise", PYTHON, 180, memoise),)
