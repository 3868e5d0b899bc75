"""`optiloop new` around a project: what is guessed, what is asked, and that nothing is overwritten."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from test_cli import call

from optiloop import wrap
from optiloop.targets import load_target

EXAMPLES = Path(__file__).parents[1] / "examples"
PYTHON = {
    "pyproject.toml": '[project]\nname = "fast-words"\n',
    "src/words.py": "def words(text):\n    return text.split()\n" * 3,
    "src/other.py": "x = 1\n" * 90,
    "tests/test_words.py": "from words import words\n\n\ndef test_words():\n    assert words('a') == ['a']\n",
}
MAKE = {
    "Makefile": "test: tool\n\t./tool\nbench: tool\n\t./tool 9\n",
    "tool.c": "int main(void) { return 0; }\n",
}


@pytest.mark.parametrize(
    ("files", "manager", "file", "gate", "metric", "why"),
    [
        (PYTHON, "pip", "src/words.py", "pytest -q", "CPU time of: python -m pytest", "for want of"),
        (
            {**PYTHON, "uv.lock": "", "tests/test_speed.py": "def test_speed(benchmark):\n    pass\n"},
            "uv",
            "src/words.py",
            "--benchmark-skip",
            "--benchmark-json=optiloop-bench.json tests/test_speed.py",
            "pytest-benchmark: tests/test_speed.py",
        ),
        (
            {**PYTHON, "benchmark.py": "import words\nprint(f'METRIC words_us={1}')\n"},
            "pip",
            "src/words.py",
            "pytest -q",
            "python benchmark.py",
            "a benchmark: benchmark.py",
        ),
        (MAKE, "make", "tool.c", "make -s test", "CPU time of: make -s bench", "make: the target `bench`"),
        (
            {"tool.sh": "echo 1\n", "speed/run.sh": "hyperfine -w 3 'sh tool.sh --all'\n"},
            "",
            "tool.sh",
            "",
            "CPU time of: sh tool.sh --all",
            "hyperfine: speed/run.sh",
        ),
        (
            {"package.json": '{"scripts": {"test": "x", "bench": "y"}}', "index.js": "1\n"},
            "npm",
            "index.js",
            "npm test --silent",
            "CPU time of: npm run --silent bench",
            "npm: the script `bench` of package.json",
        ),
        (
            {"Cargo.toml": '[package]\nname = "x"\n', "src/lib.rs": "fn f() {}\n"},
            "cargo",
            "src/lib.rs",
            "cargo test --offline --quiet",
            "CPU time of: cargo test --offline --quiet",
            "for want of",
        ),
    ],
)
def test_what_a_project_says_of_itself(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: Mapping[str, str],
    manager: str,
    file: str,
    gate: str,
    metric: str,
    why: str,
) -> None:
    monkeypatch.setattr(wrap.shutil, "which", lambda name: None)
    plan = wrap.guess(wrap.read_project(project(tmp_path / "p", files)))
    assert (plan.manager, plan.files) == (manager, (file,))
    assert gate in (plan.gate or "")
    assert plan.metric is not None
    assert metric in plan.metric.shown
    assert why in plan.why["metric"]


def test_a_projects_own_environment_runs_its_tests(tmp_path: Path) -> None:
    root = project(tmp_path / "p", {**PYTHON, ".venv/bin/python": ""})
    plan = wrap.guess(wrap.read_project(root))
    assert (plan.gate or "").startswith(f"{root}/.venv/bin/python -m pytest")
    assert plan.read_only == (f"{root}/.venv",)


def test_every_guess_is_shown_and_can_be_overridden(tmp_path: Path) -> None:
    root = project(tmp_path / "p", {**MAKE, "score.sh": 'echo "METRIC hits_per_s=3"\n'})
    before = contents(root)
    flags = ("--file", "tool.c", "--gate", "", "--metric", "sh score.sh", "--no-check")
    said = call("new", "p", *flags, here=tmp_path)
    assert (said.code, said.out.count("as you said")) == (0, 3), said
    target = load_target(root)
    assert (target.gates, target.metric.name, target.metric.direction) == ((), "hits_per_s", "maximize")
    assert {path: text for path, text in contents(root).items() if path != "target.toml"} == before
    again = call("new", "p", "--no-check", here=tmp_path)
    assert (again.code, "is there already" in again.error) == (2, True)


def test_a_project_is_wrapped_from_within(tmp_path: Path) -> None:
    root = project(tmp_path / "p", PYTHON)
    assert call("new", ".", "--no-check", here=root).code == 0
    assert set(contents(root)) == {*PYTHON, "target.toml"}
    assert load_target(root).name == "fast-words"


def test_a_copy_leaves_the_project_alone(tmp_path: Path) -> None:
    root = project(tmp_path / "p", {**MAKE, ".git/config": "", "node_modules/x.js": ""})
    before = contents(root)
    assert call("new", "mine", "--from", "p", "--no-check", here=tmp_path).code == 0
    assert contents(root) == before
    assert set(contents(tmp_path / "mine")) == {*MAKE, "target.toml"}
    again = call("new", "mine", "--from", "p", "--no-check", here=tmp_path)
    assert (again.code, "nothing was overwritten" in again.error) == (2, True)


@pytest.mark.parametrize(
    ("files", "words", "said"),
    [
        ({"README.md": "x"}, (), "--file PATH"),
        ({"a.c": "int x;\n"}, (), "--speed 'COMMAND'"),
        ({"a.c": "int x;\n"}, ("--metric", "a", "--speed", "b"), "choose one"),
    ],
)
def test_what_nobody_can_guess_is_asked_for_in_one_line(
    tmp_path: Path, files: Mapping[str, str], words: tuple[str, ...], said: str
) -> None:
    root = project(tmp_path / "p", files)
    ended = call("new", "p", *words, here=tmp_path)
    assert (ended.code, said in ended.error) == (2, True), ended
    assert set(contents(root)) == set(files)


def test_on_a_terminal_the_guesses_are_asked_about(tmp_path: Path) -> None:
    root = project(tmp_path / "p", {**MAKE, "other.c": "int x;\n", "score.sh": 'echo "METRIC score=3"\n'})
    said = typed(tmp_path, "other.c\n", "\n", "sh score.sh\n")
    assert "Gate, - for none [make -s test]:" in said
    target = load_target(root)
    assert (target.editable, target.metric.name) == (("other.c",), "score")


@pytest.mark.skipif(
    not (shutil.which("make") and shutil.which("cc")), reason="the programs make and cc are not installed"
)
def test_a_c_program_with_make_runs_to_a_first_keep(tmp_path: Path) -> None:
    said = call("new", "mine", "--from", EXAMPLES / "c_make", here=tmp_path)
    assert "mine can be optimized." in said.out, said
    assert "a night of eight hours will hold about" in said.out
    source = (tmp_path / "mine" / "primes.c").read_text()
    better = {
        "path": "primes.c",
        "text": source.replace("d < n;", "d * d <= n;"),
        "hypothesis": "up to the root",
    }
    (tmp_path / "better.jsonl").write_text(json.dumps(better) + "\n")
    assert call("step", "mine", "--proposer", f"replay:{tmp_path}/better.jsonl", here=tmp_path).code == 0
    assert '"keep"' in call("log", "mine", "--json", here=tmp_path).out


def project(root: Path, files: Mapping[str, str]) -> Path:
    """Write a project's files."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def contents(root: Path) -> dict[str, str]:
    """The text of every file below a folder."""
    return {file.relative_to(root).as_posix(): file.read_text() for file in root.rglob("*") if file.is_file()}


def typed(here: Path, *answers: str) -> str:
    """What `optiloop new p --no-check` says on a terminal on which somebody types these answers."""
    master, terminal = pty.openpty()
    words = [sys.executable, "-m", "optiloop", "new", "p", "--no-check"]
    child = subprocess.Popen(words, cwd=here, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    os.write(master, "".join(answers).encode())
    said = b""
    while True:
        try:
            part = os.read(master, 4096)
        except OSError:  # on Linux so a terminal ends that nobody holds any more
            break
        if not part:
            break
        said += part
    os.close(master)
    assert child.wait() == 0, said.decode()
    return said.decode()
