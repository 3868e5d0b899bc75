"""`openai:MODEL`: what speaks OpenAI's chat completions: llama.cpp, vLLM, LM Studio, OpenRouter. Effect."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from optiloop.proposers.llm.chat import Finish, Reply, Request, estimated_tokens
from optiloop.proposers.llm.patience import PATIENT, Patience, TransientError, persist
from optiloop.proposers.llm.prices import Price, load_prices, price_of
from optiloop.proposers.llm.wire import Endpoint, endpoint, post, settled

OPENAI = "https://api.openai.com/v1"
FORMS = ("json_schema", "json_object with schema", "json_object", "none")
"""How an answer's schema is asked for, each tried where the one before is refused: OpenAI and llama.cpp take
the first, llama-cpp-python the second, DeepSeek the third."""

_FINISH: dict[object, Finish] = {"stop": "stop", "length": "length", "content_filter": "refusal"}


@dataclass(frozen=True)
class Dialect:
    """What an endpoint takes, as far as its refusals have told."""

    form: str = FORMS[0]
    limit: str = "max_tokens"
    left_out: frozenset[str] = frozenset()

    def without(self, said: str, *, schema: bool) -> Dialect | None:
        """The dialect that leaves out what was refused; None where nothing is left to give in."""
        said = said.lower()
        if self.limit == "max_tokens" and "max_completion_tokens" in said:
            return replace(self, limit="max_completion_tokens")
        for name in ("temperature", "seed"):
            if name in said and name not in self.left_out:
                return replace(self, left_out=self.left_out | {name})
        if schema and self.form != FORMS[-1]:
            return replace(self, form=FORMS[FORMS.index(self.form) + 1])
        return None


class OpenAI:
    """Asks an endpoint. What it refuses is left out of later requests, once an answer has come without."""

    def __init__(self, model: str, *, to: Endpoint | None = None, patience: Patience = PATIENT) -> None:
        self.name = f"openai:{model}"
        self._model = model
        self._to = to or from_environment(self.name)
        self._patience = patience
        self._dialect = Dialect()
        self._answered = False
        self._prices = () if self._to.local else load_prices()
        self._said: set[str] = set()

    def complete(self, request: Request) -> Reply:
        """Answer; see Chat."""
        started = time.monotonic()
        patience = self._patience.within(request.seconds)
        self._dialect, body = settled(
            self._dialect,
            lambda dialect: persist(partial(self._once, request, dialect), patience),
            partial(Dialect.without, schema=request.schema is not None),
        )
        self._answered = True
        return self._reply(request, body, time.monotonic() - started)

    def _once(self, request: Request, dialect: Dialect, seconds: float) -> dict[str, Any]:
        # llama-cpp-python answers a schema that it does not know with 500.
        asks = request.schema is not None and dialect.form != FORMS[-1]
        found = post(
            self._to,
            "/chat/completions",
            {"authorization": f"Bearer {self._to.key}"} if self._to.key else {},
            body_of(self._model, request, dialect),
            seconds,
            answered=self._answered and not self._to.local,  # our own child does not come back
            refusals=frozenset({500}) if asks else frozenset(),
        )
        if not isinstance(_choice(found).get("message"), dict):
            raise TransientError(f"{self.name} at {self._to.shown} answered without a message")
        return found

    def _reply(self, request: Request, body: dict[str, Any], seconds: float) -> Reply:
        choice = _choice(body)
        text = _text(choice["message"].get("content"))
        usage = body.get("usage")
        usage = usage if isinstance(usage, dict) else {}
        notes = []
        tokens_in, tokens_out = usage.get("prompt_tokens"), usage.get("completion_tokens")
        if not isinstance(tokens_in, int) or not isinstance(tokens_out, int):
            asked = "\n".join(message.content for message in request.messages)
            tokens_in, tokens_out = estimated_tokens(asked), estimated_tokens(text)
            notes.append(f"{self.name}: the server tells no usage; tokens are estimated, 4 bytes each")
        model = body["model"] if isinstance(body.get("model"), str) else self._model
        usd = _stated(usage)
        if usd is None and not self._to.local:
            price = price_of(self._model, self._prices) or price_of(model, self._prices)
            usd, unknown = priced(price, tokens_in, tokens_out, self.name)
            notes += unknown
        refused = choice["message"].get("refusal")
        finish = "refusal" if refused else _FINISH.get(choice.get("finish_reason"), "other")
        return Reply(
            text, tokens_in, tokens_out, seconds, usd or 0.0, finish, model, unsaid(notes, self._said)
        )


def from_environment(who: str) -> Endpoint:
    """The endpoint of OPENAI_BASE_URL; without one OpenAI's own, which needs OPENAI_API_KEY."""
    url = os.environ.get("OPENAI_BASE_URL", "").strip()
    return endpoint(who, url or OPENAI, "OPENAI_API_KEY", needed=not url)


def body_of(model: str, request: Request, dialect: Dialect) -> dict[str, Any]:
    """The body of a request in a dialect."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        dialect.limit: request.max_tokens,
        "temperature": request.temperature,
        "seed": request.short_seed,
    }
    form = _response_format(request, dialect.form)
    if form is not None:
        body["response_format"] = form
    return {name: value for name, value in body.items() if name not in dialect.left_out}


def _response_format(request: Request, form: str) -> dict[str, Any] | None:
    if request.schema is None or form == "none":
        return None
    if form == "json_schema":
        return {"type": form, "json_schema": {"name": "answer", "schema": dict(request.schema)}}
    return {"type": "json_object"} | ({"schema": dict(request.schema)} if form != "json_object" else {})


def priced(price: Price | None, tokens_in: int, tokens_out: int, who: str) -> tuple[float, list[str]]:
    """What tokens cost, and what to say where nobody knows."""
    if price is None:
        said = f"{who}: no price is known, so it counts as 0 USD; name one in the file of OPTILOOP_PRICES"
        return 0.0, [said]
    return price.usd(tokens_in, tokens_out), []


def unsaid(notes: list[str], said: set[str]) -> tuple[str, ...]:
    """The notes that were not said yet; they are from now on."""
    new = tuple(note for note in notes if note not in said)
    said.update(new)
    return new


def _choice(body: dict[str, Any]) -> dict[str, Any]:
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def _text(content: object) -> str:
    """The text of a message: one string, or a list of parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _stated(usage: dict[str, Any]) -> float | None:
    """What the server itself says that the answer took, in USD: OpenRouter does."""
    cost = usage.get("cost")
    if isinstance(cost, bool) or not isinstance(cost, int | float):
        return None
    return float(cost) if math.isfinite(cost) and cost >= 0 else None
