"""`optiloop check`: what it advises. Its whole text is a golden file of test_cli."""

from __future__ import annotations

from pathlib import Path

import pytest

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
