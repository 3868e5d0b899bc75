"""What is executed, and in which environment; what it said, in one line. Reads the environment."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import sys
from collections.abc import Iterable, Mapping
from functools import cache

MARK = "OPTILOOP_RUN"
"""The variable whose value marks this engine's commands, for the watchman."""

PASSED = (
    "PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "SYSTEMROOT",
)
"""All that a command gets of the engine's environment, unless its target names more."""

_SHELL_SYNTAX = frozenset("|&;<>()$`*?[]{}~\n")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def argv(line: str | tuple[str, ...]) -> list[str]:
    """The words to execute. `python` is the interpreter that runs optiloop: targets need no activation."""
    if isinstance(line, str) and _SHELL_SYNTAX & set(line):
        return ["/bin/sh", "-c", line]
    words = shlex.split(line) if isinstance(line, str) else list(line)
    if isinstance(line, str) and words and "=" in words[0]:
        return ["/bin/sh", "-c", line]
    if words and words[0] in ("python", "python3"):
        words[0] = sys.executable
    return words


def environment(home: str, extra: Mapping[str, str], also: Iterable[str] = ()) -> dict[str, str]:
    """What a command sees of the environment: an allow-list, its private folder, and no bytecode caches."""
    kept = {name: value for name in (*PASSED, *also) if (value := os.environ.get(name)) is not None}
    return {
        **kept,
        "PATH": os.pathsep.join([os.path.dirname(sys.executable), kept.get("PATH", os.defpath)]),
        "HOME": home,
        "TMPDIR": home,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONHASHSEED": "0",
        MARK: token(),
        **extra,
    }


@cache
def token() -> str:
    """What marks this engine's commands."""
    return secrets.token_hex(8)


def shown(line: str | tuple[str, ...]) -> str:
    """A command as people type it."""
    return line if isinstance(line, str) else shlex.join(line)


def last_line(text: str, limit: int = 300) -> str:
    """The last line that says something, without control characters, cut to `limit`."""
    for line in reversed(_ANSI.sub("", text).splitlines()):
        clean = "".join(char for char in line if char.isprintable()).strip()
        if clean:
            return clean if len(clean) <= limit else clean[: limit - 1] + "…"
    return ""
