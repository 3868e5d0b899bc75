"""What one process of a command may use: resource limits, set from outside or by a shell. Effect.

Memory is RLIMIT_DATA, what a process may write to of its own: address space that is only reserved (as CUDA,
Go and Java do by the dozen GB) does not count. Counts and sums over processes are in `watch`.
"""

from __future__ import annotations

import math
import os
import resource
import sys
from contextlib import suppress
from functools import cache

from optiloop.model import Confinement, Seconds
from optiloop.sandbox.processes import children

BY_SHELL = not hasattr(resource, "prlimit")
"""Whether limits of another process cannot be set (not Linux): a shell sets its own before it becomes it."""

_SHARE_OF_MACHINE = 0.75

Limits = dict[int, int]
"""Resource -> bytes or seconds, as setrlimit(2) has them."""


def limits(confinement: Confinement, timeout: Seconds) -> Limits:
    """The limits of each process of one command.

    CPU time is only a backstop, for a command whose engine was stopped and cannot watch the clock.
    """
    return {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_DATA: confinement.memory or int(machine_memory() * _SHARE_OF_MACHINE),
        resource.RLIMIT_FSIZE: confinement.disk,
        resource.RLIMIT_CPU: math.ceil(timeout * _cores()) + 1,
    }


@cache
def machine_memory() -> int:
    """Bytes of memory of this machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def impose(limited: Limits, pid: int) -> None:
    """Limit a process that was started just now: microseconds, where a program that does it costs 1 ms.

    What it has started in the meantime is limited too.
    """
    for process in (pid, *children(pid)):
        with suppress(ProcessLookupError, PermissionError):  # ended already, or became another user's
            for kind, most in limited.items():
                bound = min(most, _ceiling(kind))
                resource.prlimit(process, kind, (bound, bound))


@cache
def _cores() -> int:
    return os.cpu_count() or 1


@cache
def _ceiling(kind: int) -> int:
    """The hard limit of this process, which no child of it may exceed."""
    hard = resource.getrlimit(kind)[1]
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard


def as_shell(limited: Limits) -> str:
    """The same as shell commands; one that the system refuses leaves its limit as it was."""
    units = {
        resource.RLIMIT_CORE: ("c", 512),
        resource.RLIMIT_DATA: ("d", 1024),
        resource.RLIMIT_FSIZE: ("f", 512),
        resource.RLIMIT_CPU: ("t", 1),
    }
    return "".join(
        f"ulimit -{letter} {most // unit} 2>/dev/null || :\n"
        for kind, most in limited.items()
        for letter, unit in (units[kind],)
    )


def by_shell(limited: Limits, words: list[str]) -> list[str]:
    """A command that limits itself and then becomes the one given."""
    return ["/bin/sh", "-c", f'{as_shell(limited)}exec "$@"', "limited", *words]
