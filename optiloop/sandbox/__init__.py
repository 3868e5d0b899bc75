"""Run an untrusted command: limits, scrubbed environment, private home, capped output, a dead tree. Effect.

Two levels, `bwrap` and `process`; docs/security.md says what each promises and what remains possible.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path, PurePosixPath
from typing import Protocol

from optiloop.errors import TargetError, WorkspaceError
from optiloop.model import Command, Confinement, Seconds, Target
from optiloop.sandbox import bwrap, process, processes
from optiloop.sandbox.command import MARK, argv, environment, last_line, shown, token
from optiloop.sandbox.limits import as_shell, limits
from optiloop.sandbox.outcome import Outcome
from optiloop.sandbox.removal import remove_tree
from optiloop.sandbox.watch import Running, watched

__all__ = [
    "Outcome",
    "Runner",
    "Sandbox",
    "argv",
    "environment",
    "last_line",
    "private_folder",
    "run",
    "shown",
]

CACHE = "OPTILOOP_CACHE"
"""Where a command finds the folder that it may remember things in, where its target asks for one."""

_OUR_OWN_LIMITS = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""Why a command may fail to start that says nothing about the command."""


class Runner(Protocol):
    """What runs a target's commands: a `Sandbox`, or what stands in for one."""

    @property
    def level(self) -> str:
        """How much it holds a command to; stands in each line of the log."""

    def run(
        self,
        command: Command,
        cwd: Path,
        *,
        private: Path,
        tree: Path | None = None,
        env: Mapping[str, str] | None = None,
        shown_too: tuple[Path, ...] = (),
        watch: Callable[[str], str] | None = None,
    ) -> Outcome:
        """Run a command in `cwd` to its end or its limit; see `Sandbox.run`."""


@dataclass(frozen=True)
class Sandbox:
    """Runs commands at one level.

    `read_only` and `writable` are what they see and may change beside their own tree; `secret` folders are
    never shown. `own` is what they may change of what their tree holds already, relative to the working
    folder; `cache` is the folder that outlives them. Only `bwrap` enforces these and the network; the rest is
    the same at both levels.
    """

    level: str = "process"
    confinement: Confinement = field(default_factory=Confinement)
    read_only: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    secret: tuple[Path, ...] = ()
    own: tuple[str, ...] = ()
    cache: Path | None = None

    @classmethod
    def of(
        cls, target: Target, level: str, *, secret: tuple[Path, ...] = (), cache: Path | None = None
    ) -> Sandbox:
        """The sandbox of a target's commands. Raises TargetError where a path that it names is not there.

        What `writable` names inside the target's folder is the worktree's own copy. `cache` is the folder for
        a target that asks for one.
        """
        inside = tuple(path for path in target.sandbox.writable if _is_inside(path))
        outside = tuple(path for path in target.sandbox.writable if not _is_inside(path))
        result = target.metric.options.get("file")
        return cls(
            level,
            target.sandbox,
            _there(target, "read_only", target.sandbox.read_only),
            _there(target, "writable", outside),
            secret,
            (*inside, *((result,) if result else ())),
            cache if target.sandbox.cache else None,
        )

    def run(
        self,
        command: Command,
        cwd: Path,
        *,
        private: Path,
        tree: Path | None = None,
        env: Mapping[str, str] | None = None,
        shown_too: tuple[Path, ...] = (),
        watch: Callable[[str], str] | None = None,
    ) -> Outcome:
        """Run a command in `cwd` to its end or its limit; nothing that it started is alive on return.

        `private` is an empty folder that becomes its HOME and TMPDIR (at `bwrap` it has one in memory
        instead). `tree` is the folder around `cwd` that it sees; `cwd` itself where None. At `bwrap` it may
        make new files in `cwd`, and change nothing that is there already; `shown_too` are folders elsewhere
        that it lets be read. `watch` is given the lines of stdout as they come, and ends the command by
        answering why. A command that cannot be started is an Outcome with exit code 127, like a shell's.
        """
        processes.lifeline()
        cwd, tree = cwd.absolute(), (tree or cwd).absolute()
        home = bwrap.HOME if self.level == "bwrap" else str(private)
        extra = {**command.env, **(env or {})}
        if self.cache is not None:
            self.cache.mkdir(parents=True, exist_ok=True)
            extra[CACHE] = str(self.cache)
        own = environment(home, extra, self.confinement.pass_env)
        started = time.monotonic()
        try:
            running = self._started(command, argv(command.line), cwd, tree, own, shown_too)
        except (OSError, ValueError) as error:  # ValueError: an open quote, a NUL
            if isinstance(error, OSError) and error.errno in _OUR_OWN_LIMITS:
                raise
            reason = f"cannot start {shown(command.line)!r}: {getattr(error, 'strerror', None) or error}"
            return Outcome(127, "", reason, time.monotonic() - started, 0.0)
        outcome = watched(
            running,
            started=started,
            timeout=command.timeout,
            confinement=self.confinement,
            watch=watch,
            folders=(tree, *self._kept) if self.level == "bwrap" else (tree, private, *self._kept),
        )
        return _of_whole(running, outcome)

    @property
    def _kept(self) -> tuple[Path, ...]:
        """What a command may write to beside its tree, and what is there afterwards."""
        return self.writable if self.cache is None else (*self.writable, self.cache)

    def host(self, script: str, cwd: Path, *, timeout: Seconds, env: Mapping[str, str]) -> Outcome:
        """Run a shell script that the user trusts with their environment, in `cwd`, to its end or its limit.

        Limits, capped output and a dead tree are as for any command. At `bwrap` it sees what the user sees
        but for `secret`, and may change `writable` only.
        """
        processes.lifeline()
        words, limited, started = (
            ["/bin/sh", "-c", script],
            limits(self.confinement, timeout),
            time.monotonic(),
        )
        marked = {**env, MARK: token()}
        running: Running
        if self.level == "process":
            running = process.Plain(words, cwd, marked, limited)
        else:
            view = bwrap.guest_options(
                cwd=cwd,
                read_only=self.read_only,
                writable=self.writable,
                hidden=self.secret,
                network=self.confinement.network,
            )
            running = bwrap.Bubble(words, view, marked, as_shell(limited))
        outcome = watched(
            running, started=started, timeout=timeout, confinement=self.confinement, folders=self.writable
        )
        return _of_whole(running, outcome)

    def _started(
        self,
        command: Command,
        words: list[str],
        cwd: Path,
        tree: Path,
        env: Mapping[str, str],
        shown_too: tuple[Path, ...],
    ) -> Running:
        limited = limits(self.confinement, command.timeout)
        if self.level == "process":
            return process.Plain(words, cwd, env, limited)
        if not cwd.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(cwd))
        if "/" not in words[0] and shutil.which(words[0], path=env["PATH"]) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), words[0])
        view = bwrap.options(
            self.confinement,
            cwd=cwd,
            tree=tree,
            read_only=self.read_only,
            shown_too=tuple(path.absolute() for path in shown_too),
            writable=self._kept,
            secret=self.secret,
            own=[cwd / path for path in self.own],
        )
        return bwrap.Bubble(words, view, env, as_shell(limited))


def _of_whole(running: Running, outcome: Outcome) -> Outcome:
    """The outcome. Raises WorkspaceError where no sandbox was made that a command could end in."""
    if isinstance(running, bwrap.Bubble) and not running.was_made and not outcome.killed:
        raise WorkspaceError(f"the sandbox broke: {outcome.failure()}; try --sandbox process")
    return outcome


def run(command: Command, cwd: Path, *, private: Path, env: Mapping[str, str] | None = None) -> Outcome:
    """Run a command at level `process` with the usual limits."""
    return Sandbox().run(command, cwd, private=private, env=env)


@contextmanager
def private_folder(parent: Path) -> Iterator[Path]:
    """Give a command an empty folder of its own, and remove afterwards whatever was put there.

    One that is as it was made serves the next command: to make one costs more than to look.
    """
    folder, made = _idle.pop(parent, (parent, ()))
    if not made or _facts(folder) != made or os.listdir(folder):  # a clock's tick may hide what times show
        if made:
            _remove(folder)
        folder = parent / f"run-{os.getpid()}-{time.monotonic_ns()}"
        folder.mkdir()
        made = _facts(folder)
    try:
        yield folder
    finally:
        if made and _facts(folder) == made and not os.listdir(folder) and parent not in _idle:
            _idle[parent] = folder, made
        else:
            _remove(folder)


def _remove(folder: Path) -> None:
    with suppress(OSError):  # what is left goes when the campaign is opened next
        if not folder.is_symlink():
            remove_tree(folder)


_idle: dict[Path, tuple[Path, tuple[int, ...]]] = {}
"""By their parents: private folders that wait for the next command, and what they were as they were made."""


def _facts(folder: Path) -> tuple[int, ...]:
    """Inode, mode, owner and times of a folder; empty where it is gone."""
    try:
        found = os.lstat(folder)
    except OSError:
        return ()
    return (found.st_ino, found.st_mode, found.st_uid, found.st_gid, found.st_mtime_ns, found.st_ctime_ns)


def _is_inside(path: str) -> bool:
    """Whether a target's path lies in its folder by its own words."""
    pure = PurePosixPath(os.path.expanduser(path))
    return not pure.is_absolute() and ".." not in pure.parts


def _there(target: Target, key: str, paths: tuple[str, ...]) -> tuple[Path, ...]:
    """A target's paths as absolute ones.

    Left out is one that begins with a variable that is not set, and a pattern that nothing is named by.
    """
    found: list[Path] = []
    for given in paths:
        path = os.path.expanduser(os.path.expandvars(given))
        if "*" in path:
            found += map(Path, sorted(glob(str(target.root / path))))
        elif path and not path.startswith("$"):
            found.append(target.root / path)
            if not found[-1].exists():
                raise TargetError(f"{target.name}: [sandbox] {key}: {given!r} is not there")
    return tuple(found)
