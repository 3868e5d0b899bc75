"""The tasks of a vault, read from their folders: what a candidate may edit, and what judges it. Reads files.

tasks/NAME/    task.toml (settings), prompt.md, scripts     a candidate's to edit: a fault there is its own
rubrics/NAME.toml    inputs, order, checks, questions       the judge's: a fault there is the target's
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import Any

from optiloop.errors import TargetError

PROMPT, SETTINGS = "prompt.md", "task.toml"
_MOST_POOL = 4


class CandidateError(Exception):
    """A candidate's own file is wrong; the message names it and says how."""


@dataclass(frozen=True)
class Settings:
    """What task.toml says. `pool`: models that take turns, so that each must do; none: a script alone.

    `num_predict` and `num_ctx` are tokens. `collect` and `post` name scripts beside it, or are empty.
    """

    pool: tuple[str, ...] = ()
    num_predict: int = 256
    num_ctx: int = 4096
    temperature: float = 0.0
    think: bool = False
    collect: str = ""
    post: str = ""


@dataclass(frozen=True)
class Check:
    """One check of a rubric: its kind, its arguments, its weight, and the highest score where it fails."""

    kind: str
    arguments: Mapping[str, Any]
    cap: float
    weight: float


@dataclass(frozen=True)
class Rubric:
    """How a task is judged: the vault's files that it reads, the tasks that it reads from, its time."""

    inputs: tuple[str, ...]
    after: tuple[str, ...]
    seconds: float
    checks: tuple[Check, ...]
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """One task. `broken` says what is wrong with its own files; empty where nothing is."""

    name: str
    folder: Path
    rubric: Rubric
    settings: Settings = field(default_factory=Settings)
    prompt: str = ""
    broken: str = ""


def load_tasks(root: Path) -> dict[str, Task]:
    """The tasks of a target's folder, by name. Raises TargetError where a rubric is wrong."""
    rubrics = {file.stem: read_rubric(file) for file in sorted((root / "rubrics").glob("*.toml"))}
    if not rubrics:
        raise TargetError(f"{root / 'rubrics'}: no rubrics there; write one NAME.toml for each task")
    for name, rubric in rubrics.items():
        if unknown := [other for other in rubric.after if other not in rubrics]:
            raise TargetError(f"{root / 'rubrics' / name}.toml: after names {unknown[0]!r}, which is no task")
    return {name: _task(root / "tasks" / name, rubric) for name, rubric in rubrics.items()}


def _task(folder: Path, rubric: Rubric) -> Task:
    try:
        settings = read_settings(folder)
        prompt = _text(folder / PROMPT) if settings.pool else ""
    except CandidateError as error:
        return Task(folder.name, folder, rubric, broken=str(error))
    return Task(folder.name, folder, rubric, settings, prompt)


def read_settings(folder: Path) -> Settings:
    """Read task.toml. Raises CandidateError."""
    try:
        said = tomllib.loads(_text(folder / SETTINGS))
    except tomllib.TOMLDecodeError as error:
        raise CandidateError(f"{SETTINGS}: not TOML: {error}") from None
    known = {known.name: known for known in fields(Settings)}
    if unknown := [key for key in said if key not in known]:
        raise CandidateError(f"{SETTINGS}: unknown key {unknown[0]!r}; there are {', '.join(known)}")
    pool = said.get("pool", [])
    if not isinstance(pool, list) or not all(isinstance(it, str) for it in pool) or len(pool) > _MOST_POOL:
        raise CandidateError(f"{SETTINGS}: pool must be a list of at most {_MOST_POOL} names of models")
    settings = Settings(
        pool=tuple(dict.fromkeys(pool)),
        num_predict=_whole(said, "num_predict", Settings.num_predict, least=1, most=4096),
        num_ctx=_whole(said, "num_ctx", Settings.num_ctx, least=256, most=32768),
        temperature=_temperature(said.get("temperature", 0.0)),
        think=_flag(said.get("think", False)),
        collect=_script(folder, said, "collect"),
        post=_script(folder, said, "post"),
    )
    if not settings.pool and not settings.collect:
        raise CandidateError(f"{SETTINGS}: neither pool nor collect: nothing to do")
    return settings


def _whole(said: Mapping[str, Any], key: str, default: int, *, least: int, most: int) -> int:
    value = said.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise CandidateError(f"{SETTINGS}: {key} must be a whole number from {least} to {most}")
    return value


def _temperature(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 2:
        raise CandidateError(f"{SETTINGS}: temperature must be a number from 0 to 2")
    return float(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise CandidateError(f"{SETTINGS}: think must be true or false")
    return value


def _script(folder: Path, said: Mapping[str, Any], key: str) -> str:
    name = said.get(key, "")
    if not isinstance(name, str):
        raise CandidateError(f"{SETTINGS}: {key} must name a script beside it")
    if name and (PurePosixPath(name).name != name or not (folder / name).is_file()):
        raise CandidateError(f"{SETTINGS}: {key} names {name!r}, and no such script lies beside it")
    return name


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise CandidateError(f"{file.name}: cannot be read as UTF-8 text") from None


# --- rubrics --------------------------------------------------------------------------------------------


def read_rubric(file: Path) -> Rubric:
    """Read a rubric. Raises TargetError that names file and key."""
    said = read_table(file)
    if unknown := set(said) - {"inputs", "after", "seconds", "check", "question"}:
        raise TargetError(f"{file}: unknown key {min(unknown)!r}")
    try:
        return Rubric(
            inputs=tuple(map(str, said.get("inputs", []))),
            after=tuple(map(str, said.get("after", []))),
            seconds=float(said.get("seconds", 60)),
            checks=tuple(_check(table) for table in said.get("check", [])),
            questions=tuple(str(table["ask"]) for table in said.get("question", [])),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TargetError(f"{file}: {error}; see docs/vault.md for what a rubric holds") from None


def _check(table: Mapping[str, Any]) -> Check:
    arguments = {key: value for key, value in table.items() if key not in ("kind", "cap", "weight")}
    cap, weight = float(table.get("cap", 5.0)), float(table.get("weight", 1.0))
    if not (1 <= cap <= 5 and weight > 0):
        raise ValueError("cap must be from 1 to 5, and weight more than 0")
    return Check(str(table["kind"]), arguments, cap, weight)


def read_table(file: Path) -> dict[str, Any]:
    """A TOML file of the judge's. Raises TargetError."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TargetError(f"{file}: cannot read it: {error}") from None
