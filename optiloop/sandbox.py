"""Run an untrusted command: time limit, scrubbed environment, private home, capped output. Effect.

This is the `process` level: it contains accidents. Hostile code can still read the user's files, use the
network and signal other processes; docs/architecture.md says so too.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import secrets
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from optiloop.model import Command, Seconds

LEVEL = "process"

OUTPUT_KEPT = 4 * 2**20
"""Bytes kept of each stream, the first half and the last half; the rest is counted and dropped."""

OUTPUT_FLOOD = 64 * 2**20
"""Bytes of output after which a command is killed."""

_PASSED = (
    "PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "SYSTEMROOT",
)
_LINES_WATCHED = 64 * 2**10
"""Bytes of output that a watch is given at a time."""
_SHELL_SYNTAX = frozenset("|&;<>()$`*?[]{}~\n")
_OUR_OWN_LIMITS = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""Why a command may fail to start that says nothing about the command."""

_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
_STRAY_ROUNDS = 200
"""Generations of forks that are followed; each round kills all that are there."""
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_MARK = "OPTILOOP_RUN"
_POLL: Seconds = Seconds(0.02)


@dataclass(frozen=True)
class Outcome:
    """How a command ended. `exit_code` is None when it was killed at its limit, negative for a signal."""

    exit_code: int | None
    stdout: str
    stderr: str
    seconds: float
    cpu_seconds: float
    killed: str = ""
    """Why it was killed; empty where it ended by itself."""

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


def run(
    command: Command,
    cwd: Path,
    *,
    private: Path,
    env: Mapping[str, str] | None = None,
    watch: Callable[[str], str] | None = None,
) -> Outcome:
    """Run a command in `cwd` to its end or its limit; its whole process group is dead on return.

    `private` is an empty folder that becomes its HOME and TMPDIR. `watch` is given the lines of stdout as
    they come and ends the command by answering why. A command that cannot be started is an Outcome with
    exit code 127, like a shell's.
    """
    _lifeline()
    own = _children()
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            argv(command.line),
            cwd=cwd,
            env=environment(private, {**command.env, **(env or {})}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:  # ValueError: an open quote, a NUL
        if isinstance(error, OSError) and error.errno in _OUR_OWN_LIMITS:
            raise
        reason = f"cannot start {shown(command.line)!r}: {getattr(error, 'strerror', None) or error}"
        return Outcome(127, "", reason, time.monotonic() - started, 0.0)
    try:
        return _watch(process, started, command.timeout, watch)
    finally:
        _kill_group(process.pid)
        _kill_strays(own | {process.pid})
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


@contextmanager
def private_folder(parent: Path) -> Iterator[Path]:
    """Give a command an empty folder of its own, and remove it afterwards whatever was put there."""
    folder = parent / f"run-{os.getpid()}-{time.monotonic_ns()}"
    folder.mkdir()
    try:
        yield folder
    finally:
        try:
            folder.rmdir()  # most commands leave nothing
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)


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


def environment(private: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """What a command sees of the environment: an allow-list, its private folder, and no bytecode caches."""
    kept = {name: value for name in _PASSED if (value := os.environ.get(name)) is not None}
    home = str(private)
    return {
        **kept,
        "PATH": os.pathsep.join([os.path.dirname(sys.executable), kept.get("PATH", os.defpath)]),
        "HOME": home,
        "TMPDIR": home,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONHASHSEED": "0",
        _MARK: _token(),
        **extra,
    }


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


class _Capture:
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
        self._new += data[-_LINES_WATCHED:]

    def new_lines(self) -> str:
        """The whole lines that came since this was asked last."""
        end = self._new.rfind(b"\n") + 1
        lines = bytes(self._new[:end])
        del self._new[:end], self._new[:-_LINES_WATCHED]
        return lines.decode("utf-8", errors="replace")

    def text(self) -> str:
        dropped = self.seen - len(self._head) - len(self._tail)
        middle = f"\n... {dropped} bytes dropped ...\n".encode() if dropped else b""
        return (bytes(self._head) + middle + bytes(self._tail)).decode("utf-8", errors="replace")


def _watch(
    process: subprocess.Popen[bytes],
    started: float,
    timeout: Seconds,
    watch: Callable[[str], str] | None,
) -> Outcome:
    assert process.stdout is not None
    assert process.stderr is not None
    captures = {process.stdout.fileno(): _Capture(), process.stderr.fileno(): _Capture()}
    killed = ""
    with selectors.DefaultSelector() as selector:
        for descriptor in captures:
            os.set_blocking(descriptor, False)
            selector.register(descriptor, selectors.EVENT_READ)
        ended = _exit_notice(process.pid, selector)
        try:
            while not _leader_ended(process.pid):
                left = started + timeout - time.monotonic()
                if left <= 0:
                    killed = f"killed at its limit of {timeout:g} s"
                    break
                for key, _ in selector.select(min(left, 1.0) if ended is not None else min(left, _POLL)):
                    if key.fd in captures:
                        _drain(key.fd, captures[key.fd], selector)
                lines = captures[process.stdout.fileno()].new_lines()
                if watch is not None and lines and (killed := watch(lines)):
                    break
                if sum(capture.seen for capture in captures.values()) > OUTPUT_FLOOD:
                    killed = f"killed: more than {OUTPUT_FLOOD >> 20} MB of output"
                    break
        finally:
            _kill_group(process.pid)
            if ended is not None:
                os.close(ended)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - started
    for descriptor, capture in captures.items():
        _drain(descriptor, capture, None)
    out, err = (capture.text() for capture in captures.values())
    code = None if killed else process.returncode
    return Outcome(code, out, err, seconds, usage.ru_utime + usage.ru_stime, killed)


def _exit_notice(pid: int, selector: selectors.BaseSelector) -> int | None:
    """Wake the selector when the leader ends, where the system can (Linux)."""
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:  # a kernel older than its headers, or a seccomp filter
        return None
    selector.register(descriptor, selectors.EVENT_READ)
    return descriptor


def _leader_ended(pid: int) -> bool:
    """Whether the leader has ended, leaving it to be reaped so that its process group stays known."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None


def _drain(descriptor: int, capture: _Capture, selector: selectors.BaseSelector | None) -> None:
    """Read what is there now. A daemon that holds the pipe open is not waited for."""
    for _ in range(256):
        try:
            data = os.read(descriptor, 65536)
        except BlockingIOError:
            return
        if not data:
            if selector is not None:
                selector.unregister(descriptor)
            return
        capture.take(data)


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


# A process that outlives a killed engine just long enough to kill the commands it left behind: found by a
# token in their environment, so that daemons in sessions of their own are found too. Without a preexec_fn
# commands are started by vfork, whose cost does not grow with the engine's memory.
_WATCHMAN = """
import os, signal, sys, time
mark = sys.argv[1].encode()
os.read(0, 1)
for _ in range(50):
    found = False
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if mark in file.read().split(bytes(1)):
                    os.kill(int(pid), signal.SIGKILL)
                    found = True
        except OSError:
            continue
    if not found:
        break
    time.sleep(0.05)
"""


def _children() -> set[int]:
    """This process's children now, adopted ones too. Empty where the system does not tell (not Linux)."""
    found: set[int] = set()
    try:
        for task in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{task}/children", encoding="ascii") as file:
                found.update(map(int, file.read().split()))
    except OSError:
        return set()
    return found


def _kill_strays(own: set[int]) -> None:
    """Kill and reap what a command left running, in whatever session: orphans became our children."""
    for _ in range(_STRAY_ROUNDS):
        strays = _children() - own
        if not strays:
            return
        for pid in strays:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError, PermissionError):
                continue


@cache
def _lifeline() -> subprocess.Popen[bytes] | None:
    """Start the watchman once per process; it waits for this end of its pipe to close. Linux only."""
    if sys.platform != "linux":
        return None
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # orphans of a command become ours to kill
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _WATCHMAN, f"{_MARK}={_token()}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        env={},
    )


@cache
def _token() -> str:
    return secrets.token_hex(8)
