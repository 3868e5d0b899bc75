"""What all foreign logs have in common, and how it becomes experiments of ours and comes back. Pure.

An experiment of a foreign log has one number, at most: there is no interval, no claim, and its effect is
that number beside the champion's. The first kept row is the baseline, and a line like the others, tagged
`baseline`, so that numbers of experiments are those of the foreign log. The first line's tags say what no
line of ours says elsewhere: the metric's name, unit and direction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from optiloop.errors import UsageError
from optiloop.model import (
    Baseline,
    Command,
    Compare,
    Cost,
    Direction,
    Experiment,
    Measurement,
    Metric,
    Noise,
    Pair,
    Policy,
    Rule,
    Sample,
    Status,
)
from optiloop.report.campaign import Campaign

BASELINE = "baseline"
"""The tag of the line that holds what the others were compared with first."""

COMMIT, METRIC, UNIT, DIRECTION, GOAL = "commit", "metric", "unit", "direction", "goal"
"""Names of tags `name=value`: of what a line of ours has no key for."""


@dataclass(frozen=True)
class Row:
    """One experiment of a foreign log; `line` is where it stands. Absent numbers are None.

    `numbers` are its other metrics. `time` is UTC, ISO 8601, or empty. `diff` and its
    fingerprint `change` are known where its commit was found.
    """

    line: int
    commit: str
    value: float | None
    status: Status
    description: str
    time: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)
    family: str = ""
    reason: str = ""
    tags: tuple[str, ...] = ()
    diff: str = ""
    change: str | None = None


@dataclass(frozen=True)
class ForeignLog:
    """A foreign log as read. `known_by` says how its direction is known, `left_out` what is not here."""

    origin: str
    metric: str
    direction: Direction
    known_by: str
    rows: tuple[Row, ...]
    unit: str = ""
    goal: str = ""
    left_out: tuple[str, ...] = ()

    @property
    def baseline(self) -> Row:
        """The first kept row with a number. Raises UsageError where there is none."""
        kept = (row for row in self.rows if row.status is Status.KEEP and row.value is not None)
        if (first := next(kept, None)) is None:
            raise UsageError("no kept row with a number, so there is nothing to compare with")
        return first


def direction_of(rows: Iterable[Row]) -> tuple[Direction, str]:
    """Which way a log goes that does not say it, by the course of its kept values, and how that is known."""
    kept = [row.value for row in rows if row.status is Status.KEEP and row.value is not None]
    if kept and kept[-1] > kept[0]:
        return Direction.MAXIMIZE, "the kept values rise"
    if kept and kept[-1] < kept[0]:
        return Direction.MINIMIZE, "the kept values fall"
    return Direction.MINIMIZE, "a guess: the kept values neither rise nor fall"


# --- into ours ---------------------------------------------------------------------------------------


def experiments_of(log: ForeignLog, target: str) -> tuple[Experiment, ...]:
    """The rows as experiments of a target. Raises UsageError where nothing was kept.

    Values are compared by their ratio where all kept ones are positive, else by their difference.
    """
    baseline = log.baseline
    kept = [row.value for row in log.rows if row.status is Status.KEEP and row.value is not None]
    compare = Compare.RATIO if min(kept) > 0 else Compare.DIFFERENCE
    said = {METRIC: log.metric, UNIT: log.unit, DIRECTION: str(log.direction), GOAL: log.goal}
    head = tuple(f"{name}={value}" for name, value in said.items() if value)
    champion, commit, found = kept[0], baseline.commit, []
    for number, row in enumerate(log.rows, 1):
        first = (BASELINE,) if row is baseline else ()
        tags = (*(head if number == 1 else ()), *first, *_kept_apart(row, log.metric), *row.tags)
        effect = None if row is baseline else _effect(row.value, champion, log.direction, compare)
        found.append(
            Experiment(
                id=f"{number:026d}",
                time=row.time,
                target=target,
                parent=commit,
                status=row.status,
                reason=row.reason or ("the baseline" if first else f"{row.status} in the imported log"),
                origin=log.origin,
                family=row.family,
                hypothesis=row.description,
                tags=tags,
                cost=Cost(),
                result=None,
                change=row.change,
                diff=row.diff,
                gates=(),
                measurement=_measurement(row, champion, log.metric, compare),
                effect=effect,
                interval=None,
                evidence=None,
                seconds=0.0,
                seed=0,
                commit=row.commit if row.status is Status.KEEP else None,
            )
        )
        if row.status is Status.KEEP:
            champion = champion if row.value is None else row.value
            commit = row.commit or commit
    return tuple(found)


def _kept_apart(row: Row, metric: str) -> Iterator[str]:
    """What a line has no place for: the commit of what was not kept, numbers without a measurement."""
    if row.status is not Status.KEEP and row.commit:
        yield f"{COMMIT}={row.commit}"
    if row.value is None:
        yield from (f"{name}={number!r}" for name, number in row.numbers.items() if name != metric)


def _effect(value: float | None, champion: float, direction: Direction, compare: Compare) -> float | None:
    if value is None:
        return None
    if compare is Compare.DIFFERENCE:
        return direction.sign * (champion - value)
    if min(value, champion) <= 0:
        return None
    return champion / value if direction is Direction.MINIMIZE else value / champion


def _measurement(row: Row, champion: float, metric: str, compare: Compare) -> Measurement | None:
    if row.value is None:
        return None
    before, after = Sample({metric: champion}, 0.0, 0.0), Sample({metric: row.value, **row.numbers}, 0.0, 0.0)
    rule = Rule(Noise.DETERMINISTIC, 0.0, compare, Policy()) if compare is Compare.DIFFERENCE else None
    return Measurement((Pair(before, after, candidate_first=False, seed=0),), rule=rule)


# --- and back ----------------------------------------------------------------------------------------


def stand_alone(experiments: Sequence[Experiment], name: str) -> Campaign:
    """The campaign of a log that lies alone, without its target: imported, or copied from somewhere.

    Metric, unit and direction are read from the first line's tags. Where they are missing, the metric is the
    first number of the samples, and its direction the one in which the effects go with the values.
    """
    tags = (tag.partition("=") for tag in reversed(experiments[0].tags))
    said = {key: value for key, _, value in tags if key in (METRIC, UNIT, DIRECTION, GOAL)}
    measured = [one for one in experiments if one.measurement and one.measurement.pairs]
    first = measured[0].measurement.pairs[0] if measured and measured[0].measurement else None
    metric_name = said.get(METRIC) or (next(iter(first.champion.values), "") if first else "")
    rule = next((one.measurement.rule for one in measured if one.measurement and one.measurement.rule), None)
    direction = Direction(said[DIRECTION]) if said.get(DIRECTION) in list(Direction) else None
    metric = Metric(
        metric_name or "metric",
        Command(()),
        direction or _direction_by_effects(measured, metric_name),
        unit=said.get(UNIT, ""),
        noise=rule.noise if rule else Noise.DETERMINISTIC,
        compare=rule.compare if rule else Compare.RATIO,
    )
    baseline = _baseline(measured, metric.name)
    return Campaign(name, said.get(GOAL, ""), metric, tuple(experiments), baseline)


def _baseline(measured: Sequence[Experiment], metric: str) -> Baseline | None:
    """The line that is tagged so, or what the first measured experiment was compared with."""
    tagged = next((one for one in measured if BASELINE in one.tags), None)
    one = tagged or next(iter(measured), None)
    if one is None or one.measurement is None:
        return None
    values = [
        pair.champion.values[metric] for pair in one.measurement.pairs if metric in pair.champion.values
    ]
    commit = (tagged.commit or "") if tagged else one.parent
    return Baseline(commit, median(values), (), None, 0.0) if values else None


def _direction_by_effects(measured: Iterable[Experiment], metric: str) -> Direction:
    """A better candidate with a larger value says maximize; a tie, and silence, minimize."""
    votes = 0
    for one in measured:
        rule = one.measurement.rule if one.measurement else None
        still = 0.0 if rule and rule.compare is Compare.DIFFERENCE else 1.0
        pairs = one.measurement.pairs if one.measurement else ()
        sides = [(p.champion.values.get(metric), p.candidate.values.get(metric)) for p in pairs]
        moved = [new - old for old, new in sides if old is not None and new is not None]
        if one.effect is not None and one.effect != still and moved and median(moved) != 0:
            votes += 1 if (one.effect > still) == (median(moved) > 0) else -1
    return Direction.MAXIMIZE if votes > 0 else Direction.MINIMIZE


def tag_value(experiment: Experiment, name: str) -> str:
    """The value of the last tag `name=value`; empty where there is none."""
    values = (tag[len(name) + 1 :] for tag in reversed(experiment.tags) if tag.startswith(f"{name}="))
    return next(values, "")


def commit_of(experiment: Experiment) -> str:
    """The commit of a keep, or the one that a foreign log named for what was not kept; 7 characters."""
    return (experiment.commit or tag_value(experiment, COMMIT))[:7]


def other_numbers(campaign: Campaign, experiment: Experiment) -> dict[str, float]:
    """The candidate's medians of all but the metric, by name."""
    pairs = experiment.measurement.pairs if experiment.measurement else ()
    names = dict.fromkeys(name for pair in pairs for name in pair.candidate.values)
    names |= dict.fromkeys(experiment.measurement.secondary if experiment.measurement else ())
    found = {name: campaign.secondary_of(experiment, name) for name in names if name != campaign.metric.name}
    return {name: value for name, value in found.items() if value is not None}


def our_word(status: Status, description: str) -> tuple[Status, str]:
    """The status of ours that stands in brackets before a crash's description, and what follows."""
    word, bracket, rest = description.removeprefix("[").partition("]")
    if (
        status is not Status.CRASH
        or not description.startswith("[")
        or not bracket
        or word not in list(Status)
    ):
        return status, description
    return Status(word), rest.removeprefix(" ")


def in_brackets(status: Status, description: str) -> str:
    """A description that says which status of ours a foreign format has no word for."""
    return f"[{status}] {description}".rstrip()


# --- fields without a place --------------------------------------------------------------------------


def leaves(found: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """A record's values, those of an object in it by dotted names: {"asi": {"a": 1}} gives ("asi.a", 1)."""
    for name, value in found.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", part) for inner, part in value.items())
        else:
            yield name, value


def as_tag(name: str, value: object) -> str:
    """`name=value`, in which a text stands plain unless it would read as JSON."""
    plain = isinstance(value, str) and _plain(value)
    return f"{name}={value if plain else json.dumps(value, ensure_ascii=False)}"


def from_tag(value: str) -> object:
    """The value that `as_tag` wrote."""
    try:
        found: object = json.loads(value)
    except ValueError:
        return value
    return found


def _plain(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return True
    return False
