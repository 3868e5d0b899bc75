"""One experiment in full, as text for a terminal. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import click

from optiloop.decide import effect_of, gains, ratio_of, smallest_gain
from optiloop.model import Compare, Experiment, Level, Measurement, Metric, Pair, Policy
from optiloop.report import words
from optiloop.stats import log_evidence

_DIFF_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def details(number: int, experiment: Experiment, metric: Metric, *, alpha: float) -> str:
    """Everything the log holds of one experiment: what was tried, how it was judged, and its change.

    `alpha` is the policy's, for lines that do not say theirs: an experiment's interval holds at every
    stopping time with 1 - 2 alpha.
    """
    rule = experiment.measurement.rule if experiment.measurement else None
    alpha = rule.policy.alpha if rule else alpha
    rows = [
        ("experiment", f"#{number}  {experiment.id}  {experiment.time}"),
        ("proposed by", " / ".join(filter(None, (experiment.origin, experiment.family)))),
        ("hypothesis", experiment.hypothesis),
        ("novelty", _novelty(experiment)),
        ("verdict", f"{experiment.status}: {experiment.reason}"),
        ("gain", _gain(experiment, alpha)),
        ("against", experiment.parent[:10]),
        ("commit", (experiment.commit or "")[:10]),
        ("took", words.duration(experiment.seconds)),
        *((f"gate {gate.name}", gate.reason or "passed") for gate in experiment.gates),
        *(_numbers(experiment.measurement) if experiment.measurement else ()),
    ]
    table = "\n".join(f"{name:<14}{words.one_line(said)}" for name, said in rows if said)
    picture = drawn(experiment.measurement, metric) if experiment.measurement else ""
    return "\n\n".join(filter(None, (table, picture, coloured(experiment.diff) if experiment.diff else "")))


def coloured(diff: str) -> str:
    """A diff with ANSI colours; click drops them where the output is no terminal."""
    return "\n".join(click.style(_visible(line), fg=_DIFF_COLOURS.get(line[:1])) for line in diff.split("\n"))


def _novelty(experiment: Experiment) -> str:
    """What it was to an earlier experiment; empty where it was new."""
    kin = experiment.kin
    if kin is None:
        return ""
    of = f" of {kin.of}" if kin.of else ""
    audit = ", run to test the rule that refuses such" if kin.audit else ""
    return f"{kin.novelty.replace('_', ' ')}{of}, known by its {kin.level}{audit}"


def _gain(experiment: Experiment, alpha: float) -> str:
    if experiment.effect is None:
        return ""
    bounds = experiment.interval
    if bounds is None:
        return words.gained(experiment)
    level = f"{100 * (1 - 2 * alpha):.4g} %"
    return f"{words.gained(experiment)} ({level} interval {words.bounds(bounds, words.compared(experiment))})"


def _numbers(measurement: Measurement) -> Iterator[tuple[str, str]]:
    for name, (champion, candidate) in measurement.secondary.items():
        yield name[:13], f"{champion:.6g} -> {candidate:.6g}"


def drawn(measurement: Measurement, metric: Metric) -> str:
    """The samples as a picture: each pair's gain on one axis, the evidence beside it, the bounds below."""
    lines: list[str] = []
    if measurement.level is not None:
        lines += _screened(measurement, measurement.level, metric)
    for name in (name for name in _names(measurement) if name != metric.name):
        lines.append(_guarded(name, measurement))
    if not measurement.pairs or _exact(measurement, metric):
        if measurement.pairs:
            values = [_values(pair, metric) for pair in measurement.pairs]
            lines.insert(0, "  ".join(f"{champion:.6g} -> {candidate:.6g}" for champion, candidate in values))
        return "\n".join(lines)
    gains_, scale = gains(measurement.pairs, metric), measurement.scale or 1e-12
    axis = _Axis.around(gains_, smallest_gain(metric, _policy(measurement), measurement.scale))
    table = [
        f"{'pair':>4}  {'order':<5}  {'champion':>12}  {'candidate':>12}  "
        f"{axis.head(metric)}  {'gain':>9}  {'E':>8}"
    ]
    for number, (pair, gain) in enumerate(zip(measurement.pairs, gains_, strict=True), 1):
        champion, candidate = _values(pair, metric)
        order = "B, A" if pair.candidate_first else "A, B"
        evidence = ratio_of(log_evidence(gains_[:number], scale))
        said = words.effect(effect_of(gain, metric), metric.compare)
        table.append(
            f"{number:>4}  {order:<5}  {champion:>12.6g}  {candidate:>12.6g}  "
            f"{axis.dot(gain)}  {said:>9}  {evidence:>8.3g}"
        )
    return "\n".join([*table, *lines])


@dataclass(frozen=True)
class _Axis:
    """A line of characters for gains from -reach to +reach; zero is its middle."""

    reach: float
    smallest: float

    @classmethod
    def around(cls, gains_: Sequence[float], smallest: float) -> _Axis:
        finite = [abs(gain) for gain in gains_ if math.isfinite(gain)]
        return cls(max([*finite, 1.5 * smallest, 1e-12]), smallest)

    def head(self, metric: Metric) -> str:
        """The ends of the axis, in words."""
        low, high = (
            words.effect(effect_of(end, metric), metric.compare) for end in (-self.reach, self.reach)
        )
        return f"{low}{'worse | better':^{_AXIS - len(low) - len(high)}}{high}"

    def dot(self, gain: float) -> str:
        """One gain; the middle is `|`, the smallest gain looked for `:`."""
        cells = [" "] * _AXIS
        cells[_AXIS // 2] = "|"
        cells[self._at(self.smallest)] = ":"
        cells[self._at(gain)] = "●"
        return "".join(cells)

    def _at(self, gain: float) -> int:
        share = min(1.0, max(-1.0, gain / self.reach))
        return round((share + 1) / 2 * (_AXIS - 1))


def _screened(measurement: Measurement, level: Level, metric: Metric) -> Iterator[str]:
    noise, mean = level.sd, level.mean
    if metric.compare is Compare.RATIO:
        noise, mean = math.expm1(noise), math.exp(mean)
    yield f"champion's level {mean:.6g}, of {words.count(level.runs, 'run')}; noise of one run {noise:.3g}"
    screen = measurement.screen
    if screen is None:
        return
    value = screen.values.get(metric.name)
    yield f"first run        {'ended early' if value is None else f'{value:.6g}'}"
    if screen.curve:
        course = "  ".join(
            f"{share:.0%} {value:.5g}" for share, value in screen.curve[:: max(1, len(screen.curve) // 8)]
        )
        yield f"its course       {course}"


def _guarded(name: str, measurement: Measurement) -> str:
    sides = [(pair.champion.values[name], pair.candidate.values[name]) for pair in measurement.pairs]
    champion, candidate = median(a for a, _ in sides), median(b for _, b in sides)
    return f"guarded {name}: {champion:.6g} -> {candidate:.6g} (medians of {words.count(len(sides), 'pair')})"


def _names(measurement: Measurement) -> tuple[str, ...]:
    return tuple(measurement.pairs[0].champion.values) if measurement.pairs else ()


def _values(pair: Pair, metric: Metric) -> tuple[float, float]:
    return pair.champion.values[metric.name], pair.candidate.values[metric.name]


def _exact(measurement: Measurement, metric: Metric) -> bool:
    """Whether there is no noise to draw, or no number to take a logarithm of."""
    if measurement.scale is None:
        return True
    values = [value for pair in measurement.pairs for value in _values(pair, metric)]
    return not all(map(math.isfinite, values)) or (metric.compare is Compare.RATIO and min(values) <= 0)


def _policy(measurement: Measurement) -> Policy:
    return measurement.rule.policy if measurement.rule else Policy()


_AXIS = 41


def _visible(line: str) -> str:
    """Control characters shown, not sent: a diff is hostile text."""
    return "".join(char if char.isprintable() or char == "\t" else f"\\x{ord(char):02x}" for char in line)
