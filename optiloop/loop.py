"""The loop: one experiment a cycle, kept or not, and a line in the log either way. Effect.

Everything a cycle knows comes from the disk; what is held in memory is a cache of it. Kill it anywhere.
"""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from optiloop import steering
from optiloop.complexity import complexity
from optiloop.decide import rule_of
from optiloop.diff import unified
from optiloop.errors import LedgerError, ProposerError, TargetError, WorkspaceError
from optiloop.events import taken_back
from optiloop.git import Place, locate
from optiloop.index.learning import settle
from optiloop.ledger import Ledger
from optiloop.measure import CLAIM_PAIRS
from optiloop.memory.cases import past_of
from optiloop.memory.findings import credits_of
from optiloop.memory.fingerprint import change_fingerprint, result_fingerprint
from optiloop.memory.history import HOLDOUT_SPENT, History, as_recall, lesson_of
from optiloop.memory.insights import Learned, learned
from optiloop.memory.runs import run_of
from optiloop.memory.under_way import REASON as BEING_JUDGED
from optiloop.memory.under_way import UnderWay
from optiloop.model import (
    Allowance,
    Baseline,
    Brief,
    Claim,
    Compare,
    Cost,
    Experiment,
    Finding,
    Kin,
    Lesson,
    Measurement,
    Metric,
    Mode,
    Noise,
    Novelty,
    Proposal,
    Proposer,
    Spent,
    Status,
    Target,
    Verdict,
)
from optiloop.parsers import MetricError, metric_line
from optiloop.record import RecordError, decode, encode
from optiloop.redact import redactor
from optiloop.sandbox import Runner, Sandbox, last_line, private_folder
from optiloop.sandbox.probe import AUTO, choose
from optiloop.state import Calibration, State
from optiloop.trial import Trial
from optiloop.untrusted import fenced, plain, plain_line, unseen
from optiloop.workspace import Workspace, locked

SPENT = Verdict(Status.GATE_FAILED, HOLDOUT_SPENT)
ARTIFACT_LIMIT = 128 * 1024
PROFILE_NAMES, PROFILE_NAME = 200, 80
"""Numbers that a brief tells, and characters of their names: a candidate may have printed them."""
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True)
class Attempt:
    """A proposal, its fingerprints, and what became of it: nothing yet where `finding` is None.

    `printed` is what its failing commands printed, by the name of a file; `answers` are the files of what its
    proposer has paid for.
    """

    proposal: Proposal
    finding: Finding | None
    result: str | None = None
    change: str | None = None
    kin: Kin = field(default_factory=Kin)
    printed: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    answers: frozenset[str] = frozenset()


class Engine:
    """Runs experiments on one target with one proposer. Make it with `Engine.opened`.

    `seed` makes proposers that draw lots repeatable. `review` is asked before a novel proposal is run;
    a proposal it declines is logged as a discard. `sandbox` demands a level, `auto` takes the best there is;
    or it is what runs the target's commands.
    `elsewhere` is what other targets' logs say of proposers' ideas (`optiloop.records`). `mode` says which
    proposals the run is for.
    """

    def __init__(
        self,
        target: Target,
        proposer: Proposer,
        place: Place,
        *,
        seed: int = 0,
        review: Callable[[Proposal, str], bool] | None = None,
        sandbox: str | Runner = AUTO,
        elsewhere: Mapping[tuple[str, str], Spent] | None = None,
        mode: Mode = Mode.EXPLOIT,
    ) -> None:
        self.target = target
        self.proposer = proposer
        self.seed = seed
        self.review = review
        self.mode = mode
        self.elsewhere = dict(elsewhere or {})
        produced = target.metric.options.get("file")
        self.workspace = Workspace(
            place,
            target.name,
            target.editable,
            produced=(produced,) if produced else (),
            held_out=(target.holdout.files or ()) if target.holdout else (),
            start=self._start if target.start else None,
        )
        self.ledger = Ledger(place.home / "experiments.jsonl")
        self.state = State(place.home)
        self.sandbox: Runner = (
            Sandbox.of(target, choose(sandbox), secret=(place.home.parent,), cache=place.home / "cache")
            if isinstance(sandbox, str)
            else sandbox
        )
        self.trial = Trial(target, self.workspace, self.sandbox, around=self.surroundings)
        self.judge = self.trial.judge
        self._answers = place.home / "answers"
        self._held: set[str] = set()
        """Answers that the attempts under way have used."""
        self.allowance = Allowance()
        """What proposers may still spend; the caller's to lower."""
        self._redact = redactor(os.environ)
        self._history: History | None = None
        self._origin: Mapping[str, str] = {}
        self._diagnosed: tuple[str, str] = ("", "")
        self._begun = ""

    @classmethod
    @contextmanager
    def opened(
        cls,
        target: Target,
        proposer: Proposer,
        *,
        seed: int = 0,
        fresh: bool = False,
        review: Callable[[Proposal, str], bool] | None = None,
        sandbox: str | Runner = AUTO,
        elsewhere: Mapping[tuple[str, str], Spent] | None = None,
        mode: Mode = Mode.EXPLOIT,
        follow: bool = False,
    ) -> Iterator[Engine]:
        """Take the lock, put the disk in order, and go on where the last loop ended, or begin.

        `fresh` first sets an earlier campaign aside, whole; `follow` does so where the checkout is no longer
        what the campaign began with. Raises WorkspaceError where another loop
        works, LedgerError where the log is broken, UsageError where the sandbox demanded is not to be had.
        """
        place = locate(target.root, target.name, target.editable[0])
        engine = cls(
            target,
            proposer,
            place,
            seed=seed,
            review=review,
            sandbox=sandbox,
            elsewhere=elsewhere,
            mode=mode,
        )
        with locked(place, since=now()):
            if fresh:
                engine.workspace.archive()
            engine.workspace.open()
            if follow and engine.checkout_moved_on():
                engine.workspace.archive()
                engine.workspace.open()
            engine.judge.phase = "reading the log"
            if len(engine.history()) == 0 and engine.checkout_moved_on():
                engine.workspace.archive()
                engine.workspace.open()
            yield engine

    @property
    def phase(self) -> str:
        """What is being done now, in a few words."""
        return self.judge.phase

    # --- the loop ----------------------------------------------------------------------------------

    def cycles(self) -> Iterator[Experiment]:
        """Run experiments until nothing is left to propose. Stop rules are the caller's."""
        while (experiment := self.cycle()) is not None:
            yield experiment

    def cycle(self) -> Experiment | None:
        """Run one experiment; None when nothing is left to propose.

        Kill it anywhere: the next cycle starts from what the disk says.
        """
        self.workspace.restore()
        history = self.history()
        source, parent = self.workspace.source(), self.workspace.head()
        started = time.monotonic()
        attempt = self.propose(source, parent, history)
        if attempt is None:
            return None
        if attempt.finding is None:
            attempt = self._judged(attempt, parent, self.start(attempt, source, history))
        experiment = self.conclude(attempt, source, parent, seconds=time.monotonic() - started)
        if experiment.commit:
            self.judge.promoted(experiment.commit)
        return experiment

    def proposals(self) -> Iterator[Attempt]:
        """Ask for one proposal after another, and run none of them: nothing is measured or logged.

        Each brief is told of those before it. That is in memory only, so the engine is of no other use after.
        """
        self.target = replace(self.target, diagnose=None)
        self.workspace.restore()
        history = self.history()
        source, parent = self.workspace.source(), self.workspace.head()
        while (attempt := self.propose(source, parent, history)) is not None:
            yield attempt
            experiment = self._experiment(attempt, source, parent, history, 0.0)
            self._file_answers(experiment.id, attempt)
            history.add(experiment)

    def conclude(
        self, attempt: Attempt, source: Mapping[str, str], parent: str, *, seconds: float
    ) -> Experiment:
        """Commit what is kept, then write the log line: in this order, so that a kill loses neither."""
        history = self.history()
        experiment = self._experiment(attempt, source, parent, history, seconds)
        if experiment.status is Status.KEEP:
            commit = self.workspace.commit(attempt.proposal.edits, _message(experiment))
            experiment = replace(experiment, commit=commit)
        self._save_artifacts(experiment.id, attempt.printed)
        written = self._append(experiment, history)
        self._file_answers(written.id, attempt)
        return written

    def history(self) -> History:
        """What the log says now. Adopts a kept commit whose line was never written.

        Who holds the lock is the only writer: the log is read once, and again where it is another file.
        """
        if self._history is None or self.ledger.rewritten():
            calibration = self.state.calibration()
            self.ledger = Ledger(self.ledger.path)
            baseline = calibration.baseline if calibration else None
            self._history = History(self.target.metric, baseline, diffs=self.ledger.diff, learn=self._learned)
            self.judge.census = baseline.census if baseline else {}
            for experiment in self.ledger.new():
                if _measured_otherwise(experiment, self.target.metric):
                    raise LedgerError(
                        f"{self.ledger.path}: {experiment.id} was not measured by "
                        f"{self.target.metric.name!r} as [metric] has it now; put that back, or begin anew "
                        "with --fresh"
                    )
                self._history.add(experiment)
            self._adopt(self._history)
        self._history.mode, self._history.seed = self.mode, _cycle_seed(self.seed, len(self._history))
        return self._history

    def _learned(self) -> Learned:
        """What all of the log teaches: read anew, for no cycle holds it."""
        experiments = list(Ledger(self.ledger.path).new())
        past = past_of(run_of(it, number) for number, it in enumerate(experiments, 1))
        earned, retracted = credits_of(experiments), taken_back(self.ledger.path)
        return learned(past, self.workspace.source(), retracted=retracted, earned=earned)

    def settle(self) -> None:
        """Write what has become of the log's findings beside it (docs/findings.md). For the end of a run."""
        self.judge.phase = "learning from the log"
        settle(self.ledger.path, self.workspace.source())

    def _adopt(self, history: History) -> None:
        """The process died between commit and log line: the commit's message holds the line."""
        head, expected = self.workspace.head(), history.head or self.workspace.root_commit
        if head == expected:
            return
        orphan = _recorded(self.workspace.message(head))
        if orphan is None or orphan.parent != expected:
            raise LedgerError(
                f"{self.ledger.path}: the log ends at commit {expected[:10]}, branch {self.workspace.branch} "
                f"at {head[:10]}; restore the log from a backup, or begin anew with --fresh"
            )
        self._append(replace(orphan, commit=head), history)

    def _append(self, experiment: Experiment, history: History) -> Experiment:
        written = self.ledger.append(experiment)
        history.add(written)
        return written

    # --- one attempt: cheapest question first, the first "no" is the verdict --------------------------

    def propose(
        self,
        source: Mapping[str, str],
        parent: str,
        history: History,
        under_way: tuple[Lesson, ...] = (),
    ) -> Attempt | None:
        """Ask for the next attempt, and guard it; None when nothing is left to propose.

        `under_way` are those that have no answer yet: what they try is not asked for twice.
        """
        self.judge.phase = "proposing"
        brief = self.brief(source, parent, history, under_way)
        history.seed = brief.seed
        attempt = self._asked(brief, history)
        if attempt is None:
            return None
        answers = {file.name for file in _files(self._answers)} - self._held
        self._held |= answers
        return replace(attempt, seed=brief.seed, answers=frozenset(answers))

    def _asked(self, brief: Brief, history: History) -> Attempt | None:
        try:
            proposal = self.proposer.propose(brief)
        except ProposerError as error:
            origin = error.origin or getattr(self.proposer, "name", type(self.proposer).__name__.lower())
            nothing = Proposal({}, "", origin, tags=error.tags, cost=error.cost or Cost())
            return Attempt(nothing, _no(Status.NO_PROPOSAL, str(error)))
        if proposal is None:
            return None
        if forbidden := _forbidden(proposal, self.target, brief.source):
            return Attempt(proposal, _no(Status.VIOLATION, forbidden))
        attempt = self.guarded(proposal, brief.source, history)
        if attempt.finding is None and self.review is not None:
            after = {**brief.source, **proposal.edits}
            if not self.review(proposal, unified(brief.source, after)):
                return replace(attempt, finding=_no(Status.DISCARD, "declined"))
        return attempt

    def pending(self, attempt: Attempt, source: Mapping[str, str], history: History) -> Lesson:
        """What is known of an attempt while it is judged."""
        experiment = self._experiment(attempt, source, "", history, 0.0)
        return lesson_of(experiment, self.target.metric.name, history.champion)

    def guarded(self, proposal: Proposal, source: Mapping[str, str], history: History) -> Attempt:
        """What a proposal is to the log: refused, or to be judged."""
        after = {**source, **proposal.edits}
        kin = history.kin(source, after)
        return Attempt(
            proposal,
            _no(Status.DUPLICATE, kin.why) if kin.refused else None,
            result_fingerprint(after),
            change_fingerprint(source, after),
            kin,
        )

    def start(
        self, attempt: Attempt, source: Mapping[str, str], history: History, under_way: int = 0
    ) -> Measurement:
        """What an attempt's samples are judged by; `under_way` others are judged at the same time."""
        return self.measurement(history, (source, {**source, **attempt.proposal.edits}), under_way)

    def _judged(self, attempt: Attempt, parent: str, start: Measurement) -> Attempt:
        edits = attempt.proposal.edits
        finding = self.trial.evaluate(edits, parent, start)
        if finding.verdict.kept:
            spent = self.holdout_spent()
            finding = replace(finding, verdict=SPENT) if spent else self.trial.hold_out(edits, finding)
        return replace(attempt, finding=finding, printed=dict(self.judge.artifacts))

    def measurement(
        self,
        history: History,
        change: tuple[Mapping[str, str], Mapping[str, str]] | None = None,
        under_way: int = 0,
    ) -> Measurement:
        """What the next samples are judged by, without any yet; `change`: the programs before and after."""
        known, policy = history.yardstick, self.target.policy
        before_after = None
        if policy.simplify and change is not None:
            before_after = (complexity(change[0]), complexity(change[1]))
        return Measurement(
            (),
            scale=known.scale,
            scales=known.scales,
            level=known.level,
            complexity=before_after,
            rule=rule_of(self.target, known.alpha(policy, under_way)),
        )

    def brief(
        self,
        source: Mapping[str, str],
        parent: str,
        history: History,
        under_way: tuple[Lesson, ...] = (),
    ) -> Brief:
        """All that a proposer sees of this cycle; `under_way` is what has no answer in the log yet."""
        calibration = self.state.calibration() if history.champion is None else None
        profile = dict(history.profile or (calibration.numbers if calibration else {}))
        diagnosis = self._diagnosis(parent)
        profile.update(_metric_lines(diagnosis))
        profile = {plain_line(name, PROFILE_NAME): profile[name] for name in list(profile)[:PROFILE_NAMES]}
        if not self._origin:
            self._origin = self.workspace.source_at(self.workspace.root_commit)
        return Brief(
            goal=self.target.goal,
            note=steering.read(self.ledger.path.parent).note,
            source=source,
            metric=self.target.metric,
            recall=UnderWay(history, under_way) if under_way else as_recall(history),
            seed=_cycle_seed(self.seed, len(history) + len(under_way)),
            folder=self.workspace.trial,
            champion=calibration.baseline.value if calibration else history.champion,
            baseline=self._origin,
            context={path: _shown(self.workspace.base / path) for path in self.target.context},
            profile=profile,
            diagnosis=fenced(diagnosis) if diagnosis else "",
            elsewhere=self.elsewhere,
            simplify=self.target.policy.simplify,
            allowance=self.allowance,
            answers=self._answers,
            files_per_change=self.target.files_per_change,
            sandbox=self.sandbox.level,
            lessons=self.target.lessons,
            busy=frozenset(place for lesson in under_way for place in lesson.places),
        )

    def _diagnosis(self, parent: str) -> str:
        """The diagnose command's output for this champion; once per champion and process."""
        if self.target.diagnose is None:
            return ""
        if self._diagnosed[0] != parent:
            self.judge.phase = "diagnosing"
            with private_folder(self.workspace.scratch) as private:
                outcome = self.sandbox.run(
                    self.target.diagnose, self.workspace.trial, private=private, tree=self.workspace.trees[1]
                )
            self._diagnosed = (parent, self._redact(outcome.stdout) if outcome.ok else "")
            self.workspace.restore()
        return self._diagnosed[1]

    def _start(self, folder: Path) -> str:
        """Have the [start] command write what to begin from into a folder; the last line that it prints.

        Raises TargetError where it fails.
        """
        assert self.target.start is not None
        self.judge.phase = "choosing where to begin"
        own = self.sandbox
        if isinstance(own, Sandbox):
            own = replace(own, own=(*own.own, *self.target.editable))
        with private_folder(self.workspace.scratch) as private:
            outcome = own.run(self.target.start, folder, private=private, tree=self.workspace.trees[1])
        if not outcome.ok:
            raise TargetError(f"{self.target.name}: its [start] command failed: {outcome.failure()}")
        self._begun = last_line(plain(self._redact(outcome.stdout)))
        return self._begun

    def own_check(self) -> str:
        """What the target's own check command says of it, for `optiloop check`; empty where it has none.

        Raises TargetError where it fails.
        """
        if self.target.check is None:
            return ""
        self.judge.phase = "running the target's own check"
        self.workspace.restore()
        with private_folder(self.workspace.scratch) as private:
            outcome = self.sandbox.run(
                self.target.check, self.workspace.trial, private=private, tree=self.workspace.trees[1]
            )
        self.workspace.restore()
        if not outcome.ok:
            raise TargetError(f"{self.target.name}: its [check] command failed: {outcome.failure()}")
        return plain(self._redact(outcome.stdout))

    def holdout_spent(self, under_way: int = 0) -> bool:
        """Whether the hold-out has given as many answers in this campaign as it may: nothing can be kept.

        `under_way` is how many it is about to give.
        """
        holdout = self.target.holdout
        return holdout is not None and self.history().peeks + under_way >= holdout.peeks

    def surroundings(self) -> Mapping[str, tuple[int, ...]]:
        """Facts of what lies around the worktrees; none at `bwrap`, where only the user can change it.

        What a candidate has put on the log's end is cut off again, which its facts still tell.
        """
        if self.sandbox.level != "process":
            return {}
        facts = self.workspace.surroundings()
        self.ledger.cut()
        return facts

    def _experiment(
        self, attempt: Attempt, source: Mapping[str, str], parent: str, history: History, seconds: float
    ) -> Experiment:
        proposal, finding = attempt.proposal, attempt.finding or _no(Status.DISCARD, BEING_JUDGED)
        verdict = finding.verdict
        allowed = {path: text for path, text in proposal.edits.items() if path in source}
        return Experiment(
            id=_new_id(history.last_id),
            time=now(),
            target=self.target.name,
            parent=parent,
            status=verdict.status,
            reason=self._redact(verdict.reason),
            origin=proposal.origin,
            family=proposal.family,
            hypothesis=self._redact(proposal.hypothesis),
            tags=proposal.tags,
            cost=proposal.cost,
            result=attempt.result,
            change=attempt.change,
            diff=unified(source, {**source, **allowed}),
            gates=tuple(replace(gate, reason=self._redact(gate.reason)) for gate in finding.gates),
            measurement=finding.measurement,
            effect=verdict.effect,
            interval=verdict.interval,
            evidence=verdict.evidence,
            seconds=seconds,
            seed=history.seed if attempt.seed is None else attempt.seed,
            sandbox=self.sandbox.level,
            kin=None if attempt.kin.novelty is Novelty.NOVEL else replace(attempt.kin, why=""),
        )

    def _save_artifacts(self, name: str, printed: Mapping[str, str]) -> None:
        """Keep what failing commands printed, head and tail, beside the log."""
        if not printed:
            return
        folder = self.workspace.place.home / "artifacts" / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for file, text in printed.items():
                (folder / file.replace("/", "_")).write_text(_cut(self._redact(text)), encoding="utf-8")
        except OSError as error:
            raise WorkspaceError(f"{folder}: {error.strerror}; free space, then run again") from None

    def _file_answers(self, name: str, attempt: Attempt) -> None:
        """Put the answers that a logged experiment has used beside its other artifacts.

        Only now: until the log has what they cost, a restart must find and use them.
        """
        used = [file for file in _files(self._answers) if file.name in attempt.answers]
        for number, file in enumerate(sorted(used, key=_written), 1):
            folder = self.workspace.place.home / "artifacts" / name
            folder.mkdir(parents=True, exist_ok=True)
            file.rename(folder / (file.name if file.suffix == ".txt" else f"answer-{number}.json"))
        self._held -= attempt.answers

    # --- around the loop ---------------------------------------------------------------------------

    def tidy(self) -> None:
        """Put all in order after an interrupt: locks, worktrees, a keep without its line."""
        self.workspace.open()
        self._history = None
        self.history()

    def checkout_moved_on(self) -> bool:
        """Whether the checkout differs from what this campaign began with: no loss while its log is empty."""
        root = self.workspace.source_at(self.workspace.snapshot)
        here = {path: _shown(self.target.root / path) for path in self.target.editable}
        return bool(self.workspace.checkout_differs()) or here != root

    def notes(self) -> list[str]:
        """What a user should know before a run. Raises WorkspaceError where the judge has changed."""
        if changed := self.workspace.checkout_differs():
            raise WorkspaceError(
                f"{', '.join(changed[:3])} changed since this campaign began: its numbers no longer compare; "
                "put it back, or begin anew with --fresh"
            )
        here = {path: _shown(self.target.root / path) for path in self.target.editable}
        begun = [f"{self.target.name}: {self._begun}"] if self._begun else []
        root, head = self.workspace.snapshot, self.workspace.head()
        if here == self.workspace.source() or here == self.workspace.source_at(root):
            return begun
        return [
            f"note: {', '.join(here)} in your checkout is neither the baseline nor the champion; the loop "
            f"goes on from its own champion {head[:7]} (to begin from your file: --fresh)"
        ]

    def claim_due(self) -> bool:
        """Whether something was kept that no fresh measurement has shown yet."""
        head, claim = self.workspace.head(), self.state.claim()
        return head != self.workspace.root_commit and (claim is None or claim.commit != head)

    def claim_seconds(self) -> float:
        """What the closing claim will take, roughly."""
        calibration = self.state.calibration()
        if calibration is None or not self.claim_due():
            return 0.0
        pairs = CLAIM_PAIRS[self.target.metric.noise] + 1
        return 2 * pairs * calibration.baseline.seconds

    def exhausted(self) -> None:
        """Remember that the proposer had nothing left, for reports, until something else is tried."""
        name = getattr(self.proposer, "name", type(self.proposer).__name__.lower())
        self.state.save_exhausted(name, len(self.history()))

    # --- baseline and claim ------------------------------------------------------------------------

    def prepare(self) -> Baseline:
        """Measure the baseline against itself, unless this very judge has done so on this machine.

        Raises TargetError where the baseline fails its gates or gives no number.
        """
        known, judge = self.state.calibration(), _judge_digest(self.target, self.sandbox)
        if known and known.judge == judge and known.baseline.commit == self.workspace.root_commit:
            return known.baseline
        return self.calibrate()

    def unsteady_gate(self) -> str:
        """Run the champion's gates once more: which fails now, and why; empty where all pass again."""
        results = self.judge.gates(self.workspace.base)
        failed = next(
            (f"{gate.name} passed, then failed: {gate.reason}" for gate in results if not gate.passed), ""
        )
        self.workspace.restore()
        return failed

    def calibrate(self) -> Baseline:
        """Measure the baseline against itself now, and remember it."""
        self.workspace.restore()
        root = self.workspace.root_commit
        folder, head = self.workspace.base, self.workspace.head()
        if head != root:
            folder = self.workspace.trial
            self.workspace.stage(self.workspace.source_at(root))
        self.judge.leftovers.clear()
        baseline, numbers = self.judge.baseline(folder, self.workspace.trial, root)
        if head == root and (touched := self.workspace.tampered()):
            raise TargetError(
                f"{self.target.name}: its own commands change {', '.join(touched[:3])}, which no candidate "
                "may; have them write new files, or name a result file as `file` in [metric]"
            )
        if left := next(iter(self.judge.leftovers.values()), ""):
            raise TargetError(f"{self.target.name}: {left}; a command must end what it starts")
        self.state.save_calibration(Calibration(baseline, numbers, _judge_digest(self.target, self.sandbox)))
        self._history = None
        self.workspace.restore()
        return baseline

    def claim(self) -> Claim:
        """Measure baseline against champion afresh, and remember it. Never fed back into a decision."""
        self.workspace.restore()
        head = self.workspace.head()
        self.workspace.stage(self.workspace.source_at(self.workspace.root_commit))
        claim = self.judge.claim(self.workspace.trial, self.workspace.base, commit=head, time=now())
        self.state.save_claim(claim)
        self.workspace.restore()
        return claim


# --- small questions -------------------------------------------------------------------------------------


def _no(status: Status, reason: str) -> Finding:
    return Finding(Verdict(status, reason))


def _forbidden(proposal: Proposal, target: Target, source: Mapping[str, str]) -> str:
    """Say what a proposal touches that it must not; empty where it is within its bounds."""
    if not proposal.edits:
        return "the proposal edits nothing"
    if outside := sorted(set(proposal.edits) - set(target.editable)):
        return f"{outside[0]!r} is not editable; only {', '.join(target.editable)}"
    if len(proposal.edits) > target.files_per_change:
        return f"edits {len(proposal.edits)} files; files_per_change is {target.files_per_change}"
    for path, text in proposal.edits.items():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            return f"{path}: the proposed text is not UTF-8"
        if char := unseen(text, source[path]):
            return f"{path}: holds {char}, which a reader of the change would not see"
    return ""


def _message(experiment: Experiment) -> str:
    """A keep's commit message: a subject for people, and the log line, by which a lost one is found again."""
    words = (last_line(" ".join(text.split())) for text in (experiment.hypothesis, experiment.reason))
    return "\n\n".join((*words, encode(experiment).decode("utf-8")))


def _measured_otherwise(experiment: Experiment, metric: Metric) -> bool:
    """Whether its numbers are not this metric's: [metric] was changed since."""
    measured = experiment.measurement
    pairs = measured.pairs if measured else ()
    values = [side.values.get(metric.name) for pair in pairs for side in (pair.champion, pair.candidate)]
    if (
        measured
        and measured.rule
        and (measured.rule.noise, measured.rule.compare) != (metric.noise, metric.compare)
    ):
        return True
    by_ratio = metric.compare is Compare.RATIO and metric.noise is not Noise.DETERMINISTIC
    return any(value is None or (by_ratio and value <= 0) for value in values)


def _recorded(message: str) -> Experiment | None:
    """The experiment in a kept commit's message, or None."""
    line = message.rstrip("\n").rsplit("\n", 1)[-1]
    try:
        return decode(line.encode("utf-8"))
    except RecordError:
        return None


def _files(folder: Path) -> list[Path]:
    """What lies in a folder; nothing where there is none."""
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []


def _written(file: Path) -> int:
    return file.stat().st_mtime_ns


def _metric_lines(diagnosis: str) -> dict[str, float]:
    """The METRIC lines of a diagnosis; none where it has none."""
    try:
        return metric_line(diagnosis, options={"name": "", "unit": ""})
    except MetricError:
        return {}


def _shown(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise TargetError(f"{path.name}: context file: {error.strerror}") from None


def _judge_digest(target: Target, sandbox: Runner) -> str:
    """What a baseline's number depends on beside its code: judge, sandbox, interpreter and machine."""
    words = (
        sandbox.level,
        target.sandbox,
        target.metric,
        target.gates,
        target.guards,
        target.holdout,
        sys.version,
        platform.machine(),
    )
    return hashlib.sha256(repr((*words, socket.gethostname())).encode()).hexdigest()[:16]


def _cycle_seed(seed: int, number: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{number}".encode()).digest()[:6], "big")


def _new_id(last: str) -> str:
    """A ULID: 48 bits of milliseconds, 80 of randomness; sorts after `last` even if the clock went back."""
    number = (time.time_ns() // 1_000_000 << 80) | secrets.randbits(80)
    if last:
        number = max(number, _from_crockford(last) + 1)
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -5, -5))


def _from_crockford(text: str) -> int:
    number = 0
    for char in text:
        number = number << 5 | _CROCKFORD.index(char)
    return number


def now() -> str:
    """UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _cut(text: str) -> str:
    if len(text) <= ARTIFACT_LIMIT:
        return text
    half = ARTIFACT_LIMIT // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters dropped ...\n{text[-half:]}"
