"""The target nanogpt: noise of its seeds, courses of many candidates, what ending hopeless ones saves, a GPU.

    python benchmarks/nanogpt.py seeds [--runs 8] [--budget 10s]     several seeds of both starts
    python benchmarks/nanogpt.py curves [--budget 5s]                train candidates, write their courses
    python benchmarks/nanogpt.py kill                                replay the stopping rule on those
    python benchmarks/nanogpt.py steps                               virtual against measured time of steps
    python benchmarks/nanogpt.py compiled                            compiled windows against plain ones
    python benchmarks/nanogpt.py gpu [--dataset SHARDS]              this machine's start beside upstream's

All but `kill` need torch: pip install 'optiloop[nanogpt]'.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from optiloop.decide import hopeless
from optiloop.model import Command, Direction, Level, Metric, Noise, Seconds
from optiloop.targets import lay_out

TARGET = Path(__file__).parents[1] / "targets" / "nanogpt"
CURVES = Path(__file__).with_name("nanogpt_curves.json")

Curve = list[tuple[float, float]]

Constants = dict[str, float]

_TURNS: list[Constants] = [
    *({"LEARNING_RATE": value} for value in (0.0005, 0.002, 0.004)),
    *({"WARMDOWN": value} for value in (0.5, 1.0)),
    {"DEPTH": 1},
    {"DEPTH": 4},
    {"BATCH": 8},
    {"BATCH": 32},
    *({"INIT": value} for value in (0.04, 0.1)),
    {"WARMUP": 0.2},
    {"BETA_2": 0.95},
    {"SEQUENCE": 128},
    {"LEARNING_RATE": 0.002, "WARMDOWN": 1.0},
    {"LEARNING_RATE": 0.004, "WARMUP": 0.1, "WARMDOWN": 0.9, "BETA_2": 0.95},
    {"LEARNING_RATE": 0.002, "DEPTH": 1, "INIT": 0.04},
]
_MODERN_TURNS: list[Constants] = [
    *({"MUON_RATE": value} for value in (0.06, 0.005)),
    {"WARMDOWN": 1.0},
    {"DEPTH": 1},
    {"BATCH": 8},
    {"EMBEDDING_RATE": 0.1},
    {"VALUE_EMBEDDING": False},
]
CANDIDATES = [("train.py", turn) for turn in ({}, *_TURNS)] + [
    ("modern.py", turn) for turn in ({}, *_MODERN_TURNS)
]
"""What the courses are of: constants of each start that differ from the file's."""


@dataclass(frozen=True)
class Run:
    """One training: what it was of, how it went, and what it came to."""

    name: str
    val_bpb: float
    curve: Curve


# --- training ---------------------------------------------------------------------------------------------


@contextmanager
def judging(count: int) -> Iterator[tuple[Any, Any]]:
    """The target's judge, and its bench with workers for so many runs."""
    sys.path.insert(0, str(TARGET))
    judge = import_module("judge")
    chosen = Namespace(profile=judge.PROFILES["cpu"], budget=None, dataset=None)
    with judge.bench(judge.RUN * count, chosen) as bench:
        yield judge, bench


def changed(folder: Path, start: str, constants: Mapping[str, float]) -> Path:
    """A starting point with other constants, written to a file."""
    source = (TARGET / start).read_text()
    for name, value in constants.items():
        source, times = re.subn(rf"^{name} = \S+", f"{name} = {value!r}", source, flags=re.MULTILINE)
        assert times == 1, name
    said = "".join(f" {name}={value:g}" for name, value in constants.items())
    file = folder / f"{start.removesuffix('.py')}{said}"
    file.write_text(source)
    return file


def trained(judge: Any, bench: Any, file: Path, budget: Any, seed: int) -> Run:
    """Train and evaluate a file as the judge does."""
    data, profile = bench.data, bench.profile
    tokens = data.part("train", profile.train_tokens)
    bits = 1 / (0.6931471805599453 * float(data.sizes[tokens].mean()))
    curve: Curve = []
    done = judge.train(
        *(bench.crew, file, data, tokens, budget),
        seed=seed,
        on_the_way=lambda share, loss: curve.append((round(share, 3), round(loss * bits, 5))),
    )
    judged = data.part("validation", profile.judged_tokens)
    (val_bpb,) = judge.evaluate(bench.crew, file, data, done.weights, [judged])
    return Run(file.name, round(val_bpb, 6), curve)


def seeds(runs: int, budget: str) -> None:
    """Print the level and the noise of both starts."""
    with judging(2 * runs) as (judge, bench):
        for start in ("train.py", "modern.py"):
            found = [
                trained(judge, bench, TARGET / start, judge.read_budget(budget), seed).val_bpb
                for seed in range(1, runs + 1)
            ]
            share = stdev(found) / fmean(found)
            print(f"{start} {budget}: mean {fmean(found):.4f}, sd {stdev(found):.4f} ({share:.2%}): ", end="")
            print(" ".join(f"{value:.4f}" for value in found), flush=True)


def record(budget: str) -> None:
    """Train all candidates once and write their courses; three seeds of the naive start are the noise."""
    plan = [(start, constants, 1) for start, constants in CANDIDATES]
    plan += [("train.py", {}, seed) for seed in (2, 3)]
    found = []
    with judging(len(plan)) as (judge, bench), tempfile.TemporaryDirectory() as folder:
        for start, constants, seed in plan:
            file = changed(Path(folder), start, constants)
            run = trained(judge, bench, file, judge.read_budget(budget), seed)
            print(f"{run.name}, seed {seed}: {run.val_bpb:.4f}", flush=True)
            found.append({"name": run.name, "seed": seed, "val_bpb": run.val_bpb, "curve": run.curve})
        lines = ",\n".join(json.dumps(one) for one in found)
        CURVES.write_text(
            f'{{"budget": "{budget}", "corpus": "{bench.data.digest}", "runs": [\n{lines}\n]}}\n'
        )


def steps() -> None:
    """Print measured over virtual CPU time of steps of several sizes: what `clock.py` was fitted to."""
    sizes = [
        {},
        {"DEPTH": 4},
        {"BATCH": 4},
        {"BATCH": 64},
        {"SEQUENCE": 256},
        {"HEAD_SIZE": 64},
        {"HEADS": 8},
    ]
    with judging(2 * len(sizes)) as (judge, bench), tempfile.TemporaryDirectory() as folder:
        tokens = bench.data.part("train", 1_000_000)
        for start, constants in itertools.product(("train.py", "modern.py"), sizes):
            file = changed(Path(folder), start, constants)
            done = judge.train(bench.crew, file, bench.data, tokens, judge.read_budget("1s"), seed=0)
            virtual, count = done.numbers["spent"], done.numbers["steps"]
            print(f"{file.name}: {1e3 * virtual / count:.1f} virtual ms a step, ", end="")
            print(f"measured / virtual {done.cpu_seconds / virtual:.2f}", flush=True)


# --- a GPU ------------------------------------------------------------------------------------------------

UPSTREAM = {
    "val_bpb": 0.9979,
    "tokens_per_second": 1.665e6,
    "mfu_percent": 39.80,
    "peak_vram_mb": 45_060.0,
    "num_steps": 953.0,
    "num_params_M": 50.3,
}
"""What karpathy/autoresearch says of 300 s on one H100, with climbmix and its own split and tokenizer."""


def gpu(dataset: Path | None, budget: str | None) -> None:
    """Train once what a campaign would begin from here; print all of it, then upstream's figures beside."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "nanogpt"
        lay_out(TARGET, target)
        more = ["--budget", budget] if budget else []
        if dataset is not None:
            sys.path.insert(0, str(TARGET))
            prepare = import_module("prepare")
            more += ["--dataset", str(prepare.prepare(dataset, prepare.default_cache(), vocabulary=8192))]
        judge = [sys.executable, str(target / "judge.py")]
        subprocess.run([*judge, "--start"], check=True)
        done = subprocess.run([*judge, *more], check=True, stdout=subprocess.PIPE, text=True).stdout
    print(done)
    found = dict(re.findall(r"^METRIC (\w+)=(.*)", done, re.MULTILINE))
    for name, theirs in UPSTREAM.items():
        print(f"{name:<18}{float(found[name]):>14,.4f} here {theirs:>14,.4f} upstream, H100")


def compiled() -> None:
    """Print by how much compiled attention with windows differs from the plain one, going forward."""
    sys.path.insert(0, str(TARGET))
    modern: Any = import_module("modern")
    torch: Any = import_module("torch")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    modern.WINDOWS = True
    layer, turn = modern.Attention(0).to(device), (modern.GPT(64).cosine, modern.GPT(64).sine)
    turn = tuple(angles.to(device) for angles in turn)
    torch.nn.init.normal_(layer.out.weight)
    x = torch.randn(2, modern.SEQUENCE, modern.WIDTH, device=device)
    with torch.no_grad():  # going back is for GPUs only
        plain = layer(x, None, turn)
        layer.seen = modern.blocks(modern.SEQUENCE, layer.window, device)
        found = torch.compile(layer)(x, None, turn)
    print(f"{device}: largest difference {(found - plain).abs().max():.2g} of {plain.abs().max():.2g}")


# --- the stopping rule ------------------------------------------------------------------------------------

METRIC = Metric("val_bpb", Command("judge", Seconds(1)), Direction.MINIMIZE, noise=Noise.COSTLY)


@dataclass(frozen=True)
class Saving:
    """What ending hopeless runs saves: the share of all runs' time, how many it ended, and winners lost."""

    share: float
    ended: int
    runs: int
    lost: int


def recorded(file: Path = CURVES) -> list[Run]:
    """The recorded runs."""
    return [
        Run(f"{one['name']}, seed {one['seed']}", one["val_bpb"], [(at, value) for at, value in one["curve"]])
        for one in json.loads(file.read_text())["runs"]
    ]


def ended_at(candidate: Run, champion: Run, sd: float) -> float:
    """The share of its run at which a candidate is ended; 1 where it is not."""
    level = Level(champion.val_bpb, sd, 4, 3, tuple(champion.curve))
    for count in range(1, len(candidate.curve)):
        if hopeless(candidate.curve[:count], level, METRIC):
            return candidate.curve[count - 1][0]
    return 1.0


def replayed(pairs: Sequence[tuple[Run, Run]], sd: float) -> Saving:
    """Each (champion, candidate) as if it ran now. A lost winner was ended though it ends better."""
    ends = [(ended_at(candidate, champion, sd), champion, candidate) for champion, candidate in pairs]
    lost = sum(end < 1 and candidate.val_bpb < champion.val_bpb for end, champion, candidate in ends)
    saved = sum(1 - end for end, _, _ in ends)
    return Saving(saved / len(ends), sum(end < 1 for end, _, _ in ends), len(ends), lost)


def noise(runs: Sequence[Run]) -> float:
    """The sd of the start's seeds, as the share that ratios are compared by."""
    found = [run.val_bpb for run in runs if re.fullmatch(r"train, seed \d+", run.name)]
    return stdev(found) / fmean(found)


def kill() -> None:
    """Print what the rule saves: against each start, and of all pairs of runs."""
    runs = recorded()
    sd = noise(runs)
    for name in ("train, seed 1", "modern, seed 1"):
        champion = next(run for run in runs if run.name == name)
        print(f"champion {name}: {replayed([(champion, run) for run in runs if run != champion], sd)}")
    print(f"all pairs: {replayed(list(itertools.permutations(runs, 2)), sd)}; noise {sd:.2%}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=["seeds", "curves", "kill", "steps", "compiled", "gpu"])
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--budget")
    parser.add_argument("--dataset", type=Path)
    chosen = parser.parse_args()
    begun = time.monotonic()
    if chosen.part == "seeds":
        seeds(chosen.runs, chosen.budget or "10s")
    elif chosen.part == "curves":
        record(chosen.budget or "5s")
    elif chosen.part == "steps":
        steps()
    elif chosen.part == "compiled":
        compiled()
    elif chosen.part == "gpu":
        gpu(chosen.dataset, chosen.budget)
    else:
        kill()
    print(f"{time.monotonic() - begun:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
