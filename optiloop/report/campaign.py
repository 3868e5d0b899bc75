"""A campaign: all that a report is made from, and the facts that follow from it. Pure."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from optiloop.decide import effect_of, gain_of
from optiloop.model import (
    DEMOTION,
    HOLDOUT,
    REPEATS,
    TAKES_BACK,
    Baseline,
    Claim,
    Compare,
    Cost,
    Experiment,
    Metric,
    Recheck,
    Status,
)


@dataclass(frozen=True)
class Campaign:
    """The history of one target. `diff` turns the baseline into the champion; `alpha` is the policy's.

    `peeks` is how often the hold-out may be asked; None where there is none.
    """

    target: str
    goal: str
    metric: Metric
    experiments: tuple[Experiment, ...]
    baseline: Baseline | None = None
    claim: Claim | None = None
    editable: tuple[str, ...] = ()
    diff: str = ""
    alpha: float = 0.01
    rechecks: Mapping[str, Recheck] = field(default_factory=dict)
    exhausted: str = ""
    """The proposer that has nothing left to try; empty while it may have."""
    peeks: int | None = None

    @property
    def keeps(self) -> tuple[Experiment, ...]:
        return tuple(experiment for experiment in self.experiments if experiment.status is Status.KEEP)

    @property
    def taken_back(self) -> Mapping[str, str]:
        """Which keeps were taken back, by the id of the one that did."""
        return {
            tag.removeprefix(TAKES_BACK): keep.id
            for keep in self.keeps
            for tag in keep.tags
            if tag.startswith(TAKES_BACK)
        }

    @property
    def standing(self) -> tuple[Experiment, ...]:
        """The keeps whose changes are in the champion: neither taken back nor a taking back."""
        gone = self.taken_back
        return tuple(keep for keep in self.keeps if DEMOTION not in keep.tags and keep.id not in gone)

    @property
    def last_keep(self) -> Experiment | None:
        return self.keeps[-1] if self.keeps else None

    @property
    def champion_commit(self) -> str | None:
        """The commit of the last keep, the baseline's before the first; None where neither is known."""
        if self.last_keep is not None:
            return self.last_keep.commit
        return self.baseline.commit if self.baseline else None

    @property
    def fresh_claim(self) -> Claim | None:
        """The claim, if it was measured on the present champion and something was kept."""
        if self.claim is None or self.last_keep is None or self.claim.commit != self.champion_commit:
            return None
        return self.claim

    @property
    def verified(self) -> bool:
        """Whether a fresh measurement's interval excludes "no improvement"."""
        claim = self.fresh_claim
        if claim is None:
            return False
        if claim.interval is not None:
            return claim.interval.low > 1
        return claim.difference_interval is not None and claim.difference_interval.low > 0

    @property
    def asked(self) -> int:
        """How often the hold-out was asked."""
        return sum(any(gate.name == HOLDOUT for gate in e.gates) for e in self.experiments)

    @property
    def sandbox(self) -> str:
        """The levels that contained its commands, in the order of their first use."""
        levels = dict.fromkeys(experiment.sandbox for experiment in self.experiments)
        return ", ".join(level or "not known" for level in levels) or "not used yet"

    @property
    def champion_value(self) -> float | None:
        if self.fresh_claim is not None and not self.fresh_claim.held_out:
            return self.fresh_claim.champion
        if self.last_keep is not None:
            return self.value_of(self.last_keep)
        return self.baseline_value

    @property
    def baseline_value(self) -> float | None:
        return self.baseline.value if self.baseline else None

    @property
    def selection_estimate(self) -> float | None:
        """The keeps' effects together: biased upward, for each was kept because it looked good."""
        effects = [keep.effect for keep in self.keeps if keep.effect is not None]
        if self.metric.compare is Compare.RATIO:
            effects = [effect for effect in effects if effect > 0]
        total = math.fsum(gain_of(effect, self.metric) for effect in effects)
        return effect_of(total, self.metric) if effects else None

    @property
    def tested(self) -> int:
        """How many experiments were measured: each had its chance to be kept by mistake."""
        return sum(
            experiment.measurement is not None and DEMOTION not in experiment.tags
            for experiment in self.experiments
        )

    @property
    def expected_false_keeps(self) -> float:
        """What the keep rule bounds the expected number of wrong keeps by: the sum of the tests' levels."""
        rules = [e.measurement.rule for e in self.experiments if e.measurement and DEMOTION not in e.tags]
        return math.fsum(rule.policy.alpha if rule else self.alpha for rule in rules)

    @property
    def statuses(self) -> Mapping[Status, int]:
        """How many experiments ended in each status, all seven in the model's order."""
        counts = Counter(experiment.status for experiment in self.experiments)
        return {status: counts[status] for status in Status}

    @property
    def duplicates_avoided(self) -> int:
        """How often the log's answer was taken instead of a run, for answers within a cycle too."""
        told = sum(tag.startswith(REPEATS) for experiment in self.experiments for tag in experiment.tags)
        return self.statuses[Status.DUPLICATE] + told

    @property
    def hopeless(self) -> Sequence[Experiment]:
        """Those whose first run was ended early, because its course was hopeless."""
        return [
            one
            for one in self.experiments
            if one.measurement
            and (screen := one.measurement.screen)
            and self.metric.name not in screen.values
        ]

    @property
    def saved_seconds(self) -> float:
        """What ending them saved: a run of the baseline less what each took."""
        whole = self.baseline.seconds if self.baseline else 0.0
        screens = (one.measurement.screen for one in self.hopeless if one.measurement)
        return math.fsum(max(0.0, whole - screen.seconds) for screen in screens if screen)

    @property
    def cost(self) -> Cost:
        return sum((experiment.cost for experiment in self.experiments), Cost())

    @property
    def seconds(self) -> float:
        return math.fsum(experiment.seconds for experiment in self.experiments)

    @property
    def tried(self) -> Mapping[str, tuple[int, int]]:
        """What each proposer tried so far: (experiments, keeps) by its name."""
        origins = dict.fromkeys(e.origin for e in self.experiments if DEMOTION not in e.tags)
        return {
            origin: (
                sum(e.origin == origin for e in self.experiments),
                sum(e.origin == origin and e.status is Status.KEEP for e in self.experiments),
            )
            for origin in origins
        }

    @property
    def shares(self) -> Mapping[str, float]:
        """Each function's share of the champion's time, the largest first, where the benchmark tells.

        By the last measurement; a function's number is `<function>_` and the metric's unit.
        """
        measured = (e for e in reversed(self.experiments) if e.measurement and e.measurement.secondary)
        last = next(measured, None)
        if last is None or last.measurement is None or not self.metric.unit:
            return {}
        kept, end = last.status is Status.KEEP, f"_{self.metric.unit}"
        times = {
            name.removesuffix(end): values[kept]
            for name, values in last.measurement.secondary.items()
            if name.endswith(end) and name not in (self.metric.name, f"import{end}")
        }
        total = math.fsum(times.values())
        ordered = sorted(times, key=lambda name: -times[name])
        return {name: times[name] / total for name in ordered} if total > 0 else {}

    def value_of(self, experiment: Experiment) -> float | None:
        """The median of the metric over the candidate's samples; None where it was not measured."""
        return self.secondary_of(experiment, self.metric.name)

    def secondary_of(self, experiment: Experiment, name: str) -> float | None:
        """The candidate's median of any number the metric's command gave; None where it gave none."""
        if experiment.measurement is None:
            return None
        values = [pair.candidate.values.get(name) for pair in experiment.measurement.pairs]
        known = [value for value in values if value is not None]
        if known:
            return statistics.median(known)
        screen = experiment.measurement.screen
        if screen is not None and name in screen.values:
            return screen.values[name]
        medians = experiment.measurement.secondary.get(name)
        return medians[1] if medians else None
