"""JSON Lines of somebody else's, read with their line numbers. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from optiloop.errors import UsageError
from optiloop.foreign.log import as_tag, leaves


class Line(NamedTuple):
    """One object, and where it stands."""

    number: int
    found: dict[str, Any]


def read_lines(text: str) -> tuple[list[Line], list[str]]:
    """The objects, and what was left out: a last line without an end, which its writer was stopped in.

    Raises UsageError at any other line that is no JSON object.
    """
    lines, left_out = [], []
    raw = text.split("\n")
    for number, line in enumerate(raw, 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            if number == len(raw):
                left_out.append(f"line {number}: cut short, its writer was stopped")
                continue
            raise UsageError(f"line {number}: not JSON: {error}") from None
        if not isinstance(found, dict):
            raise UsageError(f"line {number}: not a JSON object")
        lines.append(Line(number, found))
    return lines, left_out


def text_of(line: Line, *names: str) -> str:
    """The first of these keys that is there; empty where none is. Raises UsageError where it is no text."""
    for name in names:
        value = line.found.get(name)
        if value is not None:
            if not isinstance(value, str):
                raise UsageError(f"line {line.number}: {name} is no text: {value!r}")
            return value
    return ""


def number_of(line: Line, found: Mapping[str, Any], name: str) -> float | None:
    """A number, or None where it is missing or null. Raises UsageError where it is something else."""
    value = found.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UsageError(f"line {line.number}: {name} is not a number: {value!r}")
    return float(value)


def object_of(line: Line, name: str) -> dict[str, Any]:
    """An object, empty where it is missing or null. Raises UsageError where it is something else."""
    value = line.found.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UsageError(f"line {line.number}: {name} is not an object: {value!r}")
    return value


def tags_of(line: Line, taken: frozenset[str]) -> tuple[str, ...]:
    """The fields that no place was found for, as tags; those that say nothing are not there."""
    rest = {name: value for name, value in line.found.items() if name not in taken}
    return tuple(as_tag(name, value) for name, value in leaves(rest) if value not in (None, "", [], {}))


def utc(seconds: float) -> str:
    """A time as a line of ours has it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no number")
