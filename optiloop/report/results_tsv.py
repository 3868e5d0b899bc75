"""The `results.tsv` of the autoresearch family: commit, metric, memory_gb, status, description. Pure.

That format has three statuses, so whatever gave no number is a `crash` in it, with our own word in
front of the description; its number is empty. Upstream writes such a number as 0.000000, where lower
is better: read back, both are None.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from optiloop.errors import UsageError
from optiloop.model import (
    Baseline,
    Command,
    Cost,
    Direction,
    Experiment,
    Measurement,
    Metric,
    Noise,
    Pair,
    Sample,
    Status,
)
from optiloop.report.campaign import Campaign
from optiloop.report.words import one_line

STATUSES = (Status.KEEP, Status.DISCARD, Status.CRASH)


@dataclass(frozen=True)
class TsvRow:
    """One line of a results.tsv; `commit` is empty where there is none, absent numbers are None."""

    commit: str
    value: float | None
    memory_gb: float | None
    status: Status
    description: str


def tsv(campaign: Campaign) -> str:
    """Return the campaign as a results.tsv, its baseline in the first row."""
    rows = [_baseline_row(campaign), *(_row(campaign, experiment) for experiment in campaign.experiments)]
    header = ("commit", one_line(campaign.metric.name), "memory_gb", "status", "description")
    return "".join("\t".join(cells) + "\n" for cells in [header, *(_cells(row) for row in rows if row)])


def read_tsv(text: str) -> list[TsvRow]:
    """Read a results.tsv, upstream's or ours; raises UsageError that names the line."""
    header, *lines = text.removeprefix("\ufeff").split("\n")
    names = header.rstrip("\r").split("\t")
    if len(names) != 5 or [names[0], *names[2:]] != ["commit", "memory_gb", "status", "description"]:
        raise UsageError("line 1: not a results.tsv (commit, a metric, memory_gb, status, description)")
    return [_read_row(line.rstrip("\r"), number) for number, line in enumerate(lines, 2) if line.strip()]


def campaign_from_tsv(text: str, name: str) -> Campaign:
    """Read a results.tsv as a campaign, to report on a log of the autoresearch family.

    Its first kept row is the baseline. Whether more is better is read from the kept values' course. A
    results.tsv has one number per experiment: there is no claim, and no interval.
    """
    rows = read_tsv(text)
    kept = [row.value for row in rows if row.status is Status.KEEP and row.value is not None]
    if not kept:
        raise UsageError("no kept row with a number, so there is nothing to compare with")
    direction = Direction.MAXIMIZE if kept[-1] > kept[0] else Direction.MINIMIZE
    metric = Metric(text.split("\t", 2)[1], Command(()), direction, noise=Noise.DETERMINISTIC)
    first = next(i for i, row in enumerate(rows) if row.status is Status.KEEP and row.value is not None)
    champion, experiments = kept[0], []
    for number, row in enumerate(rows[first + 1 :], 1):
        experiments.append(_experiment(row, number, metric, champion, name))
        if row.status is Status.KEEP and row.value is not None:
            champion = row.value
    baseline = Baseline(rows[first].commit, kept[0], (), None, 0.0)
    return Campaign(name, "", metric, tuple(experiments), baseline)


def _experiment(row: TsvRow, number: int, metric: Metric, champion: float, name: str) -> Experiment:
    measurement, effect = None, None
    if row.value is not None:
        before, after = (Sample({metric.name: value}, 0.0, 0.0) for value in (champion, row.value))
        measurement = Measurement((Pair(before, after, candidate_first=False, seed=0),))
        if champion > 0 and row.value > 0:
            effect = (champion / row.value) ** metric.direction.sign
    return Experiment(
        id=f"{number:026d}",
        time="",
        target=name,
        parent="",
        status=row.status,
        reason=f"{row.status} in {name}",
        origin="results.tsv",
        family="",
        hypothesis=row.description,
        tags=(),
        cost=Cost(),
        result=None,
        change=None,
        diff="",
        gates=(),
        measurement=measurement,
        effect=effect,
        interval=None,
        evidence=None,
        seconds=0.0,
        seed=0,
        commit=row.commit if row.status is Status.KEEP else None,
    )


def _baseline_row(campaign: Campaign) -> TsvRow | None:
    baseline = campaign.baseline
    return TsvRow(baseline.commit[:7], baseline.value, None, Status.KEEP, "baseline") if baseline else None


def _row(campaign: Campaign, experiment: Experiment) -> TsvRow:
    value = campaign.value_of(experiment)
    description = one_line(experiment.hypothesis)
    status = experiment.status
    if status not in STATUSES or (value is None and status is Status.DISCARD):
        status, description = Status.CRASH, f"[{experiment.status}] {description}".rstrip()
    commit = (experiment.commit or "")[:7]
    return TsvRow(
        commit, None if status is Status.CRASH else value, _memory(campaign, experiment), status, description
    )


def _memory(campaign: Campaign, experiment: Experiment) -> float | None:
    peak_mb = campaign.secondary_of(experiment, "peak_mb")
    return peak_mb / 1024 if peak_mb is not None else campaign.secondary_of(experiment, "memory_gb")


def _cells(row: TsvRow) -> tuple[str, ...]:
    return (row.commit, _cell(row.value), _cell(row.memory_gb), row.status.value, row.description)


def _cell(value: float | None) -> str:
    return "" if value is None else repr(value)


def _read_row(line: str, number: int) -> TsvRow:
    cells = line.split("\t", 4)
    if len(cells) != 5:
        raise UsageError(f"line {number}: {len(cells)} columns, not 5")
    commit, value, memory, word, description = cells
    status = next((status for status in STATUSES if status.value == word), None)
    if status is None:
        raise UsageError(f"line {number}: unknown status {word!r}; use {', '.join(STATUSES)}")
    crashed = status is Status.CRASH
    return TsvRow(
        commit=commit,
        value=None if crashed else _read_number(value, number),
        memory_gb=_read_number(memory, number) or (None if crashed else 0.0) if memory else None,
        status=status,
        description=description,
    )


def _read_number(cell: str, number: int) -> float | None:
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        raise UsageError(f"line {number}: {cell!r} is not a number") from None
    if not math.isfinite(value):
        raise UsageError(f"line {number}: {cell!r} is not a finite number")
    return value
