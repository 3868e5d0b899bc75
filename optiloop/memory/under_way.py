"""The log and what has no answer in it yet: what is told while candidates are judged. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from optiloop.memory.fingerprint import change_fingerprint, result_fingerprint
from optiloop.memory.history import History, family_of, places_and_files, plus
from optiloop.memory.novelty import PROGRAM
from optiloop.model import Kin, Lesson, Novelty, Recall, Spent

REASON = "it is being judged now"
_ONE = Spent(experiments=1)


@dataclass(frozen=True)
class UnderWay:
    """A Recall that counts what is under way as tried, and knows no outcome of it.

    `pending` are a lesson each; the newest experiments and keeps are the log's alone.
    """

    history: History
    pending: tuple[Lesson, ...]

    def result(self, fingerprint: str) -> Lesson | None:
        """See model.Recall."""
        return self._first(it for it in self.pending if it.result == fingerprint) or self.history.result(
            fingerprint
        )

    def change(self, fingerprint: str) -> Lesson | None:
        """See model.Recall."""
        return self._first(it for it in self.pending if it.change == fingerprint) or self.history.change(
            fingerprint
        )

    def tagged(self, tag: str) -> Lesson | None:
        """See model.Recall."""
        return self._first(it for it in self.pending if tag in it.tags) or self.history.tagged(tag)

    def kin(self, before: Mapping[str, str], after: Mapping[str, str]) -> Kin:
        """See model.Recall."""
        if twin_of(result_fingerprint(after), change_fingerprint(before, after), self.pending):
            return Kin(Novelty.DUPLICATE_RUN, "", PROGRAM, f"the same change: {REASON}", refused=True)
        return self.history.kin(before, after)

    def spent(self, origin: str, family: str | None = None) -> Spent:
        """See model.Recall."""
        mine = (it for it in self.pending if it.origin == origin and family in (None, it.family))
        return _more(self.history.spent(origin, family), mine)

    def spent_at(self, place: str) -> Spent:
        """See model.Recall."""
        return _more(self.history.spent_at(place), self._at(place))

    def families(self, place: str) -> Mapping[str, Spent]:
        """See model.Recall."""
        found = dict(self.history.families(place))
        for lesson in self._at(place):
            family = family_of(lesson)
            found[family] = plus(found.get(family, Spent()), _ONE)
        return found

    def at(self, place: str, count: int) -> tuple[Lesson, ...]:
        """See model.Recall."""
        return _newest((*self.history.at(place, count), *self._at(place)), count)

    def tries(self, place: str, family: str, count: int) -> tuple[Lesson, ...]:
        """See model.Recall."""
        mine = (it for it in self._at(place) if family_of(it) == family)
        return _newest((*self.history.tries(place, family, count), *mine), count)

    def latest(self, count: int) -> tuple[Lesson, ...]:
        """See model.Recall."""
        return self.history.latest(count)

    def keeps(self, count: int) -> tuple[Lesson, ...]:
        """See model.Recall."""
        return self.history.keeps(count)

    def notes(self, place: str) -> tuple[str, ...]:
        """See model.Recall."""
        return self.history.notes(place)

    def diff(self, experiment: str) -> str:
        """See model.Recall."""
        return self.history.diff(experiment)

    def _at(self, place: str) -> Iterable[Lesson]:
        return (it for it in self.pending if place in places_and_files(it.places))

    @staticmethod
    def _first(found: Iterable[Lesson]) -> Lesson | None:
        return next(iter(found), None)


def twin_of(result: str | None, change: str | None, pending: Iterable[Lesson]) -> Lesson | None:
    """What is under way that ends in the same program, or makes the same change of the same code."""
    for lesson in pending:
        if (result and lesson.result == result) or (change and lesson.change == change):
            return lesson
    return None


def _more(known: Spent, pending: Iterable[Lesson]) -> Spent:
    for _ in pending:
        known = plus(known, _ONE)
    return known


def _newest(lessons: tuple[Lesson, ...], count: int) -> tuple[Lesson, ...]:
    return lessons[-count:] if count > 0 else ()


def as_recall(under_way: UnderWay) -> Recall:
    """mypy's proof that it answers all that proposers may ask."""
    return under_way
