"""One candidate, judged: staged, gated, measured, held out, and looked at for what it touched. Effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from optiloop.measure import Judge
from optiloop.model import Finding, Measurement, Status, Target, Verdict
from optiloop.sandbox import Runner
from optiloop.worktrees import Worktrees

Facts = Mapping[str, tuple[int, ...]]


class Trial:
    """Judges one candidate at a time in two worktrees.

    `around` says what lies around them and must stay as it is while a candidate runs.
    """

    def __init__(
        self,
        target: Target,
        worktrees: Worktrees,
        sandbox: Runner,
        *,
        around: Callable[[], Facts] = dict,
    ) -> None:
        self.worktrees = worktrees
        self.judge = Judge(
            target,
            worktrees.scratch,
            sweep=worktrees.sweep,
            reveal=worktrees.revealed,
            sandbox=sandbox,
            trees=worktrees.trees,
        )
        self._around = around
        self._before: Facts = {}

    def evaluate(self, edits: Mapping[str, str], parent: str, start: Measurement) -> Finding:
        """Gate and measure edits of the champion, whose commit is `parent`. The hold-out is not asked."""
        trees, judge = self.worktrees, self.judge
        judge.artifacts.clear()
        judge.leftovers.clear()
        trees.restore()  # a proposer may have worked in the trial
        self._before = self._around()
        trees.stage(edits)
        gates = judge.gates(trees.trial)
        failed = next((gate for gate in gates if not gate.passed), None)
        if failed is not None:
            verdict = Verdict(Status.GATE_FAILED, f"{failed.name}: {failed.reason}")
            return self._unless_touched(edits, Finding(verdict, gates))
        measurement, verdict = judge.measure(trees.base, trees.trial, start, commit=parent)
        return self._unless_touched(edits, Finding(verdict, gates, measurement))

    def hold_out(self, edits: Mapping[str, str], finding: Finding) -> Finding:
        """Ask the hold-out of what was just evaluated; the same finding where the target has none."""
        holdout = self.judge.holdout(self.worktrees.trial)
        if holdout is None:
            return finding
        finding = replace(finding, gates=(*finding.gates, holdout))
        if not holdout.passed:
            verdict = Verdict(Status.GATE_FAILED, f"{holdout.name}: {holdout.reason}")
            finding = replace(finding, verdict=verdict)
        return self._unless_touched(edits, finding)

    def _unless_touched(self, edits: Mapping[str, str], finding: Finding) -> Finding:
        touched = self._touched(edits, kept=finding.verdict.kept)
        return replace(finding, verdict=Verdict(Status.VIOLATION, touched)) if touched else finding

    def _touched(self, edits: Mapping[str, str], *, kept: bool) -> str:
        """Say what the candidate did that it must not: change files, its own too, or leave processes."""
        if left := self.judge.leftovers.get(self.worktrees.trial):
            return left
        around = differing(self._before, self._around())
        touched = self.worktrees.tampered() or self.worktrees.staged_differs(edits) or around
        if kept and not touched:
            touched = self.worktrees.rewritten()
        return f"running it changed {', '.join(touched[:3])}" if touched else ""


def differing(before: Facts, now: Facts) -> list[str]:
    """The names whose facts are not what they were."""
    return [name for name in {**before, **now} if before.get(name) != now.get(name)]
