"""One run of a target: cycles up to the first limit, the keeps measured again, the closing claim. Effect."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from optiloop import steering
from optiloop.errors import AllowanceError, ProposerGoneError, UsageError
from optiloop.loop import Engine
from optiloop.memory.history import is_unanswered
from optiloop.model import Cost, Experiment, Status
from optiloop.recheck import due, recheck_seconds, rechecks
from optiloop.stopping import BARREN, Limits, Progress, allowance, stop_reason
from optiloop.team import Team

LOOK_SECONDS = 0.2
"""Between two looks whether a pause is over."""


@dataclass
class Run:
    """A run, to be iterated once: yields each experiment when its line is in the log.

    `workers` is how many candidates are judged at a time; what was begun is finished when a limit is reached.

    A pause that was asked for before it began is over. Afterwards `done` is how many experiments there were
    (keeps that were taken back not counted), and `decided` how many of them had a verdict on their change.
    `why` says why no more; `gave_up` whether it was the proposer, `cut` whether it was a limit.
    Raises TargetError where the baseline cannot be judged, UsageError where the goal is about no such number.
    """

    engine: Engine
    limits: Limits = field(default_factory=Limits)
    workers: int = 1
    done: int = 0
    decided: int = 0
    why: str = ""
    gave_up: bool = False
    cut: bool = False
    _team: Team | None = None
    _spent: Cost = field(default_factory=Cost)
    _started: float = field(default_factory=time.monotonic)

    def __iter__(self) -> Iterator[Experiment]:
        engine = self.engine
        steering.resume(self._home)
        engine.prepare()
        self._goal()  # an unknown one is told before anything is run
        with nullcontext() if self.workers == 1 else Team(engine, self.workers) as self._team:
            while not (yield from self._ended()):
                experiment = self._cycle()
                if experiment is None:
                    break
                yield experiment
                if experiment.commit and len(due(engine)) >= engine.target.policy.recheck:
                    yield from self._drained()
                    yield from rechecks(engine)
            yield from self._drained()
        engine.judge.deadline = self._deadline(share=1.0)
        yield from rechecks(engine)
        if engine.claim_due():
            engine.claim()
        if self.done:
            engine.settle()

    @property
    def _home(self) -> Path:
        return self.engine.ledger.path.parent

    def _wait(self) -> None:
        """Do nothing while the user wants a pause, which no time limit counts."""
        since = time.monotonic()
        while steering.read(self._home).paused:
            self.engine.judge.phase = "paused; `optiloop resume` goes on"
            time.sleep(LOOK_SECONDS)
        self._started += time.monotonic() - since

    def _goal(self) -> float | None:
        """The champion's number that a goal is about, None without one. Raises UsageError: there is none."""
        until = self.limits.until
        if until is None:
            return None
        history, calibration = self.engine.history(), self.engine.state.calibration()
        known = dict(calibration.numbers) if calibration else {}
        metric, kept = self.engine.target.metric.name, history.kept
        if calibration is not None:
            known[metric] = calibration.baseline.value if kept is None else kept
        known.update(history.profile)
        if until.metric not in known:
            others = f"; the benchmark also gives {', '.join(sorted(set(known) - {metric}))}"
            also = others if len(known) > 1 else ""
            raise UsageError(f"--until: the metric is {metric!r}, not {until.metric!r}{also}")
        return known[until.metric]

    def _ended(self) -> Generator[Experiment, None, bool]:
        """Whether a limit is reached; else the engine knows what is left of each.

        Before a pause what is under way is finished.
        """
        if steering.read(self._home).paused:
            yield from self._drained()
        self._wait()
        history = self.engine.history()
        spent = self._spent if self._team is None else self._spent + self._team.cost
        progress = Progress(
            cycles=self.done,
            seconds=time.monotonic() - self._started,
            usd=spent.usd,
            tokens=spent.tokens,
            champion=self._goal(),
            since_keep=min(history.since_keep, self.done),
            reserve=self.engine.claim_seconds() + recheck_seconds(self.engine),
        )
        self.why = stop_reason(self.limits, progress) or ""
        self.cut = bool(self.why)
        if not self.why and self.engine.holdout_spent():
            self.why = "the hold-out has given all its answers, and nothing is kept without it"
        if not self.why and min(history.barren, self.done) >= BARREN:
            self.why, self.gave_up = f"the proposer gave up: {history.latest(1)[0].reason}", True
        self.engine.judge.deadline = self._deadline(share=0.5, reserve=recheck_seconds(self.engine))
        self.engine.allowance = allowance(self.limits, progress)
        return bool(self.why)

    def _drained(self) -> Iterator[Experiment]:
        """What was under way when no more was to be begun."""
        for experiment in () if self._team is None else self._team.drained():
            self._count(experiment)
            yield experiment

    def _cycle(self) -> Experiment | None:
        """The next experiment; None where there is none, and `why` says so."""
        left = None if self.limits.cycles is None else self.limits.cycles - self.done
        try:
            experiment = self.engine.cycle() if self._team is None else self._team.cycle(left)
        except AllowanceError as error:
            self.why = str(error)
            return None
        except ProposerGoneError as error:
            self.why, self.gave_up = str(error), True
            return None
        if experiment is None:
            self.engine.exhausted()
            self.why = "nothing is left to try"
            return None
        self._count(experiment)
        return experiment

    def _count(self, experiment: Experiment) -> None:
        self.done, self._spent = self.done + 1, self._spent + experiment.cost
        self.decided += experiment.status is not Status.NO_PROPOSAL and not is_unanswered(experiment.reason)

    def _deadline(self, *, share: float, reserve: float = 0.0) -> float:
        """When measuring must end, so that the closing claim fits into `share` of the run's time at most."""
        if self.limits.seconds is None:
            return math.inf
        closing = min(self.engine.claim_seconds() + reserve, self.limits.seconds * share)
        return self._started + self.limits.seconds - closing
