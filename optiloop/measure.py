"""Run gates, and take samples of champion and candidate, with the sandbox. Effect.

Which sample to take next is asked of `decide`; what a sample is, of the parser.
"""

from __future__ import annotations

import itertools
import math
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from optiloop import bench
from optiloop.census import tests_passed
from optiloop.decide import (
    OUT_OF_TIME,
    changes,
    decide,
    gains,
    hopeless,
    needs_positive,
    ratio_of,
    recheck,
    startling,
)
from optiloop.errors import TargetError
from optiloop.model import (
    HOLDOUT,
    Baseline,
    Claim,
    Command,
    Compare,
    Gate,
    GateResult,
    Holdout,
    Interval,
    Level,
    Measurement,
    Metric,
    Noise,
    Pair,
    Sample,
    Seconds,
    Status,
    Target,
    Verdict,
)
from optiloop.parsers import MetricError, metric_line, parse, partial_lines
from optiloop.sandbox import Outcome, Runner, Sandbox, private_folder, shown
from optiloop.stats import median_interval, robust_scale

SEED = "OPTILOOP_SEED"
"""Where a command finds what to draw its inputs from: the same for both sides of a pair."""

BASELINE_PAIRS = 6
"""Pairs of equal code that set the first noise scale."""

BASELINE_RUNS = 4
"""Single runs that give a costly metric its level and its noise."""

CLAIM_PAIRS = {Noise.TIMING: 20, Noise.COSTLY: 6, Noise.DETERMINISTIC: 1}
"""Pairs of the final claim: of 20 the 6th and 15th are a 95.9 % interval, of 6 the ends a 96.9 % one."""

CURVE_POINTS = 64
"""Points that are kept of a run's course."""

SCALING_TIMES = 5
"""How many times a sample's budget `--scaling` may take."""

_CANDIDATE = ""
_FAILED = "failed"
_OF_CHAMPION = "the champion's own run: "
RESULT_FILE_LIMIT = 16 * 2**20


@dataclass
class NoSample(Exception):  # noqa: N818 - a finding that ends one evaluation, not an error of the program
    """A run of the metric's command that gave no usable number, and why."""

    reason: str


@dataclass
class Judge:
    """Judges one target's candidates in folders that hold champion and candidate.

    `scratch` is where commands get their private folders. `phase` says in a few words what is being
    done now, for whoever looks. `artifacts` collects the output of what
    failed, by name, for the log's neighbour files, and `leftovers` who left processes behind, by folder;
    the caller clears both.
    """

    target: Target
    scratch: Path
    sweep: Callable[[], None] = lambda: None
    """Cleans the folders before each command."""
    reveal: Callable[[Path], AbstractContextManager[None]] = lambda folder: nullcontext()
    """Lays the hold-out's files into a folder while it runs."""
    deadline: float = math.inf
    """When measuring must end, on the monotonic clock."""
    phase: str = ""
    gate_seconds: float = 0.0
    """What the baseline's gates and hold-out took."""
    census: Mapping[str, int] = field(default_factory=dict)
    """How many tests each gate passed on the baseline, by name: no candidate may pass fewer."""
    artifacts: dict[str, str] = field(default_factory=dict)
    sandbox: Runner = field(default_factory=Sandbox)
    trees: tuple[Path, ...] = ()
    """The folders that a command may write to, each whole: the one that holds its working folder."""
    leftovers: dict[Path, str] = field(default_factory=dict)
    _known: dict[str, tuple[Sample, dict[str, float]]] = field(default_factory=dict)
    """A deterministic champion's run, by its commit; the last candidate's, by no name yet."""

    # --- gates -------------------------------------------------------------------------------------

    def gates(self, folder: Path) -> tuple[GateResult, ...]:
        """Run the gates in their order, up to the first that fails."""
        results: list[GateResult] = []
        for gate in self.target.gates:
            self.phase = f"gate {gate.name}"
            results.append(self._gate(gate, folder))
            if not results[-1].passed:
                break
        return tuple(results)

    def holdout(self, folder: Path) -> GateResult | None:
        """Ask the hold-out; None where the target has none. Proposers learn one bit of it: no reason."""
        if self.target.holdout is None:
            return None
        result = self._held_out(self.target.holdout, folder)
        self.artifacts.pop(f"{HOLDOUT}.txt", None)  # what it says would tell more
        return GateResult(HOLDOUT, result.passed, "" if result.passed else _FAILED, result.seconds)

    def _held_out(self, holdout: Holdout, folder: Path) -> GateResult:
        self.phase = HOLDOUT
        return self._gate(Gate(HOLDOUT, holdout.command), folder, self.reveal(folder))

    def _gate(
        self, gate: Gate, folder: Path, during: AbstractContextManager[None] | None = None
    ) -> GateResult:
        outcome = self._run(gate.command, folder, during=during)
        passed = tests_passed(f"{outcome.stdout}\n{outcome.stderr}")
        reason = outcome.failure() or _missing(passed, gate.tests or self.census.get(gate.name))
        if reason:
            self.artifacts[f"{gate.name}.txt"] = outcome.stdout + outcome.stderr
        return GateResult(gate.name, not reason, reason, outcome.seconds, passed)

    # --- samples -----------------------------------------------------------------------------------

    def sample(self, folder: Path, seed: int, level: Level | None = None) -> tuple[Sample, dict[str, float]]:
        """Run the metric's command once: the deciding sample, and every number it gave.

        With the champion's `level`, a run whose course is hopeless is ended early; its sample then has no
        values. Raises NoSample where it crashed, ran out of time, or gave no finite number of the right name.
        """
        metric = self.target.metric
        result_file = self._result_file(folder)
        watch = None if level is None else _Watch(level, self.target)
        outcome = self._run(metric.command, folder, {SEED: str(seed)}, watch=watch)
        curve = _curve(outcome.stdout, metric.name) if metric.noise is Noise.COSTLY else ()
        if watch is not None and watch.why and outcome.killed == watch.why:
            return Sample({}, outcome.seconds, outcome.cpu_seconds, curve), {}
        numbers = self._numbers(outcome, result_file)
        return Sample(self._wanted(numbers), outcome.seconds, outcome.cpu_seconds, curve), numbers

    def _duet(
        self, folder: Path, rival: Path, seed: int
    ) -> tuple[tuple[Sample, dict[str, float]], tuple[Sample, dict[str, float]]]:
        """Run the metric's command once for both folders; the numbers of `folder`, then those of `rival`."""
        metric = self.target.metric
        result_file = self._result_file(folder)
        env = {SEED: str(seed), bench.RIVAL: str(rival)}
        outcome = self._run(metric.command, folder, env, shown_too=(self._tree(rival) or rival,))
        numbers = self._numbers(outcome, result_file)
        theirs = {
            name.removeprefix(bench.RIVALS): value
            for name, value in numbers.items()
            if name.startswith(bench.RIVALS)
        }
        if metric.name not in theirs:
            raise NoSample(
                f"{shown(metric.command.line)} gave no '{bench.RIVALS}{metric.name}': with duet = true in "
                f"[metric] it measures the folder in {bench.RIVAL}, too"
            )
        ours = {name: value for name, value in numbers.items() if not name.startswith(bench.RIVALS)}
        halves = outcome.seconds / 2, outcome.cpu_seconds / 2
        mine, others = (Sample(self._wanted(side), *halves) for side in (ours, theirs))
        return (mine, ours), (others, theirs)

    def _result_file(self, folder: Path) -> Path | None:
        """Where the command is to write its result; what an earlier one wrote there is gone."""
        metric = self.target.metric
        file = folder / metric.options["file"] if "file" in metric.options else None
        if file is not None and not _removed(file):
            raise NoSample(f"{file.name} is a folder, where the result file should be")
        return file

    def _numbers(self, outcome: Outcome, result_file: Path | None) -> dict[str, float]:
        """What a run of the metric's command gave."""
        metric = self.target.metric
        if not outcome.ok:
            self._keep_output(outcome)
            raise NoSample(f"{shown(metric.command.line)}: {outcome.failure()}")
        try:
            output = outcome.stdout if result_file is None else _result(result_file)
            return parse(metric.parser, output, {**metric.options, "name": metric.name, "unit": metric.unit})
        except MetricError as error:
            self._keep_output(outcome)
            raise NoSample(str(error)) from None

    def _wanted(self, numbers: dict[str, float]) -> dict[str, float]:
        """The numbers that decide."""
        metric = self.target.metric
        wanted = (metric.name, *(guard.metric for guard in self.target.guards))
        if missing := next((name for name in wanted if name not in numbers), None):
            found = ", ".join(sorted(numbers)) or "nothing"
            raise NoSample(f"{shown(metric.command.line)} gave no {missing!r}, only {found}")
        by_ratio = metric.compare is Compare.RATIO and metric.noise is not Noise.DETERMINISTIC
        if by_ratio and numbers[metric.name] <= 0:
            raise NoSample(needs_positive(metric))
        return {name: numbers[name] for name in wanted}

    def _keep_output(self, outcome: Outcome) -> None:
        self.artifacts["metric.txt"] = outcome.stdout + outcome.stderr

    def measure(
        self, champion: Path, candidate: Path, start: Measurement, *, commit: str
    ) -> tuple[Measurement, Verdict]:
        """Take samples until `decide` has a verdict, or the cycle's budget is spent.

        `start` holds what they are judged by and no samples yet. `commit` names the champion: a
        deterministic champion is measured once per process.
        """
        sides, measurement = _Sides(), start
        budget = self.target.budget.cycle or math.inf
        while True:
            self.phase = _phase(measurement)
            try:
                measurement = self._next(measurement, sides, champion, candidate, commit)
            except NoSample as no:
                return sides.close(measurement), Verdict(Status.CRASH, no.reason)
            verdict = decide(measurement, self.target)
            if verdict is None and time.monotonic() > self.deadline:
                verdict = Verdict(Status.DISCARD, OUT_OF_TIME)
            if verdict is None and _seconds(measurement) > budget:
                verdict = Verdict(
                    Status.DISCARD, f"undecided when the cycle's budget of {budget:g} s was spent"
                )
            if verdict is not None:
                return sides.close(measurement), verdict

    def recheck(
        self, old: Path, kept: Path, start: Measurement, *, margin: float
    ) -> tuple[Measurement, Verdict] | None:
        """Measure a kept change beside what it replaced until `recheck` has a verdict.

        None where the run's time ends before. Raises NoSample where either gives no number.
        """
        sides, measurement = _Sides(), start
        while time.monotonic() <= self.deadline:
            self.phase = f"checking a keep again, pair {len(measurement.pairs) + 1}"
            measurement = replace(measurement, pairs=(*measurement.pairs, self._pair(sides, old, kept)))
            if (verdict := recheck(measurement, self.target, margin=margin)) is not None:
                return sides.close(measurement), verdict
        return None

    def _next(
        self, measurement: Measurement, sides: _Sides, champion: Path, candidate: Path, commit: str
    ) -> Measurement:
        noise = self.target.metric.noise
        if startling(measurement, self.target):
            return self._second_look(measurement, champion, candidate)
        if noise is Noise.COSTLY and measurement.screen is None:
            screen, numbers = self.sample(candidate, secrets.randbits(48), measurement.level)
            sides.candidate.append(numbers)
            return replace(measurement, screen=screen)
        if noise is Noise.DETERMINISTIC and not measurement.pairs:
            return self._known_pair(measurement, sides, champion, candidate, commit)
        if noise is Noise.DETERMINISTIC and measurement.confirmed is None:
            again, _ = self.sample(candidate, 0)
            return replace(measurement, confirmed=again.values[self.target.metric.name])
        return replace(measurement, pairs=(*measurement.pairs, self._pair(sides, champion, candidate)))

    def promoted(self, commit: str) -> None:
        """The candidate that was measured last is the champion now: what is known of it stays known.

        That its numbers do not depend on the folder, the baseline has shown.
        """
        if _CANDIDATE in self._known:
            self._known = {commit: self._known[_CANDIDATE]}

    def _second_look(self, measurement: Measurement, champion: Path, candidate: Path) -> Measurement:
        """One more pair of what looked too good: other inputs, even of an exact metric, and other cores."""
        number = len(measurement.audit)
        self.phase = f"a second look, pair {number + 1}"
        with _on_half_of_the_cores(number):
            pair = self._pair(_Sides(), champion, candidate, seed=secrets.randbits(48))
        return replace(measurement, audit=(*measurement.audit, pair))

    def _known_pair(
        self, measurement: Measurement, sides: _Sides, champion: Path, candidate: Path, commit: str
    ) -> Measurement:
        if commit not in self._known:
            self._known = {commit: self._of_champion(champion, 0)}
        known, champion_numbers = self._known[commit]
        sides.champion.append(champion_numbers)
        found, numbers = self.sample(candidate, 0)
        self._known[_CANDIDATE] = found, numbers
        sides.candidate.append(numbers)
        return replace(measurement, pairs=(Pair(known, found, candidate_first=False, seed=0),))

    def _pair(self, sides: _Sides, champion: Path, candidate: Path, seed: int | None = None) -> Pair:
        """One fresh pair, seed and order drawn now: after the candidate was fixed."""
        exact, candidate_first = self.target.metric.noise is Noise.DETERMINISTIC, bool(secrets.randbits(1))
        if seed is None:
            seed = 0 if exact else secrets.randbits(48)
        if self.target.metric.duet:
            (holder, holder_numbers), (challenger, challenger_numbers) = self._both(
                champion, candidate, seed, candidate_first=candidate_first
            )
        elif candidate_first:
            challenger, challenger_numbers = self.sample(candidate, seed)
            holder, holder_numbers = self._of_champion(champion, seed)
        else:
            holder, holder_numbers = self._of_champion(champion, seed)
            challenger, challenger_numbers = self.sample(candidate, seed)
        sides.champion.append(holder_numbers)
        sides.candidate.append(challenger_numbers)
        return Pair(holder, challenger, candidate_first, seed)

    def _both(
        self, champion: Path, candidate: Path, seed: int, *, candidate_first: bool
    ) -> tuple[tuple[Sample, dict[str, float]], tuple[Sample, dict[str, float]]]:
        """A duet of champion and candidate, in that order, run in the folder of the one drawn to be first."""
        try:
            if candidate_first:
                challenger, holder = self._duet(candidate, champion, seed)
            else:
                holder, challenger = self._duet(champion, candidate, seed)
        except NoSample:
            self.sample(candidate, seed)  # alone, each says for itself what is wrong with it
            self._of_champion(champion, seed)
            raise
        return holder, challenger

    def _of_champion(self, folder: Path, seed: int) -> tuple[Sample, dict[str, float]]:
        """Sample the champion; its failure is named as its own and not the candidate's."""
        try:
            return self.sample(folder, seed)
        except NoSample as no:
            raise NoSample(f"{_OF_CHAMPION}{no.reason}") from None

    # --- baseline and claim ------------------------------------------------------------------------

    def baseline(self, folder: Path, other: Path, commit: str) -> tuple[Baseline, dict[str, float]]:
        """Measure the unchanged target against itself, in both folders. Returns it with all its numbers.

        Raises TargetError where a gate fails or a number is missing: there is nothing to improve on.
        """
        self.census = {}
        results = [*self.gates(folder)]
        if all(gate.passed for gate in results) and self.target.holdout is not None:
            results.append(self._held_out(self.target.holdout, folder))
        self.gate_seconds = math.fsum(gate.seconds for gate in results)
        if failed := next((gate for gate in results if not gate.passed), None):
            raise TargetError(
                f"{self.target.name}: the baseline fails its own {failed.name}: {failed.reason}"
            )
        sides = _Sides()
        try:
            samples, pairs = self._baseline_samples(sides, folder, other)
        except NoSample as no:
            reason = no.reason.removeprefix(_OF_CHAMPION)
            raise TargetError(f"{self.target.name}: the baseline gives no metric: {reason}") from None
        metric = self.target.metric
        values = [sample.values[metric.name] for sample in samples]
        if metric.noise is Noise.DETERMINISTIC and len(set(values)) > 1:
            other_value = next(value for value in values if value != values[0])
            raise TargetError(
                f"{self.target.name}: {metric.name} is not deterministic: {values[0]!r}, then "
                f'{other_value!r}; set noise = "timing" in [metric]'
            )
        nulls = tuple(gains(pairs, metric)) if metric.noise is Noise.TIMING else ()
        baseline = Baseline(
            commit,
            median(values),
            nulls,
            robust_scale(nulls) if nulls else None,
            median(sample.seconds for sample in samples),
            guard_nulls={guard.metric: _guard_nulls(pairs, guard.metric) for guard in self.target.guards},
            samples=tuple(samples) if metric.noise is Noise.COSTLY else (),
            cpu_scale=None if metric.duet else _cpu_scale(pairs),
            census={gate.name: gate.tests for gate in results if gate.tests is not None},
        )
        return baseline, {name: values[0] for name, values in sides.medians().items()}

    def _baseline_samples(self, sides: _Sides, folder: Path, other: Path) -> tuple[list[Sample], list[Pair]]:
        """Every run of the baseline, and the pairs that show the noise of equal code."""
        metric = self.target.metric
        if metric.noise is Noise.COSTLY:
            return self._baseline_runs(sides, folder, other)
        pairs: list[Pair] = []
        exact = metric.noise is Noise.DETERMINISTIC
        while len(pairs) < (1 if exact and _equal(pairs) else BASELINE_PAIRS):
            most = "" if exact else f" of {BASELINE_PAIRS}"
            self.phase = f"baseline against itself, pair {len(pairs) + 1}{most}"
            pairs.append(self._pair(sides, folder, other))
        return [side for pair in pairs for side in (pair.champion, pair.candidate)], pairs

    def _baseline_runs(self, sides: _Sides, folder: Path, other: Path) -> tuple[list[Sample], list[Pair]]:
        runs: list[Sample] = []
        for number in range(BASELINE_RUNS):
            self.phase = f"baseline, run {number + 1} of {BASELINE_RUNS}"
            sample, numbers = self._of_champion((folder, other)[number % 2], secrets.randbits(48))
            (sides.champion, sides.candidate)[number % 2].append(numbers)
            runs.append(sample)
        neighbours = [Pair(a, b, candidate_first=False, seed=0) for a, b in itertools.pairwise(runs)]
        return runs, neighbours

    def claim(self, baseline: Path, champion: Path, *, commit: str, time: str) -> Claim:
        """Measure baseline against champion afresh, on what is held out where the target can.

        Raises TargetError where either gives no number.
        """
        wanted, command = CLAIM_PAIRS[self.target.metric.noise], self._claims
        pairs, measured = [], self.target.metric
        try:
            if command is not None:
                self.target = replace(self.target, metric=replace(measured, command=command, duet=False))
            for number in range(1, wanted + 1):
                self.phase = f"claim: baseline against champion, pair {number} of {wanted}"
                pairs.append(self._pair(_Sides(), baseline, champion))
        except NoSample as no:
            raise TargetError(f"{self.target.name}: the claim gives no metric: {no.reason}") from None
        finally:
            self.target = replace(self.target, metric=measured)
        claim = _claim(pairs, self.target, commit=commit, time=time)
        return replace(claim, held_out=command is not None)

    @property
    def _claims(self) -> Command | None:
        """What measures on what is held out, where the target has it."""
        return None if self.target.holdout is None else self.target.holdout.claim

    def scaling(self, champion: Path, baseline: Path) -> dict[str, float]:
        """What the metric's command says with `--scaling`, of both. Raises NoSample where it fails."""
        self.phase = "how the time grows with the input"
        command = self.target.metric.command
        line = f"{command.line} --scaling" if isinstance(command.line, str) else (*command.line, "--scaling")
        longer = replace(command, line=line, timeout=Seconds(SCALING_TIMES * command.timeout))
        env = {SEED: "1", bench.RIVAL: str(baseline)}
        outcome = self._run(longer, champion, env, shown_too=(self._tree(baseline) or baseline,))
        if not outcome.ok:
            raise NoSample(outcome.failure())
        try:
            return metric_line(outcome.stdout, options={"name": "", "unit": ""})
        except MetricError as error:
            raise NoSample(str(error)) from None

    def _run(
        self,
        command: Command,
        folder: Path,
        env: dict[str, str] | None = None,
        *,
        shown_too: tuple[Path, ...] = (),
        watch: Callable[[str], str] | None = None,
        during: AbstractContextManager[None] | None = None,
    ) -> Outcome:
        self.sweep()
        tree = self._tree(folder)
        if command == self._claims:
            during = self.reveal(folder)
        with during or nullcontext(), private_folder(self.scratch) as private:
            outcome = self.sandbox.run(
                command, folder, private=private, tree=tree, env=env, shown_too=shown_too, watch=watch
            )
        if outcome.left:
            self.leftovers.setdefault(folder, f"{shown(command.line)} {outcome.leftovers()}")
        return outcome

    def _tree(self, folder: Path) -> Path | None:
        where = f"{folder}/"
        return next((tree for tree in self.trees if where.startswith(f"{tree}/")), None)


@dataclass
class _Watch:
    """Ends a candidate's run when its course shows that it is hopeless, and remembers why."""

    level: Level
    target: Target
    why: str = ""
    _curve: list[tuple[float, float]] = field(default_factory=list)

    def __call__(self, lines: str) -> str:
        for point in partial_lines(lines, self.target.metric.name):
            self._curve.append(point)
            self.why = self.why or hopeless(self._curve, self.level, self.target.metric)
        return self.why


@dataclass
class _Sides:
    """Every number of every run, per side, until their medians are taken."""

    champion: list[dict[str, float]] = field(default_factory=list)
    candidate: list[dict[str, float]] = field(default_factory=list)

    def medians(self) -> dict[str, tuple[float, float]]:
        names = {name for numbers in self.champion for name in numbers} & {
            name for numbers in self.candidate for name in numbers
        }
        found = {
            name: (_median(self.champion, name), _median(self.candidate, name)) for name in sorted(names)
        }
        return {name: values for name, values in found.items() if all(map(math.isfinite, values))}

    def close(self, measurement: Measurement) -> Measurement:
        deciding = measurement.pairs[0].champion.values if measurement.pairs else {}
        secondary = {name: values for name, values in self.medians().items() if name not in deciding}
        return replace(measurement, secondary=secondary)


def _median(runs: Sequence[dict[str, float]], name: str) -> float:
    """Median to six digits: secondary numbers are evidence for people, not for decisions."""
    return float(f"{median(numbers[name] for numbers in runs if name in numbers):.6g}")


def _claim(pairs: Sequence[Pair], target: Target, *, commit: str, time: str) -> Claim:
    metric = target.metric
    before = median(pair.champion.values[metric.name] for pair in pairs)
    after = median(pair.candidate.values[metric.name] for pair in pairs)
    ratios = _ratios(pairs, metric)
    differences = gains(pairs, replace(metric, compare=Compare.DIFFERENCE))
    exact = metric.noise is Noise.DETERMINISTIC
    return Claim(
        commit,
        time,
        len(pairs),
        before,
        after,
        ratio=median(ratios) if ratios else None,
        interval=_spread(ratios, exact=exact) if ratios else None,
        difference=median(differences),
        difference_interval=_spread(differences, exact=exact),
    )


def _ratios(pairs: Sequence[Pair], metric: Metric) -> list[float]:
    """How many times better, per pair; empty where a ratio has no meaning, or no floating point."""
    values = (side.values[metric.name] for pair in pairs for side in (pair.champion, pair.candidate))
    if min(values) <= 0:
        return []
    ratios = [ratio_of(gain) for gain in gains(pairs, replace(metric, compare=Compare.RATIO))]
    return ratios if max(ratios) < math.inf else []


def _spread(values: Sequence[float], *, exact: bool) -> Interval:
    return Interval(min(values), max(values)) if exact else median_interval(values)


def _missing(passed: int | None, expected: int | None) -> str:
    """Say that tests are missing; empty where all have passed that must. An exit code of 0 can be forged."""
    if expected is None or (passed is not None and passed >= expected):
        return ""
    return f"{passed or 'no'} test{'' if passed == 1 else 's'} passed, {expected} must"


@contextmanager
def _on_half_of_the_cores(number: int) -> Iterator[None]:
    """Have commands run on one half of the cores: the upper for even numbers, the lower for odd ones.

    Halves and not single cores: a program may be faster for using several. Linux only.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2:
        yield
        return
    middle = len(cores) // 2
    os.sched_setaffinity(0, cores[:middle] if number % 2 else cores[middle:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _phase(measurement: Measurement) -> str:
    if measurement.level is not None and measurement.screen is None:
        return "first run"
    return f"pair {len(measurement.pairs) + 1}"


def _seconds(measurement: Measurement) -> float:
    """What the samples took; a deterministic champion's is taken once for many experiments."""
    taken = [side.seconds for pair in measurement.pairs for side in (pair.champion, pair.candidate)]
    taken += [side.seconds for pair in measurement.audit for side in (pair.champion, pair.candidate)]
    return math.fsum(taken) + (measurement.screen.seconds if measurement.screen is not None else 0.0)


def _equal(pairs: Sequence[Pair]) -> bool:
    return all(pair.champion.values == pair.candidate.values for pair in pairs)


def _guard_nulls(pairs: Sequence[Pair], name: str) -> tuple[float, ...]:
    return tuple(changes((pair.champion.values[name], pair.candidate.values[name]) for pair in pairs))


def _cpu_scale(pairs: Sequence[Pair]) -> float | None:
    """The noise that the CPU time of the same runs had."""
    times = [(pair.champion.cpu_seconds, pair.candidate.cpu_seconds) for pair in pairs]
    if len(times) < BASELINE_PAIRS or min(min(pair) for pair in times) <= 0:
        return None
    return robust_scale(changes(times))


def _curve(output: str, name: str) -> tuple[tuple[float, float], ...]:
    """A run's course, thinned; its last two points always."""
    points = partial_lines(output, name)
    step = -(-len(points) // CURVE_POINTS) or 1
    return (*points[:-2:step], *points[-2:])


def _removed(path: Path) -> bool:
    """Remove an earlier run's result; False where something lies there that is no file."""
    try:
        path.unlink(missing_ok=True)
    except (IsADirectoryError, PermissionError):
        return False
    return True


def _result(path: Path) -> str:
    if not path.is_file():  # a pipe would be waited for, for ever
        raise MetricError(f"no result file {path.name}")
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(RESULT_FILE_LIMIT)
    except OSError as error:
        raise MetricError(f"no result file {path.name}: {error.strerror}") from None
