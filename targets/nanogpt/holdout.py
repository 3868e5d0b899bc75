"""The hold-out: text that no measurement uses must be predicted as well as the validation text is.

    python holdout.py                     the check before a keep
    python holdout.py --score             the number of judge.py on the held-out text: the closing claim
    python holdout.py --claim OLD NEW     bits per byte of the held-out text by any two files

Train once more, with a seed of this file's own, and compare the bits per byte of both parts with what a plain
table of word pairs needs for them: what knows the validation text does far better there than here.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from judge import HERE, RUN, Bench, bench, evaluate, fail, measure, options, train
from prepare import Data, Tokens

SHARE = 0.5
"""Of the budget, for the check."""
SEEDS = (20_260_704, 20_260_705)
ALLOWED = 1.04
"""How many times harder than for the table the held-out text may be; 0.99 to 1.01 for honest models."""


def pairs_bpb(data: Data, train_tokens: Tokens, tokens: Tokens) -> float:
    """Bits per byte of a text by the counts of neighbouring tokens in another, each plus a little."""
    counts = np.full((data.vocabulary, data.vocabulary), 0.1)
    np.add.at(counts, (train_tokens[:-1], train_tokens[1:]), 1.0)
    chances = counts / counts.sum(axis=1, keepdims=True)
    nats = -np.log(chances[tokens[:-1], tokens[1:]])[tokens[1:] != data.separator].sum()
    return float(nats / (np.log(2) * data.sizes[tokens[1:]].sum()))


def bits(found: Bench, candidate: Path, parts: Sequence[str], *, seed: int) -> list[float]:
    """Bits per byte of these parts by a model that is trained now."""
    profile = found.profile
    known = found.data.part("train", profile.train_tokens)
    compile_s = profile.compile_s if found.budget.kind == "wall" else 0.0
    trained = train(found.crew, candidate, found.data, known, found.budget, seed=seed, compile_s=compile_s)
    texts = [found.data.part(part, profile.judged_tokens) for part in parts]
    return evaluate(found.crew, candidate, found.data, trained.weights, texts)


def check(found: Bench) -> None:
    """Say how much harder the held-out text is. Raises SystemExit where it is much."""
    data, profile = found.data, found.profile
    half = replace(found, budget=replace(found.budget, amount=SHARE * found.budget.amount))
    seen_bpb, held_bpb = bits(half, HERE / "train.py", ("validation", "holdout"), seed=SEEDS[0])
    known = data.part("train", min(profile.train_tokens, TABLE_TOKENS))
    seen, held = (data.part(part, profile.judged_tokens) for part in ("validation", "holdout"))
    harder = held_bpb / seen_bpb / (pairs_bpb(data, known, held) / pairs_bpb(data, known, seen))
    print(f"validation {seen_bpb:.4f}, held out {held_bpb:.4f} bits a byte; against word pairs {harder:.3f}")
    if harder > ALLOWED:
        fail(f"held-out text is {harder:.3f} times harder; {ALLOWED} is allowed")


TABLE_TOKENS = 4_000_000


def claim(found: Bench, old: Path, new: Path) -> None:
    """Train both files with the same seeds and print what the held-out text takes of bits per byte."""
    sides: dict[str, list[float]] = {}
    for name, file in (("old", old), ("new", new)):
        sides[name] = [bits(found, file.resolve(), ["holdout"], seed=seed)[0] for seed in SEEDS]
        print(f"{name} {file}: " + ", ".join(f"{value:.4f}" for value in sides[name]), flush=True)
    gains = [before / after for before, after in zip(sides["old"], sides["new"], strict=True)]
    print(f"held out: {np.mean(sides['old']):.4f} -> {np.mean(sides['new']):.4f} bits a byte, ", end="")
    print(f"{min(gains):.4f} to {max(gains):.4f} times better with the same seed")


def main() -> None:
    parser = options()
    parser.add_argument("--score", action="store_true")
    parser.add_argument("--claim", nargs=2, type=Path, metavar=("OLD", "NEW"))
    chosen = parser.parse_args()
    count = 2 * len(SEEDS) * RUN if chosen.claim else RUN
    with bench(count, chosen) as found:
        if chosen.claim:
            claim(found, *chosen.claim)
        elif chosen.score:
            measure(found, HERE / "train.py", seed=int(os.environ.get("OPTILOOP_SEED", "0")), part="holdout")
        else:
            check(found)


if __name__ == "__main__":
    main()
