"""What was answered before, by content, in a folder; believed once it was answered twice the same. Effect.

A first answer is remembered and asked for again the next time, so the run that confirms a gain is a fresh
one. What differs the second time is never served: it is asked for anew, and numbers that differ tell.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

CALLS = "calls.jsonl"
"""In the folder: a line for each answer that was really asked for."""
FOLDER = "OPTILOOP_CACHE"
"""Where the engine names the folder in which a target's commands may remember things."""


def key_of(*parts: object) -> str:
    """The SHA-256 of some JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode("utf-8", "backslashreplace")).hexdigest()


class Memory:
    """Remembers JSON values. `folder` None: asks for everything. `unsteady` counts answers that differed."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._lock = Lock()
        self.unsteady = 0

    @classmethod
    def of_environment(cls) -> Memory:
        """The engine's folder for it; a user's cache where a person runs the judge."""
        if folder := os.environ.get(FOLDER):
            return cls(Path(folder))
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        return cls(Path(home) / "optiloop" / "vault")

    def settled(self, key: str, make: Callable[[], Any]) -> tuple[Any, bool]:
        """The value of a key, and whether it was remembered: `make` is asked until it said the same twice."""
        known = self._read(key)
        if known.get("times") == 2:
            return known["value"], True
        value = json.loads(json.dumps(make()))  # as it is read again: lists for tuples
        if not known:
            self._write(key, {"value": value, "times": 1})
        elif known.get("value") == value and known["times"] == 1:
            self._write(key, {"value": value, "times": 2})
        else:
            with self._lock:
                self.unsteady += 1
            self._write(key, {"times": 0})
        return value, False

    def tally(self, call: Mapping[str, object]) -> None:
        """Append a line to calls.jsonl. Short lines of several processes do not mix."""
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / CALLS).open("a", encoding="utf-8") as opened:
                opened.write(json.dumps(call) + "\n")

    def _file(self, key: str) -> Path | None:
        return None if self._folder is None else self._folder / key[:2] / f"{key}.json"

    def _read(self, key: str) -> dict[str, Any]:
        file = self._file(key)
        if file is None:
            return {}
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # not there, or torn: asked again
            return {}
        return found if isinstance(found, dict) and found.get("times") in (0, 1, 2) else {}

    def _write(self, key: str, entry: dict[str, Any]) -> None:
        file = self._file(key)
        if file is None:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps(entry), encoding="utf-8")
        os.replace(new, file)
