"""Promise 1, true, on this very machine: what the loop does with candidates whose worth is known.

    python benchmarks/honest.py                          the whole of it: about 20 minutes
    python benchmarks/honest.py --runs 1 --nulls 2 --hidden 2 --base benchmarks/by_hand.py     the form of CI

The target is the built-in text_processor, its slowest functions mended first, so that a sample takes a third
of a second. Two questions:

    A/A     candidates that change nothing that is run: renamed locals, comments, functions in another order.
            Each also defines a name that nobody uses, for without that the log would know it for the champion
            and never pay for it. How many are kept, and how many still when the run has looked again?
    hidden  one improvement of 5 % among such no-ops, and regressions of 5 %: is the one found, are the others
            never kept, and what does a candidate cost? The 5 % are a counted loop, calibrated first.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, median

from optiloop.bench import RIVALS
from optiloop.ledger import Ledger
from optiloop.memory.fingerprint import result_fingerprint
from optiloop.model import DEMOTION, TAKES_BACK, Experiment, Status
from optiloop.parsers import BUILTINS
from optiloop.stats import median_interval
from optiloop.targets import builtins_folder, lay_out, load_target

OPTILOOP = (sys.executable, "-m", "optiloop")
FILE = "text_processor.py"
EFFECT = 0.05
REGRESSIONS = 5
CALIBRATION_PAIRS = 20
PROBE = 300_000
"""Loops of the burden by which the cost of one is found: about half of the program's time."""


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--runs", type=int, default=5, help="A/A campaigns")
    options.add_argument("--nulls", type=int, default=50, help="no-ops in each")
    options.add_argument("--hidden", type=int, default=40, help="no-ops around the improvement")
    options.add_argument("--base", type=Path, help="the program that the candidates are made from")
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    rng = random.Random(chosen.seed)
    with tempfile.TemporaryDirectory() as scratch:
        base = chosen.base.read_text("utf-8") if chosen.base else _mended(Path(scratch) / "mended")
        found = [_nulls(Path(scratch), base, run, chosen.nulls) for run in range(chosen.runs)]
        kept, standing = (sum(counts) for counts in zip((0, 0), *found, strict=True))
        print(f"A/A: {kept} of {chosen.runs * chosen.nulls} no-ops kept, {standing} when the runs had ended")
        right = _hidden(Path(scratch), base, chosen.hidden, rng)
    full = (chosen.runs, chosen.nulls, chosen.hidden, chosen.base) == (5, 50, 40, None)
    return 0 if standing <= 1 and (right or not full) else 1


# --- the two questions -----------------------------------------------------------------------------------


def _nulls(scratch: Path, base: str, run: int, count: int) -> tuple[int, int]:
    """One A/A campaign; returns how many no-ops it kept, and how many its rechecks left."""
    texts = [_no_op(base, number, unused=True) for number in range(count)]
    known = sum(
        result_fingerprint({FILE: _no_op(base, n, unused=False)}) == result_fingerprint({FILE: base})
        for n in range(count)
    )
    log = _campaign(scratch / f"nulls{run}", base, texts)
    found = _judged(log)
    kept = [experiment for experiment in found if experiment.status is Status.KEEP]
    taken_back = {tag for experiment in log for tag in experiment.tags if tag.startswith(TAKES_BACK)}
    standing = sum(f"{TAKES_BACK}{keep.id}" not in taken_back for keep in kept)
    print(
        f"A/A run {run + 1}: {count} no-ops, {len(kept)} kept, {standing} at the end, {_runs(found):.1f} "
        f"runs a candidate, noise of a pair {_noise(found):.2%}; without the unused name {known} of {count} "
        "would have been known unrun",
        flush=True,
    )
    return len(kept), standing


def _hidden(scratch: Path, base: str, count: int, rng: random.Random) -> bool:
    """One improvement among no-ops and regressions: whether it, and nothing else, was kept."""
    loops = _calibrated(scratch / "calibration", base)
    champion = _burdened(base, loops)
    candidates = [("no-op", _no_op(champion, number, unused=True)) for number in range(count)]
    worse = [("worse", _burdened(base, 2 * loops + number)) for number in range(min(REGRESSIONS, count))]
    candidates += worse
    rng.shuffle(candidates)
    candidates.insert(rng.randrange(len(candidates) // 2), ("better", base))
    found = _judged(_campaign(scratch / "hidden", champion, [text for _, text in candidates]))
    kinds = {
        kind: [e for (k, _), e in zip(candidates, found, strict=True) if k == kind] for kind, _ in candidates
    }
    for kind, experiments in sorted(kinds.items()):
        kept = sum(experiment.status is Status.KEEP for experiment in experiments)
        print(
            f"hidden: {kind:<7} {kept} of {len(experiments)} kept, {_runs(experiments):.1f} runs a candidate"
        )
    print(f"hidden: all {_runs(found):.1f} runs a candidate")
    right = [experiment.status is Status.KEEP for experiment in kinds["better"]]
    wrong = [e for kind in ("worse", "no-op") for e in kinds.get(kind, []) if e.status is Status.KEEP]
    return all(right) and not wrong


def _campaign(folder: Path, base: str, texts: Sequence[str]) -> list[Experiment]:
    """Have the loop judge these texts, in this order; returns its log."""
    lay_out(builtins_folder() / "text_processor", folder)
    (folder / FILE).write_text(base, encoding="utf-8")
    lines = (
        json.dumps({"path": FILE, "text": text, "hypothesis": f"candidate {n}"})
        for n, text in enumerate(texts)
    )
    candidates = folder.with_suffix(".jsonl")
    candidates.write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = (*OPTILOOP, "run", str(folder), "--proposer", f"replay:{candidates}", "--time", "4h")
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    log = folder / ".optiloop" / "text_processor" / "experiments.jsonl"
    return list(Ledger(log).new())


def _judged(log: Sequence[Experiment]) -> list[Experiment]:
    """The candidates' own lines."""
    return [experiment for experiment in log if DEMOTION not in experiment.tags]


def _runs(experiments: Sequence[Experiment]) -> float:
    """Runs of the benchmark per candidate."""
    return fmean(2 * len(e.measurement.pairs) if e.measurement else 0 for e in experiments)


def _noise(experiments: Sequence[Experiment]) -> float:
    scales = [e.measurement.scale for e in experiments if e.measurement and e.measurement.scale]
    return median(scales) if scales else 0.0


# --- programs of known worth -----------------------------------------------------------------------------


def _mended(folder: Path) -> str:
    """The shipped program after eight cycles of the embedded proposers."""
    lay_out(builtins_folder() / "text_processor", folder)
    for words in (("run", str(folder), "--cycles", "8"), ("apply", str(folder))):
        subprocess.run((*OPTILOOP, *words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return (folder / FILE).read_text(encoding="utf-8")


def _no_op(text: str, number: int, *, unused: bool) -> str:
    """The same program otherwise written: one of three ways, and a name that nobody uses."""
    way = number % 3
    if way == 0:
        changed = re.sub(r"\b(result|ends)\b", rf"\1_{number}", text)
    elif way == 1:
        changed = text.replace("\n\ndef ", f"\n\n# Remark {number}.\ndef ", 1 + number % 5)
    else:
        changed = _reordered(text, number)
    return changed + (f"\n\n_UNUSED_{number} = {number}\n" if unused else "")


def _reordered(text: str, number: int) -> str:
    """The functions in another order, what stands before the first of them left in front."""
    lines = text.splitlines(keepends=True)
    starts = [_first_line(node) for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    parts = ["".join(lines[a:b]) for a, b in zip(starts, [*starts[1:], len(lines)], strict=True)]
    turn = 1 + number % (len(parts) - 1)
    parts = [part.rstrip("\n") + "\n\n\n" for part in (*parts[turn:], *parts[:turn])]
    return "".join(lines[: starts[0]]) + "".join(parts).rstrip("\n") + "\n"


def _first_line(node: ast.FunctionDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1


def _burdened(text: str, loops: int) -> str:
    """The program with work that nobody needs in `line_starts`."""
    burden = f"    for _ in range({loops}):\n        pass\n"
    burdened, found = re.subn(r"^def line_starts\(text.*:\n", rf"\g<0>{burden}", text, flags=re.M)
    if found != 1:
        raise SystemExit("the program has no line_starts(text): mend benchmarks/honest.py")
    return burdened


def _calibrated(folder: Path, base: str) -> int:
    """How many loops make the program 5 % slower, and what a fresh measurement says of that many."""
    lay_out(builtins_folder() / "text_processor", folder)
    # A burden that shows clearly; what it costs is proportional to its loops.
    ratio = median(_ratios(folder, base, _burdened(base, PROBE), CALIBRATION_PAIRS))
    probe = round(PROBE * EFFECT / (ratio - 1))
    ratios = _ratios(folder, base, _burdened(base, probe), CALIBRATION_PAIRS)
    ends = median_interval(ratios)
    print(
        f"hidden: the known improvement is {median(ratios) - 1:.1%} (95 % interval {ends.low - 1:.1%} to "
        f"{ends.high - 1:.1%}, {CALIBRATION_PAIRS} pairs)",
        flush=True,
    )
    return probe


def _ratios(folder: Path, fast: str, slow: str, pairs: int) -> list[float]:
    return [b / a for a, b in _times(folder, fast, slow, pairs)]


def _times(folder: Path, fast: str, slow: str, pairs: int) -> Iterator[tuple[float, float]]:
    """Both programs in duets."""
    name = load_target(folder).metric.name
    rival = folder / "rival"
    rival.mkdir(exist_ok=True)
    (folder / FILE).write_text(fast, encoding="utf-8")
    (rival / FILE).write_text(slow, encoding="utf-8")
    for number in range(pairs):
        done = subprocess.run(
            (sys.executable, "benchmark.py"),
            cwd=folder,
            env={
                "OPTILOOP_SEED": str(number),
                "OPTILOOP_RIVAL": str(rival),
                "PYTHONHASHSEED": "0",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            capture_output=True,
            text=True,
            check=True,
        )
        found = BUILTINS["metric-line"](done.stdout, options={"name": name, "unit": ""})
        yield found[name], found[f"{RIVALS}{name}"]


if __name__ == "__main__":
    sys.exit(main())
