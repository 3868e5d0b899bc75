"""Scale: what the experiment memory costs at 1,000, 10,000 and 100,000 experiments, in CPU time.

    python benchmarks/memory.py scale                all three; about two minutes
    python benchmarks/memory.py scale --short        the short form

The logs are synthetic (`synthetic.py`), their lines those of the loop. Append is one fsync'd line of the real
ledger; refresh is opening an index that lacks one line. Settle is what a run makes of the whole log when it
ends; after it what the log teaches is a question like the others. Each question is asked three times and its
fastest time taken, so that what else the machine does counts little; the slowest question is the figure.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from optiloop.index import store
from optiloop.index.learning import settle
from optiloop.index.memory import Memory
from optiloop.ledger import Ledger
from optiloop.memory.history import History
from optiloop.memory.insights import Focus
from optiloop.memory.lessons import told
from optiloop.model import Assignment, Command, Lessons, Metric
from optiloop.proposers.llm.tokens import count_tokens
from remembering.synthetic import FUNCTIONS, METRIC, PATH, experiments, program, write_log

T = TypeVar("T")

APPENDS, READINGS, TIMES = 20, 20, 3
GUARD_SECONDS, DIGEST_SECONDS = 0.015, 0.06
"""What a cycle's guard and its digest may take at any size."""
REBUILD_SECONDS, SETTLE_SECONDS, QUESTION_SECONDS, APPEND_SECONDS = 10.0, 10.0, 0.1, 0.005
"""What a rebuild and a settle of 100,000, a question and an append may take."""


@dataclass(frozen=True)
class Scale:
    """CPU seconds at one size; `questions` by what is asked. `same` is whether two rebuilds agree."""

    size: int
    log_bytes: int
    index_bytes: int
    rebuild: float
    settle: float
    append: float
    refresh: float
    same: bool
    guard: float
    digest: float
    questions: dict[str, float] = field(default_factory=dict)

    @property
    def slowest(self) -> tuple[str, float]:
        return max(self.questions.items(), key=lambda it: it[1])

    @property
    def ok(self) -> bool:
        """Whether all targets are met; those of a rebuild and a settle are in proportion to the size."""
        quick = self.slowest[1] < QUESTION_SECONDS and self.append < APPEND_SECONDS
        quick = quick and self.guard < GUARD_SECONDS and self.digest < DIGEST_SECONDS
        share = max(self.size, 10_000) / 100_000
        slow = self.rebuild < REBUILD_SECONDS * share and self.settle < SETTLE_SECONDS * share
        return self.same and quick and slow


def figures(sizes: Sequence[int] = (1_000, 10_000, 100_000), seed: int = 0) -> list[Scale]:
    """Measure each size in a folder of its own."""
    found = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            found.append(_measured(Path(folder) / "experiments.jsonl", size, seed))
    return found


def _measured(log: Path, size: int, seed: int) -> Scale:
    write_log(log, size, seed)
    hashes, rebuilds = [], []
    for _ in range(2):
        index, seconds = _timed(lambda: store.rebuilt(log))
        rebuilds.append(seconds)
        hashes.append(index.content_hash())
        index.close()
    settled = _timed(lambda: settle(log, None))[1]
    asked = _questions(Memory.of(log))
    ledger = Ledger(log)
    history = History(Metric(METRIC, Command("true")), diffs=ledger.diff)
    for experiment in ledger.new():
        history.add(experiment)
    guard, told_in = _reading(history)
    appends, refreshes = [], []
    for number, experiment in enumerate(experiments(APPENDS, seed + 1)):
        later = replace(experiment, id=f"02{number:024d}")
        appends.append(_timed(lambda one=later: ledger.append(one))[1])  # type: ignore[misc]
        index, seconds = _timed(lambda: store.opened(log))
        refreshes.append(seconds)
        index.close()
    return Scale(
        size=size,
        log_bytes=log.stat().st_size,
        index_bytes=store.size_of(log),
        rebuild=min(rebuilds),
        settle=settled,
        append=sorted(appends)[APPENDS // 2],
        refresh=sorted(refreshes)[APPENDS // 2],
        same=len(set(hashes)) == 1,
        guard=guard,
        digest=told_in,
        questions=asked,
    )


def _reading(history: History) -> tuple[float, float]:
    """What a cycle's guard takes, and the lessons of an assignment with their tokens: medians."""
    guards, digests = [], []
    for number, function in enumerate(FUNCTIONS[:READINGS]):
        before = {PATH: program()}
        line = f"def {function}(items):\n"
        after = {PATH: program().replace(line, f"{line}    items = items[{number}:] + [{number}]\n")}
        guards.append(_timed(partial(history.kin, before, after))[1])
        digests.append(_timed(partial(_lessons, history, Assignment(PATH, function, "memoise")))[1])
    return sorted(guards)[READINGS // 2], sorted(digests)[READINGS // 2]


def _lessons(history: History, there: Assignment) -> int:
    places, metric = [f"{PATH}::{function}" for function in FUNCTIONS], Metric(METRIC, Command("true"))
    return count_tokens("\n".join(told(history, there, metric, strategy=Lessons.DIGEST, places=places)))


def _questions(memory: Memory) -> dict[str, float]:
    """What each question takes, the wide ones of their kind among them."""
    keeps = memory.standing()
    first, last = (str(keeps[at]) for at in (0, -1))
    past = memory.as_of(memory.now // 2)
    asked: dict[str, Callable[[], object]] = {
        "state": memory.state,
        "state as of the middle": past.state,
        "as of a date": lambda: memory.as_of("2026-01-03").state(),
        "best before a number": lambda: memory.best_before(str(memory.now // 2)),
        "best before OPTIMIZER": lambda: memory.best_before("OPTIMIZER"),
        "helped: depth up": lambda: memory.helped("depth up"),
        "helped: knob while DEPTH<10": lambda: memory.helped("knob", "DEPTH<10"),
        "helped: inline while memoise": lambda: memory.helped("inline", "memoise"),
        "tried: DEPTH=12": lambda: memory.tried("DEPTH=12"),
        "tried: memoise in make_norms": lambda: memory.tried("memoise in make_norms"),
        "common": lambda: memory.common(first, last),
        "best for the learning rate": lambda: memory.best_for("learning rate"),
        "avoid: make_norms": lambda: memory.avoid("make_norms"),
        "avoid: DEPTH": lambda: memory.avoid("DEPTH"),
        "avoid: the whole file": lambda: memory.avoid("train.py"),
        "unexplored": memory.unexplored,
        "ancestry": memory.ancestry,
        "text: raise DEPTH to 12": lambda: memory.recall("raise DEPTH to 12"),
        "text: torch compile make_norms step": lambda: memory.recall("torch compile make_norms step"),
        "text: it allocates in the inner loop": lambda: memory.recall("it allocates in the inner loop"),
        **{f"insights: {focus}": partial(memory.insights, focus) for focus in Focus},
    }
    return {said: min(_timed(ask)[1] for _ in range(TIMES)) for said, ask in asked.items()}


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    started = time.process_time()
    result = work()
    return result, time.process_time() - started


def table(found: Sequence[Scale]) -> str:
    """One column per size."""

    def row(name: str, cells: Sequence[str]) -> str:
        return f"{name:<40}" + "".join(f"{cell:>12}" for cell in cells)

    lines = [
        row("experiments", [f"{it.size:,}" for it in found]),
        row("log, MB", [f"{it.log_bytes / 1e6:.1f}" for it in found]),
        row("index, MB", [f"{it.index_bytes / 1e6:.1f}" for it in found]),
        row("rebuild, s", [f"{it.rebuild:.2f}" for it in found]),
        row("same content hash twice", ["yes" if it.same else "NO" for it in found]),
        row("settle, s", [f"{it.settle:.2f}" for it in found]),
        row("guard, ms", [f"{it.guard * 1e3:.1f}" for it in found]),
        row("digest and its tokens, ms", [f"{it.digest * 1e3:.1f}" for it in found]),
        row("append, ms", [f"{it.append * 1e3:.2f}" for it in found]),
        row("refresh by one line, ms", [f"{it.refresh * 1e3:.2f}" for it in found]),
        *(
            row(f"{said}, ms", [f"{it.questions[said] * 1e3:.1f}" for it in found])
            for said in found[0].questions
        ),
        row("slowest question, ms", [f"{it.slowest[1] * 1e3:.1f}" for it in found]),
        row("ok", ["yes" if it.ok else "NO" for it in found]),
    ]
    return "\n".join(lines)
