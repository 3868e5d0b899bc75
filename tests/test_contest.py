"""`optiloop bench-proposers`: each proposer on its own copy, and the target only read."""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from optiloop.cli import cli
from optiloop.contest import Entry, as_table, contest, copy_of
from optiloop.model import Cost
from optiloop.targets import load_target
from optiloop.testing import toy_text, write_toy_target


def candidates(folder: Path, *values: float) -> str:
    lines = [{"path": "value.sh", "text": toy_text(value), "hypothesis": f"{value}"} for value in values]
    file = folder / f"candidates-{values[0]}.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return f"replay:{file}"


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_each_begins_from_the_same_baseline(tmp_path: Path) -> None:
    target = load_target(write_toy_target(tmp_path / "toy"))
    before = files(target.root)
    better, worse = contest(
        target, [candidates(tmp_path, 80, 50), candidates(tmp_path, 200, 90)], cycles=3, sandbox="process"
    )
    assert (better.cycles, better.kept, worse.cycles, worse.kept) == (2, 2, 2, 1)
    assert better.gain == pytest.approx(math.log(2))
    assert worse.gain == pytest.approx(math.log(100 / 90))
    assert better.ended == "nothing is left to try"
    assert better.per(better.cycles) == pytest.approx([math.log(2) / 2] * 3)
    assert files(target.root) == before


def test_who_gains_nothing_gains_nothing(tmp_path: Path) -> None:
    target = load_target(write_toy_target(tmp_path / "toy"))
    (none,) = contest(target, [candidates(tmp_path, 200)], cycles=1, sandbox="process")
    assert (none.kept, none.gain, none.ended) == (0, 0.0, "")


def test_a_copy_holds_what_git_does_not_ignore(tmp_path: Path) -> None:
    folder = write_toy_target(tmp_path / "repository" / "targets" / "toy")
    top = tmp_path / "repository"
    for name, text in {
        "shared.txt": "s",
        "secret.env": "k",
        ".gitignore": "*.env\n",
        "a b/new.txt": "n",
    }.items():
        (top / name).parent.mkdir(exist_ok=True)
        (top / name).write_text(text)
    subprocess.run(("git", "init", "-q", str(top)), check=True)
    copied = copy_of(load_target(folder), tmp_path / "copy")
    assert copied == tmp_path / "copy" / "targets" / "toy"
    assert (copied / "target.toml").is_file()
    assert (tmp_path / "copy" / "a b" / "new.txt").read_text() == "n"
    assert not (tmp_path / "copy" / "secret.env").exists()


def test_the_command_prints_a_table_or_json(tmp_path: Path) -> None:
    folder = write_toy_target(tmp_path / "toy")
    words = ["bench-proposers", str(folder), "--sandbox", "process", "--cycles", "1", "--proposers"]
    spec = candidates(tmp_path, 50)
    table = CliRunner().invoke(cli, [*words, spec])
    assert table.exit_code == 0, table.output
    assert "2.000x (2.000..2.000)" in table.stdout
    found = json.loads(CliRunner().invoke(cli, [*words, spec, "--json"]).stdout)
    assert found[0]["ratio"] == pytest.approx(2.0)
    assert found[0]["per_token"] is None


def test_a_rate_of_next_to_no_time_is_no_number() -> None:
    one = Entry("replay", 1, 1, 0.001, Cost(), math.log(2), math.log(2), math.log(2))
    assert "too short to tell" in as_table([one])
    assert "2.000x" in as_table([one])


def test_a_table_shows_rates_and_why_it_ended() -> None:
    one = Entry("ollama:x", 4, 2, 120.0, Cost(tokens=2000), math.log(16), math.log(9), math.log(25), "gone")
    head, row, ended = as_table([one]).splitlines()
    assert "per 1,000 tokens" in head
    assert row.split()[1:] == [
        "4",
        "2",
        "16x",
        "(9..25)",
        *["2.000x", "(1.732..2.236)"],
        *["4.000x", "(3.000..5.000)"] * 2,
    ]
    assert ended.strip() == "ended: gone"
