"""Findings of checks -> a task's score from 1 to 5, and the vault's. Pure.

A failed check caps its task's score: what cannot be read is not made good by what else is right with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from optiloop.vault.checks import Finding, Said, check
from optiloop.vault.task import Check, Rubric

LOWEST, HIGHEST = 1.0, 5.0
OPINION_SHARE = 0.5
"""How far a judge's opinion moves a score, up or down, at most: less than any check's cap does."""


@dataclass(frozen=True)
class Judged:
    """One check and what it found."""

    check: Check
    finding: Finding

    @property
    def failed(self) -> bool:
        return self.finding.met < 1


@dataclass(frozen=True)
class Score:
    """A task's score; `failure` says why there was nothing to check, else `judged` has what each found.

    `opinion` is a calibrated judge's, 0 to 1; None where there is no such judge or it abstains.
    """

    task: str
    value: float
    failure: str = ""
    judged: tuple[Judged, ...] = ()
    opinion: float | None = None

    @property
    def failures(self) -> list[tuple[str, str]]:
        """What failed: the check's kind and its words, the lowest cap first."""
        if self.failure:
            return [("answered", self.failure)]
        failed = sorted((it for it in self.judged if it.failed), key=lambda it: it.check.cap)
        return [(it.check.kind, words) for it in failed for words in it.finding.failures]


def score(task: str, said: Said, rubric: Rubric, *, failure: str = "", opinion: float | None = None) -> Score:
    """Judge one output."""
    if failure or not said.text.strip():
        return Score(task, LOWEST, failure or "the output is empty")
    judged = tuple(Judged(asked, check(said, asked)) for asked in rubric.checks)
    return Score(task, value_of(judged, opinion), "", judged, opinion)


def value_of(judged: Sequence[Judged], opinion: float | None = None) -> float:
    """The met share of the checks as a score; an opinion moves it, never above a failed check's cap."""
    weights = math.fsum(it.check.weight for it in judged)
    met = math.fsum(it.check.weight * it.finding.met for it in judged) / weights if weights else 1.0
    value = LOWEST + (HIGHEST - LOWEST) * met
    if opinion is not None:
        value += OPINION_SHARE * (2 * opinion - 1)
    cap = min((it.check.cap for it in judged if it.failed), default=HIGHEST)
    return max(LOWEST, min(value, cap, HIGHEST))


def vault_score(scores: Mapping[str, Score]) -> float:
    """One number for all tasks: the mean."""
    return fmean(found.value for found in scores.values())


def numbers(scores: Mapping[str, Score]) -> dict[str, Any]:
    """What the metric's command prints, by name: `vault_score`, and `task_NAME` of each."""
    each = {f"task_{name.replace('-', '_')}": found.value for name, found in sorted(scores.items())}
    return {"vault_score": vault_score(scores), "min_task": min(each.values()), **each}
