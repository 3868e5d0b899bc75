"""`optiloop watch`: follow a loop that another process runs, from the disk alone. Effect."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from optiloop import steering
from optiloop.git import locate
from optiloop.ledger import Ledger
from optiloop.model import Experiment, Target
from optiloop.report import words
from optiloop.report.tries import moment
from optiloop.workspace import worker

LOOK_SECONDS = 0.5


@dataclass
class Watched:
    """A loop as others see it: its target, its log and, in a few words, what it does now."""

    target: Target
    ledger: Ledger
    _last: str = ""
    _clock: Callable[[], float] = field(default=time.time)

    @property
    def home(self) -> Path:
        return self.ledger.path.parent

    @property
    def phase(self) -> str:
        """Who works, and since when nothing was written."""
        who = worker(self.home)
        if not who:
            return "no loop runs here"
        if steering.read(self.home).paused:
            return f"paused; {who}; `optiloop resume` goes on"
        at = moment(self._last) if self._last else None
        quiet = "" if at is None else f"; the last ended {_ago(at, self._clock())} ago"
        return f"{who.partition(' on ')[0]}{quiet}"

    def experiments(self) -> Iterator[Experiment]:
        """Those of the log, then each new one as it is written, until no loop runs any more."""
        while True:
            ended = not worker(self.home)  # asked first: what it wrote last is read below
            for experiment in self.ledger.new():
                self._last = experiment.time
                yield experiment
            if ended:
                return
            time.sleep(LOOK_SECONDS)


def watched(target: Target) -> Watched:
    """A target's loop. Whether one runs, `phase` says."""
    place = locate(target.root, target.name, target.editable[0])
    return Watched(target, Ledger(place.home / "experiments.jsonl"))


def _ago(at: datetime, now: float) -> str:
    return words.duration(max(0.0, round(now - at.astimezone(UTC).timestamp())))
