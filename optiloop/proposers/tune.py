"""The proposer `tune`: turns the constants of the editable files, first one by one, then together.

It holds no state: what was tried stands in the log, as one tag per knob on each of its proposals. Optuna
is imported only once there is a knob to turn.
"""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from optiloop.knobs import Choices, Knob, Value, find, replace_all
from optiloop.memory.fingerprint import result_fingerprint
from optiloop.model import Brief, Lesson, Metric, Proposal, Status

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

ORIGIN = "tune"
FAILED = (Status.GATE_FAILED, Status.CRASH, Status.VIOLATION)
MOST_KNOBS = 40
LESSONS = 300
DRAWS = 40
"""After so many known programs in a row from the sampler, its space counts as searched."""
ENUMERABLE = 512
"""A file's space of at most so many programs is searched to its end."""
TURNED_TOGETHER = 3
"""A joint move in a larger space turns at most so many knobs: one experiment is one idea."""

Setting = Mapping[Knob, Value]


class Tune:
    """Proposes other values for numbers, bools and annotated strings in the editable files."""

    def propose(self, brief: Brief) -> Proposal | None:
        """Return the next setting that the log does not know; None without knobs or once all are known."""
        knobs = _knobs(brief.source)
        if not knobs:
            return None
        for setting in _settings(brief, knobs):
            if _is_new(brief, setting):
                return _proposal(brief, knobs, setting)
        return None


def _knobs(source: Mapping[str, str]) -> list[Knob]:
    """All knobs, the annotated ones first: where there are too many, those are the ones that count."""
    found = [knob for path in sorted(source) for knob in find(path, source[path])]
    return sorted(found, key=lambda knob: not knob.annotated)[:MOST_KNOBS]


def _settings(brief: Brief, knobs: Sequence[Knob]) -> Iterator[Setting]:
    """What to try, cheapest idea first. Each changes the knobs of one file only."""
    yield from _steps(brief, knobs)
    paths = sorted({knob.path for knob in knobs})
    first = brief.seed % len(paths)
    for path in paths[first:] + paths[:first]:
        here = [knob for knob in knobs if knob.path == path]
        yield from _samples(brief, here)
        yield from _all_settings(brief, here)


# --- one knob at a time ------------------------------------------------------------------------------


def _steps(brief: Brief, knobs: Sequence[Knob]) -> Iterator[Setting]:
    """Double and halve each number, and take each other choice, unless the log has that value already.

    A step that was kept moves the champion, and the next step goes on from there in the same direction.
    """
    for up in (True, False):
        for knob in knobs:
            for value in _neighbours(knob, up=up):
                if brief.recall.tagged(_tag(knob, value)) is None:
                    yield {knob: value}


def _neighbours(knob: Knob, *, up: bool) -> tuple[Value, ...]:
    """The next value up or down within the domain; the choices have no order and all count as up."""
    if isinstance(knob.domain, Choices):
        return tuple(value for value in knob.domain.values if value != knob.value) if up else ()
    assert not isinstance(knob.value, str)
    quarter = (knob.domain.high - knob.domain.low) / 4
    if knob.domain.log:
        value = knob.value * 2 if up else knob.value / 2
    else:
        value = knob.value + quarter if up else knob.value - quarter
    return (_fitted(knob, value),)


def _fitted(knob: Knob, value: Value) -> Value:
    """The value within the knob's range, of its type, and with three significant digits."""
    if isinstance(knob.domain, Choices) or isinstance(value, str):
        return value
    within = min(max(value, knob.domain.low), knob.domain.high)
    if isinstance(knob.value, int):
        return round(within)
    return min(max(float(f"{within:.3g}"), knob.domain.low), knob.domain.high)


# --- several at once ---------------------------------------------------------------------------------


def _samples(brief: Brief, knobs: Sequence[Knob]) -> Iterator[Setting]:
    """What Optuna's TPE suggests, given every earlier trial of these knobs in the log."""
    study = _study(brief, knobs)
    distributions = {_key(knob): _distribution(knob) for knob in knobs}
    chance = random.Random(brief.seed)
    for _ in range(DRAWS):
        params = study.ask(distributions).params
        turned = knobs if len(knobs) <= TURNED_TOGETHER else _some(knobs, chance)
        yield {knob: _fitted(knob, params[_key(knob)]) for knob in turned}


def _some(knobs: Sequence[Knob], chance: random.Random) -> list[Knob]:
    return chance.sample(knobs, chance.randint(1, TURNED_TOGETHER))


def _all_settings(brief: Brief, knobs: Sequence[Knob]) -> Iterator[Setting]:
    """Every setting of a small space, in the seed's order; nothing for a large or endless one."""
    sizes = [knob.size for knob in knobs]
    if None in sizes or math.prod(size for size in sizes if size is not None) > ENUMERABLE:
        return
    settings = list(itertools.product(*(_values(knob) for knob in knobs)))
    random.Random(brief.seed).shuffle(settings)
    for values in settings:
        yield dict(zip(knobs, values, strict=True))


def _values(knob: Knob) -> Sequence[Value]:
    if isinstance(knob.domain, Choices):
        return knob.domain.values
    return range(int(knob.domain.low), int(knob.domain.high) + 1)


# --- the log as an Optuna study ----------------------------------------------------------------------


def _study(brief: Brief, knobs: Sequence[Knob]) -> optuna.Study:
    """The study that the log's trials of these knobs make; smaller is better in it."""
    import optuna  # a third of a second that a target without knobs never pays

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=brief.seed % 2**32))  # numpy's limit
    distributions = {_key(knob): _distribution(knob) for knob in knobs}
    for params, loss in _trials(brief, knobs):
        study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=loss))
    return study


def _trials(brief: Brief, knobs: Sequence[Knob]) -> Iterator[tuple[dict[str, Value], float]]:
    """The champion, and each earlier setting within the present domains, with what it came to."""
    now: dict[str, Value] = {_key(knob): knob.value for knob in knobs if knob.domain.holds(knob.value)}
    if brief.champion is not None and len(now) == len(knobs):
        yield now, brief.metric.direction.sign * brief.champion
    for lesson in brief.recall.latest(LESSONS):
        loss = _loss(lesson, brief.metric)
        params = _params(lesson, knobs)
        if lesson.origin == ORIGIN and loss is not None and params is not None:
            yield params, loss


def _loss(lesson: Lesson, metric: Metric) -> float | None:
    """The metric the lesson's program came to, negated where larger is better; infinite if it failed."""
    if lesson.status in FAILED:
        return math.inf
    if lesson.champion is None or lesson.effect is None or lesson.effect <= 0:
        return None
    sign = metric.direction.sign
    return sign * lesson.champion * math.pow(lesson.effect, -sign)


def _params(lesson: Lesson, knobs: Sequence[Knob]) -> dict[str, Value] | None:
    """The lesson's value of each knob; None if one is missing or now outside of its domain."""
    known = dict(tag.partition("=")[::2] for tag in lesson.tags if tag.startswith("knob:"))
    params: dict[str, Value] = {}
    for knob in knobs:
        written = known.get(f"knob:{_key(knob)}")
        value = json.loads(written) if written is not None else None
        if value is None or not knob.domain.holds(value):
            return None
        params[_key(knob)] = value
    return params


def _distribution(knob: Knob) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(knob.domain, Choices):
        return CategoricalDistribution(knob.domain.values)
    low, high, log = knob.domain.low, knob.domain.high, knob.domain.log
    if isinstance(knob.value, int):
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(low, high, log=log)


# --- the proposal ------------------------------------------------------------------------------------


def _is_new(brief: Brief, setting: Setting) -> bool:
    if all(knob.value == value for knob, value in setting.items()):
        return False
    after = {**brief.source, **_edits(brief, setting)}
    # The log has no line for the program the campaign began with.
    return after != brief.baseline and brief.recall.result(result_fingerprint(after)) is None


def _edits(brief: Brief, setting: Setting) -> dict[str, str]:
    (path,) = {knob.path for knob in setting}
    return {path: replace_all(brief.source[path], setting)}


def _proposal(brief: Brief, knobs: Sequence[Knob], setting: Setting) -> Proposal:
    turned = {knob: value for knob, value in setting.items() if value != knob.value}
    return Proposal(
        edits=_edits(brief, turned),
        hypothesis="Set " + ", ".join(_turn(knob, value) for knob, value in turned.items()),
        origin=ORIGIN,
        family="+".join(sorted(knob.name for knob in turned)),
        tags=tuple(_tag(knob, setting.get(knob, knob.value)) for knob in knobs),
    )


def _turn(knob: Knob, value: Value) -> str:
    return f"{knob.name} in {knob.path}: {json.dumps(knob.value)} -> {json.dumps(value)}"


def _key(knob: Knob) -> str:
    return f"{knob.path}:{knob.name}"


def _tag(knob: Knob, value: Value) -> str:
    return f"knob:{_key(knob)}={json.dumps(value, ensure_ascii=False)}"
