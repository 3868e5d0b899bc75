"""Files of folders that others may write to: facts, contents, and an OS error in words. Touches files."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from optiloop.errors import WorkspaceError

Manifest = dict[str, tuple[int, ...]]
"""Path -> (mode, size, mtime, ctime, inode) of every file of a worktree."""


@contextmanager
def disk(where: Path) -> Iterator[None]:
    """Say an OS error as what it means for the user: where, and what to do."""
    try:
        yield
    except OSError as error:
        place = error.filename or where
        mend = (
            "make it writable"
            if error.errno in (13, 30)
            else "free space"
            if error.errno == 28
            else "mend it"
        )
        raise WorkspaceError(f"{place}: {error.strerror or error}; {mend}, then run again") from None


def manifest(folder: Path) -> Manifest:
    """Facts of every file below a folder, links not followed; empty where the folder is gone, or a link."""
    facts: Manifest = {}
    pending = [] if os.path.islink(folder) else [("", str(folder))]
    while pending:
        below, path = pending.pop()
        try:
            entries = list(os.scandir(path))
        except OSError:  # gone, or made unreadable: its files are missing from the facts
            continue
        for entry in entries:
            name = f"{below}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                pending.append((f"{name}/", entry.path))
                facts[f"{name}/"] = ()
                continue
            with suppress(FileNotFoundError):
                facts[name] = facts_of(entry.stat(follow_symlinks=False))
    return facts


def facts_of(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise WorkspaceError(
            f"{path.name}: not UTF-8 text (byte {error.start}); optiloop edits text"
        ) from None
    except OSError as error:
        raise WorkspaceError(f"{path}: {error.strerror}; the editable file must be there") from None


def text_or_none(path: Path) -> str | None:
    content = None if path.is_symlink() else content_of(path)
    try:
        return None if content is None else content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def content_of(path: Path) -> bytes | None:
    """A file's bytes, or what a link points to; None where there is neither. A pipe is not waited for."""
    try:
        if path.is_symlink():
            return os.fsencode(os.readlink(path))
        return path.read_bytes() if path.is_file() else None
    except OSError:
        return None


def hash_of(path: Path) -> bytes | None:
    """SHA-256 of what `content_of` gives; None where there is nothing to read."""
    content = content_of(path)
    return None if content is None else hashlib.sha256(content).digest()


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, text.encode("utf-8"), path)


def replace_file(path: Path, content: bytes, like: Path) -> None:
    """Write a new file in the place of an old one, never through a link, with the mode of `like`."""
    mode = stat.S_IMODE(like.stat().st_mode) if like.is_file() else None
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    if mode is not None:
        path.chmod(mode | stat.S_IRUSR | stat.S_IWUSR)


def is_reached_plainly(path: Path, tree: Path) -> bool:
    """Whether a path below a worktree is reached through no link."""
    below = os.path.join(os.path.realpath(tree.parent), path.relative_to(tree.parent))
    return os.path.realpath(path) == os.path.normpath(below)
