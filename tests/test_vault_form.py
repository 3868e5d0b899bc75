"""The gate of a vault: files that cannot be used are named before any model is asked."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from optiloop.vault import judge
from optiloop.vault.form import malformed
from optiloop.vault.task import load_tasks

SHIPPED = Path(__file__).parents[1] / "targets" / "vault"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("tasks", "rubrics"):
        shutil.copytree(SHIPPED / name, tmp_path / name)
    return tmp_path


def test_what_ships_has_faults_of_other_kinds_only(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    judge.main(root, ["--check"])
    assert "11 tasks" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("blog-writer/task.toml", "num_predict = \n", "blog-writer: task.toml: not TOML"),
        ("blog-writer/task.toml", 'pool = ["worker"]\nroom = 3\n', "unknown key 'room'"),
        ("knowledge-seeder/task.toml", 'pool = ["worker"]\npost = "gone.sh"\n', "names 'gone.sh'"),
        ("blog-writer/prompt.md", "Write of {{blog-draft}}.\n", "nothing fills {{blog-draft}}"),
        ("blog-writer/prompt.md", " \n", "blog-writer: prompt.md: is empty"),
        ("knowledge-quiz/collect.sh", "if true; then echo\n", "knowledge-quiz: collect.sh: not shell"),
        ("knowledge-seeder/post.sh", "echo 'open\n", "knowledge-seeder: post.sh: not shell"),
        ("knowledge-quiz/more.py", "def f(:\n", "knowledge-quiz: more.py: not Python"),
    ],
)
def test_what_cannot_be_used_is_named(root: Path, file: str, text: str, said: str) -> None:
    (root / "tasks" / file).write_text(text)
    (found,) = malformed(load_tasks(root))
    assert said in found
    with pytest.raises(SystemExit, match="error: "):
        judge.main(root, ["--check"])


def test_no_script_is_run(root: Path) -> None:
    trace = root / "ran"
    (root / "tasks" / "knowledge-quiz" / "collect.sh").write_text(f"touch {trace}\n")
    assert not malformed(load_tasks(root))
    assert not trace.exists()
