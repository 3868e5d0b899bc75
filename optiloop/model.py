"""The nouns of optiloop: frozen values, three enums, two protocols. Pure.

A quantity carries its unit in its name unless its type says it. Absence is None, never a number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NewType, Protocol

Seconds = NewType("Seconds", float)

DEMOTION = "demotion"
"""The tag of a keep that took an earlier keep back."""

TAKES_BACK = "takes-back:"
"""The beginning of that keep's other tag: the earlier one's id follows."""


TRIED_AT = "at:"
"""The beginning of a tag that names the place where nothing could be proposed (see Lesson)."""

REPEATS = "repeats:"
"""The beginning of a tag for each answer that was refused on the way to a proposal: its twin's id follows."""

HOLDOUT = "hold-out"
"""The name of the hold-out among the gates of a log line."""


class Direction(StrEnum):
    """Which way a metric gets better."""

    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"

    @property
    def sign(self) -> int:
        """+1 when smaller is better, -1 when larger is: `sign * (champion - candidate)` is a gain."""
        return 1 if self is Direction.MINIMIZE else -1


class Noise(StrEnum):
    """How a metric varies when the same code is measured again (docs/decision.md)."""

    TIMING = "timing"
    DETERMINISTIC = "deterministic"
    COSTLY = "costly"


class Compare(StrEnum):
    """What two values of a metric are compared by: their ratio, or their difference in the metric's unit."""

    RATIO = "ratio"
    DIFFERENCE = "difference"


class Status(StrEnum):
    """How an experiment ended. Only KEEP moves the branch."""

    KEEP = "keep"
    DISCARD = "discard"
    DUPLICATE = "duplicate"
    GATE_FAILED = "gate_failed"
    CRASH = "crash"
    VIOLATION = "violation"
    NO_PROPOSAL = "no_proposal"


class Novelty(StrEnum):
    """What a proposal is to the log (docs/memory.md)."""

    NOVEL = "novel"
    KNOWN_SUCCESS = "known_success"
    INCREMENTAL_FOLLOWUP = "incremental_followup"
    REPEAT_FAILURE = "repeat_failure"
    DUPLICATE_RUN = "duplicate_run"


class Mode(StrEnum):
    """What a run is for, and so which proposals it may run.

    EXPLORE: new ones only. EXPLOIT, the default: all but repeats. REPLICATE: what the log knows already.
    """

    EXPLORE = "explore"
    EXPLOIT = "exploit"
    REPLICATE = "replicate"


class Lessons(StrEnum):
    """How a proposer that reads is told of the log (docs/memory.md)."""

    DIGEST = "digest"
    SUMMARIZE = "summarize"
    CATEGORIZE = "categorize"
    TRUNCATE = "truncate"
    NONE = "none"


# --- a target: what may be edited, how it is judged right, how it is judged better -------------------


@dataclass(frozen=True)
class Command:
    """A command to run in the target's folder.

    `line` is an argv, or one string: split like a shell splits words, run by `sh -c` only where it
    holds shell syntax. `timeout` is the wall-clock budget after which its whole process tree dies.
    """

    line: str | tuple[str, ...]
    timeout: Seconds = Seconds(60.0)
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Gate:
    """A command that must exit 0 before a candidate is measured.

    `tests` is how many tests it must report as passed; None: as many as it did for the baseline.
    """

    name: str
    command: Command
    tests: int | None = None


@dataclass(frozen=True)
class Holdout:
    """A command that must exit 0 before a keep, of which candidates and proposers see as little as can be.

    `files` lie in no worktree but while it runs; None: those that its command names and no other does.
    `peeks` is how many answers one campaign gets: each tells a little of what it holds. `claim` gives the
    metric's number on what is held out: the closing claim is measured by it.
    """

    command: Command
    files: tuple[str, ...] | None = None
    peeks: int = 200
    claim: Command | None = None


@dataclass(frozen=True)
class Metric:
    """The one number that decides, and how to get it.

    `parser` names a parser (see parsers); `options` are its own keys, e.g. `pattern` for regex.
    `min_effect` is the smallest gain worth keeping: relative (0.005 = half a percent), or in the metric's
    unit where values are compared by their difference. With `duet` one run of the command measures both sides
    of a pair, in turn: the folder it runs in, and the one in OPTILOOP_RIVAL, as `rival.<name>`.
    """

    name: str
    command: Command
    direction: Direction = Direction.MINIMIZE
    unit: str = ""
    parser: str = "metric-line"
    options: Mapping[str, str] = field(default_factory=dict)
    noise: Noise = Noise.TIMING
    min_effect: float = 0.005
    compare: Compare = Compare.RATIO
    duet: bool = False


@dataclass(frozen=True)
class Guard:
    """A secondary metric of the metric's command that may not get worse than a factor of the champion's."""

    metric: str
    max_ratio: float | None = None
    min_ratio: float | None = None


@dataclass(frozen=True)
class Policy:
    """How much proof a keep needs (docs/decision.md).

    `alpha` bounds the probability of keeping a candidate that is not better, at any stopping time.
    `kappa` is the smallest effect looked for, in units of the noise. `max_pairs` bounds the samples.
    `strict` lowers alpha from test to test so that the expected share of false keeps of a whole campaign
    stays within 10 %. `simplify` also keeps what is simpler and shown to be no worse than by `margin`
    (a share, as `min_effect`). Kept changes are measured again after every `recheck` of them. What looks
    `audit` times better or more is looked at a second time before it is kept; infinity: never.
    """

    alpha: float = 0.01
    kappa: float = 1.0
    max_pairs: int = 30
    strict: bool = False
    simplify: bool = False
    margin: float = 0.01
    recheck: int = 10
    audit: float = 5.0


@dataclass(frozen=True)
class Budget:
    """Wall-clock limits; None is no limit. `cycle` bounds one experiment's measuring, `run` a whole run."""

    cycle: Seconds | None = None
    run: Seconds | None = None


@dataclass(frozen=True)
class Confinement:
    """What a target's commands may use; docs/security.md says which level enforces what.

    `memory` is per process and None three quarters of the machine's; `disk` is what one command may add.
    Both are bytes. Paths are absolute, or relative to the target's folder. `pass_env` names variables.
    `cache` gives commands one folder beside the log in which they remember things from run to run.
    """

    network: bool = False
    memory: int | None = None
    processes: int = 512
    disk: int = 4 * 2**30
    read_only: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    cache: bool = False
    pass_env: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """What may be edited, how it is judged right, and how it is judged better.

    `root` is the target's folder; all paths in `editable` and `context` are relative to it, with `/`.
    `start` is run once, when a campaign begins: what it writes to editable files is what that begins from.
    """

    name: str
    root: Path
    editable: tuple[str, ...]
    metric: Metric
    goal: str = ""
    gates: tuple[Gate, ...] = ()
    guards: tuple[Guard, ...] = ()
    holdout: Holdout | None = None
    diagnose: Command | None = None
    check: Command | None = None
    start: Command | None = None
    context: tuple[str, ...] = ()
    policy: Policy = Policy()
    budget: Budget = Budget()
    files_per_change: int = 1
    sandbox: Confinement = Confinement()
    lessons: Lessons = Lessons.DIGEST


# --- between loop and proposer -----------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """What a proposal cost to obtain. Embedded proposers cost nothing.

    `tokens` counts those read and written, `tokens_out` the written ones among them, `seconds` the wait.
    """

    usd: float = 0.0
    tokens: int = 0
    tokens_out: int = 0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        """Both together."""
        return Cost(
            self.usd + other.usd,
            self.tokens + other.tokens,
            self.tokens_out + other.tokens_out,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True)
class Allowance:
    """What proposers may still spend in this run; infinite where the user set no limit."""

    usd: float = math.inf
    tokens: float = math.inf
    seconds: float = math.inf


@dataclass(frozen=True)
class Lesson:
    """One earlier experiment as a proposer needs it.

    `result` fingerprints the whole program it proposed, `change` the definitions it changed, before
    and after; both are None where nothing was proposed. `champion` is the champion's metric at the
    time, `effect` how many times better the candidate was; None where it was not measured. `partial` is where
    a run that was ended early stood: its share, and the metric then. `hypothesis` and `reason` are on one
    line, plain and short. `places` says what it changed: `path::function`, or the path.
    """

    id: str
    status: Status
    origin: str
    family: str
    hypothesis: str
    reason: str
    result: str | None
    change: str | None
    tags: tuple[str, ...]
    parent: str
    champion: float | None
    effect: float | None
    seconds: float
    cost: Cost
    partial: tuple[float, float] | None = None
    places: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kin:
    """What a proposal is to an earlier experiment: `of` is its id, empty for none; `level` how it is known.

    `why` says it in words. `refused` was not run for it; `audit` was run to test the rule that refuses it.
    """

    novelty: Novelty = Novelty.NOVEL
    of: str = ""
    level: str = ""
    why: str = ""
    refused: bool = False
    audit: bool = False


@dataclass(frozen=True)
class Assignment:
    """Where a proposer is asked to look: a file, a function or setting in it, and a kind of idea.

    `part` is a dotted name; None: the whole file. `family` is empty where any idea will do.
    """

    path: str
    part: str | None = None
    family: str = ""

    @property
    def place(self) -> str:
        """As a Lesson names it."""
        return f"{self.path}::{self.part}" if self.part else self.path


class Recall(Protocol):
    """What the log remembers, for a proposer's questions. Each answer costs the same at any log length."""

    def result(self, fingerprint: str) -> Lesson | None:
        """The latest experiment that ended in this very program, or None."""

    def change(self, fingerprint: str) -> Lesson | None:
        """The latest experiment that made this very change on any base, or None."""

    def tagged(self, tag: str) -> Lesson | None:
        """The latest experiment with this tag, or None."""

    def spent(self, origin: str, family: str | None = None) -> Spent:
        """What the experiments of one proposer (and family) have gained and used so far."""

    def latest(self, count: int) -> tuple[Lesson, ...]:
        """The newest `count` experiments, oldest first."""

    def keeps(self, count: int) -> tuple[Lesson, ...]:
        """The newest `count` of those that were kept, oldest first, also what was taken back since."""

    def at(self, place: str, count: int) -> tuple[Lesson, ...]:
        """The newest `count` of those that changed a place (see Lesson) or a file, oldest first."""

    def spent_at(self, place: str) -> Spent:
        """What the experiments that changed a place or a file have gained and used so far."""

    def tries(self, place: str, family: str, count: int) -> tuple[Lesson, ...]:
        """The newest `count` experiments of one family of ideas at a place or file, oldest first."""

    def families(self, place: str) -> Mapping[str, Spent]:
        """What each family of ideas has gained and used at a place or file."""

    def kin(self, before: Mapping[str, str], after: Mapping[str, str]) -> Kin:
        """What a change from one program to another is to the log, and whether the run's mode refuses it."""

    def notes(self, place: str) -> tuple[str, ...]:
        """What the log teaches about a place: a few lines, each beginning with the id of a finding."""

    def diff(self, experiment: str) -> str:
        """The diff that an experiment proposed, by its id, read from the log; empty where there is none."""


@dataclass(frozen=True)
class Spent:
    """What a group of experiments used and gained: `gain` is the sum of log(effect) over the kept ones."""

    experiments: int = 0
    kept: int = 0
    gain: float = 0.0
    seconds: float = 0.0
    usd: float = 0.0


@dataclass(frozen=True)
class Brief:
    """All that a proposer sees.

    `source` maps each editable path to the champion's text, `baseline` to the text the campaign began
    with; `context` holds the read-only files shown.
    `profile` maps a name (of a function, usually) to its share of the metric, where the benchmark or
    the diagnose command tells. `diagnosis` is that command's output, plain, capped and fenced: a candidate
    may speak in it. `folder` holds a throw-away copy of the target. `seed` is this cycle's
    randomness: the same log and seed give the same brief. `elsewhere` is what each (origin, family) used and
    gained in the logs of other targets; empty unless the user named them. `simplify` says that what is
    simpler and no worse is kept. `allowance` is a hard limit. `answers` is a folder for what was paid for: it
    outlives the process, so that the same brief need not be paid for twice. A proposal may edit
    `files_per_change` files. `sandbox` is the level at which a proposer runs programs of its own.
    `lessons` is how the log is told. `note` is what the user says to the loop meanwhile, on one line.
    `busy` are the places that are changed by what is judged at this moment; `recall` counts it as tried.
    """

    goal: str
    source: Mapping[str, str]
    metric: Metric
    recall: Recall
    seed: int
    folder: Path
    champion: float | None = None
    baseline: Mapping[str, str] = field(default_factory=dict)
    context: Mapping[str, str] = field(default_factory=dict)
    profile: Mapping[str, float] = field(default_factory=dict)
    diagnosis: str = ""
    elsewhere: Mapping[tuple[str, str], Spent] = field(default_factory=dict)
    simplify: bool = False
    allowance: Allowance = Allowance()
    answers: Path | None = None
    files_per_change: int = 1
    sandbox: str = "process"
    lessons: Lessons = Lessons.DIGEST
    note: str = ""
    busy: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Proposal:
    """One change: the whole new text of each file it edits, and why.

    `family` groups ideas of one kind ("memoise"); `origin` names the proposer; `tags` are for its own use.
    """

    edits: Mapping[str, str]
    hypothesis: str
    origin: str
    family: str = ""
    tags: tuple[str, ...] = ()
    cost: Cost = Cost()


class Proposer(Protocol):
    """Anything that proposes one change at a time."""

    def propose(self, brief: Brief) -> Proposal | None:
        """Return the next change worth an experiment, or None when nothing is left to propose.

        Raises ProposerError (with its cost) when it tried and failed: the cycle is logged as
        `no_proposal` and the loop goes on.
        """


# --- measuring and deciding --------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """One run of the metric's command: the metric and the guarded numbers by name, and what it took.

    `curve` holds the metric on the way, (share of the run, value), where the command prints it. A run that
    was ended early for it has no values.
    """

    values: Mapping[str, float]
    seconds: float
    cpu_seconds: float
    curve: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Pair:
    """Champion and candidate, measured back to back with the same seed, in a random order."""

    champion: Sample
    candidate: Sample
    candidate_first: bool
    seed: int


@dataclass(frozen=True)
class Rule:
    """What decided: kind of noise, smallest gain worth keeping, and the policy with alpha as it was used."""

    noise: Noise
    min_effect: float
    compare: Compare
    policy: Policy


@dataclass(frozen=True)
class Level:
    """What is remembered of a costly champion: the mean of its earlier runs and the noise of one run.

    `mean` and `sd` are logarithms where values are compared by ratio, else in the metric's unit. `runs`
    is how many the mean is of, `freedom` the degrees of freedom of `sd`. `curve` is one run's course.
    """

    mean: float
    sd: float
    runs: int
    freedom: int
    curve: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Measurement:
    """The samples of one experiment, in the order they were taken, and what they are judged by.

    `scale` is the robust standard deviation of one pair's gain for equal code, or None where the metric is
    not decided by pairs alone; `scales` holds the same for guarded numbers. `confirmed` is the candidate's
    metric in a second run, taken before a deterministic keep. `level` and `screen` belong to a costly
    metric: what was known of the champion, and the candidate's first run. `complexity` is the champion's
    and the candidate's, where simpler counts. `secondary` holds the metrics that decide nothing: name ->
    (median of the champion's, median of the candidate's). `audit` holds the pairs of the second look at a
    candidate that looked too good.
    """

    pairs: tuple[Pair, ...]
    scale: float | None = None
    confirmed: float | None = None
    secondary: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    scales: Mapping[str, float] = field(default_factory=dict)
    level: Level | None = None
    screen: Sample | None = None
    complexity: tuple[int, int] | None = None
    rule: Rule | None = None
    audit: tuple[Pair, ...] = ()


@dataclass(frozen=True)
class Interval:
    """A confidence interval; an end is infinite where the samples do not bound it."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if math.isnan(self.low) or math.isnan(self.high) or self.low > self.high:
            raise ValueError(f"not an interval: {self.low} .. {self.high}")


@dataclass(frozen=True)
class Verdict:
    """How an experiment ended and why.

    `effect` is how many times better the candidate is (2.0 = twice as fast, or twice the score), or by how
    much in the metric's unit where values are compared by their difference. `interval` is its interval,
    `evidence` the e-value reached; None where nothing was measured.
    """

    status: Status
    reason: str
    effect: float | None = None
    interval: Interval | None = None
    evidence: float | None = None

    @property
    def kept(self) -> bool:
        return self.status is Status.KEEP


@dataclass(frozen=True)
class GateResult:
    """What one gate said; `reason` is empty where it passed.

    `tests` is how many tests passed, None where its output does not tell.
    """

    name: str
    passed: bool
    reason: str
    seconds: float
    tests: int | None = None


@dataclass(frozen=True)
class Finding:
    """What became of one proposal, up to the first "no"."""

    verdict: Verdict
    gates: tuple[GateResult, ...] = ()
    measurement: Measurement | None = None


@dataclass(frozen=True)
class Experiment:
    """One line of the log.

    `parent` is the champion's commit the candidate was compared with, `commit` the one a keep made.
    `previous` is the SHA-256 of the line before; empty in the first. `time` is UTC, ISO 8601.
    """

    id: str
    time: str
    target: str
    parent: str
    status: Status
    reason: str
    origin: str
    family: str
    hypothesis: str
    tags: tuple[str, ...]
    cost: Cost
    result: str | None
    change: str | None
    diff: str
    gates: tuple[GateResult, ...]
    measurement: Measurement | None
    effect: float | None
    interval: Interval | None
    evidence: float | None
    seconds: float
    seed: int
    commit: str | None = None
    previous: str = ""
    sandbox: str = ""
    """The level that contained its commands; empty in logs that did not say yet."""
    kin: Kin | None = None
    """What it was to the log before it; None where it was new, and in logs that did not say yet."""


@dataclass(frozen=True)
class Baseline:
    """What measuring the unchanged target against itself showed, before the first experiment.

    `value` is the metric's median, `nulls` the gains of equal code per pair, `guard_nulls` the same of each
    guarded number, `scale` the robust standard deviation of `nulls` (None where pairs alone do not decide),
    `seconds` what one sample took, `cpu_scale` the noise that CPU time would have had, where it was seen.
    `samples` are a costly metric's runs. `census` is how many tests passed, by gate.
    """

    commit: str
    value: float
    nulls: tuple[float, ...]
    scale: float | None
    seconds: float
    guard_nulls: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()
    cpu_scale: float | None = None
    census: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Recheck:
    """A kept change, measured again beside what it replaced: does it hold?

    `effect` is how much better it is (as in a Verdict), `interval` at the policy's level.
    """

    experiment: str
    time: str
    pairs: int
    holds: bool
    effect: float | None
    interval: Interval | None


@dataclass(frozen=True)
class Claim:
    """A fresh measurement of the baseline against a champion, taken after the last decision, never fed back.

    `ratio` is how many times better the champion is, `interval` its 95 % interval; None where either
    side gave no number, or where the ratio has no meaning (a metric of zero or below). `difference` and its
    interval say by how much it is better, in the metric's unit. `held_out`: on what no decision was made by.
    """

    commit: str
    time: str
    pairs: int
    baseline: float
    champion: float
    ratio: float | None
    interval: Interval | None
    difference: float | None = None
    difference_interval: Interval | None = None
    held_out: bool = False
