"""The two worktrees: `base`, the champion, and `trial`, the candidate. Touches files and runs git.

A cycle that keeps nothing runs no git at all: the worktrees are compared with what they were by stat (size,
times, inode).
"""

from __future__ import annotations

import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from optiloop.errors import WorkspaceError
from optiloop.files import (
    Manifest,
    disk,
    facts_of,
    hash_of,
    is_reached_plainly,
    manifest,
    read_text,
    replace_file,
    text_or_none,
    write_text,
)
from optiloop.git import QUIET, Place, said, spawn_git
from optiloop.sandbox.removal import remove_tree

TREES = ("base", "trial")


class Worktrees:
    """Champion and candidate of one target, side by side in `folder`, at the commit that `head` says."""

    def __init__(
        self,
        place: Place,
        folder: Path,
        editable: tuple[str, ...],
        *,
        produced: tuple[str, ...] = (),
        held_out: tuple[str, ...] = (),
    ) -> None:
        self.place = place
        self.folder = folder
        self.editable = editable
        self.produced = produced
        """Files that the target's commands write anew each time: never part of a snapshot."""
        self.held_out = held_out
        """Files and folders that lie in a worktree only while they are `revealed`."""
        self.root_commit = ""
        self.pinned = ""
        """The commit of the champion, where no branch says it."""
        self._pristine: dict[str, Manifest] = {}
        self._digests: dict[str, dict[str, bytes | None]] = {}
        self._at = ""
        self._staged: frozenset[str] = frozenset()
        self._trees = {tree: folder / tree for tree in TREES}
        self.base = self._trees["base"] / place.prefix
        """The target's folder in the champion's worktree."""
        self.trial = self._trees["trial"] / place.prefix
        """The target's folder in the candidate's worktree."""
        self.trees = (self._trees["base"], self._trees["trial"])
        """Both worktrees, whole."""
        self.scratch = folder / "scratch"
        """Where commands get their private folders."""

    def remove(self) -> None:
        """Take both away, and git's knowledge of them."""
        for tree in TREES:
            self._remove_tree(tree)

    def _admin(self, tree: str) -> Path | None:
        """Git's own folder of one of our worktrees, or None where it has none."""
        pointer = str(self.folder.resolve() / tree / ".git")
        for gitdir in (self.place.git_dir / "worktrees").glob("*/gitdir"):
            if (text_or_none(gitdir) or "").strip() == pointer:  # gone, where another's is being removed
                return gitdir.parent
        return None

    def head(self) -> str:
        """The champion's commit."""
        return self.pinned

    def source(self) -> dict[str, str]:
        """The champion's text of each editable file. Call it after `restore`."""
        return {path: read_text(self.base / path) for path in self.editable}

    def source_at(self, commit: str) -> dict[str, str]:
        """The text of each editable file at a commit."""
        return {
            path: self._git("show", f"{commit}:{self._full(path)}", strip=False) for path in self.editable
        }

    def _full(self, path: str) -> str:
        return str(PurePosixPath(self.place.prefix) / path)

    # --- one cycle ---------------------------------------------------------------------------------

    def restore(self) -> None:
        """Make both worktrees the champion again, whatever was done to them."""
        head = self.head()
        with disk(self.folder):
            if head != self._at:
                self._pristine.clear()
            now = {tree: manifest(folder) for tree, folder in self._trees.items()}
            if self._staged:
                self._unstage(now)
            for tree, facts in now.items():
                if self._pristine.get(tree) != facts:
                    self._reset(tree, head)
        self._at = head

    def stage(self, edits: Mapping[str, str]) -> None:
        """Write a proposal into the trial."""
        with disk(self.trial):
            for path, text in edits.items():
                write_text(self.trial / path, text)
            self._staged = frozenset(self._full(path) for path in edits)

    def lay(self, base: Mapping[str, str], trial: Mapping[str, str]) -> None:
        """Put two earlier programs into the worktrees, to be measured side by side until `restore`."""
        self.restore()
        with disk(self.folder):
            for folder, texts in ((self.base, base), (self.trial, trial)):
                for path, text in texts.items():
                    write_text(folder / path, text)
            self._pristine = {tree: manifest(self._trees[tree]) for tree in TREES}
        self._at = ""  # neither is the champion: the next restore asks git for it

    def tampered(self) -> list[str]:
        """Files that running the candidate changed or removed in either worktree.

        New files do not count: `sweep` removes them before the next command.
        """
        changed: list[str] = []
        for tree in TREES:
            now = manifest(self._trees[tree])
            staged = self._staged if tree == "trial" else frozenset()
            changed += [
                f for f, facts in self._pristine[tree].items() if f not in staged and now.get(f) != facts
            ]
        return sorted(set(changed))

    def rewritten(self) -> list[str]:
        """Protected files of the target whose content is no longer what it was, whatever their facts say.

        `tampered` asks in every cycle for facts that only a system's owner can forge; this reads the files,
        and is asked before a keep.
        """
        return sorted(
            file
            for tree, known in self._digests.items()
            for file, known_hash in known.items()
            if hash_of(self._trees[tree] / self.place.prefix / file) != known_hash
        )

    def _protected(self, tree: str) -> dict[str, bytes | None]:
        """SHA-256 of each file of the target that no candidate may change."""
        folder = self._trees[tree] / self.place.prefix
        own = {*self.editable, *self.produced}
        files = (name for name in manifest(folder) if not name.endswith("/") and name not in own)
        return {name: hash_of(folder / name) for name in files}

    def sweep(self) -> None:
        """Remove what running a command left beside the files of either worktree.

        A shadow module, a bytecode cache or a memo that one command leaves would reach the next one.
        """
        for tree, known in self._pristine.items():
            root = self._trees[tree]
            if root.is_symlink():
                continue  # tampered() and restore() deal with it; what it points to is not ours to clean
            gone = "/"
            for name in sorted(manifest(root).keys() - known.keys() - self._staged):
                if name.startswith(gone):
                    continue  # it went with its folder
                if name.endswith("/"):
                    remove_tree(root / name)
                    gone = name
                else:
                    (root / name).unlink(missing_ok=True)

    def staged_differs(self, edits: Mapping[str, str]) -> list[str]:
        """Edited files that no longer hold the text that was staged."""
        return [path for path, text in edits.items() if text_or_none(self.trial / path) != text]

    def _unstage(self, now: dict[str, Manifest]) -> None:
        """Put the champion's text back where the proposal lay: cheaper than asking git to.

        What is no plain file of its worktree, or no longer the champion's, is left to git.
        """
        known, base, trial = self._pristine, *self._trees.values()
        for file in self._staged if len(known) == len(now) else ():
            champion, candidate = now["base"].get(file), now["trial"].get(file)
            if (
                champion
                and candidate
                and champion == known["base"].get(file)
                and stat.S_ISREG(champion[0])
                and stat.S_ISREG(candidate[0])
            ):
                replace_file(trial / file, (base / file).read_bytes(), base / file)
                known["trial"][file] = now["trial"][file] = facts_of((trial / file).lstat())
        self._staged = frozenset()

    def _reset(self, tree: str, head: str) -> None:
        folder = self._trees[tree]
        if not self._reset_in_place(folder, head):
            self._remove_tree(tree)
            self._git("worktree", "add", "--quiet", "--force", "--force", "--detach", str(folder), head)
        self._conceal(folder)
        self._pristine[tree] = manifest(folder)
        self._digests[tree] = self._protected(tree)

    @contextmanager
    def revealed(self, folder: Path) -> Iterator[None]:
        """Lay the hold-out's files into the worktree that holds `folder`, for as long as it runs."""
        tree = next(tree for tree in self.trees if folder.is_relative_to(tree))
        with disk(tree):
            self._write_held_out(tree)
        try:
            yield
        finally:
            with disk(tree):
                self._conceal(tree)

    def _write_held_out(self, tree: Path) -> None:
        if self.held_out:
            paths = [f":(top,literal){self._full(path)}" for path in self.held_out]
            own = {"GIT_INDEX_FILE": str(self.scratch / "held-out.index")}  # not the user's
            source = f"--source={self.root_commit}"
            self._git("restore", source, "--worktree", "--", *paths, env=own, work_tree=tree)

    def _conceal(self, tree: Path) -> None:
        for path in self.held_out:
            file = tree / self._full(path)
            if not is_reached_plainly(file.parent, tree):
                continue  # a link leads elsewhere; restore() mends it
            if file.is_dir() and not file.is_symlink():
                remove_tree(file)
            else:
                file.unlink(missing_ok=True)

    def _reset_in_place(self, folder: Path, head: str) -> bool:
        admin = self._admin(folder.name)
        # What a candidate wrote into .git could point git at the user's own branch and index.
        if (
            admin is None
            or folder.is_symlink()
            or text_or_none(folder / ".git") != f"gitdir: {admin.resolve()}\n"
        ):
            return False
        steps = (("reset", "--quiet", "--hard", head), ("clean", "-ffdxq"))
        return all(self._run(*step, cwd=folder).returncode == 0 for step in steps)

    def _remove_tree(self, tree: str) -> None:
        folder, admin = self._trees[tree], self._admin(tree)
        if folder.is_symlink() or folder.is_file():
            folder.unlink()
        elif folder.exists():
            remove_tree(folder)
        if admin is not None:
            shutil.rmtree(admin, ignore_errors=True)

    # --- git ---------------------------------------------------------------------------------------

    def _git(
        self,
        *words: str,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
        work_tree: Path | None = None,
        plain: bool = False,
        strip: bool = True,
    ) -> str:
        done = self._run(*words, env=env, stdin=stdin, work_tree=work_tree, plain=plain)
        if done.returncode != 0:
            raise WorkspaceError(f"git {' '.join(words[:3])}: {said(done.stderr)}")
        return done.stdout.strip() if strip else done.stdout

    def _run(
        self,
        *words: str,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
        work_tree: Path | None = None,
        plain: bool = False,
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        where = () if plain or cwd is not None else (f"--git-dir={self.place.git_dir}",)
        tree = () if work_tree is None else (f"--work-tree={work_tree}",)
        return spawn_git(
            *QUIET, *where, *tree, *words, cwd=cwd or work_tree or self.place.top, env=env, stdin=stdin
        )
