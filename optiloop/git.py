"""Git, and where a target's campaign lives in it. Runs git."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from optiloop.errors import WorkspaceError

QUIET = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.autocrlf=false"),
    *("-c", "gc.auto=0"),
    *("-c", "core.fsync=committed,reference"),  # a keep survives a power cut, not only a kill
    *("-c", "advice.detachedHead=false"),
    *("-c", "worktree.useRelativePaths=false"),
    *("-c", "i18n.commitEncoding=UTF-8"),
    *("-c", "i18n.logOutputEncoding=UTF-8"),
)
_IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "optiloop"), ("EMAIL", "optiloop@localhost"))
}
_INHERITED_BY_HOOKS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR")


@dataclass(frozen=True)
class Place:
    """Where a target's campaign lives.

    `git_dir` is the repository's common folder, `top` the root of the user's checkout (the target's
    own folder where a private repository serves), `prefix` the target's path below it.
    """

    git_dir: Path
    top: Path
    prefix: str
    home: Path
    private: bool


def locate(root: Path, name: str, probe: str) -> Place:
    """Find the repository a target belongs to. Where git ignores `probe`, one of its files, it has none."""
    found = try_git(root, "rev-parse", "--path-format=absolute", "--show-toplevel", "--git-common-dir")
    ignored = found is not None and try_git(root, "check-ignore", "-q", "--", probe) is not None
    if found is None or ignored:
        home = root / ".optiloop" / name
        return Place(home / "repository.git", root, "", home, private=True)
    top, git_dir = (Path(line) for line in found.splitlines())
    prefix = root.resolve().relative_to(top.resolve()).as_posix()
    return Place(git_dir, top, "" if prefix == "." else prefix, top / ".optiloop" / name, private=False)


def ask_git(folder: Path, *words: str) -> str | None:
    """Ask git a question whose answer may be no: None then. Raises WorkspaceError where there is no git."""
    done = spawn_git(*QUIET, *words, cwd=folder)
    return done.stdout if done.returncode == 0 else None


def try_git(folder: Path, *words: str) -> str | None:
    """The same, without the space around it."""
    answer = ask_git(folder, *words)
    return None if answer is None else answer.strip()


def spawn_git(
    *words: str, cwd: Path, env: Mapping[str, str] | None = None, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in _INHERITED_BY_HOOKS}
    try:
        done = subprocess.run(
            ["git", *words],
            cwd=cwd,
            env={**clean, "LC_ALL": "C", **_IDENTITY, **(env or {})},
            input=None if stdin is None else stdin.encode("utf-8"),
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        if not Path(cwd).is_dir():
            raise WorkspaceError(f"{cwd}: no such folder") from None
        raise WorkspaceError(
            "git is not installed or not on PATH; optiloop keeps its champions in git"
        ) from None
    except NotADirectoryError:
        raise WorkspaceError(f"{cwd}: not a folder") from None
    out, err = (stream.decode("utf-8", errors="replace") for stream in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def said(stderr: str) -> str:
    lines = [line for line in stderr.splitlines() if line.strip()]
    said = next(
        (line for line in lines if line.startswith(("fatal:", "error:"))), lines[-1] if lines else "failed"
    )
    return said.removeprefix("fatal: ").removeprefix("error: ")
