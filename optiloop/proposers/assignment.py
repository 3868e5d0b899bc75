"""Where the next idea is to be looked for, and of which kind: away from what was tried most. Pure.

The same brief and seed give the same assignment. Places, functions or settings, are drawn by lot: a large
share of the metric makes one likely, tries without a gain make it less so, and none is ever out. Without it
memory cannot stay small: the list of what was tried at one place and of one kind is short, however long the
log is (docs/memory.md).
"""

from __future__ import annotations

import ast
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import PurePosixPath

from optiloop.definitions import Definition, definitions
from optiloop.knobs import find
from optiloop.model import Assignment, Brief, Status
from optiloop.proposers.rewrite.code import Code
from optiloop.proposers.rewrite.shares import shares_of_functions

STUCK = 2
"""After so many tries in a row without a gain at one place an idea is given along."""
NAMED = 10.0
"""How much likelier the user's note makes a place that it names."""
LEAST_SHARE = 0.01
"""Of a function that a profile of others does not tell about."""

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
class _Spot:
    path: str
    part: str | None
    weight: float

    @property
    def place(self) -> str:
        return Assignment(self.path, self.part).place


def assigned(brief: Brief) -> Assignment:
    """Draw a place to look at, and the kind of idea to try there once others have failed."""
    draw = random.Random(brief.seed)
    spots = [spot for path, text in brief.source.items() for spot in _spots(brief, path, text)]
    named = {word.lower() for word in re.findall(r"\w+", brief.note)}
    weights = [it.weight * _untried(brief, it.place) * (NAMED if _is_in(named, it) else 1.0) for it in spots]
    spot = draw.choices(spots, weights)[0]
    return Assignment(spot.path, spot.part, _family(brief, spot, draw))


def _is_in(words: Set[str], spot: _Spot) -> bool:
    """Whether a note's words name a place: `tokenizer` is in `Tokenizer.encode` and in `make_tokenizer`."""
    name = spot.part or PurePosixPath(spot.path).stem
    return not words.isdisjoint([name.lower(), *re.findall(r"[a-z0-9]+", name.lower())])


def functions(path: str, text: str) -> Sequence[Definition]:
    """The functions that can be asked for by name: of Python, and of two of one name neither."""
    found = definitions(text) if path.endswith(".py") else ()
    names = Counter(definition.name for definition in found)
    return [it for it in found if it.is_function and names[it.name] == 1]


def _spots(brief: Brief, path: str, text: str) -> Iterator[_Spot]:
    """The functions of a file with their weights, or its settings, or the file."""
    found = functions(path, text)
    if found:
        shares = _shares(brief, text, found)
        yield from (_Spot(path, it.name, shares[it.name]) for it in found)
        return
    settings = () if path.endswith(".py") else _settings(path, text)
    yield from (_Spot(path, name, 1 / len(settings)) for name in settings)
    if not settings:
        yield _Spot(path, None, 1.0)


def _settings(path: str, text: str) -> Sequence[str]:
    """The settings of a file by the last part of their names, as in diffs; of two of one name neither."""
    names = Counter(knob.name.rpartition(".")[2] for knob in find(path, text))
    return [name for name, times in names.items() if times == 1]


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


def _family(brief: Brief, spot: _Spot, draw: random.Random) -> str:
    """One of the kinds of ideas that were tried least at this place, once nothing else has helped there."""
    latest = brief.recall.at(spot.place, STUCK)
    if len(latest) < STUCK or any(lesson.status is Status.KEEP for lesson in latest):
        return ""
    spent = brief.recall.families(spot.place)
    tries = {
        idea: spent[idea].experiments - spent[idea].kept if idea in spent else 0
        for idea in ideas_for(spot.path)
    }
    return draw.choice([idea for idea, number in tries.items() if number == min(tries.values())])


def ideas_for(path: str) -> Mapping[str, str]:
    """The kinds of ideas for a file, each with a sentence that says it."""
    suffix = PurePosixPath(path).suffix
    return PROSE_IDEAS if suffix in _PROSE else SETTING_IDEAS if suffix in _SETTINGS else IDEAS
