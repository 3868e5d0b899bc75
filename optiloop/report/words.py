"""Numbers, durations and hostile text as words for people. Pure."""

from __future__ import annotations

import math

from optiloop.model import Compare, Experiment, Interval


def number(value: float | None) -> str:
    """Five significant digits, grouped; a dash where there is no number."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size and not 1e-4 <= size < 1e7:
        return f"{value:.4e}"
    decimals = max(0, 4 - math.floor(math.log10(size))) if size else 0
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def quantity(value: float | None, unit: str) -> str:
    return f"{number(value)} {unit}".rstrip() if value is not None else "–"


def ratio(value: float | None) -> str:
    """How many times better: `1.029×`."""
    return "–" if value is None else f"{_ratio_digits(value)}×"


def interval(low: float, high: float) -> str:
    return f"{_ratio_digits(low)} to {_ratio_digits(high)}"


def effect(value: float | None, compare: Compare = Compare.RATIO) -> str:
    """An effect: `1.029×`, or `+0.25` in the metric's unit where values are compared by difference."""
    if compare is Compare.RATIO or value is None:
        return ratio(value)
    return f"{value:+.5g}" if math.isfinite(value) else number(value)


def bounds(ends: Interval, compare: Compare = Compare.RATIO) -> str:
    """An interval of effects."""
    if compare is Compare.RATIO:
        return interval(ends.low, ends.high)
    return f"{effect(ends.low, compare)} to {effect(ends.high, compare)}"


def compared(experiment: Experiment) -> Compare:
    """What the experiment's effect is: a ratio, unless its line says otherwise."""
    rule = experiment.measurement.rule if experiment.measurement else None
    return rule.compare if rule else Compare.RATIO


def gained(experiment: Experiment) -> str:
    """How much better the experiment's candidate was."""
    return effect(experiment.effect, compared(experiment))


def _ratio_digits(value: float) -> str:
    if not math.isfinite(value):
        return number(value)
    return f"{value:.3f}" if value < 10 else f"{value:.1f}" if value < 1000 else f"{value:,.0f}"


def duration(seconds: float) -> str:
    """`45 s`, `12 min 5 s`, `3 h 20 min`: two units at most."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60) if seconds >= 3600 else int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min {int(seconds % 60)} s"
    return f"{minutes // 60} h {minutes % 60} min"


def money(usd: float) -> str:
    return "0 USD" if usd == 0 else f"{usd:.4f} USD" if usd < 0.01 else f"{usd:,.2f} USD"


def count(amount: int, noun: str) -> str:
    return f"{amount:,} {noun}" if amount == 1 else f"{amount:,} {noun}s"


def one_line(text: str) -> str:
    """The text without line breaks, tabs and control characters: what a terminal or a table can take."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
