"""Reads the labelled patches of `pairs/`, and runs them to see that the labels hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

PAIRS = Path(__file__).with_name("pairs")


@dataclass(frozen=True)
class Idea:
    """One idea: its patches, and those that look like it.

    `probes` are expressions; `other` programs answer them as `same` does, `wrong` ones do not.
    """

    name: str
    probes: tuple[str, ...]
    base: str
    same: tuple[str, ...]
    other: tuple[str, ...]
    wrong: tuple[str, ...]

    @property
    def equal_pairs(self) -> list[tuple[str, str]]:
        return list(combinations(self.same, 2))

    @property
    def different_pairs(self) -> list[tuple[str, str]]:
        """Each patch beside each that is not it, and the base beside all."""
        apart = (self.base, *self.other, *self.wrong)
        return [(one, other) for one in self.same for other in apart] + list(combinations(apart, 2))


def ideas() -> list[Idea]:
    return [idea for file in sorted(PAIRS.glob("*.txt")) for idea in _read(file.read_text(encoding="utf-8"))]


def _read(text: str) -> Iterator[Idea]:
    for section in re.split(r"^=== ", text, flags=re.MULTILINE)[1:]:
        head, *patches = re.split(r"^--- ", section, flags=re.MULTILINE)
        name, *probes = head.strip().splitlines()
        labelled = [patch.partition("\n")[::2] for patch in patches]

        def programs(label: str, labelled: list[tuple[str, str]] = labelled) -> tuple[str, ...]:
            return tuple(body for heading, body in labelled if heading.partition(":")[0] == label)

        expressions = tuple(probe.removeprefix(">>> ") for probe in probes)
        (base,) = programs("base")
        yield Idea(name, expressions, base, programs("same"), programs("other"), programs("wrong"))


def answers(program: str, probes: tuple[str, ...]) -> list[str]:
    """What a program says to each probe; an exception by its type."""
    names: dict[str, object] = {}
    exec(compile(program, "<patch>", "exec"), names)
    return [_answer(probe, names) for probe in probes]


def _answer(probe: str, names: dict[str, object]) -> str:
    try:
        return repr(eval(probe, names))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        return type(error).__name__


def mislabelled(idea: Idea) -> Iterator[str]:
    """Say of each patch whose answers are not what its label says."""
    expected = answers(idea.same[0], idea.probes)
    for label, programs, equal in (
        ("same", idea.same, True),
        ("other", idea.other, True),
        ("wrong", idea.wrong, False),
    ):
        for program in programs:
            if (answers(program, idea.probes) == expected) is not equal:
                yield f"{idea.name}: {label}, but answers {answers(program, idea.probes)}: {program}"
