"""Promise 1, true: what a keep is worth, by simulation, beside the rules that others use.

    python benchmarks/decisions.py                    40 campaigns of 200 candidates per noise model (minutes)
    python benchmarks/decisions.py --campaigns 1      the short form that CI runs

A campaign: 200 candidates against a moving champion; 35 % exactly equal, 35 % slightly worse (0.1-1 %), 20 %
worse (2-100 %), 10 % better (0.5-50 %, log-uniform). Every run of a program advances one machine's noise:

    g1 g5 g10   Gaussian of 1, 5, 10 %                drift   a random walk up to +-20 %, 2 % noise
    heavy       lognormal right tail, 1 % noise       burst   +20..100 % on about 9 % of runs, 1.5 % noise
    ci          all of it

Our rule meets four times as many campaigns, so that luck does not decide whether a target is reached. The
study that the targets come from names these models and not their amplitudes: what its tables say stands in
the second part beside what the same rules reach here.

Then: nothing to find, rechecks, costly and deterministic metrics, hostile noise, guards, simpler candidates.
Our rule is the engine's own code (simulate.py), the others are written from their descriptions (rivals.py).
The last table holds each target; a full run (40 campaigns and more) exits with 1 where one is missed.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import simulate
from rivals import RIVALS, BestOfTen, FiveBaselines, PairedT, TwoSigma
from simulate import COSTLY, DETERMINISTIC, HOSTILE, MODELS, SIZES, Judged, Optiloop, Rule, Tally

from optiloop.model import Policy

CANDIDATES = 200
FULL = 40
"""Campaigns from which a missed target counts."""
TIMES = 4
"""How many times as many campaigns our own rule meets: its figures are the targets."""
WORKERS = 2

QUICK = Policy(kappa=1.5, max_pairs=20)
THOROUGH = Policy(kappa=0.7, max_pairs=50)
STRICT = Policy(strict=True)

OURS: tuple[Callable[[], Rule], ...] = (
    Optiloop,
    lambda: Optiloop("optiloop, rechecked", rechecks=True),
    lambda: Optiloop("optiloop strict", policy=STRICT),
    lambda: Optiloop("optiloop strict, rechecked", policy=STRICT, rechecks=True),
    lambda: Optiloop("optiloop quick", policy=QUICK),
    lambda: Optiloop("optiloop thorough", policy=THOROUGH),
)
OUR_NAMES = tuple(make().name for make in OURS)
DEFAULT, CHECKED, SURE, SURE_CHECKED, *_ = OUR_NAMES
OF_COSTLY: tuple[Callable[[], Rule], ...] = (
    Rule,
    TwoSigma,
    FiveBaselines,
    lambda: Optiloop("optiloop costly", metric=COSTLY),
    lambda: Optiloop("optiloop costly, rechecked", metric=COSTLY, rechecks=True),
)
COSTLY_NAMES = tuple(make().name for make in OF_COSTLY)
EXACT: tuple[Callable[[], Rule], ...] = (
    lambda: Optiloop("optiloop deterministic", metric=DETERMINISTIC),
    lambda: Optiloop("optiloop deterministic, rechecked", metric=DETERMINISTIC, rechecks=True),
)
EXACT_NAMES = tuple(make().name for make in EXACT)
_EVERY: tuple[Callable[[], Rule], ...] = (*RIVALS, FiveBaselines, *OURS, *OF_COSTLY, *EXACT)
RULES = {make().name: make for make in _EVERY}


# --- jobs ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Campaigns:
    """The campaigns of one rule on one kind of noise."""

    rule: str
    model: str
    candidates: str = "mixture"
    count: int = CANDIDATES
    times: int = 1
    """How many times the campaigns that were asked for."""

    def run(self, number: int, seed: int) -> Tally:
        candidates: simulate.Candidates = getattr(simulate, self.candidates)
        return simulate.campaigns(
            RULES[self.rule], self.model, candidates, self.count, number=number * self.times, seed=seed
        )


@dataclass(frozen=True)
class Guarded:
    """Candidates that are faster and change a guarded number."""

    ratio: float
    noise: float
    limit: float | None = 1.10

    def run(self, number: int, seed: int) -> Judged:
        return simulate.guarded(self.ratio, self.noise, number=5 * number, seed=seed, limit=self.limit)


@dataclass(frozen=True)
class Simpler:
    """Candidates that are simpler and cost a share of speed."""

    loss: float
    model: str

    def run(self, number: int, seed: int) -> Judged:
        return simulate.simplified(-math.log1p(self.loss), self.model, number=25 * number, seed=seed)


GUARD_NOISE = (0.005, 0.05, 0.2, 0.5)
GUARD_RATIOS = (1.0, 1.05, 1.10, 1.15, 1.5)
LOSSES = (0.0, 0.003, 0.01, 0.02)
LOSS_MODELS = ("sigma 0.2 %", "g1", "drift", "g5")

SCENARIOS = {"slightly_worse": "all worse by 0.1-1 %", "worse": "all worse by 1-10 %"}


def mixed(name: str, model: str) -> Campaigns:
    """The campaigns of a rule in the mixture."""
    return Campaigns(name, model, times=TIMES if name == DEFAULT else 1)


MIXTURE = [mixed(name, model) for model in MODELS for name in (*(r.name for r in RIVALS), *OUR_NAMES)]
NULLS = [Campaigns(name, model, "nulls") for model in MODELS for name in (Rule.name, *OUR_NAMES[:4])]
HARD = [Campaigns(name, model) for model in HOSTILE for name in (Rule.name, DEFAULT, SURE)]
COSTLIES = [
    Campaigns(name, model, count=100, times=10) for model in simulate.COSTLY_MODELS for name in COSTLY_NAMES
]
EXACTS = [Campaigns(name, "exact") for name in EXACT_NAMES]
MATURE = {
    "g1": (68.0, 87.9, 89.9),
    "g5": (4.4, 21.5, 21.4),
    "drift": (8.6, 65.8, 69.4),
    "burst": (40.7, 55.8, 70.9),
    "ci": (15.3, 37.0, 50.1),
}
"""What the study says of code with no gain above 5 % left: % of oracle of greedy, paired t, its own rule."""
MEANS = {
    Rule.name: (9.31, 73, 86.2),
    BestOfTen.name: (10.53, 83, 91.6),
    PairedT.name: (1.17, 80, 92.5),
    DEFAULT: (0.18, 85, 94.4),
}
"""And of the mixture, as means of the seven models: false keeps, recall of 2 % and more, % of oracle."""
OF_MATURE = (Rule.name, PairedT.name, DEFAULT)
MATURES = [Campaigns(name, model, "mature", times=TIMES) for model in MATURE for name in OF_MATURE]
WORSE = [
    Campaigns(name, "g5", candidates, count=100, times=10)
    for candidates in SCENARIOS
    for name in (Rule.name, *OUR_NAMES[:4])
]
GUARDS = [
    Guarded(ratio, noise, limit) for noise in GUARD_NOISE for ratio in GUARD_RATIOS for limit in (1.10, None)
]
SIMPLER = [Simpler(loss, model) for model in LOSS_MODELS for loss in LOSSES]


# --- targets ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """One figure to reach; `most` says whether the limit is the most or the least it may be."""

    figure: str
    reached: float
    limit: float
    most: bool = True

    @property
    def ok(self) -> bool:
        return self.reached <= self.limit if self.most else self.reached >= self.limit


def at_least(figure: str, reached: float | None, limit: float) -> Target:
    """A target from below; nothing measured is nothing reached."""
    return Target(figure, math.nan if reached is None else reached, limit, most=False)


# --- tables ----------------------------------------------------------------------------------------------

Tallies = dict[Campaigns, Tally]


def table(title: str, columns: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]]) -> None:
    """Print one table."""
    widths = [max(10, len(column) + 2) for column in columns]
    print(f"\n{title:<36}" + "".join(f"{name:>{width}}" for name, width in zip(columns, widths, strict=True)))
    for name, cells in rows:
        print(f"{name:<36}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)))


def said(value: float | None, digits: int = 1) -> str:
    """A figure, or a dash where there is none."""
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def percent(parts: Sequence[bool]) -> float:
    return 100 * sum(parts) / len(parts) if parts else math.nan


def mixture(found: Tallies) -> list[Target]:
    """Rules side by side on seven kinds of noise."""
    columns = (
        "runs/cand.",
        "equal",
        "worse",
        "kept",
        "false keeps %",
        "of keeps %",
        *(f"recall {name}" for name in ("<2%", "2-5%", ">=5%")),
        "% of oracle",
        "announced off %",
        "claim off %",
        "covered %",
    )
    for model in MODELS:
        rows = [(job.rule, _mixture_row(found[job])) for job in MIXTURE if job.model == model]
        table(model, columns, rows)
    return _mixture_targets(found)


def _mixture_row(tally: Tally) -> list[str]:
    return [
        said(tally.runs_per()),
        *(said(tally.runs_per(kind)) for kind in ("equal", "worse", "kept")),
        said(tally.false_rate(), 2),
        said(tally.false_share()),
        *(said(tally.recall(*sizes), 0) for sizes in (SIZES[:2], SIZES[2:3], SIZES[3:])),
        said(tally.of_oracle()),
        f"{100 * statistics.fmean(tally.announced_errors):+.1f}",
        f"{100 * statistics.fmean(tally.claim_errors):+.2f}",
        said(percent(tally.covered), 0),
    ]


def _mixture_targets(found: Tallies) -> list[Target]:
    ours = {model: found[mixed(DEFAULT, model)] for model in MODELS}
    strict = [found[Campaigns(SURE, model)] for model in MODELS]
    claims = {model: [found[mixed(name, model)] for name in OUR_NAMES] for model in MODELS}
    targets = [
        Target(
            "false keeps of what is not better %, worst model", _most(ours.values(), Tally.false_rate), 0.5
        ),
        Target("false share of keeps %, worst model", _most(ours.values(), Tally.false_share), 6),
        Target("the same, strict", _most(strict, Tally.false_share), 1),
    ]
    targets += [
        at_least(f"recall of >= 5 % effects, {model} %", ours[model].recall(*SIZES[3:]), 97)
        for model in ("g1", "drift", "burst", "ci")
    ]
    targets += [
        at_least(f"recall of 2-5 % effects, {model} %", ours[model].recall(SIZES[2]), limit)
        for model, limit in {"g1": 98, "drift": 85, "burst": 85, "ci": 60}.items()
    ]
    targets.append(Target("runs per candidate, worst model", _most(ours.values(), Tally.runs_per), 10.5))
    targets += [
        Target(
            f"runs, {kind}, mean of models", statistics.fmean(t.runs_per(kind) for t in ours.values()), limit
        )
        for kind, limit in {"equal": 10.5, "worse": 5.5, "kept": 21.0}.items()
    ]
    targets += [
        at_least(f"% of oracle, {model}", ours[model].of_oracle(), limit)
        for model, limit in {"g1": 98, "drift": 96, "burst": 96, "ci": 94, "g5": 90, "g10": 81}.items()
    ]
    for model in ("g1", "drift", "burst", "ci"):
        errors = [error for tally in claims[model] for error in tally.claim_errors]
        targets.append(Target(f"|bias of the claim|, {model} %", abs(100 * statistics.fmean(errors)), 0.5))
    covered = [hit for tallies in claims.values() for tally in tallies for hit in tally.covered]
    targets.append(at_least(f"coverage of the claim %, {len(covered)} campaigns", percent(covered), 93))
    return targets


def _most(tallies: Iterable[Tally], figure: Callable[[Tally], float]) -> float:
    return max(figure(tally) for tally in tallies)


def amplitudes(found: Tallies) -> list[Target]:
    """What the study reports beside what is reached here: the amplitudes of the noise are chosen by this."""
    rows = []
    for model, study in MATURE.items():
        here = (found[Campaigns(name, model, "mature", times=TIMES)].of_oracle() for name in OF_MATURE)
        rows.append((model, _beside(here, study)))
    table(
        "no gain above 5 %: % of oracle", ("greedy", "study", "paired t", "study", "optiloop", "study"), rows
    )
    rows = []
    for name, study in MEANS.items():
        tallies = [found[mixed(name, model)] for model in MODELS]
        figures: tuple[Callable[[Tally], float], ...] = (
            Tally.false_rate,
            lambda tally: tally.recall(*SIZES[2:]) or 0.0,
            Tally.of_oracle,
        )
        here = (statistics.fmean(map(figure, tallies)) for figure in figures)
        rows.append((name, _beside(here, study)))
    columns = ("false keeps %", "study", "recall >=2%", "study", "% of oracle", "study")
    table("the mixture, mean of models", columns, rows)
    return []


def _beside(here: Iterable[float], study: Sequence[float]) -> list[str]:
    return [said(value, 2) for pair in zip(here, study, strict=True) for value in pair]


def nothing_to_find(found: Tallies) -> list[Target]:
    """200 candidates that equal the champion."""
    columns = ("false keeps/campaign", "campaigns with any %", "left after rechecks")
    for model in MODELS:
        table(
            f"nothing to find, {model}",
            columns,
            [(job.rule, _null_row(found[job])) for job in NULLS if job.model == model],
        )
    checked = [found[Campaigns(CHECKED, model, "nulls")] for model in MODELS]
    sure = [found[Campaigns(SURE, model, "nulls")] for model in MODELS]
    most = max(keeps for tally in checked for keeps in tally.false_keeps_each)
    return [
        # Of 100 in decision.md; of 200 here, so this is the harder one.
        Target("identical candidates: most keeps in a campaign of 200", most, 4),
        Target("the same, strict: campaigns with any %", statistics.fmean(map(_any_false, sure)), 10),
    ]


def _any_false(tally: Tally) -> float:
    return percent([keeps > 0 for keeps in tally.false_keeps_each])


def _null_row(tally: Tally) -> list[str]:
    checked = bool(tally.recheck_runs)
    return [
        said(statistics.fmean(tally.false_keeps_each), 2),
        said(_any_false(tally), 0),
        said(tally.standing_false / tally.campaigns, 2) if checked else "-",
    ]


def rechecked(found: Tallies) -> list[Target]:
    """What measuring the keeps again takes back, in the mixture."""
    columns = ("false kept", "left", "left of keeps %", *(f"lost {size}" for size in SIZES), "runs/cand.")
    for name in (CHECKED, SURE_CHECKED):
        rows = []
        for model in MODELS:
            tally = found[Campaigns(name, model)]
            lost = (f"{sum(tally.lost[size])}/{len(tally.lost[size])}" for size in SIZES)
            share = 100 * tally.standing_false / max(tally.standing, 1)
            extra = tally.recheck_runs / tally.decided
            rows.append(
                (model, [str(tally.false_keeps), str(tally.standing_false), said(share), *lost, said(extra)])
            )
        table(f"{name}: taken back", columns, rows)
    return []


def costly(found: Tallies) -> list[Target]:
    """One run a candidate, where a run costs minutes."""
    columns = (
        "runs/cand.",
        "false keeps %",
        "of keeps %",
        "left of keeps %",
        *(f"recall {size}" for size in SIZES),
        "% of oracle",
        "announced off %",
    )
    for model in simulate.COSTLY_MODELS:
        rows = [(job.rule, _costly_row(found[job])) for job in COSTLIES if job.model == model]
        table(f"costly, {model}", columns, rows)
    ours = found[Campaigns(COSTLY_NAMES[3], "sigma 1 %", count=100, times=10)]
    return [
        Target("costly: runs per candidate", ours.runs_per(), 1.7),
        Target("costly: false keeps of what is not better %", ours.false_rate(), 0.5),
        at_least("costly: recall of 5-10 % effects", ours.recall(SIZES[3]), 99),
    ]


def _costly_row(tally: Tally) -> list[str]:
    return [
        said(tally.runs_per(), 2),
        said(tally.false_rate(), 2),
        said(tally.false_share()),
        said(100 * tally.standing_false / tally.standing) if tally.recheck_runs else "-",
        *(said(tally.recall(size), 1) for size in SIZES),
        said(tally.of_oracle()),
        f"{100 * statistics.fmean(tally.announced_errors):+.1f}",
    ]


def exact(found: Tallies) -> list[Target]:
    """A metric that gives the same number for the same code."""
    columns = ("runs/cand.", "more per keep", "false keeps", "recall %")
    rows, more = [], math.nan
    for job in reversed(EXACTS):
        tally = found[job]
        more = (tally.runs - tally.decided) / max(tally.keeps, 1)
        recall = said(tally.recall(*SIZES))
        rows.append((job.rule, [said(tally.runs_per(), 2), said(more, 2), str(tally.false_keeps), recall]))
    table("deterministic", columns, rows)
    ours = found[EXACTS[0]]
    return [
        Target("deterministic: runs beyond one, per keep", more, 1.1),
        Target("deterministic: false keeps", ours.false_keeps, 0),
        at_least("deterministic: recall %", ours.recall(*SIZES), 100),
    ]


def all_worse(found: Tallies) -> list[Target]:
    """5 % noise and 100 proposals, all truly worse: what comes back, and what is said of it."""
    columns = ("ends worse %", "and verified %", "announced off %", "claim off %", "runs/cand.")
    for candidates, title in SCENARIOS.items():
        rows = []
        for job in WORSE:
            if job.candidates == candidates:
                tally = found[job]
                cells = [
                    said(100 * tally.ended_worse / tally.campaigns),
                    said(100 * tally.verified_worse / tally.campaigns, 2),
                    f"{100 * statistics.fmean(tally.announced_errors):+.2f}",
                    f"{100 * statistics.fmean(tally.claim_errors):+.2f}",
                    said(tally.runs_per()),
                ]
                rows.append((job.rule, cells))
        table(f"5 % noise, {title}", columns, rows)
    # As `optiloop run` does it: what is kept is measured again before the run ends.
    ours = found[Campaigns(CHECKED, "g5", "slightly_worse", count=100, times=10)]
    off = abs(100 * statistics.fmean(ours.claim_errors))
    return [
        Target("all worse: ends with a worse program %", 100 * ours.ended_worse / ours.campaigns, 2),
        Target("all worse: |claim - truth| %", off, 1),
    ]


def hostile(found: Tallies) -> list[Target]:
    """Noise that breaks rules of thumb."""
    columns = ("runs/cand.", "false keeps %", "recall <2%", "2-5%", ">=5%", "% of oracle")
    for model in HOSTILE:
        rows = []
        for job in HARD:
            if job.model == model:
                tally = found[job]
                recalls = (said(tally.recall(*sizes), 0) for sizes in (SIZES[:2], SIZES[2:3], SIZES[3:]))
                cells = [
                    said(tally.runs_per()),
                    said(tally.false_rate(), 2),
                    *recalls,
                    said(tally.of_oracle()),
                ]
                rows.append((job.rule, cells))
        table(f"hostile: {model}", columns, rows)
    ours = [found[Campaigns(DEFAULT, model)] for model in HOSTILE]
    return [Target("hostile: false keeps of what is not better %, worst", _most(ours, Tally.false_rate), 1)]


def guards(found: dict[Guarded, Judged]) -> list[Target]:
    """Faster by 10 % at 1 % noise, and a guarded number that may not grow beyond 1.10 times."""
    columns = [f"x {ratio:.2f}" for ratio in GUARD_RATIOS]
    vetoes, pairs = [], []
    for noise in GUARD_NOISE:
        cells = [found[Guarded(ratio, noise)] for ratio in GUARD_RATIOS]
        without = [found[Guarded(ratio, noise, None)] for ratio in GUARD_RATIOS]
        vetoes.append((f"noise of a pair {noise:.1%}", [said(100 - cell.kept) for cell in cells]))
        more = [said(a.pairs - b.pairs) for a, b in zip(cells, without, strict=True)]
        pairs.append((f"noise of a pair {noise:.1%}", more))
    table("guard at 1.10: vetoed %", columns, vetoes)
    table("guard at 1.10: more pairs", columns, pairs)
    kept = [100 - found[Guarded(1.0, noise)].kept for noise in GUARD_NOISE]
    seen = [100 - found[Guarded(1.5, noise)].kept for noise in GUARD_NOISE if noise <= 0.2]
    return [
        Target("guard: vetoed though unchanged %, worst noise", max(kept), 5),
        at_least("guard: vetoed at 1.5 times %, noise up to 20 %", min(seen), 95),
    ]


def simpler(found: dict[Simpler, Judged]) -> list[Target]:
    """Candidates that are simpler and no faster; the margin is 1 %."""
    columns = [name for loss in LOSSES for name in (f"{-loss:.1%} kept %", "pairs")]
    rows = []
    for model in LOSS_MODELS:
        cells = [found[Simpler(loss, model)] for loss in LOSSES]
        rows.append((model, [text for cell in cells for text in (said(cell.kept), said(cell.pairs))]))
    table("simpler", columns, rows)
    # Pooled: a cell of 1000 tells 1.0 from 1.1 % by chance only.
    at_margin = statistics.fmean(found[Simpler(LOSSES[2], model)].kept for model in LOSS_MODELS)
    return [Target("simpler: kept though worse by the margin %", at_margin, 1)]


def targets(reached: Sequence[Target]) -> bool:
    """Print the targets, and say whether all are reached."""
    rows = []
    for target in reached:
        bound = f"{'<=' if target.most else '>='} {target.limit:g}"
        rows.append((target, [bound, said(target.reached, 2), "ok" if target.ok else "MISSED"]))
    width = max(len(target.figure) for target in reached) + 2
    print("\ntargets of decision.md, section 7, and of this benchmark")
    for target, cells in rows:
        print(f"{target.figure:<{width}}" + "".join(f"{cell:>10}" for cell in cells))
    return all(target.ok for target in reached)


def _tally(order: tuple[Campaigns, int, int]) -> Tally:
    return order[0].run(*order[1:])


def _judged(order: tuple[Guarded | Simpler, int, int]) -> Judged:
    return order[0].run(*order[1:])


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--campaigns", type=int, default=FULL)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    print(f"{chosen.campaigns} campaigns of {CANDIDATES} candidates per noise model, seed {chosen.seed}")
    ask = (chosen.campaigns, chosen.seed)
    jobs = list(dict.fromkeys((*MIXTURE, *MATURES, *NULLS, *HARD, *COSTLIES, *EXACTS, *WORSE)))
    with ProcessPoolExecutor(WORKERS) as pool:
        found = dict(zip(jobs, pool.map(_tally, [(job, *ask) for job in jobs]), strict=True))
        guarded = dict(zip(GUARDS, pool.map(_judged, [(job, *ask) for job in GUARDS]), strict=True))
        simple = dict(zip(SIMPLER, pool.map(_judged, [(job, *ask) for job in SIMPLER]), strict=True))
    parts = (mixture, amplitudes, nothing_to_find, rechecked, costly, exact, all_worse, hostile)
    reached = [target for part in parts for target in part(found)]
    reached += [*guards(guarded), *simpler(simple)]
    return 0 if targets(reached) or chosen.campaigns < FULL else 1


if __name__ == "__main__":
    sys.exit(main())
