"""Promise 2, no idea twice and a context that stays flat, in figures.

    python benchmarks/memory.py                        all of it: about half an hour
    python benchmarks/memory.py worlds structure       some of it
    python benchmarks/memory.py --short                the short form that CI runs
    python benchmarks/memory.py imported --log results.tsv    what somebody's log holds

    structure        how often fingerprints know an idea again, and that they never merge two
    worlds           wasted evaluations and tokens for each way to remember, in two simulated worlds
    scale            what appending, guarding, asking and rebuilding cost with 1,000 to 100,000 experiments
    recall           how often an idea is found by another author's words, with the extra `embed` and without
    contradictions   how well contradictions are found where the truth was planted
    imported         champion, keep rates and repeats of somebody else's log

Exits with 1 where a target figure is missed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from remembering import imported, recall
from remembering.contradictions import contradictions
from remembering.scale import figures as scale_figures
from remembering.scale import table
from remembering.structure import structure
from remembering.worlds import MEMORIES, OURS, Memory, Recognised, Worlds, measured


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    options.add_argument("--short", action="store_true")
    options.add_argument("--log", type=Path, help="for `imported`; a made-up one without it")
    chosen = options.parse_args()
    if unknown := set(chosen.parts) - PARTS.keys():
        options.error(f"no part is called {min(unknown)!r}; there are {', '.join(PARTS)}")
    missed = [part for part in chosen.parts or PARTS if not _shown(part, chosen.short, chosen.log)]
    if missed:
        print(f"missed: {', '.join(missed)}")
    return 1 if missed else 0


def _shown(part: str, short: bool, log: Path | None) -> bool:
    print(f"--- {part}", flush=True)
    return PARTS[part](short, log)


def _structure(short: bool, _: Path | None) -> bool:
    found = structure(short)
    print(*found.lines(), sep="\n")
    return found.ok


def _worlds(short: bool, _: Path | None) -> bool:
    found = structure(short)
    same = found.authors.same / found.authors.pairs
    if not short:
        _world(Recognised(same, found.authors.likeness), "as between authors", short, (OURS,))
    return _world(Recognised(found.recall, found.likeness), "as the labelled patches", short, MEMORIES)


def _world(known: Recognised, said: str, short: bool, memories: Sequence[Memory]) -> bool:
    print(f"repeats {said}: {known.program:.0%} are one program, {known.likeness:.0%} of the others alike")
    result: Worlds | None = None
    for line in measured(known, short=short, memories=memories):
        if isinstance(line, Worlds):
            result = line
        else:
            print(line, flush=True)
    return result is not None and result.ok


def _scale(short: bool, _: Path | None) -> bool:
    found = scale_figures((1000,) if short else (1000, 10_000, 100_000))
    print(table(found))
    return all(one.ok for one in found)


def _recall(short: bool, _: Path | None) -> bool:
    for line in recall.lines(() if short else recall.SIZES):
        print(line, flush=True)
    return True


def _contradictions(short: bool, _: Path | None) -> bool:
    found = contradictions(short)
    print(*found.lines(), sep="\n")
    return found.ok


def _imported(short: bool, log: Path | None) -> bool:
    print(*imported.figures(log, short), sep="\n")
    return True


PARTS: Mapping[str, Callable[[bool, Path | None], bool]] = {
    "structure": _structure,
    "worlds": _worlds,
    "scale": _scale,
    "recall": _recall,
    "contradictions": _contradictions,
    "imported": _imported,
}

if __name__ == "__main__":
    sys.exit(main())
