"""Answers that were paid for, on disk before they are used: a crash does not pay twice. Effect.

One file for each question, named by its digest. The engine moves what a logged experiment has used away.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from optiloop.errors import WorkspaceError
from optiloop.ledger import write_atomically
from optiloop.proposers.llm.chat import Reply, Request

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Answer = TypeVar("Answer", bound="DataclassInstance")
"""A dataclass of what JSON can hold."""


def paid(folder: Path | None, name: str, request: Request, ask: Callable[[Request], Reply]) -> Reply:
    """The answer of `name` to a request: the one that lies in `folder`, else a new one, which is put there.

    Raises what `ask` raises, and WorkspaceError where the answer cannot be written.
    """
    asked = (name, request.messages, request.seed, request.temperature, request.schema)
    question = {"asked": name, "messages": [asdict(message) for message in request.messages]}
    return once(folder, asked, question, lambda: ask(request), lambda it: Reply(**{**it, "notes": ()}))


def once(
    folder: Path | None,
    asked: tuple[object, ...],
    question: Mapping[str, Any],
    ask: Callable[[], Answer],
    read: Callable[[dict[str, Any]], Answer],
) -> Answer:
    """The answer to what was asked: the one in `folder`, as `read` makes it of its fields, else a new one.

    A new one is put there, beside the question in words. Raises what `ask` raises, and WorkspaceError.
    """
    if folder is None:
        return ask()
    file = folder / f"{_digest(asked)}.json"
    known = _read(file, read)
    if known is not None:
        return known
    try:
        folder.mkdir(parents=True, exist_ok=True)  # before it is paid for
        reply = ask()
        text = json.dumps({**question, "reply": asdict(reply)}, ensure_ascii=True, indent=1)
        write_atomically(file, text)
    except OSError as error:
        raise WorkspaceError(f"{file}: {error.strerror}; free space, then run again") from None
    return reply


def _digest(asked: tuple[object, ...]) -> str:
    return hashlib.sha256(repr(asked).encode("utf-8", "backslashreplace")).hexdigest()[:32]


def _read(file: Path, read: Callable[[dict[str, Any]], Answer]) -> Answer | None:
    try:
        return read(json.loads(file.read_text(encoding="utf-8"))["reply"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
