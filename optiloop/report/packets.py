"""What to decide in the morning: packets of experiments, each with its reason and a command. Pure.

The rules are deterministic and stand in docs/reports.md. A failure is told in one packet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from optiloop.memory.history import UNANSWERED
from optiloop.model import Recheck, Status
from optiloop.report import words
from optiloop.report.board import Action, Challenger
from optiloop.report.campaign import Campaign
from optiloop.report.failures import Barren, Cluster, mute, slipped, unanswered
from optiloop.report.lineages import Lineage, shown_gain
from optiloop.report.summary import proof
from optiloop.report.tries import Try, none_of, said, short, tries_said

MOST_PACKETS = 8
MOST_OF_A_KIND = 2
UNLIKELY = 0.05
"""A group of ideas is given up where so many tries without a keep were less probable than this."""


@dataclass(frozen=True)
class Packet:
    """One thing to decide: what to do, about which experiments, why, and the command that does it."""

    action: Action
    tries: tuple[Try, ...]
    why: str
    command: str


@dataclass(frozen=True)
class Commands:
    """The command lines of one TARGET, as a shell takes it. Of a log that lies alone nothing can be run."""

    target: str
    alone: bool = False

    def show(self, one: Try) -> str:
        """Look at an experiment."""
        return f"optiloop show {self.target} {one.number}"

    def run(self, one: Try, words: str) -> str:
        """Do something with the target on behalf of an experiment."""
        return self.show(one) if self.alone else f"optiloop {words}"

    def again(self, one: Try, mode: str = "") -> str:
        """Run an experiment's change once more, in the champion of now."""
        run = f"optiloop run {self.target} {mode}--proposer replay:/dev/stdin"
        return self.run(one, f"show {self.target} {one.number} --replay | {run}")


@dataclass(frozen=True)
class Evidence:
    """What the packets are made from: the state of the campaign, and the tries of the period."""

    campaign: Campaign
    tries: tuple[Try, ...]
    period: tuple[Try, ...]
    challengers: tuple[Challenger, ...]
    lineages: tuple[Lineage, ...]
    clusters: tuple[Cluster, ...]
    barren: tuple[Barren, ...]
    commands: Commands


def packets_of(evidence: Evidence) -> tuple[Packet, ...]:
    """All that is to be decided, the most urgent first; at most `MOST_OF_A_KIND` of one action."""
    found: list[Packet] = []
    told: set[str] = set()
    kinds: Counter[Action] = Counter()
    for packet in (packet for rule in _RULES for packet in rule(evidence)):
        news = not {one.id for one in packet.tries} <= told
        if news and kinds[packet.action] < MOST_OF_A_KIND:
            found.append(packet)
            kinds[packet.action] += 1
            told.update(one.id for one in packet.tries if not one.kept)
    order = list(Action)
    return tuple(sorted(found, key=lambda packet: order.index(packet.action)))


# --- the champion ------------------------------------------------------------------------------------


def _promote(evidence: Evidence) -> Iterator[Packet]:
    """Every standing keep was measured again, and the claim is verified."""
    campaign = evidence.campaign
    standing = _standing(evidence)
    if campaign.verified and standing and all(one.id in campaign.rechecks for one in standing):
        why = f"{words.count(len(standing), 'keep')}, each measured again; {proof(campaign)}"
        command = evidence.commands.run(standing[-1], f"apply {evidence.commands.target}")
        yield Packet(Action.PROMOTE, standing, why, command)


def _unproven(evidence: Evidence) -> Iterator[Packet]:
    """Keeps that were not measured again, or a claim that does not say "better"."""
    campaign, commands, standing = evidence.campaign, evidence.commands, _standing(evidence)
    due = tuple(one for one in standing if one.id not in campaign.rechecks)
    if not standing or commands.alone:
        return
    if due or campaign.fresh_claim is None:
        why = f"{len(due)} of {words.count(len(standing), 'keep')} not measured again; {proof(campaign)}"
        yield Packet(Action.REPLICATE, due or standing, why, f"optiloop run {commands.target} --cycles 0")
    elif not campaign.verified:
        yield Packet(Action.REPLICATE, standing, proof(campaign), f"optiloop verify {commands.target}")


def _shaky(evidence: Evidence) -> Iterator[Packet]:
    """A standing keep that did not hold when it was measured again."""
    campaign = evidence.campaign
    for one in _standing(evidence):
        again = campaign.rechecks.get(one.id)
        if again is not None and not _holds(again, campaign):
            now = words.effect(again.effect, campaign.metric.compare)
            fresh = words.count(again.pairs, "fresh pair")
            why = f"{_idea(one)} was kept at {words.gained(one.experiment)}; {now} in {fresh}"
            command = evidence.commands.run(one, f"ablate {evidence.commands.target}")
            yield Packet(Action.REPLICATE, (one,), why, command)


def _holds(again: Recheck, campaign: Campaign) -> bool:
    """Whether a recheck showed a gain. Its interval does not tell: that of a few pairs is open."""
    return again.holds and (again.effect is None or again.effect > none_of(campaign.metric))


def _standing(evidence: Evidence) -> tuple[Try, ...]:
    standing = {keep.id for keep in evidence.campaign.standing}
    return tuple(one for one in evidence.tries if one.id in standing)


# --- failures ----------------------------------------------------------------------------------------


def _crashes(evidence: Evidence) -> Iterator[Packet]:
    """A cluster of crashes."""
    for cluster in evidence.clusters:
        if cluster.status is Status.CRASH:
            yield _of_cluster(Action.INVESTIGATE_CRASH, cluster, evidence)


def _mechanical(evidence: Evidence) -> Iterator[Packet]:
    """Gates that failed again and again for one reason, then slips; not where the idea was kept since."""
    for cluster in evidence.clusters:
        if cluster.status is Status.GATE_FAILED and not mute(cluster.signature):
            yield _of_cluster(Action.FIX_AND_RETRY, cluster, evidence)
    for one in reversed(evidence.period):
        if slipped(one) and not _kept_since(one, evidence):
            why = f"{_idea(one)} ended by a slip: {_told(said(one.experiment))}"
            yield Packet(Action.FIX_AND_RETRY, (one,), why, evidence.commands.show(one))


def _of_cluster(action: Action, cluster: Cluster, evidence: Evidence) -> Packet:
    why = f"{len(cluster.tries)} times: {_told(cluster.line)}"
    return Packet(action, cluster.tries, why, evidence.commands.show(cluster.tries[-1]))


def _kept_since(one: Try, evidence: Evidence) -> bool:
    """Whether a later try of the same family at the same place was kept."""
    return any(
        later.kept and later.family == one.family and not set(later.places).isdisjoint(one.places)
        for later in evidence.tries[one.number :]
    )


def _unanswered(evidence: Evidence) -> Iterator[Packet]:
    """What time or the hold-out's limit ended, not its own worth; once: twice is an answer."""
    for one in reversed(evidence.period):
        if not unanswered(one) or _tried_otherwise(one, evidence):
            continue
        mode = "" if one.experiment.reason in UNANSWERED else "--mode replicate "
        yield Packet(
            Action.RETRY,
            (one,),
            f"{_idea(one)} got no answer: {_told(said(one.experiment))}",
            evidence.commands.again(one, mode),
        )


def _tried_otherwise(one: Try, evidence: Evidence) -> bool:
    """Whether the same change was run another time."""
    change = one.experiment.change
    return change is not None and any(
        it.ran and it.id != one.id and it.experiment.change == change for it in evidence.tries
    )


# --- ideas -------------------------------------------------------------------------------------------


def _weak(evidence: Evidence) -> Iterator[Packet]:
    """A challenger that was not decided and was tried less than three times."""
    for it in evidence.challengers:
        if it.action is Action.REPLICATE:
            experiment = it.newest.experiment
            ends = experiment.interval
            bounds = f", interval {words.bounds(ends, words.compared(experiment))}" if ends else ""
            after = words.count(it.samples, "pair")
            why = f"{_idea(it.newest)} looked {words.gained(experiment)}{bounds}, undecided after {after}"
            yield Packet(
                Action.REPLICATE, (it.newest,), why, evidence.commands.again(it.newest, "--mode replicate ")
            )


def _paying(evidence: Evidence) -> Iterator[Packet]:
    """A lineage that still pays, the largest last gain first."""
    campaign, commands = evidence.campaign, evidence.commands
    paying = [lineage for lineage in evidence.lineages if lineage.paying]
    for it in sorted(paying, key=lambda it: -shown_gain(campaign, it.keeps[-1])):
        last = words.effect(it.last, campaign.metric.compare)
        why = (
            f"{short(it.place, campaign)}: {words.count(len(it.keeps), 'keep')}, the last {last}, "
            f"{tries_said(it.since)} since"
        )
        how = " --proposer human" if campaign.exhausted not in ("", "replay") else " --plateau 20"
        yield Packet(
            Action.BRANCH_FOLLOWUP, it.keeps, why, commands.run(it.keeps[-1], f"run {commands.target}{how}")
        )


def _given_up(evidence: Evidence) -> Iterator[Packet]:
    """Ideas whose tries without a keep are improbable for the campaign's average idea."""
    for it in evidence.barren:
        if it.chance < UNLIKELY:
            group = f"{named(it, evidence.campaign)}: {tries_said(len(it.tries))}, no keep"
            chance = "under 0.1 %" if it.chance < 0.001 else f"{it.chance:.1%}".replace("%", " %")
            why = f"{group}; the chance of that was {chance}, were they as good as the others"
            yield Packet(Action.ABANDON, it.tries, why, evidence.commands.show(it.tries[-1]))


def named(group: Barren, campaign: Campaign) -> str:
    """A group of ideas in words."""
    return " at ".join(filter(None, (words.one_line(group.family), short(group.place, campaign))))


def _idea(one: Try) -> str:
    return f'"{words.shortened(words.one_line(one.experiment.hypothesis), 70)}"'


def _told(reason: str) -> str:
    return words.shortened(words.one_line(reason), 120)


_RULES = (_promote, _crashes, _shaky, _unproven, _mechanical, _unanswered, _weak, _paying, _given_up)
"""In the order in which they may claim a failure; a packet whose failures are all claimed is left out."""
