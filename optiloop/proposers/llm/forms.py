"""The forms an answer can have, taken apart: fences, SEARCH/REPLACE blocks, diffs, JSON, words. Pure.

Nothing here knows the champion. Whatever a form lacks to be whole ends in an AnswerError.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from optiloop.proposers.llm.placing import AnswerError, Hunk, replacing
from optiloop.untrusted import plain_line

MOST = 1_000_000
"""Characters of an answer that is read at all."""
MOST_FENCES, MOST_CLOSINGS = 100, 30
"""Fenced blocks of an answer, and lines that are tried as the end of one."""
HYPOTHESIS, FAMILY = 200, 40
"""Characters that are kept."""
CODE_KEYS = ("code", "text", "content", "diff")
"""Keys of a JSON answer that hold a text, whichever was asked for."""

_THOUGHTS = "think|thinking|thought|thoughts|reasoning"
_THINKS = re.compile(rf"\s*<({_THOUGHTS})>", re.IGNORECASE)
_THINKING = re.compile(rf"\s*<({_THOUGHTS})>.*?</\1>", re.DOTALL | re.IGNORECASE)
_THOUGHT = re.compile(rf"^[ \t]*</(?:{_THOUGHTS})>|</(?:{_THOUGHTS})>[ \t]*$", re.MULTILINE | re.IGNORECASE)
_OPENING = re.compile(r"[ \t]*(`{3,}|~{3,})[ \t]*([^`\n]*)")
_SEARCH = re.compile(r"[ \t]*<{5,9} ?(?:SEARCH|ORIGINAL|OLD|HEAD)\b:?[ \t]*(.*)", re.IGNORECASE)
_MIDDLE = re.compile(r"[ \t]*={5,9}[ \t]*")
_REPLACE = re.compile(r"[ \t]*>{5,9} ?(?:REPLACE|UPDATED|NEW)\b.*", re.IGNORECASE)
_RANGE = re.compile(r"@@(?: -(\d+)(?:,\d+)? \+\d+(?:,\d+)?)?.*")
_HEAD = re.compile(r"\+\+\+ (\S.*)")
_WORDS = re.compile(
    r"^[\s>*_#-]*(hypothesis|family)[*_ \t]*[:=][*_ \t]*(\S.*)$", re.MULTILINE | re.IGNORECASE
)
_PATH = re.compile(r"[\w./@+-]*(?:/[\w.@+-]*\w|\.[A-Za-z]\w*)")
_KEYS = frozenset({"hypothesis", "family", "path", "edits", "function", "reasoning", *CODE_KEYS})
_OURS = re.compile(r'\{\s*"(?:hypothesis|family|code|edits)"\s*:')


@dataclass(frozen=True)
class Fence:
    """A fenced block: what stands behind its opening, its text, and the last line of prose in front of it."""

    info: str
    text: str
    before: str
    closed: bool = True

    @property
    def language(self) -> str:
        return re.split(r"[\s:{]", self.info, maxsplit=1)[0].lower()


def said_in(answer: str) -> str:
    """The answer without its thoughts, with line feeds at its line ends."""
    if len(answer) > MOST:
        raise AnswerError(f"the answer is {len(answer):,} characters long; at most {MOST:,} are read")
    said = answer.replace("\r\n", "\n").lstrip("\ufeff")
    while match := _THINKING.match(said):
        said = said[match.end() :]
    if _THINKS.match(said):
        raise AnswerError("the answer is cut short: it ends within its thoughts")
    if match := _THOUGHT.search(said):  # a chat template may have opened them for the model
        said = said[match.end() :]
    if not said.strip():
        raise AnswerError("the answer is empty")
    return said


# --- fences ------------------------------------------------------------------------------------------


def fences_in(said: str, *, parses: Callable[[str], bool]) -> tuple[list[Fence], str]:
    """The fenced blocks of an answer, and the prose around them.

    A fence may hold lines that look like its end: in a docstring, in a README. One of Python ends at the
    first at which what it holds `parses`; else each opening within a fence has an end of its own.
    """
    lines, prose, at = said.split("\n"), [""], 0
    fences: list[Fence] = []
    while at < len(lines):
        opening = _OPENING.fullmatch(lines[at])
        if opening is None:
            prose.append(lines[at])
            at += 1
            continue
        if len(fences) == MOST_FENCES:
            raise AnswerError(f"the answer holds more than {MOST_FENCES} fenced blocks")
        fence = Fence(opening[2].strip(), "", next((it for it in reversed(prose) if it.strip()), ""))
        end = _end(lines, at, opening[1], parses if fence.language in _PYTHON else None)
        lead = len(lines[at]) - len(lines[at].lstrip(" \t"))
        body = (line[lead:] if not line[:lead].strip() else line for line in lines[at + 1 : end])
        text = "".join(f"{line}\n" for line in body)
        fences.append(Fence(fence.info, text, fence.before, closed=end < len(lines)))
        prose.append("")
        at = end + 1
    return fences, "\n".join(prose)


def unopened(said: str) -> str | None:
    """Code whose fence was opened for the model: what stands in front of the line that ends it."""
    lines = said.split("\n")
    end = next((at for at, line in enumerate(lines) if is_fence(line)), len(lines))
    return "\n".join(lines[:end]) if lines[end:] and not lines[end].strip().strip("`~") else None


def is_fence(line: str) -> bool:
    """Whether a line opens or ends a fence."""
    return _OPENING.fullmatch(line) is not None


def _end(lines: Sequence[str], at: int, mark: str, parses: Callable[[str], bool] | None) -> int:
    """The line that ends the fence opened at line `at`; behind the last where none does."""
    closing = re.compile(rf"[ \t]*{re.escape(mark[0])}{{{len(mark)},}}[ \t]*")
    found = (i for i in range(at + 1, len(lines)) if closing.fullmatch(lines[i]))
    ends = list(islice(found, MOST_CLOSINGS))
    if len(ends) < 2:
        return ends[0] if ends else len(lines)
    for end in ends if parses else ():
        if parses and parses("\n".join(lines[at + 1 : end])):
            return end
    depth = 1
    for i in range(at + 1, len(lines)):
        inner = _OPENING.fullmatch(lines[i])
        if closing.fullmatch(lines[i]):
            depth -= 1
            if depth == 0:
                return i
        elif inner and inner[1][0] == mark[0] and inner[2].strip():
            depth += 1
    return ends[-1]


_PYTHON = frozenset({"", "py", "python", "python3"})


# --- edits -------------------------------------------------------------------------------------------


def has_blocks(said: str) -> bool:
    """Whether an answer holds the beginning of a SEARCH/REPLACE block."""
    return any(_SEARCH.fullmatch(line) for line in said.split("\n"))


def blocks_in(said: str) -> Iterator[Hunk]:
    """The SEARCH/REPLACE blocks, each with the path that its marker, or the line in front of it, names."""
    lines, at, named = said.split("\n"), 0, ""
    while at < len(lines):
        opening = _SEARCH.fullmatch(lines[at])
        if opening is None:
            named = path_in(lines[at]) or ("" if lines[at].strip() and not is_fence(lines[at]) else named)
            at += 1
            continue
        middle = next((i for i in range(at + 1, len(lines)) if _MIDDLE.fullmatch(lines[i])), len(lines))
        end = next((i for i in range(middle, len(lines)) if _REPLACE.fullmatch(lines[i])), len(lines))
        if end == len(lines):
            raise AnswerError("the answer is cut short: a SEARCH/REPLACE block has no end")
        path = path_in(opening[1]) or named or None
        yield replacing(lines[at + 1 : middle], lines[middle + 1 : end], path)
        at = end + 1


def is_diff(text: str, language: str = "") -> bool:
    """Whether a text is a unified diff, with its ranges or in a fence that says so."""
    lines = text.split("\n")
    marked = any(line[:1] in ("+", "-") for line in lines)
    return marked and (language in ("diff", "patch") or any(_RANGE.fullmatch(line) for line in lines))


def hunks_of(text: str, *, bare: bool = False) -> Iterator[Hunk]:
    """The hunks of a unified diff. The counts of its ranges are not relied on; `bare`: prose is around it."""
    lines, path, line = text.split("\n"), None, None
    marked: list[tuple[str, str]] | None = None if bare else []
    at = 0
    while at < len(lines):
        said = lines[at]
        if said.startswith("--- ") and at + 1 < len(lines) and (head := _HEAD.fullmatch(lines[at + 1])):
            yield from _hunk(marked, path, line)
            path, line, at = head[1].partition("\t")[0].strip(), None, at + 1
            marked = None if bare else []
        elif match := _RANGE.fullmatch(said):
            yield from _hunk(marked, path, line)
            marked, line = [], int(match[1]) if match[1] else None
        elif marked is not None and said[:1] in (" ", "-", "+"):
            marked.append((said[0], said[1:]))
        elif marked is not None and (said == "" or not bare):
            if not said.startswith(("diff --git ", "index ", "\\")):
                marked.append((" ", said))
        else:
            yield from _hunk(marked, path, line)
            marked = None
        at += 1
    yield from _hunk(marked, path, line)


def _hunk(marked: list[tuple[str, str]] | None, path: str | None, line: int | None) -> Iterator[Hunk]:
    marked = list(marked or ())
    while marked and marked[-1][0] == " " and not marked[-1][1].strip():
        marked.pop()
    if any(mark != " " for mark, _ in marked):
        yield Hunk(tuple(marked), path, line)


# --- JSON --------------------------------------------------------------------------------------------


def object_in(said: str, fences: Sequence[Fence]) -> Mapping[str, Any] | None:
    """The last JSON object that is an answer: bare, with prose around, or in a fence; None where none is.

    Raises AnswerError where there is the beginning of one.
    """
    texts = [fence.text for fence in fences if fence.language in ("json", "")]
    if not fences or said.lstrip().startswith("{"):
        texts.insert(0, said[said.find("{") :] if "{" in said else "")
    found: Mapping[str, Any] | None = None
    for text in texts:
        bare = text.strip()
        if not bare.startswith("{"):
            continue
        try:
            value, _ = json.JSONDecoder(strict=False).raw_decode(bare)
        except (ValueError, RecursionError) as error:
            if _OURS.match(bare):
                why = plain_line(str(error), 80)
                raise AnswerError(f"the JSON is cut short or malformed: {why}") from None
            continue
        if value.keys() <= _KEYS and value.keys() & {*CODE_KEYS, "edits"}:
            found = value
    return found


# --- words -------------------------------------------------------------------------------------------


def path_in(said: str) -> str:
    """The path that a line of prose is: alone, or between marks. Empty where it is something else."""
    words = said.strip().strip("#*`'\":() \t").removeprefix("File").removeprefix("file").strip("=*`'\": \t")
    words = re.sub(r"^(?:path|title|filename)=[\"']?", "", words).rstrip("\"'")
    return words if _PATH.fullmatch(words) else ""


def words_in(prose: str) -> tuple[str, str]:
    """The last hypothesis and family that the prose names."""
    found = {match[1].lower(): match[2] for match in _WORDS.finditer(prose)}
    return hypothesis(found.get("hypothesis")), family(found.get("family"))


def hypothesis(value: object) -> str:
    """A hypothesis, plain and short; empty where it is no text."""
    return plain_line(value, HYPOTHESIS).strip("*_` ") if isinstance(value, str) else ""


def family(value: object) -> str:
    """A family as a word-like-this; empty where it is no text."""
    said = plain_line(value, FAMILY).lower() if isinstance(value, str) else ""
    return re.sub(r"[^a-z0-9]+", "-", said).strip("-")
