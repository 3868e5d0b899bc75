"""Recall: is an earlier experiment found by what others call it, with the extra `embed` and without it?

    python benchmarks/memory.py recall               some minutes
    python benchmarks/memory.py recall --short       the quality only

`pairs/blind/said.json` has 24 ideas. Each has sentences of three authors who carry it out, and of two who do
something alike instead; one writer imitated all five. They lie, without a diff, at random places among
synthetic experiments. Each of the 72 is asked for by its own words: to be found are the two other authors'
sentences of that idea.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

from optiloop.index.memory import Memory, embeds
from optiloop.record import digest, encode
from remembering.ideas import BLIND
from remembering.synthetic import experiments, write_log

AMONG, SEEDS, FIRST, SIZES = 5_000, 3, 10, (10_000, 100_000)
"""Synthetic experiments; logs, each with other places; how many rows count as found; and
the sizes of which the cost is told."""

QUESTIONS = ("raise DEPTH to 12", "torch compile make_norms step", "it allocates in the inner loop")
TIMES = 3

Sentence = Mapping[str, str]


@dataclass(frozen=True)
class Found:
    """The mean of 1 / (place of the first that was to be found), and the share in the first ten rows."""

    mrr: float
    recall: float


@dataclass(frozen=True)
class Took:
    """CPU seconds: the first question, which makes the vectors, and the slowest of others at its fastest."""

    first: float
    later: float
    index_bytes: int


def sentences() -> list[Sentence]:
    found: list[Sentence] = json.loads((BLIND / "said.json").read_text(encoding="utf-8"))
    return found


def quality(seed: int, among: int = AMONG) -> Found:
    """Ask one log, with whatever is installed."""
    said = sentences()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "experiments.jsonl"
        places = _write(log, said, among, seed)
        memory = Memory.of(log)
        ranks = [list(_ranks(memory, said, places, at)) for at in range(len(said))]
        memory.index.close()
    asked = [ranks[at] for at, one in enumerate(said) if one["label"] == "same"]
    firsts = [1 / min(found) if found else 0.0 for found in asked]
    tens = [sum(rank <= FIRST for rank in found) / 2 for found in asked]
    return Found(sum(firsts) / len(asked), sum(tens) / len(asked))


def _write(log: Path, said: Sequence[Sentence], among: int, seed: int) -> list[int]:
    """A log with the sentences in it; the number of each one's experiment."""
    total = among + len(said)
    places = random.Random(seed).sample(range(total), len(said))
    words = dict(zip(places, (one["said"] for one in said), strict=True))
    previous = ""
    with log.open("wb") as file:
        for at, made in enumerate(experiments(total, seed)):
            if at in words:
                made = replace(made, hypothesis=words[at], diff="", family="model", tags=())
            line = encode(replace(made, previous=previous))
            previous = digest(line)
            file.write(line + b"\n")
    return [at + 1 for at in places]


def _ranks(memory: Memory, said: Sequence[Sentence], places: Sequence[int], asked: int) -> Iterator[int]:
    """At which places the answer has the sentences that are to be found, itself left out."""
    wanted = {
        places[at]
        for at, one in enumerate(said)
        if at != asked and one["label"] == "same" and one["idea"] == said[asked]["idea"]
    }
    rows = [row["run"] for row in memory.recall(said[asked]["said"]).rows if row["run"] != places[asked]]
    return (rank for rank, run in enumerate(rows, 1) if run in wanted)


def cost(size: int, seed: int = 0) -> Took:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "experiments.jsonl"
        write_log(log, size, seed)
        memory = Memory.of(log)
        first = _seconds(lambda: memory.recall(QUESTIONS[0]))
        later = max(min(_seconds(lambda: memory.recall(q)) for _ in range(TIMES)) for q in QUESTIONS)  # noqa: B023
        memory.index.close()
        return Took(first, later, log.with_name("memory.db").stat().st_size)


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def lines(sizes: Sequence[int]) -> Iterator[str]:
    """The figures in words, without the extra first; what a question costs only at these sizes."""
    for way in ("words", "words and vectors") if embeds() else ("words",):
        with patch("optiloop.index.memory.embeds", lambda way=way: way != "words"):
            found = [quality(seed) for seed in range(SEEDS)]
            mrr, share = (
                sum(it) / SEEDS for it in zip(*((one.mrr, one.recall) for one in found), strict=True)
            )
            yield f"{way:<20}MRR {mrr:.3f}  recall@{FIRST} {share:.3f}  among {AMONG:,}, {SEEDS} logs"
            for size in sizes:
                took = cost(size)
                yield (
                    f"{way:<20}{size:>8,}  first {took.first * 1e3:,.0f} ms  later {took.later * 1e3:.1f} ms"
                    f"  index {took.index_bytes / 1e6:.1f} MB"
                )
    if not embeds():
        yield "the extra is not installed: pip install 'optiloop[embed]'"


def main() -> int:
    for line in lines(SIZES if sys.argv[1:] != ["--short"] else ()):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
