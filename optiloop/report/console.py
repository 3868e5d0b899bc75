"""The report in a terminal, and the sparkline that the live view draws as well. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optiloop.model import Status
from optiloop.report.campaign import Campaign
from optiloop.report.summary import again, asked, ended_early, improvement, left_to_try, rechecked
from optiloop.report.words import count, duration, gained, money, one_line, quantity, shortened

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

BARS = "▁▂▃▄▅▆▇█"
STYLES = {
    Status.KEEP: "bold green",
    Status.DISCARD: "default",
    Status.DUPLICATE: "cyan",
    Status.GATE_FAILED: "yellow",
    Status.CRASH: "red",
    Status.VIOLATION: "bold magenta",
    Status.NO_PROPOSAL: "dim",
}
NEWEST_KEEPS = 10


def terminal(campaign: Campaign) -> RenderableType:
    """Return the campaign's headline, its champion's course and its newest keeps for rich to print."""
    from rich.console import Group
    from rich.text import Text

    course = champion_course(campaign)
    parts: list[RenderableType] = [Text(one_line(campaign.target), style="bold"), _headline(campaign)]
    if len(course) > 1:
        parts.append(Text(f"{one_line(campaign.metric.name)}  {sparkline(course)}"))
    if campaign.keeps:
        parts.append(_keeps(campaign))
    return Group(*parts)


def champion_course(campaign: Campaign) -> list[float]:
    """The champion's value after each experiment, the baseline's first where it is known."""
    course = [campaign.baseline_value] if campaign.baseline_value is not None else []
    for experiment in campaign.experiments:
        value = campaign.value_of(experiment) if experiment.status is Status.KEEP else None
        course += [value] if value is not None else course[-1:]
    return course


def sparkline(values: Sequence[float], *, width: int = 60) -> str:
    """Draw finite values as a line of at most `width` bars; each bar is the last value of its share."""
    if len(values) > width:
        values = [values[(index + 1) * len(values) // width - 1] for index in range(width)]
    if not values:
        return ""
    low, high = min(values), max(values)
    # Halved first, for the distance of two huge floats may be infinite.
    span = high / 2 - low / 2
    return "".join(BARS[round((value / 2 - low / 2) / span * 7)] if span else BARS[0] for value in values)


def _headline(campaign: Campaign) -> Table:
    from rich.table import Table
    from rich.text import Text

    unit = campaign.metric.unit
    table = Table.grid(padding=(0, 2))
    rows = [
        ("baseline", quantity(campaign.baseline_value, unit)),
        ("champion", quantity(campaign.champion_value, unit)),
        ("improvement", improvement(campaign)),
        *([("rechecked", said)] if (said := rechecked(campaign)) else []),
        ("experiments", f"{len(campaign.experiments):,}: {_status_words(campaign)}"),
        (
            "spent",
            f"{duration(campaign.seconds)}, {money(campaign.cost.usd)}, {campaign.cost.tokens:,} tokens",
        ),
        *([("ended early", said)] if (said := ended_early(campaign)) else []),
        ("sandbox", campaign.sandbox),
        *([("left to try", said)] if (said := left_to_try(campaign)) else []),
        *([("hold-out", said)] if (said := asked(campaign)) else []),
    ]
    for name, value in rows:
        table.add_row(Text(name, style="dim"), Text(one_line(value)))
    return table


def _status_words(campaign: Campaign) -> str:
    return (
        ", ".join(f"{amount:,} {status}" for status, amount in campaign.statuses.items() if amount) or "none"
    )


def _keeps(campaign: Campaign) -> Table:
    from rich.table import Table
    from rich.text import Text

    kept = [item for item in enumerate(campaign.experiments, 1) if item[1].status is Status.KEEP]
    newest = kept[-NEWEST_KEEPS:]
    title = f"{count(len(kept), 'keep')}" + (f", the newest {len(newest)}" if len(newest) < len(kept) else "")
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("effect", justify="right", no_wrap=True)
    table.add_column("again", justify="right", no_wrap=True)
    table.add_column("change", overflow="fold")
    for number, keep in newest:
        change = shortened(one_line(keep.hypothesis), 200)
        table.add_row(
            Text(f"#{number}"),
            Text(gained(keep), style=STYLES[Status.KEEP]),
            Text(again(campaign, keep)),
            Text(change),
        )
    return table
