"""A model's opinion of a text, and whether it is worth anything: calibrated on labelled pairs. Asks models.

A small model that gives marks from 1 to 5 gives everything the same, and one that compares two texts takes
the first. What it can do is answer narrow questions with yes or no: the odds of its first token rank texts
for one and the same input. So that is all that is asked; where two texts differ by less than a margin it
abstains, and before it is heard at all it must rank labelled pairs better than a coin. Else the checks judge
alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

from optiloop.errors import TargetError
from optiloop.vault.checks import Said
from optiloop.vault.door import Door, NoAnswerError
from optiloop.vault.memory import key_of
from optiloop.vault.task import Task

FORM = 1
"""Raised when what is asked, or how it is decided, changes: calibrations of another form are not these."""
AIM = 0.85
"""Share of right answers that a margin is set for."""
LEAST = 0.75
"""Share of right answers below which a judge is refused."""
CHANCE = 0.01
"""A judge is refused where a coin would do as well more often than this."""
FEWEST = 8
"""Decided pairs below which a share says nothing."""
FIRST, HOPELESS = 24, 13
"""A judge that ranks at most so many of the first pairs right is not asked about the rest."""
ORDERED = 12
"""Pairs that are always asked in both orders."""

SYSTEM = "You check one text against one question. Answer with yes or no."
_SURE = 1e-6


class Oracle(Protocol):
    """Whoever gives the odds of yes: `optiloop.vault.door.Door`, or a fake."""

    def probability_yes(self, prompt: str, *, model: str = "judge", system: str = "") -> float | None:
        """P(yes) among yes and no; None where neither was likely."""


@dataclass(frozen=True)
class Pair:
    """Two outputs of a task of some `kind` for one input, labelled by hand: `wrong` is what `bad` is."""

    kind: str
    wrong: str
    request: str
    input: str
    questions: tuple[str, ...]
    good: str
    bad: str


@dataclass(frozen=True)
class Lean:
    """How a judge ranks one pair, above 0 where it is right.

    `odds` is the difference of the mean P(yes), None without an answer; `choice` is that of both orders, in
    logits, where they were asked; `bias` what it gives to whichever text comes first.
    """

    odds: float | None
    choice: float | None = None
    bias: float | None = None


@dataclass(frozen=True)
class Margins:
    """Below `odds` a judge abstains, unless its choice in both orders reaches `choice`; None: not heard."""

    odds: float | None = None
    choice: float | None = None

    def verdict(self, lean: Lean) -> int:
        """1 for the first text, -1 for the second, 0 where the judge abstains."""
        for size, margin in ((lean.odds, self.odds), (lean.choice, self.choice)):
            if size is not None and margin is not None and abs(size) >= margin:
                return 1 if size > 0 else -1
        return 0


@dataclass(frozen=True)
class Calibration:
    """What a judge is worth on labelled pairs. `refused` says why it is not heard; empty where it is.

    `right` and `wrong` count pairs decided with margins that the other half of the pairs has set.
    `order_bias` is in logits: what the text that comes first gains by it.
    """

    model: str
    pairs: int
    right: int
    wrong: int
    order_bias: float | None
    margins: Margins
    refused: str = ""

    @property
    def accuracy(self) -> float | None:
        """The share that is right of what was decided; None where nothing was."""
        decided = self.right + self.wrong
        return self.right / decided if decided else None

    @property
    def abstention(self) -> float:
        """The share of the pairs that was not decided."""
        return 1 - (self.right + self.wrong) / self.pairs if self.pairs else 1.0

    def as_text(self) -> str:
        """One line for people."""
        decided = self.right + self.wrong
        share = f" ({self.accuracy:.0%})" if self.accuracy is not None else ""
        bias = "" if self.order_bias is None else f", order bias {self.order_bias:+.2f} logits"
        figures = f"{self.right} of {decided} right{share}, abstains on {self.abstention:.0%}{bias}"
        if self.refused:
            return f"{self.model}: refused, {self.refused}; the checks judge alone ({figures})"
        return f"{self.model}: heard; {figures} of {self.pairs} pairs"

    def as_json(self) -> dict[str, Any]:
        """The same for scripts, and for a memory."""
        return asdict(self)

    @classmethod
    def of_json(cls, found: dict[str, Any]) -> Calibration:
        """Read it back."""
        return cls(**{**found, "margins": Margins(**found["margins"])})


def read_pairs(file: Path) -> list[Pair]:
    """The labelled pairs of a JSON Lines file. Raises TargetError that names the line which is none."""
    names = {field.name for field in fields(Pair)}
    pairs = []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise TargetError(f"{file}: cannot read the labelled pairs: {error.strerror}") from None
    for number, line in enumerate(lines, 1):
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if not isinstance(found, dict) or not names <= found.keys():
            raise TargetError(f"{file}:{number}: no labelled pair; it needs {', '.join(sorted(names))}")
        pairs.append(
            Pair(**{**{name: found[name] for name in names}, "questions": tuple(found["questions"])})
        )
    return pairs


# --- asking ------------------------------------------------------------------------------------------


def opinion(
    oracle: Oracle, text: str, *, request: str, given: str, questions: Sequence[str], model: str = "judge"
) -> float | None:
    """The mean P(yes) of a text over narrow questions, each of which a good text answers with yes.

    Only compare it with that of another text for the same request and input. None without an answer.
    """
    asked = (
        f"Request: {request}\n\nInput:\n{given}\n\nText:\n{text or '(empty)'}\n\nQuestion: {question}"
        for question in questions
    )
    odds = [oracle.probability_yes(prompt, model=model, system=SYSTEM) for prompt in asked]
    known = [one for one in odds if one is not None]
    return sum(known) / len(known) if known else None


def choice(
    oracle: Oracle, one: str, other: str, *, request: str, given: str, model: str = "judge"
) -> tuple[float, float] | None:
    """Whether one text is better than the other, asked in both orders: signal and order bias, in logits."""
    logits = []
    for first, second in ((one, other), (other, one)):
        prompt = (
            f"Request: {request}\n\nInput:\n{given}\n\nText A:\n{first}\n\nText B:\n{second}\n\n"
            "Question: Does text A fulfil the request better than text B?"
        )
        odds = oracle.probability_yes(prompt, model=model, system=SYSTEM)
        if odds is None:
            return None
        logits.append(_logit(odds))
    return (logits[0] - logits[1]) / 2, (logits[0] + logits[1]) / 2


def odds(oracle: Oracle, pair: Pair, *, model: str = "judge") -> float | None:
    """How a judge ranks a labelled pair by its mean P(yes): above 0 where it is right."""
    about: dict[str, Any] = {"request": pair.request, "given": pair.input, "questions": pair.questions}
    good, bad = (opinion(oracle, text, model=model, **about) for text in (pair.good, pair.bad))
    return None if good is None or bad is None else good - bad


def _logit(odds: float) -> float:
    odds = min(max(odds, _SURE), 1 - _SURE)
    return math.log(odds / (1 - odds))


# --- calibration -------------------------------------------------------------------------------------


def calibrate(oracle: Oracle, model: str, pairs: Sequence[Pair]) -> Calibration:
    """Ask a judge about labelled pairs, and say whether it is to be heard, and from which margin on.

    Raises NoAnswerError where the model is not to be had.
    """
    return calibrated(model, leans_of(oracle, model, mixed(pairs)))


def leans_of(oracle: Oracle, model: str, pairs: Sequence[Pair]) -> list[Lean]:
    """How a judge ranks labelled pairs, in their order; of a hopeless one the first pairs alone.

    Both orders are asked of some pairs, for the order bias, and of those that the odds leave open. Raises
    NoAnswerError where the model is not to be had.
    """
    found: list[Lean] = []
    for pair in pairs:
        found.append(Lean(odds(oracle, pair, model=model)))
        if len(found) == FIRST and _ranked(found) <= HOPELESS:
            break
    surest = 0.0 if len(found) < len(pairs) else _least_sure(found)
    for number, (lean, pair) in enumerate(zip(found, pairs, strict=False)):
        if number < ORDERED or abs(lean.odds or 0.0) < surest:
            chosen = choice(oracle, pair.good, pair.bad, request=pair.request, given=pair.input, model=model)
            found[number] = Lean(lean.odds, *(chosen or (None, None)))
    return found


def _ranked(found: Sequence[Lean]) -> int:
    """How many pairs the odds rank right."""
    return sum(lean.odds is not None and lean.odds > 0 for lean in found)


def _least_sure(found: Sequence[Lean]) -> float:
    """The odds from which on no pair can be left open."""
    margins = [margins_of(part).odds for part in (found, found[::2], found[1::2])]
    return max(math.inf if margin is None else margin for margin in margins)


def mixed(pairs: Sequence[Pair]) -> list[Pair]:
    """One of each kind after the other, so that the first are of all kinds, and so is each half."""
    seen: dict[str, int] = {}
    places = []
    for pair in pairs:
        seen[pair.kind] = seen.get(pair.kind, 0) + 1
        places.append(seen[pair.kind])
    return [pair for _, pair in sorted(zip(places, pairs, strict=True), key=lambda it: it[0])]


def calibrated(model: str, found: Sequence[Lean]) -> Calibration:
    """What a judge's leans say of it. Each half is decided with margins that the other half has set."""
    halves = (found[::2], found[1::2])
    verdicts = [margins_of(halves[1 - it]).verdict(lean) for it in (0, 1) for lean in halves[it]]
    right, wrong = verdicts.count(1), verdicts.count(-1)
    biases = [lean.bias for lean in found if lean.bias is not None]
    return Calibration(
        model,
        len(found),
        right,
        wrong,
        sum(biases) / len(biases) if biases else None,
        margins_of(found),
        _why_refused(found, right, wrong),
    )


def margins_of(found: Iterable[Lean]) -> Margins:
    """The smallest margins that reach the aim; the choice in both orders is for what the odds leave open."""
    known = list(found)
    odds = smallest_margin([lean.odds for lean in known if lean.odds is not None])
    alone = Margins(odds)
    left = [lean.choice for lean in known if lean.choice is not None and alone.verdict(lean) == 0]
    return Margins(odds, smallest_margin(left))


def smallest_margin(sizes: Sequence[float]) -> float | None:
    """The smallest size from which on `AIM` of at least `FEWEST` are above 0; None where there is none."""
    enough = []
    for margin in {abs(size) for size in sizes if size}:
        decided = [size for size in sizes if abs(size) >= margin]
        if len(decided) >= FEWEST and sum(size > 0 for size in decided) >= AIM * len(decided):
            enough.append(margin)
    return min(enough, default=None)


def _why_refused(found: Sequence[Lean], right: int, wrong: int) -> str:
    ranked = _ranked(found)
    decided = right + wrong
    if len(found) <= FIRST and ranked <= HOPELESS:
        return f"it ranks {ranked} of the first {len(found)} pairs right"
    if decided < FEWEST:
        return f"it is sure of {decided} of {len(found)} pairs"
    if right < LEAST * decided or of_a_coin(right, decided) > CHANCE:
        return f"it decides {right} of {decided} pairs right"
    return ""


def of_a_coin(right: int, tries: int) -> float:
    """The probability that a coin is right so often or more (binomial tail at one half)."""
    return math.fsum(math.comb(tries, count) / 2**tries for count in range(right, tries + 1))


# --- in a vault's judge ------------------------------------------------------------------------------


def learn(door: Door, model: str, labelled: Path) -> Calibration:
    """Calibrate what a name stands for, or remember how it went. Raises NoAnswerError, TargetError."""
    known = remembered(door, model, labelled)
    if known is not None:
        return known
    found = calibrate(door, door.resolve(model), read_pairs(labelled))
    for _ in range(2):  # a memory believes what was said twice
        door.memory.settled(_key(door, model, labelled), found.as_json)
    return found


def remembered(door: Door, model: str, labelled: Path) -> Calibration | None:
    """How calibrating a model went; None where that was not done. Raises NoAnswerError: it is not there."""

    def unknown() -> None:
        raise LookupError

    try:
        value, _ = door.memory.settled(_key(door, model, labelled), unknown)
    except LookupError:
        return None
    return Calibration.of_json(value)


def _key(door: Door, model: str, labelled: Path) -> str:
    return key_of("calibration", FORM, door.identity(model), labelled.read_text("utf-8"))


def ear(door: Door, model: str, labelled: Path) -> Callable[[Task, Said], float | None]:
    """What a heartbeat asks for an opinion: the model's where it is heard, else nobody's.

    An opinion is rounded to the margin below which the judge abstains: two outputs of one task that differ by
    less mostly count the same.
    """
    try:
        found = remembered(door, model, labelled) if labelled.is_file() else None
    except NoAnswerError:
        found = None
    margin = None if found is None or found.refused else found.margins.odds
    if margin is None:
        return lambda task, said: None

    def asked(task: Task, said: Said) -> float | None:
        about = {"request": said.asked, "given": said.facts}
        mean = opinion(door, said.text, questions=task.rubric.questions, model=model, **about)
        return None if mean is None else min(1.0, margin * round(mean / margin))

    return asked
