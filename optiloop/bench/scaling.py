"""How the time of a function grows with its input: `python benchmark.py --scaling`.

The size is doubled until a call takes long enough to tell; then every size that counts is called again, in
passes through all of them, and the shortest time of each stays, so that a busy spell of the machine cannot
lengthen some sizes and not others. The exponent is the slope of a straight line through the logarithms of
sizes and times (ordinary least squares): about 1 where doubling the input doubles the time, 2 where it takes
four times as long. Sending arguments and answers is billed too, and is linear.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from optiloop.bench import BenchError, Case, worker

FIRST_SIZE = 8
LARGEST_SIZE = 2**22
LONG_ENOUGH_US = 20_000.0
"""Where to stop doubling: here the function itself is what is timed."""
TOO_LONG_US = 2_000_000.0
"""A next size that threatens to take longer is not tried: not everything grows like a power."""
SEEN = 0.05
"""Sizes that take less than this share of the largest one's time say more about the channel."""
LEAST_POINTS = 3
CALLS = 3
"""Calls of each size on the way up."""
PASSES = 3
"""Calls of each size that counts, after those."""


class Growth(NamedTuple):
    """The sizes tried, the microseconds they took, and the exponent; None where they are too few to tell."""

    sizes: tuple[int, ...]
    us: tuple[float, ...]
    exponent: float | None


def growth(candidate: str | Path, case: Case, *, seed: int, timeout: float = 30.0) -> Growth:
    """Measure how one case's function grows; the case needs `scaled`.

    An error at a larger size (a recursion too deep, no answer in time) ends the doubling; one at the first
    size is raised as BenchError.
    """
    if case.scaled is None:
        raise ValueError(f"{case.function} has no scaled arguments")
    draw, scaled = random.Random(seed), case.scaled
    with worker(candidate, timeout=timeout) as running:
        return measured_growth(lambda size: running.expect(case.function, scaled(draw, size), case.expected))


def measured_growth(call: Callable[[int], float]) -> Growth:
    """The growth of what `call` takes at a size, in microseconds. Raises BenchError from the first size."""
    sizes: list[int] = []
    times: list[float] = []
    size = FIRST_SIZE
    while size <= LARGEST_SIZE and not _is_enough(times):
        try:
            times.append(min(call(size) for _ in range(CALLS)))
        except BenchError:
            if not sizes:
                raise
            break
        sizes.append(size)
        size *= 2
    counting = _seen(times)
    for _ in range(PASSES):
        for index in counting:
            times[index] = min(times[index], call(sizes[index]))
    return Growth(tuple(sizes), tuple(times), exponent(sizes, times))


def _is_enough(times: Sequence[float]) -> bool:
    """Whether the last size took long enough, or the next one would take too long."""
    if len(times) < 2:
        return False
    if times[-1] >= LONG_ENOUGH_US and len(_seen(times)) >= LEAST_POINTS:
        return True
    step = times[-1] / times[-2]
    return times[-1] * step * step > TOO_LONG_US


def _seen(times: Sequence[float]) -> list[int]:
    return [index for index, spent in enumerate(times) if spent >= SEEN * max(times)]


def exponent(sizes: Sequence[int], us: Sequence[float]) -> float | None:
    """The slope of log(time) over log(size), of the sizes that take a visible share of the largest time.

    None where fewer than three do, or where nothing took long enough for the clock and the channel.
    """
    used = _seen(us) if us else []
    if len(used) < LEAST_POINTS or us[-1] < LONG_ENOUGH_US / 10:
        return None
    xs, ys = ([math.log(values[index]) for index in used] for values in (sizes, us))
    x_mean, y_mean = sum(xs) / len(xs), sum(ys) / len(ys)
    across = sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True))
    return across / sum((x - x_mean) ** 2 for x in xs)


def exponents(
    candidate: str | Path, cases: Sequence[Case], *, seed: int, timeout: float = 30.0
) -> dict[str, float]:
    """`<function>_exponent` of each case that has scaled inputs, where it can be told."""
    found = {
        f"{case.function}_exponent": growth(candidate, case, seed=seed, timeout=timeout).exponent
        for case in cases
        if case.scaled is not None
    }
    return {name: value for name, value in found.items() if value is not None}
