"""A campaign in git: its branch, its worktrees and its lock. Touches files and runs git.

The user's checkout is only ever read. Everything is done on the branch `optiloop/<target>` and in two
worktrees under `.optiloop/<target>/`. A target in no git repository gets a private one there. The branch is
read from its file.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO

from optiloop.errors import TargetError, WorkspaceError
from optiloop.files import Manifest, content_of, disk, facts_of, manifest, write_text
from optiloop.git import Place, try_git
from optiloop.ledger import sync_folder, write_atomically
from optiloop.sandbox.removal import remove_tree
from optiloop.worktrees import TREES, Worktrees

_CAMPAIGN_FILES = (
    "experiments.jsonl",
    "events.jsonl",
    "artifacts",
    "answers",
    *(f"{name}.json" for name in ("campaign", "baseline", "claim", "rechecks", "exhausted", "steering")),
)


_OF_NO_MATTER = (".sample", "steering.json")
"""In names of files: hooks that git does not run, and what the user says to a loop while it runs."""


class Workspace(Worktrees):
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
        super().__init__(place, place.home, editable, produced=produced, held_out=held_out)
        self.workers = place.home / "workers"
        """Where workers have worktrees of their own."""
        self.branch = f"optiloop/{name}"
        self.snapshot = ""
        """As the checkout had the target at first; not `root_commit` where `start` chose another text."""
        self._start = start
        self._ref = str(place.git_dir / "refs" / "heads" / "optiloop" / name)
        self._config = str(place.git_dir / "config")
        self._around = ((str(place.home), ".json"), (str(place.git_dir / "hooks"), ""))
        """Folders around the worktrees, and what is in the names of their files that matter."""

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
                self.remove()
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
        self.clear_workers()

    def clear_workers(self) -> None:
        """Take away what workers have left, those of a killed team too."""
        folder = self.workers
        if folder.exists():
            for own in [path for path in folder.iterdir() if path.is_dir()]:
                Worktrees(self.place, own, self.editable).remove()
            remove_tree(folder)

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
        tree, own = self._trees["trial"], [self._full(path) for path in self.editable]
        known, now = self._pristine.pop("trial"), manifest(self._trees["trial"])
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
        head = None if place.private else try_git(place.top, "rev-parse", "--verify", "--quiet", "HEAD")
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
        if try_git(self.place.top, "symbolic-ref", "--quiet", "HEAD") == f"refs/heads/{self.branch}":
            raise WorkspaceError(
                f"{self.branch} is checked out in {self.place.top}; switch to another branch first"
            )

    def _clear_locks(self) -> None:
        """Remove the git locks that a killed loop left on its own branch and worktrees, never the user's."""
        own = [Path(f"{self._ref}.lock")]
        for tree in TREES:
            if (entry := self._admin(tree)) is not None:
                own += entry.glob("*.lock")
        for lock in own:
            lock.unlink(missing_ok=True)

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
            if content_of(self.place.top / file) != content_of(self._trees["base"] / file):
                differing.append(inside)
        return differing + self._held_out_differs()

    def _held_out_differs(self) -> list[str]:
        """Files of the hold-out that the checkout has otherwise than the campaign."""
        if not self.held_out:
            return []
        with disk(self.scratch), tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            self._write_held_out(Path(folder))
            files = sorted(name for name in manifest(Path(folder)) if not name.endswith("/"))
            return [
                name for name in files if content_of(self.place.top / name) != content_of(Path(folder, name))
            ]

    # --- one cycle ---------------------------------------------------------------------------------

    def tampered(self) -> list[str]:
        """The same, and the branch where it was moved."""
        return sorted((*self.moved(self._at), *super().tampered()))

    def moved(self, head: str) -> list[str]:
        """The branch, where it is no longer at `head`; it is put back there."""
        if self._read_ref() == head:
            return []
        self._git("update-ref", f"refs/heads/{self.branch}", head)
        return [f"branch {self.branch}"]

    def surroundings(self) -> Manifest:
        """Facts of what lies around the worktrees and must stay as it is while a candidate runs.

        The log, the small files beside it, git's configuration and hooks. At `bwrap` nothing reaches them.
        """
        facts = Manifest()
        for folder, part in self._around:
            with suppress(FileNotFoundError), os.scandir(folder) as entries:
                for entry in entries:
                    if part in entry.name and not any(other in entry.name for other in _OF_NO_MATTER):
                        facts[entry.name] = facts_of(entry.stat(follow_symlinks=False))
        with suppress(FileNotFoundError):
            facts["config"] = facts_of(os.lstat(self._config))
        return facts

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
            file = self._full(path)
            for tree, folder in self._trees.items():
                if tree == "base" or file not in self._staged:
                    write_text(folder / file, text)
                self._pristine[tree][file] = facts_of((folder / file).lstat())
        self._staged = frozenset()
        self._at = commit


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
