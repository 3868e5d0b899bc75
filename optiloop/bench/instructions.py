"""Count the instructions that a command executes: a metric that hardly varies where CPU time does.

    python -m optiloop.bench.instructions -- python work.py
    python -m optiloop.bench.instructions --name loop -- ./a.out 1000

It prints `METRIC instructions=<count>`: user-space instructions of the command and of every process that it
starts, interpreter start-up included. Any language. A hardware counter is asked where one answers, through
perf_event_open(2) (perf(1) would do, but it exits 0 where the command was killed), and valgrind otherwise.
The two do not count alike: never compare their numbers, nor those of two machines.

- `METRIC` lines of the command are passed on, so guards work. If it prints one of the same name, that is an
  error and no number. Whatever else it prints goes to stderr.
- A failing command's exit code is passed on (128 + n for signal n), without a number. 127: no such command,
  or nothing here can count. 1: there is no count worth reading, and stderr says why.
- PYTHONHASHSEED is 0 and no .pyc is written, unless the environment says otherwise.
- It waits for every process that the command leaves behind (Linux).

It contains accidents, not cheats: the command is the candidate, and runs as the same user as its counter. Two
things are known of valgrind's count. What a process did before an exec is not in it, and a process that
forks without an exec counts what its parent did before once more.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import os
import platform
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

EVENT = (0, 1)
"""perf_event_open(2)'s type and config: PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS."""

MEND = "no hardware counter, and no valgrind on PATH; install valgrind"

VALGRIND_COST = "20 to 60 times slower than native; equal runs agree to 1e-5"
"""Measured: docs/measuring.md."""

_PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}
_ATTR_SIZE = 64  # PERF_ATTR_SIZE_VER0
_TIMES = 1 | 2  # read_format: the times enabled and running
_DISABLED, _INHERIT, _EXCLUDE_KERNEL, _EXCLUDE_HV, _ENABLE_ON_EXEC = 1, 1 << 1, 1 << 5, 1 << 6, 1 << 12
_THIS_PROCESS, _ANY_CPU, _NO_GROUP, _CLOEXEC = 0, -1, -1, 8
_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)

_COUNT = re.compile(r"^==\d+== I\s+refs:\s+([\d,]+)$", re.MULTILINE)
_LEAST = ("/bin/sh", "-c", ":")
"""The smallest command there is: whether a counter counts is seen from it."""


class CountError(Exception):
    """There is no count worth reading, in one line."""

    exit_code = 1


class CannotStart(CountError):  # noqa: N818 - like a shell's "not found"
    """There is no such command, or nothing to count it with."""

    exit_code = 127


class Hardware:
    """The processor's own counter, inherited by all that this process starts from here on.

    Raises OSError where the system has none or forbids it.
    """

    def __init__(self) -> None:
        number = _PERF_EVENT_OPEN.get(platform.machine())
        if sys.platform != "linux" or number is None:
            raise OSError(errno.ENOSYS, "no perf_event_open")
        flags = _DISABLED | _INHERIT | _EXCLUDE_KERNEL | _EXCLUDE_HV | _ENABLE_ON_EXEC
        kind, config = EVENT
        attr = struct.pack("<IIQQQQQ", kind, _ATTR_SIZE, config, 0, 0, _TIMES, flags).ljust(_ATTR_SIZE, b"\0")
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.syscall(number, attr, _THIS_PROCESS, _ANY_CPU, _NO_GROUP, _CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def close(self) -> None:
        os.close(self._descriptor)

    def words(self, command: Sequence[str]) -> list[str]:
        return list(command)

    def total(self, pid: int) -> int:
        """The instructions of all that was started since."""
        count, enabled, running = struct.unpack("<QQQ", os.read(self._descriptor, 24))
        if running < enabled:
            raise CountError("the hardware counter was shared, and its number would be an estimate")
        if count == 0:
            raise CountError("the hardware counter stayed at 0")
        return int(count)


class Valgrind:
    """Valgrind's cachegrind, the cheapest of its tools that count: it leaves a log a process in `folder`."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program, self._folder = program, folder

    def words(self, command: Sequence[str]) -> list[str]:
        logs = str(self._folder).replace("%", "%%")
        return [
            self._program,
            "--command-line-only=yes",  # no .valgrindrc: a candidate may have written one
            "--vgdb=no",
            "--trace-children=yes",
            "--tool=cachegrind",
            "--cache-sim=no",
            "--cachegrind-out-file=/dev/null",
            f"--log-file={logs}/%p",
            *command,
        ]

    def total(self, pid: int) -> int:
        """The instructions of process `pid` and of every other one that left a log."""
        total = 0
        for name in sorted({str(pid), *os.listdir(self._folder)}):
            found = _COUNT.search(_text(self._folder / name))
            if found is None:
                raise CountError(f"process {name} was not counted: it was killed, or cannot be traced")
            total += int(found[1].replace(",", ""))
        return total


def count(command: Sequence[str], *, name: str = "instructions") -> int:
    """Run a command, pass on what it prints, then print its METRIC line. Returns the exit code to end with.

    Raises CountError where there is no number worth reading.
    """
    words = [sys.executable if command[0] in ("python", "python3") else command[0], *command[1:]]
    if shutil.which(words[0]) is None:
        raise CannotStart(f"cannot start {words[0]!r}: not found, or not executable")
    _adopt_orphans()
    with _counter() as counter:
        ended = _run(counter.words(words), name)
        if ended.exit_code:
            return ended.exit_code if ended.exit_code > 0 else 128 - ended.exit_code
        if ended.printed_it:
            raise CountError(f"the command prints METRIC {name} itself; choose another --name")
        total = counter.total(ended.pid)
    _print(f"METRIC {name}={total}")
    return 0


def offered() -> str:
    """What counts instructions on this machine, in one line. Each counter is tried: half a second."""
    if _hardware_counts():
        return "hardware counter, as fast as native"
    if (program := shutil.which("valgrind")) is None:
        return f"not found (optional): {MEND}"
    try:
        with TemporaryDirectory(prefix="optiloop-") as folder:
            version = _quietly([program, "--version"])
            _quietly(Valgrind(program, Path(folder)).words(_LEAST))
    except (OSError, subprocess.SubprocessError) as error:
        return f"valgrind does not work here: {error}"
    return f"{version.replace('-', ' ')} ({VALGRIND_COST})"


@contextmanager
def _counter() -> Iterator[Hardware | Valgrind]:
    """The cheapest counter that works here."""
    if _hardware_counts():
        with closing(Hardware()) as hardware:
            yield hardware
    elif (program := shutil.which("valgrind")) is not None:
        with TemporaryDirectory(prefix="optiloop-") as folder:
            yield Valgrind(program, Path(folder))
    else:
        raise CannotStart(f"cannot count instructions: {MEND}")


def _hardware_counts() -> bool:
    """Whether the processor's counter is there, allowed, and counts: some virtual ones stay at 0."""
    try:
        with closing(Hardware()) as hardware:
            _quietly(_LEAST)
            hardware.total(os.getpid())
            return True
    except (OSError, CountError):
        return False


class _Ended(NamedTuple):
    pid: int
    exit_code: int
    printed_it: bool
    """Whether the command printed a METRIC line of the name that is ours."""


def _run(words: Sequence[str], name: str) -> _Ended:
    """Run to the end of all that it starts, passing its METRIC lines on and the rest to stderr."""
    printed_it = False
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=_environment()) as process:
        assert process.stdout is not None
        for raw in process.stdout:
            for line in raw.decode(errors="replace").splitlines():  # as the parser of METRIC lines splits
                metric = line.startswith("METRIC ") and line[7:].partition("=")[0].strip()
                if metric == name:
                    printed_it = True
                elif metric:
                    _print(line)
                else:
                    print(line, file=sys.stderr, flush=True)
    _wait_for_orphans()
    return _Ended(process.pid, process.returncode, printed_it)


def _environment() -> dict[str, str]:
    return {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", **os.environ}


def _adopt_orphans() -> None:
    """Become the parent of what the command leaves behind, so that its end can be waited for. Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _wait_for_orphans() -> None:
    with suppress(ChildProcessError):  # there is none left
        while True:
            os.wait()


def _quietly(words: Sequence[str]) -> str:
    """What a command prints. Raises OSError or SubprocessError where it fails or takes ten seconds."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=True)
    return done.stdout.decode(errors="replace").strip()


def _print(line: str) -> None:
    """Print in the encoding that the engine reads, whatever the locale."""
    sys.stdout.buffer.write(f"{line}\n".encode())
    sys.stdout.buffer.flush()


def _text(log: Path) -> str:
    try:
        return log.read_text(errors="replace")
    except OSError:  # the process cannot have been traced
        return ""


def main(words: Sequence[str]) -> int:
    """Be the program: returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m optiloop.bench.instructions",
        usage="%(prog)s [--name NAME] -- COMMAND [ARGUMENT ...]",
        description="Count the user-space instructions of a command and print them as a METRIC line.",
    )
    parser.add_argument("--name", default="instructions", help="the metric's name (instructions)")
    end = words.index("--") if "--" in words else len(words)
    name = parser.parse_args(words[:end]).name
    command = words[end + 1 :]
    if not command:
        parser.error("no command; give it after --, as in: -- python work.py")
    if not re.fullmatch(r"[^\s=]+", name):
        parser.error(f"--name {name!r} holds a space or =, or nothing")
    try:
        return count(command, name=name)
    except CountError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
