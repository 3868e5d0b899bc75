"""What proposers are told of the log: each strategy as it says it is, and none grows with the log."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from optiloop.memory.history import History
from optiloop.memory.lessons import MOST, told
from optiloop.model import Assignment, Command, Experiment, Lessons, Metric, Proposal, Status
from optiloop.testing import experiment_of

METRIC = Metric("score", Command("true"))
SOURCE = {"a.py": "".join(f"def {name}(x):\n    return x\n\n\n\n\n\n\n\n" for name in "fgh")}
CACHING_AT_F = Assignment("a.py", "f", "caching")


def tried(
    number: int, function: str, family: str, status: Status = Status.DISCARD, said: str = ""
) -> Experiment:
    text = SOURCE["a.py"].replace(
        f"def {function}(x):\n    return x", f"def {function}(x):\n    return {number}"
    )
    proposal = Proposal({"a.py": text}, said or f"idea {number}", "test", tags=(f"idea:{family}",))
    return experiment_of(
        proposal, SOURCE, number=number, status=status, effect=1.5 if status is Status.KEEP else None
    )


def lessons(log: Sequence[Experiment], strategy: Lessons, there: Assignment = CACHING_AT_F) -> list[str]:
    history = History(METRIC)
    for experiment in log:
        history.add(experiment)
    return told(history, there, METRIC, strategy=strategy, places=[f"a.py::{name}" for name in "fgh"])


LOG = [
    *(tried(n, "f", "caching") for n in range(10)),
    *(tried(n, "f", "batching") for n in range(10, 13)),
    *(tried(n, "g", "caching") for n in range(13, 20)),
    tried(20, "h", "caching", Status.KEEP, "remember h"),
    tried(21, "f", "caching", Status.GATE_FAILED),
    *(tried(n, "g", "algorithm", Status.CRASH) for n in range(22, 40)),
]


def test_a_digest_lists_the_assigned_family_completely_and_first() -> None:
    lines = lessons(LOG, Lessons.DIGEST)
    assert lines[0] == "caching at a.py::f, all that was tried:"
    assert sorted(lines[1:12]) == sorted(
        [*(f"  idea {n} (discard)" for n in range(10)), "  idea 21 (gate_failed)"]
    )
    assert not lines[12].startswith("  ")


def test_a_digest_tells_what_worked_and_counts_the_rest() -> None:
    text = "\n".join(lessons(LOG, Lessons.DIGEST))
    assert "keep 1.5x: remember h" in text
    assert "tried at f: caching 11; batching 3" in text
    assert "tried elsewhere: g 25; h 1, 1 kept" in text
    assert text.index("tried elsewhere") < text.index("idea 39")  # the latest fill what is left


def test_a_digest_without_an_assigned_family_lists_the_place() -> None:
    text = "\n".join(lessons(LOG, Lessons.DIGEST, Assignment("a.py", "f")))
    assert all(f"idea {n}" in text for n in [*range(13), 21])


def test_the_same_idea_tried_again_is_one_line_that_says_so() -> None:
    log = [tried(n, "f", "caching", said="remember the answers") for n in range(3)]
    assert lessons(log, Lessons.DIGEST)[1] == "  remember the answers (discard) x3"
    assert lessons(log, Lessons.TRUNCATE) == ["discard: remember the answers | discard (3 times)"]


def test_summarize_counts_and_lists_nothing() -> None:
    lines = lessons(LOG, Lessons.SUMMARIZE)
    assert lines[0].startswith("caching 11 at a.py::f; the latest: gate_failed: idea 21")
    assert lines[-1] == "tried by place: g 25; f 14; h 1, 1 kept"
    assert len(lines) == 3


def test_categorize_groups_by_how_it_ended() -> None:
    lines = lessons(LOG, Lessons.CATEGORIZE)
    assert lines.index("discard at a.py::f:") < lines.index("gate_failed at a.py::f:") < lines.index("crash:")
    assert lines[lines.index("gate_failed at a.py::f:") + 1] == "  idea 21"


def test_truncate_is_the_newest_first_those_at_the_place_before_the_others() -> None:
    lines = lessons(LOG, Lessons.TRUNCATE)
    assert lines[0].startswith("gate_failed: idea 21")
    assert lines[14].startswith("crash: idea 39")


def test_none_is_nothing() -> None:
    assert lessons(LOG, Lessons.NONE) == []


@pytest.mark.parametrize("strategy", Lessons)
def test_no_strategy_grows_with_the_log(strategy: Lessons) -> None:
    families = ("caching", "batching", "algorithm")
    long = [tried(n, "fgh"[n % 3], families[n // 3 % 3]) for n in range(2000)]
    assert len(lessons(long, strategy)) <= MOST
    assert lessons([], strategy) == []
