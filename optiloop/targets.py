"""Find and load a target: a folder with target.toml or target.py, an installed name, a built-in. Effect.

A key that is not known is an error that names it and the nearest right one: an option that is silently
ignored is worse than none.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
import math
import re
import reprlib
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from optiloop.errors import TargetError, UsageError
from optiloop.model import (
    HOLDOUT,
    Budget,
    Command,
    Compare,
    Confinement,
    Direction,
    Gate,
    Guard,
    Holdout,
    Lessons,
    Metric,
    Noise,
    Policy,
    Seconds,
    Target,
)
from optiloop.parsers import MetricError, parse
from optiloop.sandbox.command import shown

T = TypeVar("T")

GROUP = "optiloop.targets"
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d)?\s*")
_UNITS = {"ms": 0.001, "s": 1.0, None: 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kKMGT]?)(i?)B?\s*")
_THOUSANDS = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_JUDGES = frozenset({"target.toml", "target.py", "conftest.py", "sitecustomize.py", "usercustomize.py"})
"""Files that say how a candidate is judged, or are run before it is."""
PROGRAM = "program.md"
"""A file in the target's folder whose text belongs to the goal."""
_DEFAULT_TIMEOUT = Seconds(60.0)
_METRIC_FIELDS = (
    *("name", "unit", "direction", "command", "timeout", "env"),
    *("parser", "noise", "compare", "min_effect", "duet", "file"),
)
_TYPO = 0.75
"""Likeness from which an unknown key of [metric] is a misspelt field and not an option of its parser."""


def find_target(name: str, *, here: Path) -> Target:
    """Load what a user typed: a folder, or an installed target's name.

    Raises UsageError where nothing has that name, TargetError where its definition is broken.
    """
    folder = here / name
    if folder.is_dir():
        return load_target(folder)
    if folder.exists():
        raise UsageError(f"{name} is a file; name the folder that holds target.toml")
    for entry in entry_points(group=GROUP, name=name):
        return _installed(entry)
    if name in builtin_names():
        raise UsageError(f"{name} is built in, but not laid out here yet; `optiloop run {name}` does so")
    known = sorted({*builtin_names(), *(entry.name for entry in entry_points(group=GROUP))})
    hint = nearest(name, known) or "; `optiloop list` shows all"
    raise UsageError(f"no folder and no target named {name!r}{hint}")


def begin_target(name: str, *, here: Path, say: Callable[[str], None]) -> Target:
    """Find a target to work on. A built-in that is not in `here` yet is copied there, the user's to edit.

    `say` is told where it lies. Raises as `find_target` does.
    """
    folder = here / name
    if name in builtin_names() and not folder.exists() and not entry_points(group=GROUP, name=name):
        lay_out(builtins_folder() / name, folder)
        say(f"laid the built-in target {name} out in ./{name}")
    return find_target(name, here=here)


def load_target(folder: Path | str) -> Target:
    """Load a target's folder. Raises TargetError that names file and key."""
    root = Path(folder).resolve()
    if (root / "target.toml").is_file():
        return _checked(_from_toml(root / "target.toml"), root / "target.toml")
    if (root / "target.py").is_file():
        return _checked(_from_python(root / "target.py"), root / "target.py")
    raise TargetError(f"{folder}: no target.toml or target.py there; `optiloop new NAME` writes one")


def forgeable(target: Target) -> str:
    """Name the metric's program that imports the candidate, or is it: then its number can be forged.

    Empty where that is not seen: only Python scripts among the command's words are looked into.
    """
    line = target.metric.command.line
    candidates = {PurePosixPath(path).stem for path in target.editable}
    for word in line.split() if isinstance(line, str) else line:
        script = target.root / word
        if word in target.editable or (word.endswith(".py") and _imports(script) & candidates):
            return word
    return ""


def _imports(script: Path) -> set[str]:
    """The last names of the modules that a script imports; none where it cannot be read."""
    try:
        nodes = list(ast.walk(ast.parse(script.read_bytes())))
    except (OSError, SyntaxError, ValueError):
        return set()
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(alias.name for alias in node.names)}
    return {name.rpartition(".")[2] for name in found}


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
    except shutil.Error as error:  # copytree's own: a list of what it could not copy
        raise UsageError(f"{folder}: cannot lay the target out there: {error.args[0][0][2]}") from None
    except OSError as error:
        raise UsageError(f"{folder}: cannot lay the target out there: {error.strerror}") from None
    finally:
        shutil.rmtree(half, ignore_errors=True)


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
            raise self.error(f"{key} must be {_KINDS[kind]}, not {_shown(value)}")
        return value

    def has(self, key: str) -> bool:
        return key in self._values

    def need(self, key: str, kind: type[T]) -> T:
        value = self.take(key, kind)
        if value is None:
            raise self.missing(key)
        return value

    def table(self, key: str) -> _Table | None:
        values = self.take(key, dict)
        return None if values is None else _Table(self.file, key, values)

    def tables(self, key: str) -> list[_Table]:
        self._taken.append(key)
        found = self._values.get(key, [])
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise self.error(f"{key} must be written as [[{key}]], once for each")
        return [_Table(self.file, key, item) for item in found]

    def strings_left(self) -> dict[str, str]:
        """Take every key that nobody took yet and that holds a string."""
        left = {
            key: value
            for key, value in self._values.items()
            if key not in self._taken and isinstance(value, str)
        }
        self._taken += left
        return left

    def texts(self, key: str) -> tuple[str, ...]:
        self._taken.append(key)
        found = self._values.get(key, [])
        if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
            raise self.error(f'{key} must be a list of strings, like ["main.py"], not {_shown(found)}')
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

    def bytes(self, key: str) -> int | None:
        """A size: "512MB", "4GiB", or a bare number of bytes."""
        self._taken.append(key)
        value = self._values.get(key)
        if value is None:
            return None
        try:
            return size(str(value))
        except ValueError as error:
            raise self.error(f"{key}: {error}") from None

    def command(self, key: str = "command") -> Command:
        """The table's command, with its timeout and environment."""
        timeout = self.seconds("timeout") or _DEFAULT_TIMEOUT
        env = self.take("env", dict) or {}
        if wrong := next((name for name, value in env.items() if not isinstance(value, str)), None):
            raise self.error(f'env must hold strings, like {{ {wrong} = "1" }}')
        self._taken.append(key)
        line = self._values.get(key)
        if isinstance(line, list) and line and all(isinstance(word, str) for word in line):
            return Command(tuple(line), timeout, env)
        if isinstance(line, str) and line.strip():
            return Command(line, timeout, env)
        if line is None:
            raise self.missing(key, ': what to run, like "python benchmark.py"')
        raise self.error(f'{key} must be a command, like "python benchmark.py", not {_shown(line)}')

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
                raise self.unknown(key, self._taken)

    def missing(self, key: str, hint: str = "") -> TargetError:
        """The error of a key that must be there; one that is only misspelt is named as such."""
        left = [other for other in self._values if other not in self._taken]
        if misspelt := difflib.get_close_matches(key, left, n=1, cutoff=_TYPO):
            return self.unknown(misspelt[0], [key])
        return self.error(f"{key} is missing{hint}")

    def unknown(self, key: str, known: Sequence[str]) -> TargetError:
        hint = nearest(key, known) or f"; there are {', '.join(sorted(known))}"
        return self.error(f"unknown key {key!r}{hint}")

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


def _shown(value: object) -> str:
    return _SHORT.repr(value)


_SHORT = reprlib.Repr()


def duration(text: str) -> Seconds:
    """Read "60s", "2m", "1.5h", "2d", "500ms" or "60" (seconds). Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None or not float(match[1]) * _UNITS[match[2]] > 0:
        raise ValueError(f"not a duration: {text!r}; write it like 60s, 2m or 1.5h")
    return Seconds(float(match[1]) * _UNITS[match[2]])


def size(text: str) -> int:
    """Read "512MB", "4GiB" or "1000" (bytes). Raises ValueError."""
    match = _SIZE.fullmatch(text)
    count = float(match[1]) * (1024 if match[3] else 1000) ** _THOUSANDS[match[2]] if match else 0
    if count < 1:
        raise ValueError(f"not a size: {text!r}; write it like 512MB or 4GiB")
    return int(count)


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
        files_per_change=_files_per_change(top),
        lessons=top.choice("lessons", Lessons, Lessons.DIGEST),
        gates=tuple(_gate(table, number) for number, table in enumerate(top.tables("gate"), 1)),
        metric=_metric(top),
        guards=tuple(_guard(table) for table in top.tables("guard")),
        holdout=_holdout(top.table("holdout")),
        diagnose=_lone_command(top.table("diagnose")),
        check=_lone_command(top.table("check")),
        start=_lone_command(top.table("start")),
        policy=_policy(top.table("policy")),
        budget=_budget(top.table("budget")),
        sandbox=_sandbox(top.table("sandbox")),
    )
    top.done()
    return target


def _files_per_change(top: _Table) -> int:
    count = top.take("files_per_change", int)
    if count is not None and count < 1:
        raise top.error(f"files_per_change must be 1 or more, not {count}")
    return count or 1


def _gate(table: _Table, number: int) -> Gate:
    gate = Gate(table.take("name", str) or f"gate {number}", table.command(), table.take("tests", int))
    if gate.tests is not None and gate.tests < 1:
        raise table.error(f"tests must be 1 or more, not {gate.tests}: how many the gate must pass")
    if gate.name == HOLDOUT:
        raise table.error(f"name {HOLDOUT!r} is taken by [holdout]")
    table.done()
    return gate


def _metric(top: _Table) -> Metric:
    table = top.table("metric")
    if table is None:
        raise top.error("[metric] is missing: name, command and direction of the number to improve")
    file = table.take("file", str)
    metric = Metric(
        name=table.need("name", str),
        unit=table.take("unit", str) or "",
        direction=table.choice("direction", Direction, Direction.MINIMIZE),
        command=table.command(),
        parser=table.take("parser", str) or "metric-line",
        noise=table.choice("noise", Noise, Noise.TIMING),
        min_effect=_share(table, "min_effect", 0.005),
        compare=table.choice("compare", Compare, Compare.RATIO),
        duet=table.take("duet", bool) or False,
    )
    if metric.duet and metric.noise is not Noise.TIMING:
        raise table.error(f'duet = true is for noise = "timing", not "{metric.noise}"')
    options = table.strings_left()
    if typo := next((key for key in options if _is_field(key)), None):
        raise table.unknown(typo, _METRIC_FIELDS)
    table.done()
    return replace(metric, options=options if file is None else {**options, "file": file})


def _is_field(key: str) -> bool:
    return bool(difflib.get_close_matches(key, _METRIC_FIELDS, n=1, cutoff=_TYPO))


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
        raise table.error("max_ratio or min_ratio is missing: how far the number may go, like 1.10")
    for key, bound in (("max_ratio", guard.max_ratio), ("min_ratio", guard.min_ratio)):
        if bound is not None and not (math.isfinite(bound) and bound > 0):
            raise table.error(f"{key} must be more than 0, not {bound}")
    table.done()
    return guard


def _lone_command(table: _Table | None) -> Command | None:
    if table is None:
        return None
    command = table.command()
    table.done()
    return command


def _holdout(table: _Table | None) -> Holdout | None:
    if table is None:
        return None
    files = table.texts("files") if table.has("files") else None
    peeks, claim, command = table.take("peeks", int), table.take("claim", str), table.command()
    if peeks is not None and peeks < 1:
        raise table.error(f"peeks must be 1 or more, not {peeks}: how often a campaign may ask")
    table.done()
    found = Holdout(command, files, claim=None if claim is None else replace(command, line=claim))
    return found if peeks is None else replace(found, peeks=peeks)


def _policy(table: _Table | None) -> Policy:
    if table is None:
        return Policy()
    alpha, kappa = table.take("alpha", float), table.take("kappa", float)
    max_pairs, again = table.take("max_pairs", int), table.take("recheck", int)
    if alpha is not None and not 0 < alpha < 0.5:
        raise table.error(f"alpha must lie between 0 and 0.5, not {alpha}")
    if kappa is not None and not (math.isfinite(kappa) and kappa > 0):
        raise table.error(f"kappa must be more than 0, not {kappa}")
    audit = table.take("audit", float)
    if audit is not None and not audit > 1:
        raise table.error(f"audit must be more than 1, not {audit}: how many times better is looked at again")
    for key, count in (("max_pairs", max_pairs), ("recheck", again)):
        if count is not None and count < 1:
            raise table.error(f"{key} must be 1 or more, not {count}")
    standard = Policy()
    policy = Policy(
        alpha=alpha or standard.alpha,
        kappa=kappa or standard.kappa,
        max_pairs=max_pairs or standard.max_pairs,
        strict=table.take("strict", bool) or False,
        simplify=table.take("simplify", bool) or False,
        margin=_share(table, "margin", standard.margin),
        recheck=again or standard.recheck,
        audit=audit or standard.audit,
    )
    if policy.simplify and policy.margin == 0:
        raise table.error("margin must be more than 0: that a change costs nothing at all cannot be shown")
    table.done()
    return policy


def _budget(table: _Table | None) -> Budget:
    if table is None:
        return Budget()
    budget = Budget(cycle=table.seconds("cycle"), run=table.seconds("run"))
    table.done()
    return budget


def _sandbox(table: _Table | None) -> Confinement:
    if table is None:
        return Confinement()
    standard = Confinement()
    processes = table.take("processes", int)
    if processes is not None and processes < 1:
        raise table.error(f"processes must be 1 or more, not {processes}")
    confinement = Confinement(
        network=bool(table.take("network", bool)),
        memory=table.bytes("memory"),
        processes=processes or standard.processes,
        disk=table.bytes("disk") or standard.disk,
        read_only=table.texts("read_only"),
        writable=table.texts("writable"),
        cache=bool(table.take("cache", bool)),
        pass_env=table.texts("pass_env"),
    )
    table.done()
    return confinement


# --- target.py and entry points --------------------------------------------------------------------------


def _from_python(file: Path) -> Target:
    spec = importlib.util.spec_from_file_location(f"optiloop_target_{file.parent.name}", file)
    if spec is None or spec.loader is None:
        raise TargetError(f"{file}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a user's module may raise anything; it must end in one line
        raise TargetError(f"{file}: {type(error).__name__}: {error}") from error
    finally:
        sys.dont_write_bytecode = before
    target = getattr(module, "TARGET", None)
    if not isinstance(target, Target):
        raise TargetError(f"{file}: defines no TARGET = Target(...)")
    return target


def _installed(entry: EntryPoint) -> Target:
    plugin = f"target plug-in {entry.name!r} of {entry.dist.name if entry.dist else entry.value}"
    try:
        found = entry.load()
        target = found() if callable(found) else found
    except Exception as error:  # a plug-in may raise anything; it must end in one line that names it
        raise TargetError(f"{plugin}: {type(error).__name__}: {error}") from error
    if isinstance(target, Target):
        return _checked(target, Path(plugin))
    if not isinstance(target, str | Path):
        raise TargetError(f"{plugin} is {type(target).__name__}, not a Target or a folder")
    try:
        return load_target(target)
    except TargetError as error:
        raise TargetError(f"{plugin}: {error}") from None


def _checked(target: Target, file: Path) -> Target:
    """What both forms must fulfil."""
    if not _NAME.fullmatch(target.name) or target.name.endswith((".", ".lock")) or ".." in target.name:
        raise TargetError(
            f"{file}: name {target.name!r} must be letters, digits, '.', '_' or '-'; set name = \"my_target\""
        )
    if not target.editable:
        raise TargetError(f'{file}: editable is missing: the files a candidate may change, like ["main.py"]')
    for key, paths in (("editable", target.editable), ("context", target.context)):
        for path in paths:
            _inside(target.root, path, key, file)
    _ask_parser(target.metric, file)
    result = target.metric.options.get("file")
    if result is not None and (PurePosixPath(result).is_absolute() or ".." in PurePosixPath(result).parts):
        raise TargetError(f"{file}: [metric] file {result!r} lies outside the target's folder")
    return _with_hidden_files(_with_program(target), file)


def _with_program(target: Target) -> Target:
    """The target with what its program.md says, where there is one, at the end of its goal."""
    program = target.root / PROGRAM
    if not program.is_file():
        return target
    if not _is_text(program):
        raise TargetError(f"{program}: is not UTF-8 text; the goal is written there")
    goal = (target.goal.strip(), program.read_text(encoding="utf-8").strip())
    return replace(target, goal="\n\n".join(text for text in goal if text))


def _with_hidden_files(target: Target, file: Path) -> Target:
    """The target with the files of its hold-out named."""
    held = target.holdout
    if held is None:
        return target
    files = tuple(_only_named_by(held.command, target)) if held.files is None else held.files
    for path in files:
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts or not (target.root / path).exists():
            raise TargetError(f"{file}: [holdout] file {path!r} is not there; name files beside it")
        if path in target.editable or path in target.context:
            raise TargetError(f"{file}: [holdout] file {path!r} is shown to proposers: take it off one list")
    return replace(target, holdout=replace(held, files=files))


def _only_named_by(command: Command, target: Target) -> Iterator[str]:
    """The target's files among a command's words that no other command speaks of."""
    others = [gate.command for gate in target.gates]
    others += [it for it in (target.diagnose, target.check, target.start) if it is not None]
    said = " ".join(shown(other.line) for other in (*others, target.metric.command))
    for word in command.line.split() if isinstance(command.line, str) else command.line:
        path = PurePosixPath(word)
        named = re.search(rf"(?<!\w){re.escape(path.stem)}(?!\w)", said) if path.stem else True
        inside = not path.is_absolute() and ".." not in path.parts and (target.root / path).exists()
        if inside and not named and word not in (*target.editable, *target.context):
            yield word


def _ask_parser(metric: Metric, file: Path) -> None:
    """Have the parser read an empty output: it refuses options it does not know before it misses a number."""
    try:
        parse(metric.parser, "", {**metric.options, "name": metric.name, "unit": metric.unit})
    except MetricError:
        return
    except TargetError as error:
        raise TargetError(f"{file}: [metric] {error}") from None


def _inside(root: Path, path: str, key: str, file: Path) -> None:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not (root / path).resolve().is_relative_to(root.resolve()):
        raise TargetError(f"{file}: {key} file {path!r} lies outside the target's folder")
    if not (root / path).is_file():
        raise TargetError(f"{file}: {key} file {path!r} is not there; name files that lie beside it")
    if key == "editable" and pure.name in _JUDGES:
        raise TargetError(f"{file}: {path!r} is the judge; it cannot be editable")
    if key == "editable" and not _is_text(root / path):
        raise TargetError(f"{file}: editable file {path!r} is not UTF-8 text; optiloop edits text")


def _is_text(path: Path) -> bool:
    try:
        path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return False
    except OSError as error:
        raise TargetError(f"{path}: cannot read it: {error.strerror}") from None
    return True
