"""`optiloop new`, `list` and `doctor`: write a target from a template, say what there is. Effect."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from optiloop.bench import HAS_CPU_CLOCK
from optiloop.bench.instructions import offered
from optiloop.errors import UsageError
from optiloop.index.memory import embeds
from optiloop.proposers.known_agents import installed as installed_agents
from optiloop.sandbox.probe import LEVELS, choose, found
from optiloop.targets import builtin_names, nearest, shipped

VAULT = "vault"
"""The template that is made from a folder."""


def templates() -> list[str]:
    """The names of the target templates."""
    return sorted(path.name for path in shipped("templates").iterdir() if (path / "target.toml.j2").is_file())


def descriptions() -> dict[str, str]:
    """Each template with the first sentence of its target.toml."""
    said = {}
    for name in templates():
        first = (shipped("templates") / name / "target.toml.j2").read_text(encoding="utf-8").split("\n")[0]
        said[name] = first.removeprefix("# ").partition(". Run")[0]
    return said


def write_target(folder: Path, template: str, source: Path | None = None) -> list[str]:
    """Write a target into a new folder. Returns what to do next, in lines.

    `source` is the folder of prompts and scripts that the template `vault` is made from. Raises UsageError
    where the name is bad, the folder is there, the template is not known, or the source is none.
    """
    name = folder.name
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise UsageError(f"{name!r}: a target's name is letters, digits, '_' or '-'")
    if template not in templates():
        raise UsageError(
            f"no template {template!r}; there are {', '.join(templates())}{nearest(template, templates())}"
        )
    if folder.exists():
        raise UsageError(f"{folder} is there already; choose another name")
    if (template == VAULT) != (source is not None):
        raise UsageError(
            f"the template {VAULT!r}, and no other, is made from a folder: optiloop new {name} "
            f"--template {VAULT} --from FOLDER"
        )
    files, values = ({}, {}) if source is None else _adopted(source)
    half = folder.with_name(f".{name}.part")
    try:
        shutil.rmtree(half, ignore_errors=True)
        written = _render(shipped("templates") / template, half, name, values)
        written += _write(half, files)
        half.rename(folder)
    except OSError as error:
        raise UsageError(f"{folder}: cannot write it: {error.strerror}") from None
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return [
        *(f"wrote {folder / file}" for file in written),
        f"next: optiloop check {folder}    then: optiloop run {folder}",
    ]


def _adopted(source: Path) -> tuple[Mapping[str, str], dict[str, Any]]:
    """The files of a vault made from a folder, and what its templates are filled with."""
    from optiloop.vault.adopt import adopt

    found = adopt(source, datetime.now(UTC).date().isoformat())
    models = json.dumps([*found.models, "local:smollm2"])
    values = {"editable": found.editable, "tasks": found.tasks, "guesses": found.guesses, "models": models}
    return found.files, values


def _write(folder: Path, files: Mapping[str, str]) -> list[str]:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    tasks = {PurePosixPath(path).parts[1] for path in files if path.startswith("tasks/")}
    return [f"tasks/{task}" for task in sorted(tasks)]


def _render(template: Path, folder: Path, name: str, values: Mapping[str, Any]) -> list[str]:
    environment = Environment(
        loader=FileSystemLoader(template),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # TOML and Python, not HTML; the name is checked above
    )
    folder.mkdir(parents=True)
    written = []
    for source in sorted(template.glob("*.j2")):
        text = environment.get_template(source.name).render(
            name=name, identifier=name.replace("-", "_"), **values
        )
        (folder / source.stem).write_text(text, encoding="utf-8")
        written.append(source.stem)
    return written


def catalogue() -> dict[str, list[str]]:
    """What can be named: targets, proposers, parsers, templates."""
    installed = {
        kind: sorted({entry.name for entry in entry_points(group=f"optiloop.{kind}")})
        for kind in ("targets", "proposers", "parsers")
    }
    return {
        **installed,
        "targets": sorted({*builtin_names(), *installed["targets"]}),
        "templates": templates(),
        "agents": installed_agents(),
    }


def diagnosis() -> dict[str, str]:
    """What this machine offers, each as one line."""
    return {
        "python": f"{platform.python_version()} ({sys.executable})",
        "git": _first_line("git", "--version")
        or "not found: install git, optiloop keeps its champions in it",
        "cores": str(os.cpu_count()),
        "sandbox": f"{choose()} is the strongest level here",
        **{f"  {level}": found(level).as_text() for level in LEVELS},
        "cpu clock": _CLOCKS[HAS_CPU_CLOCK],
        "worker": _confinement(),
        "instructions": offered(),
        "disk": f"{shutil.disk_usage(Path.cwd()).free / 2**30:.1f} GiB free here",
        **{f"{kind}": ", ".join(names) or "none" for kind, names in catalogue().items()},
        "models": _models(),
        "embeddings": f"{'installed' if embeds() else 'not installed'}: `ask TEXT` ranks by words"
        f"{' and by meaning' if embeds() else '; `pip install optiloop[embed]` adds meaning'}",
    }


def _first_line(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().split("\n")[0]


def _models() -> str:
    """What can propose beside the embedded proposers, which need none."""
    keys = [name for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY") if os.environ.get(name)]
    found = [
        *(["ollama"] if shutil.which("ollama") or os.environ.get("OLLAMA_HOST") else []),
        *(["local (llama.cpp engine)"] if find_spec("xllamacpp") else []),
        *keys,
    ]
    return f"none needed; here: {', '.join(found)}" if found else "none needed, none found (docs/models.md)"


def _confinement() -> str:
    """What a worker of optiloop.bench confines itself by here: tried in a process of its own."""
    if sys.platform != "linux":
        return _UNCONFINED
    done = _first_line(sys.executable, "-c", _CONFINED)
    barriers = ("files and network (Landlock)", "starting others (seccomp)")
    held = [what for what, holds in zip(barriers, done.split(), strict=False) if holds == "True"]
    return f"a candidate of optiloop.bench is kept from {' and '.join(held)}" if held else _UNCONFINED


_UNCONFINED = "confines itself on Linux 5.13 and later; here that is the sandbox's task alone"
_CONFINED = """
import importlib, os
worker = importlib.import_module("optiloop.bench.worker")
worker.confine([])
worker.stay_alone()
def refused(do):
    try:
        do()
    except OSError:
        return True
    return False
print(refused(lambda: os.listdir("/")), refused(lambda: os.fork() or os._exit(0)))
"""

_CLOCKS = {
    True: "CPU time of a worker is read from outside",
    False: "none on this system: optiloop.bench falls back to wall-clock time, which needs many more runs",
}
