"""Pause, resume, steer, watch, --notify and --ci: real runs of the toy target."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from test_cli import SCORE, TOY, call, write_replay, write_toy

from optiloop import steering
from optiloop.proposers.assignment import assigned
from optiloop.proposers.llm.focus import asked
from optiloop.proposers.llm.prompt import rendered
from optiloop.testing import brief_of
from optiloop.workspace import worker

PATIENCE = 60.0
OPTILOOP = (sys.executable, "-m", "optiloop")


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    write_toy(tmp_path / "toy")
    return tmp_path


def home(here: Path) -> Path:
    return here / "toy" / ".optiloop" / "toy"


def lines(here: Path) -> int:
    log = home(here) / "experiments.jsonl"
    return log.read_bytes().count(b"\n") if log.exists() else 0


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until a question's answer is true."""
    ends = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < ends, what
        time.sleep(0.02)


def test_a_loop_waits_while_paused_and_is_followed_from_elsewhere(toy: Path) -> None:
    replay = write_replay(toy / "replay.jsonl", *(str(90 - n) for n in range(6)))
    (toy / "toy" / "score.sh").write_text("sleep 0.2; " + SCORE)
    with (toy / "err").open("w") as err:
        run = subprocess.Popen(
            (*OPTILOOP, "run", "toy", "--proposer", replay), cwd=toy, stderr=err, stdout=err
        )
    until(lambda: lines(toy) >= 1, "no experiment ended")
    steering.pause(home(toy))
    watch = subprocess.Popen(
        (*OPTILOOP, "watch", "toy", "--json"),
        cwd=toy,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: "paused; process" in call("pause", "toy", here=toy).out, "nobody works")
    time.sleep(1.0)  # the one under way when it was asked for ends
    before = lines(toy)
    time.sleep(1.0)
    assert lines(toy) == before < 6
    assert "another loop works here" in call("run", "toy", here=toy).err
    assert call("resume", "toy", here=toy).out.startswith("process ")
    assert run.wait(PATIENCE) == 0
    told, _ = watch.communicate(timeout=PATIENCE)
    assert watch.returncode == 0
    written = (home(toy) / "experiments.jsonl").read_text().splitlines()
    assert len(written) == 6
    assert told.splitlines() == written[-len(told.splitlines()) :]
    assert told.count("\n") >= 6 - before
    assert worker(home(toy)) == ""


def test_watching_where_no_loop_runs_says_where_it_stands(toy: Path) -> None:
    replay = write_replay(toy / "replay.jsonl", "80")
    assert call("watch", "toy", here=toy).code == 2
    call("run", "toy", "--proposer", replay, here=toy)
    ended = call("watch", "toy", here=toy)
    assert (ended.code, "no loop runs here" in ended.err) == (0, True)
    assert "improvement" in ended.out


def test_a_new_run_ends_a_pause_that_was_asked_for_before(toy: Path) -> None:
    assert call("pause", "toy", here=toy).out == "no loop runs here\n"
    assert call("run", "toy", "--proposer", write_replay(toy / "r.jsonl", "80"), here=toy).code == 0
    assert lines(toy) == 1


def test_a_note_stands_in_the_next_brief_until_it_is_taken_back(toy: Path) -> None:
    assert call("steer", "toy", "look at\nthe \x1b[31mvalue", here=toy).out.endswith("look at the value\n")
    assert "The user says now: look at the value" in call("brief", "toy", here=toy).out
    assert call("steer", "toy", "", here=toy).out == "no note any more\n"
    assert "The user says now" not in call("brief", "toy", here=toy).out


def test_a_torn_file_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "steering.json").write_text('{"paused": tru')
    assert steering.read(tmp_path) == steering.Steering()
    steering.steer(tmp_path, "x" * 9999)
    assert len(steering.read(tmp_path).note) == steering.MOST


def test_a_note_makes_what_it_names_likelier_and_leads_the_prompt() -> None:
    source = (
        "".join(f"def part{n}(x):\n    return x\n\n\n" for n in range(8))
        + "def tokenizer(x):\n    return x\n"
    )

    def drawn(note: str) -> int:
        briefs = (replace(brief_of({"a.py": source}, seed=seed), note=note) for seed in range(200))
        return sum(assigned(brief).part == "tokenizer" for brief in briefs)

    assert drawn("look at the tokenizer") > 2 * drawn("") > 0
    brief = replace(brief_of({"a.py": source}), note="look at the tokenizer")
    assert "look at the tokenizer" in rendered(brief, asked(brief, "file"), budget=2000).user


def test_notify_tells_the_first_keep_and_the_end_and_its_failure_ends_nothing(toy: Path) -> None:
    command = 'echo "$OPTILOOP_EVENT: $OPTILOOP_MESSAGE" >> told; cat >> status; exit 3'
    replay = write_replay(toy / "replay.jsonl", "80", "70")
    ended = call("run", "toy", "--proposer", replay, "--notify", command, here=toy)
    assert ended.code == 0
    told = (toy / "told").read_text().splitlines()
    assert [line.partition(":")[0] for line in told] == ["kept", "ended"]
    assert "#1 keep" in told[0]
    assert '"target": "toy"' in (toy / "status").read_text()
    assert "--notify: exit 3" in ended.err


def test_notify_tells_of_trouble(toy: Path) -> None:
    command = 'echo "$OPTILOOP_EVENT: $OPTILOOP_MESSAGE" >> told'
    call("run", "toy", "--cycles", "0", here=toy)
    (toy / "toy" / "target.toml").write_text(TOY.replace("score.sh", "gone.sh"))
    assert call("run", "toy", "--fresh", "--notify", command, here=toy).code == 3
    assert (toy / "told").read_text().startswith("trouble: ")


def test_ci_writes_summary_and_outputs_and_says_when_nothing_was_decided(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(toy / "summary.md"))
    monkeypatch.setenv("GITHUB_OUTPUT", str(toy / "output"))
    undecided = call("run", "toy", "--ci", "--cycles", "0", here=toy)
    assert (undecided.code, "no experiment was decided" in undecided.err) == (7, True)
    replay = write_replay(toy / "replay.jsonl", "80", "90")
    assert call("run", "toy", "--ci", "--proposer", replay, "--cycles", "5", here=toy).code == 0
    assert (toy / "summary.md").read_text().count("# ") >= 2
    found = outputs((toy / "output").read_text())
    assert found["improved"] == "true"
    assert float(found["low"]) > 1
    assert (found["keeps"], found["experiments"], found["branch"]) == ("1", "2", "optiloop/toy")
    assert len(found["commit"]) == 40


def outputs(text: str) -> dict[str, str]:
    """The last value of each output, as GitHub reads the file."""
    found, rest = {}, text.split("\n")
    while len(rest) > 2:
        name, mark = rest[0].split("<<")
        end = rest.index(mark, 1)
        found[name], rest = "\n".join(rest[1:end]), rest[end + 1 :]
    return found


def test_ci_names_a_broken_target_by_its_own_code(tmp_path: Path) -> None:
    write_toy(tmp_path / "toy", score=SCORE + "exit 1\n")
    assert call("run", "toy", "--ci", "--cycles", "1", here=tmp_path).code == 3
