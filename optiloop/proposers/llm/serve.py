"""`optiloop serve-model`: the local engine behind Ollama's HTTP protocol, for its clients to ask. Effect.

What it does not do (tools, images, embeddings, pulling) it refuses instead of leaving it out in silence.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import Any

import httpx

from optiloop import __version__
from optiloop.errors import ProposerGoneError, UsageError
from optiloop.proposers.llm.local import ModelServer
from optiloop.proposers.llm.wire import spoken, words

PORT = 11434
"""Ollama's own: clients find it without being told."""
MOST_BYTES = 32 * 2**20
"""Of a request."""

_OPTIONS = (
    "temperature",
    "seed",
    "stop",
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "repeat_last_n",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
)
"""What the engine calls as Ollama does. What is about loading (num_gpu, num_thread) is ours to decide."""

_NOT_DONE = (
    "tools",
    "images",
    "think",
    "raw",
    "suffix",
    "template",
    "context",
    "truncate",
    "shift",
)


MOST_LIKELY = 20
"""Tokens whose log-probabilities a call may ask for at each place; Ollama's bound."""


class BadCallError(Exception):
    """A call that gets an error instead of an answer; `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Front(ThreadingHTTPServer):
    """The server. It ends with ProposerGoneError when the engine ends."""

    daemon_threads = True

    def __init__(
        self, model: ModelServer, host: str, port: int, *, say: Callable[[str], None] = lambda _: None
    ) -> None:
        """Bind. Raises UsageError where the address is taken or none of this machine's."""
        self.model, self.say = model, say
        self.started = datetime.now(UTC).isoformat()
        try:
            super().__init__((host, port), Handler)
        except OSError as error:
            said = error.strerror or error
            raise UsageError(f"cannot listen on {host}:{port}: {said}; take another with --port") from None
        self.facts = facts(model)

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self.server_address[:2]
        return f"http://{host if isinstance(host, str) else host.decode()}:{port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is none; anything else is a fault of ours, and shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def service_actions(self) -> None:
        """Twice a second: see whether the engine lives."""
        if ended := self.model.obituary():
            raise ProposerGoneError(ended)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Front
    protocol_version = "HTTP/1.1"
    timeout = 120

    def do_GET(self) -> None:
        self._answer(self._read)

    def do_HEAD(self) -> None:
        self._answer(self._read)

    def do_POST(self) -> None:
        self._answer(self._write)

    def log_message(self, *_: object) -> None:
        """Said by `_generate` and `_answer`, where there is more to say."""

    def _answer(self, serve: Callable[[], None]) -> None:
        try:
            self._guard()
            serve()
        except BadCallError as error:
            self.close_connection = True  # its body may lie unread
            self._send(error.status, {"error": str(error)})
            self.server.say(f"{self._asked} {error.status}: {error}")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client has gone; the engine stops with its stream

    @property
    def _asked(self) -> str:
        return spoken(f"{self.command} {self.path}")

    def _guard(self) -> None:
        """A page in a browser on this machine must not reach us under a name of its own."""
        bound = self.server.server_address[0]
        name = (self.headers.get("host") or "").rpartition("]")[0].strip("[") or (
            self.headers.get("host") or ""
        ).partition(":")[0]
        if _is_loopback(bound) and not _is_loopback(name):
            raise BadCallError(403, "this server is for this machine alone")

    def _read(self) -> None:
        model, known = self.server.model, self.server.facts
        entry = {
            "name": f"{model.weights.name}:latest",
            "model": f"{model.weights.name}:latest",
            "modified_at": known.modified,
            "size": known.size,
            "digest": model.digest(),
            "details": known.details,
        }
        path = self.path.partition("?")[0]
        if path == "/":
            self._send_text(200, "Ollama is running", "text/plain; charset=utf-8")
        elif path == "/api/version":
            self._send(200, {"version": f"0.0.0+optiloop-{__version__}"})
        elif path == "/api/tags":
            self._send(200, {"models": [entry]})
        elif path == "/api/ps":
            loaded = {"expires_at": "9999-12-31T23:59:59Z", "size_vram": 0, "context_length": model.context}
            self._send(200, {"models": [{**entry, **loaded}]})
        else:
            raise BadCallError(404, f"{spoken(path)} is not served here")

    def _write(self) -> None:
        path = self.path.partition("?")[0]
        if path not in ("/api/chat", "/api/generate", "/api/show"):
            raise BadCallError(
                404, f"{spoken(path)} is not served here; there is one model, and it is loaded"
            )
        call = self._body()
        self._check_model(call)
        if path == "/api/show":
            self._send(200, self.server.facts.shown)
        else:
            self._generate(call, chat=path == "/api/chat")

    def _body(self) -> dict[str, Any]:
        length = self.headers.get("content-length", "")
        if not length.isdigit():
            raise BadCallError(411, "a request needs a Content-Length")
        if int(length) > MOST_BYTES:
            raise BadCallError(413, f"a request may have {MOST_BYTES >> 20} MB")
        try:
            call = json.loads(self.rfile.read(int(length)))
        except ValueError as error:
            raise BadCallError(400, f"the request is no JSON: {error}") from None
        if not isinstance(call, dict):
            raise BadCallError(400, "the request is no JSON object")
        return call

    def _check_model(self, call: Mapping[str, Any]) -> None:
        wanted = call.get("model") or call.get("name")
        if not isinstance(wanted, str):
            raise BadCallError(400, "model is required")
        if wanted.removesuffix(":latest") != self.server.model.weights.name:
            raise BadCallError(404, f"model '{spoken(wanted)}' not found")

    def _generate(self, call: Mapping[str, Any], *, chat: bool) -> None:
        started = time.monotonic()
        asked = engine_call(call, chat=chat)
        with closing(self._parts(call, asked, chat=chat, started=started)) as parts:
            if call.get("stream", True):
                last = self._stream(parts)
            else:
                last = merged(list(parts), chat=chat)
                self._send(200, last)
        self.server.say(
            f"{self._asked}: {last.get('prompt_eval_count', 0)} + {last.get('eval_count', 0)} tokens,"
            f" {time.monotonic() - started:.1f} s"
        )

    def _stream(self, parts: Iterator[dict[str, Any]]) -> dict[str, Any]:
        """Send the parts as they come; the last one is returned."""
        last = next(parts)  # an error before the first token has a status of its own still
        self.send_response(200)
        self.send_header("content-type", "application/x-ndjson")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self._chunk(last)
        try:
            for last in parts:
                self._chunk(last)
        except BadCallError as error:
            self._chunk({"error": str(error)})
        self.wfile.write(b"0\r\n\r\n")
        return last

    def _parts(
        self, call: Mapping[str, Any], asked: dict[str, Any] | None, *, chat: bool, started: float
    ) -> Generator[dict[str, Any]]:
        """The answer in Ollama's parts; the last is `done` and has the counts."""
        name = call["model"]
        if asked is None:  # no question: load the model, which is loaded
            yield part_of(name, "", chat=chat) | {"done": True, "done_reason": "load"}
            return
        reason, tail = "stop", dict[str, Any]()
        with httpx.Client(base_url=self.server.model.address, trust_env=False, timeout=None) as engine:
            engine.headers["authorization"] = f"Bearer {self.server.model.key}"
            check_context(engine, asked, call)
            for event in events(engine, asked):
                tail = event if "usage" in event else tail
                choice = (event.get("choices") or [{}])[0]
                reason = choice.get("finish_reason") or reason
                if text := (choice.get("delta") or {}).get("content"):
                    yield part_of(name, text, chat=chat) | likelihoods(choice)
        took = time.monotonic() - started
        yield part_of(name, "", chat=chat) | {"done": True, "done_reason": reason} | counts(tail, took)

    def _chunk(self, part: Mapping[str, Any]) -> None:
        line = json.dumps(part).encode() + b"\n"
        self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        self.wfile.flush()

    def _send(self, status: int, body: Mapping[str, Any]) -> None:
        self._send_text(status, json.dumps(body), "application/json; charset=utf-8")

    def _send_text(self, status: int, text: str, kind: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


# --- what the engine tells of the model -----------------------------------------------------------------


class Facts:
    """What /api/tags and /api/show say, put together once."""

    def __init__(self, model: ModelServer, told: Mapping[str, Any], template: str) -> None:
        header, stat = model.weights.header, model.weights.file.stat()
        parameters = told.get("n_params")
        self.size = stat.st_size
        self.modified = datetime.fromtimestamp(stat.st_mtime, UTC).isoformat()
        self.details = {
            "parent_model": "",
            "format": "gguf",
            "family": header.architecture,
            "families": [header.architecture],
            "parameter_size": f"{parameters / 1e6:.1f}M" if isinstance(parameters, int) else "",
            "quantization_level": str(told.get("ftype", "")),
        }
        self.shown = {
            "modelfile": f"FROM {model.weights.name}\n",
            "parameters": f"num_ctx {model.context}",
            "template": template,
            "modified_at": self.modified,
            "details": self.details,
            "model_info": dict(header.values) | {"general.parameter_count": parameters},
            "capabilities": ["completion"],
        }


def facts(model: ModelServer) -> Facts:
    """Ask the engine. Its context is what clients are told: a longer prompt is refused."""
    with httpx.Client(base_url=model.address, trust_env=False, timeout=60.0) as engine:
        engine.headers["authorization"] = f"Bearer {model.key}"
        meta = engine.get("/v1/models").json()["data"][0].get("meta") or {}
        template = engine.get("/props").json().get("chat_template", "")
    return Facts(model, meta, template)


# --- Ollama's words and the engine's --------------------------------------------------------------------


def engine_call(call: Mapping[str, Any], *, chat: bool) -> dict[str, Any] | None:
    """What the engine is asked; None where there is nothing to ask. Raises BadCallError."""
    for name in _NOT_DONE:
        if call.get(name):
            raise BadCallError(400, f"{name} is not supported by this server")
    options = call.get("options") or {}
    if not isinstance(options, dict):
        raise BadCallError(400, "options must be an object")
    messages = call.get("messages") or [] if chat else _messages(call)
    if not isinstance(messages, list) or not all(isinstance(it, dict) for it in messages):
        raise BadCallError(400, "messages must be a list of objects")
    if not messages:
        return None
    if any(it.get("images") or it.get("tool_calls") for it in messages):
        raise BadCallError(400, "images and tools are not supported by this server")
    asked: dict[str, Any] = {
        "messages": [{"role": it.get("role"), "content": it.get("content") or ""} for it in messages],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    asked |= {name: options[name] for name in _OPTIONS if options.get(name) is not None}
    limit = options.get("num_predict")
    if isinstance(limit, int) and limit >= 0:
        asked["max_tokens"] = limit
    asked |= _likely(call)
    form = call.get("format")
    if form == "json":
        asked["response_format"] = {"type": "json_object"}
    elif isinstance(form, dict):
        asked["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": form}}
    elif form:
        raise BadCallError(400, "format must be 'json' or a JSON schema")
    return asked


def _likely(call: Mapping[str, Any]) -> dict[str, Any]:
    """What a call asks for of log-probabilities, in the engine's words."""
    if not call.get("logprobs"):
        return {}
    most = call.get("top_logprobs") or 0
    if not isinstance(most, int) or not 0 <= most <= MOST_LIKELY:
        raise BadCallError(400, f"top_logprobs must be from 0 to {MOST_LIKELY}")
    return {"logprobs": True, "top_logprobs": most}


def _messages(call: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The conversation of a call of /api/generate."""
    prompt, system = call.get("prompt") or "", call.get("system") or ""
    if not isinstance(prompt, str) or not isinstance(system, str):
        raise BadCallError(400, "prompt and system must be texts")
    if not prompt:
        return []
    return [
        *([{"role": "system", "content": system}] if system else []),
        {"role": "user", "content": prompt},
    ]


def check_context(engine: httpx.Client, asked: Mapping[str, Any], call: Mapping[str, Any]) -> None:
    """Refuse a prompt that does not fit the context that its caller set: Ollama would cut it."""
    num_ctx = (call.get("options") or {}).get("num_ctx")
    if not isinstance(num_ctx, int) or num_ctx <= 0:
        return
    applied = engine.post("/apply-template", json={"messages": asked["messages"]}).json()
    tokens = engine.post("/tokenize", json={"content": applied.get("prompt", "")}).json().get("tokens", [])
    if len(tokens) > num_ctx:
        raise BadCallError(400, f"the prompt has {len(tokens)} tokens, and num_ctx is {num_ctx}")


def events(engine: httpx.Client, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The events of the engine's stream. Raises BadCallError for what it refuses and where it breaks off."""
    try:
        with engine.stream("POST", "/v1/chat/completions", json=asked) as response:
            if response.status_code != 200:
                raise BadCallError(response.status_code, spoken(words(response.read().decode())))
            for line in response.iter_lines():
                data = line.removeprefix("data: ")
                if data == line or data == "[DONE]":
                    continue
                event = json.loads(data)
                if "error" in event:
                    raise BadCallError(500, spoken(words(data)))
                yield event
    except httpx.HTTPError as error:
        raise BadCallError(500, f"the engine broke off: {spoken(str(error))}") from None


def part_of(name: str, text: str, *, chat: bool) -> dict[str, Any]:
    """One part of an answer."""
    said = {"message": {"role": "assistant", "content": text}} if chat else {"response": text}
    return {"model": name, "created_at": datetime.now(UTC).isoformat(), **said, "done": False}


def likelihoods(choice: Mapping[str, Any]) -> dict[str, Any]:
    """The log-probabilities of an event as a part carries them: none where none were asked for."""
    told = (choice.get("logprobs") or {}).get("content")
    return {"logprobs": told} if told else {}


def merged(parts: list[dict[str, Any]], *, chat: bool) -> dict[str, Any]:
    """The parts of an answer as one."""
    told = [token for part in parts for token in part.get("logprobs", ())]
    last = parts[-1] | ({"logprobs": told} if told else {})
    if chat:
        text = "".join(part["message"]["content"] for part in parts)
        return last | {"message": {"role": "assistant", "content": text}}
    return last | {"response": "".join(part["response"] for part in parts)}


def counts(tail: Mapping[str, Any], seconds: float) -> dict[str, int]:
    """Tokens and nanoseconds as Ollama counts them, from the engine's last event."""
    usage, timings = tail.get("usage") or {}, tail.get("timings") or {}
    return {
        "total_duration": int(seconds * 1e9),
        "load_duration": 0,
        "prompt_eval_count": usage.get("prompt_tokens", 0),
        "prompt_eval_duration": int(timings.get("prompt_ms", 0.0) * 1e6),
        "eval_count": usage.get("completion_tokens", 0),
        "eval_duration": int(timings.get("predicted_ms", 0.0) * 1e6),
    }


def _is_loopback(host: object) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(str(host)).is_loopback
    except ValueError:
        return False
