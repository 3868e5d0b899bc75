"""When a run ends: the limits a user may set, and the one that is reached first. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from optiloop.model import Allowance, Seconds

BARREN = 5
"""Experiments without a proposal in a row after which the proposer has given up."""

_UNTIL = re.compile(r"\s*(?P<metric>[^<>=]*[^\s<>=])\s*(?P<sign><=|>=|<|>)\s*(?P<value>\S+)\s*")
_SIGNS: dict[str, Callable[[float, float], bool]] = {
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
}


@dataclass(frozen=True)
class Until:
    """A goal for one of the benchmark's numbers, as in `val_bpb <= 0.97`: the metric, or another."""

    metric: str
    sign: str
    value: float

    @classmethod
    def parsed(cls, text: str, metric: str) -> Until:
        """Read it; `metric` is for the example in an error. Raises ValueError where it is no comparison."""
        match = _UNTIL.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no goal; write it like '{metric} <= 1.5'")
        try:
            value = float(match["value"])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise ValueError(f"{match['value']!r} is no number; write it like '{metric} <= 1.5'")
        return cls(match["metric"], match["sign"], value)

    def reached(self, champion: float) -> bool:
        """Whether the champion's number fulfils it."""
        return _SIGNS[self.sign](champion, self.value)


@dataclass(frozen=True)
class Limits:
    """What ends a run; None never does."""

    cycles: int | None = None
    seconds: Seconds | None = None
    usd: float | None = None
    tokens: int | None = None
    until: Until | None = None
    plateau: int | None = None


@dataclass(frozen=True)
class Progress:
    """How far this run is. `reserve` is what the closing claim will take, in seconds.

    `champion` is the champion's number that `until` is about.
    """

    cycles: int = 0
    seconds: float = 0.0
    usd: float = 0.0
    tokens: int = 0
    champion: float | None = None
    since_keep: int = 0
    reserve: float = 0.0


def allowance(limits: Limits, progress: Progress) -> Allowance:
    """What proposers may spend from here on."""
    return Allowance(
        usd=math.inf if limits.usd is None else limits.usd - progress.usd,
        tokens=math.inf if limits.tokens is None else limits.tokens - progress.tokens,
        seconds=math.inf if limits.seconds is None else limits.seconds - progress.seconds - progress.reserve,
    )


def stop_reason(limits: Limits, progress: Progress) -> str | None:
    """Say which limit is reached, or None. The time for the closing claim is part of the time."""
    if limits.until and progress.champion is not None and limits.until.reached(progress.champion):
        goal = limits.until
        return f"{goal.metric} {goal.sign} {goal.value:g} is reached"
    if limits.cycles is not None and progress.cycles >= limits.cycles:
        return "1 cycle is done" if limits.cycles == 1 else f"{limits.cycles} cycles are done"
    if limits.usd is not None and progress.usd >= limits.usd:
        return f"{progress.usd:.2f} USD of {limits.usd:.2f} are spent"
    if limits.tokens is not None and progress.tokens >= limits.tokens:
        return f"{progress.tokens:,} tokens of {limits.tokens:,} are spent"
    if limits.plateau is not None and progress.since_keep >= limits.plateau:
        return f"nothing was kept in {limits.plateau} experiments in a row"
    if limits.seconds is not None:
        reserve = min(progress.reserve, limits.seconds / 2)
        if progress.seconds + reserve >= limits.seconds:
            return f"the time of {limits.seconds:g} s is spent"
    return None
