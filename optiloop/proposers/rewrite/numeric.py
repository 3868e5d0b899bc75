"""Rules for numbers in bulk: numpy arrays and linear algebra."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from optiloop.proposers.rewrite.code import PYTHON, Code
from optiloop.proposers.rewrite.facts import is_name, stores
from optiloop.proposers.rewrite.pattern import Pattern
from optiloop.proposers.rewrite.rule import Rule, Site

_MAKES_ARRAY = frozenset(
    {"array", "asarray", "zeros", "ones", "arange", "linspace", "full", "empty", "cumsum", "loadtxt"}
)


def array_to_list(code: Code) -> Iterator[Site]:
    """Loop over an array's tolist(), whose elements are plain numbers, not over the array.

    A constant factor of 1.5 to 3: each element of an array is boxed, and calculates slowly. Source: the numpy
    reference, ndarray.tolist.
    """
    for loop in code.of(ast.For):
        iterable = loop.iter
        if not isinstance(iterable, ast.Name) or not isinstance(loop.target, ast.Name):
            continue
        values = [code.parent(place) for place in stores(code.scope(loop), iterable.id)]
        if values and all(isinstance(value, ast.Assign) and _is_array(value.value) for value in values):
            what = f"loop over the array {iterable.id} -> over its tolist()"
            yield code.site(loop, what, [code.replace(iterable, f"{iterable.id}.tolist()")])


def _is_array(node: ast.expr) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=module, attr=name)):
            return name in _MAKES_ARRAY and (is_name(module, "np") or is_name(module, "numpy"))
    return False


_SWAPS = tuple(
    (Pattern(old.format(np=np)), new.format(np=np), what)
    for np in ("np", "numpy")
    for old, new, what in (
        ("{np}.linalg.inv($a) @ $b", "{np}.linalg.solve($a, $b)", "inverse times -> solve"),
        ("{np}.dot({np}.linalg.inv($a), $b)", "{np}.linalg.solve($a, $b)", "inverse times -> solve"),
        ("$v @ {np}.diag($w)", "$v * $w", "times a diagonal matrix -> times its diagonal"),
        ("{np}.dot($v, {np}.diag($w))", "$v * $w", "times a diagonal matrix -> times its diagonal"),
        ("{np}.sort($x)[0]", "{np}.min($x)", "smallest by sorting -> min"),
        ("{np}.sort($x)[-1]", "{np}.max($x)", "largest by sorting -> max"),
        ("{np}.trace($a @ $b)", "{np}.einsum('ij,ji->', $a, $b)", "trace of a product -> only its diagonal"),
        ("{np}.sum($x ** 2)", "{np}.vdot($x, $x)", "sum of squares -> vdot"),
    )
)


def numeric_swap(code: Code) -> Iterator[Site]:
    """Call what the linear algebra needs, not more: solve, not invert; a diagonal, not its matrix.

    O(n^3) -> O(n^3) / 3 for solve, O(n^3) -> O(n^2) for diagonals and traces. Source: Golub and Van Loan,
    Matrix Computations, 3.2 and 1.2.
    """
    for pattern, template, what in _SWAPS:
        for node, match in code.find_expressions(pattern):
            new = code.fill(template, match.found)
            grouped = f"({new})" if isinstance(code.parent(node), ast.expr) else new
            yield code.site(node, what, [code.replace(node, grouped)])


RULES = (
    Rule("array-to-list", PYTHON, 1.35, array_to_list),
    Rule("numeric-swap", PYTHON, 1.34, numeric_swap),
)
