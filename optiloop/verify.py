"""`optiloop verify`: log, branch and champion against each other, and the gain measured again. Effect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from optiloop.diff import DiffError, patched
from optiloop.errors import LedgerError, OptiloopError, TargetError
from optiloop.ledger import Ledger
from optiloop.loop import Engine
from optiloop.model import Claim, Experiment, Status
from optiloop.report import words
from optiloop.report.redecide import redecided


@dataclass(frozen=True)
class Verified:
    """What was checked, in order, and the first fault; None where all holds."""

    checks: tuple[str, ...]
    claim: Claim | None = None
    fault: OptiloopError | None = None

    def as_json(self) -> dict[str, Any]:
        """The same for scripts."""
        claim, interval = self.claim, self.claim.interval if self.claim else None
        return {
            "ok": self.fault is None,
            "checks": list(self.checks),
            "fault": None if self.fault is None else str(self.fault),
            "improvement": {
                "ratio": claim.ratio if claim else None,
                "low": interval.low if interval else None,
                "high": interval.high if interval else None,
            },
        }

    def as_text(self) -> str:
        """The same for people."""
        lines = [f"ok   {check}" for check in self.checks]
        if self.fault is not None:
            lines.append(f"BAD  {self.fault}")
        return "\n".join(lines)


def verified(engine: Engine) -> Verified:
    """Check an opened campaign. Opening it has already read the log, adopted an orphan and compared heads."""
    checks: list[str] = []
    try:
        keeps = _log(engine, checks)
        _verdicts(engine, checks)
        _branch(engine, keeps, checks)
        claim = _champion(engine, checks) if keeps else None
    except OptiloopError as fault:
        return Verified(tuple(checks), fault=fault)
    return Verified(tuple(checks), claim)


def _log(engine: Engine, checks: list[str]) -> list[Experiment]:
    experiments = list(Ledger(engine.ledger.path).new())
    seen = len({experiment.id for experiment in experiments})
    if seen != len(experiments):
        raise LedgerError(f"{engine.ledger.path}: an experiment stands there twice")
    checks.append(f"log: {len(experiments)} experiments, the hash chain holds")
    return [experiment for experiment in experiments if experiment.status is Status.KEEP]


def _verdicts(engine: Engine, checks: list[str]) -> None:
    """Decide the recorded samples again; lines of an earlier optiloop do not say by which rule."""
    ruled = [
        experiment
        for experiment in Ledger(engine.ledger.path).new()
        if experiment.measurement is not None and experiment.measurement.rule is not None
    ]
    results = list(redecided(ruled, engine.target))
    if other := next((result for result in results if not result.same), None):
        raise LedgerError(
            f"{engine.ledger.path}: {other.experiment.id}: its samples do not give its verdict; "
            "`optiloop redecide` says what they give"
        )
    checks.append(f"verdicts: {len(results)} decided again from their samples, all the same")


def _branch(engine: Engine, keeps: list[Experiment], checks: list[str]) -> None:
    workspace = engine.workspace
    commits = workspace.commits()
    if commits != [keep.commit for keep in keeps]:
        raise LedgerError(
            f"{workspace.branch} has {len(commits)} commits, the log {len(keeps)} keeps; they disagree"
        )
    source: Mapping[str, str] = workspace.source_at(workspace.root_commit)
    for keep, text in zip(keeps, _texts(engine, commits), strict=True):
        try:
            rebuilt = patched(source, keep.diff)
        except DiffError as error:
            raise LedgerError(f"{engine.ledger.path}: {keep.id}: its diff does not apply: {error}") from None
        if rebuilt != text:
            raise LedgerError(f"{engine.ledger.path}: {keep.id}: its diff does not give commit {keep.commit}")
        source = text
    checks.append(f"branch {workspace.branch}: {len(commits)} commits, each is its log line's diff")


def _texts(engine: Engine, commits: list[str]) -> Iterator[dict[str, str]]:
    return (engine.workspace.source_at(commit) for commit in commits)


def _champion(engine: Engine, checks: list[str]) -> Claim:
    engine.workspace.restore()
    folder = engine.workspace.base
    for result in (*engine.judge.gates(folder), engine.judge.holdout(folder)):
        if result is not None and not result.passed:
            raise TargetError(f"the champion fails {result.name}: {result.reason}")
    checks.append("champion: gates and hold-out pass")
    claim = engine.claim()
    checks.append(f"champion: {said(claim)}")
    if claim.interval is not None and claim.interval.low <= 1:
        raise TargetError("a fresh measurement does not show the champion to be better than the baseline")
    return claim


def said(claim: Claim) -> str:
    """A claim in one line."""
    if claim.ratio is None or claim.interval is None:
        return f"{claim.baseline!r} -> {claim.champion!r}, measured afresh"
    bounds = words.interval(claim.interval.low, claim.interval.high)
    pairs = words.count(claim.pairs, "fresh pair") + (" on what is held out" if claim.held_out else "")
    return f"{words.ratio(claim.ratio)} better, 95 % interval {bounds}, {pairs}"
