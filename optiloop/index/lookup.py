"""What a question's words stand for in the index: names, ways, values; and when something was in force."""

from __future__ import annotations

import difflib
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optiloop.errors import UsageError
from optiloop.index.store import Index
from optiloop.memory.entities import entities_in, entity_of
from optiloop.memory.facts import Way, fits, of_text
from optiloop.memory.words import SMALL

FOREVER = 2**62
_CONDITION = re.compile(r"\s*([\w.:/-]+(?: [\w.:/-]+){0,2}?)\s*(<=|>=|!=|<|>|=)\s*([^<>=]+?)\s*")
_TOKEN = re.compile(r"[\w.:/-]+")
_WAYS = {str(way): way for way in Way if way is not Way.CHANGE}


@dataclass(frozen=True)
class Wanted:
    """What a phrase asks for: runs that have one name of each group, this way, and a value that fits.

    `names` holds a group of name numbers per word that is known; `test` is an operator, empty for any value.
    """

    said: str
    names: tuple[tuple[int, ...], ...]
    way: Way | None = None
    test: str = ""
    value: str = ""


Spans = Sequence[tuple[int, int]]
"""Runs from the first to the last of each pair, in order and apart."""


def wanted(index: Index, text: str) -> Wanted:
    """Read a phrase: `depth up`, `DEPTH=12`, `depth < 8`, `memoise in slugify`, `train.py::step`.

    Raises UsageError, with what there is, where none of its words is known.
    """
    condition = _CONDITION.fullmatch(text)
    if condition:
        name, test, value = condition.groups()
        return Wanted(text, (_known(index, name),), test=test, value=value.strip("\"'"))
    if exact := named(index, text.strip()):
        return Wanted(text, (exact,))
    told = of_text(text)
    for knob in told.knobs:
        names = named(index, knob.name)
        if names and knob.after is not None:
            return Wanted(text, (names,), test="=", value=knob.after)
    groups, way = _spoken(index, text)
    if not groups:
        raise UsageError(f"nothing in the log is called {text!r}{_nearest(index, text)}")
    return Wanted(text, groups, way)


def named(index: Index, name: str) -> tuple[int, ...]:
    """The names that a word stands for: itself, a place's function or file, else its entity."""
    found = index.rows(
        "SELECT nid FROM name WHERE name = ?1 OR last = ?1 OR (name >= ?1 || '::' AND name < ?1 || ':;')",
        name,
    )
    if not found and " " not in name:
        found = index.rows("SELECT nid FROM name WHERE kind = 'entity' AND name = ?", entity_of(name))
    return tuple(nid for (nid,) in found)


def seqs(index: Index, want: Wanted, now: int) -> dict[int, int | None]:
    """The runs that fit, oldest first, each with its verdict when it ended."""
    found = fitting(index, want, now)
    return {seq: found[seq] for seq in sorted(found)}


def fitting(index: Index, want: Wanted, now: int) -> Mapping[int, int | None]:
    """The same in no order, in half the time."""
    first, *others = [_of_names(index, names, want, now) for names in want.names]
    for other in others:
        first = {seq: verdict for seq, verdict in first.items() if seq in other}
    return first


def in_force(index: Index, want: Wanted, now: int) -> Spans:
    """When a value, or a kept change, was in force."""
    if want.test:
        rows = index.rows(
            "SELECT first, coalesce(last, ?), value FROM setting WHERE known <= ?"
            " AND name IN (SELECT value FROM json_each(?))",
            FOREVER,
            now,
            json.dumps(knobs_of(index, want.names[0])),
        )
        return merged((first, last) for first, last, value in rows if fits(value, want.test, want.value))
    kept = [seq for seq, verdict in seqs(index, want, now).items() if verdict == 1]
    rows = index.rows(
        "SELECT seq + 1, coalesce(until, ?) FROM run WHERE seq IN (SELECT value FROM json_each(?))",
        FOREVER,
        json.dumps(kept),
    )
    return merged(rows)


def merged(spans: Iterable[tuple[Any, ...]]) -> Spans:
    """The same runs in as few spans as can be."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def within(runs: Sequence[int], spans: Spans) -> Iterator[int]:
    """Those of some runs, given in their order, that lie in one of the spans."""
    for first, last in spans:
        yield from runs[bisect_left(runs, first) : bisect_right(runs, last)]


def knobs_of(index: Index, names: Sequence[int]) -> list[int]:
    """The knobs among names, and those that stand for the entities among them."""
    chosen = index.rows(
        "SELECT kind, name, nid FROM name WHERE nid IN (SELECT value FROM json_each(?))", json.dumps(names)
    )
    entities = {name for kind, name, _ in chosen if kind == "entity"}
    every = index.rows("SELECT nid, name FROM name WHERE kind = 'knob'") if entities else []
    found = [nid for kind, _, nid in chosen if kind == "knob"]
    return list(dict.fromkeys([*found, *(nid for nid, name in every if entity_of(name) in entities)]))


def _known(index: Index, name: str) -> tuple[int, ...]:
    found = named(index, name)
    if not found:
        raise UsageError(f"nothing in the log is called {name!r}{_nearest(index, name)}")
    return found


def _spoken(index: Index, text: str) -> tuple[tuple[tuple[int, ...], ...], Way | None]:
    """A group of names for each word of a phrase that is known, and its way."""
    groups: dict[tuple[int, ...], None] = {}
    words = _TOKEN.findall(text)
    phrases = [entity for entity, _ in entities_in(text) if " " in entity]
    said = [word for word in words if word.lower() not in SMALL and word.lower() not in _WAYS]
    for name in (*phrases, *(word for word in said if not any(word.lower() in it.split() for it in phrases))):
        if found := named(index, name):
            groups[found] = None
    last = _WAYS.get(words[-1].lower()) if words else None
    ways = [way for _, way in of_text(text).entities if way is not Way.CHANGE]
    return tuple(groups), last or (ways[0] if ways else None)


def _of_names(index: Index, names: Sequence[int], want: Wanted, now: int) -> dict[int, int | None]:
    """Runs with one of these names. A place or a family has no way, and no value."""
    if want.test:
        rows = index.rows(
            f"SELECT seq, verdict, after {_FROM_NAMES} AND after IS NOT NULL", json.dumps(names), now
        )
        return {seq: verdict for seq, verdict, after in rows if fits(after, want.test, want.value)}
    if want.way is None:
        return dict(index.rows(f"SELECT seq, verdict {_FROM_NAMES}", json.dumps(names), now))
    moved = index.rows(
        f"SELECT seq, verdict {_FROM_NAMES} AND way = ?", json.dumps(names), now, str(want.way)
    )
    fixed = index.rows(
        f"SELECT seq, verdict {_FROM_NAMES}"
        " AND name IN (SELECT nid FROM name WHERE kind IN ('place', 'family'))",
        json.dumps(names),
        now,
    )
    return dict([*moved, *fixed])


_FROM_NAMES = "FROM fact WHERE name IN (SELECT value FROM json_each(?)) AND seq <= ?"


def _nearest(index: Index, text: str) -> str:
    """What there is that looks like it."""
    names = [name for (name,) in index.rows("SELECT DISTINCT last FROM name ORDER BY nid LIMIT 5000")]
    words = {word.lower() for word in (*_TOKEN.findall(text), text)}
    lowered = {name.lower(): name for name in names}
    close = [near for word in words for near in difflib.get_close_matches(word, lowered, 3, 0.6)]
    shown = [lowered[near] for near in dict.fromkeys(close)] or names[:8]
    return f"; there is {', '.join(shown)}" if shown else "; the log is empty"
