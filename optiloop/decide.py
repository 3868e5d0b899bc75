"""Measurement + Metric + Rule -> Verdict. Pure.

`decide` is asked after each sample and answers None while another is needed; so the verdict of a logged
experiment can be computed again from its line. The rules, their error rates and sources: docs/decision.md.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from statistics import fmean, median, median_high, median_low

from optiloop.model import (
    Compare,
    Guard,
    Interval,
    Level,
    Measurement,
    Metric,
    Noise,
    Pair,
    Policy,
    Rule,
    Sample,
    Status,
    Target,
    Verdict,
)
from optiloop.stats import (
    BET_CAP,
    anytime_interval,
    futility_score,
    log_evidence,
    robust_scale,
    successive_nulls,
    t_quantile,
    t_tail,
)

FUTILITY = math.log(0.2)
"""Give up when the evidence for the smallest effect worth having falls to a fifth."""

CLIP_PAIRS = 2
"""Pairs before futility may speak."""

GUARD_PROOF = math.log(20)
"""Evidence at which a guard is taken as broken, or as held."""

RECHECK_PROOF = math.log(20)
"""Likelihood ratio at which a second measurement of a keep holds, or does not."""

SCREEN = 1.0
"""Standard errors by which a costly candidate's one run must look better before it is run again."""

CONFIRM_PAIRS = 3
"""Pairs of runs that a costly contender gets."""

LEVEL_MOVED = 0.0005
"""Probability under which a costly champion's own run says that its remembered level no longer holds."""

MARGIN_SEEN = 0.7
"""The smallest margin of a simpler candidate that is looked for, in units of the smallest gain that is."""

SIMPLER = "simpler"
"""How the reason of a keep begins that was kept for being simpler."""

AUDIT_PAIRS = {Noise.TIMING: 4, Noise.DETERMINISTIC: 2, Noise.COSTLY: 2}
"""Pairs of a second look, half of them on the one half of the machine's cores and half on the other."""

AUDIT_SHARE = 0.5
"""The share of a jump, as a logarithm, that a second look must show again: of 100 times, 10."""

NEAR_MISSES = ("undecided", "better, but by less")
"""How the reasons of discards begin that noise or `min_effect` kept from being more."""

OUT_OF_TIME = "undecided when the run's time was spent"
"""The reason of a discard that says nothing about its candidate: it may be tried again."""


def decide(measurement: Measurement, target: Target) -> Verdict | None:
    """Judge the samples taken so far, or return None while they do not suffice.

    A keep that breaks a guard is a discard; where noise hides whether it does, more pairs are asked for.
    A deterministic candidate that looks better is asked for once more: the answer is None until
    `measurement.confirmed` holds its second value. A jump beyond the policy's `audit` is looked at again: the
    answer is None until `measurement.audit` holds its pairs (`startling` says so).
    """
    verdict = _decided(measurement, target)
    if verdict is None or not verdict.kept:
        return verdict
    return _audited(verdict, measurement, target)


def startling(measurement: Measurement, target: Target) -> bool:
    """Whether all that is missing for a verdict is a second look at a jump."""
    verdict = _decided(measurement, target)
    return verdict is not None and verdict.kept and _audited(verdict, measurement, target) is None


def _audited(verdict: Verdict, measurement: Measurement, target: Target) -> Verdict | None:
    """A keep, unless it is a jump that fresh pairs do not show again; None where they are missing."""
    metric, rule = target.metric, measurement.rule or rule_of(target)
    claimed, again = _jump(measurement.pairs, metric), _jump(measurement.audit, metric)
    if claimed is None or claimed < rule.policy.audit:
        return verdict
    if len(measurement.audit) < AUDIT_PAIRS[rule.noise]:
        return None
    found = "no number that compares" if again is None else f"{again:.4g}x"
    said = f"{found} in {len(measurement.audit)} pairs on other inputs and cores"
    if again is not None and math.log(again) >= AUDIT_SHARE * math.log(claimed):
        return replace(verdict, reason=f"{verdict.reason}; audited: {said}")
    return Verdict(Status.DISCARD, f"audit: {claimed:.4g}x at first, {said}", again)


def _jump(pairs: Sequence[Pair], metric: Metric) -> float | None:
    """How many times better by the medians; None where a ratio of them has no meaning."""
    if not pairs:
        return None
    champion, candidate = (
        _middle([side.values[metric.name] for side in sides])
        for sides in ([pair.champion for pair in pairs], [pair.candidate for pair in pairs])
    )
    return _ratio(champion, candidate, metric)


def _middle(values: Sequence[float]) -> float:
    """The median; the sum of two in the middle may be beyond floating point."""
    low, high = median_low(values), median_high(values)
    return low + (high - low) / 2


def _decided(measurement: Measurement, target: Target) -> Verdict | None:
    """The verdict of the samples, before a second look."""
    metric, rule = target.metric, measurement.rule or rule_of(target)
    if unusable := _unusable(measurement, metric):
        return Verdict(Status.CRASH, unusable)
    verdict = _RULES[rule.noise](measurement, metric, rule)
    if verdict is None or not verdict.kept:
        return verdict
    undecided = False
    for guard in target.guards:
        broken = _broken(guard, measurement, most=_most_pairs(rule))
        if broken:
            return replace(verdict, status=Status.DISCARD, reason=broken)
        undecided = undecided or broken is None
    return None if undecided else verdict


def rule_of(target: Target, alpha: float | None = None) -> Rule:
    """The rule that a target states; `alpha` is the level of this test where a session's differ."""
    policy = target.policy if alpha is None else replace(target.policy, alpha=alpha)
    return Rule(target.metric.noise, target.metric.min_effect, target.metric.compare, policy)


def recheck(measurement: Measurement, target: Target, *, margin: float = 0.0) -> Verdict | None:
    """Judge fresh pairs of a kept change against what it replaced: KEEP where it holds, else DISCARD.

    A likelihood ratio of the smallest gain looked for against none, both errors 5 %. `margin` is what a
    change that was kept for being simpler may cost. None while more pairs are needed.
    """
    metric, rule = target.metric, measurement.rule or rule_of(target)
    if not measurement.pairs:
        return None
    if rule.noise is Noise.DETERMINISTIC:
        return _exactly_rechecked(measurement.pairs[0], margin, metric)
    samples = gains(measurement.pairs, metric)
    if measurement.scale is None:
        raise ValueError("a keep is measured again by its noise scale; measure the baseline first")
    allowed = _log_share(margin, metric)
    smallest = allowed or smallest_gain(metric, rule.policy, measurement.scale)
    score = futility_score([gain + allowed for gain in samples], measurement.scale, smallest)
    if len(samples) >= _most_pairs(rule) or (len(samples) >= CLIP_PAIRS and abs(score) >= RECHECK_PROOF):
        status = Status.KEEP if score > 0 else Status.DISCARD
        said = "holds" if score > 0 else "not shown to be better when measured again"
        return _sequential(status, said, samples, measurement.scale, metric, rule)
    return None


def _exactly_rechecked(pair: Pair, margin: float, metric: Metric) -> Verdict:
    old, kept = pair.champion.values[metric.name], pair.candidate.values[metric.name]
    gain = metric.direction.sign * (old - kept)
    unit = 1.0 if metric.compare is Compare.DIFFERENCE else abs(old)
    holds = gain >= -margin * unit if margin else gain > 0
    effect = gain if metric.compare is Compare.DIFFERENCE else _ratio(old, kept, metric)
    return Verdict(Status.KEEP if holds else Status.DISCARD, f"{old!r} -> {kept!r}", effect)


def taken_back(measurement: Measurement, target: Target) -> Verdict:
    """The verdict of a keep that takes an earlier one back, which its pairs do not show to be better.

    The pairs are of the champion with that change, against the candidate without it.
    """
    metric, rule = target.metric, measurement.rule or rule_of(target)
    reason = "takes back what is not shown to be better when measured again"
    if rule.noise is Noise.DETERMINISTIC or measurement.scale is None:
        pair = measurement.pairs[0]
        verdict = _exactly_rechecked(pair, 0.0, metric)
        return Verdict(Status.KEEP, f"{reason}: {verdict.reason}", verdict.effect)
    samples = gains(measurement.pairs, metric)
    return _sequential(Status.KEEP, reason, samples, measurement.scale, metric, rule)


# --- gains and effects -----------------------------------------------------------------------------------


def gains(pairs: Sequence[Pair], metric: Metric) -> list[float]:
    """How much better the candidate was, per pair: a log ratio (of positive values), or a difference."""
    return [
        metric.direction.sign * (of_sample(pair.champion, metric) - of_sample(pair.candidate, metric))
        for pair in pairs
    ]


def of_sample(sample: Sample, metric: Metric) -> float:
    """A sample's value on the scale on which gains are differences: its logarithm, or itself."""
    value = sample.values[metric.name]
    # A difference of logarithms: the ratio itself may be beyond floating point.
    return math.log(value) if metric.compare is Compare.RATIO else value


def effect_of(gain: float, metric: Metric) -> float:
    """A gain as people read it: how many times better, or by how much in the metric's unit."""
    return ratio_of(gain) if metric.compare is Compare.RATIO else gain


def gain_of(effect: float, metric: Metric) -> float:
    """The gain that an effect stands for; 0 where it stands for none."""
    if metric.compare is Compare.DIFFERENCE:
        return effect
    return math.log(effect) if effect > 0 else 0.0


def ratio_of(gain: float) -> float:
    """exp, infinite beyond floating point: how many times better a log gain is."""
    return math.exp(gain) if gain < 709 else math.inf


def smallest_gain(metric: Metric, policy: Policy, scale: float | None) -> float:
    """The smallest gain that is looked for: worth having, and visible in the noise."""
    return max(_log_share(metric.min_effect, metric), policy.kappa * (scale or 0.0))


def needs_positive(metric: Metric) -> str:
    """Say what to do when a metric that is compared by its ratio is zero or negative."""
    return f'{metric.name} must be positive to compare it by ratio; else set compare = "difference"'


def _log_share(share: float, metric: Metric) -> float:
    """A smallest effect as a gain."""
    return math.log1p(share) if metric.compare is Compare.RATIO else share


def _said(gain: float, metric: Metric) -> str:
    if metric.compare is Compare.RATIO:
        return f"{ratio_of(gain):.4g}x"
    return f"{gain:+.4g} {metric.unit}".rstrip()


def _unusable(measurement: Measurement, metric: Metric) -> str:
    samples = [side for pair in measurement.pairs for side in (pair.champion, pair.candidate)]
    if measurement.screen is not None and metric.name in measurement.screen.values:
        samples.append(measurement.screen)
    values = [sample.values[metric.name] for sample in samples]
    if not all(math.isfinite(value) for value in values):
        return f"{metric.name} is not a finite number"
    by_ratio = metric.noise is not Noise.DETERMINISTIC and metric.compare is Compare.RATIO
    return needs_positive(metric) if by_ratio and min(values, default=1.0) <= 0 else ""


# --- timing ----------------------------------------------------------------------------------------------


def _timing(measurement: Measurement, metric: Metric, rule: Rule) -> Verdict | None:
    scale, policy = measurement.scale, rule.policy
    if scale is None:
        raise ValueError("a timing metric is decided by its noise scale; measure the baseline first")
    samples = gains(measurement.pairs, metric)
    if not samples:
        return None
    worth, margin = (_log_share(share, metric) for share in (rule.min_effect, policy.margin))
    simpler = _simpler(measurement, rule)
    if _shown(samples, scale, policy.alpha):
        if median(samples) >= worth:
            return _sequential(Status.KEEP, "better", samples, scale, metric, rule)
        if not simpler:
            said = f"better, but by less than {_share_said(rule.min_effect, metric)}"
            return _sequential(Status.DISCARD, said, samples, scale, metric, rule)
    if simpler and _shown([gain + margin for gain in samples], scale, policy.alpha):
        said = f"{simpler}, and not worse by {_share_said(policy.margin, metric)}"
        return _sequential(Status.KEEP, said, samples, scale, metric, rule)
    smallest = smallest_gain(metric, policy, scale)
    # A margin far below the noise cannot be shown: looked for as it is, it takes every pair for nothing.
    sought = max(margin, MARGIN_SEEN * policy.kappa * scale)
    if _futile(samples, scale, smallest) and not (
        simpler and not _futile([gain + margin for gain in samples], scale, sought)
    ):
        return _sequential(Status.DISCARD, "not better", samples, scale, metric, rule)
    if len(samples) >= policy.max_pairs:
        unseen = _share_said(_share_of(smallest, metric), metric)
        reason = f"undecided; gains under {unseen} do not show in this noise"
        return _sequential(Status.DISCARD, reason, samples, scale, metric, rule)
    return None


def _shown(samples: Sequence[float], scale: float, alpha: float) -> bool:
    """Whether the evidence for a gain above zero has reached 1/alpha, after any of the samples.

    After any: a keep that waits for its guards has been shown, whatever is sampled after that.
    """
    evidence, proof = 0.0, math.log(1 / alpha)
    return any((evidence := evidence + log_evidence([gain], scale)) >= proof for gain in samples)


def _futile(samples: Sequence[float], scale: float, smallest: float) -> bool:
    return len(samples) >= CLIP_PAIRS and futility_score(samples, scale, smallest) < FUTILITY


def _simpler(measurement: Measurement, rule: Rule) -> str:
    """Say how much simpler the candidate is; empty where it is not, or where that does not count."""
    if not rule.policy.simplify or measurement.complexity is None:
        return ""
    before, after = measurement.complexity
    return f"{SIMPLER} ({before} -> {after})" if after < before else ""


def _sequential(
    status: Status, reason: str, samples: Sequence[float], scale: float, metric: Metric, rule: Rule
) -> Verdict:
    bounds, middle = anytime_interval(samples, scale, rule.policy.alpha), median(samples)
    evidence = ratio_of(log_evidence(samples, scale))
    return Verdict(
        status,
        f"{reason}: {_said(middle, metric)} in {len(samples)} pairs, E = {evidence:.3g}",
        effect_of(middle, metric),
        Interval(effect_of(bounds.low, metric), effect_of(bounds.high, metric)),
        evidence,
    )


def _share_of(gain: float, metric: Metric) -> float:
    return ratio_of(gain) - 1 if metric.compare is Compare.RATIO else gain


def _share_said(share: float, metric: Metric) -> str:
    return f"{share:.2%}" if metric.compare is Compare.RATIO else f"{share:.4g} {metric.unit}".rstrip()


# --- deterministic ---------------------------------------------------------------------------------------


def _deterministic(measurement: Measurement, metric: Metric, rule: Rule) -> Verdict | None:
    if not measurement.pairs:
        return None
    champions = [pair.champion.values[metric.name] for pair in measurement.pairs]
    candidates = [pair.candidate.values[metric.name] for pair in measurement.pairs]
    champion, candidate = champions[0], candidates[0]
    if varied := _varied(champions) or _varied(candidates):
        return _not_deterministic(*varied)
    gain = metric.direction.sign * (champion - candidate)
    effect = gain if metric.compare is Compare.DIFFERENCE else _ratio(champion, candidate, metric)
    change = f"{champion!r} -> {candidate!r} {metric.unit}".rstrip()
    unit = 1.0 if metric.compare is Compare.DIFFERENCE else abs(champion)
    simpler = _simpler(measurement, rule)
    better = gain > 0 and gain >= rule.min_effect * unit
    if not better and not (simpler and gain >= -rule.policy.margin * unit):
        if gain > 0:
            few = _share_said(rule.min_effect, metric)
            return Verdict(Status.DISCARD, f"better, but by less than {few}: {change}", effect)
        return Verdict(Status.DISCARD, f"{'equal' if gain == 0 else 'worse'}: {change}", effect)
    if measurement.confirmed is None:
        return None
    if measurement.confirmed != candidate:
        return _not_deterministic(candidate, measurement.confirmed)
    how = "better" if better else f"{simpler}, and not worse by {_share_said(rule.policy.margin, metric)}"
    return Verdict(Status.KEEP, f"{how}: {change}, twice", effect)


def _varied(values: Sequence[float]) -> tuple[float, float] | None:
    other = next((value for value in values if value != values[0]), None)
    return None if other is None else (values[0], other)


def _not_deterministic(first: float, second: float) -> Verdict:
    values = f"{first!r}, then {second!r}"
    return Verdict(Status.CRASH, f'not deterministic: {values}; set noise = "timing" in [metric]')


def _ratio(champion: float, candidate: float, metric: Metric) -> float | None:
    """How many times better; None where a ratio of the two has no meaning, or no floating point."""
    if champion <= 0 or candidate <= 0:
        return None
    worse, better = (champion, candidate) if metric.direction.sign > 0 else (candidate, champion)
    ratio = worse / better
    return ratio if 0 < ratio < math.inf else None


# --- costly ----------------------------------------------------------------------------------------------


def _costly(measurement: Measurement, metric: Metric, rule: Rule) -> Verdict | None:
    """One run against the remembered level; only what looks better is run again, beside the champion."""
    level, screen = measurement.level, measurement.screen
    if level is None:
        raise ValueError("a costly metric is decided by its level; measure the baseline first")
    if screen is None:
        return None
    if metric.name not in screen.values:
        reason = hopeless(screen.curve, level, metric) or "ended early"
        return Verdict(Status.DISCARD, reason)
    sign = metric.direction.sign
    first = sign * (level.mean - of_sample(screen, metric))
    error = level.sd * math.sqrt(1 + 1 / level.runs)
    if not measurement.pairs:
        if first >= SCREEN * error and first > 0:
            return None
        said = f"not better in one run: {_said(first, metric)}, noise {_noise_said(level, metric)}"
        return Verdict(Status.DISCARD, said, effect_of(first, metric))
    mine = [of_sample(pair.candidate, metric) for pair in measurement.pairs]
    held = [of_sample(pair.champion, metric) for pair in measurement.pairs]
    return _confirmed(level, of_sample(screen, metric), mine, held, metric, rule)


def _confirmed(
    level: Level, screened: float, mine: list[float], held: list[float], metric: Metric, rule: Rule
) -> Verdict | None:
    """Student's t over all runs of the contender against all of the champion; its gain by the pairs alone.

    The pairs alone, because the first run was selected for looking good.
    """
    for value in held:
        error = level.sd * math.sqrt(1 + 1 / level.runs)
        if t_tail(abs(value - level.mean) / error, level.freedom) < LEVEL_MOVED:
            moved = _said(metric.direction.sign * (level.mean - value), metric)
            return Verdict(Status.DISCARD, f"the champion's own level moved ({moved}): it is measured anew")
    learnt = learn_level(level, held, [screened, *mine])
    runs = [screened, *mine]
    sign = metric.direction.sign
    error = learnt.sd * math.sqrt(1 / learnt.runs + 1 / len(runs))
    t = sign * (learnt.mean - fmean(runs)) / error
    gain = sign * (learnt.mean - fmean(mine))
    spread = learnt.sd * math.sqrt(1 / learnt.runs + 1 / len(mine))
    reach = t_quantile(rule.policy.alpha, learnt.freedom) * spread
    effect = effect_of(gain, metric)
    interval = Interval(effect_of(gain - reach, metric), effect_of(gain + reach, metric))
    said = f"{_said(gain, metric)} in {len(mine)} pairs of runs, t = {t:.3g}"
    if t_tail(t, learnt.freedom) <= rule.policy.alpha / CONFIRM_PAIRS and gain > 0:
        if gain >= _log_share(rule.min_effect, metric):
            return Verdict(Status.KEEP, f"better: {said}", effect, interval)
        few = _share_said(rule.min_effect, metric)
        return Verdict(Status.DISCARD, f"better, but by less than {few}: {said}", effect, interval)
    if t < 1 or gain <= 0:
        return Verdict(Status.DISCARD, f"not better: {said}", effect, interval)
    if len(mine) >= _most_pairs(rule):
        return Verdict(Status.DISCARD, f"undecided: {said}", effect, interval)
    return None


def learn_level(level: Level, champion: Sequence[float], candidate: Sequence[float] = ()) -> Level:
    """Take further runs of the champion into its level, and those of both into the noise of one run."""
    runs = level.runs + len(champion)
    mean = (level.mean * level.runs + math.fsum(champion)) / runs
    squares = level.sd**2 * level.freedom
    # Each new run of the champion against the mean of those before it is one degree of freedom.
    so_far, count = level.mean, level.runs
    for value in champion:
        squares += (value - so_far) ** 2 * count / (count + 1)
        so_far, count = (so_far * count + value) / (count + 1), count + 1
    freedom = level.freedom + len(champion)
    if len(candidate) > 1:
        middle = fmean(candidate)
        squares += math.fsum((value - middle) ** 2 for value in candidate)
        freedom += len(candidate) - 1
    return Level(mean, max(math.sqrt(squares / freedom), _SMALLEST_SD), runs, freedom, level.curve)


def first_level(values: Sequence[float], curve: tuple[tuple[float, float], ...] = ()) -> Level:
    """The level of two runs or more."""
    middle, freedom = fmean(values), len(values) - 1
    sd = math.sqrt(math.fsum((value - middle) ** 2 for value in values) / freedom)
    return Level(middle, max(sd, _SMALLEST_SD), len(values), freedom, curve)


def hopeless(curve: Sequence[tuple[float, float]], level: Level, metric: Metric) -> str:
    """Say why a run need not go on; empty while it may.

    Hopeless is a candidate that twice in a row, past 30 % of its run, is worse than the champion was at half
    that share, beyond the noise of two runs: it would need more than twice the champion's time.
    """
    if len(curve) < 2 or len(level.curve) < 2:
        return ""
    behind = [_behind(point, level, metric) for point in curve[-2:]]
    if not all(behind):
        return ""
    return behind[-1]


def _behind(point: tuple[float, float], level: Level, metric: Metric) -> str:
    share, value = point
    if share < 0.3:
        return ""
    then = _at(level.curve, share / 2)
    if then is None or not math.isfinite(value):
        return "" if then is None else f"hopeless: {metric.name} is {value} at {share:.0%} of the run"
    values = (then, value)
    if metric.compare is Compare.RATIO:
        if min(values) <= 0:
            return ""
        values = (math.log(then), math.log(value))
    if metric.direction.sign * (values[1] - values[0]) <= 2 * math.sqrt(2) * level.sd:
        return ""
    return (
        f"hopeless: {metric.name} {value:.6g} at {share:.0%} of the run; "
        f"the champion had {then:.6g} at {share / 2:.0%}"
    )


def _at(curve: Sequence[tuple[float, float]], share: float) -> float | None:
    """The curve's value at a share of the run, between its points; None before the first."""
    for (left, low), (right, high) in itertools.pairwise(curve):
        if left <= share <= right:
            return low if right == left else low + (high - low) * (share - left) / (right - left)
    return None


def _noise_said(level: Level, metric: Metric) -> str:
    return _share_said(_share_of(level.sd, metric), metric)


_SMALLEST_SD = 1e-12


# --- guards ----------------------------------------------------------------------------------------------


def _broken(guard: Guard, measurement: Measurement, *, most: int) -> str | None:
    """Say how a guard is broken; empty where it holds, None where more pairs are needed to tell."""
    pairs = measurement.pairs
    sides = [(pair.champion.values[guard.metric], pair.candidate.values[guard.metric]) for pair in pairs]
    champion, candidate = median(a for a, _ in sides), median(b for _, b in sides)
    undecided = False
    for limit, up, word in ((guard.max_ratio, 1, "over"), (guard.min_ratio, -1, "under")):
        if limit is None:
            continue
        said = (
            f"guard {guard.metric}: {champion:.6g} -> {candidate:.6g}, {word} {limit:g} times the champion's"
        )
        if not all(math.isfinite(value) for side in sides for value in side):
            return said  # a NaN is neither within nor beyond, and no proof
        holds = _holds(sides, limit, up, measurement.scales.get(guard.metric), most=most)
        if holds is False:
            return said
        undecided = undecided or holds is None
    return None if undecided else ""


def _holds(
    sides: Sequence[tuple[float, float]], limit: float, up: int, scale: float | None, *, most: int
) -> bool | None:
    """Whether a guarded number stays within its limit; None where that is not shown yet.

    Shown either way by evidence of 20; where the last pair has not, noise alone may not veto: it must lie
    beyond the limit and be worse than the champion's at all.
    """
    worse, allowed = changes(sides), math.log(limit)
    if any(min(side) <= 0 for side in sides):  # written so that a factor above 1 is slack for negatives too
        allowed = (limit - 1) * median(abs(a) for a, _ in sides)
    beyond = [up * (change - allowed) for change in worse]
    if scale is None:
        scale = robust_scale(successive_nulls(worse)) if len(worse) > 3 else None
    if scale is None or scale <= EXACT:
        return median(beyond) <= 0
    if log_evidence([-value for value in beyond], scale) >= GUARD_PROOF:
        return True
    if log_evidence(beyond, scale) >= GUARD_PROOF:
        return False
    if len(sides) < most:
        return None
    reachable = 0.8 * len(sides) * math.log1p(BET_CAP)
    at_all = log_evidence([up * change for change in worse], scale) >= min(GUARD_PROOF, reachable)
    return median(beyond) <= 0 or not at_all


EXACT = 1e-9
"""A noise scale under which a number is taken to repeat exactly."""


def changes(sides: Iterable[tuple[float, float]]) -> list[float]:
    """Candidate over champion per pair: log ratios where all are positive, else differences."""
    sides = list(sides)
    if all(min(side) > 0 for side in sides):
        return [math.log(b) - math.log(a) for a, b in sides]
    return [b - a for a, b in sides]


def _most_pairs(rule: Rule) -> int:
    return min(CONFIRM_PAIRS, rule.policy.max_pairs) if rule.noise is Noise.COSTLY else rule.policy.max_pairs


_RULES: dict[Noise, Callable[[Measurement, Metric, Rule], Verdict | None]] = {
    Noise.TIMING: _timing,
    Noise.DETERMINISTIC: _deterministic,
    Noise.COSTLY: _costly,
}
