"""Numbers about numbers: robust scale, betting e-process, anytime and order-statistic intervals. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from statistics import median

from optiloop.model import Interval

BET_CAP = 0.96
"""Share of the wealth staked on one sample: below 1, so that one burst cannot wipe out the evidence.

At 0.96 seven clear samples reach 100, the fewest of any test that rests on symmetry alone (2 ** 6 < 100).
"""

BET_SLOPE = 0.8
"""How fast a bet grows with its sample, in noise scales: a gentler slope keeps less of what is not better."""

_MAD_TO_SD = 0.6745  # median |x| of a standard normal


def robust_scale(nulls: Sequence[float]) -> float:
    """Standard deviation of `nulls` (centred at zero) by their median absolute value; 1e-12 at least."""
    return max(median(abs(null) for null in nulls) / _MAD_TO_SD, 1e-12)


def successive_nulls(samples: Sequence[float]) -> list[float]:
    """Differences of neighbours over sqrt(2): noise of one sample, whatever the samples' common level is."""
    return [(b - a) / math.sqrt(2) for a, b in itertools.pairwise(samples)]


def log_evidence(gains: Sequence[float], scale: float, *, level: float = 0.0) -> float:
    """Log of the e-value against "the gains are symmetric about `level`, or lie below it".

    A betting e-process: E = prod(1 + 0.96 tanh(0.8 (d - level) / scale)). Each factor has expectation <= 1
    under that hypothesis, so P(E >= 1/alpha, ever) <= alpha (Ville). Symmetric because the order inside
    each pair is a fair coin. Source: Waudby-Smith & Ramdas 2020 (betting); Fan, Jiao & Wang 2023 (symmetry).
    """
    return math.fsum(math.log1p(BET_CAP * math.tanh(BET_SLOPE * (gain - level) / scale)) for gain in gains)


def futility_score(gains: Sequence[float], scale: float, smallest: float) -> float:
    """Log likelihood ratio of "the gain is `smallest`" against "no gain", each sample clipped to +-1.5.

    `smallest` is in the unit of the gains. A score far below zero says that going on is futile.
    """
    theta = smallest / scale
    return math.fsum(min(1.5, max(-1.5, theta * (gain / scale - theta / 2))) for gain in gains)


def anytime_interval(gains: Sequence[float], scale: float, alpha: float) -> Interval:
    """The levels neither direction's e-process has rejected: coverage 1 - 2 alpha at any stopping time."""
    if not gains:
        return Interval(-math.inf, math.inf)
    threshold = math.log(1 / alpha)
    mirrored = [-gain for gain in gains]
    low = _largest_rejected(lambda level: log_evidence(gains, scale, level=level) >= threshold, gains, scale)
    high = _largest_rejected(
        lambda level: log_evidence(mirrored, scale, level=level) >= threshold, mirrored, scale
    )
    return Interval(low, max(low, -high))


def _largest_rejected(rejected: Callable[[float], bool], gains: Sequence[float], scale: float) -> float:
    """Bisect for the largest level that is rejected from below; -inf where none is."""
    low, high = min(gains) - 50 * scale, max(gains) + scale
    if not rejected(low):
        return -math.inf
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rejected(middle) else (low, middle)
    return low


def median_interval(samples: Sequence[float], *, confidence: float = 0.95) -> Interval:
    """Order-statistic interval of the median, exact for any continuous distribution.

    20 samples give the 6th and the 15th (95.9 %), 6 the extremes (96.9 %); under 6 samples no interval
    reaches 95 % and both ends are infinite. Source: David & Nagaraja, Order Statistics, section 7.1.
    """
    ordered, n = sorted(samples), len(samples)
    best = 0
    for rank in range(1, n // 2 + 1):
        outside = 2 * sum(math.comb(n, k) for k in range(rank)) / 2**n
        if 1 - outside >= confidence:
            best = rank
    if best == 0:
        return Interval(-math.inf, math.inf)
    return Interval(ordered[best - 1], ordered[n - best])


def t_tail(t: float, freedom: int) -> float:
    """P(T > t) of Student's t. Exact finite series; source: Abramowitz & Stegun 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(freedom))
    square = math.cos(angle) ** 2
    start = 1 if freedom % 2 == 0 else 2
    term = total = 1.0 if start == 1 else math.cos(angle)
    for k in range(start, freedom - 2, 2):
        term *= square * k / (k + 1)
        total += term
    if freedom % 2 == 0:
        inside = math.sin(angle) * total
    else:
        rest = math.sin(angle) * total if freedom > 1 else 0.0
        inside = 2 / math.pi * (angle + rest)
    return min(1.0, max(0.0, (1 - inside) / 2))


def t_quantile(tail: float, freedom: int) -> float:
    """The t with P(T > t) = `tail`, 0 < tail <= 0.5."""
    low, high = 0.0, 1.0
    while t_tail(high, freedom) > tail:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if t_tail(middle, freedom) > tail else (low, middle)
    return high


def session_level(test: int, kept: Sequence[int], share: float) -> float:
    """The level of a campaign's next test so that the expected share of false keeps stays within `share`.

    `test` counts the tests so far, this one included, from 1; `kept` are the numbers of the tests that ended
    in a keep. LORD++: each test spends level, each keep earns it back. Source: Ramdas, Yang, Wainwright and
    Jordan, Online control of the false discovery rate with decaying memory (2017).
    """
    wealth = share / 2
    level = wealth * _spending(test)
    for number, at in enumerate(kept):
        level += (share - wealth if number == 0 else share) * _spending(test - at)
    return level


def _spending(test: int) -> float:
    """How the level is spread over the tests to come; sums to 1."""
    return 0.07720838 * math.log(max(test, 2)) / (test * math.exp(math.sqrt(math.log(test))))
