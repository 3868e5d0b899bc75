"""A vault tuned with a real model, and what its judges are worth on labelled pairs.

    python benchmarks/vault.py run                     with the model that a package ships
    python benchmarks/vault.py run MODEL.gguf          with another
    python benchmarks/vault.py run [MODEL.gguf] --ollama --cycles 3     behind Ollama's protocol
    python benchmarks/vault.py --short                 three tasks and three experiments, for CI
    python benchmarks/vault.py judge [MODEL...]        the labelled pairs; `--quick` asks no model

`run` exits with 1 where fewer faults are mended than its bound, a task is worse, a false gain was kept, or a
second run from the start gives other scores. Of `judge`: each pair holds a good and a bad output for one
input, labelled by hand (targets/vault/labelled.jsonl). The checks are those that each kind's request names; a
model is asked as the vault asks it. Answers are remembered in a cache folder.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import vault_run

from optiloop.errors import OptiloopError
from optiloop.vault.checks import Said, check
from optiloop.vault.door import Door
from optiloop.vault.memory import Memory
from optiloop.vault.opinion import (
    Calibration,
    Lean,
    Pair,
    calibrated,
    leans_of,
    margins_of,
    mixed,
    read_pairs,
)
from optiloop.vault.task import Check

LABELLED = Path(__file__).parents[1] / "targets" / "vault" / "labelled.jsonl"

CHECKS: Mapping[str, tuple[tuple[str, dict[str, object]], ...]] = {
    "blog-drafter": (
        ("clean", {}),
        ("fresh", {"most": 0.3}),
        ("whole", {}),
        ("names", {"words": ["queue.py", "retry.py"]}),
    ),
    "blog-writer": (
        ("clean", {}),
        ("fresh", {"most": 0.3}),
        ("whole", {}),
        ("names", {"words": ["Lesson:"]}),
        ("words", {"least": 20}),
    ),
    "morning-briefing": (("clean", {}), ("fresh", {"most": 0.3}), ("items", {"least": 3, "most": 3})),
    "session-reflection": (
        ("clean", {}),
        ("fresh", {"most": 0.3}),
        ("whole", {}),
        ("words", {"least": 15, "most": 60}),
    ),
    "research-radar": (
        ("clean", {}),
        ("fresh", {"most": 0.3}),
        ("items", {"least": 3, "most": 3}),
        ("names", {"words": ["Okafor", "Brandt", "Iyer"]}),
    ),
    "knowledge-spacer": (("lines", {"expected": ["2026-10-30 locks.md", "2026-11-02 cache.md"]}),),
    "knowledge-quiz": (
        ("clean", {}),
        ("fresh", {"most": 0.3}),
        ("names", {"words": ["Q:", "A:"]}),
        ("words", {"least": 20}),
    ),
    "fashion-signals": (
        ("clean", {}),
        ("fresh", {"most": 0.3}),
        ("items", {"least": 3, "most": 3}),
        ("names", {"words": ["linen", "trousers", "loafers"]}),
    ),
    "knowledge-seeder": (
        ("clean", {}),
        ("fresh", {"most": 0.3}),
        ("whole", {}),
        ("front_matter", {"keys": ["title", "tags"]}),
    ),
    "lesson-distiller": (
        ("clean", {}),
        ("fresh", {"most": 0.3}),
        ("whole", {}),
        ("names", {"words": ["When"]}),
        ("words", {"most": 30}),
    ),
    "output-judge": (
        ("clean", {}),
        ("fresh", {"most": 0.3}),
        ("verdict", {"words": ["pass", "fail"]}),
        ("words", {"least": 4}),
    ),
}
"""What a rubric would ask of each kind: its form, and the names that its input holds; nothing else."""


def met(pair: Pair, text: str) -> float:
    """The share of the kind's checks that a text meets."""
    said = Said(text, facts=pair.input, asked=pair.request)
    found = [check(said, Check(kind, given, 5.0, 1.0)).met for kind, given in CHECKS[pair.kind]]
    return sum(found) / len(found)


def by_checks(pair: Pair) -> int:
    """1 where the checks prefer the good output, -1 the bad one, 0 neither."""
    difference = met(pair, pair.good) - met(pair, pair.bad)
    return (difference > 0) - (difference < 0)


def row(name: str, verdicts: Sequence[int]) -> str:
    """One line of the table: what was decided, what was right, what was left open."""
    right, wrong = verdicts.count(1), verdicts.count(-1)
    share = f"{right / (right + wrong):.0%}" if right + wrong else "none"
    return (
        f"{name:<28}{right:>4} right {wrong:>3} wrong {verdicts.count(0):>3} open   accuracy {share:>5}"
        f"   abstention {verdicts.count(0) / len(verdicts):.0%}"
    )


def by_model(found: Sequence[Lean]) -> list[int]:
    """The verdicts of a model, each half decided with margins that the other half has set."""
    verdicts = [0] * len(found)
    for half in (0, 1):
        margins = margins_of(found[1 - half :: 2])
        verdicts[half::2] = [margins.verdict(lean) for lean in found[half::2]]
    return verdicts


def judge(models: Sequence[str], cache: Path) -> None:
    """Print accuracy and abstention of the checks alone, each model alone, and both."""
    pairs = mixed(read_pairs(LABELLED))
    checks = [by_checks(pair) for pair in pairs]
    print(f"{len(pairs)} pairs of {len({pair.kind for pair in pairs})} kinds")
    print(row("checks alone", checks))
    missed = Counter(pair.wrong for pair, verdict in zip(pairs, checks, strict=True) if verdict < 1)
    print(f"  the checks leave open: {', '.join(missed)}")
    for model in models:
        door = Door(Memory(cache))
        started = time.monotonic()
        try:
            found = leans_of(door, model, pairs)
            calls = door.calls
        except OptiloopError as error:
            print(f"{model}: not asked: {error}")
            continue
        finally:
            door.close()
        worth = calibrated(model, found)
        tell(worth, found, checks[: len(found)])
        print(f"  {calls} calls, {time.monotonic() - started:.0f} s")


def tell(worth: Calibration, found: Sequence[Lean], checks: Sequence[int]) -> None:
    """Print what a model is worth alone and behind the checks."""
    alone = by_model(found)
    name = worth.model.rpartition("/")[2]
    print(worth.as_text())
    ranked = sum((lean.odds or 0) > 0 for lean in found)
    print(f"  without a margin its odds rank {ranked} of {len(found)} right")
    print(row(f"{name[:27]}", alone))
    print(row("checks, then the model", [one or other for one, other in zip(checks, alone, strict=True)]))


def missing() -> str:
    """Why the model that a package ships cannot be asked; empty where it can."""
    try:
        Door(Memory(None)).resolve(vault_run.MIND)
    except OptiloopError as error:
        return str(error)
    return ""


def main() -> int:
    """Parse and run."""
    form = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("what", choices=("judge", "run"), nargs="?", default="run")
    parser.add_argument("models", nargs="*", help="run: a GGUF file; judge: as the vault names them")
    parser.add_argument("--short", action="store_true", help="run: what CI runs")
    parser.add_argument("--ollama", action="store_true", help="run: serve the model by Ollama's protocol")
    parser.add_argument("--time", default="7m", help="run: at most so long")
    parser.add_argument("--cycles", help="run: so many experiments instead")
    parser.add_argument(
        "--least", type=int, help="run: faults to mend; 6, 9 with a GGUF file, 1 with --cycles"
    )
    parser.add_argument("--proposer", default="portfolio", help="run: who proposes")
    parser.add_argument("--cache", type=Path, default=Path(".optiloop-judge-cache"))
    parser.add_argument("--quick", action="store_true", help="judge: ask no model")
    given = parser.parse_args()
    if given.what == "judge":
        judge([] if given.quick else given.models, given.cache)
        return 0
    if not given.models and (reason := missing()):
        print(f"skipped: {reason}")
        return 0
    file = given.models[0] if given.models else ""
    with vault_run.served(file or "smollm2") if given.ollama else nullcontext(vault_run.named(file)) as model:
        if given.short:
            return not vault_run.short(model)
        limits = ("--cycles", given.cycles) if given.cycles else ("--time", given.time)
        bound = 1 if given.cycles else 9 if file else 6
        least = bound if given.least is None else given.least
        return not vault_run.campaign(model, limits, least=least, proposer=given.proposer)


if __name__ == "__main__":
    sys.exit(main())
