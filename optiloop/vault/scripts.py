"""Run a task's script: in a fresh folder, within limits, its processes counted. Effect.

A script sees the folder it runs in, the system's programs and Python's library, and nothing of the judge, the
models or the rest of the vault: docs/vault.md says which kernel holds that.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from optiloop import bench
from optiloop.errors import TargetError

MOST_BYTES = 1 << 20
"""Of what a script may say, and of each file that it may write."""
MOST_STARTED = 500
"""Programs that a script may start; it gets no more."""
_COMPLAINT = 2000
_CONFINED = Path(__file__).with_name("confined.py")
_SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime")
_DEVICES = ("/dev/zero", "/dev/urandom")
_LIBRARY = (
    sysconfig.get_path("stdlib"),
    sysconfig.get_path("platstdlib"),
    sysconfig.get_config_var("LIBDIR"),
)
_RECEIVE, _SEND, _CONTINUE = 0xC0502100, 0xC0182101, 1  # seccomp_unotify(2)


@dataclass(frozen=True)
class Ran:
    """What a script did. `started` counts the programs that it starts; None where the kernel does not tell.

    `failure` says why it came to no good end; empty where it did.
    """

    stdout: str
    stderr: str
    started: int | None
    seconds: float
    failure: str = ""


def run_script(
    script: Path,
    folder: Path,
    *,
    stdin: str = "",
    seconds: float = 10.0,
    env: Mapping[str, str] | None = None,
) -> Ran:
    """Run a script in a folder that it may change, by `/bin/sh`, or by Python where its name ends in .py."""
    python = os.path.realpath(sys._base_executable)  # type: ignore[attr-defined]
    line = [python, "-I", "-S", "-B", str(script)] if script.suffix == ".py" else ["/bin/sh", str(script)]
    began = time.monotonic()
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin.encode("utf-8", "replace"))
        given.seek(0)
        mine, theirs = socket.socketpair()
        order = order_of(line, script, folder, theirs.fileno(), seconds)
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", str(_CONFINED), json.dumps(order)],
            cwd=folder,
            env=environment(folder, env or {}),
            stdin=given,
            stdout=out,
            stderr=err,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )
        theirs.close()
        census = Census(mine)
        try:
            late = _ended(process, seconds)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        started = census.count()
        if not census.began:
            raise TargetError(f"{script.name} could not be shut in: {_said(err)[-_COMPLAINT:]}")
        said, complaint = _said(out), _said(err)[-_COMPLAINT:]
    failure = _failure(process.returncode, late, seconds, started, complaint)
    return Ran(said, complaint, started, time.monotonic() - began, failure)


def order_of(line: list[str], script: Path, folder: Path, channel: int, seconds: float) -> dict[str, object]:
    """What `confined.py` is told."""
    limits = {"CPU": max(1, round(seconds)), "FSIZE": MOST_BYTES, "NOFILE": 64, "CORE": 0, "DATA": 512 << 20}
    return {
        "line": line,
        "worker": str(Path(bench.__file__).parent),
        "readable": [*_SYSTEM, *_DEVICES, *_LIBRARY, line[0], str(script)],
        "writable": [str(folder), os.devnull],
        "channel": channel,
        "limits": limits,
    }


def environment(folder: Path, own: Mapping[str, str]) -> dict[str, str]:
    """What a script finds in its environment: nothing of ours."""
    paths = dict.fromkeys(("/usr/local/bin", "/usr/bin", "/bin"))
    home = {"PATH": ":".join(paths), "HOME": str(folder), "TMPDIR": str(folder), "LC_ALL": "C.UTF-8"}
    return {**home, "TZ": "UTC", "PYTHONHASHSEED": "0", **own}


class Census:
    """Counts the processes of a script that become a program, as the kernel asks for each whether it may.

    A process that tries several paths, or one after the other, is one.
    """

    def __init__(self, line: socket.socket) -> None:
        self._line, self._programs = line, set[int]()
        self.began = self._told = False
        self._thread = Thread(target=self._attend, daemon=True)
        self._thread.start()

    def count(self) -> int | None:
        """How many there were, once the script has ended."""
        self._thread.join(5.0)
        return max(0, len(self._programs) - 1) if self._told else None

    def _attend(self) -> None:
        with self._line:
            try:
                said, descriptors, _, _ = socket.recv_fds(self._line, 1, 1)
            except OSError:
                return
        self.began = bool(said)
        if not descriptors:
            return
        self._told = True
        try:
            self._answer(descriptors[0])
        finally:
            os.close(descriptors[0])

    def _answer(self, listener: int) -> None:
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        while True:
            events = poll.poll()
            if not events or not events[0][1] & select.POLLIN:
                return  # nobody is left who could ask
            notice = bytearray(80)
            with suppress(OSError):  # who asked is dead
                fcntl.ioctl(listener, _RECEIVE, notice)
                self._programs.add(struct.unpack_from("=QI", notice)[1])
                enough = len(self._programs) > MOST_STARTED + 1
                answer = (0, -errno.EAGAIN, 0) if enough else (0, 0, _CONTINUE)
                fcntl.ioctl(listener, _SEND, bytearray(notice[:8] + struct.pack("=qiI", *answer)))


def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for a script; whether it had to be given up."""
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def _failure(code: int, late: bool, seconds: float, started: int | None, complaint: str) -> str:
    if late:
        return f"killed at its limit of {seconds:g} s"
    if started is not None and started > MOST_STARTED:
        return f"it wanted more than {MOST_STARTED} programs"
    if code == 0:
        return ""
    last = complaint.strip().splitlines()[-1:] or [""]
    return f"exit code {code}" + (f": {last[0][:200]}" if last[0] else "")


def _said(file: object) -> str:
    assert hasattr(file, "seek")
    assert hasattr(file, "read")
    file.seek(0)
    return bytes(file.read(MOST_BYTES)).decode("utf-8", "replace")
