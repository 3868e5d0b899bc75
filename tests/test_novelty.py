"""What a proposal is to the log: repeats are refused before they are paid for, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest

from optiloop.memory.cases import Past
from optiloop.memory.history import LEAST_LEARNT, History
from optiloop.memory.insights import Learned
from optiloop.memory.lessons import told
from optiloop.memory.novelty import AUDITED, MOST_TRIES, Audits, judged, reopened
from optiloop.model import (
    Assignment,
    Command,
    Compare,
    Cost,
    Experiment,
    Interval,
    Kin,
    Lesson,
    Lessons,
    Metric,
    Mode,
    Novelty,
    Proposal,
    Status,
)
from optiloop.record import decode, encode
from optiloop.testing import experiment_of

METRIC = Metric("score", Command("true"), min_effect=0.01)
BASE = "def f(xs):\n    out = []\n    for x in xs:\n        out.append(x + 1)\n    return out\n\n\nRATE = 4\n"
FASTER = BASE.replace(
    "out = []\n    for x in xs:\n        out.append(x + 1)\n    return out", "return [x + 1 for x in xs]"
)
SAME = FASTER.replace("for x in", "for each in").replace("[x + 1", "[each + 1") + "# a note\n"
OTHER = "\n\ndef g(ys):\n    return sorted(ys)[0]\n"


class Log:
    """A history that is fed with changes of one file, and answers with the diffs it was fed with."""

    def __init__(self) -> None:
        self.diffs: dict[str, str] = {}
        self.history = History(METRIC, diffs=lambda name: self.diffs.get(name, ""))

    def add(self, before: str, after: str, status: Status, **facts: object) -> Experiment:
        number = len(self.history) + 1
        proposal = Proposal({"a.py": after}, f"idea {number}", "test", cost=Cost())
        effect = facts.pop("effect", None)
        assert effect is None or isinstance(effect, float)
        made = experiment_of(proposal, {"a.py": before}, number=number, status=status, effect=effect)
        made = replace(made, **facts)
        self.diffs[made.id] = made.diff
        self.history.add(made)
        return made

    def kin(self, before: str, after: str) -> Kin:
        return self.history.kin({"a.py": before}, {"a.py": after})


def test_a_new_change_is_novel() -> None:
    assert Log().kin(BASE, FASTER) == Kin()


def test_the_champion_is_refused_in_every_mode() -> None:
    log = Log()
    for mode in Mode:
        log.history.mode = mode
        assert log.kin(BASE, BASE + "# a note\n").refused


@pytest.mark.parametrize("status", [Status.DISCARD, Status.GATE_FAILED, Status.CRASH, Status.KEEP])
def test_a_program_that_ran_is_refused_however_it_is_written(status: Status) -> None:
    log = Log()
    first = log.add(BASE, FASTER, status)
    kin = log.kin(BASE, SAME)
    assert (kin.novelty, kin.of, kin.level, kin.refused) == (Novelty.DUPLICATE_RUN, first.id, "program", True)
    assert first.id in kin.why


@pytest.mark.parametrize("status", [Status.DUPLICATE, Status.NO_PROPOSAL])
def test_what_was_not_run_is_no_answer(status: Status) -> None:
    log = Log()
    log.add(BASE, FASTER, status)
    assert not log.kin(BASE, FASTER).refused


def test_a_failed_change_is_refused_on_another_base() -> None:
    log = Log()
    first = log.add(BASE, FASTER, Status.GATE_FAILED)
    kin = log.kin(BASE + OTHER, FASTER + OTHER)
    assert (kin.novelty, kin.of, kin.level) == (Novelty.REPEAT_FAILURE, first.id, "change")
    assert kin.refused


def test_a_failed_change_may_be_tried_where_the_code_it_touches_has_changed() -> None:
    log = Log()
    log.add(BASE, FASTER, Status.GATE_FAILED)
    other = BASE.replace("x + 1", "x + 2")
    assert not log.kin(other, FASTER.replace("x + 1", "x + 2")).refused


def test_a_change_that_is_in_the_champion_elsewhere_is_a_known_success() -> None:
    log = Log()
    log.add(BASE, FASTER, Status.KEEP)
    kin = log.kin(BASE + OTHER, FASTER + OTHER)
    assert (kin.novelty, kin.refused) == (Novelty.KNOWN_SUCCESS, False)


def test_a_change_that_was_taken_back_is_a_failure() -> None:
    log = Log()
    kept = log.add(BASE, FASTER, Status.KEEP)
    log.add(FASTER, BASE, Status.KEEP, tags=("demotion", f"takes-back:{kept.id}"))
    kin = log.kin(BASE + OTHER, FASTER + OTHER)
    assert (kin.novelty, kin.refused) == (Novelty.REPEAT_FAILURE, True)


def test_weak_evidence_is_no_answer_until_it_was_weak_three_times() -> None:
    log = Log()
    for n in range(1, MOST_TRIES + 1):
        facts = {"effect": 1.05, "reason": "undecided: 1.05x in 30 pairs", "interval": Interval(0.9, 1.2)}
        log.add(BASE + OTHER * n, FASTER + OTHER * n, Status.DISCARD, **facts)
        assert log.kin(BASE, FASTER).refused is (n == MOST_TRIES)


def test_a_change_that_ran_out_of_time_may_be_tried_again_on_another_base() -> None:
    log = Log()
    for n in range(1, MOST_TRIES + 1):
        reason = "metric: killed at its limit of 60 s"
        log.add(BASE + OTHER * n, FASTER + OTHER * n, Status.CRASH, reason=reason)
        assert log.kin(BASE, FASTER).refused is (n == MOST_TRIES)


REOPENED = {
    "the champion is three times faster": (Status.DISCARD, 30.0, 10.0, 1.0, True),
    "it was not measured": (Status.DISCARD, 30.0, 10.0, None, True),
    "it ran out of its time": (Status.CRASH, 30.0, 10.0, None, True),
    "the champion is hardly faster": (Status.DISCARD, 15.0, 10.0, 1.0, False),
    "it made things worse": (Status.DISCARD, 30.0, 10.0, 0.9, False),
    "it failed the tests": (Status.GATE_FAILED, 30.0, 10.0, None, False),
    "the champion of then is unknown": (Status.DISCARD, None, 10.0, 1.0, False),
    "the champion of now is unknown": (Status.DISCARD, 30.0, None, 1.0, False),
}


@pytest.mark.parametrize("name", REOPENED)
def test_a_change_too_small_to_show_is_tried_again_once_the_rest_is_fast(name: str) -> None:
    status, then, now, effect, again = REOPENED[name]
    lesson = Lesson(
        id="1", status=status, origin="", family="", hypothesis="", reason="", result=None,
        change=None, tags=(), parent="", champion=then, effect=effect, seconds=1.0, cost=Cost(),
    )  # fmt: skip
    assert bool(reopened(lesson, tries=1, champion=now, metric=METRIC)) is again
    by_difference = replace(METRIC, compare=Compare.DIFFERENCE)
    assert not reopened(replace(lesson, status=Status.VIOLATION), tries=1, champion=now, metric=by_difference)


def test_what_is_much_alike_is_said_and_run() -> None:
    log = Log()
    first = log.add(BASE, FASTER, Status.DISCARD)
    elsewhere = BASE.replace("RATE = 4", "RATE = 5")
    nearly = FASTER.replace("RATE = 4", "RATE = 5").replace("[x + 1 for", "[(x) - -1 for")
    kin = log.kin(elsewhere, nearly)
    assert (kin.novelty, kin.of, kin.level, kin.refused) == (
        Novelty.REPEAT_FAILURE,
        first.id,
        "likeness",
        False,
    )
    log.history.mode = Mode.EXPLORE
    assert log.kin(elsewhere, nearly).refused


def test_another_value_of_a_kept_knob_follows_it_up() -> None:
    log = Log()
    kept = log.add(BASE, BASE.replace("RATE = 4", "RATE = 8"), Status.KEEP)
    now = BASE.replace("RATE = 4", "RATE = 8")
    kin = log.kin(now, BASE.replace("RATE = 4", "RATE = 16"))
    assert (kin.novelty, kin.of, kin.refused) == (Novelty.INCREMENTAL_FOLLOWUP, kept.id, False)
    log.history.mode = Mode.EXPLORE
    assert log.kin(now, BASE.replace("RATE = 4", "RATE = 16")).refused


RUNS: Mapping[Mode, Mapping[Novelty, bool]] = {
    Mode.EXPLORE: {Novelty.NOVEL: True},
    Mode.EXPLOIT: {Novelty.NOVEL: True, Novelty.KNOWN_SUCCESS: True, Novelty.INCREMENTAL_FOLLOWUP: True},
    Mode.REPLICATE: {
        Novelty.DUPLICATE_RUN: True,
        Novelty.KNOWN_SUCCESS: True,
        Novelty.INCREMENTAL_FOLLOWUP: True,
    },
}


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("novelty", Novelty)
def test_each_mode_runs_what_it_is_for(mode: Mode, novelty: Novelty) -> None:
    kin = judged(Kin(novelty, "01", "change", "why"), mode, seed=1, audits=Audits())
    assert kin.refused is not RUNS[mode].get(novelty, False)
    assert kin.why


def test_one_refused_failure_in_a_hundred_is_run_to_test_the_rule() -> None:
    failure = Kin(Novelty.REPEAT_FAILURE, "01", "change", "why")
    run = [
        seed
        for seed in range(10 * AUDITED)
        if not judged(failure, Mode.EXPLOIT, seed=seed, audits=Audits()).refused
    ]
    assert len(run) == 10
    assert judged(failure, Mode.EXPLOIT, seed=run[0], audits=Audits()).audit
    twin = Kin(Novelty.DUPLICATE_RUN, "01", "program", "why")
    assert all(judged(twin, Mode.EXPLOIT, seed=seed, audits=Audits()).refused for seed in run)


def test_audits_become_seldom_where_they_show_nothing_new() -> None:
    def due(audits: Audits) -> int:
        return sum(audits.due(seed) for seed in range(20 * AUDITED))

    assert [due(Audits(confirmed=n)) for n in (0, 5, 15)] == [20, 10, 5]
    assert due(Audits(confirmed=5, overturned=5)) == 20


def test_a_rule_that_audits_show_to_be_wrong_dies() -> None:
    log = Log()
    log.add(BASE, FASTER, Status.DISCARD)
    audit = Kin(Novelty.REPEAT_FAILURE, "x", "change", audit=True)
    log.add(BASE, BASE.replace("x + 1", "x + 3"), Status.KEEP, kin=audit)
    assert not log.kin(BASE + OTHER, FASTER + OTHER).refused
    log.add(BASE, BASE.replace("x + 1", "x + 4"), Status.DISCARD, kin=audit)
    assert log.kin(BASE + OTHER, FASTER + OTHER).refused


def test_the_log_keeps_what_an_experiment_was_to_it() -> None:
    log = Log()
    known = Kin(Novelty.REPEAT_FAILURE, "01X", "change", audit=True)
    made = log.add(BASE, FASTER, Status.DISCARD, kin=known)
    assert decode(encode(made)) == made
    assert b'"kin"' not in encode(replace(made, kin=None))


class Taught:
    """What a log has taught, said beforehand."""

    def __init__(self, count: int, *, note: str = "", changed: str = "") -> None:
        self.past = Past((), {}, count)
        self._note, self._changed = note, changed

    def notes(self, place: str, entities: Iterable[str]) -> tuple[str, ...]:
        return (f"f1 {self._note} at {place} of {', '.join(entities)}",)

    def reopens(self, experiment: str, entities: Iterable[str]) -> str:
        return self._changed


def taught(*lessons: Taught) -> tuple[Log, list[int]]:
    """A log long enough to teach something, that learns these one after the other; and how often it did."""
    log, asked = Log(), list[int]()

    def learn() -> Learned:
        asked.append(len(log.history))
        return lessons[min(len(asked), len(lessons)) - 1]  # type: ignore[return-value]

    log.history = History(METRIC, diffs=lambda name: log.diffs.get(name, ""), learn=learn)
    for number in range(LEAST_LEARNT):
        log.add(BASE, BASE.replace("x + 1", f"x + {number + 10}"), Status.DISCARD)
    return log, asked


def test_a_failure_may_be_tried_again_where_what_mattered_has_changed() -> None:
    log, _ = taught(Taught(30, changed="DEPTH was 8 and is 12, which mattered before"))
    log.add(BASE, FASTER, Status.GATE_FAILED)
    kin = log.kin(BASE + OTHER, FASTER + OTHER)
    assert (kin.novelty, kin.refused) == (Novelty.INCREMENTAL_FOLLOWUP, False)
    assert "DEPTH was 8" in kin.why
    log, _ = taught(Taught(30))
    log.add(BASE, FASTER, Status.GATE_FAILED)
    assert log.kin(BASE + OTHER, FASTER + OTHER).refused


def test_all_of_the_log_is_read_again_only_where_it_has_grown_by_a_fifth() -> None:
    log, asked = taught(Taught(20), Taught(25))
    for number in range(8):
        log.history.notes("a.py::f")
        log.add(BASE, BASE.replace("x + 1", f"x - {number}"), Status.DISCARD)
    assert asked == [20, 25]


def test_notes_are_of_the_place_and_told_before_what_was_tried_there() -> None:
    log, _ = taught(Taught(20, note="x is better"))
    lines = told(log.history, Assignment("a.py", "f"), METRIC, strategy=Lessons.DIGEST)
    assert lines[0] == "f1 x is better at a.py::f of f"
    assert len(lines) > 1
