"""`anthropic:MODEL`: Anthropic's Messages API. Effect.

Written from its documentation, and tested with a server that speaks what is documented: no key was at hand.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from optiloop.proposers.llm.chat import Finish, Reply, Request
from optiloop.proposers.llm.openai import priced, unsaid
from optiloop.proposers.llm.patience import PATIENT, Patience, TransientError, persist
from optiloop.proposers.llm.prices import load_prices, price_of
from optiloop.proposers.llm.wire import Endpoint, endpoint, post, settled

ANTHROPIC = "https://api.anthropic.com"
VERSION = "2023-06-01"
_FINISH: dict[object, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}


@dataclass(frozen=True)
class Dialect:
    """What a model takes: newer ones refuse a temperature, older ones a schema."""

    temperature: bool = True
    schema: bool = True

    def without(self, said: str) -> Dialect | None:
        """The dialect that leaves out what was refused; None where nothing is left to give in."""
        if self.temperature and "temperature" in said.lower():
            return replace(self, temperature=False)
        if self.schema and ("output_config" in said or "schema" in said.lower()):
            return replace(self, schema=False)
        return None


class Anthropic:
    """Asks Anthropic's servers, or what ANTHROPIC_BASE_URL names. There is no seed to be had."""

    def __init__(self, model: str, *, to: Endpoint | None = None, patience: Patience = PATIENT) -> None:
        self.name = f"anthropic:{model}"
        self._model = model
        self._to = to or from_environment(self.name)
        self._patience = patience
        self._dialect = Dialect()
        self._answered = False
        self._prices = load_prices()
        self._said: set[str] = set()

    def complete(self, request: Request) -> Reply:
        """Answer; see Chat."""
        started = time.monotonic()
        patience = self._patience.within(request.seconds)
        self._dialect, body = settled(
            self._dialect,
            lambda dialect: persist(partial(self._once, request, dialect), patience),
            Dialect.without,
        )
        self._answered = True
        return self._reply(body, time.monotonic() - started)

    def _once(self, request: Request, dialect: Dialect, seconds: float) -> dict[str, Any]:
        headers = {"x-api-key": self._to.key, "anthropic-version": VERSION}
        body = body_of(self._model, request, dialect)
        found = post(self._to, "/v1/messages", headers, body, seconds, answered=self._answered)
        if not isinstance(found.get("content"), list) or not isinstance(found.get("usage"), dict):
            raise TransientError(f"{self.name} at {self._to.shown} answered without content and usage")
        return found

    def _reply(self, body: dict[str, Any], seconds: float) -> Reply:
        texts = [block.get("text") for block in body["content"] if isinstance(block, dict)]
        usage = body["usage"]
        tokens_in = sum(
            _count(usage, name)
            for name in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
        )
        tokens_out = _count(usage, "output_tokens")
        model = body["model"] if isinstance(body.get("model"), str) else self._model
        price = price_of(self._model, self._prices) or price_of(model, self._prices)
        usd, notes = priced(price, tokens_in, tokens_out, self.name)
        return Reply(
            "".join(text for text in texts if isinstance(text, str)),
            tokens_in,
            tokens_out,
            seconds,
            usd,
            _FINISH.get(body.get("stop_reason"), "other"),
            model,
            unsaid(notes, self._said),
        )


def from_environment(who: str) -> Endpoint:
    """The endpoint of ANTHROPIC_BASE_URL; without one Anthropic's own, which needs ANTHROPIC_API_KEY."""
    url = os.environ.get("ANTHROPIC_BASE_URL", "").strip()
    return endpoint(who, url or ANTHROPIC, "ANTHROPIC_API_KEY", needed=not url)


def body_of(model: str, request: Request, dialect: Dialect) -> dict[str, Any]:
    """The body of a request in a dialect. Temperatures end at 1 here."""
    system = "\n\n".join(message.content for message in request.messages if message.role == "system")
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": request.max_tokens,
        "messages": [
            {"role": message.role, "content": message.content}
            for message in request.messages
            if message.role != "system"
        ],
    }
    if system:
        body["system"] = system
    if dialect.temperature:
        body["temperature"] = min(request.temperature, 1.0)
    if dialect.schema and request.schema is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": dict(request.schema)}}
    return body


def _count(usage: dict[str, Any], name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) else 0
