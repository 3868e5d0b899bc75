"""`optiloop apply`: bring the champion home, into the checkout, as a branch or as a patch. Effect."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from optiloop.errors import UsageError
from optiloop.model import Target
from optiloop.state import campaign_workspace


def apply_to_checkout(target: Target) -> str:
    """Write the champion's files into the checkout. Returns what was done, in words.

    Raises UsageError where a file there is neither the baseline nor the champion: somebody's work.
    """
    workspace = campaign_workspace(target)
    before, after = workspace.source_at(workspace.snapshot), workspace.source_at(workspace.head())
    changed = [path for path in after if before[path] != after[path]]
    for path in changed:
        here = (target.root / path).read_bytes().decode("utf-8", errors="replace")
        if here not in (before[path], after[path]):
            raise UsageError(
                f"{path} was changed since the campaign began; use --branch NAME or --patch FILE"
            )
    replace_texts({target.root / path: after[path] for path in changed})
    return f"wrote {', '.join(changed)}" if changed else "nothing to apply: the champion is the baseline"


def replace_texts(texts: Mapping[Path, str]) -> None:
    """Replace files of the user's: all of them or, where one cannot be written, none.

    A file keeps its mode, a link goes on pointing to its file. Raises UsageError that names the file.
    """
    written: list[tuple[Path, Path]] = []
    try:
        for path, text in texts.items():
            real = path.resolve()
            written.append((real.with_name(f".{real.name}.part"), real))
            _write_beside(*written[-1], text)
        for half, path in written:
            half.replace(path)
    except OSError as error:
        raise UsageError(f"{path}: cannot write it: {error.strerror}") from None
    finally:
        for half, _ in written:
            half.unlink(missing_ok=True)


def _write_beside(half: Path, real: Path, text: str) -> None:
    with half.open("wb") as file:
        file.write(text.encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())
    if real.exists():
        shutil.copymode(real, half)


def make_branch(target: Target, name: str) -> str:
    """Make a branch at the champion's commit. Raises UsageError where that cannot be."""
    workspace = campaign_workspace(target)
    if workspace.place.private:
        raise UsageError(f"{target.name} is in no git repository of yours; use --patch FILE")
    workspace.make_branch(name)
    return f"branch {name} is at the champion, {workspace.head()[:10]}; look with: git log -p {name}"


def patch_text(target: Target) -> str:
    """The change from baseline to champion, for `git apply` at the root of the repository."""
    workspace = campaign_workspace(target)
    patch = workspace.patch()
    if not patch:
        raise UsageError("nothing to apply: the champion is the baseline")
    return patch
