"""The main job, measured: the built-in target from its shipped file, embedded proposers only.

    python benchmarks/text_processor.py               up to ten minutes; fails below the promised 69x
    python benchmarks/text_processor.py --cycles 2    the short form that CI runs; promises nothing

Prints what a fresh measurement of baseline against champion shows, and checks tests, hold-out and log. Then
how many times faster each function is than the shipped one, in the champion and in by_hand.py: both sides in
turn in one process of the benchmark, medians of DUETS of them; of one in the short form.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from optiloop.targets import builtins_folder, lay_out

OPTILOOP = (sys.executable, "-m", "optiloop")
PROMISED = 69.0
DUETS = 7
BY_HAND = Path(__file__).with_name("by_hand.py")


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--cycles", type=int, default=None)
    options.add_argument("--time", default="10m")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "text_processor"
        lay_out(builtins_folder() / "text_processor", folder)
        limits = ["--time", chosen.time]
        if chosen.cycles is not None:
            limits += ["--cycles", str(chosen.cycles)]
        started = time.monotonic()
        subprocess.run((*OPTILOOP, "run", str(folder), *limits), stdout=subprocess.DEVNULL, check=True)
        minutes = (time.monotonic() - started) / 60
        status = _json(*OPTILOOP, "status", str(folder), "--json")
        checks = _json(*OPTILOOP, "verify", str(folder), "--json")
        subprocess.run((*OPTILOOP, "apply", str(folder)), stdout=subprocess.DEVNULL, check=True)
        shipped = builtins_folder() / "text_processor"
        by_hand = Path(shutil.copytree(shipped, Path(scratch) / "by_hand"))
        shutil.copy(BY_HAND, by_hand / "text_processor.py")
        for program in ("-mpytest", "-q", "test_text_processor.py"), ("holdout.py",):
            subprocess.run((sys.executable, *program), cwd=by_hand, stdout=subprocess.DEVNULL, check=True)
        duets = DUETS if chosen.cycles is None else 1
        columns = [_ratios(shipped, other, duets) for other in (folder, by_hand)]
        between = _ratios(folder, by_hand, duets)["combined_us"]
    gain = status["improvement"]
    print(f"{status['metric']}: {status['baseline']['value']:.0f} -> {status['champion']['value']:.0f} us")
    print(f"improvement.ratio {gain['ratio']:.1f}, 95 % interval {gain['low']:.1f} .. {gain['high']:.1f}")
    print(f"experiments {status['experiments']}, {status['statuses']}")
    print(f"time {minutes:.1f} minutes, claim included")
    print("verify: " + "; ".join(checks["checks"]))
    print(f"\n{'function':<20}{'champion':>10}{'by hand':>10}")
    for name in columns[0]:
        print(f"{name.removesuffix('_us'):<20}" + "".join(f"{column[name]:>9.1f}x" for column in columns))
    print(f"the version by hand is {between:.2f} times as fast as the champion")
    return 1 if chosen.cycles is None and gain["low"] < PROMISED else 0


def _ratios(slow: Path, fast: Path, duets: int) -> dict[str, float]:
    """How many times faster each function of one folder's file is than that of another's."""
    env = {**os.environ, "OPTILOOP_RIVAL": str(slow)}
    runs = []
    for _ in range(duets):
        done = subprocess.run(
            (sys.executable, "benchmark.py", "--json"),
            cwd=fast,
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        runs.append(json.loads(done.stdout))
    names = [name for name in runs[0] if name.endswith("_us") and name != "import_us" and "." not in name]
    return {
        name: statistics.median(run[f"rival.{name}"] / run[name] for run in runs)
        for name in sorted(names, key=lambda name: name == "combined_us")
    }


def _json(*words: str) -> dict[str, dict[str, float]]:
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    found: dict[str, dict[str, float]] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    sys.exit(main())
