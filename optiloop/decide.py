"""Measurement + Metric + Policy -> Verdict. Pure.

`decide` is asked after each pair and answers None while another pair is needed; so the verdict of a
logged experiment can be computed again from its line. The rule, its error rate and where it comes from:
docs/decision.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import median

from optiloop.model import (
    Guard,
    Interval,
    Measurement,
    Metric,
    Noise,
    Pair,
    Policy,
    Sample,
    Status,
    Target,
    Verdict,
)
from optiloop.stats import anytime_interval, futility_score, log_evidence

FUTILITY = math.log(0.2)
"""Give up when the evidence for the smallest effect worth having falls to a fifth."""

CLIP_PAIRS = 2
"""Pairs before futility may speak."""


OUT_OF_TIME = "undecided when the run's time was spent"
"""The reason of a discard that says nothing about its candidate: it may be tried again."""


def decide(measurement: Measurement, target: Target) -> Verdict | None:
    """Judge the pairs taken so far, or return None while they do not suffice.

    A keep that breaks a guard is a discard. A deterministic candidate that looks better is asked for
    once more: the answer is None until `measurement.confirmed` holds its second value.
    """
    if unusable := _unusable(measurement.pairs, target.metric):
        return Verdict(Status.CRASH, unusable)
    rule = _RULES[target.metric.noise]
    verdict = rule(measurement, target.metric, target.policy)
    if verdict is None or not verdict.kept:
        return verdict
    broken = next(filter(None, (_broken(guard, measurement.pairs) for guard in target.guards)), None)
    return verdict if broken is None else _discard(broken, verdict)


def gains(pairs: Sequence[Pair], metric: Metric) -> list[float]:
    """Log of how many times better the candidate was, per pair. Needs positive values."""
    sign = metric.direction.sign
    # A difference of logarithms: the ratio itself may be beyond floating point.
    return [
        sign * (math.log(_value(pair.champion, metric)) - math.log(_value(pair.candidate, metric)))
        for pair in pairs
    ]


def smallest_gain(metric: Metric, policy: Policy, scale: float | None) -> float:
    """The smallest log gain that is looked for: worth having, and visible in the noise."""
    return max(math.log1p(metric.min_effect), policy.kappa * (scale or 0.0))


def needs_positive(metric: Metric) -> str:
    """Say what to do when a metric that is compared by its ratio is zero or negative."""
    return f'{metric.name} must be positive to compare it by ratio; else set noise = "deterministic"'


def _value(sample: Sample, metric: Metric) -> float:
    return sample.values[metric.name]


def _unusable(pairs: Sequence[Pair], metric: Metric) -> str:
    values = [_value(sample, metric) for pair in pairs for sample in (pair.champion, pair.candidate)]
    if not all(math.isfinite(value) for value in values):
        return f"{metric.name} is not a finite number"
    if metric.noise is Noise.TIMING and min(values, default=1.0) <= 0:
        return needs_positive(metric)
    return ""


def _timing(measurement: Measurement, metric: Metric, policy: Policy) -> Verdict | None:
    scale = measurement.scale
    if scale is None:
        raise ValueError("a timing metric is decided by its noise scale; measure the baseline first")
    samples = gains(measurement.pairs, metric)
    if not samples:
        return None
    smallest = smallest_gain(metric, policy, scale)
    evidence, middle = log_evidence(samples, scale), median(samples)
    if evidence >= math.log(1 / policy.alpha):
        if middle >= math.log1p(metric.min_effect):
            return _sequential(Status.KEEP, "better", samples, scale, policy)
        return _sequential(
            Status.DISCARD, f"better, but by less than {metric.min_effect:.2%}", samples, scale, policy
        )
    if len(samples) >= CLIP_PAIRS and futility_score(samples, scale, smallest) < FUTILITY:
        return _sequential(Status.DISCARD, "not better", samples, scale, policy)
    if len(samples) >= policy.max_pairs:
        reason = f"undecided; gains under {ratio_of(smallest) - 1:.1%} do not show in this noise"
        return _sequential(Status.DISCARD, reason, samples, scale, policy)
    return None


def _sequential(
    status: Status, reason: str, samples: Sequence[float], scale: float, policy: Policy
) -> Verdict:
    bounds = anytime_interval(samples, scale, policy.alpha)
    interval = Interval(ratio_of(bounds.low), ratio_of(bounds.high))
    effect, evidence = ratio_of(median(samples)), ratio_of(log_evidence(samples, scale))
    return Verdict(
        status,
        f"{reason}: {effect:.4g}x in {len(samples)} pairs, E = {evidence:.3g}",
        effect,
        interval,
        evidence,
    )


def ratio_of(gain: float) -> float:
    """exp, infinite beyond floating point: how many times better a log gain is."""
    return math.exp(gain) if gain < 709 else math.inf


def _deterministic(measurement: Measurement, metric: Metric, policy: Policy) -> Verdict | None:
    if not measurement.pairs:
        return None
    champion = _value(measurement.pairs[-1].champion, metric)
    candidate = _value(measurement.pairs[-1].candidate, metric)
    gain = metric.direction.sign * (champion - candidate)
    effect = _ratio(champion, candidate, metric)
    change = f"{champion!r} -> {candidate!r} {metric.unit}".rstrip()
    if gain <= 0:
        return Verdict(Status.DISCARD, f"{'equal' if gain == 0 else 'worse'}: {change}", effect)
    if gain < metric.min_effect * abs(champion):
        return Verdict(Status.DISCARD, f"better, but by less than {metric.min_effect:.2%}: {change}", effect)
    if measurement.confirmed is None:
        return None
    if measurement.confirmed != candidate:
        values = f"{candidate!r}, then {measurement.confirmed!r}"
        return Verdict(Status.CRASH, f'not deterministic: {values}; set noise = "timing" in [metric]')
    return Verdict(Status.KEEP, f"better: {change}, twice", effect)


def _ratio(champion: float, candidate: float, metric: Metric) -> float | None:
    """How many times better; None where a ratio of the two has no meaning, or no floating point."""
    if champion <= 0 or candidate <= 0:
        return None
    worse, better = (champion, candidate) if metric.direction.sign > 0 else (candidate, champion)
    ratio = worse / better
    return ratio if 0 < ratio < math.inf else None


def _broken(guard: Guard, pairs: Sequence[Pair]) -> str | None:
    champion = median(pair.champion.values[guard.metric] for pair in pairs)
    candidate = median(pair.candidate.values[guard.metric] for pair in pairs)
    said = f"guard {guard.metric}: {champion:.6g} -> {candidate:.6g}"
    # "not within", and not "beyond": a NaN is neither, and no proof.
    # Written so that a factor above 1 is slack for negative values too.
    slack = abs(champion)
    if guard.max_ratio is not None and not candidate <= champion + (guard.max_ratio - 1) * slack:
        return f"{said}, over {guard.max_ratio:g} times the champion's"
    if guard.min_ratio is not None and not candidate >= champion + (guard.min_ratio - 1) * slack:
        return f"{said}, under {guard.min_ratio:g} times the champion's"
    return None


def _discard(reason: str, verdict: Verdict) -> Verdict:
    return Verdict(Status.DISCARD, reason, verdict.effect, verdict.interval, verdict.evidence)


_RULES: dict[Noise, Callable[[Measurement, Metric, Policy], Verdict | None]] = {
    Noise.TIMING: _timing,
    Noise.DETERMINISTIC: _deterministic,
}
