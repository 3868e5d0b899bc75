"""When a finding's state changed, and why: events, and how they stand in a line of JSON. Pure.

The statistics are derived and may be lost; what somebody took back, and when something was first known, is
not in the experiment log and stands here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from optiloop.memory.findings import Finding, State
from optiloop.record import RecordError

VERSION = 1
TRANSITION = "transition"
MOST_RUNS = 12
"""Runs of a finding that an event names: the newest."""


@dataclass(frozen=True)
class Event:
    """A finding's change of state after the `after`-th experiment.

    `about` is its subject, `previous` the hash of the line before.
    """

    time: str
    after: int
    finding: str
    about: str
    was: State
    now: State
    why: str
    runs: tuple[int, ...] = ()
    previous: str = ""


def encode(event: Event) -> bytes:
    """Write an event as a line of JSON, without the newline."""
    told = {"v": VERSION, "type": TRANSITION, **asdict(event)}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def decode(line: bytes) -> Event:
    """Read one line. Raises RecordError with the reason."""
    try:
        return _event(json.loads(line))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RecordError(f"no event: {error}") from None


def _event(found: Mapping[str, Any]) -> Event:
    if found["v"] != VERSION or found["type"] != TRANSITION:
        raise ValueError(f"version {found['v']!r}, type {found['type']!r}; this optiloop reads {VERSION}")
    return Event(
        time=str(found["time"]),
        after=int(found["after"]),
        finding=str(found["finding"]),
        about=str(found["about"]),
        was=State(found["was"]),
        now=State(found["now"]),
        why=str(found["why"]),
        runs=tuple(map(int, found["runs"])),
        previous=str(found["previous"]),
    )


def states(events: Iterable[Event]) -> Mapping[str, State]:
    """The state that each finding was last known to be in; what is not here is a candidate."""
    return {event.finding: event.now for event in events}


def retracted(events: Iterable[Event]) -> frozenset[str]:
    """The ids of what somebody took back."""
    return frozenset(name for name, state in states(events).items() if state is State.RETRACTED)


def transitions(
    found: Sequence[Finding], known: Mapping[str, State], *, time: str, after: int
) -> list[Event]:
    """What has changed since the states that are known, in the order of the findings.

    What the log no longer gives (a split that more runs have moved) is archived.
    """
    changed = [
        Event(time, after, it.id, str(it.subject), was, it.state, _why(it), it.runs[-MOST_RUNS:])
        for it in found
        if (was := known.get(it.id, State.CANDIDATE)) is not it.state
    ]
    given = {it.id for it in found}
    lost = [
        Event(time, after, name, "", was, State.ARCHIVED, "the log no longer tells it apart")
        for name, was in known.items()
        if name not in given and was not in (State.ARCHIVED, State.RETRACTED)
    ]
    return [*changed, *lost]


def retraction(it: Finding, known: Mapping[str, State], why: str, *, time: str, after: int) -> Event:
    """Somebody takes a finding back."""
    was = known.get(it.id, State.CANDIDATE)
    return Event(time, after, it.id, str(it.subject), was, State.RETRACTED, why, it.runs[-MOST_RUNS:])


def _why(it: Finding) -> str:
    """What speaks for the state, in words."""
    reasons = {
        State.CANDIDATE: "one run, and not clear",
        State.CONFLICTED: "it helped and it hurt",
        State.OUTDATED: "the code no longer has it",
        State.ARCHIVED: "gone, and long ago",
    }
    return reasons.get(it.state, it.says)
