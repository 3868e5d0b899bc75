"""Are contradictions found, and the attribute that differs? A log with planted truth, and two rival rules.

    python benchmarks/remembering/contradictions.py [--short]

60 changes (an entity and a direction): 12 help under one value or range of one attribute and hurt under the
others, 30 have the same effect everywhere, 18 none. An effect is 1.5 to 3 standard errors of one run. Six
attributes (numbers and words) are the context; with every tenth run one of them is set anew, as by a keep.

`anew` draws the whole context for each run: as easy as it gets. `uneven` is a harder world: the 30 help or
hurt under some values of an attribute and do nothing under the others, and 20 attributes that never matter
come on top. A difference of size is no contradiction.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from optiloop.memory import contradictions as known
from optiloop.memory.cases import Case, Past, Subject
from optiloop.memory.contradictions import CLEAR
from optiloop.memory.facts import Facts, Way
from optiloop.memory.runs import Run
from optiloop.model import Status

KEYS, FLIPPED, NULL = 60, 12, 18
SEEDS, FEW_SEEDS = 20, 5
LENGTHS = (300, 1000, 3000)
SMALLEST, LARGEST = 1.5, 3.0
"""Sizes of an effect, in standard errors of one run."""
ERROR = 0.002
CHANGED = 0.1
"""How often a run is followed by a change of the context."""
PRECISION, RECALL, AT = 0.9, 0.75, 1000
AS_BY_KEEPS, ANEW, UNEVEN = "as by keeps", "anew", "uneven"

ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "OPTIMIZER": ("adamw", "muon", "lion"),
    "DEPTH": ("4", "8", "12", "24"),
    "TOTAL_BATCH_SIZE": ("2**17", "2**18", "2**19"),
    "DATASET": ("small", "large"),
    "ACTIVATION": ("relu", "swiglu", "gelu"),
    "WARMUP_RATIO": ("0.0", "0.1"),
}

IDLE: Mapping[str, tuple[str, ...]] = {
    **{f"KNOB_{n}": ("1", "2", "3", "4") for n in range(12)},
    **{f"MODE_{n}": ("a", "b", "c") for n in range(8)},
}
"""Attributes that never matter."""

Found = Mapping[Subject, str]
"""Subjects that a rule calls contradictory, each with the attribute that it names; empty for none."""


@dataclass(frozen=True)
class Truth:
    """What a subject does: its effect, and where (attribute, values) its sign is the other; None: nowhere."""

    effect: float
    flips: tuple[str, frozenset[str]] | None = None
    idle: tuple[str, frozenset[str]] | None = None
    """Where it does nothing, in the uneven world."""

    def gain(self, context: Mapping[str, str]) -> float:
        if self.idle is not None and context[self.idle[0]] in self.idle[1]:
            return 0.0
        turned = self.flips is not None and context[self.flips[0]] in self.flips[1]
        return -self.effect if turned else self.effect


@dataclass(frozen=True)
class Score:
    """How well a rule does at a length: shares of what it found, of what there is, of attributes named."""

    rule: str
    kind: str
    runs: int
    precision: float
    recall: float
    named: float

    @property
    def ok(self) -> bool:
        """Whether the promise holds, where one was made."""
        promised = self.rule == OURS and self.kind == AS_BY_KEEPS and self.runs == AT
        return not promised or (self.precision >= PRECISION and self.recall >= RECALL)


def planted(seed: int, kind: str = AS_BY_KEEPS) -> dict[Subject, Truth]:
    """The truth of one world."""
    rng = random.Random(seed)
    kinds = ["flips"] * FLIPPED + ["null"] * NULL + ["same"] * (KEYS - FLIPPED - NULL)
    found = {}
    for number, each in enumerate(kinds):
        effect = rng.choice((-1, 1)) * rng.uniform(SMALLEST, LARGEST) * ERROR
        flips = _flip(rng) if each == "flips" else None
        idle = _flip(rng) if each == "same" and kind == UNEVEN else None
        subject = Subject(f"entity {number // 2}", str((Way.UP, Way.DOWN)[number % 2]))
        found[subject] = Truth(0.0 if each == "null" else effect, flips, idle)
    return found


def _flip(rng: random.Random) -> tuple[str, frozenset[str]]:
    """One attribute: its upper values where they are numbers, else one word."""
    name = rng.choice(tuple(ATTRIBUTES))
    values = ATTRIBUTES[name]
    if values[0][0].isdigit():
        return name, frozenset(values[rng.randrange(1, len(values)) :])
    return name, frozenset({rng.choice(values)})


def world(truth: Mapping[Subject, Truth], runs: int, seed: int, kind: str = AS_BY_KEEPS) -> Past:
    """A log of so many runs, each of a subject drawn at random."""
    rng = random.Random(seed + 1000)
    attributes = {**ATTRIBUTES, **IDLE} if kind == UNEVEN else ATTRIBUTES
    context = {name: rng.choice(values) for name, values in attributes.items()}
    subjects, cases = tuple(truth), []
    for seq in range(1, runs + 1):
        subject = rng.choice(subjects)
        gain = rng.gauss(truth[subject].gain(context), ERROR)
        cases.append(Case(run(seq, subject, gain, ERROR), (subject,), context))
        if kind != AS_BY_KEEPS:
            context = {name: rng.choice(values) for name, values in attributes.items()}
        elif rng.random() < CHANGED:
            name = rng.choice(tuple(attributes))
            context = {**context, name: rng.choice(attributes[name])}
    return Past(tuple(cases), context, runs)


def run(seq: int, subject: Subject, gain: float, error: float) -> Run:
    """One run as the log would tell it."""
    verdict = 1 if gain >= CLEAR * error else -1 if gain <= -CLEAR * error else 0
    return Run(
        seq=seq,
        id=f"{seq:06}",
        time="2026-01-01T00:00:00.000Z",
        status=Status.KEEP if verdict == 1 else Status.DISCARD,
        verdict=verdict,
        effect=1 + gain,
        gain=gain,
        error=error,
        by_ratio=True,
        champion=None,
        value=None,
        family="knob",
        origin="tune",
        hypothesis=str(subject),
        reason="",
        taken=(),
        facts=Facts(entities=((subject.entity, Way(subject.way)),)),
    )


# --- rules -------------------------------------------------------------------------------------------


def ours(past: Past) -> Found:
    """The rule of optiloop."""
    return {it.subject: it.attribute for it in known.contradictions(past)}


def any_sign(past: Past) -> Found:
    """Two runs of a subject went opposite ways."""
    return _opposed(past, 0.0)


def beyond_noise(past: Past) -> Found:
    """Two runs of a subject went opposite ways, each beyond its noise."""
    return _opposed(past, CLEAR)


def _opposed(past: Past, least: float) -> Found:
    clear: dict[Subject, list[float]] = {}
    for case in past.cases:
        clear.setdefault(case.subjects[0], []).append((case.run.gain or 0.0) / (case.run.error or ERROR))
    return {subject: "" for subject, each in clear.items() if max(each) > least and min(each) < -least}


OURS = "optiloop"
RULES: Mapping[str, Callable[[Past], Found]] = {
    "any opposite sign": any_sign,
    "two runs beyond their noise": beyond_noise,
    OURS: ours,
}


def score(rule: str, runs: int, seeds: int, kind: str = AS_BY_KEEPS) -> Score:
    """Count over worlds of their own seeds."""
    hits = named = said = there = 0
    for seed in range(seeds):
        truth = planted(seed, kind)
        found = RULES[rule](world(truth, runs, seed, kind))
        right = [subject for subject in found if truth[subject].flips is not None]
        hits, said, there = hits + len(right), said + len(found), there + FLIPPED
        named += sum((truth[subject].flips or ("",))[0] == found[subject] for subject in right)
    return Score(rule, kind, runs, hits / max(1, said), hits / there, named / max(1, hits))


def scores(short: bool) -> Iterator[Score]:
    """All rules at all lengths and in all worlds; `short`: fewer seeds, one world, and not the longest."""
    seeds, lengths = (FEW_SEEDS, LENGTHS[:2]) if short else (SEEDS, LENGTHS)
    for kind in (AS_BY_KEEPS,) if short else (AS_BY_KEEPS, ANEW, UNEVEN):
        for rule in RULES:
            yield from (score(rule, runs, seeds, kind) for runs in lengths)


@dataclass(frozen=True)
class Contradictions:
    """The scores of all rules."""

    scores: tuple[Score, ...]

    @property
    def ok(self) -> bool:
        return all(it.ok for it in self.scores)

    def lines(self) -> Iterator[str]:
        """A line for each world, rule and length, and whether the promise holds."""
        for it in self.scores:
            named = f", attribute named rightly {it.named:.2f}" if it.rule == OURS else ""
            said = f"precision {it.precision:.2f}, recall {it.recall:.2f}{named}"
            yield f"{it.kind}, {it.rule}, {it.runs:,} runs: {said}"
        promised = f"precision >= {PRECISION}, recall >= {RECALL} at {AT:,} runs, {AS_BY_KEEPS}"
        yield f"{promised}: {'yes' if self.ok else 'NO'}"


def contradictions(short: bool) -> Contradictions:
    """Score them all."""
    return Contradictions(tuple(scores(short)))


def figures(short: bool) -> Iterator[str]:
    """The figures as lines to print."""
    yield from contradictions(short).lines()


if __name__ == "__main__":
    print("\n".join(figures("--short" in sys.argv)))
