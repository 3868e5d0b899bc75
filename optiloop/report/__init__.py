"""A campaign's history -> terminal, Markdown, HTML, JSON. Pure: it takes history, not a ledger."""

from optiloop.report.campaign import Campaign
from optiloop.report.console import sparkline, terminal
from optiloop.report.pages import html, markdown
from optiloop.report.summary import status

__all__ = [
    "Campaign",
    "html",
    "markdown",
    "sparkline",
    "status",
    "terminal",
]
