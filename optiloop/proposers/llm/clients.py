"""Finds who is asked by a name: `ollama:MODEL`, `openai:MODEL`, `anthropic:MODEL`, `local:MODEL`."""

from __future__ import annotations

from importlib import import_module

from optiloop.errors import UsageError
from optiloop.proposers.llm.chat import Chat

CLIENTS = {
    "ollama": "ollama:Ollama",
    "openai": "openai:OpenAI",
    "anthropic": "anthropic:Anthropic",
    "local": "local:Local",
}


def find_chat(name: str) -> Chat:
    """The client of a name; only its own module is imported.

    Raises UsageError for a name of another form, ProposerGoneError where key, weights or address are missing.
    """
    kind, _, model = name.partition(":")
    if kind not in CLIENTS or not model:
        raise UsageError(f"no model {name!r}; there are {', '.join(f'{kind}:MODEL' for kind in CLIENTS)}")
    module, _, found = CLIENTS[kind].partition(":")
    client: Chat = getattr(import_module(f"optiloop.proposers.llm.{module}"), found)(model)
    return client
