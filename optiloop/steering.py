"""What people say to a loop that runs: pause, go on, and a note for the next briefs. Effect.

One small file beside the log, written in one step by whoever speaks and read by the loop between cycles.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from optiloop.files import disk
from optiloop.ledger import write_atomically
from optiloop.untrusted import plain_line

MOST = 500
"""Characters of a note: it stands in every brief."""


@dataclass(frozen=True)
class Steering:
    """What was said last: whether to wait, and the note; empty for none."""

    paused: bool = False
    note: str = ""


def read(home: Path) -> Steering:
    """What was said to the campaign in a folder; nothing where that cannot be read."""
    try:
        found = json.loads((home / "steering.json").read_text(encoding="utf-8"))
        return Steering(bool(found["paused"]), plain_line(str(found["note"]), MOST))
    except (OSError, ValueError, KeyError, TypeError):
        return Steering()


def pause(home: Path) -> None:
    """Have the loop wait when its experiment is done."""
    _write(home, replace(read(home), paused=True))


def resume(home: Path) -> None:
    """Have it go on."""
    if read(home).paused:
        _write(home, replace(read(home), paused=False))


def steer(home: Path, note: str) -> None:
    """Leave a note for the briefs from now on; an empty one takes the last back."""
    _write(home, replace(read(home), note=plain_line(note, MOST)))


def _write(home: Path, said: Steering) -> None:
    with disk(home):
        home.mkdir(parents=True, exist_ok=True)
        write_atomically(home / "steering.json", json.dumps(asdict(said)) + "\n")
