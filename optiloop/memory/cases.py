"""Runs in their context: which values and which code were in force when each was tried. Pure.

A context is made by reading the log in order: a keep sets its knobs, and what it wrote at its places is in
force there until the next; a take-back undoes it. What a diff shows to have been there before is believed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from optiloop.memory.facts import Way
from optiloop.memory.runs import Run

Context = Mapping[str, str]
"""Knob -> its value, and place -> `#N`, the keep that wrote it last; `#0` is the baseline's code."""

BASELINE = "#0"


@dataclass(frozen=True, order=True)
class Subject:
    """What is said to help or not: an entity and a way; where a change has no way, the kind of idea."""

    entity: str
    way: str

    def __str__(self) -> str:
        return f"{self.entity} {self.way}"


@dataclass(frozen=True)
class Case:
    """A run that is evidence, what it is evidence about, and what was in force."""

    run: Run
    subjects: tuple[Subject, ...]
    context: Context

    @property
    def helped(self) -> bool:
        return self.run.verdict == 1

    @property
    def failed(self) -> bool:
        return self.run.verdict == -1


@dataclass(frozen=True)
class Past:
    """The cases of a log, oldest first, what is in force now, and how many experiments there were."""

    cases: tuple[Case, ...]
    now: Context
    count: int


def past_of(runs: Iterable[Run]) -> Past:
    """Read a log's runs in order. Runs between two keeps share one context object.

    A keep that was taken back since says nothing: its gain was luck.
    """
    told = list(runs)
    taken = {keep for run in told if run.kept for keep in run.taken}
    force = _Force(_beginning(told))
    cases = []
    for run in told:
        force.observe(run)
        if run.verdict is not None:
            said = replace(run, verdict=0, gain=None, error=None) if run.kept and run.id in taken else run
            cases.append(Case(said, subjects_of(run), force.values))
        if run.kept:
            force.keep(run)
    return Past(tuple(cases), force.values, len(told))


def subjects_of(run: Run) -> tuple[Subject, ...]:
    """Each entity that a run changed, with its way."""
    idea = run.family or str(Way.CHANGE)
    found = (Subject(entity, idea if way is Way.CHANGE else str(way)) for entity, way in run.facts.entities)
    return tuple(dict.fromkeys(found))


def _beginning(runs: Sequence[Run]) -> dict[str, str]:
    """What was in force before the first run: the first that is seen of each knob, the baseline's code."""
    found: dict[str, str | None] = {}
    for run in runs:
        for knob in run.facts.knobs:
            found.setdefault(knob.name, knob.before)
        if run.kept and not run.facts.knobs:
            found.update((place, BASELINE) for place in run.facts.places)
    return {name: value for name, value in found.items() if value is not None}


class _Force:
    """What is in force, run by run. `values` is never changed, but replaced."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values
        self._undone: dict[str, dict[str, tuple[str | None, str | None]]] = {}

    def observe(self, run: Run) -> None:
        """Believe what a diff shows to have been there."""
        self._set({knob.name: knob.before for knob in run.facts.knobs if knob.before is not None})

    def keep(self, run: Run) -> None:
        """Take in a keep, or a take-back of keeps that are known."""
        known = [self._undone.pop(keep) for keep in run.taken if keep in self._undone]
        for changed in known:
            still = {name: old for name, (old, new) in changed.items() if self.values.get(name) == new}
            self._set(still)
        if not known:
            set_to: dict[str, str | None] = {knob.name: knob.after for knob in run.facts.knobs}
            set_to = set_to or dict.fromkeys(run.facts.places, f"#{run.seq}")
            self._undone[run.id] = {name: (self.values.get(name), new) for name, new in set_to.items()}
            self._set(set_to)

    def _set(self, changed: Mapping[str, str | None]) -> None:
        if any(self.values.get(name) != value for name, value in changed.items()):
            merged = {**self.values, **changed}
            self.values = {name: value for name, value in merged.items() if value is not None}
