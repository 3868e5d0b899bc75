"""What `optiloop check` says: can this target be optimized, and what will it cost. Pure."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from optiloop.decide import smallest_gain
from optiloop.model import Baseline, Noise, Target
from optiloop.report import words

KEEP_PAIRS = 8
"""Pairs a clear win takes: the e-process cannot reach 100 in fewer."""

FUTILE_PAIRS = 5
"""Pairs an equal candidate takes on average (simulated, docs/decision.md)."""

SHORT = 0.005
"""CPU seconds under which start-up noise swamps a sample's work."""


@dataclass(frozen=True)
class Check:
    """A target's baseline in figures. `noise` is the sd of one log ratio; None for a deterministic metric."""

    target: str
    metric: str
    unit: str
    value: float
    noise: float | None
    smallest_gain: float
    gate_seconds: float
    sample_seconds: float
    cycle_seconds: float
    keep_seconds: float
    night: int
    sandbox: str
    advice: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The same for scripts."""
        return asdict(self)

    def as_text(self) -> str:
        """The same for people."""
        noise = (
            "none: deterministic"
            if self.noise is None
            else f"{self.noise:.2%} between adjacent runs of equal code"
        )
        rows = [
            ("baseline", f"{self.metric} {words.quantity(self.value, self.unit)}, all gates passed"),
            ("noise", noise),
            ("smallest gain", self._smallest()),
            ("one sample", words.duration(self.sample_seconds)),
            (
                "one cycle",
                f"about {words.duration(self.cycle_seconds)}, a keep {words.duration(self.keep_seconds)}",
            ),
            ("eight hours", f"about {self.night:,} experiments"),
            ("sandbox", self.sandbox),
            *(("advice", line) for line in self.advice),
        ]
        table = "\n".join(f"{name:<15}{said}" for name, said in rows)
        return f"{self.target} can be optimized.\n{table}"

    def _smallest(self) -> str:
        if self.smallest_gain == 0:
            return "any: the metric is exact, and min_effect asks for nothing"
        return f"{self.smallest_gain:.2%}: less is not told from noise, or not worth a change"


def checked(target: Target, baseline: Baseline, *, gate_seconds: float, sandbox: str) -> Check:
    """Draw the figures from a measured baseline. `gate_seconds` is what gates and hold-out took."""
    pairs = 1.0 if baseline.scale is None else FUTILE_PAIRS
    cycle = gate_seconds + 2 * pairs * baseline.seconds
    keep = gate_seconds + (2 * KEEP_PAIRS if baseline.scale is not None else 3) * baseline.seconds
    return Check(
        target=target.name,
        metric=target.metric.name,
        unit=target.metric.unit,
        value=baseline.value,
        noise=baseline.scale,
        smallest_gain=math.expm1(smallest_gain(target.metric, target.policy, baseline.scale)),
        gate_seconds=gate_seconds,
        sample_seconds=baseline.seconds,
        cycle_seconds=cycle,
        keep_seconds=keep,
        night=int(8 * 3600 / cycle) if cycle > 0 else 0,
        sandbox=sandbox,
        advice=tuple(_advice(target, baseline)),
    )


def _advice(target: Target, baseline: Baseline) -> list[str]:
    advice = []
    if not target.gates:
        advice.append("there is no [[gate]]: nothing but the metric says whether a candidate is right")
    if target.metric.noise is Noise.TIMING and not any(baseline.nulls):
        advice.append(
            'equal code gave equal numbers: set noise = "deterministic" in [metric], it needs fewer runs'
        )
    if baseline.scale is not None and baseline.scale > 0.1:
        advice.append(
            "the noise is high: measure CPU time instead of wall time (optiloop.bench), or run longer"
        )
    if target.metric.unit in _SECONDS and baseline.value * _SECONDS[target.metric.unit] < SHORT:
        advice.append(
            "the workload is short (under 5 ms): enlarge it until the code itself is what is measured"
        )
    return advice


_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
