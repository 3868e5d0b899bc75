"""The corpus of hostile and honest candidates against the whole engine, and against one without a defence."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from optiloop.sandbox.probe import found

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from attacks import attacked, honest, hostile, naive_baseline, naively_kept  # noqa: E402

NOWHERE = {"HOME_FILE": "/nowhere/x", "REPOSITORY": "/nowhere", "PORT": "9"}
linux = pytest.mark.skipif(sys.platform != "linux", reason="the levels are Linux's")


def test_the_corpus_covers_the_classes() -> None:
    candidates = hostile(NOWHERE)
    assert len(candidates) >= 40
    assert len(honest()) >= 6
    assert len({one.name for one in candidates}) == len(candidates)
    assert {one.kind for one in candidates} == {
        *("judge", "symlink", "gate", "plant", "number", "memo", "proposal"),
        *("process", "resource", "secret", "network", "injection"),
    }


@linux
@pytest.mark.slow
def test_at_bwrap_nothing_hostile_is_kept_changed_left_or_seen() -> None:
    """All candidates, in three runs beside each other: their times are CPU times."""
    if (missing := found("bwrap").missing) and not os.environ.get("CI"):
        pytest.skip(f"no bwrap here: {missing}")
    program = (sys.executable, str(ROOT / "benchmarks" / "attacks.py"), "--sandbox", "bwrap", "--no-naive")
    runs = [
        subprocess.Popen((*program, "--part", part), stdout=subprocess.PIPE, text=True)
        for part in ("1/2", "2/2", "honest")
    ]
    zeros = ("hostile kept", "honest rejected", "protected files changed", "processes left", "secrets seen")
    for said, run in [(run.communicate()[0], run) for run in runs]:
        assert "; ".join(f"{figure} 0" for figure in zeros) in said, said
        assert run.returncode == 0, said


@linux
def test_at_process_nothing_hostile_is_kept_but_much_is_seen(tmp_path: Path) -> None:
    """What `bwrap` keeps from them is really there to be had: these attacks would succeed without it."""
    result = attacked(
        "process",
        tmp_path,
        only=("read_home", "call_home", "overwrite_the_checkout", "leave_a_daemon", "rewrite_the_log"),
    )
    assert (result.kept, result.left) == ([], [])
    assert {"read_home: home", "call_home: network", "a connection"} <= set(result.seen)
    assert [name for name in result.changed if name.endswith("benchmark.py")]
    assert result.verdicts["leave_a_daemon"][0] == "violation"
    assert result.verdicts["rewrite_the_log"][0] == "violation"


NAIVELY_KEPT: Sequence[str] = (
    *("overwrite_the_benchmark", "exit_0_early", "empty_the_tests", "deselect_the_tests", "shadow_modules"),
    *("print_a_metric", "patch_the_clocks", "replace_the_cases_by_the_stack", "be_cheap_in_the_benchmark"),
)


def test_a_naive_engine_would_have_kept_them(tmp_path: Path) -> None:
    """An exit code for a gate, and a printed number: with these alone the attacks succeed."""
    candidates = {one.name: one for one in hostile(NOWHERE)}
    baseline = naive_baseline(tmp_path / "baseline")
    kept = [name for name in NAIVELY_KEPT if naively_kept(candidates[name], tmp_path / name, baseline)]
    assert kept == list(NAIVELY_KEPT)


def test_what_runs_without_a_defence_reaches_nothing_beyond_its_folder(tmp_path: Path) -> None:
    """Logs of others lie above and beside, as they do in a folder for temporary files."""
    logs = [tmp_path / "experiments.jsonl", tmp_path / "other" / ".optiloop" / "toy" / "experiments.jsonl"]
    for log in logs:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("whole\n")
    deep = tmp_path / "scratch" / "naive"
    for one in hostile(NOWHERE):
        if one.name in ("rewrite_the_log", "point_git_elsewhere", "remember_in_files", "poison_git"):
            naively_kept(one, deep / one.name, baseline=1e9)
    assert [log.read_text() for log in logs] == ["whole\n", "whole\n"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["experiments.jsonl", "other", "scratch"]
    assert sorted(path.name for path in (tmp_path / "scratch").iterdir()) == ["naive"]
    homes = {"home", "rewrite_the_log", "point_git_elsewhere", "remember_in_files", "poison_git"}
    assert {path.name for path in deep.iterdir()} == homes
