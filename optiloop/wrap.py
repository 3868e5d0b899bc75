"""`optiloop new` on a project that is there: what its files say of code, gate and metric. Reads files.

Everything here is a guess with its reason, to be shown and overridden. Nothing of the project is run.
"""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from optiloop.errors import UsageError

SKIPPED = frozenset({"node_modules", "target", "build", "dist", "venv", "env", "__pycache__"})
"""Folders that hold no source of the project; those that begin with a dot are skipped, too."""
MOST_FILES = 5000
MOST_BYTES = 200_000
SOURCES = frozenset(
    f".{suffix}"
    for suffix in (
        *("c", "cc", "cpp", "h", "hpp", "go", "rs", "zig", "swift", "java", "kt", "cs"),
        *("py", "js", "ts", "rb", "php", "pl", "lua", "jl", "sh"),
    )
)
"""Endings of the files that a candidate may be made of."""
_JUDGE = re.compile(
    r"(?:^|[/_.-])(?:tests?|spec|bench\w*|perf|speed|conftest|setup|noxfile|examples?|docs?)(?:[/_.-]|$)"
)
_BENCHMARKED = re.compile(r"^\s*(?:async )?def test_\w*\([^)]*\bbenchmark\b", re.MULTILINE)
_NAMED = re.compile(r"METRIC\s+([A-Za-z][\w.-]*)\s*=")
_HYPERFINE = re.compile(r"\bhyperfine\b[^\n]*?(['\"])(?P<command>[^'\"\n]+)\1")
_IMPORTED = re.compile(r"^\s*(?:from\s+([\w.]+)\s+import|import\s+([\w.]+))", re.MULTILINE)
_MORE = re.compile(r"per_s|throughput|score|accuracy|\bops\b|rate$|hits", re.IGNORECASE)
_TIMER = (
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=-3); "
    "spent = resource.getrusage(-1); print(f'METRIC cpu={spent.ru_utime + spent.ru_stime}s')"
)
"""Prints the CPU time of a command: less noisy than wall time, and needs no other program."""


@dataclass(frozen=True)
class Metric:
    """The number to improve: what prints it, and how it is read; `file` is what the parser reads."""

    command: str | tuple[str, ...]
    name: str
    unit: str = ""
    parser: str = "metric-line"
    file: str = ""
    direction: str = "minimize"

    @property
    def shown(self) -> str:
        """The command as people type it; of a timed one what is timed."""
        if isinstance(self.command, str):
            return self.command
        return f"{'time' if self.file else 'CPU time'} of: {self.command[-1]}"


@dataclass(frozen=True)
class Plan:
    """What target.toml would say of a project: each value with why; None where nothing was found."""

    files: tuple[str, ...]
    gate: str | None
    metric: Metric | None
    why: Mapping[str, str]
    manager: str = ""
    read_only: tuple[str, ...] = ()


@dataclass(frozen=True)
class Project:
    """A folder's files by path, in order, with the text of those that can say something."""

    root: Path
    sizes: Mapping[str, int]
    texts: Mapping[str, str]

    def has(self, path: str) -> bool:
        return path in self.sizes


def read_project(root: Path) -> Project:
    """Read a project's sources. Raises UsageError where it is no folder, or too large."""
    if not root.is_dir():
        raise UsageError(f"{root}: no such folder; name the project that shall be optimized")
    sizes, texts = {}, {}
    for file in _walk(root):
        path = file.relative_to(root).as_posix()
        sizes[path] = file.stat().st_size
        if len(sizes) > MOST_FILES:
            raise UsageError(f"{root}: more than {MOST_FILES} files; name the folder of the part to optimize")
        if sizes[path] <= MOST_BYTES and (
            file.suffix in SOURCES | {".toml", ".json", ".txt", ".lock"} or _makes(path)
        ):
            texts[path] = file.read_text(encoding="utf-8", errors="replace")
    return Project(root, sizes, texts)


def _walk(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise UsageError(f"{folder}: cannot read it: {error.strerror}") from None
    for entry in entries:
        if entry.name.startswith(".") or entry.name in SKIPPED or entry.is_symlink():
            continue
        if entry.is_dir():
            yield from _walk(entry)
        elif entry.is_file():
            yield entry


def _makes(path: str) -> bool:
    return PurePosixPath(path).name.lower() in ("makefile", "gnumakefile")


# --- the guesses -----------------------------------------------------------------------------------------


def guess(project: Project) -> Plan:
    """What a project's files say of what to edit, what must stay true and what to measure."""
    python, venv = _python(project)
    gate, why_gate = _gate(project, python)
    metric, why_metric = _metric(project, python, gate)
    files, why_files = _editable(project, metric)
    why = {"file": why_files, "gate": why_gate, "metric": why_metric}
    return Plan(files, gate, metric, why, manager(project), (venv,) if venv else ())


def manager(project: Project) -> str:
    """What installs and builds the project, as far as its files tell."""
    signs = {
        "uv": project.has("uv.lock"),
        "pip": project.has("pyproject.toml") or project.has("requirements.txt"),
        "npm": project.has("package.json"),
        "cargo": project.has("Cargo.toml"),
        "make": bool(_make_targets(project)),
    }
    return ", ".join(name for name, there in signs.items() if there and (name != "pip" or not signs["uv"]))


def _python(project: Project) -> tuple[str, str]:
    """The interpreter that has the project's packages, and its environment's folder where it has its own."""
    venv = project.root.resolve() / ".venv"
    return (f"{venv}/bin/python", str(venv)) if (venv / "bin" / "python").exists() else ("python", "")


def _gate(project: Project, python: str) -> tuple[str | None, str]:
    targets, scripts = _make_targets(project), _npm_scripts(project)
    tests = [path for path in project.texts if _is_test(path)]
    benchmarked = any(_BENCHMARKED.search(text) for text in project.texts.values())
    if tests:
        skip = " --benchmark-skip" if benchmarked else ""
        return f"{python} -m pytest -q -p no:cacheprovider{skip}", f"pytest: {tests[0]}"
    if project.has("Cargo.toml"):
        return "cargo test --offline --quiet", "cargo: Cargo.toml"
    if "test" in scripts:
        return "npm test --silent", "npm: the script `test` of package.json"
    for target in ("test", "check"):
        if target in targets:
            return f"make -s {target}", f"make: the target `{target}`"
    return None, "no tests found"


def _metric(project: Project, python: str, gate: str | None) -> tuple[Metric | None, str]:
    for path, text in project.texts.items():
        if path.endswith(".py") and _BENCHMARKED.search(text):
            flags = "-p no:cacheprovider --benchmark-only --benchmark-json=optiloop-bench.json"
            command = f"{python} -m pytest -q {flags} {path}"
            found = Metric(command, "total", "ms", "pytest-benchmark", "optiloop-bench.json")
            return found, f"pytest-benchmark: {path}"
    for target in ("bench", "benchmark"):
        if target in _make_targets(project):
            return printed_or_timed(project, f"make -s {target}"), f"make: the target `{target}`"
    for path, text in project.texts.items():
        if match := _HYPERFINE.search(text):
            return timed(match["command"]), f"hyperfine: {path}"
    for path in project.texts:
        place = PurePosixPath(path)
        if place.suffix in (".py", ".sh") and re.match(r"bench|perf|speed", place.stem):
            command = f"{python if place.suffix == '.py' else 'sh'} {path}"
            return printed_or_timed(project, command), f"a benchmark: {path}"
    for script in ("bench", "benchmark"):
        if script in _npm_scripts(project):
            command = f"npm run --silent {script}"
            return printed_or_timed(project, command), f"npm: the script `{script}` of package.json"
    if gate is not None:
        return timed(gate), "no benchmark found: the time of the tests, for want of a better number"
    return None, "no benchmark found"


def printed_or_timed(project: Project, command: str) -> Metric:
    """A command's own METRIC line where its files print one; else its time."""
    named = [word for word in command.split() if word in project.texts]
    if command.startswith("make"):
        named = [path for path in project.texts if _makes(path)]
        named += [path for path in project.texts if re.search(r"bench", path)]
    for path in named:
        if match := _NAMED.search(project.texts[path]):
            return printed(command, match[1])
    return timed(command)


def prints(project: Project, command: str) -> bool:
    """Whether a command's own files print a METRIC line."""
    return printed_or_timed(project, command).command == command


def printed(command: str, name: str) -> Metric:
    """The number that a command prints as `METRIC name=value`."""
    return Metric(command, name, direction="maximize" if _MORE.search(name) else "minimize")


def timed(command: str) -> Metric:
    """How long a command takes: by hyperfine where it is installed, else its CPU time."""
    if shutil.which("hyperfine") is None:
        return Metric(("python", "-c", _TIMER, "/bin/sh", "-c", command), "cpu", "ms")
    line = ("hyperfine", "--warmup", "1", "--runs", "5", "--export-json", "optiloop-times.json", command)
    return Metric(line, "time", "ms", "hyperfine", "optiloop-times.json")


def _editable(project: Project, metric: Metric | None) -> tuple[tuple[str, ...], str]:
    """The source that is judged: what is timed, else what tests and benchmark import, else the largest."""
    shown = metric.shown.split() if metric else []
    if timed_file := next((word for word in shown if word in project.texts and not _JUDGE.search(word)), ""):
        return (timed_file,), "what is timed"
    sources = {
        path: project.sizes[path]
        for path in project.texts
        if PurePosixPath(path).suffix in SOURCES and not _JUDGE.search(path)
    }
    if not sources:
        return (), "no source found"
    imported = _imported(project)
    among = {path: size for path, size in sources.items() if _module(path) & imported}
    largest = max(among or sources, key=lambda path: (sources[path], path))
    return (largest,), "the largest that tests or benchmark import" if among else "the largest source"


def _imported(project: Project) -> set[str]:
    """The modules that tests and benchmarks import."""
    judges = (text for path, text in project.texts.items() if path.endswith(".py") and _JUDGE.search(path))
    return {match[1] or match[2] for text in judges for match in _IMPORTED.finditer(text)}


def _module(path: str) -> set[str]:
    """The names under which a Python file may be imported: `src/a/b.py` is src.a.b and a.b."""
    place = PurePosixPath(path)
    if place.suffix != ".py":
        return set()
    parts = place.with_suffix("").parts
    return {".".join(parts[at:]) for at in range(min(2, len(parts)))}


def _is_test(path: str) -> bool:
    return re.search(r"(?:^|/)test_[^/]*\.py$|_test\.py$", path) is not None


def _make_targets(project: Project) -> set[str]:
    texts = [text for path, text in project.texts.items() if _makes(path) and "/" not in path]
    return {match[1] for text in texts for match in re.finditer(r"^([\w.-]+)\s*:(?!=)", text, re.MULTILINE)}


def _npm_scripts(project: Project) -> set[str]:
    try:
        found = json.loads(project.texts.get("package.json", "{}"))
    except ValueError:
        return set()
    scripts = found.get("scripts") if isinstance(found, dict) else None
    return set(scripts) if isinstance(scripts, dict) else set()


# --- target.toml -----------------------------------------------------------------------------------------


def overridden(
    plan: Plan,
    project: Project,
    *,
    files: tuple[str, ...],
    gate: str | None,
    metric: str | None,
    speed: str | None,
) -> Plan:
    """The plan with what the user said in place of a guess. An empty gate is no gate."""
    if metric is not None:
        found = printed_or_timed(project, metric) if prints(project, metric) else printed(metric, "value")
        plan = replace(plan, metric=found)
    if speed is not None:
        plan = replace(plan, metric=timed(speed))
    said = {"file": bool(files), "gate": gate is not None, "metric": metric is not None or speed is not None}
    why = {key: "as you said" if said[key] else reason for key, reason in plan.why.items()}
    return replace(plan, files=files or plan.files, gate=plan.gate if gate is None else gate or None, why=why)


def target_toml(name: str, plan: Plan) -> str:
    """The text of target.toml. Raises UsageError where something is missing that nobody can guess."""
    if not plan.files:
        raise UsageError(f"{name}: no source file found; name what a candidate may change: --file PATH")
    if plan.metric is None:
        raise UsageError(
            f"{name}: no benchmark found; name a command: --speed 'COMMAND' or --metric 'COMMAND'"
        )
    metric, quoted = plan.metric, json.dumps
    command = quoted(metric.command) if isinstance(metric.command, str) else quoted(list(metric.command))
    gate = "# There is no [[gate]]: nothing but the metric says whether a candidate is right.\n"
    if plan.gate:
        gate = (
            f"[[gate]]                                # {plan.why['gate']}\n"
            f'name = "tests"\ncommand = {quoted(plan.gate)}\ntimeout = "5m"\n'
        )
    reads = f"parser = {quoted(metric.parser)}\n" + (f"file = {quoted(metric.file)}\n" if metric.file else "")
    sandbox = f"\n[sandbox]\nread_only = {quoted(list(plan.read_only))}\n" if plan.read_only else ""
    return (
        f"name = {quoted(name)}\n"
        f'goal = "Improve {metric.name}; what the program does must not change."\n'
        f"editable = {quoted(list(plan.files))}    # {plan.why['file']}\n\n"
        f"{gate}\n"
        f"[metric]                                # {plan.why['metric']}\n"
        f"name = {quoted(metric.name)}\nunit = {quoted(metric.unit)}\n"
        f"direction = {quoted(metric.direction)}\ncommand = {command}\n{reads}"
        'noise = "timing"                        # "deterministic" where equal code gives equal numbers\n'
        'timeout = "5m"\nmin_effect = 0.01\n\n'
        f'[budget]\ncycle = "10m"\nrun = "8h"\n{sandbox}'
    )


def read_name(project: Project) -> str:
    """What the project calls itself, where that can name a target; else its folder's name."""
    for path, table in (("pyproject.toml", "project"), ("Cargo.toml", "package")):
        try:
            found = tomllib.loads(project.texts.get(path, "")).get(table, {})
        except tomllib.TOMLDecodeError:
            continue
        name = found.get("name") if isinstance(found, dict) else None
        if isinstance(name, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
            return name
    return re.sub(r"[^A-Za-z0-9_-]+", "-", project.root.resolve().name).strip("-") or "target"


def wrap(folder: Path, source: Path | None, text: str) -> list[str]:
    """Write target.toml into a project, or into a copy of `source` at `folder`. Returns what was written.

    Raises UsageError where that would overwrite anything.
    """
    file = folder / "target.toml"
    if file.exists() or (source is not None and folder.exists()):
        raise UsageError(f"{file if file.exists() else folder} is there already; nothing was overwritten")
    half = folder.parent / f".{folder.name}.part"
    try:
        if source is not None:
            shutil.copytree(source, half, ignore=shutil.ignore_patterns(".*", *SKIPPED), symlinks=True)
            half.rename(folder)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{folder}: cannot write it: {error}") from None
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return [*([f"copied {source} to {folder}"] if source is not None else []), f"wrote {file}"]
