"""What containing a command costs: a bare start, `process` and `bwrap`, in turns and in one run.

    python benchmarks/sandbox.py              200 rounds
    python benchmarks/sandbox.py --rounds 20  the short form that CI runs

Each round starts `/bin/sh -c true` once in each way. Wall time is what a command takes longer; CPU is the
engine's own, its children's not counted.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from optiloop.model import Command
from optiloop.sandbox import Sandbox
from optiloop.sandbox.probe import LEVELS, found

WORDS = ("/bin/sh", "-c", "true")


@dataclass
class Way:
    """One way to run a command, and what its runs took, in milliseconds."""

    start: Callable[[], object]
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def run(self) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        self.start()
        self.wall.append(1000 * (time.perf_counter() - wall))
        self.cpu.append(1000 * (time.process_time() - cpu))


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--rounds", type=int, default=200)
    rounds: int = options.parse_args().rounds
    with tempfile.TemporaryDirectory() as scratch:
        ways = made(Path(scratch))
        for way in ways.values():
            way.run()  # the first start pays for imports, the probe's leftovers and the watchman
            way.wall.clear()
            way.cpu.clear()
        for _ in range(rounds):
            for way in ways.values():
                way.run()
    bare = ways["bare"]
    print(f"{rounds} rounds    min wall  median wall  ratio of medians  engine CPU")
    for name, way in ways.items():
        ratio = median(way.wall) / median(bare.wall)
        print(
            f"{name:<12}{min(way.wall):>7.2f} ms  {median(way.wall):>8.2f} ms  {ratio:>15.1f}x  "
            f"{median(way.cpu):>7.2f} ms"
        )
    for level in LEVELS:
        if missing := found(level).missing:
            print(f"{level}: not available here: {missing}")
    return 0


def made(scratch: Path) -> dict[str, Way]:
    """The ways there are here."""
    work, private = scratch / "work", scratch / "private"
    work.mkdir()
    private.mkdir()
    command = Command(WORDS)

    def at(level: str) -> Way:
        sandbox = Sandbox(level)
        return Way(lambda: sandbox.run(command, work, private=private))

    levels = [level for level in reversed(LEVELS) if not found(level).missing]
    bare = Way(lambda: subprocess.run(WORDS, capture_output=True, check=True))
    return {"bare": bare, **{level: at(level) for level in levels}}


if __name__ == "__main__":
    sys.exit(main())
