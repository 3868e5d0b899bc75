"""Experiment <-> one JSON line of the log. Pure.

The format is docs/experiment.schema.json; `VERSION` is its first key. Infinity has no JSON: the open end
of an interval is null. Unknown words and missing keys raise: a log is never half understood.
What an earlier optiloop did not write yet may be missing, and is then not known.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from optiloop.model import (
    Compare,
    Cost,
    Experiment,
    GateResult,
    Interval,
    Kin,
    Level,
    Measurement,
    Noise,
    Novelty,
    Pair,
    Policy,
    Rule,
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
        "interval": interval_json(experiment.interval),
        "evidence": _number(experiment.evidence),
        "origin": experiment.origin,
        "family": experiment.family,
        "hypothesis": experiment.hypothesis,
        "tags": list(experiment.tags),
        "cost": _cost_json(experiment.cost),
        "result": experiment.result,
        "change": experiment.change,
        "diff": experiment.diff,
        "gates": [
            {
                "name": gate.name,
                "passed": gate.passed,
                "reason": gate.reason,
                "seconds": round(gate.seconds, 4),
                **_present("tests", gate.tests),
            }
            for gate in experiment.gates
        ],
        "measurement": _measurement_json(experiment.measurement),
        "seconds": round(experiment.seconds, 4),
        "seed": experiment.seed,
        **({"sandbox": experiment.sandbox} if experiment.sandbox else {}),
        **_present("kin", _kin_json(experiment.kin)),
        "commit": experiment.commit,
        "previous": experiment.previous,
    }


def _cost_json(cost: Cost) -> dict[str, float]:
    written = _present("tokens_out", cost.tokens_out)
    return {"usd": cost.usd, "tokens": cost.tokens, **written, **_present("seconds", round(cost.seconds, 3))}


def _number(value: float | None) -> float | None:
    return None if value is None or math.isinf(value) else value


def interval_json(interval: Interval | None) -> dict[str, float | None] | None:
    return None if interval is None else {"low": _number(interval.low), "high": _number(interval.high)}


def _measurement_json(measurement: Measurement | None) -> dict[str, Any] | None:
    """The samples and all that they are judged by. What a kind of metric has no use for is left out."""
    if measurement is None:
        return None
    return {
        "scale": measurement.scale,
        "confirmed": measurement.confirmed,
        "pairs": list(map(_pair_json, measurement.pairs)),
        "secondary": {name: list(values) for name, values in measurement.secondary.items()},
        **_present("scales", dict(measurement.scales)),
        **_present("level", _level_json(measurement.level)),
        **_present("screen", None if measurement.screen is None else sample_json(measurement.screen)),
        **_present("complexity", list(measurement.complexity or ())),
        **_present("rule", _rule_json(measurement.rule)),
        **_present("audit", list(map(_pair_json, measurement.audit))),
    }


def _pair_json(pair: Pair) -> dict[str, Any]:
    return {
        "champion": sample_json(pair.champion),
        "candidate": sample_json(pair.candidate),
        "candidate_first": pair.candidate_first,
        "seed": pair.seed,
    }


def _present(key: str, value: Any) -> dict[str, Any]:
    return {key: value} if value else {}


def sample_json(sample: Sample) -> dict[str, Any]:
    return {
        "values": dict(sample.values),
        "seconds": round(sample.seconds, 4),
        "cpu_seconds": round(sample.cpu_seconds, 4),
        **_present("curve", [list(point) for point in sample.curve]),
    }


def _level_json(level: Level | None) -> dict[str, Any] | None:
    if level is None:
        return None
    return {
        "mean": level.mean,
        "sd": level.sd,
        "runs": level.runs,
        "freedom": level.freedom,
        **_present("curve", [list(point) for point in level.curve]),
    }


def _rule_json(rule: Rule | None) -> dict[str, Any] | None:
    if rule is None:
        return None
    policy = rule.policy
    return {
        "noise": str(rule.noise),
        "compare": str(rule.compare),
        "min_effect": rule.min_effect,
        "alpha": policy.alpha,
        "kappa": policy.kappa,
        "max_pairs": policy.max_pairs,
        **_present("margin", policy.margin if policy.simplify else None),
        **_present("audit", policy.audit if math.isfinite(policy.audit) else None),
    }


def _kin_json(kin: Kin | None) -> dict[str, Any] | None:
    """Why it is kin is said by the log's reason where it is refused, and can be read from its twin."""
    if kin is None or kin.novelty is Novelty.NOVEL:
        return None
    known = {"novelty": str(kin.novelty), "of": kin.of, "level": kin.level}
    return {**known, **_present("refused", kin.refused), **_present("audit", kin.audit)}


def _kin(found: Mapping[str, Any] | None) -> Kin | None:
    if found is None:
        return None
    audit, refused = bool(found.get("audit")), bool(found.get("refused"))
    return Kin(Novelty(found["novelty"]), found["of"], found["level"], refused=refused, audit=audit)


def _cost(found: Mapping[str, Any]) -> Cost:
    return Cost(found["usd"], found["tokens"], found.get("tokens_out", 0), found.get("seconds", 0.0))


def _experiment(found: Mapping[str, Any]) -> Experiment:
    return Experiment(
        id=found["id"],
        time=found["time"],
        target=found["target"],
        parent=found["parent"],
        status=Status(found["status"]),
        reason=found["reason"],
        effect=found["effect"],
        interval=interval_of(found["interval"]),
        evidence=found["evidence"],
        origin=found["origin"],
        family=found["family"],
        hypothesis=found["hypothesis"],
        tags=tuple(found["tags"]),
        cost=_cost(found["cost"]),
        result=found["result"],
        change=found["change"],
        diff=found["diff"],
        gates=tuple(
            GateResult(gate["name"], gate["passed"], gate["reason"], gate["seconds"], gate.get("tests"))
            for gate in found["gates"]
        ),
        measurement=_measurement(found["measurement"]),
        seconds=found["seconds"],
        seed=found["seed"],
        sandbox=str(found.get("sandbox", "")),
        kin=_kin(found.get("kin")),
        commit=found["commit"],
        previous=found["previous"],
    )


def interval_of(found: Mapping[str, Any] | None) -> Interval | None:
    if found is None:
        return None
    low, high = found["low"], found["high"]
    return Interval(-math.inf if low is None else low, math.inf if high is None else high)


def _measurement(found: Mapping[str, Any] | None) -> Measurement | None:
    if found is None:
        return None
    complexity, screen = found.get("complexity"), found.get("screen")
    return Measurement(
        tuple(map(_pair, found["pairs"])),
        found["scale"],
        found["confirmed"],
        secondary={name: (values[0], values[1]) for name, values in found["secondary"].items()},
        scales=dict(found.get("scales", {})),
        level=_level(found.get("level")),
        screen=None if screen is None else sample_of(screen),
        complexity=None if complexity is None else (complexity[0], complexity[1]),
        rule=_rule(found.get("rule")),
        audit=tuple(map(_pair, found.get("audit", ()))),
    )


def _pair(found: Mapping[str, Any]) -> Pair:
    sides = sample_of(found["champion"]), sample_of(found["candidate"])
    return Pair(*sides, found["candidate_first"], found["seed"])


def sample_of(found: Mapping[str, Any]) -> Sample:
    return Sample(dict(found["values"]), found["seconds"], found["cpu_seconds"], _curve(found))


def _curve(found: Mapping[str, Any]) -> tuple[tuple[float, float], ...]:
    return tuple((share, value) for share, value in found.get("curve", ()))


def _level(found: Mapping[str, Any] | None) -> Level | None:
    if found is None:
        return None
    return Level(found["mean"], found["sd"], found["runs"], found["freedom"], _curve(found))


def _rule(found: Mapping[str, Any] | None) -> Rule | None:
    if found is None:
        return None
    margin = found.get("margin")
    standard = Policy()
    policy = Policy(
        alpha=found["alpha"],
        kappa=found["kappa"],
        max_pairs=found["max_pairs"],
        simplify=margin is not None,
        margin=standard.margin if margin is None else margin,
        audit=found.get("audit", math.inf),
    )
    return Rule(Noise(found["noise"]), found["min_effect"], Compare(found["compare"]), policy)
