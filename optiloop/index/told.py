"""An answer as a person reads it: one sentence, then a table that fits a screen. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from optiloop.model import Compare
from optiloop.report.words import effect, one_line, shortened

if TYPE_CHECKING:
    from rich.console import RenderableType

    from optiloop.index.memory import Answer

WIDEST = 72
"""Characters of one value."""

WIDTHS = {"hypothesis": WIDEST, "what": 48, "reason": 48, "place": 48, "since_then": 40, "insight": 100}
"""The columns that may be wrapped, and their widest."""


def told(answer: Answer, columns: tuple[str, ...]) -> RenderableType:
    """For rich to print; columns that no row fills are left out."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    texts = [{column: _cell(row, column) for column in columns} for row in answer.rows]
    filled = [column for column in columns if any(row[column] for row in texts)]
    table = Table(box=None, pad_edge=False)
    for column in filled:
        wraps = column in WIDTHS
        name = column.replace("_", " ")
        table.add_column(name, overflow="fold", no_wrap=not wraps, max_width=WIDTHS.get(column))
    for row in texts:
        table.add_row(*(Text(row[column]) for column in filled))
    more = [Text(f"and {answer.more:,} more (--json has what each holds)")] if answer.more > 0 else []
    return Group(Text(answer.said), *([table] if answer.rows else []), *more)


def _cell(row: Mapping[str, Any], column: str) -> str:
    """One value in words. `alone` is a run that changed one thing; `since_then` what differs from now."""
    if column == "since_then":
        return _since(row)
    value = row.get("isolated") if column == "alone" else row.get(column)
    if value is None:
        return ""
    if column == "effect":
        return effect(value, Compare.RATIO if row["by_ratio"] else Compare.DIFFERENCE)
    if column == "alone":
        return "alone" if value else "combined"
    if column == "run":
        return f"#{value}"
    return one_line(str(value)) if column == "insight" else shortened(one_line(str(value)), WIDEST)


def _since(row: Mapping[str, Any]) -> str:
    """Values that another experiment has set since, and keeps at its places."""
    values = [f"{name} {old} -> {new}" for name, (old, new) in {**row["changed"], **row["differs"]}.items()]
    keeps = [f"#{number} changed it" for number in row["changed_by"][-2:]]
    return ", ".join([*keeps, *values[:3]]) + (f" and {len(values) - 3} more" if len(values) > 3 else "")
