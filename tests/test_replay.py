"""`replay:FILE` proposes lines in order, goes on where a log says, and names the line that is broken."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from optiloop.errors import UsageError
from optiloop.memory.history import History
from optiloop.model import Brief, Command, Experiment, Metric, Proposal, Status
from optiloop.proposers.replay import Replay
from optiloop.record import encode
from optiloop.testing import brief_of, experiment_of

BASELINE = {"a.py": "one\n", "b.py": "two\n"}


def written(folder: Path, *lines: dict[str, Any] | str) -> Path:
    file = folder / "candidates.jsonl"
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    file.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return file


def taken(replay: Replay, source: dict[str, str] = BASELINE, known: int = 0) -> list[Proposal]:
    """All proposals, each logged as a discard; the first `known` by another replay of that file."""
    history = History(Metric("score", Command("true")))
    found: list[Proposal] = []
    while (proposal := replay.propose(brief_of(source, history=history))) is not None:
        found.append(proposal)
        history.add(experiment_of(proposal, source, number=len(found)))
    return found[known:]


def test_lines_in_their_order(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        {"path": "a.py", "text": "1\n", "hypothesis": "first", "family": "x"},
        "",
        {"edits": {"a.py": "2\n", "b.py": "3\n"}, "hypothesis": "both"},
        {"path": "b.py", "text": ""},
    )
    found = taken(Replay(str(file)))
    assert [(proposal.edits, proposal.hypothesis, proposal.family) for proposal in found] == [
        ({"a.py": "1\n"}, "first", "x"),
        ({"a.py": "2\n", "b.py": "3\n"}, "both", ""),
        ({"b.py": ""}, "", ""),
    ]
    assert {proposal.origin for proposal in found} == {"replay"}
    assert len({proposal.tags for proposal in found}) == 3


def test_a_new_replay_goes_on_where_the_log_says(tmp_path: Path) -> None:
    file = written(tmp_path, *({"path": "a.py", "text": f"{n}\n", "hypothesis": str(n)} for n in range(9)))
    history = History(Metric("score", Command("true")))
    for number in range(9):
        proposal = Replay(str(file)).propose(brief_of(BASELINE, history=history))
        assert proposal is not None
        assert proposal.hypothesis == str(number)
        history.add(experiment_of(proposal, BASELINE, number=number, status=list(Status)[number % 6]))
    assert Replay(str(file)).propose(brief_of(BASELINE, history=history)) is None


def test_equal_lines_are_proposed_each(tmp_path: Path) -> None:
    line = {"path": "a.py", "text": "1\n"}
    assert len(taken(Replay(str(written(tmp_path, line, line))))) == 2


def test_another_file_begins_at_its_first_line(tmp_path: Path) -> None:
    one = Replay(str(written(tmp_path, {"path": "a.py", "text": "1\n"})))
    proposal = one.propose(brief_of(BASELINE))
    assert proposal is not None
    history = History(Metric("score", Command("true")))
    history.add(experiment_of(proposal, BASELINE))
    other = Replay(str(written(tmp_path, {"path": "a.py", "text": "2\n"})))
    assert other.propose(brief_of(BASELINE, history=history)) is not None


def test_an_empty_file_proposes_nothing(tmp_path: Path) -> None:
    assert Replay(str(written(tmp_path))).propose(brief_of(BASELINE)) is None


def test_no_file_is_a_usage_error(tmp_path: Path) -> None:
    for name in ("gone.jsonl", ""):
        with pytest.raises(UsageError, match="cannot read it"):
            Replay(str(tmp_path / name))


GOOD = {"path": "a.py", "text": "1\n"}
BROKEN: dict[str, dict[str, Any] | str] = {
    "not JSON": "{",
    "no object": "[1]",
    "no text": {"path": "a.py"},
    "no path": {"text": "1\n"},
    "a number as text": {"path": "a.py", "text": 1},
    "no edits": {"edits": {}},
    "edits that are a list": {"edits": ["a.py"]},
    "a hypothesis that is no text": {**GOOD, "hypothesis": 1},
    "a family that is no text": {**GOOD, "family": None},
}


@pytest.mark.parametrize("line", BROKEN.values(), ids=BROKEN)
def test_a_broken_line_is_named_before_anything_is_run(tmp_path: Path, line: dict[str, Any] | str) -> None:
    replay = Replay(str(written(tmp_path, GOOD, GOOD, line, GOOD)))
    with pytest.raises(UsageError, match=r"candidates\.jsonl:3: "):
        replay.propose(brief_of(BASELINE))


# --- an experiment log -------------------------------------------------------------------------------


def log(folder: Path, *experiments: Experiment) -> Path:
    file = folder / "experiments.jsonl"
    file.write_bytes(b"".join(encode(experiment) + b"\n" for experiment in experiments))
    return file


def entry(text: str, source: dict[str, str], number: int, status: Status = Status.DISCARD) -> Experiment:
    return experiment_of(
        Proposal({"a.py": text}, f"try {text!r}", "tune", "knob"), source, number=number, status=status
    )


AFTER = {**BASELINE, "a.py": "better\n"}
LOG = (
    entry("worse\n", BASELINE, 0),
    entry("better\n", BASELINE, 1, Status.KEEP),
    entry("best", AFTER, 2, Status.CRASH),
    entry("better\n", AFTER, 3, Status.DUPLICATE),
    replace(entry("better\n", AFTER, 4), status=Status.NO_PROPOSAL),
    replace(entry("better\n", AFTER, 5), status=Status.VIOLATION),
    entry("one\n", AFTER, 6),
)


def test_a_log_s_proposals_are_taken_again(tmp_path: Path) -> None:
    found = taken(Replay(str(log(tmp_path, *LOG))))
    assert [proposal.edits for proposal in found] == [
        {"a.py": "worse\n"},
        {"a.py": "better\n"},
        {"a.py": "best"},
        {"a.py": "better\n"},  # the duplicate: one file of the champion as it was
        {"a.py": "one\n"},
    ]
    assert found[0].hypothesis == "try 'worse\\n'"
    assert found[0].family == "knob"


def test_a_log_s_torn_last_line_never_ended(tmp_path: Path) -> None:
    file = log(tmp_path, *LOG[:3])
    file.write_bytes(file.read_bytes()[:-30])
    assert len(taken(Replay(str(file)))) == 2


def test_candidates_need_no_newline_at_the_end(tmp_path: Path) -> None:
    file = written(tmp_path, GOOD, GOOD)
    file.write_bytes(file.read_bytes()[:-1])
    assert len(taken(Replay(str(file)))) == 2


def test_a_log_of_another_baseline_is_refused(tmp_path: Path) -> None:
    replay = Replay(str(log(tmp_path, *LOG)))
    with pytest.raises(UsageError, match=r"experiments\.jsonl:1: .*another target or baseline"):
        replay.propose(brief_of({"a.py": "something else\n", "b.py": "two\n"}))
    assert replay.propose(brief_of(BASELINE)) is not None, "what was asked before is not remembered"


def test_a_log_s_broken_line_is_named(tmp_path: Path) -> None:
    file = log(tmp_path, *LOG)
    file.write_bytes(file.read_bytes().replace(b'"crash"', b'"crashed"'))
    with pytest.raises(UsageError, match=r"experiments\.jsonl:3: .*crashed"):
        Replay(str(file)).propose(brief_of(BASELINE))


def test_it_answers_from_the_brief_alone(tmp_path: Path) -> None:
    """An emptier log, or another, is another answer: nothing is kept between the calls."""
    replay = Replay(str(written(tmp_path, GOOD, {**GOOD, "text": "2\n"})))
    empty: Brief = brief_of(BASELINE)
    first = replay.propose(empty)
    assert first is not None
    assert len(taken(replay)) == 2
    assert replay.propose(empty) == first
