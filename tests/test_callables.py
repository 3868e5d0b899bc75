"""`optiloop.optimize`: real campaigns on functions, exact and noisy, with faults of both sides."""

from __future__ import annotations

import itertools
import json
import math
import random
import tomllib
from pathlib import Path

import pytest

import optiloop
from optiloop.errors import TargetError, UsageError
from optiloop.model import Brief, Proposal, Status

START = "lr = 0.1\ndepth = 3\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def score(text: str) -> float:
    found = tomllib.loads(text)
    return -((found["lr"] - 0.03) ** 2) * 1000 - abs(found["depth"] - 7)


class Fixed:
    """Proposes texts in order, and remembers the briefs."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.briefs: list[Brief] = []

    def propose(self, brief: Brief) -> Proposal | None:
        self.briefs.append(brief)
        (path,) = brief.source
        return Proposal({path: self.texts.pop(0)}, "next", "fixed") if self.texts else None


def test_an_exact_function_is_bettered_by_embedded_proposers() -> None:
    found = optiloop.optimize(START, score, name="settings.toml", proposer="tune", cycles=12)
    assert (found.start, len(found.experiments), found.why) == (score(START), 12, "12 cycles are done")
    assert found.value == score(found.text) > found.start
    assert found.claim is not None
    assert found.claim.difference == pytest.approx(found.value - found.start)
    assert found.log.read_bytes().count(b"\n") == 12


def test_a_second_call_goes_on_with_the_first() -> None:
    first = optiloop.optimize(START, score, name="settings.toml", proposer="tune", cycles=5)
    second = optiloop.optimize(START, score, name="settings.toml", proposer="tune", cycles=5)
    assert second.log == first.log
    assert second.value >= first.value
    assert len(first.log.read_bytes().splitlines()) == 10
    anew = optiloop.optimize(START, score, name="settings.toml", proposer="tune", cycles=1, fresh=True)
    assert len(anew.log.read_bytes().splitlines()) == 1


def test_a_noisy_function_is_costly_and_luck_is_seldom_kept() -> None:
    draws = random.Random(1)
    found = optiloop.optimize(
        "x = 1\n", lambda text: draws.gauss(0, 1), proposer=Fixed(*(f"x = {n}\n" for n in range(2, 12)))
    )
    assert sum(it.status is Status.KEEP for it in found.experiments) <= 2  # one in a hundred may be
    rule = json.loads(found.log.read_bytes().splitlines()[0])["measurement"]["rule"]
    assert (rule["noise"], rule["compare"]) == ("costly", "difference")


def test_feedback_of_the_champion_reaches_the_proposer() -> None:
    proposer = Fixed("aa", "a", "aaa")
    found = optiloop.optimize("b", lambda text: (text.count("a"), f"{text} needs more a"), proposer=proposer)
    assert found.text == "aaa"
    told = [next(it for it in brief.diagnosis.split("\n") if "needs" in it) for brief in proposer.briefs]
    assert told == ["b needs more a", "aa needs more a", "aa needs more a", "aaa needs more a"]


@pytest.mark.parametrize("fault", [math.nan, math.inf, "high", None, (1.0, 2.0), ZeroDivisionError("no")])
def test_a_candidate_without_a_number_is_a_crash(fault: object) -> None:
    def judge(text: str) -> float:
        if text == "start":
            return 0.0
        if isinstance(fault, Exception):
            raise fault
        return fault  # type: ignore[return-value]

    found = optiloop.optimize("start", judge, proposer=Fixed("worse"))
    assert [it.status for it in found.experiments] == [Status.CRASH]
    assert found.text == "start"


def test_a_start_without_a_number_is_an_error_that_says_so() -> None:
    with pytest.raises(TargetError, match=r"evaluate cannot judge the start: .*KeyError: 'lr'"):
        optiloop.optimize("depth = 1\n", score, name="settings.toml")


def test_a_file_is_read_and_never_written(here: Path) -> None:
    file = here / "settings.toml"
    file.write_text(START)
    found = optiloop.optimize(file, score, proposer="tune", cycles=3)
    assert found.text != START
    assert file.read_text() == START
    with pytest.raises(UsageError, match=r"gone\.toml: cannot be read"):
        optiloop.optimize(here / "gone.toml", score)


def test_direction_and_min_effect_count() -> None:
    lower = optiloop.optimize("5", float, direction="minimize", proposer=Fixed("6", "4"), name="a.txt")
    assert lower.text == "4"
    small = optiloop.optimize("5", float, min_effect=2.0, proposer=Fixed("6", "8"), name="b.txt")
    assert small.text == "8"


def test_an_interrupted_call_loses_nothing_that_had_ended() -> None:
    calls = itertools.count()

    def judge(text: str) -> float:
        if next(calls) == 9:
            raise KeyboardInterrupt
        return score(text)

    with pytest.raises(KeyboardInterrupt):
        optiloop.optimize(START, judge, name="settings.toml", proposer="tune")
    found = optiloop.optimize(START, score, name="settings.toml", proposer="tune", cycles=0)
    ended = found.log.read_bytes().splitlines()
    assert ended
    assert found.value == score(found.text)
