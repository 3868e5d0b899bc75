"""A judge's calibration: what is decided, what is left open, and who is refused."""

from __future__ import annotations

import json
import math
import random
import re
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

import pytest

from optiloop.errors import TargetError
from optiloop.vault.checks import Said
from optiloop.vault.door import Door
from optiloop.vault.memory import Memory
from optiloop.vault.opinion import (
    FIRST,
    ORDERED,
    Calibration,
    Lean,
    Margins,
    Pair,
    calibrate,
    calibrated,
    choice,
    ear,
    learn,
    margins_of,
    of_a_coin,
    opinion,
    read_pairs,
    remembered,
    smallest_margin,
)
from optiloop.vault.task import Rubric, Task

LABELLED = Path(__file__).parents[1] / "targets" / "vault" / "labelled.jsonl"
PAIRS = [
    Pair(f"kind {number % 4}", "vague", "Say it.", "x", ("Is it so?",), f"good {number}", f"bad {number}")
    for number in range(60)
]


@dataclass
class FakeOracle:
    """Knows good from bad in `known` of 60 pairs, else 0.5; `first` is what coming first gains, in logits."""

    known: int = 60
    right: bool = True
    first: float = 0.0
    asked: int = 0

    def probability_yes(self, prompt: str, *, model: str = "judge", system: str = "") -> float | None:
        self.asked += 1
        one = prompt.partition("Text B:")[0]
        number = int("".join(char for char in one if char.isdigit()) or 0)
        sign = (1 if "good" in one else -1) * (1 if self.right else -1)
        logit = self.first + (sign if number < self.known else 0.0)
        return 1 / (1 + math.exp(-logit))


def test_a_judge_that_knows_is_heard() -> None:
    found = calibrate(FakeOracle(first=2.0), "m", PAIRS)
    assert (found.right, found.wrong, found.refused) == (60, 0, "")
    assert found.accuracy == 1.0
    assert found.abstention == 0.0
    assert found.order_bias == pytest.approx(2.0)
    assert "heard" in found.as_text()
    assert Calibration.of_json(found.as_json()) == found


def test_a_judge_that_is_wrong_is_refused_early() -> None:
    oracle = FakeOracle(right=False)
    found = calibrate(oracle, "m", PAIRS)
    assert found.pairs == FIRST
    assert found.refused == f"it ranks 0 of the first {FIRST} pairs right"
    assert oracle.asked == FIRST * 2 + ORDERED * 2
    assert "the checks judge alone" in found.as_text()


def test_a_judge_without_an_opinion_is_refused() -> None:
    found = calibrate(FakeOracle(known=0), "m", PAIRS)
    assert found.refused
    assert found.accuracy is None
    assert found.abstention == 1.0


def test_a_judge_that_never_answers_is_refused() -> None:
    @dataclass
    class Mute:
        def probability_yes(self, prompt: str, *, model: str = "judge", system: str = "") -> float | None:
            return None

    found = calibrate(Mute(), "m", PAIRS)
    assert found.refused
    assert found.order_bias is None
    assert opinion(Mute(), "x", request="", given="", questions=("Is it?",)) is None


def test_a_coin_is_hardly_ever_heard() -> None:
    chance = random.Random(5)
    heard = 0
    for _ in range(400):
        found = [Lean(chance.gauss(0, 1), chance.gauss(0, 1), 0.0) for _ in range(66)]
        heard += not calibrated("coin", found).refused
    assert heard <= 8, f"{heard} of 400 coins were heard"


def test_a_judge_as_good_as_the_best_small_one_is_heard() -> None:
    """78 % right by its mean P(yes), more so where it is surer: as a 1.5B model was measured."""
    chance = random.Random(6)
    heard = 0
    for _ in range(100):
        found = [Lean(chance.gauss(0.77, 1), chance.gauss(0.5, 1), 0.4) for _ in range(66)]
        heard += not calibrated("m", found).refused
    assert heard >= 80


def test_below_the_margin_it_abstains_unless_both_orders_tell() -> None:
    margins = Margins(odds=0.1, choice=0.5)
    assert margins.verdict(Lean(0.2, -3.0, 0.0)) == 1
    assert margins.verdict(Lean(-0.2, 3.0, 0.0)) == -1
    assert margins.verdict(Lean(0.05, -0.6, 0.0)) == -1
    assert margins.verdict(Lean(0.05, 0.4, 0.0)) == 0
    assert Margins().verdict(Lean(9.0, 9.0, 0.0)) == 0


def test_order_alone_decides_nothing() -> None:
    found = choice(FakeOracle(known=0, first=3.0), "good 1", "bad 1", request="", given="")
    assert found is not None
    signal, bias = found
    assert signal == pytest.approx(0.0)
    assert bias == pytest.approx(3.0)


def test_a_margin_needs_enough_pairs_and_most_of_them_right() -> None:
    assert smallest_margin([1.0] * 7) is None
    assert smallest_margin([3.0] * 8 + [-1.0] * 8) == 3.0
    assert smallest_margin([-3.0] * 8 + [1.0] * 8) is None
    assert margins_of([Lean(0.0, 0.0, 0.0)] * 20) == Margins()


def test_a_coins_tail() -> None:
    assert of_a_coin(0, 5) == 1.0
    assert of_a_coin(5, 5) == pytest.approx(1 / 32)


def test_a_line_that_is_no_pair_is_named(tmp_path: Path) -> None:
    file = tmp_path / "labelled.jsonl"
    file.write_text(LABELLED.read_text().splitlines()[0] + '\n{"kind": "x"}\n')
    with pytest.raises(TargetError, match=r"labelled\.jsonl:2: no labelled pair"):
        read_pairs(file)
    with pytest.raises(TargetError, match="cannot read"):
        read_pairs(tmp_path / "none.jsonl")


def test_the_shipped_pairs_are_at_least_sixty_of_every_kind_and_no_two_alike() -> None:
    pairs = read_pairs(LABELLED)
    kinds = {pair.kind for pair in pairs}
    assert len(pairs) >= 60
    assert len(kinds) >= 10
    assert len({(pair.input, pair.bad) for pair in pairs}) == len(pairs)
    assert all(pair.good != pair.bad and pair.questions and pair.wrong for pair in pairs)


# --- in a vault's judge ------------------------------------------------------------------------------


@dataclass
class FakeDoor(FakeOracle):
    """A door whose one model is the oracle; remembers in a folder."""

    memory: Memory = field(default_factory=lambda: Memory(None))
    name: str = "m"

    def resolve(self, model: str) -> str:
        return self.name

    def identity(self, model: str) -> str:
        return f"{self.name}@0"


def written(folder: Path) -> Path:
    file = folder / "labelled.jsonl"
    file.write_text("".join(json.dumps(asdict(pair)) + "\n" for pair in PAIRS))
    return file


def said(text: str) -> tuple[Task, Said]:
    rubric = Rubric((), (), 1.0, (), ("Is it so?",))
    return Task("t", Path(), rubric), Said(text, facts="x", asked="Say it.")


def test_nobody_is_heard_before_it_was_calibrated(tmp_path: Path) -> None:
    door, file = FakeDoor(memory=Memory(tmp_path / "m")), written(tmp_path)
    assert ear(cast("Door", door), "judge", file)(*said("good 1")) is None
    found = learn(cast("Door", door), "judge", file)
    asked = door.asked
    assert learn(cast("Door", door), "judge", file) == found
    assert door.asked == asked, "remembered"
    heard = ear(cast("Door", door), "judge", file)
    good, bad = heard(*said("good 1")), heard(*said("bad 1"))
    assert good is not None
    assert bad is not None
    assert good > bad
    assert found.margins.odds is not None
    assert good == pytest.approx(found.margins.odds * round(good / found.margins.odds))


def test_a_refused_judge_is_not_heard(tmp_path: Path) -> None:
    door, file = FakeDoor(memory=Memory(tmp_path / "m"), right=False), written(tmp_path)
    assert learn(cast("Door", door), "judge", file).refused
    assert ear(cast("Door", door), "judge", file)(*said("good 1")) is None


def test_other_pairs_or_another_model_need_a_calibration_of_their_own(tmp_path: Path) -> None:
    door, file = FakeDoor(memory=Memory(tmp_path / "m")), written(tmp_path)
    learn(cast("Door", door), "judge", file)
    door.name = "n"
    assert remembered(cast("Door", door), "judge", file) is None
    door.name = "m"
    file.write_text(file.read_text() + "\n")
    assert remembered(cast("Door", door), "judge", file) is None
    assert ear(cast("Door", door), "judge", tmp_path / "none.jsonl")(*said("good 1")) is None


def test_the_checks_alone_decide_some_of_the_shipped_pairs_and_none_wrong() -> None:
    benchmark = Path(__file__).parents[1] / "benchmarks" / "vault.py"
    done = subprocess.run(
        [sys.executable, benchmark, "judge", "--quick"], capture_output=True, text=True, check=True
    )
    found = re.search(r"checks alone +(\d+) right +(\d+) wrong +(\d+) open", done.stdout)
    assert found is not None
    right, wrong, left_open = map(int, found.groups())
    assert right + left_open >= 60
    assert right >= 30
    assert wrong == 0
