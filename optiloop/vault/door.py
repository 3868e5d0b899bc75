"""The one door to models: workers and judges are asked here, and answers come back by content. Effect.

A model is named as proposers name them: `local:smollm2`, `local:/path/to.gguf`, `ollama:qwen2.5:1.5b`,
`openai:NAME`; or by an alias such as `worker`, which stands for the first of several that is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Finish = Literal["stop", "length", "refusal", "other", "overflow"]
"""Why an answer ended; `overflow`: prompt and answer do not fit `num_ctx`, and nobody was asked."""


@dataclass(frozen=True)
class Question:
    """What a model is asked: `num_predict` and `num_ctx` are tokens."""

    model: str
    prompt: str
    system: str = ""
    num_predict: int = 256
    num_ctx: int = 4096
    temperature: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Answer:
    """What came back. `model` carries the digest of its weights; `seconds` is 0 for what was remembered."""

    text: str
    finish: Finish
    model: str
    tokens_in: int
    tokens_out: int
    seconds: float
    remembered: bool = False


class Door:
    """Asks models, one question at a time: several at once change what they say."""

    def resolve(self, model: str) -> str:
        """The full name of what a name or an alias stands for here. Raises NoAnswerError: nothing is there."""
        raise NotImplementedError

    def ask(self, question: Question) -> Answer:
        """Answer a question, from the cache where the same one was answered the same twice before.

        Raises NoAnswerError where the model is not to be had.
        """
        raise NotImplementedError

    def probability_yes(self, prompt: str, *, model: str = "judge", system: str = "") -> float | None:
        """P(yes) / (P(yes) + P(no)) of the first token of an answer, by its log-probabilities; cached too.

        None where neither word is among the twenty likeliest tokens, or the server tells none.
        """
        raise NotImplementedError

    def close(self) -> None:
        """End what was started."""
