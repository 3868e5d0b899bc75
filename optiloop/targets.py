"""Find and load a target: a folder with target.toml or target.py, an installed name, a built-in. Effect.

A key that is not known is an error that names it and the nearest right one: an option that is silently
ignored is worse than none.
"""

from __future__ import annotations

import difflib
import importlib.util
import math
import re
import shutil
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from optiloop.errors import TargetError, UsageError
from optiloop.model import (
    Budget,
    Command,
    Direction,
    Gate,
    Guard,
    Metric,
    Noise,
    Policy,
    Seconds,
    Target,
)
from optiloop.parsers import find_parser

T = TypeVar("T")

GROUP = "optiloop.targets"
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|min|h)?\s*")
_UNITS = {"ms": 0.001, "s": 1.0, None: 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DEFAULT_TIMEOUT = Seconds(60.0)
_PARSER_OPTIONS = ("pattern", "path", "stat", "benchmark", "file")


def find_target(name: str, *, here: Path) -> Target:
    """Load what a user typed: a folder, an installed target's name, or a built-in's.

    A built-in that does not lie in `here` yet is copied there first, so that it is the user's to edit.
    Raises UsageError where nothing has that name, TargetError where its definition is broken.
    """
    folder = here / name
    if folder.is_dir():
        return load_target(folder)
    if folder.exists():
        raise UsageError(f"{name} is a file; name the folder that holds target.toml")
    for entry in entry_points(group=GROUP, name=name):
        return _installed(entry.name, entry.load)
    builtin = builtins_folder() / name
    if _NAME.fullmatch(name) and (builtin / "target.toml").is_file():
        lay_out(builtin, folder)
        return load_target(folder)
    known = sorted({*builtin_names(), *(entry.name for entry in entry_points(group=GROUP))})
    raise UsageError(
        f"no folder and no target named {name!r}{nearest(name, known)}; `optiloop list` shows all"
    )


def load_target(folder: Path | str) -> Target:
    """Load a target's folder. Raises TargetError that names file and key."""
    root = Path(folder).resolve()
    if (root / "target.toml").is_file():
        return _checked(_from_toml(root / "target.toml"), root / "target.toml")
    if (root / "target.py").is_file():
        return _checked(_from_python(root / "target.py"), root / "target.py")
    raise TargetError(f"{folder}: no target.toml or target.py there; `optiloop new NAME` writes one")


def builtins_folder() -> Path:
    """Where the built-in targets lie: beside the package in a checkout, inside it in a wheel."""
    return shipped("targets")


def shipped(name: str) -> Path:
    """A folder that ships with optiloop."""
    package = Path(__file__).resolve().parent
    inside = package / "_shipped" / name
    return inside if inside.is_dir() else package.parent / name


def builtin_names() -> list[str]:
    """The built-in targets, by name."""
    return sorted(path.parent.name for path in builtins_folder().glob("*/target.toml"))


def lay_out(builtin: Path, folder: Path) -> None:
    """Copy a built-in target into a folder of the user's. Half a copy is never left behind."""
    half = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(half, ignore_errors=True)
        shutil.copytree(builtin, half, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        half.rename(folder)
    except OSError as error:
        shutil.rmtree(half, ignore_errors=True)
        raise UsageError(f"{folder}: cannot lay the target out there: {error.strerror}") from None


def nearest(word: str, known: Sequence[str]) -> str:
    """'; did you mean ...?' where something near is known, else nothing."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


# --- target.toml -----------------------------------------------------------------------------------------


class _Table:
    """One table of target.toml: takes typed values, and knows which keys nobody took."""

    def __init__(self, file: Path, where: str, values: Mapping[str, Any]) -> None:
        self.file, self.where = file, where
        self._values = values
        self._taken: list[str] = []

    def take(self, key: str, kind: type[T]) -> T | None:
        """The value of a key, or None where it is not there."""
        self._taken.append(key)
        value = self._values.get(key)
        if value is None:
            return None
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise self.error(f"{key} must be {_KINDS[kind]}, not {value!r}")
        return value

    def need(self, key: str, kind: type[T]) -> T:
        value = self.take(key, kind)
        if value is None:
            raise self.error(f"{key} is missing")
        return value

    def table(self, key: str) -> _Table | None:
        values = self.take(key, dict)
        return None if values is None else _Table(self.file, key, values)

    def tables(self, key: str) -> list[_Table]:
        found = self.take(key, list) or []
        if not all(isinstance(item, dict) for item in found):
            raise self.error(f"{key} must be written as [[{key}]] tables")
        return [_Table(self.file, key, item) for item in found]

    def texts(self, key: str) -> tuple[str, ...]:
        found = self.take(key, list) or []
        if not all(isinstance(item, str) for item in found):
            raise self.error(f"{key} must be a list of strings")
        return tuple(found)

    def seconds(self, key: str) -> Seconds | None:
        """A duration: "60s", "2m", "1.5h", or a bare number of seconds."""
        self._taken.append(key)
        value = self._values.get(key)
        if value is None:
            return None
        try:
            return duration(str(value))
        except ValueError as error:
            raise self.error(f"{key}: {error}") from None

    def command(self, key: str = "command") -> Command:
        """The table's command, with its timeout and environment."""
        timeout = self.seconds("timeout") or _DEFAULT_TIMEOUT
        env = self.take("env", dict) or {}
        if not all(isinstance(value, str) for value in env.values()):
            raise self.error("env must hold strings")
        self._taken.append(key)
        line = self._values.get(key)
        if isinstance(line, list) and line and all(isinstance(word, str) for word in line):
            return Command(tuple(line), timeout, env)
        if isinstance(line, str) and line.strip():
            return Command(line, timeout, env)
        raise self.error(f"{key} is missing" if line is None else f"{key} must be a command, not {line!r}")

    def choice(self, key: str, kind: type[T], default: T) -> T:
        word = self.take(key, str)
        if word is None:
            return default
        try:
            return kind(word)  # type: ignore[call-arg]
        except ValueError:
            words = [str(item) for item in kind]  # type: ignore[attr-defined]
            hint = nearest(word, words)
            raise self.error(f"{key} must be one of {', '.join(words)}, not {word!r}{hint}") from None

    def done(self) -> None:
        """Complain about the first key that nobody took."""
        for key in self._values:
            if key not in self._taken:
                raise self.error(f"unknown key {key!r}{nearest(key, self._taken)}")

    def error(self, said: str) -> TargetError:
        place = f"[{self.where}] " if self.where else ""
        return TargetError(f"{self.file}: {place}{said}")


_KINDS = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    dict: "a table",
    list: "a list",
    bool: "true or false",
}


def duration(text: str) -> Seconds:
    """Read "60s", "2m", "1.5h", "500ms" or "60" (seconds). Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None or not float(match[1]) * _UNITS[match[2]] > 0:
        raise ValueError(f"not a duration: {text!r}; write it like 60s, 2m or 1.5h")
    return Seconds(float(match[1]) * _UNITS[match[2]])


def _from_toml(file: Path) -> Target:
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise TargetError(f"{file}: not TOML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise TargetError(f"{file}: cannot read it: {error}") from None
    top = _Table(file, "", values)
    target = Target(
        name=top.take("name", str) or file.parent.name,
        root=file.parent,
        goal=top.take("goal", str) or "",
        editable=top.texts("editable"),
        context=top.texts("context"),
        files_per_change=top.take("files_per_change", int) or 1,
        gates=tuple(_gate(table, number) for number, table in enumerate(top.tables("gate"), 1)),
        metric=_metric(top),
        guards=tuple(_guard(table) for table in top.tables("guard")),
        holdout=_lone_command(top.table("holdout")),
        diagnose=_lone_command(top.table("diagnose")),
        policy=_policy(top.table("policy")),
        budget=_budget(top.table("budget")),
    )
    top.done()
    return target


def _gate(table: _Table, number: int) -> Gate:
    gate = Gate(table.take("name", str) or f"gate {number}", table.command())
    table.done()
    return gate


def _metric(top: _Table) -> Metric:
    table = top.table("metric")
    if table is None:
        raise top.error("[metric] is missing: name, command and direction of the number to improve")
    options = {key: value for key in _PARSER_OPTIONS if (value := table.take(key, str)) is not None}
    metric = Metric(
        name=table.need("name", str),
        unit=table.take("unit", str) or "",
        direction=table.choice("direction", Direction, Direction.MINIMIZE),
        command=table.command(),
        parser=table.take("parser", str) or "metric-line",
        options=options,
        noise=table.choice("noise", Noise, Noise.TIMING),
        min_effect=_share(table, "min_effect", 0.005),
    )
    table.done()
    return metric


def _share(table: _Table, key: str, default: float) -> float:
    value = table.take(key, float)
    if value is None:
        return default
    if not (math.isfinite(value) and value >= 0):
        raise table.error(f"{key} must be zero or more, not {value}")
    return value


def _guard(table: _Table) -> Guard:
    guard = Guard(table.need("metric", str), table.take("max_ratio", float), table.take("min_ratio", float))
    if guard.max_ratio is None and guard.min_ratio is None:
        raise table.error("max_ratio or min_ratio is missing")
    table.done()
    return guard


def _lone_command(table: _Table | None) -> Command | None:
    if table is None:
        return None
    command = table.command()
    table.done()
    return command


def _policy(table: _Table | None) -> Policy:
    if table is None:
        return Policy()
    standard = Policy()
    policy = Policy(
        alpha=table.take("alpha", float) or standard.alpha,
        kappa=table.take("kappa", float) or standard.kappa,
        max_pairs=table.take("max_pairs", int) or standard.max_pairs,
    )
    if not 0 < policy.alpha < 0.5:
        raise table.error(f"alpha must lie between 0 and 0.5, not {policy.alpha}")
    if policy.kappa < 0 or policy.max_pairs < 1:
        raise table.error("kappa and max_pairs must be positive")
    table.done()
    return policy


def _budget(table: _Table | None) -> Budget:
    if table is None:
        return Budget()
    budget = Budget(cycle=table.seconds("cycle"), run=table.seconds("run"))
    table.done()
    return budget


# --- target.py and entry points --------------------------------------------------------------------------


def _from_python(file: Path) -> Target:
    spec = importlib.util.spec_from_file_location(f"optiloop_target_{file.parent.name}", file)
    if spec is None or spec.loader is None:
        raise TargetError(f"{file}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a user's module may raise anything; it must end in one line that names it
        raise TargetError(f"{file}: {type(error).__name__}: {error}") from error
    finally:
        sys.dont_write_bytecode = before
    target = getattr(module, "TARGET", None)
    if not isinstance(target, Target):
        raise TargetError(f"{file}: defines no TARGET = Target(...)")
    return target


def _installed(name: str, load: Callable[[], Any]) -> Target:
    try:
        found = load()
        target = found() if callable(found) else found
    except Exception as error:  # a plug-in may raise anything; it must end in one line that names it
        raise TargetError(f"target plug-in {name!r}: {type(error).__name__}: {error}") from error
    if isinstance(target, Target):
        return _checked(target, Path(f"target plug-in {name!r}"))
    return load_target(Path(target))


def _checked(target: Target, file: Path) -> Target:
    """What both forms must fulfil."""
    if not _NAME.fullmatch(target.name) or target.name.endswith((".", ".lock")) or ".." in target.name:
        raise TargetError(f"{file}: name {target.name!r} must be letters, digits, '.', '_' or '-'")
    if not target.editable:
        raise TargetError(f'{file}: editable is missing: the files a candidate may change, like ["main.py"]')
    for key, paths in (("editable", target.editable), ("context", target.context)):
        for path in paths:
            _inside(target.root, path, key, file)
    find_parser(target.metric.parser)
    return target


def _inside(root: Path, path: str, key: str, file: Path) -> None:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not (root / path).resolve().is_relative_to(root.resolve()):
        raise TargetError(f"{file}: {key} file {path!r} lies outside the target's folder")
    if not (root / path).is_file():
        raise TargetError(f"{file}: {key} file {path!r} is not there")
    if key == "editable" and pure.name in ("target.toml", "target.py"):
        raise TargetError(f"{file}: {path!r} is the judge; it cannot be editable")
