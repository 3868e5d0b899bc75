"""A simulated machine, campaigns on it, and optiloop's own rule in them. Pure, but for its random numbers.

Decisions are taken by `optiloop.decide` and `optiloop.memory.noise.Yardstick`, asked in the order in which
`optiloop.measure` and `optiloop.recheck` ask them. The rules of others: rivals.py; the tables: decisions.py.
"""

from __future__ import annotations

import math
import random
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from optiloop.decide import decide, gain_of, of_sample, recheck, rule_of
from optiloop.measure import BASELINE_PAIRS, BASELINE_RUNS, CLAIM_PAIRS
from optiloop.memory.noise import Yardstick
from optiloop.model import (
    Baseline,
    Command,
    Experiment,
    Guard,
    Measurement,
    Metric,
    Noise,
    Pair,
    Policy,
    Proposal,
    Sample,
    Status,
    Target,
    Verdict,
)
from optiloop.stats import median_interval
from optiloop.testing import experiment_of

IDLE = 25
"""Moments that pass on the machine between two candidates."""

METRIC = Metric("t", Command(()), min_effect=0.005)
COSTLY = replace(METRIC, noise=Noise.COSTLY)
DETERMINISTIC = replace(METRIC, noise=Noise.DETERMINISTIC, min_effect=0.0)


# --- the machine -----------------------------------------------------------------------------------------


@dataclass
class Machine:
    """One machine's multiplicative noise; each call is one run of a program that takes exp(log_time)."""

    rng: random.Random
    sd: float = 0.01
    freedom: float = 0.0
    """Degrees of freedom of Student's t; 0 is Gaussian."""
    tail: float = 0.0
    """Size of a lognormal right tail."""
    walk: float = 0.0
    """Step of a random walk up to +-20 %."""
    wander: float = 0.0
    """Standard deviation of an autoregressive level (0.95)."""
    steps: float = 0.0
    """Probability that the level jumps anywhere within +-30 %."""
    bursts: bool = False
    """+20..100 % on about 9 % of runs."""
    modes: float = 0.0
    """Gap of two equally likely modes."""
    quantum: float = 0.0
    """Share of the value to which the clock rounds."""
    _level: float = 0.0
    _burst: float = 0.0

    def __call__(self, log_time: float = 0.0) -> float:
        rng = self.rng
        self._pass()
        noise = rng.gauss(0.0, self.sd) if self.sd else 0.0
        if self.freedom:
            noise /= math.sqrt(rng.gammavariate(self.freedom / 2, 2.0) / self.freedom)
        noise += self._level + math.log1p(self._burst)
        if self.modes and rng.random() < 0.5:
            noise += math.log1p(self.modes)
        if self.tail:
            noise += math.log1p(self.tail * math.exp(rng.gauss(0.0, 1.0)))
        if self.quantum:
            return math.exp(round((log_time + noise) / self.quantum) * self.quantum)
        return math.exp(log_time + noise)

    def idle(self, moments: int) -> None:
        """Let time pass without a run."""
        if self.walk or self.wander or self.steps or self.bursts:
            for _ in range(moments):
                self._pass()

    def _pass(self) -> None:
        rng = self.rng
        if self.walk:
            self._level = max(-0.2, min(0.2, self._level + rng.gauss(0.0, self.walk)))
        if self.wander:
            self._level = 0.95 * self._level + rng.gauss(0.0, self.wander * math.sqrt(1 - 0.95**2))
        if self.steps and rng.random() < self.steps:
            self._level = rng.uniform(-0.3, 0.3)
        if self.bursts:
            if self._burst and rng.random() < 0.25:
                self._burst = 0.0
            elif not self._burst and rng.random() < 0.025:
                self._burst = rng.uniform(0.2, 1.0)


Model = Callable[[random.Random], Machine]

MODELS: dict[str, Model] = {
    "g1": lambda rng: Machine(rng, sd=0.01),
    "g5": lambda rng: Machine(rng, sd=0.05),
    "g10": lambda rng: Machine(rng, sd=0.10),
    "heavy": lambda rng: Machine(rng, tail=0.03),
    "drift": lambda rng: Machine(rng, sd=0.02, walk=0.005),
    "burst": lambda rng: Machine(rng, sd=0.015, bursts=True),
    "ci": lambda rng: Machine(rng, sd=0.015, tail=0.014, walk=0.002, bursts=True),
}
"""Amplitudes with which others' rules reach what the study reports of them (docs/decision.md)."""

HOSTILE: dict[str, Model] = {
    "two modes 10 % apart": lambda rng: Machine(rng, modes=0.10),
    "clock of 2 %": lambda rng: Machine(rng, quantum=0.02),
    "Student t2": lambda rng: Machine(rng, freedom=2),
    "drift and steps": lambda rng: Machine(rng, walk=0.005, steps=0.05),
    "no noise": lambda rng: Machine(rng, sd=0.0),
}

COSTLY_MODELS: dict[str, Model] = {
    "sigma 1 %": lambda rng: Machine(rng, sd=0.01),
    "sigma 0.2 %": lambda rng: Machine(rng, sd=0.002),
    "t3 tails": lambda rng: Machine(rng, sd=0.01 / math.sqrt(3), freedom=3),
    "AR drift": lambda rng: Machine(rng, sd=0.01, wander=0.01),
}

EXACT: dict[str, Model] = {"exact": lambda rng: Machine(rng, sd=0.0)}

EVERY_MODEL = {**MODELS, **HOSTILE, **COSTLY_MODELS, **EXACT}


# --- candidates ------------------------------------------------------------------------------------------


def mixture(rng: random.Random, count: int, *, best: float = 0.5) -> Iterator[float]:
    """True log gains: 35 % none, 35 % worse by 0.1-1 %, 20 % by 2-100 %, 10 % better by 0.5 % to `best`.

    By x % worse takes 1 + x times as long, by x % better 1 - x times: 50 % better is half the time.
    """
    for _ in range(count):
        kind = rng.random()
        if kind < 0.35:
            yield 0.0
        elif kind < 0.70:
            yield -math.log1p(rng.uniform(0.001, 0.01))
        elif kind < 0.90:
            yield -math.log1p(_log_uniform(rng, 0.02, 1.0))
        else:
            yield -math.log1p(-_log_uniform(rng, 0.005, best))


def mature(rng: random.Random, count: int) -> Iterator[float]:
    """The same, of code that has no gain above 5 % left."""
    yield from mixture(rng, count, best=0.05)


def nulls(rng: random.Random, count: int) -> Iterator[float]:
    """Nothing to find."""
    yield from (0.0 for _ in range(count))


def slightly_worse(rng: random.Random, count: int) -> Iterator[float]:
    """All worse than what they change, by 0.1-1 %."""
    yield from (-math.log1p(rng.uniform(0.001, 0.01)) for _ in range(count))


def worse(rng: random.Random, count: int) -> Iterator[float]:
    """All worse than what they change, by 1-10 %."""
    yield from (-math.log1p(_log_uniform(rng, 0.01, 0.1)) for _ in range(count))


Candidates = Callable[[random.Random, int], Iterator[float]]


def _log_uniform(rng: random.Random, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


SIZES = ("0.5-1 %", "1-2 %", "2-5 %", "5-10 %", ">= 10 %")


def size_of(gain: float) -> str:
    """The class of a true gain."""
    limits = (0.01, 0.02, 0.05, 0.10, 1.0)
    saved = -math.expm1(-gain)
    return next(size for size, limit in zip(SIZES, limits, strict=True) if saved < limit)


# --- rules -----------------------------------------------------------------------------------------------


@dataclass
class Bench:
    """What a rule may do: run the champion or the candidate (log times). Counts the runs."""

    machine: Machine
    rng: random.Random
    champion: float = 0.0
    candidate: float = 0.0
    runs: int = 0

    def run(self, log_time: float) -> float:
        self.runs += 1
        return self.machine(log_time)

    def sample(self, *, candidate: bool) -> Sample:
        """One run as the engine holds it."""
        return Sample({"t": self.run(self.candidate if candidate else self.champion)}, 0.0, 0.0)

    def pair(self) -> Pair:
        """Champion and candidate back to back, in random order."""
        if self.rng.random() < 0.5:
            champion = self.sample(candidate=False)
            return Pair(champion, self.sample(candidate=True), candidate_first=False, seed=0)
        candidate = self.sample(candidate=True)
        return Pair(self.sample(candidate=False), candidate, candidate_first=True, seed=0)

    def gain(self) -> float:
        """The log gain that one pair shows."""
        pair = self.pair()
        return math.log(pair.champion.values["t"] / pair.candidate.values["t"])


class Rule:
    """Decides about one candidate after the other; the base keeps whatever a single run says."""

    name = "greedy: one run, stored best"

    def begin(self, bench: Bench) -> None:
        """Measure what the campaign begins with."""
        self.first = self.best = bench.run(bench.champion)

    def keeps(self, bench: Bench) -> bool:
        """Whether the candidate is kept."""
        found = bench.run(bench.candidate)
        if found >= self.best:
            return False
        self.best = found
        return True

    def end(self, bench: Bench) -> None:
        """What is left to do after the last candidate."""

    def announced(self) -> float:
        """The log gain that the rule's own numbers add up to."""
        return math.log(self.first / self.best)


@dataclass
class Keep:
    """A keep of ours: its true gain, what it seemed to be worth, and whether it was measured again."""

    gain: float
    effect: float
    measured_again: bool = False


class Optiloop(Rule):
    """`decide` and `Yardstick`; `rechecks` as `optiloop run` does, after ten keeps and at the end."""

    def __init__(
        self,
        name: str = "optiloop",
        *,
        metric: Metric = METRIC,
        policy: Policy | None = None,
        rechecks: bool = False,
        guards: tuple[Guard, ...] = (),
        complexity: tuple[int, int] | None = None,
    ) -> None:
        self.name, self.rechecks, self.complexity = name, rechecks, complexity
        unaudited = replace(policy or Policy(), audit=math.inf)  # no gain here is a jump
        self.target = Target("t", Path(), ("t",), metric, policy=unaudited, guards=guards)

    def begin(self, bench: Bench) -> None:
        self.standing: list[Keep] = []
        self.taken_back: list[Keep] = []
        self.head: Keep | None = None
        self.recheck_runs = 0
        self.pairs = 0
        self._known: Sample | None = None
        self._measured: Sample | None = None
        self.yardstick = Yardstick(self.target.metric, self._baseline(bench))

    def keeps(self, bench: Bench) -> bool:
        verdict = self.judge(bench)
        if not verdict.kept:
            return False
        effect = gain_of(verdict.effect or 1.0, self.target.metric)
        self.head, self._known = Keep(bench.champion - bench.candidate, effect), self._measured
        self.standing.append(self.head)
        if self.rechecks and len(self._due()) >= self.target.policy.recheck:
            bench.champion = bench.candidate
            self._measure_again(bench)
            bench.candidate = bench.champion
        return True

    def end(self, bench: Bench) -> None:
        if self.rechecks:
            self._measure_again(bench)

    def announced(self) -> float:
        return math.fsum(keep.effect for keep in self.standing)

    def judge(self, bench: Bench) -> Verdict:
        """Measure one candidate as `Judge.measure` does, and learn from it as `History` does."""
        measurement = self._start()
        verdict: Verdict | None = None
        while verdict is None:
            measurement = self._next(measurement, bench)
            verdict = decide(measurement, self.target)
        self.pairs = len(measurement.pairs)
        self.yardstick.learn(replace(_LINE, status=verdict.status, reason=verdict.reason), measurement)
        return verdict

    def _start(self) -> Measurement:
        known = self.yardstick
        return Measurement(
            (),
            scale=known.scale,
            scales=known.scales,
            level=known.level,
            complexity=self.complexity,
            rule=rule_of(self.target, known.alpha(self.target.policy)),
        )

    def _next(self, measurement: Measurement, bench: Bench) -> Measurement:
        noise = self.target.metric.noise
        if noise is Noise.COSTLY and measurement.screen is None:
            return replace(measurement, screen=bench.sample(candidate=True))
        if noise is Noise.DETERMINISTIC and not measurement.pairs:
            if self._known is None:
                self._known = bench.sample(candidate=False)
            self._measured = bench.sample(candidate=True)
            pair = Pair(self._known, self._measured, candidate_first=False, seed=0)
            return replace(measurement, pairs=(pair,))
        if noise is Noise.DETERMINISTIC and measurement.confirmed is None:
            return replace(measurement, confirmed=bench.sample(candidate=True).values["t"])
        return replace(measurement, pairs=(*measurement.pairs, bench.pair()))

    def _baseline(self, bench: Bench) -> Baseline:
        bench.candidate = bench.champion
        noise = self.target.metric.noise
        if noise is Noise.DETERMINISTIC:
            return Baseline("", 1.0, (), None, 0.0)
        if noise is Noise.COSTLY:
            runs = tuple(bench.sample(candidate=False) for _ in range(BASELINE_RUNS))
            return Baseline("", 1.0, (), None, 0.0, samples=runs)
        pairs = [bench.pair() for _ in range(BASELINE_PAIRS)]
        guards = {
            guard.metric: tuple(
                math.log(pair.candidate.values[guard.metric] / pair.champion.values[guard.metric])
                for pair in pairs
            )
            for guard in self.target.guards
        }
        return Baseline("", 1.0, tuple(map(_gain, pairs)), None, 0.0, guard_nulls=guards)

    def _due(self) -> list[Keep]:
        return [keep for keep in self.standing if not keep.measured_again]

    def _measure_again(self, bench: Bench) -> None:
        """Newest first; an older one that does not hold is measured once more, in the champion of now."""
        before = bench.runs
        for keep in reversed(self._due()):
            keep.measured_again = True
            if self._holds(bench, keep) or (keep is not self.head and self._holds(bench, keep)):
                continue
            self.standing.remove(keep)
            self.taken_back.append(keep)
            bench.champion += keep.gain
            self.head = None
        self.recheck_runs += bench.runs - before

    def _holds(self, bench: Bench, keep: Keep) -> bool:
        policy, simpler = self.target.policy, self.complexity is not None
        again = replace(bench, champion=0.0, candidate=-keep.gain, runs=0)
        measurement, verdict = self._start(), None
        while verdict is None:
            measurement = replace(measurement, pairs=(*measurement.pairs, again.pair()))
            verdict = recheck(measurement, self.target, margin=policy.margin if simpler else 0.0)
        bench.runs += again.runs
        return verdict.kept


def _gain(pair: Pair) -> float:
    return of_sample(pair.champion, METRIC) - of_sample(pair.candidate, METRIC)


_LINE: Experiment = experiment_of(Proposal({"t": ""}, "", ""), {"t": "\n"})


# --- campaigns -------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What the campaigns of one rule came to."""

    campaigns: int = 0
    decided: int = 0
    runs: int = 0
    not_better: int = 0
    false_keeps: int = 0
    keeps: int = 0
    found: defaultdict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    runs_of: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Runs by kind of candidate: equal, worse (by 2 % and more), kept."""
    gain: float = 0.0
    oracle: float = 0.0
    announced_errors: list[float] = field(default_factory=list)
    claim_errors: list[float] = field(default_factory=list)
    covered: list[bool] = field(default_factory=list)
    ended_worse: int = 0
    """Campaigns that ended with a program truly worse than the one they began with."""
    verified_worse: int = 0
    """Those of them whose fresh claim says that it is better."""
    false_keeps_each: list[int] = field(default_factory=list)
    standing_false: int = 0
    standing: int = 0
    lost: defaultdict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    """True keeps by size: whether a recheck took it back."""
    recheck_runs: int = 0

    def campaign(self, rule: Rule, bench: Bench, gains: Sequence[float]) -> None:
        """Run one campaign, and measure its claim afresh."""
        self.campaigns += 1
        rule.begin(bench)
        false_before = self.false_keeps
        for gain in gains:
            bench.machine.idle(IDLE)
            bench.candidate, before, rechecks = bench.champion - gain, bench.runs, _recheck_runs(rule)
            kept = rule.keeps(bench)
            if kept:
                bench.champion = bench.candidate
            self._count(gain, kept, bench.runs - before - (_recheck_runs(rule) - rechecks))
        rule.end(bench)
        self.runs += bench.runs
        self.gain += -bench.champion
        self.false_keeps_each.append(self.false_keeps - false_before)
        self._count_rechecks(rule)
        self._claim(rule, bench)

    def _count(self, gain: float, kept: bool, runs: int) -> None:
        self.decided += 1
        self.keeps += kept
        self.not_better += gain <= 0
        self.false_keeps += kept and gain <= 0
        self.oracle += max(gain, 0.0)
        if gain > 0:
            self.found[size_of(gain)].append(kept)
        if kept:
            self.runs_of["kept"].append(runs)
        elif gain == 0:
            self.runs_of["equal"].append(runs)
        elif gain <= -math.log1p(0.02):
            self.runs_of["worse"].append(runs)

    def _count_rechecks(self, rule: Rule) -> None:
        if not isinstance(rule, Optiloop):
            return
        self.recheck_runs += rule.recheck_runs
        self.standing += len(rule.standing)
        self.standing_false += sum(keep.gain <= 0 for keep in rule.standing)
        for keeps, lost in ((rule.standing, False), (rule.taken_back, True)):
            for keep in keeps:
                if keep.gain > 0:
                    self.lost[size_of(keep.gain)].append(lost)

    def _claim(self, rule: Rule, bench: Bench) -> None:
        truth, changed = -bench.champion, abs(bench.champion) > 1e-12
        self.announced_errors.append(math.expm1(min(rule.announced() - truth, 700.0)))
        bench.candidate, bench.champion = bench.champion, 0.0
        # What did not change is not claimed to be better: the claim of 1 is exact.
        count = CLAIM_PAIRS[Noise.TIMING] if changed else 0
        ratios = [math.exp(bench.gain()) for _ in range(count)] or [1.0]
        interval = median_interval(ratios)
        self.claim_errors.append(statistics.median(ratios) / math.exp(truth) - 1)
        if changed:
            self.covered.append(interval.low <= math.exp(truth) <= interval.high)
        self.ended_worse += changed and truth < 0
        self.verified_worse += changed and truth < 0 and interval.low > 1

    def recall(self, *sizes: str) -> float | None:
        """Improvements of these sizes that were kept, in per cent; None where there were none."""
        kept = [found for size in sizes for found in self.found[size]]
        return 100 * sum(kept) / len(kept) if kept else None

    def false_rate(self) -> float:
        """Keeps among candidates that are not better, in per cent."""
        return 100 * self.false_keeps / max(self.not_better, 1)

    def false_share(self) -> float:
        """Candidates that are not better among keeps, in per cent."""
        return 100 * self.false_keeps / max(self.keeps, 1)

    def of_oracle(self) -> float:
        """True gain reached, in per cent of keeping exactly the improvements."""
        return 100 * self.gain / self.oracle if self.oracle else 0.0

    def runs_per(self, kind: str = "") -> float:
        """Mean runs of a candidate (of one kind). The mean of all includes baseline and rechecks."""
        if not kind:
            return self.runs / self.decided
        return statistics.fmean(self.runs_of[kind]) if self.runs_of[kind] else math.nan


def _recheck_runs(rule: Rule) -> int:
    return rule.recheck_runs if isinstance(rule, Optiloop) else 0


def campaigns(
    rule: Callable[[], Rule], model: str, candidates: Candidates, count: int, *, number: int, seed: int
) -> Tally:
    """`number` campaigns of `count` candidates. Every rule meets the same candidates."""
    tally, machine = Tally(), EVERY_MODEL[model]
    for index in range(number):
        rng = random.Random(f"{seed}/{model}/{index}")
        gains = tuple(candidates(random.Random(f"{seed}/{model}/{index}/candidates"), count))
        tally.campaign(rule(), Bench(machine(rng), rng), gains)
    return tally


# --- guards and simplicity -------------------------------------------------------------------------------


@dataclass
class GuardedBench(Bench):
    """Each run also gives a second number, `ratio` times as large for the candidate."""

    ratio: float = 1.0
    guard_sd: float = 0.0
    """Noise of a pair's log ratio."""
    level: float = 100.0

    def sample(self, *, candidate: bool) -> Sample:
        noise = math.exp(self.rng.gauss(0.0, self.guard_sd / math.sqrt(2))) if self.guard_sd else 1.0
        mine = self.ratio if candidate else 1.0
        time = self.run(self.candidate if candidate else self.champion)
        return Sample({"t": time, "mb": self.level * mine * noise}, 0.0, 0.0)


@dataclass(frozen=True)
class Judged:
    """Candidates of one kind: the share kept, the pairs each took, and what the discards said first."""

    kept: float
    pairs: float
    reasons: dict[str, int] = field(default_factory=dict)


def guarded(ratio: float, guard_sd: float, *, number: int, seed: int, limit: float | None = 1.10) -> Judged:
    """Candidates that are 10 % faster (noise 1 %) and change a guarded number by `ratio`."""
    rng = random.Random(f"{seed}/guards/{ratio}/{guard_sd}")
    guards = () if limit is None else (Guard("mb", max_ratio=limit),)
    rule = Optiloop(guards=guards)
    bench = GuardedBench(Machine(rng), rng, guard_sd=guard_sd)
    rule.begin(bench)
    bench.ratio, bench.candidate = ratio, -math.log1p(0.10)
    return _judged(rule, bench, number)


def simplified(gain: float, model: str, *, number: int, seed: int, margin: float = 0.01) -> Judged:
    """Candidates that are simpler and truly better by the log gain `gain`."""
    rng = random.Random(f"{seed}/simpler/{gain}/{model}")
    rule = Optiloop(policy=Policy(simplify=True, margin=margin), complexity=(10, 9))
    bench = Bench(EVERY_MODEL[model](rng), rng)
    rule.begin(bench)
    bench.candidate = -gain
    return _judged(rule, bench, number)


def _judged(rule: Optiloop, bench: Bench, number: int) -> Judged:
    kept = pairs = 0
    reasons: defaultdict[str, int] = defaultdict(int)
    for _ in range(number):
        bench.machine.idle(IDLE)
        verdict = rule.judge(bench)
        kept += verdict.status is Status.KEEP
        pairs += rule.pairs
        if not verdict.kept:
            reasons[verdict.reason.split()[0]] += 1
    return Judged(100 * kept / number, pairs / number, dict(reasons))
