"""The small files beside the log: measurements of the baseline, of keeps again, and the last claim. Effect.

All can be measured again: a file that is missing, torn or of another target is simply not there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optiloop.diff import unified
from optiloop.errors import UsageError, WorkspaceError
from optiloop.files import disk
from optiloop.git import locate
from optiloop.ledger import Ledger, write_atomically
from optiloop.model import Baseline, Claim, Recheck, Target
from optiloop.record import interval_json, interval_of, sample_json, sample_of
from optiloop.report import Campaign
from optiloop.workspace import Workspace


@dataclass(frozen=True)
class Calibration:
    """A baseline, every number its runs gave, and the digest of the judge that measured it."""

    baseline: Baseline
    numbers: dict[str, float]
    judge: str


class State:
    """The small files of one campaign's folder."""

    def __init__(self, home: Path) -> None:
        self._calibration = home / "baseline.json"
        self._claim = home / "claim.json"
        self._rechecks = home / "rechecks.json"
        self._exhausted = home / "exhausted.json"

    def calibration(self) -> Calibration | None:
        """What was measured of the baseline, or None."""
        found = _read(self._calibration)
        try:
            return Calibration(
                Baseline(
                    found["commit"],
                    found["value"],
                    tuple(found["nulls"]),
                    found["scale"],
                    found["seconds"],
                    {name: tuple(nulls) for name, nulls in found["guard_nulls"].items()},
                    tuple(map(sample_of, found["samples"])),
                    found["cpu_scale"],
                    dict(found["census"]),
                ),
                dict(found["numbers"]),
                found["judge"],
            )
        except (KeyError, TypeError, AttributeError):
            return None

    def save_calibration(self, calibration: Calibration) -> None:
        """Replace it in one step."""
        baseline = calibration.baseline
        _write(
            self._calibration,
            {
                "commit": baseline.commit,
                "value": baseline.value,
                "nulls": list(baseline.nulls),
                "scale": baseline.scale,
                "seconds": round(baseline.seconds, 4),
                "guard_nulls": {name: list(nulls) for name, nulls in baseline.guard_nulls.items()},
                "samples": list(map(sample_json, baseline.samples)),
                "cpu_scale": baseline.cpu_scale,
                "census": dict(baseline.census),
                "numbers": calibration.numbers,
                "judge": calibration.judge,
            },
        )

    def claim(self) -> Claim | None:
        """The last claim, whatever champion it was about, or None."""
        found = _read(self._claim)
        try:
            return Claim(
                found["commit"],
                found["time"],
                found["pairs"],
                found["baseline"],
                found["champion"],
                found["ratio"],
                interval_of(found["interval"]),
                found.get("difference"),
                interval_of(found.get("difference_interval")),
                held_out=found.get("held_out", False),
            )
        except (KeyError, TypeError, ValueError):
            return None

    def save_claim(self, claim: Claim) -> None:
        """Replace it in one step."""
        _write(
            self._claim,
            {
                "commit": claim.commit,
                "time": claim.time,
                "pairs": claim.pairs,
                "baseline": claim.baseline,
                "champion": claim.champion,
                "ratio": claim.ratio,
                "interval": interval_json(claim.interval),
                "difference": claim.difference,
                "difference_interval": interval_json(claim.difference_interval),
                "held_out": claim.held_out,
            },
        )

    def rechecks(self) -> dict[str, Recheck]:
        """The keeps that were measured again, by experiment id."""
        found: dict[str, Recheck] = {}
        for name, values in _read(self._rechecks).items():
            try:
                found[name] = Recheck(
                    name,
                    values["time"],
                    values["pairs"],
                    values["holds"],
                    values["effect"],
                    interval_of(values["interval"]),
                )
            except (KeyError, TypeError, ValueError):
                continue
        return found

    def save_recheck(self, recheck: Recheck) -> None:
        """Add one; the file is replaced in one step."""
        values = {
            "time": recheck.time,
            "pairs": recheck.pairs,
            "holds": recheck.holds,
            "effect": recheck.effect,
            "interval": interval_json(recheck.interval),
        }
        _write(self._rechecks, {**_read(self._rechecks), recheck.experiment: values})

    def exhausted(self, experiments: int) -> str:
        """The proposer that had nothing left to try after so many experiments; empty where there was none."""
        found = _read(self._exhausted)
        proposer = found.get("proposer")
        return proposer if found.get("experiments") == experiments and isinstance(proposer, str) else ""

    def save_exhausted(self, proposer: str, experiments: int) -> None:
        """Remember it, until the log has another experiment."""
        _write(self._exhausted, {"proposer": proposer, "experiments": experiments})


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, values: dict[str, Any]) -> None:
    with disk(path):
        write_atomically(path, json.dumps(values, indent=1) + "\n")


def campaign_workspace(target: Target) -> Workspace:
    """A begun campaign's branch, to read from without its lock. Raises UsageError where none is begun."""
    place = locate(target.root, target.name, target.editable[0])
    workspace = Workspace(place, target.name, target.editable)
    if not workspace.begun():
        if (place.home / "experiments.jsonl").exists():
            raise WorkspaceError(
                f"branch {workspace.branch} is gone, its log in {place.home} is not: "
                f"`git branch {workspace.branch} COMMIT` with the log's newest commit, or `run --fresh`"
            )
        raise UsageError(f"{target.name}: no experiments yet; `optiloop run` begins")
    return workspace


def read_campaign(target: Target) -> Campaign:
    """Read a campaign for a report, without its lock. Raises UsageError where there is none yet."""
    workspace = campaign_workspace(target)
    state = State(workspace.place.home)
    calibration = state.calibration()
    experiments = tuple(Ledger(workspace.place.home / "experiments.jsonl").new())
    before, after = (workspace.source_at(commit) for commit in (workspace.root_commit, workspace.head()))
    return Campaign(
        target=target.name,
        goal=target.goal,
        metric=target.metric,
        editable=target.editable,
        alpha=target.policy.alpha,
        peeks=target.holdout.peeks if target.holdout else None,
        experiments=experiments,
        exhausted=state.exhausted(len(experiments)),
        baseline=calibration.baseline if calibration else None,
        claim=state.claim(),
        rechecks=state.rechecks(),
        diff=unified(before, after),
    )
