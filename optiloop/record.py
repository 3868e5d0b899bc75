"""Experiment <-> one JSON line of the log. Pure.

The format is docs/experiment.schema.json; `VERSION` is its first key. Infinity has no JSON: the open end
of an interval is null. Unknown words and missing keys raise: a log is never half understood.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from optiloop.model import (
    Cost,
    Experiment,
    GateResult,
    Interval,
    Measurement,
    Pair,
    Sample,
    Status,
)

VERSION = 1


class RecordError(ValueError):
    """A line that is not an experiment of a known version."""


def digest(line: bytes) -> str:
    """SHA-256 of a line without its newline: what the next line holds as `previous`."""
    return hashlib.sha256(line).hexdigest()


def encode(experiment: Experiment) -> bytes:
    """Write one experiment as a line of JSON, without the newline."""
    line = json.dumps(as_json(experiment), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # A lone surrogate has no UTF-8; its backslash escape is the one that JSON reads back.
    return line.encode("utf-8", "backslashreplace")


def decode(line: bytes) -> Experiment:
    """Read one line. Raises RecordError with the reason."""
    try:
        found = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"not JSON: {error}") from None
    if not isinstance(found, dict):
        raise RecordError("not a JSON object")
    if found.get("v") != VERSION:
        raise RecordError(f"schema version {found.get('v')!r}; this optiloop reads {VERSION}")
    try:
        return _experiment(found)
    except KeyError as error:
        raise RecordError(f"no key {error}") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise RecordError(str(error)) from None


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no number")


def as_json(experiment: Experiment) -> dict[str, Any]:
    """The experiment as plain JSON types, in the order people read it."""
    return {
        "v": VERSION,
        "id": experiment.id,
        "time": experiment.time,
        "target": experiment.target,
        "parent": experiment.parent,
        "status": str(experiment.status),
        "reason": experiment.reason,
        "effect": _number(experiment.effect),
        "interval": _interval_json(experiment.interval),
        "evidence": _number(experiment.evidence),
        "origin": experiment.origin,
        "family": experiment.family,
        "hypothesis": experiment.hypothesis,
        "tags": list(experiment.tags),
        "cost": {"usd": experiment.cost.usd, "tokens": experiment.cost.tokens},
        "result": experiment.result,
        "change": experiment.change,
        "diff": experiment.diff,
        "gates": [
            {
                "name": gate.name,
                "passed": gate.passed,
                "reason": gate.reason,
                "seconds": round(gate.seconds, 4),
            }
            for gate in experiment.gates
        ],
        "measurement": _measurement_json(experiment.measurement),
        "seconds": round(experiment.seconds, 4),
        "seed": experiment.seed,
        **({"sandbox": experiment.sandbox} if experiment.sandbox else {}),
        "commit": experiment.commit,
        "previous": experiment.previous,
    }


def _number(value: float | None) -> float | None:
    return None if value is None or math.isinf(value) else value


def _interval_json(interval: Interval | None) -> dict[str, float | None] | None:
    return None if interval is None else {"low": _number(interval.low), "high": _number(interval.high)}


def _measurement_json(measurement: Measurement | None) -> dict[str, Any] | None:
    if measurement is None:
        return None
    return {
        "scale": measurement.scale,
        "confirmed": measurement.confirmed,
        "pairs": [
            {
                "champion": _sample_json(pair.champion),
                "candidate": _sample_json(pair.candidate),
                "candidate_first": pair.candidate_first,
                "seed": pair.seed,
            }
            for pair in measurement.pairs
        ],
        "secondary": {name: list(values) for name, values in measurement.secondary.items()},
    }


def _sample_json(sample: Sample) -> dict[str, Any]:
    return {
        "values": dict(sample.values),
        "seconds": round(sample.seconds, 4),
        "cpu_seconds": round(sample.cpu_seconds, 4),
    }


def _experiment(found: Mapping[str, Any]) -> Experiment:
    return Experiment(
        id=found["id"],
        time=found["time"],
        target=found["target"],
        parent=found["parent"],
        status=Status(found["status"]),
        reason=found["reason"],
        effect=found["effect"],
        interval=_interval(found["interval"]),
        evidence=found["evidence"],
        origin=found["origin"],
        family=found["family"],
        hypothesis=found["hypothesis"],
        tags=tuple(found["tags"]),
        cost=Cost(found["cost"]["usd"], found["cost"]["tokens"]),
        result=found["result"],
        change=found["change"],
        diff=found["diff"],
        gates=tuple(
            GateResult(gate["name"], gate["passed"], gate["reason"], gate["seconds"])
            for gate in found["gates"]
        ),
        measurement=_measurement(found["measurement"]),
        seconds=found["seconds"],
        seed=found["seed"],
        sandbox=str(found.get("sandbox", "")),
        commit=found["commit"],
        previous=found["previous"],
    )


def _interval(found: Mapping[str, Any] | None) -> Interval | None:
    if found is None:
        return None
    low, high = found["low"], found["high"]
    return Interval(-math.inf if low is None else low, math.inf if high is None else high)


def _measurement(found: Mapping[str, Any] | None) -> Measurement | None:
    if found is None:
        return None
    pairs = tuple(
        Pair(_sample(pair["champion"]), _sample(pair["candidate"]), pair["candidate_first"], pair["seed"])
        for pair in found["pairs"]
    )
    secondary = {name: (values[0], values[1]) for name, values in found["secondary"].items()}
    return Measurement(pairs, found["scale"], found["confirmed"], secondary)


def _sample(found: Mapping[str, Any]) -> Sample:
    return Sample(dict(found["values"]), found["seconds"], found["cpu_seconds"])
