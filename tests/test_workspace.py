"""Git for real: the user's repository is only read, and whatever is done to our worktrees is undone."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from optiloop.errors import OptiloopError, WorkspaceError
from optiloop.git import Place, locate
from optiloop.loop import Engine
from optiloop.model import Status
from optiloop.targets import load_target
from optiloop.testing import TOY_EDITABLE, ScriptedProposer, toy_text, write_toy_target
from optiloop.workspace import Workspace, locked

CHANGE = {TOY_EDITABLE: toy_text(90)}


@pytest.fixture(autouse=True)
def _nobody_s_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither this machine's git settings nor a hook that runs the tests has a say."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=User", "-c", "user.email=user@example.org")
    done = subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Repository:
    """A user's repository with the toy target somewhere in it."""

    def __init__(self, top: Path, below: str = "", *, commit: bool = True) -> None:
        self.top = top
        self.target = top / below
        write_toy_target(self.target)
        git(top, "init", "--quiet", "--initial-branch=main")
        (top / "notes.txt").write_text("mine\n")
        if commit:
            git(top, "add", "--all")
            git(top, "commit", "--quiet", "-m", "first")

    def workspace(self) -> Workspace:
        place = locate(self.target.resolve(), "toy", TOY_EDITABLE)
        return Workspace(place, "toy", (TOY_EDITABLE,))

    def opened(self) -> Workspace:
        workspace = self.workspace()
        workspace.open()
        return workspace

    def seen(self) -> dict[str, bytes]:
        """Everything of the user's: files, index, HEAD, branches, stash, status, byte for byte."""
        files = {
            str(path.relative_to(self.top)): path.read_bytes()
            for path in sorted(self.top.rglob("*"))
            if path.is_file() and not {".git", ".optiloop"} & set(path.relative_to(self.top).parts)
        }
        own = {name: self.top / ".git" / name for name in ("HEAD", "index", "config", "packed-refs")}
        kept = {name: path.read_bytes() for name, path in own.items() if path.exists()}
        branches = git(
            self.top, "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/", "refs/tags"
        )
        theirs = "\n".join(line for line in branches.splitlines() if "/optiloop" not in line)
        status = git(self.top, "--no-optional-locks", "status", "--porcelain=v2", "--branch")
        return {**files, **kept, "branches": theirs.encode(), "status": status.encode()}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def campaign(target: Path, *texts: str, fresh: bool = False) -> list[Status]:
    """Run a short campaign and say how its experiments ended."""
    with Engine.opened(load_target(target), ScriptedProposer(*texts), fresh=fresh) as engine:
        engine.prepare()
        return [experiment.status for experiment in engine.cycles()]


def champion(workspace: Workspace) -> str:
    return workspace.source()[TOY_EDITABLE]


# --- whatever state the user's repository is in ------------------------------------------------------


def dirty(repository: Repository) -> None:
    (repository.top / "notes.txt").write_text("changed\n")
    (repository.top / "new.txt").write_text("new\n")


def staged(repository: Repository) -> None:
    (repository.top / "notes.txt").write_text("staged\n")
    git(repository.top, "add", "notes.txt")
    (repository.top / "notes.txt").write_text("and changed again\n")


def removed(repository: Repository) -> None:
    (repository.top / "notes.txt").unlink()


def detached(repository: Repository) -> None:
    git(repository.top, "checkout", "--quiet", "--detach")


def other_branch(repository: Repository) -> None:
    git(repository.top, "checkout", "--quiet", "-b", "feature/x")


def merging(repository: Repository) -> None:
    for name, text in (("one", "1\n"), ("two", "2\n")):
        git(repository.top, "checkout", "--quiet", "-b", name, "main")
        (repository.top / "notes.txt").write_text(text)
        git(repository.top, "commit", "--quiet", "-am", name)
    subprocess.run(["git", "merge", "one"], cwd=repository.top, capture_output=True, check=False)


def stashed(repository: Repository) -> None:
    dirty(repository)
    git(repository.top, "stash")


def packed(repository: Repository) -> None:
    git(repository.top, "pack-refs", "--all")


def index_lock(repository: Repository) -> None:
    (repository.top / ".git" / "index.lock").write_text("")


def loud_settings(repository: Repository) -> None:
    """Settings that change what git prints, or does on the way."""
    for setting in (
        "i18n.logOutputEncoding=ISO-8859-1",
        "i18n.commitEncoding=ISO-8859-1",
        "log.showSignature=true",
        "diff.noprefix=true",
        "color.ui=always",
        "core.autocrlf=true",
        "commit.gpgSign=true",
        "core.quotePath=false",
        "status.relativePaths=false",
    ):
        git(repository.top, "config", *setting.split("="))


def hooks(repository: Repository) -> None:
    folder = repository.top / ".git" / "hooks"
    for name in (
        *("pre-commit", "commit-msg", "post-commit", "post-checkout", "post-merge", "post-index-change"),
        *("reference-transaction", "pre-auto-gc", "prepare-commit-msg", "post-rewrite"),
    ):
        (folder / name).write_text(f"#!/bin/sh\necho ran > '{repository.top}/hook-{name}'\nexit 1\n")
        (folder / name).chmod(0o755)


STATES = (
    *(
        dirty,
        staged,
        removed,
        detached,
        other_branch,
        merging,
        stashed,
        packed,
        index_lock,
        loud_settings,
        hooks,
    ),
)


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_the_user_s_checkout_is_as_it_was(
    repository: Repository, state: Callable[[Repository], None]
) -> None:
    state(repository)
    before = repository.seen()
    statuses = campaign(repository.target, toy_text(90), "VALUE=x\n", toy_text(80), toy_text(95))
    assert statuses == [Status.KEEP, Status.GATE_FAILED, Status.KEEP, Status.DISCARD]
    assert repository.seen() == before
    assert champion(repository.opened()) == toy_text(80)


@pytest.mark.parametrize(
    "below", ["targets/toy", "a folder with spaces/tøy", "[a]*", ":(top)x", "-x", "a'b\"c"]
)
def test_a_target_in_any_folder(tmp_path: Path, below: str) -> None:
    repository = Repository(tmp_path / "répo sitory", below)
    before = repository.seen()
    assert campaign(repository.target, toy_text(90)) == [Status.KEEP]
    assert repository.seen() == before
    workspace = repository.opened()
    assert workspace.place.prefix == below
    assert champion(workspace) == toy_text(90)
    assert workspace.commits() != []


def test_an_unborn_branch(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "new", commit=False)
    before = repository.seen()
    assert campaign(repository.target, toy_text(90)) == [Status.KEEP]
    assert repository.seen() == before


def test_unsaved_work_in_the_target_is_the_baseline(repository: Repository) -> None:
    (repository.target / TOY_EDITABLE).write_text(toy_text(70))
    (repository.target / "new.txt").write_text("untracked\n")
    (repository.target / "notes.txt").unlink()
    workspace = repository.opened()
    assert champion(workspace) == toy_text(70)
    assert (workspace.base / "new.txt").read_text() == "untracked\n"
    assert not (workspace.base / "notes.txt").exists()


def test_a_clean_checkout_needs_no_commit_for_its_baseline(repository: Repository) -> None:
    assert repository.opened().root_commit == git(repository.top, "rev-parse", "HEAD")


def test_no_repository_gets_a_private_one(tmp_path: Path) -> None:
    target = write_toy_target(tmp_path / "alone")
    assert campaign(target, toy_text(90)) == [Status.KEEP]
    place = locate(target, "toy", TOY_EDITABLE)
    assert place.private
    assert not (target / ".git").exists()
    assert sorted(path.name for path in target.iterdir()) == sorted(
        [".optiloop", "gate.sh", "score.sh", "target.toml", TOY_EDITABLE]
    )


def test_half_a_private_repository_is_made_anew(tmp_path: Path) -> None:
    """A kill in `git init` leaves the half under another name."""
    target = write_toy_target(tmp_path / "alone")
    half = target / ".optiloop" / "toy" / "repository.part"
    half.mkdir(parents=True)
    (half / "HEAD").write_text("ref: refs/heads/main\n")
    assert campaign(target, toy_text(90)) == [Status.KEEP]


def test_a_target_that_git_ignores_gets_a_private_one(repository: Repository) -> None:
    ignored = write_toy_target(repository.top / "scratch" / "toy")
    (repository.top / ".gitignore").write_text("scratch/\n")
    before = repository.seen()
    assert campaign(ignored, toy_text(90)) == [Status.KEEP]
    assert locate(ignored, "toy", TOY_EDITABLE).private
    assert repository.seen() == before


def test_a_folder_reached_through_a_link(tmp_path: Path) -> None:
    """The worktrees are recognised, and not made anew in each cycle."""
    (tmp_path / "link").symlink_to(write_toy_target(tmp_path / "real"), target_is_directory=True)
    workspace = Workspace(locate(tmp_path / "link", "toy", TOY_EDITABLE), "toy", (TOY_EDITABLE,))
    workspace.open()
    inode = workspace.base.stat().st_ino
    (workspace.base / "gate.sh").write_text("scribble")
    workspace.restore()
    assert workspace.base.stat().st_ino == inode


def test_a_linked_worktree_of_the_user_s(repository: Repository) -> None:
    linked = repository.top.with_name("linked")
    git(repository.top, "worktree", "add", "--quiet", "-b", "side", str(linked))
    before = repository.seen()
    assert campaign(linked, toy_text(90)) == [Status.KEEP]
    assert repository.seen() == before


def test_a_repository_that_was_moved(repository: Repository) -> None:
    campaign(repository.target, toy_text(90))
    moved = repository.top.with_name("moved elsewhere")
    repository.top.rename(moved)
    assert campaign(moved, toy_text(90), toy_text(80)) == [Status.KEEP]
    assert champion(Repository.opened(_at(moved))) == toy_text(80)


def _at(top: Path) -> Repository:
    found = object.__new__(Repository)
    found.top = found.target = top
    return found


# --- what a keep writes ------------------------------------------------------------------------------

TEXTS = {
    "carriage returns": "VALUE=90\r\n",
    "mixed line ends": "VALUE=90\n# a\r\n# b\r# c\n",
    "no newline at the end": "VALUE=90",
    "form feeds and such": "VALUE=90\n#\f\v\x1c\x85\u2028\n",
    "trailing space": "VALUE=90  \n\n\n",
    "nothing but ASCII is a rumour": "VALUE=90 # é 漢 🙂\n",
    "a byte order mark": "\ufeffVALUE=90\n",
    "a conflict's marks": "VALUE=90\n# <<<<<<< x\n",
    "empty": "",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("attributes", ["", "* text=auto\n"], ids=["", "text=auto"])
def test_a_kept_text_stays_byte_for_byte(repository: Repository, text: str, attributes: str) -> None:
    (repository.top / ".gitattributes").write_text(attributes)
    git(repository.top, "add", ".gitattributes")
    workspace = repository.opened()
    edits = {TOY_EDITABLE: text}
    workspace.stage(edits)
    commit = workspace.commit(edits, "because")
    assert champion(workspace) == text
    assert workspace.source_at(commit) == edits
    again = repository.opened()
    assert (again.base / TOY_EDITABLE).read_bytes() == text.encode()
    assert (again.trial / TOY_EDITABLE).read_bytes() == text.encode()


def test_a_baseline_with_carriage_returns_stays(repository: Repository) -> None:
    (repository.target / "notes.txt").write_bytes(b"one\r\ntwo")
    git(repository.top, "commit", "--quiet", "-am", "crlf")
    assert (repository.opened().base / "notes.txt").read_bytes() == b"one\r\ntwo"


@pytest.mark.parametrize("mode", [0o755, 0o644])
def test_the_file_mode_stays(repository: Repository, mode: int) -> None:
    (repository.target / TOY_EDITABLE).chmod(mode)
    git(repository.top, "commit", "--quiet", "--allow-empty", "-am", "mode")
    workspace = repository.opened()
    workspace.stage(CHANGE)
    assert stat.S_IMODE((workspace.trial / TOY_EDITABLE).stat().st_mode) & 0o100 == mode & 0o100
    commit = workspace.commit(CHANGE, "because")
    assert git(repository.top, "ls-tree", commit, TOY_EDITABLE).split()[0] == f"100{mode:o}"
    again = repository.opened()
    assert stat.S_IMODE((again.base / TOY_EDITABLE).stat().st_mode) & 0o100 == mode & 0o100


def test_a_keep_changes_its_file_and_nothing_else(repository: Repository) -> None:
    (repository.top / "notes.txt").write_text("unsaved\n")
    workspace = repository.opened()
    workspace.stage(CHANGE)
    commit = workspace.commit(CHANGE, "because\n\nof this")
    assert git(repository.top, "diff", "--name-only", workspace.root_commit, commit) == TOY_EDITABLE
    assert git(repository.top, "rev-parse", f"{commit}^") == workspace.root_commit
    assert workspace.head() == commit == git(repository.top, "rev-parse", "optiloop/toy")
    assert workspace.message(commit) == "because\n\nof this"
    assert workspace.commits() == [commit]
    assert workspace.tampered() == []
    assert workspace.begun()


def test_a_file_of_an_odd_name(tmp_path: Path) -> None:
    name = 'a "b"\\c\té.sh'
    root = tmp_path / "odd"
    write_toy_target(root, files={name: "1\n"})
    workspace = Workspace(locate(root, "toy", name), "toy", (name,))
    workspace.open()
    workspace.stage({name: "2\n"})
    commit = workspace.commit({name: "2\n"}, "because")
    assert workspace.source_at(commit) == {name: "2\n"}


def test_an_editable_link_becomes_the_file_it_stood_for(repository: Repository) -> None:
    (repository.target / "real.sh").write_text(toy_text(100))
    (repository.target / TOY_EDITABLE).unlink()
    (repository.target / TOY_EDITABLE).symlink_to("real.sh")
    assert campaign(repository.target, toy_text(90)) == [Status.KEEP]
    workspace = repository.opened()
    assert champion(workspace) == toy_text(90)
    assert (workspace.base / "real.sh").read_text() == toy_text(100)


def test_the_patch_applies_whatever_the_user_s_settings(repository: Repository) -> None:
    loud_settings(repository)
    campaign(repository.target, toy_text(90))
    patch = repository.opened().patch()
    done = subprocess.run(
        ["git", "apply", "-"], cwd=repository.top, input=patch, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (repository.target / TOY_EDITABLE).read_text() == toy_text(90)


def test_messages_come_back_whatever_the_user_s_settings(repository: Repository) -> None:
    loud_settings(repository)
    workspace = repository.opened()
    workspace.stage(CHANGE)
    assert workspace.message(workspace.commit(CHANGE, "é\n\n{}")) == "é\n\n{}"


# --- what a candidate does to the worktrees ----------------------------------------------------------


def scribble(file: Path) -> None:
    file.write_text("scribble\n")


def same_length_old_times(file: Path) -> None:
    """As long as it was, with its old times: only the change time tells."""
    facts = file.stat()
    file.write_bytes(b"x" * facts.st_size)
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def append(file: Path) -> None:
    with file.open("a") as opened:
        opened.write("more\n")


def remove(file: Path) -> None:
    file.unlink()


def link_away(file: Path) -> None:
    file.unlink()
    file.symlink_to("/etc/hostname")


def make_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def make_executable(file: Path) -> None:
    file.chmod(0o777)


def swap(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(file.read_bytes())
    other.replace(file)


HARMS = (scribble, same_length_old_times, append, remove, link_away, make_folder, make_executable, swap)


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("tree", ["base", "trial"])
def test_a_touched_judge_is_named_and_restored(
    repository: Repository, tree: str, harm: Callable[[Path], None]
) -> None:
    workspace = repository.opened()
    workspace.stage(CHANGE)
    assert workspace.tampered() == []
    harm(getattr(workspace, tree) / "gate.sh")
    assert workspace.tampered() == ["gate.sh"]
    workspace.restore()
    whole(workspace, repository)


@pytest.mark.parametrize("tree", ["base", "trial"])
def test_content_tells_where_forged_facts_do_not(
    repository: Repository, tree: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a system's owner can set a change time back; a candidate may run as one."""
    monkeypatch.setattr("optiloop.files.facts_of", lambda found: (found.st_mode,))
    opened = repository.opened()
    assert opened.rewritten() == []
    (getattr(opened, tree) / "gate.sh").write_text("exit 0\n")
    assert opened.tampered() == []
    assert opened.rewritten() == ["gate.sh"]


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_a_touched_candidate_is_restored(repository: Repository, harm: Callable[[Path], None]) -> None:
    workspace = repository.opened()
    workspace.stage(CHANGE)
    assert workspace.staged_differs(CHANGE) == []
    harm(workspace.trial / TOY_EDITABLE)
    assert workspace.tampered() == []
    assert workspace.staged_differs(CHANGE) == ([] if harm in (make_executable, swap) else [TOY_EDITABLE])
    workspace.restore()
    whole(workspace, repository)


def whole(workspace: Workspace, repository: Repository) -> None:
    """Both worktrees are plain folders of their own that hold the champion and nothing else."""
    for tree in (workspace.place.home / "base", workspace.place.home / "trial"):
        assert not tree.is_symlink()
        names = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()}
        assert names == {".git", "notes.txt", "target.toml", "gate.sh", "score.sh", TOY_EDITABLE}
        for name in names - {".git"}:
            assert not (tree / name).is_symlink()
            assert (tree / name).read_bytes() == (repository.top / name).read_bytes()
        assert (tree / "gate.sh").stat().st_mode & 0o111 == 0
        assert git(tree, "status", "--porcelain") == ""
        assert git(tree, "rev-parse", "HEAD") == workspace.head()
    assert (workspace.place.home / "base").stat().st_ino != (workspace.place.home / "trial").stat().st_ino
    assert workspace.tampered() == []


def remove_git_file(tree: Path, _: Repository) -> None:
    (tree / ".git").unlink()


def ruin_git_file(tree: Path, _: Repository) -> None:
    (tree / ".git").write_text("gitdir: nowhere\n")


def point_git_at_the_user_s(tree: Path, repository: Repository) -> None:
    (tree / ".git").write_text(f"gitdir: {repository.top / '.git'}\n")


def git_link_to_the_user_s(tree: Path, repository: Repository) -> None:
    (tree / ".git").unlink()
    (tree / ".git").symlink_to(repository.top / ".git")


def swap_git_files(tree: Path, _: Repository) -> None:
    other = tree.with_name("trial" if tree.name == "base" else "base")
    (tree / ".git").write_bytes((other / ".git").read_bytes())


def remove_tree(tree: Path, _: Repository) -> None:
    subprocess.run(["rm", "-rf", str(tree)], check=True)


def link_to_the_other(tree: Path, _: Repository) -> None:
    remove_tree(tree, _)
    tree.symlink_to("trial" if tree.name == "base" else "base")


def link_to_the_user_s(tree: Path, repository: Repository) -> None:
    remove_tree(tree, repository)
    tree.symlink_to(repository.top)


def file_in_its_place(tree: Path, repository: Repository) -> None:
    remove_tree(tree, repository)
    tree.write_text("not a folder")


def fill_with_rubbish(tree: Path, _: Repository) -> None:
    (tree / "deep" / "er").mkdir(parents=True)
    (tree / "deep" / "er" / "file").write_text("rubbish")
    (tree / "pipe").parent.mkdir(exist_ok=True)
    os.mkfifo(tree / "pipe")
    (tree / "dangling").symlink_to("nowhere")
    (tree / "self").symlink_to(".")
    (tree / "nested").mkdir()
    git(tree / "nested", "init", "--quiet")
    (tree / ".gitignore").write_text("*\n")


DISASTERS = (
    *(remove_git_file, ruin_git_file, point_git_at_the_user_s, git_link_to_the_user_s, swap_git_files),
    *(remove_tree, link_to_the_other, link_to_the_user_s, file_in_its_place, fill_with_rubbish),
)


@pytest.mark.parametrize("disaster", DISASTERS, ids=lambda disaster: disaster.__name__)
@pytest.mark.parametrize(("tree", "restart"), [("base", True), ("trial", False), ("base", False)])
def test_a_ruined_worktree_is_made_anew(
    repository: Repository, tree: str, disaster: Callable[[Path, Repository], None], restart: bool
) -> None:
    (repository.top / "notes.txt").write_text("unsaved\n")
    (repository.target / TOY_EDITABLE).write_text(toy_text(99))
    workspace = repository.opened()
    before = repository.seen()
    workspace.stage(CHANGE)
    disaster(workspace.place.home / tree, repository)
    if restart:
        workspace = repository.opened()
    else:
        workspace.restore()
    whole(workspace, repository)
    assert repository.seen() == before


def test_a_folder_replaced_by_a_link_to_the_user_s_own_is_not_written_through(tmp_path: Path) -> None:
    """The candidate's folder becomes a link to the user's; putting the champion back must not follow it."""
    root = write_toy_target(tmp_path / "toy")
    (root / "pkg").mkdir()
    (root / "pkg" / "a.sh").write_text("baseline\n")
    workspace = Workspace(locate(root, "toy", "pkg/a.sh"), "toy", ("pkg/a.sh",))
    workspace.open()
    workspace.stage({"pkg/a.sh": "candidate\n"})
    (root / "pkg" / "a.sh").write_text("the user's unsaved work\n")
    subprocess.run(["rm", "-rf", str(workspace.trial / "pkg")], check=True)
    (workspace.trial / "pkg").symlink_to(root / "pkg")
    workspace.restore()
    assert (root / "pkg" / "a.sh").read_text() == "the user's unsaved work\n"
    assert (workspace.trial / "pkg" / "a.sh").read_text() == "baseline\n"


def test_a_hard_link_to_the_user_s_file_is_not_written_through(repository: Repository) -> None:
    workspace = repository.opened()
    workspace.stage(CHANGE)
    theirs = repository.target / TOY_EDITABLE
    theirs.write_text("the user's unsaved work\n")
    (workspace.trial / TOY_EDITABLE).unlink()
    os.link(theirs, workspace.trial / TOY_EDITABLE)
    workspace.restore()
    workspace.stage(CHANGE)
    assert theirs.read_text() == "the user's unsaved work\n"


def test_new_files_beside_the_judge_are_not_tampering_but_go(repository: Repository) -> None:
    workspace = repository.opened()
    (workspace.trial / "new.txt").write_text("a result\n")
    assert workspace.tampered() == []
    workspace.restore()
    assert not (workspace.trial / "new.txt").exists()


# --- locks -------------------------------------------------------------------------------------------


def test_our_own_stale_locks_go_and_the_user_s_stays(repository: Repository) -> None:
    workspace = repository.opened()
    git_dir = repository.top / ".git"
    ours = [git_dir / "refs" / "heads" / "optiloop" / "toy.lock"]
    for admin in (git_dir / "worktrees").iterdir():
        ours += [admin / "index.lock", admin / "HEAD.lock"]
    theirs = [git_dir / "index.lock", git_dir / "HEAD.lock", git_dir / "refs" / "heads" / "main.lock"]
    for lock in (*ours, *theirs):
        lock.write_text("")
    assert len(ours) == 5
    campaign_statuses = campaign(repository.target, toy_text(90))
    assert campaign_statuses == [Status.KEEP]
    assert [lock for lock in ours if lock.exists()] == []
    assert [lock for lock in theirs if not lock.exists()] == []
    assert champion(workspace) == toy_text(90)


def test_a_second_loop_is_told_who_works_here(repository: Repository) -> None:
    place = repository.workspace().place
    with (
        locked(place, since="2026-01-01"),
        pytest.raises(WorkspaceError, match=rf"process {os.getpid()} on .* since 2026-01-01") as told,
        locked(place, since="later"),
    ):
        pass
    assert "\n" not in str(told.value)
    with locked(place, since="afterwards"):
        pass


def test_a_killed_holder_frees_the_lock(repository: Repository) -> None:
    place = repository.workspace().place
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom optiloop.git import locate\n"
        "from optiloop.workspace import locked\n"
        f"with locked(locate(Path(sys.argv[1]), 'toy', {TOY_EDITABLE!r}), since=''):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(repository.target.resolve())], check=False)
    assert done.returncode == -9
    assert (place.home / "lock").exists()
    with locked(place, since="now"):
        pass


# --- set aside ---------------------------------------------------------------------------------------


def test_fresh_sets_everything_aside_and_begins_anew(repository: Repository) -> None:
    before = repository.seen()
    campaign(repository.target, toy_text(90), "VALUE=x\n")
    workspace = repository.opened()
    home, head = workspace.place.home, workspace.head()
    log = (home / "experiments.jsonl").read_bytes()
    assert campaign(repository.target, toy_text(95), fresh=True) == [Status.KEEP]
    kept = home / "archive" / "001"
    assert (kept / "experiments.jsonl").read_bytes() == log
    assert sorted(path.name for path in kept.iterdir()) == [
        *("artifacts", "baseline.json", "campaign.json", "experiments.jsonl"),
    ]
    assert git(repository.top, "rev-parse", "optiloop-archive/toy/001") == head
    assert champion(repository.opened()) == toy_text(95)
    campaign(repository.target, fresh=True)
    assert sorted(path.name for path in (home / "archive").iterdir()) == ["001", "002"]
    assert repository.seen() == before


@pytest.mark.parametrize("private", [False, True], ids=["in a repository", "alone"])
def test_fresh_on_the_first_run_is_a_first_run(tmp_path: Path, private: bool) -> None:
    target = tmp_path / "toy"
    if private:
        write_toy_target(target)
    else:
        Repository(target)
    assert campaign(target, toy_text(90), fresh=True) == [Status.KEEP]
    assert not (target / ".optiloop" / "toy" / "archive").exists()


@pytest.mark.parametrize("lost", ["campaign.json", "branch", "all but the log"])
def test_fresh_helps_where_half_a_campaign_is_left(repository: Repository, lost: str) -> None:
    campaign(repository.target, toy_text(90))
    home = repository.workspace().place.home
    if lost == "campaign.json":
        (home / "campaign.json").write_text("torn")
    else:
        git(repository.top, "update-ref", "-d", "refs/heads/optiloop/toy")
    if lost == "all but the log":
        (home / "campaign.json").unlink()
    with pytest.raises(OptiloopError, match="fresh"):
        campaign(repository.target)
    assert campaign(repository.target, toy_text(95), fresh=True) == [Status.KEEP]
    assert (home / "archive" / "001" / "experiments.jsonl").exists()


def test_fresh_copes_with_a_stale_lock(repository: Repository) -> None:
    campaign(repository.target, toy_text(90))
    (repository.top / ".git" / "refs" / "heads" / "optiloop" / "toy.lock").write_text("")
    assert campaign(repository.target, toy_text(95), fresh=True) == [Status.KEEP]


def test_a_log_without_its_branch_is_not_begun_over(repository: Repository) -> None:
    campaign(repository.target, toy_text(90))
    (repository.workspace().place.home / "campaign.json").unlink()
    with pytest.raises(WorkspaceError, match=r"its log in .* is gone"):
        repository.opened()


# --- what cannot be ----------------------------------------------------------------------------------


@pytest.mark.parametrize("fresh", [False, True])
def test_a_branch_that_the_user_has_checked_out_is_refused(repository: Repository, fresh: bool) -> None:
    campaign(repository.target, toy_text(90))
    git(repository.top, "checkout", "--quiet", "optiloop/toy")
    before = repository.seen()
    head = git(repository.top, "rev-parse", "HEAD")
    with pytest.raises(WorkspaceError, match="switch to another branch"):
        campaign(repository.target, toy_text(80), fresh=fresh)
    assert repository.seen() == before
    assert git(repository.top, "rev-parse", "HEAD") == head


def test_a_branch_of_the_user_s_in_the_way(repository: Repository) -> None:
    git(repository.top, "branch", "optiloop")
    with pytest.raises(WorkspaceError) as told:
        repository.opened()
    assert "\n" not in str(told.value)


def test_an_editable_file_that_is_no_text(repository: Repository) -> None:
    (repository.target / TOY_EDITABLE).write_bytes(b"VALUE=\xff\n")
    with pytest.raises(WorkspaceError, match=r"value\.sh: not UTF-8 text \(byte 6\)"):
        repository.opened().source()


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="no such folder"):
        locate(tmp_path / "gone", "toy", TOY_EDITABLE)


def test_no_git(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(WorkspaceError, match="git is not installed"):
        repository.opened()


WITHOUT_PRIVILEGE = """
import ctypes, os, sys
if os.getuid() == 0:  # root may read and write all: not without these two capabilities
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        if ctypes.CDLL(None).prctl(24, capability, 0, 0, 0) != 0:  # PR_CAPBSET_DROP
            sys.exit("cannot drop a capability")
os.execv(sys.executable, [sys.executable, "-c", *sys.argv[1:]])
"""
CAMPAIGN = """
import sys
from optiloop.errors import OptiloopError
from optiloop.loop import Engine
from optiloop.targets import load_target
from optiloop.testing import ScriptedProposer
try:
    with Engine.opened(load_target(sys.argv[1]), ScriptedProposer(*sys.argv[2:])) as engine:
        engine.prepare()
        for experiment in engine.cycles():
            print(experiment.status, "|", experiment.reason)
except OptiloopError as error:
    print(type(error).__name__, "|", error)
"""


def campaign_without_privilege(target: Path, *texts: str) -> list[str]:
    """Run a campaign as a user to whom the permissions of files apply."""
    words = [sys.executable, "-c", WITHOUT_PRIVILEGE, CAMPAIGN, str(target), *texts]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if "cannot drop a capability" in done.stderr:
        pytest.skip("root, and it cannot be given up here")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def unlocked(tmp_path: Path) -> Iterator[Path]:
    """A folder whose locked folders are unlocked at the end, so that pytest can remove them."""
    yield tmp_path
    subprocess.run(["chmod", "-R", "u+rwX", str(tmp_path)], check=True)


def test_a_read_only_folder_is_one_line(unlocked: Path) -> None:
    target = write_toy_target(unlocked / "toy")
    target.chmod(0o555)
    said = campaign_without_privilege(target)
    assert len(said) == 1
    assert said[0].startswith("WorkspaceError | ")
    assert "make it writable" in said[0]


UNREADABLE = {
    "a folder in the trial": "mkdir locked; chmod 0 locked\nVALUE=120\n",
    "a full folder in the trial": "mkdir locked; echo x > locked/x; chmod 0 locked\nVALUE=120\n",
    "a folder in the champion's tree": "mkdir ../base/locked; chmod 0 ../base/locked\nVALUE=120\n",
    "a folder in its home": "cd $HOME; mkdir locked; echo x > locked/x; chmod 0 locked; cd -\nVALUE=120\n",
    "its own file": "chmod 0 value.sh\nVALUE=120\n",
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_a_candidate_that_locks_things_up_does_not_stop_the_loop(unlocked: Path, text: str) -> None:
    target = write_toy_target(unlocked / "toy")
    said = campaign_without_privilege(target, text, toy_text(90))
    assert len(said) == 2, said
    assert said[1].startswith("keep | ")
    assert campaign_without_privilege(target, text, toy_text(90), toy_text(80)) == [
        "keep | better: 90.0 -> 80.0, twice"
    ]


def test_the_lock_s_folder_ignores_itself(repository: Repository) -> None:
    campaign(repository.target)
    assert git(repository.top, "status", "--porcelain") == ""
    assert json.loads((repository.workspace().place.home / "campaign.json").read_text())["v"] == 1


@pytest.fixture
def place(repository: Repository) -> Place:
    return repository.workspace().place


def test_a_campaign_folder_that_is_a_file(repository: Repository, place: Place) -> None:
    place.home.parent.write_text("in the way")
    with pytest.raises(WorkspaceError) as told, locked(place, since=""):
        pass
    assert "\n" not in str(told.value)
