"""The `results.tsv` of the autoresearch family: commit, metric, memory_gb, status, description. Pure.

Others have more columns, or fewer, and other words for the same. The format has three statuses, so whatever
gave no number is a `crash` in it, with our own word in brackets in front of the description, and its number
a zero: read back, it is our word again, and None.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from optiloop.errors import UsageError
from optiloop.foreign.log import (
    BASELINE,
    ForeignLog,
    Row,
    as_tag,
    commit_of,
    direction_of,
    in_brackets,
    our_word,
)
from optiloop.model import Experiment, Status
from optiloop.report.campaign import Campaign
from optiloop.report.words import one_line

ORIGIN = "results.tsv"
HEADER = ("commit", "memory_gb", "status", "description")

COLUMNS = {
    "commit": ("commit", "commit_hash", "git_commit", "hash", "sha"),
    "status": ("status", "outcome", "decision", "verdict", "result"),
    "description": ("description", "desc", "change", "idea", "experiment_description", "notes"),
    "time": ("timestamp", "time", "date", "datetime"),
}
"""What a column's name means, the likeliest first: seen in public logs."""

NO_METRIC = frozenset(
    ("#", "id", "exp", "exp_id", "experiment", "experiment_id", "iter", "iteration", "n", "no", "num", "run")
    + ("run_id", "step", "round", "seq", "cycle", "branch", "agent", "agent_id", "tag", "tags", "category")
    + ("hypothesis", "duration", "duration_s", "seconds", "memory_gb", "peak_memory_gb", "vram_gb")
)
"""Columns that are no metric though they may stand before it."""

STATUSES = {
    Status.KEEP: ("keep", "kept", "accept", "accepted", "baseline"),
    Status.DISCARD: ("discard", "discarded", "reject", "rejected", "revert", "reverted"),
    Status.CRASH: ("crash", "crashed", "error", "timeout", "oom"),
}
WORDS = {word: status for status, words in STATUSES.items() for word in words}

NOTHING = ("", "-", "--", "–", "—", "n/a", "na", "none", "null")
NO_NUMBER = (*NOTHING, "nan", "inf", "-inf")


def read_results(text: str) -> ForeignLog:
    """Read a results.tsv, upstream's, ours or a variation. Raises UsageError that names the line."""
    header, *lines = text.split("\n")
    names = [name.strip() for name in header.rstrip("\r").split("\t")]
    columns = _columns(names)
    rows, left_out = [], []
    for number, line in enumerate(lines, 2):
        cells = line.rstrip("\r").split("\t")
        if not line.strip():
            continue
        if number == len(lines) + 1 and len(cells) < len(names):
            left_out.append(f"line {number}: cut short, its writer was stopped")
            continue
        rows.append(_row(_fitted(cells, names, columns, number), names, columns, number))
    return ForeignLog(
        ORIGIN, names[columns["metric"]], *direction_of(rows), tuple(rows), left_out=tuple(left_out)
    )


def results_tsv(campaign: Campaign) -> str:
    """Return the campaign as upstream's results.tsv, its baseline in the first row.

    Numbers have upstream's digits where those hold them, else as many as it takes.
    """
    header = (HEADER[0], one_line(campaign.metric.name), *HEADER[1:])
    rows = [header, *_baseline_cells(campaign), *(_cells(campaign, one) for one in campaign.experiments)]
    return "".join("\t".join(cells) + "\n" for cells in rows)


# --- reading -----------------------------------------------------------------------------------------


def _columns(names: Sequence[str]) -> Mapping[str, int]:
    """Where each known column stands; the metric's is the first that is none of the others."""
    lower = [name.lower() for name in names]
    found = {}
    for meaning, spellings in COLUMNS.items():
        at = next((lower.index(word) for word in spellings if word in lower), None)
        if at is not None:
            found[meaning] = at
    known = {*found.values(), *(lower.index(name) for name in lower if name in NO_METRIC)}
    metric = next((at for at, name in enumerate(names) if at not in known and name), None)
    if metric is None or not {"status", "description"} <= found.keys():
        raise UsageError("line 1: not a results.tsv (commit, a metric, memory_gb, status, description)")
    return {**found, "metric": metric}


def _fitted(cells: list[str], names: Sequence[str], columns: Mapping[str, int], number: int) -> list[str]:
    """As many cells as columns: a tab in a description that stands last is part of it."""
    last = len(names) - 1
    if len(cells) > len(names) and columns["description"] == last:
        return [*cells[:last], "\t".join(cells[last:])]
    if len(cells) != len(names):
        raise UsageError(f"line {number}: {len(cells)} columns, not {len(names)}")
    return cells


def _row(cells: Sequence[str], names: Sequence[str], columns: Mapping[str, int], number: int) -> Row:
    word = cells[columns["status"]].strip()
    status = WORDS.get(word.lower())
    if status is None:
        raise UsageError(f"line {number}: unknown status {word!r}; use keep, discard or crash")
    value = _value(cells[columns["metric"]].strip(), status, number)
    status, description = our_word(status, cells[columns["description"]])
    others = [(name, cells[at].strip()) for at, name in enumerate(names) if at not in columns.values()]
    numbers = {name: found for name, cell in others if (found := _number(cell)) is not None}
    if status is Status.CRASH:  # whose memory is upstream's zero
        numbers = {name: found for name, found in numbers.items() if found}
    told = [(name, cell) for name, cell in others if _number(cell) is None and cell.lower() not in NOTHING]
    return Row(
        number,
        _cell(cells, columns, "commit"),
        value,
        status,
        description,
        time=_cell(cells, columns, "time"),
        numbers=numbers,
        tags=tuple(as_tag(name, cell) for name, cell in told),
    )


def _cell(cells: Sequence[str], columns: Mapping[str, int], name: str) -> str:
    cell = cells[columns[name]].strip() if name in columns else ""
    return "" if cell.lower() in NOTHING else cell


def _value(cell: str, status: Status, number: int) -> float | None:
    """The metric; None for a crash, whatever is written there, and where a row that was not kept has none."""
    if status is Status.CRASH or (cell.lower() in NOTHING):
        return None
    value = _number(cell)
    if value is not None or (status is not Status.KEEP and cell.lower() in NO_NUMBER):
        return value
    finite = "finite " if cell.lower() in NO_NUMBER else ""
    raise UsageError(f"line {number}: {cell!r} is not a {finite}number")


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in cell else None


# --- writing -----------------------------------------------------------------------------------------


def _baseline_cells(campaign: Campaign) -> Iterator[tuple[str, ...]]:
    baseline = campaign.baseline
    if baseline and not any(BASELINE in one.tags for one in campaign.experiments):
        yield baseline.commit[:7], _digits(baseline.value, 6), "", Status.KEEP.value, "baseline"


def _cells(campaign: Campaign, experiment: Experiment) -> tuple[str, ...]:
    value, status = campaign.value_of(experiment), experiment.status
    description = one_line(experiment.hypothesis)
    if status not in STATUSES or (value is None and status is Status.DISCARD):
        status, description = Status.CRASH, in_brackets(experiment.status, description)
    if status is Status.CRASH:
        return commit_of(experiment), "0.000000", "0.0", status.value, description
    memory = _memory(campaign, experiment)
    number, space = (("" if x is None else _digits(x, digits)) for x, digits in ((value, 6), (memory, 1)))
    return commit_of(experiment), number, space, status.value, description


def _memory(campaign: Campaign, experiment: Experiment) -> float | None:
    peak_mb = campaign.secondary_of(experiment, "peak_mb")
    return peak_mb / 1024 if peak_mb is not None else campaign.secondary_of(experiment, "memory_gb")


def _digits(value: float, digits: int) -> str:
    """With so many digits behind the point where that is the very number, else as many as it takes."""
    text = f"{value:.{digits}f}"
    return text if float(text) == value and len(text) < 20 else repr(value)
