"""The naive functions of the benchmark are right as they are: wrong ones would make every figure wrong."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from naive import Outcome, _answers, programs, summary  # noqa: E402
from naive_cases import CASES  # noqa: E402

PROGRAMS = dict(programs(BENCHMARKS / "naive"))


@pytest.mark.parametrize("name", CASES)
def test_each_gives_the_independent_answer(name: str) -> None:
    known, rng, scope = CASES[name], random.Random(name), {}
    exec(PROGRAMS[name], scope)
    for draw in (*[known.small] * 40, known.workload):
        arguments = draw(rng)
        assert json.loads(json.dumps(arguments)) == arguments, "JSON changes its arguments"
        naive = scope[name](*json.loads(json.dumps(arguments)))
        assert json.dumps(naive) == json.dumps(known.right(*json.loads(json.dumps(arguments))))


def test_there_is_a_case_for_each_and_they_are_many() -> None:
    called = {"is_leap", "days_in_month", "day_number", "valid_sudoku"}
    assert set(PROGRAMS) == set(CASES) | called
    assert len(CASES) >= 60


def test_the_check_tells_a_wrong_rewrite(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("def flatten(rows):\n    return sum(rows, [])[:3]\n")
    assert _answers(program, "flatten", [([[[1], [2]]], [1, 2])])
    assert not _answers(program, "flatten", [([[[1, 2], [3, 4]]], [1, 2, 3, 4])])


def test_the_summary_counts_zeros_and_wrong_ones() -> None:
    said = summary([Outcome("a", ratio=20.0), Outcome("b"), Outcome("c", ratio=1.2, wrong=["bad idea"])])
    assert ">= 10 % faster  2 of 3 (67%)" in said
    assert ">= 10x          1 of 3 (33%)" in said
    assert "c: bad idea" in said
