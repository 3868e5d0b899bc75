"""What a model is asked to look at: the function, by its share of the metric and what was tried there. Pure.

The same brief and seed give the same question. Functions are drawn by lot: a large share of the metric makes
one likely, tries without a gain make it less so, and none is ever out.
"""

from __future__ import annotations

import ast
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from optiloop.definitions import Definition, definitions
from optiloop.model import Brief, Status
from optiloop.proposers.rewrite.code import Code
from optiloop.proposers.rewrite.shares import shares_of_functions

Kind = Literal["function", "file", "edits", "agent"]

SMALL = 60
"""A file of at most so many lines is looked at as a whole, unless one function must be asked for."""
STUCK = 2
"""After so many tries in a row without a gain at one place an idea is given along."""
REMEMBERED = 50
"""The tries at a place that are looked at for their ideas."""
LEAST_SHARE = 0.01
"""Of a function that a profile of others does not tell about."""
TAG = "idea:"

IDEAS: Mapping[str, str] = {
    "data-structure": "keep the data in another structure: a dict or a set instead of a search in a list, "
    "a deque, a heap, a flat array.",
    "caching": "compute once what is computed again and again: take it out of the loop, remember results, "
    "prepare a table.",
    "algorithm": "another algorithm whose work grows more slowly with the input: sort and scan, prefix sums, "
    "two pointers, divide and conquer.",
    "batching": "do many items in one call instead of one at a time.",
    "built-in": "let a built-in or the standard library run the loop.",
    "fewer-passes": "go over the input once, and stop as soon as the answer is known.",
    "allocation": "make fewer copies and intermediate objects.",
    "special-case": "answer the common or trivial inputs on a short path, the rest as before.",
}
PROSE_IDEAS: Mapping[str, str] = {
    "example": "add one short example of a right answer, unlike any input that is judged.",
    "format": "say exactly which form the answer has.",
    "checklist": "list what the answer must hold, point by point.",
    "shorter": "take out what does not help; say the rest plainly.",
    "order": "put what matters most first, or last.",
    "mistakes": "name the mistakes that were made, and what to do instead.",
}
SETTING_IDEAS: Mapping[str, str] = {
    "double": "double one value.",
    "halve": "halve one value.",
    "switch": "turn one option on or off.",
    "swap": "choose another of the values that an option can have.",
    "together": "change two values that depend on each other.",
}
_PROSE = frozenset({".md", ".txt", ".rst", ".prompt", ".j2", ""})
_SETTINGS = frozenset({".toml", ".yaml", ".yml", ".json", ".ini", ".cfg", ".conf", ".env"})


@dataclass(frozen=True)
class Ask:
    """What is asked of a model: one function's whole text, a whole file, edits of one, or work in a folder.

    `function` is a dotted name; without `kind` "function" it says only where to look. `idea` is a key of
    IDEAS or of its like, or empty. With `json` the answer is to be JSON by `answers.answer_schema`.
    """

    kind: Kind
    path: str
    function: str | None = None
    idea: str = ""
    json: bool = False

    @property
    def place(self) -> str:
        """Where a change of this is remembered (see Lesson)."""
        return f"{self.path}::{self.function}" if self.function else self.path

    @property
    def tags(self) -> tuple[str, ...]:
        """Tags for the proposal, by which the idea is known again."""
        return (f"{TAG}{self.idea}",) if self.idea else ()


@dataclass(frozen=True)
class _Spot:
    path: str
    function: str | None
    weight: float


def asked(brief: Brief, kind: Kind, *, json: bool = False) -> Ask:
    """Choose what to ask for. Where no function can be asked for, the file is."""
    draw = random.Random(brief.seed)
    spots = [spot for path, text in brief.source.items() for spot in _spots(brief, path, text, kind)]
    if any(spot.function for spot in spots) and kind == "function":
        spots = [spot for spot in spots if spot.function]
    spot = draw.choices(spots, [spot.weight for spot in spots])[0]
    kind = "file" if kind == "function" and spot.function is None else kind
    ask = Ask(kind, spot.path, spot.function, json=json)
    return Ask(kind, spot.path, spot.function, _idea(brief, ask, draw), json)


def sentence(ask: Ask) -> str:
    """The idea in words; empty where there is none."""
    return {**IDEAS, **PROSE_IDEAS, **SETTING_IDEAS}.get(ask.idea, "")


def _spots(brief: Brief, path: str, text: str, kind: Kind) -> Iterator[_Spot]:
    """The functions of a file with their weights, or the file."""
    found = functions(path, text)
    if not found or (kind != "function" and text.count("\n") <= SMALL):
        yield _Spot(path, None, _untried(brief, path))
        return
    shares = _shares(brief, text, found)
    for function in found:
        yield _Spot(path, function.name, shares[function.name] * _untried(brief, f"{path}::{function.name}"))


def functions(path: str, text: str) -> Sequence[Definition]:
    """The functions that can be asked for by name: of Python, and of two of one name neither."""
    found = definitions(text) if path.endswith(".py") else ()
    names = Counter(definition.name for definition in found)
    return [it for it in found if it.is_function and names[it.name] == 1]


def _shares(brief: Brief, text: str, found: Sequence[Definition]) -> Mapping[str, float]:
    """What each function may be worth: its share of the metric; without a profile, by its loops."""
    known = shares_of_functions(Code(text), brief.profile)
    told = any(share != 1.0 for name, share in known.items() if name)
    return {
        it.name: (known.get(it.name.rpartition(".")[2]) or LEAST_SHARE) if told else 1.0 + _loops(it)
        for it in found
    }


def _loops(function: Definition) -> int:
    return sum(isinstance(it, ast.For | ast.While | ast.comprehension) for it in ast.walk(function.node))


def _untried(brief: Brief, place: str) -> float:
    spent = brief.recall.spent_at(place)
    return 1.0 / (1 + spent.experiments - spent.kept)


def _idea(brief: Brief, ask: Ask, draw: random.Random) -> str:
    """One of the ideas that were given least at this place, once the model is stuck there."""
    lessons = brief.recall.at(ask.place, REMEMBERED)
    if len(lessons) < STUCK or any(lesson.status is Status.KEEP for lesson in lessons[-STUCK:]):
        return ""
    given = Counter(tag.removeprefix(TAG) for lesson in lessons for tag in lesson.tags if tag.startswith(TAG))
    ideas = _ideas(ask.path)
    least = min(given[idea] for idea in ideas)
    return draw.choice([idea for idea in ideas if given[idea] == least])


def _ideas(path: str) -> Mapping[str, str]:
    suffix = PurePosixPath(path).suffix
    return PROSE_IDEAS if suffix in _PROSE else SETTING_IDEAS if suffix in _SETTINGS else IDEAS
