"""MemoryLab's `experiments.jsonl`: a JSON object a run. Its metric is val_bpb, less is better. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from optiloop.errors import UsageError
from optiloop.foreign.lines import Line, number_of, object_of, read_lines, tags_of, text_of
from optiloop.foreign.log import ForeignLog, Row
from optiloop.model import Direction, Status

ORIGIN = "memorylab"
METRIC = "val_bpb"
STATUSES = {status.value: status for status in (Status.KEEP, Status.DISCARD, Status.CRASH)}
TAKEN = frozenset(("timestamp_utc", "commit", "family", "status", "description", "tags", "metrics", "error"))
BULK = frozenset(("top_matches", "counts", "comparison", "tail"))
"""Lists and tables inside a record that MemoryLab computed from the other records."""


def read_memorylab(text: str) -> ForeignLog:
    """Read a ledger. Raises UsageError that names the line."""
    lines, left_out = read_lines(text)
    if any(BULK & set(part) for line in lines for part in line.found.values() if isinstance(part, dict)):
        left_out.append(f"what MemoryLab computed from other records ({', '.join(sorted(BULK))})")
    rows = tuple(map(_row, lines))
    return ForeignLog(
        ORIGIN, METRIC, Direction.MINIMIZE, "MemoryLab's metric", rows, left_out=tuple(left_out)
    )


def _row(line: Line) -> Row:
    word = text_of(line, "status")
    status = STATUSES.get(word)
    if status is None:
        raise UsageError(f"line {line.number}: unknown status {word!r}; use {', '.join(STATUSES)}")
    metrics = object_of(line, "metrics")
    plain = {name: value for name, value in metrics.items() if not isinstance(value, str)}
    numbers = {name: number_of(line, plain, name) for name in plain}
    value = numbers.pop(METRIC, None)
    told = {name: value for name, value in metrics.items() if isinstance(value, str)}
    error = object_of(line, "error")
    rest = {
        name: {k: v for k, v in part.items() if k not in BULK} if isinstance(part, dict) else part
        for name, part in (line.found | {"metric": told}).items()
    }
    tags = line.found.get("tags") or []
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise UsageError(f"line {line.number}: tags is no list of texts: {tags!r}")
    return Row(
        line.number,
        text_of(line, "commit"),
        None if status is Status.CRASH else value,
        status,
        text_of(line, "description"),
        time=_time(line),
        numbers={name: number for name, number in numbers.items() if number is not None},
        family=text_of(line, "family"),
        reason=str(error.get("summary") or ""),
        tags=(*tags, *tags_of(Line(line.number, rest), TAKEN)),
    )


def _time(line: Line) -> str:
    said = text_of(line, "timestamp_utc")
    try:
        time = datetime.fromisoformat(said) if said else None
    except ValueError:
        raise UsageError(f"line {line.number}: timestamp_utc is no time: {said!r}") from None
    if time is None:
        return ""
    whole = time if time.tzinfo else time.replace(tzinfo=UTC)
    return whole.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
