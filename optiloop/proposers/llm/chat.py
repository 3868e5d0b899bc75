"""What is asked of a language model and what it answers: frozen values and one Protocol. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

Role = Literal["system", "user", "assistant"]
Finish = Literal["stop", "length", "refusal", "other"]
"""Why a model ended: it was done, it ran into a limit of tokens, it declined, or what we have no word for."""


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True)
class Request:
    """One question. `max_tokens` bounds the answer; `schema` is a JSON schema that it shall have, or None.
    `seconds` is how long it may take, waits and repeated attempts included.

    Same seed, same answer: only where the server keeps that promise (`local:` does). An endpoint that takes
    no seed, temperature or schema is asked without it.
    """

    messages: tuple[Message, ...]
    max_tokens: int
    seed: int = 0
    temperature: float = 0.8
    schema: Mapping[str, object] | None = None
    seconds: float = math.inf

    @property
    def short_seed(self) -> int:
        """The seed in 31 bits: engines cut it to 32, and some take the largest of those for "any"."""
        return self.seed % 2**31

    @property
    def size(self) -> int:
        """UTF-8 bytes of all messages: no tokenizer of bytes makes more tokens of them."""
        return sum(len(message.content.encode("utf-8", "replace")) for message in self.messages)


@dataclass(frozen=True)
class Reply:
    """One answer, and what it cost. `seconds` includes waits and repeated attempts.

    `model` is what the server calls itself, with a digest of its weights where that is known. `notes` are for
    the user, each said once per client: a price that is unknown, tokens that are estimated.
    """

    text: str
    tokens_in: int
    tokens_out: int
    seconds: float
    usd: float
    finish: Finish
    model: str
    notes: tuple[str, ...] = ()


class Chat(Protocol):
    """Anything that answers requests."""

    name: str

    def complete(self, request: Request) -> Reply:
        """Answer.

        Raises ProposerError when this request failed and another may not (a prompt that does not fit, a
        refused parameter), ProposerGoneError when there is nobody to ask: the message names server, model and
        mend, and never a key.
        """


def estimated_tokens(text: str) -> int:
    """Tokens of a text where nobody counted them: a quarter of its bytes."""
    return -(-len(text.encode("utf-8", "replace")) // 4)
