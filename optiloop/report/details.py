"""One experiment in full, as text for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import click

from optiloop.model import Experiment, Measurement
from optiloop.report import words

_DIFF_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def details(number: int, experiment: Experiment, *, alpha: float) -> str:
    """Everything the log holds of one experiment: what was tried, how it was judged, and its change.

    `alpha` is the policy's: the interval of an experiment holds at every stopping time with 1 - 2 alpha.
    """
    rows = [
        ("experiment", f"#{number}  {experiment.id}  {experiment.time}"),
        ("proposed by", " / ".join(filter(None, (experiment.origin, experiment.family)))),
        ("hypothesis", experiment.hypothesis),
        ("verdict", f"{experiment.status}: {experiment.reason}"),
        ("gain", _gain(experiment, alpha)),
        ("against", experiment.parent[:10]),
        ("commit", (experiment.commit or "")[:10]),
        ("took", words.duration(experiment.seconds)),
        *((f"gate {gate.name}", gate.reason or "passed") for gate in experiment.gates),
        *(_samples(experiment.measurement) if experiment.measurement else ()),
    ]
    table = "\n".join(f"{name:<14}{words.one_line(said)}" for name, said in rows if said)
    return f"{table}\n\n{coloured(experiment.diff)}" if experiment.diff else table


def coloured(diff: str) -> str:
    """A diff with ANSI colours; click drops them where the output is no terminal."""
    return "\n".join(click.style(_visible(line), fg=_DIFF_COLOURS.get(line[:1])) for line in diff.split("\n"))


def _gain(experiment: Experiment, alpha: float) -> str:
    if experiment.effect is None:
        return ""
    bounds = experiment.interval
    if bounds is None:
        return words.ratio(experiment.effect)
    level = f"{100 * (1 - 2 * alpha):.4g} %"
    interval = words.interval(bounds.low, bounds.high)
    return f"{words.ratio(experiment.effect)} ({level} anytime interval {interval})"


def _samples(measurement: Measurement) -> Iterator[tuple[str, str]]:
    for name in measurement.pairs[0].champion.values if measurement.pairs else ():
        pairs = (
            f"{pair.champion.values[name]:.6g}/{pair.candidate.values[name]:.6g}"
            for pair in measurement.pairs
        )
        yield name[:13], "champion/candidate " + "  ".join(pairs)
    for name, (champion, candidate) in measurement.secondary.items():
        yield name[:13], f"{champion:.6g} -> {candidate:.6g}"


def _visible(line: str) -> str:
    """Control characters shown, not sent: a diff is hostile text."""
    return "".join(char if char.isprintable() or char == "\t" else f"\\x{ord(char):02x}" for char in line)
