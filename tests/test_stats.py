"""Statistics: each promise of the docstrings, by simulation with fixed seeds or against scipy."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optiloop.model import Interval
from optiloop.stats import (
    anytime_interval,
    futility_score,
    log_evidence,
    median_interval,
    robust_scale,
    successive_nulls,
)

gain = st.floats(-3, 3, allow_nan=False)
gains = st.lists(gain, min_size=1, max_size=30)
scales = st.floats(1e-3, 1)

NOISE: dict[str, Callable[[random.Random], float]] = {
    "gaussian": lambda rng: rng.gauss(0, 1),
    "heavy tail": lambda rng: rng.gauss(0, 1) / max(1e-9, abs(rng.gauss(0, 1))),
    "bursts": lambda rng: rng.gauss(0, 1) + (rng.random() < 0.1) * rng.choice((-50, 50)),
    "two points": lambda rng: rng.choice((-1.0, 1.0)),
    "mostly equal": lambda rng: rng.choice((0.0, 0.0, 0.0, -3.0, 3.0)),
}


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("scale", [0.2, 1.0, 5.0], ids=lambda scale: f"scale {scale}")
def test_evidence_of_symmetric_noise_is_at_most_one_on_average(noise: str, scale: float) -> None:
    """The e-process is a martingale under the null, however wrong the scale is."""
    rng = random.Random(1)
    values = [math.exp(log_evidence([NOISE[noise](rng) for _ in range(3)], scale)) for _ in range(20_000)]
    assert fmean(values) <= 1 + 4 * stdev(values) / math.sqrt(len(values))


@pytest.mark.parametrize("noise", NOISE)
def test_evidence_of_symmetric_noise_seldom_reaches_a_hundred(noise: str) -> None:
    """Ville: the chance that it does, ever, is at most one in a hundred."""
    rng, alarms, trials = random.Random(2), 0, 3000
    for _ in range(trials):
        wealth = 0.0
        for _ in range(60):
            wealth += log_evidence([NOISE[noise](rng)], 1.0)
            if wealth >= math.log(100):
                alarms += 1
                break
    assert alarms <= 0.01 * trials + 4 * math.sqrt(0.01 * trials)


@given(gains, scales)
def test_evidence_does_not_know_the_order(samples: list[float], scale: float) -> None:
    assert log_evidence(samples, scale) == pytest.approx(log_evidence(samples[::-1], scale))


@given(gains, scales, st.floats(0.1, 10))
def test_evidence_does_not_know_the_unit(samples: list[float], scale: float, unit: float) -> None:
    scaled = [sample * unit for sample in samples]
    assert log_evidence(scaled, scale * unit) == pytest.approx(log_evidence(samples, scale), abs=1e-6)


@given(gains, scales, st.floats(-1, 1))
def test_a_level_is_a_shift(samples: list[float], scale: float, level: float) -> None:
    shifted = [sample - level for sample in samples]
    assert log_evidence(samples, scale, level=level) == pytest.approx(log_evidence(shifted, scale), abs=1e-9)


@given(gains, scales, st.integers(0, 29), st.floats(0, 3))
def test_a_better_sample_never_lowers_the_evidence(
    samples: list[float], scale: float, at: int, more: float
) -> None:
    better = [s + more if i == at % len(samples) else s for i, s in enumerate(samples)]
    assert log_evidence(better, scale) >= log_evidence(samples, scale) - 1e-12
    assert futility_score(better, scale, scale) >= futility_score(samples, scale, scale) - 1e-12


@given(gains, scales)
def test_one_sample_cannot_win_or_lose_it_all(samples: list[float], scale: float) -> None:
    burst = log_evidence([*samples, -1e300], scale) - log_evidence(samples, scale)
    stroke = log_evidence([*samples, 1e300], scale) - log_evidence(samples, scale)
    assert burst == pytest.approx(math.log(0.04))
    assert stroke == pytest.approx(math.log(1.96))


def test_the_evidence_of_one_sample() -> None:
    """The numbers of docs/decision.md: a log holds them, and a new rule would not reproduce it."""
    assert log_evidence([0.02], 0.02) == pytest.approx(math.log(1 + 0.96 * math.tanh(0.8)))
    assert log_evidence([0.02, -0.01], 0.02) == pytest.approx(0.039417, abs=1e-6)


@given(gains, scales, st.floats(0.01, 1))
def test_futility_clips_each_sample(samples: list[float], scale: float, smallest: float) -> None:
    assert abs(futility_score(samples, scale, smallest)) <= 1.5 * len(samples) + 1e-9


@given(st.lists(gain, min_size=8, max_size=30), scales)
def test_the_anytime_interval_mirrors(samples: list[float], scale: float) -> None:
    there = anytime_interval(samples, scale, 0.01)
    back = anytime_interval([-sample for sample in samples], scale, 0.01)
    assert (there.low, there.high) == (pytest.approx(-back.high), pytest.approx(-back.low))


@given(gains, scales)
def test_the_anytime_interval_ends_where_the_evidence_does(samples: list[float], scale: float) -> None:
    low = anytime_interval(samples, scale, 0.01).low
    if math.isinf(low):
        assert len(samples) < 7
    else:
        assert log_evidence(samples, scale, level=low) >= math.log(100) - 1e-6
        assert log_evidence(samples, scale, level=low + 1e-3 * scale) < math.log(100)


def test_the_anytime_interval_covers_at_any_time() -> None:
    """98 % at a hundredth, wherever one stops to look."""
    rng, missed = random.Random(3), 0
    for _ in range(300):
        samples: list[float] = []
        for _ in range(30):
            samples.append(rng.gauss(0.7, 1))
            interval = anytime_interval(samples, 1.0, 0.01)
            if not interval.low <= 0.7 <= interval.high:
                missed += 1
                break
    assert missed <= 12


@pytest.mark.parametrize("samples", [[], [0.1] * 6])
def test_few_samples_bound_nothing(samples: list[float]) -> None:
    assert anytime_interval(samples, 0.1, 0.01) == Interval(-math.inf, math.inf)


@pytest.mark.parametrize("n", range(1, 60))
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.99])
def test_the_median_interval_is_the_tightest_that_covers(n: int, confidence: float) -> None:
    binom = pytest.importorskip("scipy.stats").binom

    def coverage(rank: int) -> float:
        return float(1 - 2 * binom.cdf(rank - 1, n, 0.5))

    interval = median_interval([float(i) for i in range(1, n + 1)], confidence=confidence)
    if math.isinf(interval.low):
        assert coverage(1) < confidence
        return
    rank = int(interval.low)
    assert interval.high == n + 1 - rank
    assert coverage(rank) >= confidence - 1e-12
    assert 2 * (rank + 1) > n + 1 or coverage(rank + 1) < confidence


def test_the_ranks_of_the_docstring() -> None:
    assert median_interval([float(i) for i in range(1, 21)]) == Interval(6, 15)
    assert median_interval([3, 1, 2, 6, 5, 4]) == Interval(1, 6)
    assert median_interval([1, 2, 3, 4, 5]) == Interval(-math.inf, math.inf)
    assert median_interval([]) == Interval(-math.inf, math.inf)


def test_the_median_interval_covers_skewed_noise() -> None:
    rng = random.Random(4)
    trials = [[rng.expovariate(1) for _ in range(20)] for _ in range(2000)]
    covered = sum(i.low <= math.log(2) <= i.high for i in map(median_interval, trials))
    assert 0.945 <= covered / 2000 <= 0.975


def test_the_robust_scale_is_the_standard_deviation_of_a_gaussian_and_ignores_bursts() -> None:
    rng = random.Random(5)
    nulls = [rng.gauss(0, 0.1) for _ in range(4000)]
    assert robust_scale(nulls) == pytest.approx(0.1, rel=0.05)
    assert robust_scale([*nulls, *[1e9] * 100]) == pytest.approx(0.1, rel=0.1)


def test_a_scale_is_never_zero() -> None:
    assert robust_scale([0.0, 0.0, 0.0]) == 1e-12


@given(gains, st.floats(-5, 5))
def test_successive_nulls_do_not_know_the_level(samples: list[float], level: float) -> None:
    moved = successive_nulls([sample + level for sample in samples])
    assert moved == pytest.approx(successive_nulls(samples), abs=1e-9)
    assert len(moved) == len(samples) - 1


def test_successive_nulls_have_the_noise_of_one_sample() -> None:
    rng = random.Random(6)
    nulls = successive_nulls([rng.gauss(9, 0.1) for _ in range(4000)])
    assert robust_scale(nulls) == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize(("low", "high"), [(1.0, 0.0), (math.nan, 1.0), (0.0, math.nan)])
def test_an_interval_has_two_ends_in_order(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="not an interval"):
        Interval(low, high)
