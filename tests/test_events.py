"""What became of findings stays on disk: chained, whole after a kill, and one line a change."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from optiloop.diff import unified
from optiloop.errors import LedgerError, UsageError
from optiloop.events import events_of, record, retract, taken_back
from optiloop.memory.cases import Subject, past_of
from optiloop.memory.findings import State, id_of
from optiloop.memory.insights import learned
from optiloop.memory.lifecycle import Event, decode, encode, states
from optiloop.memory.runs import run_of
from optiloop.model import Experiment, Interval, Proposal, Status
from optiloop.record import RecordError, digest
from optiloop.testing import experiment_of

DEPTH = id_of(Subject("depth", "up"))
NOW = "2026-11-21T10:00:00.000Z"
EVENT = Event(NOW, 7, "f1", "depth up", State.CANDIDATE, State.ACTIVE, "it says \ud800 so", (1, 2))


def tried(number: int, value: int, *, name: str = "DEPTH", effect: float = 0.98) -> Experiment:
    before, after = {"train.py": f"{name} = 8\n"}, {"train.py": f"{name} = {value}\n"}
    made = experiment_of(Proposal(after, "because", "test"), before, number=number)
    ends = Interval(effect - 0.001, effect + 0.001)
    return replace(
        made, diff=unified(before, after), status=Status.DISCARD, reason="worse", effect=effect, interval=ends
    )


LOG = [tried(1, 10), tried(2, 12)]


def settle(home: Path, log: Sequence[Experiment], source: Mapping[str, str] | None = None) -> Sequence[Event]:
    past = past_of(run_of(it, number) for number, it in enumerate(log, 1))
    known = learned(past, source, retracted=taken_back(home / "experiments.jsonl"))
    return record(home, known, time=log[-1].time if log else "")


def changes(events: Sequence[Event]) -> list[tuple[str, State, State]]:
    return [(it.about, it.was, it.now) for it in events]


# --- settling ----------------------------------------------------------------------------------------


def test_a_run_that_ends_writes_what_changed_and_nothing_twice(tmp_path: Path) -> None:
    first = settle(tmp_path, LOG)
    assert changes(first) == [("depth up", State.CANDIDATE, State.CONFIRMED)]
    assert (first[0].runs, first[0].after, first[0].time) == ((1, 2), 2, LOG[-1].time)
    assert settle(tmp_path, LOG) == []
    assert events_of(tmp_path) == first


def test_nothing_is_written_of_an_empty_log_or_of_what_is_a_candidate(tmp_path: Path) -> None:
    assert settle(tmp_path, []) == []
    unclear = replace(tried(1, 10, effect=1.0), reason="undecided")
    assert settle(tmp_path, [unclear]) == []
    assert events_of(tmp_path) == []


def test_what_the_code_loses_becomes_outdated_and_comes_back(tmp_path: Path) -> None:
    settle(tmp_path, LOG)
    gone = settle(tmp_path, LOG, {"train.py": "WIDTH = 8\n"})
    assert changes(gone) == [("depth up", State.CONFIRMED, State.OUTDATED)]
    back = settle(tmp_path, LOG, {"train.py": "DEPTH = 8\n"})
    assert changes(back) == [("depth up", State.OUTDATED, State.CONFIRMED)]
    assert [it.previous for it in back] == [digest((tmp_path / "events.jsonl").read_bytes().splitlines()[1])]


def test_the_state_depends_on_the_log_and_not_on_when_it_was_settled(tmp_path: Path) -> None:
    log = [*LOG, tried(3, 16), tried(4, 4, name="WIDTH"), tried(5, 2, name="WIDTH")]
    (tmp_path / "once").mkdir()
    (tmp_path / "often").mkdir()
    settle(tmp_path / "once", log)
    for end in range(1, len(log) + 1):
        settle(tmp_path / "often", log[:end])
    assert states(events_of(tmp_path / "once")) == states(events_of(tmp_path / "often"))


def test_what_a_person_takes_back_stays_taken_back(tmp_path: Path) -> None:
    settle(tmp_path, LOG)
    event = retract(tmp_path, LOG, DEPTH, why="the data was wrong", time=NOW)
    assert (event.was, event.now, event.why) == (State.CONFIRMED, State.RETRACTED, "the data was wrong")
    assert settle(tmp_path, [*LOG, tried(3, 16)]) == []
    assert states(events_of(tmp_path)) == {DEPTH: State.RETRACTED}


def test_only_a_finding_of_the_log_can_be_taken_back(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no finding is called 'f0'"):
        retract(tmp_path, LOG, "f0", why="", time=NOW)
    assert events_of(tmp_path) == []


def test_a_finding_that_the_log_no_longer_gives_is_archived(tmp_path: Path) -> None:
    settle(tmp_path, LOG)
    (event,) = settle(tmp_path, [tried(1, 4, name="WIDTH")], None)[-1:]
    assert (event.finding, event.now) == (DEPTH, State.ARCHIVED)


# --- on disk -----------------------------------------------------------------------------------------


def test_an_event_is_one_line_and_read_back() -> None:
    assert b"\n" not in encode(EVENT)
    assert decode(encode(EVENT)) == EVENT


@pytest.mark.parametrize(
    "wrong", [{"v": 2}, {"type": "dream"}, {"now": "forgotten"}, {"after": None}, {"runs": 3}]
)
def test_an_unknown_word_in_an_event_is_an_error(wrong: dict[str, object]) -> None:
    with pytest.raises(RecordError):
        decode(json.dumps({**json.loads(encode(EVENT)), **wrong}).encode())


@pytest.mark.parametrize("torn", [b'{"v":1,"torn', b"\x00\x00"])
def test_a_torn_last_line_never_happened_and_the_next_append_cuts_it(tmp_path: Path, torn: bytes) -> None:
    first = settle(tmp_path, LOG)
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(torn)
    assert events_of(tmp_path) == first
    more = settle(tmp_path, LOG, {"train.py": ""})
    assert events_of(tmp_path) == [*first, *more]
    assert torn not in (tmp_path / "events.jsonl").read_bytes()


@pytest.mark.parametrize("line", [b"nonsense", b"", b"[]"])
def test_any_other_bad_line_is_an_error_with_file_and_line(tmp_path: Path, line: bytes) -> None:
    settle(tmp_path, LOG)
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(line + b"\n")
    for act in (lambda: events_of(tmp_path), lambda: settle(tmp_path, LOG)):
        with pytest.raises(LedgerError, match=r"events\.jsonl:2: ") as raised:
            act()
        assert "\n" not in str(raised.value)


def test_a_changed_line_breaks_the_chain(tmp_path: Path) -> None:
    settle(tmp_path, LOG)
    settle(tmp_path, LOG, {"train.py": ""})
    path = tmp_path / "events.jsonl"
    path.write_bytes(path.read_bytes().replace(b"depth up", b"depth op", 1))
    with pytest.raises(LedgerError, match=r"events\.jsonl:2: the hash chain breaks here") as raised:
        events_of(tmp_path)
    assert "\n" not in str(raised.value)


def test_a_full_disk_leaves_nothing_of_the_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = settle(tmp_path, LOG)
    whole, write = (tmp_path / "events.jsonl").read_bytes(), os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) > 10:
            return write(descriptor, data[:10])
        raise OSError(28, "No space left on device")

    def fails(descriptor: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", refuse)
        return full(descriptor, data)

    def refuse(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", fails)
    with pytest.raises(LedgerError, match="No space left"):
        settle(tmp_path, LOG, {"train.py": ""})
    monkeypatch.undo()
    assert (tmp_path / "events.jsonl").read_bytes() == whole
    assert events_of(tmp_path) == first


PROGRAM = """
import sys
from pathlib import Path
from tests.test_events import LOG, settle
Path(sys.argv[1], sys.argv[2]).touch()
while not Path(sys.argv[1], "go").exists():
    pass
sources = [{"train.py": text} for text in ("", "DEPTH = 8\\n")]
print(sum(len(settle(Path(sys.argv[1]), LOG, sources[(n + int(sys.argv[2])) % 2])) for n in range(120)))
"""


def test_two_processes_write_one_chain(tmp_path: Path) -> None:
    root = Path(__file__).parents[1]
    pending = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path), str(n)], cwd=root, stdout=subprocess.PIPE
        )
        for n in (0, 1)
    ]
    while not all((tmp_path / name).exists() for name in "01"):
        assert all(process.poll() is None for process in pending)
    (tmp_path / "go").touch()
    wrote = [int(process.communicate(timeout=60)[0]) for process in pending]
    found = events_of(tmp_path)
    assert len(found) == sum(wrote) >= 40, "none is lost, and none written over"
    assert all(before.now is after.was for before, after in itertools.pairwise(found))
