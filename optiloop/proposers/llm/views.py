"""A file with parts left out, by whole statements: signatures, what one function needs, a window. Pure.

No view cuts a statement. Where lines are left out, a line says how many, and a view of Python is Python.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from optiloop.definitions import Definition, definitions, first_line, parsed

LONG = 8
"""Lines from which a statement outside all functions is left out of an outline."""

_COMMENTS = {
    **dict.fromkeys(("js", "ts", "jsx", "tsx", "c", "h", "cc", "cpp", "hpp", "cs", "java", "go", "rs"), "//"),
    **dict.fromkeys(("swift", "kt", "scala", "php", "dart", "zig", "cu"), "//"),
    **dict.fromkeys(("sql", "lua", "hs", "elm"), "--"),
    **dict.fromkeys(("ini", "lisp", "clj", "asm", "scm"), ";"),
    **dict.fromkeys(("tex", "erl", "m"), "%"),
}


@dataclass(frozen=True)
class _Cut:
    """Lines `first` to `last`, counted from 1, that one line takes the place of."""

    first: int
    last: int
    text: str


def outline(text: str, keep: Collection[str] = ()) -> str:
    """Python with the bodies of all functions but some left out, and long statements of the module.

    `keep` holds dotted names. The text itself where it is not Python.
    """
    tree = parsed(text)
    if isinstance(tree, SyntaxError):
        return text
    lines = text.split("\n")
    whole = [it for it in definitions(text) if it.name in keep]
    cuts = [cut for it in definitions(text) if it.is_function and it not in whole for cut in _body(it, lines)]
    kept = {id(it.node) for it in definitions(text)}
    for node in tree.body:
        if id(node) not in kept and _lines(node) > LONG and not any(_inside(it, node) for it in whole):
            cuts.append(_Cut(first_line(node), _last(node), _left_out("", _lines(node))))
    return _without(lines, cuts)


def needed(text: str, keep: str) -> str:
    """Python with one function whole, the imports, and of the rest only what that function names.

    Of functions and classes that it names the signatures are there. The text itself where it is not Python.
    """
    tree = parsed(text)
    whole = _named(text, keep)
    if isinstance(tree, SyntaxError) or not whole:
        return text
    lines = text.split("\n")
    words = {name for it in whole for name in _names(it.node)}
    cuts: list[_Cut] = []
    for node in tree.body:
        if any(_inside(it, node) for it in whole):
            cuts += _bodies_within(text, node, whole, lines)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            continue
        elif _binds(node) & words and (_is_definition(node) or _lines(node) <= LONG):
            cuts += _bodies_within(text, node, (), lines)
        else:
            cuts.append(_Cut(first_line(node), _last(node), _left_out("", _lines(node))))
    return _without(lines, cuts)


def nearest(text: str, name: str) -> list[str]:
    """The functions of a Python text, first the one of this name, then those that it names, then the rest."""
    own = {said for it in _named(text, name) for said in _names(it.node)}
    found = [it.name for it in definitions(text) if it.is_function]
    return sorted(dict.fromkeys(found), key=lambda it: (it != name, it.rpartition(".")[2] not in own))


def alone(text: str, keep: str) -> str:
    """Python with nothing but one function, and the head of the class that it is in."""
    tree = parsed(text)
    whole = _named(text, keep)
    if isinstance(tree, SyntaxError) or not whole:
        return text
    lines = text.split("\n")
    return _without(lines, _all_but(tree.body, whole))


def window(text: str, count: int, start: int, *, path: str = "") -> str:
    """`count` blocks of a text in a row, from block `start` on; earlier ones where too few follow.

    A block is a statement of a Python module, else lines up to a blank one; a single line where there is no
    blank one.
    """
    lines = text.split("\n")
    blocks = _blocks(text, path)
    count = min(count, len(blocks))
    first = min(start % len(blocks), len(blocks) - count) if blocks else 0
    shown = blocks[first : first + count]
    if len(shown) == len(blocks):
        return text
    if not shown:
        return _left_out(path, len(lines))
    low, high = shown[0][0], shown[-1][1]
    head = [_left_out(path, low - 1)] if low > 1 else []
    tail = [_left_out(path, len(lines) - high)] if high < len(lines) else []
    return "\n".join([*head, *lines[low - 1 : high], *tail])


def blocks_of(text: str, path: str) -> int:
    """How many blocks `window` finds in a text."""
    return len(_blocks(text, path))


# --- parts of a Python text --------------------------------------------------------------------------


def _named(text: str, name: str) -> Sequence[Definition]:
    return [it for it in definitions(text) if it.name == name]


def _inside(definition: Definition, node: ast.stmt) -> bool:
    return first_line(node) <= definition.first and definition.last <= _last(node)


def _last(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def _lines(node: ast.stmt) -> int:
    return _last(node) - first_line(node) + 1


def _is_definition(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)


def _names(node: ast.AST) -> Iterator[str]:
    """The names and attributes that a node uses."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            yield inner.id
        elif isinstance(inner, ast.Attribute):
            yield inner.attr


def _binds(node: ast.stmt) -> set[str]:
    """The names that a statement of a module gives a meaning to."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    return {it.id for it in ast.walk(node) if isinstance(it, ast.Name) and isinstance(it.ctx, ast.Store)}


def _bodies_within(
    text: str, node: ast.stmt, whole: Sequence[Definition], lines: Sequence[str]
) -> Iterator[_Cut]:
    """The bodies of the functions in a statement, but for some, as cuts."""
    for it in definitions(text):
        if it.is_function and it not in whole and _inside(it, node):
            yield from _body(it, lines)


def _body(function: Definition, lines: Sequence[str]) -> Iterator[_Cut]:
    """A function's body as a cut, where it begins on a line of its own and is more than a line."""
    body = function.node.body
    first, last = first_line(body[0]), function.last
    lead = lines[first - 1][: _column(body[0], lines)]
    if last > first and not lead.strip():
        yield _Cut(first, last, f"{lead}...  {_left_out('', last - first + 1)}")


def _column(node: ast.stmt, lines: Sequence[str]) -> int:
    line = lines[first_line(node) - 1]
    return len(line) - len(line.lstrip(" \t")) if node.lineno != first_line(node) else _characters(node, line)


def _characters(node: ast.stmt, line: str) -> int:
    return len(line.encode("utf-8")[: node.col_offset].decode("utf-8", "ignore"))


def _all_but(body: Iterable[ast.stmt], whole: Sequence[Definition]) -> Iterator[_Cut]:
    """All statements as cuts but those functions, and what they stand in."""
    for node in body:
        if any(it.node is node for it in whole):
            continue
        if not any(_inside(it, node) for it in whole):
            yield _Cut(first_line(node), _last(node), _left_out("", _lines(node)))
        elif isinstance(node, ast.ClassDef):
            yield from _all_but(node.body, whole)


def _without(lines: Sequence[str], cuts: Iterable[_Cut]) -> str:
    """The lines with cuts made, neighbours as one with the comments between; one in another is part of it."""
    found: list[str] = []
    at, left_out = 1, 0
    ordered = sorted(cuts, key=lambda cut: (cut.first, -cut.last))
    for cut in ordered:
        if cut.first < at:
            continue
        between = lines[at - 1 : cut.first - 1]
        said = any(line.strip() and not line.lstrip().startswith("#") for line in between)
        merges = bool(left_out) and not said and cut.text.startswith("#")
        if merges:
            left_out += len(between) + cut.last - cut.first + 1
            found[-1] = _left_out("", left_out)
        else:
            found += [*between, cut.text]
            left_out = cut.last - cut.first + 1 if cut.text.startswith("#") else 0
        at = cut.last + 1
    return "\n".join([*found, *lines[at - 1 :]])


# --- any text ----------------------------------------------------------------------------------------


def _left_out(path: str, count: int) -> str:
    """The line that stands for others."""
    mark = _COMMENTS.get(path.rpartition(".")[2], "#")
    return f"{mark} {count} line{'' if count == 1 else 's'} left out"


def _blocks(text: str, path: str) -> list[tuple[int, int]]:
    """First and last line, counted from 1, of each block."""
    tree = parsed(text) if path.endswith(".py") else None
    if isinstance(tree, ast.Module):
        found: list[tuple[int, int]] = []
        for node in tree.body:
            if found and first_line(node) <= found[-1][1]:
                found[-1] = (found[-1][0], _last(node))
            else:
                found.append((first_line(node), _last(node)))
        return found
    lines = text.split("\n")
    runs = [
        (match.start(), match.end() - 1)
        for match in re.finditer("x+", "".join("x" if line.strip() else " " for line in lines))
    ]
    if len(runs) == 1:
        runs = [(at, at) for at in range(runs[0][0], runs[0][1] + 1)]
    return [(first + 1, last + 1) for first, last in runs]
