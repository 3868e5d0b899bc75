"""The proposer: what it proposes first, what it does not propose again, and that it remembers nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from optiloop.memory.fingerprint import change_fingerprint, result_fingerprint
from optiloop.model import Brief, Command, Cost, Kin, Lesson, Metric, Spent, Status
from optiloop.proposers.rewrite import Rewrite

SOURCE = """
def first(words):
    unique = []
    for w in words:
        if w not in unique:
            unique.append(w)
    return unique


def second(n):
    if n < 2:
        return n
    return second(n - 1) + second(n - 2)


def third(xs):
    return helper(xs)


def helper(xs):
    return sorted(xs)[0]
"""


@dataclass
class FakeRecall:
    """Answers from dictionaries."""

    results: dict[str, Lesson] = field(default_factory=dict)
    changes: dict[str, Lesson] = field(default_factory=dict)
    records: dict[str | None, Spent] = field(default_factory=dict)

    def result(self, fingerprint: str) -> Lesson | None:
        return self.results.get(fingerprint)

    def change(self, fingerprint: str) -> Lesson | None:
        return self.changes.get(fingerprint)

    def kin(self, before: Mapping[str, str], after: Mapping[str, str]) -> Kin:
        known = self.result(result_fingerprint(after)) or self.change(change_fingerprint(before, after))
        return Kin(refused=known is not None or result_fingerprint(after) == result_fingerprint(before))

    def tagged(self, tag: str) -> Lesson | None:
        return None

    def spent(self, origin: str, family: str | None = None) -> Spent:
        assert origin == "rewrite"
        return self.records.get(family, Spent())

    def latest(self, count: int) -> tuple[Lesson, ...]:
        return ()


def brief(source: str = SOURCE, **changes: object) -> Brief:
    plain = Brief(
        goal="faster",
        source={"a.py": source},
        metric=Metric("us", Command("true"), min_effect=0.01),
        recall=FakeRecall(),
        seed=1,
        folder=Path(),
    )
    return replace(plain, **changes)


def lesson(status: Status) -> Lesson:
    return Lesson(
        id="1", status=status, origin="rewrite", family="", hypothesis="", reason="", result=None,
        change=None, tags=(), parent="", champion=None, effect=None, seconds=1.0, cost=Cost(),
    )  # fmt: skip


def families(start: Brief) -> list[str]:
    """Everything proposed, one after the other, when nothing is kept."""
    recall = start.recall
    assert isinstance(recall, FakeRecall)
    found = []
    while (proposal := Rewrite().propose(start)) is not None:
        found.append(proposal.family)
        after = {**start.source, **proposal.edits}
        assert result_fingerprint(after) not in recall.results
        recall.results[result_fingerprint(after)] = lesson(Status.DISCARD)
    return found


def test_a_proposal_says_what_where_and_why() -> None:
    proposal = Rewrite().propose(brief(profile={"second_us": 9.0}))
    assert proposal is not None
    assert proposal.hypothesis.startswith("second: ")
    assert (proposal.origin, proposal.family) == ("rewrite", "memoise")
    assert list(proposal.edits) == ["a.py"]


def test_the_same_brief_gives_the_same_proposal() -> None:
    assert Rewrite().propose(brief()) == Rewrite().propose(brief())


def test_everything_is_proposed_once_and_then_nothing() -> None:
    found = families(brief())
    assert {"memoise", "dedupe-loop", "list-membership", "cheaper-call"} <= set(found)
    assert len(found) < 12


@pytest.mark.parametrize("hottest", ["first", "second"])
def test_the_hottest_function_comes_first(hottest: str) -> None:
    proposal = Rewrite().propose(brief(profile={"first": 1.0, "second": 1.0, hottest: 9.0}))
    assert proposal is not None
    assert proposal.hypothesis.startswith(f"{hottest}: ")


def test_a_helper_has_the_share_of_its_callers() -> None:
    proposal = Rewrite().propose(brief(profile={"first_us": 1.0, "third_us": 9.0, "combined_us": 10.0}))
    assert proposal is not None
    assert proposal.hypothesis.startswith("helper: ")


def test_a_function_that_cannot_matter_is_left_alone() -> None:
    assert "memoise" not in families(brief(profile={"first": 1000.0, "second": 1.0}))
    assert "memoise" in families(brief(profile={"first": 1000.0, "second": 6.0}))


def test_a_function_the_profile_does_not_know_comes_last() -> None:
    assert families(brief(profile={"first": 1.0}))[-1] in ("memoise", "cheaper-call")


def test_a_rule_that_never_gains_comes_later() -> None:
    records = {"memoise": Spent(experiments=40, kept=0)}
    assert families(brief())[0] == "memoise"
    assert families(brief(recall=FakeRecall(records=records)))[-1] == "memoise"


def test_a_rule_that_never_gained_elsewhere_comes_later() -> None:
    elsewhere = {("rewrite", "memoise"): Spent(experiments=400, kept=0), ("tune", "memoise"): Spent(9, 9)}
    assert families(brief(elsewhere=elsewhere))[-1] == "memoise"


def test_what_a_rule_did_here_outweighs_elsewhere() -> None:
    elsewhere = {("rewrite", "memoise"): Spent(experiments=400, kept=0)}
    records = {"memoise": Spent(experiments=40, kept=40)}
    assert families(brief(recall=FakeRecall(records=records), elsewhere=elsewhere))[0] == "memoise"


def test_a_known_change_is_not_proposed_on_another_base() -> None:
    proposal = Rewrite().propose(brief())
    assert proposal is not None
    known = change_fingerprint({"a.py": SOURCE}, proposal.edits)
    recall = FakeRecall(changes={known: lesson(Status.DISCARD)})
    assert proposal.family not in families(brief(SOURCE + "\n\nX = 1\n", recall=recall))


def test_what_is_no_python_is_left_alone() -> None:
    assert Rewrite().propose(brief(source="def f(:\n")) is None
    assert Rewrite().propose(replace(brief(), source={"a.txt": SOURCE})) is None
    assert Rewrite().propose(brief(source="X = 1\n")) is None


def test_what_is_being_changed_waits() -> None:
    """Of two that win at one place one is lost: another place comes first, then that one after all."""
    first = Rewrite().propose(brief())
    assert first is not None
    assert first.hypothesis.startswith(("first", "second"))
    function = first.hypothesis.partition(":")[0]
    elsewhere = Rewrite().propose(replace(brief(), busy=frozenset({f"a.py::{function}"})))
    assert elsewhere is not None
    assert not elsewhere.hypothesis.startswith(function)
    busy = frozenset(f"a.py::{name}" for name in ("first", "second", "third", "helper"))
    assert Rewrite().propose(replace(brief(), busy=busy)) == first
