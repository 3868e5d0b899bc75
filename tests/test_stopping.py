"""When a run ends: the first limit that is reached, and the words for it."""

import pytest

from optiloop.model import Seconds
from optiloop.stopping import Limits, Progress, Until, stop_reason


@pytest.mark.parametrize(
    ("limits", "progress", "reason"),
    [
        (Limits(), Progress(cycles=10**6, seconds=1e9, usd=1e6, since_keep=10**6), None),
        (Limits(cycles=3), Progress(cycles=2), None),
        (Limits(cycles=3), Progress(cycles=3), "3 cycles are done"),
        (Limits(cycles=0), Progress(), "0 cycles are done"),
        (Limits(usd=1.0), Progress(usd=0.99), None),
        (Limits(usd=1.0), Progress(usd=1.0), "1.00 USD of 1.00 are spent"),
        (Limits(plateau=5), Progress(since_keep=4), None),
        (Limits(plateau=5), Progress(since_keep=5), "nothing was kept in 5 experiments in a row"),
        (Limits(seconds=Seconds(60)), Progress(seconds=59), None),
        (Limits(seconds=Seconds(60)), Progress(seconds=60), "the time of 60 s is spent"),
        (Limits(seconds=Seconds(60)), Progress(seconds=45, reserve=14), None),
        (Limits(seconds=Seconds(60)), Progress(seconds=45, reserve=15), "the time of 60 s is spent"),
        # A claim longer than the run may take half of it, not all.
        (Limits(seconds=Seconds(60)), Progress(seconds=29, reserve=1000), None),
        (Limits(seconds=Seconds(60)), Progress(seconds=30, reserve=1000), "the time of 60 s is spent"),
        (Limits(until=Until("m", "<=", 5)), Progress(champion=5.1), None),
        (Limits(until=Until("m", "<=", 5)), Progress(champion=None), None),
        (Limits(until=Until("m", "<=", 5)), Progress(champion=5.0), "m <= 5 is reached"),
        (Limits(until=Until("m", ">", 5)), Progress(champion=5.0), None),
    ],
)
def test_stop_reason(limits: Limits, progress: Progress, reason: str | None) -> None:
    assert stop_reason(limits, progress) == reason
