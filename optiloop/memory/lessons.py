"""What a proposer that reads is told of the log, in lines, the most useful first. Pure.

Every strategy costs the same at any length of the log. `digest` alone lists one kind of idea at one place
completely: with an assignment that list is short, and it is what keeps an idea from coming twice
(docs/memory.md has the figures).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from optiloop.memory.history import family_of
from optiloop.model import TAKES_BACK, Assignment, Compare, Lesson, Lessons, Metric, Recall, Spent, Status
from optiloop.untrusted import plain_line

NEWEST = 200
"""The experiments that are looked through where not one family at one place is meant."""
WORKED = 6
"""The keeps that are told."""
MOST = 60
"""Lines at most."""
_IDEA, _LINE, _REASON = 70, 90, 80
"""Characters of a hypothesis in a list, on a line of its own, and of a reason."""

_NO_NEWS = frozenset({Status.KEEP, Status.NO_PROPOSAL})


def told(
    recall: Recall, there: Assignment, metric: Metric, *, strategy: Lessons, places: Sequence[str] = ()
) -> list[str]:
    """The lessons for one assignment. `places` are the parts of the program whose counts may be told."""
    return list(_STRATEGIES[strategy](recall, there, metric, places))[:MOST]


def line(lesson: Lesson, metric: Metric) -> str:
    """One experiment on one line: how it ended, its gain, its idea, and the reason where it was not kept."""
    gain = ""
    if lesson.effect is not None:
        ratio = metric.compare is Compare.RATIO
        gain = f" {lesson.effect:.4g}x" if ratio else f" {lesson.effect:+.4g} {metric.unit}".rstrip()
    family = f" [{plain_line(lesson.family, 30)}]" if lesson.family else ""
    why = "" if lesson.status is Status.KEEP else f" | {plain_line(lesson.reason, _REASON)}"
    back = " (takes an earlier one back)" if any(tag.startswith(TAKES_BACK) for tag in lesson.tags) else ""
    said = plain_line(lesson.hypothesis, _LINE) or "no hypothesis"
    return f"{lesson.status}{gain}{family}: {said}{back}{why}"


def _truncate(recall: Recall, there: Assignment, metric: Metric, places: Sequence[str]) -> Iterator[str]:
    """What was not kept: at the place first, then anywhere, the newest first; each idea once."""
    near, far = recall.at(there.place, NEWEST), recall.latest(NEWEST)
    return _once(chain(_failed(near), _failed(far)), metric)


def near(recall: Recall, there: Assignment, metric: Metric) -> Iterator[str]:
    """All of the assigned family there, what was learnt of the place, and what was not kept there."""
    own = recall.tries(there.place, there.family, NEWEST) if there.family else ()
    listed = {lesson.hypothesis for lesson in own}
    yield from _listed(f"{there.family} at {there.place}, all that was tried", own)
    yield from recall.notes(there.place)
    yield from _once(
        _failed(it for it in recall.at(there.place, NEWEST) if it.hypothesis not in listed), metric
    )


def _digest(recall: Recall, there: Assignment, metric: Metric, places: Sequence[str]) -> Iterator[str]:
    """What is near; what worked of the family; how often the rest was tried; then the latest, anywhere."""
    yield from near(recall, there, metric)
    kept = [lesson for lesson in recall.keeps(NEWEST) if there.family and family_of(lesson) == there.family]
    yield from (line(lesson, metric) for lesson in reversed(kept[-WORKED:]))
    yield from _counts(recall.families(there.place), f"at {_short(there.place, there)}")
    rest = {_short(place, there): recall.spent_at(place) for place in places if place != there.place}
    yield from _counts(rest, "elsewhere")
    listed = {lesson.hypothesis for lesson in recall.at(there.place, NEWEST)}
    yield from _once(_failed(it for it in recall.latest(NEWEST) if it.hypothesis not in listed), metric)


def _summarize(recall: Recall, there: Assignment, metric: Metric, places: Sequence[str]) -> Iterator[str]:
    """Counts by kind of idea and by place, with the latest of each kind; no list."""
    for family, spent in _by_tries(recall.families(there.place)):
        (latest,) = recall.tries(there.place, family, 1)
        yield f"{_count(family or 'other ideas', spent)} at {there.place}; the latest: {line(latest, metric)}"
    yield from _counts({_short(place, there): recall.spent_at(place) for place in places}, "by place")


def _categorize(recall: Recall, there: Assignment, metric: Metric, places: Sequence[str]) -> Iterator[str]:
    """What was not kept at the place, and then anywhere, under how it ended."""
    for lessons, where in (
        (recall.at(there.place, NEWEST), f" at {there.place}"),
        (recall.latest(NEWEST), ""),
    ):
        for status in Status:
            yield from _listed(f"{status}{where}", [it for it in lessons if it.status is status])


def _none(recall: Recall, there: Assignment, metric: Metric, places: Sequence[str]) -> Iterator[str]:
    """Nothing: what the others are compared with."""
    return iter(())


_STRATEGIES: Mapping[Lessons, Callable[[Recall, Assignment, Metric, Sequence[str]], Iterator[str]]] = {
    Lessons.DIGEST: _digest,
    Lessons.SUMMARIZE: _summarize,
    Lessons.CATEGORIZE: _categorize,
    Lessons.TRUNCATE: _truncate,
    Lessons.NONE: _none,
}


def _failed(lessons: Iterable[Lesson]) -> list[Lesson]:
    """What was tried and not kept, the newest first."""
    return [lesson for lesson in reversed(list(lessons)) if lesson.status not in _NO_NEWS]


def _once(lessons: Iterable[Lesson], metric: Metric) -> Iterator[str]:
    """A line for each idea, the newest of its kind, and how often it was tried."""
    newest, times = _merged(lessons)
    for said, lesson in newest.items():
        again = f" ({times[said]} times)" if times[said] > 1 else ""
        yield line(lesson, metric) + again


def _merged(lessons: Iterable[Lesson]) -> tuple[dict[str, Lesson], dict[str, int]]:
    """The first lesson of each hypothesis in the order given, and how many experiments had it."""
    newest: dict[str, Lesson] = {}
    ids: dict[str, set[str]] = {}
    for lesson in lessons:
        newest.setdefault(lesson.hypothesis, lesson)
        ids.setdefault(lesson.hypothesis, set()).add(lesson.id)
    return newest, {said: len(each) for said, each in ids.items()}


def _listed(title: str, lessons: Sequence[Lesson]) -> Iterator[str]:
    """Ideas under a title, each once and short: a whole family in few tokens."""
    ran = [lesson for lesson in reversed(lessons) if lesson.status is not Status.NO_PROPOSAL]
    if not ran:
        return
    newest, times = _merged(ran)
    yield f"{title}:"
    for said, lesson in newest.items():
        ended = "" if title.startswith(str(lesson.status)) else f" ({lesson.status})"
        often = f" x{times[said]}" if times[said] > 1 else ""
        yield f"  {plain_line(said, _IDEA) or 'no hypothesis'}{ended}{often}"


def _short(place: str, there: Assignment) -> str:
    """A place without its file where that is the assigned one."""
    path, _, part = place.partition("::")
    return part if part and path == there.path else place


def _counts(spent: Mapping[str, Spent], where: str) -> Iterator[str]:
    """How often each was tried and kept, on one line."""
    known = [_count(name or "other ideas", one) for name, one in _by_tries(spent)]
    if known:
        yield f"tried {where}: {'; '.join(known)}"


def _by_tries(spent: Mapping[str, Spent]) -> list[tuple[str, Spent]]:
    tried = [(name, one) for name, one in spent.items() if one.experiments]
    return sorted(tried, key=lambda item: -item[1].experiments)[:12]


def _count(name: str, spent: Spent) -> str:
    kept = f", {spent.kept} kept" if spent.kept else ""
    return f"{plain_line(name, 60)} {spent.experiments}{kept}"
