"""What to look at in a log: conflicts, failures, what is stale, works together, or was never tried. Pure."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from optiloop.memory.cases import Context, Past, Subject
from optiloop.memory.contradictions import (
    Cell,
    Contradiction,
    Datum,
    combined,
    contradictions,
    data,
    gain_said,
    gone_nowhere,
    listed,
    mattered,
    reopened_by,
)
from optiloop.memory.findings import Credit, Finding, State, findings, gone_from, notes, share_kept
from optiloop.memory.relevance import Code

FEWEST_FAILURES = 3
CLEAR_PATTERN = 2.0
"""Standard errors by which two changes together must differ from their sum."""
SATURATED = 20
"""Runs of a family, none of the newest so many kept."""
MOST = 12
_REASON = 80


class Focus(StrEnum):
    """What insights are asked for."""

    CONTRADICTIONS = "contradictions"
    FAILURES = "failures"
    STALE = "stale"
    PATTERNS = "patterns"
    DISCOVER = "discover"


@dataclass(frozen=True)
class Insight:
    """One line, the numbers of the runs that it rests on, and the finding it is about; empty for none."""

    focus: Focus
    says: str
    runs: tuple[int, ...] = ()
    finding: str = ""


@dataclass(frozen=True)
class Learned:
    """What was made of a log: its past, its findings, its contradictions, and the data of both."""

    past: Past
    findings: Sequence[Finding]
    contradictions: Sequence[Contradiction]
    data: Mapping[Subject, Sequence[Datum]]

    def notes(self, place: str, entities: Iterable[str]) -> tuple[str, ...]:
        """What a proposer should know at a place and of some entities; a line begins with a finding's id."""
        share = share_kept(self.past)
        return tuple(notes(self.findings, self.contradictions, [place], entities, share=share))

    def reopens(self, experiment: str, entities: Iterable[str]) -> str:
        """What has changed since an experiment that made a difference to its entities; empty for nothing."""
        if not self._mattered or experiment not in self._contexts:
            return ""
        return reopened_by(self._contexts[experiment], self.past.now, entities, self._mattered)

    @cached_property
    def _mattered(self) -> Mapping[str, frozenset[str]]:
        return mattered(self.contradictions)

    @cached_property
    def _contexts(self) -> Mapping[str, Context]:
        return {case.run.id: case.context for case in self.past.cases}


def learned(
    past: Past,
    source: Mapping[str, str] | None = None,
    *,
    retracted: frozenset[str] = frozenset(),
    earned: Mapping[str, Credit] | None = None,
) -> Learned:
    """Read a past. `source` is the champion's text by path; None: not known, and nothing counts as gone.

    `retracted` are ids that somebody took back, `earned` is what showing a finding has come to.
    """
    code = None if source is None else Code(source, past.now)
    measured = data(past)
    opposed = contradictions(past, gone=gone_from(code, past) if code else gone_nowhere, measured=measured)
    told = findings(past, opposed, code=code, earned=earned, retracted=retracted, measured=measured)
    return Learned(past, told, opposed, measured)


def insights(known: Learned, focus: Focus) -> list[Insight]:
    """The insights of one kind, the most telling first."""
    return list(_ASKED[focus](known))[:MOST]


def _contradictions(known: Learned) -> Iterator[Insight]:
    ids = {it.subject: it.id for it in known.findings if not it.scope}
    for it in known.contradictions:
        yield Insight(Focus.CONTRADICTIONS, it.says, it.runs, ids[it.subject])


def _failures(known: Learned) -> Iterator[Insight]:
    """What failed again and again and was never kept, with the commonest reason."""
    reasons = {case.run.seq: case.run.reason for case in known.past.cases}
    clusters = [
        it for it in known.findings if it.failed >= FEWEST_FAILURES and not it.helped and not it.scope
    ]
    for it in sorted(clusters, key=lambda it: (-it.failed, it.id)):
        ((reason, times),) = Counter(reasons[seq] for seq in it.runs).most_common(1)
        told = f"{it.says}; {times} of {it.n}: {reason[:_REASON]}"
        yield Insight(Focus.FAILURES, told, it.runs, it.id)


def _stale(known: Learned) -> Iterator[Insight]:
    """What the champion no longer has, and what was rewritten since."""
    gone = [it for it in known.findings if it.state in (State.OUTDATED, State.ARCHIVED)]
    rewritten = [it for it in known.findings if it.rewritten and it not in gone]
    for these, why in ((gone, "the code no longer has it"), (rewritten, "rewritten since")):
        for it in these:
            yield Insight(Focus.STALE, f"{it.says}; {why}", it.runs, it.id)


def _patterns(known: Learned) -> Iterator[Insight]:
    """Pairs of changes that together do more, or less, than the sum of what they do alone."""
    alone = known.data
    joint = defaultdict[tuple[str, str], list[Datum]](list)
    single: defaultdict[str, list[Datum]] = defaultdict(list)
    for subject, given in alone.items():
        single[str(subject)] += given
    error = _usual_error(alone)
    for case in known.past.cases:
        names = tuple(sorted(map(str, case.subjects)))
        if len(names) == 2 and case.run.gain is not None:
            joint[names[0], names[1]].append(
                Datum(case.run.seq, case.run.gain, case.run.error or error, case.context)
            )
    ratio = all(case.run.by_ratio for case in known.past.cases)
    found = [
        (abs(z), _together(pair, cell, excess, by_ratio=ratio))
        for pair, given in joint.items()
        if len(given) > 1 and all(single.get(name) for name in pair)
        for cell in [combined(given)]
        for excess, z in [_excess(cell, *(combined(single[name]) for name in pair))]
        if abs(z) > CLEAR_PATTERN
    ]
    yield from (insight for _, insight in sorted(found, key=lambda it: (-it[0], it[1].says)))


def _usual_error(alone: Mapping[Subject, Sequence[Datum]]) -> float:
    """The error of a run that does not tell its own: the middle one of all."""
    errors = sorted(it.error for given in alone.values() for it in given)
    return errors[len(errors) // 2] if errors else 1.0


def _excess(both: Cell, one: Cell, other: Cell) -> tuple[float, float]:
    """What two do together beyond the sum of both, and that in standard errors."""
    excess = both.mean - one.mean - other.mean
    return excess, excess / math.hypot(both.error, one.error, other.error)


def _together(pair: tuple[str, str], cell: Cell, excess: float, *, by_ratio: bool) -> Insight:
    mean, beyond = (gain_said(gain, by_ratio=by_ratio) for gain in (cell.mean, excess))
    word = "beyond" if excess > 0 else "below"
    told = f"{' with '.join(pair)}: {mean} together, {beyond} {word} the sum, n={cell.n}, {listed(cell.runs)}"
    return Insight(Focus.PATTERNS, told, cell.runs)


def _discover(known: Learned) -> Iterator[Insight]:
    """Families that have nothing left to give, and places that those that give were never tried at."""
    tried: defaultdict[str, list[int]] = defaultdict(list)
    kept: defaultdict[str, list[int]] = defaultdict(list)
    where: defaultdict[str, set[str]] = defaultdict(set)
    visits = Counter[str]()
    for case in known.past.cases:
        run = case.run
        if not run.family:
            continue
        tried[run.family].append(run.seq)
        kept[run.family] += [run.seq] * case.helped
        where[run.family] |= set(run.facts.places)
        visits.update(run.facts.places)
    spent = {name for name, runs in tried.items() if _saturated(runs, kept[name])}
    giving = sorted(
        set(tried) - spent, key=lambda name: (-(len(kept[name]) + 1) / (len(tried[name]) + 10), name)
    )
    for name in giving:
        untried = [place for place, _ in visits.most_common() if place not in where[name]]
        if untried and kept[name]:
            told = f"{name} was kept {len(kept[name])} of {len(tried[name])} times, and never tried at"
            yield Insight(Focus.DISCOVER, f"{told} {', '.join(untried[:4])}", tuple(kept[name]))
    for name in sorted(spent):
        told = f"{name} is saturated: none of its last {SATURATED} was kept, of {len(tried[name])} in all"
        yield Insight(Focus.DISCOVER, told, tuple(tried[name][-SATURATED:]))


def _saturated(tried: Sequence[int], kept: Sequence[int]) -> bool:
    return len(tried) >= SATURATED and not set(tried[-SATURATED:]) & set(kept)


_ASKED: Mapping[Focus, Callable[[Learned], Iterator[Insight]]] = {
    Focus.CONTRADICTIONS: _contradictions,
    Focus.FAILURES: _failures,
    Focus.STALE: _stale,
    Focus.PATTERNS: _patterns,
    Focus.DISCOVER: _discover,
}
