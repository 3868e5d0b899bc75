"""The same change helped here and hurt there: what was different? Pure.

Opposite signs alone are mostly noise. A contradiction is a split of what was tried by one attribute of its
context, with both sides clear and opposite, and clear beyond the number of splits and subjects that were
looked at. docs/findings.md has the rule with its measured precision and recall.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from statistics import median

from optiloop.decide import ratio_of
from optiloop.memory.cases import Case, Context, Past, Subject
from optiloop.memory.facts import size_of

CLEAR = 1.96
"""How many standard errors from nothing a side must be."""
FEWEST = 2
"""Runs on each side."""
FALSE_SHARE = 0.05
"""The expected share of false contradictions among those found (Benjamini & Hochberg 1995)."""
FEW_RUNS = 300
"""Below so many runs, two single ones that disagree are worth a word."""
_LISTED = 6


class Kind(StrEnum):
    """What a contradiction comes from."""

    SCOPE = "scope_apparent"
    """An attribute separates what helps from what hurts."""
    SUPERSEDED = "superseded"
    """Later code no longer has what it is about."""
    UNEXPLAINED = "unexplained"
    """Both happened in one context: replicate both."""


@dataclass(frozen=True)
class Datum:
    """What one run says of a subject: its gain and the gain's standard error."""

    seq: int
    gain: float
    error: float
    context: Context

    @cached_property
    def weight(self) -> float:
        return self.error**-2


@dataclass(frozen=True)
class Cell:
    """One side: its scope in words, the combined gain with its standard error, and its runs by number."""

    scope: str
    mean: float
    error: float
    runs: tuple[int, ...]

    @property
    def n(self) -> int:
        return len(self.runs)

    def says(self, *, by_ratio: bool) -> str:
        """The gain, where, and the runs behind it."""
        return f"{gain_said(self.mean, by_ratio=by_ratio)} at {self.scope} (n={self.n}, {listed(self.runs)})"


@dataclass(frozen=True)
class Contradiction:
    """A subject that helps in one cell and hurts in the other.

    `attribute` differs between them, and so do those of `also`, which split the runs in the same way; both
    are empty where nothing is known to differ. `suspected` rests on two single runs.
    """

    subject: Subject
    kind: Kind
    attribute: str
    better: Cell
    worse: Cell
    also: tuple[str, ...] = ()
    suspected: bool = False
    by_ratio: bool = True

    @property
    def runs(self) -> tuple[int, ...]:
        return tuple(sorted({*self.better.runs, *self.worse.runs}))

    @property
    def spread(self) -> float:
        """The variance between the cells, in that of their means: what contradictions are ranked by."""
        noise = self.better.error**2 + self.worse.error**2
        return (self.better.mean - self.worse.mean) ** 2 / noise if noise else math.inf

    @property
    def says(self) -> str:
        """On one line, with what to do about it."""
        sides = ", ".join(cell.says(by_ratio=self.by_ratio) for cell in (self.better, self.worse))
        apart = (
            ", ".join((self.attribute, *self.also[:_LISTED])) if self.attribute else "nothing that is known"
        )
        advice = {
            Kind.SCOPE: "",
            Kind.SUPERSEDED: "; the code no longer has it",
            Kind.UNEXPLAINED: "; replicate both",
        }
        more = "; suspected: replicate both" if self.suspected else advice[self.kind]
        return f"{self.subject}: {sides}; differs: {apart}{more}"


def gone_nowhere(subject: Subject) -> bool:
    """Where the champion's code is not known, nothing counts as gone."""
    return False


def contradictions(
    past: Past,
    *,
    gone: Callable[[Subject], bool] = gone_nowhere,
    measured: Mapping[Subject, Sequence[Datum]] | None = None,
) -> list[Contradiction]:
    """The contradictions of a log, the widest first.

    `gone` says what the champion no longer has, `measured` is its `data` where that was made already.
    """
    known = data(past) if measured is None else measured
    ratio = all(case.run.by_ratio for case in past.cases)
    best = {subject: _best(subject, given, by_ratio=ratio) for subject, given in known.items()}
    tested = sum(len(given) >= FEWEST for given in known.values())
    chosen = _believed([it for it in best.values() if it is not None], tested)
    if len(past.cases) < FEW_RUNS:
        rest = {subject: given for subject, given in known.items() if subject not in chosen}
        chosen |= {
            it.subject: it
            for subject, given in rest.items()
            for it in _suspected(subject, given, by_ratio=ratio)
        }
    found = [replace(it, kind=Kind.SUPERSEDED) if gone(it.subject) else it for it in chosen.values()]
    return sorted(found, key=lambda it: (it.suspected, -it.spread, it.subject))


def mattered(found: Iterable[Contradiction]) -> Mapping[str, frozenset[str]]:
    """The attributes that made a difference, per entity: a change there opens its failures again."""
    attributes: defaultdict[str, set[str]] = defaultdict(set)
    for it in found:
        if it.attribute:
            attributes[it.subject.entity] |= {it.attribute, *it.also}
    return {entity: frozenset(names) for entity, names in attributes.items()}


def reopened_by(
    then: Context, now: Context, entities: Iterable[str], matters: Mapping[str, frozenset[str]]
) -> str:
    """What of all that mattered for these entities has changed since, in words; empty where nothing has."""
    names = sorted(set().union(*(matters.get(entity, frozenset()) for entity in entities)))
    changed = (
        f"{name} was {_value(then.get(name))} and is {_value(now.get(name))}, which mattered before"
        for name in names
        if then.get(name) != now.get(name)
    )
    return next(changed, "")


def data(past: Past) -> Mapping[Subject, list[Datum]]:
    """What was measured of each subject by runs that changed nothing else.

    A run whose noise is not known has the log's. On top comes what runs of one subject in one context differ
    by beyond their noise, as they are different edits (DerSimonian & Laird 1986): that of the other subjects,
    or a contradiction would hide itself.
    """
    alone = [case for case in past.cases if case.run.facts.isolated and case.run.gain is not None]
    noise = _noise(alone)
    found: defaultdict[Subject, list[Datum]] = defaultdict(list)
    for case in alone:
        run = case.run
        error = max(noise if run.error is None else run.error, noise * 1e-3)
        for subject in case.subjects:
            found[subject].append(Datum(run.seq, run.gain or 0.0, error, case.context))
    scatter = {subject: _scatter(given) for subject, given in found.items()}
    excess, room = (
        (math.fsum(each) for each in zip(*scatter.values(), strict=True)) if scatter else (0.0, 0.0)
    )
    return {
        subject: _widened(given, excess - scatter[subject][0], room - scatter[subject][1])
        for subject, given in found.items()
    }


def combined(given: Sequence[Datum], scope: str = "") -> Cell:
    """Their mean by inverse variance, its error no smaller than what they scatter by (Birge 1932)."""
    weight = math.fsum(it.weight for it in given)
    mean = math.fsum(it.gain * it.weight for it in given) / weight
    chi2 = math.fsum(((it.gain - mean) / it.error) ** 2 for it in given)
    scale = max(1.0, chi2 / (len(given) - 1)) if len(given) > 1 else 1.0
    return Cell(scope, mean, math.sqrt(scale / weight), tuple(it.seq for it in given))


def gain_said(gain: float, *, by_ratio: bool) -> str:
    """A gain in words: +3.1%, or +0.012 where values are compared by difference."""
    return f"{100 * (ratio_of(gain) - 1):+.3g}%" if by_ratio else f"{gain:+.3g}"


def listed(runs: Sequence[int]) -> str:
    """The numbers of runs, the newest where there are many: "#47 #51"."""
    return ("... " if len(runs) > _LISTED else "") + " ".join(f"#{seq}" for seq in runs[-_LISTED:])


# --- noise -------------------------------------------------------------------------------------------


def _noise(cases: Sequence[Case]) -> float:
    """The standard error of a run that does not tell its own: that of others, else what all gains vary by."""
    known = [case.run.error for case in cases if case.run.error]
    if known:
        return median(known)
    gains = [case.run.gain for case in cases if case.run.gain is not None]
    middle = median(gains) if gains else 0.0
    return max(1.4826 * median(abs(gain - middle) for gain in gains), 1e-12) if gains else 1.0


def _scatter(given: Iterable[Datum]) -> tuple[float, float]:
    """What runs of one context differ by beyond their noise (chi-square over its freedom), and its weight."""
    excess = room = 0.0
    for same in _by_context(given):
        if len(same) > 1:
            weights = [it.weight for it in same]
            total = math.fsum(weights)
            mean = math.fsum(it.gain * w for it, w in zip(same, weights, strict=True)) / total
            chi2 = math.fsum(w * (it.gain - mean) ** 2 for it, w in zip(same, weights, strict=True))
            excess += chi2 - (len(same) - 1)
            room += total - math.fsum(w * w for w in weights) / total
    return excess, room


def _widened(given: Iterable[Datum], excess: float, room: float) -> list[Datum]:
    """Data with the variance between runs added to that within each, oldest first."""
    extra = math.sqrt(excess / room) if excess > 0 and room > 0 else 0.0
    ordered = sorted(given, key=lambda it: it.seq)
    return [replace(it, error=math.hypot(it.error, extra)) for it in ordered]


def _by_context(given: Iterable[Datum]) -> Iterable[list[Datum]]:
    """Runs that share one context object: nothing was kept between them."""
    found: defaultdict[int, list[Datum]] = defaultdict(list)
    for it in given:
        found[id(it.context)].append(it)
    return found.values()


# --- splits ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Sum:
    """Runs with one value of an attribute: how many, their weight, and their weighted gains and squares."""

    n: float = 0
    weight: float = 0.0
    gains: float = 0.0
    squares: float = 0.0

    def __add__(self, other: _Sum) -> _Sum:
        return _Sum(
            self.n + other.n,
            self.weight + other.weight,
            self.gains + other.gains,
            self.squares + other.squares,
        )

    @property
    def mean(self) -> float:
        return self.gains / self.weight

    @property
    def chi2(self) -> float:
        return max(0.0, self.squares - self.gains**2 / self.weight)


@dataclass(frozen=True)
class _Split:
    """Values of an attribute on either side, how clearly the sides are opposite, and how they differ."""

    attribute: str
    low: tuple[str, ...]
    high: tuple[str, ...]
    doubt: float
    """The probability of the less clear side where there is no effect on it, times the splits looked at.

    Splits by other attributes are not counted: a side is clear by chance only where it has no effect of its
    own, and every other split mixes such runs with those that have.
    """
    spread: float


@dataclass(frozen=True)
class _Found:
    """The best contradiction of a subject, and its probability under no effect at all."""

    contradiction: Contradiction
    doubt: float


def _best(subject: Subject, given: Sequence[Datum], *, by_ratio: bool) -> _Found | None:
    """The split that separates best; else what one context disagrees on; None where neither is."""
    if not _may_oppose(given):
        return None
    names = sorted({name for it in given for name in it.context})
    splits = [split for name in names if (split := _cut(name, given)) is not None]
    if splits:
        best = max(splits, key=lambda it: it.spread)
        return _Found(_scoped(subject, given, best, splits, by_ratio=by_ratio), best.doubt)
    return _unexplained(subject, given, by_ratio=by_ratio)


def _may_oppose(given: Sequence[Datum]) -> bool:
    """Whether any split can have two clear sides: none is clearer than all runs of one sign (Cauchy)."""
    up = math.fsum((it.gain / it.error) ** 2 for it in given if it.gain > 0)
    down = math.fsum((it.gain / it.error) ** 2 for it in given if it.gain < 0)
    return min(up, down) >= CLEAR**2


def _cut(attribute: str, given: Sequence[Datum]) -> _Split | None:
    """The split by an attribute that separates most, of those with two clear and opposite sides."""
    sums = {value: _Sum(*total) for value, total in _by_value(attribute, given).items()}
    if len(sums) < 2:
        return None
    ordered, number = _ordered(sums)
    below = list(_running(sums[value] for value in ordered))
    above = list(_running(sums[value] for value in reversed(ordered)))[::-1]
    splits = [
        split
        for at in range(1, len(ordered))
        if (split := _split(attribute, ordered, at, below[at - 1], above[at])) is not None
    ]
    best = max(splits, key=lambda it: it.spread, default=None)
    return best and replace(best, doubt=min(1.0, number * best.doubt))


def _by_value(attribute: str, given: Sequence[Datum]) -> Mapping[str, list[float]]:
    """For each value of an attribute: runs, weight, weighted gains and squares. This loop takes the time."""
    sums: dict[str, list[float]] = {}
    for it in given:
        value = it.context.get(attribute)
        if value is None:
            continue
        total = sums.get(value)
        if total is None:
            total = sums[value] = [0, 0.0, 0.0, 0.0]
        weight = it.weight
        weighted = weight * it.gain
        total[0] += 1
        total[1] += weight
        total[2] += weighted
        total[3] += weighted * it.gain
    return sums


def _ordered(sums: Mapping[str, _Sum]) -> tuple[list[str], int]:
    """Values in the order of the cuts: numbers by size, words by mean (Fisher 1958); how many cuts."""
    sizes = {value: ordinal(value) for value in sums}
    if all(size is not None for size in sizes.values()):
        return sorted(sums, key=lambda value: (sizes[value], value)), len(sums) - 1
    return sorted(sums, key=lambda value: (sums[value].mean, value)), 2 ** min(len(sums) - 1, 30) - 1


def ordinal(value: str) -> float | None:
    """What a value of a context is ordered by; None of a word."""
    return float(value[1:]) if value[:1] == "#" and value[1:].isdigit() else size_of(value)


def _running(sums: Iterable[_Sum]) -> Iterator[_Sum]:
    total = _Sum()
    for each in sums:
        total += each
        yield total


def _split(attribute: str, ordered: Sequence[str], at: int, low: _Sum, high: _Sum) -> _Split | None:
    if min(low.n, high.n) < FEWEST or low.mean * high.mean >= 0:
        return None
    scale = max(1.0, (low.chi2 + high.chi2) / max(1, low.n + high.n - 2))
    errors = [math.sqrt(scale / side.weight) for side in (low, high)]
    clear = min(abs(low.mean) / errors[0], abs(high.mean) / errors[1])
    if clear < CLEAR:
        return None
    spread = (low.mean - high.mean) ** 2 / (errors[0] ** 2 + errors[1] ** 2)
    return _Split(attribute, tuple(ordered[:at]), tuple(ordered[at:]), tail(clear), spread)


def tail(z: float) -> float:
    """P(Z > z) of the normal distribution."""
    return math.erfc(z / math.sqrt(2)) / 2


def _scoped(
    subject: Subject, given: Sequence[Datum], best: _Split, splits: Sequence[_Split], *, by_ratio: bool
) -> Contradiction:
    sides = [combined(_side(given, best.attribute, values), scope) for values, scope in _scopes(best)]
    worse, better = sorted(sides, key=lambda cell: cell.mean)
    runs = {frozenset(cell.runs) for cell in sides}
    also = tuple(
        other.attribute
        for other in splits
        if other is not best and runs == {_seqs(given, other, other.low), _seqs(given, other, other.high)}
    )
    return Contradiction(subject, Kind.SCOPE, best.attribute, better, worse, also, by_ratio=by_ratio)


def _side(given: Iterable[Datum], attribute: str, values: Sequence[str]) -> list[Datum]:
    return [it for it in given if it.context.get(attribute) in values]


def _seqs(given: Iterable[Datum], split: _Split, values: Sequence[str]) -> frozenset[int]:
    return frozenset(it.seq for it in _side(given, split.attribute, values))


def _scopes(split: _Split) -> Iterator[tuple[tuple[str, ...], str]]:
    """The values of both sides, each with its scope in words."""
    low, high = split.low, split.high
    if all(ordinal(value) is not None for value in (*low, *high)) and len(low) + len(high) > 2:
        yield low, f"{split.attribute} <= {low[-1]}"
        yield high, f"{split.attribute} >= {high[0]}"
    else:
        for values in (low, high):
            yield values, f"{split.attribute} = {' or '.join(sorted(values))}"


def _unexplained(subject: Subject, given: Sequence[Datum], *, by_ratio: bool) -> _Found | None:
    """Runs of one context that are clear and opposite, beyond what as many runs do by chance."""
    found = []
    for same in _by_context(given):
        up, down = max(same, key=_clearness), min(same, key=_clearness)
        clear = min(_clearness(up), -_clearness(down))
        if clear >= CLEAR:
            sides = combined([up], "one context"), combined([down], "the same")
            chosen = Contradiction(subject, Kind.UNEXPLAINED, "", *sides, by_ratio=by_ratio)
            found.append(_Found(chosen, min(1.0, len(given) * tail(clear))))
    return min(found, key=lambda it: it.doubt, default=None)


def _clearness(it: Datum) -> float:
    return it.gain / it.error


def _believed(found: Iterable[_Found], tested: int) -> dict[Subject, Contradiction]:
    """Those that stand when so many subjects were looked at (Benjamini & Hochberg 1995)."""
    ranked = sorted(found, key=lambda it: (it.doubt, it.contradiction.subject))
    passed = [n for n, it in enumerate(ranked, 1) if it.doubt <= FALSE_SHARE * n / tested]
    return {it.contradiction.subject: it.contradiction for it in ranked[: max(passed, default=0)]}


def _suspected(subject: Subject, given: Sequence[Datum], *, by_ratio: bool) -> Iterator[Contradiction]:
    """Two single runs that are clear and opposite, and what differs between their contexts."""
    up, down = max(given, key=_clearness), min(given, key=_clearness)
    if min(_clearness(up), -_clearness(down)) < CLEAR:
        return
    names = sorted({*up.context, *down.context})
    apart = [name for name in names if up.context.get(name) != down.context.get(name)]
    first = apart[0] if apart else ""
    kind = Kind.SCOPE if apart else Kind.UNEXPLAINED
    scopes = [f"{first} = {_value(it.context.get(first))}" if first else "one context" for it in (up, down)]
    sides = [combined([it], scope) for it, scope in zip((up, down), scopes, strict=True)]
    yield Contradiction(
        subject, kind, first, sides[0], sides[1], tuple(apart[1:]), suspected=True, by_ratio=by_ratio
    )


def _value(value: str | None) -> str:
    return "not set" if value is None else value
