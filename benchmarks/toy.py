"""A target for benchmarks of the engine itself: one number in a file, judged by two tiny programs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

# A shell is the cheapest judge there is: what is left is the engine's own work.
TARGET = """\
name = "toy"
editable = ["value.txt"]

[[gate]]
name = "digits"
command = ["/bin/sh", "gate.sh"]

[metric]
name = "score"
command = ["/bin/sh", "score.sh"]
noise = "deterministic"
min_effect = 0.0
"""
GATE = 'read value < value.txt; case "$value" in *[!0-9.]*) echo "not a number" >&2; exit 1;; esac\n'
SCORE = 'read value < value.txt; echo "METRIC score=$value"\n'
SLOW_SCORE = f"sleep 0.02; {SCORE}"
START = 100_000.0


def write_target(folder: Path, *, score: str = SCORE) -> Path:
    """Write the toy target into a new folder; `score` is the shell program that gives its metric."""
    folder.mkdir(parents=True)
    files = {"target.toml": TARGET, "gate.sh": GATE, "score.sh": score, "value.txt": f"{START}\n"}
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def candidates(count: int) -> Iterator[dict[str, str]]:
    """Lines for `replay`: of ten candidates three are better, two fail the gate, one is a duplicate."""
    champion, text = START, ""
    for number in range(count):
        kind = number % 10
        if kind in (0, 4, 8):
            champion -= 0.5
            text = f"{champion}\n"
        elif kind in (3, 7):
            text = f"broken {number}\n"
        elif kind != 5:
            text = f"{START + number / 1000}\n"
        yield {"path": "value.txt", "text": text, "hypothesis": f"candidate {number}"}


def write_candidates(file: Path, count: int) -> Path:
    """Write `count` candidates for `replay:FILE`."""
    file.write_text("".join(json.dumps(line) + "\n" for line in candidates(count)), encoding="utf-8")
    return file


def command_environment() -> dict[str, str]:
    """The environment of a child that runs the command line."""
    return {**os.environ, "NO_COLOR": "1"}
