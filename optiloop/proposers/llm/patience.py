"""Asking again: exponential backoff with jitter, within bounds. Reads the clock and sleeps."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from optiloop.errors import ProposerGoneError

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """How often and how long a model is asked; in seconds: one `call`, the `total` of all and their waits."""

    attempts: int = 6
    call: float = 600.0
    total: float = 1200.0
    first_wait: float = 1.0
    longest_wait: float = 60.0

    def within(self, seconds: float) -> Patience:
        """The same in so much time at most."""
        return replace(self, total=min(self.total, seconds))


PATIENT = Patience()


class TransientError(Exception):
    """A failure that may be over at the next attempt; `retry_after`: seconds that the server asked for."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def persist(
    call: Callable[[float], T],
    patience: Patience,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    draw: Callable[[], float] = random.random,
) -> T:
    """Call, and again after each TransientError, with the seconds that the attempt may take.

    A KeyboardInterrupt ends a wait at once. Raises ProposerGoneError when attempts or time are used up, or
    when the server asks for a longer wait than is left.
    """
    deadline = clock() + patience.total
    attempt = 1
    while True:
        try:
            return call(min(patience.call, max(deadline - clock(), 0.001)))
        except TransientError as error:
            failure = error
        wait = pause(patience, attempt, failure.retry_after, draw())
        if attempt >= patience.attempts:
            raise ProposerGoneError(f"{failure}; gave up after {attempt} attempts") from None
        if clock() + wait >= deadline:
            raise ProposerGoneError(
                f"{failure}; gave up: the next attempt would be in {wait:.0f} s, past the"
                f" {patience.total:.0f} s that one answer may take"
            ) from None
        sleep(wait)
        attempt += 1


def pause(patience: Patience, attempt: int, retry_after: float | None, drawn: float) -> float:
    """Seconds to wait after an attempt (1 is the first): doubled each time, jittered down by up to a half.

    Never less than the server asked for. `drawn` is uniform in 0..1.
    """
    backoff = min(patience.longest_wait, patience.first_wait * 2.0 ** (attempt - 1))
    return max(retry_after or 0.0, backoff * (0.5 + drawn / 2))


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """What a Retry-After header asks for, in seconds from now; None without one that can be read."""
    said = headers.get("retry-after", "").strip()
    if said.replace(".", "", 1).isdigit() and said.isascii():
        return float(said)
    try:
        then = parsedate_to_datetime(said)
    except ValueError:
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max(0.0, (then - (now or datetime.now(UTC))).total_seconds())
