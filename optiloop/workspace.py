"""Git, the two worktrees and the lock: where champion and candidate lie. Touches files and runs git.

The user's checkout is only ever read. Everything is done on the branch `optiloop/<target>` and in two
worktrees, `base` (the champion) and `trial` (the candidate), under `.optiloop/<target>/`. A target in no
git repository gets a private one there. A cycle that keeps nothing runs no git at all: the worktrees are
compared with what they were by stat (size, times, inode), and the branch is read from its file.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from optiloop.errors import TargetError, WorkspaceError
from optiloop.ledger import sync_folder, write_atomically
from optiloop.sandbox.removal import remove_tree

_QUIET = (
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

_CAMPAIGN_FILES = (
    "experiments.jsonl",
    "events.jsonl",
    "artifacts",
    "answers",
    *(f"{name}.json" for name in ("campaign", "baseline", "claim", "rechecks", "exhausted", "steering")),
)

Manifest = dict[str, tuple[int, ...]]
"""Path -> (mode, size, mtime, ctime, inode) of every file of a worktree."""


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
    found = _try_git(root, "rev-parse", "--path-format=absolute", "--show-toplevel", "--git-common-dir")
    ignored = found is not None and _try_git(root, "check-ignore", "-q", "--", probe) is not None
    if found is None or ignored:
        home = root / ".optiloop" / name
        return Place(home / "repository.git", root, "", home, private=True)
    top, git_dir = (Path(line) for line in found.splitlines())
    prefix = root.resolve().relative_to(top.resolve()).as_posix()
    return Place(git_dir, top, "" if prefix == "." else prefix, top / ".optiloop" / name, private=False)


class Workspace:
    """The branch and the worktrees of one campaign. Open it under `locked`."""

    def __init__(
        self,
        place: Place,
        name: str,
        editable: tuple[str, ...],
        *,
        produced: tuple[str, ...] = (),
        held_out: tuple[str, ...] = (),
        start: Callable[[Path], str] | None = None,
    ) -> None:
        self.place = place
        self.editable = editable
        self.produced = produced
        """Files that the target's commands write anew each time: never part of a snapshot."""
        self.held_out = held_out
        """Files and folders that lie in a worktree only while they are `revealed`."""
        self.branch = f"optiloop/{name}"
        self.root_commit = ""
        """The commit that this campaign began with: its baseline."""
        self.snapshot = ""
        """The target as it lay in the checkout then: another commit where `start` chose another text."""
        self._start = start
        self._ref = str(place.git_dir / "refs" / "heads" / "optiloop" / name)
        self._config = str(place.git_dir / "config")
        self._around = ((str(place.home), ".json"), (str(place.git_dir / "hooks"), ""))
        """Folders around the worktrees, and what is in the names of their files that matter."""
        self._pristine: dict[str, Manifest] = {}
        self._digests: dict[str, dict[str, bytes | None]] = {}
        self._at = ""
        self._staged: frozenset[str] = frozenset()
        self._trees = {tree: place.home / tree for tree in ("base", "trial")}
        self.base = self._trees["base"] / place.prefix
        """The target's folder in the champion's worktree."""
        self.trial = self._trees["trial"] / place.prefix
        """The target's folder in the candidate's worktree."""
        self.trees = (self._trees["base"], self._trees["trial"])
        """Both worktrees, whole."""
        self.scratch = place.home / "scratch"
        """Where commands get their private folders."""

    def _tree(self, name: str) -> Path:
        return self._trees[name]

    # --- opening -----------------------------------------------------------------------------------

    def open(self) -> None:
        """Go on with this disk's campaign, or begin one from the target as the checkout has it."""
        with disk(self.place.home):
            self._own_folder()
            self._clear_locks()
            self.root_commit, self.snapshot = self._campaign() or self._begin()
            if self._read_ref() is None:
                self._git("update-ref", f"refs/heads/{self.branch}", self.root_commit)
            self._refuse_checked_out()
            self.restore()
            self._refuse_conversion()

    def _refuse_conversion(self) -> None:
        """A checkout that is not the commit's own text would make log and branch disagree."""
        stored, here = self.source_at(self.head()), self.source()
        for path, text in here.items():
            if text != stored[path] and not (self.base / path).is_symlink():
                raise WorkspaceError(
                    f"{path}: git converts it at checkout; add the line '{path} -text -filter -ident' to "
                    ".gitattributes, then begin anew with --fresh"
                )

    def begun(self) -> bool:
        """Whether there is a campaign to read; sets its two commits. Changes nothing on disk."""
        found = self._campaign() if self.place.home.is_dir() else None
        self.root_commit, self.snapshot = found or ("", "")
        return self.root_commit != "" and self._read_ref() is not None

    def archive(self) -> None:
        """Set this campaign aside, whole: log, artifacts and branch. The next open begins anew."""
        with disk(self.place.home):
            self._refuse_checked_out()
            self._clear_locks()
            head = self._read_ref()
            entries = [entry for entry in _CAMPAIGN_FILES if (self.place.home / entry).exists()]
            if head is None and not entries:
                return
            stamp = _free_name(self.place.home / "archive")
            stamp.mkdir(parents=True)
            for entry in entries:
                (self.place.home / entry).rename(stamp / entry)
            if head is not None:
                kept = f"refs/heads/optiloop-archive/{self.branch.removeprefix('optiloop/')}/{stamp.name}"
                self._git("update-ref", kept, head)
                for tree in ("base", "trial"):
                    self._remove_tree(tree)
                self._git("update-ref", "-d", f"refs/heads/{self.branch}", head)
            sync_folder(self.place.home)

    def _own_folder(self) -> None:
        self.place.home.mkdir(parents=True, exist_ok=True)
        ignore = self.place.home.parent / ".gitignore"
        if not ignore.exists():
            write_atomically(ignore, "*\n")
        if self.place.private and not self.place.git_dir.exists():
            self._init()
        if self.scratch.exists():
            remove_tree(self.scratch)
        self.scratch.mkdir()

    def _init(self) -> None:
        """Make the private repository in one step: half a repository would never open again."""
        half = self.place.git_dir.with_suffix(".part")
        shutil.rmtree(half, ignore_errors=True)
        self._git("init", "--quiet", "--bare", "--initial-branch=main", str(half), plain=True)
        half.rename(self.place.git_dir)

    def _campaign(self) -> tuple[str, str] | None:
        """`root_commit` and `snapshot`, or None where there is no campaign yet."""
        path = self.place.home / "campaign.json"
        if path.exists():
            try:
                found = json.loads(path.read_text(encoding="utf-8"))
                commit, prefix = str(found["commit"]), str(found["prefix"])
                snapshot = str(found.get("snapshot", commit))
            except (ValueError, KeyError, TypeError):
                raise WorkspaceError(f"{path}: not a campaign; begin anew with --fresh") from None
            if prefix != self.place.prefix:
                raise WorkspaceError(
                    f"the target in {prefix or 'the root'} of this repository has the same name; "
                    "give one of them another name in target.toml"
                )
            return commit, snapshot
        if self._read_ref() is not None:
            raise WorkspaceError(
                f"branch {self.branch} is there, but its log in {self.place.home} is gone; "
                "restore that folder, or begin anew with --fresh (the branch is kept aside)"
            )
        return None

    def _begin(self) -> tuple[str, str]:
        snapshot = self._snapshot()
        commit = snapshot if self._start is None else self._started(snapshot, self._start)
        begun = {"v": 1, "commit": commit, "snapshot": snapshot, "prefix": self.place.prefix}
        write_atomically(self.place.home / "campaign.json", json.dumps(begun) + "\n")
        return commit, snapshot

    def _started(self, snapshot: str, start: Callable[[Path], str]) -> str:
        """The snapshot with what `start` writes to editable files; itself where that is nothing.

        No campaign is there before it has ended, so that a kill leaves none. Raises TargetError where it
        changes any other file.
        """
        self._reset("trial", snapshot)
        said = start(self.trial)
        tree, own = self._tree("trial"), [self._full(path) for path in self.editable]
        known, now = self._pristine.pop("trial"), manifest(self._tree("trial"))
        if others := sorted(file for file in known.keys() - set(own) if now.get(file) != known[file]):
            raise TargetError(
                f"{self.branch}: the [start] command changes {', '.join(others[:3])}; "
                f"it may write {', '.join(self.editable)} and new files only"
            )
        index = {"GIT_INDEX_FILE": str(self.scratch / "start.index")}
        self._git("read-tree", snapshot, env=index)
        literal = [f":(top,literal){path}" for path in own]
        self._git("add", "--force", "--", *literal, env=index, work_tree=tree)
        written = self._git("write-tree", env=index)
        if written == self._git("rev-parse", f"{snapshot}^{{tree}}"):
            return snapshot
        return self._git(
            "commit-tree", written, "-p", snapshot, "-m", f"{self.branch}: {said or 'the start'}"
        )

    def _snapshot(self) -> str:
        """Commit the target as it lies in the checkout, unsaved changes and all, beside the user's branch."""
        index = {"GIT_INDEX_FILE": str(self.scratch / "snapshot.index")}
        place = self.place
        head = None if place.private else _try_git(place.top, "rev-parse", "--verify", "--quiet", "HEAD")
        if head:
            self._git("read-tree", head, env=index)
        paths: tuple[str, ...] = (
            f":(top,literal){place.prefix}" if place.prefix else ":(top)",
            ":(exclude,top,glob)**/.optiloop/**",
        )
        if place.private:
            paths = (*paths, ":(exclude,top,glob)**/__pycache__/**")
        force = ("--force",) if place.private else ()
        self._git("add", "--all", *force, "--", *paths, env=index, work_tree=place.top)
        for path in self.produced:
            self._git(
                "update-index", "--force-remove", "--", self._full(path), env=index, work_tree=place.top
            )
        tree = self._git("write-tree", env=index)
        if head and self._git("rev-parse", f"{head}^{{tree}}") == tree:
            return head
        parents = ("-p", head) if head else ()
        return self._git("commit-tree", tree, *parents, "-m", f"{self.branch}: the baseline, as it lies here")

    def _refuse_checked_out(self) -> None:
        """The user may look at the branch, but git would call their tree dirty when it moves."""
        if self.place.private:
            return
        if _try_git(self.place.top, "symbolic-ref", "--quiet", "HEAD") == f"refs/heads/{self.branch}":
            raise WorkspaceError(
                f"{self.branch} is checked out in {self.place.top}; switch to another branch first"
            )

    def _clear_locks(self) -> None:
        """Remove the git locks that a killed loop left on its own branch and worktrees, never the user's."""
        own = [Path(f"{self._ref}.lock")]
        for tree in ("base", "trial"):
            if (entry := self._admin(tree)) is not None:
                own += entry.glob("*.lock")
        for lock in own:
            lock.unlink(missing_ok=True)

    def _admin(self, tree: str) -> Path | None:
        """Git's own folder of one of our worktrees, or None where it has none."""
        pointer = str(self.place.home.resolve() / tree / ".git")
        for gitdir in (self.place.git_dir / "worktrees").glob("*/gitdir"):
            if gitdir.read_text(encoding="utf-8", errors="replace").strip() == pointer:
                return gitdir.parent
        return None

    # --- what is there -----------------------------------------------------------------------------

    def head(self) -> str:
        """The champion's commit: where the branch points."""
        found = self._read_ref()
        if found is None:
            raise WorkspaceError(f"branch {self.branch} is gone; restore it, or begin anew with --fresh")
        return found

    def _read_ref(self) -> str | None:
        text = ""
        with suppress(OSError, UnicodeDecodeError), open(self._ref, encoding="ascii") as file:
            text = file.read().strip()
        if len(text) in (40, 64):
            return text
        if not self.place.git_dir.exists():
            return None
        found = self._run("rev-parse", "--verify", "--quiet", f"refs/heads/{self.branch}")
        return found.stdout.strip() or None

    def source(self) -> dict[str, str]:
        """The champion's text of each editable file. Call it after `restore`."""
        return {path: _read_text(self.base / path) for path in self.editable}

    def source_at(self, commit: str) -> dict[str, str]:
        """The text of each editable file at a commit."""
        return {
            path: self._git("show", f"{commit}:{self._full(path)}", strip=False) for path in self.editable
        }

    def message(self, commit: str) -> str:
        """A commit's message."""
        return self._git("log", "-1", "--format=%B", commit)

    def commits(self) -> list[str]:
        """The branch's commits since the campaign began, oldest first."""
        listed = self._git("rev-list", "--reverse", "--first-parent", f"{self.root_commit}..{self.head()}")
        return listed.split()

    def user_head(self) -> str:
        """The commit that the user's checkout is at. Raises WorkspaceError where there is none yet."""
        return self._git("rev-parse", "--verify", "HEAD^{commit}", plain=True)

    def has_branch(self, name: str) -> bool:
        """Whether the repository has a branch of that name."""
        return self._run("show-ref", "--verify", "--quiet", f"refs/heads/{name}").returncode == 0

    def commit_on(self, name: str, parent: str, edits: Mapping[str, str], message: str) -> str:
        """Make a new branch of the user's with one commit on another; returns it. Touches no checkout."""
        self._git("check-ref-format", "--branch", name)
        self._import(name, parent, edits, message)
        return self._git("rev-parse", "--verify", f"refs/heads/{name}")

    def _import(self, branch: str, parent: str, edits: Mapping[str, str], message: str) -> None:
        changes = "".join(
            f"M {self._mode(path)} inline {_quoted(self._full(path))}\n{_counted(text)}"
            for path, text in sorted(edits.items())
        )
        stream = (
            f"feature done\ncommit refs/heads/{branch}\ncommitter optiloop <optiloop@localhost> now\n"
            f"{_counted(message)}from {parent}\n{changes}done\n"
        )
        self._git("fast-import", "--quiet", "--date-format=now", stdin=stream)

    def make_branch(self, name: str) -> None:
        """Make a branch of the user's at the champion. Raises WorkspaceError for a taken or bad name."""
        self._git("branch", "--no-track", "--", name, self.head())

    def patch(self) -> str:
        """The change from what the checkout had to the champion, as git writes it; empty for none."""
        # The plumbing command: a user's diff.noprefix or diff.external does not reach it.
        return self._git("diff-tree", "-r", "-p", "--binary", self.snapshot, self.head(), strip=False)

    def _full(self, path: str) -> str:
        return str(PurePosixPath(self.place.prefix) / path)

    def checkout_differs(self) -> list[str]:
        """Files of the judge (all but editable and target.toml) that the checkout has otherwise."""
        own = {*self.editable, "target.toml"}
        differing = []
        for file in sorted(self._pristine["base"]):
            path = PurePosixPath(file)
            if self.place.prefix and not path.is_relative_to(self.place.prefix):
                continue
            inside = str(path.relative_to(self.place.prefix)) if self.place.prefix else file
            if inside in own or inside.startswith(".git") or file.endswith("/"):
                continue
            if _content(self.place.top / file) != _content(self._tree("base") / file):
                differing.append(inside)
        return differing + self._held_out_differs()

    def _held_out_differs(self) -> list[str]:
        """Files of the hold-out that the checkout has otherwise than the campaign."""
        if not self.held_out:
            return []
        with disk(self.scratch), tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            self._write_held_out(Path(folder))
            files = sorted(name for name in manifest(Path(folder)) if not name.endswith("/"))
            return [name for name in files if _content(self.place.top / name) != _content(Path(folder, name))]

    # --- one cycle ---------------------------------------------------------------------------------

    def restore(self) -> None:
        """Make both worktrees the champion again, whatever was done to them."""
        head = self.head()
        with disk(self.place.home):
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
                _write_text(self.trial / path, text)
            self._staged = frozenset(self._full(path) for path in edits)

    def lay(self, base: Mapping[str, str], trial: Mapping[str, str]) -> None:
        """Put two earlier programs into the worktrees, to be measured side by side until `restore`."""
        self.restore()
        with disk(self.place.home):
            for folder, texts in ((self.base, base), (self.trial, trial)):
                for path, text in texts.items():
                    _write_text(folder / path, text)
            self._pristine = {tree: manifest(self._tree(tree)) for tree in ("base", "trial")}
        self._at = ""  # neither is the champion: the next restore asks git for it

    def merged(
        self, ours: Mapping[str, str], base: Mapping[str, str], theirs: Mapping[str, str]
    ) -> dict[str, str] | None:
        """Make on `ours` the change from `base` to `theirs`; None where the two touch the same lines."""
        found = dict(ours)
        with disk(self.scratch), tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            files = [Path(folder) / name for name in ("ours", "base", "theirs")]
            for path, text in ours.items():
                if base[path] == theirs[path]:
                    continue
                for file, side in zip(files, (text, base[path], theirs[path]), strict=True):
                    _write_text(file, side)
                done = self._run("merge-file", "--stdout", "--quiet", *map(str, files))
                if done.returncode != 0:
                    return None
                found[path] = done.stdout
        return found

    def tampered(self) -> list[str]:
        """Files that running the candidate changed or removed in either worktree, or a branch it moved.

        New files do not count: `sweep` removes them before the next command.
        """
        changed = []
        if self._read_ref() != self._at:
            self._git("update-ref", f"refs/heads/{self.branch}", self._at)
            changed.append(f"branch {self.branch}")
        for tree in ("base", "trial"):
            now = manifest(self._tree(tree))
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
            for file, digest in known.items()
            if _digest(self._trees[tree] / self.place.prefix / file) != digest
        )

    def _protected(self, tree: str) -> dict[str, bytes | None]:
        """SHA-256 of each file of the target that no candidate may change."""
        folder = self._trees[tree] / self.place.prefix
        own = {*self.editable, *self.produced}
        files = (name for name in manifest(folder) if not name.endswith("/") and name not in own)
        return {name: _digest(folder / name) for name in files}

    def surroundings(self) -> Manifest:
        """Facts of what lies around the worktrees and must stay as it is while a candidate runs.

        The log, the small files beside it, git's configuration and hooks. At `bwrap` nothing reaches them.
        """
        facts = Manifest()
        for folder, part in self._around:
            with suppress(FileNotFoundError), os.scandir(folder) as entries:
                for entry in entries:
                    if part in entry.name and not entry.name.endswith(".sample"):  # git runs no such hook
                        facts[entry.name] = _facts(entry.stat(follow_symlinks=False))
        with suppress(FileNotFoundError):
            facts["config"] = _facts(os.lstat(self._config))
        return facts

    def sweep(self) -> None:
        """Remove what running a command left beside the files of either worktree.

        A shadow module, a bytecode cache or a memo that one command leaves would reach the next one.
        """
        for tree, known in self._pristine.items():
            root = self._tree(tree)
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
        return [path for path, text in edits.items() if _read_text_or_none(self.trial / path) != text]

    def commit(self, edits: Mapping[str, str], message: str) -> str:
        """Commit the proposal onto the branch, and make both worktrees the new champion.

        One git process, and the branch moves in one step at its end: a kill leaves the old or the new.
        """
        parent = self.head()
        with disk(self.place.home):
            self._import(self.branch, parent, edits, message)
            commit = self.head()
            if commit == parent:
                raise WorkspaceError(f"branch {self.branch} did not move; run again")
            self._advance(edits, commit)
        return commit

    def _mode(self, path: str) -> str:
        return "100755" if os.access(self.base / path, os.X_OK) else "100644"

    def _advance(self, edits: Mapping[str, str], commit: str) -> None:
        """Write the new champion where the old one lay; what else is there was checked before the keep."""
        for path, text in edits.items():
            _write_text(self.base / path, text)
            for tree in ("base", "trial"):
                file = self._full(path)
                self._pristine[tree][file] = _facts((self._tree(tree) / file).lstat())
        self._staged = frozenset()
        self._at = commit

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
                _replace(trial / file, (base / file).read_bytes(), base / file)
                known["trial"][file] = now["trial"][file] = _facts((trial / file).lstat())
        self._staged = frozenset()

    def _reset(self, tree: str, head: str) -> None:
        folder = self._tree(tree)
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
            if not _is_reached_plainly(file.parent, tree):
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
            or _read_text_or_none(folder / ".git") != f"gitdir: {admin.resolve()}\n"
        ):
            return False
        steps = (("reset", "--quiet", "--hard", head), ("clean", "-ffdxq"))
        return all(self._run(*step, cwd=folder).returncode == 0 for step in steps)

    def _remove_tree(self, tree: str) -> None:
        folder, admin = self._tree(tree), self._admin(tree)
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
            raise WorkspaceError(f"git {' '.join(words[:3])}: {_said(done.stderr)}")
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
        return _spawn_git(
            *_QUIET, *where, *tree, *words, cwd=cwd or work_tree or self.place.top, env=env, stdin=stdin
        )


# --- the lock --------------------------------------------------------------------------------------------


@contextmanager
def locked(place: Place, *, since: str) -> Iterator[None]:
    """Hold the campaign's lock. Raises WorkspaceError that names the holder. A killed holder frees it."""
    path = place.home / "lock"
    with disk(place.home):
        place.home.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    with file:
        if not _taken(file):
            raise WorkspaceError(f"another loop works here: {_holder(path)}; wait for it or end it")
        with disk(place.home):
            file.truncate(0)
            file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}))
            file.flush()
        yield


def _taken(file: IO[str]) -> bool:
    """Take the lock. Whoever looks at it (`worker`) holds it for a moment, so there is a second try."""
    for wait in (0.05, 0.0):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(wait)
        else:
            return True
    return False


def worker(home: Path) -> str:
    """Who runs a loop on the campaign in a folder; empty where nobody does."""
    path = home / "lock"
    try:
        with path.open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(path)
    except OSError:
        return ""
    return ""


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return f"see {path}"


# --- files -----------------------------------------------------------------------------------------------


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
                facts[name] = _facts(entry.stat(follow_symlinks=False))
    return facts


def _facts(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise WorkspaceError(
            f"{path.name}: not UTF-8 text (byte {error.start}); optiloop edits text"
        ) from None
    except OSError as error:
        raise WorkspaceError(f"{path}: {error.strerror}; the editable file must be there") from None


def _content(path: Path) -> bytes | None:
    """A file's bytes, or what a link points to; None where there is neither. A pipe is not waited for."""
    try:
        if path.is_symlink():
            return os.fsencode(os.readlink(path))
        return path.read_bytes() if path.is_file() else None
    except OSError:
        return None


def _digest(path: Path) -> bytes | None:
    """SHA-256 of what `_content` gives; None where there is nothing to read."""
    content = _content(path)
    return None if content is None else hashlib.sha256(content).digest()


def _read_text_or_none(path: Path) -> str | None:
    content = None if path.is_symlink() else _content(path)
    try:
        return None if content is None else content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, text.encode("utf-8"), path)


def _replace(path: Path, content: bytes, like: Path) -> None:
    """Write a new file in the place of an old one, never through a link, with the mode of `like`."""
    mode = stat.S_IMODE(like.stat().st_mode) if like.is_file() else None
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    if mode is not None:
        path.chmod(mode | stat.S_IRUSR | stat.S_IWUSR)


def _is_reached_plainly(path: Path, tree: Path) -> bool:
    """Whether a path below a worktree is reached through no link."""
    below = os.path.join(os.path.realpath(tree.parent), path.relative_to(tree.parent))
    return os.path.realpath(path) == os.path.normpath(below)


def _counted(text: str) -> str:
    """A text as fast-import reads it: its length in bytes, then itself."""
    return f"data {len(text.encode('utf-8'))}\n{text}\n"


def _quoted(path: str) -> str:
    """A path as fast-import reads it."""
    if not set(path) & set('"\\\n'):
        return path
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _free_name(folder: Path) -> Path:
    number = 1
    while (folder / f"{number:03d}").exists():
        number += 1
    return folder / f"{number:03d}"


def ask_git(folder: Path, *words: str) -> str | None:
    """Ask git a question whose answer may be no: None then. Raises WorkspaceError where there is no git."""
    done = _spawn_git(*_QUIET, *words, cwd=folder)
    return done.stdout if done.returncode == 0 else None


def _try_git(folder: Path, *words: str) -> str | None:
    """The same, without the space around it."""
    answer = ask_git(folder, *words)
    return None if answer is None else answer.strip()


def _spawn_git(
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


def _said(stderr: str) -> str:
    lines = [line for line in stderr.splitlines() if line.strip()]
    said = next(
        (line for line in lines if line.startswith(("fatal:", "error:"))), lines[-1] if lines else "failed"
    )
    return said.removeprefix("fatal: ").removeprefix("error: ")
