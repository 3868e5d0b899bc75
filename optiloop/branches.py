"""`optiloop apply --branches`: one reviewable branch for each kept change, in the user's repository. Effect.

Changes that fit onto the user's HEAD by themselves, and pass the gates so, stand there side by side; one that
does not stands on the branch whose change it needs. What the user changed meanwhile is never overwritten: a
change that no longer finds its place is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from optiloop.diff import DiffError, moved
from optiloop.errors import UsageError, WorkspaceError
from optiloop.loop import Engine
from optiloop.model import Experiment
from optiloop.report import words

Texts = Mapping[str, str]


@dataclass(frozen=True)
class Branch:
    """What became of one kept change.

    `name` is empty where it fits nowhere; `on` is the branch below, empty for the user's HEAD; `why` says
    what it did not fit, or which gate it did not pass, without that one. `texts` are the files there.
    """

    number: int
    experiment: Experiment
    name: str
    commit: str = ""
    on: str = ""
    why: str = ""
    texts: Texts | None = None

    def as_json(self) -> dict[str, object]:
        """The same for scripts."""
        one = self.experiment
        names = {"branch": self.name or None, "commit": self.commit or None, "on": self.on or None}
        known = {"number": self.number, "experiment": one.id, "effect": one.effect, "why": self.why}
        return {**names, **known, "hypothesis": one.hypothesis}

    def as_text(self) -> str:
        """One line for people."""
        what = f"#{self.number} {words.gained(self.experiment)} {words.one_line(self.experiment.hypothesis)}"
        if not self.name:
            return f"left out: {what}: {self.why}"
        return f"{self.name}: {what}{f' (on {self.on}: {self.why})' if self.on else ''}"


def make_branches(engine: Engine, keeps: Sequence[tuple[int, Experiment]], prefix: str) -> Iterator[Branch]:
    """Make a branch for each kept change, given oldest first and at least one, from the user's HEAD on.

    Raises UsageError where the target is in no repository of the user's, or a branch is there already:
    before the first is made.
    """
    workspace = engine.workspace
    if workspace.place.private:
        raise UsageError(f"{engine.target.name} is in no git repository of yours; use --patch FILE")
    names = {one.id: f"{prefix}{number}" for number, one in keeps}
    for name in (*names.values(), f"{prefix}start"):
        if workspace.has_branch(name):
            raise UsageError(f"branch {name} is there already; give another prefix, or delete it")
    start = workspace.user_head()
    head = Branch(0, keeps[0][1], "", start, texts=_at_head(engine, start))
    made = [head, *_started(engine, head, f"{prefix}start")]
    for number, one in keeps:
        branch = _placed(engine, Branch(number, one, names[one.id]), made)
        if branch.name:
            made.append(branch)
        yield branch


def _at_head(engine: Engine, start: str) -> Texts:
    try:
        return engine.workspace.source_at(start)
    except WorkspaceError as error:
        raise UsageError(
            f"your HEAD has not all of {', '.join(engine.target.editable)}: commit it ({error})"
        ) from None


def _started(engine: Engine, head: Branch, name: str) -> Iterator[Branch]:
    """The branch that lays the target's own start upon HEAD, where it chose one."""
    workspace = engine.workspace
    before, after = (workspace.source_at(commit) for commit in (workspace.snapshot, workspace.root_commit))
    edits = {path: text for path, text in after.items() if text != before[path]}
    if edits and head.texts == before:
        message = f"{workspace.message(workspace.root_commit).strip()}\n"
        yield replace(
            head, name=name, commit=workspace.commit_on(name, head.commit, edits, message), texts=after
        )


def _placed(engine: Engine, branch: Branch, below: Sequence[Branch]) -> Branch:
    """The branch on HEAD, else on the newest branch that its change fits, and commits it there."""
    why = ""
    for base in (below[0], *reversed(below[1:])):
        fault, after = _fitted(engine, base.texts or {}, branch.experiment)
        if fault:
            why = why or fault
            continue
        edits = {path: text for path, text in after.items() if text != (base.texts or {})[path]}
        commit = engine.workspace.commit_on(branch.name, base.commit, edits, _message(engine, branch))
        return Branch(branch.number, branch.experiment, branch.name, commit, base.name, why, after)
    return Branch(branch.number, branch.experiment, "", why=why)


def _fitted(engine: Engine, base: Texts, keep: Experiment) -> tuple[str, Texts]:
    """Why a change does not fit a program, and that program with it."""
    try:
        after = {**base, **moved(base, keep.diff)}
    except DiffError as error:
        return str(error), {}
    engine.workspace.restore()
    engine.workspace.stage(after)
    failed = next((gate for gate in engine.judge.gates(engine.workspace.trial) if not gate.passed), None)
    return (f"gate {failed.name}: {failed.reason}" if failed else "", after)


def _message(engine: Engine, branch: Branch) -> str:
    """Subject, what was measured and how it was decided, and where it comes from."""
    one, metric = branch.experiment, engine.target.metric
    ends = one.interval
    known = f" (95 % interval {words.bounds(ends, words.compared(one))})" if ends else ""
    measured = f"{metric.name}: {words.gained(one)}{known}, beside the champion it replaced"
    origin = f"optiloop: target {engine.target.name}, experiment #{branch.number} {one.id}, by {one.origin}"
    return f"{words.one_line(one.hypothesis)[:72]}\n\n{measured}\n{words.one_line(one.reason)}\n\n{origin}\n"
