"""Is the answer known? What a proposed change is to the log: new, known, or a failure tried again. Pure.

The program decides, not what is said of it. Two things are refused for what they are: a program that was run
(nothing is left to learn), and the same change of the same code that failed before. What is merely alike is
said and allowed: no measure of likeness is right often enough to block (docs/memory.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from optiloop.decide import gain_of
from optiloop.model import Experiment, Kin, Lesson, Metric, Mode, Novelty, Status

AUDITED = 100
"""One of so many refused repeats of a failure is run all the same, at first: a wrong rule must show."""
TRUSTED = 5
"""Audits without a surprise after which they become half as frequent, then a third."""
MOST_TRIES = 3
"""How often one change is tried whose evidence stays weak."""
REOPENED_BY = 2.0
"""How many times better the champion must have become before a small effect is worth another look."""
HARMLESS_EFFECT = 0.99
"""A change that was measured to be worse than this is no better where all else is faster."""

PROGRAM, CHANGE, LIKENESS = "program", "change", "likeness"
"""Levels at which two experiments are kin; the first two are exact."""

TIMED_OUT = re.compile(r"killed at its limit|no answer within|timed? ?out|TimeoutError", re.IGNORECASE)
"""Reasons of failures that may be the machine's."""

_UNDECIDED = ("undecided", "the champion's own level moved")
_ALLOWED: Mapping[Mode, frozenset[Novelty]] = {
    Mode.EXPLORE: frozenset({Novelty.NOVEL}),
    Mode.EXPLOIT: frozenset({Novelty.NOVEL, Novelty.KNOWN_SUCCESS, Novelty.INCREMENTAL_FOLLOWUP}),
    Mode.REPLICATE: frozenset({Novelty.DUPLICATE_RUN, Novelty.KNOWN_SUCCESS, Novelty.INCREMENTAL_FOLLOWUP}),
}


@dataclass
class Audits:
    """What became of refused failures that were run all the same; the log's to count."""

    confirmed: int = 0
    overturned: int = 0

    def learn(self, experiment: Experiment) -> None:
        """Take in one more experiment."""
        if experiment.kin is not None and experiment.kin.audit:
            kept = experiment.status is Status.KEEP
            self.overturned, self.confirmed = self.overturned + kept, self.confirmed + (not kept)

    @property
    def alive(self) -> bool:
        """Whether the rule that a failed change fails again is still to be believed."""
        return self.overturned <= self.confirmed

    def due(self, seed: int) -> bool:
        """Whether the cycle with this seed is to test the rule: the more seldom the better it has done."""
        return seed % (AUDITED * (1 + max(0, self.confirmed - self.overturned) // TRUSTED)) == 0


def judged(kin: Kin, mode: Mode, *, seed: int, audits: Audits) -> Kin:
    """The kin as it stands in this mode: refused, run as an audit, or as it is.

    A change that failed is let through in a few cycles, and always where such audits have shown the rule
    to be wrong.
    """
    if _may_run(kin, mode):
        return kin
    if kin.novelty is Novelty.REPEAT_FAILURE and mode is not Mode.REPLICATE:
        if not audits.alive:
            return kin
        if audits.due(seed):
            return replace(kin, audit=True)
    if kin.novelty is Novelty.DUPLICATE_RUN or kin.level == CHANGE:
        return replace(kin, refused=True)
    why = f"{mode} mode does not run what is {kin.novelty.replace('_', ' ')}"
    return replace(kin, refused=True, why=f"{why}: {kin.why}" if kin.why else why)


def _may_run(kin: Kin, mode: Mode) -> bool:
    if kin.novelty is Novelty.DUPLICATE_RUN and not kin.of:
        return False
    only_alike = kin.novelty is Novelty.REPEAT_FAILURE and kin.level == LIKENESS
    return kin.novelty in _ALLOWED[mode] or (only_alike and mode is Mode.EXPLOIT)


def of_program(twin: Lesson) -> Kin:
    """A program that was run before."""
    why = f"the same program as {twin.id}: {twin.status}, {twin.reason}"
    return Kin(Novelty.DUPLICATE_RUN, twin.id, PROGRAM, why)


def of_champion() -> Kin:
    """The champion itself."""
    return Kin(Novelty.DUPLICATE_RUN, "", PROGRAM, "no change: this is the champion")


def of_change(twin: Lesson, *, stands: bool, tries: int, champion: float | None, metric: Metric) -> Kin:
    """A change that was made to the same code before, when other code was different.

    `stands` says whether a keep is still in the champion, `tries` how often the change was run.
    """
    if twin.status is Status.KEEP and stands:
        return Kin(Novelty.KNOWN_SUCCESS, twin.id, CHANGE, f"the same change was kept in {twin.id}")
    if reason := reopened(twin, tries=tries, champion=champion, metric=metric):
        return Kin(Novelty.INCREMENTAL_FOLLOWUP, twin.id, CHANGE, f"{twin.id} tried it: {reason}")
    ended = "was taken back" if twin.status is Status.KEEP else f"ended in {twin.status}, {twin.reason}"
    why = f"the same change of the same code as {twin.id}, which {ended}; nothing that it touches has changed"
    return Kin(Novelty.REPEAT_FAILURE, twin.id, CHANGE, why)


def of_likeness(near: Lesson, likeness: float) -> Kin:
    """A change that is much like an earlier one at the same place."""
    if near.status is Status.KEEP:
        return Kin(Novelty.INCREMENTAL_FOLLOWUP, near.id, LIKENESS, f"much like {near.id}, which was kept")
    why = f"much like {near.id} ({likeness:.0%} of what they change): {near.status}, {near.reason}"
    return Kin(Novelty.REPEAT_FAILURE, near.id, LIKENESS, why)


def of_setting(kept: Lesson, names: Iterable[str]) -> Kin:
    """Another value of what a kept change has set."""
    why = f"another value of {', '.join(sorted(names))}, which {kept.id} set"
    return Kin(Novelty.INCREMENTAL_FOLLOWUP, kept.id, LIKENESS, why)


def reopened(lesson: Lesson, *, tries: int, champion: float | None, metric: Metric) -> str:
    """Why a change that was not kept may be tried again; empty where it may not.

    Its evidence was weak: it looked better and the samples did not decide, or it ran out of time. Or what it
    is compared with has changed: a small effect may show where all else has become faster.
    """
    if tries < MOST_TRIES and TIMED_OUT.search(lesson.reason):
        return "it ran out of time, which says little of it"
    if lesson.status not in (Status.DISCARD, Status.CRASH):
        return ""
    gain = 0.0 if lesson.effect is None else gain_of(lesson.effect, metric)
    if lesson.reason.startswith(_UNDECIDED) and gain >= metric.min_effect and tries < MOST_TRIES:
        return "it looked better, and was not decided"
    if lesson.champion and champion:
        moved = max(champion / lesson.champion, lesson.champion / champion)
        if moved > REOPENED_BY and (lesson.effect is None or lesson.effect > HARMLESS_EFFECT):
            return f"the champion is {moved:.3g} times what it was"
    return ""
