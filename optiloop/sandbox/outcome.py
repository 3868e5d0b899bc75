"""How a command ended and what it said, head and tail. Pure."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from optiloop.sandbox.command import last_line

OUTPUT_KEPT = 4 * 2**20
"""Bytes kept of each stream, the first half and the last half; the rest is counted and dropped."""

LINES_WATCHED = 64 * 2**10
"""Bytes of output that a watch is given at a time."""

_NAMED = 5
"""Processes left behind that are called by their names."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended. `exit_code` is None when it was killed at its limit, negative for a signal."""

    exit_code: int | None
    stdout: str
    stderr: str
    seconds: float
    cpu_seconds: float
    """Of the command and the children it waited for; inside bwrap also what the sandbox itself took."""
    killed: str = ""
    """Why it was killed; empty where it ended by itself."""
    left: tuple[str, ...] = ()
    """The names of the processes that it left running. They are dead now."""

    @property
    def ok(self) -> bool:
        return self.exit_code == 0

    def failure(self) -> str:
        """One line that says what went wrong; empty where nothing did."""
        if self.ok:
            return ""
        if self.killed:
            return self.killed
        said = last_line(self.stderr) or last_line(self.stdout)
        code = self.exit_code or 0
        how = f"killed by {_signal_name(-code)}" if code < 0 else f"exit {code}"
        return f"{how}: {said}" if said else how

    def leftovers(self) -> str:
        """Say what it left running; empty where it left nothing."""
        if not self.left:
            return ""
        more = f" and {len(self.left) - _NAMED} more" if len(self.left) > _NAMED else ""
        processes = "1 process" if len(self.left) == 1 else f"{len(self.left)} processes"
        return f"left {processes} behind: {', '.join(self.left[:_NAMED])}{more}"


class Capture:
    """The first and the last bytes of one stream."""

    def __init__(self) -> None:
        self.seen = 0
        self._head = bytearray()
        self._tail = bytearray()
        self._new = bytearray()

    def take(self, data: bytes) -> None:
        self.seen += len(data)
        room = OUTPUT_KEPT // 2 - len(self._head)
        self._head += data[:room]
        self._tail += data[room:] if room > 0 else data
        if len(self._tail) > OUTPUT_KEPT:
            del self._tail[: -OUTPUT_KEPT // 2]
        self._new += data[-LINES_WATCHED:]

    def new_lines(self) -> str:
        """The whole lines that came since this was asked last."""
        end = self._new.rfind(b"\n") + 1
        lines = bytes(self._new[:end])
        del self._new[:end], self._new[:-LINES_WATCHED]
        return lines.decode("utf-8", errors="replace")

    def text(self) -> str:
        dropped = self.seen - len(self._head) - len(self._tail)
        middle = f"\n... {dropped} bytes dropped ...\n".encode() if dropped else b""
        return (bytes(self._head) + middle + bytes(self._tail)).decode("utf-8", errors="replace")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
