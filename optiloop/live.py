"""What a person or a script sees while a run goes on: a live view, plain lines, or JSON lines. Effect.

A view is handed each experiment as it ends; the live one also looks at the engine's phase now and then.
Progress goes to stderr, JSON lines to stdout.
"""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from optiloop.loop import Engine
from optiloop.model import Experiment, Metric, Seconds, Status
from optiloop.record import encode
from optiloop.report.words import duration

if TYPE_CHECKING:
    from rich.console import RenderableType

COLOURS = {
    Status.KEEP: "green",
    Status.DISCARD: "bright_black",
    Status.DUPLICATE: "blue",
    Status.GATE_FAILED: "yellow",
    Status.CRASH: "red",
    Status.VIOLATION: "magenta",
    Status.NO_PROPOSAL: "bright_black",
}


class View(AbstractContextManager["View"], Protocol):
    """Shows a run."""

    def baseline(self, value: float) -> None:
        """The baseline was measured, or is known."""

    def experiment(self, experiment: Experiment) -> None:
        """One experiment ended."""


@dataclass
class Tally:
    """What a view knows of the run so far. `ratio` is the product of the kept effects: biased upward."""

    metric: Metric
    baseline: float | None = None
    ratio: float = 1.0
    champion: float | None = None
    champions: list[float] = field(default_factory=list)
    counts: Counter[Status] = field(default_factory=Counter)
    last: Experiment | None = None

    def start(self, value: float) -> None:
        self.baseline = value
        self.champion = self.champion if self.champion is not None else value
        self.champions.append(self.champion)

    def take(self, experiment: Experiment) -> None:
        self.counts[experiment.status] += 1
        self.last = experiment
        if experiment.status is Status.KEEP:
            self.ratio *= experiment.effect or math.nan
            if experiment.measurement is not None:
                values = sorted(
                    pair.candidate.values[self.metric.name] for pair in experiment.measurement.pairs
                )
                self.champion = values[len(values) // 2]
        if self.champion is not None:
            self.champions.append(self.champion)


class _Quiet:
    """What the views share: they need no closing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class Lines(_Quiet):
    """One plain line per experiment, for pipes, files and CI."""

    def __init__(self, metric: Metric, first: int) -> None:
        self._metric, self._number = metric, first

    def baseline(self, value: float) -> None:
        _say(f"baseline: {self._metric.name} {value:.6g} {self._metric.unit}")

    def experiment(self, experiment: Experiment) -> None:
        self._number += 1
        _say(one_line(self._number, experiment))


class Json(_Quiet):
    """The log's line of each experiment, on stdout."""

    def baseline(self, value: float) -> None:
        return None

    def experiment(self, experiment: Experiment) -> None:
        sys.stdout.write(encode(experiment).decode() + "\n")
        sys.stdout.flush()


class Live:
    """A panel that redraws in place: phase, champion, counts, sparkline, time left; keeps scroll by above."""

    def __init__(self, engine: Engine, *, first: int, limit: Seconds | None) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        self._engine, self._number, self._limit = engine, first, limit
        self._tally = Tally(engine.target.metric)
        self._started = time.monotonic()
        self._console = Console(stderr=True)
        self._live = RichLive(get_renderable=self._panel, console=self._console, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def baseline(self, value: float) -> None:
        self._tally.start(value)

    def experiment(self, experiment: Experiment) -> None:
        self._number += 1
        self._tally.take(experiment)
        if experiment.status is Status.KEEP:
            self._live.console.print(f"[green]{_escaped(one_line(self._number, experiment))}[/]")

    def _panel(self) -> RenderableType:
        from rich.panel import Panel
        from rich.table import Table

        from optiloop.report import sparkline

        tally, target = self._tally, self._engine.target
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bright_black", justify="right")
        table.add_column(overflow="ellipsis", no_wrap=True)
        table.add_row("now", f"experiment {self._number + 1}: {_escaped(self._engine.phase)}")
        if tally.baseline is not None and tally.champion is not None:
            unit = _escaped(target.metric.unit)
            ratio = (
                f"  [bold green]{tally.ratio:.3g}x[/]{_bounds(tally.last)}"
                if tally.counts[Status.KEEP]
                else ""
            )
            table.add_row("champion", f"{tally.champion:.6g} {unit}  (baseline {tally.baseline:.6g}){ratio}")
            table.add_row("", f"[green]{sparkline(tally.champions[-60:])}[/]")
        counts = (f"[{COLOURS[status]}]{count} {status}[/]" for status, count in sorted(tally.counts.items()))
        table.add_row("so far", "  ".join(counts) or "nothing yet")
        if tally.last is not None:
            table.add_row("last", _escaped(one_line(self._number, tally.last)))
        table.add_row("time", self._clock())
        return Panel(
            table, title=f"optiloop {_escaped(target.name)}", title_align="left", border_style="bright_black"
        )

    def _clock(self) -> str:
        spent = time.monotonic() - self._started
        left = "" if self._limit is None else f", {duration(max(0.0, self._limit - spent))} left"
        return f"{duration(spent)}{left}   [bright_black](Ctrl-C ends in order)[/]"


def choose(engine: Engine, *, json: bool, first: int, limit: Seconds | None) -> View:
    """The view that fits: JSON lines where asked for, a live panel on a terminal, plain lines elsewhere."""
    if json:
        return Json()
    if sys.stderr.isatty():
        return Live(engine, first=first, limit=limit)
    return Lines(engine.target.metric, first)


def one_line(number: int, experiment: Experiment) -> str:
    """An experiment on one line: number, status, effect, what it was, and why it ended so."""
    effect = "" if experiment.effect is None else f" {experiment.effect:.3g}x"
    what = experiment.hypothesis or experiment.origin
    return f"#{number} {experiment.status}{effect}  {what}  ({experiment.reason}; {experiment.seconds:.1f} s)"


def _bounds(experiment: Experiment | None) -> str:
    if experiment is None or experiment.interval is None:
        return ""
    low, high = experiment.interval.low, experiment.interval.high
    return f" [bright_black](last step {low:.3g}x..{high:.3g}x)[/]"


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape("".join(char for char in text if char.isprintable()))


def _say(text: str) -> None:
    sys.stderr.write("".join(char for char in text if char.isprintable()) + "\n")
    sys.stderr.flush()
