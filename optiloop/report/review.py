"""The review of a period: the three improvements that come next, from the log alone. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from optiloop.model import Direction, Status
from optiloop.report import words
from optiloop.report.board import Action
from optiloop.report.campaign import Campaign
from optiloop.report.morning import Morning
from optiloop.report.packets import Commands
from optiloop.report.tries import tries_said

MOST = 3
FEWEST_PARTS = 3
"""Numbers whose names begin alike are parts of the metric from so many on."""
_IMPROVES = (
    Action.FIX_AND_RETRY,
    Action.INVESTIGATE_CRASH,
    Action.REPLICATE,
    Action.RETRY,
    Action.BRANCH_FOLLOWUP,
)


@dataclass(frozen=True)
class Improvement:
    """One thing to do next: what, why the log says so, and the command that does it."""

    what: str
    why: str
    command: str


def review(morning: Morning, commands: Commands) -> tuple[Improvement, ...]:
    """The next improvements: the metric's worst part, what the log left open, then the next worst parts."""
    worst = list(_worst_parts(morning, commands))
    left = [
        Improvement(packet.action.value, packet.why, packet.command)
        for packet in morning.packets
        if packet.action in _IMPROVES
    ]
    return (*worst[:1], *left, *worst[1:])[:MOST]


def review_text(morning: Morning, found: tuple[Improvement, ...]) -> str:
    """The same for people."""
    lines = [f"{words.one_line(morning.campaign.target)}: {words.one_line(morning.headline)}"]
    for number, one in enumerate(found, 1):
        lines += [f"{number} {one.what}: {words.one_line(one.why)}", f"    {one.command}"]
    return "\n".join(lines if found else [*lines, "nothing to improve next stands in the log"])


def review_json(morning: Morning, found: tuple[Improvement, ...]) -> dict[str, Any]:
    """The same for scripts."""
    return {"headline": morning.headline, "next": [asdict(one) for one in found]}


def _worst_parts(morning: Morning, commands: Commands) -> Iterator[Improvement]:
    """The parts that hold the metric back most: the lowest where more is better, else the largest."""
    campaign = morning.campaign
    parts = parts_of(champion_numbers(campaign))
    least = campaign.metric.direction is Direction.MAXIMIZE
    for name in sorted(parts, key=lambda name: (parts[name] if least else -parts[name], name)):
        word = _plain(name)
        tried = [one for one in morning.period if word and word in _plain(one.experiment.diff)]
        kept = sum(one.kept for one in tried)
        end = "lowest" if least else "largest"
        place = f"{name} is {parts[name]:g}, among the {end} of {len(parts)}"
        why = f"{place}; {tries_said(len(tried))}, {kept} kept"
        command = commands.target if commands.alone else f"optiloop run {commands.target} --cycles 5"
        yield Improvement("worst part", why, command)


def champion_numbers(campaign: Campaign) -> Mapping[str, float]:
    """What the benchmark gave beside the metric for the champion, when it was measured last."""
    for experiment in reversed(campaign.experiments):
        measured = experiment.measurement
        if measured is not None and measured.pairs:
            kept = experiment.status is Status.KEEP
            guarded = (measured.pairs[-1].candidate if kept else measured.pairs[-1].champion).values
            beside = {name: value for name, value in guarded.items() if name != campaign.metric.name}
            return beside | {name: pair[kept] for name, pair in measured.secondary.items()}
    return {}


def parts_of(numbers: Mapping[str, float]) -> dict[str, float]:
    """The numbers that are parts of one whole: the most whose names share their first or last word."""
    groups: dict[str, dict[str, float]] = defaultdict(dict)
    for name, value in numbers.items():
        first, _, rest = name.partition("_")
        if rest:
            groups[f"{first}_"][name] = value
            groups[f"_{name.rpartition('_')[2]}"][name] = value
    most = max(groups.values(), key=len, default={})
    return most if len(most) >= FEWEST_PARTS else {}


def _plain(name: str) -> str:
    """A part's name as it may stand in a path: `task_blog_writer` is about `blog-writer`."""
    return name.removeprefix("task_").replace("-", "_")
