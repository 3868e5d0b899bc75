"""One line of the log as evidence: what was tried, how clearly it helped, and what it changed. Pure.

Of a line only what is needed is decoded: a log of 100,000 is read in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import sub, truediv
from typing import Any

from msgspec import Struct, convert
from msgspec.json import Decoder

from optiloop.decide import NEAR_MISSES
from optiloop.memory.entities import aliases_of
from optiloop.memory.facts import Facts, of_text, outline_of
from optiloop.memory.history import RAN, UNANSWERED
from optiloop.model import DEMOTION, TAKES_BACK, Compare, Experiment, Measurement, Status
from optiloop.untrusted import plain_line

OPEN = (*NEAR_MISSES, "equal", "declined", "the champion's own level moved")
"""How the reasons of discards begin that say nothing against the change."""


class _Sample(Struct):
    values: dict[str, float]


class _Pair(Struct):
    champion: _Sample
    candidate: _Sample


class _Rule(Struct):
    compare: str


class _Measured(Struct):
    pairs: list[_Pair]
    rule: _Rule | None = None


class _Interval(Struct):
    low: float | None
    high: float | None


class Line(Struct):
    """What a run is read from: of a log line's JSON the keys that are evidence, and nothing of the rest."""

    v: int
    id: str
    time: str
    status: Status
    reason: str
    effect: float | None
    interval: _Interval | None
    origin: str
    family: str
    hypothesis: str
    tags: list[str]
    diff: str
    measurement: _Measured | None
    previous: str


line_of = Decoder(Line).decode
"""A log line's bytes as a Line. Raises ValueError where they are none."""


def line_in(found: Mapping[str, Any]) -> Line:
    """The same of JSON that was read already."""
    return convert(found, Line)


Z95 = 1.96
"""Half the width of a 95 % interval in standard errors."""


@dataclass(frozen=True)
class Run:
    """One experiment, its `seq`-th in the log.

    `verdict` is +1 of a keep, 0 where nothing was decided, -1 of what was worse or failed, and None of what
    is no evidence: a duplicate, an unmade proposal, a take-back. `gain` is larger the better: the logarithm
    of the effect, or the effect where values are compared by difference; `error` is its standard error.
    `champion` and `value` are the metric of both sides. `taken` holds the ids of the keeps that it took back.
    `facts` are without features.
    """

    seq: int
    id: str
    time: str
    status: Status
    verdict: int | None
    effect: float | None
    gain: float | None
    error: float | None
    by_ratio: bool
    champion: float | None
    value: float | None
    family: str
    origin: str
    hypothesis: str
    reason: str
    taken: tuple[str, ...]
    facts: Facts

    @property
    def kept(self) -> bool:
        return self.status is Status.KEEP

    @property
    def gist(self) -> str:
        """What it tried in few words: its settings, else its family, else the beginning of its words."""
        if self.facts.knobs:
            return ", ".join(f"{knob.name} {knob.before} -> {knob.after}" for knob in self.facts.knobs[:3])
        return self.family or self.hypothesis[:80]


def read_run(line: Line, seq: int) -> Run:
    """The `seq`-th line of a log as evidence."""
    tags, measured = line.tags, line.measurement
    old, new = _levels(measured)
    ratio = measured is None or measured.rule is None or measured.rule.compare == Compare.RATIO
    hypothesis = plain_line(line.hypothesis)
    return Run(
        seq=seq,
        id=line.id,
        time=line.time,
        status=line.status,
        verdict=None if DEMOTION in tags else verdict_of(line.status, line.reason),
        effect=line.effect,
        gain=_gain(line.effect, ratio),
        error=_error(old, new, line.interval, ratio),
        by_ratio=ratio,
        champion=_middle(old) if old else None,
        value=_middle(new) if new else None,
        family=line.family,
        origin=line.origin,
        hypothesis=hypothesis,
        reason=plain_line(line.reason, 200),
        taken=tuple([tag.removeprefix(TAKES_BACK) for tag in tags if tag.startswith(TAKES_BACK)]),
        facts=_outline(line.diff, hypothesis, tags),
    )


def run_of(experiment: Experiment, seq: int) -> Run:
    """The same of an experiment that was read already."""
    measured, tags = experiment.measurement, experiment.tags
    old, new = _levels(measured)
    ratio = measured is None or measured.rule is None or measured.rule.compare is Compare.RATIO
    ends = experiment.interval
    finite = ends is not None and math.isfinite(ends.low) and math.isfinite(ends.high)
    hypothesis = plain_line(experiment.hypothesis)
    return Run(
        seq=seq,
        id=experiment.id,
        time=experiment.time,
        status=experiment.status,
        verdict=None if DEMOTION in tags else verdict_of(experiment.status, experiment.reason),
        effect=experiment.effect,
        gain=_gain(experiment.effect, ratio),
        error=_error(old, new, _Interval(ends.low, ends.high) if ends and finite else None, ratio),
        by_ratio=ratio,
        champion=_middle(old) if old else None,
        value=_middle(new) if new else None,
        family=experiment.family,
        origin=experiment.origin,
        hypothesis=hypothesis,
        reason=plain_line(experiment.reason, 200),
        taken=tuple(tag.removeprefix(TAKES_BACK) for tag in tags if tag.startswith(TAKES_BACK)),
        facts=_outline(experiment.diff, hypothesis, tags),
    )


def _outline(diff: str, hypothesis: str, tags: Sequence[str]) -> Facts:
    aliases = aliases_of(tags)
    return outline_of(diff, aliases) if diff else of_text(hypothesis, aliases)


def verdict_of(status: Status, reason: str) -> int | None:
    """What an experiment says of its change; see Run."""
    if status not in RAN:
        return None
    if status is Status.KEEP:
        return 1
    return 0 if reason in UNANSWERED or (status is Status.DISCARD and reason.startswith(OPEN)) else -1


def _gain(effect: float | None, ratio: bool) -> float | None:
    if effect is None or not ratio:
        return effect
    return math.log(effect) if effect > 0 else None


def _levels(measured: _Measured | Measurement | None) -> tuple[list[float], list[float]]:
    """The metric of the champion and of the candidate in each pair: the first of a sample's values."""
    pairs = measured.pairs if measured else ()
    name = next(iter(pairs[0].champion.values), "") if pairs else ""
    whole = [pair for pair in pairs if name in pair.champion.values and name in pair.candidate.values]
    return [pair.champion.values[name] for pair in whole], [pair.candidate.values[name] for pair in whole]


def _middle(values: Sequence[float]) -> float:
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _error(
    old: Sequence[float], new: Sequence[float], interval: _Interval | None, ratio: bool
) -> float | None:
    """The gain's standard error: from two pairs or more, else from the interval; None where nothing tells."""
    if len(old) > 1 and (not ratio or min(min(old), min(new)) > 0):
        gains = list(map(math.log, map(truediv, old, new)) if ratio else map(sub, old, new))
        size, mean = len(gains), sum(gains) / len(gains)
        return math.dist(gains, [mean] * size) / math.sqrt((size - 1) * size)
    low, high = (interval.low, interval.high) if interval else (None, None)
    if low is None or high is None or (ratio and low <= 0):
        return None
    return (math.log(high / low) if ratio else high - low) / 2 / Z95
