"""The one door to models: workers and judges are asked here, and answers come back by content. Effect.

A model is named as proposers name them: `local:smollm2`, `local:/path/to.gguf`, `ollama:qwen2.5:1.5b`,
`openai:NAME`, `anthropic:NAME`; or by an alias such as `worker`, which stands for the first of several
that is there.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from threading import RLock
from typing import Any, Literal, Protocol, cast

from optiloop.errors import OptiloopError, ProposerError, ProposerGoneError, TargetError, UsageError
from optiloop.proposers.llm.chat import Message, Request, Role
from optiloop.proposers.llm.patience import Patience, TransientError, persist
from optiloop.proposers.llm.wire import Endpoint, failures, post, spoken
from optiloop.vault.memory import Memory, key_of

Finish = Literal["stop", "length", "refusal", "other", "overflow"]
"""Why an answer ended; `overflow`: prompt and answer do not fit `num_ctx`, and a server would cut them."""

FORM = 1
"""Raised when what is sent to a model changes: answers of another form are not these."""
MODELS = "OPTILOOP_MODELS"
"""Where a folder of GGUF files is named; `local:NAME` then finds NAME.gguf in it."""
CONTEXT = 8192
"""Tokens of the embedded engine's context, where the model has so many."""
LIKELIEST = 20
"""Tokens whose probabilities a server tells."""
WORD = 8
"""Tokens for one word, of a server that tells no probabilities."""
_PATIENCE = Patience(attempts=3, call=180.0, total=300.0)
_MOST_BYTES_PER_TOKEN = 8
_FINISH: dict[object, Finish] = {"stop": "stop", "length": "length", "content_filter": "refusal"}


class NoAnswerError(TargetError):
    """A model is not to be had, or will not answer a question; the message says which and why."""


@dataclass(frozen=True)
class Question:
    """What a model is asked: `num_predict` and `num_ctx` are tokens; `think` False tells it not to."""

    model: str
    prompt: str
    system: str = ""
    num_predict: int = 256
    num_ctx: int = 4096
    temperature: float = 0.0
    seed: int = 0
    think: bool = False

    @property
    def messages(self) -> list[dict[str, str]]:
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": self.prompt}]


@dataclass(frozen=True)
class Answer:
    """What came back. `model` carries the digest of its weights; `seconds` is 0 for what was remembered."""

    text: str
    finish: Finish
    model: str
    tokens_in: int
    tokens_out: int
    seconds: float = 0.0
    remembered: bool = False


@dataclass(frozen=True)
class Raw:
    """A server's answer; `likely` are (token, log-probability) of its first token."""

    text: str
    finish: Finish
    tokens_in: int
    tokens_out: int
    likely: tuple[tuple[str, float], ...] = ()


class Server(Protocol):
    """Where one model is asked."""

    def identity(self) -> str:
        """The model's name and the digest of its weights, where that is known."""

    def put(self, question: Question, *, likely: bool) -> Raw:
        """Ask. Raises ProposerError."""

    def close(self) -> None:
        """End what was started for it."""


class Door:
    """Asks models, one question at a time: several at once change what they say. Used from any thread.

    `calls` and `seconds` count what was really asked, `remembered` what was not.
    """

    def __init__(self, memory: Memory, aliases: Mapping[str, Sequence[str]] | None = None) -> None:
        self.memory = memory
        self.aliases = aliases or {}
        self.calls = self.remembered = 0
        self.seconds = 0.0
        self._servers: dict[str, Server | NoAnswerError] = {}
        self._one = RLock()

    def resolve(self, model: str) -> str:
        """The full name of what a name or an alias stands for here. Raises NoAnswerError where nothing is."""
        reasons = []
        for name in self.aliases.get(model, (model,)):
            try:
                self._server(name)
            except NoAnswerError as error:
                reasons.append(str(error))
            else:
                return name
        raise NoAnswerError("; ".join(reasons) or f"{model}: the alias stands for no model")

    def ask(self, question: Question) -> Answer:
        """Answer a question, from memory where the same one was answered the same twice before.

        Raises NoAnswerError where the model is not to be had.
        """
        with self._one:
            server = self._server(self.resolve(question.model))
            name = server.identity()
            if len(question.prompt.encode()) > question.num_ctx * _MOST_BYTES_PER_TOKEN:
                return Answer("", "overflow", name, 0, 0)
            raw, remembered, seconds = self._asked(server, question, likely=False)
        if raw.tokens_in + question.num_predict > question.num_ctx:
            return Answer("", "overflow", name, raw.tokens_in, 0, seconds, remembered)
        return Answer(raw.text, raw.finish, name, raw.tokens_in, raw.tokens_out, seconds, remembered)

    def probability_yes(self, prompt: str, *, model: str = "judge", system: str = "") -> float | None:
        """P(yes) / (P(yes) + P(no)) of the first token of an answer, by its log-probabilities.

        None where neither word is among the twenty likeliest tokens, or the server tells none.
        """
        question = Question(model, prompt, system, num_predict=1, num_ctx=CONTEXT)
        with self._one:
            raw, _, _ = self._asked(self._server(self.resolve(model)), question, likely=True)
        return yes_share(raw.likely)

    def identity(self, model: str) -> str:
        """The name and digest of what a name or an alias stands for."""
        with self._one:
            return self._server(self.resolve(model)).identity()

    def close(self) -> None:
        """End what was started."""
        with self._one:
            for server in self._servers.values():
                if not isinstance(server, NoAnswerError):
                    server.close()
            self._servers.clear()

    def _asked(self, server: Server, question: Question, *, likely: bool) -> tuple[Raw, bool, float]:
        started = time.monotonic()
        # At temperature 0 no seed is looked at: the same answer serves all of them.
        seed = question.seed if question.temperature > 0 else 0
        question = replace(question, seed=seed)
        key = key_of(FORM, server.identity(), asdict(replace(question, model="")), likely)

        def put() -> dict[str, Any]:
            try:
                return asdict(server.put(question, likely=likely))
            except OptiloopError as error:
                raise NoAnswerError(str(error)) from None

        value, remembered = self.memory.settled(key, put)
        self.remembered += remembered
        seconds = 0.0 if remembered else time.monotonic() - started
        if not remembered:
            self.calls += 1
            self.seconds += seconds
            self.memory.tally({"model": server.identity(), "seconds": round(seconds, 3)})
        pairs = tuple((str(token), float(logarithm)) for token, logarithm in value["likely"])
        return Raw(**{**value, "likely": pairs}), remembered, seconds

    def _server(self, name: str) -> Server:
        with self._one:
            if name not in self._servers:
                try:
                    self._servers[name] = server_of(name, self.memory)
                except (OptiloopError, TransientError) as error:
                    self._servers[name] = NoAnswerError(str(error))
            found = self._servers[name]
        if isinstance(found, NoAnswerError):
            raise found
        return found


def yes_share(likely: Sequence[tuple[str, float]]) -> float | None:
    """The share of "yes" in what the likeliest tokens give to "yes" and "no"; None where they say neither."""
    said = {"yes": 0.0, "no": 0.0}
    for token, logarithm in likely:
        word = token.strip().strip("*\"'.,!").lower()
        if word in said:
            said[word] += math.exp(logarithm)
    total = said["yes"] + said["no"]
    return said["yes"] / total if total > 0 else None


def server_of(name: str, memory: Memory) -> Server:
    """Where a model is asked; nothing is started yet. Raises ProposerError where it is not to be had."""
    kind, _, model = name.partition(":")
    if kind == "local" and model:
        return Embedded(model, memory)
    if kind == "ollama" and model:
        return OllamaServer(model)
    if kind == "openai" and model:
        from optiloop.proposers.llm.openai import from_environment

        return Completions(name, from_environment(name))
    if kind == "anthropic" and model:
        return Messages(model)
    raise UsageError(f"no model {name!r}; there are local:MODEL, ollama:MODEL, openai:MODEL, anthropic:MODEL")


class Completions:
    """A model behind OpenAI's chat completions."""

    def __init__(self, name: str, to: Endpoint) -> None:
        self.name, self._to = name, to

    def identity(self) -> str:
        return f"{self.name} at {self._to.shown}"

    def put(self, question: Question, *, likely: bool) -> Raw:
        return completed(self.name.partition(":")[2], self._to, question, likely=likely)

    def close(self) -> None:
        pass


class Messages:
    """A model of Anthropic's Messages API. It tells no probabilities: the word it says counts as sure."""

    def __init__(self, model: str) -> None:
        from optiloop.proposers.llm.anthropic import Anthropic, from_environment

        self._to = from_environment(f"anthropic:{model}")
        self._chat = Anthropic(model, to=self._to, patience=_PATIENCE)

    def identity(self) -> str:
        return f"{self._chat.name} at {self._to.shown}"

    def put(self, question: Question, *, likely: bool) -> Raw:
        messages = tuple(Message(cast("Role", it["role"]), it["content"]) for it in question.messages)
        said = self._chat.complete(
            Request(messages, WORD if likely else question.num_predict, temperature=question.temperature)
        )
        words = said.text.split()
        sure = ((words[0], 0.0),) if likely and words else ()
        return Raw(said.text, said.finish, said.tokens_in, said.tokens_out, sure)

    def close(self) -> None:
        pass


class Embedded:
    """A model in a llama.cpp engine of our own, started by the first question that nobody remembers."""

    def __init__(self, model: str, memory: Memory) -> None:
        from optiloop.proposers.llm.local import ModelServer, find_weights

        folder = os.environ.get(MODELS, "")
        file = Path(folder) / f"{model}.gguf" if folder else None
        self._weights = find_weights(str(file) if file is not None and file.is_file() else model)
        if find_spec("xllamacpp") is None:
            raise ProposerGoneError(f"local:{model}: no engine is installed: pip install 'optiloop[local]'")
        self._start = partial(ModelServer, self._weights, context=CONTEXT)
        self._running: ModelServer | None = None
        stat = self._weights.file.stat()
        known = key_of("digest", str(self._weights.file), stat.st_size, stat.st_mtime_ns)
        self._digest, _ = memory.settled(known, lambda: _sha256(self._weights.file))

    def identity(self) -> str:
        return f"local:{self._weights.name}@{self._digest[:12]}"

    def put(self, question: Question, *, likely: bool) -> Raw:
        if self._running is None:
            self._running = self._start()
        to = self._running.endpoint(f"local:{self._weights.name}")
        return completed(self._weights.name, to, question, likely=likely)

    def close(self) -> None:
        if self._running is not None:
            self._running.close()
        self._running = None


class OllamaServer:
    """A model of the Ollama server at OLLAMA_HOST."""

    def __init__(self, model: str) -> None:
        from optiloop.proposers.llm.ollama import Ollama

        chat = Ollama(model, patience=replace(_PATIENCE, attempts=1))
        self.name, self._model, self._to = chat.name, model, chat.to
        self._digest = chat.learn(5.0).digest

    def identity(self) -> str:
        return f"{self.name}@{self._digest[:12]}"

    def put(self, question: Question, *, likely: bool) -> Raw:
        return persist(partial(self._once, question, likely=likely), _PATIENCE)

    def _once(self, question: Question, seconds: float, *, likely: bool) -> Raw:
        import ollama

        options = {
            "num_ctx": question.num_ctx,
            "num_predict": question.num_predict,
            "temperature": question.temperature,
            "seed": question.seed,
        }
        try:
            with failures(self._to, answered=True), ollama.Client(self._to.url, timeout=seconds) as client:
                said = client.chat(
                    self._model,
                    question.messages,
                    think=question.think or None,
                    options=options,
                    logprobs=likely or None,
                    top_logprobs=LIKELIEST if likely else None,
                )
        except (ollama.ResponseError, ConnectionError) as error:
            raise TransientError(f"{self.name} at {self._to.shown}: {spoken(str(error))}") from None
        first = said.logprobs[0] if said.logprobs else None
        pairs = (
            tuple((str(it.token), float(it.logprob or 0.0)) for it in (first.top_logprobs or ()))
            if first
            else ()
        )
        return Raw(
            said.message.content or "",
            _FINISH.get(said.done_reason, "other"),
            said.prompt_eval_count or 0,
            said.eval_count or 0,
            pairs,
        )

    def close(self) -> None:
        pass


def completed(model: str, to: Endpoint, question: Question, *, likely: bool) -> Raw:
    """Ask a server of OpenAI's chat completions. Raises ProposerError."""
    body: dict[str, object] = {
        "model": model,
        "messages": question.messages,
        "max_tokens": question.num_predict,
        "temperature": question.temperature,
        "seed": question.seed,
    }
    if likely:
        body |= {"logprobs": True, "top_logprobs": LIKELIEST}
    headers = {"authorization": f"Bearer {to.key}"} if to.key else {}
    ask = partial(post, to, "/chat/completions", headers, body, answered=not to.local)
    try:
        return _raw(persist(lambda seconds: ask(seconds=seconds), _PATIENCE))
    except (KeyError, IndexError, TypeError, AttributeError):
        raise ProposerError(f"{to.who} at {to.shown} answered without a message") from None


def _raw(body: Mapping[str, Any]) -> Raw:
    choice, usage = body["choices"][0], body.get("usage") or {}
    content = (choice.get("logprobs") or {}).get("content") or [{}]
    likely = tuple((str(it["token"]), float(it["logprob"])) for it in content[0].get("top_logprobs") or ())
    return Raw(
        cast("str", choice["message"].get("content") or ""),
        _FINISH.get(choice.get("finish_reason"), "other"),
        int(usage.get("prompt_tokens") or 0),
        int(usage.get("completion_tokens") or 0),
        likely,
    )


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
