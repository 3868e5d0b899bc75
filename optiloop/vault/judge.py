"""The judge of a vault, as a target's protected `judge.py` runs it: a heartbeat, its scores, and why. Effect.

    python judge.py                  METRIC lines: vault_score, min_task, task_NAME of each, calls and seconds
    python judge.py --check          the gate: whether the files of each task can be used at all; asks nobody
    python judge.py --explain        the tasks, the lowest first: what failed, and what they read
    python judge.py --trace NAME     one task from its inputs to who reads it
    python judge.py --calibrate      whether the judge model is heard, by the pairs in labelled.jsonl

The target's folder holds `tasks`, `rubrics`, `vault` and `models.toml`; docs/vault.md says what is in them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from optiloop.errors import OptiloopError, TargetError
from optiloop.vault.door import Door, NoAnswerError
from optiloop.vault.form import malformed
from optiloop.vault.heartbeat import Heart, Output, Vault, upstream
from optiloop.vault.memory import Memory
from optiloop.vault.opinion import ear, learn
from optiloop.vault.score import numbers
from optiloop.vault.task import load_tasks, read_table
from optiloop.vault.trace import shown, traced

SEED = "OPTILOOP_SEED"
MODELS = "models.toml"
LABELLED = "labelled.jsonl"
WORKER, JUDGE = "worker", "judge"
"""Aliases: the first must stand for a model that is there, the second may."""


def main(root: Path, arguments: Sequence[str] | None = None) -> None:
    """Run the judge of the target in a folder; what is broken ends it with one line and exit code 1."""
    parser = argparse.ArgumentParser(description="judge the tasks of a vault")
    parser.add_argument("--check", action="store_true", help="whether each task's files can be used at all")
    parser.add_argument("--explain", action="store_true", help="the tasks, the lowest first")
    parser.add_argument("--trace", metavar="TASK", help="one task from its inputs to who reads it")
    parser.add_argument("--calibrate", action="store_true", help="whether the judge model is heard")
    parser.add_argument("--json", action="store_true", help="of --trace")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.check:
            gate(root)
        elif chosen.trace:
            found = trace(root, chosen.trace, Memory.of_environment())
            print(json.dumps(found, indent=2, ensure_ascii=False) if chosen.json else shown(found))
        elif chosen.calibrate:
            print(calibration(root))
        else:
            measure(root, explains=chosen.explain)
    except OptiloopError as error:
        raise SystemExit(f"error: {error}") from None


def gate(root: Path) -> None:
    """End with exit code 1 and a line for each fault where a task's files cannot be used at all."""
    tasks = load_tasks(root)
    if faults := malformed(tasks):
        raise SystemExit("\n".join(f"error: {fault}" for fault in faults))
    print(f"{len(tasks)} tasks: settings, prompts and scripts can be used")


def measure(root: Path, *, explains: bool) -> None:
    """One heartbeat of the whole vault: print its numbers, or what is wrong with its tasks."""
    with heart(root, root / "vault") as beating:
        outputs = beating.beat()
        door = beating.door
        if explains:
            print(explained(outputs))
            return
        scores = {name: output.score for name, output in outputs.items()}
        counts = {
            "model_calls": door.calls,
            "model_seconds": door.seconds,
            "remembered": door.remembered,
            "unsteady": door.memory.unsteady,
        }
    for name, value in {**numbers(scores), **counts}.items():
        print(f"METRIC {name}={value!r}")


def calibration(root: Path) -> str:
    """Whether the judge model is heard, measured now where that was not done before."""
    opened = open_door(root, Memory.of_environment())
    try:
        return learn(opened, JUDGE, root / LABELLED).as_text()
    except NoAnswerError as error:
        return f"no judge model, the checks judge alone: {error}"
    finally:
        opened.close()


def trace(root: Path, name: str, memory: Memory) -> dict[str, object]:
    """What one task reads, asks, gets and hands on. Raises TargetError where there is no such task."""
    tasks = load_tasks(root)
    if name not in tasks:
        raise TargetError(f"{root}: no task {name!r}; there are {', '.join(sorted(tasks))}")
    door = open_door(root, memory)
    try:
        heard = ear(door, JUDGE, root / LABELLED)
        return traced(tasks, Heart(tasks, Vault.at(root / "vault"), door, heard).beat([name]), name)
    finally:
        door.close()


def hold_out(root: Path, vault: Path, *, slack: float = 1.0) -> None:
    """End with exit code 1 where a task does worse by more than `slack` on a vault that no trial has seen.

    What was fitted to the one vault, as an answer written into a script, does well there and not here.
    """
    try:
        with heart(root, root / "vault") as seen, heart(root, vault, door=seen.door) as unseen:
            known, held = seen.beat(), unseen.beat()
    except OptiloopError as error:
        raise SystemExit(f"error: {error}") from None
    falls = {name: known[name].score.value - held[name].score.value for name in known}
    for name in sorted(falls):
        print(f"{name}: {known[name].score.value:.2f} seen, {held[name].score.value:.2f} held out")
    if worst := [name for name, fall in falls.items() if fall > slack]:
        raise SystemExit(
            f"error: {', '.join(worst)}: worse by more than {slack:g} on a vault not seen before"
        )


@contextmanager
def heart(root: Path, vault: Path, *, door: Door | None = None) -> Iterator[Heart]:
    """What beats in a target's folder. Raises TargetError; NoAnswerError where no worker is to be had."""
    tasks, found = load_tasks(root), Vault.at(vault, int(os.environ.get(SEED) or 0))
    if door is not None:
        yield Heart(tasks, found, door, ear(door, JUDGE, root / LABELLED))
        return
    opened = open_door(root, Memory.of_environment())
    try:
        yield Heart(tasks, found, opened, ear(opened, JUDGE, root / LABELLED))
    finally:
        opened.close()


def open_door(root: Path, memory: Memory) -> Door:
    """The door to the models of a target's folder. Raises NoAnswerError where no worker is to be had."""
    aliases = {name: tuple(map(str, models)) for name, models in read_table(root / MODELS).items()}
    door = Door(memory, aliases)
    door.resolve(WORKER)
    return door


def explained(outputs: dict[str, Output]) -> str:
    """The tasks, the lowest score first: one line each, then what failed and, indented, what it reads."""
    tasks = {name: output.task for name, output in outputs.items()}
    said: list[str] = []
    for output in sorted(outputs.values(), key=lambda output: (output.score.value, output.task.name)):
        name = output.task.name
        chain = sorted(upstream(tasks, [name]) - {name})
        reads = f" reads {', '.join(chain)}" if chain else ""
        said.append(f"task {name} score {output.score.value:.2f}{reads}")
        said += [f"  check {kind}: {words}" for kind, words in output.score.failures]
        for other in chain:
            if failures := outputs[other].score.failures:
                said.append(f"  reads {other} {outputs[other].score.value:.2f}, which fails {failures[0][0]}")
    return "\n".join(said)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
