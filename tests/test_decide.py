"""The rule that keeps or discards: never without proof, and direction is only a sign."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from optiloop.decide import decide, gains, startling
from optiloop.model import (
    Command,
    Direction,
    Guard,
    Measurement,
    Metric,
    Noise,
    Pair,
    Policy,
    Sample,
    Status,
    Target,
    Verdict,
)

SCALE = 0.02
UNAUDITED = Policy(audit=math.inf)


def target(
    noise: Noise = Noise.TIMING,
    direction: Direction = Direction.MINIMIZE,
    *,
    guards: tuple[Guard, ...] = (),
    policy: Policy | None = None,
    min_effect: float = 0.005,
) -> Target:
    metric = Metric("m", Command("true"), direction, noise=noise, min_effect=min_effect)
    return Target("t", Path("t"), ("a.py",), metric, guards=guards, policy=policy or UNAUDITED)


def pair(champion: float, candidate: float, **others: tuple[float, float]) -> Pair:
    before = {"m": champion, **{name: values[0] for name, values in others.items()}}
    after = {"m": candidate, **{name: values[1] for name, values in others.items()}}
    return Pair(Sample(before, 1, 1), Sample(after, 1, 1), candidate_first=False, seed=0)


def of_gains(samples: Sequence[float], scale: float | None = SCALE) -> Measurement:
    return Measurement(tuple(pair(math.exp(gain), 1.0) for gain in samples), scale)


def judged(
    draw: Callable[[], float], *, scale: float = SCALE, subject: Target | None = None
) -> tuple[Verdict, int]:
    """Sample as `measure` does, until there is a verdict."""
    subject, samples = subject or target(), list[float]()
    while True:
        samples.append(draw())
        verdict = decide(of_gains(samples, scale), subject)
        if verdict is not None:
            return verdict, len(samples)


logs = st.lists(st.floats(-0.3, 0.3), min_size=1, max_size=30)
winning = st.lists(st.floats(-0.01, 0.3) | st.floats(0.1, 0.3), min_size=8, max_size=30)
values = st.floats(1e-3, 1e3)


# --- direction is only a sign ------------------------------------------------------------------------


@given(st.lists(st.tuples(values, values), min_size=1, max_size=30))
def test_maximising_is_minimising_the_inverse(raw: list[tuple[float, float]]) -> None:
    down = Measurement(tuple(pair(a, b) for a, b in raw), SCALE)
    up = Measurement(tuple(pair(1 / a, 1 / b) for a, b in raw), SCALE)
    one = decide(down, target(direction=Direction.MINIMIZE))
    other = decide(up, target(direction=Direction.MAXIMIZE))
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert one.status == other.status
        assert one.effect == pytest.approx(other.effect)


@given(st.integers(-1000, 1000), st.integers(-1000, 1000), st.booleans())
def test_maximising_is_minimising_the_negative_where_values_are_exact(
    a: int, b: int, confirmed: bool
) -> None:
    one = decide(exact(a, b, confirmed=confirmed), target(Noise.DETERMINISTIC))
    other = decide(
        exact(-a, -b, confirmed=confirmed), target(Noise.DETERMINISTIC, direction=Direction.MAXIMIZE)
    )
    assert (one and one.status) == (other and other.status)


def exact(champion: float, candidate: float, *, confirmed: bool = True) -> Measurement:
    return Measurement((pair(champion, candidate),), confirmed=candidate if confirmed else None)


# --- timing: no keep without proof -------------------------------------------------------------------


@given(winning, st.floats(1e-4, 0.03), st.integers(0, 29), st.floats(0, 1))
def test_a_better_sample_never_costs_the_keep(
    samples: list[float], scale: float, at: int, more: float
) -> None:
    verdict = decide(of_gains(samples, scale), target())
    assume(verdict is not None and verdict.kept)
    better = [s + more if i == at % len(samples) else s for i, s in enumerate(samples)]
    improved = decide(of_gains(better, scale), target())
    assert improved is not None
    assert improved.kept


@given(st.lists(st.floats(0, 100), min_size=1, max_size=6), st.floats(1e-6, 1))
def test_six_pairs_never_prove_anything_at_a_hundredth(samples: list[float], scale: float) -> None:
    verdict = decide(of_gains(samples, scale), target())
    assert verdict is None or not verdict.kept


def test_seven_clear_pairs_do() -> None:
    verdict = decide(of_gains([0.3] * 7), target())
    assert verdict is not None
    assert verdict.kept
    assert verdict.effect == pytest.approx(math.exp(0.3))
    assert verdict.evidence is not None
    assert verdict.evidence >= 100
    assert verdict.interval is not None
    assert 1 < verdict.interval.low < verdict.effect < verdict.interval.high


@given(logs, st.floats(1e-4, 0.1))
def test_a_change_and_its_undoing_are_never_both_kept(samples: list[float], scale: float) -> None:
    there = decide(of_gains(samples, scale), target())
    back = decide(of_gains([-sample for sample in samples], scale), target())
    assert not (there and back and there.kept and back.kept)


@given(st.lists(st.floats(-0.3, 0.3), min_size=30, max_size=30))
def test_the_last_pair_ends_it(samples: list[float]) -> None:
    assert decide(of_gains(samples), target()) is not None


def test_no_pair_no_verdict() -> None:
    assert decide(Measurement((), SCALE), target()) is None
    assert decide(Measurement(()), target(Noise.DETERMINISTIC)) is None


def test_a_timing_metric_without_a_scale_is_a_fault_of_the_caller() -> None:
    with pytest.raises(ValueError, match="noise scale"):
        decide(of_gains([0.1], None), target())


def test_a_proven_gain_under_the_smallest_worth_having_is_discarded() -> None:
    verdict = decide(of_gains([0.003] * 20, 0.0001), target(min_effect=0.005))
    assert verdict is not None
    assert verdict.status is Status.DISCARD
    assert "by less than 0.50%" in verdict.reason


def test_a_few_large_gains_do_not_stand_for_the_rest() -> None:
    verdict = decide(of_gains([*[0.003] * 12, *[0.5] * 8], 0.0001), target(min_effect=0.005))
    assert verdict is not None
    assert verdict.status is Status.DISCARD
    assert verdict.effect == pytest.approx(math.exp(0.003))


def test_futility_ends_a_loser_after_two_pairs() -> None:
    verdict, pairs = judged(lambda: -0.5)
    assert (verdict.status, pairs) == (Status.DISCARD, 2)
    assert verdict.reason.startswith("not better")


def test_what_stays_open_is_discarded_at_the_last_pair() -> None:
    flips = iter([0.02, 0.0] * 15)
    verdict, pairs = judged(lambda: next(flips), scale=0.03)
    assert pairs <= 30
    assert verdict.status is Status.DISCARD


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 0.0, -1.0])
@pytest.mark.parametrize("side", ["champion", "candidate"])
def test_a_timing_that_is_no_positive_number_is_a_crash(bad: float, side: str) -> None:
    broken = pair(bad, 1.0) if side == "champion" else pair(1.0, bad)
    verdict = decide(Measurement((*of_gains([0.3] * 20).pairs, broken), SCALE), target())
    assert verdict is not None
    assert verdict.status is Status.CRASH


@pytest.mark.parametrize(("champion", "candidate"), [(1e308, 1e-308), (1e-308, 1e308), (5e-324, 1e308)])
def test_numbers_at_the_edge_of_floating_point_are_judged(champion: float, candidate: float) -> None:
    """The ratio of two finite numbers may be none: the candidate chooses its numbers."""
    for direction in Direction:
        subject = target(direction=direction)
        found = gains([pair(champion, candidate)], subject.metric)
        assert math.isfinite(found[0])
        assert decide(Measurement((pair(champion, candidate),) * 8, SCALE), subject) is not None
        decide(exact(champion, candidate), target(Noise.DETERMINISTIC, direction))


# --- timing: error rate and power --------------------------------------------------------------------

A_A_NOISE: dict[str, Callable[[random.Random], float]] = {
    "gaussian": lambda rng: rng.gauss(0, SCALE),
    "twice the noise thought": lambda rng: rng.gauss(0, 2 * SCALE),
    "heavy tail": lambda rng: SCALE * rng.gauss(0, 1) / max(1e-9, abs(rng.gauss(0, 1))),
    "bursts": lambda rng: rng.gauss(0, SCALE) + (rng.random() < 0.1) * rng.choice((-1, 1)) * rng.random(),
    "two points": lambda rng: rng.choice((-SCALE, SCALE)),
}


@pytest.mark.parametrize("noise", A_A_NOISE)
def test_equal_code_is_seldom_kept(noise: str) -> None:
    """At most one in a hundred, by the guarantee; four standard deviations of tolerance."""
    rng = random.Random(7)
    kept = sum(judged(lambda: A_A_NOISE[noise](rng))[0].kept for _ in range(400))
    assert kept <= 4 + 4 * math.sqrt(4)


def test_equal_code_costs_few_pairs() -> None:
    rng = random.Random(8)
    pairs = [judged(lambda: rng.gauss(0, SCALE))[1] for _ in range(400)]
    assert sum(pairs) / 400 < 8


@pytest.mark.parametrize(("effect", "power"), [(2 * SCALE, 0.95), (SCALE, 0.75)])
def test_real_gains_are_found(effect: float, power: float) -> None:
    rng = random.Random(9)
    kept = sum(judged(lambda: rng.gauss(effect, SCALE))[0].kept for _ in range(300))
    assert kept / 300 >= power


def test_a_strict_policy_asks_for_more() -> None:
    rng = random.Random(10)
    strict = target(policy=Policy(alpha=1e-6, max_pairs=60))
    verdict, pairs = judged(lambda: rng.gauss(5 * SCALE, SCALE / 10), subject=strict)
    assert verdict.kept
    assert pairs >= math.log(1e6) / math.log(1.96)


# --- deterministic -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("champion", "candidate", "effect"),
    [(2.0, 1.0, 2.0), (0.0, -1.0, None), (-1.0, -2.0, None), (1.0, 0.0, None), (1.0, -1.0, None)],
)
def test_exact_metrics_may_be_zero_or_negative(
    champion: float, candidate: float, effect: float | None
) -> None:
    verdict = decide(exact(champion, candidate), target(Noise.DETERMINISTIC))
    assert verdict is not None
    assert verdict.kept
    assert verdict.effect == effect


def test_a_better_exact_value_is_asked_for_once_more() -> None:
    assert decide(exact(2, 1, confirmed=False), target(Noise.DETERMINISTIC)) is None


@pytest.mark.parametrize("second", [1.5, 1.0000001, math.nan, math.inf])
def test_an_exact_value_that_differs_the_second_time_is_a_crash(second: float) -> None:
    verdict = decide(Measurement((pair(2.0, 1.0),), confirmed=second), target(Noise.DETERMINISTIC))
    assert verdict is not None
    assert verdict.status is Status.CRASH
    assert "not deterministic" in verdict.reason


@pytest.mark.parametrize(
    ("champion", "candidate", "reason"),
    [
        (1.0, 1.0, "equal"),
        (1.0, 2.0, "worse"),
        (1.0, 0.999, "by less than"),
        (-100.0, -100.1, "by less than"),
    ],
)
def test_exact_values_that_are_not_better_are_discarded(
    champion: float, candidate: float, reason: str
) -> None:
    verdict = decide(exact(champion, candidate), target(Noise.DETERMINISTIC))
    assert verdict is not None
    assert verdict.status is Status.DISCARD
    assert reason in verdict.reason


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_an_exact_value_that_is_no_number_is_a_crash(bad: float) -> None:
    verdict = decide(exact(1.0, bad), target(Noise.DETERMINISTIC))
    assert verdict is not None
    assert verdict.status is Status.CRASH


# --- guards ------------------------------------------------------------------------------------------

GUARDS = (Guard("mb", max_ratio=1.1), Guard("score", min_ratio=0.9))


@pytest.mark.parametrize(
    ("mb", "score", "kept"),
    [
        ((10, 11), (1.0, 0.9), True),
        ((10, 11.01), (1.0, 1.0), False),
        ((10, 9), (1.0, 0.89), False),
        ((10, math.nan), (1.0, 1.0), False),
        ((10, 10), (1.0, math.nan), False),
        ((0, 0), (0.0, 0.0), True),
        ((0, 1), (0.0, 0.0), False),
    ],
)
def test_a_guard_that_is_not_shown_to_hold_costs_the_keep(
    mb: tuple[float, float], score: tuple[float, float], kept: bool
) -> None:
    measured = Measurement((pair(2.0, 1.0, mb=mb, score=score),), confirmed=1.0)
    verdict = decide(measured, target(Noise.DETERMINISTIC, guards=GUARDS))
    assert verdict is not None
    assert verdict.status is (Status.KEEP if kept else Status.DISCARD)
    assert kept or verdict.reason.startswith("guard ")


def test_a_guard_is_judged_by_the_median_of_the_pairs() -> None:
    pairs = tuple(pair(2.0, 1.0, mb=(10, 10 if i else 99), score=(1, 1)) for i in range(8))
    verdict = decide(Measurement(pairs, SCALE), target(guards=GUARDS))
    assert verdict is not None
    assert verdict.kept


def test_a_guard_does_not_turn_a_discard_into_anything_else() -> None:
    worse = Measurement((pair(1.0, 2.0, mb=(10, 99), score=(1, 1)),))
    verdict = decide(worse, target(Noise.DETERMINISTIC, guards=GUARDS))
    assert verdict is not None
    assert verdict.reason.startswith("worse")


# --- a second look at a jump -------------------------------------------------------------------------


def jumped(claimed: float, *again: float, audit: float = 5.0) -> Verdict | None:
    """A verdict on a candidate that looked `claimed` times better, and `again` in its second look."""
    subject = target(policy=Policy(audit=audit))
    looked = tuple(pair(found, 1.0) for found in again)
    return decide(replace(of_gains([math.log(claimed)] * 10), audit=looked), subject)


def test_what_is_no_jump_needs_no_second_look() -> None:
    found = jumped(4.9)
    assert found is not None
    assert found.kept
    assert "audit" not in found.reason
    assert jumped(1000, audit=math.inf) is not None


def test_a_jump_is_not_kept_without_a_second_look() -> None:
    for looks in ((), (100.0,), (100.0,) * 3):
        assert jumped(100.0, *looks) is None


def test_a_jump_that_is_shown_again_is_kept() -> None:
    found = jumped(100.0, 90.0, 110.0, 100.0, 12.0)
    assert found is not None
    assert found.kept
    assert found.reason.endswith("; audited: 95x in 4 pairs on other inputs and cores")
    assert found.effect == pytest.approx(100.0)


@pytest.mark.parametrize("again", [9.9, 1.0, 0.5])
def test_a_jump_that_shrinks_is_discarded(again: float) -> None:
    found = jumped(100.0, *[again] * 4)
    assert found is not None
    assert (found.status, found.effect) == (Status.DISCARD, pytest.approx(again))
    assert found.reason == f"audit: 100x at first, {again:.4g}x in 4 pairs on other inputs and cores"


def test_a_jump_to_the_edge_of_floating_point_is_audited() -> None:
    """The sum of two such numbers is beyond it."""
    assert jumped(1e308) is None
    found = jumped(1e308, *[1e308] * 4)
    assert found is not None
    assert found.kept


def test_a_jump_to_what_does_not_compare_is_discarded() -> None:
    subject = target(Noise.DETERMINISTIC, policy=Policy())
    claimed = replace(exact(100, 1, confirmed=True), audit=(pair(100, -1), pair(100, -1)))
    found = decide(claimed, subject)
    assert found is not None
    assert (
        found.reason == "audit: 100x at first, no number that compares in 2 pairs on other inputs and cores"
    )


def test_only_a_keep_that_lacks_its_second_look_is_startling() -> None:
    subject = target(policy=Policy())
    for gain, expected in ((math.log(100), True), (math.log(2), False), (-1.0, False)):
        assert startling(of_gains([gain] * 10), subject) is expected
    assert not startling(of_gains([math.log(100)] * 2), subject)
