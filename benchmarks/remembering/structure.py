"""Structural fingerprints on labelled patches and on edits of whole modules: what they find, what they merge.

    python benchmarks/remembering/structure.py            the figures of the README
    python benchmarks/remembering/structure.py --short    a slice, for CI

A wrong merge hides an idea for good, so one is enough for exit code 1. The seconds are CPU, of one thread.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from optiloop.memory.fingerprint import result_fingerprint
from optiloop.memory.python_form import statements
from remembering.edits import CHANGING, KEEPING, Edit
from remembering.ideas import Idea, ideas, mislabelled

ROOT = Path(__file__).parents[2]
LIBRARY = ("bisect", "colorsys", "fnmatch", "graphlib", "heapq", "shlex", "textwrap")
SEEDS = 8


@dataclass(frozen=True)
class Structure:
    """What fingerprints made of pairs: patches of one idea, of different ones, and edits of modules.

    `missed` and `merged` are names of pairs; `mislabelled` says whose answers are not what the set says.
    """

    ideas: int
    equal: int
    missed: tuple[str, ...]
    different: int
    merged: tuple[str, ...]
    mislabelled: tuple[str, ...]
    kept: Counter[str]
    lost: Counter[str]
    changed: Counter[str]
    edits_merged: tuple[str, ...]
    ms_per_100_lines: float

    @property
    def ok(self) -> bool:
        """Whether nothing different was merged, and the labels are right."""
        return not (self.merged or self.edits_merged or self.mislabelled)

    def lines(self) -> Iterator[str]:
        found = self.equal - len(self.missed)
        yield f"labelled: {self.ideas} ideas, {self.equal} equal pairs, {self.different} different ones"
        yield f"  recognised {found}/{self.equal} = {found / self.equal:.2f}"
        yield f"  wrong merges {len(self.merged)}/{self.different}"
        kept, lost, changed = self.kept.total(), self.lost.total(), self.changed.total()
        yield f"edits that keep a module: recognised {kept - lost}/{kept} = {(kept - lost) / kept:.3f}"
        for name, number in self.kept.items():
            yield f"  {name}: {number - self.lost[name]}/{number}"
        yield f"edits that change a module: merged {len(self.edits_merged)}/{changed}"
        for name, number in self.changed.items():
            yield f"  {name}: {number}"
        yield f"{self.ms_per_100_lines:.1f} ms of CPU per 100 lines of Python"
        for what in (*self.merged, *self.edits_merged):
            yield f"WRONG MERGE: {what}"
        for what in self.mislabelled:
            yield f"WRONG LABEL: {what}"


@lru_cache
def structure(short: bool = False) -> Structure:
    labelled = ideas()[:: 3 if short else 1]
    texts = dict(list(_modules())[:: 5 if short else 1])
    kept, lost = _kept(texts, 2 if short else SEEDS)
    changed, merged = _changed(texts, 2 if short else SEEDS)
    return Structure(
        ideas=len(labelled),
        equal=sum(len(idea.equal_pairs) for idea in labelled),
        missed=tuple(idea.name for idea in labelled for pair in idea.equal_pairs if not _equal(*pair)),
        different=sum(1 for _ in _different(labelled)),
        merged=tuple(what for what, one, other in _different(labelled) if _equal(one, other)),
        mislabelled=tuple(what for idea in labelled for what in mislabelled(idea)),
        kept=kept,
        lost=lost,
        changed=changed,
        edits_merged=merged,
        ms_per_100_lines=_pace(texts),
    )


def figures(short: bool) -> Iterator[str]:
    """The figures as lines to print."""
    yield from structure(short).lines()


def _equal(one: str, other: str) -> bool:
    return result_fingerprint({"a.py": one}) == result_fingerprint({"a.py": other})


def _different(labelled: list[Idea]) -> Iterator[tuple[str, str, str]]:
    """Pairs within an idea, and the first patches of every two ideas that change one program."""
    for idea in labelled:
        yield from ((idea.name, *pair) for pair in idea.different_pairs)
    for place, idea in enumerate(labelled):
        for other in labelled[:place]:
            yield f"{idea.name} and {other.name}", idea.same[0], other.same[0]


def _modules() -> Iterator[tuple[str, str]]:
    files = [
        ROOT / "targets/text_processor/text_processor.py",
        *sorted((ROOT / "benchmarks/naive").glob("*.py")),
    ]
    for name in LIBRARY:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            files.append(Path(spec.origin))
    for file in files:
        yield file.name, file.read_text(encoding="utf-8")


def _edited(texts: dict[str, str], edits: dict[str, Edit], seeds: int) -> Iterator[tuple[str, str, str, str]]:
    """The edit, the module, its text and the edited text; each edited text once."""
    for path, text in texts.items():
        for name, edit in edits.items():
            seen = {text}
            for seed in range(seeds):
                edited = edit(text, random.Random(f"{path} {name} {seed}"))
                if edited is not None and edited not in seen:
                    seen.add(edited)
                    yield name, path, text, edited


def _kept(texts: dict[str, str], seeds: int) -> tuple[Counter[str], Counter[str]]:
    all_of_them, lost = Counter[str](), Counter[str]()
    for name, _, text, edited in _edited(texts, KEEPING, min(seeds, 3)):
        all_of_them[name] += 1
        lost[name] += not _equal(text, edited)
    return all_of_them, lost


def _changed(texts: dict[str, str], seeds: int) -> tuple[Counter[str], tuple[str, ...]]:
    all_of_them: Counter[str] = Counter()
    merged: list[str] = []
    for name, path, text, edited in _edited(texts, CHANGING, seeds):
        all_of_them[name] += 1
        if _equal(text, edited):
            merged.append(f"{path}: {name}, number {all_of_them[name]}")
    return all_of_them, tuple(merged)


def _pace(texts: dict[str, str]) -> float:
    """CPU milliseconds per 100 lines: of each module the median of three, nothing remembered."""
    cost = 0.0
    for text in texts.values():
        times = []
        for _ in range(3):
            statements.cache_clear()
            begun = time.process_time()
            result_fingerprint({"a.py": text})
            times.append(time.process_time() - begun)
        cost += statistics.median(times)
    return 1e5 * cost / sum(text.count("\n") for text in texts.values())


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="a slice, for CI")
    found = structure(parser.parse_args().short)
    print("\n".join(found.lines()))
    return 0 if found.ok else 1


if __name__ == "__main__":
    sys.exit(main())
