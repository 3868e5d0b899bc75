"""Processes: a command's whole tree, found through /proc and killed; the watchman of a killed engine. Effect.

Elsewhere than on Linux there is no /proc and no adopting of orphans: trees are empty there, and only process
groups are killed.
"""

from __future__ import annotations

import ctypes
import math
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache

from optiloop.sandbox.command import MARK, token

_PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 4, 36  # prctl(2)
_ROUNDS = 1000
"""Generations of forks that are followed; each round kills all that are there."""


def children(pid: int | str = "self") -> set[int]:
    """A process's children now, adopted ones too. Empty where the system does not tell (not Linux)."""
    found: set[int] = set()
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", "rb", buffering=0) as file:
                found.update(map(int, file.readall().split()))
    except OSError:
        return found
    return found


def tree(roots: Iterable[int], most: float = math.inf) -> set[int]:
    """These processes and all their descendants, zombies too; one above `most` is enough."""
    found, pending = set[int](), list(roots)
    while pending and len(found) <= most:
        pid = pending.pop()
        if pid not in found:
            found.add(pid)
            pending += children(pid)
    return found


def tasks() -> int:
    """How many threads this machine runs: one cheap read. 0 where the system does not tell."""
    try:
        with open("/proc/loadavg", "rb", buffering=0) as file:
            return int(file.readall().split()[3].partition(b"/")[2])
    except OSError:
        return 0


def alive(pids: Iterable[int]) -> list[int]:
    """Those that are there and no zombies, in order."""
    return sorted(pid for pid in pids if (stat := _stat(pid)) and stat[1] not in "ZX")


def names(pids: Iterable[int]) -> list[str]:
    """What they call themselves: at most 15 characters each, printable; they may lie."""
    told = [stat[0] for pid in pids if (stat := _stat(pid))]
    return ["".join(char if char.isprintable() else "?" for char in name) for name in told]


def _stat(pid: int) -> tuple[str, str] | None:
    """A process's name and state; None where it is gone. proc(5): `1 (name) S ...`."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            name, _, rest = file.read().partition(" (")[2].rpartition(") ")
    except OSError:
        return None
    return name, rest[:1]


def kill_group(leader: int) -> None:
    """Kill a process group, where it is there still."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def kill(pid: int) -> None:
    """Kill a process, where it is there still."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def reap(pids: Iterable[int]) -> None:
    """Take note of children that have ended, so that no zombies stay."""
    for pid in pids:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def kill_strays(own: set[int]) -> None:
    """Kill and reap what a command left running, in whatever session: orphans became our children.

    A whole generation is killed before the next is looked for: walking down the tree of a fork bomb takes
    longer than it takes to double.
    """
    for _ in range(_ROUNDS):
        strays = children() - own
        if not strays:
            return
        for pid in strays:
            kill(pid)
        for pid in strays:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


RLIMIT_LOCKS = 10
"""A limit that Linux has ignored since 2.4.25, but hands from parent to child: a brand."""

# A process that outlives a killed engine just long enough to kill the commands it left behind: found by a
# token in their environment, or by their brand, which daemons with an empty environment keep. Without a
# preexec_fn commands are started by vfork, whose cost does not grow with the engine's memory.
_WATCHMAN = """
import os, signal, sys, time
mark, brand = (word.encode() for word in sys.argv[1:])

def ours(pid):
    with open(f"/proc/{pid}/limits", "rb") as file:
        if brand in file.read().partition(b"Max file locks")[2].split(bytes([10]))[0].split():
            return True
    with open(f"/proc/{pid}/environ", "rb") as file:
        return mark in file.read().split(bytes(1))

os.read(0, 1)
for _ in range(50):
    found = False
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if int(pid) != os.getpid() and ours(pid):
                os.kill(int(pid), signal.SIGKILL)
                found = True
        except OSError:
            continue
    if not found:
        break
    time.sleep(0.05)
"""


@cache
def brand() -> int:
    """A number that no other engine's commands have as their limit of file locks."""
    return secrets.randbits(60) | 1 << 60


@cache
def lifeline() -> subprocess.Popen[bytes] | None:
    """Guard this process, once: start its watchman, adopt orphans, close its memory to others. Linux only.

    The watchman waits for this end of its pipe to close. A process that may not be dumped shows its
    environment, memory and open files to no other process of its user; root is not kept out.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _WATCHMAN, f"{MARK}={token()}", str(brand())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        env={},
    )
