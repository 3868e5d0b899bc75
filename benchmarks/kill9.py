"""Promise 4, nothing lost: kill -9 a run's process group at random instants, and look at what is left.

    python benchmarks/kill9.py               200 kills (a few minutes)
    python benchmarks/kill9.py --kills 10    the short form that CI runs

After each kill the next start must go on by itself. At the end: every experiment that a run had reported
as finished stands in the log, none was run twice, log and branch agree, the user's tree is as it was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import toy

KEEPS = (0, 4, 8)
"""Which of ten candidates are better: enough that kills fall into the two writes of a keep."""

OPTILOOP = (sys.executable, "-m", "optiloop")


@dataclass
class Campaign:
    """One target under fire."""

    folder: Path
    replay: Path
    reported: set[str] = field(default_factory=set)
    """Ids that a run printed as finished."""

    @property
    def log(self) -> Path:
        return self.folder / ".optiloop" / "toy" / "experiments.jsonl"

    def start(self, output: Path) -> subprocess.Popen[bytes]:
        words = (*OPTILOOP, "run", str(self.folder), "--proposer", f"replay:{self.replay}", "--json")
        with output.open("wb") as out, output.with_suffix(".err").open("wb") as err:
            return subprocess.Popen(
                words, stdout=out, stderr=err, start_new_session=True, env=toy.command_environment()
            )

    def collect(self, output: Path) -> None:
        """Take down what a run said it had finished. Its last line may be torn."""
        for line in output.read_bytes().split(b"\n")[:-1]:
            if b'"previous"' in line:
                self.reported.add(json.loads(line)["id"])

    def orphaned(self) -> bool:
        """Whether the kill fell between a keep's commit and its log line."""
        ref = self.folder / ".optiloop" / "toy" / "repository.git" / "refs" / "heads" / "optiloop" / "toy"
        kept = [line["commit"] for line in self.logged() if line["status"] == "keep"]
        return bool(kept) and ref.exists() and ref.read_text().strip() != kept[-1]

    def keeps(self) -> int:
        return sum(line["status"] == "keep" for line in self.logged())

    def logged(self) -> list[dict[str, object]]:
        if not self.log.exists():
            return []
        return [json.loads(line) for line in self.log.read_bytes().split(b"\n")[:-1]]


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--kills", type=int, default=200)
    options.add_argument(
        "--seed", type=int, default=None, help="of the instants; drawn and printed if not given"
    )
    chosen = options.parse_args()
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(10**6)
    print(f"{chosen.kills} kills, seed {seed}")
    with tempfile.TemporaryDirectory(prefix="optiloop kill9 ") as scratch:
        return fire(Path(scratch), chosen.kills, random.Random(seed))


def fire(scratch: Path, kills: int, rng: random.Random) -> int:
    """Kill, start, kill; then run to the end and check everything. Returns the process's exit code."""
    folder = toy.write_target(scratch / "a target", score=toy.SLOW_SCORE)
    campaign = Campaign(folder, toy.write_candidates(scratch / "candidates.jsonl", kills * 30, KEEPS))
    before, faults, done, orphans = tree(folder), [], 0, 0
    while done < kills:
        output = scratch / "run.out"
        run = campaign.start(output)
        time.sleep(rng.uniform(0.05, 1.6))
        if run.poll() is not None:
            break  # it came to its end, or failed: the checks below will tell
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        done += 1
        campaign.collect(output)
        orphans += campaign.orphaned()
        faults += [f"after kill {done}: {fault}" for fault in check(campaign, before)]
        if done % 20 == 0:
            print(f"  {done} kills, {len(campaign.logged())} experiments logged, {len(faults)} faults")
    faults += finish(campaign, scratch / "run.out", before)
    total = len(campaign.logged())
    print(f"kills: {done} of {kills}, of them between a keep's commit and its log line: {orphans}")
    print(
        f"finished experiments reported by killed runs: {len(campaign.reported)}, lost: 0"
        if not faults
        else ""
    )
    print(f"experiments in the log: {total}, of which run twice: {twice(campaign)}")
    for fault in faults:
        print(f"FAULT {fault}")
    return 1 if faults or done < kills else 0


def check(campaign: Campaign, before: dict[str, str]) -> list[str]:
    """What must hold at any instant: nothing is lost or run twice, the user's tree is whole."""
    faults = []
    ids = {str(line["id"]) for line in campaign.logged()}
    if lost := campaign.reported - ids:
        faults.append(f"{len(lost)} finished experiments are not in the log")
    if again := twice(campaign):
        faults.append(f"{again} experiments ran twice")
    if tree(campaign.folder) != before:
        faults.append("the user's tree changed")
    return faults


def finish(campaign: Campaign, output: Path, before: dict[str, str]) -> list[str]:
    """One more start must go on, and verify must find log and branch to agree."""
    words = (*OPTILOOP, "run", str(campaign.folder), "--proposer", f"replay:{campaign.replay}", "--json")
    run = subprocess.run((*words, "--cycles", "5"), capture_output=True, check=False)
    faults = [] if run.returncode == 0 else [f"the last start failed: {run.stderr.decode().strip()}"]
    verify = subprocess.run(
        (*OPTILOOP, "verify", str(campaign.folder), "--json"), capture_output=True, check=False
    )
    if verify.returncode != 0:
        faults.append(f"verify: {verify.stderr.decode().strip()}")
    else:
        print("verify: " + "; ".join(json.loads(verify.stdout)["checks"]))
    return faults + check(campaign, before)


def twice(campaign: Campaign) -> int:
    """How many lines of the replay file stand in the log more than once."""
    tags = Counter(str(line["tags"]) for line in campaign.logged())
    return sum(count - 1 for count in tags.values())


def tree(folder: Path) -> dict[str, str]:
    """The user's own files and what is in them."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.is_file()
    }


if __name__ == "__main__":
    sys.exit(main())
