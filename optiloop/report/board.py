"""The champion and its challengers: what was not kept, and looked better. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from optiloop.decide import NEAR_MISSES, gain_of
from optiloop.memory.history import UNANSWERED
from optiloop.memory.novelty import MOST_TRIES
from optiloop.report.campaign import Campaign
from optiloop.report.tries import Try

UNDECIDED, TOO_SMALL = NEAR_MISSES
"""How the reasons of the two kinds of near misses begin."""


class Action(StrEnum):
    """What a person may do about experiments, the most urgent first (docs/reports.md)."""

    PROMOTE = "promote"
    INVESTIGATE_CRASH = "investigate_crash"
    REPLICATE = "replicate"
    FIX_AND_RETRY = "fix_and_retry"
    RETRY = "retry"
    BRANCH_FOLLOWUP = "branch_followup"
    ABANDON = "abandon"


@dataclass(frozen=True)
class Challenger:
    """An idea that was not kept and looked better, as its newest try showed it; `tries` counts all of it."""

    newest: Try
    tries: int
    samples: int
    action: Action


def challengers_of(campaign: Campaign, tries: Sequence[Try]) -> tuple[Challenger, ...]:
    """Ideas of which the newest try was a near miss, those with the most evidence first.

    An idea is one change of one code. One at a place that a standing keep has changed since is no challenger:
    what it was compared with is gone.
    """
    ideas: dict[str, list[Try]] = {}
    for one in tries:
        if one.ran:
            ideas.setdefault(one.experiment.change or one.id, []).append(one)
    changed = _changed(campaign, tries)
    found = [
        Challenger(each[-1], len(each), _samples(each[-1]), _action(each))
        for each in ideas.values()
        if _near_miss(each[-1], campaign)
        and not any(changed.get(place, 0) > each[-1].number for place in each[-1].places)
    ]
    return tuple(sorted(found, key=_rank))


def _changed(campaign: Campaign, tries: Iterable[Try]) -> dict[str, int]:
    """The number of the newest standing keep at each place."""
    standing = {keep.id for keep in campaign.standing}
    return {place: one.number for one in tries if one.id in standing for place in one.places}


def _near_miss(one: Try, campaign: Campaign) -> bool:
    """Better by less than is worth keeping, or undecided with a gain that would be."""
    experiment, metric = one.experiment, campaign.metric
    if experiment.effect is None:
        return False
    gain = gain_of(experiment.effect, metric)
    return gain > 0 and (
        experiment.reason.startswith(TOO_SMALL)
        or (experiment.reason.startswith(UNDECIDED) and gain >= metric.min_effect)
    )


def _action(idea: Sequence[Try]) -> Action:
    reason = idea[-1].experiment.reason
    if reason in UNANSWERED:
        return Action.RETRY
    if reason.startswith(TOO_SMALL):
        return Action.BRANCH_FOLLOWUP
    return Action.REPLICATE if len(idea) < MOST_TRIES else Action.ABANDON


def _samples(one: Try) -> int:
    """How many pairs were taken."""
    measured = one.experiment.measurement
    return len(measured.pairs) if measured else 0


def _rank(challenger: Challenger) -> tuple[float, int]:
    evidence = challenger.newest.experiment.evidence
    return (-(evidence or 0.0), -challenger.newest.number)
