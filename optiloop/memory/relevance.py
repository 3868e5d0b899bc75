"""How much of what was learned still holds: by distance, by whether its code lives, by its context. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from optiloop.definitions import definitions
from optiloop.memory.cases import Context

HALF_LIFE = 400
"""Experiments after which a run is half as telling: measured distance, not days."""
OLDEST = 0.3
"""What remains of the oldest run."""
ALIVE, REWRITTEN, GONE = 1.0, 0.3, 0.1
LEAST_MATCH = 0.4
"""What another context leaves: with code that is gone it is below what is kept in sight."""
_NAME = re.compile(r"[A-Za-z_][\w-]*")


def relevance(*, alive: float, match: float, distance: float | None = None) -> float:
    """0 to 1. `distance` is the experiments since; None of a finding, which does not fade."""
    faded = 0.0 if distance is None else distance
    return (OLDEST + (1 - OLDEST) * math.exp2(-min(faded / HALF_LIFE, 1000.0))) * alive * match


def context_match(then: Context, now: Context) -> float:
    """The share of what was in force that is in force now, `LEAST_MATCH` to 1."""
    if not then:
        return 1.0
    same = sum(now.get(name) == value for name, value in then.items()) / len(then)
    return LEAST_MATCH + (1 - LEAST_MATCH) * same


@dataclass(frozen=True)
class Code:
    """The champion's texts by path, and what is in force; it tells what of the log is still in it."""

    source: Mapping[str, str]
    now: Context

    def has_name(self, name: str) -> float:
        """ALIVE where a knob is still named somewhere, else GONE."""
        return ALIVE if name in self._names else GONE

    def has_place(self, place: str, seq: int) -> float:
        """ALIVE as run `seq` knew a place, REWRITTEN where a later keep changed it, GONE where it is not."""
        if place not in self._places:
            return GONE
        written = self.now.get(place, "#0")
        return REWRITTEN if int(written[1:]) > seq else ALIVE

    def lacks(self, alive: float) -> bool:
        """Whether so much alive means that it is gone."""
        return alive <= GONE

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(name for text in self.source.values() for name in _NAME.findall(text))

    @cached_property
    def _places(self) -> frozenset[str]:
        """Files, functions, and the settings in files that are no Python."""
        named = {f"{path}::{name}" for path, text in self.source.items() for name in _names_in(path, text)}
        return frozenset({*self.source, *named})


def _names_in(path: str, text: str) -> list[str]:
    return [it.name for it in definitions(text)] if path.endswith(".py") else _NAME.findall(text)
