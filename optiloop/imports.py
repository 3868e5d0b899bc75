"""`optiloop import`: files of foreign logs into logs of ours, with the diffs that git has. Effect.

An imported log is an ordinary one, a JSON Lines file with its chain, that lies alone: `campaign_of` reads it,
or a foreign log as it is, for whatever shows a campaign.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from optiloop.apply import replace_texts
from optiloop.diff import unified
from optiloop.errors import UsageError, WorkspaceError
from optiloop.foreign import ForeignLog, Row, experiments_of, format_of, read, stand_alone
from optiloop.foreign.lines import utc
from optiloop.git import ask_git
from optiloop.ledger import Ledger
from optiloop.memory.fingerprint import change_fingerprint
from optiloop.model import Experiment, Status
from optiloop.record import digest, encode
from optiloop.report import Campaign

SUFFIX = ".optiloop.jsonl"
MOST_TEXT = 2**20
"""A file of a commit that has more characters, or is no UTF-8, is data: it is not part of the diff."""


@dataclass(frozen=True)
class Imported:
    """What was read, and where it was written."""

    source: str
    form: str
    log: ForeignLog
    experiments: tuple[Experiment, ...]
    output: str
    commits: int | None
    """How many rows' commits were found; None where no repository was named."""

    def as_json(self) -> dict[str, object]:
        statuses = {status.value: self._count(status) for status in Status if self._count(status)}
        values = self._kept_values()
        return {
            "source": self.source,
            "format": self.form,
            "experiments": len(self.experiments),
            "statuses": statuses,
            "metric": self.log.metric,
            "unit": self.log.unit,
            "direction": self.log.direction.value,
            "known_by": self.log.known_by,
            "first": values[0],
            "last": values[-1],
            "commits": self.commits,
            "left_out": list(self.log.left_out),
            "output": self.output,
        }

    def as_text(self) -> str:
        """A few lines for people."""
        values = self._kept_values()
        told = ", ".join(f"{self._count(status)} {status}" for status in Status if self._count(status))
        lines = [
            f"{self.source}: {self.form}, {len(self.experiments):,} experiments: {told}",
            f"{self.log.metric}: {values[0]:.10g} at first, {values[-1]:.10g} at last"
            f" ({self.log.direction}: {self.log.known_by})",
        ]
        if self.commits is not None:
            lines.append(
                f"commits: {self.commits} of {len(self.experiments):,} found, with their diffs and times"
            )
        return "\n".join([*lines, *(f"left out: {what}" for what in self.log.left_out)])

    def _count(self, status: Status) -> int:
        return sum(one.status is status for one in self.experiments)

    def _kept_values(self) -> list[float]:
        return [row.value for row in self.log.rows if row.status is Status.KEEP and row.value is not None]


def import_log(
    source: Path,
    output: Path | None = None,
    *,
    form: str = "auto",
    segment: int | None = None,
    repository: Path | None = None,
    branch: str | None = None,
    force: bool = False,
) -> Imported:
    """Read a foreign log and write it as one of ours, beside it unless `output` says where.

    Raises UsageError where it cannot be read, or where the output is there and not to be overwritten.
    """
    output = output or source.with_name(f"{source.name}{SUFFIX}")
    if output.exists() and not force:
        raise UsageError(f"{output} exists; -o names another file, --force overwrites it")
    text = _text(source)
    try:
        form = format_of(text) if form == "auto" else form
        if form == "optiloop":
            raise UsageError("is a log of ours already: name it where a TARGET is asked for")
        log = read(text, form, segment)
        commits = None
        if repository is not None:
            log, commits = with_commits(log, repository, branch, without=source.name)
        experiments = experiments_of(log, source.name)
    except UsageError as error:
        raise UsageError(f"{source}: {error}") from None
    replace_texts({output: _as_log(experiments)})
    return Imported(str(source), form, log, experiments, str(output), commits)


def _as_log(experiments: Iterable[Experiment]) -> str:
    """The text of a log: each line holds the digest of the one before."""
    lines, previous = [], ""
    for experiment in experiments:
        line = encode(replace(experiment, previous=previous))
        previous = digest(line)
        lines.append(line.decode("utf-8") + "\n")
    return "".join(lines)


def campaign_of(path: Path) -> Campaign:
    """The campaign of a log that lies alone, ours or a foreign one. Raises UsageError or LedgerError."""
    text = _text(path)
    try:
        form = format_of(text)
        if form != "optiloop":
            return stand_alone(experiments_of(read(text, form), path.name), path.name)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    experiments = tuple(Ledger(path).new())
    if not experiments:
        raise UsageError(f"{path}: no experiment in it")
    return stand_alone(experiments, experiments[0].target)


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot read it: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: cannot read it: no UTF-8 at byte {error.start}") from None


# --- commits -----------------------------------------------------------------------------------------


def with_commits(
    log: ForeignLog, repository: Path, branch: str | None, *, without: str
) -> tuple[ForeignLog, int]:
    """Fill in the diff, its fingerprint and the time of the rows whose commits the repository has.

    A diff is from the champion's commit to the row's, or from that one's parent. A row that repeats another's
    commit has none: it was not committed itself. Only commits of `branch` count where one is named.
    `without` is the log's own file. Returns the log, and how many were found. Raises UsageError where
    repository or branch is not there.
    """
    known = _branch_commits(repository, branch)
    rows, seen, champion = [], set[str](), ""
    for row in log.rows:
        commit = _full(repository, row.commit, known)
        if commit and commit not in seen:
            before = "" if row is log.baseline else champion or f"{commit}^"
            rows.append(_with_commit(row, repository, before, commit, without))
            seen.add(commit)
        else:
            rows.append(row)
        if row.status is Status.KEEP and commit:
            champion = commit
    return replace(log, rows=tuple(rows)), len(seen)


def _branch_commits(repository: Path, branch: str | None) -> list[str] | None:
    """All commits of a branch, or None where any of the repository counts."""
    try:
        if ask_git(repository, "rev-parse", "--git-dir") is None:
            raise UsageError(f"--repo {repository}: no git repository")
        if branch is None:
            return None
        found = ask_git(repository, "rev-list", "--end-of-options", branch, "--")
    except WorkspaceError as error:
        raise UsageError(f"--repo {error}") from None
    if found is None:
        raise UsageError(f"--branch {branch}: {repository} has no such branch")
    return found.split()


def _full(repository: Path, short: str, known: list[str] | None) -> str:
    """The one commit whose hash begins so; empty where there is none, or more."""
    if len(short) < 4 or set(short) - set("0123456789abcdef"):
        return ""
    if known is not None:
        found = [commit for commit in known if commit.startswith(short)]
        return found[0] if len(found) == 1 else ""
    return (ask_git(repository, "rev-parse", "--verify", "--quiet", f"{short}^{{commit}}") or "").strip()


def _with_commit(row: Row, repository: Path, champion: str, commit: str, without: str) -> Row:
    said = ask_git(repository, "show", "-s", "--format=%aI", commit) or ""
    row = replace(row, commit=commit, time=row.time or _utc(said.strip()))
    names = (
        ask_git(repository, "diff", "--name-only", "--no-renames", "-z", champion, commit) if champion else ""
    )
    paths = [path for path in (names or "").split("\0") if path and path.rpartition("/")[2] != without]
    sides = [(path, _file(repository, champion, path), _file(repository, commit, path)) for path in paths]
    texts = [(path, old, new) for path, old, new in sides if old is not None and new is not None]
    before, after = {path: old for path, old, _ in texts}, {path: new for path, _, new in texts}
    if not (diff := unified(before, after)):
        return row
    # No fingerprint of the result: which files besides the changed ones make the program is not known.
    return replace(row, diff=diff, change=change_fingerprint(before, after))


def _file(repository: Path, commit: str, path: str) -> str | None:
    """A file's text at a commit, empty where it is not there; None where it is data."""
    text = ask_git(repository, "show", "--no-textconv", f"{commit}:{path}") or ""
    return None if len(text) > MOST_TEXT or "\ufffd" in text or "\0" in text else text


def _utc(time: str) -> str:
    return utc(datetime.fromisoformat(time).timestamp()) if time else ""
