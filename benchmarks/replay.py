"""A run can be taken again: replay a campaign's log from the same seed and compare the decisions.

python benchmarks/replay.py                 60 experiments of `tune` on a deterministic target
python benchmarks/replay.py --cycles 15     the short form that CI runs
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from optiloop.ledger import Ledger
from optiloop.loop import Engine
from optiloop.model import Experiment, Proposer
from optiloop.proposers.replay import Replay
from optiloop.proposers.tune import Tune
from optiloop.scaffold import write_target
from optiloop.targets import load_target


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--cycles", type=int, default=60)
    cycles = options.parse_args().cycles
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "first"
        write_target(folder, "command")
        shutil.copytree(folder, Path(scratch) / "second")
        first = run(folder, Tune(), cycles)
        second = run(Path(scratch) / "second", Replay(str(log_of(folder))), cycles)
    same = sum(facts(a) == facts(b) for a, b in zip(first, second, strict=False))
    kept = sum(experiment.commit is not None for experiment in first)
    print(f"first run: {len(first)} experiments, {kept} kept; replay: {len(second)} experiments")
    print(f"same proposal, status, effect and reason: {same} of {len(first)}")
    return 0 if same == len(first) == len(second) else 1


def run(folder: Path, proposer: Proposer, cycles: int) -> list[Experiment]:
    """Run a campaign of at most `cycles` experiments and read its log."""
    with Engine.opened(load_target(folder), proposer, seed=7) as engine:
        engine.prepare()
        for number, _ in enumerate(engine.cycles(), 1):
            if number >= cycles:
                break
    return list(Ledger(log_of(folder)).new())


def log_of(folder: Path) -> Path:
    """The campaign's experiment log. Both targets are scaffolded under the name `first`."""
    return folder / ".optiloop" / "first" / "experiments.jsonl"


def facts(experiment: Experiment) -> tuple[object, ...]:
    """What must be the same in a replay: all but ids, times and commits."""
    return (experiment.result, experiment.status, experiment.effect, experiment.reason, experiment.diff)


if __name__ == "__main__":
    sys.exit(main())
