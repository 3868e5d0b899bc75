"""What a person or a script sees while a run goes on: a live view, plain lines, or JSON lines. Effect.

A view is handed each experiment as it ends; the live one also looks at the engine's phase now and then.
Progress goes to stderr, JSON lines to stdout.
"""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from statistics import median
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, Self

from optiloop.decide import effect_of, gain_of
from optiloop.ledger import Ledger
from optiloop.model import Compare, Experiment, Interval, Metric, Status, Target
from optiloop.record import encode
from optiloop.report import words
from optiloop.stopping import Limits

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

Style = Literal["live", "lines", "json"]

WIDEST_LINE = 60
"""Bars of the sparkline, where the terminal has room."""

_BESIDE = 20
"""Columns of the panel that are frame, labels and gaps."""


class Shown(Protocol):
    """What a view shows: an engine, or what others see of one."""

    target: Target
    ledger: Ledger

    @property
    def phase(self) -> str:
        """What is being done now, in a few words."""


class View(AbstractContextManager["View"], Protocol):
    """Shows a run."""

    def baseline(self, value: float) -> None:
        """The baseline was measured, or is known."""

    def experiment(self, experiment: Experiment) -> None:
        """One experiment ended."""


@dataclass
class Tally:
    """What a view knows of the campaign so far, earlier runs included.

    `gain` is the sum of the kept gains: biased upward, for each was kept because it looked good. `below` and
    `above` are the squared distances to the ends of their intervals, summed as those of independent
    measurements are. The closing claim is measured afresh and uses none of this.
    """

    metric: Metric
    baseline: float | None = None
    gain: float | None = 0.0
    below: float = 0.0
    above: float = 0.0
    champion: float | None = None
    course: list[float] = field(default_factory=list)
    counts: Counter[Status] = field(default_factory=Counter)
    last: Experiment | None = None
    usd: float = 0.0
    tokens: int = 0

    def start(self, value: float) -> None:
        """Take in the baseline; a campaign that goes on keeps its champion."""
        self.baseline = value
        self.course.insert(0, value)
        if self.champion is None:
            self.champion = value

    def take(self, experiment: Experiment) -> None:
        """Take in the next experiment of the log."""
        self.counts[experiment.status] += 1
        self.usd += experiment.cost.usd
        self.tokens += experiment.cost.tokens
        self.last = experiment
        if experiment.status is Status.KEEP:
            self._keep(experiment)
        if self.champion is not None:
            self.course.append(self.champion)

    def _keep(self, experiment: Experiment) -> None:
        gain = None if experiment.effect is None else gain_of(experiment.effect, self.metric)
        self.gain = None if self.gain is None or gain is None else self.gain + gain
        if gain is not None and experiment.interval is not None:
            self.below += (gain - _end(experiment.interval.low, self.metric)) ** 2
            self.above += (_end(experiment.interval.high, self.metric) - gain) ** 2
        if experiment.measurement is not None:
            name = self.metric.name
            self.champion = median(pair.candidate.values[name] for pair in experiment.measurement.pairs)

    @property
    def gained(self) -> str:
        """How many times better, with its interval, in words; empty before the first keep."""
        if not self.counts[Status.KEEP] or self.gain is None:
            return ""
        effect = words.effect(effect_of(self.gain, self.metric), self.metric.compare)
        if not self.below and not self.above:
            return f"{effect} better"
        ends = Interval(
            effect_of(self.gain - math.sqrt(self.below), self.metric),
            effect_of(self.gain + math.sqrt(self.above), self.metric),
        )
        return f"{effect} better ({words.bounds(ends, self.metric.compare)})"


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
        _say(f"baseline: {self._metric.name} {words.quantity(value, self._metric.unit)}")

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
    """A panel that redraws in place; kept experiments scroll by above it. Drawn on stderr."""

    def __init__(
        self, engine: Shown, limits: Limits, earlier: Iterable[Experiment], *, ctrl_c: str = "ends in order"
    ) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        self._engine, self._limits, self._ctrl_c = engine, limits, ctrl_c
        self._tally = Tally(engine.target.metric)
        for experiment in earlier:
            self._tally.take(experiment)
        self._done = 0
        self._started = time.monotonic()
        self._ended = False
        self._console = Console(stderr=True, highlight=False)
        self._live = RichLive(get_renderable=self._panel, console=self._console, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._live.__exit__(kind, error, trace)

    def baseline(self, value: float) -> None:
        self._tally.start(value)

    def experiment(self, experiment: Experiment) -> None:
        from rich.text import Text

        self._done += 1
        self._tally.take(experiment)
        if experiment.status is Status.KEEP:
            line = one_line(self._tally.counts.total(), experiment)
            self._live.console.print(Text(line, style=_colour(experiment.status)))

    def _panel(self) -> RenderableType:
        from rich.panel import Panel
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bright_black", no_wrap=True, min_width=8)
        grid.add_column(no_wrap=True, overflow="ellipsis")
        for label, said in self._rows():
            grid.add_row(label, said if isinstance(said, Text) else Text(said))
        title = Text(f"optiloop {words.one_line(self._engine.target.name)}")
        # Two columns are left free: the terminal's own "^C" would break the last line, and the redrawing.
        width = max(4, self._console.width - 2)
        return Panel(grid, title=title, title_align="left", border_style="bright_black", width=width)

    def _rows(self) -> list[tuple[str, Text | str]]:
        tally, unit = self._tally, self._engine.target.metric.unit
        rows: list[tuple[str, Text | str]] = [("now", self._now())]
        if tally.baseline is not None:
            value = words.quantity(tally.champion, unit)
            rows.append(("champion", f"{value}, from {words.quantity(tally.baseline, unit)}"))
            rows.append(("gain", self._gain()))
            rows.append(("course", self._course()))
        rows.append(("so far", self._counts()))
        if tally.last is not None:
            rows.append(("last", one_line(tally.counts.total(), tally.last)))
        rows.append(("budget", self._budget()))
        return rows

    def _now(self) -> str:
        if self._ended:
            return "ended"
        phase = words.one_line(self._engine.phase)
        if self._tally.baseline is None or phase.startswith("claim"):
            return phase
        number, most = self._tally.counts.total() + 1, self._limits.cycles
        of = f" ({self._done + 1} of {most} in this run)" if most is not None and self._done < most else ""
        return f"experiment {number}{of}: {phase}"

    def _gain(self) -> Text:
        from rich.text import Text

        said = self._tally.gained
        return Text(said, style="bold green") if said else Text("none yet", style="bright_black")

    def _course(self) -> Text:
        from rich.text import Text

        from optiloop.report import sparkline

        width = max(1, min(WIDEST_LINE, self._console.width - _BESIDE))
        return Text(sparkline(self._tally.course, width=width), style="green")

    def _counts(self) -> Text:
        from rich.text import Text

        counts = self._tally.counts
        parts = [
            Text(f"{counts[status]} {status}", style=_colour(status)) for status in Status if counts[status]
        ]
        return Text("  ").join(parts) if parts else Text("no experiments yet", style="bright_black")

    def _budget(self) -> str:
        """What is spent, and what is left of every limit."""
        spent, limits, tally = time.monotonic() - self._started, self._limits, self._tally
        parts = [_clock(spent)]
        if limits.seconds is not None:
            parts.append(f"{_clock(max(0.0, limits.seconds - spent))} left")
        if tally.tokens or tally.usd or limits.usd is not None:
            of = "" if limits.usd is None else f" of {words.money(limits.usd)}"
            parts.append(f"{words.money(tally.usd)}{of}, {tally.tokens:,} tokens")
        if limits.until is not None:
            parts.append(f"until {limits.until.metric} {limits.until.sign} {limits.until.value:g}")
        if not self._ended:
            parts.append(f"Ctrl-C {self._ctrl_c}")
        return ", ".join(parts)


def opened(style: Style, engine: Shown, limits: Limits, *, ctrl_c: str = "ends in order") -> View:
    """The view of that style, which knows what the campaign's earlier runs have done."""
    if style == "json":
        return Json()
    if style == "lines":
        return Lines(engine.target.metric, sum(1 for _ in Ledger(engine.ledger.path).new()))
    return Live(engine, limits, Ledger(engine.ledger.path).new(), ctrl_c=ctrl_c)


def one_line(number: int, experiment: Experiment) -> str:
    """An experiment on one line: number, status, effect, what it was, and why it ended so."""
    effect = "" if experiment.effect is None else f" {words.gained(experiment)}"
    what = experiment.hypothesis or experiment.origin
    took = words.duration(round(experiment.seconds, 1))
    return words.one_line(f"#{number} {experiment.status}{effect}: {what} ({experiment.reason}; {took})")


def _end(value: float, metric: Metric) -> float:
    """An end of an interval as a gain; infinite where it is open."""
    if value <= 0 and metric.compare is Compare.RATIO:
        return -math.inf
    return gain_of(value, metric) if math.isfinite(value) else value


def _colour(status: Status) -> str:
    from optiloop.report.console import STYLES

    return STYLES[status]


def _clock(seconds: float) -> str:
    """Whole seconds: a tenth that changes four times a second is noise."""
    return words.duration(math.floor(seconds))


def _say(text: str) -> None:
    sys.stderr.write(words.one_line(text) + "\n")
    sys.stderr.flush()
