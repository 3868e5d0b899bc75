"""What a target tells beside its metric: its own [check], and goals for its other numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from optiloop.cli import cli
from optiloop.errors import TargetError, UsageError
from optiloop.testing import write_toy_target


def checked(folder: Path, *more: str) -> str:
    done = CliRunner().invoke(cli, ["check", str(folder), "--sandbox", "process", *more])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


def test_its_lines_stand_below_the_figures(tmp_path: Path) -> None:
    more = '[check]\ncommand = ["/bin/sh", "own.sh"]\n'
    files = {"own.sh": "echo the judge is heard; printf 'a\\033[31mb\\n'; echo x > left_over\n"}
    folder = write_toy_target(tmp_path / "toy", more=more, files=files)
    assert "its own check  the judge is heard\nits own check  ab" in checked(folder)
    assert json.loads(checked(folder, "--json"))["own"] == "the judge is heard\nab"
    assert not (folder / "left_over").exists()


def test_a_target_without_one_has_no_such_line(tmp_path: Path) -> None:
    assert "its own check" not in checked(write_toy_target(tmp_path / "toy"))


def test_one_that_fails_says_so(tmp_path: Path) -> None:
    folder = write_toy_target(
        tmp_path / "toy", more='[check]\ncommand = ["/bin/sh", "own.sh"]\n', files={"own.sh": "exit 3\n"}
    )
    with pytest.raises(TargetError, match=r"its \[check\] command failed: .*3"):
        checked(folder)


def test_a_run_ends_at_a_goal_for_another_number_of_the_benchmark(tmp_path: Path) -> None:
    score = ". ./value.sh\necho METRIC score=$VALUE\necho METRIC worst=$((VALUE + 7))\n"
    folder = write_toy_target(tmp_path / "toy", score=score)
    run = ["run", str(folder), "--sandbox", "process", "--proposer", "tune", "--until"]
    ended = CliRunner().invoke(cli, [*run, "worst <= 60"])
    assert "ended after 2 experiments: worst <= 60 is reached" in ended.stderr
    again = CliRunner().invoke(cli, [*run, "worst <= 60"])
    assert "ended after 0 experiments: worst <= 60 is reached" in again.stderr
    with pytest.raises(UsageError, match="the metric is 'score', not 'best'; the benchmark also gives worst"):
        CliRunner().invoke(cli, [*run, "best <= 60"], catch_exceptions=False)
