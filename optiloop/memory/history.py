"""What the log says, as it is read: counts, champion, noise, and answers for proposers. Pure.

A History takes experiments one by one and keeps a small Lesson of each, so that a cycle costs the same
with ten experiments behind it as with ten thousand. It is a cache: reading the log again gives it again.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping
from statistics import median

from optiloop.decide import OUT_OF_TIME, gains
from optiloop.model import (
    Experiment,
    Lesson,
    Measurement,
    Metric,
    Noise,
    Recall,
    Spent,
    Status,
)
from optiloop.stats import robust_scale, successive_nulls

NULLS_KEPT = 200
"""How many of the latest noise samples set the scale."""

RAN = frozenset({Status.KEEP, Status.DISCARD, Status.GATE_FAILED, Status.CRASH, Status.VIOLATION})
"""Statuses whose experiment was run: their program's answer is known."""


class History:
    """The experiments of one campaign so far. `nulls` are the baseline's: log ratios of equal code."""

    def __init__(self, metric: Metric, nulls: Iterable[float] = ()) -> None:
        self._metric = metric
        self._nulls = deque(nulls, maxlen=NULLS_KEPT)
        self._lessons: list[Lesson] = []
        self._by_result: dict[str, int] = {}
        self._by_change: dict[str, int] = {}
        self._by_tag: dict[str, int] = {}
        self._spent: defaultdict[tuple[str, str | None], Spent] = defaultdict(Spent)
        self.statuses: Counter[Status] = Counter()
        self.head: str | None = None
        """The commit of the last keep; None before the first."""
        self.champion: float | None = None
        """The champion's metric at its latest measurement; None before the first."""
        self.kept: float | None = None
        """The metric of the last keep when it was kept; None before the first."""
        self.profile: Mapping[str, float] = {}
        """The champion's secondary metrics at its latest measurement."""
        self.barren = 0
        """How many of the latest experiments in a row were `no_proposal`."""
        self.since_keep = 0
        """How many experiments ran since the last keep."""

    def __len__(self) -> int:
        return len(self._lessons)

    @property
    def last_id(self) -> str:
        """The newest experiment's id; empty before the first."""
        return self._lessons[-1].id if self._lessons else ""

    @property
    def scale(self) -> float | None:
        """Noise of one log ratio; None for a deterministic metric or before anything was measured."""
        if self._metric.noise is Noise.DETERMINISTIC or not self._nulls:
            return None
        return robust_scale(self._nulls)

    def add(self, experiment: Experiment) -> None:
        """Take in the next experiment of the log."""
        index = len(self._lessons)
        self._lessons.append(_lesson(experiment, self._metric.name, self.champion))
        for key, table in ((experiment.result, self._by_result), (experiment.change, self._by_change)):
            if key is not None and experiment.status in RAN and experiment.reason != OUT_OF_TIME:
                table[key] = index
        for tag in experiment.tags:
            self._by_tag[tag] = index
        self.statuses[experiment.status] += 1
        self.barren = self.barren + 1 if experiment.status is Status.NO_PROPOSAL else 0
        self.since_keep = 0 if experiment.status is Status.KEEP else self.since_keep + 1
        self._count(experiment)
        if experiment.measurement is not None and experiment.status is not Status.VIOLATION:
            self._learn(experiment, experiment.measurement)
        if experiment.status is Status.KEEP:
            self.head = experiment.commit

    def _count(self, experiment: Experiment) -> None:
        kept = experiment.status is Status.KEEP
        gain = math.log(experiment.effect) if kept and experiment.effect and experiment.effect > 0 else 0.0
        for key in ((experiment.origin, None), (experiment.origin, experiment.family)):
            old = self._spent[key]
            self._spent[key] = Spent(
                old.experiments + 1, old.kept + kept, old.gain + gain, old.seconds + experiment.seconds
            )

    def _learn(self, experiment: Experiment, measurement: Measurement) -> None:
        """Take the noise, the champion's level and its profile from what was measured anyway.

        Not of a violation: what it touched may have been the champion.
        """
        if not measurement.pairs:
            return
        kept = experiment.status is Status.KEEP
        name = self._metric.name
        self.champion = median(
            (pair.candidate if kept else pair.champion).values[name] for pair in measurement.pairs
        )
        if kept:
            self.kept = self.champion
        self.profile = {key: values[kept] for key, values in measurement.secondary.items()}
        if self._metric.noise is Noise.TIMING and experiment.status in (Status.KEEP, Status.DISCARD):
            self._nulls.extend(successive_nulls(gains(measurement.pairs, self._metric)))

    # --- Recall -----------------------------------------------------------------------------------

    def result(self, fingerprint: str) -> Lesson | None:
        """See model.Recall."""
        return self._at(self._by_result.get(fingerprint))

    def change(self, fingerprint: str) -> Lesson | None:
        """See model.Recall."""
        return self._at(self._by_change.get(fingerprint))

    def tagged(self, tag: str) -> Lesson | None:
        """See model.Recall."""
        return self._at(self._by_tag.get(tag))

    def spent(self, origin: str, family: str | None = None) -> Spent:
        """See model.Recall."""
        return self._spent.get((origin, family), Spent())

    def latest(self, count: int) -> tuple[Lesson, ...]:
        """See model.Recall."""
        return tuple(self._lessons[-count:]) if count > 0 else ()

    def _at(self, index: int | None) -> Lesson | None:
        return None if index is None else self._lessons[index]


def _lesson(experiment: Experiment, metric: str, champion: float | None) -> Lesson:
    measured = experiment.measurement
    if measured is not None and measured.pairs:
        champion = median(pair.champion.values[metric] for pair in measured.pairs)
    return Lesson(
        id=experiment.id,
        status=experiment.status,
        origin=experiment.origin,
        family=experiment.family,
        hypothesis=experiment.hypothesis,
        reason=experiment.reason,
        result=experiment.result,
        change=experiment.change,
        tags=experiment.tags,
        parent=experiment.parent,
        champion=champion,
        effect=experiment.effect,
        seconds=experiment.seconds,
        cost=experiment.cost,
    )


def as_recall(history: History) -> Recall:
    """A History seen as what proposers may ask (and mypy's proof that it answers all of it)."""
    return history
