"""Whether the files of each task can be used at all: the gate of a vault. Runs none of them. Effect."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from optiloop.vault.task import Task

_SLOT = re.compile(r"\{\{([^{}]*)\}\}")
_GIVEN = ("facts", "today")
_SECONDS = 10.0


def malformed(tasks: Mapping[str, Task]) -> list[str]:
    """What is wrong with the tasks' own files, a line each that names task and file; none where all is well.

    Settings are TOML of known keys, scripts that they name are there and are shell or Python, prompts ask
    something, and each {{slot}} of theirs is one that a heartbeat fills.
    """
    found = [f"{name}: {fault}" for name, task in sorted(tasks.items()) for fault in _faults(task)]
    scripts = {file for task in tasks.values() for file in task.folder.glob("*.*") if file.is_file()}
    wrong = ((file, _unreadable(file)) for file in sorted(scripts))
    return found + [f"{file.parent.name}: {file.name}: {said}" for file, said in wrong if said]


def _faults(task: Task) -> list[str]:
    if task.broken:
        return [task.broken]
    if not task.settings.pool:
        return []
    known = {*_GIVEN, *task.rubric.after}
    slots = [slot.strip() for slot in _SLOT.findall(task.prompt)]
    faults = [
        f"prompt.md: nothing fills {{{{{slot}}}}}; there are {', '.join(sorted(known))}"
        for slot in dict.fromkeys(slots)
        if slot not in known
    ]
    return faults if task.prompt.strip() else [*faults, "prompt.md: is empty"]


def _unreadable(script: Path) -> str:
    """Why a script is none; empty where it is one, or is no script."""
    if script.suffix == ".py":
        try:
            compile(script.read_bytes(), script.name, "exec")
        except (SyntaxError, ValueError) as error:
            return f"not Python: {error}"
    if script.suffix == ".sh":
        done = subprocess.run(
            ["/bin/sh", "-n", script.name],
            cwd=script.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
        )
        if done.returncode:
            return f"not shell: {' '.join(done.stderr.split()) or f'sh -n ends with {done.returncode}'}"
    return ""
