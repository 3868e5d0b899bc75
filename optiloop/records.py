"""What logs tell of each proposer's ideas: tries, keeps, gains. Reads logs, takes no lock."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from optiloop.errors import UsageError
from optiloop.ledger import Ledger
from optiloop.memory.history import RAN
from optiloop.model import TAKES_BACK, Compare, Experiment, Spent, Status
from optiloop.report.words import compared

LOG = "experiments.jsonl"


@dataclass
class Record:
    """How one idea did: experiments that ran, keeps that were not taken back, their ratios, seconds."""

    tries: int = 0
    keeps: int = 0
    ratios: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def median(self) -> float | None:
        """The median ratio of the keeps; None without one."""
        return median(self.ratios) if self.ratios else None

    @property
    def spent(self) -> Spent:
        """The same as a proposer asks for it."""
        return Spent(self.tries, self.keeps, sum(map(math.log, self.ratios)), self.seconds)


def logs_of(path: Path) -> list[Path]:
    """The logs that a path names: itself, or all those beside the nearest `.optiloop` of a folder.

    Raises UsageError where there is none.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UsageError(f"{path}: no such log or folder")
    for folder in (path.absolute(), *path.absolute().parents):
        logs = sorted(folder.glob(f".optiloop/*/{LOG}"))
        if logs:
            return logs
    raise UsageError(f"{path}: no experiments yet; `optiloop run` begins")


def read_records(logs: Iterable[Path], *, without: str = "") -> dict[tuple[str, str], Record]:
    """The record of each (proposer, idea) in the logs; those of the target `without` are left out.

    Raises LedgerError where a log is broken.
    """
    records: defaultdict[tuple[str, str], Record] = defaultdict(Record)
    for log in dict.fromkeys(log.resolve() for log in logs):
        experiments = [one for one in Ledger(log).new() if not without or one.target != without]
        taken = {tag.removeprefix(TAKES_BACK) for one in experiments for tag in one.tags}
        for experiment in experiments:
            if experiment.status in RAN and experiment.family:
                _take(records[experiment.origin, experiment.family], experiment, taken)
    return dict(records)


def _take(record: Record, experiment: Experiment, taken: set[str]) -> None:
    record.tries += 1
    record.seconds += experiment.seconds
    if experiment.status is not Status.KEEP or experiment.id in taken:
        return
    record.keeps += 1
    effect = experiment.effect
    if effect is not None and effect > 0 and compared(experiment) is Compare.RATIO:
        record.ratios.append(effect)


def spent_elsewhere(records: Mapping[tuple[str, str], Record]) -> dict[tuple[str, str], Spent]:
    """Records as a Brief carries them."""
    return {key: record.spent for key, record in records.items()}
