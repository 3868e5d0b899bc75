"""A stranger's folder of prompts and scripts as a vault: what becomes a task, and what it is judged by."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from optiloop.errors import UsageError
from optiloop.scaffold import write_target
from optiloop.targets import load_target
from optiloop.vault.adopt import adopt, checks_in, is_prompt
from optiloop.vault.checks import CHECKS
from optiloop.vault.task import load_tasks

FILES = {
    "README.md": "Write nothing here.\n",
    "notes/tea.md": "# Tea\nGreen tea is not boiled.\n",
    "prompts/digest.md": "Write a digest in 3 to 5 bullets.\n\n{text}\n",
    "prompts/title.md": "Write one title of at most 12 words for this digest.\n\n{{digest}}\n",
    "quiz/prompt.md": "Ask two questions about the note.\n\nExample:\nQ: Who?\nA: Nobody.\n\n{{ note }}\n",
    "quiz/pick.sh": "cat notes/*.md\n",
    "quiz/cleanup.sh": "sed 's/^Sure.*//'\n",
    "quiz/config.yaml": "model: qwen2.5:1.5b  # small\noptions:\n  num_predict: 90\n  temperature: 0.4\n",
    "due.sh": "ls notes\n",
    "log/day.log": "08:00 tea\n",
    "picture.png": "no text",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / name).write_text(text)
    return tmp_path / "mine"


def test_prompts_scripts_and_settings_become_tasks(folder: Path, tmp_path: Path) -> None:
    said = write_target(tmp_path / "made", "vault", folder)
    assert said[-1].startswith("next: optiloop check")
    tasks = load_tasks(tmp_path / "made")
    assert sorted(tasks) == ["digest", "due", "quiz", "title"]
    assert not [task.broken for task in tasks.values() if task.broken]
    quiz = tasks["quiz"]
    settings = quiz.settings
    assert (settings.num_predict, settings.temperature) == (90, 0.4)
    assert (settings.collect, settings.post) == ("collect.sh", "post.sh")
    assert (quiz.folder / "post.sh").read_text() == FILES["quiz/cleanup.sh"]
    assert quiz.prompt.endswith("{{facts}}\n")
    assert tasks["title"].rubric.after == ("digest",)
    assert tasks["due"].settings.pool == ()
    target = load_target(tmp_path / "made")
    assert "tasks/quiz/post.sh" in target.editable
    assert {guard.metric for guard in target.guards} >= {"task_quiz", "task_title"}
    assert "ollama:qwen2.5:1.5b" in (tmp_path / "made" / "models.toml").read_text()
    vault = sorted(file.name for file in (tmp_path / "made" / "vault").rglob("*") if file.is_file())
    assert vault == ["README.md", "day.log", "expected.toml", "tea.md"]
    assert {file.name: file.read_text() for file in folder.rglob("*.md")}["tea.md"] == FILES["notes/tea.md"]


def test_the_readme_says_what_was_guessed(folder: Path, tmp_path: Path) -> None:
    write_target(tmp_path / "made", "vault", folder)
    readme = (tmp_path / "made" / "README.md").read_text()
    assert "- quiz: quiz/cleanup.sh is its post.sh" in readme
    assert "- digest: {text} in its prompt is what its collector prints" in readme
    assert "- digest: judged by items, clean" in readme
    assert "- due: due.sh has no prompt: a task of a script alone" in readme


def test_every_guessed_check_is_one_that_there_is(folder: Path) -> None:
    rubrics = [
        text for path, text in adopt(folder, "2026-01-02").files.items() if path.startswith("rubrics/")
    ]
    kinds = {check["kind"] for text in rubrics for check in tomllib.loads(text).get("check", [])}
    assert kinds <= CHECKS.keys()
    assert {"items", "words", "clean", "fresh"} <= kinds


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("Write at least 5 bullets.", [("items", {"least": 5})]),
        ("Write exactly 3 lines. Start each with \"- \".", [("items", {"least": 3, "most": 3})]),
        ("Write exactly 3 lines.", []),
        ("Write about 100 words.", [("words", {"least": 75, "most": 125}), ("whole", {})]),
        ("Use at most 40 words.", [("words", {"least": 1, "most": 40})]),
        ("Write two to three sentences.", [("words", {"least": 12, "most": 120}), ("whole", {})]),
        ("Begin with\n---\ntitle: x\ntags: y\n---\n", [("front_matter", {"keys": ["title", "tags"]})]),
        ("Say KEEP if it is good, or REDO.", [("verdict", {"words": ["KEEP", "REDO"]})]),
        ("Say it.", []),
    ],
)  # fmt: skip
def test_counts_and_forms_become_checks(prompt: str, found: list[tuple[str, dict[str, object]]]) -> None:
    assert [(kind, arguments) for kind, arguments, _ in checks_in(prompt) if kind != "clean"] == found


@pytest.mark.parametrize(
    ("path", "text", "speaks"),
    [
        ("a.md", "Summarise this.\n", True),
        ("a.md", "# Head\n\nYou are an editor.\n", True),
        ("a.md", "About {{topic}}\n", True),
        ("my_prompt.txt", "tea\n", True),
        ("notes/a.md", "Green tea is not boiled.\n", False),
        ("README.md", "Write it.\n", False),
        ("a.sh", "write x\n", False),
    ],
)
def test_a_prompt_is_told_from_a_note(path: str, text: str, speaks: bool) -> None:
    assert is_prompt(path, text) is speaks


def test_what_is_no_folder_of_prompts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "tea.md").write_text("Green tea is not boiled.\n")
    with pytest.raises(UsageError, match="no prompt there"):
        write_target(tmp_path / "made", "vault", tmp_path / "notes")
    with pytest.raises(UsageError, match="no such folder"):
        write_target(tmp_path / "made", "vault", tmp_path / "none")
    with pytest.raises(UsageError, match="--template vault --from FOLDER"):
        write_target(tmp_path / "made", "vault")
    with pytest.raises(UsageError, match="and no other"):
        write_target(tmp_path / "made", "python", tmp_path / "notes")
    assert not (tmp_path / "made").exists()
