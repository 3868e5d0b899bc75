"""The target text_processor: its gate has 51 tests, its judges pass the naive file and notice changes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

TARGET = Path(__file__).parents[1] / "targets" / "text_processor"


@pytest.fixture
def folder(tmp_path):
    """A copy of the target to break."""
    return Path(
        shutil.copytree(TARGET, tmp_path / "text_processor", ignore=shutil.ignore_patterns("__pycache__"))
    )


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-B", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def gate(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the gate's own command line."""
    line = tomllib.loads((folder / "target.toml").read_text())["gate"][0]["command"]
    return run(folder, *line.split()[1:], *options)


def replace(folder: Path, old: str, new: str) -> None:
    source = (folder / "text_processor.py").read_text()
    assert source.count(old) == 1
    (folder / "text_processor.py").write_text(source.replace(old, new))


def test_the_gate_has_51_tests_and_collects_nothing_else(folder):
    collected = re.findall(r"^\S+?::", gate(folder, "--collect-only").stdout, re.M)
    assert collected == ["test_text_processor.py::"] * 51
    assert "51 tests collected" in run(folder, "-m", "pytest", "-c", "/dev/null", "--co", "-q").stdout


def test_the_naive_file_passes_everything(folder):
    assert "51 passed" in gate(folder).stdout
    assert run(folder, "holdout.py").returncode == 0
    result = run(folder, "benchmark.py")
    assert result.returncode == 0, result.stderr
    names = re.findall(r"^METRIC (\w+)=", result.stdout, re.M)
    functions = re.findall(r"^def (\w+)", (folder / "text_processor.py").read_text(), re.M)
    assert names == [*(f"{name}_us" for name in functions), "combined_us", "import_us", "peak_mb"]


ONE_WRONG = """

import types

right = dict(globals())
for name, function in list(right.items()):
    if isinstance(function, types.FunctionType):
        right[name] = types.FunctionType(function.__code__, right)
globals().update(right)


def {name}(*arguments):
    return [right["{name}"](*arguments)]
"""
"""Appended to the file: one function answers wrongly, and the others still call the right one."""


def test_every_function_is_held_out(folder):
    source = (folder / "text_processor.py").read_text()
    for name in re.findall(r"^def (\w+)", source, re.M):
        (folder / "text_processor.py").write_text(source + ONE_WRONG.format(name=name))
        result = run(folder, "holdout.py")
        assert result.returncode == 1
        assert result.stderr.startswith(f"error: {name}: wrong answer ")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("if word == other:", "if word.lower() == other.lower():"),
        ("if result[j] > result[j + 1]:", "if result[j].lower() > result[j + 1].lower():"),
        ('text.split("\\n")', "text.splitlines()"),
        ("word[0].upper() + word[1:].lower()", "word.capitalize()"),
        ("counts[word] > counts[best]", "counts[word] >= counts[best]"),
        ('"your",', ""),
        ("text.lower()", "text.casefold()"),
        ("character in LOWER", "character.islower() and character in LOWER + 'ß'"),
    ],
    ids=["case", "sort by lower case", "splitlines", "capitalize", "ties", "stop word", "casefold", "ß"],
)
def test_the_hold_out_notices_near_misses(folder, old, new):
    replace(folder, old, new)
    assert run(folder, "holdout.py").returncode == 1


def test_a_failed_hold_out_says_how_to_see_it_again(folder):
    replace(folder, "counts[word] > counts[best]", "counts[word] >= counts[best]")
    error = run(folder, "holdout.py").stderr
    again = re.search(r"\(python holdout.py (\d+)\)", error)
    assert again
    assert run(folder, "holdout.py", again[1]).stderr == error


def test_the_suite_for_people_runs(folder):
    pytest.importorskip("pytest_benchmark")
    result = run(folder, "-m", "pytest", "-q", "bench_text_processor.py", "--benchmark-disable")
    assert "17 passed" in result.stdout
