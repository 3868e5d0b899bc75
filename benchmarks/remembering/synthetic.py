"""Synthetic logs of any length, with the lines that the loop would write: for scale and for planted truths.

A training script of ten knobs and thirty functions is changed by eighteen families of ideas: half of the
experiments move a knob, half rewrite a function. What helps is drawn once per seed; each pair has noise.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from optiloop.decide import ratio_of
from optiloop.diff import unified
from optiloop.model import (
    DEMOTION,
    TAKES_BACK,
    Cost,
    Experiment,
    GateResult,
    Interval,
    Measurement,
    Pair,
    Sample,
    Status,
)
from optiloop.record import digest, encode

PATH = "train.py"
METRIC, GUARD = "val_loss", "peak_mb"
KNOBS = {
    "DEPTH": ("4", "6", "8", "10", "12", "16"),
    "N_HEAD": ("2", "4", "8", "16"),
    "MATRIX_LR": ("0.01", "0.02", "0.03", "0.04", "0.06"),
    "EMBEDDING_LR": ("0.1", "0.2", "0.3", "0.6"),
    "WEIGHT_DECAY": ("0.0", "0.05", "0.1", "0.2"),
    "WARMUP_RATIO": ("0.0", "0.05", "0.1"),
    "WARMDOWN_RATIO": ("0.2", "0.4", "0.5", "0.7"),
    "TOTAL_BATCH_SIZE": ("2**17", "2**18", "2**19", "2**20"),
    "GRAD_CLIP": ("0.5", "1.0", "2.0"),
    "OPTIMIZER": ('"adamw"', '"muon"', '"lion"'),
}
FUNCTIONS = tuple(f"{verb}_{noun}" for verb in ("make", "apply", "fuse", "scan", "pack", "mix")
                  for noun in ("attention", "tokens", "mlp", "norms", "batches"))  # fmt: skip
FAMILIES = {
    "memoise": "remember = lru_cache(maxsize=None)({0})",
    "vectorise": "total = numpy.sum(numpy.asarray(items) ** 2)",
    "comprehension": "found = [item * {1} for item in items if item > {1}]",
    "compile": "step = torch.compile({0}_step, mode='max-autotune')",
    "hoist": "scale = math.sqrt({1})",
    "join": "text = ''.join(str(item) for item in items)",
    "set-lookup": "seen = frozenset(items[:{1}])",
    "early-exit": "items = items[:{1}] if len(items) > {1} else items",
    "generator": "total = sum(item * {1} for item in items)",
    "bisect": "at = bisect.bisect_left(items, {1})",
    "counter": "counts = collections.Counter(items[{1}:])",
    "slots": "pool = [None] * {1}",
    "bf16": "items = items.to(dtype=torch.bfloat16)",
    "in-place": "items.mul_({1}).add_(1)",
    "chunk": "parts = items.split({1}, dim=0)",
    "sort-once": "items = sorted(items, key=lambda item: item % {1})",
    "inline": "total = total + item * {1} if item else total",
    "norm-order": "items = layer_norm(items, eps={1}e-6)",
}
WORDS = (
    "Without it each call builds the same thing again.",
    "The profile says that it is hot.",
    "It allocates in the inner loop.",
    "A wider step may pay for itself.",
    "Seen to help elsewhere.",
)
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class World:
    """What helps, and where the campaign stands."""

    rng: random.Random
    settings: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KNOBS, 1))
    loss: float = 4.0
    commit: str = "0" * 40
    keeps: list[Experiment] = field(default_factory=list)

    def __post_init__(self) -> None:
        draw = random.Random(self.rng.random())
        self.best = {name: draw.randrange(len(values)) for name, values in KNOBS.items()}
        self.gains = {
            (function, family): draw.gauss(-0.004, 0.004) for function in FUNCTIONS for family in FAMILIES
        }


def experiments(count: int, seed: int = 0) -> Iterator[Experiment]:
    """So many experiments of one campaign, in order; the same for the same seed. `previous` is not set."""
    world = World(random.Random(seed))
    for number in range(count):
        experiment = _experiment(world, number)
        if experiment.status is Status.KEEP:
            world.loss /= experiment.effect or 1.0
            world.commit = experiment.commit or world.commit
        yield experiment


def write_log(path: Path, count: int, seed: int = 0) -> None:
    """Write them as the loop would, chained."""
    previous = ""
    with path.open("wb") as file:
        for experiment in experiments(count, seed):
            line = encode(replace(experiment, previous=previous))
            previous = digest(line)
            file.write(line + b"\n")


def _experiment(world: World, number: int) -> Experiment:
    rng = world.rng
    if world.keeps and rng.random() < 0.0005:
        return _take_back(world, number)
    if rng.random() < 0.002:  # what is best depends on all the rest, and moves with it
        moved = rng.choice(tuple(KNOBS))
        world.best[moved] = rng.randrange(len(KNOBS[moved]))
    if rng.random() < 0.5:
        name = rng.choice(tuple(KNOBS))
        old, new = (
            world.settings[name],
            rng.choice([i for i in range(len(KNOBS[name])) if i != world.settings[name]]),
        )
        gain = 0.004 * (abs(old - world.best[name]) - abs(new - world.best[name]))
        values = KNOBS[name]
        said = f"Set {name} from {values[old]} to {values[new]}. {rng.choice(WORDS)}"
        found = _measured(
            world, number, gain, _knob_diff(name, values[old], values[new]), said, "knob", "tune"
        )
        if found.status is Status.KEEP:
            world.settings[name] = new
    else:
        function, family = rng.choice(FUNCTIONS), rng.choice(tuple(FAMILIES))
        gain = world.gains[function, family]
        said = f"{family} in {function}: {rng.choice(WORDS)}"
        diff = _function_diff(function, family, rng.randrange(2, 40))
        found = _measured(world, number, gain, diff, said, family, "rewrite")
        if found.status is Status.KEEP:
            world.gains |= {(function, other): rng.gauss(-0.004, 0.004) for other in FAMILIES}
            world.gains[function, family] = -0.01  # what is done cannot be done again
    if found.status is Status.KEEP:
        world.keeps.append(found)
    return found


def _measured(
    world: World, number: int, gain: float, diff: str, said: str, family: str, origin: str
) -> Experiment:
    rng, chance = world.rng, world.rng.random()
    blank = _line(world, number, diff, said, family, origin)
    if chance < 0.08:
        gates = (GateResult("tests", False, "2 failed, 40 passed", 1.5, 40),)
        return replace(
            blank, status=Status.GATE_FAILED, reason="gate tests: 2 failed, 40 passed", gates=gates
        )
    if chance < 0.12:
        return replace(blank, status=Status.CRASH, reason="exit 1: RuntimeError: CUDA out of memory")
    if chance < 0.15:
        return replace(blank, status=Status.DUPLICATE, reason="ends in the program of an earlier one")
    pairs = tuple(_pair(rng, world.loss, gain, number * 8 + at) for at in range(5))
    seen = [math.log(pair.champion.values[METRIC] / pair.candidate.values[METRIC]) for pair in pairs]
    mean = sum(seen) / len(seen)
    status = Status.KEEP if mean > 0.003 else Status.DISCARD
    reason = (
        "better in 5 pairs" if mean > 0.003 else "undecided" if mean > -0.001 else "not better in 5 pairs"
    )
    return replace(
        blank,
        status=status,
        reason=reason,
        effect=ratio_of(mean),
        interval=Interval(ratio_of(mean - 0.002), ratio_of(mean + 0.002)),
        measurement=Measurement(pairs, 0.002),
        commit=f"{number:040x}" if status is Status.KEEP else None,
    )


def _take_back(world: World, number: int) -> Experiment:
    """The newest keep is taken out again."""
    keep = world.keeps.pop()
    old, new = _swapped(keep.diff)
    for name, values in KNOBS.items():
        if f"+{name} = " in old:
            world.settings[name] = values.index(new.split(f"+{name} = ")[1].split("\n")[0])
    blank = _line(world, number, new, f"take back: {keep.hypothesis}", DEMOTION, "recheck")
    return replace(
        blank,
        status=Status.KEEP,
        reason="not shown to be better when measured again",
        tags=(DEMOTION, f"{TAKES_BACK}{keep.id}"),
        commit=f"{number:040x}",
    )


def _swapped(diff: str) -> tuple[str, str]:
    """A diff, and the one that undoes it, near enough."""
    marks = {"-": "+", "+": "-"}
    lines = [
        line if line[:3] in ("---", "+++") else marks.get(line[:1], line[:1]) + line[1:]
        for line in diff.split("\n")
    ]
    return diff, "\n".join(lines)


def _line(world: World, number: int, diff: str, said: str, family: str, origin: str) -> Experiment:
    moment = BEGAN + timedelta(minutes=5 * number)
    return Experiment(
        id=f"01{number:024d}",
        time=moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        target="synthetic",
        parent=world.commit,
        status=Status.DISCARD,
        reason="",
        origin=origin,
        family=family,
        hypothesis=said,
        tags=(f"rule:{family}",),
        cost=Cost(),
        result=f"{world.rng.getrandbits(256):064x}",
        change=f"{world.rng.getrandbits(256):064x}",
        diff=diff,
        gates=(GateResult("tests", True, "", 1.5, 42),),
        measurement=None,
        effect=None,
        interval=None,
        evidence=None,
        seconds=12.5,
        seed=number,
        sandbox="process",
    )


def _pair(rng: random.Random, loss: float, gain: float, seed: int) -> Pair:
    old, new = loss * math.exp(rng.gauss(0, 0.001)), loss * math.exp(rng.gauss(-gain, 0.001))
    return Pair(
        Sample({METRIC: old, GUARD: 812.5}, 1.0312, 0.9921),
        Sample({METRIC: new, GUARD: 815.0}, 1.0298, 0.9911),
        seed % 2 == 0,
        seed,
    )


@cache
def program() -> str:
    """The program that the campaign began with."""
    knobs = "".join(f"{name} = {values[1]}\n" for name, values in KNOBS.items())
    body = "    total = 0\n    for item in items:\n        total = total + item * item\n    return total\n"
    return f'"""A script."""\n\n{knobs}\n\n' + "\n\n".join(
        f"def {name}(items):\n{body}" for name in FUNCTIONS
    )


@cache
def _knob_diff(name: str, old: str, new: str) -> str:
    values = KNOBS[name][1]
    before = program().replace(f"\n{name} = {values}\n", f"\n{name} = {old}\n")
    return unified({PATH: before}, {PATH: before.replace(f"\n{name} = {old}\n", f"\n{name} = {new}\n")})


@cache
def _function_diff(function: str, family: str, number: int) -> str:
    head, loop = f"def {function}(items):\n", "    total = 0\n    for item in items:\n"
    line = FAMILIES[family].format(function, number)
    old = f"{head}{loop}        total = total + item * item\n"
    new = f"{head}    # {family}\n    {line}\n{loop}        total += item * item\n"
    return unified({PATH: program()}, {PATH: program().replace(old, new)})
