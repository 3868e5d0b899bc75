"""Remove what a hostile program may have built: unreadable folders, deeper than paths may be long. Effect."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path


def remove_tree(folder: Path) -> None:
    """Remove a folder and all that is in it, no link followed. Raises OSError where something will not go.

    Folders are moved up as they are found, so that neither a path nor the stack grows with their depth.
    """
    os.chmod(folder, stat.S_IRWXU)
    with os.scandir(folder) as entries:
        found = list(entries)
    aside = tempfile.mkdtemp(dir=folder)
    pending, number = _emptied(found, aside, 0)
    while pending:
        path = pending.pop()
        with os.scandir(path) as entries:
            found = list(entries)
        below, number = _emptied(found, aside, number)
        pending += below
        os.rmdir(path)
    os.rmdir(aside)
    os.rmdir(folder)


def _emptied(entries: list[os.DirEntry[str]], aside: str, number: int) -> tuple[list[str], int]:
    """Remove files, move folders aside under numbers above `number`: where they are, and the last number."""
    moved = []
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            number += 1
            os.chmod(entry.path, stat.S_IRWXU)
            moved.append(os.path.join(aside, str(number)))
            os.rename(entry.path, moved[-1])
        else:
            os.unlink(entry.path)
    return moved, number
