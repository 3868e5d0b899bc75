"""A foreign log, imported and looked at: champion, keeps by quarter, and the ideas that were tried again.

    python benchmarks/remembering/imported.py                 a made-up log of 126 rows with planted repeats
    python benchmarks/remembering/imported.py results.tsv     somebody's

A results.tsv has no diffs: an experiment tries an earlier one's idea again where its description sets the
same knobs of the same owner, in the same part, to the same values, or is the same where it names no value.
What stands in brackets is about the result, and not read.
"""

from __future__ import annotations

import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from optiloop.imports import import_log
from optiloop.memory.facts import Knob, of_text
from optiloop.model import Experiment, Status

ROWS, KEEPS, REPEATS = 126, 23, 18
KNOBS = ("MATRIX_LR", "EMBEDDING_LR", "WEIGHT_DECAY", "WARMDOWN_RATIO", "Adam beta2", "Muon beta2", "softcap")


class Repeat(NamedTuple):
    """Two experiments by their numbers, counted from 1, and what both set."""

    later: int
    earlier: int
    setting: str


def figures(path: Path | None, short: bool) -> Iterator[str]:
    """Import a log (None: a made-up one), and say what it holds. `short` lists only the first repeats."""
    with tempfile.TemporaryDirectory() as folder:
        source, planted = path, None
        if source is None:
            source = Path(folder) / "results.tsv"
            text, planted = made_up(7)
            source.write_text(text)
        found = import_log(source, Path(folder) / "out.jsonl")
    yield from found.as_text().replace(str(source), source.name).splitlines()
    experiments = found.experiments
    yield f"keep rate by quarter: {', '.join(f'{share:.0%}' for share in keep_rates(experiments))}"
    again = repeats(experiments)
    yield f"{len(again)} of {len(experiments)} try an earlier one's idea again"
    for one in again[: 5 if short else None]:
        said = f"#{one.later} ({experiments[one.later - 1].status})"
        yield f"  {said} as #{one.earlier} ({experiments[one.earlier - 1].status}): {one.setting}"
    if planted is not None:
        there = {(one.later, one.earlier) for one in again}
        yield f"planted {len(planted)}: {len(planted & there)} found, {len(there - planted)} others"


def keep_rates(experiments: Sequence[Experiment]) -> list[float]:
    """The share of keeps in each quarter of the log, the baseline among them."""
    edges = [len(experiments) * quarter // 4 for quarter in range(5)]
    parts = [experiments[start:end] for start, end in pairwise(edges)]
    return [sum(one.status is Status.KEEP for one in part) / max(1, len(part)) for part in parts]


def repeats(experiments: Sequence[Experiment]) -> list[Repeat]:
    """Each experiment that sets what an earlier one set, with the latest such one."""
    seen: dict[tuple[frozenset[str], frozenset[str]], list[tuple[int, frozenset[str]]]] = {}
    found = []
    for number, experiment in enumerate(experiments, 1):
        text = re.sub(r"\([^)]*\)", "", experiment.hypothesis)
        knobs = of_text(text).knobs
        setting = frozenset(f"{knob.name.lower()}={_value(knob)}" for knob in knobs) or {text.strip().lower()}
        same = seen.setdefault(
            (frozenset(setting), frozenset(re.findall(r"\b(?:for|in|on) (\w+)", text))), []
        )
        owners = frozenset(_owner(text, knob) for knob in knobs) - {""}
        earlier = [n for n, others in same if not (owners and others and owners != others)]
        if earlier:
            found.append(Repeat(number, earlier[-1], ", ".join(sorted(setting))))
        same.append((number, owners))
    return found


def _value(knob: Knob) -> str:
    """What the knob was set to; 0.60 is 0.6."""
    try:
        return f"{float(knob.after or ''):.12g}"
    except ValueError:
        return knob.after or ""


def _owner(text: str, knob: Knob) -> str:
    """The word before a knob's name, which may say whose knob it is: "Adam beta2", "Muon beta2"."""
    before = text[: max(0, text.find(knob.name))].lower().split()
    return before[-1] if before and before[-1].isidentifier() else ""


# --- a made-up log -----------------------------------------------------------------------------------


def made_up(seed: int) -> tuple[str, set[tuple[int, int]]]:
    """A results.tsv with 23 keeps of 126, most of them early, and which rows repeat which others."""
    draw = random.Random(seed)
    keeps = {1, *draw.sample(range(2, 33), 12), *draw.sample(range(33, ROWS + 1), KEEPS - 13)}
    again = set(draw.sample(range(20, ROWS + 1), REPEATS))
    crash = next(row for row in range(40, ROWS) if row not in keeps)
    value, told = 0.9979, Counter[str]()
    settings: list[tuple[int, str, str]] = []
    lines, planted = ["commit\tval_bpb\tmemory_gb\tstatus\tdescription\n"], set()
    for row in range(1, ROWS + 1):
        if row in again:
            _, knob, to = draw.choice(settings)
            planted.add((row, max(n for n, *same in settings if same == [knob, to])))
        else:
            knob = draw.choice(KNOBS)
            told[knob] += 1
            to = f"{0.01 * told[knob]:.3g}"
        settings.append((row, knob, to))
        value -= 0.0012 * (row in keeps and row > 1)
        status = "keep" if row in keeps else "crash" if row == crash else "discard"
        now = value if row in keeps else 0.0 if row == crash else value + draw.uniform(0.0001, 0.01)
        said = "baseline" if row == 1 else f"{knob}={to} ({'better' if row in keeps else 'worse'})"
        lines.append(
            f"{draw.getrandbits(28):07x}\t{now:.6f}\t{44.0 * (row != crash):.1f}\t{status}\t{said}\n"
        )
        if row == 1:
            settings.clear()
    return "".join(lines), planted


if __name__ == "__main__":
    for line in figures(Path(sys.argv[1]) if sys.argv[1:] else None, short=False):
        print(line)
