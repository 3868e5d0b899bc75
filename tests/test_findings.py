"""What a log teaches: contradictions have a context that differs, findings a structure, and noise neither."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.remembering.contradictions import AT, run, score
from optiloop.memory.cases import Case, Past, Subject, past_of
from optiloop.memory.contradictions import (
    Contradiction,
    Kind,
    contradictions,
    mattered,
    reopened_by,
)
from optiloop.memory.facts import Facts, Knob, Way
from optiloop.memory.runs import Run, read_run, run_of
from optiloop.model import Interval, Proposal, Status
from optiloop.record import as_json
from optiloop.testing import experiment_of

WARMUP = Subject("warmup", "up")
ERROR = 0.002


def case(seq: int, gain: float, context: Mapping[str, str], subject: Subject = WARMUP) -> Case:
    return Case(run(seq, subject, gain, ERROR), (subject,), context)


def past(cases: Sequence[Case]) -> Past:
    return Past(tuple(cases), cases[-1].context if cases else {}, len(cases))


def found(cases: Sequence[Case]) -> list[Contradiction]:
    return contradictions(past(cases))


SHALLOW, DEEP = {"DEPTH": "8", "DATA": "a"}, {"DEPTH": "24", "DATA": "a"}


def told(kept: bool, seq: int, facts: Facts, *, taken: Sequence[str] = ()) -> Run:
    base = run(seq, WARMUP, 0.01, ERROR)
    status = Status.KEEP if kept else Status.DISCARD
    return replace(base, status=status, verdict=1 if kept else -1, facts=facts, taken=tuple(taken))


# --- runs and their context --------------------------------------------------------------------------


def knob(name: str, before: str, after: str) -> Facts:
    return Facts(("train.py",), (Knob(name, before, after),), frozenset(), ((name.lower(), Way.UP),))


def place(name: str) -> Facts:
    return Facts((f"train.py::{name}",), (), frozenset(), ((name, Way.CHANGE),))


def test_a_keep_is_in_force_from_the_next_run_on() -> None:
    known = past_of([told(True, 1, knob("DEPTH", "8", "12")), told(False, 2, knob("LR", "1", "2"))])
    assert [it.context for it in known.cases] == [{"DEPTH": "8", "LR": "1"}, {"DEPTH": "12", "LR": "1"}]
    assert known.now == {"DEPTH": "12", "LR": "1"}


def test_what_was_not_kept_is_not_in_force() -> None:
    known = past_of([told(False, 1, knob("DEPTH", "8", "12")), told(False, 2, knob("DEPTH", "8", "16"))])
    assert known.now == {"DEPTH": "8"}


def test_the_code_of_a_place_is_that_of_its_last_keep() -> None:
    known = past_of([told(False, 1, place("step")), told(True, 2, place("step")), told(False, 3, place("x"))])
    assert [it.context for it in known.cases] == [
        {"train.py::step": "#0"},
        {"train.py::step": "#0"},
        {"train.py::step": "#2"},
    ]


def test_a_take_back_brings_back_what_was_there() -> None:
    keeps = [told(True, 1, knob("DEPTH", "8", "12")), told(True, 2, place("step"))]
    back = replace(told(True, 3, knob("DEPTH", "12", "8"), taken=["000001"]), verdict=None)
    known = past_of([*keeps, back])
    assert known.now == {"DEPTH": "8", "train.py::step": "#2"}
    assert len(known.cases) == 2, "a take-back is no evidence"


def test_a_take_back_leaves_what_a_later_keep_set() -> None:
    keeps = [told(True, 1, knob("DEPTH", "8", "12")), told(True, 2, knob("DEPTH", "12", "16"))]
    assert past_of([*keeps, told(True, 3, Facts(), taken=["000001"])]).now == {"DEPTH": "16"}


def test_what_a_diff_shows_to_be_there_is_believed() -> None:
    known = past_of([told(False, 1, knob("DEPTH", "8", "12")), told(False, 2, knob("DEPTH", "10", "12"))])
    assert [it.context["DEPTH"] for it in known.cases] == ["8", "10"]


def test_an_idea_without_a_way_is_told_apart_by_its_family() -> None:
    one = replace(told(True, 1, place("step")), family="memoise")
    assert past_of([one]).cases[0].subjects == (Subject("step", "memoise"),)


def test_an_experiment_and_its_line_are_the_same_run() -> None:
    made = experiment_of(Proposal({"a": "X = 2\n"}, "because", "test"), {"a": "X = 1\n"}, number=3)
    made = replace(made, effect=1.2, interval=Interval(1.1, 1.3))
    assert run_of(made, 3) == read_run(as_json(made), 3)


# --- contradictions ----------------------------------------------------------------------------------


def opposite(n: int = 3) -> list[Case]:
    ups = [case(seq, 0.01, SHALLOW) for seq in range(1, n + 1)]
    return [*ups, *(case(seq, -0.01, DEEP) for seq in range(n + 1, 2 * n + 1))]


def test_what_separates_help_from_harm_is_named_with_both_sides() -> None:
    (it,) = found(opposite())
    assert (it.subject, it.kind, it.attribute, it.also) == (WARMUP, Kind.SCOPE, "DEPTH", ())
    assert (it.better.runs, it.worse.runs, it.suspected) == ((1, 2, 3), (4, 5, 6), False)
    assert it.says == (
        "warmup up: +1.01% at DEPTH = 8 (n=3, #1 #2 #3), -0.995% at DEPTH = 24 (n=3, #4 #5 #6);"
        " differs: DEPTH"
    )


def test_attributes_that_split_in_the_same_way_are_all_named() -> None:
    cases = [replace(it, context={**it.context, "A": str(it.run.seq > 3)}) for it in opposite()]
    (it,) = found(cases)
    assert {it.attribute, *it.also} == {"A", "DEPTH"}


def test_numbers_are_cut_where_they_separate_best() -> None:
    cases = [
        case(seq, 0.01 if depth <= 8 else -0.01, {"DEPTH": str(depth)})
        for seq, depth in enumerate([2, 4, 8, 12, 16, 24] * 2)
    ]
    (it,) = found(cases)
    assert (it.better.scope, it.worse.scope) == ("DEPTH <= 8", "DEPTH >= 12")


def test_one_context_with_both_is_unexplained() -> None:
    (it,) = found([case(1, 0.02, SHALLOW), case(2, -0.02, SHALLOW)])
    assert (it.kind, it.attribute) == (Kind.UNEXPLAINED, "")
    assert it.says.endswith("replicate both")


def test_two_single_runs_are_suspected_only_in_a_short_log() -> None:
    pair = [case(1, 0.008, SHALLOW), case(2, -0.008, DEEP)]
    (it,) = found(pair)
    assert it.suspected
    assert it.attribute == "DEPTH"
    others = [case(seq, 0.0, SHALLOW, Subject(f"e{seq}", "up")) for seq in range(3, 400)]
    assert found([*pair, *others]) == []


def test_what_the_code_no_longer_has_is_superseded() -> None:
    (it,) = contradictions(past(opposite()), gone=lambda subject: subject == WARMUP)
    assert it.kind is Kind.SUPERSEDED


def test_what_changed_two_things_is_evidence_of_neither() -> None:
    both = Facts(("a::f", "b::g"), (), frozenset(), (("f", Way.CHANGE), ("g", Way.CHANGE)))
    cases = [replace(it, run=replace(it.run, facts=both)) for it in opposite()]
    assert found(cases) == []


def test_crashes_have_no_gain_and_are_no_side() -> None:
    cases = [replace(it, run=replace(it.run, gain=None, error=None)) for it in opposite()]
    assert found(cases) == []


def test_different_edits_that_vary_more_than_their_noise_are_no_contradiction() -> None:
    """Gains measured exactly, of changes that scatter widely in every context."""
    rng = random.Random(3)
    cases = [
        case(seq, rng.gauss(0, 0.05), (SHALLOW, DEEP)[seq // 4 % 2], Subject(f"e{seq % 4}", "swap"))
        for seq in range(400)
    ]
    exact = [replace(it, run=replace(it.run, error=0.0)) for it in cases]
    assert found(exact) == []


GAINS = st.floats(-0.02, 0.02, allow_nan=False)
CONTEXTS = st.sampled_from([SHALLOW, DEEP, {"DEPTH": "8", "DATA": "b"}, {"DEPTH": "24", "DATA": "b"}])


@given(st.lists(st.tuples(GAINS, CONTEXTS), min_size=2, max_size=12), st.randoms())
def test_the_order_of_independent_runs_does_not_matter(
    drawn: list[tuple[float, Mapping[str, str]]], rng: random.Random
) -> None:
    cases = [case(seq, *each) for seq, each in enumerate(drawn)]
    mixed = rng.sample(cases, len(cases))

    def gist(it: Contradiction) -> tuple[object, ...]:
        return it.subject, it.kind, it.attribute, it.better.scope, it.better.runs, it.worse.runs, it.suspected

    assert [gist(it) for it in found(mixed)] == [gist(it) for it in found(cases)]


@given(st.lists(st.tuples(st.floats(0.0001, 0.05), CONTEXTS), min_size=2, max_size=12), st.booleans())
def test_an_effect_of_any_size_and_one_sign_is_never_one(
    drawn: list[tuple[float, Mapping[str, str]]], better: bool
) -> None:
    sign = 1 if better else -1
    assert found([case(seq, sign * gain, context) for seq, (gain, context) in enumerate(drawn)]) == []


@given(st.lists(st.tuples(GAINS, CONTEXTS), min_size=2, max_size=12))
def test_the_direction_of_the_metric_is_only_a_sign(drawn: list[tuple[float, Mapping[str, str]]]) -> None:
    cases = [case(seq, *each) for seq, each in enumerate(drawn)]
    turned = [replace(it, run=replace(it.run, gain=-(it.run.gain or 0.0))) for it in cases]
    sides = {(it.subject, it.kind, it.attribute, it.better.runs, it.worse.runs) for it in found(cases)}
    swapped = {(it.subject, it.kind, it.attribute, it.worse.runs, it.better.runs) for it in found(turned)}
    assert sides == swapped


def test_planted_contradictions_are_found_and_little_else() -> None:
    few = score("optiloop", AT, 3)
    assert few.ok, few
    assert few.named > 0.8
    assert score("any opposite sign", AT, 3).precision < few.precision


# --- what opens a failure again ----------------------------------------------------------------------


def test_a_failure_is_opened_again_where_what_mattered_has_changed() -> None:
    matters = mattered(found(opposite()))
    assert matters == {"warmup": frozenset({"DEPTH"})}
    said = reopened_by(DEEP, SHALLOW, ["warmup"], matters)
    assert said == "DEPTH was 24 and is 8, which mattered before"


@pytest.mark.parametrize(
    ("then", "now", "entities"),
    [
        (DEEP, DEEP, ["warmup"]),
        (DEEP, {**DEEP, "DATA": "b"}, ["warmup"]),  # it changed, and did not matter
        (DEEP, SHALLOW, ["depth"]),  # it mattered to something else
        (DEEP, SHALLOW, []),
    ],
)
def test_it_stays_closed_otherwise(
    then: Mapping[str, str], now: Mapping[str, str], entities: Sequence[str]
) -> None:
    assert reopened_by(then, now, entities, mattered(found(opposite()))) == ""
