"""How the time grows: the fit on made-up times, the benchmark's flag, and the command on a real campaign."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optiloop.bench import BenchError
from optiloop.bench.scaling import LONG_ENOUGH_US, SEEN, TOO_LONG_US, exponent, measured_growth
from optiloop.errors import TargetError
from optiloop.loop import Engine
from optiloop.model import Status
from optiloop.scaling import ANOTHER_CLASS, Scaling, scalings
from optiloop.targets import load_target
from optiloop.testing import ScriptedProposer, write_toy_target

QUADRATIC = """
    def unique(items):
        found = []
        for item in items:
            if item not in found:
                found.append(item)
        return found
"""
LINEAR = """
    def unique(items):
        return list(dict.fromkeys(items))
"""
DRIVER = """
    from optiloop import bench

    def numbers(rng, n):
        return [[rng.random() for _ in range(n)]]

    CASES = [
        bench.Case("unique", lambda rng: numbers(rng, 1500), lambda items: items, scaled=numbers),
    ]

    if __name__ == "__main__":
        bench.main("program.py", CASES)
"""
TELLING = """
    import os, sys

    def number(folder):
        quadratic = "for item" in open(os.path.join(folder, "program.py")).read()
        return 2.0 if quadratic else 1.0

    for prefix, folder in ("", "."), ("rival.", os.environ["OPTILOOP_RIVAL"]):
        name = "unique_exponent" if "--scaling" in sys.argv else "combined_us"
        print(f"METRIC {prefix}{name}={number(folder)}")
"""
TOML = """
    name = "growing"
    editable = ["program.py"]

    [[gate]]
    command = "python -c 'import program'"

    [metric]
    name = "combined_us"
    command = "python benchmark.py"
    duet = true
"""


@given(st.floats(0.2, 4), st.floats(1e-3, 1e3), st.integers(3, 9))
def test_a_power_is_found_again(power: float, factor: float, count: int) -> None:
    sizes = [2**k for k in range(8, 8 + count)]
    us = [1e6 * factor * (size / sizes[-1]) ** power for size in sizes]
    found = exponent(sizes, us)
    assert found is None or found == pytest.approx(power)
    assert found is not None or sum(one >= us[-1] * SEEN for one in us) < 3 or us[-1] < LONG_ENOUGH_US / 10


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_a_busy_spell_does_not_bend_the_line(power: float) -> None:
    """Every third call takes up to four times as long, beside a channel of 50 microseconds."""

    def off_by(seed: int) -> float:
        draw = random.Random(seed)

        def call(size: int) -> float:
            busy = draw.uniform(1, 4) if draw.random() < 1 / 3 else draw.uniform(1, 1.05)
            return (50 + 0.1 * size**power) * busy

        found = measured_growth(call).exponent
        return math.inf if found is None else abs(found - power)

    offs = [off_by(seed) for seed in range(300)]
    assert sum(off >= ANOTHER_CLASS / 2 for off in offs) <= 3


def test_an_error_ends_the_doubling_but_not_at_the_first_size() -> None:
    def call(size: int) -> float:
        if size > 64:
            raise BenchError("too deep")
        return 10.0 * size

    assert measured_growth(call).sizes == (8, 16, 32, 64)
    with pytest.raises(BenchError, match="too deep"):
        measured_growth(lambda size: call(1000 * size))


def test_what_explodes_is_not_called_again_and_again() -> None:
    assert sum(measured_growth(lambda size: 1.1**size).us) < 2 * TOO_LONG_US


def test_what_is_hidden_in_the_channel_s_time_does_not_count() -> None:
    sizes = [8, 16, 32, 64, 128, 256, 512, 1024]
    us = [50.0, 50.0, 50.0, 50.0, 50.0, 1000.0, 4000.0, 16000.0]
    assert exponent(sizes, us) == pytest.approx(2.0)


def test_too_little_is_not_told() -> None:
    assert exponent([], []) is None
    assert exponent([8, 16], [5e3, 1e4]) is None
    assert exponent([8, 16, 32, 64], [50.0, 51.0, 49.0, 50.0]) is None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {"program.py": QUADRATIC, "benchmark.py": DRIVER, "target.toml": TOML}
    for name, text in files.items():
        (tmp_path / name).write_text(dedent(text))
    return tmp_path


def run(folder: Path, *options: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "benchmark.py", "--scaling", "--json", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_the_benchmark_tells_the_exponent_of_each_function_with_scaled_inputs(folder: Path) -> None:
    """On a machine too busy to tell there is none."""
    found = run(folder)
    assert list(found) in ([], ["unique_exponent"])
    assert all(map(math.isfinite, found.values()))


def test_a_function_that_ends_early_is_told_by_what_it_did(folder: Path) -> None:
    deep = "def unique(items):\n    return items if len(items) < 2 else items[:1] + unique(items[1:])\n"
    (folder / "program.py").write_text(deep)
    run(folder)  # the recursion becomes too deep: no error


def test_a_benchmark_without_scaled_inputs_tells_nothing(folder: Path) -> None:
    driver = (folder / "benchmark.py").read_text().replace(", scaled=numbers", "")
    (folder / "benchmark.py").write_text(driver)
    assert run(folder) == {}


def test_baseline_and_champion_side_by_side(folder: Path) -> None:
    """The measured exponents themselves are noise here; the numbers of the program take their place."""
    (folder / "benchmark.py").write_text(dedent(TELLING))
    with Engine.opened(load_target(folder), ScriptedProposer(dedent(LINEAR))) as engine:
        engine.prepare()
        experiment = engine.cycle()
        assert experiment is not None
        assert experiment.status is Status.KEEP
        (found,) = scalings(engine)
        assert engine.workspace.tampered() == []
    assert found == Scaling("unique", 2.0, 1.0)
    assert found.as_text().endswith("another class")


def test_a_benchmark_that_does_not_know_the_flag_is_one_line(tmp_path: Path) -> None:
    target = load_target(write_toy_target(tmp_path, score="exit $#\n"))
    with Engine.opened(target, ScriptedProposer()) as engine, pytest.raises(TargetError, match="scaled"):
        scalings(engine)


def test_close_exponents_are_one_class() -> None:
    assert not Scaling("f", 1.0, 1.3).changed
    assert Scaling("f", 2.0, 1.1).changed
    assert not Scaling("f", None, 1.0).changed
    assert Scaling("f", None, 1.0).as_text().endswith("exponent ? -> 1.0")
