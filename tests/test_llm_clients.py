"""Clients found by name, with nothing loaded that the name does not need."""

from __future__ import annotations

import subprocess
import sys

import pytest
from llm_server import KEY

from optiloop.errors import UsageError
from optiloop.proposers.llm.clients import find_chat


@pytest.mark.parametrize("name", ["ollama:qwen2.5-coder:1.5b", "openai:o3", "anthropic:claude-sonnet-5"])
def test_a_client_has_the_name_it_was_found_by(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(variable, KEY)
    assert find_chat(name).name == name


@pytest.mark.parametrize("name", ["", "ollama", "ollama:", "llama:7b", ":x"])
def test_another_form_is_a_wrong_call(name: str) -> None:
    with pytest.raises(UsageError, match="there are ollama:MODEL"):
        find_chat(name)


def test_ollamas_client_is_loaded_for_ollama_alone() -> None:
    program = (
        "import sys\nfrom optiloop.proposers.llm.clients import find_chat\n"
        "assert not {'httpx', 'ollama'} & set(sys.modules)\n"
        "find_chat('openai:x')\nassert 'ollama' not in sys.modules\n"
        "find_chat('ollama:x')\nassert 'ollama' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], env={"OPENAI_API_KEY": KEY}, check=True)
