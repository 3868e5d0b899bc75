"""The proposer `evolve`: recombines what the log knows. Pure; it needs no model.

Three ideas, in this order: near-misses that failed alone, together; discarded changes once more, where the
code that they change is no longer what it was; and, where a simpler program counts (`[policy] simplify`),
the champion without one of its changes. It holds no state: what was tried stands in the log.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from optiloop.complexity import complexity
from optiloop.decide import NEAR_MISSES, gain_of
from optiloop.diff import DiffError, moved, undone
from optiloop.memory.fingerprint import change_fingerprint, result_fingerprint
from optiloop.model import DEMOTION, TAKES_BACK, Brief, Compare, Lesson, Metric, Proposal, Status

ORIGIN = "evolve"
LESSONS = 1000
"""The newest experiments that are looked at ..."""
MOST_NEAR_MISSES = 8
"""... the best so many of them are tried together ..."""
MOST_AGAIN = 50
"""... and so many discards, the newest first, are read from the log in a cycle."""
HARMLESS = 0.95
"""A change that was slower than this is not tried again: other code around it will not save it."""

Program = Mapping[str, str]


@dataclass(frozen=True)
class _Idea:
    family: str
    after: Program
    hypothesis: str
    tag: str


class Evolve:
    """Proposes what follows from earlier experiments: merged, repeated or taken out."""

    def propose(self, brief: Brief) -> Proposal | None:
        """Return the next recombination whose outcome the log does not know; None where there is none."""
        lessons = brief.recall.latest(LESSONS)
        for idea in itertools.chain(
            _together(brief, lessons), _again(brief, lessons), _without(brief, lessons)
        ):
            if _is_new(brief, idea.after):
                edits = {path: text for path, text in idea.after.items() if text != brief.source[path]}
                return Proposal(edits, idea.hypothesis, ORIGIN, idea.family, (idea.tag,))
        return None


def _is_new(brief: Brief, after: Program) -> bool:
    if result_fingerprint(after) == result_fingerprint(brief.source) or after == brief.baseline:
        return False
    return brief.recall.result(result_fingerprint(after)) is None


# --- near-misses together ----------------------------------------------------------------------------


def _together(brief: Brief, lessons: Sequence[Lesson]) -> Iterator[_Idea]:
    """All near-misses of one file merged, then two at a time, the most hopeful first."""
    found = sorted(_near_misses(lessons, brief.metric), key=lambda lesson: -_gain(lesson, brief.metric))
    alone = [(lesson, _moved(brief, brief.source, lesson)) for lesson in found[: 4 * MOST_NEAR_MISSES]]
    by_path: dict[str, list[Lesson]] = {}
    for lesson, after in alone:
        changed = [path for path in brief.source if after is not None and after[path] != brief.source[path]]
        if len(changed) == 1:
            by_path.setdefault(changed[0], []).append(lesson)
    for near in by_path.values():
        best = near[:MOST_NEAR_MISSES]
        for group in (tuple(best), *itertools.combinations(best, 2)):
            idea = _merged(brief, group)
            if idea is not None:
                yield idea


def _near_misses(lessons: Sequence[Lesson], metric: Metric) -> Iterator[Lesson]:
    """Discards that looked better, one of each change: undecided, or not by enough; none merged already."""
    latest = {lesson.change: lesson for lesson in lessons if lesson.change is not None}
    for lesson in latest.values():
        near = lesson.status is Status.DISCARD and lesson.reason.startswith(NEAR_MISSES)
        merged = lesson.origin == ORIGIN and lesson.family == "together"
        if near and not merged and _gain(lesson, metric) > 0:
            yield lesson


def _merged(brief: Brief, group: Sequence[Lesson]) -> _Idea | None:
    """Those of the group that fit together, if two or more do and their gains would be worth a keep."""
    after: Program = brief.source
    taken: list[Lesson] = []
    for lesson in group:
        merged = _moved(brief, after, lesson)
        if merged is not None and merged != after:
            after = merged
            taken.append(lesson)
    hope = sum(_gain(lesson, brief.metric) for lesson in taken)
    tag = "evolve:together:" + "+".join(sorted(lesson.id for lesson in taken))
    if len(taken) < 2 or hope < _worth(brief.metric) or brief.recall.tagged(tag) is not None:
        return None
    return _Idea("together", after, "together: " + "; ".join(lesson.hypothesis for lesson in taken), tag)


def _gain(lesson: Lesson, metric: Metric) -> float:
    return 0.0 if lesson.effect is None else gain_of(lesson.effect, metric)


def _worth(metric: Metric) -> float:
    """The smallest gain worth a keep, on the scale on which gains add up."""
    return math.log1p(metric.min_effect) if metric.compare is Compare.RATIO else metric.min_effect


# --- once more, upon other code ----------------------------------------------------------------------


def _again(brief: Brief, lessons: Sequence[Lesson]) -> Iterator[_Idea]:
    """Discards from before the last keep whose change is another one now: the code it changes has changed."""
    keeps = [index for index, lesson in enumerate(lessons) if lesson.status is Status.KEEP]
    older = lessons[: keeps[-1]] if keeps else ()
    harmless = [
        lesson
        for lesson in reversed(older)
        if lesson.status is Status.DISCARD and _gain(lesson, brief.metric) >= _least(brief.metric)
    ]
    for lesson in harmless[:MOST_AGAIN]:
        after = _moved(brief, brief.source, lesson)
        if after is not None and brief.recall.change(change_fingerprint(brief.source, after)) is None:
            said = lesson.hypothesis.removeprefix("again: ")
            yield _Idea("again", after, f"again: {said}", f"evolve:again:{lesson.id}")


def _least(metric: Metric) -> float:
    return math.log(HARMLESS) if metric.compare is Compare.RATIO else 0.0


# --- without ----------------------------------------------------------------------------------------


def _without(brief: Brief, lessons: Sequence[Lesson]) -> Iterator[_Idea]:
    """The champion without a kept change, oldest first, where that is simpler and simpler counts."""
    if not brief.simplify:
        return
    for lesson in lessons:
        tag = f"{TAKES_BACK}{lesson.id}"
        if (
            lesson.status is not Status.KEEP
            or DEMOTION in lesson.tags
            or brief.recall.tagged(tag) is not None
        ):
            continue
        try:
            after = undone(brief.source, brief.recall.diff(lesson.id))
        except DiffError:
            continue
        if complexity(after) < complexity(brief.source):
            yield _Idea("without", after, f"without: {lesson.hypothesis}", tag)


def _moved(brief: Brief, source: Program, lesson: Lesson) -> Program | None:
    """A program with an earlier change made in it; None where it no longer fits."""
    try:
        return moved(source, brief.recall.diff(lesson.id))
    except DiffError:
        return None
