"""pi-autoresearch's log, `autoresearch.jsonl` or `.auto/log.jsonl`: a config line, then one line a run. Pure.

A second config line begins a segment: another goal or benchmark, whose numbers do not compare with those
before. Lines of another `type` (hooks, activation) are no runs. Both generations are read: the first has
neither `confidence` nor `asi`, which are the agent's own notes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from optiloop.errors import UsageError
from optiloop.foreign.lines import Line, number_of, object_of, read_lines, tags_of, text_of, utc
from optiloop.foreign.log import (
    BASELINE,
    ForeignLog,
    Row,
    commit_of,
    from_tag,
    in_brackets,
    other_numbers,
    our_word,
)
from optiloop.model import Direction, Experiment, Status
from optiloop.report.campaign import Campaign

ORIGIN = "pi-autoresearch"
DIRECTIONS = {"lower": Direction.MINIMIZE, "higher": Direction.MAXIMIZE}
STATUSES = {
    "keep": Status.KEEP,
    "discard": Status.DISCARD,
    "crash": Status.CRASH,
    "checks_failed": Status.GATE_FAILED,
}
WORDS = {status: word for word, status in STATUSES.items()}
TAKEN = frozenset(
    ("type", "run", "commit", "metric", "metrics", "status", "description", "timestamp", "segment")
)
MILLISECONDS = 1e11
"""A time stamp above this counts milliseconds (as seconds it would be in the year 5138)."""


def read_pi(text: str, segment: int | None = None) -> ForeignLog:
    """Read one segment of a log, counted from 0; None: the last. Raises UsageError that names the line."""
    lines, left_out = read_lines(text)
    configs: list[Line | None] = [None]
    runs: list[list[Line]] = [[]]
    others: Counter[str] = Counter()
    for line in lines:
        kind = text_of(line, "type")
        if kind == "config":
            if runs[-1]:
                configs.append(None)
                runs.append([])
            configs[-1] = line
        elif kind in ("", "run", "result"):
            runs[-1].append(line)
        else:
            others[kind] += 1
    left_out += [f"{number} lines of type {kind}" for kind, number in sorted(others.items())]
    at = len(runs) - 1 if segment is None else segment
    if not 0 <= at < len(runs):
        raise UsageError(f"--segment {at}: there are segments 0 to {len(runs) - 1}")
    left_out += [f"segment {i}: {len(found)} runs" for i, found in enumerate(runs) if i != at and found]
    return _segment(configs[at], [_row(line) for line in runs[at]], left_out)


def pi_log(campaign: Campaign) -> str:
    """Return the campaign as a log of the second generation, its baseline first."""
    metric = campaign.metric
    direction = next(word for word, way in DIRECTIONS.items() if way is metric.direction)
    config = {"type": "config", "name": campaign.goal or campaign.target, "metricName": metric.name}
    lines: list[dict[str, Any]] = [{**config, "metricUnit": metric.unit, "bestDirection": direction}]
    if campaign.baseline and not any(BASELINE in one.tags for one in campaign.experiments):
        baseline = campaign.baseline
        lines.append(_line(1, baseline.commit[:7], baseline.value, "keep", "baseline"))
    for experiment in campaign.experiments:
        lines.append(_written(campaign, experiment, len(lines)))
    return "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)


# --- reading -----------------------------------------------------------------------------------------


def _segment(config: Line | None, rows: Sequence[Row], left_out: Sequence[str]) -> ForeignLog:
    word = text_of(config, "bestDirection", "direction") if config else ""
    if config and word and word not in DIRECTIONS:
        raise UsageError(f"line {config.number}: bestDirection is lower or higher, not {word!r}")
    return ForeignLog(
        ORIGIN,
        (text_of(config, "metricName", "metric_name") if config else "") or "metric",
        DIRECTIONS[word or "lower"],
        f"its config says {word}" if word else "pi-autoresearch's default",
        tuple(rows),
        unit=text_of(config, "metricUnit", "metric_unit") if config else "",
        goal=text_of(config, "name") if config else "",
        left_out=tuple(left_out),
    )


def _row(line: Line) -> Row:
    word = text_of(line, "status")
    status = STATUSES.get(word)
    if status is None:
        raise UsageError(f"line {line.number}: unknown status {word!r}; use {', '.join(STATUSES)}")
    value = number_of(line, line.found, "metric")
    status, description = our_word(status, text_of(line, "description"))
    failed = word == "crash" or (status is Status.GATE_FAILED and value == 0)
    metrics = object_of(line, "metrics")
    numbers = {name: number_of(line, metrics, name) for name in metrics}
    return Row(
        line.number,
        text_of(line, "commit"),
        None if failed else value,  # for which pi-autoresearch writes 0
        status,
        description,
        time=_time(line),
        numbers={name: number for name, number in numbers.items() if number is not None},
        tags=tags_of(line, TAKEN),
    )


def _time(line: Line) -> str:
    if isinstance(line.found.get("timestamp"), str):
        return text_of(line, "timestamp")
    stamp = number_of(line, line.found, "timestamp")
    try:
        return utc(stamp / 1000 if stamp > MILLISECONDS else stamp) if stamp else ""
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"line {line.number}: {stamp} is no time") from None


# --- writing -----------------------------------------------------------------------------------------


def _written(campaign: Campaign, experiment: Experiment, number: int) -> dict[str, Any]:
    value, word, description = (
        campaign.value_of(experiment),
        WORDS.get(experiment.status),
        experiment.hypothesis,
    )
    if word is None or (value is None and experiment.status is Status.DISCARD):
        word, description = "crash", in_brackets(experiment.status, description)
    line = _line(number, commit_of(experiment), value or 0, word, description)
    line |= {"metrics": other_numbers(campaign, experiment), "timestamp": _stamp(experiment.time)}
    told = [tag.partition("=") for tag in experiment.tags]
    notes = {name.removeprefix("asi."): from_tag(value) for name, _, value in told if name.startswith("asi.")}
    confidence = next((from_tag(value) for name, _, value in told if name == "confidence"), None)
    return {**line, "confidence": confidence, **({"asi": notes} if notes else {})}


def _line(number: int, commit: str, metric: float, status: str, description: str) -> dict[str, Any]:
    return {
        "run": number,
        "commit": commit,
        "metric": metric,
        "metrics": {},
        "status": status,
        "description": description,
        "timestamp": 0,
        "segment": 0,
        "confidence": None,
    }


def _stamp(time: str) -> int:
    """Milliseconds since 1970; 0 where no time is known."""
    try:
        return round(datetime.fromisoformat(time).timestamp() * 1000) if time else 0
    except ValueError:
        return 0
