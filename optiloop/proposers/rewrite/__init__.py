"""The embedded proposer that knows how slow programs are usually made fast. It needs no model, no network."""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from typing import Any

from optiloop.errors import ProposerError
from optiloop.model import Brief, Proposal, Spent, Status
from optiloop.proposers.rewrite.code import Code
from optiloop.proposers.rewrite.diagnosed import FORKS, Ailing, Failure, ailing
from optiloop.proposers.rewrite.rule import Heard, Language, Rule, Site
from optiloop.proposers.rewrite.shares import shares_of_functions
from optiloop.proposers.rewrite.shell import SHELL
from optiloop.proposers.rewrite.table import rules

ORIGIN = "rewrite"
# A rule's record counts as if it had been tried this often before: with half of the tries kept where no
# other target tells.
_PRIOR_TRIES = 4.0
IN_VAIN = 4
"""Changes in a row that one failing task gets before the others have their turn."""
LESSONS = 40
"""Of one file, counted at most."""


@dataclass(frozen=True)
class Candidate:
    """One possible change of one file."""

    path: str
    rule: Rule
    site: Site


class Rewrite:
    """Proposes one known rewriting at one place, the most promising first; the target decides."""

    def propose(self, brief: Brief) -> Proposal | None:
        """Return the most promising rewriting whose outcome the log does not know, or None.

        Raises ProposerError that names a rule which fails, UsageError that names one which does not load.
        """
        for candidate in _idle_first(brief, _in_order(brief)):
            rule, site = candidate.rule, candidate.site
            after = {**brief.source, candidate.path: site.text}
            readable = _parsed_anew(rule.language, site.text) is not None
            if readable and not brief.recall.kin(brief.source, after).refused:
                return Proposal(
                    edits={candidate.path: site.text},
                    hypothesis=f"{site.function or candidate.path}: {site.what}",
                    origin=ORIGIN,
                    family=rule.name,
                )
        return None


def _idle_first(brief: Brief, candidates: Iterator[Candidate]) -> Iterator[Candidate]:
    """The same, those last that change what is being changed: of two that win there, one is lost."""
    waiting = []
    for candidate in candidates:
        if _place(candidate) in brief.busy:
            waiting.append(candidate)
        else:
            yield candidate
    yield from waiting


def _place(candidate: Candidate) -> str:
    function = candidate.site.function
    return f"{candidate.path}::{function}" if function else candidate.path


def _in_order(brief: Brief) -> Iterator[Candidate]:
    """Candidates: what answers a failed check first, of the lowest task first, then everything else.

    A check speaks of its own task: the tasks that it reads have checks of their own. One that a few changes
    in a row have not helped waits until the others have had as many.
    """
    for task in sorted(ailing(brief.diagnosis), key=lambda task: _in_vain(brief, task) // IN_VAIN):
        yield from _answers(brief, task)
    yield from _by_hope(brief)


def _in_vain(brief: Brief, task: Ailing) -> int:
    """How many changes of a task's files the log holds since the last that was kept there."""
    lessons = [brief.recall.at(path, LESSONS) for path in _files(brief, task)]
    return sum(
        len(list(takewhile(lambda it: it.status is not Status.KEEP, reversed(one)))) for one in lessons
    )


def _files(brief: Brief, task: Ailing) -> dict[str, str]:
    """The files of a task's folder."""
    return {path: text for path, text in brief.source.items() if task.name in path.split("/")[:-1]}


def _answers(brief: Brief, task: Ailing) -> Iterator[Candidate]:
    """What answers the failed checks of one task, in the files of its folder."""
    ranked = sorted(rules(), key=lambda rule: (-_worth(brief, rule), rule.name))
    files = _files(brief, task)
    for rule in ranked:
        for said in _heard(rule, task.failures):
            for path, text in files.items():
                for site in sites_of(rule, text, said) if rule.language.holds(path, text) else ():
                    yield Candidate(path, rule, site)


def _heard(rule: Rule, failures: Sequence[Failure]) -> list[str]:
    """What a rule gets to hear: all that fits it at once, for each check caps the score, then each alone."""
    fitting = [failure.said for failure in failures if _fits(rule, failure)]
    if not rule.answers:
        return [""] if fitting else []
    return list(dict.fromkeys(["; ".join(fitting), *fitting])) if fitting else []


def _fits(rule: Rule, failure: Failure) -> bool:
    """Whether a rule may mend what failed; those for shell save processes, whatever else they do."""
    said = f"{failure.check}: {failure.said}"
    if rule.answers:
        return re.search(rule.answers, said, re.IGNORECASE) is not None
    return rule.language is SHELL and FORKS.search(said) is not None


def _by_hope(brief: Brief) -> Iterator[Candidate]:
    """Candidates, the most is hoped from the first. Rules that cannot do better are not asked yet."""
    shares = {path: _shares(brief, path, text) for path, text in brief.source.items()}
    ranked = sorted(((_worth(brief, rule), rule) for rule in rules()), key=lambda pair: -pair[0])
    waiting: list[tuple[float, int, Candidate]] = []
    number = 0
    for worth, rule in ranked:
        while waiting and -waiting[0][0] >= worth:
            yield heapq.heappop(waiting)[2]
        for path, text in brief.source.items():
            for site in sites_of(rule, text) if rule.language.holds(path, text) else ():
                share = shares[path].get(site.function, 1.0)
                if share is None or share >= brief.metric.min_effect / 2:
                    hope, number = worth * (share or 0.0), number + 1
                    heapq.heappush(waiting, (-hope, number, Candidate(path, rule, site)))
    while waiting:
        yield heapq.heappop(waiting)[2]


def _worth(brief: Brief, rule: Rule) -> float:
    """What is hoped from a rule where a function is all of the metric."""
    return math.log(rule.gain) * _record(brief, rule)


def _shares(brief: Brief, path: str, text: str) -> Mapping[str, float | None]:
    """How much of the metric each function of a file stands for; empty where the text has none."""
    codes = (parsed(language, text) for language in languages_of(path, text))
    code = next((code for code in codes if isinstance(code, Code)), None)
    return {} if code is None else shares_of_functions(code, brief.profile)


def _record(brief: Brief, rule: Rule) -> float:
    """The share of this rule's experiments that were kept, shrunk towards what other targets showed of it.

    Those count as a few experiments here, however many they were: this program is not theirs.
    """
    spent = brief.recall.spent(ORIGIN, rule.name)
    other = brief.elsewhere.get((ORIGIN, rule.name), Spent())
    expected = (other.kept + _PRIOR_TRIES / 2) / (other.experiments + _PRIOR_TRIES)
    return (spent.kept + _PRIOR_TRIES * expected) / (spent.experiments + _PRIOR_TRIES)


# --- from texts to sites ------------------------------------------------------------------------------


def languages_of(path: str, text: str) -> list[Language]:
    """The languages that a file is written in, by its path and text; several may look at one file."""
    every = {rule.language.name: rule.language for rule in rules()}
    return [language for language in every.values() if language.holds(path, text)]


@lru_cache(maxsize=32)
def parsed(language: Language, text: str) -> Any:
    """What the rules of a language get to see of a text; None where it cannot be read."""
    return _parsed_anew(language, text)


def _parsed_anew(language: Language, text: str) -> Any:
    try:
        return language.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None


def sites_in(path: str, text: str) -> list[tuple[Rule, Site]]:
    """Every site of every rule in a file. Raises ProposerError that names a rule which fails."""
    spoken = (rule for rule in rules() if rule.language.holds(path, text))
    return [(rule, site) for rule in spoken for site in sites_of(rule, text)]


@lru_cache(maxsize=1024)
def sites_of(rule: Rule, text: str, said: str = "") -> Sequence[Site]:
    """Every place where a rule would change a text; `said` is what a failed check said.

    A rule with `answers` has no sites without that. Raises ProposerError that names a rule which fails.
    """
    seen = parsed(rule.language, text)
    if seen is None or (rule.answers and not said):
        return ()
    try:
        return tuple(rule.sites(Heard(seen, said) if rule.answers else seen))
    except Exception as error:  # a plug-in's rule may raise anything; the log must name it
        whose = f" of {rule.package}" if rule.package else ""
        said = f"{type(error).__name__}: {error}"
        raise ProposerError(f"rule {rule.name!r}{whose} failed: {said}") from error
