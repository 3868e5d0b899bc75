"""A campaign's history -> terminal, Markdown, HTML, TSV, JSON. Pure: it takes history, not a ledger."""

from optiloop.report.campaign import Campaign
from optiloop.report.console import sparkline, terminal
from optiloop.report.pages import html, markdown
from optiloop.report.results_tsv import TsvRow, campaign_from_tsv, read_tsv, tsv
from optiloop.report.summary import status

__all__ = [
    "Campaign",
    "TsvRow",
    "campaign_from_tsv",
    "html",
    "markdown",
    "read_tsv",
    "sparkline",
    "status",
    "terminal",
    "tsv",
]
