"""The sections of the morning report as tables of words, which every form shows alike. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from optiloop.report import words
from optiloop.report.morning import (
    MOST_BARREN,
    MOST_CHALLENGERS,
    MOST_CLUSTERS,
    MOST_LINEAGES,
    Morning,
)
from optiloop.report.packets import named
from optiloop.report.summary import improvement
from optiloop.report.tries import Try, said, short, tries_said

IDEA, REASON = 70, 100
MOST_NUMBERS = 5


@dataclass(frozen=True)
class Section:
    """A table of words. `columns` are its heads; those in `amounts` stand on the right.

    `words` is what is said above it, `left_out` how many rows are not shown. A row of a `tight` table is one
    line, cut where it is longer.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    amounts: tuple[str, ...] = ()
    words: str = ""
    left_out: int = 0
    tight: bool = False


def sections_of(morning: Morning) -> tuple[Section, ...]:
    """What stands below headline and decision queue, in its order; without what has nothing to say."""
    found = (_board(morning), _lineages(morning), _clusters(morning), _barren(morning), _recent(morning))
    return tuple(section for section in found if section.rows or section.words)


def numbers(tries: Sequence[Try]) -> str:
    """The numbers of experiments in the log; of many the newest, and how many there are."""
    shown = " ".join(f"#{one.number}" for one in tries[-MOST_NUMBERS:])
    return shown if len(tries) <= MOST_NUMBERS else f"{shown} and {len(tries) - MOST_NUMBERS} earlier"


def period_of(morning: Morning) -> str:
    """The period in words."""
    if morning.since is None:
        return "since the beginning"
    return f"since {morning.since:%Y-%m-%d %H:%M} {morning.since.tzname()}"


def _board(morning: Morning) -> Section:
    campaign = morning.campaign
    rows = tuple(
        (
            f"#{it.newest.number}",
            words.gained(it.newest.experiment),
            _interval(it.newest),
            f"{it.samples}",
            it.action.value,
            _idea(it.newest),
        )
        for it in morning.challengers[:MOST_CHALLENGERS]
    )
    champion = words.quantity(campaign.champion_value, campaign.metric.unit)
    state = f"Champion: {campaign.metric.name} {champion}, {improvement(campaign)}."
    state += " Nothing that was not kept looked better." if not rows else " Looked better, and was not kept:"
    return Section(
        "Champion board",
        ("", "effect", "interval", "pairs", "do", "change"),
        rows,
        ("", "effect", "pairs"),
        state,
        len(morning.challengers) - len(rows),
    )


def _lineages(morning: Morning) -> Section:
    campaign = morning.campaign
    shown = morning.lineages[:MOST_LINEAGES]
    rows = tuple(
        (
            short(it.place, campaign),
            words.effect(it.total, campaign.metric.compare),
            f"{len(it.keeps)}",
            words.effect(it.last, campaign.metric.compare),
            "still paying" if it.paying else f"{tries_said(it.since)} since" if it.since else "small",
            numbers(it.keeps),
        )
        for it in shown
    )
    return Section(
        "Lineages",
        ("place", "gain", "keeps", "last", "", "which"),
        rows,
        ("gain", "keeps", "last"),
        left_out=len(morning.lineages) - len(rows),
    )


def _clusters(morning: Morning) -> Section:
    rows = tuple(
        (
            it.status.value,
            f"{len(it.tries)}",
            words.shortened(it.line, REASON),
            _where(it.places, it.families, morning),
            numbers(it.tries),
        )
        for it in morning.clusters[:MOST_CLUSTERS]
    )
    heads = ("", "times", "the commonest line", "where", "which")
    return Section("Failure clusters", heads, rows, ("times",), left_out=len(morning.clusters) - len(rows))


def _barren(morning: Morning) -> Section:
    compare = morning.campaign.metric.compare
    rows = tuple(
        (
            named(it, morning.campaign),
            f"{len(it.tries)}",
            words.effect(it.best, compare),
            numbers(it.tries),
        )
        for it in morning.barren[:MOST_BARREN]
    )
    heads = ("do not retry", "tries", "best", "which")
    left = len(morning.barren) - len(rows)
    return Section("What did not work", heads, rows, ("tries", "best"), left_out=left)


def _recent(morning: Morning) -> Section:
    rows = tuple(
        (
            f"#{one.number}",
            one.experiment.status.value,
            words.gained(one.experiment),
            _idea(one),
            "" if one.kept else words.shortened(said(one.experiment), REASON),
        )
        for one in morning.recent
    )
    heads = ("", "ended", "effect", "change", "why not")
    left = len(morning.period) - len(rows)
    return Section("Recent experiments", heads, rows, ("", "effect"), left_out=left, tight=True)


def _interval(one: Try) -> str:
    ends = one.experiment.interval
    return words.bounds(ends, words.compared(one.experiment)) if ends else "–"


def _idea(one: Try) -> str:
    return words.shortened(words.one_line(one.experiment.hypothesis), IDEA) or "–"


def _where(places: Mapping[str, int], families: Mapping[str, int], morning: Morning) -> str:
    """The commonest places and families of a cluster."""
    return ", ".join((*_most(places, morning), *_most(families, morning))) or "–"


def _most(counts: Mapping[str, int], morning: Morning) -> Iterator[str]:
    for name, amount in list(counts.items())[:2]:
        what = words.shortened(words.one_line(short(name, morning.campaign)), 40)
        yield what if amount == 1 else f"{what} {amount}"
