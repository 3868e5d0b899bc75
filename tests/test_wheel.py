"""The wheel: what is in it, and that it works from an empty folder without the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("hatchling") is None or find_spec("build") is None,
        reason="building a wheel needs build and hatchling: pip install build hatchling",
    ),
]


def ran(*words: str | Path, cwd: Path, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command that must end with this exit code."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        list(map(str, words)), cwd=cwd, env={**clean, **env}, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    words = ("-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT)
    ran(sys.executable, *words, cwd=folder)
    (built,) = folder.glob("optiloop-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel in it; its dependencies are those of the running environment."""
    site = tmp_path_factory.mktemp("site")
    words = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile", "--target", site)
    ran(sys.executable, *words, wheel, cwd=site)
    return site


def test_all_that_ships_is_inside(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    package = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "optiloop").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"optiloop/py.typed", "optiloop/bench/worker.py", "optiloop/report/report.html.j2"} <= package
    assert package <= names
    for kind in ("targets", "templates"):
        listed = ran("git", "ls-files", "-z", kind, cwd=ROOT).stdout.split("\0")[:-1]
        assert listed
        assert {f"optiloop/_shipped/{name}" for name in listed} <= names


def test_nothing_of_this_machine_is_inside(wheel):
    for name in zipfile.ZipFile(wheel).namelist():
        assert not {"__pycache__", ".optiloop", "tests", "benchmarks"} & set(Path(name).parts[:3]), name


def test_a_built_in_and_a_new_target_run_from_an_empty_folder(installed, tmp_path):
    def optiloop(*words: str, code: int = 0) -> str:
        line = (sys.executable, "-m", "optiloop", *words)
        return ran(*line, cwd=tmp_path, code=code, PYTHONPATH=str(installed)).stdout

    where = (sys.executable, "-c", "import optiloop; print(optiloop.__file__)")
    home = ran(*where, cwd=tmp_path, PYTHONPATH=str(installed))
    assert Path(home.stdout.strip()).is_relative_to(installed)
    # What is refused after the target was laid out, and before it is measured: its benchmark is made short.
    optiloop("run", "text_processor", "--until", "soon", code=2)
    benchmark = tmp_path / "text_processor/benchmark.py"
    cases, main, rest = benchmark.read_text().partition('if __name__ == "__main__":')
    benchmark.write_text(f"{cases}CASES = CASES[:1]\n\n{main}{rest}")
    candidate = {"path": "text_processor.py", "text": "", "hypothesis": "nothing is fastest"}
    (tmp_path / "candidate.jsonl").write_text(json.dumps(candidate))
    said = optiloop("run", "text_processor", "--cycles", "1", "--proposer", "replay:candidate.jsonl")
    assert "experiments  1: 1 gate_failed" in said
    optiloop("new", "x", "--template", "python", "--no-check")
    assert optiloop("check", "x").startswith("x can be optimized.")
    assert "1 keep" in optiloop("run", "x", "--cycles", "1")
