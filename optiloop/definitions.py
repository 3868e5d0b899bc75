"""The functions and classes of a Python text, and the lines that each stands on. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

Function = ast.FunctionDef | ast.AsyncFunctionDef
_Definition = Function | ast.ClassDef
_BROKEN = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What parsing a text may end in."""


@dataclass(frozen=True)
class Definition:
    """A function, method or class by its dotted name, on lines `first` to `last`, counted from 1.

    Decorators belong to it; comments above do not.
    """

    name: str
    first: int
    last: int
    node: _Definition

    @property
    def is_function(self) -> bool:
        return not isinstance(self.node, ast.ClassDef)


@lru_cache(maxsize=64)
def parsed(text: str) -> ast.Module | SyntaxError:
    """The tree of a Python text, or why it has none: a SyntaxError, whatever parsing it ended in."""
    try:
        return ast.parse(text)
    except SyntaxError as error:
        return error
    except _BROKEN as error:
        return SyntaxError(str(error) or type(error).__name__)


@lru_cache(maxsize=64)
def definitions(text: str) -> tuple[Definition, ...]:
    """Functions, methods and classes in the order of the text; none where it is not Python.

    What stands within a function belongs to it. A name that is defined twice is there twice.
    """
    tree = parsed(text)
    return () if isinstance(tree, SyntaxError) else tuple(_within(tree.body, ""))


def place_of(text: str, line: int) -> str:
    """The name of the innermost definition that a line, counted from 1, stands in; empty for the module."""
    around = [it for it in definitions(text) if it.first <= line <= it.last]
    return around[-1].name if around else ""


def first_line(node: ast.stmt) -> int:
    """The line that a statement begins on, decorators included."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _within(body: Sequence[ast.stmt], prefix: str) -> Iterator[Definition]:
    for node in body:
        if isinstance(node, _Definition):
            name = prefix + node.name
            yield Definition(name, first_line(node), node.end_lineno or node.lineno, node)
            if isinstance(node, ast.ClassDef):
                yield from _within(node.body, f"{name}.")
        else:
            for field in ("body", "orelse", "finalbody"):
                yield from _within(getattr(node, field, []), prefix)
            for part in (*getattr(node, "handlers", []), *getattr(node, "cases", [])):
                yield from _within(part.body, prefix)
