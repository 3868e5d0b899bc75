"""The toy target for benchmarks of the engine itself, and candidates for it by the thousand."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from optiloop.testing import TOY_EDITABLE, TOY_SCORE, toy_text, write_toy_target

SLOW_SCORE = f"sleep 0.02\n{TOY_SCORE}"
START = 100_000.0


def write_target(folder: Path, *, score: str = TOY_SCORE) -> Path:
    """Write the toy target into a new folder; `score` is the shell program that gives its metric."""
    return write_toy_target(folder, value=START, score=score)


def candidates(count: int, better: Collection[int] = (0,)) -> Iterator[dict[str, str]]:
    """Lines for `replay`: of ten candidates the `better` ones are, two fail the gate, one is a duplicate."""
    champion, text = START, ""
    for number in range(count):
        kind = number % 10
        if kind in better:
            champion -= 0.5
            text = toy_text(champion)
        elif kind in (3, 7):
            text = f"VALUE=broken-{number}\n"
        elif kind != 5:
            text = toy_text(START + number / 1000)
        yield {"path": TOY_EDITABLE, "text": text, "hypothesis": f"candidate {number}"}


def write_candidates(file: Path, count: int, better: Collection[int] = (0,)) -> Path:
    """Write `count` candidates for `replay:FILE`."""
    lines = (json.dumps(line) + "\n" for line in candidates(count, better))
    file.write_text("".join(lines), encoding="utf-8")
    return file


def command_environment() -> dict[str, str]:
    """The environment of a child that runs the command line."""
    return {**os.environ, "NO_COLOR": "1"}
