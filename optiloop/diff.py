"""Unified diffs that lose nothing: `patched(old, unified(old, new))` is `new`, byte for byte. Pure.

Proposals are whole texts; the log keeps their diff, which people can read and `replay` can take back.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

_NO_NEWLINE = "\\ No newline at end of file"
_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@")


class DiffError(ValueError):
    """The diff is malformed, or does not belong to this text."""


def unified(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Diff two programs (path -> text), file by file in the order of their names."""
    return "".join(
        _unified_text(path, before.get(path, ""), after.get(path, ""))
        for path in sorted({*before, *after})
        if before.get(path, "") != after.get(path, "")
    )


def patched(before: Mapping[str, str], diff: str) -> dict[str, str]:
    """Apply a diff made by `unified` to the very texts it was made from. Raises DiffError otherwise."""
    after = dict(before)
    for path, body in _files(diff):
        after[path] = _patched_text(path, before.get(path, ""), body)
    return after


def _lines(text: str) -> list[str]:
    """Split at line feeds only: a form feed or a carriage return is part of a line."""
    lines = text.split("\n")
    return [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _unified_text(path: str, old: str, new: str) -> str:
    parts: list[str] = []
    for line in difflib.unified_diff(_lines(old), _lines(new), f"a/{path}", f"b/{path}"):
        parts.append(line if line.endswith("\n") else f"{line}\n{_NO_NEWLINE}\n")
    return "".join(parts)


def _files(diff: str) -> list[tuple[str, list[str]]]:
    """Split a diff into (path, hunk lines) per file. Line counts, not looks, say where a hunk ends."""
    files: list[tuple[str, list[str]]] = []
    lines = _lines(diff)
    at = 0
    while at < len(lines):
        if not lines[at].startswith("--- ") or at + 1 >= len(lines) or not lines[at + 1].startswith("+++ b/"):
            raise DiffError(f"not a file header: {lines[at][:60]!r}")
        path = lines[at + 1][len("+++ b/") :].rstrip("\n")
        at += 2
        start = at
        while at < len(lines) and (head := _HUNK.match(lines[at])):
            at = _hunk_end(lines, at, head)
        files.append((path, lines[start:at]))
    return files


def _hunk_end(lines: list[str], at: int, head: re.Match[str]) -> int:
    old_left, new_left = int(head[2] or 1), int(head[3] or 1)
    at += 1
    while at < len(lines) and (old_left > 0 or new_left > 0 or lines[at].startswith("\\")):
        mark = lines[at][0]
        old_left -= mark in " -"
        new_left -= mark in " +"
        at += 1
    if old_left or new_left:
        raise DiffError("a hunk is cut short")
    return at


def _patched_text(path: str, old: str, body: list[str]) -> str:
    source, target, at = _lines(old), [], 0
    for index, line in enumerate(body):
        if head := _HUNK.match(line):
            start = int(head[1]) - (0 if head[2] == "0" else 1)
            if not at <= start <= len(source):
                raise DiffError(f"the diff does not belong to this text of {path}: no line {start + 1} left")
            target += source[at:start]
            at = start
            continue
        if line.startswith("\\"):
            continue
        bare = index + 1 < len(body) and body[index + 1].startswith("\\")
        text = line[1:-1] if bare else line[1:]
        if line[0] in " -":
            if at >= len(source) or source[at] != text:
                raise DiffError(f"the diff does not belong to this text of {path}, line {at + 1}")
            at += 1
        if line[0] in " +":
            target.append(text)
    return "".join(target + source[at:])
