"""What instruction counts are worth: how well they repeat, what they cost, whether 1 % more work shows.

    python benchmarks/instructions.py             the figures of docs/measuring.md
    python benchmarks/instructions.py --runs 2    the short form that CI runs

The work is one dict of strings, so that the order of hashes matters. Cost is CPU time with the counter over
CPU time without, the wrapper's own start-up included.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import NamedTuple

from optiloop.bench.instructions import offered

PROGRAM = """
import random, sys
rng = random.Random(1)
words = [str(rng.randrange(1000)) for _ in range(int(sys.argv[1]))]
seen = {}
for word in words:
    seen[word] = seen.get(word, 0) + 1
print("METRIC distinct=%d" % len(set(words)))
"""
COUNTER = ("-m", "optiloop.bench.instructions", "--", sys.executable)


class Run(NamedTuple):
    stdout: str
    cpu_seconds: float


def run(*words: str, hash_seed: str) -> Run:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(done.stdout, spent)


def counted(counting: Run) -> int:
    return int(counting.stdout.rpartition("METRIC instructions=")[2])


def spread(values: list[float]) -> float:
    return (max(values) - min(values)) / median(values)


def figures(program: str, size: int, hash_seed: str, *, runs: int) -> float:
    """Print one line of the table, and return the median count."""
    work = (program, str(size))
    native = [run(*work, hash_seed=hash_seed).cpu_seconds for _ in range(runs)]
    counting = [run(*COUNTER, *work, hash_seed=hash_seed) for _ in range(runs)]
    counts = [float(counted(each)) for each in counting]
    cost = median(each.cpu_seconds for each in counting)
    print(
        f"{size:>8} {hash_seed:>9} {median(counts) / 1e6:>12.1f} {spread(counts):>13.1e}"
        f" {median(native):>12.3f} {spread(native):>11.0%} {cost:>11.2f} {cost / median(native):>6.0f}"
    )
    return median(counts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=6)
    runs = parser.parse_args().runs
    print(f"{offered()}; {runs} runs each; spread is (largest - smallest) / median; seconds are CPU\n")
    print("   words hash seed  10^6 instr.  their spread  native in s  its spread  counting s  times")
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder, "work.py"))
        Path(program).write_text(PROGRAM)
        figures(program, 50_000, "random", runs=runs)
        start, less, more = (figures(program, size, "0", runs=runs) for size in (0, 50_000, 50_500))
        if runs > 2:
            figures(program, 500_000, "0", runs=runs)
    print(f"\n1 % more words, without start-up: {(more - less) / (less - start):.3%} more instructions")


if __name__ == "__main__":
    main()
