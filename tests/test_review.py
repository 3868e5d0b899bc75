"""The three next improvements, from the log alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from optiloop.cli import cli
from optiloop.report.review import parts_of
from optiloop.testing import write_toy_target

SCORE = """. ./value.sh
echo METRIC score=$VALUE
echo METRIC task_a=4
echo METRIC task_big_cup=$((VALUE / 50))
echo METRIC task_c=3
"""


def call(*words: str) -> str:
    return CliRunner().invoke(cli, list(words), catch_exceptions=False).stdout


@pytest.mark.parametrize("guarded", [(), ("task_a", "task_c"), ("task_a", "task_big_cup", "task_c")])
def test_the_worst_part_comes_first(tmp_path: Path, guarded: tuple[str, ...]) -> None:
    metric = 'noise = "deterministic"\ndirection = "maximize"\n'
    metric += "".join(f'[[guard]]\nmetric = "{name}"\nmin_ratio = 0.8\n' for name in guarded)
    folder = write_toy_target(tmp_path / "toy", score=SCORE, metric=metric)
    run = ["run", str(folder), "--sandbox", "process", "--proposer", "tune", "--cycles", "2"]
    CliRunner().invoke(cli, run, catch_exceptions=False)
    found = json.loads(call("review", str(folder), "--json"))["next"]
    assert 1 <= len(found) <= 3
    assert found[0]["what"] == "worst part"
    assert found[0]["why"].startswith("task_c is 3, among the lowest of 3; 0 tries")
    said = call("review", str(folder), "--since", "1d")
    assert "\n1 worst part: task_c is 3" in said
    assert f"optiloop run {folder} --cycles 5" in said


def test_parts_share_their_first_or_last_word() -> None:
    numbers = {"task_a": 1.0, "task_b": 2.0, "task_c": 3.0, "peak_mb": 9.0, "x": 1.0}
    assert parts_of(numbers) == {"task_a": 1.0, "task_b": 2.0, "task_c": 3.0}
    assert set(parts_of({"a_us": 1.0, "b_us": 1.0, "c_d_us": 1.0, "x_mb": 2.0})) == {"a_us", "b_us", "c_d_us"}
    assert parts_of({"a_us": 1.0, "b_us": 2.0}) == {}
