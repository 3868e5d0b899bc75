"""`optiloop propose` and `optiloop ci`; benchmarks/nightly.py runs what `ci` writes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from test_cli import call, write_replay, write_toy


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A repository with the toy target in a folder, committed."""
    write_toy(tmp_path / "toy")
    who = ("-c", "user.name=a", "-c", "user.email=a@localhost")
    for words in (("init", "-q"), ("add", "."), (*who, "commit", "-qm", "a toy")):
        subprocess.run(("git", *words), cwd=tmp_path, check=True)
    return tmp_path


def test_proposing_runs_nothing_and_its_lines_are_replayed(here: Path) -> None:
    (here / "toy" / "score.sh").write_text("touch ran; exit 1\n")
    (here / "toy" / "gate.sh").write_text("touch ran; exit 1\n")
    replay = write_replay(here / "three.jsonl", "90", "80", "80")
    said = call("propose", "toy", "--proposer", replay, "-n", "3", "-o", "candidates.jsonl", here=here)
    assert said.code == 0
    lines = [json.loads(line) for line in (here / "candidates.jsonl").read_text().splitlines()]
    assert [line["edits"] for line in lines] == [{"value.txt": "90\n"}, {"value.txt": "80\n"}]
    assert "passed over" in said.err
    home = here / ".optiloop" / "toy"
    assert not list(home.rglob("ran"))
    assert not (home / "experiments.jsonl").exists()
    assert not (home / "baseline.json").exists()


def test_proposing_ends_when_nothing_is_left(here: Path) -> None:
    replay = write_replay(here / "one.jsonl", "90")
    said = call("propose", "toy", "--proposer", replay, "-n", "9", here=here)
    assert len(said.out.splitlines()) == 1
    assert "nothing is left to propose" in said.err


def test_a_checkout_that_moved_on_begins_anew_with_ci_alone(here: Path) -> None:
    first = write_replay(here / "first.jsonl", "90")
    assert call("run", "toy", "--ci", "--proposer", first, here=here).code == 0
    again = call("run", "toy", "--ci", "--proposer", first, "--json", here=here)
    assert json.loads(again.out.splitlines()[-1])["experiments"] == 1
    with (here / "toy" / "gate.sh").open("a") as gate:
        gate.write("true\n")
    assert call("run", "toy", "--proposer", first, here=here).code == 5
    anew = call("run", "toy", "--ci", "--proposer", first, "--json", here=here)
    assert json.loads(anew.out.splitlines()[-1])["experiments"] == 1
    assert (here / ".optiloop" / "toy" / "archive").is_dir()


@pytest.mark.parametrize("form", ["", "--batch"])
def test_a_workflow_is_written_once_and_names_the_target(here: Path, form: str) -> None:
    words = ("ci", "toy", "--proposer", "openai:some-model", *form.split())
    assert call(*words, here=here).code == 0
    text = (here / ".github/workflows/optiloop-toy.yml").read_text()
    workflow = yaml.safe_load(text)
    assert list(workflow["jobs"]) == (["propose", "evaluate", "publish"] if form else ["optimize", "publish"])
    assert "@TARGET@" not in text
    assert "'openai:some-model'" in text
    again = call(*words, here=here)
    assert again.code == 2
    assert "is there already" in again.err


def test_only_the_publishing_job_may_write_and_only_one_step_has_the_keys(here: Path) -> None:
    call("ci", "toy", here=here)
    workflow = yaml.safe_load((here / ".github/workflows/optiloop-toy.yml").read_text())
    assert workflow["permissions"] == {}
    assert workflow["jobs"]["optimize"]["permissions"] == {"contents": "read"}
    assert workflow["jobs"]["optimize"]["steps"][0]["with"]["persist-credentials"] is False
    assert "secrets." not in str(workflow["jobs"]["publish"])
    action = yaml.safe_load((here / ".github/actions/optiloop/action.yml").read_text())
    steps = action["runs"]["steps"]
    assert [step["name"] for step in steps if "api-key" in str(step)] == ["Run"]
    assert "--sandbox bwrap" in next(step["run"] for step in steps if step["name"] == "Run")


def test_a_target_in_no_repository_is_told(tmp_path: Path) -> None:
    write_toy(tmp_path / "toy")
    said = call("ci", "toy", here=tmp_path)
    assert said.code == 2
    assert "git init" in said.err
