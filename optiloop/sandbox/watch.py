"""Watch a running command: its output, its limits, its end, and what it leaves. Effect.

How a command was started is the level's (`Running`); what may become of it is said here, once for all levels.
"""

from __future__ import annotations

import math
import os
import selectors
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from optiloop.model import Confinement, Seconds
from optiloop.sandbox import processes
from optiloop.sandbox.outcome import Capture, Outcome

OUTPUT_FLOOD = 64 * 2**20
"""Bytes of output after which a command is killed."""

GRACE: Seconds = Seconds(0.5)
"""How long a command's own helpers may take to end after it: multiprocessing ends its trackers so."""

CENSUS: Seconds = Seconds(0.02)
"""How often processes and disk are looked at. They are counted from outside: RLIMIT_NPROC counts the user's
other processes as well and binds no root, and RLIMIT_FSIZE bounds one file, not a thousand."""

_POLL: Seconds = Seconds(0.02)
_BREATH: Seconds = Seconds(0.005)


class Running(Protocol):
    """A command that a level has started."""

    process: subprocess.Popen[bytes]

    def wakes(self) -> Iterable[int]:
        """Descriptors that become readable when it ends; none where the system has none."""

    def ended(self) -> bool:
        """Whether the command itself has ended, whatever it left."""

    def members(self, most: float = math.inf) -> set[int]:
        """The processes that run now on its behalf, zombies too; no more than one above `most`."""

    def left(self) -> list[int]:
        """Those that are alive though the command has ended."""

    def kill(self) -> None:
        """Kill all of them."""

    def close(self) -> tuple[int, float]:
        """Reap it: its exit code, negative for a signal, and the CPU seconds it took."""


def watched(
    running: Running,
    *,
    started: float,
    timeout: Seconds,
    confinement: Confinement,
    folders: tuple[Path, ...],
    watch: Callable[[str], str] | None = None,
) -> Outcome:
    """Stay with a command until it has ended or must end. Nothing of it is alive on return.

    `folders` are where it may write. `watch` reads its lines as they come, and ends it by answering why. An
    exception on the way (Ctrl-C) kills it too.
    """
    process = running.process
    assert process.stdout is not None
    assert process.stderr is not None
    output = Capture()
    captures = {process.stdout.fileno(): output, process.stderr.fileno(): Capture()}
    bounds = _Bounds(running, confinement, folders)

    def enough() -> str:
        """Why it must be killed though it has time left."""
        lines = output.new_lines()
        return (lines and watch is not None and watch(lines)) or bounds.broken()

    try:
        killed = _attended(running, captures, started, timeout, enough)
        seconds = time.monotonic() - started
        left = () if killed else _left(running)
        if killed or left:
            running.kill()
        code, cpu_seconds = running.close()
        for descriptor, capture in captures.items():
            _drain(descriptor, capture)
        out, err = (capture.text() for capture in captures.values())
        return Outcome(None if killed else code, out, err, seconds, cpu_seconds, killed, left)
    finally:
        if process.returncode is None:
            running.kill()
            running.close()
        process.stdout.close()
        process.stderr.close()


def _attended(
    running: Running,
    captures: dict[int, Capture],
    started: float,
    timeout: Seconds,
    enough: Callable[[], str],
) -> str:
    """Read what it says until it ends; why it must be killed, or empty where it ended by itself."""
    with selectors.DefaultSelector() as selector:
        for descriptor in captures:
            os.set_blocking(descriptor, False)
            selector.register(descriptor, selectors.EVENT_READ)
        wakes = [selector.register(descriptor, selectors.EVENT_READ) for descriptor in running.wakes()]
        longest = CENSUS if wakes else _POLL
        while not running.ended():
            left = started + timeout - time.monotonic()
            if left <= 0:
                return f"killed at its limit of {timeout:g} s"
            for key, _ in selector.select(min(left, longest)):
                if key.fd in captures and _drain(key.fd, captures[key.fd]):
                    selector.unregister(key.fd)
            if sum(capture.seen for capture in captures.values()) > OUTPUT_FLOOD:
                return f"killed: more than {OUTPUT_FLOOD >> 20} MB of output; have it print less"
            if why := enough():
                return why
    return ""


def _drain(descriptor: int, capture: Capture) -> bool:
    """Read what is there now; whether its end was reached. A daemon that holds it open is not waited for."""
    for _ in range(256):
        try:
            data = os.read(descriptor, 65536)
        except BlockingIOError:
            return False
        if not data:
            return True
        capture.take(data)
    return False


def _left(running: Running) -> tuple[str, ...]:
    """The names of what is alive though the command ended, after a grace."""
    deadline = time.monotonic() + GRACE
    while found := running.left():
        if time.monotonic() > deadline:
            return tuple(processes.names(found))
        time.sleep(_BREATH)
    return ()


class _Bounds:
    """Counts a command's processes, and what it adds to the disk, now and then."""

    def __init__(self, running: Running, confinement: Confinement, folders: tuple[Path, ...]) -> None:
        self._running, self._confinement, self._folders = running, confinement, folders
        self._due = time.monotonic() + CENSUS
        self._began = time.time()
        self._free = [_free(folder) for folder in folders]
        self._tasks = processes.tasks()

    def broken(self) -> str:
        """Why it must be killed; empty where it keeps to its bounds, or where they are not due yet."""
        if time.monotonic() < self._due:
            return ""
        self._due = time.monotonic() + CENSUS
        if self._too_many():
            return f"killed: more than {self._confinement.processes} processes"
        if self._written() > self._confinement.disk:
            return f"killed: wrote more than {_shown(self._confinement.disk)} to disk"
        return ""

    def _too_many(self) -> bool:
        """Whether it has too many processes. They are only counted when the machine has that many more."""
        most, now = self._confinement.processes, processes.tasks()
        return (not now or now - self._tasks >= most) and len(self._running.members(most)) > most

    def _written(self) -> int:
        """Bytes added to the folders. Files are only looked at where the disk is that much fuller."""
        now = [_free(folder) for folder in self._folders]
        fuller = any(was - free > self._confinement.disk for was, free in zip(self._free, now, strict=True))
        if not fuller:
            return 0
        self._free = now  # others fill disks too: look again when as much more is gone
        return sum(_size(folder, since=self._began) for folder in self._folders)


def _free(folder: Path) -> int:
    try:
        found = os.statvfs(folder)
    except OSError:  # the command removed it
        return 0
    return found.f_bfree * found.f_frsize


def _size(folder: Path, *, since: float) -> int:
    """Bytes on disk of what was written since a time. A program cannot set the change time it goes by."""
    total, pending = 0, [str(folder)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                found = list(entries)
        except OSError:
            continue
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)
                continue
            try:
                facts = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            total += facts.st_blocks * 512 if facts.st_ctime >= since - 1 else 0
    return total


def _shown(size: int) -> str:
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} bytes"
