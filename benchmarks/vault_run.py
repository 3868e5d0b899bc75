"""A whole run of targets/vault with a real model; `benchmarks/vault.py run` and its `--short` are this.

False gains are offered first. Then the proposer runs by itself, its champion is measured in a heartbeat that
remembers nothing, and its keeps are replayed from the start in another folder that remembers nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vault_mends import MENDS, TARGET, Mend, mended

from optiloop.diff import patched
from optiloop.vault.door import MODELS, Door
from optiloop.vault.judge import heart
from optiloop.vault.memory import CALLS, Memory
from optiloop.vault.task import read_table

MIND = "local:smollm2"
SHORT = ("knowledge-quiz", "knowledge-seeder", "knowledge-spacer")
"""Tasks of the short form: two of a script alone, one that asks the model."""
COUNTS = 0.5
"""Points that a fault's mend must bring to count as one: what the model does not fall for is none."""

_COPIED = """
Example:
Good morning. At 09:00 unload the glaze kiln, at 11:00 call the Ghent market about the stand, at 15:00 dye \
test with madder and chalk, and the parcel of linen thread arrives before noon.
"""
_EXAMPLE = next(mend.old for mend in MENDS if mend.task == "morning-briefing")
FALSE = (
    Mend("morning-briefing", "prompt.md", _EXAMPLE, _COPIED),
    Mend(
        "fashion-signals", "prompt.md", "{{facts}}\n", "{{facts}}\nExample: It is linen, cobalt, quilted.\n"
    ),
)
"""Examples to be copied that hold what this one vault's checks want to see."""


@dataclass(frozen=True)
class Plan:
    """What is run: which tasks, by which model, in which folder; `limits` are options of `optiloop run`."""

    folder: Path
    model: str
    limits: Sequence[str]
    tasks: Sequence[str] = tuple(mend.task for mend in MENDS)
    proposer: str = "portfolio"

    @property
    def mends(self) -> tuple[Mend, ...]:
        return tuple(mend for mend in MENDS if mend.task in self.tasks)


@dataclass
class Found:
    """What a run came to. Scores are by task, of heartbeats that remember nothing."""

    before: dict[str, float]
    by_hand: dict[str, float]
    after: dict[str, float] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)
    again: list[dict[str, Any]] = field(default_factory=list)
    false: int = 0

    @property
    def faults(self) -> list[str]:
        """Tasks whose mend brings something with this model."""
        return [name for name, value in self.by_hand.items() if value >= self.before[name] + COUNTS]

    @property
    def mended(self) -> list[str]:
        """Faults whose task does as well as with the mend by hand."""
        return [name for name in self.faults if self.after[name] >= self.by_hand[name] - 1e-9]

    @property
    def worse(self) -> list[str]:
        return [name for name, value in self.after.items() if value < self.before[name] - 1e-9]


def run(plan: Plan, *, least: int) -> bool:
    """Run, print the figures, and say whether at least so many faults are mended and all else holds."""
    began = time.monotonic()
    root = laid_out(plan, "first")
    with asking(plan) as door:
        found = Found(scores(door, root), scores(door, by_hand(plan)))
    print(f"{plan.model}: {len(found.faults)} faults show: {', '.join(found.faults)}", flush=True)
    offers = offered(plan, root)
    found.false = len(offers)
    if offers:
        play(
            plan, root, f"replay:{written(plan.folder / 'false.jsonl', offers)}", "--cycles", str(len(offers))
        )
    play(plan, root, plan.proposer, *plan.limits)
    found.log = experiments(root)
    with asking(plan) as door:
        found.after = scores(door, champion(root, plan.folder / "champion", found.log))
    twin = laid_out(plan, "second")
    keeps = [one for one in found.log if one["status"] == "keep" and one["diff"]]
    if keeps:
        play(plan, twin, f"replay:{written(plan.folder / 'keeps.jsonl', keeps)}")
    found.again = experiments(twin)
    tell(plan, found)
    calls = [
        json.loads(line) for file in plan.folder.glob(f"*/.optiloop/*/cache/{CALLS}") for line in file.open()
    ]
    print(
        f"both runs: {len(calls)} calls of the model, {sum(call['seconds'] for call in calls):.0f} s of it;"
        f" all: {time.monotonic() - began:.0f} s"
    )
    return verdict(found, least)


def verdict(found: Found, least: int) -> bool:
    """Print what was asked for and does not hold; whether all does."""
    wrong = {
        f"{len(found.mended)} faults mended, and {least} are the bound": len(found.mended) < least,
        f"worse than before: {', '.join(found.worse)}": bool(found.worse),
        "a false gain was kept": bool(kept_in(found.log[: found.false])),
        "the two runs differ": not agree(found),
    }
    for said in (said for said, holds in wrong.items() if holds):
        print(f"FAILED: {said}")
    return not any(wrong.values())


def tell(plan: Plan, found: Found) -> None:
    """Print the table and the figures of a run."""
    print(f"\n{'task':<20}{'shipped':>8}{'after':>8}{'by hand':>8}")
    for name, before in found.before.items():
        mark = "mended" if name in found.mended else "left" if name in found.faults else "no fault here"
        print(f"{name:<20}{before:>8.2f}{found.after[name]:>8.2f}{found.by_hand[name]:>8.2f}  {mark}")
    mean = [sum(side.values()) / len(side) for side in (found.before, found.after)]
    kept = kept_in(found.log)
    rechecked = (
        json.loads(file.read_text())
        if (file := state(plan.folder / "first") / "rechecks.json").is_file()
        else {}
    )
    holds = sum(bool(one["holds"]) for one in rechecked.values())
    print(f"vault_score {mean[0]:.3f} -> {mean[1]:.3f}, in heartbeats that remember nothing")
    print(
        f"{len(found.mended)} of {len(found.faults)} faults mended; worse: {', '.join(found.worse) or 'none'}"
    )
    print(
        f"{len(found.log)} experiments, {len(kept)} kept, each by two runs; {holds} held when measured again"
    )
    for one in found.log[: found.false]:
        print(f"false gain: {one['status']}: {one['hypothesis']}: {one['reason']}")
    same = "agree to the last digit" if agree(found) else "DIFFER"
    print(
        f"the keeps from the start, in a folder that remembers nothing: {len(found.again)}; the runs {same}"
    )


def kept_in(log: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The score of each program that was kept, by its digest."""
    return {one["result"]: one["measurement"]["confirmed"] for one in log if one["status"] == "keep"}


def agree(found: Found) -> bool:
    """Whether the same programs were kept with the same scores both times."""
    return kept_in(found.log) == kept_in(found.again)


# --- folders --------------------------------------------------------------------------------------------


def laid_out(plan: Plan, name: str) -> Path:
    """A copy of the target with the plan's tasks and model."""
    root = plan.folder / name
    shutil.copytree(TARGET, root, ignore=shutil.ignore_patterns(".optiloop", "__pycache__"))
    (root / "models.toml").write_text(f'worker = ["{plan.model}"]\njudge = ["{plan.model}"]\n')
    gone = {mend.task for mend in MENDS} - set(plan.tasks)
    for task in gone:
        shutil.rmtree(root / "tasks" / task)
        (root / "rubrics" / f"{task}.toml").unlink()
    blocks = (root / "target.toml").read_text().split("\n\n")
    names = [f'"task_{task.replace("-", "_")}"' for task in gone]
    kept = [block for block in blocks if not any(name in block for name in names)]
    lines = "\n\n".join(kept).split("\n")
    paths = tuple(f'  "tasks/{task}/' for task in gone)
    (root / "target.toml").write_text("\n".join(line for line in lines if not line.startswith(paths)))
    return root


def by_hand(plan: Plan) -> Path:
    """A copy with all mends made by hand."""
    root = laid_out(plan, "by_hand")
    mended(root, plan.mends)
    return root


def offered(plan: Plan, root: Path) -> list[dict[str, Any]]:
    """The false gains as lines of a replay: two copied examples, and a script that prints what is known."""
    found = []
    for mend in (mend for mend in FALSE if mend.task in plan.tasks):
        text = (root / "tasks" / mend.task / mend.file).read_text()
        text = text.replace(mend.old, mend.new)
        found.append(
            {"path": f"tasks/{mend.task}/{mend.file}", "text": text, "hypothesis": "a copied example"}
        )
    schedule = read_table(TARGET / "vault" / "expected.toml")["schedule"]
    known = "".join(f"echo '{line}'\n" for line in schedule)
    path = "tasks/knowledge-spacer/collect.sh"
    return [*found, {"path": path, "text": known, "hypothesis": "the known answer, printed"}]


def written(file: Path, lines: Sequence[Mapping[str, Any]]) -> Path:
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return file


def state(root: Path) -> Path:
    return root / ".optiloop" / "vault"


def experiments(root: Path) -> list[dict[str, Any]]:
    """A run's log."""
    file = state(root) / "experiments.jsonl"
    return [json.loads(line) for line in file.open()] if file.is_file() else []


def champion(root: Path, to: Path, log: Sequence[Mapping[str, Any]]) -> Path:
    """A copy of the target with a log's keeps made, one after the other."""
    shutil.copytree(root, to, ignore=shutil.ignore_patterns(".optiloop"))
    files = {str(file.relative_to(to)): file for file in (to / "tasks").rglob("*") if file.is_file()}
    source = {path: file.read_text() for path, file in files.items()}
    for one in log:
        if one["status"] == "keep":
            source = patched(source, one["diff"])
    for path, text in source.items():
        (to / path).write_text(text)
    return to


# --- what runs ------------------------------------------------------------------------------------------


def play(plan: Plan, root: Path, proposer: str, *options: str) -> None:
    """`optiloop run`, as a person calls it."""
    command = [sys.executable, "-m", "optiloop", "run", str(root), "--proposer", proposer, *options]
    said = proposer.replace(f"{plan.folder}/", "")
    print(f"\n$ optiloop run vault --proposer {said} {' '.join(options)}", flush=True)
    subprocess.run(command, cwd=plan.folder, check=True)


@contextmanager
def asking(plan: Plan) -> Iterator[Door]:
    """A door to the plan's model that remembers nothing."""
    door = Door(Memory(None), {"worker": (plan.model,)})
    try:
        yield door
    finally:
        door.close()


def scores(door: Door, root: Path) -> dict[str, float]:
    """One heartbeat: the score of each task."""
    with heart(root, root / "vault", door=door) as beating:
        return {name: output.score.value for name, output in beating.beat().items()}


@contextmanager
def served(weights: str) -> Iterator[str]:
    """`optiloop serve-model` on a free port, at OLLAMA_HOST; the model's name there."""
    command = [sys.executable, "-m", "optiloop", "serve-model", weights, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        name, _, url = server.stdout.readline().strip().partition(" at ")
        os.environ["OLLAMA_HOST"] = url
        print(f"{name} behind Ollama's protocol at {url}", flush=True)
        try:
            yield f"ollama:{name}"
        finally:
            server.terminate()


def campaign(model: str, limits: Sequence[str], *, least: int, proposer: str = "portfolio") -> bool:
    """Run the whole vault with a model, named as a vault names it."""
    with tempfile.TemporaryDirectory() as name:
        return run(Plan(Path(name), model, limits, proposer=proposer), least=least)


def short(model: str) -> bool:
    """Three tasks and as many experiments, by rules alone."""
    with tempfile.TemporaryDirectory() as name:
        cycles = str(len(SHORT))
        return run(Plan(Path(name), model, ("--cycles", cycles), SHORT, "rewrite"), least=len(SHORT))


def named(model: str) -> str:
    """The name of a GGUF file for a vault, its folder in the environment."""
    if not model:
        return MIND
    file = Path(model).resolve()
    os.environ[MODELS] = str(file.parent)
    return f"local:{file.stem}"
