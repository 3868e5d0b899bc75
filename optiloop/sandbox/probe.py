"""Which levels this machine offers, found by trying what each promises. Effect.

That a program is installed says little: containers, AppArmor and old kernels refuse namespaces. So a hostile
little program is run at the level, and whatever it gets away with is why the level is not offered.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from optiloop.errors import UsageError, WorkspaceError
from optiloop.model import Command, Seconds
from optiloop.sandbox import Sandbox, bwrap
from optiloop.sandbox.command import last_line

LEVELS: dict[str, str] = {
    "bwrap": "no network, no home, no log, no other process; writes its own copy and a temporary folder only",
    "process": "contains accidents; hostile code can read your files and use the network",
}
"""What each level promises, the strongest first."""

AUTO = "auto"

_PATIENCE = Seconds(20.0)

_HOSTILE = """
import json, os, socket, sys
broken = []
def attempt(what, action):
    try:
        action()
    except OSError:
        return
    broken.append(what)
for path in sys.argv[1:]:
    attempt(f"it can read {path}", lambda: open(path))
attempt("it can write to the system", lambda: open("/usr/.optiloop-probe", "x"))
attempt("it can look into process 1", lambda: os.readlink("/proc/1/fd/1"))
if len([name for name in os.listdir("/proc") if name.isdigit()]) > 2:
    broken.append("it sees other processes")
if [name for _, name in socket.if_nameindex() if name != "lo"]:
    broken.append("it sees the network")
try:
    import optiloop.bench
except ImportError as error:
    broken.append(f"it cannot import optiloop.bench: {error}")
open("written", "w").close()
print(json.dumps(broken))
"""


@dataclass(frozen=True)
class Found:
    """A level, and why this machine does not offer it; empty where it does."""

    level: str
    missing: str

    def as_text(self) -> str:
        """What it promises, or why it is not there."""
        return f"not available: {self.missing}" if self.missing else LEVELS[self.level]


def choose(wanted: str = AUTO) -> str:
    """The level that is wanted, or the strongest there is. Raises UsageError where the wanted one is not."""
    if wanted == AUTO:
        return next(level for level in LEVELS if not found(level).missing)
    if missing := found(wanted).missing:
        raise UsageError(f"--sandbox {wanted}: not available here: {missing}")
    return wanted


@cache
def found(level: str) -> Found:
    """Try a level, once per process."""
    return Found(level, _bwrap_missing() if level == "bwrap" else "")


def _bwrap_missing() -> str:
    if sys.platform != "linux":
        return "bubblewrap is for Linux"
    if not bwrap.program():
        return "bubblewrap is not installed (Debian, Ubuntu, Fedora: the package bubblewrap)"
    with tempfile.TemporaryDirectory(prefix="optiloop-probe-") as folder:
        inside, outside = Path(folder) / "inside", Path(folder) / "outside"
        inside.mkdir()
        outside.touch()
        words = ("python", "-c", _HOSTILE, str(outside), *_files_at_home())
        try:
            outcome = Sandbox("bwrap").run(Command(words, _PATIENCE), inside, private=inside)
        except WorkspaceError as error:
            return str(error)
        if not outcome.ok:
            return outcome.failure()
        if not (inside / "written").exists():
            return "it cannot write to its own folder"
        broken = json.loads(last_line(outcome.stdout))
    return "; ".join(broken)


def _files_at_home() -> list[str]:
    """A few of the user's own files, which no command may see."""
    try:
        return [str(path) for path in Path.home().iterdir() if path.is_file()][:3]
    except OSError:
        return []
