"""What a log teaches, one line for each thing tried: what became of it, where, and the runs behind it. Pure.

Runs are put together by structure only, the entity, the way and the scope, and never by what their words look
like. A finding is derived: the log gives it again. What is remembered of it is when its state changed.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from optiloop.memory.cases import Case, Past, Subject
from optiloop.memory.contradictions import (
    CLEAR,
    Contradiction,
    Datum,
    Kind,
    combined,
    data,
    gain_said,
    listed,
)
from optiloop.memory.entities import entity_of
from optiloop.memory.relevance import REWRITTEN, Code, context_match, relevance
from optiloop.model import Experiment, Status

SHOWN = "shown:"
"""The beginning of a tag for each finding that a proposer was shown: the finding's id follows."""
LEAST_WEIGHT = 0.2
"""What was shown is no longer where its weight falls below this, and below the log's own share of keeps."""
LEAST_USES = 5
REPLICATED = 2
"""Runs that must agree for a finding to be confirmed."""
AGAINST = 0.1
"""For each of them so many may go against it."""
FADED = 0.05
"""Below this relevance, and so many experiments after its last run, a finding is archived."""
FORGOTTEN_AFTER = 1000
MOST_NOTES = 6
_VALUES, _PLACES = 4, 8


class State(StrEnum):
    """How far a finding is to be believed."""

    CANDIDATE = "candidate"
    """Tried once, and not clear."""
    ACTIVE = "active"
    """Tried again, or clear."""
    CONFIRMED = "confirmed"
    """Clear, and more than one run says so."""
    CONFLICTED = "conflicted"
    """It helped and it hurt: see its contradiction."""
    OUTDATED = "outdated"
    """What it is about is no longer in the code."""
    ARCHIVED = "archived"
    """Outdated, known from another context, and long ago."""
    RETRACTED = "retracted"
    """Somebody took it back; it stays so."""


TOLD = frozenset({State.CANDIDATE, State.ACTIVE, State.CONFIRMED, State.CONFLICTED})
"""The states of what proposers are told."""


@dataclass(frozen=True)
class Credit:
    """What became of the experiments whose proposer was shown a finding: those decided, and those kept."""

    wins: int = 0
    uses: int = 0

    @property
    def weight(self) -> float:
        """The share of wins, drawn towards a half (Laplace)."""
        return (self.wins + 1) / (self.uses + 2)


@dataclass(frozen=True)
class Finding:
    """What is known of a subject within a scope; an empty scope is everywhere.

    `mean` is the combined gain of its runs that were measured and changed nothing else, `error` its standard
    error; None where there is none. `runs` are the numbers of all, failures without a gain among them,
    `helped` and `failed` how many were decided. `better` and `worse` are values that were tried, by how most
    of their runs ended. `best` is the largest gain of one run.
    """

    id: str
    subject: Subject
    scope: str
    mean: float | None
    error: float | None
    runs: tuple[int, ...]
    helped: int
    failed: int
    together: int
    """Runs that changed other things with it."""
    better: tuple[str, ...]
    worse: tuple[str, ...]
    best: float | None
    by_ratio: bool
    places: tuple[str, ...]
    rewritten: bool
    """Whether a later keep changed what it touched."""
    state: State
    relevance: float
    credit: Credit = field(default_factory=Credit)

    @property
    def n(self) -> int:
        return len(self.runs)

    @property
    def clear(self) -> bool:
        """Whether its gain is beyond its noise."""
        return self.mean is not None and self.error is not None and abs(self.mean) >= CLEAR * self.error

    @property
    def says(self) -> str:
        """On one line: "learning rate up: 0.04, 0.06 worse; best +0.1%, n=9, #47 #51"."""
        scope = f" at {self.scope}" if self.scope else ""
        values = [
            f"{', '.join(known)} {word}"
            for known, word in ((self.better, "better"), (self.worse, "worse"))
            if known
        ]
        counts = f"{self.helped} helped, {self.failed} failed"
        mean = f"mean {self._said(self.mean)}" if self.mean is not None else "never measured"
        spread = f" +- {self._size(self.error)}" if self.error and self.n > 1 else ""
        best = f", best {self._said(self.best)}" if self.best is not None and self.n > 1 else ""
        together = f" ({self.together} with other changes)" if self.together else ""
        told = "; ".join([*values, f"{counts}; {mean}{spread}{best}, n={self.n}{together}"])
        return f"{self.subject}{scope}: {told}, {listed(self.runs)}"

    def _said(self, gain: float | None) -> str:
        return "" if gain is None else gain_said(gain, by_ratio=self.by_ratio)

    def _size(self, error: float) -> str:
        return self._said(error).lstrip("+")


def id_of(subject: Subject, scope: str = "") -> str:
    """The id of a finding: of its structure, and the same for the same in any log."""
    told = "\0".join((subject.entity, subject.way, scope))
    return f"f{hashlib.sha256(told.encode('utf-8', 'backslashreplace')).hexdigest()[:8]}"


def findings(
    past: Past,
    found: Sequence[Contradiction] = (),
    *,
    code: Code | None = None,
    earned: Mapping[str, Credit] | None = None,
    retracted: frozenset[str] = frozenset(),
    measured: Mapping[Subject, Sequence[Datum]] | None = None,
) -> list[Finding]:
    """The findings of a log, the most telling first; of a contradiction by scope also one for each side.

    `code` is the champion's; without it everything counts as alive. `earned` is each finding's credit by its
    id, `retracted` the ids that somebody took back, `measured` the log's `data` where that was made already.
    """
    cases = by_subject(past)
    opposed = {it.subject: it for it in found if not it.suspected}
    made = _Making(past, data(past) if measured is None else measured, code, earned or {}, retracted)
    all_of = [made.finding(subject, each, "", opposed.get(subject)) for subject, each in cases.items()]
    for it in opposed.values():
        for cell in (it.better, it.worse) if it.kind is Kind.SCOPE else ():
            chosen = set(cell.runs)
            side = [case for case in cases[it.subject] if case.run.seq in chosen]
            all_of.append(made.finding(it.subject, side, cell.scope, None))
    return sorted(all_of, key=_telling)


def _telling(it: Finding) -> tuple[object, ...]:
    """Told ones first, then by relevance and worth, the clearer and the more often tried before others."""
    clear = abs(it.mean / it.error) if it.mean is not None and it.error else 0.0
    return it.state not in TOLD, -it.relevance * it.credit.weight, -min(clear, 10.0), -it.n, it.id


@dataclass(frozen=True)
class _Making:
    """What all findings of a log are made of."""

    past: Past
    data: Mapping[Subject, Sequence[Datum]]
    code: Code | None
    credits: Mapping[str, Credit]
    retracted: frozenset[str]

    def finding(
        self, subject: Subject, cases: Sequence[Case], scope: str, opposed: Contradiction | None
    ) -> Finding:
        runs = tuple(case.run.seq for case in cases)
        chosen = set(runs)
        measured = [it for it in self.data.get(subject, ()) if it.seq in chosen]
        cell = combined(measured) if measured else None
        gains = [case.run.gain for case in cases if case.run.gain is not None]
        places = tuple(dict.fromkeys(place for case in cases[-_PLACES:] for place in case.run.facts.places))
        name, values = id_of(subject, scope), _values(subject, cases)
        alive = 1.0 if self.code is None else alive_of(subject, cases, self.code)
        near = context_match(cases[-1].context, self.past.now)
        made = Finding(
            id=name,
            subject=subject,
            scope=scope,
            mean=cell.mean if cell else None,
            error=cell.error if cell else None,
            runs=runs,
            helped=sum(case.helped for case in cases),
            failed=sum(case.failed for case in cases),
            together=sum(not case.run.facts.isolated for case in cases),
            better=tuple(value for value, balance in values.items() if balance > 0)[-_VALUES:],
            worse=tuple(value for value, balance in values.items() if balance < 0)[-_VALUES:],
            best=max(gains, default=None),
            by_ratio=all(case.run.by_ratio for case in cases),
            places=places,
            rewritten=alive == REWRITTEN,
            state=State.CANDIDATE,
            relevance=relevance(alive=alive, match=near),
            credit=self.credits.get(name, Credit()),
        )
        return replace(made, state=self._state(made, alive, opposed))

    def _state(self, it: Finding, alive: float, opposed: Contradiction | None) -> State:
        if it.id in self.retracted:
            return State.RETRACTED
        if self.code is not None and self.code.lacks(alive):
            old = self.past.count - it.runs[-1] > FORGOTTEN_AFTER
            return State.ARCHIVED if old and it.relevance < FADED else State.OUTDATED
        if opposed is not None:
            return State.OUTDATED if opposed.kind is Kind.SUPERSEDED else State.CONFLICTED
        if _agreed(it) and (it.clear or it.mean is None):
            return State.CONFIRMED
        return State.ACTIVE if it.n > 1 or it.clear else State.CANDIDATE


def _agreed(it: Finding) -> bool:
    """Whether enough runs decided as the mean says, and next to none against it."""
    helps = it.mean is not None and it.mean > 0
    pro, contra = (it.helped, it.failed) if helps else (it.failed, it.helped)
    return pro >= REPLICATED and contra <= AGAINST * pro


def by_subject(past: Past) -> Mapping[Subject, list[Case]]:
    """The cases of each subject, oldest first."""
    found: defaultdict[Subject, list[Case]] = defaultdict(list)
    for case in past.cases:
        for subject in case.subjects:
            found[subject].append(case)
    return found


def gone_from(code: Code, past: Past) -> Callable[[Subject], bool]:
    """What the champion's code no longer has, as contradictions ask it."""
    cases = by_subject(past)
    return lambda subject: code.lacks(alive_of(subject, cases[subject], code))


def alive_of(subject: Subject, cases: Sequence[Case], code: Code) -> float:
    """How much of what a subject's latest runs touched is still there: see Code."""
    return max((_alive(subject, case, code) for case in cases[-_PLACES:]), default=1.0)


def _alive(subject: Subject, case: Case, code: Code) -> float:
    facts = case.run.facts
    if not facts.places:  # known by its words only, which name no code
        return 1.0
    own = [knob.name for knob in facts.knobs if entity_of(knob.name) == subject.entity]
    if own:
        return max(code.has_name(name) for name in own)
    own_places = [place for place in facts.places if place.rpartition("::")[2] == subject.entity]
    return max((code.has_place(place, case.run.seq) for place in own_places or facts.places), default=1.0)


def _values(subject: Subject, cases: Iterable[Case]) -> Mapping[str, int]:
    """The values that a subject's knobs were set to, the newest last: how many more helped than failed."""
    found: dict[str, int] = {}
    for case in cases:
        for knob in case.run.facts.knobs:
            if knob.after is not None and entity_of(knob.name) == subject.entity:
                found[knob.after] = found.pop(knob.after, 0) + (case.run.verdict or 0)
    return found


# --- evolve ------------------------------------------------------------------------------------------


def credits_of(experiments: Iterable[Experiment]) -> Mapping[str, Credit]:
    """What each finding that was shown has earned: a keep is a win, an experiment that did not run no use."""
    uses, wins = Counter[str](), Counter[str]()
    for it in experiments:
        shown = {tag.removeprefix(SHOWN) for tag in it.tags if tag.startswith(SHOWN)}
        if it.status not in (Status.DUPLICATE, Status.NO_PROPOSAL):
            uses.update(shown)
            wins.update(shown if it.status is Status.KEEP else ())
    return {name: Credit(wins[name], used) for name, used in uses.items()}


def weights(experiments: Iterable[Experiment]) -> Mapping[str, float]:
    """The weight of each finding that was shown, 0 to 1; a half of what is not known yet."""
    return {name: credit.weight for name, credit in credits_of(experiments).items()}


def worth_showing(it: Finding, share: float) -> bool:
    """Whether proposers are told of a finding. `share` is the log's share of keeps.

    Where few experiments are kept all weights are low: what does no worse than the log is not to blame.
    """
    blamed = it.credit.uses >= LEAST_USES and it.credit.weight < min(LEAST_WEIGHT, share)
    return it.state in TOLD and not blamed


def share_kept(past: Past) -> float:
    """The share of a log's runs that were kept."""
    return sum(case.helped for case in past.cases) / max(1, len(past.cases))


# --- for a brief -------------------------------------------------------------------------------------


def notes(
    found: Iterable[Finding],
    opposed: Iterable[Contradiction],
    places: Iterable[str],
    entities: Iterable[str],
    *,
    share: float = 1.0,
) -> list[str]:
    """What a proposer should know at these places and of these entities, the most telling first.

    Each line begins with the id of its finding; a contradiction stands for the findings it is about.
    """
    where, about = set(places), set(entities)
    said = {it.subject: it.says for it in opposed}
    lines: dict[Subject, str] = {}
    for it in found:
        if it.subject in lines or not worth_showing(it, share):
            continue
        if it.subject.entity in about or where.intersection(it.places):
            lines[it.subject] = f"{it.id} {said.get(it.subject, it.says)}"
    return list(lines.values())[:MOST_NOTES]
