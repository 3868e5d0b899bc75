"""What a model answered, as the new text of files: tolerant in reading, strict in applying. Pure.

Whatever was asked, any form is taken: a whole file or functions in a fence, SEARCH/REPLACE blocks, a unified
diff, JSON; with prose around, thoughts in front, wrong indentation, other line ends. What cannot be meant in
one way only is an AnswerError, whose message can be handed back to the model for one repair.
"""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from optiloop.definitions import definitions, parsed
from optiloop.memory.fingerprint import result_fingerprint
from optiloop.proposers.llm.focus import Ask
from optiloop.proposers.llm.forms import (
    CODE_KEYS,
    FAMILY,
    HYPOTHESIS,
    Fence,
    blocks_in,
    family,
    fences_in,
    has_blocks,
    hunks_of,
    hypothesis,
    is_diff,
    is_fence,
    object_in,
    path_in,
    said_in,
    unopened,
    words_in,
)
from optiloop.proposers.llm.placing import AnswerError, Hunk, changed, replacing
from optiloop.proposers.llm.splicing import imported, names_in, other_changes, read, spliced
from optiloop.untrusted import plain_line, unseen

__all__ = ["AnswerError", "Edited", "answer_schema", "edits_of"]

_LEFT_OUT = re.compile(
    r"^[ \t]*(?:#|//|--)?[ \t]*(?:\.\.\.|…)[^\n]*"
    r"\b(?:rest|unchanged|existing|remain\w*|same|other|omitted)\b"
    r"|^[ \t]*(?:#|//|--)[ \t]*(?:the )?(?:rest|remainder|remaining \w+) (?:of [^\n]*)?"
    r"(?:unchanged|the same)\b",
    re.MULTILINE | re.IGNORECASE,
)
"""A line that stands for code, where code was asked for."""


@dataclass(frozen=True)
class Edited:
    """A change as an answer makes it: the whole new text of each file, and why."""

    edits: Mapping[str, str]
    hypothesis: str
    family: str


def edits_of(answer: str, source: Mapping[str, str], ask: Ask, *, files_per_change: int = 1) -> Edited:
    """Make an answer's change in the champion's files. Raises AnswerError, with a reason in one line.

    It is refused where it changes nothing that matters, more files than it may, a file that is not there, or,
    where one function was asked for, other definitions; and where the result does not parse.
    """
    before = {path: text.replace("\r\n", "\n") for path, text in source.items()}
    found = _Reader(before, ask).read(said_in(answer))
    edits = {
        path: text.replace("\n", "\r\n") if "\r\n" in source[path] else text
        for path, text in found.texts.items()
        if text != before[path]
    }
    _check(edits, source, ask, files_per_change)
    return Edited(edits, found.hypothesis or _derived(ask, edits, source), found.family or ask.idea)


def answer_schema(ask: Ask) -> dict[str, Any]:
    """The JSON schema of an answer to `ask`, for servers that constrain what a model writes."""
    words = {
        "hypothesis": {"type": "string", "maxLength": HYPOTHESIS},
        "family": {"type": "string", "maxLength": FAMILY},
    }
    body: dict[str, Any] = {"code": {"type": "string"}}
    if ask.kind == "file":
        body = {"text": {"type": "string"}}
    if ask.kind == "edits":
        text = {"type": "string"}
        edit = {"path": text, "search": text, "replace": text}
        body = {
            "edits": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "properties": edit,
                    "required": list(edit),
                    "additionalProperties": False,
                },
            }
        }
    properties = {**words, **body}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


# --- reading -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """Files as an answer has them, line feeds at their line ends, and its words on them."""

    texts: Mapping[str, str]
    hypothesis: str
    family: str


class _Reader:
    """Reads one answer upon the champion's files."""

    def __init__(self, source: Mapping[str, str], ask: Ask) -> None:
        self.source, self.ask = source, ask

    def read(self, said: str) -> _Found:
        """What the first form that the answer has makes of the files: JSON, SEARCH/REPLACE, a diff, code."""
        is_bare = self.ask.path.endswith(".py") and _is_python(said)
        fences, prose = ([], "") if is_bare else fences_in(said, parses=_is_python)
        value = object_in(said, fences)
        if value is not None:
            return _Found(
                self._from_json(value), hypothesis(value.get("hypothesis")), family(value.get("family"))
            )
        try:
            texts = self._from_edits(said, fences) or self._from_code(said, fences)
        except AnswerError:
            if all(fence.closed for fence in fences):
                raise
            raise AnswerError("the answer is cut short: a fence is not closed") from None
        return _Found(texts, *words_in(prose))

    def _from_json(self, value: Mapping[str, Any]) -> Mapping[str, str]:
        path = value.get("path")
        named = path if isinstance(path, str) and path else None
        if isinstance(value.get("edits"), list):
            return self._changed([_edit(edit, named) for edit in value["edits"]], in_order=False)
        code = next((value[key] for key in CODE_KEYS if isinstance(value.get(key), str)), None)
        if code is None:
            raise AnswerError("the JSON holds no code and no edits")
        code = code.replace("\r\n", "\n")
        fences, _ = fences_in(code, parses=_is_python)
        if texts := self._from_edits(code, fences):
            return texts
        is_fenced = len(fences) == 1 and is_fence(code.lstrip().partition("\n")[0])
        block = fences[0].text if is_fenced else code
        return self._from_block(block, self._path(named) if named else None)

    def _from_edits(self, said: str, fences: Sequence[Fence]) -> Mapping[str, str] | None:
        """What SEARCH/REPLACE blocks or a diff make of the files; None where there are none."""
        if has_blocks(said):
            return self._changed(list(blocks_in(said)), in_order=False)
        diffs = [fence for fence in fences if is_diff(fence.text, fence.language)]
        if diffs:
            return self._changed([hunk for fence in diffs for hunk in hunks_of(fence.text)], in_order=True)
        if not fences and is_diff(said):
            return self._changed(list(hunks_of(said, bare=True)), in_order=True)
        return None

    def _changed(self, hunks: Sequence[Hunk], *, in_order: bool) -> Mapping[str, str]:
        if not hunks:
            raise AnswerError("the answer holds no edit")
        by_path: dict[str, list[Hunk]] = {}
        for hunk in hunks:
            by_path.setdefault(self._path(hunk.path), []).append(hunk)
        return {path: changed(self.source[path], its, in_order=in_order) for path, its in by_path.items()}

    # --- code ---

    def _from_code(self, said: str, fences: Sequence[Fence]) -> Mapping[str, str]:
        """What code in fences, or bare, makes of the files."""
        closed = [inner for fence in fences if fence.closed for inner in self._unwrapped(fence)]
        if not closed:
            bare = unopened(said) if fences else said
            if bare is None or not _is_python(bare) or not self.ask.path.endswith(".py"):
                raise AnswerError("the answer holds no code: put it into a fence of three backticks")
            return self._from_block(bare, None)
        named = [(path, fence) for fence in closed if (path := self._hinted(fence)) is not None]
        if not named:
            return self._from_block(self._chosen(closed), None)
        texts: dict[str, str] = {}
        for path, fence in named:
            texts.update(self._from_block(fence.text, path))
        return texts

    def _unwrapped(self, fence: Fence) -> Sequence[Fence]:
        """The blocks within a block, where Python was asked for and it is none."""
        if not self.ask.path.endswith(".py") or _is_python(fence.text):
            return [fence]
        inner = [it for it in fences_in(fence.text, parses=_is_python)[0] if it.closed]
        return inner or [fence]

    def _chosen(self, fences: Sequence[Fence]) -> str:
        """The last of several blocks that holds the asked function and changes something.

        Where none does: that holds another function; that has most lines in common with the file.
        """
        lines, names = set(self.source[self.ask.path].split("\n")), names_in(self.source[self.ask.path])
        asked = (self.ask.function or "").rpartition(".")[2]

        def rank(fence: Fence) -> tuple[bool, bool, bool, int]:
            block = read(fence.text) if names and len(fences) > 1 else SyntaxError()
            own = set() if isinstance(block, SyntaxError) else {it.name for it in definitions(block.text)}
            holds = any(name.rpartition(".")[2] == asked for name in own)
            common = len(lines & set(fence.text.split("\n")))
            return holds, bool(own) and self._changes(fence.text), bool(own & names), common

        return max(reversed(fences), key=rank).text

    def _changes(self, text: str) -> bool:
        """Whether a block can be used and changes something."""
        try:
            after = {**self.source, **self._from_block(text, None)}
        except AnswerError:
            return False
        return result_fingerprint(after) != result_fingerprint(self.source)

    def _from_block(self, text: str, path: str | None) -> Mapping[str, str]:
        """What one block makes of a file: its whole text, or some of its functions."""
        path = path or self._meant(text)
        old = self.source[path]
        if not path.endswith(".py"):
            return {path: _ending_as(text, old)}
        block = read(text)
        if isinstance(block, SyntaxError):
            raise AnswerError(f"the code does not parse: line {block.lineno}: {block.msg}")
        if self._is_whole(block.text, old):
            return {path: _ending_as(block.text, old)}
        return {path: spliced(old, block, self.ask.function if path == self.ask.path else None)}

    def _is_whole(self, text: str, old: str) -> bool:
        """Whether a Python block is the whole file.

        It lacks no name, or where a file was asked for only private ones and imports that it does not use.
        Where a function was asked for it must also begin as the file does, and do as much beside defining.
        """
        had = {name for name in names_in(old) if "." not in name}
        missing = had - names_in(text)
        if not had:
            return True
        if _LEFT_OUT.search(text) and not _LEFT_OUT.search(old):
            return False
        if self.ask.kind == "function":
            begins = old.lstrip().partition("\n")[0].rstrip() == text.lstrip().partition("\n")[0].rstrip()
            return begins and not missing and _does(old) <= _does(text)
        private = {name for name in missing if name.startswith("_")} | imported(old)
        return (
            missing <= private
            and not missing & set(re.findall(r"\w+", text))
            and 2 * len(missing) <= len(had)
        )

    # --- paths ---

    def _meant(self, text: str) -> str:
        """The file that a block without a name belongs to."""
        names = names_in(text) if self.ask.path.endswith(".py") else set()
        if not names or names & names_in(self.source[self.ask.path]):
            return self.ask.path
        others = [path for path, old in self.source.items() if path.endswith(".py") and names & names_in(old)]
        return others[0] if len(others) == 1 else self.ask.path

    def _hinted(self, fence: Fence) -> str | None:
        """The file that a fence's opening, or the line in front of it, names; None where neither does."""
        for said in (fence.info.partition(" ")[2], fence.info.partition(":")[2], fence.info):
            if name := path_in(said):
                return self._path(name)
        name = path_in(fence.before)
        known = "/" in name or any(path == name or path.endswith(f"/{name}") for path in self.source)
        return self._path(name) if name and known else None

    def _path(self, name: str | None) -> str:
        """The editable file of a name as models write it. Raises AnswerError where there is none, or two."""
        if not name:
            return self.ask.path
        bare = name.strip().strip("`'\"*").removeprefix("./")
        for said in (bare, bare[2:] if bare.startswith(("a/", "b/")) else bare):
            found = [path for path in self.source if path == said] or [
                path for path in self.source if path.endswith(f"/{said}")
            ]
            if len(found) == 1:
                return found[0]
        raise AnswerError(
            f"edits {plain_line(bare, 60)!r}, which is not editable; only {', '.join(self.source)}"
        )


def _is_python(text: str) -> bool:
    return bool(text.strip()) and not isinstance(read(text), SyntaxError)


def _does(text: str) -> int:
    """How many statements of a module do something beside defining, importing and documenting."""
    tree = parsed(text)
    plain = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom
    body = tree.body if isinstance(tree, ast.Module) else []
    is_text = (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)
    return sum(not isinstance(node, plain) and not text for node, text in zip(body, is_text, strict=True))


def _edit(edit: object, path: str | None) -> Hunk:
    """One of a JSON answer's edits."""
    words = edit if isinstance(edit, dict) else {}
    search, replace, named = (words.get(key) for key in ("search", "replace", "path"))
    if not isinstance(search, str) or not isinstance(replace, str):
        raise AnswerError("an edit needs `search` and `replace`, two texts")
    old, new = (text.replace("\r\n", "\n").removesuffix("\n").split("\n") for text in (search, replace))
    return replacing(old, new if replace else [], named if isinstance(named, str) and named else path)


def _ending_as(text: str, old: str) -> str:
    """A whole text with as many line feeds at its end as the old one has."""
    return text.rstrip("\n") + old[len(old.rstrip("\n")) :] if old.strip() else text


def _derived(ask: Ask, edits: Mapping[str, str], source: Mapping[str, str]) -> str:
    """A hypothesis for an answer without one: what it changes."""
    path, text = next(iter(edits.items()))
    names = other_changes(source[path], text, "") if path.endswith(".py") else []
    what = ask.function if ask.function in names else names[0] if names else path
    return f"{what}: {ask.idea or 'rewritten'}"


# --- checks ------------------------------------------------------------------------------------------


def _check(edits: Mapping[str, str], source: Mapping[str, str], ask: Ask, files_per_change: int) -> None:
    """Raise AnswerError where a change is not to be proposed."""
    if not edits:
        raise AnswerError("changes nothing")
    if len(edits) > files_per_change:
        raise AnswerError(f"edits {len(edits)} files; one change may edit {files_per_change}")
    for path, text in edits.items():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise AnswerError(f"{path}: the new text is not UTF-8") from None
        if char := unseen(text, source[path]):
            raise AnswerError(f"{path}: holds {char}, which no one sees")
        if _LEFT_OUT.search(text) and not _LEFT_OUT.search(source[path]):
            raise AnswerError(f"{path}: leaves code out where it says that the rest is unchanged")
        if said := _unreadable(path, text, source[path]):
            raise AnswerError(f"{path} does not parse: {said}")
    if result_fingerprint({**source, **edits}) == result_fingerprint(source):
        raise AnswerError("changes nothing: the program is the same as before")
    if ask.kind == "function" and ask.function is not None:
        others = [path for path in edits if path != ask.path]
        others += other_changes(source[ask.path], edits.get(ask.path, source[ask.path]), ask.function)
        if others:
            raise AnswerError(f"changes {others[0]}, where only {ask.function} was asked for")


def _unreadable(path: str, text: str, before: str) -> str:
    """Why a file cannot be read by what reads such files; empty where it can, or never could."""
    suffix = PurePosixPath(path).suffix
    if suffix == ".py":
        tree = parsed(text)
        return f"line {tree.lineno}: {tree.msg}" if isinstance(tree, SyntaxError) else ""
    reader = {".json": json.loads, ".toml": tomllib.loads}.get(suffix)
    if reader is None:
        return ""
    try:
        reader(before)
    except (ValueError, RecursionError):
        return ""
    try:
        reader(text)
    except (ValueError, RecursionError) as error:
        return plain_line(str(error), 100)
    return ""
