"""Other people's experiment logs: results.tsv, pi-autoresearch's and MemoryLab's JSON Lines. Pure.

Each format is read into a ForeignLog, which becomes ordinary experiments; two are written back. What is
certain is read however it is spelt; what is not is an error with its line. docs/other-logs.md says what
each field becomes.
"""

from __future__ import annotations

import json

from optiloop.errors import UsageError
from optiloop.foreign.log import ForeignLog, Row, experiments_of, stand_alone
from optiloop.foreign.memorylab import read_memorylab
from optiloop.foreign.pi import pi_log, read_pi
from optiloop.foreign.results_tsv import read_results, results_tsv

FORMATS = ("results-tsv", "pi", "memorylab")
WRITTEN = {"results-tsv": results_tsv, "pi": pi_log}
"""What `optiloop export` can write, by its name: campaign -> text."""

__all__ = [
    "FORMATS",
    "WRITTEN",
    "ForeignLog",
    "Row",
    "experiments_of",
    "format_of",
    "pi_log",
    "read",
    "read_results",
    "results_tsv",
    "stand_alone",
]


def format_of(text: str) -> str:
    """Tell a log's format by its first line: one of FORMATS, or `optiloop`. Raises UsageError."""
    first = next((line for line in text.removeprefix("\ufeff").splitlines() if line.strip()), "")
    try:
        found = json.loads(first)
    except ValueError:
        return "results-tsv"  # whose reader says what is wrong with a header
    keys = set(found) if isinstance(found, dict) else set()
    if {"v", "diff", "previous"} <= keys:
        return "optiloop"
    if "run_id" in keys or "novelty_guard" in keys:
        return "memorylab"
    if "type" in keys or {"metric", "status"} <= keys:
        return "pi"
    raise UsageError("line 1: no log that is known; --format names its format")


def read(text: str, form: str, segment: int | None = None) -> ForeignLog:
    """Read a log of one of FORMATS. Raises UsageError that names the line.

    `segment` chooses one part of a pi log, which begins anew where its goal changes; None: the last.
    """
    text = text.removeprefix("\ufeff")
    if segment is not None and form != "pi":
        raise UsageError("--segment: only pi-autoresearch's logs have segments")
    if form == "pi":
        return read_pi(text, segment)
    return read_memorylab(text) if form == "memorylab" else read_results(text)
