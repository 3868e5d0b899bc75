"""`optiloop bench-proposers`: proposers side by side, each from the same baseline on its own copy. Effect."""

from __future__ import annotations

import math
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optiloop.errors import AllowanceError, ProposerGoneError
from optiloop.git import locate
from optiloop.loop import Engine
from optiloop.model import Cost, Status, Target
from optiloop.proposers import find_proposer
from optiloop.targets import load_target

_TELLING = math.log(1e6)
"""A rate above this is of a run that took next to nothing: no factor to show people."""
_NOT_COPIED = shutil.ignore_patterns(".optiloop", ".git", "__pycache__")


@dataclass(frozen=True)
class Entry:
    """What one proposer did: log gains are natural logarithms of how many times better its champion is.

    `seconds` is the time of its cycles, baseline and claim left out. Gain and interval are of a fresh
    measurement; 0 where nothing was kept, None where a ratio has no meaning. `ended` says why it made fewer
    cycles than were asked for.
    """

    proposer: str
    cycles: int
    kept: int
    seconds: float
    cost: Cost
    gain: float | None
    low: float | None
    high: float | None
    ended: str = ""

    def per(self, units: float) -> tuple[float, float, float] | None:
        """The gain and its interval for one of so many units; None where there is none of either."""
        if self.gain is None or self.low is None or self.high is None or not units:
            return None
        return self.gain / units, self.low / units, self.high / units

    def as_json(self) -> dict[str, Any]:
        """The same for scripts. Rates are log gains, [value, low, high]."""
        return {
            "proposer": self.proposer,
            "cycles": self.cycles,
            "kept": self.kept,
            "seconds": round(self.seconds, 3),
            "cost": {"usd": self.cost.usd, "tokens": self.cost.tokens},
            "ratio": None if self.gain is None else math.exp(self.gain),
            "per_cycle": self.per(self.cycles),
            "per_second": self.per(self.seconds),
            "per_token": self.per(self.cost.tokens),
            "ended": self.ended,
        }


def as_table(entries: Sequence[Entry]) -> str:
    """The same for people: how many times better, in all, for each cycle, minute and 1,000 tokens."""
    heads = ("cycles", "kept", "better, 95 % interval", "per cycle", "per minute", "per 1,000 tokens")
    widths = (6, 4, 24, 22, 22, 22)
    name = max(8, *(len(entry.proposer) for entry in entries))
    titles = (f"{head:>{width}}" for head, width in zip(heads, widths, strict=True))
    lines = ["  ".join((f"{'':{name}}", *titles))]
    for entry in entries:
        units = (1.0, entry.cycles, entry.seconds / 60, entry.cost.tokens / 1000)
        cells = (str(entry.cycles), str(entry.kept), *(_factor(entry.per(unit)) for unit in units))
        shown = (f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        lines.append("  ".join((f"{entry.proposer:{name}}", *shown)).rstrip())
        lines += [f"{'':{name}}  ended: {entry.ended}"] if entry.ended else []
    return "\n".join(lines)


def _factor(gains: tuple[float, float, float] | None) -> str:
    if gains is None:
        return "-"
    if max(gains) > _TELLING:
        return "too short to tell"
    value, low, high = map(math.exp, gains)
    return f"{value:.3g}x ({low:.3g}..{high:.3g})" if value >= 10 else f"{value:.3f}x ({low:.3f}..{high:.3f})"


def contest(
    target: Target,
    proposers: Sequence[str],
    *,
    cycles: int,
    seed: int = 0,
    sandbox: str = "auto",
    say: Callable[[str], None] = lambda _: None,
) -> list[Entry]:
    """Let each proposer run its cycles on a copy of the target as it lies there. The target is only read.

    `say` hears what is being done. Raises what preparing a baseline raises.
    """
    entries = []
    for spec in proposers:
        with tempfile.TemporaryDirectory(prefix="optiloop-") as scratch:
            copied = load_target(copy_of(target, Path(scratch) / "copy"))
            entries.append(_run(copied, spec, cycles, seed, sandbox, say))
    return entries


def copy_of(target: Target, to: Path) -> Path:
    """Copy what a target needs: its folder, or all of its repository that git does not ignore."""
    place = locate(target.root, target.name, target.editable[0])
    if place.private:
        shutil.copytree(place.top, to, symlinks=True, ignore=_NOT_COPIED)
        return to
    listed = subprocess.run(
        ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"),
        cwd=place.top,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source, copy = place.top / name, to / name
        if source.is_file() or source.is_symlink():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy, follow_symlinks=False)
    return to / place.prefix


def _run(
    target: Target, spec: str, cycles: int, seed: int, sandbox: str, say: Callable[[str], None]
) -> Entry:
    ended = ""
    with Engine.opened(target, find_proposer(spec), seed=seed, sandbox=sandbox) as engine:
        say(f"{spec}: the baseline")
        engine.prepare()
        started = time.monotonic()
        while not ended and len(engine.history()) < cycles:
            say(f"{spec}: cycle {len(engine.history()) + 1} of {cycles}")
            try:
                ended = "" if engine.cycle() else "nothing is left to try"
            except (AllowanceError, ProposerGoneError) as error:
                ended = str(error)
        seconds = time.monotonic() - started
        history = engine.history()
        costs = [lesson.cost for lesson in history.latest(len(history))]
        gain = low = high = 0.0 if history.head is None else None
        if history.head is not None:
            say(f"{spec}: the claim")
            claim = engine.claim()
            if claim.ratio is not None and claim.interval is not None:
                ends = claim.ratio, claim.interval.low, claim.interval.high
                gain, low, high = (math.log(end) if end > 0 else None for end in ends)
    return Entry(
        spec, len(history), history.statuses[Status.KEEP], seconds, sum(costs, Cost()), gain, low, high, ended
    )
