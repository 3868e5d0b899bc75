"""The experiments of a campaign, numbered, with the period and the places that they belong to. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from optiloop.memory.facts import facts_of
from optiloop.memory.history import RAN, family_of
from optiloop.model import DEMOTION, Compare, Experiment, Metric, Status
from optiloop.report.campaign import Campaign
from optiloop.report.words import one_line


@dataclass(frozen=True)
class Try:
    """One experiment: its number in the log, counted from 1, and what it changed.

    `places` are functions (`path::function`) and settings, else files: what two experiments must share to be
    about the same thing.
    """

    number: int
    experiment: Experiment
    places: tuple[str, ...]

    @property
    def id(self) -> str:
        return self.experiment.id

    @property
    def family(self) -> str:
        return family_of(self.experiment)

    @property
    def ran(self) -> bool:
        """Whether it was an idea that was run: no duplicate, and nothing taken back."""
        return self.experiment.status in RAN and DEMOTION not in self.experiment.tags

    @property
    def kept(self) -> bool:
        return self.experiment.status is Status.KEEP


def tries_of(campaign: Campaign) -> tuple[Try, ...]:
    """All experiments of a campaign, oldest first."""
    return tuple(
        Try(number, experiment, _places(experiment))
        for number, experiment in enumerate(campaign.experiments, 1)
    )


def _places(experiment: Experiment) -> tuple[str, ...]:
    """Functions and constants; the settings of a file without functions; else its files.

    An import line above the function it serves is no place of its own: it would make all of a file one.
    """
    facts = facts_of(experiment)
    functions = [place for place in facts.places if "::" in place]
    constants = {knob.name for knob in facts.knobs if knob.name.isupper()}
    if functions and not constants:
        return tuple(functions)
    entities = [entity for entity, _ in facts.entities if entity not in facts.files]
    return tuple(dict.fromkeys((*functions, *entities))) or facts.places


def within(tries: tuple[Try, ...], since: datetime | None) -> tuple[Try, ...]:
    """Those from a moment on; None: all. What has no time lies in no period."""
    if since is None:
        return tries
    return tuple(one for one in tries if (at := moment(one.experiment.time)) is not None and at >= since)


def moment(text: str) -> datetime | None:
    """A time of a log line, or a date; UTC where it does not say. None where it is neither."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


_EXIT = re.compile(r"\bexit \d+: (?:error: )?")
_SEED = re.compile(r" \(OPTILOOP_SEED=\d+\)")


def said(experiment: Experiment) -> str:
    """Why an experiment ended so, on one line, without what every crash says: command, exit code and seed."""
    text = _SEED.sub("", one_line(experiment.reason))
    if experiment.status is Status.CRASH and (end := _EXIT.search(text)):
        return text[end.end() :]
    return _EXIT.sub("", text, count=1)


def short(place: str, campaign: Campaign) -> str:
    """A place as people say it: without its file where the campaign edits but one."""
    alone = len(campaign.editable) == 1
    return place.removeprefix(f"{campaign.editable[0]}::") if alone else place


def tries_said(amount: int) -> str:
    return "1 try" if amount == 1 else f"{amount:,} tries"


def none_of(metric: Metric) -> float:
    """The effect that is no effect: a ratio of 1, a difference of 0."""
    return 1.0 if metric.compare is Compare.RATIO else 0.0
