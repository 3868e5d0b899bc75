"""What `optiloop check` says: can this target be optimized, and what will it cost. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from optiloop.decide import first_level, of_sample, smallest_gain
from optiloop.model import Baseline, Compare, Noise, Target
from optiloop.report import words

KEEP_PAIRS = 7
"""Pairs a clear win takes: the e-process cannot reach 100 in fewer."""

COSTLY_RUNS = 1.6
"""Runs a costly candidate takes on average, and what one that is kept takes (simulated)."""

COSTLY_KEEP_RUNS = 5

COSTLY_SECONDS = 60.0
"""Seconds of one sample from which pairs of every candidate are too dear."""

QUICK_SECONDS = 2.0
"""Seconds of one sample under which pairs cost so little that a remembered level is not worth its trust."""

QUIETER = 3.0
"""How much quieter CPU time must have been than the metric to be recommended."""

FUTILE_PAIRS = 5
"""Pairs an equal candidate takes on average (simulated, docs/decision.md)."""

SHORT = 0.005
"""CPU seconds under which start-up noise swamps a sample's work."""


COARSE = 0.5
"""A smallest gain from which hardly any change will show: most that help are smaller."""

FEW = 20
"""Experiments a night under which there is hardly a search: about as many as a person tries in a week."""


@dataclass(frozen=True)
class Check:
    """A target's baseline in figures.

    `kind` is the noise that target.toml states, `found` the one that was seen. `noise` is the sd of one
    pair's gain, of one run where it is costly; None for a deterministic metric. `unsteady` says which gate
    failed when it was run once more; empty where all passed again. `own` is what the target's own check says.
    """

    target: str
    metric: str
    unit: str
    value: float
    kind: str
    found: str
    noise: float | None
    relative: bool
    smallest_gain: float
    gate_seconds: float
    sample_seconds: float
    cycle_seconds: float
    keep_seconds: float
    night: int
    sandbox: str
    advice: tuple[str, ...]
    own: str = ""
    unsteady: str = ""

    def as_json(self) -> dict[str, Any]:
        """The same for scripts."""
        return asdict(self)

    def as_text(self) -> str:
        """The same for people."""
        rows = [
            ("baseline", f"{self.metric} {words.quantity(self.value, self.unit)}, all gates passed"),
            ("noise", self._noise()),
            (
                "kind of noise",
                self.kind if self.kind == self.found else f"{self.kind}, but found {self.found}",
            ),
            ("smallest gain", self._smallest()),
            ("one sample", words.duration(self.sample_seconds)),
            (
                "one cycle",
                f"about {words.duration(self.cycle_seconds)}, a keep {words.duration(self.keep_seconds)}",
            ),
            ("eight hours", f"about {self.night:,} experiments"),
            ("sandbox", self.sandbox),
            *(("advice", line) for line in self.advice),
            *(("its own check", line) for line in self.own.splitlines()),
        ]
        table = "\n".join(f"{name:<15}{said}" for name, said in rows)
        return f"{self.target} {self.verdict()}\n{table}\n\n{self.plain_words()}"

    def verdict(self) -> str:
        """Whether it can be optimized, in one sentence without its subject."""
        if self.unsteady:
            return f"cannot be optimized as it is: {self.unsteady}"
        if self.relative and self.smallest_gain > COARSE:
            return f"can hardly be optimized: no gain below {self.smallest_gain:.0%} shows"
        if self.night < FEW:
            return f"can hardly be optimized: a night holds {self.night} experiments"
        return "can be optimized."

    def plain_words(self) -> str:
        """What the figures mean, for somebody who has not read how optiloop decides."""
        gates = "The gates passed, and passed again" if self.gate_seconds else "There is no gate"
        gates = "A gate does not hold" if self.unsteady else gates
        shows = (
            "any gain shows"
            if self.smallest_gain == 0
            else f"gains from {self._effect(self.smallest_gain)} show"
        )
        varies = "does not vary" if self.noise is None else f"varies by {self._effect(self.noise)}"
        lasts = words.duration(self.cycle_seconds)
        return (
            f"{gates}. {self.metric} is there and {varies} where nothing changed: {shows}.\n"
            f"A cycle takes about {lasts}; a night of eight hours will hold about {self.night:,} experiments."
        )

    def _noise(self) -> str:
        if self.noise is None:
            return "none: equal code gives equal numbers"
        between = "of one run" if self.kind == Noise.COSTLY else "in a pair of equal programs"
        return f"{self._effect(self.noise)} {between}"

    def _smallest(self) -> str:
        if self.smallest_gain == 0:
            return "any: the metric is exact, and min_effect asks for nothing"
        return f"{self._effect(self.smallest_gain)}: less is not told from noise, or not worth a change"

    def _effect(self, size: float) -> str:
        return f"{size:.2%}" if self.relative else f"{size:.4g} {self.unit}".rstrip()


def checked(
    target: Target,
    baseline: Baseline,
    *,
    gate_seconds: float,
    sandbox: str,
    forgeable: str = "",
    numbers: Mapping[str, float] | None = None,
    unsteady: str = "",
) -> Check:
    """Draw the figures from a measured baseline. `gate_seconds` is what gates and hold-out took.

    `forgeable` is the benchmark in whose process the candidate runs; empty where there is none. `numbers`
    are all that the baseline gave; a `<function>_us` among them is a function's own time.
    """
    metric, relative = target.metric, target.metric.compare is Compare.RATIO
    noise = _noise(target, baseline)
    runs, keep_runs = _RUNS[metric.noise]
    cycle, keep = (gate_seconds + count * baseline.seconds for count in (runs, keep_runs))
    smallest = smallest_gain(metric, target.policy, noise)
    return Check(
        target=target.name,
        metric=metric.name,
        unit=metric.unit,
        value=baseline.value,
        kind=str(metric.noise),
        found=str(_found(target, baseline)),
        noise=noise,
        relative=relative,
        smallest_gain=math.expm1(smallest) if relative else smallest,
        gate_seconds=gate_seconds,
        sample_seconds=baseline.seconds,
        cycle_seconds=cycle,
        keep_seconds=keep,
        night=int(8 * 3600 / cycle) if cycle > 0 else 0,
        sandbox=sandbox,
        advice=(
            *_advice(target, baseline),
            *_short_functions(target, numbers or {}),
            *([_FORGEABLE.format(forgeable)] if forgeable else []),
        ),
        unsteady=unsteady,
    )


_RUNS = {
    Noise.TIMING: (2.0 * FUTILE_PAIRS, 2.0 * KEEP_PAIRS),
    Noise.DETERMINISTIC: (2.0, 3.0),
    Noise.COSTLY: (COSTLY_RUNS, COSTLY_KEEP_RUNS),
}
"""Runs of a candidate that is not kept, and of one that is."""


def _noise(target: Target, baseline: Baseline) -> float | None:
    if target.metric.noise is Noise.COSTLY:
        return first_level([of_sample(sample, target.metric) for sample in baseline.samples]).sd
    return baseline.scale


def _found(target: Target, baseline: Baseline) -> Noise:
    """The kind of noise that the baseline's own runs show."""
    values = [sample.values[target.metric.name] for sample in baseline.samples]
    same = len(set(values)) == 1 if values else not any(baseline.nulls)
    if same:
        return Noise.DETERMINISTIC
    if target.metric.noise is Noise.COSTLY:
        return Noise.TIMING if baseline.seconds < QUICK_SECONDS else Noise.COSTLY
    return Noise.COSTLY if baseline.seconds > COSTLY_SECONDS else Noise.TIMING


def _advice(target: Target, baseline: Baseline) -> list[str]:
    advice = []
    found = _found(target, baseline)
    if not target.gates:
        advice.append("there is no [[gate]]: nothing but the metric says whether a candidate is right")
    if found is not target.metric.noise:
        advice.append(f'{_WHY[found]}: set noise = "{found}" in [metric]')
    if baseline.scale is not None and target.metric.compare is Compare.RATIO:
        quieter = baseline.cpu_scale is not None and baseline.cpu_scale * QUIETER <= baseline.scale
        if quieter and baseline.cpu_scale is not None:
            advice.append(
                f"the CPU time of the same runs varied by {baseline.cpu_scale:.2%} only: measure that "
                "(optiloop.bench) where the metric is a time"
            )
        elif baseline.scale > 0.1:
            advice.append(
                "the noise is high: measure CPU time instead of wall time (optiloop.bench), or run longer"
            )
    if target.metric.unit in _SECONDS and baseline.value * _SECONDS[target.metric.unit] < SHORT:
        advice.append(
            "the workload is short (under 5 ms): enlarge it until the code itself is what is measured"
        )
    return advice


def _short_functions(target: Target, numbers: Mapping[str, float]) -> list[str]:
    """Which functions have a workload of their own that is too small to tell."""
    times = {
        name.removesuffix("_us"): value
        for name, value in numbers.items()
        if name.endswith("_us") and name not in (target.metric.name, "import_us", "combined_us")
    }
    short = sorted((name for name in times if times[name] * _SECONDS["us"] < SHORT), key=times.__getitem__)
    if not short:
        return []
    named = ", ".join(short[:3]) + (", ..." if len(short) > 3 else "")
    return [f"{len(short)} of {len(times)} functions run under 5 ms ({named}): a gain may not hold at scale"]


_FORGEABLE = (
    "{} runs the candidate in its own process, where it can forge the number: "
    "optiloop.bench keeps the two apart (docs/security.md)"
)

_WHY = {
    Noise.DETERMINISTIC: "equal code gave equal numbers, and one run would do",
    Noise.TIMING: "a sample is quick, and fresh pairs need no trust in a remembered level",
    Noise.COSTLY: "a sample takes over a minute, and most candidates could be judged by one",
}

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
