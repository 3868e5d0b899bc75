"""What became of findings, on disk beside the log: `events.jsonl`. Touches files.

Append-only and hash-chained as the experiment log, under a lock of its own: a person may take a finding back
while a loop runs. A torn last line never happened. All statistics are derived from the experiment log.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from optiloop.errors import LedgerError, UsageError
from optiloop.ledger import sync_folder, write_whole
from optiloop.memory.cases import past_of
from optiloop.memory.contradictions import contradictions
from optiloop.memory.findings import State, findings
from optiloop.memory.insights import Learned
from optiloop.memory.lifecycle import Event, decode, encode, retracted, retraction, states, transitions
from optiloop.memory.runs import run_of
from optiloop.model import Experiment
from optiloop.record import RecordError, digest

FILE = "events.jsonl"
LOG = "experiments.jsonl"


def events_of(home: Path) -> list[Event]:
    """The events beside a log, oldest first; none without a file. Raises LedgerError at a bad line."""
    path = home / FILE
    try:
        return _read(path, path.read_bytes())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise LedgerError(f"{path}: cannot read: {error.strerror}; mend it, then run again") from None


def taken_back(log: Path) -> frozenset[str]:
    """The ids of the findings of a campaign's log that somebody took back; none of any other log."""
    return retracted(events_of(log.parent)) if log.name == LOG else frozenset()


def retractions(log: Path) -> str:
    """A digest of what was taken back of a campaign's log, of lines that nobody decodes: most have none."""
    path = log.parent / FILE
    text = path.read_bytes() if log.name == LOG and path.exists() else b""
    mark = f'"now":"{State.RETRACTED}"'.encode()
    return digest(b"\n".join(it for it in text.split(b"\n") if mark in it)) if mark in text else ""


def record(home: Path, known: Learned, *, time: str) -> list[Event]:
    """Write how far each finding is to be believed now, where that has changed; return the new events.

    To be called when a run ends; `time` is that of its last experiment.
    """
    if not known.past.count:
        return []

    def changes(events: Sequence[Event]) -> list[Event]:
        gone = retracted(events)  # somebody may have taken one back since it was made
        found = [replace(it, state=State.RETRACTED) if it.id in gone else it for it in known.findings]
        return transitions(found, states(events), time=time, after=known.past.count)

    return _appended(home / FILE, changes)


def retract(home: Path, experiments: Iterable[Experiment], finding: str, *, why: str, time: str) -> Event:
    """Take a finding back for good. Raises UsageError where the log gives none of that id."""
    past = past_of(run_of(it, seq) for seq, it in enumerate(experiments, 1))
    named = [it for it in findings(past, contradictions(past)) if it.id == finding]
    if not named:
        raise UsageError(f"no finding is called {finding!r}")
    (event,) = _appended(
        home / FILE,
        lambda known: [retraction(named[0], states(known), why, time=time, after=past.count)],
    )
    return event


def _appended(path: Path, changes: Callable[[Sequence[Event]], Sequence[Event]]) -> list[Event]:
    """Read, ask what is new, and write it chained to the end and to the disk, all under one lock.

    Where the disk is full nothing of it remains.
    """
    created = not path.exists()
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            text = path.read_bytes()
            known = _read(path, text)
            lines, new = _chained(_last(text), changes(known))
            if lines:
                write_whole(descriptor, lines, end=text.rfind(b"\n") + 1)
        finally:
            os.close(descriptor)
        if created:
            sync_folder(path.parent)
    except OSError as error:
        reason = error.strerror or str(error)
        raise LedgerError(f"{path}: cannot append: {reason}; free space, then run again") from None
    return new


def _chained(previous: str, events: Iterable[Event]) -> tuple[bytes, list[Event]]:
    lines, chained = [], []
    for event in events:
        chained.append(replace(event, previous=previous))
        lines.append(encode(chained[-1]) + b"\n")
        previous = digest(lines[-1][:-1])
    return b"".join(lines), chained


def _last(text: bytes) -> str:
    """The hash of the last whole line; empty where there is none."""
    whole = text[: text.rfind(b"\n") + 1].splitlines()
    return digest(whole[-1]) if whole else ""


def _read(path: Path, text: bytes) -> list[Event]:
    found, previous = [], ""
    for number, line in enumerate(text.split(b"\n")[:-1], 1):
        try:
            event = decode(line)
        except RecordError as error:
            raise LedgerError(f"{path}:{number}: {error}; restore the line from a backup") from None
        if event.previous != previous:
            raise LedgerError(
                f"{path}:{number}: the hash chain breaks here: this line or the one before was changed;"
                " restore it from a backup"
            )
        found.append(event)
        previous = digest(line)
    return found
