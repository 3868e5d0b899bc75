"""The morning report: what happened since a moment, and what to decide now. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from optiloop.decide import gain_of
from optiloop.model import DEMOTION, Cost, Status
from optiloop.report import words
from optiloop.report.board import Action, Challenger, challengers_of
from optiloop.report.campaign import Campaign
from optiloop.report.failures import Barren, Cluster, barren_of, clusters_of
from optiloop.report.lineages import Lineage, lineages_of
from optiloop.report.packets import Commands, Evidence, Packet, packets_of
from optiloop.report.summary import improvement
from optiloop.report.tries import Try, tries_of, within

MOST_CHALLENGERS, MOST_LINEAGES, MOST_CLUSTERS, MOST_BARREN, MOST_RECENT = 3, 6, 5, 6, 10
"""Lines of each section: all of it is to be read in three minutes."""

_OUTCOMES = {
    Status.DISCARD: "not better",
    Status.GATE_FAILED: "failed a gate",
    Status.CRASH: "crashed",
    Status.VIOLATION: "touched what they must not",
    Status.DUPLICATE: "known already",
    Status.NO_PROPOSAL: "without a proposal",
}


@dataclass(frozen=True)
class Morning:
    """What a person needs to know of a campaign since a moment, in the order of its sections.

    `period` holds all experiments since then. Each section is complete; the forms cut it. Champion,
    challengers and lineages are those of now, whenever they came; failures and what did not work have at
    least one experiment of the period.
    """

    campaign: Campaign
    since: datetime | None
    headline: str
    packets: tuple[Packet, ...]
    challengers: tuple[Challenger, ...]
    lineages: tuple[Lineage, ...]
    clusters: tuple[Cluster, ...]
    barren: tuple[Barren, ...]
    period: tuple[Try, ...]

    @property
    def recent(self) -> tuple[Try, ...]:
        """The newest experiments of the period, newest first."""
        return self.period[: -MOST_RECENT - 1 : -1]


def morning(campaign: Campaign, since: datetime | None = None, commands: Commands | None = None) -> Morning:
    """The morning report on a campaign since a moment; None: since its first experiment."""
    tries = tries_of(campaign)
    period = within(tries, since)
    challengers = challengers_of(campaign, tries)
    undecided = {it.newest.id for it in challengers if it.action in (Action.REPLICATE, Action.RETRY)}
    evidence = Evidence(
        campaign,
        tries,
        period,
        challengers,
        lineages_of(campaign, tries),
        clusters_of(period),
        barren_of(campaign, tries, period, undecided),
        commands or Commands(campaign.target),
    )
    return Morning(
        campaign,
        since,
        headline(campaign, period),
        packets_of(evidence),
        evidence.challengers,
        evidence.lineages,
        evidence.clusters,
        evidence.barren,
        period,
    )


def headline(campaign: Campaign, period: Sequence[Try]) -> str:
    """What changed, in one sentence."""
    if not period:
        return f"No experiment in this period; {_before(campaign)}."
    kept = [one for one in period if one.kept and DEMOTION not in one.experiment.tags]
    spent = f"{words.duration(_seconds(period))} and {words.money(_cost(period).usd)}"
    if not kept:
        why = _outcomes(campaign, period)
        return f"Nothing was kept in {words.count(len(period), 'experiment')} ({spent}): {why}."
    gone = len({one.id for one in kept} & campaign.taken_back.keys())
    back = f", {gone} of them taken back" if gone else ""
    before, after = (
        words.quantity(value, campaign.metric.unit)
        for value in (_value_before(campaign, period), campaign.champion_value)
    )
    return (
        f"{len(kept)} of {words.count(len(period), 'experiment')} kept{back} ({spent}): "
        f"{campaign.metric.name} from {before} to {after}; against the baseline {improvement(campaign)}."
    )


def _before(campaign: Campaign) -> str:
    timed = [one.time for one in campaign.experiments if one.time]
    if not campaign.experiments:
        return "there is none at all"
    return (
        f"the newest of {len(campaign.experiments):,} is of {timed[-1]}"
        if timed
        else "the log tells no times"
    )


def _value_before(campaign: Campaign, period: Sequence[Try]) -> float | None:
    """The champion's metric when the period began: the last earlier keep's, else the baseline's."""
    earlier = campaign.experiments[: period[0].number - 1]
    values = (campaign.value_of(one) for one in reversed(earlier) if one.status is Status.KEEP)
    return next((value for value in values if value is not None), campaign.baseline_value)


def _outcomes(campaign: Campaign, period: Sequence[Try]) -> str:
    """Why nothing was kept: how the experiments ended, and which came nearest."""
    counts = Counter(one.experiment.status for one in period)
    said = ", ".join(f"{counts[status]} {word}" for status, word in _OUTCOMES.items() if counts[status])
    gains = [
        (gain_of(one.experiment.effect, campaign.metric), one.number, words.gained(one.experiment))
        for one in period
        if one.experiment.effect is not None and one.ran
    ]
    if gains:
        _, number, gained = max(gains)
        said += f"; the best was #{number}, {gained}"
    return f"{said}; nothing is left to try by {campaign.exhausted}" if campaign.exhausted else said


def _seconds(period: Sequence[Try]) -> float:
    return math.fsum(one.experiment.seconds for one in period)


def _cost(period: Sequence[Try]) -> Cost:
    return sum((one.experiment.cost for one in period), Cost())
