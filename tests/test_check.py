"""`optiloop check`: what it advises. Its whole text is a golden file of test_cli."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from test_cli import GATE, call, write_toy

from optiloop.model import Baseline, Command, Gate, Metric, Target
from optiloop.report.check import checked


@pytest.mark.parametrize(
    ("us", "said"),
    [
        ({"slow": 9000.0}, ""),
        ({"slow": 9000.0, "quick": 4999.0}, "1 of 2 functions run under 5 ms (quick)"),
        ({"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}, "4 of 4 functions run under 5 ms (a, b, c, ...)"),
    ],
)
def test_check_names_functions_with_too_small_a_workload(us, said) -> None:
    gate = Gate("tests", Command("true"))
    target = Target(
        "t", Path("t"), ("a.py",), Metric("combined_us", Command("true"), unit="us"), gates=(gate,)
    )
    numbers = {f"{name}_us": value for name, value in us.items()}
    baseline = Baseline("0" * 40, 1e6, (0.01, 0.0), 0.01, 1.0)
    found = checked(
        target,
        baseline,
        gate_seconds=1.0,
        sandbox="bwrap",
        numbers={**numbers, "combined_us": 1.0, "import_us": 2.0},
    )
    assert ("" if not found.advice else found.advice[-1]).startswith(said)
    assert bool(said) == any("functions run" in line for line in found.advice)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "t can be optimized."),
        ({"unsteady": "tests passed, then failed: exit 1"}, "cannot be optimized as it is: tests passed"),
        ({"smallest_gain": 0.6}, "can hardly be optimized: no gain below 60% shows"),
        ({"night": 3}, "can hardly be optimized: a night holds 3 experiments"),
    ],
)
def test_check_says_in_plain_words_whether_a_target_can_be_optimized(changed, said) -> None:
    target = Target("t", Path("t"), ("a.py",), Metric("ms", Command("true"), unit="ms"))
    baseline = Baseline("0" * 40, 1e6, (0.01, 0.0), 0.01, 1.0)
    found = replace(checked(target, baseline, gate_seconds=1.0, sandbox="bwrap"), **changed)
    assert said in found.as_text().splitlines()[0]
    assert f"a night of eight hours will hold about {found.night:,} experiments." in found.as_text()


def test_check_runs_the_gates_again(tmp_path) -> None:
    mark = tmp_path / "mark"
    write_toy(tmp_path / "toy", gate=f"{GATE}[ ! -e {mark} ] || exit 1; touch {mark}\n")
    said = call("check", "toy", "--sandbox", "process", here=tmp_path)
    assert said.out.startswith("toy cannot be optimized as it is: digits passed, then failed: exit 1"), said
