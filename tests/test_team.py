"""Several candidates at a time: a win is measured beside what it replaces, and nothing is lost or left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from optiloop import steering
from optiloop.campaign import Run
from optiloop.errors import AllowanceError, ProposerError, UsageError
from optiloop.ledger import Ledger
from optiloop.loop import Engine
from optiloop.memory.history import HOLDOUT_SPENT, OVERTAKEN, History, lesson_of
from optiloop.memory.under_way import UnderWay
from optiloop.model import HOLDOUT, Brief, Command, Cost, Experiment, Metric, Proposal, Spent, Status
from optiloop.sandbox import Outcome
from optiloop.stopping import Limits
from optiloop.targets import load_target
from optiloop.team import Team
from optiloop.testing import (
    TOY_EDITABLE,
    ScriptedProposer,
    brief_of,
    experiment_of,
    toy_text,
    write_toy_target,
)
from optiloop.verify import verified

PATIENCE = 60.0
"""Seconds after which what a test waits for is not coming."""
LINES = ("A=50", "B=30", "C=20")
SUM = "VALUE=$((A + B + C))"


def program(*lines: str) -> str:
    return "".join(f"{line}\n" for line in (*lines, SUM))


class Changes:
    """Proposes one line in the place of another, each once, in the champion of now."""

    name = "changes"

    def __init__(self, *changes: tuple[str, str]) -> None:
        self.changes = changes

    def propose(self, brief: Brief) -> Proposal | None:
        text = brief.source[TOY_EDITABLE]
        for old, new in self.changes:
            if f"{old}\n" in text and brief.recall.tagged(new) is None:
                return Proposal({TOY_EDITABLE: text.replace(old, new)}, new, self.name, tags=(new,))
        return None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A toy whose program has three lines and their sum, and a gate that takes a while."""
    made = write_toy_target(tmp_path / "toy", files={TOY_EDITABLE: program(*LINES)})
    gate = made / "gate.sh"
    gate.write_text(f"{gate.read_text()}sleep 0.2\n")
    return made


def ran(folder: Path, proposer: object, workers: int = 2, **limits: int) -> list[Experiment]:
    with Engine.opened(load_target(folder), proposer, sandbox="process") as engine:  # type: ignore[arg-type]
        found = list(Run(engine, Limits(**limits), workers=workers))
        assert found == log(folder)
        assert engine.workspace.tampered() == []
    assert not (home(folder) / "workers").exists()
    assert verified_whole(folder)
    return found


def home(folder: Path) -> Path:
    return folder / ".optiloop" / "toy"


def log(folder: Path) -> list[Experiment]:
    return list(Ledger(home(folder) / "experiments.jsonl").new())


def verified_whole(folder: Path) -> bool:
    """Each keep stands on the one before it, the branch ends with the last, samples give the verdicts."""
    with Engine.opened(load_target(folder), ScriptedProposer()) as engine:
        commits = [one.commit for one in log(folder) if one.commit]
        parents = [one.parent for one in log(folder) if one.commit]
        assert commits == engine.workspace.commits()
        assert parents == [engine.workspace.root_commit, *commits][: len(parents)]
        assert verified(engine).fault is None
    return True


def champion(folder: Path) -> str:
    with Engine.opened(load_target(folder), ScriptedProposer()) as engine:
        return engine.workspace.source()[TOY_EDITABLE]


def test_what_wins_side_by_side_is_kept_one_upon_the_other(folder: Path) -> None:
    found = ran(folder, Changes(("A=50", "A=40"), ("B=30", "B=20"), ("C=20", "C=10")), workers=3)
    assert [one.status for one in found] == [Status.KEEP] * 3
    assert champion(folder) == program("A=40", "B=20", "C=10")
    for one in found:
        assert one.measurement is not None
        assert one.effect is not None
        (pair,) = one.measurement.pairs
        assert pair.champion.values["score"] - pair.candidate.values["score"] == 10, "beside what it replaced"
    assert [one.measurement.pairs[0].champion.values["score"] for one in found if one.measurement] == [
        100,
        90,
        80,
    ]


def test_of_two_that_win_at_the_same_line_one_is_kept(folder: Path) -> None:
    found = ran(folder, Changes(("A=50", "A=40"), ("A=50", "A=30")))
    assert sorted(one.status for one in found) == [Status.DISCARD, Status.KEEP]
    assert next(one.reason for one in found if one.status is Status.DISCARD) == OVERTAKEN


def test_a_program_that_is_being_judged_is_judged_once(folder: Path) -> None:
    again = program("A=60", *LINES[1:])
    found = ran(folder, ScriptedProposer(again, again, program("A=70", *LINES[1:])))
    first = next(one for one in found if one.status is Status.DISCARD)
    (repeat,) = [one for one in found if one.status is Status.DUPLICATE]
    assert first.id in repeat.reason
    assert [one.status for one in found].count(Status.DISCARD) == 2


def test_no_more_is_begun_than_cycles_are_left(folder: Path) -> None:
    changes = [("A=50", f"A={number}") for number in range(60, 70)]
    assert len(ran(folder, Changes(*changes), workers=4, cycles=3)) == 3


def test_what_was_begun_is_finished(folder: Path) -> None:
    """A plateau is reached while another candidate is under way: its line is in the log all the same."""
    changes = [("A=50", f"A={number}") for number in range(60, 70)]
    assert len(ran(folder, Changes(*changes), workers=3, plateau=2)) in (3, 4)


def test_what_is_under_way_counts_as_spent(folder: Path) -> None:
    """Of three workers the third gets nothing that the limit does not allow."""
    dear = [
        Proposal({TOY_EDITABLE: program(f"A={n}", *LINES[1:])}, "", "x", cost=Cost(1.0)) for n in (60, 61, 62)
    ]

    class Frugal(ScriptedProposer):
        def propose(self, brief: Brief) -> Proposal | None:
            if brief.allowance.usd <= 0:
                raise AllowanceError("nothing left to spend")
            return super().propose(brief)

    assert len(ran(folder, Frugal(*dear), workers=3, usd=2)) == 2


def test_before_a_pause_what_is_under_way_is_finished(folder: Path) -> None:
    changes = Changes(*[("A=50", f"A={number}") for number in range(60, 66)])
    with Engine.opened(load_target(folder), changes, sandbox="process") as engine:
        run = iter(Run(engine, Limits(cycles=6), workers=3))
        next(run)
        steering.pause(home(folder))
        assert [next(run).status for _ in range(2)] == [Status.DISCARD] * 2
        steering.resume(home(folder))
        assert len(list(run)) == 3


def test_a_proposer_is_shown_the_champion(folder: Path) -> None:
    shown = []

    class Looks(Changes):
        def propose(self, brief: Brief) -> Proposal | None:
            shown.append((brief.folder / TOY_EDITABLE).read_text() == brief.source[TOY_EDITABLE])
            return super().propose(brief)

    ran(folder, Looks(("A=50", "A=40"), ("B=30", "B=20"), ("C=20", "C=10")))
    assert all(shown)
    assert len(shown) > 3


def test_a_proposal_that_waits_is_in_the_log_at_the_end(folder: Path) -> None:
    """It was paid for."""
    again = program("A=60", *LINES[1:])
    script = ScriptedProposer(again, again)
    with Engine.opened(load_target(folder), script, sandbox="process") as engine:
        engine.prepare()
        with Team(engine, 2) as team:
            assert team.cycle() is not None
            assert [one.status for one in team.drained()] == [Status.DUPLICATE]


def test_a_proposer_that_fails_ends_no_other(folder: Path) -> None:
    error = ProposerError("nothing said")
    found = ran(folder, ScriptedProposer(program("A=60", *LINES[1:]), error, program("A=61", *LINES[1:])))
    assert sorted(one.status for one in found) == [Status.DISCARD, Status.DISCARD, Status.NO_PROPOSAL]


def test_a_candidate_that_changes_its_judge_is_found_out(folder: Path) -> None:
    hostile = f"echo exit 0 > gate.sh\n{toy_text(1)}"
    found = ran(folder, ScriptedProposer(hostile, program("A=40", *LINES[1:])))
    by = {one.status: one for one in found}
    assert by[Status.VIOLATION].reason == "running it changed gate.sh"
    assert Status.KEEP in by, "the one beside it is not to blame"


def test_what_touches_the_log_spoils_all_that_run_beside_it(folder: Path) -> None:
    """Whose hand it was cannot be told at `process`, so no keep comes of it."""
    here, there = folder / "here", folder / "there"
    touch = f"echo '{{}}' >> {home(folder)}/experiments.jsonl"
    hostile = f"until [ -e {there} ]; do sleep 0.05; done\n{touch}\ntouch {here}\n{toy_text(1)}"
    beside = f"touch {there}\nuntil [ -e {here} ]; do sleep 0.05; done\n{program('A=40', *LINES[1:])}"
    found = ran(folder, ScriptedProposer(hostile, beside))
    assert [one.status for one in found] == [Status.VIOLATION] * 2
    assert "experiments.jsonl" in found[0].reason


def test_who_comes_after_is_not_to_blame(folder: Path) -> None:
    hostile = f"echo '{{}}' >> {home(folder)}/experiments.jsonl\n{toy_text(1)}"
    later = [program(f"A={number}", *LINES[1:]) for number in range(60, 64)]
    found = ran(folder, ScriptedProposer(hostile, *later))
    assert [one.status for one in found].count(Status.VIOLATION) <= 2
    assert [one.status for one in found].count(Status.DISCARD) >= 3


def test_what_is_done_while_a_proposer_thinks_is_found_out(folder: Path) -> None:
    """The branch is put back before anything is built on it."""
    repository = home(folder) / "repository.git"
    git = f"git --git-dir={repository} -c user.name=x -c user.email=x@x"
    forged = f"$({git} commit-tree -m forged optiloop/toy^{{tree}})"
    hostile = (
        f"{git} update-ref refs/heads/optiloop/toy {forged}\necho > {home(folder)}/claim.json\n{toy_text(1)}"
    )

    class Slow(ScriptedProposer):
        def propose(self, brief: Brief) -> Proposal | None:
            if brief.recall.spent(self.ORIGIN).experiments == 1:
                wait_until((home(folder) / "claim.json").exists)
            return super().propose(brief)

    found = ran(folder, Slow(hostile, program("A=40", *LINES[1:])))
    assert found[0].status is Status.VIOLATION
    assert "branch optiloop/toy" in found[0].reason


def test_a_candidate_that_moves_the_branch_is_found_out(folder: Path) -> None:
    repository = home(folder) / "repository.git"
    hostile = f"git --git-dir={repository} update-ref -d refs/heads/optiloop/toy\n{toy_text(1)}"
    found = ran(folder, ScriptedProposer(hostile, program("A=60", *LINES[1:])))
    assert any(one.status is Status.VIOLATION and "branch optiloop/toy" in one.reason for one in found)


def test_a_candidate_that_kills_its_worker_has_crashed(folder: Path) -> None:
    found = ran(folder, ScriptedProposer(f"kill -9 $PPID\n{toy_text(1)}", program("A=40", *LINES[1:])))
    by = {one.status: one for one in found}
    assert by[Status.CRASH].reason == "its worker ended with exit code -9"
    assert Status.KEEP in by


def test_the_hold_out_is_asked_no_more_often_than_it_may(folder: Path) -> None:
    toml = folder / "target.toml"
    toml.write_text(f'{toml.read_text()}\n[holdout]\ncommand = "sh gate.sh"\npeeks = 2\n')
    found = ran(folder, Changes(("A=50", "A=40"), ("B=30", "B=20"), ("C=20", "C=10")), workers=3)
    asked = [gate for one in found for gate in one.gates if gate.name == HOLDOUT]
    assert len(asked) == 2
    assert [one.status for one in found] == [Status.KEEP, Status.KEEP, Status.GATE_FAILED]
    assert found[2].reason == HOLDOUT_SPENT


def test_what_is_timed_runs_alone(tmp_path: Path) -> None:
    course = tmp_path / "course"
    score = (
        f". ./value.sh\necho begin >> {course}\nsleep 0.02\necho end >> {course}\necho METRIC score=$VALUE\n"
    )
    folder = write_toy_target(tmp_path / "toy", score=score, metric='noise = "timing"\n')
    script = ScriptedProposer(*map(toy_text, (130, 140, 150)))
    with Engine.opened(load_target(folder), script, sandbox="process") as engine:
        engine.prepare()
        course.unlink()
        with Team(engine, 3) as team:
            assert len(list(iter(team.cycle, None))) == 3
    said = course.read_text().split()
    assert said == ["begin", "end"] * (len(said) // 2)
    assert len(said) > 6


def test_a_target_that_is_a_function_has_no_workers(folder: Path) -> None:
    class Called:
        level = "function"

        def run(self, *words: object, **more: object) -> Outcome:
            raise AssertionError("not called")

    with (
        Engine.opened(load_target(folder), ScriptedProposer(), sandbox=Called()) as engine,
        pytest.raises(UsageError, match="sandbox"),
    ):
        Team(engine, 2)


# --- killed, interrupted ---------------------------------------------------------------------------------


def begun(folder: Path) -> subprocess.Popen[bytes]:
    """A run as a process, whose candidates hang, once two of them do."""
    hang = f"echo $$ > {folder}/pid-$$\nsleep 6543\n"
    lines = [f'{{"edits": {{"{TOY_EDITABLE}": {quoted(f"# {n}{chr(10)}{hang}")}}}}}' for n in range(4)]
    (folder / "script.jsonl").write_text("\n".join(lines) + "\n")
    words = (sys.executable, "-m", "optiloop", "run", str(folder), "--workers", "2", "--sandbox", "process")
    run = subprocess.Popen(
        (*words, "--proposer", f"replay:{folder / 'script.jsonl'}"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    wait_until(lambda: len(list(folder.glob("pid-*"))) == 2 or run.poll() is not None)
    assert run.poll() is None, run.stderr and run.stderr.read()
    return run


def quoted(text: str) -> str:
    return '"' + text.replace("\n", "\\n").replace('"', '\\"') + '"'


def wait_until(true: object) -> None:
    assert callable(true)
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def pids(folder: Path) -> Iterable[int]:
    return [int(path.name.removeprefix("pid-")) for path in folder.glob("pid-*")]


def is_there(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells who is there")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_however_it_ends_its_workers_and_candidates_end_too(folder: Path, number: signal.Signals) -> None:
    run = begun(folder)
    workers = [int(pid) for pid in Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()]
    run.send_signal(number)
    assert run.wait(PATIENCE) == (-9 if number is signal.SIGKILL else 130)
    wait_until(lambda: not any(map(is_there, (*workers, *pids(folder)))))
    assert log(folder) == [], "nothing of them was finished"
    assert (home(folder) / "workers").exists() is (number is signal.SIGKILL)
    (folder / "script.jsonl").unlink()
    assert [one.status for one in ran(folder, Changes(("A=50", "A=40")))] == [Status.KEEP]


# --- what a proposer is told -----------------------------------------------------------------------------


def test_what_is_under_way_counts_as_tried() -> None:
    metric = Metric("score", Command("true"))
    history = History(metric)
    source = {"a.py": "def f():\n    return 1\n"}
    after = {"a.py": "def f():\n    return 2\n"}
    proposal = Proposal(after, "two", "me", "family", ("tag",))
    experiment = experiment_of(proposal, source)
    told = UnderWay(history, (lesson_of(experiment, "score", None),))
    assert told.tagged("tag") == told.change(experiment.change or "") == told.pending[0]
    assert told.result(experiment.result or "") is told.pending[0]
    assert told.kin(source, after).refused
    assert not told.kin(source, {"a.py": "def f():\n    return 3\n"}).refused
    assert told.spent("me") == told.spent("me", "family") == told.spent_at("a.py::f") == Spent(experiments=1)
    assert told.spent("me", "other") == told.spent_at("b.py") == Spent()
    assert told.at("a.py", 5) == told.tries("a.py::f", "family", 5) == told.pending
    assert told.families("a.py::f") == {"family": Spent(experiments=1)}
    assert told.latest(5) == told.keeps(5) == () == told.notes("a.py")
    assert replace(brief_of(source), recall=told).recall.diff(experiment.id) == ""
    assert os.path.basename(told.pending[0].places[0]) == "a.py::f"
