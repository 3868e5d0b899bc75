"""`agent:COMMAND`: a coding agent of the user's, as a subprocess, makes one change in a copy. Effect.

It gets the brief that models get, and a throw-away copy of the target's folder. When it has ended, the
editable files of the copy are compared with the champion's; whatever else it did there is dropped, and told.
What it did is on disk before it is used: an agent that was paid for is not asked again after a crash.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optiloop.errors import AllowanceError, ProposerError, ProposerGoneError, UsageError, WorkspaceError
from optiloop.files import Manifest, manifest
from optiloop.model import REPEATS, Allowance, Brief, Confinement, Cost, Proposal, Seconds
from optiloop.proposers.known_agents import AGENTS, Known, Told, as_text
from optiloop.proposers.llm.focus import asked
from optiloop.proposers.llm.forms import hypothesis, words_in
from optiloop.proposers.llm.paid import once
from optiloop.proposers.llm.prompt import rendered
from optiloop.redact import REDACTED, redactor
from optiloop.sandbox import Outcome, Sandbox, last_line
from optiloop.untrusted import MOST, plain, plain_line

LIMIT: Seconds = Seconds(600.0)
"""How long an agent may work on one proposal."""
LARGEST = 4 * 2**20
"""Bytes of an edited file that is read."""
SHOWN = 64 * 2**10
"""Characters of each stream that are kept for people to read."""
DROPPED = "dropped"
"""The tag of a proposal whose agent did more than it may; its artifact says what."""

_NAME = 60
_NAMED, _NOTED = 5, 200
"""Other changes that a reason names, and that are noted at all."""
_NOT_FOUND = (126, 127)
"""A shell's exit codes for a program that is not there, or cannot be run."""

_KEPT_BACK = ("GITHUB_", "GH_", "GITLAB_", "CI_", "ACTIONS_", "RUNNER_", "BUILDKITE_", "CIRCLE_")
"""Of CI: tokens, and files through which a step tells the next ones what to do."""
_MISLEADING = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "OLDPWD",
)
_KEYS_AT_HOME = (".ssh", ".gnupg")


@dataclass(frozen=True)
class Work:
    """What an agent did: the new texts, why they cannot be used (empty where they can), and what else.

    `others` are changes of the copy beside the editable files, `said` its last words.
    """

    edits: Mapping[str, str]
    trouble: str
    others: tuple[str, ...]
    said: str
    cost: Cost


_NOTHING = Cost()


class Agent:
    """Runs a known agent by its name, or any shell line; `name` is agent:COMMAND."""

    def __init__(self, command: str, *, limit: Seconds = LIMIT) -> None:
        if not command.strip():
            raise UsageError(f"agent: needs a command, or one of {', '.join(AGENTS)}")
        self._command, self._limit = command.strip(), limit
        self._known: Known | None = AGENTS.get(self._command)
        self._line = self._known.line if self._known else self._command
        self._redact = redactor(os.environ)
        self.name = f"agent:{_short(self._redact(self._command))}"

    def propose(self, brief: Brief) -> Proposal | None:
        """The change that the agent made; where the log refuses it, the one that it makes when told so.

        Never None: an agent always has something to do.

        Raises ProposerError, with what it has cost, where it made none that can be proposed; AllowanceError
        where nothing is left to spend; ProposerGoneError where the program is missing.
        """
        prompt = rendered(brief, asked(brief, "agent"))
        text = f"{prompt.system}\n\n{prompt.user}\n"
        work, tags = self._work(brief, text), prompt.ask.tags
        kin = brief.recall.kin(brief.source, {**brief.source, **work.edits})
        rest = _rest(brief.allowance, work.cost)
        if kin.of and kin.refused and min(rest.usd, rest.tokens, rest.seconds) > 0:
            text += f"\nYou made a change before that was tried already: {kin.why}. Make another one.\n"
            again = self._work(replace(brief, allowance=rest), text, work.cost)
            work, tags = replace(again, cost=work.cost + again.cost), (*tags, f"{REPEATS}{kin.of}")
        said, family = words_in(work.said)
        words = said or hypothesis(work.said.strip().partition("\n")[0]) or f"{', '.join(work.edits)}: edited"
        tags = (*tags, *((DROPPED,) if work.others else ()))
        return Proposal(work.edits, words, self.name, family or prompt.ask.idea, tags, work.cost)

    def _work(self, brief: Brief, text: str, spent: Cost = _NOTHING) -> Work:
        """What the agent made of a prompt, paid for once. Raises ProposerError with what was `spent` too."""
        work = once(
            brief.answers,
            (self.name, self._line, text, brief.seed),
            {"asked": self.name, "brief": text},
            lambda: self._worked(brief, text),
            _read_work,
        )
        if why := work.trouble or _refused(work, brief):
            raise ProposerError(f"{self.name} {why}{_aside(work.others)}", spent + work.cost)
        return work

    # --- running it ---

    def _worked(self, brief: Brief, text: str) -> Work:
        """Let the agent work in a copy, and see what became of it."""
        seconds = self._time(brief.allowance)
        if self._known is not None and shutil.which(self._command) is None:
            raise ProposerGoneError(f"{self.name}: {self._command} is not installed: {self._known.mend}")
        try:
            with _fresh_folder() as root:
                folder = _laid_out(root, brief, text)
                before = manifest(folder)
                outcome = self._run(brief, root, seconds)
                if outcome.exit_code in _NOT_FOUND:
                    said = self._redact(outcome.failure())
                    raise ProposerGoneError(
                        f"{self.name}: cannot start it ({said}); put it on PATH, or write its whole path"
                    )
                work = self._seen(brief, folder, before, outcome)
                self._keep(brief.answers, work, outcome)
                return work
        except OSError as error:
            raise WorkspaceError(
                f"{error.filename or 'the copy'}: {error.strerror or error}; mend it, then run again"
            ) from None

    def _time(self, left: Allowance) -> Seconds:
        """How long it may take. Raises where nothing is left, or a limit cannot be kept."""
        if min(left.seconds, left.usd, left.tokens) <= 0:
            raise AllowanceError(f"nothing is left of the run's dollars, tokens or time for {self.name}")
        tells = self._known.tells if self._known else ()
        for what, most in (("usd", left.usd), ("tokens", left.tokens)):
            if most != float("inf") and what not in tells:
                raise ProposerGoneError(f"{self.name} does not tell what it uses, so --{what} cannot be kept")
        return Seconds(min(self._limit, left.seconds))

    def _run(self, brief: Brief, root: Path, seconds: Seconds) -> Outcome:
        folder, file, private = root / "work", root / "brief.md", root / "tmp"
        usd, known = brief.allowance.usd, self._known
        budget = f"{known.budget} {usd:.2f}" if known and known.budget and usd != float("inf") else ""
        line = self._line.replace("{brief}", shlex.quote(str(file)))
        line = line.replace("{files}", shlex.join(brief.source)).replace("{budget}", budget)
        stdin = "/dev/null" if "{brief}" in self._line else shlex.quote(str(file))
        if known and brief.sandbox == "bwrap":
            _make_state(known)
        sandbox = Sandbox(
            brief.sandbox,
            Confinement(network=True),
            read_only=(file, *_named_files(line)),
            writable=(folder, private, *_state()),
            secret=(*_hidden(brief.folder), *(Path.home() / name for name in _KEYS_AT_HOME)),
        )
        env = {**_environment(), "TMPDIR": str(private), "GIT_CEILING_DIRECTORIES": str(root)}
        return sandbox.host(f"exec <{stdin}\n{line}\n", folder, timeout=seconds, env=env)

    # --- what it did ---

    def _seen(self, brief: Brief, folder: Path, before: Manifest, outcome: Outcome) -> Work:
        """The work as the copy and the output show it. Nothing of the agent is alive any more."""
        told = self._told(outcome)
        said = self._shown(told.said)
        tokens = told.tokens_in + told.tokens_out
        cost = Cost(told.usd, tokens, told.tokens_out, outcome.seconds)
        others = tuple(map(self._redact, _others(before, manifest(folder), brief.source)))
        last = plain_line(last_line(said) or last_line(self._redact(outcome.stderr)), 200)
        words = f"; it said: {last}" if last else "; it said nothing"
        if not outcome.ok and not outcome.killed:
            return Work({}, f"failed ({outcome.failure().partition(': ')[0]}){words}", others, said, cost)
        texts: dict[str, str] = {}
        for path, old in brief.source.items():
            text = _text(folder, path)
            if isinstance(text, _Spoilt):
                return Work({}, f"left {path} {text.how}", others, said, cost)
            if self._redact(text).count(REDACTED) > self._redact(old).count(REDACTED):
                return Work({}, f"wrote what looks like a secret into {path}", others, said, cost)
            texts |= {path: text} if text != old else {}
        if not texts:
            how = f"; {outcome.killed}" if outcome.killed else ""
            return Work({}, f"changed nothing{how}{words}", others, said, cost)
        return Work(texts, "", others, said, cost)

    def _told(self, outcome: Outcome) -> Told:
        """What it said, as the known agent that the line begins with says it."""
        known = self._known or AGENTS.get(_program(self._line))
        output = outcome.stdout if outcome.stdout.strip() else outcome.stderr
        return (known.told if known else as_text)(output)

    def _keep(self, folder: Path | None, work: Work, outcome: Outcome) -> None:
        """Write for people what it said and did; the engine files it under the experiment."""
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        number = 1 + sum(file.suffix == ".txt" for file in folder.iterdir())
        ended = outcome.failure() or "exit 0"
        parts = [
            f"{self.name}: {ended}",
            f"{outcome.seconds:.1f} s, {work.cost.tokens:,} tokens, {work.cost.usd:.4f} USD",
            f"edited: {', '.join(work.edits) or 'nothing'}",
            f"beside that, dropped: {', '.join(work.others) or 'nothing'}",
            *([outcome.leftovers()] if outcome.left else []),
            *(f"\n--- {what}\n{self._shown(text, SHOWN)}" for what, text in _streams(work, outcome)),
        ]
        text = self._redact("\n".join(parts)) + "\n"
        (folder / f"agent-{number}.txt").write_text(text, encoding="utf-8", errors="replace")

    def _shown(self, text: str, most: int = MOST) -> str:
        """A text without secrets and escapes, cut; redacted first, for a cut may spare half of one."""
        return self._redact(plain(self._redact(text), most))


def _streams(work: Work, outcome: Outcome) -> tuple[tuple[str, str], ...]:
    return (("said", work.said), ("stdout", outcome.stdout), ("stderr", outcome.stderr))


def _read_work(found: dict[str, Any]) -> Work:
    """Work as it was written."""
    return Work(**{**found, "others": tuple(found["others"]), "cost": Cost(**found["cost"])})


def _refused(work: Work, brief: Brief) -> str:
    """Why a change that could be made is not proposed."""
    if len(work.edits) <= brief.files_per_change:
        return ""
    edited = f"{len(work.edits)} files ({', '.join(work.edits)})"
    return f"edited {edited}; one change may edit {brief.files_per_change}"


def _aside(others: tuple[str, ...]) -> str:
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    return f"; dropped beside that: {', '.join(others[:_NAMED])}{more}" if others else ""


def _rest(left: Allowance, cost: Cost) -> Allowance:
    """What may still be spent after a first answer."""
    return Allowance(left.usd - cost.usd, left.tokens - cost.tokens, left.seconds - cost.seconds)


def _short(command: str) -> str:
    """A command as a name: a long one ends in a digest, so that no two have the same."""
    line = plain_line(command, 10 * _NAME)
    digest = hashlib.sha256(command.encode("utf-8", "backslashreplace")).hexdigest()[:6]
    return line if len(line) <= _NAME else f"{line[: _NAME - 7]}…{digest}"


# --- what it sees ------------------------------------------------------------------------------------


@contextmanager
def _fresh_folder() -> Iterator[Path]:
    """A temporary folder, removed afterwards whatever was done to it: rm goes as deep as it must."""
    root = Path(tempfile.mkdtemp(prefix="optiloop-agent-")).resolve()
    try:
        yield root
    finally:
        for words in (("chmod", "-R", "u+rwX"), ("rm", "-rf")):
            subprocess.run([*words, "--", str(root)], stderr=subprocess.DEVNULL, check=False)


def _laid_out(root: Path, brief: Brief, text: str) -> Path:
    """Write the copy, the private folder and the brief. Returns the copy."""
    folder = root / "work"
    (root / "tmp").mkdir()
    (root / "brief.md").write_text(text, encoding="utf-8")
    if brief.folder.is_dir():
        unwanted = shutil.ignore_patterns(".git", ".optiloop", "__pycache__")
        shutil.copytree(brief.folder, folder, symlinks=True, ignore=unwanted)
    for path, content in {**brief.context, **brief.source}.items():
        file = folder / path
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode("utf-8"))
    return folder


def _environment() -> dict[str, str]:
    """The user's environment, for the agent needs its keys, without what belongs to CI or to another git."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in _MISLEADING and not name.startswith(_KEPT_BACK)
    } | {"PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1", "TERM": "dumb"}


def _hidden(folder: Path) -> tuple[Path, ...]:
    """The log, the worktrees, and what of the repository may hold the hold-out: by where a copy lies."""
    home = next((parent for parent in folder.parents if parent.name == ".optiloop"), None)
    if home is None:
        return ()
    inner = folder.relative_to(home).parts[2:]  # below .optiloop/NAME/trial
    return (home, home.parent / ".git", home.parent.joinpath(*inner)) if inner else (home.parent,)


def _state() -> tuple[Path, ...]:
    """What the known agents keep of their own, as far as it is there."""
    names = (name for known in AGENTS.values() for name in known.state)
    found = (Path(os.path.expanduser(os.path.expandvars(name))) for name in names)
    return tuple(dict.fromkeys(path for path in found if path.is_absolute() and path.exists()))


def _make_state(known: Known) -> None:
    """Make the folders that an agent would make at home, where nothing can be made inside."""
    for name in known.state:
        if name.startswith("~") and name.endswith("/"):
            Path(name).expanduser().mkdir(parents=True, exist_ok=True)


def _named_files(line: str) -> tuple[Path, ...]:
    """The files that a command names by their whole paths, a script's for one."""
    return tuple(path for word in _words(line) if (path := Path(word)).is_absolute() and path.is_file())


def _program(line: str) -> str:
    """The name of the program that a command begins with."""
    words = [word for word in _words(line) if "=" not in word]
    return os.path.basename(words[0]) if words else ""


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:  # an open quote: the shell will say so
        return []


# --- what it left ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Spoilt:
    """How an editable file is no text any more."""

    how: str


def _text(folder: Path, path: str) -> str | _Spoilt:
    """The text of a plain file in the copy; through no link."""
    file = folder / path
    try:
        facts = file.lstat()
        if file.parent.resolve() != folder.joinpath(*Path(path).parts[:-1]):
            return _Spoilt("behind a link")
        if not stat.S_ISREG(facts.st_mode):
            return _Spoilt("as something that is no plain file")
        if facts.st_size > LARGEST:
            return _Spoilt(f"larger than {LARGEST >> 20} MB")
        return file.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return _Spoilt("with bytes that are not UTF-8")
    except OSError as error:
        return _Spoilt(f"unreadable ({error.strerror})")


def _others(before: Manifest, after: Manifest, own: Collection[str]) -> tuple[str, ...]:
    """What changed beside one's own files, in words; of a whole new or missing folder only that."""
    found, told = [], "\0"
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) == after.get(path) or path.rstrip("/") in own or path.startswith(told):
            continue
        how = "created" if path not in before else "deleted" if path not in after else "changed"
        told = path if path.endswith("/") else told
        found.append(f"{how} {plain_line(path, 80)}")
    more = (f"{len(found) - _NOTED} more",) if len(found) > _NOTED else ()
    return (*found[:_NOTED], *more)
