"""`ollama:MODEL`: an Ollama server, through its official client. Effect.

Ollama cuts a prompt that is longer than the context it was given, and says nothing. So the context is set
from the prompt's size, and an answer whose counts show a cut is not taken: it is asked for again with all the
room that the prompt can need, and where the model has not that much, the request fails.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import ollama

from optiloop.errors import ProposerError, ProposerGoneError
from optiloop.model import Cost
from optiloop.proposers.llm.chat import Finish, Reply, Request
from optiloop.proposers.llm.patience import PATIENT, Patience, TransientError, persist
from optiloop.proposers.llm.wire import Endpoint, bounds, failures, refuse, spoken, words

DEFAULT_HOST = "http://127.0.0.1:11434"
KEEP_ALIVE = "30m"
"""How long the model stays in memory: gates and samples lie between two questions."""

BYTES_PER_TOKEN = 2.5
"""The guess for the first attempt. Code has 3 to 4 (measured with Qwen2.5's tokenizer), German 2.8."""
TEMPLATE_TOKENS = 64
"""What a chat template adds to each message, at most."""
STEP = 1024
"""Contexts are multiples of this: Ollama loads the model anew for each size."""

_FINISH: dict[object, Finish] = {"stop": "stop", "length": "length"}


@dataclass(frozen=True)
class Card:
    """What a server tells of a model; `context` in tokens, None where it does not tell."""

    context: int | None
    thinks: bool
    digest: str


class Ollama:
    """Asks the server at OLLAMA_HOST. A model that can think is told not to: its budget is small."""

    def __init__(self, model: str, *, patience: Patience = PATIENT) -> None:
        self.name = f"ollama:{model}"
        self._model = model
        self._patience = patience
        self._card: Card | None = None
        host = os.environ.get("OLLAMA_HOST", "").strip() or DEFAULT_HOST
        self.to = Endpoint(self.name, host, variable="OLLAMA_API_KEY")
        try:
            with ollama.Client(host):
                pass
        except (ValueError, httpx.InvalidURL):
            raise ProposerGoneError(f"{self.name}: OLLAMA_HOST={self.to.shown} is no address") from None

    def complete(self, request: Request) -> Reply:
        """Answer; see Chat."""
        started = time.monotonic()
        patience = self._patience.within(request.seconds)
        card = self._card or persist(self.learn, patience)
        self._card = card
        tokens_in = tokens_out = 0
        for num_ctx in contexts(request, card.context):
            part = persist(partial(self._once, request, card, num_ctx), patience)
            tokens_in += part.prompt_eval_count or 0
            tokens_out += part.eval_count or 0
            if not was_cut(request, num_ctx, part.prompt_eval_count, part.eval_count or 0):
                text = part.message.content or ""
                finish = _FINISH.get(part.done_reason, "other")
                model = f"{part.model or self._model}{card.digest and '@' + card.digest[:12]}"
                seconds = time.monotonic() - started
                return Reply(text, tokens_in, tokens_out, seconds, 0.0, finish, model)
        raise ProposerError(
            f"{self.name}: the prompt of {request.size} bytes does not fit the model's context of"
            f" {card.context} tokens; the server cut it",
            Cost(0.0, tokens_in + tokens_out),
        )

    def learn(self, seconds: float) -> Card:
        """What the server tells of the model. Raises TransientError, ProposerGoneError."""
        with self._asking(seconds) as client:
            try:
                shown = client.show(self._model)
            except ollama.ResponseError as error:
                if error.status_code != 404:
                    raise
                there = [model.model for model in client.list().models if model.model]
                raise self._missing(there) from None
            models = client.list().models
        known = shown.modelinfo or {}
        context = known.get(f"{known.get('general.architecture')}.context_length")
        names = (self._model, f"{self._model}:latest")
        digest = next((model.digest for model in models if model.model in names), None)
        return Card(
            context if isinstance(context, int) and context > 0 else None,
            "thinking" in (shown.capabilities or []),
            digest or "",
        )

    def _once(self, request: Request, card: Card, num_ctx: int, seconds: float) -> ollama.ChatResponse:
        texts: list[str] = []
        with self._asking(seconds) as client:
            for part in client.chat(
                model=self._model,
                messages=[{"role": it.role, "content": it.content} for it in request.messages],
                stream=True,
                think=False if card.thinks else None,
                format=None if request.schema is None else dict(request.schema),
                keep_alive=KEEP_ALIVE,
                options={
                    "num_ctx": num_ctx,
                    "num_predict": request.max_tokens,
                    "seed": request.short_seed,
                    "temperature": request.temperature,
                },
            ):
                texts.append(part.message.content or "")
                if part.done:
                    part.message.content = "".join(texts)
                    return part
        raise TransientError(f"{self.name} at {self.to.shown} broke off in the middle of its answer")

    @contextmanager
    def _asking(self, seconds: float) -> Iterator[ollama.Client]:
        """A client for one call, whose errors become ours."""
        headers: dict[str, str] = {}

        def note(response: httpx.Response) -> None:
            headers.update(response.headers)

        bounded: dict[str, Any] = bounds(seconds)
        bounded["event_hooks"]["response"].append(note)
        try:
            with (
                failures(self.to, answered=self._card is not None),
                ollama.Client(self.to.url, **bounded) as client,
            ):
                yield client
        except ollama.ResponseError as error:
            if error.status_code == 404:
                raise self._missing([]) from None
            if error.status_code < 400:  # an error in the middle of a stream has none
                said = spoken(error.error)
                raise TransientError(f"{self.name} at {self.to.shown} broke off: {said}") from None
            refuse(self.to, error.status_code, words(error.error), headers)
        except ConnectionError:
            with failures(self.to, answered=self._card is not None):
                raise httpx.ConnectError("nobody listens") from None
        # What the client makes of lines that are no answers.
        except (ValueError, AttributeError, TypeError, RecursionError):
            raise TransientError(f"{self.name} at {self.to.shown} answered what is no answer") from None

    def _missing(self, there: list[str]) -> ProposerGoneError:
        listed = f"; there are {', '.join(there)}" if there else ""
        where = f"{self.name}: Ollama at {self.to.shown}"
        return ProposerGoneError(f"{where} has no such model; run: ollama pull {self._model}{listed}")


def contexts(request: Request, most: int | None) -> Iterator[int]:
    """The contexts to ask with, in tokens: a good guess, then what is surely enough, at most the model's own.

    Raises ProposerError where not even a prompt of eight bytes a token fits.
    """
    fixed = request.max_tokens + TEMPLATE_TOKENS * len(request.messages)
    if most is not None and request.size / 8 + fixed > most:
        raise ProposerError(
            f"a prompt of {request.size} bytes and an answer of {request.max_tokens} tokens do not fit"
            f" the model's context of {most} tokens"
        )
    asked = 0
    for needed in (request.size / BYTES_PER_TOKEN, request.size):
        rounded = -(-int(needed + fixed) // STEP) * STEP
        num_ctx = rounded if most is None else min(rounded, most)
        if num_ctx > asked:
            yield num_ctx
        asked = num_ctx


def was_cut(request: Request, num_ctx: int, prompt: int | None, answer: int) -> bool:
    """Whether an answer's counts show that its prompt was not read whole, or fell out while it was written.

    A prompt that fills the context was cut to it; one of more than ten bytes a token lost messages. A server
    that tells no count of the prompt is believed.
    """
    if prompt is None:
        return False
    return prompt + answer >= num_ctx or prompt * 10 < request.size
