"""Proposers: one class each with `propose(brief)`. This module only finds one by its name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from optiloop.errors import OptiloopError, ProposerError, UsageError
from optiloop.model import Brief, Proposal, Proposer

GROUP = "optiloop.proposers"


@dataclass(frozen=True)
class Named:
    """A proposer under the name it was asked for by: what it raises is told with that name, and logged."""

    name: str
    inner: Proposer

    def propose(self, brief: Brief) -> Proposal | None:
        """Pass the brief on; an error of the proposer's own becomes a ProposerError that names it."""
        try:
            found = self.inner.propose(brief)
        except OptiloopError:
            raise
        except Exception as error:  # a plug-in may raise anything; one bad night must not end in a traceback
            said = f"{type(error).__name__}: {error}"
            raise ProposerError(f"proposer {self.name!r} failed: {said}") from error
        if found is None or isinstance(found, Proposal):
            return found
        raise ProposerError(f"proposer {self.name!r} answered {type(found).__name__}, not a Proposal or None")


def find_proposer(spec: str) -> Named:
    """Make the proposer that `NAME` or `NAME:ARGUMENT` names, of several, with commas, their portfolio.

    Raises UsageError naming a faulty plug-in.
    """
    specs = names_in(spec)
    if len(specs) > 1:
        from optiloop.proposers.portfolio import EMBEDDED, Portfolio

        flat = [one for each in specs for one in (EMBEDDED if each == "portfolio" else (each,))]
        members = {member.name: member for member in map(find_proposer, dict.fromkeys(flat))}
        return Named("portfolio", Portfolio(members))
    name, colon, argument = spec.partition(":")
    entry = next(iter(entry_points(group=GROUP, name=name)), None)
    if entry is None:
        known = ", ".join(sorted({entry.name for entry in entry_points(group=GROUP)}))
        raise UsageError(f"no proposer named {name!r}; there are {known}")
    return _made(entry, (argument,) if colon else ())


def names_in(spec: str) -> list[str]:
    """The names in a list; a comma within an argument, as of a command, is not one between names."""
    names = "|".join(re.escape(entry.name) for entry in entry_points(group=GROUP))
    return re.split(rf",\s*(?=(?:{names})(?:[:,]|$))", spec)


def _made(entry: EntryPoint, arguments: tuple[str, ...]) -> Named:
    try:
        factory = entry.load()
        proposer: Proposer = factory(*arguments)
    except OptiloopError:
        raise
    except TypeError as error:
        needs = "takes no argument" if arguments else f"needs an argument, like {entry.name}:FILE"
        raise UsageError(f"proposer {entry.name!r} {needs} ({error})") from error
    except Exception as error:  # a plug-in may raise anything; it must end in one line that names it
        where = entry.dist.name if entry.dist is not None else entry.value
        said = f"{type(error).__name__}: {error}"
        raise UsageError(f"proposer plug-in {entry.name!r} of {where} does not load: {said}") from error
    return Named(getattr(proposer, "name", entry.name), proposer)
