"""What the log says: answers that a second reading gives again, and numbers from what may be trusted."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optiloop.memory.history import RAN, History
from optiloop.memory.noise import NULLS_KEPT
from optiloop.model import (
    HOLDOUT,
    Baseline,
    Command,
    Cost,
    Direction,
    Experiment,
    GateResult,
    Measurement,
    Metric,
    Noise,
    Pair,
    Proposal,
    Sample,
    Spent,
    Status,
)
from optiloop.record import decode, encode
from optiloop.testing import experiment_of

TIMING = Metric("score", Command("true"))
EXACT = replace(TIMING, noise=Noise.DETERMINISTIC)


def proposal(text: str, *, origin: str = "test", family: str = "", tags: tuple[str, ...] = ()) -> Proposal:
    return Proposal({"a.txt": text}, f"try {text}", origin, family, tags, Cost(0.1, 10))


def experiment(
    number: int,
    status: Status = Status.DISCARD,
    *,
    text: str = "",
    effect: float | None = None,
    **words: object,
) -> Experiment:
    found = experiment_of(
        proposal(text or f"{number}", **words),  # type: ignore[arg-type]
        {"a.txt": "champion"},
        number=number,
        status=status,
        effect=effect,
    )
    return replace(found, result=None, change=None) if status is Status.NO_PROPOSAL else found


def history(*experiments: Experiment, metric: Metric = TIMING, nulls: tuple[float, ...] = ()) -> History:
    found = History(metric, Baseline("root", 1.0, nulls, None, 0.1))
    for one in experiments:
        found.add(one)
    return found


def measured(
    number: int, status: Status, *samples: tuple[float, float], **secondary: tuple[float, float]
) -> Experiment:
    pairs = tuple(
        Pair(Sample({"score": a}, 1, 1), Sample({"score": b}, 1, 1), candidate_first=False, seed=i)
        for i, (a, b) in enumerate(samples)
    )
    return replace(experiment(number, status), measurement=Measurement(pairs, 0.1, None, secondary))


# --- twins -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", Status)
def test_the_answer_is_known_of_what_ran(status: Status) -> None:
    one = experiment(1, status)
    found = history(one)
    result = experiment(1).result or ""
    change = experiment(1).change or ""
    known = status in RAN
    assert known == (status not in (Status.DUPLICATE, Status.NO_PROPOSAL))
    assert (found.result(result) is not None) == known
    assert (found.change(change) is not None) == known


def test_a_duplicate_does_not_hide_the_answer() -> None:
    first, again = experiment(1, text="x"), experiment(2, Status.DUPLICATE, text="x")
    lesson = history(first, again).result(first.result or "")
    assert lesson is not None
    assert lesson.id == first.id


def test_the_latest_answer_counts() -> None:
    first, again = experiment(1, text="x"), experiment(2, Status.CRASH, text="x")
    lesson = history(first, again).change(first.change or "")
    assert lesson is not None
    assert (lesson.id, lesson.status) == (again.id, Status.CRASH)


def test_a_tag_is_found_whatever_became_of_it() -> None:
    found = history(*(experiment(i, status, tags=(f"t{i}", "all")) for i, status in enumerate(Status)))
    for i, status in enumerate(Status):
        lesson = found.tagged(f"t{i}")
        assert lesson is not None
        assert lesson.status is status
    latest = found.tagged("all")
    assert latest is not None
    assert latest.id == found.last_id


def test_what_is_not_there_is_none() -> None:
    found = history(experiment(1))
    assert found.result("no") is found.change("no") is found.tagged("no") is None
    assert found.spent("nobody") == Spent()


# --- counts ------------------------------------------------------------------------------------------


def test_counts() -> None:
    found = history(
        experiment(1, Status.KEEP),
        experiment(2, Status.NO_PROPOSAL),
        experiment(3, Status.DISCARD),
        experiment(4, Status.NO_PROPOSAL),
        experiment(5, Status.NO_PROPOSAL),
    )
    assert len(found) == 5
    assert (found.barren, found.since_keep) == (2, 4)
    assert found.head == f"{1:040d}"
    assert found.statuses == {Status.KEEP: 1, Status.DISCARD: 1, Status.NO_PROPOSAL: 3}
    assert [lesson.id for lesson in found.latest(2)] == [f"{4:026d}", f"{5:026d}"]
    assert found.latest(0) == ()
    assert len(found.latest(99)) == 5


def test_what_a_proposer_has_gained_and_used() -> None:
    found = history(
        experiment(1, Status.KEEP, origin="a", family="x", effect=2.0),
        experiment(2, Status.DISCARD, origin="a", family="y", effect=3.0),
        experiment(3, Status.KEEP, origin="a", family="x"),
        experiment(4, Status.KEEP, origin="b", effect=4.0),
    )
    assert found.spent("a") == Spent(3, 2, pytest.approx(math.log(2)), 3.0, pytest.approx(0.3))
    assert found.spent("a", "x") == Spent(2, 2, pytest.approx(math.log(2)), 2.0, pytest.approx(0.2))
    assert found.spent("a", "y") == Spent(1, 0, 0.0, 1.0, 0.1)


def test_a_gain_without_a_number_is_no_gain() -> None:
    for effect in (None, 0.0):
        assert history(replace(experiment(1, Status.KEEP), effect=effect)).spent("test").gain == 0


# --- what the measurements tell ----------------------------------------------------------------------


def test_the_champion_s_level_is_its_latest_measurement() -> None:
    found = history(measured(1, Status.DISCARD, (10, 11), (12, 13), (11, 99)), metric=EXACT)
    assert found.champion == 11
    found.add(measured(2, Status.KEEP, (10, 5), (12, 6), (11, 7)))
    assert found.champion == 6
    found.add(experiment(3, Status.GATE_FAILED))
    assert found.champion == 6
    found.add(replace(measured(4, Status.DISCARD, (0.0, 1)), parent=found.head or ""))
    assert found.champion == 0


def test_an_earlier_champion_s_level_is_not_this_one_s() -> None:
    """Of several candidates at a time, some were measured beside the champion of before."""
    found = history(measured(1, Status.KEEP, (10, 5), parse=(0.5, 0.2)), nulls=(0.1, 0.2))
    before = found.yardstick.scale
    found.add(measured(2, Status.DISCARD, (10, 11), (10, 30), (10, 11), parse=(0.5, 0.9)))
    assert (found.champion, found.profile) == (5, {"parse": 0.2})
    assert found.yardstick.scale != before, "its noise counts all the same"


def test_each_question_to_the_hold_out_is_counted() -> None:
    asked = GateResult(HOLDOUT, passed=True, reason="", seconds=0.1)
    found = history(replace(experiment(1, Status.KEEP), gates=(asked, asked)))
    assert found.peeks == 2


def test_the_profile_is_the_champion_s() -> None:
    found = history(measured(1, Status.DISCARD, (10, 11), parse=(0.5, 0.9)))
    assert found.profile == {"parse": 0.5}
    found.add(measured(2, Status.KEEP, (10, 5), parse=(0.5, 0.2)))
    assert found.profile == {"parse": 0.2}


def test_nothing_is_learnt_from_a_violation() -> None:
    """It may have written the champion's numbers."""
    found = history(measured(1, Status.DISCARD, (10, 11), (10, 11), (10, 11)), nulls=(0.1,))
    scale = found.yardstick.scale
    found.add(measured(2, Status.VIOLATION, (1, 11), (99, 11), (5, 11), parse=(0, 0)))
    assert (found.champion, found.profile, found.yardstick.scale) == (10, {}, scale)


def test_lessons_hold_the_champion_of_their_time() -> None:
    found = history(measured(1, Status.KEEP, (10, 5)), experiment(2, Status.GATE_FAILED))
    assert [lesson.champion for lesson in found.latest(2)] == [10, 5]


def test_the_noise_scale_is_learnt_from_what_was_judged() -> None:
    quiet = history(nulls=(0.1, -0.1, 0.1))
    assert quiet.yardstick.scale == pytest.approx(0.1 / 0.6745)
    steps = [(math.exp(0.4 * (i % 2)), 1.0) for i in range(20)]
    quiet.add(measured(1, Status.DISCARD, *steps))
    assert quiet.yardstick.scale == pytest.approx(0.4 / math.sqrt(2) / 0.6745)
    crashed = history(measured(1, Status.CRASH, *steps), nulls=(0.1, -0.1, 0.1))
    assert crashed.yardstick.scale == pytest.approx(0.1 / 0.6745)


def test_old_noise_is_forgotten() -> None:
    found = history(nulls=(9.0,) * NULLS_KEPT)
    steps = [(math.exp(0.1 * (i % 2)), 1.0) for i in range(NULLS_KEPT + 1)]
    found.add(measured(1, Status.DISCARD, *steps))
    assert found.yardstick.scale == pytest.approx(0.1 / math.sqrt(2) / 0.6745)


@pytest.mark.parametrize("metric", [EXACT, TIMING], ids=["deterministic", "before the baseline"])
def test_no_scale_is_none(metric: Metric) -> None:
    assert history(metric=metric).yardstick.scale is None
    assert (
        history(measured(1, Status.DISCARD, (1, 2), (2, 1)), metric=EXACT, nulls=(0.1,)).yardstick.scale
        is None
    )


def test_the_direction_is_only_a_sign() -> None:
    up = replace(TIMING, direction=Direction.MAXIMIZE)
    samples = [(1.0, 2.0), (3.0, 1.0), (2.0, 2.0)]
    one = history(measured(1, Status.DISCARD, *samples)).yardstick.scale
    assert one == pytest.approx(history(measured(1, Status.DISCARD, *samples), metric=up).yardstick.scale)


# --- a cache of the log ------------------------------------------------------------------------------

logs = st.lists(
    st.builds(
        lambda number, status, text, effect, tag: experiment(
            number, status, text=text, effect=effect, tags=(tag,), origin=tag
        ),
        st.integers(0, 10**9),
        st.sampled_from(Status),
        st.sampled_from("abcd"),
        st.none() | st.floats(0.1, 10),
        st.sampled_from("xyz"),
    ),
    max_size=12,
)


@given(logs)
def test_reading_the_log_again_gives_the_same_answers(experiments: list[Experiment]) -> None:
    live, read = history(*experiments), history(*(decode(encode(one)) for one in experiments))
    assert live.latest(99) == read.latest(99)
    assert (live.yardstick.scale, live.champion, live.profile, live.head) == (
        read.yardstick.scale,
        read.champion,
        read.profile,
        read.head,
    )
    assert all(live.spent(origin) == read.spent(origin) for origin in "xyz")
    assert all(live.result(one.result or "") == read.result(one.result or "") for one in experiments)


def test_a_run_that_was_ended_early_tells_how_far_it_came() -> None:
    known = History(TIMING)
    ended = Sample({}, 1.0, 1.0, curve=((0.1, 9.0), (0.3, 8.0)))
    whole = Sample({TIMING.name: 1.0}, 1.0, 1.0, curve=((0.5, 2.0),))
    for number, screen in enumerate((ended, whole, None)):
        known.add(replace(experiment(number), measurement=Measurement((), screen=screen)))
    assert [lesson.partial for lesson in known.latest(3)] == [(0.3, 8.0), None, None]


# --- places ------------------------------------------------------------------------------------------


def changing(number: int, function: str, status: Status, *, effect: float | None = None) -> Experiment:
    """An experiment that changed one function of a file."""
    source = {"a.py": "".join(f"def {name}():\n    return 1\n\n\n\n\n\n" for name in ("f", "g", "h"))}
    text = source["a.py"].replace(
        f"def {function}():\n    return 1", f"def {function}():\n    return {number}"
    )
    change = Proposal({"a.py": text}, f"try {number}", "test")
    return experiment_of(change, source, number=number, status=status, effect=effect)


def test_it_knows_what_was_tried_where() -> None:
    found = history(
        changing(2, "f", Status.DISCARD),
        changing(3, "g", Status.KEEP, effect=2.0),
        changing(4, "f", Status.KEEP, effect=4.0),
        changing(5, "f", Status.CRASH),
    )
    assert [lesson.hypothesis for lesson in found.at("a.py::f", 2)] == ["try 4", "try 5"]
    assert found.at("a.py::f", 9)[0].places == ("a.py::f",)
    assert found.spent_at("a.py::f") == Spent(3, 1, pytest.approx(math.log(4)), 3.0)
    assert [lesson.hypothesis for lesson in found.at("a.py", 3)] == ["try 3", "try 4", "try 5"]
    assert found.spent_at("a.py").experiments == 4
    assert found.at("a.py::f", 0) == found.at("a.py::h", 9) == found.at("f", 9) == ()
    assert found.spent_at("a.py::h") == Spent()


def test_it_knows_the_keeps_in_order() -> None:
    statuses = [Status.KEEP, Status.DISCARD, Status.KEEP, Status.CRASH, Status.KEEP]
    found = history(*(experiment(i, status, effect=2.0) for i, status in enumerate(statuses)))
    assert [lesson.hypothesis for lesson in found.keeps(2)] == ["try 2", "try 4"]
    assert len(found.keeps(9)) == 3
    assert found.keeps(0) == history().keeps(3) == ()
