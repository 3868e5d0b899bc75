"""What did not work: failures of one kind together, and what was tried again and again for nothing. Pure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from optiloop.decide import gain_of
from optiloop.memory.history import UNANSWERED
from optiloop.memory.novelty import TIMED_OUT
from optiloop.model import Status
from optiloop.report.campaign import Campaign
from optiloop.report.tries import Try, said
from optiloop.report.words import one_line

FAILED = (Status.CRASH, Status.GATE_FAILED, Status.VIOLATION)
LEAST_RATE, MOST_RATE = 0.05, 0.5
"""A group of ideas is held to the share of keeps among the others, within these bounds: few tell little."""


@dataclass(frozen=True)
class Cluster:
    """Failures whose reasons are one but for numbers, ids and paths; oldest first.

    `line` is the commonest reason in words. `places` and `families` count them, the most first.
    """

    status: Status
    signature: str
    line: str
    tries: tuple[Try, ...]
    places: Mapping[str, int]
    families: Mapping[str, int]


@dataclass(frozen=True)
class Barren:
    """Ideas of one family, at one place, or both, none of which is kept.

    `best` is the largest effect that one of them showed, None where none was measured. `chance` is how
    probable so many tries without a keep would be if they were as good as the campaign's other ideas.
    """

    place: str
    family: str
    tries: tuple[Try, ...]
    best: float | None
    chance: float


def clusters_of(tries: Iterable[Try]) -> tuple[Cluster, ...]:
    """Failures that came at least twice with one signature, the largest cluster first.

    A summary of tests says only that some failed: what it sums up is told apart by place.
    """
    groups: defaultdict[tuple[Status, str, str], list[Try]] = defaultdict(list)
    for one in tries:
        if one.experiment.status in FAILED:
            kind = signature(one.experiment.reason)
            place = (one.places or ("",))[0] if mute(kind) else ""
            groups[one.experiment.status, kind, place].append(one)
    found = [
        Cluster(status, kind, _commonest(each), tuple(each), _counts(each, "place"), _counts(each, "family"))
        for (status, kind, _), each in groups.items()
        if len(each) > 1
    ]
    return tuple(sorted(found, key=lambda it: (-len(it.tries), it.tries[0].number)))


_PATH = re.compile(r"(?<![\w/])(?:[A-Za-z]:)?[\w.~-]*(?:[/\\][\w.@~+-]+)+")
_ID = re.compile(
    r"\b(?=\w*\d)(?:[0-9a-f]{7,64}|[0-9A-HJKMNP-TV-Z]{26}|0x[0-9a-f]+)\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4,12}){4}\b"
)
_NUMBER = re.compile(r"(?<![A-Za-z_])[-+]?\d[\d_,]*(?:\.\d+)?(?:[eE][-+]?\d+)?")
_SUMMARY = re.compile(
    r"(?:exit|in|s|N|and|errors?|failed|passed|skipped|deselected|warnings?|xfailed|xpassed|tests?|must|no|[,:=.\s])+"
)


def signature(reason: str) -> str:
    """A reason without what differs from run to run: numbers, ids and paths."""
    text = _PATH.sub("PATH", one_line(reason))
    return _NUMBER.sub("N", _ID.sub("ID", text))


_SLIP = re.compile(
    r"\b(?:SyntaxError|IndentationError|TabError|ImportError|ModuleNotFoundError|NameError|UnboundLocalError)\b"
    r"|invalid syntax|is not defined|has no attribute|unexpected keyword argument|unterminated|never closed"
    r"|\d+ errors? in \d"  # pytest's: a file that could not be imported
)


def slipped(one: Try) -> bool:
    """Whether it failed by a slip of the pen, which says nothing of the idea."""
    failed = one.experiment.status in (Status.GATE_FAILED, Status.CRASH)
    return failed and _SLIP.search(one.experiment.reason) is not None


def unanswered(one: Try) -> bool:
    """Whether time ended it, or the hold-out's limit."""
    failed = one.experiment.status in (Status.GATE_FAILED, Status.CRASH)
    timed_out = failed and TIMED_OUT.search(one.experiment.reason) is not None
    return timed_out or one.experiment.reason in UNANSWERED


def mute(kind: str) -> bool:
    """Whether a signature only sums up tests: that some failed, and not why."""
    return _SUMMARY.fullmatch(kind.partition(": ")[2]) is not None


def barren_of(
    campaign: Campaign, tries: Sequence[Try], period: Iterable[Try], undecided: Set[str] = frozenset()
) -> tuple[Barren, ...]:
    """Families and places of the period with at least two tries in the log and no standing keep, most first.

    What says nothing of its idea is no try of it: slips, what time ended, and the ids in `undecided`.

    A group whose tries are all in a larger one that is told is left out: a family that was tried at one place
    only is told once, with its place.
    """
    standing = {keep.id for keep in campaign.standing}
    silent = (one.id in undecided or slipped(one) or unanswered(one) for one in tries)
    ran = [one for one, nothing in zip(tries, silent, strict=True) if one.ran and not nothing]
    groups: defaultdict[tuple[str, str], list[Try]] = defaultdict(list)
    for one in ran:
        for place in one.places:
            groups[place, ""].append(one)
        if one.family:
            groups["", one.family].append(one)
            for place in one.places:
                groups[place, one.family].append(one)
    lately = {one.id for one in period}
    alone = [
        Barren(place, family, tuple(each), _best(each, campaign), _chance(each, ran, standing))
        for (place, family), each in groups.items()
        if len(each) > 1
        and not any(one.id in standing for one in each)
        and any(it.id in lately for it in each)
    ]
    return tuple(_widest(alone))


def _chance(group: Sequence[Try], ran: Sequence[Try], standing: Set[str]) -> float:
    """The probability of no keep in as many tries, at the rate of all others."""
    others = len(ran) - len(group)
    rate = sum(one.id in standing for one in ran) / others if others else 0.0
    return (1 - min(MOST_RATE, max(LEAST_RATE, rate))) ** len(group)


def _widest(groups: Iterable[Barren]) -> Iterable[Barren]:
    """The groups, the largest first, without those that lie within an earlier one.

    Of two with the same tries the one that says more is told.
    """
    told: list[set[str]] = []
    for group in sorted(groups, key=lambda it: (-len(it.tries), -bool(it.place and it.family), it.place)):
        ids = {one.id for one in group.tries}
        if not any(ids <= wider for wider in told):
            told.append(ids)
            yield group


def _best(tries: Iterable[Try], campaign: Campaign) -> float | None:
    effects = [one.experiment.effect for one in tries if one.experiment.effect is not None]
    return max(effects, key=lambda effect: gain_of(effect, campaign.metric), default=None)


def _commonest(tries: Sequence[Try]) -> str:
    return Counter(said(one.experiment) for one in reversed(tries)).most_common(1)[0][0]


def _counts(tries: Iterable[Try], what: str) -> Mapping[str, int]:
    names = (one.places if what == "place" else filter(None, (one.family,)) for one in tries)
    return dict(Counter(name for each in names for name in each).most_common())
