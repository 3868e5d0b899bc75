"""The proposer `tune`: turns the constants of the editable files, first one by one, then together.

It holds no state: what was tried stands in the log, as one tag per knob on each of its proposals. Optuna
is imported only once there is a knob to turn. `tune:cmaes` or `tune:gp` take another of its samplers.
"""

from __future__ import annotations

import itertools
import json
import math
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from optiloop.errors import UsageError
from optiloop.knobs import Choices, Knob, Value, find, replace_all
from optiloop.memory.fingerprint import result_fingerprint
from optiloop.model import Brief, Compare, Lesson, Metric, Proposal, Status

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

SAMPLERS = {"tpe": "", "cmaes": "cmaes", "gp": "torch", "random": ""}
"""Optuna's samplers by name, with the package that each needs beside it."""
WARM_TRIALS = 20
"""CMA-ES begins at the best tenth of the log's trials, once there are so many."""

Setting = Mapping[Knob, Value]


class Tune:
    """Proposes other values for numbers, bools, choices and swaps in the editable files.

    `sampler` names what searches several knobs at once: tpe, cmaes, gp or random. Raises UsageError
    for another name, and where the package that it needs is not installed.
    """

    def __init__(self, sampler: str = "tpe") -> None:
        if sampler not in SAMPLERS:
            raise UsageError(f"tune:{sampler}: there is no such sampler; there are {', '.join(SAMPLERS)}")
        if (needed := SAMPLERS[sampler]) and find_spec(needed) is None:
            raise UsageError(f"tune:{sampler} needs the package {needed!r}: pip install {needed}")
        self._sampler = sampler

    def propose(self, brief: Brief) -> Proposal | None:
        """Return the next setting that the log does not know; None without knobs or once all are known."""
        knobs = _knobs(brief.source)
        if not knobs:
            return None
        for setting in _settings(brief, knobs, self._sampler):
            if _is_new(brief, setting):
                return _proposal(brief, knobs, setting)
        return None


def _knobs(source: Mapping[str, str]) -> list[Knob]:
    """All knobs, the annotated first, then constants: where there are too many, those are what counts."""
    found = [knob for path in sorted(source) for knob in find(path, source[path])]
    return sorted(found, key=lambda knob: (not knob.annotated, "(" in knob.name))[:MOST_KNOBS]


def _settings(brief: Brief, knobs: Sequence[Knob], sampler: str) -> Iterator[Setting]:
    """What to try, cheapest idea first. Each changes the knobs of one file only, none without effect."""
    yield from _steps(brief, [knob for knob in knobs if _is_active(knob, _now(knobs, knob.path))])
    paths = sorted({knob.path for knob in knobs})
    first = brief.seed % len(paths)
    for path in paths[first:] + paths[:first]:
        here = [knob for knob in knobs if knob.path == path]
        yield from _samples(brief, here, sampler)
        yield from _all_settings(brief, here)


def _now(knobs: Sequence[Knob], path: str) -> dict[str, Value]:
    """The champion's values in one file, by name."""
    return {knob.name: knob.value for knob in knobs if knob.path == path}


def _is_active(knob: Knob, values: Mapping[str, Value]) -> bool:
    """Whether the knob does anything among these values of its file; `values` need not hold all."""
    return knob.when is None or knob.when.met(values)


def _by_dependence(knobs: Sequence[Knob]) -> list[Knob]:
    """Each after the one its condition names; those that depend on each other at the end."""
    ordered: list[Knob] = []
    waiting = list(knobs)
    names = {knob.name for knob in knobs}
    while waiting:
        settled = names - {knob.name for knob in waiting}
        ready = [knob for knob in waiting if knob.when is None or knob.when.name in settled] or waiting
        ordered += ready
        waiting = [knob for knob in waiting if knob not in ready]
    return ordered


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


def _samples(brief: Brief, knobs: Sequence[Knob], sampler: str) -> Iterator[Setting]:
    """What an Optuna sampler suggests, given every earlier trial of these knobs in the log."""
    study = _study(brief, knobs, sampler)
    chance = random.Random(brief.seed)
    now = _now(knobs, knobs[0].path)
    for _ in range(DRAWS):
        turned = knobs if len(knobs) <= TURNED_TOGETHER else _some(knobs, chance)
        yield _suggested(study.ask(), knobs, set(turned), now)


def _suggested(
    trial: optuna.Trial, knobs: Sequence[Knob], turned: set[Knob], now: Mapping[str, Value]
) -> Setting:
    """Ask for the knobs in the order of their conditions; one that does nothing is left as it is."""
    values, setting = dict(now), dict[Knob, Value]()
    for knob in _by_dependence(knobs):
        if not _is_active(knob, values):
            continue
        value = _fitted(knob, _suggest(trial, knob))
        if knob in turned:
            setting[knob] = values[knob.name] = value
    return setting


def _suggest(trial: optuna.Trial, knob: Knob) -> Value:
    key, domain = _key(knob), knob.domain
    if isinstance(domain, Choices):
        chosen = trial.suggest_categorical(key, domain.values)
        assert chosen is not None  # no choice is
        return chosen
    if isinstance(knob.value, int):
        return trial.suggest_int(key, int(domain.low), int(domain.high), log=domain.log)
    return trial.suggest_float(key, domain.low, domain.high, log=domain.log)


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
        named = {knob.name: value for knob, value in zip(knobs, values, strict=True)}
        yield {knob: named[knob.name] for knob in knobs if _is_active(knob, named)}


def _values(knob: Knob) -> Sequence[Value]:
    if isinstance(knob.domain, Choices):
        return knob.domain.values
    return range(int(knob.domain.low), int(knob.domain.high) + 1)


# --- the log as an Optuna study ----------------------------------------------------------------------


def _study(brief: Brief, knobs: Sequence[Knob], sampler: str) -> optuna.Study:
    """The study that the log's trials of these knobs make; smaller is better in it."""
    import optuna  # a third of a second that a target without knobs never pays

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    trials = [
        optuna.trial.create_trial(
            params=dict(trial.params),
            distributions={_key(knob): _distribution(knob) for knob in knobs if _key(knob) in trial.params},
            **trial.outcome,
        )
        for trial in _trials(brief, knobs)
    ]
    study = optuna.create_study(sampler=_made(sampler, brief.seed % 2**32, trials))  # numpy's limit
    study.add_trials(trials)
    return study


def _made(name: str, seed: int, trials: list[optuna.trial.FrozenTrial]) -> optuna.samplers.BaseSampler:
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if name == "cmaes":
            told = [trial for trial in trials if trial.value is not None and math.isfinite(trial.value)]
            told = [trial for trial in told if trial.params.keys() == told[0].params.keys()]  # one space
            return optuna.samplers.CmaEsSampler(
                seed=seed,
                warn_independent_sampling=False,
                source_trials=told if len(told) >= WARM_TRIALS else None,
            )
        if name == "gp":
            return optuna.samplers.GPSampler(seed=seed)
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed)


@dataclass(frozen=True)
class _Trial:
    """What one setting came to, smaller being better; `partial` where its run was ended early."""

    params: Mapping[str, Value]
    loss: float | None
    partial: tuple[float, float] | None = None

    @property
    def outcome(self) -> dict[str, Any]:
        """The same as Optuna has it; of a pruned trial the value so far, its step a per cent of the run."""
        from optuna.trial import TrialState

        if self.loss is not None:
            return {"value": self.loss}
        share, value = self.partial or (0.0, math.inf)
        value = value if math.isfinite(value) else math.inf
        return {"state": TrialState.PRUNED, "intermediate_values": {round(100 * share): value}}


def _trials(brief: Brief, knobs: Sequence[Knob]) -> Iterator[_Trial]:
    """The champion, and each earlier setting within the present domains, with what it came to."""
    values = _now(knobs, knobs[0].path)
    now = {_key(knob): knob.value for knob in knobs if _is_active(knob, values)}
    sign = brief.metric.direction.sign
    if brief.champion is not None and all(
        knob.domain.holds(knob.value) for knob in knobs if _key(knob) in now
    ):
        yield _Trial(now, sign * brief.champion)
    for lesson in brief.recall.latest(LESSONS):
        params = _params(lesson, knobs) if lesson.origin == ORIGIN else None
        if params is None:
            continue
        loss = _loss(lesson, brief.metric)
        if loss is not None:
            yield _Trial(params, loss)
        elif lesson.partial is not None:
            share, value = lesson.partial
            yield _Trial(params, None, (share, sign * value))


def _loss(lesson: Lesson, metric: Metric) -> float | None:
    """The metric the lesson's program came to, negated where larger is better; infinite if it failed."""
    if lesson.status in FAILED:
        return math.inf
    if lesson.champion is None or lesson.effect is None:
        return None
    sign = metric.direction.sign
    if metric.compare is Compare.DIFFERENCE:
        return sign * lesson.champion - lesson.effect
    return sign * lesson.champion * math.pow(lesson.effect, -sign) if lesson.effect > 0 else None


def _params(lesson: Lesson, knobs: Sequence[Knob]) -> dict[str, Value] | None:
    """The lesson's value of each knob that did something; None if one is missing or outside of its domain."""
    known = dict(tag.partition("=")[::2] for tag in lesson.tags if tag.startswith("knob:"))
    values = {
        knob.name: json.loads(known[f"knob:{_key(knob)}"]) for knob in knobs if f"knob:{_key(knob)}" in known
    }
    active = [knob for knob in knobs if _is_active(knob, values)]
    if not all(knob.name in values and knob.domain.holds(values[knob.name]) for knob in active):
        return None
    return {_key(knob): values[knob.name] for knob in active}


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
    if all(knob.value == value for knob, value in setting.items()):  # of an empty one too
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
