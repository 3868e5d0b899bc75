"""What memory is worth: a proposer that draws ideas as models do, told of its log in one way or another.

28,800 ideas: 90 functions, 8 kinds of ideas, 40 variants of each, drawn by Zipf's law (1949), as steep as two
reports of real runs have it: in world A 42, 71 and 89 % of the cycles of 120, 1,000 and 10,000 repeat an
idea where nothing is remembered, in world B 80, 94 and 98 %. The proposer obeys a listed line in 97 of 100
cases, and looks where it is told to look in 90: both are assumptions. It writes an idea in its usual way
or in one that nobody uses again, so that two patches of one idea are one program as often as was measured
(`structure.py`). The rest is real: the log, the assignment, the lessons with their tokens, the guard.

An idea wins by lot. A fifth of them win only while one of twelve switches of the champion stands one way, and
each keep throws a switch: so that a failure may deserve another try, and a guard may block a winner.
"""

from __future__ import annotations

import math
import random
import re
from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import NamedTuple

from optiloop.memory.history import IDEA, History
from optiloop.memory.lessons import told
from optiloop.model import (
    TRIED_AT,
    Assignment,
    Brief,
    Command,
    Experiment,
    Kin,
    Lessons,
    Metric,
    Proposal,
    Status,
)
from optiloop.proposers.assignment import IDEAS, assigned
from optiloop.proposers.llm.tokens import count_tokens
from optiloop.testing import brief_of, experiment_of

FUNCTIONS, VARIANTS, FILES = 90, 40, 10
FAMILIES = tuple(IDEAS)
STEEPNESS = {"A": (1.6, 0.5, 2.6), "B": (3.2, 2.0, 3.2)}
"""Exponents of Zipf's law over functions, kinds and variants."""
OBEYS, LOOKS = 0.97, 0.90
TRIES = 4
"""Proposals of one cycle at most, as `optiloop.proposers.llm.model` has it."""
BUDGET = 2000
"""Tokens of lessons."""
SWITCHES, WINS, SWITCHED = 12, 0.01, 0.2
METRIC = Metric("score", Command("true"))
_SAID = re.compile(r"idea (\d+)\.(\d+)\.(\d+)")


class Idea(NamedTuple):
    """A function, a kind of idea and a variant of it, each by its number."""

    function: int
    family: int
    variant: int

    @property
    def words(self) -> str:
        return f"idea {self.function}.{self.family}.{self.variant}"


@dataclass(frozen=True)
class Memory:
    """A way to remember: what is told, whether the engine says where to look, whether repeats are refused."""

    name: str
    lessons: Lessons | None = None
    assigns: bool = False
    guards: bool = False
    whole_log: int = 0
    """So many of the latest lines of the log instead of lessons, at 300 tokens each."""


MEMORIES = (
    Memory("nothing", None),
    Memory("the whole log, cut at 660 lines", whole_log=660),
    Memory("the last 20", whole_log=20),
    *(
        Memory(f"{way}, nothing else", way)
        for way in (Lessons.TRUNCATE, Lessons.SUMMARIZE, Lessons.CATEGORIZE)
    ),
    Memory("digest, nothing else", Lessons.DIGEST),
    Memory("digest and assignment", Lessons.DIGEST, assigns=True),
    Memory("guard alone", None, guards=True),
    Memory("truncate, assignment and guard", Lessons.TRUNCATE, assigns=True, guards=True),
    Memory("ours: digest, assignment and guard", Lessons.DIGEST, assigns=True, guards=True),
)
OURS = MEMORIES[-1]


@dataclass
class Tally:
    """What a campaign came to so far."""

    evaluated: int = 0
    wasted: int = 0
    proposals: int = 0
    empty: int = 0
    found: int = 0
    winners: int = 0
    blocked: int = 0
    tokens: int = 0

    @property
    def waste(self) -> float:
        """The share of evaluations whose answer the log held."""
        return self.wasted / max(1, self.evaluated)


@dataclass(frozen=True)
class Recognised:
    """How often two patches of one idea are known for it: as one program, and else as much alike."""

    program: float
    likeness: float

    @property
    def usual(self) -> float:
        """The probability of an idea's usual spelling, where all others are met once: a^2 = `program`."""
        return math.sqrt(self.program)


class World:
    """A campaign of one proposer with one memory, cycle by cycle."""

    def __init__(self, name: str, memory: Memory, known: Recognised, *, seed: int) -> None:
        self.memory, self.known = memory, known
        self.draw = random.Random(seed)
        self.tally = Tally()
        self.history = History(METRIC, diffs=lambda _: "")
        self.switches = [False] * SWITCHES
        self.answers: dict[Idea, bool | None] = {}
        """What was learnt of each idea: which way its switch stood, None where it has none."""
        self.kept: dict[Idea, int] = {}
        self.number = self.spellings = 0
        self.odds = [
            _sums(n, s) for n, s in zip((FUNCTIONS, len(FAMILIES), VARIANTS), STEEPNESS[name], strict=True)
        ]
        self.order = random.Random(seed + 1).sample(range(FUNCTIONS), FUNCTIONS)

    def cycle(self) -> None:
        """One cycle: proposals until one is run, or none is left to try."""
        self.history.seed = self.number = self.number + 1
        brief = replace(brief_of(self.source, history=self.history, metric=METRIC), seed=self.number)
        there = assigned(brief) if self.memory.assigns else None
        text = self._told(brief, there)
        listed = {Idea(*map(int, found)) for found in _SAID.findall(text)}
        for _ in range(TRIES):
            idea = self._idea(there, listed)
            if self._runs(idea, listed):
                return
        self.tally.empty += 1
        self._give_up(there)

    @property
    def source(self) -> Mapping[str, str]:
        keeps = self.history.statuses[Status.KEEP]
        return {**_SOURCE, "base.py": f"BASE = {keeps}\n"}

    def _told(self, brief: Brief, there: Assignment | None) -> str:
        if self.memory.whole_log:
            lines = [it.hypothesis for it in self.history.latest(self.memory.whole_log)]
            self.tally.tokens += 300 * len(lines)
            return "\n".join(lines)
        if self.memory.lessons is None:
            return ""
        at = there or Assignment("base.py")
        lines = told(brief.recall, at, METRIC, strategy=self.memory.lessons, places=_PLACES)
        while (tokens := count_tokens("\n".join(lines))) > BUDGET:
            lines = lines[: int(len(lines) * BUDGET / tokens * 0.98)]
        self.tally.tokens += tokens
        return "\n".join(lines)

    def _idea(self, there: Assignment | None, listed: set[Idea]) -> Idea:
        self.tally.proposals += 1
        looks = there is not None and there.part is not None and self.draw.random() < LOOKS
        for _ in range(60):
            function, family, variant = (self._number(odds) for odds in self.odds)
            function = self.order[function]
            if looks and there is not None and there.part is not None:
                function = int(there.part.removeprefix("f"))
                family = FAMILIES.index(there.family) if there.family else family
            idea = Idea(function, family, variant)
            if idea not in listed or self.draw.random() >= OBEYS:
                break
        return idea

    def _number(self, odds: Sequence[float]) -> int:
        return bisect(odds, self.draw.random() * odds[-1])

    def _runs(self, idea: Idea, listed: set[Idea]) -> bool:
        """Whether the proposal is run; a refused one is told to the proposer."""
        repeated, wins = idea in self.answers, self._wins(idea)
        self.tally.winners += (wins and idea not in self.answers) or (wins and self._changed(idea))
        usual = self.draw.random() < self.known.usual
        self.spellings += not usual
        spelling = 0 if usual else self.spellings
        after: Mapping[str, str] = {**self.source, **_edit(idea, spelling)}
        # What was kept is in the champion. Its text stays as it is: each keep would make all tries new.
        after = self.source if self.memory.guards and self.kept.get(idea) == spelling else after
        kin = self.history.kin(self.source, after) if self.memory.guards else Kin()
        alike = repeated and self.memory.guards and self.draw.random() < self.known.likeness
        if kin.refused or (alike and not kin.of and self.draw.random() < OBEYS):
            listed.add(idea)
            self.tally.blocked += wins and self._changed(idea)
            return False
        self.tally.evaluated += 1
        self.tally.wasted += repeated and not self._changed(idea)
        self.tally.found += wins and idea not in self.kept
        if wins:
            self.kept[idea] = spelling
        self._learn(idea, after, wins, kin)
        return True

    def _give_up(self, there: Assignment | None) -> None:
        """The log's line of a cycle without a proposal, which the assignment learns from."""
        tags = (f"{TRIED_AT}{there.place}", f"{IDEA}{there.family}") if there else ()
        nothing = Proposal({}, "", "model", tags=tags)
        made = experiment_of(nothing, self.source, number=self.number, status=Status.NO_PROPOSAL)
        self.history.add(replace(made, result=None, change=None))

    def _learn(self, idea: Idea, after: Mapping[str, str], wins: bool, kin: Kin) -> None:
        self.answers[idea] = self._switch(idea)
        edits = {path: text for path, text in after.items() if text != self.source[path]}
        family = FAMILIES[idea.family]
        proposal = Proposal(edits, idea.words, "model", family, (f"{IDEA}{family}",))
        status = Status.KEEP if wins else Status.DISCARD
        made: Experiment = experiment_of(proposal, self.source, number=self.number, status=status)
        self.history.add(replace(made, kin=kin))
        if wins:
            self.switches[self.draw.randrange(SWITCHES)] ^= True

    # --- the truth -------------------------------------------------------------------------------

    def _switch(self, idea: Idea) -> bool | None:
        lot = random.Random(f"switch {idea}")
        return self.switches[lot.randrange(SWITCHES)] if lot.random() < SWITCHED else None

    def _changed(self, idea: Idea) -> bool:
        """Whether its answer is not what was learnt of it."""
        return idea in self.answers and self.answers[idea] != self._switch(idea)

    def _wins(self, idea: Idea) -> bool:
        lot, stands = random.Random(f"wins {idea}"), self._switch(idea)
        lucky = lot.random() < WINS * (1 if stands is None else 3)
        return lucky and (stands is None or stands is (lot.random() < 0.5))


def campaign(
    name: str, memory: Memory, known: Recognised, *, marks: Sequence[int], seed: int = 1
) -> Iterator[tuple[int, Tally]]:
    """Run a campaign, and show its tally after so many evaluations and empty cycles."""
    world = World(name, memory, known, seed=seed)
    for number in range(1, max(marks) + 1):
        world.cycle()
        if number in marks:
            yield number, replace(world.tally)


def _tokens_a_cycle(seen: Sequence[Tally], marks: Sequence[int]) -> list[int]:
    """The mean of what was told between each mark and the one before."""
    sums, ends = [0, *(tally.tokens for tally in seen)], [0, *marks]
    return [round((sums[n + 1] - sums[n]) / (ends[n + 1] - ends[n])) for n in range(len(marks))]


def _sums(number: int, steepness: float) -> list[float]:
    return list(accumulate(1 / rank**steepness for rank in range(1, number + 1)))


def _edit(idea: Idea, spelling: int) -> Mapping[str, str]:
    """The program of an idea: the same for the same spelling of it."""
    path = f"part{idea.function % FILES}.py"
    body = f"step(x, {idea.family}, {idea.variant})" + (f" or ({spelling}, x)" if spelling else "")
    plain = f"def f{idea.function}(x):\n    return step(x)\n"
    return {path: _SOURCE[path].replace(plain, f"def f{idea.function}(x):\n    return {body}\n")}


_SOURCE = {
    f"part{part}.py": "\n\n".join(
        f"def f{n}(x):\n    return step(x)\n" for n in range(part, FUNCTIONS, FILES)
    )
    for part in range(FILES)
}
_PLACES = [f"part{n % FILES}.py::f{n}" for n in range(FUNCTIONS)]


@dataclass(frozen=True)
class Worlds:
    """What ours came to in each world at the last mark, and how its tokens grew since the first."""

    waste: Mapping[str, float]
    tokens: Mapping[str, tuple[int, int]]

    @property
    def ok(self) -> bool:
        """Below 2 % wasted, at most 2,000 tokens, and within 10 % of flat from the second mark on."""
        flat = all(last <= 1.1 * max(first, 1) and last <= BUDGET for first, last in self.tokens.values())
        return flat and all(waste < 0.02 for waste in self.waste.values())


def measured(
    known: Recognised, *, short: bool, memories: Sequence[Memory] = MEMORIES
) -> Iterator[str | Worlds]:
    """Lines of the table, and at the end what ours, one of `memories`, came to."""
    marks = (120, 300, 500) if short else (120, 1000, 10_000)
    waste, tokens = {}, {}
    head = " / ".join(f"{mark:,}" for mark in marks)
    yield f"wasted evaluations after {head} cycles; tokens a cycle; proposals a cycle; winners found, blocked"
    for name in STEEPNESS:
        for memory in (OURS, MEMORIES[0]) if short else memories:
            seen = [tally for _, tally in campaign(name, memory, known, marks=marks)]
            last, told_each = seen[-1], _tokens_a_cycle(seen, marks)
            yield (
                f"world {name}  {memory.name:36} {' / '.join(f'{it.waste:6.2%}' for it in seen)}"
                f"   {' / '.join(f'{mean:,}' for mean in told_each)} tokens"
                f"   {last.proposals / marks[-1]:.2f} proposals, {last.empty / marks[-1]:.1%} empty"
                f"   {last.found} found, {last.blocked} of {last.winners} blocked"
            )
            if memory is OURS:
                waste[name] = last.waste
                tokens[name] = (told_each[-2], told_each[-1])
    yield Worlds(waste, tokens)
