"""The main job, measured: the built-in target from its shipped file, embedded proposers only.

    python benchmarks/text_processor.py               up to ten minutes; fails below the promised 69x
    python benchmarks/text_processor.py --cycles 3    the short form that CI runs; promises nothing

Prints what a fresh measurement of baseline against champion shows, and checks tests, hold-out and log.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from optiloop.targets import builtins_folder, lay_out

OPTILOOP = (sys.executable, "-m", "optiloop")
PROMISED = 69.0


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
    gain = status["improvement"]
    print(f"{status['metric']}: {status['baseline']['value']:.0f} -> {status['champion']['value']:.0f} us")
    print(f"improvement.ratio {gain['ratio']:.1f}, 95 % interval {gain['low']:.1f} .. {gain['high']:.1f}")
    print(f"experiments {status['experiments']}, {status['statuses']}")
    print(f"time {minutes:.1f} minutes, claim included")
    print("verify: " + "; ".join(checks["checks"]))
    return 1 if chosen.cycles is None and gain["low"] < PROMISED else 0


def _json(*words: str) -> dict[str, dict[str, float]]:
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    found: dict[str, dict[str, float]] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    sys.exit(main())
