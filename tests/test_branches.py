"""`optiloop apply --branches` in real repositories: side by side, stacked, and what no longer fits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_cli import call, git, in_repository, write_toy

TOML = """\
name = "toy"
editable = ["value.txt"]

[[gate]]
name = "order"
command = ["/bin/sh", "gate.sh"]

[metric]
name = "score"
command = ["/bin/sh", "score.sh"]
noise = "deterministic"
min_effect = 0.0
"""
START = "".join(f"a{n}=10\n" for n in range(12))
# b may only come with a11=1: a dependency that the text does not show
GATE = "if grep -q '^b=' value.txt; then grep -q '^a11=1$' value.txt; fi\n"
SCORE = "awk -F= '{s += $2} END {print \"METRIC score=\" s}' value.txt\n"


def texts() -> list[str]:
    """Four gains: two alone, one upon the first, one that only a gate ties to the second."""
    first = START.replace("a0=10", "a0=5")
    second = first.replace("a11=10", "a11=1")
    third = second.replace("a0=5", "a0=2")
    fourth = third.replace("a5=10\n", "a5=3\nb=1\n")
    return [first, second, third, fourth]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    toy = write_toy(tmp_path / "toy", toml=TOML, gate=GATE, score=SCORE)
    (toy / "value.txt").write_text(START)
    in_repository(tmp_path)
    replay = [{"path": "value.txt", "text": it, "hypothesis": f"idea {n}"} for n, it in enumerate(texts(), 1)]
    (tmp_path / "replay.jsonl").write_text("".join(json.dumps(it) + "\n" for it in replay))
    ended = call("run", "toy", "--proposer", f"replay:{tmp_path}/replay.jsonl", here=tmp_path)
    assert ended.code == 0
    return tmp_path


def branches(here: Path) -> dict[str, str]:
    """Branch -> the subject of its parent commit."""
    names = git(here, "for-each-ref", "--format=%(refname:short)", "refs/heads/opt").split()
    return {name: git(here, "log", "-1", "--format=%s", f"{name}~1") for name in names}


def test_independent_changes_stand_side_by_side_and_dependent_ones_on_what_they_need(here: Path) -> None:
    before = git(here, "status", "--porcelain"), git(here, "rev-parse", "HEAD")
    ended = call("apply", "toy", "--branches", "opt/", here=here)
    assert ended.code == 0, ended.err
    assert branches(here) == {
        "opt/1": "first",
        "opt/2": "first",
        "opt/3": "idea 1",
        "opt/4": "idea 2",
    }
    assert "opt/3: #3" in ended.out
    assert "(on opt/1: its lines do not stand in value.txt exactly once)" in ended.out
    assert "(on opt/2: gate order: exit 1" in ended.out
    assert git(here, "show", "opt/2:toy/value.txt") + "\n" == START.replace("a11=10", "a11=1")
    assert (git(here, "status", "--porcelain"), git(here, "rev-parse", "HEAD")) == before


def test_a_commit_says_what_was_measured_and_where_it_is_from(here: Path) -> None:
    told = [
        json.loads(line)
        for line in call("apply", "toy", "--branches", "opt/", "--json", here=here).out.splitlines()
    ]
    message = git(here, "log", "-1", "--format=%B", "opt/1")
    assert message.startswith("idea 1\n\nscore: 1.04")
    assert f"experiment #1 {told[0]['experiment']}, by replay" in message
    assert told[2]["on"] == "opt/1"
    assert [one["commit"] for one in told] == [git(here, "rev-parse", f"opt/{n}") for n in range(1, 5)]


def test_what_the_user_changed_meanwhile_is_kept_and_what_no_longer_fits_is_told(here: Path) -> None:
    value = here / "toy" / "value.txt"
    value.write_text("# mine\n" + START.replace("a11=10", "a11=9"))
    git(here, "commit", "--quiet", "--all", "-m", "mine")
    ended = call("apply", "toy", "--branches", "opt/", here=here)
    assert ended.code == 2
    assert "2 kept changes fit nowhere on your HEAD" in ended.error
    assert "left out: #2" in ended.out
    assert branches(here) == {"opt/1": "mine", "opt/3": "idea 1"}
    assert git(here, "show", "opt/3:toy/value.txt").startswith("# mine\na0=2")


def test_taken_names_and_other_ways_are_refused_before_anything_is_made(here: Path) -> None:
    git(here, "branch", "opt/2")
    assert "branch opt/2 is there already" in call("apply", "toy", "--branches", "opt/", here=here).error
    assert git(here, "branch", "--list", "opt/*") == "opt/2"
    assert "choose one" in call("apply", "toy", "--branches", "a", "--patch", "b", here=here).error


def test_without_a_repository_or_a_keep_it_says_so(tmp_path: Path) -> None:
    write_toy(tmp_path / "toy")
    call("run", "toy", "--cycles", "0", here=tmp_path)
    assert "nothing to apply" in call("apply", "toy", "--branches", "opt/", here=tmp_path).error
