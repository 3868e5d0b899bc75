"""`portfolio` asks its members in the order of what each has gained per second, by the log alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optiloop.errors import ProposerError, UsageError
from optiloop.memory.history import History
from optiloop.model import Brief, Command, Metric, Proposal, Status
from optiloop.proposers import find_proposer
from optiloop.proposers.portfolio import PLATEAU, PRIOR_GAIN, PRIOR_SECONDS, Portfolio, gain_per_second, order
from optiloop.testing import brief_of, experiment_of

SOURCE = {"a.py": "x = 1\n"}


class Member:
    """Proposes a text of its own, a number of times."""

    def __init__(self, name: str, times: int = 10**9) -> None:
        self.name, self.times = name, times

    def propose(self, brief: Brief) -> Proposal | None:
        number = brief.recall.spent(self.name).experiments
        return None if number >= self.times else Proposal({"a.py": f"{self.name} {number}"}, "", self.name)


class Failing:
    def propose(self, brief: Brief) -> Proposal | None:
        raise ProposerError("tired")


def history(*spent: tuple[str, Status, float | None, float]) -> History:
    found = History(Metric("score", Command("true")))
    for number, (origin, status, effect, seconds) in enumerate(spent):
        proposal = Proposal({"a.py": f"{number}"}, "", origin)
        one = experiment_of(proposal, SOURCE, number=number, status=status, effect=effect)
        found.add(replace(one, seconds=seconds))
    return found


def first(portfolio: Portfolio, known: History) -> str | None:
    proposal = portfolio.propose(brief_of(SOURCE, history=known))
    return proposal and proposal.origin


def both(a: int = 10**9, b: int = 10**9) -> Portfolio:
    return Portfolio({"a": Member("a", a), "b": Member("b", b)})


def test_the_first_member_begins() -> None:
    assert first(both(), history()) == "a"


def test_while_checks_fail_those_who_read_no_diagnosis_wait() -> None:
    sick = "task a score 2.0\n  check items: needs at least 3 list items, has 1\n"
    known = history(("rewrite", Status.DISCARD, 0.9, 60.0))
    members = Portfolio({"tune": Member("tune"), "rewrite": Member("rewrite")})
    for diagnosis, origin in ((sick, "rewrite"), ("task a score 5.0\n", "tune")):
        found = members.propose(replace(brief_of(SOURCE, history=known), diagnosis=diagnosis))
        assert found is not None
        assert found.origin == origin
    stuck = history(*[("rewrite", Status.DISCARD, None, 1.0)] * (2 * PLATEAU - 2))
    assert order(["tune", "rewrite"], stuck, diagnosed=True)[0] == "tune"


def test_one_that_spends_without_gaining_falls_back() -> None:
    assert first(both(), history(("a", Status.DISCARD, 0.9, 1.0))) == "b"


def test_one_that_gains_goes_on() -> None:
    assert first(both(), history(("a", Status.KEEP, 2.0, 1.0))) == "a"


def test_gains_are_per_second() -> None:
    known = history(("a", Status.KEEP, 2.0, 1000.0), ("b", Status.KEEP, 1.5, 1.0))
    assert first(both(), known) == "b"


def test_one_cycle_in_five_explores() -> None:
    known = [("a", Status.KEEP, 100.0, 5.0)] * 3
    assert first(both(), history(*known)) == "a"
    assert first(both(), history(*known, known[0])) == "b", "the fifth, although it has gained nothing yet"
    assert first(both(b=0), history(*known, known[0])) == "a", "where it has something left"


def test_a_discarded_effect_is_no_gain() -> None:
    known = history(("a", Status.DISCARD, 100.0, 1.0), ("b", Status.KEEP, 1.1, 1.0))
    assert first(both(), known) == "b"


def test_one_with_nothing_left_is_passed_over() -> None:
    assert first(both(a=0), history()) == "b"
    assert first(both(a=0, b=0), history()) is None


def test_no_members_no_proposal() -> None:
    assert first(Portfolio({}), history()) is None


def test_a_member_s_error_is_the_portfolio_s() -> None:
    with pytest.raises(ProposerError, match="tired"):
        Portfolio({"a": Failing()}).propose(brief_of(SOURCE))


def test_each_member_gets_its_turn() -> None:
    known, turns = history(), []
    portfolio = both()
    for number in range(20):
        proposal = portfolio.propose(brief_of(SOURCE, history=known))
        assert proposal is not None
        turns.append(proposal.origin)
        known.add(experiment_of(proposal, SOURCE, number=number))
    assert turns.count("a") == turns.count("b") == 10


@given(st.floats(0, 1e9), st.floats(0, 50))
def test_the_score_is_shrunk_towards_the_prior(seconds: float, gain: float) -> None:
    score = gain_per_second("a", history(("a", Status.KEEP, 2.718281828459045**gain, seconds)))
    prior = gain_per_second("a", history())
    assert prior == PRIOR_GAIN / PRIOR_SECONDS
    assert score == pytest.approx((gain + PRIOR_GAIN) / (seconds + PRIOR_SECONDS))


def test_the_built_in_names_are_found() -> None:
    for name in ("rewrite", "tune", "portfolio"):
        assert find_proposer(name).propose(brief_of({"words.txt": "no program\n"})) is None


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("portfolios", "no proposer named 'portfolios'"),
        ("", "no proposer named ''"),
        ("tune:argument", "there are tpe, cmaes, gp, random"),
        ("rewrite:argument", "takes no argument"),
        ("replay", "needs an argument, like replay:FILE"),
        ("replay:", "cannot read it"),
    ],
)
def test_a_wrong_name_is_one_line(spec: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as told:
        find_proposer(spec)
    assert "\n" not in str(told.value)
