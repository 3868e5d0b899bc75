"""`evolve`: what it makes of the log, on real campaigns of a shell script whose score is exact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from optiloop.loop import Engine
from optiloop.memory.history import History
from optiloop.model import TAKES_BACK, Brief, Command, Experiment, Metric, Proposal, Proposer, Status
from optiloop.proposers.evolve import Evolve
from optiloop.targets import load_target
from optiloop.testing import brief_of, experiment_of, write_toy_target

PROGRAM = "".join(f"{name}=1\n# about {name}\n# more on it\n# and more\n" for name in "ABCD") + "VALUE=1\n"


class Turns:
    """Proposes to set one variable after the other, each upon the champion, and then asks `evolve`."""

    def __init__(self, *settings: str) -> None:
        self.settings = settings

    def propose(self, brief: Brief) -> Proposal | None:
        number = brief.recall.spent("turns").experiments
        if number >= len(self.settings):
            return Evolve().propose(brief)
        name, value = self.settings[number].split("=")
        text = brief.source["value.sh"].replace(f"{name}=1\n", f"{name}={value}\n")
        return Proposal({"value.sh": text}, self.settings[number], "turns")


@contextmanager
def engine(
    folder: Path, proposer: Proposer, score: str, *, min_effect: float, more: str = ""
) -> Iterator[Engine]:
    write_toy_target(
        folder,
        score=f'. ./value.sh\necho "METRIC score=$(({score}))"\n',
        metric=f'noise = "deterministic"\nmin_effect = {min_effect}\n',
        more=more,
        files={"value.sh": PROGRAM},
    )
    with Engine.opened(load_target(folder), proposer) as opened:
        opened.prepare()
        yield opened


def outcomes(experiments: Sequence[Experiment]) -> list[tuple[str, str, Status]]:
    return [(one.origin, one.hypothesis, one.status) for one in experiments]


def test_near_misses_are_merged_into_a_keep(tmp_path: Path) -> None:
    turns = Turns("A=0", "B=0", "C=2", "D=0")
    score = "1000 + 30 * A + 30 * B + 30 * C + 30 * D"
    with engine(tmp_path, turns, score, min_effect=0.05) as opened:
        done = list(opened.cycles())
        assert "A=0\n" in opened.workspace.source()["value.sh"]
        assert "C=1\n" in opened.workspace.source()["value.sh"], "what looked worse is no near-miss"
    assert [one.status for one in done[:4]] == [Status.DISCARD] * 4
    assert outcomes(done[4:5]) == [("evolve", "together: A=0; B=0; D=0", Status.KEEP)]
    assert not any(one.status is Status.DUPLICATE for one in done)


def test_where_all_together_fail_two_may_do(tmp_path: Path) -> None:
    score = "1000 + 30 * A + 30 * B + 20 * C + 200 * (A == 0 && C == 0)"
    with engine(tmp_path, Turns("A=0", "B=0", "C=0"), score, min_effect=0.05) as opened:
        done = list(opened.cycles())
    assert outcomes(done[3:5]) == [
        ("evolve", "together: A=0; B=0; C=0", Status.DISCARD),
        ("evolve", "together: A=0; B=0", Status.KEEP),
    ]


def test_near_misses_that_are_not_worth_a_keep_together_cost_nothing(tmp_path: Path) -> None:
    with engine(tmp_path, Turns("A=0", "B=0"), "1000 + 10 * A + 10 * B", min_effect=0.05) as opened:
        assert len(list(opened.cycles())) == 2


def test_a_discard_is_tried_again_where_its_code_has_changed(tmp_path: Path) -> None:
    score = "1000 + 100 * A - 300 * (A == 0 && B == 0)"
    with engine(tmp_path, Turns("B=0", "A=0"), score, min_effect=0.0) as opened:
        done = list(opened.cycles())
    assert outcomes(done) == [
        ("turns", "B=0", Status.DISCARD),
        ("turns", "A=0", Status.KEEP),
        ("evolve", "again: B=0", Status.KEEP),
    ]


def test_a_discard_is_not_tried_again_upon_the_same_code() -> None:
    source = {"a.py": "def f():\n    return 1\n\n\ndef g():\n    return 2\n"}
    faster_g = {"a.py": source["a.py"].replace("return 2", "return 1 + 1 + 1")}
    faster_f = {"a.py": source["a.py"].replace("return 1", "return 5")}
    known = experiments(
        (Proposal(faster_g, "g", "other"), source, Status.DISCARD, 1.0),
        (Proposal(faster_f, "f", "other"), source, Status.KEEP, 2.0),
    )
    assert Evolve().propose(brief_of(faster_f, history=known)) is None
    changed = {"a.py": faster_f["a.py"].replace("def g():", "def g(much=1, more=2):")}
    found = Evolve().propose(brief_of(changed, history=known))
    assert found is None or "again" in found.hypothesis


def test_a_change_that_no_longer_pays_is_taken_out_where_simpler_counts(tmp_path: Path) -> None:
    simplify = "[policy]\nsimplify = true\n"
    turns = Turns("A=1\nX=7", "B=0")
    score = "1000 + 100 * B - 50 * (B == 1 && ${X:-0} == 7)"
    with engine(tmp_path, turns_with_line(turns), score, min_effect=0.0, more=simplify) as opened:
        done = list(opened.cycles())
        assert "X=7" not in opened.workspace.source()["value.sh"]
        standing = [keep.id for keep in opened.history().standing]
    last = done[-1]
    assert outcomes([last]) == [("evolve", "without: A=1 X=7", Status.KEEP)]
    assert last.tags == (f"{TAKES_BACK}{done[0].id}",)
    assert standing == [done[1].id, last.id], "what was taken out stands no longer; what took it out does"


def turns_with_line(turns: Turns) -> Proposer:
    class WithLine:
        def propose(self, brief: Brief) -> Proposal | None:
            number = brief.recall.spent("turns").experiments
            if number:
                return turns.propose(brief)
            text = brief.source["value.sh"].replace("A=1\n", "A=1\nX=7\n")
            return Proposal({"value.sh": text}, "A=1\nX=7", "turns")

    return WithLine()


def test_nothing_is_taken_out_where_simpler_does_not_count(tmp_path: Path) -> None:
    with engine(tmp_path, Turns("A=0", "B=0"), "100 + A + B", min_effect=0.0) as opened:
        assert [one.origin for one in opened.cycles()] == ["turns", "turns"]


def test_an_empty_log_gives_no_idea() -> None:
    assert Evolve().propose(brief_of({"value.sh": PROGRAM}, simplify=True)) is None


@pytest.mark.parametrize("status", [Status.GATE_FAILED, Status.CRASH, Status.VIOLATION])
def test_what_failed_is_not_repeated(status: Status) -> None:
    source = {"value.sh": PROGRAM}
    bad = Proposal({"value.sh": PROGRAM.replace("A=1", "A=2")}, "bad", "other")
    good = Proposal({"value.sh": PROGRAM.replace("D=1", "D=0")}, "good", "other")
    known = experiments((bad, source, status, None), (good, source, Status.KEEP, 2.0))
    assert Evolve().propose(brief_of(dict(good.edits), history=known)) is None


Past = tuple[Proposal, dict[str, str], Status, float | None]


def experiments(*past: Past) -> History:
    made = [
        experiment_of(proposal, source, number=number, status=status, effect=effect)
        for number, (proposal, source, status, effect) in enumerate(past)
    ]
    diffs = {one.id: one.diff for one in made}
    history = History(Metric("score", Command("true")), diffs=diffs.__getitem__)
    for one in made:
        history.add(one)
    return history


@pytest.mark.parametrize(
    ("reason", "near"),
    [
        ("undecided; gains under 2.00% do not show in this noise: 1.01x in 30 pairs", True),
        ("better, but by less than 1.00%: 1.008x in 9 pairs", True),
        ("not better: 1.008x in 3 pairs", False),
    ],
)
def test_what_was_shown_not_to_be_better_is_no_near_miss(reason: str, near: bool) -> None:
    source = {"value.sh": PROGRAM}
    past = []
    for number, name in enumerate("AD"):
        change = Proposal({"value.sh": PROGRAM.replace(f"{name}=1", f"{name}=0")}, name, "other")
        one = experiment_of(change, source, number=number, effect=1.008)
        past.append(replace(one, reason=reason))
    diffs = {one.id: one.diff for one in past}
    known = History(Metric("score", Command("true")), diffs=diffs.__getitem__)
    for one in past:
        known.add(one)
    found = Evolve().propose(brief_of(source, history=known))
    assert (found is not None and found.hypothesis == "together: A; D") == near
