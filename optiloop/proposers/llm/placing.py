"""Edits of a text by its lines: tolerant about white space, strict about the place. Pure.

A hunk goes where its old lines stand. If they stand there twice, or not at all, nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from optiloop.untrusted import plain_line

MOST_HUNKS = 200


class AnswerError(ValueError):
    """An answer cannot be used; the message says why in one line, fit to be handed back to the model.

    `twin` is the earlier experiment whose repeat it is; empty where it is none.
    """

    def __init__(self, why: str, *, twin: str = "") -> None:
        super().__init__(why)
        self.twin = twin


@dataclass(frozen=True)
class Hunk:
    """Lines of a text, each with its mark: " " stays, "-" goes, "+" comes.

    `line` is where the old lines are said to stand, from 1; `path` the file, where it is said.
    """

    marked: tuple[tuple[str, str], ...]
    path: str | None = None
    line: int | None = None

    @property
    def old(self) -> list[str]:
        return [text for mark, text in self.marked if mark != "+"]


def replacing(search: Sequence[str], replace: Sequence[str], path: str | None = None) -> Hunk:
    """The hunk that puts lines in the place of others; those that both begin or end with stay."""
    head = _shared(search, replace)
    tail = _shared(search[head:][::-1], replace[head:][::-1])
    gone, come = search[head : len(search) - tail], replace[head : len(replace) - tail]
    marked = [(" ", line) for line in search[:head]]
    marked += [*(("-", line) for line in gone), *(("+", line) for line in come)]
    marked += [(" ", line) for line in search[len(search) - tail :]]
    return Hunk(tuple(marked), path)


def changed(text: str, hunks: Sequence[Hunk], *, in_order: bool) -> str:
    """Make the hunks' changes, one upon the other. Raises AnswerError where one fits no place, or two.

    With `in_order` each stands behind the one before.
    """
    if len(hunks) > MOST_HUNKS:
        raise AnswerError(f"holds {len(hunks)} edits; at most {MOST_HUNKS} are read")
    lines, at = text.split("\n"), 0
    for hunk in hunks:
        start, fit = _place(lines, hunk, at if in_order else 0)
        new = list(_rewritten(fit, lines[start : start + len(fit.old)]))
        lines[start : start + len(fit.old)] = new
        at = start + len(new)
    return "\n".join(lines)


def _shared(a: Sequence[str], b: Sequence[str]) -> int:
    """How many lines two texts have in common from their beginning."""
    pairs = enumerate(zip(a, b, strict=False))
    return next((index for index, (left, right) in pairs if left != right), min(len(a), len(b)))


def _place(lines: Sequence[str], hunk: Hunk, at: int) -> tuple[int, Hunk]:
    """Where a hunk's old lines stand, and the part of the hunk that was looked for."""
    if not any(line.strip() for line in hunk.old):
        if not any(line.strip() for line in lines):
            return 0, Hunk((*(("-", line) for line in lines), *_coming(hunk)))
        raise AnswerError("an edit does not say which lines it replaces: it has no old lines")
    for fit in _parts(hunk):
        for sameness in (_exact, _without_end, _loosely):
            found = [
                it for it in _starts(lines, fit.old, at, sameness) if _indents(fit, lines, it) is not None
            ]
            if fit.line is not None and fit.line - 1 in found:
                found = [fit.line - 1]
            if len(found) == 1:
                return found[0], fit
            if found:
                times = f"{len(found)} times: name more lines around"
                raise AnswerError(f"{_told(fit)} stand in the file {times}")
    raise AnswerError(f"{_told(hunk)} do not stand in the file")


def _coming(hunk: Hunk) -> Iterator[tuple[str, str]]:
    return ((mark, line) for mark, line in hunk.marked if mark == "+")


def _parts(hunk: Hunk) -> Iterator[Hunk]:
    """The hunk, then without blank lines around, then with one line of context on either side."""
    said = [at for at, (_, line) in enumerate(hunk.marked) if line.strip()]
    changes = [at for at, (mark, _) in enumerate(hunk.marked) if mark != " "] or said
    parts = (
        hunk,
        _part(hunk, said[0], said[-1] + 1),
        _part(hunk, max(0, changes[0] - 1), changes[-1] + 2),
    )
    return (part for part in parts if any(line.strip() for line in part.old))


def _part(hunk: Hunk, first: int, last: int) -> Hunk:
    """Some of a hunk's lines, with the line number that these are said to have."""
    above = sum(mark != "+" for mark, _ in hunk.marked[:first])
    return Hunk(hunk.marked[first:last], hunk.path, None if hunk.line is None else hunk.line + above)


def _exact(line: str) -> str:
    return line


def _without_end(line: str) -> str:
    return line.rstrip()


def _loosely(line: str) -> str:
    return " ".join(line.split())


def _starts(
    lines: Sequence[str], old: Sequence[str], at: int, sameness: Callable[[str], str]
) -> Iterator[int]:
    there, wanted = [sameness(line) for line in lines], [sameness(line) for line in old]
    for start in range(at, len(lines) - len(old) + 1):
        if there[start] == wanted[0] and there[start : start + len(old)] == wanted:
            yield start


def _indents(hunk: Hunk, lines: Sequence[str], start: int) -> Mapping[str, str] | None:
    """Which white space of the text each white space of the hunk stands for; None where one is two."""
    found: dict[str, str] = {"": ""} if not hunk.old else {}
    for said, there in zip(hunk.old, lines[start : start + len(hunk.old)], strict=True):
        if said.strip() and found.setdefault(_indent(said), _indent(there)) != _indent(there):
            return None
    return found


def _rewritten(hunk: Hunk, there: Sequence[str]) -> Iterator[str]:
    """The new lines: what stays as the text has it, what comes indented as its neighbours are."""
    indents = _indents(hunk, there, 0) or {}
    at = 0
    for mark, line in hunk.marked:
        if mark == "+":
            yield _indented(line, indents)
        else:
            if mark == " ":
                yield there[at]
            at += 1


def _indented(line: str, indents: Mapping[str, str]) -> str:
    if not line.strip() or all(said == there for said, there in indents.items()):
        return line
    own = _indent(line)
    known = max((said for said in indents if own.startswith(said)), key=len, default=None)
    if known is not None:
        return indents[known] + line[len(known) :]
    deeper = min((said for said in indents if said.startswith(own)), key=len, default=None)
    if deeper is None or not indents[deeper].endswith(deeper[len(own) :]):
        return line
    return indents[deeper][: len(indents[deeper]) - len(deeper) + len(own)] + line.lstrip()


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def _told(hunk: Hunk) -> str:
    first = next(line for line in hunk.old if line.strip())
    return f"the lines from {plain_line(first.strip(), 60)!r} on"
