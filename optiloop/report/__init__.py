"""A campaign's history -> terminal, Markdown, HTML, JSON. Pure: it takes history, not a ledger."""

from optiloop.report.campaign import Campaign
from optiloop.report.console import sparkline, terminal
from optiloop.report.morning import Morning, morning
from optiloop.report.morning_forms import (
    morning_html,
    morning_json,
    morning_markdown,
    morning_terminal,
)
from optiloop.report.pages import html, markdown
from optiloop.report.summary import status

__all__ = [
    "Campaign",
    "Morning",
    "html",
    "markdown",
    "morning",
    "morning_html",
    "morning_json",
    "morning_markdown",
    "morning_terminal",
    "sparkline",
    "status",
    "terminal",
]
