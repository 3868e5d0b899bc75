"""Run gates, and take samples of champion and candidate, with the sandbox. Effect.

Which sample to take next is asked of `decide`; what a sample is, of the parser.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from optiloop.decide import OUT_OF_TIME, decide, gains, needs_positive, ratio_of
from optiloop.errors import TargetError
from optiloop.model import (
    Baseline,
    Claim,
    Command,
    Gate,
    GateResult,
    Interval,
    Measurement,
    Noise,
    Pair,
    Sample,
    Status,
    Target,
    Verdict,
)
from optiloop.parsers import MetricError, parse
from optiloop.sandbox import Outcome, Sandbox, last_line, private_folder, shown
from optiloop.stats import median_interval, robust_scale

BASELINE_PAIRS = 6
"""Pairs of equal code that set the first noise scale."""

CLAIM_PAIRS = 20
"""Pairs of the final claim: the 6th and 15th of their ratios are a 95.9 % interval."""

_FAILED = "failed"
_OF_CHAMPION = "the champion's own run: "
RESULT_FILE_LIMIT = 16 * 2**20


@dataclass(frozen=True)
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
    deadline: float = math.inf
    """When measuring must end, on the monotonic clock."""
    phase: str = ""
    gate_seconds: float = 0.0
    """What the baseline's gates and hold-out took."""
    artifacts: dict[str, str] = field(default_factory=dict)
    sandbox: Sandbox = field(default_factory=Sandbox)
    trees: tuple[Path, ...] = ()
    """The folders that a command may write to, each whole: the one that holds its working folder."""
    leftovers: dict[Path, str] = field(default_factory=dict)
    _known: dict[str, tuple[Sample, dict[str, float]]] = field(default_factory=dict)

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
        self.phase = "hold-out"
        result = self._gate(Gate("hold-out", self.target.holdout), folder)
        return result if result.passed else replace(result, reason=_FAILED)

    def _gate(self, gate: Gate, folder: Path) -> GateResult:
        outcome = self._run(gate.command, folder)
        if not outcome.ok:
            self.artifacts[f"{gate.name}.txt"] = outcome.stdout + outcome.stderr
        return GateResult(gate.name, outcome.ok, outcome.failure(), outcome.seconds)

    # --- samples -----------------------------------------------------------------------------------

    def sample(self, folder: Path, seed: int) -> tuple[Sample, dict[str, float]]:
        """Run the metric's command once: the deciding sample, and every number it gave.

        Raises NoSample where it crashed, ran out of time, or gave no finite number of the right name.
        """
        metric = self.target.metric
        result_file = folder / metric.options["file"] if "file" in metric.options else None
        if result_file is not None and not _removed(result_file):
            raise NoSample(f"{result_file.name} is a folder, where the result file should be")
        outcome = self._run(metric.command, folder, {"OPTILOOP_SEED": str(seed)})
        if not outcome.ok:
            self.artifacts["metric.txt"] = outcome.stdout + outcome.stderr
            raise NoSample(f"{shown(metric.command.line)}: {outcome.failure()}")
        try:
            output = outcome.stdout if result_file is None else _result(result_file)
            numbers = parse(
                metric.parser, output, {**metric.options, "name": metric.name, "unit": metric.unit}
            )
        except MetricError as error:
            self.artifacts["metric.txt"] = outcome.stdout + outcome.stderr
            raise NoSample(str(error)) from None
        wanted = (metric.name, *(guard.metric for guard in self.target.guards))
        if missing := next((name for name in wanted if name not in numbers), None):
            self.artifacts["metric.txt"] = outcome.stdout + outcome.stderr
            found = ", ".join(sorted(numbers)) or "nothing"
            raise NoSample(f"{shown(metric.command.line)} gave no {missing!r}, only {found}")
        if metric.noise is Noise.TIMING and numbers[metric.name] <= 0:
            raise NoSample(needs_positive(metric))
        values = {name: numbers[name] for name in wanted}
        return Sample(values, outcome.seconds, outcome.cpu_seconds), numbers

    def measure(
        self, champion: Path, candidate: Path, *, scale: float | None, commit: str
    ) -> tuple[Measurement, Verdict]:
        """Take samples until `decide` has a verdict, or the cycle's budget is spent.

        `commit` names the champion: a deterministic champion is measured once per process.
        """
        sides = _Sides()
        measurement, spent = Measurement((), scale), 0.0
        budget = self.target.budget.cycle or math.inf
        while True:
            self.phase = f"pair {len(measurement.pairs) + 1}"
            try:
                measurement = self._next(measurement, sides, champion, candidate, commit)
            except NoSample as no:
                return sides.close(measurement), Verdict(Status.CRASH, no.reason)
            verdict = decide(measurement, self.target)
            spent += sum(
                side.seconds for side in (measurement.pairs[-1].champion, measurement.pairs[-1].candidate)
            )
            if verdict is None and time.monotonic() > self.deadline:
                verdict = Verdict(Status.DISCARD, OUT_OF_TIME)
            if verdict is None and spent > budget:
                verdict = Verdict(
                    Status.DISCARD, f"undecided when the cycle's budget of {budget:g} s was spent"
                )
            if verdict is not None:
                return sides.close(measurement), verdict

    def _next(
        self, measurement: Measurement, sides: _Sides, champion: Path, candidate: Path, commit: str
    ) -> Measurement:
        if self.target.metric.noise is Noise.TIMING:
            return replace(measurement, pairs=(*measurement.pairs, self._pair(sides, champion, candidate)))
        if measurement.pairs:
            again, _ = self.sample(candidate, 0)
            return replace(measurement, confirmed=again.values[self.target.metric.name])
        if commit not in self._known:
            self._known = {commit: self._of_champion(champion, 0)}
        known, champion_numbers = self._known[commit]
        sides.champion.append(champion_numbers)
        found, numbers = self.sample(candidate, 0)
        sides.candidate.append(numbers)
        return replace(measurement, pairs=(Pair(known, found, candidate_first=False, seed=0),))

    def _pair(self, sides: _Sides, champion: Path, candidate: Path) -> Pair:
        """One fresh pair, seed and order drawn now: after the candidate was fixed."""
        seed, candidate_first = secrets.randbits(48), bool(secrets.randbits(1))
        if candidate_first:
            challenger, challenger_numbers = self.sample(candidate, seed)
            holder, holder_numbers = self._of_champion(champion, seed)
        else:
            holder, holder_numbers = self._of_champion(champion, seed)
            challenger, challenger_numbers = self.sample(candidate, seed)
        sides.champion.append(holder_numbers)
        sides.candidate.append(challenger_numbers)
        return Pair(holder, challenger, candidate_first, seed)

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
        results = [*self.gates(folder)]
        if all(gate.passed for gate in results) and (held := self.holdout(folder)) is not None:
            results.append(held)
        self.gate_seconds = math.fsum(gate.seconds for gate in results)
        if failed := next((gate for gate in results if not gate.passed), None):
            output = last_line(self.artifacts.get(f"{failed.name}.txt", ""))
            why = output if failed.reason == _FAILED and output else failed.reason
            raise TargetError(f"{self.target.name}: the baseline fails its own {failed.name}: {why}")
        sides = _Sides()
        try:
            pairs = self._baseline_pairs(sides, folder, other)
        except NoSample as no:
            reason = no.reason.removeprefix(_OF_CHAMPION)
            raise TargetError(f"{self.target.name}: the baseline gives no metric: {reason}") from None
        metric = self.target.metric
        samples = [side for pair in pairs for side in (pair.champion, pair.candidate)]
        values = [side.values[metric.name] for side in samples]
        if metric.noise is Noise.DETERMINISTIC and len(set(values)) > 1:
            raise TargetError(
                f"{self.target.name}: {metric.name} is not deterministic: {values[0]!r}, then {values[1]!r}; "
                f'set noise = "timing" in [metric]'
            )
        nulls = tuple(gains(pairs, metric)) if metric.noise is Noise.TIMING else ()
        scale = robust_scale(nulls) if nulls else None
        seconds = median(side.seconds for side in samples)
        baseline = Baseline(commit, median(values), nulls, scale, seconds)
        return baseline, {name: values[0] for name, values in sides.medians().items()}

    def _baseline_pairs(self, sides: _Sides, folder: Path, other: Path) -> list[Pair]:
        if self.target.metric.noise is Noise.TIMING:
            pairs = []
            for number in range(1, BASELINE_PAIRS + 1):
                self.phase = f"baseline against itself, pair {number} of {BASELINE_PAIRS}"
                pairs.append(self._pair(sides, folder, other))
            return pairs
        self.phase = "baseline, twice"
        (first, numbers), (second, again) = self.sample(folder, 0), self.sample(other, 0)
        sides.champion.append(numbers)
        sides.candidate.append(again)
        return [Pair(first, second, candidate_first=False, seed=0)]

    def claim(self, baseline: Path, champion: Path, *, commit: str, time: str) -> Claim:
        """Measure baseline against champion afresh. Raises TargetError where either gives no number."""
        timing = self.target.metric.noise is Noise.TIMING
        sides, pairs = _Sides(), []
        try:
            for number in range(1, CLAIM_PAIRS + 1) if timing else (1,):
                self.phase = (
                    f"claim: baseline against champion, pair {number} of {CLAIM_PAIRS if timing else 1}"
                )
                if timing:
                    pairs.append(self._pair(sides, baseline, champion))
                else:
                    first, second = self.sample(baseline, 0)[0], self.sample(champion, 0)[0]
                    pairs.append(Pair(first, second, candidate_first=False, seed=0))
        except NoSample as no:
            raise TargetError(f"{self.target.name}: the claim gives no metric: {no.reason}") from None
        return _claim(pairs, self.target, commit=commit, time=time)

    def _run(self, command: Command, folder: Path, env: dict[str, str] | None = None) -> Outcome:
        self.sweep()
        tree = next((tree for tree in self.trees if folder.is_relative_to(tree)), None)
        with private_folder(self.scratch) as private:
            outcome = self.sandbox.run(command, folder, private=private, tree=tree, env=env)
        if outcome.left:
            self.leftovers.setdefault(folder, f"{shown(command.line)} {outcome.leftovers()}")
        return outcome


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
    positive = all(side.values[metric.name] > 0 for pair in pairs for side in (pair.champion, pair.candidate))
    ratios = [ratio_of(gain) for gain in gains(pairs, metric)] if positive else []
    ratio = interval = None
    if ratios and max(ratios) < math.inf:
        ratio = median(ratios)
        exact = metric.noise is Noise.DETERMINISTIC
        interval = Interval(ratio, ratio) if exact else median_interval(ratios)
    return Claim(commit, time, len(pairs), before, after, ratio, interval)


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
