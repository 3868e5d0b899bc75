"""What the log says, as it is read: counts, champion, noise, and answers for proposers. Pure.

A History takes experiments one by one and keeps a small Lesson of each, so that a cycle costs the same
with ten experiments behind it as with ten thousand. It is a cache: reading the log again gives it again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from optiloop.decide import OUT_OF_TIME, SIMPLER, gain_of
from optiloop.diff import places_of, unified
from optiloop.memory.entities import aliases_of, entity_of
from optiloop.memory.facts import Facts, alike, of_diff
from optiloop.memory.fingerprint import change_fingerprint, result_fingerprint
from optiloop.memory.noise import Yardstick
from optiloop.memory.novelty import (
    Audits,
    judged,
    of_champion,
    of_change,
    of_likeness,
    of_program,
    of_setting,
)
from optiloop.model import (
    DEMOTION,
    HOLDOUT,
    TAKES_BACK,
    TRIED_AT,
    Baseline,
    Experiment,
    Kin,
    Lesson,
    Measurement,
    Metric,
    Mode,
    Novelty,
    Recall,
    Spent,
    Status,
)
from optiloop.untrusted import plain_line

if TYPE_CHECKING:
    from optiloop.memory.insights import Learned

RAN = frozenset({Status.KEEP, Status.DISCARD, Status.GATE_FAILED, Status.CRASH, Status.VIOLATION})
"""Statuses whose experiment was run: their program's answer is known."""


HOLDOUT_SPENT = "the hold-out has given all its answers; a new one and --fresh, or more peeks in [holdout]"
"""The reason of what could not be kept for it: it may be tried again."""

OVERTAKEN = "better than an earlier champion; the one of now has other code there"
"""The reason of what won beside a champion that others had replaced meanwhile, at the same lines."""

UNANSWERED = frozenset({OUT_OF_TIME, HOLDOUT_SPENT, OVERTAKEN})
"""Reasons that say nothing about the candidate."""


def is_unanswered(reason: str) -> bool:
    """Whether a reason says nothing about the candidate: that time ran out, or others came first."""
    return reason in UNANSWERED or reason.startswith("undecided when")


NEAR = 50
"""The newest experiments at a place that a change is compared with, feature by feature."""
LEARNT_ANEW, LEAST_LEARNT = 1.2, 20
"""How much the log must grow until all of it is read again for its findings, and the shortest to read so."""
FACTS_HELD = 5000
"""Experiments whose facts are held in memory."""
ALIKE = 0.5
"""The share of features from which two changes are told to be much alike."""
IDEA = "idea:"
"""The beginning of the tag that names the kind of idea a proposer was asked for."""


def family_of(lesson: Lesson | Experiment) -> str:
    """The kind of idea that an experiment tried: what was asked for, else what its proposer called it."""
    asked = next((tag.removeprefix(IDEA) for tag in lesson.tags if tag.startswith(IDEA)), "")
    return asked or lesson.family


@dataclass(frozen=True)
class Kept:
    """What is remembered of a keep, to measure it again: its commit, and the one it replaced."""

    id: str
    parent: str
    commit: str
    hypothesis: str
    simpler: bool

    @classmethod
    def of(cls, experiment: Experiment) -> Kept:
        return cls(
            experiment.id,
            experiment.parent,
            experiment.commit or "",
            experiment.hypothesis,
            simpler=experiment.reason.startswith(SIMPLER),
        )


class History:
    """The experiments of one campaign so far, upon what was measured of its baseline.

    `diffs` finds an experiment's diff by its id, in the log: they are too large to be held for all. `learn`
    reads all of the log for what it teaches: seconds at 10,000 experiments, so it is asked where the log has
    grown by a fifth.
    """

    def __init__(
        self,
        metric: Metric,
        baseline: Baseline | None = None,
        *,
        diffs: Callable[[str], str] | None = None,
        learn: Callable[[], Learned] | None = None,
    ) -> None:
        self._metric = metric
        self._diffs = diffs
        self._learn_all = learn
        self._learned: Learned | None = None
        self.mode = Mode.EXPLOIT
        """What the run is for: what it refuses."""
        self.seed = 1
        """The cycle's; it draws the audits."""
        self.audits = Audits()
        self.yardstick = Yardstick(metric, baseline)
        self._lessons: list[Lesson] = []
        self._by_result: dict[str, int] = {}
        self._by_change: dict[str, int] = {}
        self._by_tag: dict[str, int] = {}
        self._runs_of: Counter[str] = Counter()
        self._by_cell: defaultdict[str, dict[str, list[Lesson]]] = defaultdict(dict)
        self._spent_in: defaultdict[str, dict[str, Spent]] = defaultdict(dict)
        self._facts: dict[str, Facts] = {}
        self._kept: list[Lesson] = []
        self._by_place: defaultdict[str, list[Lesson]] = defaultdict(list)
        self._spent_at: defaultdict[str, Spent] = defaultdict(Spent)
        self._spent: defaultdict[tuple[str, str | None], Spent] = defaultdict(Spent)
        self.statuses: Counter[Status] = Counter()
        self.head: str | None = None
        """The commit of the last keep; None before the first."""
        self.champion: float | None = None
        """The champion's metric at its latest measurement; None before the first."""
        self.kept: float | None = None
        """The metric of the last keep when it was kept; None before the first."""
        self.profile: Mapping[str, float] = {}
        """The champion's secondary metrics at its latest measurement."""
        self.standing: list[Kept] = []
        """The keeps that were not taken back, oldest first."""
        self.barren = 0
        """How many of the latest experiments in a row were `no_proposal`."""
        self.peeks = 0
        """How often the hold-out was asked."""
        self.since_keep = 0
        """How many experiments ran since the last keep."""

    def __len__(self) -> int:
        return len(self._lessons)

    @property
    def last_id(self) -> str:
        """The newest experiment's id; empty before the first."""
        return self._lessons[-1].id if self._lessons else ""

    def add(self, experiment: Experiment) -> None:
        """Take in the next experiment of the log."""
        index = len(self._lessons)
        lesson = lesson_of(experiment, self._metric.name, self.champion)
        self._lessons.append(lesson)
        for place in places_and_files(lesson.places):
            self._by_place[place].append(lesson)
            self._by_cell[place].setdefault(family_of(lesson), []).append(lesson)
        if experiment.change is not None and experiment.status in RAN:
            self._runs_of[experiment.change] += 1
        if experiment.reason not in UNANSWERED:
            self.audits.learn(experiment)
        for key, table in ((experiment.result, self._by_result), (experiment.change, self._by_change)):
            if key is not None and experiment.status in RAN and experiment.reason not in UNANSWERED:
                table[key] = index
        for tag in experiment.tags:
            self._by_tag[tag] = index
        self.statuses[experiment.status] += 1
        self.peeks += sum(gate.name == HOLDOUT for gate in experiment.gates)
        self.barren = self.barren + 1 if experiment.status is Status.NO_PROPOSAL else 0
        if DEMOTION not in experiment.tags:
            self.since_keep = 0 if experiment.status is Status.KEEP else self.since_keep + 1
        self._count(experiment, lesson)
        if experiment.measurement is not None and experiment.status is not Status.VIOLATION:
            self._learn(experiment, experiment.measurement)
        if experiment.status is Status.KEEP:
            self.head = experiment.commit
            self._kept.append(lesson)
            self._keep(experiment)

    def _keep(self, experiment: Experiment) -> None:
        """Remember what a keep put in, or took back."""
        taken = {tag.removeprefix(TAKES_BACK) for tag in experiment.tags if tag.startswith(TAKES_BACK)}
        self.standing = [keep for keep in self.standing if keep.id not in taken]
        if DEMOTION not in experiment.tags:
            self.standing.append(Kept.of(experiment))

    def _count(self, experiment: Experiment, lesson: Lesson) -> None:
        kept = experiment.status is Status.KEEP
        gain = gain_of(experiment.effect, self._metric) if kept and experiment.effect is not None else 0.0
        one = Spent(1, int(kept), gain, experiment.seconds, experiment.cost.usd)
        for key in ((experiment.origin, None), (experiment.origin, experiment.family)):
            self._spent[key] = plus(self._spent[key], one)
        family = family_of(lesson)
        for place in places_and_files(lesson.places):
            self._spent_at[place] = plus(self._spent_at[place], one)
            cells = self._spent_in[place]
            cells[family] = plus(cells.get(family, Spent()), one)

    def _learn(self, experiment: Experiment, measurement: Measurement) -> None:
        """Take the noise, the champion's level and its profile from what was measured anyway.

        Not of a violation: what it touched may have been the champion. Of what was measured beside an earlier
        champion, as one of several candidates at a time is, the noise alone.
        """
        earlier = self.head not in (None, experiment.parent)
        self.yardstick.learn(experiment, measurement, earlier=earlier)
        if earlier or not measurement.pairs:
            return
        kept = experiment.status is Status.KEEP
        name = self._metric.name
        self.champion = median(
            (pair.candidate if kept else pair.champion).values[name] for pair in measurement.pairs
        )
        if kept:
            self.kept = self.champion
        self.profile = {key: values[kept] for key, values in measurement.secondary.items()}

    # --- Recall -----------------------------------------------------------------------------------

    def result(self, fingerprint: str) -> Lesson | None:
        """See model.Recall."""
        return self._at(self._by_result.get(fingerprint))

    def change(self, fingerprint: str) -> Lesson | None:
        """See model.Recall."""
        return self._at(self._by_change.get(fingerprint))

    def tagged(self, tag: str) -> Lesson | None:
        """See model.Recall."""
        return self._at(self._by_tag.get(tag))

    def spent(self, origin: str, family: str | None = None) -> Spent:
        """See model.Recall."""
        return self._spent.get((origin, family), Spent())

    def latest(self, count: int) -> tuple[Lesson, ...]:
        """See model.Recall."""
        return tuple(self._lessons[-count:]) if count > 0 else ()

    def keeps(self, count: int) -> tuple[Lesson, ...]:
        """See model.Recall."""
        return tuple(self._kept[-count:]) if count > 0 else ()

    def at(self, place: str, count: int) -> tuple[Lesson, ...]:
        """See model.Recall."""
        return tuple(self._by_place.get(place, ())[-count:]) if count > 0 else ()

    def spent_at(self, place: str) -> Spent:
        """See model.Recall."""
        return self._spent_at.get(place, Spent())

    def tries(self, place: str, family: str, count: int) -> tuple[Lesson, ...]:
        """See model.Recall."""
        return tuple(self._by_cell.get(place, {}).get(family, ())[-count:]) if count > 0 else ()

    def families(self, place: str) -> Mapping[str, Spent]:
        """See model.Recall."""
        return dict(self._spent_in.get(place, {}))

    def kin(self, before: Mapping[str, str], after: Mapping[str, str]) -> Kin:
        """See model.Recall."""
        return judged(self._kin(before, after), self.mode, seed=self.seed, audits=self.audits)

    def _kin(self, before: Mapping[str, str], after: Mapping[str, str]) -> Kin:
        result = result_fingerprint(after)
        if result == result_fingerprint(before):
            return of_champion()
        if twin := self.result(result):
            return of_program(twin)
        change = change_fingerprint(before, after)
        if twin := self.change(change):
            stands = any(keep.id == twin.id for keep in self.standing)
            kin = of_change(
                twin,
                stands=stands,
                tries=self._runs_of[change],
                champion=self.champion,
                metric=self._metric,
            )
            return self._reopened(kin, twin) if kin.novelty is Novelty.REPEAT_FAILURE else kin
        return self._near(of_diff(unified(before, after)))

    def _reopened(self, kin: Kin, twin: Lesson) -> Kin:
        """A failure may be tried again where something has changed that made a difference to its like."""
        known = self._taught()
        why = known.reopens(twin.id, (name for name, _ in self._read(twin).entities)) if known else ""
        said = f"{twin.id} tried it: {why}"
        return Kin(Novelty.INCREMENTAL_FOLLOWUP, twin.id, kin.level, said) if why else kin

    def _taught(self) -> Learned | None:
        if self._learn_all is None or len(self) < LEAST_LEARNT:
            return None
        if self._learned is None or len(self) > LEARNT_ANEW * self._learned.past.count:
            self._learned = self._learn_all()
        return self._learned

    def _near(self, facts: Facts) -> Kin:
        """The experiment at the same place that changed most nearly the same, or that set the same knob."""
        near = [lesson for place in facts.places for lesson in self._by_place.get(place, ())[-NEAR:]]
        ran = [lesson for lesson in near if lesson.status in RAN and lesson.reason not in UNANSWERED]
        scored = [(alike(facts, known), at) for at, lesson in enumerate(ran) if (known := self._read(lesson))]
        likeness, at = max(scored, default=(0.0, 0))
        if likeness >= ALIKE:
            return of_likeness(ran[at], likeness)
        knobs = {knob.name for knob in facts.knobs}
        for lesson in reversed(ran):
            both = knobs & {knob.name for knob in self._read(lesson).knobs}
            if both and lesson.status is Status.KEEP:
                return of_setting(lesson, both)
        return Kin()

    def _read(self, lesson: Lesson) -> Facts:
        """The facts of an earlier experiment: from its diff in the log, once."""
        if lesson.id not in self._facts:
            if len(self._facts) >= FACTS_HELD:
                self._facts.clear()
            self._facts[lesson.id] = of_diff(self.diff(lesson.id), aliases_of(lesson.tags))
        return self._facts[lesson.id]

    def notes(self, place: str) -> tuple[str, ...]:
        """See model.Recall."""
        known = self._taught()
        return known.notes(place, [entity_of(place)]) if known else ()

    def diff(self, experiment: str) -> str:
        """See model.Recall."""
        return "" if self._diffs is None else self._diffs(experiment)

    def _at(self, index: int | None) -> Lesson | None:
        return None if index is None else self._lessons[index]


def places_and_files(places: tuple[str, ...]) -> Iterable[str]:
    """The places and their files, each once."""
    return dict.fromkeys((*places, *(place.partition("::")[0] for place in places)))


def plus(a: Spent, b: Spent) -> Spent:
    """Both together."""
    return Spent(
        a.experiments + b.experiments,
        a.kept + b.kept,
        a.gain + b.gain,
        a.seconds + b.seconds,
        a.usd + b.usd,
    )


def lesson_of(experiment: Experiment, metric: str, champion: float | None) -> Lesson:
    """What is held of an experiment; `champion` is the champion's number where it measured none."""
    measured = experiment.measurement
    if measured is not None and measured.pairs:
        champion = median(pair.champion.values[metric] for pair in measured.pairs)
    return Lesson(
        id=experiment.id,
        status=experiment.status,
        origin=experiment.origin,
        family=experiment.family,
        hypothesis=plain_line(experiment.hypothesis),
        reason=plain_line(experiment.reason),
        result=experiment.result,
        change=experiment.change,
        tags=experiment.tags,
        parent=experiment.parent,
        champion=champion,
        effect=experiment.effect,
        seconds=experiment.seconds,
        cost=experiment.cost,
        partial=_partial(measured, metric),
        places=_places(experiment.diff) or _tried_at(experiment.tags),
    )


def _places(diff: str) -> tuple[str, ...]:
    """What a diff changes: functions, or files with the settings in them."""
    places = places_of(diff)
    if all(place.endswith(".py") or "::" in place for place in places):
        return places
    path = next(place for place in places if not place.endswith(".py"))
    return (*places, *(f"{path}::{knob.name}" for knob in of_diff(diff).knobs))


def _tried_at(tags: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(tag.removeprefix(TRIED_AT) for tag in tags if tag.startswith(TRIED_AT))


def _partial(measured: Measurement | None, metric: str) -> tuple[float, float] | None:
    """Where a run that was ended early stood at its last point."""
    screen = None if measured is None else measured.screen
    if screen is None or metric in screen.values or not screen.curve:
        return None
    return screen.curve[-1]


def as_recall(history: History) -> Recall:
    """A History seen as what proposers may ask (and mypy's proof that it answers all of it)."""
    return history
