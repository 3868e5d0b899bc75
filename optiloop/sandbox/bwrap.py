"""Level `bwrap`: a command in namespaces of its own, made by bubblewrap (Linux). Effect.

It sees a read-only system, the interpreter and what is installed in it, its own tree, and a temporary folder
in memory; no other process, no network, no home, no log. It runs below a shell that is process 1 in there.
That shell may be executed but not read, so the kernel lets nobody see into it: a command cannot reach the
pipes that the shell and the engine share, and so cannot forge another's output or exit code. The shell says
on a socket how the command ended, and waits until the engine has counted what the command left.
"""

from __future__ import annotations

import math
import os
import shutil
import site
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from optiloop.model import Confinement
from optiloop.sandbox import processes
from optiloop.sandbox.limits import machine_memory
from optiloop.sandbox.process import exit_notice, has_ended, reaped

HOME = "/tmp"
"""HOME and TMPDIR of a command in there: a folder in memory, gone with it."""

_SHELL = "/.sandbox/sh"
_SCRIPT = 'exec 5>&2 2>/dev/null\n( exec "$@" </dev/null 2>&5 5>&- )\necho $? >&0\nread -r _\n'
_FIRST_SIGNAL, _LAST_SIGNAL = 129, 192
"""A shell's exit codes of commands that a signal ended."""

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store")
_ETC = (
    *("alternatives", "ca-certificates", "group", "hosts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d"),
    *("localtime", "mime.types", "nsswitch.conf", "passwd", "pki", "protocols", "services", "ssl"),
)
"""What programs look up in /etc; neither shadow nor the machine's keys."""

_CPUS = "/sys/devices/system/cpu"
_RESOLVER = "/etc/resolv.conf"


class Bubble:
    """A command inside bubblewrap."""

    def __init__(self, words: list[str], options: list[str], env: Mapping[str, str], script: str) -> None:
        self._own = processes.children()
        self._killed = False
        self._line, theirs = socket.socketpair()
        shell = os.open("/bin/sh", os.O_RDONLY)
        line = [program(), *options, "--perms", "0111", "--ro-bind-data", str(shell), _SHELL]
        line += ["--remount-ro", "/", "--", _SHELL, "-c", script + _SCRIPT, "sandbox", *words]
        try:
            self.process = subprocess.Popen(
                line,
                env=env,
                stdin=theirs.fileno(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(shell,),
                start_new_session=True,
            )
        finally:
            theirs.close()
            os.close(shell)
        self._line.setblocking(False)
        self._notice = exit_notice(self.process.pid)
        self._said = b""
        self._init = 0

    @property
    def was_made(self) -> bool:
        """Whether there was a sandbox that a command could end in; where not, its stderr is bubblewrap's."""
        return self._said.endswith(b"\n")

    def wakes(self) -> Iterable[int]:
        return (self._line.fileno(),) if self._notice is None else (self._line.fileno(), self._notice)

    def ended(self) -> bool:
        """Whether the shell has said how the command ended, or can say nothing more."""
        with suppress(BlockingIOError):
            self._said += self._line.recv(16)
        return self.was_made or has_ended(self.process.pid)

    def members(self, most: float = math.inf) -> set[int]:
        """All in its process namespace but process 1, which is the shell."""
        shell = self._shell_pid()
        return processes.tree({shell}, most + 1) - {shell} if shell else set()

    def left(self) -> list[int]:
        return processes.alive(self.members())

    def _shell_pid(self) -> int:
        """Process 1 of the namespace, by its number out here; 0 where it is not there yet."""
        if not self._init:
            self._init = min(processes.children(self.process.pid), default=0)
        return self._init

    def kill(self) -> None:
        """Kill process 1: the kernel kills all the others with it, and bubblewrap then ends by itself."""
        processes.kill(self._shell_pid() or self.process.pid)
        self._killed = True

    def close(self) -> tuple[int, float]:
        self._line.close()  # the shell reads the end, and leaves; with it all that is in there
        code, cpu_seconds = reaped(self.process)
        if self._killed:  # bubblewrap itself, before it had made process 1 known
            processes.kill_strays(self._own)
        if self._notice is not None:
            os.close(self._notice)
        if self.was_made:
            said = int(self._said)
            code = 128 - said if _FIRST_SIGNAL <= said <= _LAST_SIGNAL else said
        return code, cpu_seconds


@cache
def program() -> str:
    """Where bubblewrap lies; empty where it is not installed."""
    return shutil.which("bwrap") or ""


def options(
    confinement: Confinement,
    *,
    cwd: Path,
    tree: Path,
    read_only: Iterable[Path],
    shown_too: Iterable[Path],
    writable: Iterable[Path],
    secret: Iterable[Path],
    own: Sequence[Path],
) -> list[str]:
    """How bubblewrap is to build what a command in `cwd` sees. Later options lie on top of earlier ones.

    `tree` holds `cwd` and is shown whole, but for its `.git`. A command may make new files in `cwd` and the
    folders around it; what is there already is read-only, except for its `own`. Each of `shown_too` is
    another tree, read-only as a whole. `secret` folders are covered where an earlier option shows them.
    """
    room = str(min(confinement.disk, memory_for_files()))
    shown = [*_interpreter(), *read_only]
    words = [
        *("--unshare-user", "--disable-userns", "--unshare-pid", "--unshare-ipc", "--unshare-uts"),
        *("--unshare-cgroup-try", "--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL"),
        *(() if confinement.network else ("--unshare-net",)),
        *_system(confinement.network),
        *("--size", room, "--perms", "1777", "--tmpfs", "/dev/shm", "--remount-ro", "/dev"),
        *("--size", room, "--perms", "1777", "--tmpfs", HOME),
    ]
    for path in shown:
        words += _bind(path, "dev-bind" if path.is_relative_to("/dev") else "ro-bind")
    for path in secret:
        if path.is_dir() and any(path.is_relative_to(root) for root in (*shown, *map(Path, _SYSTEM))):
            words += ("--tmpfs", str(path))
    words += _bind(tree, "bind")
    for path, how in _sealed(tree, own, (cwd, *own)):
        words += _bind(path, how)
    for path in shown_too:
        words += (*_bind(path, "ro-bind"), *_cover(path / ".git"))
    for path in writable:
        words += _bind(path, "dev-bind" if path.is_relative_to("/dev") else "bind")
    words += _cover(tree / ".git")
    return [*words, "--chdir", str(cwd)]


def guest_options(
    *, cwd: Path, read_only: Iterable[Path], writable: Iterable[Path], hidden: Iterable[Path], network: bool
) -> list[str]:
    """How bubblewrap is to build what a guest in `cwd` sees: all that the user does, to be read only.

    But for sockets below /run, other programs' temporary files, and `hidden` folders and files. `read_only`
    paths are shown where something hides them; `writable` ones may be changed.
    """
    room = str(memory_for_files())
    words = [
        *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        *("--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL"),
        *(() if network else ("--unshare-net",)),
    ]
    for entry in sorted(os.scandir("/"), key=lambda entry: entry.name):
        if entry.is_symlink():
            words += ("--symlink", os.readlink(entry.path), entry.path)
        elif entry.path not in _MADE_ANEW:
            words += ("--ro-bind", entry.path, entry.path)
    words += ("--proc", "/proc", "--dev", "/dev", "--ro-bind-try", _CPUS, _CPUS)
    words += ("--size", room, "--perms", "1777", "--tmpfs", "/dev/shm", "--remount-ro", "/dev")
    words += ("--size", room, "--perms", "1777", "--tmpfs", "/tmp")
    resolver = os.path.realpath(_RESOLVER)  # often a file below /run
    words += ("--ro-bind-try", resolver, resolver)
    covered = [path for path in hidden if path.is_dir()]
    for path in hidden:  # a cover stays writable until all that lies on it is mounted
        words += ("--size", "1048576", "--tmpfs", str(path)) if path.is_dir() else _cover(path)
    gone = [*map(Path, _MADE_ANEW), *hidden]
    for path in read_only:
        real = os.path.realpath(path)
        for name in dict.fromkeys((real, str(path))):
            words += ("--ro-bind", real, name) if any(map(Path(name).is_relative_to, gone)) else ()
    for path in _interpreter():
        words += _bind(path, "ro-bind")
    for path in writable:
        words += _bind(path, "bind")
    for path in covered:
        words += ("--remount-ro", str(path))
    return [*words, "--chdir", str(cwd)]


_MADE_ANEW = ("/proc", "/dev", "/sys", "/run", "/tmp")
"""Folders of which a guest has its own, or none."""


def _sealed(folder: Path, own: Sequence[Path], entered: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """What a folder holds and how it is bound: read-only, and whole where none of `entered` lies in it.

    Each by itself, for what is mounted can be neither removed nor replaced. A link cannot be mounted: the
    workspace finds it changed afterwards.
    """
    for entry in os.scandir(folder):
        path = folder / entry.name
        if entry.is_symlink():
            continue
        if path in own or not any(inner.is_relative_to(path) for inner in entered):
            yield path, "bind" if path in own else "ro-bind"
        else:
            yield path, "bind"
            yield from _sealed(path, own, entered)


def memory_for_files() -> int:
    """Bytes that a folder in memory may hold: a quarter of the machine's."""
    return machine_memory() // 4


def _bind(path: Path, how: str) -> list[str]:
    """Show a path at its own name, and where links lead to it from there, at its real one."""
    real = os.path.realpath(path)
    return [word for name in dict.fromkeys((real, str(path))) for word in (f"--{how}", real, name)]


def _cover(path: Path) -> list[str]:
    """Put nothing in the place of a file or folder. What is not there must stay so: a cover would make it."""
    if path.is_dir():
        return ["--tmpfs", str(path), "--remount-ro", str(path)]
    return ["--ro-bind", str(_EMPTY), str(path)] if path.is_file() else []


_EMPTY = Path(__file__).with_name("empty")
"""An empty file."""


@cache
def _system(network: bool) -> tuple[str, ...]:
    """The read-only system: programs and libraries, the few files of /etc that they need, /proc and /dev."""
    words: list[str] = []
    for path in map(Path, _SYSTEM):
        if path.is_symlink():
            words += ("--symlink", os.readlink(path), str(path))
        elif path.is_dir():
            words += ("--ro-bind", str(path), str(path))
    for name in (f"/etc/{name}" for name in _ETC):
        words += ("--ro-bind-try", name, name)
    for name in (_CPUS, *((_RESOLVER,) if network else ())):
        words += ("--ro-bind-try", name, name)
    return (*words, "--proc", "/proc", "--dev", "/dev")


@cache
def _interpreter() -> tuple[Path, ...]:
    """Where Python and what is installed for it lie, as far as the system's folders do not hold it."""
    found = [part for prefix in (sys.prefix, sys.base_prefix) for part in _prefix(Path(prefix))]
    found += [*_links(Path(sys.executable)), *_editable(), Path(__file__).parents[1]]
    roots: list[Path] = [Path(name) for name in _SYSTEM]
    for path in found:
        if path.exists() and not any(path.is_relative_to(root) for root in roots):
            roots.append(path)
    return tuple(roots[len(_SYSTEM) :])


def _prefix(prefix: Path) -> Iterator[Path]:
    """An environment's folder; only what belongs to Python in it, where it is also somebody's workplace."""
    workplace = any((prefix / name).exists() for name in (".git", ".optiloop"))
    if not workplace and not Path.home().is_relative_to(prefix):
        yield prefix
        return
    for name in ("bin", "lib", "lib64", "include", "share", "pyvenv.cfg"):
        yield prefix / name


def _links(path: Path) -> Iterator[Path]:
    """The links that lead from a path to the file it means, and that file."""
    for _ in range(40):  # ELOOP
        yield path
        if not path.is_symlink():
            return
        path = path.parent / os.readlink(path)


def _editable() -> Iterator[Path]:
    """The packages of editable installs, which .pth files point to; not the checkouts that hold them."""
    for folder in map(Path, site.getsitepackages()):
        for file in sorted(folder.glob("*.pth")):
            for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
                entry = folder / line.strip()
                if line.strip() and not line.startswith(("#", "import ", "import\t")) and entry.is_dir():
                    yield from sorted(path.parent for path in entry.glob("*/__init__.py"))
                    yield from sorted((*entry.glob("*.py"), *entry.glob("*.so")))
