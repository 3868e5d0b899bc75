"""Where each experiment stands in the picture: geometry only, the template draws it. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from optiloop.model import Experiment, Status
from optiloop.report.campaign import Campaign
from optiloop.report.words import number, one_line, shortened

WIDTH, HEIGHT = 960, 380
LEFT, RIGHT, TOP, BOTTOM = 78, 30, 16, 318
RAIL = 342
"""The height at which experiments without a number stand, below the plot."""
MOST_DOTS = 2000
CROWD = 300
LOG_FROM = 4.0
"""Values that span more than this factor are drawn on a log scale."""


@dataclass(frozen=True)
class Dot:
    x: float
    y: float
    status: Status
    title: str


@dataclass(frozen=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True)
class Chart:
    """A picture of `WIDTH` by `HEIGHT`; `line` is the champion's course as SVG points."""

    dots: tuple[Dot, ...]
    line: str
    rows: tuple[Tick, ...]
    columns: tuple[Tick, ...]
    log: bool
    left_out: int

    @property
    def crowded(self) -> bool:
        """Whether the dots must be small to be told apart."""
        return len(self.dots) > CROWD


@dataclass(frozen=True)
class Scale:
    """Maps a value to a height; values beyond the ends stand on the edge."""

    low: float
    high: float
    log: bool

    def height(self, value: float) -> float:
        share = (self._at(value) - self._at(self.low)) / (self._at(self.high) - self._at(self.low))
        return round(BOTTOM - min(max(share, 0.0), 1.0) * (BOTTOM - TOP), 1)

    def _at(self, value: float) -> float:
        return math.log(max(value, self.low)) if self.log else value


def chart(campaign: Campaign) -> Chart | None:
    """Place the campaign's experiments and its champion's course; None where there is nothing to draw."""
    values = [_bounded(campaign.value_of(experiment)) for experiment in campaign.experiments]
    course = _course(campaign, values)
    measured = [value for value in values if value is not None] + [value for _, value in course]
    if not campaign.experiments or not measured:
        return None
    scale = _scale(measured, [value for _, value in course])
    shown = _thinned(campaign.experiments)
    return Chart(
        dots=tuple(_dot(campaign, index, values[index], scale) for index in shown),
        line=_line(course, scale, len(values)),
        rows=tuple(Tick(scale.height(value), label) for value, label in _labelled(_ticks(scale))),
        columns=tuple(Tick(_x(at, len(values)), f"{at:,}") for at in _column_marks(len(values))),
        log=scale.log,
        left_out=len(values) - len(shown),
    )


def _bounded(value: float | None) -> float | None:
    """The value, within what can be added and scaled without overflow."""
    return None if value is None else min(max(value, -1e300), 1e300)


def _course(campaign: Campaign, values: Sequence[float | None]) -> list[tuple[int, float]]:
    """The champion's value from each experiment on; 0 is the baseline."""
    baseline = _bounded(campaign.baseline_value)
    course = [(0, baseline)] if baseline is not None else []
    for index, (experiment, value) in enumerate(zip(campaign.experiments, values, strict=True), 1):
        if experiment.status is Status.KEEP and value is not None:
            course.append((index, value))
    return course


def _scale(measured: Sequence[float], course: Sequence[float]) -> Scale:
    """Cover the champion's course and the middle nine tenths of the rest: no wild miss flattens it."""
    cuts = statistics.quantiles(measured, n=20, method="inclusive") if len(measured) > 1 else measured
    low, high = min(cuts[0], *course, cuts[-1]), max(cuts[-1], *course, cuts[0])
    if low > 0 and high / low > LOG_FROM:
        return Scale(low / 1.1, high * 1.1, log=True)
    margin = (high - low) * 0.06 or abs(high) * 0.05 or 1.0
    return Scale(low - margin, high + margin, log=False)


def _thinned(experiments: Sequence[Experiment]) -> list[int]:
    """All keeps (or `MOST_DOTS` / 2 of them) and an even share of the rest, at most `MOST_DOTS` in all."""
    keeps = [index for index, experiment in enumerate(experiments) if experiment.status is Status.KEEP]
    others = [index for index, experiment in enumerate(experiments) if experiment.status is not Status.KEEP]
    keeps = _every(keeps, MOST_DOTS // 2)
    # Keeps last, so that they are drawn on top.
    return _every(others, MOST_DOTS - len(keeps)) + keeps


def _every(indices: list[int], most: int) -> list[int]:
    if len(indices) <= most:
        return indices
    return [indices[position * len(indices) // most] for position in range(most)]


def _dot(campaign: Campaign, index: int, value: float | None, scale: Scale) -> Dot:
    experiment = campaign.experiments[index]
    height = RAIL if value is None else scale.height(value)
    words = [f"{index + 1} {experiment.status}", shortened(one_line(experiment.hypothesis), 80)]
    if value is not None:
        words.insert(1, number(value))
    return Dot(_x(index + 1, len(campaign.experiments)), height, experiment.status, ": ".join(words))


def _x(index: int, experiments: int) -> float:
    return round(LEFT + index / max(experiments, 1) * (WIDTH - LEFT - RIGHT), 1)


def _line(course: Sequence[tuple[int, float]], scale: Scale, experiments: int) -> str:
    points: list[tuple[float, float]] = []
    for index, value in course:
        x, y = _x(index, experiments), scale.height(value)
        points += [(x, points[-1][1]), (x, y)] if points else [(x, y)]
    if points:
        points.append((_x(experiments, experiments), points[-1][1]))
    return " ".join(f"{x:g},{y:g}" for x, y in points)


def _ticks(scale: Scale) -> list[float]:
    return _log_ticks(scale) if scale.log else _even_ticks(scale)


def _labelled(ticks: list[float]) -> list[tuple[float, str]]:
    """Each tick with its label: five digits, or as many as tell the ticks apart."""
    labels = [number(value) for value in ticks]
    if len(set(labels)) < len(labels):
        decimals = max(0, math.ceil(-math.log10(ticks[1] - ticks[0])))
        labels = [f"{value:,.{decimals}f}" for value in ticks]
    return list(zip(ticks, labels, strict=True))


def _even_ticks(scale: Scale) -> list[float]:
    step = _even_step((scale.high - scale.low) / 5)
    first, last = math.ceil(scale.low / step), math.floor(scale.high / step)
    return [at * step for at in range(first, last + 1)]


def _log_ticks(scale: Scale) -> list[float]:
    exponents = range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)) + 1)
    steps = (1, 2, 5) if len(exponents) <= 4 else (1,)
    marks = [step * 10.0**exponent for exponent in exponents for step in steps]
    marks = [mark for mark in marks if scale.low <= mark <= scale.high]
    return marks[:: max(1, math.ceil(len(marks) / 8))]


def _column_marks(experiments: int) -> list[int]:
    step = max(1, int(_even_step(experiments / 6)))
    return list(range(0, experiments + 1, step))


def _even_step(rough: float) -> float:
    """The smallest of 1, 2, 5 and their tens that is not below."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough)
