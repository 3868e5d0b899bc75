"""Promise 6, small: what the engine itself costs per cycle, at 100 and at 10,000 experiments in the log.

    python benchmarks/overhead.py                   the figures of the README
    python benchmarks/overhead.py --sizes 100 1000  the short form that CI runs

Engine CPU = all CPU of the process and its children, git included, less what gates, the metric's command
and the proposer took; the median of ten batches of ten cycles, of which one keeps, two fail the gate and one
is a duplicate. Each size runs in a process of its own, so that peak memory is that size's.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import toy

from optiloop.ledger import Ledger
from optiloop.loop import Engine
from optiloop.measure import Judge
from optiloop.model import Brief, Command, Experiment, Measurement, Pair, Proposal, Sample, Status
from optiloop.proposers.replay import Replay
from optiloop.record import digest, encode
from optiloop.sandbox import Outcome
from optiloop.targets import load_target

BATCHES, BATCH = 10, 10
CYCLES = BATCHES * BATCH
HELP_RUNS = 5


class Timed:
    """A proposer whose CPU time is taken down."""

    def __init__(self, inner: Replay) -> None:
        self.inner, self.seconds = inner, 0.0

    def propose(self, brief: Brief) -> Proposal | None:
        started = time.process_time()
        proposal = self.inner.propose(brief)
        self.seconds += time.process_time() - started
        return proposal


@dataclass
class CountingJudge(Judge):
    """A judge that takes down the CPU of every gate and metric command."""

    cpu_seconds: float = 0.0

    def _run(
        self,
        command: Command,
        folder: Path,
        env: dict[str, str] | None = None,
        *,
        shown_too: tuple[Path, ...] = (),
        watch: Callable[[str], str] | None = None,
        during: AbstractContextManager[None] | None = None,
    ) -> Outcome:
        outcome = super()._run(command, folder, env, shown_too=shown_too, watch=watch, during=during)
        self.cpu_seconds += outcome.cpu_seconds
        return outcome


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--sizes", type=int, nargs="+", default=[100, 10_000])
    options.add_argument("--sandbox", default="process", help="the level: what it costs is the engine's too")
    options.add_argument("--one", type=int, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.one is not None:
        print(json.dumps(measured(chosen.one, chosen.sandbox)))
        return 0
    print("experiments  engine CPU/cycle  of it git+forks  bytes/cycle  start (reads log)  peak memory")
    for size in chosen.sizes:
        done = subprocess.run(
            (sys.executable, __file__, "--one", str(size), "--sandbox", chosen.sandbox),
            capture_output=True,
            text=True,
            check=True,
        )
        found = json.loads(done.stdout)
        print(
            f"{size:>11,}  {found['engine_ms']:>13.2f} ms  {found['children_ms']:>12.2f} ms  "
            f"{found['bytes']:>11,.0f}  {found['start_s']:>15.2f} s  {found['peak_mb']:>8.1f} MB"
        )
    print(f"optiloop --help: {help_seconds():.3f} s CPU (median of {HELP_RUNS})")
    return 0


def measured(size: int, sandbox: str) -> dict[str, float]:
    """Run CYCLES cycles on top of a log of `size` experiments."""
    with tempfile.TemporaryDirectory() as scratch:
        target = load_target(toy.write_target(Path(scratch) / "toy"))
        proposer = Timed(Replay(str(toy.write_candidates(Path(scratch) / "candidates.jsonl", CYCLES + 1))))
        with Engine.opened(target, proposer, sandbox=sandbox) as engine:
            engine.prepare()
            first = engine.cycle()
            assert first is not None
        log = Path(scratch) / "toy" / ".optiloop" / "toy" / "experiments.jsonl"
        _lengthen(log, first, size)
        started = time.process_time()
        with Engine.opened(target, proposer, sandbox=sandbox) as engine:
            start = time.process_time() - started
            engine.judge = judge = CountingJudge(
                target,
                engine.workspace.scratch,
                engine.workspace.sweep,
                sandbox=engine.sandbox,
                trees=engine.workspace.trees,
            )
            bytes_before = log.stat().st_size
            batches = [_batch(engine, judge, proposer) for _ in range(BATCHES)]
        own, children = (1000 * statistics.median(side) / BATCH for side in zip(*batches, strict=True))
        return {
            "engine_ms": own + children,
            "children_ms": children,
            "bytes": (log.stat().st_size - bytes_before) / CYCLES,
            "start_s": start,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }


def _batch(engine: Engine, judge: CountingJudge, proposer: Timed) -> tuple[float, float]:
    """CPU seconds of a batch of cycles: the engine's own, and its children's that are not the target's."""
    target, proposed = judge.cpu_seconds, proposer.seconds
    own, children = _used()
    for _ in range(BATCH):
        assert engine.cycle() is not None
    own_after, children_after = _used()
    return (
        own_after - own - (proposer.seconds - proposed),
        children_after - children - (judge.cpu_seconds - target),
    )


def _used() -> tuple[float, float]:
    """CPU seconds of this process, and of its ended children."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime, children.ru_utime + children.ru_stime


def _lengthen(log: Path, first: Experiment, size: int) -> None:
    """Append experiments as a real campaign has them, eight pairs each, up to `size`."""
    experiments = list(Ledger(log).new())
    previous = digest(encode(experiments[-1]))
    with log.open("ab") as file:
        for number in range(len(experiments), size):
            line = encode(replace(_like(first, number), previous=previous))
            previous = digest(line)
            file.write(line + b"\n")


def _like(first: Experiment, number: int) -> Experiment:
    value = 1000.0 + number / 7
    pair = Pair(
        Sample({"score": 999.5}, 0.01, 0.01), Sample({"score": value}, 0.01, 0.01), number % 2 == 0, number
    )
    return replace(
        first,
        id=f"{first.id[:16]}{number:010d}",
        parent=first.commit or "",
        status=Status.DISCARD,
        reason=f"not better: {999.5 / value:.4f}x in 8 pairs, E = 0.02",
        hypothesis=f"candidate {number} of a long night: another way to write the same function",
        tags=(f"synthetic:{number}",),
        result=f"{number:032x}",
        change=f"{number + 1:032x}",
        diff=first.diff * 12,
        measurement=Measurement((pair,) * 8, None),
        effect=999.5 / value,
        commit=None,
    )


def help_seconds() -> float:
    """CPU of `optiloop --help`, start of Python included."""
    times = []
    for _ in range(HELP_RUNS):
        before = _used()[1]
        subprocess.run((sys.executable, "-m", "optiloop", "--help"), capture_output=True, check=True)
        times.append(_used()[1] - before)
    return sorted(times)[HELP_RUNS // 2]


if __name__ == "__main__":
    sys.exit(main())
