"""What the rules are worth on code that nobody wrote for them: the 94 functions in benchmarks/naive.

    python benchmarks/naive.py              all of them; some minutes
    python benchmarks/naive.py --short      every twenty-fourth: what CI runs
    python benchmarks/naive.py mode ranks   these only

A lean loop, one function at a time: the proposer `rewrite`, duets by `optiloop.bench` and the engine's own
rule for timings, without git, log and sandbox. The gate is what a careful beginner has: recorded answers of
the original. Whatever passes it is also checked by an answer that shares no code with the original, on
fresh inputs; a difference there is a wrong rewrite that passed its gate, and the program exits with 1.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from naive_cases import CASES, Known

from optiloop import bench
from optiloop.decide import decide, gains, startling
from optiloop.memory.history import History
from optiloop.model import Command, Measurement, Metric, Pair, Sample, Status, Target
from optiloop.proposers.rewrite import Rewrite
from optiloop.stats import robust_scale
from optiloop.testing import brief_of, experiment_of

EXAMPLES = 25
"""Recorded answers that make the gate, beside one of a workload."""
CHECKS = 200
"""Small inputs on which the independent answer is compared, beside two workloads."""
NULLS = 5
CLAIM_RUNS = 3
METRIC = Metric("combined_us", Command("true"), min_effect=0.01, duet=True)
TARGET = Target("naive", Path("nowhere"), ("program.py",), METRIC)


@dataclass
class Outcome:
    """What became of one function."""

    name: str
    ratio: float = 1.0
    kept: list[str] = field(default_factory=list)
    passed: int = 0
    proposed: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("functions", nargs="*", metavar="FUNCTION")
    options.add_argument("--short", action="store_true")
    chosen = options.parse_args()
    sources = dict(programs(Path(__file__).with_name("naive")))
    names = chosen.functions or list(CASES)[:: 24 if chosen.short else 1]
    outcomes = []
    for name in names:
        outcomes.append(improved(name, sources[name], CASES[name]))
        found = outcomes[-1]
        print(f"{name:<28}{found.ratio:>9.2f}x  {', '.join(found.kept) or '-'}", flush=True)
    print(summary(outcomes))
    return 1 if any(outcome.wrong for outcome in outcomes) else 0


def summary(outcomes: Iterable[Outcome]) -> str:
    """The figures of the whole set, zeros included."""
    found = list(outcomes)
    ratios = [outcome.ratio for outcome in found]
    improved_by = [ratio for ratio in ratios if ratio >= 1.1]
    wrong = [f"{outcome.name}: {what}" for outcome in found for what in outcome.wrong]
    counts = (sum(o.proposed for o in found), sum(o.passed for o in found), sum(len(o.kept) for o in found))
    seconds = [outcome.seconds for outcome in found]
    rows = (
        (">= 10 % faster", _share(ratios, 1.1)),
        (">= 2x", _share(ratios, 2.0)),
        (">= 10x", _share(ratios, 10.0)),
        ("median ratio", f"{median(ratios):.2f}, of the improved {median(improved_by or [1.0]):.2f}"),
        ("proposals", "{}, {} passed their gate, {} kept".format(*counts)),
        ("CPU seconds", f"{median(seconds):.1f} a function (median), {sum(seconds):.0f} in all"),
        ("wrong rewrites", f"{len(wrong)} that passed their gate"),
    )
    lines = [f"{name:<16}{said}" for name, said in rows] + wrong
    return "\n".join(lines)


def _share(ratios: list[float], least: float) -> str:
    count = sum(ratio >= least for ratio in ratios)
    return f"{count} of {len(ratios)} ({count / len(ratios):.0%})"


def programs(folder: Path) -> Iterator[tuple[str, str]]:
    """Each function's own program: itself, the functions it calls, and the imports of its file."""
    for file in sorted(folder.glob("*.py")):
        text = file.read_text(encoding="utf-8")
        tree = ast.parse(text)
        imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        for name in functions:
            needed = _needed(name, functions)
            parts = [*imports, *(node for other, node in functions.items() if other in needed)]
            yield name, "\n\n\n".join(ast.get_source_segment(text, part) or "" for part in parts) + "\n"


def _needed(name: str, functions: dict[str, ast.FunctionDef]) -> set[str]:
    needed, waiting = set[str](), [name]
    while waiting:
        one = waiting.pop()
        needed.add(one)
        names = {node.id for node in ast.walk(functions[one]) if isinstance(node, ast.Name)}
        waiting += (names & functions.keys()) - needed
    return needed


def improved(name: str, text: str, known: Known) -> Outcome:
    """Let the proposer work on one function until it has nothing left."""
    started, outcome = _cpu_seconds(), Outcome(name)
    with tempfile.TemporaryDirectory() as scratch:
        original, champion, candidate = (
            Path(scratch) / f"{file}.py" for file in ("original", "champion", "new")
        )
        for file in (original, champion):
            file.write_text(text, encoding="utf-8")
        case = bench.Case(name, known.workload, known.right)
        gate = list(_recorded(original, name, known))
        nulls = [_pair(case, champion, original, seed) for seed in range(NULLS)]
        scale = robust_scale(gains(nulls, METRIC))
        history, source = History(METRIC), {"program.py": text}
        profile = {f"{name}_us": nulls[0].champion.values[METRIC.name]}
        while proposal := Rewrite().propose(
            brief_of(source, history=history, metric=METRIC, profile=profile)
        ):
            outcome.proposed += 1
            candidate.write_text(proposal.edits["program.py"], encoding="utf-8")
            status, effect = Status.GATE_FAILED, None
            if _answers(candidate, name, gate):
                outcome.passed += 1
                if _answers(candidate, name, _checks(known, seed=outcome.proposed)):
                    status, effect = _decided(case, champion, candidate, scale)
                else:
                    outcome.wrong.append(proposal.hypothesis)
            number = outcome.proposed
            history.add(
                experiment_of(
                    proposal, source, number=number, status=status, metric=METRIC.name, effect=effect
                )
            )
            if status is Status.KEEP:
                outcome.kept.append(proposal.family)
                source = {**source, **proposal.edits}
                champion.write_text(source["program.py"], encoding="utf-8")
        if outcome.kept:
            claim = [_pair(case, original, champion, seed) for seed in range(1000, 1000 + CLAIM_RUNS)]
            outcome.ratio = median(
                pair.champion.values[METRIC.name] / pair.candidate.values[METRIC.name] for pair in claim
            )
    outcome.seconds = _cpu_seconds() - started
    return outcome


def _cpu_seconds() -> float:
    """Of this process and of the workers that have ended: what an idle machine would take, about."""
    return sum(os.times()[:4])


Example = tuple[list[object], object]


def _recorded(original: Path, name: str, known: Known) -> Iterator[Example]:
    """The gate: what the original returns for some small inputs, and for one of a workload."""
    rng = random.Random(name)
    scope: dict[str, object] = {}
    exec(compile(original.read_text(encoding="utf-8"), name, "exec"), scope)
    function = scope[name]
    assert callable(function)
    for draw in (*[known.small] * EXAMPLES, known.workload):
        arguments = draw(rng)
        yield arguments, function(*json.loads(json.dumps(arguments)))


def _checks(known: Known, *, seed: int) -> Iterator[Example]:
    """Fresh inputs, with the independent answers to them."""
    rng = random.Random(seed)
    for draw in (*[known.small] * CHECKS, known.workload, known.workload):
        arguments = draw(rng)
        yield arguments, known.right(*json.loads(json.dumps(arguments)))


def _answers(program: Path, name: str, examples: Iterable[Example]) -> bool:
    try:
        with bench.worker(program, timeout=30.0) as running:
            for arguments, right in examples:
                running.expect(name, arguments, lambda *_, right=right: right)
    except bench.BenchError:
        return False
    return True


def _decided(case: bench.Case, champion: Path, candidate: Path, scale: float) -> tuple[Status, float | None]:
    measurement = Measurement((), scale=scale)
    verdict = None
    while verdict is None:
        pairs, audit = measurement.pairs, measurement.audit
        try:
            if startling(measurement, TARGET):  # a jump is looked at again, on other inputs
                audit = (*audit, _pair(case, champion, candidate, 500 + len(audit)))
            else:
                pairs = (*pairs, _pair(case, champion, candidate, len(pairs)))
        except bench.BenchError:
            return Status.CRASH, None
        measurement = replace(measurement, pairs=pairs, audit=audit)
        verdict = decide(measurement, TARGET)
    return verdict.status, verdict.effect


def _pair(case: bench.Case, champion: Path, candidate: Path, seed: int) -> Pair:
    """One duet: both programs in turn, on the same fresh arguments."""
    found = bench.measure(candidate, [case], seed=seed, rival=champion)
    old, new = (Sample({METRIC.name: found[f"{side}{METRIC.name}"]}, 0.0, 0.0) for side in (bench.RIVALS, ""))
    return Pair(old, new, candidate_first=False, seed=seed)


if __name__ == "__main__":
    sys.exit(main())
