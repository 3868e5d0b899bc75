"""The report as Markdown and as one HTML file that opens offline. Pure.

Hypotheses, reasons and diffs come from models and candidates: the HTML template escapes all text, and
the Markdown one puts each of them through `md` or `fence`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from optiloop.model import Experiment, Status
from optiloop.report import chart as picture
from optiloop.report import words
from optiloop.report.campaign import Campaign
from optiloop.report.summary import (
    again,
    asked,
    better,
    ended_early,
    improvement,
    left_to_try,
    proof,
    rechecked,
)

if TYPE_CHECKING:
    from jinja2 import Environment

DIFF_CHARACTERS = 20_000
ALL_DIFFS_CHARACTERS = 400_000
MOST_KEEPS = 400
MOST_GROUPS = 40
MOST_IN_A_GROUP = 15
MOST_ROWS = 500
"""These bound a page of ten thousand experiments to well under 2 MB; what is left out is counted."""

MEANINGS = {
    Status.KEEP: "proved better, and kept",
    Status.DISCARD: "measured, and not proved better",
    Status.DUPLICATE: "not run: the log already knew the answer",
    Status.GATE_FAILED: "a gate said no",
    Status.CRASH: "gave no number, or ran out of time",
    Status.VIOLATION: "touched what it must not",
    Status.NO_PROPOSAL: "the proposer had none",
}


@dataclass(frozen=True)
class DiffLine:
    kind: str
    text: str


@dataclass(frozen=True)
class Row:
    """One experiment as a page shows it."""

    number: int
    experiment: Experiment
    value: str
    hypothesis: str
    diff: tuple[DiffLine, ...] = ()
    diff_text: str = ""


@dataclass(frozen=True)
class Group:
    """What did not work, for one reason and of one kind: the newest rows first, and how many there were."""

    status: Status
    family: str
    count: int
    rows: tuple[Row, ...]


def markdown(campaign: Campaign) -> str:
    """Return the report as Markdown."""
    return environment().get_template("report.md.j2").render(_view(campaign))


def html(campaign: Campaign) -> str:
    """Return the report as one HTML file: no scripts, no requests, readable on a phone and in the dark."""
    return environment().get_template("report.html.j2").render(_view(campaign), chart=picture.chart(campaign))


@cache
def environment() -> Environment:
    """The templates, with all that they may call."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("optiloop", "report"),
        autoescape=lambda name: name is not None and ".html." in name,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(md=md, fence=fence, number=words.number, duration=words.duration)
    environment.globals.update(words=words, picture=picture, MEANINGS=MEANINGS, Status=Status, again=again)
    return environment


def _view(campaign: Campaign) -> dict[str, object]:
    """What both templates show, each text on one line and cut to a length that a page bears."""
    keeps = list(_with_diffs(campaign, campaign.keeps[-MOST_KEEPS:]))
    groups = _groups(campaign)
    newest = range(max(0, len(campaign.experiments) - MOST_ROWS), len(campaign.experiments))
    return {
        "campaign": campaign,
        "improvement": improvement(campaign),
        "better": better(campaign),
        "rechecked": rechecked(campaign),
        "left_to_try": left_to_try(campaign),
        "asked": asked(campaign),
        "ended_early": ended_early(campaign),
        "proof": proof(campaign),
        "champion_diff": diff_lines(campaign.diff[:DIFF_CHARACTERS]),
        "champion_diff_text": campaign.diff[:DIFF_CHARACTERS],
        "champion_diff_cut": len(campaign.diff) > DIFF_CHARACTERS,
        "keeps": keeps,
        "keeps_left_out": len(campaign.keeps) - len(keeps),
        "groups": groups[:MOST_GROUPS],
        "groups_left_out": groups[MOST_GROUPS:],
        "rows": [_row(campaign, index, 160) for index in newest],
        "goal": words.shortened(words.one_line(campaign.goal), 2000),
    }


def _row(campaign: Campaign, index: int, length: int) -> Row:
    experiment = campaign.experiments[index]
    value = words.quantity(campaign.value_of(experiment), campaign.metric.unit)
    return Row(index + 1, experiment, value, words.shortened(words.one_line(experiment.hypothesis), length))


def _with_diffs(campaign: Campaign, keeps: Sequence[Experiment]) -> Iterator[Row]:
    """The keeps, oldest first; the newest get their diffs as far as the page has room."""
    wanted = {keep.id for keep in keeps}
    indices = [index for index, e in enumerate(campaign.experiments) if e.id in wanted]
    room = ALL_DIFFS_CHARACTERS
    rows: list[Row] = []
    for index in reversed(indices):
        row = _row(campaign, index, 600)
        diff = row.experiment.diff[: min(DIFF_CHARACTERS, room)]
        room -= len(diff)
        rows.append(Row(row.number, row.experiment, row.value, row.hypothesis, diff_lines(diff), diff))
    yield from reversed(rows)


def _groups(campaign: Campaign) -> list[Group]:
    """What was not kept, by status and family; the largest group of each status first."""
    members: dict[tuple[Status, str], list[int]] = defaultdict(list)
    for index, experiment in enumerate(campaign.experiments):
        if experiment.status is not Status.KEEP:
            family = words.shortened(words.one_line(experiment.family or experiment.origin), 80)
            members[experiment.status, family].append(index)
    order = list(Status)
    groups = sorted(members.items(), key=lambda item: (order.index(item[0][0]), -len(item[1]), item[0][1]))
    return [
        Group(
            status,
            family,
            len(indices),
            tuple(_row(campaign, i, 240) for i in indices[: -MOST_IN_A_GROUP - 1 : -1]),
        )
        for (status, family), indices in groups
    ]


# --- text for a page ---------------------------------------------------------------------------------

_KINDS = {"+": "added", "-": "removed", "@": "hunk"}


def diff_lines(diff: str) -> tuple[DiffLine, ...]:
    """Split a unified diff into lines, each with its kind for colouring."""
    return (
        tuple(DiffLine(_diff_kind(line), line) for line in diff.rstrip("\n").split("\n"))
        if diff.strip()
        else ()
    )


def _diff_kind(line: str) -> str:
    return "file" if line.startswith(("--- ", "+++ ")) else _KINDS.get(line[:1], "same")


def md(text: object) -> str:
    """Escape a text for a line of Markdown, so that it shows as it is."""
    line = words.one_line(str(text)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*_\[\]|~$])", r"\\\1", line)
    return re.sub(r"^(\d*)([#+=-]|[.)](?=\s))", r"\1\\\2", line)  # what begins a heading or a list


def fence(text: str, language: str = "diff") -> str:
    """Put a text into a code block that it cannot end: its fence is longer than any in the text."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    bar = "`" * max(3, longest + 1)
    return f"{bar}{language}\n{text.rstrip()}\n{bar}"
