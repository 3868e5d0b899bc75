"""A line of the log comes back as it was and keeps to docs/experiment.schema.json; half of one is none."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from optiloop.model import (
    Compare,
    Cost,
    Experiment,
    GateResult,
    Interval,
    Level,
    Measurement,
    Noise,
    Pair,
    Policy,
    Proposal,
    Rule,
    Sample,
    Status,
)
from optiloop.record import RecordError, as_json, decode, digest, encode
from optiloop.testing import experiment_of

SCHEMA = json.loads(
    (Path(__file__).parents[1] / "docs" / "experiment.schema.json").read_text(encoding="utf-8")
)
VALIDATOR = Draft202012Validator(SCHEMA)

texts = st.text(st.characters(), max_size=20)  # lone surrogates, NUL and line separators included
numbers = st.floats(allow_nan=False, allow_infinity=False)
seconds = st.floats(0, 1e6).map(lambda value: round(value, 4))
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
ends = st.one_of(numbers, st.none())


def interval(low: float | None, high: float | None) -> Interval:
    first, last = -math.inf if low is None else low, math.inf if high is None else high
    return Interval(min(first, last), max(first, last))


curves = st.lists(st.tuples(numbers, numbers), max_size=3).map(tuple)
samples = st.builds(Sample, st.dictionaries(texts, numbers, max_size=3), seconds, seconds, curves)
scales = st.floats(1e-12, 1e3)
policies = st.builds(
    Policy,
    alpha=st.floats(0.001, 0.4),
    kappa=scales,
    max_pairs=st.integers(1, 99),
    simplify=st.just(True),
    margin=scales,
    audit=st.floats(2, 9),
) | st.builds(Policy, alpha=st.floats(0.001, 0.4))
rules = st.builds(Rule, st.sampled_from(Noise), st.floats(0, 9), st.sampled_from(Compare), policies)
levels = st.builds(Level, numbers, st.floats(0, 9), st.integers(1, 9), st.integers(1, 9), curves)
pairs = st.builds(Pair, samples, samples, st.booleans(), st.integers(0, 2**48))
measurements = st.builds(
    Measurement,
    st.lists(pairs, max_size=3).map(tuple),
    st.none() | scales,
    st.none() | numbers,
    st.dictionaries(texts, st.tuples(numbers, numbers), max_size=2),
    st.dictionaries(texts, scales, max_size=2),
    st.none() | levels,
    st.none() | samples,
    st.none() | st.tuples(st.integers(0, 999), st.integers(0, 999)),
    st.none() | rules,
    st.lists(pairs, max_size=2).map(tuple),
)
experiments = st.builds(
    Experiment,
    id=texts.filter(bool),
    time=texts,
    target=texts,
    parent=texts,
    status=st.sampled_from(Status),
    reason=texts,
    origin=texts,
    family=texts,
    hypothesis=texts,
    tags=st.lists(texts, max_size=3).map(tuple),
    cost=st.builds(Cost, st.floats(0, 1e6), st.integers(0, 10**12)),
    result=st.none() | texts,
    change=st.none() | texts,
    diff=texts,
    gates=st.lists(
        st.builds(GateResult, texts, st.booleans(), texts, seconds, st.none() | st.integers(1, 999)),
        max_size=2,
    ).map(tuple),
    measurement=st.none() | measurements,
    effect=st.none() | numbers,
    interval=st.none() | st.builds(interval, ends, ends),
    evidence=st.none() | st.floats(0, 1e300),
    seconds=seconds,
    seed=st.integers(0, 2**48),
    commit=st.none() | texts,
    previous=hashes | st.just(""),
)
thorough = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)


@given(experiments)
@thorough
def test_an_experiment_comes_back_as_it_was(experiment: Experiment) -> None:
    assert decode(encode(experiment)) == experiment


@given(experiments)
@thorough
def test_a_line_is_one_line_of_utf8_and_keeps_to_the_schema(experiment: Experiment) -> None:
    line = encode(experiment)
    assert b"\n" not in line
    line.decode("utf-8")
    VALIDATOR.validate(json.loads(line))


@given(experiments)
@thorough
def test_encoding_twice_is_encoding_once(experiment: Experiment) -> None:
    assert encode(decode(encode(experiment))) == encode(experiment)


def test_the_schema_is_one_and_describes_every_key() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["properties"]) == {"v", *(field.name for field in fields(Experiment))}
    assert SCHEMA["properties"]["status"]["enum"] == [str(status) for status in Status]

    def undescribed(node: Any, path: str) -> list[str]:
        if not isinstance(node, dict):
            return []
        named = [
            name
            for key, value in node.get("properties", {}).items()
            for name in ([f"{path}/{key}"] if not {"description", "$ref"} & set(value) else [])
        ]
        return named + [found for key, value in node.items() for found in undescribed(value, f"{path}/{key}")]

    assert undescribed(SCHEMA, "") == []


@pytest.mark.parametrize(
    "change", [{"extra": 1}, {"v": 2}, {"status": "kept"}, {"effect": "2"}, {"tags": [1]}]
)
def test_the_schema_refuses(change: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid({**as_json(line()), **change})


def line() -> Experiment:
    measured = experiment_of(Proposal({"a": "y\n"}, "because", "test"), {"a": "x\n"}, effect=2.0)
    return replace(
        measured,
        gates=(GateResult("tests", True, "", 0.5),),
        interval=Interval(1.5, math.inf),
        cost=Cost(0.25, 100),
    )


def spoilt(path: tuple[str | int, ...]) -> bytes:
    found: Any = json.loads(encode(line()))
    place = found
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    return json.dumps(found).encode()


def keys(node: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of every key whose absence must be noticed: not those that people or judges name."""
    if isinstance(node, list):
        return [found for i, item in enumerate(node) for found in keys(item, (*path, i))]
    if not isinstance(node, dict) or (path and path[-1] in ("values", "secondary")):
        return []
    return [found for key, item in node.items() for found in ((*path, key), *keys(item, (*path, key)))]


@pytest.mark.parametrize("path", keys(json.loads(encode(line()))), ids=lambda path: ".".join(map(str, path)))
def test_a_missing_key_is_an_error(path: tuple[str | int, ...]) -> None:
    with pytest.raises(RecordError, match=str(path[-1]) if path != ("v",) else "version"):
        decode(spoilt(path))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"v": 2}, "schema version 2"),
        ({"v": None}, "schema version None"),
        ({"status": "kept"}, "'kept' is not a valid Status"),
        ({"status": None}, "not a valid Status"),
        ({"interval": {"low": 2, "high": 1}}, "not an interval"),
        ({"interval": 3}, None),
        ({"gates": [3]}, None),
        ({"measurement": []}, None),
        ({"tags": None}, None),
        ({"cost": 0}, None),
    ],
)
def test_an_unknown_word_is_an_error(change: dict[str, Any], reason: str | None) -> None:
    with pytest.raises(RecordError, match=reason):
        decode(json.dumps({**as_json(line()), **change}).encode())


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"3", b"null", b"\xff\xfe", b"\x00", b"[" * 100_000, b'{"v":1,"effect":NaN}'],
    ids=lambda raw: repr(raw[:8]),
)
def test_what_is_no_object_is_an_error(raw: bytes) -> None:
    with pytest.raises(RecordError):
        decode(raw)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_no_number_is_never_read_as_one(word: str) -> None:
    raw = encode(line()).replace(b'"effect":2.0', f'"effect":{word}'.encode())
    with pytest.raises(RecordError, match=word):
        decode(raw)


def test_an_infinite_effect_is_absent() -> None:
    """JSON has no infinity, and a ratio that does not fit a number is not known."""
    assert decode(encode(replace(line(), effect=math.inf))).effect is None


def test_the_chain_is_over_the_line_without_its_newline() -> None:
    assert digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_line_older_than_sandbox_levels_is_read() -> None:
    proposal = Proposal({"a.py": "2\n"}, "why", "who")
    experiment = replace(experiment_of(proposal, {"a.py": "1\n"}), sandbox="bwrap")
    assert decode(encode(experiment)).sandbox == "bwrap"
    old = as_json(experiment)
    del old["sandbox"]
    assert decode(json.dumps(old).encode()) == replace(experiment, sandbox="")
