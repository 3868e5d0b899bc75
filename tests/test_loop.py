"""The engine on real targets with scripted proposals: each ending by its own reason, and nothing lost."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from optiloop.decide import rule_of
from optiloop.errors import LedgerError, ProposerError, TargetError, WorkspaceError
from optiloop.ledger import Ledger
from optiloop.loop import Engine
from optiloop.model import Brief, Cost, Direction, Experiment, Policy, Proposal, Proposer, Status, Target
from optiloop.proposers.replay import Replay
from optiloop.record import decode
from optiloop.report.redecide import redecided
from optiloop.report.summary import proof
from optiloop.state import read_campaign
from optiloop.targets import load_target
from optiloop.testing import TOY_EDITABLE, TOY_SCORE, ScriptedProposer, toy_text, write_toy_target
from optiloop.untrusted import fenced
from optiloop.verify import verified

Script = str | Proposal | ProposerError
MAXIMISE = 'noise = "deterministic"\nmin_effect = 0.0\ndirection = "maximize"\n'
TIMING = 'noise = "timing"\n'
FIELDS = (
    *(
        "status",
        "reason",
        "origin",
        "hypothesis",
        "result",
        "change",
        "diff",
        "effect",
        "interval",
        "evidence",
    ),
    *("seed", "tags"),
)
"""What two runs of the same experiments must agree in."""


class Toy:
    """The toy target in a folder, and its campaign."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / ".optiloop" / "toy"

    @property
    def target(self) -> Target:
        return load_target(self.folder)

    def run(self, *script: Script) -> list[Experiment]:
        """Run a script to its end; entries whose experiment stands in the log are not run again."""
        return self.run_proposer(ScriptedProposer(*script))

    def run_proposer(self, proposer: Proposer, cycles: int | None = None) -> list[Experiment]:
        # What these candidates try, `bwrap` would not let them: the loop must find it out all the same.
        with Engine.opened(self.target, proposer, sandbox="process") as engine:
            engine.prepare()
            found: list[Experiment] = []
            while cycles is None or len(found) < cycles:
                experiment = engine.cycle()
                if experiment is None:
                    break
                found.append(experiment)
            return found

    def one(self, entry: Script) -> Experiment:
        """Run one candidate; whatever it was, the next start finds all in order."""
        (found,) = self.run(entry)
        assert self.log()[-1] == found
        with Engine.opened(self.target, ScriptedProposer()) as engine:
            assert engine.workspace.tampered() == []
            assert engine.workspace.head() == (found.commit or engine.workspace.root_commit)
        return found

    def opened(self) -> AbstractContextManager[Engine]:
        return Engine.opened(self.target, ScriptedProposer())

    def log(self) -> list[Experiment]:
        return list(Ledger(self.home / "experiments.jsonl").new())

    def champion(self) -> str:
        with Engine.opened(self.target, ScriptedProposer()) as engine:
            return engine.workspace.source()[TOY_EDITABLE]


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(write_toy_target(tmp_path / "toy"))


def agreed(experiments: list[Experiment]) -> list[tuple[object, ...]]:
    numbers = {experiment.id: f"#{number}" for number, experiment in enumerate(experiments)}

    def without_ids(value: object) -> object:
        return (
            re.sub(r"[0-9A-Z]{26}", lambda match: numbers[match[0]], value)
            if isinstance(value, str)
            else value
        )

    return [tuple(without_ids(getattr(found, name)) for name in FIELDS) for found in experiments]


# --- each ending by its own reason -------------------------------------------------------------------


def test_a_better_candidate_is_kept(toy: Toy) -> None:
    found = toy.one(toy_text(90))
    assert (found.status, found.reason) == (Status.KEEP, "better: 100.0 -> 90.0, twice")
    assert found.effect == pytest.approx(100 / 90)
    assert found.commit
    assert toy.champion() == toy_text(90)
    assert (toy.folder / TOY_EDITABLE).read_text() == toy_text(100), "the user's file is the user's"


@pytest.mark.parametrize(("value", "why"), [(100.0, "equal"), (110, "worse")])
def test_what_is_not_better_is_discarded(toy: Toy, value: float, why: str) -> None:
    found = toy.one(f"{toy_text(value)}# another program\n")
    assert found.status is Status.DISCARD
    assert found.reason.startswith(why)
    assert found.commit is None
    assert toy.champion() == toy_text(100)


def test_a_failing_gate_ends_it(toy: Toy) -> None:
    found = toy.one("VALUE=fast\n")
    assert (found.status, found.reason) == (Status.GATE_FAILED, "digits: exit 1: not a number: fast")
    assert found.measurement is None
    assert [gate.passed for gate in found.gates] == [False]
    assert "not a number" in (toy.home / "artifacts" / found.id / "digits.txt").read_text()


def test_the_champion_is_a_duplicate_of_itself(toy: Toy) -> None:
    found = toy.one(toy_text(100))
    assert (found.status, found.reason) == (Status.DUPLICATE, "no change: this is the champion")
    assert found.gates == ()


def test_a_program_that_ran_is_not_run_again(toy: Toy) -> None:
    first, again, worded = toy.run(toy_text(110), toy_text(110), f"{toy_text(110)}  \n")
    assert again.status is Status.DUPLICATE
    assert first.id in again.reason
    assert worded.status is Status.DUPLICATE, "space at the end is no other program"
    assert again.measurement is None


@pytest.mark.parametrize("earlier", ["VALUE=x\n", "exit 1\n", "VALUE=1; echo >> gate.sh\n"])
def test_what_failed_is_not_run_again_either(toy: Toy, earlier: str) -> None:
    first, again = toy.run(earlier, earlier)
    assert first.status in (Status.GATE_FAILED, Status.VIOLATION)
    assert again.status is Status.DUPLICATE


def test_a_proposer_that_fails_is_logged_with_its_cost(toy: Toy) -> None:
    found = toy.one(ProposerError("no answer", Cost(0.5, 100)))
    assert (found.status, found.reason) == (Status.NO_PROPOSAL, "no answer")
    assert found.cost == Cost(0.5, 100)
    assert found.result is None


def test_nothing_left_to_propose_is_no_experiment(toy: Toy) -> None:
    assert toy.run() == []
    assert toy.log() == []


def test_a_reviewer_may_decline(toy: Toy) -> None:
    seen: list[str] = []

    def review(proposal: Proposal, diff: str) -> bool:
        seen.append(diff)
        return False

    with Engine.opened(toy.target, ScriptedProposer(toy_text(90), toy_text(90)), review=review) as engine:
        engine.prepare()
        first, again = engine.cycles()
    assert (first.status, first.reason) == (Status.DISCARD, "declined")
    assert again.status is Status.DUPLICATE, "and is not asked twice"
    assert len(seen) == 1
    assert "+VALUE=90" in seen[0]


# --- no number, no keep ------------------------------------------------------------------------------

NO_NUMBER = {
    "nothing": ("VALUE=1; exit 0\n", "no 'score'"),
    "a NaN": ("VALUE=1; echo METRIC score=nan; exit 0\n", "not a finite number"),
    "infinity": ("VALUE=1; echo METRIC score=-inf; exit 0\n", "not a finite number"),
    "twice": ("VALUE=1; echo METRIC score=0\n", "given 2 times"),
    "another name": ("VALUE=1; echo METRIC scores=1; exit 0\n", "no 'score'"),
    "an error": ("VALUE=1; echo METRIC score=1; echo why >&2; exit 9\n", "exit 9: why"),
    "a signal": ("VALUE=1; echo METRIC score=1; kill -9 $$\n", "killed by SIGKILL"),
}


@pytest.mark.parametrize("name", NO_NUMBER)
def test_a_candidate_without_a_number_crashes(tmp_path: Path, name: str) -> None:
    text, reason = NO_NUMBER[name]
    toy = Toy(write_toy_target(tmp_path / "toy", files={"gate.sh": "exit 0\n"}))
    found = toy.one(text)
    assert found.status is Status.CRASH
    assert reason in found.reason
    assert found.effect is None
    assert "metric.txt" in {path.name for path in (toy.home / "artifacts" / found.id).iterdir()}


@pytest.mark.parametrize("where", ["gate", "metric"])
def test_a_candidate_that_never_ends_is_ended(tmp_path: Path, where: str) -> None:
    toy = Toy(write_toy_target(tmp_path / "toy", metric='noise = "deterministic"\ntimeout = "0.3s"\n'))
    toml = toy.folder / "target.toml"
    toml.write_text(toml.read_text().replace('timeout = "10s"', 'timeout = "0.3s"'))
    if where == "metric":
        (toy.folder / "gate.sh").write_text("exit 0\n")
    found = toy.one("trap '' TERM; VALUE=1; sleep 99; sleep 99\n")
    assert found.status is (Status.GATE_FAILED if where == "gate" else Status.CRASH)
    assert "killed at its limit of 0.3 s" in found.reason


def test_a_number_that_is_another_the_second_time_is_no_proof(toy: Toy) -> None:
    found = toy.one('VALUE=$(cat $HOME/../count 2>/dev/null || echo 9); echo "${VALUE}0" > $HOME/../count\n')
    assert found.status is Status.CRASH
    assert "not deterministic" in found.reason


RESULT_FILES = {
    "none": ("VALUE=1\nrm -f out.json\nexit 0\n", "no result file"),
    "a pipe": ("VALUE=1\nrm -f out.json; mkfifo out.json\nexit 0\n", "no result file"),
    "a folder": ('[ -n "$OPTILOOP_SEED" ] && mkdir out.json\nVALUE=1\nexit 0\n', "no result file"),
    "a link to nowhere": ("VALUE=1\nln -sf nowhere out.json\nexit 0\n", "no result file"),
    "an endless one": ("VALUE=1\nln -sf /dev/zero out.json\nexit 0\n", "no result file"),
    "an empty one": ("VALUE=1\n: > out.json\nexit 0\n", "not a JSON document"),
    "an earlier one": (
        'VALUE=1\n[ -n "$OPTILOOP_SEED" ] || echo \'{"score": 1}\' > out.json\nexit 0\n',
        "no result",
    ),
}


@pytest.mark.parametrize("name", RESULT_FILES)
def test_a_result_file_is_this_run_s_own_and_a_file(tmp_path: Path, name: str) -> None:
    text, reason = RESULT_FILES[name]
    toy = Toy(
        write_toy_target(
            tmp_path / "toy",
            metric='noise = "deterministic"\nparser = "json"\nfile = "out.json"\n',
            score='. ./value.sh\necho "{\\"score\\": $VALUE}" > out.json\n',
            files={"gate.sh": "(. ./value.sh)\nexit 0\n"},
        )
    )
    found = toy.one(text)
    assert found.status is Status.CRASH
    assert reason in found.reason


def test_a_folder_left_where_the_result_file_should_be(tmp_path: Path) -> None:
    """The metric's run fails on it, and must not end the loop."""
    toy = Toy(
        write_toy_target(
            tmp_path / "toy",
            metric='noise = "deterministic"\nparser = "json"\nfile = "out.json"\n',
            score='. ./value.sh\necho "{\\"score\\": $VALUE}" > out.json\n',
            files={"gate.sh": "(. ./value.sh)\nexit 0\n"},
        )
    )
    found = toy.one("mkdir -p out.json/x\nVALUE=1\n")
    assert found.status is Status.CRASH
    assert "out.json" in found.reason


@pytest.mark.parametrize("value", ["1.7e308", "-1.7e308"])
def test_secondary_numbers_at_the_edge_do_not_end_the_loop(tmp_path: Path, value: str) -> None:
    toy = Toy(write_toy_target(tmp_path / "toy", metric=TIMING))
    (toy.folder / "score.sh").write_text(f'{TOY_SCORE}echo "METRIC other=${{OTHER:-1}}"\n')
    found = toy.one(f"VALUE=90\nOTHER={value}\n")
    assert found.status is Status.KEEP


@pytest.mark.parametrize("value", ["1e308", "1e-308", "0", "-5"])
def test_deciding_numbers_at_the_edge_do_not_end_the_loop(tmp_path: Path, value: str) -> None:
    for name, metric in (("down", TIMING), ("up", f'{TIMING}direction = "maximize"\n')):
        toy = Toy(write_toy_target(tmp_path / name, metric=metric, files={"gate.sh": "exit 0\n"}))
        found = toy.one(f"VALUE={value}\n")
        better = {"1e308": name == "up", "1e-308": name == "down"}
        assert found.status is (
            Status.CRASH if value not in better else Status.KEEP if better[value] else Status.DISCARD
        )
        if found.status is Status.KEEP:
            with Engine.opened(toy.target, ScriptedProposer()) as engine:
                assert (engine.claim().ratio is None) == (value == "1e-308"), "1e310 is no number"


# --- what a candidate must not -----------------------------------------------------------------------

VIOLATIONS = {
    "the gate": ("echo exit 0 > gate.sh\nVALUE=90\n", "gate.sh"),
    "the benchmark": ("echo echo METRIC score=1 > score.sh\nVALUE=90\n", "score.sh"),
    "the definition": ("echo >> target.toml\nVALUE=90\n", "target.toml"),
    "its own text": ("echo VALUE=1 > value.sh\nVALUE=90\n", "value.sh"),
    "the champion": ("echo VALUE=9999 > ../base/value.sh\nVALUE=90\n", "value.sh"),
    "the champion's judge": ("echo >> ../base/score.sh\nVALUE=90\n", "score.sh"),
    "the judge, removed": ("rm -f gate.sh\nVALUE=90\n", "gate.sh"),
    "git's file": ("echo gitdir: nowhere > .git\nVALUE=90\n", ".git"),
    "the judge, and then it fails": ("echo exit 0 > gate.sh\nVALUE=x\n", "gate.sh"),
    "the judge, while measured": ('[ -n "$OPTILOOP_SEED" ] && echo >> gate.sh\nVALUE=90\n', "gate.sh"),
    "the judge, the last time": (
        'C=$HOME/../count; [ -n "$OPTILOOP_SEED" ] && echo >> $C && [ $(wc -l < $C) = 2 ] && '
        "echo >> gate.sh\nVALUE=90\n",
        "gate.sh",
    ),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_candidate_that_touches_what_it_must_not(toy: Toy, name: str) -> None:
    text, file = VIOLATIONS[name]
    found = toy.one(text)
    assert found.status is Status.VIOLATION
    assert found.reason == f"running it changed {file}"
    kept = toy.run(text, toy_text(90))[-1]
    assert kept.status is Status.KEEP, "and the next candidate finds all as it was"
    assert kept.measurement is not None
    assert kept.measurement.pairs[0].champion.values == {"score": 100}


def test_a_forged_champion_is_not_learnt_from(tmp_path: Path) -> None:
    toy = Toy(write_toy_target(tmp_path / "toy", metric=TIMING))
    text = '[ -n "$OPTILOOP_SEED" ] && echo VALUE=9999 > ../base/value.sh\nVALUE=90\n'
    with Engine.opened(toy.target, ScriptedProposer(text), sandbox="process") as engine:
        engine.prepare()
        assert [experiment.status for experiment in engine.cycles()] == [Status.VIOLATION]
        assert engine.history().champion is None


def test_a_champion_that_fails_is_named_as_such(tmp_path: Path) -> None:
    """Also where it was the candidate that made it fail; no keep comes of it."""
    score = f"case $PWD in */base) [ -e $HOME/../broken ] && exit 3;; esac\n{TOY_SCORE}"
    toy = Toy(write_toy_target(tmp_path / "toy", metric=TIMING, score=score))
    found = toy.one(": > $HOME/../broken\nVALUE=90\n")
    assert found.status is Status.CRASH
    assert found.reason == "the champion's own run: /bin/sh score.sh: exit 3"
    assert toy.run(toy_text(91), toy_text(80))[-1].status is Status.KEEP


@pytest.mark.parametrize(
    ("edits", "reason"),
    [
        ({}, "edits nothing"),
        ({"gate.sh": "exit 0\n"}, "'gate.sh' is not editable"),
        ({"../value.sh": "VALUE=1\n"}, "'../value.sh' is not editable"),
        ({"/etc/passwd": ""}, "'/etc/passwd' is not editable"),
        ({TOY_EDITABLE: "VALUE=1\n", "gate.sh": "exit 0\n"}, "'gate.sh' is not editable"),
        ({TOY_EDITABLE: "VALUE=\ud800\n"}, "is not UTF-8"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_a_proposal_outside_its_bounds(toy: Toy, edits: dict[str, str], reason: str) -> None:
    found = toy.one(Proposal(edits, "greedy", "test"))
    assert found.status is Status.VIOLATION
    assert reason in found.reason
    assert found.gates == ()


def test_more_files_than_allowed(tmp_path: Path) -> None:
    folder = write_toy_target(tmp_path / "toy", files={"other.sh": "1\n"})
    toml = folder / "target.toml"
    toml.write_text(toml.read_text().replace(f'["{TOY_EDITABLE}"]', f'["{TOY_EDITABLE}", "other.sh"]'))
    both = Proposal({TOY_EDITABLE: toy_text(90), "other.sh": "2\n"}, "two files", "test")
    toy = Toy(folder)
    found = toy.one(both)
    assert (found.status, found.reason) == (Status.VIOLATION, "edits 2 files; files_per_change is 1")
    toml.write_text(f"files_per_change = 2\n{toml.read_text()}")
    assert toy.run(both, both)[-1].status is Status.KEEP


def test_a_proposer_may_work_in_its_folder(toy: Toy) -> None:
    """The trial is lent to it: what it leaves there is neither judged nor counted against its proposal."""

    class Agent(ScriptedProposer):
        def propose(self, brief: Brief) -> Proposal | None:
            (brief.folder / "gate.sh").write_text("exit 1\n")
            (brief.folder / TOY_EDITABLE).write_text("VALUE=1\n")
            (brief.folder / "notes.txt").write_text("thinking\n")
            return super().propose(brief)

    found = toy.run_proposer(Agent(toy_text(90), toy_text(95)))
    assert [one.status for one in found] == [Status.KEEP, Status.DISCARD]
    assert toy.champion() == toy_text(90)


@pytest.mark.parametrize(
    "words", ["nul \0 in it", "lone \ud800", "two\n\nlines\n", "x" * 100_000, "\x1b[31m", ""]
)
def test_a_proposer_may_say_anything(toy: Toy, words: str) -> None:
    """What it says goes into the log and a commit message; neither may end the loop."""
    said = Proposal({TOY_EDITABLE: toy_text(90)}, words, "test", words, (words,))
    found = toy.one(said)
    assert found.status is Status.KEEP
    assert (found.hypothesis, found.family, found.tags) == (words, words, (words,))
    with Engine.opened(toy.target, ScriptedProposer()) as engine:
        message = engine.workspace.message(found.commit or "")
    assert decode(message.encode().splitlines()[-1]) == replace(found, commit=None, previous="")


# --- hold-out and guards -----------------------------------------------------------------------------

HELD_OUT = '[holdout]\ncommand = ["/bin/sh", "holdout.sh"]\n'
SECRET = '. ./value.sh\n[ "$VALUE" = 100.0 ] || [ "$VALUE" = 90 ] || { echo "the secret case 42"; exit 7; }\n'


def test_a_failing_hold_out_tells_one_bit(tmp_path: Path) -> None:
    toy = Toy(write_toy_target(tmp_path / "toy", value=100.0, more=HELD_OUT, files={"holdout.sh": SECRET}))
    found = toy.one(toy_text(80))
    assert (found.status, found.reason) == (Status.GATE_FAILED, "hold-out: failed")
    assert [(gate.name, gate.passed, gate.reason) for gate in found.gates] == [
        ("digits", True, ""),
        ("hold-out", False, "failed"),
    ]
    assert b"secret" not in (toy.home / "experiments.jsonl").read_bytes()
    assert toy.champion() == toy_text(100.0)


def test_a_passing_hold_out_keeps(tmp_path: Path) -> None:
    toy = Toy(write_toy_target(tmp_path / "toy", value=100.0, more=HELD_OUT, files={"holdout.sh": SECRET}))
    found = toy.one(toy_text(90))
    assert found.status is Status.KEEP
    assert [gate.name for gate in found.gates] == ["digits", "hold-out"]


def test_the_hold_out_is_asked_only_before_a_keep(tmp_path: Path) -> None:
    files = {"holdout.sh": 'echo asked >> "$ASKED"\n'}
    asked = tmp_path / "asked"
    more = f'{HELD_OUT}env = {{ASKED = "{asked}"}}\n'
    toy = Toy(write_toy_target(tmp_path / "toy", more=more, files=files))
    toy.run(toy_text(110), "VALUE=x\n")
    before = asked.read_text()
    toy.run(toy_text(110), "VALUE=x\n", toy_text(90))
    assert asked.read_text() == before + "asked\n"


def test_a_candidate_that_touches_the_judge_in_the_hold_out(tmp_path: Path) -> None:
    files = {"holdout.sh": "HOLDOUT=1; . ./value.sh\n"}
    toy = Toy(write_toy_target(tmp_path / "toy", more=HELD_OUT, files=files))
    found = toy.one('[ -n "$HOLDOUT" ] && echo >> gate.sh\nVALUE=90\n')
    assert (found.status, found.reason) == (Status.VIOLATION, "running it changed gate.sh")


UNSEEN = 'for f in holdout.sh answers/1; do [ ! -e $f ] || { echo "it sees $f" >&2; exit 1; }; done\n'


def test_the_hold_out_lies_nowhere_but_while_it_runs(tmp_path: Path) -> None:
    """Not in the worktrees of gate, metric and diagnosis, nor in the folder that proposers are given."""
    held = (
        '[holdout]\ncommand = ["/bin/sh", "holdout.sh"]\nfiles = ["holdout.sh", "answers"]\n'
        '[diagnose]\ncommand = "ls"\n'
    )
    files = {"gate.sh": UNSEEN, "holdout.sh": ". ./value.sh\ncat answers/1\n"}
    folder = write_toy_target(tmp_path / "toy", score=UNSEEN + TOY_SCORE, more=held, files=files)
    (folder / "answers").mkdir()
    (folder / "answers" / "1").write_text("42")
    seen: list[str] = []

    class Looking(ScriptedProposer):
        def propose(self, brief: Brief) -> Proposal | None:
            seen.extend((brief.diagnosis, *map(str, brief.folder.rglob("*"))))
            return super().propose(brief)

    toy = Toy(folder)
    found = toy.run_proposer(Looking(toy_text(90), toy_text(80)))
    assert [e.status for e in found] == [Status.KEEP, Status.KEEP]
    assert seen
    assert not [name for name in seen if "holdout" in name or "answers" in name]
    assert not (toy.home / "trial" / "holdout.sh").exists()
    (folder / "answers" / "1").write_text("43")
    with pytest.raises(WorkspaceError, match=r"answers/1 changed since"), toy.opened() as engine:
        engine.notes()


def test_what_a_hold_out_says_is_kept_nowhere(tmp_path: Path) -> None:
    files = {"holdout.sh": ". ./value.sh\n[ $VALUE = 100.0 ] || { echo 'secret 42'; exit 1; }\n"}
    toy = Toy(write_toy_target(tmp_path / "toy", value=100.0, more=HELD_OUT, files=files))
    assert toy.one(toy_text(90)).status is Status.GATE_FAILED
    assert not [file for file in toy.home.rglob("*") if file.is_file() and b"secret" in file.read_bytes()]


def test_a_hold_out_answers_only_so_often(tmp_path: Path) -> None:
    more = f"{HELD_OUT}peeks = 2\n"
    toy = Toy(write_toy_target(tmp_path / "toy", more=more, files={"holdout.sh": "exit 0\n"}))
    found = toy.run(toy_text(90), toy_text(110), toy_text(80), toy_text(70))
    assert [e.status for e in found] == [Status.KEEP, Status.DISCARD, Status.KEEP, Status.GATE_FAILED]
    assert found[-1].reason.startswith("the hold-out has given all its answers")
    assert [gate.name for gate in found[-1].gates] == ["digits"]
    toml = toy.folder / "target.toml"
    toml.write_text(toml.read_text().replace("peeks = 2", "peeks = 9"))
    script = (toy_text(90), toy_text(110), toy_text(80), toy_text(70), toy_text(70))
    assert [e.status for e in toy.run(*script)] == [Status.KEEP]


AROUND = {
    "the log": ("experiments.jsonl", "echo '{}' >> LOG/experiments.jsonl"),
    "the log's first line": ("experiments.jsonl", "printf x | dd of=LOG/experiments.jsonl conv=notrunc 2>&1"),
    "the baseline": ("baseline.json", "rm LOG/baseline.json"),
    "git's configuration": ("config", "printf '[core]\\npager = sh\\n' >> LOG/repository.git/config"),
    "a hook": ("post-checkout", "echo 'exit 0' > LOG/repository.git/hooks/post-checkout"),
}


@pytest.mark.parametrize("name", AROUND)
def test_a_candidate_that_touches_what_lies_around(toy: Toy, name: str) -> None:
    """At `process` it can; it is found out all the same."""
    file, line = AROUND[name]
    toy.one(toy_text(110))
    script = (toy_text(110), f"{line.replace('LOG', str(toy.home))}\nVALUE=90\n")
    found = toy.run(*script)
    assert [(e.status, e.reason) for e in found] == [(Status.VIOLATION, f"running it changed {file}")]


def test_what_the_user_says_meanwhile_is_no_violation(toy: Toy) -> None:
    line = f'echo \'{{"paused": true, "note": ""}}\' > {toy.home}/steering.json'
    assert toy.one(f"{line}\nVALUE=90\n").status is Status.KEEP


# --- a second look at a jump ---------------------------------------------------------------------------


def cheap_at_first(tmp_path: Path, runs: int) -> str:
    """A candidate that counts its runs in a file, and is ten times better in the first of them."""
    count = tmp_path / "count"
    return (
        f"N=$(cat {count} 2>/dev/null || echo 0)\necho $((N + 1)) > {count}\n"
        f"VALUE=100\n[ $N -lt {runs} ] && VALUE=10 || true\n"
    )


def test_a_jump_that_a_second_look_does_not_show_is_discarded(tmp_path: Path) -> None:
    """Gate, sample and confirmation see the cheap value: what was decided so far would be a keep."""
    toy = Toy(write_toy_target(tmp_path / "toy", value=100.0))
    found = toy.one(cheap_at_first(tmp_path, 3))
    assert found.status is Status.DISCARD
    assert found.reason == "audit: 10x at first, 1x in 2 pairs on other inputs and cores"
    measured = found.measurement
    assert measured is not None
    assert measured.pairs[0].candidate.values == {"score": 10.0}
    assert [pair.candidate.values for pair in measured.audit] == [{"score": 100.0}] * 2
    (again,) = redecided([found], toy.target)
    assert again.same
    (unaudited,) = redecided([found], toy.target, rule_of(replace(toy.target, policy=Policy(audit=99))))
    assert unaudited.verdict is not None
    assert unaudited.verdict.kept


def test_a_jump_that_holds_is_kept_and_verified(tmp_path: Path) -> None:
    score = f'{TOY_SCORE}echo "seed $OPTILOOP_SEED" >> "$SEEDS"\n'
    seeds = tmp_path / "seeds"
    metric = f'noise = "deterministic"\nmin_effect = 0.0\nenv = {{SEEDS = "{seeds}"}}\n'
    toy = Toy(write_toy_target(tmp_path / "toy", value=100.0, score=score, metric=metric))
    found = toy.one(toy_text(1))
    assert (found.status, found.effect) == (Status.KEEP, 100.0)
    assert found.reason == "better: 100.0 -> 1.0, twice; audited: 100x in 2 pairs on other inputs and cores"
    assert len(set(seeds.read_text().splitlines())) == 3, (
        "0 for what decides, two new ones for the second look"
    )
    with toy.opened() as engine:
        assert verified(engine).fault is None


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_the_second_look_is_on_either_half_of_the_cores(tmp_path: Path) -> None:
    cores = tmp_path / "cores"
    score = f"{TOY_SCORE}grep Cpus_allowed_list /proc/self/status >> {cores}\n"
    toy = Toy(write_toy_target(tmp_path / "toy", value=100.0, score=score))
    before = os.sched_getaffinity(0)
    toy.one(toy_text(1))
    assert len(set(cores.read_text().splitlines())) == 3
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize(("mb", "status"), [(10, Status.KEEP), (11, Status.KEEP), (12, Status.DISCARD)])
def test_a_guard(tmp_path: Path, mb: float, status: Status) -> None:
    score = f'{TOY_SCORE}echo "METRIC mb=${{MB:-10}}"\n'
    more = '[[guard]]\nmetric = "mb"\nmax_ratio = 1.1\n'
    toy = Toy(write_toy_target(tmp_path / "toy", score=score, more=more))
    found = toy.one(f"VALUE=90\nMB={mb}\n")
    assert found.status is status
    if status is Status.DISCARD:
        assert found.reason.startswith("guard mb: 10 -> 12")


def test_a_guard_that_is_not_given_is_a_crash(tmp_path: Path) -> None:
    score = f'{TOY_SCORE}[ -n "$NO_MB" ] || echo "METRIC mb=10"\n'
    more = '[[guard]]\nmetric = "mb"\nmax_ratio = 1.1\n'
    toy = Toy(write_toy_target(tmp_path / "toy", score=score, more=more))
    found = toy.one("VALUE=90\nNO_MB=1\n")
    assert found.status is Status.CRASH
    assert "gave no 'mb'" in found.reason


# --- directions and noise ----------------------------------------------------------------------------


def test_maximise(tmp_path: Path) -> None:
    toy = Toy(write_toy_target(tmp_path / "toy", metric=MAXIMISE))
    assert toy.target.metric.direction is Direction.MAXIMIZE
    down, up = toy.run(toy_text(90), toy_text(110))
    assert (down.status, up.status) == (Status.DISCARD, Status.KEEP)
    assert up.effect == pytest.approx(1.1)
    with Engine.opened(toy.target, ScriptedProposer()) as engine:
        assert engine.claim().ratio == pytest.approx(1.1)


def test_a_zero_is_a_number(toy: Toy) -> None:
    """A champion of 0.0 is told to proposers as 0.0, not as unknown and not as the baseline."""
    told: list[float | None] = []

    class Asking:
        def propose(self, brief: Brief) -> Proposal | None:
            told.append(brief.champion)
            script = (toy_text(0), toy_text(-5))
            if len(told) > len(script):
                return None
            return Proposal({TOY_EDITABLE: script[len(told) - 1]}, "", "asking")

    assert [found.status for found in toy.run_proposer(Asking())] == [Status.KEEP, Status.KEEP]
    assert told == [100.0, 0.0, -5.0]


def test_a_timing_metric_is_kept_after_seven_clear_pairs(tmp_path: Path) -> None:
    toy = Toy(write_toy_target(tmp_path / "toy", metric=TIMING))
    found = toy.one(toy_text(90))
    assert found.status is Status.KEEP
    assert found.measurement is not None
    assert len(found.measurement.pairs) == 7
    assert len({pair.seed for pair in found.measurement.pairs}) == 7
    assert found.measurement.scale == 1e-12


def test_the_order_in_a_pair_is_drawn(tmp_path: Path) -> None:
    toy = Toy(write_toy_target(tmp_path / "toy", metric=TIMING))
    pairs = [
        pair
        for found in toy.run(toy_text(90), toy_text(80), toy_text(70), toy_text(60))
        for pair in (found.measurement.pairs if found.measurement else ())
    ]
    first = sum(pair.candidate_first for pair in pairs)
    assert len(pairs) == 28
    assert 1 <= first <= 27, "a fair coin fails this once in a hundred million runs"


def test_both_sides_of_a_pair_get_one_seed(tmp_path: Path) -> None:
    score = f'{TOY_SCORE}echo "METRIC seed=$OPTILOOP_SEED"\n'
    more = '[[guard]]\nmetric = "seed"\nmax_ratio = 1.0\nmin_ratio = 1.0\n'
    toy = Toy(write_toy_target(tmp_path / "toy", metric=TIMING, score=score, more=more))
    found = toy.one(toy_text(90))
    assert found.measurement is not None
    for pair in found.measurement.pairs:
        assert pair.champion.values["seed"] == pair.candidate.values["seed"] == pair.seed


DUET = f"{TIMING}duet = true\n"
DUET_SCORE = (
    f'{TOY_SCORE}cd "${{OPTILOOP_RIVAL:-.}}" || exit 1\n. ./value.sh\necho "METRIC rival.score=$VALUE"\n'
)


def test_one_run_of_a_duet_measures_both_sides(tmp_path: Path) -> None:
    score = f'{DUET_SCORE}echo "METRIC both=1"\necho "METRIC rival.both=2"\n'
    toy = Toy(write_toy_target(tmp_path / "toy", metric=DUET, score=score))
    better, worse = toy.run(toy_text(90), toy_text(95))
    assert (better.status, worse.status) == (Status.KEEP, Status.DISCARD)
    assert better.measurement is not None
    for pair in better.measurement.pairs:
        assert (pair.champion.values, pair.candidate.values) == ({"score": 100.0}, {"score": 90.0})
    assert len({pair.candidate_first for pair in better.measurement.pairs}) == 2, "fails once in 128 times"


@pytest.mark.parametrize(("line", "reason"), [("exit 3", "exit 3"), ("VALUE=x", "'x'")])
def test_in_a_duet_each_side_s_failure_is_its_own(tmp_path: Path, line: str, reason: str) -> None:
    toy = Toy(write_toy_target(tmp_path / "toy", metric=DUET, score=DUET_SCORE))
    found = toy.one(f'VALUE=1\n[ -z "$OPTILOOP_SEED" ] || {line}\n')
    assert (found.status, reason in found.reason, "champion" in found.reason) == (Status.CRASH, True, False)


def test_a_command_that_knows_no_duet_is_told_so(tmp_path: Path) -> None:
    toy = Toy(write_toy_target(tmp_path / "toy", metric=DUET))
    with pytest.raises(TargetError, match=r"no 'rival.score': with duet = true in \[metric\] it measures"):
        toy.one(toy_text(90))


def test_the_cycle_s_budget_ends_the_measuring(tmp_path: Path) -> None:
    more = '[budget]\ncycle = "0.001s"\n'
    toy = Toy(write_toy_target(tmp_path / "toy", metric=TIMING, more=more))
    found = toy.one(toy_text(90))
    assert found.status is Status.DISCARD
    assert found.reason == "undecided when the cycle's budget of 0.001 s was spent"
    assert found.measurement is not None
    assert len(found.measurement.pairs) == 1


# --- baseline ----------------------------------------------------------------------------------------

BAD_BASELINES: dict[str, tuple[dict[str, str], str, str]] = {
    "its gate": ({"gate.sh": "echo why >&2; exit 1\n"}, "", "fails its own digits: exit 1: why"),
    "its hold-out": ({"holdout.sh": "echo why; exit 1\n"}, HELD_OUT, "fails its own hold-out: exit 1: why"),
    "no number": ({"score.sh": "exit 0\n"}, "", "gives no metric: no 'score'"),
    "another number each time": (
        {"score.sh": 'echo "METRIC score=$(date +%N)1"\n'},
        "",
        "is not deterministic",
    ),
    "no such command": ({"gate.sh": "no-such-command\n"}, "", "fails its own digits: exit 127"),
}


@pytest.mark.parametrize("name", BAD_BASELINES)
def test_a_baseline_that_fails_ends_the_run(tmp_path: Path, name: str) -> None:
    files, more, reason = BAD_BASELINES[name]
    toy = Toy(write_toy_target(tmp_path / "toy", files=files, more=more))
    with pytest.raises(TargetError, match=reason) as told:
        toy.run(toy_text(90))
    assert told.value.exit_code == 3
    assert "\n" not in str(told.value)
    assert toy.log() == []


def test_a_baseline_of_zero_cannot_be_timed(tmp_path: Path) -> None:
    toy = Toy(write_toy_target(tmp_path / "toy", value=0, metric=TIMING))
    with pytest.raises(TargetError, match="must be positive"):
        toy.run()


def test_the_baseline_is_measured_once_per_judge(toy: Toy) -> None:
    toy.run()
    facts = (toy.home / "baseline.json").stat()
    toy.run()
    assert (toy.home / "baseline.json").stat().st_ino == facts.st_ino
    toml = toy.folder / "target.toml"
    toml.write_text(toml.read_text().replace('unit = ""', "").replace("[metric]", '[metric]\nunit = "us"'))
    toy.run()
    assert (toy.home / "baseline.json").stat().st_ino != facts.st_ino


def test_the_baseline_can_be_measured_after_a_keep(toy: Toy) -> None:
    toy.run(toy_text(90))
    with Engine.opened(toy.target, ScriptedProposer()) as engine:
        assert engine.calibrate().value == 100
        assert engine.workspace.source() == {TOY_EDITABLE: toy_text(90)}


# --- diagnosis ---------------------------------------------------------------------------------------


def test_the_diagnosis_feeds_the_profile(tmp_path: Path) -> None:
    more = '[diagnose]\ncommand = ["/bin/sh", "diagnose.sh"]\n'
    files = {
        "diagnose.sh": "echo run >> count; rm gate.sh; echo half of it is parse; echo METRIC parse=0.5\n"
    }
    toy = Toy(write_toy_target(tmp_path / "toy", more=more, files=files))
    briefs: list[Brief] = []

    class Noting(ScriptedProposer):
        def propose(self, brief: Brief) -> Proposal | None:
            briefs.append(brief)
            return super().propose(brief)

    found = toy.run_proposer(Noting(toy_text(110), toy_text(90)))
    assert [one.status for one in found] == [Status.DISCARD, Status.KEEP], (
        "what it did to the trial is undone"
    )
    assert [brief.diagnosis for brief in briefs] == [fenced("half of it is parse\nMETRIC parse=0.5")] * 3
    assert all(brief.profile["parse"] == 0.5 for brief in briefs)


def test_a_diagnosis_that_fails_is_none(tmp_path: Path) -> None:
    toy = Toy(write_toy_target(tmp_path / "toy", more='[diagnose]\ncommand = "false"\n'))
    assert toy.one(toy_text(90)).status is Status.KEEP


def test_secondary_numbers_are_the_profile_of_the_champion(tmp_path: Path) -> None:
    score = f'{TOY_SCORE}echo "METRIC parse=$VALUE"\n'
    toy = Toy(write_toy_target(tmp_path / "toy", score=score))
    with Engine.opened(toy.target, ScriptedProposer(toy_text(90), toy_text(95))) as engine:
        engine.prepare()
        profiles = []
        for _ in engine.cycles():
            source, head = engine.workspace.source(), engine.workspace.head()
            profiles.append(engine.brief(source, head, engine.history()).profile)
    assert profiles == [{"parse": 90}, {"parse": 90}]


# --- death and resumption ----------------------------------------------------------------------------


class Death(BaseException):
    """The process dies here."""


@pytest.fixture
def death_before_the_line(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """The next append of a keep dies before it writes."""
    append = Ledger.append
    armed = [False]

    def dying(ledger: Ledger, experiment: Experiment) -> Experiment:
        if armed[0] and experiment.status is Status.KEEP:
            armed[0] = False
            raise Death
        return append(ledger, experiment)

    monkeypatch.setattr(Ledger, "append", dying)
    return lambda: armed.__setitem__(0, True)


@pytest.mark.parametrize("earlier", [(), (toy_text(110),), (toy_text(95), toy_text(110))], ids=len)
def test_a_keep_whose_line_was_not_written_is_adopted_once(
    toy: Toy, earlier: tuple[str, ...], death_before_the_line: Callable[[], None]
) -> None:
    toy.run(*earlier)
    death_before_the_line()
    script = (*earlier, toy_text(90), toy_text(80))
    with pytest.raises(Death):
        toy.run(*script)
    assert len(toy.log()) == len(earlier)
    for _ in range(2):
        assert toy.champion() == toy_text(90)
        assert len(toy.log()) == len(earlier) + 1
    adopted = toy.log()[-1]
    assert adopted.status is Status.KEEP
    assert adopted.commit
    assert [found.status for found in toy.run(*script)] == [Status.KEEP]
    assert toy.log()[-1].parent == adopted.commit


def test_the_same_engine_adopts_too(toy: Toy, death_before_the_line: Callable[[], None]) -> None:
    with Engine.opened(toy.target, ScriptedProposer(toy_text(90))) as engine:
        engine.prepare()
        death_before_the_line()
        with pytest.raises(Death):
            engine.cycle()
        engine.tidy()
        assert [found.status for found in toy.log()] == [Status.KEEP]
        assert engine.cycle() is None


def test_a_log_that_lacks_two_keeps_is_broken(toy: Toy) -> None:
    toy.run(toy_text(90), toy_text(80), toy_text(70))
    log = toy.home / "experiments.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(lines[0])
    with pytest.raises(LedgerError, match="the log ends at commit"):
        toy.champion()
    log.write_bytes(b"".join(lines[:2]))
    assert toy.champion() == toy_text(70), "one is adopted: a kill leaves no more"


def test_a_branch_that_lacks_a_keep_is_noticed(toy: Toy) -> None:
    toy.run(toy_text(90), toy_text(80))
    parent = toy.log()[1].parent
    (toy.home / "repository.git" / "refs" / "heads" / "optiloop" / "toy").write_text(f"{parent}\n")
    with pytest.raises(LedgerError, match="restore the log"):
        toy.champion()


SCRIPT: tuple[Script, ...] = (
    *(toy_text(110), toy_text(90), "VALUE=x\n", toy_text(90), ProposerError("tired"), toy_text(95)),
    *("echo >> gate.sh\nVALUE=1\n", toy_text(80), f"{toy_text(80)}# same\n", toy_text(110), "exit 3\n"),
)


def test_resuming_before_each_cycle_changes_nothing(tmp_path: Path) -> None:
    whole = Toy(write_toy_target(tmp_path / "whole" / "toy"))
    pieces = Toy(write_toy_target(tmp_path / "pieces" / "toy"))
    whole.run(*SCRIPT)
    for _ in SCRIPT:
        assert len(pieces.run_proposer(ScriptedProposer(*SCRIPT), cycles=1)) == 1
    assert pieces.run(*SCRIPT) == []
    assert agreed(pieces.log()) == agreed(whole.log())
    assert pieces.champion() == whole.champion() == toy_text(80)


def test_another_engine_s_lines_are_seen(toy: Toy) -> None:
    """What is in memory is a cache: the log on disk is what counts."""
    with Engine.opened(toy.target, ScriptedProposer()) as engine:
        engine.prepare()
        log = toy.home / "experiments.jsonl"
        other = Toy(write_toy_target(toy.folder.parent / "other" / "toy"))
        other.run(toy_text(110))
        log.write_bytes((other.home / "experiments.jsonl").read_bytes())
        assert len(engine.history()) == 1
        log.unlink()
        assert len(engine.history()) == 0


def test_the_same_seed_gives_the_same_seeds(tmp_path: Path) -> None:
    logs = []
    for name, seed in (("one", 5), ("two", 5), ("three", 6)):
        toy = Toy(write_toy_target(tmp_path / name / "toy"))
        with Engine.opened(toy.target, ScriptedProposer(toy_text(90), toy_text(80)), seed=seed) as engine:
            engine.prepare()
            logs.append([found.seed for found in engine.cycles()])
    assert logs[0] == logs[1]
    assert len({*logs[0], *logs[2]}) == 4


def test_a_replayed_log_takes_the_same_decisions(tmp_path: Path) -> None:
    first = Toy(write_toy_target(tmp_path / "first" / "toy"))
    second = Toy(write_toy_target(tmp_path / "second" / "toy"))
    first.run(*SCRIPT)
    second.run_proposer(Replay(str(first.home / "experiments.jsonl")))
    taken = [found for found in first.log() if found.status is not Status.NO_PROPOSAL]
    assert [(found.status, found.reason.split(" as ")[0], found.diff) for found in second.log()] == [
        (found.status, found.reason.split(" as ")[0], found.diff) for found in taken
    ]
    assert second.champion() == first.champion()


def test_ids_sort_by_time_even_where_the_clock_goes_back(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([2 * 10**18, 10**18, 10**18, 3 * 10**18])
    with Engine.opened(toy.target, ScriptedProposer(*(toy_text(n) for n in (110, 111, 112, 113)))) as engine:
        engine.prepare()
        monkeypatch.setattr("optiloop.loop.time.time_ns", lambda: next(times))
        found = [experiment.id for experiment in engine.cycles()]
    assert found == sorted(found)
    assert len(set(found)) == 4


@pytest.mark.parametrize(
    ("old", "new"),
    [('name = "score"', 'name = "points"'), ('noise = "deterministic"', 'noise = "timing"')],
    ids=["another metric", "another kind of noise"],
)
def test_a_log_of_another_metric_is_not_mixed_in(toy: Toy, old: str, new: str) -> None:
    toy.run(toy_text(-5))
    toml = toy.folder / "target.toml"
    toml.write_text(toml.read_text().replace(old, new))
    with pytest.raises(LedgerError, match=r"put that back, or begin anew with --fresh"):
        toy.champion()


# --- claim -------------------------------------------------------------------------------------------


def test_a_claim_is_due_after_a_keep_until_it_is_made(toy: Toy) -> None:
    with Engine.opened(toy.target, ScriptedProposer(toy_text(90), toy_text(80))) as engine:
        engine.prepare()
        assert not engine.claim_due()
        engine.cycle()
        assert engine.claim_due()
        claim = engine.claim()
        assert not engine.claim_due()
        assert (claim.baseline, claim.champion) == (100, 90)
        assert claim.interval is not None
        assert claim.interval.low == claim.interval.high == pytest.approx(100 / 90)
        engine.cycle()
        assert engine.claim_due(), "of another champion"
        assert engine.workspace.source() == {TOY_EDITABLE: toy_text(80)}


def test_the_claim_is_measured_on_what_is_held_out_where_the_target_can(tmp_path: Path) -> None:
    """No decision and no candidate sees it; the champion's number stays the metric's."""
    more = '[holdout]\ncommand = "sh held.sh"\nclaim = "sh held.sh score"\n'
    held = '. ./value.sh\necho "METRIC score=$((VALUE * 3))"\n'
    toy = Toy(write_toy_target(tmp_path / "toy", more=more, files={"held.sh": held}))
    kept = toy.one(toy_text(80))
    assert kept.measurement is not None
    assert kept.measurement.pairs[0].candidate.values == {"score": 80}
    with toy.opened() as engine:
        engine.prepare()
        claim = engine.claim()
        assert not (engine.workspace.trial / "held.sh").exists()
        assert engine.judge.target == engine.target
    assert (claim.baseline, claim.champion, claim.ratio, claim.held_out) == (300, 240, 1.25, True)
    campaign = read_campaign(toy.target)
    assert campaign.champion_value == 80
    assert proof(campaign).endswith("1 fresh pair on what is held out)")


def test_a_timing_claim_takes_twenty_pairs(tmp_path: Path) -> None:
    toy = Toy(write_toy_target(tmp_path / "toy", metric=TIMING))
    toy.run(toy_text(50))
    with Engine.opened(toy.target, ScriptedProposer()) as engine:
        claim = engine.claim()
        assert claim.pairs == 20
        assert claim.ratio == pytest.approx(2)
        assert engine.state.claim() == claim


def test_a_claim_of_negative_numbers_has_no_ratio(toy: Toy) -> None:
    toy.run(toy_text(-5))
    with Engine.opened(toy.target, ScriptedProposer()) as engine:
        claim = engine.claim()
    assert (claim.ratio, claim.interval, claim.champion) == (None, None, -5)


# --- notes -------------------------------------------------------------------------------------------


def test_a_changed_judge_is_refused(toy: Toy) -> None:
    toy.run(toy_text(90))
    with Engine.opened(toy.target, ScriptedProposer()) as engine:
        assert engine.notes() == []
        (toy.folder / "gate.sh").write_text("exit 0\n")
        with pytest.raises(WorkspaceError, match=r"gate\.sh changed since this campaign began"):
            engine.notes()


def test_a_file_of_the_user_s_own_is_noted(toy: Toy) -> None:
    toy.run(toy_text(90))
    with Engine.opened(toy.target, ScriptedProposer()) as engine:
        (toy.folder / TOY_EDITABLE).write_text(toy_text(90))
        assert engine.notes() == []
        (toy.folder / TOY_EDITABLE).write_text("my own\n")
        assert "neither the baseline nor the champion" in engine.notes()[0]


def test_the_log_is_json_lines_that_anyone_can_read(toy: Toy) -> None:
    toy.run(toy_text(90), "VALUE=x\n")
    lines = [json.loads(line) for line in (toy.home / "experiments.jsonl").read_text().splitlines()]
    assert [line["status"] for line in lines] == ["keep", "gate_failed"]


def test_a_candidate_that_puts_a_pipe_in_its_own_place_is_not_waited_for(toy: Toy) -> None:
    found = toy.one('VALUE=100\nif [ -n "$OPTILOOP_SEED" ]; then rm -f value.sh; mkfifo value.sh; fi\n')
    assert (found.status, found.reason) == (Status.VIOLATION, "running it changed value.sh")


def test_a_maze_of_folders_does_not_end_the_loop(toy: Toy) -> None:
    """Three thousand folders in each other: deeper than a path may be long, and than Python's stack."""
    maze = "import os\nfor _ in range(3000):\n os.mkdir('d'); os.chdir('d')\n"
    found = toy.run(f'VALUE=90\n{sys.executable} -c "{maze}"\n', toy_text(80))
    assert [one.status for one in found] == [Status.KEEP, Status.KEEP]
