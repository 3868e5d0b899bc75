"""The index may be lost, broken or shared; what questions answer is checked on a log made by hand."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optiloop import Memory
from optiloop.errors import LedgerError, UsageError
from optiloop.events import events_of, retract
from optiloop.index import learning, store
from optiloop.index.memory import Answer, Row
from optiloop.index.questions import QUESTIONS, TEXT
from optiloop.ledger import Ledger
from optiloop.memory.cases import Past, Subject, past_of
from optiloop.memory.facts import Facts
from optiloop.memory.findings import id_of
from optiloop.memory.insights import Focus, Learned
from optiloop.memory.runs import Run, line_in, line_of, read_run, verdict_of
from optiloop.model import DEMOTION, TAKES_BACK, Experiment, Proposal, Status
from optiloop.record import as_json
from optiloop.testing import experiment_of

KEEP, DISCARD, FAILED, CRASH = Status.KEEP, Status.DISCARD, Status.GATE_FAILED, Status.CRASH


def program(**values: str) -> str:
    knobs = {"DEPTH": "8", "LR": "0.1", "MODE": '"adam"'} | values
    body = "".join(f"{name} = {value}\n" for name, value in knobs.items() if name.isupper())
    functions = "".join(
        f"\n\ndef {name}(items):\n    return {values.get(name, 'list(items)')}\n"
        for name in ("parse", "emit")
    )
    return body + functions


def line(
    number: int,
    before: dict[str, str],
    after: dict[str, str],
    *,
    status: Status = DISCARD,
    family: str = "tune",
    effect: float | None = None,
    said: str = "",
    reason: str = "not better",
    tags: tuple[str, ...] = (),
) -> Experiment:
    """The `number`-th experiment of a small campaign: from these values and bodies to those."""
    source = {"train.py": program(**before)}
    proposal = Proposal(
        {"train.py": program(**before | after)}, said or f"change {number}", "test", family, tags
    )
    made = experiment_of(proposal, source, number=number, status=status, effect=effect)
    return replace(made, reason=reason, time=f"2026-01-{number:02d}T12:00:00.000Z")


def story() -> Iterator[Experiment]:
    """Ten experiments with known answers."""
    base: dict[str, str] = {}
    yield line(1, base, {"DEPTH": "12"}, effect=0.9, said="raise depth to 12")
    yield line(
        2, base, {"parse": "set(items)"}, status=KEEP, effect=1.5, family="memoise", said="memoise parse"
    )
    base = {"parse": "set(items)"}
    yield line(3, base, {"DEPTH": "10"}, status=KEEP, effect=1.2, said="raise depth to 10")
    base |= {"DEPTH": "10"}
    yield line(4, base, {"LR": "0.2"}, status=KEEP, effect=1.1, said="double the learning rate")
    base |= {"LR": "0.2"}
    yield line(5, base, {"DEPTH": "12", "LR": "0.3"}, effect=0.8, said="deeper, faster")
    yield line(6, base, {"DEPTH": "12"}, status=CRASH, said="stack more layers", reason="out of memory")
    yield line(7, base, {"emit": "sorted(items)"}, status=FAILED, family="sort", said="sort what is emitted")
    yield line(
        8,
        base,
        {"emit": "tuple(items)"},
        effect=1.0,
        family="memoise",
        reason="undecided",
        said="memoise emit",
    )
    yield line(
        9, base, {"LR": "0.1"}, status=KEEP, family=DEMOTION, tags=(DEMOTION, f"{TAKES_BACK}{4:026d}"),
        said="take back: double the learning rate",
    )  # fmt: skip
    base |= {"LR": "0.1"}
    yield line(10, base, {"MODE": '"muon"'}, effect=0.99, family="swap", said="Adam to Muon")


def write(path: Path, experiments: Sequence[Experiment]) -> Path:
    ledger = Ledger(path)
    list(ledger.new())
    for experiment in experiments:
        ledger.append(experiment)
    return path


@pytest.fixture(scope="module")
def told_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("story") / "experiments.jsonl", list(story()))


@pytest.fixture
def memory(told_log: Path) -> Memory:
    return Memory.of(told_log)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write(tmp_path / "experiments.jsonl", list(story()))


def numbers(answer: Answer) -> list[int]:
    return [row["run"] for row in answer.rows]


def content(log: Path) -> str:
    index = store.opened(log)
    try:
        return index.content_hash()
    finally:
        index.close()


# --- questions -------------------------------------------------------------------------------------------


def test_where_it_stands(memory: Memory) -> None:
    found = memory.state().found
    assert found["keeps"] == [2, 3]
    assert found["knobs"] == {"DEPTH": "10", "LR": "0.1", "MODE": "adam"}
    assert found["statuses"] == {"keep": 4, "discard": 4, "crash": 1, "gate_failed": 1}


@pytest.mark.parametrize("change", ["4", "#4", f"{4:026d}", "LR", "learning rate"])
def test_the_best_before_a_change(memory: Memory, change: str) -> None:
    found = memory.best_before(change).found
    assert (found["before"], found["keep"]) == (4, 3)
    assert found["value"] == pytest.approx(1 / 1.2)


@pytest.mark.parametrize(
    ("kind", "conditions", "good", "tried"),
    [
        ("depth", (), [3], 4),
        ("depth up", (), [3], 4),
        ("increase depth", (), [3], 4),
        ("depth down", (), [], 0),
        ("depth", ("DEPTH=8",), [3], 2),
        ("depth", ("depth<10",), [3], 2),
        ("depth", ("DEPTH>8",), [], 2),
        ("depth", ("memoise",), [3], 3),
        ("depth", ("memoise", "LR=0.2"), [], 2),
        ("memoise", (), [2], 2),
        ("learning rate", (), [], 2),  # its keep was taken back
        ("parse", (), [2], 1),
        ("train.py::parse", (), [2], 1),
    ],
)
def test_what_helped_while(
    memory: Memory, kind: str, conditions: tuple[str, ...], good: list[int], tried: int
) -> None:
    answer = memory.helped(kind, *conditions)
    assert (numbers(answer), answer.found["tried"]) == (good, tried)


def test_a_repeated_failure_is_told_with_its_contexts(memory: Memory) -> None:
    answer = memory.tried("DEPTH=12")
    rows = {row["run"]: row for row in answer.rows}
    assert set(rows) == {1, 5, 6}
    assert [bool(rows[run]["isolated"]) for run in (1, 5, 6)] == [True, False, True]
    assert rows[1]["changed"] == {"DEPTH": ("8", "10")}
    assert rows[6]["differs"] == {"LR": ("0.2", "0.1")}
    assert answer.found["answer"] == "no"
    assert "#6" in answer.found["reason"]


@pytest.mark.parametrize(
    ("moment", "what", "answer", "word"),
    [
        (0, "DEPTH=12", "yes", "never"),
        (1, "DEPTH=12", "no", "alone in #1"),
        (4, "DEPTH=12", "only-if", "DEPTH 8 -> 10"),
        (5, "DEPTH=12", "only-if", "alone"),
        (4, "DEPTH=10", "no", "in force since #3"),
        (4, "raise depth", "yes", "further"),
        (10, "memoise in emit", "yes", "nothing was decided"),
        (10, "sort in emit", "no", "#7"),
        (10, "MODE=\"muon\"", "no", "#10"),
    ],
)  # fmt: skip
def test_whether_to_try_again(memory: Memory, moment: int, what: str, answer: str, word: str) -> None:
    found = memory.as_of(moment).tried(what)
    assert found.found["answer"] == answer
    assert word in found.said


def test_a_failure_may_be_repeated_when_its_function_changed(tmp_path: Path) -> None:
    base = {"parse": "set(items)"}
    log = write(
        tmp_path / "experiments.jsonl",
        [
            line(1, {}, {"parse": "sorted(items)"}, family="sort", effect=0.5),
            line(2, {}, base, status=KEEP, effect=1.5, family="memoise"),
        ],
    )
    answer = Memory.of(log).tried("sort in parse")
    assert answer.found["answer"] == "only-if"
    assert "#2 changed its place" in answer.said
    avoided = Memory.of(log).avoid("parse")
    assert (numbers(avoided), avoided.found["may_be_tried_again"]) == ([], 1)
    assert numbers(Memory.of(log).as_of(1).avoid("parse")) == [1]


def test_what_two_have_in_common(memory: Memory) -> None:
    found = memory.common("5", "#6").found
    assert found["shared"]["knobs"] == ["DEPTH"]
    assert found["shared"]["entities"] == ["depth up"]
    assert "LR=0.2" in found["shared"]["in force"]
    assert memory.common("1", "6").found["differs"] == {"DEPTH": ("8", "10"), "LR": ("0.1", "0.2")}


def test_the_best_for_a_component(memory: Memory) -> None:
    answer = memory.best_for("depth")
    assert (numbers(answer), answer.found["knobs"]) == ([3], {"DEPTH": "10"})
    assert numbers(memory.best_for("emit")) == []


def test_what_to_avoid(memory: Memory) -> None:
    rows = {row["run"]: row for row in memory.avoid("DEPTH").rows}
    assert set(rows) == {5, 6}
    assert rows[6]["what"] == "DEPTH 10 -> 12"
    assert numbers(memory.avoid("emit")) == [7]


def test_what_was_never_tried(memory: Memory) -> None:
    cells = {(row["place"], row["family"]) for row in memory.unexplored().rows}
    assert cells == {("train.py::parse", "sort")}


def test_the_functions_of_the_champion_are_explored_too(memory: Memory) -> None:
    source = {"train.py": "def parse(items): ...\ndef fresh(items): ...\n"}
    cells = {
        (row["place"], row["family"]) for row in replace(memory, source=lambda: source).unexplored().rows
    }
    assert cells == {(f"train.py::{name}", family) for name, family in
                     [("parse", "sort"), ("fresh", "sort"), ("fresh", "memoise")]}  # fmt: skip


def test_the_ancestry_of_the_champion(memory: Memory) -> None:
    assert numbers(memory.ancestry()) == [3, 2]
    assert numbers(memory.as_of(8).ancestry()) == [4, 3, 2]
    assert "1 taken back" in memory.ancestry().said


def test_a_text_finds_what_it_speaks_of(memory: Memory) -> None:
    assert numbers(memory.recall("memoised parsing"))[0] == 2
    assert numbers(memory.recall("out of memory"))[0] == 6


def test_the_other_way_and_another_value_are_labelled_and_last(memory: Memory) -> None:
    rows = memory.recall("lower depth to 10").rows
    assert {row["label"] for row in rows if "depth" in row["hypothesis"]} == {"opposite"}
    labels = {row["run"]: row["label"] for row in memory.recall("raise depth to 12").rows}
    assert (labels[1], labels[3]) == ("", "other value")
    assert list(labels).index(1) < list(labels).index(3)


@pytest.mark.parametrize(("gone", "first"), [("parse", 8), ("emit", 2)])
def test_what_is_gone_from_the_champion_comes_last(memory: Memory, gone: str, first: int) -> None:
    without = replace(memory, source=lambda: {"train.py": program().replace(f"def {gone}", "def other")})
    assert numbers(without.recall("memoise"))[0] == first


@pytest.mark.parametrize(("moment", "now"), [(3, 3), ("3", 3), (99, 10), ("2026-01-03", 3), ("2025-12-31", 0),
    ("2026-01-03T11:59", 2), ("2026-01-03T14:30+02:00", 3)])  # fmt: skip
def test_as_of_a_number_or_a_date(memory: Memory, moment: int | str, now: int) -> None:
    assert memory.as_of(moment).now == now


def test_the_past_knows_nothing_of_what_came_later(memory: Memory) -> None:
    past = memory.as_of(4)
    assert past.state().found["keeps"] == [2, 3, 4]
    assert past.state().found["knobs"] == {"DEPTH": "10", "LR": "0.2"}
    assert past.helped("learning rate").found["helped"] == 1
    assert memory.as_of(0).state().found["knobs"] == {}


@pytest.mark.parametrize(
    ("method", "given", "word"),
    [
        ("best_before", ("11",), "has 10"),
        ("helped", ("dpeth",), "there is depth"),
        ("helped", ("depth", "modd=1"), "modd"),
        ("common", ("2", "nothing"), "is no experiment"),
        ("recall", ("zebra",), "zebra"),
        ("as_of", ("soon",), "no date"),
    ],
)
def test_what_is_unknown_is_said_in_one_line(
    memory: Memory, method: str, given: tuple[str, ...], word: str
) -> None:
    with pytest.raises(UsageError, match=word) as caught:
        getattr(memory, method)(*given)
    assert "\n" not in str(caught.value)


def test_insights_are_those_of_the_moment_that_is_asked_about(memory: Memory) -> None:
    assert [row["insight"] for row in memory.insights("discover").rows] == [
        "memoise was kept 1 of 2 times, and never tried at train.py",
        "tune was kept 1 of 5 times, and never tried at train.py::emit, train.py::parse",
    ]
    assert memory.as_of(1).insights("discover").rows == ()
    assert memory.stale().said == "stale: 0 insights"
    assert memory.contradictions().rows == memory.insights("contradictions").rows


def test_an_unknown_focus_is_refused_with_those_there_are(memory: Memory) -> None:
    with pytest.raises(UsageError, match="no focus is called 'luck'; there are contradictions, failures"):
        memory.insights("luck")


def test_each_question_has_a_method_and_plain_answers(memory: Memory) -> None:
    words = {"KIND": "depth", "CHANGE": "4", "WHAT": "DEPTH=12", "ID": "2", "COMPONENT": "depth",
             "PLACE": "emit", "TEXT": "depth", "FOCUS": "failures"}  # fmt: skip
    for question in (*QUESTIONS, TEXT):
        answer = getattr(memory, question.method)(*(words[name] for name in question.given))
        assert json.loads(json.dumps(answer.as_json()))["said"] == answer.said
        assert all(not row or set(row) for row in answer.rows)


# --- runs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "reason", "verdict"),
    [
        (KEEP, "", 1),
        (DISCARD, "not better", -1),
        (DISCARD, "undecided; gains under 1 % do not show in this noise", 0),
        (DISCARD, "better, but by less than 0.5 %", 0),
        (DISCARD, "equal: 3 -> 3", 0),
        (FAILED, "tests", -1),
        (Status.VIOLATION, "it touched the judge", -1),
        (Status.DUPLICATE, "", None),
        (Status.NO_PROPOSAL, "", None),
    ],
)
def test_what_is_evidence(status: Status, reason: str, verdict: int | None) -> None:
    assert verdict_of(status, reason) == verdict


def test_a_gain_is_larger_the_better_and_has_an_error() -> None:
    made = line(1, {}, {"DEPTH": "9"}, effect=1.2)
    assert made.measurement is not None
    pairs = made.measurement.pairs
    run = read_run(line_in(as_json(replace(made, measurement=replace(made.measurement, pairs=pairs * 3)))), 1)
    assert run.gain == pytest.approx(0.1823, abs=1e-4)
    assert run.error == pytest.approx(0)
    assert read_run(line_in(as_json(made)), 1).error is None  # one pair tells no noise


# --- what is held ----------------------------------------------------------------------------------------


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """After how many experiments insights were made, each time that they were."""
    times: list[int] = []

    def counted(index: store.Index, now: int, *rest: Any) -> Learned:
        times.append(now)
        return learn(index, now, *rest)

    learn = learning.learn
    monkeypatch.setattr(learning, "learn", counted)
    return times


def told_of(log: Path, source: str | None = None, moment: int = 99) -> list[Sequence[Row]]:
    texts = None if source is None else (lambda: {"train.py": source})
    memory = replace(Memory.of(log), source=texts).as_of(moment)
    return [memory.insights(focus).rows for focus in Focus]


def test_insights_are_made_once_and_read_from_the_index(log: Path, made: list[int]) -> None:
    first = told_of(log)
    assert any(first)
    assert told_of(log) == first
    assert made == [10]


def test_what_is_held_is_no_part_of_the_content_and_may_be_deleted(log: Path, made: list[int]) -> None:
    before = content(log)
    first = told_of(log)
    assert content(log) == before
    store.file_of(log).unlink()
    assert told_of(log) == first
    assert content(log) == before
    assert made == [10, 10]


def test_insights_are_made_anew_when_the_log_goes_on(log: Path, made: list[int]) -> None:
    first = told_of(log)
    write(log, [line(11, {}, {"emit": "list(items)[:3]"}, status=KEEP, effect=1.2, family="memoise")])
    assert told_of(log) != first
    assert told_of(log, moment=10) == first
    assert made == [10, 11]


def test_another_log_of_the_same_length_is_asked_anew(log: Path, made: list[int]) -> None:
    told_of(log)
    log.unlink()
    write(log, [*list(story())[:9], line(11, {}, {"MODE": '"lion"'})])
    told_of(log)
    assert made == [10, 10]


def test_insights_are_made_anew_when_the_code_changes(log: Path, made: list[int]) -> None:
    known = told_of(log, program())
    gone = told_of(log, "DEPTH = 8\n")
    assert known != gone
    assert (told_of(log, program()), told_of(log, "DEPTH = 8\n")) == (known, gone)
    assert made == [10, 10]


def test_insights_are_made_anew_when_a_finding_is_taken_back(log: Path, made: list[int]) -> None:
    told_of(log)
    finding = id_of(Subject("parse", "memoise"))
    retract(log.parent, Ledger(log).new(), finding, why="luck", time="2026-01-11T12:00:00.000Z")
    told_of(log)
    assert made == [10, 10]


def test_only_the_newest_are_held(log: Path) -> None:
    for moment in (*range(1, 11), 1):
        told_of(log, moment=moment)
    ((rows, bases),) = store.opened(log).rows("SELECT count(*), count(DISTINCT basis) FROM insight")
    assert (rows, bases) == (learning.HELD * len(Focus), learning.HELD)


def test_after_a_run_the_questions_are_answered_already(log: Path, made: list[int]) -> None:
    events = learning.settle(log, {"train.py": program()})
    assert events == events_of(log.parent) != []
    assert {event.after for event in events} == {10}
    assert {event.time for event in events} == {list(story())[-1].time}
    told_of(log, program())
    assert made == [10]
    assert learning.settle(log, {"train.py": program()}) == []


@pytest.mark.parametrize("lock", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_a_run_ends_well_while_the_index_is_locked(log: Path, made: list[int], lock: str) -> None:
    Memory.of(log).index.close()
    holder = sqlite3.connect(store.file_of(log), isolation_level=None)
    holder.execute(lock)
    try:
        assert learning.settle(log, None) != []
    finally:
        holder.close()
    told_of(log)
    assert made == [10, 10]


def test_a_run_ends_well_where_the_index_may_not_be_written(log: Path) -> None:
    Memory.of(log).index.close()
    index = store.opened(log)
    index.connection.execute("PRAGMA query_only = 1")
    assert learning.insights_of(index, 10, None, Focus.DISCOVER)
    store.file_of(log).unlink()
    store.file_of(log).mkdir()
    assert learning.settle(log, None) != []


def sorted_run(run: Run) -> Run:
    """A run with its facts in the order of their names: the index keeps no other."""
    facts = run.facts
    knobs = tuple(sorted(facts.knobs, key=lambda knob: knob.name))
    places, entities = tuple(sorted(facts.places)), tuple(sorted(facts.entities))
    return replace(run, facts=Facts(places, knobs, frozenset(), entities))


@pytest.mark.parametrize("now", [0, 3, 8, 9, 10])
def test_runs_are_read_from_the_index_as_from_the_log(log: Path, now: int) -> None:
    runs = [read_run(line_of(it), seq) for seq, it in enumerate(log.read_bytes().splitlines()[:now], 1)]
    found = learning.runs_of(store.opened(log), now)
    assert [*map(sorted_run, found)] == [*map(sorted_run, runs)]


# --- the file --------------------------------------------------------------------------------------------


def test_deleting_it_loses_nothing(log: Path) -> None:
    before = content(log)
    store.file_of(log).unlink()
    assert content(log) == before


def test_only_new_lines_are_read(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content(log)
    seen = []
    monkeypatch.setattr(store, "read_run", lambda found, seq: seen.append(seq) or read_run(found, seq))
    write(log, [line(11, {}, {"DEPTH": "9"})])
    assert Memory.of(log).now == 11
    assert seen == [11]


def test_a_torn_line_is_no_experiment(log: Path) -> None:
    whole = log.read_bytes()
    before = content(log)
    log.write_bytes(whole + b'{"v":1,"id":')
    assert content(log) == before
    store.file_of(log).unlink()
    assert content(log) == before


@pytest.mark.parametrize("kept", [0, 4, 10])
def test_another_log_in_its_place_is_noticed(log: Path, tmp_path: Path, kept: int) -> None:
    content(log)
    log.unlink()
    write(log, [*list(story())[:kept], line(11, {}, {"MODE": '"lion"'}), line(12, {}, {"DEPTH": "6"})])
    other = tmp_path / "other.jsonl"
    other.write_bytes(log.read_bytes())
    assert content(log) == content(other)


def test_a_broken_chain_is_an_error_with_its_line(log: Path) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:4], *lines[5:]]))
    with pytest.raises(LedgerError, match=r"experiments\.jsonl:5: the hash chain"):
        Memory.of(log)


def test_no_log_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no experiments yet"):
        Memory.of(tmp_path / "experiments.jsonl")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rubbish", [b"no database at all" * 100, b""])
def test_a_corrupt_file_costs_time_only(log: Path, rubbish: bytes) -> None:
    before = content(log)
    store.file_of(log).write_bytes(rubbish)
    assert content(log) == before
    store.rebuilt(log).close()
    assert Memory.of(log).index.fault == ""


def test_a_file_that_breaks_in_the_middle_is_left(log: Path) -> None:
    content(log)
    file = store.file_of(log)
    file.write_bytes(file.read_bytes()[:8192].ljust(file.stat().st_size, b"\xff"))
    assert numbers(Memory.of(log).ancestry()) == [3, 2]


def test_where_it_cannot_be_written_it_is_in_memory(log: Path) -> None:
    store.file_of(log).mkdir()
    memory = Memory.of(log)
    assert memory.index.fault
    assert numbers(memory.ancestry()) == [3, 2]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(log: Path) -> None:
    log.parent.chmod(0o500)
    try:
        assert Memory.of(log).index.fault
    finally:
        log.parent.chmod(0o700)


def test_a_locked_file_is_not_waited_for_for_ever(log: Path) -> None:
    holder = sqlite3.connect(store.file_of(log), isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        index = store.opened(log, wait=0.05)
        assert "locked" in index.fault
        assert index.rows("SELECT count(*) FROM run") == [(10,)]
    finally:
        holder.close()


def test_two_processes_at_once(log: Path) -> None:
    program = "import sys; from optiloop import Memory; print(Memory.of(sys.argv[1]).index.content_hash())"
    asked = [
        subprocess.Popen([sys.executable, "-c", program, str(log)], stdout=subprocess.PIPE) for _ in range(3)
    ]
    said = {process.communicate(timeout=60)[0].decode().strip() for process in asked}
    assert said == {content(log)}


def test_text_that_is_no_text_is_taken(tmp_path: Path) -> None:
    odd = replace(line(1, {}, {"DEPTH": "9"}), family="\ud800odd", hypothesis="\udfff\x00 nul")
    assert Memory.of(write(tmp_path / "experiments.jsonl", [odd])).now == 1


VALUES = st.fixed_dictionaries(
    {}, optional={"DEPTH": st.sampled_from(["6", "8", "10"]), "LR": st.just("0.3")}
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    runs=st.lists(st.tuples(VALUES, VALUES, st.sampled_from(list(Status)), st.booleans()), max_size=8),
    cut=st.integers(0, 8),
)
def test_read_in_parts_or_at_once_it_says_the_same(
    tmp_path: Path, runs: list[tuple[dict[str, str], dict[str, str], Status, bool]], cut: int
) -> None:
    made = [
        line(
            at, before, after, status=status, effect=1.1, tags=(f"{TAKES_BACK}{at - 1:026d}",) if back else ()
        )
        for at, (before, after, status, back) in enumerate(runs, 1)
    ]
    parts, whole = tmp_path / "parts.jsonl", tmp_path / "whole.jsonl"
    for log in (parts, whole):
        log.unlink(missing_ok=True)
        store.file_of(log).unlink(missing_ok=True)
        log.touch()
    write(parts, made[:cut])
    content(parts)
    write(parts, made[cut:])
    write(whole, made)
    assert content(parts) == content(whole)
    lines = enumerate(map(line_of, parts.read_bytes().splitlines()), 1)
    read = past_of([read_run(found, seq) for seq, found in lines])
    assert told_of_past(past_of(learning.runs_of(store.opened(parts), len(made)))) == told_of_past(read)


def told_of_past(past: Past) -> tuple[object, ...]:
    """All that is made of a past, whatever the order of a run's facts."""
    cases = [
        (it.run.seq, it.run.verdict, it.run.gain, it.run.error, it.context, set(it.subjects))
        for it in past.cases
    ]
    return cases, past.now, past.count


def test_what_is_no_log_is_told_with_its_mend(tmp_path: Path) -> None:
    other = tmp_path / "results.tsv"
    other.write_text("commit\tval_bpb\n")
    with pytest.raises(UsageError, match=r"results\.tsv is no log of optiloop; `optiloop import "):
        Memory.of(other)
    broken = tmp_path / "log.jsonl"
    broken.write_text('{"v": 1}\n')
    with pytest.raises(LedgerError, match=r"log\.jsonl:1: Object missing required field `id`; restore"):
        Memory.of(broken)
