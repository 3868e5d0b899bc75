"""How much there is to read in a program: the measure by which one text is simpler than another. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

_TOKEN = re.compile(r"\w+|[^\w\s]")
_COMMENT = {".sh": "#", ".toml": "#", ".yaml": "#", ".yml": "#", ".cfg": "#", ".ini": ";"}
_UNSEEN = (ast.expr_context, ast.boolop, ast.operator, ast.unaryop, ast.cmpop)


def complexity(texts: Mapping[str, str]) -> int:
    """Sum over the files: nodes of the syntax tree for Python, non-blank lines and tokens for the rest.

    What does nothing does not count: comments and docstrings of Python, whole-line comments elsewhere. So a
    text is not simpler for having lost them, nor for shorter names.
    """
    return sum(_of_file(path, text) for path, text in texts.items())


def _of_file(path: str, text: str) -> int:
    suffix = PurePosixPath(path).suffix
    if suffix == ".py":
        try:
            return _nodes(ast.parse(text))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            pass
    comment = _COMMENT.get(suffix)
    lines = [line for line in text.splitlines() if line.strip()]
    if comment is not None:
        lines = [line for line in lines if not line.lstrip().startswith(comment)]
    return len(lines) + sum(len(_TOKEN.findall(line)) for line in lines)


def _nodes(tree: ast.Module) -> int:
    """Nodes that a reader meets. An operator is one with its expression, a lone string is a comment."""
    docstrings = 0
    count = 0
    for node in ast.walk(tree):
        if isinstance(node, _UNSEEN):
            continue
        count += 1
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            docstrings += 1
    return count - 2 * docstrings
