"""`optiloop.optimize`: better a text that a Python function judges, with the loop and log of any target.

Effect. The function runs in the caller's process and is trusted: no sandbox, no time limit. Where it raises,
or answers no number, the candidate has crashed, as with a command that fails.
"""

from __future__ import annotations

import hashlib
import re
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from optiloop.apply import replace_texts
from optiloop.campaign import Run
from optiloop.errors import TargetError, UsageError
from optiloop.loop import Engine
from optiloop.model import (
    Claim,
    Command,
    Compare,
    Direction,
    Experiment,
    Metric,
    Noise,
    Proposer,
    Seconds,
    Target,
)
from optiloop.proposers import Named, find_proposer
from optiloop.sandbox import Outcome
from optiloop.stopping import Limits

Evaluate = Callable[[str], float | tuple[float, str]]
"""A text's score, or its score and feedback: words for whoever proposes the next text."""

REMEMBERED = 8
"""Texts whose feedback is held: the champion's is asked for in each cycle."""

_FEEDBACK = Command(("feedback",))


@dataclass(frozen=True)
class Optimized:
    """What became of a text. `start` and `value` are its score before and after, from one fresh measurement
    where `claim` is there. `log` is the experiment log, that `optiloop report` and `optiloop ask` read.
    """

    text: str
    start: float
    value: float
    claim: Claim | None
    experiments: tuple[Experiment, ...]
    why: str
    log: Path


def optimize(
    start: str | Path,
    evaluate: Evaluate,
    *,
    name: str = "",
    direction: str = "maximize",
    goal: str = "",
    proposer: str | Proposer = "portfolio",
    cycles: int | None = None,
    seconds: float | None = None,
    plateau: int | None = None,
    min_effect: float = 0.0,
    noise: str | None = None,
    seed: int = 0,
    folder: str | Path | None = None,
    fresh: bool = False,
) -> Optimized:
    """Better a text until a limit is reached or nothing is left to try. A call that was killed goes on.

    `start` is the text itself, or the path of a file; the file is read and never written. `name` is what the
    text is called, as in "settings.toml": the ending tells proposers its language. `evaluate` gets a text and
    answers a score, or a pair of score and feedback; it may be asked about one text again. `noise` is
    "deterministic", "timing" or "costly" (docs/decision.md); None evaluates the start twice and takes
    "deterministic" where both agree, else "costly". Gains are differences of scores; those below `min_effect`
    are not worth keeping. The campaign lies in `folder`: NAME.optiloop, here, where None. Another `evaluate`
    wants another `name`, or `fresh`, which sets the earlier campaign aside.

    Raises UsageError where the call is wrong, TargetError where the start itself cannot be evaluated.
    """
    path, text = _read(start, name)
    name = re.sub(r"[^A-Za-z0-9_-]", "-", Path(path).stem)
    root = Path(folder or f"{name}.optiloop").absolute()
    _lay_out(root, path, text)
    function = _Function(evaluate, path, name)
    metric = Metric(
        "score",
        Command(("evaluate", function.origin)),
        direction=Direction(direction),
        noise=Noise(noise) if noise else _noise(function, root / path),
        min_effect=min_effect,
        compare=Compare.DIFFERENCE,
    )
    target = Target(name, root, (path,), metric, goal=goal, diagnose=_FEEDBACK)
    found = find_proposer(proposer) if isinstance(proposer, str) else _named(proposer)
    limits = Limits(cycles=cycles, seconds=None if seconds is None else Seconds(seconds), plateau=plateau)
    with Engine.opened(target, found, seed=seed, fresh=fresh, sandbox=function) as engine:
        run = Run(engine, limits)
        experiments = tuple(run)
        baseline, claim, kept = engine.prepare().value, engine.state.claim(), engine.history().kept
        return Optimized(
            engine.workspace.source()[path],
            claim.baseline if claim else baseline,
            claim.champion if claim else baseline if kept is None else kept,
            claim,
            experiments,
            run.why,
            engine.ledger.path,
        )


@dataclass
class _Function:
    """Runs a function where the engine would run the metric's command."""

    evaluate: Evaluate
    path: str
    name: str
    level: str = "function"
    _feedback: dict[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """What the function is called, for the log."""
        return (
            f"{getattr(self.evaluate, '__module__', '?')}.{getattr(self.evaluate, '__qualname__', self.name)}"
        )

    def run(
        self,
        command: Command,
        cwd: Path,
        *,
        private: Path,
        tree: Path | None = None,
        env: Mapping[str, str] | None = None,
        shown_too: tuple[Path, ...] = (),
        watch: Callable[[str], str] | None = None,
    ) -> Outcome:
        """Evaluate the text that lies in a folder; its feedback, where that is what the command asks for."""
        text = (cwd / self.path).read_bytes().decode("utf-8")
        if command == _FEEDBACK and text in self._feedback:
            return Outcome(0, self._feedback[text], "", 0.0, 0.0)
        outcome = self._called(text)
        if command == _FEEDBACK and outcome.ok:
            return Outcome(0, self._feedback[text], "", outcome.seconds, outcome.cpu_seconds)
        return outcome

    def _called(self, text: str) -> Outcome:
        started, busy = time.monotonic(), time.process_time()
        try:
            score, feedback = _answer(self.evaluate(text))
            code, said, wrong = 0, f"METRIC score={score!r}\n", ""
        except Exception:  # noqa: BLE001 - the function is the user's and the text a candidate's
            code, said, wrong = 1, "", traceback.format_exc()
        else:
            self._feedback[text] = feedback
            for old in list(self._feedback)[:-REMEMBERED]:
                del self._feedback[old]
        return Outcome(code, said, wrong, time.monotonic() - started, time.process_time() - busy)


def _answer(found: object) -> tuple[float, str]:
    """Score and feedback. Raises TypeError where it is neither a number nor such a pair."""
    score, feedback = found if isinstance(found, tuple) and len(found) == 2 else (found, "")
    if isinstance(score, str | bytes) or not isinstance(feedback, str):
        raise TypeError(f"evaluate answered {found!r:.80}; a number is wanted, or a pair of number and text")
    return float(score), feedback  # type: ignore[arg-type]  # whatever has __float__, as numpy's scalars do


def _read(start: str | Path, name: str) -> tuple[str, str]:
    """The file's name that the text is to have, and the text. Raises UsageError where it cannot be read."""
    if isinstance(start, str):
        return name or f"text-{hashlib.sha256(start.encode()).hexdigest()[:8]}.txt", start
    try:
        return name or start.name, start.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{start}: cannot be read as UTF-8 text: {error}") from None


def _lay_out(root: Path, path: str, text: str) -> None:
    """Put the text into a folder of its own, that git ignores."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        (root / ".gitignore").write_text("*\n", encoding="utf-8")
        if not (root / path).exists() or (root / path).read_bytes() != text.encode("utf-8"):
            replace_texts({root / path: text})
    except OSError as error:
        raise UsageError(f"{root}: cannot write it: {error.strerror}; name another `folder`") from None


def _noise(function: _Function, file: Path) -> Noise:
    """What two evaluations of the start tell. Raises TargetError where it cannot be evaluated."""
    first, second = (function.run(Command(("evaluate",)), file.parent, private=file.parent) for _ in "ab")
    for outcome in (first, second):
        if not outcome.ok:
            raise TargetError(f"evaluate cannot judge the start: {outcome.failure()}")
    return Noise.DETERMINISTIC if first.stdout == second.stdout else Noise.COSTLY


def _named(proposer: Proposer) -> Named:
    return Named(getattr(proposer, "name", type(proposer).__name__.lower()), proposer)
