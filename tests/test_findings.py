"""What a log teaches: contradictions have a context that differs, findings a structure, and noise neither."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from remembering.contradictions import AT, run, score

from optiloop.memory.cases import Case, Past, Subject, past_of
from optiloop.memory.contradictions import (
    Contradiction,
    Kind,
    contradictions,
    mattered,
    reopened_by,
)
from optiloop.memory.facts import Facts, Knob, Way
from optiloop.memory.findings import (
    Finding,
    State,
    credits_of,
    findings,
    id_of,
    notes,
    weights,
    worth_showing,
)
from optiloop.memory.insights import Focus, Insight, insights, learned
from optiloop.memory.relevance import ALIVE, GONE, REWRITTEN, Code, context_match, relevance
from optiloop.memory.runs import Run, line_in, read_run, run_of
from optiloop.model import Experiment, Interval, Proposal, Status
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
    assert [(it.run.verdict, it.run.gain) for it in known.cases] == [(0, None), (1, 0.01)]


def test_a_take_back_leaves_what_a_later_keep_set() -> None:
    keeps = [told(True, 1, knob("DEPTH", "8", "12")), told(True, 2, knob("DEPTH", "12", "16"))]
    assert past_of([*keeps, told(True, 3, Facts(), taken=["000001"])]).now == {"DEPTH": "16"}


def test_a_take_back_that_was_not_kept_takes_nothing_back() -> None:
    tried = told(False, 2, knob("DEPTH", "12", "8"), taken=["000001"])
    known = past_of([told(True, 1, knob("DEPTH", "8", "12")), tried])
    assert (known.now, known.cases[0].helped) == ({"DEPTH": "12"}, True)


def test_what_a_diff_shows_to_be_there_is_believed() -> None:
    known = past_of([told(False, 1, knob("DEPTH", "8", "12")), told(False, 2, knob("DEPTH", "10", "12"))])
    assert [it.context["DEPTH"] for it in known.cases] == ["8", "10"]


def test_an_idea_without_a_way_is_told_apart_by_its_family() -> None:
    one = replace(told(True, 1, place("step")), family="memoise")
    assert past_of([one]).cases[0].subjects == (Subject("step", "memoise"),)


def test_an_experiment_and_its_line_are_the_same_run() -> None:
    made = experiment_of(Proposal({"a": "X = 2\n"}, "because", "test"), {"a": "X = 1\n"}, number=3)
    told = replace(made, effect=1.2, interval=Interval(1.1, 1.3))
    paired = experiment_of(Proposal({"a": "X = 2\n"}, "y", "test"), {"a": "X = 1\n"}, number=3, effect=1.2)
    assert paired.measurement is not None
    for it in (told, paired):
        assert run_of(it, 3) == read_run(line_in(as_json(it)), 3)


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


# --- findings ----------------------------------------------------------------------------------------


def depth(seq: int, gain: float | None, value: str, *, verdict: int = 0) -> Case:
    facts = Facts(("train.py",), (Knob("DEPTH", "8", value),), frozenset(), (("depth", Way.UP),))
    base = run(seq, Subject("depth", "up"), gain or 0.0, ERROR)
    told = replace(base, facts=facts, verdict=verdict, gain=gain, error=None if gain is None else ERROR)
    return Case(
        replace(told, status=Status.KEEP if verdict == 1 else Status.DISCARD), (DEPTH,), {"DEPTH": "8"}
    )


DEPTH = Subject("depth", "up")
WORSE = [depth(1, -0.01, "10", verdict=-1), depth(4, -0.012, "12", verdict=-1), depth(9, 0.001, "9")]


GOOD = [depth(seq, 0.02, "10", verdict=1) for seq in range(1, 5)]


def the(cases: Sequence[Case], **known: Any) -> Finding:
    (it,) = findings(past(cases), **known)
    return it


def test_a_finding_joins_values_and_keeps_the_runs_behind_it() -> None:
    it = the(WORSE)
    assert (it.subject, it.runs, it.helped, it.failed, it.worse) == (DEPTH, (1, 4, 9), 0, 2, ("10", "12"))
    assert it.best == pytest.approx(0.001)
    assert it.says.startswith("depth up: 10, 12 worse; 0 helped, 2 failed; mean -0.698% +- 0.")
    assert it.says.endswith("best +0.1%, n=3, #1 #4 #9")


def test_the_id_of_a_finding_is_that_of_its_structure() -> None:
    assert the(WORSE).id == the(WORSE[:1]).id == id_of(DEPTH)
    assert len({id_of(DEPTH), id_of(DEPTH, "LR = 1"), id_of(Subject("depth", "down")), id_of(WARMUP)}) == 4


def test_a_failure_without_a_gain_counts_and_has_no_mean() -> None:
    it = the([depth(1, None, "64", verdict=-1), depth(2, None, "64", verdict=-1)])
    assert (it.mean, it.failed, it.n, it.state) == (None, 2, 2, State.CONFIRMED)
    assert "never measured" in it.says


@pytest.mark.parametrize(
    ("cases", "state"),
    [
        ([depth(1, 0.001, "10")], State.CANDIDATE),
        ([depth(1, 0.02, "10", verdict=1)], State.ACTIVE),  # clear at once
        ([depth(1, 0.001, "10"), depth(2, 0.001, "10")], State.ACTIVE),  # tried again
        ([depth(1, 0.02, "10", verdict=1), depth(2, 0.02, "10", verdict=1)], State.CONFIRMED),
        ([depth(1, 0.02, "10", verdict=1), depth(2, -0.001, "10", verdict=-1)], State.ACTIVE),
        ([*GOOD, depth(5, None, "64", verdict=-1)], State.ACTIVE),  # one of five went against it
        ([*GOOD, depth(5, None, "64", verdict=0)], State.CONFIRMED),
    ],
)
def test_states_follow_from_what_was_seen(cases: Sequence[Case], state: State) -> None:
    assert the(cases).state is state


def test_a_contradiction_makes_a_finding_for_each_side() -> None:
    cases = opposite()
    every = findings(past(cases), found(cases))
    assert {(it.scope, it.state) for it in every} == {
        ("", State.CONFLICTED),
        ("DEPTH = 8", State.CONFIRMED),
        ("DEPTH = 24", State.CONFIRMED),
    }
    assert {it.scope: it.runs for it in every}["DEPTH = 8"] == (1, 2, 3)


GONE_CODE, HERE_CODE = {"train.py": "WIDTH = 8\n"}, {"train.py": "DEPTH = 8\n"}


def test_what_the_code_no_longer_names_is_outdated() -> None:
    assert the(WORSE, code=Code(HERE_CODE, {})).state is State.ACTIVE
    assert the(WORSE, code=Code(GONE_CODE, {})).state is State.OUTDATED


def test_what_is_gone_for_long_and_known_elsewhere_is_archived() -> None:
    code = Code(GONE_CODE, {})
    assert replace_past(WORSE, now={"DEPTH": "12"}, count=2000, code=code).state is State.ARCHIVED
    assert replace_past(WORSE, now={"DEPTH": "12"}, count=500, code=code).state is State.OUTDATED
    assert replace_past(WORSE, now={"DEPTH": "8"}, count=2000, code=code).state is State.OUTDATED


def replace_past(cases: Sequence[Case], *, now: Mapping[str, str], count: int, code: Code) -> Finding:
    (it,) = findings(Past(tuple(cases), now, count), code=code)
    return it


def test_what_is_known_by_words_alone_is_never_gone() -> None:
    told = [replace(it, run=replace(it.run, facts=replace(it.run.facts, places=()))) for it in WORSE]
    assert the(told, code=Code(GONE_CODE, {})).state is State.ACTIVE


def test_what_was_taken_back_stays_so() -> None:
    assert the(WORSE, retracted=frozenset({id_of(DEPTH)})).state is State.RETRACTED


def test_a_place_is_alive_until_a_keep_rewrites_it_or_it_goes() -> None:
    code = Code({"a.py": "def f():\n    pass\n", "p.md": "TONE: calm\n"}, {"a.py::f": "#7"})
    assert [code.has_place("a.py::f", seq) for seq in (3, 7, 9)] == [REWRITTEN, ALIVE, ALIVE]
    assert code.has_place("a.py::g", 3) == GONE
    assert code.has_place("p.md::TONE", 3) == ALIVE
    assert (code.has_name("f"), code.has_name("ff")) == (ALIVE, GONE)


def test_runs_fade_with_distance_and_findings_do_not() -> None:
    assert relevance(alive=1.0, match=1.0) == 1.0
    assert relevance(alive=1.0, match=1.0, distance=400) == pytest.approx(0.65)
    assert relevance(alive=1.0, match=1.0, distance=10**9) == pytest.approx(0.3)
    assert relevance(alive=GONE, match=context_match({"a": "1"}, {})) < 0.05


# --- evolve and notes --------------------------------------------------------------------------------


def shown(count: int, kept: int, name: str) -> list[Experiment]:
    made = [
        experiment_of(Proposal({"a": f"{n}\n"}, "x", "test", tags=(f"shown:{name}",)), {"a": "x\n"}, number=n)
        for n in range(count)
    ]
    ended = [Status.KEEP if n < kept else Status.DISCARD for n in range(count)]
    return [replace(it, status=status) for it, status in zip(made, ended, strict=True)]


def test_what_was_shown_earns_by_what_came_of_it() -> None:
    assert weights(shown(6, 2, "f1")) == {"f1": pytest.approx(3 / 8)}
    assert weights([replace(it, status=Status.DUPLICATE) for it in shown(6, 2, "f1")]) == {}


@pytest.mark.parametrize(
    ("uses", "wins", "share", "told"),
    [
        (5, 0, 0.5, False),
        (4, 0, 0.5, True),
        (9, 0, 0.05, True),  # no worse than the log
        (30, 0, 0.05, False),
        (9, 3, 0.5, True),
    ],
)
def test_what_misleads_is_no_longer_shown(uses: int, wins: int, share: float, told: bool) -> None:
    it = the(WORSE, earned=credits_of(shown(uses, wins, id_of(DEPTH))))
    assert worth_showing(it, share) is told


def test_notes_touch_the_place_or_its_entities_and_begin_with_an_id() -> None:
    every = findings(past([*WORSE, *opposite()]))
    assert notes(every, [], ["train.py"], [])[0].startswith(f"{id_of(DEPTH)} depth up:")
    assert notes(every, [], [], ["warmup"])[0].startswith(f"{id_of(WARMUP)} warmup up:")
    assert notes(every, [], ["other.py"], ["width"]) == []


def test_a_contradiction_speaks_for_its_findings_and_notes_are_few() -> None:
    cases = opposite()
    (line,) = notes(findings(past(cases), found(cases)), found(cases), [], ["warmup"])
    assert "differs: DEPTH" in line
    many = [case(seq, 0.01, SHALLOW, Subject("warmup", str(way))) for seq, way in enumerate(Way, 1)]
    others = [case(seq, 0.01, SHALLOW, Subject("width", str(way))) for seq, way in enumerate(Way, 10)]
    assert len(notes(findings(past([*many, *others])), [], [], ["warmup", "width"])) == 6


# --- insights ----------------------------------------------------------------------------------------


def said(cases: Sequence[Case], focus: Focus, source: Mapping[str, str] | None = None) -> list[Insight]:
    return insights(learned(past(cases), source), focus)


def test_contradictions_are_an_insight_with_their_runs() -> None:
    (it,) = said(opposite(), Focus.CONTRADICTIONS)
    assert (it.finding, it.runs) == (id_of(WARMUP), (1, 2, 3, 4, 5, 6))


def test_three_failures_without_a_keep_are_a_cluster() -> None:
    failures = [depth(seq, None, "64", verdict=-1) for seq in (1, 2, 3)]
    failures = [replace(it, run=replace(it.run, reason="out of memory")) for it in failures]
    (it,) = said(failures, Focus.FAILURES)
    assert it.runs == (1, 2, 3)
    assert it.says.endswith("3 of 3: out of memory")
    assert said(failures[:2], Focus.FAILURES) == []
    assert said([*failures, depth(4, 0.02, "9", verdict=1)], Focus.FAILURES) == []


def test_what_is_gone_is_stale() -> None:
    (it,) = said(WORSE, Focus.STALE, GONE_CODE)
    assert it.says.endswith("the code no longer has it")
    assert said(WORSE, Focus.STALE, HERE_CODE) == []
    assert said(WORSE, Focus.STALE) == []


def joint(seq: int, gain: float) -> Case:
    both = (Subject("depth", "up"), WARMUP)
    facts = Facts(("a", "b"), (), frozenset(), (("depth", Way.UP), ("warmup", Way.UP)))
    return Case(replace(run(seq, WARMUP, gain, ERROR), facts=facts), both, SHALLOW)


def test_two_changes_that_do_more_together_are_a_pattern() -> None:
    alone = [case(1, 0.001, SHALLOW), case(2, 0.001, SHALLOW), depth(3, 0.0, "9"), depth(4, 0.0, "9")]
    (it,) = said([*alone, joint(5, 0.02), joint(6, 0.021)], Focus.PATTERNS)
    assert it.runs == (5, 6)
    assert it.says.startswith("depth up with warmup up: +2.07% together, +1.97% beyond the sum")
    assert said([*alone, joint(5, 0.001), joint(6, 0.001)], Focus.PATTERNS) == []


def test_saturated_families_and_untried_places_are_told() -> None:
    def of(seq: int, family: str, where: str, verdict: int) -> Case:
        it = told(verdict == 1, seq, place(where))
        return past_of([replace(it, family=family)]).cases[0]

    cases = [of(1, "memoise", "f", 1), of(2, "memoise", "f", -1)]
    cases += [of(seq, "inline", "g", -1) for seq in range(3, 3 + 20)]
    untried, saturated = said(cases, Focus.DISCOVER)
    assert untried.says == "memoise was kept 1 of 2 times, and never tried at train.py::g"
    assert saturated.says == "inline is saturated: none of its last 20 was kept, of 20 in all"


def test_what_was_tried_once_does_not_count_among_what_was_looked_at() -> None:
    """Or a log with many ideas could not find a contradiction in any."""
    once = [case(seq, 0.0, SHALLOW, Subject(f"e{seq}", "up")) for seq in range(100, 3000)]
    weak = [case(it.run.seq, 0.3 * (it.run.gain or 0.0), it.context) for it in opposite()]
    assert [it.subject for it in found([*weak, *once])] == [WARMUP]


def test_a_clear_effect_of_two_sizes_is_none_though_a_run_went_the_other_way() -> None:
    high = [case(seq, 0.02, SHALLOW) for seq in range(1, 5)]
    low = [case(seq, 0.008, DEEP) for seq in range(5, 11)]
    assert [it for it in found([*high, *low, case(11, -0.0045, DEEP)]) if not it.suspected] == []
