"""What a target's diagnose command says of its tasks: the lowest first, each with its failed checks. Pure.

One line per task and, indented, one per failed check; anything else is passed over:

    task morning-briefing score 2.1 reads research-radar
      check parts: needs at least 5 bullets, has 2
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TASK = re.compile(r"task (?P<name>[\w.-]+) score (?P<score>\d+(?:\.\d+)?)")
_CHECK = re.compile(r"\s+check (?P<check>[\w.-]+): (?P<said>.+)")

FORKS = re.compile(r"\bforks?\b|\bprocess(?:es)?\b", re.IGNORECASE)
"""What a check says that counts what a script starts."""


@dataclass(frozen=True)
class Failure:
    """A check that failed, and its own words."""

    check: str
    said: str


@dataclass(frozen=True)
class Ailing:
    """A task with failed checks."""

    name: str
    score: float
    failures: tuple[Failure, ...]


def ailing(diagnosis: str) -> list[Ailing]:
    """The tasks of a diagnosis that fail a check, the lowest score first."""
    found: list[Ailing] = []
    for line in diagnosis.split("\n"):
        if task := _TASK.match(line):
            found.append(Ailing(task["name"], float(task["score"]), ()))
        elif found and (check := _CHECK.match(line)):
            last = found[-1]
            failures = (*last.failures, Failure(check["check"], check["said"].strip()))
            found[-1] = Ailing(last.name, last.score, failures)
    return sorted((task for task in found if task.failures), key=lambda task: task.score)
