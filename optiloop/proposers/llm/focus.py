"""What a model is asked to look at, and for what: a function, a file, edits, or work in a folder. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from optiloop.memory.history import IDEA
from optiloop.model import Brief
from optiloop.proposers.assignment import assigned, functions, ideas_for

Kind = Literal["function", "file", "edits", "agent"]

SMALL = 60
"""A file of at most so many lines is looked at as a whole, unless one function must be asked for."""


@dataclass(frozen=True)
class Ask:
    """What is asked of a model: one function's whole text, a whole file, edits of one, or work in a folder.

    `function` is a dotted name; without `kind` "function" it says only where to look, as `setting` does.
    `idea` is one of `ideas_for` the file, or empty. With `json` the answer is JSON by `answer_schema`.
    """

    kind: Kind
    path: str
    function: str | None = None
    idea: str = ""
    json: bool = False
    setting: str | None = None

    @property
    def place(self) -> str:
        """Where a change of this is remembered (see Lesson)."""
        part = self.function or self.setting
        return f"{self.path}::{part}" if part else self.path

    @property
    def tags(self) -> tuple[str, ...]:
        """Tags for the proposal, by which the idea is known again."""
        return (f"{IDEA}{self.idea}",) if self.idea else ()


def asked(brief: Brief, kind: Kind, *, json: bool = False) -> Ask:
    """Ask for what the brief assigns. Where no function can be asked for, the file is."""
    there = assigned(brief)
    text = brief.source[there.path]
    named = there.part is not None and any(it.name == there.part for it in functions(there.path, text))
    if not named:
        kind = "file" if kind == "function" else kind
        return Ask(kind, there.path, None, there.family, json, there.part)
    whole = kind != "function" and text.count("\n") <= SMALL
    return Ask(kind, there.path, None if whole else there.part, there.family, json)


def sentence(ask: Ask) -> str:
    """The idea in words; empty where there is none."""
    return ideas_for(ask.path).get(ask.idea, "")
