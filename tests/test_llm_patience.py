"""Asking again: how long, how often, and when no more."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optiloop.errors import ProposerError, ProposerGoneError
from optiloop.proposers.llm.patience import Patience, TransientError, pause, persist, retry_after


class Clock:
    """Time that passes only in waits and calls."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def asked(*failures: Exception | str, patience: Patience, call_seconds: float = 0.0) -> tuple[str, Clock]:
    clock, script = Clock(), list(failures)

    def call(seconds: float) -> str:
        assert 0 < seconds <= patience.call
        clock.now += call_seconds
        said = script.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    return persist(call, patience, clock=clock, sleep=clock.sleep, draw=lambda: 1.0), clock


def test_waits_double_until_an_answer_comes() -> None:
    busy = TransientError("busy")
    answer, clock = asked(busy, busy, busy, "hi", patience=Patience(longest_wait=3.0))
    assert (answer, clock.waits) == ("hi", [1.0, 2.0, 3.0])


def test_what_the_server_asks_for_is_waited() -> None:
    _, clock = asked(TransientError("busy", 17.0), "hi", patience=Patience())
    assert clock.waits == [17.0]


def test_attempts_are_bounded() -> None:
    with pytest.raises(ProposerGoneError, match="busy; gave up after 2 attempts"):
        asked(*[TransientError("busy")] * 9, patience=Patience(attempts=2))


def test_a_wait_past_the_time_left_is_not_begun() -> None:
    clock = Clock()

    def call(_: float) -> str:
        raise TransientError("busy", 100.0)

    with pytest.raises(ProposerGoneError, match="in 100 s, past the 60 s"):
        persist(call, Patience(total=60.0), clock=clock, sleep=clock.sleep)
    assert clock.waits == []


def test_slow_failures_use_up_the_time() -> None:
    with pytest.raises(ProposerGoneError, match="gave up"):
        asked(*[TransientError("slow")] * 9, patience=Patience(attempts=9, total=50.0), call_seconds=20.0)


def test_other_errors_are_not_tried_again() -> None:
    with pytest.raises(ProposerError, match="refused"):
        asked(ProposerError("refused"), "hi", patience=Patience())


@given(st.integers(1, 50), st.none() | st.floats(0, 1e4), st.floats(0, 1))
def test_a_pause_is_bounded_and_never_shorter_than_asked(
    attempt: int, wanted: float | None, drawn: float
) -> None:
    patience = Patience()
    found = pause(patience, attempt, wanted, drawn)
    assert found >= (wanted or 0.0)
    assert found <= max(patience.longest_wait, wanted or 0.0)
    assert found >= patience.first_wait / 2


NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("1.5", 1.5),
        ("Thu, 01 Jan 2026 00:00:30 GMT", 30.0),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("nan", None),
        ("٣", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": header}, NOW) == seconds
    assert retry_after({}, NOW) is None
