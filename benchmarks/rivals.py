"""How others decide, written from their descriptions. Pure, but for the runs they ask for."""

from __future__ import annotations

import math
import statistics

from scipy import special
from simulate import Bench, Rule

TAIL = 0.025
"""The tail of a two-sided test at p < .05 that a keep falls into."""


class BestOfTen(Rule):
    name = "best of 10 runs, stored best"
    factor = 1.0

    def keeps(self, bench: Bench) -> bool:
        found = min(bench.run(bench.candidate) for _ in range(10))
        if found * self.factor >= self.best:
            return False
        self.best = found
        return True


class BestOfTenByFive(BestOfTen):
    """codeflash's: the best of many loops, and by more than 5 %."""

    name = "best of 10 and 5 %, stored best"
    factor = 1.05

    def begin(self, bench: Bench) -> None:
        self.first = self.best = min(bench.run(bench.champion) for _ in range(10))


class Confidence(Rule):
    """pi-autoresearch's score: |best - baseline| over the MAD of all values, kept where better and >= 2."""

    name = "one run, MAD confidence >= 2"

    def begin(self, bench: Bench) -> None:
        super().begin(bench)
        self.seen = [self.best]

    def keeps(self, bench: Bench) -> bool:
        found = bench.run(bench.candidate)
        self.seen.append(found)
        middle = statistics.median(self.seen)
        mad = statistics.median(abs(value - middle) for value in self.seen)
        if found >= self.best or (mad > 0 and abs(found - self.first) / mad < 2):
            return False
        self.best = found
        return True


class TwoSigma(Rule):
    """Pull request 560 of autoresearch: the baseline twice; less than two sigma better is a discard."""

    name = "two baselines, 2 sigma, one run"

    def begin(self, bench: Bench) -> None:
        runs = [bench.run(bench.champion) for _ in range(2)]
        self.first = self.best = statistics.fmean(runs)
        self.sigma = statistics.stdev(runs)

    def keeps(self, bench: Bench) -> bool:
        found = bench.run(bench.candidate)
        if found >= self.best or self.best - found < 2 * self.sigma:
            return False
        self.best = found
        return True


class FiveBaselines(Rule):
    """Five baselines and one run: Student's t at 2 % against a stored mean; a keep's run is the new mean."""

    name = "five baselines, one run, t < .02"
    alpha = 0.02

    def begin(self, bench: Bench) -> None:
        runs = [bench.run(bench.champion) for _ in range(5)]
        self.first = self.best = statistics.fmean(runs)
        self.sd, self.count = statistics.stdev(runs), 5

    def keeps(self, bench: Bench) -> bool:
        found = bench.run(bench.candidate)
        t = (self.best - found) / (self.sd * math.sqrt(1 + 1 / self.count))
        if t_above(t, 4) >= self.alpha:
            return False
        self.best, self.count = found, 1
        return True


class Welch(Rule):
    name = "mean of 10, Welch p < .05, stored"

    def begin(self, bench: Bench) -> None:
        self.stored = [bench.run(bench.champion) for _ in range(10)]
        self.first = self.best = statistics.fmean(self.stored)

    def keeps(self, bench: Bench) -> bool:
        found = [bench.run(bench.candidate) for _ in range(10)]
        if welch(self.stored, found) >= TAIL:
            return False
        self.stored, self.best = found, statistics.fmean(found)
        return True


class BlockWelch(Rule):
    """The incumbent is measured again, in a block before the candidate's."""

    name = "10 + 10 in blocks, Welch p < .05"

    def begin(self, bench: Bench) -> None:
        self.total = 0.0

    def keeps(self, bench: Bench) -> bool:
        held = [bench.run(bench.champion) for _ in range(10)]
        found = [bench.run(bench.candidate) for _ in range(10)]
        if welch(held, found) >= TAIL:
            return False
        self.total += math.log(statistics.fmean(held) / statistics.fmean(found))
        return True

    def announced(self) -> float:
        return self.total


class PairedT(Rule):
    name = "10 pairs, paired t p < .05"

    def begin(self, bench: Bench) -> None:
        self.total = 0.0

    def keeps(self, bench: Bench) -> bool:
        gains = [bench.gain() for _ in range(10)]
        mean, error = statistics.fmean(gains), statistics.stdev(gains) / math.sqrt(10)
        if not self.good(mean, error):
            return False
        self.total += mean
        return True

    def good(self, mean: float, error: float) -> bool:
        return mean > 0 and (error == 0 or t_above(mean / error, 9) < TAIL)

    def announced(self) -> float:
        return self.total


class PairedZ(PairedT):
    """tango-bench's: significant from z = 2.6, and worth telling from 1 %."""

    name = "10 pairs, z >= 2.6 and > 1 %"

    def good(self, mean: float, error: float) -> bool:
        return math.expm1(mean) > 0.01 and mean >= 2.6 * error


def welch(slower: list[float], faster: list[float]) -> float:
    """One-sided p-value of Welch's test that `faster` has the smaller mean."""
    parts = [statistics.variance(values) / len(values) for values in (slower, faster)]
    difference = statistics.fmean(slower) - statistics.fmean(faster)
    if sum(parts) == 0:
        return 0.0 if difference > 0 else 1.0
    freedom = sum(parts) ** 2 / math.fsum(part**2 / 9 for part in parts)
    return t_above(difference / math.sqrt(sum(parts)), freedom)


def t_above(t: float, freedom: float) -> float:
    """P(T > t) of Student's t."""
    return float(special.stdtr(freedom, -t))


RIVALS: tuple[type[Rule], ...] = (
    Rule,
    BestOfTen,
    BestOfTenByFive,
    Welch,
    BlockWelch,
    Confidence,
    TwoSigma,
    PairedT,
    PairedZ,
)
