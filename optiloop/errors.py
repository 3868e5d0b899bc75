"""The exceptions, each with the exit code the command line ends with. Pure.

OptiloopError                  1   base of all below; the program catches it once, in cli
├── UsageError                 2   the call is wrong: an option, a name, a path
├── TargetError                3   the target is broken or cannot judge its own baseline
├── ProposerError              4   the proposer failed; carries what it had cost
├── ProposerGoneError          4   its model is not to be had: the loop ends
├── AllowanceError             4   what may still be spent pays for no more questions: the loop ends
├── WorkspaceError             5   git, the worktrees, the lock, the disk
├── LedgerError                6   the experiment log is broken
└── UndecidedError             7   with --ci: the budget ended before anything was decided

What a *candidate* does wrong is never an exception: it is a Verdict (see model).
A message says what, where (file and line or key) and what to do next, in one line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optiloop.model import Cost


class OptiloopError(Exception):
    """Anything optiloop itself reports; `exit_code` is the process's."""

    exit_code = 1


class UsageError(OptiloopError):
    """The call is wrong: an option, a name, a path."""

    exit_code = 2


class TargetError(OptiloopError):
    """The target's definition is broken, or it cannot judge its own baseline."""

    exit_code = 3


class ProposerError(OptiloopError):
    """The proposer gave no usable proposal; `cost` is what the attempt cost all the same.

    `tags` are the log line's, as a proposal's would be; `origin` is its name, where somebody else asked it.
    """

    exit_code = 4

    def __init__(self, message: str, cost: Cost | None = None, tags: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.cost, self.tags = cost, tags
        self.origin = ""


class ProposerGoneError(OptiloopError):
    """No model answers: the server is dead, or the model, the key or the engine is missing. The loop ends."""

    exit_code = 4


class AllowanceError(OptiloopError):
    """What the user lets be spent pays for no more questions. The loop ends in order."""

    exit_code = 4


class WorkspaceError(OptiloopError):
    """Git, the worktrees, the lock or the disk."""

    exit_code = 5


class LedgerError(OptiloopError):
    """The experiment log cannot be read or written."""

    exit_code = 6


class UndecidedError(OptiloopError):
    """The budget of a CI job ended before one experiment had a verdict."""

    exit_code = 7
