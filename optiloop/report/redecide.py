"""The recorded samples, decided again: the same verdicts by the recorded rule, others by another. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from optiloop.decide import decide, recheck
from optiloop.memory.history import UNANSWERED
from optiloop.model import DEMOTION, Experiment, Measurement, Pair, Rule, Status, Target, Verdict

SHORT = "needs more samples than were taken"


@dataclass(frozen=True)
class Redecided:
    """One measured experiment and its verdict by another rule; None where its samples do not suffice."""

    number: int
    experiment: Experiment
    verdict: Verdict | None
    pairs: int

    @property
    def same(self) -> bool:
        """Whether the verdict is the one in the log, to the word."""
        found, logged = self.verdict, self.experiment
        return found is not None and (found.status, found.effect, found.evidence) == (
            logged.status,
            logged.effect,
            logged.evidence,
        )

    def as_json(self) -> dict[str, Any]:
        """The same for scripts."""
        return {
            "experiment": self.experiment.id,
            "number": self.number,
            "was": str(self.experiment.status),
            "is": None if self.verdict is None else str(self.verdict.status),
            "reason": SHORT if self.verdict is None else self.verdict.reason,
            "pairs": self.pairs,
            "same": self.same,
        }


def redecided(
    experiments: Sequence[Experiment], target: Target, rule: Rule | None = None
) -> Iterator[Redecided]:
    """Decide each measured experiment again, by its own recorded rule or by `rule`.

    What ended for another reason than its samples (a failing hold-out, a violation, a crash, the run's
    time) is passed over, and so are the keeps that take others back where `rule` is another.
    """
    for number, experiment in enumerate(experiments, 1):
        measured = experiment.measurement
        if measured is None or not _by_samples(experiment):
            continue
        if DEMOTION in experiment.tags:
            if rule is None:
                yield _demotion(number, experiment, measured, target)
            continue
        verdict, pairs = _replayed(measured, _as_measured(target, measured), rule)
        if verdict is not None and verdict.kept and experiment.status is Status.GATE_FAILED:
            continue
        yield Redecided(number, experiment, verdict, pairs)


def _as_measured(target: Target, measured: Measurement) -> Target:
    """The target with the guards that were measured then: one may have been added since."""
    named = measured.pairs[0].champion.values if measured.pairs else {}
    return replace(target, guards=tuple(guard for guard in target.guards if guard.metric in named))


def _by_samples(experiment: Experiment) -> bool:
    ended_early = experiment.reason in UNANSWERED or "budget of" in experiment.reason
    return experiment.status in (Status.KEEP, Status.DISCARD) and not ended_early


def _replayed(measured: Measurement, target: Target, rule: Rule | None) -> tuple[Verdict | None, int]:
    """Give the samples to the rule one after the other, as they were taken."""
    start = replace(measured, pairs=(), confirmed=None, screen=None, rule=rule or measured.rule, audit=())
    for step in _steps(start, measured):
        verdict = decide(step, target)
        if verdict is not None:
            return verdict, len(step.pairs)
    return None, len(measured.pairs)


def _steps(start: Measurement, measured: Measurement) -> Iterator[Measurement]:
    if measured.screen is not None:
        start = replace(start, screen=measured.screen)
        yield start
    for count in range(1, len(measured.pairs) + 1):
        start = replace(start, pairs=measured.pairs[:count])
        yield start
        if count == 1 and measured.confirmed is not None:
            start = replace(start, confirmed=measured.confirmed)
            yield start
    if measured.audit:
        yield replace(start, audit=measured.audit)


def _demotion(number: int, experiment: Experiment, measured: Measurement, target: Target) -> Redecided:
    """A keep that took another back: its pairs, seen as they were measured, must not show a gain."""
    pairs = tuple(Pair(p.candidate, p.champion, not p.candidate_first, p.seed) for p in measured.pairs)
    found = recheck(replace(measured, pairs=pairs), target)
    status = Status.KEEP if found is not None and not found.kept else Status.DISCARD
    verdict = Verdict(status, experiment.reason, experiment.effect, experiment.interval, experiment.evidence)
    return Redecided(number, experiment, verdict, len(pairs))


def told(results: Sequence[Redecided], *, same_rule: bool) -> str:
    """The verdicts that changed, a line each, and how many did not."""
    changed = [result for result in results if not _agrees(result)]
    lines = [_line(result) for result in changed]
    rule = "its own recorded rule" if same_rule else "the other rule"
    agree = len(results) - len(changed)
    lines.append(f"{len(results)} experiments decided again by {rule}: {agree} the same, {len(changed)} not")
    if changed and not same_rule:
        lines.append(
            "after the first changed keep the champion would have been another: later lines are what the "
            "same pairs would have shown"
        )
    return "\n".join(lines)


def _agrees(result: Redecided) -> bool:
    return result.verdict is not None and result.verdict.status is result.experiment.status


def _line(result: Redecided) -> str:
    now = "undecided" if result.verdict is None else str(result.verdict.status)
    why = SHORT if result.verdict is None else result.verdict.reason
    return f"#{result.number} {result.experiment.status} -> {now} after {result.pairs} pairs ({why})"
