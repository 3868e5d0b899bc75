"""Answers that were paid for, on disk before they are used: a crash does not pay twice. Effect.

One file for each question, named by its digest. The engine moves what a logged experiment has used away.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from optiloop.errors import WorkspaceError
from optiloop.ledger import write_atomically
from optiloop.proposers.llm.chat import Reply, Request


def paid(folder: Path | None, name: str, request: Request, ask: Callable[[Request], Reply]) -> Reply:
    """The answer of `name` to a request: the one that lies in `folder`, else a new one, which is put there.

    Raises what `ask` raises, and WorkspaceError where the answer cannot be written.
    """
    if folder is None:
        return ask(request)
    file = folder / f"{_digest(name, request)}.json"
    known = _read(file)
    if known is not None:
        return known
    try:
        folder.mkdir(parents=True, exist_ok=True)  # before it is paid for
        reply = ask(request)
        question = {"asked": name, "messages": [asdict(message) for message in request.messages]}
        write_atomically(file, json.dumps({**question, "reply": asdict(reply)}, ensure_ascii=True, indent=1))
    except OSError as error:
        raise WorkspaceError(f"{file}: {error.strerror}; free space, then run again") from None
    return reply


def _digest(name: str, request: Request) -> str:
    asked = (name, request.messages, request.seed, request.temperature, request.schema)
    return hashlib.sha256(repr(asked).encode("utf-8", "backslashreplace")).hexdigest()[:32]


def _read(file: Path) -> Reply | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))["reply"]
        return Reply(**{**found, "notes": ()})
    except (OSError, ValueError, KeyError, TypeError):
        return None
