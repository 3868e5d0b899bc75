"""A target's [start] command: what a campaign begins from where that is not what the checkout has."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from optiloop.cli import cli
from optiloop.errors import TargetError
from optiloop.loop import Engine
from optiloop.state import campaign_workspace, read_campaign
from optiloop.targets import load_target
from optiloop.testing import TOY_EDITABLE, ScriptedProposer, toy_text, write_toy_target

START = '[start]\ncommand = ["/bin/sh", "start.sh"]\n'
CHOOSES = f"""
if [ "$(cat {TOY_EDITABLE})" = VALUE=100 ]; then
    echo VALUE=80 > {TOY_EDITABLE}
    echo scratch > beside.txt
    echo begins from another start
fi
"""


def target_with(folder: Path, script: str = CHOOSES) -> Path:
    return write_toy_target(folder, more=START, files={"start.sh": script})


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A target that begins at 80 where its file is still the one that ships, 100."""
    folder = target_with(tmp_path / "toy")
    assert (folder / TOY_EDITABLE).read_text() == toy_text(100)
    return folder


def run(folder: Path, *more: str, sandbox: str = "process") -> Result:
    words = ["run", str(folder), "--sandbox", sandbox, "--proposer", "tune", "--cycles", "2"]
    return CliRunner().invoke(cli, [*words, *more], catch_exceptions=False)


def begun(folder: Path) -> tuple[str, str]:
    """The program that lay in the checkout when the campaign began, and the one that it began from."""
    workspace = campaign_workspace(load_target(folder))
    snapshot, root = (workspace.source_at(commit) for commit in (workspace.snapshot, workspace.root_commit))
    return snapshot[TOY_EDITABLE], root[TOY_EDITABLE]


@pytest.mark.parametrize("sandbox", ["process", "auto"])
def test_a_campaign_begins_from_what_the_start_writes(toy: Path, sandbox: str) -> None:
    done = run(toy, sandbox=sandbox)
    assert done.stderr.count("toy: begins from another start\n") == 1
    campaign = read_campaign(load_target(toy))
    assert campaign.baseline is not None
    assert campaign.baseline.value == 80
    assert campaign.experiments[0].diff.startswith(f"--- a/{TOY_EDITABLE}")
    assert "-VALUE=80\n" in campaign.diff
    assert begun(toy) == (toy_text(100), toy_text(80))
    assert (toy / TOY_EDITABLE).read_text() == toy_text(100), "the user's file is the user's"
    assert not (toy / "beside.txt").exists()
    again = run(toy)
    assert "begins from" not in again.stderr, "it is asked once"
    assert "note:" not in again.stderr
    assert len(read_campaign(load_target(toy)).experiments) > 2
    verified = CliRunner().invoke(cli, ["verify", str(toy), "--sandbox", "process"], catch_exceptions=False)
    assert verified.exit_code == 0, verified.output


def test_the_champion_fits_the_checkout(toy: Path, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", toy], check=True)
    run(toy)
    apply = ["apply", str(toy)]
    CliRunner().invoke(cli, [*apply, "--patch", str(tmp_path / "p")], catch_exceptions=False)
    subprocess.run(["git", "apply", "--check", tmp_path / "p"], cwd=toy, check=True)
    CliRunner().invoke(cli, apply, catch_exceptions=False)
    champion = (toy / TOY_EDITABLE).read_text()
    assert champion not in (toy_text(100), toy_text(80))
    subprocess.run(["git", "apply", "--check", "--reverse", tmp_path / "p"], cwd=toy, check=True)
    assert "note:" not in run(toy).stderr


def test_each_keep_gets_a_branch_upon_the_start(toy: Path) -> None:
    for words in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "m"],
    ):
        subprocess.run(["git", *words], cwd=toy, check=True)
    run(toy)
    done = CliRunner().invoke(cli, ["apply", str(toy), "--branches", "opt-"], catch_exceptions=False)
    assert "(on opt-start: " in done.stdout
    log = subprocess.run(["git", "log", "--format=%s", "opt-2"], cwd=toy, capture_output=True, text=True)
    assert log.stdout.splitlines()[1:] == ["optiloop/toy: begins from another start", "m"]


def test_a_file_of_the_user_s_own_is_begun_from(toy: Path) -> None:
    (toy / TOY_EDITABLE).write_text(toy_text(90))
    assert "begins from" not in run(toy).stderr
    assert begun(toy) == (toy_text(90), toy_text(90))


def test_a_fresh_campaign_is_started_anew(toy: Path) -> None:
    run(toy)
    (toy / TOY_EDITABLE).write_text(toy_text(90))
    assert "neither the baseline nor the champion" in run(toy).stderr
    assert "begins from" not in run(toy, "--fresh").stderr
    assert begun(toy) == (toy_text(90), toy_text(90))
    (toy / TOY_EDITABLE).write_text(toy_text(100))
    assert "begins from" in run(toy, "--fresh").stderr


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo no such thing >&2; exit 3", r"its \[start\] command failed: exit 3: no such thing"),
        (
            "echo exit 0 > gate.sh",
            r"optiloop/toy: the \[start\] command changes gate\.sh; it may write value\.sh",
        ),
    ],
)
def test_one_that_fails_or_touches_the_judge_begins_nothing(tmp_path: Path, script: str, said: str) -> None:
    folder = target_with(tmp_path / "toy", script)
    for _ in range(2):
        with pytest.raises(TargetError, match=said), opened(folder):
            pass
    (folder / "start.sh").write_text(CHOOSES)
    with opened(folder) as engine:
        assert engine.workspace.source() == {TOY_EDITABLE: toy_text(80)}


def opened(folder: Path):  # type: ignore[no-untyped-def]
    return Engine.opened(load_target(folder), ScriptedProposer(), sandbox="process")


def test_a_kill_leaves_it_due_or_done(tmp_path: Path) -> None:
    reached = tmp_path / "reached"
    script = f"[ -e {reached} ] || {{ echo VALUE=1 > {TOY_EDITABLE}; touch {reached}; sleep 60; }}\n{CHOOSES}"
    toy = target_with(tmp_path / "toy", script)
    words = [sys.executable, "-m", "optiloop", "run", str(toy), "--sandbox", "process", "--cycles", "1"]
    killed = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not reached.exists():
        assert killed.poll() is None
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    with opened(toy):
        assert begun(toy) == (toy_text(100), toy_text(80))
        home = campaign_workspace(load_target(toy)).place
    subprocess.run(["git", "-C", home.git_dir, "update-ref", "-d", "refs/heads/optiloop/toy"], check=True)
    assert json.loads((home.home / "campaign.json").read_text())["v"] == 1
    reached.unlink()  # it would wait again
    with opened(toy) as engine:
        assert engine.workspace.source() == {TOY_EDITABLE: toy_text(80)}
