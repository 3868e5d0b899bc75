"""The log on disk: what was appended stays, a torn tail is nothing, and a changed line is noticed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from optiloop.errors import LedgerError
from optiloop.ledger import Ledger, write_atomically
from optiloop.model import Experiment, Proposal
from optiloop.record import digest
from optiloop.testing import experiment_of


def experiment(number: int, hypothesis: str = "because") -> Experiment:
    return experiment_of(Proposal({"a": f"{number}\n"}, hypothesis, "test"), {"a": "x\n"}, number=number)


def filled(path: Path, count: int) -> Ledger:
    ledger = Ledger(path)
    for number in range(count):
        ledger.append(experiment(number))
    return ledger


def ids(ledger: Ledger) -> list[int]:
    return [int(found.id) for found in ledger.new()]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "experiments.jsonl"


def test_what_is_appended_is_read(log: Path) -> None:
    filled(log, 3)
    assert ids(Ledger(log)) == [0, 1, 2]


def test_no_file_is_an_empty_log(log: Path) -> None:
    assert ids(Ledger(log)) == []


def test_append_returns_what_a_reader_finds(log: Path) -> None:
    odd = replace(experiment(0, "\ud800\x00\u2028"), effect=float("inf"), seconds=1 / 3)
    written = Ledger(log).append(odd)
    assert list(Ledger(log).new()) == [written]


def test_each_line_holds_the_hash_of_the_one_before(log: Path) -> None:
    filled(log, 3)
    lines = log.read_bytes().splitlines()
    assert [found.previous for found in Ledger(log).new()] == ["", digest(lines[0]), digest(lines[1])]


def test_new_yields_each_experiment_once(log: Path) -> None:
    writer, reader = filled(log, 2), Ledger(log)
    assert ids(reader) == [0, 1]
    assert ids(reader) == []
    writer.append(experiment(2))
    assert ids(reader) == [2]
    assert ids(writer) == [], "what it wrote itself is not new to it"


def test_two_readers_do_not_disturb_each_other_or_the_file(log: Path) -> None:
    writer, one, other = filled(log, 1), Ledger(log), Ledger(log)
    half = one.new()
    assert int(next(half).id) == 0
    writer.append(experiment(1))
    assert ids(other) == [0, 1]
    half.close()
    assert ids(one) == [1]
    assert Ledger(log).path.read_bytes().count(b"\n") == 2


# --- a torn tail -------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 2, 50, -1])
def test_a_torn_tail_is_an_experiment_that_never_ended(log: Path, cut: int) -> None:
    filled(log, 3)
    whole = log.read_bytes()
    last = whole[:-1].rindex(b"\n") + 1
    log.write_bytes(whole[: last + cut] if cut > 0 else whole[:cut])
    assert ids(Ledger(log)) == [0, 1]


def test_the_next_append_cuts_the_torn_tail(log: Path) -> None:
    filled(log, 2)
    with log.open("ab") as file:
        file.write(b'{"v":1,"id":"half a li')
    ledger = Ledger(log)
    assert ids(ledger) == [0, 1]
    ledger.append(experiment(2))
    assert ids(Ledger(log)) == [0, 1, 2]
    assert b"half a li" not in log.read_bytes()


def test_a_reader_sees_the_line_once_it_is_whole(log: Path) -> None:
    filled(log, 2)
    whole = log.read_bytes()
    log.write_bytes(whole[:-20])
    reader = Ledger(log)
    assert ids(reader) == [0]
    with log.open("ab") as file:
        file.write(whole[-20:])
    assert ids(reader) == [1]


# --- a changed log -----------------------------------------------------------------------------------

Lines = list[bytes]
CHANGES: dict[str, tuple[Callable[[Lines], Lines], int]] = {
    "a changed word": (lambda lines: [lines[0], lines[1].replace(b"because", b"becausf"), *lines[2:]], 3),
    "a changed space": (lambda lines: [lines[0].replace(b'"v":1', b'"v": 1'), *lines[1:]], 2),
    "swapped lines": (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], 2),
    "a removed line": (lambda lines: [lines[0], *lines[2:]], 2),
    "the first line removed": (lambda lines: lines[1:], 1),
    "a line twice": (lambda lines: [lines[0], lines[0], *lines[1:]], 2),
    "garbage in the middle": (lambda lines: [*lines[:2], b"garbage", *lines[2:]], 3),
    "an empty line": (lambda lines: [*lines[:2], b"", *lines[2:]], 3),
    "a line of another version": (lambda lines: [lines[0].replace(b'"v":1', b'"v":2'), *lines[1:]], 1),
    "garbage as the last whole line": (lambda lines: [*lines[:3], b"garbage"], 4),
    "the last line's own chain": (
        lambda lines: [*lines[:3], lines[3].replace(digest(lines[2]).encode(), b"0" * 64)],
        4,
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_log_is_an_error_with_file_and_line(log: Path, name: str) -> None:
    change, line = CHANGES[name]
    filled(log, 4)
    log.write_bytes(b"".join(found + b"\n" for found in change(log.read_bytes().splitlines())))
    ledger = Ledger(log)
    for _ in range(2):  # asked again it says the same
        with pytest.raises(LedgerError, match=rf"experiments\.jsonl:{line}: "):
            ids(ledger)


def test_a_log_replaced_while_it_is_read_is_noticed(log: Path) -> None:
    ledger = filled(log, 2)
    assert not ledger.rewritten()
    other = log.with_name("other")
    filled(other, 3)
    other.replace(log)
    assert ledger.rewritten()
    with pytest.raises(LedgerError, match="another file took its place"):
        ids(ledger)


def test_a_log_cut_short_or_removed_is_noticed(log: Path) -> None:
    ledger = filled(log, 2)
    os.truncate(log, 10)
    assert ledger.rewritten()
    log.unlink()
    assert ledger.rewritten()


def test_a_log_that_cannot_be_read_is_a_ledger_error(log: Path) -> None:
    log.mkdir()
    with pytest.raises(LedgerError, match="cannot read: "):
        ids(Ledger(log))
    with pytest.raises(LedgerError, match="cannot append"):
        Ledger(log).append(experiment(0))


def test_a_line_is_on_the_disk_before_append_returns(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut cannot be had in a test; that the system was asked to write can."""
    synced: list[int] = []
    sync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(
            os.fstat(descriptor).st_size if os.fstat(descriptor).st_ino == log.stat().st_ino else -1
        )
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    filled(log, 2)
    assert [size for size in synced if size > 0] == [log.read_bytes().index(b"\n") + 1, log.stat().st_size]
    assert -1 in synced, "and so is the folder that holds a new log"


# --- a full disk -------------------------------------------------------------------------------------

FULL = """
import resource, sys
from pathlib import Path
from optiloop.errors import LedgerError
from optiloop.ledger import Ledger
from optiloop.model import Proposal
from optiloop.testing import experiment_of

log = Path(sys.argv[1])
ledger = Ledger(log)
def append(number):
    proposal = Proposal({"a": f"{number}\\n"}, "because", "test")
    ledger.append(experiment_of(proposal, {"a": "x\\n"}, number=number))
append(0)
size = log.stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
try:
    append(1)
except LedgerError as error:
    assert "cannot append" in str(error), error
else:
    sys.exit("nothing was raised")
assert log.stat().st_size == size, "half a line is left"
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
append(2)
assert [int(found.id) for found in Ledger(log).new()] == [0, 2]
"""


def test_a_full_disk_leaves_nothing_half_written(log: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, str(log)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# --- the small files beside it -----------------------------------------------------------------------


def test_a_small_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    file = tmp_path / "small.json"
    write_atomically(file, "one\n")
    reader = file.open()
    write_atomically(file, "two, é\n")
    assert reader.read() == "one\n", "a reader keeps the whole old text"
    reader.close()
    assert file.read_text(encoding="utf-8") == "two, é\n"
    assert list(tmp_path.iterdir()) == [file]


def test_a_small_file_that_cannot_be_replaced_stays(tmp_path: Path) -> None:
    file = tmp_path / "small.json"
    file.write_text("one\n")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(file, "\ud800")
    assert file.read_text() == "one\n"


def test_a_diff_is_read_again_by_its_id(tmp_path: Path) -> None:
    written = Ledger(tmp_path / "log.jsonl")
    made = [experiment_of(Proposal({"a": f"{n}\n"}, "", "x"), {"a": ""}, number=n) for n in range(3)]
    for one in made:
        written.append(one)
    read = Ledger(tmp_path / "log.jsonl")
    assert len(list(read.new())) == 3
    for ledger in (written, read):
        assert [ledger.diff(one.id) for one in made] == [one.diff for one in made]
        assert ledger.diff("no such id") == ""


def test_a_line_that_is_gone_is_an_error(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "log.jsonl")
    one = ledger.append(experiment_of(Proposal({"a": "1\n"}, "", "x"), {"a": ""}))
    (tmp_path / "log.jsonl").write_text("")
    with pytest.raises(LedgerError, match="cannot read"):
        ledger.diff(one.id)
