"""What the next candidate is measured against: noise, a costly champion's level, the level of the test. Pure.

Learnt from the baseline and from every experiment since; a cache of the log, like History.
"""

from __future__ import annotations

import math
from collections import deque

from optiloop.decide import changes, first_level, gains, learn_level, of_sample
from optiloop.model import (
    DEMOTION,
    Baseline,
    Experiment,
    Level,
    Measurement,
    Metric,
    Noise,
    Policy,
    Status,
)
from optiloop.stats import robust_scale, session_level, successive_nulls

NULLS_KEPT = 200
"""How many of the latest noise samples set a scale."""

FALSE_SHARE = 0.1
"""Expected share of false keeps that a strict campaign allows."""


class Yardstick:
    """The noise of one campaign's metric and guards, as far as its log has shown it."""

    def __init__(self, metric: Metric, baseline: Baseline | None = None) -> None:
        self._metric = metric
        self._nulls = deque(baseline.nulls if baseline else (), maxlen=NULLS_KEPT)
        self._guards = {
            name: deque(nulls, maxlen=NULLS_KEPT)
            for name, nulls in (baseline.guard_nulls if baseline else {}).items()
        }
        self._level = _baseline_level(metric, baseline)
        self._tests = 0
        self._kept: list[int] = []

    @property
    def scale(self) -> float | None:
        """Noise of one pair's gain; None for a deterministic metric or before anything was measured."""
        if self._metric.noise is Noise.COSTLY:
            return None if self._level is None else math.sqrt(2) * self._level.sd
        if self._metric.noise is Noise.DETERMINISTIC or not self._nulls:
            return None
        return robust_scale(self._nulls)

    @property
    def scales(self) -> dict[str, float]:
        """The same for each guarded number that has been seen to vary or not to."""
        return {name: robust_scale(nulls) for name, nulls in self._guards.items() if nulls}

    @property
    def level(self) -> Level | None:
        """A costly champion's level; None for other metrics."""
        return self._level

    def alpha(self, policy: Policy, under_way: int = 0) -> float:
        """The probability of a false keep that the next test may have, after those that are under way."""
        if not policy.strict:
            return policy.alpha
        return min(policy.alpha, session_level(self._tests + under_way + 1, self._kept, FALSE_SHARE))

    def learn(self, experiment: Experiment, measurement: Measurement, *, earlier: bool = False) -> None:
        """Take in a measured experiment that touched nothing it must not.

        `earlier`: beside an earlier champion, whose level is not this one's.
        """
        if DEMOTION not in experiment.tags:
            self._tests += 1
            if experiment.status is Status.KEEP:
                self._kept.append(self._tests)
        if self._level is not None and not earlier:
            self._level = self._learnt_level(self._level, experiment, measurement)
        if experiment.status not in (Status.KEEP, Status.DISCARD):
            return
        if self._metric.noise is Noise.TIMING:
            self._nulls.extend(successive_nulls(gains(measurement.pairs, self._metric)))
        for name, nulls in self._guards.items():
            sides = [
                (pair.champion.values[name], pair.candidate.values[name])
                for pair in measurement.pairs
                if name in pair.champion.values and name in pair.candidate.values
            ]
            nulls.extend(successive_nulls(changes(sides)))

    def _learnt_level(self, level: Level, experiment: Experiment, measurement: Measurement) -> Level:
        metric = self._metric
        held = [of_sample(pair.champion, metric) for pair in measurement.pairs]
        mine = [of_sample(pair.candidate, metric) for pair in measurement.pairs]
        if experiment.status is Status.KEEP and mine:
            # Its first run is not part of its level: it was selected for looking good.
            learnt = learn_level(level, held, mine)
            last = measurement.pairs[-1].candidate.curve
            return Level(math.fsum(mine) / len(mine), learnt.sd, len(mine), learnt.freedom, last)
        if held and "level moved" in experiment.reason:
            return Level(math.fsum(held) / len(held), level.sd, len(held), level.freedom, level.curve)
        return learn_level(level, held, mine) if held else level


def _baseline_level(metric: Metric, baseline: Baseline | None) -> Level | None:
    if metric.noise is not Noise.COSTLY or baseline is None or len(baseline.samples) < 2:
        return None
    return first_level([of_sample(sample, metric) for sample in baseline.samples], baseline.samples[-1].curve)
