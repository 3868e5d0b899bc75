"""A command's output, or the text of its result file, to numbers by name. Pure.

A parser is chosen by name: a built-in, or a plug-in's from the entry-point group `optiloop.parsers`.
It is called with the options of the target's metric; two are always there: `name` (the metric's) and
`unit` (its declared unit, may be empty). What the output does wrong is a MetricError, never a default;
what the target's options do wrong is a TargetError.
"""

from __future__ import annotations

import difflib
import json
import math
import re
import reprlib
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

from optiloop.errors import OptiloopError, TargetError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "optiloop.parsers"
ENGINE_OPTIONS = frozenset({"name", "unit", "file"})
"""Options that any parser may be given: the metric's name and unit, and the result file the engine read."""


@dataclass(frozen=True)
class Dimension:
    """Units that convert into each other: each one's size in the smallest, and the base unit's name."""

    base: str
    units: Mapping[str, int]


TIME = Dimension(
    "s", {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9}
)
BYTES = Dimension(
    "B", {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
)
DIMENSIONS = (TIME, BYTES, Dimension("%", {"%": 1}))

TIME_STATS = ("min", "max", "mean", "median", "q1", "q3", "total")
"""What a benchmark tool's summary may be read by; all of them are seconds."""

_PARTIAL = re.compile(r"^PARTIAL at=(?P<at>\S+) (?P<name>[^\s=]+)=(?P<value>\S+)\s*$", re.MULTILINE)

REPEATS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "last": lambda values: values[-1],
    "median": statistics.median,
    "min": min,
    "max": max,
}


class MetricError(ValueError):
    """The output holds no usable number. The message is one line: it becomes an experiment's reason."""


class Parser(Protocol):
    """Read the numbers in a command's output; raises MetricError rather than guess."""

    def __call__(self, output: str, /, *, options: Mapping[str, str]) -> dict[str, float]: ...


# --- choosing a parser -------------------------------------------------------------------------------


def find_parser(name: str) -> Parser:
    """Return the built-in or installed parser of that name; raises TargetError if there is none."""
    if name in BUILTINS:
        return BUILTINS[name]
    plugins = _plugins()
    if name not in plugins:
        raise TargetError(f"unknown parser {name!r}{_nearest(name, [*BUILTINS, *plugins])}")
    plugin = plugins[name]
    with _plugin_faults(f"parser {_title(plugin)} cannot be imported", TargetError):
        loaded: Parser = plugin.load()
    if not callable(loaded):
        raise TargetError(f"parser {_title(plugin)} is {type(loaded).__name__}, not a function")
    return loaded


def parse(name: str, output: str, options: Mapping[str, str]) -> dict[str, float]:
    """Return every number that the parser finds, the metric's (`options["name"]`) among them.

    Raises MetricError where the output gives no usable number, TargetError where the parser or its
    options do not fit.
    """
    parser = find_parser(name)
    if name in BUILTINS:
        return _checked(parser(output, options=options), name, options["name"])
    with _plugin_faults(f"parser {name!r} (plug-in) failed", MetricError):
        numbers = parser(output, options=options)
    return _checked(numbers, name, options["name"])


def partial_lines(output: str, name: str) -> list[tuple[float, float]]:
    """The metric on the way, as (share of the run, value): lines like `PARTIAL at=0.25 val_loss=3.4`."""
    found = []
    for match in _PARTIAL.finditer(output):
        try:
            share, value = float(match["at"]), float(match["value"])
        except ValueError:
            continue
        if match["name"] == name and 0 <= share <= 1 and math.isfinite(value):
            found.append((share, value))
    return found


def known_parsers() -> tuple[str, ...]:
    """Return the names of all parsers, built-in and installed, without loading any."""
    return tuple(sorted({*BUILTINS, *_plugins()}))


def _plugins() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # 20 ms that a target with a built-in parser never pays

    return {plugin.name: plugin for plugin in entry_points(group=GROUP)}


def _title(plugin: EntryPoint) -> str:
    owner = plugin.dist.name if plugin.dist else "unknown distribution"
    return f"{plugin.name!r} ({plugin.value} of {owner})"


@contextmanager
def _plugin_faults(what: str, error: type[MetricError] | type[TargetError]) -> Iterator[None]:
    try:
        yield
    except (MetricError, OptiloopError):
        raise
    # A plug-in is somebody else's code and may raise anything; its bug must end one experiment, named,
    # and not the run. There is no narrower type to catch.
    except Exception as fault:
        raise error(f"{what}: {type(fault).__name__}: {_line(str(fault))}") from fault


def _checked(numbers: object, parser: str, metric: str) -> dict[str, float]:
    if not isinstance(numbers, dict):
        raise MetricError(f"parser {parser!r} returned {type(numbers).__name__}, not a dict")
    checked: dict[str, float] = {}
    for name, value in numbers.items():
        if not isinstance(name, str):
            raise MetricError(f"parser {parser!r} returned a number named {_shown(name)}, not by a string")
        checked[name] = _number(value, name)
    if metric not in checked:
        raise MetricError(f"no {metric!r} in the output{_among(checked)}")
    return checked


# --- the built-in parsers ----------------------------------------------------------------------------

_METRIC_LINE = re.compile(r"METRIC\s+(?P<name>[^\s=]+)\s*=\s*(?P<value>.*\S)\s*")


def metric_line(output: str, /, *, options: Mapping[str, str]) -> dict[str, float]:
    """Read the lines `METRIC name=value`; a value may carry a unit, as in `12.5ms` or `3 MB`.

    The metric's value is converted to its declared unit, any other one to seconds, bytes or percent.
    A name given twice is an error unless the option `repeats` says last, median, min or max.
    """
    _expect(options, "metric-line", "repeats")
    found: dict[str, list[float]] = {}
    for line in output.splitlines():
        if not line.startswith("METRIC "):
            continue
        match = _METRIC_LINE.fullmatch(line)
        if match is None:
            raise MetricError(f"not `METRIC name=value`: {_shown(line)}")
        unit = options["unit"] if match["name"] == options["name"] else None
        found.setdefault(match["name"], []).append(_quantity(match["value"], unit))
    return {name: _one(values, name, options.get("repeats")) for name, values in found.items()}


def regex(output: str, /, *, options: Mapping[str, str]) -> dict[str, float]:
    """Read the one match of `pattern`: its group `value`, or else its first group.

    `^` and `$` match at line ends. Several matches are an error unless `repeats` says which to take.
    """
    _expect(options, "regex", "pattern", "repeats")
    pattern = _pattern(options)
    group = "value" if "value" in pattern.groupindex else 1
    found = [match[group] for match in pattern.finditer(output)]
    if not found:
        raise MetricError(f"pattern {_shown(pattern.pattern)} matches nothing in the output")
    values = [_quantity(text or "", options["unit"]) for text in found]
    return {options["name"]: _one(values, options["name"], options.get("repeats"))}


def json_path(output: str, /, *, options: Mapping[str, str]) -> dict[str, float]:
    """Read the number at `path` of a JSON document (`results.0.mean`, `a.b[2].c`, `a["x.y"]`).

    Without a path it is the top-level member with the metric's name. The other numbers at top level
    come along under their own names.
    """
    _expect(options, "json", "path")
    document = _document(output)
    numbers = _top_level_numbers(document)
    path = options.get("path")
    steps = (options["name"],) if path is None else _steps(path)
    numbers[options["name"]] = _number(_at(document, *steps), path or options["name"])
    return numbers


def pytest_benchmark(output: str, /, *, options: Mapping[str, str]) -> dict[str, float]:
    """Read a file of `pytest --benchmark-json`: one statistic (`stat`, median) of each benchmark.

    The metric is the benchmark of its name or of the option `benchmark`, and otherwise the sum of all.
    `key = "fullname"` tells apart benchmarks of one name in several files.
    """
    _expect(options, "pytest-benchmark", "stat", "key", "benchmark")
    stat, key = _stat(options), options.get("key", "name")
    entries = [
        (_text(_at(entry, key), key), _time(_at(entry, "stats", stat), options["unit"]))
        for entry in _items(_at(_document(output), "benchmarks"), "benchmarks")
    ]
    return _with_metric(entries, options)


def hyperfine(output: str, /, *, options: Mapping[str, str]) -> dict[str, float]:
    """Read a file of `hyperfine --export-json`: one statistic (`stat`, median) of each command.

    The metric is the command of its name, or the one that the option `benchmark` gives by text or by
    index, and otherwise the sum of all. A run that failed is an error, however short it was.
    """
    _expect(options, "hyperfine", "stat", "benchmark")
    stat = _stat(options)
    results = _items(_at(_document(output), "results"), "results")
    entries = []
    for result in results:
        command = _text(_at(result, "command"), "command")
        _refuse_failed_runs(result, command)
        summed_up = isinstance(result, dict) and "summary" in result  # by hyperfine 2
        steps = ("summary", "time_wall_clock", stat) if summed_up else (stat,)
        entries.append((command, _time(_at(result, *steps), options["unit"])))
    index = options.get("benchmark", "")
    if index.isdecimal() and int(index) < len(entries):
        options = {**options, "benchmark": entries[int(index)][0]}
    return _with_metric(entries, options)


def pyperf(output: str, /, *, options: Mapping[str, str]) -> dict[str, float]:
    """Read a file of pyperf's `--output`: the median over the values of all runs of each benchmark.

    The metric is the benchmark of its name or of the option `benchmark`, and otherwise the sum of all.
    """
    _expect(options, "pyperf", "benchmark")
    document = _document(output)
    # pyperf moves what all benchmarks share to the top, so a lone benchmark's name and unit stand there.
    shared = _member(document, "metadata")
    entries = []
    for benchmark in _items(_at(document, "benchmarks"), "benchmarks"):
        metadata = {**shared, **_member(benchmark, "metadata")}
        name = _text(metadata.get("name", options["name"]), "metadata.name")
        value = statistics.median(_pyperf_values(benchmark, name))
        entries.append((name, _in_pyperf_unit(value, metadata.get("unit", "second"), options["unit"])))
    return _with_metric(entries, options)


BUILTINS: Mapping[str, Parser] = {
    "metric-line": metric_line,
    "regex": regex,
    "json": json_path,
    "pytest-benchmark": pytest_benchmark,
    "hyperfine": hyperfine,
    "pyperf": pyperf,
}


# --- numbers and units -------------------------------------------------------------------------------

_QUANTITY = re.compile(r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(?P<unit>\S*)", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf(?:inity)?)", re.IGNORECASE)


def _quantity(text: str, unit: str | None) -> float:
    """The value of `12.5ms` in the given unit; None asks for the base unit of whatever stands there."""
    if _NOT_FINITE.fullmatch(text):
        raise MetricError(f"the value is {text}, not a finite number")
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise MetricError(f"not a number: {_shown(text)}")
    value = _finite(float(match["number"]), text)
    return _converted(value, match["unit"], unit) if match["unit"] else value


def _converted(value: float, given: str, wanted: str | None) -> float:
    if given == wanted:
        return value
    dimension = next((dimension for dimension in DIMENSIONS if given in dimension.units), None)
    if dimension is None:
        known = " ".join(unit for dimension in DIMENSIONS for unit in dimension.units)
        raise MetricError(f"unknown unit {_shown(given)}; known: {known}")
    into = dimension.base if wanted is None else wanted
    if into not in dimension.units:
        raise MetricError(f"the value is in {given!r}, but the metric's unit is {into!r}")
    # A fraction keeps the conversion exact, so that only the last step rounds.
    return _as_float(Fraction(value) * dimension.units[given] / dimension.units[into])


def _as_float(value: Fraction | int) -> float:
    try:
        return float(value)
    except OverflowError:
        raise MetricError("the value is too large for a number") from None


def _time(seconds: object, unit: str) -> float:
    """A benchmark tool's seconds in the metric's unit; no declared unit leaves them seconds."""
    value = _number(seconds, "seconds")
    if not unit:
        return value
    if unit not in TIME.units:
        raise TargetError(f"metric.unit {unit!r} is no time; use one of {' '.join(TIME.units)}")
    return _converted(value, "s", unit)


def _in_pyperf_unit(value: float, given: object, wanted: str) -> float:
    if given == "second":
        return _time(value, wanted)
    if given == "byte" and wanted:
        return _converted(value, "B", wanted)
    return value


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MetricError(f"{where}: not a number but {_shown(value)}")
    return _finite(_as_float(value) if isinstance(value, int) else float(value), where)


def _finite(value: float, where: str) -> float:
    if not math.isfinite(value):
        raise MetricError(f"{_line(where)}: the value is {value}, not a finite number")
    return value


def _one(values: Sequence[float], name: str, repeats: str | None) -> float:
    if len(values) == 1:
        return values[0]
    if repeats is None:
        raise MetricError(f"{name!r} is given {len(values)} times; print it once, or set `repeats`")
    return REPEATS[repeats](values)


# --- JSON documents ----------------------------------------------------------------------------------

_STEP = re.compile(r"\[(?P<index>\d+)\]|\[\"(?P<quoted>[^\"]*)\"\]|\.?(?P<plain>[^.\[\]\"]+)")


def _document(output: str) -> object:
    try:
        return json.loads(
            output, parse_int=float, parse_constant=_refuse_constant, object_pairs_hook=_object_without_twins
        )
    except MetricError:
        raise
    except (ValueError, RecursionError) as error:
        raise MetricError(f"not a JSON document: {_line(str(error))}") from None


def _refuse_constant(name: str) -> float:
    raise MetricError(f"the JSON document holds {name}, not a finite number")


def _object_without_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise MetricError(f"the JSON document gives {_shown(twin)} twice")
    return members


def _steps(path: str) -> tuple[str, ...]:
    steps: list[str] = []
    position = 0
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            raise TargetError(f"metric.path {path!r} cannot be read at character {position + 1}")
        steps.append(next(step for step in match.groups() if step is not None))
        position = match.end()
    return tuple(steps)


def _at(document: object, *steps: str) -> object:
    for step in steps:
        if isinstance(document, dict) and step in document:
            document = document[step]
        elif isinstance(document, list) and step.isdecimal() and int(step) < len(document):
            document = document[int(step)]
        else:
            raise MetricError(f"the JSON document has no {'.'.join(steps)!r} (missing: {step!r})")
    return document


def _top_level_numbers(document: object) -> dict[str, float]:
    members = document.items() if isinstance(document, dict) else ()
    return {name: value for name, value in members if isinstance(value, float) and math.isfinite(value)}


def _items(value: object, where: str) -> list[object]:
    if not isinstance(value, list) or not value:
        raise MetricError(f"{where}: not a list with anything in it but {_shown(value)}")
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise MetricError(f"{where}: not a text but {_shown(value)}")
    return value


def _member(document: object, name: str) -> dict[str, object]:
    member = document.get(name) if isinstance(document, dict) else None
    return member if isinstance(member, dict) else {}


def _refuse_failed_runs(result: object, command: str) -> None:
    found = result if isinstance(result, dict) else {}
    # hyperfine 1 lists the codes of a command's runs, hyperfine 2 tells each with its run.
    codes = found.get("exit_codes", [])
    if "measurements" in found:
        runs = _items(found["measurements"], "measurements")
        codes = [run.get("exit_code") if isinstance(run, dict) else None for run in runs]
    if not isinstance(codes, list) or any(code != 0 for code in codes):
        raise MetricError(f"hyperfine: a run of {_shown(command)} did not exit 0")


def _pyperf_values(benchmark: object, name: str) -> list[float]:
    # A run without values is a calibration or warm-up process, which pyperf leaves out of its figures.
    values = [
        _number(value, name)
        for run in _items(_at(benchmark, "runs"), "runs")
        if isinstance(run, dict) and "values" in run
        for value in _items(run["values"], "values")
    ]
    if not values:
        raise MetricError(f"pyperf: no values for {_shown(name)}")
    return values


def _with_metric(entries: Sequence[tuple[str, float]], options: Mapping[str, str]) -> dict[str, float]:
    """The benchmarks by name, and the metric: the chosen one, the one of its name, or the sum of all."""
    numbers = dict(entries)
    if len(numbers) < len(entries):
        raise MetricError("two benchmarks have the same name")
    chosen = options.get("benchmark")
    if chosen is not None and chosen not in numbers:
        raise MetricError(f"no benchmark {chosen!r}{_among(numbers)}")
    if chosen is not None:
        numbers[options["name"]] = numbers[chosen]
    return {options["name"]: sum(numbers.values()), **numbers}


# --- options -----------------------------------------------------------------------------------------


def _expect(options: Mapping[str, str], parser: str, *known: str) -> None:
    for key in options:
        if key not in ENGINE_OPTIONS and key not in known:
            raise TargetError(f"parser {parser!r} has no option {key!r}{_nearest(key, known)}")
    if options.get("repeats", "last") not in REPEATS:
        raise TargetError(f"repeats {options['repeats']!r}{_nearest(options['repeats'], REPEATS)}")


def _pattern(options: Mapping[str, str]) -> re.Pattern[str]:
    if "pattern" not in options:
        raise TargetError("parser 'regex' needs the option `pattern`")
    try:
        pattern = re.compile(options["pattern"], re.MULTILINE)
    except re.error as error:
        raise TargetError(f"pattern {options['pattern']!r} is no regular expression: {error}") from None
    if not pattern.groups:
        raise TargetError(f"pattern {options['pattern']!r} has no group to take the value from")
    return pattern


def _stat(options: Mapping[str, str]) -> str:
    stat = options.get("stat", "median")
    if stat not in TIME_STATS:
        raise TargetError(f"unknown stat {stat!r}{_nearest(stat, TIME_STATS)}")
    return stat


_SHORT = reprlib.Repr()
_SHORT.maxstring = 80


def _nearest(name: str, known: Iterable[str]) -> str:
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{hint} (known: {', '.join(names) or 'none'})"


def _among(numbers: Iterable[str]) -> str:
    names = sorted(numbers)
    return f"; it gives {', '.join(names[:8])}" if names else ""


def _shown(value: object) -> str:
    """A short repr, bounded in depth as well: the value is the candidate's."""
    return _line(_SHORT.repr(value))


def _line(text: str) -> str:
    """One line of at most 100 characters: a hostile output must not fill the log."""
    line = " ".join(text.split())
    return line if len(line) <= 100 else f"{line[:99]}…"
