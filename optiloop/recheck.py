"""Kept changes, measured again: `rechecks` takes false wins back, `ablations` says what matters. Effect.

A keep is the best-looking of many; some look good by luck. Each is measured once more on fresh pairs, beside
what it replaced. One that does not hold is taken out by a keep of its own, so that the log and the branch
tell the whole story.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from optiloop.decide import CONFIRM_PAIRS, taken_back
from optiloop.diff import DiffError, merged
from optiloop.errors import TargetError
from optiloop.loop import Attempt, Engine, now
from optiloop.measure import NoSample
from optiloop.memory.fingerprint import change_fingerprint, result_fingerprint
from optiloop.memory.history import Kept
from optiloop.model import (
    DEMOTION,
    TAKES_BACK,
    Experiment,
    Finding,
    GateResult,
    Interval,
    Measurement,
    Noise,
    Pair,
    Proposal,
    Recheck,
    Verdict,
)

ORIGIN = "recheck"

PAIRS = {Noise.TIMING: 5, Noise.COSTLY: CONFIRM_PAIRS, Noise.DETERMINISTIC: 1}
"""Pairs that one recheck takes, roughly."""


def due(engine: Engine) -> list[Kept]:
    """The keeps that stand and were not measured again yet, oldest first."""
    known = engine.state.rechecks()
    return [keep for keep in engine.history().standing if keep.id not in known]


def recheck_seconds(engine: Engine) -> float:
    """What measuring them again will take, roughly."""
    calibration = engine.state.calibration()
    if calibration is None:
        return 0.0
    return len(due(engine)) * 2 * PAIRS[engine.target.metric.noise] * calibration.baseline.seconds


def rechecks(engine: Engine) -> Iterator[Experiment]:
    """Measure the keeps that are due, newest first; yields each experiment that takes one back.

    Newest first, because the newest can be taken out whatever the others are. Ends early when the engine's
    deadline is reached. Kill it anywhere: what was not decided is due again.
    """
    for keep in reversed(due(engine)):
        with_it, without = (engine.workspace.source_at(commit) for commit in (keep.commit, keep.parent))
        found = _compare(engine, without, with_it, keep)
        if found is None:
            return
        measurement, verdict = found
        if not verdict.kept:
            taken = _take_back(engine, keep, measurement)
            if taken is not None:
                yield taken
        engine.state.save_recheck(
            Recheck(keep.id, now(), len(measurement.pairs), verdict.kept, verdict.effect, verdict.interval)
        )


def _compare(
    engine: Engine, old: Mapping[str, str], new: Mapping[str, str], keep: Kept
) -> tuple[Measurement, Verdict] | None:
    """Fresh pairs of two programs; None where the run's time ends before a verdict."""
    engine.workspace.lay(old, new)
    policy = engine.target.policy
    try:
        return engine.judge.recheck(
            engine.workspace.base,
            engine.workspace.trial,
            engine.measurement(engine.history()),
            margin=policy.margin if keep.simpler else 0.0,
        )
    except NoSample as no:
        raise TargetError(f"{engine.target.name}: {keep.id}, measured again: {no.reason}") from None
    finally:
        engine.workspace.restore()


def _take_back(engine: Engine, keep: Kept, measurement: Measurement) -> Experiment | None:
    """Take a keep out of the champion; None where later changes need it.

    The newest keep is what was just measured. An older one is measured once more, in the champion of now.
    """
    started = time.monotonic()
    engine.workspace.restore()
    source, head = engine.workspace.source(), engine.workspace.head()
    without = _without(engine, keep)
    if without is None or without == source:
        return None
    gates: tuple[GateResult, ...] = ()
    if head != keep.commit:
        gates = _gates(engine, without)
        if not all(gate.passed for gate in gates):
            return None
        found = _compare(engine, without, source, keep)
        if found is None or found[1].kept:
            return None
        measurement = found[0]
    swapped = replace(measurement, pairs=tuple(map(_swapped, measurement.pairs)), secondary={})
    verdict = taken_back(swapped, engine.target)
    edits = {path: text for path, text in without.items() if text != source[path]}
    proposal = Proposal(
        edits, f"take back: {keep.hypothesis}", ORIGIN, DEMOTION, (DEMOTION, f"{TAKES_BACK}{keep.id}")
    )
    attempt = Attempt(
        proposal,
        Finding(verdict, gates, swapped),
        result_fingerprint(without),
        change_fingerprint(source, without),
    )
    return engine.conclude(attempt, source, head, seconds=time.monotonic() - started)


def _without(engine: Engine, keep: Kept) -> dict[str, str] | None:
    """The champion without one of its changes; None where later changes touch the same lines."""
    workspace = engine.workspace
    head = workspace.source_at(workspace.head())
    try:
        return merged(head, workspace.source_at(keep.commit), workspace.source_at(keep.parent))
    except DiffError:
        return None


def _gates(engine: Engine, program: Mapping[str, str]) -> tuple[GateResult, ...]:
    """Gates, and the hold-out where they pass."""
    engine.workspace.restore()
    engine.workspace.stage(program)
    gates = engine.judge.gates(engine.workspace.trial)
    if all(gate.passed for gate in gates):
        held = engine.judge.holdout(engine.workspace.trial)
        gates = gates if held is None else (*gates, held)
    engine.workspace.restore()
    return gates


def _swapped(pair: Pair) -> Pair:
    """The same two runs, seen from the other side."""
    return Pair(pair.candidate, pair.champion, not pair.candidate_first, pair.seed)


# --- ablation --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ablation:
    """What one kept change is worth in the champion of now.

    `finding` is `matters`, `no longer matters`, `needed` (without it a gate fails) or `built upon` (later
    changes touch the same lines). `effect` is how much better the champion is with it.
    """

    experiment: str
    hypothesis: str
    finding: str
    said: str
    effect: float | None = None
    interval: Interval | None = None
    pairs: int = 0

    def as_json(self) -> dict[str, Any]:
        """The same for scripts."""
        found = asdict(self)
        if self.interval is not None:
            ends = (self.interval.low, self.interval.high)
            found["interval"] = {
                name: end if math.isfinite(end) else None
                for name, end in zip(("low", "high"), ends, strict=True)
            }
        return found


def ablations(engine: Engine) -> Iterator[Ablation]:
    """Take each standing keep out of the champion in turn, and measure what is lost. Changes nothing."""
    engine.workspace.restore()
    champion = engine.workspace.source()
    for keep in engine.history().standing:
        without = _without(engine, keep)
        if without is None:
            yield Ablation(keep.id, keep.hypothesis, "built upon", "later changes touch the same lines")
            continue
        if without == champion:
            yield Ablation(keep.id, keep.hypothesis, "no longer matters", "nothing of it is left")
            continue
        failed = next((gate for gate in _gates(engine, without) if not gate.passed), None)
        if failed is not None:
            yield Ablation(keep.id, keep.hypothesis, "needed", f"without it {failed.name}: {failed.reason}")
            continue
        found = _compare(engine, without, champion, keep)
        if found is None:
            return
        measurement, verdict = found
        yield Ablation(
            keep.id,
            keep.hypothesis,
            "matters" if verdict.kept else "no longer matters",
            verdict.reason,
            verdict.effect,
            verdict.interval,
            len(measurement.pairs),
        )
