"""The morning report for a terminal, as Markdown, as one HTML file and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from optiloop.report import chart as picture
from optiloop.report import words
from optiloop.report.board import Challenger
from optiloop.report.console import STYLES
from optiloop.report.failures import Cluster
from optiloop.report.lineages import Lineage
from optiloop.report.morning import Morning
from optiloop.report.packets import MOST_PACKETS, Packet
from optiloop.report.pages import environment
from optiloop.report.sections import Section, numbers, period_of, sections_of
from optiloop.report.summary import finite, status
from optiloop.report.tries import Try

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

SHORT = 12
"""Characters of a cell in a terminal that is never cut or wrapped."""


def morning_markdown(morning: Morning) -> str:
    """Return the morning report as Markdown."""
    return environment().get_template("morning.md.j2").render(_view(morning))


def morning_html(morning: Morning) -> str:
    """Return the morning report as one HTML file that opens offline."""
    chart = picture.chart(morning.campaign)
    return environment().get_template("morning.html.j2").render(_view(morning), chart=chart)


def _view(morning: Morning) -> dict[str, object]:
    return {
        "morning": morning,
        "campaign": morning.campaign,
        "period": period_of(morning),
        "packets": morning.packets[:MOST_PACKETS],
        "packets_left_out": len(morning.packets[MOST_PACKETS:]),
        "sections": sections_of(morning),
        "numbers": numbers,
    }


# --- terminal ----------------------------------------------------------------------------------------


def morning_terminal(morning: Morning) -> RenderableType:
    """Return the morning report for rich to print: about two screens."""
    from rich.console import Group
    from rich.text import Text

    name = words.one_line(morning.campaign.target)
    parts: list[RenderableType] = [
        Text.assemble((name, "bold"), (f", {period_of(morning)}", "dim")),
        Text(words.one_line(morning.headline)),
    ]
    if morning.packets:
        parts += [Text("\nTo decide", style="bold"), *_packets(morning)]
    for section in sections_of(morning):
        parts += [Text(f"\n{section.title}", style="bold"), *_section(section)]
    return Group(*parts)


def _packets(morning: Morning) -> Iterable[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    shown = morning.packets[:MOST_PACKETS]
    for place, packet in enumerate(shown, 1):
        head = (f"{place} {packet.action.value}", "bold cyan")
        about = (f"  {numbers(packet.tries)}: ", "default")
        yield Text.assemble(head, about, words.one_line(packet.why))
        yield Padding(Text(packet.command, style="green"), (0, 0, 0, 2), expand=False)
    if left := len(morning.packets) - len(shown):
        yield Text(f"and {left} more", style="dim")


def _section(section: Section) -> Iterable[RenderableType]:
    from rich.text import Text

    if section.words:
        yield Text(section.words)
    if section.rows:
        yield _table(section)
    if section.left_out:
        yield Text(f"and {section.left_out:,} more", style="dim")


def _table(section: Section) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim", expand=section.tight)
    for column, cells in zip(section.columns, zip(*section.rows, strict=True), strict=True):
        longest = max(map(len, (column, *cells)))
        short = column in section.amounts or longest <= SHORT
        table.add_column(
            column,
            justify="right" if column in section.amounts else "left",
            no_wrap=short or section.tight,
            overflow="ellipsis" if section.tight else "fold",
            min_width=longest if short else None,
            ratio=1 if section.tight and not short else None,
        )
    styles = {status.value: style for status, style in STYLES.items()}
    for row in section.rows:
        table.add_row(*(Text(cell, style=styles.get(cell, "")) for cell in row))
    return table


# --- JSON --------------------------------------------------------------------------------------------


def morning_json(morning: Morning) -> dict[str, object]:
    """Return the morning report as one JSON object; all of each section, experiments by id."""
    state = status(morning.campaign)
    return {
        "target": morning.campaign.target,
        "since": morning.since.isoformat(timespec="seconds") if morning.since else None,
        "headline": morning.headline,
        "experiments": len(morning.period),
        "kept": sum(one.kept for one in morning.period),
        "packets": [_packet(it) for it in morning.packets],
        "champion": state["champion"],
        "improvement": state["improvement"],
        "challengers": [_challenger(it) for it in morning.challengers],
        "lineages": [_lineage(it) for it in morning.lineages],
        "failure_clusters": [_cluster(it) for it in morning.clusters],
        "did_not_work": [
            {"family": it.family, "place": it.place, "experiments": _ids(it.tries), "best": it.best}
            for it in morning.barren
        ],
        "recent": _ids(morning.recent),
    }


def _packet(packet: Packet) -> dict[str, object]:
    return {
        "action": packet.action.value,
        "experiments": _ids(packet.tries),
        "why": packet.why,
        "command": packet.command,
    }


def _challenger(challenger: Challenger) -> dict[str, object]:
    experiment = challenger.newest.experiment
    ends = experiment.interval
    return {
        "experiment": experiment.id,
        "effect": experiment.effect,
        "low": finite(ends.low) if ends else None,
        "high": finite(ends.high) if ends else None,
        "pairs": challenger.samples,
        "tries": challenger.tries,
        "action": challenger.action.value,
    }


def _lineage(lineage: Lineage) -> dict[str, object]:
    return {
        "place": lineage.place,
        "experiments": _ids(lineage.keeps),
        "total": lineage.total,
        "last": lineage.last,
        "tries_since": lineage.since,
        "paying": lineage.paying,
    }


def _cluster(cluster: Cluster) -> dict[str, object]:
    return {
        "status": cluster.status.value,
        "signature": cluster.signature,
        "line": cluster.line,
        "experiments": _ids(cluster.tries),
        "places": dict(cluster.places),
        "families": dict(cluster.families),
    }


def _ids(tries: Iterable[Try]) -> list[str]:
    return [one.id for one in tries]
