"""What a rewrite rule is. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from optiloop.proposers.rewrite.code import Code, Site


class Effect(Enum):
    """How much a rule gains where it applies, by experience: its prior before any experiment."""

    ALGORITHMIC = 4.0
    CONSTANT = 1.0


@dataclass(frozen=True)
class Rule:
    """One kind of rewriting. `sites` tells every place of a module it would change, each on its own."""

    name: str
    effect: Effect
    sites: Callable[[Code], Iterator[Site]]
