"""The embedded proposer that knows how slow Python is usually made fast. It needs no model and no network."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from optiloop.memory.fingerprint import change_fingerprint, result_fingerprint
from optiloop.model import Brief, Lesson, Proposal, Status
from optiloop.proposers.rewrite.code import Code, Site
from optiloop.proposers.rewrite.rule import Rule
from optiloop.proposers.rewrite.shares import shares_of_functions
from optiloop.proposers.rewrite.table import RULES

ORIGIN = "rewrite"
# A rule's record counts as if it had been tried this often before, with half of the tries kept.
_PRIOR_TRIES = 4.0
# How many times faster the champion must have become before a discarded change may be tried again.
_REOPENED_BY = 2.0
_HARMLESS_EFFECT = 0.99


@dataclass(frozen=True)
class Candidate:
    """One possible change of one file, and how much is hoped from it."""

    path: str
    rule: Rule
    site: Site
    hope: float


class Rewrite:
    """Proposes one known rewriting at one place, the most promising first; the target decides."""

    def propose(self, brief: Brief) -> Proposal | None:
        """Return the most promising rewriting whose outcome the log does not know, or None."""
        for candidate in sorted(_candidates(brief), key=lambda candidate: -candidate.hope):
            after = {**brief.source, candidate.path: candidate.site.text}
            if _is_python(candidate.site.text) and _is_worth_trying(brief, after):
                return Proposal(
                    edits={candidate.path: candidate.site.text},
                    hypothesis=f"{candidate.site.function or candidate.path}: {candidate.site.what}",
                    origin=ORIGIN,
                    family=candidate.rule.name,
                )
        return None


def _candidates(brief: Brief) -> Iterator[Candidate]:
    for path, text in brief.source.items():
        code = _parsed(text) if path.endswith(".py") else None
        if code is None:
            continue
        shares = shares_of_functions(code, brief.profile)
        for rule in RULES:
            hope = rule.effect.value * _record(brief, rule)
            for site in sites_of(rule, text):
                share = shares.get(site.function)
                if share is None or share >= brief.metric.min_effect / 2:
                    yield Candidate(path, rule, site, hope * (share or 0.0))


def _record(brief: Brief, rule: Rule) -> float:
    """The share of this rule's experiments that were kept, shrunk towards one half."""
    spent = brief.recall.spent(ORIGIN, rule.name)
    return (spent.kept + _PRIOR_TRIES / 2) / (spent.experiments + _PRIOR_TRIES)


def _is_worth_trying(brief: Brief, after: Mapping[str, str]) -> bool:
    if result_fingerprint(after) == result_fingerprint(brief.source):
        return False
    if brief.recall.result(result_fingerprint(after)) is not None:
        return False
    lesson = brief.recall.change(change_fingerprint(brief.source, after))
    return lesson is None or _may_be_reopened(brief, lesson)


def _may_be_reopened(brief: Brief, lesson: Lesson) -> bool:
    """A change too small to show may show once all else has become fast."""
    if lesson.status is not Status.DISCARD or not lesson.champion or not brief.champion:
        return False
    ratio = brief.champion / lesson.champion
    return max(ratio, 1 / ratio) > _REOPENED_BY and (
        lesson.effect is None or lesson.effect > _HARMLESS_EFFECT
    )


@lru_cache(maxsize=32)
def _parsed(text: str) -> Code | None:
    try:
        return Code(text)
    except (SyntaxError, ValueError, RecursionError):
        return None


def _is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return False
    return True


def sites_of(rule: Rule, text: str) -> list[Site]:
    """Every place where a rule would change a text."""
    code = _parsed(text)
    if code is None:
        return []
    return list(rule.sites(code))
