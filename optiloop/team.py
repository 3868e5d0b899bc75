"""Several candidates at a time: a team of worker processes, each with worktrees of its own. Effect.

The engine alone proposes, guards, commits and writes the log; a worker judges what it is handed. A candidate
that wins beside a champion that has been replaced meanwhile is made anew on the champion of now and judged
once more, so that each keep was measured beside what it replaces. Workers are processes, not threads: what a
command leaves behind is told from the commands of others by whose child it is.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType
from typing import Self

import optiloop
from optiloop.decide import OUT_OF_TIME
from optiloop.diff import DiffError, merged
from optiloop.errors import OptiloopError, UsageError, WorkspaceError
from optiloop.files import disk
from optiloop.git import Place
from optiloop.loop import SPENT, Attempt, Engine
from optiloop.memory.history import OVERTAKEN
from optiloop.memory.under_way import REASON, twin_of
from optiloop.model import (
    HOLDOUT,
    Allowance,
    Cost,
    Experiment,
    Finding,
    GateResult,
    Lesson,
    Measurement,
    Noise,
    Status,
    Target,
    Verdict,
)
from optiloop.sandbox import Sandbox, last_line
from optiloop.trial import Trial, differing
from optiloop.worktrees import Worktrees

PATIENCE_SECONDS = 20.0
"""How long a worker may take to end what it runs."""
_PROGRAM = "import sys; from optiloop.team import serve; serve(int(sys.argv[1]))"


@dataclass(frozen=True)
class Setup:
    """What a worker is told once."""

    target: Target
    place: Place
    folder: Path
    root_commit: str
    sandbox: Sandbox
    produced: tuple[str, ...]
    held_out: tuple[str, ...]
    census: Mapping[str, int]

    @property
    def number(self) -> str:
        """The worker's name, and its folder's."""
        return self.folder.name


@dataclass(frozen=True)
class Order:
    """What a worker is asked: edits of the champion at `parent`, what they are judged by, and until when.

    `won` is the commit of its last candidate, where that was kept; empty else.
    """

    edits: Mapping[str, str]
    parent: str
    start: Measurement
    deadline: float
    won: str


@dataclass(frozen=True)
class Question:
    """The hold-out, of what was judged last."""

    edits: Mapping[str, str]
    finding: Finding


@dataclass(frozen=True)
class Answer:
    """What became of either."""

    finding: Finding
    printed: Mapping[str, str]


@dataclass(frozen=True)
class Job:
    """An attempt that a worker has: its champion, since when, and what proposers are told of it meanwhile.

    `asked` says that the hold-out has it now; `peeks` are what that said of the same change before. `spoilt`
    says what was changed around the worktrees while it was judged.
    """

    attempt: Attempt
    source: Mapping[str, str]
    parent: str
    since: float
    told: Lesson
    asked: bool = False
    peeks: tuple[GateResult, ...] = ()
    spoilt: str = ""


# --- the engine's side -----------------------------------------------------------------------------------


class Worker:
    """One worker process, and its job. It dies with this process, and its commands with it."""

    def __init__(self, setup: Setup) -> None:
        self.number = setup.number
        self.job: Job | None = None
        self.held: Answer | None = None
        """An answer that waits for the hold-out: another's would make it an earlier champion's."""
        self.won = ""
        self._stderr = setup.folder / "stderr"
        ours, theirs = socket.socketpair()
        with disk(setup.folder), theirs:
            setup.folder.mkdir(parents=True, exist_ok=True)
            with self._stderr.open("wb") as stderr:
                self.process = subprocess.Popen(
                    [sys.executable, "-P", "-c", _PROGRAM, str(theirs.fileno())],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=stderr,
                    pass_fds=(theirs.fileno(),),
                    env={**os.environ, "PYTHONPATH": _with_this_package()},
                    start_new_session=True,  # Ctrl-C is the engine's to hear
                )
        self.connection = Connection(ours.detach())
        self.send(setup)

    def wait(self) -> None:
        """Wait until it is ready. Raises WorkspaceError where it does not become so."""
        if not isinstance(self._said(), Setup):
            raise WorkspaceError(f"{self._stderr}: {self._end()}; run with --workers 1")

    def send(self, said: Setup | Order | Question) -> None:
        """Tell it something. That it has ended is noticed when its answer is read."""
        with suppress(BrokenPipeError):
            self.connection.send(said)

    def answer(self) -> Answer:
        """What it answers; a crash where it was killed instead. Raises what stopped it."""
        said = self._said()
        if isinstance(said, OptiloopError):
            raise said
        if isinstance(said, Answer):
            return said
        ended = self._end()
        if self.process.returncode >= 0:
            raise WorkspaceError(f"{self._stderr}: {ended}")
        return Answer(Finding(Verdict(Status.CRASH, ended)), {})

    def _said(self) -> object:
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            return None

    def _end(self) -> str:
        code = self.process.wait()
        said = last_line(self._stderr.read_text(encoding="utf-8", errors="replace"))
        return f"its worker ended with exit code {code}" + (f": {said}" if said else "")

    @property
    def ended(self) -> bool:
        """Whether it is no longer there."""
        return self.process.poll() is not None

    def hang_up(self) -> None:
        """Have it end what it runs, and itself."""
        if self.process.stdin is not None:
            self.process.stdin.close()

    def close(self) -> None:
        """Wait until it has ended."""
        self.hang_up()
        self.connection.close()
        try:
            self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()  # its watchman ends what it has left
            self.process.wait()


class Team:
    """Runs an engine's experiments, `size` at a time. Use it in a `with`, after `prepare`.

    Raises UsageError where the engine's commands are not run by a sandbox of ours.
    """

    def __init__(self, engine: Engine, size: int) -> None:
        if not isinstance(engine.sandbox, Sandbox):
            raise UsageError("several workers need a target whose commands are run by optiloop's sandbox")
        self.engine = engine
        self.size = size
        self._sandbox = engine.sandbox
        self._workers: list[Worker] = []
        self._waits: tuple[Attempt, Mapping[str, str]] | None = None
        """A proposal, and its champion, of what is being judged: a repeat when that has an answer."""
        self._around: Mapping[str, tuple[int, ...]] = {}

    def __enter__(self) -> Self:
        self._note_surroundings()
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.hang_up()
        for worker in self._workers:
            worker.close()
        with disk(self.engine.workspace.workers):
            self.engine.workspace.clear_workers()

    def _setup(self, number: str) -> Setup:
        engine, space = self.engine, self.engine.workspace
        folder, census = space.workers / number, dict(engine.judge.census)
        root, produced, held_out = space.root_commit, space.produced, space.held_out
        return Setup(engine.target, space.place, folder, root, self._sandbox, produced, held_out, census)

    @property
    def jobs(self) -> list[Job]:
        """What is under way."""
        return [worker.job for worker in self._workers if worker.job is not None]

    @property
    def cost(self) -> Cost:
        """What the proposals under way have cost; the log does not say it yet."""
        attempts = [job.attempt for job in self.jobs]
        attempts += [self._waits[0]] if self._waits else []
        return sum((attempt.proposal.cost for attempt in attempts), Cost())

    def cycle(self, most: int | None = None) -> Experiment | None:
        """Run until one more experiment is in the log; None when nothing is left to try.

        At most `most` are under way at a time. The log has them in the order in which they end.
        """
        while True:
            done = self._handed_out(self.size if most is None else min(self.size, most))
            if done is None and not self.jobs:
                return None
            if done is None:
                done = self._next_answer()
            if done is not None:
                return done

    def drained(self) -> Iterator[Experiment]:
        """Wait for all that is under way; nothing new is begun."""
        while self.jobs:
            if (done := self._next_answer()) is not None:
                yield done
        if self._waits:
            (attempt, before), self._waits = self._waits, None
            source, parent = self.engine.workspace.source(), self.engine.workspace.head()
            attempt = self._rebased(source, attempt, before)
            unasked = Finding(Verdict(Status.DISCARD, OUT_OF_TIME))
            finding = attempt.finding or unasked
            yield self._logged(replace(attempt, finding=finding), source, parent, time.monotonic())

    # --- handing out

    def _handed_out(self, most: int) -> Experiment | None:
        """Give idle workers their jobs; ends with the first proposal that needs none."""
        engine = self.engine
        while len(self.jobs) < most and not (self.jobs and self._spent):
            self._look_around()
            self._note_surroundings()
            history = engine.history()
            source, parent, since = engine.workspace.source(), engine.workspace.head(), time.monotonic()
            attempt = self._proposed(source, parent)
            self._look_around()
            self._note_surroundings()
            if attempt is None:
                return None
            if attempt.finding is not None:
                return self._logged(attempt, source, parent, since)
            job = Job(attempt, source, parent, since, engine.pending(attempt, source, history))
            self._begin(self._idle(), job)
        return None

    def _proposed(self, source: Mapping[str, str], parent: str) -> Attempt | None:
        """The next attempt; None where there is none, or it waits for the answer of one under way."""
        history, pending = self.engine.history(), tuple(job.told for job in self.jobs)
        waited, self._waits = self._waits, None
        if waited is None:
            since = time.monotonic()
            attempt = self.engine.propose(source, parent, history, pending)
            self._spend(attempt.proposal.cost if attempt else Cost(), time.monotonic() - since)
        else:
            attempt = self._rebased(source, *waited)
        if attempt is not None and twin_of(attempt.result, attempt.change, pending):
            self._waits, attempt = (attempt, source), None
        return attempt

    @property
    def _spent(self) -> bool:
        """Whether proposers may spend nothing more."""
        left = self.engine.allowance
        return min(left.usd, left.tokens, left.seconds) <= 0

    def _rebased(self, source: Mapping[str, str], attempt: Attempt, before: Mapping[str, str]) -> Attempt:
        """The same change on the champion of now, guarded; overtaken where that is other code by now."""
        proposal = attempt.proposal
        try:
            program = merged(source, before, {**before, **proposal.edits})
        except DiffError:
            return replace(attempt, finding=Finding(Verdict(Status.DISCARD, OVERTAKEN)))
        edits = {path: text for path, text in program.items() if text != source[path]}
        known = self.engine.guarded(replace(proposal, edits=edits), source, self.engine.history())
        return replace(known, seed=attempt.seed, answers=attempt.answers)

    def _spend(self, cost: Cost, seconds: float) -> None:
        """Take from what proposers may spend until the caller says it anew."""
        left = self.engine.allowance
        self.engine.allowance = Allowance(
            left.usd - cost.usd, left.tokens - cost.tokens, left.seconds - seconds
        )

    def _begin(self, worker: Worker, job: Job) -> None:
        worker.job = job
        others = len(self.jobs) - 1
        start = self.engine.start(job.attempt, job.source, self.engine.history(), others)
        edits, deadline = job.attempt.proposal.edits, self.engine.judge.deadline
        worker.send(Order(edits, job.parent, start, deadline, worker.won))
        worker.won = ""

    def _idle(self) -> Worker:
        self._workers = [worker for worker in self._workers if worker.job or not worker.ended]
        idle = next((worker for worker in self._workers if worker.job is None), None)
        if idle is None:
            taken = {worker.number for worker in self._workers}
            number = next(number for number in map(str, range(1, self.size + 1)) if number not in taken)
            self.engine.judge.phase = f"starting worker {number}"
            idle = Worker(self._setup(number))
            self._workers.append(idle)
            idle.wait()
        return idle

    # --- taking answers

    def _next_answer(self) -> Experiment | None:
        """Wait for a worker; its experiment, or None where it has more to do."""
        engine = self.engine
        engine.judge.phase = f"{len(self.jobs)} candidates under way"
        worker, answer = self._answered()
        self._look_around()
        job = worker.job
        assert job is not None
        finding = answer.finding
        if job.spoilt:
            finding = replace(finding, verdict=Verdict(Status.VIOLATION, job.spoilt))
        if finding.verdict.kept:
            if job.parent != engine.workspace.head():
                return self._anew(worker, job, answer)
            if not job.asked and engine.target.holdout is not None:
                if any(other.asked for other in self.jobs):
                    worker.held = answer
                    return None
                if not engine.holdout_spent(sum(len(it.peeks) for it in self.jobs)):
                    worker.job = replace(job, asked=True)
                    worker.send(Question(job.attempt.proposal.edits, finding))
                    return None
                finding = replace(finding, verdict=SPENT)
        return self._concluded(worker, job, replace(answer, finding=finding))

    def _logged(self, attempt: Attempt, source: Mapping[str, str], parent: str, since: float) -> Experiment:
        experiment = self.engine.conclude(attempt, source, parent, seconds=time.monotonic() - since)
        self._note_surroundings()
        return experiment

    def _look_around(self) -> None:
        """See what those under way have changed around the worktrees since this process was done."""
        engine = self.engine
        head = engine.history().head or engine.workspace.root_commit
        changed = [*engine.workspace.moved(head), *differing(self._around, engine.surroundings())]
        if changed:
            said = f"running it, or one beside it, changed {', '.join(changed[:3])}"
            for worker in self._workers:
                worker.job = worker.job and replace(worker.job, spoilt=said)

    def _note_surroundings(self) -> None:
        """Note how things are left, a proposer's work undone."""
        self.engine.workspace.restore()
        self._around = self.engine.surroundings()

    def _answered(self) -> tuple[Worker, Answer]:
        """Wait for a worker that has answered; one whose answer is held back comes first when it may."""
        if not any(job.asked for job in self.jobs):
            for worker in self._workers:
                if worker.held is not None:
                    answer, worker.held = worker.held, None
                    return worker, answer
        busy = [worker for worker in self._workers if worker.job is not None and worker.held is None]
        ready = wait([worker.connection for worker in busy])
        worker = next(worker for worker in busy if worker.connection in ready)
        return worker, worker.answer()

    def _concluded(self, worker: Worker, job: Job, answer: Answer) -> Experiment:
        worker.job = None
        finding = replace(answer.finding, gates=(*job.peeks, *answer.finding.gates))
        attempt = replace(job.attempt, finding=finding, printed=answer.printed)
        experiment = self._logged(attempt, job.source, job.parent, job.since)
        worker.won = experiment.commit or ""
        return experiment

    def _anew(self, worker: Worker, job: Job, answer: Answer) -> Experiment | None:
        """Have the same change judged again on the champion of now, which is another."""
        space = self.engine.workspace
        source, found = space.source(), answer.finding
        attempt = self._rebased(source, job.attempt, job.source)
        others = [it.told for it in self.jobs if it is not job]
        if attempt.finding is None and twin_of(attempt.result, attempt.change, others):
            said = f"the same change: {REASON}"
            attempt = replace(attempt, finding=Finding(Verdict(Status.DUPLICATE, said)))
        if attempt.finding is not None:
            verdict = attempt.finding.verdict
            verdict = replace(found.verdict, status=verdict.status, reason=verdict.reason)
            return self._concluded(worker, job, replace(answer, finding=replace(found, verdict=verdict)))
        told = self.engine.pending(attempt, source, self.engine.history())
        peeks = (*job.peeks, *(gate for gate in found.gates if gate.name == HOLDOUT))
        self._begin(worker, Job(attempt, source, space.head(), job.since, told, peeks=peeks))
        return None


def _with_this_package() -> str:
    """A search path for modules by which a worker finds the package that runs."""
    here = str(Path(optiloop.__file__).parents[1])
    return os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))


# --- the worker's side -----------------------------------------------------------------------------------


def worktrees(setup: Setup) -> Worktrees:
    """A worker's own."""
    found = Worktrees(
        setup.place,
        setup.folder,
        setup.target.editable,
        produced=setup.produced,
        held_out=setup.held_out,
    )
    found.root_commit = setup.root_commit
    return found


def serve(descriptor: int) -> None:
    """Be a worker: judge what comes by a socket, until standard input ends, and with it the engine."""
    connection = Connection(descriptor)
    signal.signal(signal.SIGTERM, _interrupted)
    threading.Thread(target=_wait_for_the_end, daemon=True).start()
    with suppress(KeyboardInterrupt, EOFError, BrokenPipeError):
        setup = connection.recv()
        trees = worktrees(setup)
        trial = Trial(setup.target, trees, setup.sandbox)
        trial.judge.census = setup.census
        trees.scratch.mkdir(exist_ok=True)
        connection.send(setup)
        while True:
            connection.send(_answer(connection.recv(), trial, setup))


def _answer(said: Order | Question, trial: Trial, setup: Setup) -> Answer | OptiloopError:
    try:
        with disk(setup.folder), _turn(setup):
            return Answer(_judged(said, trial), dict(trial.judge.artifacts))
    except OptiloopError as error:
        return error


def _judged(said: Order | Question, trial: Trial) -> Finding:
    if isinstance(said, Question):
        return trial.hold_out(said.edits, said.finding)
    trial.worktrees.pinned, trial.judge.deadline = said.parent, said.deadline
    if time.monotonic() > said.deadline:  # it has waited for its turn
        return Finding(Verdict(Status.DISCARD, OUT_OF_TIME))
    if said.won:
        trial.judge.promoted(said.won)
    return trial.evaluate(said.edits, said.parent, said.start)


@contextmanager
def _turn(setup: Setup) -> Iterator[None]:
    """What is timed runs alone: others on the same cores would be its noise."""
    if setup.target.metric.noise is not Noise.TIMING:
        yield
        return
    with (setup.folder.parent / "turn").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _wait_for_the_end() -> None:
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _interrupted(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
