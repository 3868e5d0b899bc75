"""Parsers: what they read, what they refuse, and that absence is never a number."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optiloop import parsers
from optiloop.errors import OptiloopError, TargetError
from optiloop.parsers import BUILTINS, MetricError, find_parser, known_parsers, parse

ROOT = Path(__file__).parent.parent
finite = st.floats(allow_nan=False, allow_infinity=False)


def options(name: str = "total", unit: str = "", **more: str) -> dict[str, str]:
    return {"name": name, "unit": unit, **more}


def refusal(parser: str, output: str, chosen: Mapping[str, str]) -> str:
    with pytest.raises(MetricError) as caught:
        parse(parser, output, chosen)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- properties --------------------------------------------------------------------------------------


@given(finite)
def test_any_finite_float_comes_back_bit_for_bit(value: float) -> None:
    assert _bits(parse("metric-line", f"METRIC total={value!r}", options())["total"]) == _bits(value)
    assert _bits(parse("metric-line", f"METRIC total={value!r}ms", options(unit="ms"))["total"]) == _bits(
        value
    )
    assert _bits(parse("json", json.dumps({"total": value}), options())["total"]) == _bits(value)
    assert _bits(parse("regex", f"total: {value!r}", options(pattern=r"total: (\S+)"))["total"]) == _bits(
        value
    )


@given(st.floats(min_value=1e-200, max_value=1e200), st.sampled_from(list(parsers.TIME.units)))
def test_a_conversion_keeps_the_sign_and_the_order(value: float, unit: str) -> None:
    read = [
        parse("metric-line", f"METRIC total={x!r}{unit}", options(unit="ns"))["total"]
        for x in (value, value * 2)
    ]
    assert 0 < read[0] < read[1]


@given(st.text())
@pytest.mark.parametrize("parser", list(BUILTINS))
def test_any_text_gives_the_metric_or_a_metric_error(parser: str, output: str) -> None:
    chosen = options(pattern="(.)") if parser == "regex" else options()
    try:
        numbers = parse(parser, output, chosen)
    except MetricError:
        return
    assert math.isfinite(numbers["total"])


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["benchmarks", "results", "stats", "median", "runs", "values", "name"]), inner
        )
    ),
    max_leaves=12,
)


@given(json_values)
@pytest.mark.parametrize("parser", ["json", "pytest-benchmark", "hyperfine", "pyperf"])
def test_any_document_gives_the_metric_or_a_metric_error(parser: str, document: object) -> None:
    try:
        numbers = parse(parser, json.dumps(document), options())
    except MetricError:
        return
    assert math.isfinite(numbers["total"])


@pytest.mark.parametrize("parser", ["json", "pytest-benchmark", "hyperfine", "pyperf"])
def test_a_document_nested_too_deep_is_a_metric_error(parser: str) -> None:
    assert "not a JSON document" in refusal(parser, "[" * 200_000, options())
    assert refusal(parser, "[" * 500 + "]" * 500, options())


def _bits(value: float) -> str:
    return value.hex()


# --- metric-line -------------------------------------------------------------------------------------


def test_metric_lines_stand_between_other_output() -> None:
    output = "warming up\nMETRIC total=12.5\r\nMETRIC  peak_mb = 3\n METRIC total=99\nMETRICS total=1\n"
    assert parse("metric-line", output, options()) == {"total": 12.5, "peak_mb": 3.0}


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("12.5ms", "us", 12_500.0),
        ("12.5 ms", "ms", 12.5),
        ("3us", "ns", 3000.0),
        ("3µs", "ns", 3000.0),
        ("3μs", "us", 3.0),
        ("2min", "s", 120.0),
        ("1e3ns", "us", 1.0),
        (".5s", "ms", 500.0),
        ("0.1s", "ms", 100.0),
        ("3MB", "B", 3e6),
        ("1GiB", "MiB", 1024.0),
        ("1kB", "KiB", 1000 / 1024),
        ("97.5%", "%", 97.5),
        ("7tokens", "tokens", 7.0),
        ("7", "tokens", 7.0),
        ("-0.25", "", -0.25),
    ],
)
def test_a_unit_is_converted_to_the_declared_one(text: str, unit: str, value: float) -> None:
    assert parse("metric-line", f"METRIC total={text}", options(unit=unit)) == {"total": value}


def test_other_metrics_come_in_base_units() -> None:
    output = "METRIC total=1ms\nMETRIC load=20ms\nMETRIC peak=2MB\nMETRIC hits=90%"
    assert parse("metric-line", output, options(unit="ms")) == {
        "total": 1,
        "load": 0.02,
        "peak": 2e6,
        "hits": 90,
    }


@pytest.mark.parametrize(
    ("output", "unit", "reason"),
    [
        ("", "", "no 'total'"),
        ("METRIC other=1", "", "no 'total' in the output; it gives other"),
        ("METRIC total=1\nMETRIC total=1", "", "given 2 times"),
        ("METRIC total=nan", "", "nan, not a finite number"),
        ("METRIC total=-Infinity", "", "not a finite number"),
        ("METRIC total=1e999", "", "not a finite number"),
        ("METRIC total=1e308min", "ns", "too large"),
        ("METRIC total=fast", "", "not a number: 'fast'"),
        ("METRIC total=", "", "not `METRIC name=value`"),
        ("METRIC total", "", "not `METRIC name=value`"),
        ("METRIC total=1_000", "", "unknown unit '_000'"),
        ("METRIC total=1,5", "", "unknown unit ',5'"),
        ("METRIC total=١٢", "", "not a number"),
        ("METRIC total=5parsec", "ms", "unknown unit 'parsec'"),
        ("METRIC total=5MB", "ms", "in 'MB', but the metric's unit is 'ms'"),
        ("METRIC total=5ms", "", "in 'ms', but the metric's unit is ''"),
    ],
)
def test_metric_line_refuses(output: str, unit: str, reason: str) -> None:
    assert reason in refusal("metric-line", output, options(unit=unit))


@pytest.mark.parametrize(("repeats", "value"), [("last", 2.0), ("median", 3.0), ("min", 2.0), ("max", 9.0)])
def test_repeats_says_what_several_lines_mean(repeats: str, value: float) -> None:
    output = "METRIC total=3\nMETRIC total=9\nMETRIC total=2"
    assert parse("metric-line", output, options(repeats=repeats)) == {"total": value}


def test_a_reason_stays_short_whatever_was_printed() -> None:
    assert len(refusal("metric-line", "METRIC total=" + "x" * 10**6, options())) < 200


# --- regex -------------------------------------------------------------------------------------------


def test_regex_reads_group_one_or_the_group_named_value() -> None:
    assert parse("regex", "a\nval_bpb:  0.9979\nb", options(pattern=r"^val_bpb:\s+(\S+)$")) == {
        "total": 0.9979
    }
    named = options(pattern=r"(\w+) took (?P<value>\S+)", unit="s")
    assert parse("regex", "it took 1500ms", named) == {"total": 1.5}


@pytest.mark.parametrize(
    ("output", "pattern", "reason"),
    [
        ("x", r"y=(\d)", "matches nothing"),
        ("y=1 y=1", r"y=(\d)", "given 2 times"),
        ("y=", r"y=(\d)?", "not a number: ''"),
        ("y=nan", r"y=(\w+)", "not a finite number"),
    ],
)
def test_regex_refuses(output: str, pattern: str, reason: str) -> None:
    assert reason in refusal("regex", output, options(pattern=pattern))


# --- json --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "path", "value"),
    [
        ({"results": [{"mean": 2}]}, "results.0.mean", 2.0),
        ({"a": {"b": [0, 1, {"c": 3.5}]}}, "a.b[2].c", 3.5),
        ({"a": {"x.y": 4}}, 'a["x.y"]', 4.0),
        ([[7]], "[0][0]", 7.0),
        (5, "", 5.0),
    ],
)
def test_json_follows_a_path(document: object, path: str, value: float) -> None:
    assert parse("json", json.dumps(document), options(path=path))["total"] == value


def test_json_without_a_path_reads_the_member_named_like_the_metric() -> None:
    document = {"total": 1.5, "peak_mb": 20, "ok": True, "note": "x", "parts": {"a": 1}}
    assert parse("json", json.dumps(document), options()) == {"total": 1.5, "peak_mb": 20.0}


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("", "not a JSON document"),
        ('{"total": NaN}', "holds NaN"),
        ('{"total": 1e999}', "not a finite number"),
        ('{"total": ' + "9" * 5000 + "}", "not a finite number"),
        ('{"total": "1.5"}', "not a number but '1.5'"),
        ('{"total": true}', "not a number but True"),
        ('{"total": null}', "not a number but None"),
        ('{"total": 1, "total": 2}', "gives 'total' twice"),
        ('{"other": 1}', "has no 'total'"),
        ("[1]", "has no 'total'"),
    ],
)
def test_json_refuses(output: str, reason: str) -> None:
    assert reason in refusal("json", output, options())


# --- benchmark tools ---------------------------------------------------------------------------------


def pytest_benchmark_file(**medians: float) -> str:
    """The members of pytest-benchmark 5's file that matter here."""
    entries = [
        {"name": name, "fullname": f"test_b.py::{name}", "stats": {"min": m / 2, "median": m, "ops": 1 / m}}
        for name, m in medians.items()
    ]
    return json.dumps({"machine_info": {}, "benchmarks": entries, "version": "5.3.1"})


def test_pytest_benchmark_gives_each_benchmark_and_their_sum() -> None:
    output = pytest_benchmark_file(fast=0.001, slow=0.002)
    assert parse("pytest-benchmark", output, options(unit="us")) == {
        "total": 3000,
        "fast": 1000,
        "slow": 2000,
    }
    assert parse("pytest-benchmark", output, options("slow")) == {"fast": 0.001, "slow": 0.002}
    assert parse("pytest-benchmark", output, options(benchmark="fast", stat="min"))["total"] == 0.0005


def test_pytest_benchmark_tells_apart_equal_names_by_full_name() -> None:
    document = json.loads(pytest_benchmark_file(same=1.0))
    twin = {**document["benchmarks"][0], "fullname": "test_c.py::same"}
    output = json.dumps({"benchmarks": [*document["benchmarks"], twin]})
    assert "same name" in refusal("pytest-benchmark", output, options())
    assert parse("pytest-benchmark", output, options(key="fullname"))["total"] == 2.0


def test_a_real_pytest_benchmark_run_is_read(tmp_path: Path) -> None:
    pytest.importorskip("pytest_benchmark")
    (tmp_path / "test_sum.py").write_text("def test_sum(benchmark): benchmark(lambda: sum(range(10)))")
    line = [sys.executable, "-m", "pytest", "-q", "--benchmark-json=bench.json", "--benchmark-max-time=0.01"]
    subprocess.run([*line, "test_sum.py"], cwd=tmp_path, capture_output=True, check=True)
    numbers = parse("pytest-benchmark", (tmp_path / "bench.json").read_text(), options(unit="ns"))
    assert numbers["total"] == numbers["test_sum"] > 0


def hyperfine_file(*medians: float, exit_codes: tuple[int | None, ...] = (0, 0)) -> str:
    """What hyperfine 1.19 exports, less the members nobody reads."""
    results = [
        {"command": f"run {i}", "mean": m, "median": m, "min": m, "times": [m, m], "exit_codes": exit_codes}
        for i, m in enumerate(medians)
    ]
    return json.dumps({"results": results})


def test_hyperfine_by_command_by_index_or_the_sum() -> None:
    output = hyperfine_file(0.5, 0.25)
    assert parse("hyperfine", output, options(unit="ms")) == {"total": 750, "run 0": 500, "run 1": 250}
    assert parse("hyperfine", output, options(benchmark="1"))["total"] == 0.25
    assert parse("hyperfine", output, options(benchmark="run 0"))["total"] == 0.5
    assert "no benchmark '7'; it gives run 0, run 1" in refusal("hyperfine", output, options(benchmark="7"))


def hyperfine_2_file(*medians: float, exit_codes: tuple[int | None, ...] = (0, 0)) -> str:
    """What hyperfine 2.0 exports, less the members nobody reads."""
    results = [
        {
            "command": f"run {number}",
            "measurements": [{"exit_code": code} for code in exit_codes],
            "summary": {"time_cpu": {"median": 9.0}, "time_wall_clock": {"median": median}},
        }
        for number, median in enumerate(medians)
    ]
    return json.dumps({"schema_version": 2, "results": results})


def test_hyperfine_2_says_the_same() -> None:
    output = hyperfine_2_file(0.5, 0.25)
    assert parse("hyperfine", output, options(unit="ms")) == {"total": 750, "run 0": 500, "run 1": 250}
    for code in (1, None):
        failed = hyperfine_2_file(0.001, exit_codes=(0, code))
        assert "did not exit 0" in refusal("hyperfine", failed, options())


@pytest.mark.parametrize("code", [1, None])
def test_hyperfine_refuses_a_run_that_failed_however_fast(code: int | None) -> None:
    assert "did not exit 0" in refusal("hyperfine", hyperfine_file(0.001, exit_codes=(0, code)), options())


def pyperf_file(unit: str = "second") -> str:
    """As `pyperf timeit -o` writes it: the lone benchmark's name and unit stand at the top."""
    runs = [
        {"metadata": {}, "warmups": [[1, 9.0]]},
        {"metadata": {}, "values": [1.0, 2.0], "warmups": [[100, 9.0]]},
        {"metadata": {}, "values": [3.0, 100.0]},
    ]
    return json.dumps(
        {"benchmarks": [{"runs": runs}], "metadata": {"name": "timeit", "unit": unit}, "version": "1.0"}
    )


def test_pyperf_takes_the_median_over_all_runs() -> None:
    assert parse("pyperf", pyperf_file(), options(unit="ms")) == {"total": 2500.0, "timeit": 2500.0}
    assert parse("pyperf", pyperf_file("byte"), options(unit="kB"))["total"] == 0.0025
    assert parse("pyperf", pyperf_file("integer"), options(unit="tokens"))["total"] == 2.5


def test_pyperf_refuses_a_benchmark_with_warm_ups_only() -> None:
    output = json.dumps({"benchmarks": [{"runs": [{"warmups": [[1, 2.0]]}], "metadata": {"name": "a"}}]})
    assert "no values for 'a'" in refusal("pyperf", output, options())


# --- what the target says wrong ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parser", "chosen", "message"),
    [
        ("metric-line", options(repeat="last"), "did you mean 'repeats'"),
        ("metric-line", options(repeats="lats"), "did you mean 'last'"),
        ("regex", options(), "needs the option `pattern`"),
        ("regex", options(pattern="("), "no regular expression"),
        ("regex", options(pattern="x"), "no group"),
        ("json", options(path="a..b"), "cannot be read at character 2"),
        ("pytest-benchmark", options(stat="medain"), "did you mean 'median'"),
        ("hyperfine", options(unit="bpb"), "is no time"),
    ],
)
def test_wrong_options_are_the_target_s_error(parser: str, chosen: dict[str, str], message: str) -> None:
    output = {"json": '{"a": 1}', "hyperfine": hyperfine_file(1.0)}.get(parser, pytest_benchmark_file(a=1.0))
    with pytest.raises(TargetError) as caught:
        parse(parser, output, chosen)
    assert message in str(caught.value)


def test_an_unknown_parser_names_the_nearest() -> None:
    with pytest.raises(
        TargetError, match=r"unknown parser 'metric_line'; did you mean 'metric-line'\?.*hyperfine"
    ):
        find_parser("metric_line")


# --- plug-ins ----------------------------------------------------------------------------------------


def test_the_built_ins_are_the_entry_points() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = project["entry-points"][parsers.GROUP]
    assert {name: f"optiloop.parsers:{function.__name__}" for name, function in BUILTINS.items()} == declared


def returns(value: object) -> object:
    return lambda output, *, options: value


def fails(output: str, *, options: Mapping[str, str]) -> dict[str, float]:
    raise KeyError("no\nluck")


def refuses(output: str, *, options: Mapping[str, str]) -> dict[str, float]:
    raise MetricError("its own reason")


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> str:
    """Make this very module's functions parsers named by them."""
    names = ["fails", "refuses", "absent", "ROOT", "good", "wrong", "boolean", "endless", "unnamed"]
    found = {name: EntryPoint(name, f"{__name__}:{name}", parsers.GROUP) for name in names}
    found["missing-module"] = EntryPoint("missing-module", "no_such_module:parse", parsers.GROUP)
    monkeypatch.setattr(parsers, "_plugins", lambda: found)
    return "installed"


good = returns({"total": 2})
wrong = returns([1.0])
boolean = returns({"total": True})
endless = returns({"total": math.inf})
unnamed = returns({"total": 1.0, 3: 1.0})


@pytest.mark.usefixtures("plugin")
def test_a_plug_in_is_found_by_name() -> None:
    assert parse("good", "", options()) == {"total": 2.0}
    assert "good" in known_parsers()


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("fails", "parser 'fails' (plug-in) failed: KeyError: 'no\\nluck'"),
        ("refuses", "its own reason"),
        ("wrong", "parser 'wrong' returned list, not a dict"),
        ("boolean", "total: not a number but True"),
        ("endless", "the value is inf"),
        ("unnamed", "returned a number named 3"),
    ],
)
def test_a_plug_in_s_fault_is_a_metric_error_that_names_it(name: str, reason: str) -> None:
    assert reason in refusal(name, "", options())


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "missing-module",
            "'missing-module' (no_such_module:parse of unknown distribution) cannot be imported",
        ),
        ("absent", "AttributeError"),
        ("ROOT", "not a function"),
    ],
)
def test_a_plug_in_that_cannot_be_loaded_is_a_target_error(name: str, message: str) -> None:
    with pytest.raises(TargetError) as caught:
        find_parser(name)
    assert message in str(caught.value)


def test_a_metric_error_is_not_an_optiloop_error() -> None:
    assert not issubclass(MetricError, OptiloopError)


def test_built_ins_are_found_without_scanning_what_is_installed() -> None:
    code = (
        "import sys, optiloop.parsers as p; p.find_parser('json'); print('importlib.metadata' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "False\n"
