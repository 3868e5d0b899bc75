"""What a log teaches: made of its index, and held there until the log, the code or a retraction changes it.

Touches files. What is held is a cache like the rest of the index, but no part of its content hash.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import optiloop
from optiloop.events import record, retractions, taken_back
from optiloop.index.store import Index, opened, uncollected
from optiloop.memory.cases import past_of
from optiloop.memory.facts import Facts, Knob, Way
from optiloop.memory.insights import Focus, Insight, Learned, insights, learned
from optiloop.memory.lifecycle import Event
from optiloop.memory.runs import Run
from optiloop.model import Status

Source = Mapping[str, str] | None
"""The champion's text by path; None: not known, and nothing counts as gone."""

WAIT_SECONDS = 0.5
"""How long another process may write before what was made is not held."""

HELD = 8
"""Moments (or sources) of which the insights are held: the newest."""


def insights_of(index: Index, now: int, source: Source, focus: Focus) -> list[Insight]:
    """The insights of one kind after `now` experiments: as they are held, else made anew and held."""
    basis = _basis(index, now, source)
    held = index.rows("SELECT told FROM insight WHERE basis = ? AND focus = ?", basis, str(focus))
    if held:
        return [Insight(focus, says, tuple(runs), name) for says, runs, name in json.loads(held[0][0])]
    made = _all_insights(learn(index, now, source))
    _hold(index, basis, made)
    return made[focus]


def settle(log: Path, source: Source) -> list[Event]:
    """Write how far each finding is to be believed now (events), and hold the insights for who asks next.

    To be called when a run ends. Where the index cannot be written, nothing is held.
    """
    index = opened(log, wait=WAIT_SECONDS)
    try:
        ((now, time),) = index.rows(
            "SELECT count(*), (SELECT time FROM run ORDER BY seq DESC LIMIT 1) FROM run"
        )
        basis, known = _basis(index, now, source), learn(index, now, source)
        events = record(log.parent, known, time=time or "")
        _hold(index, basis, _all_insights(known))
        return events
    finally:
        index.close()


def learn(index: Index, now: int, source: Source) -> Learned:
    """What the first `now` experiments teach."""
    with uncollected():
        return learned(past_of(runs_of(index, now)), source, retracted=taken_back(index.log))


def runs_of(index: Index, now: int) -> list[Run]:
    """The first `now` runs, as `read_run` reads them from the log, but for the order of their facts.

    In a sixth of the time: no line is parsed again.
    """
    facts, taken = _facts_of(index, now), defaultdict[int, list[str]](list)
    for seq, keep in index.rows("SELECT until, id FROM run WHERE until <= ? ORDER BY seq", now):
        taken[seq].append(keep)
    statuses = {str(status): status for status in Status}
    rows = index.rows(
        "SELECT seq, id, time, status, verdict, effect, gain, error, by_ratio, champion, value, family,"
        " origin, hypothesis, reason FROM run WHERE seq <= ? ORDER BY seq",
        now,
    )
    nothing = Facts()
    return [
        Run(seq, name, time, statuses[status], verdict, effect, gain, error, bool(by_ratio), champion, value,
            family, origin, said, reason, tuple(taken.get(seq, ())), facts.get(seq, nothing))
        for seq, name, time, status, verdict, effect, gain, error, by_ratio, champion, value,
            family, origin, said, reason in rows
    ]  # fmt: skip


def _facts_of(index: Index, now: int) -> Mapping[int, Facts]:
    """What each run changed, by its number."""
    names = {nid: (kind, name) for nid, kind, name in index.rows("SELECT nid, kind, name FROM name")}
    ways = {str(way): way for way in Way}
    places, knobs = defaultdict[int, list[str]](list), defaultdict[int, list[Knob]](list)
    entities = defaultdict[int, list[tuple[str, Way]]](list)
    for nid, seq, way, before, after in index.rows(
        "SELECT name, seq, way, before, after FROM fact WHERE seq <= ?", now
    ):
        kind, name = names[nid]
        if kind == "place":
            places[seq].append(name)
        elif kind == "entity":
            entities[seq].append((name, ways[way]))
        elif kind == "knob":
            knobs[seq].append(Knob(name, before, after))
    return {
        seq: Facts(
            tuple(places.get(seq, ())), tuple(knobs.get(seq, ())), frozenset(), tuple(entities.get(seq, ()))
        )
        for seq in {*places, *knobs, *entities}
    }


def _all_insights(known: Learned) -> dict[Focus, list[Insight]]:
    with uncollected():
        return {focus: insights(known, focus) for focus in Focus}


# --- what is held ------------------------------------------------------------------------------------


def _basis(index: Index, now: int, source: Source) -> str:
    """A digest of all that insights are made of; the last line's hash stands for the log up to it.

    To be asked before they are made: what is taken back meanwhile fits no more.
    """
    texts = None if source is None else sorted(source.items())
    told = [optiloop.__version__, now, index.digest(now), texts, retractions(index.log)]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _hold(index: Index, basis: str, made: Mapping[Focus, list[Insight]]) -> None:
    """Hold insights for the next who asks; nothing happens where the index is locked or not to be written."""
    rows = [
        (basis, str(focus), json.dumps([(it.says, it.runs, it.finding) for it in told]))
        for focus, told in made.items()
    ]
    with suppress(sqlite3.Error):
        index.connection.execute(f"PRAGMA busy_timeout = {int(1000 * WAIT_SECONDS)}")
        index.connection.execute("BEGIN IMMEDIATE")
        with index.connection:  # commits, or takes all back
            index.connection.executemany("INSERT OR REPLACE INTO insight VALUES (?, ?, ?)", rows)
            index.connection.execute(
                "DELETE FROM insight WHERE rowid <= (SELECT max(rowid) FROM insight) - ?",
                (HELD * len(Focus),),
            )
