"""Level `process`: a session of its own, resource limits, and a tree that dies whole. Effect.

It contains accidents. Hostile code can read the user's files, use the network and signal other processes.
"""

from __future__ import annotations

import math
import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from optiloop.sandbox import limits, processes


class Plain:
    """A command in a session of its own, as a child of this process."""

    def __init__(self, words: list[str], cwd: Path, env: Mapping[str, str], limited: limits.Limits) -> None:
        self._own = processes.children()
        self._killed = False
        self.process = subprocess.Popen(
            limits.by_shell(limited, words) if limits.BY_SHELL else words,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._notice = exit_notice(self.process.pid)
        if not limits.BY_SHELL:
            limits.impose({**limited, processes.RLIMIT_LOCKS: processes.brand()}, self.process.pid)

    def wakes(self) -> Iterable[int]:
        return () if self._notice is None else (self._notice,)

    def ended(self) -> bool:
        return has_ended(self.process.pid)

    def members(self, most: float = math.inf) -> set[int]:
        return processes.tree({self.process.pid, *self._strays()}, most)

    def left(self) -> list[int]:
        strays = self._strays()
        if not strays:  # nearly always, and cheap to know
            return []
        found = processes.alive(processes.tree(strays))
        processes.reap(strays - set(found))
        return found

    def _strays(self) -> set[int]:
        """The orphans that this process has adopted since the command was started."""
        return processes.children() - self._own - {self.process.pid}

    def kill(self) -> None:
        processes.kill_group(self.process.pid)
        self._killed = True

    def close(self) -> tuple[int, float]:
        processes.kill_group(self.process.pid)  # the last moment at which its number is surely its own
        code, cpu_seconds = reaped(self.process)
        if self._killed:  # what it leaves is ours only now
            processes.kill_strays(self._own)
        if self._notice is not None:
            os.close(self._notice)
        return code, cpu_seconds


def exit_notice(pid: int) -> int | None:
    """A descriptor that becomes readable when a child ends, where the system has such (Linux)."""
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:  # a kernel older than its headers, or a seccomp filter
        return None


def has_ended(pid: int) -> bool:
    """Whether a child has ended, leaving it to be reaped so that its process group stays known."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None


def reaped(process: subprocess.Popen[bytes]) -> tuple[int, float]:
    """Wait for a child's end: its exit code, and the CPU seconds of it and the children it waited for."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_utime + usage.ru_stime
