"""Unified diffs that lose nothing: `patched(old, unified(old, new))` is `new`, byte for byte. Pure.

Proposals are whole texts; the log keeps their diff, which people can read, `replay` can take back and
`evolve` can make in another program. Behind the `@@` of a hunk stand the functions that it changes.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from optiloop.definitions import place_of

MOST_PLACES = 8
"""Names of functions behind one `@@`, and of one diff."""

_NO_NEWLINE = "\\ No newline at end of file"
_HEADER = re.compile(r"\n(--- .*\n\+\+\+ b/|@@ -[\d,]+ \+[\d,]+ @@ ?)(.*)")
_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(?: (.+))?")


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


def moved(source: Mapping[str, str], diff: str) -> dict[str, str]:
    """Make a diff's changes in texts that need not be those it was made from.

    Each hunk goes where its old lines stand, whatever their number; raises DiffError unless that is exactly
    one place. Of the context around it one line on each side must be the same.
    """
    return _elsewhere(source, diff, back=False)


def undone(source: Mapping[str, str], diff: str) -> dict[str, str]:
    """Take a diff's changes out of texts that hold them, whatever else has changed. As `moved`, backwards."""
    return _elsewhere(source, diff, back=True)


def merged(ours: Mapping[str, str], base: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, str]:
    """Make on `ours` the change from `base` to `theirs`, texts of the same paths.

    Neighbouring lines may have changed on both sides. Raises DiffError where the same ones have.
    """
    found = dict(ours)
    for path, text in ours.items():
        if base[path] != theirs[path]:
            found[path] = _merged_text(path, text, base[path], theirs[path])
    return found


def _merged_text(path: str, ours: str, base: str, theirs: str) -> str:
    old = base.splitlines(keepends=True)
    changes = sorted({*_changes(old, ours), *_changes(old, theirs)})
    for (start, end, _), (other, until, _) in pairwise(changes):
        if other < end or (start, end) == (other, until):
            raise DiffError(f"{path}: both change line {other + 1}")
    lines: list[str] = []
    at = 0
    for start, end, new in changes:
        lines += (*old[at:start], *new)
        at = end
    lines += old[at:]
    text = "".join(lines)
    if text.splitlines(keepends=True) != lines:
        raise DiffError(f"{path}: what one side adds stands behind a line whose end the other took")
    return text


def _changes(old: Sequence[str], text: str) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """The lines of an old text, from and to, that a new one has otherwise, and what it has there."""
    new = text.splitlines(keepends=True)
    for tag, start, end, first, last in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            yield start, end, tuple(new[first:last])


def places_of(diff: str) -> tuple[str, ...]:
    """What a diff changes: `path::function`, or the path where that is no function.

    By the looks of its header lines, for it is asked of every line of a log: an old line `-- a` that becomes
    `++ b/c` looks like one.
    """
    found: dict[str, None] = {}
    path = ""
    for mark, rest in _HEADER.findall(f"\n{diff}"):
        if mark[0] == "-":
            path = rest
        elif path:
            for name in rest.split(", "):
                found[f"{path}::{name}" if name else path] = None
    return tuple(found)[:MOST_PLACES]


class _Hunk(NamedTuple):
    """Lines that take the place of others, from line `start` on, counted from 0."""

    start: int
    old: list[str]
    new: list[str]


def _elsewhere(source: Mapping[str, str], diff: str, *, back: bool) -> dict[str, str]:
    after = dict(source)
    for path, body in _files(diff):
        if path not in after:
            raise DiffError(f"there is no {path}")
        lines, at = _lines(after[path]), 0
        for hunk in _hunks(body):
            old, new = (hunk.new, hunk.old) if back else (hunk.old, hunk.new)
            start, old, new = _placed(path, lines, at, old, new)
            lines[start : start + len(old)] = new
            at = start + len(new)
        after[path] = "".join(lines)
    return after


def _placed(
    path: str, lines: list[str], at: int, old: list[str], new: list[str]
) -> tuple[int, list[str], list[str]]:
    """The one place of a hunk's old lines, with as much of its context as is there: all, or one line."""
    head, tail = _shared(old, new), _shared(old[::-1], new[::-1])
    for context in (len(old), 1):
        first, last = max(0, head - context), max(0, min(tail, len(old) - head, len(new) - head) - context)
        was, becomes = old[first : len(old) - last], new[first : len(new) - last]
        places = [i for i in range(at, len(lines) - len(was) + 1) if lines[i : i + len(was)] == was]
        fits = bool(was) or not lines
        ends = not becomes or becomes[-1].endswith("\n") or places[-1:] == [len(lines) - len(was)]
        if len(places) == 1 and fits and ends:
            return places[0], was, becomes
    raise DiffError(f"its lines do not stand in {path} exactly once")


def _shared(a: Sequence[str], b: Sequence[str]) -> int:
    """How many lines two texts have in common from their beginning."""
    pairs = enumerate(zip(a, b, strict=False))
    return next((index for index, (left, right) in pairs if left != right), min(len(a), len(b)))


def _lines(text: str) -> list[str]:
    """Split at line feeds only: a form feed or a carriage return is part of a line."""
    lines = text.split("\n")
    return [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _unified_text(path: str, old: str, new: str) -> str:
    lines = list(difflib.unified_diff(_lines(old), _lines(new), f"a/{path}", f"b/{path}"))
    heads = [at for at in range(2, len(lines)) if lines[at].startswith("@@")]
    for at, end in zip(heads, [*heads[1:], len(lines)], strict=True):
        names = _changed_in(lines[at:end], old, new) if path.endswith(".py") else ()
        lines[at] = lines[at].rstrip("\n") + (f" {', '.join(names)}" if names else "") + "\n"
    return "".join(line if line.endswith("\n") else f"{line}\n{_NO_NEWLINE}\n" for line in lines)


def _changed_in(hunk: Sequence[str], old: str, new: str) -> Sequence[str]:
    """The functions that a hunk changes lines of, in its order."""
    head = _HUNK.match(hunk[0])
    names: dict[str, None] = {}
    at = {"-": int(head[1]), "+": int(head[3])} if head else {}
    for line in hunk[1:] if head else ():
        mark = line[0]
        if mark != " " and line[1:].strip():
            names[place_of(old if mark == "-" else new, at[mark])] = None
        for side in at:
            at[side] += mark in (side, " ")
    return [name for name in names if name][:MOST_PLACES]


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
    old_left, new_left = int(head[2] or 1), int(head[4] or 1)
    at += 1
    while at < len(lines) and (old_left > 0 or new_left > 0 or lines[at].startswith("\\")):
        mark = lines[at][0]
        old_left -= mark in " -"
        new_left -= mark in " +"
        at += 1
    if old_left or new_left:
        raise DiffError("a hunk is cut short")
    return at


def _hunks(body: list[str]) -> Iterator[_Hunk]:
    for index, line in enumerate(body):
        if head := _HUNK.match(line):
            hunk = _Hunk(int(head[1]) - (0 if head[2] == "0" else 1), [], [])
            end = next((i for i in range(index + 1, len(body)) if body[i].startswith("@@")), len(body))
            for at in range(index + 1, end):
                if body[at].startswith("\\"):
                    continue
                bare = at + 1 < len(body) and body[at + 1].startswith("\\")
                text = body[at][1:-1] if bare else body[at][1:]
                if body[at][0] in " -":
                    hunk.old.append(text)
                if body[at][0] in " +":
                    hunk.new.append(text)
            yield hunk


def _patched_text(path: str, old: str, body: list[str]) -> str:
    source, target, at = _lines(old), [], 0
    for hunk in _hunks(body):
        if not at <= hunk.start <= len(source):
            raise DiffError(f"the diff does not belong to this text of {path}: no line {hunk.start + 1} left")
        there = source[hunk.start : hunk.start + len(hunk.old)]
        if there != hunk.old:
            line = hunk.start + _shared(there, hunk.old) + 1
            raise DiffError(f"the diff does not belong to this text of {path}, line {line}")
        target += source[at : hunk.start] + hunk.new
        at = hunk.start + len(hunk.old)
    return "".join(target + source[at:])
